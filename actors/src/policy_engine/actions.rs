//! The one table of actions: each name of an AWS operation or IAM action with the one capability that the short policy
//! form grants it by, and the AWS action that it checks.
//!
//! A capability belongs to exactly one coarse action (`list read write delete share policy replication iam`). Finer
//! capabilities can be granted alone and come with their coarse action. Names that AWS does not check itself (HeadObject,
//! UploadPart, ListParts …) are aliases: they check the AWS action in the third column.

use std::sync::LazyLock;

/// The coarse actions of the short policy form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Coarse {
    /// `list`
    List,
    /// `read`
    Read,
    /// `write`
    Write,
    /// `delete`
    Delete,
    /// `share`
    Share,
    /// `policy`
    Policy,
    /// `replication`
    Replication,
    /// `iam:*`
    Iam,
    /// Only by its own name or `*`.
    Alone,
}

macro_rules! capabilities {
    ($($name:ident $bit:literal $coarse:ident $token:literal;)+) => {
        /// What a grant of the short form can hold: one bit each.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Capability {
            $(#[doc = concat!("`", $token, "`")] $name,)+
        }

        impl Capability {
            /// Every capability.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// Its bit in a set of capabilities.
            pub const fn bit(self) -> u32 {
                1 << match self { $(Self::$name => $bit,)+ }
            }

            /// The coarse action that it comes with.
            pub const fn coarse(self) -> Coarse {
                match self { $(Self::$name => Coarse::$coarse,)+ }
            }

            /// The word that grants it, and with it whatever else that word stands for.
            pub const fn token(self) -> &'static str {
                match self { $(Self::$name => $token,)+ }
            }
        }
    };
}

capabilities! {
    List 0 List "list";
    Read 1 Read "read";
    Write 2 Write "write";
    CreateBucket 3 Write "create_bucket";
    Tagging 4 Write "tagging";
    Delete 5 Delete "delete";
    DeleteBucket 6 Delete "delete_bucket";
    Share 7 Share "share";
    Policy 8 Policy "policy";
    Versioning 9 Policy "versioning";
    Encryption 10 Policy "encryption";
    Lifecycle 11 Policy "lifecycle";
    Cors 12 Policy "cors";
    Notification 13 Policy "notification";
    Logging 14 Policy "logging";
    Website 15 Policy "website";
    ObjectLock 16 Policy "object_lock";
    Replication 17 Replication "replication";
    IamListUsers 18 Iam "iam:list_users";
    IamCreateUser 19 Iam "iam:create_user";
    IamDeleteUser 20 Iam "iam:delete_user";
    IamRotateKey 21 Iam "iam:rotate_key";
    IamUpdatePolicy 22 Iam "iam:update_policy";
    IamOther 23 Iam "iam:*";
    BypassGovernance 24 Alone "s3:BypassGovernanceRetention";
    Quota 25 Alone "quota";
    Kms 26 Alone "kms";
    ObjectEncryption 27 Alone "s3:UpdateObjectEncryption";
}

/// A row: a name, what grants it in the short form, and the AWS action that it checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActionRow {
    /// With its service: `s3:GetObject`.
    pub name: &'static str,
    /// What grants it in the short form.
    pub capability: Capability,
    /// The action that AWS-JSON policies are asked for; the row's own name unless the row is an alias.
    pub checks: &'static str,
}

macro_rules! action_table {
    ($($capability:ident: $($name:literal $(=> $checks:literal)?),+;)+) => {
        /// Every action that the node knows, aliases included.
        pub const ACTIONS: &[ActionRow] = &[$($(ActionRow {
            name: $name,
            capability: Capability::$capability,
            checks: action_table!(@checks $name $($checks)?),
        },)+)+];
    };
    (@checks $name:literal) => { $name };
    (@checks $name:literal $checks:literal) => { $checks };
}

