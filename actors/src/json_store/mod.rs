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
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use serde_json::Value;

use self::file::{ATTEMPTS_MAX, Replaced, Seen, problem, read, replace, rest};
pub use self::file::{FILE_BYTES_MAX, FileStamp, write_new_secret};
use self::former::Formers;
use self::watch::{Watch, nanos};
use crate::names::Stamp;

mod file;
mod former;
#[cfg(test)]
mod races;
#[cfg(test)]
mod tests;
mod watch;

/// How long the folder that the file was found in serves further looks, before the whole path is followed again.
const FOLDER_LASTS: Duration = Duration::from_millis(10);

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
    /// The files that it replaced a moment ago.
    formers: Formers,
    /// The folder that the file was in.
    folder: Option<OwnedFd>,
    /// What the kernel tells of that folder.
    watch: Option<Arc<Watch>>,
    /// The turn of `watch` in which the file was last found to be current; odd for never.
    turn: AtomicU64,
    /// When this was published.
    since: Instant,
    /// When the request arrived for which the whole path was last followed, in nanoseconds since `since`; 0 for never.
    followed: AtomicU64,
}

impl<T> Published<T> {
    fn new(path: &Path, state: Arc<T>, problem: Option<FileProblem>, seen: Option<Seen>, kept: &Kept) -> Self {
        let settled = seen.as_ref().is_none_or(|seen| seen.settled);
        Self {
            state,
            problem,
            seen: seen.map(|seen| seen.stamp),
            settled,
            formers: kept.formers.clone(),
            folder: file::folder_of(path),
            watch: kept.watch.clone(),
            turn: AtomicU64::new(1),
            since: Instant::now(),
            followed: AtomicU64::new(0),
        }
    }

    /// Whether the file was there when it was last read.
    pub fn exists(&self) -> bool {
        self.seen.is_some()
    }

    /// Whether the file at `path` still is what was read. A file whose stamp cannot be read counts as changed.
    pub fn is_current(&self, path: &Path) -> bool {
        self.settled && self.formers.are_quiet() && FileStamp::of(path).is_ok_and(|stamp| stamp == self.seen)
    }

    /// The same for requests, of which many come at once, and each of whose clients may have edited the file a moment ago. Where
    /// the kernel tells that nothing happened in the folder, that is all that is looked at; else the file is, in the folder that
    /// it was in, which is the cheaper half of following a path. Folders and links on the way, and what the kernel does not tell
    /// (other hosts of a network's file system, memory maps), are looked at once in `FOLDER_LASTS`. What was looked at after the
    /// request had `arrived` need not be looked at again.
    pub fn is_current_for_request(&self, path: &Path, arrived: Instant) -> bool {
        // By the clock that was read already. What is followed now is found as it was when the request arrived, or later.
        let now = nanos(self.since, arrived).max(1);
        let followed = self.followed.load(Ordering::Relaxed);
        let is_followed = followed != 0 && u128::from(now.saturating_sub(followed)) < FOLDER_LASTS.as_nanos();
        let turn = self.watch.as_ref().and_then(|watch| watch.turn(arrived));
        if let Some(folder) = self.folder.as_ref().filter(|_| is_followed) {
            let is_silent = turn.is_some_and(|turn| turn == self.turn.load(Ordering::Relaxed));
            let is_same = || FileStamp::of_name(folder, path).is_ok_and(|stamp| stamp == self.seen);
            return self.formers.are_quiet() && (is_silent || self.note(turn, is_same()));
        }
        let current = self.note(turn, self.is_current(path));
        if current {
            self.followed.store(now, Ordering::Relaxed);
        }
        current
    }

