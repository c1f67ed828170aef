//! Groups of the caller's account: their members, and the policies that members have by them.

use actix_web::HttpResponse;
use actix_web::http::{Method, StatusCode};
use myfsio_actors::iam::{
    AddUserToGroup, AttachPolicy, CreateGroup, DeleteGroup, DeleteInlinePolicy, DetachPolicy, Directory, GroupEntry,
    Holder, IamError, Named, PutInlinePolicy, RemoveUserFromGroup, UpdateGroup, WhichUser, inline_document,
    inline_policies,
};
use myfsio_actors::names::Stamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::parse;
use super::route::decoded;
use super::{Call, tell};
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::respond::Answer;

/// A route below `/_myfsio/iam/groups`. A group goes by its name, a policy that is attached by its ARN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupRoute {
    /// `GET groups`
    List,
    /// `POST groups`
    Create,
    /// `GET groups/<group>`
    Get(String),
    /// `PATCH groups/<group>`
    Update(String),
    /// `DELETE groups/<group>`
    Delete(String),
    /// `PUT groups/<group>/members/<user>`
    Add(String, String),
    /// `DELETE groups/<group>/members/<user>`
    Remove(String, String),
    /// `PUT groups/<group>/policies/<name>`: an inline policy.
    Put(String, String),
    /// `DELETE groups/<group>/policies/<name>`
    Drop(String, String),
    /// `PUT groups/<group>/attached/<arn>`
    Attach(String, String),
    /// `DELETE groups/<group>/attached/<arn>`
    Detach(String, String),
}

/// The route of what stands behind `groups`. Errs: NotImplemented, MethodNotAllowed, InvalidURI.
pub fn find(method: &Method, segments: &[&str]) -> Result<GroupRoute, S3Error> {
    let not_taken = |methods: &'static str| Err(S3Error::new(ErrorCode::MethodNotAllowed).header("allow", methods));
    let pair = |group: &str, other: &str| Ok::<_, S3Error>((decoded(group)?, decoded(other)?));
    let route = match (segments, method.as_str()) {
        ([], "GET") => GroupRoute::List,
        ([], "POST") => GroupRoute::Create,
        ([], _) => return not_taken("GET, POST"),
        ([group], "GET") => GroupRoute::Get(decoded(group)?),
        ([group], "PATCH") => GroupRoute::Update(decoded(group)?),
        ([group], "DELETE") => GroupRoute::Delete(decoded(group)?),
        ([_], _) => return not_taken("GET, PATCH, DELETE"),
        ([group, kind @ ("members" | "policies" | "attached"), other], "PUT" | "DELETE") => {
            let (group, other) = pair(group, other)?;
            match (*kind, method == Method::PUT) {
                ("members", true) => GroupRoute::Add(group, other),
                ("members", false) => GroupRoute::Remove(group, other),
                ("policies", true) => GroupRoute::Put(group, other),
                ("policies", false) => GroupRoute::Drop(group, other),
                (_, true) => GroupRoute::Attach(group, other),
                (_, false) => GroupRoute::Detach(group, other),
            }
        }
        ([_, "members" | "policies" | "attached", _], _) => return not_taken("PUT, DELETE"),
        _ => return Err(S3Error::with_message(ErrorCode::NotImplemented, "This route is not implemented.")),
    };
    Ok(route)
}

/// `POST groups`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewGroup {
    name: String,
    path: Option<String>,
}

/// `PATCH groups/<group>`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangedGroup {
    name: Option<String>,
    path: Option<String>,
}

