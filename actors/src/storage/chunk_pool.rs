//! Buffers for bytes on their way out, used again and again: a fresh one costs the zeroing of its pages, and memory that
//! is warm in the processor's cache is read and sent faster.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use crate::encryption::TAG_BYTES;

/// Bytes of a buffer: small enough that what was read is still in the processor's cache when it is sent.
pub(super) const CHUNK_BYTES: usize = 64 << 10;
/// Most bytes of a buffer: a sealed chunk has a tag behind it.
const BUFFER_BYTES: usize = CHUNK_BYTES + TAG_BYTES;
/// Spare buffers kept, at most.
const SPARE_MAX: usize = 64;
/// What is read into smaller pieces of memory of their own.
const SMALL_BYTES: usize = 16 << 10;

/// Spare buffers.
#[derive(Debug, Default)]
pub(super) struct ChunkPool {
    spare: Mutex<Vec<Box<[u8]>>>,
}

/// A buffer of which the first `length` bytes are in use. Dropping it makes it a spare one.
#[derive(Debug)]
pub(super) struct Chunk {
    buffer: Box<[u8]>,
    length: usize,
    pool: Arc<ChunkPool>,
}

impl ChunkPool {
    /// A buffer of `length` bytes, at most [`BUFFER_BYTES`]; what is in it is undefined.
    pub fn take(self: &Arc<Self>, length: usize) -> Chunk {
        let spare = if length <= SMALL_BYTES { None } else { self.spare.lock().pop() };
        let size = if length <= SMALL_BYTES { length } else { BUFFER_BYTES };
        let buffer = spare.unwrap_or_else(|| vec![0; size].into_boxed_slice());
        Chunk { length: length.min(buffer.len()), buffer, pool: Arc::clone(self) }
    }
}

impl Chunk {
    /// The bytes in use.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        self.buffer.get_mut(..self.length).unwrap_or_default()
    }

    /// Gives the bytes away; the buffer comes back when the last reference is dropped.
    pub fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Chunk {
    fn as_ref(&self) -> &[u8] {
        self.buffer.get(..self.length).unwrap_or_default()
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        if self.buffer.len() == BUFFER_BYTES {
            let mut spare = self.pool.spare.lock();
            if spare.len() < SPARE_MAX {
                spare.push(std::mem::take(&mut self.buffer));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_come_back() {
        let pool = Arc::new(ChunkPool::default());
        let mut chunk = pool.take(CHUNK_BYTES - 1);
        chunk.bytes_mut().fill(7);
        let bytes = chunk.freeze();
        let slice = bytes.slice(5..10);
        drop(bytes);
        assert!(pool.spare.lock().is_empty(), "a part of it is still in use");
        assert_eq!(slice.as_ref(), [7; 5]);
        drop(slice);
        assert_eq!(pool.spare.lock().len(), 1);
        assert_eq!(pool.take(SMALL_BYTES + 1).as_ref().len(), SMALL_BYTES + 1);
        drop(pool.take(10));
        assert_eq!(pool.spare.lock().len(), 1, "small ones are not kept");
    }
}
