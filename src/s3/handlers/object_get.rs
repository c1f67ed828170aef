//! GetObject and HeadObject: one path for both, so that HEAD tells exactly what GET would.

use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use actix_web::HttpResponse;
use actix_web::body::{BodySize, MessageBody, SizedStream};
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderMap, HeaderValue};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use myfsio_actors::encryption::DataKey;
use myfsio_actors::names::{ChecksumKind, PartNumber};
use myfsio_actors::storage::{Bucket, Object, OpenObject, Purpose, Versioning};

use super::bucket_lifecycle::expiration;
use super::object_lock::set_lock;
use super::object_put::set_checksum;
use crate::s3::authorize::{self, permissions};
use crate::s3::conditional::{ReadConditions, Verdict, http_date, if_range_holds};
use crate::s3::context::Call;
use crate::s3::encryption::told;
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::headers::{text, write_attributes};
use crate::s3::operation::Operation;
use crate::s3::query::Query;
use crate::s3::range::{self, Wanted};
use crate::s3::respond::{Answer, empty, set_header};

/// Query parameters that override response headers, and the headers.
const OVERRIDES: [(&str, &str); 6] = [
    ("response-content-type", "content-type"),
    ("response-content-language", "content-language"),
    ("response-expires", "expires"),
    ("response-cache-control", "cache-control"),
    ("response-content-disposition", "content-disposition"),
    ("response-content-encoding", "content-encoding"),
];

/// S3 API Reference, GetObject.
pub async fn get_object(call: Call) -> Answer {
    let bucket = check_request(&call)?;
    let opened = authorize::open(&call, &bucket, Purpose::Read).await?;
    let object = Arc::clone(&opened.object);
    respond(&call, &bucket, &object, Some(opened)).await
}

/// S3 API Reference, HeadObject.
pub async fn head_object(call: Call) -> Answer {
    let bucket = check_request(&call)?;
    let opened = authorize::open(&call, &bucket, Purpose::Look).await?;
    respond(&call, &bucket, &opened.object, None).await
}

fn check_request(call: &Call) -> Result<Arc<Bucket>, S3Error> {
    if call.is_anonymous() && OVERRIDES.iter().any(|(parameter, _)| call.query.has(parameter)) {
        return Err(S3Error::with_message(
            ErrorCode::InvalidRequest,
            "Request specific response headers cannot be used for anonymous GET requests.",
        ));
    }
    call.bucket()
}

/// Which bytes of the object are sent, and as what.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Selection {
    Whole,
    Range(Range<u64>),
    Part { range: Range<u64>, count: Option<u16>, checksum: Option<myfsio_actors::names::Checksum> },
}

async fn respond(call: &Call, bucket: &Bucket, object: &Object, opened: Option<OpenObject>) -> Answer {
    // Before conditions and ranges, whose answers tell of ETag and size, too.
    call.check_reader(object)?;
    match ReadConditions::of_read(&call.headers).evaluate(&object.etag, object.modified()) {
        Verdict::Proceed => {}
        Verdict::NotModified => return Ok(not_modified(bucket, object)),
        Verdict::Failed(condition) => {
            return Err(S3Error::new(ErrorCode::PreconditionFailed).field("Condition", condition));
        }
    }
    let selection = select(call, bucket, object)?;
    let (status, range) = match &selection {
        Selection::Whole => (StatusCode::OK, 0..object.size),
        // An empty part has no byte that Content-Range could name.
        Selection::Part { range, .. } if range.is_empty() => (StatusCode::OK, range.clone()),
        Selection::Range(range) | Selection::Part { range, .. } => (StatusCode::PARTIAL_CONTENT, range.clone()),
    };
    let size = range.end.saturating_sub(range.start);
    let data_key = reader_key(call, bucket, object, opened.is_some())?;
    let mut response = match opened {
        Some(opened) if size > 0 => {
            let mut reader = opened.read(range.clone(), data_key.as_ref())?;
            // What is damaged at its beginning is refused while that can still be said.
            match reader.next().await.transpose()? {
                Some(whole) if whole.len() as u64 == size => HttpResponse::build(status).body(whole),
                first => {
                    let chunks = stream::iter(first.map(Ok)).chain(reader);
                    HttpResponse::build(status).body(SizedStream::new(size, chunks))
                }
            }
        }
        Some(_) => empty(status),
        None => HttpResponse::build(status).no_chunking(size).body(NoBody),
    };
    describe(&mut response, call, bucket, object);
    if status == StatusCode::PARTIAL_CONTENT {
        set_header(&mut response, "content-range", &range::content_range(&range, object.size));
    }
    set_integrity(&mut response, &call.headers, object, &selection);
    for (parameter, header) in OVERRIDES {
        if let Some(value) = call.query.get(parameter) {
            if HeaderValue::from_str(value).is_err() {
                return Err(S3Error::invalid_argument(parameter, value, "This is no value that a header can have."));
            }
            set_header(&mut response, header, value);
        }
    }
    Ok(response)
}

