//! Storage as its client sees it.

mod crash;
mod edits;
mod envelopes;
mod events;
mod fixtures;
mod fsck;
mod lifecycle;
mod node;
mod sealed;
mod sealed_edits;
mod sealed_fsck;
mod versions;
