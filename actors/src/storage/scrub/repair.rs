//! Right bytes in the place of damaged ones: they come as plaintext from elsewhere, and are put in place only if they are the very
//! bytes that were stored.
//!
//! An encrypted object is sealed again under the segment heads that its file still has. The same plaintext, key and salt give the
//! same file, byte for byte, so nothing about it changes; with a damaged head that cannot be done.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::walk::{ItemRow, ScrubItem};
use crate::encryption::{CHUNK_BYTES, DataKey, HEAD_BYTES, SegmentHead};
use crate::names::Stamp;
use crate::storage::client::StorageClient;
use crate::storage::digest::{DigestPlan, Hasher};
use crate::storage::disk::{QUARANTINE_FOLDER, STAGING_FOLDER, is_absent};
use crate::storage::engine::Shared;
use crate::storage::plan::RepairObject;
use crate::storage::rows::ObjectRow;
use crate::storage::sealing::Sealer;
use crate::storage::segments;
use crate::storage::space::Claim;
use crate::storage::staging::StagedFile;
use crate::storage::steps::bytes_on_disk;
use crate::storage::{StorageError, edits};

/// Bytes that are sealed and written at a time: whole chunks.
const BLOCK_BYTES: usize = 4 * CHUNK_BYTES;
/// Bytes of a key in the name of a file that is kept.
const NAME_BYTES: usize = 100;
/// Damaged files of one version that are kept.
const KEPT_MAX: usize = 9;

/// Heads and sizes of segments; a plain object is one piece without a head.
type Pieces = VecDeque<(Option<SegmentHead>, u64)>;

/// A repair under way. Dropping it leaves nothing behind.
#[derive(Debug)]
pub struct Repair {
    client: StorageClient,
    item: ScrubItem,
    file: StagedFile,
    claim: Claim,
    /// What is to come.
    segments: Pieces,
    key: Option<DataKey>,
    sealer: Option<Sealer>,
    /// Bytes of plaintext that the segment still wants.
    left: u64,
    buffer: Vec<u8>,
    plain: Hasher,
    size: u64,
    stored: crc_fast::Digest,
    written: u64,
}

/// What became of a repair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Repaired {
    /// The right bytes are in place.
    Done {
        /// Where the damaged file is kept, relative to the root.
        kept: Option<PathBuf>,
    },
    /// The object was written anew or deleted meanwhile.
    Gone,
}

impl StorageClient {
    /// Begins a repair; `key` is the data key of an encrypted object. None where it cannot be done: of a part, or where the heads of
    /// an encrypted object's segments are damaged. Errs: NoSpace.
    pub async fn begin_repair(&self, item: &ScrubItem, key: Option<&DataKey>) -> Result<Option<Repair>, StorageError> {
        let ItemRow::Object(_, row) = &item.row else { return Ok(None) };
        let (shared, sought, own) = (Arc::clone(&self.shared), item.clone(), row.clone());
        let prepare = move || -> Result<_, StorageError> {
            let Some(segments) = segments_of(&shared, &sought, &own)? else { return Ok(None) };
            let claim = shared.space.claim(bytes_on_disk(own.stored_size()))?;
            Ok(Some((segments, claim, shared.tools.staging.take()?)))
        };
        let Some((segments, claim, file)) = self.shared.long_pool.run(prepare).await? else { return Ok(None) };
        if row.sealed.is_some() && key.is_none() {
            return Ok(None);
        }
        let mut repair = Repair {
            client: self.clone(),
            item: item.clone(),
            file,
            claim,
            segments,
            key: key.cloned(),
            sealer: None,
            left: 0,
            buffer: Vec::with_capacity(BLOCK_BYTES),
            plain: Hasher::new(DigestPlan::default()),
            size: 0,
            stored: crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc64Nvme),
            written: 0,
        };
        repair.next_segment()?;
        Ok(Some(repair))
    }
}

/// What the file is made of: one piece, or the segments that its heads tell.
fn segments_of(shared: &Shared, item: &ScrubItem, row: &ObjectRow) -> Result<Option<Pieces>, StorageError> {
    if row.sealed.is_none() {
        return Ok(Some(VecDeque::from([(None, row.size)])));
    }
    let Some(file) = edits::open_plain(&shared.disk, &item.path())? else { return Ok(None) };
    let Ok(Ok(found)) = segments::walk(&file, row.stored_size()) else { return Ok(None) };
    let head = |segment: &segments::Segment| {
        let mut head = vec![0; HEAD_BYTES];
        file.read_exact_at(&mut head, segment.offset).ok()?;
        Some((Some(SegmentHead::parse(&head).ok()?), segment.size))
    };
    Ok(found.iter().map(head).collect::<Option<_>>().filter(|_| segments::are_of(row, &found)))
}

impl Repair {
    fn next_segment(&mut self) -> Result<(), StorageError> {
        let Some((head, size)) = self.segments.pop_front() else { return Err(StorageError::BodyUnfinished) };
        self.left = size;
        self.sealer = match (head, &self.key) {
            (Some(head), Some(key)) => Some(Sealer::with_head(key, head)?),
            _ => None,
        };
        Ok(())
    }

