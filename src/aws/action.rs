//! The one table of actions: the service that has them, the resource that their permission is asked for, and whether they tell
//! anything. The permission has the action's name (Service Authorization Reference, "Actions defined by AWS Identity and Access
//! Management").

use super::service::Service;

/// What an action is about, and so the ARN that its permission is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// No permission is asked for here: the action has rules of its own.
    OwnRules,
    /// Everything.
    Any,
    /// Users below `PathPrefix`.
    Users,
    /// Groups below `PathPrefix`.
    Groups,
    /// Roles below `PathPrefix`.
    Roles,
    /// Managed policies below `PathPrefix`.
    Policies,
    /// The user `UserName`.
    User,
    /// The user `UserName`, or the caller.
    UserOrCaller,
    /// The user to be made.
    NewUser,
    /// The user of `AccessKeyId`.
    KeyOwner,
    /// The group `GroupName`.
    Group,
    /// The group to be made.
    NewGroup,
    /// The role `RoleName`.
    Role,
    /// The role to be made.
    NewRole,
    /// The managed policy `PolicyArn`.
    Policy,
    /// The managed policy to be made.
    NewPolicy,
    /// The identity provider `OpenIDConnectProviderArn`.
    Provider,
    /// The identity provider to be made.
    NewProvider,
    /// The user, group or role `PolicySourceArn`.
    PolicySource,
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// The action.
    pub action: Action,
    /// Its name in the API Reference.
    pub name: &'static str,
    /// The service that has it.
    pub service: Service,
    /// The permission that it takes.
    pub permission: &'static str,
    /// What that is asked for.
    pub resource: Resource,
    /// Root element of its answer.
    pub response: &'static str,
    /// Element of what it tells; none when it tells nothing.
    pub result: Option<&'static str>,
}

macro_rules! action_table {
    ($($service:ident $prefix:literal { $($name:ident $resource:ident $tells:ident;)+ })+) => {
        /// An action, by the name that its API Reference gives it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[allow(missing_docs, reason = "the names are those of the API References")]
        pub enum Action { $($($name,)+)+ }

        impl Action {
            /// Every action.
            pub const ALL: &[Self] = &[$($(Self::$name,)+)+];

            /// Its row of the table.
            pub fn row(self) -> &'static Row {
                match self {
                    $($(Self::$name => &Row {
                        action: Self::$name,
                        name: stringify!($name),
                        service: Service::$service,
                        permission: concat!($prefix, stringify!($name)),
                        resource: Resource::$resource,
                        response: concat!(stringify!($name), "Response"),
                        result: action_table!(@$tells $name),
                    },)+)+
                }
            }
        }
    };
    (@Tells $name:ident) => { Some(concat!(stringify!($name), "Result")) };
    (@Silent $name:ident) => { None };
}

