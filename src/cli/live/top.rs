//! `myfsio top`: what a node does, drawn anew every few seconds, or written once.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _};
use std::time::{Duration, Instant};

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use super::figures::{Figures, Reading};
use super::source::Source;
use super::{url_flag, url_of};
use crate::cli::arguments::json_flag;
use crate::cli::print;
use crate::config::Config;

/// Up and to the left, and nothing below it: a terminal shows the next picture in place of the last.
const REDRAW: &str = "\x1b[H\x1b[J";

/// What is asked.
#[derive(Debug, Clone)]
pub struct Top {
    url: Option<String>,
    interval: Duration,
    once: bool,
    json: bool,
}

/// The grammar.
pub(super) fn command() -> Command {
    Command::new("top")
        .about("Show what the running node does: requests, latency, commits, queues, space")
        .arg(url_flag())
        .arg(
            Arg::new("interval")
                .long("interval")
                .value_name("SECONDS")
                .value_parser(value_parser!(u64).range(1..=3600))
                .default_value("2")
                .help("Seconds from picture to picture; rates are over these"),
        )
        .arg(Arg::new("once").long("once").action(ArgAction::SetTrue).help("Write one picture and end"))
        .arg(json_flag().help("Write each picture as one line of JSON"))
}

/// What the arguments ask for.
pub(super) fn read(matches: &ArgMatches) -> Top {
    Top {
        url: url_of(matches),
        interval: Duration::from_secs(matches.get_one("interval").copied().unwrap_or(2)),
        once: matches.get_flag("once"),
        json: matches.get_flag("json"),
    }
}

/// Does it. Errs: one line.
pub(super) async fn run(config: &Config, asked: &Top) -> Result<(), String> {
    let source = Source::open(config, asked.url.as_deref())?;
    let draws = !asked.once && !asked.json && io::stdout().is_terminal();
    let (mut before, mut since) = (Reading::new(&source.text("/_myfsio/metrics").await?), Instant::now());
    loop {
        tokio::time::sleep(asked.interval).await;
        let now = Reading::new(&source.text("/_myfsio/metrics").await?);
        let figures = Figures::between(&before, &now, since.elapsed().as_secs_f64());
        (before, since) = (now, Instant::now());
        let text = match asked.json {
            true => serde_json::to_string(&figures).map_err(|error| error.to_string())? + "\n",
            false => picture(&figures),
        };
        print(&format!("{}{text}", if draws { REDRAW } else { "" }));
        if asked.once {
            return Ok(());
        }
    }
}

/// For people.
fn picture(figures: &Figures) -> String {
    let f = figures;
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name:<10} {value}");
    };
    let millis = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.1} ms"));
    line("MyFSIO", format!("{} ({}), over {:.1} s", f.version, f.health, f.seconds));
    line(
        "requests",
        format!(
            "{:.1}/s, {:.1}/s refused, {:.1}/s failed; {} of {} under way",
            f.requests_per_second, f.client_errors_per_second, f.server_errors_per_second, f.under_way, f.under_way_max
        ),
    );
    line("answers", format!("half within {}, 99 % within {}", millis(f.answer_ms_p50), millis(f.answer_ms_p99)));
    line("bodies", format!("{}/s in, {}/s out", size(f.received_per_second), size(f.sent_per_second)));
    let changes = f.changes_per_commit.map_or_else(|| "-".to_owned(), |changes| format!("{changes:.1}"));
    line("commits", format!("{:.1}/s of {changes} changes, {} each", f.commits_per_second, millis(f.commit_ms)));
    let queues = f.queues.iter().map(|(name, length)| format!("{name} {length}")).collect::<Vec<_>>();
    line("waiting", queues.join(", "));
    line("objects", format!("{} in {} buckets, {}; {} versions", f.objects, f.buckets, exact(f.bytes), f.versions));
    line("device", format!("{} free of {}", exact(f.device_free), exact(f.device_total)));
    line("process", format!("{:.2} cores, {}, {} open files", f.cpu_cores, exact(f.memory_bytes), f.open_files));
    if !f.operations.is_empty() {
        let _ = writeln!(text, "\n{:<34} {:>10} {:>10}", "operation", "per second", "errors");
    }
    for operation in &f.operations {
        let (name, all, errors) = (&operation.operation, operation.per_second, operation.errors_per_second);
        let _ = writeln!(text, "{name:<34} {all:>10.1} {errors:>10.1}");
    }
    text
}

#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
fn exact(bytes: u64) -> String {
    size(bytes as f64)
}

fn size(mut bytes: f64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    for unit in UNITS {
        if bytes < 1024.0 || unit == "TiB" {
            let digits = if unit == "B" { 0 } else { 1 };
            return format!("{bytes:.digits$} {unit}");
        }
        bytes /= 1024.0;
    }
    String::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_have_a_line_for_each_thing() {
        let text = picture(&Figures {
            version: "1.2.3".to_owned(),
            health: "ok",
            memory_bytes: 3 << 19,
            ..Figures::default()
        });
        assert!(
            text.starts_with("MyFSIO     1.2.3 (ok)") && text.contains("1.5 MiB") && text.lines().count() == 9,
            "{text}"
        );
        assert_eq!(
            [size(0.0), size(1023.0), size(1024.0), size(5e12), size(5e17)].map(|s| s.replace(' ', "")),
            ["0B", "1023B", "1.0KiB", "4.5TiB", "454747.4TiB"]
        );
    }
}
