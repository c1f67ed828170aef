//! Files for bodies on their way in.
//!
//! fdatasync of a new file does not promise its directory entry. So names are made ahead, some at a time, and the folder is
//! synced once for all of them: a body that is fdatasync'ed in such a file is durable, and recovery finds it by its name.

use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;

use super::StorageError;
use super::disk::{Disk, DiskFile, STAGING_FOLDER};
use super::steps::staged_path;

/// Names made at a time.
const REFILL: usize = 32;
/// Unused names kept at most.
const SPARE_MAX: usize = 64;

/// The pool of staged files.
#[derive(Debug)]
pub(super) struct Staging {
    disk: Arc<Disk>,
    generation: u64,
    spare: Mutex<Spare>,
}

#[derive(Debug, Default)]
struct Spare {
    names: Vec<String>,
    made: u64,
}

impl Staging {
    /// A pool whose names no other run of the node used.
    pub fn new(disk: Arc<Disk>, generation: u64) -> Arc<Self> {
        Arc::new(Self { disk, generation, spare: Mutex::default() })
    }

    /// An empty file whose name is durable.
    pub fn take(self: &Arc<Self>) -> Result<StagedFile, StorageError> {
        let name = {
            let mut spare = self.spare.lock();
            if spare.names.is_empty() {
                self.refill(&mut spare)?;
            }
            spare.names.pop().unwrap_or_default()
        };
        let path = staged_path(&name);
        let file = self.disk.open_writable(&path).map_err(|e| StorageError::io("open", &path, e))?;
        Ok(StagedFile { name, file: Some(Arc::new(file)), owner: Some(Arc::clone(self)) })
    }

    fn refill(&self, spare: &mut Spare) -> Result<(), StorageError> {
        let mut made = Vec::with_capacity(REFILL);
        for _ in 0..REFILL {
            let name = format!("{:x}-{:x}", self.generation, spare.made);
            spare.made += 1;
            let path = staged_path(&name);
            self.disk.create(&path).map_err(|e| StorageError::io("create", &path, e))?;
            made.push(name);
        }
        let folder = Path::new(STAGING_FOLDER);
        self.disk.sync_folder(folder).map_err(|e| StorageError::io("sync", folder, e))?;
        spare.names.append(&mut made);
        Ok(())
    }

    /// Takes a name back whose file no row names.
    fn give_back(&self, name: String, file: Option<&DiskFile>) {
        let emptied = match file {
            Some(file) => file.set_len(0).is_ok(),
            None => self.disk.open_writable(&staged_path(&name)).is_ok_and(|file| file.set_len(0).is_ok()),
        };
        let mut spare = self.spare.lock();
        if emptied && spare.names.len() < SPARE_MAX {
            spare.names.push(name);
        } else if let Err(error) = self.disk.remove_file(&staged_path(&name)) {
            tracing::warn!(%error, name, "staged file not removed");
        }
    }

    /// Removes what an earlier run left and no row names.
    pub fn sweep(&self, named: &std::collections::HashSet<String>) -> Result<usize, StorageError> {
        let folder = Path::new(STAGING_FOLDER);
        let mut removed = 0;
        for (name, is_folder) in self.disk.list(folder).map_err(|e| StorageError::io("list", folder, e))? {
            let name = name.to_string_lossy().into_owned();
            let ours = name.starts_with(&format!("{:x}-", self.generation));
            if !is_folder && !ours && !named.contains(&name) && self.disk.remove_file(&staged_path(&name)).is_ok() {
                removed += 1;
            }
        }
        Ok(removed)
    }
}

/// A staged file. Dropping it gives the file back, unless it was kept.
#[derive(Debug)]
pub(super) struct StagedFile {
    name: String,
    file: Option<Arc<DiskFile>>,
    owner: Option<Arc<Staging>>,
}

impl StagedFile {
    /// A file that rows name already: dropping this does nothing.
    pub fn adopted(name: String) -> Self {
        Self { name, file: None, owner: None }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The open file.
    pub fn file(&self) -> Option<Arc<DiskFile>> {
        self.file.clone()
    }

    /// Gives the open file away; the name stays.
    pub fn take_handle(&mut self) -> Option<Arc<DiskFile>> {
        self.file.take()
    }

    /// From here on rows name the file.
    pub fn keep(mut self) -> String {
        self.disarm();
        std::mem::take(&mut self.name)
    }

    /// The same, without giving up the handle.
    pub fn disarm(&mut self) {
        self.owner = None;
    }
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        if let Some(owner) = self.owner.take() {
            owner.give_back(std::mem::take(&mut self.name), self.file.as_deref());
        }
    }
}
