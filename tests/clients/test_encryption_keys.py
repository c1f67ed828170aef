"""Objects under KMS keys: which key, in which state, and who may use it through S3."""

import json

import boto3
import pytest
from botocore.config import Config

import node as nodes
import sse
from util import body_of, refused, upload_parts

pytestmark = pytest.mark.local
ACCOUNT = "111122223333"
SSE = "x-amz-server-side-encryption"


def kms_client(node, access=nodes.ACCESS, secret=nodes.SECRET):
    return boto3.client("kms", endpoint_url=node.endpoint, region_name=nodes.REGION, aws_access_key_id=access, aws_secret_access_key=secret,
                        config=Config(retries={"total_max_attempts": 1}))


def statement(actions, resource="*", effect="Allow", **more):
    return {"Effect": effect, "Action": actions, "Resource": resource, **more}


def document(*statements):
    return {"PolicyName": "p", "Version": "2012-10-17", "Statement": list(statements)}


def user(name, policies, root=False):
    return {"access_key": name, "secret_key": "secret", "display_name": name, "user_name": name, "account_id": ACCOUNT, "root": root, "policies": policies}


@pytest.fixture(scope="module")
def node():
    node = sse.start()
    everything = document(statement("s3:*"))
    node.add_users(
        user("root", [], root=True), user("plain", [everything]),
        user("keys", [document(statement("s3:*"), statement(["kms:GenerateDataKey", "kms:Decrypt"]))]),
        user("reader", [document(statement("s3:*"), statement("kms:Decrypt"))]),
        user("denied", [document(statement("s3:*"), statement("kms:*"), statement("kms:Decrypt", effect="Deny"))]),
        user("grants", [{"bucket": "*", "actions": ["read", "write", "list"]}]),
        user("grants-read", [{"bucket": "*", "actions": ["read", "list"]}]),
        user("elsewhere", [{"bucket": "other-*", "actions": ["read", "write"]}, everything]),
    )
    yield node
    node.close()


@pytest.fixture(scope="module")
def s3(node):
    return node.client()


@pytest.fixture(scope="module")
def root(node):
    return node.client("root", "secret")


@pytest.fixture(scope="module")
def kms(node):
    return kms_client(node, "root", "secret")


@pytest.fixture
def key(kms):
    """A key of the account, whose policy is the default one."""
    return kms.create_key()["KeyMetadata"]


@pytest.fixture
def bucket(root, bucket_name):
    root.create_bucket(Bucket=bucket_name)
    return bucket_name


def under(key):
    return {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key["KeyId"] if isinstance(key, dict) else key}


def as_user(node, name):
    return node.client(name, "secret")


def test_a_key_by_each_of_its_names(kms, root, bucket, key):
    kms.create_alias(AliasName="alias/by-name", TargetKeyId=key["KeyId"])
    for name in (key["KeyId"], key["Arn"], "alias/by-name", key["Arn"].rsplit(":", 1)[0] + ":alias/by-name"):
        put = root.put_object(Bucket=bucket, Key="k", Body=b"x", **under(name))
        assert put["SSEKMSKeyId"] == key["Arn"]
        got = root.get_object(Bucket=bucket, Key="k")
        assert (got["Body"].read(), got["SSEKMSKeyId"]) == (b"x", key["Arn"])
    rules = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "alias/by-name"}}]}
    root.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration=rules)
    assert root.put_object(Bucket=bucket, Key="d", Body=b"x")["SSEKMSKeyId"] == key["Arn"]
    # A request that names no key is not given the bucket's.
    assert root.put_object(Bucket=bucket, Key="d", Body=b"x", ServerSideEncryption="aws:kms")["SSEKMSKeyId"] != key["Arn"]
    kms.delete_alias(AliasName="alias/by-name")
    with refused(400, "KMS.NotFoundException"):
        root.put_object(Bucket=bucket, Key="d", Body=b"x")
    assert body_of(root, bucket, "d") == b"x"


