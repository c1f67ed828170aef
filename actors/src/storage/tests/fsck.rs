//! `fsck` and `reindex`, on directories that were damaged in every way that they tell of.

use std::path::Path;
use std::sync::Arc;

use super::fixtures::*;
use crate::clock::SystemClock;
use crate::names::{CanonicalId, Stamp};
use crate::storage::*;

#[derive(Default)]
pub struct Heard(pub Vec<Finding>);

impl CheckObserver for Heard {
    fn found(&mut self, finding: &Finding) {
        self.0.push(finding.clone());
    }

    fn progress(&mut self, _: CheckProgress) {}
}

pub fn run(root: &Path, mend: Mend, data: bool) -> (Checked, Vec<Finding>) {
    let mut heard = Heard::default();
    let options = CheckOptions { mend, data, bucket: None };
    let checked = unlocked(|| fsck::fsck(&settings(root), Arc::new(SystemClock), &options, &mut heard));
    assert_eq!(checked.differences, heard.0.len() as u64);
    (checked, heard.0)
}

/// Why something is refused.
fn refusal(mut open: impl FnMut() -> Result<(), StorageError>) -> StorageError {
    unlocked(|| match open() {
        Err(StorageError::Io { source, .. }) if source.kind() == std::io::ErrorKind::ResourceBusy => {
            Err(StorageError::io("open", "the root", source))
        }
        other => Ok(other.unwrap_err()),
    })
}

fn names(findings: &[Finding]) -> Vec<(&'static str, &str)> {
    let mut names: Vec<_> = findings.iter().map(|f| (f.difference.name(), f.place.as_str())).collect();
    names.sort_unstable();
    names
}

pub fn rebuild(root: &Path) -> Vec<Finding> {
    let mut heard = Heard::default();
    let other = CanonicalId::from_bytes([9; 32]);
    unlocked(|| fsck::reindex(&settings(root), Arc::new(SystemClock), &other, &mut heard));
    heard.0
}

/// A bucket of every kind of object; answers what each holds.
async fn filled(node: &Node) -> (Arc<Bucket>, Vec<(String, Vec<u8>)>) {
    let bucket = bucket(&node.client, "filled").await;
    let mut objects = Vec::new();
    for (name, size) in [
        ("a", 0),
        ("b/c", 100),
        ("large", 300_000),
        ("b//odd", 50),
        ("../up", 30_000),
        ("dir/", 0),
        ("dir/full/", 7),
        ("a/", 0),
        ("a//", 0),
    ] {
        put(&node.client, &bucket, name, body(size, size)).await;
        objects.push((name.to_owned(), body(size, size).to_vec()));
    }
    for (name, sizes) in [("even", vec![40_000, 40_000, 9]), ("uneven", vec![20_000, 70_000])] {
        let upload = begin(&node.client, &bucket, name).await;
        let (mut parts, mut whole) = (Vec::new(), Vec::new());
        for (number, size) in (1..).zip(sizes) {
            parts.push(part(&node.client, &bucket, &upload, number, body(number as usize, size)).await);
            whole.extend_from_slice(&body(number as usize, size));
        }
        node.client.complete_upload(completion(&bucket, &upload, parts)).await.unwrap();
        objects.push((name.to_owned(), whole));
    }
    let open = begin(&node.client, &bucket, "open").await;
    part(&node.client, &bucket, &open, 1, body(3, 30_000)).await;
    objects.sort();
    (bucket, objects)
}

async fn expect(client: &StorageClient, bucket: &Arc<Bucket>, objects: &[(String, Vec<u8>)]) {
    let wanted: Vec<_> = objects.iter().map(|(name, _)| name.clone()).collect();
    assert_eq!(list(client, bucket).await, wanted);
    for (name, bytes) in objects {
        assert_eq!(get(client, bucket, name).await.unwrap(), *bytes, "{name}");
    }
    let usage = client.usage(bucket);
    let bytes = objects.iter().map(|(_, bytes)| bytes.len() as u64).sum();
    assert_eq!((usage.objects, usage.bytes), (objects.len() as u64, bytes));
}

