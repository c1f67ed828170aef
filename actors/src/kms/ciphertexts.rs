//! What clients encrypt under a key, and data keys that they ask for (KMS API Reference, Encrypt, Decrypt, ReEncrypt,
//! GenerateDataKey). Pure but for random numbers.
//!
//! A blob names the key and the version of its material: byte 1 (the format), the 16 bytes of the id, the version as four bytes, then
//! what [`sealed`] makes. All of this, and the encryption context, is authenticated.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::error::KmsError;
use super::key::KmsKey;
use super::keyring::Keyring;
use super::name::{id_bytes, id_text};
use super::objects::check_context;
use super::sealed::{self, OVERHEAD_BYTES, Purpose};
use crate::encryption::{EncryptionContext, EncryptionError};

/// Most bytes that are encrypted at once.
pub const PLAINTEXT_BYTES_MAX: usize = 4096;
/// Most bytes of a blob that is looked at.
pub const BLOB_BYTES_MAX: usize = 6144;
/// Most random bytes at once.
pub const RANDOM_BYTES_MAX: usize = 1024;

const FORMAT: u8 = 1;
const HEAD_BYTES: usize = 1 + 16 + 4;

/// What was encrypted.
#[derive(Debug, Clone)]
pub struct Ciphertext {
    /// The blob, which tells by itself how it is opened.
    pub blob: Vec<u8>,
    /// The key under which.
    pub key: Arc<KmsKey>,
    /// The version of its material.
    pub version: u32,
}

/// What was encrypted anew.
#[derive(Debug, Clone)]
pub struct ReEncrypted {
    /// What it is now.
    pub to: Ciphertext,
    /// The key under which it was.
    pub from: Arc<KmsKey>,
}

/// A data key.
#[derive(Debug, Clone)]
pub struct GeneratedKey {
    /// The key itself.
    pub plaintext: Zeroizing<Vec<u8>>,
    /// The key, encrypted.
    pub ciphertext: Ciphertext,
}

impl Keyring {
    /// Encrypts under the newest material of a key. Errs: as [`Self::usable`], Validation.
    pub fn encrypt(&self, key: &str, plaintext: &[u8], context: &EncryptionContext) -> Result<Ciphertext, KmsError> {
        if plaintext.is_empty() || plaintext.len() > PLAINTEXT_BYTES_MAX {
            return Err(KmsError::out_of_range("plaintext", "...", "length between 1 and 4096"));
        }
        check_context(context)?;
        let key = Arc::clone(self.usable(key)?);
        let material = key.newest()?;
        let id = id_bytes(&key.id).ok_or(EncryptionError::WrongKey)?;
        let head = [[FORMAT].as_slice(), &id, &material.version.to_be_bytes()].concat();
        let about = [head.as_slice(), &context.canonical()].concat();
        let sealed = sealed::seal(&material.key, Purpose::Blob, plaintext, &about)?;
        let (blob, version) = ([head, sealed].concat(), material.version);
        Ok(Ciphertext { blob, version, key })
    }

    /// The key that a blob names, whatever its state. Errs: InvalidCiphertext, KeyOfCiphertextNotFound.
    pub fn key_of(&self, blob: &[u8]) -> Result<&Arc<KmsKey>, KmsError> {
        let (id, _) = head(blob).ok_or(KmsError::InvalidCiphertext)?;
        self.by_id(&id).map_err(|_| KmsError::KeyOfCiphertextNotFound)
    }

    /// What a blob holds, and the key under which it was encrypted; `key` is the one that must be. Errs: InvalidCiphertext,
    /// KeyOfCiphertextNotFound, IncorrectKey, Disabled, PendingDeletion, those of [`Self::find`] for `key`.
    pub fn decrypt(
        &self,
        blob: &[u8],
        key: Option<&str>,
        context: &EncryptionContext,
    ) -> Result<(Zeroizing<Vec<u8>>, Arc<KmsKey>), KmsError> {
        let expected = key.map(|key| self.find(key)).transpose()?;
        let own = Arc::clone(self.key_of(blob)?);
        if expected.is_some_and(|expected| expected.id != own.id) {
            return Err(KmsError::IncorrectKey);
        }
        own.check_usable()?;
        let (head_bytes, sealed) = blob.split_at_checked(HEAD_BYTES).ok_or(KmsError::InvalidCiphertext)?;
        let (_, version) = head(blob).ok_or(KmsError::InvalidCiphertext)?;
        let material = own.material(version).ok_or(KmsError::InvalidCiphertext)?;
        let about = [head_bytes, &context.canonical()].concat();
        let plaintext = sealed::open(&material.key, Purpose::Blob, sealed, &about);
        Ok((plaintext.map_err(|_| KmsError::InvalidCiphertext)?, own))
    }

    /// Decrypts under one key and encrypts under another, or the newest material of the same. Errs: as [`Self::decrypt`] and
    /// [`Self::encrypt`].
    pub fn re_encrypt(
        &self,
        blob: &[u8],
        (from, from_context): (Option<&str>, &EncryptionContext),
        (to, to_context): (&str, &EncryptionContext),
    ) -> Result<ReEncrypted, KmsError> {
        let (plaintext, from) = self.decrypt(blob, from, from_context)?;
        Ok(ReEncrypted { to: self.encrypt(to, &plaintext, to_context)?, from })
    }

    /// Random bytes, as they are and encrypted. Errs: as [`Self::encrypt`].
    pub fn generate_data_key(
        &self,
        key: &str,
        bytes: usize,
        context: &EncryptionContext,
    ) -> Result<GeneratedKey, KmsError> {
        let plaintext = generate_random(bytes)?;
        let ciphertext = self.encrypt(key, &plaintext, context)?;
        Ok(GeneratedKey { plaintext, ciphertext })
    }
}

/// Random bytes (KMS API Reference, GenerateRandom). Errs: Validation, Encryption.
pub(super) fn generate_random(bytes: usize) -> Result<Zeroizing<Vec<u8>>, KmsError> {
    if !(1..=RANDOM_BYTES_MAX).contains(&bytes) {
        return Err(KmsError::out_of_range("numberOfBytes", bytes, "value between 1 and 1024"));
    }
    let mut random = Zeroizing::new(vec![0; bytes]);
    getrandom::fill(&mut random).map_err(|_| EncryptionError::NoRandomness)?;
    Ok(random)
}

/// The key and version that a blob names; none when it is none.
fn head(blob: &[u8]) -> Option<(String, u32)> {
    let is_blob = (HEAD_BYTES + OVERHEAD_BYTES..=BLOB_BYTES_MAX).contains(&blob.len());
    let (format, rest) = blob.split_first().filter(|_| is_blob)?;
    let (id, rest) = rest.split_first_chunk::<16>()?;
    let (version, _) = rest.split_first_chunk::<4>()?;
    (*format == FORMAT).then(|| (id_text(id), u32::from_be_bytes(*version)))
}
