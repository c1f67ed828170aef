//! `myfsio replication …`: connections to other nodes and services, which buckets are replicated there, and how that goes.

use std::io::Read as _;
use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use serde_json::{Map, Value, json};

use super::arguments::{json_flag, text_of};
use super::remote::{Question, ask};
use super::{path_segment, print, print_json};
use crate::config::Config;

const ROUTE: &str = "/_myfsio/replication";
/// How often it is asked whether a comparison is done.
const COMPARISON_PAUSE: Duration = Duration::from_millis(200);
/// Longest secret that is read.
const SECRET_BYTES_MAX: u64 = 4096;

/// What is asked of replication.
#[derive(Debug, Clone, PartialEq)]
pub struct Replication {
    method: &'static str,
    /// Below the routes of replication.
    target: String,
    body: Option<Value>,
    /// File with the secret that goes with the body; `-` is standard input.
    secret_file: Option<String>,
    told: Told,
}

/// How the answer is told to people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Connection,
    Connections,
    Test,
    Rule,
    Rules,
    Failures,
    Comparison,
    Conflicts,
    Done,
}

/// The grammar.
pub(super) fn command() -> Command {
    let bucket = || Arg::new("bucket").value_name("BUCKET").required(true).help("The bucket of this node");
    let connection =
        || Arg::new("connection").value_name("CONNECTION").required(true).help("Its id, or a name that it alone has");
    let text = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    let number = |name: &'static str, help: &'static str| text(name, "NUMBER", help).value_parser(value_parser!(u64));
    let flag = |name: &'static str, help: &'static str| Arg::new(name).long(name).action(ArgAction::SetTrue).help(help);
    let verb = |name: &'static str, about: &'static str| Command::new(name).about(about).arg(json_flag());
    Command::new("replication")
        .about("Replicate buckets to other nodes and S3 services, whether the node runs or not")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            verb(
                "connect",
                "Add a connection to another node or S3 service; its secret key is read from standard input",
            )
            .arg(text("name", "NAME", "Name for people").required(true))
            .arg(text("endpoint", "URL", "Its S3 endpoint").required(true))
            .arg(text("access-key", "KEY", "Access key there").required(true))
            .arg(text("secret-key-file", "FILE", "File with the secret key [default: standard input]"))
            .arg(text("region", "REGION", "Region that requests are signed for [default: us-east-1]"))
            .arg(number("concurrency", "Requests under way at once [default: 16]"))
            .arg(number("bytes-per-second", "Most bytes that are sent in a second")),
        )
        .subcommand(verb("disconnect", "Remove a connection that no bucket uses").arg(connection()))
        .subcommand(verb("connections", "List all connections"))
        .subcommand(verb("test", "Ask a connection who is there, and what may be done").arg(connection()).arg(text(
            "bucket",
            "BUCKET",
            "The target bucket",
        )))
        .subcommand(
            verb("start", "Begin to replicate a bucket, or change how it is replicated")
                .arg(bucket())
                .arg(text("connection", "CONNECTION", "Where to: id or name of a connection").required(true))
                .arg(text("target-bucket", "BUCKET", "The bucket there [default: the same name]"))
                .arg(flag("existing", "Also what is in the bucket already"))
                .arg(flag("no-deletes", "Keep there what is deleted here"))
                .arg(flag("delete-versions", "Delete versions there for good that are here")),
        )
        .subcommand(verb("stop", "Replicate a bucket no more; what is there stays").arg(bucket()))
        .subcommand(verb("pause", "Let the changes of a bucket wait").arg(bucket()))
        .subcommand(verb("resume", "Send the changes of a bucket that have waited, and go on").arg(bucket()))
        .subcommand(
            verb("status", "Tell how the replication of a bucket goes, or that of all").arg(bucket().required(false)),
        )
        .subcommand(verb("failures", "List what the target of a bucket does not take, and why").arg(bucket()))
        .subcommand(verb("retry", "Send again what a target did not take").arg(bucket()).arg(text(
            "key",
            "KEY",
            "Only this key",
        )))
        .subcommand(verb("dismiss", "Forget what a target did not take").arg(bucket()).arg(text(
            "key",
            "KEY",
            "Only this key",
        )))
        .subcommand(verb("resync", "Look at everything in a bucket, and send what is missing there").arg(bucket()))
        .subcommand(
            verb("compare", "Compare a bucket with its target, and tell what differs")
                .arg(bucket())
                .arg(flag("repair", "Send what was found to be missing or different")),
        )
        .subcommand(verb("conflicts", "List what lost against a change of another node").arg(bucket()))
        .subcommand(
            verb("resolve", "Choose one side of a conflict")
                .arg(bucket())
                .arg(Arg::new("key").value_name("KEY").required(true).help("The object's key"))
                .arg(
                    Arg::new("version")
                        .value_name("VERSION")
                        .required(true)
                        .help("Version id of the side that lost, as `conflicts` tells it"),
                )
                .arg(
                    text("keep", "SIDE", "`current`, or `copy`: the side that lost is written again")
                        .value_parser(["current", "copy"])
                        .required(true),
                ),
        )
}