#[actix::test]
async fn a_sound_directory_has_no_differences() {
    let node = node();
    let (bucket, objects) = filled(&node).await;
    let copy = crashed_copy(&node);
    let stopped = stop(node).await;
    for root in [stopped.path(), copy.path()] {
        let (checked, findings) = run(root, Mend::Nothing, true);
        assert_eq!(findings, []);
        assert_eq!((checked.buckets, checked.objects, checked.uploads, checked.parts), (1, 11, 1, 1));
        let (_, findings) = run(root, Mend::FromFiles, true);
        assert_eq!(findings, []);
        let reopened = open(root);
        expect(&reopened, &bucket, &objects).await;
        close(reopened).await;
    }
}

#[actix::test]
async fn damage_is_named_and_what_has_one_answer_is_mended() {
    let node = node();
    let (bucket, mut objects) = filled(&node).await;
    let stopped = stop(node).await;
    let root = stopped.path();
    let file = |name: &str| root.join("filled").join(name);
    std::fs::write(file("b/c"), b"edited").unwrap();
    std::fs::File::options().write(true).open(file("a")).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
    let time = std::fs::metadata(file("even")).unwrap().modified().unwrap();
    let even = std::fs::File::options().write(true).open(file("even")).unwrap();
    std::os::unix::fs::FileExt::write_at(&even, b"!", 1000).unwrap();
    even.set_modified(time).unwrap();
    std::fs::remove_file(file("large")).unwrap();
    std::fs::write(file("stranger"), b"new here").unwrap();
    let orphan = root.join(".myfsio.sys/buckets/1/overflow/ab/nobody");
    std::fs::create_dir_all(orphan.parent().unwrap()).unwrap();
    std::fs::write(&orphan, b"?").unwrap();
    std::fs::create_dir(root.join("another")).unwrap();

    let found = [
        ("damaged-file", "filled/even"),
        ("edited-file", "filled/b/c"),
        ("missing-file", "filled/large"),
        ("orphan-file", ".myfsio.sys/buckets/1/overflow/ab/nobody"),
        ("unknown-file", "filled/stranger"),
        ("unknown-folder", "another"),
        ("wrong-time", "filled/a"),
    ];
    let (_, findings) = run(root, Mend::Nothing, true);
    assert_eq!(names(&findings), found);
    assert!(findings.iter().all(|finding| !finding.mended));
    let (_, findings) = run(root, Mend::Nothing, false);
    assert_eq!(names(&findings), found[1..], "nothing was changed");

    let (checked, findings) = run(root, Mend::Safely, true);
    assert_eq!(names(&findings), found);
    assert_eq!(checked.mended, 3);
    let aside = std::fs::read_dir(root.join(".myfsio.sys/lost+found")).unwrap().next().unwrap().unwrap().file_name();
    assert!(aside.to_str().unwrap().starts_with("buckets-1-overflow-ab-nobody-"), "{aside:?}");
    let (_, findings) = run(root, Mend::Nothing, false);
    assert_eq!(names(&findings), [found[2], found[4], found[5]]);

    let (_, findings) = run(root, Mend::FromFiles, false);
    assert_eq!(names(&findings), [found[2], found[4], found[5]]);
    let (_, findings) = run(root, Mend::Nothing, false);
    assert_eq!(names(&findings), [found[5]]);
    objects.retain(|(name, _)| name != "large");
    objects.push(("stranger".to_owned(), b"new here".to_vec()));
    objects.sort();
    objects.iter_mut().filter(|(name, _)| name == "b/c").for_each(|(_, bytes)| *bytes = b"edited".to_vec());
    let reopened = open(root);
    let damaged: Vec<_> = objects.iter().filter(|(name, _)| name == "even").cloned().collect();
    assert!(matches!(get(&reopened, &bucket, "even").await, Err(StorageError::Corrupt { .. })));
    put(&reopened, &bucket, "even", damaged[0].1.clone().into()).await;
    expect(&reopened, &bucket, &objects).await;
}

