//! Bodies on their way in: hashed as they arrive; small ones stay in memory for the journal, larger ones go to a staged file.
//!
//! Two buffers take turns: while one is hashed and written, the request fills the other. Memory per upload is bounded by
//! both, whatever the size of the object. Hashing and writing do not wait for each other; the last bytes are hashed while
//! the file is synced. A body that is to be encrypted is sealed between hashing and writing.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;

use super::StorageError;
use super::digest::{DigestPlan, Digests, Hasher};
use super::disk::{Disk, DiskFile, STAGING_FOLDER};
use super::io_pool::{IoPool, PoolJob};
use super::md5::{Md5, Md5Message, Md5Thread};
use super::messages::Sealed;
use super::quota::Reserved;
use super::sealing::{SealedAs, Sealer};
use super::space::{Claim, Space};
use super::staging::{StagedFile, Staging};
use super::steps::bytes_on_disk;
use super::uploads::GridSlot;
use crate::encryption::{self, DataKey, Encryption, Envelope};
use crate::names::PartNumber;

/// Bytes that are hashed and written at a time.
const CHUNK_BYTES: usize = 512 << 10;
/// The same while more bodies than so many are under way.
const CROWDED: [(usize, usize); 2] = [(96, 64 << 10), (24, 128 << 10)];
/// Spare buffers kept, at most.
const SPARE_MAX: usize = 16;
/// Bodies up to this size are hashed on the request's own thread: a hop costs more.
const HASH_INLINE_BYTES: usize = 16 << 10;

/// What a body writer needs of the engine.
#[derive(Debug, Clone)]
pub(super) struct BodyTools {
    pub pool: IoPool,
    pub md5: Md5Thread,
    pub staging: Arc<Staging>,
    pub disk: Arc<Disk>,
    pub space: Arc<Space>,
    pub buffers: Arc<BodyBuffers>,
    /// Largest body that goes through the journal, in bytes.
    pub inline_bytes_max: usize,
}

/// Buffers of bodies, used again and again: each page of a fresh one costs a fault.
#[derive(Debug, Default)]
pub(super) struct BodyBuffers {
    spare: Mutex<Vec<BytesMut>>,
    /// Held by each body that needs more than one buffer, or may.
    crowd: Arc<()>,
}

impl BodyBuffers {
    /// Bytes of the next buffer of a body: memory stays bounded when many come at once.
    fn chunk_bytes(&self) -> usize {
        let bodies = Arc::strong_count(&self.crowd);
        CROWDED.iter().find(|(more, _)| bodies > *more).map_or(CHUNK_BYTES, |(_, bytes)| *bytes)
    }

    /// An empty buffer for a body, or a piece of one, of so many bytes.
    fn take(&self, size: usize) -> BytesMut {
        let spare = if size > CHUNK_BYTES / 2 { self.spare.lock().pop() } else { None };
        spare.unwrap_or_else(|| BytesMut::with_capacity(size.min(CHUNK_BYTES)))
    }

    /// Takes a buffer back, if nobody uses it any more.
    fn give_back(&self, bytes: Bytes) {
        let Ok(mut buffer) = bytes.try_into_mut() else { return };
        buffer.clear();
        let mut spare = self.spare.lock();
        if buffer.capacity() >= CHUNK_BYTES && spare.len() < SPARE_MAX {
            spare.push(buffer);
        }
    }
}

/// Where a whole body is.
#[derive(Debug)]
pub(super) enum BodyPlace {
    /// In memory, for the journal.
    Inline(Bytes),
    /// In a staged file, durable.
    Staged(StagedFile),
}

/// The staged bytes of a part: a slot of the upload's grid, or a file of its own. Dropping it uncommitted frees it.
#[derive(Debug)]
pub(super) enum StagedPart {
    Grid(GridSlot),
    Side(StagedFile),
}

impl StagedPart {
    pub fn file_name(&self) -> &str {
        match self {
            Self::Grid(slot) => slot.file_name(),
            Self::Side(file) => file.name(),
        }
    }

    pub fn offset(&self) -> u64 {
        match self {
            Self::Grid(slot) => slot.offset(),
            Self::Side(_) => 0,
        }
    }

    pub fn grid(&self) -> Option<u64> {
        match self {
            Self::Grid(slot) => Some(slot.grid()),
            Self::Side(_) => None,
        }
    }

    fn file(&self) -> Option<Arc<DiskFile>> {
        match self {
            Self::Grid(slot) => Some(slot.file()),
            Self::Side(file) => file.file(),
        }
    }

    /// From here on a row names the bytes.
    pub fn commit(self) {
        match self {
            Self::Grid(slot) => slot.commit(),
            Self::Side(file) => drop(file.keep()),
        }
    }
}

