//! Typed request documents: CreateBucketConfiguration, Delete, CompleteMultipartUpload, Tagging.
//!
//! Unknown elements are refused where S3 refuses them: a document that asks for something this server does not know must
//! not be half obeyed. What belongs to one entry only (a malformed version id, an ETag that cannot match) is left as text
//! for the handler, which answers it for that entry.

use myfsio_actors::names::{Checksum, ChecksumAlgorithm, PartNumber};

use super::read::{self, Element, MalformedXml};
use crate::s3::error::{ErrorCode, S3Error};

/// Most objects of a Delete request (S3 API Reference, DeleteObjects).
pub const DELETE_OBJECTS_MAX: usize = 1000;
/// Most parts of a Complete request.
pub const PARTS_MAX: usize = 10_000;
/// Largest CreateBucketConfiguration in bytes: all tags that a bucket may have fit, each character written as a reference.
pub const CREATE_BUCKET_BYTES_MAX: usize = 256 * 1024;
/// Largest Delete document in bytes: 1000 keys of 1024 bytes, each byte written as a reference, fit.
pub const DELETE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Largest CompleteMultipartUpload document in bytes.
pub const COMPLETE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// `CreateBucketConfiguration`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CreateBucketConfiguration {
    /// The region asked for; none when absent or empty.
    pub location_constraint: Option<String>,
    /// The bucket's tags, in their order; their number and characters are the caller's business.
    pub tags: Vec<(String, String)>,
}

/// Reads `CreateBucketConfiguration`. Errs: MalformedXML; NotImplemented for directory buckets.
pub fn create_bucket_configuration(body: &[u8]) -> Result<CreateBucketConfiguration, S3Error> {
    let root = read::parse(body, "CreateBucketConfiguration")?;
    let mut configuration = CreateBucketConfiguration::default();
    for child in root.fields()? {
        match child.name.as_str() {
            "LocationConstraint" => {
                let region = child.leaf()?.trim();
                configuration.location_constraint = (!region.is_empty()).then(|| region.to_owned());
            }
            "Tags" => configuration.tags = child.branch()?.iter().map(tag).collect::<Result<_, _>>()?,
            "Location" | "Bucket" => {
                let message = format!("{} in CreateBucketConfiguration is not implemented.", child.name);
                return Err(S3Error::with_message(ErrorCode::NotImplemented, message));
            }
            _ => return Err(child.unexpected().into()),
        }
    }
    Ok(configuration)
}

/// `Delete`: the request of DeleteObjects.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Delete {
    /// Answer errors only.
    pub quiet: bool,
    /// What to delete, 1 to 1000.
    pub objects: Vec<ObjectIdentifier>,
}

/// One object of a `Delete`, as written by the client.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ObjectIdentifier {
    /// The key; never empty.
    pub key: String,
    /// The version to delete for good.
    pub version_id: Option<String>,
    /// Delete only if the ETag is this one (or `*`).
    pub etag: Option<String>,
    /// Delete only if the last-modified time is this one, as HTTP or ISO-8601 date.
    pub last_modified_time: Option<String>,
    /// Delete only if the size in bytes is this one.
    pub size: Option<u64>,
}

/// Reads `Delete`. Errs: MalformedXML, also for no objects or more than 1000.
pub fn delete(body: &[u8]) -> Result<Delete, MalformedXml> {
    let root = read::parse(body, "Delete")?;
    let mut delete = Delete::default();
    for child in root.branch()? {
        match child.name.as_str() {
            "Quiet" => delete.quiet = boolean(child)?,
            "Object" if delete.objects.len() >= DELETE_OBJECTS_MAX => {
                return Err(MalformedXml::new("more than 1000 objects"));
            }
            "Object" => delete.objects.push(object_identifier(child)?),
            _ => return Err(child.unexpected()),
        }
    }
    if delete.objects.is_empty() { Err(MalformedXml::new("no objects")) } else { Ok(delete) }
}

fn object_identifier(element: &Element) -> Result<ObjectIdentifier, MalformedXml> {
    let mut object = ObjectIdentifier::default();
    for child in element.fields()? {
        let text = child.leaf()?;
        match child.name.as_str() {
            "Key" => object.key = text.to_owned(),
            "VersionId" => object.version_id = Some(text.to_owned()),
            "ETag" => object.etag = Some(text.to_owned()),
            "LastModifiedTime" => object.last_modified_time = Some(text.trim().to_owned()),
            "Size" => object.size = Some(number(child)?),
            _ => return Err(child.unexpected()),
        }
    }
    if object.key.is_empty() { Err(MalformedXml::new("an object without key")) } else { Ok(object) }
}

