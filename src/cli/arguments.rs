//! Reading the arguments into a `Request`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, Command, Error, value_parser};

use super::backup::{self, Backups};
use super::bucket::{self, Buckets};
use super::client_encryption::{self, ClientEncryption};
use super::completions;
use super::examples;
use super::explain::Explain;
use super::import;
use super::key::{self, Keys};
use super::live::{self, Top, Trace};
use super::maintenance::{Fsck, Reindex};
use super::replication::{self, Replication};
use super::scrub::{self, Scrub};
use super::upgrade;
use super::user::{self, Users};
use crate::config::{Inputs, Kind, SETTINGS};
use crate::import::Import;

/// Which listeners a node runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// API and console.
    All,
    /// The API, and the console only on its private socket.
    Api,
    /// Only the console's front.
    Ui,
}

/// What the command line asks for.
#[derive(Debug, Clone)]
pub enum Request {
    /// Run a node.
    Serve {
        /// Which listeners.
        mode: Mode,
        /// The settings.
        inputs: Inputs,
    },
    /// Print every setting.
    ConfigShow(Inputs),
    /// Check every setting and change nothing.
    ConfigCheck(Inputs),
    /// Check a data directory.
    Fsck(Fsck, Inputs),
    /// Explain how one object is stored.
    Explain(Explain, Inputs),
    /// Make the index anew.
    Reindex(Reindex, Inputs),
    /// Make or use backups.
    Backup {
        /// What.
        asked: Backups,
        /// Whether to answer as JSON.
        as_json: bool,
        /// The settings.
        inputs: Inputs,
    },
    /// Ask something of buckets.
    Bucket {
        /// What.
        asked: Buckets,
        /// Whether to answer as JSON.
        as_json: bool,
        /// The settings.
        inputs: Inputs,
    },
    /// Ask something of keys.
    Key {
        /// What.
        asked: Keys,
        /// Whether to answer as JSON.
        as_json: bool,
        /// The settings.
        inputs: Inputs,
    },
    /// Bring objects of others in.
    Import {
        /// Which, and from where.
        asked: Import,
        /// Whether to answer as JSON.
        as_json: bool,
        /// The settings.
        inputs: Inputs,
    },
    /// Ask something of replication.
    Replication {
        /// What.
        asked: Replication,
        /// Whether to answer as JSON.
        as_json: bool,
        /// The settings.
        inputs: Inputs,
    },
    /// Ask something of the scrub.
    Scrub {
        /// What.
        asked: Scrub,
        /// Whether to answer as JSON.
        as_json: bool,
        /// The settings.
        inputs: Inputs,
    },
    /// Ask something of users.
    User {
        /// What.
        asked: Users,
        /// Whether to answer as JSON.
        as_json: bool,
        /// The settings.
        inputs: Inputs,
    },
    /// Encrypt or decrypt for a client; needs no node.
    ClientEncryption(ClientEncryption),
    /// Ask the node of this configuration how it is.
    Healthcheck(Inputs),
    /// Show what the node does.
    Top(Top, Inputs),
    /// Follow its requests.
    Trace(Trace, Inputs),
    /// Write the completions of a shell.
    Completions(clap_complete::Shell),
    /// Tell whether this program can open the data directory.
    Upgrade {
        /// Whether to answer as JSON.
        as_json: bool,
        /// The settings.
        inputs: Inputs,
    },
    /// Print the version.
    Version,
}

