//! What the kernel tells of a folder (`inotify(7)`), so that a request need not look at a file in which nothing happened.
//!
//! An event stands in the queue before the call that caused it returns. So who edits a file and then asks the node finds that it
//! was noticed, and asking whether the queue is empty costs a third of looking at the file.
//!
//! INVARIANT: between two looks that answer the same turn, no event was in the queue.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};

/// Bytes that are taken out of the queue at once; an event has 16 and a name.
const EVENT_BYTES: usize = 4096;
/// How often, before the rest waits for the next look.
const READS_MAX: usize = 64;

/// A folder that is watched.
#[derive(Debug)]
pub(super) struct Watch {
    queue: OwnedFd,
    /// Device and inode of the folder.
    folder: (u64, u64),
    /// Grows with whatever is taken out of the queue; odd while it is.
    turn: AtomicU64,
}

impl Watch {
    /// Watches the folder of the file at `path`, by `former` if that does. None where the kernel cannot, and for a link, whose
    /// file lies elsewhere.
    pub(super) fn of(path: &Path, former: Option<&Arc<Self>>) -> Option<Arc<Self>> {
        if path.is_symlink() {
            return None;
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
        let identity = identity(folder).ok()?;
        if let Some(former) = former.filter(|former| former.folder == identity) {
            return Some(Arc::clone(former));
        }
        let queue = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).ok()?;
        let written = WatchFlags::MODIFY | WatchFlags::CLOSE_WRITE | WatchFlags::ATTRIB;
        let named = WatchFlags::CREATE | WatchFlags::DELETE | WatchFlags::MOVED_FROM | WatchFlags::MOVED_TO;
        let itself = WatchFlags::DELETE_SELF | WatchFlags::MOVE_SELF | WatchFlags::ONLYDIR;
        inotify::add_watch(&queue, folder, written | named | itself).ok()?;
        Some(Arc::new(Self { queue, folder: identity, turn: AtomicU64::new(0) }))
    }

    /// The present turn; none when something has just happened. What is looked at after this call, and found as it was, stays so
    /// for as long as the turn is the same.
    pub(super) fn turn(&self) -> Option<u64> {
        match rustix::io::ioctl_fionread(&self.queue) {
            Ok(0) => {}
            Ok(_) => {
                self.empty();
                return None;
            }
            Err(_) => return None,
        }
        // SAFETY OF ORDER: after the queue. Who finds it empty because another has just emptied it, finds the turn odd or grown.
        let turn = self.turn.load(Ordering::Acquire);
        turn.is_multiple_of(2).then_some(turn)
    }

    fn empty(&self) {
        let turn = self.turn.load(Ordering::Acquire);
        let is_mine = turn.is_multiple_of(2)
            && self.turn.compare_exchange(turn, turn + 1, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        if !is_mine {
            return;
        }
        let mut events = [0; EVENT_BYTES];
        for _ in 0..READS_MAX {
            if !rustix::io::read(&self.queue, &mut events).is_ok_and(|bytes| bytes > 0) {
                break;
            }
        }
        self.turn.store(turn + 2, Ordering::Release);
    }
}

fn identity(folder: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::metadata(folder)?;
    Ok((metadata.dev(), metadata.ino()))
}
