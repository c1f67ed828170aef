//! Lines that wait for their delivery: bounded, per bucket and day.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use myfsio_actors::names::{BucketId, BucketName, Stamp};
use myfsio_actors::storage::Bucket;

/// Most bytes of all lines together.
const BYTES_MAX: usize = 32 * 1024 * 1024;
/// Most bytes of one bucket's lines.
const SHARE_MAX: usize = BYTES_MAX / 4;
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
    /// Bytes of each bucket's lines.
    shares: HashMap<BucketId, usize>,
    bytes: usize,
    dropped: u64,
    /// Buckets whose last delivery failed: their lines wait for the interval, however many they are.
    failed: HashSet<BucketId>,
}

impl State {
    /// Makes room for bytes of a bucket, if there is any.
    fn take_room(&mut self, bucket: BucketId, bytes: usize) -> bool {
        let share = self.shares.entry(bucket).or_default();
        let is_room = self.bytes + bytes <= BYTES_MAX && *share + bytes <= SHARE_MAX;
        if is_room {
            *share += bytes;
            self.bytes += bytes;
        }
        is_room
    }
}

impl Buffers {
    /// Adds a line, if there is room; gives how many bytes of the bucket could be delivered at once.
    pub fn add(&self, bucket: &Bucket, time: Stamp, line: &str) -> usize {
        let day = time.seconds() / DAY_SECONDS;
        let mut state = self.lock();
        let may_go = !state.failed.contains(&bucket.id);
        if !state.take_room(bucket.id, line.len()) {
            state.dropped += 1;
            return if may_go { BYTES_MAX } else { 0 };
        }
        let lines = state.lines.entry((bucket.id, day)).or_insert_with(|| Lines {
            bucket: bucket.id,
            name: bucket.name.clone(),
            day: Stamp(day.saturating_mul(DAY_SECONDS * 1_000_000_000)),
            text: String::new(),
        });
        lines.text.push_str(line);
        if may_go { lines.text.len() } else { 0 }
    }

    /// Takes out all lines, without those whose last delivery failed unless `with_failed`, and how many were dropped since.
    pub fn take(&self, with_failed: bool) -> (Vec<Lines>, u64) {
        let mut state = self.lock();
        let State { lines, failed, .. } = &mut *state;
        if with_failed {
            failed.clear();
        }
        let taken: Vec<Lines> =
            lines.extract_if(|(bucket, _), _| !failed.contains(bucket)).map(|(_, lines)| lines).collect();
        for lines in &taken {
            state.bytes = state.bytes.saturating_sub(lines.text.len());
            state.shares.remove(&lines.bucket);
        }
        (taken, std::mem::take(&mut state.dropped))
    }

    /// Takes back lines that could not be delivered, in front of those that came since, if there is room.
    pub fn take_back(&self, lines: Lines) {
        let mut state = self.lock();
        state.failed.insert(lines.bucket);
        if !state.take_room(lines.bucket, lines.text.len()) {
            state.dropped += lines.text.lines().count() as u64;
            return;
        }
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
        let (mut lines, dropped) = buffers.take(true);
        lines.sort_by_key(|lines| (lines.name.clone(), lines.day));
        let texts: Vec<_> = lines.iter().map(|lines| lines.text.as_str()).collect();
        assert_eq!((texts, dropped), (vec!["a\nb\n", "c\n", "d\n"], 0));
        let first = lines.first().unwrap().clone();
        assert_eq!(first.day, Stamp(DAY_SECONDS * 1_000_000_000));
        buffers.add(&bucket(1), at(1), "later\n");
        buffers.take_back(first);
        assert_eq!(buffers.take(true).0.first().unwrap().text, "a\nb\nlater\n");
        assert_eq!(buffers.take(true), (Vec::new(), 0));
    }

    #[test]
    fn what_has_no_room_is_counted() {
        let buffers = Buffers::default();
        let line = "x".repeat(SHARE_MAX);
        for number in 0..4 {
            buffers.add(&bucket(number), at(1), &line);
        }
        assert_eq!(buffers.add(&bucket(4), at(1), "y"), BYTES_MAX);
        let (lines, dropped) = buffers.take(true);
        assert_eq!((lines.len(), dropped), (4, 1));
        for lines in lines {
            buffers.take_back(lines);
        }
        assert_eq!(buffers.take(true).0.len(), 4);
        buffers.add(&bucket(1), at(1), &line);
        assert_eq!(buffers.add(&bucket(1), at(2), "y"), BYTES_MAX, "a bucket has its share");
        assert_eq!(buffers.add(&bucket(2), at(1), "y"), 1);
    }

    #[test]
    fn what_could_not_be_delivered_waits() {
        let buffers = Buffers::default();
        buffers.add(&bucket(1), at(1), "a\n");
        let (lines, _) = buffers.take(false);
        lines.into_iter().for_each(|lines| buffers.take_back(lines));
        assert_eq!(buffers.add(&bucket(1), at(1), "b\n"), 0);
        assert_eq!(buffers.add(&bucket(2), at(1), "c\n"), 2);
        assert_eq!(buffers.take(false).0.len(), 1);
        assert_eq!(buffers.take(true).0.first().unwrap().text, "a\nb\n");
    }
}
