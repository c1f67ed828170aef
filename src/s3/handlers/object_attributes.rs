//! GetObjectAttributes (S3 API Reference).

use actix_web::http::StatusCode;
use actix_web::http::header::HeaderMap;
use myfsio_actors::names::PART_NUMBER_MAX;
use myfsio_actors::storage::{Object, ObjectPart, Purpose, Versioning};

use crate::s3::authorize;

use super::listing::{PAGE_ENTRIES_MAX, limit_of, number, storage_class, write_checksum, write_part_checksum};
use crate::s3::conditional::http_date;
use crate::s3::context::Call;
use crate::s3::error::S3Error;
use crate::s3::headers::text;
use crate::s3::respond::{Answer, set_header, xml};
use crate::s3::xml::XmlWriter;

/// Names that `x-amz-object-attributes` may hold.
const NAMES: [&str; 5] = ["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"];

/// Which attributes a request asks for, and which page of the parts.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wanted {
    names: Vec<String>,
    parts_max: usize,
    part_after: u32,
}

impl Wanted {
    /// Reads the headers. Errs: InvalidArgument.
    fn parse(headers: &HeaderMap) -> Result<Self, S3Error> {
        let invalid = |value: &str| {
            S3Error::invalid_argument("x-amz-object-attributes", value, "Invalid attribute name specified.")
        };
        let mut names = Vec::new();
        for value in headers.get_all("x-amz-object-attributes") {
            let value = value.to_str().map_err(|_| invalid(""))?;
            for name in value.split(',').map(str::trim).filter(|name| !name.is_empty()) {
                if !NAMES.contains(&name) {
                    return Err(invalid(name));
                }
                names.push(name.to_owned());
            }
        }
        if names.is_empty() {
            return Err(invalid(""));
        }
        let parts_max = match text(headers, "x-amz-max-parts") {
            None => PAGE_ENTRIES_MAX,
            Some(value) => limit_of("x-amz-max-parts", &value)?,
        };
        let part_after = match text(headers, "x-amz-part-number-marker") {
            None => 0,
            Some(value) => number(&value).ok_or_else(|| {
                let message = "Argument x-amz-part-number-marker must be an integer between 0 and 2147483647";
                S3Error::invalid_argument("x-amz-part-number-marker", &value, message)
            })?,
        };
        Ok(Self { names, parts_max, part_after })
    }

    fn has(&self, name: &str) -> bool {
        self.names.iter().any(|n| n == name)
    }
}

/// S3 API Reference, GetObjectAttributes. Errs: InvalidArgument, NoSuchKey, NoSuchVersion, AccessDenied.
pub async fn get_object_attributes(call: Call) -> Answer {
    let wanted = Wanted::parse(&call.headers)?;
    let bucket = call.bucket()?;
    let object = authorize::open(&call, &bucket, Purpose::Look).await?.object;
    match wanted.has("Checksum") || wanted.has("ObjectParts") {
        true => call.data_key(&bucket, &call.key()?, &object).map(|_| ())?,
        false => call.check_reader(&object)?,
    }
    let parts = match object.etag.parts {
        Some(_) if wanted.has("ObjectParts") => Some(call.storage().object_parts(&bucket, &object)?),
        _ => None,
    };
    let mut response = xml(StatusCode::OK, document(&wanted, &object, parts.as_deref()));
    set_header(&mut response, "last-modified", &http_date(object.modified()));
    if bucket.versioning != Versioning::Off {
        set_header(&mut response, "x-amz-version-id", &object.version_id.to_string());
    }
    Ok(response)
}

fn document(wanted: &Wanted, object: &Object, parts: Option<&[ObjectPart]>) -> String {
    let mut out = XmlWriter::new("GetObjectAttributesResponse");
    // Here, and only here, the ETag goes without quotation marks.
    if wanted.has("ETag") {
        out.value("ETag", object.etag);
    }
    if wanted.has("Checksum") {
        out.open("Checksum");
        write_checksum(&mut out, object);
        out.close();
    }
    if let Some(parts) = parts {
        write_parts(&mut out, wanted, parts);
    }
    if wanted.has("StorageClass") {
        out.text("StorageClass", storage_class(object.attributes.storage_class.as_deref()));
    }
    if wanted.has("ObjectSize") {
        out.value("ObjectSize", object.size);
    }
    out.finish()
}

