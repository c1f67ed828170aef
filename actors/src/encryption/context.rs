//! The encryption context: pairs of text that a KMS key authenticates with what it wraps (KMS Developer Guide, "Encryption
//! context").

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Pairs in order of their names.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EncryptionContext(pub BTreeMap<String, String>);

impl EncryptionContext {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The same with one more pair, unless the name is there.
    pub fn with(&self, name: &str, value: &str) -> Self {
        let mut pairs = self.0.clone();
        pairs.entry(name.to_owned()).or_insert_with(|| value.to_owned());
        Self(pairs)
    }

    /// The bytes that are authenticated: each name and value behind its length, so that no two contexts have the same.
    pub fn canonical(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for text in self.0.iter().flat_map(|(name, value)| [name, value]) {
            bytes.extend_from_slice(&(text.len() as u64).to_be_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
        bytes
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for EncryptionContext {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_contexts_are_the_same_bytes() {
        let contexts = [
            EncryptionContext::default(),
            [("a", "bc")].into_iter().collect(),
            [("ab", "c")].into_iter().collect(),
            [("a", "b"), ("c", "")].into_iter().collect(),
            [("a", ""), ("b", "c")].into_iter().collect(),
        ];
        for (at, one) in contexts.iter().enumerate() {
            assert!(contexts[at + 1..].iter().all(|other| one.canonical() != other.canonical()));
        }
        let turned: EncryptionContext = [("c", ""), ("a", "b")].into_iter().collect();
        assert_eq!(turned.canonical(), contexts[3].canonical());
        assert_eq!(contexts[1].with("a", "other").canonical(), contexts[1].canonical());
    }
}
