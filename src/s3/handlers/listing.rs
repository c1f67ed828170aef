//! What all listings share: limits, `encoding-type`, common prefixes, owners, and how an object's checksum is told.

use myfsio_actors::names::{CanonicalId, Checksum, ChecksumAlgorithm, ChecksumKind};
use myfsio_actors::storage::Object;

use super::object_copy::checksum_element;
use super::object_put::told_checksum;
use crate::s3::context::Call;
use crate::s3::error::S3Error;
use crate::s3::query::Query;
use crate::s3::xml::XmlWriter;

/// Most entries of one page (S3 API Reference, `max-keys`, `max-uploads`, `max-parts`).
pub const PAGE_ENTRIES_MAX: usize = 1000;

/// A limit such as `max-keys`: absent or empty means 1000, and so does more. Errs: InvalidArgument.
pub fn page_limit(query: &Query, name: &'static str) -> Result<usize, S3Error> {
    let Some(text) = query.get_filled(name) else { return Ok(PAGE_ENTRIES_MAX) };
    limit_of(name, text)
}

/// The same from a header's text.
pub fn limit_of(name: &'static str, text: &str) -> Result<usize, S3Error> {
    match number(text) {
        Some(limit) => Ok(usize::try_from(limit).unwrap_or(PAGE_ENTRIES_MAX).min(PAGE_ENTRIES_MAX)),
        None => {
            let message = format!("Argument {name} must be an integer between 0 and 2147483647");
            Err(S3Error::invalid_argument(name, text, message))
        }
    }
}

/// Decimal digits up to 2^31-1; no sign, no spaces.
pub fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.parse::<u32>().ok().filter(|n| digits && *n <= 0x7fff_ffff)
}

/// What a listing asks for beside its markers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// Only keys that begin with this; may be empty.
    pub prefix: String,
    /// Any non-empty text; an empty one counts as absent.
    pub delimiter: Option<String>,
    /// `encoding-type=url`.
    pub url: bool,
    /// Most entries and common prefixes together.
    pub limit: usize,
}

impl Selection {
    /// Reads `prefix`, `delimiter`, `encoding-type` and the limit called `limit_name`. Errs: InvalidArgument.
    pub fn parse(query: &Query, limit_name: &'static str) -> Result<Self, S3Error> {
        let url = match query.get("encoding-type") {
            None => false,
            Some("url") => true,
            Some(other) => {
                let message = "Invalid Encoding Method specified in Request";
                return Err(S3Error::invalid_argument("encoding-type", other, message));
            }
        };
        Ok(Self {
            prefix: query.get("prefix").unwrap_or_default().to_owned(),
            delimiter: query.get_filled("delimiter").map(str::to_owned),
            url,
            limit: page_limit(query, limit_name)?,
        })
    }

    /// Writes `Delimiter` and `EncodingType`, if asked for.
    pub fn write_delimiter(&self, xml: &mut XmlWriter) {
        if let Some(delimiter) = &self.delimiter {
            xml.key("Delimiter", delimiter, self.url);
        }
        if self.url {
            xml.value("EncodingType", "url");
        }
    }

    /// Writes one `CommonPrefixes` element for each prefix.
    pub fn write_common_prefixes(&self, xml: &mut XmlWriter, prefixes: &[String]) {
        for prefix in prefixes {
            xml.open("CommonPrefixes").key("Prefix", prefix, self.url).close();
        }
    }

    /// Whether `marker` is a whole common prefix of this listing, so that it stands for all keys below it.
    pub fn is_common_prefix(&self, marker: &str) -> bool {
        let below = marker.strip_prefix(&self.prefix);
        match (&self.delimiter, below) {
            (Some(delimiter), Some(below)) => {
                below.split_once(delimiter.as_str()).is_some_and(|(_, behind)| behind.is_empty())
            }
            _ => false,
        }
    }
}

/// Owners of one page: names are looked up once for each run of the same owner.
#[derive(Debug)]
pub struct Owners<'a> {
    call: &'a Call,
    last: Option<(CanonicalId, String)>,
}

impl<'a> Owners<'a> {
    /// No owner known yet.
    pub fn new(call: &'a Call) -> Self {
        Self { call, last: None }
    }

