"""Bucket policies by their other doors: `/bucket-policy/<bucket>`, and presets below `/_myfsio`."""

import json
import os
import shutil
import subprocess
import uuid

import pytest

import node as nodes
from util import code_of, put_via_header_pair, refused, send, signed

pytestmark = pytest.mark.local


@pytest.fixture(scope="module")
def node():
    if os.environ.get("S3_ENDPOINT"):
        pytest.skip("needs a node of its own")
    made = nodes.Node().start()
    made.add_users(
        {"access_key": "keeper", "secret_key": "keeper-secret", "display_name": "keeper", "policies": [{"bucket": "*", "actions": ["policy"]}]},
        {"access_key": "reader", "secret_key": "reader-secret", "display_name": "reader", "policies": [{"bucket": "*", "actions": ["list", "read"]}]},
        {"access_key": "ann", "secret_key": "ann-secret", "display_name": "ann", "policies": []},
    )
    yield made
    made.close()


@pytest.fixture
def bucket(node):
    name = f"p-{uuid.uuid4().hex[:12]}"
    node.client().create_bucket(Bucket=name)
    return name


def ask(node, method, target, body=b"", access="localadmin", secret="localadmin", **headers):
    """By the header pair; nobody when `access` is none."""
    pair = {"X-Access-Key": access, "X-Secret-Key": secret} if access else {}
    return send(node.endpoint, method, target, body, {**pair, **headers})


def told(reply, status, code):
    """The reply is this error, told as JSON."""
    got, headers, body = reply
    assert got == status, (got, body)
    assert headers["content-type"] == "application/json"
    error = json.loads(body)["error"]
    assert set(error) == {"code", "message", "request_id"}
    assert error["code"] == code and error["request_id"] == headers["x-amz-request-id"] and error["message"]
    return error["message"]


def listing(bucket, **more):
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": ["s3:ListBucket"], "Resource": [f"arn:aws:s3:::{bucket}"], **more}]}


def test_the_example_of_the_manual(node):
    node.client().create_bucket(Bucket="test")
    script = f"""curl -X PUT {node.endpoint}/bucket-policy/test \\
-H "Content-Type: application/json" \\
-H "X-Access-Key: localadmin" -H "X-Secret-Key: localadmin" \\
-d '{{
"Version": "2012-10-17",
"Statement": [
{{
"Effect": "Allow",
"Principal": "*",
"Action": ["s3:ListBucket"],
"Resource": ["arn:aws:s3:::test"]
}}
]
}}'"""
    if not shutil.which("curl"):
        pytest.skip("curl is not here")
    done = subprocess.run(["bash", "-c", script], capture_output=True, timeout=30)
    assert (done.returncode, done.stdout) == (0, b"")
    assert send(node.endpoint, "GET", "/test")[0] == 200, "anybody may list it now"


def test_the_same_as_the_sub_resource(node, bucket):
    text = json.dumps(listing(bucket), indent=3).encode()
    status, headers, body = ask(node, "PUT", f"/bucket-policy/{bucket}", text)
    assert (status, body) == (204, b"") and "content-type" not in headers
    status, headers, body = ask(node, "GET", f"/bucket-policy/{bucket}")
    assert (status, body, headers["content-type"]) == (200, text, "application/json")
    s3 = node.client()
    assert s3.get_bucket_policy(Bucket=bucket)["Policy"].encode() == text
    other = json.dumps(listing(bucket, Sid="Other"))
    s3.put_bucket_policy(Bucket=bucket, Policy=other)
    assert ask(node, "GET", f"/bucket-policy/{bucket}/")[2] == other.encode()
    assert ask(node, "GET", f"/bucket-policy/{bucket}?policy")[2] == other.encode()
    assert ask(node, "DELETE", f"/bucket-policy/{bucket}")[0] == 204
    assert ask(node, "DELETE", f"/bucket-policy/{bucket}")[0] == 204, "removing none is no error"
    with refused(404, "NoSuchBucketPolicy"):
        s3.get_bucket_policy(Bucket=bucket)
    told(ask(node, "GET", f"/bucket-policy/{bucket}"), 404, "NoSuchBucketPolicy")


def test_signed_requests(node, bucket):
    text = json.dumps(listing(bucket)).encode()
    assert signed(node, "PUT", f"/bucket-policy/{bucket}", text)[0] == 204
    assert signed(node, "GET", f"/bucket-policy/{bucket}")[2] == text
    told(signed(node, "GET", f"/bucket-policy/{bucket}", secret="wrong"), 403, "SignatureDoesNotMatch")


