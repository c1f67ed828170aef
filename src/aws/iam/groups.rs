//! Groups and their members (IAM API Reference, CreateGroup and its like).

use myfsio_actors::iam::{AddUserToGroup, CreateGroup, DeleteGroup, RemoveUserFromGroup, UpdateGroup};

use super::target::{NAME_MAX, directory, named, named_user};
use super::{change, write};
use crate::aws::call::Call;
use crate::aws::error::ApiError;
use crate::aws::names::arn;
use crate::aws::page::Page;
use crate::aws::permission;
use crate::s3::xml::XmlWriter;

/// CreateGroup.
pub async fn create_group(call: &Call, out: &mut XmlWriter) -> Result<(), ApiError> {
    let path = call.parameters.path_if("Path")?.map(str::to_owned);
    let group = named(call, "GroupName")?;
    change(call, CreateGroup { group: group.clone(), path }).await?;
    out.open("Group");
    write::group(out, directory(call).group(&group.account_id, &group.name)?, &group.account_id);
    out.close();
    Ok(())
}

/// GetGroup.
pub fn get_group(call: &Call, out: &mut XmlWriter) -> Result<(), ApiError> {
    let (directory, account_id) = (directory(call), call.account_id()?);
    let group = directory.group(account_id, call.parameters.name("GroupName", NAME_MAX)?)?;
    let members = directory.members(group, account_id);
    let page = Page::of(&call.parameters, members, |user| user.user_name.to_ascii_lowercase())?;
    out.open("Group");
    write::group(out, group, account_id);
    out.close().open("Users");
    for user in &page.items {
        out.open("member");
        write::user(out, user);
        out.close();
    }
    out.close();
    page.end(out);
    Ok(())
}

/// ListGroups.
pub fn list_groups(call: &Call, out: &mut XmlWriter) -> Result<(), ApiError> {
    let (directory, account_id) = (directory(call), call.account_id()?);
    let prefix = call.parameters.path_prefix()?;
    let groups = directory.groups_of(account_id).filter(|group| group.path.starts_with(prefix));
    let page = Page::of(&call.parameters, groups, |group| group.name.to_ascii_lowercase())?;
    out.open("Groups");
    for group in &page.items {
        out.open("member");
        write::group(out, group, account_id);
        out.close();
    }
    out.close();
    page.end(out);
    Ok(())
}

/// UpdateGroup. It takes the permission for the group as it will be, too.
pub async fn update_group(call: &Call) -> Result<(), ApiError> {
    let parameters = &call.parameters;
    let (directory, which) = (directory(call), named(call, "GroupName")?);
    let (new_path, new_name) = (parameters.path_if("NewPath")?, parameters.name_if("NewGroupName", NAME_MAX)?);
    let group = directory.group(&which.account_id, &which.name)?;
    let (path, name) = (new_path.unwrap_or(&group.path), new_name.unwrap_or(&group.name));
    permission::ask(call, call.action.row().permission, &arn(&which.account_id, "group", path, name))?;
    let message =
        UpdateGroup { group: which, new_path: new_path.map(str::to_owned), new_name: new_name.map(str::to_owned) };
    change(call, message).await
}

/// DeleteGroup.
pub async fn delete_group(call: &Call) -> Result<(), ApiError> {
    change(call, DeleteGroup { group: named(call, "GroupName")? }).await
}

/// AddUserToGroup.
pub async fn add_user_to_group(call: &Call) -> Result<(), ApiError> {
    let user = named_user(call, &directory(call))?;
    change(call, AddUserToGroup { group: named(call, "GroupName")?, user }).await
}

/// RemoveUserFromGroup.
pub async fn remove_user_from_group(call: &Call) -> Result<(), ApiError> {
    let user = named_user(call, &directory(call))?;
    change(call, RemoveUserFromGroup { group: named(call, "GroupName")?, user }).await
}
