//! Sends small objects together to a node that takes that: for these, a request costs more than what it carries.

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use myfsio_actors::replication_worker::{Destination, Outgoing, PeerError, PeerErrorKind};
use myfsio_actors::storage::Applied;
use reqwest::Method;

use super::client::{Ask, Failure, Place};
use super::content::Payload;
use super::object::{self, check_etag, headers_of};
use super::peer::{HttpPeer, applied_of, nonsense};
use super::together::{self, Head, Outcome};
use crate::s3::xml::client::Refusal;

/// Stores objects at a node. Errs where nothing is known of any of them.
pub(super) async fn put(
    peer: &HttpPeer,
    to: &Destination,
    objects: &[Outgoing],
) -> Result<Vec<Result<Applied, PeerError>>, PeerError> {
    let (remote, bucket) = peer.bucket(to)?;
    let (mut body, mut read) = (Vec::new(), Vec::with_capacity(objects.len()));
    for outgoing in objects {
        // Its deletion would have to be asked for by a URL one day.
        let bytes = match remote.endpoint.path_of(bucket, Some(outgoing.key.as_str())) {
            Some(_) => content_of(outgoing).await,
            None => Err(Failure::unsayable().into()),
        };
        if let Ok(bytes) = &bytes {
            let head = Head {
                key: outgoing.key.as_str().to_owned(),
                size: bytes.len() as u64,
                headers: headers_of(to, outgoing, peer.client.now()),
            };
            together::push(&mut body, &head, bytes);
        }
        read.push(bytes.map(drop));
    }
    let ask = Ask {
        method: Method::POST,
        place: Place::Route(together::ROUTE),
        query: &[("bucket", bucket)],
        headers: Vec::new(),
        payload: Payload::Document(Bytes::from(body)),
    };
    let outcomes: Vec<Outcome> = match peer.client.send(&remote, ask).await.map_err(PeerError::from) {
        Ok(reply) => serde_json::from_slice(&reply.body).map_err(nonsense)?,
        // By itself each of them is told what is wrong with it.
        Err(error) if matches!(error.kind, PeerErrorKind::Refused { status: ..500, .. }) => {
            return Ok(one_by_one(peer, to, objects).await);
        }
        Err(error) => return Err(error),
    };
    let mut outcomes = outcomes.into_iter();
    let mut told = || outcomes.next().ok_or_else(|| nonsense("an object of which nothing is told"));
    Ok(objects.iter().zip(read).map(|(outgoing, read)| judge(outgoing, read.and_then(|()| told())?)).collect())
}

async fn one_by_one(peer: &HttpPeer, to: &Destination, objects: &[Outgoing]) -> Vec<Result<Applied, PeerError>> {
    let mut results = Vec::with_capacity(objects.len());
    for outgoing in objects {
        results.push(object::put(peer, to, outgoing).await);
    }
    results
}

async fn content_of(outgoing: &Outgoing) -> Result<Bytes, PeerError> {
    let (size, mut all) = (outgoing.object.size, BytesMut::new());
    if size == 0 {
        return Ok(Bytes::new());
    }
    let mut pieces = outgoing.content.read(0..size)?;
    while let Some(piece) = pieces.next().await {
        all.extend_from_slice(&piece?);
    }
    match all.len() as u64 == size {
        true => Ok(all.freeze()),
        false => Err(PeerError::new(PeerErrorKind::Ours, "the object has another size than its own")),
    }
}

fn judge(outgoing: &Outgoing, outcome: Outcome) -> Result<Applied, PeerError> {
    let Outcome { status, etag, applied, encryption, code, message } = outcome;
    if !(200..300).contains(&status) {
        let refusal = Refusal { code: code.unwrap_or_default(), message: message.unwrap_or_default() };
        return Err(Failure::Refused { status, refusal, retry_after: None }.into());
    }
    let applied = applied_of(applied.as_deref().unwrap_or_default());
    check_etag(&outgoing.object, etag.as_deref(), encryption.as_deref(), applied)?;
    Ok(applied)
}
