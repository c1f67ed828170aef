//! The nodes of a soak: one that clients use, one that it replicates to, with all that works in the background turned on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};

use crate::connection::{Connection, Payload, Wanted};
use crate::prepare::{create_bucket, encrypt_bucket};
use crate::sign::query;
use crate::site::Site;
use crate::suite::servers::{self, Server};

/// A bucket without anything, one that encrypts, and one with versions that is replicated.
pub const BUCKETS: [&str; 3] = ["soak-plain", "soak-sealed", SENT];
/// The bucket that is replicated.
pub const SENT: &str = "soak-sent";
/// Where to.
pub const TARGET: &str = "soak-target";
const TOKEN: &str = "soak-of-two-nodes";
/// Pace of scrubs, in bytes per second: many times the default, so that all is verified again and again.
const SCRUB_RATE: &str = "33554432";

/// What is to be removed by itself: objects that pass, versions, uploads whose clients are gone, markers that stand alone.
const LIFECYCLE: &str = "<LifecycleConfiguration>\
    <Rule><ID>passing</ID><Filter><Prefix>passing/</Prefix></Filter><Status>Enabled</Status>\
    <Expiration><Days>1</Days></Expiration></Rule>\
    <Rule><ID>rest</ID><Filter><Prefix></Prefix></Filter><Status>Enabled</Status>\
    <Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>\
    <NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays></NoncurrentVersionExpiration>\
    <AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule>\
    </LifecycleConfiguration>";
const VERSIONING: &str = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";

/// Both nodes.
pub struct Pair {
    program: PathBuf,
    /// The node that clients use.
    pub source: Server,
    /// The node that it replicates to.
    pub target: Server,
    folders: [PathBuf; 2],
}

impl Pair {
    /// Starts both below `folder`, with `day` as the length of a day of lifecycle rules. Errs with what went wrong.
    pub async fn start(program: &Path, folder: &Path, day: Duration) -> Result<Self, String> {
        let (folders, day) = ([folder.join("source"), folder.join("target")], day.as_secs().max(1).to_string());
        let settings = [
            // What is kept up to a bound is full soon, so that what grows afterwards grows without one.
            ("INDEX_CACHE_BYTES", "4194304"),
            ("EXPLAIN_BYTES", "1048576"),
            ("REQUESTS_KEPT", "1000"),
            ("METRICS_TOKEN", TOKEN),
            ("LIFECYCLE_DAY_SECONDS", day.as_str()),
            ("MULTIPART_MIN_PART_SIZE", "65536"),
            ("ENCRYPTION_ENABLED", "true"),
            ("SCRUB_INTERVAL_DAYS", "0"),
        ];
        let [of_source, of_target] = &folders;
        let target = Server::node(program, "target", of_target, &settings).await?;
        let source = Server::node(program, "source", of_source, &settings).await?;
        let pair = Self { program: program.to_owned(), source, target, folders };
        pair.prepare().await?;
        Ok(pair)
    }

    async fn prepare(&self) -> Result<(), String> {
        let target = self.at_target()?;
        create_bucket(&target).await?;
        configure(&target, "versioning", VERSIONING).await?;
        configure(&target, "lifecycle", LIFECYCLE).await?;
        for bucket in BUCKETS {
            let site = self.site(bucket)?;
            create_bucket(&site).await?;
            configure(&site, "lifecycle", LIFECYCLE).await?;
            match bucket {
                "soak-sealed" => encrypt_bucket(&site).await?,
                SENT => configure(&site, "versioning", VERSIONING).await?,
                _ => {}
            }
        }
        let connect = ["replication", "connect", "--name", "target", "--access-key", "localadmin", "--endpoint"];
        self.command(&[&connect[..], &[&self.target.url()]].concat(), "localadmin")?;
        self.command(&["replication", "start", SENT, "--connection", "target", "--target-bucket", TARGET], "")
    }

    fn command(&self, arguments: &[&str], input: &str) -> Result<(), String> {
        let [source, _] = &self.folders;
        servers::command(&self.program, source, arguments, input)
    }

    /// A bucket of the source.
    pub fn site(&self, bucket: &str) -> Result<Arc<Site>, String> {
        self.source.site("source", bucket)
    }

    /// The bucket that is replicated to.
    pub fn at_target(&self) -> Result<Arc<Site>, String> {
        self.target.site("target", TARGET)
    }

    /// Has the source verify all that it stores, unless it is at it.
    pub async fn scrub(&self) -> Result<(), String> {
        let (program, [source, _]) = (self.program.clone(), self.folders.clone());
        let command = move || servers::command(&program, &source, &["scrub", "start", "--rate", SCRUB_RATE], "");
        // Clients go on meanwhile.
        let done = tokio::task::spawn_blocking(command).await.map_err(|error| error.to_string())?;
        match done {
            Err(reason) if !reason.contains("at work already") => Err(reason),
            _ => Ok(()),
        }
    }

    /// What the source counts.
    pub async fn figures(&self) -> Result<Figures, String> {
        self.source.metrics(TOKEN).await.map(Figures)
    }

