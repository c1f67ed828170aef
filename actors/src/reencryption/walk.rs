//! One page of versions, or of uploads: what is done with each.

use std::sync::Arc;

use futures_util::{StreamExt as _, stream};

use super::job::{Job, JobOrder, is_chosen};
use super::worker::Worker;
use crate::encryption::{Encryption, Envelope, Method, ObjectName};
use crate::kms::KmsError;
use crate::names::{ObjectKey, UploadId, VersionId};
use crate::storage::{
    BeginBody, Bucket, ChangeObject, DigestPlan, ListUploads, ListVersions, Object, ObjectChange, RewrapUpload,
    RewriteObject, StorageError, Upload, VersionEntry,
};

/// Entries of a page.
const PAGE: usize = 200;
/// Commits of a page that are under way at once: enough to share a batch, few enough to leave room to others.
const TOGETHER: usize = 16;
/// The same of objects that are written anew, each of which takes buffers and bandwidth.
const REWRITES_TOGETHER: usize = 2;

/// What became of one thing.
enum Outcome {
    Rewrapped,
    Rewritten,
    Upload,
    Current,
    Skipped,
    /// Overwritten, deleted or wrapped by another meanwhile: what is there now is newer.
    Gone,
}

/// Why one thing failed.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error(transparent)]
    Kms(#[from] KmsError),
}

impl Worker {
    /// The next page of a bucket's objects and versions.
    pub(super) async fn versions(&self, bucket: &Arc<Bucket>, job: &mut Job) -> Result<(), StorageError> {
        let version_after = job.position.mark.as_deref().and_then(|mark| VersionId::parse(mark).ok());
        let query = ListVersions {
            bucket: Arc::clone(bucket),
            prefix: job.order.prefix.clone().unwrap_or_default(),
            delimiter: None,
            key_after: job.position.key.clone(),
            version_after,
            limit: PAGE,
        };
        let page = self.storage.list_versions(query).await?;
        let together = if job.order.rewrite || job.order.convert { REWRITES_TOGETHER } else { TOGETHER };
        let order = &job.order;
        let works = page.entries.iter().filter_map(|entry| Some((entry, entry.object.as_ref()?)));
        let is_default = bucket.config.encryption.as_ref().is_some_and(|encryption| encryption.default.is_some());
        let works = works.filter(|(_, object)| match object.encryption() {
            Some(encryption) => !order.convert && is_meant(encryption, order),
            None => order.convert && is_default,
        });
        let works: Vec<_> = works.map(|(entry, object)| self.version(bucket, order, entry, object)).collect();
        let done: Vec<_> = stream::iter(works).buffered(together).collect().await;
        let next = page.next.map(|(key, version)| (key, version.map(|version| version.to_string())));
        turn(job, bucket, page.entries.len(), done, next)
    }

    /// The next page of a bucket's uploads in progress.
    pub(super) async fn uploads(&self, bucket: &Arc<Bucket>, job: &mut Job) -> Result<(), StorageError> {
        let upload_after = job.position.mark.as_deref().and_then(|mark| UploadId::parse(mark).ok());
        let query = ListUploads {
            bucket: Arc::clone(bucket),
            prefix: job.order.prefix.clone().unwrap_or_default(),
            delimiter: None,
            key_after: job.position.key.clone(),
            upload_after,
            limit: PAGE,
        };
        let page = self.storage.list_uploads(query).await?;
        let order = &job.order;
        let is_meant = |encryption| !order.convert && is_meant(encryption, order);
        let meant = page.entries.iter().filter(|upload| upload.encryption.as_ref().is_some_and(is_meant));
        let works: Vec<_> = meant.map(|upload| self.upload(bucket, order, upload)).collect();
        let mut done: Vec<_> = stream::iter(works).buffered(TOGETHER).collect().await;
        // Once in a bucket, and again if it is interrupted.
        if job.position.key.is_none() && !order.convert {
            done.extend(self.conflict_copies(bucket, order).await?);
        }
        let next = page.next.map(|(key, upload)| (key, upload.map(|upload| upload.to_string())));
        turn(job, bucket, page.entries.len(), done, next)
    }

