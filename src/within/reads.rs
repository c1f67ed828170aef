//! What pages read, with the permission that the API asks for.

use std::sync::Arc;

use actix_web::http::Method;
use myfsio_actors::names::{BucketName, ObjectKey, UploadId, VersionId};
use myfsio_actors::storage::{
    Bucket, ListObjects, ListParts, ListUploads, ListVersions, Object, ObjectPage, PartPage, Purpose, UploadPage,
    VersionPage,
};

use super::{Asker, Refusal, Wish};
use crate::s3::authorize;
use crate::s3::error::S3Error;

/// A page of current objects.
#[derive(Debug, Clone, Default)]
pub struct ObjectsWanted {
    /// Only keys that begin with this.
    pub prefix: String,
    /// Whether keys are rolled up at slashes.
    pub in_folders: bool,
    /// Where to go on: a key, or, if `after_is_prefix`, a whole common prefix.
    pub after: Option<String>,
    /// What `after` is.
    pub after_is_prefix: bool,
    /// Most entries.
    pub limit: usize,
}

/// A page of versions and delete markers.
#[derive(Debug, Clone, Default)]
pub struct VersionsWanted {
    /// Only keys that begin with this.
    pub prefix: String,
    /// Whether keys are rolled up at slashes.
    pub in_folders: bool,
    /// Where to go on.
    pub after: Option<(String, Option<VersionId>)>,
    /// Most entries.
    pub limit: usize,
}

const SLASH: &str = "/";

impl Asker {
    /// The buckets that the asker owns or may list, in order of their names. Errs: as ListBuckets.
    pub async fn buckets(&self) -> Result<Vec<Arc<Bucket>>, Refusal> {
        let permitted = self.permit(Wish::default()).await?;
        let sees = permitted.call.sees_bucket();
        let buckets = self.node.storage.buckets();
        Ok(buckets.into_iter().filter(|bucket| sees(bucket)).collect())
    }

    /// A bucket that the asker may do anything with. Errs: NoSuchBucket; AccessDenied as HeadBucket.
    pub async fn bucket(&self, name: &str) -> Result<Arc<Bucket>, Refusal> {
        const ANY: [&str; 9] = [
            "s3:ListBucket",
            "s3:GetObject",
            "s3:PutObject",
            "s3:DeleteObject",
            "s3:GetBucketPolicy",
            "s3:GetBucketAcl",
            "s3:GetBucketVersioning",
            "s3:GetReplicationConfiguration",
            "s3:DeleteBucket",
        ];
        self.node.access.refresh().await;
        let name = BucketName::parse(name).map_err(|_| Refusal::invalid("No bucket can have this name."))?;
        if let Ok(bucket) = self.node.storage.bucket(&name)
            && ANY.iter().any(|action| {
                let key = action.ends_with("Object").then_some("");
                self.may(action, Some(&bucket), key)
            })
        {
            return Ok(bucket);
        }
        let wish = Wish { method: Method::HEAD, bucket: Some(&name), ..Wish::default() };
        let permitted = self.permit(wish).await?;
        permitted.call.bucket().map_err(Refusal::from)
    }

    /// A bucket that is there, whoever may do what with it. Errs: NoSuchBucket.
    pub fn known_bucket(&self, name: &BucketName) -> Result<Arc<Bucket>, Refusal> {
        Ok(self.node.storage.bucket(name).map_err(S3Error::from)?)
    }

    /// Current objects. Errs: as ListObjectsV2.
    pub async fn objects(&self, bucket: &Arc<Bucket>, wanted: ObjectsWanted) -> Result<ObjectPage, Refusal> {
        let limit = wanted.limit.to_string();
        let mut query = vec![("list-type", "2"), ("max-keys", limit.as_str()), ("prefix", wanted.prefix.as_str())];
        if wanted.in_folders {
            query.push(("delimiter", SLASH));
        }
        let permitted = self.permit(Wish { bucket: Some(&bucket.name), query: &query, ..Wish::default() }).await?;
        let listing = ListObjects {
            bucket: Arc::clone(bucket),
            prefix: wanted.prefix.clone(),
            delimiter: wanted.in_folders.then(|| SLASH.to_owned()),
            after: wanted.after,
            after_is_prefix: wanted.after_is_prefix,
            limit: wanted.limit,
        };
        match self.node.storage.list_objects(listing).await {
            Ok(page) => Ok(page),
            Err(error) => Err(permitted.refuse(error).into()),
        }
    }

