//! CompleteMultipartUpload (S3 API Reference).

use std::sync::Arc;

use actix_web::http::header::HeaderMap;
use myfsio_actors::encryption::Encryption;
use myfsio_actors::names::{Checksum, ChecksumAlgorithm, ChecksumKind, ETag};
use myfsio_actors::storage::{CompleteUpload, CompletedPart, Stored, Upload};

use super::bucket_lifecycle::expiration;
use super::listing::write_checksum;
use super::multipart_create::{checksum_kind, upload_id};
use super::object_put::told_version;
use super::slow_answer::{self, Done};
use crate::s3::checksum::{malformed, mismatch};
use crate::s3::context::Call;
use crate::s3::encryption::told;
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::headers::{refuse_unbuilt, text};
use crate::s3::query::Query;
use crate::s3::replica::{self, APPLIED, Does};
use crate::s3::respond::Answer;
use crate::s3::xml::XmlWriter;
use crate::s3::xml::requests::{self, COMPLETE_BYTES_MAX, RequestedPart};

/// S3 API Reference, CompleteMultipartUpload. Errs: MalformedXML, InvalidPart, InvalidPartOrder, EntityTooSmall,
/// BadDigest, InvalidRequest, NoSuchUpload, PreconditionFailed; when the work is slow, in the body of a 200.
pub async fn complete_multipart_upload(mut call: Call) -> Answer {
    refuse_unbuilt(&call.headers)?;
    let body = call.body.collect(COMPLETE_BYTES_MAX).await?;
    let message = completion(&call, &body)?;
    // Before anything is compared with what the request claims.
    let told = told_of(&call, &message)?;
    call.storage().precheck_complete(&message)?;
    let (headers, location) = (call.headers.clone(), location(&call));
    let (storage, node) = (call.storage().clone(), Arc::clone(&call.node));
    let is_replica = message.replica.is_some();
    let complete = async move {
        let (bucket, key) = (Arc::clone(&message.bucket), message.key.clone());
        let stored = storage.complete_upload(message).await?;
        // The node may have sealed it anew meanwhile, as it does with few; then it tells less than it might.
        let tells = stored.object.encryption().is_none_or(|encryption| told.as_ref() == Some(encryption));
        let mut done = completed(&location, bucket.name.as_str(), key.as_str(), &stored, tells);
        done.headers.extend(told::of_object(&node, &headers, stored.object.encryption()));
        done.headers.extend(is_replica.then(|| (APPLIED, stored.applied.name().to_owned())));
        done.headers.extend(expiration(&node, &bucket, key.as_str(), &stored.object));
        Ok(done)
    };
    slow_answer::answer(&call, complete).await
}

/// How what the caller may be told checksums of is sealed: the upload, or the object that an earlier such request made of it. Errs:
/// those of [`Call::may_tell`].
fn told_of(call: &Call, message: &CompleteUpload) -> Result<Option<Encryption>, S3Error> {
    let (bucket, key) = (&message.bucket, &message.key);
    let claims = message.expected_checksum.is_some() || message.parts.iter().any(|part| part.checksum.is_some());
    let (encryption, must) = match call.storage().upload(bucket, key, message.upload) {
        Ok(upload) => (upload.encryption.clone(), claims || upload.checksum.is_some()),
        Err(_) => {
            let made = call.storage().peek_object(bucket, key, None).ok();
            let made = made.filter(|made| made.object.upload == Some(message.upload));
            (made.and_then(|made| made.object.encryption().cloned()), claims)
        }
    };
    let tells = call.may_tell((bucket, key), encryption.as_ref(), must)?;
    Ok(encryption.filter(|_| tells))
}

