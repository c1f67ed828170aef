"""CopyObject."""

import base64
import hashlib

import pytest

from util import MIB, body_of, code_of, complete, data, md5, refused, signed, upload_parts


@pytest.mark.parametrize("size", [0, 1000, 300_000])
def test_copy_keeps_everything(s3, bucket, size):
    body = data(size)
    s3.put_object(Bucket=bucket, Key="from", Body=body, ContentType="text/x", CacheControl="no-cache", Metadata={"m": "v"})
    reply = s3.copy_object(Bucket=bucket, Key="to", CopySource={"Bucket": bucket, "Key": "from"})
    assert reply["CopyObjectResult"]["ETag"] == f'"{md5(body)}"' and reply["CopyObjectResult"]["LastModified"]
    got = s3.get_object(Bucket=bucket, Key="to")
    assert (got["Body"].read(), got["ContentType"], got["CacheControl"], got["Metadata"]) == (body, "text/x", "no-cache", {"m": "v"})


def test_replace(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", ContentType="text/x", Metadata={"m": "v"})
    s3.copy_object(Bucket=bucket, Key="k", CopySource={"Bucket": bucket, "Key": "k"}, MetadataDirective="REPLACE", Metadata={"n": "w"}, ContentType="text/y")
    got = s3.get_object(Bucket=bucket, Key="k")
    assert (got["Body"].read(), got["ContentType"], got["Metadata"]) == (b"x", "text/y", {"n": "w"})


def test_self_copy_without_change(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    with refused(400, "InvalidRequest"):
        s3.copy_object(Bucket=bucket, Key="k", CopySource={"Bucket": bucket, "Key": "k"})


@pytest.mark.parametrize("key", ["a b", "a+b", "a%2Fb", "ü/é", "a//b", "../x", "a?b=c", "q&x", "%"])
def test_odd_sources(s3, bucket, key):
    s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    s3.copy_object(Bucket=bucket, Key="to", CopySource={"Bucket": bucket, "Key": key})
    assert body_of(s3, bucket, "to") == key.encode()


def test_spellings_of_the_source(server, s3, bucket):
    s3.put_object(Bucket=bucket, Key="a b", Body=b"x")
    for source in (f"/{bucket}/a%20b", f"{bucket}/a%20b", f"{bucket}/a b", f"/{bucket}%2Fa%20b"):
        status, _, body = signed(server, "PUT", f"/{bucket}/to", headers={"x-amz-copy-source": source})
        assert status == 200, (source, body)
    for source in ("", "/", bucket, f"{bucket}/", "%ff%fe/k"):
        status, _, body = signed(server, "PUT", f"/{bucket}/to", headers={"x-amz-copy-source": source})
        assert status == 400, (source, body)


def test_missing(s3, bucket):
    with refused(404, "NoSuchKey"):
        s3.copy_object(Bucket=bucket, Key="to", CopySource={"Bucket": bucket, "Key": "none"})
    with refused(404, "NoSuchBucket"):
        s3.copy_object(Bucket=bucket, Key="to", CopySource={"Bucket": "no-such-bucket-here", "Key": "none"})


def test_conditions_on_the_source(s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="from", Body=b"x")["ETag"]
    source = {"Bucket": bucket, "Key": "from"}
    s3.copy_object(Bucket=bucket, Key="to", CopySource=source, CopySourceIfMatch=etag)
    for no in ({"CopySourceIfMatch": '"x"'}, {"CopySourceIfNoneMatch": etag}):
        with refused(412, "PreconditionFailed"):
            s3.copy_object(Bucket=bucket, Key="to2", CopySource=source, **no)
    with refused(404):
        s3.head_object(Bucket=bucket, Key="to2")


def test_conditions_on_the_target(s3, bucket):
    s3.put_object(Bucket=bucket, Key="from", Body=b"new")
    etag = s3.put_object(Bucket=bucket, Key="to", Body=b"old")["ETag"]
    with refused(412, "PreconditionFailed"):
        s3.copy_object(Bucket=bucket, Key="to", CopySource={"Bucket": bucket, "Key": "from"}, IfNoneMatch="*")
    with refused(412, "PreconditionFailed"):
        s3.copy_object(Bucket=bucket, Key="to", CopySource={"Bucket": bucket, "Key": "from"}, IfMatch='"x"')
    s3.copy_object(Bucket=bucket, Key="to", CopySource={"Bucket": bucket, "Key": "from"}, IfMatch=etag)
    assert body_of(s3, bucket, "to") == b"new"


def test_between_buckets_and_of_multipart(s3, bucket):
    other = bucket + "-2"
    s3.create_bucket(Bucket=other)
    upload, parts = upload_parts(s3, bucket, "from", {1: data(5 * MIB), 2: b"tail"})
    complete(s3, bucket, "from", upload, parts)
    whole = data(5 * MIB) + b"tail"
    reply = s3.copy_object(Bucket=other, Key="to", CopySource={"Bucket": bucket, "Key": "from"})
    assert body_of(s3, other, "to") == whole
    assert reply["CopyObjectResult"]["ETag"] == f'"{md5(whole)}"'
    s3.put_object(Bucket=bucket, Key="from", Body=b"changed")
    assert body_of(s3, other, "to") == whole  # a copy, not a link
    s3.delete_object(Bucket=other, Key="to")
    s3.delete_bucket(Bucket=other)


def test_checksum_of_the_copy(s3, bucket):
    s3.put_object(Bucket=bucket, Key="from", Body=b"123456789")
    reply = s3.copy_object(Bucket=bucket, Key="to", CopySource={"Bucket": bucket, "Key": "from"}, ChecksumAlgorithm="SHA256")["CopyObjectResult"]
    want = base64.b64encode(hashlib.sha256(b"123456789").digest()).decode()
    assert reply["ChecksumSHA256"] == want == s3.head_object(Bucket=bucket, Key="to", ChecksumMode="ENABLED")["ChecksumSHA256"]
