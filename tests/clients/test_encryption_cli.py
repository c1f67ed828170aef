"""Encryption with the aws cli."""

import json
import os
import pathlib

import pytest

import sse
from test_awscli import AWS, aws  # noqa: F401 - the fixture
from util import MIB, data

pytestmark = [pytest.mark.local, pytest.mark.skipif(AWS is None, reason="the aws cli is not installed"), pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def server():
    node = sse.start()
    yield node
    node.close()


def head(aws, key, *more):
    return json.loads(aws("s3api", "head-object", "--bucket", "cli", "--key", key, *more))


def test_the_high_level_commands(aws, tmp_path, server):  # noqa: F811
    big, small, key = tmp_path / "big.bin", tmp_path / "small.bin", tmp_path / "key.bin"
    big.write_bytes(data(20 * MIB + 1))
    small.write_bytes(b"small")
    key.write_bytes(os.urandom(32))
    aws("s3", "mb", "s3://cli")
    own = ["--sse-c", "AES256", "--sse-c-key", f"fileb://{key}"]
    for name, arguments, reading in [("managed", ["--sse"], []), ("aes", ["--sse", "AES256"], []), ("kms", ["--sse", "aws:kms"], []), ("own", own, own)]:
        for file in (big, small):
            there = f"{name}-{file.name}"
            aws("s3", "cp", file, f"s3://cli/{there}", "--no-progress", *arguments)
            back = tmp_path / "back"
            aws("s3", "cp", f"s3://cli/{there}", back, "--no-progress", *reading)
            assert back.read_bytes() == file.read_bytes()
    assert head(aws, "kms-small.bin")["ServerSideEncryption"] == "aws:kms"
    assert head(aws, "aes-big.bin")["ServerSideEncryption"] == "AES256"
    aws("s3", "cp", "s3://cli/own-small.bin", tmp_path / "back", ok=False)
    # From one key to another, small and in parts.
    other = tmp_path / "other.bin"
    other.write_bytes(os.urandom(32))
    for file in (big, small):
        aws("s3", "cp", f"s3://cli/own-{file.name}", f"s3://cli/moved-{file.name}", "--no-progress",
            "--sse-c-copy-source", "AES256", "--sse-c-copy-source-key", f"fileb://{key}", "--sse-c", "AES256", "--sse-c-key", f"fileb://{other}")
        aws("s3", "cp", f"s3://cli/moved-{file.name}", tmp_path / "back", "--no-progress", "--sse-c", "AES256", "--sse-c-key", f"fileb://{other}")
        assert (tmp_path / "back").read_bytes() == file.read_bytes()
        aws("s3", "cp", f"s3://cli/kms-{file.name}", f"s3://cli/plain-{file.name}", "--no-progress")
        assert "ServerSideEncryption" not in head(aws, f"plain-{file.name}")
    listed = json.loads(aws("s3api", "list-objects-v2", "--bucket", "cli"))["Contents"]
    assert {o["Size"] for o in listed} == {20 * MIB + 1, 5}


def test_defaults(aws, tmp_path, server):  # noqa: F811
    aws("s3api", "create-bucket", "--bucket", "cli-default")
    rules = '{"Rules":[{"ApplyServerSideEncryptionByDefault":{"SSEAlgorithm":"aws:kms"},"BucketKeyEnabled":true}]}'
    aws("s3api", "put-bucket-encryption", "--bucket", "cli-default", "--server-side-encryption-configuration", rules)
    told = json.loads(aws("s3api", "get-bucket-encryption", "--bucket", "cli-default"))
    assert told["ServerSideEncryptionConfiguration"] == json.loads(rules)
    file = pathlib.Path(tmp_path / "f")
    file.write_bytes(b"x")
    aws("s3", "cp", file, "s3://cli-default/f", "--no-progress")
    made = json.loads(aws("s3api", "head-object", "--bucket", "cli-default", "--key", "f"))
    assert (made["ServerSideEncryption"], made["BucketKeyEnabled"]) == ("aws:kms", True)
    aws("s3api", "delete-bucket-encryption", "--bucket", "cli-default")
