//! An object: what is known of it, its versions, a preview, and what can be done with it.

use std::sync::Arc;

use actix_web::http::Method;
use actix_web::http::header::{CONTENT_SECURITY_POLICY, HeaderValue};
use askama::Template;
use myfsio_actors::bucket_config::RetentionMode;
use myfsio_actors::names::{ChecksumAlgorithm, ObjectKey, VersionId};
use myfsio_actors::storage::{Attributes, Bucket, Object, VersionEntry, Versioning};

use super::attributes::Editable;
use super::marks;
use super::presign::SignedUrl;
use super::preview::{self, Preview, Subject};
use crate::console::commands::{self, Command};
use crate::console::failure::Failure;
use crate::console::headers::page_policy_with_frames_of;
use crate::console::layout::Page;
use crate::console::links;
use crate::console::route::{Outcome, Row, SIGNED_IN};
use crate::console::units::{When, bytes, count, legible};
use crate::console::visit::{Visit, render};
use crate::within::{Asker, Refusal, VersionsWanted, Wish};

/// Routes.
pub const ROWS: &[Row] =
    &[Row::get("/ui/buckets/{bucket}/object", SIGNED_IN, |visit| Box::pin(show(visit)))
        .tested_by("key=folder%2Fa.txt")];

/// Versions on the page.
const VERSIONS_MAX: usize = 100;

/// A version, as lists of them show it.
pub struct VersionRow {
    /// Its id.
    pub id: String,
    /// Whether it is the current one.
    pub is_latest: bool,
    /// Whether it is a delete marker.
    pub is_marker: bool,
    /// Whether it is the one that the page is of.
    pub is_shown: bool,
    /// When it was written.
    pub modified: When,
    /// Its size.
    pub size: String,
    /// Its page, without the base.
    pub address: String,
    /// Where it is compared with the one that the page is of; empty for itself and for markers.
    pub comparison: String,
}

/// What keeps a version from being deleted.
pub struct Lock {
    /// How strong its retention is; empty without one.
    pub mode: &'static str,
    /// Until when that lasts.
    pub until: Option<When>,
    /// Whether there is a legal hold.
    pub is_held: bool,
    /// Mark of the legal hold.
    pub hold_mark: String,
    /// Mark of the retention.
    pub retention_mark: String,
}

