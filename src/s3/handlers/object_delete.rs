//! DeleteObject: a missing object is no error unless a condition asks for it.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use myfsio_actors::storage::{DeleteObject, Deleted};

use super::object_lock::bypasses_governance;
use crate::s3::conditional::delete_conditions;
use crate::s3::context::Call;
use crate::s3::replica::{self, Does};
use crate::s3::respond::{Answer, empty, set_header};

/// S3 API Reference, DeleteObject.
pub async fn delete_object(call: Call) -> Answer {
    let (bucket, key) = (call.bucket()?, call.key()?);
    let version = call.version()?;
    let conditions = delete_conditions(&call.headers)?;
    let received = replica::received(&call, &bucket, &key, Does::Delete)?;
    // Who replicates need not ask for it: that was done where it was deleted first.
    let bypass_governance = received.as_ref().is_some_and(|received| received.replica.permits.bypasses_governance)
        || bypasses_governance(&call, &bucket, key.as_str(), version, None);
    let replica = received.map(|received| Box::new(received.replica));
    let told = replica.is_some();
    let message = DeleteObject { bucket, key, version, owner: call.owner_id(), bypass_governance, conditions, replica };
    let deleted = call.storage().delete_object(message).await?;
    let mut response = deleted_response(&deleted);
    if told {
        replica::tell(&mut response, deleted.applied);
    }
    Ok(response)
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
