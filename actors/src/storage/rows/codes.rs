//! The parts that several rows write in the same way: checksums and owners.

use crate::names::{CanonicalId, Checksum, ChecksumAlgorithm};
use crate::storage::StorageError;

pub(super) fn algorithm_code(algorithm: ChecksumAlgorithm) -> u8 {
    match algorithm {
        ChecksumAlgorithm::Crc32 => 1,
        ChecksumAlgorithm::Crc32c => 2,
        ChecksumAlgorithm::Crc64Nvme => 3,
        ChecksumAlgorithm::Sha1 => 4,
        ChecksumAlgorithm::Sha256 => 5,
        ChecksumAlgorithm::Md5 => 6,
        ChecksumAlgorithm::Sha512 => 7,
        ChecksumAlgorithm::XxHash128 => 8,
        ChecksumAlgorithm::XxHash3 => 9,
        ChecksumAlgorithm::XxHash64 => 10,
    }
}

pub(super) fn algorithm_of(code: u8) -> Result<ChecksumAlgorithm, StorageError> {
    ChecksumAlgorithm::ALL
        .into_iter()
        .find(|a| algorithm_code(*a) == code)
        .ok_or_else(|| StorageError::Index(format!("unknown checksum algorithm {code}")))
}

pub(super) fn checksum_of(algorithm: u8, value: &[u8]) -> Result<Checksum, StorageError> {
    let checksum = Checksum::from_bytes(algorithm_of(algorithm)?, value);
    checksum.ok_or_else(|| StorageError::Index("checksum of wrong length".to_owned()))
}

pub(super) fn owner_of(text: &str) -> Result<CanonicalId, StorageError> {
    CanonicalId::parse(text).map_err(|_| StorageError::Index(format!("malformed owner {text:?}")))
}
