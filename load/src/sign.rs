//! Signed requests: presigned (S3 API Reference, "Authenticating Requests: Using Query Parameters"), or with the header that SDKs
//! send ("Authenticating Requests: Using the Authorization Header"). Everything that is the same for all requests of an endpoint is
//! made once, so that a signature costs about a microsecond.

use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use time::macros::format_description;

/// How long a presigned request holds: the longest that S3 allows, so that no run outlives its own. With a header it is a quarter of
/// an hour, whatever is asked for.
pub const EXPIRES_SECONDS: u32 = 604_800;
/// What RFC 3986 reserves, but for `unreserved`.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// The headers that are signed where the signature is one.
const HEADERS: &str = "host;x-amz-content-sha256;x-amz-date";
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

/// Where a signature stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the query, as in presigned URLs.
    Query,
    /// In the `Authorization` header, as SDKs have it.
    Header,
}

/// Signs the requests of one endpoint.
#[derive(Clone)]
pub struct Signer {
    place: Place,
    mac: Hmac<Sha256>,
    /// The parameters that every query begins with; in byte order they stand before all of S3's own.
    fixed: String,
    /// What follows the query in a canonical request.
    ending: String,
    /// What precedes the canonical request's digest in a string to sign.
    beginning: String,
    /// The headers of every request, up to the signature.
    lines: String,
}

impl Signer {
    /// A signer of requests to `host` (with its port, as in the Host header), valid from `now` on.
    pub fn new(credentials: &Credentials, place: Place, host: &str, now: OffsetDateTime, expires_seconds: u32) -> Self {
        let date = now.format(format_description!("[year][month][day]T[hour][minute][second]Z")).unwrap_or_default();
        let day = date.split('T').next().unwrap_or_default();
        let scope = format!("{day}/{}/s3/aws4_request", credentials.region);
        let mut key = hmac(format!("AWS4{}", credentials.secret_key).as_bytes(), day.as_bytes());
        for part in [credentials.region.as_str(), "s3", "aws4_request"] {
            key = hmac(&key, part.as_bytes());
        }
        let credential = format!("{}/{scope}", credentials.access_key);
        let (fixed, ending, lines) = match place {
            Place::Query => (
                format!(
                    "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={}&X-Amz-Date={date}\
                     &X-Amz-Expires={expires_seconds}&X-Amz-SignedHeaders=host",
                    encode_query(&credential)
                ),
                format!("\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD"),
                String::new(),
            ),
            Place::Header => (
                String::new(),
                format!(
                    "\nhost:{host}\nx-amz-content-sha256:UNSIGNED-PAYLOAD\nx-amz-date:{date}\n\n{HEADERS}\nUNSIGNED-PAYLOAD"
                ),
                format!(
                    "X-Amz-Content-Sha256: UNSIGNED-PAYLOAD\r\nX-Amz-Date: {date}\r\nAuthorization: AWS4-HMAC-SHA256 \
                     Credential={credential}, SignedHeaders={HEADERS}, Signature="
                ),
            ),
        };
        Self {
            place,
            mac: keyed(&key),
            fixed,
            ending,
            beginning: format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n"),
            lines,
        }
    }

