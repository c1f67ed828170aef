//! The way through what an order names, page by page: what there is to do, and from where to go on after a restart.
//!
//! Memory does not depend on how much there is: a page is a listing of at most [`PAGE_ROWS`] rows. What was written after the order was
//! given is left alone, so that a job neither meets its own copies nor deletes what somebody uploaded while the node was down.

use std::collections::VecDeque;
use std::sync::Arc;

use myfsio_actors::names::{ETag, ObjectKey, Stamp, UploadId, VersionId};
use myfsio_actors::storage::{Bucket, VersionEntry};
use serde::{Deserialize, Serialize};

use super::order::{Does, Work};
use crate::within::{Asker, ObjectsWanted, Refusal, VersionsWanted};

/// Rows of one listing.
const PAGE_ROWS: usize = 500;
/// Keys of the order that make one page.
const PAGE_KEYS: usize = 100;
/// Delete markers of one key that are removed to bring it back.
const MARKERS_MAX: usize = 100;

/// Where a walk is: everything before is done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// How many items of the order are done: keys, then prefixes, then the uploads of the prefixes.
    pub item: usize,
    /// The key, of the item that is not done, behind which it goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// The version, or upload, of that key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<String>,
}

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// With a current object.
    Object {
        /// Its key.
        key: ObjectKey,
        /// Its size, as far as it is known.
        size: u64,
        /// Its ETag, as far as it is known.
        etag: Option<ETag>,
    },
    /// With a version or delete marker.
    Version {
        /// Its key.
        key: ObjectKey,
        /// Its id.
        version: VersionId,
        /// Its size.
        size: u64,
    },
    /// With what these delete markers hide, newest first.
    Hidden {
        /// Its key.
        key: ObjectKey,
        /// The markers.
        markers: Vec<VersionId>,
        /// Its size.
        size: u64,
    },
    /// With an older version that is to be the current one.
    Older {
        /// Its key.
        key: ObjectKey,
        /// Its id.
        version: VersionId,
        /// Its size.
        size: u64,
    },
    /// With an unfinished upload.
    Upload {
        /// Its key.
        key: ObjectKey,
        /// Its id.
        upload: UploadId,
    },
}

impl Target {
    /// The key.
    pub fn key(&self) -> &ObjectKey {
        match self {
            Self::Object { key, .. }
            | Self::Version { key, .. }
            | Self::Hidden { key, .. }
            | Self::Older { key, .. }
            | Self::Upload { key, .. } => key,
        }
    }

    /// The version, where one is meant.
    pub fn version(&self) -> Option<String> {
        match self {
            Self::Version { version, .. } | Self::Older { version, .. } => Some(version.to_string()),
            Self::Object { .. } | Self::Hidden { .. } | Self::Upload { .. } => None,
        }
    }

    /// Bytes of content; none for what has none.
    pub fn size(&self) -> u64 {
        match self {
            Self::Object { size, .. }
            | Self::Version { size, .. }
            | Self::Hidden { size, .. }
            | Self::Older { size, .. } => *size,
            Self::Upload { .. } => 0,
        }
    }
}

/// A page of the walk.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// What there is to do.
    pub targets: Vec<Target>,
    /// Rows that were looked at.
    pub rows: usize,
    /// Where to go on once all of it is done.
    pub then: Position,
}

/// A walk.
#[derive(Debug)]
pub struct Walk<'a> {
    work: &'a Work,
    /// What was written later is left alone.
    until: Stamp,
    at: Position,
    versions: Versions,
}

/// What is known of the key whose versions are being read.
#[derive(Debug, Default)]
struct Versions {
    key: Option<ObjectKey>,
    /// Nothing more is to be known of it.
    settled: bool,
    markers: Vec<VersionId>,
    /// The last key before it.
    before: Option<String>,
}

impl<'a> Walk<'a> {
    /// A walk that goes on from a position.
    pub fn new(work: &'a Work, until: Stamp, at: Position) -> Self {
        Self { work, until, at, versions: Versions::default() }
    }

    /// The next page; none at the end. Errs: the asker may not list it, or the node cannot at the moment.
    pub async fn next(&mut self, asker: &Asker, bucket: &Arc<Bucket>) -> Result<Option<Step>, Refusal> {
        let (keys, prefixes) = (self.work.keys.len(), self.work.prefixes.len());
        let step = if self.at.item < keys {
            if self.work.looks_at_versions() {
                let key = self.work.keys.get(self.at.item).map(|key| key.as_str().to_owned()).unwrap_or_default();
                self.version_page(asker, bucket, &key, true).await?
            } else {
                self.named(asker, bucket).await?
            }
        } else if let Some(prefix) = self.work.prefixes.get(self.at.item - keys) {
            match self.work.looks_at_versions() {
                true => self.version_page(asker, bucket, prefix, false).await?,
                false => self.object_page(asker, bucket, prefix).await?,
            }
        } else if let Does::Delete { uploads: true, .. } = self.work.does
            && let Some(prefix) = self.work.prefixes.get(self.at.item - keys - prefixes)
        {
            self.upload_page(asker, bucket, prefix).await?
        } else {
            return Ok(None);
        };
        Ok(Some(step))
    }

