//! Keys that are in use, but not here: what is wrapped under them cannot be read. Pure.

use std::fmt;

use crate::encryption::{KeyUse, WrappingKey};

/// Most keys that one text names.
const NAMED_MAX: usize = 10;

/// Keys that are in use, but not here, at least one, and what is wrapped under each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lost(Vec<(WrappingKey, KeyUse)>);

impl Lost {
    /// Those of `in_use` that `is_known` denies; none when there are none. Keys of customers are theirs to lose.
    pub fn of(in_use: &[(WrappingKey, KeyUse)], is_known: impl Fn(&WrappingKey) -> bool) -> Option<Self> {
        let is_lost = |(key, used): &&(WrappingKey, KeyUse)| {
            key.id().is_some() && used.objects.max(used.uploads) > 0 && !is_known(key)
        };
        let lost: Vec<_> = in_use.iter().filter(is_lost).cloned().collect();
        (!lost.is_empty()).then_some(Self(lost))
    }

    /// The same for clients: which master keys are missing.
    pub fn told(&self) -> String {
        let ids = self.0.iter().filter_map(|(key, _)| match key {
            WrappingKey::Managed(id) => Some(id.as_str()),
            WrappingKey::Kms(_) | WrappingKey::Customer => None,
        });
        match ids.take(NAMED_MAX).collect::<Vec<_>>().join(", ").as_str() {
            "" => "The node has neither a master key nor the KMS keys that objects are encrypted under.".to_owned(),
            ids => format!("The node does not have master key {ids}, under which objects are encrypted."),
        }
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (key, KeyUse { objects, uploads })) in self.0.iter().take(NAMED_MAX).enumerate() {
            let kind = if matches!(key, WrappingKey::Managed(_)) { "master key" } else { "KMS key" };
            let (before, id) = (if index == 0 { "" } else { ", " }, key.id().unwrap_or_default());
            write!(f, "{before}{kind} {id} ({objects} objects, {uploads} uploads)")?;
        }
        match self.0.len().saturating_sub(NAMED_MAX) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn managed(id: &str, objects: u64, uploads: u64) -> (WrappingKey, KeyUse) {
        (WrappingKey::Managed(id.to_owned()), KeyUse { objects, uploads })
    }

    #[test]
    fn what_is_in_use_and_not_known_is_lost() {
        let in_use = [
            managed("m1", 3, 0),
            managed("m2", 0, 1),
            managed("unused", 0, 0),
            (WrappingKey::Kms("k".to_owned()), KeyUse { objects: 2, uploads: 0 }),
            (WrappingKey::Customer, KeyUse { objects: 9, uploads: 9 }),
        ];
        let lost = Lost::of(&in_use, |_| false).unwrap();
        assert_eq!(
            lost.to_string(),
            "master key m1 (3 objects, 0 uploads), master key m2 (0 objects, 1 uploads), KMS key k (2 objects, 0 uploads)"
        );
        assert_eq!(lost.told(), "The node does not have master key m1, m2, under which objects are encrypted.");
        let lost = Lost::of(&in_use, |key| matches!(key, WrappingKey::Managed(_))).unwrap();
        assert_eq!(lost.to_string(), "KMS key k (2 objects, 0 uploads)");
        assert!(lost.told().starts_with("The node has neither a master key"));
        assert_eq!(Lost::of(&in_use, |_| true), None);
    }

    #[test]
    fn a_text_stays_short() {
        let in_use: Vec<_> = (0..1000).map(|number| managed(&format!("m{number}"), 1, 0)).collect();
        let lost = Lost::of(&in_use, |_| false).unwrap();
        assert!(lost.to_string().ends_with("master key m9 (1 objects, 0 uploads) and 990 more"));
        assert!(lost.told().len() < 200);
    }
}
