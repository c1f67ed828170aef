//! Presigned requests (S3 API Reference, "Authenticating Requests: Using Query Parameters"). Everything that is the same for
//! all requests of an endpoint is made once, so that a signature costs about a microsecond.

use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use time::macros::format_description;

/// How long a signature holds: the longest that S3 allows, so that no run outlives its own.
pub const EXPIRES_SECONDS: u32 = 604_800;
/// What RFC 3986 reserves, but for `unreserved`.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// In a path slashes stay.
const PATH: &AsciiSet = &QUERY.remove(b'/');

/// Who signs.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// Access key id.
    pub access_key: String,
    /// Secret access key.
    pub secret_key: String,
    /// Region of the credential scope.
    pub region: String,
}

impl Credentials {
    /// Those of the administrator that a node's first boot on loopback creates.
    pub fn well_known() -> Self {
        let name = || "localadmin".to_owned();
        Self { access_key: name(), secret_key: name(), region: "us-east-1".to_owned() }
    }
}

/// Signs the requests of one endpoint.
#[derive(Clone)]
pub struct Signer {
    mac: Hmac<Sha256>,
    /// The parameters that every query begins with; in byte order they stand before all of S3's own.
    fixed: String,
    /// What follows the query in a canonical request.
    ending: String,
    /// What precedes the canonical request's digest in a string to sign.
    beginning: String,
}

impl Signer {
    /// A signer of requests to `host` (with its port, as in the Host header), valid from `now` on.
    pub fn new(credentials: &Credentials, host: &str, now: OffsetDateTime, expires_seconds: u32) -> Self {
        let date = now.format(format_description!("[year][month][day]T[hour][minute][second]Z")).unwrap_or_default();
        let day = date.split('T').next().unwrap_or_default();
        let scope = format!("{day}/{}/s3/aws4_request", credentials.region);
        let mut key = hmac(format!("AWS4{}", credentials.secret_key).as_bytes(), day.as_bytes());
        for part in [credentials.region.as_str(), "s3", "aws4_request"] {
            key = hmac(&key, part.as_bytes());
        }
        let credential = format!("{}/{scope}", credentials.access_key);
        Self {
            mac: keyed(&key),
            fixed: format!(
                "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={}&X-Amz-Date={date}&X-Amz-Expires={expires_seconds}\
                 &X-Amz-SignedHeaders=host",
                encode_query(&credential)
            ),
            ending: format!("\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD"),
            beginning: format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n"),
        }
    }

    /// Appends `path?query` with its signature. `path` is encoded, `query` is encoded and in order (see [`query`]).
    pub fn write_target(&self, out: &mut Vec<u8>, method: &str, path: &str, query: &str) {
        let separator = if query.is_empty() { "" } else { "&" };
        let mut canonical = Sha256::new();
        for part in [method, "\n", path, "\n", &self.fixed, separator, query, &self.ending] {
            canonical.update(part.as_bytes());
        }
        let mut digest = [0; 64];
        write_hex(&canonical.finalize(), &mut digest);
        let mac = self.mac.clone().chain_update(self.beginning.as_bytes()).chain_update(digest);
        let mut signature = [0; 64];
        write_hex(&mac.finalize().into_bytes(), &mut signature);
        for part in [path, "?", &self.fixed, separator, query, "&X-Amz-Signature="] {
            out.extend_from_slice(part.as_bytes());
        }
        out.extend_from_slice(&signature);
    }
}

/// A query in canonical form: names in byte order, names and values encoded.
pub fn query(parameters: &[(&str, &str)]) -> String {
    let mut parameters = parameters.to_vec();
    parameters.sort_unstable();
    let encoded = parameters.iter().map(|(name, value)| format!("{}={}", encode_query(name), encode_query(value)));
    encoded.collect::<Vec<_>>().join("&")
}

/// A key or bucket as it stands in a request's path.
pub fn encode_path(text: &str) -> String {
    utf8_percent_encode(text, PATH).to_string()
}

fn encode_query(text: &str) -> String {
    utf8_percent_encode(text, QUERY).to_string()
}

fn write_hex(bytes: &[u8], out: &mut [u8; 64]) {
    // A digest of 32 bytes fits exactly: the error cannot occur.
    let _ = hex::encode_to_slice(bytes, out);
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    // HMAC takes keys of any length: the other case cannot occur.
    <Hmac<Sha256> as KeyInit>::new_from_slice(key).unwrap_or_else(|_| KeyInit::new(&Default::default()))
}

fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    keyed(key).chain_update(message).finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    fn credentials() -> Credentials {
        Credentials {
            access_key: "AKIAIOSFODNN7EXAMPLE".into(),
            secret_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".into(),
            region: "us-east-1".into(),
        }
    }

    fn target(signer: &Signer, method: &str, path: &str, query: &str) -> String {
        let mut out = Vec::new();
        signer.write_target(&mut out, method, path, query);
        String::from_utf8(out).unwrap()
    }

    /// The example of the S3 API Reference, "Authenticating Requests: Using Query Parameters".
    #[test]
    fn the_documented_example_is_signed_as_documented() {
        let now = datetime!(2013-05-24 00:00 UTC);
        let signer = Signer::new(&credentials(), "examplebucket.s3.amazonaws.com", now, 86_400);
        assert_eq!(
            target(&signer, "GET", "/test.txt", ""),
            "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256\
             &X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request\
             &X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host\
             &X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
        );
    }

    #[test]
    fn everything_of_a_request_goes_into_its_signature() {
        let signature = |host: &str, method: &str, path: &str, query: &str| {
            let signer = Signer::new(&credentials(), host, datetime!(2013-05-24 00:00 UTC), EXPIRES_SECONDS);
            target(&signer, method, path, query).rsplit_once("X-Amz-Signature=").unwrap().1.to_owned()
        };
        let plain = signature("host", "GET", "/b/k", "");
        assert_ne!(plain, signature("other", "GET", "/b/k", ""));
        assert_ne!(plain, signature("host", "PUT", "/b/k", ""));
        assert_ne!(plain, signature("host", "GET", "/b/l", ""));
        assert_ne!(plain, signature("host", "GET", "/b/k", "uploads="));
    }

    #[test]
    fn queries_are_in_order_and_encoded() {
        assert_eq!(query(&[("uploadId", "a+b/c"), ("partNumber", "7")]), "partNumber=7&uploadId=a%2Bb%2Fc");
        assert_eq!(query(&[]), "");
        assert_eq!(encode_path("a b/ü~"), "a%20b/%C3%BC~");
    }
}
