"""Users by JSON (/_myfsio/iam): made, changed, rotated and removed by those who may; what each may then do."""

import json
import time
import urllib.parse

import pytest

from util import refused, send, signed

pytestmark = pytest.mark.local

USERS = "/_myfsio/iam/users"
LIST = {"bucket": "*", "actions": ["list"]}


@pytest.fixture(scope="module")
def node():
    import os

    import node as nodes
    if os.environ.get("S3_ENDPOINT"):
        pytest.skip("needs a node of its own")
    made = nodes.Node(LOG_LEVEL="debug").start()
    made.client().create_bucket(Bucket="shared")
    yield made
    made.close()


def ask(node, method, path="", body=None, expect=200, **who):
    """Asks as the administrator, or as `access` with `secret`; gives back what JSON says, or the error's code."""
    data = b"" if body is None else json.dumps(body).encode()
    status, _, answer = signed(node, method, USERS + path, data, **who)
    assert status == expect, f"{method} {path}: {status} {answer!r}"
    if status == 204:
        assert answer == b""
        return None
    answer = json.loads(answer)
    return answer["error"]["code"] if status >= 400 else answer


def make(node, name, policies=(), **more):
    return ask(node, "POST", body={"display_name": name, "policies": list(policies), **more}, expect=201)


def quoted(name):
    return "/" + urllib.parse.quote(name, safe="")


def lists(node, made):
    return node.client(made["access_key"], made["secret_key"]).list_objects_v2(Bucket="shared")


def test_a_user_is_made_and_its_secret_told_once(node):
    made = make(node, "Replication User", [LIST])
    assert len(made["access_key"]) == 20 and len(made["secret_key"]) == 40
    lists(node, made)
    with refused(403, "AccessDenied"):
        node.client(made["access_key"], made["secret_key"]).put_object(Bucket="shared", Key="k", Body=b"")
    told = ask(node, "GET", quoted("Replication User"))
    [used], [unused] = told["access_keys"], made["user"]["access_keys"]
    assert used.pop("last_used")["service"] == "s3" and unused.pop("last_used") is None
    assert told == made["user"] and told["policies"] == [LIST]
    assert [key["access_key"] for key in told["access_keys"]] == [made["access_key"]]
    everything = json.dumps(ask(node, "GET"))
    assert told["user_id"] in everything and "secret" not in everything
    assert made["secret_key"] not in node.iam_path().read_text()
    ask(node, "DELETE", quoted("Replication User"), expect=204)
    with refused(403, "InvalidAccessKeyId"):
        lists(node, made)
    assert ask(node, "GET", quoted("Replication User"), expect=404) == "NoSuchEntity"


def test_chosen_keys_and_what_is_refused(node):
    made = make(node, "Chosen", access_key="chosen-key", secret_key="chosen-secret", user_name="chosen", path="/team/")
    assert (made["access_key"], made["secret_key"]) == ("chosen-key", "chosen-secret")
    assert made["user"]["arn"].endswith(":user/team/chosen")
    for body, code, status in (
        ({"display_name": "x", "access_key": "chosen-key"}, "EntityAlreadyExists", 409),
        ({"display_name": "x", "user_name": "CHOSEN"}, "EntityAlreadyExists", 409),
        ({"display_name": "x", "access_key": "MyFSIO-command-line"}, "InvalidArgument", 400),
        ({"display_name": " "}, "InvalidArgument", 400),
        ({}, "InvalidArgument", 400),
        ({"display_name": "x", "secret_key": "short"}, "InvalidArgument", 400),
        ({"display_name": "x", "colour": "red"}, "InvalidArgument", 400),
        ({"display_name": "x", "expires_at": "soon"}, "InvalidArgument", 400),
        ({"display_name": "x", "policies": [{"bucket": "*", "actions": ["fly"]}]}, "MalformedPolicyDocument", 400),
        ({"display_name": "x", "policies": {}}, "MalformedPolicyDocument", 400),
    ):
        assert ask(node, "POST", body=body, expect=status) == code, body
    status, _, answer = signed(node, "POST", USERS, b"{")
    assert status == 400 and json.loads(answer)["error"]["code"] == "InvalidArgument"
    assert ask(node, "PUT", expect=405) == "MethodNotAllowed"
    assert ask(node, "PUT", "/chosen", expect=405) == "MethodNotAllowed"
    assert ask(node, "GET", "/chosen/keys", expect=501) == "NotImplemented"
    assert ask(node, "GET", "/%FF", expect=400) == "InvalidURI"
    ask(node, "DELETE", "/chosen-key", expect=204)


