"""The master key of a node: made once and private; one that is missing or wrong is told, and stops nothing but encryption."""

import base64
import json
import os
import random
import secrets
import subprocess
import time

import pytest

from node import BINARY, Node
from util import send

pytestmark = pytest.mark.local


@pytest.fixture
def encrypting():
    made = Node(ENCRYPTION_ENABLED="true", KMS_ENABLED="true")
    yield made
    made.close()


def keys(node, name="master.key"):
    return node.root / ".myfsio.sys" / "keys" / name


def new_key():
    return base64.b64encode(secrets.token_bytes(32)).decode()


def health(node, seconds=20):
    """What /healthz says as soon as it says anything."""
    end = time.monotonic() + seconds
    while True:
        try:
            status, _, body = send(node.endpoint, "GET", "/healthz")
            return status, json.loads(body)
        except OSError:
            assert node.process.poll() is None and time.monotonic() < end, node.tail()
            time.sleep(0.03)


def test_it_is_made_once_and_private(encrypting):
    node = encrypting.start()
    made = keys(node).read_text()
    assert len(base64.b64decode(made)) == 32
    assert keys(node).stat().st_mode & 0o777 == 0o600
    assert keys(node, "kms_keys.json").stat().st_mode & 0o777 == 0o600
    node.stop()
    os.chmod(keys(node), 0o644)
    node.start()
    assert keys(node).stat().st_mode & 0o777 == 0o600, "mended"
    assert keys(node).read_text() == made
    assert made not in node.tail()


def test_none_is_made_without_need():
    node = Node()
    try:
        node.start()
        assert not keys(node).parent.exists()
    finally:
        node.close()


@pytest.mark.parametrize("what, told", [("missing", "is not there"), ("wrong", "was sealed under master key"),
                                        ("malformed", "does not hold 32 bytes")])
def test_a_master_key_that_does_not_fit_is_told_and_the_rest_is_served(encrypting, what, told):
    node = encrypting.start()
    s3 = node.client()
    s3.create_bucket(Bucket="plain")
    s3.put_object(Bucket="plain", Key="a", Body=b"before")
    node.stop()
    right, file = keys(node).read_text(), keys(node, "kms_keys.json").read_text()
    match what:
        case "missing":
            keys(node).unlink()
        case "wrong":
            keys(node).write_text(new_key())
        case "malformed":
            keys(node).write_text("no key")
    left = keys(node).read_text() if keys(node).exists() else None
    node.launch()
    status, said = health(node)
    assert (status, said["status"]) == (200, "degraded")
    assert told in said["reason"], said
    assert told in node.tail(), "the log tells it, too"
    s3 = node.client()
    assert s3.get_object(Bucket="plain", Key="a")["Body"].read() == b"before"
    s3.put_object(Bucket="plain", Key="b", Body=b"after")
    node.stop()
    assert (keys(node).read_text() if keys(node).exists() else None) == left, "no other one is made"
    assert keys(node, "kms_keys.json").read_text() == file
    keys(node).write_text(right)
    node.start()
    assert health(node)[1]["status"] == "ok"


def test_the_environment_gives_it_and_a_former_one(encrypting):
    first, second = new_key(), new_key()
    encrypting.env["ENCRYPTION_MASTER_KEY"] = first
    node = encrypting.start()
    assert not keys(node).exists()
    before = json.loads(keys(node, "kms_keys.json").read_text())["master"]
    node.stop()
    node.env.update(ENCRYPTION_MASTER_KEY=second, ENCRYPTION_MASTER_KEY_PREVIOUS=first)
    node.start()
    assert json.loads(keys(node, "kms_keys.json").read_text())["master"] != before
    node.stop()
    del node.env["ENCRYPTION_MASTER_KEY_PREVIOUS"]
    node.start()
    for key in (first, second):
        assert key not in node.tail() and key not in keys(node, "kms_keys.json").read_text()


@pytest.mark.parametrize("name", ["ENCRYPTION_MASTER_KEY", "ENCRYPTION_MASTER_KEY_PREVIOUS"])
def test_it_is_shown_nowhere(tmp_path, name):
    run = lambda value: subprocess.run([BINARY, "config", "show"], env={"PATH": "", name: value}, cwd=tmp_path,
                                       capture_output=True, text=True, timeout=20)
    key = new_key()
    shown = run(key)
    assert shown.returncode == 0 and name in shown.stdout and key not in shown.stdout + shown.stderr
    malformed = run("aHVudGVyMg==")
    assert malformed.returncode == 1
    assert malformed.stderr.strip() == f"myfsio: {name}: is not base64 of 32 bytes"


def test_a_first_start_that_is_killed_is_finished_by_the_next(encrypting):
    node = encrypting
    for _ in range(12):
        node.launch()
        time.sleep(random.uniform(0, 0.15))
        node.kill()
        made = keys(node).read_text() if keys(node).exists() else None
        node.start()
        assert made in (None, keys(node).read_text()), "what was made stays"
        node.stop()
        if random.random() < 0.5:
            # Back to before it was named.
            keys(node, "kms_keys.json").unlink()
        if random.random() < 0.5:
            for path in keys(node).parent.glob("*"):
                path.unlink()
