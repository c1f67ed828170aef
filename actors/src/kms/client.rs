//! The only way into the KMS: what requests ask for on the published snapshot, changes by message.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ArbiterHandle};
use zeroize::Zeroizing;

use super::actor::{KmsActor, by_itself};
use super::changes::{
    CancelDeletion, CreateAlias, CreateKey, DeleteAlias, Disable, Enable, EnsureDefaultKey, PutPolicy, Rotate,
    ScheduleDeletion, SetRotation, Tag, Untag, UpdateAlias, UpdateDescription, WAITING_DAYS_DEFAULT,
};
use super::ciphertexts::{Ciphertext, GeneratedKey, ReEncrypted, generate_random};
use super::error::KmsError;
use super::key::{Alias, KmsKey};
use super::messages::{Change, KmsChange};
use super::name::DEFAULT_ALIAS;
use super::objects::open_customer;
use super::vault::{self, Held, Vault};
use crate::audit::{AuditLog, ChangeOrigin};
use crate::bucket_config::{BucketEncryption, DefaultEncryption};
use crate::call::Door;
use crate::clock::SharedClock;
use crate::encryption::{
    CustomerKey, DataKey, Encryption, EncryptionContext, Envelope, KeyUse, Method, ObjectName, WrappingKey,
};
use crate::names::Stamp;
use crate::seal::SecretKey;

const CALLS_MAX: usize = 256;
const DEADLINE: Duration = Duration::from_secs(10);

/// What the KMS starts from.
#[derive(Debug, Clone)]
pub struct KmsSettings {
    /// `KMS_KEYS_PATH`.
    pub keys_path: PathBuf,
    /// `ENCRYPTION_MASTER_KEY_PATH`; made when it is needed first.
    pub master_key_path: PathBuf,
    /// `ENCRYPTION_MASTER_KEY`, base64: in place of the file.
    pub master_key: Option<SecretKey>,
    /// `ENCRYPTION_MASTER_KEY_PREVIOUS`, base64 each: only open.
    pub previous_master_keys: Vec<SecretKey>,
    /// `ENCRYPTION_ENABLED`.
    pub encryption_enabled: bool,
    /// `KMS_ENABLED`.
    pub kms_enabled: bool,
    /// Region in the ARNs of new keys.
    pub region: String,
    /// Under which keys something is encrypted, as the index counts it.
    pub in_use: Vec<(WrappingKey, KeyUse)>,
    /// Is told of every change.
    pub audit: AuditLog,
}

impl KmsSettings {
    /// Whether anything is to be sealed.
    pub(super) fn is_used(&self) -> bool {
        self.encryption_enabled || self.kms_enabled
    }
}

/// The client. Cheap to clone.
#[derive(Debug, Clone)]
pub struct KmsClient {
    door: Door<KmsActor>,
    vault: Arc<Vault>,
    encryption_enabled: bool,
    kms_enabled: bool,
}

impl KmsClient {
    /// Opens the keys and starts the actor on `arbiter`, which its file writes may block for milliseconds. Keys that cannot be opened
    /// are no reason not to start: [`Self::trouble`] says why, and so does every call that needs them.
    pub fn start(settings: KmsSettings, clock: SharedClock, arbiter: &ArbiterHandle) -> Self {
        let (vault, store) = vault::open(&settings, clock.now());
        let vault = Arc::new(vault);
        let KmsSettings { encryption_enabled, kms_enabled, region, audit, .. } = settings;
        let actor = KmsActor { store, vault: Arc::clone(&vault), region, audit, clock };
        let address = KmsActor::start_in_arbiter(arbiter, move |_| actor);
        Self { door: Door::new(address, CALLS_MAX, DEADLINE), vault, encryption_enabled, kms_enabled }
    }

    /// Calls that wait for the actor, or for its answer.
    pub fn calls(&self) -> usize {
        self.door.calls()
    }

    /// Whether new objects may be encrypted.
    pub fn encryption_enabled(&self) -> bool {
        self.encryption_enabled
    }

    /// Whether keys may be used and changed.
    pub fn kms_enabled(&self) -> bool {
        self.kms_enabled
    }

