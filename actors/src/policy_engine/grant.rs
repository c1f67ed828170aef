//! The short form of identity policies: `{"bucket": "photos", "actions": ["list", "s3:GetObject"], "prefix": "a/"}`.
//!
//! A grant is the node administrator's word: it suffices in every account, and a user that holds one is bound by its
//! grants. Words are those of the table in `actions`; a word that the table does not know grants nothing.

use serde_json::Value;

use super::actions::{Capability, Coarse, find_action};
use super::error::InvalidPolicy;
use super::pattern::{Pattern, Syntax, no_variables};
use super::principal::texts;

/// Most words of one grant.
const WORDS_MAX: usize = 200;

/// A parsed grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Grant {
    bucket: Pattern,
    /// Bits of [`Capability`].
    capabilities: u32,
    /// Words with wildcards, such as `s3:Get*`, and names of IAM actions that have no word of their own, such as
    /// `iam:CreateGroup`: they grant the actions that they fit, nothing else.
    names: Vec<Pattern>,
    /// `None`: every key.
    prefix: Option<Prefix>,
    /// Words that grant nothing since nobody knows them.
    pub unknown: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Prefix {
    keys: Pattern,
    /// The keys' common beginning: listings below it are part of the grant.
    literal: String,
}

/// What a grant is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish<'a> {
    pub capability: Capability,
    /// Name with service.
    pub action: &'a str,
    /// Bucket; `None` for what concerns the node.
    pub bucket: Option<&'a str>,
    pub key: Option<&'a str>,
    /// `prefix` of a listing.
    pub listed_prefix: Option<&'a str>,
}

impl Grant {
    /// Parses a grant. Errs: an element that is no text, or one that the form does not have.
    pub fn parse(value: &Value, place: &str) -> Result<Self, InvalidPolicy> {
        let map = value.as_object().ok_or_else(|| InvalidPolicy::new(place, "must be an object"))?;
        if let Some(key) = map.keys().find(|key| !matches!(key.as_str(), "bucket" | "actions" | "prefix")) {
            return Err(InvalidPolicy::new(format!("{place}.{key}"), "is not an element of a policy"));
        }
        let text = |name: &str| match map.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str())),
            Some(_) => Err(InvalidPolicy::new(format!("{place}.{name}"), "must be a text")),
        };
        let invalid = |name: &str| {
            let place = format!("{place}.{name}");
            move |reason: String| InvalidPolicy::new(place, reason)
        };
        let bucket = text("bucket")?.ok_or_else(|| invalid("bucket")("is missing".to_owned()))?;
        let bucket = Pattern::parse(bucket, Syntax::WILDCARDS).map_err(invalid("bucket"))?;
        let prefix = match text("prefix")? {
            None | Some("" | "*") => None,
            Some(prefix) => Some(Prefix::parse(prefix).map_err(invalid("prefix"))?),
        };
        let mut grant = Self { bucket, capabilities: 0, names: Vec::new(), prefix, unknown: Vec::new() };
        let words = match map.get("actions") {
            None => return Err(InvalidPolicy::new(format!("{place}.actions"), "is missing")),
            Some(Value::Array(list)) if list.is_empty() => Vec::new(),
            Some(actions) => texts(actions, &format!("{place}.actions"))?,
        };
        if words.len() > WORDS_MAX {
            return Err(InvalidPolicy::new(format!("{place}.actions"), format!("has more than {WORDS_MAX} words")));
        }
        for word in words {
            grant.add(word);
        }
        Ok(grant)
    }

    fn add(&mut self, word: &str) {
        let lower = word.trim().to_ascii_lowercase();
        if let Some(capabilities) = capabilities_of(&lower) {
            self.capabilities |= capabilities;
            return;
        }
        let is_wild = lower.contains(['*', '?']) && (lower.starts_with("s3:") || lower.starts_with("iam:"));
        match Pattern::parse(&lower, Syntax::WILDCARDS) {
            Ok(pattern) if is_wild || is_granted_by_name(&lower) => self.names.push(pattern),
            _ => self.unknown.push(word.to_owned()),
        }
    }

    /// Whether the grant gives what is asked for.
    pub fn gives(&self, wish: Wish<'_>) -> bool {
        let named = || {
            // Wildcards never reach what is granted only by its own name.
            wish.capability.coarse() != Coarse::Alone
                && self.names.iter().any(|name| name.matches_ignoring_case(wish.action, &no_variables))
        };
        if self.capabilities & wish.capability.bit() == 0 && !named() {
            return false;
        }
        match wish.bucket {
            // What concerns the whole node is granted for all buckets or not at all.
            None => self.bucket.is_everything(),
            Some(bucket) => self.bucket.matches(bucket, &no_variables) && self.prefix_fits(wish),
        }
    }

    /// Whether the grant lets its holder see that the bucket exists.
    pub fn lists(&self, bucket: &str) -> bool {
        let listing = Wish {
            capability: Capability::List,
            action: "s3:ListBucket",
            bucket: Some(bucket),
            key: None,
            listed_prefix: self.prefix.as_ref().map(|prefix| prefix.literal.as_str()),
        };
        self.gives(listing)
    }

    fn prefix_fits(&self, wish: Wish<'_>) -> bool {
        let Some(prefix) = &self.prefix else {
            return true;
        };
        match (wish.key, wish.capability) {
            (Some(key), _) => prefix.keys.matches(key, &no_variables),
            (None, Capability::List) => wish.listed_prefix.is_some_and(|listed| listed.starts_with(&prefix.literal)),
            // HeadBucket and the like: that the bucket is there, not what is in it.
            (None, Capability::Read) => true,
            // The bucket as a whole is more than its part below a prefix.
            (None, _) => false,
        }
    }
}

