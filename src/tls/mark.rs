//! What a request knows of its client's TLS: a header that the node writes itself, in place of whatever the client says.
//!
//! A header, since heads are what decisions, logs and the console pass on. INVARIANT: [`stamp`] looks at every request before anything
//! else does.

use actix_http::{Request, RequestHead};
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};

use super::version::TlsVersion;
use crate::config::TrustedProxies;

/// The header: version and cipher suite.
pub const HEADER: &str = "x-myfsio-tls";
/// The same, ready to be looked up in every request.
static NAME: HeaderName = HeaderName::from_static(HEADER);

/// How a connection is sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark(HeaderValue);

impl Mark {
    /// Of a connection of this version and suite.
    pub fn new(version: TlsVersion, suite: &str) -> Option<Self> {
        Self::parse(&format!("{} {suite}", version.number()))
    }

    /// Reads the words that [`Mark::text`] gives.
    pub fn parse(text: &str) -> Option<Self> {
        let (version, suite) = text.split_once(' ')?;
        version.parse::<TlsVersion>().ok()?;
        let is_word = !suite.is_empty() && suite.bytes().all(|byte| byte.is_ascii_graphic());
        is_word.then(|| HeaderValue::from_str(text).ok().map(Self))?
    }

    /// In words, for another process of the node.
    pub fn text(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }
}

/// Writes into a request what is known of its client's TLS. Behind a proxy that `TRUSTED_PROXIES` lists and that tells of the client, the
/// connection is the proxy's, and says nothing of the client's.
pub fn stamp(request: &mut Request, proxies: &TrustedProxies) {
    let mark = request.conn_data::<Mark>().cloned();
    let head = request.head_mut();
    head.headers.remove(&NAME);
    if let Some(Mark(value)) = mark
        && !a_proxy_tells(head, proxies)
    {
        head.headers.insert(NAME.clone(), value);
    }
}

fn a_proxy_tells(head: &RequestHead, proxies: &TrustedProxies) -> bool {
    head.headers.contains_key("x-forwarded-proto")
        && head.peer_addr.is_some_and(|peer| proxies.may_name_client(peer.ip()))
}

/// Whether the connection is sealed to the client itself.
pub fn client_is_secure(headers: &HeaderMap) -> bool {
    headers.contains_key(&NAME)
}

/// The version that the client speaks.
pub fn client_version(headers: &HeaderMap) -> Option<TlsVersion> {
    words(headers)?.0.parse().ok()
}

/// The cipher suite, as OpenSSL names it.
pub fn client_suite(headers: &HeaderMap) -> Option<&str> {
    Some(words(headers)?.1)
}

fn words(headers: &HeaderMap) -> Option<(&str, &str)> {
    headers.get(&NAME)?.to_str().ok()?.split_once(' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_read_as_they_were_written() {
        let mark = Mark::new(TlsVersion::V1_3, "TLS_AES_128_GCM_SHA256").unwrap();
        assert_eq!(Mark::parse(mark.text()), Some(mark.clone()));
        let mut headers = HeaderMap::new();
        assert!(!client_is_secure(&headers) && client_version(&headers).is_none());
        headers.insert(HeaderName::from_static(HEADER), mark.0);
        assert!(client_is_secure(&headers));
        assert_eq!(client_version(&headers), Some(TlsVersion::V1_3));
        assert_eq!(client_suite(&headers), Some("TLS_AES_128_GCM_SHA256"));
        for text in ["", "1.3", "1.1 X", "1.3 ", "1.3 a b"] {
            assert_eq!(Mark::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn nobody_says_it_of_himself() {
        let proxies = TrustedProxies::private_ranges();
        let mut request = Request::new();
        request.head_mut().headers.insert(HeaderName::from_static(HEADER), HeaderValue::from_static("1.3 X"));
        request.head_mut().headers.append(HeaderName::from_static(HEADER), HeaderValue::from_static("1.2 Y"));
        stamp(&mut request, &proxies);
        assert!(!client_is_secure(&request.head().headers));
    }
}
