//! What would be decided of a request that nobody sent, also under policies that are in force nowhere.
//!
//! The evaluator that requests use is asked, on users, buckets and objects as they are; only what the question itself says, of the
//! request and of policies, is put in place of what is. Nothing is changed.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::rt::task::spawn_blocking;
use myfsio_actors::bucket_config::Tag;
use myfsio_actors::iam::{Directory, Principal, RoleEntry, Session};
use myfsio_actors::names::{AccessKeyId, BucketName, ObjectKey, Stamp};
use myfsio_actors::policy_engine::{
    AccessRequest, Decision, DraftPolicy, IdentityPolicy, InvalidPolicy, ObjectFacts, ObjectState, PolicyHome,
    RequestContext, Trace, find_action, is_condition_key, probe::is_about_objects, refuse_ambiguous,
};
use myfsio_actors::storage::{Bucket, Object};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::compare::{self, Comparison};
use crate::decisions::{Explanation, hide_policies_of_the_caller, hide_the_caller};
use crate::node::Node;
use crate::s3::authorize::facts_of;
use crate::s3::body::RequestBody;
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::preflight::Caller;
use crate::s3::respond::{Answer, json};

/// Largest question in bytes.
const QUESTION_BYTES_MAX: usize = 256 * 1024;
/// Most policies in place of a principal's own.
const POLICIES_MAX: usize = 100;
/// Most values of all condition keys together.
const VALUES_MAX: usize = 1000;
/// Name and access key of sessions that nobody has begun.
const SESSION_NAME: &str = "simulated";

/// The question, as it is sent.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    /// ARN, user id, access key or name; null or `anonymous` for nobody.
    #[serde(default)]
    principal: Option<String>,
    action: String,
    #[serde(default)]
    bucket: Option<String>,
    #[serde(default)]
    key: Option<String>,
    /// ARN of what is asked for, in place of bucket and key, or where it is neither.
    #[serde(default)]
    resource: Option<String>,
    /// Condition keys, each with one value or a list of them.
    #[serde(default)]
    context: Map<String, Value>,
    /// In place of the bucket's policy; null is none.
    #[serde(default, deserialize_with = "present")]
    bucket_policy: Option<Value>,
    /// In place of the principal's own policies.
    #[serde(default)]
    identity_policies: Option<Vec<Value>>,
    /// In place of the object's tags.
    #[serde(default)]
    object_tags: Option<Map<String, Value>>,
}

/// A value that may be null, and then is there.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// A policy in place of the bucket's, with its text for those who look for what to try.
#[derive(Debug)]
pub struct Draft {
    /// None is none.
    pub policy: Option<DraftPolicy>,
    /// The document.
    pub document: Value,
}

/// The question, understood.
#[derive(Debug)]
pub struct Simulation {
    /// Who asks, as the question names it.
    pub called: Option<String>,
    /// Who asks; none is anonymous.
    pub principal: Option<Arc<Principal>>,
    /// The same with the policies that the question puts in place of its own.
    pub altered: Option<Arc<Principal>>,
    /// Those policies.
    pub identity_documents: Option<Vec<Value>>,
    /// What for.
    pub action: String,
    /// The bucket's name.
    pub bucket_name: Option<BucketName>,
    /// The bucket, if it is there.
    pub bucket: Option<Arc<Bucket>>,
    /// The key.
    pub key: Option<ObjectKey>,
    /// What is asked for, where it is no bucket.
    pub resource: Option<String>,
    /// What conditions may ask for.
    pub context: RequestContext,
    /// In place of the bucket's policy.
    pub draft: Option<Draft>,
    /// In place of the object's tags.
    pub tags: Option<Vec<Tag>>,
}

