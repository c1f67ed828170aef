//! Making a backup.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use myfsio_actors::names::Stamp;
use myfsio_actors::storage::{BackupProgress, Exported, FILES_FILE, ROWS_FILE, StorageClient};
use serde::Deserialize;

use super::manifest::{FORMAT_VERSION, Manifest, ManifestFile, digest, private};
use super::shelf::{INCOMPLETE, Shelf, ShelfLock};
use super::sources::{Opens, Source};
use super::{Trouble, absolute, sync_folder};
use crate::s3::xml::time_text;

/// What is to be made.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// The directory of backups.
    pub directory: PathBuf,
    /// Whether the key that seals the secrets of users and connections goes with it.
    #[serde(default)]
    pub include_secret_key: bool,
    /// Whether the key of encrypted objects goes with it.
    #[serde(default)]
    pub include_master_key: bool,
}

/// Makes a backup of the node; blocks for as long as it takes. What of it was made when it fails is removed.
pub fn create(
    storage: &StorageClient,
    sources: &[Source],
    root: &Path,
    order: &Order,
    now: Stamp,
    progress: &BackupProgress,
) -> Result<Manifest, Trouble> {
    let directory = absolute(&order.directory)?;
    refuse_within(&directory, root)?;
    make_private(&directory)?;
    let _lock = ShelfLock::take(&directory)?;
    let shelf = Shelf::read(&directory)?;
    let node_id = storage.node_id().to_string();
    let earlier = shelf.backups.iter().rev().find(|backup| backup.manifest.node_id == node_id);
    let id = free_id(&directory, now);
    let folder = directory.join(format!("{id}{INCOMPLETE}"));
    make_private(&folder)?;
    let make = || -> Result<Manifest, Trouble> {
        let mut snapshot = storage.snapshot()?;
        // Before objects are copied, which takes its time: users, rules and keys of the same moment.
        let mut files = Vec::new();
        let (mut has_secret, mut has_master) = (false, false);
        for source in sources {
            let (is_wanted, has) = match source.opens {
                Opens::Nothing => (true, None),
                Opens::Secrets => (order.include_secret_key, Some(&mut has_secret)),
                Opens::Objects => (order.include_master_key, Some(&mut has_master)),
            };
            if is_wanted && copy(source, &folder)? {
                files.push(listed(&folder, source.name)?);
                has.into_iter().for_each(|has| *has = true);
            }
        }
        let exported = snapshot.export(&folder, earlier.map(|it| it.folder.as_path()), progress)?;
        for name in [ROWS_FILE, FILES_FILE] {
            files.push(listed(&folder, name)?);
        }
        let shares_with = earlier.map(|it| it.manifest.id.clone());
        let manifest = manifest(&id, now, &node_id, exported, (has_secret, has_master), shares_with, files);
        manifest.write(&folder)?;
        let whole = directory.join(&id);
        fs::rename(&folder, &whole).map_err(|e| Trouble::io("put in place", &whole, e))?;
        sync_folder(&directory)?;
        Ok(manifest)
    };
    let made = make();
    if made.is_err() {
        // A full device is not to stay full; what cannot be removed says by its name that it is incomplete.
        let _left = fs::remove_dir_all(&folder);
    }
    made
}

fn manifest(
    id: &str,
    now: Stamp,
    node_id: &str,
    exported: Exported,
    (includes_secret_key, includes_master_key): (bool, bool),
    shares_with: Option<String>,
    files: Vec<ManifestFile>,
) -> Manifest {
    let mut excluded = vec!["uploads in progress", "jobs", "audit log", "history of metrics", "console sessions"];
    if !includes_secret_key {
        excluded.push("secret key");
    }
    if !includes_master_key {
        excluded.push("master key");
    }
    Manifest {
        format_version: FORMAT_VERSION,
        id: id.to_owned(),
        created_millis: now.0 / 1_000_000,
        myfsio_version: env!("CARGO_PKG_VERSION").to_owned(),
        node_id: node_id.to_owned(),
        shares_with,
        buckets: exported.buckets,
        rows: exported.rows,
        objects: exported.files,
        bytes: exported.bytes,
        shared_files: exported.shared_files,
        copied_bytes: exported.copied_bytes,
        damaged: exported.damaged,
        missing: exported.missing,
        named: exported.named,
        includes_secret_key,
        includes_master_key,
        excluded: excluded.into_iter().map(str::to_owned).collect(),
        files,
    }
}

/// A folder that nobody else may look into; one that is there is fine.
fn make_private(folder: &Path) -> Result<(), Trouble> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|e| Trouble::io("make", folder, e))
}

/// In the data directory a backup would be taken for a bucket, and go with what it is to save.
fn refuse_within(directory: &Path, root: &Path) -> Result<(), Trouble> {
    let real = |path: &Path| fs::canonicalize(path).map_err(|e| Trouble::io("find", path, e));
    // What is not there yet lies where the last folder on its way does that is.
    let there = directory.ancestors().find(|path| path.exists()).unwrap_or(directory);
    match real(there)?.starts_with(real(root)?) {
        true => Err(Trouble::Refused(format!("{} lies in the data directory itself", directory.display()))),
        false => Ok(()),
    }
}

/// The time, to the second; another one of the same second gets a number.
fn free_id(directory: &Path, now: Stamp) -> String {
    let time = time_text(now);
    let seconds = time.split('.').next().unwrap_or(&time);
    let base: String = seconds.chars().filter(char::is_ascii_alphanumeric).chain(['Z']).collect();
    let base = base.replace("ZZ", "Z");
    let is_taken = |id: &str| directory.join(id).exists() || directory.join(format!("{id}{INCOMPLETE}")).exists();
    let numbered = (2_u64..).map(|number| format!("{base}-{number}"));
    std::iter::once(base.clone()).chain(numbered).find(|id| !is_taken(id)).unwrap_or(base)
}

fn listed(folder: &Path, name: &str) -> Result<ManifestFile, Trouble> {
    let (size, sha256) = digest(&folder.join(name))?;
    Ok(ManifestFile { path: name.to_owned(), size, sha256 })
}

/// Copies a file of the node's own; answers whether there is one. Each is replaced as a whole, so what is read is whole.
fn copy(source: &Source, folder: &Path) -> Result<bool, Trouble> {
    let mut from = match fs::File::open(&source.path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(e) => return Err(Trouble::io("open", &source.path, e)),
    };
    let to = folder.join(source.name);
    make_private(to.parent().unwrap_or(folder))?;
    let copied = private(&to).and_then(|mut file| {
        io::copy(&mut from, &mut file)?;
        file.sync_all()
    });
    copied.map(|()| true).map_err(|e| Trouble::io("write", &to, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_times_and_never_taken_twice() {
        let folder = tempfile::tempdir().unwrap();
        let now = Stamp(1_790_000_000_123_456_789);
        let first = free_id(folder.path(), now);
        assert_eq!(first, "20260921T141320Z");
        fs::create_dir(folder.path().join(format!("{first}{INCOMPLETE}"))).unwrap();
        let second = free_id(folder.path(), now);
        assert_eq!(second, format!("{first}-2"));
        fs::create_dir(folder.path().join(&second)).unwrap();
        assert_eq!(free_id(folder.path(), now), format!("{first}-3"));
    }
}
