//! Conformance through the official Rust AWS SDK: what an application that uses it sees.
//!
//! Plain HTTP to a node of its own, no retries, so that every failure shows. The SDK itself adds CRC32 trailers, checks
//! the checksums of answers, pages listings and signs URLs; none of it is configured away.

use aws_credential_types::Credentials;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{BehaviorVersion, Region};
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    ChecksumAlgorithm, ChecksumMode, ChecksumType, CompletedMultipartUpload, CompletedPart, Delete, MetadataDirective,
    ObjectAttributes, ObjectIdentifier,
};
use std::time::Duration;

use crate::support::Node;

fn client(node: &Node, access: &str, secret: &str) -> Client {
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(node.endpoint())
        .credentials_provider(Credentials::from_keys(access, secret, None))
        .force_path_style(true)
        .retry_config(RetryConfig::disabled())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    Client::from_conf(config)
}

async fn start(settings: &[(&str, &str)]) -> (Node, Client) {
    let node = Node::start(settings);
    let s3 = client(&node, "localadmin", "localadmin");
    s3.create_bucket().bucket("bkt").send().await.unwrap();
    (node, s3)
}

/// Bytes that differ from place to place and between seeds.
fn data(size: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    (0..size)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        })
        .collect()
}

async fn body(s3: &Client, key: &str) -> Vec<u8> {
    let got = s3.get_object().bucket("bkt").key(key).checksum_mode(ChecksumMode::Enabled).send().await.unwrap();
    got.body.collect().await.unwrap().to_vec()
}

#[tokio::test]
async fn objects_come_and_go() {
    let (_node, s3) = start(&[]).await;
    for size in [0, 1, 1000, 131_072, 300_000, 3_000_000] {
        let bytes = data(size, 1);
        let put = s3
            .put_object()
            .bucket("bkt")
            .key("dir/a b+c")
            .content_type("text/x")
            .metadata("name", "value")
            .body(ByteStream::from(bytes.clone()))
            .send()
            .await
            .unwrap();
        assert_eq!(body(&s3, "dir/a b+c").await, bytes);
        let head = s3.head_object().bucket("bkt").key("dir/a b+c").send().await.unwrap();
        assert_eq!(head.e_tag(), put.e_tag());
        assert_eq!(head.content_length(), Some(size as i64));
        assert_eq!(head.content_type(), Some("text/x"));
        assert_eq!(head.metadata().and_then(|m| m.get("name")).map(String::as_str), Some("value"));
    }
    let part = s3.get_object().bucket("bkt").key("dir/a b+c").range("bytes=10-19").send().await.unwrap();
    assert_eq!(part.content_range(), Some("bytes 10-19/3000000"));
    assert_eq!(part.body.collect().await.unwrap().to_vec(), data(3_000_000, 1)[10..20]);
    s3.copy_object()
        .bucket("bkt")
        .key("copy")
        .copy_source("bkt/dir/a%20b%2Bc")
        .metadata_directive(MetadataDirective::Replace)
        .metadata("other", "one")
        .send()
        .await
        .unwrap();
    assert_eq!(body(&s3, "copy").await, data(3_000_000, 1));
    s3.delete_object().bucket("bkt").key("copy").send().await.unwrap();
    let missing = s3.get_object().bucket("bkt").key("copy").send().await.unwrap_err().into_service_error();
    assert!(missing.is_no_such_key(), "{missing:?}");
    let missing = s3.head_object().bucket("bkt").key("copy").send().await.unwrap_err().into_service_error();
    assert!(missing.is_not_found(), "{missing:?}");
}

#[tokio::test]
async fn buckets_and_refusals() {
    let (node, s3) = start(&[]).await;
    s3.head_bucket().bucket("bkt").send().await.unwrap();
    let listed = s3.list_buckets().send().await.unwrap();
    assert_eq!(listed.buckets()[0].name(), Some("bkt"));
    s3.put_object().bucket("bkt").key("k").body(ByteStream::from_static(b"x")).send().await.unwrap();
    let error = s3.delete_bucket().bucket("bkt").send().await.unwrap_err();
    assert_eq!(error.code(), Some("BucketNotEmpty"));
    let error = s3.list_objects_v2().bucket("no-such-bucket-here").send().await.unwrap_err().into_service_error();
    assert!(error.is_no_such_bucket(), "{error:?}");
    let error = client(&node, "localadmin", "wrong").list_buckets().send().await.unwrap_err();
    assert_eq!(error.code(), Some("SignatureDoesNotMatch"));
    let error = client(&node, "nobody", "wrong").list_buckets().send().await.unwrap_err();
    assert_eq!(error.code(), Some("InvalidAccessKeyId"));
    let put = s3.put_object().bucket("bkt").key("k").if_none_match("*").body(ByteStream::from_static(b"y"));
    assert_eq!(put.send().await.unwrap_err().code(), Some("PreconditionFailed"));
    let objects = ["k", "none"].map(|k| ObjectIdentifier::builder().key(k).build().unwrap());
    let delete = Delete::builder().set_objects(Some(objects.to_vec())).build().unwrap();
    let reply = s3.delete_objects().bucket("bkt").delete(delete).send().await.unwrap();
    assert_eq!((reply.deleted().len(), reply.errors().len()), (2, 0));
    s3.delete_bucket().bucket("bkt").send().await.unwrap();
}

