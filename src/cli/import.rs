//! `myfsio import`: what is brought over goes to standard output, what is left out with its reason; progress to standard error.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::{Arg, ArgAction, ArgMatches, Command, Error, error::ErrorKind, value_parser};
use serde_json::json;

use super::arguments::{json_flag, text_of};
use super::remote::at_socket;
use crate::config::Config;
use crate::import::{self, From, Import, Observer, Plan, Progress, Summary};

/// Keys at once, unless told otherwise, and at most.
const AT_ONCE: u64 = 8;
const AT_ONCE_MAX: u64 = 64;
/// Time between two lines of progress where nobody watches.
const LINE: Duration = Duration::from_secs(10);
const SERVER: &str = "s3://";

/// The grammar.
pub(super) fn command() -> Command {
    let text = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    let flag = |name: &'static str, help: &'static str| Arg::new(name).long(name).action(ArgAction::SetTrue).help(help);
    Command::new("import")
        .about("Bring objects of another S3 server, an earlier MyFSIO or a folder into the node, whether it runs or not")
        .arg(
            text("from", "SOURCE", "s3://BUCKET[/PREFIX], s3:// for all buckets, or a folder: plain, or the data of MyFSIO 0.1 to 0.5")
                .required(true),
        )
        .arg(text("endpoint", "URL", "Where the other server is; its credentials come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile"))
        .arg(text("profile", "NAME", "Profile of ~/.aws/credentials"))
        .arg(text("region", "REGION", "Region that requests to the other server are signed for [default: AWS_REGION]"))
        .arg(flag("no-versions", "Only what is current on the other server"))
        .arg(text("bucket", "NAME", "Only this bucket of a folder of an earlier MyFSIO; without its users"))
        .arg(text("into", "BUCKET", "The bucket that it goes to [default: the same name]"))
        .arg(
            Arg::new("secret-key-file")
                .long("secret-key-file")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help("File with the SECRET_KEY of the earlier MyFSIO, if it had another"),
        )
        .arg(
            Arg::new("concurrency")
                .long("concurrency")
                .value_name("NUMBER")
                .value_parser(value_parser!(u64).range(1..=AT_ONCE_MAX))
                .help("Keys at once [default: 8]"),
        )
        .arg(flag("dry-run", "Only tell what would be brought over, and what not"))
        .arg(json_flag())
        .after_help(
            "The source is only read. What is in the node already, newer or deleted there, stays; so the same command goes on after it was\n\
             broken off, and brings what is new when it is repeated.",
        )
}

/// What the arguments ask for. Errs: wrong usage.
pub(super) fn read(matches: &ArgMatches) -> Result<Import, Error> {
    let text = |name: &str| text_of(matches, name);
    let wrong = |message: &str| Error::raw(ErrorKind::ArgumentConflict, format!("{message}\n"));
    let from = text("from").unwrap_or_default();
    let at_once = matches.get_one::<u64>("concurrency").copied().unwrap_or(AT_ONCE);
    let mut plan = Plan {
        into: text("into"),
        at_once: usize::try_from(at_once).unwrap_or(1),
        dry_run: matches.get_flag("dry-run"),
        bucket: text("bucket"),
        ..Plan::default()
    };
    let from = match from.strip_prefix(SERVER) {
        Some(rest) => {
            let endpoint = text("endpoint").ok_or_else(|| wrong("--from s3://… takes --endpoint"))?;
            if plan.bucket.is_some() || matches.contains_id("secret-key-file") {
                return Err(wrong("--bucket and --secret-key-file are for folders: name a bucket as s3://BUCKET"));
            }
            let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            plan.bucket = Some(bucket.to_owned()).filter(|bucket| !bucket.is_empty());
            plan.prefix = prefix.to_owned();
            if plan.bucket.is_none() && (plan.into.is_some() || !prefix.is_empty()) {
                return Err(wrong("--into and a prefix are for one bucket"));
            }
            From::Server {
                endpoint,
                region: text("region"),
                profile: text("profile"),
                versions: !matches.get_flag("no-versions"),
            }
        }
        None => {
            let of_server = ["endpoint", "profile", "region"].iter().any(|name| matches.contains_id(name));
            if of_server || matches.get_flag("no-versions") {
                return Err(wrong("--endpoint, --profile, --region and --no-versions are for s3://…"));
            }
            let secret_key_file = matches.get_one::<PathBuf>("secret-key-file").cloned();
            From::Folder { path: PathBuf::from(from), secret_key_file }
        }
    };
    Ok(Import { from, plan })
}

/// Does it. Errs: one line; also when something was left out.
pub fn run(config: &Config, asked: &Import, as_json: bool) -> Result<(), String> {
    let prepared = import::prepare(config, asked)?;
    let dry_run = asked.plan.dry_run;
    if dry_run {
        let mut report = Report::new(as_json, dry_run);
        let done = import::look(prepared, &mut report);
        return report.end(done);
    }
    let of = config.clone();
    at_socket(config, move |socket| {
        let mut report = Report::new(as_json, dry_run);
        let done = import::bring(&of, socket, prepared, &mut report);
        report.end(done)
    })?
}

/// Prints what happens.
struct Report {
    json: bool,
    dry_run: bool,
    findings: u64,
    on_terminal: bool,
    since: Instant,
    told: Instant,
}

impl Report {
    fn new(json: bool, dry_run: bool) -> Self {
        if json {
            super::print("{\"findings\":[");
        }
        let (on_terminal, now) = (io::stderr().is_terminal(), Instant::now());
        Self { json, dry_run, findings: 0, on_terminal, since: now, told: now }
    }

