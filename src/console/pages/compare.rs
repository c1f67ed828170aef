//! Two versions of an object side by side: what is told of them, and, for short texts, which lines differ.

use std::sync::Arc;

use askama::Template;
use myfsio_actors::names::{ObjectKey, VersionId};
use myfsio_actors::storage::{Bucket, Object};

use super::bytes::{Kind, kind_of};
use super::object::{VersionRow, content_type, facts, headers, lock, versions};
use super::preview::{Subject, TEXT_BYTES_MAX, part};
use crate::console::diff::{self, Fate, Piece};
use crate::console::failure::Failure;
use crate::console::layout::Page;
use crate::console::links;
use crate::console::route::{Outcome, Row, SIGNED_IN};
use crate::console::units::{When, bytes, count, legible};
use crate::console::visit::{Visit, render};
use crate::within::Refusal;

/// Routes.
pub const ROWS: &[Row] = &[Row::get("/ui/buckets/{bucket}/compare", SIGNED_IN, |visit| Box::pin(show(visit)))
    .tested_by("key=folder%2Fa.txt&version=null&other=null")];

/// Lines on the page.
const LINES_MAX: usize = 1_000;
/// Characters of a line.
const LINE_CHARS_MAX: usize = 500;

/// Names and values of what is told of a version.
type Told = Vec<(String, String)>;

struct Side {
    word: &'static str,
    /// Name of the field that chooses it.
    field: &'static str,
    id: String,
    modified: When,
    address: String,
}

struct Fact {
    name: String,
    left: String,
    right: String,
}

/// A line of one text or both.
pub struct LineRow {
    /// Its class: what became of it.
    pub kind: &'static str,
    /// The same as a sign.
    pub sign: &'static str,
    /// The same in words.
    pub word: &'static str,
    /// Its number on the left, if it is there.
    pub left: String,
    /// Its number on the right.
    pub right: String,
    /// The line.
    pub text: String,
}

/// What a table of lines shows.
pub enum Shown {
    /// A line.
    Line(LineRow),
    /// How many lines are the same.
    Skipped(String),
}

/// How two texts differ (`object/diff.html`).
pub struct Difference {
    /// Lines that differ, and some around them.
    pub rows: Vec<Shown>,
    /// What is to be said of the text beside that.
    pub note: &'static str,
}

impl Difference {
    /// Nothing but a note.
    fn noted(note: &'static str) -> Self {
        Self { rows: Vec::new(), note }
    }

    /// Of two texts.
    pub fn of(t: &crate::console::text::Object, left: &str, right: &str) -> Self {
        let Some(lines) = diff::compare(left, right) else { return Self::noted(t.compare_text_far) };
        let (pieces, is_all) = diff::shortened(&lines, LINES_MAX);
        let number = |number: Option<usize>| number.map(|number| number.to_string()).unwrap_or_default();
        let row = |piece| match piece {
            Piece::Skipped(lines) => Shown::Skipped(count(lines as u64)),
            Piece::Line(line) => {
                let (kind, sign, word) = match line.fate {
                    Fate::Same => ("", "", ""),
                    Fate::Added => ("added", "+", t.compare_added),
                    Fate::Removed => ("removed", "\u{2212}", t.compare_removed),
                };
                let (left, right) = (number(line.left), number(line.right));
                Shown::Line(LineRow { kind, sign, word, left, right, text: shown(line.text) })
            }
        };
        Self { rows: pieces.into_iter().map(row).collect(), note: if is_all { "" } else { t.compare_text_cut } }
    }
}

#[derive(Template)]
#[template(path = "object/compare.html")]
struct ComparePage {
    page: Page,
    bucket: String,
    key: String,
    sides: [Side; 2],
    /// What differs, and what is the same.
    tables: [Vec<Fact>; 2],
    difference: Option<Difference>,
    versions: Vec<VersionRow>,
}

async fn show(visit: Visit) -> Outcome {
    let (bucket, key) = (visit.bucket().await?, visit.key()?);
    let ids = (version(&visit, "version")?, version(&visit, "other")?);
    let asker = visit.asker()?;
    let left = asker.object(&bucket, &key, Some(ids.0)).await?;
    let right = asker.object(&bucket, &key, Some(ids.1)).await?;
    let of = |version, object| Subject { bucket: &bucket, key: &key, version: Some(version), object };
    let (from, to) = (of(ids.0, &left), of(ids.1, &right));
    let facts = pairs(told(&visit, &from).await?, told(&visit, &to).await?);
    let (same, differing): (Vec<_>, Vec<_>) = facts.into_iter().partition(|fact| fact.left == fact.right);
    let versions = match asker.may("s3:ListBucketVersions", Some(&bucket), None) {
        true => versions(asker, &bucket, &key, Some(ids.1)).await?,
        false => Vec::new(),
    };
    let name = legible(key.as_str().rsplit('/').find(|part| !part.is_empty()).unwrap_or("/"));
    let page = visit.page(visit.t.object.compare_title).for_bucket(asker, &bucket, "browse");
    let t = &visit.t.object;
    let view = ComparePage {
        page: page.crumb(name, links::object(bucket.name.as_str(), key.as_str(), "")),
        difference: difference(&visit, &from, &to).await?,
        sides: [
            side((t.compare_left, "version"), &bucket, &key, &left),
            side((t.compare_right, "other"), &bucket, &key, &right),
        ],
        bucket: bucket.name.as_str().to_owned(),
        key: key.as_str().to_owned(),
        tables: [differing, same],
        versions: versions.into_iter().filter(|row| !row.is_marker).collect(),
    };
    render(&view)
}

