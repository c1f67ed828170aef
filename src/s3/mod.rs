//! The S3 API: socket → parse → authenticate → authorise → one message → reply.

pub mod error;
pub mod listing_token;
pub mod xml;
