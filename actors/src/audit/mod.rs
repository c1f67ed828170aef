//! Who changed what: one line of JSON for each change to users, policies and settings, in files that are rotated.
//!
//! Whoever makes a change makes an [`AuditEntry`] of it, with [`difference`] and [`mask`], and waits for [`AuditLog::record`]
//! before it answers. One thread appends what has come together, with one sync. INVARIANT: an answered change has its line on the
//! disk, unless the log could not be written; then the change stands, the failure is logged and told by `/healthz`, and the line is
//! written as soon as that is possible again.
//!
//! Only accepted changes are here. What was refused is told by the decisions of the PolicyEngine.

mod difference;
mod entry;
mod error;
mod files;
#[cfg(any(test, feature = "internals"))]
pub(crate) mod fuzzing;
mod log;
mod mask;
mod query;
mod reader;
#[cfg(test)]
mod tests;
mod writer;

pub use difference::difference;
pub use entry::{AuditEntry, ChangeOrigin};
pub use error::AuditError;
pub use log::{AuditFigures, AuditLog, AuditSettings};
pub use mask::{MASKED, mask};
pub use query::{AuditPage, AuditPosition, AuditQuery};
