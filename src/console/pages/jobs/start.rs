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
use crate::console::text::Jobs;
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
    /// Whether the items are all prefixes, and what the keys below them contain.
    is_all: bool,
    query: String,
    /// All that match, in words.
    matching: Option<String>,
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

/// What is to be worked on.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// Keys, and folders that end with a slash; the empty one is the whole bucket.
    items: Vec<String>,
    /// Whether they are all prefixes, whatever they end with.
    is_all: bool,
    /// What keys below the prefixes contain.
    query: String,
}

impl Chosen {
    /// What a form or an address says.
    pub fn of(fields: &Fields) -> Self {
        let items: Vec<_> = fields.all("item").map(str::to_owned).collect();
        let query = fields.text("q");
        // A folder as a whole is one, in whatever way it was chosen.
        let is_all = fields.is_on("all") && (!query.is_empty() || items.iter().any(|item| is_key(item)));
        Self { items, is_all, query: if is_all { query.to_owned() } else { String::new() } }
    }

    /// Each item, and whether it is a prefix.
    pub fn each(&self) -> impl Iterator<Item = (&str, bool)> {
        self.items.iter().map(|item| (item.as_str(), self.is_all || !is_key(item)))
    }

    /// Whether a key below one of the prefixes is meant.
    pub fn wants(&self, prefix: &str, key: &str) -> bool {
        let rest = key.strip_prefix(prefix).unwrap_or(key);
        self.query.is_empty() || rest.to_lowercase().contains(&self.query.to_lowercase())
    }

    /// Keys and prefixes.
    fn parted(&self) -> (Vec<&String>, Vec<&String>) {
        self.items.iter().partition(|item| !self.is_all && is_key(item))
    }

    fn order(&self, action: &str, bucket: &Bucket) -> Map<String, Value> {
        let (keys, prefixes) = self.parted();
        let order = json!({
            "action": action, "bucket": bucket.name.as_str(), "keys": keys, "prefixes": prefixes, "containing": self.query,
        });
        if let Value::Object(order) = order { order } else { Map::new() }
    }

    /// Whether something of the bucket's top is meant as a prefix.
    fn is_from_top(&self) -> bool {
        self.items.iter().any(String::is_empty)
    }

    /// What the one folder of a selection is called: where only that is changed, it is renamed.
    fn renamed(&self) -> Option<String> {
        let [item] = &self.items[..] else { return None };
        (!self.is_all && item.ends_with('/')).then(|| item.clone())
    }

    /// All that match, in words; none where things are named one by one.
    fn matching(&self, words: &Jobs, bucket: &str) -> Option<String> {
        let prefix = self.items.first().filter(|_| self.is_all)?;
        Some(super::told::matching(words, bucket, prefix, &self.query))
    }
}

/// Whether an item is no folder.
fn is_key(item: &str) -> bool {
    !item.is_empty() && !item.ends_with('/')
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
    let chosen = Chosen { items: items.to_vec(), ..Chosen::default() };
    foresee(asker, chosen.order("delete", bucket)).await
}

