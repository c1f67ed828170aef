//! Changes of objects that take a document, or more than one request.

use actix_http::Response;
use actix_web::body::BoxBody;
use actix_web::http::Method;
use myfsio_actors::names::{BucketName, ETag, ObjectKey, UploadId, VersionId};
use myfsio_actors::storage::Bucket;
use std::sync::Arc;

use super::{Asker, Refusal, Wish, body, collect, content_md5};
use crate::s3::auth::canonical::encode;
use crate::s3::xml::XmlWriter;
use crate::s3::xml::requests::tagging;

/// Largest answer to a change, in bytes.
pub(super) const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// An object, or one version of it.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The bucket.
    pub bucket: &'a BucketName,
    /// The key.
    pub key: &'a ObjectKey,
    /// The version; none is the current one.
    pub version: Option<VersionId>,
}

impl Asker {
    /// Deletes an object, or one version of it. Errs: as DeleteObject. Answers the version id of the delete marker that was made, if
    /// one was.
    pub async fn delete(&self, place: Place<'_>) -> Result<Option<String>, Refusal> {
        let version = place.version.map(|version| version.to_string());
        let query: Vec<_> = version.as_deref().map(|version| ("versionId", version)).into_iter().collect();
        let wish = Wish {
            method: Method::DELETE,
            bucket: Some(place.bucket),
            key: Some(place.key),
            query: &query,
            ..Wish::default()
        };
        let answer = self.s3(wish).await?;
        Ok(marker_of(&answer).filter(|_| place.version.is_none()))
    }

    /// Deletes an object as long as it is what has this ETag. Errs: as DeleteObject. Answers as [`Asker::delete`].
    pub async fn delete_matching(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        etag: ETag,
    ) -> Result<Option<String>, Refusal> {
        let etag = format!("\"{etag}\"");
        let headers = [("if-match", etag.as_str())];
        let (bucket, key) = (Some(bucket), Some(key));
        let answer =
            self.s3(Wish { method: Method::DELETE, bucket, key, headers: &headers, ..Wish::default() }).await?;
        Ok(marker_of(&answer))
    }

    /// Copies an object by one request, with further headers that say what changes. Errs: as CopyObject.
    pub async fn copy(
        &self,
        from: Place<'_>,
        bucket: &BucketName,
        key: &ObjectKey,
        headers: &[(&str, &str)],
    ) -> Result<(), Refusal> {
        let source = source_of(from);
        let mut all = vec![("x-amz-copy-source", source.as_str())];
        all.extend_from_slice(headers);
        let wish = Wish { method: Method::PUT, bucket: Some(bucket), key: Some(key), headers: &all, ..Wish::default() };
        // The answer may be long in coming, and says at its end whether it went well.
        let answer = collect(self.s3(wish).await?, ANSWER_BYTES_MAX).await?;
        told(&answer)
    }

    /// Begins an upload in parts, with headers that say what the object will be. Errs: as CreateMultipartUpload.
    pub async fn begin_upload(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        headers: &[(&str, &str)],
    ) -> Result<UploadId, Refusal> {
        let wish = Wish {
            method: Method::POST,
            bucket: Some(bucket),
            key: Some(key),
            query: &[("uploads", "")],
            headers,
            ..Wish::default()
        };
        let answer = collect(self.s3(wish).await?, ANSWER_BYTES_MAX).await?;
        let id = element(&answer, "UploadId").and_then(|id| UploadId::parse(&id).ok());
        id.ok_or_else(|| Refusal::broken("The upload has no id."))
    }

    /// Makes an object of all parts of an upload that are there. Errs: as CompleteMultipartUpload.
    pub async fn complete_upload(
        &self,
        bucket: &Arc<Bucket>,
        key: &ObjectKey,
        upload: UploadId,
    ) -> Result<(), Refusal> {
        let (mut parts, mut after) = (Vec::new(), 0);
        loop {
            let page = match self.parts(bucket, key, upload, after).await {
                Ok(page) => page,
                Err(refusal) => {
                    // The object is made, and only the answer got lost: whoever asks again is told the same.
                    let made = self.object(bucket, key, None).await.ok().and_then(|object| object.upload);
                    return if made == Some(upload) { Ok(()) } else { Err(refusal) };
                }
            };
            parts.extend(page.parts.iter().map(|part| (part.number.get().into(), part.etag)));
            match page.next {
                Some(number) => after = u32::from(number.get()),
                None => break,
            }
        }
        self.complete_parts(Place { bucket: &bucket.name, key, version: None }, upload, &parts, &[]).await
    }

    /// Makes an object of these parts. Errs: as CompleteMultipartUpload.
    pub(super) async fn complete_parts(
        &self,
        place: Place<'_>,
        upload: UploadId,
        parts: &[(u32, ETag)],
        headers: &[(&str, &str)],
    ) -> Result<(), Refusal> {
        let mut document = XmlWriter::new("CompleteMultipartUpload");
        for (number, etag) in parts {
            document.open("Part").value("PartNumber", number).etag(etag).close();
        }
        let id = upload.to_string();
        let document = document.finish();
        let length = document.len().to_string();
        let mut all = vec![("content-length", length.as_str())];
        all.extend_from_slice(headers);
        let wish = Wish {
            method: Method::POST,
            bucket: Some(place.bucket),
            key: Some(place.key),
            query: &[("uploadId", id.as_str())],
            headers: &all,
            payload: Some(body(document)),
        };
        let answer = collect(self.s3(wish).await?, ANSWER_BYTES_MAX).await?;
        told(&answer)
    }

