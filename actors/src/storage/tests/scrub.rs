//! Damage under the feet of a node: found, kept from being served, and repaired byte for byte.

use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use super::envelopes;
use super::fixtures::*;
use crate::bucket_config::BucketConfig;
use crate::encryption::DataKey;
use crate::names::BucketName;
use crate::storage::*;

fn settle(node: &Node) {
    let progress = &node.client.shared().progress;
    progress.wait_followed(progress.position().sequence).unwrap();
}

/// Turns bits of one byte of a file around, and leaves its time as it was.
fn flip(path: &Path, at: u64) {
    let file = std::fs::File::options().read(true).write(true).open(path).unwrap();
    let time = file.metadata().unwrap().modified().unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 0x41], at).unwrap();
    file.set_modified(time).unwrap();
}

async fn items(node: &Node) -> Vec<ScrubItem> {
    let (mut items, mut after) = (Vec::new(), None);
    loop {
        let page = node.client.scrub_page(None, after, 2).await.unwrap();
        assert_eq!(page.unreadable_rows, 0);
        items.extend(page.items);
        match page.next {
            Some(next) => after = Some(next),
            None => return items,
        }
    }
}

async fn verdict(node: &Node, item: &ScrubItem, key: Option<&DataKey>) -> Examined {
    let mut examination = match node.client.scrub_look(item, key).await.unwrap() {
        Look::Open(examination) => examination,
        Look::Damaged(damage) => return Examined::Damaged(damage),
        other => panic!("{other:?}"),
    };
    loop {
        match examination.read_on().await.unwrap() {
            Examined::More(_) => {}
            end => return end,
        }
    }
}

fn damage(examined: &Examined) -> &Damage {
    let Examined::Damaged(damage) = examined else { panic!("{examined:?}") };
    damage
}

async fn versioned(client: &StorageClient, name: &str) -> Arc<Bucket> {
    let name = BucketName::parse(name).unwrap();
    let made = CreateBucket { name: name.clone(), owner: owner(), config: BucketConfig::default() };
    let bucket = client.create_bucket(made).await.unwrap();
    let change = BucketChange::Versioning(Versioning::Enabled);
    client.configure_bucket(ConfigureBucket { bucket, change }).await.unwrap();
    client.bucket(&name).unwrap()
}

#[actix::test]
async fn everything_with_bytes_is_walked_over_once() {
    let node = node();
    let (one, other) = (bucket(&node.client, "one").await, versioned(&node.client, "other").await);
    for name in ["a", "b//odd", "folder/"] {
        put(&node.client, &one, name, body(1, if name == "folder/" { 0 } else { 100 })).await;
    }
    put(&node.client, &other, "v", body(1, 40_000)).await;
    put(&node.client, &other, "v", body(2, 50_000)).await;
    delete(&node.client, &other, "v").await;
    let upload = begin(&node.client, &one, "up").await;
    part(&node.client, &one, &upload, 1, body(3, 30_000)).await;
    settle(&node);
    let found = items(&node).await;
    let mut told: Vec<_> =
        found.iter().map(|item| (item.kind(), item.key().map(|key| key.to_string()), item.stored_size())).collect();
    told.sort_by_key(|(_, key, size)| (key.clone(), *size));
    let key = |name: &str| Some(name.to_owned());
    assert_eq!(
        told,
        [
            (ScrubKind::Part, None, 30_000),
            (ScrubKind::Object, key("a"), 100),
            (ScrubKind::Object, key("b//odd"), 100),
            (ScrubKind::Version, key("v"), 40_000),
            (ScrubKind::Version, key("v"), 50_000),
        ]
    );
    for item in &found {
        assert_eq!(verdict(&node, item, None).await, Examined::Right, "{item:?}");
    }
    let page = node.client.scrub_page(Some(one), None, 100).await.unwrap();
    assert_eq!((page.items.len(), page.next), (3, None));
}

