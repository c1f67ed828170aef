//! GET, HEAD and LIST: one node, and nginx on the same files.

use super::Kind::Read;
use super::results::Target::{AtLeast, AtMost};
use super::servers::Server;
use super::{BUCKET, Suite, cpu, is_program, load, rate, ratio};
use crate::run::Lane;
use crate::workload::Operation::{Get, Head, List};

/// Objects of 4 KiB, 1 MiB and 64 MiB that are read: all of them stay in the page cache.
const KEYS: (u64, u64, u64) = (10_000, 256, 16);

/// Runs the part. Errs when it cannot.
pub async fn run(suite: &mut Suite) -> Result<(), String> {
    let node = Server::node(&suite.node, "node", &suite.folder_of("reads"), &[]).await?;
    let mut nginx = None;
    match suite.nginx.clone() {
        Some(program) if is_program(&program) => {
            nginx = Some(Server::nginx(&program, &suite.folder_of("nginx"), &node.data()).await?);
        }
        _ => suite.results.notes.push("SKIPPED: nginx is not here; reads have no reference.".to_owned()),
    }
    let mut sites = vec![node.site("node", BUCKET)?];
    if let Some(nginx) = &nginx {
        sites.push(nginx.unsigned_site(BUCKET)?);
    }
    sites.extend(suite.peers.iter().cloned());
    let time = suite.read_time;

    let small = Lane::each(&sites, load(Get, 4 << 10, 64, KEYS.0, time));
    let measured = suite.case("GET 4 KiB, 64 connections", small, Read).await?;
    suite.check("GET 4 KiB: CPU", cpu(&measured), AtMost(60.0), "µs");
    suite.check("GET 4 KiB: rate", ratio(&measured, "nginx", rate), AtLeast(0.25), "of nginx");

    let mut head = load(Head, 4 << 10, 64, KEYS.0, time);
    // The same files: nginx has no others.
    head.keys.prefix = "get-4096/".to_owned();
    let measured = suite.case("HEAD 4 KiB, 64 connections", Lane::each(&sites, head), Read).await?;
    suite.check("HEAD: CPU", cpu(&measured), AtMost(45.0), "µs");

    let middle = Lane::each(&sites, load(Get, 1 << 20, 16, KEYS.1, time));
    let measured = suite.case("GET 1 MiB, 16 connections", middle, Read).await?;
    suite.check("GET 1 MiB: CPU", cpu(&measured), AtMost(350.0), "µs");
    suite.check("GET 1 MiB: throughput", ratio(&measured, "nginx", rate), AtLeast(0.9), "of nginx");

    let large = Lane::each(&sites, load(Get, 64 << 20, 4, KEYS.2, time));
    let measured = suite.case("GET 64 MiB, 4 connections", large, Read).await?;
    suite.check("GET 64 MiB: CPU", cpu(&measured).map(|us| us / 1000.0), AtMost(15.0), "ms");

    sites.retain(|site| site.endpoint.credentials.is_some());
    let list = Lane::each(&sites, load(List, 100, 8, 5000, time));
    let measured = suite.case("LIST 1000 of 5 000, 8 connections", list, Read).await?;
    suite.check("LIST 1000: CPU", cpu(&measured).map(|us| us / 1000.0), AtMost(1.0), "ms");
    Ok(())
}
