//! Managed policies that the caller's account sees: documents, versions, and to whom they are attached.

use actix_web::HttpResponse;
use actix_web::http::{Method, StatusCode};
use myfsio_actors::iam::{
    AttachPolicy, CreatePolicy, CreatePolicyVersion, DeletePolicy, DeletePolicyVersion, DetachPolicy, Directory,
    Holder, HolderEntry, IamError, ManagedPolicy, Named, PolicyVersion, SetDefaultPolicyVersion, UserSummary,
    WhichUser,
};
use myfsio_actors::names::Stamp;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::groups::document;
use super::route::decoded;
use super::{Call, tell};
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::respond::Answer;

/// Versions that a policy has at most (IAM User Guide, "IAM and AWS STS quotas").
const VERSIONS_MAX: usize = 5;

/// A route below `/_myfsio/iam/policies`. A policy goes by its ARN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PolicyRoute {
    /// `GET policies`
    List,
    /// `POST policies`
    Create,
    /// `GET policies/<arn>`
    Get(String),
    /// `PUT policies/<arn>`: a new version, which is in force at once.
    Put(String),
    /// `DELETE policies/<arn>`, with all its versions.
    Delete(String),
    /// `POST policies/<arn>/versions/<version>`: is in force from now on.
    Choose(String, String),
    /// `DELETE policies/<arn>/versions/<version>`
    DropVersion(String, String),
}

/// The route of what stands behind `policies`. Errs: NotImplemented, MethodNotAllowed, InvalidURI.
pub fn find(method: &Method, segments: &[&str]) -> Result<PolicyRoute, S3Error> {
    let not_taken = |methods: &'static str| Err(S3Error::new(ErrorCode::MethodNotAllowed).header("allow", methods));
    let route = match (segments, method.as_str()) {
        ([], "GET") => PolicyRoute::List,
        ([], "POST") => PolicyRoute::Create,
        ([], _) => return not_taken("GET, POST"),
        ([arn], "GET") => PolicyRoute::Get(decoded(arn)?),
        ([arn], "PUT") => PolicyRoute::Put(decoded(arn)?),
        ([arn], "DELETE") => PolicyRoute::Delete(decoded(arn)?),
        ([_], _) => return not_taken("GET, PUT, DELETE"),
        ([arn, "versions", version], "POST") => PolicyRoute::Choose(decoded(arn)?, decoded(version)?),
        ([arn, "versions", version], "DELETE") => PolicyRoute::DropVersion(decoded(arn)?, decoded(version)?),
        ([_, "versions", _], _) => return not_taken("POST, DELETE"),
        _ => return Err(S3Error::with_message(ErrorCode::NotImplemented, "This route is not implemented.")),
    };
    Ok(route)
}

/// `POST policies`. The document stays text until it is read where it is kept.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewPolicy<'a> {
    name: String,
    path: Option<String>,
    description: Option<String>,
    #[serde(borrow)]
    document: &'a RawValue,
}

/// Answers a request for managed policies. Errs: AccessDenied, InvalidArgument, and what IAM refuses.
pub async fn answer(call: &Call<'_>, route: PolicyRoute, body: &[u8]) -> Answer {
    match route {
        PolicyRoute::List => list(call),
        PolicyRoute::Create => create(call, body).await,
        PolicyRoute::Get(arn) => {
            ask(call, "iam:GetPolicy", &arn)?;
            ask(call, "iam:GetPolicyVersion", &arn)?;
            tell_again(call, StatusCode::OK, &arn)
        }
        PolicyRoute::Put(arn) => put(call, arn, body).await,
        PolicyRoute::Delete(arn) => delete(call, arn).await,
        PolicyRoute::Choose(arn, version_id) => {
            ask(call, "iam:SetDefaultPolicyVersion", &arn)?;
            let account_id = call.account_id()?.to_owned();
            call.change(SetDefaultPolicyVersion { account_id, arn: arn.clone(), version_id }).await?;
            tell_again(call, StatusCode::OK, &arn)
        }
        PolicyRoute::DropVersion(arn, version_id) => {
            drop_version(call, &arn, version_id).await?;
            tell_again(call, StatusCode::OK, &arn)
        }
    }
}

