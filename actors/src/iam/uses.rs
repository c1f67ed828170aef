//! When each access key was last used, for which service and in which region.
//!
//! A use is one atomic store into the key's own cell, and none at all within the same second: requests wait for nothing and write
//! nothing. The cells outlive the directories that hold them, so that no use is lost when `iam.json` changes. Once a minute what
//! changed is written to a small file ([`KeyUses::keep`]), which replaces the one before whole; a crash loses the last minute.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::names::Stamp;

/// Bits of a cell that number the place; the rest are seconds since 1970.
const PLACE_BITS: u32 = 8;
/// Services in regions that are told apart; uses in further ones are told without.
const PLACES_MAX: usize = (1 << PLACE_BITS) - 1;
/// Largest file that is read, in bytes: about 100 for each key.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// The last use of an access key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastUse {
    /// When, to the second.
    pub at: Stamp,
    /// The service that was asked, such as `s3`; empty where that is not known.
    pub service: String,
    /// The region that the request was signed for; empty where that is not known.
    pub region: String,
}

/// Seconds and number of the place; zero is never.
#[derive(Debug, Default)]
pub(super) struct Cell(AtomicU64);

/// A service in a region.
type Place = (String, String);

/// Uses of all keys.
#[derive(Debug)]
pub(super) struct KeyUses {
    path: PathBuf,
    cells: Mutex<HashMap<String, Arc<Cell>>>,
    places: ArcSwap<Vec<Place>>,
    /// Held where a place is added.
    adding: Mutex<()>,
    /// What was written last, as a number that tells it from others. Held while the file is written.
    written: Mutex<u64>,
}

#[derive(Default, Serialize, Deserialize)]
struct Written {
    keys: BTreeMap<String, WrittenUse>,
}

#[derive(Serialize, Deserialize)]
struct WrittenUse {
    at: String,
    service: String,
    region: String,
}

impl KeyUses {
    /// Reads the uses of earlier runs. A file that cannot be read is begun anew: nothing depends on it.
    pub fn open(path: PathBuf) -> Self {
        let uses = Self {
            path,
            cells: Mutex::default(),
            places: ArcSwap::default(),
            adding: Mutex::default(),
            written: Mutex::default(),
        };
        match read(&uses.path) {
            Ok(known) => uses.take(known),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => tracing::warn!(%error, file = %uses.path.display(), "last uses of access keys begin anew"),
        }
        if let Ok(text) = uses.text(&uses.cells.lock()) {
            *uses.written.lock() = number_of(&text);
        }
        uses
    }

    /// Uses that no file knows, for tests and fuzzing.
    #[cfg(any(test, feature = "internals"))]
    pub fn nowhere() -> Arc<Self> {
        Arc::new(Self::open(PathBuf::from("/nonexistent/last_used.json")))
    }

    fn take(&self, known: Written) {
        for (key, WrittenUse { at, service, region }) in known.keys {
            if let Some(at) = Stamp::parse_rfc3339(&at) {
                self.note(&self.cell(&key), &service, &region, at);
            }
        }
    }

    /// The cell of a key, whichever directory it stands in.
    pub fn cell(&self, access_key: &str) -> Arc<Cell> {
        let mut cells = self.cells.lock();
        if let Some(cell) = cells.get(access_key) {
            return Arc::clone(cell);
        }
        let cell = Arc::default();
        cells.insert(access_key.to_owned(), Arc::clone(&cell));
        cell
    }

    /// Notes a use. Two at the same moment leave one of them.
    pub fn note(&self, cell: &Cell, service: &str, region: &str, at: Stamp) {
        let place = self.place(service, region) as u64;
        let now = (at.seconds() << PLACE_BITS) | place;
        let before = cell.0.load(Ordering::Relaxed);
        // Within the same second the same line of memory is only read by all workers.
        if before != now && at.seconds() >= before >> PLACE_BITS {
            cell.0.store(now, Ordering::Relaxed);
        }
    }

    /// The number of a place, from one; zero where there are too many.
    fn place(&self, service: &str, region: &str) -> usize {
        let find = |places: &[Place]| places.iter().position(|(s, r)| s == service && r == region).map(|at| at + 1);
        if let Some(place) = find(self.places.load().as_slice()) {
            return place;
        }
        let _adding = self.adding.lock();
        let places = self.places.load_full();
        if let Some(place) = find(places.as_slice()) {
            return place;
        }
        if places.len() >= PLACES_MAX {
            return 0;
        }
        let mut more = places.to_vec();
        more.push((service.to_owned(), region.to_owned()));
        let place = more.len();
        self.places.store(Arc::new(more));
        place
    }

