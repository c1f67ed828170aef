//! The data folders of the earlier generations of MyFSIO, in Python (until 0.4) and with axum (0.5).
//!
//! ```text
//! <bucket>/<key>                                        a current object
//! <bucket>/<key>/.__myfsio_keydata__                    one whose key is also a folder's
//! <bucket>/<key>/.__myfsio_dirobj__                     the object `<key>/`
//! .myfsio.sys/buckets/<bucket>/.bucket.json             what is configured of it (settings.rs)
//! .myfsio.sys/buckets/<bucket>/meta/…                   what goes with objects (metadata.rs)
//! .myfsio.sys/buckets/<bucket>/versions/<key>/<id>.json a version, beside `<id>.bin`, or a delete marker (versions.rs)
//! .myfsio.sys/buckets/<bucket>/segments/<id>/seg-00001… bytes of an object that was assembled from parts
//! .myfsio.sys/config/                                   users, policies, connections, rules (accounts.rs)
//! .myfsio.sys/keys/                                     master key, KMS keys (keys.rs)
//! ```
//!
//! Nothing here writes: the folder stays as it is.

mod accounts;
mod keys;
mod metadata;
mod object;
mod settings;
mod versions;
mod walk;

use std::path::{Path, PathBuf};

use myfsio_actors::names::BucketName;

use super::beneath::{Folder, Kind};
use super::settings::Settings;
use super::source::{Bucket, Tell};
pub use accounts::{Accounts, Key, User};
use keys::Keys;
pub use object::tagging;

const SYSTEM: &str = ".myfsio.sys";
/// Folders in a bucket that are none of its objects.
const INTERNAL: [&str; 3] = [".meta", ".versions", ".multipart"];
/// Most bytes of a file that configures something.
const CONFIG_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// What a folder is the data of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generation {
    /// An earlier generation of MyFSIO.
    Earlier,
    /// This one.
    Present,
    /// Nothing that MyFSIO knows.
    Foreign,
}

/// Tells what a folder is the data of. An earlier generation leaves folders for uploads and buckets from its first start on.
pub fn generation(folder: &Folder) -> Generation {
    let system = |name: &str| Path::new(SYSTEM).join(name);
    if folder.has_folder(&system("journal")) || folder.has_file(&system("node-id")) {
        return Generation::Present;
    }
    let users = folder.read(&system("config/iam.json"), CONFIG_BYTES_MAX).ok().flatten();
    let is_sealed = users.is_some_and(|users| users.starts_with(myfsio_actors::earlier::USERS_PREFIX.as_bytes()));
    match is_sealed || folder.has_folder(&system("multipart")) || !of_buckets(folder).is_empty() {
        true => Generation::Earlier,
        false => Generation::Foreign,
    }
}

/// Buckets of which something is kept beside their objects.
fn of_buckets(folder: &Folder) -> Vec<PathBuf> {
    let names = folder.names(&Path::new(SYSTEM).join("buckets")).unwrap_or_default();
    names.into_iter().filter(|named| named.kind == Kind::Folder).map(|named| named.name.into()).collect()
}

/// The folder of an earlier generation, opened.
#[derive(Debug)]
pub struct Earlier {
    folder: Folder,
    keys: Keys,
}

impl Earlier {
    /// Reads what the objects are encrypted with.
    pub fn open(folder: Folder) -> Self {
        Self { keys: Keys::read(&folder), folder }
    }

    /// Where it is.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// The buckets.
    pub fn buckets(&self) -> Vec<String> {
        let names = self.folder.names(Path::new("")).unwrap_or_default();
        let name =
            |name: &std::ffi::OsStr| name.to_str().filter(|name| BucketName::parse(name).is_ok()).map(str::to_owned);
        names.iter().filter(|named| named.kind == Kind::Folder).filter_map(|named| name(&named.name)).collect()
    }

    /// Folders that would be buckets if their names were names of buckets.
    pub fn misnamed(&self) -> Vec<String> {
        let names = self.folder.names(Path::new("")).unwrap_or_default();
        let is_one = |name: &str| name == SYSTEM || BucketName::parse(name).is_ok();
        let folders = names.iter().filter(|named| named.kind == Kind::Folder);
        folders.map(|named| named.name.to_string_lossy().into_owned()).filter(|name| !is_one(name)).collect()
    }

    /// What is configured of a bucket. Errs: it cannot be read.
    pub fn settings(&self, bucket: &str) -> Result<Settings, String> {
        settings::read(&self.folder, bucket)
    }

    /// Users, connections and rules, with the secrets that may have encrypted them. Errs: they cannot be read.
    pub fn accounts(&self, secrets: &[String]) -> Result<Accounts, String> {
        accounts::read(&self.folder, secrets)
    }

    /// Tells all objects of a bucket.
    pub fn list(&self, bucket: &Bucket, tell: &mut dyn Tell) {
        walk::list(&self.folder, &self.keys, bucket, tell);
    }
}

/// What is kept of a bucket beside its objects.
fn system_of(bucket: &str) -> PathBuf {
    Path::new(SYSTEM).join("buckets").join(bucket)
}
