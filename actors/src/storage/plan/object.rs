//! Writing and deleting objects.

use std::sync::Arc;

use super::copies::Leaves;
use super::events::Change;
use super::lineage::lineage_row;
use super::versions::{self, Tally, Unlocked};
use super::{Effect, Growth, Mutation, Planner, replica};
use crate::names::{BucketId, ETag, ObjectKey, Stamp, VersionId};
use crate::storage::body::{BodyPlace, ObjectBody};
use crate::storage::messages::{
    Applied, Bucket, DeleteObject, Deleted, ETagCondition, Object, PutObject, Replica, Stored, Versioning,
    WriteConditions,
};
use crate::storage::quota::Reserved;
use crate::storage::read::{current_row, find_version};
use crate::storage::replication::kept;
use crate::storage::rows::{self, Location, ObjectRow};
use crate::storage::steps::{self, Place, Source, Step};
use crate::storage::{StorageError, keys};

/// Decides preconditions against the current object (S3 API Reference, PutObject and DeleteObject, conditional headers).
pub(in crate::storage) fn check_conditions(
    conditions: &WriteConditions,
    key: &ObjectKey,
    current: Option<&ObjectRow>,
) -> Result<(), StorageError> {
    let matches = |condition: &ETagCondition, row: &ObjectRow| match condition {
        ETagCondition::Any => true,
        ETagCondition::OneOf(tags) => tags.contains(&ETag { md5: row.md5, parts: row.parts }),
    };
    let failed = |condition| Err(StorageError::PreconditionFailed { condition });
    if let (Some(condition), Some(row)) = (&conditions.if_none_match, current)
        && matches(condition, row)
    {
        return failed("If-None-Match");
    }
    let Some(row) = current else {
        let missing = || StorageError::NoSuchKey { key: key.clone(), delete_marker: None };
        return if conditions.if_match.is_some() { Err(missing()) } else { Ok(()) };
    };
    if conditions.if_match.as_ref().is_some_and(|condition| !matches(condition, row)) {
        return failed("If-Match");
    }
    if conditions.if_match_last_modified.is_some_and(|seconds| row.modified().seconds() != seconds) {
        return failed("x-amz-if-match-last-modified-time");
    }
    if conditions.if_match_size.is_some_and(|size| row.size != size) {
        return failed("x-amz-if-match-size");
    }
    Ok(())
}

/// A new current object, whole: what PutObject and CompleteMultipartUpload have in common.
pub(in crate::storage) struct ObjectWrite<'a> {
    pub bucket: &'a Bucket,
    pub key: &'a ObjectKey,
    pub conditions: &'a WriteConditions,
    /// The object but for its stamp.
    pub object: Object,
    pub bytes: BodyPlace,
    /// What was promised to it.
    pub reserved: Option<Reserved>,
    /// Where it comes from, if it is another node's.
    pub replica: Option<Box<Replica>>,
}

