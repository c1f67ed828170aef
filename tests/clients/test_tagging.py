"""Tags of objects, versions and buckets, and S3 Control's operations on them."""

import json
import socket

import boto3
import pytest
from botocore.config import Config
from util import code_of, refused, signed

# In the order of their keys, as they are answered.
TAGS = [{"Key": "a b", "Value": ""}, {"Key": "team", "Value": "blue"}]


def tag_set(count, start=0):
    return [{"Key": f"k{i}", "Value": "v"} for i in range(start, start + count)]


def by_key(tags):
    return sorted(tags, key=lambda tag: tag["Key"])


def test_object_tags(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == []
    assert "TagCount" not in s3.get_object(Bucket=bucket, Key="k")
    before = s3.head_object(Bucket=bucket, Key="k")
    s3.put_object_tagging(Bucket=bucket, Key="k", Tagging={"TagSet": TAGS})
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == TAGS
    after = s3.head_object(Bucket=bucket, Key="k")
    assert (after["ETag"], after["LastModified"]) == (before["ETag"], before["LastModified"])
    assert after["ResponseMetadata"]["HTTPHeaders"]["x-amz-tagging-count"] == "2"
    assert s3.get_object(Bucket=bucket, Key="k")["TagCount"] == 2
    reply = s3.delete_object_tagging(Bucket=bucket, Key="k")
    assert reply["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == []


def test_object_tags_of_what_is_absent(s3, bucket):
    for call in (
        lambda: s3.get_object_tagging(Bucket=bucket, Key="absent"),
        lambda: s3.put_object_tagging(Bucket=bucket, Key="absent", Tagging={"TagSet": TAGS}),
        lambda: s3.delete_object_tagging(Bucket=bucket, Key="absent"),
    ):
        with refused(404, "NoSuchKey"):
            call()


@pytest.mark.parametrize(
    "tags",
    [
        tag_set(11),
        [{"Key": "k" * 129, "Value": "v"}],
        [{"Key": "k", "Value": "v" * 257}],
        [{"Key": "aws:k", "Value": "v"}],
        [{"Key": "k", "Value": "v"}, {"Key": "k", "Value": "w"}],
        [{"Key": "k", "Value": "<"}],
    ],
    ids=["eleven", "long-key", "long-value", "aws", "twice", "characters"],
)
def test_object_tags_are_checked(s3, bucket, tags):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", Tagging="kept=1")
    with refused(400, "InvalidTag"):
        s3.put_object_tagging(Bucket=bucket, Key="k", Tagging={"TagSet": tags})
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == [{"Key": "kept", "Value": "1"}]


def test_object_tags_at_their_limits(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    longest = [{"Key": str(i) + "k" * 127, "Value": "v" * 256} for i in range(10)]
    s3.put_object_tagging(Bucket=bucket, Key="k", Tagging={"TagSet": longest})
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == longest


def test_malformed_documents(server, bucket, s3):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    for body in (b"<Tagging/>", b"<Tagging><TagSet><Tag><Key>a</Key></Tag></TagSet></Tagging>", b"<Tagging><TagSet>"):
        status, _, answer = signed(server, "PUT", f"/{bucket}/k?tagging", body)
        assert (status, code_of(answer)) == (400, "MalformedXML"), body
    status, _, answer = signed(server, "PUT", f"/{bucket}/k?tagging", b"<Tagging><TagSet><Tag><Key/><Value/></Tag></TagSet></Tagging>")
    assert (status, code_of(answer)) == (400, "InvalidTag")
    status, _, answer = signed(server, "PUT", f"/{bucket}/k?tagging")
    assert (status, code_of(answer)) == (400, "MissingRequestBodyError")


def test_copies_take_tags_or_replace_them(s3, bucket):
    s3.put_object(Bucket=bucket, Key="from", Body=b"x", Tagging="team=blue&x=1")
    source = {"Bucket": bucket, "Key": "from"}
    s3.copy_object(Bucket=bucket, Key="kept", CopySource=source)
    s3.copy_object(Bucket=bucket, Key="ignored", CopySource=source, Tagging="team=red")
    s3.copy_object(Bucket=bucket, Key="replaced", CopySource=source, TaggingDirective="REPLACE", Tagging="team=red")
    s3.copy_object(Bucket=bucket, Key="emptied", CopySource=source, TaggingDirective="REPLACE")
    tags = {key: s3.get_object_tagging(Bucket=bucket, Key=key)["TagSet"] for key in ("kept", "ignored", "replaced", "emptied")}
    both = [{"Key": "team", "Value": "blue"}, {"Key": "x", "Value": "1"}]
    assert tags == {"kept": both, "ignored": both, "replaced": [{"Key": "team", "Value": "red"}], "emptied": []}
    with refused(400, "InvalidArgument"):
        s3.copy_object(Bucket=bucket, Key="kept", CopySource=source, TaggingDirective="MERGE")


def test_multipart_tags(s3, bucket):
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k", Tagging="team=blue")["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key="k", UploadId=upload, PartNumber=1, Body=b"x")
    parts = [{"PartNumber": 1, "ETag": part["ETag"]}]
    s3.complete_multipart_upload(Bucket=bucket, Key="k", UploadId=upload, MultipartUpload={"Parts": parts})
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == [{"Key": "team", "Value": "blue"}]


def test_tags_of_versions(s3, bucket):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    old, new = (s3.put_object(Bucket=bucket, Key="k", Body=body)["VersionId"] for body in (b"1", b"2"))
    assert s3.put_object_tagging(Bucket=bucket, Key="k", VersionId=old, Tagging={"TagSet": TAGS})["VersionId"] == old
    got = s3.get_object_tagging(Bucket=bucket, Key="k", VersionId=old)
    assert (got["TagSet"], got["VersionId"]) == (TAGS, old)
    assert s3.get_object(Bucket=bucket, Key="k", VersionId=old)["TagCount"] == 2
    got = s3.get_object_tagging(Bucket=bucket, Key="k")
    assert (got["TagSet"], got["VersionId"]) == ([], new)
    assert s3.put_object_tagging(Bucket=bucket, Key="k", Tagging={"TagSet": tag_set(1)})["VersionId"] == new
    assert s3.delete_object_tagging(Bucket=bucket, Key="k", VersionId=old)["VersionId"] == old
    assert s3.get_object_tagging(Bucket=bucket, Key="k", VersionId=old)["TagSet"] == []
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == tag_set(1)
    marker = s3.delete_object(Bucket=bucket, Key="k")["VersionId"]
    with refused(404, "NoSuchKey"):
        s3.get_object_tagging(Bucket=bucket, Key="k")
    with refused(405, "MethodNotAllowed"):
        s3.put_object_tagging(Bucket=bucket, Key="k", VersionId=marker, Tagging={"TagSet": TAGS})
    assert s3.get_object_tagging(Bucket=bucket, Key="k", VersionId=new)["TagSet"] == tag_set(1)
    with refused(404, "NoSuchVersion"):
        s3.get_object_tagging(Bucket=bucket, Key="k", VersionId="0" * len(old))
    for version in (old, new, marker):
        s3.delete_object(Bucket=bucket, Key="k", VersionId=version)


def test_a_policy_may_ask_for_the_tags(node_factory):
    node = node_factory()
    node.add_users({"access_key": "tagger", "secret_key": "secret", "display_name": "tagger", "policies": []})
    s3, tagger = node.client(), node.client("tagger", "secret")
    s3.create_bucket(Bucket="judged")
    s3.put_object(Bucket="judged", Key="k", Body=b"x")
    statement = {"Effect": "Allow", "Principal": "*", "Action": "s3:PutObjectTagging", "Resource": "arn:aws:s3:::judged/*",
                 "Condition": {"StringEquals": {"s3:RequestObjectTag/team": "blue"}}}
    s3.put_bucket_policy(Bucket="judged", Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    tagger.put_object_tagging(Bucket="judged", Key="k", Tagging={"TagSet": TAGS})
    with refused(403, "AccessDenied"):
        tagger.put_object_tagging(Bucket="judged", Key="k", Tagging={"TagSet": tag_set(1)})
    assert s3.get_object_tagging(Bucket="judged", Key="k")["TagSet"] == TAGS


def test_tags_survive_a_restart(node_factory):
    node = node_factory()
    s3 = node.client()
    s3.create_bucket(Bucket="tagged")
    s3.put_object(Bucket="tagged", Key="k", Body=b"x")
    s3.put_object_tagging(Bucket="tagged", Key="k", Tagging={"TagSet": TAGS})
    s3.put_bucket_tagging(Bucket="tagged", Tagging={"TagSet": TAGS})
    node.stop()
    s3 = node.start().client()
    assert s3.get_object_tagging(Bucket="tagged", Key="k")["TagSet"] == TAGS
    assert s3.get_bucket_tagging(Bucket="tagged")["TagSet"] == TAGS


def test_bucket_tags(s3, bucket):
    with refused(404, "NoSuchTagSet"):
        s3.get_bucket_tagging(Bucket=bucket)
    reply = s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tag_set(50)})
    assert reply["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert by_key(s3.get_bucket_tagging(Bucket=bucket)["TagSet"]) == by_key(tag_set(50))
    with refused(400, "BadRequest"):
        s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tag_set(51)})
    with refused(400, "InvalidTag"):
        s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": [{"Key": "aws:x", "Value": "1"}]})
    assert s3.delete_bucket_tagging(Bucket=bucket)["ResponseMetadata"]["HTTPStatusCode"] == 204
    with refused(404, "NoSuchTagSet"):
        s3.get_bucket_tagging(Bucket=bucket)


