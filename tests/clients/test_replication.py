"""Replication one way: what arrives, in which form, and what happens when the target is away, full, or somebody else's."""

import datetime
import json
import os
import subprocess
import time

import pytest

from node import BINARY
from replication import (Link, add_target_user, admin, connect, replicate, status, wait_empty, wait_until)
from util import MIB, code_of, data, md5, refused, send, signed, upload_parts, complete

pytestmark = pytest.mark.local


class Way:
    """A source, a link, a target, and a bucket on each side."""

    def __init__(self, node_factory, source=None, target=None, actions=("write", "read", "list", "delete", "replication")):
        self.source, self.target = node_factory(**(source or {})), node_factory(**(target or {}))
        self.link = Link(self.target)
        self.a, self.b = self.source.client(), self.target.client()
        self.key = add_target_user(self.target, "replicator", "copy", actions)
        self.connection = connect(self.source, self.link.endpoint, self.key)

    def buckets(self, versions=False, lock=False, **rule):
        for s3, bucket in ((self.a, "orig"), (self.b, "copy")):
            s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=lock)
            if versions and not lock:
                s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        self.rule = replicate(self.source, "orig", self.connection, "copy", **rule)
        return self

    def quiet(self, seconds=30):
        wait_empty(self.source, "orig", seconds)

    def status(self):
        return status(self.source, "orig")


@pytest.fixture
def way(node_factory):
    made = []

    def make(**more):
        made.append(Way(node_factory, **more))
        return made[-1]

    yield make
    for one in made:
        one.link.close()


def head(s3, bucket, key, **more):
    found = s3.head_object(Bucket=bucket, Key=key, **more)
    names = ("ContentType", "CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage", "ETag", "LastModified",
             "ContentLength", "Metadata", "WebsiteRedirectLocation", "StorageClass", "TagCount", "VersionId", "ObjectLockMode",
             "ObjectLockRetainUntilDate", "ObjectLockLegalHoldStatus")
    return {name: found.get(name) for name in names}


def replication_status(s3, bucket, key):
    return s3.head_object(Bucket=bucket, Key=key).get("ReplicationStatus")


def test_objects_arrive_with_everything_that_goes_with_them(way):
    way = way().buckets(versions=True)
    body = data(70_000)
    way.a.put_object(Bucket="orig", Key="dir/ä +%2F?.txt", Body=body, ContentType="text/plain", CacheControl="no-cache",
                     ContentDisposition="inline", ContentEncoding="gzip", ContentLanguage="de", Metadata={"a": "1", "b-c": "x y"},
                     Tagging="k=v&t%20u=%C3%A4", WebsiteRedirectLocation="/x", ChecksumAlgorithm="SHA256")
    way.a.put_object(Bucket="orig", Key="empty", Body=b"")
    way.a.put_object(Bucket="orig", Key="a/../b", Body=b"dots")
    way.quiet()
    for key in ("dir/ä +%2F?.txt", "empty", "a/../b"):
        assert head(way.a, "orig", key) == head(way.b, "copy", key)
        assert way.a.get_object(Bucket="orig", Key=key)["Body"].read() == way.b.get_object(Bucket="copy", Key=key)["Body"].read()
    tags = [s3.get_object_tagging(Bucket=bucket, Key="dir/ä +%2F?.txt")["TagSet"] for s3, bucket in ((way.a, "orig"), (way.b, "copy"))]
    assert tags[0] == tags[1] and len(tags[0]) == 2
    sums = [s3.head_object(Bucket=bucket, Key="dir/ä +%2F?.txt", ChecksumMode="ENABLED").get("ChecksumSHA256")
            for s3, bucket in ((way.a, "orig"), (way.b, "copy"))]
    assert sums[0] and sums[0] == sums[1]
    assert replication_status(way.a, "orig", "empty") == "COMPLETED"
    assert replication_status(way.b, "copy", "empty") == "REPLICA"


