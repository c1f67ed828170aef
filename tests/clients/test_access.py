"""Access control lists, ownership controls, public access block and policy status, between users of several accounts.

`ann`, `eve` and `cat` have no policies: each is the root of an account of its own. `wil` may only write.
"""

import json
import threading
import time

import boto3
import pytest
import urllib3
from botocore import UNSIGNED
from botocore.config import Config

from util import code_of, complete, refused, send, signed, upload_parts

pytestmark = pytest.mark.local

ALL_USERS = "http://acs.amazonaws.com/groups/global/AllUsers"
SIGNED_USERS = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers"
LOGS = "http://acs.amazonaws.com/groups/s3/LogDelivery"
ENFORCED, PREFERRED, WRITER = "BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter"


@pytest.fixture(scope="module")
def node():
    import os

    import node as nodes
    if os.environ.get("S3_ENDPOINT"):
        pytest.skip("needs a node of its own")
    made = nodes.Node().start()
    user = {"policies": []}
    made.add_users(
        {**user, "access_key": "ann", "secret_key": "secret", "display_name": "Ann", "email": "ann@example.com"},
        {**user, "access_key": "eve", "secret_key": "secret", "display_name": "Eve", "email": "Eve@example.com"},
        {**user, "access_key": "cat", "secret_key": "secret", "display_name": "Cat", "email": "shared@example.com"},
        {"access_key": "wil", "secret_key": "secret", "display_name": "Wil", "email": "shared@example.com",
         "policies": [{"bucket": "*", "actions": ["write", "list", "read"]}]},
    )
    made.client("ann", "secret").list_buckets()
    yield made
    made.close()


@pytest.fixture(scope="module")
def ann(node):
    return node.client("ann", "secret")


@pytest.fixture(scope="module")
def eve(node):
    return node.client("eve", "secret")


@pytest.fixture(scope="module")
def nobody(node):
    return boto3.client("s3", endpoint_url=node.endpoint, region_name="us-east-1",
                        config=Config(signature_version=UNSIGNED, retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}))


@pytest.fixture
def bucket(ann, request):
    name = f"acl-{abs(hash(request.node.nodeid)) % 10**10}"
    ann.create_bucket(Bucket=name)
    return name


def ids(node):
    return {u["access_key"]: u["user_id"] for u in node.iam()["users"]}


def grants(answer):
    """Grants as (id or group, permission)."""
    return [(g["Grantee"].get("ID") or g["Grantee"]["URI"], g["Permission"]) for g in answer["Grants"]]


def can(call, *codes):
    """Whether the call is let through; else it must be refused as not allowed."""
    try:
        call()
        return True
    except Exception as error:
        got = error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Error"].get("Code")
        assert got[0] == 403 and (got[1] in ("AccessDenied", "403")), got
        return False


def test_defaults_and_canned_lists_of_a_bucket(node, ann, bucket):
    own = (ids(node)["ann"], "FULL_CONTROL")
    answer = ann.get_bucket_acl(Bucket=bucket)
    assert answer["Owner"] == {"ID": own[0], "DisplayName": "Ann"} and grants(answer) == [own]
    assert answer["Grants"][0]["Grantee"] == {"ID": own[0], "DisplayName": "Ann", "Type": "CanonicalUser"}
    expected = {
        "public-read": [(ALL_USERS, "READ"), own],
        "public-read-write": [(ALL_USERS, "READ"), (ALL_USERS, "WRITE"), own],
        "authenticated-read": [(SIGNED_USERS, "READ"), own],
        "log-delivery-write": [(LOGS, "WRITE"), (LOGS, "READ_ACP"), own],
        "bucket-owner-read": [own], "bucket-owner-full-control": [own], "aws-exec-read": [own], "private": [own],
    }
    for canned, wanted in expected.items():
        ann.put_bucket_acl(Bucket=bucket, ACL=canned)
        assert grants(ann.get_bucket_acl(Bucket=bucket)) == wanted, canned


