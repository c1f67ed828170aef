//! Simulation of policies (IAM API Reference, SimulatePrincipalPolicy and SimulateCustomPolicy), by the rules that requests are
//! decided with. As on AWS it tells what policies say: a root has its rights without any.

use std::sync::Arc;

use myfsio_actors::iam::{GroupEntry, Principal, Session};
use myfsio_actors::names::{AccessKeyId, BucketName, Stamp};
use myfsio_actors::policy_engine::{
    DraftPolicy, IdentityPolicy, InvalidPolicy, PolicyDecision, PolicyHome, PolicyQuestion, RequestContext, Source,
    StatementRef, ask_policies, context_keys,
};

use tokio::task::spawn_blocking;

use super::target::{arn_parameter, directory};
use super::{DOCUMENT_MAX, write};
use crate::aws::call::Call;
use crate::aws::error::{ApiError, ErrorCode};
use crate::aws::page::Page;
use crate::aws::parameters::{Parameters, missing, pattern};
use crate::s3::error::S3Error;
use crate::s3::xml::XmlWriter;

/// Most policies, actions, resources, condition keys and values of a request, and most questions that it asks.
const POLICIES_MAX: usize = 20;
const ACTIONS_MAX: usize = 128;
const RESOURCES_MAX: usize = 128;
const ENTRIES_MAX: usize = 128;
const VALUES_MAX: usize = 32;
const QUESTIONS_MAX: usize = 2048;
const TEXT_MAX: usize = 2048;

/// SimulateCustomPolicy.
pub async fn custom_policy(call: &Call, out: &mut XmlWriter) -> Result<(), ApiError> {
    let policies = drafts(&call.parameters, "PolicyInputList")?;
    if policies.is_empty() {
        return Err(missing("PolicyInputList"));
    }
    let caller = call.parameters.get("CallerArn").map(|_| principal(call, "CallerArn")).transpose()?;
    simulate(call, caller, policies, out).await
}

/// SimulatePrincipalPolicy.
pub async fn principal_policy(call: &Call, out: &mut XmlWriter) -> Result<(), ApiError> {
    let source = principal(call, "PolicySourceArn")?;
    let mut policies = source.policies.to_vec();
    policies.extend(drafts(&call.parameters, "PolicyInputList")?);
    simulate(call, Some(source), policies, out).await
}

/// GetContextKeysForCustomPolicy.
pub fn context_keys_for_custom_policy(call: &Call, out: &mut XmlWriter) -> Result<(), ApiError> {
    let policies = drafts(&call.parameters, "PolicyInputList")?;
    write::texts(out, "ContextKeyNames", context_keys(&policies).iter().map(String::as_str));
    Ok(())
}

/// GetContextKeysForPrincipalPolicy.
pub fn context_keys_for_principal_policy(call: &Call, out: &mut XmlWriter) -> Result<(), ApiError> {
    let source = principal(call, "PolicySourceArn")?;
    let further = drafts(&call.parameters, "PolicyInputList")?;
    let keys = context_keys(source.policies.iter().chain(&further));
    write::texts(out, "ContextKeyNames", keys.iter().map(String::as_str));
    Ok(())
}

async fn simulate(
    call: &Call,
    asker: Option<Arc<Principal>>,
    policies: Vec<IdentityPolicy>,
    out: &mut XmlWriter,
) -> Result<(), ApiError> {
    let parameters = &call.parameters;
    let actions = parameters.list("ActionNames", ACTIONS_MAX)?;
    if actions.is_empty() {
        return Err(missing("ActionNames"));
    }
    if let Some(odd) = actions.iter().find(|action| !is_action(action)) {
        return Err(pattern("ActionNames", odd, "[a-z0-9-]+:[A-Za-z]+"));
    }
    let mut resources = parameters.list("ResourceArns", RESOURCES_MAX)?;
    if resources.is_empty() {
        resources.push("*");
    }
    if resources.iter().any(|resource| resource.chars().count() > TEXT_MAX) {
        return Err(ApiError::validation("A resource has at most 2048 characters."));
    }
    if actions.len() * resources.len() > QUESTIONS_MAX {
        return Err(ApiError::validation(format!(
            "At most {QUESTIONS_MAX} pairs of action and resource are simulated."
        )));
    }
    let boundaries = drafts(parameters, "PermissionsBoundaryPolicyInputList")?;
    let (context, given) = context(parameters, call.received)?;
    let lacking: Vec<_> = context_keys(policies.iter().chain(&boundaries))
        .into_iter()
        .filter(|key| {
            !given.iter().any(|name| name.eq_ignore_ascii_case(key)) && !is_always_known(key, asker.as_deref())
        })
        .collect();
    let pairs = resources.iter().flat_map(|resource| actions.iter().map(|action| (*action, *resource)));
    // Only what the page tells is asked.
    let page = Page::of(parameters, pairs.enumerate(), |(place, _)| format!("{place:06}"))?;
    let mut resource_policies: Vec<(&str, Option<DraftPolicy>)> = Vec::new();
    let mut pairs = Vec::new();
    for (_, (action, resource)) in &page.items {
        if resource_policies.last().is_none_or(|(last, _)| last != resource) {
            resource_policies.push((resource, resource_policy(parameters, resource)?));
        }
        pairs.push(Pair {
            action: (*action).to_owned(),
            resource: (*resource).to_owned(),
            resource_policy: resource_policies.len() - 1,
        });
    }
    let resource_policies = resource_policies.into_iter().map(|(_, policy)| policy).collect();
    let asked = Questions { principal: asker, policies, boundaries, resource_policies, pairs, context };
    let (asked, answers) = asked.answer(call).await?;
    let principal = asked.principal.as_deref();
    out.open("EvaluationResults");
    for (pair, (decision, deciding)) in asked.pairs.iter().zip(&answers) {
        out.open("member").text("EvalActionName", &pair.action).text("EvalResourceName", &pair.resource);
        let told = match decision {
            PolicyDecision::Allowed => "allowed",
            PolicyDecision::ExplicitDeny => "explicitDeny",
            PolicyDecision::ImplicitDeny => "implicitDeny",
        };
        out.text("EvalDecision", told).open("MatchedStatements");
        for statement in deciding {
            let (id, kind) = policy_of(statement, principal);
            out.open("member").text("SourcePolicyId", &id).text("SourcePolicyType", kind).close();
        }
        out.close();
        write::texts(out, "MissingContextValues", lacking.iter().map(String::as_str));
        out.close();
    }
    out.close();
    page.end(out);
    Ok(())
}