    /// Why keys cannot be used or changed, for whoever runs the node; none while they can, or none are needed.
    pub fn trouble(&self) -> Option<String> {
        self.vault.trouble()
    }

    fn enabled(&self) -> Result<Held<'_>, KmsError> {
        match self.kms_enabled {
            true => self.vault.held(),
            false => Err(KmsError::KmsDisabled),
        }
    }
}

/// Data keys of objects.
impl KmsClient {
    /// A fresh data key under the master key (SSE-S3). Errs: EncryptionDisabled, Unusable, Encryption.
    pub fn seal_managed(&self, name: &ObjectName<'_>) -> Result<Envelope, KmsError> {
        match self.encryption_enabled {
            true => self.vault.held()?.keys().seal_managed(name),
            false => Err(KmsError::EncryptionDisabled),
        }
    }

    /// A fresh data key under the key that goes by `key`: an id, an ARN or an alias (SSE-KMS). An empty name is the default key, for
    /// which [`Self::ensure_default_key`] is to be called before. Errs: EncryptionDisabled, KmsDisabled, Unusable, NotFound, Destroyed,
    /// InvalidArn, Disabled, PendingDeletion, Validation, Encryption.
    pub fn seal_with_key(
        &self,
        key: &str,
        context: EncryptionContext,
        bucket_key: bool,
        name: &ObjectName<'_>,
    ) -> Result<Envelope, KmsError> {
        match self.encryption_enabled {
            true => self.enabled()?.keys().seal_with_key(key, context, bucket_key, name),
            false => Err(KmsError::EncryptionDisabled),
        }
    }

    /// Whether this names the default key, which is made when it is needed first.
    pub fn is_default_key(key: &str) -> bool {
        key.is_empty() || key == DEFAULT_ALIAS
    }

    /// The key under which S3 seals when none is named; made if need be. Errs: KmsDisabled, Unusable, Store.
    pub async fn ensure_default_key(&self) -> Result<Arc<KmsKey>, KmsError> {
        match self.enabled()?.keys().keyring.find(DEFAULT_ALIAS) {
            Ok(key) => return Ok(Arc::clone(key)),
            Err(KmsError::NotFound(_)) => {}
            Err(error) => return Err(error),
        }
        let id = self.door.call(by_itself(EnsureDefaultKey)).await?;
        self.find(&id)
    }

    /// A fresh data key as a bucket of an account is configured; none when it is not. Errs: as [`Self::seal_managed`] and [`Self::seal_with_key`].
    pub async fn seal_by_default(
        &self,
        configured: Option<&BucketEncryption>,
        account: &str,
        name: &ObjectName<'_>,
    ) -> Result<Option<Envelope>, KmsError> {
        let Some(configured) = configured else { return Ok(None) };
        match &configured.default {
            None => Ok(None),
            Some(DefaultEncryption::Managed) => self.seal_managed(name).map(Some),
            Some(DefaultEncryption::Kms { key }) => {
                let key = key.as_deref().unwrap_or_default();
                let key = match Self::is_default_key(key) {
                    true => self.ensure_default_key().await?,
                    false => self.find_for(account, key)?,
                };
                self.seal_with_key(&key.id, EncryptionContext::default(), configured.bucket_key, name).map(Some)
            }
        }
    }

    /// The data key of an object, however it is sealed and whatever is enabled. Errs: Unusable, UnknownMasterKey, NotFound, Destroyed,
    /// Disabled, PendingDeletion, Encryption.
    pub fn open(
        &self,
        encryption: &Encryption,
        name: &ObjectName<'_>,
        customer: Option<&CustomerKey>,
    ) -> Result<DataKey, KmsError> {
        match encryption.method {
            Method::Customer(_) => open_customer(encryption, name, customer),
            Method::Managed { .. } | Method::Kms { .. } => self.vault.held()?.keys().open(encryption, name, customer),
        }
    }

