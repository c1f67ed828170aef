//! An open file below STORAGE_ROOT. What changes it goes through the seam; reads do not.

use std::fs::File;
use std::io;
use std::num::NonZeroU64;
use std::os::unix::fs::FileExt as _;

use rustix::fs::{Advice, Timespec, Timestamps, XattrFlags};
use rustix::io::{Errno, ReadWriteFlags};

use super::seam::{Act, Seam};
use crate::names::Stamp;

/// Size and modification time: what ties a file to its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::storage) struct FileStamp {
    pub size: u64,
    pub modified: Stamp,
}

impl FileStamp {
    pub(super) fn of(stat: &rustix::fs::Stat) -> Self {
        let seconds = u64::try_from(stat.st_mtime).unwrap_or(0);
        let modified = Stamp(seconds.saturating_mul(1_000_000_000).saturating_add(stat.st_mtime_nsec));
        Self { size: u64::try_from(stat.st_size).unwrap_or(0), modified }
    }
}

/// An open file.
#[derive(Debug)]
pub(in crate::storage) struct DiskFile {
    file: File,
    seam: Seam,
}

impl DiskFile {
    pub(super) fn new(file: impl Into<File>, seam: &Seam) -> Self {
        Self { file: file.into(), seam: seam.clone() }
    }

    /// A file that no [`super::Disk`] opened.
    #[cfg(test)]
    pub fn alone(file: File) -> Self {
        Self::new(file, &Seam::default())
    }

    /// The file itself, for reading.
    pub fn as_file(&self) -> &File {
        &self.file
    }

    /// Its size and modification time now.
    pub fn stamp(&self) -> io::Result<FileStamp> {
        Ok(FileStamp::of(&rustix::fs::fstat(&self.file)?))
    }

    /// Fills `buffer` from `offset`; errs `UnexpectedEof` when the file is shorter.
    pub fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }

    /// Reads from the page cache only: `None` when any byte would have to come from the device.
    pub fn read_cached(&self, buffer: &mut [u8], offset: u64) -> io::Result<Option<()>> {
        let mut done = 0;
        while done < buffer.len() {
            let rest = buffer.get_mut(done..).unwrap_or_default();
            let at = offset + done as u64;
            let mut parts = [io::IoSliceMut::new(rest)];
            match rustix::io::preadv2(&self.file, &mut parts, at, ReadWriteFlags::NOWAIT) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(n) => done += n,
                Err(Errno::AGAIN | Errno::OPNOTSUPP | Errno::NOSYS) => return Ok(None),
                Err(Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(Some(()))
    }

    /// Tells the system that this file is read once and in pieces: what it reads ahead would only take the place of other pages.
    pub fn expect_no_more(&self) {
        let _advice = rustix::fs::fadvise(&self.file, 0, None, Advice::Random);
    }

    /// Whether the byte at `offset` is in memory already.
    pub fn is_cached(&self, offset: u64) -> bool {
        matches!(self.read_cached(&mut [0], offset), Ok(Some(())))
    }

    /// Gives the pages of a range back to the system.
    pub fn forget(&self, offset: u64, bytes: u64) {
        if let Some(bytes) = NonZeroU64::new(bytes) {
            let _advice = rustix::fs::fadvise(&self.file, offset, Some(bytes), Advice::DontNeed);
        }
    }

    /// Writes all of `bytes` at `offset`.
    pub fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let act = Act::Write { file: &self.file, offset, bytes };
        self.seam.change(&act, || self.file.write_all_at(bytes, offset))
    }

    /// Cuts the file, or makes it longer by zeros.
    pub fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.seam.change(&Act::Resize { file: &self.file, bytes }, || self.file.set_len(bytes))
    }

    /// Sets the modification time.
    pub fn set_modified(&self, stamp: Stamp) -> io::Result<()> {
        let time = Timespec {
            tv_sec: i64::try_from(stamp.0 / 1_000_000_000).unwrap_or(i64::MAX),
            tv_nsec: (stamp.0 % 1_000_000_000) as _,
        };
        let omit = Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_OMIT };
        let times = Timestamps { last_access: omit, last_modification: time };
        let work = || Ok(rustix::fs::futimens(&self.file, &times)?);
        self.seam.change(&Act::SetTime { file: &self.file }, work)
    }

    /// Keeps a copy of the row with the file, as far as the file system can (`reindex` reads it); answers whether it could.
    pub fn set_tag(&self, tag: &[u8]) -> bool {
        let work = || Ok(rustix::fs::fsetxattr(&self.file, TAG, tag, XattrFlags::empty())?);
        self.seam.change(&Act::SetTag { file: &self.file }, work).is_ok()
    }

    /// The copy of a row that [`DiskFile::set_tag`] left; none when there is none, or the file system keeps none.
    pub fn tag(&self) -> Option<Vec<u8>> {
        let mut tag = vec![0; TAG_BYTES_MAX];
        let size = rustix::fs::fgetxattr(&self.file, TAG, &mut tag).ok()?;
        tag.truncate(size);
        Some(tag)
    }

    /// Takes that copy away.
    pub fn remove_tag(&self) {
        let work = || Ok(rustix::fs::fremovexattr(&self.file, TAG)?);
        let _mostly_absent = self.seam.change(&Act::SetTag { file: &self.file }, work);
    }

    /// Makes bytes and size durable. Always carried out; see [`super::Disk::sync_data`].
    pub fn sync_data(&self) -> io::Result<()> {
        self.seam.change(&Act::SyncData { file: &self.file }, || Ok(rustix::fs::fdatasync(&self.file)?))
    }

    /// Makes everything about the file but its name durable. Always carried out.
    pub fn sync_all(&self) -> io::Result<()> {
        self.seam.change(&Act::SyncData { file: &self.file }, || self.file.sync_all())
    }

    /// Reserves the blocks of a range, beyond the end too. Errs: Unsupported where the file system cannot.
    pub fn allocate(&self, offset: u64, bytes: u64) -> io::Result<()> {
        let end = offset.saturating_add(bytes);
        let work = || match rustix::fs::fallocate(&self.file, rustix::fs::FallocateFlags::empty(), offset, bytes) {
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => Err(io::ErrorKind::Unsupported.into()),
            other => Ok(other?),
        };
        self.seam.change(&Act::Resize { file: &self.file, bytes: end }, work)
    }

    /// Copies `length` bytes of `from` into this file, inside the kernel where it can.
    pub fn copy_from(&self, from: &Self, from_offset: u64, offset: u64, length: u64) -> io::Result<()> {
        let act = Act::Copy { file: &self.file, offset, length };
        self.seam.change(&act, || copy_range(&from.file, from_offset, &self.file, offset, length))
    }
}

/// Name of the extended attribute that holds the copy of a row.
const TAG: &str = "user.myfsio";
/// Largest value that Linux takes for an extended attribute, in bytes.
const TAG_BYTES_MAX: usize = 64 << 10;

fn copy_range(from: &File, from_offset: u64, to: &File, to_offset: u64, length: u64) -> io::Result<()> {
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
        from.read_exact_at(chunk, source)?;
        to.write_all_at(chunk, target)?;
        source += step as u64;
        target += step as u64;
        left -= step as u64;
    }
    Ok(())
}
