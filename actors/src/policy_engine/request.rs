//! What is asked: whether somebody may do an action to a resource.

use super::context::ContextSource;
use crate::bucket_config::{Acl, BucketConfig, Tag};
use crate::iam::Principal;
use crate::names::{BucketName, CanonicalId};

/// What is asked for, and by whom.
#[derive(Debug, Clone, Copy)]
pub struct AccessRequest<'a> {
    /// The caller; `None` is the anonymous one.
    pub principal: Option<&'a Principal>,
    /// Name with service, such as `s3:GetObject`; aliases such as `s3:HeadBucket` count as what they check.
    pub action: &'a str,
    /// The bucket; `None` for what concerns the node.
    pub bucket: Option<&'a BucketName>,
    /// Owner of the bucket; `None` while it does not exist.
    pub bucket_owner: Option<&'a CanonicalId>,
    /// What is configured of the bucket; `None` while it does not exist.
    pub config: Option<&'a BucketConfig>,
    /// The decoded key.
    pub key: Option<&'a str>,
    /// ARN of what is asked for, where that is no bucket: a user, role, policy, key.
    pub resource: Option<&'a str>,
    /// The object of that key, or the version of it that the request names.
    pub object: ObjectState<'a>,
    /// What conditions may ask for.
    pub context: &'a dyn ContextSource,
}

/// What is known of an object.
#[derive(Debug, Clone, Copy)]
pub enum ObjectState<'a> {
    /// Nobody has looked yet.
    Unseen,
    /// There is none.
    Missing,
    /// It is there.
    Found(ObjectFacts<'a>),
}

/// An object, as decisions see it.
#[derive(Debug, Clone, Copy)]
pub struct ObjectFacts<'a> {
    /// Its owner.
    pub owner: &'a CanonicalId,
    /// Its access control list; absent means full control for its owner.
    pub acl: Option<&'a Acl>,
    /// Its tags.
    pub tags: &'a [Tag],
}
