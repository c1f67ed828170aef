//! Sums of folders that are counted behind the pages that show them: a page opens with what was counted so far.
//!
//! A count is its user's, and goes on with their permissions, asked for again with each look. It ends when nobody has watched it for
//! a while; one that is done is kept for a few minutes. Memory is bounded: so many counts, each with so many folders.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use myfsio_actors::names::{AccessKeyId, BucketId, Stamp};
use myfsio_actors::storage::{Bucket, Object, ObjectPage};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::within::{Asker, ObjectsWanted, Refusal, patiently};

/// Rows that one look takes: each is a request, which the list of requests shows.
const LOOK_ROWS: usize = 5_000;
/// Folders that are told apart, at most; the rest is counted together.
const FOLDERS_MAX: usize = 1_000;
/// Counts at once, of all users; the one that was watched least recently makes room.
const COUNTS_MAX: usize = 16;
/// How long one goes on that nobody watches.
const UNWATCHED_MAX: Duration = Duration::from_secs(30);
/// How long one that is done is shown again.
const KEPT: Duration = Duration::from_secs(120);
/// How long a page waits for a count that may be done soon.
const WAIT: Duration = Duration::from_millis(40);

/// Where classes of age end, in days.
pub const AGE_DAYS: [u64; 5] = [1, 7, 30, 90, 365];

/// Objects and bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sum {
    /// How many.
    pub objects: u64,
    /// How many bytes.
    pub bytes: u64,
}

impl Sum {
    fn add(&mut self, size: u64) {
        self.objects += 1;
        self.bytes += size;
    }
}

/// What was counted.
#[derive(Debug, Clone, Default)]
pub struct Sums {
    /// Of each folder right below the prefix, by its name.
    pub folders: BTreeMap<String, Sum>,
    /// Folders that have no place any more.
    pub others: Sum,
    /// Objects right below the prefix.
    pub own: Sum,
    /// All together.
    pub total: Sum,
    /// Of these, what is encrypted on disk.
    pub sealed: Sum,
    /// And by how long ago it was written: up to so many of [`AGE_DAYS`], and what is older.
    pub ages: [Sum; AGE_DAYS.len() + 1],
}

/// What is counted of an object.
#[derive(Debug, Clone, Copy, Default)]
struct Found {
    size: u64,
    is_sealed: bool,
    age_seconds: u64,
}

impl Found {
    fn of(object: &Object, now: Stamp) -> Self {
        let age_seconds = now.seconds().saturating_sub(object.stamp.seconds());
        Self { size: object.size, is_sealed: object.sealed.is_some(), age_seconds }
    }
}

impl Sums {
    fn take(&mut self, prefix: &str, key: &str, Found { size, is_sealed, age_seconds }: Found) {
        self.total.add(size);
        if is_sealed {
            self.sealed.add(size);
        }
        let class = AGE_DAYS.iter().take_while(|days| age_seconds >= **days * 86_400).count();
        if let Some(sum) = self.ages.get_mut(class) {
            sum.add(size);
        }
        let rest = key.strip_prefix(prefix).unwrap_or(key);
        let has_room = self.folders.len() < FOLDERS_MAX;
        match rest.split_once('/') {
            None => self.own.add(size),
            Some((folder, _)) => match self.folders.get_mut(folder) {
                Some(sum) => sum.add(size),
                None if has_room => {
                    self.folders.insert(folder.to_owned(), Sum { objects: 1, bytes: size });
                }
                None => self.others.add(size),
            },
        }
    }
}

/// Where a count is.
#[derive(Debug, Clone, Default)]
enum Stage {
    #[default]
    Counting,
    Done(Instant),
    Refused(Refusal),
}

/// What is counted, and by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Subject {
    access_key: AccessKeyId,
    bucket: BucketId,
    prefix: String,
}

#[derive(Debug)]
struct State {
    sums: Sums,
    stage: Stage,
    watched: Instant,
}

/// A count.
#[derive(Debug)]
pub struct Count {
    subject: Subject,
    /// When it began.
    pub at: Stamp,
    state: Mutex<State>,
    ended: Notify,
}

