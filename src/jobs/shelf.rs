//! All jobs: those that wait, are at work, and have ended; each with a file of its own, so that a restart forgets none.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use myfsio_actors::names::{CanonicalId, Stamp};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::job::{By, Job, Kept, Status};
use super::order::Order;

/// Most jobs of one user that have not ended.
pub const PER_USER_MAX: usize = 8;
/// Most jobs that have not ended.
pub const OPEN_MAX: usize = 64;
/// Most jobs that have ended, of one user and in all; the oldest are forgotten.
const ENDED_MAX: (usize, usize) = (50, 400);
/// Largest file that is read, in bytes: an order of the largest size, written with escapes, and its failures.
const FILE_BYTES_MAX: u64 = 8 << 20;

/// Why a job was not taken.
#[derive(Debug, thiserror::Error)]
pub enum NotTaken {
    /// The user has too many.
    #[error("you have {PER_USER_MAX} jobs that have not ended")]
    Yours,
    /// There are too many.
    #[error("{OPEN_MAX} jobs have not ended")]
    All,
    /// It cannot be written down.
    #[error("the job cannot be kept: {0}")]
    Kept(#[from] io::Error),
}

/// The jobs of a node.
#[derive(Debug)]
pub struct Jobs {
    folder: PathBuf,
    /// By their ids, which ascend with time. Held for a look-up, never while something is written.
    all: Mutex<BTreeMap<String, Arc<Job>>>,
    /// Tells whoever works that there is something to do.
    pub(super) wake: Notify,
}

impl Jobs {
    /// The jobs that the folder has. One that cannot be read is left where it is, and told.
    pub fn open(folder: PathBuf) -> Self {
        let all = read_all(&folder).unwrap_or_else(|error| {
            tracing::warn!(%error, folder = %folder.display(), "jobs of earlier runs cannot be read");
            BTreeMap::new()
        });
        Self { folder, all: Mutex::new(all), wake: Notify::new() }
    }

    /// Takes an order. Errs: there are too many, or it cannot be kept.
    pub async fn begin(
        self: &Arc<Self>,
        bucket_id: u64,
        by: By,
        order: Order,
        now: Stamp,
    ) -> Result<Arc<Job>, NotTaken> {
        let mut random = [0; 4];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        let id = format!("{:016x}{}", now.0, hex::encode(random));
        let job = Arc::new(Job::new(id.clone(), bucket_id, by, order, now));
        {
            let mut all = self.all.lock();
            let open = || all.values().filter(|job| !job.status().is_over());
            if open().count() >= OPEN_MAX {
                return Err(NotTaken::All);
            }
            if open().filter(|other| other.by.user_id == job.by.user_id).count() >= PER_USER_MAX {
                return Err(NotTaken::Yours);
            }
            all.insert(id.clone(), Arc::clone(&job));
        }
        if let Err(error) = self.keep(&job).await {
            // Somebody may have begun to work at it.
            job.cancel();
            self.all.lock().remove(&id);
            return Err(error.into());
        }
        self.wake.notify_one();
        Ok(job)
    }

    /// A job.
    pub fn find(&self, id: &str) -> Option<Arc<Job>> {
        self.all.lock().get(id).cloned()
    }

    /// Jobs, newest first: of one user, or all.
    pub fn list(&self, of: Option<&CanonicalId>) -> Vec<Arc<Job>> {
        let all = self.all.lock();
        all.values().rev().filter(|job| of.is_none_or(|of| job.by.user_id == *of)).cloned().collect()
    }

    /// The next jobs to work at, oldest first: at most so many of one user and in all.
    pub(super) fn due(&self, per_user: usize, in_all: usize) -> Vec<Arc<Job>> {
        let all = self.all.lock();
        let mut taken: Vec<Arc<Job>> = all.values().filter(|job| job.status() == Status::Running).cloned().collect();
        let running = taken.len();
        for job in all.values().filter(|job| job.status() == Status::Queued) {
            let of_user = taken.iter().filter(|other| other.by.user_id == job.by.user_id).count();
            if taken.len() < in_all && of_user < per_user {
                taken.push(Arc::clone(job));
            }
        }
        taken.split_off(running)
    }

    /// Writes a job down.
    pub async fn keep(self: &Arc<Self>, job: &Arc<Job>) -> io::Result<()> {
        let (path, job) = (self.path(&job.id), Arc::clone(job));
        let written = tokio::task::spawn_blocking(move || write(&path, &job.kept())).await;
        written.unwrap_or_else(|error| Err(io::Error::other(error)))
    }

    /// Forgets the oldest of those that have ended, where there are too many.
    pub async fn tidy(self: &Arc<Self>) {
        let forgotten: Vec<PathBuf> = {
            let mut all = self.all.lock();
            let ids = too_many(&all);
            ids.iter().for_each(|id| drop(all.remove(id)));
            ids.iter().map(|id| self.path(id)).collect()
        };
        if forgotten.is_empty() {
            return;
        }
        let removed = tokio::task::spawn_blocking(move || {
            for path in forgotten {
                if let Err(error) = fs::remove_file(&path) {
                    tracing::warn!(%error, path = %path.display(), "the file of an old job stays");
                }
            }
        });
        // Its failure is told there; a run that ends leaves it to the next.
        let _ = removed.await;
    }

