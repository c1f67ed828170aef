//! Which backups there are: in the directories in which some were begun while the node ran, as the audit log has it. Whoever makes them
//! without the node, elsewhere, knows of them alone.

use std::path::PathBuf;
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::rt::task::spawn_blocking;
use myfsio_actors::audit::AuditQuery;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::backup::shelf::{Backup, Shelf};
use crate::node::Node;
use crate::s3::error::S3Error;
use crate::s3::respond::{Answer, json as json_answer, no_store};

/// What the log calls the beginning of a backup.
pub const CREATE: &str = "myfsio:CreateBackup";
/// Directories that are looked into, those that were last used.
const DIRECTORIES_MAX: usize = 5;
/// Backups of a directory that are told, the newest.
const BACKUPS_MAX: usize = 50;
/// Entries of a page of the log, and pages that are looked at: each looks at a bounded piece of it.
const ENTRIES: usize = 100;
const PAGES_MAX: usize = 10;

#[derive(Deserialize)]
struct Entry {
    after: Order,
}

#[derive(Deserialize)]
struct Order {
    directory: PathBuf,
}

/// The backups that are there, by directory. Errs: SlowDown when too many read the log at once.
pub async fn known(node: &Arc<Node>) -> Answer {
    let mut directories = Vec::new();
    let mut position = None;
    for _ in 0..PAGES_MAX {
        let query = AuditQuery { action: Some(CREATE.to_owned()), limit: ENTRIES, position, ..AuditQuery::default() };
        let page = node.audit.page(query).await?;
        for entry in &page.entries {
            let Ok(Entry { after: Order { directory } }) = serde_json::from_str(entry) else { continue };
            if directories.len() < DIRECTORIES_MAX && !directories.contains(&directory) {
                directories.push(directory);
            }
        }
        position = page.next;
        if position.is_none() || directories.len() == DIRECTORIES_MAX {
            break;
        }
    }
    let told = spawn_blocking(move || directories.into_iter().map(tell).collect::<Vec<_>>());
    let told = told.await.map_err(S3Error::internal)?;
    Ok(no_store(json_answer(StatusCode::OK, &json!({ "directories": told }))))
}

fn tell(directory: PathBuf) -> Value {
    let (shelf, problem) = match Shelf::read(&directory) {
        Ok(shelf) => (shelf, None),
        Err(error) => (Shelf::default(), Some(error.to_string())),
    };
    let name = |path: &PathBuf| path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let unreadable = shelf.unreadable.iter().map(|(path, reason)| json!({ "folder": name(path), "reason": reason }));
    json!({
        "directory": directory.to_string_lossy(),
        "problem": problem,
        "backups": shelf.backups.iter().rev().take(BACKUPS_MAX).map(about).collect::<Vec<_>>(),
        "incomplete": shelf.incomplete.iter().map(name).collect::<Vec<_>>(),
        "unreadable": unreadable.collect::<Vec<_>>(),
    })
}

/// What a backup says of itself, without the lists of its files.
fn about(backup: &Backup) -> Value {
    let told = &backup.manifest;
    json!({
        "id": told.id, "created_millis": told.created_millis, "myfsio_version": told.myfsio_version,
        "node_id": told.node_id, "buckets": told.buckets, "objects": told.objects, "bytes": told.bytes,
        "copied_bytes": told.copied_bytes, "damaged": told.damaged, "missing": told.missing,
        "includes_secret_key": told.includes_secret_key, "includes_master_key": told.includes_master_key,
    })
}
