//! The names of the objects that a run works on: the n-th key of a shape, always the same one.

use std::fmt::Write as _;

use clap::ValueEnum;

/// How keys are spread over folders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum KeyShape {
    /// All below the prefix, in order.
    Flat,
    /// Folders three deep with a thousand keys in each.
    Deep,
    /// A thousand folders, filled in turn.
    Wide,
    /// No folders, in no order.
    Random,
}

/// The keys of a run.
#[derive(Debug, Clone)]
pub struct Keys {
    /// How they are spread.
    pub shape: KeyShape,
    /// What all of them begin with.
    pub prefix: String,
    /// How many there are; the n-th and the (n + count)-th are the same.
    pub count: u64,
}

/// Keys in a folder of [`KeyShape::Deep`], and folders of [`KeyShape::Wide`].
pub const FOLDER_KEYS: u64 = 1000;

impl Keys {
    /// The `n`-th key. Made of unreserved characters and slashes, but for what the prefix brings.
    pub fn key(&self, n: u64) -> String {
        let mut key = String::with_capacity(self.prefix.len() + 28);
        key.push_str(&self.prefix);
        let n = n % self.count.max(1);
        let (folder, within) = (n / FOLDER_KEYS, n % FOLDER_KEYS);
        // Writing to a string cannot fail.
        let _ = match self.shape {
            KeyShape::Flat => write!(key, "{n:08}"),
            KeyShape::Deep => write!(key, "{folder:04}/sub/dir/{within:04}"),
            KeyShape::Wide => write!(key, "{within:04}/{folder:06}"),
            KeyShape::Random => write!(key, "{:016x}", scatter(n)),
        };
        key
    }

    /// The folder that the `n`-th key lies in, with its last slash; empty when there is none.
    pub fn folder(&self, n: u64) -> String {
        let key = self.key(n);
        key.rsplit_once('/').map(|(folder, _)| format!("{folder}/")).unwrap_or_default()
    }
}

/// Spreads numbers over all 64-bit values, each to one of its own (the finaliser of SplitMix64).
pub fn scatter(n: u64) -> u64 {
    let n = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn keys(shape: KeyShape, count: u64) -> Keys {
        Keys { shape, prefix: "p/".into(), count }
    }

    #[test]
    fn shapes_look_as_described() {
        assert_eq!(keys(KeyShape::Flat, 10).key(3), "p/00000003");
        assert_eq!(keys(KeyShape::Deep, 1_000_000).key(12_345), "p/0012/sub/dir/0345");
        assert_eq!(keys(KeyShape::Wide, 1_000_000).key(12_345), "p/0345/000012");
        assert_eq!(keys(KeyShape::Deep, 5000).folder(1234), "p/0001/sub/dir/");
        assert_eq!(keys(KeyShape::Flat, 5000).folder(1234), "p/");
        assert_eq!(Keys { shape: KeyShape::Flat, prefix: String::new(), count: 9 }.folder(1), "");
    }

    #[test]
    fn each_shape_has_as_many_keys_as_asked_for() {
        for shape in [KeyShape::Flat, KeyShape::Deep, KeyShape::Wide, KeyShape::Random] {
            let keys = keys(shape, 2500);
            let distinct: BTreeSet<String> = (0..5000).map(|n| keys.key(n)).collect();
            assert_eq!(distinct.len(), 2500, "{shape:?}");
        }
    }
}
