//! Whole commits against a real directory, reopened, and replayed from copies taken while it ran — which is what a crash of
//! the process leaves.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;

use super::fixtures::*;
use crate::bucket_config::BucketConfig;
use crate::names::{BucketName, ETag};
use crate::storage::*;

const NASTY: [&str; 22] = [
    "a",
    "a/",
    "a/b",
    "a//b",
    "../x",
    ".",
    "..",
    "./a",
    "a/../b",
    "/",
    "/lead",
    "trail/",
    "Case",
    "case",
    "e\u{301}",
    "é",
    "\u{1}ctl\n",
    "sp ace",
    "plus+",
    "%41",
    "a-b",
    "nul\0key",
];

#[actix::test]
async fn bytes_come_back_at_every_stage() {
    let node = node();
    let bucket = bucket(&node.client, "stages").await;
    let sizes = [0, 1, 100, 16 << 10, (16 << 10) + 1, 600_000, 3_000_000];
    for (seed, size) in sizes.into_iter().enumerate() {
        let name = format!("dir/{size}");
        let stored = put(&node.client, &bucket, &name, body(seed, size)).await;
        assert_eq!(get(&node.client, &bucket, &name).await.unwrap(), body(seed, size), "at once, {size}");
        assert_eq!(stored.object.size, size as u64);
    }
    node.client.stop().await.unwrap();
    for (seed, size) in sizes.into_iter().enumerate() {
        let file = node.root.path().join(format!("stages/dir/{size}"));
        assert_eq!(std::fs::read(file).unwrap(), body(seed, size), "plain file, {size}");
    }
    let copy = copy_of(node.root.path());
    let client = open(copy.path());
    let bucket = client.bucket(&BucketName::parse("stages").unwrap()).unwrap();
    for (seed, size) in sizes.into_iter().enumerate() {
        assert_eq!(get(&client, &bucket, &format!("dir/{size}")).await.unwrap(), body(seed, size), "reopened, {size}");
    }
    assert_eq!(client.usage(&bucket).objects, 7);
    assert_eq!(client.usage(&bucket).bytes, sizes.iter().sum::<usize>() as u64);
}

#[actix::test]
async fn the_whole_key_space_is_stored_and_listed_in_byte_order() {
    let node = node();
    let bucket = bucket(&node.client, "keys").await;
    let long = ["x".repeat(300), format!("{}/y", "s".repeat(300)), "k".repeat(1024)];
    let names: Vec<&str> = NASTY.into_iter().chain(long.iter().map(String::as_str)).collect();
    for reversed in [false, true] {
        let mut order = names.clone();
        if reversed {
            order.reverse();
        }
        for (seed, name) in order.iter().enumerate() {
            put(&node.client, &bucket, name, body(seed, 50 + seed)).await;
        }
        let mut sorted = names.clone();
        sorted.sort_unstable_by_key(|name| name.as_bytes());
        assert_eq!(list(&node.client, &bucket).await, sorted);
        for (seed, name) in order.iter().enumerate() {
            assert_eq!(get(&node.client, &bucket, name).await.unwrap(), body(seed, 50 + seed), "{name:?}");
        }
        let copy = crashed_copy(&node);
        let reopened = open(copy.path());
        for (seed, name) in order.iter().enumerate() {
            let read = get(&reopened, &bucket, name).await;
            assert_eq!(read.unwrap(), body(seed, 50 + seed), "replayed {name:?}");
        }
        for name in &order {
            delete(&node.client, &bucket, name).await;
        }
        assert!(list(&node.client, &bucket).await.is_empty());
    }
    node.client.delete_bucket(DeleteBucket { bucket }).await.unwrap();
    node.client.stop().await.unwrap();
    assert!(!node.root.path().join("keys").exists());
    assert!(files_below(&node.root.path().join(".myfsio.sys/buckets")).is_empty());
    assert!(files_below(&node.root.path().join(".myfsio.sys/trash")).is_empty());
}

