//! Files that a person edits, or puts into a bucket's folder, while the node runs.

use std::io::Write as _;

use super::fixtures::*;
use crate::names::ETag;
use crate::storage::*;

/// Waits until files have followed, so that a person sees them.
fn settle(node: &Node) {
    let progress = &node.client.shared().progress;
    progress.wait_followed(progress.position().sequence).unwrap();
}

#[actix::test]
async fn an_edited_file_is_the_object_from_then_on() {
    let node = node();
    let bucket = bucket(&node.client, "edited").await;
    for (name, size) in [("small", 100), ("d/large", 300_000)] {
        let before = put(&node.client, &bucket, name, body(1, size)).await;
        settle(&node);
        let path = node.root.path().join("edited").join(name);
        std::fs::File::options().append(true).open(&path).unwrap().write_all(b"and more").unwrap();
        let wanted = [&body(1, size)[..], b"and more"].concat();

        let looked = node.client.object(&bucket, &key(name), None).await.unwrap();
        assert_eq!(looked.size, wanted.len() as u64);
        assert_eq!(looked.etag, ETag::single(md5_of(&wanted)));
        assert!(looked.stamp > before.object.stamp);
        assert_eq!(looked.attributes, before.object.attributes, "what was said about it stays");
        assert_eq!(get(&node.client, &bucket, name).await.unwrap(), wanted);
        assert_eq!(std::fs::read(&path).unwrap(), wanted);
        settle(&node);
        let time = std::fs::metadata(&path).unwrap().modified().unwrap();
        assert_eq!(crate::names::Stamp::from_system_time(time), looked.stamp);
    }
    let usage = node.client.usage(&bucket);
    assert_eq!((usage.objects, usage.bytes), (2, 300_100 + 16));
    let copy = crashed_copy(&node);
    let reopened = open(copy.path());
    assert_eq!(get(&reopened, &bucket, "small").await.unwrap().len(), 108);
    assert_eq!(reopened.usage(&bucket), usage);
}

#[actix::test]
async fn a_file_that_was_only_touched_keeps_its_row() {
    let node = node();
    let bucket = bucket(&node.client, "touched").await;
    let stored = put(&node.client, &bucket, "k", body(1, 50_000)).await;
    settle(&node);
    let path = node.root.path().join("touched/k");
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    file.set_modified(std::time::SystemTime::now()).unwrap();
    assert_eq!(node.client.object(&bucket, &key("k"), None).await.unwrap(), stored.object);
    assert_eq!(get(&node.client, &bucket, "k").await.unwrap(), body(1, 50_000));
    settle(&node);
    let time = std::fs::metadata(&path).unwrap().modified().unwrap();
    assert_eq!(crate::names::Stamp::from_system_time(time), stored.object.stamp);
}

#[actix::test]
async fn a_removed_file_is_an_error_until_its_key_is_written_again() {
    let node = node();
    let bucket = bucket(&node.client, "removed").await;
    put(&node.client, &bucket, "k", body(1, 10)).await;
    settle(&node);
    std::fs::remove_file(node.root.path().join("removed/k")).unwrap();
    assert!(matches!(get(&node.client, &bucket, "k").await, Err(StorageError::Corrupt { .. })));
    assert!(matches!(node.client.object(&bucket, &key("k"), None).await, Err(StorageError::Corrupt { .. })));
    put(&node.client, &bucket, "k", body(2, 10)).await;
    assert_eq!(get(&node.client, &bucket, "k").await.unwrap(), body(2, 10));
}

