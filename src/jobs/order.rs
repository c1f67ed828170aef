//! What a job is asked to do, as it is written down, and what that means. Pure.

use std::collections::BTreeMap;

use myfsio_actors::names::{BucketName, KEY_BYTES_MAX, ObjectKey, Stamp};
use myfsio_actors::policy_engine::refuse_ambiguous;
use serde::{Deserialize, Serialize};

/// Most keys and prefixes of one order.
pub const ITEMS_MAX: usize = 10_000;
/// Most tags of an object (S3 User Guide, "Categorizing your objects using tags").
const TAGS_MAX: usize = 10;

/// What is done with each object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Deletes it, or all of its versions.
    Delete,
    /// Copies it below another prefix.
    Copy,
    /// Copies it, and deletes it where it was.
    Move,
    /// Changes its tags.
    Tag,
    /// Brings it back: what was deleted, or what it was at a time.
    Restore,
}

impl Action {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Delete => "delete",
            Self::Copy => "copy",
            Self::Move => "move",
            Self::Tag => "tag",
            Self::Restore => "restore",
        }
    }
}

/// An order as people and files write it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// What is done.
    pub action: Action,
    /// In which bucket.
    pub bucket: String,
    /// With these keys.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
    /// And with all keys that begin with one of these; the empty one is the whole bucket.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prefixes: Vec<String>,
    /// Of these, only with keys that contain this text behind the prefix, whatever the case of its letters.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub containing: String,
    /// Of a deletion: for good, with all versions and delete markers.
    #[serde(default, skip_serializing_if = "is_false")]
    pub versions: bool,
    /// Of a deletion: unfinished uploads below the prefixes, too.
    #[serde(default, skip_serializing_if = "is_false")]
    pub uploads: bool,
    /// Of a copy: what is taken from the beginning of each key.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub from: String,
    /// Of a copy: what is put in its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Of a copy: into which bucket; none is the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_bucket: Option<String>,
    /// Of a copy: what is there already stays, and so does what would have replaced it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub keep_existing: bool,
    /// Tags to set.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// Whether these are all tags that are left.
    #[serde(default, skip_serializing_if = "is_false")]
    pub replace: bool,
    /// Of a restoration: the time, RFC 3339; none brings back what was deleted last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde asks")]
fn is_false(value: &bool) -> bool {
    !value
}

/// Why an order cannot be carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unsound(pub String);

/// Most characters of what is told: an order may hold names of any length.
pub(super) const MESSAGE_CHARS_MAX: usize = 400;

fn unsound(text: impl Into<String>) -> Unsound {
    let text: String = text.into();
    match text.char_indices().nth(MESSAGE_CHARS_MAX) {
        Some(_) => Unsound(text.chars().take(MESSAGE_CHARS_MAX - 1).chain(['…']).collect()),
        None => Unsound(text),
    }
}

/// An order that can be carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// The bucket.
    pub bucket: BucketName,
    /// Keys.
    pub keys: Vec<ObjectKey>,
    /// Prefixes.
    pub prefixes: Vec<String>,
    /// What keys below them contain, in lower case; all contain the empty text.
    pub containing: String,
    /// What is done.
    pub does: Does,
}

/// What is done with each object, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Does {
    /// Deletes it.
    Delete {
        /// For good.
        versions: bool,
        /// Unfinished uploads, too.
        uploads: bool,
    },
    /// Copies or moves it.
    Copy(Copy),
    /// Sets tags.
    Tag {
        /// These.
        tags: Vec<(String, String)>,
        /// And no others are left.
        replace: bool,
    },
    /// Brings it back.
    Restore {
        /// As it was then; none: as it was before it was deleted.
        as_of: Option<Stamp>,
    },
}

/// Where copies go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// What is taken from the beginning of each key.
    pub from: String,
    /// What is put in its place.
    pub to: String,
    /// The bucket.
    pub bucket: BucketName,
    /// Whether what is there stays.
    pub keep_existing: bool,
    /// Whether what was copied is deleted.
    pub moves: bool,
}

impl Copy {
    /// The key of a copy. Errs: no object can have it.
    pub fn target(&self, key: &str) -> Result<ObjectKey, Unsound> {
        let rest = key.strip_prefix(&self.from).unwrap_or(key);
        let target = format!("{}{rest}", self.to);
        ObjectKey::parse(target.as_bytes())
            .map_err(|error| unsound(format!("No object can have the new key: {error}.")))
    }
}

