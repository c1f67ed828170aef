//! Complete requests that meet others of the same upload half-way.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use parking_lot::Mutex;

use super::fixtures::{self, begin, body, bucket, completion, get, key, part};
use crate::clock::SystemClock;
use crate::storage::disk::{Act, Disk, Seam, Watcher};
use crate::storage::engine::Engine;
use crate::storage::messages::AbortUpload;
use crate::storage::{StorageClient, StorageError};

const SIZE: usize = 100_000;

/// Where a change of the disk is held up.
#[derive(Debug, Clone, Copy, PartialEq)]
enum At {
    /// The journal is written.
    Commit,
    /// A part is copied.
    Copy,
}

/// Holds the next change of a kind up, once it is armed.
#[derive(Debug, Default)]
struct Gate(Mutex<Option<Hold>>);

/// The change that is to be held up.
#[derive(Debug)]
struct Hold {
    at: At,
    reached: Sender<()>,
    opened: Receiver<()>,
}

/// The other side of a gate.
struct Keeper {
    reached: Receiver<()>,
    open: Sender<()>,
}

impl Gate {
    fn arm(&self, at: At) -> Keeper {
        let ((reached, is_reached), (open, opened)) = (bounded(1), bounded(1));
        *self.0.lock() = Some(Hold { at, reached, opened });
        Keeper { reached: is_reached, open }
    }
}

impl Watcher for Gate {
    fn change(&self, act: &Act<'_>, work: &mut dyn FnMut() -> io::Result<()>) -> io::Result<()> {
        let at = match act {
            Act::Copy { .. } => Some(At::Copy),
            Act::Write { .. } if std::thread::current().name() == Some("committer") => Some(At::Commit),
            _ => None,
        };
        let held = self.0.lock().take_if(|hold| Some(hold.at) == at);
        if let Some(hold) = held {
            hold.reached.send(()).unwrap();
            let _opened_or_gone = hold.opened.recv();
        }
        work()
    }
}

impl Keeper {
    /// Waits, beside the runtime, until the change has come.
    async fn reached(&self) {
        let reached = self.reached.clone();
        actix::clock::timeout(Duration::from_secs(60), async move {
            while reached.try_recv().is_err() {
                actix::clock::sleep(Duration::from_millis(1)).await;
            }
        })
        .await
        .unwrap();
    }
}

fn gated() -> (tempfile::TempDir, Arc<Gate>, StorageClient) {
    let (root, gate) = (tempfile::tempdir().unwrap(), Arc::new(Gate::default()));
    let disk = Disk::open_watched(root.path(), true, Seam(Some(Arc::clone(&gate) as _))).unwrap();
    let engine = Engine::open(disk, &fixtures::settings(root.path()), Arc::new(SystemClock)).unwrap();
    (root, gate, StorageClient::of(engine))
}

fn followed(client: &StorageClient) {
    let progress = &client.shared().progress;
    progress.wait_followed(progress.position().sequence).unwrap();
}

#[actix::test]
async fn who_comes_while_another_is_being_committed_writes_nothing_into_its_object() {
    let (root, gate, client) = gated();
    let bucket = bucket(&client, "turns").await;
    let upload = begin(&client, &bucket, "k").await;
    let first = part(&client, &bucket, &upload, 1, body(1, SIZE)).await;
    // It fits no slot: it lies in a file of its own, and would be copied behind the first part.
    let second = part(&client, &bucket, &upload, 2, body(2, SIZE + 1)).await;
    let keeper = gate.arm(At::Commit);
    let complete = |parts| {
        let (client, request) = (client.clone(), completion(&bucket, &upload, parts));
        actix::spawn(async move { client.complete_upload(request).await })
    };
    let short = complete(vec![first]);
    keeper.reached().await;
    let copying = gate.arm(At::Copy);
    let long = complete(vec![first, second]);
    let same = complete(vec![first]);
    // Nothing depends on it: it gives one that does not wait for its turn the time to do harm.
    actix::clock::sleep(Duration::from_millis(50)).await;
    keeper.open.send(()).unwrap();
    let stored = short.await.unwrap().unwrap();
    followed(&client);
    drop(copying);
    assert!(matches!(long.await.unwrap(), Err(StorageError::NoSuchUpload { .. })));
    assert_eq!(same.await.unwrap().unwrap().object, stored.object);
    assert_eq!(get(&client, &bucket, "k").await.unwrap(), body(1, SIZE));
    assert_eq!(std::fs::read(root.path().join("turns/k")).unwrap(), body(1, SIZE));
    client.stop().await.unwrap();
}

#[actix::test]
async fn parts_that_vanish_while_they_are_copied_are_of_an_upload_that_ended() {
    let (_root, gate, client) = gated();
    let bucket = bucket(&client, "ended").await;
    let upload = begin(&client, &bucket, "k").await;
    let mut parts = Vec::new();
    for (number, size) in [(1, 5), (2, SIZE), (3, SIZE + 1), (4, SIZE + 2)] {
        parts.push(part(&client, &bucket, &upload, number, body(number as usize, size)).await);
    }
    let keeper = gate.arm(At::Copy);
    let (working, request) = (client.clone(), completion(&bucket, &upload, parts));
    let completing = actix::spawn(async move { working.complete_upload(request).await });
    keeper.reached().await;
    let abort = AbortUpload { bucket: Arc::clone(&bucket), key: key("k"), upload: upload.id };
    client.abort_upload(abort).await.unwrap();
    followed(&client);
    keeper.open.send(()).unwrap();
    let refused = completing.await.unwrap();
    assert!(matches!(refused, Err(StorageError::NoSuchUpload { .. })), "{refused:?}");
    client.stop().await.unwrap();
}

#[actix::test]
async fn a_part_that_comes_again_while_it_is_copied_is_taken_as_it_is_then() {
    for (bytes, is_the_same) in [(body(3, SIZE + 1), true), (body(9, SIZE + 1), false)] {
        let (_root, gate, client) = gated();
        let bucket = bucket(&client, "again").await;
        let upload = begin(&client, &bucket, "k").await;
        let mut parts = Vec::new();
        for (number, size) in [(1, 5), (2, SIZE), (3, SIZE + 1)] {
            parts.push(part(&client, &bucket, &upload, number, body(number as usize, size)).await);
        }
        let keeper = gate.arm(At::Copy);
        let (working, request) = (client.clone(), completion(&bucket, &upload, parts));
        let completing = actix::spawn(async move { working.complete_upload(request).await });
        keeper.reached().await;
        part(&client, &bucket, &upload, 3, bytes.clone()).await;
        followed(&client);
        keeper.open.send(()).unwrap();
        let done = completing.await.unwrap();
        if is_the_same {
            done.unwrap();
            let whole = [body(1, 5), body(2, SIZE), bytes].concat();
            assert_eq!(get(&client, &bucket, "k").await.unwrap(), whole);
        } else {
            assert!(matches!(done, Err(StorageError::InvalidPart { .. })), "{done:?}");
        }
        client.stop().await.unwrap();
    }
}