    /// What is kept beside the versions, since it lost against another node's change.
    async fn conflict_copies(
        &self,
        bucket: &Arc<Bucket>,
        order: &JobOrder,
    ) -> Result<Vec<(ObjectKey, Result<Outcome, Failure>)>, StorageError> {
        let mut done = Vec::new();
        let mut after = None;
        loop {
            let page = self.storage.conflicts(Arc::clone(bucket), after, PAGE).await?;
            let is_full = page.len() == PAGE;
            after = page.last().map(|last| (last.key.clone(), last.version_id));
            let prefix = order.prefix.as_deref().unwrap_or_default();
            let chosen = page.into_iter().filter(|copy| !copy.is_version && copy.key.as_str().starts_with(prefix));
            for copy in chosen {
                let Some(from) = copy.object.encryption().filter(|from| is_meant(from, order)) else { continue };
                let entry = VersionEntry {
                    key: copy.key.clone(),
                    version_id: copy.version_id,
                    is_latest: false,
                    last_modified: copy.object.modified(),
                    owner: copy.object.owner.clone(),
                    object: Some(Arc::clone(&copy.object)),
                };
                done.push((copy.key.clone(), self.rewrap(bucket, order, &entry, from).await));
            }
            if !is_full {
                return Ok(done);
            }
        }
    }

    async fn version(
        &self,
        bucket: &Arc<Bucket>,
        order: &JobOrder,
        entry: &VersionEntry,
        object: &Arc<Object>,
    ) -> (ObjectKey, Result<Outcome, Failure>) {
        let outcome = match (object.encryption(), order.rewrite) {
            (None, _) => self.convert(bucket, entry).await,
            (Some(encryption), false) => self.rewrap(bucket, order, entry, encryption).await,
            (Some(encryption), true) => self.rewrite(bucket, order, entry, encryption).await,
        };
        (entry.key.clone(), outcome)
    }

    async fn rewrap(
        &self,
        bucket: &Arc<Bucket>,
        order: &JobOrder,
        entry: &VersionEntry,
        from: &Encryption,
    ) -> Result<Outcome, Failure> {
        if matches!(from.method, Method::Customer(_)) {
            return Ok(Outcome::Skipped);
        }
        let Some(to) = self.kms.rewrap(from, &name(bucket, &entry.key), order.to_key_id.as_deref())? else {
            return Ok(Outcome::Current);
        };
        let change = ObjectChange::Rewrap { from: from.clone(), to: to.clone() };
        let (bucket, key) = (Arc::clone(bucket), entry.key.clone());
        let message = ChangeObject { bucket, key, version: Some(entry.version_id), of: None, change, replica: None };
        let changed = self.storage.change_object(message).await?;
        Ok(if changed.encryption() == Some(&to) { Outcome::Rewrapped } else { Outcome::Gone })
    }

    async fn upload(
        &self,
        bucket: &Arc<Bucket>,
        order: &JobOrder,
        upload: &Arc<Upload>,
    ) -> (ObjectKey, Result<Outcome, Failure>) {
        (upload.key.clone(), self.rewrap_upload(bucket, order, upload).await)
    }

    async fn rewrap_upload(
        &self,
        bucket: &Arc<Bucket>,
        order: &JobOrder,
        upload: &Arc<Upload>,
    ) -> Result<Outcome, Failure> {
        let Some(from) = upload.encryption.clone() else { return Ok(Outcome::Current) };
        if matches!(from.method, Method::Customer(_)) {
            return Ok(Outcome::Skipped);
        }
        let Some(to) = self.kms.rewrap(&from, &name(bucket, &upload.key), order.to_key_id.as_deref())? else {
            return Ok(Outcome::Current);
        };
        let (bucket, key) = (Arc::clone(bucket), upload.key.clone());
        let message = RewrapUpload { bucket, key, upload: upload.id, from, to };
        Ok(if self.storage.rewrap_upload(message).await? { Outcome::Upload } else { Outcome::Gone })
    }

    /// Writes the content of the current object anew, under a fresh data key.
    async fn rewrite(
        &self,
        bucket: &Arc<Bucket>,
        order: &JobOrder,
        entry: &VersionEntry,
        from: &Encryption,
    ) -> Result<Outcome, Failure> {
        if !entry.is_latest {
            return Ok(Outcome::Skipped);
        }
        let name = name(bucket, &entry.key);
        let envelope = match &from.method {
            Method::Managed { .. } => self.kms.seal_managed(&name)?,
            Method::Kms { key_id, context, bucket_key, .. } => {
                let key_id = order.to_key_id.as_deref().unwrap_or(key_id);
                self.kms.seal_with_key(key_id, context.clone(), *bucket_key, &name)?
            }
            Method::Customer(_) => return Ok(Outcome::Skipped),
        };
        self.write_anew(bucket, entry, &envelope).await
    }

