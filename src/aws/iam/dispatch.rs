//! From an action of IAM to its handler.

use super::nothing;
use crate::aws::action::Action as A;
use crate::aws::call::Call;
use crate::aws::error::ApiError;
use crate::s3::xml::XmlWriter;

/// Runs the handler of an action of IAM.
pub async fn dispatch(call: &Call, out: &mut XmlWriter) -> Result<(), ApiError> {
    match call.action {
        A::ListAccountAliases => nothing::list(out, "AccountAliases"),
        A::GetAccountPasswordPolicy => nothing::get_account_password_policy(call),
        A::ListVirtualMFADevices => nothing::list(out, "VirtualMFADevices"),
        A::ListInstanceProfiles => nothing::list(out, "InstanceProfiles"),
        A::ListSAMLProviders => nothing::list(out, "SAMLProviderList"),
        A::ListServerCertificates => nothing::list(out, "ServerCertificateMetadataList"),
    }
}
