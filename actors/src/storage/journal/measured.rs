//! Encoding of batches, for benches.
#![allow(clippy::expect_used, reason = "what cannot be set up ends the run")]

use super::batch::{EncodedEntry, Entry, Header, encode_batch};

/// Encodes the entries of a batch, and the batch; gives its size in bytes.
pub(in crate::storage) fn batch_encoding(entries: Vec<Entry>) -> impl FnMut() -> usize {
    let mut buffer = Vec::new();
    move || {
        let encoded: Vec<EncodedEntry> =
            entries.iter().map(|entry| EncodedEntry::of(entry).expect("a small entry")).collect();
        encode_batch(&mut buffer, &encoded, Header::default(), &[7; 16]);
        buffer.len()
    }
}
