//! Lifecycle rules: what they are, what they did, what they would do, and a form for a further one.

use actix_web::http::Method;
use askama::Template;
use serde_json::{Map, Value, json};

use super::documents::current;
use super::{begin, change, revision, saved};
use crate::console::failure::Failure;
use crate::console::forms::Fields;
use crate::console::layout::Page;
use crate::console::links;
use crate::console::route::Outcome;
use crate::console::units::{bytes, count};
use crate::console::visit::{Visit, render};
use crate::within::XmlWriter;

/// What ends the document, before which a rule is added.
const END: &str = "</LifecycleConfiguration>";

#[derive(Template)]
#[template(path = "properties/lifecycle.html")]
struct LifecyclePage {
    page: Page,
    bucket: String,
    rules: Vec<RuleRow>,
    runs: Vec<RunRow>,
    foreseen: Option<Foreseen>,
    draft: Draft,
    revision: String,
    may_change: bool,
}

struct RuleRow {
    id: String,
    is_on: bool,
    about: String,
    does: Vec<String>,
}

struct RunRow {
    ended: String,
    removed: String,
    bytes: String,
    failed: u64,
}

struct Foreseen {
    now: Counted,
    later: Counted,
    locked: u64,
    is_partial: bool,
    is_draft: bool,
}

struct Counted {
    count: String,
    bytes: String,
    /// Key, kind and time of some of them.
    sample: Vec<(String, String, String)>,
}

/// What the form for a rule says.
#[derive(Debug, Default)]
struct Draft {
    id: String,
    prefix: String,
    days: Option<u64>,
    noncurrent_days: Option<u64>,
    newer_versions: Option<u64>,
    abort_days: Option<u64>,
    markers: bool,
}

impl Draft {
    fn read(form: &Fields) -> Result<Self, Failure> {
        let newer_versions = form.number("newer_versions")?;
        Ok(Self {
            id: form.text("id").to_owned(),
            prefix: form.raw("prefix").unwrap_or_default().to_owned(),
            days: form.number("days")?,
            // Which of them stay by their number, S3 only lets one say together with days.
            noncurrent_days: form.number("noncurrent_days")?.or(newer_versions.map(|_| 1)),
            newer_versions,
            abort_days: form.number("abort_days")?,
            markers: form.is_on("markers"),
        })
    }

    fn does_nothing(&self) -> bool {
        self.days.is_none() && self.noncurrent_days.is_none() && self.abort_days.is_none() && !self.markers
    }

    /// A number as its field shows it.
    fn shown(number: &Option<u64>) -> String {
        number.map(|number| number.to_string()).unwrap_or_default()
    }

    /// As a document that has it alone.
    fn xml(&self) -> String {
        let mut document = XmlWriter::new("LifecycleConfiguration");
        document.open("Rule");
        document.text_if("ID", Some(self.id.as_str()).filter(|id| !id.is_empty()));
        document.text("Status", "Enabled");
        document.open("Filter").text("Prefix", &self.prefix).close();
        match (self.days, self.markers) {
            (Some(days), _) => drop(document.open("Expiration").value("Days", days).close()),
            (None, true) => drop(document.open("Expiration").value("ExpiredObjectDeleteMarker", true).close()),
            (None, false) => {}
        }
        if let Some(days) = self.noncurrent_days {
            document.open("NoncurrentVersionExpiration").value("NoncurrentDays", days);
            if let Some(newer) = self.newer_versions {
                document.value("NewerNoncurrentVersions", newer);
            }
            document.close();
        }
        if let Some(days) = self.abort_days {
            document.open("AbortIncompleteMultipartUpload").value("DaysAfterInitiation", days).close();
        }
        document.finish()
    }

    /// The same as the preview takes it.
    fn json(&self) -> Value {
        let mut rule = Map::new();
        rule.insert("ID".to_owned(), json!(if self.id.is_empty() { "draft" } else { &self.id }));
        rule.insert("Status".to_owned(), json!("Enabled"));
        rule.insert("Filter".to_owned(), json!({ "Prefix": self.prefix }));
        match (self.days, self.markers) {
            (Some(days), _) => drop(rule.insert("Expiration".to_owned(), json!({ "Days": days }))),
            (None, true) => {
                rule.insert("Expiration".to_owned(), json!({ "ExpiredObjectDeleteMarker": true }));
            }
            (None, false) => {}
        }
        if let Some(days) = self.noncurrent_days {
            let mut noncurrent = json!({ "NoncurrentDays": days });
            if let (Some(newer), Value::Object(fields)) = (self.newer_versions, &mut noncurrent) {
                fields.insert("NewerNoncurrentVersions".to_owned(), json!(newer));
            }
            rule.insert("NoncurrentVersionExpiration".to_owned(), noncurrent);
        }
        if let Some(days) = self.abort_days {
            rule.insert("AbortIncompleteMultipartUpload".to_owned(), json!({ "DaysAfterInitiation": days }));
        }
        json!({ "Rules": [rule] })
    }
}

