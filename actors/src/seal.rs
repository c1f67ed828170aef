//! Secrets at rest: how stored secrets are sealed under a key derived from `SECRET_KEY`.
//!
//! A sealed value is text, `v1:<key id>:<base64 of nonce and ciphertext>`: AES-256-GCM under a key that HKDF-SHA256
//! (RFC 5869) derives from `SECRET_KEY`. It names its key, so that a start under another `SECRET_KEY` can say which one is
//! missing instead of taking the stored users for unknown ones.

use std::fmt;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hkdf::Hkdf;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::json_store::{StoreError, write_new_secret};

/// The `SECRET_KEY` that stands for "unset".
pub const DEFAULT_SECRET_KEY: &str = "dev-secret-key";

const NONCE_BYTES: usize = 12;
const SEALED_BYTES_MAX: usize = 64 * 1024;
const VERSION: &str = "v1";

/// A secret text. Never printed; compared in constant time. Cheap to clone.
#[derive(Clone)]
pub struct SecretKey(Arc<str>);

impl SecretKey {
    /// Wraps a secret.
    pub fn new(secret: &str) -> Self {
        Self(Arc::from(secret))
    }

    /// A random secret of 40 characters that need no escaping anywhere.
    pub fn random() -> Result<Self, SealError> {
        let mut bytes = [0; 30];
        getrandom::fill(&mut bytes).map_err(|_| SealError::NoRandomness)?;
        Ok(Self(Arc::from(URL_SAFE_NO_PAD.encode(bytes))))
    }

    /// The secret itself.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether `candidate` is this secret; takes the same time whatever is wrong with it.
    pub fn is(&self, candidate: &str) -> bool {
        // Digests have one length, so not even the secret's length shows.
        let (own, other) = (Sha256::digest(self.0.as_bytes()), Sha256::digest(candidate.as_bytes()));
        own.as_slice().ct_eq(other.as_slice()).into()
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Why a secret cannot be sealed or unsealed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Sealed under a key that neither `SECRET_KEY` nor `SECRET_KEY_PREVIOUS` gives.
    #[error("sealed with key {key_id}, which neither SECRET_KEY (key {current}) nor SECRET_KEY_PREVIOUS gives")]
    UnknownKey {
        /// Id of the missing key.
        key_id: String,
        /// Id of the key in use.
        current: String,
    },
    /// Not a sealed value, or one that was tampered with.
    #[error("not a sealed value, or a damaged one")]
    Damaged,
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    NoRandomness,
}

struct SealKey {
    id: String,
    cipher: Aes256Gcm,
}

impl SealKey {
    fn derive(secret: &SecretKey) -> Result<Self, SealError> {
        let kdf = Hkdf::<Sha256>::new(Some(b"myfsio seal v1"), secret.expose().as_bytes());
        let (mut key, mut id) = ([0; 32], [0; 4]);
        kdf.expand(b"key", &mut key).map_err(|_| SealError::Damaged)?;
        kdf.expand(b"key id", &mut id).map_err(|_| SealError::Damaged)?;
        let cipher = Aes256Gcm::new_from_slice(&key).map_err(|_| SealError::Damaged)?;
        Ok(Self { id: hex::encode(id), cipher })
    }
}

/// Seals under the current key, unseals under it and the previous ones. Cheap to clone.
#[derive(Clone)]
pub struct Sealer {
    current: Arc<SealKey>,
    previous: Arc<[SealKey]>,
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer").field("key_id", &self.current.id).finish_non_exhaustive()
    }
}

impl Sealer {
    /// A sealer under `secret_key`; `previous` only unseal.
    pub fn new(secret_key: &SecretKey, previous: &[SecretKey]) -> Result<Self, SealError> {
        let previous: Result<Vec<SealKey>, SealError> = previous.iter().map(SealKey::derive).collect();
        Ok(Self { current: Arc::new(SealKey::derive(secret_key)?), previous: Arc::from(previous?) })
    }

    /// Id of the key in use: eight hexadecimal digits.
    pub fn key_id(&self) -> &str {
        &self.current.id
    }

    /// Seals `secret`; `purpose` must be given again to unseal.
    pub fn seal(&self, purpose: &str, secret: &str) -> Result<String, SealError> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|_| SealError::NoRandomness)?;
        let payload = Payload { msg: secret.as_bytes(), aad: purpose.as_bytes() };
        let sealed = self.current.cipher.encrypt(&Nonce::from(nonce), payload).map_err(|_| SealError::Damaged)?;
        let bytes = [nonce.as_slice(), &sealed].concat();
        Ok(format!("{VERSION}:{}:{}", self.current.id, STANDARD.encode(bytes)))
    }

    /// Unseals what [`Self::seal`] gave under the same purpose.
    pub fn unseal(&self, purpose: &str, sealed: &str) -> Result<SecretKey, SealError> {
        if sealed.len() > SEALED_BYTES_MAX {
            return Err(SealError::Damaged);
        }
        let (key_id, body) = split(sealed).ok_or(SealError::Damaged)?;
        let key = std::iter::once(&*self.current)
            .chain(self.previous.iter())
            .find(|key| key.id == key_id)
            .ok_or_else(|| SealError::UnknownKey { key_id: key_id.to_owned(), current: self.current.id.clone() })?;
        let bytes = STANDARD.decode(body).map_err(|_| SealError::Damaged)?;
        let (nonce, ciphertext) = bytes.split_first_chunk::<NONCE_BYTES>().ok_or(SealError::Damaged)?;
        let payload = Payload { msg: ciphertext, aad: purpose.as_bytes() };
        let secret = key.cipher.decrypt(&Nonce::from(*nonce), payload).map_err(|_| SealError::Damaged)?;
        let secret = String::from_utf8(secret).map_err(|_| SealError::Damaged)?;
        Ok(SecretKey(Arc::from(secret)))
    }

    /// Whether a sealed value stands under another key than the current one, and so wants to be sealed anew.
    pub fn is_outdated(&self, sealed: &str) -> bool {
        split(sealed).is_some_and(|(key_id, _)| key_id != self.current.id)
    }
}

