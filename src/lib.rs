//! MyFSIO: a single-node S3 server whose objects stay plain files.
//!
//! `config` and `cli` say what is wanted, `start` starts and stops it, `server` takes requests from sockets, `s3`, `aws`
//! and `admin` answer them by asking the actors of the crate `myfsio_actors`.

pub mod access_log;
pub mod admin;
pub mod admin_socket;
pub mod aws;
pub mod backup;
pub mod cli;
pub mod config;
pub mod connection;
pub mod connections;
pub mod console;
mod constraint;
mod data_owner;
pub mod decisions;
#[cfg(any(test, feature = "internals"))]
pub mod fuzzing;
pub mod import;
pub mod jobs;
mod key_uses;
pub mod kms;
mod limits;
mod memory;
pub mod metrics;
pub mod node;
mod page;
pub mod private_socket;
mod readiness;
pub mod replication;
pub mod requests;
pub mod s3;
pub mod self_check;
pub mod server;
pub mod spans;
mod start;
pub mod telemetry;
pub mod tls;
pub mod within;

pub use myfsio_client_encryption as client_encryption;
pub use start::{RunError, run};
