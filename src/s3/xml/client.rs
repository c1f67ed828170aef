//! XML of the S3 API as the node speaks it to others: the answers that it reads, and the documents that it sends.
//!
//! What other services add to their answers is passed over; what is needed and missing is an error.

use super::read::{self, Element, MalformedXml};
use super::write::XmlWriter;
use crate::s3::conditional::date_seconds;
use myfsio_actors::bucket_config::Retention;
use myfsio_actors::names::Stamp;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A refusal (S3 API Reference, "Error responses").
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Refusal {
    /// Its code; empty when it tells none.
    pub code: String,
    /// What it says.
    pub message: String,
}

/// Reads `Error`; empty when the body is none.
pub fn refusal(body: &[u8]) -> Refusal {
    let Ok(root) = read::parse(body, "Error") else { return Refusal::default() };
    Refusal { code: optional(&root, "Code").to_owned(), message: optional(&root, "Message").to_owned() }
}

/// Reads the upload id of `InitiateMultipartUploadResult`.
pub fn initiated(body: &[u8]) -> Result<String, MalformedXml> {
    let root = read::parse(body, "InitiateMultipartUploadResult")?;
    Ok(required(&root, "UploadId")?.to_owned())
}

/// What `CompleteMultipartUploadResult` tells of the object, or the refusal that came in a 200.
pub fn completed(body: &[u8]) -> Result<Result<String, Refusal>, MalformedXml> {
    match read::parse(body, "CompleteMultipartUploadResult") {
        Ok(root) => Ok(Ok(bare_etag(required(&root, "ETag")?).to_owned())),
        Err(error) => match read::parse(body, "Error") {
            Ok(_) => Ok(Err(refusal(body))),
            Err(_) => Err(error),
        },
    }
}

/// A part as `ListPartsResult` tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedPart {
    /// Its number.
    pub number: u16,
    /// Its ETag, bare.
    pub etag: String,
    /// Its size in bytes.
    pub size: u64,
}

/// A page of a listing, and where the next one begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T, M> {
    /// What is listed.
    pub entries: Vec<T>,
    /// What to ask for next; none at the end.
    pub next: Option<M>,
}

/// Reads `ListPartsResult`; the next page begins behind a part number.
pub fn parts(body: &[u8]) -> Result<Page<ListedPart, String>, MalformedXml> {
    let root = read::parse(body, "ListPartsResult")?;
    let entries: Result<Vec<_>, _> = named(&root, "Part")
        .map(|part| {
            Ok(ListedPart {
                number: number(required(part, "PartNumber")?)?,
                etag: bare_etag(required(part, "ETag")?).to_owned(),
                size: number(required(part, "Size")?)?,
            })
        })
        .collect();
    let next = is_truncated(&root).then(|| optional(&root, "NextPartNumberMarker").to_owned());
    Ok(Page { entries: entries?, next: next.filter(|next| !next.is_empty()) })
}

/// What a listing of versions tells a node of tags and lock, beside what S3 knows.
pub const BESIDE: &str = "Beside";

/// An object, a version or a delete marker, as listings tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedObject {
    /// Its key.
    pub key: String,
    /// Its version id; none in a listing of current objects.
    pub version_id: Option<String>,
    /// Whether it is a delete marker.
    pub is_marker: bool,
    /// Whether it is the current one.
    pub is_latest: bool,
    /// Its ETag, bare; empty for a delete marker.
    pub etag: String,
    /// Its size in bytes.
    pub size: u64,
    /// When it was written, where that is told.
    pub last_modified: Option<Stamp>,
    /// Digests of its tags and lock, as a node tells them to another.
    pub beside: Option<String>,
}

