//! Times are kept with every change, brought into rows for what was there before, and read as ranges.

use std::sync::Arc;
use std::time::Duration;

use super::fixtures::{begin, body, close, completion, delete, key, owner, part, put, settings, unlocked, versions_of};
use crate::bucket_config::{
    AbortUploads, ConfigChange, Day, Expiration, Lifecycle, LifecycleFilter, LifecycleKind, LifecycleRule,
    NoncurrentExpiration, Retention, RetentionMode,
};
use crate::bucket_config::{BucketConfig, ObjectLock};
use crate::clock::ManualClock;
use crate::names::{BucketName, Stamp, VersionId};
use crate::storage::plan::kept;
use crate::storage::*;

const DAY: Duration = Duration::from_secs(86_400);

struct Aging {
    client: StorageClient,
    clock: Arc<ManualClock>,
    _root: tempfile::TempDir,
}

fn aging() -> Aging {
    let root = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(Stamp(20_000 * 86_400_000_000_000 + 5)));
    let client = unlocked(|| StorageClient::start(&settings(root.path()), Arc::clone(&clock) as _));
    Aging { client, clock, _root: root }
}

pub fn rules(rules: Vec<LifecycleRule>) -> Lifecycle {
    Lifecycle { rules, ..Lifecycle::default() }
}

fn rule(id: &str) -> LifecycleRule {
    LifecycleRule { id: id.to_owned(), enabled: true, ..LifecycleRule::default() }
}

fn days(days: u32) -> LifecycleRule {
    LifecycleRule { expiration: Some(Expiration::Days(days)), ..rule("days") }
}

impl Aging {
    async fn bucket(&self, name: &str, versioning: Versioning) -> Arc<Bucket> {
        let bucket = super::fixtures::bucket(&self.client, name).await;
        match versioning {
            Versioning::Off => bucket,
            _ => self.configure(&bucket, BucketChange::Versioning(versioning)).await,
        }
    }

    async fn configure(&self, bucket: &Arc<Bucket>, change: BucketChange) -> Arc<Bucket> {
        self.client.configure_bucket(ConfigureBucket { bucket: Arc::clone(bucket), change }).await.unwrap().after
    }

    async fn set(&self, bucket: &Arc<Bucket>, lifecycle: Lifecycle) -> Arc<Bucket> {
        self.configure(bucket, BucketChange::Config(ConfigChange::Lifecycle(Some(lifecycle)))).await
    }

    async fn walk(&self, bucket: &Arc<Bucket>) {
        while !self.client.walk_times(WalkTimes { bucket: Arc::clone(bucket) }).await.unwrap() {}
    }

    fn times(&self, bucket: &Bucket) -> Vec<(LifecycleKind, String, u64)> {
        let kept = kept(&self.client.shared().rows, bucket);
        kept.into_iter().map(|e| (e.kind, String::from_utf8(e.key).unwrap(), e.since.0)).collect()
    }

    async fn due(&self, bucket: &Arc<Bucket>, kind: LifecycleKind) -> Vec<String> {
        let query = ListDue {
            bucket: Arc::clone(bucket),
            lifecycle: Arc::new(bucket.config.lifecycle.clone().unwrap()),
            kind,
            now: crate::clock::Clock::now(&*self.clock),
            day: Day::default(),
            after: None,
            limit: 1000,
        };
        let page = self.client.list_due(query).await.unwrap();
        page.due.into_iter().map(|entry| String::from_utf8(entry.key).unwrap()).collect()
    }

    /// Removes all that is due, as the worker does.
    async fn expire(&self, bucket: &Arc<Bucket>) -> Vec<Result<Expired, StorageError>> {
        let mut done = Vec::new();
        for entry in kept(&self.client.shared().rows, bucket) {
            let message = Expire { bucket: Arc::clone(bucket), entry, day: Day::default() };
            done.push(self.client.expire(message).await);
        }
        done
    }