fn list(call: &Call<'_>) -> Answer {
    let account_id = call.account_id()?;
    call.ask("iam:ListPolicies", &format!("arn:aws:iam::{account_id}:policy/"))?;
    let policies: Vec<Value> = call
        .directory
        .managed_policies_of(account_id)
        .map(|policy| told(&call.directory, policy, account_id, false))
        .collect();
    tell::answer(StatusCode::OK, &json!({ "policies": policies }))
}

async fn create(call: &Call<'_>, body: &[u8]) -> Answer {
    let refused = |error: &dyn std::fmt::Display| {
        S3Error::with_message(ErrorCode::InvalidArgument, format!("The body: {error}."))
    };
    let text = std::str::from_utf8(body).map_err(|error| refused(&error))?;
    let NewPolicy { name, path, description, document } =
        serde_json::from_str(text).map_err(|error| refused(&error))?;
    let account_id = call.account_id()?;
    call.ask("iam:CreatePolicy", &format!("arn:aws:iam::{account_id}:policy{}{name}", path.as_deref().unwrap_or("/")))?;
    let message = CreatePolicy {
        policy: Named::new(account_id, name),
        path,
        description,
        document: document.get().to_owned(),
        tags: Vec::new(),
    };
    let arn = call.change(message).await?;
    tell_again(call, StatusCode::CREATED, &arn)
}

/// A new version; where there are as many as there can be, the oldest that is not in force goes, which takes its own permission.
async fn put(call: &Call<'_>, arn: String, body: &[u8]) -> Answer {
    ask(call, "iam:CreatePolicyVersion", &arn)?;
    let document = document(body)?;
    let policy = call.directory.managed_policy(&arn)?;
    if policy.versions.len() >= VERSIONS_MAX
        && let Some(oldest) = policy.versions.iter().find(|version| version.version_id != policy.default_version_id)
    {
        drop_version(call, &arn, oldest.version_id.clone()).await?;
    }
    let account_id = call.account_id()?.to_owned();
    call.change(CreatePolicyVersion { account_id, arn: arn.clone(), document, set_as_default: true }).await?;
    tell_again(call, StatusCode::OK, &arn)
}

async fn drop_version(call: &Call<'_>, arn: &str, version_id: String) -> Result<(), S3Error> {
    ask(call, "iam:DeletePolicyVersion", arn)?;
    let account_id = call.account_id()?.to_owned();
    call.change(DeletePolicyVersion { account_id, arn: arn.to_owned(), version_id }).await
}

