//! Storage as its client sees it.

mod fixtures;
mod node;
