//! What a commit asks of the plain files, as it stands in the journal, and the paths of objects.

use std::path::{Path, PathBuf};

use minicbor::{Decode, Encode};
use sha2::{Digest as _, Sha256};

use super::disk::{BUCKETS_FOLDER, STAGING_FOLDER, TRASH_FOLDER};
use super::keys;
use super::rows::Location;
use crate::names::{BucketId, Stamp};

/// The place of one version of one object.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(super) struct Place {
    #[n(0)]
    pub bucket_id: u64,
    #[n(1)]
    pub bucket: String,
    #[n(2)]
    pub key: String,
    #[n(3)]
    pub location: Location,
    #[n(4)]
    pub stamp: u64,
    /// Its place among the versions of its key, where that is not its stamp.
    #[n(5)]
    pub clock: Option<u64>,
}

/// Where the bytes of a new file come from.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(super) enum Source {
    /// The body that stands in the same journal entry.
    #[n(0)]
    Journal,
    /// A staged file, which becomes the object's file.
    #[n(1)]
    Staged {
        #[n(0)]
        name: String,
    },
}

/// One piece of work on files. Steps are carried out in commit order, and again after a crash: each first looks at what is
/// there and does nothing when it was done before.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(super) enum Step {
    /// Makes the folder of a new bucket.
    #[n(0)]
    MakeBucket {
        #[n(0)]
        id: u64,
        #[n(1)]
        name: String,
    },
    /// Moves the folder of a deleted bucket away, before its name can be used again.
    #[n(1)]
    TrashBucket {
        #[n(0)]
        id: u64,
        #[n(1)]
        name: String,
    },
    /// Puts an object's file at its place.
    #[n(2)]
    Write {
        #[n(0)]
        place: Place,
        #[n(1)]
        source: Source,
        #[n(2)]
        size: u64,
        /// Which change of the entry is the object's row; its copy goes with the file.
        #[n(3)]
        row: u32,
    },
    /// Removes an object's file, and folders that become empty by it.
    #[n(3)]
    Remove {
        #[n(0)]
        place: Place,
    },
    /// Makes the folder that a key ending in `/` stands for, if nothing is in its way.
    #[n(4)]
    MakeFolder {
        #[n(0)]
        bucket_id: u64,
        #[n(1)]
        bucket: String,
        #[n(2)]
        key: String,
        /// Which change of the entry is the object's row, when the folder is all that the object has.
        #[n(3)]
        row: Option<u32>,
    },
    /// Removes that folder if it is empty.
    #[n(5)]
    RemoveFolder {
        #[n(0)]
        bucket_id: u64,
        #[n(1)]
        bucket: String,
        #[n(2)]
        key: String,
    },
    /// Removes a staged file that no row names any more.
    #[n(6)]
    Discard {
        #[n(0)]
        name: String,
    },
    /// Gives a file that a person put there, or edited, the time and the copy of its new row, unless it was changed again.
    #[n(7)]
    Adopt {
        #[n(0)]
        place: Place,
        /// Size and modification time of the file whose bytes the row describes.
        #[n(1)]
        size: u64,
        #[n(2)]
        modified: u64,
        /// Which change of the entry is the object's row; absent when the row stays as it is.
        #[n(3)]
        row: Option<u32>,
    },
    /// Renews the copy of a row that goes with its file.
    #[n(9)]
    Tag {
        #[n(0)]
        place: Place,
        /// Which change of the entry is the object's row.
        #[n(1)]
        row: u32,
    },
    /// Takes the file of a version that is no longer current out of the way of the next.
    #[n(10)]
    Archive {
        /// Where it is.
        #[n(0)]
        place: Place,
        /// Which change of the entry is the version's row.
        #[n(1)]
        row: u32,
        /// Whether nothing takes its place, so that folders may become empty.
        #[n(2)]
        leaves: bool,
    },
    /// Brings the file of a version that is current again to its place.
    #[n(11)]
    Promote {
        /// Where it goes.
        #[n(0)]
        place: Place,
        /// Which change of the entry is the object's row.
        #[n(1)]
        row: u32,
    },
    /// Keeps a copy of what is configured of a bucket beside its files.
    #[n(8)]
    DescribeBucket {
        #[n(0)]
        id: u64,
        #[n(1)]
        name: String,
        /// Which change of the entry is the bucket's configuration.
        #[n(2)]
        row: u32,
    },
}

/// What a file, a folder, or a page of the index takes at least.
const BLOCK_BYTES: u64 = 4096;

