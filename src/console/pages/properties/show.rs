//! The page of a bucket's properties: a card for each that its reader may see.

use actix_web::http::Method;
use askama::Template;
use myfsio_actors::bucket_config::{DefaultEncryption, LifecycleRule, RetentionMode, RetentionPeriod};
use myfsio_actors::storage::{Bucket, Usage, Versioning};
use serde_json::Value;

use super::documents::KINDS;
use super::revision;
use super::written::MEGABYTE;
use crate::console::layout::Page;
use crate::console::links;
use crate::console::pages::kms::told::aliases;
use crate::console::pages::monitor::growth::full;
use crate::console::route::Outcome;
use crate::console::units::{When, bytes, count, counted, legible, percent};
use crate::console::visit::{Visit, render};
use crate::within::Asker;

/// Most KMS keys that are offered.
const KEYS_MAX: u32 = 1000;

#[derive(Template)]
#[template(path = "properties/properties.html")]
struct PropertiesPage {
    page: Page,
    bucket: String,
    created: When,
    owner: String,
    quota: Quota,
    versioning: Option<VersioningCard>,
    encryption: Option<Encryption>,
    lock: Option<Lock>,
    tags: Option<Tags>,
    website: Option<Website>,
    logging: Option<LoggingCard>,
    documents: Vec<DocumentLink>,
    may_delete: bool,
    objects: String,
    versions: String,
}

struct Quota {
    stored: String,
    objects: String,
    /// Limit as text, and how full it is in percent.
    bytes_limit: Option<(String, u8)>,
    objects_limit: Option<(String, u8)>,
    /// When a limit is reached.
    bytes_outlook: Option<String>,
    objects_outlook: Option<String>,
    megabytes: String,
    max_objects: String,
    prefixes: usize,
    revision: String,
    may_change: bool,
}

struct VersioningCard {
    word: &'static str,
    tone: &'static str,
    is_on: bool,
    is_locked: bool,
    revision: String,
    may_change: bool,
    /// What old versions hold, and how many there are, if there are any.
    old: Option<(String, String)>,
    /// Whether a rule removes old versions already; none where the reader may not know.
    has_rule: Option<bool>,
    may_rule: bool,
}

struct Encryption {
    /// `none`, `AES256` or `aws:kms`.
    algorithm: &'static str,
    key: String,
    bucket_key: bool,
    keys: Vec<Key>,
    revision: String,
    may_change: bool,
    may_list: bool,
}

/// A key of the KMS that may be chosen.
pub(in crate::console::pages) struct Key {
    pub id: String,
    pub label: String,
    pub is_chosen: bool,
}

struct Lock {
    /// `none`, `GOVERNANCE` or `COMPLIANCE`.
    mode: &'static str,
    period: String,
    in_years: bool,
    revision: String,
    may_change: bool,
}

struct Tags {
    lines: String,
    all: Vec<(String, String)>,
    revision: String,
    may_change: bool,
}

struct Website {
    index: String,
    error: String,
    /// Where everything is sent, if it is.
    host: String,
    /// `http`, `https`, or empty for that of the request.
    protocol: String,
    /// How many redirect rules it has, which the form does not show, if it has some.
    rules: Option<String>,
    /// Where it is edited as it is.
    document: String,
    revision: String,
    may_change: bool,
}

struct LoggingCard {
    is_on: bool,
    target: String,
    prefix: String,
    /// Where it is edited as it is.
    document: String,
    revision: String,
    may_change: bool,
}

struct DocumentLink {
    icon: &'static str,
    title: &'static str,
    lead: &'static str,
    /// How many rules there are.
    rules: Option<String>,
    address: String,
}

pub(super) async fn show(visit: Visit) -> Outcome {
    let bucket = visit.bucket().await?;
    let asker = visit.asker()?;
    let node = &visit.console.node;
    let usage = node.storage.usage(&bucket);
    let name = bucket.name.as_str();
    let sees = |action| asker.may(action, Some(&bucket), None);
    let encryption = match sees("s3:GetEncryptionConfiguration") {
        true => Some(encryption(asker, &bucket).await),
        false => None,
    };
    let view = PropertiesPage {
        bucket: name.to_owned(),
        created: When::of(bucket.created),
        owner: node.access.owner_name(&bucket.owner).unwrap_or_default(),
        quota: quota(&visit, asker, &bucket, &usage),
        versioning: sees("s3:GetBucketVersioning").then(|| versioning(&visit, asker, &bucket, &usage)),
        encryption,
        lock: sees("s3:GetBucketObjectLockConfiguration").then(|| lock(asker, &bucket)).flatten(),
        tags: sees("s3:GetBucketTagging").then(|| tags(asker, &bucket)),
        website: sees("s3:GetBucketWebsite").then(|| website(asker, &bucket)),
        logging: sees("s3:GetBucketLogging").then(|| logging(asker, &bucket)),
        documents: documents(&visit, asker, &bucket),
        may_delete: sees("s3:DeleteBucket"),
        objects: counted(usage.objects, visit.t.common.objects_one, visit.t.common.objects_many),
        versions: counted(usage.versions, visit.t.common.versions_one, visit.t.common.versions_many),
        page: visit.page(visit.t.properties.title).for_bucket(asker, &bucket, "properties"),
    };
    render(&view)
}

