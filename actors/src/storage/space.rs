//! Space on the device: how much is free, how much of that is spoken for, and the ballast for when it is gone.
//!
//! A new body claims its space before its first byte is taken and is refused while what was acknowledged still fits; so a
//! node that has the device to itself never meets its end. When somebody else fills it, what was acknowledged is brought
//! into index and files by releasing the ballast, objects can be read and deleted, and new ones are refused until the
//! ballast is whole again.
//!
//! The device is asked twice a second; in between, what is claimed and written is counted.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};
use parking_lot::{Mutex, RwLock};

use super::StorageError;
use super::ballast::Ballast;
use super::disk::{Disk, FreeSpace};
use super::steps::Step;

/// Time between two looks at the device.
const INTERVAL: Duration = Duration::from_millis(500);
/// Bytes left to the index and to folders at least, beside the ballast.
const MARGIN_BYTES_MIN: u64 = 1 << 20;
/// Smallest difference between too little space and enough.
const STEP_BYTES_MIN: u64 = 64 << 10;
/// Files that must stay free: those of committed bodies may still have to be made. Fewer on a small device.
const FILES_MARGIN: u64 = 16_384;

/// What is known of the space on the device.
#[derive(Debug)]
pub(super) struct Space {
    disk: Arc<Disk>,
    ballast: Mutex<Ballast>,
    /// Bytes kept free for the index and for folders.
    margin: i64,
    /// Free bytes at the last look, less those written since.
    free: AtomicI64,
    /// Free bytes that will be written: bodies under way, and committed ones whose files do not stand yet.
    claimed: AtomicI64,
    /// Files that new bodies may still take until the next look.
    files: AtomicI64,
    /// Why new objects are refused.
    shortage: RwLock<Option<String>>,
    is_short: AtomicBool,
    /// The ballast is used up and did not suffice.
    exhausted: AtomicBool,
    /// No more than half of the ballast is left: that is for what frees space.
    is_thin: AtomicBool,
    /// Whether it is of use to wait for space: not at the start, and not when the node stops.
    patient: AtomicBool,
}

/// Whether an error says that the device, or a quota on it, is full.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

fn mib(bytes: i64) -> i64 {
    bytes.max(0) >> 20
}

impl Space {
    /// Looks at the device and at the ballast that an earlier run left.
    pub fn open(disk: Arc<Disk>, ballast_bytes: u64) -> io::Result<Arc<Self>> {
        let ballast = Ballast::open(&disk, ballast_bytes)?;
        let margin = signed((ballast.target() / 4).max(MARGIN_BYTES_MIN.min(disk.free_space()?.total / 64)));
        let space = Self {
            ballast: Mutex::new(ballast),
            margin,
            free: AtomicI64::new(0),
            claimed: AtomicI64::new(0),
            files: AtomicI64::new(0),
            shortage: RwLock::new(None),
            is_short: AtomicBool::new(false),
            exhausted: AtomicBool::new(false),
            is_thin: AtomicBool::new(false),
            patient: AtomicBool::new(false),
            disk,
        };
        space.count(space.disk.free_space()?);
        Ok(Arc::new(space))
    }

    /// Notes what a look at the device found. Answers whether files are running out.
    fn count(&self, there: FreeSpace) -> bool {
        self.free.store(signed(there.bytes), Ordering::SeqCst);
        // Some file systems make room for files as they go, and tell no number.
        let margin = signed(FILES_MARGIN.min(there.files_total / 16));
        let files = if there.files_total == 0 { i64::MAX } else { signed(there.files) - margin };
        self.files.store(files, Ordering::SeqCst);
        files <= margin / 4
    }

    /// Whether a new body of `bytes` has room now. Errs: NoSpace.
    pub fn check(&self, bytes: u64) -> Result<(), StorageError> {
        let left = self.free.load(Ordering::Relaxed).saturating_sub(self.claimed.load(Ordering::Relaxed));
        let files = self.files.load(Ordering::Relaxed);
        let fits = left.saturating_sub(signed(bytes)) >= self.margin && files > 0;
        if fits && !self.is_short.load(Ordering::Relaxed) { Ok(()) } else { Err(StorageError::NoSpace) }
    }

