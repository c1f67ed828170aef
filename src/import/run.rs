//! Brings everything over: bucket by bucket, many keys at once, the versions of a key one after the other.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use myfsio_actors::names::BucketName;
use tokio::sync::mpsc;

use super::earlier::Accounts;
use super::entry::{Entry, Version, What};
use super::node::{Made, NodeApi, Outcome};
use super::put::Target;
use super::settings::Settings;
use super::source::{Bucket, Listed, Source};
use crate::replication::Failure;

/// Keys that are listed ahead.
const AHEAD: usize = 64;
/// How often something is tried that may pass, and how long is waited before the second time; twice as long before each further one.
const TRIES: u32 = 5;
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// So many keys in a row to which nobody answered: then nobody will.
const SILENT_MAX: u64 = 16;
/// Time between two reports of progress.
const TICK: Duration = Duration::from_millis(200);

/// What is to be brought over.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// Only this bucket of the source.
    pub bucket: Option<String>,
    /// Only keys that begin with this.
    pub prefix: String,
    /// The bucket that it goes to; else one of the same name.
    pub into: Option<String>,
    /// Keys at once.
    pub at_once: usize,
    /// Only look.
    pub dry_run: bool,
}

/// Is told what happens.
pub trait Observer: Send {
    /// Something could not be brought over.
    fn left_out(&mut self, place: &str, reason: &str);
    /// Something is not quite as it was.
    fn noted(&mut self, place: &str, note: &str);
    /// How far it is.
    fn progress(&mut self, progress: &Progress);
}

/// How far it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Versions and delete markers that were brought over.
    pub stored: u64,
    /// Those that were there.
    pub known: u64,
    /// Those that could not be.
    pub failed: u64,
    /// Bytes that were sent.
    pub bytes: u64,
    /// How many there are, as soon as all are counted.
    pub total: Option<Total>,
}

/// How much there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Total {
    /// Versions and delete markers.
    pub versions: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Buckets that were gone through.
    pub buckets: u64,
    /// Users that were added.
    pub users: u64,
    /// Versions and delete markers that were brought over, or would be.
    pub stored: u64,
    /// Those that were there.
    pub known: u64,
    /// Bytes that were sent, or would be.
    pub bytes: u64,
    /// What was left out.
    pub left_out: u64,
    /// What is not quite as it was.
    pub notes: u64,
}

/// An import under way.
pub struct Run<'a> {
    pub(super) source: Source,
    /// None when it only looks.
    pub(super) node: Option<NodeApi>,
    /// Users and connections that come, too.
    pub(super) accounts: Option<Accounts>,
    pub(super) plan: Plan,
    observer: Mutex<&'a mut dyn Observer>,
    pub(super) counts: Counts,
    total: Arc<Mutex<Option<Total>>>,
}

/// What was counted so far.
#[derive(Debug, Default)]
pub struct Counts {
    stored: AtomicU64,
    known: AtomicU64,
    failed: AtomicU64,
    bytes: AtomicU64,
    left_out: AtomicU64,
    notes: AtomicU64,
    /// Keys in a row to which nobody answered.
    silent: AtomicU64,
    pub(super) users: AtomicU64,
}

fn add(to: &AtomicU64, number: u64) {
    to.fetch_add(number, Ordering::Relaxed);
}

fn get(of: &AtomicU64) -> u64 {
    of.load(Ordering::Relaxed)
}

impl<'a> Run<'a> {
    /// An import into a node, or a look at what it would be.
    pub fn new(
        source: Source,
        accounts: Option<Accounts>,
        node: Option<NodeApi>,
        plan: Plan,
        observer: &'a mut dyn Observer,
    ) -> Self {
        let observer = Mutex::new(observer);
        Self { source, node, accounts, plan, observer, counts: Counts::default(), total: Arc::default() }
    }

    pub(super) fn left_out(&self, place: &str, reason: &str) {
        add(&self.counts.left_out, 1);
        self.observer.lock().unwrap_or_else(PoisonError::into_inner).left_out(place, reason);
    }

    pub(super) fn noted(&self, place: &str, note: &str) {
        add(&self.counts.notes, 1);
        self.observer.lock().unwrap_or_else(PoisonError::into_inner).noted(place, note);
    }

