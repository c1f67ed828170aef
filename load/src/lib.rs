//! The load generator: drives any S3 endpoint over HTTP/1.1 and measures rates, latencies, and a local server's CPU and
//! memory.
//!
//! It shares the cores with what it measures, so it is cheap on purpose: one thread, requests signed before the round where
//! they come again, bodies read into one buffer per connection. What is measured is told by `docs/development.md`.

mod arguments;
mod connection;
mod keys;
mod multipart;
mod prepare;
mod process;
mod progress;
mod response;
mod round;
mod run;
mod script;
mod sign;
mod site;
mod soak;
mod statistics;
mod suite;
mod table;
mod units;
mod worker;
mod workload;

use std::ffi::OsString;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use arguments::{Arguments, Command, RunArguments};
use clap::Parser;
use prepare::{create_bucket, put_keys};
use run::Lane;
use serde::Serialize;
use serde_json::json;

/// Runs what the arguments ask for, and prints what it showed. Exit status: 0 done, 1 refused, failed, or operations
/// failed; 2 wrong usage.
pub fn execute(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(usage) => {
            let _ = usage.print();
            return ExitCode::from(u8::try_from(usage.exit_code()).unwrap_or(2));
        }
    };
    match perform(arguments.command, &mut std::io::stdout()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(reason) => {
            let _ = writeln!(std::io::stderr(), "myfsio-load: {reason}");
            ExitCode::FAILURE
        }
    }
}

/// The same for a program that reads what is printed: whether every operation was good. Errs with what is wrong.
pub fn drive<'a>(arguments: impl IntoIterator<Item = &'a str>, out: &mut impl Write) -> Result<bool, String> {
    let arguments = Arguments::try_parse_from(arguments).map_err(|usage| usage.to_string())?;
    perform(arguments.command, out)
}

fn perform(command: Command, out: &mut impl Write) -> Result<bool, String> {
    // One thread: what it costs is one core at most, and can be read off.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("cannot start: {error}"))?;
    let (text, good) = match command {
        Command::Run(arguments) => runtime.block_on(measure(&arguments))?,
        Command::Fill(arguments) => runtime.block_on(fill(&arguments))?,
        Command::Suite(arguments) => {
            let progress = arguments.progress();
            runtime.block_on(with_progress(&progress, suite::run(&arguments, &progress)))?
        }
        Command::Soak(arguments) => {
            let progress = arguments.progress();
            runtime.block_on(with_progress(&progress, soak::run(&arguments, &progress)))?
        }
    };
    out.write_all(text.as_bytes()).map_err(|error| format!("cannot print: {error}"))?;
    Ok(good)
}

async fn measure(arguments: &RunArguments) -> Result<(String, bool), String> {
    let run = arguments.run()?;
    let measured = with_progress(&run.progress, run.execute()).await?;
    if let Some(path) = &arguments.json {
        write_json(path, &json!({ "endpoints": measured }))?;
    }
    let good = measured.iter().all(|endpoint| endpoint.median.errors.is_empty());
    Ok((table::render(&measured), good))
}

async fn fill(arguments: &RunArguments) -> Result<(String, bool), String> {
    let run = arguments.run()?;
    let filling = async {
        let mut text = String::new();
        for Lane { site, workload } in &run.lanes {
            create_bucket(site).await?;
            let outcome = put_keys(site, workload, workload.keys.clone(), &run.progress).await?;
            let (objects, rate) = (outcome.operations, outcome.operations_per_second);
            text.push_str(&format!("{}: {objects} objects, {rate:.0}/s\n", site.endpoint.name));
        }
        Ok((text, true))
    };
    with_progress(&run.progress, filling).await
}

/// Shows progress until `work` is done.
async fn with_progress<T>(progress: &progress::Progress, work: impl Future<Output = T>) -> T {
    let done = tokio::select! {
        done = work => done,
        never = progress.show() => match never {},
    };
    progress.clear();
    done
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<(), String> {
    let text = serde_json::to_string_pretty(value).map_err(|error| error.to_string())?;
    std::fs::write(path, text + "\n").map_err(|error| format!("{}: {error}", path.display()))
}
