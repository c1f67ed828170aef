//! Sends objects: what goes with them as headers, and their bytes in one request, or in the very parts that they were made of, so that
//! the ETag stays what it is.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream;
use myfsio_actors::bucket_config::Retention;
use myfsio_actors::encryption::Method as Sealing;
use myfsio_actors::names::{Checksum, ChecksumKind, ETag, Stamp};
use myfsio_actors::replication_worker::{Destination, Outgoing, PeerError, PeerErrorKind};
use myfsio_actors::storage::{Applied, Object, ObjectPart};
use reqwest::Method;

use super::client::{Ask, Failure, Place, Remote, Reply};
use super::content::Payload;
use super::cut::{self, Watch};
use super::peer::{HttpPeer, applied, nonsense, told};
use super::uploads::{Remembered, What};
use crate::s3::auth::canonical::encode;
use crate::s3::checksum::crc64nvme;
use crate::s3::xml::client::{self as documents, ListedPart};
use crate::s3::xml::object_lock::{mode_name, until_text};

/// Parts of one object that are sent at the same time.
const PARTS_AT_ONCE: usize = 4;
/// How the target tells that it encrypts.
const ENCRYPTION: &str = "x-amz-server-side-encryption";

/// Stores an object at a target.
pub(super) async fn put(peer: &HttpPeer, to: &Destination, object: &Outgoing) -> Result<Applied, PeerError> {
    match object.parts.as_slice() {
        [] if is_cut(to, &object.object) => {
            let parts = cut::cut(object.object.size);
            Multipart { peer, to, object, parts: &parts, is_cut: true }.put().await
        }
        [] => put_single(peer, to, object).await,
        parts => Multipart { peer, to, object, parts, is_cut: false }.put().await,
    }
}

/// Whether an object that was written by a single request is sent in parts. Not to a node, where its ETag stays what it is.
fn is_cut(to: &Destination, object: &Object) -> bool {
    to.node().is_none() && object.size > cut::SINGLE_BYTES_MAX
}

