//! What a bucket's versioning asks of a write or delete: keeping versions, replacing the null version, bringing back the one
//! before.
//!
//! INVARIANT: the newest version of a key is the row of its current object, unless it is a delete marker. All other versions,
//! and all delete markers, are rows among the versions, newest first. At most one version of a key is the null version; while
//! it is among the versions, a row of its own tells its stamp.

use super::key_use::KeyTally;
use super::object::{choose_location, place_of};
use super::{Planner, random};
use crate::bucket_config::Retention;
use crate::names::{BucketId, CanonicalId, ETag, ObjectKey, Stamp, VersionId};
use crate::storage::messages::{Attributes, Bucket, Controls, Object, Usage, Versioning};
use crate::storage::read::newest_noncurrent;
use crate::storage::rows::{self, LineageRow, Location, ObjectRow};
use crate::storage::steps::Step;
use crate::storage::{StorageError, keys};

/// What a transaction adds to a bucket's counters.
#[derive(Debug, Default)]
pub(super) struct Tally {
    objects: i64,
    bytes: i64,
    versions: i64,
    markers: i64,
    old_bytes: i64,
    keys: KeyTally,
}

impl Tally {
    pub fn add_object(&mut self, row: &ObjectRow) {
        self.objects += 1;
        self.bytes = self.bytes.saturating_add_unsigned(row.size);
        self.keys.object(row, 1);
    }

    /// The current object goes.
    pub fn remove_object(&mut self, Unlocked(row): Unlocked<'_>) {
        self.objects -= 1;
        self.bytes = self.bytes.saturating_sub_unsigned(row.size);
        self.keys.object(row, -1);
    }

    pub fn add_version(&mut self, row: &ObjectRow) {
        self.versions += 1;
        self.bytes = self.bytes.saturating_add_unsigned(row.size);
        self.old_bytes = self.old_bytes.saturating_add_unsigned(row.size);
        self.keys.object(row, 1);
    }

    pub fn add_marker(&mut self) {
        self.versions += 1;
        self.markers += 1;
    }

    /// The current object becomes a noncurrent version, or that the current object.
    fn moved(&mut self, row: &ObjectRow, becomes_current: bool) {
        let by = if becomes_current { 1 } else { -1 };
        self.objects += by;
        self.versions -= by;
        self.old_bytes = match becomes_current {
            true => self.old_bytes.saturating_sub_unsigned(row.size),
            false => self.old_bytes.saturating_add_unsigned(row.size),
        };
    }

    /// A noncurrent version, a copy of what lost, or a delete marker goes.
    pub fn remove_version(&mut self, Unlocked(row): Unlocked<'_>) {
        self.versions -= 1;
        self.markers -= i64::from(row.is_marker());
        self.bytes = self.bytes.saturating_sub_unsigned(row.size);
        self.old_bytes = self.old_bytes.saturating_sub_unsigned(row.size);
        self.keys.object(row, -1);
    }

    /// Brings it into the counters. Once in a transaction: they are read as they were before it.
    pub fn count(&self, planner: &mut Planner<'_>, bucket: BucketId) -> Result<(), StorageError> {
        planner.count(bucket, |usage| {
            *usage = Usage {
                objects: usage.objects.saturating_add_signed(self.objects),
                bytes: usage.bytes.saturating_add_signed(self.bytes),
                versions: usage.versions.saturating_add_signed(self.versions),
                markers: usage.markers.saturating_add_signed(self.markers),
                old_bytes: usage.old_bytes.saturating_add_signed(self.old_bytes),
                ..*usage
            };
        })?;
        self.keys.count(planner)
    }

    /// Only what is wrapped under keys, where the other counters go.
    pub fn count_keys(&self, planner: &mut Planner<'_>) -> Result<(), StorageError> {
        self.keys.count(planner)
    }
}

/// Whether a new version takes the place of `previous`, rather than following it.
pub(super) fn replaces(versioning: Versioning, previous: &ObjectRow) -> bool {
    match versioning {
        Versioning::Off => true,
        Versioning::Enabled => false,
        Versioning::Suspended => previous.version.is_none(),
    }
}

