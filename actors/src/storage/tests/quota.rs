//! Quotas: what counts, what is refused where, and that nothing is promised for ever.

use std::path::Path;
use std::sync::Arc;

use super::fixtures::*;
use super::fsck::{run, tamper};
use crate::bucket_config::{BucketQuota, ConfigChange, PrefixQuota, QuotaLimits, QuotaResource};
use crate::names::{BucketName, CanonicalId, PartNumber, VersionId};
use crate::storage::*;

fn limits(max_bytes: Option<u64>, max_objects: Option<u64>) -> QuotaLimits {
    QuotaLimits { max_bytes, max_objects }
}

fn quota(max_bytes: Option<u64>, max_objects: Option<u64>, prefixes: &[(&str, QuotaLimits)]) -> Option<BucketQuota> {
    let prefix = |(prefix, limits): &(&str, QuotaLimits)| PrefixQuota { prefix: (*prefix).to_owned(), limits: *limits };
    let prefixes = prefixes.iter().map(prefix).collect();
    BucketQuota { limits: limits(max_bytes, max_objects), prefixes }.checked().unwrap()
}

async fn configure(client: &StorageClient, bucket: &Arc<Bucket>, change: BucketChange) -> Arc<Bucket> {
    client.configure_bucket(ConfigureBucket { bucket: Arc::clone(bucket), change }).await.unwrap().after
}

async fn set_quota(client: &StorageClient, bucket: &Arc<Bucket>, quota: Option<BucketQuota>) -> Arc<Bucket> {
    configure(client, bucket, BucketChange::Config(ConfigChange::Quota(quota))).await
}

async fn limit_owner(client: &StorageClient, owner: CanonicalId, limits: Option<QuotaLimits>) {
    client.limit_owners(LimitOwners { limits: vec![(owner, limits)] }).await.unwrap();
}

async fn count_all(client: &StorageClient) {
    for scope in client.uncounted_meters() {
        while !client.count_meter(CountMeter { scope: scope.clone() }).await.unwrap() {}
    }
    assert!(client.uncounted_meters().is_empty());
}

async fn write(client: &StorageClient, bucket: &Arc<Bucket>, name: &str, size: usize) -> Result<Stored, StorageError> {
    try_put(client, bucket, name, body(size, size), WriteConditions::default()).await
}

fn of_prefix(bucket: &Bucket, prefix: &str) -> QuotaScope {
    QuotaScope::Prefix(bucket.id, prefix.into())
}

/// Bytes and objects that are used, and bytes that are reserved.
fn told(client: &StorageClient, scope: &QuotaScope) -> (u64, u64, u64) {
    let account = client.quota_account(scope).expect("an account");
    (account.used.bytes, account.used.objects, account.reserved.bytes)
}

fn whole(bucket: &Bucket) -> QuotaScope {
    QuotaScope::Bucket(bucket.id)
}

fn refused<T: std::fmt::Debug>(result: Result<T, StorageError>) -> (QuotaScope, QuotaResource) {
    match result {
        Err(StorageError::QuotaExceeded { scope, resource, .. }) => (scope, resource),
        other => panic!("{other:?}"),
    }
}

fn sound(root: &Path) {
    assert_eq!(run(root, Mend::Nothing, false).1, []);
}

#[actix::test]
async fn parallel_writes_fit_exactly() {
    let node = node();
    for (size, small) in [(20_000, false), (1000, true)] {
        let bucket = bucket(&node.client, if small { "small" } else { "large" }).await;
        let bucket = set_quota(&node.client, &bucket, quota(Some(10 * size as u64 + 7), None, &[])).await;
        let names: Vec<_> = (0..64).map(|n| format!("{n}")).collect();
        let writes = names.iter().map(|name| write(&node.client, &bucket, name, size));
        let done = futures_util::future::join_all(writes).await;
        let (fit, not): (Vec<_>, Vec<_>) = done.into_iter().partition(Result::is_ok);
        assert_eq!(fit.len(), 10);
        not.into_iter().for_each(|result| assert_eq!(refused(result), (whole(&bucket), QuotaResource::Bytes)));
        assert_eq!(told(&node.client, &whole(&bucket)), (10 * size as u64, 10, 0));
        let bucket = set_quota(&node.client, &bucket, quota(None, Some(15), &[])).await;
        let writes = names.iter().map(|name| write(&node.client, &bucket, name, size));
        let fit = futures_util::future::join_all(writes).await.into_iter().filter(Result::is_ok).count();
        assert_eq!(fit, 15, "ten are overwritten");
        assert_eq!(told(&node.client, &whole(&bucket)), (15 * size as u64, 15, 0));
    }
    sound(stop(node).await.path());
}

