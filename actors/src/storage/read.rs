//! Reading objects: the row first, then its bytes — from the journal while the file does not stand yet, else from the file.
//!
//! Row and file belong together by size and modification time. When they do not, the key was overwritten in between and the
//! row is read again; a reader never gets bytes of one version under the headers of another.

use std::future::Future;
use std::ops::Range;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::Stream;

use super::chunk_pool::{CHUNK_BYTES, Chunk, ChunkPool};
use super::disk::{self, DiskFile, FileStamp};
use super::edits::Edited;
use super::engine::{PendingBytes, Shared};
use super::io_pool::IoPool;
use super::messages::{Bucket, Object, Versioning};
use super::overlay::Rows;
use super::plan::place_of;
use super::replication::copy_row;
use super::rows::{self, DamagedRow, Location, ObjectRow};
use super::steps::{Place, is_plain_path, staged_path};
use super::unsealing::{Unsealing, Wanted};
use super::{StorageError, keys};
use crate::encryption::{DataKey, EncryptionError};
use crate::names::{BucketId, Checksum, ObjectKey, PartNumber, Stamp, VersionId};

/// How often a row is read again when its file is not there.
const ATTEMPTS: usize = 8;

/// The row of the current object, or of one version of it.
pub(super) fn object_row(
    rows: &dyn Rows,
    bucket: &Bucket,
    key: &ObjectKey,
    version: Option<VersionId>,
) -> Result<ObjectRow, StorageError> {
    find_row(rows, bucket, key, version).map(|(_, row)| row)
}

/// The same, with the key of the row. Errs: NoSuchKey, NoSuchVersion, IsDeleteMarker.
pub(super) fn find_row(
    rows: &dyn Rows,
    bucket: &Bucket,
    key: &ObjectKey,
    version: Option<VersionId>,
) -> Result<(Vec<u8>, ObjectRow), StorageError> {
    let Some(version) = version else {
        if let Some(current) = current_row(rows, bucket.id, key)? {
            return Ok(current);
        }
        let newest = match bucket.versioning {
            Versioning::Off => None,
            Versioning::Enabled | Versioning::Suspended => newest_noncurrent(rows, bucket.id, key, None)?,
        };
        let delete_marker = newest.filter(|(_, row)| row.is_marker()).map(|(_, row)| row.version_id());
        return Err(StorageError::NoSuchKey { key: key.clone(), delete_marker });
    };
    match find_version(rows, bucket.id, key, version)? {
        Some((_, row)) if row.is_marker() => {
            Err(StorageError::IsDeleteMarker { key: key.clone(), version, last_modified: row.modified() })
        }
        Some(found) => Ok(found),
        // What lost in a conflict is no version, but can be read by its id.
        None => match copy_row(rows, bucket.id, key, version)? {
            Some(copy) => Ok(copy),
            None => Err(StorageError::NoSuchVersion { key: key.clone(), version }),
        },
    }
}

/// The current object with the key of its row.
pub(super) fn current_row(
    rows: &dyn Rows,
    bucket: BucketId,
    key: &ObjectKey,
) -> Result<Option<(Vec<u8>, ObjectRow)>, StorageError> {
    let row_key = keys::object(bucket, key.as_bytes());
    Ok(decoded(rows.get(&row_key)?)?.map(|row| (row_key, row)))
}

/// A version, or a delete marker, with the key of its row.
pub(super) fn find_version(
    rows: &dyn Rows,
    bucket: BucketId,
    key: &ObjectKey,
    version: VersionId,
) -> Result<Option<(Vec<u8>, ObjectRow)>, StorageError> {
    let current = || Ok(current_row(rows, bucket, key)?.filter(|(_, row)| row.version_id() == version));
    if let Some(found) = current()? {
        return Ok(Some(found));
    }
    let stamp = match version {
        VersionId::Unique { stamp, .. } => Some(stamp),
        VersionId::Null => {
            let row = rows.get(&keys::null_version(bucket, key.as_bytes()))?;
            row.map(|row| rows::decode_stamp(&row)).transpose()?
        }
    };
    if let Some(stamp) = stamp {
        let row_key = keys::version(bucket, key.as_bytes(), stamp);
        if let Some(row) = decoded(rows.get(&row_key)?)?.filter(|row| row.version_id() == version) {
            return Ok(Some((row_key, row)));
        }
    }
    // Between the two looks it may have become current again.
    current()
}

