//! Object keys: any UTF-8 text of 1 to 1024 bytes. Nothing is normalised, trimmed or collapsed: `a`, `a/`, `a//b` and
//! `../x` are keys of their own (S3 User Guide, "Naming Amazon S3 objects").

use std::fmt;
use std::sync::Arc;

/// Longest key, in bytes of UTF-8.
pub const KEY_BYTES_MAX: usize = 1024;

/// An object key. Orders bytewise, as listings must. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey(Arc<str>);

/// Why bytes are not an object key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidObjectKey {
    /// No bytes at all.
    #[error("an object key has at least one byte")]
    Empty,
    /// More than [`KEY_BYTES_MAX`] bytes.
    #[error("an object key has at most {KEY_BYTES_MAX} bytes, this one has {size}")]
    TooLong {
        /// Length of the refused key in bytes.
        size: usize,
    },
    /// Not UTF-8.
    #[error("an object key is UTF-8 text")]
    NotUtf8,
}

impl ObjectKey {
    /// Checks the decoded bytes of a key.
    pub fn parse(bytes: &[u8]) -> Result<Self, InvalidObjectKey> {
        if bytes.is_empty() {
            return Err(InvalidObjectKey::Empty);
        }
        if bytes.len() > KEY_BYTES_MAX {
            return Err(InvalidObjectKey::TooLong { size: bytes.len() });
        }
        let text = std::str::from_utf8(bytes).map_err(|_| InvalidObjectKey::NotUtf8)?;
        Ok(Self(Arc::from(text)))
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key as the bytes by which listings order it.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_every_byte() {
        for key in ["a", "a/", "a//b", "../x", "/", " a ", "e\u{301}", "é", "\u{1}\n\t", "\0"] {
            assert_eq!(ObjectKey::parse(key.as_bytes()).unwrap().as_str(), key);
        }
    }

    #[test]
    fn bounds_are_in_bytes() {
        assert!(ObjectKey::parse("é".repeat(512).as_bytes()).is_ok());
        assert_eq!(ObjectKey::parse("é".repeat(513).as_bytes()), Err(InvalidObjectKey::TooLong { size: 1026 }));
        assert_eq!(ObjectKey::parse(b""), Err(InvalidObjectKey::Empty));
        assert_eq!(ObjectKey::parse(b"\xff"), Err(InvalidObjectKey::NotUtf8));
    }
}
