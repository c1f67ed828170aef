//! STUB of the interface; being written.
use bytes::Bytes;

use super::StorageError;
use crate::names::{Checksum, ChecksumAlgorithm};

/// Which digests of a body are wanted beside MD5 and CRC-64/NVME, which every body gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DigestPlan {
    /// SHA-256, to compare with `x-amz-content-sha256`.
    pub sha256: bool,
    /// The checksum that the client chose.
    pub checksum: Option<ChecksumAlgorithm>,
}

/// Digests of a whole body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digests {
    /// MD5.
    pub md5: [u8; 16],
    /// CRC-64/NVME.
    pub crc64nvme: u64,
    /// SHA-256, if planned (or if the planned checksum is SHA-256).
    pub sha256: Option<[u8; 32]>,
    /// The planned checksum; also when it is CRC-64/NVME or SHA-256.
    pub checksum: Option<Checksum>,
}

/// Takes a body as it arrives. Dropping it unfinished leaves nothing behind.
#[derive(Debug)]
pub struct BodyWriter {}

impl BodyWriter {
    /// Takes the next bytes; waits while the disk is behind, so memory stays bounded.
    pub async fn write(&mut self, _chunk: Bytes) -> Result<(), StorageError> {
        unimplemented!()
    }

    /// Ends the body: all its bytes are hashed, and durable when they are not small. Whether it is committed is decided
    /// later; dropping the result leaves nothing behind.
    pub async fn finish(self) -> Result<FinishedBody, StorageError> {
        unimplemented!()
    }
}

/// A whole, hashed body that no object refers to yet.
#[derive(Debug)]
pub struct FinishedBody {}

impl FinishedBody {
    /// Size in bytes.
    pub fn size(&self) -> u64 {
        unimplemented!()
    }

    /// Its digests.
    pub fn digests(&self) -> &Digests {
        unimplemented!()
    }
}
