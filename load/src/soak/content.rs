//! What clients of a soak write, and what their keys may hold afterwards. No I/O.

use std::ops::Range;
use std::time::Instant;

use sha2::{Digest as _, Sha256};

use crate::connection::Payload;
use crate::keys::scatter;

/// Bytes that all bodies are cut out of.
const MATERIAL_BYTES: usize = 1 << 20;
/// Bytes that a body repeats: no multiple of a block of any kind, so that blocks that change places do not go unnoticed.
const WINDOW_BYTES: usize = 61_441;

/// Random numbers that a seed repeats (SplitMix64).
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Those of a seed and a number within it.
    pub fn new(seed: u64, number: u64) -> Self {
        Self(scatter(scatter(seed) ^ number))
    }

    /// The next one.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        scatter(self.0)
    }

    /// One below `bound`; 0 if that is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.draw() % bound.max(1)
    }

    /// One of a range.
    pub fn within(&mut self, range: Range<u64>) -> u64 {
        range.start + self.below(range.end.saturating_sub(range.start))
    }
}

/// The body of one request: a window of the material, over and over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    offset: usize,
    size: u64,
}

impl Piece {
    /// A body of `size` bytes.
    pub fn new(random: &mut Random, size: u64) -> Self {
        let offset = random.below((MATERIAL_BYTES - WINDOW_BYTES) as u64);
        Self { offset: usize::try_from(offset).unwrap_or_default(), size }
    }
}

/// What an object holds: the bodies that it was made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content(pub Vec<Piece>);

impl Content {
    /// Its length.
    pub fn size(&self) -> u64 {
        self.0.iter().map(|piece| piece.size).sum()
    }
}

/// Bytes that do not compress.
#[derive(Debug)]
pub struct Material(Vec<u8>);

impl Material {
    /// Those of a seed.
    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(seed, u64::MAX);
        Self((0..MATERIAL_BYTES / 8).flat_map(|_| random.draw().to_le_bytes()).collect())
    }

    fn window(&self, piece: Piece) -> &[u8] {
        self.0.get(piece.offset..piece.offset + WINDOW_BYTES).unwrap_or_default()
    }

    /// A body as it is sent.
    pub fn payload(&self, piece: Piece) -> Payload<'_> {
        Payload { pattern: self.window(piece), length: piece.size }
    }

    /// SHA-256 of a range of an object.
    pub fn digest(&self, content: &Content, range: Range<u64>) -> [u8; 32] {
        let (mut hash, mut begin) = (Sha256::new(), 0);
        for piece in &content.0 {
            let inside = |at: u64| at.clamp(begin, begin + piece.size) - begin;
            let (mut at, end) = (inside(range.start), inside(range.end));
            let window = self.window(*piece);
            while at < end && !window.is_empty() {
                let rest = window.get((at % window.len() as u64) as usize..).unwrap_or_default();
                let count = usize::try_from(end - at).unwrap_or(usize::MAX).min(rest.len());
                hash.update(rest.get(..count).unwrap_or_default());
                at += count as u64;
            }
            begin += piece.size;
        }
        hash.finalize().into()
    }
}

/// What a key may hold: one of these; none is its absence.
#[derive(Debug, Clone)]
pub struct Slot {
    may: Vec<Option<Content>>,
    /// A write that nobody waited for may still come until then.
    restless: Option<Instant>,
}

impl Slot {
    /// A key that was never written.
    pub fn absent() -> Self {
        Self { may: vec![None], restless: None }
    }

    /// A write is sent: from now on it may hold this, and until `until` it may begin to.
    pub fn begin(&mut self, content: Option<Content>, until: Instant) {
        if !self.may.contains(&content) {
            self.may.push(content);
        }
        self.restless = Some(until);
    }

    /// The write was acknowledged: it holds this.
    pub fn end(&mut self, content: Option<Content>) {
        *self = Self { may: vec![content], restless: None };
    }

    /// Whether no write is under way that nobody waits for.
    pub fn rests(&self, now: Instant) -> bool {
        self.restless.is_none_or(|until| now >= until)
    }

    /// What it holds, where that is certain.
    pub fn content(&self) -> Option<&Content> {
        match self.may.as_slice() {
            [only] => only.as_ref(),
            _ => None,
        }
    }

    /// Whether it may hold an object with this digest, or none.
    pub fn allows(&self, material: &Material, found: Option<[u8; 32]>) -> bool {
        self.may.iter().any(|content| match (content, found) {
            (Some(content), Some(found)) => material.digest(content, 0..content.size()) == found,
            (None, None) => true,
            _ => false,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_digest_is_of_the_bytes_that_are_sent() {
        let (material, mut random) = (Material::new(1), Random::new(1, 2));
        let content = Content([0, 5, 61_441, 200_000].map(|size| Piece::new(&mut random, size)).to_vec());
        let mut bytes = Vec::new();
        for piece in &content.0 {
            let payload = material.payload(*piece);
            bytes.extend(payload.pattern.iter().cycle().take(payload.length as usize));
        }
        assert_eq!(content.size(), bytes.len() as u64);
        for range in [0..bytes.len(), 3..4, 4..70_000, 61_440..61_450, 100..100] {
            let digest = material.digest(&content, range.start as u64..range.end as u64);
            assert_eq!(digest, <[u8; 32]>::from(Sha256::digest(&bytes[range.clone()])), "{range:?}");
        }
    }

    #[test]
    fn a_key_may_hold_what_was_sent_until_something_is_acknowledged() {
        let (material, mut random, now) = (Material::new(1), Random::new(3, 4), Instant::now());
        let content = |random: &mut Random| Content(vec![Piece::new(random, 10)]);
        let (first, second) = (content(&mut random), content(&mut random));
        let digest = |content: &Content| Some(material.digest(content, 0..10));
        let mut slot = Slot::absent();
        assert!(slot.allows(&material, None) && !slot.allows(&material, digest(&first)));
        slot.begin(Some(first.clone()), now + Duration::from_secs(9));
        assert!(slot.allows(&material, None) && slot.allows(&material, digest(&first)));
        assert!(!slot.rests(now) && slot.rests(now + Duration::from_secs(9)) && slot.content().is_none());
        slot.end(Some(second.clone()));
        assert!(!slot.allows(&material, None) && !slot.allows(&material, digest(&first)));
        assert!(slot.allows(&material, digest(&second)) && slot.rests(now) && slot.content() == Some(&second));
    }

    #[test]
    fn a_seed_repeats_its_numbers() {
        let draw = |seed, number| Random::new(seed, number).draw();
        assert_eq!(draw(1, 2), draw(1, 2));
        assert_ne!(draw(1, 2), draw(1, 3));
        assert_ne!(draw(1, 2), draw(2, 2));
        assert!((0..100).all(|number| (5..9).contains(&Random::new(1, number).within(5..9))));
        assert_eq!(Random::new(1, 1).below(0), 0);
    }
}