    /// Appends a request's line and the headers of the signature. `path` is encoded, `query` is encoded and in order (see [`query`]);
    /// `host_line` is what stands between them: the version and the `Host` header.
    pub fn write_head(&self, out: &mut Vec<u8>, method: &str, path: &str, query: &str, host_line: &str) {
        let separator = if query.is_empty() || self.fixed.is_empty() { "" } else { "&" };
        let mut canonical = Sha256::new();
        for part in [method, "\n", path, "\n", &self.fixed, separator, query, &self.ending] {
            canonical.update(part.as_bytes());
        }
        let mut digest = [0; 64];
        write_hex(&canonical.finalize(), &mut digest);
        let mac = self.mac.clone().chain_update(self.beginning.as_bytes()).chain_update(digest);
        let mut signature = [0; 64];
        write_hex(&mac.finalize().into_bytes(), &mut signature);
        let asks = if self.fixed.is_empty() && query.is_empty() { "" } else { "?" };
        for part in [method, " ", path, asks, &self.fixed, separator, query] {
            out.extend_from_slice(part.as_bytes());
        }
        let signed = |out: &mut Vec<u8>, name: &str, ending: &str| {
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(&signature);
            out.extend_from_slice(ending.as_bytes());
        };
        match self.place {
            Place::Query => signed(out, "&X-Amz-Signature=", host_line),
            Place::Header => {
                out.extend_from_slice(host_line.as_bytes());
                signed(out, &self.lines, "\r\n");
            }
        }
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

    fn head(signer: &Signer, method: &str, path: &str, query: &str) -> String {
        let mut out = Vec::new();
        signer.write_head(&mut out, method, path, query, " HTTP/1.1\r\nHost: h\r\n");
        String::from_utf8(out).unwrap()
    }

    /// The example of the S3 API Reference, "Authenticating Requests: Using Query Parameters".
    #[test]
    fn the_documented_example_is_signed_as_documented() {
        let now = datetime!(2013-05-24 00:00 UTC);
        let signer = Signer::new(&credentials(), Place::Query, "examplebucket.s3.amazonaws.com", now, 86_400);
        assert_eq!(
            head(&signer, "GET", "/test.txt", ""),
            "GET /test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256\
             &X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request\
             &X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host\
             &X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404 HTTP/1.1\r\nHost: h\r\n"
        );
    }

    #[test]
    fn everything_of_a_request_goes_into_its_signature() {
        for (place, name) in [(Place::Query, "X-Amz-Signature="), (Place::Header, "Signature=")] {
            let signature = |host: &str, method: &str, path: &str, query: &str| {
                let now = datetime!(2013-05-24 00:00 UTC);
                let signer = Signer::new(&credentials(), place, host, now, EXPIRES_SECONDS);
                head(&signer, method, path, query).split_once(name).unwrap().1[..64].to_owned()
            };
            let plain = signature("host", "GET", "/b/k", "");
            assert_ne!(plain, signature("other", "GET", "/b/k", ""));
            assert_ne!(plain, signature("host", "PUT", "/b/k", ""));
            assert_ne!(plain, signature("host", "GET", "/b/l", ""));
            assert_ne!(plain, signature("host", "GET", "/b/k", "uploads="));
        }
    }

    #[test]
    fn a_header_signs_what_is_sent() {
        let signer = Signer::new(&credentials(), Place::Header, "h", datetime!(2013-05-24 00:00 UTC), EXPIRES_SECONDS);
        let request = head(&signer, "GET", "/b/k", "uploads=");
        let (in_front, signature) = request.split_once("Signature=").unwrap();
        assert_eq!(
            in_front,
            "GET /b/k?uploads= HTTP/1.1\r\nHost: h\r\nX-Amz-Content-Sha256: UNSIGNED-PAYLOAD\r\nX-Amz-Date: 20130524T000000Z\r\n\
             Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, \
             SignedHeaders=host;x-amz-content-sha256;x-amz-date, "
        );
        let canonical = format!(
            "GET\n/b/k\nuploads=\nhost:h\nx-amz-content-sha256:UNSIGNED-PAYLOAD\nx-amz-date:20130524T000000Z\n\n\
             {HEADERS}\nUNSIGNED-PAYLOAD"
        );
        let scope = "20130524/us-east-1/s3/aws4_request";
        let digest = hex::encode(Sha256::digest(canonical));
        let to_sign = format!("AWS4-HMAC-SHA256\n20130524T000000Z\n{scope}\n{digest}");
        let secret = format!("AWS4{}", credentials().secret_key).into_bytes();
        let key = scope.split('/').fold(secret, |key, part| hmac(&key, part.as_bytes()).to_vec());
        assert_eq!(signature, format!("{}\r\n", hex::encode(hmac(&key, to_sign.as_bytes()))));
    }

    #[test]
    fn queries_are_in_order_and_encoded() {
        assert_eq!(query(&[("uploadId", "a+b/c"), ("partNumber", "7")]), "partNumber=7&uploadId=a%2Bb%2Fc");
        assert_eq!(query(&[]), "");
        assert_eq!(encode_path("a b/ü~"), "a%20b/%C3%BC~");
    }
}
