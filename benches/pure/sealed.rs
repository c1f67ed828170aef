//! Sealing and opening chunks of encrypted objects, beside the other implementation of the same algorithm that is in the tree.

use std::hint::black_box;

use aes_gcm::aead::{AeadInOut as _, KeyInit as _};
use aes_gcm::{Aes256Gcm, Nonce};
use criterion::{BatchSize, Criterion, Throughput};
use myfsio_actors::encryption::{CHUNK_BYTES, DataKey, SegmentHead, SegmentKey, TAG_BYTES};

/// A chunk of 64 KiB each way, and what a segment costs before its first chunk.
pub fn chunks(criterion: &mut Criterion) {
    let data_key = DataKey::random().expect("random numbers");
    let head = SegmentHead::fresh(None, None).expect("random numbers");
    let key = SegmentKey::derive(&data_key, &head).expect("a key");
    let other = Aes256Gcm::new(data_key.expose().into());
    let nonce = Nonce::from([0; 12]);
    let plain = vec![7; CHUNK_BYTES];
    let mut sealed = plain.clone();
    let tag = key.seal(1, false, &mut sealed).expect("sealed");
    sealed.extend_from_slice(&tag);
    let mut sealed_otherwise = plain.clone();
    other.encrypt_in_place(&nonce, b"", &mut sealed_otherwise).expect("sealed");

    criterion.bench_function("sealed/segment key", |b| {
        b.iter(|| SegmentKey::derive(black_box(&data_key), black_box(&head)));
    });
    let mut group = criterion.benchmark_group("sealed/64 KiB");
    group.throughput(Throughput::Bytes(CHUNK_BYTES as u64));
    let room = |bytes: &[u8]| {
        let mut copy = Vec::with_capacity(CHUNK_BYTES + TAG_BYTES);
        copy.extend_from_slice(bytes);
        copy
    };
    group.bench_function("seal", |b| {
        b.iter_batched_ref(|| room(&plain), |chunk| key.seal(1, false, chunk), BatchSize::SmallInput);
    });
    group.bench_function("seal, aes-gcm", |b| {
        b.iter_batched_ref(|| room(&plain), |chunk| other.encrypt_in_place(&nonce, b"", chunk), BatchSize::SmallInput);
    });
    group.bench_function("open", |b| {
        b.iter_batched_ref(|| room(&sealed), |chunk| key.open(1, false, chunk), BatchSize::SmallInput);
    });
    group.bench_function("open, aes-gcm", |b| {
        b.iter_batched_ref(
            || room(&sealed_otherwise),
            |chunk| other.decrypt_in_place(&nonce, b"", chunk),
            BatchSize::SmallInput,
        );
    });
    group.finish();
}