impl Work {
    /// Whether listings of versions say what there is to do.
    pub fn looks_at_versions(&self) -> bool {
        matches!(self.does, Does::Delete { versions: true, .. } | Does::Restore { .. })
    }

    /// Whether a key below one of the prefixes is meant.
    pub fn wants(&self, prefix: &str, key: &str) -> bool {
        let rest = key.strip_prefix(prefix).unwrap_or(key);
        self.containing.is_empty() || rest.to_lowercase().contains(&self.containing)
    }

    /// Whether an object of the bucket is one that the order names, by its key or a prefix.
    pub fn names(&self, bucket: &BucketName, key: &ObjectKey) -> bool {
        let below = |prefix: &String| key.as_str().starts_with(prefix) && self.wants(prefix, key.as_str());
        *bucket == self.bucket && (self.keys.contains(key) || self.prefixes.iter().any(below))
    }

    /// The bucket that copies go to, where it is another one.
    pub fn target_bucket(&self) -> Option<&BucketName> {
        match &self.does {
            Does::Copy(copy) if copy.bucket != self.bucket => Some(&copy.bucket),
            _ => None,
        }
    }
}

impl Order {
    /// Reads an order. Errs: it is no JSON, has a name twice, or one that no order has.
    pub fn parse(text: &[u8]) -> Result<Self, Unsound> {
        let refused = |error: &dyn std::fmt::Display| unsound(format!("The order: {error}."));
        let text = std::str::from_utf8(text).map_err(|error| refused(&error))?;
        refuse_ambiguous(text).and_then(|()| serde_json::from_str(text)).map_err(|error| refused(&error))
    }

    /// What the order means. Errs: what is wrong with it.
    pub fn work(&self) -> Result<Work, Unsound> {
        let bucket = bucket_name(&self.bucket)?;
        let items = self.keys.len() + self.prefixes.len();
        if items == 0 || items > ITEMS_MAX {
            return Err(unsound(format!(
                "An order names 1 to {ITEMS_MAX} keys and prefixes; the prefix \"\" is the whole bucket."
            )));
        }
        let keys = self.keys.iter().map(|key| {
            ObjectKey::parse(key.as_bytes())
                .map_err(|error| unsound(format!("No object can have the key {key:?}: {error}.")))
        });
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        if self.prefixes.iter().any(|prefix| prefix.len() > KEY_BYTES_MAX) {
            return Err(unsound("A prefix is longer than any key."));
        }
        if !self.containing.is_empty() && !self.keys.is_empty() {
            return Err(unsound("containing is said of prefixes; keys are named one by one."));
        }
        if self.containing.len() > KEY_BYTES_MAX {
            return Err(unsound("containing is longer than any key."));
        }
        self.has_only_its_own()?;
        let does = match self.action {
            Action::Delete => Does::Delete { versions: self.versions, uploads: self.uploads },
            Action::Copy | Action::Move => Does::Copy(self.copy(&bucket)?),
            Action::Tag => self.tagging()?,
            Action::Restore => Does::Restore { as_of: self.time()? },
        };
        Ok(Work { bucket, keys, prefixes: self.prefixes.clone(), containing: self.containing.to_lowercase(), does })
    }

    /// Errs: something is said that means nothing for what is done.
    fn has_only_its_own(&self) -> Result<(), Unsound> {
        let copies = matches!(self.action, Action::Copy | Action::Move);
        let said = [
            ("versions", self.versions, self.action == Action::Delete),
            ("uploads", self.uploads, self.action == Action::Delete),
            ("from", !self.from.is_empty(), copies),
            ("to", self.to.is_some(), copies),
            ("to_bucket", self.to_bucket.is_some(), copies),
            ("keep_existing", self.keep_existing, copies),
            ("tags", !self.tags.is_empty(), self.action == Action::Tag),
            ("replace", self.replace, self.action == Action::Tag),
            ("as_of", self.as_of.is_some(), self.action == Action::Restore),
        ];
        match said.iter().find(|(_, is_said, may_be)| *is_said && !may_be) {
            Some((name, ..)) => Err(unsound(format!("{name} means nothing for the action {}.", self.action.word()))),
            None => Ok(()),
        }
    }