/// Bytes that a body of this size takes on the device, with its name and its row in the index.
pub(super) fn bytes_on_disk(size: u64) -> u64 {
    size.saturating_add(2 * BLOCK_BYTES - 1) / BLOCK_BYTES * BLOCK_BYTES
}

impl Step {
    /// Bytes that this step will take on the device, at most.
    pub fn bytes_on_disk(&self) -> u64 {
        let body = match self {
            Self::Write { source: Source::Journal, size, .. } => bytes_on_disk(*size),
            // Its bytes stand already.
            _ => 0,
        };
        body + self.folders() * BLOCK_BYTES
    }

    /// Folders that it makes, if none is there yet.
    pub fn folders(&self) -> u64 {
        match self {
            Self::MakeBucket { .. } | Self::Archive { .. } => 1,
            Self::Write { place: Place { key, location: Location::Plain, .. }, .. }
            | Self::Promote { place: Place { key, location: Location::Plain, .. }, .. }
            | Self::MakeFolder { key, .. } => key.bytes().filter(|byte| *byte == b'/').count() as u64,
            _ => 0,
        }
    }
}

impl Place {
    /// The key of its row while it is among the versions.
    pub fn version_key(&self) -> Vec<u8> {
        keys::version(BucketId(self.bucket_id), self.key.as_bytes(), Stamp(self.clock.unwrap_or(self.stamp)))
    }

    /// The path, relative to the root.
    pub fn path(&self) -> PathBuf {
        match self.location {
            Location::Plain | Location::Folder => Path::new(&self.bucket).join(&self.key),
            Location::Overflow | Location::Marker => self.overflow_path(),
        }
    }

    /// The path that it has, or would have, in overflow.
    pub fn overflow_path(&self) -> PathBuf {
        overflow_path(BucketId(self.bucket_id), &self.key, Stamp(self.stamp))
    }
}

/// The overflow file of one version: named by its key's digest and its stamp, so that versions never share a file.
pub(super) fn overflow_path(bucket: BucketId, key: &str, stamp: Stamp) -> PathBuf {
    let digest = hex::encode(Sha256::digest(key.as_bytes()));
    let (folder, name) = (digest.get(..2).unwrap_or_default(), digest.get(2..40).unwrap_or_default());
    overflow_folder(bucket).join(folder).join(format!("{name}-{:016x}", stamp.0))
}

/// Where a bucket's files lie that are not at their plain path.
pub(super) fn overflow_folder(bucket: BucketId) -> PathBuf {
    system_folder(bucket).join("overflow")
}

/// A bucket's folder below `.myfsio.sys`; by id, so that it never belongs to a later bucket of the same name.
pub(super) fn system_folder(bucket: BucketId) -> PathBuf {
    Path::new(BUCKETS_FOLDER).join(bucket.0.to_string())
}

/// The copy of what is configured of a bucket.
pub(super) fn config_path(bucket: BucketId) -> PathBuf {
    system_folder(bucket).join("config.json")
}

/// A staged file.
pub(super) fn staged_path(name: &str) -> PathBuf {
    Path::new(STAGING_FOLDER).join(name)
}

/// Where the folder of a deleted bucket goes.
pub(super) fn trash_path(id: u64) -> PathBuf {
    Path::new(TRASH_FOLDER).join(id.to_string())
}

/// Whether a key can be the path of an ordinary file: segments of 1 to 255 bytes, none of them `.` or `..`, no NUL.
pub(super) fn is_plain_path(key: &str) -> bool {
    key.split('/').all(|segment| (1..=255).contains(&segment.len()) && segment != "." && segment != "..")
        && !key.contains('\0')
}

/// The folders on the way to a plain key: `a` and `a/b` for `a/b/c`.
pub(super) fn folders_of(key: &str) -> impl Iterator<Item = &str> {
    key.match_indices('/').filter_map(|(at, _)| key.get(..at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_paths() {
        for key in ["a", "a/b", "...", "a b", "\u{1}", &"x".repeat(255), ".myfsio.sys"] {
            assert!(is_plain_path(key), "{key:?}");
        }
        for key in ["a//b", "/a", "a/", "..", "a/../b", "./a", "a/.", "a\0b", &"x".repeat(256)] {
            assert!(!is_plain_path(key), "{key:?}");
        }
    }

    #[test]
    fn folders() {
        assert_eq!(folders_of("a/b/c").collect::<Vec<_>>(), ["a", "a/b"]);
        assert_eq!(folders_of("a").count(), 0);
    }
}
