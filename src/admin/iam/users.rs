//! Users.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use myfsio_actors::iam::{CreateUser, DeleteUser, GroupChange, SetPolicies, UpdateUser, UserSummary, WhichUser};
use serde_json::{Value, json};

use super::body::{ChangedUser, NewUser, parse};
use super::{Call, tell};
use crate::s3::error::S3Error;
use crate::s3::respond::Answer;

/// Most characters of a name that a permission is asked for; IAM refuses names long before.
const NAME_CHARACTERS_MAX: usize = 256;

/// The users: to those who administer the node all of them, with what is wrong in the file; to others those of their account.
pub fn list(call: &Call<'_>) -> Answer {
    let is_administrator = call.caller.is_administrator(call.node);
    let account_id = call.account_id()?;
    if !is_administrator {
        call.ask("iam:ListUsers", &format!("arn:aws:iam::{account_id}:user/"))?;
    }
    let sees = |user: &&UserSummary| is_administrator || user.account_id == account_id;
    let users: Vec<Value> =
        call.directory.users().iter().filter(sees).map(|user| tell::user(&call.node.access.iam, user)).collect();
    let mut told = json!({ "users": users });
    if is_administrator && let Value::Object(fields) = &mut told {
        let problem = call.node.access.iam.problem().map(|problem| problem.to_string());
        fields.insert("problem".to_owned(), Value::from(problem));
        fields.insert("warnings".to_owned(), Value::from(call.directory.warnings()));
    }
    tell::answer(StatusCode::OK, &told)
}

/// A user.
pub fn get(call: &Call<'_>, name: String) -> Answer {
    let (_, user) = call.user("iam:GetUser", name)?;
    tell::answer(StatusCode::OK, &tell::user(&call.node.access.iam, user))
}

/// The user as it is now.
fn tell_again(call: &Call<'_>, status: StatusCode, which: &WhichUser) -> Answer {
    let directory = call.node.access.iam.directory();
    tell::answer(status, &tell::user(&call.node.access.iam, directory.user(which)?))
}

/// Adds a user to the caller's account, and tells its credential. Policies take the permission to give them, too.
pub async fn create(call: &Call<'_>, body: &[u8]) -> Answer {
    let NewUser { display_name, user_name, path, policies, access_key, secret_key, expires_at } = parse(body)?;
    let account_id = call.account_id()?;
    let mut message = CreateUser {
        account_id: Some(account_id.to_owned()),
        display_name,
        user_name,
        path,
        policies: policies.unwrap_or_else(|| json!([])),
        expires_at: expires_at.flatten(),
        access_key,
        secret_key,
        ..CreateUser::default()
    };
    message.settle(&call.directory)?;
    let name: String = message.user_name.iter().flat_map(|name| name.chars()).take(NAME_CHARACTERS_MAX).collect();
    let arn = format!("arn:aws:iam::{account_id}:user{}{name}", message.path.as_deref().unwrap_or("/"));
    message.by_grant = call.ask("iam:CreateUser", &arn)?.is_grant();
    let policies = &message.policies;
    if policies.as_array().is_none_or(|list| !list.is_empty()) {
        call.ask("iam:PutUserPolicy", &arn)?;
    }
    let made = call.change(message).await?;
    let mut told = made.credential.as_ref().map(tell::credential).unwrap_or_default();
    let directory = call.node.access.iam.directory();
    let user = directory.user(&WhichUser::Called(made.user_id.as_str().to_owned()))?;
    if let Value::Object(fields) = &mut told {
        fields.insert("user".to_owned(), tell::user(&call.node.access.iam, user));
    }
    tell::answer(StatusCode::CREATED, &told)
}

/// Replaces a user's own policies.
pub async fn set_policies(call: &Call<'_>, name: String, body: &[u8]) -> Answer {
    let (which, _) = call.user("iam:PutUserPolicy", name)?;
    let policies: Value = parse(body)?;
    call.change(SetPolicies { user: which.clone(), policies }).await?;
    tell_again(call, StatusCode::OK, &which)
}

/// Changes what is said of a user. Its groups take the permissions for each of those that it comes into or leaves.
pub async fn update(call: &Call<'_>, name: String, body: &[u8]) -> Answer {
    let ChangedUser { display_name, user_name, path, enabled, expires_at, groups } = parse(body)?;
    let says_more = display_name.is_some() || user_name.is_some() || path.is_some() || enabled.is_some();
    let action = match says_more || expires_at.is_some() || groups.is_none() {
        true => "iam:UpdateUser",
        false => "iam:GetUser",
    };
    let (which, user) = call.user(action, name)?;
    if let Some(groups) = &groups {
        ask_for_groups(call, user, groups)?;
    }
    if user_name.is_some() || path.is_some() {
        let (path, name) = (path.as_ref().unwrap_or(&user.path), user_name.as_ref().unwrap_or(&user.user_name));
        call.ask_about("iam:UpdateUser", &format!("arn:aws:iam::{}:user{path}{name}", user.account_id), &user.tags)?;
    }
    let message =
        UpdateUser { display_name, user_name, path, enabled, expires_at, groups, ..UpdateUser::new(which.clone()) };
    call.change(message).await?;
    tell_again(call, StatusCode::OK, &which)
}

fn ask_for_groups(call: &Call<'_>, user: &UserSummary, wanted: &[String]) -> Result<(), S3Error> {
    for GroupChange { permission, .. } in call.directory.group_changes(user, wanted, &call.principal()?.user_id) {
        call.ask(permission.action, &permission.resource)?;
    }
    Ok(())
}

/// Removes a user with all that it has.
pub async fn delete(call: &Call<'_>, name: String) -> Answer {
    let (which, _) = call.user("iam:DeleteUser", name)?;
    call.change(DeleteUser { user: which, force: true }).await?;
    Ok(HttpResponse::NoContent().finish())
}
