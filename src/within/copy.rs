//! Copies of objects that are larger than what one request copies: as an upload whose parts are ranges of the source.

use std::ops::Range;
use std::sync::Arc;

use actix_web::http::Method;
use myfsio_actors::names::{ChecksumAlgorithm, ChecksumKind, ETag, PART_NUMBER_MAX, UploadId};
use myfsio_actors::storage::{Bucket, Object};

use super::changes::{ANSWER_BYTES_MAX, element, source_of, told};
use super::{Asker, Place, Refusal, Wish, collect, patiently};
use crate::node::NodeSettings;
use crate::s3::auth::canonical::encode;
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::preflight::CONTENT_BYTES_MAX;

/// What is to be copied where.
#[derive(Debug, Clone, Copy)]
pub struct Copying<'a> {
    /// The source.
    pub from: Place<'a>,
    /// Where the copy goes.
    pub to: Place<'a>,
    /// What the source must still be; none: whatever it is.
    pub etag: Option<ETag>,
    /// Whether what is there stays.
    pub keep_existing: bool,
    /// What the target must still be; none: whatever it is.
    pub over: Option<ETag>,
}

impl Copying<'_> {
    /// The condition on the target, if there is one: its header.
    fn condition(&self) -> Option<(&'static str, String)> {
        match self.over {
            _ if self.keep_existing => Some(("if-none-match", "*".to_owned())),
            over => over.map(|etag| ("if-match", format!("\"{etag}\""))),
        }
    }
}

/// What requests may copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopyLimits {
    /// Most bytes of one request.
    pub at_once: u64,
    /// Fewest bytes of a part that is not the last.
    pub part_min: u64,
}

impl CopyLimits {
    /// Those of a node: a request copies no more than another may bring, so that none takes long, and at most what CopyObject and
    /// UploadPartCopy take (S3 User Guide, "Amazon S3 multipart upload limits").
    pub fn of(settings: &NodeSettings) -> Self {
        Self {
            at_once: settings.max_upload_size.min(CONTENT_BYTES_MAX),
            part_min: settings.multipart_min_part_size.min(CONTENT_BYTES_MAX),
        }
    }

    /// Whether an object of this size takes more than one request.
    pub fn is_large(self, size: u64) -> bool {
        size > self.at_once
    }

    /// The ranges that an object of this size is copied in; none where one request copies it. Of one size but for the last, and as
    /// few as may be.
    pub fn parts(self, size: u64) -> Vec<Range<u64>> {
        if !self.is_large(size) {
            return Vec::new();
        }
        let count = size.div_ceil(self.at_once.max(1)).min(PART_NUMBER_MAX.into());
        let part = size.div_ceil(count).max(self.part_min).max(1);
        (0..size.div_ceil(part)).map(|at| at * part..((at + 1) * part).min(size)).collect()
    }
}

/// What CreateMultipartUpload is told so that the object gets what CopyObject copies: all but the storage class and the redirect
/// location.
fn headers(object: &Object, tags: &[(String, String)]) -> Vec<(String, String)> {
    let own = &object.attributes;
    let named = [
        ("content-type", &own.content_type),
        ("cache-control", &own.cache_control),
        ("content-disposition", &own.content_disposition),
        ("content-encoding", &own.content_encoding),
        ("content-language", &own.content_language),
        ("expires", &own.expires),
    ];
    let named = named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.clone()?)));
    let metadata = own.user_metadata.iter().map(|(name, value)| (format!("x-amz-meta-{name}"), value.clone()));
    let pair = |(name, value): &(String, String)| {
        format!("{}={}", encode(name.as_bytes(), false), encode(value.as_bytes(), false))
    };
    let tagging = tags.iter().map(pair).collect::<Vec<_>>().join("&");
    let tagging = (!tags.is_empty()).then(|| ("x-amz-tagging".to_owned(), tagging));
    let algorithm = object.checksum.map(|checksum| checksum.value.algorithm());
    let checksum = algorithm.map(|algorithm| ("x-amz-checksum-algorithm".to_owned(), algorithm.name().to_owned()));
    // Of the bytes and not of the parts where it can be, as CopyObject has it.
    let is_crc = matches!(algorithm, Some(ChecksumAlgorithm::Crc32 | ChecksumAlgorithm::Crc32c));
    let kind = is_crc.then(|| ("x-amz-checksum-type".to_owned(), ChecksumKind::FullObject.name().to_owned()));
    named.chain(metadata).chain(tagging).chain(checksum).chain(kind).collect()
}

