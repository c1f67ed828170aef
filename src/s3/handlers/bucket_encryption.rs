//! How new objects of a bucket are encrypted when their request does not say: read, put, delete.

use actix_web::http::StatusCode;
use myfsio_actors::bucket_config::{BucketEncryption, ConfigChange, DefaultEncryption};

use super::bucket_config::{configure, document, told};
use crate::s3::context::Call;
use crate::s3::encryption::settings::{check_enabled, check_kms_enabled};
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::respond::{Answer, empty};
use crate::s3::xml::encryption::{ENCRYPTION_BYTES_MAX, encryption_configuration, write_encryption};

/// S3 API Reference, GetBucketEncryption. Errs: ServerSideEncryptionConfigurationNotFoundError while nothing is configured.
pub fn get_bucket_encryption(call: &Call) -> Answer {
    let unset = ErrorCode::ServerSideEncryptionConfigurationNotFoundError;
    told(call, call.bucket()?.config.encryption.as_ref(), write_encryption, unset)
}

/// S3 API Reference, PutBucketEncryption. Like S3 it does not look whether there is the key. Errs: MalformedXML,
/// InvalidArgument, NotImplemented; InvalidRequest and KMSNotEnabled for what this node has not.
pub async fn put_bucket_encryption(mut call: Call) -> Answer {
    let encryption = encryption_configuration(&document(&mut call, ENCRYPTION_BYTES_MAX).await?)?;
    refuse_unavailable(&call, &encryption)?;
    configure(&call, ConfigChange::Encryption(Some(encryption))).await?;
    Ok(empty(StatusCode::OK))
}

/// S3 API Reference, DeleteBucketEncryption.
pub async fn delete_bucket_encryption(call: Call) -> Answer {
    configure(&call, ConfigChange::Encryption(None)).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}

/// Refuses a default that would refuse every new object.
fn refuse_unavailable(call: &Call, encryption: &BucketEncryption) -> Result<(), S3Error> {
    match &encryption.default {
        None => Ok(()),
        Some(DefaultEncryption::Managed) => check_enabled(&call.node.kms),
        Some(DefaultEncryption::Kms { .. }) => check_kms_enabled(&call.node.kms),
    }
}