    fn item_done(&mut self, targets: Vec<Target>, rows: usize) -> Step {
        self.at = Position { item: self.at.item + 1, ..Position::default() };
        self.versions = Versions::default();
        Step { targets, rows, then: self.at.clone() }
    }

    /// Objects that the order names one by one: what is there of them, if the asker may know.
    async fn named(&mut self, asker: &Asker, bucket: &Arc<Bucket>) -> Result<Step, Refusal> {
        let named: Vec<_> = self.work.keys.iter().skip(self.at.item).take(PAGE_KEYS).cloned().collect();
        let rows = named.len();
        let mut targets = Vec::with_capacity(rows);
        for key in named {
            let wanted = ObjectsWanted { prefix: key.as_str().to_owned(), limit: 1, ..ObjectsWanted::default() };
            match asker.objects(bucket, wanted).await {
                Ok(page) => targets.extend(
                    page.entries.into_iter().find(|entry| entry.key == key).map(|entry| Target::Object {
                        key,
                        size: entry.object.size,
                        etag: Some(entry.object.etag),
                    }),
                ),
                Err(refusal) if refusal.is_denial => targets.push(Target::Object { key, size: 0, etag: None }),
                Err(refusal) => return Err(refusal),
            }
        }
        self.at = Position { item: self.at.item + rows, ..Position::default() };
        Ok(Step { targets, rows, then: self.at.clone() })
    }

    async fn object_page(&mut self, asker: &Asker, bucket: &Arc<Bucket>, prefix: &str) -> Result<Step, Refusal> {
        let after = self.at.after.clone();
        let wanted = ObjectsWanted { prefix: prefix.to_owned(), after, limit: PAGE_ROWS, ..ObjectsWanted::default() };
        let page = asker.objects(bucket, wanted).await?;
        let (rows, until) = (page.entries.len(), self.until);
        let targets = page
            .entries
            .into_iter()
            .filter(|entry| entry.object.stamp <= until && self.work.wants(prefix, entry.key.as_str()))
            .map(|entry| Target::Object { key: entry.key, size: entry.object.size, etag: Some(entry.object.etag) });
        let targets = targets.collect();
        match page.next {
            Some(next) => {
                self.at.after = Some(next);
                Ok(Step { targets, rows, then: self.at.clone() })
            }
            None => Ok(self.item_done(targets, rows)),
        }
    }

    /// Versions below a prefix, or of one key.
    async fn version_page(
        &mut self,
        asker: &Asker,
        bucket: &Arc<Bucket>,
        prefix: &str,
        is_key: bool,
    ) -> Result<Step, Refusal> {
        let within = self.at.within.as_deref().and_then(|id| VersionId::parse(id).ok());
        let after = self.at.after.clone().map(|key| (key, within));
        let wanted = VersionsWanted { prefix: prefix.to_owned(), in_folders: false, after, limit: PAGE_ROWS };
        let page = asker.versions(bucket, wanted).await?;
        let rows = page.entries.len();
        let mut entries: VecDeque<_> = page.entries.into();
        let mut is_over = page.next.is_none();
        let mut targets = Vec::new();
        while let Some(entry) = entries.pop_front() {
            if is_key && entry.key.as_str() != prefix {
                is_over = true;
                break;
            }
            if !is_key && !self.work.wants(prefix, entry.key.as_str()) {
                // The versions of the key before are all known.
                self.versions.settled = true;
                continue;
            }
            targets.extend(self.target_of(entry));
        }
        let Some((key, version)) = page.next.filter(|_| !is_over) else {
            return Ok(self.item_done(targets, rows));
        };
        self.at.after = Some(key);
        self.at.within = version.map(|version| version.to_string());
        Ok(Step { targets, rows, then: self.safe_position() })
    }

    /// From where nothing is missed: of a key whose versions are not all known, what is known is not kept.
    fn safe_position(&self) -> Position {
        let versions = &self.versions;
        match (&self.work.does, &versions.key) {
            (Does::Restore { .. }, Some(_)) if !versions.settled => {
                Position { item: self.at.item, after: versions.before.clone(), within: None }
            }
            _ => self.at.clone(),
        }
    }

    fn target_of(&mut self, entry: VersionEntry) -> Option<Target> {
        let size = entry.object.as_ref().map_or(0, |object| object.size);
        let Does::Restore { as_of } = self.work.does else {
            let is_meant = entry.last_modified <= self.until;
            return is_meant.then_some(Target::Version { key: entry.key, version: entry.version_id, size });
        };
        self.versions.restored(entry, size, as_of, self.until)
    }

