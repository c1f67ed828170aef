//! What the terminal is told of a node that has started.

use std::io::{self, Write as _};
use std::net::SocketAddr;

use myfsio_actors::iam::SeededAdmin;

use crate::config::Config;

/// Where the node listens.
#[derive(Debug, Clone, Copy)]
pub(super) struct Addresses {
    pub(super) scheme: &'static str,
    pub(super) api: SocketAddr,
    pub(super) console: Option<SocketAddr>,
    pub(super) websites: Option<SocketAddr>,
}

pub(super) fn first_administrator(admin: &SeededAdmin) -> String {
    let (key, secret) = (admin.access_key.as_str(), admin.secret_key.expose());
    let note = if admin.well_known { "well known, for this machine only" } else { "shown only now" };
    format!("  access key  {key}\n  secret key  {secret}  ({note})\n")
}

/// Tells the terminal where the node is, and the first administrator's secret once; never the log.
pub(super) fn greet(config: &Config, addresses: Addresses, seeded: Option<&SeededAdmin>) {
    let data = std::path::absolute(&config.storage_root).unwrap_or_else(|_| config.storage_root.clone());
    let Addresses { scheme, api: address, .. } = addresses;
    let mut lines = format!("MyFSIO {}\n  S3 API  {scheme}://{address}\n", env!("CARGO_PKG_VERSION"));
    if let Some(console) = addresses.console {
        lines.push_str(&format!("  console {scheme}://{console}/ui\n"));
    }
    if let Some(websites) = addresses.websites {
        lines.push_str(&format!("  sites   {scheme}://{websites}\n"));
    }
    lines.push_str(&format!("  data    {}\n", data.display()));
    if let Some(admin) = seeded {
        lines.push_str(&first_administrator(admin));
    }
    // A closed terminal is no reason not to run.
    let _ = io::stdout().lock().write_all(lines.as_bytes());
    tracing::info!(%address, data = %data.display(), "MyFSIO {} is ready", env!("CARGO_PKG_VERSION"));
}
