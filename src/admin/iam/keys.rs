//! Access keys of users.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use myfsio_actors::iam::{CreateAccessKey, DeleteAccessKey, RotateKey, UpdateAccessKey};

use super::body::{ChangedKey, NewKey, Rotation, parse, parse_or_default};
use super::{Call, tell};
use crate::s3::respond::Answer;

/// Gives a key a new secret, or, for an overlap, a successor; tells the credential.
pub async fn rotate(call: &Call<'_>, name: String, body: &[u8]) -> Answer {
    let Rotation { access_key, overlap_seconds } = parse_or_default(body)?;
    let named_key = name.clone();
    let (user, found) = call.user("iam:RotateAccessKey", name)?;
    // AWS has no such action: what is said there of what it comes to holds for it, too.
    if !call.ask_of("iam:RotateAccessKey", found)?.is_grant() {
        call.ask_of("iam:CreateAccessKey", found)?;
        call.ask_of("iam:UpdateAccessKey", found)?;
    }
    // Who names the user by one of its keys means that key.
    let is_key = found.access_keys.iter().any(|key| key.access_key.as_str() == named_key);
    let access_key = access_key.or_else(|| is_key.then_some(named_key));
    let credential = call.change(RotateKey { user, access_key, overlap_seconds }).await?;
    tell::answer(StatusCode::OK, &tell::credential(&credential))
}

/// Adds a key; tells the credential.
pub async fn create(call: &Call<'_>, name: String, body: &[u8]) -> Answer {
    let NewKey { access_key, secret_key, expires_at } = parse_or_default(body)?;
    let (user, _) = call.user("iam:CreateAccessKey", name)?;
    let message = CreateAccessKey { user, access_key, secret_key, expires_at: expires_at.flatten() };
    let credential = call.change(message).await?;
    tell::answer(StatusCode::CREATED, &tell::credential(&credential))
}

/// Enables or disables a key, or sets its end.
pub async fn update(call: &Call<'_>, name: String, access_key: String, body: &[u8]) -> Answer {
    let ChangedKey { enabled, expires_at } = parse(body)?;
    let (user, _) = call.user("iam:UpdateAccessKey", name)?;
    call.change(UpdateAccessKey { user: user.clone(), access_key, enabled, expires_at }).await?;
    let directory = call.node.access.iam.directory();
    tell::answer(StatusCode::OK, &tell::user(&call.node.access.iam, directory.user(&user)?))
}

/// Removes a key.
pub async fn delete(call: &Call<'_>, name: String, access_key: String) -> Answer {
    let (user, _) = call.user("iam:DeleteAccessKey", name)?;
    call.change(DeleteAccessKey { user, access_key }).await?;
    Ok(HttpResponse::NoContent().finish())
}
