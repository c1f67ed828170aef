"""Each condition key that policies may name, as requests have it: a policy that allows only with it, and one that denies with it.

`ann` owns the bucket, `bob` is a user of her account who has nothing but what the bucket's policy gives him.
"""

import datetime
import json

import pytest
from botocore.exceptions import ClientError

from util import refused, send, signed

pytestmark = pytest.mark.local

ACCOUNT = "111122223333"
BOB = f"arn:aws:iam::{ACCOUNT}:user/bob"
UNTIL = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0) + datetime.timedelta(days=10)


@pytest.fixture(scope="module")
def node():
    import os

    import node as nodes
    if os.environ.get("S3_ENDPOINT"):
        pytest.skip("needs a node of its own")
    made = nodes.Node().start()
    base = {"secret_key": "secret", "account_id": ACCOUNT, "policies": []}
    made.add_users({**base, "access_key": "ann", "display_name": "Ann", "user_name": "ann", "root": True},
                   {**base, "access_key": "bob", "display_name": "Bob", "user_name": "bob", "tags": {"team": "red"}})
    ann = made.client("ann", "secret")
    ann.create_bucket(Bucket="vault", ObjectLockEnabledForBucket=True)
    ann.put_object(Bucket="vault", Key="k", Body=b"k", Tagging="team=red")
    yield made
    made.close()


@pytest.fixture(scope="module")
def ann(node):
    return node.client("ann", "secret")


@pytest.fixture(scope="module")
def bob(node):
    client = node.client("bob", "secret")
    client.meta.events.register("before-sign.s3.GetObject", lambda request, **_: request.headers.add_header("Referer", "https://example.com/page"))
    return client


@pytest.fixture(scope="module")
def facts(node, ann):
    users = {u["access_key"]: u["user_id"] for u in node.iam()["users"]}
    return {"version": ann.head_object(Bucket="vault", Key="k")["VersionId"], **{name: users[key] for name, key in (("id", "bob"), ("ann", "ann"))}}


def get(client, **more):
    return client.get_object(Bucket="vault", Key="k", **more)


def put(client, **more):
    return client.put_object(Bucket="vault", Key="new", Body=b"x", **more)


def listing(client, **more):
    return client.list_objects_v2(Bucket="vault", **more)


def copy(client, source="vault/k", **more):
    return client.copy_object(Bucket="vault", Key="copied", CopySource=source, **more)


def tag_bucket(client, **tags):
    return client.put_bucket_tagging(Bucket="vault", Tagging={"TagSet": [{"Key": k, "Value": v} for k, v in tags.items()]})


def batch(client, version):
    answer = client.delete_objects(Bucket="vault", Delete={"Objects": [{"Key": "k", "VersionId": version}]})
    for error in answer.get("Errors", []):
        # A version that does not exist is no refusal.
        if error["Code"] == "AccessDenied":
            raise ClientError({"Error": error, "ResponseMetadata": {"HTTPStatusCode": 403}}, "DeleteObjects")