impl Asker {
    /// Copies an object of any size: by one request, or, where that is not enough, in parts. Before each part, `goes_on` hears of the
    /// upload and says whether to go on; where the copy does not come to its end, nothing of it stays. `bucket` is the source's. Errs:
    /// as CopyObject.
    pub async fn copy_of_any_size(
        &self,
        bucket: &Arc<Bucket>,
        copying: &Copying<'_>,
        size: u64,
        goes_on: impl AsyncFn(Place<'_>, UploadId) -> bool,
    ) -> Result<(), Refusal> {
        let (from, to) = (copying.from, copying.to);
        let parts = CopyLimits::of(&self.node.settings).parts(size);
        if parts.is_empty() {
            let etag = copying.etag.map(|etag| format!("\"{etag}\""));
            let mut headers: Vec<_> =
                etag.as_deref().map(|etag| ("x-amz-copy-source-if-match", etag)).into_iter().collect();
            let condition = copying.condition();
            headers.extend(condition.as_ref().map(|(name, value)| (*name, value.as_str())));
            return patiently(async || self.copy(from, to.bucket, to.key, &headers).await).await;
        }
        if copying.keep_existing
            && let Ok(there) = self.known_bucket(to.bucket)
            && self.object(&there, to.key, None).await.is_ok()
        {
            // The end of the upload would find out, once all was copied for nothing.
            return Err(S3Error::new(ErrorCode::PreconditionFailed).field("Condition", "If-None-Match").into());
        }
        let object = patiently(async || self.object(bucket, from.key, from.version).await).await?;
        let copying = Copying { etag: copying.etag.or(Some(object.etag)), ..*copying };
        // Reading tags takes a permission of its own, as it does for CopyObject.
        let tags = match object.attributes.tags.is_empty() {
            true => Vec::new(),
            false => patiently(async || self.tags(from).await).await?,
        };
        let headers = headers(&object, &tags);
        let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let upload = patiently(async || self.begin_upload(to.bucket, to.key, &headers).await).await?;
        let copied = self.copied_parts(&copying, upload, parts, goes_on).await;
        if copied.is_err() {
            // What cannot be removed stands among the unfinished uploads of its bucket.
            let _ = patiently(async || self.abort_upload(to, upload).await).await;
        }
        copied
    }

    async fn copied_parts(
        &self,
        copying: &Copying<'_>,
        upload: UploadId,
        parts: Vec<Range<u64>>,
        goes_on: impl AsyncFn(Place<'_>, UploadId) -> bool,
    ) -> Result<(), Refusal> {
        let mut done = Vec::with_capacity(parts.len());
        for (range, number) in parts.into_iter().zip(1_u32..) {
            if !goes_on(copying.to, upload).await {
                return Err(Refusal::broken("The copy was ended."));
            }
            let etag = patiently(async || self.copy_part(copying, upload, number, &range).await).await?;
            done.push((number, etag));
        }
        let condition = copying.condition();
        let headers: Vec<_> = condition.as_ref().map(|(name, value)| (*name, value.as_str())).into_iter().collect();
        patiently(async || self.complete_parts(copying.to, upload, &done, &headers).await).await
    }

    /// Errs: as UploadPartCopy.
    async fn copy_part(
        &self,
        copying: &Copying<'_>,
        upload: UploadId,
        number: u32,
        range: &Range<u64>,
    ) -> Result<ETag, Refusal> {
        let source = source_of(copying.from);
        let etag = copying.etag.map(|etag| format!("\"{etag}\""));
        let range = format!("bytes={}-{}", range.start, range.end.saturating_sub(1));
        let (number, id) = (number.to_string(), upload.to_string());
        let mut headers = vec![("x-amz-copy-source", source.as_str()), ("x-amz-copy-source-range", range.as_str())];
        headers.extend(etag.as_deref().map(|etag| ("x-amz-copy-source-if-match", etag)));
        let wish = Wish {
            method: Method::PUT,
            bucket: Some(copying.to.bucket),
            key: Some(copying.to.key),
            query: &[("partNumber", number.as_str()), ("uploadId", id.as_str())],
            headers: &headers,
            ..Wish::default()
        };
        let answer = collect(self.s3(wish).await?, ANSWER_BYTES_MAX).await?;
        told(&answer)?;
        let etag = element(&answer, "ETag").and_then(|etag| ETag::parse(&etag.replace("&quot;", "\"")).ok());
        etag.ok_or_else(|| Refusal::broken("The part has no ETag."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;
    const S3: CopyLimits = CopyLimits { at_once: 5 * GIB, part_min: 5 << 20 };

    /// Whether ranges are one behind the other, from the first byte to the last.
    fn covers(parts: &[Range<u64>], size: u64) -> bool {
        let mut at = 0;
        parts.iter().all(|part| std::mem::replace(&mut at, part.end) == part.start && part.start < part.end)
            && at == size
    }

    #[test]
    fn one_request_copies_what_it_may() {
        for size in [0, 1, 5 * GIB] {
            assert_eq!(S3.parts(size), []);
        }
        assert_eq!(S3.parts(5 * GIB + 1), [0..GIB * 5 / 2 + 1, GIB * 5 / 2 + 1..5 * GIB + 1]);
    }

    #[test]
    fn parts_are_what_requests_may_copy() {
        for (limits, size) in [
            (S3, 5 * GIB + 1),
            (S3, 10 * GIB),
            (S3, 5 << 40),
            (CopyLimits { at_once: 1 << 20, part_min: 1 }, (3 << 20) + 7),
            (CopyLimits { at_once: 100, part_min: 60 }, 101),
        ] {
            let parts = limits.parts(size);
            assert!(covers(&parts, size), "{limits:?} {size}");
            let (last, others) = parts.split_last().unwrap();
            assert!(others.iter().all(|part| (limits.part_min..=limits.at_once).contains(&(part.end - part.start))));
            assert!(last.end - last.start <= limits.at_once && parts.len() <= 10_000, "{limits:?} {size}");
        }
        // Where a request may bring next to nothing, parts are larger, as no object has more of them.
        let tiny = CopyLimits { at_once: 1, part_min: 1 }.parts(30_001);
        assert!(covers(&tiny, 30_001) && tiny.len() <= 10_000);
    }
}
