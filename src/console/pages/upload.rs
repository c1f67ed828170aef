//! Uploads. A plain form sends one file. A script sends many, in parts, several at a time; what it sent stays when it is gone, and the
//! list of unfinished uploads tells what may go on.

use actix_http::{BoxedPayloadStream, Payload};
use actix_web::http::Method;
use actix_web::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use askama::Template;
use bytes::BytesMut;
use futures_util::{StreamExt as _, stream};
use myfsio_actors::names::{ObjectKey, UploadId, VersionId};
use myfsio_actors::storage::VersionEntry;
use serde_json::json;

use super::browse::CHANGERS;
use crate::console::failure::Failure;
use crate::console::layout::Page;
use crate::console::links;
use crate::console::notice::Notice;
use crate::console::route::{Body, Outcome, Row, SIGNED_IN};
use crate::console::undo::{Undo, of_write};
use crate::console::units::{When, bytes, legible};
use crate::console::upload_form::{FormFile, read_to_file};
use crate::console::visit::{Visit, json, parse_key, render};
use crate::within::{Place, Refusal, Wish};

/// Routes.
pub const ROWS: &[Row] = &[
    // Judged once the form has told the key.
    Row::post("/ui/buckets/{bucket}/upload", SIGNED_IN, |visit| Box::pin(upload_form(visit)))
        .reading(Body::Files)
        .tested_by("matrix"),
    Row::put("/ui/buckets/{bucket}/upload", CHANGERS, |visit| Box::pin(upload(visit))).tested_by("key=matrix-upload"),
    Row::get("/ui/buckets/{bucket}/uploads", SIGNED_IN, |visit| Box::pin(unfinished(visit))),
    Row::post("/ui/buckets/{bucket}/uploads", CHANGERS, |visit| Box::pin(begin(visit)))
        .tested_by("key=matrix-parts&size=1"),
    Row::put("/ui/buckets/{bucket}/part", CHANGERS, |visit| Box::pin(part(visit)))
        .tested_by("key=k&upload=00000000000000000000000000000001&number=1"),
    Row::get("/ui/buckets/{bucket}/parts", SIGNED_IN, |visit| Box::pin(parts(visit)))
        .tested_by("key=k&upload=00000000000000000000000000000001"),
    // Who may list parts is told first that there is no such upload.
    Row::post("/ui/buckets/{bucket}/complete", SIGNED_IN, |visit| Box::pin(complete(visit)))
        .tested_by("key=k&upload=00000000000000000000000000000001"),
    Row::post("/ui/buckets/{bucket}/abort", CHANGERS, |visit| Box::pin(abort(visit)))
        .tested_by("key=k&upload=00000000000000000000000000000001"),
];

/// Smallest part that scripts send, in bytes.
const PART_BYTES_MIN: u64 = 8 * 1024 * 1024;
/// Parts that an upload is planned with, of 10 000 that it may have.
const PARTS_PLANNED: u64 = 9_000;
/// Unfinished uploads on one page.
const UNFINISHED_MAX: usize = 100;

/// One file by a plain form: fields, then the file as the last of all.
async fn upload_form(mut visit: Visit) -> Outcome {
    let bucket = visit.bucket().await?;
    let wrong = || Failure::input("The form has no file.");
    let header = |name| {
        visit.head.headers.get(name).and_then(|value: &actix_web::http::header::HeaderValue| value.to_str().ok())
    };
    let kind = header(CONTENT_TYPE).unwrap_or_default().to_owned();
    let length: u64 = header(CONTENT_LENGTH).and_then(|length| length.parse().ok()).ok_or_else(wrong)?;
    let payload = std::mem::replace(&mut visit.payload, Payload::None);
    let file = read_to_file(&kind, length, payload).await.ok_or_else(wrong)?;
    visit.check_token(file.field("csrf"))?;
    let prefix = file.field("prefix").to_owned();
    let back = links::browse(bucket.name.as_str(), &prefix);
    if file.name.is_empty() {
        return visit.done(Notice::bad(visit.t.browse.nothing_selected), &back);
    }
    let name = file.name.rsplit(['/', '\\']).next().unwrap_or_default();
    let key = parse_key(&format!("{prefix}{name}"))?;
    let FormFile { size, content_type, payload, .. } = file;
    let undo = put(&visit, &key, size, &content_type, payload).await?;
    let word = if undo.is_some() { visit.t.browse.uploaded_over } else { visit.t.browse.uploaded };
    visit.done(Notice::good(format!("{} {word}", legible(key.as_str()))).with_undo(undo), &back)
}