/// Changes rows behind the node's back.
pub fn tamper(root: &Path, changes: &[index::RowChange]) {
    let disk = unlocked(|| disk::Disk::open(root, true).map_err(|e| StorageError::io("open", root, e)));
    let opened = opened::Opened::new(disk, &settings(root), recovery::Holes::Refuse).unwrap();
    opened.rows.index.checkpoint(changes).unwrap();
}

#[actix::test]
async fn rows_that_agree_with_nothing_are_named_and_mended() {
    let node = node();
    let (bucket, objects) = filled(&node).await;
    let upload = begin(&node.client, &bucket, "x").await;
    let stopped = stop(node).await;
    let root = stopped.path();
    let gone = crate::names::BucketId(77);
    let wrong = rows::UsageRow { objects: 1, bytes: 2, ..rows::UsageRow::default() };
    let row = |bytes: Vec<u8>| Some(Arc::from(bytes));
    let part = rows::PartRow {
        stamp: 1,
        size: 5,
        md5: [0; 16],
        crc64nvme: 0,
        checksum_algorithm: None,
        checksum: Vec::new(),
        file: "nowhere".to_owned(),
        offset: 0,
        grid: None,
        left_grid: None,
        sealed: None,
        damaged: None,
    };
    let number = crate::names::PartNumber::new(1).unwrap();
    let lost = crate::names::UploadId { stamp: Stamp(5), random: 5 };
    tamper(
        root,
        &[
            (keys::usage(bucket.id), row(rows::encode(&wrong).unwrap())),
            (keys::object(gone, b"of no bucket"), row(vec![0])),
            (keys::part_list(bucket.id, Stamp(3)), row(rows::encode(&rows::PartListRow::of(&[])).unwrap())),
            (keys::part(bucket.id, lost, number), row(rows::encode(&part).unwrap())),
            (keys::part(bucket.id, upload.id, number), row(rows::encode(&part).unwrap())),
            (keys::object(bucket.id, b"unreadable"), row(vec![0xff])),
            (b"Zodiac".to_vec(), row(vec![1])),
        ],
    );
    let (_, findings) = run(root, Mend::Safely, false);
    let kinds: Vec<_> = names(&findings).into_iter().map(|(kind, _)| kind).collect();
    let expected = [
        "missing-part",
        "missing-part",
        "orphan-row",
        "orphan-row",
        "orphan-row",
        "unreadable-row",
        "unreadable-row",
        "wrong-counters",
    ];
    assert_eq!(kinds, expected);
    let (_, findings) = run(root, Mend::Nothing, false);
    let kinds: Vec<_> = names(&findings).into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, ["missing-part", "unreadable-row", "unreadable-row"]);
    tamper(root, &[(keys::object(bucket.id, b"unreadable"), None), (b"Zodiac".to_vec(), None)]);
    let reopened = open(root);
    expect(&reopened, &bucket, &objects).await;
}

