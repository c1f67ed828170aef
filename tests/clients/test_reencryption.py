"""Data keys wrapped anew, objects written anew, and what is told of how an object is stored."""

import json
import subprocess
import time

import boto3
import pytest
from botocore.config import Config

import node as nodes
import sse
from test_commands import command
from util import signed, upload_parts

pytestmark = pytest.mark.local
JOB = "/_myfsio/kms/reencrypt"


@pytest.fixture
def node():
    node = sse.start()
    yield node
    node.close()


def kms_client(node):
    return boto3.client("kms", endpoint_url=node.endpoint, region_name=nodes.REGION, aws_access_key_id=nodes.ACCESS,
                        aws_secret_access_key=nodes.SECRET, config=Config(retries={"total_max_attempts": 1}))


def ask(node, method, target, body=None, **who):
    status, headers, answer = signed(node, method, target, json.dumps(body).encode() if body is not None else b"", **who)[:3]
    return status, json.loads(answer) if answer else None


def run(node, **order):
    status, job = ask(node, "POST", JOB, order)
    assert (status, job["state"]) == (202, "running"), job
    while job["state"] == "running":
        status, job = ask(node, "GET", JOB + "?wait=20")
        assert status == 200
    return job


def stored(node, bucket, key, query=""):
    status, told = ask(node, "GET", f"/_myfsio/objects/{bucket}/{key}/storage{query}")
    assert status == 200, told
    return told


def usage(node):
    status, told = ask(node, "GET", "/_myfsio/kms/usage")
    assert status == 200
    return {key["key_id"]: (key["objects"], key["uploads"]) for key in told["keys"]}


def explain(node, *arguments):
    """`myfsio fsck --explain` on the stopped node."""
    env = {"STORAGE_ROOT": str(node.root), "PATH": "/usr/bin:/bin", "HOME": str(node.cwd), **node.env}
    return subprocess.run([nodes.BINARY, "fsck", "--explain", *arguments], env=env, cwd=node.cwd, capture_output=True, text=True, timeout=60)


def test_a_rotated_key_wraps_what_was_there(node):
    s3, kms = node.client(), kms_client(node)
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    other = kms.create_key()["KeyMetadata"]["KeyId"]
    s3.create_bucket(Bucket="things")
    under = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}
    for number in range(20):
        s3.put_object(Bucket="things", Key=f"k/{number}", Body=bytes([number]) * 1000, **under)
    s3.put_object(Bucket="things", Key="own", Body=b"customer", **sse.CUSTOMER.write)
    s3.put_object(Bucket="things", Key="managed", Body=b"x", **sse.S3.write)
    s3.put_object(Bucket="things", Key="plain", Body=b"plain")
    upload = s3.create_multipart_upload(Bucket="things", Key="parts", **under)["UploadId"]
    first = s3.upload_part(Bucket="things", Key="parts", UploadId=upload, PartNumber=1, Body=b"a" * 70_000)["ETag"]
    assert usage(node)[key] == (20, 1)
    before = s3.get_object(Bucket="things", Key="k/7")
    told = stored(node, "things", "k/7")
    assert told["encryption"]["method"] == "SSE-KMS" and told["encryption"]["key_version"] == 1, told

    kms.rotate_key_on_demand(KeyId=key)
    job = run(node)
    assert (job["rewrapped"], job["uploads"], job["failed"], job["state"]) == (20, 1, 0, "done"), job
    after = s3.get_object(Bucket="things", Key="k/7")
    assert (after["ETag"], after["LastModified"], after["Body"].read()) == (before["ETag"], before["LastModified"], before["Body"].read())
    assert stored(node, "things", "k/7")["encryption"]["key_version"] == 2
    second = s3.upload_part(Bucket="things", Key="parts", UploadId=upload, PartNumber=2, Body=b"b" * 5)["ETag"]
    parts = [{"PartNumber": 1, "ETag": first}, {"PartNumber": 2, "ETag": second}]
    s3.complete_multipart_upload(Bucket="things", Key="parts", UploadId=upload, MultipartUpload={"Parts": parts})
    assert s3.get_object(Bucket="things", Key="parts")["Body"].read() == b"a" * 70_000 + b"b" * 5

    job = run(node, bucket="things", prefix="k/1", key_id=key, to_key_id=other)
    assert job["rewrapped"] == 11, job
    used = usage(node)
    assert (used[key], used[other], used[None]) == ((10, 0), (11, 0), (1, 0)), used
    kms.disable_key(KeyId=key)
    assert s3.get_object(Bucket="things", Key="k/11")["Body"].read() == bytes([11]) * 1000
    job = run(node, key_id=key)
    assert (job["failed"], job["rewrapped"]) == (10, 0) and "disabled" in job["errors"][0], job


