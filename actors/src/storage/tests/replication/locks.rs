//! Whatever is said to come from another node: what is locked stays, and what was not meant to go does not.

use std::sync::Arc;

use super::super::fixtures::*;
use super::super::fsck::run;
use super::courier::Dice;
use super::queue::{put_as, replica, replicated};
use crate::bucket_config::{BucketConfig, ObjectLock, ReplicationLimits, Retention, RetentionMode};
use crate::names::{BucketName, Change, NodeId, Stamp, VersionId};
use crate::storage::*;

/// Long after the tests.
const UNTIL_MILLIS: u64 = 4_000_000_000_000;

/// A bucket with Object Lock, and a version in it that is locked in `mode`.
async fn locked(node: &Node, mode: RetentionMode) -> (Arc<Bucket>, VersionId) {
    let config = BucketConfig { object_lock: Some(ObjectLock::default()), ..BucketConfig::default() };
    let name = BucketName::parse("locked").unwrap();
    let there = node.client.create_bucket(CreateBucket { name, owner: owner(), config }).await.unwrap();
    let id = put(&node.client, &there, "k", "locked".into()).await.object.version_id;
    let retention = Some(Retention { mode, until_millis: UNTIL_MILLIS });
    change(node, &there, id, ObjectChange::Retention { retention, bypass_governance: false }, None).await.unwrap();
    (there, id)
}

async fn change(
    node: &Node,
    there: &Arc<Bucket>,
    id: VersionId,
    change: ObjectChange,
    replica: Option<ChangeBeside>,
) -> Result<Arc<Object>, StorageError> {
    let (bucket, key) = (Arc::clone(there), key("k"));
    node.client.change_object(ChangeObject { bucket, key, version: Some(id), of: None, change, replica }).await
}

fn clock_of(id: VersionId) -> u64 {
    match id {
        VersionId::Unique { stamp, .. } => stamp.0,
        VersionId::Null => 0,
    }
}

fn id(clock: u64, random: u64) -> VersionId {
    VersionId::Unique { stamp: Stamp(clock), random }
}

/// A change of node 7.
fn of(clock: u64, version: VersionId) -> Replica {
    Replica { version, modified: None, ..*replica(clock, 7).unwrap() }
}

fn unchosen(clock: u64) -> Replica {
    Replica { permits: Permits::default(), ..of(clock, VersionId::Null) }
}

async fn write(
    node: &Node,
    there: &Arc<Bucket>,
    replica: Replica,
    controls: Controls,
    conditions: WriteConditions,
) -> Result<Stored, StorageError> {
    let (key, owner) = (key("k"), owner());
    let begin = BeginBody { bucket: there, key: &key, owner: &owner, size: Some(5) };
    let mut writer = node.client.begin_body(begin, DigestPlan::default(), None)?;
    writer.write("other".into()).await?;
    let body = writer.finish().await?;
    let (bucket, replica) = (Arc::clone(there), Some(Box::new(replica)));
    let attributes = Attributes::default();
    let put = PutObject { bucket, key, owner, attributes, controls, body, checksum: None, conditions, replica };
    node.client.put_object(put).await
}

async fn put_replica(node: &Node, there: &Arc<Bucket>, replica: Replica) -> Result<Stored, StorageError> {
    write(node, there, replica, Controls::default(), WriteConditions::default()).await
}

async fn remove(
    node: &Node,
    there: &Arc<Bucket>,
    version: Option<VersionId>,
    replica: Option<Replica>,
    bypass_governance: bool,
) -> Result<Deleted, StorageError> {
    let message = DeleteObject {
        bucket: Arc::clone(there),
        key: key("k"),
        version,
        owner: owner(),
        bypass_governance,
        conditions: WriteConditions::default(),
        replica: replica.map(Box::new),
    };
    node.client.delete_object(message).await
}

async fn size(node: &Node, there: &Arc<Bucket>, version: VersionId) -> Option<u64> {
    node.client.open_object(there, &key("k"), Some(version)).await.ok().map(|open| open.object.size)
}

async fn conflicts(node: &Node, there: &Arc<Bucket>) -> Vec<VersionId> {
    let found = node.client.conflicts(Arc::clone(there), None, 100).await.unwrap();
    found.iter().map(|conflict| conflict.version_id).collect()
}

async fn is_whole(node: Node) {
    let root = stop(node).await;
    assert_eq!(run(root.path(), Mend::Nothing, true).1, []);
}

fn is_locked<T>(result: &Result<T, StorageError>) -> bool {
    matches!(result, Err(StorageError::ObjectLocked { .. }))
}

