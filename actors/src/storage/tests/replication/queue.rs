//! The queue by itself: bounds, sums, what is settled and what is not.

use std::sync::Arc;

use super::super::fixtures::*;
use super::super::fsck::run;
use super::courier::rules;
use crate::bucket_config::{ReplicationLimits, RuleSet, TargetId};
use crate::names::{Change, NodeId, Seen, Stamp, VersionId};
use crate::storage::*;

fn limits() -> ReplicationLimits {
    ReplicationLimits { backlog_max: 3, tombstones_max: 2, ..ReplicationLimits::default() }
}

pub async fn replicated(node: &Node, limits: ReplicationLimits) -> (Arc<Bucket>, QueueName) {
    let there = bucket(&node.client, "shared").await;
    node.client.replication_rules(rules("shared", NodeId::new(7), limits));
    let queue = QueueName { bucket: there.id, target: TargetId(Arc::from("peer")) };
    (there, queue)
}

pub async fn waiting(node: &Node, queue: &QueueName, tray: ReplicationTray) -> Vec<QueuedChange> {
    node.client.queued_changes(queue.clone(), tray, None, 100).await.unwrap()
}

pub async fn settle(node: &Node, queue: &QueueName, change: &QueuedChange, outcome: SettledChange) -> usize {
    let changes = vec![(change.slot.clone(), change.mark, outcome)];
    node.client.settle_changes(SettleChanges { queue: queue.clone(), changes }).await.unwrap()
}

#[actix::test]
async fn one_entry_a_key_and_what_changed_since_it_was_read_stays() {
    let node = node();
    let (there, queue) = replicated(&node, ReplicationLimits::default()).await;
    put(&node.client, &there, "a", body(1, 10)).await;
    let first = waiting(&node, &queue, ReplicationTray::Pending).await.remove(0);
    put(&node.client, &there, "a", body(2, 300)).await;
    put(&node.client, &there, "b", body(2, 5)).await;
    assert!(node.client.filled_replication().await.contains(&queue));
    let both = waiting(&node, &queue, ReplicationTray::Pending).await;
    assert_eq!(both.len(), 2);
    assert_eq!((both[0].since, both[0].bytes), (first.since, 300));
    assert!(both[0].mark > first.mark);
    assert_eq!(settle(&node, &queue, &first, SettledChange::Done).await, 0, "it changed since");
    let totals = node.client.replication_totals(&queue).unwrap();
    assert_eq!((totals.pending, totals.pending_bytes, totals.oldest), (2, 305, Some(first.since)));
    let status = |name: &str| {
        let object = node.client.peek_object(&there, &key(name), None).unwrap().object;
        node.client.replication_status(&there, &key(name), &object).unwrap()
    };
    assert_eq!(status("a"), Some(ReplicationStatus::Pending));
    assert_eq!(settle(&node, &queue, &both[0], SettledChange::Parked("why".repeat(1000))).await, 1);
    assert_eq!(status("a"), Some(ReplicationStatus::Failed));
    let parked = waiting(&node, &queue, ReplicationTray::Parked).await.remove(0);
    assert_eq!((parked.attempts, parked.parked.as_ref().map(String::len)), (1, Some(1024)));
    let totals = node.client.replication_totals(&queue).unwrap();
    assert_eq!((totals.pending, totals.pending_bytes, totals.parked, totals.parked_bytes), (1, 5, 1, 300));
    delete(&node.client, &there, "a").await;
    let all = waiting(&node, &queue, ReplicationTray::Pending).await;
    let again = all.iter().find(|change| change.slot.key == key("a")).unwrap();
    assert!(again.kinds.has(Kinds::DELETE) && again.attempts == 0, "a change gives a parked slot another chance");
    for change in &all {
        assert_eq!(settle(&node, &queue, change, SettledChange::Done).await, 1);
        assert_eq!(settle(&node, &queue, change, SettledChange::Done).await, 0, "settled twice");
    }
    assert_eq!(status("b"), Some(ReplicationStatus::Completed));
    assert_eq!(node.client.replication_totals(&queue).unwrap(), QueueTotals::default());
    let slots = vec![Slot { key: key("a"), version: None }, Slot { key: key("b"), version: None }];
    let message = EnqueueChanges { bucket: Arc::clone(&there), slots, is_repair: false };
    assert_eq!(node.client.enqueue_changes(message).await.unwrap(), 2, "an object and a tombstone");
}