    async fn versions(&self, bucket: &Arc<Bucket>) -> Vec<(String, bool, bool)> {
        let page = self.client.list_versions(versions_of(bucket, "")).await.unwrap();
        let entry = |e: &VersionEntry| (e.key.as_str().to_owned(), e.is_latest, e.object.is_none());
        page.entries.iter().map(entry).collect()
    }

    /// Stops and has `fsck` look at everything.
    async fn agrees(self) {
        close(self.client).await;
        struct NoFinding;
        impl CheckObserver for NoFinding {
            fn found(&mut self, finding: &Finding) {
                panic!("{finding:?}");
            }
            fn progress(&mut self, _: CheckProgress) {}
        }
        let options = CheckOptions { mend: Mend::Nothing, data: false, bucket: None };
        fsck(&settings(self._root.path()), self.clock, &options, &mut NoFinding).unwrap();
    }
}

async fn remove(client: &StorageClient, bucket: &Arc<Bucket>, name: &str, version: VersionId) {
    let message = DeleteObject {
        bucket: Arc::clone(bucket),
        key: key(name),
        version: Some(version),
        owner: owner(),
        bypass_governance: false,
        conditions: WriteConditions::default(),
        replica: None,
    };
    client.delete_object(message).await.unwrap();
}

#[actix::test]
async fn nothing_is_kept_until_there_are_rules() {
    let node = aging();
    let bucket = node.bucket("plain", Versioning::Off).await;
    let before = put(&node.client, &bucket, "before", body(1, 10)).await.object.stamp.0;
    assert_eq!(node.times(&bucket), []);
    let bucket = node.set(&bucket, rules(vec![days(1)])).await;
    let after = put(&node.client, &bucket, "after", body(1, 10)).await.object.stamp.0;
    assert_eq!(node.times(&bucket), [(LifecycleKind::Current, "after".to_owned(), after)]);
    assert!(!node.client.has_times(&bucket).unwrap());
    node.walk(&bucket).await;
    assert!(node.client.has_times(&bucket).unwrap());
    let current = |name: &str, since| (LifecycleKind::Current, name.to_owned(), since);
    assert_eq!(node.times(&bucket), [current("before", before), current("after", after)]);
    let again = put(&node.client, &bucket, "before", body(2, 10)).await.object.stamp.0;
    assert_eq!(node.times(&bucket), [current("after", after), current("before", again)]);
    // Rules that go leave the times.
    let bucket = node.configure(&bucket, BucketChange::Config(ConfigChange::Lifecycle(None))).await;
    delete(&node.client, &bucket, "after").await;
    assert_eq!(node.times(&bucket), [current("before", again)]);
    delete(&node.client, &bucket, "before").await;
    node.client.delete_bucket(DeleteBucket { bucket }).await.unwrap();
    node.agrees().await;
}