fn is_taken<T>(result: &Result<T, StorageError>) -> bool {
    matches!(result, Err(StorageError::InvalidBucketState { .. }))
}

#[actix::test]
async fn a_version_of_the_same_clock_does_not_displace_a_locked_one() {
    let node = node();
    let (there, locked) = locked(&node, RetentionMode::Compliance).await;
    let at = clock_of(locked);
    let greater = of(at, id(at, u64::MAX));
    assert_eq!(put_replica(&node, &there, greater.clone()).await.unwrap().applied, Applied::Lost);
    assert_eq!(put_replica(&node, &there, greater).await.unwrap().applied, Applied::Known);
    assert_eq!((size(&node, &there, locked).await, conflicts(&node, &there).await), (Some(6), vec![id(at, u64::MAX)]));
    assert_eq!(size(&node, &there, id(at, u64::MAX)).await, Some(5), "the other one is kept, too");
    for bypass in [false, true] {
        let delete = of(at + 9, locked);
        assert!(is_locked(&remove(&node, &there, Some(locked), Some(delete), bypass).await));
    }
    // As a null version, or the delete marker of one, with its clock: while it is current, and when it is not any more.
    for round in 0..2 {
        assert!(is_taken(&put_replica(&node, &there, of(at, VersionId::Null)).await), "{round}");
        assert!(is_taken(&remove(&node, &there, None, Some(of(at, VersionId::Null)), true).await), "{round}");
        assert_eq!(size(&node, &there, locked).await, Some(6), "{round}");
        put(&node.client, &there, "k", "newer".into()).await;
    }
    is_whole(node).await;
}

#[actix::test]
async fn a_copy_that_is_locked_stays_as_long_as_its_bucket() {
    let node = node();
    let (there, first) = locked(&node, RetentionMode::Governance).await;
    let at = clock_of(first);
    let retention = Some(Retention { mode: RetentionMode::Compliance, until_millis: UNTIL_MILLIS });
    let controls = Controls { retention, ..Controls::default() };
    let copy = id(at, 3);
    let lost = write(&node, &there, of(at, copy), controls, WriteConditions::default()).await.unwrap();
    let there = node.client.bucket(&there.name).unwrap();
    assert_eq!(lost.applied, Applied::Lost);
    assert_eq!(conflicts(&node, &there).await, [copy]);
    for keep in [ConflictChoice::Current, ConflictChoice::Copy] {
        let resolve = ResolveConflict { bucket: Arc::clone(&there), key: key("k"), version_id: copy, keep };
        assert!(is_locked(&node.client.resolve_conflict(resolve).await));
    }
    node.client.sweep_replication(Stamp(u64::MAX >> 1)).await.unwrap();
    assert_eq!(conflicts(&node, &there).await, [copy]);
    // Nor does a version of its name take its place, or take it along.
    remove(&node, &there, Some(first), None, true).await.unwrap();
    node.client.sweep_replication(Stamp(u64::MAX >> 1)).await.unwrap();
    put_replica(&node, &there, of(at, copy)).await.unwrap();
    remove(&node, &there, Some(copy), None, true).await.unwrap();
    assert_eq!(conflicts(&node, &there).await, [copy]);
    let versions = node.client.delete_bucket(DeleteBucket { bucket: Arc::clone(&there) }).await;
    assert!(matches!(versions, Err(StorageError::BucketNotEmpty { .. })));
    assert!(size(&node, &there, copy).await.is_some());
    is_whole(node).await;
}