def test_parts_stay_what_they_are(way):
    way = way().buckets()
    parts = {1: data(5 * MIB, 1), 2: data(6 * MIB, 2), 3: data(7, 3)}
    upload, done = upload_parts(way.a, "orig", "big", parts, ContentType="x/y", Metadata={"m": "1"})
    complete(way.a, "orig", "big", upload, done)
    upload, done = upload_parts(way.a, "orig", "summed", parts, ChecksumAlgorithm="CRC32")
    listed = way.a.list_parts(Bucket="orig", Key="summed", UploadId=upload)["Parts"]
    done = [{"PartNumber": p["PartNumber"], "ETag": p["ETag"], "ChecksumCRC32": p["ChecksumCRC32"]} for p in listed]
    complete(way.a, "orig", "summed", upload, done)
    way.quiet()
    for key in ("big", "summed"):
        assert head(way.a, "orig", key) == head(way.b, "copy", key)
        for number in (1, 2, 3):
            there = way.b.get_object(Bucket="copy", Key=key, PartNumber=number)
            assert there["Body"].read() == parts[number] and there["PartsCount"] == 3
    sums = [s3.head_object(Bucket=bucket, Key="summed", ChecksumMode="ENABLED") for s3, bucket in ((way.a, "orig"), (way.b, "copy"))]
    assert sums[0]["ChecksumCRC32"] == sums[1]["ChecksumCRC32"] and sums[0]["ChecksumType"] == sums[1]["ChecksumType"]
    assert not way.b.list_multipart_uploads(Bucket="copy").get("Uploads")


def test_versions_markers_and_their_ids(way):
    way = way().buckets(versions=True)
    ids = [way.a.put_object(Bucket="orig", Key="k", Body=b"%d" % n)["VersionId"] for n in range(3)]
    marker = way.a.delete_object(Bucket="orig", Key="k")["VersionId"]
    ids.append(way.a.put_object(Bucket="orig", Key="k", Body=b"back")["VersionId"])
    way.quiet()
    listed = [s3.list_object_versions(Bucket=bucket) for s3, bucket in ((way.a, "orig"), (way.b, "copy"))]
    for page in listed:
        assert sorted(v["VersionId"] for v in page["Versions"]) == sorted(ids)
        assert [m["VersionId"] for m in page["DeleteMarkers"]] == [marker]
        assert [v["VersionId"] for v in page["Versions"] if v["IsLatest"]] == [ids[-1]]
    times = [{v["VersionId"]: v["LastModified"] for v in page["Versions"] + page["DeleteMarkers"]} for page in listed]
    assert times[0] == times[1]
    for n, version in enumerate(ids[:3]):
        assert way.b.get_object(Bucket="copy", Key="k", VersionId=version)["Body"].read() == b"%d" % n


def test_deletes_arrive_and_versions_only_if_asked(way):
    way = way().buckets(versions=True)
    first = way.a.put_object(Bucket="orig", Key="k", Body=b"1")["VersionId"]
    second = way.a.put_object(Bucket="orig", Key="k", Body=b"2")["VersionId"]
    way.quiet()
    way.a.delete_object(Bucket="orig", Key="k", VersionId=first)
    way.quiet()
    kept = {v["VersionId"] for v in way.b.list_object_versions(Bucket="copy")["Versions"]}
    assert kept == {first, second}, "nobody asked for that"
    replicate(way.source, "orig", way.connection, "copy", delete_versions=True)
    way.a.delete_object(Bucket="orig", Key="k", VersionId=second)
    way.quiet()
    wait_until("the version to go", lambda: {v["VersionId"] for v in way.b.list_object_versions(Bucket="copy")["Versions"]} == {first})


def test_deletes_in_buckets_without_versions(way):
    way = way().buckets()
    for key in ("a", "b", "c"):
        way.a.put_object(Bucket="orig", Key=key, Body=key.encode())
    way.quiet()
    way.a.delete_object(Bucket="orig", Key="a")
    way.a.delete_objects(Bucket="orig", Delete={"Objects": [{"Key": "b"}]})
    way.quiet()
    assert [o["Key"] for o in way.b.list_objects_v2(Bucket="copy")["Contents"]] == ["c"]
    replicate(way.source, "orig", way.connection, "copy", replicate_deletes=False)
    way.a.delete_object(Bucket="orig", Key="c")
    way.quiet()
    time.sleep(0.3)
    assert [o["Key"] for o in way.b.list_objects_v2(Bucket="copy")["Contents"]] == ["c"], "it was not to be deleted"


