//! Files that were swapped out a moment ago.
//!
//! An editor that saves in place first finds the file by its name and then opens it for writing. When the node swaps the file
//! out between the two, neither sees the other: the editor writes into a file that has no name any more. So such a file is kept
//! open for a while, and what is written into it then is taken in as the newest edit.

use std::fs::File;
use std::io::{self, Seek as _};
use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

use super::file::{is_open_for_writing, read_open};

/// How long opening a file that was already found may take.
const OPENING_MAX: Duration = Duration::from_secs(1);
/// How long an editor may hold the file open for writing before it is no longer waited for.
const WRITING_MAX: Duration = Duration::from_secs(600);
/// Files that are kept, at most.
const FORMERS_MAX: usize = 64;

/// A file without a name, what it held, and since when.
#[derive(Debug)]
pub(super) struct Former {
    file: File,
    digest: [u8; 32],
    size: u64,
    modified: (i64, i64),
    since: Instant,
}

impl Former {
    /// Keeps `file`, which held `bytes` when it was swapped out.
    pub(super) fn new(file: File, bytes: &[u8]) -> io::Result<Self> {
        let metadata = file.metadata()?;
        let modified = (metadata.mtime(), metadata.mtime_nsec());
        let digest = Sha256::digest(bytes).into();
        Ok(Self { file, digest, size: metadata.size(), modified, since: Instant::now() })
    }

    /// Whether there is nothing to do about it. One `fstat`.
    fn is_quiet(&self) -> bool {
        let unchanged = self.file.metadata().is_ok_and(|metadata| {
            metadata.size() == self.size && (metadata.mtime(), metadata.mtime_nsec()) == self.modified
        });
        unchanged && self.since.elapsed() < OPENING_MAX
    }

    /// What became of it.
    fn fate(&self) -> io::Result<Fate> {
        if self.is_quiet() {
            return Ok(Fate::Awaited);
        }
        if is_open_for_writing(&self.file) {
            return Ok(if self.since.elapsed() < WRITING_MAX { Fate::Awaited } else { Fate::Over });
        }
        let mut file = &self.file;
        file.rewind()?;
        let bytes = read_open(file)?;
        if self.digest != Sha256::digest(&bytes)[..] {
            return Ok(Fate::Written(bytes));
        }
        Ok(if self.since.elapsed() < OPENING_MAX { Fate::Awaited } else { Fate::Over })
    }
}

enum Fate {
    /// Somebody may still write it.
    Awaited,
    /// Somebody wrote this.
    Written(Vec<u8>),
    /// Nobody will write it any more.
    Over,
}

/// The files that were swapped out lately, oldest first.
#[derive(Debug, Clone, Default)]
pub(super) struct Formers(Vec<Arc<Former>>);

impl Formers {
    /// Whether there is nothing to do about any of them. One `fstat` for each.
    pub(super) fn are_quiet(&self) -> bool {
        self.0.iter().all(|former| former.is_quiet())
    }

    /// Keeps one more; the oldest goes when there are too many.
    pub(super) fn keep(&mut self, former: Former) {
        if self.0.len() >= FORMERS_MAX {
            self.0.remove(0);
        }
        self.0.push(Arc::new(former));
    }

    /// Lets go of those that nobody will write any more, and answers what was written last into one of them.
    pub(super) fn written(&mut self) -> Option<Vec<u8>> {
        let mut newest = None;
        self.0.retain(|former| match former.fate() {
            Ok(Fate::Awaited) => true,
            Ok(Fate::Written(bytes)) => {
                newest = Some(bytes);
                false
            }
            Ok(Fate::Over) | Err(_) => false,
        });
        newest
    }
}
