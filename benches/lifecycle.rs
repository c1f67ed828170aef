//! What a look for due objects costs, beside what there is: `cargo bench --bench lifecycle`, or `-- 1000000` for that many
//! objects beside the due ones. Days pass by a clock that is set, so nothing waits.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use myfsio_actors::bucket_config::{
    BucketConfig, ConfigChange, Day, Expiration, Lifecycle, LifecycleKind, LifecycleRule,
};
use myfsio_actors::clock::{Clock as _, ManualClock, SharedClock};
use myfsio_actors::lifecycle::LifecycleClient;
use myfsio_actors::names::{BucketName, CanonicalId, ObjectKey, Stamp};
use myfsio_actors::storage::{
    Attributes, BeginBody, Bucket, BucketChange, ConfigureBucket, Controls, CreateBucket, DigestPlan, ListDue,
    PutObject, StorageClient, StorageSettings, WalkTimes, WriteConditions,
};

const DAY: Duration = Duration::from_secs(86_400);
const WRITERS: usize = 64;

async fn put(client: &StorageClient, bucket: &Arc<Bucket>, names: std::ops::Range<usize>, folder: &str) {
    let put = |n: usize| async move {
        let key = ObjectKey::parse(format!("{folder}/{}/{n}", n % 100).as_bytes()).unwrap();
        let owner = CanonicalId::from_bytes([1; 32]);
        let begin = BeginBody { bucket, key: &key, owner: &owner, size: Some(16) };
        let mut sink = client.begin_body(begin, DigestPlan::default(), None).unwrap();
        sink.write(Bytes::from_static(b"sixteen bytes...")).await.unwrap();
        let message = PutObject {
            bucket: Arc::clone(bucket),
            key,
            owner,
            attributes: Attributes::default(),
            controls: Controls::default(),
            body: sink.finish().await.unwrap(),
            checksum: None,
            conditions: WriteConditions::default(),
            replica: None,
        };
        client.put_object(message).await.unwrap();
    };
    stream::iter(names).map(put).buffer_unordered(WRITERS).collect::<Vec<_>>().await;
}

/// Rows that a look at what is due reads, how many of them are due, and how long it takes.
async fn look(client: &StorageClient, bucket: &Arc<Bucket>, now: Stamp) -> (u64, usize, Duration) {
    let lifecycle = Arc::new(bucket.config.lifecycle.clone().unwrap());
    let (mut looked_at, mut due, mut after) = (0, 0, None);
    let started = Instant::now();
    loop {
        let query = ListDue {
            bucket: Arc::clone(bucket),
            lifecycle: Arc::clone(&lifecycle),
            kind: LifecycleKind::Current,
            now,
            day: Day::default(),
            after,
            limit: 100,
        };
        let page = client.list_due(query).await.unwrap();
        looked_at += page.looked_at;
        due += page.due.len();
        match page.next {
            Some(next) => after = Some(next),
            None => return (looked_at, due, started.elapsed()),
        }
    }
}

async fn measure(objects: usize, old: usize) {
    let root = tempfile::tempdir_in(std::env::var("BENCH_ROOT").unwrap_or_else(|_| ".".to_owned())).unwrap();
    let settings = StorageSettings {
        root: root.path().to_owned(),
        strict: false,
        journal_segment_bytes: 32 << 20,
        inline_body_bytes: 128 << 10,
        index_cache_bytes: 64 << 20,
        ballast_bytes: 0,
    };
    let clock = Arc::new(ManualClock::new(Stamp(20_000 * 86_400_000_000_000 + 1)));
    let shared: SharedClock = Arc::clone(&clock) as _;
    let client = StorageClient::start(&settings, Arc::clone(&shared)).unwrap();
    let owner = CanonicalId::from_bytes([1; 32]);
    let name = BucketName::parse("bench-bucket").unwrap();
    let bucket = client.create_bucket(CreateBucket { name, owner, config: BucketConfig::default() }).await.unwrap();
    let rule = LifecycleRule {
        id: "all".to_owned(),
        enabled: true,
        expiration: Some(Expiration::Days(30)),
        ..LifecycleRule::default()
    };
    put(&client, &bucket, 0..old, "old").await;
    clock.advance(10 * DAY);
    put(&client, &bucket, 0..objects - old, "new").await;
    let lifecycle = Lifecycle { rules: vec![rule], ..Lifecycle::default() };
    let change = BucketChange::Config(ConfigChange::Lifecycle(Some(lifecycle)));
    let bucket = client.configure_bucket(ConfigureBucket { bucket, change }).await.unwrap().after;
    let walking = Instant::now();
    while !client.walk_times(WalkTimes { bucket: Arc::clone(&bucket) }).await.unwrap() {}
    let walked = walking.elapsed();
    clock.advance(25 * DAY);
    let (looked_at, due, looked) = look(&client, &bucket, clock.now()).await;
    let worker = LifecycleClient::start(client.clone(), shared, Day::default(), &actix::Arbiter::current());
    let removing = Instant::now();
    worker.look_through().await.unwrap();
    let removed = removing.elapsed();
    assert_eq!(client.usage(&bucket).objects as usize, objects - old);
    let (_, none, idle) = look(&client, &bucket, clock.now()).await;
    assert_eq!((due, none), (old, 0));
    println!(
        "{objects:>9} {due:>7} {looked_at:>10} {:>10.2} {:>12.1} {:>12.3} {:>12.1}",
        looked.as_secs_f64() * 1e3,
        removed.as_secs_f64() * 1e3,
        idle.as_secs_f64() * 1e3,
        walked.as_secs_f64(),
    );
    worker.stop().await.unwrap();
    client.stop().await.unwrap();
}

fn main() {
    let most = std::env::args().filter_map(|argument| argument.parse().ok()).next().unwrap_or(100_000);
    println!(
        "{:>9} {:>7} {:>10} {:>10} {:>12} {:>12} {:>12}",
        "objects", "due", "looked at", "look ms", "remove ms", "idle look ms", "first walk s"
    );
    for (objects, due) in [(most / 10, most / 1000), (most, most / 1000), (most, most / 100), (most / 10, most / 100)] {
        actix::System::new().block_on(measure(objects, due));
    }
}
