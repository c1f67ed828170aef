"""The audit log: each change has exactly one entry that says who, what, before, after and by which request; nothing secret is in it;
it is read newest first and in pages; what was answered is there after a kill."""

import concurrent.futures
import hashlib
import json
import os
import stat
import time
import urllib.parse

import boto3
import pytest

import node as nodes
from node import free_port
from util import b64, refused, send, signed

pytestmark = pytest.mark.local

ADMIN = "arn:aws:iam::{}:user/localadmin"
POLICY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject"}]}


@pytest.fixture(scope="module")
def node():
    if os.environ.get("S3_ENDPOINT"):
        pytest.skip("needs a node of its own")
    made = nodes.Node(LOG_LEVEL="debug", NOTIFY_ALLOW_PRIVATE="true", NOTIFY_KEEP_SECONDS=1).start()
    yield made
    made.close()


def page(node, expect=200, **query):
    query = {name.rstrip("_"): value for name, value in query.items()}
    target = "/_myfsio/audit" + ("?" + urllib.parse.urlencode(query) if query else "")
    status, headers, body = signed(node, "GET", target)
    assert status == expect, body
    body = json.loads(body)
    if status != 200:
        return body["error"]["code"]
    assert headers["content-type"] == "application/json" and set(body) == {"entries", "next"}
    return body


def entries(node, **query):
    """All entries, newest first, page by page."""
    found, query = [], {"limit": 1000, **query}
    while True:
        got = page(node, **query)
        found += got["entries"]
        if got["next"] is None:
            return found
        query["next"] = got["next"]


def folder(node):
    return node.root / ".myfsio.sys" / "audit"


class Watch:
    """What the log got since."""

    def __init__(self, node):
        self.node, self.before = node, len(entries(node))

    def new(self):
        found = entries(self.node)
        return found[: len(found) - self.before]

    def only(self, request_id):
        found = self.new()
        assert len(found) == 1, found
        self.before += 1
        entry = found[0]
        assert set(entry) == {"time", "action", "target", "principal", "access_key", "request_id", "source_ip", "before", "after"}
        account = signed_account(self.node)
        assert entry["principal"] == ADMIN.format(account) and entry["access_key"] == "localadmin"
        assert entry["source_ip"] == "127.0.0.1" and entry["request_id"] == request_id
        return entry


def signed_account(node):
    user = next(u for u in node.iam()["users"] if u.get("access_key") == "localadmin")
    return f"{int(user['user_id'][:15], 16) % 10**12:012}"


def request_id(reply):
    return reply["ResponseMetadata"]["HTTPHeaders"]["x-amz-request-id"]


def bucket_policy(bucket):
    statement = {**POLICY["Statement"][0], "Resource": f"arn:aws:s3:::{bucket}/*"}
    return {**POLICY, "Statement": [statement]}


