//! UploadPart and UploadPartCopy (S3 API Reference).

use std::ops::Range;
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::HeaderMap;
use myfsio_actors::names::{ChecksumAlgorithm, ObjectKey};
use myfsio_actors::storage::{BeginPart, Bucket, DigestPlan, Part, PutPart, Upload};

use super::listing::write_part_checksum;
use super::multipart_create::{part_number, upload_id};
use super::object_copy::Source;
use super::slow_answer::{self, Done};
use crate::node::Node;
use crate::s3::checksum::{BodyChecks, ChecksumClaim};
use crate::s3::context::Call;
use crate::s3::encryption::told;
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::headers::{refuse_unbuilt, text};
use crate::s3::preflight::CONTENT_BYTES_MAX;
use crate::s3::query::Query;
use crate::s3::respond::{Answer, empty, set_header};
use crate::s3::xml::XmlWriter;

/// S3 API Reference, UploadPart. Errs: NoSuchUpload, InvalidArgument, MissingContentLength, those of the body and of its
/// digests.
pub async fn upload_part(mut call: Call) -> Answer {
    refuse_unbuilt(&call.headers)?;
    let mut checks = call.body_checks()?;
    let size = call.body.declared_size().ok_or(ErrorCode::MissingContentLength)?;
    let (begun, begin) = begin_part(&call, size)?;
    expect_checksum(&mut checks, begun.checksum.map(|(algorithm, _)| algorithm))?;
    let sealing = call.part_key(&begin.bucket, &begin.key, &begun)?;
    let writer = call.storage().begin_part(begin.clone(), checks.plan(), sealing.as_ref()).await?;
    let (body, checksum) = call.body.write_to(writer, &checks).await?;
    let BeginPart { bucket, key, upload, number, size: _ } = begin;
    let part = call.storage().put_part(PutPart { bucket, key, upload, number, body, checksum }).await?;
    let mut response = empty(StatusCode::OK);
    told::put(&mut response, call.told_encryption(begun.encryption.as_ref()));
    set_header(&mut response, "etag", &format!("\"{}\"", part.etag));
    if let Some(checksum) = part.checksum {
        set_header(&mut response, checksum.algorithm().header(), &checksum.to_string());
    }
    Ok(response)
}

/// What the head alone can be refused for, but for encryption; answers the upload. Runs before `100 Continue` when the client waits for it. Errs: NotImplemented,
/// InvalidArgument, NoSuchUpload, QuotaExceeded.
pub fn check_head(
    node: &Node,
    headers: &HeaderMap,
    query: &Query,
    bucket: &Bucket,
    key: &ObjectKey,
    size: Option<u64>,
) -> Result<Arc<Upload>, S3Error> {
    refuse_unbuilt(headers)?;
    let (number, id, size) = (part_number(query)?, upload_id(query)?, size.unwrap_or(0));
    let upload = node.storage.upload(bucket, key, id)?;
    node.storage.check_quota_of_part(bucket, &upload, number, size)?;
    Ok(upload)
}

/// S3 API Reference, UploadPartCopy. Errs: NoSuchUpload, InvalidArgument for the range, and those of the source.
pub async fn upload_part_copy(call: Call) -> Answer {
    refuse_unbuilt(&call.headers)?;
    let source = Source::open(&call).await?;
    let range = copied_range(&call.headers, source.opened.object.size)?;
    let size = range.end.saturating_sub(range.start);
    let (upload, begin) = begin_part(&call, size)?;
    let plan = DigestPlan { checksum: upload.checksum.map(|(algorithm, _)| algorithm), ..DigestPlan::default() };
    let version = source.version_id();
    let (opening, sealing) = (source.data_key(&call)?, call.part_key(&begin.bucket, &begin.key, &upload)?);
    let told = call.told_encryption(upload.encryption.as_ref());
    let storage = call.storage().clone();
    let copy = async move {
        let writer = storage.begin_part(begin.clone(), plan, sealing.as_ref()).await?;
        let body = storage.copy_body(source.opened, range, opening.as_ref(), writer).await?;
        let checksum = body.digests().checksum;
        let BeginPart { bucket, key, upload, number, size: _ } = begin;
        let part = storage.put_part(PutPart { bucket, key, upload, number, body, checksum }).await?;
        let headers = version.map(|id| ("x-amz-copy-source-version-id", id.to_string()));
        Ok(Done { document: copied_document(&part), headers: headers.into_iter().chain(told).collect() })
    };
    slow_answer::answer(&call, copy).await
}

fn begin_part(call: &Call, size: u64) -> Result<(Arc<Upload>, BeginPart), S3Error> {
    let (bucket, key, id) = (call.bucket()?, call.key()?, upload_id(&call.query)?);
    let number = part_number(&call.query)?;
    let upload = call.storage().upload(&bucket, &key, id)?;
    Ok((upload, BeginPart { bucket, key, upload: id, number, size }))
}

/// Fits a part's checksum to the algorithm of its upload. A part that brings none gets one computed: all parts of such an
/// upload need it. Errs: InvalidRequest when the part brings one of another algorithm.
fn expect_checksum(checks: &mut BodyChecks, expected: Option<ChecksumAlgorithm>) -> Result<(), S3Error> {
    let Some(expected) = expected else { return Ok(()) };
    match checks.checksum {
        Some(ChecksumClaim::Value(_) | ChecksumClaim::Trailer(_)) => {}
        Some(ChecksumClaim::Compute(_)) | None => checks.checksum = Some(ChecksumClaim::Compute(expected)),
    }
    let actual = checks.checksum.map(ChecksumClaim::algorithm);
    if actual == Some(expected) {
        return Ok(());
    }
    let name = |algorithm: Option<ChecksumAlgorithm>| algorithm.map_or("null", ChecksumAlgorithm::name);
    let message = format!(
        "Checksum Type mismatch occurred, expected checksum Type: {}, actual checksum Type: {}",
        name(Some(expected)).to_ascii_lowercase(),
        name(actual).to_ascii_lowercase()
    );
    Err(S3Error::with_message(ErrorCode::InvalidRequest, message))
}

