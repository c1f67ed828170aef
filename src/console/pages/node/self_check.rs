//! Whether the node is deployed as it should be.

use actix_web::http::Method;
use askama::Template;
use serde::Deserialize;

use crate::console::layout::Page;
use crate::console::route::Outcome;
use crate::console::text::NodePages;
use crate::console::units::legible;
use crate::console::visit::{Visit, read, render};

#[derive(Deserialize)]
struct Told {
    verdict: String,
    checks: Vec<Check>,
}

#[derive(Deserialize)]
struct Check {
    id: String,
    title: String,
    verdict: String,
    found: String,
    advice: String,
}

#[derive(Template)]
#[template(path = "node/self_check.html")]
struct SelfCheckPage {
    page: Page,
    summary: &'static str,
    tone: &'static str,
    checks: Vec<CheckView>,
}

struct CheckView {
    id: String,
    title: String,
    word: &'static str,
    tone: &'static str,
    icon: &'static str,
    found: String,
    advice: String,
}

/// Word, tone and icon of a verdict.
fn shown(words: &'static NodePages, verdict: &str) -> (&'static str, &'static str, &'static str) {
    match verdict {
        "good" => (words.good, "good", "check"),
        "note" => (words.note, "accent", "info"),
        "warn" => (words.warn, "warn", "warn"),
        _ => (words.bad, "bad", "warn"),
    }
}

/// The page. What is worst stands first.
pub async fn show(visit: Visit) -> Outcome {
    let words = &visit.t.node;
    let mut told: Told = read(visit.asker()?.json(Method::GET, "/_myfsio/self-check", None).await?)?;
    let rank = |verdict: &str| ["bad", "warn", "note"].iter().position(|known| *known == verdict).unwrap_or(3);
    told.checks.sort_by_key(|check| rank(&check.verdict));
    let summary = match told.verdict.as_str() {
        "good" => words.summary_good,
        "note" => words.summary_note,
        "warn" => words.summary_warn,
        _ => words.summary_bad,
    };
    let view = |check: Check| {
        let (word, tone, icon) = shown(words, &check.verdict);
        let Check { id, title, found, advice, .. } = check;
        CheckView { id, title, word, tone, icon, found: legible(&found), advice }
    };
    let (_, tone, _) = shown(words, &told.verdict);
    let page = SelfCheckPage {
        summary,
        tone,
        checks: told.checks.into_iter().map(view).collect(),
        page: visit.page(words.check_title),
    };
    render(&page)
}
