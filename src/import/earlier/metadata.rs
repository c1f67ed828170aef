//! What goes with an object. Over the releases it was kept in one file an object (`<key>.meta.json`), one file a folder
//! (`_index.json`), and one file an object again (`.__myfsio_meta__<name>.json`). The later form wins.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde_json::value::RawValue;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::system_of;
use crate::import::beneath::Folder;

const SIDECAR: (&str, &str) = (".__myfsio_meta__", ".json");
/// Beyond, the name of a sidecar is made of a digest.
const SIDECAR_BYTES_MAX: usize = 255;
const INDEX: &str = "_index.json";
/// Largest sidecar, and largest index of a folder, in bytes.
const ENTRY_BYTES_MAX: u64 = 16 * 1024 * 1024;
const INDEX_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// What goes with an object.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metadata {
    /// By name.
    pub fields: HashMap<String, String>,
    /// Names and values.
    pub tags: Vec<(String, String)>,
}

impl Metadata {
    /// Reads the `metadata` and `tags` of a record.
    pub fn of(record: &Map<String, Value>) -> Self {
        let fields = record.get("metadata").and_then(Value::as_object).into_iter().flatten();
        let text = |tag: &Value, names: [&str; 2]| {
            names.iter().find_map(|name| tag.get(name).and_then(Value::as_str)).map(str::to_owned)
        };
        let tags = record.get("tags").and_then(Value::as_array).into_iter().flatten();
        Self {
            fields: fields.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect(),
            tags: tags
                .filter_map(|tag| Some((text(tag, ["Key", "key"])?, text(tag, ["Value", "value"]).unwrap_or_default())))
                .collect(),
        }
    }

    /// A field.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

/// What goes with the objects of one folder of a bucket.
#[derive(Debug)]
pub struct FolderMetadata<'a> {
    folder: &'a Folder,
    /// Where it is kept.
    at: PathBuf,
    /// In the bucket.
    within: PathBuf,
    bucket: &'a str,
    index: Result<HashMap<String, Box<RawValue>>, String>,
}

impl<'a> FolderMetadata<'a> {
    /// Reads the index of a folder of a bucket.
    pub fn read(folder: &'a Folder, bucket: &'a str, within: &Path) -> Self {
        let at = system_of(bucket).join("meta").join(within);
        let read = folder.read(&at.join(INDEX), INDEX_BYTES_MAX).map_err(|error| error.to_string());
        let index = read.and_then(|bytes| match bytes {
            Some(bytes) => serde_json::from_slice(&bytes).map_err(|error| error.to_string()),
            None => Ok(HashMap::new()),
        });
        Self { folder, at, within: within.to_path_buf(), bucket, index }
    }

    /// What goes with the object of this file name. Errs: it cannot be read, so that nobody can know what the object was.
    pub fn of(&self, name: &str) -> Result<Metadata, String> {
        let damaged = |error: &dyn std::fmt::Display| format!("what goes with it cannot be read: {error}");
        if let Some(record) = self.record(&self.at.join(sidecar(name))).map_err(|error| damaged(&error))? {
            return Ok(Metadata::of(&record));
        }
        match &self.index {
            Err(error) => return Err(damaged(error)),
            Ok(index) => {
                if let Some(raw) = index.get(name) {
                    let record = serde_json::from_str(raw.get()).map_err(|error| damaged(&error))?;
                    return Ok(Metadata::of(&record));
                }
            }
        }
        let file = format!("{name}.meta.json");
        let within_bucket = Path::new(self.bucket).join(".meta").join(&self.within);
        for path in [self.at.join(&file), within_bucket.join(&file)] {
            if let Some(record) = self.record(&path).map_err(|error| damaged(&error))? {
                return Ok(Metadata::of(&record));
            }
        }
        Ok(Metadata::default())
    }

    fn record(&self, path: &Path) -> Result<Option<Map<String, Value>>, String> {
        let bytes = self.folder.read(path, ENTRY_BYTES_MAX).map_err(|error| error.to_string())?;
        bytes.map(|bytes| serde_json::from_slice(&bytes)).transpose().map_err(|error| error.to_string())
    }
}

fn sidecar(name: &str) -> String {
    let plain = format!("{}{name}{}", SIDECAR.0, SIDECAR.1);
    match plain.len() {
        0..=SIDECAR_BYTES_MAX => plain,
        _ => format!("{}{}{}", SIDECAR.0, hex::encode(Sha256::digest(name.as_bytes())), SIDECAR.1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_later_form_wins() {
        let root = tempfile::tempdir().unwrap();
        let meta = root.path().join(".myfsio.sys/buckets/b/meta/dir");
        std::fs::create_dir_all(&meta).unwrap();
        std::fs::create_dir_all(root.path().join("b/.meta/dir")).unwrap();
        let write = |path: &Path, form: &str| {
            std::fs::write(path, format!("{{\"metadata\": {{\"form\": \"{form}\"}}}}")).unwrap();
        };
        let folder = Folder::open(root.path()).unwrap();
        let form = |name: &str| {
            let found = FolderMetadata::read(&folder, "b", Path::new("dir")).of(name)?;
            Ok::<_, String>(found.get("form").unwrap_or_default().to_owned())
        };
        assert_eq!(form("k").unwrap(), "");
        write(&root.path().join("b/.meta/dir/k.meta.json"), "first");
        assert_eq!(form("k").unwrap(), "first");
        write(&meta.join("k.meta.json"), "second");
        assert_eq!(form("k").unwrap(), "second");
        std::fs::write(meta.join("_index.json"), r#"{"k": {"metadata": {"form": "third", "n": 1}}}"#).unwrap();
        assert_eq!(form("k").unwrap(), "third");
        write(&meta.join(".__myfsio_meta__k.json"), "fourth");
        assert_eq!(form("k").unwrap(), "fourth");
        std::fs::write(meta.join(".__myfsio_meta__k.json"), "{").unwrap();
        assert!(form("k").is_err(), "an earlier form would be another object's");
        std::fs::write(meta.join("_index.json"), "{").unwrap();
        assert!(form("other").is_err());
        let long = "x".repeat(240);
        assert_eq!(sidecar(&long).len(), SIDECAR.0.len() + 64 + SIDECAR.1.len());
    }

    #[test]
    fn tags_of_both_generations() {
        let record = serde_json::json!({"tags": [{"Key": "a", "Value": "1"}, {"key": "b", "value": "2"}, {"x": 1}]});
        let tags = Metadata::of(record.as_object().unwrap()).tags;
        assert_eq!(tags, [("a".to_owned(), "1".to_owned()), ("b".to_owned(), "2".to_owned())]);
    }
}
