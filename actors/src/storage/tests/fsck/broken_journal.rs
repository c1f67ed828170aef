//! Journals with a hole, cut short, or of which files are gone.

use std::sync::Arc;

use super::super::fixtures::*;
use super::{Heard, refusal, run};
use crate::clock::SystemClock;
use crate::names::CanonicalId;
use crate::storage::*;

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