    fn copy(&self, bucket: &BucketName) -> Result<Copy, Unsound> {
        let to_bucket = self.to_bucket.as_deref().map_or_else(|| Ok(bucket.clone()), bucket_name)?;
        let Some(to) = self.to.clone() else {
            return Err(unsound("to says what stands before the new keys; it may be empty."));
        };
        let (from, keep_existing) = (self.from.clone(), self.keep_existing);
        let copy = Copy { from, to, bucket: to_bucket, keep_existing, moves: self.action == Action::Move };
        let stray = self.keys.iter().chain(&self.prefixes).find(|item| !item.starts_with(&copy.from));
        if let Some(stray) = stray {
            return Err(unsound(format!("{stray:?} does not begin with {:?}, which from takes away.", copy.from)));
        }
        if copy.bucket == *bucket {
            self.leads_elsewhere(&copy)?;
        }
        Ok(copy)
    }

    /// Errs: copies would lie where they are taken from, so that the job would find them again, without end.
    fn leads_elsewhere(&self, copy: &Copy) -> Result<(), Unsound> {
        if copy.from == copy.to {
            return Err(unsound("The copies would be what they are copies of."));
        }
        let target = |item: &str| format!("{}{}", copy.to, item.strip_prefix(&copy.from).unwrap_or(item));
        let into_itself = self.prefixes.iter().find(|prefix| target(prefix).starts_with(prefix.as_str()));
        match into_itself {
            Some(prefix) => Err(unsound(format!("{prefix:?} cannot be copied into itself."))),
            None => Ok(()),
        }
    }

    fn tagging(&self) -> Result<Does, Unsound> {
        if self.tags.is_empty() && !self.replace {
            return Err(unsound("There are no tags to set; with replace, none are left."));
        }
        if self.tags.len() > TAGS_MAX || self.tags.keys().any(String::is_empty) {
            return Err(unsound(format!("An object has at most {TAGS_MAX} tags, and each has a key.")));
        }
        let tags = self.tags.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        Ok(Does::Tag { tags, replace: self.replace })
    }

    fn time(&self) -> Result<Option<Stamp>, Unsound> {
        let parse = |text: &str| Stamp::parse_rfc3339(text).ok_or_else(|| unsound("as_of is an RFC 3339 time."));
        self.as_of.as_deref().map(parse).transpose()
    }
}

