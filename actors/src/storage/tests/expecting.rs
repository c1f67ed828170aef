//! Changes that say what they expect to find.

use std::sync::Arc;

use futures_util::future::join;

use super::fixtures::*;
use crate::bucket_config::{Acl, BucketConfig, ConfigChange, ObjectLock, Retention, RetentionMode};
use crate::names::BucketName;
use crate::storage::*;

/// Two changes of each kind that replace something; neither is how an object begins.
fn kinds() -> [[ObjectChange; 2]; 3] {
    let tags = |value: &str| ObjectChange::Tags(vec![("by".to_owned(), value.to_owned())]);
    let acl = |acl| ObjectChange::Acl(Some(acl));
    let until = |until_millis| {
        let retention = Some(Retention { mode: RetentionMode::Governance, until_millis });
        ObjectChange::Retention { retention, bypass_governance: false }
    };
    [
        [tags("one"), tags("two")],
        [acl(Acl::default()), acl(Acl::of_owner(&owner()))],
        [until(4_000_000_000_000), until(4_100_000_000_000)],
    ]
}

async fn lockable(node: &Node, name: &str) -> Arc<Bucket> {
    let config = BucketConfig { object_lock: Some(ObjectLock::default()), ..BucketConfig::default() };
    let name = BucketName::parse(name).unwrap();
    node.client.create_bucket(CreateBucket { name, owner: owner(), config }).await.unwrap()
}

async fn change(
    node: &Node,
    bucket: &Arc<Bucket>,
    change: &ObjectChange,
    expected: Option<&Arc<Object>>,
) -> Result<Arc<Object>, StorageError> {
    let (bucket, change) = (Arc::clone(bucket), change.clone());
    let message = ChangeObject { bucket, key: key("a"), version: None, of: None, change, replica: None };
    node.client.change_object_expecting(message, expected.cloned()).await
}

async fn configure(
    node: &Node,
    bucket: &Arc<Bucket>,
    change: &BucketChange,
    expected: Option<&Arc<Bucket>>,
) -> Result<Arc<Bucket>, StorageError> {
    let message = ConfigureBucket { bucket: Arc::clone(bucket), change: change.clone() };
    Ok(node.client.configure_bucket_expecting(message, expected.cloned()).await?.after)
}

fn is_refused<T>(outcome: &Result<T, StorageError>) -> bool {
    matches!(outcome, Err(StorageError::NotAsExpected { .. }))
}

#[actix::test]
async fn an_object_changes_only_from_what_was_seen() {
    let node = node();
    let bucket = lockable(&node, "seen").await;
    let written = put(&node.client, &bucket, "a", body(1, 100)).await.object;
    for [first, second] in kinds() {
        // What changed of the other kinds meanwhile is not what this one expects anything of.
        let changed = change(&node, &bucket, &first, Some(&written)).await.unwrap();
        let late = change(&node, &bucket, &second, Some(&written)).await;
        assert!(is_refused(&late), "{second:?}: {late:?}");
        assert_eq!(node.client.object(&bucket, &key("a"), None).await.unwrap(), changed, "nothing has changed");
        // Who expects nothing changes whatever is there.
        let again = change(&node, &bucket, &second, None).await.unwrap();
        assert_ne!(again, changed);
        assert!(is_refused(&change(&node, &bucket, &second, Some(&changed)).await), "{second:?}");
        assert_eq!(change(&node, &bucket, &second, Some(&again)).await.unwrap(), again);
    }
}

#[actix::test]
async fn a_legal_hold_that_was_never_put_is_as_good_as_one_that_was_lifted() {
    let node = node();
    let bucket = lockable(&node, "held").await;
    let written = put(&node.client, &bucket, "a", body(1, 100)).await.object;
    let [on, off] = [true, false].map(ObjectChange::LegalHold);
    change(&node, &bucket, &on, Some(&written)).await.unwrap();
    assert!(is_refused(&change(&node, &bucket, &off, Some(&written)).await));
    let held = node.client.object(&bucket, &key("a"), None).await.unwrap();
    assert!(held.controls.is_held());
    change(&node, &bucket, &off, Some(&held)).await.unwrap();
    assert!(change(&node, &bucket, &on, Some(&written)).await.unwrap().controls.is_held());
}

