"""Large objects that one request wrote: they go to another node in parts, on from where the link broke off, and are there what they were."""

import datetime
import json

import pytest

from replication import add_target_user, admin, connect, wait_until
from test_encryption_keys import kms_client
from test_replication import ORIGIN, head, way  # noqa: F401: a fixture
from util import MIB, b64, code_of, crc64nvme, data, md5, sha256, signed, upload_parts

pytestmark = [pytest.mark.local, pytest.mark.timeout(300)]
PART = 32 * MIB
ON = {"ENCRYPTION_ENABLED": "true", "KMS_ENABLED": "true"}
ATTRIBUTES = ["ETag", "Checksum", "ObjectParts", "ObjectSize", "StorageClass"]


def told(s3, bucket, key):
    """All that readers are told of an object."""
    found = s3.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
    part = s3.head_object(Bucket=bucket, Key=key, PartNumber=1)
    attributes = s3.get_object_attributes(Bucket=bucket, Key=key, ObjectAttributes=ATTRIBUTES)
    names = ("ChecksumType", "ChecksumSHA256", "ChecksumCRC64NVME", "PartsCount")
    return (head(s3, bucket, key), {name: found.get(name) for name in names}, part.get("PartsCount"), part["ContentLength"],
            {name: attributes.get(name) for name in ATTRIBUTES})


def uploads(s3):
    return s3.list_multipart_uploads(Bucket="copy").get("Uploads", [])


def compared(node):
    admin(node, "POST", "/rules/orig/compare")
    report = wait_until("the report", lambda: (r := admin(node, "GET", "/rules/orig/compare"))["state"] == "done" and r)
    return report["same"], report["missing"], report["different"], report["extra"]


@pytest.mark.parametrize("trouble", ["link", "source", "target"])
def test_it_goes_on_where_it_broke_off_and_is_what_it_was(way, trouble):
    way = way().buckets(lock=True)
    way.link.down = True
    body, size = data(3 * PART + 4 * MIB), 3 * PART + 4 * MIB
    until = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0) + datetime.timedelta(days=1)
    way.a.put_object(Bucket="orig", Key="big", Body=body, ChecksumAlgorithm="SHA256", ContentType="x/y", Metadata={"m": "1"}, Tagging="t=v",
                     ObjectLockMode="GOVERNANCE", ObjectLockRetainUntilDate=until, ObjectLockLegalHoldStatus="ON")
    way.link.down, way.link.delay = False, 0.004

    def kept():
        """Numbers of the parts of which the source knows that they are there."""
        try:
            found = json.loads((way.source.root / ".myfsio.sys/replication_uploads.json").read_text())
        except OSError:
            return []
        return [number for _, begun in found for number in begun.get("parts", {})]

    # The last is small, and there before the others, which are on their way.
    wait_until("a part to be there", kept, 60)
    if trouble == "link":
        way.link.down = True
        way.link.cut()
        wait_until("the source to see it", lambda: way.status()["state"] == "OFFLINE")
    else:
        side = getattr(way, trouble)
        side.kill()
        way.link.down = True
        way.link.cut()
        side.start()
        way.a, way.b = way.source.client(), way.target.client()
    there = kept()
    left = sum(4 * MIB if number == 4 else PART for number in range(1, 5) if str(number) not in there)
    assert 1 <= len(there) < 4 and len(uploads(way.b)) == 1, "it was cut off in the middle"
    before = way.link.bytes
    way.link.down, way.link.delay = False, 0
    way.quiet(120)
    assert way.status()["parked"] == 0, admin(way.source, "GET", "/rules/orig/failures")
    assert left <= way.link.bytes - before < left + MIB, f"{there} were there and were not sent again"
    here = told(way.a, "orig", "big")
    assert here == told(way.b, "copy", "big")
    assert here[0]["ETag"].strip('"') == md5(body) and here[1]["ChecksumType"] == "FULL_OBJECT"
    assert here[1]["ChecksumSHA256"] == sha256(body)
    assert here[2] is None and here[3] == size and here[4]["ObjectParts"] is None, "it has no parts"
    assert way.b.get_object_tagging(Bucket="copy", Key="big")["TagSet"] == [{"Key": "t", "Value": "v"}]
    assert md5(way.b.get_object(Bucket="copy", Key="big")["Body"].read()) == md5(body)
    assert not uploads(way.b) and compared(way.source) == (1, 0, 0, 0)


