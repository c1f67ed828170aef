//! Beginning, filling, completing and ending uploads.

use std::sync::Arc;

use super::key_use::KeyTally;
use super::{Effect, Growth, Mutation, ObjectWrite, Planner, random};
use crate::names::{BucketId, ObjectKey, Stamp, UploadId, VersionId};
use crate::storage::body::{BodyPlace, PartBody};
use crate::storage::messages::{
    AbortUpload, Applied, CompleteUpload, CreateUpload, Object, Part, PutPart, RewrapUpload, Sealed, Stored, Upload,
};
use crate::storage::parts::{Assembly, StoredPart};
use crate::storage::rows::{self, EncryptionRow, PartListRow, PartRow, UploadRow};
use crate::storage::staging::StagedFile;
use crate::storage::steps::Step;
use crate::storage::uploads::Closing;
use crate::storage::{StorageError, keys};

pub(in crate::storage) struct NewUpload(pub CreateUpload);

impl Mutation for NewUpload {
    type Output = Arc<Upload>;

    fn plan(self, planner: &mut Planner<'_>) -> Result<Self::Output, StorageError> {
        let CreateUpload { bucket, key, owner, attributes, controls, checksum, encryption } = self.0;
        let bucket = planner.live(&bucket)?;
        let id = UploadId { stamp: planner.stamp(None), random: random()? };
        let upload = Upload { id, key, owner, attributes, controls, checksum, encryption };
        let row = UploadRow::of(&upload);
        let mut tally = KeyTally::default();
        tally.upload(row.encryption.as_ref(), 1);
        tally.count(planner)?;
        planner.change(keys::upload(bucket.id, upload.key.as_bytes(), id), Some(rows::encode(&row)?));
        Ok(Arc::new(upload))
    }
}

impl Mutation for RewrapUpload {
    type Output = bool;

    fn plan(self, planner: &mut Planner<'_>) -> Result<bool, StorageError> {
        let bucket = planner.live(&self.bucket)?;
        let (row_key, row) = upload_row(planner, bucket.id, &self.key, self.upload)?;
        if row.encryption != Some(EncryptionRow::of(&self.from)) {
            return Ok(false);
        }
        let changed = UploadRow { encryption: Some(EncryptionRow::of(&self.to)), ..row.clone() };
        let mut tally = KeyTally::default();
        tally.upload(row.encryption.as_ref(), -1);
        tally.upload(changed.encryption.as_ref(), 1);
        tally.count(planner)?;
        planner.change(row_key, Some(rows::encode(&changed)?));
        Ok(true)
    }
}

/// The row of an upload, with its key. Errs: NoSuchUpload.
fn upload_row(
    planner: &Planner<'_>,
    bucket: BucketId,
    key: &ObjectKey,
    id: UploadId,
) -> Result<(Vec<u8>, UploadRow), StorageError> {
    let row_key = keys::upload(bucket, key.as_bytes(), id);
    let row = planner.rows.get(&row_key)?.ok_or(StorageError::NoSuchUpload { upload: id })?;
    Ok((row_key, rows::decode(&row)?))
}

/// A part whose bytes are staged.
pub(in crate::storage) struct NewPart(pub PutPart);

impl Mutation for NewPart {
    type Output = Part;

    fn plan(self, planner: &mut Planner<'_>) -> Result<Part, StorageError> {
        let PutPart { bucket, key, upload, number, body, checksum } = self.0;
        let bucket = planner.live(&bucket)?;
        let row = planner.rows.get(&keys::upload(bucket.id, key.as_bytes(), upload))?;
        let owner = rows::decode::<UploadRow>(&row.ok_or(StorageError::NoSuchUpload { upload })?)?.owner()?;
        let PartBody { size, digests, etag, sealed, staged, reserved } = body.into_part()?;
        let row_key = keys::part(bucket.id, upload, number);
        let previous = planner.rows.get(&row_key)?.map(|row| rows::decode::<PartRow>(&row)).transpose()?;
        let mut row = PartRow {
            stamp: planner.stamp(None).0,
            size,
            md5: etag,
            crc64nvme: digests.crc64nvme,
            checksum_algorithm: None,
            checksum: Vec::new(),
            file: staged.file_name().to_owned(),
            offset: staged.offset(),
            grid: staged.grid(),
            left_grid: previous.as_ref().and_then(|p| match p.grid {
                Some(_) => Some(p.file.clone()),
                None => p.left_grid.clone(),
            }),
            sealed,
            damaged: None,
        };
        row.set_checksum(checksum);
        let part = row.to_part(number)?;
        planner.change(row_key, Some(rows::encode(&row)?));
        let removed = previous.as_ref().map_or(0, |previous| previous.size);
        planner.count_parts(&bucket, (&key, upload), &owner, removed, size)?;
        planner.charge(reserved, Growth::Within)?;
        if let Some(previous) = previous.filter(|p| p.grid.is_none()) {
            planner.step(Step::Discard { name: previous.file });
        }
        staged.commit();
        Ok(part)
    }
}

/// An upload whose parts have been put together.
pub(in crate::storage) struct Finish {
    pub request: CompleteUpload,
    pub upload: Arc<Upload>,
    pub assembly: Assembly,
    /// The file that holds the object; its guard removes it when the commit is refused, unless it is the upload's own.
    pub file: FinishedFile,
    /// Keeps parts and other Complete requests away from that file until the commit can be seen.
    pub closing: Closing,
}

