//! Managed policies and their versions (IAM API Reference, CreatePolicy and its like).

use myfsio_actors::iam::{
    CreatePolicy, CreatePolicyVersion, DESCRIPTION_CHARACTERS_MAX, DeletePolicy, DeletePolicyVersion, HolderEntry,
    ManagedPolicy, SetDefaultPolicyVersion,
};

use super::target::{NAME_MAX, arn_parameter, directory, named};
use super::{change, policy_document, write};
use crate::aws::call::Call;
use crate::aws::error::{ApiError, ErrorCode};
use crate::aws::page::Page;
use crate::s3::xml::XmlWriter;

/// CreatePolicy.
pub async fn create_policy(call: &Call, out: &mut XmlWriter) -> Result<(), ApiError> {
    let parameters = &call.parameters;
    let message = CreatePolicy {
        policy: named(call, "PolicyName")?,
        path: parameters.path_if("Path")?.map(str::to_owned),
        description: parameters.text_if("Description", DESCRIPTION_CHARACTERS_MAX)?.map(str::to_owned),
        document: policy_document(call, "PolicyDocument")?,
        tags: parameters.tags("Tags")?,
    };
    let arn = change(call, message).await?;
    write_policy(call, directory(call).managed_policy(&arn)?, out)
}

/// GetPolicy.
pub fn get_policy(call: &Call, out: &mut XmlWriter) -> Result<(), ApiError> {
    let directory = directory(call);
    let policy = directory.managed_policy(arn_parameter(call, "PolicyArn")?)?;
    write_policy(call, policy, out)
}

fn write_policy(call: &Call, policy: &ManagedPolicy, out: &mut XmlWriter) -> Result<(), ApiError> {
    out.open("Policy");
    write::policy(out, policy, &directory(call), call.account_id()?);
    out.text_if("Description", policy.description.as_deref());
    write::tags(out, &policy.tags);
    out.close();
    Ok(())
}

/// ListPolicies.
pub fn list_policies(call: &Call, out: &mut XmlWriter) -> Result<(), ApiError> {
    let (directory, account_id) = (directory(call), call.account_id()?);
    let parameters = &call.parameters;
    let prefix = parameters.path_prefix()?;
    let scope = parameters.word("Scope", &["All", "AWS", "Local"])?.unwrap_or("All");
    let only_attached = parameters.truth("OnlyAttached")?.unwrap_or(false);
    let usage = parameters.word("PolicyUsageFilter", &["PermissionsPolicy", "PermissionsBoundary"])?;
    let is_wanted = |policy: &&ManagedPolicy| {
        let in_scope = match scope {
            "AWS" => write::is_of_aws(policy),
            "Local" => !write::is_of_aws(policy),
            _ => true,
        };
        in_scope
            && policy.path.starts_with(prefix)
            // Nothing is a permissions boundary here.
            && usage != Some("PermissionsBoundary")
            && (!only_attached || directory.holders(policy, account_id).next().is_some())
    };
    let policies = directory.managed_policies_of(account_id).filter(is_wanted);
    // An account may have a policy of its own with the name of one of AWS.
    let page = Page::of(parameters, policies, |policy| {
        format!("{}\n{}", policy.name.to_ascii_lowercase(), policy.arn(account_id))
    })?;
    out.open("Policies");
    for policy in &page.items {
        out.open("member");
        write::policy(out, policy, &directory, account_id);
        out.close();
    }
    out.close();
    page.end(out);
    Ok(())
}

/// DeletePolicy.
pub async fn delete_policy(call: &Call) -> Result<(), ApiError> {
    let (account_id, arn) = policy_of_account(call)?;
    change(call, DeletePolicy { account_id, arn }).await
}

/// CreatePolicyVersion.
pub async fn create_policy_version(call: &Call, out: &mut XmlWriter) -> Result<(), ApiError> {
    let (account_id, arn) = policy_of_account(call)?;
    let message = CreatePolicyVersion {
        account_id,
        arn: arn.clone(),
        document: policy_document(call, "PolicyDocument")?,
        set_as_default: call.parameters.truth("SetAsDefault")?.unwrap_or(false),
    };
    let version_id = change(call, message).await?;
    write_version(call, &arn, &version_id, false, out)
}

/// GetPolicyVersion.
pub fn get_policy_version(call: &Call, out: &mut XmlWriter) -> Result<(), ApiError> {
    write_version(call, arn_parameter(call, "PolicyArn")?, version_id(call)?, true, out)
}

