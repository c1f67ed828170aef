//! One segment: a head of 56 bytes, then chunks. Each chunk is sealed under the segment's own key with a nonce that tells its
//! place and whether it is the last, so none can be changed, moved, left out, doubled or taken from elsewhere unnoticed.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::size::{CHUNK_BYTES, TAG_BYTES};
use super::{DataKey, EncryptionError};
use crate::names::PartNumber;

/// Bytes of a segment's head.
pub const HEAD_BYTES: usize = 56;

const MAGIC: &[u8; 8] = b"MYFSIOEN";
const FORMAT: u8 = 1;
/// AES-256-GCM.
const ALGORITHM: u8 = 1;
/// Binary logarithm of [`CHUNK_BYTES`].
const CHUNK_LOG2: u8 = 16;
const SALT_BYTES: usize = 32;
/// What stands before the salt.
const PLAIN_BYTES: usize = HEAD_BYTES - SALT_BYTES;
/// The size of a segment that was not known when it was begun.
const UNKNOWN_SIZE: u64 = u64::MAX;

/// What a segment begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentHead {
    /// The part; none for an object that one request wrote.
    pub part: Option<PartNumber>,
    /// Bytes of plaintext, if they were known when it was begun. Those of a part always are.
    pub size: Option<u64>,
    salt: [u8; SALT_BYTES],
}

impl SegmentHead {
    /// The head of a new segment. Errs: NoRandomness.
    pub fn fresh(part: Option<PartNumber>, size: Option<u64>) -> Result<Self, EncryptionError> {
        let mut salt = [0; SALT_BYTES];
        getrandom::fill(&mut salt).map_err(|_| EncryptionError::NoRandomness)?;
        Ok(Self { part, size, salt })
    }

    /// The head of this salt, for test vectors.
    #[cfg(any(test, feature = "internals"))]
    pub fn with_salt(part: Option<PartNumber>, size: Option<u64>, salt: [u8; 32]) -> Self {
        Self { part, size, salt }
    }

    /// As it stands in the file.
    pub fn encode(&self) -> [u8; HEAD_BYTES] {
        let mut head = [0; HEAD_BYTES];
        let (plain, salt) = head.split_at_mut(PLAIN_BYTES);
        plain.copy_from_slice(&self.encode_plain());
        salt.copy_from_slice(&self.salt);
        head
    }

    fn encode_plain(&self) -> [u8; PLAIN_BYTES] {
        let part = self.part.map_or(0, |part| u32::from(part.get()));
        let size = self.size.unwrap_or(UNKNOWN_SIZE);
        let fields: [&[u8]; 4] = [MAGIC, &[FORMAT, ALGORITHM, CHUNK_LOG2, 0], &part.to_be_bytes(), &size.to_be_bytes()];
        let mut plain = [0; PLAIN_BYTES];
        plain.iter_mut().zip(fields.concat()).for_each(|(to, from)| *to = from);
        plain
    }

    /// Whether bytes begin as a segment of any version does: enough to tell a sealed file from a plain one.
    pub fn begins(bytes: &[u8]) -> bool {
        bytes.starts_with(MAGIC)
    }

    /// Reads a head. Errs: WrongSegment, UnknownFormat.
    pub fn parse(head: &[u8]) -> Result<Self, EncryptionError> {
        let head: &[u8; HEAD_BYTES] = head.try_into().map_err(|_| EncryptionError::WrongSegment)?;
        let [m0, m1, m2, m3, m4, m5, m6, m7, format, algorithm, chunk, zero, p0, p1, p2, p3, rest @ ..] = head;
        if [m0, m1, m2, m3, m4, m5, m6, m7].into_iter().ne(MAGIC) {
            return Err(EncryptionError::WrongSegment);
        }
        if (*format, *algorithm, *chunk, *zero) != (FORMAT, ALGORITHM, CHUNK_LOG2, 0) {
            return Err(EncryptionError::UnknownFormat);
        }
        let part = match u32::from_be_bytes([*p0, *p1, *p2, *p3]) {
            0 => None,
            number => Some(PartNumber::new(number).map_err(|_| EncryptionError::WrongSegment)?),
        };
        let (size, salt) = rest.split_first_chunk::<8>().ok_or(EncryptionError::WrongSegment)?;
        let size = Some(u64::from_be_bytes(*size)).filter(|size| *size != UNKNOWN_SIZE);
        let salt = salt.try_into().map_err(|_| EncryptionError::WrongSegment)?;
        Ok(Self { part, size, salt })
    }

    /// Whether this is the head of the segment that belongs at its place.
    pub fn check(&self, part: Option<PartNumber>, size: u64) -> Result<(), EncryptionError> {
        let right = self.part == part && self.size.is_none_or(|told| told == size);
        if right { Ok(()) } else { Err(EncryptionError::WrongSegment) }
    }
}

/// The key of one segment: HKDF-SHA256 (RFC 5869) of the data key with the salt, over the rest of the head.
pub struct SegmentKey(LessSafeKey);