#[actix::test]
async fn a_damaged_object_is_not_served_until_it_is_written_again() {
    let node = node();
    let bucket = bucket(&node.client, "bits").await;
    for name in ["small", "large", "cut"] {
        put(&node.client, &bucket, name, body(1, if name == "small" { 10 } else { 300_000 })).await;
    }
    settle(&node);
    let folder = node.root.path().join("bits");
    flip(&folder.join("small"), 3);
    flip(&folder.join("large"), 299_999);
    let file = std::fs::File::options().write(true).open(folder.join("cut")).unwrap();
    let time = file.metadata().unwrap().modified().unwrap();
    file.set_len(100_000).unwrap();
    file.set_modified(time).unwrap();
    for item in items(&node).await {
        let found = verdict(&node, &item, None).await;
        let kind = if item.key() == Some(&key("cut")) { DamageKind::Size } else { DamageKind::Checksum };
        assert_eq!(damage(&found).kind, kind, "{item:?}");
        assert!(node.client.scrub_mark(&item, Some(damage(&found))).await.unwrap());
    }
    for name in ["small", "large", "cut"] {
        let refused = node.client.object(&bucket, &key(name), None).await;
        assert!(matches!(refused, Err(StorageError::Damaged { .. })), "{refused:?}");
        let peeked = node.client.peek_object(&bucket, &key(name), None).unwrap();
        let refused = node.client.open_peeked(&bucket, &peeked, Purpose::Read);
        assert!(matches!(refused, Err(StorageError::Damaged { .. })), "{refused:?}");
    }
    // What stands beside the bytes may be changed, and does not end it; nor does a restart.
    let change = ObjectChange::Tags(vec![("a".to_owned(), "b".to_owned())]);
    let message =
        ChangeObject { bucket: Arc::clone(&bucket), key: key("large"), version: None, of: None, change, replica: None };
    node.client.change_object(message).await.unwrap();
    let copy = crashed_copy(&node);
    let reopened = open(copy.path());
    assert!(matches!(get(&reopened, &bucket, "large").await, Err(StorageError::Damaged { .. })));
    put(&node.client, &bucket, "small", body(2, 10)).await;
    assert_eq!(get(&node.client, &bucket, "small").await.unwrap(), body(2, 10));
    delete(&node.client, &bucket, "cut").await;
    assert!(matches!(get(&node.client, &bucket, "cut").await, Err(StorageError::NoSuchKey { .. })));
    // Somebody puts the right bytes back.
    std::fs::write(folder.join("large"), body(1, 300_000)).unwrap();
    assert_eq!(get(&node.client, &bucket, "large").await.unwrap(), body(1, 300_000));
    settle(&node);
    assert!(!node.client.is_marked(&bucket, &key("large"), crate::names::VersionId::Null));
    assert_eq!(get(&node.client, &bucket, "large").await.unwrap(), body(1, 300_000));
}

#[actix::test]
async fn a_damaged_part_is_as_good_as_never_sent() {
    let node = node();
    let bucket = bucket(&node.client, "parts").await;
    let upload = begin(&node.client, &bucket, "k").await;
    let mut sent = Vec::new();
    for number in 1..4 {
        sent.push(part(&node.client, &bucket, &upload, number, body(number as usize, 60_000)).await);
    }
    settle(&node);
    let found = items(&node).await;
    let path = node.root.path().join(found[1].path());
    flip(&path, 60_000 + 17);
    for item in &found {
        let damage = match verdict(&node, item, None).await {
            Examined::Damaged(damage) => Some(damage),
            _ => None,
        };
        assert!(node.client.scrub_mark(item, damage.as_ref()).await.unwrap());
    }
    let second = sent[1].number;
    let listed = |client: StorageClient, after: u32, limit: usize| {
        let query = ListParts {
            bucket: Arc::clone(&bucket),
            key: upload.key.clone(),
            upload: upload.id,
            number_after: after,
            limit,
        };
        async move {
            let page = client.list_parts(query).await.unwrap();
            (page.parts.iter().map(|part| part.number.get()).collect::<Vec<_>>(), page.next.map(|number| number.get()))
        }
    };
    // The mark outlives a restart.
    let copy = crashed_copy(&node);
    for client in [open(copy.path()), node.client.clone()] {
        assert!(client.is_part_marked(&bucket, upload.id, second));
        assert_eq!(listed(client.clone(), 0, 1).await, (vec![1], Some(1)));
        assert_eq!(listed(client.clone(), 1, 1).await, (vec![3], None));
        let refused = client.complete_upload(completion(&bucket, &upload, sent.clone())).await;
        assert!(matches!(refused, Err(StorageError::DamagedPart { part, .. }) if part == second), "{refused:?}");
    }
    // Right bytes are back; then they rot again, and the part is sent again.
    flip(&path, 60_000 + 17);
    for item in items(&node).await.iter().filter(|item| item.is_marked()) {
        assert_eq!(verdict(&node, item, None).await, Examined::Right);
        assert!(node.client.scrub_mark(item, None).await.unwrap());
    }
    assert_eq!(listed(node.client.clone(), 0, 9).await, (vec![1, 2, 3], None));
    flip(&path, 60_000 + 17);
    let item = items(&node).await.swap_remove(1);
    let found = verdict(&node, &item, None).await;
    assert!(node.client.scrub_mark(&item, Some(damage(&found))).await.unwrap());
    sent[1] = part(&node.client, &bucket, &upload, 2, body(2, 60_000)).await;
    assert!(!node.client.scrub_mark(&item, Some(damage(&found))).await.unwrap(), "it is another part");
    assert!(!node.client.is_part_marked(&bucket, upload.id, second));
    node.client.complete_upload(completion(&bucket, &upload, sent)).await.unwrap();
    let whole: Vec<u8> = (1..4).flat_map(|number| body(number, 60_000)).collect();
    assert_eq!(get(&node.client, &bucket, "k").await.unwrap(), whole);
}

