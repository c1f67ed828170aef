//! Changes of buckets: made by Storage, told to the audit log. The only way by which handlers create, configure and delete
//! buckets, so that none of it goes untold.
//!
//! Change and entry are one piece of work that goes on when the client has gone.

use std::sync::Arc;

use myfsio_actors::audit::AuditEntry;
use myfsio_actors::names::BucketName;
use myfsio_actors::storage::{
    Bucket, BucketChange, ConfigureBucket, Configured, CreateBucket, DeleteBucket, StorageError, Versioning,
};
use serde_json::Value;
use tracing::Instrument as _;

use super::context::{Call, Expected};
use super::error::S3Error;
use super::handlers::bucket_policy::drop_policy;
use crate::node::Node;

/// What a change made of a bucket, as the audit log tells it.
struct Made<T> {
    answer: T,
    bucket: BucketName,
    before: Value,
    after: Value,
}

impl Call {
    /// Creates a bucket. Errs: as Storage does.
    pub async fn create_bucket(&self, message: CreateBucket) -> Result<Arc<Bucket>, StorageError> {
        let storage = self.storage().clone();
        let work = async move {
            let bucket = storage.create_bucket(message).await?;
            let after = described(&bucket);
            Ok(Made { bucket: bucket.name.clone(), answer: bucket, before: Value::Null, after })
        };
        self.make(work).await
    }

    /// Makes a change of the bucket that the request addresses. Errs: NoSuchBucket, PreconditionFailed when the bucket is not what the
    /// request expects, and as Storage does.
    pub async fn configure(&self, change: BucketChange) -> Result<Arc<Bucket>, S3Error> {
        let message = ConfigureBucket { bucket: self.bucket()?, change };
        let expected = match &self.expected {
            Some(Expected::Bucket(expected)) => Some(Arc::clone(expected)),
            Some(Expected::Object(_)) | None => None,
        };
        let storage = self.storage().clone();
        let work = async move {
            let Configured { before, after } = storage.configure_bucket_expecting(message, expected).await?;
            let (before, told) = (described(&before), described(&after));
            Ok(Made { bucket: after.name.clone(), answer: after, before, after: told })
        };
        Ok(self.make(work).await?)
    }

    /// Deletes the bucket that the request addresses, and its policy with it. Errs: NoSuchBucket, and as Storage does.
    pub async fn delete_bucket(&self) -> Result<(), S3Error> {
        let bucket = self.bucket()?;
        let (node, storage) = (Arc::clone(&self.node), self.storage().clone());
        let work = async move {
            let policy = policy_of(&node, &bucket.name);
            let bucket = storage.delete_bucket(DeleteBucket { bucket }).await?;
            let mut before = described(&bucket);
            if let (Value::Object(fields), Some(policy)) = (&mut before, policy) {
                fields.insert("policy".to_owned(), policy);
            }
            if let Err(error) = node.replication.bucket_deleted(bucket.name.clone()).await {
                tracing::warn!(bucket = %bucket.name, %error, "how a bucket that is gone was replicated could not be forgotten");
            }
            // Its failure is told, but the bucket is gone.
            let answer = drop_policy(&node, &bucket.name, None).await;
            Ok(Made { bucket: bucket.name.clone(), answer, before, after: Value::Null })
        };
        self.make(work).await?
    }

    /// Carries out a change and writes its entry, whoever waits for it.
    async fn make<T: 'static>(
        &self,
        work: impl Future<Output = Result<Made<T>, StorageError>> + 'static,
    ) -> Result<T, StorageError> {
        let (node, place) = (Arc::clone(&self.node), Arc::clone(&self.place));
        let (origin, action) = (self.changed_by(), format!("s3:{}", self.operation.name()));
        let work = async move {
            let _place = place;
            let Made { answer, bucket, before, after } = work.await?;
            let target = format!("arn:aws:s3:::{bucket}");
            let entry = AuditEntry::of_change(node.clock.now(), origin, &action, target, &before, &after);
            node.audit.record(entry.into_iter().collect()).await;
            Ok(answer)
        };
        let made = actix_rt::spawn(work.in_current_span()).await;
        made.unwrap_or_else(|broken| Err(StorageError::Unavailable { reason: broken.to_string() }))
    }
}

/// The bucket and all that is configured of it.
fn described(bucket: &Bucket) -> Value {
    let mut told = serde_json::to_value(&*bucket.config).unwrap_or_default();
    if let Value::Object(fields) = &mut told {
        // The node's own, not of anybody's asking.
        fields.shift_remove("keeps_times");
        fields.insert("owner".to_owned(), bucket.owner.as_str().into());
        let versioning = match bucket.versioning {
            Versioning::Off => None,
            Versioning::Enabled => Some("Enabled"),
            Versioning::Suspended => Some("Suspended"),
        };
        fields.extend(versioning.map(|state| ("versioning".to_owned(), state.into())));
    }
    told
}

fn policy_of(node: &Node, bucket: &BucketName) -> Option<Value> {
    let text = node.access.policy_engine.policy_text(bucket)?;
    serde_json::from_str(&text).ok()
}

#[cfg(test)]
mod tests {
    use myfsio_actors::bucket_config::{BucketConfig, ConfigChange};
    use myfsio_actors::names::{BucketId, CanonicalId, Stamp};
    use serde_json::json;

    use super::*;

    #[test]
    fn a_bucket_is_told_with_what_is_configured() {
        let mut config = BucketConfig { keeps_times: true, ..BucketConfig::default() };
        config.apply(ConfigChange::Tags(Some(vec![("team".to_owned(), "red".to_owned())])));
        let bucket = Bucket {
            id: BucketId(1),
            name: BucketName::parse("photos").unwrap(),
            owner: CanonicalId::from_bytes([0; 32]),
            created: Stamp(0),
            versioning: Versioning::Suspended,
            config: Arc::new(config),
        };
        let owner = "0".repeat(64);
        assert_eq!(described(&bucket), json!({ "tags": [["team", "red"]], "versioning": "Suspended", "owner": owner }));
    }
}
