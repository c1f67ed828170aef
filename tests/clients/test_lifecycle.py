"""Lifecycle: rules as they are taken and told, what they say of objects, and what they remove; with days of one second."""

import datetime
import email.utils
import json
import re
import time

import pytest

from util import crc32, refused, signed

DAYS = {"Expiration": {"Days": 1}}


def rules(*rules):
    return {"Rules": [{"Status": "Enabled", **rule} for rule in rules]}


def put_rules(s3, bucket, *given):
    return s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration=rules(*given))


def get_rules(s3, bucket):
    return s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]


def keys(s3, bucket):
    return [item["Key"] for item in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]


def versions(s3, bucket):
    page = s3.list_object_versions(Bucket=bucket)
    return len(page.get("Versions", [])), len(page.get("DeleteMarkers", []))


def until(look, expected, seconds=15):
    """Waits until `look` answers what is expected."""
    end = time.monotonic() + seconds
    while (seen := look()) != expected:
        assert time.monotonic() < end, f"{seen}, not {expected}"
        time.sleep(0.1)


@pytest.fixture
def fast(node_factory):
    """A node whose days have one second."""
    return node_factory(LIFECYCLE_DAY_SECONDS=1, MULTIPART_MIN_PART_SIZE=1)


def bucket_of(node, name="aging", versioned=False):
    s3 = node.client()
    s3.create_bucket(Bucket=name)
    if versioned:
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return s3, name


