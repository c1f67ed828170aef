//! From what goes with an object to the request that stores it here. Pure.

use std::collections::HashMap;
use std::path::PathBuf;

use serde_json::Value;

use super::keys::Keys;
use super::metadata::Metadata;
use crate::import::folder::content_type;
use crate::import::local::{Form, LocalObject};
use crate::s3::auth::canonical::encode;
use crate::s3::headers::TAGS_MAX;

/// Fields that are headers.
const HEADERS: [(&str, &str); 8] = [
    ("__content_type__", "content-type"),
    ("__cache_control__", "cache-control"),
    ("__content_disposition__", "content-disposition"),
    ("__content_encoding__", "content-encoding"),
    ("__content_language__", "content-language"),
    ("__expires__", "expires"),
    ("__website_redirect_location__", "x-amz-website-redirect-location"),
    ("__storage_class__", "x-amz-storage-class"),
];
const CHECKSUMS: [&str; 5] = ["sha256", "sha1", "crc32", "crc32c", "crc64nvme"];
/// Fields of server-side encryption, among those that clients chose.
const ENCRYPTION: [&str; 3] = ["x-amz-server-side-encryption", "x-amz-encryption-", "x-amz-encrypted-data-key"];
const SEALED: &str = "x-amz-server-side-encryption";

/// A retention or legal hold that was kept elsewhere.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lock {
    /// Mode and time.
    pub retention: Option<(String, String)>,
    /// Legal hold.
    pub legal_hold: bool,
}

impl Lock {
    /// Reads a lock of the Python generation.
    pub fn of_record(record: &Value) -> Self {
        let retention = record.get("retention");
        let text = |name: &str| retention.and_then(|of| of.get(name)).and_then(Value::as_str).map(str::to_owned);
        Self {
            retention: text("Mode").zip(text("RetainUntilDate")),
            legal_hold: record.get("legal_hold").and_then(Value::as_bool).unwrap_or(false),
        }
    }

    fn of_metadata(metadata: &Metadata) -> Self {
        let retention = metadata.get("__object_retention__").and_then(|text| serde_json::from_str::<Value>(text).ok());
        let text = |name: &str| retention.as_ref()?.get(name)?.as_str().map(str::to_owned);
        let holds = |value: &str| value.eq_ignore_ascii_case("on") || value.eq_ignore_ascii_case("true");
        Self {
            retention: text("mode").zip(text("retain_until_date")),
            legal_hold: metadata.get("__legal_hold__").is_some_and(holds),
        }
    }

    fn or(self, other: Self) -> Self {
        Self { retention: self.retention.or(other.retention), legal_hold: self.legal_hold || other.legal_hold }
    }

    fn headers(self) -> Vec<(String, String)> {
        let mut headers = Vec::new();
        if let Some((mode, until)) = self.retention {
            headers.push(("x-amz-object-lock-mode".to_owned(), mode));
            headers.push(("x-amz-object-lock-retain-until-date".to_owned(), until));
        }
        if self.legal_hold {
            headers.push(("x-amz-object-lock-legal-hold".to_owned(), "ON".to_owned()));
        }
        headers
    }
}

/// An object of a file, with what goes with it. `segments` is where its bucket keeps the bytes of assembled ones.
pub fn object(
    key: &str,
    path: PathBuf,
    metadata: &Metadata,
    lock: Lock,
    keys: &Keys,
    segments: PathBuf,
) -> LocalObject {
    let mut lost = Vec::new();
    let mut headers: Vec<(String, String)> = HEADERS
        .iter()
        .filter_map(|(field, header)| Some(((*header).to_owned(), metadata.get(field)?.to_owned())))
        // Who asks for the default says nothing.
        .filter(|(header, value)| header != "x-amz-storage-class" || value != "STANDARD")
        .collect();
    if metadata.get("__content_type__").is_none() {
        headers.extend(content_type(key).map(|kind| ("content-type".to_owned(), kind)));
    }
    let is_internal = |name: &str| {
        (name.starts_with("__") && name.ends_with("__")) || ENCRYPTION.iter().any(|start| name.starts_with(start))
    };
    let mut chosen: Vec<_> = metadata.fields.iter().filter(|(name, _)| !is_internal(name)).collect();
    chosen.sort();
    headers.extend(
        chosen.into_iter().map(|(name, value)| (format!("x-amz-meta-{}", name.to_ascii_lowercase()), value.clone())),
    );
    if metadata.tags.len() > TAGS_MAX {
        lost.push(format!(
            "it has {} tags, of which S3 allows {TAGS_MAX}: the others are left behind",
            metadata.tags.len()
        ));
    }
    if !metadata.tags.is_empty() {
        headers.push(("x-amz-tagging".to_owned(), tagging(metadata.tags.iter().take(TAGS_MAX))));
    }
    headers.extend(canned_acl(metadata.get("__acl__"), &mut lost).map(|acl| ("x-amz-acl".to_owned(), acl.to_owned())));
    headers.extend(Lock::of_metadata(metadata).or(lock).headers());
    let number = |name: &str| metadata.get(name).and_then(|text| text.parse().ok());
    let time = metadata.get("__last_modified__").and_then(|text| text.parse::<f64>().ok());
    let parts = metadata.get("__part_sizes__").and_then(sizes).unwrap_or_default();
    LocalObject {
        form: form(metadata, keys, &segments, &parts),
        path,
        headers,
        etag: metadata.get("__etag__").map(str::to_owned),
        stored: number("__size__").zip(time),
        parts,
        checksum: checksum(&metadata.fields),
        lost,
    }
}

