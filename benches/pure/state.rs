//! Rows, batches of the journal, pages of listings, decisions of policies.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use myfsio::decisions::{Circumstances, DecisionLog, Explanation, Why};
use myfsio::s3::error::{ErrorCode, S3Error};
use myfsio::s3::respond::RequestId;
use myfsio_actors::measured::{
    Statements, batch_encoding, decision, listing_page, refusal, row_decoding, row_encoding,
};
use myfsio_actors::names::Stamp;

/// One row, and a batch of small puts.
pub fn rows(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("rows");
    let (mut encode, mut decode) = (row_encoding(), row_decoding());
    group.bench_function("encode object", |b| b.iter(|| black_box(encode())));
    group.bench_function("decode object", |b| b.iter(|| black_box(decode())));
    let mut batch = batch_encoding(64, 4096);
    group.throughput(Throughput::Bytes(64 * 4096));
    group.bench_function("encode batch of 64 puts of 4 KiB", |b| b.iter(|| black_box(batch())));
    group.finish();
}

/// A page of 1000 from the middle of 100 000 keys, a tenth of them not yet in the index.
pub fn pages(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("listing");
    let mut flat = listing_page(100_000, None);
    group.bench_function("page of 1000 keys", |b| b.iter(|| black_box(flat())));
    let mut rolled = listing_page(100_000, Some("/"));
    group.bench_function("page of 500 common prefixes", |b| b.iter(|| black_box(rolled())));
    group.finish();
}

/// Decisions by the last statement.
pub fn policies(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("policy");
    for (stand, name) in [
        (Statements::Bucket, "of the bucket"),
        (Statements::Identity, "in one identity policy"),
        (Statements::IdentityDocuments, "in identity policies of 10"),
        (Statements::Mixed, "half of the bucket, half of the caller"),
        (Statements::Stars, "with stars"),
        (Statements::Conditions, "told apart by conditions"),
        (Statements::Extreme, "with four long lists of conditions each"),
    ] {
        for statements in [10, 500] {
            let mut decide = decision(statements, stand);
            assert!(decide());
            group.bench_function(format!("{statements} statements {name}"), |b| b.iter(|| black_box(decide())));
        }
    }
    group.finish();
}

/// What a refusal costs beyond the decision: it is explained, and kept.
pub fn refusals(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("refusal");
    for statements in [10, 500] {
        let mut refuse = refusal(statements);
        let log = DecisionLog::new(16 << 20);
        group.bench_function(format!("{statements} statements"), |b| {
            b.iter(|| {
                refuse(&mut |request, decision, trace| {
                    assert!(!decision.allowed);
                    let why = Why::Decided(Box::new(Explanation::of(request, &decision, trace)));
                    let error = S3Error::new(ErrorCode::AccessDenied).explained(why);
                    log.refused(RequestId::random(), Stamp(1), &error, &Circumstances::default());
                });
            });
        });
    }
    group.finish();
}
