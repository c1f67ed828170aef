//! Keys by JSON: routes below `/kms`. What is done, asked for and told is that of the operations of AWS KMS (`crate::kms`); a route only
//! says which, and takes names in snake case, too. Beside them is client-side encryption, for which no key of the node is used.

mod body;
mod client;
mod route;

use std::sync::Arc;

use actix_http::RequestHead;
use actix_http::error::PayloadError;
use actix_web::http::StatusCode;
use bytes::Bytes;
use futures_util::Stream;
use serde_json::{Map, Value};

use crate::kms::{self, Operation, refusal, tell};
use crate::node::Node;
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::preflight;
use crate::s3::respond::{Answer, RequestId, json, no_store};
use route::KmsRoute;

/// Largest body of an operation, in bytes: the largest policy, with every byte escaped, and some more.
const BODY_BYTES_MAX: usize = 256 * 1024;

/// Answers a request below `/kms`. Errs: AccessDenied without credentials; KMSNotEnabled; as its operation.
pub async fn answer(
    node: &Arc<Node>,
    head: &RequestHead,
    request_id: RequestId,
    incoming: impl Stream<Item = Result<Bytes, PayloadError>> + 'static,
) -> Answer {
    let route = route::find(&head.method, head.uri.path())?;
    let mut caller = preflight::identify(node, head).await?;
    let principal = caller.principal().cloned().ok_or(ErrorCode::AccessDenied)?;
    if !node.kms.kms_enabled() {
        return Err(ErrorCode::KMSNotEnabled.into());
    }
    let mut body = caller.body(incoming)?;
    let told = match route {
        KmsRoute::Operation(operation, key) => {
            let body = body.collect(BODY_BYTES_MAX).await?;
            let fields = body::read(operation, key, &body, caller.query())?;
            let (context, by) = (caller.context(node), caller.origin(request_id));
            let call = kms::Call { node, operation, fields, principal: &principal, context, by };
            let told = kms::perform(&call).await?;
            completed(&call, told)?
        }
        KmsRoute::Client(route) => client::answer(route, &body.collect(client::BODY_BYTES_MAX).await?)?,
    };
    Ok(no_store(json(StatusCode::OK, &told)))
}

/// What AWS tells, and beside it: the key as it is now where an operation changes one and AWS tells next to nothing; and, of a key that is
/// looked at or deleted, how many objects nobody can read without it. Errs: as looking the key up.
fn completed(call: &kms::Call<'_>, told: Value) -> Result<Value, S3Error> {
    use Operation as O;
    let mut members = match told {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    let key = || call.kms().find(call.fields.key("KeyId")?).map_err(refusal);
    match call.operation {
        O::EnableKey | O::DisableKey | O::RotateKeyOnDemand | O::CancelKeyDeletion => {
            members.insert("KeyMetadata".to_owned(), tell::metadata(&*key()?));
        }
        O::DescribeKey | O::ScheduleKeyDeletion => {
            members.insert("AffectedObjects".to_owned(), call.node.storage.objects_under_key(&key()?.id)?.into());
        }
        _ => {}
    }
    Ok(members.into())
}