    /// The same data key under the master key in force, or under the newest material of its KMS key, or of the one that goes by `to`,
    /// which concerns no other objects. None when it is already, and of a customer's key. Errs: as [`Self::open`] and
    /// [`Self::seal_with_key`].
    pub fn rewrap(
        &self,
        encryption: &Encryption,
        name: &ObjectName<'_>,
        to: Option<&str>,
    ) -> Result<Option<Encryption>, KmsError> {
        match encryption.method {
            Method::Customer(_) => Ok(None),
            Method::Managed { .. } | Method::Kms { .. } => self.vault.held()?.keys().rewrap(encryption, name, to),
        }
    }
}

impl KmsClient {
    /// The same data key under the key that goes by `to`, whether the master key or a KMS key sealed it before; a customer's is
    /// refused. Errs: as [`Self::open`] and [`Self::seal_with_key`].
    pub fn move_to_key(
        &self,
        encryption: &Encryption,
        name: &ObjectName<'_>,
        to: &str,
        bucket_key: bool,
    ) -> Result<Encryption, KmsError> {
        match self.encryption_enabled {
            true => self.enabled()?.keys().move_to_key(encryption, name, to, bucket_key),
            false => Err(KmsError::EncryptionDisabled),
        }
    }
}

/// Looking keys up, and using them.
impl KmsClient {
    /// The key that goes by this id, ARN or alias for an account, whatever its state: an alias is one of its own, or one of the node.
    /// Errs: Unusable, NotFound, Destroyed, InvalidArn, Validation.
    pub fn find_for(&self, account: &str, key: &str) -> Result<Arc<KmsKey>, KmsError> {
        self.vault.held()?.keys().keyring.find_for(account, key).map(Arc::clone)
    }

    /// The same for the node and its administrators: an alias is one of the node, or the only one of this name. Errs: as
    /// [`Self::find_for`].
    pub fn find(&self, key: &str) -> Result<Arc<KmsKey>, KmsError> {
        self.vault.held()?.keys().keyring.find(key).map(Arc::clone)
    }

    /// The key of this id, under which an object is sealed, whatever its state. Errs: Unusable, NotFound, Destroyed.
    pub fn key_of_object(&self, id: &str) -> Result<Arc<KmsKey>, KmsError> {
        self.vault.held()?.keys().keyring.sealing(id).map(Arc::clone)
    }

    /// Whether the node has the master key of this id. Errs: Unusable.
    pub fn has_master_key(&self, id: &str) -> Result<bool, KmsError> {
        Ok(self.vault.held()?.keys().masters.find(id).is_ok())
    }

    /// Ids of the master keys that the node has, the one in force first. Errs: Unusable.
    pub fn master_keys(&self) -> Result<Vec<String>, KmsError> {
        Ok(self.vault.held()?.keys().masters.ids().map(str::to_owned).collect())
    }

    /// Every key, in the order in which they were made. Errs: Unusable.
    pub fn keys(&self) -> Result<Vec<Arc<KmsKey>>, KmsError> {
        Ok(self.vault.held()?.keys().keyring.keys.clone())
    }

    /// Every alias of every account. Errs: Unusable.
    pub fn aliases(&self) -> Result<Vec<Alias>, KmsError> {
        Ok(self.vault.held()?.keys().keyring.aliases().cloned().collect())
    }

    /// Encrypts up to 4096 bytes (KMS API Reference, Encrypt). Errs: KmsDisabled, Unusable, NotFound, Destroyed, InvalidArn, Disabled,
    /// PendingDeletion, Validation, Encryption.
    pub fn encrypt(&self, key: &str, plaintext: &[u8], context: &EncryptionContext) -> Result<Ciphertext, KmsError> {
        self.enabled()?.keys().keyring.encrypt(key, plaintext, context)
    }

    /// The key that a blob names, whatever its state. Errs: KmsDisabled, Unusable, InvalidCiphertext, KeyOfCiphertextNotFound.
    pub fn key_of(&self, blob: &[u8]) -> Result<Arc<KmsKey>, KmsError> {
        self.enabled()?.keys().keyring.key_of(blob).map(Arc::clone)
    }

