//! A local server's CPU time and memory, as Linux tells them in /proc.

use std::time::Duration;

use serde::Serialize;

/// A process that is watched.
#[derive(Debug, Clone, Copy)]
pub struct Process {
    /// Its id.
    pub pid: u32,
}

/// Memory of a process, in KiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Memory {
    /// Resident memory, mapped files included.
    pub rss_kib: u64,
    /// Resident memory that no file stands behind.
    pub anonymous_kib: u64,
    /// The most that was ever resident.
    pub peak_kib: u64,
}

impl Process {
    /// CPU time of all its threads, those that ended included; `None` when the process is gone.
    pub fn cpu(self) -> Option<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid)).ok()?;
        let ticks = cpu_ticks(&stat)?;
        Some(Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64))
    }

    /// Lets the most that was ever resident be what is resident now (proc_pid_clear_refs(5)). Errs: the process is gone.
    pub fn forget_peak(self) -> Result<(), String> {
        let path = format!("/proc/{}/clear_refs", self.pid);
        std::fs::write(&path, "5").map_err(|error| format!("{path}: {error}"))
    }

    /// Its memory now; `None` when the process is gone.
    pub fn memory(self) -> Option<Memory> {
        std::fs::read_to_string(format!("/proc/{}/status", self.pid)).ok().as_deref().and_then(memory)
    }
}

/// User and system time in a line of /proc/PID/stat. The name before them may hold anything, so the last `)` ends it.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

fn memory(status: &str) -> Option<Memory> {
    let line = |name: &str| {
        let rest = status.lines().find_map(|line| line.strip_prefix(name))?;
        rest.trim_start_matches(':').split_ascii_whitespace().next()?.parse().ok()
    };
    Some(Memory { rss_kib: line("VmRSS")?, anonymous_kib: line("RssAnon")?, peak_kib: line("VmHWM")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_behind_any_name() {
        let stat = "42 (a) b) R (x) S 1 42 42 0 -1 4194304 100 0 0 0 730 58 0 0 20 0 9 0 123 456";
        // Fourteenth and fifteenth field of proc_pid_stat(5).
        assert_eq!(cpu_ticks(stat), Some(788));
        assert_eq!(cpu_ticks("42 (node) S 1"), None);
    }

    #[test]
    fn memory_is_read_by_name() {
        let status =
            "Name:\tnode\nVmHWM:\t    9000 kB\nVmRSS:\t    8000 kB\nRssAnon:\t    7000 kB\nRssFile:\t 1000 kB\n";
        assert_eq!(memory(status), Some(Memory { rss_kib: 8000, anonymous_kib: 7000, peak_kib: 9000 }));
        assert_eq!(memory("Name:\tkthreadd\n"), None);
    }

    #[test]
    fn this_process_has_both_and_one_that_is_gone_has_none() {
        let own = Process { pid: std::process::id() };
        assert!(own.cpu().is_some());
        assert!(own.memory().unwrap().rss_kib > 100);
        assert!(Process { pid: u32::MAX }.cpu().is_none());
        assert!(Process { pid: u32::MAX }.memory().is_none());
    }
}
