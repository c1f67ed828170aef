//! Objects that another node has cut to send them: they come in parts, and are objects of a single request to everybody, whatever becomes
//! of them.

use std::fs;
use std::ops::Range;
use std::sync::Arc;

use futures_util::StreamExt as _;

use super::super::envelopes;
use super::super::fixtures::*;
use super::super::fsck::{rebuild, run};
use super::queue::{replica, replicated};
use crate::bucket_config::ReplicationLimits;
use crate::encryption::Envelope;
use crate::names::{Checksum, ChecksumAlgorithm, ETag, VersionId};
use crate::storage::*;

/// Bytes of the parts.
const SIZES: [usize; 3] = [70_000, 70_000, 9];

/// Names of objects, by how they are encrypted.
fn kinds(there: &Bucket) -> [(&'static str, Option<Envelope>); 3] {
    [
        ("plain", None),
        ("managed", Some(envelopes::managed("m1", there, "managed"))),
        ("kms", Some(envelopes::kms("k1", there, "kms"))),
    ]
}

fn crc64nvme(bytes: &[u8]) -> Option<Checksum> {
    let crc = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, bytes);
    Checksum::from_bytes(ChecksumAlgorithm::Crc64Nvme, &crc.to_be_bytes())
}

/// Sends the parts of an object; answers the request that makes it what it was, and its bytes.
async fn sent(node: &Node, there: &Arc<Bucket>, name: &str, envelope: Option<&Envelope>) -> (CompleteUpload, Vec<u8>) {
    let upload = begin_with(&node.client, there, name, envelope).await;
    let (mut parts, mut bytes) = (Vec::new(), Vec::new());
    for (at, size) in SIZES.into_iter().enumerate() {
        let piece = body(at, size);
        bytes.extend_from_slice(&piece);
        parts.push(part(&node.client, there, &upload, at as u32 + 1, piece).await);
    }
    let request = CompleteUpload {
        expected_checksum: crc64nvme(&bytes),
        whole: Some(Whole { md5: md5_of(&bytes), checksum: None }),
        ..completion(there, &upload, parts)
    };
    (request, bytes)
}

async fn read(
    client: &StorageClient,
    there: &Arc<Bucket>,
    name: &str,
    version: Option<VersionId>,
    range: Range<usize>,
) -> Vec<u8> {
    let open = client.open_object(there, &key(name), version).await.unwrap();
    let data_key = open.object.encryption().map(|encryption| envelopes::open(encryption, there, name));
    let mut reader = open.read(range.start as u64..range.end as u64, data_key.as_ref()).unwrap();
    let mut bytes = Vec::new();
    while let Some(chunk) = reader.next().await {
        bytes.extend_from_slice(&chunk.unwrap());
    }
    bytes
}

/// It is to everybody what one request had written, and all of it can be read.
async fn check(client: &StorageClient, there: &Arc<Bucket>, name: &str, etag: ETag, bytes: &[u8]) {
    let object = client.object(there, &key(name), None).await.unwrap();
    assert_eq!((object.etag, object.size), (etag, bytes.len() as u64), "{name}");
    assert_eq!(client.object_parts(there, &object).unwrap(), [], "{name}");
    let end = bytes.len();
    for range in [0..end, 0..1, 69_999..70_001, 10..140_001, 140_000..end, end - 1..end] {
        assert!(read(client, there, name, None, range.clone()).await == bytes[range.clone()], "{name} {range:?}");
    }
}