fn write_parts(out: &mut XmlWriter, wanted: &Wanted, parts: &[ObjectPart]) {
    let mut behind = parts.iter().filter(|part| u32::from(part.number.get()) > wanted.part_after).peekable();
    let page: Vec<_> = behind.by_ref().take(wanted.parts_max).collect();
    let is_truncated = wanted.parts_max > 0 && behind.peek().is_some();
    let last = page.last().map_or(0, |part| part.number.get());
    out.open("ObjectParts").value("PartsCount", parts.len());
    out.value("PartNumberMarker", wanted.part_after.min(u32::from(PART_NUMBER_MAX)));
    out.value("NextPartNumberMarker", last).value("MaxParts", wanted.parts_max).value("IsTruncated", is_truncated);
    for part in page {
        out.open("Part").value("PartNumber", part.number).value("Size", part.size);
        write_part_checksum(out, part.checksum);
        out.close();
    }
    out.close();
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};
    use myfsio_actors::names::{CanonicalId, ETag, PartNumber, Stamp, VersionId};
    use myfsio_actors::storage::Attributes;

    use super::*;

    fn wanted(pairs: &[(&'static str, &str)]) -> Result<Wanted, &'static str> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        Wanted::parse(&headers).map_err(|e| e.code().name())
    }

    #[test]
    fn attribute_names_are_checked() {
        let list = [("x-amz-object-attributes", "ETag, ObjectSize"), ("x-amz-object-attributes", "Checksum")];
        assert_eq!(wanted(&list).unwrap().names, ["ETag", "ObjectSize", "Checksum"]);
        assert_eq!(wanted(&[]), Err("InvalidArgument"));
        assert_eq!(wanted(&[("x-amz-object-attributes", "")]), Err("InvalidArgument"));
        assert_eq!(wanted(&[("x-amz-object-attributes", "etag")]), Err("InvalidArgument"));
        assert_eq!(wanted(&[("x-amz-object-attributes", "ETag"), ("x-amz-max-parts", "x")]), Err("InvalidArgument"));
    }

    #[test]
    fn parts_are_paged() {
        let parts: Vec<_> = [1, 2, 5]
            .into_iter()
            .map(|n| ObjectPart { number: PartNumber::new(n).unwrap(), offset: 0, size: 7, checksum: None })
            .collect();
        let object = Object {
            version_id: VersionId::Null,
            stamp: Stamp(0),
            size: 21,
            etag: ETag { md5: [0; 16], parts: Some(3) },
            crc64nvme: 0,
            checksum: None,
            owner: CanonicalId::from_bytes([0; 32]),
            attributes: Attributes::default(),
            controls: myfsio_actors::storage::Controls::default(),
            upload: None,
            sealed: None,
            lineage: None,
        };
        let text = |after: u32, parts_max: usize| {
            let names = NAMES.iter().map(|name| (*name).to_owned()).collect();
            document(&Wanted { names, parts_max, part_after: after }, &object, Some(&parts))
        };
        let first = text(0, 2);
        assert!(first.contains("<ETag>00000000000000000000000000000000-3</ETag>"));
        assert!(
            first.contains("<Checksum><ChecksumCRC64NVME>AAAAAAAAAAA=</ChecksumCRC64NVME><ChecksumType>FULL_OBJECT")
        );
        assert!(first.contains("<PartsCount>3</PartsCount><PartNumberMarker>0</PartNumberMarker>"));
        assert!(
            first.contains("<NextPartNumberMarker>2</NextPartNumberMarker><MaxParts>2</MaxParts><IsTruncated>true")
        );
        assert!(first.contains("<StorageClass>STANDARD</StorageClass><ObjectSize>21</ObjectSize>"));
        let second = text(2, 2);
        assert!(
            second.contains("<NextPartNumberMarker>5</NextPartNumberMarker><MaxParts>2</MaxParts><IsTruncated>false")
        );
        assert_eq!(second.matches("<Part>").count(), 1);
        assert!(text(0, 0).contains("<IsTruncated>false"));
    }
}
