//! The JSON files that people edit by hand while the node runs (`iam.json`, `bucket_policies.json`): reading,
//! noticing changes, writing.
//!
//! One actor owns a [`JsonStore`] and is its only writer inside the node; people are the others. So: a change is noticed
//! by inode, size and times; a broken edit leaves the last good state in force and is never overwritten; every write of
//! the node starts from what the file says now. What the file means is a [`Schema`]; the compiled state is published as
//! an immutable snapshot for readers on other threads.
//!
//! INVARIANT: a published state was compiled from a whole file that parsed.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use arc_swap::ArcSwap;
use serde_json::Value;

use crate::names::Stamp;

/// Largest file that is read, in bytes.
pub const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// How often a read or write is begun anew because someone else wrote at the same time.
const ATTEMPTS_MAX: usize = 5;
/// A file changed this shortly before it was read may change again without a visible trace (the kernel's time stamps
/// advance in ticks of up to 10 ms), in nanoseconds.
const TICK_NANOS_MAX: u64 = 50_000_000;
/// How long a look at the file serves further requests: too short for anybody who edits it, long enough that a busy node
/// does not ask the file system on every request.
const LOOK_NANOS: u64 = 1_000_000;

/// What tells one state of a file from another without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileStamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl FileStamp {
    /// The stamp of the file at `path`, links followed; `None` when there is none. One `stat`.
    pub fn of(path: &Path) -> io::Result<Option<Self>> {
        match fs::metadata(path) {
            Ok(metadata) => Ok(Some(Self::from(&metadata))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether a later change could leave the same stamp behind, for a file read at `now`.
    fn may_hide_a_change(&self, now: Stamp) -> bool {
        let (seconds, nanos) = self.changed;
        let changed = u64::try_from(seconds).unwrap_or(0).saturating_mul(1_000_000_000);
        let changed = changed.saturating_add(u64::try_from(nanos).unwrap_or(0));
        now.0.abs_diff(changed) < TICK_NANOS_MAX
    }
}

impl From<&fs::Metadata> for FileStamp {
    fn from(metadata: &fs::Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// Why a file's content is not in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileProblem {
    /// The file.
    pub path: PathBuf,
    /// Line of the mistake, counted from 1, where one is known.
    pub line: Option<usize>,
    /// What is wrong.
    pub reason: String,
}

impl fmt::Display for FileProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}, line {line}: {}", self.path.display(), self.reason),
            None => write!(f, "{}: {}", self.path.display(), self.reason),
        }
    }
}

/// What a [`Schema`] finds wrong in a text: the line, counted from 1, and the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Line, where one is known.
    pub line: Option<usize>,
    /// What is wrong.
    pub reason: String,
}

impl Mistake {
    /// A mistake at the first line of `text` that mentions `word` in quotes, if any does.
    pub fn near(text: &str, word: &str, reason: String) -> Self {
        let quoted = format!("\"{word}\"");
        let line = text.lines().position(|line| line.contains(&quoted)).map(|index| index + 1);
        Self { line, reason }
    }
}

impl From<serde_json::Error> for Mistake {
    fn from(error: serde_json::Error) -> Self {
        let line = (error.line() > 0).then_some(error.line());
        Self { line, reason: error.to_string() }
    }
}

impl From<StoreError> for Mistake {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Broken(problem) => Self { line: problem.line, reason: problem.reason },
            StoreError::Io { doing, source, .. } => Self { line: None, reason: format!("cannot {doing}: {source}") },
            StoreError::Contended { .. } => Self { line: None, reason: "the file keeps changing".to_owned() },
        }
    }
}

/// Why a file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The operating system refused.
    #[error("{}: cannot {doing}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was attempted.
        doing: &'static str,
        /// The refusal.
        #[source]
        source: io::Error,
    },
    /// The file holds a mistake; it is not overwritten until it parses.
    #[error("{0}")]
    Broken(FileProblem),
    /// Others wrote the file each time the node was about to.
    #[error("{}: the file keeps changing, try again", path.display())]
    Contended {
        /// The file.
        path: PathBuf,
    },
}