pub(super) async fn show(visit: Visit) -> Outcome {
    page(&visit, None, Draft::default()).await
}

/// What the rules in force, or the one in the form, would remove.
pub(super) async fn foresee(visit: Visit) -> Outcome {
    let bucket = visit.bucket().await?;
    let draft = Draft::read(&visit.form)?;
    let is_draft = visit.form.text("of") == "draft";
    if is_draft && draft.does_nothing() {
        visit.asker()?.ask("s3:PutLifecycleConfiguration", &bucket).await?;
        return Err(Failure::input(visit.t.properties.rule_empty));
    }
    let address = format!("/_myfsio/buckets/{}/lifecycle/preview", bucket.name);
    let document = is_draft.then(|| draft.json());
    let told = visit.asker()?.json(Method::POST, &address, document.as_ref()).await?;
    let foreseen = Foreseen {
        now: counted(told.get("now")),
        later: counted(told.get("next_30_days")),
        locked: number(&told, "locked"),
        is_partial: told.get("is_partial").and_then(Value::as_bool).unwrap_or_default(),
        is_draft,
    };
    page(&visit, Some(foreseen), draft).await
}

async fn page(visit: &Visit, foreseen: Option<Foreseen>, draft: Draft) -> Outcome {
    let bucket = visit.bucket().await?;
    let asker = visit.asker()?;
    let told = asker.json(Method::GET, &format!("/_myfsio/buckets/{}/lifecycle", bucket.name), None).await?;
    let name = bucket.name.as_str();
    let all = |field: &str| told.get(field).and_then(Value::as_array).cloned().unwrap_or_default();
    let view = LifecyclePage {
        bucket: name.to_owned(),
        rules: all("rules").iter().map(|rule| rule_row(visit, rule)).collect(),
        runs: all("runs").iter().map(run_row).collect(),
        foreseen,
        draft,
        revision: revision(&bucket, "lifecycle"),
        may_change: asker.may("s3:PutLifecycleConfiguration", Some(&bucket), None),
        page: visit
            .page(visit.t.properties.lifecycle)
            .for_bucket(asker, &bucket, "properties")
            .crumb(visit.t.properties.title, links::bucket(name, "properties")),
    };
    render(&view)
}