def test_lists_of_buckets_let_in(node, ann, eve, nobody, bucket):
    ann.put_object(Bucket=bucket, Key="k", Body=b"k")
    calls = {
        "list": lambda c: c.list_objects_v2(Bucket=bucket), "head": lambda c: c.head_bucket(Bucket=bucket),
        "versions": lambda c: c.list_object_versions(Bucket=bucket), "uploads": lambda c: c.list_multipart_uploads(Bucket=bucket),
        "put": lambda c: c.put_object(Bucket=bucket, Key="n", Body=b""), "delete": lambda c: c.delete_object(Bucket=bucket, Key="n"),
        "acl": lambda c: c.get_bucket_acl(Bucket=bucket), "get": lambda c: c.get_object(Bucket=bucket, Key="k"),
        "policy": lambda c: c.get_bucket_policy(Bucket=bucket), "version": lambda c: c.delete_object(Bucket=bucket, Key="n", VersionId="null"),
    }
    reads, writes = {"list", "head", "versions", "uploads"}, {"put", "delete"}
    eve_id = ids(node)["eve"]
    for setting, anonymous, signed_in in [
        ({"ACL": "private"}, set(), set()),
        ({"ACL": "public-read"}, reads, reads),
        ({"ACL": "public-read-write"}, reads | writes, reads | writes),
        ({"ACL": "authenticated-read"}, set(), reads),
        ({"GrantRead": f'id="{eve_id}"'}, set(), reads),
        ({"GrantWrite": f"id={eve_id}"}, set(), writes),
        ({"GrantReadACP": 'emailAddress="eve@example.com"'}, set(), {"acl"}),
        ({"GrantFullControl": f'uri="{SIGNED_USERS}"'}, set(), reads | writes | {"acl"}),
        ({"GrantWriteACP": f'uri="{ALL_USERS}"'}, set(), set()),
    ]:
        ann.put_bucket_acl(Bucket=bucket, **setting)
        for client, allowed in ((nobody, anonymous), (eve, signed_in)):
            assert {name for name, call in calls.items() if can(lambda: call(client))} == allowed, setting
    # Whoever may write the list may give itself everything; the owner stays the owner.
    assert can(lambda: eve.put_bucket_acl(Bucket=bucket, ACL="public-read"))
    assert grants(ann.get_bucket_acl(Bucket=bucket)) == [(ALL_USERS, "READ"), (ids(node)["ann"], "FULL_CONTROL")]


def test_lists_of_objects_let_in(ann, eve, nobody, bucket):
    for key, canned in (("none", None), ("public", "public-read"), ("signed", "authenticated-read"), ("rw", "public-read-write")):
        ann.put_object(Bucket=bucket, Key=key, Body=b"x", **({"ACL": canned} if canned else {}))
    def may(client, key):
        read = {can(lambda: client.get_object(Bucket=bucket, Key=key)), can(lambda: client.head_object(Bucket=bucket, Key=key))}
        others = (lambda: client.get_object_acl(Bucket=bucket, Key=key), lambda: client.put_object_acl(Bucket=bucket, Key=key, ACL="private"),
                  lambda: client.delete_object(Bucket=bucket, Key=key), lambda: client.put_object(Bucket=bucket, Key=key, Body=b""))
        assert not any(can(call) for call in others), key
        return read
    for client, readable in ((nobody, {"public", "rw"}), (eve, {"public", "signed", "rw"})):
        for key in ("none", "public", "signed", "rw"):
            assert may(client, key) == {key in readable}, key
    ann.put_object_acl(Bucket=bucket, Key="public", ACL="private")
    assert may(nobody, "public") == {False}
    # An overwrite starts anew.
    ann.put_object(Bucket=bucket, Key="rw", Body=b"x")
    assert may(nobody, "rw") == {False}


def test_a_missing_key_is_told_to_who_may_list(ann, eve, nobody, bucket):
    with refused(403):
        nobody.get_object(Bucket=bucket, Key="missing")
    with refused(403):
        eve.head_object(Bucket=bucket, Key="missing")
    ann.put_bucket_acl(Bucket=bucket, ACL="public-read")
    with refused(404, "NoSuchKey"):
        nobody.get_object(Bucket=bucket, Key="missing")
    with refused(404, "NoSuchKey"):
        eve.get_object_acl(Bucket=bucket, Key="missing")
    with refused(404, "NoSuchKey"):
        ann.put_object_acl(Bucket=bucket, Key="missing", ACL="private")


