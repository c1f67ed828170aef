//! One request as the access log tells it, and the names of log objects (S3 User Guide, "Amazon S3 server access log format").
//! Pure.

use std::fmt::{self, Display, Write as _};
use std::net::IpAddr;

use myfsio_actors::bucket_config::PartitionDate;
use myfsio_actors::names::Stamp;
use time::OffsetDateTime;
use time::macros::format_description;

use super::buffer::Lines;
use crate::s3::query::percent_decode;
use crate::tls::TlsVersion;

/// Query parameters whose values are nobody's business.
const SECRET_PARAMETERS: [&str; 5] = [
    "x-amz-signature",
    "signature",
    "x-amz-security-token",
    "x-amz-server-side-encryption-customer-key",
    "x-amz-copy-source-server-side-encryption-customer-key",
];

/// One request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entry {
    /// Canonical id of the bucket's owner.
    pub bucket_owner: String,
    /// The bucket.
    pub bucket: String,
    /// When the request came.
    pub time: Stamp,
    /// From where.
    pub remote: Option<IpAddr>,
    /// From whom: a canonical id, or the ARN of a user of an account.
    pub requester: Option<String>,
    /// Its id.
    pub request_id: String,
    /// Such as `REST.GET.OBJECT`.
    pub operation: String,
    /// The key.
    pub key: Option<String>,
    /// Method and target.
    pub request: String,
    /// HTTP status.
    pub status: u16,
    /// S3's error code.
    pub error_code: Option<&'static str>,
    /// Bytes of the answer's body.
    pub bytes_sent: u64,
    /// Size of the object, in bytes.
    pub object_size: Option<u64>,
    /// From the request to the last byte of the answer.
    pub total_millis: u64,
    /// From the request to the first byte of the answer.
    pub turn_around_millis: Option<u64>,
    /// `Referer`.
    pub referer: Option<String>,
    /// `User-Agent`.
    pub user_agent: Option<String>,
    /// The version that was told.
    pub version_id: Option<String>,
    /// `x-amz-id-2`.
    pub host_id: String,
    /// `SigV4` or `SigV2`.
    pub signature_version: Option<&'static str>,
    /// `AuthHeader` or `QueryString`.
    pub auth_type: Option<&'static str>,
    /// `Host`.
    pub host: Option<String>,
    /// The version of TLS that the client speaks.
    pub tls: Option<TlsVersion>,
    /// Its cipher suite.
    pub cipher_suite: Option<String>,
}

impl Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} [{}] ", self.bucket_owner, self.bucket, self.log_time())?;
        write!(f, "{} {} {} ", or_dash(self.remote), or_dash(self.requester.as_deref()), self.request_id)?;
        write!(f, "{} {} ", self.operation, or_dash(self.key.as_deref().map(encoded)))?;
        write!(f, "{} {} ", quoted(Some(&format!("{} HTTP/1.1", self.request))), self.status)?;
        write!(f, "{} {} ", or_dash(self.error_code), or_dash((self.bytes_sent > 0).then_some(self.bytes_sent)))?;
        write!(f, "{} {} ", or_dash(self.object_size), self.total_millis)?;
        write!(f, "{} ", or_dash(self.turn_around_millis))?;
        write!(f, "{} {} ", quoted(self.referer.as_deref()), quoted(self.user_agent.as_deref()))?;
        write!(f, "{} {} ", or_dash(self.version_id.as_deref()), self.host_id)?;
        write!(f, "{} {} ", or_dash(self.signature_version), or_dash(self.cipher_suite.as_deref()))?;
        write!(f, "{} {} ", or_dash(self.auth_type), or_dash(self.host.as_deref().map(one_word)))?;
        // No access points; and no decision tells whether it took an ACL.
        write!(f, "{} - -", or_dash(self.tls))
    }
}

impl Entry {
    fn log_time(&self) -> String {
        formatted(self.time, format_description!("[day]/[month repr:short]/[year]:[hour]:[minute]:[second] +0000"))
    }
}

fn formatted(time: Stamp, format: &(impl time::formatting::Formattable + ?Sized)) -> String {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(time.0))
        .ok()
        .and_then(|time| time.format(format).ok())
        .unwrap_or_default()
}

fn or_dash<T: Display>(value: Option<T>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// Percent-encoded, so that a key is one word of one line.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    crate::s3::xml::write::url_encode_into(&mut out, text);
    out
}

/// A header's value as one word.
fn one_word(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_graphic()).collect()
}