    /// What is still to be done by itself, where there is something.
    pub async fn unfinished(&self) -> Result<Option<String>, String> {
        let figures = self.figures().await?;
        let of_sent =
            |tray: &str| figures.of(&format!("myfsio_replication_changes{{bucket=\"{SENT}\",tray=\"{tray}\"}}"));
        let mut left = Vec::new();
        for (count, what) in [
            (of_sent("pending")?, "changes to be sent"),
            (of_sent("parked")?, "changes that the target refused"),
            (figures.of("myfsio_scrub_running")?, "scrub at work"),
        ] {
            if count > 0.0 {
                left.push(format!("{count} {what}"));
            }
        }
        for bucket in BUCKETS {
            let site = self.site(bucket)?;
            let uploads = listed(&site, &[("uploads", "")], "<Upload>").await?;
            let passing = listed(&site, &[("list-type", "2"), ("prefix", "passing/")], "<Contents>").await?;
            for (count, what) in [(uploads, "uploads"), (passing, "expired objects")] {
                if count > 0 {
                    left.push(format!("{count} {what} in {bucket}"));
                }
            }
        }
        Ok(Some(left.join(", ")).filter(|left| !left.is_empty()))
    }

    /// What the source did by itself.
    pub async fn background(&self) -> Result<BTreeMap<&'static str, f64>, String> {
        let figures = self.figures().await?;
        let sent = figures.sum("myfsio_replication_sent_changes_total");
        Ok([
            ("changes sent", sent),
            ("attempts of that which failed", figures.sum("myfsio_replication_failed_attempts_total")),
            ("verified by scrubs", figures.sum("myfsio_scrub_verified_total")),
            ("damage found", figures.sum("myfsio_scrub_damaged_total")),
            ("index MiB", (figures.sum("myfsio_index_bytes") / 1_048_576.0).round()),
            ("stored MiB", (figures.sum("myfsio_bucket_bytes") / 1_048_576.0).round()),
        ]
        .into())
    }

    /// What lies below the data of both that nothing names any more, once nothing is under way.
    pub fn leftovers(&self) -> Vec<String> {
        let mut found = Vec::new();
        for folder in &self.folders {
            let own = folder.join("data/.myfsio.sys");
            // What is empty is a spare file for the next body.
            let is_left = |path: &Path| std::fs::metadata(path).is_ok_and(|it| it.is_dir() || it.len() > 0);
            for room in ["tmp", "held", "quarantine", "lost+found"] {
                let inside = entries(&own.join(room)).into_iter().filter(|path| room != "tmp" || is_left(path));
                found.extend(inside.map(|path| path.display().to_string()));
            }
        }
        found
    }

    /// Stops both, and has each check all that it stores. Answers what is wrong with either.
    pub async fn stop_and_check(self) -> Vec<String> {
        let Self { program, source, target, folders } = self;
        let mut wrong: Vec<String> =
            [source.stop().await, target.stop().await].into_iter().filter_map(Result::err).collect();
        for folder in &folders {
            wrong.extend(servers::command(&program, folder, &["fsck", "--data"], "").err());
            let log = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
            // That the soak's own credentials are no secret is what a node must say.
            let complains = |line: &&str| {
                (line.contains("ERROR") || line.contains("WARN")) && !line.contains("has the well-known secret")
            };
            wrong.extend(log.lines().filter(complains).map(str::to_owned));
        }
        wrong
    }
}

/// What a node counts, as Prometheus text.
pub struct Figures(String);

impl Figures {
    /// A figure with its labels. Errs: there is none.
    pub fn of(&self, name: &str) -> Result<f64, String> {
        let found = self.0.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
        found.ok_or_else(|| format!("the node tells nothing of {name}"))
    }

    /// What all series of a name add up to.
    pub fn sum(&self, name: &str) -> f64 {
        let of_name = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
        let value = |line: &str| line.rsplit_once(' ')?.1.parse::<f64>().ok();
        self.0.lines().filter(of_name).filter_map(value).sum()
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())).collect()
}

/// How many elements the first page of a listing has.
async fn listed(site: &Site, parameters: &[(&str, &str)], element: &str) -> Result<usize, String> {
    let mut request = Vec::new();
    site.write_request(&mut request, "GET", &site.path(""), &query(parameters), None);
    let wanted = Wanted { body: true, ..Wanted::default() };
    let answer = Connection::new(site.address).exchange(&mut request, Payload::NONE, wanted).await;
    let answer = answer.map_err(|failure| format!("{}: cannot list: {failure}", site.bucket))?;
    Ok(answer.body.matches(element).count())
}

/// Sets one of a bucket's configurations.
async fn configure(site: &Site, what: &str, document: &str) -> Result<(), String> {
    let payload = Payload { pattern: document.as_bytes(), length: document.len() as u64 };
    let mut request = Vec::new();
    site.write_request(&mut request, "PUT", &site.path(""), &format!("{what}="), Some(payload.length));
    request.truncate(request.len().saturating_sub(2));
    let digest = STANDARD.encode(Md5::digest(document.as_bytes()));
    request.extend_from_slice(format!("Content-MD5: {digest}\r\n\r\n").as_bytes());
    let answer = Connection::new(site.address).exchange(&mut request, payload, Wanted::default()).await;
    answer.map(drop).map_err(|failure| format!("{}: {what}: {failure}", site.bucket))
}