def test_documents(node, ann, eve, bucket):
    user = ids(node)
    owner = {"ID": user["ann"]}
    def put(*entries, owner=owner):
        ann.put_bucket_acl(Bucket=bucket, AccessControlPolicy={"Owner": owner, "Grants": [{"Grantee": g, "Permission": p} for g, p in entries]})
    put(({"Type": "CanonicalUser", "ID": user["eve"]}, "READ"), ({"Type": "Group", "URI": ALL_USERS}, "WRITE"),
        ({"Type": "AmazonCustomerByEmail", "EmailAddress": "eve@EXAMPLE.com"}, "READ_ACP"))
    assert grants(ann.get_bucket_acl(Bucket=bucket)) == [(ALL_USERS, "WRITE"), (user["eve"], "READ"), (user["eve"], "READ_ACP")]
    put()
    assert ann.get_bucket_acl(Bucket=bucket)["Grants"] == []
    ann.put_object(Bucket=bucket, Key="k", Body=b"still the owner")
    with refused(400, "InvalidArgument"):
        put(({"Type": "CanonicalUser", "ID": "_foo"}, "READ"))
    with refused(400, "InvalidArgument"):
        put(({"Type": "CanonicalUser", "ID": "0" * 64}, "READ"))
    with refused(400, "InvalidArgument"):
        put(({"Type": "Group", "URI": "http://acs.amazonaws.com/groups/global/Nobody"}, "READ"))
    with refused(400, "UnresolvableGrantByEmailAddress"):
        put(({"Type": "AmazonCustomerByEmail", "EmailAddress": "who@example.com"}, "READ"))
    with refused(400, "AmbiguousGrantByEmailAddress"):
        put(({"Type": "AmazonCustomerByEmail", "EmailAddress": "shared@example.com"}, "READ"))
    with refused(400, "MalformedACLError"):
        put(({"Type": "CanonicalUser", "ID": user["eve"]}, "EVERYTHING"))
    with refused(403, "AccessDenied"):
        put(owner={"ID": user["eve"]})
    hundred = [({"Type": "CanonicalUser", "ID": user["eve"]}, "READ")] * 100
    put(*hundred)
    with refused(400, "MalformedACLError"):
        put(*hundred, hundred[0])


def test_malformed_requests(node, ann, bucket):
    def code(headers=None, body=b""):
        status, _, answer = signed(node, "PUT", f"/{bucket}?acl", body, headers, access="ann", secret="secret")
        return status, code_of(answer)
    assert code() == (400, "MissingSecurityHeader")
    assert code({"x-amz-acl": "public"}) == (400, "InvalidArgument")
    assert code({"x-amz-acl": "private", "x-amz-grant-read": "id=1"}) == (400, "InvalidRequest")
    assert code({"x-amz-grant-read": "nobody"}) == (400, "InvalidArgument")
    assert code({"x-amz-acl": "private"}, b"<AccessControlPolicy/>") == (400, "UnexpectedContent")
    assert code(body=b"<AccessControlPolicy/>") == (400, "MalformedACLError")
    assert code(body=b"nothing") == (400, "MalformedACLError")
    for headers in ({"x-amz-acl": "public"}, {"x-amz-grant-read": "id=1"}, {"x-amz-acl": "log-delivery-write"}):
        status, _, answer = signed(node, "PUT", f"/{bucket}/k", b"x", headers, access="ann", secret="secret")
        assert (status, code_of(answer)) == (400, "InvalidArgument"), headers


def test_lists_come_with_every_way_to_write(node, ann, nobody, bucket):
    def public(key):
        return can(lambda: nobody.get_object(Bucket=bucket, Key=key))
    ann.put_object(Bucket=bucket, Key="put", Body=b"x" * 100, ACL="public-read")
    ann.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/put", ACL="public-read")
    ann.copy_object(Bucket=bucket, Key="plain-copy", CopySource=f"{bucket}/put")
    upload, parts = upload_parts(ann, bucket, "parts", {1: b"x"}, ACL="public-read")
    complete(ann, bucket, "parts", upload, parts)
    form = ann.generate_presigned_post(bucket, "form", Fields={"acl": "public-read"}, Conditions=[{"acl": "public-read"}])
    fields = {**form["fields"], "file": "body"}
    body = "".join(f'--x\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n' for n, v in fields.items()) + "--x--\r\n"
    status, _, answer = send(node.endpoint, "POST", f"/{bucket}", body.encode(), {"content-type": "multipart/form-data; boundary=x"})
    assert status == 204, answer
    assert {key: public(key) for key in ("put", "copy", "plain-copy", "parts", "form")} == {
        "put": True, "copy": True, "plain-copy": False, "parts": True, "form": True}
    other = bucket + "-other"
    ann.create_bucket(Bucket=other, ACL="public-read")
    nobody.list_objects_v2(Bucket=other)
    ann.create_bucket(Bucket=other, ACL="public-read")
    with refused(409, "BucketAlreadyExists"):
        ann.create_bucket(Bucket=other)


