//! What takes back a change that was just made in a bucket that keeps versions: which versions came to be by it. A notice carries it to
//! the next page as a form, so that it works without scripts and is forgotten with the page.
//!
//! Taking back never loses bytes. A delete made a delete marker: exactly that one is removed, which holds nothing. An overwrite made a
//! version with bytes of its own: it stays, and the version before it becomes current by a copy on top. A new object gets a delete marker.
//! A move made a marker and a version: both are taken back, the first one first.
//!
//! INVARIANT: nothing here is trusted. The form is asked about what the bucket holds by then (`pages/undo.rs`).

use std::sync::Arc;

use myfsio_actors::names::{ObjectKey, VersionId};
use myfsio_actors::storage::{Bucket, VersionEntry, Versioning};

use crate::within::{Asker, CopyLimits, VersionsWanted};

/// Most changes that one form takes back: their keys fit into a form, however long they are.
pub const ITEMS_MAX: usize = 250;

/// What was done to a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// A delete marker was made.
    Deleted,
    /// A version was made in the place of another.
    Replaced,
    /// A version was made where no object was.
    Created,
}

/// A change of a key, and the version that it made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What was done.
    pub deed: Deed,
    /// The version, or delete marker, that it made.
    pub version: VersionId,
    /// The key.
    pub key: ObjectKey,
}

impl Change {
    /// As a field of the form has it.
    pub fn field(&self) -> String {
        let deed = match self.deed {
            Deed::Deleted => "deleted",
            Deed::Replaced => "replaced",
            Deed::Created => "created",
        };
        format!("{deed}:{}:{}", self.version, self.key)
    }

    /// Reads such a field.
    pub fn parse(field: &str) -> Option<Self> {
        let (deed, rest) = field.split_once(':')?;
        let (version, key) = rest.split_once(':')?;
        let deed = match deed {
            "deleted" => Deed::Deleted,
            "replaced" => Deed::Replaced,
            "created" => Deed::Created,
            _ => return None,
        };
        // The null version is written over, so that it tells nothing of when.
        let version = VersionId::parse(version).ok().filter(|version| *version != VersionId::Null)?;
        Some(Self { deed, version, key: ObjectKey::parse(key.as_bytes()).ok()? })
    }
}

/// Changes of one bucket that can be taken back together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undo {
    /// The bucket.
    pub bucket: String,
    /// What was done to all of them; of a move, to its source.
    deed: Deed,
    /// Whether they are parts of one change: where one stays, those after it stay, too.
    pub is_whole: bool,
    /// The folder whose page follows.
    pub prefix: String,
    /// The changes; none where there are too many for a form.
    pub changes: Vec<Change>,
    /// How many there are.
    pub count: u64,
}

impl Undo {
    /// Of these changes, which are all of one kind.
    pub fn of(bucket: &Bucket, deed: Deed, prefix: &str, changes: Vec<Change>) -> Self {
        let count = changes.len() as u64;
        let changes = if changes.len() <= ITEMS_MAX { changes } else { Vec::new() };
        Self { bucket: bucket.name.to_string(), deed, is_whole: false, prefix: prefix.to_owned(), changes, count }
    }

    /// Whether a form can take all of it back.
    pub fn is_open(&self) -> bool {
        !self.changes.is_empty()
    }

    /// Whether both are overwrites in one bucket, which are told together.
    pub fn joins(&self, other: &Self) -> bool {
        self.bucket == other.bucket && [self, other].iter().all(|undo| undo.deed == Deed::Replaced)
    }

    /// Both together, in the folder that holds them all.
    #[must_use]
    pub fn with(mut self, other: Self) -> Self {
        self.count = self.count.saturating_add(other.count);
        self.changes.extend(other.changes);
        if self.changes.len() > ITEMS_MAX || self.count > ITEMS_MAX as u64 {
            self.changes.clear();
        }
        let same = self.prefix.bytes().zip(other.prefix.bytes()).take_while(|(one, two)| one == two).count();
        let shared = self.prefix.get(..same).unwrap_or_default();
        self.prefix = shared.rfind('/').and_then(|at| shared.get(..=at)).unwrap_or_default().to_owned();
        self
    }
}

/// The newest versions of a key, at most two; none where the asker may not list them.
pub async fn newest(asker: &Asker, bucket: &Arc<Bucket>, key: &ObjectKey) -> Vec<VersionEntry> {
    // A key comes before all others that begin with it.
    let wanted = VersionsWanted { prefix: key.as_str().to_owned(), limit: 2, ..VersionsWanted::default() };
    let page = asker.versions(bucket, wanted).await.unwrap_or_default();
    page.entries.into_iter().filter(|entry| entry.key == *key).collect()
}

