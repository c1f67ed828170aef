//! Continuation tokens of ListObjectsV2 and ListBuckets: opaque to clients, stateless for the node.
//!
//! A token is base64url over a version byte, the kind of listing, flags, the last key or common prefix given, and a
//! checksum. The checksum is no secret: it only tells a token from text that a client made up or cut off, so that such
//! text is refused rather than taken for some key. Whoever forges one gains nothing, since each page is authorised and
//! filtered like the first.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use crc_fast::{CrcAlgorithm, checksum};
use myfsio_actors::names::KEY_BYTES_MAX;

const VERSION: u8 = 1;
const FLAG_PREFIX: u8 = 1;
const CHECKSUM_BYTES: usize = 4;
/// Longest token text worth decoding: a key or common prefix of full length with the bytes around it.
const TOKEN_BYTES_MAX: usize = (KEY_BYTES_MAX + 16) * 4 / 3 + 4;

/// Which listing a token continues; a token of one is none of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// ListObjectsV2.
    Objects,
    /// ListBuckets.
    Buckets,
}

impl TokenKind {
    fn byte(self) -> u8 {
        match self {
            Self::Objects => b'o',
            Self::Buckets => b'b',
        }
    }
}

/// Where a listing goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListingToken {
    /// Begin behind this key, common prefix or bucket name.
    pub after: String,
    /// `after` is a common prefix: begin behind all keys that begin with it.
    pub after_is_prefix: bool,
}

impl ListingToken {
    /// The token's text.
    pub fn encode(&self, kind: TokenKind) -> String {
        let mut bytes = Vec::with_capacity(self.after.len() + 3 + CHECKSUM_BYTES);
        bytes.extend([VERSION, kind.byte(), if self.after_is_prefix { FLAG_PREFIX } else { 0 }]);
        bytes.extend_from_slice(self.after.as_bytes());
        let sum = token_checksum(&bytes);
        bytes.extend(sum);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a token of `kind`; `None` for any other text.
    pub fn decode(text: &str, kind: TokenKind) -> Option<Self> {
        if text.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (head, sum) = bytes.split_last_chunk::<CHECKSUM_BYTES>()?;
        let ([VERSION, kind_byte, flags], after) = head.split_first_chunk::<3>()? else {
            return None;
        };
        if *sum != token_checksum(head) || *kind_byte != kind.byte() || *flags > FLAG_PREFIX {
            return None;
        }
        let after = String::from_utf8(after.to_vec()).ok()?;
        Some(Self { after, after_is_prefix: *flags == FLAG_PREFIX })
    }
}

fn token_checksum(bytes: &[u8]) -> [u8; CHECKSUM_BYTES] {
    // The value of a 32-bit CRC is the low half.
    (checksum(CrcAlgorithm::Crc32IsoHdlc, bytes) as u32).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn junk_is_refused() {
        let good = ListingToken { after: "a".into(), after_is_prefix: false }.encode(TokenKind::Objects);
        assert!(ListingToken::decode(&good, TokenKind::Objects).is_some());
        assert!(ListingToken::decode(&good, TokenKind::Buckets).is_none());
        for bad in ["", "a", "AAAA", "AW8AYQAAAAA", "not base64!", &good[1..], &format!("{good}A"), &"A".repeat(5000)] {
            assert!(ListingToken::decode(bad, TokenKind::Objects).is_none(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn round_trips(after in "(?s).{0,256}", after_is_prefix: bool) {
            let token = ListingToken { after, after_is_prefix };
            let text = token.encode(TokenKind::Objects);
            prop_assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
            prop_assert_eq!(ListingToken::decode(&text, TokenKind::Objects), Some(token));
        }

        #[test]
        fn never_panics(text in any::<String>()) {
            let _ = ListingToken::decode(&text, TokenKind::Objects);
        }
    }
}
