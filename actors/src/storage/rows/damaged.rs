//! What is kept of a file whose bytes are not those of its object.

use minicbor::{Decode, Encode};

use crate::names::Stamp;
use crate::storage::disk::FileStamp;

/// What a look at all bytes of an object has found: they are not those that were stored. It holds for as long as the file is the
/// one that was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub(in crate::storage) struct DamagedRow {
    /// When it was found.
    #[n(0)]
    pub found: u64,
    /// Size of the file then.
    #[n(1)]
    pub size: u64,
    /// Its modification time then.
    #[n(2)]
    pub modified: u64,
}

impl DamagedRow {
    pub fn of(found: Stamp, seen: FileStamp) -> Self {
        Self { found: found.0, size: seen.size, modified: seen.modified.0 }
    }

    /// What the file was when it was found damaged.
    pub fn seen(&self) -> FileStamp {
        FileStamp { size: self.size, modified: Stamp(self.modified) }
    }
}
