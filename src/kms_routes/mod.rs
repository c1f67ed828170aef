//! The node's own routes of KMS, `/kms/…`, in JSON.

pub mod client;
