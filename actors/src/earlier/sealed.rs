//! Encrypted objects of the earlier generations: a data key, wrapped by the master key or a KMS key, and a file of chunks.
//!
//! A file is a number of chunks and the chunks, each with its length before it, all numbers of four bytes, the highest first. Chunks are
//! sealed with AES-256-GCM. Their nonces follow from one that is kept with the object: by HKDF, or, in the oldest releases, by an
//! exclusive or with the chunk's number. Which of the two it was shows when the first chunk is opened.

use aes_gcm::aead::{Aead as _, Payload};
use aes_gcm::{Aes256Gcm, KeyInit as _, Nonce};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::Unreadable;

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;
/// What data keys were bound to in later releases; in others to nothing.
const DATA_KEY_CONTEXT: &[u8] = b"{\"purpose\":\"data_key\",\"version\":1}";
/// Longest chunk that is believed: settings allowed others than 64 KiB.
const CHUNK_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A key that wraps others: the master key, or a KMS key.
#[derive(Clone)]
pub struct MasterKey(Zeroizing<[u8; KEY_BYTES]>);

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterKey")
    }
}

/// The key that an object's bytes are sealed with.
#[derive(Clone)]
pub struct DataKey(Zeroizing<[u8; KEY_BYTES]>);

impl std::fmt::Debug for DataKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DataKey")
    }
}

/// A wrapped data key as it is kept with an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrappedKey {
    /// The KMS key that it names in its own bytes, as the Python generation wrote it.
    pub named: Option<String>,
    sealed: Vec<u8>,
}

impl WrappedKey {
    /// Reads what is kept, in base64. Errs: Damaged.
    pub fn parse(text: &str) -> Result<Self, Unreadable> {
        let bytes = STANDARD.decode(text.trim()).map_err(|_| Unreadable::Damaged)?;
        let plain = NONCE_BYTES + KEY_BYTES + TAG_BYTES;
        if bytes.len() == plain {
            return Ok(Self { named: None, sealed: bytes });
        }
        let (length, rest) = bytes.split_first_chunk::<2>().ok_or(Unreadable::Damaged)?;
        let (name, sealed) =
            rest.split_at_checked(usize::from(u16::from_be_bytes(*length))).ok_or(Unreadable::Damaged)?;
        match (std::str::from_utf8(name), sealed.len() == plain) {
            (Ok(name), true) => Ok(Self { named: Some(name.to_owned()), sealed: sealed.to_vec() }),
            _ => Err(Unreadable::Damaged),
        }
    }
}

impl MasterKey {
    /// Reads a key file: 32 bytes in base64.
    pub fn parse(text: &str) -> Option<Self> {
        Self::of(&Zeroizing::new(STANDARD.decode(text.trim()).ok()?))
    }

    fn of(bytes: &[u8]) -> Option<Self> {
        Some(Self(Zeroizing::new(bytes.try_into().ok()?)))
    }

    /// Opens the material of a KMS key, which the master key seals. Errs: WrongKey, Damaged.
    pub fn open_kms_key(&self, text: &str) -> Result<Self, Unreadable> {
        let sealed = STANDARD.decode(text.trim()).map_err(|_| Unreadable::Damaged)?;
        let opened = self.open(&sealed, b"")?;
        Self::of(&opened).ok_or(Unreadable::Damaged)
    }

    /// Opens a data key. Errs: WrongKey.
    pub fn unwrap(&self, wrapped: &WrappedKey) -> Result<DataKey, Unreadable> {
        let opened = self.open(&wrapped.sealed, DATA_KEY_CONTEXT).or_else(|_| self.open(&wrapped.sealed, b""))?;
        let key = opened.as_slice().try_into().map_err(|_| Unreadable::Damaged)?;
        Ok(DataKey(Zeroizing::new(key)))
    }

    fn open(&self, sealed: &[u8], context: &[u8]) -> Result<Zeroizing<Vec<u8>>, Unreadable> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_BYTES>().ok_or(Unreadable::Damaged)?;
        open(&self.0, nonce, sealed, context).map(Zeroizing::new)
    }
}

fn open(key: &[u8; KEY_BYTES], nonce: &[u8; NONCE_BYTES], sealed: &[u8], aad: &[u8]) -> Result<Vec<u8>, Unreadable> {
    let cipher = Aes256Gcm::new(key.into());
    cipher.decrypt(&Nonce::from(*nonce), Payload { msg: sealed, aad }).map_err(|_| Unreadable::WrongKey)
}

/// How the nonce of a chunk follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Hkdf,
    Xor,
}

/// Opens the chunks of a file, one after the other.
#[derive(Debug)]
pub struct Opener {
    key: DataKey,
    nonce: [u8; NONCE_BYTES],
    scheme: Option<Scheme>,
    next: u32,
}

impl Opener {
    /// Bytes that a chunk is longer by than what is in it.
    pub const TAG_BYTES: u64 = TAG_BYTES as u64;

    /// Opens chunks from this one on, with a data key and the object's nonce, which is kept in base64. Errs: Damaged.
    pub fn new(key: DataKey, nonce: &str, first: u32) -> Result<Self, Unreadable> {
        let nonce = STANDARD.decode(nonce.trim()).map_err(|_| Unreadable::Damaged)?;
        let nonce = nonce.as_slice().try_into().map_err(|_| Unreadable::Damaged)?;
        Ok(Self { key, nonce, scheme: None, next: first })
    }

    /// The length of a sealed chunk as it stands before it. Errs: Damaged for one that no release wrote.
    pub fn length(prefix: [u8; 4]) -> Result<usize, Unreadable> {
        let length = usize::try_from(u32::from_be_bytes(prefix)).map_err(|_| Unreadable::Damaged)?;
        match length {
            TAG_BYTES..=CHUNK_BYTES_MAX => Ok(length),
            _ => Err(Unreadable::Damaged),
        }
    }