RULE = {"ID": "old", "Status": "Enabled", "Filter": {"Prefix": "a/"}, "Expiration": {"Days": 3}}
BLOCK = {"BlockPublicAcls": True, "IgnorePublicAcls": False, "BlockPublicPolicy": False, "RestrictPublicBuckets": False}
CORS = {"CORSRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}]}

# What is asked for, with what, and the field that the entry tells of; none: that it tells of nothing after.
BUCKET_CHANGES = [
    ("put_bucket_versioning", {"VersioningConfiguration": {"Status": "Enabled"}}, "versioning"),
    ("put_bucket_versioning", {"VersioningConfiguration": {"Status": "Suspended"}}, "versioning"),
    ("put_bucket_tagging", {"Tagging": {"TagSet": [{"Key": "team", "Value": "red"}]}}, "tags"),
    ("delete_bucket_tagging", {}, None),
    ("put_bucket_cors", {"CORSConfiguration": CORS}, "cors"),
    ("delete_bucket_cors", {}, None),
    ("put_bucket_lifecycle_configuration", {"LifecycleConfiguration": {"Rules": [RULE]}}, "lifecycle"),
    ("delete_bucket_lifecycle", {}, None),
    ("put_bucket_website", {"WebsiteConfiguration": {"IndexDocument": {"Suffix": "index.html"}}}, "website"),
    ("delete_bucket_website", {}, None),
    ("put_public_access_block", {"PublicAccessBlockConfiguration": BLOCK}, "public_access_block"),
    ("delete_public_access_block", {}, None),
    ("put_bucket_acl", {"ACL": "public-read"}, "acl"),
    ("put_bucket_acl", {"ACL": "private"}, None),
    ("put_bucket_ownership_controls", {"OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}}, "ownership"),
    ("delete_bucket_ownership_controls", {}, None),
    ("put_bucket_request_payment", {"RequestPaymentConfiguration": {"Payer": "Requester"}}, "requester_pays"),
    ("put_bucket_accelerate_configuration", {"AccelerateConfiguration": {"Status": "Enabled"}}, "accelerate"),
    ("put_bucket_notification_configuration", {"NotificationConfiguration": {"EventBridgeConfiguration": {}}, "SkipDestinationValidation": True}, "notification"),
    ("put_bucket_notification_configuration", {"NotificationConfiguration": {}}, None),
]


def test_each_change_of_a_bucket_has_one_entry(node):
    s3, bucket, watch = node.client(), "changed", Watch(node)
    made = watch.only(request_id(s3.create_bucket(Bucket=bucket)))
    assert (made["action"], made["target"], made["before"]) == ("s3:CreateBucket", f"arn:aws:s3:::{bucket}", None)
    owner = made["after"]["owner"]
    assert owner == node.iam()["users"][0]["user_id"]
    for name, arguments, field in BUCKET_CHANGES:
        entry = watch.only(request_id(getattr(s3, name)(Bucket=bucket, **arguments)))
        operation = entry["action"].removeprefix("s3:").lower()
        assert operation.removesuffix("configuration") == name.replace("_", "").removesuffix("configuration")
        assert entry["target"] == f"arn:aws:s3:::{bucket}"
        if field is None:
            assert entry["after"] == {} and len(entry["before"]) == 1, entry
        else:
            assert list(entry["after"]) == [field] and list(entry["before"]) in ([], [field]), entry
        # The same again changes nothing.
        getattr(s3, name)(Bucket=bucket, **arguments)
        assert watch.new() == [], name

    policy = bucket_policy(bucket)
    put = watch.only(request_id(s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))))
    assert (put["action"], put["before"], put["after"]) == ("s3:PutBucketPolicy", None, policy)
    gone = watch.only(request_id(s3.delete_bucket_policy(Bucket=bucket)))
    assert (gone["action"], gone["before"], gone["after"]) == ("s3:DeleteBucketPolicy", policy, None)
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
    watch = Watch(node)
    deleted = watch.only(request_id(s3.delete_bucket(Bucket=bucket)))
    assert (deleted["action"], deleted["after"]) == ("s3:DeleteBucket", None)
    assert deleted["before"] == {"versioning": "Suspended", "requester_pays": True, "accelerate": True, "owner": owner, "policy": policy}


def test_tags_by_their_own_api_logging_and_locks(node):
    s3, watch = node.client(), Watch(node)
    entry = watch.only(request_id(s3.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True, ACL="log-delivery-write")))
    assert entry["after"]["object_lock"] == {} or "object_lock" in entry["after"]
    assert entry["after"]["versioning"] == "Enabled" and "acl" in entry["after"]
    lock = {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}}
    entry = watch.only(request_id(s3.put_object_lock_configuration(Bucket="locked", ObjectLockConfiguration=lock)))
    assert entry["action"] == "s3:PutObjectLockConfiguration" and list(entry["after"]) == ["object_lock"]
    logging = {"LoggingEnabled": {"TargetBucket": "locked", "TargetPrefix": "log/"}}
    entry = watch.only(request_id(s3.put_bucket_logging(Bucket="locked", BucketLoggingStatus=logging)))
    assert entry["action"] == "s3:PutBucketLogging" and entry["after"]["logging"]["target_prefix"] == "log/"
    target = "/v20180820/tags/arn%3Aaws%3As3%3A%3A%3Alocked"
    body = (b'<TagResourceRequest xmlns="http://awss3control.amazonaws.com/doc/2018-08-20/"><Tags><Tag><Key>a</Key>'
            b"<Value>1</Value></Tag></Tags></TagResourceRequest>")
    status, headers, answer = signed(node, "POST", target, body)
    assert status == 204, answer
    entry = watch.only(headers["x-amz-request-id"])
    assert (entry["action"], entry["before"], entry["after"]) == ("s3:TagResource", {}, {"tags": [["a", "1"]]})
    status, headers, _ = signed(node, "DELETE", target + "?tagKeys=a")
    assert (status, watch.only(headers["x-amz-request-id"])["action"]) == (204, "s3:UntagResource")