fn version(visit: &Visit, name: &str) -> Result<VersionId, Failure> {
    VersionId::parse(visit.query.text(name)).map_err(|_| Refusal::invalid("This is no version id.").into())
}

fn side((word, field): (&'static str, &'static str), bucket: &Arc<Bucket>, key: &ObjectKey, object: &Object) -> Side {
    let id = object.version_id.to_string();
    let address = links::object(bucket.name.as_str(), key.as_str(), &id);
    Side { word, field, modified: When::of(object.modified()), address, id }
}

/// All that is told of a version, as far as whoever asks may know.
async fn told(visit: &Visit, subject: &Subject<'_>) -> Result<Told, Failure> {
    let (t, asker, object) = (&visit.t.object, visit.asker()?, subject.object);
    let attributes = &object.attributes;
    let may = |action: &str| asker.may(action, Some(subject.bucket), Some(subject.key.as_str()));
    let mut told: Told = vec![
        (visit.t.common.size.to_owned(), format!("{} ({}\u{a0}{})", bytes(object.size), count(object.size), t.bytes)),
        (t.compare_written.to_owned(), When::of(object.modified()).text),
        (t.etag.to_owned(), object.etag.to_string()),
        (t.content_type.to_owned(), content_type(attributes)),
        (t.owner.to_owned(), visit.console.node.access.owner_name(&object.owner).unwrap_or_default()),
    ];
    let named = headers(attributes).into_iter().chain(facts(visit, subject).await?);
    told.extend(named.map(|(name, value)| (name.to_owned(), value)));
    let metadata = attributes.user_metadata.iter();
    told.extend(metadata.map(|(name, value)| (format!("x-amz-meta-{}", legible(name)), legible(value))));
    if may("s3:GetObjectVersionTagging") {
        let tags = attributes.tags.iter();
        told.extend(tags.map(|(name, value)| (format!("{}: {}", t.tags, legible(name)), legible(value))));
    }
    if subject.bucket.config.object_lock.is_some() && may("s3:GetObjectRetention") {
        let lock = lock(object);
        let until = lock.until.map(|until| format!("{} {} {}", lock.mode, t.retain_until, until.text));
        told.push((t.retention.to_owned(), until.unwrap_or_default()));
        let held = if lock.is_held { visit.t.common.yes } else { visit.t.common.no };
        told.push((t.hold.to_owned(), held.to_owned()));
    }
    Ok(told)
}

/// Both sides by name, in the order of the left one; what only the right one has comes behind.
fn pairs(left: Told, right: Told) -> Vec<Fact> {
    let value = |told: &Told, name: &str| {
        let found = told.iter().find(|(found, _)| found == name);
        found.map(|(_, value)| value.clone()).unwrap_or_default()
    };
    let new = right.iter().filter(|(name, _)| !left.iter().any(|(known, _)| known == name));
    let names: Vec<_> = left.iter().chain(new).map(|(name, _)| name.clone()).collect();
    let fact = |name: String| Fact { left: value(&left, &name), right: value(&right, &name), name };
    names.into_iter().map(fact).collect()
}

/// How the texts differ; none where one of them is no text, or may be read only with its owner's key.
async fn difference(visit: &Visit, from: &Subject<'_>, to: &Subject<'_>) -> Result<Option<Difference>, Failure> {
    let (t, asker) = (&visit.t.object, visit.asker()?);
    let is_text = |subject: &Subject<'_>| {
        let own = &subject.object.attributes;
        let kind = kind_of(subject.key.as_str(), own.content_type.as_deref());
        kind == Some(Kind::Text) && own.content_encoding.is_none()
    };
    if !is_text(from) || !is_text(to) {
        return Ok(None);
    }
    if from.object.size.max(to.object.size) > TEXT_BYTES_MAX {
        return Ok(Some(Difference::noted(t.compare_text_large)));
    }
    let (Some(left), Some(right)) = (text(asker, from).await?, text(asker, to).await?) else { return Ok(None) };
    Ok(Some(match left == right {
        true => Difference::noted(t.compare_text_same),
        false => Difference::of(t, &left, &right),
    }))
}

async fn text(asker: &crate::within::Asker, subject: &Subject<'_>) -> Result<Option<String>, Failure> {
    if subject.object.size == 0 {
        return Ok(Some(String::new()));
    }
    let read = part(asker, subject, 0, subject.object.size).await?;
    Ok(read.map(|read| String::from_utf8_lossy(&read).into_owned()))
}

/// A line as a cell shows it.
fn shown(line: &str) -> String {
    let mut chars = line.chars();
    let begin: String = chars.by_ref().take(LINE_CHARS_MAX).collect();
    let more = if chars.next().is_some() { "…" } else { "" };
    format!("{}{more}", legible(&begin.replace('\t', "    ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides_meet_by_name() {
        let told = |pairs: &[(&str, &str)]| pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let facts = pairs(told(&[("a", "1"), ("b", "2")]), told(&[("c", "3"), ("a", "1")]));
        let all: Vec<_> = facts.iter().map(|fact| (&*fact.name, &*fact.left, &*fact.right)).collect();
        assert_eq!(all, [("a", "1", "1"), ("b", "2", ""), ("c", "", "3")]);
    }

    #[test]
    fn lines_are_cut_and_legible() {
        assert_eq!(shown("\tx\u{202e}"), "    x⟨U+202E⟩");
        assert_eq!(shown(&"x".repeat(LINE_CHARS_MAX + 1)).chars().count(), LINE_CHARS_MAX + 1);
    }
}