action_table! {
    Iam "iam:" {
        CreateUser NewUser Tells;
        GetUser UserOrCaller Tells;
        ListUsers Users Tells;
        UpdateUser User Silent;
        DeleteUser User Silent;
        TagUser User Silent;
        UntagUser User Silent;
        ListUserTags User Tells;

        CreateAccessKey UserOrCaller Tells;
        ListAccessKeys UserOrCaller Tells;
        UpdateAccessKey UserOrCaller Silent;
        DeleteAccessKey UserOrCaller Silent;
        GetAccessKeyLastUsed KeyOwner Tells;

        PutUserPolicy User Silent;
        GetUserPolicy User Tells;
        ListUserPolicies User Tells;
        DeleteUserPolicy User Silent;
        AttachUserPolicy User Silent;
        DetachUserPolicy User Silent;
        ListAttachedUserPolicies User Tells;

        CreateGroup NewGroup Tells;
        GetGroup Group Tells;
        ListGroups Groups Tells;
        UpdateGroup Group Silent;
        DeleteGroup Group Silent;
        AddUserToGroup Group Silent;
        RemoveUserFromGroup Group Silent;
        ListGroupsForUser User Tells;
        PutGroupPolicy Group Silent;
        GetGroupPolicy Group Tells;
        ListGroupPolicies Group Tells;
        DeleteGroupPolicy Group Silent;
        AttachGroupPolicy Group Silent;
        DetachGroupPolicy Group Silent;
        ListAttachedGroupPolicies Group Tells;

        CreatePolicy NewPolicy Tells;
        GetPolicy Policy Tells;
        ListPolicies Policies Tells;
        DeletePolicy Policy Silent;
        CreatePolicyVersion Policy Tells;
        GetPolicyVersion Policy Tells;
        ListPolicyVersions Policy Tells;
        DeletePolicyVersion Policy Silent;
        SetDefaultPolicyVersion Policy Silent;
        ListEntitiesForPolicy Policy Tells;
        TagPolicy Policy Silent;
        UntagPolicy Policy Silent;
        ListPolicyTags Policy Tells;

        CreateRole NewRole Tells;
        GetRole Role Tells;
        ListRoles Roles Tells;
        UpdateRole Role Tells;
        UpdateRoleDescription Role Tells;
        UpdateAssumeRolePolicy Role Silent;
        DeleteRole Role Silent;
        TagRole Role Silent;
        UntagRole Role Silent;
        ListRoleTags Role Tells;
        PutRolePolicy Role Silent;
        GetRolePolicy Role Tells;
        ListRolePolicies Role Tells;
        DeleteRolePolicy Role Silent;
        AttachRolePolicy Role Silent;
        DetachRolePolicy Role Silent;
        ListAttachedRolePolicies Role Tells;

        CreateOpenIDConnectProvider NewProvider Tells;
        GetOpenIDConnectProvider Provider Tells;
        ListOpenIDConnectProviders Any Tells;
        DeleteOpenIDConnectProvider Provider Silent;
        AddClientIDToOpenIDConnectProvider Provider Silent;
        RemoveClientIDFromOpenIDConnectProvider Provider Silent;
        UpdateOpenIDConnectProviderThumbprint Provider Silent;
        TagOpenIDConnectProvider Provider Silent;
        UntagOpenIDConnectProvider Provider Silent;
        ListOpenIDConnectProviderTags Provider Tells;

        SimulatePrincipalPolicy PolicySource Tells;
        SimulateCustomPolicy Any Tells;
        GetContextKeysForCustomPolicy Any Tells;
        GetContextKeysForPrincipalPolicy PolicySource Tells;

        GetAccountSummary Any Tells;
        GetAccountAuthorizationDetails Any Tells;
        ListAccountAliases Any Tells;
        GetAccountPasswordPolicy Any Tells;

        GetLoginProfile UserOrCaller Tells;
        ListMFADevices UserOrCaller Tells;
        ListVirtualMFADevices Any Tells;
        ListSSHPublicKeys UserOrCaller Tells;
        ListSigningCertificates UserOrCaller Tells;
        ListServiceSpecificCredentials UserOrCaller Tells;
        ListInstanceProfiles Any Tells;
        ListInstanceProfilesForRole Role Tells;
        ListSAMLProviders Any Tells;
        ListServerCertificates Any Tells;
    }
    Sts "sts:" {
        AssumeRole OwnRules Tells;
        AssumeRoleWithWebIdentity OwnRules Tells;
        GetAccessKeyInfo Any Tells;
        GetCallerIdentity OwnRules Tells;
        GetSessionToken OwnRules Tells;
    }
}

