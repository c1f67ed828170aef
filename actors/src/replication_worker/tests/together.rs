//! Small objects that are sent together to a node that takes that.

use std::sync::atomic::Ordering;

use super::memory::*;
use super::*;

#[actix::test]
async fn small_objects_go_together_and_each_is_judged_by_itself() {
    let peer = MemoryPeer::new(true);
    peer.behaviour.lock().together = true;
    let refused = PeerErrorKind::Refused { status: 403, code: "AccessDenied".to_owned() };
    peer.behaviour.lock().refuses.insert("k050".to_owned(), refused);
    let node = Node::replicating(peer, Mode::NewOnly).await;
    node.client.set_enabled(by(), bucket_name(), false).await.unwrap();
    for at in 0..100 {
        node.source.write(&format!("k{at:03}"), Some(&format!("{at}")));
    }
    node.source.write("k007", None);
    node.client.set_enabled(by(), bucket_name(), true).await.unwrap();
    eventually("all but one are sent", || node.source.rows() == 1 && node.status().totals.parked == 1).await;
    assert_eq!((node.peer.len(), node.peer.get("k007"), node.peer.get("k099").as_deref()), (98, None, Some("99")));
    let bundles = node.peer.bundles.lock().clone();
    assert!(bundles.iter().all(|count| (2..=16).contains(count)) && bundles.len() >= 7, "{bundles:?}");
    assert_eq!((node.status().throughput.changes, node.status().failures), (99, 1));
    assert_eq!(node.peer.out_of_order.load(Ordering::SeqCst), 0);
}

#[actix::test]
async fn a_target_that_is_away_is_told_of_once_for_all_that_went_together() {
    let peer = MemoryPeer::new(true);
    peer.behaviour.lock().together = true;
    let node = Node::replicating(peer, Mode::NewOnly).await;
    eventually("it was asked", || node.peer.handshakes.load(Ordering::SeqCst) > 0).await;
    node.peer.behaviour.lock().away = true;
    for at in 0..40 {
        node.source.write(&format!("k{at}"), Some("1"));
    }
    eventually("it is offline", || matches!(node.status().state, RuleState::Offline { .. })).await;
    assert_eq!((node.source.rows(), node.status().totals.parked), (40, 0));
    node.peer.behaviour.lock().away = false;
    eventually("all is sent by itself", || node.source.rows() == 0 && node.peer.len() == 40).await;
}
