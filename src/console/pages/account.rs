//! Sessions: one's own, and for administrators those of everybody.

use askama::Template;
use serde_json::json;

use crate::console::agent;
use crate::console::failure::Failure;
use crate::console::layout::Page;
use crate::console::notice::Notice;
use crate::console::route::{ADMINS, Outcome, Row, SIGNED_IN};
use crate::console::store::Session;
use crate::console::units::{When, count, lasting, legible};
use crate::console::visit::{Visit, render};

/// Routes.
pub const ROWS: &[Row] = &[
    Row::get("/ui/account", SIGNED_IN, |visit| Box::pin(async { show(visit) })),
    Row::post("/ui/account/end", SIGNED_IN, |visit| Box::pin(async { end(visit) })).tested_by("session=none"),
    Row::post("/ui/account/end-all", SIGNED_IN, |visit| Box::pin(async { end_all(visit) })),
    Row::get("/ui/sessions", ADMINS, |visit| Box::pin(async { show_all(visit) })),
    Row::post("/ui/sessions/end", ADMINS, |visit| Box::pin(end_anybodys(visit))).tested_by("session=none"),
];

/// Sessions on the page of everybody's.
const ROWS_MAX: usize = 200;

struct SessionRow {
    handle: String,
    /// Whose it is: its name, as far as it is known, and its access key.
    user: String,
    access_key: String,
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
    /// Whether they are everybody's.
    is_everybodys: bool,
    /// How many more there are than are shown.
    more: String,
    is_admin: bool,
}

fn show(visit: Visit) -> Outcome {
    let who = visit.signed_in.as_ref().ok_or(Failure::SignedOut)?;
    let sessions = visit.console.sessions.of_key(&who.session.access_key);
    let view = AccountPage {
        rows: rows(&visit, sessions),
        is_everybodys: false,
        more: String::new(),
        is_admin: who.asker.is_administrator(),
        page: visit.page(visit.t.account.title),
    };
    render(&view)
}

fn rows(visit: &Visit, sessions: Vec<Session>) -> Vec<SessionRow> {
    let node = &visit.console.node;
    let (now, directory) = (node.clock.now().seconds(), node.access.iam.directory());
    let own = visit.signed_in.as_ref().map(|who| who.session.handle());
    let name = |key: &str| {
        let user = directory.user(&key.into()).ok();
        user.map_or_else(String::new, |user| legible(&user.display_name))
    };
    let row = |session: Session| SessionRow {
        user: name(&session.access_key),
        access_key: session.access_key.clone(),
        agent: legible(&agent::name(&session.agent)),
        whole_agent: legible(&session.agent),
        address: session.address.clone(),
        began: When::of_seconds(session.began),
        idle: lasting(now.saturating_sub(session.seen)),
        is_this: own == Some(session.handle()),
        handle: session.handle().to_owned(),
    };
    sessions.into_iter().map(row).collect()
}

/// Everybody's sessions, those that asked last first.
fn show_all(visit: Visit) -> Outcome {
    visit.asker()?.administrators_only()?;
    let mut sessions = visit.console.sessions.all(visit.console.node.clock.now());
    let more = sessions.len().saturating_sub(ROWS_MAX);
    sessions.truncate(ROWS_MAX);
    let view = AccountPage {
        rows: rows(&visit, sessions),
        is_everybodys: true,
        more: if more > 0 { count(more as u64) } else { String::new() },
        is_admin: true,
        page: visit.page(visit.t.account.everybodys).crumb(visit.t.account.title, "/ui/account"),
    };
    render(&view)
}

/// Ends a session of anybody's.
async fn end_anybodys(visit: Visit) -> Outcome {
    let asker = visit.asker()?;
    asker.administrators_only()?;
    let handle = visit.form.text("session");
    let found = visit.console.sessions.all(visit.console.node.clock.now());
    if let Some(session) = found.into_iter().find(|session| session.handle() == handle) {
        visit.console.sessions.end(handle);
        let told = json!({ "access_key": session.access_key, "address": session.address, "browser": session.agent });
        asker.note_deed("myfsio:EndSession", format!("session of {}", session.access_key), &told).await;
    }
    visit.done(Notice::good(visit.t.account.ended), "/ui/sessions")
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
