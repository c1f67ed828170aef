//! MyFSIO: a single-node S3 server whose objects stay plain files.

pub mod admin;
pub mod cli;
pub mod config;
pub mod node;
pub mod s3;
pub mod server;
pub mod telemetry;

use config::Config;

/// A node that cannot start or has failed.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Its logs.
    #[error(transparent)]
    Logs(#[from] telemetry::TelemetryError),
}

/// Runs a node until it is told to stop.
pub fn run(config: Config) -> Result<(), RunError> {
    let _logs = telemetry::start(&config)?;
    tracing::info!(storage_root = %config.storage_root.display(), "MyFSIO {}", env!("CARGO_PKG_VERSION"));
    Ok(())
}