    /// Whether a change may be made that takes little space and frees none: a delete marker, tags, a setting. There may be very
    /// many of them. Errs: NoSpace.
    pub fn check_change(&self) -> Result<(), StorageError> {
        let refused = self.is_short.load(Ordering::Relaxed) && self.is_thin.load(Ordering::Relaxed);
        if refused { Err(StorageError::NoSpace) } else { Ok(()) }
    }

    /// Claims room for a new body. Errs: NoSpace.
    pub fn claim(self: &Arc<Self>, bytes: u64) -> Result<Claim, StorageError> {
        self.check(bytes)?;
        let mut claim = Claim { space: Arc::clone(self), bytes: 0 };
        claim.cover(bytes)?;
        self.files.fetch_sub(1, Ordering::Relaxed);
        Ok(claim)
    }

    /// Counts the room that the steps of a commit will take, whether there is any or not.
    pub fn promise(&self, steps: &[Step]) {
        for step in steps {
            self.claimed.fetch_add(signed(step.bytes_on_disk()), Ordering::Relaxed);
            self.files.fetch_sub(signed(step.folders()), Ordering::Relaxed);
        }
    }

    /// Counts what a step took.
    pub fn settle(&self, step: &Step) {
        self.spend(step.bytes_on_disk());
    }

    fn spend(&self, bytes: u64) {
        self.claimed.fetch_sub(signed(bytes), Ordering::Relaxed);
        self.free.fetch_sub(signed(bytes), Ordering::Relaxed);
    }

    /// Releases a step of the ballast; answers whether there was one, so that trying again is of use.
    pub fn give_way(&self) -> bool {
        let mut ballast = self.ballast.lock();
        // Blocks do not help when it is files that are missing.
        let no_files = self.disk.free_space().is_ok_and(|there| there.files_total > 0 && there.files == 0);
        let released = !no_files && ballast.release();
        self.exhausted.store(!released, Ordering::SeqCst);
        self.is_thin.store(ballast.is_thin(), Ordering::SeqCst);
        let left = mib(signed(ballast.bytes()));
        drop(ballast);
        if released {
            tracing::warn!(left_mib = left, "the device is full: a step of the ballast is released");
        }
        self.set_short(true, 0);
        released
    }

    /// Does something that needs space, and again as long as the ballast gives way.
    pub fn sparing<T>(&self, mut work: impl FnMut() -> Result<T, StorageError>) -> Result<T, StorageError> {
        loop {
            match work() {
                Err(StorageError::NoSpace) if self.give_way() => {}
                other => return other,
            }
        }
    }

    /// Waits a little for space; answers whether to try again.
    pub fn wait(&self) -> bool {
        if self.patient.load(Ordering::SeqCst) {
            std::thread::sleep(INTERVAL);
        }
        self.patient.load(Ordering::SeqCst)
    }

    /// From here on, or no longer, threads wait for space.
    pub fn set_patient(&self, patient: bool) {
        self.patient.store(patient, Ordering::SeqCst);
    }

    /// Whether the ballast is used up and did not suffice.
    pub fn is_exhausted(&self) -> bool {
        self.exhausted.load(Ordering::Relaxed)
    }

    /// Why new objects are refused, if they are.
    pub fn shortage(&self) -> Option<String> {
        self.shortage.read().clone()
    }