def test_tags_and_locks_that_change_later(way):
    way = way(actions=("write", "read", "list", "delete", "replication", "object_lock")).buckets(lock=True)
    version = way.a.put_object(Bucket="orig", Key="k", Body=b"1")["VersionId"]
    way.quiet()
    way.a.put_object_tagging(Bucket="orig", Key="k", Tagging={"TagSet": [{"Key": "x", "Value": "y"}]})
    way.a.put_object_retention(Bucket="orig", Key="k", Retention={"Mode": "GOVERNANCE", "RetainUntilDate": "2037-01-01T00:00:00Z"})
    way.a.put_object_legal_hold(Bucket="orig", Key="k", LegalHold={"Status": "ON"})
    way.a.put_object(Bucket="orig", Key="locked", Body=b"2", ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate="2036-01-01T00:00:00Z")
    way.quiet()
    for key in ("k", "locked"):
        assert head(way.a, "orig", key) == head(way.b, "copy", key)
    assert head(way.b, "copy", "k")["ObjectLockLegalHoldStatus"] == "ON" and head(way.b, "copy", "k")["VersionId"] == version
    way.a.put_object_legal_hold(Bucket="orig", Key="k", LegalHold={"Status": "OFF"})
    way.a.put_object_tagging(Bucket="orig", Key="k", Tagging={"TagSet": []})
    way.quiet()
    assert head(way.a, "orig", "k") == head(way.b, "copy", "k")
    assert way.b.get_object_tagging(Bucket="copy", Key="k")["TagSet"] == []


@pytest.mark.parametrize("actions", [("write", "read", "list", "replication"), ("write", "read", "list", "object_lock")])
def test_what_was_locked_once_is_sent(way, actions):
    """A retention may end before the object is sent: by a bucket's default every one of them does."""
    way = way(actions=actions)
    for s3, bucket in ((way.a, "orig"), (way.b, "copy")):
        s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    until = int(time.time()) + 3
    lock = {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": datetime.datetime.fromtimestamp(until, datetime.UTC)}
    way.a.put_object(Bucket="orig", Key="small", Body=b"1", **lock)
    upload, done = upload_parts(way.a, "orig", "parts", {1: data(5 * MIB), 2: b"end"}, **lock)
    complete(way.a, "orig", "parts", upload, done)
    with refused(400, "InvalidArgument"):
        way.a.put_object(Bucket="orig", Key="past", Body=b"1", **{**lock, "ObjectLockRetainUntilDate": "2020-01-01T00:00:00Z"})
    time.sleep(max(0, until + 1 - time.time()))
    replicate(way.source, "orig", way.connection, "copy", mode="all")
    wait_until("the back-fill", lambda: way.b.list_objects_v2(Bucket="copy").get("KeyCount") == 2)
    way.quiet()
    assert way.status()["parked"] == 0, admin(way.source, "GET", "/rules/orig/failures")
    for key in ("small", "parts"):
        if "replication" in actions:
            assert head(way.a, "orig", key) == head(way.b, "copy", key)
        else:
            assert head(way.b, "copy", key)["ObjectLockMode"] is None, "who may not choose may not choose the past either"


@pytest.mark.parametrize("side", ["source", "target", "both"])
def test_encrypted_objects_are_encrypted_by_the_targets_rules(way, side):
    on = {"ENCRYPTION_ENABLED": "true", "KMS_ENABLED": "true"}
    way = way(source=on, target=on).buckets()
    rule = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}]}
    if side in ("source", "both"):
        way.a.put_bucket_encryption(Bucket="orig", ServerSideEncryptionConfiguration=rule)
    if side in ("target", "both"):
        way.b.put_bucket_encryption(Bucket="copy", ServerSideEncryptionConfiguration=rule)
    way.a.put_object(Bucket="orig", Key="small", Body=b"secret")
    way.a.put_object(Bucket="orig", Key="managed", Body=data(300_000), ServerSideEncryption="AES256")
    upload, done = upload_parts(way.a, "orig", "parts", {1: data(5 * MIB), 2: b"end"})
    complete(way.a, "orig", "parts", upload, done)
    way.quiet()
    for key in ("small", "managed", "parts"):
        there = way.b.get_object(Bucket="copy", Key=key)
        assert there["Body"].read() == way.a.get_object(Bucket="orig", Key=key)["Body"].read()
        assert there.get("ServerSideEncryption") == ("aws:kms" if side in ("target", "both") else None)


def test_objects_of_customers_keys_are_parked(way):
    on = {"ENCRYPTION_ENABLED": "true"}
    way = way(source=on).buckets()
    way.a.put_object(Bucket="orig", Key="c", Body=b"x", SSECustomerAlgorithm="AES256", SSECustomerKey="k" * 32)
    wait_until("it to be parked", lambda: way.status()["parked"] == 1)
    failure = admin(way.source, "GET", "/rules/orig/failures")["failures"][0]
    assert failure["key"] == "c" and "SSE-C" in failure["reason"], failure
    assert way.a.head_object(Bucket="orig", Key="c", SSECustomerAlgorithm="AES256", SSECustomerKey="k" * 32)["ReplicationStatus"] == "FAILED"


