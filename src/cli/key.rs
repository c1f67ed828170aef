//! `myfsio key list|rotate|reencrypt`: which keys there are, a new material for one of the KMS, and having the node wrap data keys under
//! the newest one, which is waited for.

use std::io::{self, IsTerminal as _, Write as _};

use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::{Map, Value};

use super::arguments::{json_flag, text_of};
use super::remote::{Question, ask};
use super::{path_segment, print, print_json};
use crate::config::Config;

const ROUTE: &str = "/_myfsio/kms/reencrypt";
const USAGE: &str = "/_myfsio/kms/usage";
/// Seconds that one question waits for the end, the first one and at most. A node that is started for each question alone works
/// for as long as it is asked.
const WAIT_SECONDS: (u64, u64) = (1, 40);

/// What is asked of keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keys {
    /// Tell which there are, and what is wrapped under each.
    List,
    /// Give the KMS key of this id, ARN or alias a new material.
    Rotate(String),
    /// Have data keys wrapped anew.
    Reencrypt(Reencrypt),
}

/// Which data keys are to be wrapped anew.
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
        .about("List, rotate and change the keys of encrypted objects, whether the node runs or not")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            Command::new("list")
                .about("List the master keys and KMS keys, with how much is encrypted under each, and what is missing")
                .arg(json_flag()),
        )
        .subcommand(
            Command::new("rotate")
                .about("Give a KMS key a new material, which seals from now on; the former ones still open")
                .arg(Arg::new("key").value_name("KEY").required(true).help("Its id, ARN or alias"))
                .arg(json_flag()),
        )
        .subcommand(reencrypt)
}

/// What the arguments ask for.
pub(super) fn read(name: &str, matches: &ArgMatches) -> Keys {
    match name {
        "rotate" => Keys::Rotate(text_of(matches, "key").unwrap_or_default()),
        "reencrypt" => Keys::Reencrypt(order(matches)),
        _ => Keys::List,
    }
}

fn order(matches: &ArgMatches) -> Reencrypt {
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

/// Does it. Errs: one line; also when something failed, or keys are missing.
pub fn run(config: &Config, asked: &Keys, as_json: bool) -> Result<(), String> {
    match asked {
        Keys::List => list(config, as_json),
        Keys::Rotate(key) => rotate(config, key, as_json),
        Keys::Reencrypt(asked) => reencrypt(config, asked, as_json),
    }
}

fn list(config: &Config, as_json: bool) -> Result<(), String> {
    let told = ask(config, &Question::new("GET", USAGE))?.json()?;
    match as_json {
        true => print_json(&told),
        false => print(&listed(&told)),
    }
    match text(&told, "trouble") {
        "" => Ok(()),
        trouble => Err(trouble.to_owned()),
    }
}

fn rotate(config: &Config, key: &str, as_json: bool) -> Result<(), String> {
    let told = ask(config, &Question::new("POST", format!("/kms/keys/{}/rotate", path_segment(key))))?.json()?;
    match as_json {
        true => print_json(&told),
        false => print(&format!(
            "Key {key} seals with a new material. What is there still opens; `myfsio key reencrypt` wraps it under the new one.\n"
        )),
    }
    Ok(())
}

/// The keys for people, one a line.
fn listed(told: &Value) -> String {
    let each = |name: &str| told.get(name).and_then(Value::as_array).into_iter().flatten();
    let used = |key: &Value| format!("{} objects, {} uploads", number(key, "objects"), number(key, "uploads"));
    let masters = each("master_keys").map(|key| {
        let state = if key.get("in_force") == Some(&Value::Bool(true)) { "in force" } else { "former" };
        format!("master key        {}  {state}  {}\n", text(key, "key_id"), used(key))
    });
    let keys = each("kms_keys").map(|key| {
        let aliases = key.get("aliases").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        let aliases: Vec<&str> = aliases.collect();
        let aliases = if aliases.is_empty() { "-".to_owned() } else { aliases.join(",") };
        let (id, account, state) = (text(key, "key_id"), text(key, "account_id"), text(key, "state"));
        format!("KMS key           {id}  {state}  account {account}  {aliases}  {}\n", used(key))
    });
    let others = each("keys").filter_map(|key| match (text(key, "method"), key.get("here")) {
        ("SSE-C", _) => Some(format!("keys of customers  {}\n", used(key))),
        (method, Some(Value::Bool(false))) => {
            Some(format!("missing           {}  {method}  {}\n", text(key, "key_id"), used(key)))
        }
        _ => None,
    });
    masters.chain(keys).chain(others).collect()
}

/// Has it done, and waits for the end.
fn reencrypt(config: &Config, asked: &Reencrypt, as_json: bool) -> Result<(), String> {
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_key_is_one_line() {
        let told = json!({
            "keys": [
                {"method": "SSE-S3", "key_id": "aa", "objects": 3, "uploads": 0, "here": true},
                {"method": "SSE-S3", "key_id": "cc", "objects": 1, "uploads": 2, "here": false},
                {"method": "SSE-C", "key_id": null, "objects": 5, "uploads": 0, "here": null},
            ],
            "master_keys": [
                {"key_id": "aa", "in_force": true, "objects": 3, "uploads": 0},
                {"key_id": "bb", "in_force": false, "objects": 0, "uploads": 0},
            ],
            "kms_keys": [{"key_id": "k", "account_id": "111111111111", "aliases": ["alias/a", "alias/b"], "state": "enabled",
                "objects": 2, "uploads": 0}],
        });
        assert_eq!(
            listed(&told),
            "master key        aa  in force  3 objects, 0 uploads\n\
             master key        bb  former  0 objects, 0 uploads\n\
             KMS key           k  enabled  account 111111111111  alias/a,alias/b  2 objects, 0 uploads\n\
             missing           cc  SSE-S3  1 objects, 2 uploads\n\
             keys of customers  5 objects, 0 uploads\n"
        );
        assert_eq!(listed(&json!({"keys": [], "master_keys": [], "kms_keys": []})), "");
    }
}