#[actix::test]
async fn versions_age_from_the_one_that_followed() {
    use LifecycleKind::{Current, LoneMarker, Noncurrent};
    let node = aging();
    let bucket = node.bucket("kept", Versioning::Enabled).await;
    // These are walked later; the rest is kept as it comes.
    let old = put(&node.client, &bucket, "a", body(1, 10)).await.object.stamp.0;
    delete(&node.client, &bucket, "a").await;
    delete(&node.client, &bucket, "only/marker").await;
    let bucket = node.set(&bucket, rules(vec![days(1)])).await;
    assert_eq!(node.times(&bucket), []);
    node.walk(&bucket).await;
    let times = node.times(&bucket);
    let [(Noncurrent, a, marker), (LoneMarker, only, _)] = &times[..] else { panic!("{times:?}") };
    assert_eq!((a.as_str(), only.as_str()), ("a", "only/marker"));
    assert!(*marker > old);
    let second = put(&node.client, &bucket, "a", body(2, 10)).await.object;
    let third = put(&node.client, &bucket, "a", body(3, 10)).await.object;
    let of = |times: &[(LifecycleKind, String, u64)], kind| -> Vec<u64> {
        times.iter().filter(|(of, key, _)| *of == kind && key == "a").map(|(.., since)| *since).collect()
    };
    let times = node.times(&bucket);
    assert_eq!(of(&times, Current), [third.stamp.0]);
    // The first, its marker, the second: each since the next was made.
    assert_eq!(of(&times, Noncurrent), [*marker, second.stamp.0, third.stamp.0]);
    // The newest goes: the second is current again, since it was made.
    remove(&node.client, &bucket, "a", third.version_id).await;
    let times = node.times(&bucket);
    assert_eq!((of(&times, Current), of(&times, Noncurrent)), (vec![second.stamp.0], vec![*marker, second.stamp.0]));
    remove(&node.client, &bucket, "a", second.version_id).await;
    let times = node.times(&bucket);
    assert_eq!((of(&times, Current), of(&times, Noncurrent)), (vec![], vec![*marker]));
    // What the marker hid goes: the marker is alone.
    let page = node.versions(&bucket).await;
    assert_eq!(page.len(), 3);
    let entry = kept(&node.client.shared().rows, &bucket).remove(0);
    let hidden = crate::storage::times::find(&node.client.shared().rows, bucket.id, &entry).unwrap().unwrap();
    remove(&node.client, &bucket, "a", hidden.version_id().unwrap()).await;
    let times = node.times(&bucket);
    assert_eq!((of(&times, Noncurrent), of(&times, LoneMarker)), (vec![], vec![*marker]));
    // A tag changes nothing.
    let kept_object = put(&node.client, &bucket, "tagged", body(4, 10)).await.object;
    put(&node.client, &bucket, "tagged", body(5, 10)).await;
    let before = node.times(&bucket);
    let change = ObjectChange::Tags(vec![("a".to_owned(), "b".to_owned())]);
    for version in [None, Some(kept_object.version_id)] {
        let message = ChangeObject {
            bucket: Arc::clone(&bucket),
            key: key("tagged"),
            version,
            of: None,
            change: change.clone(),
            replica: None,
        };
        node.client.change_object(message).await.unwrap();
    }
    assert_eq!(node.times(&bucket), before);
    node.agrees().await;
}

#[actix::test]
async fn uploads_age_from_their_initiation() {
    let node = aging();
    let bucket = node.bucket("parts", Versioning::Off).await;
    let walked = begin(&node.client, &bucket, "walked").await;
    let bucket = node.set(&bucket, rules(vec![days(1)])).await;
    node.walk(&bucket).await;
    let [completed, left] = [begin(&node.client, &bucket, "x").await, begin(&node.client, &bucket, "y").await];
    assert_eq!(node.times(&bucket).len(), 3);
    let parts = vec![part(&node.client, &bucket, &completed, 1, body(1, 100)).await];
    let object = node.client.complete_upload(completion(&bucket, &completed, parts)).await.unwrap().object;
    let upload = |of: &Upload| (LifecycleKind::Upload, of.key.as_str().to_owned(), of.id.stamp.0);
    let expected = [(LifecycleKind::Current, "x".to_owned(), object.stamp.0), upload(&walked), upload(&left)];
    assert_eq!(node.times(&bucket), expected);
    let abort = AbortUploads { days: 2 };
    let bucket = node.set(&bucket, rules(vec![LifecycleRule { abort_uploads: Some(abort), ..rule("parts") }])).await;
    node.clock.advance(2 * DAY);
    assert_eq!(node.due(&bucket, LifecycleKind::Upload).await, Vec::<String>::new());
    node.clock.advance(DAY);
    assert_eq!(node.due(&bucket, LifecycleKind::Upload).await, ["walked", "y"]);
    node.expire(&bucket).await;
    assert_eq!(node.times(&bucket).len(), 1);
    node.client.delete_bucket(DeleteBucket { bucket: node.bucket("other", Versioning::Off).await }).await.unwrap();
    node.agrees().await;
}

