//! CreateMultipartUpload and AbortMultipartUpload, and what all multipart operations read from the query.

use actix_web::http::StatusCode;
use actix_web::http::header::HeaderMap;
use myfsio_actors::names::{ChecksumAlgorithm, ChecksumKind, PartNumber, UploadId};
use myfsio_actors::storage::{AbortUpload, CreateUpload};

use super::bucket_lifecycle::tell_abort;
use crate::s3::checksum::unsupported;
use crate::s3::context::Call;
use crate::s3::controls::NewObject;
use crate::s3::encryption::told;
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::headers::{attributes, refuse_unbuilt, text};
use crate::s3::query::Query;
use crate::s3::replica::{self, Does};
use crate::s3::respond::{Answer, empty, set_header, xml};
use crate::s3::xml::XmlWriter;

/// S3 API Reference, CreateMultipartUpload. Takes what PutObject takes about the object. Errs: those of the attributes and of
/// encryption, NotImplemented, InvalidRequest for a checksum type that the algorithm does not have.
pub async fn create_multipart_upload(call: Call) -> Answer {
    refuse_unbuilt(&call.headers)?;
    let (bucket, key) = (call.bucket()?, call.key()?);
    let attributes = attributes(&call.headers)?;
    let received = replica::received(&call, &bucket, &key, Does::Write)?;
    if !attributes.tags.is_empty() && !replica::may_replicate(received.as_ref()) {
        call.authorize("s3:PutObjectTagging", &bucket, Some(key.as_str()))?;
    }
    let NewObject { owner, controls } = NewObject::of_call(&call, &bucket, &key, received.as_ref())?;
    let checksum = checksum_choice(&call.headers)?;
    let mut out = XmlWriter::new("InitiateMultipartUploadResult");
    out.value("Bucket", &bucket.name).text("Key", key.as_str());
    let there = std::sync::Arc::clone(&bucket);
    let encryption = call.envelope(&bucket, &key).await?.map(|envelope| envelope.encryption);
    let message = CreateUpload { bucket, key, owner, attributes, controls, checksum, encryption };
    let upload = call.storage().create_upload(message).await?;
    out.value("UploadId", upload.id);
    let mut response = xml(StatusCode::OK, out.finish());
    told::put(&mut response, call.told_new_encryption(upload.encryption.as_ref()));
    tell_abort(&mut response, &call.node, &there, upload.key.as_str(), upload.id.stamp);
    if let Some((algorithm, kind)) = checksum {
        set_header(&mut response, "x-amz-checksum-algorithm", algorithm.name());
        set_header(&mut response, "x-amz-checksum-type", kind.name());
    }
    Ok(response)
}

/// S3 API Reference, AbortMultipartUpload. Errs: NoSuchUpload, NotImplemented.
pub async fn abort_multipart_upload(call: Call) -> Answer {
    refuse_unbuilt(&call.headers)?;
    let message = AbortUpload { bucket: call.bucket()?, key: call.key()?, upload: upload_id(&call.query)? };
    call.storage().abort_upload(message).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}

/// `uploadId`. Errs: NoSuchUpload for whatever this node did not hand out.
pub fn upload_id(query: &Query) -> Result<UploadId, S3Error> {
    let text = query.get("uploadId").unwrap_or_default();
    UploadId::parse(text).map_err(|_| S3Error::new(ErrorCode::NoSuchUpload).field("UploadId", text))
}

/// `partNumber`. Errs: InvalidArgument.
pub fn part_number(query: &Query) -> Result<PartNumber, S3Error> {
    let text = query.get("partNumber").unwrap_or_default();
    PartNumber::parse(text).map_err(|error| S3Error::invalid_argument("partNumber", text, error.to_string()))
}

