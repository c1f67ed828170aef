//! The fuzz target of rows and their keys: whatever the index or a file's attribute holds is decoded or refused, and what
//! was decoded means the same when it is written again.
#![allow(clippy::expect_used, reason = "what does not hold ends the run")]

use minicbor::{Decode, Encode};

pub mod sealed;

pub use super::journal::fuzzing::journal;
use super::quota::meters::Meter;
use super::rows::{
    self, BucketRow, CheckpointRow, EventRow, FileTag, FormatRow, Location, MeterRow, ObjectRow, PartListRow, PartRow,
    UploadRow, UsageRow,
};
use super::steps::{Place, Step, is_plain_path};
use super::{Usage, keys};
use crate::names::{BucketId, BucketName, CanonicalId, ObjectKey, PartNumber, Stamp, UploadId};

/// The first byte names the table, as in the index; `F` is a file's tag, `S` a list of steps, `K` the key of a row.
pub fn rows(data: &[u8]) -> bool {
    let Some((table, row)) = data.split_first() else { return false };
    match table {
        b'B' => again::<BucketRow>(row).is_some_and(bucket),
        b'U' => again::<UsageRow>(row).is_some_and(usage),
        b'Q' => again::<MeterRow>(row).is_some_and(|row| same(&row, &MeterRow::from(&Meter::from(row.clone())))),
        b'O' => again::<ObjectRow>(row).is_some_and(object),
        b'W' => again::<UploadRow>(row).is_some_and(upload),
        b'P' => again::<PartRow>(row).is_some_and(part),
        b'L' => again::<PartListRow>(row).is_some_and(|row| row.algorithm().is_ok()),
        b'F' => again::<FileTag>(row).is_some_and(tag),
        b'C' => again::<CheckpointRow>(row).is_some(),
        b'E' => again::<EventRow>(row).is_some_and(event),
        b'M' => again::<FormatRow>(row).is_some(),
        b'S' => again::<Vec<Step>>(row).is_some_and(|steps| steps.iter().all(stays_inside)),
        b'K' => row_key(row),
        _ => false,
    }
}

/// Decodes a row. What is encoded from it is no longer than what was there but for fields that older rows lack, and is a
/// fixed point.
fn again<T: Encode<()> + for<'b> Decode<'b, ()>>(bytes: &[u8]) -> Option<T> {
    let row: T = rows::decode(bytes).ok()?;
    let encoded = rows::encode(&row).expect("a decoded row can be encoded");
    assert!(encoded.len() <= bytes.len() + 32, "a row of {} bytes became {}", bytes.len(), encoded.len());
    let second: T = rows::decode(&encoded).expect("what was encoded decodes");
    assert_eq!(rows::encode(&second).expect("a decoded row can be encoded"), encoded);
    Some(row)
}

fn same<T: Encode<()>>(one: &T, other: &T) -> bool {
    assert_eq!(rows::encode(one).expect("encodable"), rows::encode(other).expect("encodable"));
    true
}

fn usage(row: UsageRow) -> bool {
    let written = UsageRow::from(Usage::from(row));
    !row.is_whole() || same(&row, &written)
}

fn bucket(row: BucketRow) -> bool {
    let name = BucketName::parse("photos").expect("a bucket name");
    row.clone().into_bucket(name).is_ok_and(|bucket| same(&row, &BucketRow::of(&bucket)))
}

fn object(row: ObjectRow) -> bool {
    let owner = CanonicalId::from_bytes([1; 32]);
    let Ok(object) = row.clone().into_object(&owner) else { return false };
    let written = ObjectRow::of(&object, row.location, &owner);
    assert_eq!(written.into_object(&owner).expect("what was written means the same"), object);
    true
}

fn event(row: EventRow) -> bool {
    let Ok(queued) = row.clone().into_event(Stamp(9)) else { return false };
    let written =
        EventRow { since: row.since, error: row.error.clone(), ..EventRow::of(&queued.event, &queued.configuration) };
    same(&row, &written)
}

fn tag(tag: FileTag) -> bool {
    let row = ObjectRow {
        stamp: tag.stamp,
        size: 0,
        md5: tag.md5,
        crc64nvme: tag.crc64nvme,
        location: Location::Plain,
        attributes: tag.attributes.clone(),
        checksum: tag.checksum.clone(),
        owner: tag.owner,
        parts: tag.parts,
        version: tag.version,
        upload: tag.upload,
        controls: tag.controls.clone(),
        noncurrent_since: None,
        sealed: tag.sealed.clone(),
        lineage: tag.lineage.clone(),
        damaged: None,
    };
    let FileTag { noncurrent, name, plain_size, .. } = tag;
    let told = FileTag::of(row.clone(), tag.key.as_deref(), tag.part_size);
    let told = FileTag { noncurrent, name, plain_size, ..told };
    assert_eq!(told, tag);
    object(row)
}

fn upload(row: UploadRow) -> bool {
    let (key, id) = (ObjectKey::parse(b"k").expect("a key"), UploadId { stamp: Stamp(1), random: 2 });
    let Ok(upload) = row.clone().into_upload(key, id) else { return false };
    // Without an algorithm there is no kind, whatever the row says.
    let composite = row.checksum_composite && row.checksum_algorithm.is_some();
    same(&UploadRow { checksum_composite: composite, ..row }, &UploadRow::of(&upload))
}

fn part(row: PartRow) -> bool {
    let Ok(part) = row.to_part(PartNumber::new(1).expect("a part number")) else { return false };
    let mut told = row.clone();
    told.set_checksum(part.checksum);
    // Without an algorithm the value means nothing.
    row.checksum_algorithm.is_none() || same(&row, &told)
}

/// A plain path never leads out of its bucket, whatever stands in the journal.
fn stays_inside(step: &Step) -> bool {
    let (Step::Write { place, .. } | Step::Remove { place }) = step else { return true };
    let Place { bucket, key, .. } = place;
    let plain = BucketName::parse(bucket).is_ok() && is_plain_path(key);
    if plain {
        assert!(place.path().components().all(|part| matches!(part, std::path::Component::Normal(_))));
    }
    plain
}

/// The key of an upload's row, taken apart and put together again; and two keys cut out of it keep their order.
fn row_key(row: &[u8]) -> bool {
    let number = keys::part_number(row);
    assert!(number.is_none_or(|number| row.ends_with(&number.get().to_be_bytes())));
    assert!(rows::bucket_name(row).is_ok_and(|name| keys::bucket(&name) == row) || rows::bucket_name(row).is_err());
    let (one, other) = row.split_at(row.len() / 2);
    let id = UploadId { stamp: Stamp(3), random: 4 };
    let of = |key: &[u8]| keys::upload(BucketId(1), key, id);
    assert_eq!(of(one).cmp(&of(other)), one.cmp(other));
    assert_eq!(keys::split_upload(&of(row)), Some((row.to_vec(), id)));
    let end = keys::successor(row);
    assert!(end.is_empty() || (row < end.as_slice() && !end.starts_with(row)));
    let Some((key, id)) = keys::split_upload(row) else { return false };
    let again = keys::upload(BucketId(1), &key, id);
    assert_eq!(again.get(9..), row.get(9..));
    true
}
