//! A moment of Storage, and bringing it into a folder.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::copy::{Brought, ToCopy, bring, sync};
use super::hold::{clear, held_path};
use super::rows_file::{RowsReader, RowsWriter, is_kept};
use super::{BackupError, DATA_FOLDER, FILES_FILE, ROWS_FILE};
use crate::names::{BucketId, ObjectKey, Stamp};
use crate::storage::client::StorageClient;
use crate::storage::disk::{DiskFile, FileStamp, is_absent};
use crate::storage::engine::Shared;
use crate::storage::index::Snapshot;
use crate::storage::keys::{self, RowKind};
use crate::storage::rows::{self, BucketRow, Location, ObjectRow};
use crate::storage::steps::{Place, is_plain_path, overflow_path};
use crate::storage::{StorageError, edits};

/// How often a file is looked for that is not where it should be, and how long between: it may be on its way.
const ATTEMPTS: usize = 5;
const PAUSE: Duration = Duration::from_millis(20);
/// Things of which it is said that they are not as they should be.
const NAMED_MAX: usize = 100;

/// How far a backup is; and a way to end it.
#[derive(Debug, Default)]
pub struct BackupProgress {
    /// Objects and versions so far.
    pub objects: AtomicU64,
    /// Bytes of these.
    pub bytes: AtomicU64,
    /// Set to end it.
    pub is_cancelled: AtomicBool,
}

impl BackupProgress {
    fn check(&self) -> Result<(), BackupError> {
        match self.is_cancelled.load(Ordering::Relaxed) {
            true => Err(BackupError::Cancelled),
            false => Ok(()),
        }
    }
}

/// What was brought into a folder.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Exported {
    /// Buckets.
    pub buckets: u64,
    /// Rows.
    pub rows: u64,
    /// Objects and versions that have files.
    pub files: u64,
    /// Bytes of these.
    pub bytes: u64,
    /// Files of these that share their blocks with an earlier backup or with the data directory.
    pub shared_files: u64,
    /// Bytes of the others, which were copied.
    pub copied_bytes: u64,
    /// Objects whose files have other bytes than were stored: they are in the backup as they are.
    pub damaged: u64,
    /// Objects whose files are gone.
    pub missing: u64,
    /// Some of both, by name.
    pub named: Vec<String>,
    /// No commit in it is later.
    pub taken: Stamp,
}

/// A moment of Storage. While it is there, files that it needs are moved aside instead of removed.
pub struct StorageSnapshot {
    shared: Arc<Shared>,
    rows: Option<Box<dyn Snapshot>>,
    taken: Stamp,
}

impl std::fmt::Debug for StorageSnapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StorageSnapshot").field("taken", &self.taken).finish_non_exhaustive()
    }
}

impl Drop for StorageSnapshot {
    fn drop(&mut self) {
        self.shared.disk.hold_until(None);
        clear(&self.shared.disk);
    }
}

impl StorageClient {
    /// This moment: everything that was answered by now is in it. Blocks until index and files have followed. Errs: Busy while there
    /// is another one.
    pub fn snapshot(&self) -> Result<StorageSnapshot, StorageError> {
        let shared = Arc::clone(&self.shared);
        if !shared.disk.begin_holding() {
            return Err(StorageError::Busy);
        }
        // From here on nothing older is removed; dropping it ends that.
        let mut snapshot = StorageSnapshot { shared, rows: None, taken: Stamp(0) };
        let shared = &snapshot.shared;
        clear(&shared.disk);
        shared.progress.wait_followed(shared.progress.position().sequence)?;
        // SAFETY OF ORDER: the index alone, without what is on its way into it: it is the end of a batch, and of none before the one
        // that was waited for.
        let rows = shared.rows.index.snapshot()?;
        let position = shared.progress.position();
        shared.progress.wait_followed(position.sequence)?;
        shared.disk.hold_until(Some(position.stamp));
        (snapshot.rows, snapshot.taken) = (Some(rows), position.stamp);
        Ok(snapshot)
    }
}

