//! Multipart uploads of a large object: what its end costs, and what parts cost beside objects of their own.

use std::sync::Arc;

use super::Kind::Write;
use super::results::Target::{AtLeast, AtMost};
use super::servers::Server;
use super::{BUCKET, Suite, load, rate, ratio};
use crate::run::Lane;
use crate::workload::Operation::{Part, Put};
use crate::workload::Stop;

const PART_BYTES: u64 = 64 << 20;
const CONNECTIONS: u32 = 8;

/// Runs the part. Errs when it cannot.
pub async fn run(suite: &mut Suite) -> Result<(), String> {
    let node = Server::node(&suite.node, "node", &suite.folder_of("large"), &[]).await?;
    let count = suite.large.div_ceil(PART_BYTES).max(1);
    let mut parts = load(Part, count * PART_BYTES, CONNECTIONS, 1, suite.write_time);
    let mut objects = load(Put, PART_BYTES, CONNECTIONS, count, suite.write_time);
    (parts.stop, objects.stop) = (Stop::Count(count), Stop::Count(count));
    let lanes = vec![
        Lane { site: node.site("parts of one upload", BUCKET)?, workload: Arc::new(parts) },
        Lane { site: node.site("objects", BUCKET)?, workload: Arc::new(objects) },
    ];
    let measured = suite.case(&format!("{count} × 64 MiB, 8 connections"), lanes, Write).await?;
    let complete = measured.first().and_then(|parts| parts.median.complete_ms);
    let gibibytes = (count * PART_BYTES) as f64 / f64::from(1 << 30);
    suite.check(format!("CompleteMultipartUpload of {gibibytes} GiB"), complete, AtMost(100.0), "ms");
    let share = ratio(&measured, "objects", rate);
    suite.check("8 parallel UploadParts: throughput", share, AtLeast(0.9), "of 8 parallel PUTs");
    Ok(())
}