#[actix::test]
async fn another_object_is_not_the_one_that_was_seen() {
    let node = node();
    let bucket = bucket(&node.client, "another").await;
    let first = put(&node.client, &bucket, "a", body(1, 100)).await.object;
    // Its bytes are the same, and it has as few tags.
    let second = put(&node.client, &bucket, "a", body(1, 100)).await.object;
    let [[tags, _], ..] = kinds();
    assert!(is_refused(&change(&node, &bucket, &tags, Some(&first)).await));
    assert_eq!(node.client.object(&bucket, &key("a"), None).await.unwrap().attributes.tags, []);
    change(&node, &bucket, &tags, Some(&second)).await.unwrap();
    delete(&node.client, &bucket, "a").await;
    let gone = change(&node, &bucket, &tags, Some(&second)).await;
    assert!(matches!(gone, Err(StorageError::NoSuchKey { .. })), "{gone:?}");
}

#[actix::test]
async fn of_two_who_have_seen_the_same_one_comes_too_late() {
    let node = node();
    let mut bucket = bucket(&node.client, "two").await;
    let mut seen = put(&node.client, &bucket, "a", body(1, 100)).await.object;
    let tag = |value: String| vec![("by".to_owned(), value)];
    for round in 0..50 {
        let [one, two] = ["one", "two"].map(|who| tag(format!("{who}{round}")));
        let [first, second] = [&one, &two].map(|tags| ObjectChange::Tags(tags.clone()));
        let both = join(change(&node, &bucket, &first, Some(&seen)), change(&node, &bucket, &second, Some(&seen)));
        let (taken, won) = match both.await {
            (Ok(object), late) if is_refused(&late) => (object, &one),
            (late, Ok(object)) if is_refused(&late) => (object, &two),
            both => panic!("{both:?}"),
        };
        seen = node.client.object(&bucket, &key("a"), None).await.unwrap();
        assert!(seen == taken && seen.attributes.tags == *won, "{seen:?}");
        let [first, second] = [&one, &two].map(|tags| BucketChange::Config(ConfigChange::Tags(Some(tags.clone()))));
        let both =
            join(configure(&node, &bucket, &first, Some(&bucket)), configure(&node, &bucket, &second, Some(&bucket)));
        let (taken, won) = match both.await {
            (Ok(bucket), late) if is_refused(&late) => (bucket, one),
            (late, Ok(bucket)) if is_refused(&late) => (bucket, two),
            both => panic!("{both:?}"),
        };
        bucket = node.client.bucket(&bucket.name).unwrap();
        assert!(bucket == taken && bucket.config.tags == Some(won), "{bucket:?}");
    }
}

#[actix::test]
async fn a_setting_changes_only_from_what_was_seen() {
    let node = node();
    let seen = bucket(&node.client, "settings").await;
    let tags = |value: &str| BucketChange::Config(ConfigChange::Tags(Some(vec![("by".to_owned(), value.to_owned())])));
    let changed = configure(&node, &seen, &tags("one"), Some(&seen)).await.unwrap();
    assert!(is_refused(&configure(&node, &seen, &tags("two"), Some(&seen)).await));
    assert_eq!(node.client.bucket(&seen.name).unwrap(), changed, "nothing has changed");
    // Other settings are as they were.
    let enabled = BucketChange::Versioning(Versioning::Enabled);
    for other in [BucketChange::Config(ConfigChange::RequesterPays(true)), enabled] {
        configure(&node, &seen, &other, Some(&seen)).await.unwrap();
        assert!(is_refused(&configure(&node, &seen, &other, Some(&seen)).await), "{other:?}");
        configure(&node, &seen, &other, None).await.unwrap();
    }
    configure(&node, &seen, &tags("two"), Some(&changed)).await.unwrap();
    // Another bucket of the same name is not the one that was seen.
    node.client.delete_bucket(DeleteBucket { bucket: Arc::clone(&seen) }).await.unwrap();
    let new = bucket(&node.client, "settings").await;
    assert!(is_refused(&configure(&node, &new, &tags("one"), Some(&seen)).await));
    assert_eq!(node.client.bucket(&new.name).unwrap().config.tags, None);
}
