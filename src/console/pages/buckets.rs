//! The list of buckets; creating and deleting one.

use actix_web::http::Method;
use askama::Template;
use myfsio_actors::names::BucketName;
use myfsio_actors::storage::{Bucket, Versioning};

use crate::console::failure::Failure;
use crate::console::layout::Page;
use crate::console::links;
use crate::console::notice::Notice;
use crate::console::route::{ADMINS, Outcome, Row, SIGNED_IN, WRITERS};
use crate::console::units::{When, bytes, count, counted, percent};
use crate::console::visit::{Visit, render};
use crate::within::{Refusal, Wish};

/// Routes.
pub const ROWS: &[Row] = &[
    Row::get("/ui/buckets", SIGNED_IN, |visit| Box::pin(list(visit))),
    Row::post("/ui/buckets", ADMINS, |visit| Box::pin(create(visit))).tested_by("name=matrix-new"),
    Row::get("/ui/buckets/{bucket}/delete", WRITERS, |visit| Box::pin(ask_delete(visit))),
    Row::post("/ui/buckets/{bucket}/delete", WRITERS, |visit| Box::pin(delete(visit))).tested_by("confirm=shared"),
];

#[derive(Template)]
#[template(path = "buckets/list.html")]
struct ListPage {
    page: Page,
    rows: Vec<BucketRow>,
    filter: String,
    by_size: bool,
    total: String,
    total_stored: String,
    is_any: bool,
    may_create: bool,
    next: Option<String>,
}

struct BucketRow {
    name: String,
    address: String,
    badges: Vec<Badge>,
    objects: String,
    versions: Option<String>,
    stored: String,
    limit: Option<(String, u8)>,
    created: When,
    owner: String,
    delete: Option<String>,
}

struct Badge {
    word: &'static str,
    tone: &'static str,
}

async fn list(visit: Visit) -> Outcome {
    let asker = visit.asker()?;
    let all = asker.buckets().await?;
    let filter = visit.query.text("q").to_lowercase();
    let by_size = visit.query.text("sort") == "size";
    let storage = &visit.console.node.storage;
    let mut found: Vec<_> = all.iter().filter(|bucket| bucket.name.as_str().contains(&filter)).collect();
    let total_stored = found.iter().map(|bucket| storage.usage(bucket).bytes).sum();
    if by_size {
        found.sort_by_key(|bucket| std::cmp::Reverse(storage.usage(bucket).bytes));
    }
    let size = visit.console.settings.page_size;
    let begin = usize::try_from(visit.query.number("from")?.unwrap_or(0)).unwrap_or(usize::MAX);
    let rows = found.iter().skip(begin).take(size).map(|bucket| row(&visit, bucket)).collect();
    let sort = if by_size { "size" } else { "" };
    let next = begin.saturating_add(size);
    let next = (next < found.len())
        .then(|| links::link(&["buckets"], &[("q", &filter), ("sort", sort), ("from", &next.to_string())]));
    let view = ListPage {
        rows,
        by_size,
        total: count(found.len() as u64),
        total_stored: bytes(total_stored),
        is_any: !all.is_empty(),
        may_create: asker.may("s3:CreateBucket", None, None),
        filter,
        next,
        page: visit.page(visit.t.buckets.title),
    };
    render(&view)
}

fn row(visit: &Visit, bucket: &Bucket) -> BucketRow {
    let node = &visit.console.node;
    let usage = node.storage.usage(bucket);
    let name = bucket.name.as_str();
    let limit = bucket.config.quota.as_ref().and_then(|quota| quota.limits.max_bytes);
    let may_delete = visit.asker().is_ok_and(|asker| asker.may("s3:DeleteBucket", Some(bucket), None));
    let versions = usage.versions.saturating_sub(usage.markers);
    BucketRow {
        name: name.to_owned(),
        address: links::bucket(name, "browse"),
        badges: badges(visit, bucket),
        objects: count(usage.objects),
        versions: (versions > 0).then(|| format!("+ {}", count(versions))),
        stored: bytes(usage.bytes),
        limit: limit.map(|limit| (bytes(limit), percent(usage.quantity().bytes, limit))),
        created: When::of(bucket.created),
        owner: node.access.owner_name(&bucket.owner).unwrap_or_default(),
        delete: may_delete.then(|| links::bucket(name, "delete")),
    }
}

