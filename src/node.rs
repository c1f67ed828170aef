//! The node as the HTTP side sees it: clients of the actors, the settings that requests depend on, and the places for
//! requests under way. Shared by all workers; holds no state of its own beside the places.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use myfsio_actors::audit::AuditLog;
use myfsio_actors::clock::SharedClock;
use myfsio_actors::kms::KmsClient;
use myfsio_actors::lifecycle::LifecycleClient;
use myfsio_actors::names::{AccessKeyId, Stamp};
use myfsio_actors::notifier::NotifierClient;
use myfsio_actors::quota_tracker::QuotaTrackerClient;
use myfsio_actors::rate::Rate;
use myfsio_actors::reencryption::ReencryptionClient;
use myfsio_actors::replication_worker::ReplicationClient;
use myfsio_actors::scrub::ScrubClient;
use myfsio_actors::storage::StorageClient;
use parking_lot::Mutex;
use tokio::sync::{Semaphore, watch};

use crate::access_log::{AccessLog, AccessLogSettings};
use crate::backup::sources::Source;
use crate::config::Secret;
use crate::connections::Connections;
use crate::decisions::DecisionLog;
use crate::jobs::Jobs;
use crate::metrics::Metrics;
use crate::metrics::growth::Growth;
use crate::metrics::history::History;
use crate::metrics::lags::Lags;
use crate::requests::RequestLog;
use crate::s3::auth::AuthSettings;
use crate::s3::authorize::Access;
use crate::s3::request_rate::RequestRates;
use crate::self_check::Deployment;
use crate::spans::Spans;
use crate::tls::Certificate;

/// Most listeners to events at once.
const LISTENERS_MAX: usize = 64;
/// Most simulations of requests at once: each may take a core for a second.
const SIMULATIONS_MAX: usize = 2;

/// Settings that requests depend on.
#[derive(Debug, Clone)]
pub struct NodeSettings {
    /// Settings of authentication.
    pub auth: AuthSettings,
    /// Region in answers.
    pub region: String,
    /// Domains under which a host's first labels name a bucket.
    pub base_domains: Vec<String>,
    /// Domains under which a host's first labels name a bucket whose website is meant.
    pub website_domains: Vec<String>,
    /// Settings of the access logs.
    pub access_log: AccessLogSettings,
    /// Most bytes of refusals that are kept to be explained; none keeps none.
    pub explain_bytes: usize,
    /// How many of the last requests are kept to be searched.
    pub requests_kept: usize,
    /// What scrapers show to read the metrics.
    pub metrics_token: Option<Secret>,
    /// Most bytes of one request's content.
    pub max_upload_size: u64,
    /// Smallest part that is not the last, in bytes.
    pub multipart_min_part_size: u64,
    /// Most requests under way at once.
    pub requests_max: usize,
    /// Most connections open at once from one address; 0: as many as it likes.
    pub connections_per_address_max: usize,
    /// How long a client may send nothing while a body is due.
    pub body_idle: Duration,
    /// How often an access key may ask; none: as often as it likes.
    pub key_rate: Option<Rate>,
    /// Whether keys of customers are taken over connections that others may read.
    pub customer_keys_over_http: bool,
    /// Whether connections may lead to private addresses.
    pub allow_private_endpoints: bool,
    /// What the self-check and the page of settings know of the configuration.
    pub deployment: Deployment,
    /// What the listeners show, where they speak TLS.
    pub certificate: Option<Certificate>,
    /// What backups are made of.
    pub backup: BackupSettings,
}

/// What of a node is in its backups beside what Storage holds.
#[derive(Debug, Clone)]
pub struct BackupSettings {
    /// The data directory.
    pub root: PathBuf,
    /// Files of the node's own.
    pub sources: Vec<Source>,
}

/// The clients that a node is made of.
#[derive(Debug)]
pub struct Clients {
    /// Buckets and objects.
    pub storage: StorageClient,
    /// Keys that encrypt.
    pub kms: KmsClient,
    /// Users and decisions.
    pub access: Access,
    /// Removes what is due by the rules of buckets.
    pub lifecycle: LifecycleClient,
    /// Who tells webhooks of events.
    pub notifier: NotifierClient,
    /// Limits of buckets and users.
    pub quotas: QuotaTrackerClient,
    /// Who wraps data keys anew.
    pub reencryption: ReencryptionClient,
    /// Who sends changes to other nodes.
    pub replication: ReplicationClient,
    /// Who verifies what is stored.
    pub scrub: ScrubClient,
    /// Who changed what.
    pub audit: AuditLog,
    /// Work on many objects.
    pub jobs: Arc<Jobs>,
    /// Everything that is counted.
    pub metrics: Arc<Metrics>,
    /// Where requests become traces, if they do.
    pub spans: Option<Spans>,
}

