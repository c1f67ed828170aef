//! Fernet tokens (github.com/fernet/spec), in which users and the secrets of connections were kept: AES-128 in CBC mode, and an HMAC
//! over all of it.

use aws_lc_rs::cipher::{AES_128, DecryptionContext, PaddedBlockDecryptingKey, UnboundCipherKey};
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::pbkdf2;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use std::num::NonZeroU32;
use zeroize::Zeroizing;

use super::Unreadable;

/// What stands before the token in a users' file that is encrypted.
pub const USERS_PREFIX: &str = "MYFSIO_IAM_ENC:";

/// Salt and rounds by which a key was derived from `SECRET_KEY`.
const SALT: &[u8] = b"myfsio-iam-encryption";
const ROUNDS: NonZeroU32 = match NonZeroU32::new(100_000) {
    Some(rounds) => rounds,
    None => NonZeroU32::MIN,
};

const VERSION: u8 = 0x80;
/// Version, time and initialisation vector stand before the ciphertext.
const IV_AT: usize = 9;
const IV_BYTES: usize = 16;
const MAC_BYTES: usize = 32;
const KEY_BYTES: usize = 32;

/// A key for tokens.
#[derive(Clone)]
pub struct Fernet(Zeroizing<[u8; KEY_BYTES]>);

impl std::fmt::Debug for Fernet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fernet")
    }
}

impl Fernet {
    /// The key that follows from a `SECRET_KEY`.
    pub fn of_secret(secret: &str) -> Self {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, ROUNDS, SALT, secret.as_bytes(), &mut *key);
        Self(key)
    }

    /// A key that is kept as it is, in URL-safe base64. None when it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = Zeroizing::new(URL_SAFE.decode(text.trim()).ok()?);
        Some(Self(Zeroizing::new(bytes.as_slice().try_into().ok()?)))
    }

    /// Opens a token. Errs: WrongKey also when it was changed, since only its HMAC could tell the two apart.
    pub fn open(&self, token: &str) -> Result<Zeroizing<Vec<u8>>, Unreadable> {
        let bytes = URL_SAFE.decode(token.trim()).map_err(|_| Unreadable::Damaged)?;
        let (signed, mac) =
            bytes.len().checked_sub(MAC_BYTES).and_then(|at| bytes.split_at_checked(at)).ok_or(Unreadable::Damaged)?;
        let iv = signed.get(IV_AT..IV_AT + IV_BYTES).ok_or(Unreadable::Damaged)?;
        let ciphertext = signed.get(IV_AT + IV_BYTES..).ok_or(Unreadable::Damaged)?;
        if signed.first() != Some(&VERSION) {
            return Err(Unreadable::Damaged);
        }
        let (signing, encrypting) = self.0.split_at(KEY_BYTES / 2);
        let key = hmac::Key::new(hmac::HMAC_SHA256, signing);
        hmac::verify(&key, signed, mac).map_err(|_| Unreadable::WrongKey)?;
        let iv: [u8; IV_BYTES] = iv.try_into().map_err(|_| Unreadable::Damaged)?;
        let mut opened = Zeroizing::new(ciphertext.to_vec());
        let key = UnboundCipherKey::new(&AES_128, encrypting).map_err(|_| Unreadable::Damaged)?;
        let key = PaddedBlockDecryptingKey::cbc_pkcs7(key).map_err(|_| Unreadable::Damaged)?;
        let length = key
            .decrypt(&mut opened, DecryptionContext::Iv128(FixedLength::from(iv)))
            .map_err(|_| Unreadable::Damaged)?
            .len();
        opened.truncate(length);
        Ok(opened)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The token of the specification (github.com/fernet/spec, verify.json).
    const KEY: &str = "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=";
    const TOKEN: &str =
        "gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLLF_5CV9dOPmrhuVUPgJobwOz7JcbmrR64jVmpU4IwqDA==";

    #[test]
    fn the_published_token_is_opened() {
        let key = Fernet::parse(KEY).unwrap();
        assert_eq!(key.open(TOKEN).unwrap().as_slice(), b"hello");
        assert_eq!(Fernet::of_secret("another").open(TOKEN).unwrap_err(), Unreadable::WrongKey);
    }

    #[test]
    fn what_is_no_token() {
        let key = Fernet::parse(KEY).unwrap();
        for bad in ["", "gAAA", "%", &TOKEN[..TOKEN.len() - 8]] {
            assert!(key.open(bad).is_err(), "{bad}");
        }
        let mut changed = URL_SAFE.decode(TOKEN).unwrap();
        changed[30] ^= 1;
        assert_eq!(key.open(&URL_SAFE.encode(changed)).unwrap_err(), Unreadable::WrongKey);
        assert!(Fernet::parse("c2hvcnQ=").is_none());
    }
}
