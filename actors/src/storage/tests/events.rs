//! Events are rows of the transaction that they tell of.

use std::sync::Arc;

use super::fixtures::*;
use super::fsck::{rebuild, run};
use crate::bucket_config::{BucketConfig, EventKind, EventPattern, Notification, NotificationTarget, TargetKind};
use crate::names::{BucketName, Checksum, ChecksumAlgorithm, VersionId};
use crate::storage::*;

const QUEUE: &str = "arn:aws:sqs:us-east-1:1:queue";
const TOPIC: &str = "arn:aws:sns:us-east-1:1:topic";

fn target(arn: &str, events: &[&str], prefix: Option<&str>) -> NotificationTarget {
    NotificationTarget {
        id: format!("id of {arn}"),
        kind: TargetKind::Queue,
        arn: arn.to_owned(),
        events: events.iter().map(|event| EventPattern::parse(event).unwrap()).collect(),
        prefix: prefix.map(str::to_owned),
        suffix: None,
    }
}

async fn telling(client: &StorageClient, targets: Vec<NotificationTarget>, event_bridge: bool) -> Arc<Bucket> {
    let config = BucketConfig { notification: Some(Notification { targets, event_bridge }), ..BucketConfig::default() };
    let name = BucketName::parse("telling").unwrap();
    client.create_bucket(CreateBucket { name, owner: owner(), config }).await.unwrap()
}

fn everything() -> NotificationTarget {
    let events = [
        "s3:ObjectCreated:*",
        "s3:ObjectRemoved:*",
        "s3:ObjectTagging:*",
        "s3:ObjectAcl:Put",
        "s3:LifecycleExpiration:*",
    ];
    target(QUEUE, &events, None)
}

fn queue(bucket: &Bucket, target: &str) -> OutboxQueue {
    OutboxQueue { bucket: bucket.id, target: Arc::from(target) }
}

async fn pending(client: &StorageClient, bucket: &Bucket, target: &str) -> Vec<QueuedEvent> {
    client.queued_events(Tray::Pending, queue(bucket, target), None, 1000).await.unwrap()
}

async fn kinds(client: &StorageClient, bucket: &Bucket, target: &str) -> Vec<EventKind> {
    pending(client, bucket, target).await.iter().map(|queued| queued.event.kind).collect()
}

async fn change(client: &StorageClient, bucket: &Arc<Bucket>, name: &str, change: ObjectChange) {
    let message =
        ChangeObject { bucket: Arc::clone(bucket), key: key(name), version: None, of: None, change, replica: None };
    client.change_object(message).await.unwrap();
}

async fn remove(client: &StorageClient, bucket: &Arc<Bucket>, name: &str, version: Option<VersionId>) -> Deleted {
    let message = DeleteObject {
        bucket: Arc::clone(bucket),
        key: key(name),
        version,
        owner: owner(),
        bypass_governance: false,
        conditions: WriteConditions::default(),
        replica: None,
    };
    client.delete_object(message).await.unwrap()
}

async fn keep_versions(client: &StorageClient, bucket: &Arc<Bucket>) -> Arc<Bucket> {
    let change = BucketChange::Versioning(Versioning::Enabled);
    client.configure_bucket(ConfigureBucket { bucket: Arc::clone(bucket), change }).await.unwrap().after
}

