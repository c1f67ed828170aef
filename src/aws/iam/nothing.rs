//! What IAM has on AWS and a node has none of: passwords for its console, second factors, certificates, instance profiles, SAML.
//! Tools ask for them all the same, above all before they delete a user or role, and are told that there are none.

use super::target::{directory, user_or_caller};
use crate::aws::call::Call;
use crate::aws::error::{ApiError, ErrorCode};
use crate::s3::xml::XmlWriter;

/// A list without items.
pub fn list(out: &mut XmlWriter, element: &'static str) -> Result<(), ApiError> {
    out.open(element).close().value("IsTruncated", false);
    Ok(())
}

/// A list without items, of a user that must be there. Errs: NoSuchEntity.
pub fn list_of_user(call: &Call, out: &mut XmlWriter, element: &'static str) -> Result<(), ApiError> {
    let directory = directory(call);
    directory.user(&user_or_caller(call, &directory)?)?;
    list(out, element)
}

/// A list without items, of a role that must be there. Errs: NoSuchEntity.
pub fn list_of_role(call: &Call, out: &mut XmlWriter, element: &'static str) -> Result<(), ApiError> {
    directory(call).role(call.account_id()?, call.parameters.name("RoleName", super::target::NAME_MAX)?)?;
    list(out, element)
}

/// GetLoginProfile: nobody signs in with a password. Errs: NoSuchEntity.
pub fn get_login_profile(call: &Call) -> Result<(), ApiError> {
    let directory = directory(call);
    let user = directory.user(&user_or_caller(call, &directory)?)?;
    let message = format!("Login Profile for User {} cannot be found.", user.user_name);
    Err(ApiError::with_message(ErrorCode::NoSuchEntity, message))
}

/// GetAccountPasswordPolicy: there are no passwords. Errs: NoSuchEntity.
pub fn get_account_password_policy(call: &Call) -> Result<(), ApiError> {
    let message = format!("The Password Policy with domain name {} cannot be found.", call.account_id()?);
    Err(ApiError::with_message(ErrorCode::NoSuchEntity, message))
}
