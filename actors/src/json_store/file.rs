//! A file that people edit while the node writes it: what tells its states apart, reading it, and putting another in its place
//! without losing what somebody typed meanwhile.
//!
//! No system call replaces a file only if it still is what was read. So the new file is *exchanged* for the old one
//! (`renameat2(2)`), which tells afterwards what was there at that very moment. If that is not byte for byte what was read, or
//! somebody still has it open for writing, it is put back, and the change begins anew from what the person wrote.
//!
//! INVARIANT: a file that was swapped out is removed only when it is what was read and nobody has it open for writing; who may be
//! about to open it is looked for afterwards ([`Former`]).

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write as _};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::time::Duration;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use super::former::Former;
use super::{FileProblem, Mistake, StoreError};
use crate::clock::{Clock as _, SystemClock};

/// Largest file that is read, in bytes.
pub const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// How often a read or write is begun anew because someone else wrote at the same time.
pub(super) const ATTEMPTS_MAX: u32 = 8;
/// How often what was swapped out is followed by something newer before the newest is left where it is.
const ROUNDS_MAX: usize = 16;
/// A file changed this shortly before it was read may change again without a visible trace (the kernel's time stamps
/// advance in ticks of up to 10 ms), in nanoseconds.
const TICK_NANOS_MAX: u64 = 50_000_000;
/// Nobody but the node's user reads files with secrets.
const PRIVATE: u32 = 0o600;

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

    /// The same for a file of `folder` that is called like the one at `path`.
    pub(super) fn of_name(folder: &OwnedFd, path: &Path) -> io::Result<Option<Self>> {
        let Some(name) = path.file_name() else { return Ok(None) };
        match rustix::fs::statat(folder, name, AtFlags::empty()) {
            Ok(stat) => Ok(Some(Self::from(&stat))),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn of_open(file: &File) -> io::Result<Self> {
        Ok(Self::from(&file.metadata()?))
    }

    /// Whether no later change can leave the same stamp behind. To be asked right after the file was looked at. The stamps are
    /// the kernel's, and so is the time that they are compared with.
    pub(super) fn is_settled(&self) -> bool {
        let (seconds, nanos) = self.changed;
        let changed = u64::try_from(seconds).unwrap_or(0).saturating_mul(1_000_000_000);
        let changed = changed.saturating_add(u64::try_from(nanos).unwrap_or(0));
        SystemClock.now().0.abs_diff(changed) >= TICK_NANOS_MAX
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

impl From<&rustix::fs::Stat> for FileStamp {
    fn from(stat: &rustix::fs::Stat) -> Self {
        let nanos = |nanos: u64| i64::try_from(nanos).unwrap_or_default();
        Self {
            device: stat.st_dev,
            inode: stat.st_ino,
            size: u64::try_from(stat.st_size).unwrap_or_default(),
            modified: (stat.st_mtime, nanos(stat.st_mtime_nsec)),
            changed: (stat.st_ctime, nanos(stat.st_ctime_nsec)),
        }
    }
}

/// The folder of the file at `path`, for looks into it.
pub(super) fn folder_of(path: &Path) -> Option<OwnedFd> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    rustix::fs::open(folder, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).ok()
}

/// A file as it was read or written.
#[derive(Debug)]
pub(super) struct Seen {
    /// Its stamp.
    pub(super) stamp: FileStamp,
    /// False when this was so soon after a change that another may go unseen.
    pub(super) settled: bool,
}

impl Seen {
    fn now(file: &File) -> io::Result<Self> {
        let stamp = FileStamp::of_open(file)?;
        Ok(Self { stamp, settled: stamp.is_settled() })
    }
}

pub(super) fn io_error(path: &Path, doing: &'static str) -> impl Fn(io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::Io { path: path.clone(), doing, source }
}

pub(super) fn problem(path: &Path, mistake: Mistake) -> FileProblem {
    FileProblem { path: path.to_owned(), line: mistake.line, reason: mistake.reason }
}

/// Waits for others to finish writing: 1 ms the first time, and each time twice as long.
pub(super) fn rest(attempt: u32) {
    std::thread::sleep(Duration::from_millis(1_u64.wrapping_shl(attempt.min(ATTEMPTS_MAX - 1))));
}

/// The whole text of a file and what it was read from.
pub(super) fn read(path: &Path) -> Result<Option<(String, Seen)>, StoreError> {
    for attempt in 0..ATTEMPTS_MAX {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io_error(path, "open")(error)),
        };
        let before = FileStamp::of_open(&file).map_err(io_error(path, "stat"))?;
        if before.size > FILE_BYTES_MAX {
            let reason = format!("larger than {FILE_BYTES_MAX} bytes");
            return Err(StoreError::Broken(problem(path, Mistake { line: None, reason })));
        }
        let bytes = read_open(&file).map_err(io_error(path, "read"))?;
        let seen = Seen::now(&file).map_err(io_error(path, "stat"))?;
        if before == seen.stamp {
            let text = String::from_utf8(bytes).map_err(|error| {
                let valid = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
                let line = Some(valid.iter().filter(|byte| **byte == b'\n').count() + 1);
                StoreError::Broken(problem(path, Mistake { line, reason: "not UTF-8 text".to_owned() }))
            })?;
            return Ok(Some((text, seen)));
        }
        rest(attempt);
    }
    Err(StoreError::Contended { path: path.to_owned() })
}