action_table! {
    List:
        "s3:ListBucket", "s3:ListAllMyBuckets", "s3:ListBucketVersions", "s3:ListBucketMultipartUploads",
        "s3:ListMultipartUploadParts",
        "s3:ListObjects" => "s3:ListBucket",
        "s3:ListObjectsV2" => "s3:ListBucket",
        "s3:ListBuckets" => "s3:ListAllMyBuckets",
        "s3:ListObjectVersions" => "s3:ListBucketVersions",
        "s3:ListMultipartUploads" => "s3:ListBucketMultipartUploads",
        "s3:ListParts" => "s3:ListMultipartUploadParts";
    Read:
        "s3:GetObject", "s3:GetObjectVersion", "s3:GetObjectAttributes", "s3:GetObjectVersionAttributes",
        "s3:GetObjectTagging", "s3:GetObjectVersionTagging", "s3:GetObjectTorrent", "s3:GetObjectVersionTorrent",
        "s3:GetObjectAnnotation", "s3:ListObjectAnnotations",
        "s3:GetObjectVersionForReplication", "s3:GetBucketLocation", "s3:GetBucketVersioning",
        "s3:HeadObject" => "s3:GetObject",
        "s3:HeadBucket" => "s3:ListBucket",
        "s3:SelectObjectContent" => "s3:GetObject";
    Write:
        "s3:PutObject", "s3:PutObjectAnnotation", "s3:AbortMultipartUpload", "s3:RestoreObject",
        "s3:CreateMultipartUpload" => "s3:PutObject",
        "s3:UploadPart" => "s3:PutObject",
        "s3:UploadPartCopy" => "s3:PutObject",
        "s3:CompleteMultipartUpload" => "s3:PutObject",
        "s3:CopyObject" => "s3:PutObject",
        "s3:PostObject" => "s3:PutObject",
        "s3:RenameObject" => "s3:PutObject";
    CreateBucket: "s3:CreateBucket";
    Tagging: "s3:PutObjectTagging", "s3:PutObjectVersionTagging";
    Delete:
        "s3:DeleteObject", "s3:DeleteObjectVersion", "s3:DeleteObjectTagging", "s3:DeleteObjectVersionTagging",
        "s3:DeleteObjectAnnotation",
        "s3:DeleteObjects" => "s3:DeleteObject";
    DeleteBucket: "s3:DeleteBucket";
    Share:
        "s3:GetBucketAcl", "s3:PutBucketAcl", "s3:GetObjectAcl", "s3:PutObjectAcl", "s3:GetObjectVersionAcl",
        "s3:PutObjectVersionAcl", "s3:ObjectOwnerOverrideToBucketOwner";
    Policy:
        "s3:GetBucketPolicy", "s3:PutBucketPolicy", "s3:DeleteBucketPolicy", "s3:GetBucketPolicyStatus",
        "s3:GetBucketPublicAccessBlock", "s3:PutBucketPublicAccessBlock",
        "s3:GetBucketOwnershipControls", "s3:PutBucketOwnershipControls",
        "s3:GetBucketRequestPayment", "s3:PutBucketRequestPayment",
        "s3:GetBucketTagging", "s3:PutBucketTagging", "s3:GetBucketAbac", "s3:PutBucketAbac",
        "s3:GetAccelerateConfiguration", "s3:PutAccelerateConfiguration",
        "s3:GetAnalyticsConfiguration", "s3:PutAnalyticsConfiguration",
        "s3:GetInventoryConfiguration", "s3:PutInventoryConfiguration",
        "s3:GetMetricsConfiguration", "s3:PutMetricsConfiguration",
        "s3:GetIntelligentTieringConfiguration", "s3:PutIntelligentTieringConfiguration",
        "s3:CreateBucketMetadataTableConfiguration", "s3:GetBucketMetadataTableConfiguration",
        "s3:DeleteBucketMetadataTableConfiguration", "s3:UpdateBucketMetadataInventoryTableConfiguration",
        "s3:UpdateBucketMetadataJournalTableConfiguration", "s3:UpdateBucketMetadataAnnotationTableConfiguration",
        "s3:GetBucketQuota",
        "s3:TagResource", "s3:UntagResource", "s3:ListTagsForResource",
        "s3:GetPublicAccessBlock" => "s3:GetBucketPublicAccessBlock",
        "s3:PutPublicAccessBlock" => "s3:PutBucketPublicAccessBlock",
        "s3:DeletePublicAccessBlock" => "s3:PutBucketPublicAccessBlock",
        "s3:DeleteBucketOwnershipControls" => "s3:PutBucketOwnershipControls",
        "s3:DeleteBucketTagging" => "s3:PutBucketTagging",
        "s3:GetBucketAccelerateConfiguration" => "s3:GetAccelerateConfiguration",
        "s3:PutBucketAccelerateConfiguration" => "s3:PutAccelerateConfiguration",
        "s3:GetBucketAnalyticsConfiguration" => "s3:GetAnalyticsConfiguration",
        "s3:ListBucketAnalyticsConfigurations" => "s3:GetAnalyticsConfiguration",
        "s3:PutBucketAnalyticsConfiguration" => "s3:PutAnalyticsConfiguration",
        "s3:DeleteBucketAnalyticsConfiguration" => "s3:PutAnalyticsConfiguration",
        "s3:GetBucketInventoryConfiguration" => "s3:GetInventoryConfiguration",
        "s3:ListBucketInventoryConfigurations" => "s3:GetInventoryConfiguration",
        "s3:PutBucketInventoryConfiguration" => "s3:PutInventoryConfiguration",
        "s3:DeleteBucketInventoryConfiguration" => "s3:PutInventoryConfiguration",
        "s3:GetBucketMetricsConfiguration" => "s3:GetMetricsConfiguration",
        "s3:ListBucketMetricsConfigurations" => "s3:GetMetricsConfiguration",
        "s3:PutBucketMetricsConfiguration" => "s3:PutMetricsConfiguration",
        "s3:DeleteBucketMetricsConfiguration" => "s3:PutMetricsConfiguration",
        "s3:GetBucketIntelligentTieringConfiguration" => "s3:GetIntelligentTieringConfiguration",
        "s3:ListBucketIntelligentTieringConfigurations" => "s3:GetIntelligentTieringConfiguration",
        "s3:PutBucketIntelligentTieringConfiguration" => "s3:PutIntelligentTieringConfiguration",
        "s3:DeleteBucketIntelligentTieringConfiguration" => "s3:PutIntelligentTieringConfiguration";
    Versioning: "s3:PutBucketVersioning";
    Encryption:
        "s3:GetEncryptionConfiguration", "s3:PutEncryptionConfiguration",
        "s3:GetBucketEncryption" => "s3:GetEncryptionConfiguration",
        "s3:PutBucketEncryption" => "s3:PutEncryptionConfiguration",
        "s3:DeleteBucketEncryption" => "s3:PutEncryptionConfiguration";
    Lifecycle:
        "s3:GetLifecycleConfiguration", "s3:PutLifecycleConfiguration",
        "s3:GetBucketLifecycle" => "s3:GetLifecycleConfiguration",
        "s3:PutBucketLifecycle" => "s3:PutLifecycleConfiguration",
        "s3:GetBucketLifecycleConfiguration" => "s3:GetLifecycleConfiguration",
        "s3:PutBucketLifecycleConfiguration" => "s3:PutLifecycleConfiguration",
        "s3:DeleteBucketLifecycle" => "s3:PutLifecycleConfiguration";
    Cors:
        "s3:GetBucketCORS", "s3:PutBucketCORS",
        "s3:DeleteBucketCORS" => "s3:PutBucketCORS";
    Notification:
        "s3:GetBucketNotification", "s3:PutBucketNotification",
        "s3:GetBucketNotificationConfiguration" => "s3:GetBucketNotification",
        "s3:PutBucketNotificationConfiguration" => "s3:PutBucketNotification";
    Logging: "s3:GetBucketLogging", "s3:PutBucketLogging";
    Website: "s3:GetBucketWebsite", "s3:PutBucketWebsite", "s3:DeleteBucketWebsite";
    ObjectLock:
        "s3:GetBucketObjectLockConfiguration", "s3:PutBucketObjectLockConfiguration", "s3:GetObjectRetention",
        "s3:PutObjectRetention", "s3:GetObjectLegalHold", "s3:PutObjectLegalHold",
        "s3:GetObjectLockConfiguration" => "s3:GetBucketObjectLockConfiguration",
        "s3:PutObjectLockConfiguration" => "s3:PutBucketObjectLockConfiguration";
    Replication:
        "s3:GetReplicationConfiguration", "s3:PutReplicationConfiguration", "s3:ReplicateObject", "s3:ReplicateTags",
        "s3:ReplicateDelete", "s3:InitiateReplication",
        "s3:DeleteReplicationConfiguration" => "s3:PutReplicationConfiguration",
        "s3:GetBucketReplication" => "s3:GetReplicationConfiguration",
        "s3:PutBucketReplication" => "s3:PutReplicationConfiguration",
        "s3:DeleteBucketReplication" => "s3:PutReplicationConfiguration";
    BypassGovernance: "s3:BypassGovernanceRetention";
    ObjectEncryption: "s3:UpdateObjectEncryption";
    Quota: "s3:PutBucketQuota", "s3:DeleteBucketQuota" => "s3:PutBucketQuota";
    IamListUsers: "iam:ListUsers", "iam:list_users" => "iam:ListUsers";
    IamCreateUser: "iam:CreateUser", "iam:create_user" => "iam:CreateUser";
    IamDeleteUser: "iam:DeleteUser", "iam:delete_user" => "iam:DeleteUser";
    IamRotateKey: "iam:RotateAccessKey", "iam:rotate_key" => "iam:RotateAccessKey";
    IamUpdatePolicy: "iam:PutUserPolicy", "iam:update_policy" => "iam:PutUserPolicy";
    IamOther:
        "iam:AddClientIDToOpenIDConnectProvider", "iam:AddUserToGroup", "iam:AttachGroupPolicy",
        "iam:AttachRolePolicy", "iam:AttachUserPolicy", "iam:CreateAccessKey", "iam:CreateGroup",
        "iam:CreateOpenIDConnectProvider", "iam:CreatePolicy", "iam:CreatePolicyVersion", "iam:CreateRole",
        "iam:DeleteAccessKey", "iam:DeleteGroup", "iam:DeleteGroupPolicy", "iam:DeleteOpenIDConnectProvider",
        "iam:DeletePolicy", "iam:DeletePolicyVersion", "iam:DeleteRole", "iam:DeleteRolePolicy",
        "iam:DeleteUserPolicy", "iam:DetachGroupPolicy", "iam:DetachRolePolicy", "iam:DetachUserPolicy",
        "iam:GetAccessKeyLastUsed", "iam:GetAccountAuthorizationDetails", "iam:GetAccountPasswordPolicy",
        "iam:GetAccountSummary", "iam:GetContextKeysForCustomPolicy", "iam:GetContextKeysForPrincipalPolicy",
        "iam:GetGroup", "iam:GetGroupPolicy", "iam:GetLoginProfile", "iam:GetOpenIDConnectProvider", "iam:GetPolicy",
        "iam:GetPolicyVersion", "iam:GetRole", "iam:GetRolePolicy", "iam:GetUser", "iam:GetUserPolicy",
        "iam:ListAccessKeys", "iam:ListAccountAliases", "iam:ListAttachedGroupPolicies",
        "iam:ListAttachedRolePolicies", "iam:ListAttachedUserPolicies", "iam:ListEntitiesForPolicy",
        "iam:ListGroupPolicies", "iam:ListGroups", "iam:ListGroupsForUser", "iam:ListInstanceProfiles",
        "iam:ListInstanceProfilesForRole", "iam:ListMFADevices", "iam:ListOpenIDConnectProviderTags",
        "iam:ListOpenIDConnectProviders", "iam:ListPolicies", "iam:ListPolicyTags", "iam:ListPolicyVersions",
        "iam:ListRolePolicies", "iam:ListRoleTags", "iam:ListRoles", "iam:ListSAMLProviders",
        "iam:ListSSHPublicKeys", "iam:ListServerCertificates", "iam:ListServiceSpecificCredentials",
        "iam:ListSigningCertificates", "iam:ListUserPolicies", "iam:ListUserTags", "iam:ListVirtualMFADevices",
        "iam:PutGroupPolicy", "iam:PutRolePolicy", "iam:RemoveClientIDFromOpenIDConnectProvider",
        "iam:RemoveUserFromGroup", "iam:SetDefaultPolicyVersion", "iam:SimulateCustomPolicy",
        "iam:SimulatePrincipalPolicy", "iam:TagOpenIDConnectProvider", "iam:TagPolicy", "iam:TagRole", "iam:TagUser",
        "iam:UntagOpenIDConnectProvider", "iam:UntagPolicy", "iam:UntagRole", "iam:UntagUser", "iam:UpdateAccessKey",
        "iam:UpdateAssumeRolePolicy", "iam:UpdateGroup", "iam:UpdateOpenIDConnectProviderThumbprint",
        "iam:UpdateRole", "iam:UpdateRoleDescription", "iam:UpdateUser",
        "sts:AssumeRole", "sts:AssumeRoleWithWebIdentity", "sts:GetAccessKeyInfo", "sts:GetCallerIdentity",
        "sts:GetSessionToken", "sts:SetSourceIdentity", "sts:TagSession";
    Kms:
        "kms:CancelKeyDeletion", "kms:ConnectCustomKeyStore", "kms:CreateAlias", "kms:CreateCustomKeyStore",
        "kms:CreateGrant", "kms:CreateKey", "kms:Decrypt", "kms:DeleteAlias", "kms:DeleteCustomKeyStore",
        "kms:DeleteImportedKeyMaterial", "kms:DeriveSharedSecret", "kms:DescribeCustomKeyStores", "kms:DescribeKey",
        "kms:DisableKey", "kms:DisableKeyRotation", "kms:DisconnectCustomKeyStore", "kms:EnableKey",
        "kms:EnableKeyRotation", "kms:Encrypt", "kms:GenerateDataKey", "kms:GenerateDataKeyPair",
        "kms:GenerateDataKeyPairWithoutPlaintext", "kms:GenerateDataKeyWithoutPlaintext", "kms:GenerateMac",
        "kms:GenerateRandom", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus", "kms:GetParametersForImport",
        "kms:GetPublicKey", "kms:ImportKeyMaterial", "kms:ListAliases", "kms:ListGrants", "kms:ListKeyPolicies",
        "kms:ListKeyRotations", "kms:ListKeys", "kms:ListResourceTags", "kms:ListRetirableGrants", "kms:PutKeyPolicy",
        "kms:ReEncryptFrom", "kms:ReEncryptTo", "kms:ReplicateKey", "kms:RetireGrant", "kms:RevokeGrant",
        "kms:RotateKeyOnDemand", "kms:ScheduleKeyDeletion", "kms:Sign", "kms:SynchronizeMultiRegionKey",
        "kms:TagResource", "kms:UntagResource", "kms:UpdateAlias", "kms:UpdateCustomKeyStore",
        "kms:UpdateKeyDescription", "kms:UpdatePrimaryRegion", "kms:Verify", "kms:VerifyMac";
}