async fn delete(call: &Call<'_>, arn: String) -> Answer {
    ask(call, "iam:DeletePolicy", &arn)?;
    let account_id = call.account_id()?.to_owned();
    let policy = call.directory.managed_policy(&arn)?;
    // While it is attached it stays, and so do its versions.
    if call.directory.holders(policy, &account_id).next().is_some() {
        let message = "Cannot delete a policy attached to entities.";
        return Err(S3Error::with_message(ErrorCode::DeleteConflict, message));
    }
    for version in policy.versions.iter().filter(|version| version.version_id != policy.default_version_id) {
        drop_version(call, &arn, version.version_id.clone()).await?;
    }
    call.change(DeletePolicy { account_id, arn }).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Attaches a policy to a user, or takes it away.
pub async fn attach(call: &Call<'_>, user: String, policy: String, attaches: bool) -> Answer {
    let action = if attaches { "iam:AttachUserPolicy" } else { "iam:DetachUserPolicy" };
    let (account_id, policy_arn) = (call.account_id()?, call.own_policy_arn(&policy)?);
    let asked = |user: &UserSummary| call.ask_to_attach(action, (&user.arn(), &user.tags), &policy_arn);
    // One of another account is as if it were not there, unless a grant holds there, too.
    let found = match call.directory.user(&WhichUser::Called(user.clone())) {
        Ok(found) if found.account_id == account_id => asked(found).map(|_| Some(found))?,
        Ok(found) => asked(found).is_ok_and(|reason| reason.is_grant()).then_some(found),
        Err(_) => None,
    };
    let Some(found) = found else {
        call.ask_to_attach(action, (&format!("arn:aws:iam::{account_id}:user/*"), &[]), &policy_arn)?;
        return Err(IamError::unknown_user(&user).into());
    };
    let which = WhichUser::Called(found.user_id.as_str().to_owned());
    let holder = Holder::User(which.clone());
    match attaches {
        true => call.change(AttachPolicy { holder, policy_arn }).await?,
        false => call.change(DetachPolicy { holder, policy_arn }).await?,
    }
    let directory = call.node.access.iam.directory();
    tell::answer(StatusCode::OK, &tell::user(&call.node.access.iam, directory.user(&which)?))
}

fn ask(call: &Call<'_>, action: &str, arn: &str) -> Result<(), S3Error> {
    let own = call.own_policy_arn(arn)?;
    let tags = call.directory.managed_policy(&own).map(|policy| policy.tags.clone()).unwrap_or_default();
    call.ask_about(action, &own, &tags).map(drop)
}

fn tell_again(call: &Call<'_>, status: StatusCode, arn: &str) -> Answer {
    let account_id = call.account_id()?;
    let directory = call.node.access.iam.directory();
    // Policies of other accounts are as if they were not there.
    let seen =
        directory.managed_policies_of(account_id).find(|policy| policy.arn(account_id).eq_ignore_ascii_case(arn));
    let policy = match seen {
        Some(policy) => policy,
        None => return Err(S3Error::with_message(ErrorCode::NoSuchEntity, format!("Policy {arn} was not found."))),
    };
    tell::answer(status, &told(&directory, policy, account_id, true))
}

fn told(directory: &Directory, policy: &ManagedPolicy, account_id: &str, whole: bool) -> Value {
    let holder = |holder: HolderEntry<'_>| match holder {
        HolderEntry::User(user) => json!({ "kind": "user", "name": user.display_name, "id": user.user_id.as_str() }),
        HolderEntry::Group(group) => json!({ "kind": "group", "name": group.name, "id": group.name }),
        HolderEntry::Role(role) => json!({ "kind": "role", "name": role.name, "id": role.name }),
    };
    let holders: Vec<Value> = directory.holders(policy, account_id).map(holder).collect();
    let mut told = json!({
        "name": policy.name,
        "path": policy.path,
        "arn": policy.arn(account_id),
        "description": policy.description,
        "default_version_id": policy.default_version_id,
        "created_at": policy.created_at.map(Stamp::rfc3339),
        "updated_at": policy.updated_at.map(Stamp::rfc3339),
        "is_own": policy.account_id.as_deref() == Some(account_id),
        "is_of_aws": policy.account_id.as_deref() == Some("aws"),
        "problem": policy.mistake().map(ToString::to_string),
        "holders": holders,
    });
    if let (true, Value::Object(fields)) = (whole, &mut told) {
        let version = |version: &PolicyVersion| {
            json!({
                "version_id": version.version_id,
                "created_at": version.created_at.map(Stamp::rfc3339),
                "document": version.document,
            })
        };
        fields.insert("versions".to_owned(), policy.versions.iter().map(version).collect());
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes() {
        let found = |method: Method, segments: &[&str]| find(&method, segments).map_err(|error| error.code());
        let arn = || "arn:aws:iam::1:policy/p".to_owned();
        let path = "arn%3Aaws%3Aiam%3A%3A1%3Apolicy%2Fp";
        assert_eq!(found(Method::GET, &[]), Ok(PolicyRoute::List));
        assert_eq!(found(Method::POST, &[]), Ok(PolicyRoute::Create));
        assert_eq!(found(Method::GET, &[path]), Ok(PolicyRoute::Get(arn())));
        assert_eq!(found(Method::PUT, &[path]), Ok(PolicyRoute::Put(arn())));
        assert_eq!(found(Method::DELETE, &[path]), Ok(PolicyRoute::Delete(arn())));
        assert_eq!(found(Method::POST, &[path, "versions", "v1"]), Ok(PolicyRoute::Choose(arn(), "v1".to_owned())));
        assert_eq!(
            found(Method::DELETE, &[path, "versions", "v1"]),
            Ok(PolicyRoute::DropVersion(arn(), "v1".to_owned()))
        );
        for segments in [&[][..], &[path], &[path, "versions", "v1"]] {
            assert_eq!(found(Method::TRACE, segments), Err(ErrorCode::MethodNotAllowed), "{segments:?}");
        }
        assert_eq!(found(Method::GET, &[path, "x"]), Err(ErrorCode::NotImplemented));
    }
}
