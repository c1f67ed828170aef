//! `myfsio scrub status|start|stop`: has the node verify what is stored, and tells what was found.

use std::io::{self, IsTerminal as _, Write as _};

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use serde_json::{Map, Value};

use super::arguments::{json_flag, text_of};
use super::remote::{Question, ask};
use super::{print, print_json};
use crate::config::Config;

const ROUTE: &str = "/_myfsio/scrub";
/// Seconds that one question waits for the end, the first one and at most. A node that is started for each question alone works
/// for as long as it is asked.
const WAIT_SECONDS: (u64, u64) = (1, 40);

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scrub {
    /// How far it is, and what was found.
    Status,
    /// Begin a run.
    Start {
        /// The order, as the route takes it.
        order: Value,
        /// Whether to wait for its end.
        wait: bool,
    },
    /// End it.
    Stop,
}

/// The grammar.
pub(super) fn command() -> Command {
    let start = Command::new("start")
        .about("Verify everything that is stored, or one bucket, now")
        .arg(
            Arg::new("bucket")
                .long("bucket")
                .value_name("BUCKET")
                .help("Only this bucket; a run that is at work waits meanwhile"),
        )
        .arg(
            Arg::new("rate")
                .long("rate")
                .value_name("BYTES")
                .value_parser(value_parser!(u64))
                .help("Bytes per second, in place of SCRUB_BYTES_PER_SECOND; 0: as fast as requests leave room"),
        )
        .arg(
            Arg::new("wait")
                .long("wait")
                .action(ArgAction::SetTrue)
                .help("Wait for the end; then the exit status tells whether anything is damaged"),
        )
        .arg(json_flag());
    Command::new("scrub")
        .about("Verify stored bytes against their checksums, whether the node runs or not")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(Command::new("status").about("Tell how far it is, and what was found").arg(json_flag()))
        .subcommand(start)
        .subcommand(Command::new("stop").about("End the run that is at work").arg(json_flag()))
}

/// What the arguments of `scrub` ask for.
pub(super) fn read(name: &str, matches: &ArgMatches) -> Scrub {
    match name {
        "start" => {
            let mut order = Map::new();
            if let Some(bucket) = text_of(matches, "bucket") {
                order.insert("bucket".to_owned(), bucket.into());
            }
            if let Some(rate) = matches.get_one::<u64>("rate") {
                order.insert("bytes_per_second".to_owned(), (*rate).into());
            }
            Scrub::Start { order: order.into(), wait: matches.get_flag("wait") }
        }
        "stop" => Scrub::Stop,
        _ => Scrub::Status,
    }
}

/// Does it. Errs: one line; after waiting, also when something is damaged.
pub fn run(config: &Config, asked: &Scrub, as_json: bool) -> Result<(), String> {
    match asked {
        Scrub::Status => {
            let report = ask(config, &Question::new("GET", ROUTE))?.json()?;
            tell(&report, as_json);
            Ok(())
        }
        Scrub::Stop => {
            let run = ask(config, &Question::new("DELETE", ROUTE))?.json()?;
            tell_run(&run, as_json);
            Ok(())
        }
        Scrub::Start { order, wait } => {
            let run = ask(config, &Question::new("POST", ROUTE).with(order.clone()))?.json()?;
            if *wait {
                return until_end(config, &run, as_json);
            }
            tell_run(&run, as_json);
            Ok(())
        }
    }
}

/// Waits for the end of a run.
fn until_end(config: &Config, begun: &Value, as_json: bool) -> Result<(), String> {
    let is_it = |run: &Value| ["started_millis", "order"].iter().all(|field| run.get(field) == begun.get(field));
    let (mut wait, on_terminal) = (WAIT_SECONDS.0, io::stderr().is_terminal());
    loop {
        let report = ask(config, &Question::new("GET", format!("{ROUTE}?wait={wait}")))?.json()?;
        wait = (wait * 2).min(WAIT_SECONDS.1);
        let last = report.get("last_runs").and_then(Value::as_array).into_iter().flatten().find(|run| is_it(run));
        if let Some(run) = last {
            if on_terminal {
                let _ = write!(io::stderr(), "\r\x1b[K");
            }
            if as_json {
                print_json(&report);
            } else {
                tell_run(run, false);
                tell_findings(&report, number(begun, "started_millis"));
            }
            let damaged = damaged(run).saturating_sub(number(run, "repaired"));
            return match (damaged, text(run, "state")) {
                (0, "done") => Ok(()),
                (0, _) => Err("scrub: it was stopped before its end".to_owned()),
                (damaged, _) => Err(format!("scrub: {damaged} objects or parts are damaged")),
            };
        }
        if on_terminal && let Some(run) = report.get("run") {
            let _ = write!(io::stderr(), "\r\x1b[K{}", counts(run));
        }
    }
}

fn tell(report: &Value, as_json: bool) {
    if as_json {
        return print_json(report);
    }
    match report.get("run").filter(|run| run.is_object()) {
        Some(run) => print(&format!("running ({}%): {}\n", number(report, "percent"), counts(run))),
        None => print("idle\n"),
    }
    if let Some(last) = report.get("last_runs").and_then(Value::as_array).and_then(|runs| runs.first()) {
        print(&format!("last run, {}: {}\n", text(last, "state"), counts(last)));
    }
    tell_findings(report, 0);
}

fn tell_run(run: &Value, as_json: bool) {
    match as_json {
        true => print_json(run),
        false => print(&format!("{}: {}\n", text(run, "state"), counts(run))),
    }
}

fn tell_findings(report: &Value, since_millis: u64) {
    let findings = report.get("findings").and_then(Value::as_array).into_iter().flatten();
    for finding in findings.filter(|finding| number(finding, "found_millis") >= since_millis) {
        let name = match text(finding, "key") {
            "" => format!("upload {}, part {}", text(finding, "upload_id"), number(finding, "part_number")),
            key => format!("{key} ({})", text(finding, "version_id")),
        };
        let (bucket, damage) = (text(finding, "bucket"), text(finding, "damage"));
        let line = format!("{damage}  {bucket}/{name}: {}, {}", text(finding, "outcome"), text(finding, "detail"));
        print(&format!("{}\n", line.escape_debug()));
    }
}

/// For people, in one line.
fn counts(run: &Value) -> String {
    let told = [
        ("objects", "objects"),
        ("versions", "versions"),
        ("parts", "parts"),
        ("bytes", "bytes read"),
        ("edited", "edited files taken over"),
        ("repaired", "repaired"),
        ("lifted", "right again"),
    ];
    let told = told.map(|(field, name)| (number(run, field), name));
    let told = told.iter().enumerate().filter(|(at, (number, _))| *at == 0 || *number > 0);
    let told: Vec<_> = told.map(|(_, (number, name))| format!("{number} {name}")).collect();
    format!("{}, {} damaged", told.join(", "), damaged(run))
}

fn damaged(run: &Value) -> u64 {
    let kinds = run.get("damaged").and_then(Value::as_object);
    kinds.into_iter().flatten().filter_map(|(_, count)| count.as_u64()).sum()
}

fn number(value: &Value, field: &str) -> u64 {
    value.get(field).and_then(Value::as_u64).unwrap_or(0)
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}
