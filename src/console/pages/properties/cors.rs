//! The rules for pages of other origins: what they are, a form for a further one, and what they say to a request.

use askama::Template;
use myfsio_actors::bucket_config::{Cors, CorsRule, CrossOrigin};

use super::change::remove;
use super::{begin, revision, saved};
use crate::console::failure::Failure;
use crate::console::layout::Page;
use crate::console::links;
use crate::console::route::Outcome;
use crate::console::visit::{Visit, render};
use crate::within::XmlWriter;

/// The page of this screen.
const PAGE: &str = "cors";
/// Methods that a rule may allow (S3 API Reference, CORSRule).
const METHODS: [&str; 5] = ["GET", "HEAD", "PUT", "POST", "DELETE"];

#[derive(Template)]
#[template(path = "properties/cors.html")]
struct CorsPage {
    page: Page,
    bucket: String,
    rules: Vec<RuleRow>,
    methods: [&'static str; 5],
    origin: String,
    method: String,
    headers: String,
    verdict: Option<Verdict>,
    revision: String,
    may_change: bool,
}

struct RuleRow {
    at: usize,
    id: String,
    origins: Vec<String>,
    methods: String,
    headers: Vec<String>,
    exposes: Vec<String>,
    age: String,
    is_open: bool,
}

struct Verdict {
    is_allowed: bool,
    rule: String,
}

pub(super) async fn show(visit: Visit) -> Outcome {
    let bucket = visit.bucket().await?;
    let asker = visit.asker()?;
    asker.ask("s3:GetBucketCORS", &bucket).await?;
    let cors = bucket.config.cors.clone().unwrap_or_default();
    let name = bucket.name.as_str();
    let verdict = verdict(&visit, &cors);
    let method = visit.query.text("method");
    let view = CorsPage {
        rules: cors.rules.iter().enumerate().map(row).collect(),
        methods: METHODS,
        origin: visit.query.text("origin").to_owned(),
        method: if method.is_empty() { "GET".to_owned() } else { method.to_owned() },
        headers: visit.query.text("headers").to_owned(),
        verdict,
        revision: revision(&bucket, "cors"),
        may_change: asker.may("s3:PutBucketCORS", Some(&bucket), None),
        page: visit
            .page(visit.t.properties.cors)
            .for_bucket(asker, &bucket, "properties")
            .crumb(visit.t.properties.title, links::bucket(name, "properties")),
        bucket: name.to_owned(),
    };
    render(&view)
}

/// What the rules say to the request that the page is asked about; the node asks them in the same way.
fn verdict(visit: &Visit, cors: &Cors) -> Option<Verdict> {
    let origin = visit.query.filled("origin")?;
    let headers = visit.query.filled("headers");
    let found = cors.rule_for(&CrossOrigin { origin, method: visit.query.text("method"), headers });
    let number = found.and_then(|found| cors.rules.iter().position(|rule| std::ptr::eq(rule, found)));
    let rule = found.and_then(|rule| rule.id.clone()).or_else(|| number.map(|at| (at + 1).to_string()));
    Some(Verdict { is_allowed: found.is_some(), rule: rule.unwrap_or_default() })
}

fn row((at, rule): (usize, &CorsRule)) -> RuleRow {
    RuleRow {
        at,
        id: rule.id.clone().unwrap_or_else(|| (at + 1).to_string()),
        origins: rule.allowed_origins.clone(),
        methods: rule.allowed_methods.join(", "),
        headers: rule.allowed_headers.clone(),
        exposes: rule.expose_headers.clone(),
        age: rule.max_age_seconds.map(|seconds| format!("{seconds} s")).unwrap_or_default(),
        is_open: rule.allows_every_origin(),
    }
}

/// Adds a rule, behind those that are there.
pub(super) async fn add(visit: Visit) -> Outcome {
    let (bucket, asker) = begin(&visit, "s3:PutBucketCORS", "cors").await?;
    let form = &visit.form;
    let lines = |name| -> Vec<String> {
        form.text(name).split([',', '\n']).map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
    };
    let age = form.number("max_age")?.map(u32::try_from).transpose();
    let rule = CorsRule {
        id: form.filled("id").map(str::to_owned),
        allowed_origins: lines("origins"),
        allowed_methods: form.all("method").filter(|method| METHODS.contains(method)).map(str::to_owned).collect(),
        allowed_headers: lines("headers"),
        expose_headers: lines("exposes"),
        max_age_seconds: age.map_err(|_| Failure::input(visit.t.access.age_wrong))?,
    };
    if rule.allowed_origins.is_empty() || rule.allowed_methods.is_empty() {
        return Err(Failure::input(visit.t.access.rule_empty));
    }
    let known = bucket.config.cors.as_ref().map(|cors| cors.rules.as_slice()).unwrap_or_default();
    let document = document(known.iter().chain([&rule]));
    asker.put_document(&bucket.name, "cors", &document).await?;
    saved(&visit, &bucket, PAGE)
}

/// Removes a rule; with the last one, the configuration.
pub(super) async fn remove_rule(visit: Visit) -> Outcome {
    let (bucket, asker) = begin(&visit, "s3:PutBucketCORS", "cors").await?;
    let at = visit.form.number("at")?.and_then(|at| usize::try_from(at).ok());
    let known = bucket.config.cors.as_ref().map(|cors| cors.rules.as_slice()).unwrap_or_default();
    let left: Vec<_> = known.iter().enumerate().filter(|(place, _)| Some(*place) != at).map(|(_, rule)| rule).collect();
    match left.is_empty() {
        true => remove(&asker, &bucket.name, "cors").await?,
        false => asker.put_document(&bucket.name, "cors", &document(left)).await?,
    }
    saved(&visit, &bucket, PAGE)
}

fn document<'a>(rules: impl IntoIterator<Item = &'a CorsRule>) -> String {
    let mut document = XmlWriter::new("CORSConfiguration");
    for rule in rules {
        document.open("CORSRule").text_if("ID", rule.id.as_deref());
        for (element, texts) in [
            ("AllowedOrigin", &rule.allowed_origins),
            ("AllowedMethod", &rule.allowed_methods),
            ("AllowedHeader", &rule.allowed_headers),
            ("ExposeHeader", &rule.expose_headers),
        ] {
            for text in texts {
                document.text(element, text);
            }
        }
        if let Some(seconds) = rule.max_age_seconds {
            document.value("MaxAgeSeconds", seconds);
        }
        document.close();
    }
    document.finish()
}
