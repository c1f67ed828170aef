//! The work: a thread that takes jobs from the shelf, a few at a time, and goes through each page by page.
//!
//! INVARIANT: nothing is done for a job but requests of whoever gave the order, each decided when it is made. What stands before the
//! position of a job is done; a page that a stop or a crash cut short is gone through again, which changes nothing that was done.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::Arbiter;
use futures_util::stream::{self, StreamExt as _};
use myfsio_actors::audit::AuditEntry;
use myfsio_actors::names::{AccessKeyId, BucketName, ObjectKey, Stamp, UploadId};
use myfsio_actors::storage::Bucket;
use serde_json::Value;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

use super::act::{Came, act};
use super::job::{Count, Failure, Job, Status, Unfinished};
use super::order::Work;
use super::walk::{Position, Target, Walk};
use crate::node::Node;
use crate::within::{Asker, Place, Refusal, patiently};

/// Jobs at work at once, of one user and in all.
const AT_WORK_MAX: (usize, usize) = (2, 4);
/// Requests that a job has under way at once.
const UNDER_WAY_MAX: usize = 8;
/// Rows that are counted before a job begins.
const COUNTED_MAX: usize = 1_000_000;
/// How often it is kept how far a job is.
const KEEP: Duration = Duration::from_secs(2);
/// How long a stopping node waits for the requests under way.
const STOP_PATIENCE: Duration = Duration::from_secs(10);

/// Whoever works at the jobs.
#[derive(Debug)]
pub struct Workers {
    node: Arc<Node>,
    stopping: watch::Sender<bool>,
    stopped: oneshot::Receiver<()>,
    arbiter: Arbiter,
}

/// Begins to work at the jobs of a node, on a thread of its own: those of the last run go on.
pub fn start(node: &Arc<Node>) -> Workers {
    let (stopping, is_stopping) = watch::channel(false);
    let (told, stopped) = oneshot::channel();
    let arbiter = Arbiter::new();
    let working = Arc::clone(node);
    arbiter.spawn_fn(move || {
        actix_rt::spawn(async move {
            work_all(working, is_stopping).await;
            // Nobody waits any more.
            let _ = told.send(());
        });
    });
    Workers { node: Arc::clone(node), stopping, stopped, arbiter }
}

impl Workers {
    /// Lets the requests under way end, and keeps how far each job is.
    pub async fn stop(self) {
        self.stopping.send_replace(true);
        self.node.jobs.wake.notify_one();
        if tokio::time::timeout(STOP_PATIENCE, self.stopped).await.is_err() {
            tracing::warn!("jobs did not come to rest before the node stopped: some of their last page is done again");
        }
        self.arbiter.stop();
    }
}

async fn work_all(node: Arc<Node>, stopping: watch::Receiver<bool>) {
    let mut at_work = JoinSet::new();
    while !*stopping.borrow() {
        for job in node.jobs.due(AT_WORK_MAX.0, AT_WORK_MAX.1) {
            if !job.begin() {
                continue;
            }
            at_work.spawn_local(work(Arc::clone(&node), job, stopping.clone()));
        }
        tokio::select! {
            () = node.jobs.wake.notified() => {}
            Some(_) = at_work.join_next() => node.jobs.tidy().await,
        }
    }
    while at_work.join_next().await.is_some() {}
}

/// Why a job does not go on.
enum Ends {
    /// With this.
    With(Status, Option<Failure>),
    /// The node stops: the next run goes on.
    ForNow,
}

impl From<Refusal> for Ends {
    fn from(refusal: Refusal) -> Self {
        Self::With(Status::Failed, Some(Failure::of("", None, &refusal)))
    }
}

async fn work(node: Arc<Node>, job: Arc<Job>, stopping: watch::Receiver<bool>) {
    let at = Instant::now();
    let now = node.clock.now();
    job.note(|progress| progress.started = progress.started.or(Some(now.0)));
    let working = Working { node: &node, job: &job, stopping };
    let Err(ends) = working.run().await;
    if let Ends::With(status, problem) = ends
        && job.end(status, problem, node.clock.now())
    {
        tell_end(&node, &job).await;
    }
    let Err(error) = node.jobs.keep(&job).await else { return };
    tracing::warn!(%error, job = job.id, seconds = at.elapsed().as_secs(), "how far a job is could not be kept");
}

