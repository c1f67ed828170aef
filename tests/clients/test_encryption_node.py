"""Encryption and the node: what lies on its disk, what its settings allow, what it reads after a restart."""

import os
import threading
import time

import pytest

import node as nodes
import sse
from sse import ALL, C, CUSTOMER, ENCRYPTED, KMS, PLAIN, S3, customer_headers, files_with
from test_forms import upload as post_form
from util import MIB, body_of, code_of, data, md5, refused, signed, upload_parts

pytestmark = pytest.mark.local
MARKER = b"the-plaintext-that-must-not-be-on-the-disk"


def marked(size):
    """`size` bytes that are full of the marker."""
    return (MARKER * (size // len(MARKER) + 1))[:size]


@pytest.fixture
def make():
    made = []

    def make(**env):
        made.append(sse.start(**env))
        return made[-1]

    yield make
    for node in made:
        node.close()


def settled(node, bucket, keys, seconds=10):
    """Waits until the files of the keys stand."""
    end = time.monotonic() + seconds
    while not all(node.file(bucket, key).is_file() for key in keys):
        assert time.monotonic() < end, [key for key in keys if not node.file(bucket, key).is_file()]
        time.sleep(0.05)


def test_the_search_finds_plaintext(make):
    """What the other tests look for is found where it is: in the journal, in a file, across the edges of what is read."""
    node = make()
    s3 = node.client()
    s3.create_bucket(Bucket="box")
    s3.put_object(Bucket="box", Key="small", Body=marked(1000))
    s3.put_object(Bucket="box", Key="large", Body=b"x" * (1 << 20 - 5) + marked(3 * MIB))
    settled(node, "box", ["small", "large"])
    found = files_with(node.root, MARKER)
    assert {str(node.file("box", "small")), str(node.file("box", "large"))} <= set(found)
    assert any("journal" in path for path in found), found


@pytest.mark.parametrize("mode", ENCRYPTED, ids=str)
def test_no_plaintext_on_the_disk(make, mode):
    node = make()
    s3 = node.client()
    s3.create_bucket(Bucket="box")
    s3.put_bucket_versioning(Bucket="box", VersioningConfiguration={"Status": "Enabled"})
    sizes = {"empty": 0, "small": 1000, "inline": 100_000, "large": 3 * MIB + 5, "deep/er": 200_000}
    for key, size in sizes.items():
        s3.put_object(Bucket="box", Key=key, Body=marked(size), **mode.write)
        s3.put_object(Bucket="box", Key=key, Body=marked(size)[::-1][::-1], **mode.write)
    upload, done = s3.create_multipart_upload(Bucket="box", Key="parts", **mode.write)["UploadId"], []
    for number, size in {1: 5 * MIB, 2: 5 * MIB, 3: 1000}.items():
        part = s3.upload_part(Bucket="box", Key="parts", UploadId=upload, PartNumber=number, Body=marked(size), **mode.read)
        done.append({"PartNumber": number, "ETag": part["ETag"]})
    # Parts that wait, of a grid and beside it, and a part sent again.
    waiting = s3.create_multipart_upload(Bucket="box", Key="waiting", **mode.write)["UploadId"]
    for number, size in ((1, 5 * MIB), (1, 2 * MIB), (3, 300_000)):
        s3.upload_part(Bucket="box", Key="waiting", UploadId=waiting, PartNumber=number, Body=marked(size), **mode.read)
    s3.complete_multipart_upload(Bucket="box", Key="parts", UploadId=upload, MultipartUpload={"Parts": done}, **mode.read)
    s3.copy_object(Bucket="box", Key="copy", CopySource="box/large", **mode.source, **mode.write)
    settled(node, "box", ["small", "inline", "large", "deep/er", "parts", "copy"])
    assert files_with(node.root, MARKER) == []
    # Nor of what was cut off half way.
    stop = threading.Event()

    def upload_more():
        while not stop.is_set():
            try:
                node.client().put_object(Bucket="box", Key="cut", Body=marked(20 * MIB), **mode.write)
            except Exception:
                return

    threads = [threading.Thread(target=upload_more) for _ in range(3)]
    [thread.start() for thread in threads]
    time.sleep(0.7)
    node.kill()
    stop.set()
    [thread.join() for thread in threads]
    assert files_with(node.root, MARKER) == []
    node.start()
    s3 = node.client()
    assert files_with(node.root, MARKER) == []
    for key, size in sizes.items():
        assert body_of(s3, "box", key, **mode.read) == marked(size), key
    assert body_of(s3, "box", "parts", **mode.read) == marked(5 * MIB) * 2 + marked(1000)
    done = [{"PartNumber": p["PartNumber"], "ETag": p["ETag"]} for p in s3.list_parts(Bucket="box", Key="waiting", UploadId=waiting)["Parts"]]
    s3.complete_multipart_upload(Bucket="box", Key="waiting", UploadId=waiting, MultipartUpload={"Parts": done}, **mode.read)
    assert body_of(s3, "box", "waiting", **mode.read) == marked(2 * MIB) + marked(300_000)
    node.stop()
    assert files_with(node.root, MARKER) == []


@pytest.mark.parametrize("mode", ENCRYPTED, ids=str)
def test_what_is_damaged_is_not_served(make, mode):
    node = make()
    s3 = node.client()
    s3.create_bucket(Bucket="box")
    for key in ("one", "two"):
        s3.put_object(Bucket="box", Key=key, Body=data(300_000, key), **mode.write)
    settled(node, "box", ["one", "two"])
    one, two = node.file("box", "one"), node.file("box", "two")
    stamp = os.stat(one)
    sealed = bytearray(one.read_bytes())
    sealed[200_000] ^= 1
    one.write_bytes(sealed)
    os.utime(one, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    # Chunks before the damage are whole; the one that holds it is not given away.
    assert s3.get_object(Bucket="box", Key="one", Range="bytes=0-99999", **mode.read)["Body"].read() == data(300_000, "one")[:100_000]
    with pytest.raises(Exception):
        s3.get_object(Bucket="box", Key="one", Range="bytes=190000-210000", **mode.read)["Body"].read()
    with pytest.raises(Exception):
        s3.get_object(Bucket="box", Key="one", **mode.read)["Body"].read()
    # Nor is another object's file, though it is as large and as old.
    two.replace(one)
    os.utime(one, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    with pytest.raises(Exception):
        s3.get_object(Bucket="box", Key="one", **mode.read)["Body"].read()


def test_turned_off_it_still_reads(make):
    node = make()
    s3 = node.client()
    s3.create_bucket(Bucket="box")
    for mode in ALL:
        s3.put_object(Bucket="box", Key=mode.name, Body=b"x" * 1000, **mode.write)
    upload = s3.create_multipart_upload(Bucket="box", Key="m", **S3.write)["UploadId"]
    s3.put_bucket_encryption(Bucket="box", ServerSideEncryptionConfiguration={"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]})
    node.stop()
    node.env |= {"ENCRYPTION_ENABLED": "false", "KMS_ENABLED": "false"}
    node.start()
    s3 = node.client()
    for mode in ALL:
        got = s3.get_object(Bucket="box", Key=mode.name, **mode.read)
        assert got["Body"].read() == b"x" * 1000
        mode.check(got)
    for mode in ENCRYPTED:
        for write in (lambda: s3.put_object(Bucket="box", Key="new", Body=b"x", **mode.write),
                      lambda: s3.create_multipart_upload(Bucket="box", Key="new", **mode.write),
                      lambda: s3.copy_object(Bucket="box", Key="new", CopySource="box/plain", **mode.write)):
            with refused(400, "InvalidRequest") as answer:
                write()
            assert "ENCRYPTION_ENABLED" in answer["Error"]["Message"]
    # What the bucket wants encrypted is not stored as it is.
    with refused(400, "InvalidRequest"):
        s3.put_object(Bucket="box", Key="new", Body=b"x")
    assert post_form(node, "box", {"key": "form/new"})[0] == 400
    with refused(400, "InvalidRequest"):
        s3.put_bucket_encryption(Bucket="box", ServerSideEncryptionConfiguration={"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]})
    assert s3.get_bucket_encryption(Bucket="box")["ServerSideEncryptionConfiguration"]["Rules"]
    # An upload that was begun before is gone on with: its parts are encrypted.
    part = s3.upload_part(Bucket="box", Key="m", UploadId=upload, PartNumber=1, Body=b"part")
    s3.complete_multipart_upload(Bucket="box", Key="m", UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]})
    assert body_of(s3, "box", "m") == b"part"
    s3.delete_bucket_encryption(Bucket="box")
    PLAIN.check(s3.put_object(Bucket="box", Key="new", Body=b"x"))


def test_without_the_kms(make):
    node = make(KMS_ENABLED="false")
    s3 = node.client()
    s3.create_bucket(Bucket="box")
    with refused(400, "KMSNotEnabled"):
        s3.put_object(Bucket="box", Key="k", Body=b"x", **KMS.write)
    with refused(400, "KMSNotEnabled"):
        s3.put_bucket_encryption(Bucket="box", ServerSideEncryptionConfiguration={"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}]})
    for mode in (S3, CUSTOMER):
        mode.check(s3.put_object(Bucket="box", Key="k", Body=b"x", **mode.write))


def put_with_key(node, headers=None, target="/box/k"):
    status, _, body = signed(node, "PUT", target, b"x", {**customer_headers("one"), **(headers or {})})
    return status, code_of(body)


def test_customers_keys_do_not_travel_in_the_clear(make):
    node = make()
    node.client().create_bucket(Bucket="box")
    assert put_with_key(node) == (200, "")
    # A proxy that nobody listed has passed it on, from wherever.
    refused_ = (400, "InvalidArgument")
    for header in ({"X-Forwarded-For": "192.0.2.1"}, {"X-Forwarded-Proto": "https"}, {"Forwarded": "for=192.0.2.1;proto=https"}):
        assert put_with_key(node, header) == refused_
        assert signed(node, "GET", "/box/k", headers={**customer_headers("one"), **header})[0] == 400
        assert signed(node, "HEAD", "/box/k", headers={**customer_headers("one"), **header})[0] == 400
    copy = {"x-amz-copy-source": "box/k", "X-Forwarded-For": "192.0.2.1", **customer_headers("one", "x-amz-copy-source-server-side-encryption-customer-")}
    assert signed(node, "PUT", "/box/copy", headers=copy)[0] == 400
    names = {name: value for name, value in customer_headers("one").items()}
    assert post_form(node, "box", {"key": "form/k", **names}, headers={"X-Forwarded-For": "192.0.2.1"})[0] == 400
    assert post_form(node, "box", {"key": "form/k", **names})[0] == 204


def test_a_listed_proxy_tells_of_tls(make):
    node = make(TRUSTED_PROXIES="127.0.0.0/8")
    node.client().create_bucket(Bucket="box")
    assert put_with_key(node, {"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Proto": "https"}) == (200, "")
    assert put_with_key(node, {"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Proto": "http"}) == (400, "InvalidArgument")
    assert put_with_key(node, {"X-Forwarded-For": "192.0.2.1"}) == (400, "InvalidArgument")


def test_the_operator_may_allow_it(make):
    node = make(SSE_C_OVER_HTTP="true")
    node.client().create_bucket(Bucket="box")
    assert put_with_key(node, {"X-Forwarded-For": "192.0.2.1"}) == (200, "")


def test_logs_are_encrypted_as_their_bucket_says(make):
    node = make(ACCESS_LOG_SECONDS="1")
    s3 = node.client()
    s3.create_bucket(Bucket="source")
    s3.create_bucket(Bucket="logs")
    s3.put_bucket_policy(Bucket="logs", Policy='{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"logging.s3.amazonaws.com"},'
                         '"Action":"s3:PutObject","Resource":"arn:aws:s3:::logs/*"}]}')
    for number, algorithm in enumerate(["AES256", "aws:kms"]):
        rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": algorithm}}
        s3.put_bucket_encryption(Bucket="logs", ServerSideEncryptionConfiguration={"Rules": [rule]})
        s3.put_bucket_logging(Bucket="source", BucketLoggingStatus={"LoggingEnabled": {"TargetBucket": "logs", "TargetPrefix": f"{number}/"}})
        end, found = time.monotonic() + 15, []
        while not found:
            s3.list_objects_v2(Bucket="source")
            found = s3.list_objects_v2(Bucket="logs", Prefix=f"{number}/").get("Contents", [])
            assert time.monotonic() < end, node.tail()
            time.sleep(0.3)
        got = s3.get_object(Bucket="logs", Key=found[0]["Key"])
        assert got["ServerSideEncryption"] == algorithm
        assert b"REST.GET.BUCKET" in got["Body"].read()


def test_websites_serve_what_is_encrypted(make):
    node = make(WEBSITE_DOMAINS="web.localhost")
    s3 = node.client()
    s3.create_bucket(Bucket="site")
    s3.put_bucket_website(Bucket="site", WebsiteConfiguration={"IndexDocument": {"Suffix": "index.html"}})
    s3.put_bucket_policy(Bucket="site", Policy='{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::site/*"}]}')
    s3.put_object(Bucket="site", Key="index.html", Body=b"<p>hello", **S3.write)
    from util import send
    status, _, body = send(node.endpoint, "GET", "/", headers={"Host": f"site.web.localhost:{node.port}"})
    assert (status, body) == (200, b"<p>hello")


def test_sizes_on_the_disk_are_not_those_of_objects(make):
    node = make()
    s3 = node.client()
    s3.create_bucket(Bucket="box")
    for mode in ENCRYPTED:
        s3.put_object(Bucket="box", Key=mode.name, Body=b"", **mode.write)
    settled(node, "box", [mode.name for mode in ENCRYPTED])
    assert {o["Size"] for o in s3.list_objects_v2(Bucket="box")["Contents"]} == {0}
    assert all(node.file("box", mode.name).stat().st_size > 0 for mode in ENCRYPTED)
