//! A bucket's replication as S3 configures it: read, put, delete. The replication worker keeps the rules; connections stand for what
//! S3 has roles for.
//!
//! Only administrators say where a bucket goes, since a connection is their credentials elsewhere. Who may replicate the bucket may
//! enable and disable rules that are there.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use myfsio_actors::bucket_config::ReplicationRule;
use myfsio_actors::replication_worker::{Connection, ConnectionDraft, Mode, ReplicationError, Rule};
use myfsio_actors::storage::{Bucket, Versioning};

use super::bucket_config::checked_document;
use crate::s3::authorize::facts;
use crate::s3::context::Call;
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::respond::{Answer, empty, xml};
use crate::s3::xml::replication::{
    REPLICATION_BYTES_MAX, ReplicationConfiguration, is_legacy, replication_configuration, write_replication,
};

/// How long a target may take to say whether its bucket is there. Who does not answer is believed to have it.
const PATIENCE: Duration = Duration::from_secs(5);
/// ARN of a bucket, wherever it is.
const BUCKET_ARN: &str = "arn:aws:s3:::";
/// ARN of a bucket at a connection: `arn:myfsio:replication::<connection>:<bucket>`.
const CONNECTION_ARN: &str = "arn:myfsio:replication::";

/// S3 API Reference, GetBucketReplication. Errs: ReplicationConfigurationNotFoundError.
pub async fn get_bucket_replication(call: &Call) -> Answer {
    let bucket = call.bucket()?;
    call.node.replication.refresh().await?;
    let rule = call.node.replication.rule(&bucket.name).map_err(|error| unset(&bucket, error))?;
    Ok(xml(StatusCode::OK, write_replication(&told(call, &bucket, &rule))))
}

fn unset(bucket: &Bucket, error: ReplicationError) -> S3Error {
    S3Error::from(error).field("BucketName", bucket.name.as_str())
}

fn told(call: &Call, bucket: &Bucket, rule: &Rule) -> ReplicationConfiguration {
    let account = || call.node.access.iam.directory().account_of(&bucket.owner).to_string();
    let role = rule.role.clone().unwrap_or_else(|| format!("arn:aws:iam::{}:role/replication", account()));
    let destination = rule.destination.clone().unwrap_or_else(|| format!("{BUCKET_ARN}{}", rule.target_bucket));
    let mut rules = rule.rules();
    if !is_legacy(&rules) {
        number(&mut rules);
    }
    ReplicationConfiguration { role, destination, rules }
}

/// S3 takes each priority once. Where some are the same, as the node's own route takes them, the last rule of the list counts, which
/// numbers by their order keep.
fn number(rules: &mut [ReplicationRule]) {
    let mut priorities: Vec<_> = rules.iter().map(|rule| rule.priority).collect();
    priorities.sort_unstable();
    priorities.dedup();
    if priorities.len() == rules.len() {
        return;
    }
    let mut order: Vec<_> = rules.iter_mut().collect();
    order.sort_by_key(|rule| rule.priority);
    for (number, rule) in (0..).zip(order) {
        rule.priority = number;
    }
}