def test_what_is_written_while_paused_goes_out_after_resume(way):
    way = way().buckets()
    way.source.add_users({"access_key": "toggler", "secret_key": "toggler-secret", "display_name": "t",
                          "policies": [{"bucket": "orig", "actions": ["replication"]}]})
    who = {"access": "toggler", "secret": "toggler-secret"}
    assert admin(way.source, "POST", "/rules/orig/pause", **who)["status"]["state"] == "PAUSED"
    way.a.put_object(Bucket="orig", Key="k", Body=b"1")
    time.sleep(0.5)
    assert way.status()["pending"] == 1 and "Contents" not in way.b.list_objects_v2(Bucket="copy")
    assert replication_status(way.a, "orig", "k") == "PENDING"
    admin(way.source, "POST", "/rules/orig/resume", **who)
    way.quiet()
    assert way.b.get_object(Bucket="copy", Key="k")["Body"].read() == b"1"
    for method, path, body in (("DELETE", "/rules/orig", None), ("PUT", "/rules/orig", {}), ("GET", "/connections", None), ("GET", "/rules", None)):
        admin(way.source, method, path, body, status=403, **who)


def test_mode_all_fills_with_what_was_there(way):
    way = way()
    way.a.create_bucket(Bucket="orig")
    for n in range(300):
        way.a.put_object(Bucket="orig", Key=f"old/{n:03}", Body=b"%d" % n)
    way.buckets(mode="all")
    wait_until("the back-fill", lambda: way.b.list_objects_v2(Bucket="copy").get("KeyCount") == 300)
    way.quiet()
    assert way.b.get_object(Bucket="copy", Key="old/299")["Body"].read() == b"299"


def test_new_only_leaves_what_was_there(way):
    way = way()
    way.a.create_bucket(Bucket="orig")
    way.a.put_object(Bucket="orig", Key="old", Body=b"1")
    way.buckets()
    way.a.put_object(Bucket="orig", Key="new", Body=b"1")
    way.quiet()
    assert [o["Key"] for o in way.b.list_objects_v2(Bucket="copy")["Contents"]] == ["new"]
    assert replication_status(way.a, "orig", "old") is None
    way.b.delete_object(Bucket="copy", Key="new")
    way.b.delete_bucket(Bucket="copy")
    way.b.create_bucket(Bucket="copy")
    admin(way.source, "POST", "/rules/orig/resync")
    wait_until("the resync", lambda: way.b.list_objects_v2(Bucket="copy").get("KeyCount") == 1)
    assert way.b.list_objects_v2(Bucket="copy")["Contents"][0]["Key"] == "new", "it is about what the rule is about"


def test_a_full_target_parks_with_its_reason_and_takes_it_later(way):
    way = way().buckets()
    quota = json.dumps({"max_bytes": 1000}).encode()
    assert signed(way.target, "PUT", "/copy?quota", quota)[0] in (200, 204)
    way.a.put_object(Bucket="orig", Key="big", Body=data(2000))
    way.a.put_object(Bucket="orig", Key="small", Body=b"1")
    wait_until("it to be parked", lambda: way.status()["parked"] == 1)
    wait_until("the others to go on", lambda: [o["Key"] for o in way.b.list_objects_v2(Bucket="copy").get("Contents", [])] == ["small"])
    assert "quota" in json.dumps(way.status()["failures"]).lower(), way.status()
    assert replication_status(way.a, "orig", "big") == "FAILED"
    assert signed(way.target, "DELETE", "/copy?quota")[0] in (200, 204)
    admin(way.source, "POST", "/rules/orig/retry", {"key": "big"})
    way.quiet()
    wait_until("it to arrive", lambda: way.b.list_objects_v2(Bucket="copy")["KeyCount"] == 2)
    assert way.status()["parked"] == 0


def test_a_target_that_goes_and_comes_back(way):
    way = way().buckets(versions=True)
    way.a.put_object(Bucket="orig", Key="before", Body=b"0")
    way.quiet()
    way.target.kill()
    ids = [way.a.put_object(Bucket="orig", Key=f"k{n}", Body=b"%d" % n)["VersionId"] for n in range(20)]
    gone = way.a.delete_object(Bucket="orig", Key="before")["VersionId"]
    wait_until("it to be seen", lambda: way.status()["state"] == "OFFLINE")
    assert way.status()["pending"] == 21 and way.status()["reason"]
    way.source.stop()
    way.source.start()
    way.a = way.source.client()
    assert way.status()["pending"] == 21, "nothing is lost by a restart"
    way.target.start()
    way.b = way.target.client()
    wait_until("it to go on by itself", lambda: way.status()["pending"] == 0, 40)
    there = way.b.list_object_versions(Bucket="copy")
    assert {v["VersionId"] for v in there["Versions"]} >= set(ids) and there["DeleteMarkers"][0]["VersionId"] == gone
    assert way.status()["state"] == "ACTIVE" and way.status()["parked"] == 0


