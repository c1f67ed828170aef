//! MyFSIO: a single-node S3 server whose objects stay plain files.

pub mod node;
pub mod s3;
