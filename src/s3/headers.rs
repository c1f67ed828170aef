//! What a client says about an object beside its bytes: read from request headers, given back on reads.
//!
//! Shared by PutObject, CopyObject, CreateMultipartUpload and the form upload, so that an object has the same attributes
//! whichever way it came. Headers of features that are not built are refused, never ignored.

use actix_web::HttpResponse;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use myfsio_actors::bucket_config::BUCKET_TAGS_MAX;
use myfsio_actors::storage::Attributes;

use super::error::{ErrorCode, S3Error};
use super::query::Query;
use super::request_head::first_value;

/// What a writer says of an object by headers, or by fields of a form, of these names (S3 API Reference, PutObject).
pub const OBJECT_HEADERS: [&str; 10] = [
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-md5",
    "content-type",
    "expires",
    "x-amz-storage-class",
    "x-amz-tagging",
    "x-amz-website-redirect-location",
];

/// Most bytes of all user metadata names and values together (S3 User Guide, "Working with object metadata").
pub const METADATA_BYTES_MAX: usize = 2048;
/// Most tags of an object.
pub const TAGS_MAX: usize = 10;
/// Most tags of a bucket.
/// What an object without a content type is.
pub const CONTENT_TYPE_DEFAULT: &str = "binary/octet-stream";

const TAG_KEY_CHARS_MAX: usize = 128;
const TAG_VALUE_CHARS_MAX: usize = 256;
const METADATA_PREFIX: &str = "x-amz-meta-";
/// Storage classes that S3 knows (S3 API Reference, PutObject).
pub const STORAGE_CLASSES: [&str; 12] = [
    "STANDARD",
    "REDUCED_REDUNDANCY",
    "STANDARD_IA",
    "ONEZONE_IA",
    "INTELLIGENT_TIERING",
    "GLACIER",
    "DEEP_ARCHIVE",
    "OUTPOSTS",
    "GLACIER_IR",
    "SNOW",
    "EXPRESS_ONEZONE",
    "FSX_OPENZFS",
];

/// The first value of a header as text; bytes that are not UTF-8 are read as ISO-8859-1.
pub fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    first_value(headers, name).map(value_text)
}

/// The text of a header value; bytes that are not UTF-8 are read as ISO-8859-1.
pub fn value_text(value: &HeaderValue) -> String {
    match std::str::from_utf8(value.as_bytes()) {
        Ok(text) => text.to_owned(),
        Err(_) => value.as_bytes().iter().map(|&byte| char::from(byte)).collect(),
    }
}

/// Reads everything that a write says about its object. Errs: MetadataTooLarge, InvalidStorageClass, InvalidArgument
/// and InvalidTag for tags and the redirect location.
pub fn attributes(headers: &HeaderMap) -> Result<Attributes, S3Error> {
    let filled = |name| text(headers, name).filter(|value| !value.is_empty());
    Ok(Attributes {
        content_type: filled("content-type"),
        cache_control: filled("cache-control"),
        content_disposition: filled("content-disposition"),
        content_encoding: filled("content-encoding").and_then(|value| without_aws_chunked(&value)),
        content_language: filled("content-language"),
        expires: filled("expires"),
        website_redirect: website_redirect(headers)?,
        storage_class: storage_class(headers)?,
        user_metadata: user_metadata(headers)?,
        tags: match text(headers, "x-amz-tagging") {
            Some(value) => parse_tagging(&value)?,
            None => Vec::new(),
        },
    })
}

/// `x-amz-storage-class`; none for STANDARD. Errs: InvalidStorageClass.
pub fn storage_class(headers: &HeaderMap) -> Result<Option<String>, S3Error> {
    match text(headers, "x-amz-storage-class") {
        None => Ok(None),
        Some(class) if class == "STANDARD" => Ok(None),
        Some(class) if STORAGE_CLASSES.contains(&class.as_str()) => Ok(Some(class)),
        Some(class) => Err(S3Error::new(ErrorCode::InvalidStorageClass).field("StorageClassRequested", class)),
    }
}

/// `x-amz-website-redirect-location`. Errs: InvalidArgument unless it is a path or an http(s) URL of at most 2 KiB.
pub fn website_redirect(headers: &HeaderMap) -> Result<Option<String>, S3Error> {
    let Some(location) = text(headers, "x-amz-website-redirect-location") else { return Ok(None) };
    let good_start = ["/", "http://", "https://"].iter().any(|start| location.starts_with(start));
    if good_start && location.len() <= METADATA_BYTES_MAX {
        return Ok(Some(location));
    }
    Err(S3Error::invalid_argument(
        "x-amz-website-redirect-location",
        &location,
        "The website redirect location must have a prefix of 'http://' or 'https://' or '/'.",
    ))
}

