//! Versions of a key that are not current, and its delete markers: a record each, `<id>.json`, beside the bytes in `<id>.bin`.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use myfsio_actors::names::Stamp;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::keys::Keys;
use super::metadata::Metadata;
use super::object::{self, Lock};
use super::system_of;
use crate::import::beneath::{Folder, Kind};
use crate::import::entry::{Name, Version, What};
use crate::import::local;

/// Largest record, in bytes.
const RECORD_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Most versions of a key: they are held in memory together.
pub const VERSIONS_MAX: usize = 100_000;

/// The folders in which versions of the bucket's keys are kept: the later place, and the first one.
pub fn roots(bucket: &str) -> [PathBuf; 2] {
    [system_of(bucket).join("versions"), Path::new(bucket).join(".versions")]
}

/// What is found of a key.
#[derive(Debug, Default)]
pub struct Found {
    /// Oldest first.
    pub versions: Vec<Version>,
    /// When the last of them was put aside because the key was deleted, which left no delete marker in the Python generation.
    pub deleted: Option<Stamp>,
    /// Records that cannot be used, and why.
    pub left_out: Vec<String>,
}

/// The versions of a key that are kept in its folder.
pub fn of_key(folder: &Folder, keys: &Keys, bucket: &str, key: &str, encoded: &Path) -> Found {
    let mut found = Found::default();
    let mut put_aside: Vec<(Stamp, bool)> = Vec::new();
    for root in roots(bucket) {
        let at = root.join(encoded);
        let names = folder.names(&at).unwrap_or_default();
        let records = names.iter().filter(|named| named.kind == Kind::File).map(|named| Path::new(&named.name));
        for name in records.filter(|name| name.extension() == Some(OsStr::new("json"))) {
            if found.versions.len() >= VERSIONS_MAX {
                found.left_out.push(format!("more than {VERSIONS_MAX} versions"));
                break;
            }
            match version(folder, keys, bucket, key, &at, name) {
                Ok(Some((version, aside))) => {
                    found.versions.push(version);
                    put_aside.extend(aside);
                }
                // Of `key` and `key/` both are kept in one folder.
                Ok(None) => {}
                Err(reason) => found.left_out.push(format!("version {}: {reason}", name.display())),
            }
        }
    }
    found.versions.sort_by_key(|version| version.modified);
    let last = put_aside.iter().max_by_key(|(at, _)| *at);
    found.deleted = last.filter(|(_, by_delete)| *by_delete).map(|(at, _)| *at);
    found
}

type Aside = Option<(Stamp, bool)>;

fn version(
    folder: &Folder,
    keys: &Keys,
    bucket: &str,
    key: &str,
    at: &Path,
    name: &Path,
) -> Result<Option<(Version, Aside)>, String> {
    let bytes = folder.read(&at.join(name), RECORD_BYTES_MAX).map_err(|error| error.to_string())?;
    let record: Map<String, Value> =
        serde_json::from_slice(&bytes.unwrap_or_default()).map_err(|error| error.to_string())?;
    let text = |field: &str| record.get(field).and_then(Value::as_str);
    if text("key").is_some_and(|of| of != key) {
        return Ok(None);
    }
    let stem = name.file_stem().and_then(OsStr::to_str).ok_or("its name is not UTF-8")?;
    let id = Name::of(Some(text("version_id").unwrap_or(stem)));
    let aside = text("archived_at").and_then(stamp);
    if record.get("is_delete_marker").and_then(Value::as_bool).unwrap_or(false) {
        let made = aside.ok_or("a delete marker without a time")?;
        return Ok(Some((Version::new(id, made, 0, What::Marker), None)));
    }
    let path = at.join(name.with_extension("bin"));
    let file = folder.file(&path).map_err(|error| format!("its bytes: {error}"))?;
    let (bytes, written) = local::modified(&file).map_err(|error| error.to_string())?;
    let mut metadata = Metadata::of(&record);
    // The first releases kept no ETag with an object, but with its versions.
    if let Some(etag) = text("etag").filter(|etag| !etag.is_empty()) {
        metadata.fields.entry("__etag__".to_owned()).or_insert_with(|| etag.to_owned());
    }
    let modified = text("last_modified").and_then(stamp).unwrap_or(written);
    let segments = system_of(bucket).join("segments");
    let mut object = object::object(key, path, &metadata, Lock::default(), keys, segments);
    // A version's file is a copy, whose time may be its own; nobody edits it.
    object.stored = None;
    let size = record.get("size").and_then(Value::as_u64).unwrap_or(bytes);
    let by_delete = text("reason") == Some("delete");
    let version = Version::new(id, modified, size, What::Local(Box::new(object)));
    Ok(Some((version, aside.map(|at| (at, by_delete)))))
}

/// A time of a record.
fn stamp(text: &str) -> Option<Stamp> {
    let parse = |text: &str| OffsetDateTime::parse(text, &Rfc3339).ok();
    let time = parse(text).or_else(|| parse(&format!("{text}Z")))?;
    Some(Stamp(u64::try_from(time.unix_timestamp_nanos()).ok()?.max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_both_generations() {
        let expected = Stamp(1_767_225_600_250_000_000);
        for text in ["2026-01-01T00:00:00.250000Z", "2026-01-01T00:00:00.25+00:00", "2026-01-01T00:00:00.25"] {
            assert_eq!(stamp(text), Some(expected), "{text}");
        }
        assert_eq!(stamp("yesterday"), None);
    }
}
