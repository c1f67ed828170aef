"""How often a key may ask, and how often an address may guess."""

import json
import time

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from util import code_of, put_via_header_pair, refused, send, signed

pytestmark = pytest.mark.local


def user(access, **more):
    return {"access_key": access, "secret_key": f"{access}-secret", "display_name": access, "policies": [{"bucket": "*", "actions": ["*"]}], **more}


def ask(node, access, target="/", method="GET", secret=None):
    return put_via_header_pair(node.endpoint, method, target, access=access, secret=secret or f"{access}-secret")


def drain(ask_once, is_refused=lambda reply: reply[0] == 503):
    """Asks until the rate is used up; the refusal."""
    for _ in range(200):
        reply = ask_once()
        if is_refused(reply):
            return reply
    raise AssertionError(f"never refused: {reply}")


def held_up(node, *request):
    """The refusal of a request of `ann`, whose rate other requests use up. A slow machine may give her one back in between, but
    not as many as a count of the request's own would."""
    for _ in range(3):
        drain(lambda: ask(node, "ann"))
        reply = ask(node, "ann", *request)
        if reply[0] == 503:
            return reply
    raise AssertionError(f"{request} is not held up: {reply}")


def test_a_key_that_asks_too_often(node_factory):
    node = node_factory(KEY_REQUESTS_PER_SECOND=1, KEY_REQUESTS_BURST=5)
    node.add_users(user("ann"), user("eve"))

    def by_signature():
        return signed(node, "GET", "/", access="ann", secret="ann-secret")

    assert [by_signature()[0] for _ in range(5)] == [200] * 5
    _, headers, body = drain(by_signature)
    assert code_of(body) == "SlowDown" and int(headers["retry-after"]) >= 1
    assert signed(node, "GET", "/", access="eve", secret="eve-secret")[0] == 200, "others are not held up"
    # The same count wherever the key is used, and however.
    assert code_of(held_up(node)[2]) == "SlowDown"
    for request in (("/_myfsio/events",), ("/bucket-policy/no-such-bucket",), ("/presign/no-such-bucket/k", "POST")):
        assert json.loads(held_up(node, *request)[2])["error"]["code"] == "SlowDown", request
    assert send(node.endpoint, "GET", "/healthz")[0] == 200
    for _ in range(20):
        assert send(node.endpoint, "GET", "/")[0] == 403, "nobody in particular has no rate"
    for _ in range(20):
        assert signed(node, "GET", "/", access="eve", secret="wrong")[0] == 403
    assert signed(node, "GET", "/", access="eve", secret="eve-secret")[0] == 200, "what was not proven does not count"
    time.sleep(2.1)
    assert ask(node, "ann")[0] == 200


@pytest.mark.parametrize("service, action", [("iam", "list_users"), ("sts", "get_caller_identity"), ("s3", "list_buckets")])
def test_each_request_counts_once_in_every_api(node_factory, service, action):
    node = node_factory(KEY_REQUESTS_PER_SECOND=1, KEY_REQUESTS_BURST=1)
    node.add_users(user("ann"))
    client = boto3.client(service, endpoint_url=node.endpoint, region_name="us-east-1", aws_access_key_id="ann", aws_secret_access_key="ann-secret",
                          config=Config(retries={"total_max_attempts": 1}))
    getattr(client, action)()

    def code():
        try:
            getattr(client, action)()
        except ClientError as error:
            return error.response["Error"]["Code"]

    assert drain(code, bool) == ("SlowDown" if service == "s3" else "Throttling")


def test_clients_wait_and_go_on(node_factory):
    """What boto3 does with 503: the requests take longer, and all are answered."""
    node = node_factory(KEY_REQUESTS_PER_SECOND=20, KEY_REQUESTS_BURST=2)
    client = boto3.client("s3", endpoint_url=node.endpoint, region_name="us-east-1", aws_access_key_id="localadmin", aws_secret_access_key="localadmin",
                          config=Config(retries={"mode": "standard", "total_max_attempts": 6}, s3={"addressing_style": "path"}))
    for _ in range(10):
        client.list_buckets()