/// Reads `ListBucketResult` of ListObjectsV2 with `encoding-type=url`; the next page begins behind a token.
pub fn objects(body: &[u8]) -> Result<Page<ListedObject, String>, MalformedXml> {
    let root = read::parse(body, "ListBucketResult")?;
    let decode = key_decoder(&root);
    let entries: Result<Vec<_>, _> = named(&root, "Contents")
        .map(|object| {
            Ok(ListedObject {
                key: decode(required(object, "Key")?)?,
                version_id: None,
                is_marker: false,
                is_latest: true,
                etag: bare_etag(optional(object, "ETag")).to_owned(),
                size: number(required(object, "Size")?)?,
                last_modified: stamp(optional(object, "LastModified")),
                beside: None,
            })
        })
        .collect();
    let next = is_truncated(&root).then(|| optional(&root, "NextContinuationToken").to_owned());
    Ok(Page { entries: entries?, next: next.filter(|next| !next.is_empty()) })
}

/// Reads `ListVersionsResult` with `encoding-type=url`; the next page begins behind a key and a version of it.
pub fn versions(body: &[u8]) -> Result<Page<ListedObject, (String, String)>, MalformedXml> {
    let root = read::parse(body, "ListVersionsResult")?;
    let decode = key_decoder(&root);
    let of = |entry: &Element, is_marker: bool| {
        Ok(ListedObject {
            key: decode(required(entry, "Key")?)?,
            version_id: Some(required(entry, "VersionId")?.to_owned()),
            is_marker,
            is_latest: optional(entry, "IsLatest").trim() == "true",
            etag: bare_etag(optional(entry, "ETag")).to_owned(),
            size: match is_marker {
                true => 0,
                false => number(required(entry, "Size")?)?,
            },
            last_modified: stamp(optional(entry, "LastModified")),
            beside: Some(optional(entry, BESIDE).to_owned()).filter(|beside| !beside.is_empty()),
        })
    };
    // Versions and delete markers stand among each other, in the order of keys and then newest first.
    let entries: Result<Vec<_>, MalformedXml> = root
        .children
        .iter()
        .filter_map(|child| match child.name.as_str() {
            "Version" => Some(of(child, false)),
            "DeleteMarker" => Some(of(child, true)),
            _ => None,
        })
        .collect();
    let next = match is_truncated(&root) {
        true => {
            let key = decode(required(&root, "NextKeyMarker")?)?;
            Some((key, optional(&root, "NextVersionIdMarker").to_owned()))
        }
        false => None,
    };
    Ok(Page { entries: entries?, next })
}

/// Names of buckets as `ListAllMyBucketsResult` tells them; the next page begins behind a token.
pub fn buckets(body: &[u8]) -> Result<Page<String, String>, MalformedXml> {
    let root = read::parse(body, "ListAllMyBucketsResult")?;
    let listed = named(&root, "Buckets").flat_map(|list| named(list, "Bucket"));
    let entries: Result<Vec<_>, MalformedXml> = listed.map(|bucket| Ok(required(bucket, "Name")?.to_owned())).collect();
    let next = Some(optional(&root, "ContinuationToken").to_owned()).filter(|next| !next.is_empty());
    Ok(Page { entries: entries?, next })
}

/// Tags as `Tagging` tells them.
pub fn tags(body: &[u8]) -> Result<Vec<(String, String)>, MalformedXml> {
    let root = read::parse(body, "Tagging")?;
    let listed = named(&root, "TagSet").flat_map(|set| named(set, "Tag"));
    listed.map(|tag| Ok((required(tag, "Key")?.to_owned(), optional(tag, "Value").to_owned()))).collect()
}

/// An upload as `ListMultipartUploadsResult` tells it: its key and its id.
pub fn uploads(body: &[u8]) -> Result<Vec<(String, String)>, MalformedXml> {
    let root = read::parse(body, "ListMultipartUploadsResult")?;
    let decode = key_decoder(&root);
    named(&root, "Upload")
        .map(|upload| Ok((decode(required(upload, "Key")?)?, required(upload, "UploadId")?.to_owned())))
        .collect()
}

