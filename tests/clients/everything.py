"""What a node of the tests of formats holds: how it came to be, and how all of it is read.

    python tests/clients/everything.py FOLDER    # makes the fixture of the format that MYFSIO_BIN writes, as FOLDER/data.tar.xz and expected.json
"""

import datetime
import hashlib
import json
import pathlib
import subprocess
import sys

from botocore.exceptions import ClientError

import node as nodes
import replication
from sse import customer
from util import put_via_header_pair, send, signed, upload_parts

SETTINGS = {"ENCRYPTION_ENABLED": "true", "KMS_ENABLED": "true", "MULTIPART_MIN_PART_SIZE": "1", "BALLAST_BYTES": "0", "SECRET_KEY": "of the fixture"}
READER = ("reader", "reader-secret")
# Larger than what is committed within the journal, and yet small when it is packed.
LARGE = b"0123456789abcdef" * 12_000
FOREVER = datetime.datetime(2126, 1, 1)
SEALED = {"sse-s3": {"ServerSideEncryption": "AES256"}, "sse-kms": {"ServerSideEncryption": "aws:kms"}, "sse-c": customer(1)}


def fill(node):
    """What is checkpointed when the node stops."""
    s3 = node.client()
    s3.create_bucket(Bucket="plain")
    s3.put_object(Bucket="plain", Key="a.txt", Body=b"a", ContentType="text/plain", Metadata={"color": "red"}, Tagging="team=blue", CacheControl="no-cache")
    s3.put_object(Bucket="plain", Key="large.bin", Body=LARGE, ChecksumAlgorithm="SHA256")
    s3.put_object(Bucket="plain", Key="folder/", Body=b"")
    for key in ("a//b", "../up", "long/" + "x" * 300, "ümläut/日本"):
        s3.put_object(Bucket="plain", Key=key, Body=key.encode())
    upload, parts = upload_parts(s3, "plain", "assembled", {1: LARGE[:70_000], 2: LARGE[:70_000], 5: b"end"})
    s3.complete_multipart_upload(Bucket="plain", Key="assembled", UploadId=upload, MultipartUpload={"Parts": parts})
    s3.put_bucket_policy(Bucket="plain", Policy=json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::plain/*"}]}))
    s3.put_bucket_tagging(Bucket="plain", Tagging={"TagSet": [{"Key": "cost", "Value": "7"}]})
    s3.put_bucket_cors(Bucket="plain", CORSConfiguration={"CORSRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["https://a.example"]}]})
    s3.put_bucket_lifecycle_configuration(Bucket="plain", LifecycleConfiguration={"Rules": [
        {"ID": "late", "Status": "Enabled", "Filter": {"Prefix": "tmp/"}, "Expiration": {"Days": 36_500}}]})
    put_via_header_pair(node.endpoint, "PUT", "/plain?quota", b'{"max_bytes": 100000000, "max_objects": 1000}')
    s3.create_bucket(Bucket="versioned", ObjectLockEnabledForBucket=True)
    for body in (b"one", b"two", LARGE):
        s3.put_object(Bucket="versioned", Key="k", Body=body)
    s3.delete_object(Bucket="versioned", Key="k")
    s3.put_object(Bucket="versioned", Key="k", Body=b"after the marker")
    s3.put_object(Bucket="versioned", Key="held", Body=b"held", ObjectLockLegalHoldStatus="ON")
    s3.put_object(Bucket="versioned", Key="retained", Body=b"retained", ObjectLockMode="GOVERNANCE", ObjectLockRetainUntilDate=FOREVER)
    s3.create_bucket(Bucket="sealed")
    s3.put_bucket_encryption(Bucket="sealed", ServerSideEncryptionConfiguration={"Rules": [
        {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]})
    for key, how in SEALED.items():
        # What is sealed cannot be packed well, so only one has more than a chunk.
        s3.put_object(Bucket="sealed", Key=key, Body=LARGE[: 66_000 if key == "sse-s3" else 1_000], **how)
    policy = [{"bucket": "versioned", "actions": ["list", "read"]}]
    user = json.dumps({"access_key": READER[0], "secret_key": READER[1], "display_name": "Reader", "policies": policy})
    status, _, answer = signed(node, "POST", "/_myfsio/iam/users", user.encode())
    if status >= 300:
        node.add_users(json.loads(user))
    key = replication.add_target_user(node, "replicator", "*")
    s3.create_bucket(Bucket="sent")
    connection = replication.connect(node, "http://127.0.0.1:9", key, name="nowhere")
    replication.replicate(node, "sent", connection, "there")


def go_on(node):
    """What is only in the journal when the node is killed."""
    s3 = node.client()
    s3.put_object(Bucket="sent", Key="waits", Body=b"waits")
    s3.put_object(Bucket="sent", Key="deleted", Body=b"deleted")
    s3.delete_object(Bucket="sent", Key="deleted")
    s3.put_object(Bucket="plain", Key="a.txt", Body=b"a second time", Metadata={"color": "blue"})
    s3.put_object(Bucket="plain", Key="journal-only", Body=b"not yet in the index")
    s3.delete_object(Bucket="plain", Key="folder/")
    s3.delete_object(Bucket="versioned", Key="k")
    upload_parts(s3, "plain", "in progress", {1: LARGE, 2: b"end"}, Metadata={"color": "green"})


def read_everything(node):
    """All that a node tells of what it holds."""
    s3 = node.client()
    users = json.loads(signed(node, "GET", "/_myfsio/iam/users")[2])
    listed = node.client(*READER).list_object_versions(Bucket="versioned")
    return {
        "buckets": {bucket["Name"]: read_bucket(node, s3, bucket["Name"]) for bucket in s3.list_buckets()["Buckets"]},
        "anybody reads": send(node.endpoint, "GET", "/plain/a.txt")[2].decode(),
        "a user lists": len(listed["Versions"]) + len(listed["DeleteMarkers"]),
        "users": sorted(user.get("display_name", "") for user in users["users"]),
        "replication": replication.admin(node, "GET", "/rules/sent")["target_bucket"],
        "waiting": replication.status(node, "sent")["pending"],
    }


def read_bucket(node, s3, bucket):
    pages = [page for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket)]
    versions = [v for page in pages for v in page.get("Versions", [])]
    markers = [m for page in pages for m in page.get("DeleteMarkers", [])]
    uploads = s3.list_multipart_uploads(Bucket=bucket).get("Uploads", [])
    quota = json.loads(put_via_header_pair(node.endpoint, "GET", f"/{bucket}?quota")[2])
    return {
        "versions": [read_version(s3, bucket, version) for version in versions],
        "markers": [[m["Key"], m["VersionId"], m["IsLatest"], m["LastModified"].isoformat()] for m in markers],
        "current": [c["Key"] for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket) for c in page.get("Contents", [])],
        "uploads": [read_upload(s3, bucket, upload) for upload in uploads],
        "versioning": s3.get_bucket_versioning(Bucket=bucket).get("Status"),
        "policy": configured(lambda: json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])),
        "tags": configured(lambda: s3.get_bucket_tagging(Bucket=bucket)["TagSet"]),
        "cors": configured(lambda: s3.get_bucket_cors(Bucket=bucket)["CORSRules"]),
        "lifecycle": configured(lambda: s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]),
        "encryption": configured(lambda: s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]),
        "lock": configured(lambda: s3.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"]),
        "quota": quota,
    }


def configured(ask):
    try:
        return ask()
    except ClientError as error:
        return error.response["Error"]["Code"]


def read_version(s3, bucket, version):
    key, which = version["Key"], version["VersionId"]
    seal = customer(1) if key == "sse-c" else {}
    answer = s3.get_object(Bucket=bucket, Key=key, VersionId=which, **seal)
    body = answer["Body"].read()
    tags = s3.get_object_tagging(Bucket=bucket, Key=key, VersionId=which)["TagSet"]
    told = {name: answer[name] for name in ("ETag", "ContentType", "Metadata", "CacheControl", "ServerSideEncryption", "SSECustomerAlgorithm",
                                            "ObjectLockMode", "ObjectLockLegalHoldStatus") if name in answer}
    assert version["Size"] == len(body)
    return [key, which, version["IsLatest"], version["LastModified"].isoformat(), len(body), hashlib.md5(body).hexdigest(), told, tags]


def read_upload(s3, bucket, upload):
    parts = s3.list_parts(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])["Parts"]
    return [upload["Key"], upload["UploadId"], [[part["PartNumber"], part["Size"], part["ETag"]] for part in parts]]


def pack(root, archive):
    # Extended attributes carry what reindex reads; times say that a file is its row's.
    subprocess.run(["tar", "--format=pax", "--xattrs", "--sort=name", "--owner=0", "--group=0", "--exclude=./.myfsio.sys/run", "-C", root, "-cJf", archive, "."], check=True)


def unpack(archive, root):
    root.mkdir(parents=True, exist_ok=True)
    subprocess.run(["tar", "--xattrs", "--xattrs-include=*", "--no-same-owner", "-C", root, "-xJf", archive], check=True)


def make(folder):
    node = nodes.Node(**SETTINGS)
    try:
        node.start()
        fill(node)
        node.stop()
        node.start()
        go_on(node)
        node.kill()
        folder.mkdir(parents=True, exist_ok=True)
        pack(node.root, folder / "data.tar.xz")
        node.start()
        (folder / "expected.json").write_text(json.dumps(read_everything(node), indent=1, ensure_ascii=False) + "\n")
    finally:
        node.close()


if __name__ == "__main__":
    make(pathlib.Path(sys.argv[1]))
