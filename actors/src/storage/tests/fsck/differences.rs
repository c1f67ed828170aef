//! What a check finds: nothing where all is sound, and each difference by its name, mended where there is one answer.

use std::sync::Arc;

use super::super::fixtures::*;
use super::{described, expect, filled, names, row_of, run, tamper};
use crate::names::Stamp;
use crate::storage::*;

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