impl ObjectWrite<'_> {
    /// Plans row, counters and file of the object; the stamp is decided here.
    pub fn plan(mut self, planner: &mut Planner<'_>) -> Result<Stored, StorageError> {
        let replica = self.replica.take();
        if let Some(replica) = replica.as_deref().filter(|replica| replica::places_write(replica, self.bucket)) {
            return replica::write(self, replica, planner);
        }
        let (bucket, key) = (self.bucket, self.key);
        let previous = current_row(planner.rows, bucket.id, key)?.map(|(_, row)| row);
        check_conditions(self.conditions, key, previous.as_ref())?;
        if let Some(replica) = &replica {
            planner.keep_changes(bucket)?;
            if replica::is_known(planner, bucket, key, previous.as_ref(), replica)? {
                let object = previous.map(|row| row.into_object(&bucket.owner)).transpose()?;
                return Ok(replica::stored(bucket, object.unwrap_or(self.object), Applied::Known));
            }
        }
        let stamp = planner.stamp(previous.as_ref().map(|p| Stamp(p.stamp)));
        let mut object = self.object;
        object.stamp = stamp;
        object.lineage = None;
        let keeps_changes = replica.is_some() || planner.keeps_changes(bucket)?;
        if keeps_changes {
            let is_null = bucket.versioning != Versioning::Enabled;
            let mut lineage = planner.change_of_own(bucket, key, previous.as_ref(), is_null, stamp)?;
            replica.iter().for_each(|replica| lineage.won.insert(replica.change));
            object.lineage = kept(lineage, stamp, planner.own());
        }
        let clock = object.lineage.as_ref().map_or(stamp, |lineage| Stamp(lineage.change.clock));
        object.version_id = versions::version_id(bucket.versioning, clock)?;
        lock(&mut object, bucket, None)?;
        let location = choose_location(planner, bucket.id, key, object.size, previous.as_ref())?;
        let row = ObjectRow::of(&object, location, &bucket.owner);
        let mut tally = Tally::default();
        let mut replaced = None;
        match previous {
            Some(previous) if versions::replaces(bucket.versioning, &previous) => {
                tally.remove_object(planner.unlocked(key, &previous, false)?);
                replaced = Some(previous);
            }
            Some(previous) => versions::archive(planner, &mut tally, bucket, key, previous, false)?,
            None => {}
        }
        if bucket.versioning == Versioning::Suspended && replaced.is_none() {
            versions::drop_null(planner, &mut tally, bucket, key)?;
        }
        let change = planner.change(keys::object(bucket.id, key.as_bytes()), Some(rows::encode(&row)?));
        tally.add_object(&row);
        tally.count(planner, bucket.id)?;
        planner.charge(self.reserved, Growth::Within)?;
        let place = place_of(bucket, key, &row);
        plan_file(planner, &place, object.stored_size(), change, self.bytes);
        if let Some(replaced) = replaced {
            drop_previous(planner, bucket, key, &replaced, Some(&place));
        }
        planner.tell(bucket, key, Change::Created(&object))?;
        if keeps_changes {
            let sent = (&object.attributes.tags[..], object.size);
            planner.send_object(bucket, key, object.version_id, sent, replica::known_to(replica.as_deref()))?;
        }
        Ok(replica::stored(bucket, object, Applied::Applied))
    }
}

/// Locks a new object as it asks, or as its bucket does by default, from when it was `written`, if that is not now.
pub(super) fn lock(object: &mut Object, bucket: &Bucket, written: Option<Stamp>) -> Result<(), StorageError> {
    let controls = &mut object.controls;
    match bucket.config.object_lock {
        Some(lock) => {
            let by_default = lock.default.map(|default| default.from(written.unwrap_or(object.stamp).millis()));
            controls.retention = controls.retention.or(by_default);
            Ok(())
        }
        None if controls.retention.is_some() || controls.is_held() => {
            Err(StorageError::LockNotEnabled { bucket: bucket.name.clone() })
        }
        None => Ok(()),
    }
}

pub(super) fn plan_file(planner: &mut Planner<'_>, place: &Place, size: u64, row: u32, bytes: BodyPlace) {
    let stamp = Stamp(place.stamp);
    if place.key.ends_with('/') {
        planner.step(Step::MakeFolder {
            bucket_id: place.bucket_id,
            bucket: place.bucket.clone(),
            key: place.key.clone(),
            row: (place.location == Location::Folder).then_some(row),
        });
    }
    if place.location == Location::Folder {
        if let BodyPlace::Staged(file) = bytes {
            planner.step(Step::Discard { name: file.keep() });
        }
        return;
    }
    let source = match bytes {
        BodyPlace::Inline(body) => {
            planner.entry.body = Some(body);
            planner.effects.push(Effect::BytesPending(stamp, None));
            Source::Journal
        }
        BodyPlace::Staged(file) => {
            let name = file.keep();
            planner.effects.push(Effect::BytesPending(stamp, Some(name.clone())));
            Source::Staged { name }
        }
    };
    planner.step(Step::Write { place: place.clone(), source, size, row });
}

