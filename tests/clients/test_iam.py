"""Users of iam.json: what each may do, and edits by hand while the node runs."""

import json

import pytest

from util import code_of, refused, signed

pytestmark = pytest.mark.local


def user(access, actions, bucket="*", **more):
    return {"access_key": access, "secret_key": f"{access}-secret", "display_name": access, "policies": [{"bucket": bucket, "actions": actions}], **more}


@pytest.fixture(scope="module")
def node(request):
    import os

    import node as nodes
    if os.environ.get("S3_ENDPOINT"):
        pytest.skip("needs a node of its own")
    made = nodes.Node().start()
    admin = made.client()
    for b in ("shared", "private"):
        admin.create_bucket(Bucket=b)
        admin.put_object(Bucket=b, Key="k", Body=b.encode())
    yield made
    made.close()


def test_seeded_admin(node):
    users = node.iam()["users"]
    assert [u["access_key"] for u in users] == ["localadmin"] and len(users[0]["user_id"]) == 64
    assert node.iam_path().stat().st_mode & 0o777 == 0o600


def test_an_edit_counts_from_the_next_request(node):
    client = node.client("edited", "edited-secret")
    with refused(403, "InvalidAccessKeyId"):
        client.list_buckets()
    node.add_users(user("edited", ["list"]))
    client.list_objects_v2(Bucket="shared")
    with refused(403, "AccessDenied"):
        client.get_object(Bucket="shared", Key="k")
    node.add_users(user("edited", ["read"]))
    assert client.get_object(Bucket="shared", Key="k")["Body"].read() == b"shared"
    with refused(403, "AccessDenied"):
        client.list_objects_v2(Bucket="shared")
    document = node.iam()
    for u in document["users"]:
        if u.get("access_key") == "edited":
            u.pop("secret_key_sealed", None)
            u["secret_key"] = "changed"
    node.write_iam(document)
    with refused(403, "SignatureDoesNotMatch"):
        client.get_object(Bucket="shared", Key="k")
    node.client("edited", "changed").get_object(Bucket="shared", Key="k")
    document["users"] = [u for u in node.iam()["users"] if u.get("access_key") != "edited"]
    node.write_iam(document)
    with refused(403, "InvalidAccessKeyId"):
        node.client("edited", "changed").get_object(Bucket="shared", Key="k")


CALLS = {
    "list": [lambda c: c.list_objects_v2(Bucket="shared"), lambda c: c.list_objects(Bucket="shared"), lambda c: c.list_multipart_uploads(Bucket="shared")],
    "read": [lambda c: c.get_object(Bucket="shared", Key="k"), lambda c: c.head_object(Bucket="shared", Key="k"), lambda c: c.get_bucket_location(Bucket="shared"),
             lambda c: c.get_object_attributes(Bucket="shared", Key="k", ObjectAttributes=["ETag"])],
    "write": [lambda c: c.put_object(Bucket="shared", Key="w", Body=b"x"), lambda c: c.create_multipart_upload(Bucket="shared", Key="w")],
    "delete": [lambda c: c.delete_object(Bucket="shared", Key="w")],
}
ALIASES = {"list": ["s3:ListBucket", "S3:LISTBUCKET", "LIST"], "read": ["s3:GetObject", "s3:headobject", "Read"], "write": ["s3:PutObject", "s3:uploadpart"],
           "delete": ["s3:DeleteObject"]}


@pytest.mark.parametrize("granted", [*CALLS, "*"])
def test_each_action_opens_its_own_calls_only(node, granted):
    node.add_users(user("one", [granted]))
    client = node.client("one", "one-secret")
    for action, calls in CALLS.items():
        for call in calls:
            if granted in (action, "*"):
                call(client)
            else:
                with refused(403):
                    call(client)


@pytest.mark.parametrize("action, alias", [(a, x) for a, xs in ALIASES.items() for x in xs])
def test_aliases(node, action, alias):
    node.add_users(user("alias", [alias]))
    client = node.client("alias", "alias-secret")
    CALLS[action][0](client)
    other = "read" if action != "read" else "list"
    with refused(403):
        CALLS[other][0](client)