impl SegmentKey {
    /// The key of the segment with this head.
    pub fn derive(key: &DataKey, head: &SegmentHead) -> Result<Self, EncryptionError> {
        let kdf = Hkdf::<Sha256>::new(Some(&head.salt), key.expose());
        let mut own = Zeroizing::new([0; 32]);
        kdf.expand(&head.encode_plain(), &mut *own).map_err(|_| EncryptionError::WrongKey)?;
        let own = UnboundKey::new(&AES_256_GCM, &*own).map_err(|_| EncryptionError::WrongKey)?;
        Ok(Self(LessSafeKey::new(own)))
    }

    /// Seals one chunk of at most [`CHUNK_BYTES`] where it stands; answers its tag.
    pub fn seal(&self, number: u64, is_last: bool, chunk: &mut [u8]) -> Result<[u8; TAG_BYTES], EncryptionError> {
        debug_assert!(chunk.len() == CHUNK_BYTES || (is_last && chunk.len() <= CHUNK_BYTES));
        let tag = self.0.seal_in_place_separate_tag(nonce(number, is_last), Aad::empty(), chunk);
        let tag = tag.map_err(|_| EncryptionError::Broken)?;
        tag.as_ref().try_into().map_err(|_| EncryptionError::Broken)
    }

    /// Opens one chunk with its tag where it stands; its plaintext is then the first bytes. Errs: Broken.
    pub fn open(&self, number: u64, is_last: bool, sealed: &mut [u8]) -> Result<usize, EncryptionError> {
        let opened = self.0.open_in_place(nonce(number, is_last), Aad::empty(), sealed);
        opened.map(|plain| plain.len()).map_err(|_| EncryptionError::Broken)
    }
}

impl fmt::Debug for SegmentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Three zeros, the chunk's number, and whether it is the last.
fn nonce(number: u64, is_last: bool) -> Nonce {
    let mut nonce = [0; 12];
    let [_, _, _, place @ .., last] = &mut nonce;
    *place = number.to_be_bytes();
    *last = u8::from(is_last);
    Nonce::assume_unique_for_key(nonce)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(part: Option<u32>, size: Option<u64>, salt: u8) -> SegmentHead {
        SegmentHead::with_salt(part.map(|part| PartNumber::new(part).unwrap()), size, [salt; 32])
    }

    #[test]
    fn heads_go_both_ways_and_nothing_else_is_one() {
        for head in [head(None, None, 1), head(None, Some(0), 2), head(Some(10_000), Some(5 << 30), 3)] {
            assert_eq!(SegmentHead::parse(&head.encode()), Ok(head));
        }
        let good = head(Some(1), Some(7), 4).encode();
        for at in 0..12 {
            let mut bent = good;
            bent[at] ^= 0x40;
            let expected = if at < 8 { EncryptionError::WrongSegment } else { EncryptionError::UnknownFormat };
            assert_eq!(SegmentHead::parse(&bent), Err(expected), "{at}");
        }
        assert_eq!(SegmentHead::parse(&good[..55]), Err(EncryptionError::WrongSegment));
        let one = SegmentHead::parse(&good).unwrap();
        assert_eq!(one.check(PartNumber::new(1).ok(), 7), Ok(()));
        assert_eq!(one.check(PartNumber::new(2).ok(), 7), Err(EncryptionError::WrongSegment));
        assert_eq!(one.check(PartNumber::new(1).ok(), 8), Err(EncryptionError::WrongSegment));
        assert_eq!(one.check(None, 7), Err(EncryptionError::WrongSegment));
    }

    #[test]
    fn a_chunk_opens_only_at_its_place_and_in_its_segment() {
        let key = DataKey::from_bytes(&[9; 32]);
        let own = SegmentKey::derive(&key, &head(None, Some(5), 1)).unwrap();
        let mut chunk = *b"hello";
        let tag = own.seal(0, true, &mut chunk).unwrap();
        let sealed = [chunk.as_slice(), &tag].concat();
        let open = |key: &SegmentKey, number, is_last, sealed: &[u8]| {
            let mut copy = sealed.to_vec();
            key.open(number, is_last, &mut copy).map(|size| copy[..size].to_vec())
        };
        assert_eq!(open(&own, 0, true, &sealed).unwrap(), b"hello");
        assert!(open(&own, 0, false, &sealed).is_err(), "not the last");
        assert!(open(&own, 1, true, &sealed).is_err(), "moved");
        for other in [head(None, Some(5), 2), head(Some(1), Some(5), 1), head(None, None, 1)] {
            assert!(open(&SegmentKey::derive(&key, &other).unwrap(), 0, true, &sealed).is_err());
        }
        let other = DataKey::from_bytes(&[8; 32]);
        let other = SegmentKey::derive(&other, &head(None, Some(5), 1)).unwrap();
        assert!(open(&other, 0, true, &sealed).is_err(), "another key");
        for at in 0..sealed.len() {
            let mut bent = sealed.clone();
            bent[at] ^= 1;
            assert!(open(&own, 0, true, &bent).is_err());
            assert!(open(&own, 0, true, &sealed[..at]).is_err());
        }
    }
}
