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
use myfsio_actors::encryption::WrappingKey;
use myfsio_actors::kms::{KeyManager, KmsKey};
use serde_json::{Map, Value};

use crate::kms::access::Subject;
use crate::kms::{self, Operation, refusal, tell};
use crate::node::Node;
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::exchange::Exchange;
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
    exchange: &Exchange,
    incoming: impl Stream<Item = Result<Bytes, PayloadError>> + 'static,
) -> Answer {
    let route = route::find(&head.method, head.uri.path())?;
    let mut caller = preflight::identify(node, head).await?;
    caller.note(exchange);
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
            let is_administrator = caller.is_administrator(node);
            let call = kms::Call { node, operation, fields, principal: &principal, context, by };
            let told = kms::perform(&call).await?;
            completed(&call, told, is_administrator)?
        }
        KmsRoute::Client(route) => client::answer(route, &body.collect(client::BODY_BYTES_MAX).await?)?,
    };
    Ok(no_store(json(StatusCode::OK, &told)))
}

/// What AWS tells, and beside it: the key as it is now where an operation changes one and AWS tells next to nothing; of a key that is looked
/// at or deleted, how many objects and uploads nobody can read without it; and its names. The node's own key anybody may look at, but what
/// is under it is everybody's, so that is told to administrators. Errs: as looking the key up.
fn completed(call: &kms::Call<'_>, told: Value, is_administrator: bool) -> Result<Value, S3Error> {
    use Operation as O;
    let mut members = match told {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    let key = || call.find(call.fields.key("KeyId")?).map_err(refusal);
    match call.operation {
        O::EnableKey | O::DisableKey | O::RotateKeyOnDemand | O::CancelKeyDeletion => {
            members.insert("KeyMetadata".to_owned(), tell::metadata(&*key()?));
        }
        O::DescribeKey | O::ScheduleKeyDeletion => {
            let key = key()?;
            if key.manager == KeyManager::Customer || is_administrator {
                let affected = call.node.storage.key_use(&WrappingKey::Kms(key.id.clone()))?;
                members.insert("AffectedObjects".to_owned(), affected.objects.into());
                members.insert("AffectedUploads".to_owned(), affected.uploads.into());
            }
            if call.operation == O::DescribeKey {
                members.extend(names(call, &key));
            }
        }
        _ => {}
    }
    Ok(members.into())
}

/// A key's aliases and tags, as far as the caller may list them.
fn names(call: &kms::Call<'_>, key: &KmsKey) -> impl Iterator<Item = (String, Value)> {
    let aliases = call.question("kms:ListAliases", Subject::account(&call.principal.account_id));
    let aliases = call.ask(&aliases).is_ok().then(|| ("Aliases".to_owned(), key.aliases.clone().into()));
    let may_list_tags = call.ask_about("kms:ListResourceTags", key, |_| {}).is_ok();
    let tags = may_list_tags.then(|| ("Tags".to_owned(), key.tags.iter().map(tell::tag).collect()));
    aliases.into_iter().chain(tags)
}