    /// How many bytes a file of so many has when it is opened: each chunk has its length and a tag besides.
    pub fn opened_size(file_bytes: u64, chunks: u32) -> Option<u64> {
        file_bytes.checked_sub(4)?.checked_sub(u64::from(chunks).checked_mul(4 + TAG_BYTES as u64)?)
    }

    /// Opens the next chunk. Errs: WrongKey, also when it was changed or stands elsewhere.
    pub fn open(&mut self, sealed: &[u8]) -> Result<Vec<u8>, Unreadable> {
        let index = self.next;
        self.next = index.checked_add(1).ok_or(Unreadable::Damaged)?;
        let tried: &[Scheme] = match &self.scheme {
            Some(scheme) => std::slice::from_ref(scheme),
            None => &[Scheme::Hkdf, Scheme::Xor],
        };
        let mut refused = Unreadable::Damaged;
        for scheme in tried.iter().copied() {
            let nonce = self.nonce_of(scheme, index)?;
            match open(&self.key.0, &nonce, sealed, b"") {
                Ok(opened) => {
                    self.scheme = Some(scheme);
                    return Ok(opened);
                }
                Err(error) => refused = error,
            }
        }
        Err(refused)
    }

    fn nonce_of(&self, scheme: Scheme, index: u32) -> Result<[u8; NONCE_BYTES], Unreadable> {
        let mut nonce = [0; NONCE_BYTES];
        match scheme {
            Scheme::Hkdf => {
                let derive = Hkdf::<Sha256>::new(Some(&self.nonce), b"chunk_nonce");
                derive.expand(&index.to_be_bytes(), &mut nonce).map_err(|_| Unreadable::Damaged)?;
            }
            Scheme::Xor => {
                nonce = self.nonce;
                for (byte, of_index) in nonce.iter_mut().rev().zip(index.to_be_bytes().into_iter().rev()) {
                    *byte ^= of_index;
                }
            }
        }
        Ok(nonce)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seal(key: &[u8; 32], nonce: [u8; 12], plain: &[u8], aad: &[u8]) -> Vec<u8> {
        Aes256Gcm::new(key.into()).encrypt(&Nonce::from(nonce), Payload { msg: plain, aad }).unwrap()
    }

    fn wrap(key: &[u8; 32], data_key: &[u8; 32], aad: &[u8]) -> Vec<u8> {
        [[7; 12].as_slice(), &seal(key, [7; 12], data_key, aad)].concat()
    }

    #[test]
    fn data_keys_of_all_releases_are_opened() {
        let (master, data_key) = ([1; 32], [2; 32]);
        let key = MasterKey::parse(&STANDARD.encode(master)).unwrap();
        for aad in [DATA_KEY_CONTEXT, b""] {
            let wrapped = WrappedKey::parse(&STANDARD.encode(wrap(&master, &data_key, aad))).unwrap();
            assert_eq!(wrapped.named, None);
            assert_eq!(*key.unwrap(&wrapped).unwrap().0, data_key);
        }
        let named = [&[0, 3], b"abc".as_slice(), &wrap(&master, &data_key, b"")].concat();
        let wrapped = WrappedKey::parse(&STANDARD.encode(named)).unwrap();
        assert_eq!(wrapped.named.as_deref(), Some("abc"));
        assert_eq!(*key.unwrap(&wrapped).unwrap().0, data_key);
        let other = MasterKey::parse(&STANDARD.encode([9; 32])).unwrap();
        assert_eq!(other.unwrap(&wrapped).unwrap_err(), Unreadable::WrongKey);
        for bad in ["", "AA==", "!"] {
            assert_eq!(WrappedKey::parse(bad).unwrap_err(), Unreadable::Damaged, "{bad}");
        }
    }

    #[test]
    fn chunks_of_both_schemes_are_opened_in_order() {
        let (data_key, base) = ([3; 32], [5; 12]);
        for scheme in [Scheme::Hkdf, Scheme::Xor] {
            let opener = || Opener::new(DataKey(Zeroizing::new(data_key)), &STANDARD.encode(base), 0).unwrap();
            let nonces = opener();
            let sealed: Vec<_> = [b"one".as_slice(), b"two", b"three"]
                .iter()
                .zip(0..)
                .map(|(plain, index)| seal(&data_key, nonces.nonce_of(scheme, index).unwrap(), plain, b""))
                .collect();
            let mut open = opener();
            let opened: Vec<_> = sealed.iter().map(|chunk| open.open(chunk).unwrap()).collect();
            assert_eq!(opened, [b"one".as_slice(), b"two", b"three"]);
            let mut later = Opener::new(DataKey(Zeroizing::new(data_key)), &STANDARD.encode(base), 2).unwrap();
            assert_eq!(later.open(&sealed[2]).unwrap(), b"three");
            let mut swapped = opener();
            assert_eq!(swapped.open(&sealed[1]).unwrap_err(), Unreadable::WrongKey, "chunks have their places");
        }
    }

    #[test]
    fn lengths_that_nobody_wrote_are_refused() {
        assert_eq!(Opener::length([0, 1, 0, 16]), Ok(65_552));
        for bad in [[0, 0, 0, 15], [255; 4]] {
            assert_eq!(Opener::length(bad), Err(Unreadable::Damaged));
        }
        assert_eq!(Opener::opened_size(4 + 20 + 5, 1), Some(5));
        assert_eq!(Opener::opened_size(4, 0), Some(0));
        assert_eq!(Opener::opened_size(10, 1), None);
    }
}