/// Where the writer puts bytes.
#[derive(Debug)]
enum Target {
    /// Nothing is decided: the bytes are still few.
    Memory,
    Object(StagedFile),
    Part(StagedPart),
}

/// What travels to the pool and back.
#[derive(Debug)]
struct Work {
    /// All digests but the MD5.
    hasher: Hasher,
    target: Target,
    /// Space for what is still to be written.
    claim: Claim,
    written: u64,
    sealer: Option<Sealer>,
}

impl Work {
    /// Hashes, seals and writes the next bytes.
    fn put(&mut self, tools: &BodyTools, bytes: &[u8], is_last: bool) -> Result<(), StorageError> {
        if matches!(self.target, Target::Memory) {
            self.target = Target::Object(tools.staging.take()?);
        }
        let (file, base) = match &self.target {
            Target::Memory => (None, 0),
            Target::Object(file) => (file.file(), 0),
            Target::Part(part) => (part.file(), part.offset()),
        };
        let file = file.ok_or(StorageError::BodyUnfinished)?;
        self.hasher.update_others(bytes);
        let bytes = match &mut self.sealer {
            Some(sealer) => sealer.seal(bytes, is_last)?,
            None => bytes,
        };
        let size = bytes.len() as u64;
        self.claim.cover(size)?;
        file.write_all_at(bytes, base + self.written).map_err(|e| StorageError::io("write", STAGING_FOLDER, e))?;
        self.claim.spend(size);
        self.written += size;
        Ok(())
    }

    /// Puts the rest and makes everything durable.
    fn end(&mut self, tools: &BodyTools, rest: &[u8]) -> Result<(), StorageError> {
        self.put(tools, rest, true)?;
        let file = match &self.target {
            Target::Memory => None,
            Target::Object(file) => file.file(),
            Target::Part(part) => part.file(),
        };
        let file = file.ok_or(StorageError::BodyUnfinished)?;
        tools.disk.sync_data(&file).map_err(|e| StorageError::io("sync", STAGING_FOLDER, e))
    }
}

/// A buffer that is being written, and hashed.
#[derive(Debug)]
struct UnderWay {
    bytes: Bytes,
    job: PoolJob<Box<Work>>,
}

/// Takes a body as it arrives. Dropping it unfinished leaves nothing behind.
#[derive(Debug)]
pub struct BodyWriter {
    tools: BodyTools,
    /// Size that the client declared, in bytes.
    declared: Option<u64>,
    /// Bytes taken so far.
    size: u64,
    buffer: BytesMut,
    /// Bytes that the buffer takes: whole chunks of the sealed format.
    chunk: usize,
    /// Tells others that this body takes more than one buffer.
    _crowd: Option<Arc<()>>,
    /// Whether somebody asks for its MD5.
    asks_md5: bool,
    /// Whether its MD5 is computed: for somebody, or for its ETag.
    wants_md5: bool,
    /// Of a body that did not fit into one buffer.
    md5: Option<Md5Message>,
    /// What quotas have promised to it.
    reserved: Option<Reserved>,
    /// At rest here, or with the pool.
    work: Option<Box<Work>>,
    under_way: Option<UnderWay>,
    sealed: Option<SealedAs>,
}

impl BodyWriter {
    /// Errs: NoSpace.
    pub(super) fn for_object(
        tools: BodyTools,
        declared: Option<u64>,
        plan: DigestPlan,
        envelope: Option<&Envelope>,
    ) -> Result<Self, StorageError> {
        let stored = match envelope {
            Some(_) => encryption::sealed_size(declared.unwrap_or(0)),
            None => declared.unwrap_or(0),
        };
        let claim = tools.space.claim(bytes_on_disk(stored))?;
        let mut writer = Self::new(tools, declared, plan, Target::Memory, claim);
        if let Some(Envelope { key, encryption }) = envelope {
            writer.seal_with(Sealer::new(key, None, declared)?, SealedAs::object(encryption)?);
        }
        Ok(writer)
    }

    pub(super) fn for_part(tools: BodyTools, declared: u64, plan: DigestPlan, part: StagedPart, claim: Claim) -> Self {
        Self::new(tools, Some(declared), plan, Target::Part(part), claim)
    }

    /// Seals the part that was just begun.
    pub(super) fn sealing_part(
        mut self,
        key: &DataKey,
        encryption: &Encryption,
        number: PartNumber,
    ) -> Result<Self, StorageError> {
        self.seal_with(Sealer::new(key, Some(number), self.declared)?, SealedAs::part(encryption)?);
        Ok(self)
    }

    fn seal_with(&mut self, sealer: Sealer, sealed: SealedAs) {
        if let Some(work) = &mut self.work {
            work.sealer = Some(sealer);
            // Where the ETag is another, MD5 is the dearest of all that happens to a large body.
            self.wants_md5 = self.asks_md5 || sealed.etag.is_none();
            self.sealed = Some(sealed);
        }
    }