#[actix::test]
async fn what_was_dismissed_failed_until_it_is_sent_and_what_was_never_meant_has_no_status() {
    let node = node();
    let (there, queue) = replicated(&node, ReplicationLimits::default()).await;
    let status = || {
        let object = node.client.peek_object(&there, &key("a"), None).unwrap().object;
        node.client.replication_status(&there, &key("a"), &object).unwrap()
    };
    let dismiss = async || {
        let change = waiting(&node, &queue, ReplicationTray::Pending).await.remove(0);
        assert_eq!(settle(&node, &queue, &change, SettledChange::Parked("no".to_owned())).await, 1);
        let parked = waiting(&node, &queue, ReplicationTray::Parked).await.remove(0);
        assert_eq!(settle(&node, &queue, &parked, SettledChange::Dismissed).await, 1);
        assert_eq!(node.client.replication_totals(&queue).unwrap(), QueueTotals::default());
        assert_eq!(status(), Some(ReplicationStatus::Failed));
    };
    put(&node.client, &there, "a", body(1, 300_000)).await;
    dismiss().await;
    // Sent again, by whoever goes through the bucket.
    let slots = vec![Slot { key: key("a"), version: None }];
    let message = EnqueueChanges { bucket: Arc::clone(&there), slots, is_repair: false };
    assert_eq!(node.client.enqueue_changes(message).await.unwrap(), 1);
    assert_eq!(status(), Some(ReplicationStatus::Pending));
    let again = waiting(&node, &queue, ReplicationTray::Pending).await.remove(0);
    assert_eq!(settle(&node, &queue, &again, SettledChange::Done).await, 1);
    assert_eq!(status(), Some(ReplicationStatus::Completed));
    // Or since it changes: whole, or beside its bytes.
    put(&node.client, &there, "a", body(2, 10)).await;
    dismiss().await;
    let change = ObjectChange::Tags(vec![("k".to_owned(), "v".to_owned())]);
    let message =
        ChangeObject { bucket: Arc::clone(&there), key: key("a"), version: None, of: None, change, replica: None };
    node.client.change_object(message).await.unwrap();
    let tags = waiting(&node, &queue, ReplicationTray::Pending).await.remove(0);
    assert_eq!(settle(&node, &queue, &tags, SettledChange::Done).await, 1);
    assert_eq!(status(), Some(ReplicationStatus::Completed));
    let mut later = RuleSet::clone(&rules("shared", NodeId::new(7), ReplicationLimits::default()));
    for bucket in later.buckets.values_mut() {
        bucket.rules[0].added = Some(Stamp(u64::MAX));
    }
    node.client.replication_rules(Arc::new(later));
    assert_eq!(status(), None, "it was there before the rule");
    let root = stop(node).await;
    assert_eq!(run(root.path(), Mend::Nothing, true).1, []);
}