#[actix::test]
async fn the_index_comes_back_from_the_files_alone() {
    let node = node();
    let (bucket, objects) = filled(&node).await;
    let mut attributes = Vec::new();
    for (name, _) in &objects {
        attributes.push(node.client.object(&bucket, &key(name), None).await.unwrap());
    }
    let copy = crashed_copy(&node);
    let stopped = stop(node).await;
    let keep_index = copy_of(stopped.path());
    for (root, spoil, has_upload) in [
        (keep_index.path(), None, true),
        (stopped.path(), Some(b"".as_slice()), false),
        (copy.path(), Some(b"this is no index".as_slice()), true),
    ] {
        if let Some(bytes) = spoil {
            std::fs::write(root.join(".myfsio.sys/index.redb"), bytes).unwrap();
            let start = StorageClient::start(&settings(root), Arc::new(SystemClock));
            assert!(start.is_err(), "an index that is gone must not be taken for an empty one");
        }
        if !has_upload {
            std::fs::remove_dir_all(root.join(".myfsio.sys/journal")).unwrap();
        }
        std::fs::write(root.join("filled/stranger"), b"adopted").unwrap();
        assert_eq!(rebuild(root), [], "{spoil:?}, {has_upload}");
        let (_, findings) = run(root, Mend::Nothing, true);
        assert_eq!(findings, []);
        let reopened = open(root);
        let found = reopened.bucket(&bucket.name).unwrap();
        assert_eq!(found, bucket);
        let mut wanted = objects.clone();
        // Empty objects that have no folder, since a file or another is in their way, are known to index and journal alone.
        wanted.retain(|(name, _)| has_upload || !name.starts_with("a/"));
        wanted.push(("stranger".to_owned(), b"adopted".to_vec()));
        wanted.sort();
        expect(&reopened, &found, &wanted).await;
        for ((name, _), before) in objects.iter().zip(&attributes) {
            if !wanted.iter().any(|(wanted, _)| wanted == name) {
                continue;
            }
            assert_eq!(reopened.object(&found, &key(name), None).await.unwrap(), *before, "{name}");
        }
        let even = reopened.object(&found, &key("even"), None).await.unwrap();
        let sizes: Vec<_> = reopened.object_parts(&found, &even).unwrap().iter().map(|part| part.size).collect();
        assert_eq!(sizes, [40_000, 40_000, 9]);
        let uploads = ListUploads {
            bucket: Arc::clone(&found),
            prefix: String::new(),
            delimiter: None,
            key_after: None,
            upload_after: None,
            limit: 10,
        };
        assert_eq!(!reopened.list_uploads(uploads).await.unwrap().entries.is_empty(), has_upload);
        put(&reopened, &found, "and/on", body(1, 10)).await;
        close(reopened).await;
        assert_eq!(run(root, Mend::Nothing, true).1, []);
    }
}

#[actix::test]
async fn a_folder_of_files_becomes_a_bucket() {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(root.path().join("photos/2024")).unwrap();
    std::fs::write(root.path().join("photos/2024/a.jpg"), b"jpg").unwrap();
    assert_eq!(rebuild(root.path()), []);
    let client = open(root.path());
    let bucket = client.buckets().into_iter().next().unwrap();
    assert_eq!((bucket.name.as_str(), &bucket.owner), ("photos", &CanonicalId::from_bytes([9; 32])));
    assert_eq!(get(&client, &bucket, "2024/a.jpg").await.unwrap(), b"jpg");
}

#[actix::test]
async fn a_hole_in_the_journal_is_told_and_what_lies_behind_it_is_kept() {
    let node = node();
    let bucket = bucket(&node.client, "holes").await;
    put(&node.client, &bucket, "before", body(1, 100)).await;
    put(&node.client, &bucket, "hit", body(2, 5000)).await;
    put(&node.client, &bucket, "behind/small", body(3, 100)).await;
    put(&node.client, &bucket, "behind/large", body(4, 100_000)).await;
    let copy = crashed_copy(&node);
    let root = copy.path();
    let segment = root.join(".myfsio.sys/journal/segment-0");
    let mut bytes = std::fs::read(&segment).unwrap();
    let hit = body(2, 5000);
    let at = bytes.windows(100).position(|window| window == &hit[..100]).expect("the body is in the journal");
    bytes[at] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    assert!(StorageClient::start(&settings(root), Arc::new(SystemClock)).is_err());
    let (_, findings) = run(root, Mend::Safely, false);
    let mut lost: Vec<_> = findings.iter().filter(|f| f.difference == Difference::JournalHole).collect();
    lost.sort_by(|a, b| a.place.cmp(&b.place));
    assert_eq!(lost.iter().map(|f| f.place.as_str()).collect::<Vec<_>>(), ["holes/behind/large", "holes/behind/small"]);
    let kept = std::fs::read_dir(root.join(".myfsio.sys/lost+found")).unwrap().next().unwrap().unwrap().path();
    assert!(kept.join("segment-0").metadata().unwrap().len() > 0);
    let client = open(root);
    assert_eq!(get(&client, &bucket, "before").await.unwrap(), body(1, 100));
    assert!(matches!(get(&client, &bucket, "behind/small").await, Err(StorageError::NoSuchKey { .. })));
}

