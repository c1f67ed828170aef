//! Additional checksums of objects and parts (S3 User Guide, "Checking object integrity").

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The algorithms that S3 clients may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChecksumAlgorithm {
    /// CRC-32 (ISO-HDLC), 4 bytes.
    Crc32,
    /// CRC-32C (Castagnoli), 4 bytes.
    Crc32c,
    /// CRC-64/NVME, 8 bytes; always of the full object.
    Crc64Nvme,
    /// MD5, 16 bytes; of a multipart object always composite, as all below.
    Md5,
    /// SHA-1, 20 bytes.
    Sha1,
    /// SHA-256, 32 bytes.
    Sha256,
    /// SHA-512, 64 bytes.
    Sha512,
    /// XXH3 of 128 bits with the seed 0, 16 bytes, most significant first.
    XxHash128,
    /// XXH3 of 64 bits with the seed 0, 8 bytes, most significant first.
    XxHash3,
    /// XXH64 with the seed 0, 8 bytes, most significant first.
    XxHash64,
}

/// Bytes of the longest value.
const VALUE_BYTES_MAX: usize = 64;

impl ChecksumAlgorithm {
    /// Every algorithm, in the order of their names.
    pub const ALL: [Self; 10] = [
        Self::Crc32,
        Self::Crc32c,
        Self::Crc64Nvme,
        Self::Md5,
        Self::Sha1,
        Self::Sha256,
        Self::Sha512,
        Self::XxHash128,
        Self::XxHash3,
        Self::XxHash64,
    ];

    /// The S3 name: `CRC32`, `SHA256`, `XXHASH64` and so on.
    pub fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64Nvme => "CRC64NVME",
            Self::Md5 => "MD5",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
            Self::Sha512 => "SHA512",
            Self::XxHash128 => "XXHASH128",
            Self::XxHash3 => "XXHASH3",
            Self::XxHash64 => "XXHASH64",
        }
    }

    /// Parses the S3 name, in any letter case.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|a| a.name().eq_ignore_ascii_case(name))
    }

    /// The request and response header, lower case: `x-amz-checksum-crc32` and so on.
    pub fn header(self) -> &'static str {
        match self {
            Self::Crc32 => "x-amz-checksum-crc32",
            Self::Crc32c => "x-amz-checksum-crc32c",
            Self::Crc64Nvme => "x-amz-checksum-crc64nvme",
            Self::Md5 => "x-amz-checksum-md5",
            Self::Sha1 => "x-amz-checksum-sha1",
            Self::Sha256 => "x-amz-checksum-sha256",
            Self::Sha512 => "x-amz-checksum-sha512",
            Self::XxHash128 => "x-amz-checksum-xxhash128",
            Self::XxHash3 => "x-amz-checksum-xxhash3",
            Self::XxHash64 => "x-amz-checksum-xxhash64",
        }
    }

    /// Length of the raw value in bytes.
    pub fn value_bytes(self) -> usize {
        match self {
            Self::Crc32 | Self::Crc32c => 4,
            Self::Crc64Nvme | Self::XxHash3 | Self::XxHash64 => 8,
            Self::Md5 | Self::XxHash128 => 16,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => VALUE_BYTES_MAX,
        }
    }

    /// Whether parts' values combine to the whole object's value without reading it again.
    pub fn is_crc(self) -> bool {
        matches!(self, Self::Crc32 | Self::Crc32c | Self::Crc64Nvme)
    }
}

/// What a checksum of an object covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChecksumKind {
    /// All bytes of the object.
    FullObject,
    /// The parts' raw checksums, one after the other; displayed with `-<parts>`.
    Composite,
}

impl ChecksumKind {
    /// `FULL_OBJECT` or `COMPOSITE`.
    pub fn name(self) -> &'static str {
        match self {
            Self::FullObject => "FULL_OBJECT",
            Self::Composite => "COMPOSITE",
        }
    }

    /// Parses the S3 name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::FullObject, Self::Composite].into_iter().find(|k| k.name() == name)
    }
}

/// A checksum value with its algorithm. Displays as base64, as the headers carry it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Checksum {
    algorithm: ChecksumAlgorithm,
    // Only the first `algorithm.value_bytes()` bytes count; the rest is zero.
    value: [u8; VALUE_BYTES_MAX],
}

impl Checksum {
    /// A checksum of raw bytes; `None` when the length is not the algorithm's.
    pub fn from_bytes(algorithm: ChecksumAlgorithm, bytes: &[u8]) -> Option<Self> {
        if bytes.len() != algorithm.value_bytes() {
            return None;
        }
        let mut value = [0; VALUE_BYTES_MAX];
        value.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(Self { algorithm, value })
    }

    /// Parses base64; `None` when it is malformed or of the wrong length.
    pub fn parse_base64(algorithm: ChecksumAlgorithm, text: &str) -> Option<Self> {
        Self::from_bytes(algorithm, &STANDARD.decode(text).ok()?)
    }

    /// The algorithm.
    pub fn algorithm(&self) -> ChecksumAlgorithm {
        self.algorithm
    }

    /// The raw value.
    pub fn bytes(&self) -> &[u8] {
        self.value.get(..self.algorithm.value_bytes()).unwrap_or_default()
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.bytes()))
    }
}

impl fmt::Debug for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{self}", self.algorithm.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_their_length() {
        assert!(Checksum::parse_base64(ChecksumAlgorithm::Crc32, "AAAAAA==").is_some());
        for bad in ["", "AAAA", "AAAAAAA=", "not base64", "AAAAAA"] {
            assert!(Checksum::parse_base64(ChecksumAlgorithm::Crc32, bad).is_none(), "{bad}");
        }
        for algorithm in ChecksumAlgorithm::ALL {
            assert_eq!(ChecksumAlgorithm::parse(algorithm.name()), Some(algorithm));
            let bytes = vec![7; algorithm.value_bytes()];
            let checksum = Checksum::from_bytes(algorithm, &bytes).unwrap();
            assert_eq!(Checksum::parse_base64(algorithm, &checksum.to_string()), Some(checksum));
        }
    }
}