    /// Encrypts the current object as its bucket is configured.
    async fn convert(&self, bucket: &Arc<Bucket>, entry: &VersionEntry) -> Result<Outcome, Failure> {
        if !entry.is_latest {
            return Ok(Outcome::Skipped);
        }
        let configured = bucket.config.encryption.as_ref();
        let directory = self.iam.directory();
        let account = directory.account_of(&bucket.owner);
        match self.kms.seal_by_default(configured, &account, &name(bucket, &entry.key)).await? {
            Some(envelope) => self.write_anew(bucket, entry, &envelope).await,
            None => Ok(Outcome::Skipped),
        }
    }

    async fn write_anew(
        &self,
        bucket: &Arc<Bucket>,
        entry: &VersionEntry,
        envelope: &Envelope,
    ) -> Result<Outcome, Failure> {
        let name = name(bucket, &entry.key);
        let source = self.storage.open_object(bucket, &entry.key, Some(entry.version_id)).await?;
        let object = Arc::clone(&source.object);
        let data_key = object.encryption().map(|encryption| self.kms.open(encryption, &name, None)).transpose()?;
        let checksum = object.checksum.map(|checksum| checksum.value.algorithm());
        let plan = DigestPlan { checksum, ..DigestPlan::default() };
        let begin = BeginBody { bucket, key: &entry.key, owner: &object.owner, size: Some(object.size) };
        let target = self.storage.begin_body(begin, plan, Some(envelope))?;
        let body = self.storage.copy_body(source, 0..object.size, data_key.as_ref(), target).await?;
        let (bucket, key) = (Arc::clone(bucket), entry.key.clone());
        let rewritten = self.storage.rewrite_object(RewriteObject { bucket, key, of: object.stamp, body }).await?;
        Ok(if rewritten { Outcome::Rewritten } else { Outcome::Gone })
    }
}

fn name<'a>(bucket: &'a Bucket, key: &'a ObjectKey) -> ObjectName<'a> {
    ObjectName { bucket: bucket.name.as_str(), key: key.as_str() }
}

/// Whether something is among what was ordered. Customers' keys are, when nothing is chosen by its key: they are told as skipped.
fn is_meant(encryption: &Encryption, order: &JobOrder) -> bool {
    is_chosen(&encryption.wrapping_key(), order.key_id.as_deref())
}

/// Counts a page, and goes on behind it. Errs with what concerns more than one thing: then the page is done again, and not counted.
fn turn(
    job: &mut Job,
    bucket: &Bucket,
    looked_at: usize,
    done: Vec<(ObjectKey, Result<Outcome, Failure>)>,
    next: Option<(String, Option<String>)>,
) -> Result<(), StorageError> {
    let mut counted = job.clone();
    for (key, outcome) in done {
        note(&mut counted, bucket, &key, outcome)?;
    }
    counted.looked_at += looked_at as u64;
    counted.position.advance(next);
    *job = counted;
    Ok(())
}

/// Counts what became of something. Errs with what does not concern this one alone: the page is done again.
fn note(
    job: &mut Job,
    bucket: &Bucket,
    key: &ObjectKey,
    outcome: Result<Outcome, Failure>,
) -> Result<(), StorageError> {
    match outcome {
        Ok(Outcome::Rewrapped) => job.rewrapped += 1,
        Ok(Outcome::Rewritten) => job.rewritten += 1,
        Ok(Outcome::Upload) => job.uploads += 1,
        Ok(Outcome::Current) => job.current += 1,
        Ok(Outcome::Skipped) => job.skipped += 1,
        Ok(Outcome::Gone) => {}
        Err(Failure::Storage(error)) => match error {
            StorageError::NoSuchKey { .. }
            | StorageError::NoSuchVersion { .. }
            | StorageError::IsDeleteMarker { .. }
            | StorageError::NoSuchUpload { .. } => {}
            StorageError::Busy
            | StorageError::TimedOut
            | StorageError::NoSpace
            | StorageError::Unavailable { .. }
            | StorageError::NoSuchBucket { .. } => return Err(error),
            other => job.fail(&format!("{}/{key}", bucket.name), &other),
        },
        Err(Failure::Kms(error)) => job.fail(&format!("{}/{key}", bucket.name), &error),
    }
    Ok(())
}
