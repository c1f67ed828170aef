//! Who wraps data keys in tests: master keys that are told by their names.

use sha2::{Digest as _, Sha256};

use crate::encryption::{
    CHUNK_BYTES, DataKey, Encryption, EncryptionContext, Envelope, HEAD_BYTES, Method, ObjectName, SegmentHead,
    SegmentKey, TAG_BYTES, chunk_count, plain_size,
};
use crate::storage::Bucket;

/// The master key of this name.
fn master(name: &str) -> DataKey {
    DataKey::from_bytes(&Sha256::digest(name).into())
}

fn arn(bucket: &Bucket, key: &str) -> Vec<u8> {
    ObjectName { bucket: bucket.name.as_str(), key }.arn().into_bytes()
}

fn wrap(master_name: &str, data_key: &DataKey, bucket: &Bucket, key: &str, method: Method) -> Encryption {
    let wrapped_key = master(master_name).wrap(data_key, &arn(bucket, key)).unwrap();
    Encryption { method, wrapped_key }
}

/// A fresh data key for an object, under the master key of this name.
pub fn managed(master_name: &str, bucket: &Bucket, key: &str) -> Envelope {
    let data_key = DataKey::random().unwrap();
    let method = Method::Managed { master: master_name.to_owned() };
    Envelope { encryption: wrap(master_name, &data_key, bucket, key, method), key: data_key }
}

/// The same, told to be under a KMS key.
pub fn kms(key_id: &str, bucket: &Bucket, key: &str) -> Envelope {
    let data_key = DataKey::random().unwrap();
    Envelope { encryption: wrap(key_id, &data_key, bucket, key, kms_method(key_id, 1)), key: data_key }
}

fn kms_method(key_id: &str, version: u32) -> Method {
    let context: EncryptionContext = [("tenant", "x")].into_iter().collect();
    Method::Kms { key_id: key_id.to_owned(), version, context, bucket_key: false }
}

/// The data key of an object.
pub fn open(encryption: &Encryption, bucket: &Bucket, key: &str) -> DataKey {
    let master_name = match &encryption.method {
        Method::Managed { master } => master,
        Method::Kms { key_id, .. } => key_id,
        Method::Customer(_) => panic!("only its customer has the key"),
    };
    master(master_name).unwrap(&encryption.wrapped_key, &arn(bucket, key)).unwrap()
}

/// The same data key under another master key.
pub fn rewrapped(encryption: &Encryption, bucket: &Bucket, key: &str, to: &str) -> Encryption {
    let data_key = open(encryption, bucket, key);
    let method = match encryption.method {
        Method::Kms { version, .. } => kms_method(to, version + 1),
        _ => Method::Managed { master: to.to_owned() },
    };
    wrap(to, &data_key, bucket, key, method)
}

/// The plaintext of a whole file, or of one part.
pub fn unseal(sealed: &[u8], data_key: &DataKey) -> Vec<u8> {
    let (mut plain, mut rest) = (Vec::new(), sealed);
    while !rest.is_empty() {
        let head = SegmentHead::parse(&rest[..HEAD_BYTES]).unwrap();
        let size = head.size.unwrap_or_else(|| plain_size(rest.len() as u64).unwrap());
        let key = SegmentKey::derive(data_key, &head).unwrap();
        rest = &rest[HEAD_BYTES..];
        let (mut left, chunks) = (size as usize, chunk_count(size));
        for number in 0..chunks {
            let (chunk, others) = rest.split_at(left.min(CHUNK_BYTES) + TAG_BYTES);
            let mut chunk = chunk.to_vec();
            let opened = key.open(number, number + 1 == chunks, &mut chunk).unwrap();
            plain.extend_from_slice(&chunk[..opened]);
            (rest, left) = (others, left - opened);
        }
    }
    plain
}
