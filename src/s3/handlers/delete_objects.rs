//! DeleteObjects (S3 API Reference): up to 1000 keys, each authorised, deleted and answered on its own.

use std::sync::Arc;

use actix_web::http::StatusCode;
use futures_util::{StreamExt as _, stream};
use myfsio_actors::names::{KEY_BYTES_MAX, ObjectKey, VersionId};
use myfsio_actors::storage::{Bucket, DeleteObject, Deleted, ETagCondition, WriteConditions};

use super::object_lock::bypasses_governance;
use crate::decisions::Circumstances;
use crate::s3::authorize::Further;
use crate::s3::conditional::{date_seconds, etag_condition};
use crate::s3::context::Call;
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::respond::{Answer, xml};
use crate::s3::xml::XmlWriter;
use crate::s3::xml::requests::{self, DELETE_BYTES_MAX, ObjectIdentifier};

/// Deletes of one request that are under way at once.
const CONCURRENCY: usize = 64;

/// S3 API Reference, DeleteObjects. Errs for the whole request: InvalidRequest without any digest of the body,
/// MalformedXML. Everything else is answered for its key.
pub async fn delete_objects(mut call: Call) -> Answer {
    if !call.body_checks()?.has_integrity() {
        let message = "Missing required header for this request: Content-MD5 OR x-amz-checksum-*";
        return Err(S3Error::with_message(ErrorCode::InvalidRequest, message));
    }
    let bucket = call.bucket()?;
    let body = call.body.collect(DELETE_BYTES_MAX).await?;
    if body.is_empty() {
        return Err(ErrorCode::MissingRequestBodyError.into());
    }
    let request = requests::delete(&body)?;
    drop(body);
    // The spine asks for no permission here, so it has not taken in edited policies either.
    call.node.access.refresh().await;
    // Answers keep the order of the request.
    let results: Vec<_> = stream::iter(&request.objects)
        .map(|object| delete_one(&call, &bucket, object))
        .buffered(CONCURRENCY)
        .collect()
        .await;
    let mut out = XmlWriter::with_capacity("DeleteResult", 256 * results.len());
    for (object, result) in request.objects.iter().zip(results) {
        match result {
            Ok(_) if request.quiet => {}
            Ok(deleted) => write_deleted(&mut out, object, &deleted),
            Err(error) => {
                keep_refusal(&call, &bucket, object, &error);
                write_error(&mut out, object, &error);
            }
        }
    }
    Ok(xml(StatusCode::OK, out.finish()))
}

/// The answer of the whole request is none of its refusals, so each is kept for those who may ask about it.
fn keep_refusal(call: &Call, bucket: &Bucket, object: &ObjectIdentifier, error: &S3Error) {
    let circumstances = Circumstances {
        address: call.peer,
        principal: call.auth.principal.as_deref(),
        action: Some(call.operation.action(object.version_id.is_some())),
        resource: format!("arn:aws:s3:::{}/{}", bucket.name, object.key).into(),
        bucket: Some((bucket.name.as_str(), &bucket.owner)),
    };
    call.node.decisions.refused(call.request_id, call.node.clock.now(), error, &circumstances);
}

async fn delete_one(call: &Call, bucket: &Arc<Bucket>, object: &ObjectIdentifier) -> Result<Deleted, S3Error> {
    let key = ObjectKey::parse(object.key.as_bytes()).map_err(|reason| {
        S3Error::new(ErrorCode::KeyTooLongError).field("MaxSizeAllowed", KEY_BYTES_MAX.to_string()).because(reason)
    })?;
    let version = version_of(object)?;
    let further = Further { key: Some(key.as_str()), version, ..Further::default() };
    let conditions = conditions_of(object)?;
    if conditions != WriteConditions::default() && conditions.if_match != Some(ETagCondition::Any) {
        let reads = if version.is_some() { "s3:GetObjectVersion" } else { "s3:GetObject" };
        call.authorize_further(reads, bucket, further)?;
    }
    call.authorize_further(call.operation.action(version.is_some()), bucket, further)?;
    let message = DeleteObject {
        bucket: Arc::clone(bucket),
        bypass_governance: bypasses_governance(call, bucket, key.as_str(), version, None),
        key,
        version,
        owner: call.owner_id(),
        conditions,
        replica: None,
    };
    Ok(call.storage().delete_object(message).await?)
}