impl Prefix {
    fn parse(text: &str) -> Result<Self, String> {
        let keys = match text.contains(['*', '?']) {
            true => Pattern::parse(text, Syntax::WILDCARDS)?,
            false => Pattern::prefix(text),
        };
        let literal = text.split(['*', '?']).next().unwrap_or_default().to_owned();
        Ok(Self { keys, literal })
    }
}

/// Whether the word is the name of an action that shares its capability with others, and so grants itself alone.
fn is_granted_by_name(word: &str) -> bool {
    find_action(word).is_some_and(|row| row.capability == Capability::IamOther)
}

/// The capabilities that a lower-case word stands for: a coarse action with all that is in it, a finer one, an alias.
fn capabilities_of(word: &str) -> Option<u32> {
    let all = |wanted: &dyn Fn(Capability) -> bool| {
        Capability::ALL.iter().filter(|c| wanted(**c)).fold(0, |set, capability| set | capability.bit())
    };
    let coarse = match word {
        "*" => return Some(all(&|_| true)),
        "s3:*" => return Some(all(&|c| !matches!(c.coarse(), Coarse::Iam | Coarse::Alone))),
        "iam:*" => return Some(all(&|c| c.coarse() == Coarse::Iam || c == Capability::Quota)),
        "list" => Some(Coarse::List),
        "read" => Some(Coarse::Read),
        "write" => Some(Coarse::Write),
        "delete" => Some(Coarse::Delete),
        "share" => Some(Coarse::Share),
        "policy" => Some(Coarse::Policy),
        "replication" => Some(Coarse::Replication),
        _ => None,
    };
    if let Some(coarse) = coarse {
        return Some(all(&|c| c.coarse() == coarse));
    }
    let has_no_word = |c: Capability| matches!(c, Capability::Quota | Capability::Kms);
    let finer = Capability::ALL.iter().copied().find(|c| c.token() == word && !has_no_word(*c));
    let alias = || find_action(word).or_else(|| find_action(&format!("s3:{word}"))).map(|row| row.capability);
    match finer.or_else(alias)? {
        // Quotas are the administrators', and so are keys, but for what their policies and documents give: no word grants them.
        Capability::Quota | Capability::Kms => None,
        // What is in it has names only: no word grants one action and with it all others.
        Capability::IamOther => None,
        Capability::IamListUsers => Some(Capability::IamListUsers.bit() | Capability::Quota.bit()),
        capability => Some(capability.bit()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::actions::{ACTIONS, ActionRow};
    use super::*;

    fn grant(words: &[&str]) -> Grant {
        Grant::parse(&json!({"bucket": "*", "actions": words}), "policy").unwrap()
    }

    fn gives(grant: &Grant, action: &str, bucket: &str, key: Option<&str>, listed_prefix: Option<&str>) -> bool {
        let row = find_action(action).unwrap();
        grant.gives(Wish { capability: row.capability, action: row.name, bucket: Some(bucket), key, listed_prefix })
    }

    #[test]
    fn each_action_comes_with_its_coarse_word_only() {
        let words = [
            ("list", Coarse::List),
            ("READ", Coarse::Read),
            ("write", Coarse::Write),
            ("Delete", Coarse::Delete),
            ("share", Coarse::Share),
            ("policy", Coarse::Policy),
            ("replication", Coarse::Replication),
        ];
        for (word, coarse) in words {
            let grant = grant(&[word]);
            for row in ACTIONS.iter().filter(|row| row.name.starts_with("s3:")) {
                assert_eq!(gives(&grant, row.name, "b", None, None), row.capability.coarse() == coarse, "{}", row.name);
            }
        }
    }

    #[test]
    fn each_action_is_granted_by_its_own_name_in_any_case() {
        let has_word = |row: &&ActionRow| !matches!(row.capability, Capability::Quota | Capability::Kms);
        for row in ACTIONS.iter().filter(has_word) {
            for word in [row.name.to_owned(), row.name.to_uppercase()] {
                assert!(gives(&grant(&[&word]), row.name, "b", None, None), "{word}");
            }
        }
        assert!(gives(&grant(&["GetObject"]), "s3:GetObject", "b", None, None));
    }

    #[test]
    fn finer_words_grant_their_part() {
        let rows = [
            ("create_bucket", "s3:CreateBucket", "s3:PutObject"),
            ("delete_bucket", "s3:DeleteBucket", "s3:DeleteObject"),
            ("tagging", "s3:PutObjectTagging", "s3:PutObject"),
            ("versioning", "s3:PutBucketVersioning", "s3:PutBucketPolicy"),
            ("encryption", "s3:PutEncryptionConfiguration", "s3:PutBucketPolicy"),
            ("lifecycle", "s3:PutLifecycleConfiguration", "s3:PutBucketPolicy"),
            ("cors", "s3:PutBucketCORS", "s3:PutBucketPolicy"),
            ("notification", "s3:PutBucketNotification", "s3:PutBucketPolicy"),
            ("logging", "s3:PutBucketLogging", "s3:PutBucketPolicy"),
            ("website", "s3:DeleteBucketWebsite", "s3:PutBucketPolicy"),
            ("object_lock", "s3:PutObjectRetention", "s3:PutBucketPolicy"),
            ("object_lock", "s3:PutObjectLegalHold", "s3:BypassGovernanceRetention"),
            ("s3:CreateBucket", "s3:CreateBucket", "s3:PutObject"),
            ("s3:Get*", "s3:GetBucketAcl", "s3:PutBucketAcl"),
            ("s3:BypassGovernanceRetention", "s3:BypassGovernanceRetention", "s3:PutObject"),
            ("s3:UpdateObjectEncryption", "s3:UpdateObjectEncryption", "s3:PutObject"),
            ("write", "s3:PutObject", "s3:UpdateObjectEncryption"),
            ("encryption", "s3:PutEncryptionConfiguration", "s3:UpdateObjectEncryption"),
            ("s3:*", "s3:PutObject", "s3:UpdateObjectEncryption"),
            ("s3:Update*", "s3:UpdateBucketMetadataJournalTableConfiguration", "s3:UpdateObjectEncryption"),
            ("iam:list_users", "s3:PutBucketQuota", "iam:CreateUser"),
            ("iam:*", "s3:PutBucketQuota", "s3:GetObject"),
            ("iam:*", "iam:CreateUser", "s3:BypassGovernanceRetention"),
            ("iam:*", "iam:CreateGroup", "s3:GetObject"),
            ("iam:CreateGroup", "iam:CreateGroup", "iam:DeleteGroup"),
            ("IAM:createRole", "iam:CreateRole", "iam:CreateUser"),
            ("iam:Get*", "iam:GetRole", "iam:CreateRole"),
            ("iam:create_user", "iam:CreateUser", "iam:CreateAccessKey"),
            ("s3:*", "s3:PutBucketPolicy", "s3:BypassGovernanceRetention"),
            ("s3:*", "s3:GetObject", "iam:ListUsers"),
            ("s3:*Retention", "s3:PutObjectRetention", "s3:BypassGovernanceRetention"),
            ("policy", "s3:PutObjectRetention", "s3:BypassGovernanceRetention"),
        ];
        for (word, given, withheld) in rows {
            let grant = grant(&[word]);
            assert!(gives(&grant, given, "b", None, None), "{word} gives {given}");
            assert!(!gives(&grant, withheld, "b", None, None), "{word} withholds {withheld}");
        }
        assert!(ACTIONS.iter().all(|row| gives(&grant(&["*"]), row.name, "b", None, None)));
        let unknown = grant(&["quota", "s3:PutBucketQuota", "fly", "GetObjekt", "kms", "kms:*", "kms:Decrypt"]);
        assert_eq!((unknown.unknown.len(), unknown.capabilities), (7, 0));
    }

    #[test]
    fn buckets_and_prefixes() {
        let parse = |value: Value| Grant::parse(&value, "policy").unwrap();
        let one = parse(json!({"bucket": "photos", "actions": ["read", "list"]}));
        assert!(gives(&one, "s3:GetObject", "photos", Some("x"), None));
        assert!(!gives(&one, "s3:GetObject", "photos2", Some("x"), None));
        assert!(one.lists("photos") && !one.lists("videos"));
        let part = parse(json!({"bucket": "p*", "actions": ["list", "read", "write", "delete"], "prefix": "a/"}));
        for (action, key, prefix, expected) in [
            ("s3:GetObject", Some("a/x"), None, true),
            ("s3:GetObject", Some("b/x"), None, false),
            ("s3:GetObject", Some("a"), None, false),
            ("s3:PutObject", Some("a/x"), None, true),
            ("s3:ListBucket", None, Some("a/"), true),
            ("s3:ListBucket", None, Some("a/b"), true),
            ("s3:ListBucket", None, Some("a"), false),
            ("s3:ListBucket", None, None, false),
            ("s3:HeadBucket", None, None, true),
            ("s3:DeleteBucket", None, None, false),
            ("s3:CreateBucket", None, None, false),
        ] {
            assert_eq!(gives(&part, action, "photos", key, prefix), expected, "{action} {key:?} {prefix:?}");
        }
        assert!(part.lists("photos"));
        let pattern = parse(json!({"bucket": "b", "actions": ["read"], "prefix": "a/*.jpg"}));
        assert!(gives(&pattern, "s3:GetObject", "b", Some("a/x.jpg"), None));
        assert!(!gives(&pattern, "s3:GetObject", "b", Some("a/x.png"), None));
        let everywhere = Wish {
            capability: Capability::IamListUsers,
            action: "iam:ListUsers",
            bucket: None,
            key: None,
            listed_prefix: None,
        };
        assert!(!parse(json!({"bucket": "b", "actions": ["iam:*"]})).gives(everywhere));
        assert!(grant(&["iam:*"]).gives(everywhere));
    }

    #[test]
    fn refused() {
        for value in [
            json!([]),
            json!({"bucket": "b"}),
            json!({"bucket": 5, "actions": []}),
            json!({"bucket": "b", "actions": [5]}),
            json!({"bucket": "b", "actions": ["read"], "deny": true}),
            json!({"bucket": "b", "actions": ["read"], "prefix": 1}),
        ] {
            assert!(Grant::parse(&value, "policy").is_err(), "{value}");
        }
    }
}
