//! Websites of buckets (S3 User Guide, "Website endpoints"): anonymous GET and HEAD, index and error documents, redirects, and
//! errors as pages for people.
//!
//! A website's objects are read through the same decision and the same handler as GetObject, so that permissions, conditions
//! and ranges hold as they do there.

mod address;
mod answer;
mod page;

pub use address::{Door, Site, find};
pub use answer::{answer, refusal};
