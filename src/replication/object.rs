//! Sends objects: what goes with them as headers, and their bytes, in one request or in parts, so that the ETag stays what it is.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt as _;
use myfsio_actors::bucket_config::Retention;
use myfsio_actors::encryption::Method as Sealing;
use myfsio_actors::names::{Checksum, ETag, Stamp};
use myfsio_actors::replication_worker::{Destination, Outgoing, PeerError, PeerErrorKind};
use myfsio_actors::storage::{Applied, Object};
use reqwest::Method;

use super::client::{Ask, Place};
use super::content::Payload;
use super::cut::{self, Goes, Taker};
use super::multipart::{Kind, Multipart};
use super::peer::{HttpPeer, applied, told};
use crate::s3::auth::canonical::encode;
use crate::s3::checksum::crc64nvme;
use crate::s3::xml::object_lock::{mode_name, until_text};

/// How the target tells that it encrypts.
pub(super) const ENCRYPTION: &str = "x-amz-server-side-encryption";

/// Stores an object at a target.
pub(super) async fn put(peer: &HttpPeer, to: &Destination, object: &Outgoing) -> Result<Applied, PeerError> {
    if !object.parts.is_empty() {
        return Multipart { peer, to, object, parts: &object.parts, kind: Kind::Own }.put().await;
    }
    let taker = match to.node() {
        None => Taker::Service,
        Some(_) => Taker::Node { takes_whole: to.takes_whole() },
    };
    // One of whose parts nothing is known any more has an ETag of parts all the same.
    let tells_md5 = object.object.etag.parts.is_none() && tells_md5(&object.object);
    let kind = match cut::goes(object.object.size, tells_md5, taker) {
        Goes::AtOnce => return put_single(peer, to, object).await,
        Goes::AsParts => Kind::Cut,
        Goes::Whole => Kind::Whole,
    };
    let parts = cut::cut(object.object.size);
    Multipart { peer, to, object, parts: &parts, kind }.put().await
}

/// Sends an object by one request.
pub(super) async fn put_single(peer: &HttpPeer, to: &Destination, outgoing: &Outgoing) -> Result<Applied, PeerError> {
    let (remote, bucket) = peer.bucket(to)?;
    let object = &outgoing.object;
    let ask = Ask {
        method: Method::PUT,
        place: Place::Key(bucket, outgoing.key.as_str()),
        query: &[],
        headers: headers_of(peer, to, outgoing),
        payload: payload(outgoing, 0..object.size)?,
    };
    let reply = peer.client.send(&remote, ask).await?;
    let applied = applied(&reply);
    check_etag(object, reply.header("etag"), reply.header(ENCRYPTION), applied)?;
    Ok(applied)
}

/// The headers of an object that is sent by one request: what goes with it, where it comes from, and by what it is verified.
pub(super) fn headers_of(peer: &HttpPeer, to: &Destination, outgoing: &Outgoing) -> Vec<(String, String)> {
    let mut headers = attributes(to, &outgoing.object, peer.client.now());
    headers.extend(told(to, outgoing.replica.as_ref()));
    headers.extend(integrity(to, &outgoing.object));
    headers
}

/// So many of its bytes.
pub(super) fn payload(outgoing: &Outgoing, range: std::ops::Range<u64>) -> Result<Payload, PeerError> {
    let size = range.end.saturating_sub(range.start);
    if size == 0 {
        return Ok(Payload::Empty);
    }
    let pieces = outgoing.content.read(range)?;
    Ok(Payload::Object(size, Box::pin(pieces.map(|piece| piece.map_err(|error| error.to_string())))))
}

/// The retention that a target is told: one that is over is taken only of who may replicate.
pub(super) fn told_retention(to: &Destination, object: &Object, now: Stamp) -> Option<Retention> {
    let may_be_past = to.node().is_some() && to.takes_replicas();
    object.controls.retention.filter(|retention| may_be_past || retention.holds(now.millis()))
}

