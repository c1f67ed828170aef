//! A bucket's lifecycle rules: read, put, delete; and what answers about objects and uploads tell of them.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use myfsio_actors::bucket_config::{ConfigChange, Lifecycle, Subject};
use myfsio_actors::storage::{Bucket, BucketChange, ConfigureBucket, Object};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::node::Node;
use crate::s3::conditional::http_date;
use crate::s3::context::Call;
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::headers::text;
use crate::s3::respond::{Answer, empty, set_header, xml};
use crate::s3::xml::lifecycle::{LIFECYCLE_BYTES_MAX, lifecycle_configuration, write_lifecycle};

const TRANSITION_MINIMUM: &str = "x-amz-transition-default-minimum-object-size";
/// What stays as it is in a rule's id in a header.
const ID_SET: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// S3 API Reference, GetBucketLifecycleConfiguration. Errs: NoSuchLifecycleConfiguration.
pub fn get_bucket_lifecycle(call: &Call) -> Answer {
    let bucket = call.bucket()?;
    let Some(lifecycle) = &bucket.config.lifecycle else {
        return Err(S3Error::new(ErrorCode::NoSuchLifecycleConfiguration).field("BucketName", bucket.name.as_str()));
    };
    let mut response = xml(StatusCode::OK, write_lifecycle(lifecycle));
    tell_transition_minimum(&mut response, lifecycle);
    Ok(response)
}

/// S3 API Reference, PutBucketLifecycleConfiguration. Errs: InvalidRequest without any digest of the document, and those of
/// the document.
pub async fn put_bucket_lifecycle(mut call: Call) -> Answer {
    if !call.body_checks()?.has_integrity() {
        let message = "Missing required header for this request: Content-MD5 OR x-amz-checksum-*";
        return Err(S3Error::with_message(ErrorCode::InvalidRequest, message));
    }
    let varies = match text(&call.headers, TRANSITION_MINIMUM).as_deref() {
        None | Some("all_storage_classes_128K") => false,
        Some("varies_by_storage_class") => true,
        Some(other) => {
            let message = "The value of the transition default minimum object size is not valid.";
            return Err(S3Error::invalid_argument(TRANSITION_MINIMUM, other, message));
        }
    };
    let document = call.body.collect(LIFECYCLE_BYTES_MAX).await?;
    if document.is_empty() {
        return Err(ErrorCode::MissingRequestBodyError.into());
    }
    let mut lifecycle = lifecycle_configuration(&document)?;
    lifecycle.transition_minimum_varies = varies;
    name_rules(&mut lifecycle)?;
    let mut response = empty(StatusCode::OK);
    tell_transition_minimum(&mut response, &lifecycle);
    configure(&call, Some(lifecycle)).await?;
    Ok(response)
}

/// S3 API Reference, DeleteBucketLifecycle; deleting none is no error.
pub async fn delete_bucket_lifecycle(call: Call) -> Answer {
    configure(&call, None).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}

async fn configure(call: &Call, lifecycle: Option<Lifecycle>) -> Result<(), S3Error> {
    let change = BucketChange::Config(ConfigChange::Lifecycle(lifecycle));
    call.storage().configure_bucket(ConfigureBucket { bucket: call.bucket()?, change }).await?;
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
    let due = lifecycle.expiration(&subject, object.stamp, node.settings.lifecycle_day)?;
    let id = utf8_percent_encode(&due.rule.id, ID_SET);
    Some(("x-amz-expiration", format!("expiry-date=\"{}\", rule-id=\"{id}\"", http_date(due.at))))
}

/// `x-amz-abort-date` and `x-amz-abort-rule-id` of an upload that a rule will abort.
pub fn tell_abort(
    response: &mut HttpResponse,
    node: &Node,
    bucket: &Bucket,
    key: &str,
    initiated: myfsio_actors::names::Stamp,
) {
    let due = bucket.config.lifecycle.as_ref();
    if let Some(due) = due.and_then(|it| it.abort(key, initiated, node.settings.lifecycle_day)) {
        set_header(response, "x-amz-abort-date", &http_date(due.at));
        set_header(response, "x-amz-abort-rule-id", &utf8_percent_encode(&due.rule.id, ID_SET).to_string());
    }
}
