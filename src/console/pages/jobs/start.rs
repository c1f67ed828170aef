//! Choosing what is done with a selection, and giving the order.

use actix_web::http::Method;
use askama::Template;
use myfsio_actors::storage::{Bucket, Versioning};
use serde_json::{Map, Value, json};

use super::told::Count;
use crate::console::failure::Failure;
use crate::console::forms::Fields;
use crate::console::layout::Page;
use crate::console::links;
use crate::console::notice::Notice;
use crate::console::route::Outcome;
use crate::console::units::legible;
use crate::console::visit::{Visit, read, render};
use crate::within::Asker;

/// What an order would come to, as far as a page has the time to look.
const PREVIEW: &str = "/_myfsio/jobs/preview?milliseconds=30";
/// Items that the page shows by their names.
const SHOWN_MAX: usize = 10;

#[derive(Template)]
#[template(path = "jobs/start.html")]
struct StartPage {
    page: Page,
    bucket: String,
    prefix: String,
    items: Vec<String>,
    shown: Vec<String>,
    more: usize,
    is_whole: bool,
    comes_to: Option<String>,
    versions: Option<String>,
    has_versions: bool,
    can_undo: bool,
    buckets: Vec<String>,
    name: String,
    may: May,
}

/// What is shown; the node decides.
struct May {
    delete: bool,
    delete_versions: bool,
    copy: bool,
    shift: bool,
    tag: bool,
    restore: bool,
}

fn items(fields: &Fields) -> Vec<String> {
    fields.all("item").map(str::to_owned).collect()
}

/// Keys and prefixes: what ends with a slash, and the whole bucket, is one.
fn parted(items: &[String]) -> (Vec<&String>, Vec<&String>) {
    items.iter().partition(|item| !item.is_empty() && !item.ends_with('/'))
}

fn order(action: &str, bucket: &Bucket, items: &[String]) -> Map<String, Value> {
    let (keys, prefixes) = parted(items);
    let order = json!({ "action": action, "bucket": bucket.name.as_str(), "keys": keys, "prefixes": prefixes });
    if let Value::Object(order) = order { order } else { Map::new() }
}

/// What an order would come to; none where the asker may not list it.
pub async fn foresee(asker: &Asker, order: Map<String, Value>) -> Result<Option<Count>, Failure> {
    match asker.json(Method::POST, PREVIEW, Some(&Value::Object(order))).await {
        Ok(told) => read(told).map(Some),
        Err(refusal) if refusal.is_denial => Ok(None),
        Err(refusal) => Err(refusal.into()),
    }
}

/// What deleting these items would come to.
pub async fn foresee_deletion(asker: &Asker, bucket: &Bucket, items: &[String]) -> Result<Option<Count>, Failure> {
    foresee(asker, order("delete", bucket, items)).await
}

/// The page that asks what is to be done.
pub async fn choose(visit: Visit) -> Outcome {
    let bucket = visit.bucket().await?;
    let asker = visit.asker()?;
    let is_selection = visit.head.method == Method::POST;
    let fields = if is_selection { &visit.form } else { &visit.query };
    let mut items = items(fields);
    let prefix = fields.raw("prefix").unwrap_or_default().to_owned();
    if items.is_empty() && is_selection {
        let back = links::browse(bucket.name.as_str(), &prefix);
        return visit.done(Notice::bad(visit.t.browse.nothing_selected), &back);
    }
    if items.is_empty() {
        items.push(String::new());
    }
    let words = &visit.t.jobs;
    let has_versions = bucket.versioning != Versioning::Off;
    let is_whole = items.iter().any(String::is_empty);
    // What a bucket holds as a whole is counted anyway.
    let held = is_whole.then(|| visit.console.node.storage.usage(&bucket));
    let comes_to = match &held {
        Some(held) if held.versions == 0 => Some(Count { objects: held.objects, bytes: held.bytes, is_partial: false }),
        _ => foresee_deletion(asker, &bucket, &items).await?,
    };
    let versions = match &held {
        _ if !has_versions => None,
        Some(held) => Some(Count { objects: held.objects + held.versions, bytes: held.bytes, is_partial: false }),
        None => {
            let mut order = order("delete", &bucket, &items);
            order.insert("versions".to_owned(), true.into());
            foresee(asker, order).await?
        }
    };
    let may = |action| items.iter().any(|item| asker.may(action, Some(&bucket), Some(item)));
    let name = bucket.name.as_str();
    let mut buckets = asker.buckets().await.unwrap_or_default();
    // A bucket cannot be copied into itself.
    buckets.retain(|other| !is_whole || other.name != bucket.name);
    let view = StartPage {
        may: May {
            delete: may("s3:DeleteObject"),
            delete_versions: may("s3:DeleteObjectVersion"),
            copy: may("s3:GetObject") && buckets.iter().any(|other| asker.may("s3:PutObject", Some(other), Some(""))),
            shift: may("s3:DeleteObject"),
            tag: may("s3:PutObjectTagging"),
            restore: has_versions && (may("s3:DeleteObjectVersion") || may("s3:PutObject")),
        },
        page: visit.page(if is_whole { words.start_whole } else { words.start }).for_bucket(asker, &bucket, "browse"),
        shown: items.iter().take(SHOWN_MAX).filter(|item| !item.is_empty()).map(|item| legible(item)).collect(),
        more: items.len().saturating_sub(SHOWN_MAX),
        comes_to: comes_to.map(|count| count.words(words)),
        versions: versions.map(|count| count.words(words)),
        can_undo: bucket.versioning == Versioning::Enabled,
        buckets: buckets.iter().map(|bucket| bucket.name.to_string()).collect(),
        name: renamed(&items).unwrap_or_default(),
        bucket: name.to_owned(),
        prefix,
        items,
        is_whole,
        has_versions,
    };
    render(&view)
}