/// `x-amz-checksum-algorithm` and `x-amz-checksum-type` in the pairs that S3 knows: CRC64NVME covers the full object, CRC32 and
/// CRC32C may be either and are composite by default, all others are composite.
fn checksum_choice(headers: &HeaderMap) -> Result<Option<(ChecksumAlgorithm, ChecksumKind)>, S3Error> {
    let refused = |message: String| S3Error::with_message(ErrorCode::InvalidRequest, message);
    let kind = checksum_kind(headers)?;
    let Some(name) = text(headers, "x-amz-checksum-algorithm") else {
        return match kind {
            None => Ok(None),
            Some(_) => Err(refused(
                "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.".to_owned(),
            )),
        };
    };
    let Some(algorithm) = ChecksumAlgorithm::parse(&name) else {
        return Err(unsupported());
    };
    let (default, allowed): (_, &[ChecksumKind]) = match algorithm {
        ChecksumAlgorithm::Crc64Nvme => (ChecksumKind::FullObject, &[ChecksumKind::FullObject]),
        ChecksumAlgorithm::Crc32 | ChecksumAlgorithm::Crc32c => {
            (ChecksumKind::Composite, &[ChecksumKind::Composite, ChecksumKind::FullObject])
        }
        _ => (ChecksumKind::Composite, &[ChecksumKind::Composite]),
    };
    let kind = kind.unwrap_or(default);
    if allowed.contains(&kind) {
        return Ok(Some((algorithm, kind)));
    }
    Err(refused(format!(
        "The {} checksum type cannot be used with the {} checksum algorithm.",
        kind.name(),
        algorithm.name().to_ascii_lowercase()
    )))
}

/// `x-amz-checksum-type`. Errs: InvalidRequest.
pub fn checksum_kind(headers: &HeaderMap) -> Result<Option<ChecksumKind>, S3Error> {
    let Some(name) = text(headers, "x-amz-checksum-type") else { return Ok(None) };
    ChecksumKind::parse(&name).map(Some).ok_or_else(|| {
        S3Error::with_message(ErrorCode::InvalidRequest, "Value for x-amz-checksum-type header is invalid.")
    })
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    fn choice(algorithm: &str, kind: &str) -> Result<Option<(ChecksumAlgorithm, ChecksumKind)>, ErrorCode> {
        let mut headers = HeaderMap::new();
        for (name, value) in [("x-amz-checksum-algorithm", algorithm), ("x-amz-checksum-type", kind)] {
            if !value.is_empty() {
                headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
            }
        }
        checksum_choice(&headers).map_err(|e| e.code())
    }

    #[test]
    fn pairs_of_algorithm_and_type() {
        use ChecksumAlgorithm::{Crc32, Crc32c, Crc64Nvme, Md5, Sha1, Sha256};
        use ChecksumKind::{Composite, FullObject};
        assert_eq!(choice("", ""), Ok(None));
        for (algorithm, kind, expected) in [
            ("CRC32", "", Some((Crc32, Composite))),
            ("crc32", "FULL_OBJECT", Some((Crc32, FullObject))),
            ("CRC32C", "COMPOSITE", Some((Crc32c, Composite))),
            ("CRC64NVME", "", Some((Crc64Nvme, FullObject))),
            ("CRC64NVME", "FULL_OBJECT", Some((Crc64Nvme, FullObject))),
            ("CRC64NVME", "COMPOSITE", None),
            ("SHA1", "", Some((Sha1, Composite))),
            ("SHA1", "FULL_OBJECT", None),
            ("SHA256", "COMPOSITE", Some((Sha256, Composite))),
            ("SHA256", "FULL_OBJECT", None),
            ("MD5", "", Some((Md5, Composite))),
            ("XXHASH3", "FULL_OBJECT", None),
            ("CRC7", "", None),
            ("", "FULL_OBJECT", None),
            ("CRC32", "HALF", None),
        ] {
            let expected = expected.map(Some).ok_or(ErrorCode::InvalidRequest);
            assert_eq!(choice(algorithm, kind), expected, "{algorithm} {kind}");
        }
    }

    #[test]
    fn ids_and_numbers_of_the_query() {
        let query = |raw: &str| Query::parse(raw).unwrap();
        assert_eq!(upload_id(&query("uploadId=x")).unwrap_err().code(), ErrorCode::NoSuchUpload);
        assert!(upload_id(&query(&format!("uploadId={}", "0".repeat(32)))).is_ok());
        assert_eq!(part_number(&query("partNumber=10000")).unwrap().get(), 10_000);
        for bad in ["", "0", "10001", "a", "-1"] {
            let error = part_number(&query(&format!("partNumber={bad}"))).unwrap_err();
            assert_eq!(error.code(), ErrorCode::InvalidArgument, "{bad}");
        }
    }
}