fn completion(call: &Call, body: &[u8]) -> Result<CompleteUpload, S3Error> {
    let (bucket, key, id) = (call.bucket()?, call.key()?, upload_id(&call.query)?);
    let requested = last_of_each(requests::complete_multipart_upload(body)?);
    // A repeated request is answered although its upload is gone: only Storage knows.
    let upload = call.storage().upload(&bucket, &key, id).ok();
    let chosen = upload.as_ref().and_then(|upload| upload.checksum);
    let parts: Result<Vec<_>, _> = requested
        .iter()
        .map(|part| completed_part(part, chosen.map(|(algorithm, _)| algorithm), &call.query))
        .collect();
    let parts = parts?;
    check_kind(&call.headers, upload.as_deref())?;
    let received = replica::received(call, &bucket, &key, Does::Write)?;
    let whole = received.as_ref().and_then(|received| received.whole);
    Ok(CompleteUpload {
        bucket,
        key,
        upload: id,
        expected_size: expected_size(&call.headers)?,
        expected_checksum: expected_checksum(&call.headers, parts.len())?,
        parts,
        // What counts as written by a single request is none of parts, whatever it was cut into.
        part_size_min: if whole.is_some() { 1 } else { call.node.settings.multipart_min_part_size },
        conditions: call.write_conditions()?,
        replica: received.map(|received| Box::new(received.replica)),
        whole,
    })
}

/// The list with the last of several entries in a row that name the same part: a client that sent a part twice and lists
/// both means what it sent last, as the part itself is what was sent last.
fn last_of_each(mut parts: Vec<RequestedPart>) -> Vec<RequestedPart> {
    parts.dedup_by(|later, kept| {
        let same = later.number == kept.number;
        if same {
            std::mem::swap(later, kept);
        }
        same
    });
    parts
}

/// A part as Storage compares it. Errs: InvalidPart when its ETag or checksum is none and so matches no part.
fn completed_part(
    part: &RequestedPart,
    algorithm: Option<ChecksumAlgorithm>,
    query: &Query,
) -> Result<CompletedPart, S3Error> {
    let invalid = || {
        S3Error::new(ErrorCode::InvalidPart)
            .field("UploadId", query.get("uploadId").unwrap_or_default())
            .field("PartNumber", part.number.to_string())
            .field("ETag", part.etag.as_str())
    };
    let etag = part_etag(&part.etag).ok_or_else(invalid)?;
    let checksum = part.checksum(algorithm).map_err(|_| invalid())?;
    Ok(CompletedPart { number: part.number, etag, checksum })
}

/// An ETag bare, quoted, or with its quotation marks escaped once too often, as some clients send it.
fn part_etag(text: &str) -> Option<ETag> {
    let text = text.trim();
    let bare = text.strip_prefix("&quot;").and_then(|rest| rest.strip_suffix("&quot;")).unwrap_or(text);
    ETag::parse(bare).ok()
}

fn expected_size(headers: &HeaderMap) -> Result<Option<u64>, S3Error> {
    let Some(value) = text(headers, "x-amz-mp-object-size") else { return Ok(None) };
    let digits = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
    match value.parse() {
        Ok(size) if digits => Ok(Some(size)),
        _ => {
            let message = "Value for x-amz-mp-object-size header is invalid.";
            Err(S3Error::invalid_argument("x-amz-mp-object-size", &value, message))
        }
    }
}

/// The checksum that the client says the object has; a composite one may carry its number of parts. Errs: BadDigest when
/// malformed or for another number of parts, InvalidRequest when there are several.
fn expected_checksum(headers: &HeaderMap, parts: usize) -> Result<Option<Checksum>, S3Error> {
    let mut found = None;
    for algorithm in ChecksumAlgorithm::ALL {
        let Some(value) = text(headers, algorithm.header()) else { continue };
        if found.is_some() {
            let message = "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.";
            return Err(S3Error::with_message(ErrorCode::InvalidRequest, message));
        }
        let digest = match value.trim().rsplit_once('-') {
            None => value.trim(),
            Some((digest, count)) => {
                if count.parse::<usize>().map_err(|_| malformed(algorithm))? != parts {
                    return Err(mismatch(algorithm));
                }
                digest
            }
        };
        found = Some(Checksum::parse_base64(algorithm, digest).ok_or_else(|| malformed(algorithm))?);
    }
    Ok(found)
}