    /// Looks at the device, brings the ballast back as far as there is space, and decides whether new objects are taken.
    pub fn tend(&self) {
        let mut there = match self.disk.free_space() {
            Ok(there) => there,
            Err(error) => return tracing::warn!(%error, "the device does not tell how much space is left"),
        };
        let claimed = self.claimed.load(Ordering::SeqCst);
        let mut ballast = self.ballast.lock();
        let spare = signed(there.bytes) - claimed - self.margin;
        if ballast.bytes() < ballast.target() && spare > 0 {
            let before = ballast.bytes();
            ballast.rebuild(spare.unsigned_abs());
            there.bytes = there.bytes.saturating_sub(ballast.bytes() - before);
        }
        let whole = ballast.bytes() >= ballast.target();
        self.is_thin.store(ballast.is_thin(), Ordering::SeqCst);
        let step = signed(ballast.step().max(STEP_BYTES_MIN));
        let has_steps = ballast.bytes() > 0;
        drop(ballast);
        let files_short = self.count(there);
        let free = signed(there.bytes);
        // Going back takes more space, so that the state does not flutter.
        let wanted = self.margin + if self.is_short.load(Ordering::SeqCst) { step } else { step / 2 };
        let short = !whole || free - claimed < wanted || files_short;
        self.set_short(short, free);
        if has_steps || !short {
            self.exhausted.store(false, Ordering::SeqCst);
        }
    }

    fn set_short(&self, short: bool, free: i64) {
        let mut shortage = self.shortage.write();
        let was = self.is_short.swap(short, Ordering::SeqCst);
        match (was, short) {
            (false, true) => tracing::warn!(free_mib = mib(free), "the device is nearly full: new objects are refused"),
            (true, false) => tracing::info!(free_mib = mib(free), "there is space again: new objects are taken"),
            _ => {}
        }
        *shortage = short.then(|| {
            let (free, files) = (mib(free), self.files.load(Ordering::SeqCst).max(0));
            let files = if files < i64::MAX { format!(", room for {files} files") } else { String::new() };
            format!("the device is nearly full ({free} MiB free{files}): new objects are refused until there is space")
        });
    }

    /// The thread: looks after the space until `stop` is closed.
    pub fn run(&self, stop: &Receiver<()>) {
        while matches!(stop.recv_timeout(INTERVAL), Err(RecvTimeoutError::Timeout)) {
            self.tend();
        }
    }
}

/// Space that is spoken for. What was not used is free again when it is dropped.
#[derive(Debug)]
pub(super) struct Claim {
    space: Arc<Space>,
    bytes: u64,
}

impl Claim {
    /// Grows the claim to `bytes` that are still to be written, unless it is that large. Errs: NoSpace.
    pub fn cover(&mut self, bytes: u64) -> Result<(), StorageError> {
        let more = bytes.saturating_sub(self.bytes);
        if more == 0 {
            return Ok(());
        }
        let space = &self.space;
        let before = space.claimed.fetch_add(signed(more), Ordering::Relaxed);
        let left = space.free.load(Ordering::Relaxed).saturating_sub(before).saturating_sub(signed(more));
        if left < space.margin {
            space.claimed.fetch_sub(signed(more), Ordering::Relaxed);
            return Err(StorageError::NoSpace);
        }
        self.bytes = bytes;
        Ok(())
    }

