//! Tests of the store: reading, noticing changes, writing while others write.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use serde_json::json;

use super::*;

#[derive(Debug)]
struct Numbers;

impl Schema for Numbers {
    type State = u64;

    fn compile(&self, text: &str, document: &Value) -> Result<u64, Mistake> {
        document
            .get("n")
            .and_then(Value::as_u64)
            .ok_or_else(|| Mistake::near(text, "n", "n is not a number".to_owned()))
    }
}

const NOW: Stamp = Stamp(1);

fn open(path: &Path) -> JsonStore<Numbers> {
    JsonStore::open(path.to_owned(), Numbers, Some(&json!({"n": 1})), &json!({"n": 0})).unwrap()
}

/// Looks again when no change of the file can hide any more.
fn settle(store: &mut JsonStore<Numbers>) {
    std::thread::sleep(Duration::from_millis(60));
    store.reload(NOW);
}

fn add(store: &mut JsonStore<Numbers>, by: u64) -> Result<(), StoreError> {
    store.edit(NOW, |document| {
        document["n"] = json!(document["n"].as_u64().unwrap() + by);
        Ok(())
    })
}

fn state(store: &JsonStore<Numbers>) -> u64 {
    *store.snapshot().load().state
}

#[test]
fn writes_the_first_document_privately() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b/file.json");
    let mut store = open(&path);
    assert_eq!(state(&store), 1);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    settle(&mut store);
    assert!(store.snapshot().load().is_current(&path));
}

#[test]
fn sees_edits_and_keeps_the_last_good_state() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file.json");
    let mut store = open(&path);
    fs::write(&path, r#"{"n": 22, "more": true}"#).unwrap();
    assert!(!store.snapshot().load().is_current(&path));
    store.reload(NOW);
    assert_eq!(state(&store), 22);

    fs::write(&path, "{\n\"n\": 3,,}").unwrap();
    store.reload(NOW);
    assert_eq!(state(&store), 22);
    assert_eq!(store.snapshot().load().problem.as_ref().unwrap().line, Some(2));
    settle(&mut store);
    assert!(store.snapshot().load().is_current(&path), "a broken file is not read again until it changes");
    let refused: Result<(), StoreError> = store.edit(NOW, |document| {
        document["n"] = json!(5);
        Ok(())
    });
    assert!(matches!(refused, Err(StoreError::Broken(_))));
    assert_eq!(fs::read_to_string(&path).unwrap(), "{\n\"n\": 3,,}");

    fs::write(&path, "{\"n\": 4, \"kept\": [1]}").unwrap();
    let edited: Result<u64, StoreError> = store.edit(NOW, |document| {
        let before = document["n"].as_u64().unwrap();
        document["n"] = json!(before + 1);
        Ok(before)
    });
    assert_eq!(edited.unwrap(), 4);
    assert_eq!(state(&store), 5);
    assert!(fs::read_to_string(&path).unwrap().contains("kept"));
    assert!(store.snapshot().load().problem.is_none());
}

#[test]
fn a_lost_file_is_a_problem_and_comes_back_with_the_next_write() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file.json");
    let mut store = open(&path);
    fs::remove_file(&path).unwrap();
    store.reload(NOW);
    assert_eq!(state(&store), 1);
    assert!(store.snapshot().load().problem.is_some());
    let same: Result<(), StoreError> = store.edit(NOW, |_| Ok(()));
    same.unwrap();
    assert!(path.exists());
    assert!(store.snapshot().load().problem.is_none());
}

#[test]
fn a_read_right_after_a_change_is_not_trusted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file.json");
    let store = open(&path);
    assert!(!store.snapshot().load().is_current(&path));
}

#[test]
fn a_secret_is_written_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b/c/secret");
    assert!(write_new_secret(&path, b"one").unwrap());
    assert!(!write_new_secret(&path, b"two").unwrap());
    assert_eq!(fs::read(&path).unwrap(), b"one");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    fs::write(folder.path().join("file"), "").unwrap();
    assert!(write_new_secret(&folder.path().join("file/below/secret"), b"x").is_err());
}

#[test]
fn a_link_stays_a_link() {
    let folder = tempfile::tempdir().unwrap();
    let (real, link) = (folder.path().join("real.json"), folder.path().join("link.json"));
    fs::write(&real, r#"{"n": 7}"#).unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    let mut store = open(&link);
    let edited: Result<(), StoreError> = store.edit(NOW, |document| {
        document["n"] = json!(8);
        Ok(())
    });
    edited.unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(fs::read_to_string(&real).unwrap().contains('8'));
}

#[test]
fn a_start_on_a_broken_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file.json");
    fs::write(&path, "{\"n\":\n \"x\"}").unwrap();
    let error = JsonStore::open(path, Numbers, None, &json!({"n": 0})).unwrap_err();
    assert!(error.to_string().contains("file.json, line 1: n is not a number"), "{error}");
}

