//! What is set of a bucket: properties, lifecycle rules, and documents that are edited as they are.
//!
//! Every form carries a mark of the setting as it was when the page was loaded: who saves over a change of somebody else is told
//! so, and nothing is saved. So is whoever comes second where two save at the same instant.

pub(super) mod access;
pub(super) mod change;
mod cors;
mod documents;
mod encrypted;
mod events;
mod lifecycle;
pub(super) mod show;
pub(super) mod written;

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use myfsio_actors::storage::Bucket;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::console::failure::Failure;
use crate::console::links;
use crate::console::notice::Notice;
use crate::console::route::{ADMINS, Outcome, Row, SIGNED_IN};
use crate::console::visit::Visit;
use crate::within::{Asker, Expected};

/// The routes.
pub const ROWS: &[Row] = &[
    Row::get("/ui/buckets/{bucket}/properties", SIGNED_IN, |visit| Box::pin(show::show(visit))),
    Row::post("/ui/buckets/{bucket}/versioning", ADMINS, |visit| Box::pin(change::versioning(visit))),
    Row::post("/ui/buckets/{bucket}/encryption", ADMINS, |visit| Box::pin(change::encryption(visit))),
    Row::get("/ui/buckets/{bucket}/encrypted", SIGNED_IN, |visit| Box::pin(encrypted::show(visit))),
    Row::post("/ui/buckets/{bucket}/encrypted", ADMINS, |visit| Box::pin(encrypted::begin(visit))),
    Row::post("/ui/buckets/{bucket}/encrypted/stop", ADMINS, |visit| Box::pin(encrypted::stop(visit))),
    Row::post("/ui/buckets/{bucket}/quota", ADMINS, |visit| Box::pin(change::quota(visit))),
    Row::post("/ui/buckets/{bucket}/object-lock", ADMINS, |visit| Box::pin(change::object_lock(visit))),
    Row::post("/ui/buckets/{bucket}/bucket-tags", ADMINS, |visit| Box::pin(change::tags(visit))),
    Row::post("/ui/buckets/{bucket}/website", ADMINS, |visit| Box::pin(change::website(visit))),
    Row::post("/ui/buckets/{bucket}/logging", ADMINS, |visit| Box::pin(change::logging(visit))),
    Row::get("/ui/buckets/{bucket}/document", ADMINS, |visit| Box::pin(documents::show(visit))).tested_by("name=cors"),
    Row::post("/ui/buckets/{bucket}/document", ADMINS, |visit| Box::pin(documents::put(visit))).tested_by("name=cors"),
    Row::get("/ui/buckets/{bucket}/lifecycle", ADMINS, |visit| Box::pin(lifecycle::show(visit))),
    Row::post("/ui/buckets/{bucket}/lifecycle", ADMINS, |visit| Box::pin(lifecycle::add(visit))),
    Row::post("/ui/buckets/{bucket}/lifecycle/remove", ADMINS, |visit| Box::pin(lifecycle::remove(visit))),
    Row::post("/ui/buckets/{bucket}/lifecycle/preview", ADMINS, |visit| Box::pin(lifecycle::foresee(visit))),
    Row::get("/ui/buckets/{bucket}/access", ADMINS, |visit| Box::pin(access::show(visit))),
    Row::post("/ui/buckets/{bucket}/access/block", ADMINS, |visit| Box::pin(access::block(visit))),
    Row::post("/ui/buckets/{bucket}/access/ownership", ADMINS, |visit| Box::pin(access::ownership(visit))),
    Row::post("/ui/buckets/{bucket}/access/grant", ADMINS, |visit| Box::pin(access::grant(visit))),
    Row::post("/ui/buckets/{bucket}/access/revoke", ADMINS, |visit| Box::pin(access::revoke(visit))),
    Row::get("/ui/buckets/{bucket}/cors", ADMINS, |visit| Box::pin(cors::show(visit))),
    Row::post("/ui/buckets/{bucket}/cors", ADMINS, |visit| Box::pin(cors::add(visit))),
    Row::post("/ui/buckets/{bucket}/cors/remove", ADMINS, |visit| Box::pin(cors::remove_rule(visit))),
    Row::get("/ui/buckets/{bucket}/notifications", ADMINS, |visit| Box::pin(events::show(visit))),
    Row::post("/ui/buckets/{bucket}/notifications", ADMINS, |visit| Box::pin(events::add(visit))),
    Row::post("/ui/buckets/{bucket}/notifications/remove", ADMINS, |visit| Box::pin(events::remove(visit))),
];

/// A mark of one setting as it is now. `part`: a field of the bucket's configuration, or `versioning`.
fn revision(bucket: &Bucket, part: &str) -> String {
    let now = match part {
        "versioning" => format!("{:?}", bucket.versioning),
        _ => {
            let config = serde_json::to_value(&*bucket.config).unwrap_or_default();
            config.get(part).map(Value::to_string).unwrap_or_default()
        }
    };
    mark(&now)
}

/// A mark of a text.
pub(super) fn mark(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(text))
}

/// The bucket, for a form that changes `part` of it, which takes the permission `action`; and who asks for that, of the bucket as it is
/// now: should somebody else be faster, then that request is refused. Errs: the permission is not there; the setting is not what the form
/// was loaded with.
async fn begin(visit: &Visit, action: &str, part: &str) -> Result<(Arc<Bucket>, Asker), Failure> {
    let (bucket, asker) = (visit.bucket().await?, visit.asker()?);
    asker.ask(action, &bucket).await?;
    if visit.form.text("revision") != revision(&bucket, part) {
        return Err(Failure::Changed);
    }
    let asker = asker.expecting(Expected::Bucket(Arc::clone(&bucket)));
    Ok((bucket, asker))
}

/// Tells that a setting was saved, on the page that shows it.
fn saved(visit: &Visit, bucket: &Bucket, page: &str) -> Outcome {
    visit.done(Notice::good(visit.t.properties.saved), &links::bucket(bucket.name.as_str(), page))
}
