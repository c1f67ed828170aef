//! Looking for the file of something: whether it is there, and the one of its row. Then it can be examined.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::examine::Examination;
use super::walk::{ItemRow, ScrubItem};
use crate::encryption::DataKey;
use crate::names::{ObjectKey, PartNumber, Stamp, UploadId, VersionId};
use crate::storage::client::StorageClient;
use crate::storage::disk::{DiskFile, FileStamp, is_absent};
use crate::storage::edits;
use crate::storage::engine::Shared;
use crate::storage::messages::Bucket;
use crate::storage::overlay::Rows as _;
use crate::storage::plan::{KeepScrub, MarkDamaged, MarkDamagedPart};
use crate::storage::read;
use crate::storage::rows::{self, PartRow};
use crate::storage::{StorageError, keys};

/// How often a file that is not there is looked for, and how long between: it may be on its way from one place to the other.
const ATTEMPTS: usize = 4;
const PAUSE: Duration = Duration::from_millis(50);

/// What is found at the place of something.
#[derive(Debug)]
pub enum Look {
    /// Its file, to be read.
    Open(Box<Examination>),
    /// Its bytes have no file yet: they are new.
    Pending,
    /// It is not there any more, or another.
    Gone,
    /// A file that somebody edited.
    Edited,
    /// It is damaged, as is seen without reading it.
    Damaged(Damage),
}

/// How something is damaged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// How.
    pub kind: DamageKind,
    /// More, for people.
    pub detail: String,
    /// What its file was.
    pub(super) seen: Option<FileStamp>,
}

/// Ways of being damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DamageKind {
    /// Its bytes are not those of its checksum.
    Checksum,
    /// Its file is longer or shorter, though nobody wrote it.
    Size,
    /// Its file is gone.
    Missing,
    /// Its file cannot be read.
    Unreadable,
    /// Its bytes are those that were stored, and its data key does not open them.
    Sealed,
    /// Another program wrote its file, and it must not change.
    Changed,
}

impl DamageKind {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Checksum, Self::Size, Self::Missing, Self::Unreadable, Self::Sealed, Self::Changed];

    /// Its name, for machines.
    pub fn name(self) -> &'static str {
        match self {
            Self::Checksum => "checksum-mismatch",
            Self::Size => "wrong-size",
            Self::Missing => "missing-file",
            Self::Unreadable => "unreadable-file",
            Self::Sealed => "cannot-be-opened",
            Self::Changed => "changed-file",
        }
    }
}

impl fmt::Display for DamageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Damage {
    /// Damage of a kind.
    pub fn new(kind: DamageKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), seen: None }
    }

    pub(super) fn of_file(kind: DamageKind, detail: impl Into<String>, seen: FileStamp) -> Self {
        Self { kind, detail: detail.into(), seen: Some(seen) }
    }

    /// That a file cannot be read. Errs: why it could not be read just now, which says nothing of the file.
    pub(super) fn unreadable(error: StorageError) -> Result<Self, StorageError> {
        match error.is_passing() {
            true => Err(error),
            false => Ok(Self::new(DamageKind::Unreadable, error.to_string())),
        }
    }
}

/// What was found, before anything is read.
enum Found {
    Open(DiskFile, FileStamp),
    Other(Look),
}

impl StorageClient {
    /// Looks for the file of something. With the data key of an encrypted object it is opened as its readers would open it, else
    /// what is stored is read.
    pub async fn scrub_look(&self, item: &ScrubItem, key: Option<&DataKey>) -> Result<Look, StorageError> {
        let (shared, sought) = (Arc::clone(&self.shared), item.clone());
        let (file, seen) = match self.shared.long_pool.run(move || look(&shared, &sought)).await? {
            Found::Open(file, seen) => (Arc::new(file), seen),
            Found::Other(look) => return Ok(look),
        };
        let reader = match (item.object()?, key) {
            (Some(object), Some(key)) if object.sealed.is_some() => {
                let size = object.size;
                let opened = read::of_file(&self.shared, &item.bucket, Arc::new(object), Arc::clone(&file))?;
                opened.map(|opened| opened.read(0..size, Some(key))).transpose()?
            }
            _ => None,
        };
        let pool = self.shared.long_pool.clone();
        Ok(Look::Open(Box::new(Examination::new(item, (file, seen), reader, pool))))
    }
}

