//! Sends messages to webhooks. Nothing but the webhook's own address is ever spoken to: redirects are answers like any other.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, StatusCode, Url};

use super::schedule::Outcome;
use super::webhooks::Webhook;
use crate::address::{is_public, is_public_or_private};
use crate::outgoing::{Allowed, why};

/// How long a webhook may take, from the connection to its answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a connection that is not used is kept.
const IDLE: Duration = Duration::from_secs(60);
/// Why an address is not spoken to.
const NOT_PUBLIC: &str = "the webhook's address is not public, and NOTIFY_ALLOW_PRIVATE is not set";

/// Where a webhook is.
#[derive(Debug, Clone)]
pub struct WebhookUrl(Url);

impl WebhookUrl {
    /// Parses an http or https URL. Errs: why it is none that can be used, without its text, which may hold a secret.
    pub fn parse(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|error| format!("its URL is none: {error}"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err("its URL is no http or https URL".to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("its URL has a user or password: use a token".to_owned());
        }
        Ok(Self(url))
    }
}

/// Sends messages.
#[derive(Debug)]
pub struct Deliverer {
    /// Or why nothing can be sent.
    client: Result<Client, String>,
    allowed: Allowed,
}

impl Deliverer {
    pub fn new(allow_private: bool) -> Self {
        let allowed =
            Allowed { allows: if allow_private { is_public_or_private } else { is_public }, refusal: NOT_PUBLIC };
        let client = allowed.client().timeout(PATIENCE).pool_idle_timeout(IDLE).build();
        Self { client: client.map_err(why), allowed }
    }

    /// Sends a message, and tells what the webhook made of it. `id` names the message, each time that it is sent.
    pub async fn send(&self, webhook: &Webhook, id: &str, message: Bytes) -> Outcome {
        let client = match &self.client {
            Ok(client) => client,
            Err(reason) => return Outcome::Failed(reason.clone()),
        };
        if let Err(refusal) = self.allowed.check(&webhook.url.0) {
            return Outcome::Failed(refusal);
        }
        let mut request = client.post(webhook.url.0.clone()).header(CONTENT_TYPE, "application/json");
        request = request.header("x-myfsio-event-id", id);
        if let Some(token) = &webhook.token
            && let Ok(mut value) = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
        {
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        match request.body(message).send().await {
            Ok(answer) => judge(answer.status()),
            Err(error) => Outcome::Failed(why(error)),
        }
    }
}

/// What an answer means. One that blames the message will not become another for waiting.
fn judge(status: StatusCode) -> Outcome {
    let passing = [
        StatusCode::UNAUTHORIZED,
        StatusCode::FORBIDDEN,
        StatusCode::NOT_FOUND,
        StatusCode::PROXY_AUTHENTICATION_REQUIRED,
        StatusCode::REQUEST_TIMEOUT,
        StatusCode::TOO_EARLY,
        StatusCode::TOO_MANY_REQUESTS,
    ];
    if status.is_success() {
        Outcome::Told
    } else if status.is_client_error() && !passing.contains(&status) {
        Outcome::Refused(format!("the webhook answered {status}"))
    } else {
        Outcome::Failed(format!("the webhook answered {status}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn webhook(url: &str) -> Webhook {
        Webhook { url: WebhookUrl::parse(url).unwrap(), token: None, enabled: true }
    }

    #[actix::test]
    async fn only_public_addresses_are_spoken_to() {
        let deliverer = Deliverer::new(false);
        for url in [
            "http://127.0.0.1:9/",
            "http://localhost:9/",
            "http://[::1]:9/",
            "http://[::ffff:127.0.0.1]:9/",
            "http://0x7f.1:9/",
            "http://2130706433:9/",
            "http://017700000001:9/",
            "http://0:9/",
            "http://169.254.169.254/latest/meta-data/",
            "https://10.0.0.1/",
        ] {
            let outcome = deliverer.send(&webhook(url), "id", Bytes::new()).await;
            assert!(matches!(&outcome, Outcome::Failed(reason) if reason.contains(NOT_PUBLIC)), "{url}: {outcome:?}");
        }
        let allowing = Deliverer::new(true).send(&webhook("http://localhost:9/"), "id", Bytes::new()).await;
        assert!(matches!(&allowing, Outcome::Failed(reason) if !reason.contains(NOT_PUBLIC)), "{allowing:?}");
    }

    #[actix::test]
    async fn failures_do_not_tell_the_url() {
        let outcome =
            Deliverer::new(true).send(&webhook("http://127.0.0.1:9/hooks/s3cret?t=s3cret"), "id", Bytes::new()).await;
        assert!(matches!(&outcome, Outcome::Failed(reason) if !reason.contains("s3cret")), "{outcome:?}");
    }

    #[test]
    fn answers_are_judged() {
        let of = |status| judge(StatusCode::from_u16(status).unwrap());
        for status in [200, 202, 204] {
            assert_eq!(of(status), Outcome::Told);
        }
        for status in [400, 405, 410, 413, 415, 422] {
            assert!(matches!(of(status), Outcome::Refused(_)), "{status}");
        }
        for status in [301, 302, 307, 308, 401, 403, 404, 408, 425, 429, 500, 502, 503] {
            assert!(matches!(of(status), Outcome::Failed(_)), "{status}");
        }
    }
}
