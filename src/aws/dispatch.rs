//! From an action to its handler.

use super::call::Call;
use super::error::ApiError;
use super::iam;
use super::service::Service;
use super::sts;
use crate::s3::xml::XmlWriter;

/// Runs the handler of a request that was let through; it writes what it has to tell into `out`.
pub async fn dispatch(call: &Call, out: &mut XmlWriter) -> Result<(), ApiError> {
    match call.action.row().service {
        Service::Iam => iam::dispatch(call, out).await,
        Service::Sts => sts::dispatch(call, out).await,
        // It has no actions yet.
        Service::Kms => Ok(()),
    }
}