    /// Takes the next bytes of plaintext. Errs: BodyUnfinished when there are too many.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), StorageError> {
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.left == 0 {
                self.next_segment()?;
                continue;
            }
            let room = BLOCK_BYTES - self.buffer.len();
            let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(room).min(rest.len());
            let (now, later) = rest.split_at(wanted);
            self.buffer.extend_from_slice(now);
            self.left -= now.len() as u64;
            rest = later;
            if self.left == 0 || self.buffer.len() == BLOCK_BYTES {
                self.put(self.left == 0).await?;
            }
        }
        Ok(())
    }

    async fn put(&mut self, is_last: bool) -> Result<(), StorageError> {
        self.plain.update(&self.buffer);
        self.size += self.buffer.len() as u64;
        let block = match &mut self.sealer {
            Some(sealer) => sealer.seal(&self.buffer, is_last)?.to_vec(),
            None => self.buffer.clone(),
        };
        self.buffer.clear();
        self.stored.update(&block);
        let (bytes, at) = (block.len() as u64, self.written);
        self.claim.cover(bytes)?;
        let file = self.file.file().ok_or(StorageError::BodyUnfinished)?;
        let write = move || file.write_all_at(&block, at).map_err(|e| StorageError::io("write", STAGING_FOLDER, e));
        self.client.shared.long_pool.run(write).await?;
        self.claim.spend(bytes);
        self.written += bytes;
        Ok(())
    }

    /// Puts the bytes in place, if they are those that were stored. Errs: Corrupt when they are not.
    pub async fn finish(mut self) -> Result<Repaired, StorageError> {
        // An empty object has an empty segment.
        if self.left == 0 && self.written == 0 && self.item.stored_size() > 0 {
            self.put(true).await?;
        }
        let ItemRow::Object(key, row) = &self.item.row else { return Ok(Repaired::Gone) };
        let digests = self.plain.finish();
        // The MD5 of what is encrypted is not always that of its bytes.
        let tells_md5 = row.sealed.is_none() && row.parts.is_none();
        let is_right = self.size == row.size
            && digests.crc64nvme == row.crc64nvme
            && (!tells_md5 || digests.md5 == Some(row.md5))
            && self.written == self.item.stored_size()
            && self.stored.finalize() == self.item.stored_crc();
        if !is_right {
            return Err(StorageError::Corrupt { what: format!("the copy of {}/{key}", self.item.bucket.name) });
        }
        let (shared, item, file) = (Arc::clone(&self.client.shared), self.item.clone(), self.file.file());
        let secure = move || -> Result<_, StorageError> {
            let file = file.ok_or(StorageError::BodyUnfinished)?;
            shared.disk.sync_data(&file).map_err(|e| StorageError::io("sync", STAGING_FOLDER, e))?;
            keep(&shared, &item)
        };
        let kept = self.client.shared.long_pool.run(secure).await?;
        let (bucket, version, of) = (Arc::clone(&self.item.bucket), row.version_id(), Stamp(row.stamp));
        let message = RepairObject { bucket, key: key.clone(), version, of, file: self.file };
        Ok(if self.client.commit(message).await? { Repaired::Done { kept } } else { Repaired::Gone })
    }
}

/// Gives the damaged file a second name, so that it is still there when its own goes to the right bytes. That it cannot be kept is no
/// reason not to repair.
fn keep(shared: &Shared, item: &ScrubItem) -> Result<Option<PathBuf>, StorageError> {
    let ItemRow::Object(key, row) = &item.row else { return Ok(None) };
    let folder = Path::new(QUARANTINE_FOLDER);
    let mut name = format!("{:016x}-{}-{}", row.stamp, item.bucket.name, key.as_str().replace(['/', '\0'], "_"));
    let end = (0..=name.len().min(NAME_BYTES)).rev().find(|at| name.is_char_boundary(*at)).unwrap_or(0);
    name.truncate(end);
    let path = item.path();
    let try_keep = || -> std::io::Result<Option<PathBuf>> {
        shared.disk.make_folders(folder)?;
        for attempt in 0..KEPT_MAX {
            let kept = folder.join(format!("{name}-{attempt}"));
            match shared.disk.link(&path, &kept) {
                Ok(()) => return Ok(Some(kept)),
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(e) if is_absent(&e) => break,
                Err(e) => return Err(e),
            }
        }
        Ok(None)
    };
    let kept = try_keep().unwrap_or_else(|error| {
        tracing::warn!(%error, path = %path.display(), "a damaged file could not be kept");
        None
    });
    // Another may have been written meanwhile: what has a second name now is none of ours.
    if let Some(kept) = kept.as_ref().filter(|_| !item.is_current(shared).unwrap_or(false)) {
        shared.disk.remove_file(kept).map_err(|e| StorageError::io("remove", kept, e))?;
        return Ok(None);
    }
    Ok(kept)
}
