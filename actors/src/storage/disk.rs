//! The node's only door to the file system below STORAGE_ROOT.
//!
//! Paths are relative to the root and resolved beneath it without following symbolic links, whoever put them there.
//! Whatever Storage does to files goes through here, so that a test can stand between (docs/durability.md).

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags, Timespec, Timestamps};
use rustix::io::Errno;

use crate::names::Stamp;

/// Folder of everything that is not an object's plain file.
pub(super) const SYSTEM_FOLDER: &str = ".myfsio.sys";
/// Staged bodies, relative to the root.
pub(super) const STAGING_FOLDER: &str = ".myfsio.sys/tmp";
/// Folders of deleted buckets, relative to the root.
pub(super) const TRASH_FOLDER: &str = ".myfsio.sys/trash";
/// Overflow files by bucket id, relative to the root.
pub(super) const BUCKETS_FOLDER: &str = ".myfsio.sys/buckets";
/// The journal's segments, relative to the root.
pub(super) const JOURNAL_FOLDER: &str = ".myfsio.sys/journal";

/// Folders held open at most.
const FOLDERS_MAX: usize = 128;
const FILE_MODE: Mode = Mode::from_raw_mode(0o644);
const FOLDER_MODE: Mode = Mode::from_raw_mode(0o755);

/// Size and modification time: what ties a file to its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileStamp {
    pub size: u64,
    pub modified: Stamp,
}

/// What is free on the device.
#[derive(Debug, Clone, Copy)]
pub(super) struct FreeSpace {
    /// Bytes that may still be written.
    pub bytes: u64,
    /// Bytes of the whole device.
    pub total: u64,
    /// Files that may still be made.
    pub files: u64,
    /// Files that the device can hold; 0 when it knows no such number.
    pub files_total: u64,
}

/// The directory tree of one node.
#[derive(Debug)]
pub(super) struct Disk {
    root: PathBuf,
    root_fd: OwnedFd,
    /// Held for as long as the node runs: one process owns a data directory.
    _lock: File,
    /// Nanoseconds to which the file system rounds modification times.
    time_step: u64,
    /// Whether names that differ only in case, or in Unicode form, are the same to the file system.
    folds_case: bool,
    /// Whether syncs are carried out (`DURABILITY=strict`).
    strict: bool,
    /// Folders held open, since opening one costs as much as making a file; see [`Disk::forget_folders`].
    folders: Mutex<HashMap<PathBuf, Arc<OwnedFd>>>,
}

impl Disk {
    /// Opens or creates the tree, locks it, and probes what its file system does to times.
    pub fn open(root: &Path, strict: bool) -> io::Result<Self> {
        std::fs::create_dir_all(root)?;
        for folder in [SYSTEM_FOLDER, STAGING_FOLDER, TRASH_FOLDER, BUCKETS_FOLDER, JOURNAL_FOLDER] {
            std::fs::create_dir_all(root.join(folder))?;
        }
        let lock = File::options().create(true).truncate(false).write(true).open(root.join(".myfsio.sys/lock"))?;
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive)
            .map_err(|_| io::Error::new(io::ErrorKind::ResourceBusy, "another process is using this data directory"))?;
        let root_fd = rustix::fs::open(root, OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        let (root, folders) = (root.to_owned(), Mutex::default());
        let mut disk = Self { root, root_fd, _lock: lock, time_step: 1, folds_case: false, strict, folders };
        disk.time_step = disk.probe_time_step()?;
        disk.folds_case = disk.probe_folding()?;
        for folder in ["", SYSTEM_FOLDER] {
            disk.sync_folder(Path::new(folder))?;
        }
        Ok(disk)
    }

    /// Whether acknowledged writes are synced.
    pub fn is_strict(&self) -> bool {
        self.strict
    }

    /// The root, for messages.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What a modification time of this stamp reads back as.
    pub fn rounded(&self, stamp: Stamp) -> Stamp {
        Stamp(stamp.0 - stamp.0 % self.time_step)
    }

    /// Nanoseconds to which modification times are rounded; stamps of one key differ by at least this.
    pub fn time_step(&self) -> u64 {
        self.time_step
    }

