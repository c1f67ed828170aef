//! The account as a whole (IAM API Reference, GetAccountSummary and GetAccountAuthorizationDetails).

use myfsio_actors::iam::{Directory, GroupEntry, ManagedPolicy, RoleEntry, UserSummary, quotas};

use super::target::directory;
use super::write;
use crate::aws::call::Call;
use crate::aws::error::ApiError;
use crate::aws::page::Page;
use crate::s3::xml::XmlWriter;

/// GetAccountSummary.
pub fn get_account_summary(call: &Call, out: &mut XmlWriter) -> Result<(), ApiError> {
    let (directory, account_id) = (directory(call), call.account_id()?);
    let local = || directory.managed_policies_of(account_id).filter(|policy| !write::is_of_aws(policy));
    let attached = |policy: &&ManagedPolicy| directory.holders(policy, account_id).next().is_some();
    let roots = directory.users_of(account_id).filter(|user| user.is_named_root);
    let has_root_keys = roots.flat_map(|user| &user.access_keys).next().is_some();
    let users = directory.users_of(account_id).filter(|user| !user.is_named_root).count();
    let values = [
        ("Users", users),
        ("UsersQuota", quotas::USERS_MAX),
        ("Groups", directory.groups_of(account_id).count()),
        ("GroupsQuota", quotas::GROUPS_MAX),
        ("GroupsPerUserQuota", quotas::GROUPS_OF_USER_MAX),
        ("Roles", directory.roles_of(account_id).count()),
        ("RolesQuota", quotas::ROLES_MAX),
        ("Policies", local().count()),
        ("PoliciesQuota", quotas::POLICIES_MAX),
        ("PolicySizeQuota", quotas::MANAGED_CHARACTERS_MAX),
        ("PolicyVersionsInUse", directory.managed_policies_of(account_id).filter(attached).count()),
        ("PolicyVersionsInUseQuota", quotas::POLICIES_MAX),
        ("VersionsPerPolicyQuota", quotas::VERSIONS_MAX),
        ("AttachedPoliciesPerUserQuota", quotas::ATTACHED_MAX),
        ("AttachedPoliciesPerGroupQuota", quotas::ATTACHED_MAX),
        ("AttachedPoliciesPerRoleQuota", quotas::ATTACHED_MAX),
        ("UserPolicySizeQuota", quotas::USER_CHARACTERS_MAX),
        ("GroupPolicySizeQuota", quotas::GROUP_CHARACTERS_MAX),
        ("RolePolicySizeQuota", quotas::ROLE_CHARACTERS_MAX),
        ("AssumeRolePolicySizeQuota", quotas::TRUST_CHARACTERS_MAX),
        ("AccessKeysPerUserQuota", quotas::KEYS_MAX),
        ("Providers", directory.providers_of(account_id).count()),
        ("AccountAccessKeysPresent", usize::from(has_root_keys)),
        ("AccountMFAEnabled", 0),
        ("AccountPasswordPresent", 0),
        ("AccountSigningCertificatesPresent", 0),
        ("InstanceProfiles", 0),
        ("MFADevices", 0),
        ("MFADevicesInUse", 0),
        ("ServerCertificates", 0),
    ];
    out.open("SummaryMap");
    for (key, value) in values {
        out.open("entry").text("key", key).value("value", value).close();
    }
    out.close();
    Ok(())
}

/// Something that GetAccountAuthorizationDetails tells.
enum Detail<'a> {
    User(&'a UserSummary),
    Group(&'a GroupEntry),
    Role(&'a RoleEntry),
    Policy(&'a ManagedPolicy),
}

impl Detail<'_> {
    fn key(&self) -> String {
        match self {
            Self::User(user) => format!("1\n{}", user.user_name.to_ascii_lowercase()),
            Self::Group(group) => format!("2\n{}", group.name.to_ascii_lowercase()),
            Self::Role(role) => format!("3\n{}", role.name.to_ascii_lowercase()),
            Self::Policy(policy) => format!("4\n{}\n{}", policy.name.to_ascii_lowercase(), policy.policy_id),
        }
    }

    /// Whether one of the words of `Filter` means it.
    fn is_meant(&self, filter: &[&str]) -> bool {
        let word = match self {
            Self::User(_) => "User",
            Self::Group(_) => "Group",
            Self::Role(_) => "Role",
            Self::Policy(policy) if write::is_of_aws(policy) => "AWSManagedPolicy",
            Self::Policy(_) => "LocalManagedPolicy",
        };
        filter.is_empty() || filter.contains(&word)
    }
}

/// GetAccountAuthorizationDetails.
pub fn get_account_authorization_details(call: &Call, out: &mut XmlWriter) -> Result<(), ApiError> {
    let (directory, account_id) = (directory(call), call.account_id()?);
    let filter = call.parameters.list("Filter", 5)?;
    let users = directory.users_of(account_id).filter(|user| !user.is_named_root).map(Detail::User);
    let groups = directory.groups_of(account_id).map(Detail::Group);
    let roles = directory.roles_of(account_id).map(Detail::Role);
    // Of AWS's policies only those that somebody holds, as AWS has it.
    let is_told =
        |policy: &&ManagedPolicy| !write::is_of_aws(policy) || directory.holders(policy, account_id).next().is_some();
    let policies = directory.managed_policies_of(account_id).filter(is_told).map(Detail::Policy);
    let all = users.chain(groups).chain(roles).chain(policies).filter(|detail| detail.is_meant(&filter));
    let page = Page::of(&call.parameters, all, Detail::key)?;
    out.open("UserDetailList");
    for detail in &page.items {
        if let Detail::User(user) = detail {
            user_detail(user, &directory, out);
        }
    }
    out.close().open("GroupDetailList");
    for detail in &page.items {
        if let Detail::Group(group) = detail {
            out.open("member");
            write::group(out, group, account_id);
            write::inline(out, "GroupPolicyList", &group.policies);
            write::attached(out, "AttachedManagedPolicies", group.attached_policies.iter().map(String::as_str));
            out.close();
        }
    }
    out.close().open("RoleDetailList");
    for detail in &page.items {
        if let Detail::Role(role) = detail {
            role_detail(role, out);
        }
    }
    out.close().open("Policies");
    for detail in &page.items {
        if let Detail::Policy(policy) = detail {
            policy_detail(policy, &directory, account_id, out);
        }
    }
    out.close();
    page.end(out);
    Ok(())
}

fn user_detail(user: &UserSummary, directory: &Directory, out: &mut XmlWriter) {
    out.open("member");
    write::user(out, user);
    write::inline(out, "UserPolicyList", &user.policies);
    write::texts(out, "GroupList", directory.groups_of_user(user).map(|group| group.name.as_str()));
    write::attached(out, "AttachedManagedPolicies", user.attached_policies.iter().map(String::as_str));
    write::tags(out, &user.tags);
    out.close();
}

fn role_detail(role: &RoleEntry, out: &mut XmlWriter) {
    out.open("member");
    write::role(out, role);
    write::inline(out, "RolePolicyList", &role.policies);
    write::attached(out, "AttachedManagedPolicies", role.attached_policies.iter().map(String::as_str));
    out.open("InstanceProfileList").close();
    write::tags(out, &role.tags);
    out.close();
}

fn policy_detail(policy: &ManagedPolicy, directory: &Directory, account_id: &str, out: &mut XmlWriter) {
    out.open("member");
    write::policy(out, policy, directory, account_id);
    out.text_if("Description", policy.description.as_deref()).open("PolicyVersionList");
    for version in &policy.versions {
        out.open("member");
        write::version(out, policy, version, true);
        out.close();
    }
    out.close().close();
}