/// Answers the question in the body. Errs: InvalidRequest, InvalidArgument, NoSuchBucket, KeyTooLongError, MalformedPolicy with
/// the place of the mistake; AccessDenied for those who neither administer the node nor may set the policy of the bucket; SlowDown
/// while as many others are answered as may be at once.
pub async fn simulate(node: &Arc<Node>, caller: &Caller, mut body: RequestBody) -> Answer {
    let body = body.collect(QUESTION_BYTES_MAX).await?;
    let is_administrator = caller.is_administrator(node);
    // Who may not ask at all learns nothing of how to ask.
    let asker = caller.principal().ok_or_else(|| caller.refused(node))?;
    let question = read(&body)?;
    let (bucket_name, key, resource) = target(&question)?;
    let bucket = bucket_name.as_ref().map(|name| node.storage.bucket(name)).transpose();
    if !is_administrator {
        let bucket = bucket.as_ref().ok().and_then(|bucket| bucket.as_deref()).ok_or_else(|| caller.refused(node))?;
        if !find_action(&question.action).is_some_and(|row| row.checks.starts_with("s3:")) {
            return Err(caller.refused(node));
        }
        caller.ask(node, "s3:PutBucketPolicy", bucket).await?;
    }
    node.access.refresh().await;
    let simulation = Simulation {
        bucket: match find_action(&question.action) {
            // What is about to be made is not there.
            Some(row) if row.checks == "s3:CreateBucket" => None,
            _ => bucket?,
        },
        ..understand(
            node,
            question,
            (bucket_name, key, resource),
            (!is_administrator).then_some(&**asker),
            caller.received(),
        )?
    };
    let place = Arc::clone(&node.simulations).try_acquire_owned().map_err(|_| S3Error::from(ErrorCode::SlowDown))?;
    let (node, asker) = (Arc::clone(node), (!is_administrator).then(|| asker.clone()));
    let answered = spawn_blocking(move || {
        let _place = place;
        simulation.answer(&node, asker.as_deref())
    });
    Ok(json(StatusCode::OK, &answered.await.map_err(S3Error::internal)??))
}

fn read(body: &[u8]) -> Result<Question, S3Error> {
    let refused = |error: &dyn std::fmt::Display| {
        S3Error::with_message(ErrorCode::InvalidRequest, format!("The body is no question: {error}"))
    };
    let text = std::str::from_utf8(body).map_err(|error| refused(&error))?;
    refuse_ambiguous(text).map_err(|error| refused(&error))?;
    serde_json::from_str(text).map_err(|error| refused(&error))
}

type Target = (Option<BucketName>, Option<ObjectKey>, Option<String>);

/// What is asked for. Errs: InvalidArgument, InvalidBucketName, KeyTooLongError.
fn target(question: &Question) -> Result<Target, S3Error> {
    let invalid = |name: &str, value: &str, message: &'static str| S3Error::invalid_argument(name, value, message);
    let (bucket, key) = match (&question.bucket, &question.resource) {
        (Some(_), Some(resource)) => {
            return Err(invalid("resource", resource, "It stands in place of the bucket, not beside it."));
        }
        (None, Some(resource)) => match resource.strip_prefix("arn:aws:s3:::") {
            Some(rest) if question.key.is_none() && !rest.is_empty() => match rest.split_once('/') {
                Some((bucket, key)) => (Some(bucket), Some(key).filter(|key| !key.is_empty())),
                None => (Some(rest), None),
            },
            Some(_) => return Err(invalid("resource", resource, "It names no bucket.")),
            None if resource == "*" || resource.starts_with("arn:") => (None, None),
            None => return Err(invalid("resource", resource, "It is no ARN.")),
        },
        (bucket, None) => (bucket.as_deref(), question.key.as_deref().filter(|key| !key.is_empty())),
    };
    let is_about_objects = find_action(&question.action).is_some_and(|row| is_about_objects(row.checks));
    let key = match (bucket, key) {
        (None, Some(key)) => return Err(invalid("key", key, "A key is one of a bucket.")),
        (Some(_), None) if is_about_objects => {
            return Err(invalid("key", "", "The action is one on objects, so it takes a key."));
        }
        // The action is one on the bucket, whatever is in it.
        (_, key) => key.filter(|_| is_about_objects),
    };
    let name = bucket.map(BucketName::parse).transpose().map_err(|_| S3Error::from(ErrorCode::InvalidBucketName))?;
    let key = key.map(|key| crate::s3::route::parse_key(key.as_bytes())).transpose()?;
    let resource = question.resource.clone().filter(|_| name.is_none() && question.resource.as_deref() != Some("*"));
    Ok((name, key, resource))
}