#[actix::test]
async fn what_shrinks_or_stays_is_never_refused() {
    let node = node();
    let client = &node.client;
    let bucket = bucket(client, "full").await;
    write(client, &bucket, "a", 1000).await.unwrap();
    write(client, &bucket, "b", 500).await.unwrap();
    let bucket = set_quota(client, &bucket, quota(Some(100), Some(1), &[])).await;
    assert_eq!(refused(write(client, &bucket, "c", 1).await).1, QuotaResource::Bytes);
    assert_eq!(refused(write(client, &bucket, "c", 0).await).1, QuotaResource::Objects);
    assert_eq!(refused(write(client, &bucket, "a", 1001).await).1, QuotaResource::Bytes);
    write(client, &bucket, "a", 1000).await.unwrap();
    write(client, &bucket, "a", 10).await.unwrap();
    delete(client, &bucket, "b").await;
    assert_eq!(told(client, &whole(&bucket)), (10, 1, 0));
    write(client, &bucket, "a", 100).await.unwrap();
    assert_eq!(refused(write(client, &bucket, "a", 101).await).1, QuotaResource::Bytes);
    let bucket = set_quota(client, &bucket, None).await;
    assert!(client.quota_account(&whole(&bucket)).is_none());
    write(client, &bucket, "c", 5000).await.unwrap();
}

#[actix::test]
async fn versions_count_and_markers_do_not() {
    let node = node();
    let client = &node.client;
    let bucket = bucket(client, "versions").await;
    let bucket = configure(client, &bucket, BucketChange::Versioning(Versioning::Enabled)).await;
    let bucket = set_quota(client, &bucket, quota(Some(300), Some(3), &[])).await;
    let first = write(client, &bucket, "k", 100).await.unwrap().object.version_id;
    write(client, &bucket, "k", 100).await.unwrap();
    delete(client, &bucket, "k").await;
    delete(client, &bucket, "other").await;
    assert_eq!(told(client, &whole(&bucket)), (200, 2, 0));
    write(client, &bucket, "k", 100).await.unwrap();
    assert_eq!(refused(write(client, &bucket, "k", 1).await).1, QuotaResource::Bytes);
    assert_eq!(refused(write(client, &bucket, "k", 0).await).1, QuotaResource::Objects);
    let remove = |version| DeleteObject {
        bucket: Arc::clone(&bucket),
        key: key("k"),
        version: Some(version),
        owner: owner(),
        bypass_governance: false,
        conditions: WriteConditions::default(),
        replica: None,
    };
    client.delete_object(remove(first)).await.unwrap();
    assert_eq!(told(client, &whole(&bucket)), (200, 2, 0));
    // The null version takes the place of the null version, wherever that is.
    let bucket = configure(client, &bucket, BucketChange::Versioning(Versioning::Suspended)).await;
    write(client, &bucket, "k", 100).await.unwrap();
    write(client, &bucket, "k", 90).await.unwrap();
    delete(client, &bucket, "k").await;
    assert_eq!(told(client, &whole(&bucket)), (200, 2, 0), "a null marker took the null version's place");
    write(client, &bucket, "k", 100).await.unwrap();
    let bucket = configure(client, &bucket, BucketChange::Versioning(Versioning::Enabled)).await;
    let bucket = set_quota(client, &bucket, quota(Some(420), Some(4), &[])).await;
    write(client, &bucket, "k", 20).await.unwrap();
    let bucket = configure(client, &bucket, BucketChange::Versioning(Versioning::Suspended)).await;
    assert_eq!(told(client, &whole(&bucket)), (320, 4, 0));
    write(client, &bucket, "k", 100).await.unwrap();
    assert_eq!(told(client, &whole(&bucket)), (320, 4, 0), "the null version among the others went");
    assert_eq!(client.peek_object(&bucket, &key("k"), None).unwrap().object.version_id, VersionId::Null);
    sound(stop(node).await.path());
}

