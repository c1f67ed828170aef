//! Whether the caller may: one question for each request, about the ARN of what its action is about.

use myfsio_actors::iam::{IamChange, Permission, Principal};
use myfsio_actors::policy_engine::{AccessRequest, Decision, ObjectState, Reason};

use super::call::Call;
use super::error::{ApiError, ErrorCode};
use super::iam::target;
use crate::decisions::{Explanation, Why, in_words_of_aws};

/// Asks for the permission of the request's own action. Errs: AccessDenied, MissingAuthenticationToken, and ValidationError when
/// what it is about is not named.
pub fn ask_for_action(call: &Call) -> Result<(), ApiError> {
    match target::resource(call)? {
        Some(resource) => ask(call, call.action.row().permission, &resource).map(|_| ()),
        None => Ok(()),
    }
}

/// Asks for what a change takes by a grant of the short form. Errs: AccessDenied, MissingAuthenticationToken.
pub fn ask_for_grants(call: &Call, change: &impl IamChange) -> Result<(), ApiError> {
    let caller = call.caller()?;
    for Permission { action, resource } in change.takes_by_grant(&target::directory(call), &caller.user_id) {
        if !ask(call, action, &resource)?.is_grant() {
            let message = format!(
                "User: {} is not authorized to perform: {action} on resource: {resource} because grants of the short form, or \
                 the root of an account, are concerned, and no such grant allows the {action} action",
                caller.caller_arn()
            );
            return Err(ApiError::with_message(ErrorCode::AccessDenied, message));
        }
    }
    Ok(())
}

/// Asks for a permission on a resource; answers why the caller has it. Errs: AccessDenied, MissingAuthenticationToken.
pub fn ask(call: &Call, permission: &str, resource: &str) -> Result<Reason, ApiError> {
    let principal = call.caller()?;
    let engine = &call.node.access.policy_engine;
    let request = question(call, permission, resource)?;
    let decision = engine.decide(&request);
    if decision.allowed {
        return Ok(decision.reason);
    }
    let error = denied(principal, permission, resource, &decision);
    if !call.node.decisions.is_on() {
        return Err(error);
    }
    let (_, trace) = engine.explain(&request);
    Err(error.explained(Why::Decided(Box::new(Explanation::of(&request, &decision, trace)))))
}

/// Whether the caller has a permission on a resource by a grant of the short form, which counts in every account. Errs:
/// MissingAuthenticationToken.
pub fn is_by_grant(call: &Call, permission: &str, resource: &str) -> Result<bool, ApiError> {
    let decision = call.node.access.policy_engine.decide(&question(call, permission, resource)?);
    Ok(decision.allowed && decision.reason.is_grant())
}

fn question<'a>(call: &'a Call, permission: &'a str, resource: &'a str) -> Result<AccessRequest<'a>, ApiError> {
    Ok(AccessRequest {
        principal: Some(call.caller()?),
        action: permission,
        bucket: None,
        bucket_owner: None,
        config: None,
        key: None,
        resource: Some(resource),
        object: ObjectState::Missing,
        context: &call.context,
    })
}

/// The refusal, with the reason in the words of AWS.
fn denied(principal: &Principal, permission: &str, resource: &str, decision: &Decision) -> ApiError {
    let message = in_words_of_aws(principal, permission, resource, decision);
    ApiError::with_message(ErrorCode::AccessDenied, message).because(format_args!("{:?}", decision.reason))
}
