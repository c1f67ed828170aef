//! Managed policies that are attached to users, groups and roles (IAM API Reference, AttachUserPolicy and its like).

use myfsio_actors::iam::{AttachPolicy, DetachPolicy};

use super::inline::{Kind, holder, look_up};
use super::target::arn_parameter;
use super::{change, write};
use crate::aws::call::Call;
use crate::aws::error::ApiError;
use crate::aws::page::Page;
use crate::s3::xml::XmlWriter;

/// AttachUserPolicy, AttachGroupPolicy, AttachRolePolicy.
pub async fn attach(call: &Call, kind: Kind) -> Result<(), ApiError> {
    let policy_arn = arn_parameter(call, "PolicyArn")?.to_owned();
    change(call, AttachPolicy { holder: holder(call, kind)?, policy_arn }).await
}

/// DetachUserPolicy, DetachGroupPolicy, DetachRolePolicy.
pub async fn detach(call: &Call, kind: Kind) -> Result<(), ApiError> {
    let policy_arn = arn_parameter(call, "PolicyArn")?.to_owned();
    change(call, DetachPolicy { holder: holder(call, kind)?, policy_arn }).await
}

/// ListAttachedUserPolicies, ListAttachedGroupPolicies, ListAttachedRolePolicies.
pub fn list(call: &Call, kind: Kind, out: &mut XmlWriter) -> Result<(), ApiError> {
    let of = look_up(call, kind)?;
    let prefix = call.parameters.path_prefix()?;
    let below = |arn: &&String| arn.split_once(":policy").is_some_and(|(_, path)| path.starts_with(prefix));
    let page = Page::of(&call.parameters, of.attached.iter().filter(below), |arn| (*arn).clone())?;
    write::attached(out, "AttachedPolicies", page.items.iter().map(|arn| arn.as_str()));
    page.end(out);
    Ok(())
}
