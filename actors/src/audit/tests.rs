//! The log with its thread: what is acknowledged is there, pages go through all of it, trouble passes.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::files::{CURRENT, full_files, full_path};
use super::*;
use crate::clock::ManualClock;
use crate::names::Stamp;

struct Node {
    root: tempfile::TempDir,
}

impl Node {
    fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap() }
    }

    fn folder(&self) -> PathBuf {
        self.root.path().join("audit")
    }

    fn log(&self, bytes_max: u64) -> AuditLog {
        let settings = AuditSettings { folder: self.folder(), bytes_max };
        AuditLog::start(settings, Arc::new(ManualClock::new(Stamp(1))))
    }

    fn current(&self) -> String {
        fs::read_to_string(self.folder().join(CURRENT)).unwrap()
    }
}

fn entry(number: u64) -> AuditEntry {
    AuditEntry {
        at: Stamp(number * 1_000_000_000),
        origin: ChangeOrigin { principal: format!("user-{}", number % 3), ..ChangeOrigin::default() },
        action: format!("iam:Do{}", number % 2),
        target: format!("arn:{number}"),
        before: Value::Null,
        after: json!({ "number": number, "padding": "x".repeat((number % 50) as usize) }),
    }
}

fn numbers(page: &AuditPage) -> Vec<u64> {
    let number = |text: &String| serde_json::from_str::<Value>(text).unwrap()["after"]["number"].as_u64().unwrap();
    page.entries.iter().map(number).collect()
}

async fn pages(log: &AuditLog, mut query: AuditQuery) -> Vec<u64> {
    let mut found = Vec::new();
    loop {
        let page = log.page(query.clone()).await.unwrap();
        assert!(page.entries.len() <= query.limit);
        found.extend(numbers(&page));
        match page.next {
            Some(next) => query.position = Some(AuditPosition::parse(&next.to_string()).unwrap()),
            None => return found,
        }
    }
}

#[actix::test]
async fn what_is_recorded_is_read_newest_first_over_all_files() {
    let node = Node::new();
    let log = node.log(1 << 20);
    assert_eq!(log.page(AuditQuery { limit: 5, ..AuditQuery::default() }).await.unwrap(), AuditPage::default());
    for number in 0..20 {
        log.record(vec![entry(number)]).await;
        assert!(node.current().contains(&format!("arn:{number}\"")), "an answered entry is in the file");
    }
    for number in (20..2000).step_by(20) {
        log.record((number..number + 20).map(entry).collect()).await;
    }
    assert!(full_files(&node.folder()).unwrap().len() > 2);
    let all: Vec<u64> = (0..2000).rev().collect();
    for limit in [1000, 7] {
        assert_eq!(pages(&log, AuditQuery { limit, ..AuditQuery::default() }).await, all);
    }
    let again = node.log(1 << 20);
    assert_eq!(pages(&again, AuditQuery { limit: 1000, ..AuditQuery::default() }).await, all);
    let (from, to) = (Some(Stamp(500_000_000_000)), Some(Stamp(700_000_000_000)));
    let some = AuditQuery { from, to, principal: Some("*-1".to_owned()), limit: 10, ..AuditQuery::default() };
    let wanted: Vec<u64> = (500..700).rev().filter(|number| number % 3 == 1).collect();
    assert_eq!(pages(&again, some).await, wanted);
    let target = AuditQuery { target: Some("arn:0".to_owned()), limit: 10, ..AuditQuery::default() };
    assert_eq!(pages(&again, target).await, [0]);
    assert_eq!(log.figures(), AuditFigures { written: 2000, ..AuditFigures::default() });
}

