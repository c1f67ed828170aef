//! STUB of the interface; being written.
use std::ops::Range;
use std::sync::Arc;

use super::*;
use crate::names::{BucketName, ObjectKey, VersionId};

/// The only way into Storage. Cheap to clone.
#[derive(Debug, Clone)]
pub struct StorageClient {}

impl StorageClient {
    /// The bucket of this name. Errs: NoSuchBucket.
    pub fn bucket(&self, _name: &BucketName) -> Result<Arc<Bucket>, StorageError> {
        unimplemented!()
    }
    /// All buckets in order of their names.
    pub fn buckets(&self) -> Vec<Arc<Bucket>> {
        unimplemented!()
    }
    /// What a bucket holds.
    pub fn usage(&self, _bucket: &Bucket) -> Result<Usage, StorageError> {
        unimplemented!()
    }
    /// Why nothing is acknowledged any more; none while all is well.
    pub fn failure(&self) -> Option<String> {
        unimplemented!()
    }
    /// See [`CreateBucket`].
    pub async fn create_bucket(&self, _message: CreateBucket) -> Result<Arc<Bucket>, StorageError> {
        unimplemented!()
    }
    /// See [`DeleteBucket`].
    pub async fn delete_bucket(&self, _message: DeleteBucket) -> Result<(), StorageError> {
        unimplemented!()
    }
    /// The current object, or one version of it. Errs: NoSuchKey, NoSuchVersion, IsDeleteMarker.
    pub fn object(
        &self,
        _bucket: &Bucket,
        _key: &ObjectKey,
        _version: Option<VersionId>,
    ) -> Result<Arc<Object>, StorageError> {
        unimplemented!()
    }
    /// The same, opened for reading.
    pub async fn open_object(
        &self,
        _bucket: &Bucket,
        _key: &ObjectKey,
        _version: Option<VersionId>,
    ) -> Result<OpenObject, StorageError> {
        unimplemented!()
    }
    /// The parts of an assembled object; empty for one written by a single request.
    pub fn object_parts(&self, _bucket: &Bucket, _object: &Object) -> Result<Vec<ObjectPart>, StorageError> {
        unimplemented!()
    }
    /// Begins a body for [`PutObject`]; `size` is the declared size in bytes, if known.
    pub fn begin_body(&self, _size: Option<u64>, _digests: DigestPlan) -> Result<BodyWriter, StorageError> {
        unimplemented!()
    }
    /// Begins a body for [`PutPart`]. Errs: NoSuchUpload.
    pub async fn begin_part(&self, _begin: BeginPart, _digests: DigestPlan) -> Result<BodyWriter, StorageError> {
        unimplemented!()
    }
    /// Copies a range of an object into a body, off the request's thread. Verified like a read.
    pub async fn copy_body(
        &self,
        _source: OpenObject,
        _range: Range<u64>,
        _target: BodyWriter,
    ) -> Result<FinishedBody, StorageError> {
        unimplemented!()
    }
    /// See [`PutObject`].
    pub async fn put_object(&self, _message: PutObject) -> Result<Stored, StorageError> {
        unimplemented!()
    }
    /// See [`DeleteObject`].
    pub async fn delete_object(&self, _message: DeleteObject) -> Result<Deleted, StorageError> {
        unimplemented!()
    }
    /// Checks write conditions against the state now, before a body is read; the commit decides.
    pub fn precheck(
        &self,
        _bucket: &Bucket,
        _key: &ObjectKey,
        _conditions: &WriteConditions,
    ) -> Result<(), StorageError> {
        unimplemented!()
    }
    /// See [`ListObjects`].
    pub async fn list_objects(&self, _query: ListObjects) -> Result<ObjectPage, StorageError> {
        unimplemented!()
    }
    /// See [`ListVersions`].
    pub async fn list_versions(&self, _query: ListVersions) -> Result<VersionPage, StorageError> {
        unimplemented!()
    }
    /// See [`CreateUpload`].
    pub async fn create_upload(&self, _message: CreateUpload) -> Result<Arc<Upload>, StorageError> {
        unimplemented!()
    }
    /// The upload of this id. Errs: NoSuchUpload.
    pub fn upload(
        &self,
        _bucket: &Bucket,
        _key: &ObjectKey,
        _id: crate::names::UploadId,
    ) -> Result<Arc<Upload>, StorageError> {
        unimplemented!()
    }
    /// See [`PutPart`].
    pub async fn put_part(&self, _message: PutPart) -> Result<Part, StorageError> {
        unimplemented!()
    }
    /// See [`ListParts`].
    pub async fn list_parts(&self, _query: ListParts) -> Result<PartPage, StorageError> {
        unimplemented!()
    }
    /// See [`ListUploads`].
    pub async fn list_uploads(&self, _query: ListUploads) -> Result<UploadPage, StorageError> {
        unimplemented!()
    }
    /// Checks a Complete request against the parts, cheaply, before any is assembled: the same refusals as
    /// [`StorageClient::complete_upload`] for whatever can be known now.
    pub fn precheck_complete(&self, _message: &CompleteUpload) -> Result<(), StorageError> {
        unimplemented!()
    }
    /// See [`CompleteUpload`].
    pub async fn complete_upload(&self, _message: CompleteUpload) -> Result<Stored, StorageError> {
        unimplemented!()
    }
    /// See [`AbortUpload`].
    pub async fn abort_upload(&self, _message: AbortUpload) -> Result<(), StorageError> {
        unimplemented!()
    }
}
