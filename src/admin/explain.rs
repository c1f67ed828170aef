//! Why a request was refused.

use actix_web::http::StatusCode;

use crate::decisions::Asker;
use crate::node::Node;
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::preflight::Caller;
use crate::s3::respond::{Answer, RequestId, json};

/// The refusals of the request that the query names, as far as the caller may see them. Errs: AccessDenied without credentials,
/// InvalidArgument without an id; NoSuchDecision for an id that nobody knows and for one that is not the caller's to see, so that
/// nobody learns which of them it is.
pub fn explain(node: &Node, caller: &Caller) -> Answer {
    let principal = caller.principal().ok_or_else(|| caller.refused(node))?;
    let Some(text) = caller.query().get_filled("request_id") else {
        let message = "The id of the request stands in x-amz-request-id of its answer.";
        return Err(S3Error::invalid_argument("request_id", "", message));
    };
    let asker = Asker { principal, is_administrator: caller.is_administrator(node) };
    let directory = node.access.iam.directory();
    let account_of = |owner: &_| directory.account_of(owner).into_owned();
    let told = || {
        let id = RequestId::parse(text)?;
        let (at, refusals) = node.decisions.find(id, caller.received())?;
        refusals.tell(&id.to_string(), at, asker, &account_of)
    };
    Ok(json(StatusCode::OK, &told().ok_or(ErrorCode::NoSuchDecision)?))
}
