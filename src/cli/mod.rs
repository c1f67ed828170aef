//! The command line: which command, and which settings its flags change.
//!
//! Flags come from the table of settings; none is spelt here. Exit status: 0 done, 1 refused or failed with one line on
//! standard error, 2 wrong usage.

mod arguments;
mod backup;
mod bucket;
mod client_encryption;
mod completions;
mod examples;
mod explain;
mod healthcheck;
mod import;
mod key;
mod live;
mod maintenance;
mod remote;
mod replication;
mod scrub;
mod upgrade;
mod user;

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

pub use arguments::{Mode, Request, parse};
pub use backup::{BackupWork, Backups};
pub use bucket::Buckets;
pub use client_encryption::{ClientEncryption, Work};
pub use explain::Explain;
pub use key::{Keys, Reencrypt};
pub use live::{Top, Trace};
pub use maintenance::{Fsck, Reindex};
pub use replication::Replication;
pub use scrub::Scrub;
pub use user::Users;

use serde_json::Value;

use crate::config::{self, Config, Loaded};
use crate::s3::auth::canonical::encode;

/// Runs what `arguments` ask for; `serve` is what runs a node. Returns the exit status of the process.
pub fn execute<I, E>(arguments: I, serve: impl FnOnce(Mode, Config) -> Result<(), E>) -> ExitCode
where
    I: IntoIterator<Item = OsString>,
    E: std::fmt::Display,
{
    let request = match parse(arguments) {
        Ok(request) => request,
        Err(usage) => {
            let _ = usage.print();
            return ExitCode::from(u8::try_from(usage.exit_code()).unwrap_or(2));
        }
    };
    match perform(request, serve) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            let _ = writeln!(io::stderr(), "myfsio: {}", one_line(&reason));
            ExitCode::FAILURE
        }
    }
}

fn perform<E: std::fmt::Display>(
    request: Request,
    serve: impl FnOnce(Mode, Config) -> Result<(), E>,
) -> Result<(), String> {
    let read = |inputs| Loaded::read(&inputs).map_err(|error| error.to_string());
    match request {
        Request::Serve { mode, inputs } => {
            let loaded = read(inputs)?;
            loaded.check_available().map_err(|error| error.to_string())?;
            serve(mode, loaded.config).map_err(|error| error.to_string())
        }
        Request::ConfigShow(inputs) => {
            print(&config::show(&read(inputs)?.values));
            Ok(())
        }
        Request::ConfigCheck(inputs) => {
            read(inputs)?.check_available().map_err(|error| error.to_string())?;
            print("the configuration is good\n");
            Ok(())
        }
        Request::Fsck(asked, inputs) => maintenance::fsck(&read(inputs)?.config, &asked),
        Request::Explain(asked, inputs) => explain::explain(&read(inputs)?.config, &asked),
        Request::Reindex(asked, inputs) => maintenance::reindex(&read(inputs)?.config, &asked),
        Request::Backup { asked, as_json, .. } if !asked.needs_config() => backup::without_node(&asked, as_json),
        Request::Backup { asked, as_json, inputs } => backup::run(&read(inputs)?.config, &asked, as_json),
        Request::Bucket { asked, as_json, inputs } => bucket::run(&read(inputs)?.config, &asked, as_json),
        Request::Key { asked, as_json, inputs } => key::run(&read(inputs)?.config, &asked, as_json),
        Request::Import { asked, as_json, inputs } => import::run(&read(inputs)?.config, &asked, as_json),
        Request::Replication { asked, as_json, inputs } => replication::run(&read(inputs)?.config, &asked, as_json),
        Request::Scrub { asked, as_json, inputs } => scrub::run(&read(inputs)?.config, &asked, as_json),
        Request::User { asked, as_json, inputs } => user::run(&read(inputs)?.config, &asked, as_json),
        Request::ClientEncryption(asked) => client_encryption::run(&asked),
        Request::Healthcheck(inputs) => {
            let loaded = read(inputs)?;
            healthcheck::ask(loaded.config.host, loaded.config.port, loaded.config.tls_cert_path.is_some())
        }
        Request::Top(asked, inputs) => live::top(&read(inputs)?.config, &asked),
        Request::Trace(asked, inputs) => live::trace(&read(inputs)?.config, &asked),
        Request::Completions(shell) => {
            completions::run(shell);
            Ok(())
        }
        Request::Upgrade { as_json, inputs } => upgrade::check(&read(inputs)?.config, as_json),
        Request::Version => {
            print(&version());
            Ok(())
        }
    }
}

/// The version, and the commit where the build was told one. The environment is asked, not git: then the same sources and environment
/// are the same program, in a tarball, too, and a commit alone builds nothing anew.
fn version() -> String {
    let commit = option_env!("GIT_COMMIT").filter(|commit| !commit.is_empty());
    let commit = commit.map(|commit| format!(" ({commit})")).unwrap_or_default();
    format!("myfsio {}{commit}\n", env!("CARGO_PKG_VERSION"))
}

/// Writes to standard output. A reader that went away (`| head`) is no failure.
fn print(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

fn print_json(document: &Value) {
    print(&format!("{document:#}\n"));
}

/// A name as a segment of a path, or a value of a query.
fn path_segment(name: &str) -> String {
    encode(name.as_bytes(), false)
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
