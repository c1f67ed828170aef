"""Why was it refused: each refusal is found by the id of its request, by those whom it concerns.

`ann` is the root of an account of her own and owns the buckets; `bob` is a user of her account, `eve` one of another.
"""

import json

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config

from util import refused, send, signed

pytestmark = pytest.mark.local

ACCOUNT = "111122223333"


def document(name, *statements):
    return {"PolicyName": name, "Version": "2012-10-17", "Statement": list(statements)}


def allow(action, resource="*", **more):
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


USERS = [
    {"access_key": "ann", "secret_key": "secret", "display_name": "Ann", "user_name": "ann", "account_id": ACCOUNT, "root": True, "policies": []},
    {"access_key": "bob", "secret_key": "secret", "display_name": "Bob", "user_name": "bob", "account_id": ACCOUNT,
     "policies": [document("tags", allow("s3:GetObjectTagging")), document("no-notes", {**allow("s3:*", "arn:aws:s3:::*/notes/*"), "Effect": "Deny", "Sid": "notes"})]},
    {"access_key": "eve", "secret_key": "secret", "display_name": "Eve", "user_name": "eve", "account_id": "444455556666", "root": True, "policies": []},
    {"access_key": "kim", "secret_key": "secret", "display_name": "Kim", "user_name": "kim", "account_id": "444455556666",
     "policies": [document("all", allow("s3:*")), document("not-this", {**allow("s3:GetObjectAcl"), "Effect": "Deny"})]},
    {"access_key": "sam", "secret_key": "secret", "display_name": "Sam", "policies": [{"bucket": "other-bucket", "actions": ["read"]}]},
]


@pytest.fixture(scope="module")
def node():
    import os

    import node as nodes
    if os.environ.get("S3_ENDPOINT"):
        pytest.skip("needs a node of its own")
    made = nodes.Node(EXPLAIN_BYTES=200_000).start()
    made.add_users(*USERS)
    ann = made.client("ann", "secret")
    ann.create_bucket(Bucket="photos")
    for key in ("k", "notes/n", "j"):
        ann.put_object(Bucket="photos", Key=key, Body=b"k")
    yield made
    made.close()


@pytest.fixture(scope="module")
def ann(node):
    return node.client("ann", "secret")


@pytest.fixture
def policy(ann):
    """Sets the bucket's policy; it ends with the test."""
    def put(*statements):
        ann.put_bucket_policy(Bucket="photos", Policy=json.dumps({"Version": "2012-10-17", "Statement": list(statements)}))
    yield put
    ann.delete_bucket_policy(Bucket="photos")


def nobody(node):
    return boto3.client("s3", endpoint_url=node.endpoint, region_name="us-east-1",
                        config=Config(signature_version=UNSIGNED, retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}))


def explain(node, request_id, who=("localadmin", "localadmin")):
    status, _, body = signed(node, "GET", f"/_myfsio/explain?request_id={request_id}", access=who[0], secret=who[1])
    return status, json.loads(body)


def why(node, call, *codes, who=("localadmin", "localadmin")):
    """The explanation of a call that must be refused."""
    with refused(403, *(codes or ("AccessDenied", "403"))) as answer:
        call()
    status, told = explain(node, answer["ResponseMetadata"]["RequestId"], who)
    assert status == 200, told
    assert told["request_id"] == answer["ResponseMetadata"]["RequestId"] and told["decision"] == "denied"
    return told


def test_no_statement(node):
    bob = node.client("bob", "secret")
    told = why(node, lambda: bob.get_object(Bucket="photos", Key="k"))
    assert told["source_ip"] == "127.0.0.1" and told["time"].endswith("Z") and told["code"] == "AccessDenied"
    assert told["principal"]["kind"] == "user" and told["principal"]["arn"] == f"arn:aws:iam::{ACCOUNT}:user/bob"
    assert told["principal"]["access_key"] == "bob" and told["principal"]["account_id"] == ACCOUNT
    assert (told["action"], told["resource"], told["bucket"]) == ("s3:GetObject", "arn:aws:s3:::photos/k", "photos")
    assert told["reason"] == "no_statement_allows" and told["deciding_statement"] is None
    assert told["message"] == f"No statement allows s3:GetObject on arn:aws:s3:::photos/k to arn:aws:iam::{ACCOUNT}:user/bob; 2 statements were considered."
    first, second = told["statements"]
    assert first["source"] == {"kind": "identity", "policy_name": "tags", "policy_index": 0} and first["index"] == 0
    assert (first["effect"], first["matched"], first["why"]) == ("Allow", False, "Its actions do not include s3:GetObject.")
    assert (second["effect"], second["sid"], second["why"]) == ("Deny", "notes", "Its resources do not include arn:aws:s3:::photos/k.")
    assert told["further"] == []


