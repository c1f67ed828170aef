//! What stands beside the bytes of an object, tags and lock, as digests: a node tells them to one that compares with it, which need not
//! read each object for that. Pure.

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::bucket_config::RetentionMode;
use crate::storage::Object;

/// Digits of a digest.
const DIGITS: usize = 16;
/// Stands for no tags, or no lock.
const NOTHING: &str = "-";

/// Digests of tags, in whatever order they stand, and of retention and legal hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beside {
    tags: String,
    lock: String,
}

impl Beside {
    /// What stands beside the bytes of an object.
    pub fn of(object: &Object) -> Self {
        let mut tags: Vec<_> = object.attributes.tags.iter().collect();
        tags.sort_unstable();
        let texts = tags.iter().flat_map(|(key, value)| [key.as_str(), value.as_str()]);
        let controls = &object.controls;
        let mode = |mode| match mode {
            RetentionMode::Governance => "governance",
            RetentionMode::Compliance => "compliance",
        };
        // Requests tell it in seconds.
        let retention = controls.retention.map(|it| format!("{} {}", mode(it.mode), it.until_millis / 1000));
        let hold = controls.is_held().then(|| "held".to_owned());
        let lock: Vec<_> = retention.into_iter().chain(hold).collect();
        Self { tags: digest(texts), lock: digest(lock.iter().map(String::as_str)) }
    }

    /// Reads its text; none when it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let is_one = |text: &str| {
            text == NOTHING || (text.len() == DIGITS && text.bytes().all(|digit| digit.is_ascii_hexdigit()))
        };
        let (tags, lock) = text.split_once('/').filter(|(tags, lock)| is_one(tags) && is_one(lock))?;
        Some(Self { tags: tags.to_owned(), lock: lock.to_owned() })
    }

    /// Whether the other side has what this has. A lock counts only if both sides can have one, and if there is one here: a bucket there may
    /// lock by itself.
    pub(super) fn is_at(&self, there: &Self, has_locks: bool) -> bool {
        let is_locked_alike = !has_locks || self.lock == NOTHING || self.lock == there.lock;
        self.tags == there.tags && is_locked_alike
    }
}

impl fmt::Display for Beside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.tags, self.lock)
    }
}

fn digest<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    let mut texts = texts.peekable();
    if texts.peek().is_none() {
        return NOTHING.to_owned();
    }
    let digest = texts.fold(Sha256::new(), |digest, text| {
        digest.chain_update((text.len() as u64).to_be_bytes()).chain_update(text.as_bytes())
    });
    let text = hex::encode(digest.finalize());
    text.get(..DIGITS).unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bucket_config::Retention;
    use crate::names::{CanonicalId, ETag, Stamp, VersionId};
    use crate::storage::{Attributes, Controls};

    fn of(tags: &[(&str, &str)], until_millis: Option<u64>, legal_hold: Option<bool>) -> Beside {
        let tags = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let retention = until_millis.map(|until_millis| Retention { mode: RetentionMode::Governance, until_millis });
        Beside::of(&Object {
            version_id: VersionId::Null,
            stamp: Stamp(1),
            size: 0,
            etag: ETag::single([0; 16]),
            crc64nvme: 0,
            checksum: None,
            owner: CanonicalId::from_bytes([1; 32]),
            attributes: Attributes { tags, ..Attributes::default() },
            controls: Controls { retention, legal_hold, ..Controls::default() },
            upload: None,
            sealed: None,
            lineage: None,
        })
    }

    #[test]
    fn tags_count_whatever_their_order_and_locks_where_there_are_some() {
        let both = of(&[("a", "1"), ("b", "2")], None, None);
        assert!(both.is_at(&of(&[("b", "2"), ("a", "1")], None, None), true));
        for other in [of(&[], None, None), of(&[("a", "1")], None, None), of(&[("a", "1b"), ("", "2")], None, None)] {
            assert!(!both.is_at(&other, false) && !other.is_at(&both, false));
        }
        let (held, kept, free) = (of(&[], None, Some(true)), of(&[], Some(7999), None), of(&[], None, Some(false)));
        assert!(kept.is_at(&of(&[], Some(7001), None), true), "requests tell it in seconds");
        assert!(!kept.is_at(&of(&[], Some(8000), None), true) && !held.is_at(&kept, true) && !held.is_at(&free, true));
        assert!(held.is_at(&free, false) && free.is_at(&held, true));
        assert_eq!((free.to_string().as_str(), Beside::parse(&kept.to_string())), ("-/-", Some(kept)));
        assert_eq!(["", "-", "-/", "-/xyz", "-/-/-"].map(Beside::parse), [const { None }; 5]);
    }
}
