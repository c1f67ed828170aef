//! Connections: listed, made, changed, tested and removed by administrators.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use myfsio_actors::audit::ChangeOrigin;
use myfsio_actors::replication_worker::{Connection, ConnectionDraft, ReplicationError};
use serde_json::{Value, json};

use super::body::{ConnectionBody, TestBody, parse};
use super::tell;
use crate::node::Node;
use crate::replication::check_endpoint;
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::respond::{self, Answer, no_store};

fn ok(status: StatusCode, body: &Value) -> Answer {
    Ok(no_store(respond::json(status, body)))
}

/// The connection of an id, or of a name that it alone has. Errs: NoSuchEntity.
pub(super) fn find(node: &Node, name: &str) -> Result<Arc<Connection>, S3Error> {
    node.replication.connection(name).ok_or_else(|| ReplicationError::NoSuchConnection(name.to_owned()).into())
}

pub(super) async fn list(node: &Node) -> Answer {
    node.replication.refresh().await?;
    let told: Vec<_> = node.replication.connections().iter().map(|connection| tell::connection(connection)).collect();
    ok(StatusCode::OK, &json!({ "connections": told }))
}

pub(super) async fn get(node: &Node, name: &str) -> Answer {
    node.replication.refresh().await?;
    ok(StatusCode::OK, &tell::connection(&*find(node, name)?))
}

/// Makes a connection, or changes one. Errs: InvalidArgument, EntityAlreadyExists, NoSuchEntity.
pub(super) async fn put(node: &Node, by: ChangeOrigin, name: Option<&str>, body: &[u8]) -> Answer {
    node.replication.refresh().await?;
    let body: ConnectionBody = parse(body)?;
    let id = name.map(|name| find(node, name).map(|connection| connection.id.to_string())).transpose()?;
    let draft = body.draft(id.as_deref())?;
    if let Some(endpoint) = &draft.endpoint_url {
        check_endpoint(endpoint, node.settings.allow_private_endpoints)
            .map_err(|reason| S3Error::invalid_argument("endpoint_url", "", reason))?;
    }
    let status = if id.is_some() { StatusCode::OK } else { StatusCode::CREATED };
    let made = node.replication.put_connection(by, draft).await?;
    ok(status, &tell::connection(&made))
}

/// Errs: NoSuchEntity; OperationAborted while a bucket is replicated by it.
pub(super) async fn remove(node: &Node, by: ChangeOrigin, name: &str) -> Answer {
    node.replication.refresh().await?;
    let id = find(node, name)?.id.to_string();
    node.replication.delete_connection(by, id).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Asks who is there. Errs: NoSuchEntity.
pub(super) async fn test(node: &Node, name: &str, body: &[u8]) -> Answer {
    node.replication.refresh().await?;
    let TestBody { bucket } = parse(body)?;
    if bucket.as_ref().is_some_and(|bucket| bucket.is_empty() || bucket.contains('/')) {
        let message = "This is no name of a bucket.";
        return Err(S3Error::with_message(ErrorCode::InvalidArgument, message));
    }
    let draft = ConnectionDraft { id: Some(find(node, name)?.id.to_string()), ..ConnectionDraft::default() };
    let with_bucket = bucket.is_some();
    let report = node.replication.test_connection(draft, bucket).await?;
    ok(StatusCode::OK, &tell::report(&report, with_bucket))
}