#[tokio::test]
async fn listings_page_in_byte_order() {
    let (_node, s3) = start(&[]).await;
    let mut keys: Vec<String> = [
        "a",
        "a/",
        "a-b",
        "a.b",
        "a/b",
        "a//b",
        "a0",
        "ä",
        "a b",
        "a+b",
        "a%2Fb",
        "b/c/d",
        "b/c/e",
        "b/f",
        "Z",
        "\u{1f600}",
    ]
    .map(str::to_owned)
    .to_vec();
    for key in &keys {
        s3.put_object().bucket("bkt").key(key).body(ByteStream::from_static(b"x")).send().await.unwrap();
    }
    keys.sort();
    for size in [1, 3, 1000] {
        let mut pages = s3.list_objects_v2().bucket("bkt").into_paginator().page_size(size).send();
        let mut got = Vec::new();
        while let Some(page) = pages.next().await {
            got.extend(page.unwrap().contents().iter().filter_map(|o| o.key().map(str::to_owned)));
        }
        assert_eq!(got, keys, "pages of {size}");
    }
    let page = s3.list_objects_v2().bucket("bkt").prefix("b/").delimiter("/").send().await.unwrap();
    assert_eq!(page.common_prefixes().iter().filter_map(|p| p.prefix()).collect::<Vec<_>>(), ["b/c/"]);
    assert_eq!(page.contents().iter().filter_map(|o| o.key()).collect::<Vec<_>>(), ["b/f"]);
}

