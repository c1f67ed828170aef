//! What the kernel tells of a folder (`inotify(7)`), so that a request need not look at a file in which nothing happened.
//!
//! An event stands in the queue before the call that caused it returns. So who edits a file and then asks the node finds that it
//! was noticed, and asking whether the queue is empty costs a third of looking at the file.
//!
//! All files of a folder share its watch, and a look serves every request that had arrived before it: so a request asks the kernel
//! once, whichever files it depends on.
//!
//! INVARIANT: between two looks that answer the same turn, no event was in the queue.

use std::fs;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Instant;

use parking_lot::Mutex;
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};

/// Bytes that are taken out of the queue at once; an event has 16 and a name.
const EVENT_BYTES: usize = 4096;
/// Most events that are taken out at a look: more than the kernel keeps (`max_queued_events`, 16384 by default).
const EVENTS_MAX: usize = 1 << 16;

/// The watches there are: the kernel has few to give, and one tells all.
static WATCHES: Mutex<Vec<Weak<Watch>>> = Mutex::new(Vec::new());

/// A folder that is watched.
#[derive(Debug)]
pub(super) struct Watch {
    queue: OwnedFd,
    /// Device and inode of the folder.
    folder: (u64, u64),
    /// Grows with whatever is taken out of the queue; odd while it is.
    turn: AtomicU64,
    /// Whether the folder is gone, so that the kernel tells nothing any more.
    is_over: AtomicBool,
    /// When it was made.
    since: Instant,
    /// When the queue was last found empty, in nanoseconds since `since`; 0 for never.
    looked: AtomicU64,
}

impl Watch {
    /// The watch of the folder of the file at `path`. None where the kernel cannot, and for a link, whose file lies elsewhere.
    pub(super) fn of(path: &Path) -> Option<Arc<Self>> {
        if path.is_symlink() {
            return None;
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
        let identity = identity(folder).ok()?;
        let mut watches = WATCHES.lock();
        watches.retain(|watch| watch.strong_count() > 0);
        let found = watches.iter().filter_map(Weak::upgrade).find(|watch| watch.folder == identity && watch.goes_on());
        if found.is_some() {
            return found;
        }
        let watch = Arc::new(Self::new(folder, identity).ok()?);
        watches.push(Arc::downgrade(&watch));
        Some(watch)
    }

    fn new(folder: &Path, identity: (u64, u64)) -> io::Result<Self> {
        let queue = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        let written = WatchFlags::MODIFY | WatchFlags::CLOSE_WRITE | WatchFlags::ATTRIB;
        let named = WatchFlags::CREATE | WatchFlags::DELETE | WatchFlags::MOVED_FROM | WatchFlags::MOVED_TO;
        let itself = WatchFlags::DELETE_SELF | WatchFlags::MOVE_SELF | WatchFlags::ONLYDIR;
        inotify::add_watch(&queue, folder, written | named | itself)?;
        let (turn, looked) = (AtomicU64::new(0), AtomicU64::new(0));
        Ok(Self { queue, folder: identity, turn, is_over: AtomicBool::new(false), since: Instant::now(), looked })
    }

    /// Whether the kernel still tells of the folder: the number of one that is gone may be another's by now.
    fn goes_on(&self) -> bool {
        self.turn(Instant::now());
        !self.is_over.load(Ordering::Acquire)
    }

    /// The turn at a moment at which all has been told that happened before `arrived`; none when something has just happened. What
    /// is looked at after this call, and found as it was, stays so for as long as the turn is the same.
    pub(super) fn turn(&self, arrived: Instant) -> Option<u64> {
        let looked = self.looked.load(Ordering::Acquire);
        if looked == 0 || looked < nanos(self.since, arrived) {
            // Before the question, since what happens after it may be untold.
            let now = nanos(self.since, Instant::now()).max(1);
            match rustix::io::ioctl_fionread(&self.queue) {
                Ok(0) => {}
                Ok(_) => {
                    self.empty();
                    return None;
                }
                Err(_) => return None,
            }
            // SAFETY OF ORDER: after the queue. Who finds it empty because another has just emptied it, finds the turn odd or grown.
            let turn = self.even_turn()?;
            // SAFETY OF ORDER: after the turn. Who finds this look recent enough, finds this turn or a later one.
            self.looked.fetch_max(now, Ordering::Release);
            return Some(turn);
        }
        self.even_turn()
    }

    fn even_turn(&self) -> Option<u64> {
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
        let mut events = [MaybeUninit::uninit(); EVENT_BYTES];
        let mut events = inotify::Reader::new(&self.queue, &mut events);
        // Where events were dropped, or are left over, the end of the folder may be among them.
        let ends = ReadFlags::IGNORED | ReadFlags::QUEUE_OVERFLOW;
        let told = (0..EVENTS_MAX).find_map(|_| match events.next() {
            Ok(event) => event.events().intersects(ends).then_some(true),
            Err(_) => Some(false),
        });
        if told.unwrap_or(true) {
            self.is_over.store(true, Ordering::Release);
        }
        // Of a folder that is gone it stays odd: all is looked at.
        if !self.is_over.load(Ordering::Acquire) {
            self.turn.store(turn + 2, Ordering::Release);
        }
    }
}

/// From one moment to another in nanoseconds; 0 when that is not behind it.
pub(super) fn nanos(since: Instant, at: Instant) -> u64 {
    u64::try_from(at.saturating_duration_since(since).as_nanos()).unwrap_or(u64::MAX)
}

fn identity(folder: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::metadata(folder)?;
    Ok((metadata.dev(), metadata.ino()))
}