/// The place of an object's bytes.
pub(in crate::storage) fn place_of(bucket: &Bucket, key: &ObjectKey, row: &ObjectRow) -> Place {
    Place {
        bucket_id: bucket.id.0,
        bucket: bucket.name.as_str().to_owned(),
        key: key.as_str().to_owned(),
        location: row.location,
        stamp: row.stamp,
        clock: Some(row.clock().0).filter(|clock| *clock != row.stamp),
    }
}

/// Drops what belongs to an object that is no more: its part list, and its file unless the new one takes its place.
pub(super) fn drop_previous(
    planner: &mut Planner<'_>,
    bucket: &Bucket,
    key: &ObjectKey,
    previous: &ObjectRow,
    new: Option<&Place>,
) {
    if previous.listed_parts().is_some() {
        planner.change(keys::part_list(bucket.id, Stamp(previous.stamp)), None);
    }
    let place = place_of(bucket, key, previous);
    let taken = new.is_some_and(|new| new.path() == place.path());
    if previous.location != Location::Folder && !taken {
        planner.step(Step::Remove { place });
    }
    if new.is_none() && key.as_str().ends_with('/') {
        let (name, key) = (bucket.name.as_str().to_owned(), key.as_str().to_owned());
        planner.step(Step::RemoveFolder { bucket_id: bucket.id.0, bucket: name, key });
    }
}

/// Decides where an object's bytes lie: at its plain path if the key is one and nothing of the bucket stands in its way.
pub(super) fn choose_location(
    planner: &Planner<'_>,
    bucket: BucketId,
    key: &ObjectKey,
    size: u64,
    previous: Option<&ObjectRow>,
) -> Result<Location, StorageError> {
    let text = key.as_str();
    if text.ends_with('/') {
        return Ok(if size == 0 { Location::Folder } else { Location::Overflow });
    }
    if previous.is_some_and(|p| p.location == Location::Plain) {
        return Ok(Location::Plain);
    }
    if !steps::is_plain_path(text) || text.len() > planner.state.plain_key_bytes_max {
        return Ok(Location::Overflow);
    }
    if planner.state.folds_case && text.chars().any(|c| !c.is_ascii() || c.is_ascii_uppercase()) {
        return Ok(Location::Overflow);
    }
    for folder in steps::folders_of(text) {
        if let Some(row) = planner.rows.get(&keys::object(bucket, folder.as_bytes()))?
            && rows::decode::<ObjectRow>(&row)?.location == Location::Plain
        {
            return Ok(Location::Overflow);
        }
    }
    let below = keys::object(bucket, format!("{text}/").as_bytes());
    let blocked = planner.rows.first(&below, &keys::successor(&below))?.is_some();
    Ok(if blocked { Location::Overflow } else { Location::Plain })
}

impl Mutation for PutObject {
    type Output = Stored;

    fn plan(self, planner: &mut Planner<'_>) -> Result<Stored, StorageError> {
        let bucket = planner.live(&self.bucket)?;
        let ObjectBody { size, digests, etag, sealed, place: bytes, reserved } = self.body.into_object()?;
        let object = Object {
            version_id: VersionId::Null,
            stamp: Stamp(0),
            size,
            etag: ETag::single(etag),
            crc64nvme: digests.crc64nvme,
            checksum: self.checksum,
            owner: self.owner,
            attributes: self.attributes,
            controls: self.controls,
            upload: None,
            sealed,
            lineage: None,
        };
        let conditions = &self.conditions;
        let replica = self.replica;
        ObjectWrite { bucket: &bucket, key: &self.key, conditions, object, bytes, reserved, replica }.plan(planner)
    }
}

impl Mutation for DeleteObject {
    type Output = Deleted;

    fn plan(self, planner: &mut Planner<'_>) -> Result<Deleted, StorageError> {
        let bucket = planner.live(&self.bucket)?;
        let mut message = self;
        if let Some(replica) =
            message.replica.take_if(|replica| replica::places_delete(replica, &bucket, message.version))
        {
            message.check_replica(planner, &bucket)?;
            return replica::delete(message, &replica, planner, &bucket);
        }
        match message.version {
            Some(version) => message.delete_version(planner, &bucket, version),
            None => message.delete_current(planner, &bucket),
        }
    }
}

