//! One request to a page, and what a page does with it.

use std::sync::Arc;

use actix_http::{Payload, RequestHead};
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION};
use myfsio_actors::names::{ObjectKey, VersionId};
use myfsio_actors::storage::Bucket;

use super::cookies::{Jar, Kind};
use super::csrf::Token;
use super::failure::Failure;
use super::forms::Fields;
use super::help;
use super::layout::{Page, UserView, navigation};
use super::notice::Notice;
use super::route::Outcome;
use super::screens::commands_of;
use super::store::Session;
use super::text::{ENGLISH, Text};
use super::undo::Undo;
use super::units::counted;
use super::{Console, links};
use crate::within::{Asker, Refusal};

/// Somebody who has signed in.
#[derive(Debug, Clone)]
pub struct SignedIn {
    /// As whom pages ask.
    pub asker: Asker,
    /// The session.
    pub session: Session,
    /// The token of its forms.
    pub token: Token,
}

/// A request to a page.
pub struct Visit {
    /// The console.
    pub console: Arc<Console>,
    /// The request's head.
    pub head: RequestHead,
    /// The fields of its query.
    pub query: Fields,
    /// The fields of its form, if it is one.
    pub form: Fields,
    /// Its body, where the page reads it.
    pub payload: Payload,
    /// What stands in the place of the path's parameters.
    pub parameters: Vec<(&'static str, String)>,
    /// Who has signed in.
    pub signed_in: Option<SignedIn>,
    /// The words.
    pub t: &'static Text,
    /// Whether the browser's connection is TLS.
    pub secure: bool,
}

impl Visit {
    /// A parameter of the path.
    pub fn parameter(&self, name: &str) -> &str {
        self.parameters.iter().find(|(found, _)| *found == name).map_or("", |(_, value)| value)
    }

    /// As whom to ask. Errs: nobody has signed in.
    pub fn asker(&self) -> Result<&Asker, Failure> {
        self.signed_in.as_ref().map(|signed_in| &signed_in.asker).ok_or(Failure::SignedOut)
    }

    /// The bucket of the path. Errs: it is not there, or the asker may do nothing with it.
    pub async fn bucket(&self) -> Result<Arc<Bucket>, Failure> {
        Ok(self.asker()?.bucket(self.parameter("bucket")).await?)
    }

    /// The key that a field of the query or the form names. Errs: none, or one that no object can have.
    pub fn key(&self) -> Result<ObjectKey, Failure> {
        let text = self.form.raw("key").or_else(|| self.query.raw("key")).unwrap_or_default();
        parse_key(text)
    }

    /// The version that a field of the query or the form names, if one does. Errs: it is none.
    pub fn version(&self) -> Result<Option<VersionId>, Failure> {
        let text = self.form.filled("version").or_else(|| self.query.filled("version"));
        let refused = |_| Failure::from(Refusal::invalid("This is no version id."));
        text.map(|text| VersionId::parse(text).map_err(refused)).transpose()
    }

    /// Whether a form that the page reads by itself carries the session's token. Errs: it does not.
    pub fn check_token(&self, token: &str) -> Result<(), Failure> {
        let is_ours = self.signed_in.as_ref().is_some_and(|signed_in| signed_in.token.is(token));
        if is_ours { Ok(()) } else { Err(Failure::Forged) }
    }

    /// How cookies are named for this browser.
    pub fn jar(&self) -> Jar {
        Jar::of(&self.head, self.secure)
    }

    /// Whether a script asks, which reads JSON.
    pub fn wants_json(&self) -> bool {
        let accept = self.head.headers.get("accept").and_then(|value| value.to_str().ok());
        accept.is_some_and(|accept| accept.starts_with("application/json"))
    }

