//! A new data directory from a backup: rows become its index, files go where the rows say.
//!
//! A mark is there from the beginning to the end ([`finish_restore`]): no node starts from what did not end.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::rows_file::RowsReader;
use super::snapshot::{data_path, object_of};
use super::{BackupError, BackupProgress, FILES_FILE, ROWS_FILE};
use crate::names::{BucketId, Stamp};
use crate::storage::checkpoint::{Next, seal};
use crate::storage::disk::{Disk, DiskFile, FileStamp, RESTORING, SYSTEM_FOLDER, is_absent, is_blocked};
use crate::storage::engine::StorageSettings;
use crate::storage::index::{Index, RowChange};
use crate::storage::keys::{self, RowKind};
use crate::storage::opened::{index_path, new_index_path, open_index};
use crate::storage::progress::Position;
use crate::storage::rows::{
    self, BucketRow, DamagedRow, FORMAT_VERSION, FileTag, FormatRow, Location, ObjectRow, PartListRow,
};
use crate::storage::space::Space;
use crate::storage::steps::{Place, config_path, is_plain_path};
use crate::storage::{StorageError, format, tags};

/// Rows that are entered at a time.
const CHANGES_MAX: usize = 4096;
/// Bytes that are copied at a time.
const PIECE_BYTES: usize = 1 << 20;
/// Longest line of the list of files, in bytes.
const LINE_BYTES_MAX: u64 = 4096;
/// Things of which it is said that they are not as they should be.
const NAMED_MAX: usize = 100;

/// What was restored.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Restored {
    /// Buckets.
    pub buckets: u64,
    /// Objects and versions that have files.
    pub files: u64,
    /// Bytes of these.
    pub bytes: u64,
    /// Objects whose files are not in the backup.
    pub missing: u64,
    /// Objects whose files have other bytes than were stored.
    pub damaged: u64,
    /// Some of both, by name.
    pub named: Vec<String>,
}

/// Makes a data directory of a backup; the root of the settings must be empty or not there. Errs: Unreadable, Full, Io.
pub fn restore(settings: &StorageSettings, from: &Path, progress: &BackupProgress) -> Result<Restored, BackupError> {
    if fs::read_dir(&settings.root).is_ok_and(|mut entries| entries.next().is_some()) {
        let root = settings.root.display();
        return Err(BackupError::Unreadable(format!("{root} is not empty: a backup is restored into a new directory")));
    }
    let rows_path = from.join(ROWS_FILE);
    // Looked at before anything is made.
    let format = open_rows(&rows_path)?.head.format;
    if format != FORMAT_VERSION {
        let text = format!("the backup has format {format} of rows, this program knows {FORMAT_VERSION}");
        return Err(BackupError::Unreadable(text));
    }
    let disk = Arc::new(Disk::open(&settings.root, true).map_err(|e| BackupError::io("open", &settings.root, e))?);
    disk.create(Path::new(RESTORING)).map_err(|e| StorageError::io("create", RESTORING, e))?;
    let space = Space::open(Arc::clone(&disk), 0).map_err(|e| BackupError::io("open", &settings.root, e))?;
    let path = new_index_path();
    disk.create(&path).map_err(|e| StorageError::io("create", &path, e))?;
    let index = open_index(&disk, &space, &path, settings.index_cache_bytes)?;
    let names = enter_rows(&rows_path, &index)?;
    let restored = Restored { buckets: names.len() as u64, ..Restored::default() };
    let mut reader = open_rows(&rows_path)?;
    let taken = Stamp(reader.head.taken);
    let mut restoring = Restoring {
        disk: &disk,
        index: &index,
        from,
        names,
        changes: Vec::new(),
        listed: Listed::open(from.join(FILES_FILE))?,
        taken,
        restored,
        buffer: vec![0; PIECE_BYTES],
    };
    while let Some((key, value)) = reader.next().map_err(|e| BackupError::io("read", &rows_path, e))? {
        if progress.is_cancelled.load(Ordering::Relaxed) {
            return Err(BackupError::Cancelled);
        }
        restoring.row(&key, &value)?;
        progress.objects.store(restoring.restored.files, Ordering::Relaxed);
        progress.bytes.store(restoring.restored.bytes, Ordering::Relaxed);
    }
    let Restoring { changes, restored, .. } = restoring;
    let position = Position { sequence: 0, next: (0, 0), stamp: taken };
    seal(&disk, &index, position, 0, Next::End, changes)?;
    drop(index);
    let finish = || -> io::Result<()> {
        disk.sync_everything()?;
        disk.rename(&path, &index_path())?;
        disk.sync_everything()
    };
    finish().map_err(|e| BackupError::io("put in place", &settings.root, e))?;
    // Before a node starts from it, so that a program that does not know it learns so at once.
    format::claim(&disk)?;
    Ok(restored)
}

/// Ends a restore, when the files beside Storage are there, too: from here on a node may start from the directory.
pub fn finish_restore(root: &Path) -> Result<(), BackupError> {
    let mark = root.join(RESTORING);
    let removed = fs::remove_file(&mark).and_then(|()| File::open(root.join(SYSTEM_FOLDER))?.sync_all());
    removed.map_err(|e| BackupError::io("remove", &mark, e))
}

