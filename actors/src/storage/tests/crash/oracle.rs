//! What may be there after a loss of power, and what is.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use super::super::envelopes;
use super::super::fixtures::md5_of;
use super::client::{Changes, Thing, Value};
use super::recorder::Note;
use super::replicas::MIRRORED;
use super::sealed::is_sealed;
use crate::bucket_config::TargetId;
use crate::clock::SystemClock;
use crate::names::{ObjectKey, Stamp};
use crate::storage::disk::Disk;
use crate::storage::fsck::check_opened;
use crate::storage::keys::{self, RowKind};
use crate::storage::opened::Opened;
use crate::storage::overlay::Rows as _;
use crate::storage::plan::place_of;
use crate::storage::recovery::Holes;
use crate::storage::rows::{self, EventRow, Location, ObjectRow, PartRow, UploadRow};
use crate::storage::steps::staged_path;
use crate::storage::{
    Bucket, CheckObserver, CheckOptions, CheckProgress, Difference, Finding, Mend, QueueName, StorageError,
    StorageSettings, Tray, Usage, Versioning,
};

/// Buckets whose changes are queued, and never settled: so each state has its entry, or there was a hole between the two.
pub const REPLICATED: [&str; 6] = ["telling", "kept", "versions", "beta", MIRRORED[0], MIRRORED[1]];

/// What each thing may be.
#[derive(Debug, Clone, Default)]
pub struct Promise {
    things: BTreeMap<Thing, Vec<Value>>,
    /// Requests that were begun and not answered.
    open: BTreeSet<usize>,
    /// Whether a file may be without its tag: one that could not be set is not tried again.
    may_lack_tags: bool,
}

impl Promise {
    /// Of a disk on which changes fail.
    pub fn of_failing_disk() -> Self {
        Self { may_lack_tags: true, ..Self::default() }
    }

    /// Takes note of what a client saw.
    pub fn hear(&mut self, note: &Note, requests: &[Changes]) {
        match note {
            Note::Begun { request } => {
                self.open.insert(*request);
                for (thing, value) in &requests[*request] {
                    self.things.entry(thing.clone()).or_insert_with(|| vec![Value::Absent]).push(value.clone());
                }
            }
            Note::Acknowledged { request } => {
                self.open.remove(request);
                for (thing, value) in &requests[*request] {
                    self.things.insert(thing.clone(), vec![value.clone()]);
                }
            }
            // What was refused may have been done all the same; changes of files are not for a client to see.
            _ => {}
        }
    }

    fn check(&self, actual: &BTreeMap<Thing, Value>, requests: &[Changes]) {
        let of = |thing: &Thing| actual.get(thing).cloned().unwrap_or(Value::Absent);
        for (thing, allowed) in &self.things {
            let found = of(thing);
            assert!(allowed.contains(&found), "{thing:?} is {}, of {}", short(&found), shorts(allowed));
        }
        for (thing, found) in actual {
            assert!(self.things.contains_key(thing), "{thing:?} is {}, which nobody asked for", short(found));
        }
        // What one request changes, changes together.
        if let [request] = self.open.iter().collect::<Vec<_>>()[..] {
            let changes = &requests[*request];
            let done = changes.iter().filter(|(thing, value)| of(thing) == *value).count();
            let undone = changes.iter().filter(|(thing, _)| self.things[thing].first() == Some(&of(thing))).count();
            let whole = done == changes.len() || undone == changes.len();
            assert!(whole, "half of {:?} was done", changes.iter().map(|(thing, _)| thing).collect::<Vec<_>>());
        }
    }
}

fn short(value: &Value) -> String {
    match value {
        Value::Bytes(bytes) => format!("{} bytes ({})", bytes.len(), hex::encode(&md5_of(bytes)[..3])),
        Value::Parts(parts) => format!("parts {:?}", parts.keys().collect::<Vec<_>>()),
        Value::Versions(versions) => {
            let each = |version: &Option<_>| version.clone().map_or("marker".to_owned(), |b| short(&Value::Bytes(b)));
            format!("[{}]", versions.iter().map(each).collect::<Vec<_>>().join(", "))
        }
        other => format!("{other:?}"),
    }
}

fn shorts(values: &[Value]) -> String {
    values.iter().map(short).collect::<Vec<_>>().join(" or ")
}

/// Opens what is at `root` through `disk`, as a start does, and checks all of it.
pub fn check(disk: Disk, settings: &StorageSettings, promise: &Promise, requests: &[Changes]) {
    let opened = Opened::new(disk, settings, Holes::Refuse).expect("the directory opens");
    let actual = actual(&opened).expect("everything is readable");
    promise.check(&actual, requests);
    everything_is_queued(&opened);
    agrees(&opened, promise.may_lack_tags);
    nothing_left(&opened, &settings.root);
}

