//! `myfsio upgrade --check`: whether this program can open a data directory, before it is started on it. Nothing is changed, and a node
//! may have it open.

use std::fmt::Write as _;
use std::fs::File;
use std::io;
use std::path::Path;

use clap::{Arg, ArgAction, Command};
use myfsio_actors::storage::Format;
use rustix::fs::{FlockOperation, flock};
use serde_json::json;

use super::arguments::json_flag;
use super::{print, print_json};
use crate::config::Config;

/// The grammar.
pub(super) fn command() -> Command {
    Command::new("upgrade")
        .about("Tell whether this program can open the data directory, and change nothing")
        .arg(
            Arg::new("check")
                .long("check")
                .action(ArgAction::SetTrue)
                .required(true)
                .help("Look at format, settings and lock; the upgrade itself is the first start of the new program"),
        )
        .arg(json_flag())
}

/// Looks. Errs: one line; the directory is of a newer program, or cannot be read.
pub fn check(config: &Config, as_json: bool) -> Result<(), String> {
    let root = &config.storage_root;
    let wrong = |what: &dyn std::fmt::Display| format!("upgrade: {}: {what}", root.display());
    let found = Format::of(root).map_err(|error| wrong(&error))?;
    let own = Format::current();
    found.as_ref().map_or(Ok(()), Format::check).map_err(|reason| wrong(&reason))?;
    let in_use = is_locked(&root.join(".myfsio.sys/lock")).map_err(|error| wrong(&error))?;
    let verdict = match &found {
        _ if !root.join(".myfsio.sys").exists() => "there is no data yet; the first start makes it",
        None => {
            "nothing tells its format: it was restored and not started yet, or is of an early release; the first start looks"
        }
        Some(found) if found.format > own.format => "it can be opened; what the newer program added is not used",
        Some(_) => "it can be opened as it is",
    };
    if as_json {
        print_json(&json!({ "data": root, "found": found, "program": own, "in_use": in_use, "verdict": verdict }));
        return Ok(());
    }
    let mut text = String::new();
    let mut line = |name: &str, value: &dyn std::fmt::Display| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name:<14}{value}");
    };
    line("data", &root.display());
    let told = |format: &Format| format!("format {}, written by MyFSIO {}", format.format, format.program);
    line("found", &found.as_ref().map_or_else(|| "nothing".to_owned(), told));
    line("this program", &format!("MyFSIO {}, knows format {}", own.program, own.format));
    line("in use", &if in_use { "yes: stop its node first" } else { "no" });
    line("verdict", &verdict);
    print(&text);
    Ok(())
}

/// Whether a process has the directory open. The lock is asked for and not kept.
fn is_locked(lock: &Path) -> io::Result<bool> {
    let file = match File::open(lock) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(false),
        Err(error) if error == rustix::io::Errno::WOULDBLOCK => Ok(true),
        Err(error) => Err(error.into()),
    }
}