    /// Notes in which turn the file was found current.
    fn note(&self, turn: Option<u64>, is_current: bool) -> bool {
        if let Some(turn) = turn.filter(|_| is_current) {
            self.turn.store(turn, Ordering::Relaxed);
        }
        is_current
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
    kept: Kept,
    published: Snapshot<S::State>,
}

/// What one state of the file hands on to the next.
#[derive(Debug)]
struct Kept {
    formers: Formers,
    watch: Option<Arc<Watch>>,
}

impl<S: Schema> JsonStore<S> {
    /// Opens the file at `path`, or writes `first` there when there is none and `first` is given; without either the
    /// state is that of `empty`. Errs: Broken when the file does not parse, since there is no last good state yet.
    pub fn open(path: PathBuf, schema: S, first: Option<&Value>, empty: &Value) -> Result<Self, StoreError> {
        let mut read = read(&path)?;
        if let (None, Some(first)) = (&read, first) {
            // Somebody else's file, if there is one by now.
            replace(&path, &to_text(first), None)?;
            read = self::read(&path)?;
        }
        let (text, seen) = match read {
            Some((text, seen)) => (text, Some(seen)),
            None => (empty.to_string(), None),
        };
        let (document, state) = compile(&schema, &text).map_err(|m| StoreError::Broken(problem(&path, m)))?;
        let kept = Kept { formers: Formers::default(), watch: Watch::of(&path) };
        let published = Published::new(&path, Arc::new(state), None, seen, &kept);
        Ok(Self { path, schema, document, text, kept, published: Arc::new(ArcSwap::from_pointee(published)) })
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
        self.take_in_late_edits();
        let found = match read(&self.path) {
            Ok(found) => found,
            Err(error) => {
                let stamp = FileStamp::of(&self.path).ok().flatten();
                let seen = stamp.map(|stamp| Seen { stamp, settled: stamp.is_settled() });
                return self.publish_problem(seen, Mistake::from(error));
            }
        };
        let Some((text, seen)) = found else {
            if self.published.load().seen.is_some() {
                let reason = "the file is gone; its last good state stays in force".to_owned();
                self.publish_problem(None, Mistake { line: None, reason });
            }
            return;
        };
        if text == self.text {
            let state = Arc::clone(&self.published.load().state);
            return self.publish(state, None, Some(seen));
        }
        match compile(&self.schema, &text) {
            Ok((document, state)) => {
                let (before, was) = (std::mem::replace(&mut self.document, document), self.published.load_full());
                self.text = text;
                tracing::info!(file = %self.path.display(), "reloaded after a change");
                let state = Arc::new(state);
                self.publish(Arc::clone(&state), None, Some(seen));
                let before = Version { document: &before, state: &*was.state };
                self.schema.edited_by_hand(before, Version { document: &self.document, state: &*state }, now);
            }
            Err(mistake) => self.publish_problem(Some(seen), mistake),
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
        change: impl FnMut(&mut Value) -> Result<R, E>,
    ) -> Result<Edited<R, S::State>, E>
    where
        E: From<StoreError>,
    {
        self.edit_if(now, change, |_, _| Ok(()))
    }

    /// The same, unless `may` refuses what would come of it: it is given the state before and the one after.
    pub fn edit_if<R, E>(
        &mut self,
        now: Stamp,
        mut change: impl FnMut(&mut Value) -> Result<R, E>,
        may: impl Fn(&S::State, &S::State) -> Result<(), E>,
    ) -> Result<Edited<R, S::State>, E>
    where
        E: From<StoreError>,
    {
        for attempt in 0..ATTEMPTS_MAX {
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
            may(&*before.state, &state)?;
            let was = before.seen.map(|stamp| (self.text.clone(), stamp));
            if let Some(seen) = self.replace(&text, was)? {
                let former = std::mem::replace(&mut self.document, document);
                self.text = text;
                self.publish(Arc::new(state), None, Some(seen));
                return Ok(Edited { answer, before: Some((former, Arc::clone(&before.state))) });
            }
            rest(attempt);
        }
        Err(StoreError::Contended { path: self.path.clone() }.into())
    }

    fn replace(&mut self, text: &str, was: Option<(String, FileStamp)>) -> Result<Option<Seen>, StoreError> {
        let was = was.as_ref().map(|(text, stamp)| (text.as_str(), *stamp));
        let Replaced { seen, former } = replace(&self.path, text, was)?;
        if let Some(former) = former {
            self.kept.formers.keep(former);
        }
        Ok(seen)
    }

    /// What somebody saved into a file that the node had just replaced takes the file's place: it was saved last.
    fn take_in_late_edits(&mut self) {
        let Some(bytes) = self.kept.formers.written() else { return };
        let written = String::from_utf8(bytes).map_err(|_| "not UTF-8 text".to_owned()).and_then(|text| {
            for attempt in 0..ATTEMPTS_MAX {
                let was = read(&self.path).map_err(|error| error.to_string())?;
                if self
                    .replace(&text, was.map(|(text, seen)| (text, seen.stamp)))
                    .map_err(|error| error.to_string())?
                    .is_some()
                {
                    return Ok(());
                }
                rest(attempt);
            }
            Err("the file keeps changing".to_owned())
        });
        match written {
            Ok(()) => {
                tracing::info!(file = %self.path.display(), "took in an edit that was saved while the node wrote")
            }
            Err(reason) => tracing::error!(
                "{}: an edit that was saved while the node wrote is lost: {reason}",
                self.path.display()
            ),
        }
    }

    fn publish_problem(&mut self, seen: Option<Seen>, mistake: Mistake) {
        let problem = problem(&self.path, mistake);
        let before = self.published.load_full();
        if before.problem.as_ref() != Some(&problem) {
            tracing::error!("{problem}; the last good state stays in force");
        }
        self.publish(Arc::clone(&before.state), Some(problem), seen);
    }

    fn publish(&mut self, state: Arc<S::State>, problem: Option<FileProblem>, seen: Option<Seen>) {
        self.kept.watch = Watch::of(&self.path);
        self.published.store(Arc::new(Published::new(&self.path, state, problem, seen, &self.kept)));
    }
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