@pytest.mark.parametrize("runs", [True, False])
def test_keys_are_listed_and_rotated_by_commands(node, runs):
    s3, kms = node.client(), kms_client(node)
    s3.create_bucket(Bucket="things")
    made = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.create_alias(AliasName="alias/of-commands", TargetKeyId=made)
    s3.put_object(Bucket="things", Key="managed", Body=b"x", ServerSideEncryption="AES256")
    s3.put_object(Bucket="things", Key="kms", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=made)
    if not runs:
        node.stop()
    told = command(node, "key", "list", "--json")
    (master,) = told["master_keys"]
    assert (master["in_force"], master["objects"], told["trouble"]) == (True, 1, None)
    (key,) = [key for key in told["kms_keys"] if key["key_id"] == made]
    assert (key["state"], key["aliases"], key["materials"], key["objects"]) == ("enabled", ["alias/of-commands"], 1, 1)
    assert all(key["here"] for key in told["keys"]) and len(told["keys"]) == 2
    text = command(node, "key", "list")
    assert master["key_id"] in text and "in force" in text and "alias/of-commands" in text
    assert "reencrypt" in command(node, "key", "rotate", "alias/of-commands")
    (key,) = [key for key in command(node, "key", "list", "--json")["kms_keys"] if key["key_id"] == made]
    assert key["materials"] == 2
    assert "NotFound" in command(node, "key", "rotate", "alias/none", status=1)
    if not runs:
        node.start()
    assert node.client().get_object(Bucket="things", Key="kms")["Body"].read() == b"x"


def test_orders_that_cannot_be_are_refused(node):
    node.client().create_bucket(Bucket="things")
    for body, status, code in [
        ({"bucket": "nobody-there"}, 404, "NoSuchBucket"), ({"bucket": "NO"}, 400, "InvalidBucketName"), ({"key_id": "alias/none"}, 400, None),
        ({"wrong": 1}, 400, "InvalidArgument"), ({"convert": True, "rewrite": True}, 400, "InvalidArgument"),
    ]:
        told, answer = ask(node, "POST", JOB, body)
        assert told == status and code in (None, answer["error"]["code"]), (body, told, answer)
    assert ask(node, "DELETE", JOB)[0] == 400
    assert ask(node, "GET", JOB) == (200, None)
    assert ask(node, "GET", JOB + "?wait=51")[0] == 400
    assert ask(node, "PUT", JOB)[0] == 405
    node.add_users({"access_key": "user", "secret_key": "secret", "display_name": "user",
                    "policies": [{"bucket": "*", "actions": ["read", "write", "list", "delete", "policy"]}]})
    for method, target in [("POST", JOB), ("GET", JOB), ("DELETE", JOB), ("GET", "/_myfsio/kms/usage"), ("GET", "/_myfsio/objects/things/a/storage")]:
        assert ask(node, method, target, access="user", secret="secret")[0] == 403, target


