//! Where the rows are of whatever has bytes.

use super::*;

/// Whatever has bytes of its own, of one bucket or of all: objects, parts of uploads, versions and conflict copies. Ranges that
/// follow each other.
pub(in crate::storage) fn stored(bucket: Option<BucketId>) -> [KeyRange; 4] {
    match bucket {
        Some(id) => [objects(id), parts_of_bucket(id), versions(id), conflicts(id)],
        None => {
            let all = |table| (vec![table], vec![table + 1]);
            [all(OBJECT), all_parts(), all(VERSION), all_conflicts()]
        }
    }
}
