"""The headers by which other nodes send their changes, in the hands of somebody who forges them: what is locked stays, and they give
nobody more than the request without them."""

import base64
import datetime
import hashlib
import time

import boto3
import pytest

from node import ACCESS, SECRET, Node
from util import code_of, signed

pytestmark = pytest.mark.local

LATER = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=365)
ORIGIN = "00000000000000ab"
SHORT = [{"bucket": "*", "actions": ["write", "read", "list", "delete", "replication"]}]


def policy(*actions):
    return [{"PolicyName": "p", "Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": "*"}]}]


USERS = {
    "rep": SHORT,
    "keeper": SHORT + [{"bucket": "*", "actions": ["object_lock", "s3:BypassGovernanceRetention"]}],
    "put": policy("s3:PutObject", "s3:DeleteObject"),
    "retain": policy("s3:PutObjectRetention", "s3:PutObjectLegalHold"),
    "burier": policy("s3:DeleteObjectVersion"),
}


@pytest.fixture(scope="module")
def node():
    """One node for all tests here, with somebody for each way to get through."""
    node = Node()
    try:
        node.start()
        sts = boto3.client("sts", endpoint_url=node.endpoint, region_name="us-east-1", aws_access_key_id=ACCESS,
                           aws_secret_access_key=SECRET)
        # Documents give what their account has; grants of the short form give what is anybody's.
        account = {"account_id": sts.get_caller_identity()["Account"]}
        node.add_users(*({"access_key": name, "secret_key": f"{name}-secret", "display_name": name, "policies": policies,
                          **(account if "Statement" in policies[0] else {})} for name, policies in USERS.items()))
        yield node
        node.stop()
    finally:
        node.close()


@pytest.fixture(scope="module")
def s3(node):
    return node.client()


def told(clock=None, **more):
    headers = {"x-myfsio-origin": ORIGIN, "x-myfsio-clock": str(clock or time.time_ns())}
    return headers | {"x-myfsio-" + name.replace("_", "-"): value for name, value in more.items()}


def ask(node, who, method, target, body=b"", **headers):
    """Answers status and code, and what became of the change."""
    if "?" in target and body:
        headers["Content-MD5"] = base64.b64encode(hashlib.md5(body).digest()).decode()
    status, answer, text = signed(node, method, target, body, headers, access=who, secret=f"{who}-secret")
    return status, answer.get("x-myfsio-applied") if status < 300 else code_of(text)


def lockable(s3, bucket):
    s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    return bucket


def locked(s3, bucket, key, mode="COMPLIANCE", **more):
    return s3.put_object(Bucket=bucket, Key=key, Body=b"locked", ObjectLockMode=mode, ObjectLockRetainUntilDate=LATER, **more)["VersionId"]


def body_of(s3, bucket, key, version):
    return s3.get_object(Bucket=bucket, Key=key, VersionId=version)["Body"].read()


def versions(s3, bucket):
    found = s3.list_object_versions(Bucket=bucket)
    return ([(v["Key"], v["VersionId"], v["Size"]) for v in found.get("Versions", [])],
            [(m["Key"], m["VersionId"]) for m in found.get("DeleteMarkers", [])])


def test_a_locked_version_is_not_displaced(node, s3):
    bucket = lockable(s3, "displaced")
    version = locked(s3, bucket, "w")
    clock = int(version[:16], 16)
    greater = version[:16] + "f" * 16
    assert ask(node, "rep", "DELETE", f"/{bucket}/w?versionId={version}")[0] == 403
    assert ask(node, "rep", "PUT", f"/{bucket}/w", b"", **told(clock, version_id=greater)) == (200, "lost")
    assert ask(node, "rep", "PUT", f"/{bucket}/w", b"", **told(clock, version_id="null")) == (409, "InvalidBucketState")
    assert ask(node, "rep", "DELETE", f"/{bucket}/w", b"", **told(clock, version_id="null")) == (409, "InvalidBucketState")
    for who in ("rep", "keeper"):
        assert ask(node, who, "DELETE", f"/{bucket}/w?versionId={version}", b"", **told(version_id=version)) == (403, "AccessDenied")
    assert ask(node, "rep", "DELETE", f"/{bucket}/w?versionId={greater}")[0] == 204
    assert versions(s3, bucket) == ([("w", version, 6)], []) and body_of(s3, bucket, "w", version) == b"locked"
    assert ask(node, "rep", "DELETE", f"/{bucket}") == (409, "BucketNotEmpty")


def test_a_locked_copy_stays_with_its_bucket(node, s3):
    bucket = lockable(s3, "copied")
    version = s3.put_object(Bucket=bucket, Key="k", Body=b"here")["VersionId"]
    lesser = version[:16] + "0" * 15 + "1"
    lock = {"x-amz-object-lock-mode": "COMPLIANCE", "x-amz-object-lock-retain-until-date": LATER.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "Content-MD5": base64.b64encode(hashlib.md5(b"copy").digest()).decode()}
    assert ask(node, "rep", "PUT", f"/{bucket}/k", b"copy", **told(int(version[:16], 16), version_id=lesser), **lock) == (200, "lost")
    for keep in ("current", "copy"):
        document = f'{{"key": "k", "version_id": "{lesser}", "keep": "{keep}"}}'.encode()
        status, _, _ = signed(node, "POST", f"/_myfsio/replication/rules/{bucket}/conflicts/resolve", document)
        assert status == 403, keep
    s3.delete_object(Bucket=bucket, Key="k", VersionId=version)
    assert versions(s3, bucket) == ([], [])
    assert ask(node, "rep", "DELETE", f"/{bucket}") == (409, "BucketNotEmpty")
    assert body_of(s3, bucket, "k", lesser) == b"copy"


