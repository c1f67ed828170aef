//! The checksum that a client chose, of whichever algorithm (S3 User Guide, "Checking object integrity").

use std::hash::Hasher as _;

use md5::{Digest as _, Md5};
use sha1::Sha1;
use sha2::{Sha256, Sha512};
use twox_hash::{XxHash3_64, XxHash3_128, XxHash64};

use crate::names::{Checksum, ChecksumAlgorithm};

/// The checksum of bytes in memory.
pub fn checksum_of(algorithm: ChecksumAlgorithm, bytes: &[u8]) -> Option<Checksum> {
    let mut hash = ChecksumHash::new(algorithm);
    hash.update(bytes);
    Checksum::from_bytes(algorithm, &hash.finish())
}

/// A checksum on its way. What is large has a place of its own: few bodies have such a checksum, and each has room for one.
pub(super) enum ChecksumHash {
    Crc32(crc_fast::Digest),
    Crc64(crc_fast::Digest),
    Md5(Md5),
    Sha1(Sha1),
    Sha256(Sha256),
    Sha512(Sha512),
    XxHash128(Box<XxHash3_128>),
    XxHash3(Box<XxHash3_64>),
    XxHash64(XxHash64),
}

impl ChecksumHash {
    pub fn new(algorithm: ChecksumAlgorithm) -> Self {
        match algorithm {
            ChecksumAlgorithm::Crc32 => Self::Crc32(crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc32IsoHdlc)),
            ChecksumAlgorithm::Crc32c => Self::Crc32(crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc32Iscsi)),
            ChecksumAlgorithm::Crc64Nvme => Self::Crc64(crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc64Nvme)),
            ChecksumAlgorithm::Md5 => Self::Md5(Md5::new()),
            ChecksumAlgorithm::Sha1 => Self::Sha1(Sha1::new()),
            ChecksumAlgorithm::Sha256 => Self::Sha256(Sha256::new()),
            ChecksumAlgorithm::Sha512 => Self::Sha512(Sha512::new()),
            ChecksumAlgorithm::XxHash128 => Self::XxHash128(Box::new(XxHash3_128::new())),
            ChecksumAlgorithm::XxHash3 => Self::XxHash3(Box::new(XxHash3_64::new())),
            ChecksumAlgorithm::XxHash64 => Self::XxHash64(XxHash64::with_seed(0)),
        }
    }

    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Crc32(hash) | Self::Crc64(hash) => hash.update(bytes),
            Self::Md5(hash) => hash.update(bytes),
            Self::Sha1(hash) => hash.update(bytes),
            Self::Sha256(hash) => hash.update(bytes),
            Self::Sha512(hash) => hash.update(bytes),
            Self::XxHash128(hash) => hash.write(bytes),
            Self::XxHash3(hash) => hash.write(bytes),
            Self::XxHash64(hash) => hash.write(bytes),
        }
    }

    /// The raw value, of numbers the most significant byte first.
    pub fn finish(self) -> Vec<u8> {
        match self {
            Self::Crc32(hash) => (hash.finalize() as u32).to_be_bytes().to_vec(),
            Self::Crc64(hash) => hash.finalize().to_be_bytes().to_vec(),
            Self::Md5(hash) => hash.finalize().to_vec(),
            Self::Sha1(hash) => hash.finalize().to_vec(),
            Self::Sha256(hash) => hash.finalize().to_vec(),
            Self::Sha512(hash) => hash.finalize().to_vec(),
            Self::XxHash128(hash) => hash.finish_128().to_be_bytes().to_vec(),
            Self::XxHash3(hash) => hash.finish().to_be_bytes().to_vec(),
            Self::XxHash64(hash) => hash.finish().to_be_bytes().to_vec(),
        }
    }
}

impl std::fmt::Debug for ChecksumHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ChecksumHash")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_bodies_have_the_same_value_however_they_arrive() {
        let body: Vec<u8> = (0..=255).cycle().take(10_240).collect();
        let expected = [
            (ChecksumAlgorithm::XxHash128, "1cb22534d0d96975c03d2231ab9348f3"),
            (ChecksumAlgorithm::XxHash3, "c03d2231ab9348f3"),
            (ChecksumAlgorithm::XxHash64, "58b820aa7970dbe2"),
        ];
        for (algorithm, expected) in expected {
            assert_eq!(checksum_of(algorithm, &body).map(|c| hex::encode(c.bytes())).as_deref(), Some(expected));
        }
        for algorithm in ChecksumAlgorithm::ALL {
            let mut hash = ChecksumHash::new(algorithm);
            body.chunks(1000).for_each(|chunk| hash.update(chunk));
            assert_eq!(Checksum::from_bytes(algorithm, &hash.finish()), checksum_of(algorithm, &body), "{algorithm:?}");
        }
    }
}
