//! What a process holds while a soak runs: memory, and open files by kind.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::process::Process;

/// Pause between two looks.
const EVERY: Duration = Duration::from_secs(1);

/// What the nodes held at one moment.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Sample {
    /// Since the beginning, in seconds.
    pub seconds: f64,
    /// Resident memory of source and target, in KiB.
    pub rss_kib: [u64; 2],
    /// The part of it that no file stands behind.
    pub anonymous_kib: [u64; 2],
    /// Open files of both.
    pub files: [usize; 2],
}

/// Looks at both again and again.
pub struct Watch {
    processes: [Process; 2],
    begin: Instant,
    /// What was seen.
    pub samples: Vec<Sample>,
}

impl Watch {
    /// Begins to watch source and target.
    pub fn begin(processes: [Process; 2]) -> Self {
        Self { processes, begin: Instant::now(), samples: Vec::new() }
    }

    /// Watches for a while.
    pub async fn watch(&mut self, time: Duration) {
        let end = Instant::now() + time;
        loop {
            self.look();
            match end.saturating_duration_since(Instant::now()) {
                Duration::ZERO => return,
                left => tokio::time::sleep(left.min(EVERY)).await,
            }
        }
    }

    fn look(&mut self) {
        let memory = self.processes.map(|process| process.memory().unwrap_or_default());
        self.samples.push(Sample {
            seconds: self.begin.elapsed().as_secs_f64(),
            rss_kib: memory.map(|memory| memory.rss_kib),
            anonymous_kib: memory.map(|memory| memory.anonymous_kib),
            files: self.processes.map(|process| open_files(process).values().sum()),
        });
    }
}

/// Open files of a process by what they are: sockets and the like by kind, files by their folder or name within the data.
pub fn open_files(process: Process) -> BTreeMap<String, usize> {
    let mut kinds = BTreeMap::new();
    for entry in std::fs::read_dir(format!("/proc/{}/fd", process.pid)).into_iter().flatten().flatten() {
        // One that was closed meanwhile is none.
        if let Ok(target) = std::fs::read_link(entry.path()) {
            *kinds.entry(kind_of(&target.to_string_lossy())).or_default() += 1;
        }
    }
    kinds
}

fn kind_of(target: &str) -> String {
    let kind = match target.split_once(":[") {
        Some((kind, _)) => kind,
        None => target.rsplit_once("/data/").map_or(target, |(_, inside)| inside),
    };
    let is_gone = target.ends_with("(deleted)");
    let own = kind.strip_prefix(".myfsio.sys/").map(|inside| inside.split('/').next().unwrap_or_default());
    match (is_gone, own) {
        (true, _) => "deleted file".to_owned(),
        (false, Some(own)) => format!(".myfsio.sys/{own}"),
        (false, None) if kind != target && !target.contains(":[") => "below buckets".to_owned(),
        (false, None) => kind.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_files_are_told_by_kind() {
        for (target, kind) in [
            ("socket:[123]", "socket"),
            ("anon_inode:[eventpoll]", "anon_inode"),
            ("/x/data/.myfsio.sys/journal/segment-0", ".myfsio.sys/journal"),
            ("/x/data/bucket/key", "below buckets"),
            ("/x/data/.myfsio.sys/tmp/1-2 (deleted)", "deleted file"),
            ("/dev/null", "/dev/null"),
        ] {
            assert_eq!(kind_of(target), kind, "{target}");
        }
        let own = open_files(Process { pid: std::process::id() });
        assert!(own.values().sum::<usize>() > 2, "{own:?}");
    }
}
