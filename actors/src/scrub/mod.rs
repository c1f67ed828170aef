//! Scrub: all stored bytes are read now and then, slowly, and compared with their checksums, before somebody needs them.
//!
//! It owns nothing but how far it is and what it has found, which Storage keeps in a row: after a restart it goes on where it was. It
//! works through Storage's client like anybody else and takes itself back where others are at work. What is damaged is not served any
//! more; where the bucket is replicated, right bytes are fetched from there ([`Replicas`]).

mod actor;
mod client;
mod messages;
mod replicas;
mod report;
mod verify;
mod worker;

pub use client::{ScrubClient, ScrubSettings, ScrubTotals};
pub use messages::ScrubError;
pub use replicas::{NoReplicas, ReplicaFuture, Replicas, Wanted};
pub use report::{FindingOutcome, ScrubFinding, ScrubOrder, ScrubReport, ScrubRun, ScrubState};