/// Headers of features that are not built, with the values that ask for nothing else than what happens anyhow.
const UNBUILT: [(&str, &[&str]); 4] = [
    ("x-amz-write-offset-bytes", &[]),
    ("x-amz-bucket-namespace", &["global"]),
    ("x-amz-if-match-initiated-time", &[]),
    // No object has annotations.
    ("x-amz-object-annotation-directive", &["COPY", "EXCLUDE"]),
];
/// What of a lock there is; what else S3 has or will have would seem to protect and not do it.
const LOCK_PREFIX: &str = "x-amz-object-lock-";
const LOCK_HEADERS: [&str; 3] =
    ["x-amz-object-lock-mode", "x-amz-object-lock-retain-until-date", "x-amz-object-lock-legal-hold"];

/// Refuses headers of features that are not built. Errs: NotImplemented.
pub fn refuse_unbuilt(headers: &HeaderMap) -> Result<(), S3Error> {
    for (name, value) in headers {
        let name = name.as_str();
        let allowed = match UNBUILT.iter().find(|(unbuilt, _)| *unbuilt == name) {
            Some((_, harmless)) => harmless.iter().any(|harmless| value.as_bytes() == harmless.as_bytes()),
            None => !name.starts_with(LOCK_PREFIX) || LOCK_HEADERS.contains(&name),
        };
        if !allowed {
            return Err(not_implemented(name, &value_text(value)));
        }
    }
    Ok(())
}

/// The refusal of a header whose feature is not built.
pub fn not_implemented(header: &str, value: &str) -> S3Error {
    let message = format!("A header you provided implies functionality that is not implemented: {header}");
    S3Error::with_message(ErrorCode::NotImplemented, message).field("Header", header).field("AdditionalMessage", value)
}

/// `Content-Encoding` without the transport's own token; none when nothing else is left.
pub fn without_aws_chunked(value: &str) -> Option<String> {
    let is_transport = |token: &str| token.trim().eq_ignore_ascii_case("aws-chunked");
    if !value.split(',').any(is_transport) {
        return Some(value.to_owned());
    }
    let kept: Vec<&str> =
        value.split(',').filter(|token| !is_transport(token)).map(str::trim).filter(|t| !t.is_empty()).collect();
    (!kept.is_empty()).then(|| kept.join(", "))
}

/// `x-amz-meta-*`: names in lower case without the prefix, repeated values joined with commas. Errs: MetadataTooLarge.
pub fn user_metadata(headers: &HeaderMap) -> Result<Vec<(String, String)>, S3Error> {
    let mut metadata: Vec<(String, String)> = Vec::new();
    for name in headers.keys() {
        let Some(short) = name.as_str().strip_prefix(METADATA_PREFIX) else { continue };
        let values: Vec<String> = headers.get_all(name).map(value_text).collect();
        metadata.push((short.to_owned(), values.join(",")));
    }
    check_metadata_size(&metadata)?;
    metadata.sort();
    Ok(metadata)
}

/// Checks the limit on user metadata. Errs: MetadataTooLarge.
pub fn check_metadata_size(metadata: &[(String, String)]) -> Result<(), S3Error> {
    let size: usize = metadata.iter().map(|(name, value)| name.len() + value.len()).sum();
    if size > METADATA_BYTES_MAX {
        return Err(S3Error::new(ErrorCode::MetadataTooLarge)
            .field("Size", size.to_string())
            .field("MaxSizeAllowed", METADATA_BYTES_MAX.to_string()));
    }
    Ok(())
}

/// Reads the query-encoded tags of `x-amz-tagging`. Errs: InvalidArgument when malformed, InvalidTag beyond the limits.
pub fn parse_tagging(value: &str) -> Result<Vec<(String, String)>, S3Error> {
    let malformed = || {
        S3Error::invalid_argument(
            "x-amz-tagging",
            value,
            "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates.",
        )
    };
    let query = Query::parse(value).map_err(|_| malformed())?;
    let tags: Vec<(String, String)> = query.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    let twice = |(i, (key, _)): (usize, &(String, String))| tags.iter().skip(i + 1).any(|(other, _)| other == key);
    if tags.iter().enumerate().any(twice) {
        return Err(malformed());
    }
    check_tags(&tags)?;
    Ok(tags)
}

/// Checks number, lengths, characters and uniqueness of object tags. Errs: InvalidTag.
pub fn check_tags(tags: &[(String, String)]) -> Result<(), S3Error> {
    if tags.len() > TAGS_MAX {
        return Err(S3Error::with_message(ErrorCode::InvalidTag, "Object tags cannot be greater than 10"));
    }
    check_each_tag(tags, "Your TagKey cannot be prefixed with aws:")
}

