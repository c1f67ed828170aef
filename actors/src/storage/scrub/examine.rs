//! Reading all bytes of something, piece by piece, so that whoever asks can rest in between. What was not in memory before is not
//! left there.

use std::sync::Arc;

use futures_util::StreamExt as _;

use super::look::{Damage, DamageKind};
use super::walk::ScrubItem;
use crate::storage::StorageError;
use crate::storage::disk::{DiskFile, FileStamp};
use crate::storage::io_pool::IoPool;
use crate::storage::read::ObjectReader;

/// Bytes that are read at a time.
const PIECE_BYTES: usize = 256 << 10;
/// Bytes after which pages are given back.
const FORGET_BYTES: u64 = 4 << 20;
/// Places of a file at which it is looked whether it is in memory.
const SAMPLES: u64 = 8;

/// Bytes on their way through a checksum.
#[derive(Debug)]
pub struct Examination {
    file: Arc<DiskFile>,
    seen: FileStamp,
    pool: IoPool,
    /// What readers would be given; none when what is stored is read.
    reader: Option<ObjectReader>,
    /// First byte within the file, how many were read, and how many there are.
    offset: u64,
    done: u64,
    size: u64,
    /// Up to where pages were given back.
    forgotten: u64,
    /// Somebody else uses this file: its pages stay.
    is_in_use: bool,
    buffer: Vec<u8>,
    digest: crc_fast::Digest,
    expected: u64,
}

/// What came of reading on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Examined {
    /// So many bytes were read, and there are more.
    More(usize),
    /// All bytes are those that were stored.
    Right,
    /// They are not, or cannot be read.
    Damaged(Damage),
}

impl Examination {
    pub(super) fn new(
        item: &ScrubItem,
        (file, seen): (Arc<DiskFile>, FileStamp),
        reader: Option<ObjectReader>,
        pool: IoPool,
    ) -> Self {
        let (offset, size) = (item.offset(), item.stored_size());
        let is_in_use = (0..SAMPLES).any(|sample| size > 0 && file.is_cached(offset + size * sample / SAMPLES));
        file.expect_no_more();
        Self {
            file,
            seen,
            pool,
            reader,
            offset,
            done: 0,
            size,
            forgotten: offset,
            is_in_use,
            buffer: Vec::new(),
            digest: crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc64Nvme),
            expected: item.stored_crc(),
        }
    }

    /// Reads the next bytes. Errs: the node stops, or cannot read just now.
    pub async fn read_on(&mut self) -> Result<Examined, StorageError> {
        let read = match &mut self.reader {
            None => self.read_stored().await?,
            Some(reader) => match reader.next().await {
                None => Examined::Right,
                Some(Ok(bytes)) => Examined::More(bytes.len()),
                Some(Err(StorageError::Corrupt { what })) => self.mismatch(what),
                Some(Err(error @ StorageError::Io { .. })) => Examined::Damaged(Damage::unreadable(error)?),
                Some(Err(error)) => return Err(error),
            },
        };
        if let Examined::More(bytes) = read {
            self.done += bytes as u64;
        }
        let at = self.offset + self.done;
        if !self.is_in_use && (at - self.forgotten >= FORGET_BYTES || !matches!(read, Examined::More(_))) {
            // Sealed bytes are a little more than what is read of them.
            let end = if matches!(read, Examined::More(_)) { at } else { self.offset + self.size };
            self.file.forget(self.forgotten, end.saturating_sub(self.forgotten));
            self.forgotten = at;
        }
        Ok(read)
    }

    async fn read_stored(&mut self) -> Result<Examined, StorageError> {
        let left = self.size - self.done;
        if left == 0 {
            return Ok(match self.digest.finalize() == self.expected {
                true => Examined::Right,
                false => self.mismatch(format!("its {} bytes have another checksum", self.size)),
            });
        }
        let step = usize::try_from(left).unwrap_or(usize::MAX).min(PIECE_BYTES);
        let (file, at, mut buffer) =
            (Arc::clone(&self.file), self.offset + self.done, std::mem::take(&mut self.buffer));
        buffer.resize(step, 0);
        let reading = self.pool.run(move || Ok((file.read_exact_at(&mut buffer, at), buffer)));
        let (read, buffer) = reading.await?;
        self.buffer = buffer;
        Ok(match read {
            Ok(()) => {
                self.digest.update(&self.buffer);
                Examined::More(step)
            }
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                Examined::Damaged(Damage::of_file(DamageKind::Size, "it ends early", self.seen))
            }
            Err(error) => Examined::Damaged(Damage::unreadable(StorageError::io("read", "", error))?),
        })
    }

    fn mismatch(&self, detail: String) -> Examined {
        Examined::Damaged(Damage::of_file(DamageKind::Checksum, detail, self.seen))
    }
}
