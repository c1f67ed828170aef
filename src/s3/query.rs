//! The query of a request, decoded once.
//!
//! Whoever needs a parameter asks here; nobody else decodes. `+` means a space, as S3 reads queries (in a path it is a
//! plus sign). The signature is computed over the raw text, never over these values.

use super::error::{ErrorCode, S3Error};

/// Most parameters of one request.
const PARAMETERS_MAX: usize = 256;

/// Decoded parameters in the order of the request; repeated names are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    pairs: Vec<(String, String)>,
}

impl Query {
    /// Decodes the text behind `?`. Errs: InvalidURI on a malformed escape, text that is not UTF-8, or too many
    /// parameters.
    pub fn parse(raw: &str) -> Result<Self, S3Error> {
        let mut pairs = Vec::new();
        for piece in raw.split('&').filter(|piece| !piece.is_empty()) {
            if pairs.len() >= PARAMETERS_MAX {
                return Err(S3Error::with_message(ErrorCode::InvalidURI, "The query has too many parameters."));
            }
            let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
            pairs.push((decode_text(name)?, decode_text(value)?));
        }
        Ok(Self { pairs })
    }

    /// The first value of a parameter; empty text for `?name` without `=`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// The first value of a parameter that is neither absent nor empty.
    pub fn get_filled(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    /// Whether the parameter is there, with or without a value.
    pub fn has(&self, name: &str) -> bool {
        self.pairs.iter().any(|(n, _)| n == name)
    }

    /// Adds a parameter that the path stands for, unless it is there.
    pub fn imply(&mut self, name: &str) {
        if !self.has(name) {
            self.pairs.push((name.to_owned(), String::new()));
        }
    }

    /// All parameters in the order of the request.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

fn decode_text(raw: &str) -> Result<String, S3Error> {
    // Most names and values have nothing to decode.
    if memchr::memchr2(b'%', b'+', raw.as_bytes()).is_none() {
        return Ok(raw.to_owned());
    }
    percent_decode(raw.as_bytes(), true)
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| S3Error::with_message(ErrorCode::InvalidURI, "The query is not percent-encoded UTF-8."))
}

/// Decodes `%XX` once; `None` on a `%` that two hexadecimal digits do not follow.
pub fn percent_decode(raw: &[u8], plus_is_space: bool) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(raw.len());
    let mut rest = raw.iter();
    while let Some(&byte) = rest.next() {
        decoded.push(match byte {
            b'%' => (hex_digit(*rest.next()?)? << 4) | hex_digit(*rest.next()?)?,
            b'+' if plus_is_space => b' ',
            other => other,
        });
    }
    Some(decoded)
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn decodes_once() {
        let query = Query::parse("prefix=a%2Fb+c%252F&acl&x-id=GetObject&=v&prefix=second&&e=").unwrap();
        assert_eq!(query.get("prefix"), Some("a/b c%2F"));
        assert_eq!(query.get("acl"), Some(""));
        assert_eq!(query.get_filled("acl"), None);
        assert!(query.has("x-id") && !query.has("id") && query.has(""));
        assert_eq!(query.iter().count(), 6);
    }

    #[test]
    fn refuses_malformed_escapes() {
        for raw in ["a=%", "a=%4", "a=%zz", "%ff=a", "a=%c3%28", "a=%+1"] {
            assert_eq!(Query::parse(raw).unwrap_err().code(), ErrorCode::InvalidURI, "{raw}");
        }
        assert!(Query::parse(&"a&".repeat(256)).is_ok());
        assert!(Query::parse(&"a&".repeat(257)).is_err());
    }

    proptest! {
        #[test]
        fn round_trips(pairs in proptest::collection::vec((".{0,20}", ".{0,20}"), 0..8)) {
            let encode = |text: &str| text.bytes().map(|b| format!("%{b:02x}")).collect::<String>();
            let raw: Vec<_> = pairs.iter().map(|(n, v)| format!("{}={}", encode(n), encode(v))).collect();
            let query = Query::parse(&raw.join("&")).unwrap();
            let decoded: Vec<_> = query.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
            prop_assert_eq!(decoded, pairs);
        }

        #[test]
        fn never_panics(raw in ".{0,200}") {
            let _ = Query::parse(&raw);
        }
    }
}