/// Answers a request for groups. Errs: AccessDenied, InvalidArgument, and what IAM refuses.
pub async fn answer(call: &Call<'_>, route: GroupRoute, body: &[u8]) -> Answer {
    match route {
        GroupRoute::List => list(call),
        GroupRoute::Create => create(call, body).await,
        GroupRoute::Get(name) => {
            call.ask("iam:GetGroup", &arn(call, &name)?)?;
            tell_again(call, StatusCode::OK, &name)
        }
        GroupRoute::Update(name) => update(call, name, body).await,
        GroupRoute::Delete(name) => {
            call.ask("iam:DeleteGroup", &arn(call, &name)?)?;
            call.change(DeleteGroup { group: named(call, &name)? }).await?;
            Ok(HttpResponse::NoContent().finish())
        }
        GroupRoute::Add(name, user) => {
            call.ask("iam:AddUserToGroup", &arn(call, &name)?)?;
            let message = AddUserToGroup { group: named(call, &name)?, user: member(call, &user)? };
            call.change(message).await?;
            tell_again(call, StatusCode::OK, &name)
        }
        GroupRoute::Remove(name, user) => {
            call.ask("iam:RemoveUserFromGroup", &arn(call, &name)?)?;
            let message = RemoveUserFromGroup { group: named(call, &name)?, user: member(call, &user)? };
            call.change(message).await?;
            tell_again(call, StatusCode::OK, &name)
        }
        GroupRoute::Put(name, policy_name) => {
            call.ask("iam:PutGroupPolicy", &arn(call, &name)?)?;
            let holder = Holder::Group(named(call, &name)?);
            call.change(PutInlinePolicy { holder, policy_name, document: document(body)? }).await?;
            tell_again(call, StatusCode::OK, &name)
        }
        GroupRoute::Drop(name, policy_name) => {
            call.ask("iam:DeleteGroupPolicy", &arn(call, &name)?)?;
            call.change(DeleteInlinePolicy { holder: Holder::Group(named(call, &name)?), policy_name }).await?;
            tell_again(call, StatusCode::OK, &name)
        }
        GroupRoute::Attach(name, policy) => {
            let policy_arn = call.own_policy_arn(&policy)?;
            call.ask_to_attach("iam:AttachGroupPolicy", (&arn(call, &name)?, &[]), &policy_arn)?;
            call.change(AttachPolicy { holder: Holder::Group(named(call, &name)?), policy_arn }).await?;
            tell_again(call, StatusCode::OK, &name)
        }
        GroupRoute::Detach(name, policy) => {
            let policy_arn = call.own_policy_arn(&policy)?;
            call.ask_to_attach("iam:DetachGroupPolicy", (&arn(call, &name)?, &[]), &policy_arn)?;
            call.change(DetachPolicy { holder: Holder::Group(named(call, &name)?), policy_arn }).await?;
            tell_again(call, StatusCode::OK, &name)
        }
    }
}

/// A policy document as text: it is read where it is kept, so that what is ambiguous in it is seen there.
pub(super) fn document(body: &[u8]) -> Result<String, S3Error> {
    let refused = |error| S3Error::with_message(ErrorCode::InvalidArgument, format!("The body: {error}."));
    std::str::from_utf8(body).map(str::to_owned).map_err(refused)
}

fn list(call: &Call<'_>) -> Answer {
    let account_id = call.account_id()?;
    call.ask("iam:ListGroups", &format!("arn:aws:iam::{account_id}:group/"))?;
    let groups: Vec<Value> =
        call.directory.groups_of(account_id).map(|group| told(&call.directory, group, account_id)).collect();
    tell::answer(StatusCode::OK, &json!({ "groups": groups }))
}

async fn create(call: &Call<'_>, body: &[u8]) -> Answer {
    let NewGroup { name, path } = parse(body)?;
    let account_id = call.account_id()?;
    call.ask("iam:CreateGroup", &format!("arn:aws:iam::{account_id}:group{}{name}", path.as_deref().unwrap_or("/")))?;
    call.change(CreateGroup { group: named(call, &name)?, path }).await?;
    tell_again(call, StatusCode::CREATED, &name)
}

/// It takes the permission for the group as it will be, too.
async fn update(call: &Call<'_>, name: String, body: &[u8]) -> Answer {
    let ChangedGroup { name: new_name, path: new_path } = parse(body)?;
    let account_id = call.account_id()?;
    call.ask("iam:UpdateGroup", &arn(call, &name)?)?;
    let group = call.directory.group(account_id, &name)?;
    let (path, next) = (new_path.as_ref().unwrap_or(&group.path), new_name.as_ref().unwrap_or(&group.name));
    call.ask("iam:UpdateGroup", &format!("arn:aws:iam::{account_id}:group{path}{next}"))?;
    let next = next.clone();
    call.change(UpdateGroup { group: named(call, &name)?, new_name, new_path }).await?;
    tell_again(call, StatusCode::OK, &next)
}

