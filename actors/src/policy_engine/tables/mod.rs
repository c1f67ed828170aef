//! Who may do what, as tables: each row is a request and the policies that it meets, with the decision and what decides it.
//!
//! The tables are the text files beside this one, each naming the part of AWS's documentation that it follows; `cast.json` has
//! the users. A row reads `who | action | resource | facts | decision`, and a policy is a name with a statement on each line
//! behind it. Where the node differs from AWS by intention, the row says so (`# differs: …`).
//!
//! Facts are `policy=NAME` (the bucket's), `own=NAME,…` (instead of those of the cast), `group=GROUP:NAME`, `managed=NAME`,
//! `session=NAME,…`, `trust=NAME`; `object=OWNER` or `object=unseen`, `object-acl=` and `bucket-acl=GRANTEE:PERMISSION,…`,
//! `tag:KEY=VALUE`; `enforced`, `ignore-acls`, `restrict`; `ip=`, `tls`, `at=`; and condition keys with their values.

mod row;
mod world;

use row::{Facts, Row, Table};
use world::World;

use super::decision::{Decision, Reason, Source, StatementRef};
use super::{AclOf, Fit, PolicyHome, Trace};

const ACCESS: [(&str, &str); 7] = [
    ("identity.txt", include_str!("identity.txt")),
    ("bucket.txt", include_str!("bucket.txt")),
    ("grants.txt", include_str!("grants.txt")),
    ("sessions.txt", include_str!("sessions.txt")),
    ("lists.txt", include_str!("lists.txt")),
    ("admin.txt", include_str!("admin.txt")),
    ("variables.txt", include_str!("variables.txt")),
];
const CONDITIONS: &str = include_str!("conditions.txt");

/// How a reason stands in the tables.
fn label(reason: &Reason) -> String {
    let place = |place: &str| place.trim_start_matches("own.").to_owned();
    match reason {
        Reason::ExplicitDeny(statement) | Reason::Allowed(statement) => label_of(statement),
        Reason::AccountRoot => "root".to_owned(),
        Reason::BucketCreator => "creator".to_owned(),
        Reason::ObjectOwner => "object-owner".to_owned(),
        Reason::Granted(grant) if grant.of == AclOf::Bucket => format!("acl:bucket/{}", grant.index),
        Reason::Granted(grant) => format!("acl:object/{}", grant.index),
        Reason::PolicyRepair => "repair".to_owned(),
        Reason::OwnBuckets => "own-buckets".to_owned(),
        Reason::Anonymous => "anonymous".to_owned(),
        Reason::DependsOnObject => "look".to_owned(),
        Reason::NoStatementAllows => "nothing-allows".to_owned(),
        Reason::NoSessionPolicyAllows => "no-session-policy".to_owned(),
        Reason::NoTrust => "no-trust".to_owned(),
        Reason::NoIdentityPolicyAllows => "no-identity-policy".to_owned(),
        Reason::NoBucketPolicyAllows => "no-bucket-policy".to_owned(),
        Reason::AdministratorsOnly => "administrators".to_owned(),
        Reason::Administrator => "administrator".to_owned(),
        Reason::NoKeyPolicyAllows => "no-key-policy".to_owned(),
        Reason::BrokenKeyPolicy(mistake) => format!("broken-key:{}", place(&mistake.place)),
        Reason::BrokenBucketPolicy(mistake) => format!("broken:{}", place(&mistake.place)),
        Reason::BrokenIdentityPolicy(mistake) => format!("broken-own:{}", place(&mistake.place)),
        Reason::TooMuchWork => "too much work".to_owned(),
        Reason::UnknownAction => "unknown".to_owned(),
    }
}

fn label_of(statement: &StatementRef) -> String {
    let source = match &statement.source {
        Source::Identity { home: PolicyHome::Own { index }, .. } => format!("own{index}"),
        Source::Identity { home: PolicyHome::Group { group, index }, .. } => format!("group:{group}/{index}"),
        Source::Identity { home: PolicyHome::Managed { arn, .. }, .. } => {
            format!("managed:{}", arn.rsplit('/').next().unwrap_or_default())
        }
        Source::Identity { home: PolicyHome::Session { index }, .. } => format!("session{index}"),
        Source::Bucket => "bucket".to_owned(),
        Source::Trust => "trust".to_owned(),
        Source::Key => "key".to_owned(),
    };
    match (&statement.sid, statement.index) {
        (Some(sid), _) => format!("{source}:{sid}"),
        (None, Some(index)) => format!("{source}#{index}"),
        (None, None) => source,
    }
}