impl DeleteObject {
    /// Removes the current object, or, where versions are kept, hides it behind a delete marker.
    fn delete_current(self, planner: &mut Planner<'_>, bucket: &Bucket) -> Result<Deleted, StorageError> {
        let key = &self.key;
        let current = current_row(planner.rows, bucket.id, key)?;
        check_conditions(&self.conditions, key, current.as_ref().map(|(_, row)| row))?;
        let before = current.as_ref().map(|(_, row)| row);
        if let Some(replica) = &self.replica {
            planner.keep_changes(bucket)?;
            if replica::is_known(planner, bucket, key, before, replica)? {
                return Ok(Deleted { applied: Applied::Known, ..Deleted::default() });
            }
        }
        let mut tally = Tally::default();
        let keeps_changes = self.replica.is_some() || planner.keeps_changes(bucket)?;
        if bucket.versioning == Versioning::Off {
            let Some((row_key, row)) = current else { return Ok(Deleted::default()) };
            if keeps_changes {
                let (stamp, lineage) = planner.delete_of_own(&row)?;
                planner.bury(bucket, key, VersionId::Null, stamp, &lineage)?;
                planner.send_delete(bucket, key, None, [None; 2])?;
            }
            tally.remove_object(planner.unlocked(key, &row, false)?);
            planner.change(row_key, None);
            tally.count(planner, bucket.id)?;
            drop_previous(planner, bucket, key, &row, None);
            planner.tell(bucket, key, Change::Removed(VersionId::Null))?;
            return Ok(Deleted::default());
        }
        let after = current.as_ref().map(|(_, row)| Stamp(row.stamp));
        let stamp = planner.stamp(after);
        let mut lineage = None;
        if keeps_changes {
            let is_null = bucket.versioning == Versioning::Suspended;
            let mut change = planner.change_of_own(bucket, key, before, is_null, stamp)?;
            self.replica.iter().for_each(|replica| change.won.insert(replica.change));
            lineage = lineage_row(change, stamp, planner.own());
        }
        if bucket.versioning == Versioning::Suspended {
            versions::drop_null(planner, &mut tally, bucket, key)?;
        }
        if let Some((row_key, row)) = current {
            planner.change(row_key, None);
            if versions::replaces(bucket.versioning, &row) {
                tally.remove_object(planner.unlocked(key, &row, false)?);
                drop_previous(planner, bucket, key, &row, None);
            } else {
                versions::archive(planner, &mut tally, bucket, key, row, true)?;
            }
        }
        let marker = versions::mark(planner, &mut tally, bucket, key, self.owner, (stamp, lineage))?;
        tally.count(planner, bucket.id)?;
        planner.tell(bucket, key, Change::Hidden(marker))?;
        if keeps_changes {
            planner.send_delete(bucket, key, Some(marker), replica::known_to(self.replica.as_deref()))?;
        }
        Ok(Deleted { version_id: Some(marker), delete_marker: true, applied: Applied::default() })
    }

    /// What is asked of a request holds for what other nodes send, too. Errs: NoSuchKey, PreconditionFailed.
    fn check_replica(&self, planner: &Planner<'_>, bucket: &Bucket) -> Result<(), StorageError> {
        if self.conditions == WriteConditions::default() {
            return Ok(());
        }
        let found = match self.version {
            None => current_row(planner.rows, bucket.id, &self.key)?,
            Some(version) => find_version(planner.rows, bucket.id, &self.key, version)?,
        };
        let object = found.as_ref().map(|(_, row)| row).filter(|row| !row.is_marker());
        check_conditions(&self.conditions, &self.key, object)
    }