def test_who_has_no_credentials_may_share_what_it_writes(node, ann, nobody, bucket):
    ann.put_bucket_acl(Bucket=bucket, ACL="public-read-write")
    nobody.put_object(Bucket=bucket, Key="k", Body=b"x", ACL="public-read")
    assert nobody.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"
    nobody.put_object(Bucket=bucket, Key="own", Body=b"x")
    with refused(403, "AccessDenied"):
        nobody.get_object(Bucket=bucket, Key="own")
    assert ann.get_object(Bucket=bucket, Key="own")["Body"].read() == b"x"
    deny = json.loads(policy(bucket, action="s3:PutObjectAcl"))
    deny["Statement"][0]["Effect"] = "Deny"
    ann.put_bucket_policy(Bucket=bucket, Policy=json.dumps(deny))
    with refused(403, "AccessDenied"):
        nobody.put_object(Bucket=bucket, Key="k", Body=b"x", ACL="public-read")


def test_what_others_write_is_theirs(node, ann, eve, bucket):
    user = ids(node)
    ann.put_bucket_acl(Bucket=bucket, ACL="public-read-write")
    eve.put_object(Bucket=bucket, Key="k", Body=b"eve's")
    with refused(403, "AccessDenied"):
        ann.get_object(Bucket=bucket, Key="k")
    with refused(403, "AccessDenied"):
        ann.get_object_acl(Bucket=bucket, Key="k")
    assert eve.get_object(Bucket=bucket, Key="k")["Body"].read() == b"eve's"
    assert eve.get_object_acl(Bucket=bucket, Key="k")["Owner"] == {"ID": user["eve"], "DisplayName": "Eve"}
    assert ann.list_objects_v2(Bucket=bucket, FetchOwner=True)["Contents"][0]["Owner"]["ID"] == user["eve"]
    for canned, right in (("bucket-owner-read", "READ"), ("bucket-owner-full-control", "FULL_CONTROL")):
        eve.put_object(Bucket=bucket, Key="k", Body=b"shared", ACL=canned)
        assert grants(eve.get_object_acl(Bucket=bucket, Key="k")) == [(user["eve"], "FULL_CONTROL"), (user["ann"], right)]
        assert ann.get_object(Bucket=bucket, Key="k")["Body"].read() == b"shared"
    ann.get_object_acl(Bucket=bucket, Key="k")
    ann.delete_object(Bucket=bucket, Key="k")


