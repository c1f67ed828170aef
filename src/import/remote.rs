//! Another S3 server: what it lists, what goes with its objects, and their bytes.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use myfsio_actors::names::Stamp;
use tokio::sync::{Semaphore, mpsc};

use super::earlier::tagging;
use super::entry::{Content, Entry, Name, Opened, Version, What};
use super::local::md5_header;
use super::settings::{CARRIED, Document, Settings, Versioning};
use super::source::{Bucket, Listed};
use crate::replication::{Ask, Download, Failure, Method, Payload, Pieces, Place, Remote, Reply, S3Client};
use crate::s3::auth::SecretText;
use crate::s3::headers::STORAGE_CLASSES;
use crate::s3::xml::client::{self as documents, ListedObject, Page};

const PAGE: &str = "1000";
/// Most versions of a key: they are held in memory together.
const VERSIONS_MAX: usize = 100_000;
/// Most parts of an object (S3 User Guide, "Amazon S3 multipart upload limits").
const PARTS_MAX: u64 = 10_000;
/// Headers of an object that are taken over as they are.
const HEADERS: [&str; 9] = [
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-type",
    "expires",
    "x-amz-object-lock-legal-hold",
    "x-amz-object-lock-mode",
    "x-amz-website-redirect-location",
];
const CHECKSUMS: [&str; 5] = [
    "x-amz-checksum-sha256",
    "x-amz-checksum-sha1",
    "x-amz-checksum-crc32c",
    "x-amz-checksum-crc32",
    "x-amz-checksum-crc64nvme",
];

/// Another S3 server.
#[derive(Debug)]
pub struct RemoteSource {
    client: S3Client,
    remote: Remote,
    token: Option<SecretText>,
    places: Arc<Semaphore>,
    /// Whether versions that are not current are wanted.
    versions: bool,
}

/// An object there.
#[derive(Debug, Clone)]
pub struct RemoteObject {
    /// Its version id there; none to ask for what is current.
    version: Option<String>,
    etag: String,
}

type Query<'a> = Vec<(&'a str, &'a str)>;

impl RemoteSource {
    /// A server that is asked so many things at once.
    pub fn new(client: S3Client, remote: Remote, token: Option<SecretText>, at_once: usize, versions: bool) -> Self {
        Self { client, remote, token, places: Arc::new(Semaphore::new(at_once.max(1))), versions }
    }

    fn headers(&self) -> Vec<(String, String)> {
        let token = self.token.iter().map(|token| ("x-amz-security-token".to_owned(), token.expose().to_owned()));
        token.collect()
    }

    async fn get(&self, method: Method, place: Place<'_>, query: &[(&str, &str)]) -> Result<Reply, Failure> {
        let _place = self.places.acquire().await;
        let ask = || Ask { method: method.clone(), place, query, headers: self.headers(), payload: Payload::Empty };
        match self.client.send(&self.remote, ask()).await {
            // The time there is known by now.
            Err(failure) if failure.code() == "RequestTimeTooSkewed" => self.client.send(&self.remote, ask()).await,
            answered => answered,
        }
    }

    /// Names of all buckets.
    pub async fn buckets(&self) -> Result<Vec<String>, Failure> {
        let (mut names, mut after) = (Vec::new(), None::<String>);
        loop {
            let query: Query<'_> = after.iter().map(|after| ("continuation-token", after.as_str())).collect();
            let reply = self.get(Method::GET, Place::Route("/"), &query).await?;
            let page = documents::buckets(&reply.body).map_err(nonsense)?;
            names.extend(page.entries);
            match page.next {
                Some(next) if after.as_ref() != Some(&next) => after = Some(next),
                _ => return Ok(names),
            }
        }
    }

    /// What is configured of a bucket. What the caller may not read, or the server does not know, is taken for nothing.
    pub async fn settings(&self, bucket: &Bucket) -> Result<Settings, Failure> {
        let status = self.versioning(bucket).await?;
        let mut settings = Settings {
            versioning: match status.as_deref() {
                Some("Enabled") => Versioning::Enabled,
                Some("Suspended") => Versioning::Suspended,
                _ => Versioning::Off,
            },
            ..Settings::default()
        };
        if let Some(text) = self.document(bucket, "object-lock").await?.filter(|_| self.versions) {
            settings.object_lock = text.contains("<ObjectLockEnabled>Enabled<");
            settings.documents.push(Document { resource: "object-lock", text });
        }
        // A part of a bucket is not the bucket.
        if bucket.prefix.is_empty() {
            for resource in CARRIED {
                let found = self.document(bucket, resource).await?;
                settings.documents.extend(found.map(|text| Document { resource, text }));
            }
        }
        Ok(settings)
    }

