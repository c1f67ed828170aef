//! Walks over the objects of a bucket: first over files, then over keys of which only versions are left.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use myfsio_actors::names::Stamp;
use serde_json::Value;

use super::keys::Keys;
use super::metadata::FolderMetadata;
use super::object::{self, Lock};
use super::versions::{self, Found};
use super::{CONFIG_BYTES_MAX, INTERNAL, system_of};
use crate::import::beneath::{Folder, Kind, Named};
use crate::import::entry::{Entry, Name, Version, What};
use crate::import::local;
use crate::import::source::{Bucket, Tell};

/// Stands for a part of a key that is empty.
const EMPTY: &str = ".__myfsio_empty__";
/// The object of a key that ends in a slash, in its folder.
const FOLDER_OBJECT: &str = ".__myfsio_dirobj__";
/// The object of a key that is a folder, too, in that folder.
const KEY_OBJECT: &str = ".__myfsio_keydata__";
/// By how much the marker of a delete comes after what it deleted.
const AFTER: u64 = 1_000;

struct Walk<'a> {
    folder: &'a Folder,
    keys: &'a Keys,
    bucket: &'a Bucket,
    tell: &'a mut dyn Tell,
}

/// Tells all objects of a bucket.
pub fn list(folder: &Folder, keys: &Keys, bucket: &Bucket, tell: &mut dyn Tell) {
    let mut walk = Walk { folder, keys, bucket, tell };
    if walk.files() {
        walk.versions();
    }
}

