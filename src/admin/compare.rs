//! Who gains and who loses access by policies that are in force nowhere yet.
//!
//! All principals that the node knows, nobody, and anybody else, are tried with the actions that old and new policies speak of,
//! on the bucket, on one key for each resource in them, and on the key of the question. What differs is told. It is a sample:
//! conditions are judged for the request that the question describes only.

use std::sync::Arc;
use std::time::{Duration, Instant};

use myfsio_actors::iam::{Directory, Principal};
use myfsio_actors::names::{CanonicalId, ObjectKey};
use myfsio_actors::policy_engine::probe::{actions_in, is_about_objects, keys_in, s3_actions};
use myfsio_actors::policy_engine::{ObjectFacts, ObjectState};
use myfsio_actors::storage::Bucket;
use serde_json::{Value, json};

use super::simulate::{Simulation, everybody};
use crate::node::Node;

/// Most decisions of each kind, old and new; a second or so.
const TRIALS_MAX: usize = 100_000;
/// How long trying goes on: policies may be made to take long.
const PATIENCE: Duration = Duration::from_secs(10);
/// Most changes that are told of each kind.
const CHANGES_MAX: usize = 1000;
/// Most keys that are tried for one principal.
const KEYS_MAX: usize = 50;

/// What is compared.
#[derive(Clone, Copy)]
pub struct Comparison<'a> {
    /// The node.
    pub node: &'a Node,
    /// The question.
    pub simulation: &'a Simulation,
    /// The bucket whose policy it is.
    pub bucket: &'a Bucket,
    /// The object of the question's key.
    pub object: ObjectState<'a>,
    /// Who wants to know, where that is nobody who administers the node.
    pub asker: Option<&'a Principal>,
}

/// Somebody who is tried.
struct Subject {
    name: String,
    before: Option<Arc<Principal>>,
    after: Option<Arc<Principal>>,
}

/// The changes, as they are told.
pub fn changes(comparison: &Comparison<'_>) -> Value {
    let Comparison { node, simulation, bucket, .. } = comparison;
    let in_force = node.access.policy_engine.policy_text(&bucket.name);
    let in_force: Value = in_force.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    let draft = simulation.draft.as_ref().map(|draft| &draft.document);
    let own = simulation.identity_documents.iter().flatten();
    let documents: Vec<&Value> = std::iter::once(&in_force).chain(draft).chain(own).collect();
    let actions: Vec<&str> = match simulation.identity_documents {
        // What the principal's policies say is not at hand as text.
        Some(_) => s3_actions().collect(),
        None => actions_in(&documents),
    };
    let (gains, loses) = (Vec::new(), Vec::new());
    let mut found = Found { began: Instant::now(), gains, loses, trials: 0, is_truncated: false };
    for subject in comparison.subjects() {
        let variable = |name: &str| match (name.to_ascii_lowercase().as_str(), &subject.before) {
            ("aws:username", Some(principal)) if principal.role.is_none() => Some(principal.user_name.clone()),
            ("aws:userid", Some(principal)) => Some(principal.unique_id().into_owned()),
            ("aws:principalaccount", Some(principal)) => Some(principal.account_id.clone()),
            _ => simulation.context.get(name).map(str::to_owned),
        };
        let mut keys = keys_in(&documents, &bucket.name, &variable);
        found.is_truncated |= keys.len() > KEYS_MAX;
        keys.truncate(KEYS_MAX);
        keys.retain(|key| simulation.key.as_ref().is_none_or(|own| own.as_str() != key));
        if !comparison.try_subject(&subject, &actions, &keys, &mut found) {
            break;
        }
    }
    json!({"gains": found.gains, "loses": found.loses, "truncated": found.is_truncated})
}

struct Found {
    began: Instant,
    gains: Vec<Value>,
    loses: Vec<Value>,
    trials: usize,
    is_truncated: bool,
}

