//! The command line.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use time::OffsetDateTime;

use crate::keys::{KeyShape, Keys};
use crate::process::Process;
use crate::progress::Progress;
use crate::run::{Lane, Run};
use crate::sign::Credentials;
use crate::site::{Defaults, Endpoint, Site};
use crate::soak::SoakArguments;
use crate::suite::SuiteArguments;
use crate::units::{size, time};
use crate::workload::{Listing, Mix, Operation, Pages, Stop, Workload};

/// Drives S3 endpoints and measures them.
#[derive(Debug, Parser)]
#[command(name = "myfsio-load", version, max_term_width = 120)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Runs one load against one or more endpoints, in rounds one after the other
    Run(RunArguments),
    /// Puts --keys objects in place and ends
    Fill(RunArguments),
    /// Measures a node beside its references and says which targets it meets
    Suite(SuiteArguments),
    /// Has many clients do everything for long, some of them leaving in the middle, and looks what is lost, left over or left open
    Soak(SoakArguments),
}

/// Whom to drive.
#[derive(Debug, Args)]
pub struct EndpointArguments {
    /// http://host:port of an endpoint; the first is the one that ratios are of
    #[arg(long)]
    pub url: Vec<String>,
    /// An endpoint with what is its own: name=…,url=…,key=…,secret=…,region=…,bucket=…,pid=…,header,unsigned
    #[arg(long, value_name = "FIELDS")]
    pub endpoint: Vec<String>,
    /// Access key id [default: AWS_ACCESS_KEY_ID, else localadmin]
    #[arg(long)]
    pub access_key: Option<String>,
    /// Secret access key [default: AWS_SECRET_ACCESS_KEY, else localadmin]
    #[arg(long)]
    pub secret_key: Option<String>,
    /// Region of the signatures
    #[arg(long, default_value = "us-east-1")]
    pub region: String,
    /// Process of the server if it runs here: its CPU and memory are reported
    #[arg(long)]
    pub pid: Option<u32>,
    /// Bucket, created if it is not there; what is put there stays
    #[arg(long, default_value = "load-bucket")]
    pub bucket: String,
}

/// What to do over and over.
#[derive(Debug, Args)]
pub struct RunArguments {
    #[command(flatten)]
    endpoints: EndpointArguments,
    /// What is done over and over
    #[arg(long, value_enum, default_value = "get")]
    op: Operation,
    /// Bytes of an object, or of a multipart upload in all
    #[arg(long, value_parser = size, default_value = "4KiB")]
    size: u64,
    /// Bytes of a part but the last
    #[arg(long, value_parser = size, default_value = "8MiB")]
    part_size: u64,
    /// Requests under way at once, each on a connection of its own
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    connections: u32,
    /// Length of a round
    #[arg(long, value_parser = time, default_value = "10s", conflicts_with = "count")]
    duration: Duration,
    /// Operations of a round, instead of a time
    #[arg(long)]
    count: Option<u64>,
    /// Rounds against each endpoint; medians are reported
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// How many different keys; writes go round them
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    keys: u64,
    /// How keys are spread over folders
    #[arg(long, value_enum, default_value = "flat")]
    key_shape: KeyShape,
    /// What all keys begin with
    #[arg(long, default_value = "load/")]
    prefix: String,
    /// Each round writes keys of its own, so that none is overwritten
    #[arg(long)]
    fresh: bool,
    /// Which page a listing asks for
    #[arg(long, value_enum, default_value = "all")]
    pages: Pages,
    /// Delimiter of listings
    #[arg(long)]
    delimiter: Option<String>,
    /// Most entries of a listing
    #[arg(long, default_value_t = 1000)]
    keys_max: u32,
    /// Weights of a mixed load
    #[arg(long, value_parser = Mix::parse, default_value = "get=60,put=20,head=10,delete=5,list=5")]
    mix: Mix,
    /// A get asks for so many bytes, anywhere in the object
    #[arg(long, value_parser = size)]
    range: Option<u64>,
    /// Longest time of one operation
    #[arg(long, value_parser = time, default_value = "60s")]
    timeout: Duration,
    /// Wait after each round until the server has used no CPU for so long, and count what it used till then
    #[arg(long, value_parser = time, num_args = 0..=1, default_missing_value = "2s", value_name = "QUIET")]
    until_idle: Option<Duration>,
    /// Bucket and keys are there: create none
    #[arg(long)]
    prepared: bool,
    /// Write all figures to this file as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Show progress also where standard error is no terminal
    #[arg(long)]
    progress: bool,
}

