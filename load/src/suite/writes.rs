//! PUT: three nodes side by side: `strict`, `relaxed`, and `strict` with every body in a file of its own that its request
//! syncs by itself, as a server without a journal must.

use super::Kind::Write;
use super::results::Target::{AtLeast, AtMost};
use super::servers::Server;
use super::{BUCKET, Suite, cpu, load, ratio};
use crate::workload::Operation::Put;

/// More keys than a round can write: every PUT makes an object.
const KEYS: u64 = 100_000_000;

/// Runs the part. Errs when it cannot.
pub async fn run(suite: &mut Suite) -> Result<(), String> {
    for (connections, by_file) in [(64, 2.0), (8, 4.0)] {
        small(suite, connections, by_file).await?;
    }
    let node = Server::node(&suite.node, "strict", &suite.folder_of("large-writes"), &[]).await?;
    // Of larger objects there is room for so many: they are overwritten.
    let middle = load(Put, 1 << 20, 16, 2000, suite.write_time);
    let measured = suite.case("PUT 1 MiB, 16 connections", vec![node.site("strict", BUCKET)?], middle, Write).await?;
    suite.check("PUT 1 MiB: CPU", cpu(&measured, 0).map(|us| us / 1000.0), AtMost(2.2), "ms");
    let large = load(Put, 64 << 20, 4, 64, suite.write_time);
    let measured = suite.case("PUT 64 MiB, 4 connections", vec![node.site("strict", BUCKET)?], large, Write).await?;
    suite.check("PUT 64 MiB: CPU", cpu(&measured, 0).map(|us| us / 1000.0), AtMost(135.0), "ms");
    drop(node);
    suite.remove_data()
}

async fn small(suite: &mut Suite, connections: u32, by_file: f64) -> Result<(), String> {
    let strict = Server::node(&suite.node, "strict", &suite.folder_of("strict"), &[]).await?;
    let relaxed = [("DURABILITY", "relaxed")];
    let relaxed = Server::node(&suite.node, "relaxed", &suite.folder_of("relaxed"), &relaxed).await?;
    let synced = [("INLINE_BODY_BYTES", "0")];
    let synced = Server::node(&suite.node, "file by file", &suite.folder_of("synced"), &synced).await?;
    let sites =
        vec![strict.site("strict", BUCKET)?, relaxed.site("relaxed", BUCKET)?, synced.site("file by file", BUCKET)?];
    let mut workload = load(Put, 4 << 10, connections, KEYS, suite.write_time);
    workload.fresh = true;
    let measured = suite.case(&format!("PUT 4 KiB, {connections} connections"), sites, workload, Write).await?;
    let figure = |what: &str| format!("PUT 4 KiB, {connections} connections: {what}");
    suite.check(figure("CPU"), cpu(&measured, 0), AtMost(120.0), "µs");
    suite.check(figure("rate, strict"), ratio(&measured, 1), AtLeast(0.6), "of relaxed");
    suite.check(figure("rate, strict"), ratio(&measured, 2), AtLeast(by_file), "× file by file");
    drop((strict, relaxed, synced));
    suite.remove_data()
}