#[actix::test]
async fn a_journal_that_was_cut_is_told_and_goes_on_only_when_asked_to() {
    for (number, bytes) in [(3, 0), (2, 100), (0, 8192)] {
        let node = node();
        let bucket = bucket(&node.client, "cut").await;
        put(&node.client, &bucket, "first", body(1, 100)).await;
        put(&node.client, &bucket, "second", body(2, 100)).await;
        let copy = crashed_copy(&node);
        let root = copy.path();
        let segment = root.join(format!(".myfsio.sys/journal/segment-{number}"));
        let whole = segment.metadata().unwrap().len();
        std::fs::File::options().write(true).open(&segment).unwrap().set_len(bytes).unwrap();
        let refused = refusal(|| StorageClient::start(&settings(root), Arc::new(SystemClock)).map(drop)).to_string();
        assert!(refused.contains("was cut") && refused.contains("fsck --repair"), "{refused}");
        let options = CheckOptions { mend: Mend::Nothing, data: false, bucket: None };
        let check = || fsck::fsck(&settings(root), Arc::new(SystemClock), &options, &mut Heard::default()).map(drop);
        assert!(matches!(refusal(check), StorageError::Unavailable { .. }));
        // No index is thrown away for a journal.
        let other = CanonicalId::from_bytes([9; 32]);
        let rebuild = || fsck::reindex(&settings(root), Arc::new(SystemClock), &other, &mut Heard::default()).map(drop);
        assert!(matches!(refusal(rebuild), StorageError::Unavailable { .. }));
        assert_eq!(segment.metadata().unwrap().len(), bytes);
        let (_, findings) = run(root, Mend::Safely, false);
        let told: Vec<_> = findings.iter().filter(|f| f.difference == Difference::JournalHole).collect();
        assert!(matches!(told[..], [told] if told.detail.contains(&format!("segment-{number}"))), "{told:?}");
        let kept = std::fs::read_dir(root.join(".myfsio.sys/lost+found")).unwrap().next().unwrap().unwrap().path();
        assert_eq!(kept.join(format!("segment-{number}")).metadata().unwrap().len(), bytes);
        let client = open(root);
        let found = client.bucket(&bucket.name).unwrap();
        if number > 0 {
            assert_eq!(get(&client, &found, "second").await.unwrap(), body(2, 100), "it stands in another segment");
        }
        put(&client, &found, "third", body(3, 100)).await;
        assert_eq!(segment.metadata().unwrap().len(), whole);
        close(client).await;
    }
}

#[actix::test]
async fn a_journal_of_which_a_file_is_gone_is_missed_after_a_kill_only() {
    let all = ["salt", "segment-0", "segment-1", "segment-2", "segment-3"];
    for gone in [&all[..1], &all[1..2], &all[3..4], &all[1..], &all[..]] {
        let node = node();
        let bucket = bucket(&node.client, "gone").await;
        put(&node.client, &bucket, "first", body(1, 100)).await;
        let copy = crashed_copy(&node);
        let root = copy.path();
        let lose = || {
            gone.iter().for_each(|name| std::fs::remove_file(root.join(".myfsio.sys/journal").join(name)).unwrap());
        };
        lose();
        for _ in 0..2 {
            let start = || StorageClient::start(&settings(root), Arc::new(SystemClock)).map(drop);
            let refused = refusal(start).to_string();
            let told = format!("{} is not there", gone[0]);
            assert!(refused.contains(&told) && refused.contains("fsck --repair"), "{refused}");
        }
        let options = CheckOptions { mend: Mend::Nothing, data: false, bucket: None };
        let check = || fsck::fsck(&settings(root), Arc::new(SystemClock), &options, &mut Heard::default()).map(drop);
        assert!(matches!(refusal(check), StorageError::Unavailable { .. }));
        let other = CanonicalId::from_bytes([9; 32]);
        let rebuild = || fsck::reindex(&settings(root), Arc::new(SystemClock), &other, &mut Heard::default()).map(drop);
        assert!(matches!(refusal(rebuild), StorageError::Unavailable { .. }));
        let (_, findings) = run(root, Mend::Safely, false);
        let told: Vec<_> = findings.iter().filter(|f| f.difference == Difference::JournalHole).collect();
        assert!(matches!(told[..], [told] if told.mended && told.detail.contains(gone[0])), "{findings:?}");
        // What was mended needs no journal, nor does what was stopped.
        for _ in 0..2 {
            let client = open(root);
            if let Ok(found) = client.bucket(&bucket.name) {
                put(&client, &found, "more", body(2, 100)).await;
            }
            close(client).await;
            lose();
            assert_eq!(
                run(root, Mend::Nothing, false).1.iter().filter(|f| f.difference == Difference::JournalHole).count(),
                0
            );
        }
        let stopped = stop(node).await;
        gone.iter()
            .for_each(|name| std::fs::remove_file(stopped.path().join(".myfsio.sys/journal").join(name)).unwrap());
        let client = open(stopped.path());
        let found = client.bucket(&bucket.name).unwrap();
        assert_eq!(get(&client, &found, "first").await.unwrap(), body(1, 100));
    }
}