def test_no_version_is_put_at_the_end_of_time(node, s3):
    bucket = lockable(s3, "ends")
    for clock in (2**64 - 1, time.time_ns() + 31 * 86_400 * 10**9):
        version = f"{clock:016x}" + "1" * 16
        assert ask(node, "rep", "PUT", f"/{bucket}/k", b"x", **told(version_id=version)) == (400, "InvalidArgument")
        assert ask(node, "rep", "DELETE", f"/{bucket}/k", b"", **told(version_id=version)) == (400, "InvalidArgument")
        assert ask(node, "rep", "DELETE", f"/{bucket}/k?versionId={version}", b"", **told()) == (400, "InvalidArgument")
    made = [locked(s3, bucket, "k") for _ in range(3)]
    assert [body_of(s3, bucket, "k", version) for version in made] == [b"locked"] * 3


@pytest.mark.parametrize("claims", ["nothing", "all"])
def test_who_may_only_write_takes_nothing_away(node, s3, claims):
    bucket = f"null-{claims}"
    s3.create_bucket(Bucket=bucket)
    for key in ("k", "gone"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"before")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    peer = signed(node, "GET", "/_myfsio/replication/peer")[2].decode().split('"node_id":"')[1][:16]
    clock = time.time_ns()
    headers = told(clock, **({"seen": f"{peer}={clock - 1}"} if claims == "all" else {}))
    assert ask(node, "put", "PUT", f"/{bucket}/k", b"new", **headers) == (200, "applied")
    assert ask(node, "put", "DELETE", f"/{bucket}/gone", b"", **headers) == (204, "applied")
    found, markers = versions(s3, bucket)
    assert sorted((key, size) for key, _, size in found) == [("gone", 6), ("k", 3), ("k", 6)]
    assert [key for key, _ in markers] == ["gone"] and all(version != "null" for _, version in markers)
    for key in ("k", "gone"):
        assert body_of(s3, bucket, key, "null") == b"before"
    # It came twice, as when an answer was lost.
    assert ask(node, "put", "PUT", f"/{bucket}/k", b"new", **headers) == (200, "known")
    assert ask(node, "put", "DELETE", f"/{bucket}/gone", b"", **headers) == (204, "known")
    assert versions(s3, bucket) == (found, markers)
    # The null version by its name is a choice.
    for method in ("PUT", "DELETE"):
        assert ask(node, "put", method, f"/{bucket}/k", b"", **told(version_id="null")) == (403, "AccessDenied")


def test_a_delete_by_id_alone_keeps_no_version_from_coming(node, s3):
    bucket = lockable(s3, "coming")
    version = f"{time.time_ns():016x}" + "1" * 16
    assert ask(node, "burier", "DELETE", f"/{bucket}/k?versionId={version}", b"", **told())[0] == 204
    assert ask(node, "rep", "PUT", f"/{bucket}/k", b"there", **told(version_id=version)) == (200, "applied")
    assert body_of(s3, bucket, "k", version) == b"there"


def test_only_who_may_lifts_a_lock(node, s3):
    bucket = lockable(s3, "lifts")
    version = locked(s3, bucket, "g", "GOVERNANCE", ObjectLockLegalHoldStatus="ON")
    clock = time.time_ns() + 10**9
    chosen = told(clock, version_id=version, lock_change=f"{clock}.{ORIGIN}")
    retention, hold = f"/{bucket}/g?retention&versionId={version}", f"/{bucket}/g?legal-hold&versionId={version}"
    shorter = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    shorter = f"<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>{shorter}</RetainUntilDate></Retention>".encode()
    off = b"<LegalHold><Status>OFF</Status></LegalHold>"
    for who, headers in (("rep", chosen), ("retain", told(clock))):
        for document in (b"<Retention/>", shorter):
            assert ask(node, who, "PUT", retention, document, **headers) == (403, "AccessDenied"), who
    assert ask(node, "rep", "PUT", hold, off, **chosen) == (403, "AccessDenied")
    # Nor with the whole object.
    assert ask(node, "rep", "PUT", f"/{bucket}/g", b"locked", **chosen) == (403, "AccessDenied")
    delete = told(clock + 1, version_id=version)
    assert ask(node, "rep", "DELETE", f"/{bucket}/g?versionId={version}", b"", **delete) == (403, "AccessDenied")
    found = s3.head_object(Bucket=bucket, Key="g")
    assert (found["ObjectLockMode"], found["ObjectLockLegalHoldStatus"]) == ("GOVERNANCE", "ON")
    assert ask(node, "keeper", "PUT", retention, b"<Retention/>", **chosen)[0] == 200
    assert ask(node, "keeper", "PUT", hold, off, **chosen)[0] == 200
    found = s3.head_object(Bucket=bucket, Key="g")
    assert (found.get("ObjectLockMode"), found.get("ObjectLockLegalHoldStatus")) == (None, "OFF")


def test_conditions_hold_for_what_other_nodes_send(node, s3):
    s3.create_bucket(Bucket="conditions")
    s3.put_object(Bucket="conditions", Key="k", Body=b"here")
    for who in ("put", "rep"):
        headers = told(version_id="null") if who == "rep" else told()
        assert ask(node, who, "PUT", "/conditions/k", b"x", **headers, **{"If-None-Match": "*"}) == (412, "PreconditionFailed")
        # Comparing ETags takes reading, too.
        assert ask(node, who, "DELETE", "/conditions/k", b"", **headers, **{"If-Match": '"0"'})[0] in (400, 403, 412)
    assert s3.get_object(Bucket="conditions", Key="k")["Body"].read() == b"here"
