//! `myfsio user create|delete|list|rotate|set-policy`.

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use serde_json::{Map, Value, json};

use super::arguments::{json_flag, text_of};
use super::remote::{Question, ask};
use super::{path_segment, print, print_json};
use crate::config::Config;

/// What is asked of users. A user goes by its id, one of its access keys, or a name that it alone has.
#[derive(Debug, Clone, PartialEq)]
pub enum Users {
    /// Make one, with what the document says.
    Create(Value),
    /// Remove one with all that it has.
    Delete {
        /// Whom.
        user: String,
        /// Even if nobody is left who administers the node.
        force: bool,
    },
    /// Tell all.
    List,
    /// Give an access key a new secret, or, for an overlap, a successor.
    Rotate {
        /// Whose.
        user: String,
        /// Which key, and for how long the old one goes on.
        body: Value,
    },
    /// Put a user's policies in the place of those that it has.
    SetPolicy {
        /// Whose.
        user: String,
        /// A list of policies.
        policies: Value,
        /// Even if nobody is left who administers the node.
        force: bool,
    },
}

const USERS: &str = "/_myfsio/iam/users";

/// The grammar.
pub(super) fn command() -> Command {
    let user = || {
        Arg::new("user").value_name("USER").required(true).help("Its id, an access key, or a name that it alone has")
    };
    let text = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    let policy = || {
        Arg::new("policy")
            .long("policy")
            .value_name("JSON")
            .value_parser(policies)
            .help("A policy, or a list of them, in either form: {\"bucket\", \"actions\"} or an AWS document; @FILE reads it from there, - from standard input")
    };
    let force = || {
        Arg::new("force")
            .long("force")
            .action(ArgAction::SetTrue)
            .help("Even if nobody is left who administers the node; these commands then still do")
    };
    Command::new("user")
        .about("Make, remove, list or change users, whether the node runs or not")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            Command::new("create")
                .about("Make a user in the first administrator's account, and print its access key and secret, once")
                .arg(text("display-name", "NAME", "Name for people"))
                .arg(text("user-name", "NAME", "Name in ARNs [default: follows from the display name]"))
                .arg(text("path", "PATH", "Path in ARNs"))
                .arg(text("access-key", "KEY", "Access key [default: a random one]"))
                .arg(text("expires-at", "TIME", "When it ends: as in RFC 3339, or a date"))
                .arg(policy())
                .arg(json_flag()),
        )
        .subcommand(
            Command::new("delete")
                .about("Remove a user with all that it has")
                .arg(user())
                .arg(force())
                .arg(json_flag()),
        )
        .subcommand(Command::new("list").about("List all users, without their secrets").arg(json_flag()))
        .subcommand(
            Command::new("rotate")
                .about("Give a user's access key a new secret, and print it, once")
                .arg(user())
                .arg(text("access-key", "KEY", "Which of its keys, where it has several"))
                .arg(
                    text("overlap", "SECONDS", "Make a new key and let the old one go on for so long")
                        .value_parser(value_parser!(u64)),
                )
                .arg(json_flag()),
        )
        .subcommand(
            Command::new("set-policy")
                .about("Put policies in the place of those that a user has")
                .arg(user())
                .arg(policy().required(true))
                .arg(force())
                .arg(json_flag()),
        )
}

/// Policies as the command line has them: a list, or a single one. Errs: what is wrong.
fn policies(text: &str) -> Result<Value, String> {
    let text = match text.strip_prefix('@') {
        Some(path) => std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?,
        None if text == "-" => std::io::read_to_string(std::io::stdin()).map_err(|error| format!("-: {error}"))?,
        None => text.to_owned(),
    };
    match serde_json::from_str(&text).map_err(|error| format!("no JSON: {error}"))? {
        Value::Array(list) => Ok(Value::Array(list)),
        policy @ Value::Object(_) => Ok(json!([policy])),
        _ => Err("a policy is a JSON object".to_owned()),
    }
}