/// The bytes to copy: all of the source, or exactly what `x-amz-copy-source-range` names. Errs: InvalidArgument when it
/// is not `bytes=first-last`, InvalidRange when that is not within the source, InvalidRequest beyond the largest part.
fn copied_range(headers: &HeaderMap, size: u64) -> Result<Range<u64>, S3Error> {
    let range = match text(headers, "x-amz-copy-source-range") {
        None => 0..size,
        Some(value) => {
            let Some((first, last)) = first_and_last(&value) else {
                let message = "The x-amz-copy-source-range value must be of the form bytes=first-last where first and \
                               last are the zero-based offsets of the first and last bytes to copy";
                return Err(S3Error::invalid_argument("x-amz-copy-source-range", &value, message));
            };
            if last >= size {
                let message = format!("Range specified is not valid for source object of size: {size}");
                return Err(S3Error::with_message(ErrorCode::InvalidRange, message)
                    .field("RangeRequested", value)
                    .field("ActualObjectSize", size.to_string()));
            }
            first..last + 1
        }
    };
    if range.end.saturating_sub(range.start) > CONTENT_BYTES_MAX {
        let message = format!(
            "The specified copy source is larger than the maximum allowable size for a copy source: {CONTENT_BYTES_MAX}"
        );
        return Err(S3Error::with_message(ErrorCode::InvalidRequest, message));
    }
    Ok(range)
}

fn first_and_last(value: &str) -> Option<(u64, u64)> {
    let (first, last) = value.strip_prefix("bytes=")?.split_once('-')?;
    let number = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<u64>().ok()).flatten();
    let (first, last) = (number(first)?, number(last)?);
    (first <= last && last < u64::MAX).then_some((first, last))
}

fn copied_document(part: &Part) -> String {
    let mut out = XmlWriter::new("CopyPartResult");
    out.etag(part.etag).time("LastModified", part.stamp);
    write_part_checksum(&mut out, part.checksum);
    out.finish()
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};
    use myfsio_actors::names::Checksum;

    use super::*;

    fn range(value: &str, size: u64) -> Result<Range<u64>, ErrorCode> {
        let mut headers = HeaderMap::new();
        headers.insert(HeaderName::from_static("x-amz-copy-source-range"), HeaderValue::from_str(value).unwrap());
        copied_range(&headers, size).map_err(|e| e.code())
    }

    #[test]
    fn copy_ranges_are_strict() {
        assert_eq!(copied_range(&HeaderMap::new(), 7).unwrap(), 0..7);
        assert_eq!(copied_range(&HeaderMap::new(), 0).unwrap(), 0..0);
        assert_eq!(range("bytes=0-6", 7), Ok(0..7));
        assert_eq!(range("bytes=6-6", 7), Ok(6..7));
        for bad in ["bytes=0-7", "bytes=7-7", "bytes=0-18446744073709551614"] {
            assert_eq!(range(bad, 7), Err(ErrorCode::InvalidRange), "{bad}");
        }
        for bad in [
            "bytes=2-1",
            "bytes=0-",
            "bytes=-1",
            "bytes=",
            "bytes=a-b",
            "0-1",
            "bytes=+0-1",
            "bytes=0-1,3-4",
            "bytes=0-18446744073709551615",
            "bytes=0-99999999999999999999999",
            " bytes=0-1",
            "hello",
        ] {
            assert_eq!(range(bad, 7), Err(ErrorCode::InvalidArgument), "{bad}");
        }
        assert_eq!(range("bytes=0-0", 0), Err(ErrorCode::InvalidRange));
        assert_eq!(range("bytes=0-5368709119", 1 << 40), Ok(0..CONTENT_BYTES_MAX));
        assert_eq!(range("bytes=0-5368709120", 1 << 40), Err(ErrorCode::InvalidRequest));
    }

    #[test]
    fn checksums_follow_the_upload() {
        let crc32 = Checksum::parse_base64(ChecksumAlgorithm::Crc32, "AAAAAA==").unwrap();
        let fit = |claim: Option<ChecksumClaim>, expected| {
            let mut checks = BodyChecks { checksum: claim, ..BodyChecks::default() };
            expect_checksum(&mut checks, expected).map(|()| checks.checksum).map_err(|e| e.code())
        };
        let value = Some(ChecksumClaim::Value(crc32));
        assert_eq!(fit(None, None), Ok(None));
        assert_eq!(fit(value, None), Ok(value));
        assert_eq!(fit(value, Some(ChecksumAlgorithm::Crc32)), Ok(value));
        assert_eq!(fit(value, Some(ChecksumAlgorithm::Sha1)), Err(ErrorCode::InvalidRequest));
        let trailer = Some(ChecksumClaim::Trailer(ChecksumAlgorithm::Crc32c));
        assert_eq!(fit(trailer, Some(ChecksumAlgorithm::Crc32)), Err(ErrorCode::InvalidRequest));
        let computed = Some(ChecksumClaim::Compute(ChecksumAlgorithm::Sha256));
        assert_eq!(fit(None, Some(ChecksumAlgorithm::Sha256)), Ok(computed));
        assert_eq!(
            fit(Some(ChecksumClaim::Compute(ChecksumAlgorithm::Crc32)), Some(ChecksumAlgorithm::Sha256)),
            Ok(computed)
        );
    }
}
