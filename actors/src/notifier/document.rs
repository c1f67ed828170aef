//! Events as their targets read them (S3 User Guide, "Event message structure"). Pure.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;
use time::macros::format_description;

use super::messages::TestSender;
use crate::bucket_config::EventKind;
use crate::names::Stamp;
use crate::storage::ObjectEvent;

/// The message that a target is sent: one record.
pub fn message(event: &ObjectEvent, configuration: &str, region: &str) -> Value {
    json!({ "Records": [record(event, configuration, region)] })
}

/// The record of an event.
pub fn record(event: &ObjectEvent, configuration: &str, region: &str) -> Value {
    let mut object = json!({ "key": encoded(event.key.as_str()) });
    if let Value::Object(object) = &mut object {
        if let Some(size) = event.size {
            object.insert("size".to_owned(), size.into());
        }
        if let Some(etag) = event.etag {
            object.insert("eTag".to_owned(), etag.to_string().into());
        }
        if let Some(version) = event.version_id {
            object.insert("versionId".to_owned(), version.to_string().into());
        }
        object.insert("sequencer".to_owned(), sequencer(event.sequence).into());
    }
    let origin = &event.origin;
    json!({
        "eventVersion": version(event.kind),
        "eventSource": "aws:s3",
        "awsRegion": region,
        "eventTime": time(event.sequence),
        "eventName": event.kind.name().strip_prefix("s3:").unwrap_or_default(),
        "userIdentity": { "principalId": origin.principal },
        "requestParameters": { "sourceIPAddress": origin.source_ip },
        "responseElements": { "x-amz-request-id": origin.request_id, "x-amz-id-2": origin.host_id },
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": configuration,
            "bucket": {
                "name": event.bucket.as_str(),
                "ownerIdentity": { "principalId": event.bucket_owner.as_str() },
                "arn": format!("arn:aws:s3:::{}", event.bucket),
            },
            "object": object,
        },
    })
}

/// The message for the event bus (S3 User Guide, "EventBridge event message structure").
pub fn bus_message(event: &ObjectEvent, region: &str) -> Value {
    let (detail_type, reason, deletion) = match event.kind {
        EventKind::CreatedByPut => ("Object Created", "PutObject", None),
        EventKind::CreatedByPost => ("Object Created", "POST Object", None),
        EventKind::CreatedByCopy => ("Object Created", "CopyObject", None),
        EventKind::CreatedByUpload => ("Object Created", "CompleteMultipartUpload", None),
        EventKind::Removed => ("Object Deleted", "DeleteObject", Some("Permanently Deleted")),
        EventKind::MarkerCreated => ("Object Deleted", "DeleteObject", Some("Delete Marker Created")),
        EventKind::Expired => ("Object Deleted", "Lifecycle Expiration", Some("Permanently Deleted")),
        EventKind::ExpiredByMarker => ("Object Deleted", "Lifecycle Expiration", Some("Delete Marker Created")),
        EventKind::Tagged => ("Object Tags Added", "PutObjectTagging", None),
        EventKind::Untagged => ("Object Tags Deleted", "DeleteObjectTagging", None),
        EventKind::AclChanged => ("Object ACL Updated", "PutObjectAcl", None),
        // The bus is not told of it; the name is there for whoever asks.
        EventKind::RetentionChanged => ("Object Retention Updated", "PutObjectRetention", None),
    };
    let mut object = json!({ "key": event.key.as_str() });
    if let Value::Object(object) = &mut object {
        if let Some(size) = event.size {
            object.insert("size".to_owned(), size.into());
        }
        if let Some(etag) = event.etag {
            object.insert("etag".to_owned(), etag.to_string().into());
        }
        if let Some(version) = event.version_id {
            object.insert("version-id".to_owned(), version.to_string().into());
        }
        object.insert("sequencer".to_owned(), sequencer(event.sequence).into());
    }
    let mut detail = json!({
        "version": "0",
        "bucket": { "name": event.bucket.as_str() },
        "object": object,
        "request-id": event.origin.request_id,
        "requester": event.origin.principal,
        "source-ip-address": event.origin.source_ip,
        "reason": reason,
    });
    if let (Value::Object(detail), Some(deletion)) = (&mut detail, deletion) {
        detail.insert("deletion-type".to_owned(), deletion.into());
    }
    json!({
        "version": "0",
        "id": event_id(event),
        "detail-type": detail_type,
        "source": "aws.s3",
        "account": event.bucket_owner.as_str(),
        "time": time(event.sequence),
        "region": region,
        "resources": [format!("arn:aws:s3:::{}", event.bucket)],
        "detail": detail,
    })
}

/// The message that a target is sent when it is configured.
pub fn test_message(sender: &TestSender, now: Stamp) -> Value {
    json!({
        "Service": "Amazon S3",
        "Event": "s3:TestEvent",
        "Time": time(now),
        "Bucket": sender.bucket,
        "RequestId": sender.request_id,
        "HostId": sender.host_id,
    })
}

