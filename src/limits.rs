//! How many connections there may be, so that files can still be opened however many clients come.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files that one request has open, at most: what it reads and what it writes.
const FILES_PER_REQUEST: usize = 2;
/// Files that are open beside those of requests: journal, index, folders, sockets, logs.
const FILES_OF_THE_NODE: usize = 512;

/// Raises the limit of open files as far as the process may, and answers how many connections that leaves room for, of those
/// wanted.
pub fn connections(wanted: usize, requests_max: usize) -> usize {
    let files = raise_file_limit();
    let connections = wanted.min(room_for_connections(files, requests_max));
    if connections < wanted {
        tracing::warn!(
            files,
            connections,
            wanted,
            "the limit of open files is too low for CONNECTIONS_MAX (ulimit -Hn)"
        );
    }
    connections
}

/// Raises the soft limit of open files to the hard one; answers what holds then.
fn raise_file_limit() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    let files = if raised.is_ok() { limit.maximum } else { limit.current };
    files.and_then(|files| usize::try_from(files).ok()).unwrap_or(usize::MAX)
}

/// How many connections so many open files leave room for. A connection has one request under way at a time, so few connections have
/// few requests.
pub fn room_for_connections(files: usize, requests_max: usize) -> usize {
    let free = files.saturating_sub(FILES_OF_THE_NODE);
    let with_all_requests = free.saturating_sub(requests_max.saturating_mul(FILES_PER_REQUEST));
    with_all_requests.max(free / (1 + FILES_PER_REQUEST)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_files_for_their_requests() {
        assert_eq!(room_for_connections(1_000_000, 1024), 1_000_000 - 512 - 2048);
        assert_eq!(room_for_connections(1024, 1024), 170);
        assert_eq!(room_for_connections(100, 1024), 1);
        for files in (600..20_000).step_by(97) {
            let connections = room_for_connections(files, 1024);
            assert!(connections + connections.min(1024) * FILES_PER_REQUEST + FILES_OF_THE_NODE <= files, "{files}");
        }
    }
}
