//! Which node is asked, and how: the one of this configuration by its admin socket, or another by its URL, with a signature.

use std::env;
use std::time::Duration;

use actix_web::http::header::{HeaderMap as SignedMap, HeaderName, HeaderValue};
use myfsio_actors::clock::{Clock as _, SystemClock};
use myfsio_actors::names::AccessKeyId;
use myfsio_actors::outgoing::{Allowed, why};
use reqwest::{Client, Response};

use crate::admin_socket;
use crate::config::Config;
use crate::private_socket::{find, run_folder};
use crate::replication::{Endpoint, Signer, Unsigned, query};
use crate::s3::auth::SecretText;
use crate::s3::auth::signing::EMPTY_SHA256;
use crate::s3::auth::signing_keys::SigningKeys;

/// How long a connection may take to be made.
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);
/// How long nothing may be heard: a stream on which nothing happens says so every fifteen seconds.
const SILENCE: Duration = Duration::from_secs(60);
/// Most bytes of a refusal that are read.
const REFUSAL_BYTES_MAX: usize = 64 * 1024;

/// A node that can be asked.
pub(super) struct Source {
    http: Client,
    endpoint: Endpoint,
    signer: Option<Signer>,
    /// As messages call it.
    name: String,
}

impl Source {
    /// The node at `url`, or the one of the configuration. Errs: it does not run; there are no keys.
    pub fn open(config: &Config, url: Option<&str>) -> Result<Self, String> {
        // Whoever types an address may speak to it.
        let client = Allowed { allows: |_| true, refusal: "" }.client();
        let client = client.connect_timeout(CONNECT_PATIENCE).read_timeout(SILENCE);
        let (client, endpoint, signer, name) = match url {
            Some(url) => {
                let endpoint = Endpoint::parse(url).map_err(|reason| format!("--url: {reason}"))?;
                (client, endpoint, Some(signer(&config.aws_region)?), url.to_owned())
            }
            None => {
                let run = run_folder(&config.storage_root);
                let socket = find(&run, admin_socket::NAME).ok().filter(|socket| socket.exists());
                let socket = socket.ok_or_else(|| {
                    let root = config.storage_root.display();
                    format!("no node of {root} runs; start it, or name another with --url")
                })?;
                let endpoint = Endpoint::parse("http://localhost")?;
                (client.unix_socket(socket), endpoint, None, "the node at its admin socket".to_owned())
            }
        };
        Ok(Self { http: client.build().map_err(why)?, endpoint, signer, name })
    }

    /// The answer of one of the node's own routes, its body still to come. Errs: one line.
    pub async fn get(&self, route: &str, parameters: &[(&str, &str)]) -> Result<Response, String> {
        let wrong = |reason: String| format!("{}: {reason}", self.name);
        let (path, query) = (self.endpoint.path(route), query(parameters));
        let url =
            self.endpoint.url_of(&path, &query).ok_or_else(|| wrong("no URL can hold this question".to_owned()))?;
        let mut request = self.http.get(url);
        if let Some(signer) = &self.signer {
            let mut headers = SignedMap::new();
            if let Ok(token) = env::var("AWS_SESSION_TOKEN")
                && let Ok(token) = HeaderValue::from_str(&token)
            {
                headers.insert(HeaderName::from_static("x-amz-security-token"), token);
            }
            let authority = self.endpoint.authority();
            let unsigned = Unsigned { method: "GET", authority, path: &path, query: &query, payload: EMPTY_SHA256 };
            let signed = signer.sign(&unsigned, &mut headers, SystemClock.now());
            signed.ok_or_else(|| wrong("the question cannot be signed".to_owned()))?;
            for (name, value) in headers.iter() {
                request = request.header(name.as_str(), value.as_bytes());
            }
        }
        let answer = request.send().await.map_err(|error| wrong(why(error)))?;
        match answer.status().is_success() {
            true => Ok(answer),
            false => Err(wrong(refusal(answer).await)),
        }
    }

    /// The whole body of such an answer as text. Errs: one line.
    pub async fn text(&self, route: &str) -> Result<String, String> {
        let answer = self.get(route, &[]).await?;
        answer.text().await.map_err(|error| format!("{}: {}", self.name, why(error)))
    }

    /// Why a stream ended.
    pub fn broke_off(&self, error: Option<reqwest::Error>) -> String {
        let reason =
            error.map_or_else(|| "it has ended the stream: it stops, or you may not listen any more".to_owned(), why);
        format!("{}: {reason}", self.name)
    }
}

fn signer(region: &str) -> Result<Signer, String> {
    let variable = |name: &str| env::var(name).ok().filter(|text| !text.is_empty());
    let (Some(id), Some(secret)) = (variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY")) else {
        return Err("--url needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment".to_owned());
    };
    let access_key_id = AccessKeyId::parse(&id).map_err(|error| format!("AWS_ACCESS_KEY_ID: {error}"))?;
    let (secret, region) = (SecretText::new(&secret), region.to_owned());
    Ok(Signer { access_key_id, secret, region, keys: SigningKeys::default() })
}

/// What a refusal says.
async fn refusal(mut answer: Response) -> String {
    let status = answer.status().as_u16();
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = answer.chunk().await
        && body.len() < REFUSAL_BYTES_MAX
    {
        body.extend_from_slice(&chunk);
    }
    let told = serde_json::from_slice::<serde_json::Value>(&body).ok().and_then(|document| {
        let text = |name: &str| document.get("error")?.get(name)?.as_str().map(str::to_owned);
        Some(format!("{} ({})", text("message")?, text("code")?))
    });
    told.unwrap_or_else(|| format!("it answered {status}"))
}