    /// What stands around a page. Takes the notices that wait.
    pub fn page(&self, title: impl Into<String>) -> Page {
        let console = &self.console;
        let path = self.head.uri.path();
        let here = self.head.uri.path_and_query().map_or("/ui", |target| target.as_str());
        let theme = match self.jar().get(&self.head, Kind::Theme) {
            Some("light") => "light",
            Some("dark") => "dark",
            _ => "auto",
        };
        let zone = match self.jar().get(&self.head, Kind::Zone) {
            Some("local") => "local",
            _ => "utc",
        };
        let signed_in = self.signed_in.as_ref();
        let endpoint = signed_in.map(|signed_in| signed_in.asker.endpoint()).unwrap_or_default();
        let region = console.node.settings.region.clone();
        let user = signed_in.map(|signed_in| UserView {
            name: signed_in.asker.principal().display_name.clone(),
            access_key: signed_in.session.access_key.clone(),
        });
        Page {
            title: title.into(),
            t: self.t,
            base: console.settings.base().to_owned(),
            assets: console.assets.address(""),
            theme,
            zone,
            version: env!("CARGO_PKG_VERSION"),
            commands: user.as_ref().map(|_| commands_of(&endpoint, &region, path)).unwrap_or_default(),
            help: user.as_ref().and_then(|_| help::of(self.t, path)),
            endpoint,
            region,
            user,
            nav: signed_in.map(|who| navigation(self.t, &who.asker, path)).unwrap_or_default(),
            tabs: Vec::new(),
            crumbs: Vec::new(),
            csrf: signed_in.map(|signed_in| signed_in.token.masked()).unwrap_or_default(),
            notices: signed_in.map(|who| console.sessions.take(who.session.handle())).unwrap_or_default(),
            warnings: signed_in.map(|who| self.warnings(who)).unwrap_or_default(),
            here: links::safe_next(here).to_owned(),
        }
    }

    fn warnings(&self, who: &SignedIn) -> Vec<String> {
        let (node, common) = (&self.console.node, &self.t.common);
        let mut warnings = Vec::new();
        if !who.asker.is_administrator() {
            return warnings;
        }
        if node.access.iam.has_well_known_secret() {
            warnings.push(common.well_known_secret.to_owned());
        }
        let problems = [node.access.iam.problem(), node.access.policy_engine.problem()];
        for problem in problems.into_iter().flatten() {
            warnings.push(format!("{} {problem}", common.broken_file));
        }
        warnings
    }

    /// Leaves a notice for the next page.
    pub fn leave(&self, notice: Notice) {
        if let Some(who) = &self.signed_in {
            self.console.sessions.leave(who.session.handle(), notice);
        }
    }

    /// Leaves a notice that a script's uploads took the place of objects, as one for all of them.
    pub fn leave_replaced(&self, undo: Undo) {
        let words = &self.t.browse;
        let tell = |undo: Undo| {
            Notice::good(counted(undo.count, words.replaced_one, words.replaced_many)).with_undo(Some(undo))
        };
        if let Some(who) = &self.signed_in {
            self.console.sessions.leave_joined(who.session.handle(), undo, tell);
        }
    }

    /// Sends the browser on to another page (RFC 9110, section 15.4.4). `address`: without the base.
    pub fn go_to(&self, address: &str) -> Outcome {
        let location = format!("{}{address}", self.console.settings.base());
        Ok(HttpResponse::SeeOther().insert_header((LOCATION, location)).finish())
    }

    /// The same, with a notice.
    pub fn done(&self, notice: Notice, address: &str) -> Outcome {
        self.leave(notice);
        self.go_to(address)
    }
}

/// A key as it is typed. Errs: none, or one that no object can have.
pub fn parse_key(text: &str) -> Result<ObjectKey, Failure> {
    let refused = |error| Failure::from(Refusal::invalid(format!("No object can have this key: {error}.")));
    ObjectKey::parse(text.as_bytes()).map_err(refused)
}

/// A page from its template. Errs: never, for templates that only write.
pub fn render(template: &impl askama::Template) -> Outcome {
    render_with(StatusCode::OK, template)
}

/// The same with another status.
pub fn render_with(status: StatusCode, template: &impl askama::Template) -> Outcome {
    let html = template.render().map_err(|_| Refusal::invalid("The page could not be written."))?;
    Ok(HttpResponse::build(status).insert_header((CONTENT_TYPE, "text/html; charset=utf-8")).body(html))
}

/// What a route of the node's answers, as a page reads it. Errs: it is something else.
pub fn read<T: serde::de::DeserializeOwned>(told: serde_json::Value) -> Result<T, Failure> {
    serde_json::from_value(told).map_err(|error| Refusal::broken(error.to_string()).into())
}

/// JSON for a script.
pub fn json(document: &serde_json::Value) -> Outcome {
    let mut response = HttpResponse::Ok();
    response.insert_header((CONTENT_TYPE, "application/json")).insert_header((CACHE_CONTROL, "no-store"));
    Ok(response.body(document.to_string()))
}

/// The words of the console.
pub fn words() -> &'static Text {
    &ENGLISH
}
