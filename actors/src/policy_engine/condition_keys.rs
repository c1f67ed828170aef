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

#[cfg(test)]
mod tests {
    use super::*;

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