/// The node.
#[derive(Debug)]
pub struct Node {
    /// Settings.
    pub settings: NodeSettings,
    /// Buckets and objects.
    pub storage: StorageClient,
    /// Keys that encrypt.
    pub kms: KmsClient,
    /// Users and decisions.
    pub access: Access,
    /// What was asked of buckets, until it is delivered.
    pub access_log: Arc<AccessLog>,
    /// Refusals of the last day.
    pub decisions: DecisionLog,
    /// Everything that is counted.
    pub metrics: Arc<Metrics>,
    /// What that was.
    pub history: Mutex<History>,
    /// How far replicated buckets were behind.
    pub lags: Mutex<Lags>,
    /// What single buckets held.
    pub growth: Mutex<Growth>,
    /// The last requests.
    pub requests: RequestLog,
    /// Where requests become traces, if they do.
    pub spans: Option<Spans>,
    /// Connections of all listeners.
    pub connections: Arc<Connections>,
    /// Removes what is due by the rules of buckets.
    pub lifecycle: LifecycleClient,
    /// Who tells webhooks of events.
    pub notifier: NotifierClient,
    /// How much buckets and users may hold.
    pub quotas: QuotaTrackerClient,
    /// Who wraps data keys anew.
    pub reencryption: ReencryptionClient,
    /// Who sends changes to other nodes.
    pub replication: ReplicationClient,
    /// Who verifies what is stored.
    pub scrub: ScrubClient,
    /// Who changed what.
    pub audit: AuditLog,
    /// Work on many objects.
    pub jobs: Arc<Jobs>,
    /// Time.
    pub clock: SharedClock,
    /// Places for requests under way.
    pub admission: Arc<Semaphore>,
    /// What access keys have used of their rate.
    pub request_rates: RequestRates,
    /// Places for those who listen to events.
    pub listeners: Arc<Semaphore>,
    /// Places for simulations of requests.
    pub simulations: Arc<Semaphore>,
    /// Whether requests that do not end by themselves must end.
    pub stopping: watch::Sender<bool>,
    /// `x-amz-id-2` of every response: names this run of the node.
    pub host_id: String,
}

impl Node {
    /// A node with all its places free.
    pub fn new(settings: NodeSettings, clients: Clients, clock: SharedClock) -> Self {
        let Clients {
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
        } = clients;
        let mut bytes = [0; 24];
        // Only a name in responses and logs: without random numbers it stays zero.
        let _ = getrandom::fill(&mut bytes);
        let admission = Arc::new(Semaphore::new(settings.requests_max));
        let access_log = Arc::new(AccessLog::new(settings.access_log));
        let decisions = DecisionLog::new(settings.explain_bytes);
        let request_rates = RequestRates::new(settings.key_rate);
        let requests = RequestLog::new(settings.requests_kept);
        let connections = Connections::new(settings.connections_per_address_max, settings.auth.trusted_proxies.clone());
        let listeners = Arc::new(Semaphore::new(LISTENERS_MAX));
        let simulations = Arc::new(Semaphore::new(SIMULATIONS_MAX));
        let (stopping, _) = watch::channel(false);
        let host_id = STANDARD.encode(bytes);
        Self {
            settings,
            storage,
            kms,
            access,
            access_log,
            decisions,
            metrics,
            history: Mutex::default(),
            lags: Mutex::default(),
            growth: Mutex::default(),
            requests,
            spans,
            connections,
            lifecycle,
            notifier,
            quotas,
            reencryption,
            replication,
            scrub,
            audit,
            jobs,
            clock,
            admission,
            request_rates,
            listeners,
            simulations,
            stopping,
            host_id,
        }
    }

    /// Notes that an access key was proven, by a request to this service in this region.
    pub fn note_use(&self, access_key: Option<&AccessKeyId>, (service, region): (&str, &str), now: Stamp) {
        if let Some(access_key) = access_key {
            self.access.iam.note_use(access_key, service, region, now);
        }
    }

    /// Requests under way.
    pub fn under_way(&self) -> usize {
        self.settings.requests_max.saturating_sub(self.admission.available_permits())
    }

    /// What does not work while the node serves all the same.
    pub fn trouble(&self) -> Option<String> {
        self.storage.trouble().or_else(|| self.kms.trouble()).or_else(|| self.audit.trouble())
    }
}
