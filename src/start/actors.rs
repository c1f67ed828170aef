//! Actors and their files, each as the configuration says, and those that write files on arbiters of their own.

use std::sync::Arc;
use std::time::Duration;

use actix::Arbiter;
use myfsio_actors::audit::{AuditLog, AuditSettings};
use myfsio_actors::bucket_config::ReplicationLimits;
use myfsio_actors::clock::SharedClock;
use myfsio_actors::iam::{IamClient, IamSettings, SeededAdmin};
use myfsio_actors::kms::{KmsClient, KmsSettings};
use myfsio_actors::notifier::{NotifierClient, NotifierSettings};
use myfsio_actors::policy_engine::{PolicyEngineClient, PolicyEngineSettings};
use myfsio_actors::replication_worker::{ReplicationClient, ReplicationError, ReplicationSettings};
use myfsio_actors::scrub::{ScrubClient, ScrubSettings};
use myfsio_actors::seal::Sealer;
use myfsio_actors::storage::{StorageClient, StorageError};

use super::RunError;
use super::secrets::secret_of;
use crate::config::Config;
use crate::replication::{self, HttpPeer, ReplicaReader};
use crate::s3::authorize::{Access, OwnKey};

/// Starts the audit log.
pub(super) fn start_audit(config: &Config, clock: &SharedClock) -> AuditLog {
    let folder = config.storage_root.join(".myfsio.sys/audit");
    AuditLog::start(AuditSettings { folder, bytes_max: config.audit_bytes }, Arc::clone(clock))
}

/// Starts the KMS on an arbiter of its own: its file writes must not hold up anything else. It is told which keys are in use, so that it
/// notices those that it does not have.
pub(super) fn start_kms(
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

pub(super) fn start_replication(
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
pub(super) fn start_scrub(
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
pub(super) fn start_notifier(
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
pub(super) fn start_access(
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