/// What the one folder of a selection is called: where only that is changed, it is renamed.
fn renamed(items: &[String]) -> Option<String> {
    let [item] = items else { return None };
    item.ends_with('/').then(|| item.clone())
}

/// Gives the order.
pub async fn begin(visit: Visit) -> Outcome {
    let bucket = visit.bucket().await?;
    let asker = visit.asker()?;
    let (words, form) = (&visit.t.jobs, &visit.form);
    let items = items(form);
    if items.is_empty() {
        return Err(Failure::input(visit.t.browse.nothing_selected));
    }
    let action = form.text("do");
    let mut order = order(action, &bucket, &items);
    let mut set = |name: &str, value: Value| drop(order.insert(name.to_owned(), value));
    let permission = match action {
        "delete" => {
            let versions = form.is_on("versions");
            let can_undo = bucket.versioning == Versioning::Enabled && !versions;
            if !can_undo && form.text("confirm") != bucket.name.as_str() {
                return Err(Failure::input(words.confirm_mismatch));
            }
            set("versions", versions.into());
            set("uploads", form.is_on("uploads").into());
            if versions { "s3:DeleteObjectVersion" } else { "s3:DeleteObject" }
        }
        "copy" | "move" => {
            let (from, to) = way(form, &items);
            set("from", from.into());
            set("to", to.into());
            set("keep_existing", form.is_on("keep_existing").into());
            if let Some(other) = form.filled("to_bucket").filter(|other| *other != bucket.name.as_str()) {
                set("to_bucket", other.into());
            }
            if action == "move" { "s3:DeleteObject" } else { "s3:GetObject" }
        }
        "tag" => {
            set("tags", tags(form.text("tags")));
            set("replace", form.is_on("replace").into());
            "s3:PutObjectTagging"
        }
        "restore" => match form.filled("as_of") {
            Some(at) => {
                // As a field for a time without a zone sends it: UTC is meant.
                let at = if at.len() == 16 { format!("{at}:00Z") } else { at.to_owned() };
                set("as_of", at.into());
                "s3:PutObject"
            }
            None => "s3:DeleteObjectVersion",
        },
        _ => return Err(Failure::NoSuchPage),
    };
    // Told at once, where it is denied for everything; each object is decided again.
    if !items.iter().any(|item| asker.may(permission, Some(&bucket), Some(item))) {
        asker.ask(permission, &bucket).await?;
    }
    let told = asker.json(Method::POST, "/_myfsio/jobs", Some(&Value::Object(order))).await?;
    let id = told.get("id").and_then(Value::as_str).unwrap_or_default();
    visit.go_to(&links::link(&["jobs", id], &[]))
}

/// What copies take from the beginning of their keys, and what they put there: one folder gets the name that is given; of a selection,
/// the folder that it is in.
fn way(form: &Fields, items: &[String]) -> (String, String) {
    let mut to = form.raw("to").unwrap_or_default().trim_start().to_owned();
    if !to.is_empty() && !to.ends_with('/') {
        to.push('/');
    }
    match renamed(items) {
        Some(folder) => (folder, to),
        None => (form.raw("prefix").unwrap_or_default().to_owned(), to),
    }
}

fn tags(text: &str) -> Value {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let pairs = lines.map(|line| line.split_once('=').unwrap_or((line, "")));
    Value::Object(pairs.map(|(name, value)| (name.trim().to_owned(), Value::from(value.trim()))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_of_copies() {
        let form = |text: &str| Fields::parse(text).unwrap();
        let one = vec!["a/b/".to_owned()];
        assert_eq!(way(&form("to=a/c"), &one), ("a/b/".to_owned(), "a/c/".to_owned()));
        let some = vec!["a/x".to_owned(), "a/y/".to_owned()];
        assert_eq!(way(&form("prefix=a/&to=z/"), &some), ("a/".to_owned(), "z/".to_owned()));
        assert_eq!(way(&form("prefix=a/&to="), &some), ("a/".to_owned(), String::new()));
        assert_eq!(tags("a=1\n b = 2 \n\nc"), json!({ "a": "1", "b": "2", "c": "" }));
        let whole = vec![String::new()];
        assert_eq!(parted(&whole), (Vec::<&String>::new(), vec![&whole[0]]));
    }
}
