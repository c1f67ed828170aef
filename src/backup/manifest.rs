//! What a backup says of itself.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Trouble, sync_folder};

/// Name of the manifest.
pub const MANIFEST: &str = "manifest.json";
/// Format of backups that this program makes; it reads no later one.
pub const FORMAT_VERSION: u32 = 1;
/// Largest manifest that is read, in bytes.
const MANIFEST_BYTES_MAX: u64 = 4 << 20;

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Format of the backup.
    pub format_version: u32,
    /// Its name.
    pub id: String,
    /// When it was begun, in milliseconds since 1970: what had been answered by then is in it.
    pub created_millis: u64,
    /// The program that made it.
    pub myfsio_version: String,
    /// The node that it is of.
    pub node_id: String,
    /// The earlier backup that it shares files with.
    pub shares_with: Option<String>,
    /// Buckets.
    pub buckets: u64,
    /// Rows of the index.
    pub rows: u64,
    /// Files of objects and versions.
    pub objects: u64,
    /// Bytes of these.
    pub bytes: u64,
    /// Files of these that take no room of their own.
    pub shared_files: u64,
    /// Bytes that were copied.
    pub copied_bytes: u64,
    /// Objects whose files have other bytes than were stored.
    pub damaged: u64,
    /// Objects whose files were gone.
    pub missing: u64,
    /// Some of both.
    pub named: Vec<String>,
    /// Whether the key that seals the secrets of users and connections is in it.
    pub includes_secret_key: bool,
    /// Whether the key of encrypted objects is in it.
    pub includes_master_key: bool,
    /// What is not in it.
    pub excluded: Vec<String>,
    /// All files but those of objects, which are listed in one of these.
    pub files: Vec<ManifestFile>,
}

/// A file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestFile {
    /// Its path below the backup's folder.
    pub path: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its SHA-256, in hexadecimal digits.
    pub sha256: String,
}

/// The file of an object, as `files.jsonl` lists it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ObjectFile {
    /// Its path below the backup's folder.
    pub path: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its CRC-64/NVME, in 16 hexadecimal digits.
    pub crc64nvme: String,
}

impl Manifest {
    /// Reads the manifest of a backup. Errs: there is none, or it is of a later format.
    pub fn read(folder: &Path) -> Result<Self, Trouble> {
        let path = folder.join(MANIFEST);
        let mut text = Vec::new();
        let read = File::open(&path).and_then(|file| file.take(MANIFEST_BYTES_MAX).read_to_end(&mut text));
        read.map_err(|e| Trouble::io("read", &path, e))?;
        let version: Versioned = serde_json::from_slice(&text)
            .map_err(|e| Trouble::Refused(format!("{} is no manifest of a backup: {e}", path.display())))?;
        if version.format_version > FORMAT_VERSION {
            let (of, knows) = (version.format_version, FORMAT_VERSION);
            let text = format!("the backup {} has format {of}, this program knows {knows}", folder.display());
            return Err(Trouble::Refused(text));
        }
        serde_json::from_slice(&text).map_err(|e| Trouble::Refused(format!("{}: {e}", path.display())))
    }

    /// Writes it, so that it is there whole or not at all.
    pub fn write(&self, folder: &Path) -> Result<(), Trouble> {
        let (path, temporary) = (folder.join(MANIFEST), folder.join(".manifest.tmp"));
        let text = serde_json::to_vec_pretty(self).map_err(|e| Trouble::Refused(e.to_string()))?;
        let written = private(&temporary).and_then(|mut file| {
            file.write_all(&text)?;
            file.sync_all()
        });
        written.and_then(|()| fs::rename(&temporary, &path)).map_err(|e| Trouble::io("write", &path, e))?;
        sync_folder(folder)
    }
}

#[derive(Deserialize)]
struct Versioned {
    format_version: u32,
}

/// Makes a file that nobody else may read.
pub(super) fn private(path: &Path) -> io::Result<File> {
    File::options().write(true).create_new(true).mode(0o600).open(path)
}

/// A path within a folder. None where it would lead elsewhere.
pub(super) fn within(folder: &Path, path: &str) -> Option<PathBuf> {
    let path = Path::new(path);
    let is_within =
        path.components().all(|part| matches!(part, Component::Normal(_))) && path.components().next().is_some();
    is_within.then(|| folder.join(path))
}

/// Size and SHA-256 of a file.
pub(super) fn digest(path: &Path) -> Result<(u64, String), Trouble> {
    let failed = |e| Trouble::io("read", path, e);
    let (mut file, mut digest) = (File::open(path).map_err(failed)?, Sha256::new());
    let (mut buffer, mut size) = (vec![0; 1 << 20], 0);
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok((size, hex::encode(digest.finalize()))),
            Ok(read) => {
                digest.update(buffer.get(..read).unwrap_or_default());
                size += read as u64;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(failed(e)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_within_their_folder() {
        let folder = Path::new("/b");
        assert_eq!(within(folder, "data/1/aa/x"), Some(PathBuf::from("/b/data/1/aa/x")));
        for path in ["", "/etc/passwd", "../x", "a/../../x", ".", "a/./../x"] {
            assert_eq!(within(folder, path), None, "{path}");
        }
    }

    #[test]
    fn a_later_format_is_refused_by_its_number() {
        let folder = tempfile::tempdir().unwrap();
        let write = |text: &str| fs::write(folder.path().join(MANIFEST), text).unwrap();
        write("{\"format_version\": 2, \"something\": \"new\"}");
        let refused = Manifest::read(folder.path()).unwrap_err().to_string();
        assert!(refused.contains("has format 2, this program knows 1"), "{refused}");
        write("{}");
        assert!(Manifest::read(folder.path()).unwrap_err().to_string().contains("is no manifest"));
    }
}
