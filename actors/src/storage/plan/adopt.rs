//! Taking a plain file as it is for the current object of its key: one that a person put there, or edited.

use std::sync::Arc;

use super::events::Change;
use super::lineage::lineage_row;
use super::object::{choose_location, drop_previous, place_of};
use super::versions::{self, Tally};
use super::{Effect, Growth, Mutation, Planner};
use crate::names::{ETag, ObjectKey, Stamp, VersionId};
use crate::storage::digest::Digests;
use crate::storage::disk::FileStamp;
use crate::storage::messages::{Attributes, Bucket, Controls, Object};
use crate::storage::rows::{self, Location, ObjectRow};
use crate::storage::steps::Step;
use crate::storage::{StorageError, keys};

/// A file whose bytes were hashed, at the plain path of its key.
pub(in crate::storage) struct Adopt {
    pub bucket: Arc<Bucket>,
    pub key: ObjectKey,
    /// Stamp of the row when the file was hashed; none when there was none.
    pub expected: Option<Stamp>,
    /// What the file was when it was hashed.
    pub seen: FileStamp,
    pub digests: Digests,
}

/// What became of a file that was to be the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::storage) enum Taken {
    /// It is the object now.
    Yes,
    /// The key was written meanwhile, or another object is in its way.
    No,
    /// The object must stay what it was, for this reason.
    Kept(&'static str),
}

impl Mutation for Adopt {
    type Output = Taken;

    fn plan(self, planner: &mut Planner<'_>) -> Result<Taken, StorageError> {
        let bucket = planner.live(&self.bucket)?;
        let row_key = keys::object(bucket.id, self.key.as_bytes());
        let previous = planner.rows.get(&row_key)?.map(|row| rows::decode::<ObjectRow>(&row)).transpose()?;
        if previous.as_ref().map(|row| Stamp(row.stamp)) != self.expected {
            return Ok(Taken::No);
        }
        let location = choose_location(planner, bucket.id, &self.key, self.seen.size, previous.as_ref())?;
        if location != Location::Plain || previous.as_ref().is_some_and(|row| row.location != Location::Plain) {
            return Ok(Taken::No);
        }
        let (size, modified) = (self.seen.size, self.seen.modified.0);
        if let Some(row) = previous.as_ref().filter(|row| is_same(row, &self.seen, &self.digests)) {
            let place = place_of(&bucket, &self.key, row);
            planner.effects.push(Effect::BytesInPlace(Stamp(place.stamp), self.seen));
            // The right bytes, put back by somebody: it is served again.
            let mended = row.damaged.map(|_| ObjectRow { damaged: None, ..row.clone() });
            let row = mended.map(|row| rows::encode(&row)).transpose()?.map(|row| planner.change(row_key, Some(row)));
            planner.step(Step::Adopt { place, size, modified, row });
            return Ok(Taken::Yes);
        }
        let now = planner.state.clock.now().0 / 1_000_000;
        if let Some(reason) = previous.as_ref().and_then(|row| must_stay(row, &self.key, now)) {
            return Ok(Taken::Kept(reason));
        }
        let stamp = planner.stamp(previous.as_ref().map(|row| Stamp(row.stamp)));
        // An edited object stays the null version that it was; a file that is new is a version like any other.
        let version = match previous {
            Some(_) => VersionId::Null,
            None => versions::version_id(bucket.versioning, stamp)?,
        };
        let mut row = adopted_row(previous.as_ref(), &bucket, stamp, version, size, &self.digests);
        let keeps_changes = planner.keeps_changes(&bucket)?;
        if keeps_changes {
            let is_null = version == VersionId::Null;
            let change = planner.change_of_own(&bucket, &self.key, previous.as_ref(), is_null, stamp)?;
            row.lineage = lineage_row(change, stamp, planner.own());
        }
        let row = match (&previous, bucket.config.object_lock.and_then(|lock| lock.default)) {
            (None, Some(default)) => {
                let retention = Some(default.from(stamp.0 / 1_000_000));
                let controls = Controls { retention, ..Controls::default() };
                ObjectRow { controls: Some((&controls).into()), ..row }
            }
            _ => row,
        };
        let mut tally = Tally::default();
        match &previous {
            Some(previous) => tally.remove_object(planner.unlocked(&self.key, previous, false)?),
            None if version == VersionId::Null => versions::drop_null(planner, &mut tally, &bucket, &self.key)?,
            None => {}
        }
        let change = planner.change(row_key, Some(rows::encode(&row)?));
        tally.add_object(&row);
        tally.count(planner, bucket.id)?;
        // The bytes are there already, whatever is refused.
        planner.charge(None, Growth::Regardless)?;
        let place = place_of(&bucket, &self.key, &row);
        if let Some(previous) = &previous {
            drop_previous(planner, &bucket, &self.key, previous, Some(&place));
        }
        planner.effects.push(Effect::BytesInPlace(stamp, self.seen));
        planner.step(Step::Adopt { place, size, modified, row: Some(change) });
        let object = row.into_object(&bucket.owner)?;
        planner.tell(&bucket, &self.key, Change::Created(&object))?;
        if keeps_changes {
            let sent = (&object.attributes.tags[..], object.size);
            planner.send_object(&bucket, &self.key, object.version_id, sent, [None; 2])?;
        }
        Ok(Taken::Yes)
    }
}

/// Why other bytes in an object's file are damage, and never a new state of it.
pub(in crate::storage) fn must_stay(row: &ObjectRow, key: &ObjectKey, now_millis: u64) -> Option<&'static str> {
    if row.sealed.is_some() {
        return Some("it is encrypted, and only the node can write such");
    }
    if row.version.is_some() {
        return Some("it is a version, which never changes");
    }
    versions::unlocked(row, key, now_millis, false).is_err().then_some("it is locked")
}

/// Whether a file's bytes are still those of a row.
pub(in crate::storage) fn is_same(row: &ObjectRow, seen: &FileStamp, digests: &Digests) -> bool {
    if let Some(sealed) = &row.sealed {
        return sealed.size == seen.size && sealed.crc64nvme == digests.crc64nvme;
    }
    let same_md5 = row.parts.is_some() || digests.md5 == Some(row.md5);
    row.size == seen.size && row.crc64nvme == digests.crc64nvme && same_md5
}

/// The row of a file that is the object now. What was said about an edited object beside its bytes stays.
pub(in crate::storage) fn adopted_row(
    previous: Option<&ObjectRow>,
    bucket: &Bucket,
    stamp: Stamp,
    version_id: VersionId,
    size: u64,
    digests: &Digests,
) -> ObjectRow {
    let object = Object {
        version_id,
        stamp,
        size,
        // Of a file it is always computed.
        etag: ETag::single(digests.md5.unwrap_or_default()),
        crc64nvme: digests.crc64nvme,
        checksum: None,
        owner: bucket.owner.clone(),
        attributes: Attributes::default(),
        controls: Controls::default(),
        upload: None,
        sealed: None,
        lineage: None,
    };
    let plain = ObjectRow::of(&object, Location::Plain, &bucket.owner);
    match previous {
        Some(row) => {
            ObjectRow { attributes: row.attributes.clone(), owner: row.owner, controls: row.controls.clone(), ..plain }
        }
        None => plain,
    }
}
