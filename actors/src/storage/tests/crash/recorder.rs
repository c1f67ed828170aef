//! Notes every change of the file system in the order in which it is made, and makes one of them fail if asked to.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use parking_lot::Mutex;

use crate::names::Stamp;
use crate::storage::disk::{Act, Watcher};

/// A file or folder, whatever its name.
pub type NodeId = usize;

/// A change that was made, or a mark of the workload between changes.
#[derive(Debug, Clone)]
pub enum Note {
    MakeFile {
        path: PathBuf,
        id: NodeId,
        time: Stamp,
    },
    MakeFolder {
        path: PathBuf,
        id: NodeId,
    },
    Rename {
        from: PathBuf,
        to: PathBuf,
    },
    Remove {
        path: PathBuf,
    },
    /// With the time that the file has by it.
    Write {
        id: NodeId,
        offset: u64,
        bytes: Vec<u8>,
        time: Stamp,
    },
    Resize {
        id: NodeId,
        bytes: u64,
    },
    SetTime {
        id: NodeId,
        time: Stamp,
    },
    SetTag {
        id: NodeId,
        tag: Option<Vec<u8>>,
    },
    SyncData {
        id: NodeId,
    },
    SyncFolder {
        path: PathBuf,
    },
    SyncEverything,
    Begun {
        request: usize,
    },
    Acknowledged {
        request: usize,
    },
    Refused,
}

/// How a change fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// EIO, and nothing was done.
    Eio,
    /// ENOSPC, and nothing was done.
    Full,
    /// Half of a write was done, then EIO.
    Short,
}

/// A change that is to fail: once, or it and all that follow.
#[derive(Debug, Clone, Copy)]
pub struct Fault {
    /// So many come before it.
    pub at: usize,
    /// Only syncs of files count.
    pub only_syncs: bool,
    pub failure: Failure,
    pub lasting: bool,
}

#[derive(Debug, Default)]
struct Notes {
    notes: Vec<Note>,
    /// Inode numbers are used again, so a new file takes its number over.
    ids: HashMap<u64, NodeId>,
    made: NodeId,
    /// Changes so far that count, failed ones included.
    changes: usize,
    failed: bool,
}

/// The watcher.
#[derive(Debug)]
pub struct Recorder {
    root: PathBuf,
    fault: Option<Fault>,
    state: Mutex<Notes>,
}

impl Recorder {
    /// For a node at `root`, which is empty or as `model` has it.
    pub fn new(root: &Path, fault: Option<Fault>) -> Self {
        Self { root: root.to_owned(), fault, state: Mutex::default() }
    }

    /// Gives the file or folder at `path`, which no change made, the id `id`.
    pub fn adopt(&self, path: &Path, id: NodeId) {
        let mut state = self.state.lock();
        if let Some(inode) = self.inode_at(path) {
            state.ids.insert(inode, id);
            state.made = state.made.max(id + 1);
        }
    }

    pub fn mark(&self, note: Note) {
        self.state.lock().notes.push(note);
    }

    /// What was noted so far.
    pub fn notes(&self) -> Vec<Note> {
        self.state.lock().notes.clone()
    }

    /// Changes so far.
    pub fn changes(&self) -> usize {
        self.state.lock().changes
    }

    /// Whether the fault occurred.
    pub fn has_failed(&self) -> bool {
        self.state.lock().failed
    }

    fn inode_at(&self, path: &Path) -> Option<u64> {
        std::fs::symlink_metadata(self.root.join(path)).ok().map(|there| there.ino())
    }

    fn strikes(&self, state: &mut Notes, act: &Act<'_>) -> Option<Failure> {
        let fault = self.fault;
        if fault.is_some_and(|fault| fault.only_syncs) && !matches!(act, Act::SyncData { .. }) {
            return None;
        }
        // Tidying that nobody relies on: an empty folder that cannot be removed stays.
        if matches!(act, Act::RemoveFolder { .. }) {
            return None;
        }
        state.changes += 1;
        let fault = fault?;
        let strikes = state.changes > fault.at && (fault.lasting || !state.failed);
        state.failed |= strikes;
        strikes.then_some(fault.failure)
    }
}

