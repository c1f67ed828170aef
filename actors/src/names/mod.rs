//! The words of S3 as types. Parsing is validating: a value of one of these types is well formed, so no code behind the
//! parser checks it again. No I/O, no clock, no async in here.

mod bucket_name;
mod change;
mod checksum;
mod etag;
mod ids;
mod object_key;
mod part_number;
mod stamp;

pub use bucket_name::{BucketName, InvalidBucketName, RESERVED_BUCKET_NAMES};
pub use change::{Change, NodeId, Seen};
pub use checksum::{Checksum, ChecksumAlgorithm, ChecksumKind};
pub use etag::{ETag, InvalidETag};
pub use ids::{AccessKeyId, BucketId, CanonicalId, InvalidId, UploadId, VersionId};
pub use object_key::{InvalidObjectKey, KEY_BYTES_MAX, ObjectKey};
pub use part_number::{InvalidPartNumber, PART_NUMBER_MAX, PartNumber};
pub use stamp::Stamp;