#[actix::test]
async fn files_that_a_person_put_there_become_objects() {
    let node = node();
    let bucket = bucket(&node.client, "adopts").await;
    put(&node.client, &bucket, "known/a", body(1, 10)).await;
    put(&node.client, &bucket, "edited", body(1, 10)).await;
    put(&node.client, &bucket, "gone", body(1, 10)).await;
    delete(&node.client, &bucket, "gone").await;
    settle(&node);
    let root = node.root.path().join("adopts");
    std::fs::create_dir_all(root.join("new/deep")).unwrap();
    std::fs::write(root.join("new/deep/x"), b"from outside").unwrap();
    std::fs::write(root.join("new/empty"), b"").unwrap();
    std::fs::write(root.join("edited"), b"other bytes").unwrap();
    std::os::unix::fs::symlink("/etc/passwd", root.join("link")).unwrap();
    use std::os::unix::ffi::OsStrExt as _;
    std::fs::write(root.join(std::ffi::OsStr::from_bytes(b"not-\xff-text")), b"x").unwrap();

    let adopted = node.client.adopt_files(&bucket).await.unwrap();
    assert_eq!((adopted.adopted, adopted.bytes), (2, 12));
    assert_eq!((adopted.changed, adopted.mended, adopted.known), (1, 0, 1));
    assert_eq!(adopted.skipped, 2, "{adopted:?}");
    assert_eq!(list(&node.client, &bucket).await, ["edited", "known/a", "new/deep/x", "new/empty"]);
    assert_eq!(get(&node.client, &bucket, "new/deep/x").await.unwrap(), b"from outside");
    assert_eq!(get(&node.client, &bucket, "edited").await.unwrap(), b"other bytes");
    assert_eq!(get(&node.client, &bucket, "new/empty").await.unwrap(), b"");
    let usage = node.client.usage(&bucket);
    assert_eq!((usage.objects, usage.bytes), (4, 10 + 11 + 12));

    let again = node.client.adopt_files(&bucket).await.unwrap();
    assert_eq!((again.adopted, again.changed, again.known, again.skipped), (0, 0, 4, 2));
    let copy = crashed_copy(&node);
    let reopened = open(copy.path());
    assert_eq!(get(&reopened, &bucket, "new/deep/x").await.unwrap(), b"from outside");
    delete(&node.client, &bucket, "new/deep/x").await;
    settle(&node);
    assert!(!root.join("new/deep").exists());
}

#[actix::test]
async fn adopting_under_writes_loses_and_revives_nothing() {
    let node = node();
    let bucket = bucket(&node.client, "races").await;
    let writes = async {
        for round in 0..200 {
            let name = format!("k{}", round % 7);
            put(&node.client, &bucket, &name, body(round, 20_000 + round)).await;
            if round % 3 == 0 {
                delete(&node.client, &bucket, &name).await;
            }
        }
    };
    let adopts = async {
        for _ in 0..10 {
            let adopted = node.client.adopt_files(&bucket).await.unwrap();
            assert_eq!((adopted.adopted, adopted.changed), (0, 0), "{adopted:?}");
        }
    };
    futures_util::future::join(writes, adopts).await;
    for name in list(&node.client, &bucket).await {
        get(&node.client, &bucket, &name).await.unwrap();
    }
}

#[actix::test]
async fn files_that_come_and_go_while_they_are_adopted_leave_no_phantoms() {
    let node = node();
    let bucket = bucket(&node.client, "phantoms").await;
    let root = node.root.path().join("phantoms");
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let folder = root.clone();
    let person = std::thread::spawn(move || {
        let mut round = 0usize;
        while stopped.try_recv().is_err() {
            let path = folder.join(format!("k{}", round % 5));
            match round % 3 {
                0 | 1 => drop(std::fs::write(&path, vec![round as u8; 1000 + round % 50])),
                _ => drop(std::fs::remove_file(&path)),
            }
            round += 1;
            std::thread::sleep(std::time::Duration::from_millis(3));
        }
    });
    for round in 0..12 {
        node.client.adopt_files(&bucket).await.unwrap();
        put(&node.client, &bucket, &format!("k{}", round % 5), body(round, 1500)).await;
        delete(&node.client, &bucket, &format!("k{}", (round + 1) % 5)).await;
    }
    stop.send(()).unwrap();
    person.join().unwrap();
    settle(&node);
    node.client.adopt_files(&bucket).await.unwrap();
    settle(&node);
    for name in list(&node.client, &bucket).await {
        let found = get(&node.client, &bucket, &name).await;
        // A file that the person removed is an error; one that is there is served as it is.
        match std::fs::read(root.join(&name)) {
            Ok(bytes) => assert_eq!(found.unwrap(), bytes, "{name}"),
            Err(_) => assert!(matches!(found, Err(StorageError::Corrupt { .. })), "{name}"),
        }
    }
    put(&node.client, &bucket, "after", body(1, 10)).await;
}
