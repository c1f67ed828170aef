//! The condition keys that a policy may name (Service Authorization Reference, "Condition keys for Amazon S3"; IAM User
//! Guide, "AWS global condition context keys"). A bucket policy with any other key is refused, since a condition that is never
//! evaluated is a door that only looks locked. Policies of users and roles may name keys of every service, as on AWS, where
//! requests of other services have them; one that no request has is missing, which operators tell apart.

const GLOBAL_KEYS: &[&str] = &[
    "CalledVia",
    "CalledViaFirst",
    "CalledViaLast",
    "CurrentTime",
    "EpochTime",
    "FederatedProvider",
    "MultiFactorAuthAge",
    "MultiFactorAuthPresent",
    "PrincipalAccount",
    "PrincipalArn",
    "PrincipalIsAWSService",
    "PrincipalOrgID",
    "PrincipalOrgPaths",
    "PrincipalServiceName",
    "PrincipalType",
    "Referer",
    "RequestedRegion",
    "ResourceAccount",
    "ResourceOrgID",
    "ResourceOrgPaths",
    "SecureTransport",
    "SourceAccount",
    "SourceArn",
    "SourceIdentity",
    "SourceIp",
    "SourceVpc",
    "SourceVpce",
    "TagKeys",
    "TokenIssueTime",
    "UserAgent",
    "UserId",
    "UserName",
    "ViaAWSService",
    "VpcSourceIp",
];

const GLOBAL_PREFIXES: &[&str] = &["PrincipalTag/", "RequestTag/", "ResourceTag/"];

const S3_KEYS: &[&str] = &[
    "AccessPointNetworkOrigin",
    "DataAccessPointAccount",
    "DataAccessPointArn",
    "InventoryAccessibleOptionalFields",
    "LocationConstraint",
    "RequestObjectTagKeys",
    "ResourceAccount",
    "TlsVersion",
    "VersionId",
    "authType",
    "delimiter",
    "if-match",
    "if-none-match",
    "locationconstraint",
    "max-keys",
    "object-lock-legal-hold",
    "object-lock-mode",
    "object-lock-remaining-retention-days",
    "object-lock-retain-until-date",
    "prefix",
    "signatureAge",
    "signatureversion",
    "x-amz-acl",
    "x-amz-content-sha256",
    "x-amz-copy-source",
    "x-amz-grant-full-control",
    "x-amz-grant-read",
    "x-amz-grant-read-acp",
    "x-amz-grant-write",
    "x-amz-grant-write-acp",
    "x-amz-metadata-directive",
    "x-amz-object-ownership",
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-server-side-encryption-customer-algorithm",
    "x-amz-storage-class",
    "x-amz-website-redirect-location",
];

const S3_PREFIXES: &[&str] = &["ExistingObjectTag/", "RequestObjectTag/"];

/// Whether policies of users may ask for a key.
pub fn is_condition_key(key: &str) -> bool {
    is_known(key, true)
}

/// Whether policies may ask for `key`, such as `aws:SourceIp` or `s3:ExistingObjectTag/team`, in any letter case. Where
/// `other_services` is set they may for all that has a service and a name.
pub(super) fn is_known(key: &str, other_services: bool) -> bool {
    let Some((service, name)) = key.split_once(':') else {
        return false;
    };
    if other_services {
        return !service.is_empty() && !name.is_empty();
    }
    let (keys, prefixes) = match service.to_ascii_lowercase().as_str() {
        "aws" => (GLOBAL_KEYS, GLOBAL_PREFIXES),
        "s3" => (S3_KEYS, S3_PREFIXES),
        _ => return false,
    };
    let is_tag = |prefix: &&str| {
        name.split_at_checked(prefix.len())
            .is_some_and(|(head, tag)| head.eq_ignore_ascii_case(prefix) && !tag.is_empty())
    };
    keys.iter().any(|known| known.eq_ignore_ascii_case(name)) || prefixes.iter().any(is_tag)
}

const LISTINGS: &[&str] = &["s3:ListBucket", "s3:ListBucketVersions"];
const WRITES: &[&str] = &["s3:PutObject", "s3:BypassGovernanceRetention"];
const TAG_WRITES: &[&str] =
    &["s3:PutObject", "s3:PutObjectTagging", "s3:PutObjectVersionTagging", "s3:BypassGovernanceRetention"];
const ACL_WRITES: &[&str] = &[
    "s3:PutObject",
    "s3:PutObjectAcl",
    "s3:PutObjectVersionAcl",
    "s3:CreateBucket",
    "s3:PutBucketAcl",
    "s3:BypassGovernanceRetention",
];
const STORAGE_CLASS: &[&str] =
    &["s3:PutObject", "s3:PutObjectAcl", "s3:PutObjectVersionAcl", "s3:BypassGovernanceRetention"];
const ENCRYPTION: &[&str] =
    &["s3:PutObject", "s3:ReplicateObject", "s3:UpdateObjectEncryption", "s3:BypassGovernanceRetention"];
