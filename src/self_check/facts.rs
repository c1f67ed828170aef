//! What can only be seen by looking: the data folder, its file system and device, the clock, limits, and what the actors complain of.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use myfsio_actors::names::Stamp;
use rustix::fs::{statfs, statvfs};
use rustix::process::{Resource, getrlimit};

use crate::limits;
use crate::node::Node;
use crate::tls::{Certificate, Term};

/// What was seen.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// When it was written that the data folder can be written, by its file system's clock; or why it cannot be.
    pub written: Option<Result<Stamp, String>>,
    /// Magic number of the file system (statfs(2)).
    pub file_system: Option<u64>,
    /// Free and all bytes of the device.
    pub space: Option<(u64, u64)>,
    /// Free and all files that its file system has room for; not all of them count.
    pub files: Option<(u64, u64)>,
    /// Why no objects are taken, if the device is too full.
    pub no_room: Option<String>,
    /// The time.
    pub now: Stamp,
    /// How many files may be open; none is as many as one likes.
    pub open_files: Option<u64>,
    /// How many connections that leaves room for.
    pub connections: usize,
    /// From when until when the certificate of the listeners is valid; none without TLS.
    pub certificate: Option<Term>,
    /// Whether the well-known secret is in force.
    pub well_known_secret: bool,
    /// Files whose last edit is broken.
    pub broken: Vec<String>,
    /// What does not work.
    pub trouble: Vec<String>,
}

/// Looks.
pub async fn gather(node: &Node) -> Facts {
    let deployment = &node.settings.deployment;
    let (root, name) = (deployment.storage_root.clone(), getrandom::u64().unwrap_or_default());
    let looked = tokio::task::spawn_blocking(move || look(&root, name)).await;
    let problems = [node.access.iam.problem(), node.access.policy_engine.problem(), node.notifier.problem()];
    let broken = problems.into_iter().flatten().chain(node.replication.problems());
    let trouble = [node.storage.failure(), node.storage.trouble(), node.kms.trouble(), node.audit.trouble()];
    let mut trouble: Vec<_> = trouble.into_iter().flatten().collect();
    trouble.dedup();
    let open_files = getrlimit(Resource::Nofile).current;
    let files = open_files.and_then(|files| usize::try_from(files).ok()).unwrap_or(usize::MAX);
    Facts {
        no_room: node.storage.check_room(0).err().map(|error| error.to_string()),
        now: node.clock.now(),
        connections: limits::room_for_connections(files, deployment.requests_max),
        open_files,
        certificate: node.settings.certificate.as_ref().and_then(Certificate::term),
        well_known_secret: node.access.iam.has_well_known_secret(),
        broken: broken.map(|problem| problem.to_string()).collect(),
        trouble,
        ..looked.unwrap_or_default()
    }
}

fn look(root: &Path, name: u64) -> Facts {
    let space = statvfs(root).ok();
    Facts {
        written: Some(write(root, name).map_err(|error| error.to_string())),
        // The type of the field is another on other machines.
        #[allow(clippy::unnecessary_cast, clippy::cast_sign_loss, reason = "magic numbers have 32 bits")]
        file_system: statfs(root).ok().map(|found| found.f_type as u64 & 0xffff_ffff),
        space: space.as_ref().map(|found| {
            (found.f_bavail.saturating_mul(found.f_frsize), found.f_blocks.saturating_mul(found.f_frsize))
        }),
        files: space.as_ref().map(|found| (found.f_favail, found.f_files)),
        ..Facts::default()
    }
}

/// Writes a file beside the node's own, sees it on the disk, and removes it.
fn write(root: &Path, name: u64) -> io::Result<Stamp> {
    let path = root.join(format!(".myfsio.sys/self-check-{name:016x}"));
    let mut file: File = OpenOptions::new().write(true).create_new(true).open(&path)?;
    let written = file.write_all(b"self-check").and_then(|()| file.sync_all()).and_then(|()| file.metadata());
    let removed = fs::remove_file(&path);
    let found = written?;
    removed?;
    let seconds = u64::try_from(found.mtime()).unwrap_or_default();
    Ok(Stamp(seconds.saturating_mul(1_000_000_000)))
}
