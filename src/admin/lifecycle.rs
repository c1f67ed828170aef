//! What a bucket's lifecycle rules did, and what a draft of them would do.

use std::sync::Arc;

use actix_web::http::StatusCode;
use myfsio_actors::bucket_config::{Lifecycle, LifecycleKind};
use myfsio_actors::lifecycle::LifecycleError;
use myfsio_actors::names::BucketName;
use myfsio_actors::storage::{Bucket, Foreseen};
use serde_json::{Value, json};

use crate::node::Node;
use crate::s3::body::RequestBody;
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::handlers::bucket_lifecycle::name_rules;
use crate::s3::preflight::Caller;
use crate::s3::respond::{self, Answer};
use crate::s3::xml::Element;
use crate::s3::xml::lifecycle::{LIFECYCLE_BYTES_MAX, lifecycle, lifecycle_configuration};
use crate::s3::xml::time_text;
use crate::s3::xml::write::seconds_text;

/// The bucket, if the caller administers the node or may set the bucket's rules. Errs: NoSuchBucket, AccessDenied.
pub async fn bucket(node: &Arc<Node>, caller: &Caller, name: &BucketName) -> Result<Arc<Bucket>, S3Error> {
    let is_administrator = caller.is_administrator(node);
    let bucket = node.storage.bucket(name)?;
    if !is_administrator {
        caller.ask(node, "s3:PutLifecycleConfiguration", &bucket).await?;
    }
    Ok(bucket)
}

/// Whether the caller may know the names of what the bucket holds.
pub async fn may_list(node: &Arc<Node>, caller: &Caller, bucket: &Bucket) -> bool {
    caller.is_administrator(node) || caller.ask(node, "s3:ListBucketVersions", bucket).await.is_ok()
}

fn answer(body: &Value) -> Answer {
    Ok(respond::json(StatusCode::OK, body))
}

/// The bucket's rules, and what was done by them.
pub fn report(node: &Arc<Node>, bucket: &Bucket) -> Answer {
    let report = node.lifecycle.report(bucket)?;
    let rules = bucket.config.lifecycle.as_ref().map(|lifecycle| &lifecycle.rules[..]).unwrap_or_default();
    let run = |run: &myfsio_actors::storage::LifecycleRun| {
        json!({
            "started": time_of_millis(run.started_millis),
            "ended": time_of_millis(run.ended_millis),
            "objects": run.objects,
            "versions": run.versions,
            "delete_markers": run.markers,
            "uploads": run.uploads,
            "bytes": run.bytes,
            "locked": run.locked,
            "failed": run.failed,
            "errors": run.errors,
        })
    };
    answer(&json!({
        "bucket": bucket.name.as_str(),
        "rules": rules.iter().map(rule_json).collect::<Vec<_>>(),
        "indexed": report.is_complete,
        "looked_at": report.looked_at.map(time_text),
        "looks_next": report.looks_next.map(time_text),
        "runs": report.runs.iter().map(run).collect::<Vec<_>>(),
    }))
}

fn time_of_millis(millis: u64) -> String {
    seconds_text(millis / 1000)
}

/// A rule with the names that the AWS command line gives its parts.
fn rule_json(rule: &myfsio_actors::bucket_config::LifecycleRule) -> Value {
    let mut told = json!({
        "ID": rule.id,
        "Status": if rule.enabled { "Enabled" } else { "Disabled" },
        "Prefix": rule.filter.prefix,
        "Tags": rule.filter.tags.iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect::<Vec<_>>(),
        "ObjectSizeGreaterThan": rule.filter.size_greater_than,
        "ObjectSizeLessThan": rule.filter.size_less_than,
        "Expiration": rule.expiration.map(expiration_json),
        "NoncurrentVersionExpiration": rule.noncurrent.map(|noncurrent| json!({
            "NoncurrentDays": noncurrent.days,
            "NewerNoncurrentVersions": noncurrent.newer_versions,
        })),
        "AbortIncompleteMultipartUpload":
            rule.abort_uploads.map(|abort| json!({ "DaysAfterInitiation": abort.days })),
    });
    if let Value::Object(fields) = &mut told {
        fields.retain(|_, value| !value.is_null() && value.as_array().is_none_or(|all| !all.is_empty()));
    }
    told
}

fn expiration_json(expiration: myfsio_actors::bucket_config::Expiration) -> Value {
    use myfsio_actors::bucket_config::Expiration;
    match expiration {
        Expiration::Days(days) => json!({ "Days": days }),
        Expiration::Date(seconds) => json!({ "Date": seconds_text(seconds) }),
        Expiration::ExpiredDeleteMarker(marker) => json!({ "ExpiredObjectDeleteMarker": marker }),
    }
}