/// What takes back a write, if it took the place of an object, is still what is newest, and its predecessor is not so large that
/// nobody waits for its copy. `made`: whether a version is that of the write.
pub async fn of_write(
    asker: &Asker,
    bucket: &Arc<Bucket>,
    key: &ObjectKey,
    made: impl Fn(&VersionEntry) -> bool,
) -> Option<Undo> {
    if bucket.versioning != Versioning::Enabled {
        return None;
    }
    let newest = newest(asker, bucket, key).await;
    let [own, before] = &newest[..] else { return None };
    let size = before.object.as_ref().map(|object| object.size)?;
    if !made(own) || own.version_id == VersionId::Null || CopyLimits::of(&asker.node().settings).is_large(size) {
        return None;
    }
    let change = Change { deed: Deed::Replaced, version: own.version_id, key: key.clone() };
    Some(Undo::of(bucket, Deed::Replaced, folder_of(key), vec![change]))
}

/// What takes back a move within a bucket, if its target is still what it made, and all of it can be taken back at once. `source`: the
/// key that was left, and the delete marker that is there now; `made`: whether a version is that of the move.
pub async fn of_move(
    asker: &Asker,
    bucket: &Arc<Bucket>,
    source: (ObjectKey, VersionId),
    target: &ObjectKey,
    made: impl Fn(&VersionEntry) -> bool,
) -> Option<Undo> {
    let (source, marker) = source;
    let may = |action: &str, key: &ObjectKey| asker.may(action, Some(bucket), Some(key.as_str()));
    if bucket.versioning != Versioning::Enabled || !may("s3:DeleteObjectVersion", &source) {
        return None;
    }
    let newest = newest(asker, bucket, target).await;
    let own = newest.first().filter(|own| made(own) && own.version_id != VersionId::Null)?;
    let deed = match newest.get(1).and_then(|before| before.object.as_ref()) {
        Some(before) if CopyLimits::of(&asker.node().settings).is_large(before.size) => return None,
        Some(_) => Deed::Replaced,
        None if may("s3:DeleteObject", target) => Deed::Created,
        None => return None,
    };
    let prefix = folder_of(&source).to_owned();
    let changes = vec![
        Change { deed: Deed::Deleted, version: marker, key: source },
        Change { deed, version: own.version_id, key: target.clone() },
    ];
    Some(Undo { is_whole: true, ..Undo::of(bucket, Deed::Deleted, &prefix, changes) })
}

/// The folder of a key, with its slash; empty at the top.
fn folder_of(key: &ObjectKey) -> &str {
    key.as_str().rfind('/').and_then(|at| key.as_str().get(..=at)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "00000000000000070000000000000009";

    fn change(key: &str) -> Change {
        Change::parse(&format!("replaced:{ID}:{key}")).unwrap()
    }

    fn undo(prefix: &str, changes: usize) -> Undo {
        let changes: Vec<_> = (0..changes).map(|at| change(&format!("{prefix}{at}"))).collect();
        Undo {
            bucket: "b".to_owned(),
            deed: Deed::Replaced,
            is_whole: false,
            prefix: prefix.to_owned(),
            count: changes.len() as u64,
            changes,
        }
    }

    #[test]
    fn fields_say_what_was_done() {
        for field in [format!("deleted:{ID}:a:b/ä"), format!("replaced:{ID}:x"), format!("created:{ID}:y")] {
            assert_eq!(Change::parse(&field).unwrap().field(), field);
        }
        for field in
            ["", "deleted", "deleted:null:k", &format!("made:{ID}:k"), &format!("deleted:{ID}:"), "deleted:x:k"]
        {
            assert_eq!(Change::parse(field), None, "{field}");
        }
    }

    #[test]
    fn overwrites_are_told_together_as_long_as_a_form_holds_them() {
        let both = undo("a/b/", 1).with(undo("a/c/", 2));
        assert_eq!((both.prefix.as_str(), both.count, both.is_open()), ("a/", 3, true));
        assert_eq!(undo("a/b/", 1).with(undo("a/b/", 1)).prefix, "a/b/");
        assert_eq!(undo("ab/", 1).with(undo("ac/", 1)).prefix, "");
        let many = undo("", ITEMS_MAX).with(undo("", 1));
        assert_eq!((many.count, many.is_open()), (ITEMS_MAX as u64 + 1, false));
        assert!(!many.with(undo("", 1)).is_open(), "and so it stays");
        let mut deleted = undo("", 1);
        deleted.deed = Deed::Deleted;
        assert!(!undo("", 1).joins(&deleted) && undo("", 1).joins(&undo("x/", 1)));
    }
}
