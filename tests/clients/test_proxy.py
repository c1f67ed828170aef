"""The examples of packaging/ for nginx and Caddy, as they are there but for names, ports and certificates: what S3 clients and browsers
do goes through them as it would without."""

import hashlib
import http.client
import io
import json
import os
import random
import re
import socket
import ssl
import subprocess
import time
import urllib.parse
import urllib.request

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

import node as nodes
from debian import program
from node import REPO, make_client
from replication import wait_until
from util import MIB, complete, data, md5, refused, upload_parts

START_SECONDS = 20
ACCESS, SECRET = "proxied", "proxied-secret"
PROGRAMS = {"nginx": "usr/sbin/nginx", "caddy": "usr/bin/caddy"}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for all names of the examples and for this machine, with its key."""
    folder = tmp_path_factory.mktemp("certificate")
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
         "/CN=myfsio test", "-addext", "subjectAltName=IP:127.0.0.1,DNS:*.example.com,DNS:*.s3.example.com", "-keyout", key, "-out", cert],
        check=True, capture_output=True)
    return cert, key


def quiet_port():
    """A free port that no connection is given by the system meanwhile: a proxy listens only after its node has started."""
    while True:
        port = random.randrange(20_000, 30_000)
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def replaced(text, *pairs):
    for old, new in pairs:
        assert old in text, f"{old} is not in the example"
        text = text.replace(old, new)
    return text


class Proxy:
    """One of the two in front of a node. `endpoint` is the API through it."""

    def __init__(self, name, certificate, folder):
        self.name, self.folder = name, folder
        self.program = program(name, PROGRAMS[name])
        self.cert, self.key = certificate
        self.port = quiet_port()
        self.endpoint = f"https://127.0.0.1:{self.port}"
        self.context = ssl.create_default_context(cafile=self.cert)
        self.log = folder / "log"
        self.process = None

    def start(self, node):
        ports = [("127.0.0.1:5000", f"127.0.0.1:{node.port}"), ("127.0.0.1:5100", f"127.0.0.1:{node.ui_port}")]
        command = getattr(self, f"_{self.name}")(ports)
        with open(self.log, "ab") as log:
            env = {**os.environ, "HOME": str(self.folder), "XDG_DATA_HOME": str(self.folder), "XDG_CONFIG_HOME": str(self.folder)}
            self.process = subprocess.Popen(command, cwd=self.folder, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        end = time.monotonic() + START_SECONDS
        while True:
            assert self.process.poll() is None and time.monotonic() < end, f"{self.name} does not start:\n{self.log.read_text()[-3000:]}"
            try:
                if self.send("GET", "/healthz")[0] == 200:
                    return self
            except OSError:
                time.sleep(0.03)

    def _nginx(self, ports):
        example = (REPO / "packaging" / "nginx.conf").read_text()
        self.bodies = self.folder / "bodies"
        site = replaced(example, *ports, ("listen 443 ssl", f"listen 127.0.0.1:{self.port} ssl"),
                        ("/etc/ssl/example.com/fullchain.pem", str(self.cert)), ("/etc/ssl/example.com/key.pem", str(self.key)))
        kept = "".join(f"{name}_temp_path {self.folder / name};" for name in ("proxy", "fastcgi", "uwsgi", "scgi"))
        main = (f"daemon off; master_process off; pid {self.folder}/pid; error_log {self.log} warn; events {{ worker_connections 256; }}"
                f"http {{ access_log off; client_body_temp_path {self.bodies}; {kept}\n{site}\n}}")
        (self.folder / "nginx.conf").write_text(main)
        return [self.program, "-p", self.folder, "-c", self.folder / "nginx.conf", "-e", self.log]

    def _caddy(self, ports):
        example = (REPO / "packaging" / "Caddyfile").read_text()
        sites = [(f"\n{name}.example.com {{\n", f"\n{addresses} {{\n\ttls {self.cert} {self.key}\n") for name, addresses in [
            ("s3", f"https://s3.example.com:{self.port}, {self.endpoint}"), ("console", f"https://console.example.com:{self.port}"),
            ("www", f"https://www.example.com:{self.port}")]]
        options = "{\n\tadmin off\n\tauto_https disable_redirects\n\tdefault_sni 127.0.0.1\n}\n"
        (self.folder / "Caddyfile").write_text(options + replaced(example, *ports, *sites))
        return [self.program, "run", "--config", self.folder / "Caddyfile", "--adapter", "caddyfile"]

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)

    def connection(self):
        return http.client.HTTPSConnection("127.0.0.1", self.port, context=self.context, timeout=60)

    def send(self, method, target, body=None, headers=None):
        """One request, exactly as given. Returns (status, http.client's headers, body)."""
        connection = self.connection()
        try:
            connection.request(method, target, body=body, headers=headers or {})
            reply = connection.getresponse()
            return reply.status, reply.headers, reply.read()
        finally:
            connection.close()

    def client(self, secret=SECRET, **config):
        s3 = make_client(self.endpoint, ACCESS, secret, **config)
        # make_client knows no certificates.
        s3._endpoint.http_session._verify = str(self.cert)
        return s3


@pytest.fixture(scope="module", params=PROGRAMS)
def proxies(request, certificate, tmp_path_factory):
    """Makes a proxy with a node behind it; both end with the module's tests of this kind of proxy."""
    running = []

    def make(**env):
        proxy = Proxy(request.param, certificate, tmp_path_factory.mktemp(request.param))
        node = nodes.Node(ADMIN_ACCESS_KEY=ACCESS, ADMIN_SECRET_KEY=SECRET, TRUSTED_PROXIES="127.0.0.1",
                          **{name: text.replace("PORT", str(proxy.port)) for name, text in env.items()})
        running.extend([proxy.stop, node.close])
        proxy.node = node.start()
        return proxy.start(node)

    yield make
    for end in running:
        end()


@pytest.fixture(scope="module")
def proxy(proxies):
    return proxies(BASE_DOMAINS="s3.example.com")


@pytest.fixture(scope="module")
def bucket(proxy):
    proxy.client().create_bucket(Bucket="through")
    return "through"


def signed(proxy, method, target, body=b"", secret=SECRET, host=None, **headers):
    """The headers of a request signed for the proxy's name."""
    request = AWSRequest(method=method, url=(host or proxy.endpoint) + target, data=body, headers=headers)
    S3SigV4Auth(Credentials(ACCESS, secret), "s3", "us-east-1").add_auth(request)
    return {name: value if isinstance(value, str) else value.decode() for name, value in request.headers.items()}


@pytest.mark.parametrize("key", ["a", "a//b", "/a", "a/", "ä ö+%20&?#;=@:,'()*!~", "ends/with/dot.", "a%2Fb", "\u202e"])
def test_keys_stay_as_they_are(proxy, bucket, key):
    s3 = proxy.client()
    s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == key.encode()
    assert key in [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket, Prefix=key)["Contents"]]
    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": key})
    s3.delete_object(Bucket=bucket, Key=key)
    assert proxy.node.client(ACCESS, SECRET).get_object(Bucket=bucket, Key="copy")["Body"].read() == key.encode()