/// Names an event, each time that it is told: 128 bits in the form of a UUID.
pub fn event_id(event: &ObjectEvent) -> String {
    let digest = Sha256::new()
        .chain_update(event.sequence.0.to_be_bytes())
        .chain_update(event.bucket.as_str())
        .chain_update([0])
        .chain_update(event.key.as_str())
        .finalize();
    let digits = hex::encode(digest);
    let parts = [(0, 8), (8, 12), (12, 16), (16, 20), (20, 32)];
    parts.map(|(from, to)| digits.get(from..to).unwrap_or_default()).join("-")
}

/// The version of the structure that S3 gives the events of a kind.
fn version(kind: EventKind) -> &'static str {
    match kind {
        EventKind::CreatedByPut
        | EventKind::CreatedByPost
        | EventKind::CreatedByCopy
        | EventKind::CreatedByUpload
        | EventKind::Removed
        | EventKind::MarkerCreated => "2.1",
        EventKind::Expired
        | EventKind::ExpiredByMarker
        | EventKind::Tagged
        | EventKind::Untagged
        | EventKind::AclChanged
        | EventKind::RetentionChanged => "2.3",
    }
}

/// Of two events of a key, the later one has the greater sequencer.
fn sequencer(sequence: Stamp) -> String {
    format!("{:016X}", sequence.0)
}

/// UTC with milliseconds.
fn time(stamp: Stamp) -> String {
    let form = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(stamp.0));
    time.ok().and_then(|time| time.format(form).ok()).unwrap_or_default()
}

/// A key as S3 writes it in events: as in a form, where a space is a plus sign, but with slashes.
fn encoded(key: &str) -> String {
    let mut out = String::with_capacity(key.len());
    for byte in key.bytes() {
        match byte {
            b' ' => out.push('+'),
            b'-' | b'_' | b'.' | b'*' | b'/' => out.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::names::{BucketName, CanonicalId, ETag, ObjectKey, VersionId};
    use crate::storage::{Cause, Origin};

    fn event(kind: EventKind) -> ObjectEvent {
        ObjectEvent {
            kind,
            bucket: BucketName::parse("photos").unwrap(),
            bucket_owner: CanonicalId::from_bytes([0xab; 32]),
            key: ObjectKey::parse("a b/ü+.jpg".as_bytes()).unwrap(),
            sequence: Stamp(1_700_000_000_123_456_789),
            size: Some(1024),
            etag: Some(ETag::single([0x11; 16])),
            version_id: Some(VersionId::Null),
            origin: Arc::new(Origin {
                cause: Cause::Request,
                principal: "AWS:user".to_owned(),
                source_ip: "192.0.2.1".to_owned(),
                request_id: "00000000000000FF".to_owned(),
                host_id: "host".to_owned(),
            }),
        }
    }

    #[test]
    fn a_record_is_as_s3_writes_it() {
        let message = message(&event(EventKind::CreatedByPut), "conf", "us-east-1");
        let record = &message["Records"][0];
        assert_eq!(record["eventVersion"], "2.1");
        assert_eq!(record["eventName"], "ObjectCreated:Put");
        assert_eq!(record["eventTime"], "2023-11-14T22:13:20.123Z");
        assert_eq!(record["userIdentity"]["principalId"], "AWS:user");
        assert_eq!(record["requestParameters"]["sourceIPAddress"], "192.0.2.1");
        assert_eq!(record["responseElements"]["x-amz-request-id"], "00000000000000FF");
        assert_eq!(record["s3"]["configurationId"], "conf");
        assert_eq!(record["s3"]["bucket"]["arn"], "arn:aws:s3:::photos");
        assert_eq!(record["s3"]["object"]["key"], "a+b/%C3%BC%2B.jpg");
        assert_eq!(record["s3"]["object"]["size"], 1024);
        assert_eq!(record["s3"]["object"]["eTag"], "11111111111111111111111111111111");
        assert_eq!(record["s3"]["object"]["versionId"], "null");
        assert_eq!(record["s3"]["object"]["sequencer"], "17979CFE3D85CD15");
        let removed = ObjectEvent { size: None, etag: None, version_id: None, ..event(EventKind::Removed) };
        let object = super::record(&removed, "", "us-east-1")["s3"]["object"].clone();
        assert_eq!(object.as_object().unwrap().keys().collect::<Vec<_>>(), ["key", "sequencer"]);
    }

    #[test]
    fn every_kind_has_a_message_for_the_bus() {
        for kind in EventKind::ALL {
            let message = bus_message(&event(*kind), "us-east-1");
            assert_eq!(message["detail"]["object"]["key"], "a b/ü+.jpg");
            assert_eq!(message["id"].as_str().unwrap().len(), 36);
            let is_deletion = message["detail-type"] == "Object Deleted";
            assert_eq!(message["detail"]["deletion-type"].is_string(), is_deletion);
        }
    }
}
