//! The arguments of `myfsio client-encryption`.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::builder::ValueParser;
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Command, Error, value_parser};

use crate::client_encryption::Context;

/// The variable that holds the key where no file does.
pub(super) const KEY_VARIABLE: &str = "MYFSIO_CLIENT_KEY";

/// What is asked for.
#[derive(Debug, Clone)]
pub enum ClientEncryption {
    /// Make a key.
    GenerateKey {
        /// The file that it goes to, which must be new; else it is printed.
        output: Option<PathBuf>,
        /// Answer as JSON.
        json: bool,
    },
    /// Encrypt what is to be uploaded.
    Encrypt(Work),
    /// Decrypt what was downloaded.
    Decrypt(Work),
}

/// One body to be encrypted or decrypted. A path of `-` is standard input or output.
#[derive(Debug, Clone)]
pub struct Work {
    /// File of the key; else the environment holds it.
    pub key_file: Option<PathBuf>,
    /// Where the body comes from.
    pub input: PathBuf,
    /// Where the result goes.
    pub output: PathBuf,
    /// Where the metadata go or come from.
    pub metadata: Option<PathBuf>,
    /// What the object is said to be; must agree when it is decrypted and this is not empty.
    pub context: Context,
    /// Answer as JSON.
    pub json: bool,
}

/// The grammar.
pub fn command() -> Command {
    let json = Arg::new("json").long("json").action(ArgAction::SetTrue).help("Answer as one JSON document");
    let path = |name: &'static str| Arg::new(name).value_parser(value_parser!(PathBuf));
    let key_file = path("key file")
        .long("key-file")
        .value_name("FILE")
        .help("File that holds the key [default: the variable MYFSIO_CLIENT_KEY holds it]");
    let context = Arg::new("context")
        .long("context")
        .value_name("NAME=VALUE")
        .action(ArgAction::Append)
        .value_parser(ValueParser::new(name_and_value));
    let input = path("input").value_name("INPUT").default_value("-").help("What to read; - is standard input");
    let output = path("output").value_name("OUTPUT").default_value("-").help("What to write; - is standard output");
    let metadata = path("metadata").long("metadata").value_name("FILE");
    let generate = Command::new("generate-key")
        .about("Make a key and print it")
        .arg(
            path("output")
                .long("output")
                .value_name("FILE")
                .help("Write it to this new file (mode 0600) and print its id"),
        )
        .arg(json.clone());
    let encrypt = Command::new("encrypt")
        .about("Encrypt a file for its upload; the metadata that must go with it are printed, as aws s3 cp --metadata takes them")
        .args([key_file.clone(), input.clone(), output.clone()])
        .arg(metadata.clone().help("Write the metadata to this file"))
        .arg(context.clone().help("Say what the object is: authenticated, not hidden; may be repeated"))
        .arg(json.clone());
    let decrypt = Command::new("decrypt")
        .about("Decrypt a downloaded file")
        .args([key_file, input, output])
        .arg(
            metadata
                .required(true)
                .help("JSON of the object's metadata, or the answer of aws s3api head-object; - is standard input"),
        )
        .arg(context.help("Refuse an object that was encrypted with another context; may be repeated"))
        .arg(json);
    Command::new("client-encryption")
        .about("Encrypt objects before they are uploaded, and decrypt them after they are downloaded")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands([generate, encrypt, decrypt])
}

/// Reads what `command` matched. Errs: what the grammar cannot say.
pub fn read(matches: &ArgMatches) -> Result<ClientEncryption, Error> {
    match matches.subcommand() {
        Some(("encrypt", matches)) => {
            let work = work(matches)?;
            if is_standard(&work.output) && (work.metadata.is_none() || work.json) {
                return Err(wrong(
                    "standard output takes the encrypted body: name a file for OUTPUT or for --metadata",
                ));
            }
            if work.metadata.as_deref().is_some_and(is_standard) {
                return Err(wrong("--metadata: name a file; without the flag the metadata are printed"));
            }
            reads_once([Some(&work.input), work.key_file.as_ref(), None])?;
            Ok(ClientEncryption::Encrypt(work))
        }
        Some(("decrypt", matches)) => {
            let work = work(matches)?;
            if is_standard(&work.output) && work.json {
                return Err(wrong("standard output takes the decrypted body: name a file for OUTPUT"));
            }
            reads_once([Some(&work.input), work.key_file.as_ref(), work.metadata.as_ref()])?;
            Ok(ClientEncryption::Decrypt(work))
        }
        Some((_, matches)) => Ok(ClientEncryption::GenerateKey {
            output: matches.get_one::<PathBuf>("output").cloned(),
            json: matches.get_flag("json"),
        }),
        None => Err(wrong("generate-key, encrypt or decrypt")),
    }
}

/// Whether a path stands for standard input or output.
pub(super) fn is_standard(path: &Path) -> bool {
    path.as_os_str() == "-"
}

fn reads_once(files: [Option<&PathBuf>; 3]) -> Result<(), Error> {
    match files.into_iter().flatten().filter(|path| is_standard(path)).count() {
        0 | 1 => Ok(()),
        _ => Err(wrong("standard input can be one of body, key and metadata")),
    }
}

fn work(matches: &ArgMatches) -> Result<Work, Error> {
    let path = |name: &str| matches.get_one::<PathBuf>(name).cloned();
    let key_file = path("key file");
    if key_file.is_none() && env::var_os(KEY_VARIABLE).is_none_or(|value: OsString| value.is_empty()) {
        return Err(wrong("no key: name its file with --key-file, or set MYFSIO_CLIENT_KEY"));
    }
    let pairs = matches.get_many::<(String, String)>("context").unwrap_or_default();
    let mut context = Context::new();
    for (name, value) in pairs {
        if context.insert(name.clone(), value.clone()).is_some() {
            return Err(wrong(&format!("--context: {name} is named twice")));
        }
    }
    Ok(Work {
        key_file,
        input: path("input").unwrap_or_else(|| "-".into()),
        output: path("output").unwrap_or_else(|| "-".into()),
        metadata: path("metadata"),
        context,
        json: matches.get_flag("json"),
    })
}

fn name_and_value(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text.split_once('=').ok_or("NAME=VALUE is wanted")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn wrong(text: &str) -> Error {
    command().error(ErrorKind::ArgumentConflict, text)
}