/// An action on a resource, and which of the resources' policies is that of this one.
struct Pair {
    action: String,
    resource: String,
    resource_policy: usize,
}

/// What policies are asked by one request.
struct Questions {
    principal: Option<Arc<Principal>>,
    policies: Vec<IdentityPolicy>,
    boundaries: Vec<IdentityPolicy>,
    resource_policies: Vec<Option<DraftPolicy>>,
    pairs: Vec<Pair>,
    context: RequestContext,
}

impl Questions {
    /// Asks them, in their order. It may take a core for seconds, so it has one of few places, on a thread of its own. Errs:
    /// Throttling while these are taken.
    async fn answer(self, call: &Call) -> Result<(Self, Vec<(PolicyDecision, Vec<StatementRef>)>), ApiError> {
        let place = Arc::clone(&call.node.simulations).try_acquire_owned();
        let place = place.map_err(|_| ApiError::from(ErrorCode::Throttling))?;
        let answered = spawn_blocking(move || {
            let _place = place;
            let answers = self.pairs.iter().map(|pair| self.ask(pair)).collect();
            (self, answers)
        });
        answered.await.map_err(|error| S3Error::internal(error).into())
    }

    fn ask(&self, pair: &Pair) -> (PolicyDecision, Vec<StatementRef>) {
        ask_policies(&PolicyQuestion {
            principal: self.principal.as_deref(),
            policies: &self.policies,
            boundaries: &self.boundaries,
            resource_policy: self.resource_policies.get(pair.resource_policy).and_then(Option::as_ref),
            action: &pair.action,
            resource: &pair.resource,
            context: &self.context,
        })
    }
}

/// Id and type of the policy that a statement stands in.
fn policy_of(statement: &StatementRef, principal: Option<&Principal>) -> (String, &'static str) {
    let Source::Identity { home, name } = &statement.source else {
        return ("ResourcePolicy".to_owned(), "resource");
    };
    let name = name.as_deref().unwrap_or("policy");
    match (home, principal) {
        (PolicyHome::Managed { arn, .. }, _) if arn.starts_with("arn:aws:iam::aws:") => {
            (arn.to_string(), "aws-managed")
        }
        (PolicyHome::Managed { arn, .. }, _) => (arn.to_string(), "user-managed"),
        (PolicyHome::Group { group, .. }, _) => (format!("group_{group}_{name}"), "group"),
        (PolicyHome::Own { .. }, Some(principal)) if principal.role.is_some() => {
            (format!("role_{}_{name}", principal.user_name), "role")
        }
        (PolicyHome::Own { .. }, Some(principal)) => (format!("user_{}_{name}", principal.user_name), "user"),
        (PolicyHome::Own { .. } | PolicyHome::Session { .. }, _) => (name.to_owned(), "none"),
    }
}

/// Policies that come with the request.
fn drafts(parameters: &Parameters, list: &str) -> Result<Vec<IdentityPolicy>, ApiError> {
    let texts = parameters.list(list, POLICIES_MAX)?;
    let parse = |(index, text): (usize, &str)| {
        if text.chars().count() > DOCUMENT_MAX {
            return Err(ApiError::validation("A policy has at most 131072 characters."));
        }
        let policy = IdentityPolicy::draft(text, &format!("{list}.{}", index + 1)).map_err(malformed)?;
        // Like those of a session they come with the request.
        Ok(policy.at(PolicyHome::Session { index }))
    };
    texts.into_iter().enumerate().map(parse).collect()
}

