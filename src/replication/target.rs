//! Where the requests of a connection go: its endpoint, and the paths of buckets and keys there. Pure.

use std::fmt;

use reqwest::Url;

use crate::s3::auth::canonical::encode;

/// The S3 endpoint of a connection: scheme, host and port, and the path that stands in front of the bucket's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    url: Url,
    /// What `Host` will say.
    authority: String,
    /// Without a slash at its end.
    base: String,
}

impl Endpoint {
    /// Parses an http or https URL. Errs: why it is none that can be used, without its text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let url = Url::parse(text.trim()).map_err(|error| format!("the endpoint is no URL: {error}"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err("the endpoint is no http or https URL".to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("the endpoint has a user or password in it".to_owned());
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err("the endpoint has a query or fragment in it".to_owned());
        }
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or("the endpoint has no host")?;
        let authority = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        let base = url.path().trim_end_matches('/').to_owned();
        Ok(Self { authority, base, url })
    }

    /// The URL, for those who judge its address.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// What `Host` will say.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The path of the node's own routes, or of another below the endpoint.
    pub fn path(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// The path of a bucket, or of a key in it. None for the keys `.` and `..`, which no URL can hold (RFC 3986 §5.2.4).
    pub fn path_of(&self, bucket: &str, key: Option<&str>) -> Option<String> {
        let bucket = encode(bucket.as_bytes(), false);
        let Some(key) = key else { return Some(self.path(&format!("/{bucket}"))) };
        let is_dots = |part: &str| matches!(part, "." | "..");
        if is_dots(key) {
            return None;
        }
        // Parts that are dots would be resolved on the way, so that the slashes around them are escaped, which makes one part of all.
        let keeps_slashes = !key.split('/').any(is_dots);
        Some(self.path(&format!("/{bucket}/{}", encode(key.as_bytes(), keeps_slashes))))
    }

    /// The URL of a path and query, both percent-encoded already. None when it would not be sent as it is written.
    pub fn url_of(&self, path: &str, query: &str) -> Option<Url> {
        let mut url = self.url.clone();
        url.set_path(path);
        url.set_query(Some(query).filter(|query| !query.is_empty()));
        (url.path() == path && url.query().unwrap_or_default() == query).then_some(url)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.url.scheme(), self.authority, self.base)
    }
}

/// A query of names and values, percent-encoded; an empty value stands without `=`, as S3 writes sub-resources.
pub fn query(pairs: &[(&str, &str)]) -> String {
    let pair = |(name, value): &(&str, &str)| match value.is_empty() {
        true => encode(name.as_bytes(), false),
        false => format!("{}={}", encode(name.as_bytes(), false), encode(value.as_bytes(), false)),
    };
    pairs.iter().map(pair).collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn endpoints() {
        for (text, authority, path) in [
            ("http://a:5000", "a:5000", "/b/k"),
            ("https://a:443/", "a", "/b/k"),
            ("http://[::1]:5000/s3/", "[::1]:5000", "/s3/b/k"),
            ("https://a/x%20y", "a", "/x%20y/b/k"),
        ] {
            let endpoint = Endpoint::parse(text).unwrap();
            assert_eq!((endpoint.authority(), endpoint.path_of("b", Some("k")).as_deref()), (authority, Some(path)));
        }
        for bad in
            ["", "a", "ftp://a", "http://", "http://u@a", "http://u:p@a", "http://a?x", "http://a#x", "file:///a"]
        {
            assert!(Endpoint::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn queries() {
        assert_eq!(query(&[("uploads", ""), ("prefix", "a b/&")]), "uploads&prefix=a%20b%2F%26");
    }

    proptest! {
        /// Whatever the key, the URL asks for this key.
        #[test]
        fn keys_survive(key in "[-a./%~é ?#+*'\\\\:\u{1}]{1,12}") {
            let endpoint = Endpoint::parse("http://a:1/base").unwrap();
            match endpoint.path_of("b", Some(&key)) {
                None => prop_assert!(matches!(key.as_str(), "." | "..")),
                Some(path) => {
                    let url = endpoint.url_of(&path, "x=1").unwrap();
                    let asked = url.path().strip_prefix("/base/b/").unwrap();
                    let decoded = percent_encoding::percent_decode_str(asked).decode_utf8().unwrap().into_owned();
                    prop_assert_eq!(decoded, key);
                }
            }
        }
    }
}