    /// Does it. Errs: it cannot go on.
    pub async fn run(&self) -> Result<Summary, String> {
        let buckets = self.buckets().await?;
        self.bring_users().await?;
        let counting = tokio::spawn(count(self.source.clone(), buckets.clone(), Arc::clone(&self.total)));
        let ticking = async {
            loop {
                tokio::time::sleep(TICK).await;
                let progress = self.progress();
                self.observer.lock().unwrap_or_else(PoisonError::into_inner).progress(&progress);
            }
        };
        let working = async {
            for bucket in &buckets {
                self.bucket(bucket).await?;
            }
            Ok::<_, String>(())
        };
        let worked = tokio::select! {
            worked = working => worked,
            () = ticking => Ok(()),
        };
        counting.abort();
        worked?;
        self.bring_rules().await;
        let counts = &self.counts;
        Ok(Summary {
            buckets: buckets.len() as u64,
            users: get(&counts.users),
            stored: get(&counts.stored),
            known: get(&counts.known),
            bytes: get(&counts.bytes),
            left_out: get(&counts.left_out),
            notes: get(&counts.notes),
        })
    }

    fn progress(&self) -> Progress {
        let counts = &self.counts;
        Progress {
            stored: get(&counts.stored),
            known: get(&counts.known),
            failed: get(&counts.failed),
            bytes: get(&counts.bytes),
            total: *self.total.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }

    /// The buckets that are meant. Errs: there are none, or their names fit none here.
    async fn buckets(&self) -> Result<Vec<Bucket>, String> {
        let Plan { bucket, prefix, into, .. } = &self.plan;
        let names = match (bucket, &self.source) {
            (Some(name), Source::Remote(_)) => vec![name.clone()],
            (Some(name), source) => {
                let found: Vec<_> = source.buckets().await?.into_iter().filter(|found| found == name).collect();
                if found.is_empty() {
                    return Err(format!("the source has no bucket {name}"));
                }
                found
            }
            (None, source) => source.buckets().await?,
        };
        if into.is_some() && names.len() > 1 {
            return Err("--into is for one bucket, and the source has several: name one".to_owned());
        }
        let of = |name: String| Bucket {
            target: into.clone().unwrap_or_else(|| name.clone()),
            name,
            prefix: prefix.clone(),
        };
        let (mut buckets, mut misnamed) = (Vec::new(), Vec::new());
        for bucket in names.into_iter().map(of) {
            match BucketName::parse(&bucket.target) {
                Ok(_) => buckets.push(bucket),
                Err(error) => misnamed.push((bucket.target, error.to_string())),
            }
        }
        if let Source::Earlier(earlier) = &self.source {
            misnamed
                .extend(earlier.misnamed().into_iter().map(|name| (name, "its name is none for a bucket".to_owned())));
        }
        for (name, reason) in misnamed {
            self.left_out(&name, &reason);
        }
        Ok(buckets)
    }

    async fn bucket(&self, bucket: &Bucket) -> Result<(), String> {
        let settings = match self.source.settings(bucket).await {
            Ok(settings) => settings,
            Err(reason) => {
                self.left_out(&bucket.name, &reason);
                return Ok(());
            }
        };
        for reason in &settings.lost {
            self.left_out(&bucket.name, reason);
        }
        let made = match &self.node {
            None => Made { is_new: true, keeps_versions: true, locks: true },
            Some(node) => match node.make_bucket(&bucket.target, &settings).await {
                Ok(made) => made,
                Err(failure) => {
                    self.left_out(&bucket.name, &failure.to_string());
                    return Ok(());
                }
            },
        };
        let (to, listed) = mpsc::channel(AHEAD);
        let (source, of) = (self.source.clone(), bucket.clone());
        let listing = tokio::spawn(async move { source.list(&of, to).await });
        let listed = stream::unfold(listed, |mut listed| async move { Some((listed.recv().await?, listed)) });
        let mut work = std::pin::pin!(
            listed.map(|listed| self.listed(bucket, &made, listed)).buffer_unordered(self.plan.at_once.max(1))
        );
        while work.next().await.is_some() {
            if get(&self.counts.silent) >= SILENT_MAX {
                listing.abort();
                return Err("nobody answers any more: the same command goes on from here".to_owned());
            }
        }
        match listing.await {
            Ok(Ok(())) => {}
            Ok(Err(reason)) => self.left_out(&bucket.name, &format!("it could not be listed to its end: {reason}")),
            Err(error) => return Err(error.to_string()),
        }
        if let Some(node) = &self.node {
            self.configure(node, bucket, &settings, &made).await;
        }
        Ok(())
    }

    async fn listed(&self, bucket: &Bucket, made: &Made, listed: Listed) {
        match listed {
            Listed::LeftOut(place, reason) => self.left_out(&place, &reason),
            Listed::Entry(Entry { key, versions }) => {
                let place = bucket.place(&key);
                for version in &versions {
                    self.version(bucket, made, &key, &place, version).await;
                }
            }
        }
    }

    async fn version(&self, bucket: &Bucket, made: &Made, key: &str, place: &str, version: &Version) {
        let mut wait = FIRST_WAIT;
        let mut tries = 1;
        let done = loop {
            match self.try_version(bucket, made, key, place, version).await {
                Err(failure) if may_pass(&failure) && tries < TRIES => {
                    tokio::time::sleep(wait).await;
                    tries += 1;
                    wait *= 2;
                }
                done => break done,
            }
        };
        let counts = &self.counts;
        match done {
            Ok(Outcome::Stored) => {
                add(&counts.stored, 1);
                add(&counts.bytes, version.size);
            }
            Ok(Outcome::Known) => add(&counts.known, 1),
            Err(failure) => {
                add(&counts.failed, 1);
                self.left_out(place, &failure.to_string());
                if matches!(failure, Failure::Unreachable(_)) {
                    add(&counts.silent, 1);
                    return;
                }
            }
        }
        counts.silent.store(0, Ordering::Relaxed);
    }

    async fn try_version(
        &self,
        bucket: &Bucket,
        made: &Made,
        key: &str,
        place: &str,
        version: &Version,
    ) -> Result<Outcome, Failure> {
        let is_object = !matches!(version.what, What::Marker);
        let Some(node) = &self.node else {
            // What can be told of an object without the other server is told.
            if is_object && !matches!(self.source, Source::Remote(_)) {
                let opened = self.source.open(bucket, key, version).await?;
                opened.lost.iter().for_each(|lost| self.noted(place, lost));
            }
            return Ok(Outcome::Stored);
        };
        if node.has(&bucket.target, key, version).await? {
            return Ok(Outcome::Known);
        }
        if !is_object {
            return node.mark(&bucket.target, key, version).await;
        }
        let mut opened = self.source.open(bucket, key, version).await?;
        if !made.locks {
            let before = opened.headers.len();
            opened.headers.retain(|(name, _)| !name.starts_with("x-amz-object-lock-"));
            if opened.headers.len() < before {
                opened.lost.push("its retention or legal hold: the bucket does not lock objects".to_owned());
            }
        }
        let target = Target { node, bucket: &bucket.target, key, version };
        let put = target.put(&opened).await?;
        opened.lost.iter().for_each(|lost| self.noted(place, lost));
        if !put.has_its_etag {
            self.noted(place, "it has a new ETag, since it is not stored in the parts that it was made of");
        }
        Ok(put.outcome)
    }

    /// Configures a bucket as it was. What is configured here already stays.
    async fn configure(&self, node: &NodeApi, bucket: &Bucket, settings: &Settings, made: &Made) {
        for document in &settings.documents {
            if document.resource == "object-lock" && !made.locks {
                self.left_out(
                    &bucket.name,
                    "object lock: it can only be enabled when the bucket is made, and it was there",
                );
                continue;
            }
            let is_configured = match made.is_new {
                // Of object lock, what the bucket was made with says less.
                true => Ok(false),
                false => node.is_configured(&bucket.target, document.resource).await,
            };
            let done = match is_configured {
                Ok(true) => Ok(()),
                Ok(false) => node.put_document(&bucket.target, document).await,
                Err(failure) => Err(failure),
            };
            if let Err(failure) = done {
                self.left_out(&bucket.name, &format!("{}: {failure}", document.resource));
            }
        }
    }
}

/// Whether the same may be answered otherwise later.
fn may_pass(failure: &Failure) -> bool {
    match failure {
        Failure::Unreachable(_) | Failure::Nonsense(_) | Failure::Ours(_) => true,
        Failure::Refused { status, .. } => *status == 429 || (*status >= 500 && *status != 501 && *status != 507),
        Failure::Impossible(_) => false,
    }
}

async fn count(source: Source, buckets: Vec<Bucket>, total: Arc<Mutex<Option<Total>>>) {
    let mut counted = Total::default();
    for bucket in buckets {
        let (to, mut listed) = mpsc::channel(AHEAD);
        let listing = source.list(&bucket, to);
        let counting = async {
            while let Some(listed) = listed.recv().await {
                if let Listed::Entry(entry) = listed {
                    counted.versions += entry.versions.len() as u64;
                    counted.bytes += entry.versions.iter().map(|version| version.size).sum::<u64>();
                }
            }
        };
        // What cannot be listed is told by who brings it over.
        let (_listed, ()) = tokio::join!(listing, counting);
    }
    *total.lock().unwrap_or_else(PoisonError::into_inner) = Some(counted);
}
