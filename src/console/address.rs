//! Where browsers reach the console, and where their programs reach the API.

use std::str::FromStr;

use actix_http::RequestHead;

use super::ConsoleSettings;

/// A public URL: scheme, authority, and a path that stands before `/ui` on the way through a proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl {
    /// `https://host[:port]`.
    pub origin: String,
    /// Empty, or a path that begins with a slash and ends without.
    pub path: String,
}

impl FromStr for BaseUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("{text} is no http or https URL");
        let (scheme, rest) = text.split_once("://").ok_or_else(bad)?;
        if !matches!(scheme, "http" | "https") {
            return Err(bad());
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if authority.is_empty() {
            return Err(bad());
        }
        let path = path.trim_end_matches('/');
        let path = if path.is_empty() { String::new() } else { format!("/{path}") };
        Ok(Self { origin: format!("{scheme}://{}", authority.to_ascii_lowercase()), path })
    }
}

/// The `Host` of a request; empty where it has none.
pub fn host(head: &RequestHead) -> &str {
    head.headers.get("host").and_then(|host| host.to_str().ok()).unwrap_or_default()
}

/// The port of a `Host`.
pub fn port_of(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((_, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => port,
        _ => "",
    }
}

impl ConsoleSettings {
    /// What stands before `/ui` in every address.
    pub fn base(&self) -> &str {
        self.base_url.as_ref().map_or("", |url| url.path.as_str())
    }

    /// Whether an `Origin` is the console's own: that of its public URL, else of whatever host was asked.
    pub fn is_own_origin(&self, origin: &str, host: &str) -> bool {
        match &self.base_url {
            Some(url) => origin.eq_ignore_ascii_case(&url.origin),
            None => {
                let authority = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
                authority.is_some_and(|authority| !authority.is_empty() && authority.eq_ignore_ascii_case(host))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(base: Option<&str>) -> ConsoleSettings {
        ConsoleSettings {
            api_port: 5000,
            page_size: 100,
            base_url: base.map(|base| base.parse().unwrap()),
            preview_origin: None,
            sessions_path: "x".into(),
        }
    }

    #[test]
    fn origins() {
        let own = settings(None);
        assert!(own.is_own_origin("http://node:5100", "node:5100"));
        assert!(own.is_own_origin("https://Node:5100", "node:5100"));
        for origin in ["http://node:5000", "http://node", "null", "", "http://", "ftp://node:5100"] {
            assert!(!own.is_own_origin(origin, "node:5100"), "{origin}");
        }
        let public = settings(Some("https://Store.Example/fsio/"));
        assert_eq!(public.base(), "/fsio");
        assert!(public.is_own_origin("https://store.example", "127.0.0.1:5100"));
        assert!(!public.is_own_origin("http://127.0.0.1:5100", "127.0.0.1:5100"));
    }

    #[test]
    fn ports() {
        assert_eq!(port_of("node:5100"), "5100");
        assert_eq!(port_of("[::1]:80"), "80");
        assert_eq!(port_of("[::1]"), "");
        assert_eq!(port_of("node"), "");
    }
}
