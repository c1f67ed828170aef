//! Events of the outbox as rows, and back.

use std::sync::Arc;

use super::EventRow;
use crate::bucket_config::EventKind;
use crate::names::{BucketName, CanonicalId, ETag, ObjectKey, Stamp, VersionId};
use crate::storage::StorageError;
use crate::storage::messages::{Cause, ObjectEvent, Origin, QueuedEvent};

impl EventRow {
    pub fn of(event: &ObjectEvent, configuration: &str) -> Self {
        let origin = &event.origin;
        let version = |id| match id {
            VersionId::Null => (0, 0),
            VersionId::Unique { stamp, random } => (stamp.0, random),
        };
        Self {
            kind: event.kind.code(),
            bucket: event.bucket.as_str().to_owned(),
            bucket_owner: event.bucket_owner.to_bytes().into(),
            key: event.key.as_str().to_owned(),
            configuration: configuration.to_owned(),
            since: event.sequence.0,
            size: event.size,
            etag: event.etag.map(|etag| (etag.md5.into(), etag.parts)),
            version: event.version_id.map(version),
            principal: origin.principal.clone(),
            source_ip: origin.source_ip.clone(),
            request_id: origin.request_id.clone(),
            host_id: origin.host_id.clone(),
            error: None,
        }
    }

    /// The event whose row's key has this sequence.
    pub fn into_event(self, sequence: Stamp) -> Result<QueuedEvent, StorageError> {
        let malformed = |what: &str| StorageError::Index(format!("an event of an unknown {what}"));
        let origin = Origin {
            cause: Cause::Request,
            principal: self.principal,
            source_ip: self.source_ip,
            request_id: self.request_id,
            host_id: self.host_id,
        };
        let event = ObjectEvent {
            kind: EventKind::of_code(self.kind).ok_or_else(|| malformed("kind"))?,
            bucket: BucketName::parse(&self.bucket).map_err(|_| malformed("bucket"))?,
            bucket_owner: CanonicalId::from_bytes(self.bucket_owner.into()),
            key: ObjectKey::parse(self.key.as_bytes()).map_err(|_| malformed("key"))?,
            sequence,
            size: self.size,
            etag: self.etag.map(|(md5, parts)| ETag { md5: md5.into(), parts }),
            version_id: self.version.map(|(stamp, random)| match (stamp, random) {
                (0, 0) => VersionId::Null,
                (stamp, random) => VersionId::Unique { stamp: Stamp(stamp), random },
            }),
            origin: Arc::new(origin),
        };
        Ok(QueuedEvent { configuration: self.configuration, event, since: Stamp(self.since), error: self.error })
    }
}