/// Reads `arguments`, the program's name first. The error holds the text and the exit status of wrong usage, or of
/// `--help`.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Request, Error> {
    let matches = command().try_get_matches_from(arguments)?;
    let serve = |matches: &ArgMatches| {
        let mode = match matches.get_one::<String>("mode").map(String::as_str) {
            Some("api") => Mode::Api,
            Some("ui") => Mode::Ui,
            _ => Mode::All,
        };
        Request::Serve { mode, inputs: inputs(matches) }
    };
    Ok(match matches.subcommand() {
        Some(("config", config)) => match config.subcommand() {
            Some(("check", check)) => Request::ConfigCheck(inputs(check)),
            Some((_, show)) => Request::ConfigShow(inputs(show)),
            None => Request::ConfigShow(inputs(config)),
        },
        Some(("fsck", fsck)) if fsck.contains_id("explain") => {
            let text = |name: &str| fsck.get_one::<String>(name).cloned();
            let object = text("explain").unwrap_or_default();
            let (data, json) = (fsck.get_flag("data"), fsck.get_flag("json"));
            Request::Explain(Explain { object, version: text("version-id"), data, json }, inputs(fsck))
        }
        Some(("fsck", fsck)) => {
            let asked =
                Fsck { repair: fsck.get_flag("repair"), data: fsck.get_flag("data"), json: fsck.get_flag("json") };
            Request::Fsck(asked, inputs(fsck))
        }
        Some(("reindex", reindex)) => {
            let text = |name: &str| reindex.get_one::<String>(name).cloned();
            let asked = Reindex { bucket: text("bucket"), owner: text("owner"), json: reindex.get_flag("json") };
            Request::Reindex(asked, inputs(reindex))
        }
        Some(("backup", group)) => {
            let (name, matches) = group.subcommand().unwrap_or(("list", group));
            let as_json = matches.get_flag("json");
            Request::Backup { asked: backup::read(name, matches), as_json, inputs: inputs(matches) }
        }
        Some(("bucket", group)) => {
            let (name, matches) = group.subcommand().unwrap_or(("list", group));
            let as_json = matches.get_flag("json");
            Request::Bucket { asked: bucket::read(name, matches), as_json, inputs: inputs(matches) }
        }
        Some(("key", group)) => {
            let (name, matches) = group.subcommand().unwrap_or(("list", group));
            let as_json = matches.get_flag("json");
            Request::Key { asked: key::read(name, matches), as_json, inputs: inputs(matches) }
        }
        Some(("import", asked)) => {
            Request::Import { asked: import::read(asked)?, as_json: asked.get_flag("json"), inputs: inputs(asked) }
        }
        Some(("replication", group)) => {
            let (name, matches) = group.subcommand().unwrap_or(("status", group));
            let as_json = matches.get_flag("json");
            Request::Replication { asked: replication::read(name, matches), as_json, inputs: inputs(matches) }
        }
        Some(("scrub", group)) => {
            let (name, matches) = group.subcommand().unwrap_or(("status", group));
            let as_json = matches.get_flag("json");
            Request::Scrub { asked: scrub::read(name, matches), as_json, inputs: inputs(matches) }
        }
        Some(("user", group)) => {
            let (name, matches) = group.subcommand().unwrap_or(("list", group));
            let as_json = matches.get_flag("json");
            Request::User { asked: user::read(name, matches), as_json, inputs: inputs(matches) }
        }
        Some(("client-encryption", asked)) => Request::ClientEncryption(client_encryption::read(asked)?),
        Some(("healthcheck", healthcheck)) => Request::Healthcheck(inputs(healthcheck)),
        Some(("top", top)) => Request::Top(live::read_top(top), inputs(top)),
        Some(("trace", trace)) => Request::Trace(live::read_trace(trace), inputs(trace)),
        Some(("completions", shell)) => Request::Completions(completions::read(shell)),
        Some(("upgrade", check)) => Request::Upgrade { as_json: check.get_flag("json"), inputs: inputs(check) },
        Some(("version", _)) => Request::Version,
        Some((_, matches)) => serve(matches),
        None => serve(&matches),
    })
}

/// The grammar, with how each command is used.
pub(super) fn command() -> Command {
    examples::add(grammar())
}