/// One part of `CompleteMultipartUpload`, as written by the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestedPart {
    /// Which part.
    pub number: PartNumber,
    /// The ETag, as written.
    pub etag: String,
    /// Checksums with their algorithm, base64 as written.
    pub checksums: Vec<(ChecksumAlgorithm, String)>,
}

/// A checksum that is no value of its algorithm, and so can match no part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MalformedChecksum;

impl RequestedPart {
    /// The part's checksum of the preferred algorithm if it was written, else of whichever was. Errs: MalformedChecksum.
    pub fn checksum(&self, preferred: Option<ChecksumAlgorithm>) -> Result<Option<Checksum>, MalformedChecksum> {
        let of_preferred = self.checksums.iter().find(|(algorithm, _)| Some(*algorithm) == preferred);
        match of_preferred.or_else(|| self.checksums.first()) {
            None => Ok(None),
            Some((algorithm, text)) => {
                Checksum::parse_base64(*algorithm, text.trim()).map(Some).ok_or(MalformedChecksum)
            }
        }
    }
}

/// Reads `CompleteMultipartUpload`. Errs: MalformedXML, also for no parts; InvalidArgument for a part number out of
/// range.
pub fn complete_multipart_upload(body: &[u8]) -> Result<Vec<RequestedPart>, S3Error> {
    let root = read::parse(body, "CompleteMultipartUpload")?;
    let mut parts = Vec::with_capacity(root.children.len().min(PARTS_MAX));
    for child in root.branch()? {
        match child.name.as_str() {
            "Part" if parts.len() >= PARTS_MAX => return Err(MalformedXml::new("more than 10000 parts").into()),
            "Part" => parts.push(requested_part(child)?),
            _ => return Err(child.unexpected().into()),
        }
    }
    if parts.is_empty() { Err(MalformedXml::new("no parts").into()) } else { Ok(parts) }
}

fn requested_part(element: &Element) -> Result<RequestedPart, S3Error> {
    let (mut part_number, mut etag, mut checksums) = (None, None, Vec::new());
    for child in element.fields()? {
        let text = child.leaf()?;
        let checksum = child.name.strip_prefix("Checksum").and_then(|name| {
            // The names of elements are upper case: no other spelling is one.
            ChecksumAlgorithm::ALL.into_iter().find(|algorithm| algorithm.name() == name)
        });
        match (child.name.as_str(), checksum) {
            ("PartNumber", _) => part_number = Some(number(child)?),
            ("ETag", _) => etag = Some(text.to_owned()),
            (_, Some(algorithm)) => checksums.push((algorithm, text.to_owned())),
            _ => return Err(child.unexpected().into()),
        }
    }
    let (Some(part_number), Some(etag)) = (part_number, etag) else {
        return Err(MalformedXml::new("a part without PartNumber or ETag").into());
    };
    let number = u32::try_from(part_number).ok().and_then(|n| PartNumber::new(n).ok()).ok_or_else(|| {
        let message = "Part number must be an integer between 1 and 10000, inclusive";
        S3Error::invalid_argument("PartNumber", &part_number.to_string(), message)
    })?;
    Ok(RequestedPart { number, etag, checksums })
}

/// Reads `Tagging`: keys and values in their order; their number and characters are the caller's business. Errs:
/// MalformedXML.
pub fn tagging(body: &[u8]) -> Result<Vec<(String, String)>, MalformedXml> {
    let root = read::parse(body, "Tagging")?;
    let [tag_set] = root.branch()? else { return Err(MalformedXml::new("not one TagSet")) };
    if tag_set.name != "TagSet" {
        return Err(tag_set.unexpected());
    }
    tag_set.branch()?.iter().map(tag).collect()
}

/// One `Tag`. Errs: MalformedXML.
pub fn tag(element: &Element) -> Result<(String, String), MalformedXml> {
    let (mut key, mut value) = (None, None);
    for child in element.branch()? {
        match (element.name.as_str(), child.name.as_str()) {
            ("Tag", "Key") if key.is_none() => key = Some(child.leaf()?.to_owned()),
            ("Tag", "Value") if value.is_none() => value = Some(child.leaf()?.to_owned()),
            _ => return Err(child.unexpected()),
        }
    }
    key.zip(value).ok_or_else(|| MalformedXml::new("a tag without Key or Value"))
}

/// `xsd:boolean`, in any letter case as S3 takes it.
pub(super) fn boolean(element: &Element) -> Result<bool, MalformedXml> {
    match element.leaf()?.trim() {
        "1" => Ok(true),
        "0" => Ok(false),
        text if text.eq_ignore_ascii_case("true") => Ok(true),
        text if text.eq_ignore_ascii_case("false") => Ok(false),
        _ => Err(MalformedXml::new(format!("{} is no boolean", element.name))),
    }
}

