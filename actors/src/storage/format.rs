//! The format of a data directory, in a file of its own that every release can read, before anything else is opened.
//!
//! Two numbers: the format that the directory has, and the oldest one that a program must know to open it. A release with a new format that
//! former ones can still work with raises only the first, so that there is a way back; `docs/storage-layout.md` tells the rules.
//!
//! INVARIANT: a directory whose second number is higher than what this program knows is not changed, not even by its lock.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::StorageError;
use super::disk::{Disk, STAGING_FOLDER, SYSTEM_FOLDER, is_absent};
use super::rows::FORMAT_VERSION;

/// Where it is, relative to the root.
const FORMAT_FILE: &str = ".myfsio.sys/format";
/// Largest file that is read, in bytes.
const BYTES_MAX: u64 = 4096;
/// The oldest format that this program opens.
const OLDEST_FORMAT: u32 = 2;

/// What a data directory says of its format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Format {
    /// The format that its last program wrote.
    pub format: u32,
    /// The oldest format that a program must know to open it.
    pub oldest_reader: u32,
    /// The version of that program.
    pub program: String,
}

impl Format {
    /// What this program writes.
    pub fn current() -> Self {
        let program = env!("CARGO_PKG_VERSION").to_owned();
        Self { format: FORMAT_VERSION, oldest_reader: FORMAT_VERSION, program }
    }

    /// What the directory at `root` says; none of one that is new, or older than the file. Errs: it cannot be read, or says nothing.
    pub fn of(root: &Path) -> io::Result<Option<Self>> {
        let file = match File::open(root.join(FORMAT_FILE)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io::Error::new(error.kind(), format!("{FORMAT_FILE}: {error}"))),
        };
        let mut text = Vec::new();
        file.take(BYTES_MAX).read_to_end(&mut text)?;
        let format = serde_json::from_slice(&text);
        format.map(Some).map_err(|error| io::Error::new(io::ErrorKind::Unsupported, format!("{FORMAT_FILE}: {error}")))
    }

    /// Errs: this program does not know enough to open it; says what to do.
    pub fn check(&self) -> Result<(), String> {
        if self.format < OLDEST_FORMAT {
            let (format, own) = (self.format, env!("CARGO_PKG_VERSION"));
            return Err(format!(
                "the data directory has format {format}, and this program ({own}) opens formats from {OLDEST_FORMAT} on; nothing was changed"
            ));
        }
        if self.oldest_reader <= FORMAT_VERSION {
            return Ok(());
        }
        Err(format!(
            "the data directory has format {}, written by MyFSIO {}, and this program ({}) knows format {FORMAT_VERSION}; nothing was \
             changed. Run MyFSIO {} or newer, or restore a backup that was made before the upgrade",
            self.format,
            self.program,
            env!("CARGO_PKG_VERSION"),
            self.program,
        ))
    }
}

/// Looks at the format before the directory is opened. Errs: Unsupported.
pub(super) fn check(root: &Path) -> io::Result<()> {
    match Format::of(root)? {
        Some(format) => format.check().map_err(|reason| io::Error::new(io::ErrorKind::Unsupported, reason)),
        None => Ok(()),
    }
}

/// Says that the directory, which was opened and replayed or just made of a backup, has this program's format.
pub(super) fn claim(disk: &Disk) -> Result<(), StorageError> {
    let (path, staged) = (Path::new(FORMAT_FILE), Path::new(STAGING_FOLDER).join("format"));
    let text = serde_json::to_vec(&Format::current())
        .map_err(|error| StorageError::io("write", path, std::io::Error::from(error)))?;
    let is_said = || -> io::Result<bool> {
        let file = match disk.open_file(path) {
            Ok(file) => file,
            Err(error) if is_absent(&error) => return Ok(false),
            Err(error) => return Err(error),
        };
        let mut found = vec![0; text.len()];
        Ok(file.stamp()?.size == text.len() as u64 && file.read_exact_at(&mut found, 0).is_ok() && found == text)
    };
    let say = || {
        let file = disk.create(&staged)?;
        file.write_all_at(&text, 0)?;
        file.sync_data()?;
        disk.rename(&staged, path)?;
        disk.sync_folder(Path::new(SYSTEM_FOLDER))
    };
    let said = is_said().and_then(|is_said| if is_said { Ok(()) } else { say() });
    said.map_err(|error| StorageError::io("write", path, error))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn written(root: &Path, text: &str) {
        fs::create_dir_all(root.join(SYSTEM_FOLDER)).unwrap();
        fs::write(root.join(FORMAT_FILE), text).unwrap();
    }

    #[test]
    fn what_is_newer_is_opened_only_if_it_says_so() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(Format::of(root.path()).unwrap(), None);
        check(root.path()).unwrap();
        let of = |format: u32, oldest_reader: u32| {
            let text = format!(r#"{{"format":{format},"oldest_reader":{oldest_reader},"program":"9.1.0","more":[1]}}"#);
            written(root.path(), &text);
            check(root.path())
        };
        assert!(of(FORMAT_VERSION, FORMAT_VERSION).is_ok() && of(FORMAT_VERSION + 1, FORMAT_VERSION).is_ok());
        let refused = of(FORMAT_VERSION + 2, FORMAT_VERSION + 1).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::Unsupported);
        let told = refused.to_string();
        assert!(told.contains(&format!("has format {}, written by MyFSIO 9.1.0", FORMAT_VERSION + 2)), "{told}");
        assert!(told.contains("Run MyFSIO 9.1.0 or newer"), "{told}");
        assert!(of(OLDEST_FORMAT - 1, OLDEST_FORMAT - 1).unwrap_err().to_string().contains("opens formats from"));
        for text in ["", "{}", "3", "\u{0}"] {
            written(root.path(), text);
            assert_eq!(check(root.path()).unwrap_err().kind(), io::ErrorKind::Unsupported, "{text:?}");
        }
    }

    #[test]
    fn a_directory_that_was_opened_says_its_format() {
        let root = tempfile::tempdir().unwrap();
        let disk = Disk::open(root.path(), true).unwrap();
        for _ in 0..2 {
            claim(&disk).unwrap();
            assert_eq!(Format::of(root.path()).unwrap(), Some(Format::current()));
            written(root.path(), r#"{"format":9,"oldest_reader":1,"program":"9.1.0"}"#);
        }
    }

    #[test]
    fn a_newer_directory_is_not_even_locked() {
        let root = tempfile::tempdir().unwrap();
        written(root.path(), r#"{"format":99,"oldest_reader":99,"program":"9.1.0"}"#);
        assert!(Disk::open(root.path(), true).is_err());
        let left: Vec<_> = fs::read_dir(root.path().join(SYSTEM_FOLDER)).unwrap().collect();
        assert_eq!(left.len(), 1, "{left:?}");
    }
}