def test_objects_refusals_and_reads_have_no_entry(node):
    s3 = node.client()
    s3.create_bucket(Bucket="plain")
    watch = Watch(node)
    s3.put_object(Bucket="plain", Key="k", Body=b"x")
    s3.put_object_tagging(Bucket="plain", Key="k", Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    s3.put_object_acl(Bucket="plain", Key="k", ACL="public-read")
    s3.get_bucket_acl(Bucket="plain")
    s3.delete_object(Bucket="plain", Key="k")
    with refused(400, "MalformedPolicy"):
        s3.put_bucket_policy(Bucket="plain", Policy='{"Statement": 1}')
    with refused(400, "MalformedXML"):
        s3.put_bucket_cors(Bucket="plain", CORSConfiguration={"CORSRules": []})
    with refused(403):
        node.client("nobody", "nothing").delete_bucket(Bucket="plain")
    with refused(404, "NoSuchBucket"):
        s3.put_bucket_tagging(Bucket="absent-bucket", Tagging={"TagSet": []})
    assert send(node.endpoint, "PUT", "/plain?acl", b"", {"x-amz-acl": "public-read"})[0] == 403
    s3.create_bucket(Bucket="plain")
    assert watch.new() == []


def test_who_has_no_credentials_is_anonymous(node):
    s3 = node.client()
    s3.create_bucket(Bucket="open")
    s3.put_bucket_policy(Bucket="open", Policy=json.dumps({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": "*", "Action": "s3:PutBucketTagging", "Resource": "arn:aws:s3:::open"}]}))
    watch = Watch(node)
    status, headers, answer = send(node.endpoint, "DELETE", "/open?tagging")
    assert status == 204 and watch.new() == []
    body = b"<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"
    md5 = b64(hashlib.md5(body).digest())
    status, headers, answer = send(node.endpoint, "PUT", "/open?tagging", body, {"content-md5": md5})
    assert status == 204, answer
    entry = watch.new()[0]
    assert (entry["principal"], entry["access_key"]) == ("anonymous", None)
    assert entry["request_id"] == headers["x-amz-request-id"]


def ask(node, method, path, body=None, expect=200):
    data = b"" if body is None else json.dumps(body).encode()
    status, headers, answer = signed(node, method, "/_myfsio/iam/users" + path, data)
    assert status == expect, answer
    return headers["x-amz-request-id"], json.loads(answer) if answer else None


def test_each_change_of_a_user_has_one_entry_without_secrets(node):
    watch, secrets = Watch(node), []
    account = signed_account(node)
    ann = f"arn:aws:iam::{account}:user/ann"
    grant = {"bucket": "*", "actions": ["list"]}
    rid, made = ask(node, "POST", "", {"display_name": "ann", "policies": [grant]}, 201)
    secrets.append(made["secret_key"])
    entry = watch.only(rid)
    assert (entry["action"], entry["target"], entry["before"]) == ("iam:CreateUser", ann, None)
    assert entry["after"]["policies"] == [grant] and entry["after"]["secret_key"] == "********"
    rid, _ = ask(node, "PATCH", "/ann", {"enabled": False}, 200)
    entry = watch.only(rid)
    assert (entry["action"], entry["target"], entry["after"]) == ("iam:UpdateUser", ann, {"enabled": False})
    rid, _ = ask(node, "PUT", "/ann/policies", [])
    entry = watch.only(rid)
    assert (entry["target"], entry["before"], entry["after"]) == (ann, {"policies": [grant]}, {"policies": []})
    rid, made = ask(node, "POST", "/ann/rotate", {})
    secrets.append(made["secret_key"])
    entry = watch.only(rid)
    assert entry["target"] == ann and entry["before"] == entry["after"] == {"secret_key": "********"}
    rid, made = ask(node, "POST", "/ann/access-keys", {}, 201)
    secrets.append(made["secret_key"])
    entry = watch.only(rid)
    assert entry["action"] == "iam:CreateAccessKey" and entry["before"] == {}
    assert [key["access_key"] for key in entry["after"]["access_keys"]] == [made["access_key"]]
    rid, _ = ask(node, "DELETE", f"/ann/access-keys/{made['access_key']}", None, 204)
    entry = watch.only(rid)
    assert entry["action"] == "iam:DeleteAccessKey" and made["access_key"] in json.dumps(entry["before"])
    ask(node, "DELETE", "/nobody", None, 404)
    rid, _ = ask(node, "DELETE", "/ann", None, 204)
    entry = watch.only(rid)
    assert (entry["action"], entry["target"], entry["after"]) == ("iam:DeleteUser", ann, None)
    whole = "".join(path.read_text() for path in folder(node).iterdir())
    assert secrets and not [secret for secret in secrets if secret in whole]
    assert '"secret_key":"********"' in whole and "v1:" not in whole


def test_changes_by_the_iam_api_name_what_they_are_of(node):
    iam = boto3.client("iam", endpoint_url=node.endpoint, region_name="us-east-1", aws_access_key_id="localadmin",
                       aws_secret_access_key="localadmin")
    account = signed_account(node)
    user, group, role = (f"arn:aws:iam::{account}:{name}" for name in ("user/api-ann", "group/api-staff", "role/api-role"))
    document = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "*"}]})
    trust = json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": user}, "Action": "sts:AssumeRole"}]})
    provider = f"arn:aws:iam::{account}:oidc-provider/idp.test/a"
    changes = [
        ("create_user", {"UserName": "api-ann"}, user),
        ("create_group", {"GroupName": "api-staff"}, group),
        ("add_user_to_group", {"GroupName": "api-staff", "UserName": "api-ann"}, group),
        ("put_group_policy", {"GroupName": "api-staff", "PolicyName": "p", "PolicyDocument": document}, group),
        ("create_policy", {"PolicyName": "api-policy", "PolicyDocument": document}, f"arn:aws:iam::{account}:policy/api-policy"),
        ("attach_user_policy", {"UserName": "api-ann", "PolicyArn": f"arn:aws:iam::{account}:policy/api-policy"}, user),
        ("create_role", {"RoleName": "api-role", "AssumeRolePolicyDocument": trust}, role),
        ("tag_role", {"RoleName": "api-role", "Tags": [{"Key": "k", "Value": "v"}]}, role),
        ("create_open_id_connect_provider", {"Url": "https://idp.test/a", "ThumbprintList": ["a" * 40], "ClientIDList": ["x"]}, provider),
        ("delete_role", {"RoleName": "api-role"}, role),
        ("remove_user_from_group", {"GroupName": "api-staff", "UserName": "api-ann"}, group),
        ("delete_open_id_connect_provider", {"OpenIDConnectProviderArn": provider}, provider),
    ]
    watch = Watch(node)
    for name, arguments, target in changes:
        reply = getattr(iam, name)(**arguments)
        entry = watch.only(reply["ResponseMetadata"]["RequestId"])
        assert (entry["action"].lower(), entry["target"]) == (f"iam:{name.replace('_', '')}", target)
        assert (entry["before"] is None) == name.startswith("create") and (entry["after"] is None) == name.startswith("delete")
        if "user" in name and target == group:
            sides = [entry["before"][user].get("groups"), entry["after"][user].get("groups")]
            assert ["api-staff"] in sides and sides[0] != sides[1], entry
    with pytest.raises(iam.exceptions.NoSuchEntityException):
        iam.delete_role(RoleName="api-role")
    assert watch.new() == []