/// S3 API Reference, PutBucketReplication. Errs: MalformedXML, InvalidRequest and InvalidArgument as S3; AccessDenied for those who may
/// only enable and disable, and ask for more.
pub async fn put_bucket_replication(mut call: Call) -> Answer {
    let bucket = call.bucket()?;
    let mut configuration = replication_configuration(&checked_document(&mut call, REPLICATION_BYTES_MAX).await?)?;
    name_rules(&mut configuration)?;
    if bucket.versioning != Versioning::Enabled {
        let message = "Versioning must be 'Enabled' on the bucket to apply a replication configuration";
        return Err(S3Error::with_message(ErrorCode::InvalidRequest, message));
    }
    call.node.replication.refresh().await?;
    let former = call.node.replication.rule(&bucket.name).ok();
    let switches = former.as_ref().is_some_and(|rule| only_switches(&told(&call, &bucket, rule), &configuration));
    if !switches {
        administrators_only(&call)?;
    }
    let (connection, target) = resolve(&call, &configuration.destination, former.as_deref())?;
    if !switches {
        check_target(&call, &connection, &target).await?;
    }
    let existing = configuration.rules.iter().any(|rule| rule.existing);
    let rule = Rule {
        bucket: bucket.name.clone(),
        connection: Arc::clone(&connection.id),
        target_bucket: Arc::from(target),
        enabled: true,
        mode: if existing { Mode::All } else { Mode::NewOnly },
        created_at: call.received,
        id: None,
        replicate_deletes: true,
        delete_versions: false,
        rules: Some(kept_options(configuration.rules, former.as_deref())),
        role: Some(configuration.role),
        destination: Some(configuration.destination),
        added: None,
    };
    call.node.replication.put_rule(call.changed_by(), rule).await?;
    Ok(empty(StatusCode::OK))
}

/// S3 API Reference, DeleteBucketReplication; deleting none is no error. Errs: AccessDenied for who is no administrator.
pub async fn delete_bucket_replication(call: &Call) -> Answer {
    let bucket = call.bucket()?;
    administrators_only(call)?;
    call.node.replication.refresh().await?;
    match call.node.replication.delete_rule(call.changed_by(), bucket.name.clone()).await {
        Ok(()) | Err(ReplicationError::NoSuchRule(_)) => Ok(empty(StatusCode::NO_CONTENT)),
        Err(error) => Err(error.into()),
    }
}

fn administrators_only(call: &Call) -> Result<(), S3Error> {
    let (access, principal, facts) = (&call.node.access, call.auth.principal.as_deref(), facts(call));
    match principal.is_some_and(|principal| access.is_administrator(principal, &facts)) {
        true => Ok(()),
        false => Err(access.administrators_only(principal, &facts, &call.raw_path)),
    }
}

/// Whether two configurations differ in nothing but which rules are enabled.
fn only_switches(former: &ReplicationConfiguration, wanted: &ReplicationConfiguration) -> bool {
    let but_for_switches = |configuration: &ReplicationConfiguration| {
        let mut rules = configuration.rules.clone();
        for rule in &mut rules {
            // S3 has no word for the others.
            (rule.enabled, rule.delete_versions, rule.added) = (true, false, None);
        }
        rules.sort_by(|one, other| one.id.cmp(&other.id));
        rules
    };
    former.destination == wanted.destination && but_for_switches(former) == but_for_switches(wanted)
}

/// What S3 has no word for stays as it was set by the node's own route.
fn kept_options(mut rules: Vec<ReplicationRule>, former: Option<&Rule>) -> Vec<ReplicationRule> {
    let former = former.map(Rule::rules).unwrap_or_default();
    for rule in &mut rules {
        rule.delete_versions = former.iter().any(|one| one.id == rule.id && one.delete_versions);
    }
    rules
}

/// Gives each rule without an id one that no other has.
fn name_rules(configuration: &mut ReplicationConfiguration) -> Result<(), S3Error> {
    for rule in configuration.rules.iter_mut().filter(|rule| rule.id.is_empty()) {
        let mut random = [0; 24];
        getrandom::fill(&mut random).map_err(S3Error::internal)?;
        rule.id = hex::encode(random);
    }
    Ok(())
}