def test_an_identity_policy_denies(node):
    bob = node.client("bob", "secret")
    told = why(node, lambda: bob.get_object(Bucket="photos", Key="notes/n"))
    assert told["reason"] == "explicit_deny"
    assert told["deciding_statement"] == {"source": {"kind": "identity", "policy_name": "no-notes", "policy_index": 1}, "sid": "notes", "index": 0}
    assert 'Statement[0] "notes" of the caller\'s policies[1] "no-notes" denies s3:GetObject' in told["message"]
    assert [s["matched"] for s in told["statements"]] == [False, True]


def test_a_bucket_policy_denies(node, policy):
    policy({"Sid": "open", "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::photos/*"},
           {"Sid": "but-bob", "Effect": "Deny", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:user/bob"}, "Action": "s3:*", "Resource": "arn:aws:s3:::photos/*"})
    told = why(node, lambda: node.client("bob", "secret").get_object(Bucket="photos", Key="k"))
    assert told["deciding_statement"] == {"source": {"kind": "bucket"}, "sid": "but-bob", "index": 1}
    of_bucket = [s for s in told["statements"] if s["source"]["kind"] == "bucket"]
    assert [(s["sid"], s["matched"], s["why"]) for s in of_bucket] == [
        ("open", True, "It applies, and allows."), ("but-bob", True, "It applies, and denies.")]


def test_a_condition_is_unmet(node, policy):
    policy({"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::photos/*",
            "Condition": {"IpAddress": {"aws:SourceIp": ["10.0.0.0/8", "192.168.0.0/16"]}}},
           {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::photos/*",
            "Condition": {"StringEquals": {"aws:Referer": "https://example.com/"}}})
    told = why(node, lambda: nobody(node).get_object(Bucket="photos", Key="k"))
    assert told["principal"]["kind"] == "anonymous" and told["reason"] == "anonymous"
    address, referer = told["statements"]
    assert address["condition"] == {"operator": "IpAddress", "key": "aws:SourceIp", "wanted": ["10.0.0.0/8", "192.168.0.0/16"], "found": ["127.0.0.1"]}
    assert address["why"] == "Its condition IpAddress on aws:SourceIp wants 10.0.0.0/8, 192.168.0.0/16, and the request has 127.0.0.1."
    assert referer["condition"]["found"] == [] and referer["why"].endswith("and the request has nothing.")


def test_lists_and_blocks(node, ann, policy):
    told = why(node, lambda: nobody(node).get_object(Bucket="photos", Key="k"))
    assert told["statements"] == [] and told["notes"] == []
    ann.put_object_acl(Bucket="photos", Key="k", ACL="authenticated-read")
    told = why(node, lambda: nobody(node).get_object(Bucket="photos", Key="k"))
    assert told["notes"] == ["no grant of the object's access control list gives it to the caller"]
    block = {"BlockPublicAcls": True, "IgnorePublicAcls": True, "BlockPublicPolicy": False, "RestrictPublicBuckets": True}
    policy({"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::photos/*"})
    ann.put_public_access_block(Bucket="photos", PublicAccessBlockConfiguration=block)
    try:
        told = why(node, lambda: nobody(node).get_object(Bucket="photos", Key="k"))
        assert [s["matched"] for s in told["statements"]] == [True]
        assert any(note.startswith("RestrictPublicBuckets") for note in told["notes"])
        assert any(note.startswith("IgnorePublicAcls") for note in told["notes"])
        told = why(node, lambda: ann.put_object_acl(Bucket="photos", Key="k", ACL="public-read"))
        assert told["reason"] == "public_access_block" and "BlockPublicAcls" in told["message"] and told["action"] == "s3:PutObjectAcl"
        assert told["principal"]["arn"] == f"arn:aws:iam::{ACCOUNT}:root" and told["resource"] == "arn:aws:s3:::photos/k"
    finally:
        ann.delete_public_access_block(Bucket="photos")
        ann.put_object_acl(Bucket="photos", Key="k", ACL="private")


def test_a_missing_object(node, ann, policy):
    policy({"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::photos/*"})
    told = why(node, lambda: nobody(node).get_object(Bucket="photos", Key="absent"))
    assert told["action"] == "s3:ListBucket" and told["message"].startswith("There is no object absent, which is told only to those who may list the bucket.")


def test_credentials(node):
    told = why(node, lambda: node.client("bob", "wrong").get_object(Bucket="photos", Key="k"), "SignatureDoesNotMatch")
    assert (told["code"], told["reason"]) == ("SignatureDoesNotMatch", "authentication")
    assert told["principal"] == {"kind": "unproven", "arn": None, "access_key": "bob", "user_id": None, "account_id": None, "display_name": None}
    assert (told["action"], told["resource"], told["statements"]) == ("s3:GetObject", "arn:aws:s3:::photos/k", [])
    told = why(node, lambda: node.client("nobody", "wrong").list_buckets(), "InvalidAccessKeyId")
    assert told["principal"]["access_key"] == "nobody" and told["cause"] == "no such access key"
    # The user whose key it is may learn of it; another may not.
    with refused(403) as answer:
        node.client("bob", "wrong").get_object(Bucket="nowhere", Key="k")
    request_id = answer["ResponseMetadata"]["RequestId"]
    assert explain(node, request_id, ("bob", "secret"))[0] == 200
    assert explain(node, request_id, ("eve", "secret"))[0] == 404
    # Also what is answered 400.
    status, headers, body = send(node.endpoint, "GET", "/photos/k", headers={"Authorization": "AWS4-HMAC-SHA256 nonsense"})
    assert status == 400
    status, told = explain(node, headers["x-amz-request-id"])
    assert status == 200 and told["reason"] == "authentication" and told["code"] in body.decode()


def test_a_hint_is_told(node):
    def call():
        client = node.client("bob", "secret")
        client.meta.events.register("before-send.s3.GetObject", lambda request, **_: setattr(request, "method", "HEAD"))
        client.get_object(Bucket="photos", Key="k")
    with refused(403) as answer:
        call()
    status, told = explain(node, answer["ResponseMetadata"]["HTTPHeaders"]["x-amz-request-id"])
    assert status == 200 and "The signature matches for the method GET" in told["hint"]


def test_one_key_of_a_batch(node, ann, policy):
    policy({"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:user/bob"}, "Action": "s3:DeleteObject", "Resource": "arn:aws:s3:::photos/tmp/*"})
    bob = node.client("bob", "secret")
    keys = ["tmp/a", "kept/a", "tmp/b", "kept/b"]
    answer = bob.delete_objects(Bucket="photos", Delete={"Objects": [{"Key": key} for key in keys]})
    assert {e["Key"] for e in answer["Errors"]} == {"kept/a", "kept/b"}
    status, told = explain(node, answer["ResponseMetadata"]["RequestId"])
    assert status == 200 and (told["action"], told["resource"]) == ("s3:DeleteObject", "arn:aws:s3:::photos/kept/a")
    assert [further["resource"] for further in told["further"]] == ["arn:aws:s3:::photos/kept/b"]
    assert told["statements"][0]["why"] == "Its resources do not include arn:aws:s3:::photos/kept/a." and told["further_left_out"] == 0
    many = [{"Key": f"kept/{i}"} for i in range(200)]
    answer = bob.delete_objects(Bucket="photos", Delete={"Objects": many})
    status, told = explain(node, answer["ResponseMetadata"]["RequestId"])
    assert status == 200 and len(told["further"]) == 20 and told["further_left_out"] == 179
    assert all(further["statements"] for further in told["further"])


def test_who_may_ask(node, ann, policy):
    policy({"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::444455556666:root"}, "Action": "s3:GetObject*", "Resource": "arn:aws:s3:::photos/*"})
    kim = node.client("kim", "secret")
    with refused(403) as answer:
        kim.get_object_acl(Bucket="photos", Key="k")
    request_id = answer["ResponseMetadata"]["RequestId"]
    status, whole = explain(node, request_id)
    assert status == 200 and whole["deciding_statement"]["source"]["policy_name"] == "not-this"
    assert {s["source"]["kind"] for s in whole["statements"]} == {"identity", "bucket"}
    # The bucket's owner sees its own policy, but not those of another account's user.
    status, told = explain(node, request_id, ("ann", "secret"))
    assert status == 200 and {s["source"]["kind"] for s in told["statements"]} == {"bucket"} and "not-this" not in json.dumps(told)
    assert told["message"].endswith("with an explicit deny in an identity-based policy") and "2 statements" in told["notes"][-1]
    # The caller sees what AWS tells it.
    status, told = explain(node, request_id, ("kim", "secret"))
    assert status == 200 and "statements" not in told and "notes" not in told and told["action"] == "s3:GetObjectAcl"
    assert told["message"] == ("User: arn:aws:iam::444455556666:user/kim is not authorized to perform: s3:GetObjectAcl on resource: "
                               "arn:aws:s3:::photos/k with an explicit deny in an identity-based policy")
    # Others, even the root of its account, see nothing: and cannot tell that from an id that never was.
    foreign = explain(node, request_id, ("eve", "secret"))
    unknown = explain(node, "0123456789ABCDEF", ("eve", "secret"))
    for status, told in (foreign, unknown, explain(node, "nonsense", ("eve", "secret")), explain(node, request_id, ("sam", "secret"))):
        told["error"].pop("request_id")
        assert (status, told) == (404, {"error": {"code": "NoSuchDecision", "message": "There is no refusal of this request id that you may see."}})
    assert explain(node, "")[0] == 400 and explain(node, "0123456789ABCDEF")[0] == 404
    status, _, _ = send(node.endpoint, "GET", f"/_myfsio/explain?request_id={request_id}")
    assert status == 403
    status, _, _ = signed(node, "POST", f"/_myfsio/explain?request_id={request_id}")
    assert status == 405


def test_routes_of_administrators(node):
    status, headers, _ = signed(node, "POST", "/_myfsio/buckets/photos/adopt", access="ann", secret="secret")
    assert status == 403
    status, told = explain(node, headers["x-amz-request-id"])
    assert status == 200 and told["reason"] == "administrators_only" and told["principal"]["access_key"] == "ann"
    assert told["source_ip"] == "127.0.0.1" and told["resource"] == "/_myfsio/buckets/photos/adopt"


def test_forms_and_websites(node, ann):
    boundary = "x"
    body = f'--{boundary}\r\nContent-Disposition: form-data; name="key"\r\n\r\nform\r\n--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nx\r\n--{boundary}--\r\n'
    status, headers, _ = send(node.endpoint, "POST", "/photos", body.encode(), {"Content-Type": f"multipart/form-data; boundary={boundary}"})
    assert status == 403
    status, told = explain(node, headers["x-amz-request-id"])
    assert status == 200 and (told["action"], told["resource"]) == ("s3:PutObject", "arn:aws:s3:::photos/form")


def test_a_flood_pushes_out_its_own(node):
    """Behind a listed proxy the address is the client's; without one all clients here are the same, so the log only stays bounded."""
    with refused(403) as first:
        node.client("bob", "secret").get_object(Bucket="photos", Key="k")
    for i in range(400):
        status, headers, _ = send(node.endpoint, "GET", f"/photos/{i}")
        assert status == 403
    assert explain(node, headers["x-amz-request-id"])[0] == 200
    assert explain(node, first["ResponseMetadata"]["RequestId"])[0] == 404


def test_a_flood_of_one_client_leaves_others_alone(node_factory):
    node = node_factory(EXPLAIN_BYTES=50_000, TRUSTED_PROXIES="127.0.0.1")
    node.client().create_bucket(Bucket="photos")
    ids = {}
    for client in ("192.0.2.1", "2001:db8::1"):
        _, headers, _ = send(node.endpoint, "GET", "/photos/k", headers={"X-Forwarded-For": client})
        ids[client] = headers["x-amz-request-id"]
    for i in range(300):
        _, headers, _ = send(node.endpoint, "GET", "/photos/k", headers={"X-Forwarded-For": "192.0.2.66" if i % 2 else f"2001:db8:66::{i:x}"})
    for client, request_id in ids.items():
        status, told = explain(node, request_id)
        assert status == 200 and told["source_ip"] == client
    assert explain(node, headers["x-amz-request-id"])[0] == 200


def test_it_can_be_turned_off(node_factory):
    node = node_factory(EXPLAIN_BYTES=0)
    node.client().create_bucket(Bucket="photos")
    _, headers, _ = send(node.endpoint, "GET", "/photos/k")
    assert explain(node, headers["x-amz-request-id"])[0] == 404


def test_secrets_are_not_told(node):
    told = why(node, lambda: node.client("bob", "hunter2hunter2").list_buckets(), "SignatureDoesNotMatch")
    assert "hunter2" not in json.dumps(told)
    status, headers, _ = send(node.endpoint, "GET", "/photos/k", headers={"X-Access-Key": "bob", "X-Secret-Key": "hunter2hunter2"})
    assert status == 403 and "hunter2" not in json.dumps(explain(node, headers["x-amz-request-id"]))


def test_the_apis_of_aws(node):
    iam = boto3.client("iam", endpoint_url=node.endpoint, region_name="us-east-1", aws_access_key_id="bob", aws_secret_access_key="secret",
                       config=Config(retries={"total_max_attempts": 1}))
    told = why(node, lambda: iam.create_user(UserName="new"))
    assert told["action"] == "iam:CreateUser" and told["resource"].endswith(":user/new") and told["reason"] == "no_statement_allows"
    assert told["principal"]["access_key"] == "bob" and [s["source"]["policy_name"] for s in told["statements"]] == ["tags", "no-notes"]
    assert told["source_ip"] == "127.0.0.1" and told["bucket"] is None
    wrong = boto3.client("iam", endpoint_url=node.endpoint, region_name="us-east-1", aws_access_key_id="bob", aws_secret_access_key="wrong",
                         config=Config(retries={"total_max_attempts": 1}))
    told = why(node, lambda: wrong.list_users(), "SignatureDoesNotMatch")
    assert told["reason"] == "authentication" and told["principal"]["access_key"] == "bob"


def test_a_role_that_trusts_others(node):
    trust = {"Version": "2012-10-17", "Statement": [{"Sid": "ann-only", "Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:user/somebody"}, "Action": "sts:AssumeRole"}]}
    before = node.iam()
    node.write_iam({**before, "roles": [{"role_name": "keeper", "account_id": ACCOUNT, "role_id": "AROAAAAAAAAAAAAAAAAAA", "canonical_id": "cd" * 32,
                                         "assume_role_policy": trust, "policies": []}]})
    sts = boto3.client("sts", endpoint_url=node.endpoint, region_name="us-east-1", aws_access_key_id="bob", aws_secret_access_key="secret",
                       config=Config(retries={"total_max_attempts": 1}))
    try:
        told = why(node, lambda: sts.assume_role(RoleArn=f"arn:aws:iam::{ACCOUNT}:role/keeper", RoleSessionName="me"))
    finally:
        node.write_iam(before)
    assert (told["action"], told["resource"], told["reason"]) == ("sts:AssumeRole", f"arn:aws:iam::{ACCOUNT}:role/keeper", "no_trust")
    of_trust = [s for s in told["statements"] if s["source"]["kind"] == "trust"]
    assert [(s["sid"], s["why"]) for s in of_trust] == [("ann-only", f"Its principals do not include arn:aws:iam::{ACCOUNT}:user/bob.")]
