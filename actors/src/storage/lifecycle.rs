//! What the client answers about lifecycle.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::client::StorageClient;
use super::engine::Shared;
use super::messages::{
    Bucket, DuePage, Expire, Expired, Foreseen, ForeseenEntry, LifecyclePreview, LifecycleRun, ListDue, RecordRun,
    TimeEntry, WalkTimes,
};
use super::overlay::Rows as _;
use super::rows::{self, TimesRow};
use super::{StorageError, keys, times};
use crate::bucket_config::{Day, Due, Lifecycle, LifecycleKind};
use crate::names::Stamp;

/// Rows that one page of what is due may look at.
const LOOKED_AT_MAX: u64 = 1000;
/// Rows and bytes of a page of a preview.
const PREVIEW_ROWS: usize = 1000;
const PREVIEW_BYTES: usize = 1 << 20;
/// How long a preview may look.
const PREVIEW_TIME: Duration = Duration::from_secs(10);
/// Things that a preview names, of those due now and of those due later.
const SAMPLE_MAX: usize = 20;

impl StorageClient {
    /// See [`WalkTimes`].
    pub async fn walk_times(&self, message: WalkTimes) -> Result<bool, StorageError> {
        self.commit(message).await
    }

    /// Whether a bucket keeps times, and all of them are there.
    pub fn has_times(&self, bucket: &Bucket) -> Result<bool, StorageError> {
        has_times(&self.shared, bucket)
    }

    /// See [`ListDue`].
    pub async fn list_due(&self, query: ListDue) -> Result<DuePage, StorageError> {
        let shared = Arc::clone(&self.shared);
        self.shared.tools.pool.run(move || list_due(&shared, &query)).await
    }

    /// See [`Expire`].
    pub async fn expire(&self, message: Expire) -> Result<Expired, StorageError> {
        self.commit(message).await
    }

    /// See [`RecordRun`].
    pub async fn record_run(&self, message: RecordRun) -> Result<(), StorageError> {
        self.commit(message).await
    }

    /// The last runs that were recorded, newest first.
    pub fn lifecycle_runs(&self, bucket: &Bucket) -> Result<Vec<LifecycleRun>, StorageError> {
        let row = self.shared.rows.get(&keys::lifecycle_runs(bucket.id))?;
        Ok(row.map(|row| rows::decode_runs(&row)).transpose()?.unwrap_or_default())
    }

    /// What `lifecycle` would remove of what is there `now`, at once and up to `until`. What it leaves behind, and what is written
    /// meanwhile, is not foreseen. One at a time, on a thread of its own, for as long as somebody waits and a limited time. Errs:
    /// Busy while there is another.
    pub async fn preview_lifecycle(
        &self,
        bucket: &Arc<Bucket>,
        lifecycle: Lifecycle,
        day: Day,
        now: Stamp,
        until: Stamp,
    ) -> Result<LifecyclePreview, StorageError> {
        let (shared, bucket) = (Arc::clone(&self.shared), Arc::clone(bucket));
        // The thread keeps it to its end, also when nobody waits any more.
        let turn = Arc::clone(&shared.previewing).try_acquire_owned().map_err(|_| StorageError::Busy)?;
        let (asker, asked) = (Arc::new(()), Instant::now());
        let asks = Arc::downgrade(&asker);
        let preview = move || {
            let _turn = turn;
            let is_over = move || asks.strong_count() == 0 || asked.elapsed() >= PREVIEW_TIME;
            let outlook = Outlook { bucket: &bucket, lifecycle: &lifecycle, day, now, until, is_over: &is_over };
            match has_times(&shared, &bucket)? {
                true => outlook.of_times(&shared),
                false => outlook.of_everything(&shared),
            }
        };
        let previewed = tokio::task::spawn_blocking(preview).await;
        drop(asker);
        previewed.map_err(|_| StorageError::Unavailable { reason: "a preview ended without an answer".to_owned() })?
    }
}

fn has_times(shared: &Shared, bucket: &Bucket) -> Result<bool, StorageError> {
    let row = shared.rows.get(&keys::times_walked(bucket.id))?;
    let row = row.map(|row| rows::decode::<TimesRow>(&row)).transpose()?;
    Ok(row.is_some_and(|row| row.is_complete))
}

/// Times of a kind behind `after` and no later than `latest`, at most so many.
fn read(
    shared: &Shared,
    bucket: &Bucket,
    kind: LifecycleKind,
    after: Option<&TimeEntry>,
    latest: Stamp,
    limit: u64,
) -> Result<Vec<TimeEntry>, StorageError> {
    let (first, end) = keys::times_until(bucket.id, kind, latest);
    let start = match after {
        Some(after) => [keys::time(bucket.id, after).as_slice(), &[0]].concat(),
        None => first,
    };
    let mut entries = Vec::new();
    shared.rows.scan(&start, &end, &mut |row_key, _| {
        let entry = keys::split_time(row_key).ok_or_else(|| StorageError::Index("malformed time".to_owned()))?;
        entries.push(entry);
        Ok((entries.len() as u64) < limit)
    })?;
    Ok(entries)
}

