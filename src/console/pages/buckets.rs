//! The list of buckets; deleting one.

use actix_web::http::Method;
use askama::Template;
use myfsio_actors::names::BucketName;
use myfsio_actors::storage::{Bucket, Usage, Versioning};

use crate::console::failure::Failure;
use crate::console::layout::Page;
use crate::console::links;
use crate::console::notice::Notice;
use crate::console::route::{Outcome, Row, SIGNED_IN, WRITERS};
use crate::console::sorting::{Column, Head, Sorting};
use crate::console::text::Buckets;
use crate::console::units::{When, bytes, count, counted, percent};
use crate::console::visit::{Visit, render};
use crate::within::{Refusal, Wish};

/// Routes.
pub const ROWS: &[Row] = &[
    Row::get("/ui/buckets", SIGNED_IN, |visit| Box::pin(list(visit))),
    Row::get("/ui/buckets/{bucket}/delete", WRITERS, |visit| Box::pin(ask_delete(visit))),
    Row::post("/ui/buckets/{bucket}/delete", WRITERS, |visit| Box::pin(delete(visit))).tested_by("confirm=shared"),
];

/// What the list can be sorted by.
const COLUMNS: &[Column] = &[
    Column::ascending("name"),
    Column::descending("objects"),
    Column::descending("size"),
    Column::descending("old"),
    Column::descending("quota"),
    Column::descending("created"),
];
/// From how many percent of its quota on a bucket counts as nearly full.
const NEARLY_FULL: u8 = 80;

/// The choices of the filter: as addresses name them.
const ONLY: [&str; 7] = ["public", "versioned", "unversioned", "locked", "encrypted", "replicated", "full"];

#[derive(Template)]
#[template(path = "buckets/list.html")]
struct ListPage {
    page: Page,
    rows: Vec<BucketRow>,
    filter: String,
    /// The choices of the filter: name, word, and whether it is this one.
    only: Vec<(&'static str, &'static str, bool)>,
    /// The choices of the order, in the same way.
    sorts: Vec<(&'static str, &'static str, bool)>,
    heads: Heads,
    total: String,
    total_stored: String,
    total_old: String,
    is_any: bool,
    is_filtered: bool,
    may_create: bool,
    /// Where the page stands, if it is not all.
    range: Option<String>,
    first: Option<String>,
    previous: Option<String>,
    next: Option<String>,
}

struct Heads {
    name: Head,
    objects: Head,
    size: Head,
    old: Head,
    created: Head,
}

struct BucketRow {
    name: String,
    address: String,
    badges: Vec<Badge>,
    objects: String,
    versions: Option<String>,
    stored: String,
    /// Bytes of old versions, if there are any, and their part of all in percent.
    old: Option<(String, u8)>,
    limit: Option<(String, u8)>,
    created: When,
    owner: String,
    delete: Option<String>,
}

struct Badge {
    word: &'static str,
    tone: &'static str,
}

/// A bucket, and what its counters tell: nothing is walked through for a page.
struct Found<'a> {
    bucket: &'a Bucket,
    usage: Usage,
}

impl Found<'_> {
    /// How full it is in percent, by whichever of its limits is nearer; none without limits.
    fn full(&self) -> Option<u8> {
        let limits = self.bucket.config.quota.as_ref()?.limits;
        let held = self.usage.quantity();
        let full = [limits.max_bytes.map(|max| (held.bytes, max)), limits.max_objects.map(|max| (held.objects, max))];
        full.into_iter().flatten().map(|(held, max)| percent(held, max)).max()
    }

    fn is(&self, only: &str, visit: &Visit) -> bool {
        let config = &self.bucket.config;
        match only {
            "public" => visit.console.node.access.policy_engine.is_public(&self.bucket.name),
            "versioned" => self.bucket.versioning != Versioning::Off,
            "unversioned" => self.bucket.versioning == Versioning::Off,
            "locked" => config.object_lock.is_some(),
            "encrypted" => config.encryption.is_some(),
            "replicated" => is_replicated(visit, self.bucket),
            "full" => self.full().is_some_and(|full| full >= NEARLY_FULL),
            _ => true,
        }
    }
}