fn malformed(error: &InvalidPolicy) -> S3Error {
    S3Error::with_message(ErrorCode::MalformedPolicy, error.to_string())
}

fn understand(
    node: &Node,
    question: Question,
    (bucket_name, key, resource): Target,
    asker: Option<&Principal>,
    now: Stamp,
) -> Result<Simulation, S3Error> {
    if find_action(&question.action).is_none() {
        return Err(S3Error::invalid_argument("action", &question.action, "There is no such action."));
    }
    let principal = match question.principal.as_deref() {
        None | Some("anonymous") => None,
        Some(name) => {
            // Somebody of another account is known by what policies name strangers by, and not found by other names.
            let may_know = |found: &Arc<Principal>| {
                let by_name = !name.starts_with("arn:") && name != found.user_id.as_str();
                asker.is_none_or(|asker| asker.account_id == found.account_id || !by_name)
            };
            let found = principal_called(&node.access.iam.directory(), name, now).filter(may_know);
            Some(found.ok_or_else(|| S3Error::invalid_argument("principal", name, "There is no such principal."))?)
        }
    };
    let altered = match (&question.identity_policies, &principal) {
        (None, _) => None,
        (Some(_), None) => {
            let message = "Nobody has no policies.";
            return Err(S3Error::invalid_argument("identity_policies", "", message));
        }
        (Some(values), Some(principal)) => {
            Some(Arc::new(Principal { policies: identity_policies(values)?.into(), ..Principal::clone(principal) }))
        }
    };
    let draft = match (question.bucket_policy, &bucket_name) {
        (None, _) => None,
        (Some(_), None) => {
            let message = "There is no bucket whose policy it could be.";
            return Err(S3Error::invalid_argument("bucket_policy", "", message));
        }
        (Some(Value::Null), _) => Some(Draft { policy: None, document: Value::Null }),
        (Some(document), Some(bucket)) => {
            let text = match &document {
                // As GetBucketPolicy gives it.
                Value::String(text) => text.clone(),
                document => document.to_string(),
            };
            let policy = DraftPolicy::parse(&text, bucket).map_err(|error| malformed(&error))?;
            let document = serde_json::from_str(&text).unwrap_or_default();
            Some(Draft { policy: Some(policy), document })
        }
    };
    let tags = question.object_tags.map(|tags| {
        let tag = |(key, value): (String, Value)| match value {
            Value::String(value) => Ok((key, value)),
            _ => Err(S3Error::invalid_argument("object_tags", &key, "A tag's value is a text.")),
        };
        tags.into_iter().map(tag).collect::<Result<Vec<Tag>, _>>()
    });
    Ok(Simulation {
        called: question.principal,
        principal,
        altered,
        identity_documents: question.identity_policies,
        action: question.action,
        bucket_name,
        bucket: None,
        key,
        resource,
        context: context(&question.context, now)?,
        draft,
        tags: tags.transpose()?,
    })
}

/// Everybody whom policies may mean: the users, and each role as somebody who has assumed it.
pub fn everybody(directory: &Directory, now: Stamp) -> Vec<Arc<Principal>> {
    let roles = directory.roles().iter().filter_map(|role| assumed(role, SESSION_NAME, now));
    directory.principals().iter().cloned().chain(roles).collect()
}