#[actix::test]
async fn each_change_has_its_event() {
    let node = node();
    let client = &node.client;
    let bucket = telling(client, vec![everything()], false).await;
    let stored = put(client, &bucket, "a", body(1, 10)).await;
    change(client, &bucket, "a", ObjectChange::Tags(vec![("k".to_owned(), "v".to_owned())])).await;
    change(client, &bucket, "a", ObjectChange::Tags(Vec::new())).await;
    change(client, &bucket, "a", ObjectChange::Acl(None)).await;
    let upload = begin(client, &bucket, "b").await;
    let first = part(client, &bucket, &upload, 1, body(2, 20)).await;
    client.complete_upload(completion(&bucket, &upload, vec![first])).await.unwrap();
    let cut = begin(client, &bucket, "b").await;
    let first = part(client, &bucket, &cut, 1, body(2, 20)).await;
    let crc = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, &body(2, 20));
    let request = CompleteUpload {
        expected_checksum: Checksum::from_bytes(ChecksumAlgorithm::Crc64Nvme, &crc.to_be_bytes()),
        whole: Some(Whole { md5: md5_of(&body(2, 20)), checksum: None }),
        ..completion(&bucket, &cut, vec![first])
    };
    client.complete_upload(request).await.unwrap();
    delete(client, &bucket, "a").await;
    delete(client, &bucket, "a").await;
    let refused = WriteConditions { if_none_match: Some(ETagCondition::Any), ..WriteConditions::default() };
    assert!(try_put(client, &bucket, "b", body(3, 5), refused).await.is_err());
    let kept = keep_versions(client, &bucket).await;
    let version = put(client, &kept, "v", body(4, 4)).await.object.version_id;
    let marker = remove(client, &kept, "v", None).await.version_id.unwrap();
    remove(client, &kept, "v", Some(version)).await;
    remove(client, &kept, "v", Some(version)).await;
    let by_lifecycle = client.on_behalf(Arc::new(Origin::of_node(Cause::Lifecycle)));
    remove(&by_lifecycle, &kept, "b", None).await;
    remove(&by_lifecycle, &kept, "v", Some(marker)).await;
    use EventKind::*;
    assert_eq!(
        kinds(client, &bucket, QUEUE).await,
        [
            CreatedByPut,
            Tagged,
            Untagged,
            AclChanged,
            CreatedByUpload,
            CreatedByPut,
            Removed,
            CreatedByPut,
            MarkerCreated,
            Removed,
            ExpiredByMarker,
            Expired
        ]
    );
    let events = pending(client, &bucket, QUEUE).await;
    assert!(events.is_sorted_by_key(|queued| queued.event.sequence));
    let created = &events[0].event;
    assert_eq!((created.size, created.etag, created.version_id), (Some(10), Some(stored.object.etag), None));
    assert_eq!(created.sequence, stored.object.stamp);
    assert_eq!(events[7].event.version_id, Some(version));
    assert_eq!((events[8].event.version_id, events[8].event.size), (Some(marker), None));
    assert_eq!(events[10].event.origin.principal, "s3.amazonaws.com");
}

#[actix::test]
async fn a_target_hears_what_it_asked_for_and_listeners_everything() {
    let node = node();
    let client = &node.client;
    let targets = vec![
        target(QUEUE, &["s3:ObjectCreated:Copy"], Some("in/")),
        target(TOPIC, &["s3:ObjectCreated:Put"], Some("in/")),
    ];
    let bucket = telling(client, targets, true).await;
    let quiet = super::fixtures::bucket(client, "quiet").await;
    put(client, &quiet, "unheard", body(1, 1)).await;
    let mut heard = client.listen();
    let origin = Origin { cause: Cause::Copy, principal: "AWS:me".to_owned(), ..Origin::default() };
    put(&client.on_behalf(Arc::new(origin)), &bucket, "in/a", body(1, 1)).await;
    put(client, &bucket, "in/b", body(1, 1)).await;
    put(client, &bucket, "out/c", body(1, 1)).await;
    put(client, &quiet, "heard", body(1, 1)).await;
    use EventKind::*;
    assert_eq!(kinds(client, &bucket, QUEUE).await, [CreatedByCopy]);
    assert_eq!(kinds(client, &bucket, TOPIC).await, [CreatedByPut]);
    assert_eq!(kinds(client, &bucket, EVENT_BUS).await, [CreatedByCopy, CreatedByPut, CreatedByPut]);
    let told = &pending(client, &bucket, QUEUE).await[0];
    assert_eq!(
        (told.event.origin.principal.as_str(), told.configuration.as_str()),
        ("AWS:me", &*format!("id of {QUEUE}"))
    );
    let mut keys = Vec::new();
    while let Ok(event) = heard.try_recv() {
        keys.push(format!("{}/{}", event.bucket, event.key.as_str()));
    }
    assert_eq!(keys, ["telling/in/a", "telling/in/b", "telling/out/c", "quiet/heard"]);
    drop(heard);
    let queues = client.queues(Tray::Pending, None, 10).await.unwrap();
    let mut expected = [EVENT_BUS, QUEUE, TOPIC].map(|target| queue(&bucket, target));
    expected.sort();
    assert_eq!(queues, expected);
    assert_eq!(client.queues(Tray::Pending, Some(expected[1].clone()), 10).await.unwrap(), expected[2..]);
    assert!(client.filled_queues().await.contains(&expected[0]));
}