fn split(sealed: &str) -> Option<(&str, &str)> {
    let (version, rest) = sealed.split_once(':')?;
    let (key_id, body) = rest.split_once(':')?;
    let well_formed = version == VERSION && key_id.len() == 8 && key_id.bytes().all(|b| b.is_ascii_hexdigit());
    well_formed.then_some((key_id, body))
}

/// The `SECRET_KEY` in force: the configured one, or, when that is unset or the well-known default, a random one that is
/// created once in the file at `path` (mode 0600). Errs: the file cannot be read or written, or is empty.
pub fn resolve_secret_key(configured: Option<&str>, path: &Path) -> Result<SecretKey, StoreError> {
    if let Some(configured) = configured.filter(|key| !key.is_empty() && *key != DEFAULT_SECRET_KEY) {
        return Ok(SecretKey::new(configured));
    }
    let failed = |doing, source| StoreError::Io { path: path.to_owned(), doing, source };
    match fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let secret = SecretKey::random().map_err(|error| failed("make", std::io::Error::other(error)))?;
            write_new_secret(path, secret.expose().as_bytes())?;
        }
        Err(error) => return Err(failed("read", error)),
        Ok(_) => {}
    }
    // Read back what is there now: what counts is what the next start will find.
    let stored = fs::read_to_string(path).map_err(|error| failed("read", error))?;
    match stored.trim() {
        "" => Err(failed("use", std::io::Error::other("the file is empty; restore it or set SECRET_KEY"))),
        secret => Ok(SecretKey::new(secret)),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn sealer(current: &str, previous: &[&str]) -> Sealer {
        let previous: Vec<SecretKey> = previous.iter().map(|key| SecretKey::new(key)).collect();
        Sealer::new(&SecretKey::new(current), &previous).unwrap()
    }

    #[test]
    fn round_trip_and_fresh_nonces() {
        let sealer = sealer("one", &[]);
        let (a, b) = (sealer.seal("iam", "sécret").unwrap(), sealer.seal("iam", "sécret").unwrap());
        assert_ne!(a, b);
        assert_eq!(sealer.unseal("iam", &a).unwrap().expose(), "sécret");
        assert!(a.starts_with(&format!("v1:{}:", sealer.key_id())) && !sealer.is_outdated(&a));
        assert_eq!(sealer.unseal("other", &a).unwrap_err(), SealError::Damaged);
    }

    #[test]
    fn another_key_is_named() {
        let sealed = sealer("one", &[]).seal("iam", "x").unwrap();
        let other = sealer("two", &[]);
        let SealError::UnknownKey { key_id, current } = other.unseal("iam", &sealed).unwrap_err() else {
            panic!("expected UnknownKey");
        };
        assert_eq!((key_id.as_str(), current.as_str()), (sealer("one", &[]).key_id(), other.key_id()));
        let rotated = sealer("two", &["zero", "one"]);
        assert_eq!(rotated.unseal("iam", &sealed).unwrap().expose(), "x");
        assert!(rotated.is_outdated(&sealed));
    }

    #[test]
    fn damage_is_noticed() {
        let sealer = sealer("one", &[]);
        let sealed = sealer.seal("iam", "secret").unwrap();
        let (head, body) = sealed.rsplit_once(':').unwrap();
        let mut bytes = STANDARD.decode(body).unwrap();
        for index in 0..bytes.len() {
            bytes[index] ^= 1;
            let broken = format!("{head}:{}", STANDARD.encode(&bytes));
            assert_eq!(sealer.unseal("iam", &broken).unwrap_err(), SealError::Damaged);
            bytes[index] ^= 1;
        }
        for text in ["", "v1", "v1:0011aabb", "v2:0011aabb:AAAA", "v1:xyz:AAAA", "v1:0011aabg:AAAA"] {
            assert_eq!(sealer.unseal("iam", text).unwrap_err(), SealError::Damaged, "{text}");
        }
    }

    #[test]
    fn secrets_do_not_print_and_compare_whole() {
        let secret = SecretKey::new("abc");
        assert_eq!(format!("{secret:?}"), "***");
        assert!(secret.is("abc") && !secret.is("abcd") && !secret.is("") && !secret.is("abd"));
    }

    #[test]
    fn an_unset_secret_key_is_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config/.secret");
        let first = resolve_secret_key(None, &path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(resolve_secret_key(Some(DEFAULT_SECRET_KEY), &path).unwrap().expose(), first.expose());
        assert_eq!(resolve_secret_key(Some("mine"), &path).unwrap().expose(), "mine");
        fs::write(&path, "\n").unwrap();
        assert!(resolve_secret_key(None, &path).is_err());
    }
}