#[actix::test]
async fn what_came_in_parts_is_what_one_request_had_written() {
    let node = node();
    let there = bucket(&node.client, "things").await;
    let mut objects = Vec::new();
    for (name, envelope) in kinds(&there) {
        let (request, bytes) = sent(&node, &there, name, envelope.as_ref()).await;
        for checksum in [None, crc64nvme(b"other bytes")] {
            let of_others = CompleteUpload { expected_checksum: checksum, ..request.clone() };
            assert!(node.client.precheck_complete(&of_others).is_err());
            let refused = node.client.complete_upload(of_others).await;
            assert!(matches!(refused, Err(StorageError::CompletedMismatch { what: "checksum" })), "{refused:?}");
        }
        assert!(node.client.object(&there, &key(name), None).await.is_err(), "nothing was made of it");
        let made = node.client.complete_upload(request.clone()).await.unwrap().object;
        let again = node.client.complete_upload(request.clone()).await.unwrap().object;
        assert_eq!((again.stamp, again.etag), (made.stamp, made.etag), "it is told again");
        let assembled = node.client.complete_upload(CompleteUpload { whole: None, ..request }).await;
        assert!(matches!(assembled, Err(StorageError::NoSuchUpload { .. })), "{assembled:?}");
        assert_eq!(made.etag == ETag::single(md5_of(&bytes)), name != "kms", "its MD5 tells of the bytes");
        check(&node.client, &there, name, made.etag, &bytes).await;
        objects.push((name, made.etag, bytes));
    }
    let root = stop(node).await;
    assert_eq!(run(root.path(), Mend::Nothing, true).1, []);
    fs::remove_file(root.path().join(".myfsio.sys/index.redb")).unwrap();
    fs::remove_dir_all(root.path().join(".myfsio.sys/journal")).unwrap();
    assert_eq!(rebuild(root.path()), []);
    let client = open(root.path());
    let there = client.bucket(&there.name).unwrap();
    for (name, etag, bytes) in &objects {
        check(&client, &there, name, *etag, bytes).await;
        let asked = ExplainObject { key: key(name), version: None, data: true };
        let told = client.explain_object(&there, asked).await.unwrap();
        let segments = told.encryption.map(|encryption| encryption.segments.len());
        assert_eq!((told.file.state, told.parts), (FileState::Agrees, None), "{name}");
        assert_eq!(segments, (*name != "plain").then_some(SIZES.len()));
    }
    for (name, ..) in &objects {
        delete(&client, &there, name).await;
    }
    close(client).await;
    assert_eq!(run(root.path(), Mend::Nothing, true).1, [], "what told of their parts went with them");
}

#[actix::test]
async fn a_replica_that_came_in_parts_wins_and_loses_like_any_other() {
    let node = node();
    let (there, _) = replicated(&node, ReplicationLimits::default()).await;
    for (name, envelope) in kinds(&there) {
        let send = async |clock| {
            let (request, bytes) = sent(&node, &there, name, envelope.as_ref()).await;
            let request = CompleteUpload { replica: replica(clock, 7), ..request };
            (node.client.complete_upload(request).await.unwrap(), bytes)
        };
        put(&node.client, &there, name, "here".into()).await;
        let (lost, bytes) = send(5).await;
        assert_eq!((lost.applied, lost.object.etag.parts), (Applied::Lost, None));
        assert_eq!(get(&node.client, &there, name).await.unwrap(), b"here");
        let copy = lost.object.version_id;
        assert!(read(&node.client, &there, name, Some(copy), 1..100_000).await == bytes[1..100_000]);
        let (won, bytes) = send(u64::MAX >> 2).await;
        assert_eq!(won.applied, Applied::Applied);
        check(&node.client, &there, name, won.object.etag, &bytes).await;
        assert_eq!(send(u64::MAX >> 2).await.0.applied, Applied::Known);
        let keep = ConflictChoice::Copy;
        let message = ResolveConflict { bucket: Arc::clone(&there), key: key(name), version_id: copy, keep };
        node.client.resolve_conflict(message).await.unwrap();
        check(&node.client, &there, name, lost.object.etag, &bytes).await;
    }
    let root = stop(node).await;
    assert_eq!(run(root.path(), Mend::Nothing, true).1, []);
}

#[actix::test]
async fn conditions_hold_for_it() {
    let node = node();
    let there = bucket(&node.client, "things").await;
    put(&node.client, &there, "plain", "here".into()).await;
    let (request, bytes) = sent(&node, &there, "plain", None).await;
    let conditions = WriteConditions { if_none_match: Some(ETagCondition::Any), ..WriteConditions::default() };
    let refused = node.client.complete_upload(CompleteUpload { conditions, ..request.clone() }).await;
    assert!(matches!(refused, Err(StorageError::PreconditionFailed { .. })), "{refused:?}");
    let there_now = ETagCondition::OneOf(vec![ETag::single(md5_of(b"here"))]);
    let conditions = WriteConditions { if_match: Some(there_now), ..WriteConditions::default() };
    node.client.complete_upload(CompleteUpload { conditions, ..request }).await.unwrap();
    check(&node.client, &there, "plain", ETag::single(md5_of(&bytes)), &bytes).await;
}