async fn put_single(peer: &HttpPeer, to: &Destination, outgoing: &Outgoing) -> Result<Applied, PeerError> {
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

fn payload(outgoing: &Outgoing, range: std::ops::Range<u64>) -> Result<Payload, PeerError> {
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
fn attributes(to: &Destination, object: &Object, now: Stamp) -> Vec<(String, String)> {
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
fn check_part(told: &str, md5: [u8; 16], encryption: Option<&str>) -> Result<(), PeerError> {
    let sealed = encryption.is_some_and(|method| method.starts_with("aws:"));
    match ETag::parse(told) {
        Ok(etag) if !sealed && etag != ETag::single(md5) => {
            Err(bad_digest(format!("the target has other bytes: the ETag of a part is {etag}")))
        }
        _ => Ok(()),
    }
}

fn bad_digest(text: String) -> PeerError {
    PeerError::new(PeerErrorKind::Refused { status: 200, code: "BadDigest".to_owned() }, text)
}

/// Names an object as it is. What stands beside its bytes goes with the request that begins an upload, so that one which was begun before
/// that changed would bring what it was.
fn edition(object: &Object) -> String {
    let beside = [object.tags_change(), object.lock_change()];
    let beside = beside.map(|change| change.map_or_else(|| "-".to_owned(), |change| change.to_string()));
    format!("{}/{}", object.stamp.0, beside.join("/"))
}

/// An object that is sent in parts.
struct Multipart<'a> {
    peer: &'a HttpPeer,
    to: &'a Destination,
    object: &'a Outgoing,
    parts: &'a [ObjectPart],
    /// Whether it was written by a single request: then its ETag tells nothing of what its parts come to.
    is_cut: bool,
}

/// A part that the target has.
struct Sent {
    number: u16,
    size: u64,
    etag: String,
    /// CRC-64/NVME of its bytes, where the object was cut.
    crc64nvme: Option<u64>,
}

impl Multipart<'_> {
    async fn put(&self) -> Result<Applied, PeerError> {
        let (remote, bucket) = self.peer.bucket(self.to)?;
        let object = &self.object.object;
        let what = What {
            connection: self.to.connection.id.to_string(),
            bucket: bucket.to_owned(),
            key: self.object.key.as_str().to_owned(),
            version: object.version_id.to_string(),
        };
        let (upload, there) = match self.peer.uploads.find(&what, &edition(object)) {
            Some(Remembered::This(upload)) => match self.listed(&remote, bucket, &upload).await {
                Ok(there) => (upload, there),
                Err(failure) if failure.status() == 404 => (self.begin(&remote, bucket, &what).await?, Vec::new()),
                Err(failure) => return Err(failure.into()),
            },
            Some(Remembered::Other(upload)) => {
                // Should it fail, the target's rules clear it away.
                let _gone = self
                    .ask(&remote, bucket, Method::DELETE, &[("uploadId", &upload)], Vec::new(), Payload::Empty)
                    .await;
                (self.begin(&remote, bucket, &what).await?, Vec::new())
            }
            None => (self.begin(&remote, bucket, &what).await?, Vec::new()),
        };
        let sent: Vec<_> = stream::iter(self.parts)
            .map(|part| self.part(&remote, (bucket, &what), &upload, part, &there))
            .buffered(PARTS_AT_ONCE)
            .collect()
            .await;
        let sent: Result<Vec<_>, _> = sent.into_iter().collect();
        let done = match sent {
            Ok(sent) => self.complete(&remote, bucket, &upload, &sent).await,
            Err(error) => Err(error),
        };
        // What is refused would be refused again with the same upload.
        if matches!(&done, Ok(_) | Err(PeerError { kind: PeerErrorKind::Refused { .. }, .. })) {
            if done.is_err() {
                let _gone = self
                    .ask(&remote, bucket, Method::DELETE, &[("uploadId", &upload)], Vec::new(), Payload::Empty)
                    .await;
            }
            self.peer.uploads.ended(&what);
        }
        done
    }

    async fn ask(
        &self,
        remote: &Remote,
        bucket: &str,
        method: Method,
        query: &[(&str, &str)],
        headers: Vec<(String, String)>,
        payload: Payload,
    ) -> Result<Reply, Failure> {
        let place = Place::Key(bucket, self.object.key.as_str());
        self.peer.client.send(remote, Ask { method, place, query, headers, payload }).await
    }

    async fn begin(&self, remote: &Remote, bucket: &str, what: &What) -> Result<String, PeerError> {
        let object = &self.object.object;
        let mut headers = attributes(self.to, object, self.peer.client.now());
        headers.extend(told(self.to, self.object.replica.as_ref()));
        if let (Some(_), Some(chosen)) = (self.to.node(), object.checksum) {
            headers.push(("x-amz-checksum-algorithm".to_owned(), chosen.value.algorithm().name().to_owned()));
            headers.push(("x-amz-checksum-type".to_owned(), chosen.kind.name().to_owned()));
        }
        let reply = self.ask(remote, bucket, Method::POST, &[("uploads", "")], headers, Payload::Empty).await?;
        let upload = documents::initiated(&reply.body).map_err(nonsense)?;
        self.peer.uploads.begun(what.clone(), &edition(object), &upload);
        Ok(upload)
    }

    /// The parts that the target has already.
    async fn listed(&self, remote: &Remote, bucket: &str, upload: &str) -> Result<Vec<ListedPart>, Failure> {
        let (mut there, mut after) = (Vec::new(), None::<String>);
        loop {
            let mut query = vec![("uploadId", upload)];
            query.extend(after.as_deref().map(|after| ("part-number-marker", after)));
            let reply = self.ask(remote, bucket, Method::GET, &query, Vec::new(), Payload::Empty).await?;
            let page = documents::parts(&reply.body).map_err(|error| Failure::Nonsense(error.to_string()))?;
            there.extend(page.entries);
            // Each page must lead on, or it would never end.
            match page.next {
                Some(next) if after.as_ref() != Some(&next) => after = Some(next),
                _ => return Ok(there),
            }
        }
    }

    /// Sends a part unless it is there.
    async fn part(
        &self,
        remote: &Remote,
        (bucket, what): (&str, &What),
        upload: &str,
        part: &ObjectPart,
        there: &[ListedPart],
    ) -> Result<Sent, PeerError> {
        let (number, size) = (part.number.get(), part.size);
        let crc64nvme = self.peer.uploads.part(what, number).filter(|_| self.is_cut);
        let there = there.iter().find(|there| there.number == number && there.size == size);
        if let Some(there) = there.filter(|_| crc64nvme.is_some() || !self.is_cut) {
            return Ok(Sent { number, size, etag: there.etag.clone(), crc64nvme });
        }
        let text = number.to_string();
        let query = [("partNumber", text.as_str()), ("uploadId", upload)];
        let checksum = part.checksum.filter(|_| self.to.node().is_some());
        let headers = checksum.map(|sum| (sum.algorithm().header().to_owned(), sum.to_string())).into_iter().collect();
        let watch = self.is_cut.then(Watch::new);
        let payload = match (payload(self.object, part.offset..part.offset.saturating_add(size))?, &watch) {
            (Payload::Object(size, pieces), Some(watch)) => Payload::Object(size, watch.over(pieces)),
            (payload, _) => payload,
        };
        let reply = self.ask(remote, bucket, Method::PUT, &query, headers, payload).await?;
        let etag = reply.header("etag").map(|etag| etag.trim_matches('"').to_owned());
        let etag = etag.ok_or_else(|| nonsense("a part without an ETag"))?;
        let Some((md5, crc64nvme)) = watch.map(|watch| watch.seen()) else {
            return Ok(Sent { number, size, etag, crc64nvme: None });
        };
        check_part(&etag, md5, reply.header(ENCRYPTION))?;
        self.peer.uploads.sent(what, number, crc64nvme);
        Ok(Sent { number, size, etag, crc64nvme: Some(crc64nvme) })
    }

    /// Whether the parts of an object that was cut are what was stored. Errs: Refused as a digest that does not match.
    fn check_whole(&self, parts: &[Sent]) -> Result<(), PeerError> {
        let crcs = parts.iter().map(|part| (part.crc64nvme.unwrap_or_default(), part.size));
        match !self.is_cut || cut::whole(crcs) == self.object.object.crc64nvme {
            true => Ok(()),
            false => Err(bad_digest("the bytes that were sent are not those that were stored".to_owned())),
        }
    }

    async fn complete(
        &self,
        remote: &Remote,
        bucket: &str,
        upload: &str,
        parts: &[Sent],
    ) -> Result<Applied, PeerError> {
        self.check_whole(parts)?;
        let object = &self.object.object;
        let mut headers = told(self.to, self.object.replica.as_ref());
        headers.push(("content-type".to_owned(), "application/xml".to_owned()));
        if self.to.node().is_some() {
            headers.extend(self.whole(object));
        }
        let document = documents::write_complete(parts.iter().map(|part| (part.number, part.etag.as_str())));
        let payload = Payload::Document(Bytes::from(document));
        let query = [("uploadId", upload)];
        let reply = self.ask(remote, bucket, Method::POST, &query, headers, payload).await?;
        let etag = match documents::completed(&reply.body).map_err(nonsense)? {
            Ok(etag) => etag,
            Err(refusal) => return Err(Failure::Refused { status: 400, refusal, retry_after: None }.into()),
        };
        let applied = applied(&reply);
        if !self.is_cut {
            check_etag(object, Some(&etag), reply.header(ENCRYPTION), applied)?;
        }
        Ok(applied)
    }

    /// The checksum of the whole, as the request that completes it tells it.
    fn whole(&self, object: &Object) -> Option<(String, String)> {
        match object.checksum {
            Some(chosen) => {
                let composite = (chosen.kind == ChecksumKind::Composite).then(|| format!("-{}", self.parts.len()));
                let text = format!("{}{}", chosen.value, composite.unwrap_or_default());
                Some((chosen.value.algorithm().header().to_owned(), text))
            }
            None => crc64nvme(object.crc64nvme).map(|sum| (sum.algorithm().header().to_owned(), sum.to_string())),
        }
    }
}
