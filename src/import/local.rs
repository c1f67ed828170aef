//! Objects that are files: of a plain folder, or of an earlier generation, which may keep one in several files, or encrypted.

use std::fs::File;
use std::io::{self, Read as _};
use std::ops::Range;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use md5::{Digest as _, Md5};
use myfsio_actors::earlier::{DataKey, Opener};
use myfsio_actors::names::Stamp;

use super::beneath::Folder;
use super::entry::{Content, Opened};
use crate::replication::Pieces;

/// Bytes that are read at once.
const PIECE_BYTES: usize = 256 * 1024;

/// An object that is a file, with what goes with it.
#[derive(Debug, Clone)]
pub struct LocalObject {
    /// Its file, relative to the folder.
    pub path: PathBuf,
    /// What goes with it, as headers of PutObject.
    pub headers: Vec<(String, String)>,
    /// The ETag that it was stored with.
    pub etag: Option<String>,
    /// Size and modification time, in seconds, that its file had when it was stored, where that is known.
    pub stored: Option<(u64, f64)>,
    /// Sizes of its parts.
    pub parts: Vec<u64>,
    /// A header that tells a checksum of all of it.
    pub checksum: Option<(String, String)>,
    /// How its bytes are kept.
    pub form: Form,
    /// What of it is left behind, and why.
    pub lost: Vec<String>,
}

/// How the bytes of an object are kept.
#[derive(Debug, Clone)]
pub enum Form {
    /// As they are.
    Plain,
    /// In files of these sizes, one after the other, named from `seg-00001` on, in a folder.
    Segments(PathBuf, Vec<u64>),
    /// Encrypted, with a key and what it takes beside.
    Sealed(DataKey, String),
    /// Not readable, for this reason.
    Unreadable(String),
}

impl LocalObject {
    /// Opens it. Errs: why it cannot be read.
    pub fn open(&self, folder: &Folder) -> Result<Opened, String> {
        let (sources, size, sealed) = match &self.form {
            Form::Unreadable(reason) => return Err(reason.clone()),
            Form::Plain => {
                let file = self.file(folder, &self.path)?;
                let size = file.metadata().map_err(|error| error.to_string())?.len();
                (Bytewise::Files(vec![(Arc::new(file), size)]), size, false)
            }
            Form::Segments(segments, sizes) => {
                let mut files = Vec::with_capacity(sizes.len());
                for (number, size) in (1..).zip(sizes) {
                    let file = self.file(folder, &segments.join(format!("seg-{number:05}")))?;
                    let there = file.metadata().map_err(|error| error.to_string())?.len();
                    if there != *size {
                        return Err(format!("its part {number} has {there} bytes instead of {size}"));
                    }
                    files.push((Arc::new(file), *size));
                }
                (Bytewise::Files(files), sizes.iter().sum(), false)
            }
            Form::Sealed(key, nonce) => {
                let file = self.file(folder, &self.path)?;
                let sealed = Sealed::read(file, key, nonce)?;
                let size = sealed.size;
                (Bytewise::Sealed(Arc::new(sealed)), size, true)
            }
        };
        let mut lost = self.lost.clone();
        let is_as_stored = sealed || self.is_as_stored(folder, size);
        if !is_as_stored {
            lost.push("its file was changed since it was stored: it has a new ETag".to_owned());
        }
        let etag = self.etag.clone().filter(|_| is_as_stored && !sealed);
        let digest = match (&self.checksum, &etag) {
            (Some(checksum), _) if is_as_stored => Some(checksum.clone()),
            (_, Some(etag)) => md5_header(etag),
            _ => None,
        };
        let mut opened = Opened {
            headers: self.headers.clone(),
            size,
            digest,
            etag,
            parts: if is_as_stored && self.parts.iter().sum::<u64>() == size { self.parts.clone() } else { Vec::new() },
            sealed,
            lost,
            content: Content::Local(LocalContent(sources)),
        };
        // A lock is only taken with a digest (S3 API Reference, PutObject).
        let locked = opened.headers.iter().any(|(name, _)| name.starts_with("x-amz-object-lock-"));
        if locked && opened.digest.is_none() {
            opened.digest = Some(self.digest(&opened)?);
        }
        Ok(opened)
    }

