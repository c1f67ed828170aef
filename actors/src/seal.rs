//! Secrets at rest: how stored secrets are sealed under a key derived from `SECRET_KEY`.
//!
//! A sealed value is text, `v1:<key id>:<base64 of nonce and ciphertext>`: AES-256-GCM under a key that HKDF-SHA256
//! (RFC 5869) derives from `SECRET_KEY`. It names its key, so that a start under another `SECRET_KEY` can say which one is
//! missing instead of taking the stored users for unknown ones.
//!
//! A sealed token goes to clients and comes back, in headers and addresses: URL-safe base64 of key id, salt and ciphertext.
//! Clients may ask for any number of them, more than random nonces under one key are good for, so each has a key of its own.

use std::fmt;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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
const KEY_ID_BYTES: usize = 4;
const SALT_BYTES: usize = 16;
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
    #[error(
        "sealed with key {key_id}, which neither SECRET_KEY (key {current}; unset, it is what stands in .myfsio.sys/config/.secret) \
         nor SECRET_KEY_PREVIOUS gives: start with the SECRET_KEY that it was sealed with, or add that one to SECRET_KEY_PREVIOUS"
    )]
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
    /// Whether something was sealed under it.
    has_opened: AtomicBool,
    cipher: Aes256Gcm,
    kdf: Hkdf<Sha256>,
}

impl SealKey {
    fn derive(secret: &SecretKey) -> Result<Self, SealError> {
        let kdf = Hkdf::<Sha256>::new(Some(b"myfsio seal v1"), secret.expose().as_bytes());
        let (mut key, mut id) = ([0; 32], [0; 4]);
        kdf.expand(b"key", &mut key).map_err(|_| SealError::Damaged)?;
        kdf.expand(b"key id", &mut id).map_err(|_| SealError::Damaged)?;
        let cipher = Aes256Gcm::new_from_slice(&key).map_err(|_| SealError::Damaged)?;
        Ok(Self { id: hex::encode(id), has_opened: AtomicBool::new(false), cipher, kdf })
    }

    /// Cipher and nonce of one token. Purpose and salt are both part of what they follow from.
    fn of_token(&self, purpose: &str, salt: &[u8]) -> Result<(Aes256Gcm, [u8; NONCE_BYTES]), SealError> {
        let (mut key, mut nonce) = ([0; 32], [0; NONCE_BYTES]);
        self.kdf
            .expand_multi_info(&[b"token key", salt, purpose.as_bytes()], &mut key)
            .map_err(|_| SealError::Damaged)?;
        self.kdf
            .expand_multi_info(&[b"token nonce", salt, purpose.as_bytes()], &mut nonce)
            .map_err(|_| SealError::Damaged)?;
        Ok((Aes256Gcm::new_from_slice(&key).map_err(|_| SealError::Damaged)?, nonce))
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
        let key = self.key(key_id)?;
        let bytes = STANDARD.decode(body).map_err(|_| SealError::Damaged)?;
        let (nonce, ciphertext) = bytes.split_first_chunk::<NONCE_BYTES>().ok_or(SealError::Damaged)?;
        let payload = Payload { msg: ciphertext, aad: purpose.as_bytes() };
        let secret = key.cipher.decrypt(&Nonce::from(*nonce), payload).map_err(|_| SealError::Damaged)?;
        let secret = String::from_utf8(secret).map_err(|_| SealError::Damaged)?;
        key.has_opened.store(true, Ordering::Relaxed);
        Ok(SecretKey(Arc::from(secret)))
    }

    /// Whether a previous key has been needed to unseal something.
    pub fn has_needed(&self, previous: &SecretKey) -> bool {
        let of = SealKey::derive(previous).ok();
        let has_opened =
            |key: &SealKey| of.as_ref().is_some_and(|of| of.id == key.id) && key.has_opened.load(Ordering::Relaxed);
        self.previous.iter().any(has_opened)
    }

    /// Seals what a client is to carry; `purpose` must be given again to open it.
    pub fn seal_token(&self, purpose: &str, content: &[u8]) -> Result<String, SealError> {
        let mut salt = [0; SALT_BYTES];
        getrandom::fill(&mut salt).map_err(|_| SealError::NoRandomness)?;
        let (cipher, nonce) = self.current.of_token(purpose, &salt)?;
        let key_id = hex::decode(&self.current.id).map_err(|_| SealError::Damaged)?;
        let sealed = cipher.encrypt(&Nonce::from(nonce), content).map_err(|_| SealError::Damaged)?;
        Ok(URL_SAFE_NO_PAD.encode([key_id.as_slice(), &salt, &sealed].concat()))
    }

