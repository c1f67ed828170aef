//! `myfsio top` and `myfsio trace`: what a running node does, in a terminal.

mod exposition;
mod figures;
mod source;
mod top;
mod trace;

use clap::{Arg, ArgMatches, Command};

pub use top::Top;
pub use trace::Trace;

use super::arguments::text_of;

/// The grammar of both.
pub(super) fn commands() -> [Command; 2] {
    [top::command(), trace::command()]
}

/// What the arguments of `top` ask for.
pub(super) fn read_top(matches: &ArgMatches) -> Top {
    top::read(matches)
}

/// What the arguments of `trace` ask for.
pub(super) fn read_trace(matches: &ArgMatches) -> Trace {
    trace::read(matches)
}

/// Runs `top`. Errs: one line.
pub fn top(config: &crate::config::Config, asked: &Top) -> Result<(), String> {
    run(top::run(config, asked))
}

/// Runs `trace`. Errs: one line.
pub fn trace(config: &crate::config::Config, asked: &Trace) -> Result<(), String> {
    run(trace::run(config, asked))
}

fn run(work: impl Future<Output = Result<(), String>>) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| error.to_string())?.block_on(work)
}

/// `--url`, as both have it.
fn url_flag() -> Arg {
    Arg::new("url").long("url").value_name("URL").help(
        "Ask the node there, signed with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY [default: the running node of this configuration]",
    )
}

fn url_of(matches: &ArgMatches) -> Option<String> {
    text_of(matches, "url")
}
