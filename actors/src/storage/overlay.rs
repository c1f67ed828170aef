//! Rows that are committed but not yet in the index, and the merged view of both.
//!
//! INVARIANT: a reader looks into the overlay first and takes the index's snapshot afterwards. A row leaves the overlay only
//! once the index has it, so between the two looks nothing is missed; where both have a row, the overlay's wins.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use parking_lot::RwLock;

use super::StorageError;
use super::index::{Index, RowChange, RowVisitor, Snapshot};

type Value = Option<Arc<[u8]>>;

/// Read access to rows: the live state, a state inside a batch, or a model in tests.
pub(super) trait Rows {
    /// The row of this key.
    fn get(&self, key: &[u8]) -> Result<Option<Arc<[u8]>>, StorageError>;
    /// Calls `row` with each row from `start`, inclusive, to `end`, exclusive, in order, until it answers `false`.
    fn scan(&self, start: &[u8], end: &[u8], row: &mut RowVisitor<'_>) -> Result<(), StorageError>;

    /// The first key of the range, if any.
    fn first(&self, start: &[u8], end: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        let mut found = None;
        self.scan(start, end, &mut |key, _| {
            found = Some(key.to_vec());
            Ok(false)
        })?;
        Ok(found)
    }
}

/// Committed rows on their way into the index.
#[derive(Debug, Default)]
pub(super) struct Overlay {
    rows: RwLock<BTreeMap<Vec<u8>, (u64, Value)>>,
}

impl Overlay {
    /// Makes the rows of batch `sequence` visible.
    pub fn publish(&self, sequence: u64, changes: &[RowChange]) {
        let mut rows = self.rows.write();
        for (key, value) in changes {
            rows.insert(key.clone(), (sequence, value.clone()));
        }
    }

    /// Forgets the rows of batch `sequence`, which the index now has, but for those that a later batch changed again.
    pub fn retire(&self, sequence: u64, changes: &[RowChange]) {
        let mut rows = self.rows.write();
        for (key, _) in changes {
            if rows.get(key).is_some_and(|(s, _)| *s == sequence) {
                rows.remove(key);
            }
        }
    }

    fn get(&self, key: &[u8]) -> Option<Value> {
        self.rows.read().get(key).map(|(_, value)| value.clone())
    }

    /// The rows of ranges, in their order, as they are at one moment.
    fn ranges(&self, ranges: &[(&[u8], &[u8])]) -> Vec<(Vec<u8>, Value)> {
        let rows = self.rows.read();
        let mut found = Vec::new();
        for (start, end) in ranges {
            let upper = if end.is_empty() { Bound::Unbounded } else { Bound::Excluded(*end) };
            if end.is_empty() || start < end {
                let within = rows.range::<[u8], _>((Bound::Included(*start), upper));
                found.extend(within.map(|(k, (_, v))| (k.clone(), v.clone())));
            }
        }
        found
    }
}

/// The live state: overlay over index.
#[derive(Debug, Clone)]
pub(super) struct LiveRows {
    pub overlay: Arc<Overlay>,
    pub index: Arc<dyn Index>,
}

impl LiveRows {
    /// A view of one range that stands still, for a listing that seeks back and forth in it.
    pub fn view(&self, start: &[u8], end: &[u8]) -> Result<RangeView, StorageError> {
        self.view_of(&[(start, end)])
    }

    /// The same of several ranges, which follow each other in the order of keys.
    pub fn view_of(&self, ranges: &[(&[u8], &[u8])]) -> Result<RangeView, StorageError> {
        let recent = self.overlay.ranges(ranges);
        Ok(RangeView { recent, snapshot: self.index.snapshot()? })
    }
}

impl Rows for LiveRows {
    fn get(&self, key: &[u8]) -> Result<Option<Arc<[u8]>>, StorageError> {
        match self.overlay.get(key) {
            Some(value) => Ok(value),
            None => self.index.snapshot()?.get(key),
        }
    }