fn sort(sorting: Sorting, found: &mut [Found<'_>]) {
    match sorting.by() {
        "objects" => sorting.apply(found, |found| found.usage.objects),
        "size" => sorting.apply(found, |found| found.usage.bytes),
        "old" => sorting.apply(found, |found| found.usage.old_bytes),
        // What has no limit comes where nothing is full.
        "quota" => sorting.apply(found, |found| found.full().map_or(0, |full| u16::from(full) + 1)),
        "created" => sorting.apply(found, |found| found.bucket.created),
        // They come in the order of their names.
        _ if sorting.descends => found.reverse(),
        _ => {}
    }
}

async fn list(visit: Visit) -> Outcome {
    let asker = visit.asker()?;
    let all = asker.buckets().await?;
    let words = &visit.t.buckets;
    let filter = visit.query.text("q").to_lowercase();
    let only = ONLY.into_iter().find(|only| *only == visit.query.text("only")).unwrap_or_default();
    let storage = &visit.console.node.storage;
    let named = all.iter().filter(|bucket| bucket.name.as_str().contains(&filter));
    let found = named.map(|bucket| Found { usage: storage.usage(bucket), bucket });
    let mut found: Vec<_> = found.filter(|found| found.is(only, &visit)).collect();
    let sorting = Sorting::of(&visit.query, COLUMNS);
    sort(sorting, &mut found);
    let size = visit.console.settings.page_size;
    let begin = usize::try_from(visit.query.number("from")?.unwrap_or(0)).unwrap_or(usize::MAX);
    let rows: Vec<_> = found.iter().skip(begin).take(size).map(|found| row(&visit, found)).collect();
    let address = |order: [(&'static str, &'static str); 2], from: usize| {
        let from = if from == 0 { String::new() } else { from.to_string() };
        let [sort, order] = order;
        links::link(&["buckets"], &[("q", &filter), ("only", only), sort, order, ("from", &from)])
    };
    let here = |from| address(sorting.fields(), from);
    let head = |column, word| sorting.head(column, word, |order| address(order, 0));
    let end = begin.saturating_add(rows.len());
    let is_part = !rows.is_empty() && rows.len() < found.len();
    let sum = |of: fn(&Usage) -> u64| found.iter().map(|found| of(&found.usage)).fold(0, u64::saturating_add);
    let view = ListPage {
        only: only_words(words).into_iter().map(|(name, word)| (name, word, name == only)).collect(),
        sorts: sort_words(words).into_iter().map(|(name, word)| (name, word, name == sorting.by())).collect(),
        heads: Heads {
            name: head("name", visit.t.common.name),
            objects: head("objects", words.objects),
            size: head("size", words.usage),
            old: head("old", words.old),
            created: head("created", visit.t.common.created),
        },
        range: is_part.then(|| {
            let [first, last, of] = [begin + 1, end, found.len()].map(|number| count(number as u64));
            format!("{first}–{last} {} {of}", words.range_of)
        }),
        first: (begin > 0).then(|| here(0)),
        previous: (begin > size).then(|| here(begin - size)),
        next: (end < found.len() && !rows.is_empty()).then(|| here(end)),
        rows,
        total: count(found.len() as u64),
        total_stored: bytes(sum(|usage| usage.bytes)),
        total_old: bytes(sum(|usage| usage.old_bytes)),
        is_any: !all.is_empty(),
        is_filtered: !filter.is_empty() || !only.is_empty(),
        may_create: asker.may("s3:CreateBucket", None, None),
        filter,
        page: visit.page(words.title),
    };
    render(&view)
}

fn only_words(words: &Buckets) -> [(&'static str, &'static str); 8] {
    [
        ("", words.only_all),
        ("public", words.only_public),
        ("versioned", words.only_versioned),
        ("unversioned", words.only_unversioned),
        ("locked", words.only_locked),
        ("encrypted", words.only_encrypted),
        ("replicated", words.only_replicated),
        ("full", words.only_full),
    ]
}

fn sort_words(words: &Buckets) -> [(&'static str, &'static str); 6] {
    [
        ("name", words.by_name),
        ("objects", words.by_objects),
        ("size", words.by_size),
        ("old", words.by_old),
        ("quota", words.by_quota),
        ("created", words.by_created),
    ]
}

fn row(visit: &Visit, Found { bucket, usage }: &Found<'_>) -> BucketRow {
    let node = &visit.console.node;
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
        old: (usage.old_bytes > 0).then(|| (bytes(usage.old_bytes), percent(usage.old_bytes, usage.bytes))),
        limit: limit.map(|limit| (bytes(limit), percent(usage.quantity().bytes, limit))),
        created: When::of(bucket.created),
        owner: node.access.owner_name(&bucket.owner).unwrap_or_default(),
        delete: may_delete.then(|| links::bucket(name, "delete")),
    }
}

