//! What quotas cost: new objects of 4 KiB through Storage, in a bucket without any quota, with one, and with one beside those of a
//! prefix and of the owner. One run, interleaved, medians, until index and files have followed: `cargo bench --bench quota`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use myfsio_actors::bucket_config::{BucketConfig, BucketQuota, PrefixQuota, QuotaLimits};
use myfsio_actors::clock::SystemClock;
use myfsio_actors::names::{BucketName, CanonicalId, ObjectKey};
use myfsio_actors::storage::{
    Attributes, BeginBody, Controls, CountMeter, CreateBucket, DigestPlan, LimitOwners, PutObject, StorageClient,
    StorageSettings, WriteConditions,
};

const ROUND: Duration = Duration::from_secs(4);
const ROUNDS: usize = 5;
const WRITERS: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quotas {
    None,
    Bucket,
    All,
}

const CASES: [(Quotas, &str); 3] =
    [(Quotas::None, "no quota"), (Quotas::Bucket, "bucket"), (Quotas::All, "bucket, prefix, user")];

async fn limit(client: &StorageClient, quotas: Quotas, owner: &CanonicalId) -> BucketConfig {
    let limits = QuotaLimits { max_bytes: Some(1 << 40), max_objects: Some(1 << 40) };
    let prefixes = match quotas {
        Quotas::All => vec![PrefixQuota { prefix: "k/".to_owned(), limits }],
        Quotas::None | Quotas::Bucket => Vec::new(),
    };
    if quotas == Quotas::All {
        client.limit_owners(LimitOwners { limits: vec![(owner.clone(), Some(limits))] }).await.unwrap();
    }
    let quota = (quotas != Quotas::None).then_some(BucketQuota { limits, prefixes });
    BucketConfig { quota, ..BucketConfig::default() }
}

/// Objects per second, and CPU of the process in microseconds for each.
async fn puts(quotas: Quotas, root: &Path, body: &Bytes) -> (f64, f64) {
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
    let config = limit(&client, quotas, &owner).await;
    let name = BucketName::parse("bench-bucket").unwrap();
    let bucket = client.create_bucket(CreateBucket { name, owner: owner.clone(), config }).await.unwrap();
    for scope in client.uncounted_meters() {
        while !client.count_meter(CountMeter { scope: scope.clone() }).await.unwrap() {}
    }
    let (start, cpu, written) = (Instant::now(), cpu_micros(), AtomicU64::new(0));
    let write = |writer: usize| {
        let (client, bucket, owner, written) = (client.clone(), Arc::clone(&bucket), owner.clone(), &written);
        async move {
            let mut n = 0u64;
            while start.elapsed() < ROUND {
                let key = ObjectKey::parse(format!("k/{writer}/{}/{n}", n % 100).as_bytes()).unwrap();
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
    println!("new objects of 4 KiB by {WRITERS} writers; medians of {ROUNDS} rounds of {ROUND:?}");
    // Removed at the end only: ext4 is slow at making files for minutes after many were removed.
    let mut roots = Vec::new();
    let mut rounds = CASES.map(|_| Vec::new());
    for number in 0..ROUNDS {
        for turn in 0..CASES.len() {
            let case = (number + turn) % CASES.len();
            roots.push(tempfile::tempdir_in(&place).unwrap());
            let root = roots[roots.len() - 1].path();
            rounds[case].push(actix::System::new().block_on(puts(CASES[case].0, root, &body)));
        }
    }
    let of = |round: &[(f64, f64)], pick: fn(&(f64, f64)) -> f64| median(round.iter().map(pick).collect());
    let plain = (of(&rounds[0], |r| r.0), of(&rounds[0], |r| r.1));
    println!("{:>22} {:>10} {:>14} {:>8} {:>8}", "", "per second", "CPU each", "rate", "CPU");
    for ((_, name), round) in CASES.iter().zip(&rounds) {
        let (rate, cpu) = (of(round, |r| r.0), of(round, |r| r.1));
        println!("{name:>22} {rate:>10.0} {cpu:>11.1} µs {:>8.3} {:>8.3}", rate / plain.0, cpu / plain.1);
    }
}
