//! Multipart uploads: CreateMultipartUpload, UploadPart, CompleteMultipartUpload.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Instant;

use crate::connection::{Answer, Failure, Payload, Wanted};
use crate::response::element;
use crate::sign::query;
use crate::worker::{Worker, microseconds};

/// Uploads part `n` (counted from 0) of the round's one upload.
pub async fn part(worker: &mut Worker, n: u64) -> Result<u64, Failure> {
    let round = Arc::clone(&worker.round);
    let upload = round.upload.as_deref().ok_or(Failure::Unexpected("no upload"))?;
    let (bytes, etag) = send_part(worker, &round.keys.key(0), upload, n + 1).await?;
    worker.tally.etags.push((n + 1, etag));
    Ok(bytes)
}

/// A whole upload of the `n`-th key.
pub async fn upload(worker: &mut Worker, n: u64) -> Result<u64, Failure> {
    let key = worker.round.keys.key(n);
    let upload = create(worker, &key).await?;
    let (mut bytes, mut etags) = (0, Vec::new());
    for number in 1..=worker.round.workload.parts() {
        let (sent, etag) = send_part(worker, &key, &upload, number).await?;
        bytes += sent;
        etags.push((number, etag));
    }
    complete(worker, &key, &upload, etags).await?;
    Ok(bytes)
}

/// Begins an upload of `key` and returns its id.
pub async fn create(worker: &mut Worker, key: &str) -> Result<String, Failure> {
    let wanted = Wanted { body: true, ..Wanted::default() };
    let answer = exchange(worker, "POST", key, &[("uploads", "")], Payload::NONE, wanted).await?;
    element(&answer.body, "UploadId").map(str::to_owned).ok_or(Failure::Unexpected("no upload id"))
}

/// Ends an upload with these parts, in any order, and notes the time that it took.
pub async fn complete(
    worker: &mut Worker,
    key: &str,
    upload: &str,
    mut parts: Vec<(u64, String)>,
) -> Result<(), Failure> {
    parts.sort_unstable();
    let mut list = String::from("<CompleteMultipartUpload>");
    for (number, etag) in parts {
        // Writing to a string cannot fail.
        let _ = write!(list, "<Part><PartNumber>{number}</PartNumber><ETag>&quot;{etag}&quot;</ETag></Part>");
    }
    list.push_str("</CompleteMultipartUpload>");
    let begin = Instant::now();
    let payload = Payload { pattern: list.as_bytes(), length: list.len() as u64 };
    let wanted = Wanted { body: true, ..Wanted::default() };
    let answer = exchange(worker, "POST", key, &[("uploadId", upload)], payload, wanted).await?;
    // S3 may answer 200 and tell of an error in the body.
    if element(&answer.body, "ETag").is_none() {
        let code = element(&answer.body, "Code").unwrap_or_default();
        return Err(Failure::Status(200, code.to_owned()));
    }
    worker.tally.completes_us.push(microseconds(begin.elapsed()));
    Ok(())
}

async fn send_part(worker: &mut Worker, key: &str, upload: &str, number: u64) -> Result<(u64, String), Failure> {
    let round = Arc::clone(&worker.round);
    let length = round.workload.part_bytes(number);
    let payload = Payload { pattern: &round.pattern, length };
    let parameters = [("partNumber", &*number.to_string()), ("uploadId", upload)];
    let wanted = Wanted { etag: true, ..Wanted::default() };
    let answer = exchange(worker, "PUT", key, &parameters, payload, wanted).await?;
    Ok((length, answer.etag.ok_or(Failure::Unexpected("a part without ETag"))?))
}

async fn exchange(
    worker: &mut Worker,
    method: &str,
    key: &str,
    parameters: &[(&str, &str)],
    payload: Payload<'_>,
    wanted: Wanted,
) -> Result<Answer, Failure> {
    let site = &worker.round.site;
    worker.request.clear();
    site.write_request(&mut worker.request, method, &site.path(key), &query(parameters), Some(payload.length));
    worker.connection.exchange(&mut worker.request, payload, wanted).await
}