/// The row of an object in a directory that nobody has open.
fn row_of(root: &Path, bucket: &Bucket, name: &str) -> Vec<u8> {
    let disk = unlocked(|| disk::Disk::open(root, true).map_err(|e| StorageError::io("open", root, e)));
    let opened = opened::Opened::new(disk, &settings(root), recovery::Holes::Refuse).unwrap();
    let row = overlay::Rows::get(&opened.rows, &keys::object(bucket.id, name.as_bytes())).unwrap().unwrap();
    row.to_vec()
}

/// A plain object with metadata.
async fn described(client: &StorageClient, bucket: &Arc<Bucket>, name: &str) {
    let attributes = Attributes {
        content_type: Some("text/plain".to_owned()),
        user_metadata: vec![("colour".to_owned(), "green".to_owned())],
        ..Attributes::default()
    };
    put_as(client, bucket, name, body(7, 300), attributes).await.unwrap();
}

#[actix::test]
async fn whatever_bit_of_a_row_flips_is_told() {
    let node = node();
    let bucket = bucket(&node.client, "bits").await;
    described(&node.client, &bucket, "first").await;
    let root = stop(node).await;
    let bits = row_of(root.path(), &bucket, "first").len() * 8;
    let client = open(root.path());
    for bit in 0..bits {
        described(&client, &bucket, &format!("{bit:04}")).await;
    }
    close(client).await;
    let mut flipped = Vec::new();
    let disk = unlocked(|| disk::Disk::open(root.path(), true).map_err(|e| StorageError::io("open", root.path(), e)));
    let opened = opened::Opened::new(disk, &settings(root.path()), recovery::Holes::Refuse).unwrap();
    let (mut changes, mut harmless) = (Vec::new(), Vec::new());
    for bit in 0..bits {
        let name = format!("{bit:04}");
        let row_key = keys::object(bucket.id, name.as_bytes());
        let mut row = overlay::Rows::get(&opened.rows, &row_key).unwrap().unwrap().to_vec();
        let before: rows::ObjectRow = rows::decode(&row).unwrap();
        let last = row.len() - 1;
        row[(bit / 8).min(last)] ^= 1 << (bit % 8);
        if rows::decode::<rows::ObjectRow>(&row).is_ok_and(|after| after == before) {
            harmless.push(name.clone());
        }
        flipped.push((name, hex::encode(&row_key)));
        changes.push((row_key, Some(Arc::from(row))));
    }
    opened.rows.index.checkpoint(&changes).unwrap();
    drop(opened);
    let (_, findings) = run(root.path(), Mend::Nothing, false);
    let is_told = |name: &str, row_key: &str| {
        findings.iter().any(|finding| finding.place == format!("bits/{name}") || finding.place == row_key)
    };
    let silent: Vec<_> =
        flipped.iter().filter(|(name, row_key)| !is_told(name, row_key)).map(|(name, _)| name).collect();
    assert!(silent.iter().all(|name| harmless.contains(name)), "{silent:?}, {harmless:?}");
    assert!(harmless.len() < 16, "{harmless:?}");
    assert!(findings.iter().all(|finding| finding.place != "bits/first"), "{findings:?}");
}

