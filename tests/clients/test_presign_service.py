"""`POST /presign/<bucket>/<key>`: URLs that the node signs with the caller's credentials."""

import http.client
import http.server
import json
import os
import shutil
import subprocess
import threading
import time
import urllib.parse
import uuid

import pytest

import node as nodes
from util import code_of, send, signed

pytestmark = pytest.mark.local

KEYS = ["k", "a b+c%20d%2F", "ünï/çødé/文件 🗄.txt", "a//b", "/lead", "trail/", "a/../b", "../up", "x/./y", "~-._!*'();:@&=$,?#[]", "100%", "..", "nul\0\x1fl", "é"]


@pytest.fixture(scope="module")
def node():
    if os.environ.get("S3_ENDPOINT"):
        pytest.skip("needs a node of its own")
    made = nodes.Node().start()
    made.add_users(
        {"access_key": "reader", "secret_key": "reader-secret", "display_name": "reader", "policies": [{"bucket": "*", "actions": ["read"]}]},
        {"access_key": "none", "secret_key": "none-secret", "display_name": "none", "policies": []},
    )
    yield made
    made.close()


@pytest.fixture
def bucket(node):
    name = f"u-{uuid.uuid4().hex[:12]}"
    node.client().create_bucket(Bucket=name)
    return name


def path_to(bucket, key):
    return f"/presign/{bucket}/{urllib.parse.quote(key, safe='')}"


def presign(node, bucket, key, body=None, access="localadmin", secret="localadmin", **headers):
    pair = {"X-Access-Key": access, "X-Secret-Key": secret} if access else {}
    sent = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    status, headers, answer = send(node.endpoint, "POST", path_to(bucket, key), sent, {**pair, **headers})
    assert headers["content-type"] == "application/json"
    return status, json.loads(answer)


def url_for(node, bucket, key, method="GET", **more):
    status, answer = presign(node, bucket, key, {"method": method, "expires_in": 60}, **more)
    assert status == 200, answer
    return answer["url"]


def use(url, method="GET", body=b"", host=None, at=None, headers=None):
    """Uses a URL as it stands; `at` is where its host is, if it is not where it says."""
    parts = urllib.parse.urlsplit(url)
    target = url[url.index("/", 8):]
    return send(at or f"{parts.scheme}://{parts.netloc}", method, target, body, {"Host": host or parts.netloc, **(headers or {})})


def test_answers(node, bucket):
    for body, expected in ((None, ("GET", 900)), ({}, ("GET", 900)), ({"method": "PUT"}, ("PUT", 900)), ({"method": "DELETE", "expires_in": 604800}, ("DELETE", 604800)),
                           ({"method": "put", "expires_in": 1}, ("PUT", 1))):
        status, answer = presign(node, bucket, "k", body)
        assert status == 200 and set(answer) == {"url", "method", "expires_in"}
        assert (answer["method"], answer["expires_in"]) == expected
        assert answer["url"].startswith(f"{node.endpoint}/{bucket}/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&")
        assert f"X-Amz-Expires={expected[1]}&" in answer["url"]
    status, headers, _ = send(node.endpoint, "POST", path_to(bucket, "k"), b"", {"X-Access-Key": "localadmin", "X-Secret-Key": "localadmin"})
    assert (status, headers["cache-control"]) == (200, "no-store")


@pytest.mark.parametrize("body, word", [
    (b"{", "JSON"), (b"[]", "object"), ({"method": "HEAD"}, "method"), ({"method": 1}, "method"), ({"expires_in": 0}, "expires_in"), ({"expires_in": 604801}, "expires_in"),
    ({"expires_in": -1}, "expires_in"), ({"expires_in": "900"}, "expires_in"), ({"expires_in": 1.5}, "expires_in"), ({"expires_in": None}, "expires_in"), ({"expires": 1}, "method"),
])
def test_bad_bodies(node, bucket, body, word):
    status, answer = presign(node, bucket, "k", body)
    assert (status, answer["error"]["code"]) == (400, "InvalidArgument") and word in answer["error"]["message"]


