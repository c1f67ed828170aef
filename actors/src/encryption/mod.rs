//! Encryption at rest: the format of sealed files, data keys, and what is kept of how an object is sealed. Pure rules; who
//! wraps data keys is the KMS, or the customer.
//!
//! Each object has a *data key* of its own, 32 random bytes. It is kept *wrapped*: under the master key (SSE-S3), a KMS key
//! (SSE-KMS) or the customer's key (SSE-C). Bytes are sealed in *segments*, one for an object that a single request wrote,
//! else one for each part; each segment has a key of its own, derived from the data key and its random salt.
//! `docs/encryption.md` describes the format byte by byte.

mod context;
mod customer;
mod data_key;
mod envelope;
mod error;
mod segment;
mod size;
mod wrapping_key;

pub use context::EncryptionContext;
pub use customer::{CustomerCheck, CustomerKey};
pub use data_key::DataKey;
pub use envelope::{Encryption, Envelope, Method, ObjectName};
pub use error::EncryptionError;
pub use segment::{HEAD_BYTES, SegmentHead, SegmentKey};
pub use size::{CHUNK_BYTES, TAG_BYTES, chunk_count, plain_size, sealed_size};
pub use wrapping_key::WrappingKey;
