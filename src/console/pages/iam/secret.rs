//! Secrets that the node has just made. Each is in one answer, that of the form that had it made, and nowhere else.

use actix_web::http::Method;
use actix_web::http::header::{CONTENT_ENCODING, HeaderValue};
use askama::Template;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::told::route;
use crate::console::failure::Failure;
use crate::console::layout::Page;
use crate::console::links;
use crate::console::route::Outcome;
use crate::console::units::legible;
use crate::console::visit::{Visit, read, render};

#[derive(Deserialize)]
struct Credential {
    user_id: String,
    display_name: String,
    access_key: String,
    secret_key: String,
    replaced: Option<Replaced>,
}

#[derive(Deserialize)]
struct Replaced {
    access_key: String,
    expires_at: String,
}

#[derive(Template)]
#[template(path = "iam/secret.html")]
struct SecretPage {
    page: Page,
    name: String,
    access_key: String,
    secret_key: String,
    replaced: Option<(String, String)>,
    address: String,
}

/// The page with a credential that was just made.
pub fn show(visit: &Visit, made: Value) -> Outcome {
    let credential: Credential = read(made)?;
    let user = links::link(&["iam", &credential.user_id], &[]);
    tell(visit, credential, (visit.t.iam.title, "/ui/iam"), user)
}

/// `above`: what the page is below of; `back`: where it leads once the secret is kept, without the base.
fn tell(visit: &Visit, credential: Credential, above: (&'static str, &'static str), back: String) -> Outcome {
    let view = SecretPage {
        page: visit.page(visit.t.iam.secret_title).crumb(above.0, above.1),
        name: legible(&credential.display_name),
        access_key: credential.access_key,
        secret_key: credential.secret_key,
        replaced: credential.replaced.map(|old| (old.access_key, old.expires_at)),
        address: back,
    };
    let mut response = render(&view)?;
    // Beside what others chose, a compressed secret can be guessed from lengths.
    response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("identity"));
    Ok(response)
}

/// Adds an access key.
pub async fn add_key(visit: Visit) -> Outcome {
    let target = route(visit.parameter("user"), &["access-keys"]);
    let wanted = visit.form.filled("expires").map(|day| json!({ "expires_at": day }));
    let made = visit.asker()?.json(Method::POST, &target, wanted.as_ref()).await?;
    show(&visit, made)
}

/// Gives a key a new secret, at once or beside the old one.
pub async fn rotate(visit: Visit) -> Outcome {
    let made = rotated(&visit, visit.parameter("user")).await?;
    show(&visit, made)
}

/// The same with a key of one's own, for whoever may.
pub async fn rotate_own(visit: Visit) -> Outcome {
    let user = visit.asker()?.principal().user_id.clone();
    let credential = read(rotated(&visit, user.as_str()).await?)?;
    let account = "/ui/account";
    tell(&visit, credential, (visit.t.account.title, account), account.to_owned())
}

async fn rotated(visit: &Visit, user: &str) -> Result<Value, Failure> {
    let mut wanted = Map::new();
    if let Some(key) = visit.form.filled("access_key") {
        wanted.insert("access_key".to_owned(), Value::from(key));
    }
    if let Some(seconds) = visit.form.number("overlap")?.filter(|seconds| *seconds > 0) {
        wanted.insert("overlap_seconds".to_owned(), Value::from(seconds));
    }
    Ok(visit.asker()?.json(Method::POST, &route(user, &["rotate"]), Some(&Value::Object(wanted))).await?)
}
