//! From host and path to a bucket's website. Pure.

use myfsio_actors::names::BucketName;

use crate::s3::route::{virtual_bucket, without_port};

/// Through which listener a request came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// The API's: websites only under hosts of `WEBSITE_DOMAINS`.
    Api,
    /// `WEBSITE_PORT`: nothing but websites.
    Website,
}

/// What a request addresses of a website.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// The bucket; none when what is named can be none.
    pub bucket: Option<BucketName>,
    /// What stands in front of keys in the path: `/bucket` where the path names the bucket, else nothing.
    pub base: String,
    /// The key as sent: percent-encoded, without the slash in front.
    pub raw_key: String,
}

/// The website that a request addresses; none when it is one for the API.
///
/// A host under one of `domains` names the bucket in front of it. At the website's own door the bucket may also have the whole
/// host as its name, as with a CNAME, else the first segment of the path names it.
pub fn find(
    door: Door,
    host: Option<&str>,
    raw_path: &str,
    domains: &[String],
    exists: impl Fn(&BucketName) -> bool,
) -> Option<Site> {
    let path = raw_path.strip_prefix('/').unwrap_or(raw_path);
    let by_host = |bucket: Option<BucketName>| Site { bucket, base: String::new(), raw_key: path.to_owned() };
    if let Some(name) = host.and_then(|host| virtual_bucket(host, domains)) {
        return Some(by_host(BucketName::parse(&name).ok()));
    }
    if door == Door::Api {
        return None;
    }
    let named = host.map(without_port).and_then(|host| BucketName::parse(&host.to_ascii_lowercase()).ok());
    if let Some(bucket) = named.filter(exists) {
        return Some(by_host(Some(bucket)));
    }
    let (first, rest) = path.split_once('/').unwrap_or((path, ""));
    Some(Site { bucket: BucketName::parse(first).ok(), base: format!("/{first}"), raw_key: rest.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(door: Door, host: &str, path: &str) -> Option<(Option<String>, String, String)> {
        let domains = ["web.example.com".to_owned()];
        let exists = |name: &BucketName| name.as_str() == "www.example.org";
        find(door, Some(host), path, &domains, exists)
            .map(|site| (site.bucket.map(|name| name.to_string()), site.base, site.raw_key))
    }

    fn site(bucket: &str, base: &str, key: &str) -> Option<(Option<String>, String, String)> {
        Some((Some(bucket.to_owned()), base.to_owned(), key.to_owned()))
    }

    #[test]
    fn hosts_and_paths_name_buckets() {
        for door in [Door::Api, Door::Website] {
            assert_eq!(ask(door, "abc.web.example.com:5000", "/a/b%20c"), site("abc", "", "a/b%20c"));
            assert_eq!(ask(door, "a.b.web.example.com", "/"), site("a.b", "", ""));
        }
        assert_eq!(ask(Door::Api, "www.example.org", "/a"), None);
        assert_eq!(ask(Door::Api, "localhost", "/abc/a"), None);
        assert_eq!(ask(Door::Website, "WWW.example.org:80", "/a"), site("www.example.org", "", "a"));
        assert_eq!(ask(Door::Website, "localhost:8080", "/abc/a/b"), site("abc", "/abc", "a/b"));
        assert_eq!(ask(Door::Website, "localhost:8080", "/abc"), site("abc", "/abc", ""));
        assert_eq!(ask(Door::Website, "127.0.0.1", "/"), Some((None, "/".to_owned(), String::new())));
        assert_eq!(ask(Door::Website, "web.example.com", "/abc/x"), site("abc", "/abc", "x"));
    }
}
