//! A folder that somebody else filled. Nothing in it leads out of it: symbolic links are never followed, wherever they stand.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;
use std::sync::Arc;

use myfsio_actors::storage::open_beneath;
use rustix::fs::{Dir, FileType, Mode, OFlags};

/// A folder, and whatever is in it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Folder {
    at: Arc<OwnedFd>,
}

/// What stands in a folder under one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The name, whatever bytes it has.
    pub name: OsString,
    /// What it is.
    pub kind: Kind,
}

/// What a name is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// Something that holds no data of its own: a symbolic link, a socket, a device.
    Special,
}

impl Folder {
    /// The folder at a path, which itself may be a link.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let at = rustix::fs::open(path, flags, Mode::empty())?;
        Ok(Self { at: Arc::new(at) })
    }

    /// A file in it. Errs: also for what is none.
    pub fn file(&self, path: &Path) -> io::Result<File> {
        // Opening a pipe must not wait for its writer.
        let opened = open_beneath(self.at.as_fd(), path, OFlags::RDONLY | OFlags::NONBLOCK)?;
        let file = File::from(opened);
        match file.metadata()?.is_file() {
            true => Ok(file),
            false => Err(io::Error::other("it is no regular file")),
        }
    }

    /// The names in a folder below it, in the order of their bytes. Errs: also when there is none.
    pub fn names(&self, path: &Path) -> io::Result<Vec<Named>> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let folder = open_beneath(self.at.as_fd(), path, OFlags::RDONLY | OFlags::DIRECTORY)?;
        let mut names = Vec::new();
        for entry in Dir::new(folder)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") {
                continue;
            }
            let kind = match entry.file_type() {
                FileType::RegularFile => Kind::File,
                FileType::Directory => Kind::Folder,
                FileType::Unknown => self.kind(&path.join(OsString::from_vec(name.to_vec()))),
                _ => Kind::Special,
            };
            names.push(Named { name: OsString::from_vec(name.to_vec()), kind });
        }
        names.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(names)
    }

    /// For file systems that do not tell it with the name.
    fn kind(&self, path: &Path) -> Kind {
        match open_beneath(self.at.as_fd(), path, OFlags::PATH).and_then(|fd| File::from(fd).metadata()) {
            Ok(metadata) if metadata.is_file() => Kind::File,
            Ok(metadata) if metadata.is_dir() => Kind::Folder,
            _ => Kind::Special,
        }
    }

    /// Whether a folder is there.
    pub fn has_folder(&self, path: &Path) -> bool {
        open_beneath(self.at.as_fd(), path, OFlags::PATH | OFlags::DIRECTORY).is_ok()
    }

    /// Whether a folder is there that is not empty.
    pub fn has_anything(&self, path: &Path) -> bool {
        self.names(path).is_ok_and(|names| !names.is_empty())
    }

    /// Whether a regular file is there.
    pub fn has_file(&self, path: &Path) -> bool {
        self.file(path).is_ok()
    }

    /// All of a small file; none when it is not there. Errs: also when it is larger than `bytes_max`.
    pub fn read(&self, path: &Path, bytes_max: u64) -> io::Result<Option<Vec<u8>>> {
        let file = match self.file(path) {
            Ok(file) => file,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(None);
            }
            // Longer than a name can be: nothing is there.
            Err(error) if error.kind() == io::ErrorKind::InvalidFilename => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut bytes = Vec::new();
        file.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
        match u64::try_from(bytes.len()).is_ok_and(|read| read <= bytes_max) {
            true => Ok(Some(bytes)),
            false => Err(io::Error::other(format!("it is larger than {bytes_max} bytes"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn nothing_leads_out_of_it() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret"), "s").unwrap();
        let inside = tempfile::tempdir().unwrap();
        std::fs::create_dir(inside.path().join("sub")).unwrap();
        std::fs::write(inside.path().join("sub/file"), "f").unwrap();
        symlink(outside.path(), inside.path().join("folder-link")).unwrap();
        symlink(outside.path().join("secret"), inside.path().join("file-link")).unwrap();
        symlink("sub", inside.path().join("near-link")).unwrap();
        let folder = Folder::open(inside.path()).unwrap();
        let kinds: Vec<_> = folder.names(Path::new("")).unwrap().iter().map(|named| named.kind).collect();
        assert_eq!(kinds, [Kind::Special, Kind::Special, Kind::Special, Kind::Folder]);
        assert_eq!(folder.read(Path::new("sub/file"), 9).unwrap().unwrap(), b"f");
        for path in ["file-link", "folder-link/secret", "near-link/file", "../secret", "sub/../sub/file", "sub"] {
            assert!(folder.file(Path::new(path)).is_err(), "{path}");
        }
        assert!(!folder.has_folder(Path::new("near-link")) && folder.has_folder(Path::new("sub")));
        assert_eq!(folder.read(Path::new("sub/none"), 9).unwrap(), None);
        assert_eq!(folder.read(Path::new("sub/file/none"), 9).unwrap(), None);
        assert!(folder.read(Path::new("sub/file"), 0).is_err(), "it is too large");
    }
}
