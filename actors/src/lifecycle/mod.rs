//! Lifecycle: removes what the rules of buckets say is due.
//!
//! It owns nothing: times, rules and what was removed are Storage's, and it works through Storage's client like anybody else. So
//! there is nothing to recover: after a restart it looks again, and what is due is still due.
//!
//! Things become due at midnights only (of a day of `LIFECYCLE_DAY_SECONDS`). So it looks when it starts, when a bucket's rules
//! change, and at each midnight while any rule is in force; each look reads the range of times that can be due, and nothing else.
//! It removes some things at a time and then rests as long as that took: where others keep Storage busy, it takes itself back.

mod actor;
mod client;
mod messages;
#[cfg(test)]
mod tests;
mod worker;

pub use client::LifecycleClient;
pub use messages::{LifecycleError, LifecycleReport, LifecycleTotals};