/// What the arguments ask for.
pub(super) fn read(name: &str, matches: &ArgMatches) -> Users {
    let user = || text_of(matches, "user").unwrap_or_default();
    let policies = || matches.try_get_one::<Value>("policy").ok().flatten().cloned();
    let mut body = Map::new();
    let mut put = |field: &str, value: Option<Value>| {
        if let Some(value) = value {
            body.insert(field.to_owned(), value);
        }
    };
    let text = |flag: &str| text_of(matches, flag).map(Value::from);
    match name {
        "create" => {
            for (field, flag) in [
                ("display_name", "display-name"),
                ("user_name", "user-name"),
                ("path", "path"),
                ("access_key", "access-key"),
                ("expires_at", "expires-at"),
            ] {
                put(field, text(flag));
            }
            put("policies", policies());
            Users::Create(Value::Object(body))
        }
        "delete" => Users::Delete { user: user(), force: matches.get_flag("force") },
        "rotate" => {
            put("access_key", text("access-key"));
            put("overlap_seconds", matches.get_one::<u64>("overlap").copied().map(Value::from));
            Users::Rotate { user: user(), body: Value::Object(body) }
        }
        "set-policy" => Users::SetPolicy {
            user: user(),
            policies: policies().unwrap_or_default(),
            force: matches.get_flag("force"),
        },
        _ => Users::List,
    }
}

/// Does it. Errs: one line.
pub fn run(config: &Config, asked: &Users, as_json: bool) -> Result<(), String> {
    let of = |user: &str| format!("{USERS}/{}", path_segment(user));
    let forced = |force: bool| if force { "?force=true" } else { "" };
    let (told, text) = match asked {
        Users::Create(body) => {
            let told = ask(config, &Question::new("POST", USERS).with(body.clone()))?.json()?;
            let text = credential(&told);
            (told, text)
        }
        Users::Rotate { user, body } => {
            let told =
                ask(config, &Question::new("POST", format!("{}/rotate", of(user))).with(body.clone()))?.json()?;
            let text = credential(&told);
            (told, text)
        }
        Users::Delete { user, force } => {
            ask(config, &Question::new("DELETE", format!("{}{}", of(user), forced(*force))))?;
            (json!({ "user": user }), format!("User {user} is removed.\n"))
        }
        Users::SetPolicy { user, policies, force } => {
            let target = format!("{}/policies{}", of(user), forced(*force));
            let told = ask(config, &Question::new("PUT", target).with(policies.clone()))?.json()?;
            (told, format!("User {user} has these policies now.\n"))
        }
        Users::List => {
            let told = ask(config, &Question::new("GET", USERS))?.json()?;
            let text = told.get("users").and_then(Value::as_array).into_iter().flatten().map(line).collect();
            (told, text)
        }
    };
    match as_json {
        true => print_json(&told),
        false => print(&text),
    }
    Ok(())
}

fn text<'a>(of: &'a Value, name: &str) -> &'a str {
    of.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// A new credential; the secret is told nowhere else.
fn credential(told: &Value) -> String {
    let mut lines = format!(
        "access key  {}\nsecret key  {}  (shown only now)\n",
        text(told, "access_key"),
        text(told, "secret_key")
    );
    if let Some(old) = told.get("replaced").filter(|old| old.is_object()) {
        lines.push_str(&format!(
            "replaces    {}, which ends at {}\n",
            text(old, "access_key"),
            text(old, "expires_at")
        ));
    }
    lines
}

fn line(user: &Value) -> String {
    let keys = user.get("access_keys").and_then(Value::as_array).into_iter().flatten();
    let keys: Vec<&str> = keys.map(|key| text(key, "access_key")).collect();
    let disabled = if user.get("enabled") == Some(&Value::Bool(false)) { "  (disabled)" } else { "" };
    format!("{}  {}  {}{disabled}\n", text(user, "arn"), text(user, "display_name"), keys.join(","))
}
