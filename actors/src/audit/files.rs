//! The files of the log: `audit.jsonl` is written, `audit-<number>.jsonl` are the full ones, oldest first.
//!
//! A full file keeps its number for ever, and the file that is written has the next one, so that a position (number and offset)
//! means the same line before and after a rotation.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::error::AuditError;

/// Name of the file that is written.
pub(super) const CURRENT: &str = "audit.jsonl";

/// The path of a full file.
pub(super) fn full_path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("audit-{number:010}.jsonl"))
}

/// The number of a full file of this name; none for any other name.
fn number_of(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("audit-")?.strip_suffix(".jsonl")?;
    let number = digits.parse().ok()?;
    // Other spellings of a number are no names of the log's.
    (format!("{number:010}") == digits).then_some(number)
}

/// Numbers and sizes of the full files, oldest first. None are there where there is no folder.
pub(super) fn full_files(folder: &Path) -> Result<Vec<(u64, u64)>, AuditError> {
    let failed = |source| AuditError::Io { path: folder.to_owned(), doing: "list", source };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        let Some(number) = entry.file_name().to_str().and_then(number_of) else { continue };
        match entry.metadata() {
            Ok(metadata) if metadata.is_file() => found.push((number, metadata.len())),
            Ok(_) => {}
            // Removed meanwhile, being the oldest.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
    }
    found.sort_unstable();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(full_files(&folder.path().join("none")).unwrap(), []);
        for name in ["audit.jsonl", "audit-1.jsonl", "audit-0000000007.jsonl.bak", "audit-+000000007.jsonl", "notes"] {
            fs::write(folder.path().join(name), "x").unwrap();
        }
        for (number, bytes) in [(12_345_678_901, 3), (2, 1), (11, 2)] {
            fs::write(full_path(folder.path(), number), "x".repeat(bytes)).unwrap();
        }
        fs::create_dir(full_path(folder.path(), 5)).unwrap();
        assert_eq!(full_files(folder.path()).unwrap(), [(2, 1), (11, 2), (12_345_678_901, 3)]);
    }
}