/// Actions of IAM that are known and not built: passwords, second factors, certificates, instance profiles, SAML, permissions
/// boundaries, reports.
const UNBUILT_IAM: &[&str] = &[
    "AcceptDelegationRequest",
    "AddRoleToInstanceProfile",
    "AssociateDelegationRequest",
    "ChangePassword",
    "CreateAccountAlias",
    "CreateDelegationRequest",
    "CreateInstanceProfile",
    "CreateLoginProfile",
    "CreateSAMLProvider",
    "CreateServiceLinkedRole",
    "CreateServiceSpecificCredential",
    "CreateVirtualMFADevice",
    "DeactivateMFADevice",
    "DeleteAccountAlias",
    "DeleteAccountPasswordPolicy",
    "DeleteInstanceProfile",
    "DeleteLoginProfile",
    "DeleteRolePermissionsBoundary",
    "DeleteSAMLProvider",
    "DeleteSSHPublicKey",
    "DeleteServerCertificate",
    "DeleteServiceLinkedRole",
    "DeleteServiceSpecificCredential",
    "DeleteSigningCertificate",
    "DeleteUserPermissionsBoundary",
    "DeleteVirtualMFADevice",
    "DisableOrganizationsRootCredentialsManagement",
    "DisableOrganizationsRootSessions",
    "DisableOutboundWebIdentityFederation",
    "EnableMFADevice",
    "EnableOrganizationsRootCredentialsManagement",
    "EnableOrganizationsRootSessions",
    "EnableOutboundWebIdentityFederation",
    "GenerateCredentialReport",
    "GenerateOrganizationsAccessReport",
    "GenerateServiceLastAccessedDetails",
    "GetCredentialReport",
    "GetDelegationRequest",
    "GetHumanReadableSummary",
    "GetInstanceProfile",
    "GetMFADevice",
    "GetOrganizationsAccessReport",
    "GetOutboundWebIdentityFederationInfo",
    "GetSAMLProvider",
    "GetSSHPublicKey",
    "GetServerCertificate",
    "GetServiceLastAccessedDetails",
    "GetServiceLastAccessedDetailsWithEntities",
    "GetServiceLinkedRoleDeletionStatus",
    "ListDelegationRequests",
    "ListInstanceProfileTags",
    "ListMFADeviceTags",
    "ListOrganizationsFeatures",
    "ListPoliciesGrantingServiceAccess",
    "ListSAMLProviderTags",
    "ListServerCertificateTags",
    "PutRolePermissionsBoundary",
    "PutUserPermissionsBoundary",
    "RejectDelegationRequest",
    "RemoveRoleFromInstanceProfile",
    "ResetServiceSpecificCredential",
    "ResyncMFADevice",
    "SendDelegationToken",
    "SetSecurityTokenServicePreferences",
    "TagInstanceProfile",
    "TagMFADevice",
    "TagSAMLProvider",
    "TagServerCertificate",
    "UntagInstanceProfile",
    "UntagMFADevice",
    "UntagSAMLProvider",
    "UntagServerCertificate",
    "UpdateAccountPasswordPolicy",
    "UpdateDelegationRequest",
    "UpdateLoginProfile",
    "UpdateSAMLProvider",
    "UpdateSSHPublicKey",
    "UpdateServerCertificate",
    "UpdateServiceSpecificCredential",
    "UpdateSigningCertificate",
    "UploadSSHPublicKey",
    "UploadServerCertificate",
    "UploadSigningCertificate",
];

/// Actions of STS that are known and not built.
const UNBUILT_STS: &[&str] = &[
    "AssumeRoleWithSAML",
    "AssumeRoot",
    "DecodeAuthorizationMessage",
    "GetDelegatedAccessToken",
    "GetFederationToken",
    "GetWebIdentityToken",
];

impl Action {
    /// The action of a service that goes by a name.
    pub fn find(service: Service, name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|action| action.row().service == service && action.row().name == name)
    }
}

/// Whether the service has such an action, which is not built.
pub fn is_unbuilt(service: Service, name: &str) -> bool {
    let names = match service {
        Service::Iam => UNBUILT_IAM,
        Service::Sts => UNBUILT_STS,
        Service::Kms => return false,
    };
    names.binary_search(&name).is_ok()
}

/// Whether an action may come without a signature, since it is there for those who have no credentials yet.
pub fn needs_no_signature(name: &str) -> bool {
    matches!(name, "AssumeRoleWithWebIdentity" | "AssumeRoleWithSAML")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use myfsio_actors::policy_engine::find_action;

    use super::*;

    #[test]
    fn every_permission_is_an_action_of_policies() {
        for action in Action::ALL {
            let row = action.row();
            let known = find_action(row.permission).unwrap_or_else(|| panic!("{}", row.permission));
            assert_eq!(known.name, row.permission);
        }
    }

    #[test]
    fn every_name_stands_once() {
        let mut seen = HashSet::new();
        for action in Action::ALL {
            let row = action.row();
            assert!(seen.insert((row.service, row.name)), "{}", row.name);
            assert_eq!(Action::find(row.service, row.name), Some(*action));
            assert!(!is_unbuilt(row.service, row.name), "{}", row.name);
        }
        for names in [UNBUILT_IAM, UNBUILT_STS] {
            assert!(names.is_sorted());
        }
        assert!(Action::find(Service::Sts, "CreateUser").is_none());
    }
}
