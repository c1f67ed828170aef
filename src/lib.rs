//! MyFSIO: a single-node S3 server whose objects stay plain files.

pub mod admin;
pub mod node;
pub mod s3;
pub mod server;