/// The newest noncurrent version or delete marker of a key, but for the one whose row has the key `except`.
pub(super) fn newest_noncurrent(
    rows: &dyn Rows,
    bucket: BucketId,
    key: &ObjectKey,
    except: Option<&[u8]>,
) -> Result<Option<(Vec<u8>, ObjectRow)>, StorageError> {
    let (start, end) = keys::versions_of(bucket, key.as_bytes());
    let mut found = None;
    rows.scan(&start, &end, &mut |row_key, row| {
        if Some(row_key) == except {
            return Ok(true);
        }
        found = Some((row_key.to_vec(), rows::decode(row)?));
        Ok(false)
    })?;
    Ok(found)
}

fn decoded(row: Option<Arc<[u8]>>) -> Result<Option<ObjectRow>, StorageError> {
    row.map(|row| rows::decode(&row)).transpose()
}

#[derive(Debug, Clone)]
enum Bits {
    None,
    Memory(Bytes),
    File(Arc<DiskFile>),
}

/// What an object is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Its bytes.
    Read,
    /// All but its bytes.
    Look,
}

/// What a reader finds at a key.
#[derive(Debug)]
pub(super) enum Found {
    Open(OpenObject),
    /// A file stands where the object's should, but it is another: somebody edited it.
    Edited(Edited),
}

/// Opens the current object, or one version of it. Errs: Corrupt when its file is gone.
pub(super) fn open(
    shared: &Arc<Shared>,
    bucket: &Bucket,
    key: &ObjectKey,
    version: Option<VersionId>,
    purpose: Purpose,
) -> Result<Found, StorageError> {
    let mut last: Option<(Place, ObjectRow)> = None;
    for attempt in 1..=ATTEMPTS {
        let row = object_row(&shared.rows, bucket, key, version)?;
        let place = place_of(bucket, key, &row);
        if let Some(damaged) = &row.damaged {
            refuse_damaged(shared, key, row.version_id(), &place, damaged)?;
        }
        if let Some(bits) = find(shared, &place, row.stored_size(), purpose)? {
            let object = Arc::new(row.into_object(&bucket.owner)?);
            let opened = opened(shared, bucket, object, bits, purpose)?;
            if opened.lacks_parts() && attempt < ATTEMPTS {
                continue;
            }
            return Ok(Found::Open(opened));
        }
        // The same row twice without its bytes: they are on their way from one place to the other, for an instant.
        if last.as_ref().is_some_and(|(last, _)| *last == place) {
            std::thread::yield_now();
        }
        last = Some((place, row));
    }
    let Some((place, row)) = last else { return Err(StorageError::Corrupt { what: "an object".to_owned() }) };
    let path = place.path();
    if place.location == Location::Plain
        && shared.disk.stamp_at(&path).map_err(|e| StorageError::io("look at", &path, e))?.is_some()
    {
        return Ok(Found::Edited(Edited { row: Box::new(row) }));
    }
    let what = format!("the file {}, which was removed or changed by another program", path.display());
    Err(StorageError::Corrupt { what })
}

/// An object whose row was looked up, but not its file: enough to decide on access, and to open that very object afterwards.
#[derive(Debug, Clone)]
pub struct PeekedObject {
    /// The object.
    pub object: Arc<Object>,
    place: Place,
    stored_size: u64,
    damaged: Option<DamagedRow>,
}

/// Looks a row up. Errs: NoSuchKey, NoSuchVersion, IsDeleteMarker.
pub(super) fn peek(
    shared: &Shared,
    bucket: &Bucket,
    key: &ObjectKey,
    version: Option<VersionId>,
) -> Result<PeekedObject, StorageError> {
    let row = object_row(&shared.rows, bucket, key, version)?;
    let (place, stored_size, damaged) = (place_of(bucket, key, &row), row.stored_size(), row.damaged);
    Ok(PeekedObject { object: Arc::new(row.into_object(&bucket.owner)?), place, stored_size, damaged })
}

/// Refuses what a scrub has found damaged, unless another file was put in the place of that one.
fn refuse_damaged(
    shared: &Shared,
    key: &ObjectKey,
    version: VersionId,
    place: &Place,
    damaged: &DamagedRow,
) -> Result<(), StorageError> {
    match shared.disk.stamp_at(&place.path()) {
        Ok(Some(there)) if there != damaged.seen() => Ok(()),
        _ => Err(StorageError::Damaged { key: key.clone(), version }),
    }
}

