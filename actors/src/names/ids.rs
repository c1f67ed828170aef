//! Identifiers that the node hands out or that name principals.

use std::fmt;
use std::sync::Arc;

use super::Stamp;

/// The text is not a well-formed identifier of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed identifier")]
pub struct InvalidId;

/// Number of a bucket, never reused: rows and folder work carry it, so that work for a deleted bucket cannot touch a
/// later one of the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BucketId(pub u64);

/// Version of an object: `null`, or one made by this node from the commit stamp and 64 random bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VersionId {
    /// The version written while versioning was off or suspended.
    Null,
    /// A version of its own. Ids of one key ascend with their stamps.
    Unique {
        /// Commit stamp.
        stamp: Stamp,
        /// Random bits, so that an id cannot be guessed from a time.
        random: u64,
    },
}

impl VersionId {
    /// Parses `null` or 32 hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        if text == "null" {
            return Ok(Self::Null);
        }
        let (stamp, random) = parse_pair(text)?;
        Ok(Self::Unique { stamp: Stamp(stamp), random })
    }
}

impl fmt::Display for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Unique { stamp, random } => write!(f, "{:016x}{random:016x}", stamp.0),
        }
    }
}

/// Multipart upload id: the stamp of its initiation, by which listings order uploads of one key, and 64 random bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UploadId {
    /// When the upload was initiated.
    pub stamp: Stamp,
    /// Random bits, so that an id cannot be guessed.
    pub random: u64,
}

impl UploadId {
    /// Parses 32 hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        let (stamp, random) = parse_pair(text)?;
        Ok(Self { stamp: Stamp(stamp), random })
    }
}

impl fmt::Display for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}{:016x}", self.stamp.0, self.random)
    }
}

fn parse_pair(text: &str) -> Result<(u64, u64), InvalidId> {
    let mut bytes = [0; 16];
    if text.bytes().any(|b| b.is_ascii_uppercase()) {
        return Err(InvalidId);
    }
    hex::decode_to_slice(text, &mut bytes).map_err(|_| InvalidId)?;
    let pair = u128::from_be_bytes(bytes);
    Ok(((pair >> 64) as u64, pair as u64))
}

/// Canonical user id of an owner: 64 hexadecimal digits. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CanonicalId(Arc<str>);

impl CanonicalId {
    /// Parses 64 lower-case hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        let digits = text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if text.len() == 64 && digits { Ok(Self(Arc::from(text))) } else { Err(InvalidId) }
    }

    /// The id of raw bytes, such as a digest.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        let mut digits = [0; 64];
        // Twice as long as the bytes; `hex::encode` goes character by character.
        let _always_fits = hex::encode_to_slice(bytes, &mut digits);
        Self(std::str::from_utf8(&digits).unwrap_or_default().into())
    }

    /// The raw bytes.
    pub fn to_bytes(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        // Digits are checked when an id is made.
        let _always_decodes = hex::decode_to_slice(self.0.as_bytes(), &mut bytes);
        bytes
    }

    /// The 64 digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl serde::Serialize for CanonicalId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for CanonicalId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for CanonicalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for CanonicalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Access key id: 1 to 128 printable ASCII characters without spaces, commas, slashes and equal signs (SigV4 uses these
/// as separators). Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccessKeyId(Arc<str>);

impl AccessKeyId {
    /// Checks the characters.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        let fits = |b: u8| b.is_ascii_graphic() && !matches!(b, b',' | b'/' | b'=');
        let good = (1..=128).contains(&text.len()) && text.bytes().all(fits);
        if good { Ok(Self(Arc::from(text))) } else { Err(InvalidId) }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccessKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for AccessKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_round_trip() {
        let id = VersionId::Unique { stamp: Stamp(1_700_000_000_000_000_000), random: 7 };
        assert_eq!(VersionId::parse(&id.to_string()), Ok(id));
        assert_eq!(VersionId::parse("null"), Ok(VersionId::Null));
        let upload = UploadId { stamp: Stamp(5), random: u64::MAX };
        assert_eq!(UploadId::parse(&upload.to_string()), Ok(upload));
    }

    #[test]
    fn other_text_is_refused() {
        for text in ["", "NULL", "0", &"0".repeat(31), &"0".repeat(33), &"A".repeat(32), &"g".repeat(32)] {
            assert!(VersionId::parse(text).is_err(), "{text}");
            assert!(UploadId::parse(text).is_err(), "{text}");
        }
        assert!(AccessKeyId::parse("a/b").is_err());
        assert!(AccessKeyId::parse("localadmin").is_ok());
        assert!(CanonicalId::parse(&"A".repeat(64)).is_err());
    }
}
