//! From an operation to its handler.

use serde_json::Value;

use super::call::Call;
use super::handlers::{aliases, cryptography, keys, policies, rotation, states, tags};
use super::operation::Operation as O;
use crate::s3::error::{ErrorCode, S3Error};

/// Does what a request asks for; answers what is to be told, which is nothing where it is null. Errs: KMSNotEnabled; NotImplemented
/// for operations that are not built; AccessDenied; the errors of the operation.
pub async fn perform(call: &Call<'_>) -> Result<Value, S3Error> {
    if !call.kms().kms_enabled() {
        return Err(ErrorCode::KMSNotEnabled.into());
    }
    match call.operation {
        O::CreateKey => keys::create(call).await,
        O::DescribeKey => keys::describe(call).await,
        O::ListKeys => keys::list(call),
        O::UpdateKeyDescription => keys::update_description(call).await,
        O::EnableKey => states::enable(call).await,
        O::DisableKey => states::disable(call).await,
        O::ScheduleKeyDeletion => states::schedule_deletion(call).await,
        O::CancelKeyDeletion => states::cancel_deletion(call).await,
        O::RotateKeyOnDemand => rotation::rotate(call).await,
        O::EnableKeyRotation => rotation::enable(call).await,
        O::DisableKeyRotation => rotation::disable(call).await,
        O::GetKeyRotationStatus => rotation::status(call),
        O::ListKeyRotations => rotation::list(call),
        O::CreateAlias => aliases::create(call).await,
        O::UpdateAlias => aliases::update(call).await,
        O::DeleteAlias => aliases::delete(call).await,
        O::ListAliases => aliases::list(call),
        O::TagResource => tags::tag(call).await,
        O::UntagResource => tags::untag(call).await,
        O::ListResourceTags => tags::list(call),
        O::GetKeyPolicy => policies::get(call),
        O::PutKeyPolicy => policies::put(call).await,
        O::ListKeyPolicies => policies::list(call),
        O::Encrypt => cryptography::encrypt(call),
        O::Decrypt => cryptography::decrypt(call),
        O::ReEncrypt => cryptography::re_encrypt(call),
        O::GenerateDataKey => cryptography::generate_data_key(call),
        O::GenerateDataKeyWithoutPlaintext => cryptography::generate_data_key_without_plaintext(call),
        O::GenerateRandom => cryptography::generate_random(call),
        O::ConnectCustomKeyStore
        | O::CreateCustomKeyStore
        | O::CreateGrant
        | O::DeleteCustomKeyStore
        | O::DeleteImportedKeyMaterial
        | O::DeriveSharedSecret
        | O::DescribeCustomKeyStores
        | O::DisconnectCustomKeyStore
        | O::GenerateDataKeyPair
        | O::GenerateDataKeyPairWithoutPlaintext
        | O::GenerateMac
        | O::GetKeyLastUsage
        | O::GetParametersForImport
        | O::GetPublicKey
        | O::ImportKeyMaterial
        | O::ListGrants
        | O::ListRetirableGrants
        | O::ReplicateKey
        | O::RetireGrant
        | O::RevokeGrant
        | O::Sign
        | O::UpdateCustomKeyStore
        | O::UpdatePrimaryRegion
        | O::Verify
        | O::VerifyMac => {
            let message = format!("{} is not implemented.", call.operation.name());
            Err(S3Error::with_message(ErrorCode::NotImplemented, message))
        }
    }
}
