//! Creating and deleting buckets.

use std::sync::Arc;

use super::conflicts::drop_copies;
use super::times::drop_times;
use super::{Effect, Growth, Mutation, Planner};
use crate::bucket_config::{BUCKET_TAGS_MAX, BucketConfig};
use crate::names::BucketId;
use crate::storage::messages::{
    Bucket, BucketChange, ConfigureBucket, Configured, CreateBucket, DeleteBucket, Versioning,
};
use crate::storage::rows::{self, BucketRow, FORMAT_VERSION, FormatRow, PartRow, UploadRow};
use crate::storage::steps::Step;
use crate::storage::{StorageError, keys};

pub(in crate::storage) struct NewBucket(pub CreateBucket);

impl Mutation for NewBucket {
    type Output = Arc<Bucket>;

    fn plan(self, planner: &mut Planner<'_>) -> Result<Self::Output, StorageError> {
        let CreateBucket { name, owner, mut config } = self.0;
        config.keeps_times |= config.lifecycle.is_some();
        if let Some(existing) = planner.state.buckets.get(&name) {
            return Err(StorageError::BucketExists { bucket: name, owner: existing.owner.clone() });
        }
        let id = BucketId(planner.state.bucket_id_next);
        let created = planner.stamp(None);
        let versioning = if config.object_lock.is_some() { Versioning::Enabled } else { Versioning::Off };
        let config = Arc::new(config);
        let bucket = Arc::new(Bucket { id, name: name.clone(), owner, created, versioning, config });
        planner.change(keys::bucket(&name), Some(rows::encode(&BucketRow::of(&bucket))?));
        let format = FormatRow { version: FORMAT_VERSION, bucket_id_next: id.0 + 1 };
        planner.change(keys::META_FORMAT.to_vec(), Some(rows::encode(&format)?));
        planner.step(Step::MakeBucket { id: id.0, name: name.as_str().to_owned() });
        if let Some(row) = rows::encode_config(&bucket.config)? {
            describe(planner, &bucket, Some(row));
        }
        planner.follow_quota(None, &bucket)?;
        planner.state.bucket_id_next = id.0 + 1;
        planner.state.buckets.insert(name, Arc::clone(&bucket));
        planner.effects.push(Effect::BucketIs(Arc::clone(&bucket)));
        Ok(bucket)
    }
}

impl Mutation for ConfigureBucket {
    type Output = Configured;

    fn plan(self, planner: &mut Planner<'_>) -> Result<Self::Output, StorageError> {
        let live = planner.live(&self.bucket)?;
        let mut bucket = Bucket::clone(&live);
        let mut config = BucketConfig::clone(&bucket.config);
        match self.change {
            BucketChange::Versioning(versioning) => bucket.versioning = versioning,
            BucketChange::Config(change) => config.apply(change),
        }
        if config.tags.as_ref().is_some_and(|tags| tags.len() > BUCKET_TAGS_MAX) {
            return Err(StorageError::TooManyBucketTags);
        }
        if config.object_lock.is_some() && bucket.versioning != Versioning::Enabled {
            let reason = match bucket.config.object_lock {
                Some(_) => {
                    "An Object Lock configuration is present on this bucket, so the versioning state cannot be changed."
                }
                None => "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration",
            };
            return Err(StorageError::InvalidBucketState { reason });
        }
        if bucket.versioning != live.versioning {
            planner.change(keys::bucket(&bucket.name), Some(rows::encode(&BucketRow::of(&bucket))?));
        }
        let row = rows::encode_config(&config)?;
        bucket.config = Arc::new(config);
        let bucket = Arc::new(bucket);
        describe(planner, &bucket, row);
        planner.follow_quota(live.config.quota.as_ref(), &bucket)?;
        planner.state.buckets.insert(bucket.name.clone(), Arc::clone(&bucket));
        planner.effects.push(Effect::BucketIs(Arc::clone(&bucket)));
        Ok(Configured { before: live, after: bucket })
    }
}

/// Sets the row of a bucket's configuration, and has a copy of both kept beside its files.
pub(super) fn describe(planner: &mut Planner<'_>, bucket: &Bucket, config: Option<Vec<u8>>) {
    let row = planner.change(keys::config(bucket.id), config);
    planner.step(Step::DescribeBucket { id: bucket.id.0, name: bucket.name.as_str().to_owned(), row });
}

pub(in crate::storage) struct DropBucket(pub DeleteBucket);

impl Mutation for DropBucket {
    type Output = Arc<Bucket>;

    fn plan(self, planner: &mut Planner<'_>) -> Result<Self::Output, StorageError> {
        let bucket = planner.live(&self.0.bucket)?;
        for (start, end) in [keys::objects(bucket.id), keys::versions(bucket.id)] {
            if planner.rows.first(&start, &end)?.is_some() {
                return Err(StorageError::BucketNotEmpty { bucket: bucket.name.clone(), unknown_file: None });
            }
        }
        drop_uploads(planner, bucket.id)?;
        drop_copies(planner, &bucket, COPIES_MAX)?;
        planner.change(keys::bucket(&bucket.name), None);
        planner.change(keys::usage(bucket.id), None);
        planner.change(keys::config(bucket.id), None);
        drop_times(planner, &bucket);
        // What its last parts were of users is taken off before its own meters go.
        planner.charge(None, Growth::Within)?;
        let without = Bucket { config: Arc::default(), ..Bucket::clone(&bucket) };
        planner.follow_quota(bucket.config.quota.as_ref(), &without)?;
        planner.step(Step::TrashBucket { id: bucket.id.0, name: bucket.name.as_str().to_owned() });
        planner.state.buckets.remove(&bucket.name);
        planner.state.usage.remove(&bucket.id);
        planner.effects.push(Effect::BucketDeleted(bucket.name.clone(), bucket.id));
        Ok(bucket)
    }
}

/// Conflict copies that one deletion of a bucket may end; others are ended beforehand.
const COPIES_MAX: usize = 1000;

/// Parts that one deletion of a bucket may end; its uploads are ended beforehand, these came in between.
const PARTS_MAX: usize = 1000;

/// Ends the last uploads in progress of a bucket: they do not keep it from being deleted. Errs: Busy when they are many.
fn drop_uploads(planner: &mut Planner<'_>, bucket: BucketId) -> Result<(), StorageError> {
    let (start, end) = keys::uploads(bucket);
    let mut uploads = Vec::new();
    planner.rows.scan(&start, &end, &mut |row_key, row| {
        uploads.push((row_key.to_vec(), rows::decode::<UploadRow>(row)?.owner()?));
        Ok(true)
    })?;
    for (row_key, owner) in uploads {
        if let Some((key, upload)) = keys::split_upload(&row_key) {
            let (start, end) = keys::parts(bucket, upload);
            let mut parts = Vec::new();
            planner.rows.scan(&start, &end, &mut |part_key, value| {
                parts.push((part_key.to_vec(), rows::decode::<PartRow>(value)?));
                Ok(parts.len() <= PARTS_MAX)
            })?;
            if planner.entry.changes.len() + parts.len() > PARTS_MAX {
                return Err(StorageError::Busy);
            }
            let bytes = parts.iter().map(|(_, row)| row.size).sum();
            planner.meter_parts(bucket, (&key, upload), &owner, bytes, 0);
            for (part_key, row) in parts {
                planner.change(part_key, None);
                for name in std::iter::once(row.file).chain(row.left_grid) {
                    planner.step(Step::Discard { name });
                }
            }
            planner.effects.push(Effect::UploadEnded(upload));
        }
        planner.change(row_key, None);
    }
    Ok(())
}
