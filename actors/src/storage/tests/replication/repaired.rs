//! What a person changes in the files is a change like any other: it is sent, and comes after what was there.

use std::path::Path;
use std::sync::Arc;

use super::super::fixtures::*;
use super::super::fsck::{rebuild, run};
use super::courier::rules;
use super::queue::{put_replica, replicated, settle, waiting};
use crate::bucket_config::ReplicationLimits;
use crate::names::{NodeId, Seen, Stamp};
use crate::storage::*;

/// A clock far ahead of this node's.
const AHEAD: u64 = u64::MAX >> 2;

async fn settle_all(node: &Node, queue: &QueueName) {
    for change in waiting(node, queue, ReplicationTray::Pending).await {
        assert_eq!(settle(node, queue, &change, SettledChange::Done).await, 1);
    }
}

fn write(root: &Path, name: &str, bytes: &[u8]) {
    let path = root.join("shared").join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

/// What waits to be sent, by key.
async fn queued(node: &Node, queue: &QueueName) -> Vec<String> {
    let waiting = waiting(node, queue, ReplicationTray::Pending).await;
    let mut keys: Vec<_> = waiting.iter().map(|change| change.slot.key.as_str().to_owned()).collect();
    keys.sort();
    keys
}

fn object(node: &Node, there: &Bucket, name: &str) -> Arc<Object> {
    Arc::clone(&node.client.peek_object(there, &key(name), None).unwrap().object)
}

fn reopened(root: tempfile::TempDir) -> Node {
    Node { client: open(root.path()), root }
}

#[actix::test]
async fn what_a_running_node_takes_over_is_sent() {
    let node = node();
    let (there, queue) = replicated(&node, ReplicationLimits::default()).await;
    for name in ["edited", "same"] {
        put(&node.client, &there, name, "before".into()).await;
    }
    let ahead = put_replica(&node, &there, "ahead", "theirs", AHEAD).await.object;
    settle_all(&node, &queue).await;
    node.client.shared().progress.wait_followed(node.client.shared().progress.position().sequence).unwrap();
    write(node.root.path(), "edited", b"by hand");
    write(node.root.path(), "ahead", b"edited, too");
    assert_eq!(get(&node.client, &there, "edited").await.unwrap(), b"by hand");
    assert_eq!(get(&node.client, &there, "ahead").await.unwrap(), b"edited, too");
    assert_eq!(queued(&node, &queue).await, ["ahead", "edited"], "noticed by a reader");
    let edited = object(&node, &there, "ahead");
    let own = node.client.node_id();
    assert!(edited.change(own).clock > AHEAD && edited.seen().covers(ahead.change(own)));
    settle_all(&node, &queue).await;
    delete(&node.client, &there, "same").await;
    settle_all(&node, &queue).await;
    write(node.root.path(), "new/file", b"adopted");
    write(node.root.path(), "same", b"put back");
    assert_eq!(node.client.adopt_files(&there).await.unwrap().adopted, 2);
    assert_eq!(queued(&node, &queue).await, ["new/file", "same"]);
    let root = stop(node).await;
    assert_eq!(run(root.path(), Mend::Nothing, true).1, []);
}

#[actix::test]
async fn what_a_check_takes_over_is_sent() {
    let node = node();
    let (there, queue) = replicated(&node, ReplicationLimits::default()).await;
    for name in ["edited", "same", "gone"] {
        put(&node.client, &there, name, "before".into()).await;
    }
    let ahead = put_replica(&node, &there, "ahead", "theirs", AHEAD).await.object;
    delete(&node.client, &there, "gone").await;
    let SlotState::Deleted { change: deleted, .. } =
        node.client.slot_state(&there, &Slot { key: key("gone"), version: None }).unwrap()
    else {
        panic!()
    };
    settle_all(&node, &queue).await;
    let root = stop(node).await;
    for (name, bytes) in [("edited", "by hand"), ("ahead", "edited, too"), ("gone", "put back"), ("new/file", "new")] {
        write(root.path(), name, bytes.as_bytes());
    }
    assert_eq!(run(root.path(), Mend::FromFiles, false).1.iter().filter(|finding| !finding.mended).count(), 0);
    // Once more before the node starts.
    write(root.path(), "edited", b"by hand, again");
    run(root.path(), Mend::FromFiles, false);
    assert_eq!(run(root.path(), Mend::Nothing, true).1, []);

    let node = reopened(root);
    node.client.replication_rules(rules("shared", NodeId::new(7), ReplicationLimits::default()));
    assert_eq!(queued(&node, &queue).await, [""; 0]);
    node.client.sweep_replication(Stamp(0)).await.unwrap();
    assert_eq!(queued(&node, &queue).await, ["ahead", "edited", "gone", "new/file"]);
    let totals = node.client.replication_totals(&queue).unwrap();
    assert_eq!((totals.pending, totals.pending_bytes, totals.overflowed), (4, 36, false));
    assert_eq!(node.client.replication_queues(), std::slice::from_ref(&queue), "that of anybody is gone");
    let own = node.client.node_id();
    let there = node.client.bucket(&there.name).unwrap();
    let edited = object(&node, &there, "ahead");
    assert!(edited.change(own).clock > AHEAD && edited.seen().covers(ahead.change(own)));
    let back = object(&node, &there, "gone");
    assert!(back.change(own) > deleted && back.seen() == Seen::default());
    assert_eq!(get(&node.client, &there, "edited").await.unwrap(), b"by hand, again");
    let root = stop(node).await;
    assert_eq!(run(root.path(), Mend::Nothing, true).1, []);

    // Without a rule nothing waits.
    write(root.path(), "another", b"x");
    run(root.path(), Mend::FromFiles, false);
    let node = reopened(root);
    node.client.sweep_replication(Stamp(0)).await.unwrap();
    assert!(!node.client.replication_queues().iter().any(QueueName::is_of_anybody));
    node.client.stop().await.unwrap();
}

#[actix::test]
async fn after_too_many_or_without_an_index_the_bucket_is_looked_at_as_a_whole() {
    let node = node();
    let (there, queue) = replicated(&node, ReplicationLimits::default()).await;
    put(&node.client, &there, "a", "a".into()).await;
    settle_all(&node, &queue).await;
    let mut root = stop(node).await;
    for is_lost in [false, true] {
        if is_lost {
            std::fs::remove_file(root.path().join(".myfsio.sys/index.redb")).unwrap();
            rebuild(root.path());
        } else {
            (0..25).for_each(|number| write(root.path(), &format!("n{number}"), b"x"));
            run(root.path(), Mend::FromFiles, false);
        }
        assert_eq!(run(root.path(), Mend::Nothing, true).1, []);
        let node = reopened(root);
        node.client.replication_rules(rules("shared", NodeId::new(7), ReplicationLimits::default()));
        node.client.sweep_replication(Stamp(0)).await.unwrap();
        let totals = node.client.replication_totals(&queue).unwrap();
        assert!(totals.overflowed, "lost: {is_lost}");
        assert_eq!(node.client.replication_queues(), std::slice::from_ref(&queue));
        while !node.client.drop_replication(queue.clone()).await.unwrap() {}
        root = stop(node).await;
        assert_eq!(run(root.path(), Mend::Nothing, true).1, []);
    }
}