# key, operator, a value that the request has, one that it has not, the request
ROWS = [
    ("aws:SourceIp", "IpAddress", "127.0.0.0/8", "10.0.0.0/8", get),
    ("aws:SecureTransport", "Bool", "false", "true", get),
    ("aws:CurrentTime", "DateGreaterThan", "2020-01-01T00:00:00Z", "2100-01-01T00:00:00Z", get),
    ("aws:EpochTime", "NumericGreaterThan", "1577836800", "4102444800", get),
    ("aws:UserAgent", "StringLike", "*Boto*", "curl*", get),
    ("aws:Referer", "StringLike", "https://example.com/*", "https://example.org/*", get),
    ("aws:username", "StringEquals", "bob", "ann", get),
    ("aws:userid", "StringEquals", lambda f: f["id"], "0" * 64, get),
    ("aws:PrincipalType", "StringEquals", "User", "Anonymous", get),
    ("aws:PrincipalArn", "ArnEquals", BOB, f"arn:aws:iam::{ACCOUNT}:user/ann", get),
    ("aws:PrincipalAccount", "StringEquals", ACCOUNT, "999999999999", get),
    ("aws:PrincipalTag/team", "StringEquals", "red", "blue", get),
    ("aws:ResourceAccount", "StringEquals", ACCOUNT, "999999999999", get),
    ("s3:ResourceAccount", "StringEquals", ACCOUNT, "999999999999", get),
    ("aws:RequestedRegion", "StringEquals", "us-east-1", "eu-west-1", get),
    ("s3:prefix", "StringEquals", "a/", "b/", lambda c: listing(c, Prefix="a/")),
    ("s3:delimiter", "StringEquals", "/", "-", lambda c: listing(c, Delimiter="/")),
    ("s3:max-keys", "NumericLessThanEquals", "5", "4", lambda c: listing(c, MaxKeys=5)),
    ("s3:VersionId", "StringEquals", lambda f: f["version"], "null", lambda c, f: get(c, VersionId=f["version"])),
    ("s3:VersionId", "StringEquals", lambda f: f["version"][::-1], "null", lambda c, f: batch(c, f["version"][::-1])),
    ("s3:x-amz-acl", "StringEquals", "public-read", "private", lambda c: put(c, ACL="public-read")),
    ("s3:x-amz-grant-read", "StringLike", "id=*", "uri=*", lambda c, f: put(c, GrantRead=f"id={f['id']}")),
    ("s3:x-amz-grant-full-control", "StringLike", "id=*", "uri=*", lambda c, f: put(c, GrantFullControl=f"id={f['id']}")),
    ("s3:x-amz-grant-read-acp", "StringLike", "id=*", "uri=*", lambda c, f: put(c, GrantReadACP=f"id={f['id']}")),
    ("s3:x-amz-grant-write-acp", "StringLike", "id=*", "uri=*", lambda c, f: put(c, GrantWriteACP=f"id={f['id']}")),
    ("s3:x-amz-grant-write", "StringLike", "id=*", "uri=*", lambda c, f: c.put_bucket_acl(Bucket="vault", GrantWrite=f"id={f['ann']}")),
    ("s3:x-amz-copy-source", "StringLike", "vault/k*", "vault/other*", lambda c: copy(c)),
    ("s3:x-amz-copy-source", "StringEquals", "vault/k", "vault", lambda c, f: copy(c, f"vault/k?versionId={f['version']}")),
    ("s3:x-amz-metadata-directive", "StringEquals", "REPLACE", "COPY", lambda c: copy(c, MetadataDirective="REPLACE")),
    ("s3:x-amz-server-side-encryption", "StringEquals", "AES256", "aws:kms", lambda c: put(c, ServerSideEncryption="AES256")),
    ("s3:x-amz-server-side-encryption-aws-kms-key-id", "StringEquals", "key-1", "key-2", lambda c: put(c, ServerSideEncryption="aws:kms", SSEKMSKeyId="key-1")),
    ("s3:x-amz-server-side-encryption-customer-algorithm", "StringEquals", "AES256", "DES", lambda c: c.head_object(Bucket="vault", Key="k")),
    ("s3:x-amz-storage-class", "StringEquals", "STANDARD_IA", "GLACIER", lambda c: put(c, StorageClass="STANDARD_IA")),
    ("s3:x-amz-website-redirect-location", "StringLike", "/*", "https:*", lambda c: put(c, WebsiteRedirectLocation="/elsewhere")),
    ("s3:x-amz-content-sha256", "StringEquals", "UNSIGNED-PAYLOAD", "x", None),
    ("s3:if-none-match", "StringEquals", "*", "x", lambda c: put(c, IfNoneMatch="*")),
    ("s3:ExistingObjectTag/team", "StringEquals", "red", "blue", get),
    ("s3:RequestObjectTag/team", "StringEquals", "red", "blue", lambda c: put(c, Tagging="team=red")),
    ("s3:RequestObjectTag/team", "StringEquals", "red", "blue", lambda c: c.put_object_tagging(Bucket="vault", Key="k", Tagging={"TagSet": [{"Key": "team", "Value": "red"}]})),
    ("s3:RequestObjectTagKeys", "ForAnyValue:StringEquals", "team", "cost", lambda c: put(c, Tagging="team=red&x=y")),
    ("s3:object-lock-mode", "StringEquals", "GOVERNANCE", "COMPLIANCE", lambda c: put(c, ObjectLockMode="GOVERNANCE", ObjectLockRetainUntilDate=UNTIL)),
    ("s3:object-lock-mode", "StringEquals", "GOVERNANCE", "COMPLIANCE",
     lambda c: c.put_object_retention(Bucket="vault", Key="k", Retention={"Mode": "GOVERNANCE", "RetainUntilDate": UNTIL})),
    ("s3:object-lock-retain-until-date", "DateLessThan", (UNTIL + datetime.timedelta(1)).isoformat(), (UNTIL - datetime.timedelta(1)).isoformat(),
     lambda c: put(c, ObjectLockMode="GOVERNANCE", ObjectLockRetainUntilDate=UNTIL)),
    ("s3:object-lock-remaining-retention-days", "NumericEquals", "10", "9", lambda c: put(c, ObjectLockMode="GOVERNANCE", ObjectLockRetainUntilDate=UNTIL)),
    ("s3:object-lock-legal-hold", "StringEquals", "OFF", "ON", lambda c: c.put_object_legal_hold(Bucket="vault", Key="k", LegalHold={"Status": "OFF"})),
    ("s3:signatureversion", "StringEquals", "AWS4-HMAC-SHA256", "AWS", get),
    ("s3:authType", "StringEquals", "REST-HEADER", "REST-QUERY-STRING", get),
    ("s3:signatureAge", "NumericLessThan", "600000", "0", get),
    ("aws:RequestTag/team", "StringEquals", "red", "blue", lambda c: tag_bucket(c, team="red")),
    ("aws:TagKeys", "ForAnyValue:StringEquals", "team", "cost", lambda c: tag_bucket(c, team="red", x="y")),
]
CUSTOMER_KEY = {"x-amz-server-side-encryption-customer-algorithm": "AES256"}