    /// Counts `bytes` of the claim as written.
    pub fn spend(&mut self, bytes: u64) {
        let bytes = bytes.min(self.bytes);
        self.space.spend(bytes);
        self.bytes -= bytes;
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.space.claimed.fetch_sub(signed(self.bytes), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::rows::Location;
    use crate::storage::steps::{Place, Source};

    fn space(ballast_bytes: u64) -> (tempfile::TempDir, Arc<Space>) {
        let root = tempfile::tempdir().unwrap();
        let disk = Arc::new(Disk::open(root.path(), false).unwrap());
        let space = Space::open(disk, ballast_bytes).unwrap();
        (root, space)
    }

    fn ballast_file(root: &tempfile::TempDir) -> u64 {
        use std::os::unix::fs::MetadataExt;
        std::fs::metadata(root.path().join(".myfsio.sys/ballast")).unwrap().blocks() * 512
    }

    #[test]
    fn claims_together_never_exceed_what_is_free() {
        let (_root, space) = space(0);
        let there =
            FreeSpace { bytes: space.margin.unsigned_abs() + 100_000, total: 1 << 30, files: 0, files_total: 0 };
        space.count(there);
        let mut first = space.claim(60_000).unwrap();
        assert!(space.claim(60_000).is_err());
        let second = space.claim(40_000).unwrap();
        assert!(space.claim(1).is_err());
        drop(second);
        space.claim(40_000).unwrap();
        // What is written is neither free nor claimed.
        first.spend(50_000);
        assert!(space.claim(40_001).is_err());
        space.claim(40_000).unwrap();
        first.cover(50_001).unwrap_err();
        first.cover(50_000).unwrap();
        drop(first);
    }

    #[test]
    fn what_a_commit_will_take_is_counted_until_it_is_there() {
        let (_root, space) = space(0);
        let bytes = space.margin.unsigned_abs() + 100_000;
        space.count(FreeSpace { bytes, total: 1 << 30, files: 1000, files_total: 1600 });
        let place = Place {
            bucket_id: 1,
            bucket: "b".into(),
            key: "x/y/z".into(),
            location: Location::Plain,
            stamp: 1,
            clock: None,
        };
        let inline = Step::Write { place: place.clone(), source: Source::Journal, size: 60_000, row: 0 };
        let staged = Step::Write { place, source: Source::Staged { name: "1-1".into() }, size: 60_000, row: 0 };
        space.promise(&[staged]);
        space.claim(80_000).unwrap();
        space.promise(std::slice::from_ref(&inline));
        assert!(space.claim(40_000).is_err());
        assert_eq!(space.files.load(Ordering::SeqCst), 1000 - 100 - 1 - 2 - 2);
        space.settle(&inline);
        assert!(space.claim(40_000).is_err(), "now it is written");
        // Two folders each, and names.
        assert_eq!(space.claimed.load(Ordering::SeqCst), 2 * 4096);
    }

    #[test]
    fn files_run_out_too() {
        let (_root, space) = space(0);
        let there = FreeSpace { bytes: 1 << 30, total: 1 << 30, files: 12, files_total: 160 };
        space.count(there);
        let _two = [space.claim(1).unwrap(), space.claim(1).unwrap()];
        assert!(matches!(space.claim(1), Err(StorageError::NoSpace)), "ten are kept");
    }

    #[test]
    fn the_ballast_gives_way_in_steps_and_comes_back() {
        let (root, space) = space(8 << 20);
        assert!(space.shortage().is_none());
        space.tend();
        assert_eq!(ballast_file(&root), 8 << 20);
        let mut tries = 0;
        let done = space.sparing(|| {
            tries += 1;
            if tries < 3 { Err(StorageError::NoSpace) } else { Ok(tries) }
        });
        assert_eq!(done.unwrap(), 3);
        assert_eq!(ballast_file(&root), 6 << 20);
        assert!(space.shortage().unwrap().contains("full"));
        assert!(matches!(space.claim(1), Err(StorageError::NoSpace)));
        assert!(!space.is_exhausted());
        space.check_change().unwrap();
        assert!(space.give_way() && space.give_way());
        assert!(matches!(space.check_change(), Err(StorageError::NoSpace)), "half of it is for what frees space");
        let never: Result<(), _> = space.sparing(|| Err(StorageError::NoSpace));
        assert!(matches!(never, Err(StorageError::NoSpace)));
        assert_eq!(ballast_file(&root), 0);
        assert!(space.is_exhausted());
        space.tend();
        assert_eq!(ballast_file(&root), 8 << 20);
        assert!(space.shortage().is_none() && !space.is_exhausted());
        space.check_change().unwrap();
        space.claim(1).unwrap();
    }

    #[test]
    fn a_ballast_with_holes_is_filled_and_a_smaller_setting_cuts_it() {
        let root = tempfile::tempdir().unwrap();
        let disk = Arc::new(Disk::open(root.path(), false).unwrap());
        let path = root.path().join(".myfsio.sys/ballast");
        std::fs::File::create(&path).unwrap().set_len(8 << 20).unwrap();
        drop(Space::open(Arc::clone(&disk), 8 << 20).unwrap());
        assert_eq!(ballast_file(&root), 8 << 20);
        drop(Space::open(disk, 1 << 20).unwrap());
        assert_eq!(ballast_file(&root), 1 << 20);
    }
}