fn named(call: &Call<'_>, name: &str) -> Result<Named, S3Error> {
    Ok(Named::new(call.account_id()?, name))
}

/// The user that comes into a group or leaves it: of the caller's account, by whatever it goes by.
fn member(call: &Call<'_>, user: &str) -> Result<WhichUser, S3Error> {
    let which = WhichUser::Called(user.to_owned());
    let account_id = call.account_id()?;
    let found = call.directory.user(&which).ok().filter(|found| found.account_id == account_id);
    let found = found.ok_or_else(|| IamError::unknown_user(user))?;
    Ok(WhichUser::Called(found.user_id.as_str().to_owned()))
}

/// ARN of a group, which need not be there.
fn arn(call: &Call<'_>, name: &str) -> Result<String, S3Error> {
    let account_id = call.account_id()?;
    let group = call.directory.group(account_id, name);
    Ok(group.map_or_else(|_| format!("arn:aws:iam::{account_id}:group/{name}"), |group| group.arn(account_id)))
}

fn tell_again(call: &Call<'_>, status: StatusCode, name: &str) -> Answer {
    let account_id = call.account_id()?;
    let directory = call.node.access.iam.directory();
    tell::answer(status, &told(&directory, directory.group(account_id, name)?, account_id))
}

fn told(directory: &Directory, group: &GroupEntry, account_id: &str) -> Value {
    let members = directory.members(group, account_id).map(|user| {
        json!({ "user_id": user.user_id.as_str(), "display_name": user.display_name, "user_name": user.user_name })
    });
    let policies = inline_policies(&group.policies)
        .map(|(name, policy)| json!({ "name": name, "document": inline_document(policy) }));
    json!({
        "name": group.name,
        "path": group.path,
        "arn": group.arn(account_id),
        "group_id": group.group_id,
        "created_at": group.created_at.map(Stamp::rfc3339),
        "is_of_every_account": group.account_id.is_none(),
        "members": members.collect::<Vec<_>>(),
        "policies": policies.collect::<Vec<_>>(),
        "attached_policies": group.attached_policies,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes() {
        let found = |method: Method, segments: &[&str]| find(&method, segments).map_err(|error| error.code());
        let (dev, ann) = (|| "dev".to_owned(), || "ann".to_owned());
        assert_eq!(found(Method::GET, &[]), Ok(GroupRoute::List));
        assert_eq!(found(Method::POST, &[]), Ok(GroupRoute::Create));
        assert_eq!(found(Method::GET, &["dev"]), Ok(GroupRoute::Get(dev())));
        assert_eq!(found(Method::PATCH, &["dev"]), Ok(GroupRoute::Update(dev())));
        assert_eq!(found(Method::DELETE, &["dev"]), Ok(GroupRoute::Delete(dev())));
        assert_eq!(found(Method::PUT, &["dev", "members", "ann"]), Ok(GroupRoute::Add(dev(), ann())));
        assert_eq!(found(Method::DELETE, &["dev", "members", "ann"]), Ok(GroupRoute::Remove(dev(), ann())));
        assert_eq!(found(Method::PUT, &["dev", "policies", "ann"]), Ok(GroupRoute::Put(dev(), ann())));
        assert_eq!(found(Method::DELETE, &["dev", "policies", "ann"]), Ok(GroupRoute::Drop(dev(), ann())));
        let attached = GroupRoute::Attach(dev(), "arn:aws:iam::aws:policy/X".to_owned());
        assert_eq!(found(Method::PUT, &["dev", "attached", "arn%3Aaws%3Aiam%3A%3Aaws%3Apolicy%2FX"]), Ok(attached));
        assert_eq!(found(Method::DELETE, &["dev", "attached", "ann"]), Ok(GroupRoute::Detach(dev(), ann())));
        for segments in [&[][..], &["dev"], &["dev", "members", "ann"]] {
            assert_eq!(found(Method::TRACE, segments), Err(ErrorCode::MethodNotAllowed), "{segments:?}");
        }
        assert_eq!(found(Method::PUT, &["dev", "x", "y"]), Err(ErrorCode::NotImplemented));
        assert_eq!(found(Method::GET, &[""]), Err(ErrorCode::InvalidURI));
    }
}
