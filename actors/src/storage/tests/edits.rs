//! Files that a person edits, or puts into a bucket's folder, while the node runs.

use std::io::Write as _;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::fixtures::*;
use super::fsck::Heard;
use crate::clock::SystemClock;
use crate::names::ETag;
use crate::storage::disk::{Act, Disk, Seam, Watcher};
use crate::storage::engine::Engine;
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

/// A folder in which nothing may be removed, while it is shut.
#[derive(Debug, Default)]
struct Shut(AtomicBool);

impl Watcher for Shut {
    fn change(&self, act: &Act<'_>, work: &mut dyn FnMut() -> std::io::Result<()>) -> std::io::Result<()> {
        match act {
            Act::RemoveFile { path } if path.starts_with("left") && self.0.load(Ordering::SeqCst) => {
                Err(std::io::ErrorKind::PermissionDenied.into())
            }
            _ => work(),
        }
    }
}

fn open_shut(root: &Path, shut: &Arc<Shut>) -> StorageClient {
    let disk = unlocked(|| {
        let disk = Disk::open_watched(root, true, Seam(Some(Arc::clone(shut) as _)));
        disk.map_err(|e| StorageError::io("open", root, e))
    });
    StorageClient::of(Engine::open(disk, &settings(root), Arc::new(SystemClock)).unwrap())
}

#[actix::test]
async fn a_file_that_may_not_be_removed_goes_later_and_is_no_object_meanwhile() {
    let (folder, shut) = (tempfile::tempdir().unwrap(), Arc::new(Shut::default()));
    let root = folder.path();
    let file = |name: &str| root.join("left").join(name);
    let client = open_shut(root, &shut);
    let bucket = bucket(&client, "left").await;
    for name in ["a/b", "kept", "edited", "again"] {
        put(&client, &bucket, name, body(1, 100)).await;
    }
    shut.0.store(true, Ordering::SeqCst);
    for name in ["a/b", "edited", "again"] {
        delete(&client, &bucket, name).await;
    }
    let adopted = client.adopt_files(&bucket).await.unwrap();
    assert_eq!((adopted.adopted, adopted.known, adopted.skipped), (0, 1, 3), "{adopted:?}");
    assert!(adopted.skipped_first.iter().all(|(_, why)| why.contains("deleted")), "{adopted:?}");
    assert_eq!(list(&client, &bucket).await, ["kept"]);
    put(&client, &bucket, "again", body(2, 50)).await;
    // What somebody writes there is theirs.
    std::fs::write(file("edited"), b"mine").unwrap();
    close(client).await;

    // Still shut after the next start, and when the index is lost.
    let client = open_shut(root, &shut);
    assert_eq!(list(&client, &bucket).await, ["again", "kept"]);
    assert_eq!(get(&client, &bucket, "again").await.unwrap(), body(2, 50));
    close(client).await;
    assert!(file("a/b").exists());
    // Files decide what objects there are, but for those whose objects were deleted.
    let copy = copy_of(root);
    let disk = Disk::open_watched(copy.path(), true, Seam(Some(Arc::clone(&shut) as _))).unwrap();
    let opened = opened::Opened::new(disk, &settings(copy.path()), recovery::Holes::Refuse).unwrap();
    let options = CheckOptions { mend: Mend::FromFiles, data: false, bucket: None };
    let mut heard = Heard::default();
    fsck::check_opened(&opened, Arc::new(SystemClock), &options, &mut heard).unwrap();
    let told: Vec<_> = heard.0.iter().map(|finding| (finding.place.as_str(), finding.mended)).collect();
    assert!(told.contains(&("left/a/b", false)) && told.contains(&("left/edited", true)), "{told:?}");
    assert!(copy.path().join("left/a/b").exists());
    drop(opened);

    shut.0.store(false, Ordering::SeqCst);
    let client = open_shut(root, &shut);
    assert!(!file("a").exists(), "the file goes with the folder that it leaves empty");
    assert_eq!(std::fs::read(file("edited")).unwrap(), b"mine");
    assert_eq!(get(&client, &bucket, "again").await.unwrap(), body(2, 50));
    assert_eq!(client.adopt_files(&bucket).await.unwrap().adopted, 1);
    assert_eq!(get(&client, &bucket, "edited").await.unwrap(), b"mine");
    assert_eq!(files_below(&root.join(".myfsio.sys/left")), [] as [std::path::PathBuf; 0]);
    close(client).await;
}