impl StorageSnapshot {
    /// Brings rows and files into an empty folder; what an earlier backup has, in the folder `earlier`, is shared with it. Blocks for as
    /// long as it takes. Errs: Full, Io, Cancelled; then the folder holds a part.
    pub fn export(
        &mut self,
        to: &Path,
        earlier: Option<&Path>,
        progress: &BackupProgress,
    ) -> Result<Exported, BackupError> {
        let mut exported = Exported { taken: self.taken, ..Exported::default() };
        let names = self.dump(to, progress, &mut exported)?;
        let list_path = to.join(FILES_FILE);
        let list = File::create_new(&list_path).map_err(|e| BackupError::io("create", &list_path, e))?;
        let mut files = Files {
            shared: &self.shared,
            to,
            earlier,
            names,
            list: BufWriter::new(list),
            folder: PathBuf::new(),
            exported,
        };
        let rows_path = to.join(ROWS_FILE);
        let unreadable = |e| BackupError::io("read", &rows_path, e);
        let dump = File::open(&rows_path).map_err(unreadable)?;
        let mut rows = RowsReader::begin(BufReader::new(dump)).map_err(unreadable)?;
        while let Some((key, value)) = rows.next().map_err(unreadable)? {
            progress.check()?;
            if let Some(size) = files.row(&key, &value)? {
                progress.objects.fetch_add(1, Ordering::Relaxed);
                progress.bytes.fetch_add(size, Ordering::Relaxed);
            }
        }
        let Files { mut list, exported, .. } = files;
        list.flush().map_err(|e| BackupError::io("write", &list_path, e))?;
        sync(to)?;
        Ok(exported)
    }

    /// Writes the rows, and lets go of the index: a view that is held for long keeps it from using its space again.
    fn dump(
        &mut self,
        to: &Path,
        progress: &BackupProgress,
        exported: &mut Exported,
    ) -> Result<HashMap<BucketId, String>, BackupError> {
        let path = to.join(ROWS_FILE);
        let failed = |e: std::io::Error| BackupError::io("write", &path, e);
        let rows = self.rows.take().ok_or_else(|| BackupError::Unreadable("a moment is exported once".to_owned()))?;
        let file = File::create_new(&path).map_err(failed)?;
        let mut dump = RowsWriter::begin(BufWriter::new(file), self.taken.0).map_err(failed)?;
        let (mut names, mut error) = (HashMap::new(), None);
        rows.scan(&[], &[], &mut |key, value| {
            if keys::kind(key) == Some(RowKind::Bucket) {
                let name = rows::bucket_name(key)?;
                names.insert(BucketId(rows::decode::<BucketRow>(value)?.id), name.as_str().to_owned());
            }
            if is_kept(key) {
                error = progress.check().and_then(|()| dump.row(key, value).map_err(failed)).err();
            }
            Ok(error.is_none())
        })?;
        if let Some(error) = error {
            return Err(error);
        }
        exported.buckets = names.len() as u64;
        exported.rows = dump.end().map_err(failed)?.1;
        Ok(names)
    }
}

/// Files on their way into a backup.
struct Files<'a> {
    shared: &'a Shared,
    to: &'a Path,
    earlier: Option<&'a Path>,
    names: HashMap<BucketId, String>,
    list: BufWriter<File>,
    /// The folder that was made last.
    folder: PathBuf,
    exported: Exported,
}

/// A file that was found, and whether it lies where nobody ever writes to it.
type FoundFile = (DiskFile, FileStamp, Option<PathBuf>);

