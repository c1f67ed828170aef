//! Selected objects and folders as one archive, written while it is sent: its size is not limited by memory.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::body::{BodySize, BodyStream, BoxBody, MessageBody as _};
use actix_web::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use myfsio_actors::names::ObjectKey;
use myfsio_actors::storage::Bucket;
use tokio::sync::mpsc::{self, Sender};

use super::bytes::disposition;
use super::jobs::Chosen;
use crate::console::failure::Failure;
use crate::console::route::{Outcome, Row, SIGNED_IN};
use crate::console::visit::{Visit, parse_key};
use crate::console::zip::Archive;
use crate::within::{Asker, ObjectsWanted, Wish, patiently};

/// Routes.
pub const ROWS: &[Row] = &[Row::post("/ui/buckets/{bucket}/archive", SIGNED_IN, |visit| Box::pin(archive(visit)))
    .tested_by("item=folder%2Fa.txt")];

/// Most objects in one archive.
const OBJECTS_MAX: usize = 50_000;
/// Keys that are looked at for those that match.
const LOOKED_MAX: usize = 500_000;
/// Chunks that wait for a browser that takes its time.
const CHUNKS_MAX: usize = 8;

async fn archive(visit: Visit) -> Outcome {
    let bucket = visit.bucket().await?;
    let asker = visit.asker()?.clone();
    let keys = keys(&visit, &asker, &bucket).await?;
    let Some(first) = keys.first() else { return Err(Failure::input(visit.t.browse.nothing_selected)) };
    // What may not be read at all is told as a page, before the archive begins.
    asker.object(&bucket, first, None).await?;
    let prefix = visit.form.raw("prefix").unwrap_or_default().to_owned();
    let folder = prefix.trim_end_matches('/').rsplit('/').next().filter(|name| !name.is_empty());
    let name = format!("{}.zip", folder.unwrap_or(bucket.name.as_str()));
    let (sender, mut chunks) = mpsc::channel(CHUNKS_MAX);
    actix_rt::spawn(async move {
        if let Err(why) = write(&asker, &bucket, &prefix, keys, &sender).await {
            tracing::debug!(why, "an archive broke off");
            // The browser notices that it is not whole.
            let _ = sender.send(Err(std::io::Error::other(why))).await;
        }
    });
    let body = BodyStream::new(stream::poll_fn(move |context| chunks.poll_recv(context)));
    let mut response = HttpResponse::Ok();
    response.insert_header((CONTENT_TYPE, "application/zip")).insert_header((CONTENT_DISPOSITION, disposition(&name)));
    Ok(response.body(BoxBody::new(body)))
}

/// The keys that are selected, folders and searches by what is in them.
async fn keys(visit: &Visit, asker: &Asker, bucket: &Arc<Bucket>) -> Result<Vec<ObjectKey>, Failure> {
    let mut keys = Vec::new();
    let (chosen, mut looked_at) = (Chosen::of(&visit.form), 0);
    for (item, is_prefix) in chosen.each() {
        if !is_prefix {
            keys.push(parse_key(item)?);
            continue;
        }
        let mut after = None;
        loop {
            let wanted = ObjectsWanted { prefix: item.to_owned(), after, limit: 1_000, ..ObjectsWanted::default() };
            let page = asker.objects(bucket, wanted).await?;
            looked_at += page.entries.len();
            let found = page.entries.into_iter().map(|entry| entry.key);
            keys.extend(found.filter(|key| chosen.wants(item, key.as_str())));
            if keys.len() > OBJECTS_MAX {
                return Err(Failure::input(visit.t.browse.archive_large));
            }
            if looked_at > LOOKED_MAX {
                return Err(Failure::input(visit.t.browse.archive_far));
            }
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
    }
    Ok(keys)
}

type Chunks = Sender<Result<Bytes, std::io::Error>>;

async fn write(
    asker: &Asker,
    bucket: &Arc<Bucket>,
    prefix: &str,
    keys: Vec<ObjectKey>,
    chunks: &Chunks,
) -> Result<(), &'static str> {
    const GONE: &str = "the browser has gone";
    let send = async |bytes: Bytes| chunks.send(Ok(bytes)).await.map_err(|_| GONE);
    let mut archive = Archive::default();
    for key in keys {
        // The objects of a folder are more requests than one page usually makes.
        let asked =
            patiently(async || asker.s3(Wish { bucket: Some(&bucket.name), key: Some(&key), ..Wish::default() }).await);
        let Ok(answer) = asked.await else { return Err("an object cannot be read") };
        let modified = answer.headers().get("last-modified").and_then(|date| date.to_str().ok());
        let modified = modified.and_then(|date| httpdate::parse_http_date(date).ok());
        let seconds = modified.map_or(0, |time| myfsio_actors::names::Stamp::from_system_time(time).seconds());
        let mut body = Box::pin(answer.into_body());
        let size = match body.size() {
            BodySize::Sized(size) => size,
            BodySize::None => 0,
            BodySize::Stream => return Err("an object does not say how long it is"),
        };
        let name = key.as_str().strip_prefix(prefix).filter(|rest| !rest.is_empty()).unwrap_or(key.as_str());
        send(archive.begin(name, seconds, size).freeze()).await?;
        let mut bytes = stream::poll_fn(move |context| body.as_mut().poll_next(context));
        while let Some(chunk) = bytes.next().await {
            let Ok(chunk) = chunk else { return Err("an object broke off") };
            archive.bytes(&chunk);
            send(chunk).await?;
        }
        send(archive.end().freeze()).await?;
    }
    send(archive.finish().freeze()).await
}