def test_a_large_object_goes_on_where_it_broke_off(way):
    way = way()
    way.buckets()
    way.link.down = True
    parts = {n: data(5 * MIB, n) for n in range(1, 9)}
    upload, done = upload_parts(way.a, "orig", "big", parts)
    etag = complete(way.a, "orig", "big", upload, done)["ETag"]
    way.link.down, way.link.delay = False, 0.004

    def there():
        uploads = way.b.list_multipart_uploads(Bucket="copy").get("Uploads", [])
        return [p for u in uploads for p in way.b.list_parts(Bucket="copy", Key="big", UploadId=u["UploadId"]).get("Parts", [])]

    wait_until("some parts to be there", lambda: len(there()) >= 3)
    way.source.kill()
    time.sleep(0.5)  # what was on its way has come or is cut off
    before, whole = way.link.bytes, len(there())
    way.link.delay = 0
    way.source.start()
    way.a = way.source.client()
    way.quiet(60)
    assert way.b.head_object(Bucket="copy", Key="big")["ETag"] == etag
    assert 3 <= whole < 8, "it was cut off in the middle"
    assert way.link.bytes - before < (8 - whole) * 5 * MIB + MIB, f"{whole} parts that were there were not sent again"


def test_credentials_and_buckets_that_are_not_there(way):
    way = way().buckets()
    wrong = connect(way.source, way.link.endpoint, (way.key[0], "wrong"), name="wrong")
    answer = admin(way.source, "POST", f"/connections/{wrong}/test", {"bucket": "copy"})
    assert answer["state"] == "failed" and ["refused" in problem for problem in answer["problems"]] == [True], answer
    admin(way.source, "PUT", f"/connections/{way.connection}", {"secret_key": "wrong"})
    way.a.put_object(Bucket="orig", Key="k", Body=b"1")
    wait_until("the refusal", lambda: way.status()["state"] != "ACTIVE" or way.status()["parked"])
    assert "Contents" not in way.b.list_objects_v2(Bucket="copy")
    admin(way.source, "PUT", f"/connections/{way.connection}", {"secret_key": way.key[1]})
    admin(way.source, "POST", "/rules/orig/retry", {})
    wait_until("it to arrive", lambda: way.b.list_objects_v2(Bucket="copy").get("KeyCount") == 1)
    replicate(way.source, "orig", way.connection, "nowhere")
    way.a.put_object(Bucket="orig", Key="k2", Body=b"1")
    wait_until("the refusal", lambda: way.status()["parked"] or way.status()["state"] == "FAILED")
    assert "bucket" in json.dumps(way.status()).lower()


def test_the_connection_test_tells_what_is_missing(way):
    way = way(actions=("write", "read", "list")).buckets(versions=True)
    answer = admin(way.source, "POST", f"/connections/{way.connection}/test", {"bucket": "copy"})
    assert "delete" in " ".join(answer["problems"]).lower(), answer
    way.a.put_object(Bucket="orig", Key="k", Body=b"1")
    way.quiet()
    assert way.b.get_object(Bucket="copy", Key="k")["Body"].read() == b"1", "the seed's user writes"
    way.a.delete_object(Bucket="orig", Key="k")
    wait_until("the delete to be parked", lambda: way.status()["parked"] == 1)
    assert way.b.get_object(Bucket="copy", Key="k")["Body"].read() == b"1"


