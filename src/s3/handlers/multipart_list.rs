//! ListParts and ListMultipartUploads (S3 API Reference).

use actix_web::http::StatusCode;
use myfsio_actors::names::UploadId;
use myfsio_actors::storage::{ListParts, ListUploads, Part, Upload, UploadPage};

use super::bucket_lifecycle::tell_abort;
use super::listing::{Owners, Selection, number, page_limit, storage_class, write_part_checksum};
use super::multipart_create::upload_id;
use crate::s3::context::Call;
use crate::s3::encryption::parts::tells_checksums;
use crate::s3::error::S3Error;
use crate::s3::query::Query;
use crate::s3::respond::{Answer, xml};
use crate::s3::xml::XmlWriter;

/// S3 API Reference, ListParts. Errs: NoSuchUpload, InvalidArgument, and those of encryption where there are checksums to tell.
pub async fn list_parts(call: Call) -> Answer {
    let limit = page_limit(&call.query, "max-parts")?;
    let marker = part_number_marker(&call.query)?;
    let (bucket, key, id) = (call.bucket()?, call.key()?, upload_id(&call.query)?);
    let mut out = XmlWriter::with_capacity("ListPartsResult", 4096);
    out.value("Bucket", &bucket.name).text("Key", key.as_str()).value("UploadId", id);
    let query = ListParts { bucket, key, upload: id, number_after: marker, limit };
    let page = call.storage().list_parts(query).await?;
    call.check_teller(call.bucket()?.as_ref(), &page.upload.key, &page.upload)?;
    let tells = tells_checksums(&call.headers, page.upload.encryption.as_ref());
    // A page without entries has no end to go on from.
    let is_truncated = limit > 0 && page.next.is_some();
    let last = page.parts.last().map_or(0, |part| u32::from(part.number.get()));
    out.value("PartNumberMarker", marker).value("NextPartNumberMarker", last).value("MaxParts", limit);
    out.value("IsTruncated", is_truncated);
    for part in &page.parts {
        write_part(&mut out, part, tells);
    }
    let mut owners = Owners::new(&call);
    owners.write(&mut out, "Initiator", &page.upload.owner);
    owners.write_owner(&mut out, &page.upload.owner);
    write_upload_kind(&mut out, &page.upload);
    let mut response = xml(StatusCode::OK, out.finish());
    tell_abort(&mut response, &call.node, call.bucket()?.as_ref(), page.upload.key.as_str(), id.stamp);
    Ok(response)
}

fn part_number_marker(query: &Query) -> Result<u32, S3Error> {
    let Some(text) = query.get_filled("part-number-marker") else { return Ok(0) };
    number(text).ok_or_else(|| {
        let message = "Argument part-number-marker must be an integer between 0 and 2147483647";
        S3Error::invalid_argument("part-number-marker", text, message)
    })
}

fn write_part(out: &mut XmlWriter, part: &Part, tells_checksum: bool) {
    out.open("Part").value("PartNumber", part.number).time("LastModified", part.stamp).etag(part.etag);
    out.value("Size", part.size);
    write_part_checksum(out, part.checksum.filter(|_| tells_checksum));
    out.close();
}

fn write_upload_kind(out: &mut XmlWriter, upload: &Upload) {
    out.text("StorageClass", storage_class(upload.attributes.storage_class.as_deref()));
    if let Some((algorithm, kind)) = upload.checksum {
        out.value("ChecksumAlgorithm", algorithm.name()).value("ChecksumType", kind.name());
    }
}

/// Where a listing of uploads begins.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Markers {
    key: Option<String>,
    upload: Option<UploadId>,
}

impl Markers {
    /// Reads `key-marker` and `upload-id-marker`; the latter means nothing without the former. Errs: InvalidArgument.
    fn parse(query: &Query) -> Result<Self, S3Error> {
        let Some(key) = query.get_filled("key-marker") else { return Ok(Self::default()) };
        let upload = query.get_filled("upload-id-marker").map(|text| {
            UploadId::parse(text)
                .map_err(|_| S3Error::invalid_argument("upload-id-marker", text, "Invalid uploadId marker"))
        });
        Ok(Self { key: Some(key.to_owned()), upload: upload.transpose()? })
    }
}

/// S3 API Reference, ListMultipartUploads. Errs: InvalidArgument.
pub async fn list_multipart_uploads(call: Call) -> Answer {
    let selection = Selection::parse(&call.query, "max-uploads")?;
    let markers = Markers::parse(&call.query)?;
    let bucket = call.bucket()?;
    let mut out = XmlWriter::with_capacity("ListMultipartUploadsResult", 4096);
    out.value("Bucket", &bucket.name);
    out.key("KeyMarker", call.query.get("key-marker").unwrap_or_default(), selection.url);
    out.text("UploadIdMarker", call.query.get("upload-id-marker").unwrap_or_default());
    let page = match selection.limit {
        0 => UploadPage::default(),
        limit => {
            let query = ListUploads {
                bucket,
                prefix: selection.prefix.clone(),
                delimiter: selection.delimiter.clone(),
                key_after: markers.key,
                upload_after: markers.upload,
                limit,
            };
            call.storage().list_uploads(query).await?
        }
    };
    if let Some((key, upload)) = &page.next {
        out.key("NextKeyMarker", key, selection.url);
        // Always there, empty behind a common prefix: clients page by both markers.
        match upload {
            Some(upload) => out.value("NextUploadIdMarker", upload),
            None => out.text("NextUploadIdMarker", ""),
        };
    }
    out.key("Prefix", &selection.prefix, selection.url);
    out.value("MaxUploads", selection.limit);
    selection.write_delimiter(&mut out);
    out.value("IsTruncated", page.next.is_some());
    let mut owners = Owners::new(&call);
    for upload in &page.entries {
        out.open("Upload").key("Key", upload.key.as_str(), selection.url).value("UploadId", upload.id);
        owners.write(&mut out, "Initiator", &upload.owner);
        owners.write_owner(&mut out, &upload.owner);
        out.time("Initiated", upload.id.stamp);
        write_upload_kind(&mut out, upload);
        out.close();
    }
    selection.write_common_prefixes(&mut out, &page.common_prefixes);
    Ok(xml(StatusCode::OK, out.finish()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_are_read() {
        let parse = |raw: &str| Query::parse(raw).unwrap();
        assert_eq!(part_number_marker(&parse("")).unwrap(), 0);
        assert_eq!(part_number_marker(&parse("part-number-marker=17")).unwrap(), 17);
        assert!(part_number_marker(&parse("part-number-marker=x")).is_err());
        assert_eq!(Markers::parse(&parse("upload-id-marker=junk")).unwrap(), Markers::default());
        assert!(Markers::parse(&parse("key-marker=a&upload-id-marker=junk")).is_err());
        let id = "0".repeat(32);
        let markers = Markers::parse(&parse(&format!("key-marker=a&upload-id-marker={id}"))).unwrap();
        assert_eq!((markers.key.as_deref(), markers.upload), (Some("a"), UploadId::parse(&id).ok()));
    }
}