impl Walk<'_> {
    fn left_out(&mut self, key: &str, reason: &str) {
        self.tell.left_out(&self.bucket.place(key), reason);
    }

    /// Answers whether more is wanted.
    fn files(&mut self) -> bool {
        let root = PathBuf::from(&self.bucket.name);
        let mut folders = vec![PathBuf::new()];
        while let Some(within) = folders.pop() {
            let names = match self.folder.names(&root.join(&within)) {
                Ok(names) => names,
                Err(error) => {
                    self.left_out(&within.to_string_lossy(), &error.to_string());
                    continue;
                }
            };
            let metadata = FolderMetadata::read(self.folder, &self.bucket.name, &within);
            for Named { name, kind } in names {
                let path = within.join(&name);
                let is_internal =
                    within.as_os_str().is_empty() && name.to_str().is_some_and(|name| INTERNAL.contains(&name));
                match kind {
                    Kind::Folder if is_internal => {}
                    Kind::Folder => folders.push(path),
                    Kind::Special => {
                        self.left_out(&path.to_string_lossy(), "it is no regular file, and links are not followed");
                    }
                    Kind::File => match self.entry(&within, &path, &name, &metadata) {
                        Ok(entry) => {
                            if !self.tell.entry(entry) {
                                return false;
                            }
                        }
                        Err(reason) => self.left_out(&path.to_string_lossy(), &reason),
                    },
                }
            }
        }
        true
    }

    /// The key of a file, with all its versions.
    fn entry(
        &mut self,
        within: &Path,
        path: &Path,
        name: &OsStr,
        metadata: &FolderMetadata<'_>,
    ) -> Result<Entry, String> {
        let text = path.to_str().ok_or("its name is not UTF-8, as keys are")?;
        let name = name.to_str().unwrap_or_default();
        let folder_text = within.to_str().unwrap_or_default();
        let (encoded, found) = match name {
            FOLDER_OBJECT => (format!("{folder_text}/"), metadata.of(FOLDER_OBJECT)?),
            KEY_OBJECT => {
                let parent = within.parent().unwrap_or(Path::new(""));
                let name = within.file_name().and_then(OsStr::to_str).unwrap_or_default();
                let found = FolderMetadata::read(self.folder, &self.bucket.name, parent).of(name)?;
                (folder_text.to_owned(), found)
            }
            _ => (text.to_owned(), metadata.of(name)?),
        };
        let key = decode(&encoded);
        let path = Path::new(&self.bucket.name).join(path);
        let file = self.folder.file(&path).map_err(|error| error.to_string())?;
        let (size, modified) = local::modified(&file).map_err(|error| error.to_string())?;
        let lock = self.lock(&key);
        let segments = system_of(&self.bucket.name).join("segments");
        let current = object::object(&key, path, &found, lock, self.keys, segments);
        let modified = match current.stored {
            // The time of an assembled object's file may be another than its own.
            Some((_, seconds)) if seconds > 0.0 && found.get("__segments__").is_some() => Stamp((seconds * 1e9) as u64),
            _ => modified,
        };
        let Found { mut versions, left_out, .. } = self.of_key(&key, &encoded);
        // What is current is the latest, whatever its file says.
        let latest = versions.iter().map(|version| version.modified.0).max().unwrap_or(0);
        let modified = Stamp(modified.0.max(latest + u64::from(latest > 0)));
        let id = Name::of(found.get("__version_id__"));
        versions.push(Version::new(id, modified, size, What::Local(Box::new(current))));
        for reason in left_out {
            self.left_out(&key, &reason);
        }
        Ok(settled(key, versions))
    }

    fn of_key(&self, key: &str, encoded: &str) -> Found {
        let encoded = Path::new(encoded.trim_end_matches('/'));
        versions::of_key(self.folder, self.keys, &self.bucket.name, key, encoded)
    }

    /// A lock as the Python generation kept it.
    fn lock(&self, key: &str) -> Lock {
        let name = format!("{}.lock.json", key.replace(['/', '\\'], "_"));
        let path = system_of(&self.bucket.name).join("locks").join(name);
        let record = self.folder.read(&path, CONFIG_BYTES_MAX).ok().flatten();
        let record: Option<Value> = record.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        record.map(|record| Lock::of_record(&record)).unwrap_or_default()
    }

    /// Keys that have versions and no file any more: they were deleted.
    fn versions(&mut self) {
        for root in versions::roots(&self.bucket.name) {
            let mut folders = vec![PathBuf::new()];
            while let Some(within) = folders.pop() {
                let names = self.folder.names(&root.join(&within)).unwrap_or_default();
                let is_record = |named: &Named| {
                    named.kind == Kind::File && Path::new(&named.name).extension() == Some(OsStr::new("json"))
                };
                let has_records = names.iter().any(is_record);
                folders.extend(
                    names.iter().filter(|named| named.kind == Kind::Folder).map(|named| within.join(&named.name)),
                );
                if !has_records || within.as_os_str().is_empty() {
                    continue;
                }
                let Some(encoded) = within.to_str() else {
                    self.left_out(&within.to_string_lossy(), "its name is not UTF-8, as keys are");
                    continue;
                };
                for encoded in [encoded.to_owned(), format!("{encoded}/")] {
                    if !self.has_file(&encoded) && !self.deleted(&encoded) {
                        return;
                    }
                }
            }
        }
    }

    fn has_file(&self, encoded: &str) -> bool {
        let path = Path::new(&self.bucket.name).join(encoded.trim_end_matches('/'));
        match encoded.ends_with('/') {
            true => self.folder.has_file(&path.join(FOLDER_OBJECT)),
            false => self.folder.has_file(&path) || self.folder.has_file(&path.join(KEY_OBJECT)),
        }
    }

    /// Tells a key that was deleted; answers whether more is wanted.
    fn deleted(&mut self, encoded: &str) -> bool {
        let key = decode(encoded);
        let Found { mut versions, deleted, left_out } = self.of_key(&key, encoded);
        for reason in left_out {
            self.left_out(&key, &reason);
        }
        let Some(last) = versions.last() else { return true };
        if !matches!(last.what, What::Marker) {
            // No marker was made of it then.
            let after = last.modified.0 + AFTER;
            let made = Stamp(deleted.map_or(after, |deleted| deleted.0.max(after)));
            versions.push(Version::new(Name::Unique(format!("deleted {}", made.0)), made, 0, What::Marker));
        }
        self.tell.entry(settled(key, versions))
    }
}

fn settled(key: String, versions: Vec<Version>) -> Entry {
    let mut entry = Entry { key, versions };
    entry.settle();
    entry
}

/// The key that a path stands for.
fn decode(path: &str) -> String {
    path.split('/').map(|part| if part == EMPTY { "" } else { part }).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_paths() {
        assert_eq!(decode("a/b"), "a/b");
        assert_eq!(decode("a/.__myfsio_empty__/b/"), "a//b/");
    }
}