def test_plain_objects_are_encrypted_as_their_bucket_is_configured(node):
    s3 = node.client()
    s3.create_bucket(Bucket="things")
    marker = b"NOT-YET-ENCRYPTED"
    s3.put_object(Bucket="things", Key="a", Body=marker * 5000, Metadata={"m": "v"}, ContentType="text/x")
    node.wait_file("things", "a", marker * 5000)
    s3.put_bucket_encryption(Bucket="things", ServerSideEncryptionConfiguration={
        "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]})
    job = run(node, bucket="things", convert=True)
    assert (job["rewritten"], job["failed"]) == (1, 0), job
    got = s3.get_object(Bucket="things", Key="a")
    assert (got["ServerSideEncryption"], got["Metadata"], got["ContentType"]) == ("AES256", {"m": "v"}, "text/x")
    assert got["Body"].read() == marker * 5000
    end = time.monotonic() + 5
    while sse.files_with(node.root / "things", marker):
        assert time.monotonic() < end, "the file is still the former one"
        time.sleep(0.1)
    rewritten = run(node, rewrite=True)
    assert (rewritten["rewritten"], rewritten["failed"]) == (1, 0), rewritten
    assert s3.get_object(Bucket="things", Key="a")["Body"].read() == marker * 5000


def test_one_object_is_explained_while_the_node_runs_and_when_it_is_stopped(node):
    s3 = node.client()
    s3.create_bucket(Bucket="things")
    s3.put_object(Bucket="things", Key="a b/ü", Body=b"x" * 100_000, ChecksumAlgorithm="SHA256", **sse.S3.write)
    upload, parts = upload_parts(s3, "things", "parts", {1: b"a" * 70_000, 3: b"b" * 10}, **sse.KMS.write)
    s3.complete_multipart_upload(Bucket="things", Key="parts", UploadId=upload, MultipartUpload={"Parts": parts})
    s3.put_object(Bucket="things", Key="plain", Body=b"plain")
    time.sleep(1)
    told = stored(node, "things", "a%20b/%C3%BC", "?data=true")
    assert (told["size"], told["location"], told["file"]["state"], told["file"]["read"]) == (100_000, "plain", "agrees", True), told
    assert told["encryption"]["algorithm"] == "AES-256-GCM" and told["stored_size"] == 100_000 + 56 + 2 * 16
    assert [checksum["algorithm"] for checksum in told["checksums"]] == ["CRC64NVME", "CRC64NVME", "SHA256"]
    assert stored(node, "things", "plain")["encryption"] is None
    assert ask(node, "GET", "/_myfsio/objects/things/none/storage")[0] == 404

    running = explain(node, "things/parts")
    assert running.returncode == 1 and "another process" in running.stderr
    node.stop()
    text = explain(node, "things/parts")
    assert text.returncode == 0, text
    assert "AES-256-GCM, SSE-KMS" in text.stdout and "part 3" in text.stdout and "agrees" in text.stdout
    told = json.loads(explain(node, "things/parts", "--json", "--data").stdout)
    assert [(part["part"], part["size"], part["offset"]) for part in told["encryption"]["segments"]] == [(1, 70_000, 0), (3, 10, 70_088)]
    (node.root / "things" / "parts").write_bytes(b"edited")
    edited = explain(node, "things/parts")
    assert edited.returncode == 1 and "changed" in edited.stdout, edited
    assert explain(node, "things").returncode == 1
    assert explain(node, "things/none").returncode == 1


def test_a_key_that_nobody_knows_is_refused(node):
    s3 = node.client()
    s3.create_bucket(Bucket="things")
    s3.put_object(Bucket="things", Key="a", Body=b"x", **sse.S3.write)
    master, = usage(node)
    for key in ("nope", "00000000-0000-4000-8000-000000000000", "0123456789abcdef", "alias/nope"):
        status, told = ask(node, "POST", JOB, {"key_id": key})
        assert (status, told["error"]["code"]) == (400, "KMS.NotFoundException") and key in told["error"]["message"], told
    assert run(node, key_id=master)["state"] == "done"
