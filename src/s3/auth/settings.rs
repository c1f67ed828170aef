//! What authentication is configured with, and what a proxy in front may claim.
//!
//! Two degrees of trust: the default ranges (loopback and private) are believed about the host and scheme that the
//! client used; the client's address is believed only from proxies that the operator listed.

use std::net::IpAddr;
use std::str::FromStr;

use super::signing_keys::SigningKeys;
use crate::config::TrustedProxies;
use crate::s3::request_head::RequestHead;

/// Settings of authentication.
#[derive(Debug, Clone)]
pub struct AuthSettings {
    /// Region of the credential scope (`AWS_REGION`).
    pub region: String,
    /// Service of the credential scope (`AWS_SERVICE`).
    pub service: String,
    /// Public URL of the API (`API_BASE_URL`).
    pub api_base_url: Option<PublicUrl>,
    /// Domains whose subdomains are buckets (`BASE_DOMAINS`).
    pub base_domains: Vec<String>,
    /// Proxies whose forwarded headers count (`TRUSTED_PROXIES`).
    pub trusted_proxies: TrustedProxies,
    /// Signing keys that were derived lately.
    pub signing_keys: SigningKeys,
}

impl Default for AuthSettings {
    fn default() -> Self {
        Self {
            region: "us-east-1".to_owned(),
            service: "s3".to_owned(),
            api_base_url: None,
            base_domains: Vec::new(),
            trusted_proxies: TrustedProxies::private_ranges(),
            signing_keys: SigningKeys::default(),
        }
    }
}

/// The text is not what the setting takes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSetting {
    /// Not a public URL.
    #[error("`{0}` is not a URL of the form http(s)://host[:port][/prefix]")]
    Url(String),
}

/// A public URL: scheme, host with port, path prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl {
    /// Whether the scheme is https.
    pub https: bool,
    /// Host, lower case, with its port unless that is the scheme's own.
    pub authority: String,
    /// Path prefix without a trailing slash; empty when there is none.
    pub path_prefix: String,
}

impl PublicUrl {
    /// As it is written.
    pub fn text(&self) -> String {
        let scheme = if self.https { "https" } else { "http" };
        format!("{scheme}://{}{}", self.authority, self.path_prefix)
    }
}

impl FromStr for PublicUrl {
    type Err = InvalidSetting;

    fn from_str(text: &str) -> Result<Self, InvalidSetting> {
        let bad = || InvalidSetting::Url(text.to_owned());
        let (scheme, rest) = text.trim().split_once("://").ok_or_else(bad)?;
        let https = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => return Err(bad()),
        };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let odd = |b: u8| !b.is_ascii_graphic() || matches!(b, b'@' | b'?' | b'#');
        if authority.is_empty() || authority.bytes().chain(path.bytes()).any(odd) {
            return Err(bad());
        }
        let default_port = if https { ":443" } else { ":80" };
        let authority = authority.to_ascii_lowercase();
        let authority = authority.strip_suffix(default_port).unwrap_or(&authority).to_owned();
        let path = path.trim_end_matches('/');
        let path_prefix = if path.is_empty() { String::new() } else { format!("/{path}") };
        Ok(Self { https, authority, path_prefix })
    }
}

/// The client's address: the peer's, or, behind a listed proxy, the last address of `X-Forwarded-For` that is not
/// itself such a proxy.
pub fn client_address(head: &RequestHead<'_>, proxies: &TrustedProxies) -> Option<IpAddr> {
    let listed = |peer: Option<IpAddr>| peer.is_some_and(|peer| proxies.may_name_client(peer));
    if !listed(head.peer) {
        return head.peer;
    }
    let hops: Vec<&str> = head
        .headers
        .get_all("x-forwarded-for")
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .collect();
    let mut client = head.peer;
    for hop in hops.iter().rev() {
        let Ok(address) = hop.parse::<IpAddr>() else { break };
        client = Some(address);
        if !listed(client) {
            break;
        }
    }
    client
}

/// Whether the client's request came over TLS: the connection's own, or, behind a listed proxy, what that proxy says in the last
/// `X-Forwarded-Proto`. Earlier values may be the client's.
pub fn is_secure(head: &RequestHead<'_>, proxies: &TrustedProxies) -> bool {
    if !head.peer.is_some_and(|peer| proxies.may_name_client(peer)) {
        return head.secure;
    }
    let told = head.headers.get_all("x-forwarded-proto").last();
    let last = told.and_then(|value| value.to_str().ok()?.rsplit(',').next());
    last.map_or(head.secure, |scheme| scheme.trim().eq_ignore_ascii_case("https"))
}