/// The page that asks what is to be done.
pub async fn choose(visit: Visit) -> Outcome {
    let bucket = visit.bucket().await?;
    let asker = visit.asker()?;
    let is_selection = visit.head.method == Method::POST;
    let fields = if is_selection { &visit.form } else { &visit.query };
    let mut chosen = Chosen::of(fields);
    let prefix = fields.raw("prefix").unwrap_or_default().to_owned();
    if chosen.items.is_empty() && is_selection {
        let back = links::browse(bucket.name.as_str(), &prefix);
        return visit.done(Notice::bad(visit.t.browse.nothing_selected), &back);
    }
    if chosen.items.is_empty() {
        chosen.items.push(String::new());
    }
    let words = &visit.t.jobs;
    let has_versions = bucket.versioning != Versioning::Off;
    let is_whole = chosen.is_from_top() && !chosen.is_all;
    // What a bucket holds as a whole is counted anyway.
    let held = is_whole.then(|| visit.console.node.storage.usage(&bucket));
    let comes_to = match &held {
        Some(held) if held.versions == 0 => Some(Count { objects: held.objects, bytes: held.bytes, is_partial: false }),
        _ => foresee(asker, chosen.order("delete", &bucket)).await?,
    };
    let versions = match &held {
        _ if !has_versions => None,
        Some(held) => Some(Count { objects: held.objects + held.versions, bytes: held.bytes, is_partial: false }),
        None => {
            let mut order = chosen.order("delete", &bucket);
            order.insert("versions".to_owned(), true.into());
            foresee(asker, order).await?
        }
    };
    let may = |action| chosen.items.iter().any(|item| asker.may(action, Some(&bucket), Some(item)));
    let name = bucket.name.as_str();
    let mut buckets = asker.buckets().await.unwrap_or_default();
    // A bucket cannot be copied into itself.
    buckets.retain(|other| !chosen.is_from_top() || other.name != bucket.name);
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
        matching: chosen.matching(words, name),
        shown: chosen.items.iter().take(SHOWN_MAX).filter(|item| !item.is_empty()).map(|item| legible(item)).collect(),
        more: chosen.items.len().saturating_sub(SHOWN_MAX),
        comes_to: comes_to.map(|count| count.words(words)),
        versions: versions.map(|count| count.words(words)),
        can_undo: bucket.versioning == Versioning::Enabled,
        buckets: buckets.iter().map(|bucket| bucket.name.to_string()).collect(),
        name: chosen.renamed().unwrap_or_default(),
        bucket: name.to_owned(),
        prefix,
        items: chosen.items,
        is_all: chosen.is_all,
        query: chosen.query,
        is_whole,
        has_versions,
    };
    render(&view)
}

/// Gives the order.
pub async fn begin(visit: Visit) -> Outcome {
    let bucket = visit.bucket().await?;
    let asker = visit.asker()?;
    let (words, form) = (&visit.t.jobs, &visit.form);
    let chosen = Chosen::of(form);
    if chosen.items.is_empty() {
        return Err(Failure::input(visit.t.browse.nothing_selected));
    }
    let action = form.text("do");
    let mut order = chosen.order(action, &bucket);
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
            let (from, to) = way(form, &chosen);
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
    if !chosen.items.iter().any(|item| asker.may(permission, Some(&bucket), Some(item))) {
        asker.ask(permission, &bucket).await?;
    }
    let told = asker.json(Method::POST, "/_myfsio/jobs", Some(&Value::Object(order))).await?;
    let id = told.get("id").and_then(Value::as_str).unwrap_or_default();
    visit.go_to(&links::link(&["jobs", id], &[]))
}

/// What copies take from the beginning of their keys, and what they put there: one folder gets the name that is given; of a selection,
/// the folder that it is in.
fn way(form: &Fields, chosen: &Chosen) -> (String, String) {
    let mut to = form.raw("to").unwrap_or_default().trim_start().to_owned();
    if !to.is_empty() && !to.ends_with('/') {
        to.push('/');
    }
    match chosen.renamed() {
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
        let way = |text: &str| {
            let form = Fields::parse(text).unwrap();
            way(&form, &Chosen::of(&form))
        };
        assert_eq!(way("item=a/b/&to=a/c"), ("a/b/".to_owned(), "a/c/".to_owned()));
        let some = "item=a/x&item=a/y/&prefix=a/";
        assert_eq!(way(&format!("{some}&to=z/")), ("a/".to_owned(), "z/".to_owned()));
        assert_eq!(way(&format!("{some}&to=")), ("a/".to_owned(), String::new()));
        assert_eq!(way("item=a/&all=1&q=x&prefix=a/&to=z"), ("a/".to_owned(), "z/".to_owned()), "no folder is renamed");
        assert_eq!(tags("a=1\n b = 2 \n\nc"), json!({ "a": "1", "b": "2", "c": "" }));
    }

    #[test]
    fn what_is_chosen() {
        let parted = |text: &str| {
            let chosen = Chosen::of(&Fields::parse(text).unwrap());
            let (keys, prefixes) = chosen.parted();
            (keys.len(), prefixes.len(), chosen.is_all, chosen.query.clone())
        };
        assert_eq!(parted("item="), (0, 1, false, String::new()), "the whole bucket");
        assert_eq!(parted("item=a/x&item=a/y/&q=z"), (1, 1, false, String::new()));
        assert_eq!(parted("item=a/x&all=1"), (0, 1, true, String::new()), "what begins so");
        assert_eq!(parted("item=&all=1&q=z"), (0, 1, true, "z".to_owned()));
        assert_eq!(parted("item=a/&all=1"), (0, 1, false, String::new()), "a folder is a folder");
    }
}
