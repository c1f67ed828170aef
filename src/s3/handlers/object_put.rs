//! PutObject: what can be refused is refused before the body, the digests are compared before the commit.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::HeaderMap;
use myfsio_actors::names::{CanonicalId, Checksum, ChecksumAlgorithm, ChecksumKind, ObjectKey, VersionId};
use myfsio_actors::storage::{
    Attributes, BeginBody, Bucket, Object, ObjectChecksum, PutObject, Stored, WriteConditions,
};

use super::bucket_lifecycle::expiration;
use super::object_lock::require_digest;
use crate::node::Node;
use crate::s3::authorize::{Authenticated, owner_id};
use crate::s3::checksum::crc64nvme;
use crate::s3::conditional::write_conditions;
use crate::s3::context::Call;
use crate::s3::controls::NewObject;
use crate::s3::encryption::asked::Asked;
use crate::s3::encryption::choice::Choice;
use crate::s3::encryption::told;
use crate::s3::error::S3Error;
use crate::s3::headers::{attributes, refuse_unbuilt};
use crate::s3::replica::{self, Does};
use crate::s3::respond::{Answer, empty, set_header};

/// S3 API Reference, PutObject.
pub async fn put_object(mut call: Call) -> Answer {
    let (bucket, key) = (call.bucket()?, call.key()?);
    if let Some(version) = call.query.get("versionId") {
        return Err(S3Error::invalid_argument("versionId", version, "This operation does not accept a version-id."));
    }
    let (attributes, conditions, _) = check_head(&call.node, &call.auth, &call.headers, &bucket, &key)?;
    let received = replica::received(&call, &bucket, &key, Does::Write)?;
    let NewObject { owner, controls } = NewObject::of_call(&call, &bucket, &key, received.as_ref())?;
    if !attributes.tags.is_empty() && !replica::may_replicate(received.as_ref()) {
        call.authorize("s3:PutObjectTagging", &bucket, Some(key.as_str()))?;
    }
    let checks = call.body_checks()?;
    require_digest(&controls, &checks)?;
    let envelope = call.envelope(&bucket, &key).await?;
    let begin = BeginBody { bucket: &bucket, key: &key, owner: &owner, size: call.body.declared_size() };
    let writer = call.storage().begin_body(begin, checks.plan(), envelope.as_ref())?;
    let (body, checksum) = call.body.write_to(writer, &checks).await?;
    let checksum = checksum.and_then(kept_checksum);
    let (there, name) = (Arc::clone(&bucket), key.clone());
    let replica = received.map(|received| Box::new(received.replica));
    let told = replica.is_some();
    let message = PutObject { bucket, key, owner, attributes, controls, body, checksum, conditions, replica };
    let stored = call.storage().put_object(message).await?;
    let mut response = stored_response(&stored);
    if told {
        replica::tell(&mut response, stored.applied);
    }
    told::put(&mut response, call.told_new_encryption(stored.object.encryption()));
    if let Some((header, value)) = expiration(&call.node, &there, name.as_str(), &stored.object) {
        set_header(&mut response, header, &value);
    }
    Ok(response)
}

/// Everything that the head alone can be refused for, but for quotas; answers also whose the object will be. Runs before
/// `100 Continue` when the client waits for it. Errs: those of the attributes, of encryption and of the access control list,
/// NotImplemented, PreconditionFailed, NoSuchKey.
pub fn check_head(
    node: &Node,
    auth: &Authenticated,
    headers: &HeaderMap,
    bucket: &Bucket,
    key: &ObjectKey,
) -> Result<(Attributes, WriteConditions, CanonicalId), S3Error> {
    refuse_unbuilt(headers)?;
    Choice::of(Asked::of_write(headers)?, bucket.config.encryption.as_ref())?;
    let attributes = attributes(headers)?;
    let is_replica = replica::parse(headers, &auth.signed_headers, node.clock.now())?.is_some();
    let NewObject { owner, .. } = NewObject::of(node, owner_id(auth), headers, bucket, is_replica)?;
    let conditions = write_conditions(headers)?;
    node.storage.precheck(bucket, key, &conditions)?;
    Ok((attributes, conditions, owner))
}

/// The checksum to keep beside CRC-64/NVME, which every object has.
pub fn kept_checksum(value: Checksum) -> Option<ObjectChecksum> {
    (value.algorithm() != ChecksumAlgorithm::Crc64Nvme)
        .then_some(ObjectChecksum { value, kind: ChecksumKind::FullObject })
}

/// ETag, version id and checksum of what was stored.
pub fn stored_response(stored: &Stored) -> HttpResponse {
    let object = &stored.object;
    let mut response = empty(StatusCode::OK);
    set_header(&mut response, "etag", &format!("\"{}\"", object.etag));
    if let Some(version) = told_version(stored) {
        set_header(&mut response, "x-amz-version-id", &version);
    }
    set_checksum(&mut response, object);
    response
}

/// The version id that S3 tells a writer: none where the object has no version of its own, as while versioning is suspended.
pub fn told_version(stored: &Stored) -> Option<String> {
    let version = stored.object.version_id;
    (stored.versioned && version != VersionId::Null).then(|| version.to_string())
}

/// The object's checksum as S3 tells it: the one that the writer chose, else CRC-64/NVME.
pub fn set_checksum(response: &mut HttpResponse, object: &Object) {
    let (value, kind) = told_checksum(object);
    if let Some((name, text)) = value {
        set_header(response, name, &text);
        set_header(response, "x-amz-checksum-type", kind.name());
    }
}

/// Header name, text and kind of the checksum that S3 tells of an object. A composite one ends in the number of parts.
pub fn told_checksum(object: &Object) -> (Option<(&'static str, String)>, ChecksumKind) {
    match &object.checksum {
        Some(checksum) => {
            let header = checksum.value.algorithm().header();
            let text = match (checksum.kind, object.etag.parts) {
                (ChecksumKind::Composite, Some(parts)) => format!("{}-{parts}", checksum.value),
                _ => checksum.value.to_string(),
            };
            (Some((header, text)), checksum.kind)
        }
        None => {
            let value = crc64nvme(object.crc64nvme);
            (value.map(|value| (value.algorithm().header(), value.to_string())), ChecksumKind::FullObject)
        }
    }
}