    fn new(tools: BodyTools, declared: Option<u64>, plan: DigestPlan, target: Target, claim: Claim) -> Self {
        let work = Work { hasher: Hasher::new(plan), target, claim, written: 0, sealer: None };
        let is_large = declared.is_none_or(|declared| declared > CHUNK_BYTES as u64);
        let crowd = is_large.then(|| Arc::clone(&tools.buffers.crowd));
        let chunk = tools.buffers.chunk_bytes();
        let buffer = tools.buffers.take(usize::try_from(declared.unwrap_or(0)).unwrap_or(usize::MAX).min(chunk));
        Self {
            tools,
            declared,
            size: 0,
            buffer,
            chunk,
            _crowd: crowd,
            asks_md5: plan.md5,
            wants_md5: true,
            md5: None,
            reserved: None,
            work: Some(Box::new(work)),
            under_way: None,
            sealed: None,
        }
    }

    /// With room that was reserved for it; more is, where its size is not known beforehand.
    pub(super) fn with_reserved(mut self, reserved: Option<Reserved>) -> Self {
        self.reserved = reserved;
        self
    }

    /// Takes the next bytes; waits while the disk is behind, so memory stays bounded. Errs: BodyUnfinished when the body
    /// grows beyond its declared size, QuotaExceeded when none is declared.
    pub async fn write(&mut self, chunk: Bytes) -> Result<(), StorageError> {
        self.size += chunk.len() as u64;
        if self.declared.is_some_and(|declared| self.size > declared) {
            return Err(StorageError::BodyUnfinished);
        }
        if let Some(reserved) = &mut self.reserved {
            reserved.cover(self.size)?;
        }
        let mut rest = chunk.as_ref();
        while !rest.is_empty() {
            if self.buffer.len() >= self.chunk {
                self.flush().await?;
            }
            let room = self.chunk.saturating_sub(self.buffer.len());
            let (now, later) = rest.split_at(rest.len().min(room));
            self.buffer.extend_from_slice(now);
            rest = later;
        }
        Ok(())
    }

    /// Waits until what was given to the pool is written; answers its buffer.
    async fn written(&mut self) -> Result<Option<Bytes>, StorageError> {
        let Some(UnderWay { bytes, job }) = self.under_way.take() else { return Ok(None) };
        self.work = Some(job.result().await?);
        Ok(Some(bytes))
    }

    /// Where its MD5 is computed, if it is wanted.
    fn message(&mut self) -> Option<&Md5Message> {
        if self.wants_md5 && self.md5.is_none() {
            self.md5 = Some(self.tools.md5.begin());
        }
        self.md5.as_ref()
    }

    /// Waits for the MD5 of everything that was given to its thread.
    async fn md5_of_all(&mut self) -> Result<Option<Md5>, StorageError> {
        match self.md5.take() {
            Some(md5) => md5.finish().await.map(Some),
            None => Ok(None),
        }
    }

    /// Hands the full buffer to the pool and goes on with the other one.
    async fn flush(&mut self) -> Result<(), StorageError> {
        let written = self.written().await?;
        if let Some(md5) = self.message() {
            md5.catch_up().await?;
        }
        if let Some(written) = written {
            self.tools.buffers.give_back(written);
        }
        self.chunk = self.tools.buffers.chunk_bytes();
        let bytes = std::mem::replace(&mut self.buffer, self.tools.buffers.take(self.chunk)).freeze();
        if let Some(md5) = self.message() {
            md5.update(bytes.clone());
        }
        let mut work = self.work.take().ok_or(StorageError::BodyUnfinished)?;
        let (tools, put) = (self.tools.clone(), bytes.clone());
        let job = self.tools.pool.start_job(move || {
            work.put(&tools, &put, false)?;
            Ok(work)
        });
        self.under_way = Some(UnderWay { job: job.await?, bytes });
        Ok(())
    }

