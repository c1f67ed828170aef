//! The objects of a bucket: by folders or flat, searched, as they were at a time, and what was deleted. Each page is one listing of
//! bounded work with an address that can be kept and sent.

use std::sync::Arc;

use askama::Template;
use myfsio_actors::names::{Stamp, VersionId};
use myfsio_actors::storage::{Bucket, ObjectPage, Versioning};
use serde_json::json;

use crate::console::commands::{self, Command};
use crate::console::effort::{Effort, LOOK_ROWS};
use crate::console::failure::Failure;
use crate::console::layout::Page;
use crate::console::links;
use crate::console::route::{Outcome, Role, Row, SIGNED_IN};
use crate::console::sorting::{Column, Head, Sorting};
use crate::console::text::Text;
use crate::console::units::{When, bytes, count, counted, legible};
use crate::console::visit::{Visit, json as answer, render};
use crate::within::{Asker, ObjectsWanted, Refusal, VersionsWanted};

/// Routes.
pub const ROWS: &[Row] = &[Row::get("/ui/buckets/{bucket}/browse", SIGNED_IN, |visit| Box::pin(show(visit)))];

/// Who may change objects, in the test's world.
pub const CHANGERS: &[Role] = &[Role::Writer, Role::Admin];

/// What the rows of a page are sorted by.
const COLUMNS: &[Column] = &[Column::ascending("name"), Column::descending("size"), Column::descending("modified")];

/// What the page shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Folders,
    Flat,
    Search,
    Deleted,
    Past(Stamp),
}