/// What is there, down to the bytes.
fn actual(opened: &Opened) -> Result<BTreeMap<Thing, Value>, StorageError> {
    let mut things = BTreeMap::new();
    for bucket in opened.recovered.buckets.values() {
        let name = bucket.name.as_str().to_owned();
        things.insert(Thing::Bucket(name.clone()), Value::Present);
        let mut usage = Usage::default();
        let mut found = Vec::new();
        opened.rows.scan(&[], &[], &mut |key, value| {
            found.push((keys::kind(key).expect("a known row"), value.to_vec()));
            Ok(true)
        })?;
        let mut histories: BTreeMap<String, BTreeMap<std::cmp::Reverse<u64>, Option<bytes::Bytes>>> = BTreeMap::new();
        let mut copies: BTreeMap<String, Vec<Option<bytes::Bytes>>> = BTreeMap::new();
        for (kind, value) in found {
            match kind {
                RowKind::Object(id, key) if id == bucket.id => {
                    let row: ObjectRow = rows::decode(&value)?;
                    usage.objects += 1;
                    usage.bytes += row.size;
                    let key = ObjectKey::parse(&key).expect("a key");
                    let bytes = bytes_of(opened, bucket, &key, &row).expect("no marker");
                    let key = key.as_str().to_owned();
                    assert_eq!(row.sealed.is_some(), is_sealed(&name), "{name}/{key}");
                    if let Some(sealed) = row.sealed.clone().filter(|_| bucket.versioning == Versioning::Off) {
                        let master = sealed.encryption.key.expect("a master key");
                        things.insert(Thing::Wrapped(name.clone(), key.clone()), Value::Master(master));
                    }
                    if bucket.versioning == Versioning::Off {
                        things.insert(Thing::Object(name.clone(), key), Value::Bytes(bytes));
                    } else {
                        histories.entry(key).or_default().insert(std::cmp::Reverse(row.clock().0), Some(bytes));
                    }
                }
                RowKind::Version(id, key, stamp) if id == bucket.id => {
                    let row: ObjectRow = rows::decode(&value)?;
                    assert_eq!(row.clock(), stamp);
                    usage.versions += 1;
                    usage.markers += u64::from(row.is_marker());
                    usage.bytes += row.size;
                    usage.old_bytes += row.size;
                    let key = ObjectKey::parse(&key).expect("a key");
                    let bytes = bytes_of(opened, bucket, &key, &row);
                    let history = histories.entry(key.as_str().to_owned()).or_default();
                    history.insert(std::cmp::Reverse(row.clock().0), bytes);
                }
                // They come in their order. An empty row is a mark of a version.
                RowKind::Conflict(id, key, ..) if id == bucket.id && !value.is_empty() => {
                    let row: ObjectRow = rows::decode(&value)?;
                    usage.versions += 1;
                    usage.bytes += row.size;
                    usage.old_bytes += row.size;
                    let key = ObjectKey::parse(&key).expect("a key");
                    let bytes = bytes_of(opened, bucket, &key, &row);
                    copies.entry(key.as_str().to_owned()).or_default().push(bytes);
                }
                RowKind::Event(queue, sequence, tray) if queue.bucket == bucket.id => {
                    assert_eq!(tray, Tray::Pending);
                    let told = rows::decode::<EventRow>(&value)?.into_event(sequence)?.event;
                    let thing = Thing::Told(name.clone(), told.key.as_str().to_owned());
                    let Value::Events(events) = things.entry(thing).or_insert(Value::Events(Vec::new())) else {
                        unreachable!()
                    };
                    events.push(told.kind);
                }
                RowKind::Upload(id, key, upload) if id == bucket.id => {
                    let key = String::from_utf8(key).unwrap();
                    let encryption = rows::decode::<UploadRow>(&value)?.encryption;
                    let encryption = encryption.map(|row| row.into_encryption().expect("a wrapped key"));
                    let data_key = encryption.map(|encryption| envelopes::open(&encryption, bucket, &key));
                    let mut parts = BTreeMap::new();
                    let (start, end) = keys::parts(id, upload);
                    opened.rows.scan(&start, &end, &mut |row_key, value| {
                        let row: PartRow = rows::decode(value)?;
                        let file = opened.disk.open_file(&staged_path(&row.file)).expect("a part's file");
                        let mut bytes = vec![0; row.stored_size() as usize];
                        file.read_exact_at(&mut bytes, row.offset).expect("a part's bytes");
                        let bytes = data_key.as_ref().map_or(bytes.clone(), |key| envelopes::unseal(&bytes, key));
                        assert_eq!(md5_of(&bytes), row.md5);
                        usage.part_bytes += row.size;
                        parts.insert(keys::part_number(row_key).unwrap().get(), row.md5);
                        Ok(true)
                    })?;
                    things.insert(Thing::Upload(name.clone(), key), Value::Parts(parts));
                }
                _ => {}
            }
        }
        for (key, versions) in histories {
            let versions = versions.into_values().collect();
            things.insert(Thing::History(name.clone(), key), Value::Versions(versions));
        }
        for (key, lost) in copies {
            things.insert(Thing::Copies(name.clone(), key), Value::Versions(lost));
        }
        let recorded = opened.recovered.usage.get(&bucket.id).copied().unwrap_or_default();
        assert_eq!(recorded, usage, "counters of {name}");
    }
    Ok(things)
}

