//! Whether the caller may: one question to the PolicyEngine per touched resource, on decoded names.
//!
//! This file and `preflight` are the only ones that know how callers and decisions are represented.

use std::sync::Arc;

use myfsio_actors::names::{AccessKeyId, BucketName, CanonicalId, ObjectKey};
use myfsio_actors::storage::Bucket;

use super::context::Call;
use super::error::{ErrorCode, S3Error};
use super::operation::Operation;
use super::query::Query;
use crate::node::Node;

/// Placeholder until the IAM room is merged.
#[derive(Debug)]
pub struct Principal {
    /// Canonical id.
    pub user_id: CanonicalId,
    /// Access key of the request.
    pub access_key: AccessKeyId,
    /// Display name.
    pub display_name: String,
}

/// Placeholder until the auth room is merged.
#[derive(Debug)]
pub enum PayloadSigning {
    /// Not signed.
    Unsigned,
    /// Digest of the body.
    Sha256([u8; 32]),
}

/// Placeholder until the auth room is merged.
#[derive(Debug)]
pub struct Authenticated {
    /// Who asks; none without credentials.
    pub principal: Option<Arc<Principal>>,
    /// How the body is signed.
    pub payload: PayloadSigning,
}

/// The digest that the request claims for its body.
pub fn content_sha256(auth: &Authenticated) -> Option<[u8; 32]> {
    match auth.payload {
        PayloadSigning::Sha256(digest) => Some(digest),
        PayloadSigning::Unsigned => None,
    }
}

/// Whether the request carries no credentials.
pub fn is_anonymous(auth: &Authenticated) -> bool {
    auth.principal.is_none()
}

/// Canonical id of AWS's anonymous user, who owns what is written without credentials.
const ANONYMOUS_ID: &str = "65a011a29cdf8ec533ec3d1ccaae921c65a011a29cdf8ec533ec3d1ccaae921c";

/// Canonical id that the caller's new objects and buckets belong to.
pub fn owner_id(auth: &Authenticated) -> CanonicalId {
    match &auth.principal {
        Some(principal) => principal.user_id.clone(),
        None => CanonicalId::parse(ANONYMOUS_ID).unwrap_or_else(|_| CanonicalId::from_bytes([0; 32])),
    }
}

/// Display name of an owner; empty when unknown.
pub fn owner_name(_node: &Node, _owner: &CanonicalId) -> String {
    String::new()
}

/// Whether the bucket belongs in the caller's ListBuckets.
pub fn sees_bucket(call: &Call, bucket: &Bucket) -> bool {
    call.auth.principal.as_ref().is_some_and(|principal| principal.user_id == bucket.owner)
}

/// What a request asks permission for, before there is a [`Call`].
#[derive(Debug)]
pub struct Primary<'a> {
    /// The operation.
    pub operation: Operation,
    /// The decoded query.
    pub query: &'a Query,
    /// The bucket's name.
    pub bucket_name: Option<&'a BucketName>,
    /// The bucket, if it is there.
    pub bucket: Option<&'a Bucket>,
    /// The key.
    pub key: Option<&'a ObjectKey>,
}

/// Asks for the permission of the request's own resource. Errs: AccessDenied.
pub async fn primary(_node: &Node, auth: &Authenticated, primary: &Primary<'_>) -> Result<(), S3Error> {
    let _ = primary.operation.action(primary.query.has("versionId"));
    if is_anonymous(auth) { Err(ErrorCode::AccessDenied.into()) } else { Ok(()) }
}

/// Asks for a permission on a further resource. Errs: AccessDenied.
pub fn further(call: &Call, _action: &str, _bucket: &Bucket, _key: Option<&str>) -> Result<(), S3Error> {
    if is_anonymous(&call.auth) { Err(ErrorCode::AccessDenied.into()) } else { Ok(()) }
}
