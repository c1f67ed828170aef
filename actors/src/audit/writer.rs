//! Appending to the log: whole lines, durable, and never more bytes in all than are allowed.
//!
//! What a failed write left behind is cut off before the next one, and a line that a crash tore is ended where it is, so that the
//! lines behind it stay readable. The file is looked for by its name before each write: whoever removes or replaces it gets a new
//! one, not a log that goes on in a file that nobody sees.

use std::collections::VecDeque;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::error::AuditError;
use super::files::{CURRENT, full_files, full_path};

/// How many files the log is made of, at least.
const FILES: u64 = 16;
/// Largest file that is rotated.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// The file that is written, as readers need to know it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Current {
    /// The number that it will have when it is full.
    pub number: u64,
    /// Bytes of it that are acknowledged; none while it was not opened.
    pub length: Option<u64>,
}

/// The same for readers on other threads. Held over a rotation, so that number and name fit each other.
pub(super) type SharedCurrent = Arc<Mutex<Current>>;

/// The writer's end of the log.
#[derive(Debug)]
pub(super) struct Writer {
    folder: PathBuf,
    bytes_max: u64,
    current: SharedCurrent,
    open: Option<Open>,
    /// Numbers and sizes of the full files, oldest first.
    full: VecDeque<(u64, u64)>,
}

/// The opened file.
#[derive(Debug)]
struct Open {
    file: File,
    length: u64,
    /// A write failed: what is there behind `length` is no line.
    is_torn: bool,
}

impl Writer {
    /// A writer into `folder`, which need not be there yet, of at most `bytes_max` bytes.
    pub fn new(folder: PathBuf, bytes_max: u64) -> Self {
        let full = full_files(&folder).unwrap_or_default();
        let number = full.last().map_or(1, |(number, _)| number.saturating_add(1));
        let current = Arc::new(Mutex::new(Current { number, length: None }));
        Self { folder, bytes_max, current, open: None, full: full.into() }
    }

    /// The file that is written, for readers.
    pub fn current(&self) -> SharedCurrent {
        Arc::clone(&self.current)
    }

    /// The size at which the file is rotated.
    fn file_bytes(&self) -> u64 {
        (self.bytes_max / FILES).clamp(1, FILE_BYTES_MAX)
    }

    /// Opens the log and mends what a crash left, so that its state is known before the first change.
    pub fn prepare(&mut self) -> Result<(), AuditError> {
        self.opened().map(drop)?;
        self.make_room(0)
    }

    /// Appends whole lines; durable on return. After an error none of them is there, or they are cut off before the next are
    /// written.
    pub fn append(&mut self, lines: &[u8]) -> Result<(), AuditError> {
        let bytes = lines.len() as u64;
        let length = self.opened()?.length;
        if length > 0 && length.saturating_add(bytes) > self.file_bytes() {
            self.rotate()?;
        }
        self.make_room(bytes)?;
        let path = self.folder.join(CURRENT);
        let open = self.opened()?;
        // SAFETY OF ORDER: durable before readers are told of it, and before the change is answered.
        let written = open.file.write_all_at(lines, open.length).and_then(|()| open.file.sync_data());
        if let Err(source) = written {
            open.is_torn = true;
            return Err(AuditError::Io { path, doing: "write", source });
        }
        open.length += bytes;
        let length = open.length;
        self.current.lock().length = Some(length);
        Ok(())
    }

    /// The file by its name, opened and ending with a whole line.
    fn opened(&mut self) -> Result<&mut Open, AuditError> {
        let path = self.folder.join(CURRENT);
        let is_there = self.open.as_ref().is_some_and(|open| is_at(&open.file, &path));
        let mut open = match self.open.take().filter(|_| is_there) {
            Some(open) => open,
            None => open_current(&self.folder, &path)?,
        };
        let mended = mend(&mut open).map_err(|source| AuditError::Io { path, doing: "mend", source });
        self.current.lock().length = Some(open.length);
        let open = self.open.insert(open);
        mended.map(|()| open)
    }

    /// Makes the file a full one and begins another.
    fn rotate(&mut self) -> Result<(), AuditError> {
        let Some(open) = self.open.take() else { return Ok(()) };
        let path = self.folder.join(CURRENT);
        let current = Arc::clone(&self.current);
        let mut current = current.lock();
        // Somebody may have put a file of this name there.
        let mut number = current.number;
        while full_path(&self.folder, number).exists() {
            number = number.saturating_add(1);
        }
        fs::rename(&path, full_path(&self.folder, number)).map_err(|source| AuditError::Io {
            path: path.clone(),
            doing: "rotate",
            source,
        })?;
        self.full.push_back((number, open.length));
        *current = Current { number: number.saturating_add(1), length: Some(0) };
        drop(current);
        sync_folder(&self.folder)
    }

    /// Removes the oldest files until so many bytes more are allowed.
    fn make_room(&mut self, bytes: u64) -> Result<(), AuditError> {
        loop {
            let length = self.open.as_ref().map_or(0, |open| open.length);
            let total = self.full.iter().fold(length.saturating_add(bytes), |sum, (_, size)| sum.saturating_add(*size));
            let Some((number, _)) = self.full.front().copied().filter(|_| total > self.bytes_max) else {
                return Ok(());
            };
            let path = full_path(&self.folder, number);
            match fs::remove_file(&path) {
                Err(source) if source.kind() != io::ErrorKind::NotFound => {
                    return Err(AuditError::Io { path, doing: "remove", source });
                }
                _ => self.full.pop_front(),
            };
        }
    }
}

/// Whether the opened file still is what the path names.
fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(own), Ok(named)) => (own.dev(), own.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}