def test_connections_and_rules_by_their_routes(way):
    way = way()
    listed = admin(way.source, "GET", "/connections")["connections"]
    assert [c["id"] for c in listed] == [way.connection] and "secret" not in json.dumps(listed)
    text = (way.source.root / ".myfsio.sys/config/connections.json").read_text()
    assert way.key[1] not in text and "secret_key_sealed" in text
    way.buckets()
    admin(way.source, "DELETE", f"/connections/{way.connection}", status=409)
    rule = admin(way.source, "GET", "/rules/orig")
    assert (rule["bucket_name"], rule["target_bucket"], rule["mode"], rule["enabled"]) == ("orig", "copy", "new_only", True)
    stored = json.loads((way.source.root / ".myfsio.sys/config/replication_rules.json").read_text())
    assert stored["orig"]["target_connection_id"] == way.connection
    for body in ({"target_connection_id": "nobody", "target_bucket": "copy"}, {"target_connection_id": way.connection},
                 {"target_connection_id": way.connection, "target_bucket": "a/b"},
                 {"target_connection_id": way.connection, "target_bucket": "copy", "mode": "some"}):
        admin(way.source, "PUT", "/rules/orig", body, status=400)
    admin(way.source, "GET", "/rules/nobody", status=404)
    for endpoint in ("ftp://x", "http://u:p@x", "nothing", "http://169.254.169.254"):
        body = {"name": "n", "endpoint_url": endpoint, "access_key": "a", "secret_key": "s"}
        got = signed(way.source, "POST", "/_myfsio/replication/connections", json.dumps(body).encode())
        assert got[0] == 400, (endpoint, got)
    admin(way.source, "DELETE", "/rules/orig")
    admin(way.source, "DELETE", f"/connections/{way.connection}")
    entries = json.loads(signed(way.source, "GET", "/_myfsio/audit?limit=100")[2])["entries"]
    told = json.dumps(entries)
    for action in ("connection", "replication"):
        assert action in told.lower()
    assert way.key[1] not in told


def test_deleting_the_bucket_ends_its_rule_and_queue(way):
    way = way().buckets()
    way.link.down = True
    way.a.put_object(Bucket="orig", Key="k", Body=b"1")
    way.a.delete_object(Bucket="orig", Key="k")
    way.a.delete_bucket(Bucket="orig")
    admin(way.source, "GET", "/rules/orig", status=404)
    assert "orig" not in json.loads((way.source.root / ".myfsio.sys/config/replication_rules.json").read_text())
    way.a.create_bucket(Bucket="orig")
    way.link.down = False
    way.a.put_object(Bucket="orig", Key="again", Body=b"1")
    time.sleep(1)
    assert "Contents" not in way.b.list_objects_v2(Bucket="copy"), "a new bucket of the name is another one"


def test_compare_finds_what_differs_and_repairs_it(way):
    way = way().buckets()
    for n in range(30):
        way.a.put_object(Bucket="orig", Key=f"k{n:02}", Body=b"%d" % n)
    way.quiet()
    way.b.delete_object(Bucket="copy", Key="k03")
    way.b.put_object(Bucket="copy", Key="k05", Body=b"other")
    way.b.put_object(Bucket="copy", Key="extra", Body=b"there")
    admin(way.source, "POST", "/rules/orig/compare")
    report = wait_until("the report", lambda: (r := admin(way.source, "GET", "/rules/orig/compare"))["state"] == "done" and r)
    assert (report["missing"], report["different"], report["extra"]) == (1, 1, 1), report
    found = {(sample["difference"], sample["key"]) for sample in report["samples"]}
    assert found == {("missing", "k03"), ("different", "k05"), ("extra", "extra")}


def test_compare_finds_what_differs_beside_the_bytes(way):
    way = way().buckets(versions=True)
    tags = lambda **tags: {"TagSet": [{"Key": key, "Value": value} for key, value in tags.items()]}
    for n in range(3):
        way.a.put_object(Bucket="orig", Key=f"k{n}", Body=b"1", Tagging="a=1&b=2")
    way.quiet()
    way.b.put_object_tagging(Bucket="copy", Key="k1", Tagging=tags(a="1", b="other"))
    way.b.put_object_tagging(Bucket="copy", Key="k2", Tagging=tags(b="2", a="1"))
    admin(way.source, "POST", "/rules/orig/compare")
    report = wait_until("the report", lambda: (r := admin(way.source, "GET", "/rules/orig/compare"))["state"] == "done" and r)
    assert [(sample["difference"], sample["key"]) for sample in report["samples"]] == [("different", "k1")], report
    # Who does not replicate is told nothing of it.
    status_, _, body = signed(way.target, "GET", "/copy?versions", headers={"user-agent": "S3ReplicationAgent/1"})
    assert status_ == 200 and b"<Beside>" in body, "an administrator may"
    assert b"<Beside>" not in signed(way.target, "GET", "/copy?versions")[2]


