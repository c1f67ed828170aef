//! The QuotaTracker: which quotas there are, that what they are of is counted, and who is told when one fills up.
//!
//! Quotas of buckets are configured with the bucket; those of users stand with the users, in `iam.json`. What they allow is decided in
//! Storage's commit (docs/decisions.md says why), so this actor owns no numbers: it brings the users' quotas to Storage, also after a
//! hand edit, has meters count what was there before, and tells of warning thresholds in the log.

mod actor;
mod client;
mod error;
mod messages;
#[cfg(test)]
mod tests;
mod worker;

pub use client::QuotaTrackerClient;
pub use error::QuotaError;