#[actix::test]
async fn parts_count_from_their_commit_to_the_end_of_the_upload() {
    let node = node();
    let client = &node.client;
    let bucket = bucket(client, "parts").await;
    let bucket = set_quota(client, &bucket, quota(Some(100_000), Some(1), &[("p/", limits(Some(90_000), None))])).await;
    count_all(client).await;
    let account = || (told(client, &whole(&bucket)), told(client, &of_prefix(&bucket, "p/")));
    let upload = begin(client, &bucket, "p/k").await;
    let first = part(client, &bucket, &upload, 1, body(1, 60_000)).await;
    assert_eq!(account(), ((60_000, 0, 0), (60_000, 0, 0)));
    assert_eq!(refused(write(client, &bucket, "p/k", 30_001).await), (of_prefix(&bucket, "p/"), QuotaResource::Bytes));
    let again = part(client, &bucket, &upload, 1, body(2, 50_000)).await;
    assert_eq!(account(), ((50_000, 0, 0), (50_000, 0, 0)));
    let second = part(client, &bucket, &upload, 2, body(3, 30_000)).await;
    part(client, &bucket, &upload, 3, body(3, 10_000)).await;
    assert_eq!(account(), ((90_000, 0, 0), (90_000, 0, 0)));
    let too_much = BeginPart {
        bucket: Arc::clone(&bucket),
        key: upload.key.clone(),
        upload: upload.id,
        number: PartNumber::new(4).unwrap(),
        size: 1,
    };
    let refusal = client.begin_part(too_much, DigestPlan::default(), None).await;
    assert_eq!(refused(refusal), (of_prefix(&bucket, "p/"), QuotaResource::Bytes));
    assert!(client.complete_upload(completion(&bucket, &upload, vec![first, second])).await.is_err());
    client.complete_upload(completion(&bucket, &upload, vec![again, second])).await.unwrap();
    assert_eq!(account(), ((80_000, 1, 0), (80_000, 1, 0)), "what was not listed went");
    // The object that is one too many is refused before anything is put together, and in the commit.
    let other = begin(client, &bucket, "p/k").await;
    let only = part(client, &bucket, &other, 1, body(4, 100)).await;
    delete(client, &bucket, "p/k").await;
    write(client, &bucket, "x", 1).await.unwrap();
    let request = completion(&bucket, &other, vec![only]);
    assert_eq!(refused(client.precheck_complete(&request)).1, QuotaResource::Objects);
    assert_eq!(refused(client.complete_upload(request.clone()).await).1, QuotaResource::Objects);
    let begun = CreateUpload {
        bucket: Arc::clone(&bucket),
        key: key("y"),
        owner: owner(),
        attributes: Attributes::default(),
        controls: Controls::default(),
        checksum: None,
        encryption: None,
    };
    assert_eq!(refused(client.create_upload(begun).await).1, QuotaResource::Objects);
    assert_eq!(account(), ((101, 1, 0), (100, 0, 0)));
    delete(client, &bucket, "x").await;
    client.complete_upload(request).await.unwrap();
    assert_eq!(account(), ((100, 1, 0), (100, 1, 0)));
    let last = begin(client, &bucket, "p/k").await;
    part(client, &bucket, &last, 1, body(5, 200)).await;
    let abort = AbortUpload { bucket: Arc::clone(&bucket), key: last.key.clone(), upload: last.id };
    client.abort_upload(abort).await.unwrap();
    assert_eq!(account(), ((100, 1, 0), (100, 1, 0)));
    let copy = crashed_copy(&node);
    let reopened = open(copy.path());
    let told_again = |scope| told(&reopened, &scope);
    assert_eq!((told_again(whole(&bucket)), told_again(of_prefix(&bucket, "p/"))), ((100, 1, 0), (100, 1, 0)));
    close(reopened).await;
    sound(copy.path());
}

