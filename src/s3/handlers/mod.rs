//! One file per family of operations: extract, one message to Storage, respond.

pub mod list_buckets;
pub mod list_objects;
pub mod list_versions;
pub mod listing;
