//! The same content, encrypted otherwise; and how far that work is.

use super::object::ObjectWrite;
use super::{Mutation, Planner};
use crate::names::{ChecksumKind, ETag, Stamp, VersionId};
use crate::storage::body::ObjectBody;
use crate::storage::messages::{KeepReencryption, Object, ObjectChecksum, RewriteObject, WriteConditions};
use crate::storage::read::current_row;
use crate::storage::{StorageError, keys};

impl Mutation for RewriteObject {
    type Output = bool;

    fn plan(self, planner: &mut Planner<'_>) -> Result<bool, StorageError> {
        let Self { bucket, key, of, body } = self;
        let bucket = planner.live(&bucket)?;
        let current = current_row(planner.rows, bucket.id, &key)?.map(|(_, row)| row);
        let Some(row) = current.filter(|row| row.stamp == of.0) else { return Ok(false) };
        let ObjectBody { size, digests, etag, sealed, place: bytes, reserved } = body.into_object()?;
        let checksum = digests.checksum.map(|value| ObjectChecksum { value, kind: ChecksumKind::FullObject });
        let object = Object {
            version_id: VersionId::Null,
            stamp: Stamp(0),
            size,
            etag: ETag::single(etag),
            crc64nvme: digests.crc64nvme,
            checksum,
            upload: None,
            sealed,
            ..row.into_object(&bucket.owner)?
        };
        let conditions = WriteConditions::default();
        ObjectWrite { bucket: &bucket, key: &key, conditions: &conditions, object, bytes, reserved, replica: None }
            .plan(planner)?;
        Ok(true)
    }
}

impl Mutation for KeepReencryption {
    type Output = ();

    fn plan(self, planner: &mut Planner<'_>) -> Result<(), StorageError> {
        planner.change(keys::META_REENCRYPTION.to_vec(), self.0);
        Ok(())
    }
}