def test_rules_come_back_as_they_were_given(s3, bucket):
    with refused(404, "NoSuchLifecycleConfiguration"):
        get_rules(s3, bucket)
    assert s3.delete_bucket_lifecycle(Bucket=bucket)["ResponseMetadata"]["HTTPStatusCode"] == 204
    midnight = datetime.datetime(2030, 1, 1, tzinfo=datetime.timezone.utc)
    tags = [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": ""}]
    given = [
        {"ID": "days", "Filter": {}, "Status": "Enabled", **DAYS},
        {"ID": "date", "Filter": {"Prefix": "a&b/"}, "Status": "Disabled", "Expiration": {"Date": midnight}},
        {"ID": "tag", "Filter": {"Tag": tags[0]}, "Status": "Enabled", **DAYS},
        {"ID": "size", "Filter": {"ObjectSizeGreaterThan": 0}, "Status": "Enabled", **DAYS},
        {"ID": "and", "Filter": {"And": {"Prefix": "", "Tags": tags, "ObjectSizeLessThan": 9}}, "Status": "Enabled", **DAYS},
        {"ID": "rest", "Filter": {"Prefix": ""}, "Status": "Enabled", "Expiration": {"ExpiredObjectDeleteMarker": True},
         "NoncurrentVersionExpiration": {"NoncurrentDays": 3, "NewerNoncurrentVersions": 100},
         "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}},
    ]
    put_rules(s3, bucket, *given)
    assert get_rules(s3, bucket) == given
    legacy = [{"ID": "old", "Prefix": "x/", "Status": "Enabled", **DAYS}]
    put_rules(s3, bucket, *legacy)
    assert get_rules(s3, bucket) == legacy
    put_rules(s3, bucket, {"Filter": {}, **DAYS}, {"Filter": {"Prefix": "a"}, **DAYS})
    ids = [rule["ID"] for rule in get_rules(s3, bucket)]
    assert len(set(ids)) == 2 and all(ids)
    # Several conditions side by side, as Ceph's clients send them, are those of an And.
    put_rules(s3, bucket, {"ID": "beside", "Filter": {"Prefix": "a", "Tag": tags[0]}, "Status": "Enabled", **DAYS})
    assert get_rules(s3, bucket)[0]["Filter"] == {"And": {"Prefix": "a", "Tags": tags[:1]}}
    s3.delete_bucket_lifecycle(Bucket=bucket)
    with refused(404, "NoSuchLifecycleConfiguration"):
        get_rules(s3, bucket)


def test_rules_that_make_no_sense_are_refused(s3, bucket):
    for rule, status, code in [
        ({"ID": "a" * 256, "Filter": {}, **DAYS}, 400, "InvalidArgument"),
        ({"Filter": {}, "Expiration": {"Days": 0}}, 400, "InvalidArgument"),
        ({"Filter": {}, "Status": "enabled", **DAYS}, 400, "MalformedXML"),
        ({"Filter": {}}, 400, "InvalidRequest"),
        ({"Filter": {"Prefix": "a", "And": {"Prefix": "a", "ObjectSizeLessThan": 3}}, **DAYS}, 400, "MalformedXML"),
        ({"Filter": {}, "Expiration": {"Date": "2017-09-27T12:00:00Z"}}, 400, "InvalidArgument"),
        ({"Filter": {}, "Transitions": [{"Days": 1, "StorageClass": "GLACIER"}]}, 501, "NotImplemented"),
    ]:
        with refused(status, code):
            put_rules(s3, bucket, rule)
    with refused(400, "InvalidArgument"):
        put_rules(s3, bucket, {"ID": "x", "Filter": {}, **DAYS}, {"ID": "x", "Filter": {"Prefix": "a"}, **DAYS})
    with refused(400, "InvalidRequest"):
        put_rules(s3, bucket, {"Prefix": "", **DAYS}, {"Filter": {"Prefix": "a"}, **DAYS})
    with refused(404, "NoSuchLifecycleConfiguration"):
        get_rules(s3, bucket)


def test_the_document_needs_a_digest(server, s3, bucket):
    body = b"<LifecycleConfiguration><Rule><Filter/><Status>Enabled</Status><Expiration><Days>1</Days></Expiration></Rule></LifecycleConfiguration>"
    status, _, answer = signed(server, "PUT", f"/{bucket}?lifecycle", body)
    assert status == 400 and b"<Code>InvalidRequest</Code>" in answer, answer
    status, headers, _ = signed(server, "PUT", f"/{bucket}?lifecycle", body, {
        "x-amz-checksum-algorithm": "CRC32", "x-amz-checksum-crc32": crc32(body),
        "x-amz-transition-default-minimum-object-size": "varies_by_storage_class",
    })
    assert status == 200 and headers["x-amz-transition-default-minimum-object-size"] == "varies_by_storage_class"
    told = s3.get_bucket_lifecycle_configuration(Bucket=bucket)
    assert told["TransitionDefaultMinimumObjectSize"] == "varies_by_storage_class"


def expiry(response):
    told = response["ResponseMetadata"]["HTTPHeaders"].get("x-amz-expiration")
    if told is None:
        return None
    date, rule = re.fullmatch(r'expiry-date="([^"]+)", rule-id="([^"]+)"', told).groups()
    return email.utils.parsedate_to_datetime(date), rule


def test_objects_tell_when_they_expire(s3, bucket):
    put_rules(
        s3, bucket,
        {"ID": "some rule", "Filter": {"Prefix": "logs/"}, "Expiration": {"Days": 3}},
        {"ID": "soon", "Filter": {"Tag": {"Key": "a", "Value": "1"}}, **DAYS},
        {"ID": "parts", "Filter": {"Prefix": "logs/"}, "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 2}},
    )
    today = datetime.datetime.now(datetime.timezone.utc).replace(hour=0, minute=0, second=0, microsecond=0)
    in_days = lambda days: today + datetime.timedelta(days=days)
    third = (in_days(4), "some%20rule")
    assert expiry(s3.put_object(Bucket=bucket, Key="logs/a", Body=b"x")) == third
    assert expiry(s3.head_object(Bucket=bucket, Key="logs/a")) == third
    assert expiry(s3.get_object(Bucket=bucket, Key="logs/a")) == third
    assert expiry(s3.put_object(Bucket=bucket, Key="other", Body=b"x")) is None
    assert expiry(s3.head_object(Bucket=bucket, Key="other")) is None
    assert expiry(s3.copy_object(Bucket=bucket, Key="logs/b", CopySource=f"{bucket}/other")) == third
    assert expiry(s3.put_object(Bucket=bucket, Key="logs/c", Body=b"x", Tagging="a=1")) == (in_days(2), "soon")
    upload = s3.create_multipart_upload(Bucket=bucket, Key="logs/d")
    assert upload["AbortRuleId"] == "parts" and upload["AbortDate"] == in_days(3)
    part = s3.upload_part(Bucket=bucket, Key="logs/d", UploadId=upload["UploadId"], PartNumber=1, Body=b"x")
    listed = s3.list_parts(Bucket=bucket, Key="logs/d", UploadId=upload["UploadId"])
    assert listed["AbortRuleId"] == "parts"
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    done = s3.complete_multipart_upload(Bucket=bucket, Key="logs/d", UploadId=upload["UploadId"], MultipartUpload=parts)
    assert expiry(done) == third


def test_objects_expire(fast):
    s3, bucket = bucket_of(fast)
    for key in ["logs/a", "logs/b", "keep", "big"]:
        s3.put_object(Bucket=bucket, Key=key, Body=b"x" * (50 if key == "big" else 5))
    s3.put_object(Bucket=bucket, Key="tagged", Body=b"x", Tagging="a=1&b=2")
    s3.put_object(Bucket=bucket, Key="tagged otherwise", Body=b"x", Tagging="a=2")
    put_rules(
        s3, bucket,
        {"ID": "logs", "Filter": {"Prefix": "logs/"}, **DAYS},
        {"ID": "tag", "Filter": {"Tag": {"Key": "a", "Value": "1"}}, **DAYS},
        {"ID": "size", "Filter": {"ObjectSizeGreaterThan": 49}, **DAYS},
        {"ID": "off", "Filter": {}, "Status": "Disabled", **DAYS},
        {"ID": "past", "Filter": {"Prefix": "past"}, "Expiration": {"Date": "2015-01-01"}},
    )
    until(lambda: keys(s3, bucket), ["keep", "tagged otherwise"])
    # What comes later expires too; what is written again begins anew.
    s3.put_object(Bucket=bucket, Key="logs/c", Body=b"x")
    s3.put_object(Bucket=bucket, Key="past", Body=b"x")
    until(lambda: keys(s3, bucket), ["keep", "tagged otherwise"])
    s3.delete_bucket_lifecycle(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="logs/d", Body=b"x")
    time.sleep(3)
    assert "logs/d" in keys(s3, bucket)


def test_versions_markers_and_uploads_expire(fast):
    s3, bucket = bucket_of(fast, versioned=True)
    for number in range(4):
        s3.put_object(Bucket=bucket, Key="many", Body=b"x" * number)
    put_rules(s3, bucket, {"ID": "n", "Filter": {}, "NoncurrentVersionExpiration": {"NoncurrentDays": 1, "NewerNoncurrentVersions": 2}})
    until(lambda: versions(s3, bucket), (3, 0))
    put_rules(s3, bucket, {"ID": "n", "Filter": {}, "NoncurrentVersionExpiration": {"NoncurrentDays": 1}})
    until(lambda: versions(s3, bucket), (1, 0))
    # A current object is hidden; then what it was goes, then the marker.
    put_rules(s3, bucket, {"ID": "c", "Filter": {}, **DAYS})
    until(lambda: versions(s3, bucket), (1, 1))
    put_rules(s3, bucket, {"ID": "m", "Filter": {}, "Expiration": {"ExpiredObjectDeleteMarker": True}})
    time.sleep(2)
    assert versions(s3, bucket) == (1, 1), "the marker is not alone"
    put_rules(
        s3, bucket,
        {"ID": "m", "Filter": {}, "Expiration": {"ExpiredObjectDeleteMarker": True},
         "NoncurrentVersionExpiration": {"NoncurrentDays": 1}},
    )
    until(lambda: versions(s3, bucket), (0, 0))
    for key in ["logs/a", "other"]:
        s3.create_multipart_upload(Bucket=bucket, Key=key)
    put_rules(s3, bucket, {"ID": "u", "Filter": {"Prefix": "logs/"}, "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}})
    uploads = lambda: [upload["Key"] for upload in s3.list_multipart_uploads(Bucket=bucket).get("Uploads", [])]
    until(uploads, ["other"])


def test_locked_versions_stay(fast):
    s3 = fast.client()
    s3.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)
    held = s3.put_object(Bucket="locked", Key="held", Body=b"x")["VersionId"]
    s3.put_object_legal_hold(Bucket="locked", Key="held", VersionId=held, LegalHold={"Status": "ON"})
    s3.put_object(Bucket="locked", Key="free", Body=b"x")
    for key in ["held", "free"]:
        s3.put_object(Bucket="locked", Key=key, Body=b"y")
    put_rules(s3, "locked", {"ID": "n", "Filter": {}, "NoncurrentVersionExpiration": {"NoncurrentDays": 1}})
    until(lambda: versions(s3, "locked"), (3, 0))
    time.sleep(2)
    assert versions(s3, "locked") == (3, 0)
    s3.put_object_legal_hold(Bucket="locked", Key="held", VersionId=held, LegalHold={"Status": "OFF"})
    until(lambda: versions(s3, "locked"), (2, 0))


def report(node, bucket, **who):
    status, _, body = signed(node, "GET", f"/_myfsio/buckets/{bucket}/lifecycle", **who)
    return status, json.loads(body)


def preview(node, bucket, draft=b"", **who):
    status, _, body = signed(node, "POST", f"/_myfsio/buckets/{bucket}/lifecycle/preview", draft, **who)
    return status, json.loads(body)


def test_runs_are_reported_and_survive_a_restart(fast):
    s3, bucket = bucket_of(fast)
    for number in range(250):
        s3.put_object(Bucket=bucket, Key=f"{number}", Body=b"12345")
    put_rules(s3, bucket, {"ID": "all", "Filter": {}, **DAYS})
    until(lambda: keys(s3, bucket), [])
    until(lambda: sum(run["objects"] for run in report(fast, bucket)[1]["runs"]), 250)
    status, told = report(fast, bucket)
    assert status == 200 and told["indexed"] and told["rules"][0]["ID"] == "all" and told["looks_next"]
    assert sum(run["bytes"] for run in told["runs"]) == 1250
    s3.put_object(Bucket=bucket, Key="later", Body=b"x")
    fast.kill()
    fast.start()
    s3 = fast.client()
    until(lambda: keys(s3, bucket), [])
    until(lambda: sum(run["objects"] for run in report(fast, bucket)[1]["runs"]), 251)


def test_a_preview_removes_nothing(local_node, s3, bucket):
    for key in ["logs/a", "logs/b", "other"]:
        s3.put_object(Bucket=bucket, Key=key, Body=b"12345")
    status, told = preview(local_node, bucket)
    assert status == 404 and told["error"]["code"] == "NoSuchLifecycleConfiguration"
    draft = {"Rules": [{"ID": "soon", "Status": "Enabled", "Filter": {"Prefix": "logs/"}, "Expiration": {"Days": 10}},
                       {"ID": "never", "Status": "Enabled", "Filter": {}, "Expiration": {"Days": 900}}]}
    status, told = preview(local_node, bucket, json.dumps(draft).encode())
    assert status == 200 and told["now"]["count"] == 0
    later = told["next_30_days"]
    assert (later["count"], later["bytes"], later["objects"]) == (2, 10, 2)
    assert [(item["key"], item["rule"], item["size"]) for item in later["sample"]] == [("logs/a", "soon", 5), ("logs/b", "soon", 5)]
    past = b"<LifecycleConfiguration><Rule><Filter/><Status>Enabled</Status><Expiration><Date>2015-01-01</Date></Expiration></Rule></LifecycleConfiguration>"
    status, told = preview(local_node, bucket, past)
    assert status == 200 and told["now"]["count"] + told["next_30_days"]["count"] == 3
    # The same by times, once the bucket keeps them; without a body it is about the bucket's own rules.
    s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration=draft)
    until(lambda: report(local_node, bucket)[1]["indexed"], True)
    assert preview(local_node, bucket)[1]["next_30_days"] == later
    status, told = preview(local_node, bucket, b"<LifecycleConfiguration/>")
    assert status == 400 and told["error"]["code"] == "MalformedXML"
    assert len(keys(s3, bucket)) == 3


def test_who_may_look(node_factory):
    node = node_factory()
    node.add_users(*(
        {"access_key": f"{name}key", "secret_key": f"{name}secret123", "display_name": name,
         "policies": [{"bucket": "shared", "actions": actions}]}
        for name, actions in {"look": ["lifecycle"], "read": ["read", "list"]}.items()
    ))
    node.client().create_bucket(Bucket="shared")
    may = {"access": "lookkey", "secret": "looksecret123"}
    may_not = {"access": "readkey", "secret": "readsecret123"}
    assert report(node, "shared", **may)[0] == 200
    assert report(node, "shared", **may_not)[0] == 403
    assert preview(node, "shared", **may_not)[0] == 403
    # The names of what is there are for those who may list it.
    node.client().put_object(Bucket="shared", Key="secret", Body=b"x")
    draft = b'{"Rules": [{"Status": "Enabled", "Filter": {}, "Expiration": {"Days": 1}}]}'
    status, told = preview(node, "shared", draft, **may)
    assert status == 200 and told["next_30_days"]["count"] == 1 and "sample" not in told["next_30_days"]
    assert preview(node, "shared", draft)[1]["next_30_days"]["sample"][0]["key"] == "secret"
