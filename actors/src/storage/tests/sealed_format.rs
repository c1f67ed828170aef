//! The format of encrypted files: any range of any object is the plaintext's, and whatever happens to the file is noticed.

use std::ops::Range;

use proptest::prelude::*;
use proptest::sample::Index;

use crate::encryption::{CHUNK_BYTES, DataKey, HEAD_BYTES, SegmentHead, TAG_BYTES};
use crate::names::PartNumber;
use crate::storage::fuzzing::sealed::{SealedFile, pattern, sealed};

/// Sizes of segments, and whether they are parts.
fn shapes() -> impl Strategy<Value = (Vec<u64>, bool)> {
    let chunk = CHUNK_BYTES as u64;
    let size = move || {
        let edges = prop::sample::select(vec![0, 1, chunk - 1, chunk, chunk + 1, 2 * chunk]);
        prop_oneof![edges, 0..200_000_u64, 0..100_u64]
    };
    prop_oneof![
        size().prop_map(|size| (vec![size], false)),
        prop::collection::vec(size(), 1..4).prop_map(|sizes| (sizes, true)),
    ]
}

fn file((sizes, assembled): &(Vec<u64>, bool), key: u8) -> (SealedFile, Vec<u8>) {
    let head = |at: usize, size: u64| {
        let part = assembled.then(|| PartNumber::new(at as u32 + 1).unwrap());
        (SegmentHead::with_salt(part, Some(size), [at as u8 + 1; 32]), size)
    };
    let heads: Vec<_> = sizes.iter().enumerate().map(|(at, size)| head(at, *size)).collect();
    let plain = pattern(sizes.iter().sum());
    (SealedFile::seal(&DataKey::from_bytes(&[key; 32]), &heads, &plain), plain)
}

fn range(file: &SealedFile, one: Index, other: Index) -> Range<usize> {
    let size = file.size() as usize;
    let (one, other) = (one.index(size + 1), other.index(size + 1));
    one.min(other)..one.max(other)
}

fn of(range: &Range<usize>) -> Range<u64> {
    range.start as u64..range.end as u64
}

/// For each chunk, where its plaintext lies, and where its segment's head.
fn plain_chunks(file: &SealedFile) -> Vec<(Range<usize>, Range<usize>)> {
    let mut start = 0;
    let heads = file.segment_ranges();
    let chunks = file.chunks().into_iter().map(|chunk| {
        let segment = heads.iter().find(|segment| segment.contains(&chunk.start)).unwrap();
        let end = start + chunk.len() - TAG_BYTES;
        (std::mem::replace(&mut start, end)..end, segment.start..segment.start + HEAD_BYTES)
    });
    chunks.collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_range_of_any_object_is_that_of_the_plaintext(shape in shapes(), one in any::<Index>(), other in any::<Index>()) {
        let (file, plain) = file(&shape, 1);
        let range = range(&file, one, other);
        prop_assert!(file.read(of(&range)).unwrap() == plain[range.clone()]);
    }

    #[test]
    fn a_flipped_bit_spoils_its_chunk_and_no_other(
        shape in shapes(), at in any::<Index>(), bit in 0..8u32, one in any::<Index>(), other in any::<Index>(),
    ) {
        let (mut file, plain) = file(&shape, 1);
        let at = at.index(file.bytes.len());
        file.bytes[at] ^= 1 << bit;
        let range = range(&file, one, other);
        // An empty range opens no chunk, wherever it lies.
        let touched = !range.is_empty() && file.chunks().into_iter().zip(plain_chunks(&file)).any(|(stored, (chunk, head))| {
            !chunk.is_empty() && (stored.contains(&at) || head.contains(&at)) && chunk.start < range.end && range.start < chunk.end
        });
        match file.read(of(&range)) {
            Ok(read) => prop_assert!(!touched && read == plain[range]),
            Err(_) => prop_assert!(touched),
        }
    }

    #[test]
    fn every_other_length_is_noticed(shape in shapes(), at in any::<Index>(), more in 1..200usize) {
        let (whole, _) = file(&shape, 1);
        let size = whole.size();
        let mut cut = whole.clone();
        cut.bytes.truncate(at.index(whole.bytes.len()));
        prop_assert!(cut.read(0..size).is_err());
        let mut longer = whole.clone();
        longer.bytes.resize(whole.bytes.len() + more, 0);
        prop_assert!(longer.read(0..size).is_err());
    }

    #[test]
    fn chunks_open_at_their_own_places_only(shape in shapes(), one in any::<Index>(), other in any::<Index>()) {
        let (whole, _) = file(&shape, 1);
        let chunks = whole.chunks();
        let one = one.index(chunks.len());
        let is_alike = |at: &usize| *at != one && chunks[*at].len() == chunks[one].len();
        let alike: Vec<usize> = (0..chunks.len()).filter(is_alike).collect();
        if alike.is_empty() || chunks[one].len() <= TAG_BYTES {
            return Ok(());
        }
        let other = alike[other.index(alike.len())];
        let mut copied = whole.clone();
        copied.bytes.copy_within(chunks[one].clone(), chunks[other].start);
        prop_assert!(copied.read(0..whole.size()).is_err(), "copied");
        let mut swapped = copied;
        let there = whole.bytes[chunks[other].clone()].to_vec();
        swapped.bytes.splice(chunks[one].clone(), there);
        prop_assert!(swapped.read(0..whole.size()).is_err(), "swapped");
    }

    #[test]
    fn chunks_and_files_of_another_object_do_not_open(shape in shapes(), at in any::<Index>()) {
        let ((own, _), (other, _)) = (file(&shape, 1), file(&shape, 2));
        prop_assume!(own.size() > 0);
        let mut taken = own.clone();
        taken.bytes.clone_from(&other.bytes);
        prop_assert!(taken.read(0..own.size()).is_err());
        let chunks: Vec<_> = own.chunks().into_iter().filter(|chunk| chunk.len() > TAG_BYTES).collect();
        let chunk = chunks[at.index(chunks.len())].clone();
        let mut taken = own.clone();
        taken.bytes.splice(chunk.clone(), other.bytes[chunk].to_vec());
        prop_assert!(taken.read(0..own.size()).is_err());
    }

    #[test]
    fn parts_of_one_size_cannot_change_places(size in 1..150_000u64, count in 2..4usize) {
        let (whole, _) = file(&(vec![size; count], true), 1);
        let segments = whole.segment_ranges();
        let mut swapped = whole.clone();
        swapped.bytes.copy_within(segments[1].clone(), 0);
        swapped.bytes.splice(segments[1].clone(), whole.bytes[segments[0].clone()].to_vec());
        prop_assert!(swapped.read(0..size).is_err() && swapped.read(size..2 * size).is_err());
    }

    #[test]
    fn whatever_happens_is_noticed(
        shape in shapes(), untold in any::<bool>(),
        words in prop::collection::vec(("(flip|swap|copy|segments)", 0..5usize, 0..5usize), 0..3),
        more in prop::collection::vec(("(cut|add|other|flip)", 0..300_000usize), 0..2),
        reads in prop::collection::vec((0..300_000usize, 0..300_000usize), 0..3),
    ) {
        let (sizes, assembled) = shape;
        let sizes = sizes.iter().map(u64::to_string).collect::<Vec<_>>().join(",");
        let mut line = format!("{}={sizes}", if assembled { "parts" } else { "size" });
        if untold { line.push_str(" untold"); }
        words.iter().for_each(|(word, a, b)| line.push_str(&format!(" {word}={a}:{b}")));
        for (word, n) in &more {
            line.push_str(&if word == "flip" { format!(" flip={n}:1") } else { format!(" {word}={n}") });
        }
        reads.iter().for_each(|(a, b)| line.push_str(&format!(" read={a}..{b}")));
        let still_opens = sealed(line.as_bytes());
        prop_assert!(still_opens || !(words.is_empty() && more.is_empty()), "{}", line);
    }
}