/// The first `X-Forwarded-Host`, when the peer is a trusted proxy.
pub fn forwarded_host<'a>(head: &RequestHead<'a>, proxies: &TrustedProxies) -> Option<&'a str> {
    if head.peer.is_some_and(|peer| proxies.may_name_host(peer)) { claimed_host(head) } else { None }
}

/// The first `X-Forwarded-Host`, whoever sent it.
pub fn claimed_host<'a>(head: &RequestHead<'a>) -> Option<&'a str> {
    let host = head.header("x-forwarded-host")?.split(',').next()?.trim();
    (!host.is_empty()).then_some(host)
}

/// The forwarded host without the scheme's own port, which some proxies add and clients do not sign; none where it has none.
pub fn forwarded_host_without_port<'a>(head: &RequestHead<'a>, proxies: &TrustedProxies) -> Option<&'a str> {
    let host = forwarded_host(head, proxies)?;
    host.strip_suffix(":443").or_else(|| host.strip_suffix(":80"))
}

/// Where the client reaches the API: `API_BASE_URL`, else what a trusted proxy says, else what the request itself says. None
/// when no host is named.
pub fn public_url(head: &RequestHead<'_>, settings: &AuthSettings) -> Option<PublicUrl> {
    if let Some(url) = &settings.api_base_url {
        return Some(url.clone());
    }
    let is_trusted = head.peer.is_some_and(|peer| settings.trusted_proxies.may_name_host(peer));
    let claimed = head.header("x-forwarded-proto").filter(|_| is_trusted).and_then(|all| all.split(',').next());
    let https = match claimed.map(|scheme| scheme.trim().to_ascii_lowercase()).as_deref() {
        Some("https") => true,
        Some("http") => false,
        _ => head.secure,
    };
    let scheme = if https { "https" } else { "http" };
    let hosts = [forwarded_host(head, &settings.trusted_proxies), Some(head.host())];
    let url = |host: &str| format!("{scheme}://{host}").parse::<PublicUrl>().ok();
    hosts.into_iter().flatten().filter_map(url).find(|url| url.path_prefix.is_empty())
}

/// Whether the request shows that the node can be reached from elsewhere: a forwarded header, a `Host` that is not
/// loopback, or a peer that is not. The well-known secret is refused on such a request.
pub fn exposed(head: &RequestHead<'_>) -> bool {
    let distant = head.peer.is_some_and(|peer| !peer.to_canonical().is_loopback());
    let forwarded = || {
        head.headers.keys().any(|name| {
            let name = name.as_str();
            name.starts_with("x-forwarded-") || matches!(name, "forwarded" | "x-real-ip" | "via")
        })
    };
    distant || !is_loopback_host(head.host()) || forwarded()
}

/// Splits a `Host` value into name and port. The brackets of an IPv6 address stay.
pub fn split_port(host: &str) -> (&str, Option<&str>) {
    match host.rsplit_once(':') {
        Some((name, port))
            if port.bytes().all(|b| b.is_ascii_digit()) && (!name.contains(':') || name.ends_with(']')) =>
        {
            (name, Some(port))
        }
        _ => (host, None),
    }
}