/// The same for bucket tags (S3 User Guide, "Using cost allocation S3 bucket tags"). Errs: BadRequest for too many, InvalidTag.
pub fn check_bucket_tags(tags: &[(String, String)]) -> Result<(), S3Error> {
    if tags.len() > BUCKET_TAGS_MAX {
        return Err(too_many_bucket_tags());
    }
    check_each_tag(tags, "System tags cannot be added/updated by requester")
}

/// What is answered to more tags than a bucket may have.
pub fn too_many_bucket_tags() -> S3Error {
    S3Error::with_message(ErrorCode::BadRequest, "Bucket tag count cannot be greater than 50")
}

fn check_each_tag(tags: &[(String, String)], reserved: &'static str) -> Result<(), S3Error> {
    let invalid =
        |message: &'static str, key: &str| S3Error::with_message(ErrorCode::InvalidTag, message).field("TagKey", key);
    let legal = |c: char| c.is_alphanumeric() || c.is_whitespace() || "_.:/=+-@".contains(c);
    for (i, (key, value)) in tags.iter().enumerate() {
        let key_chars = key.chars().count();
        if key_chars == 0 || key_chars > TAG_KEY_CHARS_MAX || !key.chars().all(legal) {
            return Err(invalid("The TagKey you have provided is invalid", key));
        }
        if key.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:")) {
            return Err(invalid(reserved, key));
        }
        if value.chars().count() > TAG_VALUE_CHARS_MAX || !value.chars().all(legal) {
            return Err(invalid("The TagValue you have provided is invalid", key));
        }
        if tags.iter().skip(i + 1).any(|(other, _)| other == key) {
            return Err(invalid("Cannot provide multiple Tags with the same key", key));
        }
    }
    Ok(())
}

