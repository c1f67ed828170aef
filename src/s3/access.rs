//! The keeper of access keys and decisions as the S3 layer knows it: IAM and the PolicyEngine, and what their refusals tell.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use myfsio_actors::iam::{COMMAND_LINE_KEY, IamClient, IamError, Principal};
use myfsio_actors::names::{AccessKeyId, CanonicalId};
use myfsio_actors::policy_engine::{AccessRequest, Decision, ObjectState, PolicyEngineClient, Reason, RequestContext};
use myfsio_actors::seal::{SealError, SecretKey};
use myfsio_actors::storage::Bucket;

use super::auth::{Credential, CredentialError, Credentials};
use super::error::{ErrorCode, S3Error};
use super::request_facts::{Asks, Facts};
use crate::decisions::{Explanation, Why};

/// What the S3 layer asks of IAM and the PolicyEngine.
#[derive(Debug, Clone)]
pub struct Access {
    /// Users and their keys.
    pub iam: IamClient,
    /// Decisions.
    pub policy_engine: PolicyEngineClient,
    /// By which the node's own commands ask.
    pub own_key: OwnKey,
}

/// An access key that is in no file and new with each start: it stands for the node's administrator. Its secret is right for every
/// other key, too, as long as that may be used. Only what comes by the admin socket, or from the console, carries it, since nobody
/// else knows the secret.
#[derive(Debug, Clone)]
pub struct OwnKey {
    id: AccessKeyId,
    secret: SecretKey,
}

impl OwnKey {
    /// A new one. Errs: the system has no random numbers.
    pub fn random() -> Result<Self, SealError> {
        let id = AccessKeyId::parse(COMMAND_LINE_KEY).map_err(|_| SealError::Damaged)?;
        Ok(Self { id, secret: SecretKey::random()? })
    }

    /// Makes a request one of the node's administrator, whoever it says that it is of.
    pub fn put_into(&self, headers: &mut HeaderMap) {
        for name in [AUTHORIZATION.as_str(), "x-amz-security-token"] {
            headers.remove(name);
        }
        for (name, value) in [("x-access-key", self.id.as_str()), ("x-secret-key", self.secret.expose())] {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
    }

    /// Makes a request one of whoever has this access key, who has signed in to the console before.
    pub fn put_for(&self, access_key: &AccessKeyId, headers: &mut HeaderMap) {
        self.put_into(headers);
        if let Ok(value) = HeaderValue::from_str(access_key.as_str()) {
            headers.insert(HeaderName::from_static("x-access-key"), value);
        }
    }

    /// Whether a request that was authenticated with this access key came by the admin socket.
    pub fn is_of(&self, id: &AccessKeyId) -> bool {
        *id == self.id
    }

    /// Whether this is its secret, so that whoever the request is of did not show one for it.
    pub fn has_secret(&self, secret: &str) -> bool {
        self.secret.is(secret)
    }

    fn is(&self, id: &AccessKeyId, token: Option<&str>, secret: &str) -> bool {
        *id == self.id && token.is_none() && self.secret.is(secret)
    }

    fn stands_for(&self, id: &AccessKeyId, token: Option<&str>, secret: &str) -> bool {
        *id != self.id && token.is_none() && self.secret.is(secret)
    }
}

impl Access {
    /// Takes in policies that were edited on disk since the last request. A broken edit leaves the last good state in
    /// force, so it is no reason to refuse.
    pub async fn refresh(&self) {
        self.refresh_since(Instant::now()).await;
    }

    /// The same, as far as they were edited before a request `arrived`: IAM looks after that, and often for both.
    pub async fn refresh_since(&self, arrived: Instant) {
        if let Err(error) = self.policy_engine.refresh(lately_before(arrived)).await {
            tracing::warn!(%error, "bucket policies could not be read again");
        }
    }

    /// The refusal of somebody who does not administer the node.
    pub fn administrators_only(&self, principal: Option<&Principal>, facts: &Facts<'_>, resource: &str) -> S3Error {
        let context = facts.context(Asks::Nothing);
        let action = "iam:ListUsers";
        let request = AccessRequest {
            principal,
            action,
            bucket: None,
            bucket_owner: None,
            config: None,
            key: None,
            resource: None,
            object: ObjectState::Missing,
            context: &context,
        };
        let error = S3Error::new(ErrorCode::AccessDenied).because("only administrators may ask this");
        if !facts.explains {
            return error;
        }
        let (_, trace) = self.policy_engine.explain(&request);
        let decision = Decision { allowed: false, reason: Reason::AdministratorsOnly };
        let told = Explanation::about(principal, action, resource.to_owned(), &decision, trace);
        error.explained(Why::Decided(Box::new(told)))
    }