/// Whether a bucket is replicated. Whoever may not see how does not learn that it is.
fn is_replicated(visit: &Visit, bucket: &Bucket) -> bool {
    let sees = || visit.asker().is_ok_and(|asker| asker.may("s3:GetReplicationConfiguration", Some(bucket), None));
    visit.console.node.replication.rule(&bucket.name).is_ok() && sees()
}

fn badges(visit: &Visit, bucket: &Bucket) -> Vec<Badge> {
    let (words, config) = (&visit.t.buckets, &bucket.config);
    let node = &visit.console.node;
    let is_public = node.access.policy_engine.is_public(&bucket.name);
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
        (is_replicated(visit, bucket).then_some(words.replicated), "plain"),
        (config.website.as_ref().map(|_| words.website), "plain"),
    ];
    marks.into_iter().filter_map(|(word, tone)| Some(Badge { word: word?, tone })).collect()
}

#[derive(Template)]
#[template(path = "buckets/delete.html")]
struct DeletePage {
    page: Page,
    name: String,
    objects: String,
    versions: String,
    stored: String,
    /// How many of the versions are delete markers; empty for none.
    markers: String,
    is_empty: bool,
    has_uploads: bool,
    /// What stands in the way, or follows.
    warnings: Vec<&'static str>,
}

async fn ask_delete(visit: Visit) -> Outcome {
    let bucket = visit.bucket().await?;
    let asker = visit.asker()?;
    asker.ask("s3:DeleteBucket", &bucket).await?;
    let usage = visit.console.node.storage.usage(&bucket);
    let words = &visit.t.common;
    let title = format!("{}: {}", visit.t.buckets.delete_title, bucket.name);
    let told = &visit.t.buckets;
    let warnings = [
        (bucket.config.object_lock.is_some(), told.delete_locked),
        (is_replicated(&visit, &bucket), told.delete_replicated),
    ];
    let view = DeletePage {
        page: visit.page(title).for_bucket(asker, &bucket, ""),
        name: bucket.name.to_string(),
        objects: counted(usage.objects, words.objects_one, words.objects_many),
        versions: counted(usage.versions, words.versions_one, words.versions_many),
        stored: bytes(usage.bytes),
        markers: if usage.markers == 0 { String::new() } else { count(usage.markers) },
        warnings: warnings.into_iter().filter_map(|(is_so, word)| is_so.then_some(word)).collect(),
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

/// A name as it is typed. Errs: no bucket can have it.
pub fn parse_name(name: &str) -> Result<BucketName, Failure> {
    let refused = |error| Failure::from(Refusal::invalid(format!("No bucket can have this name: {error}.")));
    BucketName::parse(name).map_err(refused)
}