#[actix::test]
async fn a_file_that_is_cut_without_being_written_is_no_edit() {
    let node = node();
    let bucket = bucket(&node.client, "cut").await;
    put(&node.client, &bucket, "k", body(1, 50_000)).await;
    settle(&node);
    let file = std::fs::File::options().write(true).open(node.root.path().join("cut/k")).unwrap();
    let time = file.metadata().unwrap().modified().unwrap();
    file.set_len(49_999).unwrap();
    file.set_modified(time).unwrap();
    let refused = get(&node.client, &bucket, "k").await;
    assert!(matches!(refused, Err(StorageError::Quarantined { .. })), "{refused:?}");
}

/// Repairs something with these bytes, in pieces that fit nothing.
async fn repair(node: &Node, item: &ScrubItem, key: Option<&DataKey>, bytes: &[u8]) -> Result<Repaired, StorageError> {
    let mut repair = node.client.begin_repair(item, key).await?.expect("it can be repaired");
    for piece in bytes.chunks(70_001) {
        repair.write(piece).await?;
    }
    repair.finish().await
}

#[actix::test]
async fn right_bytes_take_the_place_of_damaged_ones_and_nothing_else_changes() {
    let node = node();
    let bucket = versioned(&node.client, "mended").await;
    put(&node.client, &bucket, "k", body(1, 400_000)).await;
    put(&node.client, &bucket, "k", body(2, 200_000)).await;
    put(&node.client, &bucket, "b//odd", body(3, 150_000)).await;
    settle(&node);
    let mut before = Vec::new();
    for item in items(&node).await {
        let path = node.root.path().join(item.path());
        before.push((std::fs::read(&path).unwrap(), path.metadata().unwrap().modified().unwrap()));
        flip(&path, 100_000);
    }
    for (at, item) in items(&node).await.into_iter().enumerate() {
        let found = verdict(&node, &item, None).await;
        assert!(node.client.scrub_mark(&item, Some(damage(&found))).await.unwrap());
        let wrong = repair(&node, &item, None, &body(9, before[at].0.len())).await;
        assert!(matches!(wrong, Err(StorageError::Corrupt { .. })), "{wrong:?}");
        let short = repair(&node, &item, None, &before[at].0[1..]).await;
        assert!(matches!(short, Err(StorageError::Corrupt { .. })), "{short:?}");
        let Ok(Repaired::Done { kept: Some(kept) }) = repair(&node, &item, None, &before[at].0).await else { panic!() };
        assert_ne!(std::fs::read(node.root.path().join(kept)).unwrap(), before[at].0);
    }
    settle(&node);
    for (at, item) in items(&node).await.into_iter().enumerate() {
        assert!(!item.is_marked());
        let path = node.root.path().join(item.path());
        assert_eq!(std::fs::read(&path).unwrap(), before[at].0);
        assert_eq!(path.metadata().unwrap().modified().unwrap(), before[at].1);
        assert_eq!(verdict(&node, &item, None).await, Examined::Right);
    }
    assert_eq!(get(&node.client, &bucket, "k").await.unwrap(), body(2, 200_000));
    assert!(staged_leftovers(node.root.path()).await.is_empty());
    let root = stop(node).await;
    fsck_is_clean(root.path());
}