    /// A refusal, with what was considered for it if it is to be explained.
    pub(super) fn denied(&self, request: &AccessRequest<'_>, decision: &Decision, explains: bool) -> S3Error {
        let cause = format_args!("{} is denied: {:?}", request.action, decision.reason);
        let error = S3Error::new(ErrorCode::AccessDenied).because(cause);
        if !explains {
            return error;
        }
        // Where a policy has changed since, what was decided is told.
        let (again, trace) = self.policy_engine.explain(request);
        let decision = if again.allowed { decision } else { &again };
        let told = Explanation::of(request, decision, trace);
        let told = match (request.key, request.object) {
            (Some(_), ObjectState::Missing) => told.noting("there is no such object, or no such version of it"),
            _ => told,
        };
        error.explained(Why::Decided(Box::new(told)))
    }

    /// Whether the principal administers the node.
    pub fn is_administrator(&self, principal: &Principal, facts: &Facts<'_>) -> bool {
        self.policy_engine.is_administrator(principal, &facts.context(Asks::Nothing))
    }

    /// Whether a bucket belongs in the principal's ListBuckets.
    pub fn sees_bucket(&self, principal: &Principal, bucket: &Bucket, context: &RequestContext) -> bool {
        self.policy_engine.sees_bucket(principal, &bucket.name, &bucket.owner, context)
    }

    /// Display name of an owner; none when unknown.
    pub fn owner_name(&self, owner: &CanonicalId) -> Option<String> {
        self.iam.owner_display_name(owner)
    }
}

impl Credentials for Access {
    type Principal = Principal;

    async fn credential(
        &self,
        id: &AccessKeyId,
        token: Option<&str>,
        exposed: impl FnOnce() -> bool,
    ) -> Result<Credential<Principal>, CredentialError> {
        if self.own_key.is_of(id) {
            return Err(CredentialError::NoSuchAccessKey);
        }
        let found =
            self.iam.credential_since(lately_before(Instant::now()), id, token, exposed).await.map_err(refusal)?;
        Ok(Credential { secret: found.secret.into(), principal: found.principal })
    }

    async fn verify_secret(
        &self,
        id: &AccessKeyId,
        token: Option<&str>,
        secret: &str,
        address: Option<IpAddr>,
        exposed: bool,
    ) -> Result<Arc<Principal>, CredentialError> {
        if self.own_key.is(id, token, secret) {
            self.iam.refresh().await.map_err(refusal)?;
            return Ok(Arc::new(self.iam.directory().node_administrator(id.clone())));
        }
        if self.own_key.stands_for(id, token, secret) {
            return Ok(self.iam.credential(id, None, || exposed).await.map_err(refusal)?.principal);
        }
        // Whatever a file says: the id stands for the command line, and no other secret is right for it.
        if self.own_key.is_of(id) {
            return Err(CredentialError::NoSuchAccessKey);
        }
        self.iam.verify_secret(id, token, secret, address, exposed).await.map_err(refusal)
    }
}

/// Where many requests come at once, a look at the files of users and policies serves those of this long after it: less than a client
/// takes from saving a file to a request that is read here.
const LOOK_LASTS: Duration = Duration::from_micros(100);

fn lately_before(arrived: Instant) -> Instant {
    arrived.checked_sub(LOOK_LASTS).unwrap_or(arrived)
}

fn refusal(error: IamError) -> CredentialError {
    match error {
        IamError::NoSuchAccessKey(_) => CredentialError::NoSuchAccessKey,
        IamError::Disabled(_) => CredentialError::Disabled,
        IamError::Expired(_) => CredentialError::Expired,
        IamError::InvalidToken => CredentialError::InvalidToken,
        IamError::ExpiredToken => CredentialError::ExpiredToken,
        IamError::WellKnownRefused(_) => CredentialError::WellKnownSecret,
        IamError::WrongSecret(_) => CredentialError::WrongSecret,
        IamError::LockedOut { until, .. } => CredentialError::LockedOut { until },
        IamError::AddressLockedOut { until } => CredentialError::AddressLockedOut { until },
        IamError::Busy => CredentialError::Busy,
        IamError::NoSuchEntity(_)
        | IamError::EntityAlreadyExists(_)
        | IamError::DeleteConflict(_)
        | IamError::LimitExceeded(_)
        | IamError::UnmodifiableEntity(_)
        | IamError::InvalidInput { .. }
        | IamError::MalformedPolicyDocument(_)
        | IamError::Store(_)
        | IamError::Seal(_)
        | IamError::Stopped
        | IamError::TimedOut => CredentialError::Unavailable(error.to_string()),
    }
}
