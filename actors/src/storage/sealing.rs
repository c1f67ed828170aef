//! Bodies are sealed here on their way to the disk, block by block: from here on there is no plaintext of them.

use super::StorageError;
use super::messages::Sealed;
use crate::encryption::{
    CHUNK_BYTES, DataKey, Encryption, EncryptionError, HEAD_BYTES, SegmentHead, SegmentKey, TAG_BYTES,
};
use crate::names::PartNumber;

/// Seals the blocks of one segment in order.
#[derive(Debug)]
pub(super) struct Sealer {
    key: SegmentKey,
    head: Option<SegmentHead>,
    chunks: u64,
    sealed: Vec<u8>,
    size: u64,
    crc: crc_fast::Digest,
}

impl Sealer {
    /// Of a whole object, or of one part.
    pub fn new(key: &DataKey, part: Option<PartNumber>, size: Option<u64>) -> Result<Self, EncryptionError> {
        Self::with_head(key, SegmentHead::fresh(part, size)?)
    }

    /// Of the segment that begins with this head, which must be a new one.
    pub fn with_head(key: &DataKey, head: SegmentHead) -> Result<Self, EncryptionError> {
        let key = SegmentKey::derive(key, &head)?;
        let crc = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc64Nvme);
        Ok(Self { key, head: Some(head), chunks: 0, sealed: Vec::new(), size: 0, crc })
    }

    /// Seals the next block, whole chunks unless it is the last; answers what goes to the disk for it.
    pub fn seal(&mut self, block: &[u8], is_last: bool) -> Result<&[u8], EncryptionError> {
        self.sealed.clear();
        self.sealed.reserve(HEAD_BYTES + block.len() + (block.len() / CHUNK_BYTES + 1) * TAG_BYTES);
        if let Some(head) = self.head.take() {
            self.sealed.extend_from_slice(&head.encode());
        }
        let mut chunks = block.chunks(CHUNK_BYTES).peekable();
        if block.is_empty() && is_last {
            self.seal_chunk(&[], true)?;
        }
        while let Some(chunk) = chunks.next() {
            self.seal_chunk(chunk, is_last && chunks.peek().is_none())?;
        }
        self.size += self.sealed.len() as u64;
        self.crc.update(&self.sealed);
        Ok(&self.sealed)
    }

    fn seal_chunk(&mut self, chunk: &[u8], is_last: bool) -> Result<(), EncryptionError> {
        let start = self.sealed.len();
        self.sealed.extend_from_slice(chunk);
        let tag = self.key.seal(self.chunks, is_last, self.sealed.get_mut(start..).unwrap_or_default())?;
        self.sealed.extend_from_slice(&tag);
        self.chunks += 1;
        Ok(())
    }

    /// Bytes on disk so far, and their CRC-64/NVME.
    pub fn written(&self) -> (u64, u64) {
        (self.size, self.crc.finalize())
    }
}

/// How a body is sealed.
#[derive(Debug, Clone)]
pub(super) struct SealedAs {
    /// Absent of a part, whose upload tells it.
    pub encryption: Option<Encryption>,
    /// What is told for the MD5, which would tell of the plaintext.
    pub etag: Option<[u8; 16]>,
}

impl SealedAs {
    pub fn object(encryption: &Encryption) -> Result<Self, StorageError> {
        Ok(Self { etag: opaque_etag(encryption)?, encryption: Some(encryption.clone()) })
    }

    pub fn part(encryption: &Encryption) -> Result<Self, StorageError> {
        Ok(Self { etag: opaque_etag(encryption)?, encryption: None })
    }

    pub fn sealed(&self, (size, crc64nvme): (u64, u64)) -> Option<Sealed> {
        self.encryption.clone().map(|encryption| Sealed { encryption, size, crc64nvme, segments: None })
    }
}

fn opaque_etag(encryption: &Encryption) -> Result<Option<[u8; 16]>, StorageError> {
    if !encryption.hides_etag() {
        return Ok(None);
    }
    let mut etag = [0; 16];
    getrandom::fill(&mut etag).map_err(|_| EncryptionError::NoRandomness)?;
    Ok(Some(etag))
}
