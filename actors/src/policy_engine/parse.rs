//! The strict parser of policy documents (IAM User Guide, "Grammar of the IAM JSON policy language").
//!
//! Whatever element or operator it does not know it refuses, with the place: one that were skipped would be a restriction that nobody
//! enforces. That includes a name given twice in one JSON object, of which parsers keep only one. Actions and condition keys that
//! it does not know are mistakes in a bucket policy; those of users and roles are written for other services, too, and there such
//! an action is never asked for and such a key never present.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::action_set::ActionSet;
use super::actions::{ACTIONS, find_action};
use super::condition::{Condition, Dialect};
use super::document::{Clause, DOCUMENT_BYTES_MAX, Document, Effect, Statement};
use super::error::InvalidPolicy;
use super::pattern::{Pattern, Syntax, no_variables};
use super::principal::{PrincipalClause, texts};
use super::unambiguous::Unambiguous;
use crate::names::BucketName;

/// Most statements of one document.
const STATEMENTS_MAX: usize = 1000;
/// The partitions that ARNs name; this node is in the first.
const PARTITIONS: [&str; 3] = ["aws", "aws-cn", "aws-us-gov"];

/// Where a document stands, and so what it may say.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind<'a> {
    /// Attached to this bucket: has principals, and speaks of this bucket only.
    Bucket(&'a BucketName),
    /// Attached to a user: has no principals.
    Identity,
    /// A role's: has principals, and no resource but the role.
    Trust,
    /// A KMS key's: has principals, and its resource, whatever else it names, is the key.
    Key,
}

/// Parses the text of a bucket policy. Errs with the place of the mistake.
pub(super) fn parse_bucket_policy(text: &str, bucket: &BucketName) -> Result<(Value, Document), InvalidPolicy> {
    if text.len() > DOCUMENT_BYTES_MAX {
        return Err(InvalidPolicy::new("Policy", format!("is larger than {DOCUMENT_BYTES_MAX} bytes")));
    }
    let Unambiguous(value) =
        serde_json::from_str(text).map_err(|error| InvalidPolicy::new("Policy", error.to_string()))?;
    let document = parse_document(&value, Kind::Bucket(bucket))?;
    Ok((value, document))
}

/// Parses a document that is JSON already.
pub(super) fn parse_document(value: &Value, kind: Kind<'_>) -> Result<Document, InvalidPolicy> {
    let map = value.as_object().ok_or_else(|| InvalidPolicy::new("Policy", "must be a JSON object"))?;
    let known: &[&str] = match kind {
        Kind::Bucket(_) | Kind::Trust | Kind::Key => &["Version", "Id", "Statement"],
        Kind::Identity => &["PolicyName", "Version", "Id", "Statement"],
    };
    refuse_unknown(map, known, "Policy")?;
    for name in ["Id", "PolicyName"] {
        if map.get(name).is_some_and(|value| !value.is_string()) {
            return Err(InvalidPolicy::new(name, "must be a text"));
        }
    }
    let variables = match map.get("Version").map(|version| version.as_str()) {
        Some(Some("2012-10-17")) => true,
        None | Some(Some("2008-10-17")) => false,
        Some(_) => return Err(InvalidPolicy::new("Version", "must be 2012-10-17 or 2008-10-17")),
    };
    let dialect = Dialect { variables, other_services: !matches!(kind, Kind::Bucket(_)) };
    let list = match map.get("Statement") {
        None => return Err(InvalidPolicy::new("Statement", "is missing")),
        Some(Value::Array(list)) => list.as_slice(),
        Some(single) => std::slice::from_ref(single),
    };
    if list.is_empty() || list.len() > STATEMENTS_MAX {
        return Err(InvalidPolicy::new("Statement", format!("must have 1 to {STATEMENTS_MAX} statements")));
    }
    let mut statements = Vec::with_capacity(list.len());
    let mut sids = HashSet::new();
    for (index, value) in list.iter().enumerate() {
        let place = format!("Statement[{index}]");
        let statement = parse_statement(value, &place, kind, dialect)?;
        if statement.sid.as_ref().is_some_and(|sid| !sid.is_empty() && !sids.insert(sid.clone())) {
            return Err(InvalidPolicy::new(format!("{place}.Sid"), "stands twice"));
        }
        statements.push(statement);
    }
    Ok(Document::new(statements))
}