    /// Ends the body: all its bytes are hashed, and durable when they are not small. Whether it is committed is decided
    /// later; dropping the result leaves nothing behind. Errs: BodyUnfinished when it is shorter than declared.
    pub async fn finish(mut self) -> Result<FinishedBody, StorageError> {
        if self.declared.is_some_and(|declared| self.size != declared) {
            return Err(StorageError::BodyUnfinished);
        }
        let size = self.size;
        let rest = std::mem::take(&mut self.buffer).freeze();
        let written = self.written().await?;
        let reserved = self.reserved.take();
        let mut work = self.work.take().ok_or(StorageError::BodyUnfinished)?;
        if matches!(work.target, Target::Memory) && rest.len() <= self.tools.inline_bytes_max {
            if !self.wants_md5 || rest.len() > HASH_INLINE_BYTES {
                if let Some(md5) = self.message() {
                    md5.update_last(rest.clone());
                }
                work.hasher.set_md5(self.md5_of_all().await?);
                work.hasher.update_others(&rest);
            } else {
                work.hasher.update(&rest);
            }
            let bytes = match &mut work.sealer {
                Some(sealer) => Bytes::copy_from_slice(sealer.seal(&rest, true)?),
                None => rest,
            };
            let place = FinishedPlace::Object(BodyPlace::Inline(bytes));
            return Ok(FinishedBody::new(size, *work, place, self.sealed, reserved));
        }
        if let Some(md5) = self.message() {
            md5.update_last(rest.clone());
        }
        let (tools, last) = (self.tools.clone(), rest.clone());
        let end = move || {
            work.end(&tools, &last)?;
            Ok(work)
        };
        let mut work = self.tools.pool.run(end).await?;
        work.hasher.set_md5(self.md5_of_all().await?);
        written.into_iter().chain([rest]).for_each(|bytes| self.tools.buffers.give_back(bytes));
        let place = match std::mem::replace(&mut work.target, Target::Memory) {
            Target::Memory => return Err(StorageError::BodyUnfinished),
            Target::Object(file) => FinishedPlace::Object(BodyPlace::Staged(file)),
            Target::Part(part) => FinishedPlace::Part(part),
        };
        Ok(FinishedBody::new(size, *work, place, self.sealed, reserved))
    }
}

#[derive(Debug)]
enum FinishedPlace {
    Object(BodyPlace),
    Part(StagedPart),
}

/// A whole, hashed body that no object refers to yet.
#[derive(Debug)]
pub struct FinishedBody {
    size: u64,
    digests: Digests,
    place: FinishedPlace,
    /// What quotas have promised to it, until the commit counts it.
    reserved: Option<Reserved>,
    /// How it is sealed, and size and CRC-64/NVME of what is on disk.
    sealed: Option<(SealedAs, (u64, u64))>,
    /// Space for its own file until it is committed; then the commit counts it.
    _claim: Claim,
}

/// What an object is made of.
pub(super) struct ObjectBody {
    pub size: u64,
    pub digests: Digests,
    pub etag: [u8; 16],
    pub sealed: Option<Sealed>,
    pub place: BodyPlace,
    /// What was reserved for it.
    pub reserved: Option<Reserved>,
}

/// What a part is made of.
pub(super) struct PartBody {
    pub size: u64,
    pub digests: Digests,
    pub etag: [u8; 16],
    /// Size and CRC-64/NVME on disk.
    pub sealed: Option<(u64, u64)>,
    pub staged: StagedPart,
    /// What was reserved for it.
    pub reserved: Option<Reserved>,
}

impl FinishedBody {
    fn new(size: u64, work: Work, place: FinishedPlace, sealed: Option<SealedAs>, reserved: Option<Reserved>) -> Self {
        let sealed = sealed.zip(work.sealer.as_ref().map(Sealer::written));
        Self { size, digests: work.hasher.finish(), place, sealed, reserved, _claim: work.claim }
    }

    /// Size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Its digests.
    pub fn digests(&self) -> &Digests {
        &self.digests
    }

    /// What an ETag is made of: its MD5, or what stands for it.
    fn etag(&self) -> Result<[u8; 16], StorageError> {
        let instead = self.sealed.as_ref().and_then(|(sealed, _)| sealed.etag);
        instead.or(self.digests.md5).ok_or(StorageError::BodyUnfinished)
    }

    /// Takes it apart for an object. Errs when it was begun as a part.
    pub(super) fn into_object(self) -> Result<ObjectBody, StorageError> {
        let (size, digests, etag) = (self.size, self.digests, self.etag()?);
        let sealed = self.sealed.and_then(|(sealed, written)| sealed.sealed(written));
        match self.place {
            FinishedPlace::Object(place) => {
                Ok(ObjectBody { size, digests, etag, sealed, place, reserved: self.reserved })
            }
            FinishedPlace::Part(_) => Err(StorageError::BodyUnfinished),
        }
    }

    /// Takes it apart for a part. Errs when it was begun as an object.
    pub(super) fn into_part(self) -> Result<PartBody, StorageError> {
        let (size, digests, etag) = (self.size, self.digests, self.etag()?);
        let sealed = self.sealed.map(|(_, written)| written);
        match self.place {
            FinishedPlace::Part(staged) => {
                Ok(PartBody { size, digests, etag, sealed, staged, reserved: self.reserved })
            }
            FinishedPlace::Object(_) => Err(StorageError::BodyUnfinished),
        }
    }
}