def test_who_may(node, bucket):
    text = json.dumps(listing(bucket)).encode()
    calls = [("PUT", text), ("GET", b""), ("DELETE", b"")]
    for method, body in calls:
        told(ask(node, method, f"/bucket-policy/{bucket}", body, access=None), 403, "AccessDenied")
        told(ask(node, method, f"/bucket-policy/{bucket}", body, "reader", "reader-secret"), 403, "AccessDenied")
    for method, body in calls:
        assert ask(node, method, f"/bucket-policy/{bucket}", body, "keeper", "keeper-secret")[0] in (200, 204)
    told(ask(node, "GET", f"/bucket-policy/{bucket}", access="nobody"), 403, "InvalidAccessKeyId")


def test_refusals(node, bucket):
    told(ask(node, "PUT", f"/bucket-policy/{bucket}", b"{"), 400, "MalformedPolicy")
    told(ask(node, "PUT", f"/bucket-policy/{bucket}"), 400, "MissingRequestBodyError")
    message = told(ask(node, "PUT", f"/bucket-policy/{bucket}", json.dumps(listing("elsewhere")).encode()), 400, "MalformedPolicy")
    assert "Resource" in message
    told(ask(node, "GET", "/bucket-policy/no-such-bucket"), 404, "NoSuchBucket")
    told(ask(node, "GET", "/bucket-policy/No"), 400, "InvalidBucketName")
    told(ask(node, "GET", f"/bucket-policy/{bucket}/key"), 501, "NotImplemented")
    told(ask(node, "GET", f"/bucket-policy/{bucket}?acl"), 400, "InvalidArgument")
    told(ask(node, "POST", f"/bucket-policy/{bucket}"), 405, "MethodNotAllowed")
    status, headers, body = ask(node, "HEAD", f"/bucket-policy/{bucket}")
    assert (status, body) == (405, b"")
    assert put_via_header_pair(node.endpoint, "PUT", "/bucket-policy")[0] == 400, "no name of a bucket"


@pytest.mark.parametrize("accept, xml", [("application/xml", True), ("text/xml;q=0.9, application/json;q=0.1", True), ("*/*", False),
                                         ("application/json, application/xml", False)])
def test_who_asks_for_xml_gets_it(node, bucket, accept, xml):
    for target, code in ((f"/bucket-policy/{bucket}", "NoSuchBucketPolicy"), ("/_myfsio/nothing", "NotImplemented"), ("/bucket-policy/No", "InvalidBucketName")):
        reply = ask(node, "GET", target, Accept=accept)
        if xml:
            assert (reply[1]["content-type"], code_of(reply[2])) == ("application/xml", code)
        else:
            told(reply, reply[0], code)


def test_a_refusal_before_the_body(node, bucket):
    """What is decided before `100 Continue` is told in the same way."""
    if not shutil.which("curl"):
        pytest.skip("curl is not here")
    command = ["curl", "-s", "-X", "PUT", "-H", "Expect: 100-continue", "-H", "X-Access-Key: reader", "-H", "X-Secret-Key: reader-secret",
               "-d", "{}", f"{node.endpoint}/bucket-policy/{bucket}"]
    done = subprocess.run(command, capture_output=True, timeout=30)
    assert json.loads(done.stdout)["error"]["code"] == "AccessDenied"