/// A whole small object from a script.
async fn upload(mut visit: Visit) -> Outcome {
    let key = visit.key()?;
    let length = length_of(&visit)?;
    let kind = visit.query.text("type").to_owned();
    let payload = std::mem::replace(&mut visit.payload, Payload::None);
    if let Some(undo) = put(&visit, &key, length, &kind, payload).await? {
        visit.leave_replaced(undo);
    }
    json(&json!({}))
}

/// Answers what takes it back, if it took the place of an object.
async fn put(visit: &Visit, key: &ObjectKey, size: u64, kind: &str, payload: Payload) -> Result<Option<Undo>, Failure> {
    let bucket = visit.bucket().await?;
    let length = size.to_string();
    let mut headers = vec![("content-length", length.as_str())];
    if !kind.is_empty() {
        headers.push(("content-type", kind));
    }
    let wish = Wish {
        method: Method::PUT,
        bucket: Some(&bucket.name),
        key: Some(key),
        headers: &headers,
        payload: Some(payload),
        ..Wish::default()
    };
    let asker = visit.asker()?;
    let answer = asker.s3(wish).await?;
    // Only a bucket that keeps versions tells one.
    let told = answer.headers().get("x-amz-version-id").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let Some(made) = told.and_then(|id| VersionId::parse(&id).ok()) else { return Ok(None) };
    Ok(of_write(asker, &bucket, key, |own| own.version_id == made).await)
}

fn length_of(visit: &Visit) -> Result<u64, Failure> {
    let length = visit.head.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    length.ok_or_else(|| Refusal::invalid("The request does not say how long it is.").into())
}

/// The size of parts that an object of this size is sent in.
fn part_bytes(size: u64, max: u64) -> u64 {
    PART_BYTES_MIN.max(size.div_ceil(PARTS_PLANNED).next_multiple_of(1024 * 1024)).min(max)
}

async fn begin(visit: Visit) -> Outcome {
    let (bucket, key) = (visit.bucket().await?, visit.key()?);
    let size = visit.form.number("size")?.unwrap_or(0);
    let kind = visit.form.text("type");
    let headers: &[_] = if kind.is_empty() { &[] } else { &[("content-type", kind)] };
    let id = visit.asker()?.begin_upload(&bucket.name, &key, headers).await?;
    let part = part_bytes(size, visit.console.node.settings.max_upload_size);
    json(&json!({ "upload": id.to_string(), "part_bytes": part }))
}

/// The upload that a field names. Errs: it is none.
fn upload_id(visit: &Visit) -> Result<UploadId, Failure> {
    let text = visit.form.filled("upload").or_else(|| visit.query.filled("upload")).unwrap_or_default();
    UploadId::parse(text).map_err(|_| Refusal::invalid("This is no upload id.").into())
}

async fn part(mut visit: Visit) -> Outcome {
    let (bucket, key, id) = (visit.bucket().await?, visit.key()?, upload_id(&visit)?.to_string());
    let (number, length) = (visit.query.text("number").to_owned(), length_of(&visit)?.to_string());
    let payload = std::mem::replace(&mut visit.payload, Payload::None);
    let wish = Wish {
        method: Method::PUT,
        bucket: Some(&bucket.name),
        key: Some(&key),
        query: &[("partNumber", number.as_str()), ("uploadId", id.as_str())],
        headers: &[("content-length", length.as_str())],
        payload: Some(payload),
    };
    visit.asker()?.s3(wish).await?;
    json(&json!({}))
}

/// What of an upload is there.
async fn parts(visit: Visit) -> Outcome {
    let (bucket, key, id) = (visit.bucket().await?, visit.key()?, upload_id(&visit)?);
    let (mut told, mut after) = (Vec::new(), 0);
    loop {
        let page = visit.asker()?.parts(&bucket, &key, id, after).await?;
        told.extend(page.parts.iter().map(|part| json!([part.number.get(), part.size])));
        match page.next {
            Some(number) => after = u32::from(number.get()),
            None => return json(&json!({ "parts": told })),
        }
    }
}

