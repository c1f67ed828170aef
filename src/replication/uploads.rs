//! Which multipart uploads were begun at targets and not ended yet, so that a restart goes on with them.
//!
//! A small file that is written when a large object begins or ends. It is a help, nothing more: without it objects are sent from their
//! beginning.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use myfsio_actors::clock::SharedClock;
use serde::{Deserialize, Serialize};

/// Most uploads that are remembered; the oldest go first.
const UPLOADS_MAX: usize = 4096;
/// How long one is remembered, in nanoseconds. What is left of it then is for the target's rules to clear away.
const KEPT_NANOS: u64 = 7 * 86_400 * 1_000_000_000;

/// What is sent, and where.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct What {
    /// The connection.
    pub connection: String,
    /// The target bucket.
    pub bucket: String,
    /// The key.
    pub key: String,
    /// The version that it is of.
    pub version: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Begun {
    /// The object as it was, with what stands beside its bytes: another one cannot go on with its upload.
    object: String,
    upload: String,
    at: u64,
    /// CRC-64/NVME of the parts that were sent, where nothing else tells that they are the object's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    parts: BTreeMap<u16, u64>,
}

/// What was remembered of an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remembered {
    /// The upload of this very object.
    This(String),
    /// The upload of an object that was there before.
    Other(String),
}

/// The uploads.
#[derive(Debug)]
pub struct Uploads {
    path: PathBuf,
    begun: Mutex<BTreeMap<What, Begun>>,
    clock: SharedClock,
}

impl Uploads {
    /// Reads the file; one that is missing or damaged is empty.
    pub fn open(path: PathBuf, clock: SharedClock) -> Self {
        let read = std::fs::read(&path).ok();
        let kept: Vec<(What, Begun)> = read.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
        let oldest = clock.now().0.saturating_sub(KEPT_NANOS);
        let begun = kept.into_iter().filter(|(_, begun)| begun.at >= oldest).collect();
        Self { path, begun: Mutex::new(begun), clock }
    }

    /// The upload that was begun for this.
    pub fn find(&self, what: &What, object: &str) -> Option<Remembered> {
        let begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        begun.get(what).map(|begun| match begun.object == object {
            true => Remembered::This(begun.upload.clone()),
            false => Remembered::Other(begun.upload.clone()),
        })
    }

    /// The upload that was begun for this, of whatever object.
    pub fn begun_for(&self, what: &What) -> Option<String> {
        let begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        begun.get(what).map(|begun| begun.upload.clone())
    }

    /// An upload was begun.
    pub fn begun(&self, what: What, object: &str, upload: &str) {
        let at = self.clock.now().0;
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        begun.insert(what, Begun { object: object.to_owned(), upload: upload.to_owned(), at, parts: BTreeMap::new() });
        while begun.len() > UPLOADS_MAX
            && let Some(oldest) = begun.iter().min_by_key(|(_, begun)| begun.at).map(|(what, _)| what.clone())
        {
            begun.remove(&oldest);
        }
        self.write(&begun);
    }

    /// A part was sent whose bytes have this CRC-64/NVME.
    pub fn sent(&self, what: &What, number: u16, crc64nvme: u64) {
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(upload) = begun.get_mut(what) {
            upload.parts.insert(number, crc64nvme);
            self.write(&begun);
        }
    }

    /// The CRC-64/NVME of a part that was sent.
    pub fn part(&self, what: &What, number: u16) -> Option<u64> {
        let begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        begun.get(what).and_then(|begun| begun.parts.get(&number).copied())
    }

    /// An upload has ended, whichever way.
    pub fn ended(&self, what: &What) {
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        if begun.remove(what).is_some() {
            self.write(&begun);
        }
    }

    fn write(&self, begun: &BTreeMap<What, Begun>) {
        let list: Vec<_> = begun.iter().collect();
        let temporary = self.path.with_extension("json.new");
        let written = serde_json::to_vec(&list)
            .map_err(std::io::Error::from)
            .and_then(|text| std::fs::write(&temporary, text))
            .and_then(|()| std::fs::rename(&temporary, &self.path));
        if let Err(error) = written {
            tracing::warn!(%error, path = %self.path.display(), "a restart would begin large replicas anew");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use myfsio_actors::clock::SystemClock;

    use super::*;

    #[test]
    fn what_was_begun_is_there_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("uploads.json");
        let open = || Uploads::open(path.clone(), Arc::new(SystemClock));
        let what = |key: &str| What {
            connection: "c".to_owned(),
            bucket: "b".to_owned(),
            key: key.to_owned(),
            version: "null".to_owned(),
        };
        let uploads = open();
        uploads.begun(what("a"), "1", "u1");
        uploads.begun(what("b"), "2", "u2");
        uploads.ended(&what("a"));
        uploads.sent(&what("b"), 3, 7);
        uploads.sent(&what("a"), 3, 7);
        let again = open();
        assert_eq!(
            (again.part(&what("b"), 3), again.part(&what("b"), 2), again.part(&what("a"), 3)),
            (Some(7), None, None)
        );
        again.begun(what("c"), "2", "u3");
        again.sent(&what("c"), 1, 1);
        again.begun(what("c"), "2", "u4");
        assert_eq!(again.part(&what("c"), 1), None, "it is of another upload");
        assert_eq!((again.find(&what("a"), "1"), again.begun_for(&what("a"))), (None, None));
        assert_eq!(again.begun_for(&what("b")), Some("u2".to_owned()));
        assert_eq!(again.find(&what("b"), "2"), Some(Remembered::This("u2".to_owned())));
        assert_eq!(again.find(&what("b"), "3"), Some(Remembered::Other("u2".to_owned())));
        std::fs::write(&path, "{").unwrap();
        assert_eq!(open().find(&what("b"), "2"), None);
    }
}