#[actix::test]
async fn what_was_promised_is_free_again_however_it_ends() {
    let node = node();
    let client = &node.client;
    let bucket = bucket(client, "promised").await;
    let bucket = set_quota(client, &bucket, quota(Some(100_000), Some(2), &[("a", limits(None, Some(1)))])).await;
    count_all(client).await;
    let (name, owner) = (key("a"), owner());
    let begin = |size| BeginBody { bucket: &bucket, key: &name, owner: &owner, size };
    let reserved = || told(client, &whole(&bucket)).2;
    let writer = client.begin_body(begin(Some(60_000)), DigestPlan::default(), None).unwrap();
    assert_eq!(reserved(), 60_000);
    let refusal = client.begin_body(begin(Some(0)), DigestPlan::default(), None);
    assert_eq!(refused(refusal), (of_prefix(&bucket, "a"), QuotaResource::Objects));
    drop(writer);
    assert_eq!(reserved(), 0);
    // Unknown sizes are promised as they come.
    let mut writer = client.begin_body(begin(None), DigestPlan::default(), None).unwrap();
    writer.write(body(1, 70_000)).await.unwrap();
    assert_eq!(reserved(), 70_000);
    assert_eq!(refused(writer.write(body(1, 30_001)).await).1, QuotaResource::Bytes);
    drop(writer);
    assert_eq!(reserved(), 0);
    let mut writer = client.begin_body(begin(Some(100_000)), DigestPlan::default(), None).unwrap();
    writer.write(body(1, 100_000)).await.unwrap();
    let finished = writer.finish().await.unwrap();
    assert_eq!(reserved(), 100_000);
    let conditions = WriteConditions { if_match: Some(ETagCondition::Any), ..WriteConditions::default() };
    let message = PutObject {
        bucket: Arc::clone(&bucket),
        key: name.clone(),
        owner: owner.clone(),
        attributes: Attributes::default(),
        controls: Controls::default(),
        body: finished,
        checksum: None,
        conditions,
        replica: None,
    };
    assert!(matches!(client.put_object(message).await, Err(StorageError::NoSuchKey { .. })));
    assert_eq!(told(client, &whole(&bucket)), (0, 0, 0), "refused for another reason");
    // A limit that came in between is decided by the commit, which leaves nothing.
    let mut writer = client.begin_body(begin(Some(50_000)), DigestPlan::default(), None).unwrap();
    let bucket = set_quota(client, &bucket, quota(Some(49_999), None, &[])).await;
    writer.write(body(1, 50_000)).await.unwrap();
    let message = PutObject {
        bucket: Arc::clone(&bucket),
        key: name.clone(),
        owner,
        attributes: Attributes::default(),
        controls: Controls::default(),
        body: writer.finish().await.unwrap(),
        checksum: None,
        conditions: WriteConditions::default(),
        replica: None,
    };
    assert_eq!(refused(client.put_object(message).await), (whole(&bucket), QuotaResource::Bytes));
    assert_eq!(told(client, &whole(&bucket)), (0, 0, 0));
    assert_eq!(list(client, &bucket).await, Vec::<String>::new());
    let root = stop(node).await;
    assert_eq!(staged_leftovers(root.path()).await, Vec::<std::path::PathBuf>::new());
    sound(root.path());
}

#[actix::test]
async fn what_a_user_owns_counts_in_every_bucket() {
    let node = node();
    let client = &node.client;
    let (first, second) = (bucket(client, "first").await, bucket(client, "second").await);
    write(client, &first, "a", 100).await.unwrap();
    write(client, &second, "b", 200).await.unwrap();
    let upload = begin(client, &second, "c").await;
    part(client, &second, &upload, 1, body(1, 30_000)).await;
    let scope = QuotaScope::Owner(owner());
    limit_owner(client, owner(), Some(limits(Some(31_000), None))).await;
    assert!(client.quota_account(&scope).unwrap().is_counting);
    count_all(client).await;
    assert_eq!(told(client, &scope), (30_300, 2, 0));
    assert!(!client.quota_account(&scope).unwrap().is_counting);
    assert_eq!(refused(write(client, &first, "d", 701).await), (scope.clone(), QuotaResource::Bytes));
    write(client, &first, "d", 700).await.unwrap();
    // Somebody else's object in its place.
    let other = CanonicalId::from_bytes([8; 32]);
    let name = key("d");
    let begun = BeginBody { bucket: &first, key: &name, owner: &other, size: Some(5000) };
    let mut writer = client.begin_body(begun, DigestPlan::default(), None).unwrap();
    writer.write(body(1, 5000)).await.unwrap();
    let message = PutObject {
        bucket: Arc::clone(&first),
        key: name.clone(),
        owner: other,
        attributes: Attributes::default(),
        controls: Controls::default(),
        body: writer.finish().await.unwrap(),
        checksum: None,
        conditions: WriteConditions::default(),
        replica: None,
    };
    client.put_object(message).await.unwrap();
    assert_eq!(told(client, &scope), (30_300, 2, 0));
    // What replaces another's object is all the writer's own.
    assert_eq!(refused(write(client, &first, "d", 701).await), (scope.clone(), QuotaResource::Bytes));
    client
        .delete_object(DeleteObject {
            bucket: Arc::clone(&second),
            key: key("b"),
            version: None,
            owner: owner(),
            bypass_governance: false,
            conditions: WriteConditions::default(),
            replica: None,
        })
        .await
        .unwrap();
    assert_eq!(told(client, &scope), (30_100, 1, 0));
    client.delete_bucket(DeleteBucket { bucket: Arc::clone(&second) }).await.unwrap();
    assert_eq!(told(client, &scope), (100, 1, 0), "its upload went with the bucket");
    limit_owner(client, owner(), None).await;
    assert!(client.metered_owners().is_empty());
    sound(stop(node).await.path());
}

