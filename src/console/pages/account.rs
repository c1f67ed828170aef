//! One's own sessions.

use askama::Template;

use crate::console::agent;
use crate::console::failure::Failure;
use crate::console::layout::Page;
use crate::console::notice::Notice;
use crate::console::route::{Outcome, Row, SIGNED_IN};
use crate::console::store::Session;
use crate::console::units::{When, lasting, legible};
use crate::console::visit::{Visit, render};

/// Routes.
pub const ROWS: &[Row] = &[
    Row::get("/ui/account", SIGNED_IN, |visit| Box::pin(async { show(visit) })),
    Row::post("/ui/account/end", SIGNED_IN, |visit| Box::pin(async { end(visit) })).tested_by("session=none"),
    Row::post("/ui/account/end-all", SIGNED_IN, |visit| Box::pin(async { end_all(visit) })),
];

struct SessionRow {
    handle: String,
    /// In short, and as it stood in its requests.
    agent: String,
    whole_agent: String,
    address: String,
    began: When,
    idle: String,
    is_this: bool,
}

#[derive(Template)]
#[template(path = "account/account.html")]
struct AccountPage {
    page: Page,
    rows: Vec<SessionRow>,
}

fn show(visit: Visit) -> Outcome {
    let who = visit.signed_in.as_ref().ok_or(Failure::SignedOut)?;
    let now = visit.console.node.clock.now().seconds();
    let sessions = visit.console.sessions.of_key(&who.session.access_key);
    let row = |session: Session| SessionRow {
        agent: legible(&agent::name(&session.agent)),
        whole_agent: legible(&session.agent),
        address: session.address.clone(),
        began: When::of_seconds(session.began),
        idle: lasting(now.saturating_sub(session.seen)),
        is_this: session.handle() == who.session.handle(),
        handle: session.handle().to_owned(),
    };
    let view = AccountPage { rows: sessions.into_iter().map(row).collect(), page: visit.page(visit.t.account.title) };
    render(&view)
}

/// Ends one of one's own sessions.
fn end(visit: Visit) -> Outcome {
    let who = visit.signed_in.as_ref().ok_or(Failure::SignedOut)?;
    let handle = visit.form.text("session");
    let own = visit.console.sessions.of_key(&who.session.access_key);
    if own.iter().any(|session| session.handle() == handle) {
        visit.console.sessions.end(handle);
    }
    visit.done(Notice::good(visit.t.account.ended), "/ui/account")
}

fn end_all(visit: Visit) -> Outcome {
    let who = visit.signed_in.as_ref().ok_or(Failure::SignedOut)?;
    visit.console.sessions.end_all(&who.session.access_key);
    visit.go_to("/ui/login?signed_out=1")
}