def resolved(value, facts):
    return value(facts) if callable(value) else value


def run(call, client, facts):
    """Whether the call is not refused for want of permission."""
    try:
        call(client, facts) if call.__code__.co_argcount == 2 else call(client)
        return True
    except ClientError as error:
        return error.response["ResponseMetadata"]["HTTPStatusCode"] != 403


def raw(node, key):
    """The requests that boto3 does not send so."""
    headers = CUSTOMER_KEY if "customer" in key else {}
    if key == "s3:x-amz-content-sha256":
        status, _, _ = signed_unsigned(node)
    else:
        status, _, _ = signed(node, "PUT", "/vault/new", headers=headers, access="bob", secret="secret")
    return status != 403


def signed_unsigned(node):
    from botocore.auth import S3SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials
    request = AWSRequest(method="PUT", url=node.endpoint + "/vault/new", data=b"x", headers={"x-amz-content-sha256": "UNSIGNED-PAYLOAD"})
    auth = S3SigV4Auth(Credentials("bob", "secret"), "s3", "us-east-1")
    auth.payload = lambda request: "UNSIGNED-PAYLOAD"
    auth.add_auth(request)
    return send(node.endpoint, "PUT", "/vault/new", b"x", dict(request.headers.items()))


@pytest.mark.parametrize("row", ROWS, ids=[f"{i}-{row[0]}" for i, row in enumerate(ROWS)])
def test_a_key_allows_and_denies(node, ann, bob, facts, row):
    key, operator, has, has_not, call = row
    has, has_not = resolved(has, facts), resolved(has_not, facts)

    # Reading the source of a copy is another action, which has none of the keys of writing.
    reads = {"Effect": "Allow", "Principal": {"AWS": BOB}, "Action": ["s3:GetObject*", "s3:*Tagging"], "Resource": "arn:aws:s3:::vault/*"}
    is_copy = key in ("s3:x-amz-copy-source", "s3:x-amz-metadata-directive")

    def outcome(*statements):
        statements = [*statements, reads] if is_copy else list(statements)
        ann.put_bucket_policy(Bucket="vault", Policy=json.dumps({"Version": "2012-10-17", "Statement": statements}))
        if call is None or "customer" in key:
            return raw(node, key)
        return run(call, bob, facts)

    def statement(effect, value=None):
        condition = {} if value is None else {"Condition": {operator: {key: value}}}
        return {"Effect": effect, "Principal": {"AWS": BOB}, "Action": "s3:*", "Resource": ["arn:aws:s3:::vault", "arn:aws:s3:::vault/*"], **condition}

    try:
        assert outcome(statement("Allow")), "without a condition"
        assert outcome(statement("Allow", has)), f"allowed with {has}"
        assert not outcome(statement("Allow", has_not)), f"not allowed with {has_not}"
        assert not outcome(statement("Allow"), statement("Deny", has)), f"denied with {has}"
        assert outcome(statement("Allow"), statement("Deny", has_not)), f"not denied with {has_not}"
    finally:
        ann.delete_bucket_policy(Bucket="vault")
        ann.put_bucket_acl(Bucket="vault", ACL="private")