#[test]
fn every_bit_and_every_length_of_a_small_file() {
    let (whole, plain) = file(&(vec![100], false), 1);
    for at in 0..whole.bytes.len() {
        for bit in 0..8 {
            let mut bent = whole.clone();
            bent.bytes[at] ^= 1 << bit;
            assert!(bent.read(0..1).is_err(), "bit {bit} of byte {at}");
        }
        // Whatever size the row tells.
        let cut = SealedFile { bytes: whole.bytes[..at].to_vec(), ..whole.clone() };
        assert!(cut.read(0..1).is_err());
        for size in 1..200 {
            let told = SealedFile { segments: vec![(None, size)], ..cut.clone() };
            assert!(told.read(0..1).is_err(), "{at} bytes of a row's {size}");
        }
    }
    assert_eq!(whole.read(0..100).unwrap(), plain);
}

/// Computed by other means (Python's `cryptography`) from what `docs/encryption.md` says.
#[test]
fn the_format_is_the_documented_one() {
    let vectors: serde_json::Value = serde_json::from_str(include_str!("../../encryption/vectors.json")).unwrap();
    let segments = vectors["segments"].as_array().unwrap();
    assert_eq!(segments.len(), 6);
    for vector in segments {
        let bytes = |name: &str| hex::decode(vector[name].as_str().unwrap()).unwrap();
        let plain = bytes("plain_unit").repeat(vector["plain_repeat"].as_u64().unwrap() as usize);
        let part = vector["part"].as_u64().map(|part| PartNumber::new(part as u32).unwrap());
        let head = SegmentHead::with_salt(part, vector["size"].as_u64(), bytes("salt").try_into().unwrap());
        let key = DataKey::from_bytes(&bytes("data_key").try_into().unwrap());
        let file = SealedFile::seal(&key, &[(head, plain.len() as u64)], &plain);
        let digest = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(&file.bytes));
        assert_eq!(digest, vector["file_sha256"].as_str().unwrap(), "{}", vector["name"]);
        if !vector["file"].is_null() {
            assert_eq!(file.bytes, bytes("file"));
        }
        assert_eq!(file.read(0..file.size()).unwrap(), plain);
    }
}
