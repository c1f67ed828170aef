//! Writing and deleting objects.

use std::sync::Arc;

use super::{Effect, Mutation, Planner, shift};
use crate::names::{BucketId, ETag, ObjectKey, Stamp, VersionId};
use crate::storage::body::BodyPlace;
use crate::storage::messages::{
    Bucket, DeleteObject, Deleted, ETagCondition, Object, PutObject, Stored, WriteConditions,
};
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
    if conditions.if_match_last_modified.is_some_and(|seconds| Stamp(row.stamp).seconds() != seconds) {
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
}

impl ObjectWrite<'_> {
    /// Plans row, counters and file of the object; the stamp is decided here.
    pub fn plan(self, planner: &mut Planner<'_>) -> Result<Stored, StorageError> {
        let (bucket, key) = (self.bucket, self.key);
        let row_key = keys::object(bucket.id, key.as_bytes());
        let previous = planner.rows.get(&row_key)?.map(|row| rows::decode::<ObjectRow>(&row)).transpose()?;
        check_conditions(self.conditions, key, previous.as_ref())?;
        let stamp = planner.stamp(previous.as_ref().map(|p| Stamp(p.stamp)));
        let mut object = self.object;
        object.stamp = stamp;
        let location = choose_location(planner, bucket.id, key, object.size, previous.as_ref())?;
        let row = ObjectRow::of(&object, location, &bucket.owner);
        let change = planner.change(row_key, Some(rows::encode(&row)?));
        let (new, old) = (object.size, previous.as_ref().map(|p| p.size));
        planner.count(bucket.id, |usage| {
            shift(&mut usage.objects, 1, u64::from(old.is_some()));
            shift(&mut usage.bytes, new, old.unwrap_or(0));
        })?;
        let place = place_of(bucket, key, &row);
        plan_file(planner, &place, object.size, change, self.bytes);
        if let Some(previous) = previous {
            drop_previous(planner, bucket, key, &previous, Some(&place));
        }
        Ok(Stored { object: Arc::new(object), versioned: false })
    }
}

fn plan_file(planner: &mut Planner<'_>, place: &Place, size: u64, row: u32, bytes: BodyPlace) {
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
    if previous.parts.is_some() {
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
        let size = self.body.size();
        let (digests, bytes) = self.body.into_object()?;
        let object = Object {
            version_id: VersionId::Null,
            stamp: Stamp(0),
            size,
            etag: ETag::single(digests.md5),
            crc64nvme: digests.crc64nvme,
            checksum: self.checksum,
            owner: self.owner,
            attributes: self.attributes,
            controls: self.controls,
            upload: None,
        };
        ObjectWrite { bucket: &bucket, key: &self.key, conditions: &self.conditions, object, bytes }.plan(planner)
    }
}

impl Mutation for DeleteObject {
    type Output = Deleted;

    fn plan(self, planner: &mut Planner<'_>) -> Result<Deleted, StorageError> {
        let bucket = planner.live(&self.bucket)?;
        let row_key = keys::object(bucket.id, self.key.as_bytes());
        let current = planner.rows.get(&row_key)?.map(|row| rows::decode::<ObjectRow>(&row)).transpose()?;
        check_conditions(&self.conditions, &self.key, current.as_ref())?;
        let outcome = Deleted { version_id: self.version, delete_marker: false };
        let Some(row) = current else { return Ok(outcome) };
        if self.version.is_some_and(|version| version != row.version_id()) {
            return Ok(outcome);
        }
        planner.change(row_key, None);
        planner.count(bucket.id, |usage| {
            shift(&mut usage.objects, 0, 1);
            shift(&mut usage.bytes, 0, row.size);
        })?;
        drop_previous(planner, &bucket, &self.key, &row, None);
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
        let row_key = keys::object(bucket, place.key.as_bytes());
        let current = planner.rows.get(&row_key)?.map(|row| rows::decode::<ObjectRow>(&row)).transpose()?;
        match (&self, current.filter(|row| row.stamp == place.stamp)) {
            (Self::ToOverflow(_), Some(mut row)) => {
                row.location = Location::Overflow;
                planner.change(row_key, Some(rows::encode(&row)?));
            }
            // Overwritten or deleted meanwhile: nothing names the overflow file any more.
            (Self::ToOverflow(place), None) => {
                planner.step(Step::Remove { place: Place { location: Location::Overflow, ..place.clone() } });
            }
            (Self::Nowhere(_), Some(row)) => {
                planner.change(row_key, None);
                planner.count(bucket, |usage| {
                    shift(&mut usage.objects, 0, 1);
                    shift(&mut usage.bytes, 0, row.size);
                })?;
            }
            (Self::Nowhere(_), None) => {}
        }
        Ok(())
    }
}
