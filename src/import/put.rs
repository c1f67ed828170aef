//! Storing an object in the node: in one request, or in the very parts that it was made of, so that its ETag stays what it is.

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use std::ops::Range;

use super::entry::{Opened, Version};
use super::node::{NodeApi, Outcome, outcome};
use crate::replication::{Failure, Method, Payload, Place, Remembered, Reply, UploadOf};
use crate::s3::xml::client::{self as documents, ListedPart};

/// Parts of one object that are sent at the same time.
const PARTS_AT_ONCE: usize = 4;
/// Most parts of an object (S3 User Guide, "Amazon S3 multipart upload limits").
const PARTS_MAX: u64 = 10_000;
/// Bytes of a part where there is a choice.
const PART_BYTES: u64 = 64 * 1024 * 1024;

/// What an object is stored as.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Shape {
    /// At once.
    Whole,
    /// In parts of these sizes.
    Parts(Vec<u64>),
}

/// Where an object goes.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// The node.
    pub node: &'a NodeApi,
    /// The bucket there.
    pub bucket: &'a str,
    /// The key.
    pub key: &'a str,
    /// The version.
    pub version: &'a Version,
}

/// What was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Put {
    /// What became of it.
    pub outcome: Outcome,
    /// Whether it has the ETag that it should have.
    pub has_its_etag: bool,
}

impl Target<'_> {
    /// Stores an object. Errs: also when its bytes are not those that its checksum tells.
    pub async fn put(&self, opened: &Opened) -> Result<Put, Failure> {
        let limits = self.node.limits;
        let shape = shape(opened, limits.body_bytes_max, limits.part_bytes_min);
        let (reply, etag) = match &shape {
            Shape::Whole => {
                let mut headers = self.headers(opened);
                headers.extend(opened.digest.clone());
                let payload = payload(opened, 0..opened.size).await?;
                let place = Place::Key(self.bucket, self.key);
                let reply = self.node.ask(Method::PUT, place, &[], headers, payload).await?;
                let etag = reply.header("etag").map(|etag| etag.trim_matches('"').to_owned());
                (reply, etag)
            }
            Shape::Parts(parts) => self.put_parts(opened, parts).await?,
        };
        let is_sealed = reply.header("x-amz-server-side-encryption").is_some_and(|method| method.starts_with("aws:"));
        let differs = |wanted: &String| etag.as_ref() != Some(wanted) && !is_sealed;
        let outcome = outcome(&reply);
        let has_its_etag = outcome == Outcome::Known || !opened.etag.as_ref().is_some_and(differs);
        Ok(Put { outcome, has_its_etag })
    }

    fn headers(&self, opened: &Opened) -> Vec<(String, String)> {
        let mut headers = opened.headers.clone();
        headers.extend(self.node.told(self.version));
        if opened.sealed {
            headers.push(("x-amz-server-side-encryption".to_owned(), "AES256".to_owned()));
        }
        headers
    }

    async fn ask(
        &self,
        method: Method,
        query: &[(&str, &str)],
        headers: Vec<(String, String)>,
        payload: Payload,
    ) -> Result<Reply, Failure> {
        self.node.ask(method, Place::Key(self.bucket, self.key), query, headers, payload).await
    }

    async fn put_parts(&self, opened: &Opened, parts: &[u64]) -> Result<(Reply, Option<String>), Failure> {
        let of = UploadOf {
            connection: "import".to_owned(),
            bucket: self.bucket.to_owned(),
            key: self.key.to_owned(),
            version: self.version.id.to_string(),
        };
        let stamp = self.version.modified.0 ^ opened.size;
        let (upload, there) = match self.node.uploads.find(&of, &stamp.to_string()) {
            Some(Remembered::This(upload)) => match self.listed(&upload).await {
                Ok(there) => (upload, there),
                Err(failure) if failure.status() == 404 => (self.begin(opened, &of, stamp).await?, Vec::new()),
                Err(failure) => return Err(failure),
            },
            _ => (self.begin(opened, &of, stamp).await?, Vec::new()),
        };
        let mut start = 0;
        let ranges: Vec<_> = parts
            .iter()
            .map(|size| {
                let range = start..start + size;
                start = range.end;
                range
            })
            .collect();
        let sent: Vec<_> = stream::iter((1..).zip(ranges))
            .map(|(number, range)| self.part(opened, &upload, number, range, &there))
            .buffered(PARTS_AT_ONCE)
            .collect()
            .await;
        let sent: Result<Vec<(u16, String)>, Failure> = sent.into_iter().collect();
        let done = match sent {
            Ok(sent) => self.complete(&upload, &sent).await,
            Err(failure) => Err(failure),
        };
        match &done {
            Ok(_) => self.node.uploads.ended(&of),
            // What is refused would be refused again with the same upload; after anything else it goes on.
            Err(Failure::Refused { status, .. }) if *status < 500 => {
                let _gone = self.ask(Method::DELETE, &[("uploadId", &upload)], Vec::new(), Payload::Empty).await;
                self.node.uploads.ended(&of);
            }
            Err(_) => {}
        }
        done
    }

    async fn begin(&self, opened: &Opened, of: &UploadOf, stamp: u64) -> Result<String, Failure> {
        let reply = self.ask(Method::POST, &[("uploads", "")], self.headers(opened), Payload::Empty).await?;
        let upload = documents::initiated(&reply.body).map_err(nonsense)?;
        self.node.uploads.begun(of.clone(), &stamp.to_string(), &upload);
        Ok(upload)
    }

    /// The parts that are there already.
    async fn listed(&self, upload: &str) -> Result<Vec<ListedPart>, Failure> {
        let (mut there, mut after) = (Vec::new(), None::<String>);
        loop {
            let mut query = vec![("uploadId", upload)];
            query.extend(after.as_deref().map(|after| ("part-number-marker", after)));
            let reply = self.ask(Method::GET, &query, Vec::new(), Payload::Empty).await?;
            let page = documents::parts(&reply.body).map_err(nonsense)?;
            there.extend(page.entries);
            match page.next {
                Some(next) if after.as_ref() != Some(&next) => after = Some(next),
                _ => return Ok(there),
            }
        }
    }

    async fn part(
        &self,
        opened: &Opened,
        upload: &str,
        number: u16,
        range: Range<u64>,
        there: &[ListedPart],
    ) -> Result<(u16, String), Failure> {
        let size = range.end - range.start;
        if let Some(there) = there.iter().find(|there| there.number == number && there.size == size) {
            return Ok((number, there.etag.clone()));
        }
        let text = number.to_string();
        let query = [("partNumber", text.as_str()), ("uploadId", upload)];
        let reply = self.ask(Method::PUT, &query, Vec::new(), payload(opened, range).await?).await?;
        let etag = reply.header("etag").map(|etag| etag.trim_matches('"').to_owned());
        Ok((number, etag.ok_or_else(|| nonsense("a part without an ETag"))?))
    }

    async fn complete(&self, upload: &str, parts: &[(u16, String)]) -> Result<(Reply, Option<String>), Failure> {
        let mut headers = self.node.told(self.version);
        headers.push(("content-type".to_owned(), "application/xml".to_owned()));
        let document = documents::write_complete(parts.iter().map(|(number, etag)| (*number, etag.as_str())));
        let payload = Payload::Document(Bytes::from(document));
        let reply = self.ask(Method::POST, &[("uploadId", upload)], headers, payload).await?;
        match documents::completed(&reply.body).map_err(nonsense)? {
            Ok(etag) => Ok((reply, Some(etag))),
            Err(refusal) => Err(Failure::Refused { status: 400, refusal, retry_after: None }),
        }
    }
}

