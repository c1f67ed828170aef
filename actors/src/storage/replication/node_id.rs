//! The node's id, in a file of its own: a new index must not make another node of it.

use std::path::Path;

use crate::names::NodeId;
use crate::storage::StorageError;
use crate::storage::disk::{Disk, STAGING_FOLDER, SYSTEM_FOLDER, is_absent};
use crate::storage::plan::random;

/// Where it is, relative to the root.
const NODE_ID: &str = ".myfsio.sys/node-id";
const DIGITS: usize = 16;

/// The id of the node that has this data directory; drawn the first time.
pub(in crate::storage) fn node_id(disk: &Disk) -> Result<NodeId, StorageError> {
    let path = Path::new(NODE_ID);
    match disk.open_file(path) {
        Ok(file) => {
            let mut text = [0; DIGITS];
            file.read_exact_at(&mut text, 0).map_err(|e| StorageError::io("read", path, e))?;
            let id = std::str::from_utf8(&text).ok().and_then(|text| text.parse().ok());
            id.ok_or_else(|| StorageError::Unavailable { reason: format!("{NODE_ID} holds no node id: {text:?}") })
        }
        Err(e) if is_absent(&e) => draw(disk, path),
        Err(e) => Err(StorageError::io("open", path, e)),
    }
}

fn draw(disk: &Disk, path: &Path) -> Result<NodeId, StorageError> {
    let id = loop {
        if let Some(id) = NodeId::new(random()?) {
            break id;
        }
    };
    let staged = Path::new(STAGING_FOLDER).join("node-id");
    let write = || {
        let file = disk.create(&staged)?;
        file.write_all_at(format!("{id}\n").as_bytes(), 0)?;
        file.sync_data()?;
        disk.rename(&staged, path)?;
        disk.sync_folder(Path::new(SYSTEM_FOLDER))
    };
    write().map_err(|e| StorageError::io("write", path, e))?;
    Ok(id)
}
