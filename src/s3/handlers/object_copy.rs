//! CopyObject, and what UploadPartCopy shares with it: reading the source's name, asking for it, opening it.

use std::sync::Arc;

use actix_web::http::header::HeaderMap;
use myfsio_actors::encryption::DataKey;
use myfsio_actors::names::{BucketName, ChecksumAlgorithm, ObjectKey, VersionId};
use myfsio_actors::storage::{Attributes, BeginBody, Bucket, DigestPlan, OpenObject, PutObject, Stored, Versioning};

use super::bucket_lifecycle::expiration;
use super::object_put::{kept_checksum, told_checksum, told_version};
use super::slow_answer::{self, Done};
use crate::s3::authorize::{Further, expect_owner, open_further};
use crate::s3::checksum::unsupported;
use crate::s3::conditional::ReadConditions;
use crate::s3::context::{Call, parse_version};
use crate::s3::controls::NewObject;
use crate::s3::encryption::asked::Asked;
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::headers::{self, refuse_unbuilt, text};
use crate::s3::preflight::CONTENT_BYTES_MAX;
use crate::s3::query::percent_decode;
use crate::s3::respond::Answer;
use crate::s3::route::parse_key;
use crate::s3::xml::write::XmlWriter;

/// What `x-amz-copy-source` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopySource {
    /// Bucket.
    pub bucket: BucketName,
    /// Key, decoded once.
    pub key: ObjectKey,
    /// Version, if one is named.
    pub version: Option<VersionId>,
}

impl CopySource {
    /// Reads the header of a request. Errs: InvalidArgument, KeyTooLongError.
    pub fn of(headers: &HeaderMap) -> Result<Self, S3Error> {
        Self::parse(&text(headers, "x-amz-copy-source").unwrap_or_default())
    }

    /// Reads `[/]bucket/key[?versionId=id]`, percent-encoded.
    fn parse(value: &str) -> Result<Self, S3Error> {
        let malformed = || {
            S3Error::invalid_argument(
                "x-amz-copy-source",
                value,
                "Copy Source must mention the source bucket and key: sourcebucket/sourcekey",
            )
        };
        let (path, version) = match value.split_once("?versionId=") {
            Some((path, version)) => (path, Some(parse_version(version)?)),
            None => (value, None),
        };
        let decoded = percent_decode(path.as_bytes(), false).ok_or_else(malformed)?;
        let decoded = decoded.strip_prefix(b"/").unwrap_or(&decoded);
        let slash = decoded.iter().position(|&byte| byte == b'/').ok_or_else(malformed)?;
        let (bucket, key) = decoded.split_at_checked(slash).ok_or_else(malformed)?;
        let key = key.get(1..).filter(|key| !key.is_empty()).ok_or_else(malformed)?;
        let bucket = std::str::from_utf8(bucket).ok().and_then(|name| BucketName::parse(name).ok());
        Ok(Self { bucket: bucket.ok_or_else(malformed)?, key: parse_key(key)?, version })
    }
}

/// The source of a copy: may be read by the caller, and opened.
#[derive(Debug)]
pub struct Source {
    /// What the request named.
    pub name: CopySource,
    /// Its bucket.
    pub bucket: Arc<Bucket>,
    /// The object.
    pub opened: OpenObject,
}

impl Source {
    /// Looks the source up, asks for the permission to read it, opens it and checks the `x-amz-copy-source-if-*`
    /// conditions. Errs: NoSuchBucket, AccessDenied, NoSuchKey, NoSuchVersion, PreconditionFailed, InvalidRequest for a
    /// delete marker.
    pub async fn open(call: &Call) -> Result<Self, S3Error> {
        let name = CopySource::of(&call.headers)?;
        let bucket = call.storage().bucket(&name.bucket)?;
        expect_owner(&call.node, &call.headers, "x-amz-source-expected-bucket-owner", &bucket)?;
        let action = if name.version.is_some() { "s3:GetObjectVersion" } else { "s3:GetObject" };
        call.charged(&bucket)?;
        let opened = open_further(call, action, &bucket, &name.key, name.version).await;
        let opened = opened.map_err(|error| match error.code() {
            ErrorCode::MethodNotAllowed => S3Error::with_message(
                ErrorCode::InvalidRequest,
                "The source of a copy request may not specifically refer to a delete marker by version id.",
            ),
            _ => error,
        })?;
        ReadConditions::of_copy_source(&call.headers)?
            .require_for_copy(&opened.object.etag, opened.object.modified())?;
        Ok(Self { name, bucket, opened })
    }

    /// The key that opens it; none when it is not sealed. Errs: as [`Call::source_key`].
    pub fn data_key(&self, call: &Call) -> Result<Option<DataKey>, S3Error> {
        call.source_key(&self.bucket, &self.name.key, &self.opened.object)
    }

    /// The source's version id, where its bucket keeps versions.
    pub fn version_id(&self) -> Option<VersionId> {
        (self.bucket.versioning != Versioning::Off).then_some(self.opened.object.version_id)
    }
}

