//! Object Lock: its configuration, retention and legal hold of versions, and what writes ask for by header.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::HeaderMap;
use myfsio_actors::bucket_config::{ConfigChange, Retention};
use myfsio_actors::names::{Stamp, VersionId};
use myfsio_actors::storage::{Bucket, Controls, Object, ObjectChange, Purpose, Versioning};

use super::bucket_config::configure;
use crate::s3::authorize::{self, AskedLock, Further};
use crate::s3::checksum::BodyChecks;
use crate::s3::conditional::date_seconds;
use crate::s3::context::Call;
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::headers::text;
use crate::s3::replica::{self, Does, Received, may_replicate};
use crate::s3::respond::{Answer, empty, set_header, xml};
use crate::s3::xml::object_lock as documents;

/// Largest document of Object Lock in bytes.
const DOCUMENT_BYTES_MAX: usize = 16 * 1024;
const MODE: &str = "x-amz-object-lock-mode";
const UNTIL: &str = "x-amz-object-lock-retain-until-date";
const HOLD: &str = "x-amz-object-lock-legal-hold";

/// S3 API Reference, PutObjectLockConfiguration. Errs: InvalidBucketState without versioning.
pub async fn put_object_lock_configuration(mut call: Call) -> Answer {
    let body = call.body.collect(DOCUMENT_BYTES_MAX).await?;
    require_document(&call, &body)?;
    let lock = documents::object_lock_configuration(&body)?;
    configure(&call, ConfigChange::ObjectLock(lock)).await?;
    Ok(empty(StatusCode::OK))
}

/// S3 API Reference, GetObjectLockConfiguration.
pub fn get_object_lock_configuration(call: &Call) -> Answer {
    let bucket = call.bucket()?;
    match &bucket.config.object_lock {
        Some(lock) => Ok(xml(StatusCode::OK, documents::write_object_lock(lock))),
        None => {
            Err(S3Error::new(ErrorCode::ObjectLockConfigurationNotFoundError).field("BucketName", bucket.name.as_str()))
        }
    }
}

/// S3 API Reference, PutObjectRetention. Errs: AccessDenied when the retention in force may not be shortened.
pub async fn put_object_retention(mut call: Call) -> Answer {
    let body = call.body.collect(DOCUMENT_BYTES_MAX).await?;
    let retention = documents::retention(&body);
    let asked = AskedLock { retention: retention.as_ref().ok().copied().flatten(), legal_hold: None };
    let permitted = authorize_document(&call, asked).await?;
    require_lock(&*call.bucket()?)?;
    require_document(&call, &body)?;
    let retention = retention?;
    let (bucket, key, version) = (call.bucket()?, call.key()?, call.version()?);
    let received = received(&call)?;
    // It may be over by the time that another node hears of it.
    if let Some(retention) = retention.as_ref().filter(|_| received.is_none()) {
        require_future(retention, call.received)?;
    }
    let change_of = |object: &_| {
        // Who replicates need not ask for it: that was done where the retention was changed first.
        let bypass_governance = received.as_ref().is_some_and(|received| received.replica.permits.bypasses_governance)
            || bypasses_governance(&call, &bucket, key.as_str(), version, Some(object));
        ObjectChange::Retention { retention, bypass_governance }
    };
    change(&call, asked, permitted, received.as_ref(), change_of).await
}

/// S3 API Reference, GetObjectRetention.
pub async fn get_object_retention(call: Call) -> Answer {
    let object = locked_object(&call).await?;
    match &object.controls.retention {
        Some(retention) => Ok(xml(StatusCode::OK, documents::write_retention(retention))),
        None => Err(no_lock(&call)),
    }
}

/// S3 API Reference, PutObjectLegalHold.
pub async fn put_object_legal_hold(mut call: Call) -> Answer {
    let body = call.body.collect(DOCUMENT_BYTES_MAX).await?;
    let hold = documents::legal_hold(&body);
    let asked = AskedLock { retention: None, legal_hold: hold.as_ref().ok().copied() };
    let permitted = authorize_document(&call, asked).await?;
    require_lock(&*call.bucket()?)?;
    require_document(&call, &body)?;
    let hold = hold?;
    let received = received(&call)?;
    change(&call, asked, permitted, received.as_ref(), |_| ObjectChange::LegalHold(hold)).await
}