/// Tells the audit log what became of a job.
pub async fn tell_end(node: &Node, job: &Job) {
    let outcome = job.tell_some(&["id", "status", "action", "done", "skipped", "failed", "bytes"]);
    let target = format!("arn:aws:s3:::{}", job.order().bucket);
    let now = node.clock.now();
    let entry = AuditEntry::of_document(now, job.by.origin.clone(), "myfsio:EndJob", target, Value::Null, outcome);
    node.audit.record(entry.into_iter().collect()).await;
}

struct Working<'a> {
    node: &'a Arc<Node>,
    job: &'a Arc<Job>,
    stopping: watch::Receiver<bool>,
}

impl Working<'_> {
    /// Errs always: with how it ends.
    async fn run(&self) -> Result<std::convert::Infallible, Ends> {
        let work = self.job.order().work().map_err(|error| Refusal::invalid(error.to_string()))?;
        let progress = self.job.progress();
        let until = Stamp(progress.created);
        self.clear(&work, progress.unfinished).await?;
        if progress.total.is_none() {
            let total = self.count(&work, until).await?;
            self.job.note(|progress| progress.total = Some(total));
        }
        let mut walk = Walk::new(&work, until, progress.position);
        let mut kept = Instant::now();
        loop {
            let (asker, bucket) = self.again(&work).await?;
            let step = self.step(&mut walk, &asker, &bucket).await?;
            let Some(step) = step else { return Err(Ends::With(Status::Done, None)) };
            let doing = step.targets.iter().map(|target| self.one(&asker, &bucket, &work, target));
            let mut came = stream::iter(doing).buffer_unordered(UNDER_WAY_MAX);
            while came.next().await.is_some() {}
            drop(came);
            self.may_go_on()?;
            self.job.note(|progress| progress.position = step.then);
            if kept.elapsed() >= KEEP {
                kept = Instant::now();
                self.keep().await;
            }
        }
    }

    /// Removes what copies left that the last run was in the middle of. What cannot be removed stands among the unfinished uploads of
    /// its bucket.
    async fn clear(&self, work: &Work, unfinished: Vec<Unfinished>) -> Result<(), Ends> {
        if unfinished.is_empty() {
            return Ok(());
        }
        let (asker, _) = self.again(work).await?;
        for left in &unfinished {
            let bucket = BucketName::parse(&left.bucket).ok();
            let (key, upload) = (ObjectKey::parse(left.key.as_bytes()).ok(), UploadId::parse(&left.upload).ok());
            if let (Some(bucket), Some(key), Some(upload)) = (bucket, key, upload) {
                let place = Place { bucket: &bucket, key: &key, version: None };
                let _ = patiently(async || asker.abort_upload(place, upload).await).await;
            }
        }
        self.job.note(|progress| progress.unfinished.retain(|left| !unfinished.contains(left)));
        Ok(())
    }

    fn may_go_on(&self) -> Result<(), Ends> {
        match (self.job.is_cancelled(), *self.stopping.borrow()) {
            (true, _) => Err(Ends::With(Status::Cancelled, None)),
            (_, true) => Err(Ends::ForNow),
            _ => Ok(()),
        }
    }

    /// Whoever gave the order, as they are now, and the bucket. Errs: one of them is gone.
    async fn again(&self, work: &Work) -> Result<(Asker, Arc<Bucket>), Ends> {
        self.may_go_on()?;
        let (asker, bucket) = recall(self.node, self.job, work).await?;
        Ok((asker, bucket))
    }

    async fn step(
        &self,
        walk: &mut Walk<'_>,
        asker: &Asker,
        bucket: &Arc<Bucket>,
    ) -> Result<Option<super::walk::Step>, Ends> {
        let mut wait = Duration::from_millis(100);
        loop {
            match walk.next(asker, bucket).await {
                Err(refusal) if refusal.status.as_u16() == 503 => {
                    self.may_go_on()?;
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(Duration::from_secs(5));
                }
                answer => return Ok(answer?),
            }
        }
    }

    /// What there is to do.
    async fn count(&self, work: &Work, until: Stamp) -> Result<Count, Ends> {
        let mut walk = Walk::new(work, until, Position::default());
        let (mut total, mut rows) = (Count::default(), 0);
        loop {
            let (asker, bucket) = self.again(work).await?;
            let Some(step) = self.step(&mut walk, &asker, &bucket).await? else { return Ok(total) };
            rows += step.rows;
            total.objects += step.targets.len() as u64;
            total.bytes += step.targets.iter().map(Target::size).sum::<u64>();
            if rows >= COUNTED_MAX {
                return Ok(Count { is_partial: true, ..total });
            }
        }
    }

    /// One target, unless the job ends.
    async fn one(&self, asker: &Asker, bucket: &Arc<Bucket>, work: &Work, target: &Target) {
        if self.may_go_on().is_err() {
            return;
        }
        let begun = RefCell::new(None);
        let came = act(asker, bucket, work, target, async |place: Place<'_>, upload| {
            if begun.borrow().is_none() {
                let (bucket, key) = (place.bucket.to_string(), place.key.as_str().to_owned());
                let unfinished = Unfinished { bucket, key, upload: upload.to_string() };
                *begun.borrow_mut() = Some(unfinished.clone());
                self.job.note(|progress| progress.unfinished.push(unfinished));
                // Known before the first of its parts is, so that no crash leaves it behind.
                self.keep().await;
            }
            self.may_go_on().is_ok()
        })
        .await;
        if let Some(begun) = begun.take() {
            self.job.note(|progress| progress.unfinished.retain(|other| *other != begun));
        }
        match came {
            Ok(Came::Done) => self.job.note(|progress| {
                progress.done.objects += 1;
                progress.done.bytes += target.size();
            }),
            Ok(Came::Skipped) => self.job.note(|progress| progress.skipped += 1),
            // A copy in parts was ended with the job, or is made anew by the next run.
            Err(_) if self.may_go_on().is_err() => {}
            Err(refusal) => self.job.refused(Failure::of(target.key().as_str(), target.version(), &refusal)),
        }
    }

    /// Writes down how far the job is.
    async fn keep(&self) {
        if let Err(error) = self.node.jobs.keep(self.job).await {
            tracing::warn!(%error, job = self.job.id, "how far a job is could not be kept");
        }
    }
}

