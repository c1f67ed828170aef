//! Storage as its client sees it.

mod crash;
mod edits;
mod events;
mod fixtures;
mod fsck;
mod lifecycle;
mod node;
mod peeked;
mod sealed;
mod versions;
