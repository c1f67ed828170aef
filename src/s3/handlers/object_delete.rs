//! DeleteObject: a missing object is no error unless a condition asks for it.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use myfsio_actors::storage::{DeleteObject, Deleted};

use super::object_lock::bypasses_governance;
use crate::s3::conditional::delete_conditions;
use crate::s3::context::Call;
use crate::s3::respond::{Answer, empty, set_header};

/// S3 API Reference, DeleteObject.
pub async fn delete_object(call: Call) -> Answer {
    let (bucket, key) = (call.bucket()?, call.key()?);
    let version = call.version()?;
    let conditions = delete_conditions(&call.headers)?;
    let owner = call.owner_id();
    let bypass_governance = bypasses_governance(&call, &bucket, key.as_str(), version, None);
    let message = DeleteObject { bucket, key, version, owner, bypass_governance, conditions, replica: None };
    let deleted = call.storage().delete_object(message).await?;
    Ok(deleted_response(&deleted))
}

fn deleted_response(deleted: &Deleted) -> HttpResponse {
    let mut response = empty(StatusCode::NO_CONTENT);
    if let Some(version) = deleted.version_id {
        set_header(&mut response, "x-amz-version-id", &version.to_string());
    }
    if deleted.delete_marker {
        set_header(&mut response, "x-amz-delete-marker", "true");
    }
    response
}
