//! What takes the space: bytes and objects of each folder below a prefix. What is not counted at once is counted on behind the page,
//! which shows what there is so far.

use askama::Template;
use serde_json::json;

use crate::console::counts::Sum;
use crate::console::layout::Page;
use crate::console::links;
use crate::console::route::{Outcome, Row, SIGNED_IN};
use crate::console::units::{When, bytes, count, legible, percent};
use crate::console::visit::{Visit, json, render};

/// Routes.
pub const ROWS: &[Row] = &[Row::get("/ui/buckets/{bucket}/space", SIGNED_IN, |visit| Box::pin(show(visit)))];

#[derive(Template)]
#[template(path = "browse/space.html")]
struct SpacePage {
    page: Page,
    bucket: String,
    prefix: String,
    steps: Vec<(String, String)>,
    rows: Vec<Entry>,
    /// The same by age.
    ages: Vec<Entry>,
    objects: String,
    stored: String,
    is_whole: bool,
    at: When,
    here: String,
    anew: String,
}

struct Entry {
    name: String,
    address: Option<String>,
    objects: String,
    stored: String,
    share: u8,
}

async fn show(visit: Visit) -> Outcome {
    let bucket = visit.bucket().await?;
    let asker = visit.asker()?;
    let words = &visit.t.space;
    let prefix = visit.query.raw("prefix").unwrap_or_default().to_owned();
    let counting = visit.console.counts.of(asker, &bucket, &prefix, visit.query.is_on("anew")).await?;
    let (sums, is_whole) = counting.watch().await?;
    if visit.wants_json() {
        let status = if is_whole { "done" } else { "running" };
        let (objects, stored) = (count(sums.total.objects), bytes(sums.total.bytes));
        return json(&json!({ "jobs": [{ "id": "count", "status": status, "objects": objects, "stored": stored }] }));
    }
    let name = bucket.name.as_str();
    let here = |prefix: &str| links::link(&["buckets", name, "space"], &[("prefix", prefix)]);
    let entry = |name: String, address, sum: Sum| Entry {
        name,
        address,
        objects: count(sum.objects),
        stored: bytes(sum.bytes),
        share: percent(sum.bytes, sums.total.bytes),
    };
    let mut folders: Vec<_> = sums.folders.iter().collect();
    folders.sort_by(|a, b| b.1.bytes.cmp(&a.1.bytes).then_with(|| a.0.cmp(b.0)));
    let folders = folders
        .into_iter()
        .map(|(folder, sum)| entry(legible(&format!("{folder}/")), Some(here(&format!("{prefix}{folder}/"))), *sum));
    let rest = [(words.own, sums.own), (words.others, sums.others)].into_iter().filter(|(_, sum)| sum.objects > 0);
    let rows = folders.chain(rest.map(|(word, sum)| entry(word.to_owned(), None, sum))).collect();
    let classes = [words.age_day, words.age_week, words.age_month, words.age_quarter, words.age_year, words.age_older];
    let ages = classes.into_iter().zip(sums.ages).map(|(word, sum)| entry(word.to_owned(), None, sum)).collect();
    let view = SpacePage {
        ages,
        steps: steps(&prefix).into_iter().map(|(name, below)| (name, here(&below))).collect(),
        rows,
        objects: count(sums.total.objects),
        stored: bytes(sums.total.bytes),
        is_whole,
        at: When::of(counting.at),
        here: here(&prefix),
        anew: links::link(&["buckets", name, "space"], &[("prefix", &prefix), ("anew", "1")]),
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
    fn the_way_down() {
        assert_eq!(steps("a/b"), [("a/".to_owned(), "a/".to_owned()), ("b".to_owned(), "a/b".to_owned())]);
    }
}