def test_a_grant_of_one_bucket(node):
    node.add_users(user("narrow", ["list", "read"], bucket="shared"))
    client = node.client("narrow", "narrow-secret")
    client.get_object(Bucket="shared", Key="k")
    for call in (lambda: client.get_object(Bucket="private", Key="k"), lambda: client.list_objects_v2(Bucket="private")):
        with refused(403, "AccessDenied"):
            call()
    assert [b["Name"] for b in client.list_buckets()["Buckets"]] == ["shared"]


def test_prefix(node):
    grant = {"bucket": "shared", "actions": ["read", "write"], "prefix": "home/"}
    node.add_users({**user("home", []), "policies": [grant]})
    client = node.client("home", "home-secret")
    client.put_object(Bucket="shared", Key="home/x", Body=b"x")
    client.get_object(Bucket="shared", Key="home/x")
    for key in ("k", "homes", "home", "home2/x"):
        with refused(403):
            client.put_object(Bucket="shared", Key=key, Body=b"x")


def test_missing_key_tells_only_who_may_list(node):
    node.add_users(user("reader", ["read"]), user("lister", ["read", "list"]))
    with refused(403, "AccessDenied"):
        node.client("reader", "reader-secret").get_object(Bucket="shared", Key="none")
    with refused(404, "NoSuchKey"):
        node.client("lister", "lister-secret").get_object(Bucket="shared", Key="none")


def test_every_key_is_asked(node):
    admin = node.client()
    node.add_users(user("copier", ["write", "read"], bucket="shared"), user("deleter", ["delete"], bucket="private"),
                   {**user("half", []), "policies": [{"bucket": "shared", "actions": ["delete"], "prefix": "mine/"}]})
    copier = node.client("copier", "copier-secret")
    copier.copy_object(Bucket="shared", Key="copy", CopySource="shared/k")
    with refused(403, "AccessDenied"):
        copier.copy_object(Bucket="shared", Key="copy", CopySource="private/k")
    # boto3 encodes what it is given, so the slash arrives as %2F: decoded once, it is the same source.
    encoded = node.client("copier", "copier-secret")
    encoded.meta.events.register("before-sign.s3.CopyObject", lambda request, **_: request.headers.replace_header("x-amz-copy-source", "private%2Fk"))
    with refused(403, "AccessDenied"):
        encoded.copy_object(Bucket="shared", Key="copy", CopySource="private/k")
    upload = copier.create_multipart_upload(Bucket="shared", Key="copy")["UploadId"]
    with refused(403, "AccessDenied"):
        copier.upload_part_copy(Bucket="shared", Key="copy", UploadId=upload, PartNumber=1, CopySource="private/k")
    admin.put_object(Bucket="shared", Key="mine/1", Body=b"")
    admin.put_object(Bucket="shared", Key="theirs/1", Body=b"")
    reply = node.client("half", "half-secret").delete_objects(Bucket="shared", Delete={"Objects": [{"Key": "mine/1"}, {"Key": "theirs/1"}]})
    assert [d["Key"] for d in reply["Deleted"]] == ["mine/1"] and [(e["Key"], e["Code"]) for e in reply["Errors"]] == [("theirs/1", "AccessDenied")]
    admin.head_object(Bucket="shared", Key="theirs/1")


def test_disabled_and_expired(node):
    node.add_users(user("off", ["*"], enabled=False), user("gone", ["*"], expires_at="2020-01-01T00:00:00Z"))
    for name in ("off", "gone"):
        with refused(403):
            node.client(name, f"{name}-secret").list_objects_v2(Bucket="shared")


def test_several_keys_of_one_user(node):
    keys = [{"access_key": "k-one", "secret_key": "s1"}, {"access_key": "k-two", "secret_key": "s2", "enabled": False}]
    document = node.iam()
    document["users"].append({"display_name": "many", "policies": [{"bucket": "*", "actions": ["list"]}], "access_keys": keys, "user_id": "ab" * 32})
    node.write_iam(document)
    node.client("k-one", "s1").list_objects_v2(Bucket="shared")
    with refused(403):
        node.client("k-two", "s2").list_objects_v2(Bucket="shared")