/// Writes `CompleteMultipartUpload` of part numbers and ETags.
pub fn write_complete<'a>(parts: impl Iterator<Item = (u16, &'a str)>) -> String {
    let mut document = XmlWriter::with_capacity("CompleteMultipartUpload", 4096);
    for (number, etag) in parts {
        document.open("Part").value("PartNumber", number).text("ETag", &format!("\"{etag}\"")).close();
    }
    document.finish()
}

/// Whether `VersioningConfiguration` says that versions are kept: `Enabled`, `Suspended`, or none.
pub fn versioning(body: &[u8]) -> Result<Option<String>, MalformedXml> {
    // Some services call the answer by its operation.
    let root =
        read::parse(body, "VersioningConfiguration").or_else(|_| read::parse(body, "GetBucketVersioningResponse"))?;
    Ok(Some(optional(&root, "Status").trim().to_owned()).filter(|status| !status.is_empty()))
}

/// Writes `Retention` as PutObjectRetention takes it.
pub fn write_retention_request(retention: Option<&Retention>) -> String {
    let mut document = XmlWriter::new("Retention");
    if let Some(retention) = retention {
        let until = super::object_lock::until_text(retention);
        document.text("Mode", super::object_lock::mode_name(retention.mode)).text("RetainUntilDate", &until);
    }
    document.finish()
}

/// The second that an ISO-8601 time of an answer names.
pub fn seconds(text: &str) -> Option<u64> {
    date_seconds(text.trim())
}

/// The time that an answer names (RFC 3339).
fn stamp(text: &str) -> Option<Stamp> {
    let time = OffsetDateTime::parse(text.trim(), &Rfc3339).ok()?;
    Some(Stamp(u64::try_from(time.unix_timestamp_nanos()).ok()?))
}

fn named<'a>(of: &'a Element, name: &'a str) -> impl Iterator<Item = &'a Element> {
    of.children.iter().filter(move |child| child.name == name)
}

fn optional<'a>(of: &'a Element, name: &str) -> &'a str {
    of.children.iter().find(|child| child.name == name).map(|child| child.text.as_str()).unwrap_or_default()
}

fn required<'a>(of: &'a Element, name: &str) -> Result<&'a str, MalformedXml> {
    let text = of.children.iter().find(|child| child.name == name).map(|child| child.text.as_str());
    text.filter(|text| !text.is_empty()).ok_or_else(|| MalformedXml::new(format!("{} without {name}", of.name)))
}

fn number<N: std::str::FromStr>(text: &str) -> Result<N, MalformedXml> {
    text.trim().parse().map_err(|_| MalformedXml::new(format!("{text} is no number")))
}

fn is_truncated(root: &Element) -> bool {
    optional(root, "IsTruncated").trim() == "true"
}

/// An ETag without its quotation marks.
fn bare_etag(text: &str) -> &str {
    let text = text.trim();
    text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text)
}

