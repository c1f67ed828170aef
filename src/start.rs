//! From a configuration to a running node and back: what is started in which order, and drained in reverse.
//!
//! Order of start: port, storage (replays its journal), audit log, KMS, users, policies, lifecycle, quotas, then requests. A taken port or a
//! broken file
//! stops the start before anything listens.

use std::io::{self, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use actix::Arbiter;
use myfsio_actors::audit::{AuditLog, AuditSettings};
use myfsio_actors::bucket_config::{Day, ReplicationLimits};
use myfsio_actors::clock::{SharedClock, SystemClock};
use myfsio_actors::iam::{IamClient, IamError, IamSettings, SeededAdmin};
use myfsio_actors::json_store::StoreError;
use myfsio_actors::kms::{KmsClient, KmsSettings};
use myfsio_actors::lifecycle::LifecycleClient;
use myfsio_actors::notifier::{NotifierClient, NotifierError, NotifierSettings};
use myfsio_actors::policy_engine::{PolicyEngineClient, PolicyEngineSettings, PolicyError};
use myfsio_actors::quota_tracker::QuotaTrackerClient;
use myfsio_actors::rate::Rate;
use myfsio_actors::reencryption::ReencryptionClient;
use myfsio_actors::replication_worker::{ReplicationClient, ReplicationError, ReplicationSettings};
use myfsio_actors::scrub::{ScrubClient, ScrubSettings};
use myfsio_actors::seal::{SealError, Sealer, SecretKey, own_secret_key, resolve_secret_key};
use myfsio_actors::storage::{StorageClient, StorageError, StorageSettings};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::access_log::{self, AccessLogSettings};
use crate::admin_socket;
use crate::backup::sources;
use crate::cli::Mode;
use crate::config::{Config, Durability, Secret};
use crate::console::{self, Console, ConsoleSettings, PreviewOrigin};
use crate::data_owner::refuse_root_of_others;
use crate::import;
use crate::jobs::{self, Jobs};
use crate::key_uses;
use crate::limits;
use crate::memory;
use crate::metrics::sampler::{self, Sampler};
use crate::metrics::{Metrics, MetricsError};
use crate::node::{BackupSettings, Clients, Node, NodeSettings};
use crate::private_socket::run_folder;
use crate::readiness::{self, State};
use crate::replication::{self, HttpPeer, ReplicaReader};
use crate::s3::auth::AuthSettings;
use crate::s3::auth::settings::InvalidSetting;
use crate::s3::auth::signing_keys::SigningKeys;
use crate::s3::authorize::{Access, OwnKey};
use crate::self_check::Deployment;
use crate::server::{self, ServerSettings};
use crate::spans::{self, Exporter};
use crate::telemetry;
use crate::tls::{self, Tls};

/// How long a client may take to send the head of a request, at most.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

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

/// A node without its listeners.
struct Running {
    node: Arc<Node>,
    sealer: Sealer,
    seeded: Option<SeededAdmin>,
    access_logs: access_log::Delivery,
    sampler: Sampler,
    uses: key_uses::Keeper,
    exporter: Option<Exporter>,
}

impl Running {
    async fn start(config: &Config, tls: Option<&Tls>) -> Result<Self, RunError> {
        import::refuse_earlier(&config.storage_root).map_err(RunError::Earlier)?;
        let clock: SharedClock = Arc::new(SystemClock);
        let storage = StorageClient::start(&storage_settings(config), Arc::clone(&clock))?;
        let sealer = sealer(config)?;
        let audit = start_audit(config, &clock);
        let kms = start_kms(config, &storage, &audit, &clock)?;
        let (access, seeded) = start_access(config, &sealer, &audit, &clock)?;
        let replication = start_replication(config, &sealer, (&storage, &kms, &audit), &clock)?;
        let notifier = start_notifier(config, sealer.clone(), &storage, &clock)?;
        tell_of_own_secret(config, &sealer);
        let day = Day::of_seconds(config.lifecycle_day_seconds);
        let lifecycle = LifecycleClient::start(storage.clone(), Arc::clone(&clock), day, &Arbiter::new().handle());
        let quotas = QuotaTrackerClient::start(storage.clone(), access.iam.clone(), &Arbiter::new().handle()).await;
        let (iam, of_jobs) = (access.iam.clone(), Arbiter::new().handle());
        let reencryption = ReencryptionClient::start(storage.clone(), kms.clone(), iam, Arc::clone(&clock), &of_jobs);
        let scrub = start_scrub(config, (&storage, &kms, &replication), &clock);
        let metrics = Arc::new(Metrics::new()?);
        let (spans, exporter) = spans::start(config, &metrics).unzip();
        let jobs = Arc::new(Jobs::open(config.storage_root.join(".myfsio.sys/jobs")));
        let clients = Clients {
            storage,
            kms,
            access,
            lifecycle,
            notifier,
            quotas,
            reencryption,
            replication,
            scrub,
            audit,
            jobs,
            metrics,
            spans,
        };
        let node = Arc::new(Node::new(node_settings(config, tls)?, clients, clock));
        let under_way = Arc::downgrade(&node);
        node.scrub.watch_load(move || under_way.upgrade().map_or(0, |node| node.under_way()));
        let sampler = sampler::start(&node, &config.storage_root);
        let uses = key_uses::start(&node);
        Ok(Self { access_logs: access_log::start(Arc::clone(&node)), sampler, uses, exporter, node, sealer, seeded })
    }

    /// Tells the first administrator's secret if it was made for this command, and stops.
    async fn end_of_command(mut self) -> Result<(), RunError> {
        if let Some(admin) = self.seeded.take() {
            let _ = io::stderr().lock().write_all(first_administrator(&admin).as_bytes());
        }
        self.stop().await
    }

    /// Drains in reverse. Errs: storage failed while it ran, or cannot be sealed.
    async fn stop(self) -> Result<(), RunError> {
        let Self { node, access_logs, sampler, uses, exporter, .. } = self;
        if let Some(exporter) = exporter {
            exporter.stop().await;
        }
        sampler.stop().await;
        uses.stop().await;
        access_logs.stop().await;
        if let Err(error) = node.scrub.stop().await {
            tracing::warn!(%error, "a scrub did not end by itself");
        }
        if let Err(error) = node.replication.stop().await {
            tracing::warn!(%error, "changes that were replicated are sent again by the next start");
        }
        if let Err(error) = node.lifecycle.stop().await {
            tracing::warn!(%error, "lifecycle did not end by itself");
        }
        if let Err(error) = node.notifier.stop().await {
            tracing::warn!(%error, "events that were told are told again by the next start");
        }
        if let Err(error) = node.reencryption.stop().await {
            tracing::warn!(%error, "wrapping data keys anew did not end by itself");
        }
        if let Err(error) = node.quotas.stop().await {
            tracing::warn!(%error, "counting for quotas did not end by itself");
        }
        node.audit.stop().await;
        let failure = node.storage.failure();
        node.storage.stop().await?;
        failure.map_or(Ok(()), |reason| Err(StorageError::Unavailable { reason }.into()))
    }
}

fn server_settings(config: &Config, node: &Node) -> ServerSettings {
    ServerSettings {
        workers: config.http_workers,
        connections_max: limits::connections(config.connections_max, config.requests_max),
        head_timeout: HEAD_TIMEOUT.min(node.settings.body_idle),
        shutdown_timeout: Duration::from_secs(config.shutdown_timeout_seconds),
        tls: None,
    }
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

/// Where the node listens.
#[derive(Debug, Clone, Copy)]
struct Addresses {
    scheme: &'static str,
    api: SocketAddr,
    console: Option<SocketAddr>,
    websites: Option<SocketAddr>,
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

/// What Storage needs of the configuration.
pub(crate) fn storage_settings(config: &Config) -> StorageSettings {
    StorageSettings {
        root: config.storage_root.clone(),
        strict: config.durability == Durability::Strict,
        journal_segment_bytes: config.journal_segment_bytes,
        inline_body_bytes: usize::try_from(config.inline_body_bytes).unwrap_or(usize::MAX),
        index_cache_bytes: config.index_cache_bytes,
        ballast_bytes: config.ballast_bytes,
    }
}

fn node_settings(config: &Config, tls: Option<&Tls>) -> Result<NodeSettings, RunError> {
    let api_base_url = config.api_base_url.as_deref().map(str::parse).transpose()?;
    let auth = AuthSettings {
        region: config.aws_region.clone(),
        service: config.aws_service.clone(),
        api_base_url,
        base_domains: config.base_domains.clone(),
        trusted_proxies: config.trusted_proxies.clone(),
        signing_keys: SigningKeys::default(),
    };
    Ok(NodeSettings {
        auth,
        region: config.aws_region.clone(),
        base_domains: config.base_domains.clone(),
        website_domains: config.website_domains.clone(),
        access_log: AccessLogSettings {
            interval: Duration::from_secs(config.access_log_seconds),
            object_bytes: config.access_log_bytes,
        },
        explain_bytes: config.explain_bytes,
        requests_kept: config.requests_kept,
        metrics_token: config.metrics_token.clone(),
        max_upload_size: config.max_upload_size,
        multipart_min_part_size: config.multipart_min_part_size,
        requests_max: config.requests_max,
        connections_per_address_max: config.connections_per_address_max,
        body_idle: Duration::from_secs(config.request_timeout_seconds),
        key_rate: key_rate(config),
        customer_keys_over_http: config.sse_c_over_http,
        allow_private_endpoints: config.allow_private_endpoints,
        deployment: Deployment::of(config),
        certificate: tls.map(Tls::certificate),
        backup: BackupSettings { root: config.storage_root.clone(), sources: sources::of(config) },
    })
}

/// What the console needs of the configuration.
fn console_settings(config: &Config, api_port: u16) -> ConsoleSettings {
    ConsoleSettings {
        api_port,
        page_size: config.ui_page_size,
        base_url: config.ui_base_url.as_deref().and_then(|url| url.parse().ok()),
        preview_origin: config.console_preview_origin.as_deref().and_then(PreviewOrigin::of),
        sessions_path: config.storage_root.join(".myfsio.sys/config/console_sessions.json"),
    }
}

/// How often an access key may ask.
fn key_rate(config: &Config) -> Option<Rate> {
    let per_second = config.key_requests_per_second;
    let burst = if config.key_requests_burst == 0 { per_second } else { config.key_requests_burst };
    Rate::new(per_second, Duration::from_secs(1), burst)
}

fn secret_of(secret: &Secret) -> SecretKey {
    SecretKey::new(secret.expose())
}

/// The key that a node without `SECRET_KEY` makes for itself.
fn own_secret_path(config: &Config) -> PathBuf {
    config.storage_root.join(".myfsio.sys/config/.secret")
}

/// What stored secrets are sealed with. A node that made a key for itself before it was given one has sealed with that.
fn sealer(config: &Config) -> Result<Sealer, RunError> {
    let path = own_secret_path(config);
    let secret = resolve_secret_key(config.secret_key.as_ref().map(Secret::expose), &path)?;
    let own = own_secret_key(&path).filter(|own| !own.is(secret.expose()));
    let previous: Vec<SecretKey> = config.secret_key_previous.iter().map(secret_of).chain(own).collect();
    Ok(Sealer::new(&secret, &previous)?)
}

/// Tells that secrets stood under the node's own key although it was given another. The file stays: backups may need it.
fn tell_of_own_secret(config: &Config, sealer: &Sealer) {
    let path = own_secret_path(config);
    if own_secret_key(&path).is_some_and(|own| sealer.has_needed(&own)) {
        tracing::warn!(
            file = %path.display(), key_id = sealer.key_id(),
            "stored secrets were sealed with the key in this file; they were opened with it and are sealed anew with SECRET_KEY. \
             Keep the file as long as backups from before are kept"
        );
    }
}

/// Starts the audit log.
fn start_audit(config: &Config, clock: &SharedClock) -> AuditLog {
    let folder = config.storage_root.join(".myfsio.sys/audit");
    AuditLog::start(AuditSettings { folder, bytes_max: config.audit_bytes }, Arc::clone(clock))
}

/// Starts the KMS on an arbiter of its own: its file writes must not hold up anything else. It is told which keys are in use, so that it
/// notices those that it does not have.
fn start_kms(
    config: &Config,
    storage: &StorageClient,
    audit: &AuditLog,
    clock: &SharedClock,
) -> Result<KmsClient, StorageError> {
    let settings = KmsSettings {
        keys_path: config.kms_keys_path.clone(),
        master_key_path: config.encryption_master_key_path.clone(),
        master_key: config.encryption_master_key.as_ref().map(secret_of),
        previous_master_keys: config.encryption_master_key_previous.iter().map(secret_of).collect(),
        encryption_enabled: config.encryption_enabled,
        kms_enabled: config.kms_enabled,
        in_use: storage.keys_in_use()?,
        region: config.aws_region.clone(),
        audit: audit.clone(),
    };
    Ok(KmsClient::start(settings, Arc::clone(clock), &Arbiter::new().handle()))
}

fn start_replication(
    config: &Config,
    sealer: &Sealer,
    (storage, kms, audit): (&StorageClient, &KmsClient, &AuditLog),
    clock: &SharedClock,
) -> Result<ReplicationClient, ReplicationError> {
    let own = |name: &str| config.storage_root.join(".myfsio.sys").join(name);
    let settings = ReplicationSettings {
        connections_path: config.connections_path.clone(),
        rules_path: config.replication_rules_path.clone(),
        state_path: own("replication_state.json"),
        sealer: sealer.clone(),
        audit: audit.clone(),
        limits: ReplicationLimits {
            backlog_max: config.replication_backlog_max,
            tombstones_max: config.replication_tombstones_max,
            tombstone_days: config.replication_tombstone_days,
            conflict_days: config.replication_conflict_days,
        },
    };
    let allowed = replication::allowed(config.allow_private_endpoints);
    let peer = HttpPeer::new(allowed, own("replication_uploads.json"), Arc::clone(clock));
    let (storage, kms, arbiter) = (storage.clone(), kms.clone(), Arbiter::new().handle());
    ReplicationClient::start(settings, storage, kms, Arc::new(peer), Arc::clone(clock), &arbiter)
}

/// Starts the scrub on an arbiter of its own: what it hashes must not hold up anything else.
fn start_scrub(
    config: &Config,
    (storage, kms, replication): (&StorageClient, &KmsClient, &ReplicationClient),
    clock: &SharedClock,
) -> ScrubClient {
    let days = u64::from(config.scrub_interval_days);
    let settings = ScrubSettings {
        bytes_per_second: Some(config.scrub_bytes_per_second).filter(|rate| *rate > 0),
        interval: (days > 0).then(|| Duration::from_secs(days * 86_400)),
    };
    let allowed = replication::allowed(config.allow_private_endpoints);
    let replicas = Arc::new(ReplicaReader::new(replication.clone(), allowed, Arc::clone(clock)));
    let arbiter = Arbiter::new().handle();
    ScrubClient::start(settings, storage.clone(), kms.clone(), replicas, Arc::clone(clock), &arbiter)
}

/// Starts the notifier on an arbiter of its own: what it reads and sends must not hold up anything else.
fn start_notifier(
    config: &Config,
    sealer: Sealer,
    storage: &StorageClient,
    clock: &SharedClock,
) -> Result<NotifierClient, RunError> {
    let settings = NotifierSettings {
        path: config.webhooks_path.clone(),
        sealer,
        region: config.aws_region.clone(),
        allow_private: config.notify_allow_private,
        keep: Duration::from_secs(config.notify_keep_seconds),
    };
    Ok(NotifierClient::start(settings, storage.clone(), Arc::clone(clock), &Arbiter::new().handle())?)
}

/// Starts IAM and the PolicyEngine on an arbiter of their own: their file writes must not hold up commits.
fn start_access(
    config: &Config,
    sealer: &Sealer,
    audit: &AuditLog,
    clock: &SharedClock,
) -> Result<(Access, Option<SeededAdmin>), RunError> {
    let settings = IamSettings {
        path: config.iam_config.clone(),
        host_is_loopback: config.is_loopback(),
        admin_access_key: config.admin_access_key.clone(),
        admin_secret_key: config.admin_secret_key.as_ref().map(secret_of),
        sealer: sealer.clone(),
        audit: audit.clone(),
        login_failures_max: config.login_failures_max,
    };
    let arbiter = Arbiter::new().handle();
    let iam = IamClient::start(settings, Arc::clone(clock), &arbiter)?;
    let policies = PolicyEngineSettings { path: config.bucket_policy_path.clone(), audit: audit.clone() };
    let policy_engine = PolicyEngineClient::start(policies, iam.client.clone(), Arc::clone(clock), &arbiter)?;
    Ok((Access { iam: iam.client, policy_engine, own_key: OwnKey::random()? }, iam.seeded))
}

fn first_administrator(admin: &SeededAdmin) -> String {
    let (key, secret) = (admin.access_key.as_str(), admin.secret_key.expose());
    let note = if admin.well_known { "well known, for this machine only" } else { "shown only now" };
    format!("  access key  {key}\n  secret key  {secret}  ({note})\n")
}

/// Tells the terminal where the node is, and the first administrator's secret once; never the log.
fn greet(config: &Config, addresses: Addresses, seeded: Option<&SeededAdmin>) {
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