#[actix::test]
async fn where_row_and_tag_differ_nothing_is_mended() {
    let node = node();
    let there = bucket(&node.client, "differ").await;
    for name in ["plain", "over//flow", "bad", "none", "touched", "large"] {
        described(&node.client, &there, name).await;
    }
    node.client.shared().progress.wait_followed(node.client.shared().progress.position().sequence).unwrap();
    let tag = |name: &str, value: &str| ChangeObject {
        bucket: Arc::clone(&there),
        key: key(name),
        version: None,
        of: None,
        change: ObjectChange::Tags(vec![("k".to_owned(), value.to_owned())]),
        replica: None,
    };
    // What was changed since the object was put stands in both; but for a file that had another time then, until it is looked at.
    let touched = std::fs::File::options().write(true).open(node.root.path().join("differ/touched")).unwrap();
    set_time(&touched, Stamp(1_600_000_000_000_000_000));
    for name in ["plain", "over//flow", "touched"] {
        node.client.change_object(tag(name, "v")).await.unwrap();
    }
    get(&node.client, &there, "touched").await.unwrap();
    node.client.change_object(tag("large", &"v".repeat(3500))).await.unwrap();
    let stopped = stop(node).await;
    let root = stopped.path();
    let file = |name: &str| std::fs::File::open(root.join("differ").join(name)).unwrap();
    rustix::fs::fremovexattr(file("none"), "user.myfsio").unwrap();
    assert_eq!(run(root, Mend::Nothing, true).1, []);
    rustix::fs::fsetxattr(file("bad"), "user.myfsio", b"\xff", rustix::fs::XattrFlags::empty()).unwrap();
    let mut changes = Vec::new();
    for name in ["plain", "over//flow"] {
        let mut row: rows::ObjectRow = rows::decode(&row_of(root, &there, name)).unwrap();
        row.attributes.as_mut().unwrap().tags = Some(vec![("k".to_owned(), "w".to_owned())]);
        changes.push((keys::object(there.id, name.as_bytes()), Some(Arc::from(rows::encode(&row).unwrap()))));
    }
    tamper(root, &changes);
    let told = [("differing-tag", "differ/over//flow"), ("differing-tag", "differ/plain")];
    for (mend, more) in [(Mend::Nothing, true), (Mend::Safely, true), (Mend::Safely, false), (Mend::FromFiles, false)] {
        let (_, findings) = run(root, mend, true);
        let mut wanted = told.to_vec();
        wanted.extend(more.then_some(("wrong-tag", "differ/bad")));
        assert_eq!(names(&findings), wanted, "{mend:?}");
        assert!(findings.iter().all(|f| f.mended == (f.place == "differ/bad" && mend == Mend::Safely)), "{findings:?}");
    }
    // Who says what is right has it in both.
    let client = open(root);
    for name in ["plain", "over//flow"] {
        client.change_object(tag(name, "x")).await.unwrap();
    }
    close(client).await;
    assert_eq!(run(root, Mend::Nothing, true).1, []);
}

#[actix::test]
async fn a_time_that_flipped_in_a_row_is_not_given_to_its_file() {
    let node = node();
    let bucket = bucket(&node.client, "times").await;
    described(&node.client, &bucket, "a").await;
    let stopped = stop(node).await;
    let root = stopped.path();
    let mut row: rows::ObjectRow = rows::decode(&row_of(root, &bucket, "a")).unwrap();
    row.stamp ^= 1 << 40;
    tamper(root, &[(keys::object(bucket.id, b"a"), Some(Arc::from(rows::encode(&row).unwrap())))]);
    let before = std::fs::metadata(root.join("times/a")).unwrap().modified().unwrap();
    let (_, findings) = run(root, Mend::Safely, false);
    assert!(names(&findings).contains(&("differing-tag", "times/a")), "{findings:?}");
    assert!(!names(&findings).contains(&("wrong-time", "times/a")), "{findings:?}");
    assert_eq!(std::fs::metadata(root.join("times/a")).unwrap().modified().unwrap(), before);
}