def test_a_broken_edit_keeps_the_last_good_state(node):
    node.add_users(user("stays", ["list"]))
    client = node.client("stays", "stays-secret")
    client.list_objects_v2(Bucket="shared")
    good = node.iam_path().read_text()
    for broken in ('{"users": [', "", "[]", '{"users": "x"}', '{"users": [{"secret_key": 7}]}'):
        node.write_iam(broken)
        client.list_objects_v2(Bucket="shared")
        assert node.iam_path().read_text() == broken  # never overwritten
    assert "iam.json" in node.tail()
    node.write_iam(good)
    client.list_objects_v2(Bucket="shared")


def test_unknown_fields_stay(node):
    document = node.iam()
    document["note"] = "by hand"
    document["users"].append({**user("noted", ["list"]), "favourite": {"colour": "blue"}})
    node.write_iam(document)
    node.client("noted", "noted-secret").list_objects_v2(Bucket="shared")
    after = node.iam()
    assert after["note"] == "by hand"
    assert [u["favourite"] for u in after["users"] if u.get("access_key") == "noted"] == [{"colour": "blue"}]


def test_users_survive_a_restart(node_factory):
    node = node_factory()
    node.client().create_bucket(Bucket="shared")
    node.add_users(user("kept", ["list"]))
    node.client("kept", "kept-secret").list_objects_v2(Bucket="shared")
    node.stop()
    node.start()
    node.client("kept", "kept-secret").list_objects_v2(Bucket="shared")
    node.client().head_bucket(Bucket="shared")


def test_admin_from_the_environment(node_factory):
    node = node_factory(ADMIN_ACCESS_KEY="root-key", ADMIN_SECRET_KEY="root-secret-value")
    node.client("root-key", "root-secret-value").create_bucket(Bucket="bkt")
    with refused(403, "InvalidAccessKeyId"):
        node.client().list_buckets()


def test_a_secret_key_that_is_set_later_needs_nothing_else(node_factory):
    node = node_factory()
    own, iam = node.iam_path().with_name(".secret"), node.iam_path()
    made = json.loads(signed(node, "POST", "/_myfsio/iam/users", b'{"display_name": "Sealed"}')[2])

    def sealed_with():
        sealed = [key["secret_key_sealed"] for u in node.iam()["users"] for key in (u, *u.get("access_keys", ())) if "secret_key_sealed" in key]
        (key_id,) = {text.split(":")[1] for text in sealed}
        return key_id

    def works():
        node.client(made["access_key"], made["secret_key"]).list_buckets()

    first, kept = sealed_with(), own.read_text()
    node.stop()
    node.env["SECRET_KEY"] = "the operator's own key"
    node.start()
    works()
    assert sealed_with() != first and own.read_text() == kept
    assert "are sealed anew with SECRET_KEY" in node.tail()
    told = len(node.tail())
    node.stop()
    node.start()
    works()
    assert "are sealed anew" not in node.tail()[told:], "told once, when it was done"
    node.stop()
    own.rename(own.with_name("moved"))
    node.start()
    works()
    node.stop()

    # What nothing opens is refused, says what to do, and is left as it is.
    before = iam.read_bytes()
    own.with_name("moved").rename(own)
    for wrong in ({"SECRET_KEY": "yet another key"}, {}):
        node.env.pop("SECRET_KEY")
        node.env.update(wrong)
        with pytest.raises(RuntimeError) as refusal:
            node.start()
        assert "add that one to SECRET_KEY_PREVIOUS" in str(refusal.value) and "iam.json" in str(refusal.value)
        assert iam.read_bytes() == before and own.read_text() == kept
        node.env.setdefault("SECRET_KEY", "")
    node.env["SECRET_KEY_PREVIOUS"] = "the operator's own key"
    node.start()
    works()
    assert sealed_with() == first, "unset, the node's own key is in force again"