def test_ownership_controls(node, ann, eve, bucket):
    user = ids(node)
    with refused(404, "OwnershipControlsNotFoundError"):
        ann.get_bucket_ownership_controls(Bucket=bucket)
    def put(setting):
        ann.put_bucket_ownership_controls(Bucket=bucket, OwnershipControls={"Rules": [{"ObjectOwnership": setting}]})
    ann.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": {
        "Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]}}))
    def owner_of(**more):
        eve.put_object(Bucket=bucket, Key="k", Body=b"k", **more)
        upload = eve.create_multipart_upload(Bucket=bucket, Key="m", **more)["UploadId"]
        of_upload = eve.list_parts(Bucket=bucket, Key="m", UploadId=upload)["Owner"]["ID"]
        eve.copy_object(Bucket=bucket, Key="c", CopySource=f"{bucket}/k", **more)
        owners = {eve.get_object_acl(Bucket=bucket, Key=key)["Owner"]["ID"] for key in "kc"} | {of_upload}
        assert len(owners) == 1
        return next(name for name, id in user.items() if id in owners)
    assert owner_of() == owner_of(ACL="bucket-owner-full-control") == "eve"
    put(PREFERRED)
    assert ann.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]["Rules"] == [{"ObjectOwnership": PREFERRED}]
    assert owner_of() == owner_of(ACL="private") == "eve" and owner_of(ACL="bucket-owner-full-control") == "ann"
    put(WRITER)
    assert owner_of(ACL="bucket-owner-full-control") == "eve"
    ann.put_bucket_acl(Bucket=bucket, ACL="public-read")
    with refused(400, "InvalidBucketAclWithObjectOwnership"):
        put(ENFORCED)
    ann.put_bucket_acl(Bucket=bucket, ACL="private")
    eve.put_object(Bucket=bucket, Key="old", Body=b"k", ACL="public-read")
    put(ENFORCED)
    assert owner_of() == owner_of(ACL="bucket-owner-full-control") == owner_of(GrantFullControl=f"id={user['ann']}") == "ann"
    old = ann.get_object_acl(Bucket=bucket, Key="old")
    assert (old["Owner"]["ID"], grants(old)) == (user["ann"], [(user["ann"], "FULL_CONTROL")])
    assert {c["Owner"]["ID"] for c in ann.list_objects(Bucket=bucket)["Contents"]} == {user["ann"]}
    for more in ({"ACL": "private"}, {"ACL": "public-read"}, {"GrantRead": f"id={user['eve']}"}):
        for call in (lambda: eve.put_object(Bucket=bucket, Key="k", Body=b"", **more), lambda: ann.put_bucket_acl(Bucket=bucket, **more),
                     lambda: ann.put_object_acl(Bucket=bucket, Key="k", **more), lambda: eve.create_multipart_upload(Bucket=bucket, Key="m", **more),
                     lambda: eve.copy_object(Bucket=bucket, Key="c", CopySource=f"{bucket}/k", **more)):
            with refused(400, "AccessControlListNotSupported"):
                call()
    ann.put_object_acl(Bucket=bucket, Key="k", ACL="bucket-owner-full-control")
    ann.delete_bucket_policy(Bucket=bucket)
    with refused(403):
        eve.get_object(Bucket=bucket, Key="old")
    ann.delete_bucket_ownership_controls(Bucket=bucket)
    ann.delete_bucket_ownership_controls(Bucket=bucket)
    eve.get_object(Bucket=bucket, Key="old")
    for setting in (ENFORCED, PREFERRED, WRITER):
        name = f"{bucket}-{setting.lower()}"
        ann.create_bucket(Bucket=name, ObjectOwnership=setting)
        assert ann.get_bucket_ownership_controls(Bucket=name)["OwnershipControls"]["Rules"][0]["ObjectOwnership"] == setting
    with refused(400, "InvalidBucketAclWithObjectOwnership"):
        ann.create_bucket(Bucket=bucket + "-new", ObjectOwnership=ENFORCED, ACL="public-read")
    with refused(400, "MalformedXML"):
        put("Everybody")


def block(ann, bucket, *flags):
    every = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    ann.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration={flag: flag in flags for flag in every})


def policy(bucket, principal="*", action="s3:GetObject", **more):
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": principal, "Action": action,
                       "Resource": f"arn:aws:s3:::{bucket}/*", **more}]})