/// S3 API Reference, GetObjectLegalHold.
pub async fn get_object_legal_hold(call: Call) -> Answer {
    let object = locked_object(&call).await?;
    match shown_hold(&object) {
        Some(is_on) => Ok(xml(StatusCode::OK, documents::write_legal_hold(is_on))),
        None => Err(no_lock(&call)),
    }
}

/// Asks for the permission of a document of a lock, which may depend on what it says; answers the object that it was asked for, where
/// there is one. Errs: AccessDenied.
async fn authorize_document(call: &Call, lock: AskedLock) -> Result<Option<Arc<Object>>, S3Error> {
    // The spine asks for no permission here, so it has not taken in edited policies either.
    call.node.access.refresh().await;
    let peeked = call.storage().peek_object(&*call.bucket()?, &call.key()?, call.version()?).ok();
    let object = peeked.map(|peeked| peeked.object);
    ask(call, lock, object.as_ref())?;
    Ok(object)
}

/// What another node says of the lock that it sends. Errs: as [`replica::received`].
fn received(call: &Call) -> Result<Option<Received>, S3Error> {
    replica::received(call, &*call.bucket()?, &call.key()?, Does::Write)
}

fn ask(call: &Call, lock: AskedLock, object: Option<&Arc<Object>>) -> Result<(), S3Error> {
    // Who may replicate the object may replicate its lock, as far as that takes off none.
    if may_replicate(received(call)?.as_ref()) {
        return Ok(());
    }
    let (bucket, key, version) = (call.bucket()?, call.key()?, call.version()?);
    let further = Further { key: Some(key.as_str()), version, object, lock: Some(lock), ..Further::default() };
    call.authorize_further(call.operation.action(version.is_some()), &bucket, further)
}

fn require_document(call: &Call, body: &[u8]) -> Result<(), S3Error> {
    if !call.body_checks()?.has_integrity() {
        let message = "Missing required header for this request: Content-MD5 OR x-amz-checksum-*";
        return Err(S3Error::with_message(ErrorCode::InvalidRequest, message));
    }
    if body.is_empty() { Err(ErrorCode::MissingRequestBodyError.into()) } else { Ok(()) }
}

async fn change(
    call: &Call,
    lock: AskedLock,
    permitted: Option<Arc<Object>>,
    received: Option<&Received>,
    change: impl Fn(&Arc<Object>) -> ObjectChange,
) -> Answer {
    let bucket = call.bucket()?;
    let ask = |object: &_| ask(call, lock, Some(object));
    let replica = received.map(Received::lock_change);
    let change = |object: &_| Ok(Some(change(object)));
    let object = authorize::change_of(call, &bucket, permitted, replica, ask, change).await?;
    let mut response = empty(StatusCode::OK);
    if bucket.versioning != Versioning::Off {
        set_header(&mut response, "x-amz-version-id", &object.version_id.to_string());
    }
    Ok(response)
}

async fn locked_object(call: &Call) -> Result<Arc<Object>, S3Error> {
    let bucket = call.bucket()?;
    require_lock(&bucket)?;
    Ok(authorize::open(call, &bucket, Purpose::Look).await?.object)
}

fn no_lock(call: &Call) -> S3Error {
    let key = call.key.as_ref().map(|key| key.as_str()).unwrap_or_default();
    S3Error::new(ErrorCode::NoSuchObjectLockConfiguration).field("Key", key)
}

fn require_lock(bucket: &Bucket) -> Result<(), S3Error> {
    match bucket.config.object_lock {
        Some(_) => Ok(()),
        None => Err(S3Error::with_message(ErrorCode::InvalidRequest, "Bucket is missing Object Lock Configuration")
            .field("BucketName", bucket.name.as_str())),
    }
}

fn require_future(retention: &Retention, now: Stamp) -> Result<(), S3Error> {
    if retention.holds(now.0 / 1_000_000) {
        return Ok(());
    }
    Err(S3Error::with_message(ErrorCode::InvalidArgument, "The retain until date must be in the future!"))
}

/// Whether the caller asks for deleting or unlocking what a governance retention keeps, and may.
pub fn bypasses_governance(
    call: &Call,
    bucket: &Bucket,
    key: &str,
    version: Option<VersionId>,
    object: Option<&Arc<Object>>,
) -> bool {
    let asks = text(&call.headers, "x-amz-bypass-governance-retention")
        .is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let further = Further { key: Some(key), version, object, ..Further::default() };
    asks && call.authorize_further("s3:BypassGovernanceRetention", bucket, further).is_ok()
}