def test_s3_operations_of_replication(way):
    way = way().buckets(versions=True)
    admin(way.source, "DELETE", "/rules/orig")
    with refused(404, "ReplicationConfigurationNotFoundError"):
        way.a.get_bucket_replication(Bucket="orig")
    rule = {"ID": "r", "Priority": 1, "Status": "Enabled", "Filter": {"Prefix": "logs/"}, "DeleteMarkerReplication": {"Status": "Disabled"},
            "Destination": {"Bucket": "arn:aws:s3:::copy"}}
    document = {"Role": "arn:aws:iam::123456789012:role/r", "Rules": [rule]}
    way.a.put_bucket_replication(Bucket="orig", ReplicationConfiguration=document)
    told = way.a.get_bucket_replication(Bucket="orig")["ReplicationConfiguration"]["Rules"]
    assert [(r["ID"], r["Priority"], r["Filter"], r["Status"]) for r in told] == [("r", 1, {"Prefix": "logs/"}, "Enabled")]
    way.a.put_object(Bucket="orig", Key="logs/1", Body=b"1")
    way.a.put_object(Bucket="orig", Key="other", Body=b"1")
    way.quiet()
    wait_until("it to arrive", lambda: way.b.list_objects_v2(Bucket="copy").get("KeyCount") == 1)
    assert replication_status(way.a, "orig", "other") is None
    way.a.delete_object(Bucket="orig", Key="logs/1")
    way.quiet()
    time.sleep(0.3)
    assert way.b.list_objects_v2(Bucket="copy")["KeyCount"] == 1, "delete markers were not to be replicated"
    for change, status_, code in (
            ({"Priority": None}, 400, "InvalidRequest"), ({"DeleteMarkerReplication": None}, 400, "InvalidRequest"),
            ({"Destination": {"Bucket": "arn:aws:s3:::"}}, 400, None), ({"Destination": {"Bucket": "nothing"}}, 400, None)):
        other = {name: value for name, value in {**rule, **change}.items() if value is not None}
        with refused(status_, *([code] if code else [])):
            way.a.put_bucket_replication(Bucket="orig", ReplicationConfiguration={**document, "Rules": [other]})
    two = [rule, {**rule, "ID": "s", "Priority": 2, "Destination": {"Bucket": "arn:aws:s3:::elsewhere"}}]
    with refused(501, "NotImplemented"):
        way.a.put_bucket_replication(Bucket="orig", ReplicationConfiguration={**document, "Rules": two})
    # The older form: no filter, no priority. It is told as it was sent, and can be sent back.
    older = [{"ID": name, "Prefix": f"{name}/", "Status": "Enabled", "Destination": rule["Destination"]} for name in ("one", "two")]
    for _ in range(2):
        way.a.put_bucket_replication(Bucket="orig", ReplicationConfiguration={**document, "Rules": older})
        told = way.a.get_bucket_replication(Bucket="orig")["ReplicationConfiguration"]["Rules"]
        assert told == older
        older = told
    # What was there before a rule was never sent by it.
    assert replication_status(way.a, "orig", "other") is None
    way.a.put_bucket_replication(Bucket="orig", ReplicationConfiguration={**document, "Rules": [{**rule, "Filter": {"Prefix": ""}}]})
    assert replication_status(way.a, "orig", "other") is None
    way.a.put_bucket_replication(Bucket="orig", ReplicationConfiguration=document)
    way.a.create_bucket(Bucket="plain")
    with refused(400, "InvalidRequest"):
        way.a.put_bucket_replication(Bucket="plain", ReplicationConfiguration=document)
    way.source.add_users({"access_key": "toggler", "secret_key": "toggler-secret", "display_name": "t",
                          "policies": [{"bucket": "orig", "actions": ["replication"]}]})
    toggler = way.source.client("toggler", "toggler-secret")
    toggler.put_bucket_replication(Bucket="orig", ReplicationConfiguration={**document, "Rules": [{**rule, "Status": "Disabled"}]})
    with refused(403, "AccessDenied"):
        toggler.put_bucket_replication(Bucket="orig", ReplicationConfiguration={**document, "Rules": [{**rule, "Filter": {"Prefix": "x"}}]})
    with refused(403, "AccessDenied"):
        toggler.delete_bucket_replication(Bucket="orig")
    way.a.delete_bucket_replication(Bucket="orig")
    with refused(404, "ReplicationConfigurationNotFoundError"):
        way.a.get_bucket_replication(Bucket="orig")


ORIGIN = {"x-myfsio-origin": "00000000000000ab", "x-myfsio-clock": "1700000000000000000"}