#[actix::test]
async fn an_encrypted_object_is_sealed_again_as_it_was() {
    let node = node();
    let bucket = bucket(&node.client, "sealed").await;
    for (name, size) in [("inline", 5_000), ("large", 400_000), ("empty", 0)] {
        let envelope = envelopes::managed("m", &bucket, name);
        let conditions = WriteConditions::default();
        put_with(&node.client, &bucket, name, body(1, size), conditions, Some(&envelope)).await.unwrap();
    }
    let envelope = envelopes::managed("m", &bucket, "parts");
    let upload = begin_with(&node.client, &bucket, "parts", Some(&envelope)).await;
    let mut parts = Vec::new();
    for number in 1..4 {
        parts.push(part(&node.client, &bucket, &upload, number, body(number as usize, 100_000)).await);
    }
    node.client.complete_upload(completion(&bucket, &upload, parts)).await.unwrap();
    settle(&node);
    for item in items(&node).await {
        let name = item.key().unwrap().to_string();
        let plain = get(&node.client, &bucket, &name).await.unwrap();
        let object = item.object().unwrap().unwrap();
        let data_key = envelopes::open(object.encryption().unwrap(), &bucket, &name);
        assert_eq!(verdict(&node, &item, Some(&data_key)).await, Examined::Right);
        assert_eq!(verdict(&node, &item, None).await, Examined::Right);
        let path = node.root.path().join(item.path());
        let before = std::fs::read(&path).unwrap();
        flip(&path, before.len() as u64 - 1);
        if object.size > 0 {
            assert_eq!(damage(&verdict(&node, &item, Some(&data_key)).await).kind, DamageKind::Checksum, "{name}");
        }
        assert_eq!(damage(&verdict(&node, &item, None).await).kind, DamageKind::Checksum, "{name}");
        assert!(node.client.begin_repair(&item, None).await.unwrap().is_none(), "without its key");
        assert!(matches!(repair(&node, &item, Some(&data_key), &plain).await, Ok(Repaired::Done { .. })), "{name}");
        settle(&node);
        assert_eq!(std::fs::read(&path).unwrap(), before, "{name}");
        assert_eq!(get(&node.client, &bucket, &name).await.unwrap(), plain);
        flip(&path, 40);
        if object.size > 0 && object.etag.parts.is_none() {
            let wrong = repair(&node, &item, Some(&data_key), &plain).await;
            assert!(matches!(wrong, Err(StorageError::Corrupt { .. })), "another salt, another file: {wrong:?}");
        }
        flip(&path, 40);
    }
    let root = stop(node).await;
    fsck_is_clean(root.path());
}

#[actix::test]
async fn what_was_overwritten_meanwhile_is_left_alone() {
    let node = node();
    let bucket = bucket(&node.client, "late").await;
    put(&node.client, &bucket, "k", body(1, 200_000)).await;
    settle(&node);
    let item = items(&node).await.remove(0);
    flip(&node.root.path().join("late/k"), 5);
    let found = verdict(&node, &item, None).await;
    let mut late = node.client.begin_repair(&item, None).await.unwrap().unwrap();
    late.write(&body(1, 200_000)).await.unwrap();
    put(&node.client, &bucket, "k", body(2, 200_000)).await;
    settle(&node);
    assert!(!node.client.scrub_mark(&item, Some(damage(&found))).await.unwrap());
    assert_eq!(late.finish().await.unwrap(), Repaired::Gone);
    assert!(matches!(node.client.scrub_look(&item, None).await.unwrap(), Look::Gone));
    assert_eq!(get(&node.client, &bucket, "k").await.unwrap(), body(2, 200_000));
    assert!(!node.root.path().join(".myfsio.sys/quarantine").read_dir().is_ok_and(|mut kept| kept.next().is_some()));
}

fn fsck_is_clean(root: &Path) {
    struct Deaf;
    impl CheckObserver for Deaf {
        fn found(&mut self, finding: &Finding) {
            panic!("{finding:?}");
        }
        fn progress(&mut self, _: CheckProgress) {}
    }
    let options = CheckOptions { mend: Mend::Nothing, data: true, bucket: None };
    unlocked(|| fsck(&settings(root), Arc::new(crate::clock::SystemClock), &options, &mut Deaf));
}
