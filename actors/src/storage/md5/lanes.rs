//! Several messages at once: lane `n` of every value belongs to message `n`. Plain loops over arrays, which the compiler
//! turns into the wide instructions that the enclosing function may use, or into several chains of plain ones.
#![allow(clippy::indexing_slicing, reason = "every index is below the length of its array; the loops must not branch")]
#![allow(clippy::needless_range_loop, reason = "an index counts in several arrays at once")]

use super::message::State;

/// Messages hashed at once, at most.
pub(super) const LANES_MAX: usize = 16;

/// Blocks of one message: 64 bytes each.
pub(super) type Blocks<'a> = &'a [[u8; 64]];

type Word<const N: usize> = [u32; N];

/// RFC 1321, 3.4: the table T, `floor(2^32 * |sin(i + 1)|)`.
const T: [u32; 64] = [
    0xd76a_a478,
    0xe8c7_b756,
    0x2420_70db,
    0xc1bd_ceee,
    0xf57c_0faf,
    0x4787_c62a,
    0xa830_4613,
    0xfd46_9501,
    0x6980_98d8,
    0x8b44_f7af,
    0xffff_5bb1,
    0x895c_d7be,
    0x6b90_1122,
    0xfd98_7193,
    0xa679_438e,
    0x49b4_0821,
    0xf61e_2562,
    0xc040_b340,
    0x265e_5a51,
    0xe9b6_c7aa,
    0xd62f_105d,
    0x0244_1453,
    0xd8a1_e681,
    0xe7d3_fbc8,
    0x21e1_cde6,
    0xc337_07d6,
    0xf4d5_0d87,
    0x455a_14ed,
    0xa9e3_e905,
    0xfcef_a3f8,
    0x676f_02d9,
    0x8d2a_4c8a,
    0xfffa_3942,
    0x8771_f681,
    0x6d9d_6122,
    0xfde5_380c,
    0xa4be_ea44,
    0x4bde_cfa9,
    0xf6bb_4b60,
    0xbebf_bc70,
    0x289b_7ec6,
    0xeaa1_27fa,
    0xd4ef_3085,
    0x0488_1d05,
    0xd9d4_d039,
    0xe6db_99e5,
    0x1fa2_7cf8,
    0xc4ac_5665,
    0xf429_2244,
    0x432a_ff97,
    0xab94_23a7,
    0xfc93_a039,
    0x655b_59c3,
    0x8f0c_cc92,
    0xffef_f47d,
    0x8584_5dd1,
    0x6fa8_7e4f,
    0xfe2c_e6e0,
    0xa301_4314,
    0x4e08_11a1,
    0xf753_7e82,
    0xbd3a_f235,
    0x2ad7_d2bb,
    0xeb86_d391,
];
/// RFC 1321, 3.4: by how much each step of a round rotates.
const ROTATE: [[u32; 4]; 4] = [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];

/// What this processor has; decided once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Width {
    Avx512,
    Avx2,
    /// Nothing wider than one word.
    None,
}

impl Width {
    /// The widest that this processor has.
    pub fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if std::is_x86_feature_detected!("avx512f") && std::is_x86_feature_detected!("avx512vl") {
                return Self::Avx512;
            }
            if std::is_x86_feature_detected!("avx2") {
                return Self::Avx2;
            }
        }
        Self::None
    }
}