#[actix::test]
async fn meters_and_accounts_are_there_after_a_restart() {
    let node = node();
    let there = bucket(&node.client, "there").await;
    for n in 0..20 {
        write(&node.client, &there, &format!("a/{n}"), 100).await.unwrap();
    }
    let there = set_quota(&node.client, &there, quota(Some(10_000), None, &[("a/", limits(Some(2000), None))])).await;
    limit_owner(&node.client, owner(), Some(limits(None, Some(25)))).await;
    node.client.count_meter(CountMeter { scope: of_prefix(&there, "a/") }).await.unwrap();
    let root = stop(node).await;
    sound(root.path());
    let client = open(root.path());
    let account = client.quota_account(&of_prefix(&there, "a/")).unwrap();
    assert!(account.is_counting && account.used.objects == 3, "{account:?}");
    assert_eq!(client.metered_owners(), [owner()]);
    assert!(client.quota_account(&QuotaScope::Owner(owner())).is_none(), "until who knows users says so");
    limit_owner(&client, owner(), Some(limits(None, Some(25)))).await;
    count_all(&client).await;
    assert_eq!(told(&client, &of_prefix(&there, "a/")), (2000, 20, 0));
    assert_eq!(told(&client, &QuotaScope::Owner(owner())), (2000, 20, 0));
    assert_eq!(refused(write(&client, &there, "a/20", 1).await).0, of_prefix(&there, "a/"));
    let mut warnings = client.listen_to_quotas();
    write(&client, &there, "b", 8000).await.unwrap();
    let warning = warnings.try_recv().unwrap();
    assert_eq!((warning.scope.clone(), warning.percent, warning.used), (whole(&there), 95, 10_000));
    assert_eq!(warning.bucket.as_ref().map(BucketName::as_str), Some("there"));
    close(client).await;
    // What was told before is not told again by the start.
    let client = open(root.path());
    let mut warnings = client.listen_to_quotas();
    limit_owner(&client, owner(), Some(limits(None, Some(22)))).await;
    assert!(warnings.try_recv().is_err());
    assert_eq!(client.quota_account(&QuotaScope::Owner(owner())).unwrap().warning(QuotaResource::Objects), Some(95));
    limit_owner(&client, owner(), Some(limits(None, Some(26)))).await;
    limit_owner(&client, owner(), Some(limits(None, Some(23)))).await;
    assert!(warnings.try_recv().is_err(), "not well below");
    close(client).await;
}

