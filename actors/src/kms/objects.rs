//! Data keys of objects: sealed under the master key (SSE-S3) or a KMS key (SSE-KMS), opened again, and sealed anew under what is
//! newest. Pure but for random numbers.
//!
//! A data key is sealed for the object's name, so that the files of two objects cannot be swapped, and for the encryption context of
//! the request.

use super::error::KmsError;
use super::key::KmsKey;
use super::keyring::Keyring;
use super::master::Masters;
use super::name::DEFAULT_ALIAS;
use super::sealed::{self, Purpose};
use crate::encryption::{
    CustomerKey, DataKey, Encryption, EncryptionContext, EncryptionError, Envelope, Method, ObjectName,
};

/// Most bytes of an encryption context, as it is authenticated.
pub(super) const CONTEXT_BYTES_MAX: usize = 8192;

/// What seals and opens.
#[derive(Debug, Clone, Copy)]
pub(super) struct Keys<'a> {
    pub masters: &'a Masters,
    pub keyring: &'a Keyring,
}

impl Keys<'_> {
    /// A fresh data key, sealed under the master key.
    pub fn seal_managed(self, name: &ObjectName<'_>) -> Result<Envelope, KmsError> {
        let key = DataKey::random()?;
        let encryption = self.wrap_managed(&key, name)?;
        Ok(Envelope { key, encryption })
    }

    /// A fresh data key, sealed under the newest material of the key that goes by `key`, which is nothing for the default one.
    /// Errs: as [`Keyring::usable`], Validation.
    pub fn seal_with_key(
        self,
        key: &str,
        context: EncryptionContext,
        bucket_key: bool,
        name: &ObjectName<'_>,
    ) -> Result<Envelope, KmsError> {
        check_context(&context)?;
        let with = self.keyring.usable(if key.is_empty() { DEFAULT_ALIAS } else { key })?;
        let key = DataKey::random()?;
        let encryption = wrap_with_key(&key, with, context, bucket_key, name)?;
        Ok(Envelope { key, encryption })
    }

    /// The data key of an object. Errs: UnknownMasterKey; NotFound, Destroyed, Disabled and PendingDeletion of its KMS key;
    /// Encryption when the customer's key is not given or another one, or something was changed.
    pub fn open(
        self,
        encryption: &Encryption,
        name: &ObjectName<'_>,
        customer: Option<&CustomerKey>,
    ) -> Result<DataKey, KmsError> {
        let Encryption { method, wrapped_key } = encryption;
        match method {
            Method::Managed { master } => {
                let about = name.arn();
                let master = self.masters.find(master)?;
                Ok(sealed::open_key(&master.objects, Purpose::ManagedObject, wrapped_key, about.as_bytes())?)
            }
            Method::Kms { key_id, version, context, .. } => {
                let key = self.keyring.by_id(key_id)?;
                key.check_usable()?;
                let material = key.material(*version).ok_or(EncryptionError::WrongKey)?;
                let about = about(key_id, *version, context, name);
                Ok(sealed::open_key(&material.key, Purpose::KmsObject, wrapped_key, &about)?)
            }
            Method::Customer(_) => open_customer(encryption, name, customer),
        }
    }

    /// The same data key, sealed under the master key in force, or under the newest material of its KMS key or of the one that goes
    /// by `to`, which concerns no other objects. None when it is already, and of a customer's key. Errs: as [`Self::open`] and
    /// [`Self::seal_with_key`].
    pub fn rewrap(
        self,
        encryption: &Encryption,
        name: &ObjectName<'_>,
        to: Option<&str>,
    ) -> Result<Option<Encryption>, KmsError> {
        match &encryption.method {
            Method::Customer(_) => Ok(None),
            Method::Managed { master } if *master == self.masters.current.id => Ok(None),
            Method::Managed { .. } => {
                let key = self.open(encryption, name, None)?;
                Ok(Some(self.wrap_managed(&key, name)?))
            }
            Method::Kms { key_id, version, context, bucket_key } => {
                let with = self.keyring.usable(to.unwrap_or(key_id))?;
                if with.id == *key_id && with.newest()?.version == *version {
                    return Ok(None);
                }
                let key = self.open(encryption, name, None)?;
                Ok(Some(wrap_with_key(&key, with, context.clone(), *bucket_key, name)?))
            }
        }
    }

    /// The same data key, sealed under the newest material of the key that goes by `to`, whether the master key or a KMS key sealed it
    /// before. Errs: as [`Self::open`] and [`Self::seal_with_key`].
    pub fn move_to_key(
        self,
        encryption: &Encryption,
        name: &ObjectName<'_>,
        to: &str,
        bucket_key: bool,
    ) -> Result<Encryption, KmsError> {
        let with = self.keyring.usable(to)?;
        let key = self.open(encryption, name, None)?;
        let context = match &encryption.method {
            Method::Kms { context, .. } => context.clone(),
            Method::Managed { .. } | Method::Customer(_) => EncryptionContext::default(),
        };
        wrap_with_key(&key, with, context, bucket_key, name)
    }

    fn wrap_managed(self, key: &DataKey, name: &ObjectName<'_>) -> Result<Encryption, KmsError> {
        let master = &self.masters.current;
        let about = name.arn();
        let wrapped_key = sealed::seal(&master.objects, Purpose::ManagedObject, key.expose(), about.as_bytes())?;
        Ok(Encryption { method: Method::Managed { master: master.id.clone() }, wrapped_key })
    }
}

/// The data key of an object under a customer's key, for which nothing of the KMS is needed. Errs: Encryption.
pub(super) fn open_customer(
    encryption: &Encryption,
    name: &ObjectName<'_>,
    customer: Option<&CustomerKey>,
) -> Result<DataKey, KmsError> {
    let customer = customer.ok_or(EncryptionError::KeyNeeded)?;
    Ok(customer.open(encryption, name)?)
}

fn wrap_with_key(
    key: &DataKey,
    with: &KmsKey,
    context: EncryptionContext,
    bucket_key: bool,
    name: &ObjectName<'_>,
) -> Result<Encryption, KmsError> {
    let material = with.newest()?;
    let about = about(&with.id, material.version, &context, name);
    let wrapped_key = sealed::seal(&material.key, Purpose::KmsObject, key.expose(), &about)?;
    let method = Method::Kms { key_id: with.id.clone(), version: material.version, context, bucket_key };
    Ok(Encryption { method, wrapped_key })
}

/// What a data key is sealed for under a material: each part has one length, or says it.
fn about(key_id: &str, version: u32, context: &EncryptionContext, name: &ObjectName<'_>) -> Vec<u8> {
    let arn = name.arn();
    let mut about = Vec::new();
    about.extend_from_slice(key_id.as_bytes());
    about.extend_from_slice(&version.to_be_bytes());
    about.extend_from_slice(&(arn.len() as u64).to_be_bytes());
    about.extend_from_slice(arn.as_bytes());
    about.extend_from_slice(&context.canonical());
    about
}

/// Errs unless a context may be used: Validation.
pub(super) fn check_context(context: &EncryptionContext) -> Result<(), KmsError> {
    match context.canonical().len() <= CONTEXT_BYTES_MAX {
        true => Ok(()),
        false => Err(KmsError::validation(format!("An encryption context has at most {CONTEXT_BYTES_MAX} bytes."))),
    }
}