    /// Whether names that differ only in case are the same to the file system.
    pub fn folds_case(&self) -> bool {
        self.folds_case
    }

    fn probe_folding(&self) -> io::Result<bool> {
        let path = Path::new(".myfsio.sys/tmp/Probe");
        self.create(path)?;
        let folded = self.open_file(Path::new(".myfsio.sys/tmp/probe")).is_ok();
        self.remove_file(path)?;
        Ok(folded)
    }

    fn probe_time_step(&self) -> io::Result<u64> {
        let path = Path::new(".myfsio.sys/tmp/probe");
        let file = self.create(path)?;
        let odd = Stamp(1_700_000_001_123_456_789);
        set_modified(&file, odd)?;
        let seen = self.stamp_of(&file)?.modified.0;
        self.remove_file(path)?;
        let steps = [1, 100, 1_000, 1_000_000, 10_000_000, 1_000_000_000, 2_000_000_000];
        steps.into_iter().find(|step| odd.0 - odd.0 % step == seen).ok_or_else(|| {
            io::Error::new(io::ErrorKind::Unsupported, "the file system does not keep modification times")
        })
    }

    fn open_at(&self, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        open_beneath(self.root_fd.as_fd(), path, flags)
    }

    fn open_folder(&self, path: &Path) -> io::Result<OwnedFd> {
        self.open_at(path, OFlags::DIRECTORY | OFlags::RDONLY)
    }

    /// Opens a regular file for reading; links, folders and special files are refused.
    pub fn open_file(&self, path: &Path) -> io::Result<File> {
        self.open_stamped(path).map(|(file, _)| file)
    }

    /// The same with what the file is now.
    pub fn open_stamped(&self, path: &Path) -> io::Result<(File, FileStamp)> {
        let file = File::from(self.open_at(path, OFlags::RDONLY | OFlags::NONBLOCK)?);
        let stat = rustix::fs::fstat(&file)?;
        if rustix::fs::FileType::from_raw_mode(stat.st_mode).is_file() {
            Ok((file, stamp_in(&stat)))
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"))
        }
    }

    /// Creates or empties a file and opens it for reading and writing.
    pub fn create(&self, path: &Path) -> io::Result<File> {
        let (folder, name) = self.parent_and_name(path)?;
        Ok(open_beneath(folder.as_fd(), name, OFlags::RDWR | OFlags::CREATE | OFlags::TRUNC)?.into())
    }

    /// Creates a file that is not there and opens it for reading and writing.
    pub fn create_new(&self, path: &Path) -> io::Result<File> {
        let (folder, name) = self.parent_and_name(path)?;
        Ok(open_beneath(folder.as_fd(), name, OFlags::RDWR | OFlags::CREATE | OFlags::EXCL)?.into())
    }

    /// Opens a file for reading and writing; an empty one is made if there is none.
    pub fn open_or_create(&self, path: &Path) -> io::Result<File> {
        Ok(self.open_at(path, OFlags::RDWR | OFlags::CREATE)?.into())
    }

    /// Opens an existing file for reading and writing.
    pub fn open_writable(&self, path: &Path) -> io::Result<File> {
        Ok(self.open_at(path, OFlags::RDWR)?.into())
    }

    /// Size and modification time of an open file.
    pub fn stamp_of(&self, file: &File) -> io::Result<FileStamp> {
        Ok(stamp_in(&rustix::fs::fstat(file)?))
    }

    /// Size and modification time of the regular file at `path`; none when nothing, or something else, is there.
    pub fn stamp_at(&self, path: &Path) -> io::Result<Option<FileStamp>> {
        match self.open_stamped(path) {
            Ok((_, stamp)) => Ok(Some(stamp)),
            Err(e) if is_absent(&e) => Ok(None),
            Err(e) => Err(e),
        }
    }

