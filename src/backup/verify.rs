//! Verifying a backup: every file is read, and compared with what the backup says of it.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::Path;

use myfsio_actors::storage::{DATA_FOLDER, FILES_FILE};

use super::Trouble;
use super::manifest::{Manifest, ManifestFile, ObjectFile, digest, within};

/// Longest line of the list of files, in bytes.
const LINE_BYTES_MAX: u64 = 4096;

/// What was read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verified {
    /// Files.
    pub files: u64,
    /// Bytes of these.
    pub bytes: u64,
    /// What is wrong.
    pub problems: u64,
}

/// Reads all of a backup; `found` hears what is wrong, in words.
pub fn verify(folder: &Path, manifest: &Manifest, found: &mut dyn FnMut(&str)) -> Result<Verified, Trouble> {
    let mut verified = Verified::default();
    let mut tell = |verified: &mut Verified, text: String| {
        verified.problems += 1;
        found(&text);
    };
    for file in &manifest.files {
        if let Some(problem) = problem_of(folder, file)? {
            tell(&mut verified, problem);
        }
        verified.files += 1;
        verified.bytes += file.size;
    }
    let list = folder.join(FILES_FILE);
    let mut lines = match File::open(&list) {
        Ok(file) => BufReader::new(file),
        // That it is missing was told.
        Err(_) => return Ok(verified),
    };
    let (mut line, mut objects) = (String::new(), 0);
    loop {
        line.clear();
        let read = lines.by_ref().take(LINE_BYTES_MAX).read_line(&mut line);
        if read.map_err(|e| Trouble::io("read", &list, e))? == 0 {
            break;
        }
        let Ok(file) = serde_json::from_str::<ObjectFile>(&line) else {
            tell(&mut verified, format!("{FILES_FILE}: a line that names no file"));
            break;
        };
        match check(folder, &file) {
            Ok(()) => {}
            Err(problem) => tell(&mut verified, format!("{}: {problem}", file.path)),
        }
        objects += 1;
        verified.files += 1;
        verified.bytes += file.size;
    }
    if objects != manifest.objects {
        tell(&mut verified, format!("{objects} files of objects are listed, {} were written", manifest.objects));
    }
    let there = count(&folder.join(DATA_FOLDER))?;
    if there > objects {
        tell(&mut verified, format!("{DATA_FOLDER}: {} files that the backup does not list", there - objects));
    }
    Ok(verified)
}

/// What is wrong with a file that the manifest lists.
pub fn problem_of(folder: &Path, file: &ManifestFile) -> Result<Option<String>, Trouble> {
    let Some(path) = within(folder, &file.path) else {
        return Ok(Some(format!("{}: it lies outside of the backup", file.path)));
    };
    if !path.is_file() {
        return Ok(Some(format!("{}: it is missing", file.path)));
    }
    Ok(match digest(&path)? {
        (size, sha256) if size == file.size && sha256 == file.sha256 => None,
        _ => Some(format!("{}: it was changed", file.path)),
    })
}

fn check(folder: &Path, file: &ObjectFile) -> Result<(), String> {
    let path = within(folder, &file.path).ok_or("it lies outside of the backup")?;
    let mut source = File::open(&path).map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => "it is missing".to_owned(),
        _ => e.to_string(),
    })?;
    let mut digest = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc64Nvme);
    let (mut buffer, mut size) = (vec![0; 1 << 20], 0);
    loop {
        match source.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => {
                digest.update(buffer.get(..read).unwrap_or_default());
                size += read as u64;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e.to_string()),
        }
    }
    match (size == file.size, format!("{:016x}", digest.finalize()) == file.crc64nvme) {
        (true, true) => Ok(()),
        (false, _) => Err(format!("it has {size} bytes, and had {}", file.size)),
        (true, false) => Err("its bytes were changed".to_owned()),
    }
}

/// Files below a folder.
fn count(folder: &Path) -> Result<u64, Trouble> {
    let (mut folders, mut files) = (vec![folder.to_owned()], 0);
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            Err(e) => return Err(Trouble::io("list", &folder, e)),
        };
        for entry in entries {
            let entry = entry.map_err(|e| Trouble::io("list", &folder, e))?;
            match entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                true => folders.push(entry.path()),
                false => files += 1,
            }
        }
    }
    Ok(files)
}