    async fn document(&self, bucket: &Bucket, resource: &str) -> Result<Option<String>, Failure> {
        match self.get(Method::GET, Place::Bucket(&bucket.name), &[(resource, "")]).await {
            Ok(reply) => {
                let text = String::from_utf8(reply.body.to_vec()).unwrap_or_default();
                // Some services answer with a listing to what they do not know.
                Ok(Some(text).filter(|text| !text.is_empty() && !text.contains("<ListBucketResult")))
            }
            Err(Failure::Refused { status, .. }) if status < 500 || status == 501 => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Lists a bucket, key by key.
    pub async fn list(&self, bucket: &Bucket, to: &mpsc::Sender<Listed>) -> Result<(), Failure> {
        match self.versioning(bucket).await?.is_some() {
            true => self.list_versions(bucket, to).await,
            false => self.list_objects(bucket, to).await,
        }
    }

    /// Whether versions are kept, where they are wanted: `Enabled`, `Suspended`, or none. A server that does not know has none.
    async fn versioning(&self, bucket: &Bucket) -> Result<Option<String>, Failure> {
        match self.get(Method::GET, Place::Bucket(&bucket.name), &[("versioning", "")]).await {
            Ok(reply) => Ok(documents::versioning(&reply.body).map_err(nonsense)?.filter(|_| self.versions)),
            Err(failure) if matches!(failure.status(), 405 | 501) => Ok(None),
            Err(failure) if failure.status() == 403 && !self.versions => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    async fn list_objects(&self, bucket: &Bucket, to: &mpsc::Sender<Listed>) -> Result<(), Failure> {
        let mut after = None::<String>;
        loop {
            let mut query = vec![("list-type", "2"), ("encoding-type", "url"), ("max-keys", PAGE)];
            if !bucket.prefix.is_empty() {
                query.push(("prefix", &bucket.prefix));
            }
            query.extend(after.as_deref().map(|after| ("continuation-token", after)));
            let reply = self.get(Method::GET, Place::Bucket(&bucket.name), &query).await?;
            let Page { entries, next } = documents::objects(&reply.body).map_err(nonsense)?;
            for listed in entries {
                let key = listed.key.clone();
                if !send(to, key, vec![version(listed, false)]).await {
                    return Ok(());
                }
            }
            match next {
                // Each page must lead on, or it would never end.
                Some(next) if after.as_ref() != Some(&next) => after = Some(next),
                _ => return Ok(()),
            }
        }
    }

    async fn list_versions(&self, bucket: &Bucket, to: &mpsc::Sender<Listed>) -> Result<(), Failure> {
        let mut after = None::<(String, String)>;
        // Of a key all versions are wanted together, and some servers list delete markers behind the versions of a page.
        let mut waiting: BTreeMap<String, Vec<(bool, Version)>> = BTreeMap::new();
        loop {
            let mut query = vec![("versions", ""), ("encoding-type", "url"), ("max-keys", PAGE)];
            if !bucket.prefix.is_empty() {
                query.push(("prefix", &bucket.prefix));
            }
            if let Some((key, id)) = &after {
                query.push(("key-marker", key));
                if !id.is_empty() {
                    query.push(("version-id-marker", id));
                }
            }
            let reply = self.get(Method::GET, Place::Bucket(&bucket.name), &query).await?;
            let Page { entries, next } = documents::versions(&reply.body).map_err(nonsense)?;
            for listed in entries {
                let (key, is_latest) = (listed.key.clone(), listed.is_latest);
                let of_key = waiting.entry(key.clone()).or_default();
                if of_key.len() < VERSIONS_MAX {
                    of_key.push((is_latest, version(listed, true)));
                } else if !left_out(to, bucket, &key, &format!("more than {VERSIONS_MAX} versions")).await {
                    return Ok(());
                }
            }
            let goes_on = next.as_ref().filter(|next| after.as_ref() != Some(*next));
            let whole = match goes_on {
                Some((key, _)) => {
                    let rest = waiting.split_off(key);
                    std::mem::replace(&mut waiting, rest)
                }
                None => std::mem::take(&mut waiting),
            };
            for (key, mut versions) in whole {
                // Newest first, as listed; what is dated alike stays in its order.
                versions.reverse();
                versions.sort_by_key(|(is_latest, version)| (version.modified, *is_latest));
                if !send(to, key, versions.into_iter().map(|(_, version)| version).collect()).await {
                    return Ok(());
                }
            }
            match next {
                Some(next) if after.as_ref() != Some(&next) => after = Some(next),
                _ => return Ok(()),
            }
        }
    }

    /// Opens an object.
    pub async fn open(self: &Arc<Self>, bucket: &Bucket, key: &str, object: &RemoteObject) -> Result<Opened, Failure> {
        let content = RemoteContent {
            source: Arc::clone(self),
            bucket: bucket.name.clone(),
            key: key.to_owned(),
            object: object.clone(),
            whole: Mutex::new(None),
        };
        let (headers, size, parts) = match object.etag.rsplit_once('-').and_then(|(_, parts)| parts.parse::<u64>().ok())
        {
            Some(parts) if (1..=PARTS_MAX).contains(&parts) => self.open_parts(&content, parts).await?,
            _ => {
                let download = self.download(&content, None).await?;
                let size = size_of(&download)?;
                let headers = download.headers.iter().map(header).collect();
                *content.whole.lock().unwrap_or_else(PoisonError::into_inner) = Some((size, download.pieces));
                (headers, size, Vec::new())
            }
        };
        let mut its = described(&headers, &object.etag);
        let tags = self.tags(&content, &headers).await?;
        if !tags.is_empty() {
            its.headers.push(("x-amz-tagging".to_owned(), tagging(tags.iter())));
        }
        let Described { headers, digest, etag, lost } = its;
        Ok(Opened { headers, size, digest, etag, parts, sealed: false, lost, content: Content::Remote(content) })
    }

    /// An object that was assembled: what goes with it, its size, and the sizes of its parts.
    async fn open_parts(&self, content: &RemoteContent, parts: u64) -> Result<(Headers, u64, Vec<u64>), Failure> {
        let whole = self.head(content, &[]).await?;
        let size = length(&whole)?;
        let told = self.head(content, &[("partNumber", "1")]).await.ok();
        let first =
            told.filter(|told| told.header("x-amz-mp-parts-count").is_some()).map(|told| length(&told)).transpose()?;
        let of = |part: u64| part > 0 && size.div_ceil(part) == parts;
        let headers = whole.headers.iter().map(header).collect();
        // Servers that do not tell are believed to hold what common clients send: parts of whole mebibytes.
        let guessed = size.div_ceil(parts).div_ceil(1 << 20) << 20;
        let sizes = match first {
            Some(first) if of(first) => uniform(size, first),
            Some(_) => {
                let mut sizes = Vec::new();
                for number in 1..=parts {
                    let number = number.to_string();
                    sizes.push(length(&self.head(content, &[("partNumber", &number)]).await?)?);
                }
                sizes
            }
            None => uniform(size, guessed),
        };
        Ok((headers, size, sizes))
    }

    async fn head(&self, content: &RemoteContent, query: &[(&str, &str)]) -> Result<Reply, Failure> {
        let mut query = query.to_vec();
        query.extend(content.version());
        let _place = self.places.acquire().await;
        let mut headers = self.headers();
        headers.push(("x-amz-checksum-mode".to_owned(), "ENABLED".to_owned()));
        let place = Place::Key(&content.bucket, &content.key);
        self.client
            .send(&self.remote, Ask { method: Method::HEAD, place, query: &query, headers, payload: Payload::Empty })
            .await
    }

    async fn download(&self, content: &RemoteContent, range: Option<&Range<u64>>) -> Result<Download, Failure> {
        let query: Query<'_> = content.version().into_iter().collect();
        let mut headers = self.headers();
        match range {
            Some(range) => {
                headers.push(("range".to_owned(), format!("bytes={}-{}", range.start, range.end.saturating_sub(1))));
                // Parts of two objects are none.
                headers.push(("if-match".to_owned(), format!("\"{}\"", content.object.etag)));
            }
            None => headers.push(("x-amz-checksum-mode".to_owned(), "ENABLED".to_owned())),
        }
        let _place = self.places.acquire().await;
        let place = Place::Key(&content.bucket, &content.key);
        let ask = Ask { method: Method::GET, place, query: &query, headers, payload: Payload::Empty };
        let download = self.client.open(&self.remote, ask).await?;
        match range {
            Some(range) if size_of(&download)? != range.end - range.start => {
                Err(Failure::Nonsense("the source sends another range than was asked for".to_owned()))
            }
            _ => Ok(download),
        }
    }

    async fn tags(&self, content: &RemoteContent, headers: &Headers) -> Result<Vec<(String, String)>, Failure> {
        let counted = find(headers, "x-amz-tagging-count").is_some_and(|count| count.trim() != "0");
        if !counted {
            return Ok(Vec::new());
        }
        let mut query = vec![("tagging", "")];
        query.extend(content.version());
        let reply = self.get(Method::GET, Place::Key(&content.bucket, &content.key), &query).await?;
        documents::tags(&reply.body).map_err(nonsense)
    }
}

type Headers = Vec<(String, String)>;

/// A header as text; bytes that are not UTF-8 are read as ISO-8859-1.
fn header((name, value): (&impl AsRef<str>, &impl AsRef<[u8]>)) -> (String, String) {
    let text = match std::str::from_utf8(value.as_ref()) {
        Ok(text) => text.to_owned(),
        Err(_) => value.as_ref().iter().map(|&byte| char::from(byte)).collect(),
    };
    (name.as_ref().to_owned(), text)
}

fn find<'a>(headers: &'a Headers, name: &str) -> Option<&'a str> {
    headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
}

fn uniform(size: u64, part: u64) -> Vec<u64> {
    let count = size.div_ceil(part.max(1));
    (0..count).map(|number| part.min(size - number * part)).collect()
}

fn length(reply: &Reply) -> Result<u64, Failure> {
    parse_length(reply.header("content-length"))
}

fn size_of(download: &Download) -> Result<u64, Failure> {
    parse_length(download.header("content-length"))
}

fn parse_length(text: Option<&str>) -> Result<u64, Failure> {
    text.and_then(|text| text.parse().ok())
        .ok_or_else(|| Failure::Nonsense("the source does not tell a size".to_owned()))
}

fn nonsense(error: impl std::fmt::Display) -> Failure {
    Failure::Nonsense(format!("the source's answer makes no sense: {error}"))
}

fn version(listed: ListedObject, has_versions: bool) -> Version {
    let modified = Stamp(listed.last_modified.map_or(1, |modified| modified.0.max(1)));
    let name = Name::of(listed.version_id.as_deref());
    let what = match listed.is_marker {
        true => What::Marker,
        false => What::Remote(RemoteObject { version: listed.version_id.filter(|_| has_versions), etag: listed.etag }),
    };
    Version::new(name, modified, listed.size, what)
}

async fn send(to: &mpsc::Sender<Listed>, key: String, versions: Vec<Version>) -> bool {
    let mut entry = Entry { key, versions };
    entry.settle();
    to.send(Listed::Entry(entry)).await.is_ok()
}

async fn left_out(to: &mpsc::Sender<Listed>, bucket: &Bucket, key: &str, reason: &str) -> bool {
    to.send(Listed::LeftOut(bucket.place(key), reason.to_owned())).await.is_ok()
}

/// What the headers of an object say of it.
#[derive(Debug, PartialEq)]
struct Described {
    headers: Headers,
    digest: Option<(String, String)>,
    etag: Option<String>,
    lost: Vec<String>,
}

fn described(headers: &Headers, etag: &str) -> Described {
    let mut taken: Headers = headers
        .iter()
        .filter(|(name, _)| HEADERS.contains(&name.as_str()) || name.starts_with("x-amz-meta-"))
        .filter(|(_, value)| !value.is_empty())
        .cloned()
        .collect();
    let mut lost = Vec::new();
    let until = "x-amz-object-lock-retain-until-date";
    taken.extend(find(headers, until).map(|date| (until.to_owned(), date.to_owned())));
    // OFF is what holds without it.
    taken.retain(|(name, value)| name != "x-amz-object-lock-legal-hold" || value == "ON");
    match find(headers, "x-amz-storage-class") {
        None | Some("STANDARD") => {}
        Some(class) if STORAGE_CLASSES.contains(&class) => {
            taken.push(("x-amz-storage-class".to_owned(), class.to_owned()));
        }
        Some(class) => lost.push(format!("its storage class {class} is none that S3 knows")),
    }
    if let Some(missing) = find(headers, "x-amz-missing-meta") {
        lost.push(format!("{missing} names of its metadata are none that a header can have"));
    }
    // Under a KMS key the ETag is no digest of the bytes (S3 API Reference, Object, ETag).
    let is_digest = find(headers, "x-amz-server-side-encryption").is_none_or(|method| method == "AES256");
    if !is_digest {
        lost.push("it was encrypted under a KMS key: here it is encrypted only if its bucket has it so".to_owned());
    }
    let of_whole = find(headers, "x-amz-checksum-type").is_none_or(|kind| kind == "FULL_OBJECT");
    let is_assembled = etag.contains('-');
    let checksum = || {
        let found = CHECKSUMS.iter().find_map(|name| Some(((*name).to_owned(), find(headers, name)?.to_owned())));
        found.filter(|(_, value)| of_whole && !is_assembled && !value.contains('-'))
    };
    let digest = checksum().or_else(|| md5_header(etag).filter(|_| is_digest));
    Described { headers: taken, digest, etag: is_digest.then(|| etag.to_owned()), lost }
}

/// The bytes of an object there.
pub struct RemoteContent {
    source: Arc<RemoteSource>,
    bucket: String,
    key: String,
    object: RemoteObject,
    /// What came with its head.
    whole: Mutex<Option<(u64, Pieces)>>,
}

impl RemoteContent {
    fn version(&self) -> Option<(&str, &str)> {
        self.object.version.as_deref().map(|version| ("versionId", version))
    }

    /// Some of the bytes.
    pub async fn read(&self, range: Range<u64>) -> Result<Pieces, Failure> {
        let whole = self.whole.lock().unwrap_or_else(PoisonError::into_inner).take();
        match whole {
            Some((size, pieces)) if range == (0..size) => Ok(pieces),
            _ => Ok(self.source.download(self, Some(&range)).await?.pieces),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(headers: &[(&str, &str)], etag: &str) -> Described {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        described(&headers, etag)
    }

    const MD5: &str = "900150983cd24fb0d6963f7d28e17f72";

    #[test]
    fn what_is_taken_over() {
        let found = of(
            &[
                ("content-type", "text/x"),
                ("server", "x"),
                ("x-amz-meta-a", "1"),
                ("x-amz-object-lock-legal-hold", "OFF"),
                ("x-amz-storage-class", "STANDARD_IA"),
                ("x-amz-server-side-encryption", "AES256"),
            ],
            MD5,
        );
        let names: Vec<_> = found.headers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["content-type", "x-amz-meta-a", "x-amz-storage-class"]);
        assert_eq!(found.digest.unwrap().0, "content-md5");
        assert_eq!(of(&[("x-amz-storage-class", "COLD")], MD5).lost.len(), 1);
    }

    #[test]
    fn what_verifies_the_bytes() {
        let name = |headers: &[(&str, &str)], etag| of(headers, etag).digest.map(|(name, _)| name);
        let kms = ("x-amz-server-side-encryption", "aws:kms");
        let crc = ("x-amz-checksum-crc32", "NSRBwg==");
        assert_eq!(name(&[], MD5).as_deref(), Some("content-md5"));
        assert_eq!(name(&[kms], MD5), None);
        assert_eq!(of(&[kms], MD5).etag, None);
        assert_eq!((of(&[kms], MD5).lost.len(), of(&[], MD5).lost.len()), (1, 0));
        assert_eq!(name(&[kms, crc], MD5).as_deref(), Some("x-amz-checksum-crc32"));
        assert_eq!(name(&[crc, ("x-amz-checksum-type", "COMPOSITE")], "x-2"), None);
        assert_eq!(name(&[crc], &format!("{MD5}-2")), None, "parts are verified one by one, and by the ETag");
    }

    #[test]
    fn parts_of_one_size() {
        assert_eq!(uniform(12, 5), [5, 5, 2]);
        assert_eq!(uniform(10, 5), [5, 5]);
        assert_eq!(uniform(0, 5), Vec::<u64>::new());
    }
}