@pytest.mark.parametrize("side, method", [("source", "AES256"), ("target", "AES256"), ("source", "aws:kms"), ("target", "aws:kms")])
def test_encrypted_ones(way, side, method):
    way = way(source=ON, target=ON).buckets()
    rule = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": method}}]}
    s3, bucket = (way.a, "orig") if side == "source" else (way.b, "copy")
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration=rule)
    body = data(2 * PART + MIB)
    way.a.put_object(Bucket="orig", Key="big", Body=body)
    way.quiet(120)
    assert way.status()["parked"] == 0, admin(way.source, "GET", "/rules/orig/failures")
    found = way.b.get_object(Bucket="copy", Key="big")
    assert found.get("ServerSideEncryption") == (method if side == "target" else None)
    assert md5(found["Body"].read()) == md5(body) and "-" not in found["ETag"]
    assert (found["ETag"].strip('"') == md5(body)) == ((side, method) != ("target", "aws:kms"))
    for first, last in ((0, 0), (PART - 5, PART + 5), (PART + 1, 2 * PART), (2 * PART, len(body) - 1), (10, len(body) - 10)):
        piece = way.b.get_object(Bucket="copy", Key="big", Range=f"bytes={first}-{last}")["Body"].read()
        assert piece == body[first:last + 1], (first, last)
    here, there = told(way.a, "orig", "big"), told(way.b, "copy", "big")
    assert there[1:4] == here[1:4] and there[4]["ObjectParts"] is None
    # The ETag of what is under a KMS key is not the MD5 of its bytes, which the target has to find out for itself.
    goes_in_parts = (side, method) != ("source", "aws:kms")
    assert (way.link.methods.get("POST", 0) >= 2) == goes_in_parts, way.link.methods
    # It can be copied, overwritten and deleted like any other.
    way.b.copy_object(Bucket="copy", Key="other", CopySource="copy/big")
    assert md5(way.b.get_object(Bucket="copy", Key="other")["Body"].read()) == md5(body)
    way.b.delete_object(Bucket="copy", Key="big")


