//! `myfsio fsck --explain <bucket>/<key>`: where and how one object lies on the disk, and whether its file is the one it should be.

use std::fmt::Write as _;

use myfsio_actors::names::{BucketName, ObjectKey, VersionId};
use myfsio_actors::storage::{self, ExplainObject, FileState, StoredObject, StoredSegment};

use crate::config::Config;
use crate::start::storage_settings;

/// Segments that are listed for people; JSON has all.
const SEGMENTS_TOLD: usize = 20;

/// What is asked.
#[derive(Debug, Clone)]
pub struct Explain {
    /// `<bucket>/<key>`.
    pub object: String,
    /// The version; else the current object.
    pub version: Option<String>,
    /// Read every byte.
    pub data: bool,
    /// Answer as JSON.
    pub json: bool,
}

/// Runs it. Errs: one line; also when the file is not the object's.
pub fn explain(config: &Config, asked: &Explain) -> Result<(), String> {
    let wrong = |what: &dyn std::fmt::Display| format!("fsck --explain: {}: {what}", asked.object);
    let (bucket, key) = asked.object.split_once('/').ok_or_else(|| wrong(&"say which as BUCKET/KEY"))?;
    let bucket = BucketName::parse(bucket).map_err(|error| wrong(&error))?;
    let key = ObjectKey::parse(key.as_bytes()).map_err(|error| wrong(&error))?;
    let version = asked.version.as_deref().map(VersionId::parse).transpose().map_err(|error| wrong(&error))?;
    let question = ExplainObject { key, version, data: asked.data };
    let object = storage::explain(&storage_settings(config), &bucket, &question).map_err(|error| wrong(&error))?;
    let text = match asked.json {
        true => serde_json::to_string_pretty(&object).map_err(|error| wrong(&error))? + "\n",
        false => told(&object),
    };
    super::print(&text);
    match object.file.state {
        FileState::Agrees | FileState::Folder | FileState::Pending => Ok(()),
        FileState::Missing | FileState::Changed | FileState::Damaged | FileState::Untagged => {
            Err(wrong(&object.file.detail))
        }
    }
}

/// For people: a line for each thing that is known.
fn told(object: &StoredObject) -> String {
    let mut text = format!("{}/{}\n", object.bucket, object.key.escape_debug());
    let mut line = |name: &str, value: &str| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {name:<15}{value}");
    };
    line("version", &format!("{}, {}", object.version_id, if object.is_current { "current" } else { "not current" }));
    line("last modified", &object.last_modified);
    line("etag", &object.etag);
    line("size", &format!("{} bytes, {} on disk", object.size, object.stored_size));
    line("location", &word(&object.location));
    if let Some(path) = &object.path {
        line("file", &path.escape_debug().to_string());
    }
    for checksum in &object.checksums {
        line("checksum", &format!("{} {} of {}", checksum.algorithm, checksum.value, checksum.of.replace('-', " ")));
    }
    if let Some(parts) = object.parts {
        line("parts", &parts.to_string());
    }
    match &object.encryption {
        None => line("encryption", "none"),
        Some(encryption) => {
            let key = encryption
                .key_id
                .as_ref()
                .map_or_else(|| "the customer's".to_owned(), |id| id.escape_debug().to_string());
            let version = encryption.key_version.map(|version| format!(", version {version}")).unwrap_or_default();
            line("encryption", &format!("{}, {}", encryption.algorithm, encryption.method));
            line("key", &format!("{key}{version}"));
            for (name, value) in encryption.context.iter().flat_map(|context| &context.0) {
                line("context", &format!("{}={}", name.escape_debug(), value.escape_debug()));
            }
            line("segments", &format!("{}, in chunks of {} bytes", encryption.segments.len(), encryption.chunk_bytes));
            for StoredSegment { part, size, offset, stored_size } in encryption.segments.iter().take(SEGMENTS_TOLD) {
                let name = part.map(|part| format!("  part {part}")).unwrap_or_default();
                line(&name, &format!("{size} bytes, {stored_size} on disk from byte {offset} on"));
            }
            if encryption.segments.len() > SEGMENTS_TOLD {
                line("", "… (--json lists all)");
            }
        }
    }
    let read = if object.file.read { "every byte was read" } else { "bytes were not read (--data reads them)" };
    line("verdict", &format!("{}: {}; {read}", word(&object.file.state), object.file.detail));
    text
}

/// A word of the JSON form.
fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}
