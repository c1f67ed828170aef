//! Buckets whose requesters pay (S3 User Guide, "Using Requester Pays general purpose buckets").
//!
//! Nobody is billed here. What holds is the agreement: who is not of the bucket's account must say that it pays.

use myfsio_actors::iam::Principal;
use myfsio_actors::storage::Bucket;

use super::authorize::Facts;
use super::error::{ErrorCode, S3Error};
use crate::node::Node;

/// Name of the header, and of the query parameter that presigned URLs carry instead.
const PAYER: &str = "x-amz-request-payer";

/// Whether the requester is charged. Errs: AccessDenied when it does not agree, or is nobody.
pub fn charged(
    node: &Node,
    principal: Option<&Principal>,
    bucket: &Bucket,
    facts: &Facts<'_>,
) -> Result<bool, S3Error> {
    if !bucket.config.requester_pays {
        return Ok(false);
    }
    let refused = |why: &str| S3Error::new(ErrorCode::AccessDenied).because(why).by_rule("requester_pays");
    let principal = principal.ok_or_else(|| refused("the requester pays, but is nobody"))?;
    if node.access.iam.directory().account_of(&bucket.owner) == principal.account_id.as_str() {
        return Ok(false);
    }
    let agrees = |value: &str| value.eq_ignore_ascii_case("requester");
    let in_header = facts.headers.get(PAYER).and_then(|value| value.to_str().ok()).is_some_and(agrees);
    match in_header || facts.query.get(PAYER).is_some_and(agrees) {
        true => Ok(true),
        false => Err(refused("the requester pays, and did not say that it does")),
    }
}
