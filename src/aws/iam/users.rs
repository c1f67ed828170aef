//! Users (IAM API Reference, CreateUser and its like).

use myfsio_actors::iam::{CreateUser, DeleteUser, UpdateUser, UserSummary, WhichUser};

use super::roles::refuse_boundary;
use super::target::{NEW_NAME_MAX, directory, named_user, user_or_caller};
use super::{change, write};
use crate::aws::call::Call;
use crate::aws::error::ApiError;
use crate::aws::names::arn;
use crate::aws::page::Page;
use crate::aws::permission;
use crate::s3::xml::XmlWriter;

/// CreateUser.
pub async fn create_user(call: &Call, out: &mut XmlWriter) -> Result<(), ApiError> {
    let parameters = &call.parameters;
    refuse_boundary(call)?;
    let (account_id, name) = (call.account_id()?, parameters.name("UserName", NEW_NAME_MAX)?);
    let path = parameters.path_if("Path")?;
    let own = arn(account_id, "user", path.unwrap_or("/"), name);
    let message = CreateUser {
        account_id: Some(account_id.to_owned()),
        user_name: Some(name.to_owned()),
        path: path.map(str::to_owned),
        by_grant: permission::is_by_grant(call, call.action.row().permission, &own)?,
        tags: parameters.tags("Tags")?,
        with_key: false,
        ..CreateUser::default()
    };
    let made = change(call, message).await?;
    let directory = directory(call);
    write_user(directory.user(&WhichUser::Called(made.user_id.as_str().to_owned()))?, out);
    Ok(())
}

fn write_user(user: &UserSummary, out: &mut XmlWriter) {
    out.open("User");
    write::user(out, user);
    write::tags(out, &user.tags);
    out.close();
}

/// GetUser.
pub fn get_user(call: &Call, out: &mut XmlWriter) -> Result<(), ApiError> {
    let directory = directory(call);
    write_user(directory.user(&user_or_caller(call, &directory)?)?, out);
    Ok(())
}

/// ListUsers. A root by its record is the account rather than a user in it.
pub fn list_users(call: &Call, out: &mut XmlWriter) -> Result<(), ApiError> {
    let (directory, prefix) = (directory(call), call.parameters.path_prefix()?);
    let users =
        directory.users_of(call.account_id()?).filter(|user| !user.is_named_root && user.path.starts_with(prefix));
    let page = Page::of(&call.parameters, users, |user| user.user_name.to_ascii_lowercase())?;
    out.open("Users");
    for user in &page.items {
        out.open("member");
        write::user(out, user);
        out.close();
    }
    out.close();
    page.end(out);
    Ok(())
}

/// UpdateUser. It takes the permission for the user as it will be, too.
pub async fn update_user(call: &Call) -> Result<(), ApiError> {
    let parameters = &call.parameters;
    let directory = directory(call);
    let which = named_user(call, &directory)?;
    let (new_path, new_name) = (parameters.path_if("NewPath")?, parameters.name_if("NewUserName", NEW_NAME_MAX)?);
    let user = directory.user(&which)?;
    let (path, name) = (new_path.unwrap_or(&user.path), new_name.unwrap_or(&user.user_name));
    permission::ask(call, call.action.row().permission, &arn(&user.account_id, "user", path, name))?;
    let message = UpdateUser {
        path: new_path.map(str::to_owned),
        user_name: new_name.map(str::to_owned),
        ..UpdateUser::new(which)
    };
    change(call, message).await
}

/// DeleteUser.
pub async fn delete_user(call: &Call) -> Result<(), ApiError> {
    let user = named_user(call, &directory(call))?;
    change(call, DeleteUser { user, force: false }).await?;
    Ok(())
}

/// ListGroupsForUser.
pub fn list_groups_for_user(call: &Call, out: &mut XmlWriter) -> Result<(), ApiError> {
    let directory = directory(call);
    let user = directory.user(&named_user(call, &directory)?)?;
    let page = Page::of(&call.parameters, directory.groups_of_user(user), |group| group.name.to_ascii_lowercase())?;
    out.open("Groups");
    for group in &page.items {
        out.open("member");
        write::group(out, group, &user.account_id);
        out.close();
    }
    out.close();
    page.end(out);
    Ok(())
}
