//! What takes the space: bytes and objects of each folder below a prefix. Each page counts a part of the keys with bounded work, says
//! how far it came, and leads to the next part.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use askama::Template;
use myfsio_actors::storage::Bucket;

use crate::console::layout::Page;
use crate::console::links;
use crate::console::route::{Outcome, Row, SIGNED_IN};
use crate::console::units::{bytes, count, legible, percent};
use crate::console::visit::{Visit, render};
use crate::within::{Asker, ObjectsWanted, Refusal};

/// Routes.
pub const ROWS: &[Row] = &[Row::get("/ui/buckets/{bucket}/space", SIGNED_IN, |visit| Box::pin(show(visit)))];

/// Keys that one page counts, at most.
const COUNTED_MAX: usize = 200_000;
/// How long it counts, at most.
const COUNTING_MAX: Duration = Duration::from_millis(500);
/// Rows that one look takes.
const LOOK_ROWS: usize = 1_000;
/// Folders that are told apart, at most; the rest is counted together.
const FOLDERS_MAX: usize = 2_000;

#[derive(Template)]
#[template(path = "browse/space.html")]
struct SpacePage {
    page: Page,
    bucket: String,
    prefix: String,
    steps: Vec<(String, String)>,
    rows: Vec<Entry>,
    objects: String,
    stored: String,
    is_whole: bool,
    is_first: bool,
    first: String,
    next: Option<(String, String)>,
}

struct Entry {
    name: String,
    address: Option<String>,
    objects: String,
    stored: String,
    share: u8,
    is_partial: bool,
}

/// Objects and bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sum {
    objects: u64,
    bytes: u64,
}

impl Sum {
    fn add(&mut self, size: u64) {
        self.objects += 1;
        self.bytes += size;
    }
}

/// What was counted.
#[derive(Debug, Default)]
struct Counted {
    folders: BTreeMap<String, Sum>,
    /// Folders that have no place any more.
    others: Sum,
    /// Objects right below the prefix.
    own: Sum,
    total: Sum,
    /// The key behind which there is more.
    next: Option<String>,
}

impl Counted {
    fn take(&mut self, prefix: &str, key: &str, size: u64) {
        self.total.add(size);
        let rest = key.strip_prefix(prefix).unwrap_or(key);
        let has_room = self.folders.len() < FOLDERS_MAX;
        match rest.split_once('/') {
            None => self.own.add(size),
            Some((folder, _)) => match self.folders.get_mut(folder) {
                Some(sum) => sum.add(size),
                None if has_room => {
                    self.folders.insert(folder.to_owned(), Sum { objects: 1, bytes: size });
                }
                None => self.others.add(size),
            },
        }
    }
}

async fn counted(asker: &Asker, bucket: &Arc<Bucket>, prefix: &str, after: Option<String>) -> Result<Counted, Refusal> {
    let (began, mut counted, mut rows) = (Instant::now(), Counted::default(), 0);
    let mut after = after;
    loop {
        let wanted = ObjectsWanted { prefix: prefix.to_owned(), after, limit: LOOK_ROWS, ..ObjectsWanted::default() };
        let page = asker.objects(bucket, wanted).await?;
        rows += page.entries.len();
        for entry in &page.entries {
            counted.take(prefix, entry.key.as_str(), entry.object.size);
        }
        if page.next.is_none() || rows >= COUNTED_MAX || began.elapsed() >= COUNTING_MAX {
            counted.next = page.next;
            return Ok(counted);
        }
        after = page.next;
    }
}

async fn show(visit: Visit) -> Outcome {
    let bucket = visit.bucket().await?;
    let asker = visit.asker()?;
    let words = &visit.t.space;
    let prefix = visit.query.raw("prefix").unwrap_or_default().to_owned();
    let after = visit.query.raw("after").filter(|after| !after.is_empty()).map(str::to_owned);
    let counted = counted(asker, &bucket, &prefix, after.clone()).await?;
    let name = bucket.name.as_str();
    let here =
        |prefix: &str, after: &str| links::link(&["buckets", name, "space"], &[("prefix", prefix), ("after", after)]);
    // The folders at both ends of a part may have more in the parts beside it.
    let folder_of = |key: &str| {
        key.strip_prefix(&prefix).and_then(|rest| rest.split_once('/')).map(|(folder, _)| folder.to_owned())
    };
    let cut = [after.as_deref(), counted.next.as_deref()].map(|key| key.and_then(folder_of));
    let entry = |name: String, address, sum: Sum, is_partial| Entry {
        name,
        address,
        objects: count(sum.objects),
        stored: bytes(sum.bytes),
        share: percent(sum.bytes, counted.total.bytes),
        is_partial,
    };
    let mut sums: Vec<_> = counted.folders.iter().collect();
    sums.sort_by(|a, b| b.1.bytes.cmp(&a.1.bytes).then_with(|| a.0.cmp(b.0)));
    let mut rows: Vec<Entry> = sums
        .into_iter()
        .map(|(folder, sum)| {
            let is_partial = cut.iter().flatten().any(|at| at == folder);
            let address = here(&format!("{prefix}{folder}/"), "");
            entry(legible(&format!("{folder}/")), Some(address), *sum, is_partial)
        })
        .collect();
    let is_split = after.is_some() || counted.next.is_some();
    for (word, sum) in [(words.own, counted.own), (words.others, counted.others)] {
        if sum.objects > 0 {
            rows.push(entry(word.to_owned(), None, sum, is_split));
        }
    }
    let view = SpacePage {
        steps: steps(&prefix).into_iter().map(|(name, below)| (name, here(&below, ""))).collect(),
        rows,
        objects: count(counted.total.objects),
        stored: bytes(counted.total.bytes),
        is_whole: !is_split,
        is_first: after.is_none(),
        first: here(&prefix, ""),
        next: counted.next.map(|key| (here(&prefix, &key), legible(&key))),
        page: visit.page(words.title).for_bucket(asker, &bucket, "space"),
        bucket: name.to_owned(),
        prefix,
    };
    render(&view)
}

/// The way down to a prefix: names and prefixes.
fn steps(prefix: &str) -> Vec<(String, String)> {
    let mut below = String::new();
    let mut steps = Vec::new();
    for part in prefix.split_inclusive('/') {
        below.push_str(part);
        steps.push((legible(part), below.clone()));
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_of_folders() {
        let mut counted = Counted::default();
        for (key, size) in [("a/x/1", 1), ("a/x/2", 2), ("a/y", 4), ("a//z", 8), ("a/", 16)] {
            counted.take("a/", key, size);
        }
        let sum = |objects, bytes| Sum { objects, bytes };
        let folders: Vec<_> = counted.folders.iter().map(|(name, sum)| (name.as_str(), *sum)).collect();
        assert_eq!(folders, [("", sum(1, 8)), ("x", sum(2, 3))]);
        assert_eq!((counted.own, counted.total), (sum(2, 20), sum(5, 31)));
        for at in 0..FOLDERS_MAX + 3 {
            counted.take("a/", &format!("a/{at}/k"), 1);
        }
        assert_eq!((counted.folders.len(), counted.others), (FOLDERS_MAX, sum(5, 5)));
        assert_eq!(steps("a/b"), [("a/".to_owned(), "a/".to_owned()), ("b".to_owned(), "a/b".to_owned())]);
    }
}