def test_the_version_of_a_source(ann, bob, facts):
    def outcome(version):
        statements = [{"Effect": "Allow", "Principal": {"AWS": BOB}, "Action": ["s3:PutObject", "s3:*Tagging"], "Resource": "arn:aws:s3:::vault/*"},
                      {"Effect": "Allow", "Principal": {"AWS": BOB}, "Action": "s3:GetObjectVersion", "Resource": "arn:aws:s3:::vault/*",
                       "Condition": {"StringEquals": {"s3:VersionId": version}}}]
        ann.put_bucket_policy(Bucket="vault", Policy=json.dumps({"Version": "2012-10-17", "Statement": statements}))
        return run(lambda c: copy(c, f"vault/k?versionId={facts['version']}"), bob, facts)

    assert outcome(facts["version"]) and not outcome("null")
    ann.delete_bucket_policy(Bucket="vault")


def test_a_source_has_one_spelling(node, ann, facts):
    def outcome(condition, source):
        statements = [{"Effect": "Allow", "Principal": {"AWS": BOB}, "Action": ["s3:Get*", "s3:Put*"], "Resource": "arn:aws:s3:::vault/*"},
                      {"Effect": "Deny", "Principal": {"AWS": BOB}, "Action": "s3:PutObject", "Resource": "arn:aws:s3:::vault/*",
                       "Condition": {condition: {"s3:x-amz-copy-source": "vault/k"}}}]
        ann.put_bucket_policy(Bucket="vault", Policy=json.dumps({"Version": "2012-10-17", "Statement": statements}))
        return signed(node, "PUT", "/vault/copied", headers={"x-amz-copy-source": source}, access="bob", secret="secret")[0]

    for source in ("vault/k", "/vault/k", "vault/%6B", "%2Fvault/k", f"/vault/k?versionId={facts['version']}"):
        assert outcome("StringEquals", source) == 403, source
        assert outcome("StringNotEquals", source) in (200, 404), source
    ann.delete_bucket_policy(Bucket="vault")


def test_presigned_urls_have_an_age(node, ann, bob):
    """Signed a while ago: the age counts from the signature's date."""
    from unittest import mock

    import botocore.auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    def policy(condition):
        statement = {"Effect": "Allow", "Principal": {"AWS": BOB}, "Action": "s3:GetObject", "Resource": "arn:aws:s3:::vault/*", "Condition": condition}
        ann.put_bucket_policy(Bucket="vault", Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))

    earlier = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None) - datetime.timedelta(minutes=10)
    with mock.patch.object(botocore.auth, "get_current_datetime", return_value=earlier):
        request = AWSRequest(method="GET", url=node.endpoint + "/vault/k")
        botocore.auth.S3SigV4QueryAuth(Credentials("bob", "secret"), "s3", "us-east-1", expires=3600).add_auth(request)
    target = request.url[len(node.endpoint):]
    for most, status in ((700_000, 200), (599_000, 403)):
        policy({"NumericLessThan": {"s3:signatureAge": most}})
        assert send(node.endpoint, "GET", target)[0] == status, most
    policy({"StringEquals": {"s3:authType": "REST-QUERY-STRING"}})
    assert send(node.endpoint, "GET", target)[0] == 200
    with refused(403):
        bob.get_object(Bucket="vault", Key="k")
    # There is no TLS, so there is no version of it.
    policy({"Null": {"s3:TlsVersion": "true"}})
    assert send(node.endpoint, "GET", target)[0] == 200
    policy({"NumericGreaterThan": {"s3:TlsVersion": "1.1"}})
    assert send(node.endpoint, "GET", target)[0] == 403
    ann.delete_bucket_policy(Bucket="vault")


