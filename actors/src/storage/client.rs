//! The only way into Storage. Questions are answered from the published state at once; changes go through the mailbox.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use actix::Actor;
use futures_util::StreamExt as _;

use super::actor::{Commit, Stop, StorageActor};
use super::body::{BodyWriter, FinishedBody};
use super::digest::DigestPlan;
use super::disk::{Disk, is_absent};
use super::engine::{Engine, Shared, StorageSettings};
use super::messages::*;
use super::overlay::Rows;
use super::plan::{DropBucket, EndUpload, Expecting, Mutation, NewBucket, NewPart, NewUpload, check_conditions};
use super::quota::Growing;
use super::read::{self, Found, ObjectPart, OpenObject, PeekedObject, Purpose, object_row};
use super::steps::bytes_on_disk;
use super::{StorageError, complete, keys, listing, versions};
use crate::call::Door;
use crate::clock::SharedClock;
use crate::encryption::{self, DataKey, EncryptionError, Envelope};
use crate::names::{BucketName, ObjectKey, UploadId, VersionId};

/// Commits under way at once; further ones are refused as Busy.
const COMMITS_MAX: usize = 4096;
/// How long a commit may take before its caller is told so; it is carried out all the same.
const COMMIT_DEADLINE: Duration = Duration::from_secs(60);
/// How long a commit waits while index or files cannot follow, since the device is full to the last byte or fails.
const STUCK_PATIENCE: Duration = Duration::from_secs(2);
/// How often an edited file is settled for one reader.
const EDITS_MAX: usize = 3;
/// How long a request waits for files to follow the journal.
const FOLLOW_PATIENCE: Duration = Duration::from_secs(20);

/// Storage's client. Cheap to clone.
#[derive(Debug, Clone)]
pub struct StorageClient {
    door: Door<StorageActor>,
    pub(super) shared: Arc<Shared>,
    /// Who asks; none is the node itself.
    pub(super) origin: Option<Arc<Origin>>,
}

impl StorageClient {
    /// Opens the data directory and starts the actor on the current arbiter. Blocks while the journal is replayed.
    pub fn start(settings: &StorageSettings, clock: SharedClock) -> Result<Self, StorageError> {
        Ok(Self::of(Engine::start(settings, clock)?))
    }

    /// The client of a running engine.
    pub(super) fn of(engine: Engine) -> Self {
        let shared = Arc::clone(&engine.shared);
        let address = StorageActor::new(engine).start();
        Self { door: Door::new(address, COMMITS_MAX, COMMIT_DEADLINE), shared, origin: None }
    }

    /// What the threads share, for tests that look behind the curtain.
    #[cfg(test)]
    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Calls that wait for the actor, or for its answer.
    pub fn calls(&self) -> usize {
        self.door.calls()
    }

    /// Drains and seals everything. Later changes are refused.
    pub async fn stop(&self) -> Result<(), StorageError> {
        Ok(self.door.call(Stop).await?)
    }

    pub(super) async fn commit<M: Mutation>(&self, mutation: M) -> Result<M::Output, StorageError> {
        // Who waits for a device that is full or fails takes the place of those who only want to read.
        if let Some(reason) = self.shared.stuck() {
            return Err(reason);
        }
        let mut call = pin!(self.door.call(Commit { mutation, origin: self.origin.clone() }));
        loop {
            match tokio::time::timeout(STUCK_PATIENCE, &mut call).await {
                Ok(answer) => return Ok(answer?),
                Err(_) if self.shared.stuck().is_some() => return Err(StorageError::TimedOut),
                Err(_) => {}
            }
        }
    }

    /// Why nothing is acknowledged any more; none while all is well.
    pub fn failure(&self) -> Option<String> {
        self.shared.failure()
    }

    /// What keeps files from following the journal, or new objects from being taken, for now, such as a full device; none
    /// while all is well.
    pub fn trouble(&self) -> Option<String> {
        self.shared.trouble()
    }

    /// Whether a new object of `size` bytes can be taken now. Errs: Unavailable, NoSpace.
    pub fn check_room(&self, size: u64) -> Result<(), StorageError> {
        self.check_failure()?;
        self.shared.space.check(bytes_on_disk(size))
    }

    fn check_failure(&self) -> Result<(), StorageError> {
        self.failure().map_or(Ok(()), |reason| Err(StorageError::Unavailable { reason }))
    }