/// What goes with an object, beside where it comes from.
pub(super) fn attributes(to: &Destination, object: &Object, now: Stamp) -> Vec<(String, String)> {
    let its = &object.attributes;
    let mut headers = Vec::new();
    let mut put = |name: &str, value: Option<&str>| {
        headers.extend(value.map(|value| (name.to_owned(), value.to_owned())));
    };
    put("content-type", its.content_type.as_deref());
    put("cache-control", its.cache_control.as_deref());
    put("content-disposition", its.content_disposition.as_deref());
    put("content-encoding", its.content_encoding.as_deref());
    put("content-language", its.content_language.as_deref());
    put("expires", its.expires.as_deref());
    put("x-amz-website-redirect-location", its.website_redirect.as_deref());
    put("x-amz-storage-class", its.storage_class.as_deref());
    for (name, value) in &its.user_metadata {
        put(&format!("x-amz-meta-{name}"), Some(value));
    }
    if !its.tags.is_empty() {
        let encoded = |text: &str| encode(text.as_bytes(), false);
        let pairs: Vec<_> =
            its.tags.iter().map(|(key, value)| format!("{}={}", encoded(key), encoded(value))).collect();
        put("x-amz-tagging", Some(&pairs.join("&")));
    }
    let locks = to.terms.as_ref().and_then(|terms| terms.bucket).is_some_and(|bucket| bucket.object_lock);
    if locks {
        if let Some(retention) = told_retention(to, object, now) {
            put("x-amz-object-lock-mode", Some(mode_name(retention.mode)));
            put("x-amz-object-lock-retain-until-date", Some(&until_text(&retention)));
        }
        put("x-amz-object-lock-legal-hold", object.controls.legal_hold.map(|is_on| if is_on { "ON" } else { "OFF" }));
    }
    headers
}

/// By what the target verifies the bytes of one request.
fn integrity(to: &Destination, object: &Object) -> Option<(String, String)> {
    let header = |checksum: Checksum| (checksum.algorithm().header().to_owned(), checksum.to_string());
    match (to.node(), object.checksum) {
        // The checksum that its writer chose is kept with it.
        (Some(_), Some(chosen)) => Some(header(chosen.value)),
        (None, _) if tells_md5(object) => Some(("content-md5".to_owned(), STANDARD.encode(object.etag.md5))),
        _ => crc64nvme(object.crc64nvme).map(header),
    }
}

/// Whether the ETag is made of the MD5 of the bytes.
fn tells_md5(object: &Object) -> bool {
    match object.encryption().map(|encryption| &encryption.method) {
        None | Some(Sealing::Managed { .. }) => true,
        Some(Sealing::Kms { .. } | Sealing::Customer(_)) => false,
    }
}

/// Whether the target has the same bytes, as far as its ETag tells, and what it says of their encryption. Errs: Refused as a digest that
/// does not match: it is tried again for a while, and nothing else waits for it.
pub(super) fn check_etag(
    object: &Object,
    told: Option<&str>,
    encryption: Option<&str>,
    applied: Applied,
) -> Result<(), PeerError> {
    let sealed = encryption.is_some_and(|method| method.starts_with("aws:"));
    if !tells_md5(object) || sealed || applied != Applied::Applied {
        return Ok(());
    }
    match told.and_then(|told| ETag::parse(told).ok()) {
        Some(etag) if etag != object.etag => {
            Err(bad_digest(format!("the target has other bytes: its ETag is {etag}, not {}", object.etag)))
        }
        _ => Ok(()),
    }
}

/// The same of a part of an object that was cut, whose bytes have this MD5.
pub(super) fn check_part(told: &str, md5: [u8; 16], encryption: Option<&str>) -> Result<(), PeerError> {
    let sealed = encryption.is_some_and(|method| method.starts_with("aws:"));
    match ETag::parse(told) {
        Ok(etag) if !sealed && etag != ETag::single(md5) => {
            Err(bad_digest(format!("the target has other bytes: the ETag of a part is {etag}")))
        }
        _ => Ok(()),
    }
}

/// A digest that does not match.
pub(super) fn bad_digest(text: String) -> PeerError {
    PeerError::new(PeerErrorKind::Refused { status: 200, code: "BadDigest".to_owned() }, text)
}