#[tokio::test]
async fn checksums_travel_both_ways() {
    let (_node, s3) = start(&[]).await;
    let bytes = data(200_000, 3);
    for algorithm in [
        ChecksumAlgorithm::Crc32,
        ChecksumAlgorithm::Crc32C,
        ChecksumAlgorithm::Crc64Nvme,
        ChecksumAlgorithm::Sha1,
        ChecksumAlgorithm::Sha256,
    ] {
        let put = s3
            .put_object()
            .bucket("bkt")
            .key("k")
            .checksum_algorithm(algorithm.clone())
            .body(ByteStream::from(bytes.clone()))
            .send()
            .await
            .unwrap();
        // The SDK checks the checksum of the answer against the bytes that it reads.
        assert_eq!(body(&s3, "k").await, bytes);
        let head = s3.head_object().bucket("bkt").key("k").checksum_mode(ChecksumMode::Enabled).send().await.unwrap();
        let values =
            |crc32: Option<&str>,
             crc32c: Option<&str>,
             crc64: Option<&str>,
             sha1: Option<&str>,
             sha256: Option<&str>| { crc32.or(crc32c).or(crc64).or(sha1).or(sha256).map(str::to_owned) };
        let sent = values(
            put.checksum_crc32(),
            put.checksum_crc32_c(),
            put.checksum_crc64_nvme(),
            put.checksum_sha1(),
            put.checksum_sha256(),
        );
        let kept = values(
            head.checksum_crc32(),
            head.checksum_crc32_c(),
            head.checksum_crc64_nvme(),
            head.checksum_sha1(),
            head.checksum_sha256(),
        );
        assert!(sent.is_some() && sent == kept, "{algorithm}: {sent:?} {kept:?}");
    }
    let put = s3.put_object().bucket("bkt").key("bad").checksum_sha256("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    let error = put.body(ByteStream::from_static(b"x")).send().await.unwrap_err();
    assert_eq!(error.code(), Some("BadDigest"));
}

#[tokio::test]
async fn multipart_uploads() {
    let (_node, s3) = start(&[]).await;
    let parts = [data(5 << 20, 1), data(6 << 20, 2), data(100, 3)];
    let upload = s3
        .create_multipart_upload()
        .bucket("bkt")
        .key("k")
        .checksum_algorithm(ChecksumAlgorithm::Crc64Nvme)
        .checksum_type(ChecksumType::FullObject)
        .send()
        .await
        .unwrap();
    let id = upload.upload_id().unwrap();
    let mut done = CompletedMultipartUpload::builder();
    for (number, part) in (1..).zip(&parts) {
        let reply = s3
            .upload_part()
            .bucket("bkt")
            .key("k")
            .upload_id(id)
            .part_number(number)
            .checksum_algorithm(ChecksumAlgorithm::Crc64Nvme)
            .body(ByteStream::from(part.clone()))
            .send()
            .await
            .unwrap();
        done = done.parts(
            CompletedPart::builder()
                .part_number(number)
                .set_e_tag(reply.e_tag().map(str::to_owned))
                .set_checksum_crc64_nvme(reply.checksum_crc64_nvme().map(str::to_owned))
                .build(),
        );
    }
    let listed = s3.list_parts().bucket("bkt").key("k").upload_id(id).send().await.unwrap();
    assert_eq!(listed.parts().iter().filter_map(|p| p.size()).collect::<Vec<_>>(), [5 << 20, 6 << 20, 100]);
    let uploads = s3.list_multipart_uploads().bucket("bkt").send().await.unwrap();
    assert_eq!(uploads.uploads()[0].upload_id(), Some(id));
    let complete = s3.complete_multipart_upload().bucket("bkt").key("k").upload_id(id).multipart_upload(done.build());
    let complete = complete.send().await.unwrap();
    assert!(complete.e_tag().unwrap().ends_with("-3\""), "{complete:?}");
    assert_eq!(body(&s3, "k").await, parts.concat());
    let attributes = s3
        .get_object_attributes()
        .bucket("bkt")
        .key("k")
        .object_attributes(ObjectAttributes::ObjectParts)
        .object_attributes(ObjectAttributes::ObjectSize)
        .send()
        .await
        .unwrap();
    assert_eq!(attributes.object_size(), Some(parts.concat().len() as i64));
    assert_eq!(attributes.object_parts().and_then(|p| p.total_parts_count()), Some(3));
    let second = s3.get_object().bucket("bkt").key("k").part_number(2).send().await.unwrap();
    assert_eq!(second.parts_count(), Some(3));
    assert_eq!(second.body.collect().await.unwrap().to_vec(), parts[1]);

    let upload = s3.create_multipart_upload().bucket("bkt").key("gone").send().await.unwrap();
    let id = upload.upload_id().unwrap();
    s3.abort_multipart_upload().bucket("bkt").key("gone").upload_id(id).send().await.unwrap();
    let error = s3.list_parts().bucket("bkt").key("gone").upload_id(id).send().await.unwrap_err();
    assert_eq!(error.code(), Some("NoSuchUpload"));
}

#[tokio::test]
async fn presigned_urls() {
    let (node, s3) = start(&[]).await;
    let soon = PresigningConfig::expires_in(Duration::from_secs(60)).unwrap();
    let put = s3.put_object().bucket("bkt").key("a b/ü+c").presigned(soon.clone()).await.unwrap();
    let target = |uri: &str| uri.strip_prefix(&node.endpoint()).unwrap().to_owned();
    let headers: Vec<(&str, &str)> = put.headers().filter(|(n, _)| !n.eq_ignore_ascii_case("content-length")).collect();
    let reply = node.ask_as(None, "PUT", &target(put.uri()), &headers, b"by url");
    assert_eq!(reply.status, 200, "{reply:?}");
    let get = s3.get_object().bucket("bkt").key("a b/ü+c").presigned(soon).await.unwrap();
    let reply = node.ask_as(None, "GET", &target(get.uri()), &[], b"");
    assert_eq!((reply.status, reply.body.as_slice()), (200, b"by url".as_slice()), "{reply:?}");
    let evil = target(get.uri()).replace("a%20b", "a%20c");
    assert_eq!(node.ask_as(None, "GET", &evil, &[], b"").code(), "SignatureDoesNotMatch");
}

#[tokio::test]
async fn bodies_from_files() {
    let (node, s3) = start(&[]).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    let bytes = data(9 << 20, 9);
    std::fs::write(file.path(), &bytes).unwrap();
    let stream = ByteStream::from_path(file.path()).await.unwrap();
    s3.put_object().bucket("bkt").key("dir/file").body(stream).send().await.unwrap();
    assert_eq!(body(&s3, "dir/file").await, bytes);
    let plain = node.root().join("bkt/dir/file");
    for _ in 0..100 {
        if std::fs::read(&plain).is_ok_and(|found| found == bytes) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{} does not hold the object", plain.display());
}