/// Goes on with up to [`LANES_MAX`] messages, each by its first `count` blocks, which it must have. Empty lanes hash what
/// lane 0 does, for nothing.
pub(super) fn compress(width: Width, states: &mut [State], blocks: &[Blocks<'_>], count: usize) {
    let beside = match (width, states.len()) {
        // A processor does several instructions at once, so some messages hash in the time of one without wide registers,
        // whose instructions take longer.
        (_, 0..=1) => return gathered::<1>(states, blocks, count, lanes),
        (_, 2) => return gathered::<2>(states, blocks, count, lanes),
        (_, 3) => return gathered::<3>(states, blocks, count, lanes),
        (_, 4) => return gathered::<4>(states, blocks, count, lanes),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `Width::detect` found that the processor has these instructions.
        (Width::Avx512, 9..) => return unsafe { gathered::<16>(states, blocks, count, |s, b, n| avx512_16(s, b, n)) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        (Width::Avx512, _) => return unsafe { gathered::<8>(states, blocks, count, |s, b, n| avx512_8(s, b, n)) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        (Width::Avx2, 5..=8) => return unsafe { gathered::<8>(states, blocks, count, |s, b, n| avx2_8(s, b, n)) },
        #[cfg(target_arch = "x86_64")]
        (Width::Avx2, _) => 8,
        _ => 4,
    };
    let (first, rest) = states.split_at_mut(beside);
    compress(width, first, &blocks[..beside], count);
    compress(width, rest, &blocks[beside..], count);
}

/// Spreads messages over lanes and collects them again.
#[inline(always)]
fn gathered<const N: usize>(
    states: &mut [State],
    blocks: &[Blocks<'_>],
    count: usize,
    run: impl FnOnce(&mut [Word<N>; 4], &[Blocks<'_>; N], usize),
) {
    let message = |lane: usize| if lane < states.len() { lane } else { 0 };
    let spread: [Blocks<'_>; N] = std::array::from_fn(|lane| blocks[message(lane)]);
    let mut words: [Word<N>; 4] = std::array::from_fn(|w| std::array::from_fn(|lane| states[message(lane)][w]));
    run(&mut words, &spread, count);
    for (lane, state) in states.iter_mut().enumerate() {
        *state = std::array::from_fn(|w| words[w][lane]);
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl")]
fn avx512_16(state: &mut [Word<16>; 4], blocks: &[Blocks<'_>; 16], count: usize) {
    lanes(state, blocks, count);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl")]
fn avx512_8(state: &mut [Word<8>; 4], blocks: &[Blocks<'_>; 8], count: usize) {
    lanes(state, blocks, count);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn avx2_8(state: &mut [Word<8>; 4], blocks: &[Blocks<'_>; 8], count: usize) {
    lanes(state, blocks, count);
}

/// One step of a round, in all lanes.
#[inline(always)]
fn step<const N: usize>(
    round: usize,
    a: &mut Word<N>,
    [b, c, d]: [&Word<N>; 3],
    message: &Word<N>,
    t: u32,
    rotate: u32,
) {
    for i in 0..N {
        let so_far = a[i].wrapping_add(t.wrapping_add(message[i]));
        let sum = match round {
            0 => so_far.wrapping_add(d[i] ^ (b[i] & (c[i] ^ d[i]))),
            // The two halves have no bit in common. What does not wait for `b` goes first.
            1 => so_far.wrapping_add(c[i] & !d[i]).wrapping_add(b[i] & d[i]),
            2 => so_far.wrapping_add(b[i] ^ c[i] ^ d[i]),
            _ => so_far.wrapping_add(c[i] ^ (b[i] | !d[i])),
        };
        a[i] = sum.rotate_left(rotate).wrapping_add(b[i]);
    }
}

/// The sixteen words of a block.
#[inline(always)]
fn row(block: &[u8; 64]) -> [u32; 16] {
    let (bytes, _) = block.as_chunks::<4>();
    std::array::from_fn(|word| u32::from_le_bytes(bytes[word]))
}

/// Words of blocks become lanes of words.
#[inline(always)]
fn transposed<const N: usize>(rows: [[u32; 16]; N]) -> [Word<N>; 16] {
    std::array::from_fn(|word| std::array::from_fn(|lane| rows[lane][word]))
}

/// RFC 1321, 3.4, in all lanes.
#[inline(always)]
fn lanes<const N: usize>(state: &mut [Word<N>; 4], blocks: &[Blocks<'_>; N], count: usize) {
    let [mut a, mut b, mut c, mut d] = *state;
    for block in 0..count {
        let words = transposed(std::array::from_fn(|lane| row(&blocks[lane][block])));
        let before = [a, b, c, d];
        // Written out by a macro: the compiler must see constants to keep all of it in registers.
        macro_rules! four {
            ($round:literal, $quarter:literal) => {{
                const AT: usize = $round * 16 + $quarter * 4;
                const fn word(step: usize) -> usize {
                    match $round {
                        0 => step % 16,
                        1 => (5 * step + 1) % 16,
                        2 => (3 * step + 5) % 16,
                        _ => (7 * step) % 16,
                    }
                }
                let [r0, r1, r2, r3] = ROTATE[$round];
                step($round, &mut a, [&b, &c, &d], &words[word(AT)], T[AT], r0);
                step($round, &mut d, [&a, &b, &c], &words[word(AT + 1)], T[AT + 1], r1);
                step($round, &mut c, [&d, &a, &b], &words[word(AT + 2)], T[AT + 2], r2);
                step($round, &mut b, [&c, &d, &a], &words[word(AT + 3)], T[AT + 3], r3);
            }};
            ($round:literal) => {{
                four!($round, 0);
                four!($round, 1);
                four!($round, 2);
                four!($round, 3);
            }};
        }
        four!(0);
        four!(1);
        four!(2);
        four!(3);
        for (now, before) in [&mut a, &mut b, &mut c, &mut d].into_iter().zip(before) {
            for i in 0..N {
                now[i] = now[i].wrapping_add(before[i]);
            }
        }
    }
    *state = [a, b, c, d];
}