/// The counts of all users, the one that began last at the end.
#[derive(Debug, Default)]
pub struct Counts(Mutex<Vec<Arc<Count>>>);

impl Counts {
    /// The count of what is below a prefix: the one that is there, or, where there is none or `anew`, one that begins. Errs: the
    /// asker may not list it.
    pub async fn of(
        &self,
        asker: &Asker,
        bucket: &Arc<Bucket>,
        prefix: &str,
        anew: bool,
    ) -> Result<Arc<Count>, Refusal> {
        let access_key = asker.principal().access_key.clone();
        let subject = Subject { access_key, bucket: bucket.id, prefix: prefix.to_owned() };
        // Whether they may is asked each time, and the first rows come with the answer.
        let known = (!anew).then(|| self.known(&subject)).flatten();
        let rows = if known.is_some() { 1 } else { LOOK_ROWS };
        let first = look(asker, bucket, prefix, None, rows).await?;
        if let Some(known) = known {
            return Ok(known);
        }
        let mut sums = Sums::default();
        let at = asker.node().clock.now();
        let next = take(&mut sums, prefix, first, at);
        let stage = if next.is_some() { Stage::Counting } else { Stage::Done(Instant::now()) };
        let state = Mutex::new(State { sums, stage, watched: Instant::now() });
        let count = Arc::new(Count { subject, at, state, ended: Notify::new() });
        self.keep(Arc::clone(&count));
        if let Some(next) = next {
            let going_on = go_on(Arc::downgrade(&count), asker.clone(), Arc::clone(bucket), next);
            actix_rt::spawn(going_on);
        }
        Ok(count)
    }

    fn known(&self, subject: &Subject) -> Option<Arc<Count>> {
        self.0.lock().iter().find(|count| count.subject == *subject && count.is_fresh()).cloned()
    }

    /// Keeps a count in the place of its predecessor. Whatever is let go of ends by itself.
    fn keep(&self, count: Arc<Count>) {
        let mut all = self.0.lock();
        all.retain(|other| other.subject != count.subject && other.is_fresh());
        if all.len() >= COUNTS_MAX {
            let oldest = all.iter().enumerate().min_by_key(|(_, other)| other.state.lock().watched);
            if let Some((at, _)) = oldest {
                all.swap_remove(at);
            }
        }
        all.push(count);
    }
}

impl Count {
    fn is_fresh(&self) -> bool {
        let state = self.state.lock();
        match state.stage {
            Stage::Counting => state.watched.elapsed() < UNWATCHED_MAX,
            Stage::Done(at) => at.elapsed() < KEPT,
            Stage::Refused(_) => false,
        }
    }

    /// What was counted so far, and whether that is all; waits for a moment for what is done soon. Errs: a look was refused.
    pub async fn watch(&self) -> Result<(Sums, bool), Refusal> {
        let ended = self.ended.notified();
        let is_counting = {
            let mut state = self.state.lock();
            state.watched = Instant::now();
            matches!(state.stage, Stage::Counting)
        };
        if is_counting {
            // Whether it was done by then is read below.
            let _ = tokio::time::timeout(WAIT, ended).await;
        }
        let state = self.state.lock();
        match &state.stage {
            Stage::Refused(refusal) => Err(refusal.clone()),
            stage => Ok((state.sums.clone(), matches!(stage, Stage::Done(_)))),
        }
    }

    fn end(&self, stage: Stage) {
        self.state.lock().stage = stage;
        self.ended.notify_waiters();
    }
}