def test_states_of_a_key(kms, root, bucket, key):
    root.put_object(Bucket=bucket, Key="k", Body=b"x" * 1000, ChecksumAlgorithm="SHA256", **under(key))
    upload = root.create_multipart_upload(Bucket=bucket, Key="m", **under(key))["UploadId"]
    uses = [
        lambda: root.get_object(Bucket=bucket, Key="k"),
        lambda: root.get_object(Bucket=bucket, Key="k", Range="bytes=0-1"),
        lambda: root.put_object(Bucket=bucket, Key="n", Body=b"x", **under(key)),
        lambda: root.create_multipart_upload(Bucket=bucket, Key="n", **under(key)),
        lambda: root.upload_part(Bucket=bucket, Key="m", UploadId=upload, PartNumber=1, Body=b"x"),
        lambda: root.copy_object(Bucket=bucket, Key="n", CopySource=f"{bucket}/k"),
        lambda: root.get_object_attributes(Bucket=bucket, Key="k", ObjectAttributes=["Checksum"]),
    ]
    arn = key["Arn"]
    kms.disable_key(KeyId=arn)
    for use in uses:
        with refused(400, "KMS.DisabledException") as answer:
            use()
        assert answer["Error"]["Message"] == f"{arn} is disabled."
    assert root.head_object(Bucket=bucket, Key="k")["SSEKMSKeyId"] == arn
    with refused(400):
        root.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    root.get_object_attributes(Bucket=bucket, Key="k", ObjectAttributes=["ETag"])
    kms.enable_key(KeyId=arn)
    assert body_of(root, bucket, "k") == b"x" * 1000
    kms.schedule_key_deletion(KeyId=arn, PendingWindowInDays=7)
    for use in uses:
        with refused(400, "KMS.KMSInvalidStateException") as answer:
            use()
        assert answer["Error"]["Message"] == f"{arn} is pending deletion."
    kms.cancel_key_deletion(KeyId=arn)
    kms.enable_key(KeyId=arn)
    assert body_of(root, bucket, "k") == b"x" * 1000
    assert root.upload_part(Bucket=bucket, Key="m", UploadId=upload, PartNumber=1, Body=b"x")["SSEKMSKeyId"] == arn


def test_rotation_leaves_what_is_there_readable(kms, root, bucket, key):
    for number in range(3):
        root.put_object(Bucket=bucket, Key=str(number), Body=str(number).encode(), **under(key))
        kms.rotate_key_on_demand(KeyId=key["KeyId"])
    for number in range(3):
        assert body_of(root, bucket, str(number)) == str(number).encode()


def test_an_object_moves_to_another_key(node, kms, root, bucket, key):
    other = kms.create_key()["KeyMetadata"]
    body = b"x" * 100_000
    update = lambda target, client=root, **more: client.update_object_encryption(
        Bucket=bucket, Key="k", ObjectEncryption={"SSEKMS": {"KMSKeyArn": target, **more}})
    for write in ({"ServerSideEncryption": "AES256"}, under(key), {**under(key), "SSEKMSEncryptionContext": "eyJhIjoiYiJ9"}):
        root.put_object(Bucket=bucket, Key="k", Body=body, **write)
        before = root.head_object(Bucket=bucket, Key="k")
        update(other["Arn"], BucketKeyEnabled=True)
        got = root.get_object(Bucket=bucket, Key="k")
        assert got["Body"].read() == body
        assert (got["SSEKMSKeyId"], got["BucketKeyEnabled"]) == (other["Arn"], True)
        assert (got["ETag"], got["LastModified"]) == (before["ETag"], before["LastModified"])
    with refused(400, "KMS.NotFoundException"):
        update(other["Arn"][:-1] + "x")
    with refused(400, "MalformedXML"):
        update("alias/" + "x" * 20)
    for name in ("plain", "reader"):
        with refused(403, "AccessDenied"):
            update(key["Arn"], as_user(node, name))
    update(key["Arn"], as_user(node, "keys"))
    assert root.head_object(Bucket=bucket, Key="k")["SSEKMSKeyId"] == key["Arn"]
    for write in ({}, sse.CUSTOMER.write):
        root.put_object(Bucket=bucket, Key="k", Body=body, **write)
        with refused(400, "InvalidRequest"):
            update(key["Arn"])


def may(node, name, bucket, key, call):
    try:
        call(as_user(node, name))
        return True
    except nodes.boto3.exceptions.botocore.exceptions.ClientError as error:
        status, code = error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Error"]["Code"]
        assert (status, code) == (403, "AccessDenied"), error.response
        return False