fn parse_statement(value: &Value, place: &str, kind: Kind<'_>, dialect: Dialect) -> Result<Statement, InvalidPolicy> {
    let map = value.as_object().ok_or_else(|| InvalidPolicy::new(place, "must be an object"))?;
    let known =
        ["Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"];
    refuse_unknown(map, &known, place)?;
    let at = |name: &str| format!("{place}.{name}");
    let sid = match map.get("Sid") {
        None => None,
        Some(Value::String(sid)) if sid.len() <= 512 => Some(Box::from(sid.as_str())),
        Some(_) => return Err(InvalidPolicy::new(at("Sid"), "must be a text of at most 512 bytes")),
    };
    let effect = match map.get("Effect").and_then(Value::as_str) {
        Some("Allow") => Effect::Allow,
        Some("Deny") => Effect::Deny,
        _ => return Err(InvalidPolicy::new(at("Effect"), "must be Allow or Deny")),
    };
    let principals = match (kind, pair(map, "Principal", "NotPrincipal", place)?) {
        (Kind::Bucket(_) | Kind::Trust | Kind::Key, Some((name, _, true))) if effect == Effect::Allow => {
            return Err(InvalidPolicy::new(at(name), "has its place beside Effect Deny only"));
        }
        (Kind::Trust, Some((name, _, true))) => {
            return Err(InvalidPolicy::new(at(name), "has no place in a trust policy"));
        }
        (Kind::Bucket(_) | Kind::Trust | Kind::Key, Some((name, value, negated))) => {
            Some(PrincipalClause::parse(value, negated, &at(name))?)
        }
        (Kind::Bucket(_) | Kind::Trust | Kind::Key, None) => {
            return Err(InvalidPolicy::new(at("Principal"), "is missing"));
        }
        (Kind::Identity, Some((name, ..))) => {
            return Err(InvalidPolicy::new(at(name), "has no place in an identity policy"));
        }
        (Kind::Identity, None) => None,
    };
    let (name, value, negated) =
        pair(map, "Action", "NotAction", place)?.ok_or_else(|| InvalidPolicy::new(at("Action"), "is missing"))?;
    let actions = Clause { patterns: parse_actions(value, &at(name), kind)?, negated };
    let about = ActionSet::of(&actions);
    let resources = match (kind, pair(map, "Resource", "NotResource", place)?) {
        (Kind::Trust, Some((name, ..))) => return Err(InvalidPolicy::new(at(name), "has no place in a trust policy")),
        (Kind::Trust, None) => Clause { patterns: Vec::new(), negated: true },
        (_, None) => return Err(InvalidPolicy::new(at("Resource"), "is missing")),
        (_, Some((name, value, negated))) => {
            Clause { patterns: parse_resources(value, &at(name), kind, dialect)?, negated }
        }
    };
    let conditions = match map.get("Condition") {
        None => Vec::new(),
        Some(value) => Condition::parse_all(value, &at("Condition"), dialect)?,
    };
    Ok(Statement { sid, effect, principals, actions, about, resources, conditions })
}

fn refuse_unknown(map: &Map<String, Value>, known: &[&str], place: &str) -> Result<(), InvalidPolicy> {
    match map.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => Err(InvalidPolicy::new(format!("{place}.{key}"), "is not an element of a policy")),
        None => Ok(()),
    }
}

/// The one of an element and its negation that is there.
fn pair<'a>(
    map: &'a Map<String, Value>,
    name: &'static str,
    negation: &'static str,
    place: &str,
) -> Result<Option<(&'static str, &'a Value, bool)>, InvalidPolicy> {
    match (map.get(name), map.get(negation)) {
        (Some(_), Some(_)) => Err(InvalidPolicy::new(place, format!("has both {name} and {negation}"))),
        (Some(value), None) => Ok(Some((name, value, false))),
        (None, Some(value)) => Ok(Some((negation, value, true))),
        (None, None) => Ok(None),
    }
}

fn parse_actions(value: &Value, place: &str, kind: Kind<'_>) -> Result<Vec<Pattern>, InvalidPolicy> {
    texts(value, place)?
        .into_iter()
        .map(|text| parse_action(text, kind).map_err(|reason| InvalidPolicy::new(place, format!("`{text}` {reason}"))))
        .collect()
}