def test_hand_edits_have_entries_by_what_they_changed(node):
    watch, account = Watch(node), signed_account(node)
    node.add_users({"access_key": "by-hand", "secret_key": "typed secret", "display_name": "hand", "policies": [], "account_id": account})
    node.client("by-hand", "typed secret").list_buckets()
    [entry] = watch.new()
    assert (entry["action"], entry["target"], entry["before"]) == ("iam:CreateUser", f"arn:aws:iam::{account}:user/hand", None)
    assert (entry["principal"], entry["access_key"], entry["request_id"], entry["source_ip"]) == ("hand edit", None, "", None)
    assert entry["after"]["secret_key"] == "********"
    document = node.iam()
    assert all(user["user_id"] for user in document["users"])
    document["users"] = [user for user in document["users"] if user.get("access_key") != "by-hand"]
    document["note"] = "mine"
    watch = Watch(node)
    node.write_iam(document)
    with refused(403, "InvalidAccessKeyId"):
        node.client("by-hand", "typed secret").list_buckets()
    assert [(entry["action"], entry["after"]) for entry in watch.new()] == [("iam:DeleteUser", None)]

    watch = Watch(node)
    path = node.iam_path().with_name("bucket_policies.json")
    file = json.loads(path.read_text()) if path.exists() else {"policies": {}}
    file["policies"]["plain"] = policy = bucket_policy("plain")
    path.write_text(json.dumps(file))
    assert send(node.endpoint, "GET", "/plain/none")[0] in (403, 404)
    [entry] = watch.new()
    assert (entry["action"], entry["target"], entry["before"], entry["after"]) == ("s3:PutBucketPolicy", "arn:aws:s3:::plain", None, policy)
    assert (entry["principal"], entry["request_id"]) == ("hand edit", "")
    path.write_text("{broken")
    send(node.endpoint, "GET", "/plain/none")
    path.write_text(json.dumps(file))
    send(node.endpoint, "GET", "/plain/none")
    assert len(watch.new()) == 1, "what did not come into force changed nothing"
    # A change of the node's on top of a hand edit: one entry each.
    del file["policies"]["plain"]
    path.write_text(json.dumps(file))
    watch = Watch(node)
    node.client().put_bucket_policy(Bucket="plain", Policy=json.dumps(policy))
    assert [(entry["action"], entry["principal"] == "hand edit") for entry in watch.new()] == [
        ("s3:PutBucketPolicy", False), ("s3:DeleteBucketPolicy", True)]
    node.client().delete_bucket_policy(Bucket="plain")