def test_public_access_block(node, ann, eve, nobody, bucket):
    with refused(404, "NoSuchPublicAccessBlockConfiguration"):
        ann.get_public_access_block(Bucket=bucket)
    ann.put_object(Bucket=bucket, Key="k", Body=b"k", ACL="public-read")
    block(ann, bucket, "BlockPublicAcls")
    assert ann.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"] == {
        "BlockPublicAcls": True, "IgnorePublicAcls": False, "BlockPublicPolicy": False, "RestrictPublicBuckets": False}
    for more in ({"ACL": "public-read"}, {"ACL": "public-read-write"}, {"ACL": "authenticated-read"}, {"GrantRead": f"uri={ALL_USERS}"}):
        for call in (lambda: ann.put_bucket_acl(Bucket=bucket, **more), lambda: ann.put_object_acl(Bucket=bucket, Key="k", **more),
                     lambda: ann.put_object(Bucket=bucket, Key="n", Body=b"", **more), lambda: ann.create_multipart_upload(Bucket=bucket, Key="m", **more),
                     lambda: ann.copy_object(Bucket=bucket, Key="c", CopySource=f"{bucket}/k", **more)):
            with refused(403, "AccessDenied"):
                call()
    ann.put_object(Bucket=bucket, Key="n", Body=b"", GrantRead=f"id={ids(node)['eve']}")
    nobody.get_object(Bucket=bucket, Key="k")
    block(ann, bucket, "IgnorePublicAcls")
    ann.put_bucket_acl(Bucket=bucket, ACL="public-read")
    for call in (lambda: nobody.get_object(Bucket=bucket, Key="k"), lambda: eve.list_objects_v2(Bucket=bucket)):
        with refused(403, "AccessDenied"):
            call()
    eve.get_object(Bucket=bucket, Key="n")
    assert not ann.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"]["IsPublic"]
    block(ann, bucket, "BlockPublicPolicy")
    with refused(403, "AccessDenied"):
        ann.put_bucket_policy(Bucket=bucket, Policy=policy(bucket))
    ann.put_bucket_policy(Bucket=bucket, Policy=policy(bucket, {"AWS": "eve"}))
    ann.put_bucket_acl(Bucket=bucket, ACL="private")
    block(ann, bucket)
    ann.put_object_acl(Bucket=bucket, Key="k", ACL="private")
    ann.put_bucket_policy(Bucket=bucket, Policy=policy(bucket))
    nobody.get_object(Bucket=bucket, Key="k")
    block(ann, bucket, "RestrictPublicBuckets")
    for client in (nobody, eve):
        with refused(403, "AccessDenied"):
            client.get_object(Bucket=bucket, Key="k")
    ann.get_object(Bucket=bucket, Key="k")
    ann.delete_public_access_block(Bucket=bucket)
    ann.delete_public_access_block(Bucket=bucket)
    nobody.get_object(Bucket=bucket, Key="k")
    for body, wanted in ((b"<PublicAccessBlockConfiguration/>", "InvalidRequest"), (b"", "MissingRequestBodyError"),
                         (b"<PublicAccessBlockConfiguration><All>true</All></PublicAccessBlockConfiguration>", "MalformedXML")):
        status, _, answer = signed(node, "PUT", f"/{bucket}?publicAccessBlock", body, access="ann", secret="secret")
        assert (status, code_of(answer)) == (400, wanted)


def test_policy_status(ann, bucket):
    def is_public():
        return ann.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"]["IsPublic"]
    assert not is_public()
    for canned, expected in (("public-read", True), ("authenticated-read", True), ("private", False)):
        ann.put_bucket_acl(Bucket=bucket, ACL=canned)
        assert is_public() == expected, canned
    for document, expected in [
        (policy(bucket), True), (policy(bucket, {"AWS": "*"}), True), (policy(bucket, {"AWS": "eve"}), False),
        (policy(bucket, Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}), False),
        (policy(bucket, Condition={"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}}), True),
        (policy(bucket).replace("Allow", "Deny"), False),
    ]:
        ann.put_bucket_policy(Bucket=bucket, Policy=document)
        assert is_public() == expected, document


def test_a_policy_comes_back_to_the_letter(node, ann, bucket):
    for text in (policy(bucket), json.dumps(json.loads(policy(bucket)), indent=3), policy(bucket).replace("Get", "\\u0047et")):
        ann.put_bucket_policy(Bucket=bucket, Policy=text)
        assert ann.get_bucket_policy(Bucket=bucket)["Policy"] == text
    path = node.iam_path().with_name("bucket_policies.json")
    document = json.loads(path.read_text())
    document["policies"][bucket]["Statement"][0]["Sid"] = "byHand"
    path.write_text(json.dumps(document))
    assert json.loads(ann.get_bucket_policy(Bucket=bucket)["Policy"])["Statement"][0]["Sid"] == "byHand"


def test_denies_win_over_lists(ann, nobody, eve, bucket):
    ann.put_bucket_acl(Bucket=bucket, ACL="public-read-write")
    ann.put_object(Bucket=bucket, Key="k", Body=b"k", ACL="public-read")
    deny = json.loads(policy(bucket, action="s3:PutObject", Condition={"StringLike": {"s3:x-amz-acl": "public*"}}))
    deny["Statement"][0]["Effect"] = "Deny"
    ann.put_bucket_policy(Bucket=bucket, Policy=json.dumps(deny))
    eve.put_object(Bucket=bucket, Key="e", Body=b"")
    with refused(403, "AccessDenied"):
        eve.put_object(Bucket=bucket, Key="e", Body=b"", ACL="public-read")
    form = ann.generate_presigned_post(bucket, "form", Fields={"acl": "public-read"}, Conditions=[{"acl": "public-read"}])
    fields = {**form["fields"], "file": "body"}
    body = "".join(f'--x\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n' for n, v in fields.items()) + "--x--\r\n"
    status, _, answer = send(form["url"].rsplit("/", 1)[0], "POST", f"/{bucket}", body.encode(), {"content-type": "multipart/form-data; boundary=x"})
    assert (status, code_of(answer)) == (403, "AccessDenied")
    ann.put_bucket_policy(Bucket=bucket, Policy=policy(bucket).replace("Allow", "Deny"))
    for client in (nobody, eve, ann):
        with refused(403, "AccessDenied"):
            client.get_object(Bucket=bucket, Key="k")


def test_tags_decide(ann, eve, bucket):
    for key, tags in (("red", "team=red"), ("blue", "team=blue"), ("none", "")):
        ann.put_object(Bucket=bucket, Key=key, Body=b"x", Tagging=tags)
    ann.put_bucket_policy(Bucket=bucket, Policy=policy(bucket, action=["s3:GetObject", "s3:GetObjectAcl"],
                          Condition={"StringEquals": {"s3:ExistingObjectTag/team": "red"}}))
    eve.get_object(Bucket=bucket, Key="red")
    eve.get_object_acl(Bucket=bucket, Key="red")
    for key in ("blue", "none", "missing"):
        with refused(403, "AccessDenied"):
            eve.get_object(Bucket=bucket, Key=key)
    ann.put_bucket_policy(Bucket=bucket, Policy=policy(bucket, action=["s3:PutObject", "s3:PutObjectTagging"],
                          Condition={"StringEquals": {"s3:RequestObjectTag/team": "red"}, "ForAllValues:StringEquals": {"s3:RequestObjectTagKeys": ["team"]}}))
    eve.put_object(Bucket=bucket, Key="new", Body=b"x", Tagging="team=red")
    for tags in ("team=blue", "team=red&more=1", ""):
        with refused(403, "AccessDenied"):
            eve.put_object(Bucket=bucket, Key="new", Body=b"x", Tagging=tags)


def test_listing_rights_of_a_prefix_tell_missing_keys(ann, eve, bucket):
    listing = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": "*", "Action": "s3:ListBucket",
               "Resource": f"arn:aws:s3:::{bucket}", "Condition": {"StringLike": {"s3:prefix": "public/*"}}}}
    ann.put_bucket_policy(Bucket=bucket, Policy=json.dumps(listing))
    with refused(404):
        eve.head_object(Bucket=bucket, Key="public/x")
    with refused(403):
        eve.head_object(Bucket=bucket, Key="private/x")


