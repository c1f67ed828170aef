//! Sends exports to the collector (OpenTelemetry protocol, "OTLP/HTTP").

use std::time::Duration;

use myfsio_actors::outgoing::{Allowed, why};
use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode};

use crate::config::Secret;

/// How long the collector may take, from the connection to its answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a connection that is not used is kept.
const IDLE: Duration = Duration::from_secs(60);
/// Longest wait that a collector may ask for.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// The collector.
#[derive(Debug)]
pub struct Post {
    /// Or why nothing can be sent.
    client: Result<Client, String>,
    url: String,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// Why an export was not taken.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused {
    /// In words.
    pub reason: String,
    /// Whether it may be taken later, and after how long if that is told.
    pub again: Option<Option<Duration>>,
}

impl Post {
    /// The collector below `endpoint`, with the headers that it wants. It was named by the operator: it may be anywhere.
    pub fn new(endpoint: &str, headers: &[(String, Secret)]) -> Self {
        let allowed = Allowed { allows: |_| true, refusal: "" };
        let client = allowed.client().timeout(PATIENCE).pool_idle_timeout(IDLE).build();
        let header = |(name, value): &(String, Secret)| {
            let mut value = HeaderValue::from_str(value.expose()).ok()?;
            value.set_sensitive(true);
            Some((HeaderName::from_bytes(name.as_bytes()).ok()?, value))
        };
        let headers = headers.iter().filter_map(header).collect();
        Self { client: client.map_err(why), url: format!("{endpoint}/v1/traces"), headers }
    }

    /// Sends one export.
    pub async fn send(&self, body: Vec<u8>) -> Result<(), Refused> {
        let client = self.client.as_ref().map_err(|reason| Refused { reason: reason.clone(), again: None })?;
        let mut request = client.post(&self.url).header(CONTENT_TYPE, "application/json").body(body);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        match request.send().await {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => Err(Refused { reason: format!("it answered {}", answer.status()), again: again(&answer) }),
            Err(error) => Err(Refused { reason: why(error), again: Some(None) }),
        }
    }
}

/// Which answers are worth another try, and when ("Retryable Response Codes", "OTLP/HTTP Throttling").
fn again(answer: &Response) -> Option<Option<Duration>> {
    const PASSING: [StatusCode; 4] = [
        StatusCode::TOO_MANY_REQUESTS,
        StatusCode::BAD_GATEWAY,
        StatusCode::SERVICE_UNAVAILABLE,
        StatusCode::GATEWAY_TIMEOUT,
    ];
    let seconds = || answer.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok();
    PASSING.contains(&answer.status()).then(|| seconds().map(|seconds| Duration::from_secs(seconds).min(WAIT_MAX)))
}
