//! Routes of the node's own beside the S3 API.

pub mod health;
