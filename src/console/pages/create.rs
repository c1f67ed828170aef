//! A new bucket with what is best set from its beginning. The form is read as a whole before anything is done. What CreateBucket takes
//! comes to be in one step; where a later step is refused, the new bucket, which nobody has written to yet, is removed again. Where
//! even that is refused, the page says what was done and what was not.

use actix_web::http::Method;
use askama::Template;
use myfsio_actors::bucket_config::QuotaLimits;
use myfsio_actors::names::BucketName;

use super::buckets::parse_name;
use super::properties::change::put_quota;
use super::properties::show::{Key, keys};
use super::properties::written;
use crate::console::failure::Failure;
use crate::console::layout::Page;
use crate::console::links;
use crate::console::notice::Notice;
use crate::console::route::{ADMINS, Outcome, Row, SIGNED_IN};
use crate::console::visit::{Visit, render};
use crate::within::{Asker, Refusal, Wish, XmlWriter, body};

/// Routes.
pub const ROWS: &[Row] = &[
    Row::get("/ui/buckets/create", SIGNED_IN, |visit| Box::pin(show(visit))),
    Row::post("/ui/buckets", ADMINS, |visit| Box::pin(create(visit))).tested_by("name=matrix-new"),
];

#[derive(Template)]
#[template(path = "buckets/create.html")]
struct CreatePage {
    page: Page,
    may_create: bool,
    may_limit: bool,
    keys: Vec<Key>,
}

async fn show(visit: Visit) -> Outcome {
    let asker = visit.asker()?;
    let may_create = asker.may("s3:CreateBucket", None, None);
    let view = CreatePage {
        keys: if may_create { keys(asker, "").await } else { Vec::new() },
        may_create,
        may_limit: asker.is_administrator(),
        page: visit.page(visit.t.buckets.create).crumb(visit.t.buckets.title, "/ui/buckets"),
    };
    render(&view)
}

/// What is set of a bucket once it is there.
enum Setting {
    /// A document: the name of its part, and what it says.
    Document(&'static str, String),
    Quota(QuotaLimits),
}

/// What is to be done.
struct Plan {
    /// What CreateBucket is told.
    document: String,
    locks: bool,
    /// The steps behind it, and what they are called.
    steps: Vec<(&'static str, Setting)>,
}

impl Plan {
    /// Reads the form. Errs: what it says cannot be.
    fn read(visit: &Visit) -> Result<Self, Failure> {
        let (form, words) = (&visit.form, &visit.t.properties);
        let tags = written::tags(form, words)?;
        let mut document = XmlWriter::new("CreateBucketConfiguration");
        if !tags.is_empty() {
            document.open("Tags");
            written::write_tags(&mut document, &tags);
            document.close();
        }
        let locks = form.is_on("lock");
        let mut steps = Vec::new();
        if form.is_on("versioning") && !locks {
            // Object Lock brings it along.
            steps.push((words.versioning, Setting::Document("versioning", written::versioning("Enabled"))));
        }
        if !matches!(form.text("algorithm"), "" | "none") {
            steps.push((words.encryption, Setting::Document("encryption", written::encryption(form, None))));
        }
        let retains = !matches!(form.text("mode"), "" | "none");
        if retains && !locks {
            return Err(Failure::input(visit.t.buckets.retention_without_lock));
        }
        if retains {
            steps.push((words.lock, Setting::Document("object-lock", written::object_lock(form, words)?)));
        }
        let limits = written::limits(form, words)?;
        if !limits.is_unlimited() {
            steps.push((words.quota, Setting::Quota(limits)));
        }
        let document = if tags.is_empty() { String::new() } else { document.finish() };
        Ok(Self { document, locks, steps })
    }
}

async fn create(visit: Visit) -> Outcome {
    let asker = visit.asker()?;
    let words = &visit.t.buckets;
    let name = parse_name(visit.form.text("name"))?;
    let plan = Plan::read(&visit)?;
    let before = asker.known_bucket(&name).ok().map(|bucket| bucket.id);
    make(asker, &name, &plan).await?;
    if before.is_some_and(|before| asker.known_bucket(&name).is_ok_and(|bucket| bucket.id == before)) {
        // S3 lets owners create what they have. It is not new, so nothing may be set of it here, let alone removed.
        return Err(Failure::Overtaken(format!("{name} {}", words.create_there)));
    }
    for (at, (word, setting)) in plan.steps.iter().enumerate() {
        if let Err(failure) = set(asker, &name, setting).await {
            let done: Vec<_> = plan.steps.iter().take(at).map(|(word, _)| *word).collect();
            return Err(undone(&visit, &name, &done, word, failure).await);
        }
    }
    visit.done(Notice::good(format!("{name} {}", words.created_one)), &links::bucket(name.as_str(), "browse"))
}

/// Errs: as CreateBucket.
async fn make(asker: &Asker, name: &BucketName, plan: &Plan) -> Result<(), Failure> {
    let length = plan.document.len().to_string();
    let mut headers = vec![("content-length", length.as_str())];
    if plan.locks {
        headers.push(("x-amz-bucket-object-lock-enabled", "true"));
    }
    let payload = (!plan.document.is_empty()).then(|| body(plan.document.clone()));
    let wish = Wish { method: Method::PUT, bucket: Some(name), headers: &headers, payload, ..Wish::default() };
    Ok(asker.s3(wish).await.map(drop)?)
}

/// Errs: as the API.
async fn set(asker: &Asker, name: &BucketName, setting: &Setting) -> Result<(), Failure> {
    match setting {
        Setting::Document(part, document) => Ok(asker.put_document(name, part, document).await?),
        Setting::Quota(limits) => put_quota(asker, name, *limits, &[]).await,
    }
}

/// Removes the new bucket again; answers why the step failed, and what is there now.
async fn undone(visit: &Visit, name: &BucketName, done: &[&str], step: &str, failure: Failure) -> Failure {
    let words = &visit.t.buckets;
    let Failure::Refused(refusal) = failure else { return failure };
    let wish = Wish { method: Method::DELETE, bucket: Some(name), ..Wish::default() };
    let removed = match visit.asker() {
        Ok(asker) => asker.s3(wish).await.map(drop),
        Err(failure) => return failure,
    };
    let sentence = |text: &str| text.trim_end_matches('.').to_owned();
    let what = format!("{step} {}: {}.", words.create_step_refused, sentence(&refusal.message));
    let message = match removed {
        Ok(()) => format!("{what} {}", words.create_removed),
        Err(left) => {
            let done = if done.is_empty() { words.create_nothing_else.to_owned() } else { done.join(", ") };
            format!(
                "{what} {name} {}: {} ({}). {}: {done}.",
                words.create_left,
                sentence(&left.message),
                left.code,
                words.create_set
            )
        }
    };
    Refusal { message, ..*refusal }.into()
}