/// What a listing came to.
#[derive(Default)]
struct Listed {
    entries: Vec<Entry>,
    next: Vec<(&'static str, String)>,
    looked_at: usize,
}

struct Entry {
    key: String,
    name: String,
    address: String,
    is_folder: bool,
    bytes: u64,
    size: String,
    stamp: Option<Stamp>,
    modified: Option<When>,
    version: String,
    delete_marker: bool,
}

struct Step {
    name: String,
    address: String,
}

#[derive(Template)]
#[template(path = "browse/browse.html")]
struct BrowsePage {
    page: Page,
    bucket: String,
    prefix: String,
    steps: Vec<Step>,
    up: Option<String>,
    rows: Vec<Entry>,
    mode: &'static str,
    query: String,
    at: String,
    next: Option<String>,
    is_first: bool,
    first: String,
    looked_at: Option<String>,
    may_write: bool,
    has_boxes: bool,
    /// The time that a selection is brought back as of; empty brings back what was deleted last.
    as_of: String,
    may_list: bool,
    keeps_versions: bool,
    objects: String,
    stored: String,
    commands: Vec<Command>,
    work: String,
    /// All that the listing comes to, in words, where a page shows but some of it, or what was searched for.
    all: Option<String>,
    /// The folder that all of it is in.
    folder: String,
    heads: Heads,
    /// How many objects were sorted, where there are more than the page shows.
    sorted_within: Option<String>,
}

/// The heads of the columns.
struct Heads {
    name: Head,
    size: Head,
    modified: Head,
}

async fn show(visit: Visit) -> Outcome {
    let bucket = visit.bucket().await?;
    let asker = visit.asker()?;
    let prefix = visit.query.raw("prefix").unwrap_or_default().to_owned();
    let mode = mode(&visit)?;
    let listed = match list(&visit, asker, &bucket, &prefix, mode).await {
        Ok(listed) => Some(listed),
        // Who may read or write, but not list, still finds the ways to do that.
        Err(refusal) if refusal.is_denial && may_more(asker, &bucket) => None,
        Err(refusal) => return Err(refusal.into()),
    };
    let may_list = listed.is_some();
    let mut listed = listed.unwrap_or_default();
    let sorting = Sorting::of(&visit.query, COLUMNS);
    sort(sorting, &mut listed.entries);
    let name = bucket.name.as_str();
    let usage = visit.console.node.storage.usage(&bucket);
    let kept = kept(&visit, &prefix);
    let order = sorting.fields();
    let looked_at = visit.query.number("seen").unwrap_or_default().unwrap_or(0).saturating_add(listed.looked_at as u64);
    let is_sparse = matches!(mode, Mode::Search | Mode::Deleted | Mode::Past(_));
    let mut next = listed.next;
    if is_sparse && !next.is_empty() {
        next.push(("seen", looked_at.to_string()));
    }
    let address = |more: &[(&'static str, String)]| {
        let fields = kept.iter().map(|(field, value)| (*field, value.as_str())).chain(order);
        let fields: Vec<(&str, &str)> =
            fields.chain(more.iter().map(|(field, value)| (*field, value.as_str()))).collect();
        links::link(&["buckets", name, "browse"], &fields)
    };
    // The same rows in another order: of this page, not of the first.
    let here: Vec<_> = AFTER.iter().map(|field| (*field, visit.query.raw(field).unwrap_or_default())).collect();
    let head = |column, word| {
        sorting.head(column, word, |order| {
            let kept = kept.iter().map(|(field, value)| (*field, value.as_str()));
            let fields: Vec<(&str, &str)> = kept.chain(order).chain(here.iter().copied()).collect();
            links::link(&["buckets", name, "browse"], &fields)
        })
    };
    let is_part = !next.is_empty() || visit.query.raw("after").is_some();
    let folder = prefix.rfind('/').and_then(|at| prefix.get(..=at)).unwrap_or_default().to_owned();
    let all = match mode {
        Mode::Search => {
            let found = (!is_part).then_some(listed.entries.len() as u64);
            Some(all_of(visit.t, found, visit.t.browse.that_match))
        }
        Mode::Folders | Mode::Flat if is_part || prefix != folder => {
            let found = prefix.is_empty().then_some(usage.objects);
            Some(all_of(visit.t, found, visit.t.browse.that_begin))
        }
        _ => None,
    };
    let objects_here = listed.entries.iter().filter(|entry| !entry.is_folder).count() as u64;
    let may = |action| asker.may(action, Some(&bucket), Some(&prefix));
    let may_write = may("s3:PutObject");
    let view = BrowsePage {
        page: visit.page(name).for_bucket(asker, &bucket, "browse"),
        steps: steps(name, &prefix, order),
        up: parent(&prefix).map(|parent| folder_address(name, parent, order)),
        heads: Heads {
            name: head("name", visit.t.common.name),
            size: head("size", visit.t.common.size),
            modified: head("modified", visit.t.common.modified),
        },
        sorted_within: (is_part && !sorting.is_plain())
            .then(|| counted(objects_here, visit.t.common.objects_one, visit.t.common.objects_many)),
        next: (!next.is_empty()).then(|| address(&next)),
        is_first: visit.query.raw("after").is_none(),
        first: address(&[]),
        looked_at: is_sparse.then(|| count(looked_at)),
        rows: listed.entries,
        mode: match mode {
            Mode::Folders => "",
            Mode::Flat => "flat",
            Mode::Search => "search",
            Mode::Deleted => "deleted",
            Mode::Past(_) => "past",
        },
        query: visit.query.text("q").to_owned(),
        at: visit.query.text("at").to_owned(),
        has_boxes: match mode {
            Mode::Deleted => may("s3:DeleteObjectVersion"),
            Mode::Past(_) => may_write,
            _ => may("s3:DeleteObject"),
        },
        as_of: if let Mode::Past(at) = mode { at.rfc3339() } else { String::new() },
        may_write,
        may_list,
        keeps_versions: bucket.versioning != Versioning::Off,
        objects: counted(usage.objects, visit.t.common.objects_one, visit.t.common.objects_many),
        stored: bytes(usage.bytes),
        work: links::link(
            &["buckets", name, "work"],
            &[("item", &prefix), ("prefix", parent(&prefix).unwrap_or_default())],
        ),
        commands: commands::of_prefix(&asker.endpoint(), &asker.node().settings.region, name, &prefix),
        bucket: name.to_owned(),
        all,
        folder,
        prefix,
    };
    if visit.wants_json() {
        // For a script that looks on where nothing was found yet.
        let next = view.next.as_ref().map(|next| view.page.at(next));
        return answer(&json!({ "rows": view.rows.len(), "looked_at": view.looked_at, "next": next }));
    }
    render(&view)
}

/// `All 12 objects that match`; without the number where it is not known.
fn all_of(words: &Text, found: Option<u64>, which: &str) -> String {
    let objects = match found {
        Some(found) => counted(found, words.common.objects_one, words.common.objects_many),
        None => words.browse.all_objects.to_owned(),
    };
    format!("{} {objects} {which}", words.browse.all)
}

fn mode(visit: &Visit) -> Result<Mode, Failure> {
    if visit.query.filled("q").is_some() {
        return Ok(Mode::Search);
    }
    if let Some(at) = visit.query.filled("at") {
        // As a field for a time without a zone sends it: UTC is meant.
        let long = if at.len() == 16 { format!("{at}:00Z") } else { format!("{}Z", at.trim_end_matches('Z')) };
        let stamp = Stamp::parse_rfc3339(&long).ok_or_else(|| Failure::input(visit.t.browse.at_wrong))?;
        return Ok(Mode::Past(stamp));
    }
    Ok(match visit.query.text("show") {
        "deleted" => Mode::Deleted,
        "flat" => Mode::Flat,
        _ => Mode::Folders,
    })
}

/// The fields of the address that stay from page to page.
fn kept(visit: &Visit, prefix: &str) -> Vec<(&'static str, String)> {
    let field = |name: &'static str| (name, visit.query.text(name).to_owned());
    vec![("prefix", prefix.to_owned()), field("q"), field("at"), field("show")]
}

/// Fields of the address that tell where a page begins.
const AFTER: [&str; 4] = ["after", "after_version", "folder", "seen"];

/// Folders come first, as they have neither size nor time.
fn sort(sorting: Sorting, entries: &mut [Entry]) {
    if sorting.is_plain() {
        return;
    }
    match sorting.by() {
        "size" => sorting.apply(entries, |entry| entry.bytes),
        "modified" => sorting.apply(entries, |entry| entry.stamp.unwrap_or(Stamp(0))),
        _ => entries.sort_by(|a, b| if sorting.descends { b.key.cmp(&a.key) } else { a.key.cmp(&b.key) }),
    }
    entries.sort_by_key(|entry| !entry.is_folder);
}

/// The listing below a prefix in an order.
fn folder_address(bucket: &str, prefix: &str, [sort, order]: [(&str, &str); 2]) -> String {
    links::link(&["buckets", bucket, "browse"], &[("prefix", prefix), sort, order])
}

fn may_more(asker: &Asker, bucket: &Bucket) -> bool {
    ["s3:GetObject", "s3:PutObject"].iter().any(|action| asker.may(action, Some(bucket), Some("")))
}

async fn list(visit: &Visit, asker: &Asker, bucket: &Arc<Bucket>, prefix: &str, mode: Mode) -> Result<Listed, Refusal> {
    let after = visit.query.raw("after").map(str::to_owned);
    let limit = visit.console.settings.page_size;
    match mode {
        Mode::Folders | Mode::Flat => {
            let wanted = ObjectsWanted {
                prefix: prefix.to_owned(),
                in_folders: mode == Mode::Folders,
                after,
                after_is_prefix: visit.query.is_on("folder"),
                limit,
            };
            let page = asker.objects(bucket, wanted).await?;
            let mut next = Vec::new();
            if let Some(after) = &page.next {
                next.push(("after", after.clone()));
                next.extend(page.next_is_prefix.then(|| ("folder", "1".to_owned())));
            }
            let order = Sorting::of(&visit.query, COLUMNS).fields();
            Ok(Listed { entries: entries(bucket, prefix, order, page), next, looked_at: 0 })
        }
        Mode::Search => search(asker, bucket, prefix, &visit.query.text("q").to_lowercase(), after, limit).await,
        Mode::Deleted | Mode::Past(_) => past(visit, asker, bucket, prefix, mode, limit).await,
    }
}

fn entries(bucket: &Bucket, prefix: &str, order: [(&str, &str); 2], page: ObjectPage) -> Vec<Entry> {
    // What is typed may end within a name.
    let within = prefix.rfind('/').and_then(|at| prefix.get(..=at)).unwrap_or_default();
    let folders = page.common_prefixes.iter().map(|folder| folder_entry(bucket, within, order, folder));
    let objects = page.entries.iter().filter(|entry| entry.key.as_str() != within).map(|entry| {
        let (key, object) = (entry.key.as_str(), &entry.object);
        object_entry(bucket, within, key, object.size, object.stamp)
    });
    folders.chain(objects).collect()
}

fn folder_entry(bucket: &Bucket, prefix: &str, order: [(&str, &str); 2], folder: &str) -> Entry {
    Entry {
        key: folder.to_owned(),
        name: legible(folder.strip_prefix(prefix).unwrap_or(folder)),
        address: folder_address(bucket.name.as_str(), folder, order),
        is_folder: true,
        bytes: 0,
        size: String::new(),
        stamp: None,
        modified: None,
        version: String::new(),
        delete_marker: false,
    }
}

fn object_entry(bucket: &Bucket, prefix: &str, key: &str, size: u64, stamp: Stamp) -> Entry {
    Entry {
        key: key.to_owned(),
        name: legible(key.strip_prefix(prefix).filter(|rest| !rest.is_empty()).unwrap_or(key)),
        address: links::object(bucket.name.as_str(), key, ""),
        is_folder: false,
        bytes: size,
        size: bytes(size),
        stamp: Some(stamp),
        modified: Some(When::of(stamp)),
        version: String::new(),
        delete_marker: false,
    }
}

/// Keys that contain a text, whatever the case of its letters.
async fn search(
    asker: &Asker,
    bucket: &Arc<Bucket>,
    prefix: &str,
    text: &str,
    mut after: Option<String>,
    limit: usize,
) -> Result<Listed, Refusal> {
    let (mut listed, mut effort) = (Listed::default(), Effort::new());
    loop {
        let wanted = ObjectsWanted {
            prefix: prefix.to_owned(),
            after: after.clone(),
            limit: LOOK_ROWS,
            ..ObjectsWanted::default()
        };
        let page = asker.objects(bucket, wanted).await?;
        for entry in &page.entries {
            effort.looked_at += 1;
            let key = entry.key.as_str();
            if key.strip_prefix(prefix).unwrap_or(key).to_lowercase().contains(text) {
                listed.entries.push(object_entry(bucket, prefix, key, entry.object.size, entry.object.stamp));
            }
            if listed.entries.len() >= limit {
                listed.next = vec![("after", key.to_owned())];
                listed.looked_at = effort.looked_at;
                return Ok(listed);
            }
        }
        listed.looked_at = effort.looked_at;
        match page.next {
            None => return Ok(listed),
            Some(next) if effort.is_spent() => {
                listed.next = vec![("after", next)];
                return Ok(listed);
            }
            Some(next) => after = Some(next),
        }
    }
}

/// What was deleted, or what was there at a time: the newest version of each key that is old enough.
async fn past(
    visit: &Visit,
    asker: &Asker,
    bucket: &Arc<Bucket>,
    prefix: &str,
    mode: Mode,
    limit: usize,
) -> Result<Listed, Refusal> {
    let (mut listed, mut effort) = (Listed::default(), Effort::new());
    let within = visit.query.filled("after_version").and_then(|id| VersionId::parse(id).ok());
    let mut after = visit.query.raw("after").map(|key| (key.to_owned(), within));
    // Behind what all is known: a version, or a key with all of its versions.
    let mut known: Option<(String, Option<VersionId>)> = None;
    loop {
        let wanted =
            VersionsWanted { prefix: prefix.to_owned(), in_folders: false, after: after.clone(), limit: LOOK_ROWS };
        let page = asker.versions(bucket, wanted).await?;
        for version in &page.entries {
            effort.looked_at += 1;
            let key = version.key.as_str();
            match &known {
                Some((settled, None)) if settled == key => continue,
                Some((key, within)) if listed.entries.len() >= limit || effort.is_spent() => {
                    listed.next = vec![("after", key.clone())];
                    listed.next.extend(within.map(|version| ("after_version", version.to_string())));
                    listed.looked_at = effort.looked_at;
                    return Ok(listed);
                }
                _ => {}
            }
            match (mode, &version.object) {
                (Mode::Past(at), _) if version.last_modified > at => {
                    known = Some((key.to_owned(), Some(version.version_id)));
                    continue;
                }
                (Mode::Past(_), Some(object)) => {
                    let id = version.version_id.to_string();
                    let mut entry = object_entry(bucket, prefix, key, object.size, version.last_modified);
                    entry.address = links::object(bucket.name.as_str(), key, &id);
                    entry.version = id;
                    listed.entries.push(entry);
                }
                (Mode::Deleted, None) if version.is_latest => {
                    let mut entry = object_entry(bucket, prefix, key, 0, version.last_modified);
                    entry.address = links::object(bucket.name.as_str(), key, "");
                    entry.version = version.version_id.to_string();
                    entry.delete_marker = true;
                    listed.entries.push(entry);
                }
                _ => {}
            }
            known = Some((key.to_owned(), None));
        }
        listed.looked_at = effort.looked_at;
        // Further versions of a key whose answer is known are not looked at.
        after = match (page.next, &known) {
            (None, _) => return Ok(listed),
            (Some((next, _)), Some((settled, None))) if next == *settled => Some((next, None)),
            (next, _) => next,
        };
    }
}

/// The way down to a prefix.
fn steps(bucket: &str, prefix: &str, order: [(&str, &str); 2]) -> Vec<Step> {
    let mut at = 0;
    let mut steps = Vec::new();
    for part in prefix.split_inclusive('/') {
        at += part.len();
        let below = prefix.get(..at).unwrap_or_default();
        steps.push(Step { name: legible(part), address: folder_address(bucket, below, order) });
    }
    steps
}

/// What is above a prefix; none above the bucket itself.
fn parent(prefix: &str) -> Option<&str> {
    let inner = prefix.strip_suffix('/').unwrap_or(prefix);
    match inner.rfind('/') {
        _ if prefix.is_empty() => None,
        Some(at) => inner.get(..=at),
        None => Some(""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_up_and_down() {
        for (prefix, above) in
            [("a/", Some("")), ("a/b/", Some("a/")), ("a", Some("")), ("a/b", Some("a/")), ("", None)]
        {
            assert_eq!(parent(prefix), above, "{prefix}");
        }
        let steps: Vec<_> =
            steps("b", "a//ä/x", [("sort", ""), ("order", "")]).into_iter().map(|step| step.address).collect();
        let expected = ["a%2F", "a%2F%2F", "a%2F%2F%C3%A4%2F", "a%2F%2F%C3%A4%2Fx"];
        assert_eq!(steps, expected.map(|prefix| format!("/ui/buckets/b/browse?prefix={prefix}")));
    }
}
