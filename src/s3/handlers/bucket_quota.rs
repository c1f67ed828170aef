//! Quotas of a bucket: operations of this server's own, which speak JSON (docs/quotas.md).

use actix_web::http::StatusCode;
use myfsio_actors::bucket_config::{BucketQuota, ConfigChange, PrefixQuota, QuotaLimits, QuotaResource};
use myfsio_actors::policy_engine::refuse_ambiguous;
use myfsio_actors::storage::{Bucket, QuotaAccount, QuotaScope};
use serde::Deserialize;
use serde_json::{Value, json};

use super::bucket_config::{configure, document};
use crate::node::Node;
use crate::s3::authorize;
use crate::s3::context::Call;
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::respond::{Answer, empty, json as json_answer};

/// Largest document, in bytes: as many prefixes as there may be, each as long as a key and escaped, fit in.
const DOCUMENT_BYTES_MAX: usize = 256 * 1024;

/// The quotas of the bucket, and how full they are: for whoever may ask for that, or list the bucket.
pub async fn get_bucket_quota(call: Call) -> Answer {
    let bucket = call.bucket()?;
    call.node.access.refresh().await;
    authorize::see_usage(&call, &bucket)?;
    Ok(json_answer(StatusCode::OK, &told(&call.node, &bucket)))
}

/// Replaces the quotas of the bucket; answers what [`get_bucket_quota`] does. Errs: InvalidArgument.
pub async fn put_bucket_quota(mut call: Call) -> Answer {
    let quota = parse(&document(&mut call, DOCUMENT_BYTES_MAX).await?)?;
    let bucket = configure(&call, ConfigChange::Quota(quota)).await?;
    Ok(json_answer(StatusCode::OK, &told(&call.node, &bucket)))
}

/// Removes the quotas of the bucket.
pub async fn delete_bucket_quota(call: Call) -> Answer {
    configure(&call, ConfigChange::Quota(None)).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}

/// Limits as a document has them. Names that are none are refused, lest a slip of the pen be no limit.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Limits {
    #[serde(alias = "max_size_bytes")]
    max_bytes: Option<u64>,
    max_objects: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(alias = "max_size_bytes")]
    max_bytes: Option<u64>,
    max_objects: Option<u64>,
    prefixes: Option<Vec<Prefix>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Prefix {
    prefix: String,
    #[serde(alias = "max_size_bytes")]
    max_bytes: Option<u64>,
    max_objects: Option<u64>,
}

