//! What a request is about: the entity that its parameters name, and the ARN that its permission is asked for.
//!
//! Names are those of the caller's account. The node's administrators, whose grants hold in every account, may also name a user
//! of another one by its user id.

use std::sync::Arc;

use myfsio_actors::iam::{Directory, Named, UserSummary, WhichUser};
use myfsio_actors::names::CanonicalId;

use crate::aws::action::Resource;
use crate::aws::call::Call;
use crate::aws::error::{ApiError, ErrorCode};
use crate::aws::names::arn;
use crate::aws::permission;

/// Longest name of a user or role that is there, or of a group or policy, in characters.
pub const NAME_MAX: usize = 128;
/// Longest name of a user or role to be made, in characters.
pub const NEW_NAME_MAX: usize = 64;
/// Longest ARN, in characters.
const ARN_MAX: usize = 2048;

/// The ARN that the request's permission is asked for; none where its action has rules of its own. Errs: ValidationError,
/// InvalidInput, MissingAuthenticationToken.
pub fn resource(call: &Call) -> Result<Option<String>, ApiError> {
    let parameters = &call.parameters;
    let resource = call.action.row().resource;
    if resource == Resource::OwnRules {
        return Ok(None);
    }
    let account_id = call.account_id()?;
    let directory = call.node.access.iam.directory();
    let below = |kind| -> Result<_, ApiError> { Ok(arn(account_id, kind, parameters.path_prefix()?, "")) };
    let new = |kind, parameter, max| -> Result<_, ApiError> {
        let path = parameters.path_if("Path")?.unwrap_or("/");
        Ok(arn(account_id, kind, path, parameters.name(parameter, max)?))
    };
    let found = match resource {
        Resource::OwnRules => return Ok(None),
        Resource::Any => "*".to_owned(),
        Resource::Users => below("user")?,
        Resource::Groups => below("group")?,
        Resource::Roles => below("role")?,
        Resource::Policies => below("policy")?,
        Resource::User => arn_of_user(call, &directory, &named_user(call, &directory)?)?,
        Resource::UserOrCaller => arn_of_user(call, &directory, &user_or_caller(call, &directory)?)?,
        Resource::NewUser => new("user", "UserName", NEW_NAME_MAX)?,
        Resource::KeyOwner => match owner_of_key(call, &directory, parameters.text("AccessKeyId", NAME_MAX)?) {
            Some(user) => user.arn(),
            None => "*".to_owned(),
        },
        Resource::Group => {
            let name = parameters.name("GroupName", NAME_MAX)?;
            let group = directory.group(account_id, name);
            group.map_or_else(|_| arn(account_id, "group", "/", name), |group| group.arn(account_id))
        }
        Resource::NewGroup => new("group", "GroupName", NAME_MAX)?,
        Resource::Role => {
            let name = parameters.name("RoleName", NAME_MAX)?;
            directory.role(account_id, name).map_or_else(|_| arn(account_id, "role", "/", name), |role| role.arn())
        }
        Resource::NewRole => new("role", "RoleName", NEW_NAME_MAX)?,
        Resource::Policy => policy_arn(call, &directory, arn_parameter(call, "PolicyArn")?),
        Resource::NewPolicy => new("policy", "PolicyName", NAME_MAX)?,
        Resource::Provider => arn_parameter(call, "OpenIDConnectProviderArn")?.to_owned(),
        Resource::NewProvider => {
            let url = parameters.text("Url", 255)?;
            let host_and_path = url.split_once("://").map_or(url, |(_, rest)| rest).trim_end_matches('/');
            arn(account_id, "oidc-provider", "/", host_and_path)
        }
        Resource::PolicySource => arn_parameter(call, "PolicySourceArn")?.to_owned(),
    };
    Ok(Some(found))
}

