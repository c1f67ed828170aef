"""What nobody comes to who was not given it: by parameters that mean nothing to a request, by exceptions from a deny, by the name of
somebody who is gone, by deleting who stands above, by owning."""

import json
import uuid

import pytest
from botocore.exceptions import ClientError

import node as nodes
from test_forms import encode, post
from test_iam_api import client_of
from util import code_of, signed

pytestmark = pytest.mark.local
ONE, TWO = "111122223333", "444455556666"
BUCKET = "vault"


def allow(actions, **more):
    return {"Effect": "Allow", "Action": actions, "Resource": "*", **more}


def document(*statements):
    return {"Version": "2012-10-17", "Statement": list(statements)}


def person(name, *statements, account=ONE, root=False):
    policies = [{"PolicyName": "p", **document(*statements)}] if statements else []
    return {"access_key": name, "secret_key": "secret", "display_name": name, "user_name": name, "account_id": account, "root": root, "policies": policies}


@pytest.fixture(scope="module")
def node():
    made = nodes.Node().start()
    made.add_users(person("boss", root=True), person("alice", allow("s3:*")), person("bob", allow("s3:*")), person("carl"),
                   person("helper", allow(["iam:*", "sts:AssumeRole"])), person("writer", allow("s3:PutObject")), person("maker", allow("s3:CreateBucket")),
                   person("sharer", allow(["s3:PutObject", "s3:PutObjectAcl"])), person("other", root=True, account=TWO))
    boss = made.client("boss", "secret")
    boss.create_bucket(Bucket=BUCKET)
    for key in ("secret", "home/u1/x"):
        boss.put_object(Bucket=BUCKET, Key=key, Body=b"x")
    yield made
    made.close()


@pytest.fixture(scope="module")
def boss(node):
    return node.client("boss", "secret")


@pytest.fixture(autouse=True)
def no_policy(boss):
    yield
    boss.delete_bucket_policy(Bucket=BUCKET)


def put_policy(client, *statements, bucket=BUCKET):
    client.put_bucket_policy(Bucket=bucket, Policy=json.dumps(document(*statements)))


def code(call, *arguments, **more):
    try:
        call(*arguments, **more)
        return "OK"
    except ClientError as error:
        return error.response["Error"]["Code"]


def arn(name, account=ONE):
    return f"arn:aws:iam::{account}:user/{name}"


