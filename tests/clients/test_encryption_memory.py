"""What a large encrypted object takes of the node's memory: no more than a small one, and a fixed amount for each request."""

import hashlib
import http.client
import threading
from pathlib import Path

import pytest

import node as nodes
import sse
from sse import CUSTOMER, KMS, S3
from util import MIB

pytestmark = pytest.mark.local
SIZE = 512 * MIB
PART = 64 * MIB
# Buffers of a request, of the journal and the index, and what the allocator keeps: a tenth of the object.
GROWTH_MAX = 48 * MIB


@pytest.fixture(scope="module")
def node():
    node = sse.start(DURABILITY="relaxed")
    client = node.client()
    client.create_bucket(Bucket="large")
    # The first requests make what stays.
    for mode in (S3, KMS, CUSTOMER):
        client.put_object(Bucket="large", Key="warm", Body=b"x" * (8 * MIB), **mode.write)
        client.get_object(Bucket="large", Key="warm", **mode.read)["Body"].read()
    yield node
    node.close()


class Peak:
    """The most memory that the node had resident within the block, in bytes more than when it began."""

    def __init__(self, node):
        self.proc = Path(f"/proc/{node.process.pid}")

    def told(self, name):
        lines = (self.proc / "status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name + ":"))

    def __enter__(self):
        # Forgets the peak so far: proc(5), clear_refs.
        (self.proc / "clear_refs").write_text("5")
        self.before = self.told("VmRSS")
        return self

    def __exit__(self, *_):
        self.growth = self.told("VmHWM") - self.before


def pieces(size, seed=1):
    """`size` bytes in pieces of 1 MiB, each another one."""
    block = hashlib.sha512(str(seed).encode()).digest() * (MIB // 64 - 1)
    for number in range(size // MIB):
        yield hashlib.sha512(f"{seed} {number}".encode()).digest() + block


def digest(size, *seeds):
    whole = hashlib.sha256()
    for seed in seeds:
        for piece in pieces(size, seed):
            whole.update(piece)
    return whole.hexdigest()


def ask(node, method, target, headers=None, size=0, seed=1):
    """A request whose body is never whole in the test either; answers connection and response."""
    connection = http.client.HTTPConnection("127.0.0.1", node.port, timeout=120)
    headers = {"X-Access-Key": nodes.ACCESS, "X-Secret-Key": nodes.SECRET, "Content-Length": str(size), **(headers or {})}
    connection.request(method, target, body=pieces(size, seed) if size else None, headers=headers)
    return connection, connection.getresponse()


def done(asked, status=200):
    connection, response = asked
    body = response.read()
    connection.close()
    assert response.status == status, body
    return response


def taken(asked):
    """The SHA-256 of a body, read as a client does who writes it to a file."""
    connection, response = asked
    assert response.status == 200, response.read()
    whole = hashlib.sha256()
    while piece := response.read(MIB):
        whole.update(piece)
    connection.close()
    return whole.hexdigest()


HEADERS = {
    "sse-s3": {"x-amz-server-side-encryption": "AES256"},
    "sse-kms": {"x-amz-server-side-encryption": "aws:kms"},
    "sse-c": sse.customer_headers("one"),
}


@pytest.mark.parametrize("method", HEADERS)
def test_a_large_object_takes_no_more_memory_than_a_small_one(node, method):
    headers, reading = HEADERS[method], HEADERS[method] if method == "sse-c" else {}
    with Peak(node) as put:
        done(ask(node, "PUT", "/large/whole", headers, SIZE))
    with Peak(node) as get:
        assert taken(ask(node, "GET", "/large/whole", reading)) == digest(SIZE, 1)
    assert max(put.growth, get.growth) < GROWTH_MAX, (put.growth, get.growth)
    done(ask(node, "DELETE", "/large/whole"), 204)


def test_parts_at_once_take_what_their_requests_take(node):
    client = node.client()
    upload = client.create_multipart_upload(Bucket="large", Key="parts", ServerSideEncryption="AES256")["UploadId"]
    etags = {}

    def send(numbers):
        for number in numbers:
            response = done(ask(node, "PUT", f"/large/parts?partNumber={number}&uploadId={upload}", size=PART, seed=number))
            etags[number] = response.getheader("ETag")

    count = SIZE // PART
    threads = [threading.Thread(target=send, args=(range(first, count + 1, 4),)) for first in range(1, 5)]
    with Peak(node) as parts:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        listed = [{"PartNumber": number, "ETag": etags[number]} for number in sorted(etags)]
        client.complete_multipart_upload(Bucket="large", Key="parts", UploadId=upload, MultipartUpload={"Parts": listed})
    with Peak(node) as get:
        assert taken(ask(node, "GET", "/large/parts")) == digest(PART, *range(1, count + 1))
    with Peak(node) as copy:
        client.copy_object(Bucket="large", Key="copy", CopySource="large/parts", ServerSideEncryption="aws:kms")
    assert max(parts.growth, get.growth, copy.growth) < GROWTH_MAX, (parts.growth, get.growth, copy.growth)


def test_a_reader_that_takes_its_time_holds_no_more(node):
    """What is opened waits in no buffer larger than a chunk's."""
    done(ask(node, "PUT", "/large/slow", HEADERS["sse-s3"], SIZE))
    with Peak(node) as slow:
        asked = [ask(node, "GET", "/large/slow") for _ in range(8)]
        for connection, response in asked:
            response.read(MIB)
        for connection, response in asked:
            connection.close()
    assert slow.growth < GROWTH_MAX, slow.growth