fn quota(visit: &Visit, asker: &Asker, bucket: &Bucket, usage: &Usage) -> Quota {
    let held = usage.quantity();
    let quota = bucket.config.quota.as_ref();
    let limits = quota.map(|quota| quota.limits).unwrap_or_default();
    Quota {
        stored: bytes(held.bytes),
        objects: count(held.objects),
        bytes_limit: limits.max_bytes.map(|limit| (bytes(limit), percent(held.bytes, limit))),
        objects_limit: limits.max_objects.map(|limit| (count(limit), percent(held.objects, limit))),
        bytes_outlook: limits.max_bytes.map(|limit| full(visit, bucket, usage, limit, |held| held.bytes)),
        objects_outlook: limits.max_objects.map(|limit| full(visit, bucket, usage, limit, |held| held.objects)),
        // A limit that was set in bytes elsewhere is shown as the megabytes that hold it.
        megabytes: limits.max_bytes.map(|limit| limit.div_ceil(MEGABYTE).to_string()).unwrap_or_default(),
        max_objects: limits.max_objects.map(|limit| limit.to_string()).unwrap_or_default(),
        prefixes: quota.map_or(0, |quota| quota.prefixes.len()),
        revision: revision(bucket, "quota"),
        may_change: asker.may("s3:PutBucketQuota", Some(bucket), None),
    }
}

fn versioning(visit: &Visit, asker: &Asker, bucket: &Bucket, usage: &Usage) -> VersioningCard {
    let (t, common) = (&visit.t.properties, &visit.t.common);
    let versions = usage.versions.saturating_sub(usage.markers);
    let rules = bucket.config.lifecycle.as_ref().map(|lifecycle| &lifecycle.rules[..]).unwrap_or_default();
    let removes = |rule: &LifecycleRule| rule.enabled && rule.noncurrent.is_some();
    let sees_rules = asker.may("s3:GetLifecycleConfiguration", Some(bucket), None);
    let (word, tone) = match bucket.versioning {
        Versioning::Off => (t.versioning_off, "plain"),
        Versioning::Enabled => (t.versioning_on, "good"),
        Versioning::Suspended => (t.versioning_suspended, "warn"),
    };
    VersioningCard {
        word,
        tone,
        is_on: bucket.versioning == Versioning::Enabled,
        is_locked: bucket.config.object_lock.is_some(),
        revision: revision(bucket, "versioning"),
        may_change: asker.may("s3:PutBucketVersioning", Some(bucket), None),
        old: (versions > 0)
            .then(|| (bytes(usage.old_bytes), counted(versions, common.versions_one, common.versions_many))),
        has_rule: sees_rules.then(|| rules.iter().any(removes)),
        may_rule: bucket.versioning != Versioning::Off && asker.may("s3:PutLifecycleConfiguration", Some(bucket), None),
    }
}

async fn encryption(asker: &Asker, bucket: &Bucket) -> Encryption {
    let configured = bucket.config.encryption.as_ref();
    let (algorithm, key) = match configured.and_then(|encryption| encryption.default.as_ref()) {
        None => ("none", ""),
        Some(DefaultEncryption::Managed) => ("AES256", ""),
        Some(DefaultEncryption::Kms { key }) => ("aws:kms", key.as_deref().unwrap_or_default()),
    };
    let may_change = asker.may("s3:PutEncryptionConfiguration", Some(bucket), None);
    let mut keys = if may_change { keys(asker, key).await } else { Vec::new() };
    if !key.is_empty() && !keys.iter().any(|offered| offered.is_chosen) {
        keys.push(Key { id: key.to_owned(), label: key.to_owned(), is_chosen: true });
    }
    Encryption {
        algorithm,
        key: key.to_owned(),
        bucket_key: configured.is_some_and(|encryption| encryption.bucket_key),
        keys,
        revision: revision(bucket, "encryption"),
        may_change,
        may_list: asker.may("s3:ListBucket", Some(bucket), None),
    }
}

/// The keys that may be chosen; none where the KMS is off or lists none for the asker.
pub(in crate::console::pages) async fn keys(asker: &Asker, chosen: &str) -> Vec<Key> {
    let told = asker.json(Method::GET, &format!("/kms/keys?limit={KEYS_MAX}"), None).await.unwrap_or_default();
    // Names are shown beside ids; without the permission to list them, ids alone do.
    let aliases = aliases(asker).await.unwrap_or_default();
    let listed = told.get("Keys").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let key = |key: &Value| {
        let id = key.get("KeyId")?.as_str()?;
        let arn = key.get("KeyArn").and_then(Value::as_str).unwrap_or_default();
        let names = aliases.get(id).map(Vec::as_slice).unwrap_or_default();
        let is_named = |name: &String| name == chosen || chosen.ends_with(&format!(":{name}"));
        Some(Key {
            id: id.to_owned(),
            label: if names.is_empty() { id.to_owned() } else { legible(&format!("{} ({id})", names.join(", "))) },
            is_chosen: !chosen.is_empty() && ([id, arn].contains(&chosen) || names.iter().any(is_named)),
        })
    };
    listed.iter().filter_map(key).collect()
}