def test_bucket_tags_need_a_digest(server, bucket):
    body = b"<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"
    status, _, answer = signed(server, "PUT", f"/{bucket}?tagging", body)
    assert (status, code_of(answer)) == (400, "InvalidRequest")


def test_control_operations(server, s3, bucket):
    target = f"/v20180820/tags/arn%3Aaws%3As3%3A%3A%3A{bucket}"
    status, headers, answer = signed(server, "GET", target)
    assert status == 200 and headers["content-type"] == "application/xml"
    assert b"<ListTagsForResourceResult" in answer and b"<Tag>" not in answer
    request = (
        '<TagResourceRequest xmlns="http://awss3control.amazonaws.com/doc/2018-08-20/"><Tags>'
        "<Tag><Key>{}</Key><Value>{}</Value></Tag><Tag><Key>both</Key><Value>1</Value></Tag></Tags></TagResourceRequest>"
    )
    assert signed(server, "POST", target, request.format("a", "1").encode())[0] == 204
    assert signed(server, "POST", target, request.format("b", "&lt;2&gt;").encode())[0] == 400
    assert signed(server, "POST", target, request.format("b", "2").encode())[0] == 204
    tags = by_key(s3.get_bucket_tagging(Bucket=bucket)["TagSet"])
    assert tags == [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}, {"Key": "both", "Value": "1"}]
    answer = signed(server, "GET", target)[2]
    assert answer.count(b"<Tag>") == 3 and b"<Key>a</Key><Value>1</Value>" in answer
    assert signed(server, "DELETE", f"{target}?tagKeys=both&tagKeys=a")[0] == 204
    assert s3.get_bucket_tagging(Bucket=bucket)["TagSet"] == [{"Key": "b", "Value": "2"}]
    assert signed(server, "DELETE", f"{target}?tagKeys=b")[0] == 204
    with refused(404, "NoSuchTagSet"):
        s3.get_bucket_tagging(Bucket=bucket)
    assert_absent_and_foreign(server)


