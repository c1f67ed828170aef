//! What a body will take of the quotas that concern it, before it is taken: its size less that of what it replaces, as far as that
//! is known now. The commit decides by what it finds then.

use super::ledger::{Ledger, Refusal, Reservation, Wish};
use crate::bucket_config::BucketQuota;
use crate::names::{BucketName, CanonicalId, ObjectKey, PartNumber, UploadId};
use crate::storage::messages::{Bucket, Quantity, QuotaScope, Versioning};
use crate::storage::overlay::Rows;
use crate::storage::read::current_row;
use crate::storage::rows::{self, ObjectRow, PartRow};
use crate::storage::{StorageError, keys};

/// What a body is for.
#[derive(Debug, Clone, Copy)]
pub enum Growing {
    /// An object.
    Object,
    /// A part of an upload.
    Part(UploadId, PartNumber),
}

/// What is replaced: its bytes, and whose it is. A part counts as no object.
struct Replaced {
    bytes: u64,
    owner: CanonicalId,
}

/// What a body of `bytes` asks of the accounts that concern it; nothing where no quota does.
pub fn wishes(
    ledger: &Ledger,
    rows: &dyn Rows,
    bucket: &Bucket,
    key: &ObjectKey,
    owner: &CanonicalId,
    what: Growing,
    bytes: u64,
) -> Result<Vec<Wish>, StorageError> {
    let quota = bucket.config.quota.as_ref();
    let has_own = ledger.limits_owner(owner);
    if quota.is_none() && !has_own {
        return Ok(Vec::new());
    }
    let replaced = match what {
        Growing::Object => replaced_object(rows, bucket, key)?,
        Growing::Part(upload, number) => replaced_part(rows, bucket, upload, number, owner)?,
    };
    let wish = |scope, replaced: Option<&Replaced>| {
        let credit = replaced.map_or(0, |replaced| replaced.bytes);
        let objects = u64::from(matches!(what, Growing::Object) && replaced.is_none());
        Wish { scope, amount: Quantity { bytes: bytes.saturating_sub(credit), objects }, credit }
    };
    let mut wishes: Vec<_> = quota
        .into_iter()
        .flat_map(|quota| scopes(quota, bucket, key))
        .map(|scope| wish(scope, replaced.as_ref()))
        .collect();
    if has_own {
        let own = replaced.as_ref().filter(|replaced| replaced.owner == *owner);
        wishes.push(wish(QuotaScope::Owner(owner.clone()), own));
    }
    Ok(wishes)
}

/// The quotas of a bucket that concern a key.
fn scopes<'a>(quota: &'a BucketQuota, bucket: &'a Bucket, key: &'a ObjectKey) -> impl Iterator<Item = QuotaScope> + 'a {
    let whole = (!quota.limits.is_unlimited()).then_some(QuotaScope::Bucket(bucket.id));
    let prefixes = quota.of_key(key.as_bytes());
    whole.into_iter().chain(prefixes.map(|quota| QuotaScope::Prefix(bucket.id, quota.prefix.as_str().into())))
}

/// The version whose place a new one would take.
fn replaced_object(rows: &dyn Rows, bucket: &Bucket, key: &ObjectKey) -> Result<Option<Replaced>, StorageError> {
    let current = || Ok::<_, StorageError>(current_row(rows, bucket.id, key)?.map(|(_, row)| row));
    let found = match bucket.versioning {
        Versioning::Enabled => None,
        Versioning::Off => current()?,
        Versioning::Suspended => match current()?.filter(|row| row.version.is_none()) {
            Some(row) => Some(row),
            None => null_version(rows, bucket, key)?,
        },
    };
    let owner = |row: &ObjectRow| row.owner.map(|owner| CanonicalId::from_bytes(owner.into()));
    Ok(found
        .filter(|row| !row.is_marker())
        .map(|row| Replaced { bytes: row.size, owner: owner(&row).unwrap_or_else(|| bucket.owner.clone()) }))
}

fn null_version(rows: &dyn Rows, bucket: &Bucket, key: &ObjectKey) -> Result<Option<ObjectRow>, StorageError> {
    let Some(stamp) = rows.get(&keys::null_version(bucket.id, key.as_bytes()))? else { return Ok(None) };
    let row = rows.get(&keys::version(bucket.id, key.as_bytes(), rows::decode_stamp(&stamp)?))?;
    row.map(|row| rows::decode(&row)).transpose()
}

fn replaced_part(
    rows: &dyn Rows,
    bucket: &Bucket,
    upload: UploadId,
    number: PartNumber,
    owner: &CanonicalId,
) -> Result<Option<Replaced>, StorageError> {
    let row = rows.get(&keys::part(bucket.id, upload, number))?;
    let row = row.map(|row| rows::decode::<PartRow>(&row)).transpose()?;
    Ok(row.map(|row| Replaced { bytes: row.size, owner: owner.clone() }))
}

/// The refusal as Storage tells it.
pub fn refused(bucket: &BucketName, refusal: Refusal) -> StorageError {
    StorageError::QuotaExceeded { bucket: bucket.clone(), scope: refusal.scope, resource: refusal.resource }
}

/// A reservation that tells refusals as Storage does.
#[derive(Debug)]
pub struct Reserved {
    pub bucket: BucketName,
    pub reservation: Reservation,
}

impl Reserved {
    /// Grows the promise to a body of `bytes`. Errs: QuotaExceeded.
    pub fn cover(&mut self, bytes: u64) -> Result<(), StorageError> {
        self.reservation.cover(bytes).map_err(|refusal| refused(&self.bucket, refusal))
    }
}
