//! Whether the caller may have S3 use a KMS key for it: its own permission and the key's policy, beside the permission on the
//! object (S3 User Guide, "Using server-side encryption with AWS KMS keys", "Permissions").

use myfsio_actors::encryption::EncryptionContext;
use myfsio_actors::iam::Principal;
use myfsio_actors::kms::KmsKey;
use myfsio_actors::names::ObjectKey;
use myfsio_actors::storage::Bucket;

use crate::kms::access::{Subject, through_s3};
use crate::s3::authorize;
use crate::s3::context::Call;
use crate::s3::error::S3Error;

/// What a key is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyUse {
    /// A new object.
    Seal,
    /// Reading one, or writing a part.
    Open,
}

impl KeyUse {
    fn action(self) -> &'static str {
        match self {
            Self::Seal => "kms:GenerateDataKey",
            Self::Open => "kms:Decrypt",
        }
    }
}

/// The pair that S3 itself adds to the encryption context, for policies to ask for.
const OBJECT_ARN: &str = "aws:s3:arn";

impl Call {
    /// Who asks; S3 uses a key for nobody whom it does not know. Errs: InvalidArgument.
    pub(super) fn signer(&self) -> Result<&Principal, S3Error> {
        let message =
            "Requests specifying Server Side Encryption with AWS KMS managed keys require AWS Signature Version 4.";
        let principal = self.auth.principal.as_deref();
        principal.ok_or_else(|| S3Error::invalid_argument("Authorization", "null", message))
    }

    /// Asks for the permission to use a key for an object. Errs: AccessDenied; InvalidArgument without credentials.
    pub(super) fn may_use_key(
        &self,
        use_for: KeyUse,
        key: &KmsKey,
        (bucket, object): (&Bucket, &ObjectKey),
        context: &EncryptionContext,
    ) -> Result<(), S3Error> {
        let (principal, facts) = (self.signer()?, authorize::facts(self));
        let arn = format!("arn:aws:s3:::{}/{}", bucket.name, object.as_str());
        let (context, used) = (context.with(OBJECT_ARN, &arn), (bucket, Some(object.as_str())));
        let subject = Subject::of(key, principal);
        let asked = through_s3(Some(principal), &facts, use_for.action(), subject, &context, used);
        if asked.is_err() {
            self.refusals.set(self.refusals.get().saturating_add(1));
        }
        asked
    }
}
