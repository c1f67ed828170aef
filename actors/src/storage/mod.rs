//! Storage: buckets, objects, versions, uploads.

mod body;
mod client;
mod error;
mod messages;
mod read;

pub use body::{BodyWriter, DigestPlan, Digests, FinishedBody};
pub use client::StorageClient;
pub use error::StorageError;
pub use messages::*;
pub use read::{ObjectPart, ObjectReader, OpenObject};