/// A session of a role, bounded by nothing.
fn assumed(role: &RoleEntry, session_name: &str, now: Stamp) -> Option<Arc<Principal>> {
    let session = Session {
        issued_at: now,
        expires_at: now.after(role.max_session_duration),
        policies: Vec::new(),
        provider: None,
        source_identity: None,
        tags: Vec::new(),
        transitive_tag_keys: Vec::new(),
        claims: Vec::new(),
    };
    let access_key = AccessKeyId::parse(SESSION_NAME).ok()?;
    Some(Arc::new(role.principal(access_key, session_name, Arc::new(session))))
}

/// Who goes by an ARN, user id, access key or name; also by the ARN of a role or of one of its sessions.
fn principal_called(directory: &Directory, name: &str, now: Stamp) -> Option<Arc<Principal>> {
    let goes_by = |principal: &&Arc<Principal>| principal.is_called(name) || principal.arn() == name;
    let user = directory.principals().iter().find(goes_by).cloned();
    user.or_else(|| {
        let session = name.strip_prefix("arn:aws:sts::").and_then(|rest| rest.split_once(":assumed-role/"));
        let session =
            session.and_then(|(account, rest)| rest.split_once('/').map(|(role, name)| (account, role, name)));
        let role = |role: &&RoleEntry| match session {
            Some((account_id, of, _)) => role.account_id == account_id && role.name == of,
            None => role.arn() == name,
        };
        let session_name = session.map_or(SESSION_NAME, |(_, _, name)| name);
        directory.roles().iter().find(role).and_then(|role| assumed(role, session_name, now))
    })
}

fn identity_policies(values: &[Value]) -> Result<Vec<IdentityPolicy>, S3Error> {
    if values.len() > POLICIES_MAX {
        let mistake = InvalidPolicy::new("identity_policies", format!("are more than {POLICIES_MAX}"));
        return Err(malformed(&mistake));
    }
    let parse = |(index, value): (usize, &Value)| {
        let place = format!("identity_policies[{index}]");
        let policy = IdentityPolicy::parse(value, &place).map_err(|error| malformed(&error))?;
        match policy.unknown_words().first() {
            Some(word) => {
                let mistake = InvalidPolicy::new(format!("{place}.actions"), format!("`{word}` is not an action"));
                Err(malformed(&mistake))
            }
            None => Ok(policy.at(PolicyHome::Own { index })),
        }
    };
    values.iter().enumerate().map(parse).collect()
}

/// The request that the condition keys describe. Errs: InvalidArgument for one that is none, that follows from the rest of the
/// question, or whose value is no such thing.
fn context(given: &Map<String, Value>, now: Stamp) -> Result<RequestContext, S3Error> {
    let mut context = RequestContext::new(now, None, false);
    let mut count = 0;
    for (key, values) in given {
        let refused = |message: &'static str| S3Error::invalid_argument("context", key, message);
        let lower = key.to_ascii_lowercase();
        if !is_condition_key(key) {
            return Err(refused("There is no such condition key."));
        }
        if follows_from_the_rest(&lower) {
            return Err(refused("It follows from principal, bucket or object_tags."));
        }
        let values = match values {
            Value::Array(list) => list.as_slice(),
            single => std::slice::from_ref(single),
        };
        for value in values {
            count += 1;
            let text = match value {
                Value::String(text) => text.clone(),
                Value::Bool(_) | Value::Number(_) => value.to_string(),
                _ => return Err(refused("Its value is no text, number or truth value, nor a list of them.")),
            };
            context.tell(key, &text).map_err(refused)?;
        }
    }
    match count > VALUES_MAX {
        true => Err(S3Error::invalid_argument("context", "", "There are too many values.")),
        false => Ok(context),
    }
}

fn follows_from_the_rest(key: &str) -> bool {
    let keys = [
        "aws:username",
        "aws:userid",
        "aws:principaltype",
        "aws:principalarn",
        "aws:principalaccount",
        "aws:resourceaccount",
        "aws:viaawsservice",
        "aws:principalisawsservice",
        "s3:resourceaccount",
    ];
    keys.contains(&key) || key.starts_with("aws:principaltag/") || key.starts_with("s3:existingobjecttag/")
}