/// Whatever is there, or was deleted, waits to be sent; whether sums and order are right is for `fsck` to say.
fn everything_is_queued(opened: &Opened) {
    for bucket in opened.recovered.buckets.values().filter(|bucket| REPLICATED.contains(&bucket.name.as_str())) {
        let queue = QueueName { bucket: bucket.id, target: TargetId(Arc::from("peer")) };
        for (start, end) in [keys::objects(bucket.id), keys::versions(bucket.id), keys::tombstones(bucket.id)] {
            let mut slots = Vec::new();
            let mut slot = |key: &[u8], row: &[u8]| {
                slots.push(match keys::kind(key).expect("a known row") {
                    RowKind::Tombstone(_, key, version) => (key, version),
                    RowKind::Object(_, key) | RowKind::Version(_, key, _) => {
                        let row: ObjectRow = rows::decode(row)?;
                        (key, row.version.map(|_| row.clock().0))
                    }
                    other => panic!("{other:?}"),
                });
                Ok(true)
            };
            opened.rows.scan(&start, &end, &mut slot).unwrap();
            for (key, version) in slots {
                let entry = opened.rows.get(&keys::queued(&queue, &key, version)).unwrap();
                assert!(entry.is_some(), "{}/{} is not queued", bucket.name, String::from_utf8_lossy(&key));
            }
        }
    }
}

/// The bytes of a version; none for a delete marker.
fn bytes_of(opened: &Opened, bucket: &Bucket, key: &ObjectKey, row: &ObjectRow) -> Option<bytes::Bytes> {
    let place = place_of(bucket, key, row);
    match row.location {
        Location::Marker => None,
        Location::Folder => Some(bytes::Bytes::new()),
        Location::Plain | Location::Overflow => {
            let there = opened.disk.stamp_at(&place.path()).unwrap();
            let there = there.unwrap_or_else(|| panic!("the file {} of {key}", place.path().display()));
            assert_eq!(there.modified, opened.disk.rounded(Stamp(row.stamp)), "{key}");
            let bytes = std::fs::read(opened.disk.root().join(place.path())).unwrap();
            let Some(sealed) = row.sealed.clone() else { return Some(bytes.into()) };
            let encryption = sealed.encryption.into_encryption().expect("a wrapped key");
            let data_key = envelopes::open(&encryption, bucket, key.as_str());
            Some(envelopes::unseal(&bytes, &data_key).into())
        }
    }
}

struct NoFinding {
    may_lack_tags: bool,
}

impl CheckObserver for NoFinding {
    fn found(&mut self, finding: &Finding) {
        let is_of_tag = matches!(finding.difference, Difference::WrongTag | Difference::DifferingTag);
        assert!(self.may_lack_tags && is_of_tag, "{finding:?}");
    }

    fn progress(&mut self, _: CheckProgress) {}
}

/// `fsck` finds nothing, with every byte read.
fn agrees(opened: &Opened, may_lack_tags: bool) {
    let options = CheckOptions { mend: Mend::Nothing, data: true, bucket: None };
    check_opened(opened, Arc::new(SystemClock), &options, &mut NoFinding { may_lack_tags }).unwrap();
}

/// No folder without a file, no staged file without a part, no trash.
fn nothing_left(opened: &Opened, root: &Path) {
    for bucket in opened.recovered.buckets.values() {
        let is_key = |folder: &Path| {
            let key = folder.strip_prefix(root.join(bucket.name.as_str())).unwrap();
            let row = keys::object(bucket.id, format!("{}/", key.display()).as_bytes());
            opened.rows.get(&row).unwrap().is_some()
        };
        let mut folders = vec![root.join(bucket.name.as_str())];
        while let Some(folder) = folders.pop() {
            let inside: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
            let is_bucket = folder == root.join(bucket.name.as_str());
            assert!(is_bucket || !inside.is_empty() || is_key(&folder), "the empty folder {}", folder.display());
            folders.extend(inside.into_iter().filter(|path| path.is_dir()));
        }
    }
    let named = crate::storage::recovery::named_staged_files(&opened.rows).unwrap();
    for entry in std::fs::read_dir(root.join(".myfsio.sys/tmp")).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        assert!(named.contains(&name), "the staged file {name} of {} bytes", entry.metadata().unwrap().len());
    }
    let trash = std::fs::read_dir(root.join(".myfsio.sys/trash")).unwrap();
    assert_eq!(trash.count(), 0, "something in the trash");
}
