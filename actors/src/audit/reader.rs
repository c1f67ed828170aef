//! Reading the log from its end, in blocks: what is newest is asked for most, and no file is ever read whole.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use super::error::AuditError;
use super::files::{CURRENT, full_files, full_path};
use super::query::{AuditPage, AuditPosition, AuditQuery, Head};
use super::writer::SharedCurrent;
use crate::names::Stamp;

/// Bytes that are read at once.
const BLOCK_BYTES: u64 = 64 * 1024;
/// Longest line that is read; the log writes none that are longer.
const LINE_BYTES_MAX: usize = 1 << 20;
/// Most bytes that are looked at for one page.
const LOOK_BYTES_MAX: u64 = 64 << 20;
/// Bytes of entries after which a page ends.
const PAGE_BYTES_MAX: usize = 4 << 20;

/// The lines of a file, the last one first.
#[derive(Debug)]
pub(super) struct Backwards {
    file: File,
    /// Bytes of the file in front of `held`.
    ahead: u64,
    /// What was read and not given yet.
    held: Vec<u8>,
}

/// A line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BackwardsLine {
    /// Where it begins.
    pub start: u64,
    /// Its bytes without the line feed; empty when it is too long to be one of the log's.
    pub bytes: Vec<u8>,
}

impl Backwards {
    /// The lines before the offset `end`.
    pub fn new(file: File, end: u64) -> Self {
        Self { file, ahead: end, held: Vec::new() }
    }

    /// Bytes that were not read from the file yet, and those of lines that were not given yet.
    pub fn left(&self) -> u64 {
        self.ahead + self.held.len() as u64
    }

    /// The line before the last one that was given; none at the beginning of the file.
    pub fn next(&mut self) -> io::Result<Option<BackwardsLine>> {
        if self.held.is_empty() && !self.read_block()? {
            return Ok(None);
        }
        // A last line without its end is a line, too.
        if self.held.last() == Some(&b'\n') {
            self.held.pop();
        }
        let mut is_too_long = false;
        loop {
            if let Some(feed) = self.held.iter().rposition(|byte| *byte == b'\n') {
                let bytes = self.held.split_off(feed + 1);
                return Ok(Some(self.line(bytes, is_too_long)));
            }
            if self.held.len() > LINE_BYTES_MAX {
                is_too_long = true;
                self.held.clear();
            }
            if !self.read_block()? {
                let bytes = std::mem::take(&mut self.held);
                return Ok(Some(self.line(bytes, is_too_long)));
            }
        }
    }

    fn line(&self, bytes: Vec<u8>, is_too_long: bool) -> BackwardsLine {
        let bytes = if is_too_long { Vec::new() } else { bytes };
        BackwardsLine { start: self.left(), bytes }
    }

    /// Reads what stands in front of `held`; false when that is nothing.
    fn read_block(&mut self) -> io::Result<bool> {
        let bytes = self.ahead.min(BLOCK_BYTES);
        if bytes == 0 {
            return Ok(false);
        }
        let mut block = vec![0; usize::try_from(bytes).unwrap_or_default()];
        self.file.read_exact_at(&mut block, self.ahead - bytes)?;
        block.append(&mut self.held);
        self.held = block;
        self.ahead -= bytes;
        Ok(true)
    }
}

/// The log as readers see it.
#[derive(Debug, Clone)]
pub(super) struct Reader {
    folder: PathBuf,
    current: SharedCurrent,
}

/// One file of the log, opened.
#[derive(Debug)]
struct LogFile {
    path: PathBuf,
    file: File,
    number: u64,
    length: u64,
}

impl Reader {
    pub fn new(folder: PathBuf, current: SharedCurrent) -> Self {
        Self { folder, current }
    }

    /// A page of the log. Errs: NoSuchPosition, Io.
    pub fn page(&self, query: &AuditQuery) -> Result<AuditPage, AuditError> {
        let (newest, mut newest_file) = self.open_current()?;
        let start = query.position.map_or(newest, |position| position.number);
        if start > newest {
            return Err(AuditError::NoSuchPosition);
        }
        if start < newest {
            newest_file = None;
        }
        let full = full_files(&self.folder)?.into_iter().map(|(number, _)| number);
        // One that was rotated just now is the one that is open already.
        let mut older: Vec<u64> = full.filter(|number| *number <= start && *number < newest).collect();
        let mut search = Search { query, page: AuditPage::default(), page_bytes: 0, looked_bytes: 0 };
        let mut next = newest_file;
        loop {
            if let Some(file) = next.take() {
                // A position in a file that is gone by now is one at the end of the log.
                let position = query.position.filter(|position| position.number == file.number);
                let end = position.map_or(Ok(file.length), |position| file.checked_end(position.end))?;
                if search.read(file, end, !older.is_empty())? == Ended::Search {
                    return Ok(search.page);
                }
            }
            let Some(number) = older.pop() else { return Ok(search.page) };
            next = open(full_path(&self.folder, number), number)?;
        }
    }

    /// The number of the file that is written and the file, as far as it is acknowledged; none when there is none yet.
    fn open_current(&self) -> Result<(u64, Option<LogFile>), AuditError> {
        // Held while the file is opened, so that no rotation comes between its number and its name.
        let current = self.current.lock();
        let mut opened = open(self.folder.join(CURRENT), current.number)?;
        if let (Some(file), Some(length)) = (&mut opened, current.length) {
            file.length = file.length.min(length);
        }
        Ok((current.number, opened))
    }
}

fn open(path: PathBuf, number: u64) -> Result<Option<LogFile>, AuditError> {
    let opened = File::open(&path).and_then(|file| Ok((file.metadata()?.size(), file)));
    match opened {
        Ok((length, file)) => Ok(Some(LogFile { path, file, number, length })),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(AuditError::Io { path, doing: "open", source }),
    }
}