/// Opens the object of a row that was looked up before; none when its bytes are not there any more, since it was overwritten or
/// deleted, or moved. Errs: Damaged.
pub(super) fn open_peeked(
    shared: &Shared,
    bucket: &Bucket,
    peeked: &PeekedObject,
    purpose: Purpose,
) -> Result<Option<OpenObject>, StorageError> {
    let PeekedObject { object, place, stored_size, damaged } = peeked;
    if let (Some(damaged), Ok(key)) = (damaged, ObjectKey::parse(place.key.as_bytes())) {
        refuse_damaged(shared, &key, object.version_id, place, damaged)?;
    }
    let Some(bits) = find(shared, place, *stored_size, purpose)? else { return Ok(None) };
    let opened = opened(shared, bucket, Arc::clone(object), bits, purpose)?;
    Ok(Some(opened).filter(|opened| !opened.lacks_parts()))
}

/// An object whose file a scrub has opened; none when its parts are gone, since it was overwritten.
pub(super) fn of_file(
    shared: &Shared,
    bucket: &Bucket,
    object: Arc<Object>,
    file: Arc<DiskFile>,
) -> Result<Option<OpenObject>, StorageError> {
    let opened = opened(shared, bucket, object, Bits::File(file), Purpose::Read)?;
    Ok(Some(opened).filter(|opened| !opened.lacks_parts()))
}

fn opened(
    shared: &Shared,
    bucket: &Bucket,
    object: Arc<Object>,
    bits: Bits,
    purpose: Purpose,
) -> Result<OpenObject, StorageError> {
    // Where the segments of a sealed object lie follows from its parts; their list comes and goes with the row.
    let wants_parts = purpose == Purpose::Read && object.sealed.is_some() && object.listed_parts().is_some();
    let parts = wants_parts.then(|| object_parts(&shared.rows, bucket, &object)).transpose()?;
    let (pool, chunks) = (shared.tools.pool.clone(), Arc::clone(&shared.chunks));
    Ok(OpenObject { object, bits, parts: parts.map(Arc::from), pool, chunks })
}

/// The bytes of a row, if they are where they should be.
fn find(shared: &Shared, place: &Place, stored_size: u64, purpose: Purpose) -> Result<Option<Bits>, StorageError> {
    if matches!(place.location, Location::Folder | Location::Marker) {
        return Ok(Some(Bits::None));
    }
    let pending = shared.pending.get(&Stamp(place.stamp)).map(|p| p.value().clone());
    match pending {
        Some(PendingBytes::Journal(_)) if purpose == Purpose::Look => return Ok(Some(Bits::None)),
        // Copied now: a slow reader must not keep a segment of the journal from being used again.
        Some(PendingBytes::Journal(bytes)) => return Ok(Some(Bits::Memory(bytes.read()?.into()))),
        Some(PendingBytes::Staged(name)) => {
            // No stamp yet: the file of this name belongs to this row alone.
            if let Ok(file) = shared.disk.open_file(&staged_path(&name)) {
                return Ok(Some(Bits::File(Arc::new(file))));
            }
        }
        Some(PendingBytes::InPlace(seen)) => {
            if let Some(file) = open_stamped(shared, &place.path(), seen)? {
                return Ok(Some(file));
            }
        }
        None => {}
    }
    let wanted = FileStamp { size: stored_size, modified: shared.disk.rounded(Stamp(place.stamp)) };
    if let Some(file) = open_stamped(shared, &place.path(), wanted)? {
        return Ok(Some(file));
    }
    // A file changes its place a little later than its row: a version that a later one follows, or that is current again;
    // and a plain file that found something unknown in its place went to overflow before its row learns of it.
    match place.location {
        Location::Plain => open_stamped(shared, &place.overflow_path(), wanted),
        _ if is_plain_path(&place.key) => {
            open_stamped(shared, &Place { location: Location::Plain, ..place.clone() }.path(), wanted)
        }
        _ => Ok(None),
    }
}