#[actix::test]
async fn folders_follow_their_last_file() {
    let node = node();
    let bucket = bucket(&node.client, "folders").await;
    put(&node.client, &bucket, "a/b/c", body(1, 10)).await;
    put(&node.client, &bucket, "a/", Bytes::new()).await;
    delete(&node.client, &bucket, "a/b/c").await;
    put(&node.client, &bucket, "other", body(1, 10)).await;
    node.client.stop().await.unwrap();
    assert!(node.root.path().join("folders/a").is_dir());
    assert!(!node.root.path().join("folders/a/b").exists());
}

#[actix::test]
async fn a_replay_never_brings_back_what_was_overwritten_or_deleted() {
    let node = node();
    let first = bucket(&node.client, "first").await;
    put(&node.client, &first, "over", body(1, 100)).await;
    put(&node.client, &first, "over", body(2, 700_000)).await;
    put(&node.client, &first, "back", body(3, 700_000)).await;
    put(&node.client, &first, "back", body(4, 100)).await;
    put(&node.client, &first, "gone/deep", body(5, 100)).await;
    put(&node.client, &first, "gone/large", body(6, 700_000)).await;
    delete(&node.client, &first, "gone/deep").await;
    delete(&node.client, &first, "gone/large").await;
    let second = bucket(&node.client, "second").await;
    put(&node.client, &second, "x", body(7, 100)).await;
    delete(&node.client, &second, "x").await;
    node.client.delete_bucket(DeleteBucket { bucket: Arc::clone(&second) }).await.unwrap();
    let third = bucket(&node.client, "second").await;
    assert_ne!(second.id, third.id);
    put(&node.client, &third, "y", body(8, 100)).await;
    for _ in 0..2 {
        let copy = crashed_copy(&node);
        let reopened = open(copy.path());
        assert_eq!(get(&reopened, &first, "over").await.unwrap(), body(2, 700_000));
        assert_eq!(get(&reopened, &first, "back").await.unwrap(), body(4, 100));
        assert_eq!(list(&reopened, &first).await, ["back", "over"]);
        assert_eq!(list(&reopened, &third).await, ["y"]);
        assert_eq!(get(&reopened, &third, "y").await.unwrap(), body(8, 100));
        assert_eq!(reopened.usage(&first), Usage { objects: 2, bytes: 700_100, ..Usage::default() });
        reopened.stop().await.unwrap();
        let names: Vec<_> = files_below(copy.path())
            .into_iter()
            .filter_map(|p| p.strip_prefix(copy.path()).ok().map(Path::to_owned))
            .filter(|p| !p.starts_with(".myfsio.sys"))
            .collect();
        assert_eq!(names, [PathBuf::from("first/back"), "first/over".into(), "second/y".into()]);
        assert!(!copy.path().join("first/gone").exists());
    }
}

#[actix::test]
async fn a_replay_removes_the_overflow_files_of_versions_that_were_replaced() {
    for size in [100, 700_000] {
        let node = node();
        let bucket = bucket(&node.client, "replaced").await;
        let overflow = |root: &Path| files_below(&root.join(".myfsio.sys/buckets"));
        put(&node.client, &bucket, "a//b", body(1, size)).await;
        let earlier = crashed_copy(&node);
        put(&node.client, &bucket, "a//b", body(2, size)).await;
        let copy = crashed_copy(&node);
        // As if the crash had come before the files followed.
        for file in overflow(earlier.path()) {
            std::fs::copy(&file, copy.path().join(file.strip_prefix(earlier.path()).unwrap())).unwrap();
        }
        assert_eq!(overflow(copy.path()).len(), 2);
        let reopened = open(copy.path());
        assert_eq!(get(&reopened, &bucket, "a//b").await.unwrap(), body(2, size));
        assert_eq!(overflow(copy.path()).len(), 1);
    }
}

