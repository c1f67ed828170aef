"""`myfsio top` and `myfsio trace` (docs/metrics.md), at the admin socket and by URL, and the completions of shells."""

import json
import os
import shutil
import subprocess
import threading

import pytest

import node as nodes
from node import TLS_FILES
from replication import wait_until
from test_commands import command

pytestmark = pytest.mark.local
KEYS = {"AWS_ACCESS_KEY_ID": nodes.ACCESS, "AWS_SECRET_ACCESS_KEY": nodes.SECRET}


@pytest.fixture
def busy(node_factory):
    """A node that always has something to do."""
    made = {}

    def start(**settings):
        node = node_factory(**settings)
        s3 = node.client()
        s3.create_bucket(Bucket="busy")
        stop = threading.Event()

        def work():
            number = 0
            while not stop.is_set():
                number += 1
                s3.put_object(Bucket="busy", Key=f"k-{number % 7}", Body=b"x" * 1000)
                try:
                    s3.get_object(Bucket="busy", Key="none")
                except s3.exceptions.NoSuchKey:
                    pass
        made["stop"], made["thread"] = stop, threading.Thread(target=work)
        made["thread"].start()
        return node

    yield start
    if made:
        made["stop"].set()
        made["thread"].join()


def program(node, *words, **env):
    env = {"PATH": os.environ["PATH"], "STORAGE_ROOT": str(node.root), **env}
    return subprocess.Popen([nodes.BINARY, *words], cwd=node.cwd, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("over", ["socket", "url"])
def test_top_and_trace(busy, over):
    tls = {"TLS_CERT_PATH": TLS_FILES / "node.pem", "TLS_KEY_PATH": TLS_FILES / "node.key"} if over == "url" else {}
    node = busy(**tls)
    where = [] if over == "socket" else ["--url", node.endpoint]
    env = {} if over == "socket" else {**KEYS, "SSL_CERT_FILE": str(TLS_FILES / "ca.pem")}
    figures = {}

    def busy_second():
        """Whether something of everything came into the second, on a machine however slow."""
        figures.update(command(node, "top", "--once", "--interval", "1", "--json", *where, **env))
        told = {operation["operation"]: operation for operation in figures["operations"]}
        return figures["commits_per_second"] and {"PutObject", "GetObject"} <= set(told) and told["GetObject"]["errors_per_second"] > 0

    wait_until("a second in which all is done", busy_second)
    assert figures["health"] == "ok" and figures["requests_per_second"] > 0 and figures["client_errors_per_second"] > 0
    assert figures["commit_ms"] > 0 and 0 < figures["objects"] <= 7 and figures["memory_bytes"] > 0 and figures["buckets"] == 1
    picture = command(node, "top", "--once", "--interval", "1", *where, **env)
    assert picture.startswith("MyFSIO ") and "\nrequests " in picture and "\x1b" not in picture
    for filters in (("--status", "4xx"), ("--code", "NoSuchKey")):
        lines = command(node, "trace", "--count", "3", *filters, *where, **env).splitlines()
        assert len(lines) == 3 and all(" 404 " in line and " GetObject busy/none " in line and line.endswith(" NoSuchKey") for line in lines), lines
    following = program(node, "trace", "--bucket", "busy", "--operation", "PutObject", "--json", *where, **env)
    try:
        records = [json.loads(following.stdout.readline()) for _ in range(3)]
        assert all((r["operation"], r["status"]) == ("PutObject", 200) and r["bytes_received"] >= 1000 and "phases" in r for r in records), records
    finally:
        following.kill()
        following.communicate()


def test_what_cannot_be_asked_is_one_line(node_factory):
    node = node_factory()
    assert "needs AWS_ACCESS_KEY_ID" in command(node, "top", "--once", "--url", node.endpoint, status=1)
    refused = command(node, "trace", "--url", node.endpoint, status=1, AWS_ACCESS_KEY_ID="localadmin", AWS_SECRET_ACCESS_KEY="wrong")
    assert "SignatureDoesNotMatch" in refused
    assert "InvalidArgument" in command(node, "trace", "--status", "many", status=1)
    assert "no http or https URL" in command(node, "top", "--url", "ftp://x", status=1, **KEYS)
    closed = nodes.free_port()
    assert f"127.0.0.1:{closed}" in command(node, "top", "--url", f"http://127.0.0.1:{closed}", status=1, **KEYS)
    # The node's stop ends a trace, and says so.
    following = program(node, "trace", "--json")
    lines = []

    def read():
        for line in following.stdout:
            lines.append(line)

    reading = threading.Thread(target=read)
    reading.start()
    wait_until("the trace listens", lambda: node.client().list_buckets() and lines)
    node.stop()
    told = following.stderr.read()
    reading.join()
    assert following.wait(30) == 1 and told.count("\n") == 1 and "the node at its admin socket" in told, told
    assert "no node of" in command(node, "trace", status=1)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completions(tmp_path, shell):
    script = tmp_path / "completions"
    done = subprocess.run([nodes.BINARY, "completions", shell], capture_output=True, text=True, timeout=20)
    assert done.returncode == 0 and "healthcheck" in done.stdout
    script.write_text(done.stdout)
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    checked = subprocess.run([shell, "-n", str(script)], capture_output=True, text=True, timeout=20)
    assert checked.returncode == 0, checked.stderr
    if shell == "bash":
        asks = f'source {script}; COMP_WORDS=(myfsio re); COMP_CWORD=1; _myfsio myfsio re myfsio; printf "%s\\n" "${{COMPREPLY[@]}}"'
        found = subprocess.run(["bash", "-c", asks], capture_output=True, text=True, timeout=20).stdout.split()
        assert "reindex" in found and "replication" in found, found
