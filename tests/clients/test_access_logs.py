"""Server access logging: the document, and log objects that are really delivered."""

import json
import re
import time

import pytest
from util import refused, send

# The fields of S3's server access log format, in its order.
FIELDS = (
    "owner bucket time remote requester request_id operation key uri status error bytes_sent object_size total_time "
    "turn_around referer agent version_id host_id signature cipher auth_type host tls access_point acl_required"
).split()
FIELD = re.compile(r'\[[^\]]*\]|"[^"]*"|\S+')


@pytest.fixture
def logged(node_factory):
    node = node_factory(ACCESS_LOG_SECONDS=1)
    s3 = node.client()
    for bucket in ("source", "logs"):
        s3.create_bucket(Bucket=bucket)
    allow(s3)
    return node


def allow(s3, source="source", prefix="", effect="Allow"):
    statement = {
        "Effect": effect, "Principal": {"Service": "logging.s3.amazonaws.com"}, "Action": "s3:PutObject",
        "Resource": f"arn:aws:s3:::logs/{prefix}*", "Condition": {"ArnLike": {"aws:SourceArn": f"arn:aws:s3:::{source}"}},
    }
    s3.put_bucket_policy(Bucket="logs", Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))


def log_to(s3, bucket="source", target="logs", prefix="log/", **more):
    enabled = {"TargetBucket": target, "TargetPrefix": prefix, **more}
    s3.put_bucket_logging(Bucket=bucket, BucketLoggingStatus={"LoggingEnabled": enabled})


def lines_of(s3, prefix="log/"):
    found = []
    for item in s3.list_objects_v2(Bucket="logs", Prefix=prefix).get("Contents", []):
        body = s3.get_object(Bucket="logs", Key=item["Key"])["Body"].read().decode()
        assert body.endswith("\n")
        for line in body.splitlines():
            fields = FIELD.findall(line)
            assert len(fields) == len(FIELDS), line
            found.append(dict(zip(FIELDS, fields)))
    return found


def wait_for_lines(s3, count, prefix="log/"):
    end = time.monotonic() + 15
    while True:
        lines = lines_of(s3, prefix)
        if len(lines) >= count:
            return lines
        assert time.monotonic() < end, f"{len(lines)} of {count} lines: {lines}"
        time.sleep(0.2)


def test_the_document(logged):
    s3 = logged.client()
    assert "LoggingEnabled" not in s3.get_bucket_logging(Bucket="source")
    owner = s3.list_buckets()["Owner"]["ID"]
    grants = [
        {"Grantee": {"Type": "Group", "URI": "http://acs.amazonaws.com/groups/global/AllUsers"}, "Permission": "READ"},
        {"Grantee": {"Type": "CanonicalUser", "ID": owner}, "Permission": "READ"},
    ]
    key_format = {"PartitionedPrefix": {"PartitionDateSource": "EventTime"}}
    log_to(s3, TargetGrants=grants, TargetObjectKeyFormat=key_format)
    enabled = s3.get_bucket_logging(Bucket="source")["LoggingEnabled"]
    assert enabled == {"TargetBucket": "logs", "TargetPrefix": "log/", "TargetGrants": grants, "TargetObjectKeyFormat": key_format}
    s3.put_bucket_logging(Bucket="source", BucketLoggingStatus={})
    assert "LoggingEnabled" not in s3.get_bucket_logging(Bucket="source")


def test_the_target_is_checked(logged):
    s3 = logged.client()
    with refused(400, "InvalidTargetBucketForLogging"):
        log_to(s3, target="no-such-bucket-here")
    logged.add_users({"access_key": "other", "secret_key": "secret", "display_name": "other", "policies": []})
    logged.client("other", "secret").create_bucket(Bucket="foreign")
    with refused(400, "InvalidTargetBucketForLogging") as answer:
        log_to(s3, target="foreign")
    assert "same" in answer["Error"]["Message"]
    for refuse in (lambda: allow(s3, source="another"), lambda: allow(s3, prefix="else/"), lambda: allow(s3, effect="Deny"),
                   lambda: s3.delete_bucket_policy(Bucket="logs")):
        refuse()
        with refused(400, "InvalidTargetBucketForLogging") as answer:
            log_to(s3)
        assert answer["Error"]["Message"] == "You must give the log-delivery group WRITE and READ_ACP permissions to the target bucket"
    allow(s3, prefix="log/")
    log_to(s3)
    s3.delete_bucket_policy(Bucket="logs")
    s3.put_bucket_acl(Bucket="logs", ACL="log-delivery-write")
    log_to(s3)
    s3.put_bucket_ownership_controls(Bucket="logs", OwnershipControls={"Rules": [{"ObjectOwnership": "BucketOwnerPreferred"}]})
    with refused(400, "InvalidArgument"):
        log_to(s3, TargetGrants=[{"Grantee": {"Type": "CanonicalUser", "ID": "x"}, "Permission": "READ"}])
    with refused(400, "MalformedXML"):
        s3.put_bucket_logging(Bucket="source", BucketLoggingStatus={"LoggingEnabled": {"TargetBucket": "logs", "TargetPrefix": "a", "TargetObjectKeyFormat": {}}})


