//! What the self-check and the page of settings know of the configuration.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use crate::config::{Config, Durability, ToldSetting};

/// What the configuration says, without secrets.
#[derive(Debug, Clone)]
pub struct Deployment {
    /// Every setting as it is told.
    pub told: Vec<ToldSetting>,
    /// Home of the data.
    pub storage_root: PathBuf,
    /// Whether acknowledged writes survive power loss.
    pub is_strict: bool,
    /// Address of the listeners.
    pub host: IpAddr,
    /// Whether the listeners speak TLS.
    pub has_tls: bool,
    /// Public URL of the API.
    pub api_base_url: Option<String>,
    /// Public URL of the console.
    pub ui_base_url: Option<String>,
    /// Where the console shows previews of PDF files.
    pub console_preview_origin: Option<String>,
    /// Whether an operator listed the proxies that are believed.
    pub names_proxies: bool,
    /// Whether SECRET_KEY is an operator's own.
    pub has_secret_key: bool,
    /// Whether the master key of encryption lies in a file below the data.
    pub master_key_beside_data: bool,
    /// Connections wanted at once.
    pub connections_max: usize,
    /// Requests under way at once.
    pub requests_max: usize,
}

impl Deployment {
    /// That of a configuration.
    pub fn of(config: &Config) -> Self {
        let encrypts = config.encryption_enabled || config.kms_enabled;
        let in_file = config.encryption_master_key.is_none();
        Self {
            told: config.told.clone(),
            storage_root: config.storage_root.clone(),
            is_strict: config.durability == Durability::Strict,
            host: config.host,
            has_tls: config.tls_cert_path.is_some(),
            api_base_url: config.api_base_url.clone(),
            ui_base_url: config.ui_base_url.clone(),
            console_preview_origin: config.console_preview_origin.clone(),
            names_proxies: config.trusted_proxies.explicit,
            has_secret_key: config.secret_key.is_some(),
            master_key_beside_data: encrypts
                && in_file
                && config.encryption_master_key_path.starts_with(&config.storage_root),
            connections_max: config.connections_max,
            requests_max: config.requests_max,
        }
    }
}

impl Default for Deployment {
    fn default() -> Self {
        Self {
            told: Vec::new(),
            storage_root: PathBuf::new(),
            is_strict: true,
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            has_tls: false,
            api_base_url: None,
            ui_base_url: None,
            console_preview_origin: None,
            names_proxies: false,
            has_secret_key: true,
            master_key_beside_data: false,
            connections_max: 1,
            requests_max: 1,
        }
    }
}
