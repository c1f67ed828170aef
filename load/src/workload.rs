//! What a run does: the operation, its sizes and counts. No I/O.

use std::time::Duration;

use clap::ValueEnum;
use serde::Serialize;

use crate::keys::{Keys, scatter};

/// What is done over and over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Operation {
    /// GetObject of a key that is there.
    Get,
    /// PutObject.
    Put,
    /// HeadObject of a key that is there.
    Head,
    /// DeleteObject of a key that is there, each key once.
    Delete,
    /// ListObjectsV2, one page.
    List,
    /// UploadPart: all connections work on one upload, which is completed at the end.
    Part,
    /// A whole multipart upload: create, parts one after the other, complete.
    Multipart,
    /// Several of these by weight.
    Mixed,
}

impl Operation {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Put => "put",
            Self::Head => "head",
            Self::Delete => "delete",
            Self::List => "list",
            Self::Part => "part",
            Self::Multipart => "multipart",
            Self::Mixed => "mixed",
        }
    }

    /// Whether the keys must be there before.
    pub fn reads(self) -> bool {
        matches!(self, Self::Get | Self::Head | Self::List | Self::Mixed)
    }
}

/// Which page a listing asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Pages {
    /// Always the first below the prefix.
    First,
    /// Behind keys all over the bucket, in turn.
    All,
    /// The folders of keys all over the bucket, in turn.
    Folders,
}

/// How listings ask.
#[derive(Debug, Clone)]
pub struct Listing {
    /// Which page.
    pub pages: Pages,
    /// Delimiter, if any.
    pub delimiter: Option<String>,
    /// Most entries of an answer.
    pub keys_max: u32,
}

/// When a round ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// After a time.
    After(Duration),
    /// After so many operations.
    Count(u64),
}

/// The weights of a mixed load.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mix(Vec<(Operation, u64)>);

impl Mix {
    /// Parses `get=70,put=20,…`. Errs with what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut weights = Vec::new();
        for field in text.split(',') {
            let wrong =
                || format!("`{field}`: expected one of get, put, head, delete or list, and its weight, as in get=70");
            let (name, weight) = field.split_once('=').ok_or_else(wrong)?;
            let operation = Operation::from_str(name, false).map_err(|_| wrong())?;
            if matches!(operation, Operation::Part | Operation::Multipart | Operation::Mixed) {
                return Err(wrong());
            }
            weights.push((operation, weight.parse::<u32>().map_err(|_| wrong())?.into()));
        }
        if weights.iter().all(|(_, weight)| *weight == 0) {
            return Err("all weights are 0".to_owned());
        }
        Ok(Self(weights))
    }

    /// The operation of the `n`-th step: in no order, but the same in every round.
    pub fn pick(&self, n: u64) -> Operation {
        let all: u64 = self.0.iter().map(|(_, weight)| weight).sum();
        let mut ball = scatter(n) % all.max(1);
        for (operation, weight) in &self.0 {
            if ball < *weight {
                return *operation;
            }
            ball -= weight;
        }
        Operation::Get
    }
}

/// What a run does.
#[derive(Debug, Clone)]
pub struct Workload {
    /// What is done.
    pub operation: Operation,
    /// Bytes of an object, or of a multipart upload in all.
    pub size: u64,
    /// Bytes of a part but the last.
    pub part_size: u64,
    /// Requests under way at once.
    pub connections: u32,
    /// When a round ends.
    pub stop: Stop,
    /// The keys.
    pub keys: Keys,
    /// Whether each round writes keys of its own, so that none is overwritten.
    pub fresh: bool,
    /// How listings ask.
    pub listing: Listing,
    /// Weights of a mixed load.
    pub mix: Mix,
    /// A GetObject asks for so many bytes of its object, anywhere in it.
    pub range: Option<u64>,
    /// Longest time of one operation.
    pub timeout: Duration,
}

impl Workload {
    /// The keys of round `round`.
    pub fn keys_of(&self, round: u32) -> Keys {
        let mut keys = self.keys.clone();
        if self.fresh {
            keys.prefix = format!("{}round-{round}/", keys.prefix);
        }
        keys
    }

    /// How many parts an upload has.
    pub fn parts(&self) -> u64 {
        self.size.div_ceil(self.part_size.max(1)).max(1)
    }

    /// Bytes of part `number`, which counts from 1.
    pub fn part_bytes(&self, number: u64) -> u64 {
        let before = self.part_size.saturating_mul(number.saturating_sub(1));
        self.size.saturating_sub(before).min(self.part_size)
    }

    /// The most operations that a round can have.
    pub fn operations_max(&self) -> u64 {
        let asked = match self.stop {
            Stop::Count(count) => count,
            Stop::After(_) => u64::MAX,
        };
        match self.operation {
            // A key is deleted once, and a part of an upload sent once.
            Operation::Delete => asked.min(self.keys.count),
            Operation::Part => asked.min(self.parts()),
            _ => asked,
        }
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::keys::KeyShape;

    /// A small load, to be changed.
    pub fn workload(operation: Operation) -> Workload {
        Workload {
            operation,
            size: 10,
            part_size: 4,
            connections: 1,
            stop: Stop::Count(100),
            keys: Keys { shape: KeyShape::Flat, prefix: "p/".into(), count: 20 },
            fresh: false,
            listing: Listing { pages: Pages::First, delimiter: None, keys_max: 1000 },
            mix: Mix::parse("get=1").unwrap(),
            range: None,
            timeout: Duration::from_secs(5),
        }
    }

    #[test]
    fn parts_cover_the_object_exactly() {
        let mut workload = workload(Operation::Multipart);
        for (size, expected) in [(10, vec![4, 4, 2]), (8, vec![4, 4]), (3, vec![3]), (0, vec![0])] {
            workload.size = size;
            let parts: Vec<u64> = (1..=workload.parts()).map(|number| workload.part_bytes(number)).collect();
            assert_eq!(parts, expected);
        }
    }

    #[test]
    fn what_can_be_done_once_is_not_done_again() {
        assert_eq!(workload(Operation::Delete).operations_max(), 20);
        assert_eq!(workload(Operation::Part).operations_max(), 3);
        assert_eq!(workload(Operation::Get).operations_max(), 100);
    }

    #[test]
    fn fresh_rounds_share_no_key() {
        let mut workload = workload(Operation::Put);
        assert_eq!(workload.keys_of(1).key(1), workload.keys_of(2).key(1));
        workload.fresh = true;
        assert_ne!(workload.keys_of(1).key(1), workload.keys_of(2).key(1));
    }

    #[test]
    fn a_mix_follows_its_weights() {
        let mix = Mix::parse("get=70,put=30,head=0").unwrap();
        let picked: Vec<Operation> = (0..10_000).map(|n| mix.pick(n)).collect();
        let gets = picked.iter().filter(|operation| **operation == Operation::Get).count();
        assert!((6800..7200).contains(&gets), "{gets}");
        assert!(!picked.contains(&Operation::Head));
    }

    #[test]
    fn a_mix_is_of_simple_operations_with_weights() {
        for text in ["", "get", "get=x", "part=1", "mixed=1", "fetch=1", "get=0,put=0", "get=-1"] {
            assert!(Mix::parse(text).is_err(), "{text}");
        }
    }
}
