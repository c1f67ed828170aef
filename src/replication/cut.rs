//! An object that was written by a single request and is sent in parts, so that it goes on where the link broke off: whether, how it is
//! cut, and what shows that the parts are its bytes.
//!
//! At another service its ETag is one of parts, so it tells nothing of the whole. A node takes the ETag that it had, and cannot check that.
//! So each part is compared by its own ETag, and all of them by the CRC-64/NVME that every object has: combined from those of the parts,
//! which are remembered with the upload, and at a node once more from those of the parts that it has.

use std::sync::{Arc, Mutex, PoisonError};

use crc_fast::CrcAlgorithm;
use futures_util::StreamExt as _;
use md5::{Digest as _, Md5};
use myfsio_actors::names::PartNumber;
use myfsio_actors::storage::ObjectPart;

use super::content::Pieces;

const MIB: u64 = 1024 * 1024;

/// What such an object is sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taker {
    /// Another service.
    Service,
    /// A node; whether what was cut can be there what it was before.
    Node { takes_whole: bool },
}

/// How such an object is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Goes {
    /// By a single request.
    AtOnce,
    /// In parts, and is an object of parts there.
    AsParts,
    /// In parts, and is there what it was before.
    Whole,
}

/// How an object of so many bytes is sent; `tells_md5` whether its ETag is their MD5. Where it is not, a node that does not encrypt has to
/// find out the MD5 itself, which takes all bytes in a row.
pub(super) fn goes(size: u64, tells_md5: bool, to: Taker) -> Goes {
    match to {
        _ if size <= SINGLE_BYTES_MAX => Goes::AtOnce,
        Taker::Service => Goes::AsParts,
        Taker::Node { takes_whole: true } if tells_md5 => Goes::Whole,
        Taker::Node { .. } => Goes::AtOnce,
    }
}

/// Largest such object that goes by a single request, in bytes. What is larger goes on where the link broke off, and no service takes more
/// than 5 GiB at once (S3 User Guide, "Amazon S3 multipart upload limits").
pub(super) const SINGLE_BYTES_MAX: u64 = 64 * MIB;
/// Size of its parts in bytes, as long as they are not more than may be.
const PART_BYTES: u64 = 32 * MIB;
/// Most parts of an object (the same limits).
const PARTS_MAX: u64 = 10_000;

/// The parts of an object of so many bytes.
pub(super) fn cut(size: u64) -> Vec<ObjectPart> {
    let most = PART_BYTES.max(size.div_ceil(PARTS_MAX).next_multiple_of(MIB));
    let part = |at: u64| {
        let number = PartNumber::new(u32::try_from(at).ok()?.checked_add(1)?).ok()?;
        let offset = at.checked_mul(most)?;
        Some(ObjectPart { number, offset, size: most.min(size.checked_sub(offset)?), checksum: None })
    };
    (0..size.div_ceil(most)).filter_map(part).collect()
}

/// The CRC-64/NVME of a whole from those of its parts with their sizes, in order.
pub(super) fn whole(parts: impl Iterator<Item = (u64, u64)>) -> u64 {
    let algorithm = CrcAlgorithm::Crc64Nvme;
    let nothing = crc_fast::checksum(algorithm, b"");
    parts.fold(nothing, |crc, (next, size)| crc_fast::checksum_combine(algorithm, crc, next, size))
}

/// Digests the bytes of a part on their way.
#[derive(Clone)]
pub(super) struct Watch(Arc<Mutex<(Md5, crc_fast::Digest)>>);

impl Watch {
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new((Md5::new(), crc_fast::Digest::new(CrcAlgorithm::Crc64Nvme)))))
    }

    /// The same pieces, which are digested as they go.
    pub fn over(&self, pieces: Pieces) -> Pieces {
        let digests = Arc::clone(&self.0);
        Box::pin(pieces.inspect(move |piece| {
            if let Ok(bytes) = piece {
                let mut digests = digests.lock().unwrap_or_else(PoisonError::into_inner);
                digests.0.update(bytes);
                digests.1.update(bytes);
            }
        }))
    }

    /// MD5 and CRC-64/NVME of what went.
    pub fn seen(&self) -> ([u8; 16], u64) {
        let digests = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (digests.0.clone().finalize().into(), digests.1.finalize())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures_util::stream;

    use super::*;

    #[test]
    fn what_one_request_wrote_is_cut_where_that_shows_nowhere() {
        let (small, large) = (SINGLE_BYTES_MAX, SINGLE_BYTES_MAX + 1);
        let node = |takes_whole| Taker::Node { takes_whole };
        for (size, tells_md5, to, expected) in [
            (small, true, Taker::Service, Goes::AtOnce),
            (small, true, node(true), Goes::AtOnce),
            (large, true, Taker::Service, Goes::AsParts),
            (large, false, Taker::Service, Goes::AsParts),
            (large, true, node(true), Goes::Whole),
            (large, false, node(true), Goes::AtOnce),
            (large, true, node(false), Goes::AtOnce),
        ] {
            assert_eq!(goes(size, tells_md5, to), expected, "{size} {tells_md5} {to:?}");
        }
    }

    #[test]
    fn parts_are_as_many_as_may_be_and_leave_nothing_out() {
        for size in [SINGLE_BYTES_MAX + 1, 5 << 30, PART_BYTES * PARTS_MAX, PART_BYTES * PARTS_MAX + 1, 5 << 40] {
            let parts = cut(size);
            assert!(parts.len() as u64 <= PARTS_MAX, "{size}");
            let mut end = 0;
            for (at, part) in parts.iter().enumerate() {
                assert_eq!((usize::from(part.number.get()), part.offset), (at + 1, end), "{size}");
                assert!(part.size >= 5 * MIB || at + 1 == parts.len(), "{size}");
                end += part.size;
            }
            assert_eq!(end, size);
        }
    }

    #[actix_web::test]
    async fn what_went_is_digested_and_adds_up() {
        let mut crcs = Vec::new();
        for part in ["12345", "6789"] {
            let watch = Watch::new();
            let (one, other) = part.split_at(2);
            let pieces: Pieces = Box::pin(stream::iter([one, other].map(|it| Ok(Bytes::from(it.to_owned())))));
            assert_eq!(watch.over(pieces).count().await, 2);
            let (md5, crc) = watch.seen();
            assert_eq!(md5, <[u8; 16]>::from(Md5::digest(part)));
            crcs.push((crc, part.len() as u64));
        }
        assert_eq!(whole(crcs.into_iter()), 0xAE8B_1486_0A79_9888, "that of 123456789");
    }
}
