//! Sends an object in parts: in the very ones that it was made of, or in those that it is cut into. Several go at a time; what was sent is
//! remembered, and asked of the target, so that it goes on where it was.

use std::cell::Cell;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use myfsio_actors::names::ChecksumKind;
use myfsio_actors::replication_worker::{Destination, Outgoing, PeerError, PeerErrorKind};
use myfsio_actors::storage::{Applied, Object, ObjectPart, Whole};
use reqwest::Method;

use super::client::{Ask, Failure, Place, Remote, Reply};
use super::content::Payload;
use super::cut::{self, Watch};
use super::object::{ENCRYPTION, attributes, bad_digest, check_etag, check_part, payload, put_single};
use super::peer::{HttpPeer, applied, nonsense, told};
use super::uploads::{Remembered, What};
use crate::s3::checksum::crc64nvme;
use crate::s3::replica::{APPLIED, describe_whole};
use crate::s3::xml::client::{self as documents, ListedPart};

/// Parts of one object that are sent at the same time.
const PARTS_AT_ONCE: usize = 4;

/// The headers that make a node take an object for what it was before it was cut.
fn whole(object: &Object) -> Vec<(&'static str, String)> {
    let checksum = object.checksum.map(|chosen| chosen.value);
    describe_whole(&Whole { md5: object.etag.md5, checksum })
}

/// Names an object as it is. What stands beside its bytes goes with the request that begins an upload, so that one which was begun before
/// that changed would bring what it was.
fn edition(object: &Object) -> String {
    let beside = [object.tags_change(), object.lock_change()];
    let beside = beside.map(|change| change.map_or_else(|| "-".to_owned(), |change| change.to_string()));
    format!("{}/{}", object.stamp.0, beside.join("/"))
}

/// Sends a part, unless another could not be sent: those that are under way may come to their end then, and no others begin.
async fn unless(
    has_failed: &Cell<bool>,
    sending: impl Future<Output = Result<Sent, PeerError>>,
) -> Result<Sent, PeerError> {
    if has_failed.get() {
        return Err(PeerError::new(PeerErrorKind::Unreachable, "another part could not be sent"));
    }
    let sent = sending.await;
    has_failed.set(has_failed.get() || sent.is_err());
    sent
}

/// All parts, or why one was not sent: what was refused tells more than a link that broke off.
fn all_of(sent: Vec<Result<Sent, PeerError>>) -> Result<Vec<Sent>, PeerError> {
    let is_refusal = |error: &PeerError| matches!(error.kind, PeerErrorKind::Refused { .. });
    let (mut parts, mut failure) = (Vec::with_capacity(sent.len()), None::<PeerError>);
    for sent in sent {
        match sent {
            Ok(part) => parts.push(part),
            Err(error) if failure.as_ref().is_none_or(|it| !is_refusal(it) && is_refusal(&error)) => {
                failure = Some(error);
            }
            Err(_) => {}
        }
    }
    failure.map_or(Ok(parts), Err)
}

/// Where the next page of the parts begins that a target has: behind a greater number than this one began behind, or nowhere. Else one that
/// leads back would be asked for ever.
fn marker_behind(after: Option<u64>, next: Option<&str>) -> Option<u64> {
    next?.parse().ok().filter(|next| after.is_none_or(|after| after < *next))
}

fn is_denied(error: &PeerError) -> bool {
    matches!(error.kind, PeerErrorKind::Refused { status: 403, .. })
}

/// An object that is sent in parts.
pub(super) struct Multipart<'a> {
    pub peer: &'a HttpPeer,
    pub to: &'a Destination,
    pub object: &'a Outgoing,
    pub parts: &'a [ObjectPart],
    pub kind: Kind,
}

/// What the parts are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Those that it was assembled from.
    Own,
    /// It was written by a single request, and is an object of these parts at the target: its ETag tells nothing of what they come to.
    Cut,
    /// The same, and the target takes it for what it was.
    Whole,
}