/// The file at `path`, if it is the one of this stamp.
fn open_stamped(shared: &Shared, path: &Path, wanted: FileStamp) -> Result<Option<Bits>, StorageError> {
    match shared.disk.open_stamped(path) {
        Ok((file, there)) if there == wanted => Ok(Some(Bits::File(Arc::new(file)))),
        Ok(_) => Ok(None),
        Err(e) if disk::is_absent(&e) => Ok(None),
        Err(e) => Err(StorageError::io("open", path, e)),
    }
}

/// An object opened for reading: row and bytes belong together, whatever is written to the key meanwhile.
#[derive(Debug, Clone)]
pub struct OpenObject {
    /// The object.
    pub object: Arc<Object>,
    bits: Bits,
    /// Parts of an object that came in such, and whose bytes are sealed.
    parts: Option<Arc<[ObjectPart]>>,
    pool: IoPool,
    chunks: Arc<ChunkPool>,
}

impl OpenObject {
    /// Whether its parts were wanted and were not there: it was overwritten meanwhile.
    fn lacks_parts(&self) -> bool {
        self.parts.as_ref().is_some_and(|parts| parts.is_empty())
    }

    /// Streams the bytes of `range`, which lies within the object; `key` is its data key, if it is encrypted. A read of all
    /// bytes is verified: a small one before the first byte, a larger one before the last chunk. Errs: Encryption without a
    /// key, Corrupt.
    pub fn read(self, range: Range<u64>, key: Option<&DataKey>) -> Result<ObjectReader, StorageError> {
        let end = range.end.min(self.object.size);
        let whole = range.start == 0 && end == self.object.size;
        let unsealing = match (self.object.sealed.is_some(), key) {
            (false, None) => None,
            // Nothing of it is read.
            (true, Some(_)) if self.object.size == 0 => None,
            (true, Some(key)) => {
                let parts = self.parts.as_deref();
                Some(Unsealing::new(Arc::clone(&self.object), parts, key)?)
            }
            _ => return Err(EncryptionError::KeyNeeded.into()),
        };
        Ok(ObjectReader {
            at: range.start.min(end),
            end,
            digest: whole.then(|| crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc64Nvme)),
            expected: self.object.crc64nvme,
            unsealing,
            source: self,
            waiting: None,
        })
    }

    /// Copies the bytes as they are on disk, sealed if they are.
    pub(super) fn copy_stored(&self, to: &DiskFile) -> std::io::Result<()> {
        match &self.bits {
            Bits::None => Ok(()),
            Bits::Memory(bytes) => to.write_all_at(bytes, 0),
            Bits::File(file) => to.copy_from(file, 0, 0, self.object.stored_size()),
        }
    }

    /// Bytes as they are on disk, at once if they are at hand.
    fn fetch(&self, offset: u64, size: usize, is_sealed: bool) -> Result<Fetched, StorageError> {
        match &self.bits {
            Bits::None => Err(StorageError::Corrupt { what: "an object without bytes".to_owned() }),
            Bits::Memory(all) if is_sealed => {
                let mut chunk = self.chunks.take(size);
                let there = slice(all, offset, size);
                if chunk.bytes_mut().len() != there.len() {
                    return Err(read_error(std::io::ErrorKind::UnexpectedEof.into()));
                }
                chunk.bytes_mut().copy_from_slice(&there);
                Ok(Fetched::Chunk(chunk))
            }
            Bits::Memory(all) => Ok(Fetched::Bytes(slice(all, offset, size))),
            Bits::File(file) => {
                let mut buffer = self.chunks.take(size);
                if file.read_cached(buffer.bytes_mut(), offset).map_err(read_error)?.is_some() {
                    return Ok(Fetched::Chunk(buffer));
                }
                let (file, pool) = (Arc::clone(file), self.pool.clone());
                Ok(Fetched::Later(Box::pin(async move {
                    pool.run(move || {
                        file.read_exact_at(buffer.bytes_mut(), offset).map_err(read_error)?;
                        Ok(buffer)
                    })
                    .await
                })))
            }
        }
    }
}

type Reading = Pin<Box<dyn Future<Output = Result<Chunk, StorageError>> + Send>>;

enum Fetched {
    Bytes(Bytes),
    Chunk(Chunk),
    Later(Reading),
}

/// Bytes of an object, in order. Ends early with an error when they cannot be read or are not those that were stored.
pub struct ObjectReader {
    source: OpenObject,
    at: u64,
    end: u64,
    digest: Option<crc_fast::Digest>,
    expected: u64,
    unsealing: Option<Unsealing>,
    waiting: Option<(Option<Wanted>, Reading)>,
}