/// The lock that headers ask for, as far as they can be read: what cannot is refused by [`asked_lock`].
pub fn lock_of_headers(headers: &HeaderMap) -> AskedLock {
    // Every question of access asks, and hardly a request has one of them.
    if !headers.keys().any(|name| name.as_str().starts_with("x-amz-object-lock-")) {
        return AskedLock::default();
    }
    let mode = text(headers, MODE).and_then(|mode| documents::parse_mode(&mode));
    let seconds = text(headers, UNTIL).and_then(|until| date_seconds(&until));
    let retention = mode.zip(seconds);
    let retention = retention.map(|(mode, seconds)| Retention { mode, until_millis: seconds.saturating_mul(1000) });
    let legal_hold = text(headers, HOLD).map(|hold| hold == "ON");
    AskedLock { retention, legal_hold }
}

/// The lock that the headers of a write ask for; without a time, also one that is over. Errs: InvalidArgument when malformed, half, or
/// past; InvalidRequest when the bucket has no Object Lock.
pub fn asked_lock(headers: &HeaderMap, bucket: &Bucket, now: Option<Stamp>) -> Result<Controls, S3Error> {
    let mut controls = Controls::default();
    let (mode, until, hold) = (text(headers, MODE), text(headers, UNTIL), text(headers, HOLD));
    if mode.is_none() && until.is_none() && hold.is_none() {
        return Ok(controls);
    }
    require_lock(bucket)?;
    controls.legal_hold = match hold.as_deref() {
        None => None,
        Some("OFF") => Some(false),
        Some("ON") => Some(true),
        Some(other) => {
            return Err(S3Error::invalid_argument(HOLD, other, "Legal Hold must be either of 'ON' or 'OFF'"));
        }
    };
    controls.retention = match (mode, until) {
        (None, None) => None,
        (Some(mode), Some(until)) => {
            let mode = documents::parse_mode(&mode)
                .ok_or_else(|| S3Error::invalid_argument(MODE, &mode, "Unknown wormMode directive."))?;
            let seconds = date_seconds(&until).ok_or_else(|| {
                S3Error::invalid_argument(UNTIL, &until, "The retain until date must be provided in ISO 8601 format")
            })?;
            let retention = Retention { mode, until_millis: seconds.saturating_mul(1000) };
            now.map_or(Ok(()), |now| require_future(&retention, now))?;
            Some(retention)
        }
        (Some(_), None) | (None, Some(_)) => {
            let message = "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied";
            return Err(S3Error::with_message(ErrorCode::InvalidArgument, message));
        }
    };
    Ok(controls)
}

/// A body that is to be locked comes with a digest. Errs: InvalidRequest.
pub fn require_digest(controls: &Controls, checks: &BodyChecks) -> Result<(), S3Error> {
    if (controls.retention.is_some() || controls.is_held()) && !checks.has_integrity() {
        let message = "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters";
        return Err(S3Error::with_message(ErrorCode::InvalidRequest, message));
    }
    Ok(())
}

/// Asks for the permissions that a lock takes. Errs: AccessDenied.
pub fn authorize_lock(call: &Call, bucket: &Bucket, key: &str, controls: &Controls) -> Result<(), S3Error> {
    if controls.retention.is_some() {
        call.authorize("s3:PutObjectRetention", bucket, Some(key))?;
    }
    if controls.is_held() || call.headers.contains_key(HOLD) {
        call.authorize("s3:PutObjectLegalHold", bucket, Some(key))?;
    }
    Ok(())
}

/// Tells the lock of a version to a reader who may know it.
pub fn set_lock(response: &mut HttpResponse, object: &Object, may: &impl Fn(&str) -> bool) {
    if let Some(retention) = object.controls.retention.filter(|_| may("s3:GetObjectRetention")) {
        set_header(response, MODE, documents::mode_name(retention.mode));
        set_header(response, UNTIL, &documents::until_text(&retention));
    }
    if let Some(is_on) = shown_hold(object).filter(|_| may("s3:GetObjectLegalHold")) {
        set_header(response, HOLD, if is_on { "ON" } else { "OFF" });
    }
}

/// The legal hold as S3 tells it: off too once it was lifted, or where a retention was set.
fn shown_hold(object: &Object) -> Option<bool> {
    let by_retention = || object.controls.retention.map(|_| false);
    object.controls.legal_hold.or_else(by_retention)
}