def everything(bucket=BUCKET):
    return {"Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]}


def service(node, name, access):
    return client_of(node, name, access, "secret")


def test_parameters_of_other_actions_meet_no_condition(node, boss):
    ask = lambda method, path, headers=None, who="carl": signed(node, method, path, headers=headers or {}, access=who, secret="secret")[0]
    only_home = {"StringLike": {"s3:prefix": "home/u1/*"}}
    put_policy(boss, {"Effect": "Allow", "Principal": {"AWS": arn("carl")}, "Action": ["s3:ListBucket", "s3:GetObject"], **everything(), "Condition": only_home})
    home = "?prefix=home%2Fu1%2F"
    assert ask("GET", f"/{BUCKET}{home}") == 200
    assert {ask("GET", f"/{BUCKET}/secret"), ask("GET", f"/{BUCKET}/secret{home}"), ask("GET", f"/{BUCKET}{'?prefix=home'}")} == {403}
    denied = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", **everything()}
    put_policy(boss, {**denied, "Condition": {"StringNotLike": {"s3:prefix": "home/u1/*"}}})
    for method in ("GET", "PUT", "DELETE", "HEAD"):
        assert ask(method, f"/{BUCKET}/secret{home}", who="alice") == 403, method
    put_policy(boss, {**denied, "Condition": {"StringNotEquals": {"s3:x-amz-acl": "private"}}})
    assert ask("GET", f"/{BUCKET}/secret", {"x-amz-acl": "private"}, "alice") == 403
    put_policy(boss, {"Effect": "Allow", "Principal": {"AWS": arn("carl")}, "Action": ["s3:GetObject", "s3:PutObject"], **everything(),
                      "Condition": {"StringEquals": {"s3:x-amz-storage-class": "STANDARD"}}})
    assert ask("GET", f"/{BUCKET}/secret", {"x-amz-storage-class": "STANDARD"}) == 403


def test_a_condition_that_no_action_has_is_refused(boss):
    for action, key in (("s3:GetObject", "s3:prefix"), ("s3:Get*", "s3:x-amz-acl"), ("s3:DeleteObject", "s3:ExistingObjectTag/a")):
        statement = {"Effect": "Allow", "Principal": "*", "Action": action, **everything(), "Condition": {"StringEquals": {key: "x"}}}
        with pytest.raises(ClientError, match="Conditions do not apply to combination of actions and resources in statement") as error:
            put_policy(boss, statement)
        assert error.value.response["Error"]["Code"] == "MalformedPolicy"


def test_a_denied_action_that_applies_to_no_resource_of_its_statement_is_refused(boss):
    whole, inside = f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"
    put = lambda effect, action, resource: put_policy(boss, {"Effect": effect, "Principal": "*", "Action": action, "Resource": resource})
    for action, resource in (("s3:GetObject", whole), ("s3:HeadObject", whole), ("s3:ListBucket", inside), (["s3:GetObject", "s3:ListBucket"], inside),
                             ("s3:AbortMultipartUpload", [whole]), ("s3:PutBucket*", f"{whole}/folder/*")):
        with pytest.raises(ClientError, match=r"Action does not apply to any resource\(s\) in statement") as error:
            put("Deny", action, resource)
        assert error.value.response["Error"]["Code"] == "MalformedPolicy"
    for action, resource in (("s3:*", whole), ("s3:Get*", inside), (["s3:GetObject", "s3:ListBucket"], [whole, inside]),
                             (["s3:GetObject", "s3:ListBucket"], f"{whole}*"), ("s3:DeleteObject", f"{whole}/${{aws:username}}/*")):
        put("Deny", action, resource)
        boss.delete_bucket_policy(Bucket=BUCKET)
    # What cannot be done may be allowed.
    put("Allow", "s3:GetObject", whole)
    boss.delete_bucket_policy(Bucket=BUCKET)


def test_an_account_that_is_excepted_from_a_deny_is_its_root(node, boss):
    alice, bob = node.client("alice", "secret"), node.client("bob", "secret")
    deny = lambda *names: {"Effect": "Deny", "NotPrincipal": {"AWS": list(names)}, "Action": "s3:GetObject", **everything()}
    put_policy(boss, deny(arn("bob"), f"arn:aws:iam::{ONE}:root"))
    reads = lambda: [code(client.get_object, Bucket=BUCKET, Key="secret") for client in (boss, bob, alice)]
    assert reads() == ["OK", "OK", "AccessDenied"]
    put_policy(boss, deny(f"arn:aws:iam::{ONE}:root"))
    assert reads() == ["OK", "AccessDenied", "AccessDenied"]


def test_a_name_that_is_taken_up_again_means_nobody_new(node, boss):
    def read(access):
        return code(node.client(access, "secret").get_object, Bucket=BUCKET, Key="secret")

    def make(name, key, who="boss"):
        body = json.dumps({"display_name": name, "user_name": name, "access_key": key, "secret_key": "secret-of-it"}).encode()
        status, _, answer = signed(node, "POST", "/_myfsio/iam/users", body, access=who, secret="secret")
        assert status == 201, answer
        return node.client(key, "secret-of-it")

    get = lambda client: code(client.get_object, Bucket=BUCKET, Key="secret")
    for named in (arn("zoe"), "zoe", "ZOEKEY1"):
        zoe = make("zoe", "ZOEKEY1")
        put_policy(boss, {"Effect": "Allow", "Principal": {"AWS": named}, "Action": "s3:GetObject", **everything()})
        assert get(zoe) == "OK", named
        status, _, answer = signed(node, "PATCH", "/_myfsio/iam/users/zoe", json.dumps({"user_name": "zoe2", "display_name": "zoe2"}).encode(), access="boss", secret="secret")
        assert status == 200 and get(zoe) == "OK", f"{named}: it stays who it was: {answer}"
        assert signed(node, "DELETE", "/_myfsio/iam/users/zoe2", access="boss", secret="secret")[0] == 204
        assert get(make("zoe", "ZOEKEY1")) == "AccessDenied", named
        assert signed(node, "DELETE", "/_myfsio/iam/users/zoe", access="boss", secret="secret")[0] == 204
    for nobody in (arn("nobody"), "nobody", f"arn:aws:iam::{ONE}:role/none", f"arn:aws:sts::{ONE}:assumed-role/none/s"):
        with pytest.raises(ClientError, match="Invalid principal in policy"):
            put_policy(boss, {"Effect": "Allow", "Principal": {"AWS": nobody}, "Action": "s3:GetObject", **everything()})


def test_a_policy_that_is_typed_by_hand_means_who_goes_by_the_name(node, boss):
    path = node.root / ".myfsio.sys/config/bucket_policies.json"
    statement = {"Effect": "Allow", "Principal": {"AWS": arn("carl")}, "Action": "s3:GetObject", **everything()}
    file = json.loads(path.read_text()) if path.exists() else {"policies": {}}
    path.write_text(json.dumps({**file, "policies": {**file["policies"], BUCKET: document(statement)}}))
    assert code(node.client("carl", "secret").get_object, Bucket=BUCKET, Key="secret") == "OK"
    good = path.read_text()
    path.write_text(good.replace("policies", "polices"))
    assert code(node.client("carl", "secret").get_object, Bucket=BUCKET, Key="secret") == "OK", "the last good state stays"
    path.write_text(good)


def test_a_role_trusts_whom_it_trusted(node):
    iam = service(node, "iam", "boss")
    trust = json.dumps(document({"Effect": "Allow", "Principal": {"AWS": arn("ghost")}, "Action": "sts:AssumeRole"}))
    assert code(iam.create_role, RoleName="haunted", AssumeRolePolicyDocument=trust) == "MalformedPolicyDocument"
    # A name that is somebody's access key is nobody else's anyway.
    node.add_users({**person("ghost"), "access_key": "key-of-ghost"}, person("renamer", allow("iam:UpdateUser")))
    iam.create_role(RoleName="haunted", AssumeRolePolicyDocument=trust)
    assume = lambda access: code(service(node, "sts", access).assume_role, RoleArn=f"arn:aws:iam::{ONE}:role/haunted", RoleSessionName="boo")
    assert (assume("key-of-ghost"), assume("renamer")) == ("OK", "AccessDenied")
    renamer = service(node, "iam", "renamer")
    renamer.update_user(UserName="ghost", NewUserName="ghost2")
    renamer.update_user(UserName="renamer", NewUserName="ghost")
    assert (assume("key-of-ghost"), assume("renamer")) == ("OK", "AccessDenied")


def test_nobody_in_an_account_gets_hold_of_its_root(node):
    iam = service(node, "iam", "helper")
    user = {"UserName": "boss"}
    calls = [lambda: iam.create_access_key(**user), lambda: iam.delete_user(**user), lambda: iam.update_user(**user, NewUserName="x"),
             lambda: iam.put_user_policy(**user, PolicyName="p", PolicyDocument=json.dumps(document({**allow("*"), "Effect": "Deny"}))),
             lambda: iam.tag_user(**user, Tags=[{"Key": "a", "Value": "b"}])]
    assert {code(call) for call in calls} == {"AccessDenied"}
    assert signed(node, "DELETE", "/_myfsio/iam/users/boss", access="helper", secret="secret")[0] == 403
    account = "777788889999"
    node.add_users(person("chief", allow("*"), account=account), person("aide", allow("iam:DeleteUser"), account=account))
    aide = node.client("aide", "secret")
    assert signed(node, "DELETE", "/_myfsio/iam/users/chief", access="aide", secret="secret")[0] == 204
    assert code(aide.create_bucket, Bucket=f"aide-{uuid.uuid4().hex[:8]}") == "AccessDenied", "who is left is not the root"


def test_owning_gives_nobody_access_to_give_on(node, boss):
    writer, sharer, maker = (node.client(name, "secret") for name in ("writer", "sharer", "maker"))
    writer.put_object(Bucket=BUCKET, Key="own", Body=b"x")
    assert code(writer.get_object, Bucket=BUCKET, Key="own") == "OK"
    assert code(writer.put_object, Bucket=BUCKET, Key="own", Body=b"x", ACL="public-read") == "AccessDenied"
    assert code(writer.put_object_acl, Bucket=BUCKET, Key="own", ACL="public-read") == "AccessDenied"
    assert code(writer.put_object, Bucket=BUCKET, Key="own", Body=b"x", ACL="private") == "OK"
    assert code(sharer.put_object, Bucket=BUCKET, Key="shared", Body=b"x", ACL="public-read") == "OK"
    maker.create_bucket(Bucket="made")
    opened = {"Effect": "Allow", "Principal": "*", "Action": "s3:*", **everything("made")}
    assert code(put_policy, maker, opened, bucket="made") == "AccessDenied"
    closed = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", **everything("made")}
    put_policy(boss, closed, bucket="made")
    assert code(boss.list_objects_v2, Bucket="made") == "AccessDenied"
    boss.delete_bucket_policy(Bucket="made")


def test_who_may_not_read_learns_no_etag_from_conditions(node, boss):
    """By whether a write goes through, one could try which object it is. That there is none may be asked by who may write."""
    etag = boss.put_object(Bucket=BUCKET, Key="guessed", Body=b"x")["ETag"]

    def send(name, key, **fields):
        fields = {field.replace("_", "-"): value for field, value in fields.items()}
        client = node.client(name, "secret")
        made = client.generate_presigned_post(BUCKET, key, Fields=fields, Conditions=[{field: value} for field, value in fields.items()])
        status, _, body = post(node, BUCKET, encode(made["fields"].items()))
        return status if status < 400 else (status, code_of(body))

    denied, failed = (403, "AccessDenied"), (412, "PreconditionFailed")
    for condition in ({"if_match": etag}, {"if_match": '"wrong"'}, {"if_none_match": etag}):
        assert send("writer", "guessed", **condition) == denied, condition
    assert [send("writer", "guessed", if_none_match="*"), send("writer", "fresh", if_none_match="*")] == [failed, 204]
    assert [send("alice", "guessed", if_match='"wrong"'), send("alice", "guessed", if_match=etag)] == [failed, 204]


def test_tags_of_a_session_are_no_system_tags(node):
    iam = service(node, "iam", "boss")
    trust = document({"Effect": "Allow", "Principal": {"AWS": arn("helper")}, "Action": ["sts:AssumeRole", "sts:TagSession"]})
    iam.create_role(RoleName="tagged", AssumeRolePolicyDocument=json.dumps(trust))
    sts = service(node, "sts", "helper")
    ask = lambda key: code(sts.assume_role, RoleArn=f"arn:aws:iam::{ONE}:role/tagged", RoleSessionName="ss", Tags=[{"Key": key, "Value": "1"}])
    assert (ask("team"), ask("aws:team"), ask("AWS:team")) == ("OK", "ValidationError", "ValidationError")