#[actix::test]
async fn the_journal_goes_round_under_sustained_writes() {
    let node = node();
    let bucket = bucket(&node.client, "round").await;
    let writers = (0..8usize).map(|writer| {
        let (client, bucket) = (node.client.clone(), Arc::clone(&bucket));
        async move {
            for n in 0..200 {
                put(&client, &bucket, &format!("{writer}/{n}"), body(writer * 100 + n, 15_000)).await;
            }
        }
    });
    futures_util::future::join_all(writers).await;
    let copy = crashed_copy(&node);
    for client in [node.client.clone(), open(copy.path())] {
        for writer in 0..8 {
            for n in 0..200 {
                let read = get(&client, &bucket, &format!("{writer}/{n}")).await.unwrap();
                assert_eq!(read, body(writer * 100 + n, 15_000));
            }
        }
        assert_eq!(client.usage(&bucket), Usage { objects: 1600, bytes: 1600 * 15_000, ..Usage::default() });
    }
}

#[actix::test]
async fn conditions_are_decided_in_the_commit() {
    let node = node();
    let bucket = bucket(&node.client, "conditions").await;
    let absent = WriteConditions { if_none_match: Some(ETagCondition::Any), ..WriteConditions::default() };
    let racers = (0..20).map(|n| try_put(&node.client, &bucket, "k", body(n, 10), absent.clone()));
    let won: Vec<_> = futures_util::future::join_all(racers).await.into_iter().filter_map(Result::ok).collect();
    assert_eq!(won.len(), 1);
    let matching =
        |etag: ETag| WriteConditions { if_match: Some(ETagCondition::OneOf(vec![etag])), ..WriteConditions::default() };
    let etag = won[0].object.etag;
    let next = try_put(&node.client, &bucket, "k", body(50, 10), matching(etag)).await.unwrap();
    let stale = try_put(&node.client, &bucket, "k", body(51, 10), matching(etag)).await;
    assert!(matches!(stale, Err(StorageError::PreconditionFailed { condition: "If-Match" })));
    let missing = try_put(&node.client, &bucket, "none", body(51, 10), matching(etag)).await;
    assert!(matches!(missing, Err(StorageError::NoSuchKey { .. })));
    let wrong_size = WriteConditions { if_match_size: Some(11), ..matching(next.object.etag) };
    let message = DeleteObject {
        bucket: bucket.clone(),
        key: key("k"),
        version: None,
        owner: owner(),
        bypass_governance: false,
        conditions: wrong_size,
        replica: None,
    };
    assert!(matches!(node.client.delete_object(message).await, Err(StorageError::PreconditionFailed { .. })));
}

#[actix::test]
async fn parts_in_any_order_sizes_and_repetition_make_their_object() {
    let node = node();
    let bucket = bucket(&node.client, "parts").await;
    // Each case: parts in order of upload as (number, size); a repeated number replaces the earlier part.
    let cases: [&[(u32, usize)]; 7] = [
        &[(1, 700_000), (2, 700_000), (3, 100)],
        &[(3, 100), (2, 700_000), (1, 700_000)],
        &[(2, 5), (1, 6), (3, 7)],
        &[(1, 1000), (2, 1000), (2, 1000), (3, 10)],
        &[(1, 1000), (2, 400), (3, 1000)],
        &[(5, 1000), (900, 1000), (10_000, 30)],
        &[(7, 123_456)],
    ];
    for (case, uploads) in cases.into_iter().enumerate() {
        let name = format!("case/{case}");
        let upload = begin(&node.client, &bucket, &name).await;
        let mut parts = std::collections::BTreeMap::new();
        for (seed, (number, size)) in uploads.iter().enumerate() {
            let bytes = body(case * 10 + seed, *size);
            let done = part(&node.client, &bucket, &upload, *number, bytes.clone()).await;
            parts.insert(*number, (done, bytes));
        }
        // A part that is left out of the list.
        part(&node.client, &bucket, &upload, 9_999, body(99, 900_000)).await;
        let expected: Vec<u8> = parts.values().flat_map(|(_, bytes)| bytes.to_vec()).collect();
        let request = completion(&bucket, &upload, parts.values().map(|(done, _)| *done).collect());
        let stored = node.client.complete_upload(request.clone()).await.unwrap();
        assert_eq!(get(&node.client, &bucket, &name).await.unwrap(), expected, "case {case}");
        let again = node.client.complete_upload(request).await.unwrap();
        assert_eq!(again.object, stored.object, "repeated, case {case}");
        let copy = crashed_copy(&node);
        let reopened = open(copy.path());
        assert_eq!(get(&reopened, &bucket, &name).await.unwrap(), expected, "replayed, case {case}");
        let kept = node.client.object_parts(&bucket, &stored.object).unwrap();
        assert_eq!(kept.len(), parts.len());
        assert_eq!(kept.last().map(|p| p.offset + p.size), Some(expected.len() as u64));
    }
    node.client.stop().await.unwrap();
    assert_eq!(std::fs::read(node.root.path().join("parts/case/2")).unwrap().len(), 18);
}

