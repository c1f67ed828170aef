//! Why the audit log cannot be read.

use std::io;
use std::path::PathBuf;

/// Why a page of the log is not answered.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The position that the page was to go on from is none of this log.
    #[error("no position of the audit log")]
    NoSuchPosition,
    /// Too many read it already.
    #[error("too many read the audit log at once")]
    Busy,
    /// A file cannot be read.
    #[error("{}: cannot {doing}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was attempted.
        doing: &'static str,
        /// The refusal.
        #[source]
        source: io::Error,
    },
    /// The reading was broken off.
    #[error("the reading of the audit log was broken off")]
    BrokenOff,
}