/// Tags as `x-amz-tagging` tells them.
pub fn tagging<'a>(tags: impl Iterator<Item = &'a (String, String)>) -> String {
    let encoded = |text: &str| encode(text.as_bytes(), false);
    tags.map(|(key, value)| format!("{}={}", encoded(key), encoded(value))).collect::<Vec<_>>().join("&")
}

fn sizes(text: &str) -> Option<Vec<u64>> {
    text.split(',').map(|size| size.trim().parse().ok()).collect()
}

fn checksum(fields: &HashMap<String, String>) -> Option<(String, String)> {
    let found = CHECKSUMS.iter().find_map(|name| {
        // One of parts ends in their number, and tells nothing of the whole.
        let value = fields.get(&format!("__checksum_{name}__")).filter(|value| !value.contains('-'))?;
        Some((format!("x-amz-checksum-{name}"), value.clone()))
    });
    found.filter(|_| !fields.contains_key("__part_sizes__"))
}

fn form(metadata: &Metadata, keys: &Keys, segments: &std::path::Path, parts: &[u64]) -> Form {
    if metadata.get("__corrupted__").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        let detail = metadata.get("__corruption_detail__").unwrap_or("no reason is told");
        return Form::Unreadable(format!("the earlier node found it damaged: {detail}"));
    }
    if let Some(id) = metadata.get("__segments__") {
        // A name of one folder, not a path.
        let is_name = !id.contains('/') && !matches!(id, "." | "..");
        return match is_name && !parts.is_empty() {
            true => Form::Segments(segments.join(id), parts.to_vec()),
            false => Form::Unreadable("it does not tell its parts".to_owned()),
        };
    }
    let of_customer = metadata.get("__mpu_sse_c__").is_some()
        || metadata.fields.keys().any(|name| name.starts_with("x-amz-server-side-encryption-customer-"));
    let Some(_) = metadata.get(SEALED) else {
        return match of_customer {
            true => Form::Unreadable(CUSTOMER.to_owned()),
            false => Form::Plain,
        };
    };
    let (wrapped, nonce) = (metadata.get("x-amz-encrypted-data-key"), metadata.get("x-amz-encryption-nonce"));
    match (wrapped, nonce) {
        (Some(wrapped), Some(nonce)) => match keys.unwrap(wrapped, metadata.get("x-amz-encryption-key-id")) {
            Ok(key) => Form::Sealed(key, nonce.to_owned()),
            Err(reason) => Form::Unreadable(format!("it is encrypted: {reason}")),
        },
        _ => Form::Unreadable(CUSTOMER.to_owned()),
    }
}

const CUSTOMER: &str = "it is encrypted with a customer's key (SSE-C), which no server keeps";