/// The type in the request must be the one that the upload was created with. Errs: InvalidRequest.
fn check_kind(headers: &HeaderMap, upload: Option<&Upload>) -> Result<(), S3Error> {
    let (Some(asked), Some(upload)) = (checksum_kind(headers)?, upload) else { return Ok(()) };
    let kind = upload.checksum.map_or(ChecksumKind::FullObject, |(_, kind)| kind);
    if asked == kind {
        return Ok(());
    }
    let message = format!(
        "The upload was created using the {} checksum mode. The complete request must use the same checksum mode.",
        kind.name()
    );
    Err(S3Error::with_message(ErrorCode::InvalidRequest, message))
}

/// The object's URL as the client addressed it.
fn location(call: &Call) -> String {
    let scheme = if call.secure { "https" } else { "http" };
    format!("{scheme}://{}{}", text(&call.headers, "host").unwrap_or_default(), call.raw_path)
}

fn completed(location: &str, bucket: &str, key: &str, stored: &Stored, tells_checksum: bool) -> Done {
    let mut out = XmlWriter::new("CompleteMultipartUploadResult");
    out.text("Location", location).text("Bucket", bucket).text("Key", key).etag(stored.object.etag);
    if tells_checksum {
        write_checksum(&mut out, &stored.object);
    }
    let version = told_version(stored).map(|version| ("x-amz-version-id", version));
    Done { document: out.finish(), headers: version.into_iter().collect() }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};
    use myfsio_actors::names::PartNumber;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        map
    }

    #[test]
    fn etags_in_every_dress() {
        let bare = "d41d8cd98f00b204e9800998ecf8427e";
        let expected = ETag::parse(bare).ok();
        for text in [bare.to_owned(), format!("\"{bare}\""), format!("&quot;{bare}&quot;"), format!(" \"{bare}\"\n")] {
            assert_eq!(part_etag(&text), expected, "{text}");
        }
        assert_eq!(part_etag("abc"), None);
    }

    #[test]
    fn the_last_of_a_repeated_part_counts() {
        let part = |number, etag: &str| RequestedPart {
            number: PartNumber::new(number).unwrap(),
            etag: etag.to_owned(),
            checksums: Vec::new(),
        };
        let list = |parts: &[(u32, &str)]| parts.iter().map(|(number, etag)| part(*number, etag)).collect::<Vec<_>>();
        let last = last_of_each(list(&[(1, "a"), (1, "b"), (1, "c"), (2, "d"), (1, "e")]));
        assert_eq!(last, list(&[(1, "c"), (2, "d"), (1, "e")]));
    }

    #[test]
    fn object_level_claims() {
        let checksum = |pairs: &[(&'static str, &str)]| expected_checksum(&headers(pairs), 3).map_err(|e| e.code());
        assert_eq!(checksum(&[]), Ok(None));
        assert!(checksum(&[("x-amz-checksum-crc32", "AAAAAA==")]).unwrap().is_some());
        assert!(checksum(&[("x-amz-checksum-crc32", "AAAAAA==-3")]).unwrap().is_some());
        assert_eq!(checksum(&[("x-amz-checksum-crc32", "AAAAAA==-2")]), Err(ErrorCode::BadDigest));
        assert_eq!(checksum(&[("x-amz-checksum-crc32", "AAAAAA==-x")]), Err(ErrorCode::BadDigest));
        assert_eq!(checksum(&[("x-amz-checksum-crc32", "AAAA")]), Err(ErrorCode::BadDigest));
        let two = [("x-amz-checksum-crc32", "AAAAAA=="), ("x-amz-checksum-crc32c", "AAAAAA==")];
        assert_eq!(checksum(&two), Err(ErrorCode::InvalidRequest));
        let size = |value: &str| expected_size(&headers(&[("x-amz-mp-object-size", value)])).map_err(|e| e.code());
        assert_eq!(size("12"), Ok(Some(12)));
        for bad in ["", "-1", "+1", "x", "99999999999999999999999"] {
            assert_eq!(size(bad), Err(ErrorCode::InvalidArgument), "{bad}");
        }
    }
}