fn parse_action(text: &str, kind: Kind<'_>) -> Result<Pattern, String> {
    let pattern = |text: &str| Pattern::parse(text, Syntax::WILDCARDS);
    if text == "*" {
        return pattern(text);
    }
    let (service, name) = text.split_once(':').ok_or("is not an action such as s3:GetObject")?;
    let is_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'*' | b'?' | b'_' | b'-');
    if service.is_empty() || name.is_empty() || !text.bytes().all(|b| b == b':' || is_name(b)) {
        return Err("is not an action such as s3:GetObject".to_owned());
    }
    let own = match kind {
        Kind::Bucket(_) => "S3",
        Kind::Key => "KMS",
        Kind::Identity | Kind::Trust => "",
    };
    let is_strange = || Err(format!("is not an action of {own}"));
    match kind {
        Kind::Bucket(_) | Kind::Key if !service.eq_ignore_ascii_case(own) => return is_strange(),
        Kind::Bucket(_) | Kind::Key => {}
        Kind::Trust if !service.eq_ignore_ascii_case("sts") => return Err("is not an action of STS".to_owned()),
        Kind::Identity | Kind::Trust => return pattern(find_action(text).map_or(text, |row| row.checks)),
    }
    if !name.contains(['*', '?']) {
        return match find_action(text) {
            Some(row) => pattern(row.checks),
            None => is_strange(),
        };
    }
    let parsed = pattern(text)?;
    let known = ACTIONS.iter().filter(|row| row.name == row.checks);
    match known.into_iter().any(|row| parsed.matches_ignoring_case(row.name, &no_variables)) {
        true => Ok(parsed),
        false => Err(format!("fits no action of {own}")),
    }
}

fn parse_resources(
    value: &Value,
    place: &str,
    kind: Kind<'_>,
    dialect: Dialect,
) -> Result<Vec<Pattern>, InvalidPolicy> {
    let syntax = Syntax { wildcards: true, variables: dialect.variables };
    let mut patterns = Vec::new();
    for text in texts(value, place)? {
        let invalid = |reason: &str| InvalidPolicy::new(place, format!("`{text}` {reason}"));
        let pattern = Pattern::parse(text, syntax).map_err(|reason| invalid(&reason))?;
        if let Some(name) =
            pattern.variables().find(|name| !super::condition_keys::is_known(name, dialect.other_services))
        {
            return Err(invalid(&format!("uses `{name}`, which is no policy variable")));
        }
        match kind {
            Kind::Bucket(bucket) => check_bucket_resource(text, bucket, syntax).map_err(invalid)?,
            Kind::Identity | Kind::Key if text != "*" && !is_arn(text) => return Err(invalid("is a malformed ARN")),
            Kind::Identity | Kind::Key | Kind::Trust => {}
        }
        patterns.push(pattern);
    }
    Ok(patterns)
}

/// Whether a text is an ARN, in which wildcards may stand (IAM User Guide, "Amazon Resource Names"): `arn`, partition, service, region,
/// account, resource.
fn is_arn(text: &str) -> bool {
    let mut parts = text.splitn(6, ':');
    let (head, partition, service) = (parts.next(), parts.next(), parts.next());
    let resource = parts.nth(2);
    let is_partition = |text: &str| {
        let pattern = Pattern::parse(text, Syntax::WILDCARDS);
        pattern.is_ok_and(|pattern| PARTITIONS.iter().any(|partition| pattern.matches(partition, &no_variables)))
    };
    let is_there = |part: Option<&str>| part.is_some_and(|part| !part.is_empty());
    head == Some("arn") && partition.is_some_and(is_partition) && is_there(service) && is_there(resource)
}