impl Files<'_> {
    /// Brings the file of a row, if it has one; answers its size.
    fn row(&mut self, row_key: &[u8], value: &[u8]) -> Result<Option<u64>, BackupError> {
        let Some((place, row)) = object_of(&self.names, row_key, value)? else { return Ok(None) };
        let name = || format!("{}/{}, version {}", place.bucket, place.key, row.version_id());
        let own = FileStamp { size: row.stored_size(), modified: self.shared.disk.rounded(Stamp(row.stamp)) };
        let Some((file, seen, link_from)) = self.find(&place, own)? else {
            self.exported.missing += 1;
            self.name(format!("{}: its file is gone", name()));
            return Ok(Some(0));
        };
        let relative = data_path(&place);
        let to = self.to.join(&relative);
        self.make_folder(&to)?;
        let crc64nvme = row.sealed.as_ref().map_or(row.crc64nvme, |sealed| sealed.crc64nvme);
        let is_own = seen == own;
        let from = ToCopy {
            file: file.as_file(),
            seen,
            crc64nvme,
            link_from: link_from.filter(|_| is_own),
            earlier: self.earlier.filter(|_| is_own).map(|earlier| earlier.join(&relative)),
        };
        let brought = bring(&from, &to)?;
        let crc = match brought {
            Brought::Shared => from.crc64nvme,
            Brought::Copied(crc) => crc,
        };
        if crc != crc64nvme || !is_own {
            self.exported.damaged += 1;
            self.name(format!("{}: its file has other bytes than were stored", name()));
        }
        self.exported.files += 1;
        self.exported.bytes += seen.size;
        match brought {
            Brought::Shared => self.exported.shared_files += 1,
            Brought::Copied(_) => self.exported.copied_bytes += seen.size,
        }
        let line =
            format!("{{\"path\":\"{}\",\"size\":{},\"crc64nvme\":\"{crc:016x}\"}}\n", relative.display(), seen.size);
        let list_path = self.to.join(FILES_FILE);
        self.list.write_all(line.as_bytes()).map_err(|e| BackupError::io("write", &list_path, e))?;
        Ok(Some(seen.size))
    }

    fn name(&mut self, text: String) {
        if self.exported.named.len() < NAMED_MAX {
            self.exported.named.push(text);
        }
    }

    fn make_folder(&mut self, file: &Path) -> Result<(), BackupError> {
        let folder = file.parent().unwrap_or(self.to);
        if self.folder != folder {
            fs::create_dir_all(folder).map_err(|e| BackupError::io("make", folder, e))?;
            folder.clone_into(&mut self.folder);
        }
        Ok(())
    }

    /// The file of a version: where it should be, where it may have gone since, or else what somebody made of it.
    fn find(&self, place: &Place, own: FileStamp) -> Result<Option<FoundFile>, BackupError> {
        let disk = &self.shared.disk;
        let (overflow, plain) = (place.overflow_path(), Place { location: Location::Plain, ..place.clone() }.path());
        let mut paths = vec![overflow];
        paths.extend(is_plain_path(&place.key).then_some(plain));
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                std::thread::sleep(PAUSE);
            }
            for (at, path) in paths.iter().enumerate() {
                let held = held_path(path, own.modified);
                for candidate in [path, &held] {
                    match disk.open_stamped(candidate) {
                        Ok((file, there)) if there == own => {
                            // Only the first is overflow. Whose key is a path has its file there when it is current again, and people may
                            // edit it then.
                            let stays = at == 0 && candidate == path && paths.len() == 1;
                            let link = stays.then(|| disk.root().join(path));
                            return Ok(Some((file, there, link)));
                        }
                        Ok(_) => {}
                        Err(e) if is_absent(&e) => {}
                        Err(e) => return Err(StorageError::io("open", candidate, e).into()),
                    }
                }
            }
        }
        // Edited, or damaged: its place tells the better of the two.
        let file = edits::open_plain(disk, &place.path())?;
        let seen = file.as_ref().map(DiskFile::stamp).transpose();
        let seen = seen.map_err(|e| StorageError::io("look at", place.path(), e))?;
        Ok(file.zip(seen).map(|(file, seen)| (file, seen, None)))
    }
}

/// The object of a row that has a file, with its place.
pub(super) fn object_of(
    names: &HashMap<BucketId, String>,
    row_key: &[u8],
    value: &[u8],
) -> Result<Option<(Place, ObjectRow)>, StorageError> {
    let (bucket, key) = match keys::kind(row_key) {
        Some(RowKind::Object(bucket, key) | RowKind::Version(bucket, key, _)) => (bucket, key),
        Some(RowKind::Conflict(bucket, key, ..)) if !value.is_empty() => (bucket, key),
        _ => return Ok(None),
    };
    let row: ObjectRow = rows::decode(value)?;
    let Some(name) = names.get(&bucket) else { return Ok(None) };
    let key = ObjectKey::parse(&key).map_err(|error| StorageError::Index(error.to_string()))?;
    if !matches!(row.location, Location::Plain | Location::Overflow) {
        return Ok(None);
    }
    let clock = (row.clock().0 != row.stamp).then(|| row.clock().0);
    let place = Place {
        bucket_id: bucket.0,
        bucket: name.clone(),
        key: key.as_str().to_owned(),
        location: row.location,
        stamp: row.stamp,
        clock,
    };
    Ok(Some((place, row)))
}

/// Where the file of a version lies in a backup: what tells it from all others is in its name.
pub(super) fn data_path(place: &Place) -> PathBuf {
    let id = BucketId(place.bucket_id);
    let path = overflow_path(id, &place.key, Stamp(place.stamp));
    let tail: PathBuf = path.iter().rev().take(2).collect::<Vec<_>>().into_iter().rev().collect();
    Path::new(DATA_FOLDER).join(place.bucket_id.to_string()).join(tail)
}