#[actix::test]
async fn a_position_means_the_same_after_more_entries_and_rotations() {
    let node = Node::new();
    let log = node.log(1 << 20);
    log.record((0..100).map(entry).collect()).await;
    let first = log.page(AuditQuery { limit: 10, ..AuditQuery::default() }).await.unwrap();
    assert_eq!(numbers(&first), (90..100).rev().collect::<Vec<_>>());
    for number in (100..800).step_by(10) {
        log.record((number..number + 10).map(entry).collect()).await;
    }
    assert!(!full_files(&node.folder()).unwrap().is_empty());
    let rest = AuditQuery { limit: 1000, position: first.next, ..AuditQuery::default() };
    assert_eq!(pages(&log, rest.clone()).await, (0..90).rev().collect::<Vec<_>>());

    for position in [(u64::MAX, 0), (1, u64::MAX), (1, 3)] {
        let position = Some(AuditPosition { number: position.0, end: position.1 });
        let refused = log.page(AuditQuery { position, ..rest.clone() }).await;
        assert!(matches!(refused, Err(AuditError::NoSuchPosition)));
    }
    fs::remove_file(full_path(&node.folder(), 1)).unwrap();
    assert_eq!(pages(&log, rest).await, [] as [u64; 0], "what it was to go on with is gone");
}

#[actix::test]
async fn torn_and_foreign_lines_are_passed_over() {
    let node = Node::new();
    let log = node.log(1 << 20);
    log.record(vec![entry(1)]).await;
    log.stop().await;
    let path = node.folder().join(CURRENT);
    let whole = node.current();
    let unreadable =
        r#"{"v":9,"time":"1970-01-01T00:00:02Z","action":{},"action":"iam:New","after":{"number":2},"more":[1]}"#;
    let odd = r#"{"v":9,"time":"1970-01-01T00:00:02Z","action":"iam:New","after":{"number":2},"more":[{"a":1.50}]}"#;
    fs::write(&path, format!("{whole}notes by hand\n\u{0}\u{0}\n{unreadable}\n{odd}\n{}", &whole[..20])).unwrap();
    let log = node.log(1 << 20);
    log.record(vec![entry(3)]).await;
    let page = log.page(AuditQuery { limit: 10, ..AuditQuery::default() }).await.unwrap();
    assert_eq!(numbers(&page), [3, 2, 1]);
    assert_eq!(page.entries[1], odd, "fields of later versions are passed on");
    assert!(node.current().contains(&whole[..20]), "nothing is taken away");
}

#[actix::test]
async fn trouble_is_told_and_passes() {
    let node = Node::new();
    symlink(node.root.path().join("away/audit"), node.folder()).unwrap();
    let log = node.log(1 << 20);
    assert!(log.trouble().unwrap().contains("create the folder"), "{:?}", log.trouble());
    log.record(vec![entry(1), entry(2)]).await;
    log.record(vec![entry(3)]).await;
    assert!(log.trouble().unwrap().contains("3 entries wait, 0 are lost"), "{:?}", log.trouble());
    assert_eq!(log.figures(), AuditFigures { waiting: 3, failures: 3, ..AuditFigures::default() });
    fs::create_dir_all(node.root.path().join("away/audit")).unwrap();
    log.record(vec![entry(4)]).await;
    assert_eq!(log.trouble(), None);
    assert_eq!(pages(&log, AuditQuery { limit: 10, ..AuditQuery::default() }).await, [4, 3, 2, 1]);
    assert_eq!(log.figures(), AuditFigures { written: 4, failures: 3, ..AuditFigures::default() });
}

#[actix::test]
async fn what_no_memory_is_left_for_is_counted_and_leaves_a_mark() {
    let node = Node::new();
    fs::write(node.folder(), "in the way").unwrap();
    let log = node.log(1 << 30);
    let large =
        |number| AuditEntry { after: json!({ "number": number, "text": "x".repeat(200_000) }), ..entry(number) };
    for number in 0..50 {
        log.record(vec![large(number)]).await;
    }
    let AuditFigures { waiting, lost, .. } = log.figures();
    assert!(waiting > 35 && lost > 5 && waiting + lost == 50, "{:?}", log.figures());
    fs::remove_file(node.folder()).unwrap();
    log.stop().await;
    let lines: Vec<Value> = node.current().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len() as u64, waiting + 1);
    let gap = lines.last().unwrap();
    assert_eq!((&gap["action"], &gap["after"]), (&json!("myfsio:LoseAuditEntries"), &json!({ "lost": lost })));
}