def test_forms_count_too(node_factory):
    node = node_factory(KEY_REQUESTS_PER_SECOND=1, KEY_REQUESTS_BURST=2)
    s3 = node.client()
    s3.create_bucket(Bucket="b-1")
    time.sleep(1.1)
    form = s3.generate_presigned_post("b-1", "k")
    boundary = "x" * 20
    parts = "".join(f'--{boundary}\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in form["fields"].items())
    body = f'{parts}--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nbody\r\n--{boundary}--\r\n'.encode()

    def post():
        return send(node.endpoint, "POST", "/b-1", body, {"Content-Type": f"multipart/form-data; boundary={boundary}"})

    assert post()[0] == 204
    drain(post)


def test_no_limit_is_the_default(local_node):
    assert [ask(local_node, "localadmin", secret="localadmin")[0] for _ in range(60)] == [200] * 60


def test_an_address_that_guesses(node_factory):
    node = node_factory(LOGIN_FAILURES_MAX=12)
    node.add_users(user("ann"), user("eve"), user("cat"), user("off", enabled=False))
    assert ask(node, "ann")[0] == 200
    for i in range(6):
        assert code_of(ask(node, f"nobody{i}")[2]) == "InvalidAccessKeyId"
    for access in ("ann", "eve", "cat", "eve", "cat"):
        assert code_of(ask(node, access, secret="wrong")[2]) == "AccessDenied"
    for _ in range(20):
        with refused(403, "SignatureDoesNotMatch"):
            node.client("eve", "wrong").list_buckets()
    assert ask(node, "off")[0] == 403, "a right secret is no failure"
    assert code_of(ask(node, "nobody")[2]) == "InvalidAccessKeyId", "the twelfth"
    for access, secret in (("eve", None), ("eve", "wrong"), ("nobody", None), ("cat", None)):
        status, _, body = ask(node, access, secret=secret)
        assert (status, code_of(body)) == (403, "TooManyLoginAttempts") and b"your address" in body and b"<Until>" in body
    assert ask(node, "ann")[0] == 200, "who was here before goes on"
    assert ask(node, "off")[0] == 403
    node.client("eve", "eve-secret").list_buckets()
    told = json.loads(ask(node, "cat", "/_myfsio/events")[2])
    assert told["error"]["code"] == "TooManyLoginAttempts" and "address" in told["error"]["message"]


def test_who_was_here_before_still_gets_five_tries(node_factory):
    node = node_factory(LOGIN_FAILURES_MAX=3)
    node.add_users(user("ann"))
    assert ask(node, "ann")[0] == 200
    for _ in range(5):
        assert code_of(ask(node, "ann", secret="wrong")[2]) == "AccessDenied"
    assert code_of(ask(node, "ann")[2]) == "TooManyLoginAttempts"


def test_listed_proxies_speak_for_their_clients(node_factory):
    node = node_factory(LOGIN_FAILURES_MAX=3, TRUSTED_PROXIES="127.0.0.1")
    node.add_users(user("ann"))

    def come_from(address, secret):
        return code_of(put_via_header_pair(node.endpoint, "GET", "/", access="ann", secret=secret, **{"X-Forwarded-For": address})[2])

    for _ in range(4):
        come_from("2001:db8::1", "wrong")
    assert come_from("2001:db8::2", "ann-secret") == "TooManyLoginAttempts"
    assert come_from("2001:db8:0:1::1", "ann-secret") != "TooManyLoginAttempts"
    assert come_from("203.0.113.9", "ann-secret") != "TooManyLoginAttempts"


@pytest.mark.parametrize("name, value", [("KEY_REQUESTS_PER_SECOND", "-1"), ("KEY_REQUESTS_PER_SECOND", "many"), ("KEY_REQUESTS_BURST", "1000001"), ("LOGIN_FAILURES_MAX", "1.5")])
def test_values_that_are_none(node_factory, name, value):
    with pytest.raises(RuntimeError, match=name):
        node_factory(**{name: value})
