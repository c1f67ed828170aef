"""What would be decided: a simulated request is decided as the same request is, and a draft tells who gains and loses by it."""

import itertools
import json
import random

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from util import send, signed

pytestmark = pytest.mark.local

ACCOUNT, OTHER = "111122223333", "444455556666"
BOB, KIM = f"arn:aws:iam::{ACCOUNT}:user/bob", f"arn:aws:iam::{OTHER}:user/kim"


def document(name, *statements):
    return {"PolicyName": name, "Version": "2012-10-17", "Statement": list(statements)}


def allow(action, resource="*", **more):
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


USERS = [
    {"access_key": "ann", "user_name": "ann", "account_id": ACCOUNT, "root": True, "policies": []},
    {"access_key": "bob", "user_name": "bob", "account_id": ACCOUNT,
     "policies": [document("some", allow(["s3:GetObject", "s3:PutObjectTagging"], "arn:aws:s3:::photos/a/*"), allow("s3:ListBucket"))]},
    {"access_key": "eve", "user_name": "eve", "account_id": OTHER, "root": True, "policies": []},
    {"access_key": "kim", "user_name": "kim", "account_id": OTHER, "policies": [document("all", allow("s3:*"), {**allow("s3:DeleteObject"), "Effect": "Deny"})]},
    {"access_key": "sam", "user_name": "sam", "account_id": "777788889999", "policies": [{"bucket": "photos", "actions": ["read", "list"], "prefix": "a/"}]},
]


@pytest.fixture(scope="module")
def node():
    import os

    import node as nodes
    if os.environ.get("S3_ENDPOINT"):
        pytest.skip("needs a node of its own")
    made = nodes.Node().start()
    made.add_users(*({"secret_key": "secret", "display_name": user["access_key"].title(), **user} for user in USERS))
    ann = made.client("ann", "secret")
    ann.create_bucket(Bucket="photos")
    for key in ("a/k", "b/k"):
        ann.put_object(Bucket="photos", Key=key, Body=b"k", Tagging="team=red")
    ann.put_object_acl(Bucket="photos", Key="b/k", ACL="authenticated-read")
    yield made
    made.close()


@pytest.fixture(scope="module")
def ann(node):
    return node.client("ann", "secret")


@pytest.fixture(autouse=True)
def no_policy(ann):
    yield
    ann.delete_bucket_policy(Bucket="photos")


def put(ann, *statements):
    ann.put_bucket_policy(Bucket="photos", Policy=json.dumps(policy(*statements)))


def policy(*statements):
    return {"Version": "2012-10-17", "Statement": list(statements)}


def ask(node, who=("localadmin", "localadmin"), body=None, **question):
    body = json.dumps(question).encode() if body is None else body
    status, _, answer = signed(node, "POST", "/_myfsio/simulate", body, access=who[0], secret=who[1])
    return status, json.loads(answer)


def simulate(node, **question):
    status, answer = ask(node, **question)
    assert status == 200, answer
    return answer


def test_a_question(node):
    told = simulate(node, principal=BOB, action="s3:GetObject", bucket="photos", key="a/k")
    assert told["decision"] == "allowed" and told["reason"] == "allowed"
    assert told["deciding_statement"] == {"source": {"kind": "identity", "policy_name": "some", "policy_index": 0}, "sid": None, "index": 0}
    assert [s["matched"] for s in told["statements"]] == [True, False] and "in_force" not in told and "changes" not in told
    told = simulate(node, principal="bob", action="s3:GetObject", resource="arn:aws:s3:::photos/c/k")
    assert (told["decision"], told["reason"]) == ("denied", "no_statement_allows") and told["resource"] == "arn:aws:s3:::photos/c/k"
    user_id = {u["access_key"]: u["user_id"] for u in node.iam()["users"]}["bob"]
    for principal in ("Bob", "bob", BOB, user_id):
        assert simulate(node, principal=principal, action="s3:GetObject", bucket="photos", key="a/k")["principal"]["arn"] == BOB
    for principal in (None, "anonymous"):
        assert simulate(node, principal=principal, action="s3:GetObject", bucket="photos", key="a/k")["reason"] == "anonymous"
    # An alias is asked as what it checks; the key of an action on the bucket has no say.
    assert simulate(node, principal="bob", action="s3:HeadObject", bucket="photos", key="a/k")["decision"] == "allowed"
    assert simulate(node, principal="bob", action="s3:ListBucket", bucket="photos", key="a/k")["resource"] == "arn:aws:s3:::photos"
    assert simulate(node, principal="localadmin", action="iam:CreateUser", resource="*")["decision"] == "allowed"
    assert simulate(node, principal="bob", action="iam:CreateUser", resource=f"arn:aws:iam::{ACCOUNT}:user/new")["decision"] == "denied"