/// Whatever page of the index is lost: a check says so and goes on living, and the files give all of it back.
#[actix::test]
async fn a_lost_page_of_the_index_is_no_dead_end() {
    let node = node();
    let bucket = bucket(&node.client, "pages").await;
    let mut wanted = Vec::new();
    for n in 0..150 {
        let name = format!("folder{}/object-{n:04}", n % 7);
        put(&node.client, &bucket, &name, body(n, 200)).await;
        wanted.push((name, body(n, 200).to_vec()));
    }
    wanted.sort();
    let stopped = stop(node).await;
    let root = stopped.path();
    let path = root.join(".myfsio.sys/index.redb");
    let whole = std::fs::read(&path).unwrap();
    let mut refused = 0;
    for page in whole.chunks(4096).enumerate().filter(|(_, page)| page.iter().any(|byte| *byte != 0)).map(|(n, _)| n) {
        let mut damaged = whole.clone();
        damaged[page * 4096..][..4096].fill(0);
        std::fs::write(&path, &damaged).unwrap();
        let options = CheckOptions { mend: Mend::Nothing, data: false, bucket: None };
        let check = || fsck::fsck(&settings(root), Arc::new(SystemClock), &options, &mut Heard::default());
        let checked = unlocked(|| match check() {
            Err(error @ StorageError::Io { .. }) if error.to_string().contains("another process") => Err(error),
            other => Ok(other),
        });
        refused += u32::from(checked.is_err());
        std::fs::write(&path, &damaged).unwrap();
        rebuild(root);
        let client = open(root);
        let found = client.bucket(&bucket.name).unwrap();
        expect(&client, &found, &wanted).await;
        close(client).await;
    }
    assert!(refused > 3, "{refused}");
}

/// The journal still holds steps that were done long ago: they must not be done again to what came later.
#[actix::test]
async fn a_new_index_does_nothing_of_the_journal_twice() {
    let node = node();
    let first = bucket(&node.client, "again").await;
    put(&node.client, &first, "old", body(1, 100_000)).await;
    put(&node.client, &first, "back", body(1, 100)).await;
    put(&node.client, &first, "edited", body(1, 100)).await;
    for name in ["old", "back", "edited"] {
        delete(&node.client, &first, name).await;
    }
    node.client.delete_bucket(DeleteBucket { bucket: first }).await.unwrap();
    let bucket = bucket(&node.client, "again").await;
    put(&node.client, &bucket, "large", body(2, 100_000)).await;
    put(&node.client, &bucket, "edited", body(2, 100)).await;
    put(&node.client, &bucket, "back", body(2, 100)).await;
    delete(&node.client, &bucket, "back").await;
    let stopped = stop(node).await;
    let root = stopped.path();
    std::fs::remove_file(root.join(".myfsio.sys/index.redb")).unwrap();
    std::fs::write(root.join("again/edited"), b"by hand").unwrap();
    std::fs::write(root.join("again/back"), b"put there again").unwrap();
    rebuild(root);
    let client = open(root);
    let found = client.bucket(&bucket.name).unwrap();
    assert_eq!(found, bucket);
    let wanted = [
        ("back".to_owned(), b"put there again".to_vec()),
        ("edited".to_owned(), b"by hand".to_vec()),
        ("large".to_owned(), body(2, 100_000).to_vec()),
    ];
    expect(&client, &found, &wanted).await;
}

#[actix::test]
async fn a_copied_file_is_an_object_of_its_own() {
    let node = node();
    let bucket = bucket(&node.client, "copies").await;
    put(&node.client, &bucket, "a", body(1, 100)).await;
    let stopped = stop(node).await;
    let root = stopped.path();
    let copied =
        std::process::Command::new("cp").arg("-a").arg(root.join("copies/a")).arg(root.join("copies/b")).status();
    assert!(copied.unwrap().success());
    for spoil in [false, true] {
        if spoil {
            std::fs::remove_file(root.join(".myfsio.sys/index.redb")).unwrap();
        }
        assert_eq!(rebuild(root), []);
        let client = open(root);
        let found = client.bucket(&bucket.name).unwrap();
        let [a, b] = ["a", "b"].map(key);
        let [a, b] = [client.object(&found, &a, None).await.unwrap(), client.object(&found, &b, None).await.unwrap()];
        assert_ne!(a.stamp, b.stamp);
        assert_eq!(a.etag, b.etag);
        close(client).await;
    }
}
