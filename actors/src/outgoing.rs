//! Requests that the node sends to addresses that others named. No redirect is followed and no proxy is used, and names are
//! resolved here, so that what is connected to is what was judged.

use std::error::Error as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, ClientBuilder, Url};

/// Which addresses may be spoken to, and what is said of others.
#[derive(Debug, Clone, Copy)]
pub struct Allowed {
    /// Whether an address may be.
    pub allows: fn(IpAddr) -> bool,
    /// Why another is not.
    pub refusal: &'static str,
}

impl Allowed {
    /// A client that connects to no other address, to be given its limits.
    pub fn client(self) -> ClientBuilder {
        // Another part of the process may have chosen one before.
        let _chosen = rustls::crypto::aws_lc_rs::default_provider().install_default();
        Client::builder()
            .user_agent(concat!("MyFSIO/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .dns_resolver(Arc::new(Resolver(self)))
    }

    /// Judges the address of a URL that is written as one: it is not resolved. Errs: the refusal.
    pub fn check(self, url: &Url) -> Result<(), String> {
        let host = url.host_str().unwrap_or_default();
        let literal = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host).parse().ok();
        match literal.is_some_and(|address| !(self.allows)(address)) {
            true => Err(self.refusal.to_owned()),
            false => Ok(()),
        }
    }
}

/// An error with its causes, the innermost of which says most. Without the URL, which may hold a secret.
pub fn why(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

/// Resolves names to addresses that may be spoken to.
#[derive(Debug)]
struct Resolver(Allowed);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let Allowed { allows, refusal } = self.0;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let usable: Vec<SocketAddr> = found.filter(|found| allows(found.ip())).collect();
            match usable.is_empty() {
                true => Err(refusal.into()),
                false => Ok(Box::new(usable.into_iter()) as Addrs),
            }
        })
    }
}
