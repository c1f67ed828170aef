//! Whole requests against a keeper of one access key: the support that the tests beside this file share.

use std::borrow::Cow;
use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use myfsio_actors::names::{AccessKeyId, Stamp};

use super::canonical::{Reading, Signed, canonical_request, encode, string_to_sign};
use super::signing::{AmzDate, EMPTY_SHA256, Scope, SigningKey};
use super::*;
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::request_head::RequestHead;

mod forms;
mod mechanisms;
mod published;
mod temporary;
mod urls;
mod version_2;

const ID: &str = "AKIAIOSFODNN7EXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const NOW: Stamp = Stamp(1_369_353_600_000_000_000);
const HOST: &str = "examplebucket.s3.amazonaws.com";
const DATE: &str = "20130524T000000Z";

/// One access key, a temporary one when it has a token; the secret counts as the well-known one when `well_known`.
#[derive(Default)]
struct Keys {
    token: Option<&'static str>,
    well_known: bool,
    fails: Option<CredentialError>,
}

impl Keys {
    fn check(&self, id: &AccessKeyId, token: Option<&str>, exposed: bool) -> Result<(), CredentialError> {
        match &self.fails {
            Some(error) => Err(error.clone()),
            None if id.as_str() != ID => Err(CredentialError::NoSuchAccessKey),
            None if token.is_none() && self.token.is_some() => Err(CredentialError::NoSuchAccessKey),
            None if token != self.token => Err(CredentialError::InvalidToken),
            None if self.well_known && exposed => Err(CredentialError::WellKnownSecret),
            None => Ok(()),
        }
    }
}

impl Credentials for Keys {
    type Principal = String;

    async fn credential(
        &self,
        id: &AccessKeyId,
        token: Option<&str>,
        exposed: impl FnOnce() -> bool,
    ) -> Result<Credential<String>, CredentialError> {
        self.check(id, token, exposed())?;
        Ok(Credential { secret: SecretText::new(SECRET), principal: Arc::new("example".to_owned()) })
    }

    async fn verify_secret(
        &self,
        id: &AccessKeyId,
        token: Option<&str>,
        secret: &str,
        _address: Option<IpAddr>,
        exposed: bool,
    ) -> Result<Arc<String>, CredentialError> {
        self.check(id, token, exposed)?;
        if secret == SECRET { Ok(Arc::new("example".to_owned())) } else { Err(CredentialError::WrongSecret) }
    }
}

/// Nothing in these tests waits, so one poll carries a future to its end.
fn done<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a test's future waits"),
    }
}

/// A request under construction.
#[derive(Clone)]
struct Request {
    method: &'static str,
    path: String,
    query: String,
    virtual_bucket: Option<&'static str>,
    headers: HeaderMap,
    settings: AuthSettings,
    peer: [u8; 4],
    now: Stamp,
}

impl Request {
    fn new(method: &'static str, path: &str, query: &str, headers: &[(&'static str, &str)]) -> Self {
        let mut request = Self {
            method,
            path: path.to_owned(),
            query: query.to_owned(),
            virtual_bucket: None,
            headers: HeaderMap::new(),
            settings: AuthSettings::default(),
            peer: [127, 0, 0, 1],
            now: NOW,
        };
        for (name, value) in headers {
            request.set(name, value);
        }
        request
    }

    fn set(&mut self, name: &'static str, value: &str) {
        self.headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
    }

    fn head(&self) -> RequestHead<'_> {
        RequestHead {
            method: self.method,
            path: self.path.as_bytes(),
            query: &self.query,
            virtual_bucket: self.virtual_bucket,
            headers: &self.headers,
            peer: Some(IpAddr::from(self.peer)),
            secure: false,
            body_sha256: None,
        }
    }

    fn run_with(&self, keys: &Keys) -> Result<Authenticated<String>, S3Error> {
        done(authenticate(&self.head(), &self.settings, keys, self.now))
    }

    fn run(&self) -> Result<Authenticated<String>, S3Error> {
        self.run_with(&Keys::default())
    }

    fn code(&self) -> ErrorCode {
        self.run().expect_err("a refusal").code()
    }

    fn hint(&self) -> String {
        let error = self.run().expect_err("a refusal");
        assert_eq!(error.code(), ErrorCode::SignatureDoesNotMatch);
        error.fields().iter().find(|(name, _)| *name == "Hint").map(|(_, hint)| hint.clone()).unwrap_or_default()
    }

    fn scope() -> Scope {
        Scope::new("20130524", "us-east-1", "s3")
    }

    fn signature(&self, signed: &Signed) -> String {
        let canonical = canonical_request(&self.head(), signed, &Reading::default());
        let to_sign = string_to_sign(&AmzDate::parse(DATE).unwrap(), &Self::scope(), &canonical);
        SigningKey::derive(SECRET, &Self::scope()).sign(to_sign.as_bytes())
    }

    /// Signs host and all x-amz-* headers in the `Authorization` header.
    fn sign(mut self) -> Self {
        self.set("x-amz-date", DATE);
        if !self.headers.contains_key("x-amz-content-sha256") {
            self.set("x-amz-content-sha256", EMPTY_SHA256);
        }
        let mut names: Vec<Cow<'static, str>> =
            self.headers.keys().map(|name| Cow::Owned(name.as_str().to_owned())).collect();
        names.sort();
        let payload = self.head().header("x-amz-content-sha256").unwrap().to_owned();
        let list = names.join(";");
        let signature = self.signature(&Signed { headers: names, payload: payload.into(), leave_out: None });
        let value =
            format!("AWS4-HMAC-SHA256 Credential={ID}/{}, SignedHeaders={list}, Signature={signature}", Self::scope());
        self.set("authorization", &value);
        self
    }

    fn presign(mut self, expires: &str) -> Self {
        let credential = encode(format!("{ID}/{}", Self::scope()).as_bytes(), false);
        self.query = format!(
            "{}&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={credential}&X-Amz-Date={DATE}\
             &X-Amz-Expires={expires}&X-Amz-SignedHeaders=host",
            self.query
        );
        let signed = Signed {
            headers: vec!["host".into()],
            payload: "UNSIGNED-PAYLOAD".into(),
            leave_out: Some("X-Amz-Signature"),
        };
        let signature = self.signature(&signed);
        self.query.push_str(&format!("&X-Amz-Signature={signature}"));
        self
    }
}