    /// The bucket of this name. Errs: NoSuchBucket.
    pub fn bucket(&self, name: &BucketName) -> Result<Arc<Bucket>, StorageError> {
        let found = self.shared.buckets.get(name).map(|bucket| Arc::clone(&bucket));
        found.ok_or_else(|| StorageError::NoSuchBucket { bucket: name.clone() })
    }

    /// All buckets in order of their names.
    pub fn buckets(&self) -> Vec<Arc<Bucket>> {
        let mut buckets: Vec<_> = self.shared.buckets.iter().map(|bucket| Arc::clone(&bucket)).collect();
        buckets.sort_by(|a, b| a.name.cmp(&b.name));
        buckets
    }

    /// What a bucket holds.
    pub fn usage(&self, bucket: &Bucket) -> Usage {
        self.shared.usage.get(&bucket.id).map(|usage| *usage).unwrap_or_default()
    }

    /// See [`CreateBucket`].
    pub async fn create_bucket(&self, message: CreateBucket) -> Result<Arc<Bucket>, StorageError> {
        self.check_room(0)?;
        let (shared, name) = (Arc::clone(&self.shared), message.name.clone());
        self.shared.tools.pool.run(move || check_free(&shared, name)).await?;
        self.commit(NewBucket(message)).await
    }

    /// See [`ConfigureBucket`].
    pub async fn configure_bucket(&self, message: ConfigureBucket) -> Result<Configured, StorageError> {
        self.configure_bucket_expecting(message, None).await
    }

    /// The same, if what changes of the bucket is still as it is in `expected`; none: whatever it is. Errs: as [`ConfigureBucket`];
    /// NotAsExpected.
    pub async fn configure_bucket_expecting(
        &self,
        message: ConfigureBucket,
        expected: Option<Arc<Bucket>>,
    ) -> Result<Configured, StorageError> {
        self.shared.space.check_change()?;
        self.commit(Expecting { message, expected }).await
    }

    /// See [`DeleteBucket`].
    pub async fn delete_bucket(&self, message: DeleteBucket) -> Result<Arc<Bucket>, StorageError> {
        let (shared, bucket) = (Arc::clone(&self.shared), Arc::clone(&message.bucket));
        self.shared.long_pool.run(move || check_empty(&shared, &bucket)).await?;
        self.end_uploads(&message.bucket).await?;
        if message.bucket.config.keeps_changes {
            self.end_conflicts(&message.bucket).await?;
        }
        let dropped = self.commit(DropBucket(message)).await?;
        if dropped.config.keeps_changes {
            self.drop_leftovers(dropped.id).await?;
        }
        Ok(dropped)
    }

