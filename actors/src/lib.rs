//! The actors that own MyFSIO's state.
//!
//! An actor is the single writer of its state. It is a folder of `messages` (what may be asked), pure rules (plain
//! functions and structs without I/O, clock or async), an `actor` (thin: one line per message), a `client` (the only way
//! in) and an `error`. What is asked on every request, the owner publishes as an immutable snapshot behind its client;
//! every change goes through the mailbox. Bodies of objects never do.
//!
//! Nothing in this crate knows HTTP or XML.

pub mod address;
pub mod audit;
pub mod bucket_config;
pub mod call;
pub mod clock;
pub mod earlier;
pub mod encryption;
#[cfg(any(test, feature = "internals"))]
pub mod fuzzing;
pub mod iam;
pub mod json_store;
pub mod kms;
pub mod lifecycle;
#[cfg(feature = "internals")]
pub mod measured;
pub mod names;
pub mod notifier;
pub mod outgoing;
mod pace;
pub mod policy_engine;
pub mod quota_tracker;
pub mod rate;
pub mod reencryption;
pub mod replication_worker;
pub mod scrub;
pub mod seal;
pub mod storage;