def test_policies_in_either_form(node):
    made = make(node, "Both")
    with refused(403, "AccessDenied"):
        lists(node, made)
    document = {"PolicyName": "look", "Version": "2012-10-17",
                "Statement": [{"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::shared"}]}
    for policies in ([document], [LIST], [LIST, document]):
        assert ask(node, "PUT", "/Both/policies", policies)["policies"] == policies
        lists(node, made)
    document["Statement"][0]["Effect"] = "Deny"
    ask(node, "PUT", "/Both/policies", [LIST, document])
    with refused(403, "AccessDenied"):
        lists(node, made)
    assert ask(node, "PUT", "/Both/policies", [{"Statement": []}], expect=400) == "MalformedPolicyDocument"
    ask(node, "DELETE", "/Both", expect=204)


def test_a_name_given_twice_is_refused(node):
    made = make(node, "Twice")
    for body in (b'[{"bucket": "shared", "actions": ["list"], "actions": ["*"]}]',
                 b'[{"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "s3:*", "Resource": "*", "Effect": "Allow"}]}]'):
        status, _, answer = signed(node, "PUT", f"{USERS}/{made['access_key']}/policies", body)
        assert status == 400 and json.loads(answer)["error"]["code"] == "InvalidArgument", answer
    status, _, _ = signed(node, "POST", USERS, b'{"display_name": "a", "policies": [], "policies": [{"bucket": "*", "actions": ["*"]}]}')
    assert status == 400
    assert ask(node, "GET", "/Twice")["policies"] == []
    ask(node, "DELETE", "/Twice", expect=204)


def test_rotation(node):
    made = make(node, "Rotated", [LIST])
    at_once = ask(node, "POST", "/Rotated/rotate")
    assert at_once["access_key"] == made["access_key"] and at_once["replaced"] is None
    with refused(403, "SignatureDoesNotMatch"):
        lists(node, made)
    lists(node, at_once)

    later = ask(node, "POST", "/Rotated/rotate", {"overlap_seconds": 2})
    assert later["access_key"] != made["access_key"] and later["replaced"]["access_key"] == made["access_key"]
    lists(node, at_once)
    lists(node, later)
    deadline = time.monotonic() + 10
    while True:
        try:
            lists(node, at_once)
        except node.client().exceptions.ClientError as error:
            assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 403
            break
        assert time.monotonic() < deadline, "the old key goes on"
        time.sleep(0.2)
    lists(node, later)
    assert ask(node, "POST", "/Rotated/rotate", {"overlap_seconds": 10**12}, expect=400) == "InvalidArgument"
    ask(node, "POST", "/Rotated/rotate", {"access_key": later["access_key"]})
    assert ask(node, "POST", "/Rotated/rotate", expect=400) == "InvalidArgument", "there are two keys"
    ask(node, "DELETE", quoted(later["access_key"]), expect=204)


def test_access_keys(node):
    made = make(node, "Keys", [LIST])
    second = ask(node, "POST", "/Keys/access-keys", expect=201)
    assert ask(node, "POST", "/Keys/access-keys", expect=409) == "LimitExceeded"
    lists(node, second)
    path = "/Keys/access-keys/"
    ask(node, "PATCH", path + made["access_key"], {"enabled": False})
    with refused(403):
        lists(node, made)
    lists(node, second)
    told = ask(node, "PATCH", path + made["access_key"], {"enabled": True, "expires_at": "2020-01-01"})
    assert told["access_keys"][0]["expires_at"] == "2020-01-01T00:00:00Z"
    with refused(403):
        lists(node, made)
    ask(node, "PATCH", path + made["access_key"], {"expires_at": None})
    lists(node, made)
    ask(node, "DELETE", path + made["access_key"], expect=204)
    with refused(403, "InvalidAccessKeyId"):
        lists(node, made)
    assert ask(node, "DELETE", path + made["access_key"], expect=404) == "NoSuchEntity"
    assert ask(node, "DELETE", path + "localadmin", expect=404) == "NoSuchEntity", "of another user"
    lists(node, second)
    ask(node, "DELETE", "/Keys", expect=204)


