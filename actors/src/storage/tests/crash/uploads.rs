//! Uploads in parts, as their only client knows them.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::super::envelopes;
use super::super::fixtures::{completion, key, md5_of, owner};
use super::client::{Client, Thing, Value, object};
use crate::bucket_config::LifecycleKind;
use crate::names::PartNumber;
use crate::storage::*;

/// An upload as its client knows it.
pub struct Uploading {
    pub(super) bucket: Arc<Bucket>,
    pub(super) thing: Thing,
    pub(super) upload: Arc<Upload>,
    parts: BTreeMap<u16, Bytes>,
    /// The master key to which it was wrapped anew.
    pub(super) master: Option<String>,
}

impl Uploading {
    /// Its parts, as the request that completes it lists them.
    pub(super) fn completed(&self) -> Vec<CompletedPart> {
        let listed = self.parts.iter().map(|(number, bytes)| CompletedPart {
            number: PartNumber::new(u32::from(*number)).unwrap(),
            etag: crate::names::ETag::single(md5_of(bytes)),
            checksum: None,
        });
        listed.collect()
    }
}

impl Client<'_> {
    pub async fn expire_upload(&self, upload: Uploading) -> Result<(), StorageError> {
        let Thing::Upload(bucket, name) = upload.thing.clone() else { unreachable!() };
        self.expire(&bucket, &name, LifecycleKind::Upload, vec![(upload.thing, Value::Absent)]).await
    }

    pub async fn begin(&self, bucket: &str, name: &str) -> Result<Uploading, StorageError> {
        let there = self.bucket(bucket)?;
        let thing = Thing::Upload(bucket.to_owned(), name.to_owned());
        let message = CreateUpload {
            bucket: Arc::clone(&there),
            key: key(name),
            owner: owner(),
            attributes: Attributes::default(),
            controls: Controls::default(),
            checksum: None,
            encryption: self.envelope(&there, name).map(|envelope| envelope.encryption),
        };
        let changes = vec![(thing.clone(), Value::Parts(BTreeMap::new()))];
        let upload = self.send(changes, self.storage.create_upload(message)).await?;
        Ok(Uploading { bucket: there, thing, upload, parts: BTreeMap::new(), master: None })
    }

    pub async fn part(&self, upload: &mut Uploading, number: u16, bytes: Bytes) -> Result<(), StorageError> {
        let mut parts: BTreeMap<_, _> = upload.parts.iter().map(|(n, bytes)| (*n, md5_of(bytes))).collect();
        parts.insert(number, md5_of(&bytes));
        let request = async {
            let number = PartNumber::new(u32::from(number)).unwrap();
            let begin = BeginPart {
                bucket: Arc::clone(&upload.bucket),
                key: upload.upload.key.clone(),
                upload: upload.upload.id,
                number,
                size: bytes.len() as u64,
            };
            let encryption = upload.upload.encryption.as_ref();
            let data_key = encryption.map(|e| envelopes::open(e, &upload.bucket, upload.upload.key.as_str()));
            let mut writer = self.storage.begin_part(begin, DigestPlan::default(), data_key.as_ref()).await?;
            writer.write(bytes.clone()).await?;
            let message = PutPart {
                bucket: Arc::clone(&upload.bucket),
                key: upload.upload.key.clone(),
                upload: upload.upload.id,
                number,
                body: writer.finish().await?,
                checksum: None,
            };
            self.storage.put_part(message).await
        };
        self.send(vec![(upload.thing.clone(), Value::Parts(parts))], request).await?;
        upload.parts.insert(number, bytes);
        Ok(())
    }

    pub async fn complete(&self, upload: Uploading) -> Result<(), StorageError> {
        let Thing::Upload(bucket, name) = &upload.thing else { unreachable!() };
        let whole: Vec<u8> = upload.parts.values().flat_map(|bytes| bytes.iter().copied()).collect();
        let mut changes = object(bucket, name, Some(whole.into()));
        if let (Some(master), Some((_, value))) = (&upload.master, changes.get_mut(1)) {
            *value = Value::Master(master.clone());
        }
        changes.push((upload.thing.clone(), Value::Absent));
        let request = completion(&upload.bucket, &upload.upload, upload.completed());
        self.send(changes, self.storage.complete_upload(request)).await.map(drop)
    }

    pub async fn abort(&self, upload: Uploading) -> Result<(), StorageError> {
        let message = AbortUpload {
            bucket: Arc::clone(&upload.bucket),
            key: upload.upload.key.clone(),
            upload: upload.upload.id,
        };
        self.send(vec![(upload.thing.clone(), Value::Absent)], self.storage.abort_upload(message)).await
    }
}
