//! What conditions of policies may ask for of a request of IAM (Service Authorization Reference, "Condition keys for AWS Identity
//! and Access Management").

use myfsio_actors::iam::Tags;

use super::tags;
use super::target::{arn_parameter, directory, named, named_user, policy_arn, user_or_caller};
use crate::aws::action::Resource;
use crate::aws::call::Call;
use crate::aws::error::ApiError;

/// Adds what the request says, and what its resource has, to what conditions may ask for.
pub fn tell(call: &mut Call) -> Result<(), ApiError> {
    let mut told: Vec<(String, String)> = Vec::new();
    let name = call.action.row().name;
    if name.starts_with("Attach") || name.starts_with("Detach") {
        let arn = call.parameters.get("PolicyArn").map(|arn| policy_arn(call, &directory(call), arn));
        told.extend(arn.map(|arn| ("iam:PolicyARN".to_owned(), arn)));
    }
    for (key, value) in call.parameters.tags("Tags")? {
        told.push((format!("aws:RequestTag/{key}"), value));
        told.push(("aws:TagKeys".to_owned(), key));
    }
    for key in call.parameters.list("TagKeys", tags::KEYS_MAX)? {
        told.push(("aws:TagKeys".to_owned(), key.to_owned()));
    }
    for (key, value) in resource_tags(call) {
        told.push((format!("iam:ResourceTag/{key}"), value.clone()));
        told.push((format!("aws:ResourceTag/{key}"), value));
    }
    for (key, value) in told {
        call.context.add(key, value);
    }
    Ok(())
}

/// The tags of what the request is about; none where it is not there, or nothing that can have some.
fn resource_tags(call: &Call) -> Tags {
    let directory = directory(call);
    let found = match call.action.row().resource {
        Resource::User => {
            named_user(call, &directory).ok().and_then(|which| Some(directory.user(&which).ok()?.tags.clone()))
        }
        Resource::UserOrCaller => {
            user_or_caller(call, &directory).ok().and_then(|which| Some(directory.user(&which).ok()?.tags.clone()))
        }
        Resource::Role => named(call, "RoleName")
            .ok()
            .and_then(|role| Some(directory.role(&role.account_id, &role.name).ok()?.tags.clone())),
        Resource::Policy => {
            arn_parameter(call, "PolicyArn").ok().and_then(|arn| Some(directory.managed_policy(arn).ok()?.tags.clone()))
        }
        Resource::Provider => arn_parameter(call, "OpenIDConnectProviderArn")
            .ok()
            .and_then(|arn| Some(directory.provider(arn).ok()?.tags.clone())),
        _ => None,
    };
    found.unwrap_or_default()
}
