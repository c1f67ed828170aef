//! A person types while the node writes, thousands of times: no edit is lost, however the person's editor saves.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::*;

const NOW: Stamp = Stamp(1);
const ROUNDS: u64 = 1_000;
const PATIENCE: Duration = Duration::from_secs(5);

/// The person counts in `typed`, the node in `written`.
#[derive(Debug)]
struct Counts;

impl Schema for Counts {
    type State = (u64, u64);

    fn compile(&self, _: &str, document: &Value) -> Result<(u64, u64), Mistake> {
        let count = |name: &str| document.get(name).and_then(Value::as_u64);
        let missing = || Mistake { line: None, reason: "a count is missing".to_owned() };
        Ok((count("typed").ok_or_else(missing)?, count("written").ok_or_else(missing)?))
    }
}

/// How an editor saves.
#[derive(Debug, Clone, Copy)]
enum Save {
    /// Another file is renamed to its name.
    Rename,
    /// It is emptied and written.
    Truncate,
    /// It is written over, and cut where it was longer.
    Over,
}

impl Save {
    fn save(self, path: &Path, text: &str, pause: u64) {
        match self {
            Self::Rename => {
                let edited = path.with_extension("edited");
                fs::write(&edited, text).unwrap();
                spin(pause);
                fs::rename(&edited, path).unwrap();
            }
            Self::Truncate | Self::Over => {
                let truncate = matches!(self, Self::Truncate);
                let mut file = OpenOptions::new().write(true).truncate(truncate).open(path).unwrap();
                spin(pause);
                file.write_all(text.as_bytes()).unwrap();
                file.set_len(u64::try_from(text.len()).unwrap()).unwrap();
            }
        }
    }
}

/// Shorter than any sleep.
fn spin(micros: u64) {
    let end = Instant::now() + Duration::from_micros(micros);
    while Instant::now() < end {
        std::hint::spin_loop();
    }
}

fn race(save: Save) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file.json");
    let first = json!({"typed": 0, "written": 0});
    let mut store = JsonStore::open(path.clone(), Counts, Some(&first), &first).unwrap();
    let (snapshot, is_over) = (store.snapshot(), AtomicBool::new(false));
    let written = thread::scope(|scope| {
        let node = scope.spawn(|| {
            let mut written = 0_u64;
            while !is_over.load(Ordering::Relaxed) {
                let edited: Result<(), StoreError> = store.edit(NOW, |document| {
                    document["written"] = json!(document["written"].as_u64().unwrap() + 1);
                    Ok(())
                });
                match edited {
                    Ok(()) => written += 1,
                    Err(StoreError::Broken(_) | StoreError::Contended { .. }) => store.reload(NOW),
                    Err(error) => panic!("{error}"),
                }
            }
            written
        });
        let person = scope.spawn(|| {
            for typed in 1..=ROUNDS {
                let document = json!({"typed": typed, "written": snapshot.load().state.1, "more": "x".repeat(9)});
                save.save(&path, &document.to_string(), typed * 7919 % 200);
                let began = Instant::now();
                while snapshot.load().state.0 != typed {
                    let left = fs::read_to_string(&path);
                    assert!(began.elapsed() < PATIENCE, "{save:?}: edit {typed} is lost: {left:?}");
                    thread::yield_now();
                }
                spin(typed * 104_729 % 1_000);
            }
        });
        let typed = person.join();
        is_over.store(true, Ordering::Relaxed);
        let written = node.join().unwrap();
        typed.unwrap();
        written
    });
    assert!(written > ROUNDS / 10, "{written} writes raced with {ROUNDS} edits");
    let document: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(document["typed"], ROUNDS);
    assert!(!folder.path().join(".file.json.left").exists(), "nothing had to be set aside");
}

#[test]
fn an_edit_by_rename_is_never_lost() {
    race(Save::Rename);
}

#[test]
fn an_edit_in_an_emptied_file_is_never_lost() {
    race(Save::Truncate);
}

#[test]
fn an_edit_over_the_former_text_is_never_lost() {
    race(Save::Over);
}