impl EndpointArguments {
    /// The endpoints, those with `--url` first. Errs with what is wrong.
    pub fn sites(&self) -> Result<Vec<Arc<Site>>, String> {
        let from = |given: &Option<String>, variable: &str| {
            let or = || std::env::var(variable).ok().filter(|value| !value.is_empty());
            given.clone().or_else(or).unwrap_or_else(|| "localadmin".to_owned())
        };
        let defaults = Defaults {
            credentials: Credentials {
                access_key: from(&self.access_key, "AWS_ACCESS_KEY_ID"),
                secret_key: from(&self.secret_key, "AWS_SECRET_ACCESS_KEY"),
                region: self.region.clone(),
            },
            process: self.pid.map(|pid| Process { pid }),
        };
        let urls = self.url.iter().map(|url| format!("url={url}"));
        let texts: Vec<String> = urls.chain(self.endpoint.iter().cloned()).collect();
        if texts.is_empty() {
            return Err("no endpoint: give --url or --endpoint".to_owned());
        }
        if texts.len() > 1 && self.pid.is_some() {
            return Err("--pid is for one endpoint; of several each has its own, in --endpoint".to_owned());
        }
        let now = OffsetDateTime::now_utc();
        texts.iter().map(|text| Site::new(Endpoint::parse(text, &defaults)?, &self.bucket, now).map(Arc::new)).collect()
    }
}

impl RunArguments {
    /// The run that is asked for. Errs with what is wrong.
    pub fn run(&self) -> Result<Run, String> {
        let workload = Workload {
            operation: self.op,
            size: self.size,
            part_size: self.part_size,
            connections: self.connections,
            stop: self.count.map_or(Stop::After(self.duration), Stop::Count),
            keys: Keys { shape: self.key_shape, prefix: self.prefix.clone(), count: self.keys },
            fresh: self.fresh,
            listing: Listing { pages: self.pages, delimiter: self.delimiter.clone(), keys_max: self.keys_max },
            mix: self.mix.clone(),
            range: self.range,
            timeout: self.timeout,
        };
        if self.range.is_some_and(|range| range == 0 || range > self.size || self.op != Operation::Get) {
            return Err("--range is of --op get, and 1 to --size bytes".to_owned());
        }
        if self.part_size == 0 {
            return Err("--part-size is 0".to_owned());
        }
        Ok(Run {
            lanes: Lane::each(&self.endpoints.sites()?, workload),
            rounds: self.rounds,
            until_idle: self.until_idle,
            prepare: !self.prepared,
            progress: Arc::new(Progress::new(self.progress)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(line: &str) -> Result<Run, String> {
        let parsed = Arguments::try_parse_from(format!("myfsio-load run {line}").split_whitespace());
        match parsed.map_err(|error| error.to_string())?.command {
            Command::Run(arguments) => arguments.run(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_command_line_is_sound() {
        <Arguments as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn a_line_becomes_a_run() {
        let line = "--url http://127.0.0.1:5000 --endpoint name=peer,url=http://127.0.0.1:6000,pid=9 --op put --size 1MiB \
                    --connections 16 --count 7 --rounds 3 --keys 50 --key-shape deep --prefix x/ --fresh --until-idle";
        let run = run(line).unwrap();
        assert_eq!(
            run.lanes.iter().map(|lane| lane.site.endpoint.name.as_str()).collect::<Vec<_>>(),
            ["127.0.0.1:5000", "peer"]
        );
        let workload = &run.lanes[1].workload;
        assert_eq!((workload.operation, workload.size, workload.connections), (Operation::Put, 1 << 20, 16));
        assert_eq!((workload.stop, run.rounds, workload.fresh), (Stop::Count(7), 3, true));
        assert_eq!(workload.keys.key(1001), "x/0000/sub/dir/0001");
        assert_eq!((run.until_idle, run.prepare), (Some(Duration::from_secs(2)), true));
    }

    #[test]
    fn wrong_usage_is_refused() {
        let url = "--url http://127.0.0.1:5000";
        assert!(run(url).is_ok());
        for line in [
            "".to_owned(),
            "--url ftp://x".to_owned(),
            format!("{url} --connections 0"),
            format!("{url} --keys 0"),
            format!("{url} --part-size 0"),
            format!("{url} --count 1 --duration 1s"),
            format!("{url} --op rename"),
            format!("{url} {url} --pid 7"),
        ] {
            assert!(run(&line).is_err(), "{line}");
        }
    }
}
