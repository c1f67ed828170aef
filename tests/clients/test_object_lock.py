"""Object Lock, through boto3."""

import datetime
import hashlib
import json

import pytest
from util import b64, code_of, refused, signed

NOW = datetime.datetime.now(datetime.timezone.utc)
LATER = (NOW + datetime.timedelta(days=2)).replace(microsecond=0)
MUCH_LATER = LATER + datetime.timedelta(days=2)


@pytest.fixture
def lockable(s3, bucket_name):
    s3.create_bucket(Bucket=bucket_name, ObjectLockEnabledForBucket=True)
    yield bucket_name
    # Whatever a test left locked under governance is removed; compliance is not used without need.
    for kind in ("Versions", "DeleteMarkers"):
        for e in s3.list_object_versions(Bucket=bucket_name).get(kind, []):
            s3.delete_object(Bucket=bucket_name, Key=e["Key"], VersionId=e["VersionId"], BypassGovernanceRetention=True)


def lock(s3, bucket, key="k", mode="GOVERNANCE", until=LATER, **extra):
    return s3.put_object(
        Bucket=bucket, Key=key, Body=b"1", ObjectLockMode=mode, ObjectLockRetainUntilDate=until, **extra)["VersionId"]


def test_configuration(s3, lockable):
    assert s3.get_bucket_versioning(Bucket=lockable)["Status"] == "Enabled"
    assert s3.get_object_lock_configuration(Bucket=lockable)["ObjectLockConfiguration"] == {"ObjectLockEnabled": "Enabled"}
    rule = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}
    wanted = {"ObjectLockEnabled": "Enabled", "Rule": rule}
    s3.put_object_lock_configuration(Bucket=lockable, ObjectLockConfiguration=wanted)
    assert s3.get_object_lock_configuration(Bucket=lockable)["ObjectLockConfiguration"] == wanted
    s3.put_object(Bucket=lockable, Key="k", Body=b"1")
    head = s3.head_object(Bucket=lockable, Key="k")
    assert head["ObjectLockMode"] == "GOVERNANCE"
    assert abs(head["ObjectLockRetainUntilDate"] - NOW - datetime.timedelta(days=1)) < datetime.timedelta(hours=1)
    with refused(409, "InvalidBucketState"):
        s3.put_bucket_versioning(Bucket=lockable, VersioningConfiguration={"Status": "Suspended"})


def test_buckets_without_lock(s3, bucket):
    with refused(404, "ObjectLockConfigurationNotFoundError"):
        s3.get_object_lock_configuration(Bucket=bucket)
    enabled = {"ObjectLockEnabled": "Enabled"}
    with refused(409, "InvalidBucketState"):
        s3.put_object_lock_configuration(Bucket=bucket, ObjectLockConfiguration=enabled)
    s3.put_object(Bucket=bucket, Key="k", Body=b"1")
    with refused(400, "InvalidRequest"):
        lock(s3, bucket)
    with refused(400, "InvalidRequest"):
        s3.put_object_legal_hold(Bucket=bucket, Key="k", LegalHold={"Status": "ON"})
    with refused(400, "InvalidRequest"):
        s3.get_object_retention(Bucket=bucket, Key="k")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object_lock_configuration(Bucket=bucket, ObjectLockConfiguration=enabled)
    assert s3.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"] == enabled


def test_governance_holds_until_bypassed(s3, lockable):
    version = lock(s3, lockable)
    assert s3.get_object_retention(Bucket=lockable, Key="k")["Retention"] == {"Mode": "GOVERNANCE", "RetainUntilDate": LATER}
    with refused(403, "AccessDenied"):
        s3.delete_object(Bucket=lockable, Key="k", VersionId=version)
    errors = s3.delete_objects(Bucket=lockable, Delete={"Objects": [{"Key": "k", "VersionId": version}]})["Errors"]
    assert errors[0]["Code"] == "AccessDenied"
    # A marker on top deletes nothing.
    marker = s3.delete_object(Bucket=lockable, Key="k")["VersionId"]
    s3.delete_object(Bucket=lockable, Key="k", VersionId=marker)
    shorter = {"Mode": "GOVERNANCE", "RetainUntilDate": LATER - datetime.timedelta(hours=1)}
    with refused(403, "AccessDenied"):
        s3.put_object_retention(Bucket=lockable, Key="k", Retention=shorter)
    s3.put_object_retention(Bucket=lockable, Key="k", Retention={"Mode": "GOVERNANCE", "RetainUntilDate": MUCH_LATER})
    s3.put_object_retention(Bucket=lockable, Key="k", Retention=shorter, BypassGovernanceRetention=True)
    s3.delete_object(Bucket=lockable, Key="k", VersionId=version, BypassGovernanceRetention=True)
    with refused(404, "NoSuchVersion"):
        s3.get_object(Bucket=lockable, Key="k", VersionId=version)