def test_metadata_and_answers_stay_as_they_are(proxy, bucket):
    s3 = proxy.client()
    metadata = {"with_underscore": "1", "with.dot": "2", "plain": "=?UTF-8?B?w6Q=?="}
    s3.put_object(Bucket=bucket, Key="metadata", Body=b"x" * 3000, Metadata=metadata, ContentType="text/plain", CacheControl="no-cache")
    head = s3.head_object(Bucket=bucket, Key="metadata")
    direct = proxy.node.client(ACCESS, SECRET).head_object(Bucket=bucket, Key="metadata")
    for answer in (head, direct):
        # Names of headers have no case, and Caddy writes them its own way.
        answer["Metadata"] = {name.lower(): value for name, value in answer["Metadata"].items()}
    names = ("Metadata", "ETag", "ContentLength", "ContentType", "CacheControl", "LastModified", "AcceptRanges")
    assert {name: head.get(name) for name in names} == {name: direct.get(name) for name in names} and head["Metadata"] == metadata
    part = s3.get_object(Bucket=bucket, Key="metadata", Range="bytes=10-19")
    assert (part["ContentRange"], part["Body"].read()) == ("bytes 10-19/3000", b"x" * 10)
    with refused(304):
        s3.get_object(Bucket=bucket, Key="metadata", IfNoneMatch=head["ETag"])
    # Compressed on the way, it would not be what its ETag is of.
    status, headers, body = proxy.send("GET", f"/{bucket}/metadata", headers=signed(proxy, "GET", f"/{bucket}/metadata", **{"accept-encoding": "gzip"}))
    assert (status, headers["content-encoding"], md5(body)) == (200, None, head["ETag"].strip('"'))


