//! Fetches the keys of identity providers.
//!
//! A provider is on the public internet and speaks TLS, unless whoever administers the node named it: then it may also be on a
//! private network or on this machine. Where nobody vouches for addresses, such as link-local ones, it may not. Its discovery
//! document may send the node on to another host only over TLS and on the public internet: whoever may name a provider could
//! otherwise have the node ask anything of its own surroundings.

use std::time::Duration;

use reqwest::{Client, Url};
use serde_json::Value;

use super::jwks::KeySet;
use crate::address::{is_public, is_public_or_private};
use crate::outgoing::{Allowed, why};

/// How long a provider may take for one answer. Two are needed.
const PATIENCE: Duration = Duration::from_secs(4);
/// Largest document of a provider, in bytes.
const DOCUMENT_BYTES_MAX: usize = 256 * 1024;
const URL_BYTES_MAX: usize = 1024;
const NOT_ALLOWED: &str = "its address is not one that identity providers may have";

/// Where a provider is: its issuer identifier (OpenID Connect Discovery 1.0 §2).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ProviderUrl {
    url: Url,
    reach: Reach,
}

impl ProviderUrl {
    /// Parses a URL of https, or of http for a provider that may be private; one without a scheme is https. Errs: why it is none
    /// that can be used.
    pub fn parse(text: &str, may_be_private: bool) -> Result<Self, String> {
        if text.len() > URL_BYTES_MAX {
            return Err("its URL is too long".to_owned());
        }
        let whole = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
        let url = Url::parse(&whole).map_err(|error| format!("its URL is none: {error}"))?;
        let is_plain = url.username().is_empty() && url.password().is_none();
        match url.scheme() {
            "http" if !may_be_private => Err("its URL is no https URL".to_owned()),
            "http" | "https" if is_plain && url.query().is_none() && url.fragment().is_none() => {
                let reach = if may_be_private { Reach::Provider } else { Reach::Public };
                Ok(Self { url, reach })
            }
            "http" | "https" => Err("its URL has a user, a query or a fragment".to_owned()),
            _ => Err("its URL is no http or https URL".to_owned()),
        }
    }

    /// Whether a token or document names this provider as its issuer.
    pub fn is_issuer(&self, issuer: &str) -> bool {
        issuer.trim_end_matches('/') == self.url.as_str().trim_end_matches('/')
    }

    fn discovery(&self) -> Result<Url, String> {
        let text = format!("{}/.well-known/openid-configuration", self.url.as_str().trim_end_matches('/'));
        Url::parse(&text).map_err(|error| error.to_string())
    }
}

impl std::fmt::Display for ProviderUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.url.as_str())
    }
}

/// Whom the node speaks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Reach {
    /// Public and private addresses.
    Provider,
    /// Public ones.
    Public,
}

impl Reach {
    fn allowed(self) -> Allowed {
        let allows = match self {
            Self::Provider => is_public_or_private,
            Self::Public => is_public,
        };
        Allowed { allows, refusal: NOT_ALLOWED }
    }
}

/// Fetches keys. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Fetcher {
    /// Or why nothing can be fetched.
    clients: Result<[Client; 2], String>,
}

impl Fetcher {
    pub fn new() -> Self {
        let client =
            |reach: Reach| reach.allowed().client().timeout(PATIENCE).pool_max_idle_per_host(0).build().map_err(why);
        let clients = client(Reach::Provider).and_then(|provider| Ok([provider, client(Reach::Public)?]));
        Self { clients }
    }

    /// The keys that a provider signs with now. Errs: why they are not to be had, for the log.
    pub async fn keys(&self, provider: &ProviderUrl) -> Result<KeySet, String> {
        let discovery = self.get(provider.discovery()?, provider.reach).await?;
        let text = |name: &str| discovery.get(name).and_then(Value::as_str);
        if !text("issuer").is_some_and(|issuer| provider.is_issuer(issuer)) {
            return Err("its discovery document is of another issuer".to_owned());
        }
        let place = text("jwks_uri").ok_or("its discovery document tells no place of keys")?;
        let place = Url::parse(place).map_err(|error| format!("its place of keys is none: {error}"))?;
        let reach = match (place.origin() == provider.url.origin(), place.scheme()) {
            (true, _) => provider.reach,
            (false, "https") => Reach::Public,
            (false, _) => return Err("its keys are on another host, without TLS".to_owned()),
        };
        let keys = self.get(place, reach).await?;
        KeySet::parse(&keys).ok_or_else(|| "its document of keys is none".to_owned())
    }

    async fn get(&self, url: Url, reach: Reach) -> Result<Value, String> {
        let [provider, public] = self.clients.as_ref().map_err(String::clone)?;
        let client = if reach == Reach::Provider { provider } else { public };
        reach.allowed().check(&url)?;
        let mut answer = client.get(url).header("accept", "application/json").send().await.map_err(why)?;
        if !answer.status().is_success() {
            return Err(format!("it answered {}", answer.status()));
        }
        let mut document = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(why)? {
            if document.len().saturating_add(piece.len()) > DOCUMENT_BYTES_MAX {
                return Err("its document is too large".to_owned());
            }
            document.extend_from_slice(&piece);
        }
        serde_json::from_slice(&document).map_err(|error| format!("its document is not JSON: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix::test]
    async fn only_who_may_be_private_is_asked_in_the_nodes_surroundings() {
        let keys = async |url: &str, may_be_private| match ProviderUrl::parse(url, may_be_private) {
            Ok(provider) => Fetcher::new().keys(&provider).await.unwrap_err(),
            Err(reason) => reason,
        };
        for url in [
            "https://127.0.0.1:9/",
            "https://localhost:9/",
            "https://[::1]:9/",
            "https://10.0.0.1:9/",
            "https://0x7f.1:9/",
        ] {
            let reason = keys(url, false).await;
            assert!(reason.contains(NOT_ALLOWED), "{url}: {reason}");
        }
        for url in ["http://127.0.0.1:9/", "http://idp.example.com/"] {
            assert!(ProviderUrl::parse(url, false).is_err(), "{url}");
        }
        for url in ["http://127.0.0.1:9/", "https://localhost:9/"] {
            let reason = keys(url, true).await;
            assert!(!reason.contains(NOT_ALLOWED), "{url}: {reason}");
        }
        let reason = keys("http://169.254.169.254/", true).await;
        assert!(reason.contains(NOT_ALLOWED), "{reason}");
    }
}
