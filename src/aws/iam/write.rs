//! How entities of IAM look in answers (IAM API Reference, "Data types").

use myfsio_actors::iam::{
    AccessKeySummary, Directory, GroupEntry, ManagedPolicy, PolicyVersion, RoleEntry, Tags, UserSummary,
    inline_document, inline_policies,
};
use myfsio_actors::names::Stamp;
use serde_json::Value;

use crate::s3::auth::canonical::encode;
use crate::s3::xml::XmlWriter;

/// When something was made. What a person typed without saying it was made in 1970, since clients rely on the element.
pub fn created(out: &mut XmlWriter, at: Option<Stamp>) {
    out.time("CreateDate", at.unwrap_or(Stamp(0)));
}

/// A policy document, percent-encoded as RFC 3986 has it.
pub fn document(out: &mut XmlWriter, element: &'static str, document: &Value) {
    out.text(element, &encode(document.to_string().as_bytes(), false));
}

/// A list whose elements are texts.
pub fn texts<'a>(out: &mut XmlWriter, element: &'static str, texts: impl IntoIterator<Item = &'a str>) {
    out.open(element);
    for text in texts {
        out.text("member", text);
    }
    out.close();
}

/// `Tags`; nothing when there are none.
pub fn tags(out: &mut XmlWriter, tags: &Tags) {
    if !tags.is_empty() {
        tag_list(out, tags.iter());
    }
}

/// `Tags`, also when there are none.
pub fn tag_list<'a>(out: &mut XmlWriter, tags: impl Iterator<Item = &'a (String, String)>) {
    out.open("Tags");
    for (key, value) in tags {
        out.open("member").text("Key", key).text("Value", value).close();
    }
    out.close();
}

/// The fields of a user, as lists have them.
pub fn user(out: &mut XmlWriter, user: &UserSummary) {
    out.text("Path", &user.path).text("UserName", &user.user_name).text("UserId", user.user_id.as_str());
    out.text("Arn", &user.arn());
    created(out, user.created_at);
}

/// The fields of an access key, without its secret.
pub fn access_key(out: &mut XmlWriter, user_name: &str, key: &AccessKeySummary) {
    out.text("UserName", user_name).text("AccessKeyId", key.access_key.as_str());
    out.text("Status", if key.is_enabled { "Active" } else { "Inactive" });
    created(out, key.created_at);
}

/// The fields of a group, as an account sees it.
pub fn group(out: &mut XmlWriter, group: &GroupEntry, account_id: &str) {
    out.text("Path", &group.path).text("GroupName", &group.name).text("GroupId", &group.group_id);
    out.text("Arn", &group.arn(account_id));
    created(out, group.created_at);
}

/// The fields of a role, as lists have them.
pub fn role(out: &mut XmlWriter, role: &RoleEntry) {
    out.text("Path", &role.path).text("RoleName", &role.name).text("RoleId", &role.role_id).text("Arn", &role.arn());
    created(out, role.created_at);
    document(out, "AssumeRolePolicyDocument", &role.assume_role_policy);
    out.text_if("Description", role.description.as_deref()).value("MaxSessionDuration", role.max_session_duration);
}

/// Whether a managed policy is one of AWS's own.
pub fn is_of_aws(policy: &ManagedPolicy) -> bool {
    policy.account_id.as_deref() == Some("aws")
}

/// The fields of a managed policy, as lists have them.
pub fn policy(out: &mut XmlWriter, policy: &ManagedPolicy, directory: &Directory, account_id: &str) {
    out.text("PolicyName", &policy.name).text("PolicyId", &policy.policy_id).text("Arn", &policy.arn(account_id));
    out.text("Path", &policy.path).text("DefaultVersionId", &policy.default_version_id);
    out.value("AttachmentCount", directory.holders(policy, account_id).count());
    out.value("PermissionsBoundaryUsageCount", 0).value("IsAttachable", true);
    created(out, policy.created_at);
    out.time("UpdateDate", policy.updated_at.or(policy.created_at).unwrap_or(Stamp(0)));
}

/// The fields of a policy's version, with or without its document.
pub fn version(out: &mut XmlWriter, policy: &ManagedPolicy, version: &PolicyVersion, with_document: bool) {
    if with_document {
        document(out, "Document", &version.document);
    }
    out.text("VersionId", &version.version_id);
    out.value("IsDefaultVersion", version.version_id == policy.default_version_id);
    created(out, version.created_at);
}

/// A list of attached policies.
pub fn attached<'a>(out: &mut XmlWriter, element: &'static str, arns: impl IntoIterator<Item = &'a str>) {
    out.open(element);
    for arn in arns {
        let name = arn.rsplit('/').next().unwrap_or(arn);
        out.open("member").text("PolicyName", name).text("PolicyArn", arn).close();
    }
    out.close();
}

/// A list of inline policies with their documents.
pub fn inline(out: &mut XmlWriter, element: &'static str, policies: &Value) {
    out.open(element);
    for (name, policy) in inline_policies(policies) {
        out.open("member").text("PolicyName", &name);
        document(out, "PolicyDocument", &inline_document(policy));
        out.close();
    }
    out.close();
}
