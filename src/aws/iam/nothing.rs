//! What IAM has on AWS and a node has none of: passwords for its console, second factors, certificates, instance profiles, SAML.
//! Tools ask for them all the same, above all before they delete a user or role, and are told that there are none.

use crate::aws::call::Call;
use crate::aws::error::{ApiError, ErrorCode};
use crate::s3::xml::XmlWriter;

/// A list without items.
pub fn list(out: &mut XmlWriter, element: &'static str) -> Result<(), ApiError> {
    out.open(element).close().value("IsTruncated", false);
    Ok(())
}

/// GetAccountPasswordPolicy: there are no passwords. Errs: NoSuchEntity.
pub fn get_account_password_policy(call: &Call) -> Result<(), ApiError> {
    let message = format!("The Password Policy with domain name {} cannot be found.", call.account_id()?);
    Err(ApiError::with_message(ErrorCode::NoSuchEntity, message))
}