def test_compliance_cannot_be_lifted(s3, lockable):
    soon = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=3)
    version = lock(s3, lockable, mode="COMPLIANCE", until=soon)
    for _ in range(2):
        with refused(403, "AccessDenied"):
            s3.delete_object(Bucket=lockable, Key="k", VersionId=version, BypassGovernanceRetention=True)
    with refused(403, "AccessDenied"):
        s3.put_object_retention(Bucket=lockable, Key="k", BypassGovernanceRetention=True,
                                Retention={"Mode": "GOVERNANCE", "RetainUntilDate": LATER})
    import time
    time.sleep(3.5)
    s3.delete_object(Bucket=lockable, Key="k", VersionId=version)


def test_legal_hold(s3, lockable):
    version = s3.put_object(Bucket=lockable, Key="k", Body=b"1", ObjectLockLegalHoldStatus="ON")["VersionId"]
    assert s3.head_object(Bucket=lockable, Key="k")["ObjectLockLegalHoldStatus"] == "ON"
    with refused(403, "AccessDenied"):
        s3.delete_object(Bucket=lockable, Key="k", VersionId=version, BypassGovernanceRetention=True)
    s3.put_object_legal_hold(Bucket=lockable, Key="k", VersionId=version, LegalHold={"Status": "OFF"})
    assert s3.get_object_legal_hold(Bucket=lockable, Key="k")["LegalHold"] == {"Status": "OFF"}
    assert s3.head_object(Bucket=lockable, Key="k")["ObjectLockLegalHoldStatus"] == "OFF"
    s3.put_object(Bucket=lockable, Key="never", Body=b"1")
    with refused(404, "NoSuchObjectLockConfiguration"):
        s3.get_object_legal_hold(Bucket=lockable, Key="never")
    s3.delete_object(Bucket=lockable, Key="k", VersionId=version)


def test_malformed_requests(s3, lockable):
    s3.put_object(Bucket=lockable, Key="k", Body=b"1")
    with refused(404, "NoSuchObjectLockConfiguration"):
        s3.get_object_retention(Bucket=lockable, Key="k")
    past = {"Mode": "GOVERNANCE", "RetainUntilDate": NOW - datetime.timedelta(days=1)}
    with refused(400, "InvalidArgument"):
        s3.put_object_retention(Bucket=lockable, Key="k", Retention=past)
    with refused(400, "MalformedXML"):
        s3.put_object_retention(Bucket=lockable, Key="k", Retention={"Mode": "ABC", "RetainUntilDate": LATER})
    with refused(400, "InvalidArgument"):
        s3.put_object(Bucket=lockable, Key="x", Body=b"1", ObjectLockMode="GOVERNANCE")
    for period in ({"Days": 0}, {"Years": -1}):
        rule = {"DefaultRetention": {"Mode": "GOVERNANCE", **period}}
        with refused(400, "InvalidRetentionPeriod"):
            s3.put_object_lock_configuration(
                Bucket=lockable, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule})


def test_uploads_and_copies_are_locked(s3, lockable):
    upload = s3.create_multipart_upload(
        Bucket=lockable, Key="m", ObjectLockMode="GOVERNANCE", ObjectLockRetainUntilDate=LATER)["UploadId"]
    part = s3.upload_part(Bucket=lockable, Key="m", UploadId=upload, PartNumber=1, Body=b"1")
    s3.complete_multipart_upload(
        Bucket=lockable, Key="m", UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]})
    assert s3.head_object(Bucket=lockable, Key="m")["ObjectLockRetainUntilDate"] == LATER
    s3.copy_object(Bucket=lockable, Key="c", CopySource={"Bucket": lockable, "Key": "m"}, ObjectLockLegalHoldStatus="ON")
    head = s3.head_object(Bucket=lockable, Key="c")
    assert head["ObjectLockLegalHoldStatus"] == "ON" and "ObjectLockMode" not in head
    s3.put_object_legal_hold(Bucket=lockable, Key="c", LegalHold={"Status": "OFF"})


