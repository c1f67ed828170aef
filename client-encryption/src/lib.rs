//! Encryption by the client: what the server stores was encrypted before it was uploaded, under a key that the server never
//! sees.
//!
//! Each object gets a data key of its own, which encrypts it with AES-256-GCM in chunks of 64 KiB. The data key travels with the
//! object, wrapped under the client's key, in the metadata `x-amz-meta-x-amz-key`, `-iv` and `-matdesc`.
//! `docs/client-encryption.md` states every byte, so that other languages can read and write the same objects.
//!
//! ```
//! use myfsio_client_encryption::{decrypt_from_download, encrypt_for_upload, generate_key};
//!
//! let key = generate_key()?;
//! let (ciphertext, metadata) = encrypt_for_upload(b"sensitive data", &key)?;
//! // Upload `ciphertext` with `metadata`; later download both.
//! assert_eq!(decrypt_from_download(&ciphertext, &metadata, &key)?, b"sensitive data");
//! # Ok::<(), myfsio_client_encryption::Error>(())
//! ```
//!
//! Bodies that should not lie in memory as a whole pass through an [`Encryptor`] and a [`Decryptor`]. Keys are wiped from memory
//! when they are dropped.

mod chunks;
mod error;
mod key;
mod metadata;
mod stream;

pub use chunks::{CHUNK_BYTES, TAG_BYTES};
pub use error::Error;
pub use key::{ALGORITHM, ClientKey, generate_key, key_from_base64, key_to_base64};
pub use metadata::{Context, IV, KEY, MATDESC, Metadata};
pub use stream::{Decryptor, Encryptor};

/// Encrypts `plaintext` under a fresh data key. Gives the body to upload and the metadata that must go with it.
/// Errs: NoRandomness, TooLong.
pub fn encrypt_for_upload(plaintext: &[u8], key: &ClientKey) -> Result<(Vec<u8>, Metadata), Error> {
    let encryptor = Encryptor::new(key, &Context::new())?;
    let metadata = encryptor.metadata().clone();
    let mut ciphertext = Vec::with_capacity(chunks::ciphertext_bytes(plaintext.len()));
    encryptor.copy(plaintext, &mut ciphertext)?;
    Ok((ciphertext, metadata))
}

/// Decrypts a downloaded body. Nothing of it is given out unless all of it is what was encrypted.
/// Errs: Malformed, Unsupported, WrongKey, DamagedMetadata, Damaged, CutOff, Continued.
pub fn decrypt_from_download(ciphertext: &[u8], metadata: &Metadata, key: &ClientKey) -> Result<Vec<u8>, Error> {
    let mut plaintext = Vec::with_capacity(ciphertext.len());
    Decryptor::new(metadata, key)?.copy(ciphertext, &mut plaintext)?;
    Ok(plaintext)
}

#[cfg(test)]
mod tests;
