"""Objects: put, get, head, ranges, conditions, metadata, overrides, integrity."""

import base64
import datetime
import email.utils
import hashlib
import io
import time

import pytest

from util import CHECKSUMS, MIB, b64, body_of, code_of, data, md5, refused, send, signed

SIZES = [0, 1, 1000, 65535, 65536, 131071, 131072, 131073, 300_000, 3 * MIB + 17]


@pytest.mark.parametrize("size", SIZES)
def test_bytes_come_back(s3, bucket, size):
    body = data(size)
    put = s3.put_object(Bucket=bucket, Key="k", Body=body)
    assert put["ETag"] == f'"{md5(body)}"'
    got = s3.get_object(Bucket=bucket, Key="k")
    assert got["ContentLength"] == size and got["ETag"] == put["ETag"] and got["AcceptRanges"] == "bytes"
    assert got["ContentType"] == "binary/octet-stream"
    assert got["Body"].read() == body
    head = s3.head_object(Bucket=bucket, Key="k")
    assert (head["ContentLength"], head["ETag"], head["LastModified"]) == (size, put["ETag"], got["LastModified"])


def test_overwrite_and_missing(s3, bucket):
    for body in (data(500_000), b"short", data(200_000, 2), b""):
        s3.put_object(Bucket=bucket, Key="k", Body=body)
        assert body_of(s3, bucket, "k") == body
    with refused(404, "NoSuchKey"):
        s3.get_object(Bucket=bucket, Key="none")
    with refused(404):
        s3.head_object(Bucket=bucket, Key="none")
    assert s3.delete_object(Bucket=bucket, Key="none")["ResponseMetadata"]["HTTPStatusCode"] == 204


RANGES = [("bytes=0-0", 0, 1), ("bytes=0-99", 0, 100), ("bytes=100-", 100, None), ("bytes=-5", -5, None),
          ("bytes=990-5000", 990, None), ("bytes=-5000", 0, None), ("bytes=999-999", 999, 1000), ("bytes=5-5", 5, 6)]


@pytest.mark.parametrize("size", [1000, 400_000])
@pytest.mark.parametrize("text, start, stop", RANGES)
def test_ranges(s3, bucket, size, text, start, stop):
    body = data(size)
    s3.put_object(Bucket=bucket, Key="k", Body=body)
    if size != 1000 and text == "bytes=990-5000":
        stop = 5001
    if size != 1000 and text == "bytes=-5000":
        start = -5000
    want = body[start:stop]
    first = start if start >= 0 else size + start
    got = s3.get_object(Bucket=bucket, Key="k", Range=text)
    assert got["ResponseMetadata"]["HTTPStatusCode"] == 206
    assert got["ContentRange"] == f"bytes {first}-{first + len(want) - 1}/{size}"
    assert got["ContentLength"] == len(want) and got["Body"].read() == want
    head = s3.head_object(Bucket=bucket, Key="k", Range=text)
    assert head["ContentLength"] == len(want) and head["ResponseMetadata"]["HTTPStatusCode"] == 206


@pytest.mark.parametrize("text", ["bytes=1000-", "bytes=2000-3000", "bytes=-0"])
def test_unsatisfiable_ranges(s3, bucket, text):
    s3.put_object(Bucket=bucket, Key="k", Body=data(1000))
    with refused(416, "InvalidRange"):
        s3.get_object(Bucket=bucket, Key="k", Range=text)


def test_range_of_an_empty_object(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"")
    with refused(416, "InvalidRange"):
        s3.get_object(Bucket=bucket, Key="k", Range="bytes=0-")


@pytest.mark.parametrize("text", ["bytes=0-1,3-4", "bytes=5-2", "lines=0-1", "bytes=", "bytes=a-b", "0-1"])
def test_ranges_that_count_as_none(s3, bucket, text):
    body = data(1000)
    s3.put_object(Bucket=bucket, Key="k", Body=body)
    got = s3.get_object(Bucket=bucket, Key="k", Range=text)
    assert got["ResponseMetadata"]["HTTPStatusCode"] == 200 and got["Body"].read() == body


def test_if_range(server, bucket, s3):
    body = data(1000)
    etag = s3.put_object(Bucket=bucket, Key="k", Body=body)["ETag"]
    status, _, got = signed(server, "GET", f"/{bucket}/k", headers={"Range": "bytes=0-9", "If-Range": etag})
    assert (status, got) == (206, body[:10])
    status, _, got = signed(server, "GET", f"/{bucket}/k", headers={"Range": "bytes=0-9", "If-Range": '"other"'})
    assert (status, got) == (200, body)


