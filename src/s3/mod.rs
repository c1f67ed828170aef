//! The S3 API: socket → parse → authenticate → authorise → one message → reply.

pub mod acl;
pub mod auth;
pub mod authorize;
pub mod body;
mod bucket_changes;
pub mod checksum;
pub mod conditional;
pub mod context;
pub mod controls;
pub mod cors;
pub mod dispatch;
pub mod error;
pub mod exchange;
pub mod handlers;
pub mod headers;
pub mod listing_token;
pub mod operation;
pub mod preflight;
pub mod query;
pub mod range;
pub mod request_head;
pub mod requester_pays;
pub mod respond;
pub mod route;
pub mod storage_error;
pub mod website;
pub mod xml;
