//! Inline policies of users, groups and roles (IAM API Reference, PutUserPolicy and its like).
//!
//! Grants of the short form have no names and are none of them: they are the node administrator's, and stay as they are.

use myfsio_actors::iam::{DeleteInlinePolicy, Holder, PutInlinePolicy, inline_document, inline_policies};
use serde_json::Value;

use super::target::{NAME_MAX, directory, named, named_user};
use super::{change, policy_document, write};
use crate::aws::call::Call;
use crate::aws::error::{ApiError, ErrorCode};
use crate::aws::page::Page;
use crate::s3::xml::XmlWriter;

/// Who holds the policies of a request, and which.
pub struct Of {
    /// The element and the name in answers.
    name: (&'static str, String),
    policies: Value,
    /// What is attached to it.
    pub attached: Vec<String>,
}

/// The kinds of holders.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Users.
    User,
    /// Groups.
    Group,
    /// Roles.
    Role,
}

/// Who holds the policies of a request, as it is named; it need not be there.
pub fn holder(call: &Call, kind: Kind) -> Result<Holder, ApiError> {
    Ok(match kind {
        Kind::User => Holder::User(named_user(call, &directory(call))?),
        Kind::Group => Holder::Group(named(call, "GroupName")?),
        Kind::Role => Holder::Role(named(call, "RoleName")?),
    })
}

/// Looks up who holds the policies of a request. Errs: NoSuchEntity.
pub fn look_up(call: &Call, kind: Kind) -> Result<Of, ApiError> {
    let directory = directory(call);
    let (name, policies, attached) = match &holder(call, kind)? {
        Holder::User(which) => {
            let user = directory.user(which)?;
            (("UserName", user.user_name.clone()), user.policies.clone(), user.attached_policies.clone())
        }
        Holder::Group(which) => {
            let group = directory.group(&which.account_id, &which.name)?;
            (("GroupName", group.name.clone()), group.policies.clone(), group.attached_policies.clone())
        }
        Holder::Role(which) => {
            let role = directory.role(&which.account_id, &which.name)?;
            (("RoleName", role.name.clone()), role.policies.clone(), role.attached_policies.clone())
        }
    };
    Ok(Of { name, policies, attached })
}

/// PutUserPolicy, PutGroupPolicy, PutRolePolicy.
pub async fn put(call: &Call, kind: Kind) -> Result<(), ApiError> {
    let message = PutInlinePolicy {
        holder: holder(call, kind)?,
        policy_name: policy_name(call)?.to_owned(),
        document: policy_document(call, "PolicyDocument")?,
    };
    change(call, message).await
}

/// GetUserPolicy, GetGroupPolicy, GetRolePolicy.
pub fn get(call: &Call, kind: Kind, out: &mut XmlWriter) -> Result<(), ApiError> {
    let (of, wanted) = (look_up(call, kind)?, policy_name(call)?);
    let Some((name, policy)) = inline_policies(&of.policies).find(|(name, _)| name == wanted) else {
        let kind = of.name.0.trim_end_matches("Name").to_ascii_lowercase();
        let message = format!("The {kind} policy with name {wanted} cannot be found.");
        return Err(ApiError::with_message(ErrorCode::NoSuchEntity, message));
    };
    out.text(of.name.0, &of.name.1).text("PolicyName", &name);
    write::document(out, "PolicyDocument", &inline_document(policy));
    Ok(())
}

/// ListUserPolicies, ListGroupPolicies, ListRolePolicies.
pub fn list(call: &Call, kind: Kind, out: &mut XmlWriter) -> Result<(), ApiError> {
    let of = look_up(call, kind)?;
    let names = inline_policies(&of.policies).map(|(name, _)| name);
    let page = Page::of(&call.parameters, names, |name| name.clone().into_owned())?;
    write::texts(out, "PolicyNames", page.items.iter().map(|name| &**name));
    page.end(out);
    Ok(())
}

/// DeleteUserPolicy, DeleteGroupPolicy, DeleteRolePolicy.
pub async fn delete(call: &Call, kind: Kind) -> Result<(), ApiError> {
    let policy_name = policy_name(call)?.to_owned();
    change(call, DeleteInlinePolicy { holder: holder(call, kind)?, policy_name }).await
}

fn policy_name(call: &Call) -> Result<&str, ApiError> {
    call.parameters.name("PolicyName", NAME_MAX)
}
