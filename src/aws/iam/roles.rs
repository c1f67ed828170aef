//! Roles (IAM API Reference, CreateRole and its like).

use myfsio_actors::iam::{
    CreateRole, DESCRIPTION_CHARACTERS_MAX, DeleteRole, Named, RoleEntry, SESSION_SECONDS, UpdateAssumeRolePolicy,
    UpdateRole,
};

use super::target::{NAME_MAX, NEW_NAME_MAX, directory, named};
use super::{change, policy_document, write};
use crate::aws::call::Call;
use crate::aws::error::{ApiError, ErrorCode};
use crate::aws::page::Page;
use crate::aws::parameters::missing;
use crate::s3::xml::XmlWriter;

/// CreateRole.
pub async fn create_role(call: &Call, out: &mut XmlWriter) -> Result<(), ApiError> {
    let parameters = &call.parameters;
    refuse_boundary(call)?;
    let which = Named::new(call.account_id()?, parameters.name("RoleName", NEW_NAME_MAX)?);
    let message = CreateRole {
        role: which.clone(),
        path: parameters.path_if("Path")?.map(str::to_owned),
        assume_role_policy: policy_document(call, "AssumeRolePolicyDocument")?,
        description: description(call)?,
        max_session_duration: session_seconds(call)?,
        tags: parameters.tags("Tags")?,
    };
    change(call, message).await?;
    write_role(directory(call).role(&which.account_id, &which.name)?, out);
    Ok(())
}

/// Permissions boundaries are not built; a role that were made without one would have more rights than was asked for.
pub fn refuse_boundary(call: &Call) -> Result<(), ApiError> {
    match call.parameters.get("PermissionsBoundary") {
        None => Ok(()),
        Some(_) => Err(ApiError::with_message(ErrorCode::NotImplemented, "PermissionsBoundary is not implemented.")),
    }
}

/// GetRole.
pub fn get_role(call: &Call, out: &mut XmlWriter) -> Result<(), ApiError> {
    let directory = directory(call);
    write_role(directory.role(call.account_id()?, call.parameters.name("RoleName", NAME_MAX)?)?, out);
    Ok(())
}

fn write_role(role: &RoleEntry, out: &mut XmlWriter) {
    out.open("Role");
    write::role(out, role);
    write::tags(out, &role.tags);
    out.close();
}

/// ListRoles.
pub fn list_roles(call: &Call, out: &mut XmlWriter) -> Result<(), ApiError> {
    let (directory, prefix) = (directory(call), call.parameters.path_prefix()?);
    let roles = directory.roles_of(call.account_id()?).filter(|role| role.path.starts_with(prefix));
    let page = Page::of(&call.parameters, roles, |role| role.name.to_ascii_lowercase())?;
    out.open("Roles");
    for role in &page.items {
        out.open("member");
        write::role(out, role);
        out.close();
    }
    out.close();
    page.end(out);
    Ok(())
}

/// UpdateRole.
pub async fn update_role(call: &Call) -> Result<(), ApiError> {
    let message = UpdateRole {
        role: named(call, "RoleName")?,
        description: description(call)?,
        max_session_duration: session_seconds(call)?,
    };
    change(call, message).await
}

/// UpdateRoleDescription.
pub async fn update_role_description(call: &Call, out: &mut XmlWriter) -> Result<(), ApiError> {
    let description = description(call)?.ok_or_else(|| missing("Description"))?;
    let role = named(call, "RoleName")?;
    change(call, UpdateRole { role: role.clone(), description: Some(description), max_session_duration: None }).await?;
    write_role(directory(call).role(&role.account_id, &role.name)?, out);
    Ok(())
}

/// UpdateAssumeRolePolicy.
pub async fn update_assume_role_policy(call: &Call) -> Result<(), ApiError> {
    let document = policy_document(call, "PolicyDocument")?;
    change(call, UpdateAssumeRolePolicy { role: named(call, "RoleName")?, document }).await
}

/// DeleteRole.
pub async fn delete_role(call: &Call) -> Result<(), ApiError> {
    change(call, DeleteRole { role: named(call, "RoleName")? }).await
}

fn description(call: &Call) -> Result<Option<String>, ApiError> {
    Ok(call.parameters.text_if("Description", DESCRIPTION_CHARACTERS_MAX)?.map(str::to_owned))
}

fn session_seconds(call: &Call) -> Result<Option<u64>, ApiError> {
    call.parameters.number("MaxSessionDuration", *SESSION_SECONDS.start(), *SESSION_SECONDS.end())
}