def test_what_administrators_do_by_the_nodes_own_routes(node):
    s3 = node.client()
    s3.create_bucket(Bucket="adopts")
    (node.root / "adopts" / "found.txt").write_text("found")
    watch = Watch(node)
    status, headers, _ = signed(node, "POST", "/_myfsio/buckets/adopts/adopt")
    assert status == 200
    entry = watch.only(headers["x-amz-request-id"])
    assert (entry["action"], entry["target"]) == ("myfsio:AdoptFiles", "arn:aws:s3:::adopts")
    assert entry["after"] == {"adopted": 1, "bytes": 5, "changed": 0, "mended": 0}
    assert signed(node, "POST", "/_myfsio/buckets/adopts/adopt")[0] == 200 and watch.new() == [], "nothing was done"

    webhooks = node.iam_path().with_name("webhooks.json")
    webhooks.write_text(json.dumps({"webhooks": {"none": {"url": f"http://127.0.0.1:{free_port()}/", "token": "hook token"}}}))
    target = {"QueueConfigurations": [{"QueueArn": "arn:aws:sqs:us-east-1:1:none", "Events": ["s3:ObjectCreated:*"]}]}
    s3.put_bucket_notification_configuration(Bucket="adopts", NotificationConfiguration=target, SkipDestinationValidation=True)
    s3.put_object(Bucket="adopts", Key="k", Body=b"x")
    for method, path, action, told in [("POST", "replay", "myfsio:ReplayEvents", "replayed"), ("DELETE", "dead", "myfsio:DiscardEvents", "discarded")]:
        end = time.monotonic() + 20
        while "dead_first\":[{" not in signed(node, "GET", "/_myfsio/buckets/adopts/events")[2].decode():
            assert time.monotonic() < end, "the event was not given up"
            time.sleep(0.1)
        watch = Watch(node)
        status, headers, _ = signed(node, method, f"/_myfsio/buckets/adopts/events/{path}")
        assert status == 200
        entry = watch.only(headers["x-amz-request-id"])
        assert (entry["action"], entry["after"]) == (action, {told: 1})


def test_pages_filters_and_who_may_read(node):
    s3 = node.client()
    s3.create_bucket(Bucket="pages")
    for number in range(25):
        s3.put_bucket_tagging(Bucket="pages", Tagging={"TagSet": [{"Key": "n", "Value": str(number)}]})
    found, query = [], {"target": "arn:aws:s3:::pages", "action": "s3:PutBucketTagging", "limit": 10}
    while True:
        got = page(node, **query)
        found.append([entry["after"]["tags"][0][1] for entry in got["entries"]])
        if got["next"] is None:
            break
        query["next"] = got["next"]
        s3.create_bucket(Bucket=f"meanwhile-{len(found)}")
    assert [int(number) for number in sum(found, [])] == list(range(24, -1, -1))
    assert [len(numbers) for numbers in found[:2]] == [10, 10]
    assert len(page(node)["entries"]) == min(100, len(entries(node)))

    times = [entry["time"] for entry in entries(node, target="arn:aws:s3:::pages")]
    assert times == sorted(times, reverse=True) and len(times) == 26
    window = entries(node, target="*:pages", from_=times[20], to=times[5])
    assert [entry["time"] for entry in window] == times[6:21]
    assert entries(node, to="2000-01-01") == [] == entries(node, from_="2999-01-01")
    assert len(entries(node, principal="*:user/localadmin", action="*:CreateBucket", target="*:pages")) == 1
    assert entries(node, principal="localadmin") == []
    for bad in [{"limit": 0}, {"limit": 1001}, {"limit": "x"}, {"from_": "now"}, {"to": ""}, {"next": "AAAA"},
                {"next": "AQAAAAAAAAD_AAAAAAAAAAA"}, {"from_": "2026-01-02", "to": "2026-01-01"}]:
        assert page(node, 400, **bad) == "InvalidArgument", bad
    node.add_users({"access_key": "reader", "secret_key": "reader-secret", "display_name": "reader",
                    "policies": [{"bucket": "*", "actions": ["list", "read", "policy"]}]})
    assert signed(node, "GET", "/_myfsio/audit", access="reader", secret="reader-secret")[0] == 403
    assert send(node.endpoint, "GET", "/_myfsio/audit")[0] == 403
    assert signed(node, "POST", "/_myfsio/audit")[0] == 405


