"""Fixtures: one node per session, special nodes on demand, a fresh bucket per test.

With S3_ENDPOINT (and S3_ACCESS_KEY, S3_SECRET_KEY) set, the tests judge that server instead and skip what needs files,
signals or settings of their own.
"""

import itertools
import os
import uuid

import pytest

import node as nodes
from replication import wait_until
from service import Service

ENDPOINT = os.environ.get("S3_ENDPOINT")
_numbers = itertools.count(1)


class Remote:
    """A server that somebody else runs."""

    root = None

    def __init__(self):
        self.endpoint = ENDPOINT.rstrip("/")
        self.access = os.environ.get("S3_ACCESS_KEY", nodes.ACCESS)
        self.secret = os.environ.get("S3_SECRET_KEY", nodes.SECRET)

    def client(self, access=None, secret=None, **config):
        return nodes.make_client(self.endpoint, access or self.access, secret or self.secret, **config)


def pytest_collection_modifyitems(items):
    if ENDPOINT:
        skip = pytest.mark.skip(reason="needs a node of its own")
        for item in items:
            if "local" in item.keywords or {"node_factory", "local_node"} & set(item.fixturenames):
                item.add_marker(skip)


@pytest.fixture(scope="session")
def server():
    """The server under test."""
    if ENDPOINT:
        yield Remote()
        return
    node = nodes.Node(MULTIPART_MIN_PART_SIZE=5242880, MAX_UPLOAD_SIZE=1073741824)
    try:
        yield node.start()
        assert node.process.poll() is None, f"the node died under the tests:\n{node.tail()}"
        node.stop()
    finally:
        node.close()


@pytest.fixture
def local_node(server):
    """The session's node, where a test looks at its files."""
    return server


@pytest.fixture
def node_factory():
    """Makes nodes with settings of their own; they end with the test."""
    made = []

    def make(**env):
        node = nodes.Node(**env)
        made.append(node)
        return node.start()

    yield make
    for node in made:
        node.close()


@pytest.fixture(scope="session")
def s3(server):
    return server.client()


@pytest.fixture
def bucket_name():
    """A name that no bucket has."""
    return f"t{next(_numbers)}-{uuid.uuid4().hex[:10]}"


@pytest.fixture
def bucket(s3, bucket_name):
    """A fresh bucket, emptied and removed afterwards."""
    s3.create_bucket(Bucket=bucket_name)
    yield bucket_name
    try:
        empty(s3, bucket_name)
        s3.delete_bucket(Bucket=bucket_name)
    except s3.exceptions.NoSuchBucket:
        pass


def empty(s3, bucket):
    for upload in s3.list_multipart_uploads(Bucket=bucket).get("Uploads", []):
        s3.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        for item in page.get("Versions", []) + page.get("DeleteMarkers", []):
            s3.delete_object(Bucket=bucket, Key=item["Key"], VersionId=item["VersionId"])


@pytest.fixture
def service():
    """Another S3 implementation."""
    made = Service()
    try:
        wait_until("the service", made.is_ready, 60)
        yield made
    finally:
        made.close()


@pytest.fixture
def moto(service):
    """Its endpoint and a client of it."""
    return service.endpoint, service.s3