fn refused(error: impl std::fmt::Display) -> S3Error {
    S3Error::with_message(ErrorCode::InvalidArgument, format!("The quota: {error}."))
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, S3Error> {
    let text = str::from_utf8(body).map_err(refused)?;
    // serde would take an array for a record.
    if !text.trim_start().starts_with('{') {
        return Err(refused("it is no JSON object"));
    }
    refuse_ambiguous(text).and_then(|()| serde_json::from_str(text)).map_err(refused)
}

/// Reads limits alone. Errs: InvalidArgument.
pub fn parse_limits(body: &[u8]) -> Result<QuotaLimits, S3Error> {
    let Limits { max_bytes, max_objects } = read(body)?;
    Ok(QuotaLimits { max_bytes, max_objects })
}

fn parse(body: &[u8]) -> Result<Option<BucketQuota>, S3Error> {
    let Document { max_bytes, max_objects, prefixes } = read(body)?;
    let prefix = |Prefix { prefix, max_bytes, max_objects }| PrefixQuota {
        prefix,
        limits: QuotaLimits { max_bytes, max_objects },
    };
    let prefixes = prefixes.unwrap_or_default().into_iter().map(prefix).collect();
    BucketQuota { limits: QuotaLimits { max_bytes, max_objects }, prefixes }.checked().map_err(refused)
}

fn told(node: &Node, bucket: &Bucket) -> Value {
    let usage = node.storage.usage(bucket);
    let quota = bucket.config.quota.clone().unwrap_or_default();
    let prefix = |PrefixQuota { prefix, limits }: &PrefixQuota| {
        let scope = QuotaScope::Prefix(bucket.id, prefix.as_str().into());
        let mut told = told_account(limits, node.quotas.account(&scope).as_ref());
        if let Value::Object(fields) = &mut told {
            fields.insert("prefix".to_owned(), Value::from(prefix.as_str()));
        }
        told
    };
    let account = node.quotas.account(&QuotaScope::Bucket(bucket.id));
    json!({
        "quota": quota,
        "usage": {
            "bytes": usage.quantity().bytes,
            "objects": usage.objects,
            "versions": usage.versions.saturating_sub(usage.markers),
            "delete_markers": usage.markers,
            "part_bytes": usage.part_bytes,
            "reserved_bytes": account.map_or(0, |account| account.reserved.bytes),
        },
        "warnings": account.as_ref().map_or_else(Vec::new, told_warnings),
        "prefixes": quota.prefixes.iter().map(prefix).collect::<Vec<_>>(),
    })
}

/// The quota of a prefix or user, and how full it is; the usage is null while nothing asks for it to be counted.
pub fn told_account(limits: &QuotaLimits, account: Option<&QuotaAccount>) -> Value {
    let usage = account.map(|account| {
        json!({
            "bytes": account.used.bytes,
            "objects": account.used.objects,
            "reserved_bytes": account.reserved.bytes,
        })
    });
    json!({
        "quota": limits,
        "usage": usage,
        "counting": account.is_some_and(|account| account.is_counting),
        "warnings": account.map_or_else(Vec::new, told_warnings),
    })
}

fn told_warnings(account: &QuotaAccount) -> Vec<Value> {
    let warning = |resource: QuotaResource| {
        let percent = account.warning(resource)?;
        Some(json!({ "limit": resource.field(), "percent": percent }))
    };
    QuotaResource::ALL.into_iter().filter_map(warning).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents() {
        let limits = |bytes, objects| QuotaLimits { max_bytes: bytes, max_objects: objects };
        let parsed = |text: &str| parse(text.as_bytes()).map_err(|error| error.code());
        for (text, expected) in [
            (r#"{"max_bytes": 104857600, "max_objects": 1000}"#, Some(limits(Some(104_857_600), Some(1000)))),
            (r#" {"max_size_bytes": 0}"#, Some(limits(Some(0), None))),
            (r#"{"max_bytes": null, "max_objects": null}"#, None),
            ("{}", None),
        ] {
            assert_eq!(parsed(text).unwrap().map(|quota| quota.limits), expected, "{text}");
        }
        let prefixed = parsed(r#"{"prefixes": [{"prefix": "a/", "max_size_bytes": 1}]}"#).unwrap().unwrap();
        assert_eq!(prefixed.prefixes[0].limits, limits(Some(1), None));
        for bad in [
            "",
            "null",
            "[]",
            "[1, 2, null]",
            "{",
            r#"{"max_bytes": -1}"#,
            r#"{"max_bytes": 1.5}"#,
            r#"{"max_bytes": "1"}"#,
            r#"{"max_bytes": 18446744073709551616}"#,
            r#"{"max_byte": 1}"#,
            r#"{"max_bytes": 1, "max_bytes": 2}"#,
            r#"{"max_bytes": 1, "max_size_bytes": 1}"#,
            r#"{"prefixes": [{"prefix": ""}]}"#,
            r#"{"prefixes": [{"max_bytes": 1}]}"#,
            r#"{"prefixes": [{"prefix": "a", "max_bytes": 1, "more": 1}]}"#,
            "{\"max_bytes\": 1}\u{0}",
        ] {
            assert_eq!(parsed(bad), Err(ErrorCode::InvalidArgument), "{bad}");
        }
        assert_eq!(parse(b"{\"\xff\": 1}").unwrap_err().code(), ErrorCode::InvalidArgument);
        assert!(parse_limits(br#"{"max_objects": 3}"#).is_ok() && parse_limits(br#"{"prefixes": []}"#).is_err());
    }
}