impl StoreError {
    /// Whether the device, or a quota on it, is full.
    pub fn is_full(&self) -> bool {
        use io::ErrorKind::{QuotaExceeded, StorageFull};
        matches!(self, Self::Io { source, .. } if matches!(source.kind(), StorageFull | QuotaExceeded))
    }
}

/// What a file means.
pub trait Schema {
    /// The compiled state.
    type State: Send + Sync;

    /// Compiles the parsed document; `text` is what it was parsed from, for the lines of mistakes.
    fn compile(&self, text: &str, document: &Value) -> Result<Self::State, Mistake>;

    /// Hears of a hand edit that has come into force.
    fn edited_by_hand(&self, before: Version<'_, Self::State>, after: Version<'_, Self::State>, now: Stamp) {
        let _ = (before, after, now);
    }
}

/// One version of a file.
#[derive(Debug)]
pub struct Version<'a, T> {
    /// The document.
    pub document: &'a Value,
    /// What it compiles to.
    pub state: &'a T,
}

/// A change that was made.
#[derive(Debug)]
pub struct Edited<R, T> {
    /// What the change answered.
    pub answer: R,
    /// Document and state before it; none when it left the file as it was.
    pub before: Option<(Value, Arc<T>)>,
}

/// A snapshot of a file's state.
#[derive(Debug)]
pub struct Published<T> {
    /// The last good state.
    pub state: Arc<T>,
    /// Why the file's present content is not that state.
    pub problem: Option<FileProblem>,
    /// Stamp of the file when it was last read; `None` for a missing file.
    seen: Option<FileStamp>,
    /// False when the file was read so soon after a change that another may have gone unseen.
    settled: bool,
    /// When this was published.
    since: Instant,
    /// When the file was last looked at for a reader, in nanoseconds since `since`; 0 for never.
    looked: AtomicU64,
}

impl<T> Published<T> {
    fn new(state: Arc<T>, problem: Option<FileProblem>, seen: Option<FileStamp>, settled: bool) -> Self {
        Self { state, problem, seen, settled, since: Instant::now(), looked: AtomicU64::new(0) }
    }

    /// Whether the file was there when it was last read.
    pub fn exists(&self) -> bool {
        self.seen.is_some()
    }

    /// Whether the file at `path` still is what was read. A file whose stamp cannot be read counts as changed.
    pub fn is_current(&self, path: &Path) -> bool {
        self.settled && FileStamp::of(path).is_ok_and(|stamp| stamp == self.seen)
    }

    /// The same for requests, of which many come at once: the file is looked at once a millisecond.
    pub fn is_current_lately(&self, path: &Path) -> bool {
        let now = u64::try_from(self.since.elapsed().as_nanos()).unwrap_or(u64::MAX).max(1);
        let looked = self.looked.load(Ordering::Relaxed);
        if looked != 0 && now.saturating_sub(looked) < LOOK_NANOS {
            return true;
        }
        let current = self.is_current(path);
        if current {
            self.looked.store(now, Ordering::Relaxed);
        }
        current
    }
}

/// Snapshots as readers hold them.
pub type Snapshot<T> = Arc<ArcSwap<Published<T>>>;

/// A JSON file and its published state.
#[derive(Debug)]
pub struct JsonStore<S: Schema> {
    path: PathBuf,
    schema: S,
    /// The last good document, unknown fields included.
    document: Value,
    text: String,
    published: Snapshot<S::State>,
}

impl<S: Schema> JsonStore<S> {
    /// Opens the file at `path`, or writes `first` there when there is none and `first` is given; without either the
    /// state is that of `empty`. Errs: Broken when the file does not parse, since there is no last good state yet.
    pub fn open(
        path: PathBuf,
        schema: S,
        first: Option<&Value>,
        empty: &Value,
        now: Stamp,
    ) -> Result<Self, StoreError> {
        let mut read = read(&path)?;
        if let (None, Some(first)) = (&read, first) {
            write(&path, first, None)?.ok_or_else(|| StoreError::Contended { path: path.clone() })?;
            read = self::read(&path)?;
        }
        let (text, seen) = match read {
            Some((text, stamp)) => (text, Some(stamp)),
            None => (empty.to_string(), None),
        };
        let (document, state) = compile(&schema, &text).map_err(|m| StoreError::Broken(problem(&path, m)))?;
        let settled = seen.is_none_or(|stamp| !stamp.may_hide_a_change(now));
        let published = Published::new(Arc::new(state), None, seen, settled);
        Ok(Self { path, schema, document, text, published: Arc::new(ArcSwap::from_pointee(published)) })
    }

