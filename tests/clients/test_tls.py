"""TLS on the node's own listeners (docs/tls.md): clients, the certificate that changes while they work, and those who never finish a handshake."""

import contextlib
import http.client
import json
import os
import pathlib
import re
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import urllib.parse

import pytest

import node as nodes
import replication
from node import TLS_FILES, believing
from sse import customer
from test_commands import command
from util import MIB, data, put_via_header_pair, refused

pytestmark = pytest.mark.local
AWS = shutil.which("aws", path=os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"])


@pytest.fixture
def pair(tmp_path):
    """Where the node's certificate and key are; `use` puts others there."""
    return Pair(tmp_path)


class Pair:
    def __init__(self, folder):
        self.cert, self.key = folder / "cert.pem", folder / "key.pem"
        self.use("node")

    def use(self, cert, key=None):
        """As tools that renew certificates do: one file after the other."""
        for source, target in ((f"{cert}.pem", self.cert), (f"{key or cert}.key", self.key)):
            beside = target.with_suffix(".new")
            shutil.copy(TLS_FILES / source, beside)
            os.replace(beside, target)

    @property
    def settings(self):
        return {"TLS_CERT_PATH": self.cert, "TLS_KEY_PATH": self.key}


def connect(port, context=None, name="localhost"):
    return (context or believing()).wrap_socket(socket.create_connection(("127.0.0.1", port), timeout=10), server_hostname=name)


def shown(port):
    """The certificate that a new client is shown."""
    with connect(port) as client:
        return client.getpeercert(True)


def der(name):
    return ssl.PEM_cert_to_DER_cert((TLS_FILES / f"{name}.pem").read_text())


def ask(client, target, host="localhost", **headers):
    """One request on a connection that is closed then; status, headers and body."""
    lines = [f"GET {target} HTTP/1.1", f"Host: {host}", "Connection: close", *(f"{name}: {value}" for name, value in headers.items())]
    client.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
    reply = http.client.HTTPResponse(client)
    reply.begin()
    return reply.status, reply.headers, reply.read()


def read_all(client):
    received = b""
    while block := client.recv(65536):
        received += block
    return received


def test_clients_work_over_tls(node_factory, pair, tmp_path):
    node = node_factory(ENCRYPTION_ENABLED="true", **pair.settings)
    s3 = node.client()
    s3.create_bucket(Bucket="sealed")
    body = data(9 * MIB)
    s3.put_object(Bucket="sealed", Key="large", Body=body)
    assert s3.get_object(Bucket="sealed", Key="large")["Body"].read() == body
    # A customer's key is taken where nobody can read it, wherever the client says that it is.
    with connect(node.port) as client:
        assert ask(client, "/sealed/large", host="node.test")[0] == 403
    s3.put_object(Bucket="sealed", Key="of-customer", Body=b"x", **customer(1))
    assert s3.get_object(Bucket="sealed", Key="of-customer", **customer(1))["Body"].read() == b"x"
    with refused(404, "NoSuchKey"):
        s3.get_object(Bucket="sealed", Key="none")
    # URLs that the node makes lead back to it.
    status, _, answer = put_via_header_pair(node.endpoint, "POST", "/presign/sealed/large", b"{}")
    url = urllib.parse.urlsplit(json.loads(answer)["url"])
    assert (status, url.scheme, url.port) == (200, "https", node.port)
    with connect(node.port) as client:
        assert ask(client, f"{url.path}?{url.query}", host=url.netloc)[2] == body
    assert "S3 API  https://127.0.0.1:" in node.log.read_text() and f"console https://127.0.0.1:{node.ui_port}/ui" in node.log.read_text()
    if AWS is not None:
        env = {**os.environ, "AWS_ACCESS_KEY_ID": nodes.ACCESS, "AWS_SECRET_ACCESS_KEY": nodes.SECRET, "AWS_DEFAULT_REGION": "us-east-1",
               "AWS_CONFIG_FILE": str(tmp_path / "none"), "AWS_EC2_METADATA_DISABLED": "true"}
        got = tmp_path / "got"
        aws = [AWS, "--endpoint-url", node.endpoint, "--ca-bundle", str(TLS_FILES / "ca.pem"), "s3", "cp", "s3://sealed/large", str(got)]
        done = subprocess.run(aws, env=env, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0 and got.read_bytes() == body, done.stderr


def test_policies_see_tls_and_its_version(node_factory, pair):
    node = node_factory(**pair.settings, TRUSTED_PROXIES="127.0.0.2")
    s3 = node.client()
    s3.create_bucket(Bucket="b-1")
    s3.put_object(Bucket="b-1", Key="k", Body=b"x")

    def policy(condition):
        s3.put_bucket_policy(Bucket="b-1", Policy=json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b-1/*", "Condition": condition}]}))

    def status(version, **headers):
        context = believing()
        context.minimum_version = context.maximum_version = version
        with connect(node.port, context) as client:
            return ask(client, "/b-1/k", **headers)[0]

    old, new = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
    policy({"Bool": {"aws:SecureTransport": "true"}})
    # Nobody but a listed proxy says what another's connection is.
    assert [status(new), status(old), status(new, **{"X-Forwarded-Proto": "http"})] == [200, 200, 200]
    policy({"NumericGreaterThanEquals": {"s3:TlsVersion": "1.3"}})
    assert [status(new), status(old), status(old, **{"x-myfsio-tls": "1.3 X"})] == [200, 403, 403]
    policy({"StringEquals": {"s3:TlsVersion": "1.2"}})
    assert [status(new), status(old)] == [403, 200]


def test_a_header_of_a_client_is_no_tls(node_factory):
    node = node_factory(TRUSTED_PROXIES="127.0.0.1")
    s3 = node.client()
    s3.create_bucket(Bucket="b-1")
    s3.put_object(Bucket="b-1", Key="k", Body=b"x")
    s3.put_bucket_policy(Bucket="b-1", Policy=json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b-1/*",
         "Condition": {"Null": {"s3:TlsVersion": "false"}}}]}))
    with socket.create_connection(("127.0.0.1", node.port), timeout=10) as client:
        assert ask(client, "/b-1/k", **{"x-myfsio-tls": "1.3 X", "X-Forwarded-Proto": "https"})[0] == 403


def test_versions_protocols_and_plain_http(node_factory, pair):
    node = node_factory(**pair.settings, TLS_MIN_VERSION="1.3", WEBSITE_PORT=(websites := nodes.free_port()))
    context = believing()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError):
        connect(node.port, context)
    context = believing()
    context.set_alpn_protocols(["h2", "http/1.1"])
    with connect(node.port, context) as client:
        assert (client.version(), client.selected_alpn_protocol()) == ("TLSv1.3", "http/1.1")
        assert ask(client, "/healthz")[0] == 200
    for port in (node.port, node.ui_port, websites):
        with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
            client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = read_all(client)
        assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n") and b"https://" in answer, answer
        with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
            client.sendall(b"\x00\x01 something else")
            with contextlib.suppress(ConnectionResetError):
                assert read_all(client) == b""


def test_the_console_over_tls(node_factory, pair):
    node = node_factory(**pair.settings)
    with connect(node.ui_port) as client:
        status, headers, page = ask(client, "/ui/login", host=f"localhost:{node.ui_port}")
    assert status == 200 and headers["Strict-Transport-Security"].startswith("max-age=")
    cookie = headers["Set-Cookie"]
    assert cookie.startswith("__Host-") and "; Secure" in cookie and "HttpOnly" in cookie
    form = {"csrf": re.search(rb'name="csrf" value="([^"]+)"', page)[1].decode(), "access_key": nodes.ACCESS, "secret_key": nodes.SECRET}
    session = http.client.HTTPSConnection("localhost", node.ui_port, context=believing(), timeout=10)
    session.request("POST", "/ui/login", urllib.parse.urlencode(form), {
        "Content-Type": "application/x-www-form-urlencoded", "Cookie": cookie.split(";")[0], "Sec-Fetch-Site": "same-origin",
        "Origin": f"https://localhost:{node.ui_port}"})
    answer = session.getresponse()
    answer.read()
    cookies = answer.headers.get_all("Set-Cookie")
    assert answer.status == 303 and any(c.startswith("__Host-myfsio-session=") and "; Secure" in c for c in cookies), (answer.status, cookies)
    session.close()


def test_the_front_speaks_tls_and_tells_the_node(node_factory, pair):
    node = node_factory(**pair.settings)
    port = nodes.free_port()
    env = {"PATH": os.environ.get("PATH", ""), "STORAGE_ROOT": str(node.root), "UI_PORT": str(port), **node.env}
    front = subprocess.Popen([nodes.BINARY, "serve", "--mode", "ui"], cwd=node.cwd, env={k: str(v) for k, v in env.items()},
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    try:
        assert "https://" in front.stdout.readline() + front.stdout.readline()
        with connect(port) as client:
            status, headers, _ = ask(client, "/ui/login", host=f"localhost:{port}")
        assert status == 200 and "; Secure" in headers["Set-Cookie"] and "Strict-Transport-Security" in headers
        node.stop()
        with connect(port) as client:
            assert ask(client, "/ui/login")[0] == 503
        with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert read_all(client).startswith(b"HTTP/1.1 400 ")
    finally:
        front.kill()
        front.wait()


def test_commands_of_a_node_with_tls(node_factory, pair):
    node = node_factory(**pair.settings)
    command(node, "healthcheck", PORT=str(node.port))
    command(node, "healthcheck", status=1, PORT=str(nodes.free_port()))
    command(node, "bucket", "create", "by-command")
    assert [b["Name"] for b in node.client().list_buckets()["Buckets"]] == ["by-command"]
    node.stop()
    assert "by-command" in command(node, "bucket", "list")


def test_the_end_of_the_certificate_is_told(node_factory, pair):
    token = "a-token-for-scrapers"
    node = node_factory(**pair.settings, METRICS_TOKEN=token)
    anybody = believing()
    anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE

    def end():
        with connect(node.port, anybody) as client:
            text = ask(client, "/_myfsio/metrics", Authorization=f"Bearer {token}")[2].decode()
        return int(re.search(r"^myfsio_certificate_expiry_seconds (\d+)$", text, re.M)[1])

    assert end() == ssl.cert_time_to_seconds("Jan  1 00:00:00 2126 GMT")
    assert "certificate" not in node.log.read_text()
    pair.use("expired")
    replication.wait_until("the log tells", lambda: "has expired: clients refuse it" in node.log.read_text())
    assert end() == ssl.cert_time_to_seconds("Jan  1 00:00:00 2021 GMT")


def test_a_client_that_says_nothing_holds_nobody_up(node_factory, pair):
    # One place for a connection in each worker.
    node = node_factory(**pair.settings, REQUEST_TIMEOUT_SECONDS=1, CONNECTIONS_MAX=1, HTTP_WORKERS=1)
    half = ssl.create_default_context()
    with socket.create_connection(("127.0.0.1", node.port), timeout=10) as silent, connect_raw(node.port) as begun:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        with contextlib.suppress(ssl.SSLWantReadError):
            half.wrap_bio(incoming, outgoing, server_hostname="localhost").do_handshake()
        begun.sendall(outgoing.read()[:40])
        # Both are given up in turn, and others get the place.
        assert read_all(silent) == b"" and read_all(begun) == b""
        with connect(node.port) as client:
            assert ask(client, "/healthz")[0] == 200
    # A stop does not wait for a handshake.
    with socket.create_connection(("127.0.0.1", node.port), timeout=10):
        node.stop()


def connect_raw(port):
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def test_a_new_certificate_is_taken_in_under_load(node_factory, pair):
    node = node_factory(**pair.settings)
    s3 = node.client()
    s3.create_bucket(Bucket="busy")
    body = data(3 * MIB)
    s3.put_object(Bucket="busy", Key="k", Body=body)
    stop, failed, done = threading.Event(), [], [0, 0]
    kept = connect(node.port)

    def work(which):
        client = node.client()
        while not stop.is_set():
            try:
                if which == 0:
                    # Over connections that stay.
                    client.put_object(Bucket="busy", Key="own", Body=body)
                    assert client.get_object(Bucket="busy", Key="k")["Body"].read() == body
                else:
                    # Over one that is made anew.
                    with connect(node.port) as fresh:
                        assert ask(fresh, "/healthz")[0] == 200
                done[which] += 1
            except Exception as error:  # noqa: BLE001: whatever it is, no request may fail
                failed.append(repr(error))
                return

    threads = [threading.Thread(target=work, args=(which,)) for which in (0, 1)]
    for thread in threads:
        thread.start()
    try:
        for name in ("other", "rsa", "node"):
            before = list(done)
            pair.use(name)
            replication.wait_until(f"{name} is shown", lambda name=name: shown(node.port) == der(name))
            replication.wait_until("requests go on", lambda before=before: failed or all(a < b for a, b in zip(before, done)))
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not failed, failed
    # What was open before is as good as ever.
    assert ask(kept, "/healthz")[0] == 200


def test_a_broken_pair_is_told_and_the_last_good_one_stays(node_factory, pair):
    node = node_factory(**pair.settings)
    pair.use("other", key="node")
    replication.wait_until("the log tells", lambda: "is not the key of the certificate" in node.log.read_text())
    assert str(pair.key) in node.log.read_text() and shown(node.port) == der("node")
    pair.cert.write_text("-----BEGIN CERTIFICATE-----\n")
    replication.wait_until("the log tells", lambda: "has no end" in node.log.read_text())
    assert node.log.read_text().count("cannot be used; the one before stays in force") == 2
    assert node.client().list_buckets()["Buckets"] == []
    pair.use("other")
    replication.wait_until("the new one is shown", lambda: shown(node.port) == der("other"))


@pytest.mark.parametrize("mode", ["all", "ui"])
def test_a_start_with_an_unusable_pair_is_one_line(tmp_path, mode):
    for cert, key, name, reason in [
        ("node.pem", "other.key", "TLS_KEY_PATH", "is not the key of the certificate in"),
        ("node.key", "node.key", "TLS_CERT_PATH", "holds no certificate in PEM"),
        ("node.pem", "ca.pem", "TLS_KEY_PATH", "holds no private key in PEM"),
        ("none.pem", "node.key", "TLS_CERT_PATH", "No such file"),
    ]:
        env = {"STORAGE_ROOT": str(tmp_path / "data"), "TLS_CERT_PATH": str(TLS_FILES / cert), "TLS_KEY_PATH": str(TLS_FILES / key)}
        for words in (["serve", "--mode", mode], ["config", "check"]):
            done = subprocess.run([nodes.BINARY, *words], cwd=tmp_path, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
            assert done.returncode == 1 and done.stderr.count("\n") == 1, done
            assert done.stderr.startswith(f"myfsio: {name}: ") and reason in done.stderr, done.stderr
    assert not pathlib.Path(tmp_path / "data").exists(), "a node that cannot serve leaves nothing"


def test_replication_to_a_peer_with_an_issuer_of_its_own(node_factory, pair):
    target = node_factory(**pair.settings)
    target.client().create_bucket(Bucket="copy")
    key = replication.add_target_user(target, "writer", "copy")
    believes = node_factory(SSL_CERT_FILE=TLS_FILES / "ca.pem")
    s3 = believes.client()
    s3.create_bucket(Bucket="own")
    replication.replicate(believes, "own", replication.connect(believes, target.endpoint, key), "copy")
    s3.put_object(Bucket="own", Key="k", Body=b"sealed on the way")
    replication.wait_empty(believes, "own")
    assert target.client().get_object(Bucket="copy", Key="k")["Body"].read() == b"sealed on the way"
    doubts = node_factory()
    connection = replication.connect(doubts, target.endpoint, key)
    told = replication.admin(doubts, "POST", f"/connections/{connection}/test", {})
    assert told["state"] == "failed" and "UnknownIssuer" in told["problems"][0], told