    /// Removes one version, or a delete marker, for good; the next one becomes current.
    fn delete_version(
        self,
        planner: &mut Planner<'_>,
        bucket: &Bucket,
        version: VersionId,
    ) -> Result<Deleted, StorageError> {
        let key = &self.key;
        let found = find_version(planner.rows, bucket.id, key, version)?;
        let object = found.as_ref().map(|(_, row)| row).filter(|row| !row.is_marker());
        check_conditions(&self.conditions, key, object)?;
        let mut outcome = Deleted { version_id: Some(version), delete_marker: false, applied: Applied::default() };
        let Some((row_key, row)) = found else { return Ok(outcome) };
        outcome.delete_marker = row.is_marker();
        let mut tally = Tally::default();
        let there = (row_key, row);
        let unlocked = planner.unlocked(key, &there.1, self.bypass_governance)?;
        planner.take_away(&mut tally, bucket, key, (&there.0, unlocked), Leaves::ForGood, false)?;
        replica::promote(planner, &mut tally, bucket, key, &there)?;
        tally.count(planner, bucket.id)?;
        planner.tell(bucket, key, Change::Removed(version))?;
        if planner.keeps_changes(bucket)? {
            let (stamp, lineage) = planner.delete_of_own(&there.1)?;
            planner.bury(bucket, key, version, stamp, &lineage)?;
            planner.send_version_delete(bucket, key, version, [None; 2])?;
        }
        Ok(outcome)
    }
}

/// Tells the row of an object where its file is, after the file was not, or could not be put, where the row says.
#[derive(Debug, Clone)]
pub(in crate::storage) enum Relocate {
    /// Something that the node does not know stands at its plain path: it went to overflow.
    ToOverflow(Place),
    /// It was to be adopted, and somebody removed it.
    Nowhere(Place),
}

impl Mutation for Relocate {
    type Output = ();

    fn plan(self, planner: &mut Planner<'_>) -> Result<(), StorageError> {
        let (Self::ToOverflow(place) | Self::Nowhere(place)) = &self;
        let bucket = BucketId(place.bucket_id);
        let live = planner.state.buckets.values().find(|live| live.id == bucket).map(Arc::clone);
        if let Some(live) = &live {
            planner.concerns(live);
        }
        let rows_of = [keys::object(bucket, place.key.as_bytes()), place.version_key()];
        let mut found = None;
        for row_key in rows_of {
            let row = planner.rows.get(&row_key)?.map(|row| rows::decode::<ObjectRow>(&row)).transpose()?;
            found = found.or(row.filter(|row| row.stamp == place.stamp).map(|row| (row_key, row)));
        }
        match (&self, found) {
            (Self::ToOverflow(_), Some((row_key, mut row))) => {
                row.location = Location::Overflow;
                planner.change(row_key, Some(rows::encode(&row)?));
            }
            // Overwritten or deleted meanwhile: nothing names the overflow file any more.
            (Self::ToOverflow(place), None) => {
                planner.step(Step::Remove { place: Place { location: Location::Overflow, ..place.clone() } });
            }
            (Self::Nowhere(_), Some((row_key, row))) => {
                let mut tally = Tally::default();
                let is_current = row_key == keys::object(bucket, place.key.as_bytes());
                planner.change(row_key, None);
                if !is_current {
                    tally.remove_version(Unlocked::lost(&row));
                    if row.version.is_none() {
                        planner.change(keys::null_version(bucket, place.key.as_bytes()), None);
                    }
                } else {
                    tally.remove_object(Unlocked::lost(&row));
                    if let (Some(live), Ok(key)) = (live, ObjectKey::parse(place.key.as_bytes())) {
                        versions::promote_next(planner, &mut tally, &live, &key, Some(&row), None)?;
                    }
                }
                tally.count(planner, bucket)?;
                let live = planner.state.buckets.values().find(|live| live.id == bucket).cloned();
                if let (Some(live), Ok(key)) = (live, ObjectKey::parse(place.key.as_bytes())) {
                    planner.tell(&live, &key, Change::Removed(row.version_id()))?;
                    if planner.keeps_changes(&live)? {
                        let (stamp, lineage) = planner.delete_of_own(&row)?;
                        planner.bury(&live, &key, row.version_id(), stamp, &lineage)?;
                        planner.send_version_delete(&live, &key, row.version_id(), [None; 2])?;
                    }
                }
            }
            (Self::Nowhere(_), None) => {}
        }
        Ok(())
    }
}
