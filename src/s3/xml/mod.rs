//! XML of the S3 API: a bounded reader, typed request documents, and a small writer.
//!
//! Nothing else in the crate parses or prints XML, so the limits, the refusal of DTDs and the escaping stand in one
//! place each.

pub mod access;
pub mod client;
pub mod cors;
pub mod encryption;
pub mod lifecycle;
pub mod logging;
pub mod notification;
pub mod object_lock;
pub mod read;
pub mod replication;
pub mod requests;
pub mod switches;
pub mod tagging;
pub mod versioning;
pub mod website;
pub mod write;

pub use read::{Element, MalformedXml};
pub use write::{XmlWriter, time_text};