def test_headers_of_replication_need_their_permission_and_signature(way):
    way = way()
    way.b.create_bucket(Bucket="copy")
    plain = add_target_user(way.target, "writer", "copy", ("write", "read", "list", "delete"))
    who = {"access": plain[0], "secret": plain[1]}
    chosen = {**ORIGIN, "x-myfsio-last-modified": "1700000000000000000", "x-amz-content-sha256": "UNSIGNED-PAYLOAD"}
    got = signed(way.target, "PUT", "/copy/k", b"x", chosen, **who)
    assert got[0] == 403 and code_of(got[2]) == "AccessDenied"
    got = signed(way.target, "PUT", "/copy/k", b"x", ORIGIN, **who)
    assert got[0] == 200 and got[1]["x-myfsio-applied"] == "applied"
    got = signed(way.target, "PUT", "/copy/k", b"x", ORIGIN, **who)
    assert got[0] == 200 and got[1]["x-myfsio-applied"] == "known", "twice is once"
    got = signed(way.target, "PUT", "/copy/agent", b"x", {"user-agent": "S3ReplicationAgent/1"}, **who)
    assert got[0] == 200 and "x-myfsio-applied" not in got[1], "the user agent alone changes nothing"
    got = signed(way.target, "PUT", "/copy/k", b"x", {**ORIGIN, "x-myfsio-clock": str(2**63 + 1)}, **who)
    assert got[0] == 400 and code_of(got[2]) == "InvalidArgument"
    got = signed(way.target, "PUT", "/copy/m", b"x", chosen, access=way.key[0], secret=way.key[1])
    assert got[0] == 200, got
    assert way.b.head_object(Bucket="copy", Key="m")["LastModified"].timestamp() == 1_700_000_000
    chosen.pop("x-amz-content-sha256")
    got = signed(way.target, "PUT", "/copy/unsigned", b"x", unsigned=chosen, **who)
    assert got[0] == 200 and "x-myfsio-applied" not in got[1], "what is not signed is not there"
    pair = {"X-Access-Key": plain[0], "X-Secret-Key": plain[1], **chosen}
    got = send(way.target.endpoint, "PUT", "/copy/pair", b"x", pair)
    assert got[0] == 403 and code_of(got[2]) == "AccessDenied", "whoever sends the secret has written the rest of the request, too"


def test_the_handshake(way):
    way = way()
    way.b.create_bucket(Bucket="copy")
    way.b.create_bucket(Bucket="hidden")
    ask = lambda bucket, **who: signed(way.target, "GET", f"/_myfsio/replication/peer?bucket={bucket}", **who)
    who = {"access": way.key[0], "secret": way.key[1]}
    answer = json.loads(ask("copy", **who)[2])
    assert len(answer["node_id"]) == 16 and answer["bucket"]["exists"] and answer["rights"] == {
        "read": True, "write": True, "delete": True, "replicate": True}
    hidden, missing = (json.loads(ask(b, **who)[2]) for b in ("hidden", "missing"))
    assert hidden["bucket"] == missing["bucket"] and not any(hidden["rights"].values())
    assert send(way.target.endpoint, "GET", "/_myfsio/replication/peer?bucket=copy")[0] == 403


def test_commands(way):
    way = way()
    way.buckets()
    admin(way.source, "DELETE", "/rules/orig")
    admin(way.source, "DELETE", f"/connections/{way.connection}")

    def run(*words, **more):
        env = {"STORAGE_ROOT": str(way.source.root), "HOME": str(way.source.cwd), "PATH": os.environ["PATH"]}
        done = subprocess.run([BINARY, "replication", *words], env=env, capture_output=True, text=True, timeout=60, **more)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("connect", "--name", "Secondary Site", "--endpoint", way.link.endpoint, "--access-key", way.key[0], input=way.key[1])
    assert "Secondary Site" in run("connections") and way.key[1] not in run("connections", "--json")
    assert run("test", "Secondary Site", "--bucket", "copy").startswith("ok")
    run("start", "orig", "--connection", "Secondary Site", "--target-bucket", "copy")
    way.a.put_object(Bucket="orig", Key="k", Body=b"1")
    wait_until("it to arrive", lambda: way.b.list_objects_v2(Bucket="copy").get("KeyCount") == 1)
    assert "ACTIVE" in run("status") and "PAUSED" in run("pause", "orig") and "ACTIVE" in run("resume", "orig")
    assert run("compare", "orig").startswith("done: 1 compared, 0 missing") and run("failures", "orig") == "" and run("conflicts", "orig") == ""
    run("stop", "orig")
    run("disconnect", "Secondary Site")
    assert run("status") == run("connections") == ""