/// Puts an object's attributes on the response of a read.
pub fn write_attributes(response: &mut HttpResponse, attributes: &Attributes) {
    let headers = response.headers_mut();
    let mut set = |name: &'static str, value: Option<&str>| {
        if let Some(value) = value
            && let Ok(value) = HeaderValue::from_bytes(value.as_bytes())
        {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    set("content-type", Some(attributes.content_type.as_deref().unwrap_or(CONTENT_TYPE_DEFAULT)));
    set("cache-control", attributes.cache_control.as_deref());
    set("content-disposition", attributes.content_disposition.as_deref());
    set("content-encoding", attributes.content_encoding.as_deref());
    set("content-language", attributes.content_language.as_deref());
    set("expires", attributes.expires.as_deref());
    set("x-amz-website-redirect-location", attributes.website_redirect.as_deref());
    set("x-amz-storage-class", attributes.storage_class.as_deref());
    for (name, value) in &attributes.user_metadata {
        let name = HeaderName::from_bytes(format!("{METADATA_PREFIX}{name}").as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(mail_safe(value).as_bytes())) {
            headers.insert(name, value);
        }
    }
}

/// Text as it is when ASCII, else as an encoded word of RFC 2047, as S3 returns it.
pub fn mail_safe(value: &str) -> String {
    if value.is_ascii() { value.to_owned() } else { format!("=?UTF-8?B?{}?=", STANDARD.encode(value)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &[u8])]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap());
        }
        map
    }

    #[test]
    fn attributes_come_back_as_they_were() {
        let request = headers(&[
            ("content-type", b"text/plain; charset=utf-8"),
            ("content-encoding", b"gzip,aws-chunked"),
            ("expires", b"whenever"),
            ("x-amz-meta-b", b"2"),
            ("x-amz-meta-a", b"1"),
            ("x-amz-meta-a", b"one"),
            ("x-amz-meta-u", "é".as_bytes()),
            ("x-amz-meta-l", b"\xe9"),
            ("x-amz-storage-class", b"STANDARD_IA"),
            ("x-amz-tagging", b"k=v%20w&e="),
        ]);
        let attributes = attributes(&request).unwrap();
        assert_eq!(attributes.tags, [("k".to_owned(), "v w".to_owned()), ("e".to_owned(), String::new())]);
        let mut response = HttpResponse::Ok().finish();
        write_attributes(&mut response, &attributes);
        let get = |name: &str| text(response.headers(), name).unwrap();
        assert_eq!(get("content-type"), "text/plain; charset=utf-8");
        assert_eq!(get("content-encoding"), "gzip");
        assert_eq!(get("expires"), "whenever");
        assert_eq!(get("x-amz-meta-a"), "1,one");
        assert_eq!(get("x-amz-meta-u"), "=?UTF-8?B?w6k=?=");
        assert_eq!(get("x-amz-meta-l"), "=?UTF-8?B?w6k=?=");
        assert_eq!(get("x-amz-storage-class"), "STANDARD_IA");
    }

    #[test]
    fn aws_chunked_is_only_transport() {
        let table = [
            ("aws-chunked", None),
            ("AWS-Chunked,", None),
            ("gzip", Some("gzip")),
            ("aws-chunked,gzip", Some("gzip")),
            ("deflate, gzip, aws-chunked", Some("deflate, gzip")),
            ("gzip,deflate", Some("gzip,deflate")),
        ];
        for (value, expected) in table {
            assert_eq!(without_aws_chunked(value).as_deref(), expected, "{value}");
        }
    }

    #[test]
    fn limits_are_told() {
        let code = |pairs: &[(&'static str, &[u8])]| attributes(&headers(pairs)).map(|_| ()).map_err(|e| e.code());
        assert_eq!(code(&[("x-amz-meta-a", &[b'x'; 2047])]), Ok(()));
        assert_eq!(code(&[("x-amz-meta-a", &[b'x'; 2048])]), Err(ErrorCode::MetadataTooLarge));
        assert_eq!(code(&[("x-amz-storage-class", b"COLD")]), Err(ErrorCode::InvalidStorageClass));
        assert_eq!(code(&[("x-amz-website-redirect-location", b"ftp://x")]), Err(ErrorCode::InvalidArgument));
        assert_eq!(code(&[("x-amz-tagging", b"a=1&a=2")]), Err(ErrorCode::InvalidArgument));
        assert_eq!(code(&[("x-amz-tagging", b"a=%zz")]), Err(ErrorCode::InvalidArgument));
        assert_eq!(code(&[("x-amz-tagging", b"=1")]), Err(ErrorCode::InvalidTag));
        assert_eq!(code(&[("x-amz-tagging", b"a&b&c&d&e&f&g&h&i&j&k")]), Err(ErrorCode::InvalidTag));
        assert_eq!(code(&[("x-amz-tagging", &[b'x'; 129])]), Err(ErrorCode::InvalidTag));
    }

    #[test]
    fn tags_are_checked_one_by_one() {
        let tags = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        let refusal = |pairs: &[(&str, &str)]| check_tags(&tags(pairs)).unwrap_err().to_string();
        assert_eq!(check_tags(&tags(&[("a b", ""), ("é_.:/=+-@", "x")])).map_err(|e| e.code()), Ok(()));
        assert!(refusal(&[("a", "1"), ("b", "2"), ("a", "1")]).contains("multiple Tags with the same key"));
        assert!(refusal(&[("AWS:x", "1")]).contains("prefixed with aws:"));
        assert!(refusal(&[("a", "<")]).contains("TagValue"));
        let many: Vec<_> = (0..51).map(|i| (format!("k{i}"), String::new())).collect();
        assert!(check_bucket_tags(many.get(..50).unwrap()).is_ok());
        assert_eq!(check_bucket_tags(&many).unwrap_err().code(), ErrorCode::BadRequest);
        assert_eq!(check_tags(many.get(..11).unwrap()).unwrap_err().code(), ErrorCode::InvalidTag);
        let system = check_bucket_tags(&tags(&[("aws:cloudformation:stack-id", "1")])).unwrap_err();
        assert!(system.message().starts_with("System tags"));
    }

    #[test]
    fn unbuilt_features_are_refused() {
        let code = |pairs: &[(&'static str, &[u8])]| refuse_unbuilt(&headers(pairs)).map_err(|e| e.code());
        assert_eq!(code(&[("x-amz-acl", b"public-read"), ("content-type", b"a/b")]), Ok(()));
        assert_eq!(code(&[("x-amz-write-offset-bytes", b"7")]), Err(ErrorCode::NotImplemented));
        assert_eq!(code(&[("x-amz-object-lock-mode", b"GOVERNANCE"), ("x-amz-object-lock-legal-hold", b"ON")]), Ok(()));
        for name in ["event-hold", "event-hold-duration-days", "event-hold-duration-years", "whatever"] {
            let name = HeaderName::from_bytes(format!("x-amz-object-lock-{name}").as_bytes()).unwrap();
            let headers = HeaderMap::from_iter([(name, HeaderValue::from_static("ON"))]);
            assert_eq!(refuse_unbuilt(&headers).unwrap_err().code(), ErrorCode::NotImplemented, "{headers:?}");
        }
        assert_eq!(
            code(&[("x-amz-bucket-namespace", b"global"), ("x-amz-object-annotation-directive", b"COPY")]),
            Ok(())
        );
        assert_eq!(code(&[("x-amz-bucket-namespace", b"account-regional")]), Err(ErrorCode::NotImplemented));
        assert_eq!(code(&[("x-amz-object-annotation-directive", b"MOVE")]), Err(ErrorCode::NotImplemented));
    }
}
