//! How short texts (data keys, materials, what clients encrypt) are sealed under a key of the KMS.
//!
//! 16 bytes of salt, then AES-256-GCM under a key that HKDF-SHA256 (RFC 5869, expansion only) makes of key, purpose and salt. No two
//! messages share a key, so there is no number of them after which random nonces would have to be feared, and what was sealed
//! for one purpose does not open for another.

use aes_gcm::aead::{Aead as _, KeyInit as _, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::encryption::{DataKey, EncryptionError};

const SALT_BYTES: usize = 16;
const TAG_BYTES: usize = 16;
const NONCE_BYTES: usize = 12;
/// By how many bytes what is sealed is longer.
pub(super) const OVERHEAD_BYTES: usize = SALT_BYTES + TAG_BYTES;

/// What is sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The data key of an object, under the master key.
    ManagedObject,
    /// The data key of an object, under a material.
    KmsObject,
    /// What a client has encrypted, under a material.
    Blob,
    /// A material, under the master key.
    Material,
}

impl Purpose {
    fn label(self) -> &'static [u8] {
        match self {
            Self::ManagedObject => b"myfsio sse-s3 data key v1",
            Self::KmsObject => b"myfsio sse-kms data key v1",
            Self::Blob => b"myfsio kms ciphertext v1",
            Self::Material => b"myfsio kms key material v1",
        }
    }
}

/// Salt, ciphertext and tag of `plain`. `about` must be given again to open it. Errs: NoRandomness.
pub(super) fn seal(key: &DataKey, purpose: Purpose, plain: &[u8], about: &[u8]) -> Result<Vec<u8>, EncryptionError> {
    let mut salt = [0; SALT_BYTES];
    getrandom::fill(&mut salt).map_err(|_| EncryptionError::NoRandomness)?;
    let cipher = cipher(key, purpose, &salt)?;
    let payload = Payload { msg: plain, aad: about };
    let sealed = cipher.encrypt(&Nonce::from([0; NONCE_BYTES]), payload).map_err(|_| EncryptionError::WrongKey)?;
    Ok([salt.as_slice(), &sealed].concat())
}

/// Opens what [`seal`] gave. Errs: WrongKey.
pub(super) fn open(
    key: &DataKey,
    purpose: Purpose,
    sealed: &[u8],
    about: &[u8],
) -> Result<Zeroizing<Vec<u8>>, EncryptionError> {
    let (salt, sealed) = sealed.split_first_chunk::<SALT_BYTES>().ok_or(EncryptionError::WrongKey)?;
    let payload = Payload { msg: sealed, aad: about };
    let plain = cipher(key, purpose, salt)?.decrypt(&Nonce::from([0; NONCE_BYTES]), payload);
    plain.map(Zeroizing::new).map_err(|_| EncryptionError::WrongKey)
}

/// The same for what is a key itself.
pub(super) fn open_key(
    key: &DataKey,
    purpose: Purpose,
    sealed: &[u8],
    about: &[u8],
) -> Result<DataKey, EncryptionError> {
    let plain = open(key, purpose, sealed, about)?;
    let bytes: &[u8; 32] = plain.as_slice().try_into().map_err(|_| EncryptionError::WrongKey)?;
    Ok(DataKey::from_bytes(bytes))
}

/// The cipher of one message. SAFETY OF ORDER: its nonce is always zero, so it must never seal twice.
fn cipher(key: &DataKey, purpose: Purpose, salt: &[u8; SALT_BYTES]) -> Result<Aes256Gcm, EncryptionError> {
    let mut derived = Zeroizing::new([0; 32]);
    let kdf = Hkdf::<Sha256>::from_prk(key.expose()).map_err(|_| EncryptionError::WrongKey)?;
    // The salt has one length, so that label and salt cannot be mistaken for another pair.
    kdf.expand_multi_info(&[purpose.label(), salt], &mut *derived).map_err(|_| EncryptionError::WrongKey)?;
    Ok(Aes256Gcm::new((&*derived).into()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PURPOSES: [Purpose; 4] = [Purpose::ManagedObject, Purpose::KmsObject, Purpose::Blob, Purpose::Material];

    #[test]
    fn it_opens_for_its_own_purpose_only() {
        let key = DataKey::from_bytes(&[1; 32]);
        for purpose in PURPOSES {
            let sealed = seal(&key, purpose, b"plain", b"about").unwrap();
            assert_eq!(sealed.len(), 5 + OVERHEAD_BYTES);
            for other in PURPOSES {
                assert_eq!(open(&key, other, &sealed, b"about").is_ok(), other == purpose);
            }
            assert_ne!(sealed, seal(&key, purpose, b"plain", b"about").unwrap(), "salted");
        }
    }

    #[test]
    fn only_32_bytes_are_a_key() {
        let key = DataKey::from_bytes(&[1; 32]);
        for (bytes, is_key) in [(31, false), (32, true), (33, false)] {
            let sealed = seal(&key, Purpose::Material, &vec![9; bytes], b"").unwrap();
            assert_eq!(open_key(&key, Purpose::Material, &sealed, b"").is_ok(), is_key);
        }
    }

    /// What `docs/kms.md` says, computed by other means (Python's `cryptography`).
    #[test]
    fn the_format_is_the_documented_one() {
        let key = DataKey::from_bytes(&std::array::from_fn(|at| at as u8));
        let sealed = hex::decode(VECTOR).unwrap();
        assert_eq!(&**open(&key, Purpose::Blob, &sealed, b"about").unwrap(), b"attack at dawn");
    }

    const VECTOR: &str = "6465666768696a6b6c6d6e6f7071727372a4ca22834c3b66e724747a339e50e39b94a886c1c354a4f65046b827dc";

    proptest! {
        #[test]
        fn any_other_byte_key_or_purpose_is_refused(
            plain in prop::collection::vec(any::<u8>(), 0..80),
            about in prop::collection::vec(any::<u8>(), 0..20),
            key in any::<[u8; 32]>(),
            at in any::<prop::sample::Index>(),
            bit in 0..8u32,
        ) {
            let own = DataKey::from_bytes(&key);
            let sealed = seal(&own, Purpose::Blob, &plain, &about).unwrap();
            prop_assert_eq!(&**open(&own, Purpose::Blob, &sealed, &about).unwrap(), &plain[..]);
            let mut bent = sealed.clone();
            bent[at.index(sealed.len())] ^= 1 << bit;
            prop_assert!(open(&own, Purpose::Blob, &bent, &about).is_err());
            prop_assert!(open(&own, Purpose::Blob, &sealed[..at.index(sealed.len())], &about).is_err());
            let mut other = key;
            other[at.index(32)] ^= 1 << bit;
            prop_assert!(open(&DataKey::from_bytes(&other), Purpose::Blob, &sealed, &about).is_err());
            prop_assert!(open(&own, Purpose::Blob, &sealed, &[&about[..], b"x"].concat()).is_err());
        }
    }
}
