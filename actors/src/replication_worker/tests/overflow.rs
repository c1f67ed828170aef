//! A queue that was full: it is dropped, and all is sent anew, whatever happens meanwhile.

use std::fs;

use super::memory::*;
use super::*;

#[actix::test]
async fn a_queue_that_was_too_long_is_dropped_and_all_is_sent_anew() {
    let node = Node::replicating(MemoryPeer::new(true), Mode::All).await;
    eventually("it was asked", || node.status().fill.is_some_and(|fill| fill.done)).await;
    node.peer.behaviour.lock().away = true;
    for at in 0..25 {
        node.source.write(&format!("k{at}"), Some("1"));
    }
    node.source.overflow();
    eventually("it is dropped", || node.source.dropped() == 1).await;
    assert_eq!(node.peer.len(), 0);
    node.peer.behaviour.lock().away = false;
    eventually("all is sent", || node.peer.len() == 25 && node.source.rows() == 0).await;
    eventually("all is well", || node.status().state == RuleState::Active).await;
}

/// Nothing is lost by a crash before it is noted that all is to be sent anew, or between that and the drop of the queue.
#[actix::test]
async fn a_crash_around_the_drop_of_a_queue_loses_nothing() {
    for is_noted in [false, true] {
        let node = Node::replicating(MemoryPeer::new(true), Mode::All).await;
        eventually("it was asked", || node.status().fill.is_some_and(|fill| fill.done)).await;
        node.peer.behaviour.lock().away = true;
        node.source.write("queued", Some("1"));
        let crashed = tempfile::tempdir().unwrap();
        let leave = || {
            for (from, to) in Node::paths(&node.root).iter().zip(Node::paths(&crashed)) {
                fs::copy(from, to).unwrap();
            }
        };
        let fill = || {
            serde_json::from_str::<Value>(&fs::read_to_string(&Node::paths(&node.root)[2]).unwrap_or_default())
                .map(|read| read["photos"]["fill"].clone())
                .unwrap_or_default()
        };
        eventually("that is noted", || fill()["done"] == true).await;
        leave();
        node.source.refuse_drops(true);
        node.source.overflow();
        node.source.write("not queued", Some("1"));
        eventually("it is noted", || fill()["is_resync"] == true).await;
        if is_noted {
            leave();
        }
        assert_eq!((node.source.dropped(), node.source.rows()), (0, 1));
        let Node { source, peer, client, .. } = node;
        client.stop().await.unwrap();
        source.refuse_drops(false);
        peer.behaviour.lock().away = false;
        let node = Node::start(crashed, source, peer);
        eventually("all is sent", || node.peer.len() == 2 && node.source.rows() == 0).await;
        assert_eq!(node.source.dropped(), 1);
        eventually("all is well", || node.status().state == RuleState::Active).await;
    }
}