/// Keys are percent-encoded where the answer says so; a service that does not know `encoding-type` writes them as they are.
fn key_decoder(root: &Element) -> impl Fn(&str) -> Result<String, MalformedXml> + use<> {
    let is_encoded = optional(root, "EncodingType").trim().eq_ignore_ascii_case("url");
    move |text| match is_encoded {
        // Some write a space as `+`; a plus sign itself is always escaped.
        true => percent_encoding::percent_decode_str(&text.replace('+', " "))
            .decode_utf8()
            .map(|key| key.into_owned())
            .map_err(|_| MalformedXml::new("a key that is not UTF-8")),
        false => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals() {
        let body = b"<?xml version=\"1.0\"?><Error><Code>NoSuchBucket</Code><Message>None.</Message><X/></Error>";
        assert_eq!(refusal(body), Refusal { code: "NoSuchBucket".to_owned(), message: "None.".to_owned() });
        assert_eq!(refusal(b"<html>"), Refusal::default());
    }

    #[test]
    fn listings() {
        let page = objects(
            b"<ListBucketResult xmlns='x'><IsTruncated>true</IsTruncated><EncodingType>url</EncodingType>\
              <NextContinuationToken>t</NextContinuationToken><CommonPrefixes/>\
              <Contents><Key>a%2Bb+c</Key><LastModified>2026-01-01T00:00:00.250Z</LastModified><Size>3</Size><ETag>&quot;ab&quot;</ETag></Contents></ListBucketResult>",
        )
        .unwrap();
        assert_eq!(page.next.as_deref(), Some("t"));
        assert_eq!((page.entries[0].key.as_str(), page.entries[0].etag.as_str()), ("a+b c", "ab"));
        assert_eq!(page.entries[0].last_modified, Some(Stamp(1_767_225_600_250_000_000)));
        let page = versions(
            b"<ListVersionsResult><IsTruncated>false</IsTruncated>\
              <Version><Key>a+b</Key><VersionId>v</VersionId><IsLatest>true</IsLatest><Size>1</Size><ETag>e</ETag></Version>\
              <DeleteMarker><Key>c</Key><VersionId>null</VersionId><IsLatest>false</IsLatest></DeleteMarker></ListVersionsResult>",
        )
        .unwrap();
        assert_eq!(page.next, None);
        assert_eq!(
            page.entries.iter().map(|e| (e.key.as_str(), e.is_marker, e.is_latest)).collect::<Vec<_>>(),
            [("a+b", false, true), ("c", true, false)]
        );
        assert!(objects(b"<ListBucketResult><Contents><Key>a</Key></Contents></ListBucketResult>").is_err());
    }

    #[test]
    fn buckets_and_tags() {
        let page = buckets(
            b"<ListAllMyBucketsResult><Owner/><Buckets><Bucket><Name>a</Name></Bucket><Bucket><Name>b</Name></Bucket></Buckets>\
              <ContinuationToken>t</ContinuationToken></ListAllMyBucketsResult>",
        );
        assert_eq!(page.unwrap(), Page { entries: vec!["a".to_owned(), "b".to_owned()], next: Some("t".to_owned()) });
        let read = tags(b"<Tagging><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tagging>");
        assert_eq!(read.unwrap(), [("k".to_owned(), "v".to_owned())]);
    }

    #[test]
    fn uploads_and_parts() {
        assert_eq!(
            initiated(b"<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>")
                .unwrap(),
            "u"
        );
        let page = parts(
            b"<ListPartsResult><IsTruncated>true</IsTruncated><NextPartNumberMarker>2</NextPartNumberMarker>\
              <Part><PartNumber>2</PartNumber><ETag>\"x\"</ETag><Size>5</Size></Part></ListPartsResult>",
        )
        .unwrap();
        assert_eq!(
            page,
            Page { entries: vec![ListedPart { number: 2, etag: "x".to_owned(), size: 5 }], next: Some("2".to_owned()) }
        );
        let done = completed(b"<CompleteMultipartUploadResult><ETag>\"a-2\"</ETag></CompleteMultipartUploadResult>");
        assert_eq!(done.unwrap(), Ok("a-2".to_owned()));
        let refused = completed(b"<Error><Code>InternalError</Code></Error>").unwrap();
        assert_eq!(refused.unwrap_err().code, "InternalError");
        let document = write_complete([(1, "a"), (2, "b")].into_iter());
        let read = super::super::requests::complete_multipart_upload(document.as_bytes()).unwrap();
        assert_eq!(
            read.iter().map(|part| (part.number.get(), part.etag.as_str())).collect::<Vec<_>>(),
            [(1, "\"a\""), (2, "\"b\"")]
        );
    }

    #[test]
    fn versioning_states() {
        assert_eq!(versioning(b"<VersioningConfiguration/>").unwrap(), None);
        let enabled = versioning(b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>");
        assert_eq!(enabled.unwrap().as_deref(), Some("Enabled"));
        let other =
            versioning(b"<GetBucketVersioningResponse><Status>Suspended</Status></GetBucketVersioningResponse>");
        assert_eq!(other.unwrap().as_deref(), Some("Suspended"));
        assert!(versioning(b"<html/>").is_err());
    }
}
