//! Answers of work that may take long: CompleteMultipartUpload, CopyObject and UploadPartCopy.
//!
//! The work runs as a task of its own, so a client that goes away does not undo half of it. If it is done soon the answer
//! is an ordinary one. Else 200 is sent with the XML declaration, then white space while the work goes on, so that neither
//! client nor proxy gives up, then the result or, since the status is gone, an `<Error>` document (S3 API Reference,
//! CompleteMultipartUpload). Whatever can be refused cheaply must therefore be refused before.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_TYPE;
use bytes::Bytes;
use futures_util::{Stream, stream};
use tokio::task::{JoinError, JoinHandle};

use crate::s3::context::Call;
use crate::s3::error::S3Error;
use crate::s3::respond::{Answer, Asked, RequestId, error_xml, set_header, xml};
use crate::s3::xml::write::DECLARATION;

/// How long the status line waits for the work.
const PATIENCE: Duration = Duration::from_secs(1);
/// Time between two bytes of white space.
const INTERVAL: Duration = Duration::from_secs(5);

/// What the work gives: a document and headers that only an answer in time can still carry.
#[derive(Debug)]
pub struct Done {
    /// The document, with its XML declaration.
    pub document: String,
    /// Response headers.
    pub headers: Vec<(&'static str, String)>,
}

type Work = JoinHandle<Result<Done, S3Error>>;

/// Runs `work` to its end, whoever waits for it, and answers as described above.
pub async fn answer(call: &Call, work: impl Future<Output = Result<Done, S3Error>> + 'static) -> Answer {
    let place = Arc::clone(&call.place);
    let mut task = actix_rt::spawn(async move {
        let _place = place;
        work.await
    });
    let Ok(result) = tokio::time::timeout(PATIENCE, &mut task).await else {
        let late =
            Late { request_id: call.request_id, host_id: call.node.host_id.clone(), resource: call.raw_path.clone() };
        let body = keep_alive(task, late, INTERVAL);
        return Ok(HttpResponse::Ok().insert_header((CONTENT_TYPE, "application/xml")).streaming(body));
    };
    let done = flatten(result)?;
    let mut response = xml(StatusCode::OK, done.document);
    for (name, value) in &done.headers {
        set_header(&mut response, name, value);
    }
    Ok(response)
}

fn flatten(result: Result<Result<Done, S3Error>, JoinError>) -> Result<Done, S3Error> {
    result.unwrap_or_else(|error| Err(S3Error::internal(error)))
}

/// What an error behind a sent status still needs to know of its request.
struct Late {
    request_id: RequestId,
    host_id: String,
    resource: String,
}

impl Late {
    fn document(&self, result: Result<Result<Done, S3Error>, JoinError>) -> String {
        let document = match flatten(result) {
            Ok(done) => done.document,
            Err(error) => {
                tracing::warn!(request_id = %self.request_id, resource = %self.resource, %error, "failed after 200 was sent");
                let asked = Asked {
                    request_id: self.request_id,
                    host_id: &self.host_id,
                    resource: &self.resource,
                    is_head: false,
                    as_json: false,
                };
                error_xml(&error, asked)
            }
        };
        // The declaration went ahead of the white space.
        document.strip_prefix(DECLARATION).map(str::to_owned).unwrap_or(document)
    }
}

enum Progress {
    Begin(Work, Late),
    Wait(Work, Late),
    End,
}

fn keep_alive(task: Work, late: Late, interval: Duration) -> impl Stream<Item = Result<Bytes, Infallible>> {
    stream::unfold(Progress::Begin(task, late), move |progress| async move {
        let (text, next) = match progress {
            Progress::Begin(task, late) => (Bytes::from_static(DECLARATION.as_bytes()), Progress::Wait(task, late)),
            Progress::Wait(mut task, late) => match tokio::time::timeout(interval, &mut task).await {
                Err(_) => (Bytes::from_static(b" "), Progress::Wait(task, late)),
                Ok(result) => (Bytes::from(late.document(result)), Progress::End),
            },
            Progress::End => return None,
        };
        Some((Ok(text), next))
    })
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::StreamExt as _;

    use super::*;
    use crate::s3::error::ErrorCode;
    use crate::s3::xml::XmlWriter;

    async fn body_of(result: Result<Done, S3Error>) -> String {
        let (finish, finished) = tokio::sync::oneshot::channel::<()>();
        let task = actix_rt::spawn(async move {
            let _ = finished.await;
            result
        });
        let late = Late { request_id: RequestId::random(), host_id: "h".to_owned(), resource: "/b/k".to_owned() };
        let mut body = pin!(keep_alive(task, late, Duration::from_millis(1)));
        let mut text = String::new();
        for _ in 0..3 {
            text.push_str(std::str::from_utf8(&body.next().await.unwrap().unwrap()).unwrap());
        }
        assert_eq!(text, format!("{DECLARATION}  "));
        finish.send(()).unwrap();
        while let Some(Ok(bytes)) = body.next().await {
            text.push_str(std::str::from_utf8(&bytes).unwrap());
        }
        text
    }

    #[actix_rt::test]
    async fn white_space_then_the_result() {
        let text = body_of(Ok(Done { document: XmlWriter::bare("R", 0).finish(), headers: Vec::new() })).await;
        assert!(text.starts_with(DECLARATION) && text.ends_with("  <R></R>"), "{text}");
        assert_eq!(text.matches("<?xml").count(), 1);
    }

    #[actix_rt::test]
    async fn white_space_then_the_error() {
        let text = body_of(Err(ErrorCode::InvalidPart.into())).await;
        assert!(text.contains("  <Error><Code>InvalidPart</Code>") && text.ends_with("</Error>"), "{text}");
        assert_eq!(text.matches("<?xml").count(), 1);
    }
}