/// The canned list that says the same as a list of the earlier generation.
pub fn canned_acl(text: Option<&str>, lost: &mut Vec<String>) -> Option<&'static str> {
    let list: Value = serde_json::from_str(text?).ok()?;
    let owner = list.get("owner").and_then(Value::as_str).unwrap_or_default();
    let field = |grant: &Value, name: &str| grant.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut granted: Vec<(String, String)> = list
        .get("grants")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .map(|grant| (field(grant, "grantee"), field(grant, "permission")))
        .filter(|(grantee, _)| grantee != owner)
        .collect();
    granted.sort();
    let granted: Vec<_> = granted.iter().map(|(grantee, permission)| (grantee.as_str(), permission.as_str())).collect();
    match granted.as_slice() {
        [] => None,
        [("*", "READ")] => Some("public-read"),
        [("*", "READ"), ("*", "WRITE")] => Some("public-read-write"),
        [("authenticated", "READ")] => Some("authenticated-read"),
        _ => {
            lost.push("its access control list names users: it is private here".to_owned());
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(fields: &[(&str, &str)]) -> LocalObject {
        let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let metadata = Metadata { fields, tags: vec![("a b".to_owned(), "1&2".to_owned())] };
        let at = |text: &str| PathBuf::from(text);
        object("a/k.txt", at("b/a/k.txt"), &metadata, Lock::default(), &Keys::default(), at("segments"))
    }

    fn header<'a>(object: &'a LocalObject, name: &str) -> Option<&'a str> {
        object.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }

    #[test]
    fn what_goes_with_an_object_becomes_headers() {
        let object = made(&[
            ("__content_type__", "text/x"),
            ("__cache_control__", "no-store"),
            ("Colour", "red"),
            ("__etag__", "900150983cd24fb0d6963f7d28e17f72"),
            ("__size__", "3"),
            ("__last_modified__", "1760000000.25"),
            ("__storage_class__", "STANDARD"),
            (
                "__acl__",
                r#"{"owner": "o", "grants": [{"grantee": "o", "permission": "FULL_CONTROL"}, {"grantee": "*", "permission": "READ"}]}"#,
            ),
            ("__legal_hold__", "ON"),
            ("__object_retention__", r#"{"mode": "GOVERNANCE", "retain_until_date": "2030-01-01T00:00:00Z"}"#),
            ("__checksum_crc32__", "NSRBwg=="),
        ]);
        assert_eq!(header(&object, "content-type"), Some("text/x"));
        assert_eq!(header(&object, "cache-control"), Some("no-store"));
        assert_eq!(header(&object, "x-amz-meta-colour"), Some("red"));
        assert_eq!(header(&object, "x-amz-tagging"), Some("a%20b=1%262"));
        assert_eq!(header(&object, "x-amz-acl"), Some("public-read"));
        assert_eq!(header(&object, "x-amz-object-lock-mode"), Some("GOVERNANCE"));
        assert_eq!(header(&object, "x-amz-object-lock-legal-hold"), Some("ON"));
        assert_eq!(header(&object, "x-amz-storage-class"), None);
        assert_eq!(object.stored, Some((3, 1_760_000_000.25)));
        assert_eq!(object.checksum, Some(("x-amz-checksum-crc32".to_owned(), "NSRBwg==".to_owned())));
        assert!(matches!(object.form, Form::Plain) && object.lost.is_empty());
        assert_eq!(header(&made(&[]), "content-type"), Some("text/plain"));
    }

    #[test]
    fn ciphertext_is_never_taken_for_an_object() {
        let reason = |fields: &[(&str, &str)]| match made(fields).form {
            Form::Unreadable(reason) => reason,
            form => panic!("{form:?}"),
        };
        let data_key = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, [0; 60]);
        let sealed = [(SEALED, "AES256"), ("x-amz-encrypted-data-key", &data_key), ("x-amz-encryption-nonce", "AA==")];
        assert!(reason(&sealed).contains("master key is missing"));
        assert!(reason(&[sealed.as_slice(), &[("x-amz-encryption-key-id", "k1")]].concat()).contains("KMS key k1"));
        assert!(reason(&[(SEALED, "AES256"), ("x-amz-encryption-nonce", "AA==")]).contains("SSE-C"));
        assert!(reason(&[("__mpu_sse_c__", "true")]).contains("SSE-C"));
        assert!(reason(&[("__corrupted__", "true")]).contains("damaged"));
        assert!(reason(&[("__segments__", "../x"), ("__part_sizes__", "1")]).contains("parts"));
        assert!(reason(&[("__segments__", "x")]).contains("parts"));
    }

    #[test]
    fn lists_that_name_users_are_told() {
        let mut lost = Vec::new();
        let list = r#"{"owner": "o", "grants": [{"grantee": "ann", "permission": "READ"}]}"#;
        assert_eq!(canned_acl(Some(list), &mut lost), None);
        assert_eq!(lost.len(), 1);
        assert_eq!(canned_acl(Some("nonsense"), &mut lost), None);
    }
}
