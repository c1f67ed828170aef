//! Opening paths beneath the root without following symbolic links, whoever put them there.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path};

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

const FILE_MODE: Mode = Mode::from_raw_mode(0o644);

/// Opens `path`, which is relative to `folder` and never leaves it, nor any folder on its way: `a/../b` is no path.
pub fn open_beneath(folder: BorrowedFd<'_>, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    open(folder, path, flags, Mounts::Enter)
}

/// The same within one mounted file system: what is mounted below `folder` is not entered. Errs: XDEV then.
pub(super) fn open_within(folder: BorrowedFd<'_>, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    open(folder, path, flags, Mounts::Refuse)
}

/// What is to be done with other file systems that are mounted on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mounts {
    Enter,
    Refuse,
}

fn open(folder: BorrowedFd<'_>, path: &Path, flags: OFlags, mounts: Mounts) -> io::Result<OwnedFd> {
    if path.components().any(|part| matches!(part, Component::ParentDir)) {
        return Err(Errno::XDEV.into());
    }
    let flags = flags | OFlags::CLOEXEC;
    let mut how = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    how.set(ResolveFlags::NO_XDEV, mounts == Mounts::Refuse);
    let mode = if flags.contains(OFlags::CREATE) { FILE_MODE } else { Mode::empty() };
    match rustix::fs::openat2(folder, path, flags, mode, how) {
        Err(Errno::NOSYS | Errno::PERM) => walk(folder, path, flags, mode, mounts),
        other => Ok(other?),
    }
}

/// Opens `path` one segment at a time without following links: for kernels and sandboxes without openat2. Mounted file systems are told by
/// the devices of folders alone, since those of files are others than their folder's on some layered ones.
pub(super) fn walk(
    root: BorrowedFd<'_>,
    path: &Path,
    flags: OFlags,
    mode: Mode,
    mounts: Mounts,
) -> io::Result<OwnedFd> {
    let segments: Vec<_> = path.components().filter(|c| !matches!(c, Component::CurDir)).collect();
    let folder_flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let Some((last, folders)) = segments.split_last() else {
        return Ok(rustix::fs::openat(root, ".", folder_flags, Mode::empty())?);
    };
    let check = |fd: OwnedFd| match mounts {
        Mounts::Refuse if is_other_device(root, fd.as_fd())? => Err(io::Error::from(Errno::XDEV)),
        _ => Ok(fd),
    };
    let mut at: Option<OwnedFd> = None;
    for segment in folders {
        let Component::Normal(name) = segment else { return Err(Errno::XDEV.into()) };
        let parent = at.as_ref().map_or(root, |fd| fd.as_fd());
        at = Some(check(rustix::fs::openat(parent, *name, folder_flags, Mode::empty())?)?);
    }
    let Component::Normal(name) = last else { return Err(Errno::XDEV.into()) };
    let parent = at.as_ref().map_or(root, |fd| fd.as_fd());
    check(rustix::fs::openat(parent, *name, flags | OFlags::NOFOLLOW, mode)?)
}

/// Whether `opened` is a folder of another device than `root`.
fn is_other_device(root: BorrowedFd<'_>, opened: BorrowedFd<'_>) -> io::Result<bool> {
    let (root, opened) = (rustix::fs::fstat(root)?, rustix::fs::fstat(opened)?);
    let is_folder = rustix::fs::FileType::from_raw_mode(opened.st_mode).is_dir();
    Ok(is_folder && opened.st_dev != root.st_dev)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every Linux has something mounted at `/proc`.
    #[test]
    fn what_is_mounted_below_is_not_entered() {
        let root = rustix::fs::open("/", OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).unwrap();
        let flags = OFlags::RDONLY;
        for path in ["proc", "proc/sys", "proc/version"] {
            let path = Path::new(path);
            for refused in [
                open_within(root.as_fd(), path, flags),
                walk(root.as_fd(), path, flags | OFlags::CLOEXEC, Mode::empty(), Mounts::Refuse),
            ] {
                assert_eq!(refused.unwrap_err().raw_os_error(), Some(Errno::XDEV.raw_os_error()), "{path:?}");
            }
            open_beneath(root.as_fd(), path, flags).unwrap();
            walk(root.as_fd(), path, flags | OFlags::CLOEXEC, Mode::empty(), Mounts::Enter).unwrap();
        }
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("sub")).unwrap();
        let root = rustix::fs::open(folder.path(), OFlags::DIRECTORY | OFlags::RDONLY, Mode::empty()).unwrap();
        open_within(root.as_fd(), Path::new("sub"), flags).unwrap();
        walk(root.as_fd(), Path::new("sub"), flags, Mode::empty(), Mounts::Refuse).unwrap();
    }
}
