//! An endpoint as the load generator sees it: where it listens, who signs, and how its requests are written.

use std::net::{SocketAddr, ToSocketAddrs};
use std::str::FromStr;

use time::OffsetDateTime;

use crate::process::Process;
use crate::sign::{Credentials, EXPIRES_SECONDS, Place, Signer, encode_path};

/// An endpoint as it is named on the command line.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Heading of its column.
    pub name: String,
    /// Host and port as they stand in the Host header.
    pub authority: String,
    /// Who signs; `None` for a server that takes requests from anyone.
    pub credentials: Option<Credentials>,
    /// Where their signatures stand.
    pub place: Place,
    /// The server's process, if it runs on this machine.
    pub process: Option<Process>,
    /// Its bucket, if it is not that of the run.
    pub bucket: Option<String>,
}

/// What an endpoint's text does not say.
#[derive(Debug, Clone)]
pub struct Defaults {
    /// Who signs.
    pub credentials: Credentials,
    /// The server's process.
    pub process: Option<Process>,
}

impl Endpoint {
    /// Parses `name=…,url=…,key=…,secret=…,region=…,bucket=…,pid=…,header,unsigned`, of which only `url` is needed. Errs with
    /// what is wrong.
    pub fn parse(text: &str, defaults: &Defaults) -> Result<Self, String> {
        let mut credentials = defaults.credentials.clone();
        let (mut name, mut url, mut bucket, mut process, mut signed) = (None, None, None, defaults.process, true);
        let mut place = Place::Query;
        for field in text.split(',') {
            match field.split_once('=') {
                Some(("name", value)) => name = Some(value.to_owned()),
                Some(("url", value)) => url = Some(value),
                Some(("key", value)) => credentials.access_key = value.to_owned(),
                Some(("secret", value)) => credentials.secret_key = value.to_owned(),
                Some(("region", value)) => credentials.region = value.to_owned(),
                Some(("bucket", value)) => bucket = Some(value.to_owned()),
                Some(("pid", value)) => process = Some(Process { pid: number(value)? }),
                None if field == "header" => place = Place::Header,
                None if field == "unsigned" => signed = false,
                _ => return Err(format!("`{field}`: name, url, key, secret, region, bucket, pid, header or unsigned")),
            }
        }
        let url = url.ok_or("an endpoint needs a url")?;
        let authority = authority(url)?;
        let name = name.unwrap_or_else(|| authority.clone());
        Ok(Self { name, authority, credentials: signed.then_some(credentials), place, process, bucket })
    }
}

fn number(text: &str) -> Result<u32, String> {
    u32::from_str(text).map_err(|_| format!("`{text}` is no number"))
}

/// Host and port of a URL, the port only if it says one.
fn authority(url: &str) -> Result<String, String> {
    let rest = url.strip_prefix("http://").ok_or_else(|| format!("`{url}`: only http:// is spoken here"))?;
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    if authority.is_empty() || authority.contains(['/', '?', '#', '@']) {
        return Err(format!("`{url}`: expected http://host:port"));
    }
    Ok(authority.to_owned())
}

/// An endpoint that requests can be written for.
pub struct Site {
    /// Who it is.
    pub endpoint: Endpoint,
    /// Where it listens.
    pub address: SocketAddr,
    /// Its bucket.
    pub bucket: String,
    signer: Option<Signer>,
    /// The lines that every request's head ends with, but for Content-Length.
    host_line: String,
}

