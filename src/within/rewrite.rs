//! Other headers and metadata of an object: S3 has no operation for that but a copy of the object onto itself.

use std::sync::Arc;

use actix_web::http::Method;
use myfsio_actors::bucket_config::{Acl, Grantee, ObjectOwnership, Permission, RetentionMode};
use myfsio_actors::names::{ObjectKey, Stamp};
use myfsio_actors::storage::{Bucket, Controls, Object};

use super::{Asker, CopyLimits, Place, Refusal, Wish, patiently};
use crate::s3::controls::ownership_of;

/// How it is sealed, as answers tell it and requests ask for it.
const SEALING: [&str; 3] = [
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-server-side-encryption-bucket-key-enabled",
];
/// What may be granted on an object.
const GRANTS: [(&str, Permission); 4] = [
    ("x-amz-grant-read", Permission::Read),
    ("x-amz-grant-read-acp", Permission::ReadAcp),
    ("x-amz-grant-write-acp", Permission::WriteAcp),
    ("x-amz-grant-full-control", Permission::FullControl),
];

impl Asker {
    /// Gives the current object these headers and metadata instead of its own, as long as it is what has this ETag, by a copy onto its
    /// key. What else a copy would lose is asked for again: storage class, redirect, encryption, access control list and lock; tags and
    /// the kind of checksum stay by themselves. Errs: as CopyObject; InvalidArgument where that takes more than one request.
    pub async fn rewrite(
        &self,
        bucket: &Arc<Bucket>,
        key: &ObjectKey,
        object: &Object,
        attributes: &[(String, String)],
    ) -> Result<(), Refusal> {
        let limits = CopyLimits::of(&self.node.settings);
        if limits.is_large(object.size) {
            let most = limits.at_once;
            return Err(Refusal::invalid(format!(
                "The object is larger than one request copies ({most} bytes). Upload it again with the headers that it shall have."
            )));
        }
        let etag = format!("\"{}\"", object.etag);
        let mut headers = self.sealing(bucket, key, &etag).await?;
        headers.extend(kept(object, ownership_of(bucket), self.node.clock.now()));
        headers.push(("x-amz-metadata-directive", "REPLACE".to_owned()));
        headers.push(("x-amz-copy-source-if-match", etag.clone()));
        headers.push(("if-match", etag));
        let given = attributes.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let all: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).chain(given).collect();
        let place = Place { bucket: &bucket.name, key, version: None };
        patiently(async || self.copy(place, &bucket.name, key, &all).await).await
    }

    async fn sealing(
        &self,
        bucket: &Bucket,
        key: &ObjectKey,
        etag: &str,
    ) -> Result<Vec<(&'static str, String)>, Refusal> {
        let (method, bucket, key) = (Method::HEAD, Some(&bucket.name), Some(key));
        let answer = self.s3(Wish { method, bucket, key, headers: &[("if-match", etag)], ..Wish::default() }).await?;
        let told = |name| answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        Ok(SEALING.into_iter().filter_map(|name| Some((name, told(name)?))).collect())
    }
}

/// Headers that ask for what a copy does not keep by itself.
fn kept(object: &Object, ownership: ObjectOwnership, now: Stamp) -> Vec<(&'static str, String)> {
    let own = &object.attributes;
    let named =
        [("x-amz-storage-class", &own.storage_class), ("x-amz-website-redirect-location", &own.website_redirect)];
    let mut headers: Vec<_> = named.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))).collect();
    if let Some(acl) = object.controls.acl.as_ref().filter(|_| ownership != ObjectOwnership::BucketOwnerEnforced) {
        headers.extend(grants(acl));
    }
    headers.extend(lock(&object.controls, now));
    headers
}

fn grants(acl: &Acl) -> Vec<(&'static str, String)> {
    let named = |grantee: &Grantee| match grantee {
        Grantee::User(id) => Some(format!("id=\"{}\"", id.as_str())),
        Grantee::AllUsers => Some("uri=\"http://acs.amazonaws.com/groups/global/AllUsers\"".to_owned()),
        Grantee::AuthenticatedUsers => {
            Some("uri=\"http://acs.amazonaws.com/groups/global/AuthenticatedUsers\"".to_owned())
        }
        Grantee::LogDelivery => None,
    };
    let of = |(name, permission)| {
        let given = acl.grants.iter().filter(|grant| grant.permission == permission);
        let grantees: Vec<String> = given.filter_map(|grant| named(&grant.grantee)).collect();
        (!grantees.is_empty()).then(|| (name, grantees.join(", ")))
    };
    GRANTS.into_iter().filter_map(of).collect()
}

fn lock(controls: &Controls, now: Stamp) -> Vec<(&'static str, String)> {
    let mut headers = Vec::new();
    let now_millis = now.seconds().saturating_mul(1000);
    if let Some(retention) = controls.retention.filter(|retention| retention.until_millis > now_millis) {
        let mode = match retention.mode {
            RetentionMode::Governance => "GOVERNANCE",
            RetentionMode::Compliance => "COMPLIANCE",
        };
        let until = Stamp(retention.until_millis.saturating_mul(1_000_000)).rfc3339();
        headers.push(("x-amz-object-lock-mode", mode.to_owned()));
        headers.push(("x-amz-object-lock-retain-until-date", until));
    }
    if controls.is_held() {
        headers.push(("x-amz-object-lock-legal-hold", "ON".to_owned()));
    }
    headers
}
