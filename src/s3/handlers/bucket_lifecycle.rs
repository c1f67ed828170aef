//! A bucket's lifecycle rules: read, put, delete; and what answers about objects and uploads tell of them.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use myfsio_actors::bucket_config::{ConfigChange, Lifecycle, Subject};
use myfsio_actors::names::Stamp;
use myfsio_actors::storage::{Bucket, Object};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::bucket_config::{checked_document, configure, told};
use crate::node::Node;
use crate::s3::conditional::http_date;
use crate::s3::context::Call;
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::headers::text;
use crate::s3::respond::{Answer, empty, set_header};
use crate::s3::xml::lifecycle::{LIFECYCLE_BYTES_MAX, lifecycle_configuration, write_lifecycle};

const TRANSITION_MINIMUM: &str = "x-amz-transition-default-minimum-object-size";
/// The end of time, as stamps have it: what is due then is never due.
const NEVER: Stamp = Stamp(u64::MAX);
/// What stays as it is in a rule's id in a header.
const ID_SET: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// S3 API Reference, GetBucketLifecycleConfiguration. Errs: NoSuchLifecycleConfiguration.
pub fn get_bucket_lifecycle(call: &Call) -> Answer {
    let bucket = call.bucket()?;
    let lifecycle = bucket.config.lifecycle.as_ref();
    let mut response = told(call, lifecycle, write_lifecycle, ErrorCode::NoSuchLifecycleConfiguration)?;
    if let Some(lifecycle) = lifecycle {
        tell_transition_minimum(&mut response, lifecycle);
    }
    Ok(response)
}

/// S3 API Reference, PutBucketLifecycleConfiguration. Errs: InvalidRequest without any digest of the document, and those of
/// the document.
pub async fn put_bucket_lifecycle(mut call: Call) -> Answer {
    let varies = match text(&call.headers, TRANSITION_MINIMUM).as_deref() {
        None | Some("all_storage_classes_128K") => false,
        Some("varies_by_storage_class") => true,
        Some(other) => {
            let message = "The value of the transition default minimum object size is not valid.";
            return Err(S3Error::invalid_argument(TRANSITION_MINIMUM, other, message));
        }
    };
    let mut lifecycle = lifecycle_configuration(&checked_document(&mut call, LIFECYCLE_BYTES_MAX).await?)?;
    lifecycle.transition_minimum_varies = varies;
    name_rules(&mut lifecycle)?;
    let mut response = empty(StatusCode::OK);
    tell_transition_minimum(&mut response, &lifecycle);
    set(&call, Some(lifecycle)).await?;
    Ok(response)
}

/// S3 API Reference, DeleteBucketLifecycle; deleting none is no error.
pub async fn delete_bucket_lifecycle(call: Call) -> Answer {
    set(&call, None).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}

async fn set(call: &Call, lifecycle: Option<Lifecycle>) -> Result<(), S3Error> {
    configure(call, ConfigChange::Lifecycle(lifecycle)).await?;
    // Else it looks at the next midnight, or when the node starts again.
    if let Err(error) = call.node.lifecycle.look().await {
        tracing::warn!(%error, "lifecycle could not be told of new rules");
    }
    Ok(())
}

fn tell_transition_minimum(response: &mut HttpResponse, lifecycle: &Lifecycle) {
    let varies = lifecycle.transition_minimum_varies;
    let value = if varies { "varies_by_storage_class" } else { "all_storage_classes_128K" };
    set_header(response, TRANSITION_MINIMUM, value);
}

/// Gives each rule without an id one that no other has.
pub fn name_rules(lifecycle: &mut Lifecycle) -> Result<(), S3Error> {
    for rule in lifecycle.rules.iter_mut().filter(|rule| rule.id.is_empty()) {
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(S3Error::internal)?;
        rule.id = random.iter().map(|byte| format!("{byte:02x}")).collect();
    }
    Ok(())
}

/// `x-amz-expiration` of a current object: when it expires, and by which rule; none when it does not.
pub fn expiration(node: &Node, bucket: &Bucket, key: &str, object: &Object) -> Option<(&'static str, String)> {
    let lifecycle = bucket.config.lifecycle.as_ref()?;
    let subject = Subject { key, content: Some((object.size, &object.attributes.tags)) };
    let due = lifecycle.expiration(&subject, object.stamp, node.lifecycle.day()).filter(|due| due.at != NEVER)?;
    let id = utf8_percent_encode(&due.rule.id, ID_SET);
    Some(("x-amz-expiration", format!("expiry-date=\"{}\", rule-id=\"{id}\"", http_date(due.at))))
}

/// `x-amz-abort-date` and `x-amz-abort-rule-id` of an upload that a rule will abort.
pub fn tell_abort(response: &mut HttpResponse, node: &Node, bucket: &Bucket, key: &str, initiated: Stamp) {
    let due = bucket.config.lifecycle.as_ref();
    if let Some(due) = due.and_then(|it| it.abort(key, initiated, node.lifecycle.day()).filter(|due| due.at != NEVER)) {
        set_header(response, "x-amz-abort-date", &http_date(due.at));
        set_header(response, "x-amz-abort-rule-id", &utf8_percent_encode(&due.rule.id, ID_SET).to_string());
    }
}
