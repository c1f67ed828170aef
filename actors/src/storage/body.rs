//! Bodies on their way in: hashed as they arrive; small ones stay in memory for the journal, larger ones go to a staged file.
//!
//! Two buffers take turns: while a pool thread hashes and writes one, the request fills the other. Memory per upload is
//! bounded by both, whatever the size of the object.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::StorageError;
use super::digest::{DigestPlan, Digests, Hasher};
use super::disk::{Disk, DiskFile, STAGING_FOLDER};
use super::io_pool::IoPool;
use super::md5::Md5Thread;
use super::space::{Claim, Space};
use super::staging::{StagedFile, Staging};
use super::steps::bytes_on_disk;
use super::uploads::GridSlot;

/// Bytes that are hashed and written at a time.
const CHUNK_BYTES: usize = 512 << 10;
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
    /// Largest body that goes through the journal, in bytes.
    pub inline_bytes_max: usize,
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
    hasher: Hasher,
    target: Target,
    /// Space for what is still to be written.
    claim: Claim,
    written: u64,
    buffer: Vec<u8>,
}

impl Work {
    /// Brings the MD5 up to the buffer's end; before the buffer is put.
    async fn hash(&mut self, md5: &Md5Thread) -> Result<(), StorageError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let so_far = std::mem::take(self.hasher.md5_mut());
        let (updated, buffer) = md5.update(so_far, std::mem::take(&mut self.buffer)).await?;
        (*self.hasher.md5_mut(), self.buffer) = (updated, buffer);
        Ok(())
    }

    /// Hashes the rest and writes the buffer, and empties it.
    fn put(&mut self, tools: &BodyTools) -> Result<(), StorageError> {
        if matches!(self.target, Target::Memory) {
            self.target = Target::Object(tools.staging.take()?);
        }
        let (file, base) = match &self.target {
            Target::Memory => (None, 0),
            Target::Object(file) => (file.file(), 0),
            Target::Part(part) => (part.file(), part.offset()),
        };
        let file = file.ok_or(StorageError::BodyUnfinished)?;
        self.hasher.update_others(&self.buffer);
        let bytes = self.buffer.len() as u64;
        self.claim.cover(bytes)?;
        file.write_all_at(&self.buffer, base + self.written)
            .map_err(|e| StorageError::io("write", STAGING_FOLDER, e))?;
        self.claim.spend(bytes);
        self.written += bytes;
        self.buffer.clear();
        Ok(())
    }

    /// Puts the rest and makes everything durable.
    fn end(&mut self, tools: &BodyTools) -> Result<(), StorageError> {
        self.put(tools)?;
        let file = match &self.target {
            Target::Memory => None,
            Target::Object(file) => file.file(),
            Target::Part(part) => part.file(),
        };
        let file = file.ok_or(StorageError::BodyUnfinished)?;
        tools.disk.sync_data(&file).map_err(|e| StorageError::io("sync", STAGING_FOLDER, e))
    }
}

/// Takes a body as it arrives. Dropping it unfinished leaves nothing behind.
#[derive(Debug)]
pub struct BodyWriter {
    tools: BodyTools,
    /// Size that the client declared, in bytes.
    declared: Option<u64>,
    /// Bytes taken so far.
    size: u64,
    buffer: Vec<u8>,
    /// At rest here, or with the pool.
    work: Option<Box<Work>>,
    under_way: Option<oneshot::Receiver<Result<Box<Work>, StorageError>>>,
}

impl BodyWriter {
    /// Errs: NoSpace.
    pub(super) fn for_object(tools: BodyTools, declared: Option<u64>, plan: DigestPlan) -> Result<Self, StorageError> {
        let claim = tools.space.claim(bytes_on_disk(declared.unwrap_or(0)))?;
        Ok(Self::new(tools, declared, plan, Target::Memory, claim))
    }

    pub(super) fn for_part(tools: BodyTools, declared: u64, plan: DigestPlan, part: StagedPart, claim: Claim) -> Self {
        Self::new(tools, Some(declared), plan, Target::Part(part), claim)
    }

    fn new(tools: BodyTools, declared: Option<u64>, plan: DigestPlan, target: Target, claim: Claim) -> Self {
        let work = Work { hasher: Hasher::new(plan), target, claim, written: 0, buffer: Vec::new() };
        let expected = usize::try_from(declared.unwrap_or(0)).unwrap_or(usize::MAX).min(CHUNK_BYTES);
        let buffer = Vec::with_capacity(expected);
        Self { tools, declared, size: 0, buffer, work: Some(Box::new(work)), under_way: None }
    }