async fn complete(visit: Visit) -> Outcome {
    let (bucket, key, id) = (visit.bucket().await?, visit.key()?, upload_id(&visit)?);
    let asker = visit.asker()?;
    asker.complete_upload(&bucket, &key, id).await?;
    let made = |own: &VersionEntry| own.object.as_ref().is_some_and(|object| object.upload == Some(id));
    if let Some(undo) = of_write(asker, &bucket, &key, made).await {
        visit.leave_replaced(undo);
    }
    json(&json!({}))
}

async fn abort(visit: Visit) -> Outcome {
    let (bucket, key, id) = (visit.bucket().await?, visit.key()?, upload_id(&visit)?);
    let place = Place { bucket: &bucket.name, key: &key, version: None };
    visit.asker()?.abort_upload(place, id).await?;
    if visit.wants_json() {
        return json(&json!({}));
    }
    let notice = Notice::good(format!("{} {}", legible(key.as_str()), visit.t.browse.upload_aborted));
    visit.done(notice, &links::bucket(bucket.name.as_str(), "uploads"))
}

struct UploadRow {
    key: String,
    shown_key: String,
    id: String,
    begun: When,
    parts: String,
    held: String,
}

#[derive(Template)]
#[template(path = "browse/uploads.html")]
struct UploadsPage {
    page: Page,
    bucket: String,
    rows: Vec<UploadRow>,
    is_more: bool,
    held: String,
    may_write: bool,
}

async fn unfinished(visit: Visit) -> Outcome {
    let bucket = visit.bucket().await?;
    let asker = visit.asker()?;
    let page = asker.uploads(&bucket, "", None, UNFINISHED_MAX).await?;
    let mut rows = Vec::new();
    for upload in &page.entries {
        // Who may list uploads may not always list their parts.
        let parts = asker.parts(&bucket, &upload.key, upload.id, 0).await.ok();
        let held: Option<u64> = parts.as_ref().map(|page| page.parts.iter().map(|part| part.size).sum());
        let is_more = parts.as_ref().is_some_and(|page| page.next.is_some());
        let number = parts.map(|page| format!("{}{}", page.parts.len(), if is_more { "+" } else { "" }));
        rows.push(UploadRow {
            key: upload.key.as_str().to_owned(),
            shown_key: legible(upload.key.as_str()),
            id: upload.id.to_string(),
            begun: When::of(upload.id.stamp),
            parts: number.unwrap_or_default(),
            held: held.map(bytes).unwrap_or_default(),
        });
    }
    let view = UploadsPage {
        page: visit.page(visit.t.browse.unfinished).for_bucket(asker, &bucket, "uploads"),
        bucket: bucket.name.to_string(),
        rows,
        is_more: page.next.is_some(),
        held: bytes(visit.console.node.storage.usage(&bucket).part_bytes),
        may_write: asker.may("s3:AbortMultipartUpload", Some(&bucket), Some("")),
    };
    render(&view)
}

/// So many bytes of a stream behind those that were read already.
pub fn rest_of(first: BytesMut, payload: Payload, size: u64) -> Payload {
    let mut left = size;
    let first = stream::once(async move { Ok(first.freeze()) });
    let cut = first.chain(payload).filter_map(move |chunk| {
        let chunk = chunk.map(|mut chunk: bytes::Bytes| {
            let take = usize::try_from(left).unwrap_or(usize::MAX).min(chunk.len());
            left -= take as u64;
            chunk.truncate(take);
            chunk
        });
        let is_something = chunk.as_ref().map_or(true, |chunk| !chunk.is_empty());
        async move { is_something.then_some(chunk) }
    });
    Payload::from(Box::pin(cut) as BoxedPayloadStream)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_the_largest_object_fit() {
        const MIB: u64 = 1024 * 1024;
        assert_eq!(part_bytes(1, 1 << 30), 8 * MIB);
        let part = part_bytes(5 << 40, 1 << 30);
        assert!((5_u64 << 40).div_ceil(part) <= 10_000 && part.is_multiple_of(MIB), "{part}");
        assert_eq!(part_bytes(1 << 40, 5 * MIB), 5 * MIB, "no larger than one request may be");
    }
}