#[actix::test]
async fn what_grows_has_bounds() {
    let node = node();
    let (there, queue) = replicated(&node, limits()).await;
    for name in ["a", "b", "c", "d"] {
        put(&node.client, &there, name, body(1, 10)).await;
    }
    let totals = node.client.replication_totals(&queue).unwrap();
    assert!(totals.overflowed && totals.pending == 3);
    while !node.client.drop_replication(queue.clone()).await.unwrap() {}
    assert_eq!(node.client.replication_totals(&queue).unwrap(), QueueTotals::default());
    let page = node.client.walk_slots(Arc::clone(&there), None, 3).await.unwrap();
    let rest = node.client.walk_slots(Arc::clone(&there), page.next, 3).await.unwrap();
    let names: Vec<_> = page.slots.iter().chain(&rest.slots).map(|(slot, size)| (slot.key.as_str(), *size)).collect();
    assert_eq!(names, [("a", 10), ("b", 10), ("c", 10), ("d", 10)]);
    assert!(rest.next.is_none());
    // The oldest of three tombstones goes; since its delete was not sent yet, the queue must not be trusted any more.
    for name in ["a", "b", "c"] {
        assert!(!node.client.replication_totals(&queue).unwrap().overflowed);
        delete(&node.client, &there, name).await;
    }
    let state = |name: &str| node.client.slot_state(&there, &Slot { key: key(name), version: None }).unwrap();
    assert_eq!(state("a"), SlotState::Gone);
    assert!(matches!(state("b"), SlotState::Deleted { version_id: VersionId::Null, .. }));
    assert!(node.client.replication_totals(&queue).unwrap().overflowed);
    let later = Stamp(u64::MAX);
    node.client.sweep_replication(later).await.unwrap();
    assert_eq!(state("b"), SlotState::Gone);
}

#[actix::test]
async fn a_queue_that_has_a_rule_again_is_not_dropped_any_more() {
    let node = node();
    let (there, queue) = replicated(&node, ReplicationLimits::default()).await;
    for at in 0..12 {
        put(&node.client, &there, &format!("k{at:02}"), body(1, 10)).await;
    }
    node.client.replication_rules(Arc::default());
    assert!(!node.client.drop_former_replication(queue.clone()).await.unwrap(), "it takes several commits");
    node.client.replication_rules(rules("shared", NodeId::new(7), ReplicationLimits::default()));
    put(&node.client, &there, "new", body(1, 10)).await;
    assert!(node.client.drop_former_replication(queue.clone()).await.unwrap(), "it is somebody's");
    let slot = Slot { key: key("new"), version: None };
    assert!(node.client.queued_change(&queue, &slot).unwrap().is_some());
    assert!(node.client.replication_totals(&queue).unwrap().overflowed, "it must not be trusted");
    while !node.client.drop_replication(queue.clone()).await.unwrap() {}
    let root = stop(node).await;
    assert_eq!(run(root.path(), Mend::Nothing, true).1, []);
}

#[actix::test]
async fn a_drop_that_a_crash_broke_off_goes_on() {
    let before = node();
    let (there, queue) = replicated(&before, ReplicationLimits::default()).await;
    for at in 0..12 {
        put(&before.client, &there, &format!("k{at:02}"), body(1, 10)).await;
    }
    assert!(!before.client.drop_replication(queue.clone()).await.unwrap(), "it takes several commits");
    let root = crashed_copy(&before);
    let node = Node { client: open(root.path()), root };
    let there = node.client.bucket(&there.name).unwrap();
    node.client.replication_rules(rules("shared", NodeId::new(7), ReplicationLimits::default()));
    assert!(node.client.replication_totals(&queue).unwrap().overflowed, "it must not be trusted");
    delete(&node.client, &there, "k03").await;
    while !node.client.drop_replication(queue.clone()).await.unwrap() {}
    assert_eq!(node.client.replication_totals(&queue).unwrap(), QueueTotals::default());
    let page = node.client.walk_slots(Arc::clone(&there), None, 100).await.unwrap();
    assert_eq!(page.slots.len(), 12, "with what was deleted meanwhile");
    let root = stop(node).await;
    assert_eq!(run(root.path(), Mend::Nothing, true).1, []);
}

pub fn replica(clock: u64, origin: u64) -> Option<Box<Replica>> {
    let origin = NodeId::new(origin).unwrap();
    Some(Box::new(Replica {
        change: Change { clock, origin },
        seen: Seen::default(),
        sender: origin,
        version: VersionId::Null,
        modified: Some(Stamp(77)),
        tags_change: None,
        lock_change: None,
        permits: Permits::ALL,
    }))
}

pub async fn put_replica(node: &Node, there: &Arc<Bucket>, name: &str, text: &str, clock: u64) -> Stored {
    put_as(node, there, name, text, replica(clock, 7)).await
}