    /// The last use that a cell holds; none where there was none.
    pub fn last(&self, cell: &Cell) -> Option<LastUse> {
        let packed = cell.0.load(Ordering::Relaxed);
        let seconds = packed >> PLACE_BITS;
        if seconds == 0 {
            return None;
        }
        let at = usize::try_from(packed & PLACES_MAX as u64).unwrap_or(0);
        let places = self.places.load();
        let (service, region) = at.checked_sub(1).and_then(|at| places.get(at)).cloned().unwrap_or_default();
        Some(LastUse { at: Stamp(seconds.saturating_mul(1_000_000_000)), service, region })
    }

    /// Writes down what has changed since the last time, of the keys that there are, and forgets others. Blocks for a disk's flush.
    /// Errs: the file cannot be written; the one before stays.
    pub fn keep(&self, keys: impl Iterator<Item = (String, Arc<Cell>)>) -> io::Result<()> {
        let mut written = self.written.lock();
        let cells: HashMap<_, _> = keys.collect();
        let text = self.text(&cells)?;
        *self.cells.lock() = cells;
        if *written == number_of(&text) {
            return Ok(());
        }
        write(&self.path, &text)?;
        *written = number_of(&text);
        Ok(())
    }

    fn text(&self, cells: &HashMap<String, Arc<Cell>>) -> io::Result<Vec<u8>> {
        let used = cells.iter().filter_map(|(key, cell)| Some((key.clone(), self.last(cell)?)));
        let tell = |(key, used): (String, LastUse)| {
            (key, WrittenUse { at: used.at.rfc3339(), service: used.service, region: used.region })
        };
        Ok(serde_json::to_vec(&Written { keys: used.map(tell).collect() })?)
    }
}

/// Tells a text from others.
fn number_of(text: &[u8]) -> u64 {
    let mut number = DefaultHasher::new();
    text.hash(&mut number);
    number.finish()
}

fn read(path: &Path) -> io::Result<Written> {
    let mut text = Vec::new();
    File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut text)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is too large"));
    }
    Ok(serde_json::from_slice(&text)?)
}

/// The file is the old one or the new one, whole, also after a loss of power.
fn write(path: &Path, text: &[u8]) -> io::Result<()> {
    let next = path.with_extension("json.next");
    let mut open = fs::OpenOptions::new();
    let mut file = open.write(true).create(true).truncate(true).mode(0o600).open(&next)?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(&next, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Stamp {
        Stamp(seconds * 1_000_000_000)
    }

    /// Keeps the uses of these keys.
    fn keep(uses: &KeyUses, keys: &[&str]) -> io::Result<()> {
        uses.keep(keys.iter().map(|key| ((*key).to_owned(), uses.cell(key))))
    }

    fn used(uses: &KeyUses, key: &str) -> Option<(u64, String, String)> {
        uses.last(&uses.cell(key)).map(|used| (used.at.seconds(), used.service, used.region))
    }

    #[test]
    fn the_last_use_counts_and_outlives_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("last_used.json");
        let uses = KeyUses::open(path.clone());
        let cell = uses.cell("AK");
        assert_eq!(uses.last(&cell), None);
        uses.note(&cell, "s3", "us-east-1", at(1_000));
        uses.note(&cell, "iam", "us-east-1", at(1_060));
        uses.note(&cell, "s3", "us-east-1", at(1_010));
        let last = Some((1_060, "iam".to_owned(), "us-east-1".to_owned()));
        assert_eq!(used(&uses, "AK"), last, "a slow request does not turn it back");
        uses.note(&uses.cell("gone"), "s3", "eu", at(1_000));
        keep(&uses, &["AK"]).unwrap();
        let again = KeyUses::open(path);
        assert_eq!((used(&again, "AK"), used(&again, "gone")), (last, None));
    }

    #[test]
    fn nothing_is_written_where_nothing_changed_and_a_broken_file_is_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("last_used.json");
        fs::write(&path, "{\"keys\": {\"AK\": 3").unwrap();
        let uses = KeyUses::open(path.clone());
        assert_eq!(used(&uses, "AK"), None);
        uses.note(&uses.cell("AK"), "s3", "eu", at(7));
        keep(&uses, &["AK"]).unwrap();
        fs::remove_file(&path).unwrap();
        keep(&uses, &["AK"]).unwrap();
        assert!(!path.exists(), "nothing had changed");
        uses.note(&uses.cell("AK"), "s3", "eu", at(8));
        keep(&uses, &["AK"]).unwrap();
        assert!(path.exists());
    }

    #[test]
    fn places_are_bounded() {
        let uses = KeyUses::open(PathBuf::from("/nowhere/last_used.json"));
        let cell = uses.cell("AK");
        for place in 0..=PLACES_MAX as u64 {
            uses.note(&cell, "s3", &format!("r{place}"), at(10 + place));
        }
        let last = Some((10 + PLACES_MAX as u64, String::new(), String::new()));
        assert_eq!(used(&uses, "AK"), last, "one too many has no name");
        uses.note(&cell, "s3", "r7", at(1_000));
        assert_eq!(used(&uses, "AK").unwrap().2, "r7");
        assert!(keep(&uses, &["AK"]).is_err(), "there is no such folder");
    }
}