/// The grammar. The flags of settings are global: they may stand before or behind the command.
fn grammar() -> Command {
    let mode = Arg::new("mode")
        .long("mode")
        .value_name("MODE")
        .value_parser(PossibleValuesParser::new(["all", "api", "ui"]))
        .default_value("all")
        .help("Which listeners to run");
    let file = Arg::new("config file")
        .long("config")
        .value_name("FILE")
        .global(true)
        .value_parser(value_parser!(PathBuf))
        // Behind what each command has of its own.
        .display_order(900)
        .help("Configuration file [default: config/myfsio.toml if it exists]");
    let config = Command::new("config")
        .about("Show or check the configuration")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(Command::new("show").about("Print every setting with its source, secrets masked"))
        .subcommand(Command::new("check").about("Check every setting and path, and change nothing"));
    let fsck = Command::new("fsck")
        .about("Check that journal, index, files, uploads and counters agree, and name every difference; the node must be stopped")
        .arg(
            Arg::new("repair")
                .long("repair")
                .action(ArgAction::SetTrue)
                .help("Mend what has one right answer; nothing that holds data is removed"),
        )
        .arg(
            Arg::new("data")
                .long("data")
                .action(ArgAction::SetTrue)
                .help("Read every byte and compare it with its checksum"),
        )
        .arg(
            Arg::new("explain")
                .long("explain")
                .value_name("BUCKET/KEY")
                .conflicts_with("repair")
                .help("Tell instead where and how this object is stored, how it is encrypted, and whether its file agrees"),
        )
        .arg(
            Arg::new("version-id")
                .long("version-id")
                .value_name("ID")
                .requires("explain")
                .help("The version to explain [default: the current object]"),
        )
        .arg(json_flag());
    let reindex = Command::new("reindex")
        .about("Make the index anew of the files, and files that no object has objects; the node must be stopped")
        .arg(Arg::new("bucket").value_name("BUCKET").help("Only this bucket, within the index as it is"))
        .arg(
            Arg::new("owner")
                .long("owner")
                .value_name("ID")
                .conflicts_with("bucket")
                .help("Canonical id of the owner of buckets whose owner nothing tells [default: the first user]"),
        )
        .arg(json_flag());
    Command::new("myfsio")
        .about("An S3 server whose objects stay plain files")
        .version(env!("CARGO_PKG_VERSION"))
        .disable_help_subcommand(true)
        .arg(mode.clone().hide(true))
        .arg(file)
        .args(SETTINGS.iter().filter_map(|setting| {
            let flag = Arg::new(setting.key)
                .long(setting.flag()?)
                .global(true)
                .action(ArgAction::Set)
                .help_heading(setting.group)
                .hide_short_help(true)
                .help(format!("{} [default: {}]", setting.help, setting.default_told()));
            Some(match setting.kind {
                // The `=` is required, so that the word behind a bare flag stays the command.
                Kind::Boolean => {
                    flag.num_args(0..=1).require_equals(true).default_missing_value("true").value_name("true|false")
                }
                Kind::Integer => flag.value_name("NUMBER"),
                Kind::Path => flag.value_name("PATH"),
                Kind::List | Kind::SecretList => flag.value_name("LIST"),
                Kind::Text | Kind::Secret => flag.value_name("TEXT"),
            })
        }))
        .after_help(
            "Without a command: serve. --help lists every setting as a flag; each is also an environment variable\n\
             (--storage-root is STORAGE_ROOT) and a key of the configuration file (storage_root). Secrets have no flag.\n\
             Commands work on the data of STORAGE_ROOT, which is ./data by default: name the node's own where it is another.\n\
             Exit status: 0 done, 1 refused or failed with one line on standard error, 2 wrong usage.",
        )
        .subcommand(Command::new("serve").about("Run the node (the default)").arg(mode))
        .subcommand(config)
        .subcommand(fsck)
        .subcommand(reindex)
        .subcommand(backup::command())
        .subcommand(bucket::command())
        .subcommand(import::command())
        .subcommand(key::command())
        .subcommand(replication::command())
        .subcommand(scrub::command())
        .subcommand(user::command())
        .subcommand(client_encryption::command())
        .subcommand(Command::new("healthcheck").about("Ask the running node of this configuration how it is"))
        .subcommands(live::commands())
        .subcommand(upgrade::command())
        .subcommand(completions::command())
        .subcommand(Command::new("version").about("Print the version"))
}

/// `--json`, as several commands have it.
pub(super) fn json_flag() -> Arg {
    Arg::new("json").long("json").action(ArgAction::SetTrue).help("Answer as one JSON document")
}

/// The text of an argument; none also where the command has no such argument.
pub(super) fn text_of(matches: &ArgMatches, name: &str) -> Option<String> {
    matches.try_get_one::<String>(name).ok().flatten().cloned()
}