REGION = {"CreateBucketConfiguration": {"LocationConstraint": "us-east-1"}}
NEW_BUCKETS = [
    ("s3:LocationConstraint", "us-east-1", "eu-west-1", REGION),
    ("s3:x-amz-object-ownership", "BucketOwnerEnforced", "ObjectWriter", {"ObjectOwnership": "BucketOwnerEnforced"}),
    ("s3:x-amz-acl", "public-read", "private", {"ACL": "public-read"}),
    ("s3:x-amz-grant-read", "uri=http://acs.amazonaws.com/groups/global/AllUsers", "x", {"GrantRead": "uri=http://acs.amazonaws.com/groups/global/AllUsers"}),
    ("aws:RequestedRegion", "us-east-1", "eu-west-1", {}),
]


@pytest.mark.parametrize("row", NEW_BUCKETS, ids=[row[0] for row in NEW_BUCKETS])
def test_new_buckets(node, bucket_name, row):
    key, has, has_not, arguments = row

    def outcome(*statements):
        policy = {"PolicyName": "p", "Version": "2012-10-17", "Statement": [{"Action": "s3:*", "Resource": "*", **s} for s in statements]}
        node.add_users({"access_key": "cal", "secret_key": "secret", "display_name": "Cal", "account_id": ACCOUNT, "policies": [policy]})
        cal = node.client("cal", "secret")
        try:
            cal.create_bucket(Bucket=bucket_name, **arguments)
        except ClientError as error:
            assert error.response["Error"]["Code"] == "AccessDenied"
            return False
        node.client("ann", "secret").delete_bucket(Bucket=bucket_name)
        return True

    condition = lambda value: {"Condition": {"StringEquals": {key: value}}}
    others = {"Effect": "Allow", "Action": ["s3:PutBucketAcl", "s3:PutBucketOwnershipControls"]}
    creates = {"Effect": "Allow", "Action": "s3:CreateBucket"}
    assert outcome(others, {**creates, **condition(has)})
    assert not outcome(others, {**creates, **condition(has_not)})
    assert not outcome({"Effect": "Allow"}, {"Effect": "Deny", **condition(has)})
    assert outcome({"Effect": "Allow"}, {"Effect": "Deny", **condition(has_not)})
    if key == "s3:LocationConstraint":
        # Without a constraint there is nothing to compare with.
        arguments = {}
        assert not outcome(others, {**creates, **condition(has)})
        assert not outcome({"Effect": "Allow"}, {"Effect": "Deny", "Condition": {"StringNotEquals": {key: has}}})


def test_who_may_create_no_bucket_learns_nothing_of_its_document(node):
    status, _, body = signed(node, "PUT", "/fresh-bucket", b"<not xml", access="bob", secret="secret")
    assert status == 403 and b"AccessDenied" in body
    status, _, body = signed(node, "PUT", "/fresh-bucket", b"<not xml", access="ann", secret="secret")
    assert status == 400 and b"MalformedXML" in body


def test_tags_of_resources(node, ann):
    """S3 Control's operations on the tags of a bucket."""
    def policy(key, value, operator="StringEquals"):
        statement = {"Effect": "Allow", "Principal": {"AWS": BOB}, "Action": ["s3:TagResource", "s3:UntagResource"], "Resource": "arn:aws:s3:::vault",
                     "Condition": {operator: {key: value}}}
        ann.put_bucket_policy(Bucket="vault", Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))

    target = "/v20180820/tags/arn%3Aaws%3As3%3A%3A%3Avault"
    body = (b'<TagResourceRequest xmlns="http://awss3control.amazonaws.com/doc/2018-08-20/"><Tags><Tag><Key>team</Key><Value>red</Value></Tag></Tags></TagResourceRequest>')

    def tag():
        return signed(node, "POST", target, body, {"x-amz-account-id": ACCOUNT}, "bob", "secret")[0]

    def untag(key):
        return signed(node, "DELETE", f"{target}?tagKeys={key}", b"", {"x-amz-account-id": ACCOUNT}, "bob", "secret")[0]

    policy("aws:RequestTag/team", "red")
    assert tag() == 204
    policy("aws:RequestTag/team", "blue")
    assert tag() == 403
    policy("aws:TagKeys", ["team"], "ForAllValues:StringEquals")
    assert (tag(), untag("team"), untag("cost")) == (204, 204, 403)
    ann.delete_bucket_policy(Bucket="vault")