#[actix::test]
async fn an_upload_goes_on_after_a_restart_and_leaves_nothing_when_aborted() {
    let node = node();
    let bucket = bucket(&node.client, "restart").await;
    let upload = begin(&node.client, &bucket, "k").await;
    let first = part(&node.client, &bucket, &upload, 1, body(1, 500_000)).await;
    let doomed = begin(&node.client, &bucket, "doomed").await;
    part(&node.client, &bucket, &doomed, 1, body(9, 500_000)).await;
    let copy = crashed_copy(&node);
    let client = open(copy.path());
    let second = part(&client, &bucket, &upload, 2, body(2, 500_000)).await;
    client.complete_upload(completion(&bucket, &upload, vec![first, second])).await.unwrap();
    assert_eq!(get(&client, &bucket, "k").await.unwrap(), [body(1, 500_000), body(2, 500_000)].concat());
    let abort = AbortUpload { bucket: Arc::clone(&bucket), key: doomed.key.clone(), upload: doomed.id };
    client.abort_upload(abort).await.unwrap();
    client.stop().await.unwrap();
    assert_eq!(staged_leftovers(copy.path()).await, Vec::<PathBuf>::new());
}

#[actix::test]
async fn an_unfinished_body_leaves_nothing() {
    let node = node();
    let (bucket, key, owner) = (bucket(&node.client, "broken-off").await, key("k"), owner());
    let begin = |size| BeginBody { bucket: &bucket, key: &key, owner: &owner, size: Some(size) };
    let mut writer = node.client.begin_body(begin(2_000_000), DigestPlan::default(), None).unwrap();
    writer.write(body(1, 1_500_000)).await.unwrap();
    assert!(matches!(writer.finish().await, Err(StorageError::BodyUnfinished)));
    let mut writer = node.client.begin_body(begin(10), DigestPlan::default(), None).unwrap();
    assert!(matches!(writer.write(body(1, 11)).await, Err(StorageError::BodyUnfinished)));
    drop(writer);
    node.client.stop().await.unwrap();
    assert_eq!(staged_leftovers(node.root.path()).await, Vec::<PathBuf>::new());
}