/// What the rules in the body, or else the bucket's, would remove now and in the next 30 days. Errs: as
/// PutBucketLifecycleConfiguration; NoSuchLifecycleConfiguration.
///
/// What it is that would be removed is told to those who may list the bucket.
pub async fn preview(node: &Arc<Node>, bucket: &Arc<Bucket>, mut body: RequestBody, may_list: bool) -> Answer {
    let body = body.collect(LIFECYCLE_BYTES_MAX).await?;
    let draft = match body.trim_ascii_start().first() {
        None => bucket.config.lifecycle.clone().ok_or(ErrorCode::NoSuchLifecycleConfiguration)?,
        Some(b'{') => draft_of_json(&body)?,
        Some(_) => draft_named(lifecycle_configuration(&body)?)?,
    };
    let preview = node.lifecycle.preview(bucket, draft).await?;
    answer(&json!({
        "now": foreseen_json(&preview.now, may_list),
        "next_30_days": foreseen_json(&preview.later, may_list),
        "locked": preview.locked,
        "is_partial": preview.is_partial,
    }))
}

fn foreseen_json(foreseen: &Foreseen, with_sample: bool) -> Value {
    let entry = |entry: &myfsio_actors::storage::ForeseenEntry| {
        json!({
            "kind": match entry.kind {
                LifecycleKind::Current => "object",
                LifecycleKind::Noncurrent => "version",
                LifecycleKind::LoneMarker => "delete_marker",
                LifecycleKind::Upload => "upload",
            },
            "key": entry.key,
            "size": entry.size,
            "due": time_text(entry.at),
            "rule": entry.rule,
        })
    };
    let mut told = json!({
        "count": foreseen.objects + foreseen.versions + foreseen.markers + foreseen.uploads,
        "bytes": foreseen.bytes,
        "objects": foreseen.objects,
        "versions": foreseen.versions,
        "delete_markers": foreseen.markers,
        "uploads": foreseen.uploads,
    });
    if let (true, Value::Object(fields)) = (with_sample, &mut told) {
        fields.insert("sample".to_owned(), foreseen.sample.iter().map(entry).collect());
    }
    told
}

/// A draft as the AWS command line takes it: the document with `Rules` for its rules and `Tags` for tags.
fn draft_of_json(body: &[u8]) -> Result<Lifecycle, S3Error> {
    let malformed = |error: &dyn std::fmt::Display| S3Error::new(ErrorCode::MalformedXML).because(error);
    let draft: Value = serde_json::from_slice(body).map_err(|error| malformed(&error))?;
    let mut root = Element { name: "LifecycleConfiguration".to_owned(), ..Element::default() };
    root.children = elements(&draft);
    draft_named(lifecycle(&root)?)
}

fn draft_named(mut draft: Lifecycle) -> Result<Lifecycle, S3Error> {
    name_rules(&mut draft)?;
    Ok(draft)
}

/// The fields of an object as elements; a list is one element for each of its entries, by the name of one.
fn elements(value: &Value) -> Vec<Element> {
    let Value::Object(fields) = value else { return Vec::new() };
    let element = |name: &str, value: &Value| Element {
        name: name.to_owned(),
        text: match value {
            Value::String(text) => text.clone(),
            Value::Bool(_) | Value::Number(_) => value.to_string(),
            Value::Null | Value::Array(_) | Value::Object(_) => String::new(),
        },
        children: elements(value),
        ..Element::default()
    };
    let several = |(name, value): (&String, &Value)| match value {
        Value::Null => Vec::new(),
        Value::Array(entries) => {
            let single = name.strip_suffix('s').unwrap_or(name);
            entries.iter().map(|entry| element(single, entry)).collect()
        }
        single => vec![element(name, single)],
    };
    fields.iter().flat_map(several).collect()
}

impl From<LifecycleError> for S3Error {
    fn from(error: LifecycleError) -> Self {
        match error {
            LifecycleError::Storage(error) => error.into(),
            LifecycleError::Busy => Self::new(ErrorCode::SlowDown),
            LifecycleError::Stopped | LifecycleError::TimedOut => {
                Self::new(ErrorCode::ServiceUnavailable).because(error)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drafts_in_json_are_those_in_xml() {
        let draft = br#" {"Rules": [{"ID": "a", "Status": "Enabled", "Expiration": {"Days": 3},
            "Filter": {"And": {"Prefix": "x/", "Tags": [{"Key": "k", "Value": "1"}, {"Key": "l", "Value": "2"}]}}}]}"#;
        let xml = b"<LifecycleConfiguration><Rule><ID>a</ID><Status>Enabled</Status><Expiration><Days>3</Days></Expiration>\
            <Filter><And><Prefix>x/</Prefix><Tag><Key>k</Key><Value>1</Value></Tag><Tag><Key>l</Key><Value>2</Value></Tag>\
            </And></Filter></Rule></LifecycleConfiguration>";
        assert_eq!(draft_of_json(draft).unwrap(), lifecycle_configuration(xml).unwrap());
        for bad in ["{", "{}", "[]", r#"{"Rules": [{"Status": "Enabled"}]}"#, r#"{"Rules": 3}"#] {
            assert_eq!(draft_of_json(bad.as_bytes()).unwrap_err().code(), ErrorCode::MalformedXML, "{bad}");
        }
    }
}