/// A whole number that is not negative. Errs: MalformedXML.
pub fn number(element: &Element) -> Result<u64, MalformedXml> {
    let text = element.leaf()?.trim();
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match text.parse() {
        Ok(number) if digits => Ok(number),
        _ => Err(MalformedXml::new(format!("{} is no number", element.name))),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::write::XmlWriter;
    use super::*;

    #[test]
    fn location_constraints() {
        let read = |body: &str| create_bucket_configuration(body.as_bytes());
        let body = "<CreateBucketConfiguration><LocationConstraint> eu-west-1\n</LocationConstraint></CreateBucketConfiguration>";
        assert_eq!(read(body).unwrap().location_constraint.as_deref(), Some("eu-west-1"));
        assert_eq!(read("<CreateBucketConfiguration/>").unwrap().location_constraint, None);
        let body =
            "<CreateBucketConfiguration><Location><Type>AvailabilityZone</Type></Location></CreateBucketConfiguration>";
        assert_eq!(read(body).unwrap_err().code(), ErrorCode::NotImplemented);
        let region = "<LocationConstraint>eu-west-1</LocationConstraint>";
        for inside in
            ["<Other/>", &region.repeat(2), "<Tags><Tag><Key>a</Key></Tag></Tags>", "<Tags><Key>a</Key></Tags>"]
        {
            let body = format!("<CreateBucketConfiguration>{inside}</CreateBucketConfiguration>");
            assert_eq!(read(&body).unwrap_err().code(), ErrorCode::MalformedXML, "{inside}");
        }
    }

    #[test]
    fn tags_of_new_buckets() {
        let tag = |key: &str| format!("<Tag><Key>{key}</Key><Value>v</Value></Tag>");
        let body =
            format!("<CreateBucketConfiguration><Tags>{}{}</Tags></CreateBucketConfiguration>", tag("b"), tag("a"));
        let tags = create_bucket_configuration(body.as_bytes()).unwrap().tags;
        assert_eq!(tags, ["b", "a"].map(|key| (key.to_owned(), "v".to_owned())));
    }

    #[test]
    fn delete_documents() {
        let read = |body: &str| delete(body.as_bytes());
        let parsed = read(
            "<?xml version=\"1.0\"?>\n<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\n <Quiet>true</Quiet>\n \
             <Object><Key> a&amp;b </Key><VersionId>null</VersionId><ETag>&quot;x&quot;</ETag><Size>3</Size></Object>\n\
             </Delete>",
        )
        .unwrap();
        assert!(parsed.quiet);
        let object = parsed.objects.first().unwrap();
        assert_eq!((object.key.as_str(), object.version_id.as_deref()), (" a&b ", Some("null")));
        assert_eq!((object.etag.as_deref(), object.size), (Some("\"x\""), Some(3)));
        for bad in [
            "<Delete/>",
            "<Delete><Quiet>true</Quiet></Delete>",
            "<Delete><Object><Key></Key></Object></Delete>",
            "<Delete><Object/></Delete>",
            "<Delete><Object><Key>a<b/></Key></Object></Delete>",
            "<Delete><Object>x<Key>a</Key></Object></Delete>",
            "<Delete><Object><Key>a</Key><Size>-1</Size></Object></Delete>",
            "<Delete><Object><Key>a</Key><Other/></Object></Delete>",
            "<Delete><Quiet>maybe</Quiet><Object><Key>a</Key></Object></Delete>",
            "<DeleteResult><Object><Key>a</Key></Object></DeleteResult>",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
        let many = |n: usize| format!("<Delete>{}</Delete>", "<Object><Key>a</Key></Object>".repeat(n));
        assert_eq!(read(&many(1000)).unwrap().objects.len(), 1000);
        assert!(read(&many(1001)).is_err());
    }

    #[test]
    fn complete_documents() {
        let read = |body: &str| complete_multipart_upload(body.as_bytes());
        let parts = read(
            "<CompleteMultipartUpload><Part><ETag>&#34;a&quot;</ETag><PartNumber> 2 </PartNumber>\
             <ChecksumCRC32>AAAAAA==</ChecksumCRC32></Part></CompleteMultipartUpload>",
        )
        .unwrap();
        let part = parts.first().unwrap();
        assert_eq!((part.number.get(), part.etag.as_str()), (2, "\"a\""));
        assert!(part.checksum(None).unwrap().is_some());
        let refusal = |body: &str| read(body).unwrap_err().code();
        for bad in [
            "<CompleteMultipartUpload/>",
            "",
            "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber></Part></CompleteMultipartUpload>",
            "<CompleteMultipartUpload><Part><ETag>a</ETag></Part></CompleteMultipartUpload>",
            "<CompleteMultipartUpload><Part><ETag>a</ETag><PartNumber>x</PartNumber></Part></CompleteMultipartUpload>",
            "<CompleteMultipartUpload><Part><ETag>a</ETag><PartNumber>1</PartNumber><X/></Part></CompleteMultipartUpload>",
        ] {
            assert_eq!(refusal(bad), ErrorCode::MalformedXML, "{bad}");
        }
        for bad in ["0", "10001", "4294967297"] {
            let body = format!(
                "<CompleteMultipartUpload><Part><ETag>a</ETag><PartNumber>{bad}</PartNumber></Part></CompleteMultipartUpload>"
            );
            assert_eq!(refusal(&body), ErrorCode::InvalidArgument, "{bad}");
        }
    }

    #[test]
    fn tagging_documents() {
        let read = |tags: &str| tagging(format!("<Tagging>\n <TagSet>{tags}</TagSet>\n</Tagging>").as_bytes());
        assert_eq!(read("").unwrap(), []);
        let tags = read("<Tag><Key>a</Key><Value/></Tag>\n<Tag><Value>2</Value><Key>b</Key></Tag>").unwrap();
        assert_eq!(tags, [("a".to_owned(), String::new()), ("b".to_owned(), "2".to_owned())]);
        for bad in ["<Tag/>", "<Tag><Key>a</Key></Tag>", "<Tog><Key>a</Key><Value/></Tog>", "x"] {
            assert!(read(bad).is_err(), "{bad}");
        }
        assert!(tagging(b"<Tagging/>").is_err());
    }

    #[test]
    fn checksums_of_a_part() {
        let part = |checksums: &[(ChecksumAlgorithm, &str)]| RequestedPart {
            number: PartNumber::new(1).unwrap(),
            etag: String::new(),
            checksums: checksums.iter().map(|(a, t)| (*a, (*t).to_owned())).collect(),
        };
        let both = part(&[(ChecksumAlgorithm::Crc32, "AAAAAA=="), (ChecksumAlgorithm::Crc64Nvme, "AAAAAAAAAAA=")]);
        let algorithm = |preferred| both.checksum(preferred).unwrap().unwrap().algorithm();
        assert_eq!(algorithm(Some(ChecksumAlgorithm::Crc64Nvme)), ChecksumAlgorithm::Crc64Nvme);
        assert_eq!(algorithm(None), ChecksumAlgorithm::Crc32);
        assert_eq!(part(&[]).checksum(None), Ok(None));
        assert_eq!(part(&[(ChecksumAlgorithm::Sha1, "AA==")]).checksum(None), Err(MalformedChecksum));
    }

    proptest! {
        #[test]
        fn delete_round_trips(
            quiet: bool,
            objects in proptest::collection::vec(("(?s).{1,20}", proptest::option::of("(?s).{0,9}"), proptest::option::of(any::<u64>())), 1..9),
        ) {
            let mut xml = XmlWriter::new("Delete");
            xml.value("Quiet", quiet);
            for (key, version, size) in &objects {
                xml.open("Object").text("Key", key).text_if("VersionId", version.as_deref());
                if let Some(size) = size {
                    xml.value("Size", size);
                }
                xml.close();
            }
            let read = delete(xml.finish().as_bytes()).unwrap();
            prop_assert_eq!(read.quiet, quiet);
            let back: Vec<_> = read.objects.into_iter().map(|o| (o.key, o.version_id, o.size)).collect();
            prop_assert_eq!(back, objects);
        }

        #[test]
        fn complete_round_trips(parts in proptest::collection::vec((1u32..=10_000, "[\"a-f0-9-]{0,40}"), 1..9)) {
            let mut xml = XmlWriter::new("CompleteMultipartUpload");
            for (number, etag) in &parts {
                xml.open("Part").value("PartNumber", number).text("ETag", etag).close();
            }
            let read = complete_multipart_upload(xml.finish().as_bytes()).unwrap();
            let back: Vec<_> = read.into_iter().map(|p| (u32::from(p.number.get()), p.etag)).collect();
            prop_assert_eq!(back, parts);
        }

        #[test]
        fn never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = create_bucket_configuration(&bytes);
            let _ = delete(&bytes);
            let _ = complete_multipart_upload(&bytes);
            let _ = tagging(&bytes);
        }
    }
}