/// Whatever is written while meters are being filled, they end at what is there.
#[actix::test]
async fn meters_are_exact_whatever_happens_while_they_are_filled() {
    for seed in 0..6u64 {
        let node = node();
        let client = &node.client;
        let mut state = seed;
        let mut next = move |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 33) % below) as usize
        };
        let buckets = [bucket(client, "one").await, bucket(client, "two").await];
        let mut uploads: Vec<(Arc<Bucket>, Arc<Upload>)> = Vec::new();
        for step in 0..160 {
            if step == 60 {
                limit_owner(client, owner(), Some(limits(Some(1 << 30), None))).await;
                set_quota(
                    client,
                    &buckets[0],
                    quota(None, None, &[("a", limits(Some(1 << 30), None)), ("a/1", limits(None, Some(1000)))]),
                )
                .await;
            }
            if step == 30 || step == 110 {
                let versioning = if step == 30 { Versioning::Enabled } else { Versioning::Suspended };
                configure(client, &client.bucket(&buckets[0].name).unwrap(), BucketChange::Versioning(versioning))
                    .await;
            }
            let bucket = client.bucket(&buckets[next(2)].name).unwrap();
            let name = format!("{}/{}", ["a", "b"][next(2)], next(6));
            match next(8) {
                0 => delete(client, &bucket, &name).await,
                1 => uploads.push((Arc::clone(&bucket), begin(client, &bucket, &name).await)),
                2 | 3 if !uploads.is_empty() => {
                    let (bucket, upload) = &uploads[next(uploads.len() as u64)];
                    part(client, bucket, upload, next(3) as u32 + 1, body(step, next(3) * 9000)).await;
                }
                4 if !uploads.is_empty() => {
                    let (bucket, upload) = uploads.swap_remove(next(uploads.len() as u64));
                    let last = part(client, &bucket, &upload, 3, body(step, 50)).await;
                    if next(2) == 0 {
                        client.complete_upload(completion(&bucket, &upload, vec![last])).await.unwrap();
                    } else {
                        let abort = AbortUpload { bucket, key: upload.key.clone(), upload: upload.id };
                        client.abort_upload(abort).await.unwrap();
                    }
                }
                _ => drop(write(client, &bucket, &name, next(4) * 100).await.unwrap()),
            }
            let uncounted = client.uncounted_meters();
            if !uncounted.is_empty() && next(3) == 0 {
                let scope = uncounted[next(uncounted.len() as u64)].clone();
                client.count_meter(CountMeter { scope }).await.unwrap();
            }
            if step % 40 == 39 {
                // Also what is half counted must be right.
                sound(crashed_copy(&node).path());
            }
        }
        count_all(client).await;
        sound(stop(node).await.path());
    }
}

#[actix::test]
async fn wrong_meters_are_named_and_mended() {
    let node = node();
    let there = bucket(&node.client, "there").await;
    write(&node.client, &there, "a/1", 100).await.unwrap();
    set_quota(&node.client, &there, quota(None, None, &[("a/", limits(Some(2000), None))])).await;
    limit_owner(&node.client, owner(), Some(limits(None, Some(25)))).await;
    count_all(&node.client).await;
    let root = stop(node).await;
    let meter = |objects| rows::encode(&rows::MeterRow { objects, bytes: 1, after: None }).unwrap();
    let row = |bytes: Vec<u8>| Some(Arc::from(bytes));
    tamper(
        root.path(),
        &[
            (keys::prefix_meter(there.id, b"a/"), row(meter(5))),
            (keys::owner_meter(&owner()), row(meter(6))),
            (keys::prefix_meter(there.id, b"nobody asks"), row(meter(1))),
        ],
    );
    let (_, findings) = run(root.path(), Mend::Safely, false);
    let mut kinds: Vec<_> = findings.iter().map(|finding| (finding.difference.name(), finding.mended)).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, [("orphan-row", true), ("wrong-counters", true), ("wrong-counters", true)]);
    sound(root.path());
    let client = open(root.path());
    assert_eq!(told(&client, &of_prefix(&there, "a/")), (100, 1, 0));
    close(client).await;
}

/// Data directories of before have no counters of markers and parts.
#[actix::test]
async fn older_counters_are_completed() {
    let node = node();
    let there = bucket(&node.client, "there").await;
    let there = configure(&node.client, &there, BucketChange::Versioning(Versioning::Enabled)).await;
    write(&node.client, &there, "k", 100).await.unwrap();
    delete(&node.client, &there, "k").await;
    let upload = begin(&node.client, &there, "u").await;
    part(&node.client, &there, &upload, 1, body(1, 30_000)).await;
    let root = stop(node).await;
    let older = rows::UsageRow { bytes: 100, versions: 2, ..rows::UsageRow::default() };
    tamper(root.path(), &[(keys::usage(there.id), Some(Arc::from(rows::encode(&older).unwrap())))]);
    sound(root.path());
    let client = open(root.path());
    let usage = client.usage(&there);
    assert_eq!((usage.markers, usage.part_bytes, usage.quantity().objects), (1, 30_000, 1));
    assert_eq!((usage.bytes, usage.old_bytes), (100, 100));
    close(client).await;
}