fn open_rows(path: &Path) -> Result<RowsReader<BufReader<File>>, BackupError> {
    let file = File::open(path).map_err(|e| BackupError::io("open", path, e))?;
    RowsReader::begin(BufReader::new(file)).map_err(|e| BackupError::io("read", path, e))
}

/// Brings all rows into an index; answers the names of the buckets.
fn enter_rows(path: &Path, index: &dyn Index) -> Result<HashMap<BucketId, String>, BackupError> {
    let mut reader = open_rows(path)?;
    let (mut names, mut changes, mut has_format) = (HashMap::new(), Vec::<RowChange>::new(), false);
    while let Some((key, value)) = reader.next().map_err(|e| BackupError::io("read", path, e))? {
        if key == keys::META_FORMAT {
            has_format = rows::decode::<FormatRow>(&value)?.version == FORMAT_VERSION;
        }
        if keys::kind(&key) == Some(RowKind::Bucket) {
            let name = rows::bucket_name(&key)?;
            names.insert(BucketId(rows::decode::<BucketRow>(&value)?.id), name.as_str().to_owned());
        }
        changes.push((key, Some(value.into())));
        if changes.len() >= CHANGES_MAX {
            index.apply(&std::mem::take(&mut changes))?;
        }
    }
    index.apply(&changes)?;
    // Only a node that never had a bucket knows no format.
    if !has_format && !names.is_empty() {
        return Err(BackupError::Unreadable("the backup does not tell the format of its rows".to_owned()));
    }
    Ok(names)
}

/// Files on their way to their places.
struct Restoring<'a> {
    disk: &'a Disk,
    index: &'a dyn Index,
    from: &'a Path,
    names: HashMap<BucketId, String>,
    /// Rows of what could not go to its plain path.
    changes: Vec<RowChange>,
    listed: Listed,
    taken: Stamp,
    restored: Restored,
    buffer: Vec<u8>,
}

/// What the list of files says of each, read beside the rows: both are in the same order.
struct Listed {
    list: BufReader<File>,
    path: PathBuf,
    /// Path and checksum of the file that was read ahead.
    next: Option<(PathBuf, u64)>,
}

#[derive(serde::Deserialize)]
struct ListedFile {
    path: PathBuf,
    crc64nvme: String,
}

impl Listed {
    fn open(path: PathBuf) -> Result<Self, BackupError> {
        let list = File::open(&path).map_err(|e| BackupError::io("open", &path, e))?;
        Ok(Self { list: BufReader::new(list), path, next: None })
    }

    /// The checksum that a file had when the backup was made; none when it was not in it.
    fn crc_of(&mut self, file: &Path) -> Result<Option<u64>, BackupError> {
        if self.next.is_none() {
            let mut line = String::new();
            let read = self.list.by_ref().take(LINE_BYTES_MAX).read_line(&mut line);
            read.map_err(|e| BackupError::io("read", &self.path, e))?;
            let told: Option<ListedFile> = serde_json::from_str(&line).ok();
            self.next = told.and_then(|told| Some((told.path, u64::from_str_radix(&told.crc64nvme, 16).ok()?)));
        }
        Ok(self.next.take_if(|(path, _)| path == file).map(|(_, crc)| crc))
    }
}