/// S3 API Reference, CopyObject.
pub async fn copy_object(call: Call) -> Answer {
    let (bucket, key) = (call.bucket()?, call.key()?);
    refuse_unbuilt(&call.headers)?;
    let NewObject { owner, controls } = NewObject::of_call(&call, &bucket, &key, None)?;
    let conditions = call.write_conditions()?;
    call.storage().precheck(&bucket, &key, &conditions)?;
    let algorithm = checksum_algorithm(&call.headers)?;
    let source = Source::open(&call).await?;
    let size = source.opened.object.size;
    if size > CONTENT_BYTES_MAX {
        return Err(S3Error::with_message(
            ErrorCode::InvalidRequest,
            format!(
                "The specified copy source is larger than the maximum allowable size for a copy source: {CONTENT_BYTES_MAX}"
            ),
        ));
    }
    refuse_idle_copy(&call, &bucket, &key, &source, algorithm)?;
    let attributes = copied_attributes(&call.headers, &source.opened.object.attributes)?;
    let replaces_tags = text(&call.headers, "x-amz-tagging-directive").is_some_and(|d| d == "REPLACE");
    if !attributes.tags.is_empty() && !replaces_tags {
        let versioned = source.name.version.is_some();
        let action = if versioned { "s3:GetObjectVersionTagging" } else { "s3:GetObjectTagging" };
        let (key, version) = (Some(source.name.key.as_str()), source.name.version);
        let object = Some(&source.opened.object);
        call.authorize_further(action, &source.bucket, Further { key, version, object, ..Further::default() })?;
    }
    if !attributes.tags.is_empty() {
        let tags = Some(attributes.tags.as_slice());
        let further = Further { key: Some(key.as_str()), tags, ..Further::default() };
        call.authorize_further("s3:PutObjectTagging", &bucket, further)?;
    }
    let kept = source.opened.object.checksum.map(|checksum| checksum.value.algorithm());
    let plan = DigestPlan { checksum: algorithm.or(kept), ..DigestPlan::default() };
    let source_version = source.version_id();
    let opening = source.data_key(&call)?;
    let envelope = call.envelope(&bucket, &key).await?;
    let told = call.told_new_encryption(envelope.as_ref().map(|envelope| &envelope.encryption));
    let begin = BeginBody { bucket: &bucket, key: &key, owner: &owner, size: Some(size) };
    let writer = call.storage().begin_body(begin, plan, envelope.as_ref())?;
    let storage = call.storage().clone();
    let (node, there, name) = (Arc::clone(&call.node), Arc::clone(&bucket), key.clone());
    let work = async move {
        let body = storage.copy_body(source.opened, 0..size, opening.as_ref(), writer).await?;
        let checksum = body.digests().checksum.and_then(kept_checksum);
        let message = PutObject { bucket, key, owner, attributes, controls, body, checksum, conditions, replica: None };
        let stored = storage.put_object(message).await?;
        let mut done = copied(&stored, source_version);
        done.headers.extend(told);
        done.headers.extend(expiration(&node, &there, name.as_str(), &stored.object));
        Ok(done)
    };
    slow_answer::answer(&call, work).await
}

fn copied(stored: &Stored, source_version: Option<VersionId>) -> Done {
    let object = &stored.object;
    let mut document = XmlWriter::new("CopyObjectResult");
    document.time("LastModified", object.modified()).etag(object.etag);
    let (checksum, kind) = told_checksum(object);
    if let Some((header, value)) = checksum {
        let algorithm = ChecksumAlgorithm::ALL.into_iter().find(|algorithm| algorithm.header() == header);
        if let Some(element) = algorithm.map(checksum_element) {
            document.text(element, &value).text("ChecksumType", kind.name());
        }
    }
    let version = told_version(stored).map(|version| ("x-amz-version-id", version));
    let from = source_version.map(|version| ("x-amz-copy-source-version-id", version.to_string()));
    Done { document: document.finish(), headers: version.into_iter().chain(from).collect() }
}

/// The XML element of a checksum.
pub fn checksum_element(algorithm: ChecksumAlgorithm) -> &'static str {
    match algorithm {
        ChecksumAlgorithm::Crc32 => "ChecksumCRC32",
        ChecksumAlgorithm::Crc32c => "ChecksumCRC32C",
        ChecksumAlgorithm::Crc64Nvme => "ChecksumCRC64NVME",
        ChecksumAlgorithm::Md5 => "ChecksumMD5",
        ChecksumAlgorithm::Sha1 => "ChecksumSHA1",
        ChecksumAlgorithm::Sha256 => "ChecksumSHA256",
        ChecksumAlgorithm::Sha512 => "ChecksumSHA512",
        ChecksumAlgorithm::XxHash128 => "ChecksumXXHASH128",
        ChecksumAlgorithm::XxHash3 => "ChecksumXXHASH3",
        ChecksumAlgorithm::XxHash64 => "ChecksumXXHASH64",
    }
}

fn checksum_algorithm(headers: &HeaderMap) -> Result<Option<ChecksumAlgorithm>, S3Error> {
    let Some(name) = text(headers, "x-amz-checksum-algorithm") else { return Ok(None) };
    ChecksumAlgorithm::parse(&name).map(Some).ok_or_else(unsupported)
}

