//! Encrypted objects beside plain ones, in two buckets of one node: the default of one of them encrypts under the node's key.

use super::Kind::{Read, ReadPrepared, Write};
use super::results::Target::{AtLeast, AtMost};
use super::servers::Server;
use super::{BUCKET, Suite, load, p50, rate, ratio};
use crate::prepare::{create_bucket, encrypt_bucket};
use crate::run::Lane;
use crate::workload::Operation::{Get, Part, Put};
use crate::workload::Stop;

const ENCRYPTED: &str = "bench-encrypted";
const MIB: u64 = 1 << 20;
/// Objects of 64 MiB that are read, and that are written in turn.
const KEYS: (u64, u64) = (16, 32);
const PART_BYTES: u64 = 64 * MIB;

/// Runs the part. Errs when it cannot.
pub async fn run(suite: &mut Suite) -> Result<(), String> {
    let settings = [("ENCRYPTION_ENABLED", "true")];
    let node = Server::node(&suite.node, "node", &suite.folder_of("encrypted"), &settings).await?;
    let encrypted = node.site("encrypted", ENCRYPTED)?;
    create_bucket(&encrypted).await?;
    encrypt_bucket(&encrypted).await?;
    let sites = [encrypted, node.site("plain", BUCKET)?];

    let small = Lane::each(&sites, load(Get, 4 << 10, 64, 10_000, suite.read_time));
    suite.case("GET 4 KiB, 64 connections", small, Read).await?;
    let large = Lane::each(&sites, load(Get, 64 * MIB, 4, KEYS.0, suite.read_time));
    let measured = suite.case("GET 64 MiB, 4 connections", large, Read).await?;
    suite.check("GET 64 MiB: throughput", ratio(&measured, "plain", rate), AtLeast(0.6), "of plain");

    // Uploaded once: what is measured are the ranges.
    let count = suite.large.div_ceil(PART_BYTES).max(1);
    let mut parts = load(Part, count * PART_BYTES, 4, 1, suite.write_time);
    parts.stop = Stop::Count(count);
    let mut ranges = load(Get, parts.size, 4, 1, suite.read_time);
    (ranges.keys, ranges.range) = (parts.keys.clone(), Some(MIB));
    let gibibytes = parts.size as f64 / f64::from(1 << 30);
    suite.once(&format!("{gibibytes} GiB in parts, 4 connections"), Lane::each(&sites, parts), Write).await?;
    let name = format!("1 MiB of {gibibytes} GiB, 4 connections");
    let measured = suite.case(&name, Lane::each(&sites, ranges), ReadPrepared).await?;
    suite.check(format!("{name}: median time"), ratio(&measured, "plain", p50), AtMost(1.3), "× plain");

    let mut small = load(Put, 4 << 10, 8, 100_000_000, suite.write_time);
    small.fresh = true;
    suite.case("PUT 4 KiB, 8 connections", Lane::each(&sites, small), Write).await?;
    let large = Lane::each(&sites, load(Put, 64 * MIB, 4, KEYS.1, suite.write_time));
    let measured = suite.case("PUT 64 MiB, 4 connections", large, Write).await?;
    suite.check("PUT 64 MiB: throughput", ratio(&measured, "plain", rate), AtLeast(0.85), "of plain");
    Ok(())
}