    fn path(&self, id: &str) -> PathBuf {
        self.folder.join(format!("{id}.json"))
    }
}

/// Ended jobs that are too many.
fn too_many(all: &BTreeMap<String, Arc<Job>>) -> Vec<String> {
    let ended: Vec<_> = all.values().rev().filter(|job| job.status().is_over()).collect();
    let mut of_user: BTreeMap<&str, usize> = BTreeMap::new();
    let mut kept = 0;
    let mut ids = Vec::new();
    for job in ended {
        let count = of_user.entry(job.by.user_id.as_str()).or_default();
        if kept < ENDED_MAX.1 && *count < ENDED_MAX.0 {
            (kept, *count) = (kept + 1, *count + 1);
        } else {
            ids.push(job.id.clone());
        }
    }
    ids
}

/// Reads the folder. What was at work waits for its turn again.
fn read_all(folder: &Path) -> io::Result<BTreeMap<String, Arc<Job>>> {
    let mut all = BTreeMap::new();
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(all),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        match read(&path) {
            Ok(job) => drop(all.insert(job.id.clone(), Arc::new(job))),
            Err(error) => tracing::warn!(%error, path = %path.display(), "a job cannot be read"),
        }
    }
    Ok(all)
}

fn read(path: &Path) -> io::Result<Job> {
    if fs::metadata(path)?.len() > FILE_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is too large"));
    }
    let kept: Kept = serde_json::from_slice(&fs::read(path)?)?;
    if path.file_stem().is_none_or(|stem| stem != kept.id.as_str()) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "its name is not its id"));
    }
    let job = Job::of(kept);
    job.note(|progress| {
        if progress.status == Status::Running {
            progress.status = Status::Queued;
            progress.resumed += 1;
        }
    });
    Ok(job)
}

fn write(path: &Path, kept: &Kept) -> io::Result<()> {
    let bytes = serde_json::to_vec(kept)?;
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let next = path.with_extension("next");
    let mut open = fs::OpenOptions::new();
    open.write(true).create(true).truncate(true).mode(0o600);
    let mut out = open.open(&next)?;
    out.write_all(&bytes)?;
    out.sync_all()?;
    fs::rename(&next, path)?;
    match path.parent() {
        // The name is durable before anybody hears of the job.
        Some(folder) => fs::File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::job::tests::job;
    use super::*;

    fn shelf(folder: &Path) -> Arc<Jobs> {
        Arc::new(Jobs::open(folder.join("jobs")))
    }

    async fn begin(jobs: &Arc<Jobs>, user: u8, at: u64) -> Result<Arc<Job>, NotTaken> {
        let sample = job("x", user, at);
        jobs.begin(7, sample.by.clone(), sample.order(), Stamp(at)).await
    }

    #[actix_rt::test]
    async fn a_restart_forgets_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let jobs = shelf(folder.path());
        let (first, second) = (begin(&jobs, 1, 5).await.unwrap(), begin(&jobs, 2, 6).await.unwrap());
        first.note(|progress| progress.status = Status::Running);
        jobs.keep(&first).await.unwrap();
        second.end(Status::Done, None, Stamp(9));
        jobs.keep(&second).await.unwrap();
        fs::write(folder.path().join("jobs/broken.json"), "{").unwrap();
        let again = shelf(folder.path());
        assert_eq!(again.list(None).len(), 2);
        let first = again.find(&first.id).unwrap();
        assert_eq!((first.status(), first.progress().resumed), (Status::Queued, 1));
        assert_eq!(again.find(&second.id).unwrap().status(), Status::Done);
        assert!(folder.path().join("jobs/broken.json").exists());
    }

    #[actix_rt::test]
    async fn one_user_does_not_take_all_places() {
        let folder = tempfile::tempdir().unwrap();
        let jobs = shelf(folder.path());
        for at in 0..PER_USER_MAX as u64 {
            begin(&jobs, 1, at).await.unwrap();
        }
        assert!(matches!(begin(&jobs, 1, 99).await, Err(NotTaken::Yours)));
        let other = begin(&jobs, 2, 100).await.unwrap();
        let due = jobs.due(2, 4);
        assert_eq!(due.iter().map(|job| job.by.user_id.clone()).collect::<Vec<_>>().len(), 3);
        assert_eq!(due[2].id, other.id);
        due[0].note(|progress| progress.status = Status::Running);
        assert_eq!(jobs.due(2, 4).len(), 2);
        assert_eq!(jobs.list(Some(&other.by.user_id)).len(), 1);
    }

    #[actix_rt::test]
    async fn old_ones_are_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let jobs = shelf(folder.path());
        for at in 0..ENDED_MAX.0 as u64 + 3 {
            begin(&jobs, 1, at).await.unwrap().end(Status::Done, None, Stamp(at));
        }
        let open = begin(&jobs, 1, 0).await.unwrap();
        jobs.tidy().await;
        assert_eq!(jobs.list(None).len(), ENDED_MAX.0 + 1);
        assert!(jobs.find(&open.id).is_some());
        assert_eq!(fs::read_dir(folder.path().join("jobs")).unwrap().count(), ENDED_MAX.0 + 1);
    }
}
