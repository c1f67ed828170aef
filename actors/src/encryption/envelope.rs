//! What is kept of how an object is sealed.

use super::{CustomerCheck, DataKey, EncryptionContext};

/// The name of an object, to which its wrapped data key is bound: the files of two objects cannot be swapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectName<'a> {
    /// Its bucket.
    pub bucket: &'a str,
    /// Its key.
    pub key: &'a str,
}

impl ObjectName<'_> {
    /// Its ARN.
    pub fn arn(&self) -> String {
        format!("arn:aws:s3:::{}/{}", self.bucket, self.key)
    }
}

/// Under whose key a data key is wrapped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Method {
    /// The node's master key (SSE-S3, `AES256`).
    Managed {
        /// Id of the master key.
        master: String,
    },
    /// A KMS key (SSE-KMS, `aws:kms`).
    Kms {
        /// Id of the key.
        key_id: String,
        /// Version of its material.
        version: u32,
        /// What the client asked to be authenticated as well.
        context: EncryptionContext,
        /// `x-amz-server-side-encryption-bucket-key-enabled`: told back as it was asked for; the data key is the object's own.
        bucket_key: bool,
    },
    /// The customer's key (SSE-C).
    Customer(CustomerCheck),
}

/// How an object, or what an upload will make one of, is sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encryption {
    /// Under whose key.
    pub method: Method,
    /// The data key, wrapped.
    pub wrapped_key: Vec<u8>,
}

impl Encryption {
    /// Whether the ETag must not be the MD5 of the plaintext (S3 API Reference, "Object", ETag).
    pub fn hides_etag(&self) -> bool {
        !matches!(self.method, Method::Managed { .. })
    }
}

/// A data key, and what is kept of it.
#[derive(Debug, Clone)]
pub struct Envelope {
    /// Seals the bytes; never kept.
    pub key: DataKey,
    /// Goes into the object's row.
    pub encryption: Encryption,
}
