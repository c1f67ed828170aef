//! A disk that takes long to sync: writes wait for it together, and reads do not wait for it at all.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;

use super::fixtures::{self, body, bucket, get, put};
use crate::clock::SystemClock;
use crate::storage::StorageClient;
use crate::storage::disk::{Act, Disk, Seam, Watcher};
use crate::storage::engine::Engine;

/// How long a sync takes.
const SYNC: Duration = Duration::from_millis(100);
const WRITES: usize = 300;
const READS: usize = 50;

/// Makes each sync take long, and counts them.
#[derive(Debug, Default)]
struct Slow {
    syncs: AtomicUsize,
}

impl Watcher for Slow {
    fn change(&self, act: &Act<'_>, work: &mut dyn FnMut() -> io::Result<()>) -> io::Result<()> {
        if matches!(act, Act::SyncData { .. }) {
            self.syncs.fetch_add(1, Ordering::Relaxed);
            std::thread::sleep(SYNC);
        }
        work()
    }
}

#[actix::test]
async fn who_waits_for_a_slow_disk_waits_together_and_readers_do_not() {
    let (root, slow) = (tempfile::tempdir().unwrap(), Arc::new(Slow::default()));
    let disk = Disk::open_watched(root.path(), true, Seam(Some(Arc::clone(&slow) as _))).unwrap();
    let engine = Engine::open(disk, &fixtures::settings(root.path()), Arc::new(SystemClock)).unwrap();
    let client = StorageClient::of(engine);
    let bucket = bucket(&client, "slow").await;
    put(&client, &bucket, "read", body(1, 1000)).await;
    let before = slow.syncs.load(Ordering::Relaxed);
    let names: Vec<String> = (0..WRITES).map(|n| format!("k-{n}")).collect();
    let writes = join_all(names.iter().map(|name| put(&client, &bucket, name, body(2, 1000))));
    let reads = async {
        for _ in 0..READS {
            assert_eq!(get(&client, &bucket, "read").await.unwrap(), body(1, 1000));
        }
    };
    futures_util::future::join(writes, reads).await;
    let syncs = slow.syncs.load(Ordering::Relaxed) - before;
    // Nor did each read wait for a sync.
    assert!(syncs < WRITES / 10, "{syncs} syncs for {WRITES} writes and {READS} reads");
    for name in &names {
        assert_eq!(get(&client, &bucket, name).await.unwrap(), body(2, 1000), "{name}");
    }
    client.stop().await.unwrap();
}