/// The same, as whatever change.
pub async fn put_as(node: &Node, there: &Arc<Bucket>, name: &str, text: &str, replica: Option<Box<Replica>>) -> Stored {
    let (key, owner) = (key(name), owner());
    let begin = BeginBody { bucket: there, key: &key, owner: &owner, size: Some(text.len() as u64) };
    let mut writer = node.client.begin_body(begin, DigestPlan::default(), None).unwrap();
    writer.write(text.to_owned().into()).await.unwrap();
    let message = PutObject {
        bucket: Arc::clone(there),
        key,
        owner,
        attributes: Attributes::default(),
        controls: Controls::default(),
        body: writer.finish().await.unwrap(),
        checksum: None,
        conditions: WriteConditions::default(),
        replica,
    };
    node.client.put_object(message).await.unwrap()
}

#[actix::test]
async fn the_other_side_of_a_conflict_can_be_chosen() {
    let node = node();
    let (there, queue) = replicated(&node, ReplicationLimits::default()).await;
    put(&node.client, &there, "a", "here".into()).await;
    let lost = put_replica(&node, &there, "a", "lost", 5).await;
    assert_eq!(lost.applied, Applied::Lost);
    assert_eq!(get(&node.client, &there, "a").await.unwrap(), b"here");
    let there = node.client.bucket(&there.name).unwrap();
    assert!(there.config.keeps_changes);
    assert_eq!(node.client.usage(&there).quantity().objects, 2, "a copy counts");
    let won = put_replica(&node, &there, "a", "won", u64::MAX >> 2).await;
    assert_eq!((won.applied, won.object.modified()), (Applied::Applied, Stamp(77)));
    assert_eq!(put_replica(&node, &there, "a", "won", u64::MAX >> 2).await.applied, Applied::Known);
    assert_eq!(put_replica(&node, &there, "a", "lost", 5).await.applied, Applied::Known);
    // The one from peer 7 has not seen this, so it is queued as before; what the peer sent is not sent back.
    assert_eq!(node.client.replication_totals(&queue).unwrap().pending, 1);
    let conflicts = node.client.conflicts(Arc::clone(&there), None, 10).await.unwrap();
    let ids: Vec<_> = conflicts.iter().map(|conflict| conflict.version_id).collect();
    let mut texts = Vec::new();
    for id in &ids {
        let open = node.client.open_object(&there, &key("a"), Some(*id)).await.unwrap();
        texts.push(open.object.size);
    }
    assert_eq!(texts, [4, 4]);
    let resolve = |version_id, keep| {
        let message = ResolveConflict { bucket: Arc::clone(&there), key: key("a"), version_id, keep };
        node.client.resolve_conflict(message)
    };
    resolve(ids[0], ConflictChoice::Copy).await.unwrap();
    assert_eq!(get(&node.client, &there, "a").await.unwrap(), b"here");
    resolve(ids[1], ConflictChoice::Current).await.unwrap();
    assert!(matches!(resolve(ids[1], ConflictChoice::Current).await, Err(StorageError::NoSuchVersion { .. })));
    assert!(node.client.conflicts(Arc::clone(&there), None, 10).await.unwrap().is_empty());
    assert_eq!(node.client.usage(&there).quantity().objects, 1);
    let object = node.client.peek_object(&there, &key("a"), None).unwrap().object;
    let chosen = object.change(node.client.node_id());
    assert!(chosen.clock > u64::MAX >> 2 && chosen.origin == node.client.node_id(), "{chosen}");
    assert!(object.seen().covers(won.object.change(node.client.node_id())));
    // With a copy that nobody has looked at, the bucket can go; and all goes with it.
    put_replica(&node, &there, "a", "lost again", 9).await;
    delete(&node.client, &there, "a").await;
    node.client.delete_bucket(DeleteBucket { bucket: there }).await.unwrap();
    assert!(node.client.replication_queues().is_empty());
    let again = bucket(&node.client, "shared").await;
    assert!(node.client.conflicts(again, None, 10).await.unwrap().is_empty());
    node.client.stop().await.unwrap();
}
