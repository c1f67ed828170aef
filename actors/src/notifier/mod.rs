//! The notifier: tells webhooks of what happens to objects (S3 User Guide, "Amazon S3 Event Notifications").
//!
//! Storage commits an event together with its change (`storage/plan/events.rs`); the notifier reads these rows queue by queue —
//! a queue is what one target has to be told of one bucket — sends them, and removes a row once its target has answered. So an
//! event is told at least once, whatever happens in between. Events of one key are told one after the other; those of several
//! keys, and of several queues, at once. A target that cannot be reached holds up nothing but its own queue, which waits longer
//! and longer; what cannot be told for too long, or is refused again and again, goes to the dead ones, where people see it.
//!
//! `schedule` (which event next), `backoff`, `arn` and `document` are pure; `deliver` is the only one that knows HTTP.

mod actor;
mod arn;
mod backoff;
mod client;
mod deliver;
mod document;
mod error;
mod messages;
mod schedule;
mod webhooks;

pub use client::{BucketEvents, NotifierClient, NotifierSettings, TargetEvents};
pub use document::record;
pub use error::NotifierError;
pub use messages::{FailingEvent, TestSender};