/// Whoever gave an order, as they are now, and the bucket that it is about. Errs: the access key may not be used any more or is
/// another's, the bucket is gone or another one has its name.
async fn recall(node: &Arc<Node>, job: &Job, work: &Work) -> Result<(Asker, Arc<Bucket>), Refusal> {
    let key = AccessKeyId::parse(&job.by.access_key).map_err(|_| Refusal::invalid("This is no access key."))?;
    let asker = Asker::recall(node, &key, &job.by.whence).await?;
    if asker.principal().user_id != job.by.user_id {
        return Err(Refusal::invalid("The access key that the job was started with is another user's now."));
    }
    let bucket = asker.known_bucket(&work.bucket)?;
    if bucket.id.0 != job.bucket_id {
        return Err(Refusal::invalid("The bucket is gone, and another one has its name."));
    }
    Ok((asker, bucket))
}

/// What an order would come to for somebody, as far as that can be told by looking at so many rows in so much time. Errs: they
/// may not list it.
pub async fn foresee(
    asker: &Asker,
    bucket: &Arc<Bucket>,
    work: &Work,
    (rows_max, time_max): (usize, Duration),
) -> Result<Count, Refusal> {
    let began = Instant::now();
    let mut walk = Walk::new(work, asker.node().clock.now(), Position::default());
    let (mut total, mut rows) = (Count::default(), 0);
    while let Some(step) = walk.next(asker, bucket).await? {
        rows += step.rows;
        total.objects += step.targets.len() as u64;
        total.bytes += step.targets.iter().map(Target::size).sum::<u64>();
        if rows >= rows_max || began.elapsed() >= time_max {
            total.is_partial = true;
            break;
        }
    }
    Ok(total)
}