/// The version id of a commit of this clock.
pub(super) fn version_id(versioning: Versioning, stamp: Stamp) -> Result<VersionId, StorageError> {
    Ok(match versioning {
        Versioning::Enabled => VersionId::Unique { stamp, random: random()? },
        Versioning::Off | Versioning::Suspended => VersionId::Null,
    })
}

/// Makes the current object a noncurrent version. Its row as an object is then to be replaced or removed; `leaves` if it is removed.
pub(super) fn archive(
    planner: &mut Planner<'_>,
    tally: &mut Tally,
    bucket: &Bucket,
    key: &ObjectKey,
    mut row: ObjectRow,
    leaves: bool,
) -> Result<(), StorageError> {
    let place = place_of(bucket, key, &row);
    if row.location == Location::Plain {
        row.location = Location::Overflow;
    }
    let clock = row.clock();
    if row.version.is_none() {
        planner.change(keys::null_version(bucket.id, key.as_bytes()), Some(rows::encode_stamp(clock)));
    }
    let change = planner.change(keys::version(bucket.id, key.as_bytes(), clock), Some(rows::encode(&row)?));
    tally.moved(&row, false);
    if matches!(place.location, Location::Plain | Location::Overflow) {
        planner.step(Step::Archive { place, row: change, leaves });
    }
    if leaves && key.as_str().ends_with('/') {
        let (name, key) = (bucket.name.as_str().to_owned(), key.as_str().to_owned());
        planner.step(Step::RemoveFolder { bucket_id: bucket.id.0, bucket: name, key });
    }
    Ok(())
}

/// Removes a noncurrent version, or a delete marker, for good.
pub(super) fn drop_noncurrent(
    planner: &mut Planner<'_>,
    tally: &mut Tally,
    bucket: &Bucket,
    key: &ObjectKey,
    row: &ObjectRow,
) -> Result<(), StorageError> {
    let unlocked = planner.unlocked(key, row, false)?;
    planner.change(keys::version(bucket.id, key.as_bytes(), row.clock()), None);
    if row.version.is_none() {
        planner.change(keys::null_version(bucket.id, key.as_bytes()), None);
    }
    if row.listed_parts().is_some() {
        planner.change(keys::part_list(bucket.id, Stamp(row.stamp)), None);
    }
    tally.remove_version(unlocked);
    if row.location == Location::Overflow {
        planner.step(Step::Remove { place: place_of(bucket, key, row) });
    }
    Ok(())
}

/// Removes the null version, if it is among the versions: another is about to take its place.
pub(super) fn drop_null(
    planner: &mut Planner<'_>,
    tally: &mut Tally,
    bucket: &Bucket,
    key: &ObjectKey,
) -> Result<(), StorageError> {
    let Some(stamp) = planner.rows.get(&keys::null_version(bucket.id, key.as_bytes()))? else { return Ok(()) };
    let row_key = keys::version(bucket.id, key.as_bytes(), rows::decode_stamp(&stamp)?);
    if let Some(row) = planner.rows.get(&row_key)? {
        drop_noncurrent(planner, tally, bucket, key, &rows::decode(&row)?)?;
    }
    Ok(())
}

/// Makes a delete marker of this stamp the newest version of a key; answers its id.
pub(super) fn mark(
    planner: &mut Planner<'_>,
    tally: &mut Tally,
    bucket: &Bucket,
    key: &ObjectKey,
    owner: CanonicalId,
    (stamp, lineage): (Stamp, Option<LineageRow>),
) -> Result<VersionId, StorageError> {
    let clock = lineage.as_ref().map_or(stamp, |lineage| Stamp(lineage.clock));
    let id = version_id(bucket.versioning, clock)?;
    let row = ObjectRow { lineage, ..marker(bucket, id, stamp, owner) };
    planner.change(keys::version(bucket.id, key.as_bytes(), clock), Some(rows::encode(&row)?));
    if id == VersionId::Null {
        planner.change(keys::null_version(bucket.id, key.as_bytes()), Some(rows::encode_stamp(clock)));
    }
    tally.add_marker();
    Ok(id)
}