    fn parent_and_name<'p>(&self, path: &'p Path) -> io::Result<(Arc<OwnedFd>, &'p Path)> {
        let name = path.file_name().map(Path::new).ok_or(Errno::INVAL)?;
        let parent = path.parent().unwrap_or(Path::new(""));
        let mut folders = self.folders.lock();
        if let Some(folder) = folders.get(parent) {
            return Ok((Arc::clone(folder), name));
        }
        let folder = Arc::new(self.open_folder(parent)?);
        if folders.len() >= FOLDERS_MAX {
            folders.clear();
        }
        folders.insert(parent.to_owned(), Arc::clone(&folder));
        Ok((folder, name))
    }

    /// Closes the folders held open. Due whenever one was moved or removed, and soon after any use: a person may do so too,
    /// and what is made in a folder that was moved away is not where its key says.
    pub fn forget_folders(&self) {
        self.folders.lock().clear();
    }

    /// Renames a file or folder, replacing a file that is at `to`.
    pub fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let (from_folder, from_name) = self.parent_and_name(from)?;
        let (to_folder, to_name) = self.parent_and_name(to)?;
        Ok(rustix::fs::renameat(from_folder, from_name, to_folder, to_name)?)
    }

    /// Removes a file or link.
    pub fn remove_file(&self, path: &Path) -> io::Result<()> {
        let (folder, name) = self.parent_and_name(path)?;
        Ok(rustix::fs::unlinkat(folder, name, AtFlags::empty())?)
    }

    /// Removes an empty folder.
    pub fn remove_folder(&self, path: &Path) -> io::Result<()> {
        let (folder, name) = self.parent_and_name(path)?;
        rustix::fs::unlinkat(folder, name, AtFlags::REMOVEDIR)?;
        self.folders.lock().remove(path);
        Ok(())
    }

    /// Makes a folder and its parents; one that is there is fine.
    pub fn make_folders(&self, path: &Path) -> io::Result<()> {
        if path.as_os_str().is_empty() || self.open_folder(path).is_ok() {
            return Ok(());
        }
        if let Some(parent) = path.parent() {
            self.make_folders(parent)?;
        }
        let (folder, name) = self.parent_and_name(path)?;
        match rustix::fs::mkdirat(folder, name, FOLDER_MODE) {
            Err(Errno::EXIST) => self.open_folder(path).map(drop),
            other => Ok(other?),
        }
    }

    /// The names in a folder with whether each is a folder itself; order undefined.
    pub fn list(&self, path: &Path) -> io::Result<Vec<(std::ffi::OsString, bool)>> {
        use std::os::unix::ffi::OsStringExt;
        let fd = self.open_folder(path)?;
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&fd)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            let is_folder = match entry.file_type() {
                rustix::fs::FileType::Unknown => {
                    let stat = rustix::fs::statat(&fd, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW)?;
                    rustix::fs::FileType::from_raw_mode(stat.st_mode).is_dir()
                }
                kind => kind.is_dir(),
            };
            names.push((std::ffi::OsString::from_vec(name.to_vec()), is_folder));
        }
        Ok(names)
    }

    /// Makes a file's bytes and size durable, in strict durability.
    pub fn sync_data(&self, file: &File) -> io::Result<()> {
        if self.strict { Ok(rustix::fs::fdatasync(file)?) } else { Ok(()) }
    }

    /// Makes the names in a folder durable, in strict durability.
    pub fn sync_folder(&self, path: &Path) -> io::Result<()> {
        if self.strict { Ok(rustix::fs::fsync(self.open_folder(path)?)?) } else { Ok(()) }
    }

    /// What is free on the device.
    pub fn free_space(&self) -> io::Result<FreeSpace> {
        let told = rustix::fs::fstatvfs(&self.root_fd)?;
        let bytes = |blocks: u64| blocks.saturating_mul(told.f_frsize);
        Ok(FreeSpace {
            bytes: bytes(told.f_bavail),
            total: bytes(told.f_blocks),
            files: told.f_favail,
            files_total: told.f_files,
        })
    }

    /// Reserves the blocks of a range of a file, beyond its end too. Errs: Unsupported where the file system cannot.
    pub fn allocate(&self, file: &File, offset: u64, bytes: u64) -> io::Result<()> {
        match rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), offset, bytes) {
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => Err(io::ErrorKind::Unsupported.into()),
            other => Ok(other?),
        }
    }

    /// Makes everything on the file system durable; slow, so only where nobody waits. Always carried out.
    pub fn sync_everything(&self) -> io::Result<()> {
        Ok(rustix::fs::syncfs(&self.root_fd)?)
    }
}