impl Notes {
    fn id(&self, file: &File) -> Option<NodeId> {
        self.ids.get(&file.metadata().ok()?.ino()).copied()
    }

    fn new_node(&mut self, inode: Option<u64>) -> NodeId {
        let id = self.made;
        self.made += 1;
        self.ids.extend(inode.map(|inode| (inode, id)));
        id
    }

    fn of_file(&mut self, file: &File, note: impl FnOnce(NodeId) -> Note) {
        if let Some(id) = self.id(file) {
            self.notes.push(note(id));
        }
    }
}

fn tag_of(file: &File) -> Option<Vec<u8>> {
    let mut tag = vec![0; 4096];
    let size = rustix::fs::fgetxattr(file, "user.myfsio", &mut tag).ok()?;
    tag.truncate(size);
    Some(tag)
}

fn time_of(file: &File) -> Stamp {
    Stamp::from_system_time(file.metadata().unwrap().modified().unwrap())
}

impl Watcher for Recorder {
    fn change(&self, act: &Act<'_>, work: &mut dyn FnMut() -> io::Result<()>) -> io::Result<()> {
        let mut state = self.state.lock();
        let state = &mut *state;
        if let Some(failure) = self.strikes(state, act) {
            if let (Failure::Short, Act::Write { file, offset, bytes }) = (failure, act) {
                let half = &bytes[..bytes.len() / 2];
                file.write_all_at(half, *offset)?;
                state.of_file(file, |id| Note::Write {
                    id,
                    offset: *offset,
                    bytes: half.to_vec(),
                    time: time_of(file),
                });
            }
            return Err(match failure {
                Failure::Full => rustix::io::Errno::NOSPC.into(),
                Failure::Eio | Failure::Short => rustix::io::Errno::IO.into(),
            });
        }
        let before = match act {
            Act::MakeFile { path, .. } => self.inode_at(path),
            _ => None,
        };
        work()?;
        match *act {
            Act::MakeFile { path, keep } => match before {
                Some(_) if keep => {}
                Some(inode) => {
                    let id = state.ids.get(&inode).copied();
                    state.notes.extend(id.map(|id| Note::Resize { id, bytes: 0 }));
                }
                None => {
                    let id = state.new_node(self.inode_at(path));
                    let time = time_of(&File::open(self.root.join(path))?);
                    state.notes.push(Note::MakeFile { path: path.to_owned(), id, time });
                }
            },
            Act::MakeFolder { path } => {
                let id = state.new_node(self.inode_at(path));
                state.notes.push(Note::MakeFolder { path: path.to_owned(), id });
            }
            Act::Rename { from, to } => state.notes.push(Note::Rename { from: from.to_owned(), to: to.to_owned() }),
            // What is kept of damaged files beside the objects is no promise.
            Act::Link { .. } => {}
            Act::RemoveFile { path } | Act::RemoveFolder { path } => {
                state.notes.push(Note::Remove { path: path.to_owned() });
            }
            Act::Write { file, offset, bytes } => {
                state.of_file(file, |id| Note::Write { id, offset, bytes: bytes.to_vec(), time: time_of(file) });
            }
            Act::Copy { file, offset, length } => {
                let mut bytes = vec![0; length as usize];
                file.read_exact_at(&mut bytes, offset)?;
                state.of_file(file, |id| Note::Write { id, offset, bytes, time: time_of(file) });
            }
            Act::Resize { file, bytes } => state.of_file(file, |id| Note::Resize { id, bytes }),
            Act::SetTime { file } => state.of_file(file, |id| Note::SetTime { id, time: time_of(file) }),
            Act::SetTag { file } => state.of_file(file, |id| Note::SetTag { id, tag: tag_of(file) }),
            Act::SyncData { file } => state.of_file(file, |id| Note::SyncData { id }),
            Act::SyncFolder { path } => state.notes.push(Note::SyncFolder { path: path.to_owned() }),
            Act::SyncEverything => state.notes.push(Note::SyncEverything),
        }
        Ok(())
    }
}