impl Simulation {
    /// The answer; `asker` is set where it is for somebody who does not administer the node.
    fn answer(&self, node: &Node, asker: Option<&Principal>) -> Result<Value, S3Error> {
        let object = self.object(node)?;
        let state = self.state(object.as_deref());
        let altered = self.altered.as_ref().or(self.principal.as_ref()).map(|principal| &**principal);
        let mut told = self.tell(node, altered, state, true, asker)?;
        if self.draft.is_none() && self.altered.is_none() {
            return Ok(Value::Object(told));
        }
        let in_force = self.tell(node, self.principal.as_deref(), state, false, asker)?;
        told.insert("in_force".to_owned(), Value::Object(in_force));
        if let Some(bucket) = &self.bucket {
            let comparison = Comparison { node, simulation: self, bucket, object: state, asker };
            told.insert("changes".to_owned(), compare::changes(&comparison));
        }
        Ok(Value::Object(told))
    }

    fn object(&self, node: &Node) -> Result<Option<Arc<Object>>, S3Error> {
        let (Some(bucket), Some(key)) = (&self.bucket, &self.key) else { return Ok(None) };
        match node.storage.peek_object(bucket, key, None) {
            Ok(found) => Ok(Some(found.object)),
            Err(error) if crate::s3::authorize::is_absence(&error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn state<'a>(&'a self, object: Option<&'a Object>) -> ObjectState<'a> {
        match (object, &self.tags, &self.bucket) {
            (Some(object), None, _) => ObjectState::Found(facts_of(object)),
            (Some(object), Some(tags), _) => ObjectState::Found(ObjectFacts { tags, ..facts_of(object) }),
            // One that is given tags is thought to be there, and the bucket owner's.
            (None, Some(tags), Some(bucket)) => {
                ObjectState::Found(ObjectFacts { owner: &bucket.owner, acl: None, tags })
            }
            (None, _, _) => ObjectState::Missing,
        }
    }

    /// What would be asked.
    pub fn request<'a>(
        &'a self,
        principal: Option<&'a Principal>,
        action: &'a str,
        key: Option<&'a str>,
        object: ObjectState<'a>,
    ) -> AccessRequest<'a> {
        AccessRequest {
            principal,
            action,
            bucket: self.bucket_name.as_ref(),
            bucket_owner: self.bucket.as_ref().map(|bucket| &bucket.owner),
            config: self.bucket.as_ref().map(|bucket| &*bucket.config),
            key,
            resource: self.resource.as_deref(),
            object,
            context: &self.context,
        }
    }

    fn tell(
        &self,
        node: &Node,
        principal: Option<&Principal>,
        object: ObjectState<'_>,
        under_draft: bool,
        asker: Option<&Principal>,
    ) -> Result<Map<String, Value>, S3Error> {
        let request = self.request(principal, &self.action, self.key.as_ref().map(|key| key.as_str()), object);
        let engine = &node.access.policy_engine;
        let (decision, trace): (Decision, Trace) = match &self.draft {
            Some(draft) if under_draft => engine.explain_under(&request, draft.policy.as_ref()),
            _ => engine.explain(&request),
        };
        let told = Explanation::of(&request, &decision, trace);
        let Value::Object(mut told) = serde_json::to_value(&told).map_err(S3Error::internal)? else {
            return Ok(Map::new());
        };
        let is_foreign =
            |asker: &&Principal| principal.is_some_and(|principal| principal.account_id != asker.account_id);
        if asker.filter(is_foreign).is_some() {
            hide_the_caller(&mut told, self.called.as_deref().unwrap_or_default());
            hide_policies_of_the_caller(&mut told);
        }
        Ok(told)
    }
}
