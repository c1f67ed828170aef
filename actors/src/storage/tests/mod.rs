//! Storage as its client sees it.

mod edits;
mod fixtures;
mod fsck;
mod node;