def test_disabled_ended_renamed_and_grouped(node):
    made = make(node, "Changed", expires_at="2030-01-01T00:00:00Z")
    document = node.iam()
    document["groups"] = [{"name": "listers", "policies": [LIST]}]
    node.write_iam(document)
    with refused(403, "AccessDenied"):
        lists(node, made)
    assert ask(node, "PATCH", "/Changed", {"groups": ["Listers"]})["groups"] == ["listers"]
    lists(node, made)
    assert ask(node, "PATCH", "/Changed", {"groups": ["none"]}, expect=404) == "NoSuchEntity"
    ask(node, "PATCH", "/Changed", {"enabled": False})
    with refused(403):
        lists(node, made)
    ask(node, "PATCH", "/Changed", {"enabled": True, "expires_at": 1})
    with refused(403):
        lists(node, made)
    told = ask(node, "PATCH", "/Changed", {"expires_at": None, "display_name": "Has Changed"})
    assert (told["display_name"], told["user_name"], told["expires_at"]) == ("Has Changed", "Changed", None)
    lists(node, made)
    assert ask(node, "PATCH", quoted("Has Changed"), {"enabled": "yes"}, expect=400) == "InvalidArgument"
    ask(node, "PATCH", quoted("Has Changed"), {"groups": []})
    with refused(403, "AccessDenied"):
        lists(node, made)
    ask(node, "DELETE", quoted("Has Changed"), expect=204)


def test_hand_edits_and_mistakes_of_the_file(node):
    made = make(node, "Edited", [LIST])
    document = node.iam()
    document["users"][-1]["colour"] = "red"
    document["users"].append({"access_key": "typed", "secret_key": "by-hand-secret", "groups": ["nowhere"]})
    node.write_iam(document)
    told = ask(node, "GET")
    assert any("nowhere" in warning for warning in told["warnings"]) and told["problem"] is None
    ask(node, "POST", "/Edited/rotate")
    after = node.iam()
    assert [user["colour"] for user in after["users"] if "colour" in user] == ["red"]
    assert "by-hand-secret" not in node.iam_path().read_text(), "a write seals what was typed"
    broken = node.iam_path().read_text().replace('"users"', '"users', 1)
    node.write_iam(broken)
    assert "line" in ask(node, "GET")["problem"]
    assert ask(node, "DELETE", "/Edited", expect=503) == "ServiceUnavailable"
    assert node.iam_path().read_text() == broken
    document = after
    document["users"] = [user for user in after["users"] if user.get("access_key") not in ("typed", made["access_key"])]
    node.write_iam(document)
    assert ask(node, "GET")["problem"] is None


def account_user(node, name, account, actions, root=False):
    """A user typed by hand, with an AWS document that allows `actions`."""
    policies = [{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}]}] if actions else []
    node.add_users({"access_key": name, "secret_key": f"{name}-secret", "user_name": name, "account_id": account, "root": root, "policies": policies})
    return {"access": name, "secret": f"{name}-secret"}


def test_who_may(node):
    account = "444444444444"
    chief = account_user(node, "chief", account, ["iam:*"])
    plain = account_user(node, "plain", account, [])
    owner = account_user(node, "owner", account, [], root=True)
    stranger = account_user(node, "stranger", "555555555555", ["iam:*"], root=True)
    creator = account_user(node, "creator", account, ["iam:CreateUser"])

    status, _, answer = send(node.endpoint, "GET", USERS)
    assert status == 403 and json.loads(answer)["error"]["code"] == "AccessDenied"
    for method, path, body in (("GET", "", None), ("POST", "", {"display_name": "x"}), ("DELETE", "/chief", None), ("GET", "/none", None),
                               ("PUT", "/plain/policies", []), ("POST", "/plain/rotate", None), ("POST", "/plain/access-keys", None),
                               ("PATCH", "/plain", {"enabled": True}), ("PATCH", "/plain/access-keys/plain", {}),
                               ("DELETE", "/plain/access-keys/plain", None)):
        assert ask(node, method, path, body, expect=403, **plain) == "AccessDenied", (method, path)
        if path:
            # Of another account nobody learns whether it is there.
            assert ask(node, method, path, body, expect=404, **stranger) == "NoSuchEntity", (method, path)

    # An account's own see and change what is in it, and no more; a document makes nobody the node's administrator.
    for who in (chief, owner):
        told = ask(node, "GET", **who)
        assert {user["account_id"] for user in told["users"]} == {account} and "warnings" not in told
        assert ask(node, "GET", "/localadmin", expect=404, **who) == "NoSuchEntity"
        assert ask(node, "DELETE", "/stranger", expect=404, **who) == "NoSuchEntity"
    made = ask(node, "POST", body={"display_name": "Junior"}, expect=201, **chief)
    assert made["user"]["account_id"] == account
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
    ask(node, "PUT", "/Junior/policies", [document], **chief)
    assert ask(node, "PUT", "/Junior/policies", [document, LIST], expect=403, **chief) == "AccessDenied"
    assert ask(node, "POST", body={"display_name": "y", "policies": [LIST]}, expect=403, **owner) == "AccessDenied"
    ask(node, "PUT", "/Junior/policies", [document, LIST])
    assert ask(node, "PUT", "/Junior/policies", [document], expect=403, **chief) == "AccessDenied", "a grant binds its holder"

    ask(node, "POST", body={"display_name": "Bare"}, expect=201, **creator)
    assert ask(node, "POST", body={"display_name": "z", "policies": [document]}, expect=403, **creator) == "AccessDenied"
    for method, path, body in (("POST", "/rotate", None), ("POST", "/access-keys", None), ("PATCH", "", {"enabled": False}), ("DELETE", "", None)):
        assert ask(node, method, "/Junior" + path, body, expect=403, **owner) == "AccessDenied", (method, path)
    ask(node, "DELETE", "/Junior", expect=204)
    ask(node, "DELETE", "/Bare", expect=204, **chief)


