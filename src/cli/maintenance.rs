//! `myfsio fsck` and `myfsio reindex`: what a check finds is printed as it is found, progress goes to standard error.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use myfsio_actors::clock::SystemClock;
use myfsio_actors::iam;
use myfsio_actors::names::{BucketName, CanonicalId};
use myfsio_actors::storage::{self, CheckObserver, CheckOptions, CheckProgress, Checked, Finding, Mend, StorageError};
use serde_json::{Value, json};

use crate::config::Config;
use crate::data_owner::refuse_root_of_others;
use crate::import;
use crate::start::storage_settings;

/// Time between two lines of progress on a terminal, and elsewhere.
const PROGRESS: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));

/// What `fsck` is told.
#[derive(Debug, Clone)]
pub struct Fsck {
    /// Mend what has one right answer.
    pub repair: bool,
    /// Read every byte.
    pub data: bool,
    /// Answer as JSON.
    pub json: bool,
}

/// What `reindex` is told.
#[derive(Debug, Clone)]
pub struct Reindex {
    /// Only this bucket; else everything.
    pub bucket: Option<String>,
    /// Owner of buckets whose owner nothing tells; else the first user.
    pub owner: Option<String>,
    /// Answer as JSON.
    pub json: bool,
}

/// Runs `myfsio fsck`. Errs: one line; also when differences are left.
pub fn fsck(config: &Config, asked: &Fsck) -> Result<(), String> {
    import::refuse_earlier(&config.storage_root)?;
    refuse_root_of_others(&config.storage_root)?;
    let mend = if asked.repair { Mend::Safely } else { Mend::Nothing };
    let options = CheckOptions { mend, data: asked.data, bucket: None };
    let mut report = Report::new(asked.json);
    let done = storage::fsck(&storage_settings(config), Arc::new(SystemClock), &options, &mut report);
    report.end(done)
}

/// Runs `myfsio reindex`. Errs: one line; also when differences are left.
pub fn reindex(config: &Config, asked: &Reindex) -> Result<(), String> {
    import::refuse_earlier(&config.storage_root)?;
    refuse_root_of_others(&config.storage_root)?;
    let (settings, clock) = (storage_settings(config), Arc::new(SystemClock));
    let mut report = Report::new(asked.json);
    if let Some(bucket) = &asked.bucket {
        let bucket = BucketName::parse(bucket).map_err(|error| format!("reindex: {bucket}: {error}"))?;
        let options = CheckOptions { mend: Mend::FromFiles, data: false, bucket: Some(bucket) };
        let done = storage::fsck(&settings, clock, &options, &mut report);
        return report.end(done);
    }
    let owner = match &asked.owner {
        Some(owner) => CanonicalId::parse(owner).map_err(|error| format!("reindex: --owner: {error}"))?,
        None => iam::first_user_id(&config.iam_config).ok_or_else(|| {
            let path = config.iam_config.display();
            format!("reindex: {path} names no user: say with --owner whom buckets of unknown owner belong to")
        })?,
    };
    let done = storage::reindex(&settings, clock, &owner, &mut report);
    report.end(done)
}

/// Prints findings and progress.
struct Report {
    json: bool,
    findings: u64,
    on_terminal: bool,
    /// When progress was told last.
    told: Instant,
}

impl Report {
    fn new(json: bool) -> Self {
        let report = Self { json, findings: 0, on_terminal: io::stderr().is_terminal(), told: Instant::now() };
        if json {
            super::print("{\"findings\":[");
        }
        report
    }

    fn clear_progress(&self) {
        if self.on_terminal {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }

    fn end(self, done: Result<Checked, StorageError>) -> Result<(), String> {
        self.clear_progress();
        let (checked, error) = match done {
            Ok(checked) => (checked, None),
            Err(error) => (Checked::default(), Some(error.to_string())),
        };
        let left = checked.differences - checked.mended;
        if self.json {
            let status = match (&error, left, checked.differences) {
                (Some(_), ..) => "failed",
                (None, 0, 0) => "clean",
                (None, 0, _) => "mended",
                _ => "differences",
            };
            let checked = json_of(&checked);
            super::print(&format!("],\"checked\":{checked},\"status\":\"{status}\"}}\n"));
        } else if error.is_none() {
            super::print(&format!("{}\n", summary(&checked)));
        }
        match (error, left) {
            (Some(error), _) => Err(error),
            (None, 0) => Ok(()),
            (None, left) => Err(format!("{left} of {} differences are left", checked.differences)),
        }
    }
}

impl CheckObserver for Report {
    fn found(&mut self, finding: &Finding) {
        self.clear_progress();
        let name = finding.difference.name();
        if self.json {
            let finding = json!({
                "difference": name, "place": finding.place, "detail": finding.detail, "mended": finding.mended,
            });
            super::print(&format!("{}{finding}", if self.findings > 0 { ",\n" } else { "\n" }));
        } else {
            let mended = if finding.mended { " (mended)" } else { "" };
            let place = finding.place.escape_debug();
            super::print(&format!("{name}  {place}: {}{mended}\n", finding.detail));
        }
        self.findings += 1;
    }

    fn progress(&mut self, progress: CheckProgress) {
        let interval = if self.on_terminal { PROGRESS.0 } else { PROGRESS.1 };
        if self.told.elapsed() < interval {
            return;
        }
        self.told = Instant::now();
        let CheckProgress { stage, done, expected } = progress;
        let of = if expected > 0 { format!(" of about {expected}") } else { String::new() };
        let (start, end) = if self.on_terminal { ("\r\x1b[K", "") } else { ("", "\n") };
        let _ = write!(io::stderr(), "{start}{stage}: {done}{of}{end}");
    }
}

fn json_of(checked: &Checked) -> Value {
    json!({
        "buckets": checked.buckets, "objects": checked.objects, "versions": checked.versions, "bytes": checked.bytes, "uploads": checked.uploads,
        "parts": checked.parts, "files": checked.files, "differences": checked.differences, "mended": checked.mended,
        "replayed_batches": checked.replayed,
    })
}

fn summary(checked: &Checked) -> String {
    let Checked { buckets, objects, versions, bytes, uploads, parts, files, .. } = checked;
    let differences = match (checked.differences, checked.mended) {
        (0, _) => "no differences".to_owned(),
        (all, mended) => format!("{all} differences, {mended} mended"),
    };
    format!(
        "{buckets} buckets, {objects} objects and {versions} versions of {bytes} bytes, {uploads} uploads with {parts} parts, {files} files: \
         {differences}"
    )
}