async fn look(
    asker: &Asker,
    bucket: &Arc<Bucket>,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<ObjectPage, Refusal> {
    let (prefix, after) = (prefix.to_owned(), after.map(str::to_owned));
    asker.objects(bucket, ObjectsWanted { prefix, after, limit, ..ObjectsWanted::default() }).await
}

/// Adds a page; answers where the next begins.
fn take(sums: &mut Sums, prefix: &str, page: ObjectPage, now: Stamp) -> Option<String> {
    for entry in &page.entries {
        sums.take(prefix, entry.key.as_str(), Found::of(&entry.object, now));
    }
    page.next
}

/// Counts on, as long as somebody wants it.
async fn go_on(count: Weak<Count>, asker: Asker, bucket: Arc<Bucket>, mut next: String) {
    loop {
        let Some(count) = count.upgrade().filter(|count| count.is_fresh()) else { return };
        let prefix = &count.subject.prefix;
        match patiently(async || look(&asker, &bucket, prefix, Some(&next), LOOK_ROWS).await).await {
            Ok(page) => match take(&mut count.state.lock().sums, prefix, page, count.at) {
                Some(after) => next = after,
                None => break count.end(Stage::Done(Instant::now())),
            },
            Err(refusal) => break count.end(Stage::Refused(refusal)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_of_folders() {
        let mut sums = Sums::default();
        let of_size = |size| Found { size, ..Found::default() };
        for (key, size) in [("a/x/1", 1), ("a/x/2", 2), ("a/y", 4), ("a//z", 8), ("a/", 16)] {
            sums.take("a/", key, of_size(size));
        }
        let sum = |objects, bytes| Sum { objects, bytes };
        let folders: Vec<_> = sums.folders.iter().map(|(name, sum)| (name.as_str(), *sum)).collect();
        assert_eq!(folders, [("", sum(1, 8)), ("x", sum(2, 3))]);
        assert_eq!((sums.own, sums.total), (sum(2, 20), sum(5, 31)));
        for at in 0..FOLDERS_MAX + 3 {
            sums.take("a/", &format!("a/{at}/k"), of_size(1));
        }
        assert_eq!((sums.folders.len(), sums.others), (FOLDERS_MAX, sum(5, 5)));
    }

    #[test]
    fn sums_of_ages_and_of_what_is_encrypted() {
        let mut sums = Sums::default();
        let day = 86_400;
        for (size, age_seconds) in [(1, 0), (2, day - 1), (4, day), (8, 30 * day), (16, 365 * day), (32, 9_999 * day)] {
            sums.take("", "k", Found { size, age_seconds, is_sealed: size == 4 });
        }
        assert_eq!(sums.ages.map(|sum| sum.bytes), [3, 4, 0, 8, 0, 48]);
        assert_eq!((sums.sealed, sums.total.objects), (Sum { objects: 1, bytes: 4 }, 6));
    }

    fn count(prefix: &str, stage: Stage) -> Arc<Count> {
        let access_key = AccessKeyId::parse("ann").unwrap();
        let subject = Subject { access_key, bucket: BucketId(1), prefix: prefix.to_owned() };
        let state = Mutex::new(State { sums: Sums::default(), stage, watched: Instant::now() });
        Arc::new(Count { subject, at: Stamp(1), state, ended: Notify::new() })
    }

    #[test]
    fn so_many_are_kept_and_the_least_watched_makes_room() {
        let counts = Counts::default();
        for at in 0..COUNTS_MAX {
            counts.keep(count(&at.to_string(), Stage::Counting));
        }
        let first = counts.known(&count("0", Stage::Counting).subject).unwrap();
        first.state.lock().watched = Instant::now();
        let second = Arc::downgrade(&counts.known(&count("1", Stage::Counting).subject).unwrap());
        counts.keep(count("more", Stage::Counting));
        assert_eq!(counts.0.lock().len(), COUNTS_MAX);
        assert!(counts.known(&first.subject).is_some());
        assert!(second.upgrade().is_none(), "nothing holds it, so it ends");
        counts.keep(count("more", Stage::Done(Instant::now())));
        assert_eq!(counts.0.lock().len(), COUNTS_MAX, "one for each subject");
        first.end(Stage::Refused(Refusal::invalid("no")));
        assert!(counts.known(&first.subject).is_none());
    }

    #[actix_rt::test]
    async fn whoever_watches_hears_of_the_end() {
        let one = count("x", Stage::Counting);
        assert!(!one.watch().await.unwrap().1);
        one.end(Stage::Done(Instant::now()));
        assert!(one.watch().await.unwrap().1);
        one.end(Stage::Refused(Refusal::invalid("no")));
        assert!(one.watch().await.is_err());
    }
}
