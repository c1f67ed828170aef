//! Where right bytes may come from: the node gives the scrub something that speaks to the targets of replication.

use std::fmt;
use std::ops::Range;

use bytes::Bytes;
use futures_util::future::LocalBoxFuture;

use crate::names::{BucketName, ObjectKey};
use crate::storage::Object;

/// What a target answers, later; the error is for people.
pub type ReplicaFuture<'a, T> = LocalBoxFuture<'a, Result<T, String>>;

/// A version whose bytes are wanted.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Its bucket.
    pub bucket: &'a BucketName,
    /// Its key.
    pub key: &'a ObjectKey,
    /// What it is.
    pub object: &'a Object,
}

/// Reads from where buckets are replicated to.
pub trait Replicas: fmt::Debug + Send + Sync {
    /// Whether a rule sends this version somewhere.
    fn offers(&self, wanted: &Wanted<'_>) -> bool;

    /// The bytes of a range of it, as readers there get them. That they are the right ones is for the caller to find out.
    fn read<'a>(&'a self, wanted: Wanted<'a>, range: Range<u64>) -> ReplicaFuture<'a, Bytes>;
}

/// Nowhere.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoReplicas;

impl Replicas for NoReplicas {
    fn offers(&self, _: &Wanted<'_>) -> bool {
        false
    }

    fn read<'a>(&'a self, _: Wanted<'a>, _: Range<u64>) -> ReplicaFuture<'a, Bytes> {
        Box::pin(async { Err("the bucket is not replicated".to_owned()) })
    }
}
