"""Buckets: create, head, list, location, delete, and sub-resources that are not set."""

import re
import uuid

import pytest

from util import code_of, refused, signed


def name():
    return f"b-{uuid.uuid4().hex[:12]}"


def test_life_of_a_bucket(s3):
    b = name()
    reply = s3.create_bucket(Bucket=b)
    assert reply["Location"] == "/" + b
    assert s3.head_bucket(Bucket=b)["ResponseMetadata"]["HTTPHeaders"]["x-amz-bucket-region"] == "us-east-1"
    assert b in [x["Name"] for x in s3.list_buckets()["Buckets"]]
    assert s3.get_bucket_location(Bucket=b)["LocationConstraint"] is None
    assert s3.delete_bucket(Bucket=b)["ResponseMetadata"]["HTTPStatusCode"] == 204
    with refused(404):
        s3.head_bucket(Bucket=b)
    with refused(404, "NoSuchBucket"):
        s3.delete_bucket(Bucket=b)
    with refused(404, "NoSuchBucket"):
        s3.list_objects_v2(Bucket=b)
    with refused(404, "NoSuchBucket"):
        s3.put_object(Bucket=b, Key="k", Body=b"x")
    with refused(404, "NoSuchBucket"):
        s3.get_object(Bucket=b, Key="k")


def test_create_again_is_success_in_us_east_1(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"stays")
    s3.create_bucket(Bucket=bucket)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"stays"


def test_delete_of_a_bucket_with_objects(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    with refused(409, "BucketNotEmpty"):
        s3.delete_bucket(Bucket=bucket)


def test_a_recreated_bucket_is_empty(s3):
    b = name()
    for _ in range(3):
        s3.create_bucket(Bucket=b)
        assert s3.list_objects_v2(Bucket=b)["KeyCount"] == 0
        s3.put_object(Bucket=b, Key="folder/k", Body=b"x")
        s3.delete_object(Bucket=b, Key="folder/k")
        s3.delete_bucket(Bucket=b)


@pytest.mark.parametrize("bad", ["ab", "a" * 64, "Upper", "under_score", "192.168.5.4", "xn--b", "a..b", "-a-b", "a-b-", "foo.-bar", "foo-.bar",
                                 "b-s3alias", ".ab", "ab.", "healthz", "presign", "kms", "bucket", "ui"])
def test_bad_names(server, bad):
    status, _, body = signed(server, "PUT", "/" + bad)
    # The first path segment of the node's own routes may answer MethodNotAllowed before any bucket is thought of.
    assert status in (400, 405) and code_of(body) in ("InvalidBucketName", "MethodNotAllowed"), body


@pytest.mark.parametrize("good", ["abc", "a.b.c", "a-b", "0ab", "a" * 63])
def test_good_names(s3, good):
    s3.create_bucket(Bucket=good)
    s3.delete_bucket(Bucket=good)


def test_location_constraint(server, s3):
    doc = '<CreateBucketConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><LocationConstraint>%s</LocationConstraint></CreateBucketConfiguration>'
    b = name()
    status, _, body = signed(server, "PUT", "/" + b, (doc % "eu-nowhere-9").encode())
    assert status == 400 and code_of(body) in ("InvalidLocationConstraint", "IllegalLocationConstraintException"), body
    status, _, body = signed(server, "PUT", "/" + b, b"<CreateBucketConfiguration><Locat")
    assert (status, code_of(body)) == (400, "MalformedXML")
    with refused(404):
        s3.head_bucket(Bucket=b)


def test_list_buckets_pages_and_prefix(s3):
    prefix = name()
    names = [f"{prefix}-{i}" for i in range(5)]
    for b in names:
        s3.create_bucket(Bucket=b)
    got, token = [], None
    while True:
        reply = s3.list_buckets(Prefix=prefix, MaxBuckets=2, **({"ContinuationToken": token} if token else {}))
        assert len(reply["Buckets"]) <= 2
        got += [b["Name"] for b in reply["Buckets"]]
        token = reply.get("ContinuationToken")
        if not token:
            break
    assert got == names
    owner = s3.list_buckets()["Owner"]
    assert re.fullmatch("[0-9a-f]{64}", owner["ID"])
    for b in names:
        s3.delete_bucket(Bucket=b)


@pytest.mark.parametrize("call, code", [
    ("get_bucket_policy", "NoSuchBucketPolicy"), ("get_bucket_cors", "NoSuchCORSConfiguration"),
    ("get_bucket_lifecycle_configuration", "NoSuchLifecycleConfiguration"), ("get_bucket_tagging", "NoSuchTagSet"),
    ("get_bucket_website", "NoSuchWebsiteConfiguration"),
    ("get_bucket_encryption", "ServerSideEncryptionConfigurationNotFoundError"),
    ("get_bucket_replication", "ReplicationConfigurationNotFoundError"),
    ("get_object_lock_configuration", "ObjectLockConfigurationNotFoundError"),
    ("get_public_access_block", "NoSuchPublicAccessBlockConfiguration"),
    ("get_bucket_ownership_controls", "OwnershipControlsNotFoundError"),
])
def test_unset_sub_resources(s3, bucket, call, code):
    with refused(404, code):
        getattr(s3, call)(Bucket=bucket)


def test_unset_versioning_and_logging_are_empty(s3, bucket):
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)
    assert "LoggingEnabled" not in s3.get_bucket_logging(Bucket=bucket)


