//! The master key and what follows from it: its id, the value by which it is recognised, and the keys that it seals with. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::error::KmsError;
use crate::encryption::{DataKey, EncryptionError};

const SALT: &[u8] = b"myfsio master key v1";

/// The 32 bytes that `text` writes in base64, white space around it ignored.
pub(super) fn decode(text: &str) -> Option<DataKey> {
    let bytes = Zeroizing::new(STANDARD.decode(text.trim()).ok()?);
    Some(DataKey::from_bytes(bytes.as_slice().try_into().ok()?))
}

/// What follows from a master key by HKDF-SHA256, each part by itself.
#[derive(Debug)]
pub(super) struct MasterKey {
    /// Names it: 16 hexadecimal digits.
    pub id: String,
    /// Tells it from every other key, in `kms_keys.json`: 64 hexadecimal digits, from which nothing can be computed back.
    pub check: String,
    /// Seals data keys of objects (SSE-S3).
    pub objects: DataKey,
    /// Seals materials of KMS keys.
    pub materials: DataKey,
}

impl MasterKey {
    pub fn derive(key: &DataKey) -> Result<Self, EncryptionError> {
        let kdf = Hkdf::<Sha256>::new(Some(SALT), key.expose());
        let part = |info: &[u8], bytes: &mut [u8]| kdf.expand(info, bytes).map_err(|_| EncryptionError::WrongKey);
        let (mut id, mut check) = ([0; 8], [0; 32]);
        let (mut objects, mut materials) = (Zeroizing::new([0; 32]), Zeroizing::new([0; 32]));
        part(b"id", &mut id)?;
        part(b"check value", &mut check)?;
        part(b"sse-s3 wrapping key", &mut *objects)?;
        part(b"kms sealing key", &mut *materials)?;
        Ok(Self {
            id: hex::encode(id),
            check: hex::encode(check),
            objects: DataKey::from_bytes(&objects),
            materials: DataKey::from_bytes(&materials),
        })
    }
}

/// The master key in force, which seals and opens, and former ones, which only open.
#[derive(Debug)]
pub(super) struct Masters {
    pub current: MasterKey,
    previous: Vec<MasterKey>,
}

impl Masters {
    pub fn new(current: &DataKey, previous: &[DataKey]) -> Result<Self, EncryptionError> {
        let previous: Result<Vec<MasterKey>, EncryptionError> = previous.iter().map(MasterKey::derive).collect();
        Ok(Self { current: MasterKey::derive(current)?, previous: previous? })
    }

    /// Ids, that of the one in force first.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.current).chain(&self.previous).map(|key| key.id.as_str())
    }

    /// Errs: UnknownMasterKey.
    pub fn find(&self, id: &str) -> Result<&MasterKey, KmsError> {
        let mut keys = std::iter::once(&self.current).chain(&self.previous);
        keys.find(|key| key.id == id).ok_or_else(|| KmsError::UnknownMasterKey { id: id.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_of_32_bytes_is_a_key() {
        let text = STANDARD.encode([7; 32]);
        assert_eq!(decode(&format!(" {text}\n")).unwrap().expose(), &[7; 32]);
        for bad in [
            "",
            "AAAA",
            &text[1..],
            &STANDARD.encode([7; 31]),
            &STANDARD.encode([7; 33]),
            "!!!!",
            &hex::encode([7; 32]),
        ] {
            assert!(decode(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn every_part_is_its_own() {
        let key = MasterKey::derive(&DataKey::from_bytes(&[7; 32])).unwrap();
        let again = MasterKey::derive(&DataKey::from_bytes(&[7; 32])).unwrap();
        assert_eq!((&key.id, &key.check), (&again.id, &again.check));
        assert_ne!(key.objects.expose(), key.materials.expose());
        assert_ne!(hex::encode(key.objects.expose()), key.check);
        let masters = Masters::new(&DataKey::from_bytes(&[8; 32]), &[DataKey::from_bytes(&[7; 32])]).unwrap();
        assert_eq!(masters.find(&key.id).unwrap().check, key.check);
        assert_eq!(masters.ids().collect::<Vec<_>>(), [masters.current.id.as_str(), key.id.as_str()]);
        assert!(matches!(masters.find("00"), Err(KmsError::UnknownMasterKey { .. })));
        assert!(!format!("{masters:?}").contains(&hex::encode(key.objects.expose())));
    }
}