pub(super) fn read_open(file: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What an attempt to replace a file came to.
#[derive(Debug, Default)]
pub(super) struct Replaced {
    /// What was written, or `None` when somebody else wrote meanwhile: their file stands where it was.
    pub(super) seen: Option<Seen>,
    /// The file that has lost its name.
    pub(super) former: Option<Former>,
}

/// Puts `text` in the place of the file at `path`, which was read as `was`; none for a file that was not there.
pub(super) fn replace(path: &Path, text: &str, was: Option<(&str, FileStamp)>) -> Result<Replaced, StoreError> {
    // A link stays a link: the file that it names is replaced.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = match target.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    make_folder(&folder).map_err(io_error(&folder, "create the folder"))?;
    let temporary = beside(&target, ".tmp");
    set_aside(&temporary, &beside(&target, ".left")).map_err(io_error(&temporary, "set aside"))?;
    let file = write_whole(&temporary, text.as_bytes()).map_err(io_error(&temporary, "write"))?;
    let is_unchanged = FileStamp::of(path).map_err(io_error(path, "stat"))? == was.map(|(_, stamp)| stamp);
    // SAFETY OF ORDER: the bytes are durable before the name points to them, the name before the caller hears of it.
    let put = match is_unchanged {
        true => put(&temporary, &target, text, was).map_err(io_error(&target, "replace"))?,
        false => Put::default(),
    };
    remove(&temporary).map_err(io_error(&temporary, "remove"))?;
    File::open(&folder).and_then(|folder| folder.sync_all()).map_err(io_error(&folder, "sync"))?;
    // Of the very file that was written: at its place may be another one by now.
    let seen = put.is_replaced.then(|| Seen::now(&file).map_err(io_error(path, "stat"))).transpose()?;
    Ok(Replaced { seen, former: put.former })
}

#[derive(Default)]
struct Put {
    is_replaced: bool,
    former: Option<Former>,
}

impl From<bool> for Put {
    fn from(is_replaced: bool) -> Self {
        Self { is_replaced, former: None }
    }
}

fn put(temporary: &Path, target: &Path, text: &str, was: Option<(&str, FileStamp)>) -> io::Result<Put> {
    let Some((known, stamp)) = was else {
        return match rustix::fs::renameat_with(CWD, temporary, CWD, target, RenameFlags::NOREPLACE) {
            // A file system that cannot: what is there has been looked for a moment ago.
            Err(Errno::INVAL | Errno::NOSYS) => fs::rename(temporary, target).map(|()| true.into()),
            Err(Errno::EXIST) => Ok(false.into()),
            moved => Ok(moved.map(|()| true.into())?),
        };
    };
    let swap = || rustix::fs::renameat_with(CWD, temporary, CWD, target, RenameFlags::EXCHANGE);
    let mut placed = Known { inode: fs::symlink_metadata(temporary)?.ino(), bytes: text.as_bytes().to_vec() };
    let mut before = Known { inode: stamp.inode, bytes: known.as_bytes().to_vec() };
    match swap() {
        Ok(()) => {}
        // Gone this moment.
        Err(Errno::NOENT) => return Ok(false.into()),
        // A file system that cannot: then the look a moment ago is all that there is.
        Err(Errno::INVAL | Errno::NOSYS) => return fs::rename(temporary, target).map(|()| true.into()),
        Err(error) => return Err(error.into()),
    }
    for round in 0..ROUNDS_MAX {
        let Some(found) = swapped_out(temporary)? else { return Ok((round == 0).into()) };
        if !found.may_change && found.known == before {
            let former = Former::new(found.file, &found.known.bytes)?;
            return Ok(Put { is_replaced: round == 0, former: Some(former) });
        }
        // What came out is newer than what was put in: it goes back. If something newer still comes out then, that does.
        if round > 1 {
            rest(u32::try_from(round).unwrap_or(ATTEMPTS_MAX));
        }
        match swap() {
            Err(Errno::NOENT) => return fs::rename(temporary, target).map(|()| false.into()),
            swapped => swapped?,
        }
        before = std::mem::replace(&mut placed, found.known);
    }
    // Somebody writes all the time. Nobody knows what this is, so it is kept.
    set_aside(temporary, &beside(target, ".left")).map(|()| false.into())
}

/// A state of a file.
#[derive(Debug, PartialEq, Eq)]
struct Known {
    inode: u64,
    bytes: Vec<u8>,
}

/// What stands under the temporary name after an exchange, which nobody opens any more.
struct SwappedOut {
    file: File,
    known: Known,
    /// Whether somebody opened it for writing before.
    may_change: bool,
}

fn swapped_out(temporary: &Path) -> io::Result<Option<SwappedOut>> {
    let file = match OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW).open(temporary) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    // SAFETY OF ORDER: nobody writes it any more, then what it holds is what it will hold.
    let may_change = is_open_for_writing(&file);
    let known = Known { inode: file.metadata()?.ino(), bytes: read_open(&file)? };
    Ok(Some(SwappedOut { file, known, may_change }))
}