def test_what_the_request_says(node, ann):
    put(ann, {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::photos/*", "Condition": {
        "IpAddress": {"aws:SourceIp": "10.0.0.0/8"}, "DateLessThan": {"aws:CurrentTime": "2030-01-01T00:00:00Z"},
        "StringLike": {"aws:Referer": ["https://example.com/*"]}, "Bool": {"aws:SecureTransport": "true"}}})
    good = {"aws:SourceIp": "10.1.2.3", "aws:currenttime": "2029-01-01T00:00:00Z", "aws:Referer": ["https://example.com/"], "AWS:SecureTransport": True}
    question = {"action": "s3:GetObject", "bucket": "photos", "key": "a/k"}
    assert simulate(node, **question, context=good)["decision"] == "allowed"
    for key, value in (("aws:SourceIp", "11.1.2.3"), ("aws:currenttime", "2031-01-01T00:00:00Z"), ("aws:Referer", []), ("AWS:SecureTransport", False)):
        assert simulate(node, **question, context={**good, key: value})["decision"] == "denied", key
    assert simulate(node, **question)["statements"][0]["condition"] == {"operator": "IpAddress", "key": "aws:SourceIp", "wanted": ["10.0.0.0/8"], "found": []}
    put(ann, {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::photos/*", "Condition": {
        "StringEquals": {"s3:ExistingObjectTag/team": "red"}}})
    assert simulate(node, **question)["decision"] == "allowed"
    assert simulate(node, **question, object_tags={"team": "blue"})["decision"] == "denied"
    assert simulate(node, **{**question, "key": "absent"}, object_tags={"team": "red"})["decision"] == "allowed"


def test_drafts_and_what_they_change(node, ann):
    put(ann, {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::photos/a/*"})
    draft = policy({"Effect": "Allow", "Principal": {"AWS": KIM}, "Action": ["s3:GetObject", "s3:ListBucket"],
                    "Resource": ["arn:aws:s3:::photos", "arn:aws:s3:::photos/b/*"]})
    told = simulate(node, principal=KIM, action="s3:GetObject", bucket="photos", key="b/new", bucket_policy=draft)
    assert told["decision"] == "allowed" and told["in_force"]["decision"] == "denied" and told["changes"]["truncated"] is False
    named = lambda changes: {(c["principal"], c["action"], c["resource"].removeprefix("arn:aws:s3:::")) for c in changes}
    gains, loses = named(told["changes"]["gains"]), named(told["changes"]["loses"])
    assert gains == {(KIM, "s3:GetObject", "photos/b/example"), (KIM, "s3:GetObject", "photos/b/new"), (KIM, "s3:ListBucket", "photos")}
    assert ("anonymous", "s3:GetObject", "photos/a/example") in loses and ("any other account", "s3:GetObject", "photos/a/example") in loses
    assert {resource for _, _, resource in loses} == {"photos/a/example"} and not any(p in (BOB, f"arn:aws:iam::{ACCOUNT}:root") for p, _, _ in loses)
    # None at all, and one that says the same.
    told = simulate(node, action="s3:GetObject", bucket="photos", key="a/k", bucket_policy=None)
    assert told["decision"] == "denied" and told["in_force"]["decision"] == "allowed" and ("anonymous", "s3:GetObject", "photos/a/k") in named(told["changes"]["loses"])
    in_force = ann.get_bucket_policy(Bucket="photos")["Policy"]
    for same in (in_force, json.loads(in_force)):
        assert simulate(node, action="s3:GetObject", bucket="photos", key="a/k", bucket_policy=same)["changes"] == {"gains": [], "loses": [], "truncated": False}


def test_other_policies_of_a_principal(node):
    wider = [document("more", allow("s3:*", ["arn:aws:s3:::photos", "arn:aws:s3:::photos/*"]))]
    told = simulate(node, principal="bob", action="s3:PutObject", bucket="photos", key="b/k", identity_policies=wider)
    assert told["decision"] == "allowed" and told["in_force"]["decision"] == "denied" and told["changes"]["loses"] == []
    assert {c["principal"] for c in told["changes"]["gains"]} == {BOB}
    told = simulate(node, principal="bob", action="s3:GetObject", bucket="photos", key="a/k", identity_policies=[])
    assert told["decision"] == "denied" and told["changes"]["gains"] == []
    assert ("s3:GetObject", "arn:aws:s3:::photos/a/k") in {(c["action"], c["resource"]) for c in told["changes"]["loses"]}
    told = simulate(node, principal="bob", action="s3:GetObject", bucket="photos", key="b/k", identity_policies=[{"bucket": "photos", "actions": ["read"]}])
    assert told["decision"] == "allowed" and told["deciding_statement"]["index"] is None


def test_roles_and_groups(node, ann):
    before = node.iam()
    trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": BOB}, "Action": "sts:AssumeRole"}]}
    role = {"role_name": "reader", "account_id": ACCOUNT, "role_id": "AROAAAAAAAAAAAAAAAAAA", "canonical_id": "ab" * 32, "assume_role_policy": trust,
            "policies": [document("read", allow("s3:GetObject", "arn:aws:s3:::photos/a/*"))], "max_session_duration": 3600}
    group = {"name": "editors", "account_id": ACCOUNT, "policies": [document("edit", allow("s3:PutObject", "arn:aws:s3:::photos/b/*"))],
             "attached_policies": ["arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"]}
    users = [{**user, "groups": ["editors"]} if user.get("access_key") == "bob" else user for user in before["users"]]
    node.write_iam({**before, "users": users, "roles": [role], "groups": [group]})
    try:
        ann.list_buckets()
        arn = f"arn:aws:iam::{ACCOUNT}:role/reader"
        for principal in (arn, f"arn:aws:sts::{ACCOUNT}:assumed-role/reader/me"):
            told = simulate(node, principal=principal, action="s3:GetObject", bucket="photos", key="a/k")
            assert told["decision"] == "allowed" and told["principal"]["kind"] == "role", told
        assert told["principal"]["arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/reader/me" and told["principal"]["user_id"].endswith(":me")
        told = simulate(node, principal="bob", action="s3:PutObject", bucket="photos", key="b/k")
        assert told["deciding_statement"]["source"] == {"kind": "group", "policy_name": "edit", "group": "editors", "policy_index": 0}
        told = simulate(node, principal="bob", action="s3:GetObject", bucket="photos", key="c/k")
        assert told["deciding_statement"]["source"]["policy_arn"] == "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
        deny = policy({"Effect": "Deny", "Principal": {"AWS": arn}, "Action": "s3:*", "Resource": "arn:aws:s3:::photos/*"})
        told = simulate(node, action="s3:GetObject", bucket="photos", key="a/k", bucket_policy=deny)
        assert {c["principal"] for c in told["changes"]["loses"]} == {arn}
    finally:
        node.write_iam(before)


def test_mistakes_have_their_place(node):
    base = {"principal": "bob", "action": "s3:GetObject", "bucket": "photos", "key": "a/k"}
    statement = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::photos/*"}
    rows = [
        ({"bucket_policy": policy({**statement, "Action": "s3:Fly"})}, "MalformedPolicy", "Statement[0].Action"),
        ({"bucket_policy": policy(statement, {**statement, "Resource": "arn:aws:s3:::videos/*"})}, "MalformedPolicy", "Statement[1].Resource"),
        ({"bucket_policy": "{"}, "MalformedPolicy", "Policy"),
        ({"identity_policies": [document("p", {**allow("s3:*"), "Condition": {"Fits": {"s3:prefix": "a"}}})]}, "MalformedPolicy", "identity_policies[0].Statement[0].Condition.Fits"),
        ({"identity_policies": [{"bucket": "*", "actions": ["read", "fly"]}]}, "MalformedPolicy", "identity_policies[0].actions"),
        ({"principal": None, "identity_policies": []}, "InvalidArgument", ""),
        ({"principal": "ghost"}, "InvalidArgument", ""),
        ({"action": "s3:Fly"}, "InvalidArgument", ""),
        ({"key": None}, "InvalidArgument", ""),
        ({"bucket": None}, "InvalidArgument", ""),
        ({"bucket": "absent-bucket"}, "NoSuchBucket", ""),
        ({"bucket": "NO"}, "InvalidBucketName", ""),
        ({"context": {"nonsense": "x"}}, "InvalidArgument", ""),
        ({"context": {"aws:username": "ann"}}, "InvalidArgument", ""),
        ({"context": {"aws:SourceIp": "10.0.0.0/8"}}, "InvalidArgument", ""),
        ({"context": {"s3:prefix": {"a": 1}}}, "InvalidArgument", ""),
        ({"resource": "arn:aws:s3:::photos/a/k"}, "InvalidArgument", ""),
        ({"draft": {}}, "InvalidRequest", ""),
    ]
    for more, code, place in rows:
        status, answer = ask(node, **{**base, **more})
        assert (status, answer["error"]["code"]) == (404 if code == "NoSuchBucket" else 400, code), (more, answer)
        assert place in answer["error"]["message"], (more, answer)
    for body in (b"", b"{", b"[]", b'{"action": "s3:GetObject", "action": "s3:PutObject"}', b"\xff"):
        status, answer = ask(node, body=body)
        assert (status, answer["error"]["code"]) == (400, "InvalidRequest"), body
    assert ask(node, body=b" " * (257 * 1024))[0] == 400


def test_who_may_ask(node, ann):
    question = {"principal": BOB, "action": "s3:GetObject", "bucket": "photos", "key": "a/k"}
    status, answer = ask(node, ("ann", "secret"), **question)
    assert status == 200 and len(answer["statements"]) == 2
    for who in ("bob", "eve", "kim", "sam"):
        assert ask(node, (who, "secret"), **question)[0] == 403, who
    assert send(node.endpoint, "POST", "/_myfsio/simulate", json.dumps(question).encode())[0] == 403
    # What is no bucket of its own is for administrators, and so are policies of another account's user.
    assert ask(node, ("ann", "secret"), principal=BOB, action="iam:CreateUser", resource="*")[0] == 403
    assert ask(node, ("ann", "secret"), principal=BOB, action="s3:GetObject", bucket="absent-bucket", key="k")[0] == 403
    kim = next(user for user in node.iam()["users"] if user["access_key"] == "kim")
    condition = {"StringLike": {"aws:userid": "x", "aws:PrincipalAccount": "x", "aws:username": "x"}}
    asks = policy({"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::photos/*", "Condition": condition},
                  {"Effect": "Allow", "Principal": {"AWS": BOB}, "Action": "s3:GetObject", "Resource": "arn:aws:s3:::photos/*"})
    for name, secrets in ((KIM, [kim["user_id"], "Kim"]), (kim["user_id"], [OTHER, "user/kim", "Kim"])):
        status, answer = ask(node, ("ann", "secret"), **{**question, "principal": name})
        assert status == 200 and answer["statements"] == [] and "not shown" in answer["notes"][-1]
        for policies in ({"bucket_policy": asks}, {}):
            status, answer = ask(node, ("ann", "secret"), **{**question, "principal": name}, **policies)
            assert status == 200 and not [secret for secret in secrets if secret in json.dumps(answer)], answer
    # By a name or access key strangers are not found, whatever else is wrong with the question.
    ghost = ask(node, ("ann", "secret"), **{**question, "principal": "ghost"}, identity_policies=[{"Statement": []}])
    assert ghost[0] == 400
    for name in ("kim", "Kim"):
        status, answer = ask(node, ("ann", "secret"), **{**question, "principal": name}, identity_policies=[{"Statement": []}])
        assert status == 400 and answer["error"]["message"] == ghost[1]["error"]["message"]
    for whole in (OTHER, "kim", kim["user_id"]):
        draft = policy({"Effect": "Allow", "Principal": {"AWS": whole}, "Action": "s3:GetObject", "Resource": "arn:aws:s3:::photos/*"})
        status, answer = ask(node, ("ann", "secret"), **question, bucket_policy=draft)
        assert status == 200 and "user/kim" not in json.dumps(answer), answer
    everybody = policy({"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::photos/*"})
    status, answer = ask(node, ("ann", "secret"), **question, bucket_policy=everybody)
    assert status == 200 and KIM not in json.dumps(answer["changes"]) and "any other account" in json.dumps(answer["changes"])
    for_kim = policy({"Effect": "Allow", "Principal": {"AWS": KIM}, "Action": "s3:GetObject", "Resource": "arn:aws:s3:::photos/*"})
    status, answer = ask(node, ("ann", "secret"), **question, bucket_policy=for_kim)
    assert status == 200 and KIM in json.dumps(answer["changes"]["gains"])
    # Whoever may set the bucket's policy may ask, too.
    put(ann, {"Effect": "Allow", "Principal": {"AWS": BOB}, "Action": "s3:PutBucketPolicy", "Resource": "arn:aws:s3:::photos"})
    assert ask(node, ("bob", "secret"), **question)[0] == 200


def test_much_is_tried_within_bounds(node):
    """As many statements as fit, each with a resource of its own, for every action."""
    statements = [{"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": f"arn:aws:s3:::photos/{i}/*"} for i in range(170)]
    told = simulate(node, action="s3:GetObject", bucket="photos", key="a/k", bucket_policy=policy(*statements))
    assert told["changes"]["truncated"] is True and len(told["changes"]["gains"]) == 1000


CALLS = {
    "s3:GetObject": lambda c, key: c.get_object(Bucket="photos", Key=key),
    "s3:GetObjectAcl": lambda c, key: c.get_object_acl(Bucket="photos", Key=key),
    "s3:GetObjectTagging": lambda c, key: c.get_object_tagging(Bucket="photos", Key=key),
    "s3:PutObjectTagging": lambda c, key: c.put_object_tagging(Bucket="photos", Key=key, Tagging={"TagSet": [{"Key": "team", "Value": "red"}]}),
    "s3:DeleteObject": lambda c, key: c.delete_object(Bucket="photos", Key=key),
    "s3:ListBucket": lambda c, _: c.list_objects_v2(Bucket="photos", Prefix="a/"),
    "s3:GetBucketLocation": lambda c, _: c.get_bucket_location(Bucket="photos"),
    "s3:GetBucketPolicy": lambda c, _: c.get_bucket_policy(Bucket="photos"),
    "s3:GetBucketTagging": lambda c, _: c.get_bucket_tagging(Bucket="photos"),
}
PRINCIPALS = ["ann", "bob", "eve", "kim", "sam", None]


def random_statement(rng):
    names = [{"AWS": "*"}, {"AWS": BOB}, {"AWS": [KIM, "sam"]}, {"AWS": OTHER}, {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}]
    resources = ["arn:aws:s3:::photos", "arn:aws:s3:::photos/*", "arn:aws:s3:::photos/a/*", "arn:aws:s3:::photos/?/k", "*"]
    conditions = [{"IpAddress": {"aws:SourceIp": "127.0.0.1"}}, {"NotIpAddress": {"aws:SourceIp": "127.0.0.1"}}, {"StringEquals": {"s3:prefix": "a/"}},
                  {"StringEquals": {"s3:ExistingObjectTag/team": "red"}}, {"StringNotEquals": {"aws:PrincipalType": "Anonymous"}},
                  {"StringEqualsIfExists": {"aws:username": ["bob", "kim"]}}, {"Null": {"aws:Referer": "true"}}, {"Bool": {"aws:SecureTransport": "false"}}]
    statement = {"Effect": rng.choice(["Allow", "Allow", "Deny"]), "Principal": rng.choice(["*", *names]),
                 "Action": rng.sample([*CALLS, "s3:Get*", "s3:*"], rng.randint(1, 3)), "Resource": rng.sample(resources, rng.randint(1, 2))}
    if rng.random() < 0.15:
        statement["NotAction"] = statement.pop("Action")
    if rng.random() < 0.5:
        condition = rng.choice(conditions)
        # A key of S3 has its place beside an action that has it.
        needs = {"s3:prefix": "s3:ListBucket", "s3:ExistingObjectTag/team": "s3:GetObject"}
        needed = [action for key, action in needs.items() if key in str(condition)]
        if needed:
            statement["Action"] = [*(statement.pop("NotAction", None) or statement["Action"]), *needed]
        statement["Condition"] = condition
    # Each action applies to one of the resources.
    whole, plain = "arn:aws:s3:::photos", [action for action in statement.get("Action", []) if "*" not in action]
    if any("Bucket" in action for action in plain) and not {whole, "*"} & set(statement["Resource"]):
        statement["Resource"].append(whole)
    if any("Object" in action for action in plain) and statement["Resource"] == [whole]:
        statement["Resource"].append(f"{whole}/*")
    return statement


def test_a_simulated_request_is_decided_as_the_real_one(node, ann):
    rng = random.Random(20261126)
    clients = {who: node.client(who, "secret") for who in PRINCIPALS if who}
    clients[None] = boto3.client("s3", endpoint_url=node.endpoint, region_name="us-east-1",
                                 config=Config(signature_version=UNSIGNED, retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}))
    compared, allowed = 0, 0
    for _ in range(25):
        statements = [random_statement(rng) for _ in range(rng.randint(1, 4))]
        put(ann, *statements)
        for who, action in itertools.product(PRINCIPALS, rng.sample(list(CALLS), 4)):
            key = rng.choice(["a/k", "b/k"]) if action != "s3:DeleteObject" else rng.choice(["a/gone", "b/gone"])
            context = {"aws:SourceIp": "127.0.0.1", **({"s3:prefix": "a/"} if action == "s3:ListBucket" else {})}
            told = simulate(node, principal=who, action=action, bucket="photos", key=key, context=context)
            try:
                CALLS[action](clients[who], key)
                real = True
            except ClientError as error:
                real = error.response["ResponseMetadata"]["HTTPStatusCode"] != 403
            assert (told["decision"] == "allowed") == real, json.dumps([who, action, key, statements, told])
            compared, allowed = compared + 1, allowed + real
    assert compared == 600 and 100 < allowed < 500, (compared, allowed)