/// What the arguments ask for.
pub(super) fn read(name: &str, matches: &ArgMatches) -> Replication {
    let text = |name: &str| text_of(matches, name);
    let segment = |name: &str| path_segment(&text(name).unwrap_or_default());
    let flag = |name: &str| matches.try_get_one::<bool>(name).ok().flatten().copied().unwrap_or(false);
    let number = |name: &str| matches.try_get_one::<u64>(name).ok().flatten().copied();
    let asked = |method, target: String, body, told| Replication { method, target, body, secret_file: None, told };
    let rule = |verb: &str| format!("/rules/{}{verb}", segment("bucket"));
    let of_key = || text("key").map_or_else(|| json!({}), |key| json!({ "key": key }));
    match name {
        "connect" => {
            let mut body = Map::new();
            for (field, argument) in
                [("name", "name"), ("endpoint_url", "endpoint"), ("access_key", "access-key"), ("region", "region")]
            {
                body.extend(text(argument).map(|text| (field.to_owned(), text.into())));
            }
            for (field, argument) in [("concurrency", "concurrency"), ("bytes_per_second", "bytes-per-second")] {
                body.extend(number(argument).map(|number| (field.to_owned(), number.into())));
            }
            let secret_file = Some(text("secret-key-file").unwrap_or_else(|| "-".to_owned()));
            let asked = asked("POST", "/connections".to_owned(), Some(body.into()), Told::Connection);
            Replication { secret_file, ..asked }
        }
        "disconnect" => asked("DELETE", format!("/connections/{}", segment("connection")), None, Told::Done),
        "connections" => asked("GET", "/connections".to_owned(), None, Told::Connections),
        "test" => {
            let body = text("bucket").map_or_else(|| json!({}), |bucket| json!({ "bucket": bucket }));
            asked("POST", format!("/connections/{}/test", segment("connection")), Some(body), Told::Test)
        }
        "start" => {
            let body = json!({
                "target_connection_id": text("connection"),
                "target_bucket": text("target-bucket").or_else(|| text("bucket")),
                "enabled": true,
                "mode": if flag("existing") { "all" } else { "new_only" },
                "replicate_deletes": !flag("no-deletes"),
                "delete_versions": flag("delete-versions"),
            });
            asked("PUT", rule(""), Some(body), Told::Rule)
        }
        "stop" => asked("DELETE", rule(""), None, Told::Done),
        "pause" => asked("POST", rule("/pause"), None, Told::Rule),
        "resume" => asked("POST", rule("/resume"), None, Told::Rule),
        "failures" => asked("GET", rule("/failures"), None, Told::Failures),
        "retry" => asked("POST", rule("/retry"), Some(of_key()), Told::Done),
        "dismiss" => asked("POST", rule("/dismiss"), Some(of_key()), Told::Done),
        "resync" => asked("POST", rule("/resync"), None, Told::Rule),
        "compare" => {
            let verb = if flag("repair") { "/compare/repair" } else { "/compare" };
            asked("POST", rule(verb), None, Told::Comparison)
        }
        "conflicts" => asked("GET", rule("/conflicts"), None, Told::Conflicts),
        "resolve" => {
            let body = json!({ "key": text("key"), "version_id": text("version"), "keep": text("keep") });
            asked("POST", rule("/conflicts/resolve"), Some(body), Told::Done)
        }
        _ => match text("bucket") {
            Some(_) => asked("GET", rule(""), None, Told::Rule),
            None => asked("GET", "/rules".to_owned(), None, Told::Rules),
        },
    }
}

