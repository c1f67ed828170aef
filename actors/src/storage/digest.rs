//! Digests of a body as it streams by.

use sha2::{Digest as _, Sha256};

use super::checksum_hash::ChecksumHash;
use super::md5::Md5;
use crate::names::{Checksum, ChecksumAlgorithm};

/// Which digests of a body are wanted beside CRC-64/NVME, which every body gets, and MD5, which those get whose ETag it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DigestPlan {
    /// MD5, to compare with `Content-MD5`.
    pub md5: bool,
    /// SHA-256, to compare with `x-amz-content-sha256`.
    pub sha256: bool,
    /// The checksum that the client chose.
    pub checksum: Option<ChecksumAlgorithm>,
}

/// Digests of a whole body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digests {
    /// MD5, unless nobody asks for it and the ETag is made of something else.
    pub md5: Option<[u8; 16]>,
    /// CRC-64/NVME.
    pub crc64nvme: u64,
    /// SHA-256, if planned (or if the planned checksum is SHA-256).
    pub sha256: Option<[u8; 32]>,
    /// The planned checksum; also when it is CRC-64/NVME or SHA-256.
    pub checksum: Option<Checksum>,
}

/// All planned digests at once.
#[derive(Debug)]
pub(super) struct Hasher {
    md5: Option<Md5>,
    crc64: crc_fast::Digest,
    sha256: Option<Sha256>,
    /// Of the planned checksum; none of those that are computed anyway.
    other: Option<ChecksumHash>,
    checksum: Option<ChecksumAlgorithm>,
}

impl Hasher {
    pub fn new(plan: DigestPlan) -> Self {
        let shared = [ChecksumAlgorithm::Crc64Nvme, ChecksumAlgorithm::Sha256];
        let other = plan.checksum.filter(|algorithm| !shared.contains(algorithm));
        Self {
            md5: Some(Md5::default()),
            crc64: crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc64Nvme),
            sha256: (plan.sha256 || plan.checksum == Some(ChecksumAlgorithm::Sha256)).then(Sha256::new),
            other: other.map(ChecksumHash::new),
            checksum: plan.checksum,
        }
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        if let Some(md5) = &mut self.md5 {
            md5.update(bytes);
        }
        self.update_others(bytes);
    }

    /// Sets the MD5, which was updated elsewhere; none if it is not wanted.
    pub fn set_md5(&mut self, md5: Option<Md5>) {
        self.md5 = md5;
    }

    /// Takes the next bytes in all digests but the MD5.
    pub fn update_others(&mut self, bytes: &[u8]) {
        self.crc64.update(bytes);
        if let Some(sha256) = &mut self.sha256 {
            sha256.update(bytes);
        }
        if let Some(other) = &mut self.other {
            other.update(bytes);
        }
    }

    pub fn finish(self) -> Digests {
        let crc64nvme = self.crc64.finalize();
        let sha256: Option<[u8; 32]> = self.sha256.map(|s| s.finalize().into());
        let checksum = self.checksum.and_then(|algorithm| match algorithm {
            ChecksumAlgorithm::Crc64Nvme => Checksum::from_bytes(algorithm, &crc64nvme.to_be_bytes()),
            ChecksumAlgorithm::Sha256 => Checksum::from_bytes(algorithm, &sha256?),
            _ => Checksum::from_bytes(algorithm, &self.other?.finish()),
        });
        Digests { md5: self.md5.map(Md5::finish), crc64nvme, sha256, checksum }
    }
}

#[cfg(test)]
mod tests {
    use super::super::checksum_hash::checksum_of;
    use super::*;

    #[test]
    fn check_values_of_the_standards() {
        // "123456789" is the check input of the CRC catalogue; the digests are those of RFC 1321, FIPS 180 and the
        // reference implementation of xxHash.
        let cases = [
            (ChecksumAlgorithm::Crc32, "cbf43926"),
            (ChecksumAlgorithm::Crc32c, "e3069283"),
            (ChecksumAlgorithm::Crc64Nvme, "ae8b14860a799888"),
            (ChecksumAlgorithm::Md5, "25f9e794323b453885f5181f1b624d0b"),
            (ChecksumAlgorithm::Sha1, "f7c3bc1d808e04732adf679965ccc34ca7ae3441"),
            (ChecksumAlgorithm::Sha256, "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225"),
            (
                ChecksumAlgorithm::Sha512,
                "d9e6762dd1c8eaf6d61b3c6192fc408d4d6d5f1176d0c29169bc24e71c3f274ad27fcd5811b313d681f7e55ec02d73d499c95455b6b5bb503acf574fba8ffe85",
            ),
            (ChecksumAlgorithm::XxHash128, "33119477ede5dcd5e9716427681d5860"),
            (ChecksumAlgorithm::XxHash3, "72dcb18b67a17dff"),
            (ChecksumAlgorithm::XxHash64, "8cb841db40e6ae83"),
        ];
        assert_eq!(cases.map(|(algorithm, _)| algorithm), ChecksumAlgorithm::ALL);
        for (algorithm, expected) in cases {
            let mut hasher = Hasher::new(DigestPlan { checksum: Some(algorithm), ..DigestPlan::default() });
            hasher.update(b"1234");
            hasher.update(b"56789");
            let digests = hasher.finish();
            assert_eq!(hex::encode(digests.checksum.unwrap().bytes()), expected);
            assert_eq!(checksum_of(algorithm, b"123456789"), digests.checksum);
            assert_eq!(hex::encode(digests.md5.unwrap()), "25f9e794323b453885f5181f1b624d0b");
            assert_eq!(digests.crc64nvme, 0xae8b_1486_0a79_9888);
        }
    }
}