fn stamp_in(stat: &rustix::fs::Stat) -> FileStamp {
    let seconds = u64::try_from(stat.st_mtime).unwrap_or(0);
    let modified = Stamp(seconds.saturating_mul(1_000_000_000).saturating_add(stat.st_mtime_nsec));
    FileStamp { size: u64::try_from(stat.st_size).unwrap_or(0), modified }
}

/// Sets a file's modification time.
pub(super) fn set_modified(file: &File, stamp: Stamp) -> io::Result<()> {
    let time = Timespec {
        tv_sec: i64::try_from(stamp.0 / 1_000_000_000).unwrap_or(i64::MAX),
        tv_nsec: (stamp.0 % 1_000_000_000) as _,
    };
    let omit = Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_OMIT };
    Ok(rustix::fs::futimens(file, &Timestamps { last_access: omit, last_modification: time })?)
}

/// Keeps a copy of the row with the file, as far as the file system can (`reindex` reads it).
pub(super) fn set_tag(file: &File, tag: &[u8]) {
    let _best_effort = rustix::fs::fsetxattr(file, "user.myfsio", tag, rustix::fs::XattrFlags::empty());
}

/// Writes all of `bytes` at `offset`.
pub(super) fn write_all_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, offset)
}

/// Fills `buffer` from `offset`; errs `UnexpectedEof` when the file is shorter.
pub(super) fn read_exact_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset)
}

