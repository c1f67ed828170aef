use proptest::prelude::*;

use super::*;
use crate::bucket_config::TargetId;

fn upload_row(key: &[u8], stamp: u64) -> Vec<u8> {
    let mut row = of_bucket(UPLOAD, BucketId(7));
    push_terminated(&mut row, key);
    push_upload(&mut row, UploadId { stamp: Stamp(stamp), random: 9 });
    row
}

proptest! {
    #[test]
    fn terminated_keys_keep_their_order(a in prop::collection::vec(0u8..4, 0..6), b in prop::collection::vec(0u8..4, 0..6), s in any::<u64>(), t in any::<u64>()) {
        let expected = a.cmp(&b).then(s.cmp(&t));
        prop_assert_eq!(upload_row(&a, s).cmp(&upload_row(&b, t)), expected);
        let (key, id) = split_upload(&upload_row(&a, s)).unwrap();
        prop_assert_eq!((key, id.stamp.0), (a, s));
    }
}

#[test]
fn a_key_tells_what_its_row_is_about() {
    let (bucket_id, upload_id) = (BucketId(7), UploadId { stamp: Stamp(3), random: 9 });
    let (number, owner) = (PartNumber::new(10_000).unwrap(), CanonicalId::from_bytes([3; 32]));
    let queue = OutboxQueue { bucket: bucket_id, target: Arc::from("arn:aws:sqs:::q") };
    let entry = TimeEntry { kind: LifecycleKind::Noncurrent, since: Stamp(5), key: b"k\0".to_vec(), mark: 3 };
    let to = QueueName { bucket: bucket_id, target: TargetId(Arc::from("t")) };
    let (managed, kms) = (WrappingKey::Managed("m".to_owned()), WrappingKey::Kms("k".to_owned()));
    for (row, expected) in [
        (bucket(&BucketName::parse("some").unwrap()), RowKind::Bucket),
        (META_FORMAT.to_vec(), RowKind::Meta),
        (object(bucket_id, b"a/b"), RowKind::Object(bucket_id, b"a/b".to_vec())),
        (part(bucket_id, upload_id, number), RowKind::Part(bucket_id, upload_id, number)),
        (part_list(bucket_id, Stamp(5)), RowKind::PartList(bucket_id, Stamp(5))),
        (upload(bucket_id, b"k\0", upload_id), RowKind::Upload(bucket_id, b"k\0".to_vec(), upload_id)),
        (usage(bucket_id), RowKind::Usage(bucket_id)),
        (config(bucket_id), RowKind::Config(bucket_id)),
        (version(bucket_id, b"k\0", Stamp(5)), RowKind::Version(bucket_id, b"k\0".to_vec(), Stamp(5))),
        (null_version(bucket_id, b"k"), RowKind::NullVersion(bucket_id, b"k".to_vec())),
        (event(Tray::Pending, &queue, Stamp(5)), RowKind::Event(queue.clone(), Stamp(5), Tray::Pending)),
        (event(Tray::Dead, &queue, Stamp(6)), RowKind::Event(queue.clone(), Stamp(6), Tray::Dead)),
        (time(bucket_id, &entry), RowKind::Time(bucket_id, entry.clone())),
        (times_walked(bucket_id), RowKind::TimesWalked(bucket_id)),
        (lifecycle_runs(bucket_id), RowKind::LifecycleRuns(bucket_id)),
        (owner_meter(&owner), RowKind::OwnerMeter(owner)),
        (prefix_meter(bucket_id, b"a/"), RowKind::PrefixMeter(bucket_id, b"a/".to_vec())),
        (key_use(&managed), RowKind::KeyUse(managed.clone())),
        (key_use(&kms), RowKind::KeyUse(kms.clone())),
        (key_use(&WrappingKey::Customer), RowKind::KeyUse(WrappingKey::Customer)),
        (queued(&to, b"k\0", Some(5)), RowKind::Queued(to.clone(), b"k\0".to_vec(), Some(5))),
        (queued(&to, b"k", None), RowKind::Queued(to.clone(), b"k".to_vec(), None)),
        (
            queued_since(&to, ReplicationTray::Parked, Stamp(3), b"k", None),
            RowKind::QueuedSince(to.clone(), ReplicationTray::Parked, Stamp(3), b"k".to_vec(), None),
        ),
        (queue_totals(&to), RowKind::QueueTotals(to.clone())),
        (tombstone(bucket_id, b"k", Some(5)), RowKind::Tombstone(bucket_id, b"k".to_vec(), Some(5))),
        (
            tombstone_since(bucket_id, Stamp(3), b"k", None),
            RowKind::TombstoneSince(bucket_id, Stamp(3), b"k".to_vec(), None),
        ),
        (tombstone_count(bucket_id), RowKind::TombstoneCount(bucket_id)),
        (conflict(bucket_id, b"k\0", 5, 9), RowKind::Conflict(bucket_id, b"k\0".to_vec(), 5, 9)),
    ] {
        assert_eq!(kind(&row), Some(expected));
        let cut = row.get(..row.len() - 1).unwrap();
        assert!(kind(cut) != kind(&row) || row.first() == Some(&BUCKET));
    }
    assert_eq!(kind(b"M/other"), None);
    assert_eq!(kind(b"Xyz"), None);
    assert_eq!(kind(b""), None);
}

