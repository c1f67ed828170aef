//! Questions where there is no [`Call`](crate::s3::context::Call): of the node's own routes and the console, about buckets, keys, and what
//! is neither.

use myfsio_actors::iam::Principal;
use myfsio_actors::policy_engine::{AccessRequest, Decision, ObjectState, Reason, RequestContext};
use myfsio_actors::storage::{Bucket, Object};

use super::{Question, Subject, ask, facts_of};
use crate::node::Node;
use crate::s3::error::S3Error;
use crate::s3::request_facts::{Asks, Facts};

/// Asks for a permission on a bucket, where there is no call. Errs: AccessDenied.
pub fn on_bucket(
    node: &Node,
    principal: Option<&Principal>,
    action: &str,
    bucket: &Bucket,
    facts: Facts<'_>,
) -> Result<(), S3Error> {
    let question = Question {
        principal,
        action,
        bucket: Some(&bucket.name),
        bucket_owner: Some(&bucket.owner),
        config: Some(&bucket.config),
        key: None,
        version: None,
        facts,
    };
    ask(node, &question, &Subject::default(), Asks::Nothing)
}

/// Whether a permission is there, as far as that can be told without a look at the object; where the object decides, it is.
/// A refusal is neither told nor kept.
pub fn may(
    node: &Node,
    principal: Option<&Principal>,
    action: &str,
    bucket: Option<&Bucket>,
    key: Option<&str>,
    facts: Facts<'_>,
) -> bool {
    let decision = foresee(node, principal, action, (bucket, key), facts, ObjectState::Unseen);
    decision.allowed || decision.reason == Reason::DependsOnObject
}

/// The same, where no object is there to decide.
pub fn may_anew(
    node: &Node,
    principal: Option<&Principal>,
    action: &str,
    bucket: &Bucket,
    key: Option<&str>,
    facts: Facts<'_>,
) -> bool {
    foresee(node, principal, action, (Some(bucket), key), facts, ObjectState::Missing).allowed
}

/// The same, of an object that is at hand.
pub fn may_of_object(
    node: &Node,
    principal: Option<&Principal>,
    action: &str,
    (bucket, key): (&Bucket, &str),
    object: &Object,
    facts: Facts<'_>,
) -> bool {
    foresee(node, principal, action, (Some(bucket), Some(key)), facts, ObjectState::Found(facts_of(object))).allowed
}

fn foresee(
    node: &Node,
    principal: Option<&Principal>,
    action: &str,
    (bucket, key): (Option<&Bucket>, Option<&str>),
    facts: Facts<'_>,
    object: ObjectState<'_>,
) -> Decision {
    let question = Question {
        principal,
        action,
        bucket: bucket.map(|bucket| &bucket.name),
        bucket_owner: bucket.map(|bucket| &bucket.owner),
        config: bucket.map(|bucket| &*bucket.config),
        key,
        version: None,
        facts,
    };
    let context = question.context(Asks::Nothing);
    node.access.policy_engine.decide(&question.request(object, &context))
}

/// Asks for a permission on what is no bucket, by its ARN and tags; answers why the caller may. Errs: AccessDenied.
pub fn on_resource(
    node: &Node,
    principal: Option<&Principal>,
    action: &str,
    (resource, tags): (&str, &[(String, String)]),
    facts: Facts<'_>,
) -> Result<Reason, S3Error> {
    on_resource_telling(node, principal, action, (resource, &told_of(tags)), facts)
}

/// Why the caller has a permission on what is no bucket, if it does, for what is shown: a refusal is neither told nor kept.
pub fn may_on_resource(
    node: &Node,
    principal: Option<&Principal>,
    action: &str,
    (resource, tags): (&str, &[(String, String)]),
    facts: Facts<'_>,
) -> Option<Reason> {
    let context = context(facts, &told_of(tags));
    let decision = node.access.policy_engine.decide(&request(principal, action, resource, &context));
    decision.allowed.then_some(decision.reason)
}

/// What conditions may ask for of a resource that has these tags.
fn told_of(tags: &[(String, String)]) -> Vec<(String, String)> {
    let keys = |(key, value): &(String, String)| {
        ["iam", "aws"].map(|service| (format!("{service}:ResourceTag/{key}"), value.clone()))
    };
    tags.iter().flat_map(keys).collect()
}

fn context(facts: Facts<'_>, told: &[(String, String)]) -> RequestContext {
    let mut context = facts.context(Asks::Nothing);
    for (key, value) in told {
        context.add(key.clone(), value.as_str());
    }
    context
}

fn request<'a>(
    principal: Option<&'a Principal>,
    action: &'a str,
    resource: &'a str,
    context: &'a RequestContext,
) -> AccessRequest<'a> {
    AccessRequest {
        principal,
        action,
        bucket: None,
        bucket_owner: None,
        config: None,
        key: None,
        resource: Some(resource),
        object: ObjectState::Missing,
        context,
    }
}

/// The same, with what conditions may ask for beside the request itself. Errs: AccessDenied.
pub fn on_resource_telling(
    node: &Node,
    principal: Option<&Principal>,
    action: &str,
    (resource, told): (&str, &[(String, String)]),
    facts: Facts<'_>,
) -> Result<Reason, S3Error> {
    let context = context(facts, told);
    let request = request(principal, action, resource, &context);
    let decision = node.access.policy_engine.decide(&request);
    match decision.allowed {
        true => Ok(decision.reason),
        false => Err(node.access.denied(&request, &decision, facts.explains)),
    }
}
