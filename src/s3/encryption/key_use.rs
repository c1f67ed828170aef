//! Whether the caller may have S3 use a KMS key for it: its own permission and the key's policy, beside the permission on the
//! object (S3 User Guide, "Using server-side encryption with AWS KMS keys", "Permissions").

use std::sync::Arc;

use actix_web::http::header::HeaderMap;
use myfsio_actors::encryption::{CustomerKey, DataKey, Encryption, EncryptionContext, Envelope, Method, ObjectName};
use myfsio_actors::iam::Principal;
use myfsio_actors::kms::{KmsClient, KmsError, KmsKey};
use myfsio_actors::names::ObjectKey;
use myfsio_actors::storage::{Bucket, Upload};

use super::asked::Asked;
use super::choice::Choice;
use super::parts::check_part;
use super::settings::{check_enabled, check_kms_enabled};
use crate::kms::access::{Subject, through_s3};
use crate::node::Node;
use crate::s3::authorize::Facts;
use crate::s3::error::S3Error;
use crate::s3::preflight::Prepared;

/// What a key is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyUse {
    /// A new object.
    Seal,
    /// Reading one, or writing a part.
    Open,
    /// Sealing anew what was sealed by others: being able to write to the bucket does not give that.
    Take,
}

impl KeyUse {
    fn action(self) -> &'static str {
        match self {
            Self::Seal | Self::Take => "kms:GenerateDataKey",
            Self::Open => "kms:Decrypt",
        }
    }
}

/// The pair that S3 itself adds to the encryption context, for policies to ask for.
const OBJECT_ARN: &str = "aws:s3:arn";

/// Who asks S3 to use keys, and what their request says.
#[derive(Debug, Clone, Copy)]
pub struct Asker<'a> {
    /// The node.
    pub node: &'a Node,
    /// Who asks; none is anonymous.
    pub principal: Option<&'a Principal>,
    /// The request.
    pub facts: Facts<'a>,
}

impl<'a> Asker<'a> {
    /// Who sends a request that may go to its handler.
    pub fn of(node: &'a Node, prepared: &'a Prepared, headers: &'a HeaderMap) -> Self {
        Self { node, principal: prepared.auth.principal.as_deref(), facts: prepared.facts(node, headers) }
    }

    /// Who asks; S3 uses a key for nobody whom it does not know. Errs: InvalidArgument.
    pub(super) fn signer(&self) -> Result<&'a Principal, S3Error> {
        let message =
            "Requests specifying Server Side Encryption with AWS KMS managed keys require AWS Signature Version 4.";
        self.principal.ok_or_else(|| S3Error::invalid_argument("Authorization", "null", message))
    }

    /// Asks for the permission to use a key for an object. Errs: AccessDenied; InvalidArgument without credentials.
    pub(super) fn may_use_key(
        &self,
        use_for: KeyUse,
        key: &KmsKey,
        (bucket, object): (&Bucket, &ObjectKey),
        context: &EncryptionContext,
    ) -> Result<(), S3Error> {
        let principal = self.signer()?;
        let arn = format!("arn:aws:s3:::{}/{}", bucket.name, object.as_str());
        let (context, used) = (context.with(OBJECT_ARN, &arn), (bucket, Some(object.as_str())));
        let subject = Subject::of(key, principal);
        let granted = use_for != KeyUse::Take;
        through_s3(Some(principal), &self.facts, use_for.action(), subject, &context, used, granted)
    }

    /// Asks for the permission to open what is sealed like this. Errs: as [`Self::may_use_key`]; NotFound of the KMS.
    pub(super) fn may_open(&self, encryption: &Encryption, object: (&Bucket, &ObjectKey)) -> Result<(), S3Error> {
        match &encryption.method {
            Method::Kms { key_id, context, .. } => {
                let key = self.node.kms.key_of_object(key_id)?;
                self.may_use_key(KeyUse::Open, &key, object, context)
            }
            Method::Managed { .. } | Method::Customer(_) => Ok(()),
        }
    }

    /// The key that opens what is sealed like this. Errs: as [`Self::may_open`], and those of the KMS.
    pub(super) fn open(
        &self,
        (bucket, key): (&Bucket, &ObjectKey),
        encryption: Option<&Encryption>,
        given: Option<&CustomerKey>,
    ) -> Result<Option<DataKey>, S3Error> {
        let Some(encryption) = encryption else { return Ok(None) };
        self.may_open(encryption, (bucket, key))?;
        Ok(Some(self.node.kms.open(encryption, &name_of(bucket, key), given)?))
    }

    /// How the object that the request makes is sealed; none when it is not. Errs: those of its headers, of the KMS, and of the
    /// permission to use a key.
    pub async fn envelope(&self, bucket: &Bucket, key: &ObjectKey) -> Result<Option<Envelope>, S3Error> {
        let (kms, name) = (&self.node.kms, name_of(bucket, key));
        let choice = Choice::of(Asked::of_write(self.facts.headers)?, bucket.config.encryption.as_ref())?;
        let envelope = match choice {
            Choice::Plain => return Ok(None),
            Choice::Managed => kms.seal_managed(&name)?,
            Choice::Customer(key) => {
                check_enabled(kms)?;
                key.seal(&name)?
            }
            Choice::Kms { key: wanted, context, bucket_key } => {
                check_kms_enabled(kms)?;
                // Before anything is looked up, or made, for somebody whom nobody knows. An alias is one of who asks, also where it is
                // the bucket's configuration that names it (S3 API Reference, PutBucketEncryption).
                let account = &self.signer()?.account_id;
                let found = key_of_name(kms, account, wanted.as_deref().unwrap_or_default()).await?;
                self.may_use_key(KeyUse::Seal, &found, (bucket, key), &context)?;
                kms.seal_with_key(&found.id, context, bucket_key, &name)?
            }
        };
        Ok(Some(envelope))
    }

    /// The key that seals the parts of an upload; none when they are not sealed. Errs: those of [`check_part`], of the KMS and of
    /// the permission to use a key.
    pub fn part_key(&self, bucket: &Bucket, key: &ObjectKey, upload: &Upload) -> Result<Option<DataKey>, S3Error> {
        let encryption = upload.encryption.as_ref();
        let given = check_part(self.facts.headers, encryption, bucket.config.encryption.as_ref())?;
        self.open((bucket, key), encryption, given.as_ref())
    }
}

/// The key of this name for an account, or the one that is used when none is named. Errs: as the KMS does.
async fn key_of_name(kms: &KmsClient, account: &str, name: &str) -> Result<Arc<KmsKey>, KmsError> {
    match KmsClient::is_default_key(name) {
        true => kms.ensure_default_key().await,
        false => kms.find_for(account, name),
    }
}

/// What a data key is sealed for.
pub(super) fn name_of<'a>(bucket: &'a Bucket, key: &'a ObjectKey) -> ObjectName<'a> {
    ObjectName { bucket: bucket.name.as_str(), key: key.as_str() }
}