    /// Takes the next bytes; waits while the disk is behind, so memory stays bounded. Errs: BodyUnfinished when the body
    /// grows beyond its declared size.
    pub async fn write(&mut self, chunk: Bytes) -> Result<(), StorageError> {
        self.size += chunk.len() as u64;
        if self.declared.is_some_and(|declared| self.size > declared) {
            return Err(StorageError::BodyUnfinished);
        }
        let mut rest = chunk.as_ref();
        while !rest.is_empty() {
            let room = CHUNK_BYTES - self.buffer.len().min(CHUNK_BYTES);
            let (now, later) = rest.split_at(rest.len().min(room));
            self.buffer.extend_from_slice(now);
            rest = later;
            if self.buffer.len() >= CHUNK_BYTES {
                self.flush().await?;
            }
        }
        Ok(())
    }

    /// Waits for the work under way and takes it back.
    async fn settle(&mut self) -> Result<Box<Work>, StorageError> {
        if let Some(answer) = self.under_way.take() {
            return answer.await.map_err(|_| StorageError::BodyUnfinished)?;
        }
        self.work.take().ok_or(StorageError::BodyUnfinished)
    }

    /// Hands the full buffer to the pool and goes on with the other one.
    async fn flush(&mut self) -> Result<(), StorageError> {
        let mut work = self.settle().await?;
        std::mem::swap(&mut work.buffer, &mut self.buffer);
        let (reply, answer) = oneshot::channel();
        self.under_way = Some(answer);
        let (pool, tools) = (self.tools.pool.clone(), self.tools.clone());
        let job = async move {
            let done = async {
                work.hash(&tools.md5).await?;
                let put = move || {
                    work.put(&tools)?;
                    Ok(work)
                };
                pool.run(put).await
            };
            let _nobody = reply.send(done.await);
        };
        tokio::task::spawn(job);
        Ok(())
    }

    /// Ends the body: all its bytes are hashed, and durable when they are not small. Whether it is committed is decided
    /// later; dropping the result leaves nothing behind. Errs: BodyUnfinished when it is shorter than declared.
    pub async fn finish(mut self) -> Result<FinishedBody, StorageError> {
        if self.declared.is_some_and(|declared| self.size != declared) {
            return Err(StorageError::BodyUnfinished);
        }
        let mut work = self.settle().await?;
        let size = self.size;
        if matches!(work.target, Target::Memory) && self.buffer.len() <= self.tools.inline_bytes_max {
            let mut hasher = work.hasher;
            let mut body = std::mem::take(&mut self.buffer);
            if body.len() > HASH_INLINE_BYTES {
                let so_far = std::mem::take(hasher.md5_mut());
                (*hasher.md5_mut(), body) = self.tools.md5.update(so_far, body).await?;
                hasher.update_others(&body);
            } else {
                hasher.update(&body);
            }
            let digests = hasher.finish();
            let place = FinishedPlace::Object(BodyPlace::Inline(body.into()));
            return Ok(FinishedBody { size, digests, place, _claim: work.claim });
        }
        std::mem::swap(&mut work.buffer, &mut self.buffer);
        let tools = self.tools.clone();
        work.hash(&tools.md5).await?;
        let end = move || {
            work.end(&tools)?;
            Ok(work)
        };
        let work = self.tools.pool.run(end).await?;
        let digests = work.hasher.finish();
        let place = match work.target {
            Target::Memory => return Err(StorageError::BodyUnfinished),
            Target::Object(file) => FinishedPlace::Object(BodyPlace::Staged(file)),
            Target::Part(part) => FinishedPlace::Part(part),
        };
        Ok(FinishedBody { size, digests, place, _claim: work.claim })
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
    /// Space for its own file until it is committed; then the commit counts it.
    _claim: Claim,
}

impl FinishedBody {
    /// Size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Its digests.
    pub fn digests(&self) -> &Digests {
        &self.digests
    }

    /// Takes it apart for an object. Errs when it was begun as a part.
    pub(super) fn into_object(self) -> Result<(Digests, BodyPlace), StorageError> {
        match self.place {
            FinishedPlace::Object(place) => Ok((self.digests, place)),
            FinishedPlace::Part(_) => Err(StorageError::BodyUnfinished),
        }
    }

    /// Takes it apart for a part. Errs when it was begun as an object.
    pub(super) fn into_part(self) -> Result<(u64, Digests, StagedPart), StorageError> {
        match self.place {
            FinishedPlace::Part(part) => Ok((self.size, self.digests, part)),
            FinishedPlace::Object(_) => Err(StorageError::BodyUnfinished),
        }
    }
}