def test_no_account_puts_itself_into_groups_of_every_account(node):
    root = account_user(node, "lord", "777777777777", ["iam:*"], root=True)
    document = node.iam()
    document.setdefault("groups", []).append({"name": "everybodys", "policies": [{"bucket": "*", "actions": ["*"]}]})
    node.write_iam(document)
    assert ask(node, "PATCH", "/lord", {"groups": ["everybodys"]}, expect=403, **root) == "AccessDenied"
    assert ask(node, "PATCH", "/lord", {"groups": ["everybodys"]})["groups"] == ["everybodys"]
    ask(node, "PATCH", "/lord", {"groups": []})
    assert ask(node, "GET", **root)["users"][0]["groups"] == []


def test_a_name_is_asked_for_before_it_is_given(node):
    account = "121212121212"
    own = f"arn:aws:iam::{account}:user/"
    maker = {"access": "maker", "secret": "maker-secret"}
    policies = [{"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "iam:CreateUser", "Resource": "*"},
        {"Effect": "Deny", "Action": "iam:CreateUser", "Resource": own + "boss"}]}]
    node.add_users({"access_key": "maker", "secret_key": "maker-secret", "user_name": "maker", "account_id": account, "policies": policies},
                   {"access_key": "mate-key", "secret_key": "mate-secret", "user_name": "mate", "account_id": account, "root": True, "policies": []})
    # The display name cannot be in an ARN, so that the access key would be: it is that name which is asked for.
    assert ask(node, "POST", body={"display_name": "The Boss", "access_key": "boss"}, expect=403, **maker) == "AccessDenied"
    for body in ({"display_name": "mate", "access_key": "MATE"}, {"display_name": "x y", "access_key": "mate"}, {"display_name": "MATE-KEY"}):
        assert ask(node, "POST", body=body, expect=409, **maker) == "EntityAlreadyExists", body
    made = ask(node, "POST", body={"display_name": "x y"}, expect=201, **maker)
    assert made["user"]["arn"] == own + made["access_key"]
    ask(node, "DELETE", "/" + made["access_key"], expect=204)