#[derive(Template)]
#[template(path = "object/object.html")]
struct ObjectPage {
    page: Page,
    bucket: String,
    key: String,
    shown_key: String,
    folder: String,
    version: String,
    is_current: bool,
    size: String,
    exact_size: String,
    modified: When,
    etag: String,
    content_type: String,
    encryption: &'static str,
    /// What the API tells beside that.
    facts: Vec<(&'static str, String)>,
    owner: String,
    /// Where its access control list is, for who may see it.
    list: Option<String>,
    headers: Vec<(&'static str, String)>,
    metadata: Vec<(String, String)>,
    tags: Option<String>,
    /// Mark of the tags.
    tags_mark: String,
    lock: Option<Lock>,
    versions: Vec<VersionRow>,
    preview: Preview,
    /// What of the current object can be edited.
    editable: Option<Editable>,
    keeps_versions: bool,
    download: String,
    may_write: bool,
    may_delete: bool,
    url: Option<SignedUrl>,
    method: String,
    expires: String,
    commands: Vec<Command>,
    /// As programs name it: `s3://…`, its URL without a signature, its ARN.
    addresses: [(&'static str, String); 3],
}

async fn show(visit: Visit) -> Outcome {
    page(&visit, None, "GET".to_owned(), "900".to_owned()).await
}

/// The page of an object. `url`: a link that was made, shown once; `method` and `expires`: what the form for links says. Errs: as
/// HeadObject.
pub async fn page(visit: &Visit, url: Option<SignedUrl>, method: String, expires: String) -> Outcome {
    let bucket = visit.bucket().await?;
    let asker = visit.asker()?;
    let (key, version) = (visit.key()?, visit.version()?);
    let may = |action: &str| asker.may(action, Some(&bucket), Some(key.as_str()));
    let versions = match bucket.versioning {
        Versioning::Off => Vec::new(),
        _ if !asker.may("s3:ListBucketVersions", Some(&bucket), None) => Vec::new(),
        _ => versions(asker, &bucket, &key, version).await?,
    };
    let object = asker.object(&bucket, &key, version).await?;
    let name = bucket.name.as_str();
    let id = version.map(|version| version.to_string()).unwrap_or_default();
    let attributes = &object.attributes;
    let address = |page: &str| links::link(&["buckets", name, page], &[("key", key.as_str()), ("version", &id)]);
    let tags = attributes.tags.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("\n");
    let shown_key = legible(key.as_str());
    let title = shown_key.rsplit('/').find(|part| !part.is_empty()).unwrap_or("/").to_owned();
    let mut around = visit.page(title).for_bucket(asker, &bucket, "browse");
    let mut at = 0;
    for part in key.as_str().split_inclusive('/') {
        at += part.len();
        if let Some(below) = key.as_str().get(..at).filter(|below| below.ends_with('/') && *below != key.as_str()) {
            around = around.crumb(legible(part), links::browse(name, below));
        }
    }
    let endpoint = asker.endpoint();
    let region = &visit.console.node.settings.region;
    let is_current = version.is_none() || versions.iter().any(|row| row.is_shown && row.is_latest);
    let subject = Subject { bucket: &bucket, key: &key, version, object: &object };
    let view = ObjectPage {
        page: around,
        folder: key.as_str().rsplit_once('/').map(|(folder, _)| format!("{folder}/")).unwrap_or_default(),
        editable: (is_current && may("s3:PutObject")).then(|| Editable::of(&object)),
        is_current,
        keeps_versions: bucket.versioning == Versioning::Enabled,
        size: bytes(object.size),
        exact_size: count(object.size),
        modified: When::of(object.stamp),
        etag: object.etag.to_string(),
        content_type: content_type(attributes),
        encryption: encryption(visit, &object),
        facts: facts(visit, &subject).await?,
        owner: visit.console.node.access.owner_name(&object.owner).unwrap_or_default(),
        list: asker
            .may_of(
                if version.is_some() { "s3:GetObjectVersionAcl" } else { "s3:GetObjectAcl" },
                &bucket,
                key.as_str(),
                &object,
            )
            .then(|| links::object_list(name, key.as_str(), &id)),
        headers: headers(attributes),
        metadata: attributes.user_metadata.iter().map(|(name, value)| (legible(name), legible(value))).collect(),
        tags: may("s3:GetObjectTagging").then_some(tags),
        tags_mark: marks::of_tags(&object),
        lock: bucket.config.object_lock.as_ref().and(may("s3:GetObjectRetention").then(|| lock(&object))),
        versions,
        preview: preview::of(visit, &subject, &address("view")).await?,
        download: address("download"),
        may_write: may("s3:PutObject"),
        may_delete: may("s3:DeleteObject"),
        url,
        method,
        expires,
        addresses: [
            ("object-uri", format!("s3://{name}/{key}")),
            ("object-url", commands::url_of(&endpoint, name, key.as_str())),
            ("object-arn", format!("arn:aws:s3:::{name}/{key}")),
        ],
        commands: commands::of_object(&endpoint, region, name, key.as_str(), &id),
        version: id,
        shown_key,
        key: key.as_str().to_owned(),
        bucket: name.to_owned(),
    };
    let frames = matches!(view.preview, Preview::Pdf(_)).then_some(visit.console.settings.preview_origin.as_ref());
    let mut response = render(&view)?;
    if let Some(origin) = frames.flatten()
        && let Ok(policy) = HeaderValue::from_str(&page_policy_with_frames_of(origin.text()))
    {
        response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    }
    Ok(response)
}

/// Versions of a key, the newest first. `shown`: the one that the page is of; none is the current one. Errs: as ListObjectVersions.
pub async fn versions(
    asker: &Asker,
    bucket: &Arc<Bucket>,
    key: &ObjectKey,
    shown: Option<VersionId>,
) -> Result<Vec<VersionRow>, Refusal> {
    let wanted = VersionsWanted { prefix: key.as_str().to_owned(), limit: VERSIONS_MAX, ..VersionsWanted::default() };
    let page = asker.versions(bucket, wanted).await?;
    let of_key: Vec<_> = page.entries.into_iter().filter(|entry| entry.key == *key).collect();
    let is_shown = |entry: &VersionEntry| shown.map_or(entry.is_latest, |shown| shown == entry.version_id);
    // A marker has nothing to be compared.
    let base = of_key.iter().find(|entry| is_shown(entry) && entry.object.is_some());
    let base = base.map(|entry| entry.version_id.to_string());
    let row = |entry: VersionEntry| {
        let id = entry.version_id.to_string();
        let against = base.as_deref().filter(|base| entry.object.is_some() && *base != id);
        let comparison = against.map(|base| links::comparison(bucket.name.as_str(), key.as_str(), &id, base));
        VersionRow {
            comparison: comparison.unwrap_or_default(),
            is_latest: entry.is_latest,
            is_marker: entry.object.is_none(),
            is_shown: is_shown(&entry),
            modified: When::of(entry.last_modified),
            size: entry.object.as_ref().map(|object| bytes(object.size)).unwrap_or_default(),
            address: links::object(bucket.name.as_str(), key.as_str(), &id),
            id,
        }
    };
    Ok(of_key.into_iter().map(row).collect())
}

/// What kind of object it is, as it is told.
pub fn content_type(attributes: &Attributes) -> String {
    legible(attributes.content_type.as_deref().unwrap_or("binary/octet-stream"))
}

/// The other headers that its writer gave it.
pub fn headers(attributes: &Attributes) -> Vec<(&'static str, String)> {
    let headers = [
        ("Cache-Control", &attributes.cache_control),
        ("Content-Disposition", &attributes.content_disposition),
        ("Content-Encoding", &attributes.content_encoding),
        ("Content-Language", &attributes.content_language),
        ("Expires", &attributes.expires),
        ("x-amz-website-redirect-location", &attributes.website_redirect),
        ("x-amz-storage-class", &attributes.storage_class),
    ];
    headers.into_iter().filter_map(|(name, value)| Some((name, legible(value.as_deref()?)))).collect()
}

fn encryption(visit: &Visit, object: &Object) -> &'static str {
    match &object.sealed {
        Some(_) => visit.t.object.encrypted,
        None => visit.t.object.not_encrypted,
    }
}

/// The lock of an object.
pub fn lock(object: &Object) -> Lock {
    let retention = object.controls.retention;
    Lock {
        mode: match retention.map(|retention| retention.mode) {
            Some(RetentionMode::Governance) => "GOVERNANCE",
            Some(RetentionMode::Compliance) => "COMPLIANCE",
            None => "",
        },
        until: retention.map(|retention| When::of_seconds(retention.until_millis / 1000)),
        is_held: object.controls.is_held(),
        hold_mark: marks::of_hold(object),
        retention_mark: marks::of_retention(object),
    }
}

/// What the head of an answer tells of an object: checksums, key, replication, when it will expire. Nothing, where it may not be read, or
/// only with its owner's key.
pub async fn facts(visit: &Visit, subject: &Subject<'_>) -> Result<Vec<(&'static str, String)>, Failure> {
    let t = &visit.t.object;
    let checksums = ChecksumAlgorithm::ALL.map(|algorithm| (algorithm.header(), algorithm.name()));
    let others = [
        ("x-amz-server-side-encryption", t.algorithm),
        ("x-amz-server-side-encryption-aws-kms-key-id", t.kms_key),
        ("x-amz-replication-status", t.replication),
        ("x-amz-expiration", t.expiration),
    ];
    let id = subject.version.map(|version| version.to_string());
    let query: Vec<_> = id.as_deref().map(|id| ("versionId", id)).into_iter().collect();
    let wish = Wish {
        method: Method::HEAD,
        bucket: Some(&subject.bucket.name),
        key: Some(subject.key),
        query: &query,
        headers: &[("x-amz-checksum-mode", "ENABLED")],
        ..Wish::default()
    };
    let Ok(answer) = visit.asker()?.s3(wish).await else { return Ok(Vec::new()) };
    let text = |name| answer.headers().get(name).and_then(|value| value.to_str().ok()).map(legible);
    Ok(checksums.into_iter().chain(others).filter_map(|(name, word)| Some((word, text(name)?))).collect())
}
