//! Entity tags: the MD5 of a simple object, or the MD5 of the parts' MD5s with their number for a multipart object.

use std::fmt;

/// An ETag. Displays without quotation marks: `<32 hex>` or `<32 hex>-<parts>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ETag {
    /// Raw digest.
    pub md5: [u8; 16],
    /// Number of parts when the object was assembled by CompleteMultipartUpload.
    pub parts: Option<u16>,
}

/// The text is not an ETag of this server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an ETag: 32 hexadecimal digits, optionally with -<parts>")]
pub struct InvalidETag;

impl ETag {
    /// The ETag of an object written by one request.
    pub fn single(md5: [u8; 16]) -> Self {
        Self { md5, parts: None }
    }

    /// Parses `abc…`, `"abc…"` and `abc…-7`; entity references are the XML reader's business.
    pub fn parse(text: &str) -> Result<Self, InvalidETag> {
        let text = text.trim();
        let text = text.strip_prefix('"').and_then(|t| t.strip_suffix('"')).unwrap_or(text);
        let (digest, parts) = match text.split_once('-') {
            Some((digest, parts)) => {
                if parts.is_empty() || !parts.bytes().all(|b| b.is_ascii_digit()) {
                    return Err(InvalidETag);
                }
                (digest, Some(parts.parse().map_err(|_| InvalidETag)?))
            }
            None => (text, None),
        };
        let mut md5 = [0; 16];
        hex::decode_to_slice(digest, &mut md5).map_err(|_| InvalidETag)?;
        Ok(Self { md5, parts })
    }
}

impl fmt::Display for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = [0; 32];
        hex::encode_to_slice(self.md5, &mut digits).map_err(|_| fmt::Error)?;
        f.write_str(std::str::from_utf8(&digits).map_err(|_| fmt::Error)?)?;
        match self.parts {
            Some(parts) => write!(f, "-{parts}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips() {
        for text in ["d41d8cd98f00b204e9800998ecf8427e", "d41d8cd98f00b204e9800998ecf8427e-10000"] {
            assert_eq!(ETag::parse(text).unwrap().to_string(), text);
            assert_eq!(ETag::parse(&format!("\"{text}\"")).unwrap().to_string(), text);
        }
    }

    #[test]
    fn refuses_other_text() {
        for text in ["", "\"", "abc", "d41d8cd98f00b204e9800998ecf8427e-", "d41d8cd98f00b204e9800998ecf8427e-+1", "*"] {
            assert!(ETag::parse(text).is_err(), "{text}");
        }
    }
}