fn write_version(
    call: &Call,
    arn: &str,
    wanted: &str,
    with_document: bool,
    out: &mut XmlWriter,
) -> Result<(), ApiError> {
    let directory = directory(call);
    let policy = directory.managed_policy(arn)?;
    let Some(version) = policy.version(wanted) else {
        let message = format!("Policy {arn} version {wanted} does not exist or is not attachable.");
        return Err(ApiError::with_message(ErrorCode::NoSuchEntity, message));
    };
    out.open("PolicyVersion");
    write::version(out, policy, version, with_document);
    out.close();
    Ok(())
}

/// ListPolicyVersions, newest first.
pub fn list_policy_versions(call: &Call, out: &mut XmlWriter) -> Result<(), ApiError> {
    let directory = directory(call);
    let policy = directory.managed_policy(arn_parameter(call, "PolicyArn")?)?;
    let number = |id: &str| id.trim_start_matches('v').parse::<u32>().unwrap_or(0);
    let page = Page::of(&call.parameters, &policy.versions, |version| {
        format!("{:010}{}", u32::MAX - number(&version.version_id), version.version_id)
    })?;
    out.open("Versions");
    for version in &page.items {
        out.open("member");
        write::version(out, policy, version, false);
        out.close();
    }
    out.close();
    page.end(out);
    Ok(())
}

/// DeletePolicyVersion.
pub async fn delete_policy_version(call: &Call) -> Result<(), ApiError> {
    let (account_id, arn) = policy_of_account(call)?;
    change(call, DeletePolicyVersion { account_id, arn, version_id: version_id(call)?.to_owned() }).await
}

/// SetDefaultPolicyVersion.
pub async fn set_default_policy_version(call: &Call) -> Result<(), ApiError> {
    let (account_id, arn) = policy_of_account(call)?;
    change(call, SetDefaultPolicyVersion { account_id, arn, version_id: version_id(call)?.to_owned() }).await
}

/// The account of the caller, of which a policy must be to be changed, and the policy's ARN.
fn policy_of_account(call: &Call) -> Result<(String, String), ApiError> {
    Ok((call.account_id()?.to_owned(), arn_parameter(call, "PolicyArn")?.to_owned()))
}

fn version_id(call: &Call) -> Result<&str, ApiError> {
    call.parameters.text("VersionId", NAME_MAX)
}

/// ListEntitiesForPolicy.
pub fn list_entities_for_policy(call: &Call, out: &mut XmlWriter) -> Result<(), ApiError> {
    let (directory, account_id) = (directory(call), call.account_id()?);
    let parameters = &call.parameters;
    let policy = directory.managed_policy(arn_parameter(call, "PolicyArn")?)?;
    let prefix = parameters.path_prefix()?;
    let kinds = ["User", "Role", "Group", "LocalManagedPolicy", "AWSManagedPolicy"];
    let kind = parameters.word("EntityFilter", &kinds)?;
    let usage = parameters.word("PolicyUsageFilter", &["PermissionsPolicy", "PermissionsBoundary"])?;
    let entities = directory.holders(policy, account_id).filter(|entity| {
        let (own, path, _, _) = parts(entity);
        kind.is_none_or(|kind| kind == own) && path.starts_with(prefix) && usage != Some("PermissionsBoundary")
    });
    let page = Page::of(parameters, entities, |entity| {
        let (kind, _, name, _) = parts(entity);
        format!("{kind}\n{}", name.to_ascii_lowercase())
    })?;
    let lists = [
        ("PolicyGroups", "Group", "GroupName", "GroupId"),
        ("PolicyUsers", "User", "UserName", "UserId"),
        ("PolicyRoles", "Role", "RoleName", "RoleId"),
    ];
    for (list, wanted, name_element, id_element) in lists {
        out.open(list);
        for (kind, _, name, id) in page.items.iter().map(parts) {
            if kind == wanted {
                out.open("member").text(name_element, name).text(id_element, id).close();
            }
        }
        out.close();
    }
    page.end(out);
    Ok(())
}

/// Kind, path, name and unique id of who holds a policy.
fn parts<'a>(entity: &HolderEntry<'a>) -> (&'static str, &'a str, &'a str, &'a str) {
    match entity {
        HolderEntry::User(user) => ("User", &user.path, &user.user_name, user.user_id.as_str()),
        HolderEntry::Group(group) => ("Group", &group.path, &group.name, &group.group_id),
        HolderEntry::Role(role) => ("Role", &role.path, &role.name, &role.role_id),
    }
}