fn number(value: &Value, field: &str) -> u64 {
    value.get(field).and_then(Value::as_u64).unwrap_or_default()
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

fn counted(told: Option<&Value>) -> Counted {
    let none = Value::Null;
    let told = told.unwrap_or(&none);
    let sample = told.get("sample").and_then(Value::as_array).cloned().unwrap_or_default();
    let entry = |entry: &Value| {
        (text(entry, "key").to_owned(), text(entry, "kind").replace('_', " "), text(entry, "due").to_owned())
    };
    Counted {
        count: count(number(told, "count")),
        bytes: bytes(number(told, "bytes")),
        sample: sample.iter().map(entry).collect(),
    }
}

fn rule_row(visit: &Visit, rule: &Value) -> RuleRow {
    let t = &visit.t.properties;
    let mut does = Vec::new();
    if let Some(expiration) = rule.get("Expiration") {
        match (expiration.get("Days").and_then(Value::as_u64), expiration.get("Date").and_then(Value::as_str)) {
            (Some(days), _) => does.push(format!("{} {days} {}", t.does_expire, t.days)),
            (None, Some(date)) => does.push(format!("{} {date}", t.does_expire_at)),
            (None, None) => does.push(t.does_markers.to_owned()),
        }
    }
    if let Some(noncurrent) = rule.get("NoncurrentVersionExpiration") {
        let keeps = match number(noncurrent, "NewerNoncurrentVersions") {
            0 => String::new(),
            newer => format!(", {} {newer}", t.does_keep),
        };
        does.push(format!("{} {} {}{keeps}", t.does_noncurrent, number(noncurrent, "NoncurrentDays"), t.days));
    }
    if let Some(abort) = rule.get("AbortIncompleteMultipartUpload") {
        does.push(format!("{} {} {}", t.does_abort, number(abort, "DaysAfterInitiation"), t.days));
    }
    let mut about = Vec::new();
    if !text(rule, "Prefix").is_empty() {
        about.push(format!("{}*", text(rule, "Prefix")));
    }
    for tag in rule.get("Tags").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default() {
        about.push(format!("{}={}", text(tag, "Key"), text(tag, "Value")));
    }
    for (field, sign) in [("ObjectSizeGreaterThan", ">"), ("ObjectSizeLessThan", "<")] {
        if let Some(size) = rule.get(field).and_then(Value::as_u64) {
            about.push(format!("{sign} {}", bytes(size)));
        }
    }
    let about = if about.is_empty() { t.rule_everything.to_owned() } else { about.join(", ") };
    RuleRow { id: text(rule, "ID").to_owned(), is_on: text(rule, "Status") == "Enabled", about, does }
}

fn run_row(run: &Value) -> RunRow {
    let removed = ["objects", "versions", "delete_markers", "uploads"].map(|field| number(run, field)).iter().sum();
    RunRow {
        ended: text(run, "ended").to_owned(),
        removed: count(removed),
        bytes: bytes(number(run, "bytes")),
        failed: number(run, "failed"),
    }
}

pub(super) async fn add(visit: Visit) -> Outcome {
    let (bucket, asker) = begin(&visit, "s3:PutLifecycleConfiguration", "lifecycle").await?;
    let draft = Draft::read(&visit.form)?;
    if draft.does_nothing() {
        return Err(Failure::input(visit.t.properties.rule_empty));
    }
    let alone = draft.xml();
    let document = match current(&asker, &bucket.name, "lifecycle").await? {
        None => alone,
        Some(now) => {
            let rule = rules_of(&alone).into_iter().next().unwrap_or_default();
            let (before, _) = now.rsplit_once(END).ok_or(Failure::Changed)?;
            format!("{before}{rule}{END}")
        }
    };
    asker.put_document(&bucket.name, "lifecycle", &document).await?;
    saved(&visit, &bucket, "lifecycle")
}

pub(super) async fn remove(visit: Visit) -> Outcome {
    let (bucket, asker) = begin(&visit, "s3:PutLifecycleConfiguration", "lifecycle").await?;
    let id = visit.form.raw("id").unwrap_or_default();
    let rules = bucket.config.lifecycle.as_ref().map(|lifecycle| &lifecycle.rules[..]).unwrap_or_default();
    let Some(place) = rules.iter().position(|rule| rule.id == id) else { return Err(Failure::Changed) };
    let now = current(&asker, &bucket.name, "lifecycle").await?.ok_or(Failure::Changed)?;
    let kept: Vec<_> =
        rules_of(&now).into_iter().enumerate().filter(|(at, _)| *at != place).map(|(_, rule)| rule).collect();
    if kept.is_empty() {
        change::remove(&asker, &bucket.name, "lifecycle").await?;
    } else {
        let document = format!("<LifecycleConfiguration>{}{END}", kept.concat());
        asker.put_document(&bucket.name, "lifecycle", &document).await?;
    }
    saved(&visit, &bucket, "lifecycle")
}

/// The rules of a document that the node wrote: it has no element of that name elsewhere, and no `<` in texts.
fn rules_of(document: &str) -> Vec<&str> {
    let mut rules = Vec::new();
    let mut rest = document;
    while let Some((_, behind)) = rest.split_once("<Rule>") {
        let Some((rule, after)) = behind.split_once("</Rule>") else { break };
        let begin = rest.len() - behind.len() - "<Rule>".len();
        let end = begin + "<Rule>".len() + rule.len() + "</Rule>".len();
        rules.extend(rest.get(begin..end));
        rest = after;
    }
    rules
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_told_apart() {
        let document =
            "<LifecycleConfiguration><Rule><ID>a</ID></Rule>\n<Rule><ID>b</ID></Rule></LifecycleConfiguration>";
        assert_eq!(rules_of(document), ["<Rule><ID>a</ID></Rule>", "<Rule><ID>b</ID></Rule>"]);
        assert!(rules_of("<LifecycleConfiguration/>").is_empty());
    }

    #[test]
    fn a_form_is_a_rule() {
        let form =
            Fields::parse("id=a%3Cb&prefix=tmp%2F&days=3&noncurrent_days=5&newer_versions=2&abort_days=7").unwrap();
        let draft = Draft::read(&form).unwrap();
        let xml = draft.xml();
        assert!(xml.contains("<ID>a&lt;b</ID>") && xml.contains("<Prefix>tmp/</Prefix>"), "{xml}");
        assert!(xml.contains("<NoncurrentDays>5</NoncurrentDays><NewerNoncurrentVersions>2<"), "{xml}");
        assert_eq!(draft.json()["Rules"][0]["Expiration"]["Days"], 3);
        assert!(Draft::read(&Fields::default()).unwrap().does_nothing());
        let newer = Draft::read(&Fields::parse("newer_versions=4").unwrap()).unwrap();
        assert_eq!((newer.noncurrent_days, newer.does_nothing()), (Some(1), false));
        assert!(Draft::read(&Fields::parse("days=x").unwrap()).is_err());
    }
}
