//! What may be asked of the QuotaTracker.

use super::error::QuotaError;

/// Has the quotas of users be what the users' file says, as IAM has it now.
#[derive(Debug, actix::Message)]
#[rtype(result = "Result<(), QuotaError>")]
pub(super) struct TakeUp;

/// Answers when everything that quotas are of is counted.
#[derive(Debug, actix::Message)]
#[rtype(result = "Result<(), QuotaError>")]
pub(super) struct CountThrough;

/// Ends the work after the step that is under way.
#[derive(Debug, actix::Message)]
#[rtype(result = "Result<(), QuotaError>")]
pub(super) struct Stop;