/// The staged file of an assembled object.
pub(in crate::storage) enum FinishedFile {
    /// One of the upload's own files: stays with the upload when the commit is refused.
    Own(String),
    /// A file made for this request.
    Fresh(StagedFile),
}

impl Mutation for Finish {
    /// With the request's turn, which the answer ends and not the plan: who came next would find the rows as they were.
    type Output = (Stored, Closing);

    fn plan(mut self, planner: &mut Planner<'_>) -> Result<(Stored, Closing), StorageError> {
        let CompleteUpload { bucket, key, upload: id, conditions, replica, .. } = &self.request;
        let replica = replica.clone();
        let bucket = planner.live(bucket)?;
        let (_, upload) = upload_row(planner, bucket.id, key, *id)?;
        let stored = stored_parts(planner, bucket.id, *id)?;
        for listed in &self.assembly.parts {
            if !stored.contains(listed) {
                let (part, etag) = (listed.number, listed.part.etag);
                let is_marked = |p: &StoredPart| p.number == part && p.row.stamp == listed.row.stamp;
                return Err(match stored.iter().any(is_marked) {
                    true => StorageError::DamagedPart { part, etag },
                    false => StorageError::InvalidPart { part, etag },
                });
            }
        }
        // Its data key may have been wrapped anew while the parts were put together.
        let encryption = upload.encryption.map(EncryptionRow::into_encryption).transpose()?;
        let sealed = self.assembly.sealed.zip(encryption).map(|(sealed, encryption)| Sealed { encryption, ..sealed });
        let object = Object {
            version_id: VersionId::Null,
            stamp: Stamp(0),
            size: self.assembly.size,
            etag: self.assembly.etag,
            crc64nvme: self.assembly.crc64nvme,
            checksum: self.assembly.checksum,
            owner: self.upload.owner.clone(),
            attributes: self.upload.attributes.clone(),
            controls: self.upload.controls.clone(),
            upload: Some(*id),
            sealed,
            lineage: None,
        };
        let file = match self.file {
            FinishedFile::Own(name) => StagedFile::adopted(name),
            FinishedFile::Fresh(file) => file,
        };
        let name = file.name().to_owned();
        let bytes = BodyPlace::Staged(file);
        let has_list = object.listed_parts().is_some();
        // Before the object is counted: what its parts held is its own now.
        planner.count_parts(&bucket, (key, *id), &self.upload.owner, bytes_of(&stored), 0)?;
        let write = ObjectWrite { bucket: &bucket, key, conditions, object, bytes, reserved: None, replica };
        let stored_object = write.plan(planner)?;
        if stored_object.applied == Applied::Known {
            // Nothing of it is wanted.
            end_upload(planner, bucket.id, key, *id, &stored, None)?;
            self.closing.end();
            return Ok((stored_object, self.closing));
        }
        if has_list {
            let parts: Vec<Part> = self.assembly.parts.iter().map(|p| p.part).collect();
            let list = rows::encode(&PartListRow::of(&parts))?;
            planner.change(keys::part_list(bucket.id, stored_object.object.stamp), Some(list));
        }
        end_upload(planner, bucket.id, key, *id, &stored, Some(&name))?;
        self.closing.end();
        Ok((stored_object, self.closing))
    }
}

pub(in crate::storage) struct EndUpload(pub AbortUpload);

impl Mutation for EndUpload {
    type Output = ();

    fn plan(self, planner: &mut Planner<'_>) -> Result<(), StorageError> {
        let AbortUpload { bucket, key, upload } = self.0;
        let bucket = planner.live(&bucket)?;
        let row = planner.rows.get(&keys::upload(bucket.id, key.as_bytes(), upload))?;
        let owner = rows::decode::<UploadRow>(&row.ok_or(StorageError::NoSuchUpload { upload })?)?.owner()?;
        let stored = stored_parts(planner, bucket.id, upload)?;
        planner.count_parts(&bucket, (&key, upload), &owner, bytes_of(&stored), 0)?;
        end_upload(planner, bucket.id, &key, upload, &stored, None)
    }
}

fn stored_parts(planner: &Planner<'_>, bucket: BucketId, id: UploadId) -> Result<Vec<StoredPart>, StorageError> {
    crate::storage::uploads::stored_parts(planner.rows, bucket, id)
}

/// Bytes of all parts, also of those that an object was not made of.
fn bytes_of(stored: &[StoredPart]) -> u64 {
    stored.iter().map(|part| part.row.size).sum()
}

/// Removes the rows of an upload and its files but `kept`, which is the new object's. Errs: NoSuchUpload.
fn end_upload(
    planner: &mut Planner<'_>,
    bucket: BucketId,
    key: &ObjectKey,
    id: UploadId,
    stored: &[StoredPart],
    kept: Option<&str>,
) -> Result<(), StorageError> {
    let (row_key, row) = upload_row(planner, bucket, key, id)?;
    let mut tally = KeyTally::default();
    tally.upload(row.encryption.as_ref(), -1);
    tally.count(planner)?;
    planner.change(row_key, None);
    let mut files: Vec<&str> = Vec::new();
    for part in stored {
        planner.change(keys::part(bucket, id, part.number), None);
        for name in std::iter::once(&part.row.file).chain(&part.row.left_grid) {
            if Some(name.as_str()) != kept && !files.contains(&name.as_str()) {
                files.push(name);
            }
        }
    }
    for name in files {
        planner.step(Step::Discard { name: name.to_owned() });
    }
    planner.effects.push(Effect::UploadEnded(id));
    Ok(())
}
