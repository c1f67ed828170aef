//! What stored secrets are sealed with.

use std::path::PathBuf;

use myfsio_actors::seal::{Sealer, SecretKey, own_secret_key, resolve_secret_key};

use super::RunError;
use crate::config::{Config, Secret};

pub(super) fn secret_of(secret: &Secret) -> SecretKey {
    SecretKey::new(secret.expose())
}

/// The key that a node without `SECRET_KEY` makes for itself.
fn own_secret_path(config: &Config) -> PathBuf {
    config.storage_root.join(".myfsio.sys/config/.secret")
}

/// What stored secrets are sealed with. A node that made a key for itself before it was given one has sealed with that.
pub(super) fn sealer(config: &Config) -> Result<Sealer, RunError> {
    let path = own_secret_path(config);
    let secret = resolve_secret_key(config.secret_key.as_ref().map(Secret::expose), &path)?;
    let own = own_secret_key(&path).filter(|own| !own.is(secret.expose()));
    let previous: Vec<SecretKey> = config.secret_key_previous.iter().map(secret_of).chain(own).collect();
    Ok(Sealer::new(&secret, &previous)?)
}

/// Tells that secrets stood under the node's own key although it was given another. The file stays: backups may need it.
pub(super) fn tell_of_own_secret(config: &Config, sealer: &Sealer) {
    let path = own_secret_path(config);
    if own_secret_key(&path).is_some_and(|own| sealer.has_needed(&own)) {
        tracing::warn!(
            file = %path.display(), key_id = sealer.key_id(),
            "stored secrets were sealed with the key in this file; they were opened with it and are sealed anew with SECRET_KEY. \
             Keep the file as long as backups from before are kept"
        );
    }
}