    /// What a blob holds, and the key that it names; `key` is the one that it must be (KMS API Reference, Decrypt). Errs: KmsDisabled,
    /// Unusable, InvalidCiphertext, KeyOfCiphertextNotFound, IncorrectKey, Disabled, PendingDeletion, and those of [`Self::find`].
    pub fn decrypt(
        &self,
        blob: &[u8],
        key: Option<&str>,
        context: &EncryptionContext,
    ) -> Result<(Zeroizing<Vec<u8>>, Arc<KmsKey>), KmsError> {
        self.enabled()?.keys().keyring.decrypt(blob, key, context)
    }

    /// Encrypts under the key of `to` what a blob holds, whose key must be that of `from` if it is given (KMS API Reference,
    /// ReEncrypt). Errs: as [`Self::decrypt`] and [`Self::encrypt`].
    pub fn re_encrypt(
        &self,
        blob: &[u8],
        from: (Option<&str>, &EncryptionContext),
        to: (&str, &EncryptionContext),
    ) -> Result<ReEncrypted, KmsError> {
        self.enabled()?.keys().keyring.re_encrypt(blob, from, to)
    }

    /// 1 to 1024 random bytes, as they are and encrypted (KMS API Reference, GenerateDataKey). Errs: as [`Self::encrypt`].
    pub fn generate_data_key(
        &self,
        key: &str,
        bytes: usize,
        context: &EncryptionContext,
    ) -> Result<GeneratedKey, KmsError> {
        self.enabled()?.keys().keyring.generate_data_key(key, bytes, context)
    }

    /// 1 to 1024 random bytes (KMS API Reference, GenerateRandom). Errs: KmsDisabled, Validation, Encryption.
    pub fn generate_random(&self, bytes: usize) -> Result<Zeroizing<Vec<u8>>, KmsError> {
        match self.kms_enabled {
            true => generate_random(bytes),
            false => Err(KmsError::KmsDisabled),
        }
    }
}

/// Changes. `by`: who asks, for the audit log; whether they may is decided before. Durable, published and told to the audit log on
/// return. `key` is an id, an ARN or an alias. All of them err: KmsDisabled, Unusable, Store, Busy, Stopped, TimedOut; and NotFound,
/// Destroyed, InvalidArn and Validation for `key`.
impl KmsClient {
    async fn change<M: KmsChange>(&self, by: ChangeOrigin, message: M) -> Result<M::Answer, KmsError> {
        self.enabled()?;
        Ok(self.door.call(Change { by, message }).await?)
    }

    /// The key after a change that answers its id.
    async fn changed<M: KmsChange<Answer = String>>(
        &self,
        by: ChangeOrigin,
        message: M,
    ) -> Result<Arc<KmsKey>, KmsError> {
        let id = self.change(by, message).await?;
        self.find(&id)
    }

    /// Makes a key. Errs: LimitExceeded, AlreadyExists, InvalidAliasName, ReservedAlias, Tag, MalformedPolicy.
    pub async fn create_key(&self, by: ChangeOrigin, key: CreateKey) -> Result<Arc<KmsKey>, KmsError> {
        self.changed(by, key).await
    }

    /// Lets a key be used. Errs: PendingDeletion.
    pub async fn enable(&self, by: ChangeOrigin, key: &str) -> Result<Arc<KmsKey>, KmsError> {
        self.changed(by, Enable { key: key.to_owned() }).await
    }

    /// Lets a key not be used, neither to seal nor to open. Errs: PendingDeletion, ManagedByNode.
    pub async fn disable(&self, by: ChangeOrigin, key: &str) -> Result<Arc<KmsKey>, KmsError> {
        self.changed(by, Disable { key: key.to_owned() }).await
    }

    /// Gives a key a new material; the former ones still open. Errs: Disabled, PendingDeletion, ManagedByNode, LimitExceeded.
    pub async fn rotate(&self, by: ChangeOrigin, key: &str) -> Result<Arc<KmsKey>, KmsError> {
        self.changed(by, Rotate { key: key.to_owned() }).await
    }

    /// Has a key rotated each so many days of [`super::ROTATION_DAYS`], or not any more. Errs: Disabled, PendingDeletion, ManagedByNode.
    pub async fn set_rotation(
        &self,
        by: ChangeOrigin,
        key: &str,
        period_days: Option<u32>,
    ) -> Result<Arc<KmsKey>, KmsError> {
        self.changed(by, SetRotation { key: key.to_owned(), period_days }).await
    }

