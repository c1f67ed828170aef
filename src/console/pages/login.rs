//! Signing in and out, and how pages look: colours and the zone of times, which need no session.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderMap, HeaderValue, SET_COOKIE, USER_AGENT};
use askama::Template;

use crate::console::cookies::Kind;
use crate::console::csrf::Token;
use crate::console::layout::Page;
use crate::console::links::safe_next;
use crate::console::route::{ANYONE, Outcome, Row, SIGNED_IN};
use crate::console::store::{Beginning, random_id};
use crate::console::visit::{Visit, render_with};
use crate::within::{self, Refusal};

/// Routes.
pub const ROWS: &[Row] = &[
    Row::get("/ui/login", ANYONE, |visit| Box::pin(async { show(visit) })),
    Row::post("/ui/login", ANYONE, |visit| Box::pin(sign_in(visit))).tested_by("access_key=none&secret_key=none"),
    Row::post("/ui/logout", SIGNED_IN, |visit| Box::pin(async { sign_out(visit) })),
    Row::post("/ui/theme", ANYONE, |visit| Box::pin(async { choose_theme(visit) })).tested_by("theme=dark"),
    Row::post("/ui/zone", ANYONE, |visit| Box::pin(async { choose_zone(visit) })).tested_by("zone=local"),
];

/// How long a log-in form is good for, in seconds.
const FORM_SECONDS: u64 = 60 * 60;
/// How long it is remembered how pages are to look, in seconds.
const LOOKS_SECONDS: u64 = 365 * 24 * 60 * 60;

#[derive(Template)]
#[template(path = "login/login.html")]
struct LoginPage {
    page: Page,
    problem: String,
    told: &'static str,
    token: String,
    next: String,
    access_key: String,
    secure: bool,
}

fn show(visit: Visit) -> Outcome {
    let next = safe_next(visit.query.text("next")).to_owned();
    if visit.signed_in.is_some() {
        return visit.go_to(&next);
    }
    let told = if visit.query.is_on("signed_out") { visit.t.login.signed_out } else { "" };
    form(&visit, StatusCode::OK, String::new(), told, next, String::new())
}

/// The form. Each has a secret of its own, which a cookie brings back: nobody can make others sign in as somebody else.
fn form(
    visit: &Visit,
    status: StatusCode,
    problem: String,
    told: &'static str,
    next: String,
    access_key: String,
) -> Outcome {
    let secret = random_id().map_err(|_| Refusal::invalid("The system has no random numbers."))?;
    let mut page = visit.page(visit.t.login.title);
    page.user = None;
    // What goes over the machine's own loopback, nobody reads on the way.
    let is_local = visit.head.peer_addr.is_some_and(|peer| peer.ip().to_canonical().is_loopback());
    let secure = visit.secure || is_local;
    let view = LoginPage { page, problem, told, token: Token::of(&secret).masked(), next, access_key, secure };
    let mut response = render_with(status, &view)?;
    add_cookie(response.headers_mut(), &visit.jar().set(Kind::SigningIn, &secret, Some(FORM_SECONDS)));
    Ok(response)
}

async fn sign_in(visit: Visit) -> Outcome {
    let words = &visit.t.login;
    let next = safe_next(visit.form.text("next")).to_owned();
    let access_key = visit.form.text("access_key").to_owned();
    let secret = visit.form.raw("secret_key").unwrap_or_default().to_owned();
    let token = visit.form.raw("csrf").unwrap_or_default();
    let is_ours = visit.jar().get(&visit.head, Kind::SigningIn).is_some_and(|secret| Token::of(secret).is(token));
    if !is_ours {
        return form(&visit, StatusCode::FORBIDDEN, words.old.to_owned(), "", next, access_key);
    }
    let node = &visit.console.node;
    let identity = match within::sign_in(node, &visit.head, &access_key, &secret).await {
        Ok(identity) => identity,
        Err(refusal) => {
            tracing::info!(access_key = %access_key.escape_debug(), code = refusal.code, "a log-in was refused");
            let (status, problem) = told(&visit, &refusal);
            return form(&visit, status, problem, "", next, access_key);
        }
    };
    if let Some(before) = &visit.signed_in {
        visit.console.sessions.end(before.session.handle());
    }
    let address = within::client_of(node, &visit.head).map(|address| address.to_string()).unwrap_or_default();
    let agent = visit.head.headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    let beginning = Beginning { access_key: &identity.principal.access_key, address, agent: agent.to_owned() };
    let begun = visit.console.sessions.begin(&beginning, |id| identity.mark(id), node.clock.now());
    let id = begun.map_err(|_| Refusal::invalid("The system has no random numbers."))?;
    let jar = visit.jar();
    let mut response = visit.go_to(&next)?;
    add_cookie(response.headers_mut(), &jar.set(Kind::Session, &id, None));
    add_cookie(response.headers_mut(), &jar.set(Kind::SigningIn, "", Some(0)));
    Ok(response)
}

/// How a refused log-in is told: whether key or secret is wrong, nobody learns.
fn told(visit: &Visit, refusal: &Refusal) -> (StatusCode, String) {
    let words = &visit.t.login;
    let until = refusal.fields.iter().find(|(name, _)| *name == "Until").map(|(_, value)| value.as_str());
    match (refusal.code, until) {
        ("TooManyLoginAttempts", Some(until)) => (StatusCode::TOO_MANY_REQUESTS, format!("{} {until}.", words.locked)),
        _ if refusal.status.is_server_error() => (StatusCode::SERVICE_UNAVAILABLE, words.busy.to_owned()),
        _ if refusal.message.contains("well-known") => (StatusCode::FORBIDDEN, words.well_known.to_owned()),
        _ => (StatusCode::FORBIDDEN, words.wrong.to_owned()),
    }
}

fn sign_out(visit: Visit) -> Outcome {
    if let Some(who) = &visit.signed_in {
        visit.console.sessions.end(who.session.handle());
    }
    let mut response = visit.go_to("/ui/login?signed_out=1")?;
    add_cookie(response.headers_mut(), &visit.jar().set(Kind::Session, "", Some(0)));
    // What the browser keeps of pages goes, too.
    let clear = HeaderValue::from_static("\"cache\"");
    response.headers_mut().insert(actix_web::http::header::HeaderName::from_static("clear-site-data"), clear);
    Ok(response)
}

fn choose_theme(visit: Visit) -> Outcome {
    let theme = match visit.form.text("theme") {
        "light" => "light",
        "dark" => "dark",
        _ => "auto",
    };
    remember(&visit, Kind::Theme, theme)
}

fn choose_zone(visit: Visit) -> Outcome {
    let zone = if visit.form.text("zone") == "local" { "local" } else { "utc" };
    remember(&visit, Kind::Zone, zone)
}

/// Keeps in the browser how pages are to look, and goes back to where it was chosen.
fn remember(visit: &Visit, kind: Kind, choice: &str) -> Outcome {
    let mut response: HttpResponse = visit.go_to(safe_next(visit.form.text("next")))?;
    add_cookie(response.headers_mut(), &visit.jar().set(kind, choice, Some(LOOKS_SECONDS)));
    Ok(response)
}

fn add_cookie(headers: &mut HeaderMap, cookie: &str) {
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        headers.append(SET_COOKIE, cookie);
    }
}
