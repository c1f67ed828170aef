//! A bucket's policy by its preset: `{"preset", "policy", "problem"}`.
//!
//! The permissions are those of the S3 operations that do the same, and so is what is done.

use std::sync::Arc;

use actix_http::error::PayloadError;
use actix_web::http::StatusCode;
use bytes::Bytes;
use futures_util::Stream;
use myfsio_actors::names::BucketName;
use myfsio_actors::policy_engine::{DOCUMENT_BYTES_MAX, Preset};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::node::Node;
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::handlers::bucket_policy::{drop_policy, put_policy};
use crate::s3::operation::Operation;
use crate::s3::preflight::Caller;
use crate::s3::respond::{Answer, RequestId, json};

/// Largest body, in bytes: a policy and what says that it is one.
const BODY_BYTES_MAX: usize = DOCUMENT_BYTES_MAX + 1024;

/// Tells the preset that the bucket's policy is, the policy, and what is wrong with it. Errs: NoSuchBucket, AccessDenied.
pub async fn show(node: &Arc<Node>, caller: &Caller, bucket: &BucketName) -> Answer {
    let bucket = node.storage.bucket(bucket)?;
    caller.ask(node, Operation::GetBucketPolicy.action(false), &bucket).await?;
    Ok(tell(node, &bucket.name))
}

/// Sets the preset. Errs: InvalidArgument; as PutBucketPolicy and DeleteBucketPolicy.
pub async fn set(
    node: &Arc<Node>,
    mut caller: Caller,
    request_id: RequestId,
    bucket: &BucketName,
    incoming: impl Stream<Item = Result<Bytes, PayloadError>> + 'static,
) -> Answer {
    let bucket = node.storage.bucket(bucket)?;
    let body = caller.body(incoming)?.collect(BODY_BYTES_MAX).await?;
    let wanted = Wanted::parse(&body)?;
    let operation = match wanted {
        Wanted::Private => Operation::DeleteBucketPolicy,
        Wanted::Public | Wanted::Custom(_) => Operation::PutBucketPolicy,
    };
    caller.ask(node, operation.action(false), &bucket).await?;
    let by = caller.origin(request_id);
    match wanted {
        Wanted::Private => drop_policy(node, &bucket.name, Some(by)).await?,
        Wanted::Public => put_policy(node, &bucket, Preset::public_policy(&bucket.name).to_string(), by).await?,
        Wanted::Custom(text) => put_policy(node, &bucket, text.to_owned(), by).await?,
    }
    Ok(tell(node, &bucket.name))
}

fn tell(node: &Node, bucket: &BucketName) -> actix_web::HttpResponse {
    let policies = &node.access.policy_engine;
    let preset = match policies.preset(bucket) {
        Preset::Private => "private",
        Preset::Public => "public",
        Preset::Custom => "custom",
    };
    let policy: Value =
        policies.policy_text(bucket).and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    // Where the file lies is nothing that those who may read a policy need to know.
    let in_file = || {
        let problem = policies.problem()?;
        let line = problem.line.map(|line| format!(" (line {line})")).unwrap_or_default();
        Some(format!(
            "The file of bucket policies has a mistake{line}, and an earlier state of it is in force: {}",
            problem.reason
        ))
    };
    let problem = policies.policy_problem(bucket).or_else(in_file);
    json(StatusCode::OK, &json!({ "preset": preset, "policy": policy, "problem": problem }))
}

/// What the body asks for.
#[derive(Debug, PartialEq, Eq)]
enum Wanted<'a> {
    Private,
    Public,
    /// This policy, as written.
    Custom(&'a str),
}

/// The body.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body<'a> {
    preset: Option<&'a str>,
    #[serde(borrow)]
    policy: Option<&'a RawValue>,
}

impl<'a> Wanted<'a> {
    /// Errs: InvalidArgument.
    fn parse(body: &'a [u8]) -> Result<Self, S3Error> {
        let refused = |message: String| S3Error::with_message(ErrorCode::InvalidArgument, message);
        let body: Body<'a> = serde_json::from_slice(body).map_err(|error| {
            refused(format!("The body must be {{\"preset\": …}}, with \"policy\" where that is custom: {error}."))
        })?;
        match (body.preset, body.policy.map(RawValue::get)) {
            (Some("private"), None) => Ok(Self::Private),
            (Some("public"), None) => Ok(Self::Public),
            (Some("private" | "public"), Some(_)) => Err(refused("This preset takes no policy.".to_owned())),
            (Some("custom"), Some(policy)) => Ok(Self::Custom(policy)),
            (Some("custom"), None) => Err(refused("The preset custom takes a policy.".to_owned())),
            _ => Err(refused("The preset must be public, private or custom.".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies() {
        let parse = |body: &'static str| Wanted::parse(body.as_bytes());
        assert_eq!(parse(r#"{"preset":"private"}"#).unwrap(), Wanted::Private);
        assert_eq!(parse(r#"{"preset":"private","policy":null}"#).unwrap(), Wanted::Private);
        assert_eq!(parse(r#" {"preset": "public"} "#).unwrap(), Wanted::Public);
        // The text reaches its parser as it is: what is ambiguous in it must be seen there.
        let custom = r#"{"policy": { "Version" : 1, "Version": 2 },"preset":"custom"}"#;
        assert_eq!(parse(custom).unwrap(), Wanted::Custom(r#"{ "Version" : 1, "Version": 2 }"#));
        for bad in [
            "",
            "[]",
            "{}",
            r#"{"preset":"open"}"#,
            r#"{"preset":1}"#,
            r#"{"preset":"custom"}"#,
            r#"{"preset":"custom","policy":null}"#,
            r#"{"preset":"public","policy":{}}"#,
            r#"{"preset":"public","preset":"private"}"#,
            r#"{"preset":"public","more":1}"#,
        ] {
            assert_eq!(parse(bad).unwrap_err().code(), ErrorCode::InvalidArgument, "{bad}");
        }
    }
}
