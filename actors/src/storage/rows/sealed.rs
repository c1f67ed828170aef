//! How an object is sealed, as rows tell it.

use minicbor::bytes::{ByteArray, ByteVec};
use minicbor::{Decode, Encode};

use crate::encryption::{CustomerCheck, Encryption, EncryptionContext, Method, WrappingKey};
use crate::storage::StorageError;
use crate::storage::messages::{KeyUse, Sealed};

const MANAGED: u8 = 1;
const KMS: u8 = 2;
const CUSTOMER: u8 = 3;

/// Under whose key a data key is wrapped, and the wrapped key.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub(in crate::storage) struct EncryptionRow {
    /// 1: the master key, 2: a KMS key, 3: the customer's.
    #[n(0)]
    pub method: u8,
    #[n(1)]
    pub wrapped_key: ByteVec,
    /// Id of the master key or of the KMS key.
    #[n(2)]
    pub key: Option<String>,
    /// Version of the KMS key's material.
    #[n(3)]
    pub version: Option<u32>,
    #[n(4)]
    pub context: Option<Vec<(String, String)>>,
    #[n(5)]
    pub bucket_key: Option<bool>,
    /// Salt and HMAC of the customer's key.
    #[n(6)]
    pub check: Option<(ByteArray<16>, ByteArray<32>)>,
}

/// How an object's bytes are sealed.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub(in crate::storage) struct SealedRow {
    #[n(0)]
    pub encryption: EncryptionRow,
    /// Bytes on disk.
    #[n(1)]
    pub size: u64,
    /// CRC-64/NVME of these.
    #[n(2)]
    pub crc64nvme: u64,
    /// Number of segments of an object that came in parts and counts as written by a single request; absent of all others.
    #[n(3)]
    pub segments: Option<u16>,
}

impl EncryptionRow {
    pub fn of(encryption: &Encryption) -> Self {
        let wrapped_key = encryption.wrapped_key.clone().into();
        let row = |method, key: Option<&String>| Self {
            method,
            wrapped_key,
            key: key.cloned(),
            version: None,
            context: None,
            bucket_key: None,
            check: None,
        };
        match &encryption.method {
            Method::Managed { master } => row(MANAGED, Some(master)),
            Method::Kms { key_id, version, context, bucket_key } => {
                let pairs = || context.0.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
                Self {
                    version: Some(*version),
                    context: (!context.is_empty()).then(pairs),
                    bucket_key: bucket_key.then_some(true),
                    ..row(KMS, Some(key_id))
                }
            }
            Method::Customer(CustomerCheck { salt, mac }) => {
                Self { check: Some(((*salt).into(), (*mac).into())), ..row(CUSTOMER, None) }
            }
        }
    }

    /// The key under which the data key is wrapped; none when the row does not tell.
    pub fn wrapping_key(&self) -> Option<WrappingKey> {
        match self.method {
            MANAGED => self.key.clone().map(WrappingKey::Managed),
            KMS => self.key.clone().map(WrappingKey::Kms),
            CUSTOMER => Some(WrappingKey::Customer),
            _ => None,
        }
    }

    pub fn into_encryption(self) -> Result<Encryption, StorageError> {
        let malformed = || StorageError::Index("a row does not tell how its object is sealed".to_owned());
        let method = match self.method {
            MANAGED => Method::Managed { master: self.key.ok_or_else(malformed)? },
            KMS => Method::Kms {
                key_id: self.key.ok_or_else(malformed)?,
                version: self.version.ok_or_else(malformed)?,
                context: EncryptionContext::from_iter(self.context.unwrap_or_default()),
                bucket_key: self.bucket_key.unwrap_or(false),
            },
            CUSTOMER => {
                let (salt, mac) = self.check.ok_or_else(malformed)?;
                Method::Customer(CustomerCheck { salt: salt.into(), mac: mac.into() })
            }
            _ => return Err(malformed()),
        };
        Ok(Encryption { method, wrapped_key: self.wrapped_key.into() })
    }
}

/// How much is wrapped under a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
pub(in crate::storage) struct KeyUseRow {
    /// Objects, and versions that are not current.
    #[n(0)]
    pub objects: u64,
    /// Uploads in progress.
    #[n(1)]
    pub uploads: u64,
}

impl From<KeyUseRow> for KeyUse {
    fn from(row: KeyUseRow) -> Self {
        Self { objects: row.objects, uploads: row.uploads }
    }
}

impl From<KeyUse> for KeyUseRow {
    fn from(used: KeyUse) -> Self {
        Self { objects: used.objects, uploads: used.uploads }
    }
}

impl SealedRow {
    pub fn of(sealed: &Sealed) -> Self {
        let Sealed { encryption, size, crc64nvme, segments } = sealed;
        let encryption = EncryptionRow::of(encryption);
        Self { encryption, size: *size, crc64nvme: *crc64nvme, segments: *segments }
    }

    pub fn into_sealed(self) -> Result<Sealed, StorageError> {
        let Self { encryption, size, crc64nvme, segments } = self;
        Ok(Sealed { encryption: encryption.into_encryption()?, size, crc64nvme, segments })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::rows::{decode, encode};

    #[test]
    fn each_method_goes_both_ways() {
        let context: EncryptionContext = [("project", "x"), ("a", "")].into_iter().collect();
        let kms = |context, bucket_key| Method::Kms { key_id: "k".to_owned(), version: 7, context, bucket_key };
        let methods = [
            Method::Managed { master: "0a1b2c3d".to_owned() },
            kms(context, true),
            kms(EncryptionContext::default(), false),
            Method::Customer(CustomerCheck { salt: [3; 16], mac: [4; 32] }),
        ];
        for method in methods {
            let encryption = Encryption { method, wrapped_key: vec![1; 60] };
            let sealed = Sealed { encryption, size: 72, crc64nvme: 9, segments: None };
            for sealed in [Sealed { segments: Some(2), ..sealed.clone() }, sealed] {
                let row: SealedRow = decode(&encode(&SealedRow::of(&sealed)).unwrap()).unwrap();
                assert_eq!(row.encryption.wrapping_key(), Some(sealed.encryption.wrapping_key()));
                assert_eq!(row.into_sealed().unwrap(), sealed);
            }
        }
        let broken = EncryptionRow {
            method: 9,
            ..EncryptionRow::of(&Encryption { method: Method::Managed { master: String::new() }, wrapped_key: vec![] })
        };
        assert!(broken.into_encryption().is_err());
    }
}
