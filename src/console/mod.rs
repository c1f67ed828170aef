//! The console: pages for people, rendered here and complete without JavaScript.
//!
//! A request goes session → row of the table of routes ([`route`]) → handler of a page (`pages/<screen>.rs`) → template
//! (`templates/<screen>/`). Whatever a page reads or changes it asks for in the name of whoever has signed in
//! ([`crate::within`]), so that nothing is decided here that the API would decide otherwise: what a page hides is decoration.
//!
//! `docs/console.md` tells how a screen is added.

mod address;
mod agent;
mod assets;
mod commands;
mod cookies;
mod counts;
mod csrf;
mod csv;
mod diff;
mod effort;
mod failure;
mod forms;
pub mod front;
mod headers;
mod help;
mod layout;
mod links;
mod notice;
mod pages;
pub(crate) mod parquet;
mod preview_origin;
mod qr;
pub mod route;
mod screens;
mod service;
mod socket;
mod sorting;
mod store;
mod text;
mod traffic;
mod undo;
mod units;
mod upload_form;
mod visit;
mod zip;

use std::path::PathBuf;
use std::sync::Arc;

use myfsio_actors::seal::Sealer;

pub use address::BaseUrl;
pub use preview_origin::PreviewOrigin;
pub use service::answer;
pub use socket::{ConsoleSocket, listen};
pub use store::Sessions;

use crate::node::Node;

/// Settings of the console.
#[derive(Debug, Clone)]
pub struct ConsoleSettings {
    /// The API's port, as it is bound.
    pub api_port: u16,
    /// Rows on one page of a listing.
    pub page_size: usize,
    /// Where browsers reach the console, if that is not the request's own host.
    pub base_url: Option<BaseUrl>,
    /// Where previews are shown that no page of the console may show itself; none shows none.
    pub preview_origin: Option<PreviewOrigin>,
    /// File of the sessions.
    pub sessions_path: PathBuf,
}

/// The console of a node.
#[derive(Debug)]
pub struct Console {
    /// The node.
    node: Arc<Node>,
    settings: ConsoleSettings,
    sessions: Sessions,
    assets: assets::Assets,
    /// What folders take, as far as it is counted.
    counts: counts::Counts,
    /// Seals what browsers carry from here to the origin of previews.
    sealer: Sealer,
}

impl Console {
    /// The console of a node. Sessions of the last run go on.
    pub fn new(node: Arc<Node>, settings: ConsoleSettings, sealer: Sealer) -> Self {
        let sessions = Sessions::open(settings.sessions_path.clone(), node.clock.now());
        Self { node, settings, sessions, assets: assets::Assets::load(), counts: counts::Counts::default(), sealer }
    }

    /// The node that it shows.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Writes down who is signed in.
    pub fn stop(&self) {
        self.sessions.save();
    }
}