impl Restoring<'_> {
    fn row(&mut self, row_key: &[u8], value: &[u8]) -> Result<(), BackupError> {
        match keys::kind(row_key) {
            Some(RowKind::Bucket) => {
                let name = rows::bucket_name(row_key)?;
                let path = Path::new(name.as_str());
                self.disk.make_folders(path).map_err(|e| StorageError::io("make", path, e))?;
                if let Ok(folder) = self.disk.open_folder_file(path) {
                    folder.set_tag(value);
                }
            }
            // The copy beside the bucket's files, for reindex.
            Some(RowKind::Config(bucket)) => {
                let path = config_path(bucket);
                let file = self.create(&path)?;
                file.write_all_at(value, 0).map_err(|e| StorageError::io("write", &path, e))?;
            }
            Some(RowKind::Object(bucket, key)) => {
                let row: ObjectRow = rows::decode(value)?;
                match row.location {
                    Location::Folder => self.folder(bucket, &key, row)?,
                    _ => self.object(row_key, value)?,
                }
            }
            Some(RowKind::Version(..) | RowKind::Conflict(..)) => self.object(row_key, value)?,
            _ => {}
        }
        Ok(())
    }

    /// A key that ends in `/` and has no bytes.
    fn folder(&self, bucket: BucketId, key: &[u8], row: ObjectRow) -> Result<(), BackupError> {
        let key = String::from_utf8_lossy(key);
        let folder = key.trim_end_matches('/');
        let (Some(name), true) = (self.names.get(&bucket), is_plain_path(folder) && folder.len() + 1 == key.len())
        else {
            return Ok(());
        };
        let path = Path::new(name).join(folder);
        match self.disk.make_folders(&path) {
            // A file stands there: the key lives in its row alone.
            Err(e) if is_absent(&e) => return Ok(()),
            other => other.map_err(|e| StorageError::io("make", &path, e))?,
        }
        if let Ok(folder) = self.disk.open_folder_file(&path) {
            folder.set_tag(&rows::encode(&FileTag::of(row, None, None))?);
        }
        Ok(())
    }

    fn create(&self, path: &Path) -> Result<DiskFile, StorageError> {
        let create = || match self.disk.create_new(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                self.disk.forget_folders();
                self.disk.make_folders(path.parent().unwrap_or(Path::new("")))?;
                self.disk.create_new(path)
            }
            other => other,
        };
        create().map_err(|e| StorageError::io("create", path, e))
    }

    fn object(&mut self, row_key: &[u8], value: &[u8]) -> Result<(), BackupError> {
        let Some((mut place, mut row)) = object_of(&self.names, row_key, value)? else { return Ok(()) };
        let name = format!("{}/{}, version {}", place.bucket, place.key, row.version_id());
        let relative = data_path(&place);
        let source_path = self.from.join(&relative);
        let source = match File::open(&source_path) {
            Ok(source) => source,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                self.listed.crc_of(&relative)?;
                self.restored.missing += 1;
                self.name(format!("{name}: its file is not in the backup"));
                return Ok(());
            }
            Err(e) => return Err(BackupError::io("open", &source_path, e)),
        };
        let file = match self.create(&place.path()) {
            Ok(file) => file,
            // This file system takes two names for the same, or does not take one.
            Err(StorageError::Io { source, .. }) if place.location == Location::Plain && is_blocked(&source) => {
                place.location = Location::Overflow;
                row.location = Location::Overflow;
                self.changes.push((row_key.to_vec(), Some(rows::encode(&row)?.into())));
                self.create(&place.path())?
            }
            Err(error) => return Err(error.into()),
        };
        let (size, crc) = self.copy(&source, &source_path, &file, &place)?;
        let stored_crc = row.sealed.as_ref().map_or(row.crc64nvme, |sealed| sealed.crc64nvme);
        let is_noncurrent = !matches!(keys::kind(row_key), Some(RowKind::Object(..)));
        let is_right = (size, crc) == (row.stored_size(), stored_crc);
        let was_so = self.listed.crc_of(&relative)? == Some(crc);
        let tag = self.tag(&place, &row, is_noncurrent)?;
        tags::leave(&file, &place.path(), &rows::encode(&tag)?)?;
        let own = self.disk.rounded(Stamp(row.stamp));
        let modified = match is_right || !was_so {
            true => own,
            // Damage, or an edit that nobody had looked at when the backup was made: its own time tells which.
            false => modified(&source).unwrap_or(own),
        };
        file.set_modified(modified).map_err(|e| StorageError::io("set the time of", place.path(), e))?;
        if !is_right && !was_so {
            // What happened to the backup since is no edit of the object.
            let seen = FileStamp { size, modified };
            let damaged = Some(DamagedRow::of(self.taken, seen));
            self.changes.push((row_key.to_vec(), Some(rows::encode(&ObjectRow { damaged, ..row })?.into())));
        }
        if !is_right {
            self.restored.damaged += 1;
            let how = if was_so { "has other bytes than were stored" } else { "was changed in the backup" };
            self.name(format!("{name}: its file {how}"));
        }
        self.restored.files += 1;
        self.restored.bytes += size;
        Ok(())
    }

    fn name(&mut self, text: String) {
        if self.restored.named.len() < NAMED_MAX {
            self.restored.named.push(text);
        }
    }

    /// Copies a file; answers how many bytes it has, and their checksum.
    fn copy(
        &mut self,
        mut source: &File,
        path: &Path,
        to: &DiskFile,
        place: &Place,
    ) -> Result<(u64, u64), BackupError> {
        let mut digest = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc64Nvme);
        let mut at = 0;
        loop {
            let read = match source.read(&mut self.buffer) {
                Ok(0) => return Ok((at, digest.finalize())),
                Ok(read) => read,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(BackupError::io("read", path, e)),
            };
            let piece = self.buffer.get(..read).unwrap_or_default();
            digest.update(piece);
            let target = || self.disk.root().join(place.path());
            to.write_all_at(piece, at).map_err(|e| BackupError::io("write", &target(), e))?;
            at += read as u64;
        }
    }

    fn tag(&self, place: &Place, row: &ObjectRow, is_noncurrent: bool) -> Result<FileTag, StorageError> {
        let list = keys::part_list(BucketId(place.bucket_id), Stamp(row.stamp));
        let list = row.parts.map(|_| self.index.snapshot()?.get(&list)).transpose()?.flatten();
        let part_size =
            list.map(|list| rows::decode::<PartListRow>(&list)).transpose()?.and_then(|list| list.part_size());
        Ok(FileTag { part_size, ..tags::of_file(place, row, is_noncurrent) })
    }
}

fn modified(file: &File) -> Option<Stamp> {
    let time = file.metadata().ok()?.modified().ok()?;
    let since = time.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(Stamp(u64::try_from(since.as_nanos()).ok()?))
}