def test_parts(proxy, bucket):
    s3 = proxy.client()
    upload, parts = upload_parts(s3, bucket, "parts", {1: data(5 * MIB), 2: b"end"})
    complete(s3, bucket, "parts", upload, parts)
    assert s3.get_object(Bucket=bucket, Key="parts")["Body"].read() == data(5 * MIB) + b"end"


def test_the_aws_cli(proxy, bucket, tmp_path):
    (tmp_path / "up").write_bytes(data(9 * MIB, seed=2))
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "AWS_ACCESS_KEY_ID": ACCESS, "AWS_SECRET_ACCESS_KEY": SECRET,
           "AWS_DEFAULT_REGION": "us-east-1", "AWS_CA_BUNDLE": str(proxy.cert), "AWS_ENDPOINT_URL": proxy.endpoint, "AWS_MAX_ATTEMPTS": "1"}

    def aws(*arguments):
        done = subprocess.run(["aws", "s3", *arguments], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    aws("cp", "up", f"s3://{bucket}/cli/up")
    aws("cp", f"s3://{bucket}/cli/up", "down")
    assert (tmp_path / "down").read_bytes() == (tmp_path / "up").read_bytes()
    url = aws("presign", f"s3://{bucket}/cli/up").strip()
    assert url.startswith(proxy.endpoint)
    with urllib.request.urlopen(url, context=proxy.context) as reply:
        assert reply.read() == (tmp_path / "up").read_bytes()


def test_presigned_urls(proxy, bucket):
    s3 = proxy.client()

    def presigned(operation, key):
        url = s3.generate_presigned_url(operation, {"Bucket": bucket, "Key": key}, ExpiresIn=60)
        return url.removeprefix(proxy.endpoint)

    assert proxy.send("PUT", presigned("put_object", "presigned"), b"sent")[0] == 200
    assert proxy.send("GET", presigned("get_object", "presigned"))[2] == b"sent"
    assert proxy.send("GET", presigned("get_object", "presigned") + "0")[0] == 403
    # What the node itself presigns is for the host that the client used.
    body = json.dumps({"method": "GET"}).encode()
    status, _, answer = proxy.send("POST", f"/presign/{bucket}/presigned", body, signed(proxy, "POST", f"/presign/{bucket}/presigned", body))
    url = json.loads(answer)["url"]
    assert status == 200 and url.startswith(proxy.endpoint + "/"), answer
    assert proxy.send("GET", url.removeprefix(proxy.endpoint))[2] == b"sent"


def test_buckets_as_hosts(proxy, bucket):
    if proxy.name == "caddy":
        pytest.skip("a wildcard certificate needs a module of the provider of DNS")
    host = f"https://{bucket}.s3.example.com:{proxy.port}"
    headers = signed(proxy, "PUT", "/by-host", b"here", host=host)
    assert proxy.send("PUT", "/by-host", b"here", {**headers, "host": host.removeprefix("https://")})[0] == 200
    assert proxy.client().get_object(Bucket=bucket, Key="by-host")["Body"].read() == b"here"


def test_the_node_knows_that_it_is_tls(proxy):
    s3, direct = proxy.client(), proxy.node.client(ACCESS, SECRET)
    s3.create_bucket(Bucket="tls-only")
    s3.put_object(Bucket="tls-only", Key="k", Body=b"")
    statement = {"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::tls-only/*",
                 "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
    s3.put_bucket_policy(Bucket="tls-only", Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    s3.get_object(Bucket="tls-only", Key="k")
    with refused(403, "AccessDenied"):
        direct.get_object(Bucket="tls-only", Key="k")


def test_the_node_knows_who_asks(proxy):
    """The client's address is what the proxy saw, whatever the client says."""
    connection = http.client.HTTPSConnection("127.0.0.1", proxy.port, context=proxy.context, timeout=60, source_address=("127.0.0.2", 0))
    try:
        connection.request("GET", "/", headers={"x-forwarded-for": "6.6.6.6"})
        request = connection.getresponse().headers["x-amz-request-id"]
    finally:
        connection.close()
    target = f"/_myfsio/requests?request_id={request}"
    end = time.monotonic() + 10
    while not (found := json.loads(proxy.send("GET", target, headers=signed(proxy, "GET", target))[2])["requests"]):
        assert time.monotonic() < end
        time.sleep(0.05)
    assert found[0]["address"] == "127.0.0.2"


def test_a_large_upload_goes_through_as_it_comes(proxy, bucket):
    size, piece = 300 * MIB, data(MIB, seed=3)
    target = proxy.client().generate_presigned_url("put_object", {"Bucket": bucket, "Key": "large"}, ExpiresIn=600).removeprefix(proxy.endpoint)
    connection = proxy.connection()
    digest = hashlib.md5()
    try:
        connection.putrequest("PUT", target)
        connection.putheader("content-length", str(size))
        connection.endheaders()
        for number in range(size // MIB):
            connection.send(piece)
            digest.update(piece)
        reply = connection.getresponse()
        assert (reply.status, reply.headers["etag"]) == (200, f'"{digest.hexdigest()}"'), reply.read()
    finally:
        connection.close()
    # The journal answers for the object before its file has its name.
    wait_until("the file", (proxy.node.root / bucket / "large").exists)
    assert (proxy.node.root / bucket / "large").stat().st_size == size
    if proxy.name == "nginx":
        # A body that is kept in between would have lain here.
        assert "buffered to a temporary file" not in proxy.log.read_text()
    down = hashlib.md5()
    for block in proxy.client().get_object(Bucket=bucket, Key="large")["Body"].iter_chunks(MIB):
        down.update(block)
    assert down.digest() == digest.digest()
    proxy.client().delete_object(Bucket=bucket, Key="large")


def test_what_the_node_refuses_is_refused_as_it_says(proxy, bucket):
    body = data(64 * MIB, seed=4)
    # As a file, a body waits for leave to be sent; as bytes, it comes at once, and Caddy cuts off who sends more after an answer.
    for wait in [True] if proxy.name == "caddy" else [True, False]:
        def sent():
            return io.BytesIO(body) if wait else body
        for _ in range(3):
            with refused(403, "SignatureDoesNotMatch"):
                proxy.client(secret="another-secret").put_object(Bucket=bucket, Key="refused", Body=sent())
        with refused(404, "NoSuchBucket"):
            proxy.client().put_object(Bucket="absent-bucket", Key="refused", Body=sent())
    with refused(400, "BadDigest"):
        proxy.client().put_object(Bucket=bucket, Key="refused", Body=body, ContentMD5="1B2M2Y8AsgTpgAmY7PhCfg==")
    with refused(404):
        proxy.client().head_object(Bucket=bucket, Key="refused")


def test_expect(proxy, bucket):
    """A client that waits for leave to send gets it, and its body arrives."""
    target = f"/{bucket}/expected"
    headers = signed(proxy, "PUT", target, b"after leave")
    headers.update({"host": f"127.0.0.1:{proxy.port}", "content-length": "11", "expect": "100-continue", "connection": "close"})
    head = f"PUT {target} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items()) + "\r\n"
    with proxy.context.wrap_socket(socket.create_connection(("127.0.0.1", proxy.port), 30), server_hostname="127.0.0.1") as stream:
        stream.sendall(head.encode())
        leave = stream.recv(4096)
        assert leave.startswith(b"HTTP/1.1 100 "), leave
        stream.sendall(b"after leave")
        answer = b"".join(iter(lambda: stream.recv(4096), b""))
    assert b"HTTP/1.1 200 " in leave + answer, answer
    assert proxy.client().get_object(Bucket=bucket, Key="expected")["Body"].read() == b"after leave"


def test_events_come_at_once(proxy, bucket):
    connection = proxy.connection()
    try:
        connection.request("GET", "/_myfsio/trace", headers=signed(proxy, "GET", "/_myfsio/trace"))
        reply = connection.getresponse()
        assert (reply.status, reply.headers["content-type"]) == (200, "text/event-stream")
        assert reply.readline() == b": listening\n"
        proxy.client().put_object(Bucket=bucket, Key="told", Body=b"")
        # The connection's time limit ends it, if nothing comes.
        while b"told" not in (line := reply.readline()):
            assert line, "the stream has ended"
    finally:
        connection.close()


class Browser:
    """As much of one as the console needs: cookies, forms, where they lead to."""

    def __init__(self, proxy, host):
        self.proxy, self.host, self.cookies = proxy, f"{host}:{proxy.port}", {}

    def open(self, target, form=None):
        headers = {"host": self.host, "cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        body = None
        if form is not None:
            body = urllib.parse.urlencode(form)
            headers.update({"content-type": "application/x-www-form-urlencoded", "origin": f"https://{self.host}", "sec-fetch-site": "same-origin"})
        status, answered, text = self.proxy.send("POST" if form is not None else "GET", target, body, headers)
        for cookie in answered.get_all("set-cookie", []):
            name, value = cookie.split(";")[0].split("=", 1)
            assert name.startswith("__Host-") and "Path=/;" in cookie and cookie.endswith("; Secure"), cookie
            self.cookies[name] = value
        return status, answered, text.decode()


@pytest.mark.parametrize(("host", "path"), [("console.example.com", ""), ("www.example.com", "/storage")])
def test_the_console(proxies, host, path):
    proxy = proxies(UI_BASE_URL=f"https://{host}:PORT{path}", API_BASE_URL="https://s3.example.com:PORT")
    proxy.client().create_bucket(Bucket="seen")
    proxy.client().put_object(Bucket="seen", Key="k", Body=b"x")
    browser = Browser(proxy, host)
    status, headers, _ = browser.open(f"{path}/ui")
    assert (status, headers["location"]) == (303, f"{path}/ui/login")
    status, _, page = browser.open(headers["location"])
    assert status == 200 and f'action="{path}/ui/login"' in page
    token = re.search(r'name="csrf" value="([^"]+)"', page)[1]
    status, headers, _ = browser.open(f"{path}/ui/login", {"csrf": token, "access_key": ACCESS, "secret_key": SECRET, "next": "/ui/buckets"})
    assert (status, headers["location"]) == (303, f"{path}/ui/buckets")
    status, _, page = browser.open(headers["location"])
    assert status == 200 and "seen" in page
    addresses = re.findall(r'(?:href|src|action)="(/[^"]*)"', page)
    assert len(addresses) > 5 and all(address.startswith(f"{path}/ui") for address in addresses), addresses
    for address in addresses:
        if "/static/" in address:
            assert browser.open(address.split("#")[0])[0] == 200, address
    # The object's page presigns for the API's own name.
    status, _, page = browser.open(f"{path}/ui/buckets/seen/object?key=k")
    assert status == 200 and f"https://s3.example.com:{proxy.port}/seen/k" in page.replace("&#x2F;", "/").replace("&#47;", "/")
    token = re.search(r'data-csrf="([^"]+)"', page)[1]
    status, headers, _ = browser.open(f"{path}/ui/logout", {"csrf": token})
    assert (status, headers["location"]) == (303, f"{path}/ui/login?signed_out=1")
    assert browser.open(f"{path}/ui/buckets")[0] == 303


def test_nothing_is_left_of_a_client_that_goes_away(proxy, bucket):
    """A proxy must tell the node that its client is gone, else uploads would wait for their timeout."""
    target = f"/{bucket}/broken-off"
    headers = {**signed(proxy, "PUT", target, b"", **{"x-amz-content-sha256": "UNSIGNED-PAYLOAD"}), "content-length": str(64 * MIB)}
    connection = proxy.connection()
    connection.putrequest("PUT", target)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    connection.send(data(MIB))
    connection.close()
    end = time.monotonic() + 30
    while proxy.client().list_objects_v2(Bucket=bucket, Prefix="broken-off")["KeyCount"] or under_way(proxy) > 1:
        assert time.monotonic() < end, "the request is still under way"
        time.sleep(0.1)


def under_way(proxy):
    """Requests under way, this one included."""
    _, _, text = proxy.send("GET", "/_myfsio/metrics", headers=signed(proxy, "GET", "/_myfsio/metrics"))
    return int(re.search(r"^myfsio_requests_under_way (\d+)$", text.decode(), re.M)[1])