def test_policies_see_the_lock_that_is_asked_for(s3, lockable):
    policy = {"Version": "2012-10-17", "Statement": [{
        "Effect": "Deny", "Principal": "*", "Action": ["s3:PutObjectRetention"], "Resource": f"arn:aws:s3:::{lockable}/*",
        "Condition": {"NumericGreaterThan": {"s3:object-lock-remaining-retention-days": "10"}}}]}
    s3.put_bucket_policy(Bucket=lockable, Policy=json.dumps(policy))
    s3.put_object(Bucket=lockable, Key="k", Body=b"1")
    long = {"Mode": "GOVERNANCE", "RetainUntilDate": NOW + datetime.timedelta(days=100)}
    with refused(403, "AccessDenied"):
        s3.put_object_retention(Bucket=lockable, Key="k", Retention=long)
    with refused(403, "AccessDenied"):
        lock(s3, lockable, until=NOW + datetime.timedelta(days=100))
    s3.put_object_retention(Bucket=lockable, Key="k", Retention={"Mode": "GOVERNANCE", "RetainUntilDate": LATER})
    lock(s3, lockable)


def send_lock(server, target, document):
    body = document.encode()
    return signed(server, "PUT", target, body, {"Content-MD5": b64(hashlib.md5(body).digest())})


def test_dates_are_told_to_the_end_of_the_calendar(server, s3, lockable):
    for date in ("2554-07-22T00:00:00", "2999-01-01T00:00:00", "9999-12-31T23:59:59"):
        version = s3.put_object(Bucket=lockable, Key="k", Body=b"")["VersionId"]
        target = f"/{lockable}/k?retention&versionId={version}"
        document = f"<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>{date}Z</RetainUntilDate></Retention>"
        assert send_lock(server, target, document)[0] == 200
        assert f"<RetainUntilDate>{date}.000Z<".encode() in signed(server, "GET", target)[2]
        told = signed(server, "HEAD", f"/{lockable}/k")[1]
        assert told["x-amz-object-lock-retain-until-date"] == f"{date}.000Z"


def test_documents_that_contradict_themselves_are_refused(server, s3, lockable):
    rule = "<Rule><DefaultRetention><Mode>GOVERNANCE</Mode><Days>{}</Days></DefaultRetention></Rule>"
    document = "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled>{}</ObjectLockConfiguration>"
    s3.put_object(Bucket=lockable, Key="k", Body=b"")
    until = "<RetainUntilDate>2099-01-01T00:00:00Z</RetainUntilDate>"
    for target, body in (
        (f"/{lockable}?object-lock", document.format(rule.format(1) + rule.format(2))),
        (f"/{lockable}?object-lock", document.format(rule.format("1</Days><Days>2"))),
        (f"/{lockable}/k?retention", f"<Retention><Mode>GOVERNANCE</Mode><Mode>COMPLIANCE</Mode>{until}</Retention>"),
        (f"/{lockable}?versioning", "<VersioningConfiguration><Status>Enabled</Status><Status>Enabled</Status></VersioningConfiguration>"),
    ):
        status, _, answer = send_lock(server, target, body)
        assert (status, code_of(answer)) == (400, "MalformedXML"), body
    assert "Rule" not in s3.get_object_lock_configuration(Bucket=lockable)["ObjectLockConfiguration"]


def test_holds_that_end_with_an_event_are_never_taken_and_forgotten(server, s3, lockable):
    held = {"x-amz-object-lock-event-hold": "ON"}
    s3.put_object(Bucket=lockable, Key="source", Body=b"")
    for headers in (held, {**held, "x-amz-object-lock-event-hold-duration-days": "10"}, {"x-amz-object-lock-of-tomorrow": "x"}):
        for method, target, more in (
            ("PUT", f"/{lockable}/k", {}), ("PUT", f"/{lockable}/k", {"x-amz-copy-source": f"/{lockable}/source"}), ("POST", f"/{lockable}/k?uploads", {}),
        ):
            status, _, body = signed(server, method, target, headers={**headers, **more})
            assert (status, code_of(body)) == (501, "NotImplemented"), (headers, target, more)
    document = "<Retention><EventHold>ON</EventHold><EventHoldDuration><Days>1</Days></EventHoldDuration></Retention>"
    status, _, body = send_lock(server, f"/{lockable}/source?retention", document)
    assert (status, code_of(body)) == (501, "NotImplemented")
    assert s3.list_objects_v2(Bucket=lockable)["KeyCount"] == 1