def test_requests_become_lines(logged):
    s3 = logged.client()
    log_to(s3)
    owner = s3.list_buckets()["Owner"]["ID"]
    s3.put_object(Bucket="source", Key="a b", Body=b"0123456789")
    s3.get_object(Bucket="source", Key="a b", Range="bytes=2-4")["Body"].read()
    with refused(404):
        s3.get_object(Bucket="source", Key="absent")
    s3.list_objects_v2(Bucket="source")
    url = s3.generate_presigned_url("head_object", Params={"Bucket": "source", "Key": "a b"})
    assert send(logged.endpoint, "HEAD", url[len(logged.endpoint):], headers={"User-Agent": 'sly" 200 -\\', "Referer": "http://r.example/"})[0] == 200
    assert send(logged.endpoint, "GET", "/source/a%20b")[0] == 403
    s3.copy_object(Bucket="source", Key="copy", CopySource="source/a b")
    s3.delete_object(Bucket="source", Key="copy")
    lines = {(line["operation"], line["status"]): line for line in wait_for_lines(s3, 8)}
    put, part, absent = lines["REST.PUT.OBJECT", "200"], lines["REST.GET.OBJECT", "206"], lines["REST.GET.OBJECT", "404"]
    assert (put["owner"], put["bucket"], put["key"], put["requester"]) == (owner, "source", "a%20b", owner)
    assert (put["object_size"], put["error"], put["signature"], put["auth_type"]) == ("10", "-", "SigV4", "AuthHeader")
    assert re.fullmatch(r"\[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000\]", put["time"])
    assert (part["bytes_sent"], part["object_size"], part["remote"]) == ("3", "10", "127.0.0.1")
    assert part["uri"].startswith('"GET /source/a%20b') and part["uri"].endswith(' HTTP/1.1"')
    assert (absent["error"], absent["object_size"]) == ("NoSuchKey", "-") and int(absent["bytes_sent"]) > 100
    head = lines["REST.HEAD.OBJECT", "200"]
    assert head["agent"] == '"sly%22 200 -%5C"' and head["referer"] == '"http://r.example/"' and head["auth_type"] == "QueryString"
    assert "X-Amz-Signature=REDACTED" in head["uri"] and head["bytes_sent"] == "-"
    denied = lines["REST.GET.OBJECT", "403"]
    assert (denied["requester"], denied["error"], denied["signature"]) == ("-", "AccessDenied", "-")
    assert {("REST.GET.BUCKET", "200"), ("REST.COPY.OBJECT", "200"), ("REST.DELETE.OBJECT", "204")} <= set(lines)
    assert len({line["request_id"] for line in lines.values()}) == len(lines)


def test_names_of_log_objects(logged):
    s3 = logged.client()
    log_to(s3)
    s3.head_bucket(Bucket="source")
    wait_for_lines(s3, 1)
    [item] = s3.list_objects_v2(Bucket="logs")["Contents"]
    assert re.fullmatch(r"log/\d{4}-\d\d-\d\d-\d\d-\d\d-\d\d-[0-9A-F]{16}", item["Key"])
    assert s3.head_object(Bucket="logs", Key=item["Key"])["ContentType"] == "text/plain"
    log_to(s3, prefix="parted/", TargetObjectKeyFormat={"PartitionedPrefix": {"PartitionDateSource": "EventTime"}})
    s3.head_bucket(Bucket="source")
    wait_for_lines(s3, 1, "parted/")
    [item] = s3.list_objects_v2(Bucket="logs", Prefix="parted/")["Contents"]
    assert re.fullmatch(r"parted/\d{12}/us-east-1/source/(\d{4})/(\d\d)/(\d\d)/\1-\2-\3-00-00-00-[0-9A-F]{16}", item["Key"])


def test_target_grants_let_others_read(logged):
    s3 = logged.client()
    everybody = {"Grantee": {"Type": "Group", "URI": "http://acs.amazonaws.com/groups/global/AllUsers"}, "Permission": "READ"}
    for prefix, grants, status in (("open/", [everybody], 200), ("shut/", [], 403)):
        log_to(s3, prefix=prefix, **({"TargetGrants": grants} if grants else {}))
        s3.head_bucket(Bucket="source")
        wait_for_lines(s3, 1, prefix)
        [item] = s3.list_objects_v2(Bucket="logs", Prefix=prefix)["Contents"]
        assert send(logged.endpoint, "GET", "/logs/" + item["Key"])[0] == status


def test_lines_are_delivered_by_size(node_factory):
    node = node_factory(ACCESS_LOG_SECONDS=3600, ACCESS_LOG_BYTES=1024)
    s3 = node.client()
    for bucket in ("source", "logs"):
        s3.create_bucket(Bucket=bucket)
    allow(s3)
    log_to(s3)
    for _ in range(10):
        s3.head_bucket(Bucket="source")
    wait_for_lines(s3, 3)


def test_a_stop_delivers_what_waits(node_factory):
    node = node_factory(ACCESS_LOG_SECONDS=3600)
    s3 = node.client()
    for bucket in ("source", "logs"):
        s3.create_bucket(Bucket=bucket)
    allow(s3)
    log_to(s3)
    for _ in range(3):
        s3.head_bucket(Bucket="source")
    assert lines_of(s3) == []
    node.stop()
    s3 = node.start().client()
    assert [line["operation"] for line in lines_of(s3)] == ["REST.HEAD.BUCKET"] * 3


def test_a_target_that_is_gone_harms_nobody(logged):
    s3 = logged.client()
    log_to(s3)
    s3.delete_bucket(Bucket="logs")
    s3.put_object(Bucket="source", Key="k", Body=b"x")
    time.sleep(1.5)
    assert s3.get_object(Bucket="source", Key="k")["Body"].read() == b"x"
    assert logged.healthy()


def test_a_log_may_log_itself(logged):
    s3 = logged.client()
    allow(s3, source="logs")
    log_to(s3, bucket="logs")
    s3.head_bucket(Bucket="logs")
    lines = wait_for_lines(s3, 1)
    assert lines[0]["bucket"] == "logs"
