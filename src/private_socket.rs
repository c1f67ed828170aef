//! Sockets of the file system, for programs of this machine that may open the data directory.
//!
//! They stand in `STORAGE_ROOT/.myfsio.sys/run`. A path there may be too long for a socket, or its file system may have none: then
//! the socket has a private folder where the system keeps such things, and its path stands in `run/<name>.path`.
//!
//! INVARIANT: nobody but the node's own user, and whoever may do everything, can connect: the folder of a socket has mode 0700
//! before the socket is there. Whoever connects makes sure that the folder is the node's.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

/// Longest path of a socket, in bytes (unix(7): `sun_path` with its end).
const PATH_BYTES_MAX: usize = 107;
/// Random bytes in the name of a private folder.
const NAME_BYTES: usize = 8;

/// The folder of a data directory's sockets.
pub fn run_folder(storage_root: &Path) -> PathBuf {
    storage_root.join(".myfsio.sys/run")
}

/// A socket that is listened to. It goes with this.
#[derive(Debug)]
pub struct PrivateSocket {
    path: PathBuf,
    /// The file that names a socket elsewhere, and the folder that was made for it.
    elsewhere: Option<(PathBuf, PathBuf)>,
}

impl PrivateSocket {
    /// Listens at `run/<name>`, or elsewhere where that cannot be. A socket that a killed node left is replaced, so whoever calls
    /// must hold the lock of the data directory. Errs: it cannot be elsewhere, either.
    pub fn bind(run: &Path, name: &str) -> io::Result<(UnixListener, Self)> {
        let path = std::path::absolute(run)?.join(name);
        let hint = hint(run, name);
        remove(&path)?;
        remove(&hint)?;
        let here = match path.as_os_str().len() {
            0..=PATH_BYTES_MAX => make_private(run).and_then(|()| listen(&path)),
            _ => Err(io::ErrorKind::InvalidFilename.into()),
        };
        match here {
            Ok(listener) => Ok((listener, Self { path, elsewhere: None })),
            Err(_) => bind_elsewhere(run, name, hint),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for PrivateSocket {
    fn drop(&mut self) {
        // What cannot be removed is replaced by the next start.
        let _ = fs::remove_file(&self.path);
        if let Some((hint, folder)) = &self.elsewhere {
            let _ = (fs::remove_file(hint), fs::remove_dir(folder));
        }
    }
}

/// The socket of this name, if there may be one: it stands at its place, or a file says where. Errs: it is in a folder that is not
/// the data directory's user's alone.
pub fn find(run: &Path, name: &str) -> io::Result<PathBuf> {
    let path = match fs::read(hint(run, name)) {
        Ok(bytes) => PathBuf::from(OsString::from_vec(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => std::path::absolute(run)?.join(name),
        Err(error) => return Err(error),
    };
    let folder = fs::symlink_metadata(path.parent().unwrap_or(&path))?;
    if !folder.is_dir() || folder.uid() != fs::metadata(run)?.uid() || folder.mode() & 0o077 != 0 {
        return Err(io::Error::other("its folder is open to others"));
    }
    Ok(path)
}

fn bind_elsewhere(run: &Path, name: &str, hint: PathBuf) -> io::Result<(UnixListener, PrivateSocket)> {
    let home = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute());
    let homes = home.into_iter().chain([std::env::temp_dir()]);
    let mut failed = io::Error::from(io::ErrorKind::NotFound);
    for home in homes {
        match listen_below(&home, name) {
            Ok((listener, path, folder)) => {
                let socket = PrivateSocket { path, elsewhere: Some((hint, folder)) };
                make_private(run)?;
                write_hint(&socket)?;
                return Ok((listener, socket));
            }
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// A socket in a new folder of its own.
fn listen_below(home: &Path, name: &str) -> io::Result<(UnixListener, PathBuf, PathBuf)> {
    let mut random = [0; NAME_BYTES];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    let digits: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let folder = std::path::absolute(home)?.join(format!("myfsio-{digits}"));
    // Not one that is there: whose it is could change.
    DirBuilder::new().mode(0o700).create(&folder)?;
    let path = folder.join(name);
    match listen(&path) {
        Ok(listener) => Ok((listener, path, folder)),
        Err(error) => {
            let _ = fs::remove_dir(&folder);
            Err(error)
        }
    }
}

fn listen(path: &Path) -> io::Result<UnixListener> {
    let listener = UnixListener::bind(path)?;
    // Its folder lets nobody else in already.
    fs::set_permissions(path, Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// The folder, for its user alone.
fn make_private(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    if fs::metadata(folder)?.mode() & 0o077 != 0 {
        fs::set_permissions(folder, Permissions::from_mode(0o700))?;
    }
    Ok(())
}

fn hint(run: &Path, name: &str) -> PathBuf {
    run.join(format!("{name}.path"))
}

fn write_hint(socket: &PrivateSocket) -> io::Result<()> {
    let Some((hint, _)) = &socket.elsewhere else { return Ok(()) };
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(hint)?;
    file.write_all(socket.path.as_os_str().as_bytes())
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    const NAME: &str = "admin.sock";

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    fn connects(run: &Path) -> bool {
        find(run, NAME).is_ok_and(|path| UnixStream::connect(path).is_ok())
    }

    #[test]
    fn a_socket_is_private_and_goes_with_its_owner() {
        let root = tempfile::tempdir().unwrap();
        let run = run_folder(root.path());
        assert!(!connects(&run));
        for _ in 0..2 {
            let (_listener, socket) = PrivateSocket::bind(&run, NAME).unwrap();
            assert_eq!((mode(&run), mode(socket.path())), (0o700, 0o600));
            assert!(connects(&run) && socket.path().starts_with(&run));
            // As a kill leaves it.
            std::mem::forget(socket);
        }
        assert!(!connects(&run));
        drop(PrivateSocket::bind(&run, NAME).unwrap());
        assert_eq!(fs::read_dir(&run).unwrap().count(), 0);
    }

    #[test]
    fn a_path_that_is_too_long_has_its_socket_elsewhere() {
        let root = tempfile::tempdir().unwrap();
        let run = run_folder(&root.path().join("x".repeat(PATH_BYTES_MAX)));
        let (_listener, socket) = PrivateSocket::bind(&run, NAME).unwrap();
        let folder = socket.path().parent().unwrap().to_owned();
        assert!(connects(&run) && !socket.path().starts_with(root.path()));
        assert_eq!((mode(&folder), mode(socket.path()), mode(&hint(&run, NAME))), (0o700, 0o600, 0o600));
        fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
        assert!(!connects(&run), "a folder of others is believed");
        drop(socket);
        assert!(!folder.exists() && !hint(&run, NAME).exists());
    }
}