    async fn upload_page(&mut self, asker: &Asker, bucket: &Arc<Bucket>, prefix: &str) -> Result<Step, Refusal> {
        let within = self.at.within.as_deref().and_then(|id| UploadId::parse(id).ok());
        let after = self.at.after.clone().map(|key| (key, within));
        let page = asker.uploads(bucket, prefix, after, PAGE_ROWS).await?;
        let rows = page.entries.len();
        let wanted = page.entries.iter().filter(|upload| self.work.wants(prefix, upload.key.as_str()));
        let targets = wanted.map(|upload| Target::Upload { key: upload.key.clone(), upload: upload.id }).collect();
        match page.next {
            Some((key, upload)) => {
                self.at.after = Some(key);
                self.at.within = upload.map(|upload| upload.to_string());
                Ok(Step { targets, rows, then: self.at.clone() })
            }
            None => Ok(self.item_done(targets, rows)),
        }
    }
}

impl Versions {
    /// What the next version of a listing, newest first, says of what its key was.
    fn restored(&mut self, entry: VersionEntry, size: u64, as_of: Option<Stamp>, until: Stamp) -> Option<Target> {
        if self.key.as_ref() != Some(&entry.key) {
            self.before = self.key.take().map(|key| key.as_str().to_owned());
            *self = Self { key: Some(entry.key.clone()), before: self.before.take(), ..Self::default() };
        }
        if self.settled {
            return None;
        }
        let VersionEntry { key, version_id: version, is_latest, last_modified, object, .. } = entry;
        let is_newer = last_modified > until;
        match (as_of, object.is_some()) {
            // Somebody has changed it since.
            _ if is_newer => {
                self.settled = true;
                None
            }
            (Some(at), _) if last_modified > at => None,
            (Some(_), is_object) => {
                self.settled = true;
                (is_object && !is_latest).then_some(Target::Older { key, version, size })
            }
            (None, false) if self.markers.len() < MARKERS_MAX => {
                self.markers.push(version);
                None
            }
            (None, _) => {
                self.settled = true;
                let markers = std::mem::take(&mut self.markers);
                (object.is_some() && !markers.is_empty()).then_some(Target::Hidden { key, markers, size })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use myfsio_actors::names::CanonicalId;
    use myfsio_actors::storage::{Attributes, Controls, Object};

    use super::*;

    fn entry(key: &str, at: u64, is_latest: bool, is_object: bool) -> VersionEntry {
        let owner = CanonicalId::from_bytes([0; 32]);
        let version_id = VersionId::Null;
        let object = Object {
            version_id,
            stamp: Stamp(at),
            size: at,
            etag: ETag::single([0; 16]),
            crc64nvme: 0,
            checksum: None,
            owner: owner.clone(),
            attributes: Attributes::default(),
            controls: Controls::default(),
            upload: None,
            sealed: None,
            lineage: None,
        };
        VersionEntry {
            key: ObjectKey::parse(key.as_bytes()).unwrap(),
            version_id,
            is_latest,
            last_modified: Stamp(at),
            owner,
            object: is_object.then(|| Arc::new(object)),
        }
    }

    fn restored(entries: &[(&str, u64, bool, bool)], as_of: Option<u64>) -> Vec<(String, u64, usize)> {
        let mut versions = Versions::default();
        let targets = entries.iter().filter_map(|(key, at, is_latest, is_object)| {
            versions.restored(entry(key, *at, *is_latest, *is_object), *at, as_of.map(Stamp), Stamp(100))
        });
        let told = |target: Target| {
            let markers = if let Target::Hidden { markers, .. } = &target { markers.len() } else { 0 };
            (target.key().as_str().to_owned(), target.size(), markers)
        };
        targets.map(told).collect()
    }

    #[test]
    fn what_was_deleted_last_comes_back() {
        let entries = [
            ("a", 9, true, false),
            ("a", 8, false, false),
            ("a", 7, false, true),
            ("a", 6, false, true),
            ("b", 9, true, true),
            ("b", 8, false, false),
            ("c", 9, true, false),
            ("d", 101, true, false),
            ("d", 9, false, true),
            ("e", 3, true, false),
            ("e", 2, false, true),
        ];
        assert_eq!(restored(&entries, None), [("a".to_owned(), 7, 2), ("e".to_owned(), 2, 1)]);
    }

    #[test]
    fn what_was_there_at_a_time_comes_back() {
        let entries = [
            ("a", 9, true, true),
            ("a", 5, false, true),
            ("a", 4, false, true),
            ("b", 5, true, true),
            ("c", 9, true, false),
            ("c", 5, false, false),
            ("c", 3, false, true),
            ("d", 9, true, false),
            ("d", 2, false, true),
            ("e", 9, true, true),
        ];
        assert_eq!(restored(&entries, Some(5)), [("a".to_owned(), 5, 0), ("d".to_owned(), 2, 0)]);
    }

    #[test]
    fn endless_markers_bring_nothing_back() {
        let mut entries = vec![("a", 9, true, false)];
        entries.extend((0..200).map(|_| ("a", 8, false, false)));
        entries.push(("a", 1, false, true));
        assert_eq!(restored(&entries, None), []);
    }
}
