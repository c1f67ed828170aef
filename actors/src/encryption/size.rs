//! Sizes: a segment is its head, then chunks of 64 KiB of plaintext, each followed by its tag. Even an empty one has a chunk.

use super::segment::HEAD_BYTES;

/// Bytes of plaintext in each chunk but the last.
pub const CHUNK_BYTES: usize = 64 << 10;
/// Bytes by which a chunk grows.
pub const TAG_BYTES: usize = 16;

/// Chunks of a segment of `plain` bytes.
pub fn chunk_count(plain: u64) -> u64 {
    plain.div_ceil(CHUNK_BYTES as u64).max(1)
}

/// Bytes on disk of a segment of `plain` bytes of plaintext.
pub fn sealed_size(plain: u64) -> u64 {
    plain.saturating_add(HEAD_BYTES as u64).saturating_add(chunk_count(plain).saturating_mul(TAG_BYTES as u64))
}

/// Bytes of plaintext of a segment of `sealed` bytes on disk; none when no segment has that size.
pub fn plain_size(sealed: u64) -> Option<u64> {
    let body = sealed.checked_sub(HEAD_BYTES as u64)?;
    let chunks = body.div_ceil((CHUNK_BYTES + TAG_BYTES) as u64);
    let plain = body.checked_sub(chunks.checked_mul(TAG_BYTES as u64)?)?;
    (sealed_size(plain) == sealed).then_some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_go_both_ways() {
        let chunk = CHUNK_BYTES as u64;
        for (plain, chunks) in
            [(0, 1), (1, 1), (chunk - 1, 1), (chunk, 1), (chunk + 1, 2), (5 << 40, (5 << 40) / chunk)]
        {
            let sealed = sealed_size(plain);
            assert_eq!(sealed, plain + HEAD_BYTES as u64 + chunks * 16);
            assert_eq!(plain_size(sealed), Some(plain), "{plain}");
        }
        for impossible in [0, HEAD_BYTES as u64, sealed_size(0) - 1, sealed_size(chunk) + 1, sealed_size(chunk) + 16] {
            assert_eq!(plain_size(impossible), None, "{impossible}");
        }
    }
}