#[actix::test]
async fn what_is_not_due_any_more_stays() {
    let node = aging();
    let bucket = node.bucket("late", Versioning::Off).await;
    let prefix = |prefix: &str| LifecycleFilter { prefix: Some(prefix.to_owned()), ..LifecycleFilter::default() };
    let bucket = node.set(&bucket, rules(vec![LifecycleRule { filter: prefix("logs/"), ..days(1) }])).await;
    for name in ["logs/a", "logs/b", "other"] {
        put(&node.client, &bucket, name, body(1, 10)).await;
    }
    node.clock.advance(3 * DAY);
    assert_eq!(node.due(&bucket, LifecycleKind::Current).await, ["logs/a", "logs/b"]);
    let entries = kept(&node.client.shared().rows, &bucket);
    // Written again between the look and the commit.
    put(&node.client, &bucket, "logs/a", body(2, 10)).await;
    let mut removed = Vec::new();
    for entry in entries.clone() {
        let message = Expire { bucket: Arc::clone(&bucket), entry, day: Day::default() };
        removed.push(node.client.expire(message).await.unwrap());
    }
    let kinds: Vec<_> = removed.iter().map(|expired| expired.kind.map(|_| expired.bytes)).collect();
    assert_eq!(kinds, [None, Some(10), None]);
    // The rules changed between the look and the commit.
    let stale = entries[2].clone();
    node.set(&bucket, rules(vec![days(9)])).await;
    let message = Expire { bucket: Arc::clone(&bucket), entry: stale, day: Day::default() };
    assert_eq!(node.client.expire(message).await.unwrap().kind, None);
    assert_eq!(super::fixtures::list(&node.client, &bucket).await, ["logs/a", "other"]);
    node.agrees().await;
}

#[actix::test]
async fn versions_expire_one_after_the_other() {
    let node = aging();
    let bucket = node.bucket("kept", Versioning::Enabled).await;
    let noncurrent = NoncurrentExpiration { days: 1, newer_versions: Some(2) };
    let rule = LifecycleRule { noncurrent: Some(noncurrent), ..days(1) };
    let bucket = node.set(&bucket, rules(vec![rule])).await;
    for seed in 0..5 {
        put(&node.client, &bucket, "a", body(seed, 10)).await;
    }
    node.clock.advance(3 * DAY);
    node.expire(&bucket).await;
    // The current one is hidden, and it is one of the two newest of the others.
    let object = ("a".to_owned(), false, false);
    let marker = ("a".to_owned(), true, true);
    assert_eq!(node.versions(&bucket).await, [marker.clone(), object.clone(), object]);
    let all = LifecycleRule { noncurrent: Some(NoncurrentExpiration { days: 1, newer_versions: None }), ..days(1) };
    let bucket = node.set(&bucket, rules(vec![all])).await;
    node.clock.advance(3 * DAY);
    node.expire(&bucket).await;
    // The marker is alone, and old enough.
    assert_eq!(node.versions(&bucket).await, [marker]);
    node.expire(&bucket).await;
    assert_eq!(node.versions(&bucket).await, []);
    assert_eq!(node.times(&bucket), []);
    node.agrees().await;
}

