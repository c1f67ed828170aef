//! The files beside Storage that belong to a node, and where they lie in a backup.

use std::path::{Path, PathBuf};

use crate::config::Config;

/// A file of the node's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its name in a backup, and below `.myfsio.sys` in a data directory.
    pub name: &'static str,
    /// Where it is.
    pub path: PathBuf,
    /// What it gives away to whoever has it.
    pub opens: Opens,
}

/// What a file gives away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opens {
    /// Nothing without one of the others: secrets in it are sealed.
    Nothing,
    /// The secrets of users and connections.
    Secrets,
    /// Every encrypted object.
    Objects,
}

/// The files of a node.
pub fn of(config: &Config) -> Vec<Source> {
    let own = |name: &str| config.storage_root.join(".myfsio.sys").join(name);
    let source = |name, path: PathBuf, opens| Source { name, path, opens };
    vec![
        source("config/iam.json", config.iam_config.clone(), Opens::Nothing),
        source("config/bucket_policies.json", config.bucket_policy_path.clone(), Opens::Nothing),
        source("config/connections.json", config.connections_path.clone(), Opens::Nothing),
        source("config/replication_rules.json", config.replication_rules_path.clone(), Opens::Nothing),
        source("config/webhooks.json", config.webhooks_path.clone(), Opens::Nothing),
        source("keys/kms_keys.json", config.kms_keys_path.clone(), Opens::Nothing),
        source("node-id", own("node-id"), Opens::Nothing),
        source("config/.secret", own("config/.secret"), Opens::Secrets),
        source("keys/master.key", config.encryption_master_key_path.clone(), Opens::Objects),
    ]
}

/// Where a file of a backup goes in a new data directory; none of what has no place there.
pub fn place(name: &str, root: &Path) -> Option<PathBuf> {
    const NAMES: [&str; 9] = [
        "config/iam.json",
        "config/bucket_policies.json",
        "config/connections.json",
        "config/replication_rules.json",
        "config/webhooks.json",
        "keys/kms_keys.json",
        "node-id",
        "config/.secret",
        "keys/master.key",
    ];
    NAMES.contains(&name).then(|| root.join(".myfsio.sys").join(name))
}
