//! What benches measure beyond the public interface: each function sets one pure hot path up and gives a closure that runs
//! it once. Not part of the node: built with the feature `internals` only.

pub use crate::policy_engine::measured::{Statements, decision, refusal};
pub use crate::storage::measured::{batch_encoding, listing_page, row_decoding, row_encoding};
