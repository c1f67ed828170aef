//! Telling of changes: the event of a change is a row of the very transaction, so neither is ever there without the other.

use std::sync::Arc;

use super::{Effect, Mutation, Planner};
use crate::bucket_config::EventKind;
use crate::names::{ETag, ObjectKey, VersionId};
use crate::storage::messages::{
    Bucket, Cause, EVENT_BUS, Object, ObjectChange, ObjectEvent, Origin, OutboxQueue, SettleEvents, Settled, Tray,
    Versioning,
};
use crate::storage::rows::{self, EventRow};
use crate::storage::{StorageError, keys};

/// MD5 of nothing: the ETag that S3 tells of a delete marker.
const EMPTY_MD5: [u8; 16] =
    [0xd4, 0x1d, 0x8c, 0xd9, 0x8f, 0x00, 0xb2, 0x04, 0xe9, 0x80, 0x09, 0x98, 0xec, 0xf8, 0x42, 0x7e];

/// What became of a key.
#[derive(Debug, Clone, Copy)]
pub(super) enum Change<'a> {
    /// A new current object.
    Created(&'a Object),
    /// This version is no more.
    Removed(VersionId),
    /// This delete marker hides the others.
    Hidden(VersionId),
    /// Something beside the bytes of a version is another than it was.
    Altered(&'a Object, EventKind),
}

impl Change<'_> {
    fn kind(self, cause: Cause) -> EventKind {
        match (self, cause) {
            // One that came in parts and counts as written by a single request is told as that.
            (Self::Created(object), _) if object.upload.is_some() && object.etag.parts.is_some() => {
                EventKind::CreatedByUpload
            }
            (Self::Created(_), Cause::Post) => EventKind::CreatedByPost,
            (Self::Created(_), Cause::Copy) => EventKind::CreatedByCopy,
            (Self::Created(_), _) => EventKind::CreatedByPut,
            (Self::Removed(_), Cause::Lifecycle) => EventKind::Expired,
            (Self::Removed(_), _) => EventKind::Removed,
            (Self::Hidden(_), Cause::Lifecycle) => EventKind::ExpiredByMarker,
            (Self::Hidden(_), _) => EventKind::MarkerCreated,
            (Self::Altered(_, kind), _) => kind,
        }
    }

    fn size(self) -> Option<u64> {
        match self {
            Self::Created(object) | Self::Altered(object, _) => Some(object.size),
            Self::Removed(_) | Self::Hidden(_) => None,
        }
    }

    fn etag(self) -> Option<ETag> {
        match self {
            Self::Created(object) | Self::Altered(object, _) => Some(object.etag),
            Self::Hidden(_) => Some(ETag::single(EMPTY_MD5)),
            Self::Removed(_) => None,
        }
    }

    fn version(self) -> VersionId {
        match self {
            Self::Created(object) | Self::Altered(object, _) => object.version_id,
            Self::Removed(version) | Self::Hidden(version) => version,
        }
    }
}

/// The event of a change beside the bytes; S3 has none of legal holds and keys.
pub(super) fn kind_of(change: &ObjectChange) -> Option<EventKind> {
    match change {
        ObjectChange::Tags(tags) if tags.is_empty() => Some(EventKind::Untagged),
        ObjectChange::Tags(_) => Some(EventKind::Tagged),
        ObjectChange::Acl(_) => Some(EventKind::AclChanged),
        ObjectChange::Retention { .. } => Some(EventKind::RetentionChanged),
        ObjectChange::LegalHold(_) | ObjectChange::Rewrap { .. } | ObjectChange::MoveToKey { .. } => None,
    }
}

impl Planner<'_> {
    /// Tells whom the bucket wants to be told of a change, and who listens; costs nothing where that is nobody.
    pub(super) fn tell(&mut self, bucket: &Bucket, key: &ObjectKey, change: Change<'_>) -> Result<(), StorageError> {
        let notification = bucket.config.notification.as_ref();
        let is_heard = self.state.feed.is_heard();
        if notification.is_none() && !is_heard {
            return Ok(());
        }
        let origin = match &self.origin {
            Some(origin) => Arc::clone(origin),
            None => Arc::new(Origin::of_node(Cause::Request)),
        };
        let kind = change.kind(origin.cause);
        let told = notification.into_iter().flat_map(|notification| {
            let targets = notification.targets.iter().filter(|target| target.is_told(kind, key.as_str()));
            let bus = (notification.event_bridge && kind.is_told_to_the_bus()).then_some((EVENT_BUS, ""));
            targets.map(|target| (target.arn.as_str(), target.id.as_str())).chain(bus)
        });
        let told: Vec<_> = told.collect();
        if told.is_empty() && !is_heard {
            return Ok(());
        }
        let sequence = match change {
            Change::Created(object) => object.stamp,
            _ => self.stamp(None),
        };
        let event = ObjectEvent {
            kind,
            bucket: bucket.name.clone(),
            bucket_owner: bucket.owner.clone(),
            key: key.clone(),
            sequence,
            size: change.size(),
            etag: change.etag(),
            version_id: (bucket.versioning != Versioning::Off).then(|| change.version()),
            origin,
        };
        for (target, configuration) in told {
            let queue = OutboxQueue { bucket: bucket.id, target: Arc::from(target) };
            let row = rows::encode(&EventRow::of(&event, configuration))?;
            self.change(keys::event(Tray::Pending, &queue, sequence), Some(row));
            self.effects.push(Effect::Queued(queue));
        }
        if is_heard {
            self.effects.push(Effect::Happened(Arc::new(event)));
        }
        Ok(())
    }
}

impl Mutation for SettleEvents {
    /// How many of the events were there.
    type Output = usize;

    fn plan(self, planner: &mut Planner<'_>) -> Result<usize, StorageError> {
        let mut settled = 0;
        for (queue, sequence, outcome) in self.events.into_iter().take(Self::CHANGES_MAX) {
            let row_key = keys::event(self.tray, &queue, sequence);
            let Some(row) = planner.rows.get(&row_key)? else { continue };
            settled += 1;
            planner.change(row_key, None);
            let mut row: EventRow = rows::decode(&row)?;
            let tray = match outcome {
                Settled::Done => continue,
                Settled::Dead(reason) => {
                    row.error = Some(reason);
                    Tray::Dead
                }
                Settled::Replayed => {
                    row.error = None;
                    row.since = planner.state.clock.now().0.max(row.since);
                    Tray::Pending
                }
            };
            planner.change(keys::event(tray, &queue, sequence), Some(rows::encode(&row)?));
            if tray == Tray::Pending {
                planner.effects.push(Effect::Queued(queue));
            }
        }
        Ok(settled)
    }
}
