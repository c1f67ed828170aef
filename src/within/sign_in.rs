//! Who signs in to the console, and whether they still may be there.

use std::sync::Arc;

use actix_http::RequestHead;
use myfsio_actors::iam::Principal;
use myfsio_actors::names::AccessKeyId;
use sha2::{Digest as _, Sha256};

use super::Refusal;
use crate::node::Node;
use crate::s3::auth::settings::{client_address, exposed};
use crate::s3::auth::{Credentials as _, SecretText};
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::preflight;

/// What an access key is used for that opens the console.
const SERVICE: &str = "console";

/// Somebody whose access key was proven.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Who it is.
    pub principal: Arc<Principal>,
    secret: SecretText,
}

impl Identity {
    /// What a session keeps of the secret, to notice that it was changed: good for nothing without the session's id.
    pub fn mark(&self, session_id: &str) -> [u8; 32] {
        let mut digest = Sha256::new();
        digest.update(session_id.as_bytes());
        digest.update([0]);
        digest.update(self.secret.expose().as_bytes());
        digest.finalize().into()
    }
}

/// Proves an access key by its secret. Wrong secrets are counted as the API counts them. Errs: InvalidAccessKeyId, AccessDenied,
/// TooManyLoginAttempts, as the API would.
pub async fn sign_in(node: &Node, head: &RequestHead, access_key: &str, secret: &str) -> Result<Identity, Refusal> {
    let unknown = |_| S3Error::new(ErrorCode::InvalidAccessKeyId);
    let id = AccessKeyId::parse(access_key).map_err(unknown)?;
    let seen = preflight::request_head(head, None, head.peer_addr.map(|peer| peer.ip()));
    let address = client_address(&seen, &node.settings.auth.trusted_proxies);
    let proven = node.access.verify_secret(&id, None, secret, address, exposed(&seen)).await;
    let principal = proven.map_err(|error| error.into_s3(&id))?;
    node.note_use(Some(&id), (SERVICE, &node.settings.region), node.clock.now());
    Ok(Identity { principal, secret: SecretText::new(secret) })
}

/// Who has an access key that was proven before. Errs: it may not be used any more.
pub async fn resume(node: &Node, head: &RequestHead, access_key: &AccessKeyId) -> Result<Identity, Refusal> {
    let seen = preflight::request_head(head, None, head.peer_addr.map(|peer| peer.ip()));
    let credential = node.access.credential(access_key, None, || exposed(&seen)).await;
    let credential = credential.map_err(|error| error.into_s3(access_key))?;
    node.note_use(Some(access_key), (SERVICE, &node.settings.region), node.clock.now());
    Ok(Identity { principal: credential.principal, secret: credential.secret })
}
