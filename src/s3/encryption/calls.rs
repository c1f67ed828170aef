//! What a handler asks: how its new object is sealed, and by which key an object is opened.

use std::sync::Arc;

use myfsio_actors::encryption::{CustomerKey, DataKey, Encryption, EncryptionContext, Envelope, Method, ObjectName};
use myfsio_actors::kms::{KmsClient, KmsError, KmsKey};
use myfsio_actors::names::ObjectKey;
use myfsio_actors::storage::{Bucket, Object, Upload};

use super::asked::{Asked, refuse_on_read};
use super::choice::Choice;
use super::customer::{self, OF_COPY_SOURCE, OF_OBJECT};
use super::key_use::KeyUse;
use super::parts::{check_completion, check_part, require_key};
use super::settings::{check_enabled, check_kms_enabled};
use super::told::{self, Told};
use crate::node::Node;
use crate::s3::context::Call;
use crate::s3::error::S3Error;
use crate::s3::xml::encryption::AskedKey;

impl Call {
    /// How the object that the request makes is sealed; none when it is not. Errs: those of its headers, of the KMS, and of the
    /// permission to use a key.
    pub async fn envelope(&self, bucket: &Bucket, key: &ObjectKey) -> Result<Option<Envelope>, S3Error> {
        let (kms, name) = (&self.node.kms, name_of(bucket, key));
        let choice = Choice::of(Asked::of_write(&self.headers)?, bucket.config.encryption.as_ref())?;
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

    /// The key that opens an object which the request reads; none for one that is not sealed. Errs: InvalidArgument for headers
    /// that do not belong on a read, InvalidRequest without the customer's key or with one for another object, and those of the
    /// KMS and of the permission to use a key.
    pub fn data_key(&self, bucket: &Bucket, key: &ObjectKey, object: &Object) -> Result<Option<DataKey>, S3Error> {
        refuse_on_read(&self.headers)?;
        let given = customer::key_for(&self.headers, OF_OBJECT, object.encryption())?;
        self.open((bucket, key), object.encryption(), given.as_ref())
    }

    /// The same for the source of a copy.
    pub fn source_key(&self, bucket: &Bucket, key: &ObjectKey, object: &Object) -> Result<Option<DataKey>, S3Error> {
        let given = customer::key_for(&self.headers, OF_COPY_SOURCE, object.encryption())?;
        self.open((bucket, key), object.encryption(), given.as_ref())
    }

    /// Errs as [`Call::data_key`] does of headers and of a customer's key: what is told of an object beside its bytes needs no
    /// KMS key.
    pub fn check_reader(&self, object: &Object) -> Result<(), S3Error> {
        refuse_on_read(&self.headers)?;
        customer::key_for(&self.headers, OF_OBJECT, object.encryption()).map(|_| ())
    }

    /// The key that seals the parts of an upload; none when they are not sealed. Errs: those of [`check_part`], of the KMS and of
    /// the permission to use a key.
    pub fn part_key(&self, bucket: &Bucket, key: &ObjectKey, upload: &Upload) -> Result<Option<DataKey>, S3Error> {
        let encryption = upload.encryption.as_ref();
        let given = check_part(&self.headers, encryption, bucket.config.encryption.as_ref())?;
        self.open((bucket, key), encryption, given.as_ref())
    }

    /// Whether the caller, who completes an upload or lists its parts, may be told checksums, which are of what is sealed. `must` says
    /// that there is no doing without: the upload has an algorithm, or the request claims a checksum, and would learn whether it is
    /// right. Errs: those of [`check_completion`]; where it must, those of a missing key and of the permission to use one.
    pub fn may_tell(
        &self,
        object: (&Bucket, &ObjectKey),
        encryption: Option<&Encryption>,
        must: bool,
    ) -> Result<bool, S3Error> {
        check_completion(&self.headers, encryption)?;
        let Some(encryption) = encryption else { return Ok(true) };
        let opens = require_key(&self.headers, encryption).and_then(|()| self.may_open(encryption, object));
        match opens {
            Err(error) if must => Err(error),
            opens => Ok(opens.is_ok()),
        }
    }

    /// How an object is sealed under another KMS key, its bytes being what they are. Errs: those of the KMS and of the permission to use
    /// either key.
    pub fn moved_to_key(
        &self,
        (bucket, key): (&Bucket, &ObjectKey),
        from: &Encryption,
        to: &AskedKey,
    ) -> Result<Encryption, S3Error> {
        let kms = &self.node.kms;
        check_kms_enabled(kms)?;
        self.may_open(from, (bucket, key))?;
        let found = kms.find(&to.arn)?;
        let context = match &from.method {
            Method::Kms { context, .. } => context.clone(),
            Method::Managed { .. } | Method::Customer(_) => EncryptionContext::default(),
        };
        self.may_use_key(KeyUse::Take, &found, (bucket, key), &context)?;
        Ok(kms.move_to_key(from, &name_of(bucket, key), &found.id, to.bucket_key)?)
    }

    fn open(
        &self,
        (bucket, key): (&Bucket, &ObjectKey),
        encryption: Option<&Encryption>,
        given: Option<&CustomerKey>,
    ) -> Result<Option<DataKey>, S3Error> {
        let Some(encryption) = encryption else { return Ok(None) };
        self.may_open(encryption, (bucket, key))?;
        Ok(Some(self.node.kms.open(encryption, &name_of(bucket, key), given)?))
    }

    fn may_open(&self, encryption: &Encryption, object: (&Bucket, &ObjectKey)) -> Result<(), S3Error> {
        match &encryption.method {
            Method::Kms { key_id, context, .. } => {
                let key = self.node.kms.key_of_object(key_id)?;
                self.may_use_key(KeyUse::Open, &key, object, context)
            }
            Method::Managed { .. } | Method::Customer(_) => Ok(()),
        }
    }

    /// What the answer tells of how an object is sealed.
    pub fn told_encryption(&self, encryption: Option<&Encryption>) -> Told {
        told::of_object(&self.node, &self.headers, encryption)
    }

    /// The same of one that the request makes.
    pub fn told_new_encryption(&self, encryption: Option<&Encryption>) -> Told {
        told::of_new_object(&self.node, &self.headers, encryption)
    }
}

/// How the node itself seals an object that it writes into a bucket: as the bucket is configured, whose owner's aliases that means. Errs: those of the KMS.
pub async fn envelope_by_default(node: &Node, bucket: &Bucket, key: &ObjectKey) -> Result<Option<Envelope>, KmsError> {
    let directory = node.access.iam.directory();
    let account = directory.account_of(&bucket.owner);
    node.kms.seal_by_default(bucket.config.encryption.as_ref(), &account, &name_of(bucket, key)).await
}

/// The key of this name for an account, or the one that is used when none is named. Errs: as the KMS does.
async fn key_of_name(kms: &KmsClient, account: &str, name: &str) -> Result<Arc<KmsKey>, KmsError> {
    match KmsClient::is_default_key(name) {
        true => kms.ensure_default_key().await,
        false => kms.find_for(account, name),
    }
}

fn name_of<'a>(bucket: &'a Bucket, key: &'a ObjectKey) -> ObjectName<'a> {
    ObjectName { bucket: bucket.name.as_str(), key: key.as_str() }
}