def test_refusals(node, bucket):
    def code(reply):
        return reply[0], json.loads(reply[2])["error"]["code"]

    pair = {"X-Access-Key": "localadmin", "X-Secret-Key": "localadmin"}
    assert code(send(node.endpoint, "GET", path_to(bucket, "k"), headers=pair)) == (405, "MethodNotAllowed")
    assert code(send(node.endpoint, "POST", f"/presign/{bucket}", headers=pair)) == (400, "InvalidRequest")
    assert code(send(node.endpoint, "POST", f"/presign/{bucket}/", headers=pair)) == (400, "InvalidRequest")
    assert code(send(node.endpoint, "POST", "/presign/no-such-bucket/k", headers=pair)) == (404, "NoSuchBucket")
    assert code(send(node.endpoint, "POST", "/presign/No/k", headers=pair)) == (400, "InvalidBucketName")
    assert code(send(node.endpoint, "POST", f"/presign/{bucket}/%ff", headers=pair)) == (400, "InvalidURI")
    assert code(send(node.endpoint, "POST", path_to(bucket, "k"), b" " * 5000, pair)) == (400, "MaxMessageLengthExceeded")
    reply = send(node.endpoint, "POST", "/presign/no-such-bucket/k", headers={**pair, "Accept": "application/xml"})
    assert (reply[0], code_of(reply[2])) == (404, "NoSuchBucket")


@pytest.mark.parametrize("key", KEYS)
def test_any_key(node, bucket, key):
    """Put, get and delete by URL alone; what is there is what boto3 sees."""
    body = key.encode() * 3
    assert use(url_for(node, bucket, key, "PUT"), "PUT", body)[0] == 200
    s3 = node.client()
    listed = s3.list_objects_v2(Bucket=bucket, EncodingType="url")["Contents"]
    assert [urllib.parse.unquote_plus(o["Key"]) for o in listed] == [key]
    status, _, got = use(url_for(node, bucket, key))
    assert (status, got) == (200, body)
    assert use(url_for(node, bucket, key, "DELETE"), "DELETE")[0] == 204
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


@pytest.mark.parametrize("key", ["a/../b", "../up", "x/./y", "x/..", "a//b", "ünï+ %"])
def test_curl_gets_it_too(node, bucket, key):
    """curl resolves dots in paths before it sends them, as browsers do."""
    if not shutil.which("curl"):
        pytest.skip("curl is not here")
    assert use(url_for(node, bucket, key, "PUT"), "PUT", b"body")[0] == 200
    done = subprocess.run(["curl", "-s", "-f", url_for(node, bucket, key)], capture_output=True, timeout=30)
    assert (done.returncode, done.stdout) == (0, b"body")


def test_a_url_is_for_one_method_key_and_time(node, bucket):
    node.client().put_object(Bucket=bucket, Key="k", Body=b"x")
    url = url_for(node, bucket, "k")
    assert use(url)[0] == 200
    assert use(url, "DELETE")[0] == 403 and use(url.replace(f"/{bucket}/k?", f"/{bucket}/l?"))[0] == 403
    assert use(url.replace("X-Amz-Expires=60", "X-Amz-Expires=600"))[0] == 403
    status, answer = presign(node, bucket, "k", {"expires_in": 1})
    time.sleep(2.2)
    status, _, body = use(answer["url"])
    assert (status, code_of(body)) == (403, "AccessDenied") and b"expired" in body


def test_any_way_of_authentication(node, bucket):
    """The credentials of the URL are the caller's own, however they were shown."""
    node.client().put_object(Bucket=bucket, Key="k", Body=b"x")
    for access, secret in (("localadmin", "localadmin"), ("reader", "reader-secret")):
        status, _, answer = signed(node, "POST", path_to(bucket, "k"), b'{"expires_in":60}', access=access, secret=secret)
        url = json.loads(answer)["url"]
        assert status == 200 and f"X-Amz-Credential={access}%2F" in url
        assert use(url)[0] == 200
        assert f"X-Amz-Credential={access}%2F" in url_for(node, bucket, "k", access=access, secret=secret)


def test_what_the_caller_may_not_do_is_not_signed(node, bucket):
    def refused(method, access, secret=None):
        status, answer = presign(node, bucket, "k", {"method": method}, access, secret or f"{access}-secret")
        return status, answer.get("error", {}).get("code")

    node.client().put_object(Bucket=bucket, Key="k", Body=b"x")
    assert refused("GET", None) == (403, "AccessDenied")
    for method in ("GET", "PUT", "DELETE"):
        assert refused(method, "none") == (403, "AccessDenied")
    assert refused("GET", "reader")[0] == 200
    assert refused("PUT", "reader") == (403, "AccessDenied") and refused("DELETE", "reader") == (403, "AccessDenied")
    assert refused("GET", "localadmin", "wrong") == (403, "AccessDenied")
    deny = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*",
                                                     "Condition": {"StringEquals": {"s3:authType": "REST-QUERY-STRING"}}}]}
    url = url_for(node, bucket, "k", access="reader", secret="reader-secret")
    assert use(url)[0] == 200
    node.client().put_bucket_policy(Bucket=bucket, Policy=json.dumps(deny))
    assert refused("GET", "reader") == (403, "AccessDenied"), "it is asked as the URL's request will be"
    assert use(url)[0] == 403, "the policy is asked again when the URL is used"


