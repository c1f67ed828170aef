//! What a handler asks: how its new object is sealed, and by which key an object is opened.

use myfsio_actors::encryption::{CustomerKey, DataKey, Encryption, EncryptionContext, Envelope, Method};
use myfsio_actors::kms::KmsError;
use myfsio_actors::names::ObjectKey;
use myfsio_actors::storage::{Bucket, Object, Upload};

use super::asked::refuse_on_read;
use super::customer::{self, OF_COPY_SOURCE, OF_OBJECT};
use super::key_use::{Asker, KeyUse, name_of};
use super::parts::{check_completion, require_key};
use super::settings::check_kms_enabled;
use super::told::{self, Told};
use crate::node::Node;
use crate::s3::authorize;
use crate::s3::context::Call;
use crate::s3::error::S3Error;
use crate::s3::xml::encryption::AskedKey;

impl Call {
    fn asker(&self) -> Asker<'_> {
        Asker { node: &self.node, principal: self.auth.principal.as_deref(), facts: authorize::facts(self) }
    }

    /// See [`Asker::envelope`].
    pub async fn envelope(&self, bucket: &Bucket, key: &ObjectKey) -> Result<Option<Envelope>, S3Error> {
        self.counted(self.asker().envelope(bucket, key).await)
    }

    /// Counts refusals, of which no more are explained than are kept.
    fn counted<T>(&self, asked: Result<T, S3Error>) -> Result<T, S3Error> {
        if asked.is_err() {
            self.refusals.set(self.refusals.get().saturating_add(1));
        }
        asked
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

    /// See [`Asker::part_key`].
    pub fn part_key(&self, bucket: &Bucket, key: &ObjectKey, upload: &Upload) -> Result<Option<DataKey>, S3Error> {
        self.counted(self.asker().part_key(bucket, key, upload))
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
        self.counted(self.asker().may_use_key(KeyUse::Take, &found, (bucket, key), &context))?;
        Ok(kms.move_to_key(from, &name_of(bucket, key), &found.id, to.bucket_key)?)
    }

    fn open(
        &self,
        object: (&Bucket, &ObjectKey),
        encryption: Option<&Encryption>,
        given: Option<&CustomerKey>,
    ) -> Result<Option<DataKey>, S3Error> {
        self.counted(self.asker().open(object, encryption, given))
    }

    fn may_open(&self, encryption: &Encryption, object: (&Bucket, &ObjectKey)) -> Result<(), S3Error> {
        self.counted(self.asker().may_open(encryption, object))
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