/// A header's value in quotation marks. A quotation mark or control character within it is percent-encoded, so that no client
/// writes fields or lines of its own into the log.
fn quoted(text: Option<&str>) -> String {
    let Some(text) = text else { return "\"-\"".to_owned() };
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                let _ = write!(out, "%{:02X}", u32::from(c));
            }
            c if c.is_control() => {
                let mut bytes = [0; 4];
                for byte in c.encode_utf8(&mut bytes).bytes() {
                    let _ = write!(out, "%{byte:02X}");
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Whether the value of a query parameter is nobody's business; escapes in its name hide nothing. A name that cannot be decoded
/// is none that a request is answered for.
fn is_secret(name: &str) -> bool {
    let name = percent_decode(name.as_bytes(), true).unwrap_or_else(|| name.as_bytes().to_vec());
    SECRET_PARAMETERS.iter().any(|secret| name.trim_ascii().eq_ignore_ascii_case(secret.as_bytes()))
}

/// Path and query without signatures and session tokens.
pub fn without_secrets(path: &str, query: Option<&str>) -> String {
    let Some(query) = query else { return path.to_owned() };
    let shown: Vec<String> = query
        .split('&')
        .map(|piece| {
            let name = piece.split('=').next().unwrap_or_default();
            match is_secret(name) {
                true => format!("{name}=REDACTED"),
                false => piece.to_owned(),
            }
        })
        .collect();
    format!("{path}?{}", shown.join("&"))
}

/// `<prefix>YYYY-MM-DD-hh-mm-ss-<16 digits>`.
pub fn simple_key(prefix: &str, time: Stamp, unique: u64) -> String {
    format!("{prefix}{}", name(time, unique))
}

/// Where lines are delivered to with a partitioned prefix:
/// `<prefix><account>/<region>/<bucket>/YYYY/MM/DD/YYYY-MM-DD-hh-mm-ss-<16 digits>`.
pub fn partitioned_key(prefix: &str, account: &str, region: &str, lines: &Lines, time: Stamp, unique: u64) -> String {
    let date = formatted(time, format_description!("[year]/[month]/[day]"));
    format!("{prefix}{account}/{region}/{}/{date}/{}", lines.name, name(time, unique))
}

/// The time that partitions a log object: of its requests, or of its delivery.
pub fn partition_time(source: PartitionDate, lines: &Lines, now: Stamp) -> Stamp {
    match source {
        PartitionDate::EventTime => lines.day,
        PartitionDate::DeliveryTime => now,
    }
}

fn name(time: Stamp, unique: u64) -> String {
    let time = formatted(time, format_description!("[year]-[month]-[day]-[hour]-[minute]-[second]"));
    format!("{time}-{unique:016X}")
}

#[cfg(test)]
mod tests {
    use myfsio_actors::names::{BucketId, BucketName};

    use super::*;

    const TIME: Stamp = Stamp(1_549_411_238_000_000_000);

    #[test]
    fn lines_are_as_s3_writes_them() {
        let entry = Entry {
            bucket_owner: "79a5".to_owned(),
            bucket: "amzn-s3-demo-bucket1".to_owned(),
            time: TIME,
            remote: "192.0.2.3".parse().ok(),
            requester: Some("arn:aws:iam::123456789012:user/ann".to_owned()),
            request_id: "3E57427F3EXAMPLE".to_owned(),
            operation: "REST.GET.OBJECT".to_owned(),
            key: Some("a b/\"c\"".to_owned()),
            request: "GET /amzn-s3-demo-bucket1/a%20b/%22c%22?versionId=1".to_owned(),
            status: 404,
            error_code: Some("NoSuchKey"),
            bytes_sent: 243,
            object_size: None,
            total_millis: 7,
            turn_around_millis: Some(6),
            referer: None,
            user_agent: Some("curl \"7\"\n x".to_owned()),
            version_id: None,
            host_id: "9vKB=".to_owned(),
            signature_version: Some("SigV4"),
            auth_type: Some("AuthHeader"),
            host: Some("localhost:5000".to_owned()),
            tls: Some(TlsVersion::V1_2),
            cipher_suite: Some("ECDHE-RSA-AES128-GCM-SHA256".to_owned()),
        };
        assert_eq!(
            entry.to_string(),
            "79a5 amzn-s3-demo-bucket1 [06/Feb/2019:00:00:38 +0000] 192.0.2.3 arn:aws:iam::123456789012:user/ann \
             3E57427F3EXAMPLE REST.GET.OBJECT a%20b/%22c%22 \
             \"GET /amzn-s3-demo-bucket1/a%20b/%22c%22?versionId=1 HTTP/1.1\" 404 NoSuchKey 243 - 7 6 \"-\" \
             \"curl %227%22%0A x\" - 9vKB= SigV4 ECDHE-RSA-AES128-GCM-SHA256 AuthHeader \
             localhost:5000 TLSv1.2 - -"
        );
    }

    #[test]
    fn what_is_not_known_is_a_dash() {
        let line = Entry { status: 200, ..Entry::default() }.to_string();
        assert!(line.contains(" - -  "), "{line}");
        assert!(line.ends_with(" 200 - - - 0 - \"-\" \"-\" -  - - - - - - -"), "{line}");
    }

    #[test]
    fn signatures_are_not_told() {
        assert_eq!(
            without_secrets("/b/k", Some("X-Amz-Signature=ab&a=1&Signature=x%3D&X-Amz-Security-Token")),
            "/b/k?X-Amz-Signature=REDACTED&a=1&Signature=REDACTED&X-Amz-Security-Token=REDACTED"
        );
        assert_eq!(
            without_secrets("/b/k", Some("X-Amz-Sign%61ture=ab&%53ignature=x&a%62=1")),
            "/b/k?X-Amz-Sign%61ture=REDACTED&%53ignature=REDACTED&a%62=1"
        );
        assert_eq!(without_secrets("/b", None), "/b");
    }

    #[test]
    fn objects_are_named_by_time() {
        let name = BucketName::parse("source").unwrap();
        let lines = Lines { bucket: BucketId(1), name, day: Stamp(1_549_411_200_000_000_000), text: String::new() };
        assert_eq!(simple_key("log/", TIME, 0xABC), "log/2019-02-06-00-00-38-0000000000000ABC");
        let time = partition_time(PartitionDate::EventTime, &lines, TIME);
        assert_eq!(
            partitioned_key("log/", "123456789012", "us-east-1", &lines, time, 1),
            "log/123456789012/us-east-1/source/2019/02/06/2019-02-06-00-00-00-0000000000000001"
        );
        assert_eq!(partition_time(PartitionDate::DeliveryTime, &lines, TIME), TIME);
    }
}