/// Whether `COPY` (the default) or `REPLACE` is asked for. Errs: InvalidArgument.
fn replaces(headers: &HeaderMap, header: &'static str, message: &'static str) -> Result<bool, S3Error> {
    match text(headers, header).as_deref() {
        None | Some("COPY") => Ok(false),
        Some("REPLACE") => Ok(true),
        Some(other) => Err(S3Error::invalid_argument(header, other, message)),
    }
}

fn replaces_metadata(headers: &HeaderMap) -> Result<bool, S3Error> {
    replaces(headers, "x-amz-metadata-directive", "Unknown metadata directive.")
}

fn replaces_tags(headers: &HeaderMap) -> Result<bool, S3Error> {
    replaces(headers, "x-amz-tagging-directive", "Unknown tagging directive.")
}

/// Attributes of the copy: the source's or the request's, by the directives. Storage class and redirect location are
/// never copied.
fn copied_attributes(request: &HeaderMap, source: &Attributes) -> Result<Attributes, S3Error> {
    let asked = headers::attributes(request)?;
    let base = if replaces_metadata(request)? { asked.clone() } else { source.clone() };
    let tags = if replaces_tags(request)? { asked.tags } else { source.tags.clone() };
    Ok(Attributes { storage_class: asked.storage_class, website_redirect: asked.website_redirect, tags, ..base })
}

/// Copying an object to itself must change something. Errs: InvalidRequest.
fn refuse_idle_copy(
    call: &Call,
    bucket: &Bucket,
    key: &ObjectKey,
    source: &Source,
    algorithm: Option<ChecksumAlgorithm>,
) -> Result<(), S3Error> {
    let is_itself = source.bucket.id == bucket.id && source.name.key == *key && source.name.version.is_none();
    let changes = replaces_metadata(&call.headers)?
        || replaces_tags(&call.headers)?
        || algorithm.is_some()
        || call.headers.contains_key("x-amz-website-redirect-location")
        || call.headers.contains_key("x-amz-storage-class")
        || !Asked::of_write(&call.headers)?.is_default()
        || bucket.config.encryption.as_ref().is_some_and(|encryption| encryption.default.is_some());
    if is_itself && !changes {
        return Err(S3Error::with_message(
            ErrorCode::InvalidRequest,
            "This copy request is illegal because it is trying to copy an object to itself without changing the object's \
             metadata, storage class, website redirect location or encryption attributes.",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::{HeaderName, HeaderValue};

    #[test]
    fn sources_are_decoded_once() {
        for (value, bucket, key) in [
            ("abc/k", "abc", "k"),
            ("/abc/k", "abc", "k"),
            ("/abc//k", "abc", "/k"),
            ("abc%2Fa%20b%2Bc+d", "abc", "a b+c+d"),
            ("abc/%252F", "abc", "%2F"),
            ("abc/a?b", "abc", "a?b"),
        ] {
            let source = CopySource::parse(value).unwrap();
            assert_eq!((source.bucket.as_str(), source.key.as_str(), source.version), (bucket, key, None), "{value}");
        }
        let source = CopySource::parse("abc/k%3FversionId=x?versionId=null").unwrap();
        assert_eq!((source.key.as_str(), source.version), ("k?versionId=x", Some(VersionId::Null)));
        for bad in ["", "abc", "/abc", "abc/", "AB/k", "abc/%zz", "abc/%ff", "abc/k?versionId=", "abc/k?versionId=1"] {
            assert!(CopySource::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn directives_choose_attributes() {
        let source = Attributes {
            content_type: Some("a/b".to_owned()),
            storage_class: Some("GLACIER".to_owned()),
            website_redirect: Some("/x".to_owned()),
            tags: vec![("t".to_owned(), "1".to_owned())],
            ..Attributes::default()
        };
        let mut request = HeaderMap::new();
        request.insert(HeaderName::from_static("content-type"), HeaderValue::from_static("c/d"));
        request.insert(HeaderName::from_static("x-amz-tagging"), HeaderValue::from_static("u=2"));
        let kept = copied_attributes(&request, &source).unwrap();
        assert_eq!(
            (kept.content_type.as_deref(), kept.storage_class, kept.website_redirect),
            (Some("a/b"), None, None)
        );
        assert_eq!(kept.tags, source.tags);
        request.insert(HeaderName::from_static("x-amz-metadata-directive"), HeaderValue::from_static("REPLACE"));
        let replaced = copied_attributes(&request, &source).unwrap();
        assert_eq!((replaced.content_type.as_deref(), &replaced.tags), (Some("c/d"), &source.tags));
        request.insert(HeaderName::from_static("x-amz-tagging-directive"), HeaderValue::from_static("REPLACE"));
        assert_eq!(copied_attributes(&request, &source).unwrap().tags, [("u".to_owned(), "2".to_owned())]);
        request.insert(HeaderName::from_static("x-amz-metadata-directive"), HeaderValue::from_static("MERGE"));
        assert_eq!(copied_attributes(&request, &source).unwrap_err().code(), ErrorCode::InvalidArgument);
    }
}