fn inputs(matches: &ArgMatches) -> Inputs {
    let flags: BTreeMap<&'static str, String> = SETTINGS
        .iter()
        .filter(|setting| !setting.kind.is_secret())
        .filter_map(|setting| matches.get_one::<String>(setting.key).map(|text| (setting.key, text.clone())))
        .collect();
    Inputs { flags, file: matches.get_one::<PathBuf>("config file").cloned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(line: &str) -> Result<Request, Error> {
        parse(std::iter::once("myfsio").chain(line.split_whitespace()).map(OsString::from))
    }

    #[test]
    fn the_grammar_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn every_argument_says_what_it_is() {
        fn look(command: &Command, path: &str) {
            for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
                assert!(argument.get_help().is_some(), "{path}: {} has no help", argument.get_id());
            }
            for subcommand in command.get_subcommands() {
                assert!(subcommand.get_about().is_some(), "{path} {} has no about", subcommand.get_name());
                look(subcommand, &format!("{path} {}", subcommand.get_name()));
            }
        }
        look(&command(), "myfsio");
    }

    #[test]
    fn help_tells_the_default_of_every_setting() {
        let help = command().render_long_help().to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        for setting in SETTINGS.iter().filter(|setting| setting.flag().is_some()) {
            let told = format!("{} [default: {}]", setting.help, setting.default_told());
            assert!(help.contains(&told), "{}", setting.key);
        }
    }

    #[test]
    fn no_arguments_serve() {
        for line in ["", "serve", "--port 5001", "serve --mode all", "--mode all"] {
            assert!(matches!(request(line), Ok(Request::Serve { mode: Mode::All, .. })), "{line}");
        }
        assert!(matches!(request("serve --mode ui"), Ok(Request::Serve { mode: Mode::Ui, .. })));
        assert!(matches!(request("--mode api"), Ok(Request::Serve { mode: Mode::Api, .. })));
    }

    #[test]
    fn flags_stand_before_or_behind_the_command() {
        for line in [
            "serve --port 5001 --config a.toml --kms-enabled",
            "--port 5001 --config a.toml --kms-enabled serve",
            "--kms-enabled=true --port=5001 serve --config=a.toml",
        ] {
            let Ok(Request::Serve { inputs, .. }) = request(line) else { panic!("{line}") };
            assert_eq!(inputs.flags.get("port").unwrap(), "5001", "{line}");
            assert_eq!(inputs.flags.get("kms_enabled").unwrap(), "true", "{line}");
            assert_eq!(inputs.flags.len(), 2);
            assert_eq!(inputs.file.unwrap(), PathBuf::from("a.toml"));
        }
        let Ok(Request::ConfigShow(inputs)) = request("config show --storage-root /x") else { panic!() };
        assert_eq!(inputs.flags.get("storage_root").unwrap(), "/x");
        assert!(
            matches!(request("--port 1 config check"), Ok(Request::ConfigCheck(inputs)) if inputs.flags.len() == 1)
        );
    }

    #[test]
    fn maintenance_takes_its_own_flags() {
        let Ok(Request::Fsck(asked, inputs)) = request("fsck --repair --json --storage-root /x") else { panic!() };
        assert!(asked.repair && asked.json && !asked.data);
        assert_eq!(inputs.flags.get("storage_root").unwrap(), "/x");
        let Ok(Request::Explain(asked, _)) = request("fsck --explain photos/a/b --version-id null --json") else {
            panic!()
        };
        assert_eq!((asked.object.as_str(), asked.version.as_deref()), ("photos/a/b", Some("null")));
        assert!(asked.json && !asked.data);
        assert!(request("fsck --explain a/b --repair").is_err() && request("fsck --version-id null").is_err());
        let Ok(Request::Reindex(asked, _)) = request("reindex photos") else { panic!() };
        assert_eq!(asked.bucket.as_deref(), Some("photos"));
        assert!(request("reindex photos --owner x").is_err());
    }

    #[test]
    fn buckets_and_users() {
        let Ok(Request::Bucket { asked, as_json, inputs }) = request("bucket create photos --json --storage-root /x")
        else {
            panic!()
        };
        assert_eq!((asked, as_json), (Buckets::Create("photos".to_owned()), true));
        assert_eq!(inputs.flags.get("storage_root").unwrap(), "/x");
        let words = ["myfsio", "user", "create", "--display-name", "Replication User", "--policy"];
        let of = |policy: &str| parse(words.iter().copied().chain([policy]).map(OsString::from));
        let grant = r#"{"bucket":"backup-bucket","actions":["write","read","list"]}"#;
        for policy in [grant.to_owned(), format!("[{grant}]")] {
            let Ok(Request::User { asked: Users::Create(body), as_json: false, .. }) = of(&policy) else { panic!() };
            assert_eq!(body["display_name"], "Replication User");
            assert_eq!(body["policies"][0]["actions"][2], "list");
        }
        for policy in ["", "5", "{", "@/nowhere"] {
            assert_eq!(of(policy).unwrap_err().exit_code(), 2, "{policy}");
        }
        let Ok(Request::User { asked: Users::Rotate { user, body }, .. }) = request("user rotate ann --overlap 60")
        else {
            panic!()
        };
        assert_eq!((user.as_str(), &body["overlap_seconds"]), ("ann", &serde_json::json!(60)));
        for line in
            ["bucket", "bucket create", "user", "user delete", "user set-policy ann", "user rotate ann --overlap x"]
        {
            assert_eq!(request(line).unwrap_err().exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn backups() {
        let Ok(Request::Backup { asked, as_json: true, .. }) = request("backup create /b --include-secret-key --json")
        else {
            panic!()
        };
        let what = backup::BackupWork::Create { include_secret_key: true, include_master_key: false };
        assert_eq!(asked, Backups { directory: "/b".into(), id: None, what });
        let Ok(Request::Backup { asked, .. }) = request("backup restore /b --backup x --to /new") else { panic!() };
        let what = backup::BackupWork::Restore { to: "/new".into() };
        assert_eq!(asked, Backups { directory: "/b".into(), id: Some("x".to_owned()), what });
        for line in ["backup", "backup create", "backup restore /b", "backup prune /b", "backup prune /b --keep 0"] {
            assert_eq!(request(line).unwrap_err().exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn scrubs() {
        let Ok(Request::Scrub { asked: Scrub::Start { order, wait: true }, as_json: false, .. }) =
            request("scrub start --bucket photos --rate 0 --wait")
        else {
            panic!()
        };
        assert_eq!(order, serde_json::json!({ "bucket": "photos", "bytes_per_second": 0 }));
        assert!(matches!(
            request("scrub status --json"),
            Ok(Request::Scrub { asked: Scrub::Status, as_json: true, .. })
        ));
        assert!(matches!(request("scrub stop"), Ok(Request::Scrub { asked: Scrub::Stop, .. })));
        for line in ["scrub", "scrub start --rate x", "scrub start photos"] {
            assert_eq!(request(line).unwrap_err().exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn client_encryption_needs_a_key_and_one_use_of_each_stream() {
        let generate = request("client-encryption generate-key --json");
        assert!(matches!(
            generate,
            Ok(Request::ClientEncryption(ClientEncryption::GenerateKey { output: None, json: true }))
        ));
        let line = "client-encryption encrypt --key-file k --context a=b=c --context d= in out";
        let Ok(Request::ClientEncryption(ClientEncryption::Encrypt(work))) = request(line) else { panic!("{line}") };
        assert_eq!((work.input, work.output), ("in".into(), "out".into()));
        assert_eq!(work.context, [("a".to_owned(), "b=c".to_owned()), ("d".to_owned(), String::new())].into());
        for line in [
            "client-encryption",
            "client-encryption encrypt in out",
            "client-encryption encrypt --key-file k in",
            "client-encryption encrypt --key-file k in --metadata m --json",
            "client-encryption encrypt --key-file k in out --metadata -",
            "client-encryption encrypt --key-file k in out --context a",
            "client-encryption encrypt --key-file k in out --context a=1 --context a=2",
            "client-encryption decrypt --key-file k in out",
            "client-encryption decrypt --key-file k --metadata -",
            "client-encryption encrypt --key-file - - out",
            "client-encryption decrypt --key-file k --metadata m --json",
        ] {
            assert_eq!(request(line).unwrap_err().exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn wrong_usage_exits_with_2_and_help_with_0() {
        for line in
            ["nonsense", "--secret-key x", "serve --mode x", "--port", "config", "config look", "--port 1 --port 2"]
        {
            assert_eq!(request(line).unwrap_err().exit_code(), 2, "{line}");
        }
        for line in ["--help", "-h", "--version", "config show --help"] {
            assert_eq!(request(line).unwrap_err().exit_code(), 0, "{line}");
        }
    }
}