fn lock(asker: &Asker, bucket: &Bucket) -> Option<Lock> {
    let default = bucket.config.object_lock?.default;
    let mode = match default.map(|default| default.mode) {
        None => "none",
        Some(RetentionMode::Governance) => "GOVERNANCE",
        Some(RetentionMode::Compliance) => "COMPLIANCE",
    };
    let (period, in_years) = match default.map(|default| default.period) {
        None => (String::new(), false),
        Some(RetentionPeriod::Days(days)) => (days.to_string(), false),
        Some(RetentionPeriod::Years(years)) => (years.to_string(), true),
    };
    let may_change = asker.may("s3:PutBucketObjectLockConfiguration", Some(bucket), None);
    Some(Lock { mode, period, in_years, revision: revision(bucket, "object_lock"), may_change })
}

fn tags(asker: &Asker, bucket: &Bucket) -> Tags {
    let all = bucket.config.tags.clone().unwrap_or_default();
    Tags {
        lines: all.iter().map(|(key, value)| format!("{key}={value}\n")).collect(),
        all,
        revision: revision(bucket, "tags"),
        may_change: asker.may("s3:PutBucketTagging", Some(bucket), None),
    }
}

fn website(asker: &Asker, bucket: &Bucket) -> Website {
    let website = bucket.config.website.clone().unwrap_or_default();
    let rules = website.routing_rules.len() as u64;
    let (host, protocol) = website.redirect_all.map(|all| (all.host_name, all.protocol)).unwrap_or_default();
    Website {
        host,
        protocol: protocol.unwrap_or_default(),
        rules: (rules > 0).then(|| count(rules)),
        document: document(bucket, "website"),
        index: website.index_suffix.unwrap_or_default(),
        error: website.error_key.unwrap_or_default(),
        revision: revision(bucket, "website"),
        may_change: asker.may("s3:PutBucketWebsite", Some(bucket), None),
    }
}

fn logging(asker: &Asker, bucket: &Bucket) -> LoggingCard {
    let logging = bucket.config.logging.as_ref();
    LoggingCard {
        is_on: logging.is_some(),
        target: logging.map(|logging| logging.target_bucket.clone()).unwrap_or_default(),
        prefix: logging.map(|logging| logging.target_prefix.clone()).unwrap_or_default(),
        document: document(bucket, "logging"),
        revision: revision(bucket, "logging"),
        may_change: asker.may("s3:PutBucketLogging", Some(bucket), None),
    }
}

/// The address of a configuration's document.
fn document(bucket: &Bucket, kind: &str) -> String {
    links::link(&["buckets", bucket.name.as_str(), "document"], &[("name", kind)])
}

fn documents(visit: &Visit, asker: &Asker, bucket: &Bucket) -> Vec<DocumentLink> {
    let (t, config) = (&visit.t.properties, &bucket.config);
    // The others have cards of their own, which lead to their documents.
    let listed = KINDS.iter().filter(|kind| !matches!(kind.name, "logging" | "website"));
    let seen = listed.filter(|kind| asker.may(kind.read, Some(bucket), None));
    let link = |kind: &super::documents::Kind| {
        let name = bucket.name.as_str();
        let rules = match kind.name {
            "cors" => config.cors.as_ref().map(|cors| cors.rules.len()),
            "lifecycle" => config.lifecycle.as_ref().map(|lifecycle| lifecycle.rules.len()),
            _ => config.notification.as_ref().map(|notification| notification.targets.len()),
        };
        DocumentLink {
            icon: kind.icon,
            title: (kind.title)(t),
            lead: (kind.lead)(t),
            rules: rules.map(|rules| count(rules as u64)),
            address: match kind.name {
                "notification" => links::bucket(name, "notifications"),
                page => links::bucket(name, page),
            },
        }
    };
    let access = access(visit, asker, bucket);
    access.into_iter().chain(seen.map(link)).collect()
}

/// The page of public access and lists, with how many of its switches are on.
fn access(visit: &Visit, asker: &Asker, bucket: &Bucket) -> Option<DocumentLink> {
    let sees =
        ["s3:GetBucketAcl", "s3:GetBucketPublicAccessBlock"].iter().any(|action| asker.may(action, Some(bucket), None));
    let on = bucket.config.public_access_block.map(|block| {
        let switches = [
            block.block_public_acls,
            block.ignore_public_acls,
            block.block_public_policy,
            block.restrict_public_buckets,
        ];
        format!("{}/4", switches.iter().filter(|is_on| **is_on).count())
    });
    let is_public = !super::access::public_by(visit, bucket).is_empty();
    sees.then(|| DocumentLink {
        icon: if is_public { "globe" } else { "lock" },
        title: visit.t.access.title,
        lead: visit.t.access.lead,
        rules: if is_public { Some(visit.t.common.public.to_owned()) } else { on },
        address: links::bucket(bucket.name.as_str(), "access"),
    })
}