#[actix::test]
async fn what_is_locked_stays() {
    let node = aging();
    let name = BucketName::parse("locked").unwrap();
    let config = BucketConfig { object_lock: Some(ObjectLock::default()), ..BucketConfig::default() };
    let bucket = node.client.create_bucket(CreateBucket { name, owner: owner(), config }).await.unwrap();
    let noncurrent = NoncurrentExpiration { days: 1, newer_versions: None };
    let rule = LifecycleRule { noncurrent: Some(noncurrent), ..rule("old") };
    let bucket = node.set(&bucket, rules(vec![rule])).await;
    let held = put(&node.client, &bucket, "held", body(1, 10)).await.object;
    let retained = put(&node.client, &bucket, "retained", body(1, 10)).await.object;
    let until_millis = retained.stamp.0 / 1_000_000 + 10 * 86_400_000;
    let retention = Some(Retention { mode: RetentionMode::Governance, until_millis });
    for (object, name, change) in [
        (&held, "held", ObjectChange::LegalHold(true)),
        (&retained, "retained", ObjectChange::Retention { retention, bypass_governance: false }),
    ] {
        let version = Some(object.version_id);
        let message =
            ChangeObject { bucket: Arc::clone(&bucket), key: key(name), version, of: None, change, replica: None };
        node.client.change_object(message).await.unwrap();
        put(&node.client, &bucket, name, body(2, 10)).await;
    }
    node.clock.advance(5 * DAY);
    let locked = |done: &[Result<Expired, StorageError>]| {
        done.iter().filter(|done| matches!(done, Err(StorageError::ObjectLocked { .. }))).count()
    };
    assert_eq!(locked(&node.expire(&bucket).await), 2);
    let now = crate::clock::Clock::now(&*node.clock);
    let lifecycle = bucket.config.lifecycle.clone().unwrap();
    let preview = node.client.preview_lifecycle(&bucket, lifecycle, Day::default(), now, now).await.unwrap();
    assert_eq!((preview.locked, preview.now.versions), (2, 0));
    node.clock.advance(10 * DAY);
    assert_eq!(locked(&node.expire(&bucket).await), 1);
    assert_eq!(node.versions(&bucket).await.len(), 3);
    node.agrees().await;
}

#[actix::test]
async fn a_preview_tells_the_same_with_and_without_times() {
    let node = aging();
    let bucket = node.bucket("seen", Versioning::Enabled).await;
    for round in 0..3 {
        for name in ["a", "b", "c"] {
            put(&node.client, &bucket, name, body(round, 10 + round)).await;
            node.clock.advance(DAY);
        }
    }
    delete(&node.client, &bucket, "b").await;
    delete(&node.client, &bucket, "lone").await;
    begin(&node.client, &bucket, "upload").await;
    node.clock.advance(DAY);
    let draft = rules(vec![LifecycleRule {
        noncurrent: Some(NoncurrentExpiration { days: 6, newer_versions: None }),
        abort_uploads: Some(AbortUploads { days: 3 }),
        ..days(2)
    }]);
    let now = crate::clock::Clock::now(&*node.clock);
    let until = Day::default().later(now, 30);
    let preview = |draft: Lifecycle| node.client.preview_lifecycle(&bucket, draft, Day::default(), now, until);
    let without = preview(draft.clone()).await.unwrap();
    node.set(&bucket, draft.clone()).await;
    node.walk(&bucket).await;
    let with = preview(draft).await.unwrap();
    let sums = |of: &Foreseen| (of.objects, of.versions, of.markers, of.uploads, of.bytes);
    assert_eq!((sums(&without.now), sums(&without.later)), (sums(&with.now), sums(&with.later)));
    let all = |of: &LifecyclePreview| (of.now.objects + of.later.objects, of.now.versions + of.later.versions);
    assert_eq!(all(&with), (2, 7));
    assert_eq!((with.later.markers, with.later.uploads), (1, 1));
    assert!(with.now.versions > 0 && with.now.sample.iter().all(|entry| entry.at <= now && entry.rule == "days"));
    node.agrees().await;
}

