//! `myfsio key reencrypt`: has the node wrap data keys under the newest key material, and waits for it.

use std::io::{self, IsTerminal as _, Write as _};

use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::{Map, Value};

use super::arguments::{json_flag, text_of};
use super::remote::{Question, ask};
use super::{print, print_json};
use crate::config::Config;

const ROUTE: &str = "/_myfsio/kms/reencrypt";
/// Seconds that one question waits for the end, the first one and at most. A node that is started for each question alone works
/// for as long as it is asked.
const WAIT_SECONDS: (u64, u64) = (1, 40);

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reencrypt {
    /// The order, as the route takes it.
    pub order: Value,
    /// Ends the job that is at work instead.
    pub cancel: bool,
}

/// The grammar.
pub(super) fn command() -> Command {
    let text = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).conflicts_with("cancel").help(help)
    };
    let flag = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).action(ArgAction::SetTrue).conflicts_with("cancel").help(help)
    };
    let reencrypt = Command::new("reencrypt")
        .about("Wrap the data keys of encrypted objects under the newest key material, whether the node runs or not")
        .arg(text("bucket", "BUCKET", "Only in this bucket"))
        .arg(text("prefix", "PREFIX", "Only keys that begin with this"))
        .arg(text(
            "key",
            "KEY",
            "Only what is under this KMS key (id, ARN or alias), or under the master key of this id",
        ))
        .arg(text("to", "KEY", "The KMS key to wrap under, where one wrapped it [default: the same]"))
        .arg(flag("rewrite", "Write current objects again, with fresh data keys"))
        .arg(
            flag("convert", "Encrypt current objects that are not, as their bucket is configured")
                .conflicts_with_all(["rewrite", "key", "to"]),
        )
        .arg(Arg::new("cancel").long("cancel").action(ArgAction::SetTrue).help("End the job that is at work"))
        .arg(json_flag());
    Command::new("key")
        .about("Work on the keys of encrypted objects")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(reencrypt)
}

/// What the arguments of `key reencrypt` ask for.
pub(super) fn read(matches: &ArgMatches) -> Reencrypt {
    let mut order = Map::new();
    for (name, field) in [("bucket", "bucket"), ("prefix", "prefix"), ("key", "key_id"), ("to", "to_key_id")] {
        if let Some(text) = text_of(matches, name) {
            order.insert(field.to_owned(), text.into());
        }
    }
    for name in ["rewrite", "convert"] {
        order.insert(name.to_owned(), matches.get_flag(name).into());
    }
    Reencrypt { order: order.into(), cancel: matches.get_flag("cancel") }
}

/// Does it, and waits for the end. Errs: one line; also when something failed.
pub fn run(config: &Config, asked: &Reencrypt, as_json: bool) -> Result<(), String> {
    if asked.cancel {
        let job = ask(config, &Question::new("DELETE", ROUTE))?.json()?;
        return tell(&job, as_json);
    }
    let mut job = ask(config, &Question::new("POST", ROUTE).with(asked.order.clone()))?.json()?;
    let (mut wait, on_terminal) = (WAIT_SECONDS.0, io::stderr().is_terminal());
    while text(&job, "state") == "running" {
        if on_terminal {
            let _ = write!(io::stderr(), "\r\x1b[K{}", counts(&job));
        }
        job = ask(config, &Question::new("GET", format!("{ROUTE}?wait={wait}")))?.json()?;
        wait = (wait * 2).min(WAIT_SECONDS.1);
    }
    if on_terminal {
        let _ = write!(io::stderr(), "\r\x1b[K");
    }
    tell(&job, as_json)
}

fn tell(job: &Value, as_json: bool) -> Result<(), String> {
    if as_json {
        print_json(job);
    } else {
        print(&format!("{}: {}\n", text(job, "state"), counts(job)));
        for error in job.get("errors").and_then(Value::as_array).into_iter().flatten() {
            print(&format!("  {}\n", error.as_str().unwrap_or_default().escape_debug()));
        }
    }
    match number(job, "failed") {
        0 => Ok(()),
        failed => Err(format!("key reencrypt: {failed} objects or uploads failed")),
    }
}

/// For people, in one line.
fn counts(job: &Value) -> String {
    let told = [
        ("looked_at", "looked at"),
        ("rewrapped", "objects wrapped anew"),
        ("uploads", "uploads wrapped anew"),
        ("rewritten", "objects written anew"),
        ("current", "as they should be"),
        ("skipped", "left out"),
        ("failed", "failed"),
    ];
    let told = told.map(|(field, name)| (number(job, field), name));
    let told = told.iter().enumerate().filter(|(at, (number, _))| *at == 0 || *number > 0);
    told.map(|(_, (number, name))| format!("{number} {name}")).collect::<Vec<_>>().join(", ")
}

fn number(job: &Value, field: &str) -> u64 {
    job.get(field).and_then(Value::as_u64).unwrap_or(0)
}

fn text<'a>(job: &'a Value, field: &str) -> &'a str {
    job.get(field).and_then(Value::as_str).unwrap_or_default()
}