impl std::fmt::Debug for ObjectReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ObjectReader").field("at", &self.at).field("end", &self.end).finish_non_exhaustive()
    }
}

impl ObjectReader {
    /// Takes a chunk that was read; the last one of a whole object only if all bytes are the stored ones.
    fn accept(&mut self, chunk: Bytes) -> Result<Bytes, StorageError> {
        self.at += chunk.len() as u64;
        if let Some(digest) = &mut self.digest {
            digest.update(&chunk);
            if self.at == self.end && digest.finalize() != self.expected {
                let what = format!("an object of {} bytes with ETag {}", self.end, self.source.object.etag);
                tracing::error!(what, "stored bytes do not match their checksum");
                return Err(StorageError::Corrupt { what });
            }
        }
        Ok(chunk)
    }

    /// The next bytes; none while more must be read first.
    fn advance(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, StorageError>> {
        let (wanted, chunk) = match &mut self.waiting {
            Some((wanted, reading)) => {
                let (wanted, read) = (*wanted, ready!(reading.as_mut().poll(context)));
                self.waiting = None;
                (wanted, read?)
            }
            None => {
                let wanted = self.unsealing.as_ref().map(|unsealing| unsealing.wanted(self.at)).transpose()?;
                let plain = || usize::try_from(self.end - self.at).unwrap_or(usize::MAX).min(CHUNK_BYTES);
                let (offset, size) = wanted.map_or_else(|| (self.at, plain()), |wanted| (wanted.offset, wanted.size));
                match self.source.fetch(offset, size, wanted.is_some())? {
                    Fetched::Bytes(bytes) => return Poll::Ready(self.accept(bytes).map(Some)),
                    Fetched::Chunk(chunk) => (wanted, chunk),
                    Fetched::Later(reading) => {
                        self.waiting = Some((wanted, reading));
                        return Poll::Ready(Ok(None));
                    }
                }
            }
        };
        let bytes = match (&mut self.unsealing, wanted) {
            (Some(unsealing), Some(wanted)) => unsealing.take(wanted, chunk, self.at, self.end)?,
            _ => Some(chunk.freeze()),
        };
        Poll::Ready(bytes.map(|bytes| self.accept(bytes)).transpose())
    }
}

fn read_error(error: std::io::Error) -> StorageError {
    StorageError::io("read", "object", error)
}

impl Stream for ObjectReader {
    type Item = Result<Bytes, StorageError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        while this.at < this.end && !matches!(this.source.bits, Bits::None) {
            match ready!(this.advance(context)) {
                Ok(None) => {}
                Ok(Some(bytes)) => return Poll::Ready(Some(Ok(bytes))),
                Err(error) => {
                    this.at = this.end;
                    this.waiting = None;
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
        Poll::Ready(None)
    }
}

fn slice(all: &Bytes, at: u64, size: usize) -> Bytes {
    let start = usize::try_from(at).unwrap_or(usize::MAX).min(all.len());
    all.slice(start..start.saturating_add(size).min(all.len()))
}

/// A part of an assembled object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectPart {
    /// Its number in the Complete request.
    pub number: PartNumber,
    /// Its first byte within the object.
    pub offset: u64,
    /// Size in bytes.
    pub size: u64,
    /// Its checksum, if the client asked for one.
    pub checksum: Option<Checksum>,
}

/// The parts of which a list tells, also those that only tell where an object's segments lie; none where there is no list.
pub(super) fn object_parts(rows: &dyn Rows, bucket: &Bucket, object: &Object) -> Result<Vec<ObjectPart>, StorageError> {
    if object.listed_parts().is_none() {
        return Ok(Vec::new());
    }
    let Some(row) = rows.get(&keys::part_list(bucket.id, object.stamp))? else { return Ok(Vec::new()) };
    let list: rows::PartListRow = rows::decode(&row)?;
    let algorithm = list.algorithm()?;
    let mut offset = 0;
    let parts = list.parts.iter().filter_map(|item| {
        let part = ObjectPart {
            number: PartNumber::new(u32::from(item.number)).ok()?,
            offset,
            size: item.size,
            checksum: algorithm.and_then(|algorithm| Checksum::from_bytes(algorithm, &item.checksum)),
        };
        offset += item.size;
        Some(part)
    });
    Ok(parts.collect())
}
