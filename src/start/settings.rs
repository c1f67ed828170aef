//! What each part of a node needs of the configuration.

use std::time::Duration;

use myfsio_actors::rate::Rate;
use myfsio_actors::storage::StorageSettings;

use super::RunError;
use crate::access_log::AccessLogSettings;
use crate::backup::sources;
use crate::config::{Config, Durability};
use crate::console::{ConsoleSettings, PreviewOrigin};
use crate::limits;
use crate::node::{BackupSettings, Node, NodeSettings};
use crate::s3::auth::AuthSettings;
use crate::s3::auth::signing_keys::SigningKeys;
use crate::self_check::Deployment;
use crate::server::ServerSettings;
use crate::tls::Tls;

/// How long a client may take to send the head of a request, at most.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

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

pub(super) fn node_settings(config: &Config, tls: Option<&Tls>) -> Result<NodeSettings, RunError> {
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
pub(super) fn console_settings(config: &Config, api_port: u16) -> ConsoleSettings {
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

pub(super) fn server_settings(config: &Config, node: &Node) -> ServerSettings {
    ServerSettings {
        workers: config.http_workers,
        connections_max: limits::connections(config.connections_max, config.requests_max),
        head_timeout: HEAD_TIMEOUT.min(node.settings.body_idle),
        shutdown_timeout: Duration::from_secs(config.shutdown_timeout_seconds),
        tls: None,
    }
}
