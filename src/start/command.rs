//! A node for one command, without its listeners.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;

use super::RunError;
use super::running::Running;
use super::settings::server_settings;
use crate::admin_socket;
use crate::config::Config;
use crate::data_owner::refuse_root_of_others;
use crate::private_socket::run_folder;
use crate::telemetry;

/// Runs a node without its listeners for one command, which speaks HTTP to it over its end of a pair of sockets. Errs: it cannot
/// start or stop.
pub fn for_one_command<T: Send + 'static>(
    config: &Config,
    command: impl FnOnce(UnixStream) -> io::Result<T> + Send + 'static,
) -> Result<io::Result<T>, RunError> {
    refuse_root_of_others(&config.storage_root).map_err(RunError::Owner)?;
    // Who runs a command reads its answer, not what the node says of itself.
    let _logs = telemetry::start(&Config { log_level: "error".to_owned(), ..config.clone() })?;
    actix::System::new().block_on(async move {
        let running = Running::start(config, None).await?;
        let settings = server_settings(config, &running.node);
        let (own, other) = UnixStream::pair().map_err(RunError::Start)?;
        own.set_nonblocking(true).map_err(RunError::Start)?;
        let (own, node) = (tokio::net::UnixStream::from_std(own).map_err(RunError::Start)?, Arc::clone(&running.node));
        let serving = tokio::task::spawn_local(async move { admin_socket::serve(&node, &settings, own).await });
        let answer = tokio::task::spawn_blocking(move || command(other)).await;
        serving.abort();
        running.end_of_command().await?;
        answer.map_err(|error| RunError::Start(io::Error::other(error)))
    })
}

/// Runs a node without its listeners, but with its admin socket, for one command that asks many things there. Errs: it cannot start or
/// stop.
pub fn at_own_socket<T: Send + 'static>(
    config: &Config,
    command: impl FnOnce(&Path) -> T + Send + 'static,
) -> Result<T, RunError> {
    refuse_root_of_others(&config.storage_root).map_err(RunError::Owner)?;
    let _logs = telemetry::start(&Config { log_level: "error".to_owned(), ..config.clone() })?;
    actix::System::new().block_on(async move {
        let running = Running::start(config, None).await?;
        let (settings, run) = (server_settings(config, &running.node), run_folder(&config.storage_root));
        let none = || RunError::Start(io::Error::other("there is no admin socket"));
        let socket = admin_socket::listen(&running.node, &settings, &run).ok_or_else(none)?;
        let path = socket.path().to_path_buf();
        let answer = tokio::task::spawn_blocking(move || command(&path)).await;
        drop(socket);
        running.end_of_command().await?;
        answer.map_err(|error| RunError::Start(io::Error::other(error)))
    })
}
