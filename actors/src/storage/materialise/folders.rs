//! The folders of buckets, those above files, and those that are keys of their own.

use std::io;
use std::path::Path;

use super::{Materialiser, io_at, row_at};
use crate::names::{BucketId, BucketName};
use crate::storage::disk::{STAGING_FOLDER, is_absent, is_blocked, is_forbidden};
use crate::storage::index::RowChange;
use crate::storage::rows::{self, FileTag, ObjectRow};
use crate::storage::steps::{config_path, is_plain_path, system_folder, trash_path};
use crate::storage::{StorageError, keys};

impl Materialiser<'_> {
    pub(super) fn make_bucket(&self, name: &str, changes: &[RowChange]) -> Result<(), StorageError> {
        match self.disk.make_folders(Path::new(name)) {
            // Another file system is mounted there, or it is no folder: its objects go to overflow.
            Err(e) if is_blocked(&e) && !is_forbidden(&e) => {
                tracing::warn!(bucket = name, error = %e, "something else stands where the folder of a bucket belongs");
                return Ok(());
            }
            other => io_at("make", name, other)?,
        }
        let row = changes.iter().find(|(key, _)| rows::bucket_name(key).is_ok_and(|bucket| bucket.as_str() == name));
        if let Some((_, Some(row))) = row {
            io_at("open", name, self.disk.open_folder_file(Path::new(name)))?.set_tag(row);
        }
        Ok(())
    }

    /// Leaves what is configured of a bucket in a file of its own, and its row with its folder: `reindex` reads them.
    pub(super) fn describe_bucket(&self, id: BucketId, name: &str, config: Option<&[u8]>) -> Result<(), StorageError> {
        let path = config_path(id);
        match config {
            Some(config) => {
                let staged = Path::new(STAGING_FOLDER).join("next");
                let file = io_at("create", &staged, self.disk.create(&staged))?;
                io_at("write", &staged, file.write_all_at(config, 0))?;
                io_at("put in place", &path, self.put_in_place(&staged, &path))?;
            }
            None => match self.disk.remove_file(&path) {
                Err(e) if is_absent(&e) => {}
                other => io_at("remove", &path, other)?,
            },
        }
        let row = BucketName::parse(name).ok().map(|name| self.rows.get(&keys::bucket(&name))).transpose()?.flatten();
        if let (Some(row), Ok(folder)) = (row, self.disk.open_folder_file(Path::new(name))) {
            folder.set_tag(&row);
        }
        Ok(())
    }

    pub(super) fn trash_bucket(&self, id: u64, name: &str) -> Result<(), StorageError> {
        let trash = trash_path(id);
        let done = self.replay.is_some() && self.disk.list(&trash).is_ok();
        if !done {
            match self.disk.rename(Path::new(name), &trash) {
                // Somebody removed it, or something is mounted there, and stays. The mark says that this was done: on replay a later
                // bucket may have the name.
                Err(e) if is_absent(&e) || e.kind() == io::ErrorKind::ResourceBusy => {
                    io_at("make", &trash, self.disk.make_folders(&trash))?;
                }
                other => io_at("move away", name, other)?,
            }
            self.disk.forget_folders();
        }
        let own = system_folder(BucketId(id));
        match self.disk.rename(&own, &trash.with_extension("system")) {
            Err(e) if is_absent(&e) => Ok(()),
            other => io_at("move away", &own, other),
        }
    }

    /// Removes the folders above a removed file as far as they are empty and no key of their own.
    pub(super) fn remove_empty_parents(&self, bucket: &str, key: &str) {
        let Some(id) = (self.bucket_id)(bucket) else { return };
        let mut folder = key;
        while let Some((parent, _)) = folder.trim_end_matches('/').rsplit_once('/') {
            let folder_key = keys::object(id, format!("{parent}/").as_bytes());
            let is_key = self.rows.get(&folder_key).map_or(true, |row| row.is_some());
            if is_key || self.disk.remove_folder(&Path::new(bucket).join(parent)).is_err() {
                return;
            }
            folder = parent;
        }
    }

    pub(super) fn make_folder(
        &self,
        id: BucketId,
        bucket: &str,
        key: &str,
        changes: &[RowChange],
        row: Option<u32>,
    ) -> Result<(), StorageError> {
        let folder = key.trim_end_matches('/');
        if !is_plain_path(folder) || folder.len() + 1 != key.len() {
            return Ok(());
        }
        let path = Path::new(bucket).join(folder);
        match self.disk.make_folders(&path) {
            // A file stands there: the key lives in its row alone.
            Err(e) if is_absent(&e) => return Ok(()),
            other => io_at("make", &path, other)?,
        }
        if let Some(row) = row.and_then(|row| row_at(changes, row)) {
            let row: ObjectRow = rows::decode(row)?;
            let still = self.replay.is_none() || self.rows.get(&keys::object(id, key.as_bytes()))?.is_some();
            if still && let Ok(file) = self.disk.open_folder_file(&path) {
                file.set_tag(&rows::encode(&FileTag::of(row, None, None))?);
            }
        }
        Ok(())
    }

    pub(super) fn remove_folder(&self, bucket: &str, key: &str) {
        let folder = key.trim_end_matches('/');
        let is_folder = is_plain_path(folder) && folder.len() + 1 == key.len();
        if !is_folder {
            return;
        }
        let path = Path::new(bucket).join(folder);
        if let Ok(there) = self.disk.open_folder_file(&path) {
            there.remove_tag();
        }
        if self.disk.remove_folder(&path).is_ok() {
            self.remove_empty_parents(bucket, folder);
        }
    }
}