#[actix::test]
async fn what_is_settled_is_gone_and_what_is_dead_comes_back() {
    let node = node();
    let client = &node.client;
    let bucket = telling(client, vec![everything()], false).await;
    for name in ["a", "b", "c"] {
        put(client, &bucket, name, body(1, 1)).await;
    }
    let stamps: Vec<_> = pending(client, &bucket, QUEUE).await.iter().map(|queued| queued.event.sequence).collect();
    let own = queue(&bucket, QUEUE);
    let settle = |tray, at: usize, outcome| {
        client.settle_events(SettleEvents { tray, events: vec![(own.clone(), stamps[at], outcome)] })
    };
    assert_eq!(settle(Tray::Pending, 0, Settled::Done).await.unwrap(), 1);
    assert_eq!(settle(Tray::Pending, 0, Settled::Done).await.unwrap(), 0);
    assert_eq!(settle(Tray::Pending, 1, Settled::Dead("down".to_owned())).await.unwrap(), 1);
    assert_eq!(settle(Tray::Dead, 2, Settled::Replayed).await.unwrap(), 0);
    let dead = client.queued_events(Tray::Dead, own.clone(), None, 10).await.unwrap();
    assert_eq!((dead.len(), dead[0].error.as_deref()), (1, Some("down")));
    assert_eq!(pending(client, &bucket, QUEUE).await.len(), 1);
    assert_eq!(settle(Tray::Dead, 1, Settled::Replayed).await.unwrap(), 1);
    let again = pending(client, &bucket, QUEUE).await;
    assert_eq!((again.len(), again[0].event.sequence), (2, stamps[1]));
    assert!(again[0].since > again[0].event.sequence && again[0].error.is_none());
    let length = client.queue_length(Tray::Pending, own.clone(), 1).await.unwrap();
    assert_eq!(length, QueueLength { events: 1, is_more: true, oldest: Some(stamps[1]) });
}

#[actix::test]
async fn events_outlive_crash_bucket_and_reindex() {
    let node = node();
    let bucket = telling(&node.client, vec![everything()], false).await;
    put(&node.client, &bucket, "a", body(1, 10)).await;
    let crashed = crashed_copy(&node);
    let reopened = open(crashed.path());
    assert_eq!(kinds(&reopened, &bucket, QUEUE).await, [EventKind::CreatedByPut]);
    close(reopened).await;
    delete(&node.client, &bucket, "a").await;
    node.client.delete_bucket(DeleteBucket { bucket: Arc::clone(&bucket) }).await.unwrap();
    let root = stop(node).await;
    assert_eq!(run(root.path(), Mend::Nothing, true).1, []);
    assert_eq!(rebuild(root.path()), []);
    let client = open(root.path());
    assert_eq!(kinds(&client, &bucket, QUEUE).await, [EventKind::CreatedByPut, EventKind::Removed]);
    close(client).await;
}

#[actix::test]
async fn an_adopted_file_is_told_of() {
    let node = node();
    let bucket = telling(&node.client, vec![everything()], false).await;
    let progress = &node.client.shared().progress;
    progress.wait_followed(progress.position().sequence).unwrap();
    std::fs::write(node.root.path().join("telling/by-hand"), b"mine").unwrap();
    std::thread::sleep(std::time::Duration::from_millis(30));
    assert_eq!(node.client.adopt_files(&bucket).await.unwrap().adopted, 1);
    let events = pending(&node.client, &bucket, QUEUE).await;
    assert_eq!((events.len(), events[0].event.kind, events[0].event.size), (1, EventKind::CreatedByPut, Some(4)));
}
