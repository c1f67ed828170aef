//! The file of the master key: `master.key`, 32 random bytes in base64, for nobody but the node's user to read. Made once, and durable
//! before anything is sealed under it.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::master::decode;
use crate::encryption::{DataKey, EncryptionError};
use crate::json_store::{StoreError, write_new_secret};

/// Most bytes of the file that are read: more than any key with white space around it.
const FILE_BYTES_MAX: u64 = 4096;
const PRIVATE: u32 = 0o600;
/// What others than the owner may do.
const SHARED: u32 = 0o077;
/// What everybody may do.
const WORLD: u32 = 0o007;

/// Why there is no master key.
#[derive(Debug, thiserror::Error)]
pub(super) enum MasterFileError {
    #[error("{} does not hold 32 bytes in base64", path.display())]
    Malformed { path: PathBuf },
    #[error("{} can be read by everybody and its mode cannot be changed; set it to 0600", path.display())]
    WorldReadable { path: PathBuf },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    NoRandomness(#[from] EncryptionError),
}

/// The key in the file, whose mode is mended; none when there is no file. Errs: Malformed, WorldReadable, Store.
pub(super) fn read(path: &Path) -> Result<Option<DataKey>, MasterFileError> {
    let failed = |doing| move |source| StoreError::Io { path: path.to_owned(), doing, source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("open")(error).into()),
    };
    mend_mode(&file, path)?;
    let mut text = Zeroizing::new(String::with_capacity(FILE_BYTES_MAX as usize));
    let malformed = || MasterFileError::Malformed { path: path.to_owned() };
    match file.take(FILE_BYTES_MAX).read_to_string(&mut text) {
        Err(error) if error.kind() == io::ErrorKind::InvalidData => return Err(malformed()),
        Err(error) => return Err(failed("read")(error).into()),
        Ok(_) => {}
    }
    decode(&text).map(Some).ok_or_else(malformed)
}

/// Makes the file, or takes the one that is there by now. Errs: as [`read`].
pub(super) fn create(path: &Path) -> Result<DataKey, MasterFileError> {
    let text = Zeroizing::new(STANDARD.encode(DataKey::random()?.expose()));
    write_new_secret(path, text.as_bytes())?;
    tracing::info!(file = %path.display(), "made the master key; keep a copy of it where the data is not");
    // Read back what is there now: what counts is what the next start will find.
    read(path)?.ok_or_else(|| MasterFileError::Malformed { path: path.to_owned() })
}

/// Takes the file away from everybody but its owner.
fn mend_mode(file: &File, path: &Path) -> Result<(), MasterFileError> {
    let mode = || file.metadata().map(|metadata| metadata.permissions().mode());
    let failed = |source| StoreError::Io { path: path.to_owned(), doing: "stat", source };
    let before = mode().map_err(failed)?;
    if before & SHARED == 0 {
        return Ok(());
    }
    // Whether that helped is what counts.
    let _ = file.set_permissions(Permissions::from_mode(PRIVATE));
    match judge(mode().map_err(failed)?, || has_modes(path)) {
        Verdict::Private => {
            tracing::warn!(file = %path.display(), "the master key could be read by others; its mode is 0600 now");
            Ok(())
        }
        Verdict::Group => {
            tracing::warn!(file = %path.display(), "the master key can be read by its group");
            Ok(())
        }
        Verdict::NoModes => {
            let file = path.display();
            tracing::warn!(%file, "the file system of the master key has no modes: whoever reaches it can read the key");
            Ok(())
        }
        Verdict::World => Err(MasterFileError::WorldReadable { path: path.to_owned() }),
    }
}

/// Who can read a file whose mode could not be made better than it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Private,
    Group,
    NoModes,
    World,
}

fn judge(mode: u32, has_modes: impl FnOnce() -> bool) -> Verdict {
    match mode {
        mode if mode & SHARED == 0 => Verdict::Private,
        _ if !has_modes() => Verdict::NoModes,
        mode if mode & WORLD == 0 => Verdict::Group,
        _ => Verdict::World,
    }
}

/// Whether files beside this one can be private at all; yes where that cannot be tried.
fn has_modes(path: &Path) -> bool {
    let probe = path.with_extension("probe");
    let _ = fs::remove_file(&probe);
    let made = OpenOptions::new().write(true).create_new(true).mode(PRIVATE).open(&probe);
    let mode = made.and_then(|file| file.metadata()).map(|metadata| metadata.permissions().mode());
    let _ = fs::remove_file(&probe);
    mode.map_or(true, |mode| mode & SHARED == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn it_is_made_once_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys/master.key");
        assert!(read(&path).unwrap().is_none());
        let key = create(&path).unwrap();
        assert_eq!(mode(&path), 0o600);
        assert_eq!(fs::read_to_string(&path).unwrap().len(), 44);
        assert_eq!(create(&path).unwrap().expose(), key.expose(), "never replaced");
        assert_eq!(read(&path).unwrap().unwrap().expose(), key.expose());
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing beside it");
    }

    #[test]
    fn its_mode_is_mended() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        let key = create(&path).unwrap();
        for open in [0o644, 0o640, 0o666, 0o777] {
            fs::set_permissions(&path, Permissions::from_mode(open)).unwrap();
            assert_eq!(read(&path).unwrap().unwrap().expose(), key.expose());
            assert_eq!(mode(&path), 0o600);
        }
        assert!(has_modes(&path));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn who_can_read_it_decides() {
        for (mode, has_modes, verdict) in [
            (0o100_600, true, Verdict::Private),
            (0o400, true, Verdict::Private),
            (0o640, true, Verdict::Group),
            (0o644, true, Verdict::World),
            (0o602, true, Verdict::World),
            (0o777, false, Verdict::NoModes),
            (0o640, false, Verdict::NoModes),
        ] {
            assert_eq!(judge(mode, || has_modes), verdict, "{mode:o}");
        }
    }

    #[test]
    fn what_is_no_key_is_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        for text in ["", "short", &"A".repeat(9000), "\u{fffd}"] {
            fs::write(&path, text).unwrap();
            assert!(matches!(read(&path), Err(MasterFileError::Malformed { .. })), "{text}");
            assert!(matches!(create(&path), Err(MasterFileError::Malformed { .. })));
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        fs::write(&path, [0xff, 0xfe]).unwrap();
        assert!(matches!(read(&path), Err(MasterFileError::Malformed { .. })));
        let text = format!("\n {} \r\n", STANDARD.encode([5; 32]));
        fs::write(&path, text).unwrap();
        assert_eq!(read(&path).unwrap().unwrap().expose(), &[5; 32]);
    }
}