    /// Opens what [`Self::seal_token`] gave under the same purpose and the current key: whoever got hold of an earlier one could
    /// make tokens of its own. Errs: UnknownKey, Damaged.
    pub fn open_token(&self, purpose: &str, token: &str) -> Result<Vec<u8>, SealError> {
        if token.len() > SEALED_BYTES_MAX {
            return Err(SealError::Damaged);
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| SealError::Damaged)?;
        let (key_id, rest) = bytes.split_first_chunk::<KEY_ID_BYTES>().ok_or(SealError::Damaged)?;
        let (salt, sealed) = rest.split_first_chunk::<SALT_BYTES>().ok_or(SealError::Damaged)?;
        let key = self.key(&hex::encode(key_id))?;
        if key.id != self.current.id {
            return Err(SealError::UnknownKey { key_id: key.id.clone(), current: self.current.id.clone() });
        }
        let (cipher, nonce) = key.of_token(purpose, salt)?;
        cipher.decrypt(&Nonce::from(nonce), sealed).map_err(|_| SealError::Damaged)
    }

    fn key(&self, key_id: &str) -> Result<&SealKey, SealError> {
        let mut keys = std::iter::once(&*self.current).chain(self.previous.iter());
        let unknown = || SealError::UnknownKey { key_id: key_id.to_owned(), current: self.current.id.clone() };
        keys.find(|key| key.id == key_id).ok_or_else(unknown)
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

/// What stands in the file at `path`, which a node without a `SECRET_KEY` of the operator's made; none when it cannot be had.
pub fn own_secret_key(path: &Path) -> Option<SecretKey> {
    let stored = fs::read_to_string(path).ok()?;
    let stored = stored.trim();
    (!stored.is_empty()).then(|| SecretKey::new(stored))
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
        assert!(!rotated.has_needed(&SecretKey::new("one")));
        assert_eq!(rotated.unseal("iam", &sealed).unwrap().expose(), "x");
        assert!(rotated.has_needed(&SecretKey::new("one")) && !rotated.has_needed(&SecretKey::new("zero")));
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
    fn tokens_open_under_their_purpose_and_key_only() {
        let (one, two, rotated) = (sealer("one", &[]), sealer("two", &[]), sealer("two", &["one"]));
        let token = one.seal_token("session", b"content").unwrap();
        assert_ne!(token, one.seal_token("session", b"content").unwrap());
        assert_eq!(one.open_token("session", &token).unwrap(), b"content");
        assert!(matches!(rotated.open_token("session", &token), Err(SealError::UnknownKey { .. })), "only of this key");
        assert_eq!(one.open_token("other", &token).unwrap_err(), SealError::Damaged);
        assert!(matches!(two.open_token("session", &token), Err(SealError::UnknownKey { .. })));
        for end in 0..token.len() {
            assert!(one.open_token("session", &token[..end]).is_err(), "cut off at {end}");
        }
        let bytes = URL_SAFE_NO_PAD.decode(&token).unwrap();
        for index in 0..bytes.len() {
            let mut other = bytes.clone();
            other[index] ^= 1;
            assert!(one.open_token("session", &URL_SAFE_NO_PAD.encode(&other)).is_err(), "changed at {index}");
        }
        for text in ["", "AAAA", "é", "a b", &"A".repeat(SEALED_BYTES_MAX + 1)] {
            assert_eq!(one.open_token("session", text).unwrap_err(), SealError::Damaged);
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
        assert!(own_secret_key(&path).is_none());
        let first = resolve_secret_key(None, &path).unwrap();
        assert_eq!(own_secret_key(&path).unwrap().expose(), first.expose());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(resolve_secret_key(Some(DEFAULT_SECRET_KEY), &path).unwrap().expose(), first.expose());
        assert_eq!(resolve_secret_key(Some("mine"), &path).unwrap().expose(), "mine");
        fs::write(&path, "\n").unwrap();
        assert!(resolve_secret_key(None, &path).is_err() && own_secret_key(&path).is_none());
    }
}
