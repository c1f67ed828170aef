//! The S3 API: socket → parse → authenticate → authorise → one message → reply.

pub mod auth;
pub mod error;
pub mod request_head;