def test_who_may_not_open_the_key_there_sends_it_by_one_request(way):
    way = way(source=ON, target=ON)
    # With nothing in between that ends what was answered early.
    way.connection = connect(way.source, way.target.endpoint, way.key, name="direct")
    way.buckets()
    kms = kms_client(way.target)
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    every = {"Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*"}
    closed = {"Effect": "Deny", "Principal": "*", "Action": "kms:Decrypt", "Resource": "*"}
    policy = lambda *statements: json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=policy(closed, every))
    way.b.put_bucket_encryption(Bucket="copy", ServerSideEncryptionConfiguration={
        "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}]})
    body = data(2 * PART + MIB)
    way.a.put_object(Bucket="orig", Key="big", Body=body)
    way.quiet(120)
    assert way.status()["parked"] == 0, admin(way.source, "GET", "/rules/orig/failures")
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=policy(every))
    assert md5(way.b.get_object(Bucket="copy", Key="big")["Body"].read()) == md5(body)
    assert not uploads(way.b)


def begun_and_cut(way):
    """A large object of which a part is at the target when the link breaks off."""
    body = data(3 * PART)
    # So slow that seconds go by between its first part and its end.
    way.link.delay = 0.02
    way.a.put_object(Bucket="orig", Key="big", Body=body)
    remembered = way.source.root / ".myfsio.sys/replication_uploads.json"
    wait_until("a part to be there", lambda: remembered.exists() and '"parts"' in remembered.read_text(), 60)
    way.link.down = True
    way.link.cut()
    wait_until("the source to see it", lambda: way.status()["state"] == "OFFLINE")
    assert len(uploads(way.b)) == 1
    way.link.delay = 0
    return body


def test_who_may_write_and_not_list_begins_anew(way):
    way = way(actions=("write", "delete", "replication")).buckets()
    body = begun_and_cut(way)
    way.link.down = False
    way.quiet(120)
    assert way.status()["parked"] == 0, admin(way.source, "GET", "/rules/orig/failures")
    assert md5(way.b.get_object(Bucket="copy", Key="big")["Body"].read()) == md5(body)
    assert not uploads(way.b), "what nobody goes on with is gone"


def test_nothing_is_left_of_what_was_deleted_before_it_was_sent(way):
    way = way().buckets()
    begun_and_cut(way)
    way.a.delete_object(Bucket="orig", Key="big")
    way.link.down = False
    way.quiet(120)
    assert way.status()["parked"] == 0, admin(way.source, "GET", "/rules/orig/failures")
    assert not uploads(way.b) and "Contents" not in way.b.list_objects_v2(Bucket="copy")


def test_only_who_may_replicate_says_what_it_was(way):
    way = way()
    way.b.create_bucket(Bucket="copy")
    parts = {1: b"begin", 2: b"end"}
    body = b"".join(parts.values())
    upload, done = upload_parts(way.b, "copy", "k", parts)
    document = "".join(f"<Part><PartNumber>{p['PartNumber']}</PartNumber><ETag>{p['ETag']}</ETag></Part>" for p in done)
    document = f"<CompleteMultipartUpload>{document}</CompleteMultipartUpload>".encode()
    writer = add_target_user(way.target, "writer", "copy", ("write", "read", "list", "delete"))
    etag = {"x-myfsio-etag": md5(body)}
    whole = {**etag, "x-myfsio-checksum": f"SHA256={sha256(body)}"}
    crc = lambda of: {"x-amz-checksum-crc64nvme": crc64nvme(of)}

    def ends(who, headers, **more):
        status, answer, text = signed(way.target, "POST", f"/copy/k?uploadId={upload}", document, headers, access=who[0], secret=who[1], **more)
        return status, code_of(text) if status >= 300 else answer.get("x-myfsio-applied")

    assert ends(writer, {**ORIGIN, **crc(body)}) == (400, "EntityTooSmall"), "it may end uploads"
    assert ends(writer, {**ORIGIN, **whole, **crc(body)}) == (403, "AccessDenied")
    for headers, refused in (
            ({**ORIGIN, **whole, **crc(b"other")}, "BadDigest"),
            ({**ORIGIN, **whole}, "BadDigest"),
            ({**ORIGIN, **whole, "x-amz-checksum-sha256": sha256(body)}, "BadDigest"),
            ({**ORIGIN, "x-myfsio-etag": f"{md5(body)}-2", **crc(body)}, "InvalidArgument"),
            ({**ORIGIN, **etag, "x-myfsio-checksum": f"CRC7={b64(b'x' * 16)}", **crc(body)}, "InvalidArgument"),
            ({**whole, **crc(body)}, "EntityTooSmall")):  # without an origin nobody looks at it
        assert ends(way.key, headers) == (400, refused), headers
    assert ends(way.key, {**ORIGIN, **crc(body)}, unsigned=whole) == (400, "EntityTooSmall"), "what is not signed is not there"
    assert len(way.b.list_parts(Bucket="copy", Key="k", UploadId=upload)["Parts"]) == 2, "nothing was made of it"
    for _ in range(2):
        assert ends(way.key, {**ORIGIN, **whole, **crc(body)}) == (200, "applied"), "asked again, it tells the same"
    found = way.b.head_object(Bucket="copy", Key="k", ChecksumMode="ENABLED")
    assert (found["ETag"].strip('"'), found["ChecksumSHA256"], found["ChecksumType"]) == (md5(body), sha256(body), "FULL_OBJECT")
    assert way.b.get_object(Bucket="copy", Key="k")["Body"].read() == body
