//! Opening paths beneath the root without following symbolic links, whoever put them there.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path};

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

const FILE_MODE: Mode = Mode::from_raw_mode(0o644);

/// Opens `path`, which is relative to `folder` and never leaves it, nor any folder on its way: `a/../b` is no path.
pub fn open_beneath(folder: BorrowedFd<'_>, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    if path.components().any(|part| matches!(part, Component::ParentDir)) {
        return Err(Errno::XDEV.into());
    }
    let flags = flags | OFlags::CLOEXEC;
    let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let mode = if flags.contains(OFlags::CREATE) { FILE_MODE } else { Mode::empty() };
    match rustix::fs::openat2(folder, path, flags, mode, beneath) {
        Err(Errno::NOSYS | Errno::PERM) => walk(folder, path, flags, mode),
        other => Ok(other?),
    }
}

/// Opens `path` one segment at a time without following links: for kernels and sandboxes without openat2.
pub(super) fn walk(root: BorrowedFd<'_>, path: &Path, flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
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