/// The row of a delete marker.
pub(in crate::storage) fn marker(
    bucket: &Bucket,
    version_id: VersionId,
    stamp: Stamp,
    owner: CanonicalId,
) -> ObjectRow {
    let marker = Object {
        version_id,
        stamp,
        size: 0,
        etag: ETag::single([0; 16]),
        crc64nvme: 0,
        checksum: None,
        owner,
        attributes: Attributes::default(),
        controls: Controls::default(),
        upload: None,
        sealed: None,
        lineage: None,
    };
    ObjectRow::of(&marker, Location::Marker, &bucket.owner)
}

/// After the newest version of a key was removed: makes the next one the current object, unless it is a delete marker. `removed`
/// is the row of the object that was current, if one was; `except` the key of a version's row that is being removed.
pub(super) fn promote_next(
    planner: &mut Planner<'_>,
    tally: &mut Tally,
    bucket: &Bucket,
    key: &ObjectKey,
    removed: Option<&ObjectRow>,
    except: Option<&[u8]>,
) -> Result<(), StorageError> {
    let next = newest_noncurrent(planner.rows, bucket.id, key, except)?;
    let Some((row_key, mut row)) = next.filter(|(_, row)| !row.is_marker()) else { return Ok(()) };
    planner.change(row_key, None);
    if row.version.is_none() {
        planner.change(keys::null_version(bucket.id, key.as_bytes()), None);
    }
    row.location = choose_location(planner, bucket.id, key, row.size, removed)?;
    row.noncurrent_since = None;
    let change = planner.change(keys::object(bucket.id, key.as_bytes()), Some(rows::encode(&row)?));
    tally.moved(&row, true);
    let place = place_of(bucket, key, &row);
    if key.as_str().ends_with('/') {
        let (bucket_id, bucket, key) = (place.bucket_id, place.bucket.clone(), place.key.clone());
        let row = (place.location == Location::Folder).then_some(change);
        planner.step(Step::MakeFolder { bucket_id, bucket, key, row });
    }
    if place.location != Location::Folder {
        planner.step(Step::Promote { place, row: change });
    }
    Ok(())
}

/// A version that may go. [`Tally`] takes off nothing else, so no plan can let a version go without its lock being looked at.
#[derive(Debug, Clone, Copy)]
pub(in crate::storage) struct Unlocked<'a>(&'a ObjectRow);

impl<'a> Unlocked<'a> {
    /// One whose bytes are gone from the disk already: no lock brings them back.
    pub fn lost(row: &'a ObjectRow) -> Self {
        Self(row)
    }

    /// What goes, or becomes a copy.
    pub fn row(self) -> &'a ObjectRow {
        self.0
    }
}

impl Planner<'_> {
    /// A version that may be taken away, or replaced. Errs: ObjectLocked.
    pub(super) fn unlocked<'a>(
        &self,
        key: &ObjectKey,
        row: &'a ObjectRow,
        bypass_governance: bool,
    ) -> Result<Unlocked<'a>, StorageError> {
        unlocked(row, key, self.state.clock.now().0 / 1_000_000, bypass_governance)
    }
}

/// The same at a time in milliseconds since 1970.
pub(in crate::storage) fn unlocked<'a>(
    row: &'a ObjectRow,
    key: &ObjectKey,
    now_millis: u64,
    bypass_governance: bool,
) -> Result<Unlocked<'a>, StorageError> {
    let Some(controls) = row.controls.clone().map(Controls::try_from).transpose()? else { return Ok(Unlocked(row)) };
    let lifted = |retention: &Retention| retention.may_be_lifted(now_millis, bypass_governance);
    let reason = match (controls.is_held(), controls.retention) {
        (true, _) => "a legal hold is on it",
        (false, Some(retention)) if !lifted(&retention) => "its retention has not ended",
        _ => return Ok(Unlocked(row)),
    };
    Err(StorageError::ObjectLocked { key: key.clone(), version: row.version_id(), reason })
}
