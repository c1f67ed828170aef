"""A console in a process of its own (`--mode ui`): what is under way comes to its end, whichever of the two is stopped."""

import http.client
import os
import re
import signal
import socket
import subprocess
import time
import urllib.parse

import pytest

import node as nodes

pytestmark = pytest.mark.local

SIZE = 64 << 20
"""More than the sockets on the way hold ready."""


@pytest.fixture
def front(node_factory):
    """A node with an object that takes its time, and the front of its console."""
    node = node_factory(SHUTDOWN_TIMEOUT_SECONDS=60)
    s3 = node.client()
    s3.create_bucket(Bucket="large")
    s3.put_object(Bucket="large", Key="object", Body=bytes(SIZE))
    port = nodes.free_port()
    env = {"PATH": os.environ.get("PATH", ""), "STORAGE_ROOT": str(node.root), "UI_PORT": str(port), **node.env}
    process = subprocess.Popen([nodes.BINARY, "serve", "--mode", "ui"], cwd=node.cwd, env=env, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() and process.stdout.readline()
    yield node, process, port
    process.kill()
    process.wait()


def sign_in(port):
    """The cookies of a session."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    client.request("GET", "/ui/login")
    answer = client.getresponse()
    token = re.search(rb'name="csrf" value="([^"]+)"', answer.read())[1].decode()
    cookie = answer.headers["Set-Cookie"].split(";")[0]
    form = {"csrf": token, "access_key": nodes.ACCESS, "secret_key": nodes.SECRET}
    client.request("POST", "/ui/login", urllib.parse.urlencode(form), {
        "Content-Type": "application/x-www-form-urlencoded", "Cookie": cookie, "Sec-Fetch-Site": "same-origin",
        "Origin": f"http://127.0.0.1:{port}"})
    answer = client.getresponse()
    answer.read()
    assert answer.status == 303
    return "; ".join(given.split(";")[0] for given in answer.headers.get_all("Set-Cookie"))


def wait_until_refused(port):
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
        except OSError:
            return
        time.sleep(0.05)
    pytest.fail("it goes on to let clients in")


@pytest.mark.parametrize("which", ["front", "node"])
def test_a_stop_finishes_what_is_under_way(front, which):
    node, process, port = front
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    client.request("GET", "/ui/buckets/large/download?key=object", headers={"Cookie": sign_in(port)})
    answer = client.getresponse()
    assert answer.status == 200
    taken = len(answer.read(1 << 20))
    stopped = process if which == "front" else node.process
    stopped.send_signal(signal.SIGTERM)
    wait_until_refused(port if which == "front" else node.port)
    while piece := answer.read(1 << 20):
        taken += len(piece)
    assert taken == SIZE
    assert stopped.wait(30) == 0
    client.close()


def test_no_address_takes_all_connections_of_the_front(front):
    _, _, port = front
    held = []
    # More than one address may have, and less than there are.
    for _ in range(120):
        client = socket.create_connection(("127.0.0.1", port), timeout=10)
        client.settimeout(0.5)
        client.sendall(b"G")
        held.append(client)
    for client in held[100:]:
        try:
            refused = client.recv(1)
        except ConnectionResetError:
            refused = b""
        assert refused == b"", "it has its share, and is told so"
    for client in held:
        client.close()
    end = time.monotonic() + 30
    while True:
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            client.request("GET", "/healthz")
            assert client.getresponse().status == 200
            return
        except (OSError, http.client.HTTPException):
            assert time.monotonic() < end, "who has gone gives back its share"
            time.sleep(0.05)


def test_a_command_under_way_is_finished(node_factory):
    """At the admin socket, as commands and imports ask."""
    node = node_factory(SHUTDOWN_TIMEOUT_SECONDS=60)
    s3 = node.client()
    s3.create_bucket(Bucket="large")
    s3.put_object(Bucket="large", Key="object", Body=bytes(SIZE))
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(node.root / ".myfsio.sys" / "run" / "admin.sock"))
        client.settimeout(30)
        client.sendall(b"GET /large/object HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        taken = len(client.recv(1 << 16))
        node.process.send_signal(signal.SIGTERM)
        wait_until_refused(node.port)
        while piece := client.recv(1 << 20):
            taken += len(piece)
    assert taken > SIZE
    assert node.process.wait(30) == 0