fn list_due(shared: &Shared, query: &ListDue) -> Result<DuePage, StorageError> {
    let ListDue { bucket, lifecycle, kind, now, day, .. } = query;
    let mut page = DuePage::default();
    let Some(latest) = lifecycle.latest_due(*kind, *now, *day) else { return Ok(page) };
    let entries = read(shared, bucket, *kind, query.after.as_ref(), latest, LOOKED_AT_MAX)?;
    let is_last = (entries.len() as u64) < LOOKED_AT_MAX;
    for entry in entries {
        if page.due.len() >= query.limit {
            return Ok(page);
        }
        page.looked_at += 1;
        page.next = Some(entry.clone());
        let due = times::due(&shared.rows, bucket.id, lifecycle, *day, &entry)?;
        if due.is_some_and(|(due, _)| due.at <= *now) {
            page.due.push(entry);
        }
    }
    if is_last {
        page.next = None;
    }
    Ok(page)
}

/// What a preview asks.
struct Outlook<'a> {
    bucket: &'a Bucket,
    lifecycle: &'a Lifecycle,
    day: Day,
    now: Stamp,
    until: Stamp,
    /// Whether it is time to stop; asked between pages.
    is_over: &'a dyn Fn() -> bool,
}

impl Outlook<'_> {
    /// By the ranges of times that the rules ask for.
    fn of_times(&self, shared: &Shared) -> Result<LifecyclePreview, StorageError> {
        let mut preview = LifecyclePreview::default();
        for kind in LifecycleKind::ALL {
            let Some(latest) = self.lifecycle.latest_due(kind, self.until, self.day) else { continue };
            let mut after: Option<TimeEntry> = None;
            loop {
                if (self.is_over)() {
                    preview.is_partial = true;
                    return Ok(preview);
                }
                let entries = read(shared, self.bucket, kind, after.as_ref(), latest, PREVIEW_ROWS as u64)?;
                for entry in &entries {
                    self.look(shared, entry, &mut preview)?;
                }
                match entries.into_iter().next_back() {
                    Some(last) => after = Some(last),
                    None => break,
                }
            }
        }
        Ok(preview)
    }

    /// By everything that is there, in a bucket without times.
    fn of_everything(&self, shared: &Shared) -> Result<LifecyclePreview, StorageError> {
        let mut preview = LifecyclePreview::default();
        let mut after = None;
        loop {
            if (self.is_over)() {
                preview.is_partial = true;
                return Ok(preview);
            }
            let page = times::walk(&shared.rows, self.bucket.id, after.as_deref(), PREVIEW_ROWS, PREVIEW_BYTES)?;
            for aged in page.aged {
                let Some(entry) = aged.entry else { continue };
                // What the walk that is still to come would write into the row.
                let thing = match aged.mended {
                    Some((_, row)) => Some(times::Thing { row: Some(row) }),
                    None => times::find(&shared.rows, self.bucket.id, &entry)?,
                };
                let Some(thing) = thing else { continue };
                let due = times::judge(&shared.rows, self.bucket.id, self.lifecycle, self.day, &entry, thing)?;
                self.add(&entry, due, &mut preview)?;
            }
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(preview),
            }
        }
    }

    fn look(&self, shared: &Shared, entry: &TimeEntry, preview: &mut LifecyclePreview) -> Result<(), StorageError> {
        let due = times::due(&shared.rows, self.bucket.id, self.lifecycle, self.day, entry)?;
        self.add(entry, due, preview)
    }

    fn add(
        &self,
        entry: &TimeEntry,
        due: Option<(Due<'_>, times::Thing)>,
        preview: &mut LifecyclePreview,
    ) -> Result<(), StorageError> {
        let Some((due, thing)) = due.filter(|(due, _)| due.at <= self.until) else { return Ok(()) };
        if entry.kind == LifecycleKind::Noncurrent && thing.is_locked(self.now)? {
            preview.locked += 1;
            return Ok(());
        }
        let foreseen = if due.at <= self.now { &mut preview.now } else { &mut preview.later };
        foreseen.add(entry, due.at, &due.rule.id, &thing);
        Ok(())
    }
}

impl Foreseen {
    fn add(&mut self, entry: &TimeEntry, at: Stamp, rule: &str, thing: &times::Thing) {
        match entry.kind {
            LifecycleKind::Current => self.objects += 1,
            LifecycleKind::Noncurrent => self.versions += 1,
            LifecycleKind::LoneMarker => self.markers += 1,
            LifecycleKind::Upload => self.uploads += 1,
        }
        self.bytes += thing.size();
        if self.sample.len() < SAMPLE_MAX {
            self.sample.push(ForeseenEntry {
                kind: entry.kind,
                key: String::from_utf8_lossy(&entry.key).into_owned(),
                size: thing.row.as_ref().filter(|row| !row.is_marker()).map(|row| row.size),
                at,
                rule: rule.to_owned(),
            });
        }
    }
}
