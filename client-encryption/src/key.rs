//! The client's key, and data keys that are wrapped under it.

use std::fmt;

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::Error;

/// The algorithm, as the metadata name it.
pub const ALGORITHM: &str = "AES-256-GCM";

pub(crate) const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 12;
/// A nonce, the data key, and the tag.
pub(crate) const WRAPPED_BYTES: usize = NONCE_BYTES + KEY_BYTES + crate::TAG_BYTES;

/// Hashed in front of a key for its id.
const ID_PREFIX: &[u8] = b"myfsio client-encryption key id v1";
const ID_BYTES: usize = 8;

/// A key that stays with the client: 32 random bytes. Never printed; wiped when it is dropped. One key is good for 2^32
/// objects (NIST SP 800-38D, section 8.3: random nonces).
#[derive(Clone)]
pub struct ClientKey(Zeroizing<[u8; KEY_BYTES]>);

impl ClientKey {
    /// Names the key without telling it: 16 hexadecimal digits. Every object tells the id of the key that it needs.
    pub fn id(&self) -> String {
        let digest = Sha256::new_with_prefix(ID_PREFIX).chain_update(self.0.as_slice()).finalize();
        digest.iter().take(ID_BYTES).map(|byte| format!("{byte:02x}")).collect()
    }

    pub(crate) fn wrap(&self, nonce: [u8; NONCE_BYTES], data_key: &DataKey, bound: &[u8]) -> Result<Vec<u8>, Error> {
        let payload = Payload { msg: data_key.0.as_slice(), aad: bound };
        let sealed = self.cipher().encrypt(&Nonce::from(nonce), payload).map_err(|_| Error::TooLong)?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    /// Errs: DamagedMetadata.
    pub(crate) fn unwrap_key(&self, wrapped: &[u8], bound: &[u8]) -> Result<DataKey, Error> {
        let (nonce, msg) = wrapped.split_first_chunk::<NONCE_BYTES>().ok_or(Error::DamagedMetadata)?;
        let payload = Payload { msg, aad: bound };
        let opened = self.cipher().decrypt(&Nonce::from(*nonce), payload).map_err(|_| Error::DamagedMetadata)?;
        DataKey::copy_of(&Zeroizing::new(opened)).ok_or(Error::DamagedMetadata)
    }

    fn cipher(&self) -> Aes256Gcm {
        Aes256Gcm::new(&(*self.0).into())
    }
}

impl fmt::Debug for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientKey({})", self.id())
    }
}

/// A new key. Errs: NoRandomness.
pub fn generate_key() -> Result<ClientKey, Error> {
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    getrandom::fill(key.as_mut_slice()).map_err(|_| Error::NoRandomness)?;
    Ok(ClientKey(key))
}

/// The key as text, for a file or an environment variable. Wiped when it is dropped.
pub fn key_to_base64(key: &ClientKey) -> Zeroizing<String> {
    Zeroizing::new(STANDARD.encode(key.0.as_slice()))
}

/// Reads what [`key_to_base64`] gave; space around it is passed over. Errs: NotAKey.
pub fn key_from_base64(text: &str) -> Result<ClientKey, Error> {
    let decoded = Zeroizing::new(STANDARD.decode(text.trim()).map_err(|_| Error::NotAKey)?);
    DataKey::copy_of(&decoded).map(|key| ClientKey(key.0)).ok_or(Error::NotAKey)
}

/// The key of one object.
pub(crate) struct DataKey(Zeroizing<[u8; KEY_BYTES]>);

impl DataKey {
    pub(crate) fn copy_of(bytes: &[u8]) -> Option<Self> {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        if bytes.len() != KEY_BYTES {
            return None;
        }
        key.copy_from_slice(bytes);
        Some(Self(key))
    }

    pub(crate) fn cipher(&self) -> Aes256Gcm {
        Aes256Gcm::new(&(*self.0).into())
    }
}

/// What must be new for each object.
pub(crate) struct Fresh {
    pub(crate) data_key: DataKey,
    pub(crate) wrap_nonce: [u8; NONCE_BYTES],
    pub(crate) iv: [u8; crate::chunks::IV_BYTES],
}

impl Fresh {
    /// Errs: NoRandomness.
    pub(crate) fn random() -> Result<Self, Error> {
        let (data_key, mut wrap_nonce, mut iv) = (generate_key()?.0, [0; NONCE_BYTES], [0; crate::chunks::IV_BYTES]);
        getrandom::fill(&mut wrap_nonce).map_err(|_| Error::NoRandomness)?;
        getrandom::fill(&mut iv).map_err(|_| Error::NoRandomness)?;
        Ok(Self { data_key: DataKey(data_key), wrap_nonce, iv })
    }
}
