//! STUB of the interface; being written.
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;

use super::{Object, StorageError};
use crate::names::{Checksum, PartNumber};

/// An object opened for reading: row and bytes belong together, whatever is written to the key meanwhile.
#[derive(Debug)]
pub struct OpenObject {
    /// The object.
    pub object: Arc<Object>,
}

impl OpenObject {
    /// Streams the bytes of `range`, which lies within the object. A read of all bytes is verified: a small one before
    /// the first byte, a larger one before the last chunk.
    pub fn read(self, _range: Range<u64>) -> ObjectReader {
        unimplemented!()
    }
}

/// Bytes of an object, in order. Ends early with an error when they cannot be read or are not those that were stored.
#[derive(Debug)]
pub struct ObjectReader {}

impl Stream for ObjectReader {
    type Item = Result<Bytes, StorageError>;
    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        unimplemented!()
    }
}

/// A part of an assembled object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectPart {
    /// Its number in the Complete request.
    pub number: PartNumber,
    /// Its first byte within the object.
    pub offset: u64,
    /// Size in bytes.
    pub size: u64,
    /// Its checksum, if the client asked for one.
    pub checksum: Option<Checksum>,
}
