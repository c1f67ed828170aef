//! Listings. Each query names where to begin, exclusive; each page says whether more follows and where to go on.

use std::sync::Arc;

use super::multipart::{Part, Upload};
use super::object::Object;
use crate::names::{CanonicalId, ObjectKey, PartNumber, Stamp, UploadId, VersionId};
use crate::storage::Bucket;

/// Lists current objects in byte order of their keys.
#[derive(Debug, Clone)]
pub struct ListObjects {
    /// The bucket, as looked up when the request was authorised.
    pub bucket: Arc<Bucket>,
    /// Only keys that begin with this; may be empty.
    pub prefix: String,
    /// Keys that share the text up to the next delimiter behind the prefix are rolled up; never empty.
    pub delimiter: Option<String>,
    /// Begin behind this key. When it is, or begins with, a common prefix of this listing, behind all of that prefix
    /// only if `after_is_prefix`.
    pub after: Option<String>,
    /// `after` was a `NextMarker` or token that stands for a whole common prefix.
    pub after_is_prefix: bool,
    /// Most entries and common prefixes together, 0 to 1000.
    pub limit: usize,
}

/// A common prefix of several keys.
pub type CommonPrefix = String;

/// An object in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyEntry {
    /// The key.
    pub key: ObjectKey,
    /// The object.
    pub object: Arc<Object>,
}

/// A page of objects. Entries and prefixes are each in byte order.
#[derive(Debug, Clone, Default)]
pub struct ObjectPage {
    /// Objects.
    pub entries: Vec<KeyEntry>,
    /// Common prefixes.
    pub common_prefixes: Vec<CommonPrefix>,
    /// Where the next page begins, if more follows: the last key or common prefix of this page.
    pub next: Option<String>,
    /// Whether `next` is a common prefix.
    pub next_is_prefix: bool,
}

/// Lists versions and delete markers: keys in byte order, versions of a key newest first.
#[derive(Debug, Clone)]
pub struct ListVersions {
    /// The bucket, as looked up when the request was authorised.
    pub bucket: Arc<Bucket>,
    /// Only keys that begin with this; may be empty.
    pub prefix: String,
    /// As in [`ListObjects`].
    pub delimiter: Option<String>,
    /// Begin behind this key, or inside it behind `version_after`.
    pub key_after: Option<String>,
    /// Begin behind this version of `key_after`.
    pub version_after: Option<VersionId>,
    /// Most entries and common prefixes together, 0 to 1000.
    pub limit: usize,
}

/// A version or delete marker in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionEntry {
    /// The key.
    pub key: ObjectKey,
    /// Its version id.
    pub version_id: VersionId,
    /// Whether it is the key's newest.
    pub is_latest: bool,
    /// When it was committed.
    pub last_modified: Stamp,
    /// Its owner.
    pub owner: CanonicalId,
    /// The object; none for a delete marker.
    pub object: Option<Arc<Object>>,
}

/// A page of versions.
#[derive(Debug, Clone, Default)]
pub struct VersionPage {
    /// Versions and delete markers.
    pub entries: Vec<VersionEntry>,
    /// Common prefixes.
    pub common_prefixes: Vec<CommonPrefix>,
    /// Key marker (or common prefix) and version marker of the next page, if more follows.
    pub next: Option<(String, Option<VersionId>)>,
}

/// Lists uploads in progress: keys in byte order, uploads of a key in order of initiation.
#[derive(Debug, Clone)]
pub struct ListUploads {
    /// The bucket, as looked up when the request was authorised.
    pub bucket: Arc<Bucket>,
    /// Only keys that begin with this; may be empty.
    pub prefix: String,
    /// As in [`ListObjects`].
    pub delimiter: Option<String>,
    /// Begin behind this key, or inside it behind `upload_after`.
    pub key_after: Option<String>,
    /// Begin behind this upload of `key_after`.
    pub upload_after: Option<UploadId>,
    /// Most entries and common prefixes together, 0 to 1000.
    pub limit: usize,
}

/// An upload in a listing.
pub type UploadEntry = Arc<Upload>;

/// A page of uploads.
#[derive(Debug, Clone, Default)]
pub struct UploadPage {
    /// Uploads.
    pub entries: Vec<UploadEntry>,
    /// Common prefixes.
    pub common_prefixes: Vec<CommonPrefix>,
    /// Key marker (or common prefix) and upload id marker of the next page, if more follows.
    pub next: Option<(String, Option<UploadId>)>,
}

/// Lists the parts of an upload in order of their numbers. Errs: NoSuchUpload.
#[derive(Debug, Clone)]
pub struct ListParts {
    /// The bucket, as looked up when the request was authorised.
    pub bucket: Arc<Bucket>,
    /// The key.
    pub key: ObjectKey,
    /// The upload.
    pub upload: UploadId,
    /// Begin behind this number (0: at the first).
    pub number_after: u32,
    /// Most parts, 0 to 1000.
    pub limit: usize,
}

/// A page of parts.
#[derive(Debug, Clone)]
pub struct PartPage {
    /// The upload.
    pub upload: Arc<Upload>,
    /// Its parts.
    pub parts: Vec<Part>,
    /// The last number of this page, if more follows.
    pub next: Option<PartNumber>,
}