def test_an_anonymous_bucket_lets_nobody_sign(node, bucket):
    send(node.endpoint, "PUT", f"/_myfsio/buckets/{bucket}/policy", b'{"preset":"public"}', {"X-Access-Key": "localadmin", "X-Secret-Key": "localadmin"})
    status, answer = presign(node, bucket, "k", access=None)
    assert (status, answer["error"]["code"]) == (403, "AccessDenied")


class Proxy(http.server.BaseHTTPRequestHandler):
    """Passes requests on under another Host, as a reverse proxy does."""

    def pass_on(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        headers = {k: v for k, v in self.headers.items() if k.lower() not in ("host", "connection")}
        headers["X-Forwarded-Proto"] = "https"
        if self.server.tells_host:
            headers["X-Forwarded-Host"] = self.headers["Host"] + self.server.adds
        status, replied, answer = send(self.server.node, self.command, self.path, body, {**headers, "Host": "inner.invalid:1234"})
        self.send_response(status)
        self.send_header("Content-Type", replied.get("content-type", "application/octet-stream"))
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_PUT = do_POST = do_DELETE = pass_on

    def log_message(self, *_):
        pass


@pytest.fixture
def proxy():
    made = []

    def make(node, tells_host=True, adds=""):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
        server.node, server.tells_host, server.adds = node.endpoint, tells_host, adds
        threading.Thread(target=server.serve_forever, daemon=True).start()
        made.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield make
    for server in made:
        server.shutdown()
        server.server_close()


def through(proxy, bucket, key, method, host, access="ann", secret="ann-secret"):
    status, _, answer = send(proxy, "POST", path_to(bucket, key), json.dumps({"method": method}).encode(), {"Host": host, "X-Access-Key": access, "X-Secret-Key": secret})
    assert status == 200, answer
    return json.loads(answer)["url"]


ANN = {"access_key": "ann", "secret_key": "ann-secret", "display_name": "ann", "policies": [{"bucket": "*", "actions": ["*"]}]}


@pytest.mark.parametrize("adds", ["", ":443"])
def test_behind_a_proxy_that_tells_the_host(node_factory, proxy, adds):
    node = node_factory()
    node.add_users(ANN)
    node.client().create_bucket(Bucket="b-1")
    at = proxy(node, adds=adds)
    put = through(at, "b-1", "a b", "PUT", "S3.Example.com")
    assert put.startswith("https://s3.example.com/b-1/a%20b?")
    assert use(put, "PUT", b"body", at=at)[0] == 200
    get = through(at, "b-1", "a b", "GET", "s3.example.com")
    assert use(get, at=at)[::2] == (200, b"body")
    assert use(get, at=node.endpoint)[::2] == (200, b"body"), "and past it, under the same name"
    assert use(get, at=at, host="other.example.com")[0] == 403


def test_behind_a_proxy_that_tells_nothing(node_factory, proxy):
    node = node_factory(API_BASE_URL="https://files.example.com:8443")
    node.add_users(ANN)
    node.client().create_bucket(Bucket="b-1")
    at = proxy(node, tells_host=False)
    put = through(at, "b-1", "ü/..", "PUT", "whatever")
    assert put.startswith("https://files.example.com:8443/b-1/")
    assert use(put, "PUT", b"body", at=at)[0] == 200
    assert use(through(at, "b-1", "ü/..", "GET", "whatever"), at=at)[::2] == (200, b"body")


def test_strangers_cannot_name_the_host(node_factory, proxy):
    node = node_factory(TRUSTED_PROXIES="none")
    node.add_users(ANN)
    node.client().create_bucket(Bucket="b-1")
    url = through(proxy(node), "b-1", "k", "GET", "evil.example.com")
    assert url.startswith("http://inner.invalid:1234/b-1/k?")


def test_a_request_without_a_host(node, bucket):
    port = int(node.endpoint.rsplit(":", 1)[1])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.putrequest("POST", path_to(bucket, "k"), skip_host=True)
    for name, value in (("X-Access-Key", "reader"), ("X-Secret-Key", "reader-secret"), ("Content-Length", "0")):
        connection.putheader(name, value)
    connection.endheaders()
    reply = connection.getresponse()
    assert reply.status == 400, reply.read()
    connection.close()