    /// Has a key destroyed in so many days of [`super::WAITING_DAYS`], 30 where nothing is said. Until then it cannot be used; then
    /// what it encrypted cannot be read any more, ever: `affected`, which the log and the audit log tell. Answers when. Errs:
    /// PendingDeletion, ManagedByNode.
    pub async fn schedule_deletion(
        &self,
        by: ChangeOrigin,
        key: &str,
        days: Option<u32>,
        affected: KeyUse,
    ) -> Result<(Arc<KmsKey>, Stamp), KmsError> {
        let message = ScheduleDeletion { key: key.to_owned(), days: days.unwrap_or(WAITING_DAYS_DEFAULT), affected };
        let (id, at) = self.change(by, message).await?;
        let (key, KeyUse { objects, uploads }) = (self.find(&id)?, affected);
        let at_text = at.rfc3339();
        tracing::warn!(
            key = key.arn,
            at = at_text,
            objects,
            uploads,
            "the key is to be deleted; what is under it is lost then"
        );
        Ok((key, at))
    }

    /// Keeps a key that waits for its deletion; it is disabled then. Errs: NotPendingDeletion.
    pub async fn cancel_deletion(&self, by: ChangeOrigin, key: &str) -> Result<Arc<KmsKey>, KmsError> {
        self.changed(by, CancelDeletion { key: key.to_owned() }).await
    }

    /// Gives a key one more name, with the prefix `alias/`. Errs: AlreadyExists, InvalidAliasName, ReservedAlias, PendingDeletion,
    /// LimitExceeded.
    pub async fn create_alias(&self, by: ChangeOrigin, alias: &str, key: &str) -> Result<(), KmsError> {
        self.change(by, CreateAlias { alias: alias.to_owned(), key: key.to_owned() }).await
    }

    /// Gives an alias of the key's account to the key. Errs: as [`Self::create_alias`], NotFound.
    pub async fn update_alias(&self, by: ChangeOrigin, alias: &str, key: &str) -> Result<(), KmsError> {
        self.change(by, UpdateAlias { alias: alias.to_owned(), key: key.to_owned() }).await
    }

    /// Takes an alias of an account away. Errs: NotFound, InvalidAliasName, ReservedAlias.
    pub async fn delete_alias(&self, by: ChangeOrigin, account: &str, alias: &str) -> Result<(), KmsError> {
        self.change(by, DeleteAlias { account: account.to_owned(), alias: alias.to_owned() }).await
    }

    /// Adds tags, or changes those of the same names. Errs: PendingDeletion, ManagedByNode, Tag, LimitExceeded.
    pub async fn tag(&self, by: ChangeOrigin, key: &str, tags: Vec<(String, String)>) -> Result<Arc<KmsKey>, KmsError> {
        self.changed(by, Tag { key: key.to_owned(), tags }).await
    }

    /// Removes tags. Errs: PendingDeletion, ManagedByNode, Tag.
    pub async fn untag(&self, by: ChangeOrigin, key: &str, names: Vec<String>) -> Result<Arc<KmsKey>, KmsError> {
        self.changed(by, Untag { key: key.to_owned(), names }).await
    }

    /// Gives a key a policy, or the default one again. Whom it names is not looked at. Errs: MalformedPolicy, ManagedByNode.
    pub async fn put_policy(
        &self,
        by: ChangeOrigin,
        key: &str,
        policy: Option<String>,
    ) -> Result<Arc<KmsKey>, KmsError> {
        self.changed(by, PutPolicy { key: key.to_owned(), policy }).await
    }

    /// Says what a key is for. Errs: PendingDeletion, ManagedByNode.
    pub async fn update_description(
        &self,
        by: ChangeOrigin,
        key: &str,
        description: &str,
    ) -> Result<Arc<KmsKey>, KmsError> {
        self.changed(by, UpdateDescription { key: key.to_owned(), description: description.to_owned() }).await
    }
}