/// A bucket policy speaks of its own bucket; wildcards that also fit others are allowed and mean this bucket only.
fn check_bucket_resource(text: &str, bucket: &BucketName, syntax: Syntax) -> Result<(), &'static str> {
    if text == "*" {
        return Ok(());
    }
    let resource = text.strip_prefix("arn:aws:s3:::").ok_or("is not an ARN of S3, such as arn:aws:s3:::bucket/*")?;
    let name = resource.split('/').next().unwrap_or_default();
    // A star may stand for bucket, slash and key together: what is in front of it must fit the name's beginning.
    let fits = |pattern: &str, text: &str| {
        Pattern::parse(pattern, Syntax { variables: false, ..syntax }).is_ok_and(|p| p.matches(text, &no_variables))
    };
    if fits(name, bucket.as_str()) {
        return Ok(());
    }
    let across_slash = name
        .char_indices()
        .filter(|(_, c)| *c == '*')
        .any(|(index, _)| name.get(..=index).is_some_and(|head| fits(head, &format!("{bucket}/"))));
    if across_slash { Ok(()) } else { Err("is not a resource of this bucket") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn bucket() -> BucketName {
        BucketName::parse("photos").unwrap()
    }

    fn base() -> Value {
        json!({"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::photos/*"})
    }

    fn parse(statement: &Value) -> Result<Document, InvalidPolicy> {
        let document = json!({"Version": "2012-10-17", "Statement": [statement]});
        parse_bucket_policy(&document.to_string(), &bucket()).map(|(_, document)| document)
    }

    fn with(name: &str, value: Value) -> Value {
        let mut statement = base();
        statement[name] = value;
        statement
    }

    #[test]
    fn accepted() {
        for statement in [
            base(),
            with("Sid", json!("")),
            with("Action", json!("*")),
            with("Action", json!(["S3:getobject", "s3:Put*", "s3:HeadObject", "s3:UploadPart"])),
            with("Resource", json!(["arn:aws:s3:::photos", "arn:aws:s3:::photos/a?b/*"])),
            with("Resource", json!("arn:aws:s3:::*")),
            with("Resource", json!("arn:aws:s3:::*/*")),
            with("Resource", json!("arn:aws:s3:::ph*")),
            with("Resource", json!("arn:aws:s3:::photos*")),
            with("Resource", json!("arn:aws:s3:::pho*/x")),
            with("Resource", json!("arn:aws:s3:::photos/${aws:username}/*")),
            with("Resource", json!("*")),
            with("Condition", json!({})),
            with("Condition", json!({"IpAddress": {"aws:SourceIp": ["10.0.0.0/8"]}})),
        ] {
            assert!(parse(&statement).is_ok(), "{statement}: {:?}", parse(&statement));
        }
    }

    #[test]
    fn refused_with_the_place() {
        let rows = [
            (with("Effect", json!("allow")), "Statement[0].Effect"),
            (with("Efect", json!("Allow")), "Statement[0].Efect"),
            (with("Action", json!([])), "Statement[0].Action"),
            (with("Action", json!("GetObject")), "Statement[0].Action"),
            (with("Action", json!("s3:GetObjekt")), "Statement[0].Action"),
            (with("Action", json!("s3:Gett*")), "Statement[0].Action"),
            (with("Action", json!("iam:ListUsers")), "Statement[0].Action"),
            (with("NotAction", json!("s3:GetObject")), "Statement[0]"),
            (with("Resource", json!("arn:aws:s3:::videos/*")), "Statement[0].Resource"),
            (with("Resource", json!("arn:aws:s3:::photosx/*")), "Statement[0].Resource"),
            (with("Resource", json!("photos/*")), "Statement[0].Resource"),
            (with("Resource", json!("arn:aws:iam:::photos/*")), "Statement[0].Resource"),
            (with("Resource", json!("arn:aws:s3:::photos/${nothing")), "Statement[0].Resource"),
            (with("Resource", json!("arn:aws:s3:::photos/${aws:nothing}")), "Statement[0].Resource"),
            (with("NotPrincipal", json!("*")), "Statement[0]"),
            (with("Principal", json!("ann")), "Statement[0].Principal"),
            (with("Condition", json!({"Same": {}})), "Statement[0].Condition.Same"),
            (with("Sid", json!(5)), "Statement[0].Sid"),
        ];
        for (statement, place) in rows {
            assert_eq!(parse(&statement).unwrap_err().place, place, "{statement}");
        }
        for missing in ["Effect", "Principal", "Action", "Resource"] {
            let mut statement = base();
            statement.as_object_mut().unwrap().remove(missing);
            assert_eq!(parse(&statement).unwrap_err().place, format!("Statement[0].{missing}"));
        }
    }

    #[test]
    fn whole_documents() {
        let parse = |text: &str| parse_bucket_policy(text, &bucket()).map(|_| ());
        for text in [
            "",
            "[]",
            "{}",
            r#"{"Statement": []}"#,
            r#"{"Version": "2020-01-01", "Statement": []}"#,
            r#"{"Version": "2012-10-17"}"#,
            r#"{"Version": "2012-10-17", "statement": []}"#,
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        let twice = format!(r#"{{"Statement": [{0}], "Statement": [{0}]}}"#, base());
        assert!(parse(&twice).unwrap_err().reason.contains("stands twice"));
        let same_sid = json!({"Statement": [with("Sid", json!("a")), with("Sid", json!("a"))]});
        assert_eq!(parse(&same_sid.to_string()).unwrap_err().place, "Statement[1].Sid");
        let single = json!({"Id": "x", "Statement": base()});
        assert!(parse(&single.to_string()).is_ok());
        let large = json!({"Id": "x".repeat(DOCUMENT_BYTES_MAX), "Statement": base()});
        assert!(parse(&large.to_string()).is_err());
        // Braces are plain text before the version that brought variables.
        let old = json!({"Statement": with("Resource", json!("arn:aws:s3:::photos/${"))});
        assert!(parse(&old.to_string()).is_ok());
    }

    #[test]
    fn identity_documents() {
        let statement = json!({"Effect": "Allow", "Action": ["s3:*", "kms:Decrypt"], "Resource": "*"});
        let parse = |value: &Value| parse_document(value, Kind::Identity);
        assert!(parse(&json!({"PolicyName": "p", "Version": "2012-10-17", "Statement": statement})).is_ok());
        assert!(parse(&json!({"Statement": base()})).is_err(), "identity policies have no principal");
    }

    fn identity(name: &str, value: Value) -> Result<Document, InvalidPolicy> {
        let mut statement = json!({"Effect": "Allow", "Action": "s3:*", "Resource": "*"});
        statement[name] = value;
        parse_document(&json!({"Version": "2012-10-17", "Statement": statement}), Kind::Identity)
    }

    #[test]
    fn identity_policies_speak_of_other_services_and_of_what_is_not_here() {
        for action in ["s3:Nothing", "s3:Gett*", "s3:Head*", "kms:*", "ec2:Run?nstances", "secretsmanager:Get*", "*:*"]
        {
            assert!(identity("Action", json!(action)).is_ok(), "{action}");
        }
        for key in ["aws:Foo", "s3:DataAccessPointTag/x", "s3:nothing", "kms:ViaService", "ec2:Region"] {
            assert!(identity("Condition", json!({"StringEquals": {key: "x"}})).is_ok(), "{key}");
        }
        for (name, value, place) in [
            ("Action", json!("Nothing"), "Action"),
            ("Action", json!(":Get"), "Action"),
            ("Action", json!("s3:"), "Action"),
            ("Action", json!("s3:Get Object"), "Action"),
            ("Condition", json!({"Same": {"aws:SourceIp": "x"}}), "Condition.Same"),
            ("Condition", json!({"StringEquals": {"nothing": "x"}}), "Condition.StringEquals.nothing"),
            ("Condition", json!({"StringEquals": {"aws:": "x"}}), "Condition.StringEquals.aws:"),
        ] {
            let told = identity(name, value.clone()).unwrap_err().place;
            assert_eq!(told, format!("Statement[0].{place}"), "{value}");
        }
    }

    #[test]
    fn arns_of_identity_policies() {
        for good in [
            "*",
            "arn:aws:s3:::b",
            "arn:aws:s3:::b/${aws:username}/*",
            "arn:aws-cn:s3:::b",
            "arn:aws-us-gov:s3:::b",
            "arn:*:s3:::b",
            "arn:aws*:s3:::*",
            "arn:a?s:*:*:*:*",
            "arn:aws:iam::111111111111:user/a:b",
            "arn:aws:iam::${aws:PrincipalAccount}:user/*",
        ] {
            assert!(identity("Resource", json!(good)).is_ok(), "{good}");
            assert!(identity("Resource", json!(["*", good])).is_ok(), "{good}");
        }
        for bad in [
            "",
            "bucket/*",
            "arn",
            "arn:aws:s3",
            "arn:aws:s3:::",
            "arn:::::x",
            "arn:aws::::x",
            "arn::s3:::b",
            "arn:xx:s3:::b",
            "arn:AWS:s3:::b",
            "arn:aws-eu:s3:::b",
            "arn:x*:s3:::b",
            "ARN:aws:s3:::b",
            " arn:aws:s3:::b",
            "*:aws:s3:::b",
        ] {
            assert_eq!(identity("Resource", json!(bad)).unwrap_err().place, "Statement[0].Resource", "{bad}");
            assert!(identity("Resource", json!(["*", bad])).is_err(), "{bad}");
        }
    }

    #[test]
    fn trust_policies_ask_for_keys_of_any_service() {
        let trust = |action: &str, key: &str| {
            let condition = json!({"StringEquals": {key: "x"}});
            let statement =
                json!({"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": action, "Condition": condition});
            parse_document(&json!({"Version": "2012-10-17", "Statement": statement}), Kind::Trust).is_ok()
        };
        assert!(
            trust("sts:AssumeRole", "issuer.test:sub") && trust("sts:*", "aws:Foo") && trust("sts:New", "saml:aud")
        );
        assert!(!trust("s3:GetObject", "aws:Foo") && !trust("sts:AssumeRole", "sub"));
    }
}