fn is_loopback_host(host: &str) -> bool {
    let name = split_port(host).0;
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    match bare.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => {
            let name = bare.to_ascii_lowercase();
            name == "localhost" || name.ends_with(".localhost")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        map
    }

    fn head(headers: &HeaderMap, peer: [u8; 4]) -> RequestHead<'_> {
        RequestHead {
            method: "GET",
            path: b"/",
            query: "",
            virtual_bucket: None,
            headers,
            peer: Some(IpAddr::from(peer)),
            secure: false,
            body_sha256: None,
        }
    }

    #[test]
    fn public_urls() {
        let url: PublicUrl = "HTTPS://S3.Example.com:443/files/".parse().unwrap();
        assert_eq!((url.https, url.authority.as_str(), url.path_prefix.as_str()), (true, "s3.example.com", "/files"));
        assert_eq!("http://a:9000".parse::<PublicUrl>().unwrap().authority, "a:9000");
        for bad in ["", "a", "ftp://a", "http://", "http://u@a", "http://a/?q"] {
            assert!(bad.parse::<PublicUrl>().is_err(), "{bad}");
        }
    }

    #[test]
    fn only_listed_proxies_speak_for_the_client() {
        let map = headers(&[("x-forwarded-for", "1.1.1.1, 8.8.8.8, 10.0.0.2")]);
        let seen = |proxies: &TrustedProxies, peer| client_address(&head(&map, peer), proxies).unwrap().to_string();
        assert_eq!(seen(&TrustedProxies::private_ranges(), [10, 0, 0, 1]), "10.0.0.1");
        let listed =
            TrustedProxies { networks: vec![crate::config::Network::parse("10.0.0.0/8").unwrap()], explicit: true };
        assert_eq!(seen(&listed, [10, 0, 0, 1]), "8.8.8.8");
        assert_eq!(seen(&listed, [9, 9, 9, 9]), "9.9.9.9");
    }

    #[test]
    fn only_listed_proxies_speak_of_tls() {
        let listed =
            TrustedProxies { networks: vec![crate::config::Network::parse("10.0.0.0/8").unwrap()], explicit: true };
        let private = TrustedProxies::private_ranges();
        let (proxy, stranger) = ([10, 0, 0, 1], [9, 9, 9, 9]);
        let said = |values: &[&'static str]| {
            let pairs: Vec<_> = values.iter().map(|value| ("x-forwarded-proto", *value)).collect();
            headers(&pairs)
        };
        for (values, expected) in [
            (&["https"][..], true),
            (&[" HTTPS "], true),
            (&["http, https"], true),
            (&["http", "https"], true),
            (&["https, http"], false),
            (&["https", "http"], false),
            (&["http"], false),
            (&["wss"], false),
            (&[""], false),
            (&[], false),
        ] {
            let map = said(values);
            assert_eq!(is_secure(&head(&map, proxy), &listed), expected, "{values:?}");
            assert!(!is_secure(&head(&map, stranger), &listed), "{values:?} of a stranger");
            assert!(!is_secure(&head(&map, proxy), &private), "{values:?} of a proxy that nobody listed");
        }
        let map = said(&["http"]);
        let over_tls = |peer| RequestHead { secure: true, ..head(&map, peer) };
        assert!(is_secure(&over_tls(stranger), &listed), "the connection's own");
        assert!(!is_secure(&over_tls(proxy), &listed), "the proxy knows what its client did");
        let map = said(&[]);
        assert!(is_secure(&RequestHead { secure: true, ..head(&map, proxy) }, &listed));
    }

    #[test]
    fn urls_begin_as_the_client_reaches_the_node() {
        let url = |pairs: &[(&'static str, &'static str)], peer, settings: &AuthSettings| {
            let map = headers(pairs);
            public_url(&head(&map, peer), settings).map(|url| format!("{} {}", url.https, url.authority))
        };
        let (own, proxy, stranger) = (("host", "Node:5000"), [10, 0, 0, 1], [8, 8, 8, 8]);
        let forwarded = [own, ("x-forwarded-host", "S3.example.com:443, inner"), ("x-forwarded-proto", "HTTPS, http")];
        let settings = AuthSettings::default();
        assert_eq!(url(&[own], stranger, &settings).unwrap(), "false node:5000");
        assert_eq!(url(&forwarded, proxy, &settings).unwrap(), "true s3.example.com");
        assert_eq!(url(&forwarded, stranger, &settings).unwrap(), "false node:5000");
        assert_eq!(url(&[own, ("x-forwarded-proto", "https")], proxy, &settings).unwrap(), "true node:5000");
        assert_eq!(url(&[own, ("x-forwarded-proto", "ftp")], proxy, &settings).unwrap(), "false node:5000");
        assert_eq!(url(&[own, ("x-forwarded-host", "a/b")], proxy, &settings).unwrap(), "false node:5000");
        assert_eq!(url(&[("host", "a@b")], proxy, &settings), None);
        assert_eq!(url(&[], proxy, &settings), None);
        let set = AuthSettings { api_base_url: "https://files.example.com".parse().ok(), ..settings };
        assert_eq!(url(&forwarded, proxy, &set).unwrap(), "true files.example.com");
        let map = headers(&forwarded);
        let bare = |peer| forwarded_host_without_port(&head(&map, peer), &set.trusted_proxies);
        assert_eq!((bare(stranger), bare(proxy)), (None, Some("S3.example.com")));
    }

    #[test]
    fn exposure() {
        for (pairs, peer, expected) in [
            (&[("host", "localhost:5000")][..], [127, 0, 0, 1], false),
            (&[("host", "b.localhost")][..], [127, 0, 0, 1], false),
            (&[("host", "[::1]:5000")][..], [127, 0, 0, 1], false),
            (&[("host", "127.0.0.2")][..], [127, 0, 0, 1], false),
            (&[("host", "localhost")][..], [10, 0, 0, 1], true),
            (&[("host", "example.com")][..], [127, 0, 0, 1], true),
            (&[("host", "localhost.example.com")][..], [127, 0, 0, 1], true),
            (&[][..], [127, 0, 0, 1], true),
            (&[("host", "localhost"), ("x-forwarded-proto", "http")][..], [127, 0, 0, 1], true),
            (&[("host", "localhost"), ("forwarded", "for=1.1.1.1")][..], [127, 0, 0, 1], true),
        ] {
            let map = headers(pairs);
            assert_eq!(exposed(&head(&map, peer)), expected, "{pairs:?}");
        }
    }
}