/// `ResourcePolicy`, as the policy of the bucket that the resource is, or is in.
fn resource_policy(parameters: &Parameters, resource: &str) -> Result<Option<DraftPolicy>, ApiError> {
    let Some(text) = parameters.text_if("ResourcePolicy", DOCUMENT_MAX)? else { return Ok(None) };
    let path = resource.strip_prefix("arn:aws:s3:::").unwrap_or_default();
    let bucket = BucketName::parse(path.split('/').next().unwrap_or_default()).map_err(|_| {
        ApiError::with_message(
            ErrorCode::InvalidInput,
            "ResourcePolicy needs the ARN of a bucket or object in ResourceArns.",
        )
    })?;
    DraftPolicy::parse(text, &bucket).map(Some).map_err(malformed)
}

fn malformed(error: InvalidPolicy) -> ApiError {
    ApiError::with_message(ErrorCode::MalformedPolicyDocument, error.to_string())
}

fn is_action(text: &str) -> bool {
    let is_word = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    text.len() <= 128 && text.split_once(':').is_some_and(|(service, name)| is_word(service) && is_word(name))
}

/// Whether a condition key has a value without being given one.
fn is_always_known(key: &str, principal: Option<&Principal>) -> bool {
    let key = key.to_ascii_lowercase();
    let of_request = matches!(key.as_str(), "aws:currenttime" | "aws:epochtime" | "aws:securetransport");
    let of_principal = matches!(
        key.as_str(),
        "aws:username" | "aws:userid" | "aws:principalarn" | "aws:principalaccount" | "aws:principaltype"
    );
    of_request || (of_principal && principal.is_some())
}

/// `ContextEntries`, with the names that were given.
fn context(parameters: &Parameters, now: Stamp) -> Result<(RequestContext, Vec<String>), ApiError> {
    let (mut context, mut names) = (RequestContext::new(now, None, false), Vec::new());
    for at in parameters.structures("ContextEntries", ENTRIES_MAX)? {
        let name = parameters.text(&format!("{at}.ContextKeyName"), 256)?.to_owned();
        let values = parameters.list(&format!("{at}.ContextKeyValues"), VALUES_MAX)?;
        for value in values {
            // What is no address and no time is as if it were not given.
            let _ = context.tell(&name, value);
        }
        names.push(name);
    }
    Ok((context, names))
}

/// The user, role, or group of the caller's account whose ARN a parameter is. Errs: NoSuchEntity, InvalidInput.
fn principal(call: &Call, parameter: &str) -> Result<Arc<Principal>, ApiError> {
    let arn = arn_parameter(call, parameter)?;
    let (directory, account_id) = (directory(call), call.account_id()?);
    let not_found = || {
        let message = format!("The principal {arn} cannot be found.");
        ApiError::with_message(ErrorCode::NoSuchEntity, message)
    };
    if let Some(role) = directory.role_by_arn(arn).filter(|role| role.account_id == account_id) {
        return Ok(Arc::new(role.principal(nobody()?, SESSION_NAME, Arc::new(session(call)))));
    }
    if let Some(group) = directory.groups_of(account_id).find(|group| group.arn(account_id) == arn) {
        return Ok(Arc::new(member(call, group)?));
    }
    let user = directory.users_of(account_id).find(|user| user.arn() == arn).ok_or_else(not_found)?;
    directory.principal_of(&user.user_id).cloned().ok_or_else(not_found)
}

/// The name of the session that a role is simulated in.
const SESSION_NAME: &str = "simulation";

/// The session that a role is simulated in: bounded by nothing.
fn session(call: &Call) -> Session {
    Session { issued_at: call.received, expires_at: call.received, ..Session::default() }
}

/// Somebody who has nothing but what the group gives.
fn member(call: &Call, group: &GroupEntry) -> Result<Principal, ApiError> {
    let caller = call.caller()?;
    Ok(Principal {
        user_id: caller.user_id.clone(),
        account_id: caller.account_id.clone(),
        access_key: nobody()?,
        access_keys: Arc::from([]),
        display_name: group.name.clone(),
        user_name: group.name.clone(),
        path: group.path.clone(),
        is_root: false,
        is_named_root: false,
        shares_arn: false,
        unambiguous_names: Arc::from([]),
        policies: Arc::from(group.identity_policies()),
        tags: Arc::from([]),
        role: None,
        session: None,
    })
}

/// The access key of who signs nothing.
fn nobody() -> Result<AccessKeyId, ApiError> {
    AccessKeyId::parse("none").map_err(ApiError::internal)
}