async fn payload(opened: &Opened, range: Range<u64>) -> Result<Payload, Failure> {
    let size = range.end - range.start;
    match size {
        0 => Ok(Payload::Empty),
        _ => Ok(Payload::Object(size, opened.content.read(range).await?)),
    }
}

fn nonsense(error: impl std::fmt::Display) -> Failure {
    Failure::Nonsense(format!("the node's answer makes no sense: {error}"))
}

/// In what an object is stored: its own parts if the node takes those, else whole, else in parts of a size of our own.
fn shape(opened: &Opened, body_bytes_max: u64, part_bytes_min: u64) -> Shape {
    let (size, parts) = (opened.size, opened.parts.as_slice());
    let is_assembled = !parts.is_empty() && opened.etag.as_ref().is_none_or(|etag| etag.contains('-'));
    let before_last = parts.split_last().map_or(&[][..], |(_, before)| before);
    let fits = parts.iter().all(|part| *part <= body_bytes_max)
        && before_last.iter().all(|part| *part >= part_bytes_min)
        && u64::try_from(parts.len()).is_ok_and(|count| count <= PARTS_MAX);
    if is_assembled && fits {
        return Shape::Parts(parts.to_vec());
    }
    if size <= body_bytes_max {
        return Shape::Whole;
    }
    let part = PART_BYTES.max(size.div_ceil(PARTS_MAX)).max(part_bytes_min).min(body_bytes_max).max(1);
    Shape::Parts((0..size.div_ceil(part)).map(|number| part.min(size - number * part)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::entry::Content;
    use crate::import::local::LocalContent;

    fn of(size: u64, parts: &[u64], etag: &str) -> Shape {
        let opened = Opened {
            headers: Vec::new(),
            size,
            digest: None,
            etag: Some(etag.to_owned()),
            parts: parts.to_vec(),
            sealed: false,
            lost: Vec::new(),
            content: Content::Local(LocalContent::nothing()),
        };
        shape(&opened, 100, 5)
    }

    #[test]
    fn shapes() {
        assert_eq!(of(100, &[], "x"), Shape::Whole);
        assert_eq!(of(12, &[5, 5, 2], "x-3"), Shape::Parts(vec![5, 5, 2]));
        assert_eq!(of(2, &[2], "x-1"), Shape::Parts(vec![2]));
        assert_eq!(of(12, &[5, 5, 2], "x"), Shape::Whole, "its ETag is of the whole");
        assert_eq!(of(9, &[4, 5], "x-2"), Shape::Whole, "the node takes no such part");
        assert_eq!(of(250, &[200, 50], "x-2"), Shape::Parts(vec![100, 100, 50]));
    }
}