/// Errs: InvalidArgument for an empty version id, NoSuchVersion for one that this node did not hand out.
fn version_of(object: &ObjectIdentifier) -> Result<Option<VersionId>, S3Error> {
    match object.version_id.as_deref() {
        None => Ok(None),
        Some("") => Err(S3Error::with_message(ErrorCode::InvalidArgument, "Version id cannot be the empty string")),
        Some(text) => VersionId::parse(text).map(Some).map_err(|_| ErrorCode::NoSuchVersion.into()),
    }
}

fn conditions_of(object: &ObjectIdentifier) -> Result<WriteConditions, S3Error> {
    let if_match_last_modified = object.last_modified_time.as_deref().map(|text| {
        date_seconds(text)
            .ok_or_else(|| S3Error::with_message(ErrorCode::InvalidArgument, "LastModifiedTime is not a time"))
    });
    Ok(WriteConditions {
        if_match: object.etag.as_deref().map(|etag| etag_condition(etag, true)),
        if_none_match: None,
        if_match_last_modified: if_match_last_modified.transpose()?,
        if_match_size: object.size,
    })
}

fn write_deleted(out: &mut XmlWriter, object: &ObjectIdentifier, deleted: &Deleted) {
    out.open("Deleted").text("Key", &object.key).text_if("VersionId", object.version_id.as_deref());
    if deleted.delete_marker {
        out.value("DeleteMarker", true);
        if let Some(version) = deleted.version_id {
            out.value("DeleteMarkerVersionId", version);
        }
    }
    out.close();
}

fn write_error(out: &mut XmlWriter, object: &ObjectIdentifier, error: &S3Error) {
    out.open("Error").text("Key", &object.key).text_if("VersionId", object.version_id.as_deref());
    out.value("Code", error.code().name()).text("Message", error.message()).close();
    if error.code() == ErrorCode::InternalError {
        tracing::error!(key = %object.key, %error, "delete failed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use myfsio_actors::storage::ETagCondition;

    fn object(change: impl FnOnce(&mut ObjectIdentifier)) -> ObjectIdentifier {
        let mut object = ObjectIdentifier { key: "k<".to_owned(), ..ObjectIdentifier::default() };
        change(&mut object);
        object
    }

    #[test]
    fn version_ids_of_entries() {
        let version =
            |text: Option<&str>| version_of(&object(|o| o.version_id = text.map(str::to_owned))).map_err(|e| e.code());
        assert_eq!(version(None), Ok(None));
        assert_eq!(version(Some("null")), Ok(Some(VersionId::Null)));
        assert_eq!(version(Some("")), Err(ErrorCode::InvalidArgument));
        assert_eq!(version(Some("junk")), Err(ErrorCode::NoSuchVersion));
    }

    #[test]
    fn conditions_of_entries() {
        let conditions = conditions_of(&object(|o| {
            o.etag = Some("*".to_owned());
            o.last_modified_time = Some("Tue, 14 Nov 2023 22:13:20 GMT".to_owned());
            o.size = Some(4);
        }))
        .unwrap();
        assert_eq!(conditions.if_match, Some(ETagCondition::Any));
        assert_eq!((conditions.if_match_last_modified, conditions.if_match_size), (Some(1_700_000_000), Some(4)));
        let iso =
            conditions_of(&object(|o| o.last_modified_time = Some("2023-11-14T22:13:20.000Z".to_owned()))).unwrap();
        assert_eq!(iso.if_match_last_modified, Some(1_700_000_000));
        assert!(conditions_of(&object(|o| o.last_modified_time = Some("soon".to_owned()))).is_err());
    }

    #[test]
    fn answers_of_entries() {
        let mut out = XmlWriter::bare("R", 0);
        write_deleted(
            &mut out,
            &object(|_| ()),
            &Deleted { version_id: Some(VersionId::Null), delete_marker: true, applied: Default::default() },
        );
        write_error(&mut out, &object(|o| o.version_id = Some("x".to_owned())), &ErrorCode::NoSuchVersion.into());
        let text = out.finish();
        assert!(text.contains(
            "<Deleted><Key>k&lt;</Key><DeleteMarker>true</DeleteMarker>\
             <DeleteMarkerVersionId>null</DeleteMarkerVersionId></Deleted>"
        ));
        assert!(text.contains("<Error><Key>k&lt;</Key><VersionId>x</VersionId><Code>NoSuchVersion</Code><Message>"));
    }
}
