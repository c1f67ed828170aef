//! Quotas: how full they are, promises to bodies under way, and the decision inside the commit.
//!
//! A quota has an account in the [`Ledger`], which two parties share under one lock. The committer, which alone knows what will be
//! there once everything that was accepted is durable, posts what each transaction changes; this is where a write is refused for
//! good. A request reserves what its body will take before it takes the first byte; the reservation goes with the body to the
//! committer and is settled by the very posting that counts the object, so nothing is counted twice, nor free in between.
//! Dropping it anywhere on the way frees it.
//!
//! What a bucket holds is its usage, which every commit keeps anyway. For prefixes and users there are meters ([`meters`]): rows
//! that exist while a quota asks for them.

mod client;
mod estimate;
pub(super) mod ledger;
pub(super) mod meters;

pub(super) use estimate::{Growing, Reserved, refused};
pub(super) use ledger::{Charge, Ledger, Posting};