impl Kind {
    /// Whether nothing but their own bytes tells what the parts are.
    fn is_cut(self) -> bool {
        self != Self::Own
    }
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
    /// Sends it, from where it is if that was begun before.
    pub async fn put(&self) -> Result<Applied, PeerError> {
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
                // To write does not take to list: who may only write begins anew.
                Err(failure) if failure.status() == 403 => {
                    self.peer.abort(&remote, &what, &upload).await;
                    (self.begin(&remote, bucket, &what).await?, Vec::new())
                }
                Err(failure) => return Err(failure.into()),
            },
            Some(Remembered::Other(upload)) => {
                self.peer.abort(&remote, &what, &upload).await;
                (self.begin(&remote, bucket, &what).await?, Vec::new())
            }
            None => (self.begin(&remote, bucket, &what).await?, Vec::new()),
        };
        let has_failed = Cell::new(false);
        let sent: Vec<_> = stream::iter(self.parts)
            .map(|part| unless(&has_failed, self.part(&remote, (bucket, &what), &upload, part, &there)))
            .buffered(PARTS_AT_ONCE)
            .collect()
            .await;
        let sent = all_of(sent);
        let has_all = sent.is_ok();
        let done = match sent {
            Ok(sent) => self.complete(&remote, bucket, &upload, &sent).await,
            Err(error) => Err(error),
        };
        // What is refused would be refused again with the same upload.
        if matches!(&done, Ok(_) | Err(PeerError { kind: PeerErrorKind::Refused { .. }, .. })) {
            match done {
                Ok(_) => self.peer.uploads.ended(&what),
                Err(_) => self.peer.abort(&remote, &what, &upload).await,
            }
        }
        match done {
            // To seal parts takes to open their key, which not everybody may who may write.
            Err(error) if self.kind == Kind::Whole && !has_all && is_denied(&error) => {
                put_single(self.peer, self.to, self.object).await
            }
            done => done,
        }
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
        // Of what was cut it is told in the end.
        if let (Some(_), Some(chosen), Kind::Own) = (self.to.node(), object.checksum, self.kind) {
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
        let (mut there, mut after) = (Vec::new(), None::<u64>);
        loop {
            let marker = after.map(|after| after.to_string());
            let mut query = vec![("uploadId", upload)];
            query.extend(marker.as_deref().map(|marker| ("part-number-marker", marker)));
            let reply = self.ask(remote, bucket, Method::GET, &query, Vec::new(), Payload::Empty).await?;
            let page = documents::parts(&reply.body).map_err(|error| Failure::Nonsense(error.to_string()))?;
            there.extend(page.entries);
            after = marker_behind(after, page.next.as_deref());
            if after.is_none() {
                return Ok(there);
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
        let crc64nvme = self.peer.uploads.part(what, number).filter(|_| self.kind.is_cut());
        let there = there.iter().find(|there| there.number == number && there.size == size);
        if let Some(there) = there.filter(|_| crc64nvme.is_some() || !self.kind.is_cut()) {
            return Ok(Sent { number, size, etag: there.etag.clone(), crc64nvme });
        }
        let text = number.to_string();
        let query = [("partNumber", text.as_str()), ("uploadId", upload)];
        let checksum = part.checksum.filter(|_| self.to.node().is_some());
        let headers = checksum.map(|sum| (sum.algorithm().header().to_owned(), sum.to_string())).into_iter().collect();
        let watch = self.kind.is_cut().then(Watch::new);
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
        match !self.kind.is_cut() || cut::whole(crcs) == self.object.object.crc64nvme {
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
            headers.extend(self.checksum(object));
        }
        if self.kind == Kind::Whole {
            headers.extend(whole(object).into_iter().map(|(name, value)| (name.to_owned(), value)));
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
        // A node that was slow has sent its headers before it knew what became of it, or how it is encrypted. It has compared the checksum.
        let is_told = self.to.node().is_none() || reply.header(APPLIED).is_some();
        if self.kind != Kind::Cut && is_told {
            check_etag(object, Some(&etag), reply.header(ENCRYPTION), applied)?;
        }
        Ok(applied)
    }

    /// The checksum of all of it, as the request that completes it tells it.
    fn checksum(&self, object: &Object) -> Option<(String, String)> {
        match object.checksum.filter(|_| self.kind == Kind::Own) {
            Some(chosen) => {
                let composite = (chosen.kind == ChecksumKind::Composite).then(|| format!("-{}", self.parts.len()));
                let text = format!("{}{}", chosen.value, composite.unwrap_or_default());
                Some((chosen.value.algorithm().header().to_owned(), text))
            }
            None => crc64nvme(object.crc64nvme).map(|sum| (sum.algorithm().header().to_owned(), sum.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_parts_lead_on_or_end() {
        for (after, next, expected) in [
            (None, Some("1000"), Some(1000)),
            (Some(1000), Some("2000"), Some(2000)),
            (None, None, None),
            (Some(1000), None, None),
            (Some(1000), Some("1000"), None),
            (Some(2000), Some("1000"), None),
            (Some(1000), Some(""), None),
            (None, Some("x"), None),
            (None, Some("-1"), None),
        ] {
            assert_eq!(marker_behind(after, next), expected, "{after:?} {next:?}");
        }
    }

    #[test]
    fn a_refusal_is_told_before_a_link_that_broke_off() {
        let part = |number| Ok(Sent { number, size: 1, etag: String::new(), crc64nvme: None });
        let broke = |text: &str| Err(PeerError::new(PeerErrorKind::Unreachable, text));
        let refused = |text: &str| {
            Err(PeerError::new(PeerErrorKind::Refused { status: 403, code: "AccessDenied".to_owned() }, text))
        };
        let of = |sent| {
            let told = all_of(sent).map(|parts| parts.iter().map(|part| part.number).collect::<Vec<_>>());
            told.map_err(|error| error.text)
        };
        assert_eq!(of(vec![part(1), part(2)]), Ok(vec![1, 2]));
        assert_eq!(of(vec![part(1), broke("a"), broke("b")]), Err("a".to_owned()));
        assert_eq!(of(vec![broke("a"), part(2), refused("b"), refused("c"), broke("d")]), Err("b".to_owned()));
    }

    #[actix_web::test]
    async fn after_a_failure_no_part_begins() {
        let has_failed = Cell::new(false);
        let begun = Cell::new(0);
        let sending = async |fails: bool| {
            begun.set(begun.get() + 1);
            let sent = Sent { number: 1, size: 1, etag: String::new(), crc64nvme: None };
            if fails { Err(PeerError::new(PeerErrorKind::Unreachable, "gone")) } else { Ok(sent) }
        };
        let mut told = Vec::new();
        for fails in [false, true, false] {
            told.push(unless(&has_failed, sending(fails)).await.map(drop).map_err(|error| error.text));
        }
        let other = "another part could not be sent".to_owned();
        assert_eq!((told, begun.get()), (vec![Ok(()), Err("gone".to_owned()), Err(other)], 2));
    }
}