    /// Ends the uploads of a bucket that is about to go, one commit each: together they may be too large for one.
    async fn end_uploads(&self, bucket: &Arc<Bucket>) -> Result<(), StorageError> {
        loop {
            let query = ListUploads {
                bucket: Arc::clone(bucket),
                prefix: String::new(),
                delimiter: None,
                key_after: None,
                upload_after: None,
                limit: 100,
            };
            let page = self.list_uploads(query).await?;
            for upload in &page.entries {
                let (bucket, key) = (Arc::clone(bucket), upload.key.clone());
                match self.abort_upload(AbortUpload { bucket, key, upload: upload.id }).await {
                    Ok(()) | Err(StorageError::NoSuchUpload { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            if page.next.is_none() {
                return Ok(());
            }
        }
    }

    /// The current object, or one version of it. A file that a person edited becomes the object first. Errs: NoSuchKey,
    /// NoSuchVersion, IsDeleteMarker, Corrupt when the file was removed or is being changed.
    pub async fn object(
        &self,
        bucket: &Arc<Bucket>,
        key: &ObjectKey,
        version: Option<VersionId>,
    ) -> Result<Arc<Object>, StorageError> {
        Ok(self.open_for(Purpose::Look, bucket, key, version).await?.object)
    }

    /// What the index says of the current object, or of one version, without a look at its file: enough to decide on access.
    /// Errs: NoSuchKey, NoSuchVersion, IsDeleteMarker.
    pub fn peek_object(
        &self,
        bucket: &Bucket,
        key: &ObjectKey,
        version: Option<VersionId>,
    ) -> Result<PeekedObject, StorageError> {
        read::peek(&self.shared, bucket, key, version)
    }

    /// Opens the very object that was looked up before, for its bytes or only to see that they are there. None when it is there no
    /// more, or at another place: then it is to be looked up, and decided about, again.
    pub fn open_peeked(
        &self,
        bucket: &Bucket,
        peeked: &PeekedObject,
        purpose: Purpose,
    ) -> Result<Option<OpenObject>, StorageError> {
        read::open_peeked(&self.shared, bucket, peeked, purpose)
    }

    /// The current object, or one version of it, opened for reading. As [`Self::object`].
    pub async fn open_object(
        &self,
        bucket: &Arc<Bucket>,
        key: &ObjectKey,
        version: Option<VersionId>,
    ) -> Result<OpenObject, StorageError> {
        self.open_for(Purpose::Read, bucket, key, version).await
    }

    /// The same, opened for its bytes or only to see that they are there.
    pub async fn open_for(
        &self,
        purpose: Purpose,
        bucket: &Arc<Bucket>,
        key: &ObjectKey,
        version: Option<VersionId>,
    ) -> Result<OpenObject, StorageError> {
        for _ in 0..EDITS_MAX {
            match read::open(&self.shared, bucket, key, version, purpose)? {
                Found::Open(object) => return Ok(object),
                Found::Edited(edited) => self.settle_edit(bucket, key, edited).await?,
            }
        }
        Err(StorageError::Corrupt { what: format!("the file of {key}, which another program changes again and again") })
    }

    /// The parts of an assembled object; none for one written by a single request.
    pub fn object_parts(&self, bucket: &Bucket, object: &Object) -> Result<Vec<ObjectPart>, StorageError> {
        match object.etag.parts {
            Some(_) => read::object_parts(&self.shared.rows, bucket, object),
            // In which parts it came is nobody's business.
            None => Ok(Vec::new()),
        }
    }

    /// Begins a body for [`PutObject`]. With an `envelope` it is sealed. Errs: NoSpace, QuotaExceeded.
    pub fn begin_body(
        &self,
        begin: BeginBody<'_>,
        digests: DigestPlan,
        envelope: Option<&Envelope>,
    ) -> Result<BodyWriter, StorageError> {
        self.check_failure()?;
        let BeginBody { bucket, key, owner, size } = begin;
        let reserved = self.reserve(bucket, key, owner, Growing::Object, size.unwrap_or(0))?;
        Ok(BodyWriter::for_object(self.shared.tools.clone(), size, digests, envelope)?.with_reserved(reserved))
    }

    /// Begins a body for [`PutPart`]; `key` is the upload's data key, if it has one. The upload's checksum algorithm is planned
    /// if none is. Errs: NoSuchUpload, QuotaExceeded.
    pub async fn begin_part(
        &self,
        begin: BeginPart,
        mut digests: DigestPlan,
        key: Option<&DataKey>,
    ) -> Result<BodyWriter, StorageError> {
        self.check_failure()?;
        let upload = self.upload(&begin.bucket, &begin.key, begin.upload)?;
        digests.checksum = digests.checksum.or(upload.checksum.map(|(algorithm, _)| algorithm));
        let sealed = match (&upload.encryption, key) {
            (Some(encryption), Some(key)) => Some((key, encryption)),
            (None, None) => None,
            _ => return Err(EncryptionError::KeyNeeded.into()),
        };
        let what = Growing::Part(begin.upload, begin.number);
        let reserved = self.reserve(&begin.bucket, &begin.key, &upload.owner, what, begin.size)?;
        let shared = Arc::clone(&self.shared);
        let (size, number) = (begin.size, begin.number);
        let stored = if sealed.is_some() { encryption::sealed_size(size) } else { size };
        let space = shared.space.claim(bytes_on_disk(stored))?;
        let claim = move || {
            let entry = shared.uploads.entry(&shared.rows, begin.bucket.id, begin.upload)?;
            // It may have ended before its entry was there to be told.
            if let Err(gone) = complete::find_upload(&shared.rows, begin.bucket.id, &begin.key, begin.upload) {
                shared.uploads.remove(begin.upload);
                return Err(gone);
            }
            entry.claim(begin.number, stored, &shared.disk, &shared.tools.staging)
        };
        let part = self.shared.tools.pool.run(claim).await?;
        let writer =
            BodyWriter::for_part(self.shared.tools.clone(), size, digests, part, space).with_reserved(reserved);
        match sealed {
            Some((key, encryption)) => writer.sealing_part(key, encryption, number),
            None => Ok(writer),
        }
    }

    /// Copies a range of an object into a body; `key` is the source's data key, if it has one. Verified like a read.
    pub async fn copy_body(
        &self,
        source: OpenObject,
        range: Range<u64>,
        key: Option<&DataKey>,
        mut target: BodyWriter,
    ) -> Result<FinishedBody, StorageError> {
        let mut reader = source.read(range, key)?;
        while let Some(chunk) = reader.next().await {
            target.write(chunk?).await?;
        }
        target.finish().await
    }

    /// See [`PutObject`].
    pub async fn put_object(&self, message: PutObject) -> Result<Stored, StorageError> {
        self.commit(message).await
    }

    /// See [`DeleteObject`].
    pub async fn delete_object(&self, message: DeleteObject) -> Result<Deleted, StorageError> {
        if message.version.is_none() && message.bucket.versioning != Versioning::Off {
            self.shared.space.check_change()?;
        }
        self.commit(message).await
    }

    /// See [`ChangeObject`].
    pub async fn change_object(&self, message: ChangeObject) -> Result<Arc<Object>, StorageError> {
        self.change_object_expecting(message, None).await
    }

    /// The same, if the object is `expected`, and what changes of it still as it is there; none: whatever it is. Errs: as
    /// [`ChangeObject`]; NotAsExpected.
    pub async fn change_object_expecting(
        &self,
        message: ChangeObject,
        expected: Option<Arc<Object>>,
    ) -> Result<Arc<Object>, StorageError> {
        self.shared.space.check_change()?;
        self.commit(Expecting { message, expected }).await
    }

    /// Checks write conditions against the state now, before a body is read; the commit decides.
    pub fn precheck(&self, bucket: &Bucket, key: &ObjectKey, conditions: &WriteConditions) -> Result<(), StorageError> {
        if *conditions == WriteConditions::default() {
            return Ok(());
        }
        let current = match object_row(&self.shared.rows, bucket, key, None) {
            Ok(row) => Some(row),
            Err(StorageError::NoSuchKey { .. }) => None,
            Err(error) => return Err(error),
        };
        check_conditions(conditions, key, current.as_ref())
    }

    /// See [`ListObjects`].
    pub async fn list_objects(&self, query: ListObjects) -> Result<ObjectPage, StorageError> {
        let shared = Arc::clone(&self.shared);
        let list = move || {
            let (start, end) = keys::objects(query.bucket.id);
            listing::list_objects(&shared.rows.view(&start, &end)?, &query)
        };
        self.shared.tools.pool.run(list).await
    }

    /// See [`ListVersions`].
    pub async fn list_versions(&self, query: ListVersions) -> Result<VersionPage, StorageError> {
        let shared = Arc::clone(&self.shared);
        let list = move || {
            let (objects, versions) = (keys::objects(query.bucket.id), keys::versions(query.bucket.id));
            let marker = query.key_after.as_deref().unwrap_or_default();
            let null = keys::null_version(query.bucket.id, marker.as_bytes());
            let null_end = [null.as_slice(), &[0]].concat();
            let ranges = [(&*null, &*null_end), (&*objects.0, &*objects.1), (&*versions.0, &*versions.1)];
            let view = shared.rows.view_of(&ranges)?;
            versions::list_versions(&view, &query)
        };
        self.shared.tools.pool.run(list).await
    }

    /// See [`CreateUpload`].
    pub async fn create_upload(&self, message: CreateUpload) -> Result<Arc<Upload>, StorageError> {
        self.check_room(0)?;
        self.check_quota_of_upload(&message.bucket, &message.key, &message.owner)?;
        self.commit(NewUpload(message)).await
    }

    /// The upload of this id. Errs: NoSuchUpload.
    pub fn upload(&self, bucket: &Bucket, key: &ObjectKey, id: UploadId) -> Result<Arc<Upload>, StorageError> {
        complete::find_upload(&self.shared.rows, bucket.id, key, id)
    }

    /// See [`PutPart`].
    pub async fn put_part(&self, mut message: PutPart) -> Result<Part, StorageError> {
        message.checksum = message.checksum.or(message.body.digests().checksum);
        self.commit(NewPart(message)).await
    }

    /// See [`ListParts`].
    pub async fn list_parts(&self, query: ListParts) -> Result<PartPage, StorageError> {
        let upload = self.upload(&query.bucket, &query.key, query.upload)?;
        let shared = Arc::clone(&self.shared);
        let list = move || {
            let (start, end) = keys::parts(query.bucket.id, query.upload);
            listing::list_parts(&shared.rows.view(&start, &end)?, &query, upload)
        };
        self.shared.tools.pool.run(list).await
    }

    /// See [`ListUploads`].
    pub async fn list_uploads(&self, query: ListUploads) -> Result<UploadPage, StorageError> {
        let shared = Arc::clone(&self.shared);
        let list = move || {
            let (start, end) = keys::uploads(query.bucket.id);
            listing::list_uploads(&shared.rows.view(&start, &end)?, &query)
        };
        self.shared.tools.pool.run(list).await
    }

    /// Checks a Complete request against the parts, cheaply, before any is assembled: the same refusals as
    /// [`StorageClient::complete_upload`] for whatever can be known now.
    pub fn precheck_complete(&self, request: &CompleteUpload) -> Result<(), StorageError> {
        match complete::check(&self.shared.rows, request) {
            Err(StorageError::NoSuchUpload { .. }) if complete::already_done(&self.shared.rows, request)?.is_some() => {
                Ok(())
            }
            other => {
                let upload = other?.upload;
                self.check_quota(&request.bucket, &request.key, &upload.owner, 0)
            }
        }
    }

    /// See [`CompleteUpload`].
    pub async fn complete_upload(&self, request: CompleteUpload) -> Result<Stored, StorageError> {
        if let Err(StorageError::NoSuchUpload { upload }) = self.upload(&request.bucket, &request.key, request.upload) {
            let done = complete::already_done(&self.shared.rows, &request)?;
            return done.ok_or(StorageError::NoSuchUpload { upload });
        }
        let shared = &self.shared;
        let entry = shared.uploads.entry(&shared.rows, request.bucket.id, request.upload)?;
        let closing = entry.close().await;
        let retry = request.clone();
        let working = Arc::clone(shared);
        let prepared = shared.long_pool.run(move || complete::prepare(&working, closing, request)).await;
        let result = match prepared {
            Ok(finish) => self.commit(finish).await.map(|(stored, _turn)| stored),
            Err(error) => Err(error),
        };
        match result {
            // Another request of the same list was first.
            Err(StorageError::NoSuchUpload { upload }) => {
                shared.uploads.remove(upload);
                let done = complete::already_done(&shared.rows, &retry)?;
                done.ok_or(StorageError::NoSuchUpload { upload })
            }
            other => other,
        }
    }

    /// See [`AbortUpload`].
    pub async fn abort_upload(&self, message: AbortUpload) -> Result<(), StorageError> {
        self.commit(EndUpload(message)).await
    }
}

/// Refuses a bucket whose folder cannot be, since something else has its name.
fn check_free(shared: &Shared, name: BucketName) -> Result<(), StorageError> {
    match shared.disk.list(Path::new(name.as_str())) {
        Ok(_) => Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(_) if shared.buckets.contains_key(&name) => Ok(()),
        Err(_) => Err(StorageError::NameTaken { bucket: name }),
    }
}

/// Refuses a bucket whose folder holds files that no row knows: they would vanish with it.
fn check_empty(shared: &Shared, bucket: &Bucket) -> Result<(), StorageError> {
    let not_empty = |unknown_file| StorageError::BucketNotEmpty { bucket: bucket.name.clone(), unknown_file };
    for (start, end) in [keys::objects(bucket.id), keys::versions(bucket.id)] {
        if shared.rows.first(&start, &end)?.is_some() {
            return Err(not_empty(None));
        }
    }
    shared.progress.wait_materialised(shared.progress.position().sequence, FOLLOW_PATIENCE)?;
    match first_file(&shared.disk, Path::new(bucket.name.as_str()), 0) {
        Ok(None) => Ok(()),
        Ok(Some(path)) => Err(not_empty(path.strip_prefix(bucket.name.as_str()).map(Path::to_owned).ok())),
        Err(e) if is_absent(&e) => Ok(()),
        Err(e) => Err(StorageError::io("list", bucket.name.as_str(), e)),
    }
}

/// Folders deeper than any key are not looked into.
const DEPTH_MAX: usize = 1024;

fn first_file(disk: &Disk, folder: &Path, depth: usize) -> std::io::Result<Option<PathBuf>> {
    for (name, is_folder) in disk.list(folder)? {
        let path = folder.join(name);
        if !is_folder || depth >= DEPTH_MAX {
            return Ok(Some(path));
        }
        if let Some(found) = first_file(disk, &path, depth + 1)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}
