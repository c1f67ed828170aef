//! What keeping versions costs: the same few keys written again and again through Storage, in a bucket that replaces objects
//! and in one that keeps versions. One run, interleaved, medians of three rounds, until index and files have followed:
//! `cargo bench --bench overwrite`.
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
    Attributes, BeginBody, BucketChange, ConfigureBucket, Controls, CreateBucket, DigestPlan, PutObject, StorageClient,
    StorageSettings, Versioning, WriteConditions,
};

const ROUND: Duration = Duration::from_secs(6);
const ROUNDS: usize = 3;
const WRITERS: usize = 64;
const KEYS_EACH: u64 = 20;

/// Overwrites per second, and CPU of the process in microseconds for each.
async fn overwrites(versioned: bool, root: &Path, body: &Bytes) -> (f64, f64) {
    let settings = StorageSettings {
        root: root.to_owned(),
        strict: true,
        journal_segment_bytes: 32 << 20,
        inline_body_bytes: 128 << 10,
        index_cache_bytes: 32 << 20,
        ballast_bytes: 64 << 20,
    };
    let client = StorageClient::start(&settings, Arc::new(SystemClock)).unwrap();
    let owner = CanonicalId::from_bytes([1; 32]);
    let name = BucketName::parse("bench-bucket").unwrap();
    let create = CreateBucket { name, owner: owner.clone(), config: BucketConfig::default() };
    let mut bucket = client.create_bucket(create).await.unwrap();
    if versioned {
        let change = BucketChange::Versioning(Versioning::Enabled);
        bucket = client.configure_bucket(ConfigureBucket { bucket, change }).await.unwrap().after;
    }
    let (start, cpu, written) = (Instant::now(), cpu_micros(), AtomicU64::new(0));
    let write = |writer: usize| {
        let (client, bucket, owner, written) = (client.clone(), Arc::clone(&bucket), owner.clone(), &written);
        async move {
            let mut n = 0u64;
            while start.elapsed() < ROUND {
                let key = ObjectKey::parse(format!("{writer}/{}", n % KEYS_EACH).as_bytes()).unwrap();
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
    futures_util::future::join_all((0..WRITERS).map(write)).await;
    client.stop().await.unwrap();
    let written = written.load(Ordering::Relaxed) as f64;
    (written / start.elapsed().as_secs_f64(), (cpu_micros() - cpu) / written)
}

/// CPU of this process so far, user and system, in microseconds (proc(5), stat: ticks of 10 ms).
fn cpu_micros() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: f64 = fields[11..13].iter().map(|ticks| ticks.parse::<f64>().unwrap()).sum();
    ticks * 10_000.0
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    let body = Bytes::from(vec![7; 4096]);
    let place = std::env::var("BENCH_ROOT").unwrap_or_else(|_| ".".to_owned());
    println!("overwrites of 4 KiB by {WRITERS} writers; medians of {ROUNDS} rounds of {ROUND:?}");
    // Removed at the end only: ext4 is slow at making files for minutes after many were removed.
    let mut roots = Vec::new();
    let mut rounds = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        for (versioned, round) in [false, true].into_iter().zip(&mut rounds) {
            roots.push(tempfile::tempdir_in(&place).unwrap());
            let root = roots[roots.len() - 1].path();
            round.push(actix::System::new().block_on(overwrites(versioned, root, &body)));
        }
    }
    let [plain, versioned] = rounds.map(|round| {
        let (rates, cpu): (Vec<_>, Vec<_>) = round.into_iter().unzip();
        (median(rates), median(cpu))
    });
    println!("{:>12} {:>10} {:>14}", "", "per second", "CPU each");
    println!("{:>12} {:>10.0} {:>11.1} µs", "replaced", plain.0, plain.1);
    println!("{:>12} {:>10.0} {:>11.1} µs", "versions", versioned.0, versioned.1);
    println!("versions cost {:.2} of the CPU and take {:.2} of the time", versioned.1 / plain.1, plain.0 / versioned.0);
}