    /// Versions and delete markers. Errs: as ListObjectVersions.
    pub async fn versions(&self, bucket: &Arc<Bucket>, wanted: VersionsWanted) -> Result<VersionPage, Refusal> {
        let limit = wanted.limit.to_string();
        let mut query = vec![("versions", ""), ("max-keys", limit.as_str()), ("prefix", wanted.prefix.as_str())];
        if wanted.in_folders {
            query.push(("delimiter", SLASH));
        }
        let permitted = self.permit(Wish { bucket: Some(&bucket.name), query: &query, ..Wish::default() }).await?;
        let (key_after, version_after) = match wanted.after {
            Some((key, version)) => (Some(key), version),
            None => (None, None),
        };
        let listing = ListVersions {
            bucket: Arc::clone(bucket),
            prefix: wanted.prefix.clone(),
            delimiter: wanted.in_folders.then(|| SLASH.to_owned()),
            key_after,
            version_after,
            limit: wanted.limit,
        };
        match self.node.storage.list_versions(listing).await {
            Ok(page) => Ok(page),
            Err(error) => Err(permitted.refuse(error).into()),
        }
    }

    /// Uploads in progress. Errs: as ListMultipartUploads.
    pub async fn uploads(
        &self,
        bucket: &Arc<Bucket>,
        prefix: &str,
        after: Option<(String, Option<UploadId>)>,
        limit: usize,
    ) -> Result<UploadPage, Refusal> {
        let query = [("uploads", ""), ("prefix", prefix)];
        let permitted = self.permit(Wish { bucket: Some(&bucket.name), query: &query, ..Wish::default() }).await?;
        let (key_after, upload_after) = after.map_or((None, None), |(key, upload)| (Some(key), upload));
        let listing = ListUploads {
            bucket: Arc::clone(bucket),
            prefix: prefix.to_owned(),
            delimiter: None,
            key_after,
            upload_after,
            limit,
        };
        match self.node.storage.list_uploads(listing).await {
            Ok(page) => Ok(page),
            Err(error) => Err(permitted.refuse(error).into()),
        }
    }

    /// Parts of an upload. Errs: as ListParts.
    pub async fn parts(
        &self,
        bucket: &Arc<Bucket>,
        key: &ObjectKey,
        upload: UploadId,
        number_after: u32,
    ) -> Result<PartPage, Refusal> {
        let id = upload.to_string();
        let query = [("uploadId", id.as_str())];
        let wish = Wish { bucket: Some(&bucket.name), key: Some(key), query: &query, ..Wish::default() };
        let permitted = self.permit(wish).await?;
        let listing = ListParts { bucket: Arc::clone(bucket), key: key.clone(), upload, number_after, limit: 1000 };
        match self.node.storage.list_parts(listing).await {
            Ok(page) => Ok(page),
            Err(error) => Err(permitted.refuse(error).into()),
        }
    }

    /// An object, or one version of it. Errs: as HeadObject, but told with a message.
    pub async fn object(
        &self,
        bucket: &Arc<Bucket>,
        key: &ObjectKey,
        version: Option<VersionId>,
    ) -> Result<Arc<Object>, Refusal> {
        self.look_at(bucket, key, version, false).await
    }

    /// The same, for its access control list. Errs: as GetObjectAcl.
    pub async fn object_for_list(
        &self,
        bucket: &Arc<Bucket>,
        key: &ObjectKey,
        version: Option<VersionId>,
    ) -> Result<Arc<Object>, Refusal> {
        self.look_at(bucket, key, version, true).await
    }

    async fn look_at(
        &self,
        bucket: &Arc<Bucket>,
        key: &ObjectKey,
        version: Option<VersionId>,
        for_list: bool,
    ) -> Result<Arc<Object>, Refusal> {
        let id = version.map(|version| version.to_string());
        let mut query = Vec::new();
        let method = if for_list { Method::GET } else { Method::HEAD };
        if for_list {
            query.push(("acl", ""));
        }
        if let Some(id) = &id {
            query.push(("versionId", id.as_str()));
        }
        let wish = Wish { method, bucket: Some(&bucket.name), key: Some(key), query: &query, ..Wish::default() };
        let permitted = self.permit(wish).await?;
        match authorize::open(&permitted.call, bucket, Purpose::Look).await {
            Ok(opened) => Ok(opened.object),
            Err(error) => Err(permitted.refuse(error).into()),
        }
    }
}
