//! The actions of IAM (IAM API Reference). Each reads its parameters, looks something up or sends one message to IAM, and writes
//! what it has to tell.

mod access_keys;
mod account;
mod attached;
mod conditions;
mod dispatch;
mod error;
mod groups;
mod inline;
mod managed;
mod nothing;
mod providers;
mod roles;
mod simulate;
mod tags;
pub(super) mod target;
mod users;
mod write;

use myfsio_actors::iam::IamChange;

pub(super) use self::conditions::tell;
pub(super) use self::dispatch::dispatch;
use super::call::Call;
use super::error::ApiError;
use super::permission;

/// Longest policy document, in characters; what counts against its quota is less (IAM API Reference, `policyDocumentType`).
const DOCUMENT_MAX: usize = 131_072;

/// Makes a change on behalf of the caller. Once it is made, the directory says so. Errs: AccessDenied where it takes a grant of the
/// short form; what IAM refuses.
async fn change<M: IamChange>(call: &Call, message: M) -> Result<M::Answer, ApiError> {
    permission::ask_for_grants(call, &message)?;
    Ok(call.node.access.iam.change(call.origin(), message).await?)
}

/// The text of a policy document. Errs: ValidationError.
fn policy_document(call: &Call, parameter: &str) -> Result<String, ApiError> {
    call.parameters.text(parameter, DOCUMENT_MAX).map(str::to_owned)
}
