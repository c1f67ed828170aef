//! An object that is opened after its row was looked up: it is that very object, or it is not opened.

use futures_util::StreamExt as _;

use super::fixtures::*;
use crate::storage::*;

async fn read(opened: OpenObject) -> Vec<u8> {
    let size = opened.object.size;
    let chunks: Vec<_> = opened.read(0..size, None).unwrap().collect().await;
    chunks.into_iter().flat_map(|chunk| chunk.unwrap().to_vec()).collect()
}

#[actix::test]
async fn what_was_looked_up_is_what_is_opened() {
    let node = node();
    let client = &node.client;
    let bucket = bucket(client, "peeked").await;
    // In the journal, in a file of its own, and empty.
    for (name, size) in [("small", 100), ("d/large", 300_000), ("empty", 0)] {
        put(client, &bucket, name, body(1, size)).await;
        for _ in 0..2 {
            let peeked = client.peek_object(&bucket, &key(name), None).unwrap();
            let opened = client.open_peeked(&bucket, &peeked, Purpose::Read).unwrap().unwrap();
            assert_eq!(opened.object, client.object(&bucket, &key(name), None).await.unwrap());
            assert_eq!(read(opened).await, body(1, size), "{name}");
            assert!(client.open_peeked(&bucket, &peeked, Purpose::Look).unwrap().is_some());
            let progress = &client.shared().progress;
            progress.wait_followed(progress.position().sequence).unwrap();
        }
    }
}

#[actix::test]
async fn one_that_was_overwritten_or_deleted_is_not_opened() {
    let node = node();
    let client = &node.client;
    let bucket = bucket(client, "peeked").await;
    for size in [100, 300_000] {
        let gone = |peeked: &PeekedObject| {
            let progress = &client.shared().progress;
            progress.wait_followed(progress.position().sequence).unwrap();
            client.open_peeked(&bucket, peeked, Purpose::Read).unwrap().is_none()
        };
        put(client, &bucket, "k", body(1, size)).await;
        let peeked = client.peek_object(&bucket, &key("k"), None).unwrap();
        assert!(!gone(&peeked));
        put(client, &bucket, "k", body(2, size)).await;
        assert!(gone(&peeked), "bytes of another object, of the same size");
        let peeked = client.peek_object(&bucket, &key("k"), None).unwrap();
        delete(client, &bucket, "k").await;
        assert!(gone(&peeked));
        assert!(matches!(client.peek_object(&bucket, &key("k"), None), Err(StorageError::NoSuchKey { .. })));
    }
}