@pytest.mark.parametrize("method, target", [
    ("PUT", "/{b}?analytics&id=1"), ("GET", "/{b}?inventory&id=1"), ("PUT", "/{b}?accelerate"), ("PUT", "/{b}/k?torrent"),
    ("PUT", "/{b}/k?renameObject"), ("POST", "/{b}/k?select&select-type=2"), ("PUT", "/{b}?metrics&id=x"),
])
def test_known_sub_resources_never_fall_through(server, s3, bucket, method, target):
    status, _, body = signed(server, method, target.format(b=bucket), b"<x/>")
    assert status in (400, 405, 501), (status, body)
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


@pytest.mark.parametrize("query", [
    "annotation&annotationName=note", "annotation=&annotationName=note", "annotation&annotationName=note&x-id=PutObjectAnnotation",
    "append&position=0", "of-tomorrow", "of-tomorrow=",
])
def test_what_nobody_knows_of_an_object_never_becomes_the_object(server, s3, bucket, query):
    s3.put_object(Bucket=bucket, Key="k", Body=b"precious")
    for method, body in (("PUT", b"hi"), ("DELETE", b""), ("POST", b"")):
        status, _, answer = signed(server, method, f"/{bucket}/k?{query}", body)
        assert status in (405, 501) and (status == 501 or method == "POST"), (method, status, answer)
    assert signed(server, "PUT", f"/{bucket}-new?{query}")[0] in (405, 501)
    assert signed(server, "DELETE", f"/{bucket}?{query}")[0] in (405, 501)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"precious"
    assert f"{bucket}-new" not in [b["Name"] for b in s3.list_buckets()["Buckets"]]


def test_operations_of_other_endpoints_are_known(server, bucket):
    for method, target in (
        ("GET", f"/{bucket}/k?annotation"), ("GET", f"/{bucket}/k?annotation&annotationName=a"), ("PUT", f"/{bucket}?metadataAnnotationTable"),
        ("POST", "/WriteGetObjectResponse"), ("GET", "/?max-directory-buckets=10"),
    ):
        status, _, body = signed(server, method, target, b"<x/>" if method != "GET" else b"")
        assert (status, code_of(body)) == (501, "NotImplemented"), (target, body)


@pytest.mark.parametrize("target", [
    *("/{b}?" + name for name in ("torrent", "restore", "select", "retention", "legal-hold", "attributes", "uploadId=1", "renameObject", "annotation")),
    "/?acl", "/?versioning", "/?uploads",
])
def test_no_listing_stands_for_what_is_not_there(server, bucket, target):
    status, headers, body = signed(server, "GET", target.format(b=bucket))
    assert (status, code_of(body)) == (405, "MethodNotAllowed"), body
    assert "allow" in headers and f"<ResourceType>{target.split('?')[1].split('=')[0].upper()}</ResourceType>".encode() in body


def test_pages_link_to_objects_with_parameters_of_their_own(server, s3, bucket):
    s3.put_object(Bucket=bucket, Key="page.html", Body=b"page")
    for query in ("location=here", "inventory", "session=7", "of-tomorrow"):
        assert signed(server, "GET", f"/{bucket}/page.html?{query}")[2] == b"page", query