/// Does it. Errs: one line.
pub fn run(config: &Config, asked: &Replication, as_json: bool) -> Result<(), String> {
    let mut body = asked.body.clone();
    if let (Some(file), Some(Value::Object(fields))) = (&asked.secret_file, &mut body) {
        fields.insert("secret_key".to_owned(), secret(file)?.into());
    }
    let question = Question { method: asked.method, target: format!("{ROUTE}{}", asked.target), body };
    let answer = ask(config, &question)?;
    let mut told = answer.json().unwrap_or_else(|_| json!({}));
    if asked.told == Told::Comparison {
        told = compared(config, asked, told)?;
    }
    match as_json {
        true => print_json(&told),
        false => print(&for_people(asked.told, &told)),
    }
    Ok(())
}

/// Waits for the end of a comparison. Errs: one line.
fn compared(config: &Config, asked: &Replication, mut told: Value) -> Result<Value, String> {
    let question = Question::new("GET", format!("{ROUTE}{}", asked.target.trim_end_matches("/repair")));
    while text(&told, "state") == "running" {
        std::thread::sleep(COMPARISON_PAUSE);
        told = ask(config, &question)?.json()?;
    }
    match text(&told, "state") {
        "none" => Err("comparing takes time, and a node that runs meanwhile".to_owned()),
        "failed" => Err(format!("the comparison failed: {}", text(&told, "reason"))),
        _ => Ok(told),
    }
}

fn secret(file: &str) -> Result<String, String> {
    let mut text = String::new();
    let read = match file {
        "-" => std::io::stdin().lock().take(SECRET_BYTES_MAX).read_to_string(&mut text),
        file => std::fs::File::open(file).and_then(|file| file.take(SECRET_BYTES_MAX).read_to_string(&mut text)),
    };
    read.map_err(|error| format!("the secret key: {file}: {error}"))?;
    match text.trim() {
        "" => Err("the secret key is empty".to_owned()),
        secret => Ok(secret.to_owned()),
    }
}

fn text<'a>(of: &'a Value, name: &str) -> &'a str {
    of.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn number(of: &Value, name: &str) -> u64 {
    of.get(name).and_then(Value::as_u64).unwrap_or_default()
}

fn each<'a>(of: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    of.get(name).and_then(Value::as_array).into_iter().flatten()
}

fn for_people(told: Told, answer: &Value) -> String {
    match told {
        Told::Connection => connection(answer),
        Told::Connections => each(answer, "connections").map(connection).collect(),
        Told::Test => test(answer),
        Told::Rule => rule(answer),
        Told::Rules => each(answer, "rules").map(rule).collect(),
        Told::Failures => each(answer, "failures")
            .map(|failure| {
                format!("{}  {}\n", text(failure, "key").escape_debug(), text(failure, "reason").escape_debug())
            })
            .collect(),
        Told::Comparison => comparison(answer),
        Told::Conflicts => each(answer, "conflicts")
            .map(|conflict| {
                let (key, modified) = (text(conflict, "key").escape_debug(), text(conflict, "last_modified"));
                format!("{key}  {}  {modified}  {} bytes\n", text(conflict, "version_id"), number(conflict, "size"))
            })
            .collect(),
        Told::Done => "Done.\n".to_owned(),
    }
}

fn connection(told: &Value) -> String {
    format!(
        "{}  {}  {}  {}\n",
        text(told, "id"),
        text(told, "name").escape_debug(),
        text(told, "endpoint_url").escape_debug(),
        text(told, "access_key")
    )
}

fn test(told: &Value) -> String {
    let mut lines = format!("{}: {}\n", text(told, "state"), text(told, "version"));
    for problem in each(told, "problems").filter_map(Value::as_str) {
        lines.push_str(&format!("  {}\n", problem.escape_debug()));
    }
    lines
}

fn rule(told: &Value) -> String {
    let none = Value::Null;
    let status = told.get("status").unwrap_or(&none);
    let mut line = format!(
        "{} -> {}  {}  {} pending ({} bytes), {} failed",
        text(told, "bucket_name"),
        text(told, "target_bucket"),
        text(status, "state"),
        number(status, "pending"),
        number(status, "pending_bytes"),
        number(status, "parked"),
    );
    let reason = text(status, "reason");
    if !reason.is_empty() {
        line.push_str(&format!("\n  {}", reason.escape_debug()));
    }
    line.push('\n');
    line
}

fn comparison(told: &Value) -> String {
    let mut lines = format!(
        "{}: {} compared, {} missing, {} different, {} only there\n",
        text(told, "state"),
        number(told, "compared"),
        number(told, "missing"),
        number(told, "different"),
        number(told, "extra"),
    );
    for sample in each(told, "samples") {
        lines.push_str(&format!("  {}  {}\n", text(sample, "difference"), text(sample, "key").escape_debug()));
    }
    lines
}