#[actix::test]
async fn blocked_threads_are_answered_too() {
    let node = Node::new();
    let log = node.log(1 << 20);
    let threads: Vec<_> = (0..8)
        .map(|thread| {
            let log = log.clone();
            std::thread::spawn(move || (0..50).for_each(|n| log.record_blocking(vec![entry(thread * 50 + n)])))
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let mut found = pages(&log, AuditQuery { limit: 1000, ..AuditQuery::default() }).await;
    found.sort_unstable();
    assert_eq!(found, (0..400).collect::<Vec<_>>());
    let nowhere = AuditLog::nowhere();
    nowhere.record_blocking(vec![entry(1)]);
    nowhere.record(vec![entry(1)]).await;
    nowhere.stop().await;
    assert_eq!(nowhere.page(AuditQuery { limit: 1, ..AuditQuery::default() }).await.unwrap(), AuditPage::default());
}

#[actix::test]
async fn looking_is_bounded() {
    let node = Node::new();
    fs::create_dir(node.folder()).unwrap();
    let line = format!(r#"{{"time":"1970-01-01T00:00:02Z","after":{{"number":1,"text":"{}"}}}}"#, "x".repeat(60_000));
    fs::write(node.folder().join(CURRENT), format!("{line}\n").repeat(1200)).unwrap();
    let log = node.log(1 << 30);
    let query = AuditQuery { limit: 1000, ..AuditQuery::default() };
    let page = log.page(query.clone()).await.unwrap();
    assert!((60..80).contains(&page.entries.len()), "{}", page.entries.len());
    let none = AuditQuery { action: Some("none".to_owned()), ..query };
    let page = log.page(none.clone()).await.unwrap();
    assert_eq!(page.entries.len(), 0);
    assert!(page.next.is_some());
    assert_eq!(pages(&log, none).await, [] as [u64; 0]);
}

fn write_lines(path: &Path, lines: &[u64]) {
    let text: String = lines.iter().map(|n| String::from_utf8(entry(*n).line()).unwrap()).collect();
    fs::write(path, text).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Pages with times give what a look at every line would, wherever the files begin and end.
    #[test]
    fn pages_are_what_all_lines_say(
        sizes in prop::collection::vec(0..30u64, 1..6),
        from in prop::option::of(0..150u64),
        to in prop::option::of(0..150u64),
        action in prop::option::of("iam:Do[01*]"),
        limit in 1..40usize,
    ) {
        let node = Node::new();
        fs::create_dir(node.folder()).unwrap();
        let mut number = 0;
        for (index, size) in sizes.iter().enumerate() {
            let lines: Vec<u64> = (number..number + size).collect();
            number += size;
            let is_last = index + 1 == sizes.len();
            let path = if is_last { node.folder().join(CURRENT) } else { full_path(&node.folder(), index as u64 + 3) };
            write_lines(&path, &lines);
        }
        let stamp = |seconds: u64| Stamp(seconds * 1_000_000_000);
        let query = AuditQuery { from: from.map(stamp), to: to.map(stamp), action: action.clone(), limit, ..AuditQuery::default() };
        let found = actix::System::new().block_on(async { pages(&node.log(1 << 20), query).await });
        let parity = action.as_deref().and_then(|action| action.strip_prefix("iam:Do")).and_then(|digit| digit.parse::<u64>().ok());
        let wanted: Vec<u64> = (0..number)
            .rev()
            .filter(|n| from.is_none_or(|from| *n >= from) && to.is_none_or(|to| *n < to))
            .filter(|n| parity.is_none_or(|parity| n % 2 == parity))
            .collect();
        prop_assert_eq!(found, wanted);
    }
}
