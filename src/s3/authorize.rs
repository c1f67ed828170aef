//! Whether the caller may: one question to the PolicyEngine per touched resource, on decoded names.
//!
//! [`Access`] is all that the S3 layer asks of IAM and the PolicyEngine; this file and `preflight` are the only ones
//! that use it.

use std::fmt::Debug;
use std::net::IpAddr;
use std::sync::Arc;

use actix_web::http::header::HeaderMap;
use futures_util::future::BoxFuture;
use myfsio_actors::names::{AccessKeyId, BucketName, CanonicalId, ObjectKey, Stamp};
use myfsio_actors::storage::Bucket;

use super::auth::{Credential, CredentialError, Credentials, Mechanism, PayloadSigning};
use super::context::Call;
use super::error::S3Error;
use super::operation::Operation;
use super::query::Query;
use crate::node::Node;

/// Who asks.
#[derive(Debug)]
pub struct Principal {
    /// Canonical id.
    pub user_id: CanonicalId,
    /// Access key of the request.
    pub access_key: AccessKeyId,
    /// Display name.
    pub display_name: String,
}

/// An authenticated request.
pub type Authenticated = super::auth::Authenticated<Principal>;

/// What a decision may depend on beside principal, action and resource: the sources of policy condition keys.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// Headers as received.
    pub headers: &'a HeaderMap,
    /// The decoded query.
    pub query: &'a Query,
    /// Address of the client.
    pub address: Option<IpAddr>,
    /// Whether the request came over TLS.
    pub secure: bool,
    /// When its head had arrived.
    pub now: Stamp,
    /// How the caller was authenticated.
    pub mechanism: Mechanism,
}

/// One question: may this principal do this to that.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// Who asks; none is anonymous.
    pub principal: Option<&'a Principal>,
    /// IAM action.
    pub action: &'a str,
    /// The bucket's name; none for the service.
    pub bucket: Option<&'a BucketName>,
    /// The bucket's owner; none while it is not there.
    pub bucket_owner: Option<&'a CanonicalId>,
    /// The decoded key.
    pub key: Option<&'a str>,
    /// The rest.
    pub facts: Facts<'a>,
}

/// What the S3 layer asks of IAM and the PolicyEngine.
pub trait Access: Debug + Send + Sync {
    /// See [`Credentials::credential`].
    fn credential<'a>(
        &'a self,
        id: &'a AccessKeyId,
        exposed: bool,
    ) -> BoxFuture<'a, Result<Credential<Principal>, CredentialError>>;

    /// See [`Credentials::verify_secret`].
    fn verify_secret<'a>(
        &'a self,
        id: &'a AccessKeyId,
        secret: &'a str,
        address: Option<IpAddr>,
        exposed: bool,
    ) -> BoxFuture<'a, Result<Arc<Principal>, CredentialError>>;

    /// Takes in policies that were edited on disk since the last request.
    fn refresh(&self) -> BoxFuture<'_, ()>;

    /// Decides. Errs: AccessDenied.
    fn decide(&self, question: &Question<'_>) -> Result<(), S3Error>;

    /// Whether a bucket belongs in the principal's ListBuckets.
    fn sees_bucket(&self, principal: &Principal, bucket: &Bucket) -> bool;

    /// Display name of an owner; none when unknown.
    fn owner_name(&self, owner: &CanonicalId) -> Option<String>;
}

/// [`Access`] as the keeper of keys that authentication asks.
pub struct Keys<'a>(pub &'a dyn Access);

impl Credentials for Keys<'_> {
    type Principal = Principal;

    async fn credential(&self, id: &AccessKeyId, exposed: bool) -> Result<Credential<Principal>, CredentialError> {
        self.0.credential(id, exposed).await
    }

    async fn verify_secret(
        &self,
        id: &AccessKeyId,
        secret: &str,
        address: Option<IpAddr>,
        exposed: bool,
    ) -> Result<Arc<Principal>, CredentialError> {
        self.0.verify_secret(id, secret, address, exposed).await
    }
}

/// The digest that the request claims for its body.
pub fn content_sha256(auth: &Authenticated) -> Option<[u8; 32]> {
    match &auth.payload {
        PayloadSigning::Sha256(digest) => Some(*digest),
        PayloadSigning::Unsigned
        | PayloadSigning::StreamingSigned { .. }
        | PayloadSigning::StreamingUnsignedTrailer => None,
    }
}

/// Whether the request carries no credentials.
pub fn is_anonymous(auth: &Authenticated) -> bool {
    auth.principal.is_none()
}

/// Canonical id that S3 gives the anonymous user, who owns what is written without credentials.
const ANONYMOUS_ID: &str = "65a011a29cdf8ec533ec3d1ccaae921c65a011a29cdf8ec533ec3d1ccaae921c";

/// Canonical id that the caller's new objects and buckets belong to.
pub fn owner_id(auth: &Authenticated) -> CanonicalId {
    match &auth.principal {
        Some(principal) => principal.user_id.clone(),
        None => CanonicalId::parse(ANONYMOUS_ID).unwrap_or_else(|_| CanonicalId::from_bytes([0; 32])),
    }
}

/// Display name of an owner; empty when unknown.
pub fn owner_name(node: &Node, owner: &CanonicalId) -> String {
    node.access.owner_name(owner).unwrap_or_default()
}

/// Whether the bucket belongs in the caller's ListBuckets.
pub fn sees_bucket(call: &Call, bucket: &Bucket) -> bool {
    call.auth.principal.as_ref().is_some_and(|principal| call.node.access.sees_bucket(principal, bucket))
}

/// The request's own resource, before there is a [`Call`].
#[derive(Debug)]
pub struct Primary<'a> {
    /// The operation.
    pub operation: Operation,
    /// The bucket's name.
    pub bucket_name: Option<&'a BucketName>,
    /// The bucket, if it is there.
    pub bucket: Option<&'a Bucket>,
    /// The key.
    pub key: Option<&'a ObjectKey>,
    /// The rest.
    pub facts: Facts<'a>,
}

/// Asks for the permission of the request's own resource. Errs: AccessDenied.
pub async fn primary(node: &Node, auth: &Authenticated, primary: &Primary<'_>) -> Result<(), S3Error> {
    node.access.refresh().await;
    let mut question = Question {
        principal: auth.principal.as_deref(),
        action: primary.operation.action(primary.facts.query.has("versionId")),
        bucket: primary.bucket_name,
        bucket_owner: primary.bucket.map(|bucket| &bucket.owner),
        key: primary.key.map(|key| key.as_str()),
        facts: primary.facts,
    };
    node.access.decide(&question)?;
    // S3 asks for reading the object beside reading its attributes.
    if primary.operation == Operation::GetObjectAttributes {
        question.action = Operation::GetObject.action(primary.facts.query.has("versionId"));
        node.access.decide(&question)?;
    }
    Ok(())
}

/// Asks for a permission on a further resource. Errs: AccessDenied.
pub fn further(call: &Call, action: &str, bucket: &Bucket, key: Option<&str>) -> Result<(), S3Error> {
    call.node.access.decide(&Question {
        principal: call.auth.principal.as_deref(),
        action,
        bucket: Some(&bucket.name),
        bucket_owner: Some(&bucket.owner),
        key,
        facts: Facts {
            headers: &call.headers,
            query: &call.query,
            address: call.peer,
            secure: call.secure,
            now: call.received,
            mechanism: call.auth.mechanism,
        },
    })
}