#[test]
fn the_next_request_sees_an_edit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sub/file.json");
    let mut store = open(&path);
    for n in 2..40_u64 {
        settle(&mut store);
        let published = store.snapshot().load_full();
        assert!(
            published.is_current_for_request(&path, Instant::now())
                && published.is_current_for_request(&path, Instant::now())
        );
        let other = folder.path().join("sub/edit");
        match n % 3 {
            0 => fs::write(&path, format!("{{\"n\": {n}}}")).unwrap(),
            1 => fs::remove_file(&path).unwrap(),
            _ => fs::write(&other, format!("{{\"n\": {n}}}")).and_then(|()| fs::rename(&other, &path)).unwrap(),
        }
        assert!(!published.is_current_for_request(&path, Instant::now()), "{n}");
        store.reload(NOW);
        if n % 3 == 1 {
            add(&mut store, 1).unwrap();
        } else {
            assert_eq!(state(&store), n);
        }
    }
}

#[test]
fn while_nothing_happens_in_the_folder_only_the_kernel_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file.json");
    let mut store = open(&path);
    settle(&mut store);
    let published = store.snapshot().load_full();
    let watch = published.watch.clone().expect("the kernel tells of folders here");
    assert!(
        published.is_current_for_request(&path, Instant::now())
            && published.is_current_for_request(&path, Instant::now())
    );
    let turn = watch.turn(Instant::now());
    assert_eq!(turn, Some(published.turn.load(Ordering::Relaxed)));
    // Another file of the folder: looked at once more, and current as before.
    fs::write(folder.path().join("other"), "x").unwrap();
    assert!(
        published.is_current_for_request(&path, Instant::now())
            && published.is_current_for_request(&path, Instant::now())
    );
    assert!(watch.turn(Instant::now()) > turn);
    // A folder in the place of the watched one has a watch of its own.
    fs::rename(folder.path(), folder.path().with_extension("former")).unwrap();
    fs::create_dir(folder.path()).unwrap();
    fs::write(&path, r#"{"n": 7}"#).unwrap();
    settle(&mut store);
    assert_eq!(state(&store), 7);
    assert!(!Arc::ptr_eq(&watch, store.snapshot().load().watch.as_ref().unwrap()));
    fs::remove_dir_all(folder.path().with_extension("former")).unwrap();
}

#[test]
fn a_look_serves_those_who_had_arrived_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let (path, other) = (folder.path().join("file.json"), folder.path().join("other.json"));
    let (mut store, mut further) = (open(&path), open(&other));
    settle(&mut store);
    settle(&mut further);
    let (published, further) = (store.snapshot().load_full(), further.snapshot().load_full());
    let watch = published.watch.clone().expect("the kernel tells of folders here");
    assert!(Arc::ptr_eq(&watch, further.watch.as_ref().unwrap()), "one watch for the files of a folder");
    while watch.turn(Instant::now()).is_none() {}
    let arrived = Instant::now();
    let turn = watch.turn(Instant::now());
    assert!(turn.is_some());
    fs::write(&path, r#"{"n": 7}"#).unwrap();
    assert_eq!(watch.turn(arrived), turn, "the look after its arrival found nothing");
    assert_eq!(watch.turn(Instant::now()), None);
    assert!(!published.is_current_for_request(&path, Instant::now()));
    assert!(further.is_current_for_request(&other, Instant::now()));
}

#[test]
fn a_watch_of_a_folder_that_is_gone_is_nobodys() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sub/file.json");
    let store = open(&path);
    let watch = store.snapshot().load().watch.clone().expect("the kernel tells of folders here");
    fs::remove_dir_all(folder.path().join("sub")).unwrap();
    // Whoever has the folder open holds its number.
    drop(store);
    assert_eq!(watch.turn(Instant::now()), None);
    assert_eq!(watch.turn(Instant::now()), None, "nothing is told any more, so all is looked at");
    // Most file systems give the number of the folder to the next one.
    assert!(!Arc::ptr_eq(&watch, open(&path).snapshot().load().watch.as_ref().unwrap()));
}

#[test]
fn an_edit_is_seen_by_all_threads_that_ask_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file.json");
    let mut store = open(&path);
    for n in 2..30_u64 {
        settle(&mut store);
        let published = store.snapshot().load_full();
        assert!(
            published.is_current_for_request(&path, Instant::now())
                && published.is_current_for_request(&path, Instant::now())
        );
        let is_edited = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while !is_edited.load(Ordering::SeqCst) {
                        published.is_current_for_request(&path, Instant::now());
                    }
                    assert!(!published.is_current_for_request(&path, Instant::now()), "{n}");
                });
            }
            fs::write(&path, format!("{{\"n\": {n}}}")).unwrap();
            is_edited.store(true, Ordering::SeqCst);
        });
        store.reload(NOW);
        assert_eq!(state(&store), n);
    }
}

#[test]
fn a_folder_that_was_exchanged_is_seen_a_moment_later() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sub/file.json");
    let mut store = open(&path);
    settle(&mut store);
    let published = store.snapshot().load_full();
    assert!(published.is_current_for_request(&path, Instant::now()));
    fs::rename(folder.path().join("sub"), folder.path().join("former")).unwrap();
    let later = Instant::now() + FOLDER_LASTS;
    assert!(!published.is_current_for_request(&path, later));
}

#[test]
fn what_a_crash_left_is_kept_aside() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file.json");
    let mut store = open(&path);
    fs::write(folder.path().join(".file.json.tmp"), "typed").unwrap();
    add(&mut store, 1).unwrap();
    assert_eq!(fs::read_to_string(folder.path().join(".file.json.left")).unwrap(), "typed");
    assert!(!folder.path().join(".file.json.tmp").exists());
    assert_eq!(state(&store), 2);
}