fn badges(visit: &Visit, bucket: &Bucket) -> Vec<Badge> {
    let (words, config) = (&visit.t.buckets, &bucket.config);
    let node = &visit.console.node;
    let is_public = node.access.policy_engine.is_public(&bucket.name);
    // Whoever may not see how a bucket is replicated does not learn that it is.
    let sees = |action| visit.asker().is_ok_and(|asker| asker.may(action, Some(bucket), None));
    let is_replicated = node.replication.rule(&bucket.name).is_ok() && sees("s3:GetReplicationConfiguration");
    let versions = match bucket.versioning {
        Versioning::Off => None,
        Versioning::Enabled => Some(words.versions_on),
        Versioning::Suspended => Some(words.versions_suspended),
    };
    let marks = [
        (is_public.then_some(visit.t.common.public), "bad"),
        (versions, "plain"),
        (config.object_lock.as_ref().map(|_| words.locked), "plain"),
        (config.encryption.as_ref().map(|_| words.encrypted), "plain"),
        (is_replicated.then_some(words.replicated), "plain"),
        (config.website.as_ref().map(|_| words.website), "plain"),
    ];
    marks.into_iter().filter_map(|(word, tone)| Some(Badge { word: word?, tone })).collect()
}

async fn create(visit: Visit) -> Outcome {
    let asker = visit.asker()?;
    let name = parse_name(visit.form.text("name"))?;
    let locks = visit.form.is_on("lock");
    let headers: &[_] = if locks { &[("x-amz-bucket-object-lock-enabled", "true")] } else { &[] };
    asker.s3(Wish { method: Method::PUT, bucket: Some(&name), headers, ..Wish::default() }).await?;
    let address = links::bucket(name.as_str(), "browse");
    if visit.form.is_on("versioning") && !locks {
        let document = "<VersioningConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
                        <Status>Enabled</Status></VersioningConfiguration>";
        asker.put_document(&name, "versioning", document).await?;
    }
    visit.done(Notice::good(format!("{name} {}", visit.t.buckets.created_one)), &address)
}

#[derive(Template)]
#[template(path = "buckets/delete.html")]
struct DeletePage {
    page: Page,
    name: String,
    objects: String,
    versions: String,
    stored: String,
    is_empty: bool,
    has_uploads: bool,
}

async fn ask_delete(visit: Visit) -> Outcome {
    let bucket = visit.bucket().await?;
    let asker = visit.asker()?;
    asker.ask("s3:DeleteBucket", &bucket).await?;
    let usage = visit.console.node.storage.usage(&bucket);
    let words = &visit.t.common;
    let title = format!("{}: {}", visit.t.buckets.delete_title, bucket.name);
    let view = DeletePage {
        page: visit.page(title).for_bucket(asker, &bucket, ""),
        name: bucket.name.to_string(),
        objects: counted(usage.objects, words.objects_one, words.objects_many),
        versions: counted(usage.versions, words.versions_one, words.versions_many),
        stored: bytes(usage.bytes),
        is_empty: usage.objects == 0 && usage.versions == 0,
        has_uploads: usage.part_bytes > 0,
    };
    render(&view)
}

async fn delete(visit: Visit) -> Outcome {
    let name = parse_name(visit.parameter("bucket"))?;
    if visit.form.text("confirm") != name.as_str() {
        return Err(Failure::input(visit.t.buckets.delete_mismatch));
    }
    let wish = Wish { method: Method::DELETE, bucket: Some(&name), ..Wish::default() };
    visit.asker()?.s3(wish).await?;
    visit.done(Notice::good(format!("{name} {}", visit.t.buckets.deleted_one)), "/ui/buckets")
}

fn parse_name(name: &str) -> Result<BucketName, Failure> {
    let refused = |error| Failure::from(Refusal::invalid(format!("No bucket can have this name: {error}.")));
    BucketName::parse(name).map_err(refused)
}