fn look(shared: &Shared, item: &ScrubItem) -> Result<Found, StorageError> {
    let other = |look| Ok(Found::Other(look));
    let paths = item.paths();
    let mut strange = None;
    for attempt in 0..ATTEMPTS {
        if attempt > 0 {
            std::thread::sleep(PAUSE);
        }
        if !item.is_current(shared)? {
            return other(Look::Gone);
        }
        if let ItemRow::Object(_, row) = &item.row
            && shared.pending.contains_key(&Stamp(row.stamp))
        {
            return other(Look::Pending);
        }
        strange = None;
        let own = item.own_stamp(&shared.disk);
        for (at, path) in paths.iter().enumerate() {
            let (file, there) = match shared.disk.open_stamped(path) {
                Ok(found) => found,
                Err(error) if is_absent(&error) => continue,
                Err(error) => {
                    return other(Look::Damaged(Damage::unreadable(StorageError::io("open", path.as_path(), error))?));
                }
            };
            match own {
                Some(own) if there == own => return Ok(Found::Open(file, there)),
                // What lies at the other place is another's.
                Some(_) if at > 0 => {}
                None if there.size >= item.offset().saturating_add(item.stored_size()) => {
                    return Ok(Found::Open(file, there));
                }
                _ => strange = strange.or(Some(there)),
            }
        }
    }
    let Some(there) = strange else {
        let detail = format!("{} bytes in {} are lost", item.stored_size(), item.path().display());
        return other(Look::Damaged(Damage::new(DamageKind::Missing, detail)));
    };
    let is_cut = match &item.row {
        ItemRow::Object(_, row) => edits::is_cut(&shared.disk, row, &there),
        ItemRow::Part(..) => true,
    };
    if !is_cut {
        return other(Look::Edited);
    }
    let detail = format!("the file has {} bytes, it should have {}", there.size, item.stored_size());
    other(Look::Damaged(Damage::of_file(DamageKind::Size, detail, there)))
}

impl StorageClient {
    /// Keeps what was found damaged from being served, and a part from becoming an object's, or ends that. Answers whether it was still the same.
    pub async fn scrub_mark(&self, item: &ScrubItem, damage: Option<&Damage>) -> Result<bool, StorageError> {
        let (key, row) = match &item.row {
            ItemRow::Object(key, row) => (key, row),
            ItemRow::Part(upload, number, row) => {
                let (bucket, of, is_damaged) = (Arc::clone(&item.bucket), Stamp(row.stamp), damage.is_some());
                let mark = MarkDamagedPart { bucket, upload: *upload, number: *number, of, is_damaged };
                return self.commit(mark).await;
            }
        };
        let seen = damage.and_then(|damage| damage.seen);
        if damage.is_some() && seen.is_none() {
            return Ok(false);
        }
        let (bucket, key, of) = (Arc::clone(&item.bucket), key.clone(), Stamp(row.stamp));
        let mark = MarkDamaged { bucket, key, version: row.version_id(), of, seen };
        self.commit(mark).await
    }

    /// Whether a version of a key is still kept from being served.
    pub fn is_marked(&self, bucket: &Bucket, key: &ObjectKey, version: VersionId) -> bool {
        let row = read::object_row(&self.shared.rows, bucket, key, Some(version));
        row.is_ok_and(|row| row.damaged.is_some())
    }

    /// Whether a part of an upload is still kept from becoming an object's.
    pub fn is_part_marked(&self, bucket: &Bucket, upload: UploadId, number: PartNumber) -> bool {
        let row = self.shared.rows.get(&keys::part(bucket.id, upload, number)).ok().flatten();
        row.and_then(|row| rows::decode::<PartRow>(&row).ok()).is_some_and(|row| row.damaged.is_some())
    }

    /// Keeps how far a scrub is, for the next start.
    pub async fn keep_scrub(&self, kept: Vec<u8>) -> Result<(), StorageError> {
        self.commit(KeepScrub(kept)).await
    }

    /// What was kept of it.
    pub fn kept_scrub(&self) -> Result<Option<Vec<u8>>, StorageError> {
        Ok(self.shared.rows.get(keys::META_SCRUB)?.map(|row| row.to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use rustix::io::Errno;

    use super::*;

    #[test]
    fn what_passes_says_nothing_of_a_file() {
        let unreadable = |errno: Errno| Damage::unreadable(StorageError::io("open", "b/k", io::Error::from(errno)));
        for passing in [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::INTR, Errno::AGAIN] {
            let error = unreadable(passing).unwrap_err();
            assert!(error.is_passing() && error.to_string().contains("b/k"), "{error}");
        }
        for lasting in [Errno::IO, Errno::ACCESS, Errno::NOTDIR, Errno::LOOP, Errno::NODEV] {
            assert_eq!(unreadable(lasting).unwrap().kind, DamageKind::Unreadable, "{lasting:?}");
        }
    }
}