def test_read_conditions(s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"x")["ETag"]
    when = s3.head_object(Bucket=bucket, Key="k")["LastModified"]
    before, after = when - datetime.timedelta(hours=1), when + datetime.timedelta(seconds=1)
    for call in (s3.get_object, s3.head_object):
        for ok in ({"IfMatch": etag}, {"IfMatch": etag.strip('"')}, {"IfMatch": "*"}, {"IfNoneMatch": '"other"'},
                   {"IfModifiedSince": before}, {"IfUnmodifiedSince": after}, {"IfUnmodifiedSince": when},
                   {"IfMatch": etag, "IfUnmodifiedSince": before}, {"IfNoneMatch": '"other"', "IfModifiedSince": after}):
            assert call(Bucket=bucket, Key="k", **ok)["ETag"] == etag, ok
        for no in ({"IfMatch": '"other"'}, {"IfUnmodifiedSince": before}, {"IfMatch": '"other"', "IfUnmodifiedSince": after}):
            with refused(412):
                call(Bucket=bucket, Key="k", **no)
        for same in ({"IfNoneMatch": etag}, {"IfNoneMatch": "*"}, {"IfModifiedSince": when},
                     {"IfNoneMatch": etag, "IfModifiedSince": before}):
            with refused(304):
                call(Bucket=bucket, Key="k", **same)


def test_not_modified_has_validators_and_no_body(server, s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"x")["ETag"]
    status, headers, body = signed(server, "GET", f"/{bucket}/k", headers={"If-None-Match": etag})
    assert (status, body, headers["etag"]) == (304, b"", etag) and headers["last-modified"]


def test_a_list_of_etags(server, s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"x")["ETag"]
    assert signed(server, "GET", f"/{bucket}/k", headers={"If-None-Match": f'"a", {etag}'})[0] == 304
    assert signed(server, "GET", f"/{bucket}/k", headers={"If-Match": f'"a", {etag}'})[0] == 200


def test_write_conditions(s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"1", IfNoneMatch="*")["ETag"]
    with refused(412, "PreconditionFailed"):
        s3.put_object(Bucket=bucket, Key="k", Body=b"2", IfNoneMatch="*")
    with refused(412, "PreconditionFailed"):
        s3.put_object(Bucket=bucket, Key="k", Body=b"2", IfMatch='"00000000000000000000000000000000"')
    with refused(404, "NoSuchKey"):
        s3.put_object(Bucket=bucket, Key="none", Body=b"2", IfMatch=etag)
    assert body_of(s3, bucket, "k") == b"1"
    s3.put_object(Bucket=bucket, Key="k", Body=b"2", IfMatch=etag)
    assert body_of(s3, bucket, "k") == b"2"
    s3.delete_object(Bucket=bucket, Key="k")
    s3.put_object(Bucket=bucket, Key="k", Body=b"3", IfNoneMatch="*")


def test_put_if_none_match_of_an_etag(s3, bucket):
    # AWS does not implement it (501); where it is, it must mean what it says.
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"1")["ETag"]
    with refused((412, 501), "PreconditionFailed", "NotImplemented"):
        s3.put_object(Bucket=bucket, Key="k", Body=b"2", IfNoneMatch=etag)
    assert body_of(s3, bucket, "k") == b"1"


def test_metadata_and_system_headers(s3, bucket):
    expires = datetime.datetime(2033, 5, 4, 3, 2, 1, tzinfo=datetime.timezone.utc)
    sent = dict(ContentType="text/x-thing; charset=utf-8", CacheControl="max-age=7, private", ContentLanguage="de, en",
                ContentDisposition="attachment; filename=\"a b.txt\"", ContentEncoding="gzip")
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", Expires=expires, Metadata={"Plain": "1", "two": "  x  y  "}, **sent)
    for reply in (s3.get_object(Bucket=bucket, Key="k"), s3.head_object(Bucket=bucket, Key="k")):
        assert {k: reply[k] for k in sent} == sent
        assert reply["ResponseMetadata"]["HTTPHeaders"]["expires"] == email.utils.format_datetime(expires, usegmt=True)
        assert reply["Metadata"]["plain"] == "1" and reply["Metadata"]["two"].strip() in ("x  y", "x y")