    /// The snapshots, for readers.
    pub fn snapshot(&self) -> Snapshot<S::State> {
        Arc::clone(&self.published)
    }

    /// The last good document.
    pub fn document(&self) -> &Value {
        &self.document
    }

    /// What the file means.
    pub fn schema(&self) -> &S {
        &self.schema
    }

    /// Reads the file again if it changed; a broken one is logged once and leaves the state as it is.
    pub fn reload(&mut self, now: Stamp) {
        if self.published.load().is_current(&self.path) {
            return;
        }
        let found = match read(&self.path) {
            Ok(found) => found,
            Err(error) => {
                let seen = FileStamp::of(&self.path).ok().flatten();
                return self.publish_problem(seen, Mistake::from(error), now);
            }
        };
        let Some((text, stamp)) = found else {
            if self.published.load().seen.is_some() {
                let reason = "the file is gone; its last good state stays in force".to_owned();
                self.publish_problem(None, Mistake { line: None, reason }, now);
            }
            return;
        };
        if text == self.text {
            let state = Arc::clone(&self.published.load().state);
            return self.publish(state, None, Some(stamp), now);
        }
        match compile(&self.schema, &text) {
            Ok((document, state)) => {
                let (before, was) = (std::mem::replace(&mut self.document, document), self.published.load_full());
                self.text = text;
                tracing::info!(file = %self.path.display(), "reloaded after a change");
                let state = Arc::new(state);
                self.publish(Arc::clone(&state), None, Some(stamp), now);
                let before = Version { document: &before, state: &*was.state };
                self.schema.edited_by_hand(before, Version { document: &self.document, state: &*state }, now);
            }
            Err(mistake) => self.publish_problem(Some(stamp), mistake, now),
        }
    }

    /// Changes the document by `change`, which sees what the file says now, and writes it unless `change` left it as it
    /// is. Durable on return. `change` may run more than once. Errs: Broken while the file does not parse, or when the
    /// changed document would not.
    pub fn edit<R, E>(&mut self, now: Stamp, change: impl FnMut(&mut Value) -> Result<R, E>) -> Result<R, E>
    where
        E: From<StoreError>,
    {
        Ok(self.edit_and_tell(now, change)?.answer)
    }

    /// The same, and tells what was there before.
    pub fn edit_and_tell<R, E>(
        &mut self,
        now: Stamp,
        mut change: impl FnMut(&mut Value) -> Result<R, E>,
    ) -> Result<Edited<R, S::State>, E>
    where
        E: From<StoreError>,
    {
        for _ in 0..ATTEMPTS_MAX {
            self.reload(now);
            let before = self.published.load_full();
            if let Some(problem) = before.problem.clone().filter(|_| before.seen.is_some()) {
                return Err(StoreError::Broken(problem).into());
            }
            let mut document = self.document.clone();
            let answer = change(&mut document)?;
            if document == self.document && before.seen.is_some() {
                return Ok(Edited { answer, before: None });
            }
            let text = to_text(&document);
            let (_, state) = compile(&self.schema, &text).map_err(|m| StoreError::Broken(problem(&self.path, m)))?;
            if let Some(stamp) = write(&self.path, &document, before.seen)? {
                let former = std::mem::replace(&mut self.document, document);
                self.text = text;
                self.publish(Arc::new(state), None, Some(stamp), now);
                return Ok(Edited { answer, before: Some((former, Arc::clone(&before.state))) });
            }
        }
        Err(StoreError::Contended { path: self.path.clone() }.into())
    }