    fn scan(&self, start: &[u8], end: &[u8], row: &mut RowVisitor<'_>) -> Result<(), StorageError> {
        self.view(start, end)?.scan(start, end, row)
    }
}

/// A frozen view of some ranges of the live state.
pub(super) struct RangeView {
    recent: Vec<(Vec<u8>, Value)>,
    snapshot: Box<dyn Snapshot>,
}

impl Rows for RangeView {
    fn get(&self, key: &[u8]) -> Result<Option<Arc<[u8]>>, StorageError> {
        match self.recent.binary_search_by(|(k, _)| k.as_slice().cmp(key)) {
            Ok(at) => Ok(self.recent.get(at).and_then(|(_, v)| v.clone())),
            Err(_) => self.snapshot.get(key),
        }
    }

    fn scan(&self, start: &[u8], end: &[u8], row: &mut RowVisitor<'_>) -> Result<(), StorageError> {
        let first = self.recent.partition_point(|(k, _)| k.as_slice() < start);
        let upper = self.recent.get(first..).unwrap_or_default();
        let recent = upper.iter().take_while(|(k, _)| end.is_empty() || k.as_slice() < end);
        merge(recent, row, |row| self.snapshot.scan(start, end, row))
    }
}

/// Calls `row` with the rows of `below`, overlaid by `recent`; both are in order.
pub(super) fn merge<'a>(
    recent: impl Iterator<Item = &'a (Vec<u8>, Value)>,
    row: &mut RowVisitor<'_>,
    below: impl FnOnce(&mut RowVisitor<'_>) -> Result<(), StorageError>,
) -> Result<(), StorageError> {
    let mut recent = recent.peekable();
    let mut going = true;
    below(&mut |key, value| {
        while let Some((k, v)) = recent.next_if(|(k, _)| k.as_slice() < key) {
            if let Some(v) = v
                && !row(k, v)?
            {
                going = false;
                return Ok(false);
            }
        }
        going = match recent.next_if(|(k, _)| k.as_slice() == key) {
            Some((k, Some(v))) => row(k, v)?,
            Some((_, None)) => true,
            None => row(key, value)?,
        };
        Ok(going)
    })?;
    for (k, v) in recent {
        if !going {
            break;
        }
        if let Some(v) = v {
            going = row(k, v)?;
        }
    }
    Ok(())
}

#[cfg(any(test, feature = "internals"))]
pub(super) mod model {
    //! A sorted map as [`Rows`], for tests and benches of pure rules.
    use super::*;

    /// Rows in memory.
    #[derive(Debug, Default, Clone)]
    pub struct ModelRows(pub BTreeMap<Vec<u8>, Arc<[u8]>>);

    impl Rows for ModelRows {
        fn get(&self, key: &[u8]) -> Result<Option<Arc<[u8]>>, StorageError> {
            Ok(self.0.get(key).cloned())
        }

        fn scan(&self, start: &[u8], end: &[u8], row: &mut RowVisitor<'_>) -> Result<(), StorageError> {
            for (key, value) in self.0.range(start.to_vec()..) {
                if !end.is_empty() && key.as_slice() >= end || !row(key, value)? {
                    break;
                }
            }
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::model::ModelRows;
    use super::*;

    proptest! {
        #[test]
        fn merging_is_a_map_update(
            below in prop::collection::btree_map(prop::collection::vec(0u8..3, 0..3), any::<u8>(), 0..12),
            recent in prop::collection::btree_map(prop::collection::vec(0u8..3, 0..3), any::<Option<u8>>(), 0..12),
            stop in 0usize..14,
        ) {
            let value = |b: u8| -> Arc<[u8]> { Arc::from([b].as_slice()) };
            let lower = ModelRows(below.iter().map(|(k, v)| (k.clone(), value(*v))).collect());
            let upper: Vec<(Vec<u8>, Value)> = recent.iter().map(|(k, v)| (k.clone(), v.map(value))).collect();
            let mut expected = below.clone();
            for (k, v) in &recent {
                match v { Some(v) => drop(expected.insert(k.clone(), *v)), None => drop(expected.remove(k)) }
            }
            let mut seen = Vec::new();
            merge(upper.iter(), &mut |k, v| { seen.push((k.to_vec(), v[0])); Ok(seen.len() < stop.max(1)) }, |row| lower.scan(b"", b"", row)).unwrap();
            let expected: Vec<_> = expected.into_iter().take(stop.max(1)).collect();
            prop_assert_eq!(seen, expected);
        }
    }
}