def test_aws_chunked_is_stripped_from_content_encoding(server, bucket, s3):
    signed(server, "PUT", f"/{bucket}/k", b"x", {"Content-Encoding": "aws-chunked,gzip"})
    head = s3.head_object(Bucket=bucket, Key="k")
    assert head["ContentEncoding"] == "gzip"


def test_metadata_limit(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", Metadata={"a": "v" * 2040})
    with refused(400, "MetadataTooLarge"):
        s3.put_object(Bucket=bucket, Key="k", Body=b"x", Metadata={"a": "v" * 2048, "b": "w"})


def test_response_overrides(server, s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", ContentType="text/plain")
    reply = s3.get_object(Bucket=bucket, Key="k", ResponseContentType="image/png", ResponseCacheControl="no-store",
                          ResponseContentDisposition="inline; filename=x", ResponseContentEncoding="br",
                          ResponseContentLanguage="fr", ResponseExpires=datetime.datetime(2031, 1, 1))
    assert (reply["ContentType"], reply["CacheControl"], reply["ContentDisposition"], reply["ContentEncoding"],
            reply["ContentLanguage"]) == ("image/png", "no-store", "inline; filename=x", "br", "fr")
    assert reply["ResponseMetadata"]["HTTPHeaders"]["expires"].startswith("Wed, 01 Jan 2031")
    assert s3.head_object(Bucket=bucket, Key="k")["ContentType"] == "text/plain"


def test_content_md5(server, s3, bucket):
    body = b"some bytes"
    good = b64(hashlib.md5(body).digest())
    assert signed(server, "PUT", f"/{bucket}/k", body, {"Content-MD5": good})[0] == 200
    status, _, answer = signed(server, "PUT", f"/{bucket}/k2", body, {"Content-MD5": b64(hashlib.md5(b"other").digest())})
    assert (status, code_of(answer)) == (400, "BadDigest")
    for bad in ("", "nonsense", b64(b"short"), "!!!!"):
        status, _, answer = signed(server, "PUT", f"/{bucket}/k2", body, {"Content-MD5": bad})
        assert (status, code_of(answer)) == (400, "InvalidDigest"), bad
    with refused(404):
        s3.head_object(Bucket=bucket, Key="k2")


@pytest.mark.parametrize("size", [0, 9, 200_000])
@pytest.mark.parametrize("name", CHECKSUMS)
def test_checksum_as_header(s3, bucket, name, size):
    body = data(size)
    value = CHECKSUMS[name](body)
    put = s3.put_object(Bucket=bucket, Key="k", Body=body, **{"Checksum" + name: value})
    assert put["Checksum" + name] == value and put.get("ChecksumType", "FULL_OBJECT") == "FULL_OBJECT"
    head = s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert head["Checksum" + name] == value and head["ChecksumType"] == "FULL_OBJECT"
    assert "Checksum" + name not in s3.head_object(Bucket=bucket, Key="k")
    attributes = s3.get_object_attributes(Bucket=bucket, Key="k", ObjectAttributes=["Checksum", "ETag", "ObjectSize"])
    assert attributes["Checksum"]["Checksum" + name] == value
    assert attributes["ETag"] == md5(body) and attributes["ObjectSize"] == size


@pytest.mark.parametrize("name", CHECKSUMS)
def test_wrong_checksums(server, s3, bucket, name):
    header = "x-amz-checksum-" + name.lower()
    wrong = CHECKSUMS[name](b"other")
    status, _, answer = signed(server, "PUT", f"/{bucket}/k", b"body", {header: wrong})
    assert (status, code_of(answer)) == (400, "BadDigest")
    assert f"The {name} you specified did not match the calculated checksum." in answer.decode()
    for bad in ("AAA", "!!!!", b64(b"x"), b64(b"x" * 40)):
        status, _, answer = signed(server, "PUT", f"/{bucket}/k", b"body", {header: bad})
        assert (status, code_of(answer)) == (400, "BadDigest"), bad
    with refused(404):
        s3.head_object(Bucket=bucket, Key="k")


def test_two_checksums_are_refused(server, bucket):
    status, _, answer = signed(server, "PUT", f"/{bucket}/k", b"body", {
        "x-amz-checksum-crc32": CHECKSUMS["CRC32"](b"body"), "x-amz-checksum-sha1": CHECKSUMS["SHA1"](b"body")})
    assert (status, code_of(answer)) == (400, "InvalidRequest")


class Stream(io.RawIOBase):
    """A body that cannot be sought in, so that boto3 sends it with a trailer where it can."""

    def __init__(self, body):
        self.inner = io.BytesIO(body)

    def readable(self):
        return True

    def read(self, n=-1):
        return self.inner.read(n)


def frame(chunks, trailers):
    out = b"".join(b"%x\r\n%s\r\n" % (len(c), c) for c in chunks)
    return out + b"0\r\n" + b"".join(f"{k}:{v}\r\n".encode() for k, v in trailers) + b"\r\n"


@pytest.mark.parametrize("size", [0, 5, 300_000])
@pytest.mark.parametrize("name", CHECKSUMS)
def test_checksum_as_trailer(server, s3, bucket, name, size):
    body, header = data(size), "x-amz-checksum-" + name.lower()
    chunks = [body[i:i + 65536] for i in range(0, size, 65536)]

    def put(key, value):
        framed = frame(chunks, [(header, value)])
        return put_streaming(server, f"/{bucket}/{key}", framed, size, header)

    assert put("k", CHECKSUMS[name](body))[0] == 200
    assert body_of(s3, bucket, "k") == body
    head = s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert head["Checksum" + name] == CHECKSUMS[name](body)
    assert "ContentEncoding" not in head
    status, _, answer = put("bad", CHECKSUMS[name](b"other"))
    assert (status, code_of(answer)) == (400, "BadDigest")
    with refused(404):
        s3.head_object(Bucket=bucket, Key="bad")


def put_streaming(server, target, framed, decoded, trailer, **more):
    """PUT with STREAMING-UNSIGNED-PAYLOAD-TRAILER, signed in the header."""
    from botocore.auth import S3SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    class Auth(S3SigV4Auth):
        def payload(self, request):
            return "STREAMING-UNSIGNED-PAYLOAD-TRAILER"

        def _should_sha256_sign_payload(self, request):
            return True

    headers = {"x-amz-decoded-content-length": str(decoded), "x-amz-trailer": trailer, "Content-Encoding": "aws-chunked", **more}
    request = AWSRequest(method="PUT", url=server.endpoint + target, data=b"", headers=headers)
    Auth(Credentials(getattr(server, "access", "localadmin"), getattr(server, "secret", "localadmin")), "s3", "us-east-1").add_auth(request)
    prepared = {k: (v.decode() if isinstance(v, bytes) else v) for k, v in request.headers.items()}
    prepared.pop("Content-Length", None)
    return send(server.endpoint, "PUT", target, framed, prepared)


@pytest.mark.parametrize("framed, decoded, trailer", [
    (frame([b"hello"], []), 5, "x-amz-checksum-crc32"),  # the promised trailer is missing
    (frame([b"hello"], [("x-amz-checksum-crc32", CHECKSUMS["CRC32"](b"hello"))]), 6, "x-amz-checksum-crc32"),
    (frame([b"hello"], [("x-amz-checksum-crc32", CHECKSUMS["CRC32"](b"hello"))]), 4, "x-amz-checksum-crc32"),
    (b"5\r\nhel", 5, "x-amz-checksum-crc32"),
    (b"5\r\nhelloXX0\r\n\r\n", 5, "x-amz-checksum-crc32"),
    (b"zz\r\nhello\r\n0\r\n\r\n", 5, "x-amz-checksum-crc32"),
    (b"ffffffffffffffffffffff\r\nhello\r\n0\r\n\r\n", 5, "x-amz-checksum-crc32"),
    (b"hello", 5, "x-amz-checksum-crc32"),
    (frame([b"hello"], [("x-amz-checksum-sha1", CHECKSUMS["SHA1"](b"hello"))]), 5, "x-amz-checksum-crc32"),
])
def test_broken_framing_stores_nothing(server, s3, bucket, framed, decoded, trailer):
    status, _, answer = put_streaming(server, f"/{bucket}/k", framed, decoded, trailer)
    assert status == 400, answer
    with refused(404):
        s3.head_object(Bucket=bucket, Key="k")


@pytest.mark.parametrize("name", [name for name in CHECKSUMS if name != "MD5"])  # which boto3 computes as Content-MD5 only
def test_boto3_checksum_algorithm(s3, bucket, name):
    body = data(70_000)
    put = s3.put_object(Bucket=bucket, Key="k", Body=body, ChecksumAlgorithm=name)
    assert put["Checksum" + name] == CHECKSUMS[name](body)
    got = s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert got["Body"].read() == body


def test_crc64nvme_is_kept_when_nothing_was_sent(server, s3, bucket):
    body = data(5000)
    assert signed(server, "PUT", f"/{bucket}/k", body)[0] == 200
    head = s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert head["ChecksumCRC64NVME"] == CHECKSUMS["CRC64NVME"](body)


def test_no_whole_checksum_on_a_part_of_the_body(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"0123456789", ChecksumSHA1=CHECKSUMS["SHA1"](b"0123456789"))
    got = s3.get_object(Bucket=bucket, Key="k", Range="bytes=1-2", ChecksumMode="ENABLED")
    assert "ChecksumSHA1" not in got and got["Body"].read() == b"12"


def test_content_sha256_is_checked(server, s3, bucket):
    # Signed for one body, sent with another of the same length.
    from botocore.auth import S3SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    for size in (10, 500_000):
        body = data(size)
        request = AWSRequest(method="PUT", url=f"{server.endpoint}/{bucket}/k", data=body)
        S3SigV4Auth(Credentials(getattr(server, "access", "localadmin"), getattr(server, "secret", "localadmin")), "s3", "us-east-1").add_auth(request)
        headers = {k: (v.decode() if isinstance(v, bytes) else v) for k, v in request.headers.items()}
        headers["X-Amz-Content-SHA256"] = headers.get("X-Amz-Content-SHA256", hashlib.sha256(body).hexdigest())
        status, _, answer = send(server.endpoint, "PUT", f"/{bucket}/k", data(size, 9), headers)
        assert (status, code_of(answer)) == (400, "XAmzContentSHA256Mismatch")
        with refused(404):
            s3.head_object(Bucket=bucket, Key="k")


@pytest.mark.local
def test_too_large_is_refused_early(node_factory):
    node = node_factory(MAX_UPLOAD_SIZE=100_000)
    s3 = node.client()
    s3.create_bucket(Bucket="bkt")
    s3.put_object(Bucket="bkt", Key="fits", Body=b"x" * 100_000)
    with refused(400, "EntityTooLarge"):
        s3.put_object(Bucket="bkt", Key="big", Body=b"x" * 100_001)
    framed = frame([b"x" * 60_000] * 2, [])
    status, _, answer = put_streaming(node, "/bkt/big", framed, 120_000, "x-amz-checksum-crc32")
    assert (status, code_of(answer)) == (400, "EntityTooLarge")
    with refused(404):
        s3.head_object(Bucket="bkt", Key="big")


@pytest.mark.parametrize("name, status, code", [
    ("crc7", 400, "InvalidRequest"), ("crc32", 400, "BadDigest"), ("xxhash3", 400, "BadDigest"),
])
def test_no_checksum_is_passed_over(server, s3, bucket, name, status, code):
    got, _, body = signed(server, "PUT", f"/{bucket}/k", b"hello", {f"x-amz-checksum-{name}": "AAAAAA=="})
    assert (got, code_of(body)) == (status, code)
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_attributes(s3, bucket):
    body = data(1000)
    s3.put_object(Bucket=bucket, Key="k", Body=body)
    reply = s3.get_object_attributes(Bucket=bucket, Key="k",
                                     ObjectAttributes=["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"])
    assert reply["ETag"] == md5(body) and reply["ObjectSize"] == 1000 and reply["StorageClass"] == "STANDARD"
    assert "ObjectParts" not in reply
    with refused(404, "NoSuchKey"):
        s3.get_object_attributes(Bucket=bucket, Key="none", ObjectAttributes=["ETag"])


def test_part_number_one_of_a_plain_object(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"abc")
    got = s3.get_object(Bucket=bucket, Key="k", PartNumber=1)
    assert got["Body"].read() == b"abc"
    with refused(400, "InvalidPart"):
        s3.get_object(Bucket=bucket, Key="k", PartNumber=2)


def test_last_modified_moves_forward(s3, bucket):
    start = datetime.datetime.now(datetime.timezone.utc)
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    when = s3.head_object(Bucket=bucket, Key="k")["LastModified"]
    assert abs((when - start).total_seconds()) < 5
    listed = s3.list_objects_v2(Bucket=bucket)["Contents"][0]["LastModified"]
    assert abs((listed - when).total_seconds()) < 1
