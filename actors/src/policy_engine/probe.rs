//! What two policies are compared by: the actions that they speak of, and keys that their resources fit.
//!
//! Both come from the text of the policies, so that a statement is probed where it makes a difference: each resource with its
//! wildcards and variables filled in. That is a sample, not a proof.

use serde_json::Value;

use super::actions::{ACTIONS, find_action};
use super::pattern::{Pattern, Syntax, no_variables};
use crate::names::BucketName;

/// What stands in place of a `*` in a key that is tried.
const EXAMPLE: &str = "example";

/// Every action that AWS checks for S3.
pub fn s3_actions() -> impl Iterator<Item = &'static str> {
    ACTIONS.iter().filter(|row| row.name == row.checks && row.name.starts_with("s3:")).map(|row| row.name)
}

/// Whether an action of S3 is asked of an object rather than of a bucket.
pub fn is_about_objects(action: &str) -> bool {
    let is_of_bucket = action.contains("Bucket") && action != "s3:ObjectOwnerOverrideToBucketOwner";
    let others = [
        "s3:AbortMultipartUpload",
        "s3:BypassGovernanceRetention",
        "s3:InitiateReplication",
        "s3:ListMultipartUploadParts",
        "s3:ReplicateDelete",
        "s3:ReplicateTags",
    ];
    (action.contains("Object") && !is_of_bucket) || others.contains(&action)
}

/// The actions of S3 that statements of these documents are about.
pub fn actions_in(documents: &[&Value]) -> Vec<&'static str> {
    let statements = || documents.iter().flat_map(|document| statements(document));
    if statements().any(|statement| statement.get("NotAction").is_some()) {
        return s3_actions().collect();
    }
    let named: Vec<&str> = statements().flat_map(|statement| texts(statement.get("Action"))).collect();
    let patterns: Vec<Pattern> = named.iter().filter_map(|text| Pattern::parse(text, Syntax::WILDCARDS).ok()).collect();
    let checked: Vec<&str> = named.iter().filter_map(|text| find_action(text)).map(|row| row.checks).collect();
    let is_named = |action: &&str| {
        let fits = |pattern: &Pattern| pattern.matches_ignoring_case(action, &no_variables);
        checked.contains(action) || patterns.iter().any(fits)
    };
    s3_actions().filter(is_named).collect()
}

/// Keys of the bucket, one for each resource that these documents name in it, and one that is like no other. `variable` gives a
/// policy variable's value; a resource with one that has none is left out.
pub fn keys_in(documents: &[&Value], bucket: &BucketName, variable: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
    let mut keys = vec![EXAMPLE.to_owned()];
    for statement in documents.iter().flat_map(|document| statements(document)) {
        for name in ["Resource", "NotResource"] {
            for text in texts(statement.get(name)) {
                let key = key_in(text, bucket, variable);
                keys.extend(key.filter(|key| !key.is_empty() && !keys.contains(key)));
            }
        }
    }
    keys
}

fn key_in(resource: &str, bucket: &BucketName, variable: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let (of_bucket, key) = resource.split_once('/')?;
    let pattern = Pattern::parse(of_bucket, Syntax::WILDCARDS).ok()?;
    if !pattern.matches(&format!("arn:aws:s3:::{bucket}"), &no_variables) {
        return None;
    }
    let mut filled = String::with_capacity(key.len());
    let mut rest = key;
    while let Some(c) = rest.chars().next() {
        if let Some((body, after)) = rest.strip_prefix("${").and_then(|inner| inner.split_once('}')) {
            rest = after;
            match body {
                "*" | "?" | "$" => filled.push_str(body),
                _ => {
                    let (name, default) = body.split_once(',').unwrap_or((body, ""));
                    let default = default.trim().trim_matches('\'');
                    let value = variable(name.trim()).or_else(|| (!default.is_empty()).then(|| default.to_owned()));
                    filled.push_str(&value?);
                }
            }
            continue;
        }
        match c {
            '*' => filled.push_str(EXAMPLE),
            '?' => filled.push('x'),
            other => filled.push(other),
        }
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
    }
    Some(filled)
}

fn statements(document: &Value) -> &[Value] {
    match document.get("Statement") {
        Some(Value::Array(list)) => list,
        Some(single) => std::slice::from_ref(single),
        None => &[],
    }
}

fn texts(value: Option<&Value>) -> Vec<&str> {
    match value {
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
        Some(single) => single.as_str().into_iter().collect(),
        None => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn actions() {
        let of = |statement: Value| actions_in(&[&json!({"Statement": statement})]);
        assert_eq!(of(json!({"Action": "s3:getobject"})), ["s3:GetObject"]);
        assert_eq!(
            of(json!([{"Action": ["s3:HeadBucket", "s3:PutObjectA*"]}])),
            ["s3:ListBucket", "s3:PutObjectAnnotation", "s3:PutObjectAcl"]
        );
        assert_eq!(of(json!({"Action": "*"})).len(), s3_actions().count());
        assert_eq!(of(json!({"NotAction": "s3:GetObject"})).len(), s3_actions().count());
        assert_eq!(of(json!({"Action": "iam:*"})).len(), 0);
    }

    #[test]
    fn keys() {
        let bucket = BucketName::parse("photos").unwrap();
        let name = |variable: &str| (variable == "aws:username").then(|| "ann".to_owned());
        let of =
            |resources: Value| keys_in(&[&json!({"Statement": {"Resource": resources}})], &bucket, &name).split_off(1);
        assert_eq!(of(json!("arn:aws:s3:::photos/a?/*.jpg")), ["ax/example.jpg"]);
        assert_eq!(of(json!("arn:aws:s3:::ph*/x")), ["x"]);
        assert_eq!(
            of(json!(["arn:aws:s3:::photos/${aws:username}/*", "arn:aws:s3:::photos/${*}"])),
            ["ann/example", "*"]
        );
        assert_eq!(of(json!("arn:aws:s3:::photos/${aws:userid, 'nobody'}")), ["nobody"]);
        for none in ["*", "arn:aws:s3:::photos", "arn:aws:s3:::videos/*", "arn:aws:s3:::photos/${aws:userid}"] {
            assert_eq!(of(json!(none)), [""; 0], "{none}");
        }
        let both =
            json!({"Statement": [{"NotResource": "arn:aws:s3:::photos/a"}, {"Resource": "arn:aws:s3:::photos/a"}]});
        assert_eq!(keys_in(&[&both], &bucket, &name), ["example", "a"]);
    }
}
