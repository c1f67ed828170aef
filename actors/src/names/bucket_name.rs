//! Bucket names: S3 User Guide, "Bucket naming rules", and the names that the node's own routes reserve.

use std::fmt;
use std::sync::Arc;

/// Names refused at creation since routes of the API port begin with them (docs/routes.md).
pub const RESERVED_BUCKET_NAMES: [&str; 7] =
    ["healthz", "presign", "bucket-policy", "kms", "bucket", "ui", "v20180820"];

/// A valid bucket name: 3 to 63 of `a-z 0-9 . -`. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BucketName(Arc<str>);

/// Why a text is not a bucket name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct InvalidBucketName {
    reason: &'static str,
}

impl BucketName {
    /// Parses `name` by the naming rules of general purpose buckets. Errs with the rule that it breaks.
    pub fn parse(name: &str) -> Result<Self, InvalidBucketName> {
        match broken_rule(name) {
            Some(reason) => Err(InvalidBucketName { reason }),
            None => Ok(Self(Arc::from(name))),
        }
    }

    /// Refuses what no new bucket may be called, while one that is there keeps its name: parts between dots that begin or end with a
    /// hyphen are no names of hosts, by which buckets are addressed (RFC 952).
    pub fn check_new(&self) -> Result<(), InvalidBucketName> {
        match self.0.contains("-.") || self.0.contains(".-") {
            true => Err(InvalidBucketName { reason: "a bucket name has no dot beside a hyphen" }),
            false => Ok(()),
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn broken_rule(name: &str) -> Option<&'static str> {
    let bytes = name.as_bytes();
    let alphanumeric = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    if !(3..=63).contains(&bytes.len()) {
        return Some("a bucket name has 3 to 63 characters");
    }
    if !bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-')) {
        return Some("a bucket name consists of lower-case letters, digits, dots and hyphens");
    }
    if !alphanumeric(bytes.first()) || !alphanumeric(bytes.last()) {
        return Some("a bucket name begins and ends with a letter or digit");
    }
    if name.contains("..") {
        return Some("a bucket name has no two dots in a row");
    }
    if is_ipv4(name) {
        return Some("a bucket name is not formatted as an IP address");
    }
    const PREFIXES: [&str; 3] = ["xn--", "sthree-", "amzn-s3-demo-"];
    const SUFFIXES: [&str; 5] = ["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"];
    if PREFIXES.iter().any(|p| name.starts_with(p)) {
        return Some("a bucket name does not begin with a prefix that S3 reserves");
    }
    if SUFFIXES.iter().any(|s| name.ends_with(s)) {
        return Some("a bucket name does not end with a suffix that S3 reserves");
    }
    if RESERVED_BUCKET_NAMES.contains(&name) {
        return Some("this name is reserved for a route of this server");
    }
    None
}

fn is_ipv4(name: &str) -> bool {
    let mut count = 0;
    name.split('.').all(|part| {
        count += 1;
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit())
    }) && count == 4
}

impl fmt::Display for BucketName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for BucketName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_what_s3_accepts() {
        for name in ["abc", "a.b", "my-bucket.2024", "1-2", "192.168.5", "192.168.5.4a", &"a".repeat(63)] {
            assert!(BucketName::parse(name).is_ok(), "{name}");
        }
    }

    #[test]
    fn new_names_are_names_of_hosts() {
        for (name, is_good) in [("foo-.bar", false), ("foo.-bar", false), ("foo-bar.a--b", true)] {
            assert_eq!(BucketName::parse(name).unwrap().check_new().is_ok(), is_good, "{name}");
        }
    }

    #[test]
    fn refuses_what_s3_refuses() {
        let long = "a".repeat(64);
        for name in [
            "",
            "ab",
            &long,
            "Abc",
            "a_b",
            "-ab",
            "ab-",
            ".ab",
            "ab.",
            "a..b",
            "192.168.5.4",
            "xn--abc",
            "sthree-x",
            "abc-s3alias",
            "abc--ol-s3",
            "abc--x-s3",
            "kms",
            "healthz",
            "bucket",
            "v20180820",
            "a/b",
            "a b",
            "äbc",
        ] {
            assert!(BucketName::parse(name).is_err(), "{name}");
        }
    }
}