    fn file(&self, folder: &Folder, path: &std::path::Path) -> Result<File, String> {
        folder.file(path).map_err(|error| format!("{}: {error}", path.display()))
    }

    /// Whether its file has the size and the time that it was stored with: then its ETag holds.
    fn is_as_stored(&self, folder: &Folder, size: u64) -> bool {
        let Some((stored_size, stored_time)) = self.stored else { return true };
        if size != stored_size {
            return false;
        }
        let Ok(metadata) = folder.file(&self.path).and_then(|file| file.metadata()) else { return false };
        // The time was kept as a floating point number: of its nanoseconds some are lost.
        let modified = metadata.mtime() as f64 + metadata.mtime_nsec() as f64 / 1e9;
        (modified - stored_time).abs() < 1e-3 || matches!(self.form, Form::Segments(..))
    }

    fn digest(&self, opened: &Opened) -> Result<(String, String), String> {
        let Content::Local(LocalContent(source)) = &opened.content else { return Err("it is not local".to_owned()) };
        let (mut hash, mut at) = (Md5::new(), 0);
        while at < opened.size {
            let piece = source.piece(at, opened.size).map_err(|error| error.to_string())?;
            at += piece.len() as u64;
            hash.update(&piece);
        }
        Ok(("content-md5".to_owned(), STANDARD.encode(hash.finalize())))
    }
}

/// `Content-MD5` of an ETag that is one.
pub fn md5_header(etag: &str) -> Option<(String, String)> {
    let mut digest = [0; 16];
    hex::decode_to_slice(etag, &mut digest).ok()?;
    Some(("content-md5".to_owned(), STANDARD.encode(digest)))
}

/// When a file was written.
pub fn modified(file: &File) -> io::Result<(u64, Stamp)> {
    let metadata = file.metadata()?;
    let seconds = u64::try_from(metadata.mtime()).unwrap_or(0);
    let nanos = u64::try_from(metadata.mtime_nsec()).unwrap_or(0);
    Ok((metadata.len(), Stamp(seconds.saturating_mul(1_000_000_000).saturating_add(nanos).max(1))))
}

/// The bytes of a local object.
pub struct LocalContent(Bytewise);

#[derive(Clone)]
enum Bytewise {
    Files(Vec<(Arc<File>, u64)>),
    Sealed(Arc<Sealed>),
}

impl LocalContent {
    /// Some of the bytes.
    pub fn read(&self, range: Range<u64>) -> Pieces {
        let pieces = stream::try_unfold((self.0.clone(), range), |(source, range)| async move {
            if range.is_empty() {
                return Ok(None);
            }
            let (piece, source) = tokio::task::spawn_blocking(move || (source.piece(range.start, range.end), source))
                .await
                .map_err(|error| error.to_string())?;
            let piece = piece.map_err(|error| error.to_string())?;
            let next = range.start + piece.len() as u64;
            Ok(Some((piece, (source, next..range.end))))
        });
        pieces.boxed()
    }
}

impl Bytewise {
    /// The bytes from one place on, not beyond another. Errs: also at the end.
    fn piece(&self, at: u64, end: u64) -> io::Result<Bytes> {
        let piece = match self {
            Self::Files(files) => {
                let mut start = at;
                let found = files.iter().find(|(_, size)| {
                    let is_here = start < *size;
                    start = if is_here { start } else { start - size };
                    is_here
                });
                let (file, size) = found.ok_or(io::ErrorKind::UnexpectedEof)?;
                let wanted = (end - at).min(size - start).min(PIECE_BYTES as u64);
                let mut piece = vec![0; usize::try_from(wanted).unwrap_or(PIECE_BYTES)];
                let read = file.read_at(&mut piece, start)?;
                piece.truncate(read);
                Bytes::from(piece)
            }
            Self::Sealed(sealed) => {
                let piece = sealed.piece(at)?;
                let wanted = usize::try_from(end - at).unwrap_or(usize::MAX).min(piece.len());
                piece.slice(..wanted)
            }
        };
        match piece.is_empty() {
            true => Err(io::ErrorKind::UnexpectedEof.into()),
            false => Ok(piece),
        }
    }
}

/// A file of sealed chunks, which are all of one size but the last.
struct Sealed {
    file: File,
    key: DataKey,
    nonce: String,
    /// Bytes of a chunk when it is opened.
    chunk_bytes: u64,
    size: u64,
}