/// The connection and the bucket there that an ARN means. An ARN that names no connection means that of the bucket's rule, or the only
/// one that there is. Errs: InvalidArgument when it is none, InvalidRequest when it means no connection.
fn resolve(call: &Call, arn: &str, former: Option<&Rule>) -> Result<(Arc<Connection>, String), S3Error> {
    let malformed = || S3Error::invalid_argument("Bucket", arn, "Invalid bucket ARN");
    let replication = &call.node.replication;
    let (connection, target) = match (arn.strip_prefix(CONNECTION_ARN), arn.strip_prefix(BUCKET_ARN)) {
        (Some(rest), _) => {
            // A name may hold colons, a bucket's may not.
            let (connection, target) = rest.rsplit_once(':').ok_or_else(malformed)?;
            (replication.connection(connection), target)
        }
        (None, Some(target)) => {
            let of_rule = former.and_then(|rule| replication.connection(&rule.connection));
            let all = replication.connections();
            let only = match all.as_slice() {
                [only] => Some(Arc::clone(only)),
                _ => None,
            };
            (of_rule.or(only), target)
        }
        (None, None) => return Err(malformed()),
    };
    if target.is_empty() || target.contains('/') {
        return Err(malformed());
    }
    let unknown = || {
        let message =
            "The destination names no connection of this node: use arn:myfsio:replication::<connection>:<bucket>.";
        S3Error::with_message(ErrorCode::InvalidRequest, message)
    };
    Ok((connection.ok_or_else(unknown)?, target.to_owned()))
}

/// Whether the target's bucket is there and keeps versions, if the target says so in time. Errs: InvalidRequest.
async fn check_target(call: &Call, connection: &Connection, target: &str) -> Result<(), S3Error> {
    let draft = ConnectionDraft { id: Some(connection.id.to_string()), ..ConnectionDraft::default() };
    let asked = call.node.replication.test_connection(draft, Some(target.to_owned()));
    let Ok(report) = tokio::time::timeout(PATIENCE, asked).await else { return Ok(()) };
    let Some(handshake) = report?.handshake.filter(|handshake| handshake.problem.is_none()) else { return Ok(()) };
    let refused = |message: &'static str| Err(S3Error::with_message(ErrorCode::InvalidRequest, message));
    match handshake.bucket {
        None => refused("Destination bucket must exist."),
        // Of other services it is not always told.
        Some(bucket) if handshake.node.is_some() && bucket.versioning != Versioning::Enabled => {
            refused("Destination bucket must have versioning enabled.")
        }
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use myfsio_actors::bucket_config::ReplicationFilter;

    use super::*;

    fn configuration(rules: &[(&str, bool, &str)]) -> ReplicationConfiguration {
        let rule = |(id, enabled, prefix): &(&str, bool, &str)| ReplicationRule {
            id: (*id).to_owned(),
            priority: 1,
            enabled: *enabled,
            filter: ReplicationFilter { prefix: (*prefix).to_owned(), tags: Vec::new() },
            delete_markers: true,
            delete_versions: false,
            existing: false,
            added: None,
            is_legacy: false,
        };
        ReplicationConfiguration {
            role: "r".to_owned(),
            destination: "arn:aws:s3:::b".to_owned(),
            rules: rules.iter().map(rule).collect(),
        }
    }

    #[test]
    fn equal_priorities_are_told_by_their_order() {
        let of = |priorities: &[u32]| {
            let rule = configuration(&[("a", true, "x")]).rules.remove(0);
            let mut rules: Vec<_> =
                priorities.iter().map(|priority| ReplicationRule { priority: *priority, ..rule.clone() }).collect();
            number(&mut rules);
            rules.iter().map(|rule| rule.priority).collect::<Vec<_>>()
        };
        assert_eq!(of(&[7, 3, 9]), [7, 3, 9]);
        assert_eq!(of(&[7, 0, 7, 0]), [2, 0, 3, 1]);
    }

    #[test]
    fn switching_is_not_changing() {
        let former = configuration(&[("a", true, "x"), ("b", false, "y")]);
        assert!(only_switches(&former, &configuration(&[("b", true, "y"), ("a", false, "x")])));
        for other in [
            configuration(&[("a", true, "x")]),
            configuration(&[("a", true, "x"), ("b", false, "z")]),
            configuration(&[("a", true, "x"), ("c", false, "y")]),
            ReplicationConfiguration { destination: "arn:aws:s3:::c".to_owned(), ..former.clone() },
        ] {
            assert!(!only_switches(&former, &other));
        }
    }
}
