//! The node's only door to the file system below STORAGE_ROOT.
//!
//! Paths are relative to the root and resolved beneath it without following symbolic links, whoever put them there, and without entering
//! file systems that are mounted below it: a checkpoint makes one of them durable.
//! Whatever Storage does to files goes through here, so that a test can stand between (`seam`).

mod beneath;
mod file;
mod seam;

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

pub use beneath::open_beneath;
use beneath::open_within;
pub(super) use file::{DiskFile, FileStamp};
#[cfg(test)]
pub(super) use seam::Watcher;
pub(super) use seam::{Act, Seam};

use super::format;
use crate::names::Stamp;

/// Folder of everything that is not an object's plain file.
pub(super) const SYSTEM_FOLDER: &str = ".myfsio.sys";
/// Staged bodies, relative to the root.
pub(super) const STAGING_FOLDER: &str = ".myfsio.sys/tmp";
/// Folders of deleted buckets, relative to the root.
pub(super) const TRASH_FOLDER: &str = ".myfsio.sys/trash";
/// Overflow files by bucket id, relative to the root.
pub(super) const BUCKETS_FOLDER: &str = ".myfsio.sys/buckets";
/// What was put aside since nothing names it, relative to the root.
pub(super) const LOST_FOLDER: &str = ".myfsio.sys/lost+found";
/// Files that a backup under way still needs, relative to the root.
pub(super) const HELD_FOLDER: &str = ".myfsio.sys/held";
/// Notes of files of deleted objects that may not be removed, relative to the root.
pub(super) const LEFT_FOLDER: &str = ".myfsio.sys/left";
/// Is there while a backup is restored into the directory, relative to the root.
pub(super) const RESTORING: &str = ".myfsio.sys/restoring";
/// Damaged files that were replaced by right ones, relative to the root.
pub(super) const QUARANTINE_FOLDER: &str = ".myfsio.sys/quarantine";
/// The journal's segments, relative to the root.
pub(super) const JOURNAL_FOLDER: &str = ".myfsio.sys/journal";

/// Folders held open at most.
const FOLDERS_MAX: usize = 128;
const FOLDER_MODE: Mode = Mode::from_raw_mode(0o755);

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
    /// Whether files keep what [`DiskFile::set_tag`] leaves with them.
    keeps_tags: bool,
    /// Whether syncs are carried out (`DURABILITY=strict`).
    strict: bool,
    /// Folders held open, since opening one costs as much as making a file; see [`Disk::forget_folders`].
    folders: Mutex<HashMap<PathBuf, Arc<OwnedFd>>>,
    /// Files that are no younger are moved aside instead of removed, for a backup; 0 while there is none.
    held_until: AtomicU64,
    seam: Seam,
}

impl Disk {
    /// Opens or creates the tree, locks it, and probes what its file system does to times. Errs: Unsupported when a newer program has
    /// written it; then nothing is changed.
    pub fn open(root: &Path, strict: bool) -> io::Result<Self> {
        format::check(root)?;
        Self::open_watched(root, strict, Seam::default())
    }