#[actix::test]
async fn a_flipped_bit_is_never_served() {
    let node = node();
    let bucket = bucket(&node.client, "bits").await;
    for (name, size) in [("small", 1000), ("large", 900_000)] {
        let stored = put(&node.client, &bucket, name, body(1, size)).await;
        node.client
            .create_bucket(CreateBucket {
                name: BucketName::parse(&format!("sync-{name}")).unwrap(),
                owner: owner(),
                config: BucketConfig::default(),
            })
            .await
            .unwrap();
        let path = node.root.path().join("bits").join(name);
        while !path.exists() {
            tokio::task::yield_now().await;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        std::os::unix::fs::FileExt::write_at(&file, &[0xff; 3], 500).unwrap();
        set_time(&file, stored.object.stamp);
        assert!(matches!(get(&node.client, &bucket, name).await, Err(StorageError::Corrupt { .. })), "{name}");
    }
}

#[actix::test]
async fn a_bucket_with_a_strangers_file_is_not_deleted() {
    let node = node();
    let bucket = bucket(&node.client, "stranger").await;
    put(&node.client, &bucket, "x", body(1, 5)).await;
    delete(&node.client, &bucket, "x").await;
    std::fs::create_dir_all(node.root.path().join("stranger/sub")).unwrap();
    std::fs::write(node.root.path().join("stranger/sub/notes.txt"), "mine").unwrap();
    let refused = node.client.delete_bucket(DeleteBucket { bucket: Arc::clone(&bucket) }).await;
    let Err(StorageError::BucketNotEmpty { unknown_file: Some(file), .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(file, Path::new("sub/notes.txt"));
    std::fs::remove_file(node.root.path().join("stranger/sub/notes.txt")).unwrap();
    node.client.delete_bucket(DeleteBucket { bucket }).await.unwrap();
}

#[actix::test]
async fn a_strangers_folder_in_the_way_costs_no_object() {
    let node = node();
    let bucket = bucket(&node.client, "inway").await;
    std::fs::create_dir_all(node.root.path().join("inway/k/sub")).unwrap();
    put(&node.client, &bucket, "k", body(1, 100)).await;
    put(&node.client, &bucket, "big", body(2, 100)).await;
    for _ in 0..50 {
        assert_eq!(get(&node.client, &bucket, "k").await.unwrap(), body(1, 100));
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    put(&node.client, &bucket, "k", body(3, 100)).await;
    node.client.stop().await.unwrap();
    let copy = copy_of(node.root.path());
    let client = open(copy.path());
    assert_eq!(get(&client, &bucket, "k").await.unwrap(), body(3, 100));
    assert_eq!(files_below(&node.root.path().join(".myfsio.sys/buckets")).len(), 1, "one version, one file");
}

/// A file that a person put where the folder of many objects belongs: while the committer waits for room in the journal, each of them
/// has something to tell their rows, and together that is more than a segment.
#[actix::test]
async fn a_strangers_file_in_the_way_of_very_many_objects_ends_nothing() {
    let node = node();
    let bucket = bucket(&node.client, "inway").await;
    std::fs::create_dir_all(node.root.path().join("inway")).unwrap();
    std::fs::write(node.root.path().join("inway/folder"), b"a note").unwrap();
    let names: Vec<String> = (0..8000).map(|n| format!("folder/{0}/{0}/{n}", "x".repeat(250))).collect();
    let attributes = Attributes { content_type: Some("x".repeat(3000)), ..Attributes::default() };
    let puts = names.iter().map(|name| {
        let (client, bucket, attributes) = (&node.client, &bucket, attributes.clone());
        async move { put_as(client, bucket, name, body(1, 1), attributes).await }
    });
    futures_util::stream::iter(puts).buffer_unordered(2000).for_each(|stored| async { drop(stored.unwrap()) }).await;
    put(&node.client, &bucket, "last", body(2, 100)).await;
    assert_eq!(get(&node.client, &bucket, &names[7999]).await.unwrap(), body(1, 1));
    node.client.stop().await.unwrap();
}

#[actix::test]
async fn what_stands_in_the_way_of_a_replay_is_told_to_the_row() {
    let node = node();
    let bucket = bucket(&node.client, "inway").await;
    put(&node.client, &bucket, "k", body(1, 100)).await;
    let copy = crashed_copy(&node);
    let path = copy.path().join("inway/k");
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    std::fs::write(path.join("stranger"), b"?").unwrap();
    let client = open(copy.path());
    assert_eq!(get(&client, &bucket, "k").await.unwrap(), body(1, 100));
    put(&client, &bucket, "k", body(2, 100)).await;
    assert_eq!(get(&client, &bucket, "k").await.unwrap(), body(2, 100));
    close(client).await;
    assert_eq!(files_below(&copy.path().join(".myfsio.sys/buckets")).len(), 1, "one version, one file");
}

#[actix::test]
async fn a_name_and_time_that_reached_the_disk_before_the_bytes_fool_no_replay() {
    let node = node();
    let bucket = bucket(&node.client, "torn").await;
    let small = put(&node.client, &bucket, "small", body(1, 5000)).await;
    let large = put(&node.client, &bucket, "large", body(2, 300_000)).await;
    let copy = crashed_copy(&node);
    // What power loss may leave: the new file with its time but without its bytes; the moved file without its time.
    let torn = copy.path().join("torn/small");
    let file = std::fs::File::options().write(true).open(&torn).unwrap();
    file.set_len(100).unwrap();
    set_time(&file, small.object.stamp);
    let moved = std::fs::File::options().write(true).open(copy.path().join("torn/large")).unwrap();
    set_time(&moved, crate::names::Stamp(large.object.stamp.0 - 1_000_000));
    let reopened = open(copy.path());
    assert_eq!(get(&reopened, &bucket, "small").await.unwrap(), body(1, 5000));
    assert_eq!(get(&reopened, &bucket, "large").await.unwrap(), body(2, 300_000));
}

#[actix::test]
async fn a_reader_that_stands_still_holds_up_no_writer() {
    let node = node();
    let bucket = bucket(&node.client, "slow").await;
    let mut readers = Vec::new();
    for n in 0..1500 {
        put(&node.client, &bucket, "k", body(n, 16_000)).await;
        if n % 300 == 0 {
            readers.push((n, node.client.open_object(&bucket, &key("k"), None).await.unwrap()));
        }
    }
    for (n, reader) in readers {
        let size = reader.object.size;
        let chunk = reader.read(0..size, None).unwrap().next().await.unwrap().unwrap();
        assert_eq!(chunk, body(n, 16_000));
    }
}

#[actix::test]
async fn a_bucket_that_follows_one_of_its_name_survives_the_replay() {
    let node = node();
    let first = bucket(&node.client, "again").await;
    let wait = || async {
        let progress = &node.client.shared().progress;
        progress.wait_followed(progress.position().sequence).unwrap();
    };
    wait().await;
    std::fs::remove_dir(node.root.path().join("again")).unwrap();
    node.client.delete_bucket(DeleteBucket { bucket: first }).await.unwrap();
    let second = bucket(&node.client, "again").await;
    put(&node.client, &second, "large", body(1, 300_000)).await;
    let copy = crashed_copy(&node);
    let reopened = open(copy.path());
    assert_eq!(get(&reopened, &second, "large").await.unwrap(), body(1, 300_000));
}

#[actix::test]
async fn a_bucket_goes_with_its_uploads_and_a_taken_name_is_refused() {
    let node = node();
    let bucket = bucket(&node.client, "goes").await;
    for name in ["a", "b"] {
        let upload = begin(&node.client, &bucket, name).await;
        part(&node.client, &bucket, &upload, 1, body(1, 100_000)).await;
        part(&node.client, &bucket, &upload, 1, body(2, 100_000)).await;
    }
    node.client.delete_bucket(DeleteBucket { bucket }).await.unwrap();
    std::fs::write(node.root.path().join("taken"), "a file").unwrap();
    let name = BucketName::parse("taken").unwrap();
    let refused =
        node.client.create_bucket(CreateBucket { name, owner: owner(), config: BucketConfig::default() }).await;
    assert!(matches!(refused, Err(StorageError::NameTaken { .. })), "{refused:?}");
    node.client.stop().await.unwrap();
    assert_eq!(staged_leftovers(node.root.path()).await, Vec::<PathBuf>::new());
}