impl Sealed {
    fn read(mut file: File, key: &DataKey, nonce: &str) -> Result<Self, String> {
        let wrong = |error: &dyn std::fmt::Display| format!("it cannot be decrypted: {error}");
        let bytes = file.metadata().map_err(|error| wrong(&error))?.len();
        let mut number = [0; 4];
        file.read_exact(&mut number).map_err(|error| wrong(&error))?;
        let chunks = u32::from_be_bytes(number);
        let mut sealed = Self { file, key: key.clone(), nonce: nonce.to_owned(), chunk_bytes: 1, size: 0 };
        if chunks > 0 {
            let (first, _) = sealed.chunk_at(4).map_err(|error| wrong(&error))?;
            // Whether it is the right key shows here, before anything is sent.
            let opened = sealed.opener(0)?.open(&first).map_err(|error| wrong(&error))?;
            sealed.chunk_bytes = (opened.len() as u64).max(1);
        }
        let damaged = || wrong(&"its length and its number of chunks disagree");
        sealed.size = Opener::opened_size(bytes, chunks).ok_or_else(damaged)?;
        let expected = sealed.size.div_ceil(sealed.chunk_bytes);
        if expected != u64::from(chunks) {
            return Err(damaged());
        }
        Ok(sealed)
    }

    fn opener(&self, index: u32) -> Result<Opener, String> {
        Opener::new(self.key.clone(), &self.nonce, index).map_err(|error| error.to_string())
    }

    fn chunk_at(&self, at: u64) -> io::Result<(Vec<u8>, u64)> {
        let mut prefix = [0; 4];
        self.file.read_exact_at(&mut prefix, at)?;
        let length = Opener::length(prefix).map_err(io::Error::other)?;
        let mut sealed = vec![0; length];
        self.file.read_exact_at(&mut sealed, at + 4)?;
        Ok((sealed, at + 4 + length as u64))
    }

    /// The rest of the chunk that a byte is in.
    fn piece(&self, at: u64) -> io::Result<Bytes> {
        let index = at / self.chunk_bytes;
        let start = 4 + index * (self.chunk_bytes + 4 + Opener::TAG_BYTES);
        let (sealed, _) = self.chunk_at(start)?;
        let index = u32::try_from(index).map_err(io::Error::other)?;
        let opened = self.opener(index).map_err(io::Error::other)?.open(&sealed).map_err(io::Error::other)?;
        let (opened, skip) = (Bytes::from(opened), usize::try_from(at % self.chunk_bytes).unwrap_or(usize::MAX));
        Ok(opened.slice(skip.min(opened.len())..))
    }
}

#[cfg(test)]
impl LocalContent {
    /// No bytes.
    pub fn nothing() -> Self {
        Self(Bytewise::Files(Vec::new()))
    }
}

#[cfg(test)]
mod tests {
    use myfsio_actors::earlier::{MasterKey, WrappedKey};
    use proptest::prelude::*;

    use super::*;

    /// Some key: what it opens does not matter.
    fn key() -> DataKey {
        use aes_gcm::aead::Aead as _;
        use aes_gcm::{Aes256Gcm, KeyInit as _, Nonce};
        let sealed = Aes256Gcm::new(&[1; 32].into()).encrypt(&Nonce::from([2; 12]), [3; 32].as_slice()).unwrap();
        let wrapped = WrappedKey::parse(&STANDARD.encode([&[2; 12], sealed.as_slice()].concat())).unwrap();
        MasterKey::parse(&STANDARD.encode([1; 32])).unwrap().unwrap(&wrapped).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn no_file_is_opened_for_another(bytes in proptest::collection::vec(any::<u8>(), 0..200), chunks in 0u32..4) {
            let folder = tempfile::tempdir().unwrap();
            let content = [chunks.to_be_bytes().as_slice(), &bytes].concat();
            std::fs::write(folder.path().join("file"), &content).unwrap();
            let file = File::open(folder.path().join("file")).unwrap();
            let opened = Sealed::read(file, &key(), &STANDARD.encode([4; 12]));
            let is_empty = chunks == 0 && bytes.is_empty();
            prop_assert_eq!(opened.is_ok(), is_empty);
        }
    }
}
