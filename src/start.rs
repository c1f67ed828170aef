//! From a configuration to a running node and back.
//!
//! Order of start: port, storage (replays its journal), audit log, KMS, users, policies, lifecycle, quotas, then requests. A taken port or
//! a broken file stops the start before anything listens.

mod actors;
mod command;
mod greeting;
mod running;
mod secrets;
mod settings;

use std::io::{self, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use myfsio_actors::clock::SystemClock;
use myfsio_actors::iam::IamError;
use myfsio_actors::json_store::StoreError;
use myfsio_actors::notifier::NotifierError;
use myfsio_actors::policy_engine::PolicyError;
use myfsio_actors::replication_worker::ReplicationError;
use myfsio_actors::seal::SealError;
use myfsio_actors::storage::StorageError;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::admin_socket;
use crate::cli::Mode;
use crate::config::Config;
use crate::console::{self, Console};
use crate::jobs;
use crate::memory;
use crate::metrics::MetricsError;
use crate::private_socket::run_folder;
use crate::readiness::{self, State};
use crate::s3::auth::settings::InvalidSetting;
use crate::server::{self, ServerSettings};
use crate::telemetry;
use crate::tls::{self, Tls};

pub use command::{at_own_socket, for_one_command};
use greeting::{Addresses, greet};
use running::Running;
pub(crate) use settings::storage_settings;
use settings::{console_settings, server_settings};

/// A node that cannot start, or has failed.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Its logs.
    #[error(transparent)]
    Logs(#[from] telemetry::TelemetryError),
    /// Its port.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// Its certificate, or the key of that.
    #[error("{variable}: {0}", variable = .0.setting.to_ascii_uppercase())]
    Tls(#[from] tls::Unusable),
    /// Its threads or signals.
    #[error("cannot start: {0}")]
    Start(io::Error),
    /// Its data directory, or the journal while it ran.
    #[error("storage: {0}")]
    Storage(#[from] StorageError),
    /// Its data directory is another's.
    #[error("{0}")]
    Earlier(String),
    /// Its data directory is another user's.
    #[error("{0}")]
    Owner(String),
    /// Its users.
    #[error("users: {0}")]
    Iam(#[from] IamError),
    /// Its bucket policies.
    #[error("bucket policies: {0}")]
    Policies(#[from] PolicyError),
    /// Its webhooks.
    #[error("webhooks: {0}")]
    Notifier(#[from] NotifierError),
    /// Its connections, or what is replicated.
    #[error("replication: {0}")]
    Replication(#[from] ReplicationError),
    /// Its secret key.
    #[error("SECRET_KEY: {0}")]
    SecretKey(#[from] StoreError),
    /// Sealing with it.
    #[error("SECRET_KEY: {0}")]
    Seal(#[from] SealError),
    /// Its metrics.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// A setting that only its user can judge.
    #[error(transparent)]
    Setting(#[from] InvalidSetting),
}

impl RunError {
    /// Whether another process has the data directory open.
    pub fn is_locked(&self) -> bool {
        matches!(self, Self::Storage(StorageError::Io { source, .. }) if source.kind() == io::ErrorKind::ResourceBusy)
    }
}

/// Runs a node, or only the console's front, until it is told to stop. Errs when it cannot start, or when storage failed while it ran.
pub fn run(mode: Mode, config: Config) -> Result<(), RunError> {
    memory::set_up();
    let _logs = telemetry::start(&config)?;
    match mode {
        Mode::All | Mode::Api => actix::System::new().block_on(serve(mode, config)),
        Mode::Ui => actix::System::new().block_on(front(config)),
    }
}

/// Runs the console's front, which needs a node of the same data directory.
async fn front(config: Config) -> Result<(), RunError> {
    let tls = open_tls(&config)?;
    let listener = bind(config.host, config.ui_port)?;
    let address = listener.local_addr().map_err(RunError::Start)?;
    let scheme = scheme(tls.as_ref());
    let line = format!("MyFSIO {}\n  console {scheme}://{address}/ui\n", env!("CARGO_PKG_VERSION"));
    let _ = io::stdout().lock().write_all(line.as_bytes());
    let patience = Duration::from_secs(config.shutdown_timeout_seconds);
    let connections = console::front::connections(config.connections_per_address_max, config.trusted_proxies.clone());
    let run = run_folder(&config.storage_root);
    console::front::serve(listener, tls, run, connections, patience).await.map_err(RunError::Start)
}

/// The certificate of the listeners, which is looked at from now on. Errs: it cannot be used.
fn open_tls(config: &Config) -> Result<Option<Tls>, RunError> {
    let Some(paths) = config.tls_paths() else { return Ok(None) };
    let (tls, watch) = Tls::open(paths, config.tls_min_version, Arc::new(SystemClock))?;
    tokio::task::spawn_local(watch.run());
    Ok(Some(tls))
}

fn scheme(tls: Option<&Tls>) -> &'static str {
    if tls.is_some() { "https" } else { "http" }
}

async fn serve(mode: Mode, config: Config) -> Result<(), RunError> {
    let mut interrupt = signal(SignalKind::interrupt()).map_err(RunError::Start)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(RunError::Start)?;
    let tls = open_tls(&config)?;
    let listener = bind(config.host, config.port)?;
    let websites = config.website_port.map(|port| bind(config.host, port)).transpose()?;
    let ui = (mode == Mode::All).then(|| bind(config.host, config.ui_port)).transpose()?;
    let addresses = Addresses {
        scheme: scheme(tls.as_ref()),
        api: listener.local_addr().map_err(RunError::Start)?,
        console: ui.as_ref().map(TcpListener::local_addr).transpose().map_err(RunError::Start)?,
        websites: websites.as_ref().map(TcpListener::local_addr).transpose().map_err(RunError::Start)?,
    };
    let running = Running::start(&config, tls.as_ref()).await?;
    let settings = ServerSettings { tls, ..server_settings(&config, &running.node) };
    let workers = jobs::start(&running.node);
    let of_console = console_settings(&config, addresses.api.port());
    let console = Arc::new(Console::new(Arc::clone(&running.node), of_console, running.sealer.clone()));
    let ui = ui.map(|listener| (listener, Arc::clone(&console)));
    let (server, stopper) = server::serve(&running.node, listener, websites, ui, &settings).map_err(RunError::Start)?;
    let run = run_folder(&config.storage_root);
    let admin_socket = admin_socket::listen(&running.node, &settings, &run);
    let console_socket = console::listen(&console, settings.patience(&running.node), &run);
    greet(&config, addresses, running.seeded.as_ref());
    let serving = tokio::task::spawn_local(server);
    readiness::tell(State::Ready);
    stop_asked(&mut interrupt, &mut terminate).await;
    readiness::tell(State::Stopping);
    tracing::info!("stopping: requests under way are finished first");
    // The sockets have no workers that would wait for theirs.
    let sockets = async {
        if let Some(socket) = &admin_socket {
            socket.drain().await;
        }
        if let Some(socket) = &console_socket {
            socket.drain().await;
        }
    };
    let drained = async { tokio::join!(stopper.stop(), tokio::time::timeout(settings.shutdown_timeout, sockets)) };
    tokio::select! {
        // What is left after the time is cut off.
        ((), _) = drained => {}
        () = stop_asked(&mut interrupt, &mut terminate) => tracing::warn!("asked again: requests under way are cut off"),
    }
    serving.abort();
    drop((admin_socket, console_socket));
    console.stop();
    workers.stop().await;
    running.stop().await?;
    tracing::info!("stopped; everything is sealed");
    Ok(())
}

fn bind(host: IpAddr, port: u16) -> Result<TcpListener, RunError> {
    let address = SocketAddr::new(host, port);
    TcpListener::bind(address).map_err(|source| RunError::Listen { address, source })
}

async fn stop_asked(interrupt: &mut Signal, terminate: &mut Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
