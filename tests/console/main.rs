//! The console over HTTP, as browsers without scripts see it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../support/browser.rs"]
mod browser;
#[path = "../support/mod.rs"]
mod support;

mod access;
mod account;
mod attributes;
mod buckets;
mod commands;
mod compare;
mod copies;
mod create;
mod encrypted;
mod forgery;
mod go;
mod groups;
mod help;
mod home;
mod iam;
mod jobs;
mod kms;
mod links;
mod matrix;
mod monitor;
mod names;
mod node;
mod object_list;
mod objects;
mod preview;
mod preview_origin;
mod properties;
mod replication;
mod sessions;
mod shell;
mod space;
mod trace;
mod transfer;
mod undo;
mod world;
