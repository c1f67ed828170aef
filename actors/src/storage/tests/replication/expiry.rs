//! What is only kept for a time goes when that is over, and not before.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::super::fixtures::*;
use super::super::fsck::run;
use super::queue::{put_as, put_replica, replica, replicated, settle, waiting};
use crate::bucket_config::ReplicationLimits;
use crate::clock::{Clock as _, ManualClock};
use crate::names::{Stamp, VersionId};
use crate::storage::*;

const DAY: Duration = Duration::from_secs(86_400);
const SECOND: Duration = Duration::from_secs(1);
const START: Stamp = Stamp(1_700_000_000_000_000_000);

fn limits() -> ReplicationLimits {
    ReplicationLimits { tombstone_days: 10, conflict_days: 20, ..ReplicationLimits::default() }
}

async fn settle_all(node: &Node, queue: &QueueName) {
    for change in waiting(node, queue, ReplicationTray::Pending).await {
        assert_eq!(settle(node, queue, &change, SettledChange::Done).await, 1);
    }
}

/// Versions that lost, and copies, with how many files there are beside those of current objects.
async fn lost(node: &Node, there: &Arc<Bucket>) -> (Vec<(String, bool)>, usize) {
    let conflicts = node.client.conflicts(Arc::clone(there), None, 10).await.unwrap();
    let told = conflicts.iter().map(|conflict| (conflict.key.as_str().to_owned(), conflict.is_version)).collect();
    let shared = node.client.shared();
    shared.progress.wait_followed(shared.progress.position().sequence).unwrap();
    let folder = node.root.path().join(Path::new(".myfsio.sys/buckets").join(there.id.0.to_string()));
    let aside = files_below(&folder).into_iter().filter(|file| file.to_string_lossy().contains("/overflow/"));
    (told, aside.count())
}

#[actix::test]
async fn tombstones_and_copies_go_when_their_time_is_over() {
    let clock = Arc::new(ManualClock::new(START));
    let root = tempfile::tempdir().unwrap();
    let client = unlocked(|| StorageClient::start(&settings(root.path()), clock.clone()));
    let node = Node { client, root };
    let (there, queue) = replicated(&node, limits()).await;
    let sweep = async || node.client.sweep_replication(clock.now()).await.unwrap();
    let is_buried = |name: &str| {
        let state = node.client.slot_state(&there, &Slot { key: key(name), version: None }).unwrap();
        matches!(state, SlotState::Deleted { .. })
    };

    for name in ["a", "b", "gone"] {
        put(&node.client, &there, name, "here".into()).await;
    }
    assert_eq!(put_replica(&node, &there, "a", "lost early", 5).await.applied, Applied::Lost);
    delete(&node.client, &there, "gone").await;
    settle_all(&node, &queue).await;
    clock.advance(5 * DAY);
    assert_eq!(put_replica(&node, &there, "b", "lost late", 6).await.applied, Applied::Lost);
    put(&node.client, &there, "gone too", "here".into()).await;
    delete(&node.client, &there, "gone too").await;
    settle_all(&node, &queue).await;
    let both = vec![("a".to_owned(), false), ("b".to_owned(), false)];

    clock.set(Stamp(START.0 + 10 * DAY.as_nanos() as u64 - SECOND.as_nanos() as u64));
    sweep().await;
    assert!(is_buried("gone") && is_buried("gone too"), "not before its time");
    clock.advance(2 * SECOND);
    sweep().await;
    assert!(!is_buried("gone") && is_buried("gone too"));
    assert!(!node.client.replication_totals(&queue).unwrap().overflowed, "it was sent");
    assert_eq!(lost(&node, &there).await, (both, 2));
    assert_eq!(node.client.usage(&there).quantity().objects, 4);

    clock.set(Stamp(START.0 + 20 * DAY.as_nanos() as u64 + SECOND.as_nanos() as u64));
    sweep().await;
    assert_eq!(lost(&node, &there).await, (vec![("b".to_owned(), false)], 1));
    assert_eq!(node.client.usage(&there).quantity().objects, 3);
    assert!(!is_buried("gone too"));
    clock.advance(5 * DAY);
    sweep().await;
    assert_eq!(lost(&node, &there).await, (vec![], 0));
    assert_eq!((get(&node.client, &there, "a").await.unwrap(), node.client.usage(&there).bytes), (b"here".to_vec(), 8));
    let root = stop(node).await;
    assert_eq!(run(root.path(), Mend::Nothing, true).1, []);
}

#[actix::test]
async fn what_was_here_long_before_it_lost_is_kept_from_then_on() {
    let clock = Arc::new(ManualClock::new(START));
    let root = tempfile::tempdir().unwrap();
    let client = unlocked(|| StorageClient::start(&settings(root.path()), clock.clone()));
    let node = Node { client, root };
    let (there, _) = replicated(&node, limits()).await;
    put(&node.client, &there, "k", "mine".into()).await;
    clock.advance(40 * DAY);
    assert_eq!(put_replica(&node, &there, "k", "theirs", clock.now().0).await.applied, Applied::Applied);
    let kept = vec![("k".to_owned(), false)];
    for wait in [SECOND, 20 * DAY - 2 * SECOND] {
        clock.advance(wait);
        node.client.sweep_replication(clock.now()).await.unwrap();
        assert_eq!(lost(&node, &there).await, (kept.clone(), 1));
    }
    clock.advance(2 * SECOND);
    node.client.sweep_replication(clock.now()).await.unwrap();
    assert_eq!(lost(&node, &there).await, (vec![], 0));
    let root = stop(node).await;
    assert_eq!(run(root.path(), Mend::Nothing, true).1, []);
}

#[actix::test]
async fn a_version_that_lost_stays_and_is_told_no_more() {
    let clock = Arc::new(ManualClock::new(START));
    let root = tempfile::tempdir().unwrap();
    let client = unlocked(|| StorageClient::start(&settings(root.path()), clock.clone()));
    let node = Node { client, root };
    let (there, _) = replicated(&node, limits()).await;
    let change = BucketChange::Versioning(Versioning::Enabled);
    node.client.configure_bucket(ConfigureBucket { bucket: Arc::clone(&there), change }).await.unwrap();
    let there = node.client.bucket(&there.name).unwrap();
    put(&node.client, &there, "k", "here".into()).await;
    let id = VersionId::Unique { stamp: Stamp(START.0 - 1), random: 3 };
    let older = replica(START.0 - 1, 7).map(|replica| Box::new(Replica { version: id, ..*replica }));
    put_as(&node, &there, "k", "older", older).await;
    assert_eq!(lost(&node, &there).await.0, [("k".to_owned(), true)]);
    clock.advance(20 * DAY - SECOND);
    node.client.sweep_replication(clock.now()).await.unwrap();
    assert_eq!(lost(&node, &there).await.0.len(), 1);
    clock.advance(2 * SECOND);
    node.client.sweep_replication(clock.now()).await.unwrap();
    assert_eq!(lost(&node, &there).await, (vec![], 1), "its bytes are still there");
    assert_eq!(node.client.open_object(&there, &key("k"), Some(id)).await.unwrap().object.size, 5);
    let root = stop(node).await;
    assert_eq!(run(root.path(), Mend::Nothing, true).1, []);
}