/// Every kind of change, at random, while the walk over what was there before is under way.
#[actix::test]
async fn a_walk_misses_nothing_that_changes_meanwhile() {
    let seed = getrandom::u64().unwrap();
    let mut choices = super::crash::Choices(seed);
    let node = aging();
    let bucket = node.bucket("kept", Versioning::Enabled).await;
    let mut uploads = Vec::new();
    for number in 0..60 {
        for round in 0..3 {
            put(&node.client, &bucket, &format!("key/{number}"), body(round, 10)).await;
        }
        if number % 7 == 0 {
            delete(&node.client, &bucket, &format!("key/{number}")).await;
            uploads.push(begin(&node.client, &bucket, &format!("key/{number}")).await);
        }
    }
    let bucket = node.set(&bucket, rules(vec![days(1)])).await;
    let mut walks = 0;
    while !node.client.walk_times(WalkTimes { bucket: Arc::clone(&bucket) }).await.unwrap() {
        walks += 1;
        for _ in 0..15 {
            let name = format!("key/{}", choices.below(60));
            match choices.below(5) {
                0 => drop(put(&node.client, &bucket, &name, body(9, 10)).await),
                1 => delete(&node.client, &bucket, &name).await,
                2 if !uploads.is_empty() => {
                    let upload = uploads.remove(choices.below(uploads.len()));
                    let key = upload.key.clone();
                    let message = AbortUpload { bucket: Arc::clone(&bucket), key, upload: upload.id };
                    node.client.abort_upload(message).await.unwrap();
                }
                3 => uploads.push(begin(&node.client, &bucket, &name).await),
                _ => {
                    let query = ListVersions { limit: 1 + choices.below(3), ..versions_of(&bucket, &name) };
                    let page = node.client.list_versions(query).await.unwrap();
                    if let Some(last) = page.entries.last() {
                        remove(&node.client, &bucket, last.key.as_str(), last.version_id).await;
                    }
                }
            }
        }
    }
    assert!(walks > 0, "it took more than one page");
    eprintln!("seed {seed}");
    node.agrees().await;
}

/// Times that are missing or of nothing are named and mended; a new index has them all.
#[actix::test]
async fn fsck_and_reindex_mend_times() {
    let node = aging();
    let bucket = node.bucket("kept", Versioning::Enabled).await;
    let bucket = node.set(&bucket, rules(vec![days(1)])).await;
    for round in 0..2 {
        put(&node.client, &bucket, "a", body(round, 10)).await;
        put(&node.client, &bucket, "b", body(round, 10)).await;
    }
    delete(&node.client, &bucket, "only/marker").await;
    node.walk(&bucket).await;
    let times = kept(&node.client.shared().rows, &bucket);
    assert_eq!(times.len(), 5);
    let Aging { client, clock, _root: root } = node;
    close(client).await;
    let orphan = TimeEntry { key: b"gone".to_vec(), ..times[0].clone() };
    let changes = [
        (crate::storage::keys::time(bucket.id, &orphan), Some(Arc::from(Vec::new()))),
        (crate::storage::keys::time(bucket.id, &times[1]), None),
        (crate::storage::keys::time(bucket.id, &times[4]), None),
    ];
    super::fsck::tamper(root.path(), &changes);
    let kinds = |findings: &[Finding]| findings.iter().map(|f| f.difference.name()).collect::<Vec<_>>();
    let expected = ["missing-row", "missing-row", "orphan-row"];
    assert_eq!(kinds(&super::fsck::run(root.path(), Mend::Nothing, false).1), expected);
    assert_eq!(kinds(&super::fsck::run(root.path(), Mend::Safely, false).1), expected);
    assert!(super::fsck::run(root.path(), Mend::Nothing, false).1.is_empty());
    for spoil in [false, true] {
        if spoil {
            std::fs::write(root.path().join(".myfsio.sys/index.redb"), b"this is no index").unwrap();
        }
        super::fsck::rebuild(root.path());
        assert!(super::fsck::run(root.path(), Mend::Nothing, false).1.is_empty());
        let client = unlocked(|| StorageClient::start(&settings(root.path()), Arc::clone(&clock) as _));
        let there = client.bucket(&bucket.name).unwrap();
        assert!(client.has_times(&there).unwrap());
        let again = kept(&client.shared().rows, &there);
        // Delete markers are known to index and journal alone.
        let kinds = |times: &[TimeEntry]| {
            let told = times.iter().filter(|e| !spoil || e.kind != LifecycleKind::LoneMarker);
            told.map(|e| (e.kind, e.key.clone())).collect::<Vec<_>>()
        };
        assert_eq!(kinds(&again), kinds(&times));
        close(client).await;
    }
}