def test_who_may_use_a_key(node, root, s3, bucket, key):
    for name in ("k", "other"):
        root.put_object(Bucket=bucket, Key=name, Body=b"x" * 10, **under(key))
    root.put_object(Bucket=bucket, Key="managed", Body=b"x", ServerSideEncryption="AES256")
    writes = lambda client: client.put_object(Bucket=bucket, Key="new", Body=b"x", **under(key))
    reads = lambda client: client.get_object(Bucket=bucket, Key="k")["Body"].read()
    for name, may_write, may_read in [
        ("root", True, True), ("plain", False, False), ("keys", True, True), ("reader", False, True), ("denied", True, False),
        ("grants", True, True), ("grants-read", False, True), ("elsewhere", False, False),
    ]:
        assert may(node, name, bucket, key, writes) == may_write, name
        assert may(node, name, bucket, key, reads) == may_read, name
        # Neither is asked for by what needs no KMS key.
        assert may(node, name, bucket, key, lambda client: client.get_object(Bucket=bucket, Key="managed")), name
        assert may(node, name, bucket, key, lambda client: client.head_object(Bucket=bucket, Key="k")), name
    # Who administers the node always may.
    writes(s3), reads(s3)
    # By default, too, and as the source of a copy.
    rules = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key["Arn"]}}]}
    root.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration=rules)
    for name, expected in (("plain", False), ("reader", False), ("keys", True), ("grants", True)):
        assert may(node, name, bucket, key, lambda client: client.put_object(Bucket=bucket, Key="d", Body=b"x")) == expected, name
        copy = lambda client: client.copy_object(Bucket=bucket, Key="c", CopySource=f"{bucket}/k", ServerSideEncryption="AES256")
        assert may(node, name, bucket, key, copy) == (name != "plain"), name


def test_the_policy_of_a_key_decides(node, kms, root, bucket, key):
    root.put_object(Bucket=bucket, Key="k", Body=b"x", **under(key))
    reads = lambda client: client.get_object(Bucket=bucket, Key="k")["Body"].read()

    def policy(*statements):
        own = {"Sid": "root", "Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "kms:*", "Resource": "*"}
        kms.put_key_policy(KeyId=key["KeyId"], PolicyName="default", Policy=json.dumps({"Version": "2012-10-17", "Statement": [own, *statements]}))

    def of(name, effect="Allow", **more):
        return {"Effect": effect, "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:user/{name}"}, "Action": "kms:Decrypt", "Resource": "*", **more}

    policy(of("plain"))
    assert may(node, "plain", bucket, key, reads)
    policy(of("grants", "Deny"))
    assert not may(node, "plain", bucket, key, reads)
    assert not may(node, "grants", bucket, key, reads)
    # Only through S3, and only with this context.
    policy(of("plain", Condition={"StringEquals": {"kms:ViaService": "s3.us-east-1.amazonaws.com"}}))
    assert may(node, "plain", bucket, key, reads)
    policy(of("plain", Condition={"StringEquals": {"kms:EncryptionContext:aws:s3:arn": f"arn:aws:s3:::{bucket}/k"}}))
    assert may(node, "plain", bucket, key, reads)
    policy(of("plain", Condition={"StringEquals": {"kms:EncryptionContext:aws:s3:arn": f"arn:aws:s3:::{bucket}/other"}}))
    assert not may(node, "plain", bucket, key, reads)


def test_the_default_key_is_everybodys_who_may_use_the_object(node, root, bucket):
    root.put_object(Bucket=bucket, Key="k", Body=b"x", ServerSideEncryption="aws:kms")
    reads = lambda client: client.get_object(Bucket=bucket, Key="k")["Body"].read()
    writes = lambda client: client.put_object(Bucket=bucket, Key="n", Body=b"x", ServerSideEncryption="aws:kms")
    for name, may_write, may_read in [("root", True, True), ("plain", True, True), ("grants", True, True), ("grants-read", False, True), ("denied", True, False)]:
        assert may(node, name, bucket, None, writes) == may_write, name
        assert may(node, name, bucket, None, reads) == may_read, name


def test_parts_are_opened_by_who_writes_them(node, root, bucket, key):
    upload, done = upload_parts(as_user(node, "keys"), bucket, "m", {1: b"x"}, **under(key))
    part = lambda client: client.upload_part(Bucket=bucket, Key="m", UploadId=upload, PartNumber=2, Body=b"y")
    for name, expected in (("plain", False), ("reader", True), ("grants", True), ("denied", False)):
        assert may(node, name, bucket, key, part) == expected, name
    # Checksums of what is sealed are for those who may open it.
    own, parts = upload_parts(root, bucket, "sums", {1: b"x"}, ChecksumAlgorithm="CRC32", **under(key))
    lists = lambda client: client.list_parts(Bucket=bucket, Key="sums", UploadId=own)
    for name, expected in (("plain", False), ("reader", True), ("denied", False)):
        assert may(node, name, bucket, key, lists) == expected, name
    assert may(node, "plain", bucket, key, lambda client: client.list_parts(Bucket=bucket, Key="m", UploadId=upload))
    as_user(node, "plain").complete_multipart_upload(Bucket=bucket, Key="m", UploadId=upload, MultipartUpload={"Parts": done})
    assert body_of(root, bucket, "m") == b"x"
