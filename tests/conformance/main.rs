//! The node as its clients and its operators see it, and its tables as the documents tell of them. One program for all of it: each would
//! take in the whole node anew.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../support/mod.rs"]
mod support;

mod authorization_coverage;
mod compatibility;
mod maintenance;
mod raw_http;
mod sdk;