def test_buckets_are_created_with_tags(server, s3, bucket_name):
    tags = [{"Key": "team", "Value": "red"}, {"Key": "cost centre", "Value": "7"}]
    s3.create_bucket(Bucket=bucket_name, CreateBucketConfiguration={"Tags": tags})
    assert s3.get_bucket_tagging(Bucket=bucket_name)["TagSet"] == sorted(tags, key=lambda tag: tag["Key"])
    # Again, in another order, and with other tags.
    s3.create_bucket(Bucket=bucket_name, CreateBucketConfiguration={"Tags": tags[::-1]})
    s3.create_bucket(Bucket=bucket_name)
    with refused(409, "BucketAlreadyExists"):
        s3.create_bucket(Bucket=bucket_name, CreateBucketConfiguration={"Tags": tags[:1]})
    assert len(s3.get_bucket_tagging(Bucket=bucket_name)["TagSet"]) == 2
    for bad, code in (
        ([{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}], "InvalidTag"), ([{"Key": "aws:a", "Value": "1"}], "InvalidTag"),
        ([{"Key": f"k{i}", "Value": ""} for i in range(51)], "BadRequest"),
    ):
        with refused(400, code):
            s3.create_bucket(Bucket=f"{bucket_name}-bad", CreateBucketConfiguration={"Tags": bad})
    s3.create_bucket(Bucket=f"{bucket_name}-full", CreateBucketConfiguration={"Tags": [{"Key": f"k{i}" + "x" * 120, "Value": "v" * 256} for i in range(50)]})
    assert [b["Name"] for b in s3.list_buckets()["Buckets"] if b["Name"].startswith(f"{bucket_name}-")] == [f"{bucket_name}-full"]
    for name in (f"{bucket_name}-full", bucket_name):
        s3.delete_bucket(Bucket=name)


def test_who_may_create_buckets_with_tags(node_factory):
    node = node_factory()
    allow = lambda action, **more: {"Effect": "Allow", "Action": action, "Resource": "*", **more}
    policy = lambda *statements: [{"PolicyName": "p", "Version": "2012-10-17", "Statement": list(statements)}]
    red = {"Condition": {"StringEquals": {"aws:RequestTag/team": "red"}}}
    user = lambda name, *statements: {"access_key": name, "secret_key": "secret", "display_name": name, "account_id": "111122223333", "policies": policy(*statements)}
    node.add_users(
        {"access_key": "chief", "secret_key": "secret", "display_name": "chief", "account_id": "111122223333", "root": True, "policies": []},
        user("maker", allow("s3:CreateBucket")), user("tagger", allow("s3:CreateBucket"), allow("s3:TagResource", **red)),
        user("reds", allow("s3:CreateBucket", **red), allow("s3:TagResource")))
    make = lambda who, name, team: node.client(who, "secret").create_bucket(
        Bucket=name, **({"CreateBucketConfiguration": {"Tags": [{"Key": "team", "Value": team}]}} if team else {}))
    make("maker", "plain", None)
    for who, name, team in (("maker", "tagged", "red"), ("tagger", "tagged", "blue"), ("reds", "tagged", "blue"), ("reds", "tagged", None)):
        with refused(403, "AccessDenied"):
            make(who, name, team)
    make("tagger", "by-tagger", "red")
    make("reds", "by-reds", "red")
    assert {b["Name"] for b in node.client().list_buckets()["Buckets"]} == {"plain", "by-tagger", "by-reds"}


def test_unknown_query_parameters_are_ignored(server, bucket):
    assert signed(server, "PUT", f"/{bucket}/k?x-id=PutObject&foo=bar", b"x")[0] == 200
    assert signed(server, "GET", f"/{bucket}/k?x-id=GetObject&foo=bar")[2] == b"x"


def test_request_ids_and_content_type_on_errors(server):
    status, headers, body = signed(server, "GET", "/no-such-bucket-here/k")
    assert (status, code_of(body)) == (404, "NoSuchBucket")
    assert headers["content-type"] == "application/xml"
    assert headers["x-amz-request-id"] and headers["x-amz-id-2"]
    text = body.decode()
    assert f"<RequestId>{headers['x-amz-request-id']}</RequestId>" in text and "<HostId>" in text
    assert "<BucketName>no-such-bucket-here</BucketName>" in text and "<Resource>" in text
    assert "<Error>" in text  # without a name space


def test_request_ids_on_success(server, bucket):
    headers = signed(server, "GET", "/" + bucket)[1]
    assert headers["x-amz-request-id"] and headers["x-amz-id-2"]