/// An ARN of IAM. Errs: ValidationError, InvalidInput.
pub fn arn_parameter<'a>(call: &'a Call, parameter: &str) -> Result<&'a str, ApiError> {
    let text = call.parameters.text(parameter, ARN_MAX)?;
    match text.starts_with("arn:aws:iam::") && text.bytes().all(|b| b.is_ascii_graphic()) {
        true => Ok(text),
        false => Err(ApiError::with_message(ErrorCode::InvalidInput, format!("ARN {text} is not valid."))),
    }
}

/// The ARN of a managed policy in its own spelling, or as it was sent where there is none: policies compare texts, and must not be
/// gone around by another letter case. Nothing is told of policies of other accounts.
pub fn policy_arn(call: &Call, directory: &Directory, sent: &str) -> String {
    let is_seen = |owner: &str| owner == "aws" || call.account_id().is_ok_and(|own| own == owner);
    let own = sent.split(':').nth(4).filter(|owner| is_seen(owner)).and_then(|_| directory.managed_policy_arn(sent));
    own.unwrap_or_else(|| sent.to_owned())
}

/// The user `UserName`. Errs: ValidationError.
pub fn named_user(call: &Call, directory: &Directory) -> Result<WhichUser, ApiError> {
    user_by_name(call, directory, call.parameters.name("UserName", NAME_MAX)?)
}

/// The user `UserName`, or the caller. Errs: ValidationError, also when the caller is no user.
pub fn user_or_caller(call: &Call, directory: &Directory) -> Result<WhichUser, ApiError> {
    match call.parameters.name_if("UserName", NAME_MAX)? {
        Some(name) => user_by_name(call, directory, name),
        None => {
            let caller = call.caller()?;
            if caller.role.is_some() {
                return Err(ApiError::validation("Must specify userName when calling with non-User credentials"));
            }
            Ok(WhichUser::Called(caller.user_id.as_str().to_owned()))
        }
    }
}

fn user_by_name(call: &Call, directory: &Directory, name: &str) -> Result<WhichUser, ApiError> {
    let named = WhichUser::Named(Named::new(call.account_id()?, name));
    let by_id = CanonicalId::parse(name).ok().filter(|_| directory.user(&named).is_err());
    match by_id.and_then(|id| directory.user_by_id(&id)) {
        Some(user) if may_name(call, user)? => Ok(WhichUser::Called(name.to_owned())),
        _ => Ok(named),
    }
}

/// Whether the caller may learn that a user is there. Errs: MissingAuthenticationToken.
fn may_name(call: &Call, user: &UserSummary) -> Result<bool, ApiError> {
    let is_own = call.account_id()? == user.account_id;
    Ok(is_own || permission::is_by_grant(call, call.action.row().permission, &user.arn())?)
}

fn arn_of_user(call: &Call, directory: &Directory, which: &WhichUser) -> Result<String, ApiError> {
    match (directory.user(which), which) {
        (Ok(user), _) => Ok(user.arn()),
        (Err(_), WhichUser::Named(Named { account_id, name })) => Ok(arn(account_id, "user", "/", name)),
        // The caller was deleted a moment ago.
        (Err(_), WhichUser::Called(_)) => Ok(call.caller()?.arn()),
    }
}

/// The user of the caller's account that has an access key, or of any where the caller's own is not meant.
pub fn owner_of_key<'a>(call: &Call, directory: &'a Directory, access_key: &str) -> Option<&'a UserSummary> {
    let user = directory.user(&WhichUser::Called(access_key.to_owned())).ok()?;
    let has_it = user.access_keys.iter().any(|key| key.access_key.as_str() == access_key);
    let is_inside = call.account_id().is_ok_and(|own| own == user.account_id);
    (has_it && is_inside).then_some(user)
}

/// A name in the caller's account. Errs: ValidationError, MissingAuthenticationToken.
pub fn named(call: &Call, parameter: &str) -> Result<Named, ApiError> {
    Ok(Named::new(call.account_id()?, call.parameters.name(parameter, NAME_MAX)?))
}

/// What the node holds at the moment.
pub fn directory(call: &Call) -> Arc<Directory> {
    call.node.access.iam.directory()
}