const CUSTOMER_KEY: &[&str] = &["s3:PutObject", "s3:ReplicateObject", "s3:BypassGovernanceRetention"];
const RETENTION: &[&str] = &["s3:PutObject", "s3:PutObjectRetention"];
const LEGAL_HOLD: &[&str] = &["s3:PutObject", "s3:PutObjectLegalHold"];
const VERSIONS: &[&str] = &[
    "s3:GetObjectVersion",
    "s3:DeleteObjectVersion",
    "s3:GetObjectVersionAcl",
    "s3:PutObjectVersionAcl",
    "s3:GetObjectVersionAttributes",
    "s3:GetObjectVersionTagging",
    "s3:PutObjectVersionTagging",
    "s3:DeleteObjectVersionTagging",
    "s3:GetObjectVersionTorrent",
];
/// Not those that write or delete an object (S3 User Guide, "Tagging and access control policies").
const EXISTING_TAGS: &[&str] = &[
    "s3:GetObject",
    "s3:GetObjectVersion",
    "s3:GetObjectAcl",
    "s3:PutObjectAcl",
    "s3:GetObjectVersionAcl",
    "s3:PutObjectVersionAcl",
    "s3:GetObjectAttributes",
    "s3:GetObjectVersionAttributes",
    "s3:GetObjectTagging",
    "s3:PutObjectTagging",
    "s3:DeleteObjectTagging",
    "s3:GetObjectVersionTagging",
    "s3:PutObjectVersionTagging",
    "s3:DeleteObjectVersionTagging",
    "s3:UpdateObjectEncryption",
];

/// The actions whose requests have a key, given in lower case (Service Authorization Reference, "Actions defined by Amazon S3");
/// none: requests of every action do. Whoever asks could otherwise meet a condition by a parameter or header that means nothing to
/// its request.
pub(super) fn actions_with(key: &str) -> Option<&'static [&'static str]> {
    let name = key.strip_prefix("s3:")?;
    Some(match name {
        "prefix" | "delimiter" | "max-keys" => LISTINGS,
        "versionid" => VERSIONS,
        "x-amz-acl"
        | "x-amz-grant-full-control"
        | "x-amz-grant-read"
        | "x-amz-grant-read-acp"
        | "x-amz-grant-write"
        | "x-amz-grant-write-acp" => ACL_WRITES,
        "x-amz-copy-source" | "x-amz-metadata-directive" | "x-amz-website-redirect-location" => WRITES,
        "x-amz-storage-class" => STORAGE_CLASS,
        "x-amz-server-side-encryption" | "x-amz-server-side-encryption-aws-kms-key-id" => ENCRYPTION,
        "x-amz-server-side-encryption-customer-algorithm" => CUSTOMER_KEY,
        "x-amz-object-ownership" | "locationconstraint" => &["s3:CreateBucket"],
        "if-match" => &["s3:PutObject", "s3:DeleteObject"],
        "if-none-match" => &["s3:PutObject"],
        "object-lock-legal-hold" => LEGAL_HOLD,
        "object-lock-mode" | "object-lock-remaining-retention-days" | "object-lock-retain-until-date" => RETENTION,
        "requestobjecttagkeys" => TAG_WRITES,
        "inventoryaccessibleoptionalfields" => &["s3:PutInventoryConfiguration"],
        _ if name.starts_with("requestobjecttag/") => TAG_WRITES,
        _ if name.starts_with("existingobjecttag/") => EXISTING_TAGS,
        _ => return None,
    })
}

/// Whether requests of an action, given by its canonical name, have a key, given in lower case.
pub(super) fn has_key(action: &str, key: &str) -> bool {
    actions_with(key).is_none_or(|actions| actions.contains(&action))
}

/// Whether an action can depend on the tags that an object has.
pub(super) fn has_existing_tags(action: &str) -> bool {
    EXISTING_TAGS.contains(&action)
}

#[cfg(test)]
mod tests {
    use super::super::actions::find_action;
    use super::*;

    #[test]
    fn keys_are_of_actions_that_are_checked() {
        let mut limited = 0;
        for key in S3_KEYS.iter().copied().chain(["ExistingObjectTag/team", "RequestObjectTag/team"]) {
            let key = format!("s3:{}", key.to_ascii_lowercase());
            let actions = actions_with(&key);
            limited += usize::from(actions.is_some());
            for action in actions.unwrap_or_default() {
                assert_eq!(find_action(action).map(|row| row.checks), Some(*action), "{key}");
                assert!(has_key(action, &key));
            }
        }
        assert_eq!(limited, S3_KEYS.len() + 2 - 9, "all but those of access points, signatures and connections");
        assert!(has_key("s3:ListBucket", "s3:prefix") && !has_key("s3:GetObject", "s3:prefix"));
        assert!(has_key("s3:GetObject", "aws:sourceip") && has_key("s3:GetObject", "s3:authtype"));
        assert!(!has_key("kms:Decrypt", "s3:x-amz-server-side-encryption") && !has_key("iam:GetUser", "s3:prefix"));
        assert!(has_existing_tags("s3:GetObject") && !has_existing_tags("s3:DeleteObject"));
    }

    #[test]
    fn known_and_unknown() {
        for key in ["aws:SourceIp", "AWS:sourceip", "s3:prefix", "s3:ExistingObjectTag/team", "aws:PrincipalTag/a/b"] {
            assert!(is_known(key, false), "{key}");
        }
        for key in ["", "SourceIp", "aws:", "aws:Foo", "s3:ExistingObjectTag/", "s3:nothing", "kms:ViaService"] {
            assert!(!is_known(key, false), "{key}");
        }
        for key in ["kms:ViaService", "aws:Foo", "s3:nothing", "issuer.test/a:sub"] {
            assert!(is_known(key, true), "{key}");
        }
        for key in ["", "SourceIp", "aws:", ":sub"] {
            assert!(!is_known(key, true), "{key}");
        }
    }
}