static BY_NAME: LazyLock<foldhash::HashMap<String, &'static ActionRow>> =
    LazyLock::new(|| ACTIONS.iter().map(|row| (row.name.to_ascii_lowercase(), row)).collect());
static BY_EXACT_NAME: LazyLock<foldhash::HashMap<&'static str, &'static ActionRow>> =
    LazyLock::new(|| ACTIONS.iter().map(|row| (row.name, row)).collect());

/// Whether an action that AWS checks is done to objects rather than to buckets (Service Authorization Reference, "Actions,
/// resources, and condition keys for Amazon S3").
pub(super) fn is_of_objects(checks: &str) -> bool {
    const FURTHER: [&str; 7] = [
        "s3:AbortMultipartUpload",
        "s3:BypassGovernanceRetention",
        "s3:InitiateReplication",
        "s3:ListMultipartUploadParts",
        "s3:ObjectOwnerOverrideToBucketOwner",
        "s3:ReplicateDelete",
        "s3:ReplicateTags",
    ];
    FURTHER.contains(&checks) || (checks.contains("Object") && !checks.contains("Bucket"))
}

/// The row of an action, by its name with service, in any letter case.
pub fn find_action(name: &str) -> Option<&'static ActionRow> {
    BY_EXACT_NAME.get(name).or_else(|| BY_NAME.get(&name.to_ascii_lowercase())).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_one_row_and_checks_an_action() {
        assert_eq!(BY_NAME.len(), ACTIONS.len(), "a name stands twice");
        for row in ACTIONS {
            let checked = find_action(row.checks).unwrap();
            assert_eq!(checked.checks, checked.name, "{} checks an alias", row.name);
            assert!(find_action(&row.name.to_uppercase()).is_some());
            let service = row.name.split(':').next().unwrap();
            assert_eq!(checked.name.split(':').next().unwrap(), service);
        }
    }

    #[test]
    fn every_bit_is_used_once() {
        let all = Capability::ALL.iter().fold(0u32, |set, capability| {
            assert_eq!(set & capability.bit(), 0, "{capability:?}");
            set | capability.bit()
        });
        assert_eq!(all.count_ones() as usize, Capability::ALL.len());
    }

    #[test]
    fn the_seed_table() {
        let rows = [
            (Coarse::List, "ListBucket ListAllMyBuckets ListBucketVersions ListMultipartUploads ListParts"),
            (Coarse::Read, "GetObject GetObjectVersion GetObjectTagging HeadObject HeadBucket GetBucketVersioning"),
            (Coarse::Write, "PutObject CreateBucket CreateMultipartUpload UploadPart CompleteMultipartUpload"),
            (Coarse::Write, "AbortMultipartUpload CopyObject PutObjectTagging PutObjectVersionTagging UploadPartCopy"),
            (Coarse::Delete, "DeleteObject DeleteObjectVersion DeleteBucket DeleteObjectTagging"),
            (Coarse::Share, "PutObjectAcl PutBucketAcl GetBucketAcl GetObjectAcl GetObjectVersionAcl"),
            (Coarse::Policy, "PutBucketPolicy GetBucketPolicy DeleteBucketPolicy PutBucketVersioning GetBucketCors"),
            (Coarse::Policy, "PutObjectRetention GetObjectLegalHold PutBucketTagging GetBucketWebsite"),
            (Coarse::Replication, "GetReplicationConfiguration PutReplicationConfiguration ReplicateObject"),
            (Coarse::Replication, "ReplicateTags ReplicateDelete DeleteReplicationConfiguration"),
            (Coarse::Alone, "BypassGovernanceRetention PutBucketQuota UpdateObjectEncryption"),
        ];
        for (coarse, names) in rows {
            for name in names.split(' ') {
                let row = find_action(&format!("S3:{name}")).unwrap_or_else(|| panic!("{name}"));
                assert_eq!(row.capability.coarse(), coarse, "{name}");
            }
        }
    }
}