/// Whether somebody has the file open for writing: the kernel grants no read lease on such a one (`fcntl(2)`, F_SETLEASE). File
/// systems without leases, and files of other users, count as not.
pub(super) fn is_open_for_writing(file: &File) -> bool {
    static SIGNAL: Once = Once::new();
    // Who opens the file for writing while the lease lasts makes the kernel send a signal, which ends a process that does not
    // want it. They wait, and the lease is given up at once.
    // SAFETY: ignoring a signal that nothing in this process waits for.
    SIGNAL.call_once(|| unsafe {
        libc::signal(libc::SIGIO, libc::SIG_IGN);
    });
    // SAFETY: the descriptor is open as long as `file` is borrowed, and F_SETLEASE takes a number.
    let asked = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, libc::F_RDLCK) };
    if asked == 0 {
        // SAFETY: as above.
        unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, libc::F_UNLCK) };
        return false;
    }
    io::Error::last_os_error().raw_os_error() == Some(libc::EAGAIN)
}

/// A hidden name beside `target`.
fn beside(target: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(target.file_name().unwrap_or_else(|| OsStr::new("file")));
    name.push(ending);
    target.with_file_name(name)
}

/// What a crash left under the temporary name may be what somebody typed at that moment, so it is kept under another.
fn set_aside(temporary: &Path, left: &Path) -> io::Result<()> {
    match fs::rename(temporary, left) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<File> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(PRIVATE).open(path)?;
    // The mode at creation is subject to the umask only downwards; said again so that it is exactly this one.
    file.set_permissions(fs::Permissions::from_mode(PRIVATE))?;
    file.write_all(bytes)?;
    file.sync_all()?;
    // Not for writing any more, or nobody could tell whether another writes.
    File::open(path)
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
    // A left-over of a crash: removed rather than opened, whatever it is.
    remove(&temporary).and_then(|()| write_whole(&temporary, bytes)).map_err(io_error(&temporary, "write"))?;
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
