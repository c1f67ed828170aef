//! Forms of the properties of a bucket.

use actix_web::http::Method;
use myfsio_actors::bucket_config::{Logging, PrefixQuota, QuotaLimits, RedirectAll, Website};
use myfsio_actors::names::BucketName;
use serde_json::json;

use super::{begin, saved, written};
use crate::console::failure::Failure;
use crate::console::route::Outcome;
use crate::console::visit::Visit;
use crate::within::{Asker, Wish, XmlWriter, body, write_logging, write_website};

pub(super) async fn versioning(visit: Visit) -> Outcome {
    let (bucket, asker) = begin(&visit, "s3:PutBucketVersioning", "versioning").await?;
    let status = if visit.form.text("status") == "Enabled" { "Enabled" } else { "Suspended" };
    asker.put_document(&bucket.name, "versioning", &written::versioning(status)).await?;
    saved(&visit, &bucket, "properties")
}

pub(super) async fn encryption(visit: Visit) -> Outcome {
    let (bucket, asker) = begin(&visit, "s3:PutEncryptionConfiguration", "encryption").await?;
    let algorithm = visit.form.text("algorithm");
    if algorithm == "none" {
        remove(&asker, &bucket.name, "encryption").await?;
        return saved(&visit, &bucket, "properties");
    }
    // What this form does not show stays as it is.
    let blocks = bucket.config.encryption.as_ref().and_then(|encryption| encryption.blocks_customer_keys);
    asker.put_document(&bucket.name, "encryption", &written::encryption(&visit.form, blocks)).await?;
    saved(&visit, &bucket, "properties")
}

pub(super) async fn quota(visit: Visit) -> Outcome {
    let (bucket, asker) = begin(&visit, "s3:PutBucketQuota", "quota").await?;
    // Limits of prefixes, which this form does not show, stay.
    let prefixes = bucket.config.quota.as_ref().map(|quota| &quota.prefixes[..]).unwrap_or_default();
    let limits = match visit.form.text("do") {
        "remove" => QuotaLimits::default(),
        _ => written::limits(&visit.form, &visit.t.properties)?,
    };
    put_quota(&asker, &bucket.name, limits, prefixes).await?;
    saved(&visit, &bucket, "properties")
}

pub(super) async fn object_lock(visit: Visit) -> Outcome {
    let (bucket, asker) = begin(&visit, "s3:PutBucketObjectLockConfiguration", "object_lock").await?;
    let document = written::object_lock(&visit.form, &visit.t.properties)?;
    asker.put_document(&bucket.name, "object-lock", &document).await?;
    saved(&visit, &bucket, "properties")
}

pub(super) async fn tags(visit: Visit) -> Outcome {
    let (bucket, asker) = begin(&visit, "s3:PutBucketTagging", "tags").await?;
    let tags = written::tags(&visit.form, &visit.t.properties)?;
    if tags.is_empty() {
        remove(&asker, &bucket.name, "tagging").await?;
        return saved(&visit, &bucket, "properties");
    }
    let mut document = XmlWriter::new("Tagging");
    document.open("TagSet");
    written::write_tags(&mut document, &tags);
    asker.put_document(&bucket.name, "tagging", &document.finish()).await?;
    saved(&visit, &bucket, "properties")
}

pub(super) async fn website(visit: Visit) -> Outcome {
    let (bucket, asker) = begin(&visit, "s3:PutBucketWebsite", "website").await?;
    let form = &visit.form;
    let (index, host) = (form.filled("index"), form.filled("host"));
    if index.is_none() && host.is_none() {
        remove(&asker, &bucket.name, "website").await?;
        return saved(&visit, &bucket, "properties");
    }
    // Redirect rules, which this form does not show, stay; what does not go together is refused, not dropped.
    let routing_rules = bucket.config.website.as_ref().map(|kept| kept.routing_rules.clone()).unwrap_or_default();
    let website = Website {
        index_suffix: index.map(str::to_owned),
        error_key: form.filled("error").map(str::to_owned),
        redirect_all: host.map(|host| RedirectAll {
            host_name: host.to_owned(),
            protocol: form.filled("protocol").map(str::to_owned),
        }),
        routing_rules,
    };
    asker.put_document(&bucket.name, "website", &write_website(&website)).await?;
    saved(&visit, &bucket, "properties")
}

/// Sets where access logs go. What the form does not show, grants and how keys are made, stays as it is.
pub(super) async fn logging(visit: Visit) -> Outcome {
    let (bucket, asker) = begin(&visit, "s3:PutBucketLogging", "logging").await?;
    let form = &visit.form;
    let logging = match (form.is_on("enabled"), form.filled("target")) {
        (false, _) => None,
        (true, None) => return Err(Failure::input(visit.t.properties.logging_target_missing)),
        (true, Some(target)) => {
            let (target_bucket, target_prefix) = (target.to_owned(), form.raw("prefix").unwrap_or_default().to_owned());
            Some(match bucket.config.logging.clone() {
                Some(kept) => Logging { target_bucket, target_prefix, ..kept },
                None => Logging {
                    target_bucket,
                    target_prefix,
                    target_grants: Vec::new(),
                    partitioned_by: None,
                    simple_prefix: false,
                },
            })
        }
    };
    asker.put_document(&bucket.name, "logging", &write_logging(logging.as_ref())).await?;
    saved(&visit, &bucket, "properties")
}

/// Sets the quota of a bucket. Errs: as the API would.
pub(in crate::console::pages) async fn put_quota(
    asker: &Asker,
    bucket: &BucketName,
    limits: QuotaLimits,
    prefixes: &[PrefixQuota],
) -> Result<(), Failure> {
    let QuotaLimits { max_bytes, max_objects } = limits;
    let document = json!({ "max_bytes": max_bytes, "max_objects": max_objects, "prefixes": prefixes }).to_string();
    let length = document.len().to_string();
    let wish = Wish {
        method: Method::PUT,
        bucket: Some(bucket),
        query: &[("quota", "")],
        headers: &[("content-type", "application/json"), ("content-length", &length)],
        payload: Some(body(document)),
        ..Wish::default()
    };
    Ok(asker.s3(wish).await.map(drop)?)
}

/// Removes one configuration of a bucket. Errs: as the API would.
pub(super) async fn remove(asker: &Asker, bucket: &BucketName, what: &str) -> Result<(), Failure> {
    let wish = Wish { method: Method::DELETE, bucket: Some(bucket), query: &[(what, "")], ..Wish::default() };
    asker.s3(wish).await?;
    Ok(())
}