#[test]
fn times_are_in_order_and_within_their_range() {
    let row = |kind, since, key: &[u8]| {
        time(BucketId(7), &TimeEntry { kind, since: Stamp(since), key: key.to_vec(), mark: 1 })
    };
    let (start, end) = times_until(BucketId(7), LifecycleKind::Noncurrent, Stamp(9));
    let within = |row: &Vec<u8>| *row >= start && *row < end;
    assert!(within(&row(LifecycleKind::Noncurrent, 9, b"\xff")) && within(&row(LifecycleKind::Noncurrent, 0, b"")));
    assert!(!within(&row(LifecycleKind::Noncurrent, 10, b"")));
    for other in [LifecycleKind::Current, LifecycleKind::LoneMarker, LifecycleKind::Upload] {
        assert!(!within(&row(other, 5, b"a")), "{other:?}");
    }
    assert!(row(LifecycleKind::Current, 255, b"z") < row(LifecycleKind::Current, 256, b"a"));
}

#[test]
fn successor_skips_the_whole_prefix() {
    assert_eq!(successor(b"a/"), b"a0");
    assert_eq!(successor(b"a\xff\xff"), b"b");
    assert_eq!(successor(b"\xff"), b"");
}

#[test]
fn what_a_prefix_holds_is_within_its_ranges() {
    let id = BucketId(7);
    let rows = |key: &[u8]| [object(id, key), version(id, key, Stamp(5)), upload_row(key, 5), conflict(id, key, 5, 9)];
    let within = |ranges: [KeyRange; 4], key: &[u8]| {
        let is_within: Vec<_> =
            ranges.iter().zip(rows(key)).map(|((start, end), row)| *start <= row && row < *end).collect();
        assert!(is_within.iter().all(|within| *within == is_within[0]), "{key:?}");
        is_within[0]
    };
    for (prefix, key, expected) in [
        (b"a/".as_slice(), b"a/b".as_slice(), true),
        (b"a/", b"a/", true),
        (b"a/", b"a", false),
        (b"a/", b"b/a/", false),
        (b"a\0", b"a\0b", true),
        (b"a\0", b"a", false),
        (b"a", b"a\0", true),
        (b"", b"\xff", true),
        (b"\xff", b"\xff\xff", true),
    ] {
        assert_eq!(within(holdings_below(id, prefix), key), expected, "{prefix:?} {key:?}");
        assert!(within(all_holdings(), key));
        assert!(!within(holdings_below(BucketId(8), prefix), key));
    }
}
