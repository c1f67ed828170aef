//! Links for others to one object: made, shown once, and tried.

use actix_web::http::Method;
use actix_web::http::header::{CONTENT_ENCODING, HeaderValue};
use serde_json::json;
use time::PrimitiveDateTime;
use time::macros::format_description;

use super::object;
use crate::console::commands::quoted;
use crate::console::failure::Failure;
use crate::console::forms::Fields;
use crate::console::links;
use crate::console::qr::{self, Code};
use crate::console::route::{Outcome, Row, SIGNED_IN};
use crate::console::units::{When, lasting, legible};
use crate::console::visit::{Visit, json};

/// Routes.
pub const ROWS: &[Row] = &[
    Row::post("/ui/buckets/{bucket}/presign", SIGNED_IN, |visit| Box::pin(presign(visit)))
        .tested_by("key=folder%2Fa.txt&method=GET&expires=60"),
    Row::post("/ui/buckets/{bucket}/try-link", SIGNED_IN, |visit| Box::pin(try_link(visit)))
        .tested_by("key=folder%2Fa.txt&method=GET&url=x"),
];

/// A presigned URL, which is shown once.
pub struct SignedUrl {
    /// The URL.
    pub url: String,
    /// What it allows: a method.
    pub method: &'static str,
    /// The same as a command.
    pub curl: String,
    /// Host and port that it leads to.
    pub host: String,
    /// The access key that signed it.
    pub access_key: String,
    /// Name of that key's user.
    pub signer: String,
    /// When it ends.
    pub ends: When,
    /// How long it is good for.
    pub lasts: String,
    /// The URL as a QR code, if one can hold it.
    pub code: Option<Code>,
    /// What became of trying it.
    pub verdict: Option<Verdict>,
}

/// Whether the node would accept a link.
pub struct Verdict {
    /// Whether it would.
    pub is_good: bool,
    /// What is to be said about that.
    pub text: String,
}

impl SignedUrl {
    /// Of a URL as it was made. Errs: it is none.
    fn of(visit: &Visit, method: &Method, url: String) -> Result<Self, Failure> {
        let wrong = || Failure::input(visit.t.object.link_wrong);
        let (address, query) = url.split_once('?').ok_or_else(wrong)?;
        let query = Fields::parse(query)?;
        let (_, rest) = address.split_once("://").ok_or_else(wrong)?;
        let format = format_description!("[year][month][day]T[hour][minute][second]Z");
        let begins = PrimitiveDateTime::parse(query.text("X-Amz-Date"), format).map_err(|_| wrong())?;
        let begins = u64::try_from(begins.assume_utc().unix_timestamp()).map_err(|_| wrong())?;
        let seconds = query.number("X-Amz-Expires")?.ok_or_else(wrong)?;
        let (method, how) = match method.as_str() {
            "PUT" => ("PUT", "--upload-file FILE "),
            "DELETE" => ("DELETE", "--request DELETE "),
            _ => ("GET", "--remote-name-all "),
        };
        let access_key = query.text("X-Amz-Credential").split('/').next().unwrap_or_default();
        Ok(Self {
            curl: format!("curl --fail {how}{}", quoted(&url.replace('\'', "%27"))),
            host: rest.split('/').next().unwrap_or_default().to_owned(),
            access_key: legible(access_key),
            signer: visit.asker()?.principal().display_name.clone(),
            ends: When::of_seconds(begins.saturating_add(seconds)),
            lasts: lasting(seconds),
            code: qr::code(&url),
            verdict: None,
            method,
            url,
        })
    }
}

fn method(visit: &Visit) -> Result<Method, Failure> {
    match visit.form.text("method").to_ascii_uppercase().as_str() {
        "" | "GET" => Ok(Method::GET),
        "PUT" => Ok(Method::PUT),
        "DELETE" => Ok(Method::DELETE),
        _ => Err(Failure::input(visit.t.object.link_wrong)),
    }
}

async fn presign(visit: Visit) -> Outcome {
    let (bucket, key) = (visit.bucket().await?, visit.key()?);
    let method = method(&visit)?;
    let expires = visit.form.text("expires").to_owned();
    let seconds: u64 = expires.parse().map_err(|_| Failure::input(visit.t.object.presign_wrong))?;
    let path = key.as_str().split('/').map(links::encode).collect::<Vec<_>>().join("/");
    let asked = json!({ "method": method.as_str(), "expires_in": seconds });
    let told = visit.asker()?.json(Method::POST, &format!("/presign/{}/{path}", bucket.name), Some(&asked)).await?;
    let url = told.get("url").and_then(|url| url.as_str()).unwrap_or_default().to_owned();
    if visit.wants_json() {
        return json(&json!({ "url": url, "expires_in": seconds }));
    }
    let signed = SignedUrl::of(&visit, &method, url)?;
    show(&visit, signed, expires).await
}

/// Asks the node whether it would accept a link now, without doing what it is for.
async fn try_link(visit: Visit) -> Outcome {
    let (bucket, key) = (visit.bucket().await?, visit.key()?);
    let (method, t, asker) = (method(&visit)?, &visit.t.object, visit.asker()?);
    let mut signed = SignedUrl::of(&visit, &method, visit.form.text("url").to_owned())?;
    let tried = match asker.try_link(&method, &signed.url, (&bucket.name, &key)).await {
        // A link may lead to nothing, and be good all the same.
        Ok(()) if method == Method::GET => asker.object(&bucket, &key, None).await.map(drop),
        tried => tried,
    };
    signed.verdict = Some(match tried {
        Ok(()) => Verdict { is_good: true, text: t.link_good.to_owned() },
        Err(refusal) => {
            let message = legible(&refusal.message);
            Verdict { is_good: false, text: format!("{} {message} ({})", t.link_bad, refusal.code) }
        }
    });
    show(&visit, signed, visit.form.text("expires").to_owned()).await
}

async fn show(visit: &Visit, signed: SignedUrl, expires: String) -> Outcome {
    let method = signed.method.to_owned();
    let mut response = object::page(visit, Some(signed), method, expires).await?;
    // As good as a credential: never compressed beside what others may have written.
    response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("identity"));
    Ok(response)
}