    /// The same with a watcher between.
    pub(super) fn open_watched(root: &Path, strict: bool, seam: Seam) -> io::Result<Self> {
        std::fs::create_dir_all(root.join(SYSTEM_FOLDER))?;
        let lock = File::options().create(true).truncate(false).write(true).open(root.join(".myfsio.sys/lock"))?;
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive)
            .map_err(|_| io::Error::new(io::ErrorKind::ResourceBusy, "another process is using this data directory"))?;
        let root_fd = rustix::fs::open(root, OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        let (root, folders) = (root.to_owned(), Mutex::default());
        let (time_step, folds_case, keeps_tags) = (1, false, false);
        let held_until = AtomicU64::new(0);
        let mut disk =
            Self { root, root_fd, _lock: lock, time_step, folds_case, keeps_tags, strict, folders, held_until, seam };
        for folder in [STAGING_FOLDER, TRASH_FOLDER, BUCKETS_FOLDER, JOURNAL_FOLDER] {
            disk.make_folders(Path::new(folder))?;
        }
        (disk.time_step, disk.keeps_tags) = disk.probe_file()?;
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

    /// Begins to move aside what would be removed, whatever its age; answers whether nobody had begun before.
    pub fn begin_holding(&self) -> bool {
        self.held_until.compare_exchange(0, u64::MAX, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    /// Holds only what is no younger than a stamp; or nothing any more.
    pub fn hold_until(&self, stamp: Option<Stamp>) {
        self.held_until.store(stamp.map_or(0, |stamp| stamp.0.max(1)), Ordering::SeqCst);
    }

    /// Up to which modification time files are held.
    pub fn held_until(&self) -> Option<Stamp> {
        Some(self.held_until.load(Ordering::SeqCst)).filter(|until| *until > 0).map(Stamp)
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

    /// Whether files keep what [`DiskFile::set_tag`] leaves with them.
    pub fn keeps_tags(&self) -> bool {
        self.keeps_tags
    }

    fn probe_folding(&self) -> io::Result<bool> {
        let path = Path::new(".myfsio.sys/tmp/Probe");
        self.create(path)?;
        let folded = self.open_file(Path::new(".myfsio.sys/tmp/probe")).is_ok();
        self.remove_file(path)?;
        Ok(folded)
    }

    /// How times are rounded, and whether tags are kept.
    fn probe_file(&self) -> io::Result<(u64, bool)> {
        let path = Path::new(".myfsio.sys/tmp/probe");
        let file = self.create(path)?;
        let odd = Stamp(1_700_000_001_123_456_789);
        file.set_modified(odd)?;
        let seen = file.stamp()?.modified.0;
        let keeps_tags = file.set_tag(b"probe") && file.tag().is_some();
        self.remove_file(path)?;
        let steps = [1, 100, 1_000, 1_000_000, 10_000_000, 1_000_000_000, 2_000_000_000];
        let step = steps.into_iter().find(|step| odd.0 - odd.0 % step == seen).ok_or_else(|| {
            io::Error::new(io::ErrorKind::Unsupported, "the file system does not keep modification times")
        })?;
        Ok((step, keeps_tags))
    }

    fn open_at(&self, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        open_within(self.root_fd.as_fd(), path, flags)
    }

    fn open_folder(&self, path: &Path) -> io::Result<OwnedFd> {
        self.open_at(path, OFlags::DIRECTORY | OFlags::RDONLY)
    }

    /// Opens a regular file for reading; links, folders and special files are refused.
    pub fn open_file(&self, path: &Path) -> io::Result<DiskFile> {
        self.open_stamped(path).map(|(file, _)| file)
    }

    /// The same with what the file is now.
    pub fn open_stamped(&self, path: &Path) -> io::Result<(DiskFile, FileStamp)> {
        let file = File::from(self.open_at(path, OFlags::RDONLY | OFlags::NONBLOCK)?);
        let stat = rustix::fs::fstat(&file)?;
        if rustix::fs::FileType::from_raw_mode(stat.st_mode).is_file() {
            Ok((DiskFile::new(file, &self.seam), FileStamp::of(&stat)))
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"))
        }
    }

    fn make_file(&self, path: &Path, flags: OFlags) -> io::Result<DiskFile> {
        let (folder, name) = self.parent_and_name(path)?;
        let act = Act::MakeFile { path, keep: !flags.contains(OFlags::TRUNC) };
        let make = || open_within(folder.as_fd(), name, flags | OFlags::RDWR | OFlags::CREATE);
        Ok(DiskFile::new(self.seam.change(&act, make)?, &self.seam))
    }

    /// Creates or empties a file and opens it for reading and writing.
    pub fn create(&self, path: &Path) -> io::Result<DiskFile> {
        self.make_file(path, OFlags::TRUNC)
    }

    /// Creates a file that is not there and opens it for reading and writing.
    pub fn create_new(&self, path: &Path) -> io::Result<DiskFile> {
        self.make_file(path, OFlags::EXCL)
    }

    /// Opens a file for reading and writing; an empty one is made if there is none.
    pub fn open_or_create(&self, path: &Path) -> io::Result<DiskFile> {
        self.make_file(path, OFlags::empty())
    }

    /// Opens an existing file for reading and writing.
    pub fn open_writable(&self, path: &Path) -> io::Result<DiskFile> {
        Ok(DiskFile::new(self.open_at(path, OFlags::RDWR)?, &self.seam))
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
        let work = || Ok(rustix::fs::renameat(&*from_folder, from_name, &*to_folder, to_name)?);
        self.seam.change(&Act::Rename { from, to }, work)
    }

    /// Gives a file a second name, which must be free.
    pub fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let (from_folder, from_name) = self.parent_and_name(from)?;
        let (to_folder, to_name) = self.parent_and_name(to)?;
        let work = || Ok(rustix::fs::linkat(&*from_folder, from_name, &*to_folder, to_name, AtFlags::empty())?);
        self.seam.change(&Act::Link { from, to }, work)
    }

    /// Removes a file or link.
    pub fn remove_file(&self, path: &Path) -> io::Result<()> {
        let (folder, name) = self.parent_and_name(path)?;
        let work = || Ok(rustix::fs::unlinkat(&*folder, name, AtFlags::empty())?);
        self.seam.change(&Act::RemoveFile { path }, work)
    }

    /// Removes an empty folder.
    pub fn remove_folder(&self, path: &Path) -> io::Result<()> {
        let (folder, name) = self.parent_and_name(path)?;
        let work = || Ok(rustix::fs::unlinkat(&*folder, name, AtFlags::REMOVEDIR)?);
        self.seam.change(&Act::RemoveFolder { path }, work)?;
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
        let work = || Ok(rustix::fs::mkdirat(&*folder, name, FOLDER_MODE)?);
        match self.seam.change(&Act::MakeFolder { path }, work) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => self.open_folder(path).map(drop),
            other => other,
        }
    }

    /// Opens a folder for its tag.
    pub fn open_folder_file(&self, path: &Path) -> io::Result<DiskFile> {
        Ok(DiskFile::new(self.open_folder(path)?, &self.seam))
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
    pub fn sync_data(&self, file: &DiskFile) -> io::Result<()> {
        if self.strict { file.sync_data() } else { Ok(()) }
    }

    /// Makes the names in a folder durable, in strict durability.
    pub fn sync_folder(&self, path: &Path) -> io::Result<()> {
        if !self.strict {
            return Ok(());
        }
        let folder = self.open_folder(path)?;
        self.seam.change(&Act::SyncFolder { path }, || Ok(rustix::fs::fsync(&folder)?))
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

    /// Makes everything on the file system durable; slow, so only where nobody waits. Always carried out.
    pub fn sync_everything(&self) -> io::Result<()> {
        self.seam.change(&Act::SyncEverything, || Ok(rustix::fs::syncfs(&self.root_fd)?))
    }
}

/// Whether an error says that no ordinary file of that name is there.
pub(super) fn is_absent(error: &io::Error) -> bool {
    (is_blocked(error) && !is_forbidden(error)) || error.kind() == io::ErrorKind::NotFound
}

/// Whether an error says that what is there may not be touched.
pub(super) fn is_forbidden(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ResourceBusy)
}

/// Whether an error says nothing of a file: the machine or the process lacks something just now, or the call was interrupted.
pub(super) fn is_passing(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::NOBUFS | Errno::INTR | Errno::AGAIN)
    ) || matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::OutOfMemory)
}

