//! On what the suite ran: processor, kernel, file system.

use std::path::Path;

use time::OffsetDateTime;

/// What a machine that does nothing stays under.
const QUIET_LOAD: f64 = 0.5;

/// The machine in one line. `folder` is where the data lies.
pub fn describe(folder: &Path) -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let processor = processor(&read("/proc/cpuinfo")).unwrap_or("unknown processor").to_owned();
    let mounts = read("/proc/self/mounts");
    let folder = std::fs::canonicalize(folder).unwrap_or_default();
    let file_system = file_system(&mounts, &folder).unwrap_or("unknown file system");
    let kernel = read("/proc/sys/kernel/osrelease");
    let today = OffsetDateTime::now_utc().date();
    format!("{cores} cores of {processor}, Linux {}, data on {file_system}, {today}.", kernel.trim())
}

/// The load of the machine over the last minute, if others are at work on it: figures beside them are worse than its own.
pub fn busy() -> Option<f64> {
    load_average(&std::fs::read_to_string("/proc/loadavg").ok()?).filter(|load| *load >= QUIET_LOAD)
}

fn load_average(loadavg: &str) -> Option<f64> {
    loadavg.split(' ').next()?.parse().ok()
}

fn processor(cpuinfo: &str) -> Option<&str> {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"))?;
    line.split_once(':').map(|(_, name)| name.trim())
}

/// Type of the file system that holds `folder`: that of the deepest mount above it, the last one where two are at a place.
fn file_system<'a>(mounts: &'a str, folder: &Path) -> Option<&'a str> {
    let mounts = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        Some((Path::new(fields.next()?), fields.next()?))
    });
    let above = mounts.filter(|(place, _)| folder.starts_with(place));
    above.max_by_key(|(place, _)| place.components().count()).map(|(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deepest_mount_counts() {
        let mounts =
            "/dev/a / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n/dev/b /tmp/disk xfs rw 0 0\n/dev/c / btrfs rw 0 0\n";
        for (folder, kind) in [("/tmp/disk/x", "xfs"), ("/tmp/x", "tmpfs"), ("/tmpx", "btrfs"), ("/", "btrfs")] {
            assert_eq!(file_system(mounts, Path::new(folder)), Some(kind), "{folder}");
        }
        assert_eq!(file_system("", Path::new("/")), None);
    }

    #[test]
    fn the_load_is_that_of_the_last_minute() {
        assert_eq!(load_average("3.25 1.00 0.50 2/345 6789\n"), Some(3.25));
        assert_eq!(load_average(""), None);
    }

    #[test]
    fn processors_have_names() {
        assert_eq!(processor("processor\t: 0\nmodel name\t: Some CPU @ 2GHz\n"), Some("Some CPU @ 2GHz"));
    }
}
