//! A log file that is rotated by size, so that what logs may take of the disk is known: `kept + 1` times the limit.
//!
//! `app.log` is written, `app.log.1` is the youngest of the full ones. A line is never split over two files. When a
//! rotation fails (a folder that became read-only), the current file goes on: a full disk is the operator's trouble,
//! a silent log would be ours.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The current file and how much it holds.
#[derive(Debug)]
pub struct RotatingFile {
    path: PathBuf,
    limit_bytes: u64,
    kept: u32,
    file: File,
    written_bytes: u64,
}

impl RotatingFile {
    /// Opens `path` for appending, making its folder if needed. It is rotated before it would exceed `limit_bytes`; `kept`
    /// full files stay.
    pub fn open(path: &Path, limit_bytes: u64, kept: u32) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let file = append(path)?;
        let written_bytes = file.metadata()?.len();
        Ok(Self { path: path.to_owned(), limit_bytes, kept, file, written_bytes })
    }

    fn numbered(&self, number: u32) -> PathBuf {
        let mut name = OsString::from(&self.path);
        name.push(format!(".{number}"));
        PathBuf::from(name)
    }

    fn rotate(&mut self) -> io::Result<()> {
        for number in (1..self.kept).rev() {
            match fs::rename(self.numbered(number), self.numbered(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        if self.kept == 0 {
            fs::remove_file(&self.path)?;
        } else {
            fs::rename(&self.path, self.numbered(1))?;
        }
        self.file = append(&self.path)?;
        Ok(())
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

impl Write for RotatingFile {
    /// Writes all of `line`, which the logs hand over whole.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let bytes = u64::try_from(line.len()).unwrap_or(u64::MAX);
        if self.written_bytes > 0 && self.written_bytes.saturating_add(bytes) > self.limit_bytes {
            // Also after a failure: the next try comes a limit later, not with every line.
            let _ = self.rotate();
            self.written_bytes = 0;
        }
        self.file.write_all(line)?;
        self.written_bytes = self.written_bytes.saturating_add(bytes);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &Path) -> String {
        fs::read_to_string(path).unwrap()
    }

    #[test]
    fn full_files_move_on_and_the_oldest_goes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("logs/app.log");
        let mut file = RotatingFile::open(&path, 10, 2).unwrap();
        for line in ["aaaa\n", "bbbb\n", "cccc\n", "dddd\n", "eeee\n", "ffff\n", "gggg\n"] {
            file.write_all(line.as_bytes()).unwrap();
        }
        assert_eq!(read(&path), "gggg\n");
        assert_eq!(read(&dir.path().join("logs/app.log.1")), "eeee\nffff\n");
        assert_eq!(read(&dir.path().join("logs/app.log.2")), "cccc\ndddd\n");
        assert_eq!(fs::read_dir(dir.path().join("logs")).unwrap().count(), 3);
    }

    #[test]
    fn a_restart_appends() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("app.log");
        for line in ["one\n", "two\n", "three\n"] {
            RotatingFile::open(&path, 8, 1).unwrap().write_all(line.as_bytes()).unwrap();
        }
        assert_eq!(read(&path), "three\n");
        assert_eq!(read(&dir.path().join("app.log.1")), "one\ntwo\n");
    }

    #[test]
    fn a_line_over_the_limit_gets_a_file_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("app.log");
        let mut file = RotatingFile::open(&path, 4, 3).unwrap();
        file.write_all(b"a long line\n").unwrap();
        file.write_all(b"b\n").unwrap();
        assert_eq!(read(&dir.path().join("app.log.1")), "a long line\n");
        assert_eq!(read(&path), "b\n");
    }
}