def test_control_clients(node_factory, monkeypatch):
    """boto3 puts the account in front of the host, which then is no bucket's."""
    resolve = socket.getaddrinfo
    here = lambda host: "127.0.0.1" if host.endswith(".localhost") else host
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *more, **named: resolve(here(host), *more, **named))
    node = node_factory(BASE_DOMAINS="localhost")
    node.client().create_bucket(Bucket="tagged")
    control = boto3.client(
        "s3control", endpoint_url=f"http://localhost:{node.port}", region_name="us-east-1", aws_access_key_id="localadmin",
        aws_secret_access_key="localadmin", config=Config(retries={"total_max_attempts": 1}),
    )
    hosts = []
    control.meta.events.register("before-send.s3-control", lambda request, **_: hosts.append(request.url.split("/")[2]))
    resource = {"AccountId": "123456789012", "ResourceArn": "arn:aws:s3:::tagged"}
    assert control.list_tags_for_resource(**resource)["Tags"] == []
    assert hosts == [f"123456789012.localhost:{node.port}"]
    control.tag_resource(**resource, Tags=TAGS)
    assert control.list_tags_for_resource(**resource)["Tags"] == TAGS
    control.untag_resource(**resource, TagKeys=["team"])
    assert node.client().get_bucket_tagging(Bucket="tagged")["TagSet"] == TAGS[:1]


def assert_absent_and_foreign(server):
    status, _, answer = signed(server, "GET", "/v20180820/tags/arn%3Aaws%3As3%3A%3A%3Aabsent-bucket")
    assert (status, code_of(answer)) == (404, "NoSuchBucket")
    status, _, answer = signed(server, "GET", "/v20180820/tags/arn%3Aaws%3Asns%3A%3A%3Ax")
    assert (status, code_of(answer)) == (400, "InvalidRequest")
