//! Addresses of pages, built from parts by one encoding. Keys stand in the query, never in the path: a key such as `../x` or `a//b`
//! survives every proxy there.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What stays as it is: the unreserved characters of RFC 3986, section 2.3.
const PART: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A part of an address.
pub fn encode(part: &str) -> String {
    utf8_percent_encode(part, PART).to_string()
}

/// An address below `/ui`. Parts of the path, then names and values of the query; empty values are left out.
pub fn link(path: &[&str], query: &[(&str, &str)]) -> String {
    let mut address = String::from("/ui");
    for part in path {
        address.push('/');
        address.push_str(&encode(part));
    }
    let filled = query.iter().filter(|(_, value)| !value.is_empty());
    for (at, (name, value)) in filled.enumerate() {
        address.push(if at == 0 { '?' } else { '&' });
        address.push_str(&format!("{}={}", encode(name), encode(value)));
    }
    address
}

/// A page of a bucket.
pub fn bucket(bucket: &str, page: &str) -> String {
    link(&["buckets", bucket, page], &[])
}

/// The listing below a prefix.
pub fn browse(bucket: &str, prefix: &str) -> String {
    link(&["buckets", bucket, "browse"], &[("prefix", prefix)])
}

/// The page of an object, or of one version of it.
pub fn object(bucket: &str, key: &str, version: &str) -> String {
    link(&["buckets", bucket, "object"], &[("key", key), ("version", version)])
}

/// The access control list of an object, or of one version of it.
pub fn object_list(bucket: &str, key: &str, version: &str) -> String {
    link(&["buckets", bucket, "object-acl"], &[("key", key), ("version", version)])
}

/// Two versions of an object side by side, the first on the left.
pub fn comparison(bucket: &str, key: &str, version: &str, other: &str) -> String {
    link(&["buckets", bucket, "compare"], &[("key", key), ("version", version), ("other", other)])
}

/// Where a log-in goes on to, if that is a page of ours: a path, never another host.
pub fn safe_next(next: &str) -> &str {
    let is_page = next == "/ui" || next.starts_with("/ui/") || next.starts_with("/ui?");
    let is_plain = next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if is_page && is_plain && next.len() <= 4096 { next } else { "/ui" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_encoded() {
        assert_eq!(link(&["buckets", "a b"], &[]), "/ui/buckets/a%20b");
        assert_eq!(object("b", "../ä?&=#\u{202e}", ""), "/ui/buckets/b/object?key=..%2F%C3%A4%3F%26%3D%23%E2%80%AE");
        assert_eq!(browse("b", ""), "/ui/buckets/b/browse");
    }

    #[test]
    fn only_our_own_pages_follow_a_log_in() {
        for next in ["/ui", "/ui/buckets?x=%2F", "/ui?a"] {
            assert_eq!(safe_next(next), next);
        }
        for next in ["", "//evil", "/\\evil", "https://evil", "/uix", "/ui/\\evil", "/ui/\r\nx", "javascript:alert(1)"]
        {
            assert_eq!(safe_next(next), "/ui", "{next}");
        }
    }
}