def test_comparing_needs_reading(node):
    admin = node.client()
    etag = admin.put_object(Bucket="shared", Key="compared", Body=b"x")["ETag"]
    node.add_users(user("blind", ["write", "delete"]), user("seeing", ["read", "write", "delete"]))
    blind, seeing = node.client("blind", "blind-secret"), node.client("seeing", "seeing-secret")
    with refused(403, "AccessDenied"):
        blind.put_object(Bucket="shared", Key="compared", Body=b"y", IfMatch=etag)
    with refused(403, "AccessDenied"):
        blind.delete_object(Bucket="shared", Key="compared", IfMatch=etag)
    answer = blind.delete_objects(Bucket="shared", Delete={"Objects": [{"Key": "compared", "ETag": etag}]})
    assert [e["Code"] for e in answer["Errors"]] == ["AccessDenied"]
    with refused(412, "PreconditionFailed"):
        blind.put_object(Bucket="shared", Key="compared", Body=b"y", IfNoneMatch="*")
    seeing.delete_object(Bucket="shared", Key="compared", IfMatch=etag)


def test_the_expected_owner(node):
    admin = node.client()
    owner = admin.list_buckets()["Owner"]["ID"]
    assert admin.get_object(Bucket="shared", Key="k", ExpectedBucketOwner=owner)["Body"].read() == b"shared"
    for ask in (
        lambda: admin.get_object(Bucket="shared", Key="k", ExpectedBucketOwner="111122223333"),
        lambda: admin.put_object(Bucket="shared", Key="k", Body=b"no", ExpectedBucketOwner="111122223333"),
        lambda: admin.copy_object(Bucket="shared", Key="c", CopySource="private/k", ExpectedSourceBucketOwner="111122223333"),
    ):
        with refused(403, "AccessDenied"):
            ask()
    assert admin.get_object(Bucket="shared", Key="k")["Body"].read() == b"shared"


def test_who_may_list_a_key_may_know_that_it_is_missing(node):
    node.add_users(user("lister", []))
    admin, lister = node.client(), node.client("lister", "lister-secret")
    admin.put_object(Bucket="private", Key="public/there", Body=b"x")
    statements = [{"Effect": "Allow", "Principal": "*", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::private",
                   "Condition": {"StringLike": {"s3:prefix": "public/*"}}}]
    put = lambda: admin.put_bucket_policy(Bucket="private", Policy=json.dumps({"Version": "2012-10-17", "Statement": statements}))
    try:
        for _ in range(2):
            put()
            for key, status in (("public/gone", 404), ("private/gone", 403)):
                with refused(status) as answer:
                    lister.head_object(Bucket="private", Key=key)
                with refused(status, "NoSuchKey" if status == 404 else "AccessDenied"):
                    lister.get_object(Bucket="private", Key=key)
                marker = answer["ResponseMetadata"]["HTTPHeaders"].get("x-amz-delete-marker")
                assert marker == ("false" if status == 404 else None)
            # The prefix that counts is the key's, not one of the caller's choice.
            status, _, body = signed(node, "GET", "/private/private/gone?prefix=public%2Fx", access="lister", secret="lister-secret")
            assert (status, code_of(body)) == (403, "AccessDenied")
            # The same once objects may be read.
            statements.append({"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::private/*"})
    finally:
        admin.delete_bucket_policy(Bucket="private")
    with refused(403, "AccessDenied"):
        lister.get_object(Bucket="private", Key="public/there")


def test_buckets_are_listed_as_the_request_finds_them(node):
    """Whether a bucket is among those of ListBuckets may depend on who asks from where, and when."""
    statement = {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::here"}
    conditions = {
        "near": {"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}, "far": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}},
        "later": {"DateGreaterThan": {"aws:CurrentTime": "2100-01-01T00:00:00Z"}},
        "since": {"DateGreaterThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}},
        "root": {"StringEquals": {"s3:prefix": ["", "home/"]}}, "home": {"StringEquals": {"s3:prefix": "home/"}},
    }
    node.add_users(*({
        "access_key": f"sees-{name}", "secret_key": "secret-secret", "display_name": name, "policies": [
            {"PolicyName": "p", "Version": "2012-10-17", "Statement": {**statement, "Condition": condition}}],
    } for name, condition in conditions.items()))
    node.client().create_bucket(Bucket="here")
    seen = {name for name in conditions if node.client(f"sees-{name}", "secret-secret").list_buckets()["Buckets"]}
    assert seen == {"near", "since", "root"}
