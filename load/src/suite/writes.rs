//! PUT: three nodes side by side: `strict`, `relaxed`, and `strict` with every body in a file of its own that its request
//! syncs by itself, as a server without a journal must.

use super::Kind::Write;
use super::results::Target::{AtLeast, AtMost};
use super::servers::Server;
use super::{BUCKET, Suite, cpu, load, rate, ratio};
use crate::run::Lane;
use crate::workload::Operation::Put;

/// More keys than a round can write: every PUT makes an object.
const KEYS: u64 = 100_000_000;

/// Runs the part. Errs when it cannot.
pub async fn run(suite: &mut Suite) -> Result<(), String> {
    let node = Server::node(&suite.node, "strict", &suite.folder_of("strict"), &[]).await?;
    let mut sites = vec![node.site("strict", BUCKET)?];
    sites.extend(suite.peers.iter().cloned());
    // Of larger objects there is room for so many: they are overwritten.
    let middle = Lane::each(&sites, load(Put, 1 << 20, 16, 2000, suite.write_time));
    let measured = suite.case("PUT 1 MiB, 16 connections", middle, Write).await?;
    suite.check("PUT 1 MiB: CPU", cpu(&measured).map(|us| us / 1000.0), AtMost(2.2), "ms");
    let large = Lane::each(&sites, load(Put, 64 << 20, 4, 64, suite.write_time));
    let measured = suite.case("PUT 64 MiB, 4 connections", large, Write).await?;
    suite.check("PUT 64 MiB: CPU", cpu(&measured).map(|us| us / 1000.0), AtMost(135.0), "ms");
    drop(node);
    suite.remove_data()?;
    // Last, and removed only at the end, since their files are many: for five minutes an ext4 without a journal looks twice at
    // each inode that was freed, and so makes files slowly after many were removed.
    for (connections, by_file) in [(8, 4.0), (64, 2.0)] {
        small(suite, connections, by_file).await?;
    }
    Ok(())
}

async fn small(suite: &mut Suite, connections: u32, by_file: f64) -> Result<(), String> {
    let folder = |name: &str| suite.folder_of(&format!("{name}-{connections}"));
    let strict = Server::node(&suite.node, "strict", &folder("strict"), &[]).await?;
    let settings = [("DURABILITY", "relaxed")];
    let relaxed = Server::node(&suite.node, "relaxed", &folder("relaxed"), &settings).await?;
    let settings = [("INLINE_BODY_BYTES", "0")];
    let synced = Server::node(&suite.node, "file by file", &folder("synced"), &settings).await?;
    let mut sites =
        vec![strict.site("strict", BUCKET)?, relaxed.site("relaxed", BUCKET)?, synced.site("file by file", BUCKET)?];
    sites.extend(suite.peers.iter().cloned());
    let mut workload = load(Put, 4 << 10, connections, KEYS, suite.write_time);
    workload.fresh = true;
    let name = format!("PUT 4 KiB, {connections} connections");
    let measured = suite.case(&name, Lane::each(&sites, workload), Write).await?;
    suite.check(format!("{name}: CPU"), cpu(&measured), AtMost(120.0), "µs");
    suite.check(format!("{name}: rate"), ratio(&measured, "relaxed", rate), AtLeast(0.6), "of relaxed");
    suite.check(format!("{name}: rate"), ratio(&measured, "file by file", rate), AtLeast(by_file), "× file by file");
    Ok(())
}
