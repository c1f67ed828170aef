//! Replication as HTTP: the S3 client by which the worker sends changes to other nodes and services.
//!
//! The worker (`myfsio_actors::replication_worker`) decides what is sent and when; this says it in requests. What other nodes send
//! comes in through the S3 API as any other request (`s3::replica`).

mod client;
mod content;
pub mod handshake;
mod object;
mod peer;
mod sign;
mod target;
mod uploads;

pub use peer::HttpPeer;
