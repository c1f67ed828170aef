//! Two versions of a key that have one clock, however unlikely that is: whatever they are, and in whatever order nodes hear of them, all
//! come to the same.

use std::sync::Arc;

use super::super::fixtures::*;
use super::super::fsck::run;
use super::queue::{put_as, replica, replicated};
use crate::bucket_config::ReplicationLimits;
use crate::names::{Stamp, VersionId};
use crate::storage::*;

/// The clock of what both nodes have, in between.
const BETWEEN: u64 = 1 << 61;

/// What another node sends of one clock, by the random half of the version's id.
#[derive(Debug, Clone, Copy)]
enum Sent {
    Object(u64),
    Marker(u64),
    Delete(u64),
}

fn id(clock: u64, random: u64) -> VersionId {
    VersionId::Unique { stamp: Stamp(clock), random }
}

fn of(clock: u64, version: VersionId) -> Option<Box<Replica>> {
    replica(clock, 7).map(|replica| Box::new(Replica { version, modified: None, ..*replica }))
}

async fn deliver(node: &Node, there: &Arc<Bucket>, name: &str, clock: u64, sent: Sent) {
    let (version, replica) = match sent {
        Sent::Object(random) => {
            put_as(node, there, name, &format!("object {random}"), of(clock, id(clock, random))).await;
            return;
        }
        Sent::Marker(random) => (None, of(clock, id(clock, random))),
        Sent::Delete(random) => (Some(id(clock, random)), of(clock + 9, id(clock, random))),
    };
    let message = DeleteObject {
        bucket: Arc::clone(there),
        key: key(name),
        version,
        owner: owner(),
        bypass_governance: false,
        conditions: WriteConditions::default(),
        replica,
    };
    node.client.delete_object(message).await.unwrap();
}

/// What is listed of a key: its versions, which is the newest, and which are objects.
async fn listed(node: &Node, there: &Arc<Bucket>, name: &str) -> Vec<(VersionId, bool, bool)> {
    let page = node.client.list_versions(versions_of(there, name)).await.unwrap();
    page.entries.iter().map(|entry| (entry.version_id, entry.is_latest, entry.object.is_some())).collect()
}

/// All orders of some things.
fn orders(all: &[Sent]) -> Vec<Vec<Sent>> {
    if all.is_empty() {
        return vec![Vec::new()];
    }
    let mut found = Vec::new();
    for (at, first) in all.iter().enumerate() {
        let rest: Vec<_> = all.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, sent)| *sent).collect();
        found.extend(orders(&rest).into_iter().map(|order| [vec![*first], order].concat()));
    }
    found
}

/// What is sent, and who has the place in the end: its id, and whether it is an object.
type Story<'a> = (&'a [Sent], Option<(u64, bool)>);

#[actix::test]
async fn the_greater_id_has_the_place_whatever_comes_first() {
    use Sent::{Delete, Marker, Object};
    let node = node();
    let (there, _) = replicated(&node, ReplicationLimits::default()).await;
    let enable = ConfigureBucket { bucket: Arc::clone(&there), change: BucketChange::Versioning(Versioning::Enabled) };
    node.client.configure_bucket(enable).await.unwrap();
    let there = node.client.bucket(&there.name).unwrap();
    let stories: [Story<'_>; 8] = [
        (&[Object(5), Marker(9)], Some((9, false))),
        (&[Object(9), Marker(5)], Some((9, true))),
        (&[Marker(5), Marker(9)], Some((9, false))),
        (&[Object(5), Object(7), Marker(9)], Some((9, false))),
        (&[Marker(5), Object(7), Object(9)], Some((9, true))),
        (&[Object(5), Object(9), Delete(5)], Some((9, true))),
        (&[Object(5), Marker(9), Delete(5)], Some((9, false))),
        (&[Marker(5), Object(9), Delete(9)], None),
    ];
    for clock in [1 << 60, 3 << 60] {
        for (number, (story, winner)) in stories.iter().enumerate() {
            for (at, order) in orders(story).into_iter().enumerate() {
                let name = format!("{clock}-{number}-{at}");
                put_as(&node, &there, &name, "between", of(BETWEEN, id(BETWEEN, 1))).await;
                for sent in order.iter().chain(&order) {
                    deliver(&node, &there, &name, clock, *sent).await;
                }
                let is_newer = clock > BETWEEN;
                let between = (id(BETWEEN, 1), !is_newer || winner.is_none(), true);
                let mut expected = vec![between];
                if let Some((random, is_object)) = winner {
                    expected.insert(usize::from(!is_newer), (id(clock, *random), is_newer, *is_object));
                }
                assert_eq!(listed(&node, &there, &name).await, expected, "{order:?} at {clock}");
            }
        }
    }
    let lost = node.client.conflicts(Arc::clone(&there), None, 1000).await.unwrap();
    assert!(lost.iter().any(|conflict| conflict.version_id == id(1 << 60, 5)), "what an object has lost is kept");
    let root = stop(node).await;
    assert_eq!(run(root.path(), Mend::Nothing, true).1, []);
}
