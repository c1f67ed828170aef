//! What a durable write costs: small objects through Storage, strict and relaxed, beside the same bytes each in a file of
//! its own that is synced and renamed (what a server without a journal must do). One run, interleaved, medians of three
//! rounds: `cargo bench --bench commit_path`, or `-- 64` for that number of writers alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use myfsio_actors::bucket_config::BucketConfig;
use myfsio_actors::clock::SystemClock;
use myfsio_actors::names::{BucketName, CanonicalId, ObjectKey};
use myfsio_actors::storage::{
    Attributes, BeginBody, Controls, CreateBucket, DigestPlan, PutObject, StorageClient, StorageSettings,
    WriteConditions,
};

const ROUND: Duration = Duration::from_secs(4);
const ROUNDS: usize = 3;

/// Writes per second of `writers` concurrent writers through Storage.
async fn storage(strict: bool, root: &Path, writers: usize, body: &Bytes) -> f64 {
    let settings = StorageSettings {
        root: root.to_owned(),
        strict,
        journal_segment_bytes: 32 << 20,
        inline_body_bytes: 128 << 10,
        index_cache_bytes: 32 << 20,
        ballast_bytes: 64 << 20,
    };
    let client = StorageClient::start(&settings, Arc::new(SystemClock)).unwrap();
    let owner = CanonicalId::from_bytes([1; 32]);
    let name = BucketName::parse("bench-bucket").unwrap();
    let bucket = client
        .create_bucket(CreateBucket { name, owner: owner.clone(), config: BucketConfig::default() })
        .await
        .unwrap();
    let (start, written) = (Instant::now(), AtomicU64::new(0));
    let write = |writer: usize| {
        let (client, bucket, owner, written) = (client.clone(), Arc::clone(&bucket), owner.clone(), &written);
        async move {
            let mut n = 0u64;
            while start.elapsed() < ROUND {
                let key = ObjectKey::parse(format!("{writer}/{}/{n}", n % 100).as_bytes()).unwrap();
                let begin = BeginBody { bucket: &bucket, key: &key, owner: &owner, size: Some(body.len() as u64) };
                let mut sink = client.begin_body(begin, DigestPlan::default(), None).unwrap();
                sink.write(body.clone()).await.unwrap();
                let message = PutObject {
                    bucket: Arc::clone(&bucket),
                    key,
                    owner: owner.clone(),
                    attributes: Attributes::default(),
                    controls: Controls::default(),
                    body: sink.finish().await.unwrap(),
                    checksum: None,
                    conditions: WriteConditions::default(),
                    replica: None,
                };
                client.put_object(message).await.unwrap();
                n += 1;
                written.fetch_add(1, Ordering::Relaxed);
            }
        }
    };
    futures_util::future::join_all((0..writers).map(write)).await;
    // Counted until index and files have followed.
    client.stop().await.unwrap();
    written.load(Ordering::Relaxed) as f64 / start.elapsed().as_secs_f64()
}

/// The same with a file, two syncs and a rename for each object.
fn file_by_file(root: &Path, writers: usize, body: &Bytes) -> f64 {
    let (start, written) = (Instant::now(), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for writer in 0..writers {
            let written = &written;
            scope.spawn(move || {
                let folder = root.join(writer.to_string());
                std::fs::create_dir(&folder).unwrap();
                let mut n = 0u64;
                while start.elapsed() < ROUND {
                    put_file(&folder, n, body);
                    n += 1;
                    written.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    written.load(Ordering::Relaxed) as f64 / start.elapsed().as_secs_f64()
}

fn put_file(folder: &Path, n: u64, body: &[u8]) {
    let temporary = folder.join(format!("{n}.new"));
    std::fs::write(&temporary, body).unwrap();
    std::fs::File::open(&temporary).unwrap().sync_data().unwrap();
    std::fs::rename(&temporary, folder.join(n.to_string())).unwrap();
    std::fs::File::open(folder).unwrap().sync_all().unwrap();
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    let body = Bytes::from(vec![7; 4096]);
    println!("4 KiB writes per second, until everything is in its place; medians of {ROUNDS} rounds of {ROUND:?}");
    println!("{:>8} {:>10} {:>10} {:>14} {:>18}", "writers", "strict", "relaxed", "file by file", "strict : by file");
    let place = std::env::var("BENCH_ROOT").unwrap_or_else(|_| ".".to_owned());
    // Removed at the end only: ext4 is slow at making files for minutes after many were removed.
    let mut roots = Vec::new();
    let asked: Vec<usize> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    for writers in if asked.is_empty() { vec![1, 8, 64] } else { asked } {
        let mut rounds = [Vec::new(), Vec::new(), Vec::new()];
        for _ in 0..ROUNDS {
            let mut root = || {
                roots.push(tempfile::tempdir_in(&place).unwrap());
                roots[roots.len() - 1].path().to_owned()
            };
            rounds[0].push(actix::System::new().block_on(storage(true, &root(), writers, &body)));
            rounds[1].push(actix::System::new().block_on(storage(false, &root(), writers, &body)));
            rounds[2].push(file_by_file(&root(), writers, &body));
        }
        let [strict, relaxed, files] = rounds.map(median);
        println!("{writers:>8} {strict:>10.0} {relaxed:>10.0} {files:>14.0} {:>17.1}x", strict / files);
    }
}
