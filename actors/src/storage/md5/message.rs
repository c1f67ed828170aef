//! A message as it streams by: whole blocks go to the compression function, alone or beside other messages.

use super::lanes::{self, Blocks, LANES_MAX, Width};

/// The four words that a message is boiled down to.
pub(super) type State = [u32; 4];

const BLOCK_BYTES: usize = 64;

/// The MD5 of one message.
#[derive(Debug, Clone)]
pub(in crate::storage) struct Md5 {
    state: State,
    /// What does not fill a block yet.
    tail: [u8; BLOCK_BYTES],
    tail_length: usize,
    /// Bytes so far.
    length: u64,
}

impl Default for Md5 {
    /// The empty message (RFC 1321, 3.3).
    fn default() -> Self {
        let state = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
        Self { state, tail: [0; BLOCK_BYTES], tail_length: 0, length: 0 }
    }
}

impl Md5 {
    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        let (blocks, rest) = self.begin(bytes);
        self.compress(blocks);
        self.keep(rest);
    }

    fn compress(&mut self, blocks: Blocks<'_>) {
        lanes::compress(Width::None, std::slice::from_mut(&mut self.state), &[blocks], blocks.len());
    }

    /// Takes the next bytes of several messages, side by side as far as the processor can.
    pub(super) fn update_many(width: Width, messages: &mut [(&mut Self, &[u8])]) {
        for group in messages.chunks_mut(LANES_MAX) {
            Self::update_group(width, group);
        }
    }

    fn update_group(width: Width, group: &mut [(&mut Self, &[u8])]) {
        let begun: Vec<_> = group.iter_mut().map(|(message, bytes)| message.begin(bytes)).collect();
        let mut left: Vec<(usize, Blocks<'_>)> = begun.iter().map(|(blocks, _)| *blocks).enumerate().collect();
        left.retain(|(_, blocks)| !blocks.is_empty());
        while let Some(count) = left.iter().map(|(_, blocks)| blocks.len()).min() {
            let mut states: Vec<State> = left.iter().filter_map(|(at, _)| Some(group.get(*at)?.0.state)).collect();
            let blocks: Vec<Blocks<'_>> = left.iter().map(|(_, blocks)| *blocks).collect();
            lanes::compress(width, &mut states, &blocks, count);
            for ((at, blocks), state) in left.iter_mut().zip(states) {
                if let Some((message, _)) = group.get_mut(*at) {
                    message.state = state;
                }
                *blocks = blocks.get(count..).unwrap_or_default();
            }
            left.retain(|(_, blocks)| !blocks.is_empty());
        }
        for ((message, _), (_, rest)) in group.iter_mut().zip(begun) {
            message.keep(rest);
        }
    }

    /// Completes the block begun earlier; answers the whole blocks that follow, and what does not fill one.
    fn begin<'a>(&mut self, bytes: &'a [u8]) -> (Blocks<'a>, &'a [u8]) {
        self.length = self.length.wrapping_add(bytes.len() as u64);
        let mut bytes = bytes;
        if self.tail_length > 0 {
            let room = self.tail.get_mut(self.tail_length..).unwrap_or_default();
            let (now, later) = bytes.split_at(bytes.len().min(room.len()));
            room.iter_mut().zip(now).for_each(|(to, from)| *to = *from);
            self.tail_length += now.len();
            bytes = later;
            if self.tail_length < BLOCK_BYTES {
                return (&[], &[]);
            }
            self.compress(&[self.tail]);
            self.tail_length = 0;
        }
        bytes.as_chunks()
    }

    fn keep(&mut self, rest: &[u8]) {
        self.tail.iter_mut().skip(self.tail_length).zip(rest).for_each(|(to, from)| *to = *from);
        self.tail_length += rest.len();
    }

    /// The digest (RFC 1321, 3.1, 3.2, 3.5).
    pub fn finish(mut self) -> [u8; 16] {
        let bits = self.length.wrapping_mul(8);
        let zeros = (2 * BLOCK_BYTES - 9 - self.tail_length) % BLOCK_BYTES;
        let padding: Vec<u8> =
            [0x80].into_iter().chain(std::iter::repeat_n(0, zeros)).chain(bits.to_le_bytes()).collect();
        self.update(&padding);
        let mut digest = [0; 16];
        let bytes = self.state.iter().flat_map(|word| word.to_le_bytes());
        digest.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
        digest
    }
}

#[cfg(test)]
mod tests {
    use md5::Digest as _;
    use proptest::prelude::*;

    use super::*;

    fn widths() -> Vec<Width> {
        let mut widths = vec![Width::None, Width::detect()];
        if Width::detect() == Width::Avx512 {
            widths.push(Width::Avx2);
        }
        widths
    }

    #[test]
    fn digests_of_the_rfc() {
        for (text, digest) in [
            ("", "d41d8cd98f00b204e9800998ecf8427e"),
            ("abc", "900150983cd24fb0d6963f7d28e17f72"),
            (
                "12345678901234567890123456789012345678901234567890123456789012345678901234567890",
                "57edf4a22be3c955ac49da2e2107b67a",
            ),
        ] {
            let mut md5 = Md5::default();
            md5.update(text.as_bytes());
            assert_eq!(hex::encode(md5.finish()), digest);
        }
    }

    proptest! {
        /// Any number of messages of any lengths, in any pieces, are what each of them is alone.
        #[test]
        fn side_by_side_is_one_by_one(
            lengths in prop::collection::vec(prop::collection::vec(0usize..700, 1..4), 1..40),
        ) {
            for width in widths() {
                let mut messages: Vec<(Md5, md5::Md5)> = lengths.iter().map(|_| Default::default()).collect();
                for piece in 0..4 {
                    let pieces: Vec<Vec<u8>> = lengths.iter().enumerate().map(|(n, lengths)| {
                        let length = lengths.get(piece).copied().unwrap_or(0);
                        (0..length).map(|i| (i * 31 + n * 7 + piece) as u8).collect()
                    }).collect();
                    messages.iter_mut().zip(&pieces).for_each(|((_, one), piece)| one.update(piece));
                    let mut together: Vec<_> =
                        messages.iter_mut().zip(&pieces).map(|((many, _), piece)| (many, piece.as_slice())).collect();
                    Md5::update_many(width, &mut together);
                }
                for (many, one) in messages {
                    prop_assert_eq!(many.finish(), <[u8; 16]>::from(one.finalize()));
                }
            }
        }
    }
}