def test_denies_of_aws_hold_for_rotation_and_tags(node):
    account = "131313131313"
    allow = {"Effect": "Allow", "Action": "iam:*", "Resource": "*"}
    denies = {"keyless": {"Effect": "Deny", "Action": "iam:CreateAccessKey", "Resource": "*"},
              "tagless": {"Effect": "Deny", "Action": "iam:*", "Resource": "*", "Condition": {"StringEquals": {"aws:ResourceTag/team": "red"}}},
              "iamless": {"Effect": "Deny", "Action": "iam:*", "Resource": "*", "Condition": {"StringEquals": {"iam:ResourceTag/team": "red"}}}}
    node.add_users(*({"access_key": name, "secret_key": f"{name}-secret", "user_name": name, "account_id": account,
                      "policies": [{"Version": "2012-10-17", "Statement": [allow, deny]}]} for name, deny in denies.items()),
                   {"access_key": "red-key", "secret_key": "red-secret", "user_name": "reddy", "account_id": account, "tags": {"team": "red"}, "policies": []},
                   {"access_key": "blue-key", "secret_key": "blue-secret", "user_name": "bluey", "account_id": account, "policies": []})
    who = {name: {"access": name, "secret": f"{name}-secret"} for name in denies}
    assert ask(node, "POST", "/bluey/rotate", expect=403, **who["keyless"]) == "AccessDenied"
    for name in ("tagless", "iamless"):
        for method, path, body in (("GET", "", None), ("PUT", "/policies", []), ("PATCH", "", {"path": "/x/"}), ("POST", "/rotate", None), ("DELETE", "", None)):
            assert ask(node, method, "/reddy" + path, body, expect=403, **who[name]) == "AccessDenied", (name, method, path)
        ask(node, "POST", "/bluey/rotate", **who[name])


def test_the_credentials_of_getsessiontoken_administer_nobody(node):
    import boto3
    sts = boto3.client("sts", endpoint_url=node.endpoint, region_name="us-east-1", aws_access_key_id="localadmin", aws_secret_access_key="localadmin")
    given = sts.get_session_token()["Credentials"]
    pair = {"X-Access-Key": given["AccessKeyId"], "X-Secret-Key": given["SecretAccessKey"], "X-Amz-Security-Token": given["SessionToken"]}
    for method, path in (("GET", ""), ("GET", "/localadmin"), ("POST", "/localadmin/access-keys")):
        status, _, answer = send(node.endpoint, method, USERS + path, headers=pair)
        assert status == 403 and "GetSessionToken" in json.loads(answer)["error"]["message"], (status, answer)


def test_grants_of_single_actions(node):
    def grantee(name, *actions):
        made = make(node, name, [{"bucket": "*", "actions": list(actions)}])
        return {"access": made["access_key"], "secret": made["secret_key"]}

    make(node, "Subject")
    lister, rotator, updater, deleter = (grantee(a, f"iam:{a}") for a in ("list_users", "rotate_key", "update_policy", "delete_user"))
    assert any(user["display_name"] == "Subject" for user in ask(node, "GET", **lister)["users"])
    ask(node, "POST", "/Subject/rotate", **rotator)
    ask(node, "PUT", "/Subject/policies", [LIST], **updater)
    for who in (lister, updater, deleter):
        assert ask(node, "POST", "/Subject/rotate", expect=403, **who) == "AccessDenied"
    for who in (lister, rotator, deleter):
        assert ask(node, "PUT", "/Subject/policies", [], expect=403, **who) == "AccessDenied"
    ask(node, "DELETE", "/Subject", expect=204, **deleter)
    for name in ("list_users", "rotate_key", "update_policy", "delete_user"):
        ask(node, "DELETE", "/" + name, expect=204)


def test_the_key_of_the_command_line_is_nobody_elses(node_factory):
    node = node_factory()
    key, secret = "myfsio-command-line", "typed-by-somebody"
    node.add_users({"access_key": key, "secret_key": secret, "display_name": "Somebody", "policies": [{"bucket": "*", "actions": ["*"]}]})
    body = json.dumps({"directory": str(node.root.parent / "stolen")}).encode()
    pair = {"X-Access-Key": key, "X-Secret-Key": secret}
    status, _, answer = send(node.endpoint, "POST", "/_myfsio/backups", body, pair)
    assert status == 403 and json.loads(answer)["error"]["code"] == "InvalidAccessKeyId", answer
    with refused(403, "InvalidAccessKeyId"):
        node.client(key, secret).list_buckets()


def test_no_secret_in_the_log(node):
    made = make(node, "Secretive", secret_key="a-very-special-secret")
    rotated = ask(node, "POST", "/Secretive/rotate", {"overlap_seconds": 60})
    ask(node, "DELETE", "/Secretive", expect=204)
    log = node.log.read_text(errors="replace")
    assert USERS in log or "iam changes" in log, "there is a log to look at"
    assert made["secret_key"] not in log and rotated["secret_key"] not in log


def test_users_outlive_a_kill(node_factory):
    node = node_factory()
    made = make(node, "Lasting", [LIST])
    node.client().create_bucket(Bucket="shared")
    node.kill()
    node.start()
    lists(node, made)
