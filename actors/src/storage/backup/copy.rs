//! Bringing one file into a backup, as cheaply as is safe.
//!
//! A file of an earlier backup gets a second name: nobody writes to it. So does a file in overflow whose key is no path, to whose bytes
//! neither the node nor a person ever writes. A file at its plain path may be edited in place by a person, which would reach the
//! backup through a second name, and a version comes there when it is current again; so both are cloned where the file system can, else
//! copied.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{AtFlags, CWD};

use super::BackupError;
use crate::names::Stamp;
use crate::storage::disk::FileStamp;

/// Bytes that are copied at a time.
const PIECE_BYTES: usize = 1 << 20;

/// A file that is to be in a backup.
pub(super) struct ToCopy<'a> {
    /// Opened: it stays what it is, wherever its name goes.
    pub file: &'a File,
    pub seen: FileStamp,
    /// What its bytes should be.
    pub crc64nvme: u64,
    /// Its path, if nobody ever writes to its bytes.
    pub link_from: Option<PathBuf>,
    /// The same file in an earlier backup.
    pub earlier: Option<PathBuf>,
}

/// How a file came into a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Brought {
    /// Linked or cloned: no byte was read.
    Shared,
    /// Copied; with the checksum of what was read.
    Copied(u64),
}

/// Brings a file to `to`, which is not there yet.
pub(super) fn bring(from: &ToCopy<'_>, to: &Path) -> Result<Brought, BackupError> {
    if let Some(earlier) = &from.earlier
        && fs::symlink_metadata(earlier).is_ok_and(|there| there.is_file() && there.len() == from.seen.size)
        && fs::hard_link(earlier, to).is_ok()
    {
        return Ok(Brought::Shared);
    }
    if let Some(path) = &from.link_from
        && fs::hard_link(path, to).is_ok()
    {
        if stamp_of(to).is_some_and(|there| there == from.seen) {
            return Ok(Brought::Shared);
        }
        // Its name was another's by then.
        fs::remove_file(to).map_err(|e| BackupError::io("remove", to, e))?;
    }
    let copy = File::options().write(true).create_new(true).open(to).map_err(|e| BackupError::io("create", to, e))?;
    let brought = match rustix::fs::ioctl_ficlone(&copy, from.file) {
        Ok(()) => Brought::Shared,
        Err(_) => Brought::Copied(copy_bytes(from, &copy, to)?),
    };
    let modified = std::time::UNIX_EPOCH + Duration::from_nanos(from.seen.modified.0);
    copy.set_modified(modified).map_err(|e| BackupError::io("set the time of", to, e))?;
    Ok(brought)
}

fn stamp_of(path: &Path) -> Option<FileStamp> {
    let stat = rustix::fs::statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW).ok()?;
    Some(FileStamp {
        size: u64::try_from(stat.st_size).ok()?,
        modified: Stamp(
            u64::try_from(stat.st_mtime).ok()?.saturating_mul(1_000_000_000).saturating_add(stat.st_mtime_nsec),
        ),
    })
}

fn copy_bytes(from: &ToCopy<'_>, to: &File, path: &Path) -> Result<u64, BackupError> {
    let mut digest = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc64Nvme);
    let mut buffer = vec![0; PIECE_BYTES];
    let (mut source, mut target) = (from.file, to);
    loop {
        let read = match source.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(BackupError::io("read, for", path, e)),
        };
        let piece = buffer.get(..read).unwrap_or_default();
        digest.update(piece);
        target.write_all(piece).map_err(|e| BackupError::io("write", path, e))?;
    }
    // What was read once is of no use in memory.
    let _advice = rustix::fs::fadvise(from.file, 0, None, rustix::fs::Advice::DontNeed);
    Ok(digest.finalize())
}

/// Makes everything on the file system of a folder durable.
pub(super) fn sync(folder: &Path) -> Result<(), BackupError> {
    let file = File::open(folder).map_err(|e| BackupError::io("open", folder, e))?;
    rustix::fs::syncfs(file.as_fd()).map_err(|e| BackupError::io("sync", folder, e))
}
