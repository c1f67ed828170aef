//! Keys of 32 bytes, wiped when they are dropped, and wrapping one under another.

use std::fmt;

use aes_gcm::aead::{Aead as _, KeyInit as _, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use zeroize::Zeroizing;

use super::EncryptionError;

const NONCE_BYTES: usize = 12;
/// Bytes of a wrapped key: nonce, key, tag.
const WRAPPED_BYTES: usize = NONCE_BYTES + 32 + 16;

/// The key of one object, or of whoever wraps such keys. Never printed.
#[derive(Clone)]
pub struct DataKey(Zeroizing<[u8; 32]>);

impl DataKey {
    /// A random one. Errs: NoRandomness.
    pub fn random() -> Result<Self, EncryptionError> {
        let mut key = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *key).map_err(|_| EncryptionError::NoRandomness)?;
        Ok(Self(key))
    }

    /// The key of these bytes.
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(Zeroizing::new(*bytes))
    }

    /// The key itself.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// Wraps another key under this one: a random nonce, then AES-256-GCM over `key`, bound to `about`.
    pub fn wrap(&self, key: &Self, about: &[u8]) -> Result<Vec<u8>, EncryptionError> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|_| EncryptionError::NoRandomness)?;
        let payload = Payload { msg: key.expose(), aad: about };
        let sealed = self.cipher().encrypt(&Nonce::from(nonce), payload).map_err(|_| EncryptionError::WrongKey)?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    /// Opens what [`DataKey::wrap`] made. Errs: WrongKey.
    pub fn unwrap(&self, wrapped: &[u8], about: &[u8]) -> Result<Self, EncryptionError> {
        if wrapped.len() != WRAPPED_BYTES {
            return Err(EncryptionError::WrongKey);
        }
        let (nonce, sealed) = wrapped.split_first_chunk::<NONCE_BYTES>().ok_or(EncryptionError::WrongKey)?;
        let payload = Payload { msg: sealed, aad: about };
        let key = self.cipher().decrypt(&Nonce::from(*nonce), payload).map_err(|_| EncryptionError::WrongKey)?;
        let key = Zeroizing::new(key);
        let bytes: &[u8; 32] = key.as_slice().try_into().map_err(|_| EncryptionError::WrongKey)?;
        Ok(Self::from_bytes(bytes))
    }

    fn cipher(&self) -> Aes256Gcm {
        Aes256Gcm::new(self.expose().into())
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrapped_key_opens_under_its_own_key_and_for_its_own_purpose_only() {
        let (outer, other, key) =
            (DataKey::random().unwrap(), DataKey::random().unwrap(), DataKey::from_bytes(&[7; 32]));
        let wrapped = outer.wrap(&key, b"here").unwrap();
        assert_eq!(outer.unwrap(&wrapped, b"here").unwrap().expose(), &[7; 32]);
        assert_eq!(outer.unwrap(&wrapped, b"there").unwrap_err(), EncryptionError::WrongKey);
        assert_eq!(other.unwrap(&wrapped, b"here").unwrap_err(), EncryptionError::WrongKey);
        for at in 0..wrapped.len() {
            let mut bent = wrapped.clone();
            bent[at] ^= 1;
            assert!(outer.unwrap(&bent, b"here").is_err());
            assert!(outer.unwrap(&wrapped[..at], b"here").is_err());
        }
        assert_eq!(format!("{key:?}"), "***");
    }
}
