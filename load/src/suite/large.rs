//! Multipart uploads of a large object: what its end costs, and what parts cost beside objects of their own.

use super::Kind::Write;
use super::results::Target::{AtLeast, AtMost};
use super::servers::Server;
use super::{BUCKET, Suite, load, ratio};
use crate::run::Measured;
use crate::statistics::median;
use crate::workload::Operation::{Part, Put};
use crate::workload::Stop;

const PART_BYTES: u64 = 64 << 20;
const CONNECTIONS: u32 = 8;

/// Runs the part. Errs when it cannot.
pub async fn run(suite: &mut Suite) -> Result<(), String> {
    let node = Server::node(&suite.node, "node", &suite.folder_of("large"), &[]).await?;
    let count = suite.large.div_ceil(PART_BYTES).max(1);
    let mut parts = load(Part, count * PART_BYTES, CONNECTIONS, 1, suite.write_time);
    parts.stop = Stop::Count(count);
    let mut objects = load(Put, PART_BYTES, CONNECTIONS, count, suite.write_time);
    objects.stop = Stop::Count(count);

    // One round of each in turn: both meet the same disk.
    let rounds = std::mem::replace(&mut suite.rounds, 1);
    let (mut complete, mut shares) = (Vec::new(), Vec::new());
    for round in 1..=rounds {
        let load = format!("UploadPart 64 MiB, 8 connections, one upload of {count} parts, round {round}");
        let of_parts = suite.case(&load, vec![node.site("node", BUCKET)?], parts.clone(), Write).await?;
        let load = format!("PUT 64 MiB, 8 connections, {count} objects, round {round}");
        let of_objects = suite.case(&load, vec![node.site("node", BUCKET)?], objects.clone(), Write).await?;
        complete.extend(of_parts.first().and_then(|node| node.median.complete_ms));
        let both: Vec<Measured> = of_parts.into_iter().chain(of_objects).collect();
        shares.extend(ratio(&both, 1));
    }
    suite.rounds = rounds;

    let gibibytes = (count * PART_BYTES) as f64 / f64::from(1 << 30);
    suite.check(format!("CompleteMultipartUpload of {gibibytes} GiB"), median(&complete), AtMost(100.0), "ms");
    suite.check("8 parallel UploadParts: throughput", median(&shares), AtLeast(0.9), "of 8 parallel PUTs");
    Ok(())
}