    fn publish_problem(&self, seen: Option<FileStamp>, mistake: Mistake, now: Stamp) {
        let problem = problem(&self.path, mistake);
        let before = self.published.load_full();
        if before.problem.as_ref() != Some(&problem) {
            tracing::error!("{problem}; the last good state stays in force");
        }
        self.publish(Arc::clone(&before.state), Some(problem), seen, now);
    }

    fn publish(&self, state: Arc<S::State>, problem: Option<FileProblem>, seen: Option<FileStamp>, now: Stamp) {
        let settled = seen.is_none_or(|stamp| !stamp.may_hide_a_change(now));
        self.published.store(Arc::new(Published::new(state, problem, seen, settled)));
    }
}

fn problem(path: &Path, mistake: Mistake) -> FileProblem {
    FileProblem { path: path.to_owned(), line: mistake.line, reason: mistake.reason }
}

/// Reads the text of a file.
pub(crate) fn compile<S: Schema>(schema: &S, text: &str) -> Result<(Value, S::State), Mistake> {
    // Editors of other systems put a byte order mark in front.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let document: Value = serde_json::from_str(text)?;
    let state = schema.compile(text, &document)?;
    Ok((document, state))
}

fn to_text(document: &Value) -> String {
    let mut text = serde_json::to_string_pretty(document).unwrap_or_else(|_| document.to_string());
    text.push('\n');
    text
}

fn io_error(path: &Path, doing: &'static str) -> impl Fn(io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::Io { path: path.clone(), doing, source }
}

/// The whole text of a file and the stamp under which it was read.
fn read(path: &Path) -> Result<Option<(String, FileStamp)>, StoreError> {
    for _ in 0..ATTEMPTS_MAX {
        let mut file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io_error(path, "open")(error)),
        };
        let before = FileStamp::from(&file.metadata().map_err(io_error(path, "stat"))?);
        if before.size > FILE_BYTES_MAX {
            let reason = format!("larger than {FILE_BYTES_MAX} bytes");
            return Err(StoreError::Broken(problem(path, Mistake { line: None, reason })));
        }
        let mut bytes = Vec::new();
        (&mut file).take(FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(io_error(path, "read"))?;
        let after = FileStamp::from(&file.metadata().map_err(io_error(path, "stat"))?);
        if before == after {
            let text = String::from_utf8(bytes).map_err(|error| {
                let valid = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
                let line = Some(valid.iter().filter(|byte| **byte == b'\n').count() + 1);
                StoreError::Broken(problem(path, Mistake { line, reason: "not UTF-8 text".to_owned() }))
            })?;
            return Ok(Some((text, after)));
        }
    }
    Err(StoreError::Contended { path: path.to_owned() })
}

/// Puts `document` in the place of the file whose stamp is `expected`. Answers the new stamp, or `None` when another
/// state is there by now.
fn write(path: &Path, document: &Value, expected: Option<FileStamp>) -> Result<Option<FileStamp>, StoreError> {
    // A link stays a link: the file that it names is replaced.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = match target.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    make_folder(&folder).map_err(io_error(&folder, "create the folder"))?;
    let mut name = std::ffi::OsString::from(".");
    name.push(target.file_name().unwrap_or_default());
    name.push(".tmp");
    let temporary = folder.join(name);
    write_whole(&temporary, to_text(document).as_bytes()).map_err(io_error(&temporary, "write"))?;
    if FileStamp::of(path).map_err(io_error(path, "stat"))? != expected {
        let _ = fs::remove_file(&temporary);
        return Ok(None);
    }
    // SAFETY OF ORDER: the bytes are durable before the name points to them, the name before the caller hears of it.
    fs::rename(&temporary, &target).map_err(io_error(&target, "replace"))?;
    File::open(&folder).and_then(|folder| folder.sync_all()).map_err(io_error(&folder, "sync"))?;
    FileStamp::of(path).map_err(io_error(path, "stat"))
}

fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // A left-over of a crash: removed rather than opened, whatever it is.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    // The mode at creation is subject to the umask only downwards; said again so that it is exactly this one.
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Makes a folder and those above it, each durable in the one above.
fn make_folder(folder: &Path) -> io::Result<()> {
    match fs::create_dir(folder) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make_folder(folder.parent().ok_or(error)?)?;
            return make_folder(folder);
        }
        Err(_) if folder.is_dir() => return Ok(()),
        Err(error) => return Err(error),
    }
    let above = folder.parent().filter(|above| !above.as_os_str().is_empty());
    File::open(above.unwrap_or_else(|| Path::new(".")))?.sync_all()
}

/// Writes a small secret file, mode 0600, atomically and durably, unless one is there. Answers whether it wrote.
pub fn write_new_secret(path: &Path, bytes: &[u8]) -> Result<bool, StoreError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    make_folder(folder).map_err(io_error(folder, "create the folder"))?;
    let temporary = path.with_extension("tmp");
    write_whole(&temporary, bytes).map_err(io_error(&temporary, "write"))?;
    let is_new = match fs::hard_link(&temporary, path) {
        Ok(()) => true,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
        Err(_) if path.exists() => false,
        // A file system without links.
        Err(_) => {
            fs::rename(&temporary, path).map_err(io_error(path, "write"))?;
            true
        }
    };
    // Gone already where it was renamed.
    let _ = fs::remove_file(&temporary);
    if !is_new {
        return Ok(false);
    }
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(io_error(folder, "sync"))?;
    Ok(true)
}

#[cfg(test)]
mod tests {
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

    const LATER: Stamp = Stamp(u64::MAX);

    fn open(path: &Path) -> JsonStore<Numbers> {
        JsonStore::open(path.to_owned(), Numbers, Some(&json!({"n": 1})), &json!({"n": 0}), LATER).unwrap()
    }

    fn state(store: &JsonStore<Numbers>) -> u64 {
        *store.snapshot().load().state
    }

    #[test]
    fn writes_the_first_document_privately() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/file.json");
        let store = open(&path);
        assert_eq!(state(&store), 1);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(store.snapshot().load().is_current(&path));
    }

    #[test]
    fn sees_edits_and_keeps_the_last_good_state() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file.json");
        let mut store = open(&path);
        fs::write(&path, r#"{"n": 22, "more": true}"#).unwrap();
        assert!(!store.snapshot().load().is_current(&path));
        store.reload(LATER);
        assert_eq!(state(&store), 22);

        fs::write(&path, "{\n\"n\": 3,,}").unwrap();
        store.reload(LATER);
        assert_eq!(state(&store), 22);
        assert_eq!(store.snapshot().load().problem.as_ref().unwrap().line, Some(2));
        assert!(store.snapshot().load().is_current(&path), "a broken file is not read again until it changes");
        let refused: Result<(), StoreError> = store.edit(LATER, |document| {
            document["n"] = json!(5);
            Ok(())
        });
        assert!(matches!(refused, Err(StoreError::Broken(_))));
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\n\"n\": 3,,}");

        fs::write(&path, "{\"n\": 4, \"kept\": [1]}").unwrap();
        let edited: Result<u64, StoreError> = store.edit(LATER, |document| {
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
        store.reload(LATER);
        assert_eq!(state(&store), 1);
        assert!(store.snapshot().load().problem.is_some());
        let same: Result<(), StoreError> = store.edit(LATER, |_| Ok(()));
        same.unwrap();
        assert!(path.exists());
        assert!(store.snapshot().load().problem.is_none());
    }

    #[test]
    fn a_read_right_after_a_change_is_not_trusted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file.json");
        let now = Stamp::from_system_time(std::time::SystemTime::now());
        let store = JsonStore::open(path.clone(), Numbers, Some(&json!({"n": 1})), &json!({}), now).unwrap();
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
        let edited: Result<(), StoreError> = store.edit(LATER, |document| {
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
        let error = JsonStore::open(path, Numbers, None, &json!({"n": 0}), LATER).unwrap_err();
        assert!(error.to_string().contains("file.json, line 1: n is not a number"), "{error}");
    }
}