impl Comparison<'_> {
    /// Who is tried. Where a bucket policy changes, that is everybody; somebody who does not administer the node learns of
    /// nobody whom neither its accounts nor the policies name.
    fn subjects(&self) -> Vec<Subject> {
        let Self { node, simulation, bucket, asker, .. } = self;
        let directory = node.access.iam.directory();
        let changed = simulation.principal.as_ref().zip(simulation.altered.as_ref());
        let subject = |principal: &Arc<Principal>| {
            let altered = changed.filter(|(before, _)| before.user_id == principal.user_id).map(|(_, after)| after);
            Subject {
                name: principal.arn(),
                before: Some(Arc::clone(principal)),
                after: Some(Arc::clone(altered.unwrap_or(principal))),
            }
        };
        let Some(draft) = &simulation.draft else {
            return changed.map(|(before, _)| subject(before)).into_iter().collect();
        };
        let is_told = |principal: &&Arc<Principal>| {
            let named = || {
                let by_draft = draft.policy.as_ref().is_some_and(|policy| policy.names(principal));
                by_draft || node.access.policy_engine.policy_names(&bucket.name, principal)
            };
            let owns = || directory.account_of(&bucket.owner) == principal.account_id;
            asker.is_none_or(|asker| asker.account_id == principal.account_id || owns() || named())
        };
        let everybody = everybody(&directory, simulation.context.now);
        let mut subjects: Vec<Subject> = everybody.iter().filter(is_told).map(subject).collect();
        subjects.push(Subject { name: "anonymous".to_owned(), before: None, after: None });
        let other = directory.principals().first().and_then(|model| stranger(model, &directory)).map(Arc::new);
        subjects.extend(other.map(|other| Subject {
            name: other.display_name.clone(),
            before: Some(Arc::clone(&other)),
            after: Some(other),
        }));
        subjects
    }

    /// Tries everything with one subject; false when there were enough trials.
    fn try_subject(&self, subject: &Subject, actions: &[&str], keys: &[String], found: &mut Found) -> bool {
        let simulation = self.simulation;
        let tags = simulation.tags.as_deref().unwrap_or_default();
        let like_any = ObjectState::Found(ObjectFacts { owner: &self.bucket.owner, acl: None, tags });
        let own = simulation.key.as_ref().map(ObjectKey::as_str).map(|key| (key, self.object));
        for action in actions {
            let probes: Vec<Option<(&str, ObjectState<'_>)>> = match is_about_objects(action) {
                true => own.into_iter().chain(keys.iter().map(|key| (key.as_str(), like_any))).map(Some).collect(),
                false => vec![None],
            };
            for probe in probes {
                if found.trials >= TRIALS_MAX || found.began.elapsed() > PATIENCE {
                    found.is_truncated = true;
                    return false;
                }
                found.trials += 1;
                self.try_one(subject, action, probe, found);
            }
        }
        true
    }

    fn try_one(&self, subject: &Subject, action: &str, probe: Option<(&str, ObjectState<'_>)>, found: &mut Found) {
        let engine = &self.node.access.policy_engine;
        let (key, object) = match probe {
            Some((key, object)) => (Some(key), object),
            None => (None, ObjectState::Missing),
        };
        let request = |principal| self.simulation.request(principal, action, key, object);
        let (before, after) = (request(subject.before.as_deref()), request(subject.after.as_deref()));
        let was = engine.decide(&before).allowed;
        let is = match &self.simulation.draft {
            Some(draft) => engine.decide_under(&after, draft.policy.as_ref()).allowed,
            None => engine.decide(&after).allowed,
        };
        let list = match (was, is) {
            (false, true) => &mut found.gains,
            (true, false) => &mut found.loses,
            _ => return,
        };
        if list.len() >= CHANGES_MAX {
            found.is_truncated = true;
            return;
        }
        let resource = match key {
            Some(key) => format!("arn:aws:s3:::{}/{key}", self.bucket.name),
            None => format!("arn:aws:s3:::{}", self.bucket.name),
        };
        list.push(json!({"principal": subject.name, "action": action, "resource": resource}));
    }
}

/// Anybody of an account that the node does not know: its root, with every right that its own account can give.
fn stranger(model: &Principal, directory: &Directory) -> Option<Principal> {
    let is_free = |account: &String| directory.principals().iter().all(|principal| principal.account_id != *account);
    let account_id = (0..10_000u64).map(|number| format!("{:012}", 999_999_990_000 + number)).find(is_free)?;
    let user_id = CanonicalId::from_bytes([0xff; 32]);
    Some(Principal {
        user_id,
        account_id,
        access_keys: Arc::default(),
        display_name: "any other account".to_owned(),
        user_name: "root".to_owned(),
        path: "/".to_owned(),
        is_root: true,
        is_named_root: true,
        shares_arn: false,
        unambiguous_names: Arc::default(),
        policies: Arc::default(),
        tags: Arc::default(),
        role: None,
        session: None,
        access_key: model.access_key.clone(),
    })
}

#[cfg(test)]
mod tests {
    use myfsio_actors::policy_engine::find_action;

    use super::*;
    use crate::s3::operation::{Operation, Scope};

    #[test]
    fn actions_are_tried_where_operations_ask_them() {
        let has_place = |operation: &&Operation| !matches!(operation.scope(), Scope::Control | Scope::ObjectLambda);
        for operation in Operation::ALL.iter().filter(has_place) {
            let row = operation.row();
            // Theirs is a bucket, their permissions are on keys in it.
            let names_keys = matches!(operation, Operation::DeleteObjects | Operation::PostObject);
            for action in [row.action, row.version_action] {
                let checks = find_action(action).unwrap().checks;
                let is_of_object = row.scope == Scope::Object || names_keys;
                assert_eq!(is_about_objects(checks), is_of_object, "{} {action}", operation.name());
            }
        }
    }
}
