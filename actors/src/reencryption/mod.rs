//! Reencryption: data keys are wrapped under the newest key material, or objects are written anew with fresh data keys.
//!
//! It owns nothing but how far it is, which Storage keeps in a row: after a restart it goes on where it was. It works through
//! Storage's client like anybody else, page by page, and rests as long as a page took: where others keep Storage busy, it takes
//! itself back. Wrapping anew touches rows and tags only; no object gets another time, version or ETag by it. What is there
//! already as it should be is passed over, so doing it twice costs a look.

mod actor;
mod client;
mod job;
mod messages;
#[cfg(test)]
mod tests;
mod walk;
mod worker;

pub use client::ReencryptionClient;
pub use job::{Job, JobOrder, JobState};
pub use messages::ReencryptionError;
