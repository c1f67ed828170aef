//! The fuzz target of the audit log's reader: pages are what a look at every line would give, whatever the files hold and wherever
//! reading begins.
#![allow(clippy::expect_used, reason = "what does not hold ends the run")]

use std::fs;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use tempfile::TempDir;

use super::error::AuditError;
use super::files::{CURRENT, full_path};
use super::query::{AuditPosition, AuditQuery, Head};
use super::reader::Reader;
use super::writer::Current;
use crate::names::Stamp;

const FILES_MAX: usize = 6;
const LIMIT_MAX: usize = 20;

thread_local! {
    static FOLDER: TempDir = TempDir::new().expect("a temporary folder");
}

/// A line of words `name=value` that say what is asked for, and files, oldest first, each behind a line `---`. Or, behind `next=`,
/// where a page is to begin.
pub fn audit_log(data: &[u8]) -> bool {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let Ok(line) = std::str::from_utf8(data.get(..end).unwrap_or_default()) else { return false };
    if let Some(text) = line.strip_prefix("next=") {
        return AuditPosition::parse(text).is_some_and(|position| {
            assert_eq!(position.to_string(), text, "two ways to write one position");
            true
        });
    }
    let (mut query, is_read) = query(line);
    let files = split(data.get(end + 1..).unwrap_or_default());
    is_read && FOLDER.with(|folder| read(folder.path(), &files, &mut query))
}

/// What is asked for, and whether all of it was understood.
fn query(line: &str) -> (AuditQuery, bool) {
    let mut query = AuditQuery { limit: 3, ..AuditQuery::default() };
    let mut is_read = true;
    for word in line.split_ascii_whitespace() {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        let seconds = || value.parse().ok().map(|seconds| Stamp::default().after(seconds));
        let pair = || value.split_once(':').and_then(|(number, end)| Some((number.parse().ok()?, end.parse().ok()?)));
        match name {
            "from" => query.from = seconds(),
            "to" => query.to = seconds(),
            "principal" => query.principal = Some(value.to_owned()),
            "action" => query.action = Some(value.to_owned()),
            "target" => query.target = Some(value.to_owned()),
            "limit" => query.limit = value.parse().unwrap_or(1).clamp(1, LIMIT_MAX),
            "position" => query.position = pair().map(|(number, end)| AuditPosition { number, end }),
            _ => is_read = false,
        }
    }
    (query, is_read)
}

fn split(data: &[u8]) -> Vec<&[u8]> {
    const LINE: &[u8] = b"\n---\n";
    let (mut files, mut rest) = (Vec::new(), data);
    while files.len() + 1 < FILES_MAX
        && let Some(at) = rest.windows(LINE.len()).position(|window| window == LINE)
    {
        let (file, behind) = rest.split_at(at + 1);
        files.push(file);
        rest = behind.get(LINE.len() - 1..).unwrap_or_default();
    }
    files.push(rest);
    files
}

/// A line that is an entry.
struct Entry {
    number: u64,
    end: u64,
    at: Stamp,
    text: String,
    is_wanted: bool,
}

/// Every entry of the files, oldest first.
fn entries(files: &[&[u8]], query: &AuditQuery) -> Vec<Entry> {
    let mut entries = Vec::new();
    for (number, file) in (1..).zip(files) {
        let mut end = 0;
        for piece in file.split_inclusive(|byte| *byte == b'\n') {
            end += piece.len() as u64;
            let line = piece.strip_suffix(b"\n").unwrap_or(piece);
            let Some((head, at)) = Head::parse(line) else { continue };
            let is_wanted = query.wants(&head, at) && std::str::from_utf8(line).is_ok();
            entries.push(Entry { number, end, at, text: String::from_utf8_lossy(line).into_owned(), is_wanted });
        }
    }
    entries
}

fn read(folder: &Path, files: &[&[u8]], query: &mut AuditQuery) -> bool {
    let newest = files.len() as u64;
    for (number, file) in (1..).zip(files) {
        let path = if number == newest { folder.join(CURRENT) } else { full_path(folder, number) };
        fs::write(path, file).expect("a file");
    }
    for number in newest..=FILES_MAX as u64 {
        // What an earlier input left.
        fs::remove_file(full_path(folder, number)).ok();
    }
    let reader = Reader::new(folder.to_owned(), Arc::new(Mutex::new(Current { number: newest, length: None })));
    let entries = entries(files, query);
    let is_before =
        |entry: &&Entry| query.position.is_none_or(|from| (entry.number, entry.end) <= (from.number, from.end));
    let wanted: Vec<&str> =
        entries.iter().filter(is_before).filter(|entry| entry.is_wanted).map(|e| e.text.as_str()).collect();
    let mut found = Vec::new();
    loop {
        let page = match reader.page(query) {
            Ok(page) => page,
            Err(error) => {
                assert!(matches!(error, AuditError::NoSuchPosition), "{error}");
                assert!(found.is_empty(), "a page tells a position that is none");
                return false;
            }
        };
        assert!(page.entries.len() <= query.limit);
        found.extend(page.entries);
        let Some(next) = page.next else { break };
        let goes_on = query.position.is_none_or(|last| (next.number, next.end) < (last.number, last.end));
        assert!(goes_on, "reading does not end");
        query.position = Some(next);
    }
    found.reverse();
    // Files are passed over by their times, which a clock that was set may have put out of order.
    let is_ordered = entries.is_sorted_by_key(|entry| entry.at) || (query.from.is_none() && query.to.is_none());
    match is_ordered {
        true => assert_eq!(found, wanted),
        false => {
            let mut rest = wanted.iter();
            assert!(found.iter().all(|text| rest.any(|wanted| wanted == text)), "{found:?} of {wanted:?}");
        }
    }
    !wanted.is_empty()
}