    /// Writes `<Owner>`, who is the bucket's where it owns every object.
    pub fn write_owner(&mut self, xml: &mut XmlWriter, owner: &CanonicalId) {
        let bucket = self.call.bucket.as_deref();
        self.write(xml, "Owner", bucket.map_or(owner, |bucket| bucket.owner_of(owner)));
    }

    /// Writes canonical id and display name of a user.
    pub fn write(&mut self, xml: &mut XmlWriter, element: &'static str, owner: &CanonicalId) {
        if self.last.as_ref().is_none_or(|(id, _)| id != owner) {
            self.last = Some((owner.clone(), self.call.owner_name(owner)));
        }
        xml.open(element).value("ID", owner);
        if let Some((_, name)) = &self.last {
            xml.text("DisplayName", name);
        }
        xml.close();
    }
}

/// Writes the value and type of the checksum that S3 tells of an object.
pub fn write_checksum(xml: &mut XmlWriter, object: &Object) {
    let (told, kind) = told_checksum(object);
    let algorithm = object.checksum.map_or(ChecksumAlgorithm::Crc64Nvme, |checksum| checksum.value.algorithm());
    if let Some((_, value)) = told {
        xml.text(checksum_element(algorithm), &value).value("ChecksumType", kind.name());
    }
}

/// Writes a part's checksum, if it has one.
pub fn write_part_checksum(xml: &mut XmlWriter, checksum: Option<Checksum>) {
    if let Some(checksum) = checksum {
        xml.value(checksum_element(checksum.algorithm()), checksum);
    }
}

/// Writes what every listed object has: time, ETag, checksum algorithm and type, and size.
pub fn write_object(xml: &mut XmlWriter, object: &Object) {
    xml.time("LastModified", object.modified()).etag(object.etag);
    let (algorithm, kind) = match object.checksum {
        Some(checksum) => (checksum.value.algorithm(), checksum.kind),
        None => (ChecksumAlgorithm::Crc64Nvme, ChecksumKind::FullObject),
    };
    xml.value("ChecksumAlgorithm", algorithm.name()).value("ChecksumType", kind.name()).value("Size", object.size);
}

/// The storage class of an object or upload as listings tell it.
pub fn storage_class(class: Option<&str>) -> &str {
    class.unwrap_or("STANDARD")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selection(query: &str) -> Result<Selection, S3Error> {
        Selection::parse(&Query::parse(query).unwrap(), "max-keys")
    }

    #[test]
    fn limits_are_clamped_and_junk_is_refused() {
        let limit = |query: &str| selection(query).map(|s| s.limit).map_err(|e| e.code().name());
        assert_eq!(limit(""), Ok(1000));
        assert_eq!(limit("max-keys="), Ok(1000));
        assert_eq!(limit("max-keys=0"), Ok(0));
        assert_eq!(limit("max-keys=2147483647"), Ok(1000));
        for bad in ["-1", "blah", "1.5", "2147483648", "99999999999999999999", "%2B1", "+1"] {
            assert_eq!(limit(&format!("max-keys={bad}")), Err("InvalidArgument"), "{bad}");
        }
    }

    #[test]
    fn encodings_and_delimiters() {
        assert!(selection("encoding-type=url").unwrap().url);
        assert!(selection("encoding-type=URL2").is_err());
        assert_eq!(selection("delimiter=").unwrap().delimiter, None);
        assert_eq!(selection("delimiter=%0A").unwrap().delimiter.as_deref(), Some("\n"));
    }

    #[test]
    fn markers_that_are_common_prefixes() {
        let listing = selection("prefix=a/&delimiter=/").unwrap();
        for (marker, expected) in
            [("a/b/", true), ("a/b", false), ("a/", false), ("a/b/c", false), ("a/b/c/", false), ("b/", false)]
        {
            assert_eq!(listing.is_common_prefix(marker), expected, "{marker}");
        }
        assert!(!selection("").unwrap().is_common_prefix("a/"));
        assert!(selection("delimiter=%C3%A9x").unwrap().is_common_prefix("aéx"));
    }
}