def test_the_files_are_private_and_hold_what_is_answered(node):
    path = folder(node) / "audit.jsonl"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and stat.S_IMODE(folder(node).stat().st_mode) == 0o700
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines[::-1] == entries(node)


def test_what_was_answered_survives_a_kill(node_factory):
    node = node_factory()
    s3 = node.client()
    answered = {}
    stop = []

    def change(worker):
        number = 0
        while not stop:
            try:
                reply = s3.create_bucket(Bucket=f"kill-{worker}-{number}")
            except Exception:
                return
            answered[request_id(reply)] = f"arn:aws:s3:::kill-{worker}-{number}"
            number += 1

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        workers = [pool.submit(change, worker) for worker in range(4)]
        end = time.monotonic() + 60
        while len(answered) <= 10 and time.monotonic() < end:
            time.sleep(0.05)
        node.kill()
        stop.append(True)
        [worker.result() for worker in workers]
    # As a crash in the middle of a write leaves it.
    with open(folder(node) / "audit.jsonl", "a") as log:
        log.write('{"time":"2026-01-01T00:00:00Z","action":"s3:Torn')
    node.start()
    node.client().create_bucket(Bucket="after-the-kill")
    found = {entry["request_id"]: entry["target"] for entry in entries(node)}
    assert len(answered) > 10 and answered.items() <= found.items()
    assert "arn:aws:s3:::after-the-kill" in found.values()
    node.stop()


def test_a_log_that_cannot_be_written_does_not_stop_changes(node_factory):
    node = node_factory()
    s3 = node.client()
    s3.create_bucket(Bucket="before")
    folder(node).rename(folder(node).with_name("away"))
    folder(node).write_text("in the way")
    s3.create_bucket(Bucket="meanwhile")
    status, _, body = send(node.endpoint, "GET", "/healthz")
    health = json.loads(body)
    assert (status, health["status"]) == (200, "degraded") and "audit log" in health["reason"]
    assert "1 entries wait, 0 are lost" in health["reason"] and "audit log cannot be written" in node.tail()
    folder(node).unlink()
    folder(node).with_name("away").rename(folder(node))
    end = time.monotonic() + 15
    while not node.healthy():
        assert time.monotonic() < end, "the log is not tried again"
        time.sleep(0.2)
    assert [entry["target"] for entry in entries(node)] == ["arn:aws:s3:::meanwhile", "arn:aws:s3:::before"]


def test_the_oldest_file_goes_first(node_factory):
    node = node_factory(AUDIT_BYTES=4 << 20)
    folder(node).mkdir(parents=True, exist_ok=True)
    node.stop()
    line = json.dumps({"time": "2020-01-01T00:00:00Z", "action": "s3:Old", "later": {"a": [1]}}) + "\n"
    for number in (7, 8, 9):
        (folder(node) / f"audit-{number:010}.jsonl").write_text(line * (1_300_000 // len(line)))
    (folder(node) / "audit.jsonl").write_text(line * (900_000 // len(line)))
    node.start()
    node.client().create_bucket(Bucket="young")
    names = sorted(path.name for path in folder(node).iterdir())
    assert names == [f"audit-{number:010}.jsonl" for number in (8, 9, 10)] + ["audit.jsonl"]
    assert sum(path.stat().st_size for path in folder(node).iterdir()) <= 4 << 20
    got = page(node, limit=2)
    assert got["entries"][0]["target"] == "arn:aws:s3:::young"
    assert got["entries"][1] == json.loads(line), "an entry of another version is passed on whole"