impl Site {
    /// Looks up the endpoint's address. Errs when it has none.
    pub fn new(endpoint: Endpoint, bucket: &str, now: OffsetDateTime) -> Result<Self, String> {
        let authority = &endpoint.authority;
        let no_address = |error: std::io::Error| format!("{authority}: {error}");
        let named = if authority.ends_with(']') || !authority.contains(':') {
            format!("{authority}:80")
        } else {
            authority.clone()
        };
        let address = named.to_socket_addrs().map_err(no_address)?.next();
        let address = address.ok_or_else(|| format!("{authority} has no address"))?;
        let signer =
            endpoint.credentials.as_ref().map(|who| Signer::new(who, endpoint.place, authority, now, EXPIRES_SECONDS));
        let host_line = format!(" HTTP/1.1\r\nHost: {authority}\r\n");
        let bucket = endpoint.bucket.clone().unwrap_or_else(|| bucket.to_owned());
        Ok(Self { endpoint, address, bucket, signer, host_line })
    }

    /// The path of a key in this endpoint's bucket.
    pub fn path(&self, key: &str) -> String {
        if key.is_empty() { format!("/{}", self.bucket) } else { format!("/{}/{}", self.bucket, encode_path(key)) }
    }

    /// Appends the head of a request. `query` is canonical; `length` is there for a request that has a body.
    pub fn write_request(&self, out: &mut Vec<u8>, method: &str, path: &str, query: &str, length: Option<u64>) {
        match &self.signer {
            Some(signer) => signer.write_head(out, method, path, query, &self.host_line),
            None => {
                let separator = if query.is_empty() { "" } else { "?" };
                let parts = [method, " ", path, separator, query, &self.host_line];
                parts.iter().for_each(|part| out.extend_from_slice(part.as_bytes()));
            }
        }
        if let Some(length) = length {
            out.extend_from_slice(format!("Content-Length: {length}\r\n").as_bytes());
        }
        out.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// The bucket `b` of a server that wants no signatures.
    pub fn plain_site() -> Site {
        let endpoint = parse("url=http://127.0.0.1:80,unsigned").unwrap();
        Site::new(endpoint, "b", OffsetDateTime::UNIX_EPOCH).unwrap()
    }

    fn parse(text: &str) -> Result<Endpoint, String> {
        let credentials = Credentials { access_key: "a".into(), secret_key: "s".into(), region: "r".into() };
        Endpoint::parse(text, &Defaults { credentials, process: Some(Process { pid: 7 }) })
    }

    #[test]
    fn an_endpoint_needs_only_a_url() {
        let endpoint = parse("url=http://127.0.0.1:5000/").unwrap();
        assert_eq!((endpoint.name.as_str(), endpoint.authority.as_str()), ("127.0.0.1:5000", "127.0.0.1:5000"));
        assert_eq!(endpoint.credentials.unwrap().access_key, "a");
        assert_eq!(endpoint.process.unwrap().pid, 7);
    }

    #[test]
    fn fields_come_before_defaults() {
        let endpoint = parse("name=peer,url=http://host,key=k,secret=t,region=eu,bucket=other,pid=42").unwrap();
        let credentials = endpoint.credentials.unwrap();
        assert_eq!(
            (credentials.access_key, credentials.secret_key, credentials.region),
            ("k".into(), "t".into(), "eu".into())
        );
        assert_eq!((endpoint.name.as_str(), endpoint.bucket.as_deref()), ("peer", Some("other")));
        assert_eq!(endpoint.process.unwrap().pid, 42);
        assert_eq!(endpoint.place, Place::Query);
        assert_eq!(parse("url=http://host,header").unwrap().place, Place::Header);
        assert!(parse("url=http://host,unsigned").unwrap().credentials.is_none());
    }

    #[test]
    fn what_cannot_be_driven_is_refused() {
        for text in [
            "",
            "name=x",
            "url=https://host",
            "url=host:80",
            "url=http://",
            "url=http://host/bucket",
            "url=http://h,pid=x",
            "url=http://h,port=1",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn requests_without_a_signature_are_plain() {
        let site = plain_site();
        let mut out = Vec::new();
        site.write_request(&mut out, "PUT", &site.path("a key"), "x=1", Some(3));
        assert_eq!(out, b"PUT /b/a%20key?x=1 HTTP/1.1\r\nHost: 127.0.0.1:80\r\nContent-Length: 3\r\n\r\n");
    }
}
