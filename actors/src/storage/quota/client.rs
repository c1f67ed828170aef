//! What the client answers about quotas, and how requests ask them before they take a body.

use std::sync::Arc;

use tokio::sync::broadcast;

use super::estimate::{Growing, Reserved, refused, wishes};
use super::ledger::Wish;
use crate::names::{CanonicalId, ObjectKey, PartNumber};
use crate::storage::StorageError;
use crate::storage::client::StorageClient;
use crate::storage::messages::{Bucket, CountMeter, LimitOwners, QuotaAccount, QuotaScope, QuotaWarning, Upload};

impl StorageClient {
    /// Whether an object of `owner` of so many bytes fits the quotas that concern it now; the commit decides. Errs: QuotaExceeded.
    pub fn check_quota(
        &self,
        bucket: &Bucket,
        key: &ObjectKey,
        owner: &CanonicalId,
        bytes: u64,
    ) -> Result<(), StorageError> {
        self.check_wishes(bucket, &self.wishes(bucket, key, owner, Growing::Object, bytes)?)
    }

    /// The same for an upload that is about to begin: whether its object, and any bytes of parts, have room.
    pub(in crate::storage) fn check_quota_of_upload(
        &self,
        bucket: &Bucket,
        key: &ObjectKey,
        owner: &CanonicalId,
    ) -> Result<(), StorageError> {
        let mut wishes = self.wishes(bucket, key, owner, Growing::Object, 0)?;
        wishes.iter_mut().for_each(|wish| wish.amount.bytes = 1);
        self.check_wishes(bucket, &wishes)
    }

    /// The same for a part of so many bytes.
    pub fn check_quota_of_part(
        &self,
        bucket: &Bucket,
        upload: &Upload,
        number: PartNumber,
        bytes: u64,
    ) -> Result<(), StorageError> {
        let what = Growing::Part(upload.id, number);
        self.check_wishes(bucket, &self.wishes(bucket, &upload.key, &upload.owner, what, bytes)?)
    }

    fn wishes(
        &self,
        bucket: &Bucket,
        key: &ObjectKey,
        owner: &CanonicalId,
        what: Growing,
        bytes: u64,
    ) -> Result<Vec<Wish>, StorageError> {
        wishes(&self.shared.ledger, &self.shared.rows, bucket, key, owner, what, bytes)
    }

    fn check_wishes(&self, bucket: &Bucket, wishes: &[Wish]) -> Result<(), StorageError> {
        if wishes.is_empty() {
            return Ok(());
        }
        self.shared.ledger.check(wishes).map_err(|refusal| refused(&bucket.name, refusal))
    }

    /// Reserves room for a body of so many bytes, or so many to begin with; nothing where no quota concerns it. Errs: QuotaExceeded.
    pub(in crate::storage) fn reserve(
        &self,
        bucket: &Bucket,
        key: &ObjectKey,
        owner: &CanonicalId,
        what: Growing,
        bytes: u64,
    ) -> Result<Option<Reserved>, StorageError> {
        let wishes = self.wishes(bucket, key, owner, what, bytes)?;
        if wishes.is_empty() {
            return Ok(None);
        }
        let reservation = self.shared.ledger.reserve(wishes).map_err(|refusal| refused(&bucket.name, refusal))?;
        Ok(Some(Reserved { bucket: bucket.name.clone(), reservation }))
    }

    /// How full a quota is; none where there is none.
    pub fn quota_account(&self, scope: &QuotaScope) -> Option<QuotaAccount> {
        let account = self.shared.ledger.account(scope)?;
        let is_counting = self.shared.meters.get(scope).is_some_and(|is_complete| !*is_complete);
        Some(QuotaAccount { is_counting, ..account })
    }

    /// How full each quota is.
    pub fn quota_accounts(&self) -> Vec<(QuotaScope, QuotaAccount)> {
        self.shared.ledger.accounts()
    }

    /// Users whose things are metered: those with quotas, and those who had any when the node last stopped.
    pub fn metered_owners(&self) -> Vec<CanonicalId> {
        let owner = |scope: &QuotaScope| match scope {
            QuotaScope::Owner(owner) => Some(owner.clone()),
            QuotaScope::Bucket(_) | QuotaScope::Prefix(..) => None,
        };
        self.shared.meters.iter().filter_map(|entry| owner(entry.key())).collect()
    }

    /// Meters that have not counted everything yet.
    pub fn uncounted_meters(&self) -> Vec<QuotaScope> {
        self.shared.meters.iter().filter(|entry| !*entry.value()).map(|entry| entry.key().clone()).collect()
    }

    /// Waits until there may be such meters. For one reader.
    pub async fn meter_begun(&self) {
        self.shared.feed.metered().await;
    }

    /// Hears of every quota that comes to a warning threshold from now on.
    pub fn listen_to_quotas(&self) -> broadcast::Receiver<Arc<QuotaWarning>> {
        self.shared.feed.listen_to_warnings()
    }

    /// See [`LimitOwners`].
    pub async fn limit_owners(&self, message: LimitOwners) -> Result<(), StorageError> {
        self.commit(message).await
    }

    /// See [`CountMeter`].
    pub async fn count_meter(&self, message: CountMeter) -> Result<bool, StorageError> {
        self.commit(message).await
    }
}