/// Whether an error says that another file system is mounted there, or that a path leads out of the root.
pub(super) fn is_elsewhere(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::XDEV.raw_os_error())
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
        || is_elsewhere(error)
        || error.raw_os_error() == Some(Errno::NXIO.raw_os_error())
}

#[cfg(test)]
mod tests {
    use super::beneath::Mounts;
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
            let walked = |mounts| beneath::walk(disk.root_fd.as_fd(), Path::new(path), flags, Mode::empty(), mounts);
            assert!(walked(Mounts::Enter).is_err() && walked(Mounts::Refuse).is_err(), "{path}");
        }
        assert!(disk.rename(Path::new("bucket/file"), Path::new("bucket/link/y")).is_err());
        assert!(disk.make_folders(Path::new("bucket/link/sub")).is_err());
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let bucket = Path::new("bucket");
        assert!(beneath::walk(disk.root_fd.as_fd(), bucket, flags, Mode::empty(), Mounts::Refuse).is_ok());
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
        file.write_all_at(b"hello", 0).unwrap();
        let stamp = Stamp(1_600_000_000_987_654_321);
        file.set_modified(stamp).unwrap();
        let seen = disk.stamp_at(Path::new("x")).unwrap().unwrap();
        assert_eq!(seen, FileStamp { size: 5, modified: disk.rounded(stamp) });
    }
}
