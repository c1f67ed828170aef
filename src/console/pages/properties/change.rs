//! Forms of the properties of a bucket.

use actix_web::http::Method;
use myfsio_actors::names::BucketName;
use serde_json::json;

use super::{begin, saved};
use crate::console::failure::Failure;
use crate::console::route::Outcome;
use crate::console::visit::Visit;
use crate::within::{Asker, Wish, XmlWriter, body};

/// Bytes of a megabyte, as the quota's form counts them.
pub(super) const MEGABYTE: u64 = 1024 * 1024;

/// Most tags that a form takes; the API says which are too many.
const TAGS_MAX: usize = 100;

pub(super) async fn versioning(visit: Visit) -> Outcome {
    let bucket = begin(&visit, "s3:PutBucketVersioning", "versioning").await?;
    let status = if visit.form.text("status") == "Enabled" { "Enabled" } else { "Suspended" };
    let mut document = XmlWriter::new("VersioningConfiguration");
    document.text("Status", status);
    visit.asker()?.put_document(&bucket.name, "versioning", &document.finish()).await?;
    saved(&visit, &bucket, "properties")
}

pub(super) async fn encryption(visit: Visit) -> Outcome {
    let bucket = begin(&visit, "s3:PutEncryptionConfiguration", "encryption").await?;
    let asker = visit.asker()?;
    let algorithm = visit.form.text("algorithm");
    if algorithm == "none" {
        remove(asker, &bucket.name, "encryption").await?;
        return saved(&visit, &bucket, "properties");
    }
    let is_kms = algorithm == "aws:kms";
    let mut document = XmlWriter::new("ServerSideEncryptionConfiguration");
    document.open("Rule").open("ApplyServerSideEncryptionByDefault");
    document.text("SSEAlgorithm", algorithm);
    document.text_if("KMSMasterKeyID", visit.form.filled("key").filter(|_| is_kms));
    document.close();
    if is_kms && visit.form.is_on("bucket_key") {
        document.value("BucketKeyEnabled", true);
    }
    // What this form does not show stays as it is.
    if let Some(blocks) = bucket.config.encryption.as_ref().and_then(|encryption| encryption.blocks_customer_keys) {
        document.open("BlockedEncryptionTypes");
        document.text("EncryptionType", if blocks { "SSE-C" } else { "NONE" }).close();
    }
    asker.put_document(&bucket.name, "encryption", &document.finish()).await?;
    saved(&visit, &bucket, "properties")
}

pub(super) async fn quota(visit: Visit) -> Outcome {
    let bucket = begin(&visit, "s3:PutBucketQuota", "quota").await?;
    let removes = visit.form.text("do") == "remove";
    let number = |name| if removes { Ok(None) } else { visit.form.number(name) };
    let max_bytes = match number("max_mb")? {
        Some(megabytes) => {
            Some(megabytes.checked_mul(MEGABYTE).ok_or_else(|| Failure::input(visit.t.properties.quota_too_large))?)
        }
        None => None,
    };
    // Limits of prefixes, which this form does not show, stay.
    let prefixes = bucket.config.quota.as_ref().map(|quota| &quota.prefixes[..]).unwrap_or_default();
    let document =
        json!({ "max_bytes": max_bytes, "max_objects": number("max_objects")?, "prefixes": prefixes }).to_string();
    let length = document.len().to_string();
    let wish = Wish {
        method: Method::PUT,
        bucket: Some(&bucket.name),
        query: &[("quota", "")],
        headers: &[("content-type", "application/json"), ("content-length", &length)],
        payload: Some(body(document)),
        ..Wish::default()
    };
    visit.asker()?.s3(wish).await?;
    saved(&visit, &bucket, "properties")
}

pub(super) async fn object_lock(visit: Visit) -> Outcome {
    let bucket = begin(&visit, "s3:PutBucketObjectLockConfiguration", "object_lock").await?;
    let mut document = XmlWriter::new("ObjectLockConfiguration");
    document.text("ObjectLockEnabled", "Enabled");
    let mode = visit.form.text("mode");
    if mode != "none" {
        let Some(period) = visit.form.number("period")? else {
            return Err(Failure::input(visit.t.properties.lock_period_missing));
        };
        let unit = if visit.form.text("unit") == "Years" { "Years" } else { "Days" };
        document.open("Rule").open("DefaultRetention");
        document.text("Mode", mode).value(unit, period);
    }
    visit.asker()?.put_document(&bucket.name, "object-lock", &document.finish()).await?;
    saved(&visit, &bucket, "properties")
}

pub(super) async fn tags(visit: Visit) -> Outcome {
    let bucket = begin(&visit, "s3:PutBucketTagging", "tags").await?;
    let lines: Vec<_> = visit.form.text("tags").lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if lines.len() > TAGS_MAX {
        return Err(Failure::input(visit.t.properties.tags_too_many));
    }
    if lines.is_empty() {
        remove(visit.asker()?, &bucket.name, "tagging").await?;
        return saved(&visit, &bucket, "properties");
    }
    let mut document = XmlWriter::new("Tagging");
    document.open("TagSet");
    for line in lines {
        let (key, value) = line.split_once('=').unwrap_or((line, ""));
        document.open("Tag").text("Key", key.trim()).text("Value", value.trim()).close();
    }
    visit.asker()?.put_document(&bucket.name, "tagging", &document.finish()).await?;
    saved(&visit, &bucket, "properties")
}

pub(super) async fn website(visit: Visit) -> Outcome {
    let bucket = begin(&visit, "s3:PutBucketWebsite", "website").await?;
    let Some(index) = visit.form.filled("index") else {
        remove(visit.asker()?, &bucket.name, "website").await?;
        return saved(&visit, &bucket, "properties");
    };
    let mut document = XmlWriter::new("WebsiteConfiguration");
    document.open("IndexDocument").text("Suffix", index).close();
    if let Some(error) = visit.form.filled("error") {
        document.open("ErrorDocument").text("Key", error).close();
    }
    visit.asker()?.put_document(&bucket.name, "website", &document.finish()).await?;
    saved(&visit, &bucket, "properties")
}

/// Removes one configuration of a bucket. Errs: as the API would.
pub(super) async fn remove(asker: &Asker, bucket: &BucketName, what: &str) -> Result<(), Failure> {
    let wish = Wish { method: Method::DELETE, bucket: Some(bucket), query: &[(what, "")], ..Wish::default() };
    asker.s3(wish).await?;
    Ok(())
}