#[actix::test]
async fn only_who_may_lifts_a_lock() {
    let node = node();
    let (there, locked) = locked(&node, RetentionMode::Governance).await;
    change(&node, &there, locked, ObjectChange::LegalHold(true), None).await.unwrap();
    let origin = NodeId::new(7).unwrap();
    let later = |by: u64, lifts_hold| {
        let change = Change { clock: clock_of(locked) + (by << 40), origin };
        Some(ChangeBeside { change, sender: origin, lifts_hold })
    };
    let retention = |until_millis| Some(Retention { mode: RetentionMode::Governance, until_millis });
    let becomes = |retention, bypass_governance| ObjectChange::Retention { retention, bypass_governance };
    for new in [None, retention(UNTIL_MILLIS - 1)] {
        assert!(is_locked(&change(&node, &there, locked, becomes(new, false), later(1, true)).await));
    }
    assert!(is_locked(&change(&node, &there, locked, ObjectChange::LegalHold(false), later(1, false)).await));
    // Nor with the object.
    let strict = Permits { chooses: true, ..Permits::default() };
    let lock_change = later(1, true).map(|beside| beside.change);
    let whole = |permits| Replica { lock_change, permits, ..of(clock_of(locked), locked) };
    let off = Controls { legal_hold: Some(false), retention: retention(UNTIL_MILLIS), ..Controls::default() };
    for controls in [Controls::default(), off] {
        let sent = write(&node, &there, whole(strict), controls, WriteConditions::default()).await;
        assert!(is_locked(&sent));
    }
    // A longer one is no lift.
    let longer = change(&node, &there, locked, becomes(retention(UNTIL_MILLIS + 1), false), later(1, false)).await;
    assert_eq!(longer.unwrap().controls.retention, retention(UNTIL_MILLIS + 1));
    let object = change(&node, &there, locked, becomes(None, true), later(2, false)).await.unwrap();
    assert_eq!((object.controls.retention, object.controls.legal_hold), (None, Some(true)));
    let object = change(&node, &there, locked, ObjectChange::LegalHold(false), later(3, true)).await.unwrap();
    assert!(!object.controls.is_held());
    is_whole(node).await;
}

#[actix::test]
async fn who_may_bypass_a_governance_retention_deletes_what_it_keeps() {
    let node = node();
    let (there, locked) = locked(&node, RetentionMode::Governance).await;
    let delete = || Some(of(clock_of(locked) + 9, locked));
    assert!(is_locked(&remove(&node, &there, Some(locked), delete(), false).await));
    remove(&node, &there, Some(locked), delete(), true).await.unwrap();
    assert_eq!(size(&node, &there, locked).await, None);
    is_whole(node).await;
}

#[actix::test]
async fn nothing_is_written_behind_the_end_of_time() {
    let node = node();
    let (there, _) = replicated(&node, ReplicationLimits::default()).await;
    let versioning = BucketChange::Versioning(Versioning::Enabled);
    let enable = ConfigureBucket { bucket: Arc::clone(&there), change: versioning };
    node.client.configure_bucket(enable).await.unwrap();
    let there = node.client.bucket(&there.name).unwrap();
    let last = id(u64::MAX, 1);
    put_replica(&node, &there, of(5, last)).await.unwrap();
    let put_here = || try_put(&node.client, &there, "k", "here".into(), WriteConditions::default());
    assert!(is_taken(&put_here().await) && is_taken(&remove(&node, &there, None, None, false).await));
    assert_eq!(size(&node, &there, last).await, Some(5));
    remove(&node, &there, Some(last), None, false).await.unwrap();
    let ids = [put_here().await.unwrap().object.version_id, put_here().await.unwrap().object.version_id];
    for id in ids {
        assert_eq!(size(&node, &there, id).await, Some(4));
    }
    is_whole(node).await;
}

#[actix::test]
async fn who_chooses_no_version_takes_nothing_away() {
    let node = node();
    let (there, queue) = replicated(&node, ReplicationLimits::default()).await;
    put(&node.client, &there, "k", "before".into()).await;
    let enable = ConfigureBucket { bucket: Arc::clone(&there), change: BucketChange::Versioning(Versioning::Enabled) };
    node.client.configure_bucket(enable).await.unwrap();
    let there = node.client.bucket(&there.name).unwrap();
    let null = node.client.open_object(&there, &key("k"), None).await.unwrap().object;
    let waits = || node.client.replication_totals(&queue).unwrap().pending;
    let before = waits();
    // Also if it says that it has seen what is there.
    let seen = [Change { clock: null.stamp.0, origin: node.client.node_id() }].into_iter().collect();
    let put = Replica { seen, ..unchosen(null.stamp.0 + 5) };
    let stored = put_replica(&node, &there, put.clone()).await.unwrap();
    assert_ne!(stored.object.version_id, VersionId::Null);
    assert_eq!(put_replica(&node, &there, put.clone()).await.unwrap().applied, Applied::Known, "it came twice");
    let marked = remove(&node, &there, None, Some(unchosen(null.stamp.0 + 6)), false).await.unwrap();
    assert!(marked.delete_marker && marked.version_id != Some(VersionId::Null));
    let again = remove(&node, &there, None, Some(unchosen(null.stamp.0 + 6)), false).await.unwrap();
    assert_eq!(again.applied, Applied::Known);
    assert_eq!(put_replica(&node, &there, put).await.unwrap().applied, Applied::Known);
    let sizes = [size(&node, &there, VersionId::Null).await, size(&node, &there, stored.object.version_id).await];
    assert_eq!((sizes, conflicts(&node, &there).await), ([Some(6), Some(5)], vec![]));
    assert_eq!(waits(), before, "node 7 has made and sent them");
    // A delete of a version that is not here is none, and does not keep that from coming.
    let coming = id(null.stamp.0 + 7, 1);
    remove(&node, &there, Some(coming), Some(unchosen(null.stamp.0 + 8)), false).await.unwrap();
    assert_eq!(put_replica(&node, &there, of(0, coming)).await.unwrap().applied, Applied::Applied);
    is_whole(node).await;
}

