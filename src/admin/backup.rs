//! Making a backup while the node runs. Only by the admin socket: it writes to any path that the node may write to.
//!
//! The answer is a line of JSON each second that tells how far it is, and a last one with the manifest or an error. Whoever goes away
//! before ends it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix_http::error::PayloadError;
use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use bytes::Bytes;
use futures_util::{Stream, stream};
use myfsio_actors::audit::AuditEntry;
use myfsio_actors::storage::BackupProgress;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::backups::CREATE;
use crate::backup::Trouble;
use crate::backup::create::{Order, create};
use crate::backup::manifest::Manifest;
use crate::node::Node;
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::preflight::Caller;
use crate::s3::respond::{Answer, RequestId};

/// Largest body, in bytes: a path takes most.
const BODY_BYTES_MAX: usize = 16 << 10;
/// Time between two lines.
const TELL: Duration = Duration::from_secs(1);

/// Begins a backup. Errs: AccessDenied but by the admin socket, InvalidArgument.
pub async fn begin(
    node: &Arc<Node>,
    mut caller: Caller,
    request_id: RequestId,
    incoming: impl Stream<Item = Result<Bytes, PayloadError>> + 'static,
) -> Answer {
    if !caller.is_command(node) {
        let text = "Backups are made by `myfsio backup create`, on the machine of the node.";
        return Err(S3Error::with_message(ErrorCode::AccessDenied, text));
    }
    let body = caller.body(incoming)?.collect(BODY_BYTES_MAX).await?;
    let order: Order =
        serde_json::from_slice(&body).map_err(|e| S3Error::with_message(ErrorCode::InvalidArgument, e.to_string()))?;
    let told = json!({ "directory": order.directory, "include_secret_key": order.include_secret_key,
                       "include_master_key": order.include_master_key });
    let (now, by) = (node.clock.now(), caller.origin(request_id));
    let target = "arn:aws:s3:::*".to_owned();
    let entry = AuditEntry::of_change(now, by, CREATE, target, &Value::Null, &told);
    node.audit.record(entry.into_iter().collect()).await;
    let progress = Arc::new(BackupProgress::default());
    let (making, told) = (Arc::clone(node), Arc::clone(&progress));
    let task = tokio::task::spawn_blocking(move || {
        let settings = &making.settings.backup;
        create(&making.storage, &settings.sources, &settings.root, &order, now, &told)
    });
    let under_way = UnderWay { task, progress };
    let lines = stream::unfold(Some(under_way), |under_way| async move {
        let mut under_way = under_way?;
        match tokio::time::timeout(TELL, &mut under_way.task).await {
            Err(_) => Some((line(&under_way.told()), Some(under_way))),
            Ok(Ok(made)) => Some((line(&ended(made)), None)),
            Ok(Err(error)) => Some((line(&json!({ "error": error.to_string() })), None)),
        }
    });
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "application/jsonl"))
        .insert_header((CACHE_CONTROL, "no-store"))
        .streaming(lines))
}

/// A backup that is being made. Dropping this ends it.
struct UnderWay {
    task: JoinHandle<Result<Manifest, Trouble>>,
    progress: Arc<BackupProgress>,
}

impl UnderWay {
    fn told(&self) -> Value {
        let objects = self.progress.objects.load(Ordering::Relaxed);
        json!({ "objects": objects, "bytes": self.progress.bytes.load(Ordering::Relaxed) })
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.progress.is_cancelled.store(true, Ordering::Relaxed);
    }
}

fn ended(made: Result<Manifest, Trouble>) -> Value {
    match made {
        Ok(manifest) => {
            let Manifest { id, objects, bytes, copied_bytes, damaged, missing, .. } = &manifest;
            tracing::info!(id, objects, bytes, copied_bytes, damaged, missing, "a backup was made");
            json!({ "manifest": manifest })
        }
        Err(error) => {
            tracing::warn!(%error, "no backup was made");
            json!({ "error": error.to_string() })
        }
    }
}

fn line(value: &Value) -> Result<Bytes, S3Error> {
    Ok(Bytes::from(format!("{value}\n")))
}
