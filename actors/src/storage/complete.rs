//! Putting an upload's parts together, before the commit: which file is the object's, and copying what is not in it yet.

use std::collections::HashSet;
use std::sync::Arc;

use super::StorageError;
use super::disk::DiskFile;
use super::engine::Shared;
use super::keys;
use super::messages::{CompleteUpload, Stored, Upload, Versioning};
use super::overlay::Rows;
use super::parts::{self, Assembly, Copy, Layout, StoredPart};
use super::plan::{Finish, FinishedFile, check_conditions};
use super::read::object_row;
use super::rows::{self, UploadRow};
use super::steps::staged_path;
use super::uploads::{Closing, stored_parts};
use crate::names::{ObjectKey, UploadId};

/// The upload of this id and key.
pub(super) fn find_upload(
    rows: &dyn Rows,
    bucket: crate::names::BucketId,
    key: &ObjectKey,
    id: UploadId,
) -> Result<Arc<Upload>, StorageError> {
    let row = rows.get(&keys::upload(bucket, key.as_bytes(), id))?.ok_or(StorageError::NoSuchUpload { upload: id })?;
    Ok(Arc::new(rows::decode::<UploadRow>(&row)?.into_upload(key.clone(), id)?))
}

/// The object that an earlier, identical request made of this upload.
pub(super) fn already_done(rows: &dyn Rows, request: &CompleteUpload) -> Result<Option<Stored>, StorageError> {
    let Ok(row) = object_row(rows, &request.bucket, &request.key, None) else { return Ok(None) };
    let object = row.into_object(&request.bucket.owner)?;
    // It may have been moved to another key since, and tells still what it told.
    let is_its = |is_hidden| object.etag == parts::etag_of(request, is_hidden);
    let same = object.upload == Some(request.upload) && (is_its(false) || is_its(true));
    Ok(same.then(|| Stored {
        object: Arc::new(object),
        versioned: request.bucket.versioning != Versioning::Off,
        applied: super::messages::Applied::default(),
    }))
}

/// What a request is about, if it may go on.
pub(super) struct Checked {
    pub upload: Arc<Upload>,
    /// All parts of the upload, as the assembly was made of them.
    stored: Vec<StoredPart>,
    assembly: Assembly,
}

/// Checks a request against upload, parts and current object as they are now.
pub(super) fn check(rows: &dyn Rows, request: &CompleteUpload) -> Result<Checked, StorageError> {
    let upload = find_upload(rows, request.bucket.id, &request.key, request.upload)?;
    let stored = stored_parts(rows, request.bucket.id, request.upload)?;
    let assembly = parts::assemble(request, &upload, &stored)?;
    let current = match object_row(rows, &request.bucket, &request.key, None) {
        Ok(row) => Some(row),
        Err(StorageError::NoSuchKey { .. }) => None,
        Err(error) => return Err(error),
    };
    check_conditions(&request.conditions, &request.key, current.as_ref())?;
    Ok(Checked { upload, stored, assembly })
}

/// Puts the object together and makes it durable; blocks, for as long as copying takes.
pub(super) fn prepare(shared: &Shared, closing: Closing, request: CompleteUpload) -> Result<Finish, StorageError> {
    let taken = closing.taken();
    loop {
        let Checked { upload, stored, assembly } = check(&shared.rows, &request)?;
        match put_together(shared, &assembly, &stored, &taken) {
            Ok(file) => return Ok(Finish { request, upload, assembly, file, closing }),
            // A part that came again, or the end of the upload, took away the files of before.
            Err(error) if stored_parts(&shared.rows, request.bucket.id, request.upload)? == stored => {
                return Err(error);
            }
            Err(_) => {}
        }
    }
}

fn put_together(
    shared: &Shared,
    assembly: &Assembly,
    stored: &[StoredPart],
    taken: &HashSet<u16>,
) -> Result<FinishedFile, StorageError> {
    // A slot without a row is being written, or its part is on its way into the journal.
    let settled = |number: &u16| stored.iter().any(|p| p.number.get() == *number && p.row.grid.is_some());
    let writing = !taken.iter().all(settled);
    match parts::layout(&assembly.parts, stored, writing) {
        Layout::InPlace { file, copies } => {
            if !copies.is_empty() {
                let path = staged_path(&file);
                let target = shared.disk.open_writable(&path).map_err(|e| StorageError::io("open", &path, e))?;
                copy_all(shared, &copies, &target)?;
            }
            Ok(FinishedFile::Own(file))
        }
        Layout::Fresh { copies } => {
            let staged = shared.tools.staging.take()?;
            let target = staged.file().ok_or(StorageError::BodyUnfinished)?;
            copy_all(shared, &copies, &target)?;
            Ok(FinishedFile::Fresh(staged))
        }
    }
}

fn copy_all(shared: &Shared, copies: &[Copy], target: &DiskFile) -> Result<(), StorageError> {
    let _claim = shared.space.claim(copies.iter().map(|copy| copy.size).sum())?;
    for copy in copies {
        let path = staged_path(&copy.file);
        let source = shared.disk.open_file(&path).map_err(|e| StorageError::io("open", &path, e))?;
        target.copy_from(&source, copy.from, copy.to, copy.size).map_err(|e| StorageError::io("copy", &path, e))?;
    }
    shared.disk.sync_data(target).map_err(|e| StorageError::io("sync", "assembled object", e))
}
