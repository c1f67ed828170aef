//! `POST /presign/<bucket>/<key>`: a presigned URL, signed with the caller's own credentials.
//!
//! Whoever bears the URL does what the caller may do, so the caller is asked for the permission here as the URL's own request
//! is when it comes.

use std::sync::Arc;

use actix_http::RequestHead;
use actix_http::error::PayloadError;
use actix_web::http::{Method, StatusCode};
use bytes::Bytes;
use futures_util::Stream;
use myfsio_actors::names::{BucketName, ObjectKey};
use serde_json::{Value, json};

use crate::node::Node;
use crate::s3::auth::settings::public_url;
use crate::s3::auth::sign_url::{Signer, UrlRequest, presigned_url};
use crate::s3::auth::{Credentials as _, EXPIRES_SECONDS_MAX};
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::exchange::Exchange;
use crate::s3::operation::Operation;
use crate::s3::preflight;
use crate::s3::respond::{Answer, json, no_store};

/// Largest body, in bytes.
const BODY_BYTES_MAX: usize = 4 * 1024;
/// How long a URL is good for when nothing is said, in seconds.
const EXPIRES_SECONDS_DEFAULT: i64 = 900;

/// Answers `{"url", "method", "expires_in"}`. Errs: MethodNotAllowed; InvalidArgument for a body that asks for nothing that can
/// be; AccessDenied without credentials; as the URL's request would be refused now.
pub async fn answer(
    node: &Arc<Node>,
    head: &RequestHead,
    exchange: &Exchange,
    incoming: impl Stream<Item = Result<Bytes, PayloadError>> + 'static,
    (bucket, key): (&BucketName, &ObjectKey),
) -> Answer {
    if head.method != Method::POST {
        return Err(S3Error::new(ErrorCode::MethodNotAllowed).header("allow", "POST"));
    }
    let mut caller = preflight::identify(node, head).await?;
    caller.note(exchange);
    let principal = caller.principal().cloned().ok_or_else(|| {
        S3Error::with_message(
            ErrorCode::AccessDenied,
            "A URL is signed with the credentials of its request, and this one has none.",
        )
    })?;
    let body = caller.body(incoming)?.collect(BODY_BYTES_MAX).await?;
    let wanted = Wanted::parse(&body)?;
    caller.ask_presigned(node, wanted.operation, bucket, key).await?;
    let seen = preflight::request_head(head, None, head.peer_addr.map(|peer| peer.ip()));
    let settings = &node.settings.auth;
    let base = public_url(&seen, settings).ok_or_else(|| {
        S3Error::with_message(ErrorCode::InvalidRequest, "The request names no host that a URL could begin with.")
    })?;
    // Temporary credentials came with their token, and the URL has to come with it too.
    let token = principal.session.as_ref().and_then(|_| seen.session_token());
    // The caller was let in with this key, exposed or not.
    let credential = node.access.credential(&principal.access_key, token.as_deref(), || false).await;
    let credential = credential.map_err(|error| error.into_s3(&principal.access_key))?;
    let signer =
        Signer { access_key_id: &principal.access_key, secret: &credential.secret, session_token: token.as_deref() };
    let method = wanted.operation.row().method;
    let asked = UrlRequest { method, base: &base, bucket, key, expires_seconds: wanted.expires_seconds };
    let url = presigned_url(signer, asked, settings, caller.received())
        .ok_or_else(|| S3Error::internal("the clock shows no time that can be signed"))?;
    let told = json!({ "url": url, "method": method, "expires_in": wanted.expires_seconds });
    // It is as good as a credential.
    Ok(no_store(json(StatusCode::OK, &told)))
}

/// What the body asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wanted {
    operation: Operation,
    expires_seconds: i64,
}

impl Wanted {
    /// Reads `{"method", "expires_in"}`, both of which may be left out, as may all of it. Errs: InvalidArgument.
    fn parse(body: &[u8]) -> Result<Self, S3Error> {
        let mut wanted = Self { operation: Operation::GetObject, expires_seconds: EXPIRES_SECONDS_DEFAULT };
        if body.trim_ascii().is_empty() {
            return Ok(wanted);
        }
        let fields = match serde_json::from_slice(body) {
            Ok(Value::Object(fields)) => fields,
            Ok(_) => return Err(refused("body", "", "The body must be a JSON object.")),
            Err(error) => return Err(refused("body", "", &format!("The body is no JSON: {error}."))),
        };
        for (name, value) in &fields {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let refuse = |message| refused(name, &text, message);
            match name.as_str() {
                "method" => {
                    let operation = value.as_str().and_then(operation);
                    wanted.operation = operation.ok_or_else(|| refuse("method must be GET, PUT or DELETE."))?;
                }
                "expires_in" => {
                    let seconds = value.as_i64().filter(|seconds| (1..=EXPIRES_SECONDS_MAX).contains(seconds));
                    wanted.expires_seconds =
                        seconds.ok_or_else(|| refuse("expires_in must be a whole number of seconds, 1 to 604800."))?;
                }
                _ => return Err(refuse("The body may hold method and expires_in, nothing else.")),
            }
        }
        Ok(wanted)
    }
}

fn operation(method: &str) -> Option<Operation> {
    [Operation::GetObject, Operation::PutObject, Operation::DeleteObject]
        .into_iter()
        .find(|operation| operation.row().method.eq_ignore_ascii_case(method))
}

fn refused(name: &str, value: &str, message: &str) -> S3Error {
    S3Error::invalid_argument(name, value, message.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies() {
        let wanted = |operation, expires_seconds| Ok(Wanted { operation, expires_seconds });
        let read = |body: &str| Wanted::parse(body.as_bytes()).map_err(|error| error.fields()[0].1.clone());
        for (body, expected) in [
            ("", wanted(Operation::GetObject, 900)),
            (" \n", wanted(Operation::GetObject, 900)),
            ("{}", wanted(Operation::GetObject, 900)),
            (r#"{"method":"PUT"}"#, wanted(Operation::PutObject, 900)),
            (r#"{"method":"delete","expires_in":1}"#, wanted(Operation::DeleteObject, 1)),
            (r#"{"expires_in":604800}"#, wanted(Operation::GetObject, 604_800)),
        ] {
            assert_eq!(read(body), expected, "{body}");
        }
        for (body, argument) in [
            ("{", "body"),
            ("[]", "body"),
            ("\u{0}", "body"),
            (r#"{"method":"HEAD"}"#, "method"),
            (r#"{"method":null}"#, "method"),
            (r#"{"method":["GET"]}"#, "method"),
            (r#"{"expires_in":0}"#, "expires_in"),
            (r#"{"expires_in":-1}"#, "expires_in"),
            (r#"{"expires_in":604801}"#, "expires_in"),
            (r#"{"expires_in":18446744073709551616}"#, "expires_in"),
            (r#"{"expires_in":900.5}"#, "expires_in"),
            (r#"{"expires_in":"900"}"#, "expires_in"),
            (r#"{"expires_in":true}"#, "expires_in"),
            (r#"{"expires":60}"#, "expires"),
        ] {
            assert_eq!(read(body), Err(argument.to_owned()), "{body}");
            assert_eq!(Wanted::parse(body.as_bytes()).unwrap_err().code(), ErrorCode::InvalidArgument);
        }
    }
}
