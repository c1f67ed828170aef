//! Reading the tables.

use std::collections::HashMap;

use serde_json::{Value, json};

/// A table with its policies.
pub(super) struct Table<'a> {
    /// By name, with whatever form the table gives them.
    pub policies: HashMap<&'a str, Value>,
    pub rows: Vec<Row<'a>>,
}

/// A question and its answer.
pub(super) struct Row<'a> {
    pub line: usize,
    pub group: &'a str,
    /// `-` is the anonymous caller, `role/session` an assumed role, `@ARN` whoever an identity provider knows.
    pub who: &'a str,
    pub action: String,
    pub resource: &'a str,
    pub facts: Facts<'a>,
    pub expected: &'a str,
}

/// Words of the form `name=value`, or bare ones.
pub(super) struct Facts<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Facts<'a> {
    pub fn read(text: &'a str) -> Self {
        Self(text.split_whitespace().map(|word| word.split_once('=').unwrap_or((word, ""))).collect())
    }

    pub fn one(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    /// The values of a list.
    pub fn list(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.one(name).into_iter().flat_map(|value| value.split(','))
    }

    /// Names that begin with `prefix`, without it.
    pub fn with_prefix(&self, prefix: &str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0.iter().filter_map(move |(name, value)| Some((name.strip_prefix(prefix)?, *value)))
    }
}

/// The columns of a line without its comment; none for a line that is no row.
pub(super) fn columns<const N: usize>(line: &str) -> Option<[&str; N]> {
    let line = line.split_once("   #").map_or(line, |(row, _)| row);
    let columns: Vec<&str> = line.split('|').map(str::trim).collect();
    columns.try_into().ok().filter(|_| !line.starts_with(['#', '[', ' ']))
}

impl<'a> Table<'a> {
    /// Reads a table; whatever is neither comment, group, policy nor row is a mistake.
    pub fn read(name: &str, text: &'a str) -> Self {
        let (mut group, mut rows) = ("", Vec::new());
        let mut statements: HashMap<&str, Vec<Value>> = HashMap::new();
        let mut open = None;
        for (number, line) in text.lines().enumerate().map(|(index, line)| (index + 1, line)) {
            let mistake = |reason: &str| -> ! { panic!("{name}:{number}: {reason}: {line}") };
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            if let Some(title) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                group = title;
            } else if let Some(policy) = line.strip_prefix("policy ") {
                open = Some(policy);
                if statements.insert(policy, Vec::new()).is_some() {
                    mistake("stands twice");
                }
            } else if line.starts_with("    ") {
                let Ok(statement) = serde_json::from_str(line) else { mistake("is no JSON") };
                let Some(open) = open.and_then(|open| statements.get_mut(open)) else { mistake("of which policy") };
                open.push(statement);
            } else if let Some([who, action, resource, facts, expected]) = columns(line) {
                let action = if action.contains(':') { action.to_owned() } else { format!("s3:{action}") };
                rows.push(Row { line: number, group, who, action, resource, facts: Facts::read(facts), expected });
            } else {
                mistake("is no row");
            }
        }
        Self { policies: statements.into_iter().map(|(name, list)| (name, policy(list))).collect(), rows }
    }
}

/// Statements make a document; a whole document, or a grant of the short form, stands for itself.
fn policy(mut lines: Vec<Value>) -> Value {
    let is_whole = |line: &Value| line.get("Statement").is_some() || line.get("actions").is_some();
    match lines.as_slice() {
        [single] if is_whole(single) => lines.remove(0),
        _ => json!({"Version": "2012-10-17", "Statement": lines}),
    }
}
