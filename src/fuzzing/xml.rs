//! Documents in request bodies.

use myfsio_actors::bucket_config::Logging;

use super::input::is_answered;
use crate::s3::error::S3Error;
use crate::s3::handlers::object_copy::checksum_element;
use crate::s3::xml::cors::{cors_configuration, write_cors};
use crate::s3::xml::encryption::{encryption_configuration, write_encryption};
use crate::s3::xml::lifecycle::{lifecycle_configuration, write_lifecycle};
use crate::s3::xml::logging::{bucket_logging_status, write_logging};
use crate::s3::xml::notification::{notification_configuration, write_notification_configuration};
use crate::s3::xml::requests::{
    CreateBucketConfiguration, Delete, RequestedPart, complete_multipart_upload, create_bucket_configuration, delete,
    tagging,
};
use crate::s3::xml::website::{website_configuration, write_website};
use crate::s3::xml::{Element, XmlWriter, read};

/// A body, read as each of the request documents: what one of them says is the same when it is written and read again, and
/// costs no more than its size suggests.
pub fn xml_documents(data: &[u8]) -> bool {
    for root in
        ["CreateBucketConfiguration", "Delete", "CompleteMultipartUpload", "NotificationConfiguration", "Tagging"]
    {
        if let Ok(element) = read::parse(data, root) {
            let (elements, bytes) = size(&element);
            assert!(elements <= read::ELEMENTS_MAX && elements * 4 <= data.len() && bytes <= data.len());
        }
    }
    let taken = [
        again(data, create_bucket_configuration, write_configuration),
        again(data, |body| delete(body).map_err(S3Error::from), write_delete),
        again(data, complete_multipart_upload, |parts| write_parts(parts)),
        again(data, notification_configuration, |notification| write_notification_configuration(Some(notification))),
        again(data, |body| tagging(body).map_err(S3Error::from), |tags| write_tags(tags)),
        again(data, cors_configuration, write_cors),
        again(data, encryption_configuration, write_encryption),
        again(data, lifecycle_configuration, write_lifecycle),
        again(data, website_configuration, write_website),
        again(data, logging_without_grants, |logging| write_logging(logging.as_ref())),
    ];
    taken.contains(&true)
}

/// Elements, and bytes of their names and texts.
fn size(element: &Element) -> (usize, usize) {
    let own = (1, element.name.len() + element.text.len());
    element.children.iter().map(size).fold(own, |all, child| (all.0 + child.0, all.1 + child.1))
}

/// Grants are written for users that are known, so they are left out.
fn logging_without_grants(body: &[u8]) -> Result<Option<Logging>, S3Error> {
    Ok(bucket_logging_status(body)?.map(|asked| asked.logging))
}

fn again<T: PartialEq + std::fmt::Debug>(
    data: &[u8],
    read: impl Fn(&[u8]) -> Result<T, S3Error>,
    write: impl Fn(&T) -> String,
) -> bool {
    match read(data) {
        Ok(document) => {
            let written = write(&document);
            assert_eq!(read(written.as_bytes()).expect("what was written can be read"), document, "{written}");
            true
        }
        Err(error) => {
            is_answered(&error, data);
            false
        }
    }
}

fn write_configuration(configuration: &CreateBucketConfiguration) -> String {
    let mut out = XmlWriter::new("CreateBucketConfiguration");
    out.text_if("LocationConstraint", configuration.location_constraint.as_deref()).open("Tags");
    push_tags(&mut out, &configuration.tags);
    out.finish()
}

fn write_delete(document: &Delete) -> String {
    let mut out = XmlWriter::new("Delete");
    out.value("Quiet", document.quiet);
    for object in &document.objects {
        out.open("Object").text("Key", &object.key).text_if("VersionId", object.version_id.as_deref());
        out.text_if("ETag", object.etag.as_deref()).text_if("LastModifiedTime", object.last_modified_time.as_deref());
        out.text_if("Size", object.size.map(|size| size.to_string()).as_deref()).close();
    }
    out.finish()
}

fn write_parts(parts: &[RequestedPart]) -> String {
    let mut out = XmlWriter::new("CompleteMultipartUpload");
    for part in parts {
        out.open("Part").value("PartNumber", part.number).text("ETag", &part.etag);
        for (algorithm, value) in &part.checksums {
            out.text(checksum_element(*algorithm), value);
        }
        out.close();
    }
    out.finish()
}

fn write_tags(tags: &[(String, String)]) -> String {
    let mut out = XmlWriter::new("Tagging");
    out.open("TagSet");
    push_tags(&mut out, tags);
    out.finish()
}

fn push_tags(out: &mut XmlWriter, tags: &[(String, String)]) {
    for (key, value) in tags {
        out.open("Tag").text("Key", key).text("Value", value).close();
    }
}
