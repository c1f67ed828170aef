//! `myfsio bucket create|delete|list`.

use clap::{Arg, ArgMatches, Command};
use serde_json::{Value, json};

use super::arguments::{json_flag, text_of};
use super::remote::{Question, ask};
use super::{path_segment, print, print_json};
use crate::config::Config;
use crate::s3::xml::Element;

/// What is asked of buckets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Buckets {
    /// Make one.
    Create(String),
    /// Remove one that is empty.
    Delete(String),
    /// Tell all.
    List,
}

/// The grammar.
pub(super) fn command() -> Command {
    let name = || {
        Arg::new("name").value_name("NAME").required(true).help("3 to 63 lower-case letters, digits, dots and hyphens")
    };
    Command::new("bucket")
        .about("Make, remove or list buckets, whether the node runs or not")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            Command::new("create")
                .about("Make a bucket; it belongs to the first administrator")
                .arg(name())
                .arg(json_flag()),
        )
        .subcommand(Command::new("delete").about("Remove a bucket that is empty").arg(name()).arg(json_flag()))
        .subcommand(Command::new("list").about("List all buckets").arg(json_flag()))
}

/// What the arguments ask for.
pub(super) fn read(name: &str, matches: &ArgMatches) -> Buckets {
    let bucket = || text_of(matches, "name").unwrap_or_default();
    match name {
        "create" => Buckets::Create(bucket()),
        "delete" => Buckets::Delete(bucket()),
        _ => Buckets::List,
    }
}

/// Does it. Errs: one line.
pub fn run(config: &Config, asked: &Buckets, as_json: bool) -> Result<(), String> {
    match asked {
        Buckets::Create(name) => {
            ask(config, &Question::new("PUT", format!("/{}", path_segment(name))))?;
            tell(as_json, &json!({ "bucket": name }), &format!("Bucket {name} is made.\n"));
        }
        Buckets::Delete(name) => {
            ask(config, &Question::new("DELETE", format!("/{}", path_segment(name))))?;
            tell(as_json, &json!({ "bucket": name }), &format!("Bucket {name} is removed.\n"));
        }
        Buckets::List => {
            let buckets = list(config)?;
            let line = |bucket: &Value| {
                let text = |name: &str| bucket.get(name).and_then(Value::as_str).unwrap_or_default();
                format!("{}  {}\n", text("created_at"), text("name"))
            };
            let lines: String = buckets.iter().map(line).collect();
            tell(as_json, &json!({ "buckets": buckets }), &lines);
        }
    }
    Ok(())
}

/// All buckets, page by page.
fn list(config: &Config) -> Result<Vec<Value>, String> {
    let mut buckets = Vec::new();
    let mut target = "/".to_owned();
    loop {
        let document = ask(config, &Question::new("GET", target))?.xml("ListAllMyBucketsResult")?;
        let child = |of: &Element, name: &str| of.children.iter().find(|child| child.name == name).cloned();
        let text = |of: &Element, name: &str| child(of, name).map(|child| child.text).unwrap_or_default();
        for bucket in child(&document, "Buckets").map(|list| list.children).unwrap_or_default() {
            buckets.push(json!({ "name": text(&bucket, "Name"), "created_at": text(&bucket, "CreationDate") }));
        }
        match text(&document, "ContinuationToken").as_str() {
            "" => return Ok(buckets),
            token => target = format!("/?continuation-token={}", path_segment(token)),
        }
    }
}

fn tell(as_json: bool, document: &Value, text: &str) {
    match as_json {
        true => print_json(document),
        false => print(text),
    }
}