fn told(decision: &Decision) -> String {
    format!("{} {}", if decision.allowed { "yes" } else { "no" }, label(&decision.reason))
}

/// What a trace tells must bear out the decision.
fn check_trace(decision: &Decision, trace: &Trace) -> Result<(), String> {
    let (Reason::ExplicitDeny(deciding) | Reason::Allowed(deciding)) = &decision.reason else { return Ok(()) };
    let applies = |fit: &Fit| matches!(fit, Fit::Applies | Fit::AppliesToAccount);
    let borne_out = trace.considered.iter().any(|seen| seen.statement == *deciding && applies(&seen.fit));
    if borne_out { Ok(()) } else { Err(format!("the trace does not tell of {}", label_of(deciding))) }
}

/// The failures of a table.
fn failures(name: &str, table: &Table<'_>) -> Vec<String> {
    let world = World::new(table);
    let mut failures = Vec::new();
    for Row { line, group, who, action, resource, facts, expected } in &table.rows {
        let found = match (who.strip_prefix('@'), facts.one("trust")) {
            (Some(provider), Some(trust)) => {
                Ok(if world.trusts_federated(provider, action, trust, facts) { "yes" } else { "no" }.to_owned())
            }
            (_, Some(trust)) => {
                let (decision, trace) = world.trust(who, action, trust, facts);
                check_trace(&decision, &trace).map(|()| told(&decision))
            }
            (_, None) => world.access(who, action, resource, facts).and_then(|(decision, trace)| {
                check_trace(&decision, &trace)?;
                Ok(told(&decision))
            }),
        };
        let found = found.unwrap_or_else(|problem| problem);
        if found != *expected {
            failures.push(format!("{name}:{line} [{group}] {who} {action} {resource}: {found}, not {expected}"));
        }
    }
    failures
}

#[test]
fn decisions_are_as_in_the_tables() {
    let tables = ACCESS.map(|(name, text)| (name, Table::read(name, text)));
    let failures: Vec<String> = tables.iter().flat_map(|(name, table)| failures(name, table)).collect();
    assert!(failures.is_empty(), "{} rows fail:\n{}", failures.len(), failures.join("\n"));
    let rows: usize = tables.iter().map(|(_, table)| table.rows.len()).sum();
    assert!(rows >= 300, "only {rows} rows");
}

/// Every condition on a statement that allows everybody, and on one that denies beside one that allows.
#[test]
fn conditions_are_met_as_in_the_table() {
    let mut failures = Vec::new();
    let mut rows = 0;
    for (number, line) in CONDITIONS.lines().enumerate() {
        let Some([condition, facts, expected]) = row::columns(line) else { continue };
        rows += 1;
        let facts = Facts::read(facts);
        let action = facts.one("action").unwrap_or("ListBucket");
        let resource = if action == "ListBucket" { "ann-data" } else { "ann-data/a" };
        let met = match expected {
            "met" => true,
            "unmet" => false,
            other => panic!("conditions.txt:{}: {other}", number + 1),
        };
        let world = World::of_condition(condition);
        let who = facts.one("who").unwrap_or("-");
        let ask = |policy| world.with_policy(policy).access(who, action, resource, &facts);
        let of_allow = ask("allow").map(|(decision, trace)| match who {
            "-" => decision.allowed,
            _ => trace.considered.iter().any(|seen| seen.fit == Fit::Applies),
        });
        let of_deny = ask("deny").map(|(decision, _)| label(&decision.reason) == "bucket:If" && !decision.allowed);
        if (of_allow.as_ref(), of_deny.as_ref()) != (Ok(&met), Ok(&met)) {
            failures.push(format!("conditions.txt:{}: allow {of_allow:?}, deny {of_deny:?}: {line}", number + 1));
        }
    }
    assert!(failures.is_empty(), "{} rows fail:\n{}", failures.len(), failures.join("\n"));
    assert!(rows >= 150, "only {rows} rows");
}