fn select(call: &Call, bucket: &Bucket, object: &Object) -> Result<Selection, S3Error> {
    let range = text(&call.headers, "range");
    if let Some(number) = part_number(&call.query)? {
        if range.is_some() {
            return Err(S3Error::with_message(
                ErrorCode::InvalidRequest,
                "Cannot specify both Range header and partNumber query parameter",
            ));
        }
        return select_part(call, bucket, object, number);
    }
    let holds = |value: String| if_range_holds(&value, &object.etag, object.modified());
    let Some(range) = range.filter(|_| text(&call.headers, "if-range").is_none_or(holds)) else {
        return Ok(Selection::Whole);
    };
    match range::resolve(&range, object.size) {
        Wanted::Whole => Ok(Selection::Whole),
        Wanted::Part(part) => Ok(Selection::Range(part)),
        Wanted::Unsatisfiable => Err(S3Error::new(ErrorCode::InvalidRange)
            .field("RangeRequested", range)
            .field("ActualObjectSize", object.size.to_string())
            .header("content-range", &format!("bytes */{}", object.size))),
    }
}

fn part_number(query: &Query) -> Result<Option<PartNumber>, S3Error> {
    query
        .get("partNumber")
        .map(|value| {
            PartNumber::parse(value).map_err(|error| S3Error::invalid_argument("partNumber", value, error.to_string()))
        })
        .transpose()
}

fn select_part(call: &Call, bucket: &Bucket, object: &Object, number: PartNumber) -> Result<Selection, S3Error> {
    let unsatisfiable = |count: u16| {
        S3Error::with_message(ErrorCode::InvalidPart, "The requested partnumber is not satisfiable.")
            .field("PartNumberRequested", number.to_string())
            .field("ActualPartCount", count.to_string())
    };
    // An object that one request wrote is its own first part.
    let Some(count) = object.etag.parts else {
        let whole = Selection::Part { range: 0..object.size, count: None, checksum: None };
        return if number.get() == 1 { Ok(whole) } else { Err(unsatisfiable(1)) };
    };
    let parts = call.storage().object_parts(bucket, object)?;
    let part = parts.iter().find(|part| part.number == number).ok_or_else(|| unsatisfiable(count))?;
    let range = part.offset..part.offset.saturating_add(part.size).min(object.size);
    Ok(Selection::Part { range, count: Some(count), checksum: part.checksum })
}

/// What is told of the object whichever bytes are sent.
fn describe(response: &mut HttpResponse, call: &Call, bucket: &Bucket, object: &Object) {
    write_attributes(response, &object.attributes);
    set_identity(response, bucket, object);
    told::put(response, call.told_encryption(object.encryption()));
    let may = permissions(call, bucket, object);
    set_lock(response, object, &may);
    set_header(response, "accept-ranges", "bytes");
    if let (None, Some(key)) = (call.query.get("versionId"), &call.key)
        && let Some((header, value)) = expiration(&call.node, bucket, key.as_str(), object)
    {
        set_header(response, header, &value);
    }
    if let Some(key) = &call.key {
        // What cannot be read of the queue is told by whoever reads it for its sake.
        let status = call.node.storage.replication_status(bucket, key, object).ok().flatten();
        if let Some(status) = status {
            set_header(response, "x-amz-replication-status", status.name());
        }
    }
    let tags = object.attributes.tags.len();
    if tags > 0 && may(Operation::GetObjectTagging.action(call.query.has("versionId"))) {
        set_header(response, "x-amz-tagging-count", &tags.to_string());
    }
}

fn set_identity(response: &mut HttpResponse, bucket: &Bucket, object: &Object) {
    set_header(response, "etag", &format!("\"{}\"", object.etag));
    set_header(response, "last-modified", &http_date(object.modified()));
    if bucket.versioning != Versioning::Off {
        set_header(response, "x-amz-version-id", &object.version_id.to_string());
    }
}

fn not_modified(bucket: &Bucket, object: &Object) -> HttpResponse {
    let mut response = empty(StatusCode::NOT_MODIFIED);
    set_identity(&mut response, bucket, object);
    for (name, value) in [("cache-control", &object.attributes.cache_control), ("expires", &object.attributes.expires)]
    {
        if let Some(value) = value {
            set_header(&mut response, name, value);
        }
    }
    response
}

/// The key that opens the object, for its bytes and, as S3 has it, for its checksum; none where neither is asked for.
fn reader_key(call: &Call, bucket: &Bucket, object: &Object, for_bytes: bool) -> Result<Option<DataKey>, S3Error> {
    if for_bytes || wants_checksum(&call.headers) {
        return call.data_key(bucket, &call.key()?, object);
    }
    Ok(None)
}

fn wants_checksum(headers: &HeaderMap) -> bool {
    text(headers, "x-amz-checksum-mode").is_some_and(|mode| mode.eq_ignore_ascii_case("ENABLED"))
}

/// Checksums are told when asked for, and never a whole object's on a range of it.
fn set_integrity(response: &mut HttpResponse, headers: &HeaderMap, object: &Object, selection: &Selection) {
    let wanted = wants_checksum(headers);
    match selection {
        Selection::Whole | Selection::Part { count: None, .. } if wanted => set_checksum(response, object),
        Selection::Part { count: Some(count), checksum, .. } => {
            set_header(response, "x-amz-mp-parts-count", &count.to_string());
            if let Some(checksum) = checksum.filter(|_| wanted) {
                let kind = object.checksum.map_or(ChecksumKind::FullObject, |checksum| checksum.kind);
                set_header(response, checksum.algorithm().header(), &checksum.to_string());
                set_header(response, "x-amz-checksum-type", kind.name());
            }
        }
        _ => {}
    }
}

/// The body of a HEAD response: Content-Length tells its size, its bytes are not sent. A stream rather than a sized body,
/// since the HTTP layer forgets that it answers a HEAD once it has read a pipelined request behind it.
struct NoBody;

impl MessageBody for NoBody {
    type Error = std::convert::Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Poll::Ready(None)
    }
}
