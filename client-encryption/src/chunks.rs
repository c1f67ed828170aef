//! The content: chunks of 64 KiB, each encrypted and authenticated by itself, so that memory stays constant and nothing is given
//! out before it was verified.
//!
//! A chunk's nonce is the object's iv, the chunk's number, and whether it is the last (the STREAM construction of Hoang,
//! Reyhanitabar, Rogaway and Vizár). Chunks that are exchanged, repeated, left out or added are noticed, and so is a missing end.

use aes_gcm::aead::AeadInOut as _;
use aes_gcm::{Aes256Gcm, Nonce};

use crate::Error;
use crate::key::DataKey;

/// Bytes of a chunk before it is encrypted; the last one may have less.
pub const CHUNK_BYTES: usize = 64 * 1024;

/// Bytes that encryption adds to each chunk.
pub const TAG_BYTES: usize = 16;

pub(crate) const IV_BYTES: usize = 7;

/// Bytes of a body that encrypts this many.
pub(crate) fn ciphertext_bytes(plaintext_bytes: usize) -> usize {
    let chunks = plaintext_bytes.div_ceil(CHUNK_BYTES).max(1);
    plaintext_bytes.saturating_add(chunks.saturating_mul(TAG_BYTES))
}

/// Encrypts or decrypts the chunks of one object, in order.
pub(crate) struct Chunks {
    cipher: Aes256Gcm,
    iv: [u8; IV_BYTES],
    /// Number of the next chunk; none after the last that can be counted.
    next: Option<u32>,
    /// Where the next chunk begins in the encrypted body.
    offset: u64,
}

impl Chunks {
    pub(crate) fn new(data_key: &DataKey, iv: [u8; IV_BYTES]) -> Self {
        Self { cipher: data_key.cipher(), iv, next: Some(0), offset: 0 }
    }

    /// Encrypts the next chunk in place and adds its tag. Errs: TooLong.
    pub(crate) fn seal(&mut self, chunk: &mut Vec<u8>, last: bool) -> Result<(), Error> {
        let nonce = self.nonce(last)?;
        self.cipher.encrypt_in_place(&nonce, b"", chunk).map_err(|_| Error::TooLong)?;
        self.advance(chunk.len());
        Ok(())
    }

    /// Verifies the next chunk and decrypts it in place. Errs: Damaged, CutOff, Continued, TooLong.
    pub(crate) fn open(&mut self, chunk: &mut Vec<u8>, last: bool) -> Result<(), Error> {
        let (sealed_bytes, nonce) = (chunk.len(), self.nonce(last)?);
        let added = sealed_bytes == TAG_BYTES && self.offset > 0; // Only an empty object has an empty chunk.
        if added || self.cipher.decrypt_in_place(&nonce, b"", chunk).is_err() {
            return Err(self.failure(chunk, last));
        }
        self.advance(sealed_bytes);
        Ok(())
    }

    /// What a chunk that does not pass tells about the body.
    fn failure(&self, chunk: &mut Vec<u8>, last: bool) -> Error {
        let end = self.offset.saturating_add(chunk.len() as u64);
        if last && chunk.len() < TAG_BYTES {
            return Error::CutOff { bytes: end };
        }
        let passes_otherwise =
            self.nonce(!last).is_ok_and(|nonce| self.cipher.decrypt_in_place(&nonce, b"", chunk).is_ok());
        match (passes_otherwise, last) {
            (true, true) => Error::CutOff { bytes: end },
            (true, false) => Error::Continued { offset: end },
            (false, _) => Error::Damaged { offset: self.offset },
        }
    }

    fn nonce(&self, last: bool) -> Result<Nonce<aes_gcm::aead::consts::U12>, Error> {
        let [n0, n1, n2, n3] = self.next.ok_or(Error::TooLong)?.to_be_bytes();
        let [i0, i1, i2, i3, i4, i5, i6] = self.iv;
        Ok(Nonce::from([i0, i1, i2, i3, i4, i5, i6, n0, n1, n2, n3, u8::from(last)]))
    }

    fn advance(&mut self, sealed_bytes: usize) {
        self.next = self.next.and_then(|next| next.checked_add(1));
        self.offset = self.offset.saturating_add(sealed_bytes as u64);
    }
}