    /// Ends an upload, and removes its parts. Errs: as AbortMultipartUpload.
    pub async fn abort_upload(&self, place: Place<'_>, upload: UploadId) -> Result<(), Refusal> {
        let id = upload.to_string();
        let wish = Wish {
            method: Method::DELETE,
            bucket: Some(place.bucket),
            key: Some(place.key),
            query: &[("uploadId", id.as_str())],
            ..Wish::default()
        };
        self.s3(wish).await.map(drop)
    }

    /// The tags of an object, or one version of it. Errs: as GetObjectTagging.
    pub async fn tags(&self, place: Place<'_>) -> Result<Vec<(String, String)>, Refusal> {
        let version = place.version.map(|version| version.to_string());
        let mut query = vec![("tagging", "")];
        query.extend(version.as_deref().map(|version| ("versionId", version)));
        let wish = Wish { bucket: Some(place.bucket), key: Some(place.key), query: &query, ..Wish::default() };
        let answer = collect(self.s3(wish).await?, ANSWER_BYTES_MAX).await?;
        tagging(&answer).map_err(|_| Refusal::broken("The tags cannot be read."))
    }

    /// Sets the tags of an object, or one version of it; none removes all. Errs: as PutObjectTagging and DeleteObjectTagging.
    pub async fn set_tags(&self, place: Place<'_>, tags: &[(String, String)]) -> Result<(), Refusal> {
        if tags.is_empty() {
            return self.set_document(place, Method::DELETE, "tagging", String::new(), &[]).await;
        }
        let mut document = XmlWriter::new("Tagging");
        document.open("TagSet");
        for (name, value) in tags {
            document.open("Tag").text("Key", name).text("Value", value).close();
        }
        document.close();
        self.set_document(place, Method::PUT, "tagging", document.finish(), &[]).await
    }

    /// Puts or releases the legal hold of a version. Errs: as PutObjectLegalHold.
    pub async fn set_legal_hold(&self, place: Place<'_>, is_held: bool) -> Result<(), Refusal> {
        let mut document = XmlWriter::new("LegalHold");
        document.text("Status", if is_held { "ON" } else { "OFF" });
        self.set_document(place, Method::PUT, "legal-hold", document.finish(), &[]).await
    }

    /// Sets until when a version may not be deleted: a mode and a time as RFC 3339 writes it. Errs: as PutObjectRetention.
    pub async fn set_retention(
        &self,
        place: Place<'_>,
        mode: &str,
        until: &str,
        bypasses: bool,
    ) -> Result<(), Refusal> {
        let mut document = XmlWriter::new("Retention");
        if !mode.is_empty() {
            document.text("Mode", mode).text("RetainUntilDate", until);
        }
        let headers: &[_] = if bypasses { &[("x-amz-bypass-governance-retention", "true")] } else { &[] };
        self.set_document(place, Method::PUT, "retention", document.finish(), headers).await
    }

    async fn set_document(
        &self,
        place: Place<'_>,
        method: Method,
        what: &str,
        document: String,
        headers: &[(&str, &str)],
    ) -> Result<(), Refusal> {
        let version = place.version.map(|version| version.to_string());
        let mut query = vec![(what, "")];
        query.extend(version.as_deref().map(|version| ("versionId", version)));
        let (length, digest) = (document.len().to_string(), content_md5(&document));
        let mut all = vec![("content-length", length.as_str()), ("content-md5", &digest)];
        all.extend_from_slice(headers);
        let wish = Wish {
            method,
            bucket: Some(place.bucket),
            key: Some(place.key),
            query: &query,
            headers: &all,
            payload: Some(body(document)),
        };
        self.s3(wish).await.map(drop)
    }
}

/// Version id of the delete marker that an answer tells of.
fn marker_of(answer: &Response<BoxBody>) -> Option<String> {
    let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok());
    let is_marker = header("x-amz-delete-marker") == Some("true");
    header("x-amz-version-id").filter(|_| is_marker).map(str::to_owned)
}

/// What `x-amz-copy-source` says of a place.
pub(super) fn source_of(from: Place<'_>) -> String {
    let mut source = format!("{}/{}", from.bucket, encode(from.key.as_bytes(), true));
    if let Some(version) = from.version {
        source.push_str(&format!("?versionId={version}"));
    }
    source
}

/// What an answer that was long in coming says at its end. Errs: what was refused.
pub(super) fn told(answer: &[u8]) -> Result<(), Refusal> {
    let Some(code) = element(answer, "Code") else { return Ok(()) };
    let mut refusal = Refusal::told(&code, element(answer, "Message").unwrap_or_default());
    refusal.fields.extend(element(answer, "Condition").map(|condition| ("Condition", condition)));
    Err(refusal)
}

/// The text of an element that has nothing to unescape, such as an id, from an answer of our own.
pub(super) fn element(document: &[u8], name: &str) -> Option<String> {
    let text = std::str::from_utf8(document).ok()?;
    let (_, behind) = text.split_once(&format!("<{name}>"))?;
    behind.split_once('<').map(|(inside, _)| inside.to_owned())
}