fn open_current(folder: &Path, path: &Path) -> Result<Open, AuditError> {
    let failed = |path: &Path, doing| {
        let path = path.to_owned();
        move |source| AuditError::Io { path, doing, source }
    };
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed(folder, "create the folder"))?;
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .mode(0o600)
        .open(path)
        .map_err(failed(path, "open"))?;
    sync_folder(folder)?;
    let length = file.metadata().map_err(failed(path, "stat"))?.len();
    Ok(Open { file, length, is_torn: false })
}

fn sync_folder(folder: &Path) -> Result<(), AuditError> {
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|source| AuditError::Io { path: folder.to_owned(), doing: "sync", source })
}

/// Cuts off what a failed write left, takes in what others appended, and ends a torn last line.
fn mend(open: &mut Open) -> io::Result<()> {
    if open.is_torn {
        open.file.set_len(open.length)?;
        open.is_torn = false;
    } else {
        open.length = open.file.metadata()?.len();
    }
    let Some(last) = open.length.checked_sub(1) else { return Ok(()) };
    let mut byte = [0];
    open.file.read_exact_at(&mut byte, last)?;
    if byte != *b"\n" {
        open.file.write_all_at(b"\n", open.length)?;
        open.length += 1;
    }
    Ok(())
}

/// Tests of the writer that need no thread.
#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use proptest::prelude::*;

    use super::*;

    fn total(folder: &Path) -> u64 {
        let full: u64 = full_files(folder).unwrap().iter().map(|(_, size)| size).sum();
        full + fs::metadata(folder.join(CURRENT)).unwrap().len()
    }

    fn all(folder: &Path) -> String {
        let mut text = String::new();
        for (number, _) in full_files(folder).unwrap() {
            text.push_str(&fs::read_to_string(full_path(folder, number)).unwrap());
        }
        text + &fs::read_to_string(folder.join(CURRENT)).unwrap()
    }

    #[test]
    fn files_are_private() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("sys/audit");
        let mut writer = Writer::new(folder.clone(), 160);
        for _ in 0..3 {
            writer.append(b"0123456789\n").unwrap();
        }
        assert_eq!(full_files(&folder).unwrap(), [(1, 11), (2, 11)]);
        for path in [folder.join(CURRENT), full_path(&folder, 1)] {
            assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_torn_line_is_ended_and_a_failed_write_cut_off() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join(CURRENT);
        fs::write(&path, "one\ntw").unwrap();
        let mut writer = Writer::new(root.path().to_owned(), 1 << 20);
        writer.append(b"three\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "one\ntw\nthree\n");

        // As a write leaves it that failed half way.
        let open = writer.open.as_mut().unwrap();
        open.file.write_all_at(b"four\nfi", open.length).unwrap();
        open.is_torn = true;
        writer.append(b"four\nfive\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "one\ntw\nthree\nfour\nfive\n");
    }

    #[test]
    fn whoever_moves_the_file_gets_a_new_one() {
        let root = tempfile::tempdir().unwrap();
        let mut writer = Writer::new(root.path().to_owned(), 1 << 20);
        writer.append(b"one\n").unwrap();
        fs::rename(root.path().join(CURRENT), root.path().join("mine")).unwrap();
        writer.append(b"two\n").unwrap();
        assert_eq!(fs::read_to_string(root.path().join(CURRENT)).unwrap(), "two\n");
        fs::write(root.path().join(CURRENT), "two\nby hand\n").unwrap();
        writer.append(b"three\n").unwrap();
        assert_eq!(fs::read_to_string(root.path().join(CURRENT)).unwrap(), "two\nby hand\nthree\n");
    }

    #[test]
    fn what_cannot_be_written_may_be_tried_again() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("audit");
        fs::write(&folder, "a file in the way").unwrap();
        let mut writer = Writer::new(folder.clone(), 1 << 20);
        assert!(writer.prepare().is_err());
        assert!(writer.append(b"one\n").is_err());
        fs::remove_file(&folder).unwrap();
        writer.append(b"one\n").unwrap();
        assert_eq!(all(&folder), "one\n");
    }

    #[test]
    fn a_smaller_limit_counts_from_the_start() {
        let root = tempfile::tempdir().unwrap();
        let mut writer = Writer::new(root.path().to_owned(), 1600);
        (0..15).for_each(|_| writer.append(&[b'\n'; 100]).unwrap());
        let mut writer = Writer::new(root.path().to_owned(), 500);
        writer.prepare().unwrap();
        assert_eq!(total(root.path()), 500);
        assert_eq!(writer.current().lock().number, 15);
    }

    proptest! {
        #[test]
        fn rotation_keeps_the_youngest_lines_within_bounds(
            lengths in prop::collection::vec(1..400usize, 1..120),
            restarts in prop::collection::vec(any::<bool>(), 120),
        ) {
            let bytes_max = 4000;
            let root = tempfile::tempdir().unwrap();
            let mut writer = Writer::new(root.path().to_owned(), bytes_max);
            let mut written = String::new();
            for ((number, length), restart) in lengths.iter().enumerate().zip(restarts) {
                if restart {
                    writer = Writer::new(root.path().to_owned(), bytes_max);
                }
                let line = format!("{number:0length$}\n");
                writer.append(line.as_bytes()).unwrap();
                written.push_str(&line);
                prop_assert!(total(root.path()) <= bytes_max);
                let kept = all(root.path());
                prop_assert!(written.ends_with(&kept));
                // What went was one file's worth at most beyond what had to go.
                prop_assert!(kept.len() == written.len() || kept.len() as u64 > bytes_max - 2 * 400 - bytes_max / FILES);
                prop_assert_eq!(writer.current().lock().length, Some(fs::metadata(root.path().join(CURRENT)).unwrap().len()));
            }
        }
    }
}