#[actix::test]
async fn conditions_hold_for_what_other_nodes_send() {
    let node = node();
    let (there, _) = replicated(&node, ReplicationLimits::default()).await;
    put_as(&node, &there, "k", "here", None).await;
    let absent = WriteConditions { if_none_match: Some(ETagCondition::Any), ..WriteConditions::default() };
    let later = Stamp(UNTIL_MILLIS * 1_000_000).0;
    let sent = write(&node, &there, of(later, VersionId::Null), Controls::default(), absent.clone()).await;
    assert!(matches!(sent, Err(StorageError::PreconditionFailed { .. })));
    let deletion = DeleteObject {
        bucket: Arc::clone(&there),
        key: key("k"),
        version: None,
        owner: owner(),
        bypass_governance: false,
        conditions: WriteConditions { if_match_size: Some(7), ..absent },
        replica: Some(Box::new(of(later, VersionId::Null))),
    };
    assert!(matches!(node.client.delete_object(deletion).await, Err(StorageError::PreconditionFailed { .. })));
    assert_eq!(get(&node.client, &there, "k").await.unwrap(), b"here");
    is_whole(node).await;
}

/// Whatever comes through the door, with whatever ids, clocks and claims: a locked version keeps its id and its bytes.
#[actix::test]
async fn nothing_that_is_sent_removes_what_is_locked() {
    for seed in 1..=10 {
        let node = node();
        let (there, locked) = locked(&node, RetentionMode::Compliance).await;
        let mut dice = Dice(seed * 0x9e37_79b9);
        let own = node.client.node_id();
        let at = clock_of(locked);
        let clocks = [at - 1, at, at + 1, at + (1 << 40), 7];
        let randoms = [u64::MAX, 1, 7, own.get()];
        for step in 0..60 {
            let clock = clocks[dice.roll(clocks.len())];
            let ids = [VersionId::Null, id(clock, randoms[dice.roll(randoms.len())]), locked];
            let version = ids[dice.roll(ids.len())];
            let origin = [NodeId::new(7).unwrap(), NodeId::new(1).unwrap(), own][dice.roll(3)];
            let seen = (dice.roll(2) == 0).then_some(Change { clock: at + (1 << 41), origin: own });
            let permits = [Permits::ALL, Permits::default()][dice.roll(2)];
            let change = Change { clock, origin };
            let sent = Replica { change, seen: seen.into_iter().collect(), permits, ..of(clock, version) };
            let bucket = Arc::clone(&there);
            let outcome = match dice.roll(9) {
                0..=2 => put_replica(&node, &there, sent).await.map(drop),
                3 => remove(&node, &there, None, Some(sent), true).await.map(drop),
                4 => remove(&node, &there, Some(version), Some(sent), true).await.map(drop),
                5 => remove(&node, &there, Some(version).filter(|_| dice.roll(2) == 0), None, true).await.map(drop),
                6 => try_put(&node.client, &there, "k", "own".into(), WriteConditions::default()).await.map(drop),
                7 => match conflicts(&node, &there).await.first() {
                    Some(version_id) => {
                        let keep = [ConflictChoice::Current, ConflictChoice::Copy][dice.roll(2)];
                        let resolve = ResolveConflict { bucket, key: key("k"), version_id: *version_id, keep };
                        node.client.resolve_conflict(resolve).await
                    }
                    None => Ok(()),
                },
                _ => {
                    node.client.sweep_replication(Stamp(u64::MAX >> 1)).await.unwrap();
                    node.client.delete_bucket(DeleteBucket { bucket }).await.map(drop)
                }
            };
            let expected = outcome.as_ref().err().is_none_or(|error| {
                matches!(
                    error,
                    StorageError::ObjectLocked { .. }
                        | StorageError::InvalidBucketState { .. }
                        | StorageError::BucketNotEmpty { .. }
                )
            });
            assert!(expected, "seed {seed} step {step}: {outcome:?}");
            assert_eq!(size(&node, &there, locked).await, Some(6), "seed {seed} step {step}");
        }
        is_whole(node).await;
    }
}
