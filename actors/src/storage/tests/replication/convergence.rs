//! Whatever is written where, and however it is carried: in the end all nodes have the same, and nothing that was acknowledged is lost.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;

use super::super::fixtures::{owner, versions_of};
use super::super::fsck::{rebuild, run};
use super::courier::{Dice, Ring, copies, listing, name, read};
use crate::names::VersionId;
use crate::storage::*;

/// What became of writes beside what is there: overwritten or deleted by somebody who had them before him.
#[derive(Default)]
struct Story {
    written: Vec<String>,
    gone: BTreeSet<String>,
}

impl Story {
    /// What is at the null version of a key, or at the current one where there is no other, goes with what follows.
    async fn note(&mut self, ring: &Ring, at: usize, number: usize, version: Option<VersionId>) {
        let peer = &ring.peers[at];
        if let Ok(bytes) = read(&peer.client, &peer.bucket(), &name(number), version).await {
            self.gone.insert(String::from_utf8_lossy(&bytes).into_owned());
        }
    }

    async fn put(&mut self, ring: &Ring, at: usize, number: usize, dice: &mut Dice) {
        let peer = &ring.peers[at];
        let bucket = peer.bucket();
        if bucket.versioning != Versioning::Enabled {
            self.note(ring, at, number, Some(VersionId::Null)).await;
        }
        let text = format!("write-{}-{at}-{}", self.written.len(), "x".repeat(dice.roll(3) * 9000));
        let (key, owner) = (name(number), owner());
        let begin = BeginBody { bucket: &bucket, key: &key, owner: &owner, size: Some(text.len() as u64) };
        let mut writer = peer.client.begin_body(begin, DigestPlan::default(), None).unwrap();
        writer.write(Bytes::from(text.clone())).await.unwrap();
        let message = PutObject {
            bucket: Arc::clone(&bucket),
            key,
            owner,
            attributes: Attributes::default(),
            controls: Controls::default(),
            body: writer.finish().await.unwrap(),
            checksum: None,
            conditions: WriteConditions::default(),
            replica: None,
        };
        peer.client.put_object(message).await.unwrap();
        self.written.push(text);
    }

    async fn delete(&mut self, ring: &Ring, at: usize, number: usize, version: Option<VersionId>) {
        let peer = &ring.peers[at];
        let bucket = peer.bucket();
        match version {
            Some(_) => self.note(ring, at, number, version).await,
            None if bucket.versioning != Versioning::Enabled => {
                self.note(ring, at, number, Some(VersionId::Null)).await
            }
            None => {}
        }
        let message = DeleteObject {
            bucket,
            key: name(number),
            version,
            owner: owner(),
            bypass_governance: false,
            conditions: WriteConditions::default(),
            replica: None,
        };
        peer.client.delete_object(message).await.unwrap();
    }

    async fn delete_a_version(&mut self, ring: &Ring, at: usize, dice: &mut Dice) {
        let peer = &ring.peers[at];
        let page = peer.client.list_versions(versions_of(&peer.bucket(), "")).await.unwrap();
        if page.entries.is_empty() {
            return;
        }
        let entry = &page.entries[dice.roll(page.entries.len())];
        let number = (0..5).find(|number| name(*number) == entry.key).unwrap();
        self.delete(ring, at, number, Some(entry.version_id)).await;
    }

    async fn tag(&mut self, ring: &Ring, at: usize, number: usize, dice: &mut Dice) {
        let peer = &ring.peers[at];
        let change = ObjectChange::Tags(vec![("t".to_owned(), dice.roll(1000).to_string())]);
        let message =
            ChangeObject { bucket: peer.bucket(), key: name(number), version: None, of: None, change, replica: None };
        let _not_there = peer.client.change_object(message).await;
    }
}

async fn story(size: usize, versioning: Versioning, seed: u64, steps: usize) {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut ring = Ring::new(size, versioning).await;
    let mut story = Story::default();
    for _ in 0..steps {
        let (at, number) = (dice.roll(size), dice.roll(5));
        match dice.roll(20) {
            0..=7 => story.put(&ring, at, number, &mut dice).await,
            8..=9 => story.delete(&ring, at, number, None).await,
            10..=11 if versioning != Versioning::Off => story.delete_a_version(&ring, at, &mut dice).await,
            12..=13 => story.tag(&ring, at, number, &mut dice).await,
            14 => ring.repeat(&mut dice).await,
            15 if dice.roll(6) == 0 => ring.restart(at, |_| ()).await,
            _ => drop(ring.carry(at, &mut dice, false).await),
        }
    }
    ring.settle(&mut dice).await;
    for _ in 0..20 {
        ring.repeat(&mut dice).await;
    }
    ring.settle(&mut dice).await;
    let first = listing(&ring.peers[0]).await;
    let mut there: BTreeSet<String> = BTreeSet::new();
    for (at, peer) in ring.peers.iter().enumerate() {
        let found = listing(peer).await;
        assert_eq!(found, first, "seed {seed}: node {at} lists otherwise than node 0");
        there.extend(copies(peer).await);
        let totals = peer.client.replication_totals(&peer.queue()).unwrap();
        assert_eq!(totals, QueueTotals::default(), "seed {seed}: node {at}");
    }
    for text in &story.written {
        let begin = text.trim_end_matches('x');
        let is_listed = first.values().any(|listed| listed.contains(&format!(" {begin} ")));
        let is_there = is_listed || there.contains(text) || story.gone.contains(text);
        assert!(is_there, "seed {seed}: {} is lost", &text[..16.min(text.len())]);
    }
    // What nodes keep is sound, and comes back from the files without the index.
    let kept = copies(&ring.peers[0]).await;
    ring.restart(0, |root| {
        assert_eq!(run(root, Mend::Nothing, true).1, [], "seed {seed}");
        rebuild(root);
        assert_eq!(run(root, Mend::Nothing, true).1, [], "seed {seed}, reindexed");
    })
    .await;
    assert_eq!(listing(&ring.peers[0]).await, first, "seed {seed}, reindexed");
    assert_eq!(copies(&ring.peers[0]).await, kept, "seed {seed}, reindexed");
    for peer in &ring.peers {
        peer.client.stop().await.unwrap();
    }
}

const SEEDS: u64 = 6;

#[actix::test]
async fn without_versions() {
    for seed in 1..=SEEDS {
        story(2, Versioning::Off, seed, 150).await;
        story(3, Versioning::Off, 100 + seed, 150).await;
    }
}

#[actix::test]
async fn with_versions() {
    for seed in 1..=SEEDS {
        story(2, Versioning::Enabled, seed, 150).await;
        story(3, Versioning::Enabled, 100 + seed, 150).await;
    }
}

#[actix::test]
async fn with_versioning_suspended() {
    for seed in 1..=SEEDS {
        story(2, Versioning::Suspended, seed, 150).await;
        story(3, Versioning::Suspended, 100 + seed, 150).await;
    }
}