impl LogFile {
    fn failed(path: &Path) -> impl Fn(io::Error) -> AuditError {
        let path = path.to_owned();
        move |source| AuditError::Io { path: path.clone(), doing: "read", source }
    }

    /// An offset at which a line ends. Errs: NoSuchPosition.
    fn checked_end(&self, end: u64) -> Result<u64, AuditError> {
        let mut byte = *b"\n";
        if end > self.length {
            return Err(AuditError::NoSuchPosition);
        }
        // A full file may have lost the end of its last line, which is a line all the same.
        if end == self.length {
            return Ok(end);
        }
        if let Some(last) = end.checked_sub(1) {
            self.file.read_exact_at(&mut byte, last).map_err(Self::failed(&self.path))?;
        }
        if byte == *b"\n" { Ok(end) } else { Err(AuditError::NoSuchPosition) }
    }

    /// When its first entry was made; none when it does not begin with one.
    fn first_time(&self) -> io::Result<Option<Stamp>> {
        let mut block = vec![0; LINE_BYTES_MAX.min(usize::try_from(self.length).unwrap_or(usize::MAX))];
        self.file.read_exact_at(&mut block, 0)?;
        let line = block.split(|byte| *byte == b'\n').next().and_then(Head::parse);
        Ok(line.map(|(_, at)| at))
    }
}

/// What ended the reading of a file.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    /// Its beginning.
    File,
    /// The page is made.
    Search,
}

/// A page while it is made.
#[derive(Debug)]
struct Search<'a> {
    query: &'a AuditQuery,
    page: AuditPage,
    page_bytes: usize,
    looked_bytes: u64,
}

impl Search<'_> {
    /// Takes what is asked for of the file before `end`. Entries follow each other in time but for a clock that was set, so a
    /// file that begins too late is passed over, and one without any entry that is late enough ends the search.
    fn read(&mut self, file: LogFile, end: u64, has_older: bool) -> Result<Ended, AuditError> {
        let failed = LogFile::failed(&file.path);
        if let Some(to) = self.query.to
            && file.first_time().map_err(&failed)?.is_some_and(|first| first >= to)
        {
            return Ok(Ended::File);
        }
        let number = file.number;
        let mut lines = Backwards::new(file.file, end);
        let (mut has_entries, mut is_late_enough) = (false, self.query.from.is_none());
        loop {
            if self.is_enough() {
                let is_more = has_older || lines.left() > 0;
                self.page.next = is_more.then(|| AuditPosition { number, end: lines.left() });
                return Ok(Ended::Search);
            }
            let before = lines.left();
            let Some(line) = lines.next().map_err(&failed)? else { break };
            self.looked_bytes += before - line.start;
            let Some((head, at)) = Head::parse(&line.bytes) else { continue };
            has_entries = true;
            is_late_enough |= self.query.from.is_some_and(|from| at >= from);
            if self.query.wants(&head, at)
                && let Ok(text) = String::from_utf8(line.bytes)
            {
                self.page_bytes += text.len();
                self.page.entries.push(text);
            }
        }
        Ok(if has_entries && !is_late_enough { Ended::Search } else { Ended::File })
    }

    fn is_enough(&self) -> bool {
        self.page.entries.len() >= self.query.limit
            || self.page_bytes >= PAGE_BYTES_MAX
            || self.looked_bytes >= LOOK_BYTES_MAX
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;

    fn backwards(text: &[u8]) -> Vec<BackwardsLine> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, text).unwrap();
        let mut lines = Backwards::new(File::open(path).unwrap(), text.len() as u64);
        let mut found = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            assert_eq!(lines.left(), line.start);
            found.push(line);
        }
        found
    }

    /// The same, read from the front.
    fn forwards(text: &[u8]) -> Vec<BackwardsLine> {
        let mut start = 0;
        let mut lines = Vec::new();
        for piece in text.split_inclusive(|byte| *byte == b'\n') {
            lines.push(BackwardsLine { start, bytes: piece.strip_suffix(b"\n").unwrap_or(piece).to_vec() });
            start += piece.len() as u64;
        }
        lines.reverse();
        lines
    }

    #[test]
    fn lines_at_the_edges_of_blocks() {
        let block = BLOCK_BYTES as usize;
        for length in [0, 1, block - 2, block - 1, block, block + 1, 2 * block - 1, 2 * block, 3 * block + 5] {
            for tail in ["", "x", "\n", "\n\n", "x\ny"] {
                let text = format!("{}\n{}{tail}", "a".repeat(length), "b".repeat(block - 1));
                assert_eq!(backwards(text.as_bytes()), forwards(text.as_bytes()), "{length} {tail:?}");
            }
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_passed_over() {
        let text = format!("first\n{}\nlast\n", "x".repeat(2 * LINE_BYTES_MAX));
        let lines = backwards(text.as_bytes());
        let found: Vec<_> = lines.iter().map(|line| (line.start, line.bytes.as_slice())).collect();
        let last = 2 * LINE_BYTES_MAX as u64 + 7;
        assert_eq!(found, [(last, b"last".as_slice()), (6, b""), (0, b"first")]);
    }

    proptest! {
        #[test]
        fn backwards_is_forwards_the_other_way_round(
            pieces in prop::collection::vec(prop_oneof![Just("\n".to_owned()), "[ab\n]{0,9}", (0..90_000usize).prop_map(|n| "c".repeat(n))], 0..9)
        ) {
            let text = pieces.concat();
            prop_assert_eq!(backwards(text.as_bytes()), forwards(text.as_bytes()));
        }
    }
}
