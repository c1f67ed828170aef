//! Files that appear whole or not at all, and the standard streams.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process;

use zeroize::Zeroizing;

use super::arguments::is_standard;

const BUFFER_BYTES: usize = 256 * 1024;

/// Opens what is to be read.
pub fn source(path: &Path) -> Result<Box<dyn Read>, String> {
    if is_standard(path) {
        return Ok(Box::new(io::stdin().lock()));
    }
    let file = File::open(path).map_err(|error| told(path, &error))?;
    Ok(Box::new(BufReader::with_capacity(BUFFER_BYTES, file)))
}

/// Reads a small text, wiped when it is dropped.
pub fn text(path: &Path, bytes_max: u64) -> Result<Zeroizing<String>, String> {
    let mut text = Zeroizing::new(String::new());
    source(path)?.take(bytes_max + 1).read_to_string(&mut text).map_err(|error| told(path, &error))?;
    if text.len() as u64 > bytes_max {
        return Err(format!("{}: longer than {bytes_max} bytes", path.display()));
    }
    Ok(text)
}

/// Writes a text to a new file that only its owner can read.
pub fn write_secret(path: &Path, text: &str) -> Result<(), String> {
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(|error| told(path, &error))?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(|error| told(path, &error))
}

/// Something that is written, and put in place by [`Target::finish`] only: whoever looks at a file finds it whole.
pub struct Target {
    writer: Box<dyn Write>,
    /// Where it is written and where it belongs, unless it is written where it belongs.
    pending: Option<(PathBuf, PathBuf)>,
}

impl Target {
    /// Opens what is to be written. Devices and pipes are written as they are.
    pub fn open(path: &Path) -> Result<Self, String> {
        if is_standard(path) {
            return Ok(Self {
                writer: Box::new(BufWriter::with_capacity(BUFFER_BYTES, io::stdout().lock())),
                pending: None,
            });
        }
        let known = fs::metadata(path).ok();
        let place =
            if known.is_some() { fs::canonicalize(path).map_err(|error| told(path, &error))? } else { path.to_owned() };
        let buffered = |file| Box::new(BufWriter::with_capacity(BUFFER_BYTES, file));
        if known.as_ref().is_some_and(|known| !known.is_file()) {
            let file = OpenOptions::new().write(true).open(&place).map_err(|error| told(path, &error))?;
            return Ok(Self { writer: buffered(file), pending: None });
        }
        let mut beside = place.clone().into_os_string();
        beside.push(format!(".{}.part", process::id()));
        let beside = PathBuf::from(beside);
        let file =
            OpenOptions::new().write(true).create_new(true).open(&beside).map_err(|error| told(&beside, &error))?;
        // Whoever could not read the old file cannot read the new one.
        if let Some(known) = known {
            file.set_permissions(known.permissions()).map_err(|error| told(&beside, &error))?;
        }
        Ok(Self { writer: buffered(file), pending: Some((beside, place)) })
    }

    /// Puts the file in place.
    pub fn finish(mut self) -> Result<(), String> {
        self.writer.flush().map_err(|error| error.to_string())?;
        if let Some((beside, place)) = &self.pending {
            fs::rename(beside, place).map_err(|error| told(place, &error))?;
            self.pending = None;
        }
        Ok(())
    }
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if let Some((beside, _)) = &self.pending {
            let _ = fs::remove_file(beside);
        }
    }
}

fn told(path: &Path, error: &io::Error) -> String {
    format!("{}: {error}", path.display())
}