def test_an_owner_gets_out_of_its_own_policy(node):
    ann = node.client("ann", "ann-secret")
    name = f"p-{uuid.uuid4().hex[:12]}"
    ann.create_bucket(Bucket=name)
    deny = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": [f"arn:aws:s3:::{name}", f"arn:aws:s3:::{name}/*"]}]}
    pair = ("ann", "ann-secret")
    assert ask(node, "PUT", f"/bucket-policy/{name}", json.dumps(deny).encode(), *pair)[0] == 204
    with refused(403, "AccessDenied"):
        ann.list_objects_v2(Bucket=name)
    assert ask(node, "DELETE", f"/bucket-policy/{name}", b"", *pair)[0] == 204
    ann.list_objects_v2(Bucket=name)


def test_documents_have_no_path_but_their_own(node, bucket):
    told(ask(node, "GET", f"/bucket/{bucket}"), 501, "NotImplemented")
    told(ask(node, "GET", f"/bucket/{bucket}?policy"), 501, "NotImplemented")


def preset(node, bucket, body=None, access="localadmin", secret="localadmin"):
    method, sent = ("GET", b"") if body is None else ("PUT", json.dumps(body).encode())
    status, headers, answer = ask(node, method, f"/_myfsio/buckets/{bucket}/policy", sent, access, secret)
    return status, json.loads(answer)


def test_presets(node, bucket):
    s3 = node.client()
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    private = {"preset": "private", "policy": None, "problem": None}
    assert preset(node, bucket) == (200, private)
    public = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": "*", "Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{bucket}"},
        {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"},
    ]}
    assert preset(node, bucket, {"preset": "public"}) == (200, {"preset": "public", "policy": public, "problem": None})
    for target, status in ((f"/{bucket}", 200), (f"/{bucket}/k", 200), (f"/{bucket}?acl", 403)):
        assert send(node.endpoint, "GET", target)[0] == status, target
    assert send(node.endpoint, "PUT", f"/{bucket}/k", b"y")[0] == 403
    assert preset(node, bucket, {"preset": "private"}) == (200, private)
    assert send(node.endpoint, "GET", f"/{bucket}/k")[0] == 403
    custom = listing(bucket, Sid="Mine")
    assert preset(node, bucket, {"preset": "custom", "policy": custom}) == (200, {"preset": "custom", "policy": custom, "problem": None})
    assert json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"]) == custom
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(public))
    assert preset(node, bucket)[1]["preset"] == "public"
    assert preset(node, bucket, {"preset": "custom", "policy": public})[1]["preset"] == "public", "it is what it says"


def test_a_custom_policy_is_kept_to_the_letter(node, bucket):
    text = json.dumps(listing(bucket), indent=7)
    body = f'{{"preset": "custom", "policy": {text}}}'.encode()
    assert ask(node, "PUT", f"/_myfsio/buckets/{bucket}/policy", body)[0] == 200
    assert node.client().get_bucket_policy(Bucket=bucket)["Policy"] == text


def test_refused_presets(node, bucket):
    for body in ({"preset": "open"}, {}, {"preset": "custom"}, {"preset": "public", "policy": listing(bucket)}, {"preset": "private", "x": 1}):
        status, answer = preset(node, bucket, body)
        assert (status, answer["error"]["code"]) == (400, "InvalidArgument"), body
    status, answer = preset(node, bucket, {"preset": "custom", "policy": {"Statement": []}})
    assert (status, answer["error"]["code"]) == (400, "MalformedPolicy")
    twice = b'{"preset":"custom","policy":{"Version":"2012-10-17","Statement":[],"Statement":[]}}'
    told(ask(node, "PUT", f"/_myfsio/buckets/{bucket}/policy", twice), 400, "MalformedPolicy")
    assert preset(node, bucket)[1]["preset"] == "private", "nothing of all that counted"
    told(ask(node, "DELETE", f"/_myfsio/buckets/{bucket}/policy"), 405, "MethodNotAllowed")
    told(ask(node, "GET", "/_myfsio/buckets/no-such-bucket/policy"), 404, "NoSuchBucket")


def test_who_may_set_presets(node, bucket):
    for who in (("reader", "reader-secret"), (None, None)):
        for body in (None, {"preset": "public"}, {"preset": "private"}, {"preset": "custom", "policy": listing(bucket)}):
            status, answer = preset(node, bucket, body, *who)
            assert (status, answer["error"]["code"]) == (403, "AccessDenied"), (who, body)
    assert preset(node, bucket, {"preset": "public"}, "keeper", "keeper-secret")[0] == 200
    assert preset(node, bucket, {"preset": "private"}, "keeper", "keeper-secret")[0] == 200


def test_a_public_access_block_refuses_public(node, bucket):
    s3 = node.client()
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration={"BlockPublicPolicy": True})
    status, answer = preset(node, bucket, {"preset": "public"})
    assert (status, answer["error"]["code"]) == (403, "AccessDenied")
    assert preset(node, bucket)[1]["preset"] == "private"
    told(ask(node, "PUT", f"/bucket-policy/{bucket}", json.dumps(listing(bucket)).encode()), 403, "AccessDenied")


def test_mistakes_in_the_file_are_shown(node_factory):
    node = node_factory()
    node.client().create_bucket(Bucket="b-1")
    assert preset(node, "b-1", {"preset": "public"})[0] == 200
    path = node.root / ".myfsio.sys" / "config" / "bucket_policies.json"
    before = path.read_text()
    document = json.loads(before)
    document["policies"]["b-1"]["Statement"][0]["Action"] = "s3:Nothing"
    path.write_text(json.dumps(document))
    status, answer = preset(node, "b-1")
    assert (status, answer["preset"]) == (200, "custom") and "Nothing" in answer["problem"]
    assert send(node.endpoint, "GET", "/b-1")[0] == 403, "a broken policy lets nobody in"
    path.write_text(before)
    assert preset(node, "b-1")[1]["problem"] is None
    path.write_text("{")
    status, answer = preset(node, "b-1")
    assert status == 200 and "mistake" in answer["problem"] and str(node.root) not in answer["problem"]
    path.write_text(before)
    assert preset(node, "b-1")[1] == {"preset": "public", "policy": json.loads(before)["policies"]["b-1"], "problem": None}
