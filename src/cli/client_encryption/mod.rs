//! `myfsio client-encryption`: keys, encryption and decryption for whoever uploads with another program.
//!
//! The key comes from a file or from the environment; a command line is readable by every local user. Files appear only when they
//! are whole: what was cut off or changed leaves none behind. What is decrypted to standard output is verified chunk by chunk, and
//! only the exit status tells that it was all.

mod arguments;
mod files;

use std::env;
use std::path::Path;

use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

pub use arguments::{ClientEncryption, Work, command, read};

use self::arguments::{KEY_VARIABLE, is_standard};
use self::files::Target;
use super::print;
use crate::client_encryption::{
    ALGORITHM, ClientKey, Decryptor, Encryptor, Error, Metadata, generate_key, key_from_base64, key_to_base64,
};

const KEY_FILE_BYTES_MAX: u64 = 1024;
const METADATA_BYTES_MAX: u64 = 1 << 20;

/// Runs one of the commands. Errs: one line.
pub fn run(asked: &ClientEncryption) -> Result<(), String> {
    match asked {
        ClientEncryption::GenerateKey { output, json } => generate(output.as_deref(), *json),
        ClientEncryption::Encrypt(work) => encrypt(work),
        ClientEncryption::Decrypt(work) => decrypt(work),
    }
}

fn generate(output: Option<&Path>, as_json: bool) -> Result<(), String> {
    let key = generate_key().map_err(told)?;
    let text = key_to_base64(&key);
    if let Some(path) = output {
        files::write_secret(path, &Zeroizing::new(format!("{}\n", *text)))?;
    }
    let answer = match (output, as_json) {
        (None, false) => text.to_string(),
        (None, true) => json!({"algorithm": ALGORITHM, "key": *text, "key_id": key.id()}).to_string(),
        (Some(_), false) => key.id(),
        (Some(path), true) => {
            json!({"algorithm": ALGORITHM, "file": path.display().to_string(), "key_id": key.id()}).to_string()
        }
    };
    print(&Zeroizing::new(answer + "\n"));
    Ok(())
}

fn encrypt(work: &Work) -> Result<(), String> {
    let key = key(work)?;
    let encryptor = Encryptor::new(&key, &work.context).map_err(told)?;
    let metadata: Map<String, Value> =
        encryptor.metadata().pairs().into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
    let mut target = Target::open(&work.output)?;
    let bytes = encryptor.copy(files::source(&work.input)?, &mut target).map_err(|error| of_stream(work, error))?;
    // The metadata come first: without them a body is worth nothing.
    let line = format!("{}\n", Value::Object(metadata.clone()));
    if let Some(path) = &work.metadata {
        let mut file = Target::open(path)?;
        std::io::Write::write_all(&mut file, line.as_bytes())
            .map_err(|error| format!("{}: {error}", path.display()))?;
        file.finish()?;
    }
    target.finish()?;
    match (work.json, &work.metadata) {
        (true, _) => {
            print(&format!("{}\n", json!({"key_id": key.id(), "metadata": metadata, "plaintext_bytes": bytes})))
        }
        (false, None) => print(&line),
        (false, Some(_)) => {}
    }
    Ok(())
}

fn decrypt(work: &Work) -> Result<(), String> {
    let key = key(work)?;
    let path = work.metadata.as_deref().ok_or("--metadata is missing")?;
    let metadata =
        metadata(&files::text(path, METADATA_BYTES_MAX)?).map_err(|error| format!("{}: {error}", path.display()))?;
    let decryptor = Decryptor::new(&metadata, &key).map_err(told)?;
    if !work.context.is_empty() {
        decryptor.require_context(&work.context).map_err(told)?;
    }
    let context = decryptor.context().clone();
    let source = files::source(&work.input)?;
    let mut target = Target::open(&work.output)?;
    let bytes = decryptor.copy(source, &mut target).map_err(|error| of_stream(work, error))?;
    target.finish()?;
    if work.json {
        print(&format!("{}\n", json!({"context": context, "key_id": key.id(), "plaintext_bytes": bytes})));
    }
    Ok(())
}

/// The key of the file that is named, or else of the environment.
fn key(work: &Work) -> Result<ClientKey, String> {
    let (place, text) = match &work.key_file {
        Some(path) => (path.display().to_string(), files::text(path, KEY_FILE_BYTES_MAX)?),
        None => (KEY_VARIABLE.to_owned(), Zeroizing::new(env::var(KEY_VARIABLE).unwrap_or_default())),
    };
    key_from_base64(&text).map_err(|error| format!("{place}: {error}"))
}

/// Reads metadata as a map of names, or as an answer that holds one as `Metadata`, which is how `aws s3api` gives them.
fn metadata(text: &str) -> Result<Metadata, String> {
    let document: Map<String, Value> =
        serde_json::from_str(text).map_err(|error| format!("no JSON object: {error}"))?;
    let map = match document.get("Metadata") {
        Some(Value::Object(map)) => map,
        _ => &document,
    };
    let pairs = map.iter().filter_map(|(name, value)| Some((name, value.as_str()?)));
    Metadata::from_pairs(pairs).map_err(told)
}

/// Names the end of the pipe that failed.
fn of_stream(work: &Work, error: Error) -> String {
    let named = |path: &Path, standard: &str, error| {
        let name = if is_standard(path) { standard.to_owned() } else { path.display().to_string() };
        format!("{name}: {error}")
    };
    match error {
        Error::Read(error) => named(&work.input, "standard input", error),
        Error::Write(error) => named(&work.output, "standard output", error),
        error => error.to_string(),
    }
}

#[allow(clippy::needless_pass_by_value, reason = "so that it fits map_err")]
fn told(error: Error) -> String {
    error.to_string()
}
