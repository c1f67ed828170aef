//! Lines that wait for their delivery: bounded, per bucket and day.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use myfsio_actors::names::{BucketId, BucketName, Stamp};
use myfsio_actors::storage::Bucket;

/// Most bytes of all lines together.
const BYTES_MAX: usize = 32 * 1024 * 1024;
const DAY_SECONDS: u64 = 86_400;

/// Lines of a bucket, of requests of one day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lines {
    /// The bucket's number.
    pub bucket: BucketId,
    /// Its name.
    pub name: BucketName,
    /// When the day began.
    pub day: Stamp,
    /// The lines.
    pub text: String,
}

/// All lines.
#[derive(Debug, Default)]
pub struct Buffers(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    lines: HashMap<(BucketId, u64), Lines>,
    bytes: usize,
    dropped: u64,
}

impl Buffers {
    /// Adds a line, if there is room; gives how many bytes of the bucket wait.
    pub fn add(&self, bucket: &Bucket, time: Stamp, line: &str) -> usize {
        let day = time.seconds() / DAY_SECONDS;
        let mut state = self.lock();
        if state.bytes + line.len() > BYTES_MAX {
            state.dropped += 1;
            return BYTES_MAX;
        }
        state.bytes += line.len();
        let lines = state.lines.entry((bucket.id, day)).or_insert_with(|| Lines {
            bucket: bucket.id,
            name: bucket.name.clone(),
            day: Stamp(day.saturating_mul(DAY_SECONDS * 1_000_000_000)),
            text: String::new(),
        });
        lines.text.push_str(line);
        lines.text.len()
    }

    /// Takes out all lines, and how many were dropped since.
    pub fn take(&self) -> (Vec<Lines>, u64) {
        let state = std::mem::take(&mut *self.lock());
        (state.lines.into_values().collect(), state.dropped)
    }

    /// Takes back lines that could not be delivered, in front of those that came since, if there is room.
    pub fn take_back(&self, lines: Lines) {
        let mut state = self.lock();
        if state.bytes + lines.text.len() > BYTES_MAX {
            state.dropped += lines.text.lines().count() as u64;
            return;
        }
        state.bytes += lines.text.len();
        let key = (lines.bucket, lines.day.seconds() / DAY_SECONDS);
        let later = state.lines.insert(key, lines);
        if let (Some(later), Some(lines)) = (later, state.lines.get_mut(&key)) {
            lines.text.push_str(&later.text);
        }
    }

    /// A panic elsewhere leaves whole lines.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use myfsio_actors::names::CanonicalId;
    use myfsio_actors::storage::Versioning;

    use super::*;

    fn bucket(number: u64) -> Bucket {
        Bucket {
            id: BucketId(number),
            name: BucketName::parse(&format!("bucket-{number}")).unwrap(),
            owner: CanonicalId::from_bytes([1; 32]),
            created: Stamp(0),
            versioning: Versioning::Off,
            config: Arc::default(),
        }
    }

    fn at(day: u64) -> Stamp {
        Stamp((day * DAY_SECONDS + 5) * 1_000_000_000)
    }

    #[test]
    fn lines_are_kept_by_bucket_and_day_in_their_order() {
        let buffers = Buffers::default();
        assert_eq!(buffers.add(&bucket(1), at(1), "a\n"), 2);
        assert_eq!(buffers.add(&bucket(1), at(1), "b\n"), 4);
        assert_eq!(buffers.add(&bucket(1), at(2), "c\n"), 2);
        assert_eq!(buffers.add(&bucket(2), at(1), "d\n"), 2);
        let (mut lines, dropped) = buffers.take();
        lines.sort_by_key(|lines| (lines.name.clone(), lines.day));
        let texts: Vec<_> = lines.iter().map(|lines| lines.text.as_str()).collect();
        assert_eq!((texts, dropped), (vec!["a\nb\n", "c\n", "d\n"], 0));
        let first = lines.first().unwrap().clone();
        assert_eq!(first.day, Stamp(DAY_SECONDS * 1_000_000_000));
        buffers.add(&bucket(1), at(1), "later\n");
        buffers.take_back(first);
        assert_eq!(buffers.take().0.first().unwrap().text, "a\nb\nlater\n");
        assert_eq!(buffers.take(), (Vec::new(), 0));
    }

    #[test]
    fn what_has_no_room_is_counted() {
        let buffers = Buffers::default();
        let line = "x".repeat(BYTES_MAX / 2);
        buffers.add(&bucket(1), at(1), &line);
        buffers.add(&bucket(2), at(1), &line);
        assert_eq!(buffers.add(&bucket(1), at(1), "y"), BYTES_MAX);
        let (lines, dropped) = buffers.take();
        assert_eq!((lines.len(), dropped), (2, 1));
        for lines in lines {
            buffers.take_back(lines);
        }
        assert_eq!(buffers.take().0.len(), 2);
    }
}