fn bucket_name(name: &str) -> Result<BucketName, Unsound> {
    BucketName::parse(name).map_err(|error| unsound(format!("No bucket can have the name {name:?}: {error}.")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work(text: &str) -> Result<Work, Unsound> {
        Order::parse(text.as_bytes())?.work()
    }

    #[test]
    fn orders_mean_what_they_say() {
        let whole =
            work(r#"{"action":"delete","bucket":"bbb","prefixes":[""],"versions":true,"uploads":true}"#).unwrap();
        assert_eq!(whole.does, Does::Delete { versions: true, uploads: true });
        assert!(whole.looks_at_versions());
        let copy = work(r#"{"action":"move","bucket":"bbb","prefixes":["a/b/"],"keys":["a/x"],"from":"a/","to":"z/"}"#)
            .unwrap();
        let Does::Copy(copy) = copy.does else { panic!("a copy") };
        assert_eq!(copy.target("a/b/c").unwrap().as_str(), "z/b/c");
        assert!(copy.moves && copy.bucket.as_str() == "bbb");
        let tag = work(r#"{"action":"tag","bucket":"bbb","keys":["k"],"tags":{"b":"2","a":""}}"#).unwrap();
        let tags = vec![("a".to_owned(), String::new()), ("b".to_owned(), "2".to_owned())];
        assert_eq!(tag.does, Does::Tag { tags, replace: false });
        let back =
            work(r#"{"action":"restore","bucket":"bbb","prefixes":["a/"],"as_of":"1970-01-01T00:00:01Z"}"#).unwrap();
        assert_eq!(back.does, Does::Restore { as_of: Some(Stamp(1_000_000_000)) });
    }

    #[test]
    fn of_prefixes_only_what_contains_a_text_can_be_meant() {
        let some = r#"{"action":"delete","bucket":"bbb","prefixes":["cat/"],"containing":"CaT"}"#;
        let (order, some) = (Order::parse(some.as_bytes()).unwrap(), work(some).unwrap());
        assert_eq!(Order::parse(&serde_json::to_vec(&order).unwrap()), Ok(order));
        let named = |key: &str| {
            let key = ObjectKey::parse(key.as_bytes()).unwrap();
            (some.names(&some.bucket, &key), some.wants("cat/", key.as_str()))
        };
        assert_eq!(named("cat/my-Cat.jpg"), (true, true));
        assert_eq!(named("cat/dog.jpg"), (false, false), "the prefix itself is not looked at");
        assert_eq!(named("dog/cat.jpg"), (false, true), "nor is what is not below it named");
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let delete = |more: &str| format!(r#"{{"action":"delete","bucket":"bbb"{more}}}"#);
        for (order, said) in [
            (delete(""), "names 1 to"),
            (delete(r#","keys":[""]"#), "No object can have"),
            (delete(r#","keys":["k"],"to":"x""#), "to means nothing"),
            (delete(r#","keys":["k"],"keys":["l"]"#), "twice"),
            (delete(r#","keys":["k"],"more":1"#), "unknown field"),
            (delete(r#","keys":["k"],"prefixes":["a/"],"containing":"x""#), "said of prefixes"),
            (delete(&format!(r#","prefixes":[""],"containing":"{}""#, "k".repeat(1025))), "longer than any key"),
            (delete(&format!(r#","prefixes":["{}"]"#, "k".repeat(1025))), "longer than any key"),
            (r#"{"action":"burn","bucket":"bbb","keys":["k"]}"#.to_owned(), "unknown variant"),
            (r#"{"action":"delete","bucket":"B","keys":["k"]}"#.to_owned(), "No bucket"),
            (r#"{"action":"tag","bucket":"bbb","keys":["k"]}"#.to_owned(), "no tags to set"),
            (r#"{"action":"tag","bucket":"bbb","keys":["k"],"tags":{"":"x"}}"#.to_owned(), "each has a key"),
            (r#"{"action":"restore","bucket":"bbb","keys":["k"],"as_of":"soon"}"#.to_owned(), "RFC 3339"),
            (r#"{"action":"copy","bucket":"bbb","keys":["k"]}"#.to_owned(), "to says"),
            ("[]".to_owned(), "order"),
        ] {
            let told = work(&order).unwrap_err().to_string();
            assert!(told.to_lowercase().contains(&said.to_lowercase()), "{order}: {told}");
        }
        let long = work(&delete(&format!(r#","keys":["{}"]"#, "ü".repeat(5000)))).unwrap_err().to_string();
        assert_eq!((long.chars().count(), long.ends_with('…')), (MESSAGE_CHARS_MAX, true));
    }

    #[test]
    fn no_copy_feeds_on_itself() {
        let copy = |prefix: &str, from: &str, to: &str, bucket: &str| {
            let order = serde_json::json!({
                "action": "copy", "bucket": "bbb", "prefixes": [prefix], "from": from, "to": to, "to_bucket": bucket,
            });
            work(&order.to_string()).is_ok()
        };
        for (prefix, from, to) in [
            ("a/", "", ""),
            ("a/", "", "a/"),
            ("a/", "a/", "a/b/"),
            ("", "", "x/"),
            ("a", "a", "ab"),
            ("a/", "x/", "z/"),
        ] {
            assert!(!copy(prefix, from, to, "bbb"), "{prefix} {from} {to}");
        }
        let up = work(r#"{"action":"move","bucket":"bbb","prefixes":["a/"],"keys":["b"],"to":"x"}"#).unwrap();
        let named = |bucket: &str, key: &str| {
            up.names(&BucketName::parse(bucket).unwrap(), &ObjectKey::parse(key.as_bytes()).unwrap())
        };
        assert!(named("bbb", "a/x") && named("bbb", "b") && !named("bbb", "b/a/") && !named("ccc", "b"));
        for (prefix, from, to) in [("a/", "a/", "b/"), ("a/b/", "a/", ""), ("a/", "", "b/"), ("a/", "a/", "")] {
            assert!(copy(prefix, from, to, "bbb"), "{prefix} {from} {to}");
        }
        assert!(copy("", "", "", "ccc") && copy("", "", "x/", "ccc"));
    }
}
