//! Whoever has signed in: who that is, its access keys and a new secret, and its sessions; for administrators those of everybody.
//!
//! INVARIANT: nobody is told or may change here what the routes of users do not let it.

use actix_web::http::Method;
use askama::Template;
use serde_json::json;

use super::iam::{Used, User, rotate_own, route, status};
use crate::console::agent;
use crate::console::failure::Failure;
use crate::console::layout::Page;
use crate::console::links;
use crate::console::notice::Notice;
use crate::console::route::{ADMINS, Outcome, Row, SIGNED_IN};
use crate::console::store::Session;
use crate::console::units::{When, count, lasting, legible};
use crate::console::visit::{Visit, read, render};
use crate::within::Asker;

/// Routes.
pub const ROWS: &[Row] = &[
    Row::get("/ui/account", SIGNED_IN, |visit| Box::pin(show(visit))),
    Row::post("/ui/account/rotate", ADMINS, |visit| Box::pin(rotate_own(visit))).tested_by("access_key=none"),
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

/// Who has signed in.
struct Own {
    name: String,
    arn: String,
    account_id: String,
    /// The key that it signed in with.
    access_key: String,
    /// All of its keys, where it may know them.
    keys: Vec<KeyRow>,
    may_rotate: bool,
    /// Address of what it may do, where it may know that, without the base.
    permissions: Option<String>,
}

struct KeyRow {
    access_key: String,
    word: &'static str,
    tone: &'static str,
    created: Option<When>,
    expires: Option<When>,
    used: Used,
}

#[derive(Template)]
#[template(path = "account/account.html")]
struct AccountPage {
    page: Page,
    /// None where the sessions are everybody's.
    own: Option<Own>,
    rows: Vec<SessionRow>,
    /// Whether they are everybody's.
    is_everybodys: bool,
    /// How many more there are than are shown.
    more: String,
    is_admin: bool,
}

async fn show(visit: Visit) -> Outcome {
    let who = visit.signed_in.as_ref().ok_or(Failure::SignedOut)?;
    let sessions = visit.console.sessions.of_key(&who.session.access_key);
    let view = AccountPage {
        own: Some(own(&visit, &who.asker).await?),
        rows: rows(&visit, sessions),
        is_everybodys: false,
        more: String::new(),
        is_admin: who.asker.is_administrator(),
        page: visit.page(visit.t.account.title),
    };
    render(&view)
}

async fn own(visit: &Visit, asker: &Asker) -> Result<Own, Failure> {
    let who = asker.principal();
    let id = who.user_id.as_str();
    let user: Option<User> = match asker.may_see_itself() {
        true => Some(read(asker.json(Method::GET, &route(id, &[]), None).await?)?),
        false => None,
    };
    let keys = user.iter().flat_map(|user| &user.access_keys).map(|key| {
        let (word, tone) = status(visit, key.enabled, key.expires_at.as_deref());
        KeyRow {
            access_key: key.access_key.clone(),
            word,
            tone,
            created: key.created_at.as_deref().map(When::told),
            expires: key.expires_at.as_deref().map(When::told),
            used: Used::of(visit, key.last_used.iter()),
        }
    });
    Ok(Own {
        name: legible(&who.display_name),
        arn: legible(&who.arn()),
        account_id: who.account_id.clone(),
        access_key: who.access_key.as_str().to_owned(),
        keys: keys.collect(),
        may_rotate: asker.may_rotate_its_key(),
        permissions: asker.is_administrator().then(|| links::link(&["iam", id, "permissions"], &[])),
    })
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
        own: None,
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
