//! Access keys (IAM API Reference, CreateAccessKey and its like). A secret is told once, when its key is made.

use myfsio_actors::iam::{CreateAccessKey, DeleteAccessKey, UpdateAccessKey, WhichUser};
use myfsio_actors::names::AccessKeyId;

use super::target::{NAME_MAX, directory, owner_of_key, user_or_caller};
use super::{change, write};
use crate::aws::call::Call;
use crate::aws::error::{ApiError, ErrorCode};
use crate::aws::page::Page;
use crate::aws::parameters::missing;
use crate::s3::xml::XmlWriter;

/// CreateAccessKey.
pub async fn create_access_key(call: &Call, out: &mut XmlWriter) -> Result<(), ApiError> {
    let user = user_or_caller(call, &directory(call))?;
    let made = change(call, CreateAccessKey { user, access_key: None, secret_key: None, expires_at: None }).await?;
    let directory = directory(call);
    let user = directory.user(&WhichUser::Called(made.user_id.as_str().to_owned()))?;
    let key = user.access_keys.iter().find(|key| key.access_key == made.access_key);
    let key = key.ok_or_else(|| not_found(made.access_key.as_str()))?;
    out.open("AccessKey");
    write::access_key(out, &user.user_name, key);
    out.text("SecretAccessKey", made.secret_key.expose());
    out.close();
    Ok(())
}

/// ListAccessKeys.
pub fn list_access_keys(call: &Call, out: &mut XmlWriter) -> Result<(), ApiError> {
    let directory = directory(call);
    let user = directory.user(&user_or_caller(call, &directory)?)?;
    let page = Page::of(&call.parameters, &user.access_keys, |key| key.access_key.as_str().to_owned())?;
    out.text("UserName", &user.user_name).open("AccessKeyMetadata");
    for key in &page.items {
        out.open("member");
        write::access_key(out, &user.user_name, key);
        out.close();
    }
    out.close();
    page.end(out);
    Ok(())
}

/// UpdateAccessKey.
pub async fn update_access_key(call: &Call) -> Result<(), ApiError> {
    let parameters = &call.parameters;
    // `Expired` is a state that AWS reports and nobody can set.
    let status = parameters.word("Status", &["Active", "Inactive"])?.ok_or_else(|| missing("Status"))?;
    let message = UpdateAccessKey {
        user: user_or_caller(call, &directory(call))?,
        access_key: access_key_id(call)?,
        enabled: Some(status == "Active"),
        expires_at: None,
    };
    change(call, message).await
}

/// DeleteAccessKey.
pub async fn delete_access_key(call: &Call) -> Result<(), ApiError> {
    let user = user_or_caller(call, &directory(call))?;
    change(call, DeleteAccessKey { user, access_key: access_key_id(call)? }).await
}

/// GetAccessKeyLastUsed. A key that was never used, as far as is known, has no date.
pub fn get_access_key_last_used(call: &Call, out: &mut XmlWriter) -> Result<(), ApiError> {
    let directory = directory(call);
    let access_key = access_key_id(call)?;
    let user = owner_of_key(call, &directory, &access_key).ok_or_else(|| not_found(&access_key))?;
    out.text("UserName", &user.user_name).open("AccessKeyLastUsed");
    let used = call.node.access.iam.last_use(&AccessKeyId::parse(&access_key).map_err(|_| not_found(&access_key))?);
    if let Some(used) = &used {
        out.time("LastUsedDate", used.at);
    }
    let told = |text: Option<&str>| text.filter(|text| !text.is_empty()).unwrap_or("N/A").to_owned();
    out.text("ServiceName", &told(used.as_ref().map(|used| used.service.as_str())));
    out.text("Region", &told(used.as_ref().map(|used| used.region.as_str()))).close();
    Ok(())
}

fn not_found(access_key: &str) -> ApiError {
    let message = format!("The Access Key with id {access_key} cannot be found.");
    ApiError::with_message(ErrorCode::NoSuchEntity, message)
}

fn access_key_id(call: &Call) -> Result<String, ApiError> {
    call.parameters.text("AccessKeyId", NAME_MAX).map(str::to_owned)
}
