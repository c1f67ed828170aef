//! The plug is pulled in front of every change.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use super::super::replication::courier::rules_of;
use super::client::{Changes, Client};
use super::disk_model::{DiskModel, SURVIVALS, Survival};
use super::oracle::{self, Promise, REPLICATED};
use super::recorder::{Fault, Note, Recorder};
use super::sealed::is_plaintext;
use super::workload;
use super::{Choices, rounds, seed};
use crate::bucket_config::ReplicationLimits;
use crate::clock::SystemClock;
use crate::storage::disk::{Disk, Seam};
use crate::storage::engine::Engine;
use crate::storage::{StorageClient, StorageSettings};

/// A folder in memory, where there is such: what is not synced is noted, not left to the device.
pub fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory).unwrap() } else { tempfile::tempdir().unwrap() }
}

pub fn settings(root: &Path, strict: bool) -> StorageSettings {
    StorageSettings {
        root: root.to_owned(),
        strict,
        journal_segment_bytes: 128 << 10,
        inline_body_bytes: 8 << 10,
        index_cache_bytes: 1 << 20,
        ballast_bytes: 0,
    }
}

/// What happened: every change and mark in order, and what each request changes.
pub struct Story {
    pub notes: Vec<Note>,
    pub requests: Vec<Changes>,
    pub recorder: Arc<Recorder>,
    pub root: tempfile::TempDir,
    /// Whether Storage said that it failed.
    pub failure: Option<String>,
}

/// Runs a workload on a new node while everything is noted.
pub async fn tell(strict: bool, fault: Option<Fault>, load: Load) -> Story {
    let root = folder();
    let recorder = Arc::new(Recorder::new(root.path(), fault));
    let requests = RefCell::new(Vec::new());
    let seam = Seam(Some(Arc::clone(&recorder) as _));
    let disk = Disk::open_watched(root.path(), strict, seam);
    let started = disk.map_err(|e| crate::storage::StorageError::io("open", root.path(), e));
    let settings = settings(root.path(), strict);
    let started = started.and_then(|disk| Engine::open(disk, &settings, Arc::new(SystemClock)));
    let mut failure = None;
    if let Ok(engine) = started {
        let storage = StorageClient::of(engine);
        storage.replication_rules(rules_of(&REPLICATED, None, ReplicationLimits::default()));
        let client = Client { storage: &storage, recorder: &recorder, requests: &requests };
        match load {
            Load::OneByOne => workload::one_by_one(&client).await,
            Load::Together(seed) => workload::together(&client, seed).await,
        }
        failure = storage.failure();
        let _may_have_failed = storage.stop().await;
        let shared = Arc::downgrade(&storage.shared);
        drop(storage);
        while shared.strong_count() > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    }
    let notes = recorder.notes();
    assert!(!notes.iter().any(is_plaintext), "plaintext of an encrypted object was written");
    Story { notes, requests: requests.into_inner(), recorder, root, failure }
}

#[derive(Debug, Clone, Copy)]
pub enum Load {
    OneByOne,
    Together(u64),
}

/// Checks what is left when the power is lost in front of each change, and at the end.
pub fn pull_everywhere(story: &Story, survivals: &[Survival], seed: u64) -> usize {
    let mut choices = Choices(seed);
    let (mut disk, mut promise) = (DiskModel::default(), Promise::default());
    let mut states = 0usize;
    for (at, note) in story.notes.iter().map(Some).chain([None]).enumerate() {
        let is_mark =
            matches!(note, Some(Note::Begun { .. } | Note::Refused | Note::SyncData { .. } | Note::SyncFolder { .. }));
        // In front of a sync the same is on the disk as in front of the change before it.
        if !is_mark {
            let some = survivals.len().min(2);
            let first = (states as u64).wrapping_add(seed) as usize % survivals.len();
            for survival in (0..some).map(|n| survivals[(first + n) % survivals.len()]) {
                let again = states.is_multiple_of(16);
                let checked = catch_unwind(AssertUnwindSafe(|| {
                    pull(&disk, survival, &mut choices, &promise, &story.requests, again);
                }));
                if let Err(panic) = checked {
                    let before = &story.notes[at.saturating_sub(12)..at];
                    eprintln!("power lost at change {at}, {survival:?} survives, seed {seed}; before it:");
                    before.iter().for_each(|note| eprintln!("    {}", brief(note)));
                    eprintln!("next: {}", note.map_or_else(|| "the end".to_owned(), brief));
                    std::panic::resume_unwind(panic);
                }
            }
            states += 1;
        }
        if let Some(note) = note {
            disk.apply(note);
            promise.hear(note, &story.requests);
        }
    }
    states
}

/// Checks one state; `again`: the power is lost once more during the recovery.
fn pull(
    disk: &DiskModel,
    survival: Survival,
    choices: &mut Choices,
    promise: &Promise,
    requests: &[Changes],
    again: bool,
) {
    let root = folder();
    let after = disk.lose_power(survival, choices, root.path());
    if !again {
        let settings = settings(root.path(), false);
        oracle::check(Disk::open(root.path(), false).unwrap(), &settings, promise, requests);
        return;
    }
    let recorder = Arc::new(Recorder::new(root.path(), None));
    after.introduce(&recorder);
    let watched = Disk::open_watched(root.path(), true, Seam(Some(Arc::clone(&recorder) as _))).unwrap();
    oracle::check(watched, &settings(root.path(), true), promise, requests);
    let notes = recorder.notes();
    for _ in 0..3 {
        let mut disk = after.clone();
        notes[..choices.below(notes.len() + 1)].iter().for_each(|note| disk.apply(note));
        let root = folder();
        disk.lose_power(SURVIVALS[choices.below(SURVIVALS.len())], choices, root.path());
        let settings = settings(root.path(), false);
        oracle::check(Disk::open(root.path(), false).unwrap(), &settings, promise, requests);
    }
}

fn brief(note: &Note) -> String {
    match note {
        Note::Write { id, offset, bytes, .. } => {
            format!("Write {{ id: {id}, offset: {offset}, {} bytes }}", bytes.len())
        }
        Note::SetTag { id, .. } => format!("SetTag {{ id: {id} }}"),
        other => format!("{other:?}"),
    }
}

#[actix::test]
async fn whatever_the_moment_one_by_one() {
    for round in 0..rounds() {
        let story = tell(true, None, Load::OneByOne).await;
        assert_eq!(story.failure, None);
        let refused = story.notes.iter().filter(|note| matches!(note, Note::Refused)).count();
        assert_eq!(refused, 0, "the workload is acknowledged");
        let states = pull_everywhere(&story, &SURVIVALS, seed(round));
        assert!(states > 500, "{states}");
    }
}

#[actix::test]
async fn whatever_the_moment_together() {
    for round in 0..rounds() {
        let seed = seed(round);
        let story = tell(true, None, Load::Together(seed)).await;
        assert_eq!(story.failure, None);
        pull_everywhere(&story, &SURVIVALS, seed);
    }
}

/// Relaxed durability survives a kill: everything that was written is there.
#[actix::test]
async fn a_killed_process_loses_nothing_without_syncs() {
    for round in 0..rounds() {
        let seed = seed(round);
        for load in [Load::OneByOne, Load::Together(seed)] {
            let story = tell(false, None, load).await;
            pull_everywhere(&story, &[Survival::Everything], seed);
        }
    }
}