    fn find(&mut self, kind: &str, place: &str, detail: &str) {
        self.clear_progress();
        if self.json {
            let finding = json!({ "finding": kind, "place": place, "detail": detail });
            super::print(&format!("{}{finding}", if self.findings > 0 { ",\n" } else { "\n" }));
        } else {
            super::print(&format!("{kind}  {}: {}\n", place.escape_debug(), detail.escape_debug()));
        }
        self.findings += 1;
    }

    fn clear_progress(&self) {
        if self.on_terminal {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }

    fn end(self, done: Result<Summary, String>) -> Result<(), String> {
        self.clear_progress();
        let error = done.as_ref().err().cloned();
        let summary = done.unwrap_or_default();
        let Summary { buckets, users, stored, known, bytes, left_out, notes } = summary;
        if self.json {
            let status = match (&error, left_out) {
                (Some(_), _) => "failed",
                (None, 0) => "complete",
                (None, _) => "incomplete",
            };
            let told = json!({
                "buckets": buckets, "users": users, "imported": stored, "present": known, "bytes": bytes, "left_out": left_out, "notes": notes,
            });
            super::print(&format!("],\"summary\":{told},\"status\":\"{status}\"}}\n"));
        } else if error.is_none() {
            let verb = if self.dry_run { "would be imported" } else { "imported" };
            super::print(&format!(
                "{buckets} buckets, {users} users, {stored} versions of {} {verb}; {known} were there; {left_out} left out\n",
                size(bytes)
            ));
        }
        match (error, left_out) {
            (Some(error), _) => Err(error),
            (None, 0) => Ok(()),
            (None, left) => Err(format!("{left} things were left out, with the reasons above")),
        }
    }
}

impl Observer for Report {
    fn left_out(&mut self, place: &str, reason: &str) {
        self.find("left-out", place, reason);
    }

    fn noted(&mut self, place: &str, note: &str) {
        self.find("note", place, note);
    }

    fn progress(&mut self, progress: &Progress) {
        if !self.on_terminal && self.told.elapsed() < LINE {
            return;
        }
        self.told = Instant::now();
        let line = progress_line(progress, self.since.elapsed());
        let (start, end) = if self.on_terminal { ("\r\x1b[K", "") } else { ("", "\n") };
        let _ = write!(io::stderr(), "{start}{line}{end}");
    }
}

/// How far it is, how fast, and how long it will take if it goes on so.
fn progress_line(progress: &Progress, elapsed: Duration) -> String {
    let Progress { stored, known, failed, bytes, total } = progress;
    let done = stored + known + failed;
    let rate = *bytes as f64 / elapsed.as_secs_f64().max(0.001);
    let mut line = match total {
        Some(total) => format!("{done} of {} versions, {} of {}", total.versions, size(*bytes), size(total.bytes)),
        None => format!("{done} versions, {}", size(*bytes)),
    };
    line.push_str(&format!(", {}/s", size(rate as u64)));
    if *failed > 0 {
        line.push_str(&format!(", {failed} left out"));
    }
    // By numbers: of what was there already no bytes are counted.
    if let Some(total) = total
        && done > 0
        && total.versions > done
    {
        let left = elapsed.as_secs_f64() * (total.versions - done) as f64 / done as f64;
        line.push_str(&format!(", {} left", time(left as u64)));
    }
    line
}

fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["bytes", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = UNITS[0];
    for next in UNITS.iter().skip(1) {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    match unit {
        "bytes" => format!("{bytes} bytes"),
        _ => format!("{value:.1} {unit}"),
    }
}

fn time(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..7200 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::Total;

    fn read_of(words: &str) -> Result<Import, Error> {
        read(&command().try_get_matches_from(std::iter::once("import").chain(words.split_whitespace()))?)
    }

    #[test]
    fn sources() {
        let server = read_of("--from s3://photos/2024/a --endpoint http://a:9000 --into b --no-versions").unwrap();
        assert_eq!((server.plan.bucket.as_deref(), server.plan.prefix.as_str()), (Some("photos"), "2024/a"));
        assert!(matches!(server.from, From::Server { versions: false, .. }));
        let all = read_of("--from s3:// --endpoint http://a:9000 --dry-run --concurrency 3").unwrap();
        assert_eq!((all.plan.bucket, all.plan.at_once, all.plan.dry_run), (None, 3, true));
        let folder = read_of("--from ./old --secret-key-file f --bucket b").unwrap();
        assert!(matches!(folder.from, From::Folder { secret_key_file: Some(_), .. }));
        for wrong in [
            "",
            "--from s3://b",
            "--from s3:// --endpoint http://a --into b",
            "--from s3://b --endpoint http://a --bucket c",
            "--from ./old --endpoint http://a",
            "--from ./old --no-versions",
            "--from ./old --concurrency 0",
        ] {
            assert_ne!(read_of(wrong).map(|_| ()).unwrap_err().exit_code(), 0, "{wrong}");
        }
    }

    #[test]
    fn how_far_it_is() {
        let mut progress = Progress { stored: 5, known: 4, failed: 1, bytes: 10 << 20, total: None };
        let told = |progress: &Progress| progress_line(progress, Duration::from_secs(10));
        assert_eq!(told(&progress), "10 versions, 10.0 MiB, 1.0 MiB/s, 1 left out");
        progress.total = Some(Total { versions: 100, bytes: 1 << 30 });
        assert_eq!(
            told(&progress),
            "10 of 100 versions, 10.0 MiB of 1.0 GiB, 1.0 MiB/s, 1 left out, 90 s left".replace("90 s", "1 min")
        );
    }
}