def test_who_is_bound_by_grants_shares_nothing_without_share(node, ann, nobody, bucket):
    wil = node.client("wil", "secret")
    wil.put_object(Bucket=bucket, Key="k", Body=b"x")
    wil.put_object(Bucket=bucket, Key="k", Body=b"x", ACL="private")
    wil.put_object(Bucket=bucket, Key="k", Body=b"x", ACL="bucket-owner-full-control")
    with refused(403, "AccessDenied"):
        wil.put_object(Bucket=bucket, Key="k", Body=b"x", ACL="public-read")
    with refused(403, "AccessDenied"):
        wil.put_object_acl(Bucket=bucket, Key="k", ACL="public-read")
    with refused(403, "AccessDenied"):
        nobody.get_object(Bucket=bucket, Key="k")


def test_an_object_is_judged_as_it_is_read(node, ann, bucket):
    """A key that is written again and again, now for everybody and now for nobody: whoever is let in reads only what is for
    everybody, however closely a write follows the look at the key."""
    secret, public = b"s" * 64, b"p" * 64
    end, seen, wrong = time.monotonic() + 3, set(), []
    ann.put_object(Bucket=bucket, Key="k", Body=public, ACL="public-read")

    def write():
        while time.monotonic() < end:
            ann.put_object(Bucket=bucket, Key="k", Body=secret)
            ann.put_object(Bucket=bucket, Key="k", Body=public, ACL="public-read")

    def read():
        with urllib3.PoolManager(maxsize=1) as pool:
            while time.monotonic() < end and not wrong:
                answer = pool.request("GET", f"{node.endpoint}/{bucket}/k", retries=False)
                seen.add(answer.status)
                if answer.status == 200 and answer.data != public:
                    wrong.append(answer.data)

    threads = [threading.Thread(target=work) for work in (write, write, read, read, read)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and seen == {200, 403}, (wrong[:1], seen)
