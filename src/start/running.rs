//! A node without its listeners: what is started in which order, and drained in reverse.

use std::io::{self, Write as _};
use std::sync::Arc;

use actix::Arbiter;
use myfsio_actors::bucket_config::Day;
use myfsio_actors::clock::{SharedClock, SystemClock};
use myfsio_actors::iam::SeededAdmin;
use myfsio_actors::lifecycle::LifecycleClient;
use myfsio_actors::quota_tracker::QuotaTrackerClient;
use myfsio_actors::reencryption::ReencryptionClient;
use myfsio_actors::seal::Sealer;
use myfsio_actors::storage::{StorageClient, StorageError};

use super::RunError;
use super::actors::{start_access, start_audit, start_kms, start_notifier, start_replication, start_scrub};
use super::greeting::first_administrator;
use super::secrets::{sealer, tell_of_own_secret};
use super::settings::{node_settings, storage_settings};
use crate::access_log;
use crate::config::Config;
use crate::import;
use crate::jobs::Jobs;
use crate::key_uses;
use crate::metrics::Metrics;
use crate::metrics::sampler::{self, Sampler};
use crate::node::{Clients, Node};
use crate::spans::{self, Exporter};
use crate::tls::Tls;

/// A node without its listeners.
pub(super) struct Running {
    pub(super) node: Arc<Node>,
    pub(super) sealer: Sealer,
    pub(super) seeded: Option<SeededAdmin>,
    access_logs: access_log::Delivery,
    sampler: Sampler,
    uses: key_uses::Keeper,
    exporter: Option<Exporter>,
}

impl Running {
    pub(super) async fn start(config: &Config, tls: Option<&Tls>) -> Result<Self, RunError> {
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
    pub(super) async fn end_of_command(mut self) -> Result<(), RunError> {
        if let Some(admin) = self.seeded.take() {
            let _ = io::stderr().lock().write_all(first_administrator(&admin).as_bytes());
        }
        self.stop().await
    }

    /// Drains in reverse. Errs: storage failed while it ran, or cannot be sealed.
    pub(super) async fn stop(self) -> Result<(), RunError> {
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
