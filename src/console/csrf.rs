//! Against forged requests: where they come from (Fetch Metadata, `Origin`), and a token that only our pages know.
//!
//! API and console of one host are the same *site*, so cookies go with requests of a page that the API serves: SameSite helps
//! nothing, and only the same *origin* is let through.

use actix_http::RequestHead;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::ConsoleSettings;
use super::address::host;

/// Bytes of a token.
const TOKEN_BYTES: usize = 32;

/// The token of a session, or of a log-in form.
#[derive(Debug, Clone, Copy)]
pub struct Token([u8; TOKEN_BYTES]);

impl Token {
    /// The token that belongs to a secret of the browser's cookie.
    pub fn of(secret: &str) -> Self {
        let mut digest = Sha256::new();
        digest.update(b"myfsio console form\0");
        digest.update(secret.as_bytes());
        Self(digest.finalize().into())
    }

    /// As a form carries it: other bytes each time, so that a compressed page does not give it away bit by bit.
    pub fn masked(&self) -> String {
        let mut pad = [0; TOKEN_BYTES];
        // Without random numbers it is as good as unmasked, which is still secret.
        let _ = getrandom::fill(&mut pad);
        let hidden = self.0.iter().zip(pad).map(|(byte, pad)| byte ^ pad);
        URL_SAFE_NO_PAD.encode(pad.into_iter().chain(hidden).collect::<Vec<u8>>())
    }

    /// Whether a form carries this token.
    pub fn is(&self, masked: &str) -> bool {
        let Ok(bytes) = URL_SAFE_NO_PAD.decode(masked) else { return false };
        let Some((pad, hidden)) = bytes.split_at_checked(TOKEN_BYTES) else { return false };
        let token: Vec<u8> = pad.iter().zip(hidden).map(|(pad, byte)| pad ^ byte).collect();
        hidden.len() == TOKEN_BYTES && bool::from(token.as_slice().ct_eq(&self.0))
    }
}

/// Whether a request that changes something can come from one of our own pages, as far as the browser tells.
pub fn is_from_us(settings: &ConsoleSettings, head: &RequestHead) -> bool {
    let header = |name| head.headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    match (header("sec-fetch-site"), header("origin")) {
        (Some(site), origin) => {
            let is_ours = matches!(site, "same-origin" | "none");
            // Behind a proxy that changes the host both still hold; an origin that is another's never does.
            is_ours
                && origin.is_none_or(|origin| {
                    origin == "null" || settings.is_own_origin(origin, host(head)) || settings.base_url.is_none()
                })
        }
        (None, Some(origin)) => settings.is_own_origin(origin, host(head)),
        // No browser of today: its token decides.
        (None, None) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::{HeaderName, HeaderValue};

    fn judged(headers: &[(&'static str, &'static str)]) -> bool {
        let settings = ConsoleSettings {
            api_port: 5000,
            page_size: 100,
            base_url: None,
            preview_origin: None,
            sessions_path: "x".into(),
        };
        let mut head = RequestHead::default();
        for (name, value) in [("host", "node:5100")].iter().chain(headers) {
            head.headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        is_from_us(&settings, &head)
    }

    #[test]
    fn only_our_own_origin_passes() {
        assert!(judged(&[]));
        assert!(judged(&[("sec-fetch-site", "same-origin"), ("origin", "http://node:5100")]));
        assert!(judged(&[("sec-fetch-site", "none")]));
        assert!(judged(&[("origin", "http://node:5100")]));
        for site in ["same-site", "cross-site", "", "Same-Origin"] {
            assert!(!judged(&[("sec-fetch-site", site)]), "{site}");
        }
        assert!(!judged(&[("origin", "http://node:5000")]), "the API's own pages");
        assert!(!judged(&[("origin", "null")]));
    }

    #[test]
    fn tokens() {
        let token = Token::of("a");
        let (one, two) = (token.masked(), token.masked());
        assert_ne!(one, two);
        assert!(token.is(&one) && token.is(&two));
        assert!(!Token::of("b").is(&one));
        for other in ["", "x", &one[1..], &format!("{one}AAAA")] {
            assert!(!token.is(other), "{other}");
        }
    }
}