/// Reads from the page cache only: `None` when any byte would have to come from the device.
pub(super) fn read_cached(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<Option<()>> {
    let mut done = 0;
    while done < buffer.len() {
        let rest = buffer.get_mut(done..).unwrap_or_default();
        let at = offset + done as u64;
        let mut parts = [io::IoSliceMut::new(rest)];
        match rustix::io::preadv2(file, &mut parts, at, rustix::io::ReadWriteFlags::NOWAIT) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => done += n,
            Err(Errno::AGAIN | Errno::OPNOTSUPP | Errno::NOSYS) => return Ok(None),
            Err(Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(Some(()))
}

/// Copies `length` bytes between files, inside the kernel where it can.
pub(super) fn copy_range(from: &File, from_offset: u64, to: &File, to_offset: u64, length: u64) -> io::Result<()> {
    let (mut source, mut target, mut left) = (from_offset, to_offset, length);
    while left > 0 {
        let step = usize::try_from(left.min(1 << 30)).unwrap_or(1 << 30);
        match rustix::fs::copy_file_range(from, Some(&mut source), to, Some(&mut target), step) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => left -= (n as u64).min(left),
            Err(Errno::INTR) => {}
            Err(Errno::XDEV | Errno::NOSYS | Errno::OPNOTSUPP | Errno::INVAL) => {
                return copy_by_hand(from, source, to, target, left);
            }
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}

fn copy_by_hand(from: &File, mut source: u64, to: &File, mut target: u64, mut left: u64) -> io::Result<()> {
    let mut buffer = vec![0; 1 << 20];
    while left > 0 {
        let step = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let chunk = buffer.get_mut(..step).unwrap_or_default();
        read_exact_at(from, chunk, source)?;
        write_all_at(to, chunk, target)?;
        source += step as u64;
        target += step as u64;
        left -= step as u64;
    }
    Ok(())
}

/// Whether an error says that no ordinary file of that name is there.
pub(super) fn is_absent(error: &io::Error) -> bool {
    let forbidden = matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ResourceBusy);
    (is_blocked(error) && !forbidden) || error.kind() == io::ErrorKind::NotFound
}

/// Whether an error is about one name only: something else stands at it or on the way to it, it may not be touched, or it is
/// impossible here.
pub(super) fn is_blocked(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotADirectory
            | io::ErrorKind::IsADirectory
            | io::ErrorKind::InvalidInput
            | io::ErrorKind::InvalidFilename
            | io::ErrorKind::DirectoryNotEmpty
            | io::ErrorKind::AlreadyExists
            | io::ErrorKind::PermissionDenied
            | io::ErrorKind::ResourceBusy
            | io::ErrorKind::TooManyLinks
    ) || error.raw_os_error() == Some(Errno::LOOP.raw_os_error())
        || error.raw_os_error() == Some(Errno::XDEV.raw_os_error())
        || error.raw_os_error() == Some(Errno::NXIO.raw_os_error())
}

fn open_beneath(folder: BorrowedFd<'_>, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    let flags = flags | OFlags::CLOEXEC;
    let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let mode = if flags.contains(OFlags::CREATE) { FILE_MODE } else { Mode::empty() };
    match rustix::fs::openat2(folder, path, flags, mode, beneath) {
        Err(Errno::NOSYS | Errno::PERM) => walk(folder, path, flags, mode),
        other => Ok(other?),
    }
}

/// Opens `path` one segment at a time without following links: for kernels and sandboxes without openat2.
fn walk(root: BorrowedFd<'_>, path: &Path, flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
    use std::path::Component;
    let segments: Vec<_> = path.components().filter(|c| !matches!(c, Component::CurDir)).collect();
    let folder_flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let Some((last, folders)) = segments.split_last() else {
        return Ok(rustix::fs::openat(root, ".", folder_flags, Mode::empty())?);
    };
    let mut at: Option<OwnedFd> = None;
    for segment in folders {
        let Component::Normal(name) = segment else { return Err(Errno::XDEV.into()) };
        let parent = at.as_ref().map_or(root, |fd| fd.as_fd());
        at = Some(rustix::fs::openat(parent, *name, folder_flags, Mode::empty())?);
    }
    let Component::Normal(name) = last else { return Err(Errno::XDEV.into()) };
    let parent = at.as_ref().map_or(root, |fd| fd.as_fd());
    Ok(rustix::fs::openat(parent, *name, flags | OFlags::NOFOLLOW, mode)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_never_followed() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret"), "x").unwrap();
        let root = tempfile::tempdir().unwrap();
        let disk = Disk::open(root.path(), false).unwrap();
        std::fs::create_dir(root.path().join("bucket")).unwrap();
        std::os::unix::fs::symlink(outside.path(), root.path().join("bucket/link")).unwrap();
        std::os::unix::fs::symlink(outside.path().join("secret"), root.path().join("bucket/file")).unwrap();
        for path in ["bucket/link/secret", "bucket/file", "../x", "bucket/../../x"] {
            let error = disk.open_file(Path::new(path)).unwrap_err();
            assert!(is_absent(&error), "{path}: {error}");
            let flags = OFlags::RDONLY | OFlags::CLOEXEC;
            assert!(walk(disk.root_fd.as_fd(), Path::new(path), flags, Mode::empty()).is_err(), "{path}");
        }
        assert!(disk.rename(Path::new("bucket/file"), Path::new("bucket/link/y")).is_err());
        assert!(disk.make_folders(Path::new("bucket/link/sub")).is_err());
        assert!(
            walk(disk.root_fd.as_fd(), Path::new("bucket"), OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).is_ok()
        );
    }

    #[test]
    fn one_process_owns_the_tree() {
        let root = tempfile::tempdir().unwrap();
        let _first = Disk::open(root.path(), false).unwrap();
        assert!(Disk::open(root.path(), false).is_err());
    }

    #[test]
    fn stamps_read_back() {
        let root = tempfile::tempdir().unwrap();
        let disk = Disk::open(root.path(), false).unwrap();
        let file = disk.create(Path::new("x")).unwrap();
        write_all_at(&file, b"hello", 0).unwrap();
        let stamp = Stamp(1_600_000_000_987_654_321);
        set_modified(&file, stamp).unwrap();
        let seen = disk.stamp_at(Path::new("x")).unwrap().unwrap();
        assert_eq!(seen, FileStamp { size: 5, modified: disk.rounded(stamp) });
    }
}
