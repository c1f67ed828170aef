"""What users do with the aws cli."""

import filecmp
import hashlib
import json
import os
import shutil
import subprocess
import sys
import urllib.request

import pytest

from util import MIB, crc32, data, sha256

AWS = shutil.which("aws", path=os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"])
pytestmark = [pytest.mark.skipif(AWS is None, reason="the aws cli is not installed"), pytest.mark.timeout(180)]


@pytest.fixture
def aws(server, tmp_path):
    # The first generation of the cli signs URLs with SigV2 unless told; the second knows SigV4 only.
    config = tmp_path / "config"
    config.write_text("[default]\ns3 =\n  signature_version = s3v4\n")

    def run(*arguments, ok=True):
        env = {**os.environ, "AWS_ACCESS_KEY_ID": getattr(server, "access", "localadmin"), "AWS_SECRET_ACCESS_KEY": getattr(server, "secret", "localadmin"),
               "AWS_DEFAULT_REGION": "us-east-1", "AWS_CONFIG_FILE": str(config), "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
               "AWS_MAX_ATTEMPTS": "1", "AWS_EC2_METADATA_DISABLED": "true"}
        done = subprocess.run([AWS, "--endpoint-url", server.endpoint, *map(str, arguments)], env=env, cwd=tmp_path, capture_output=True, text=True, timeout=120)
        assert (done.returncode == 0) == ok, (arguments, done.returncode, done.stdout[-2000:], done.stderr[-2000:])
        return done.stdout
    return run


def test_the_life_of_files(aws, server, tmp_path, s3):
    aws("s3", "mb", "s3://cli-bucket")
    try:
        big = tmp_path / "big.bin"
        big.write_bytes(data(64 * MIB + 12345))
        aws("s3", "cp", big, "s3://cli-bucket/dir/big file.bin", "--no-progress")
        if server.root:
            server.wait_file("cli-bucket", "dir/big file.bin", big.read_bytes())
        aws("s3", "cp", "s3://cli-bucket/dir/big file.bin", tmp_path / "back.bin", "--no-progress")
        assert filecmp.cmp(big, tmp_path / "back.bin", shallow=False)
        assert s3.head_object(Bucket="cli-bucket", Key="dir/big file.bin")["ETag"].strip('"').endswith("-9")
        assert "dir/" in aws("s3", "ls", "s3://cli-bucket")
        assert "big file.bin" in aws("s3", "ls", "s3://cli-bucket/dir/")
        url = aws("s3", "presign", "s3://cli-bucket/dir/big file.bin", "--expires-in", "60").strip()
        with urllib.request.urlopen(url) as reply:
            assert hashlib.sha256(reply.read()).digest() == hashlib.sha256(big.read_bytes()).digest()
        aws("s3", "mv", "s3://cli-bucket/dir/big file.bin", "s3://cli-bucket/moved.bin", "--no-progress")
        assert "moved.bin" in aws("s3", "ls", "s3://cli-bucket")
        aws("s3", "rb", "s3://cli-bucket", ok=False)
    finally:
        aws("s3", "rm", "s3://cli-bucket", "--recursive")
        aws("s3", "rb", "s3://cli-bucket")


def test_sync_of_a_folder(aws, tmp_path, s3, bucket):
    source, back = tmp_path / "source", tmp_path / "back"
    for i in range(500):
        path = source / f"d{i % 7}" / f"sub {i % 3}" / f"file-{i}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data(i * 37 % 9000, i))
        # S3 tells times in whole seconds: a file of this very second would look newer than its object.
        os.utime(path, (1_700_000_000 + i, 1_700_000_000 + i))
    aws("s3", "sync", source, f"s3://{bucket}/tree", "--no-progress")
    assert aws("s3", "sync", source, f"s3://{bucket}/tree", "--no-progress") == ""  # nothing left to do
    listed = aws("s3", "ls", f"s3://{bucket}", "--recursive", "--summarize")
    assert "Total Objects: 500" in listed
    aws("s3", "sync", f"s3://{bucket}/tree", back, "--no-progress")
    for path in source.rglob("*.txt"):
        assert (back / path.relative_to(source)).read_bytes() == path.read_bytes()
    aws("s3", "rm", f"s3://{bucket}", "--recursive", "--only-show-errors")
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_s3api(aws, tmp_path, bucket):
    file = tmp_path / "f"
    file.write_bytes(b"some bytes")
    put = json.loads(aws("s3api", "put-object", "--bucket", bucket, "--key", "k", "--body", file, "--checksum-algorithm", "SHA256", "--metadata", "a=b"))
    assert put["ChecksumSHA256"] == sha256(b"some bytes")
    put = json.loads(aws("s3api", "put-object", "--bucket", bucket, "--key", "c", "--body", file, "--checksum-crc32", crc32(b"some bytes")))
    assert put["ChecksumCRC32"] == crc32(b"some bytes")
    aws("s3api", "put-object", "--bucket", bucket, "--key", "bad", "--body", file, "--checksum-crc32", crc32(b"other"), ok=False)
    head = json.loads(aws("s3api", "head-object", "--bucket", bucket, "--key", "k", "--checksum-mode", "ENABLED"))
    assert head["Metadata"] == {"a": "b"} and head["ContentLength"] == 10
    got = json.loads(aws("s3api", "get-object", "--bucket", bucket, "--key", "k", "--range", "bytes=5-", tmp_path / "part"))
    assert got["ContentRange"] == "bytes 5-9/10" and (tmp_path / "part").read_bytes() == b"bytes"
    listed = json.loads(aws("s3api", "list-objects-v2", "--bucket", bucket, "--page-size", "1"))
    assert [c["Key"] for c in listed["Contents"]] == ["c", "k"]
    attributes = json.loads(aws("s3api", "get-object-attributes", "--bucket", bucket, "--key", "k", "--object-attributes", "ETag", "ObjectSize"))
    assert attributes["ObjectSize"] == 10


def test_a_stream(aws, bucket, server, tmp_path):
    file = tmp_path / "f"
    file.write_bytes(data(300_000))
    aws("s3", "cp", file, f"s3://{bucket}/s", "--checksum-algorithm", "SHA1", "--no-progress")
    out = subprocess.run([AWS, "--endpoint-url", server.endpoint, "s3", "cp", f"s3://{bucket}/s", "-"], capture_output=True, timeout=60,
                         env={**os.environ, "AWS_ACCESS_KEY_ID": getattr(server, "access", "localadmin"), "AWS_SECRET_ACCESS_KEY": getattr(server, "secret", "localadmin"),
                              "AWS_DEFAULT_REGION": "us-east-1"})
    assert out.returncode == 0 and out.stdout == data(300_000)
