"""The master key of a node: made once and private; one that is missing or wrong is told, and stops nothing but encryption."""

import base64
import contextlib
import json
import os
import random
import secrets
import shutil
import subprocess
import time

import pytest

import sse
from node import BINARY, Node
from util import refused, send, signed

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


@contextlib.contextmanager
def refusal(status, code, told):
    """The block must be refused like this, with a message that tells this."""
    with refused(status, code) as answer:
        yield
    assert told in answer["Error"]["Message"], answer["Error"]


@contextlib.contextmanager
def lost(node, change, *told, **env):
    """Changes the keys of a running node that has objects under a master key and a KMS key, starts it again, and has it tell that."""
    s3 = node.client()
    s3.create_bucket(Bucket="box")
    s3.put_object(Bucket="box", Key="plain", Body=b"plain")
    for mode in (sse.S3, sse.KMS):
        s3.put_object(Bucket="box", Key=str(mode), Body=b"text", **mode.write)
    s3.create_multipart_upload(Bucket="box", Key="parts", **sse.S3.write)
    master = json.loads(keys(node, "kms_keys.json").read_text())["master"]["id"]
    node.stop()
    change(node)
    node.env.update(env)
    node.launch()
    status, said = health(node)
    assert (status, said["status"]) == (200, "degraded"), said
    for part in told:
        part = part.format(master=master)
        assert part in said["reason"], said
        assert any("ERROR" in line and part in line for line in node.tail().splitlines()), node.tail()
    s3 = node.client()
    assert s3.get_object(Bucket="box", Key="plain")["Body"].read() == b"plain"
    yield s3, master


def without_keys(node):
    shutil.rmtree(keys(node).parent)


def with_another(node):
    keys(node, "kms_keys.json").unlink()
    keys(node).write_text(new_key())


@pytest.mark.parametrize("change", [without_keys, with_another], ids=["nothing", "another"])
def test_lost_keys_are_told_and_no_other_one_is_made(encrypting, tmp_path, change):
    node = encrypting.start()

    def copied(node):
        shutil.copytree(keys(node).parent, tmp_path / "keys")
        change(node)

    with lost(node, copied, "master key {master} (1 objects, 1 uploads)") as (s3, master):
        before = keys(node).read_text() if keys(node).exists() else None
        for mode in (sse.S3, sse.KMS):
            with refusal(503, "ServiceUnavailable", master):
                s3.get_object(Bucket="box", Key=str(mode))
            with refusal(503, "ServiceUnavailable", master):
                s3.put_object(Bucket="box", Key="new", Body=b"x", **mode.write)
        assert s3.head_object(Bucket="box", Key=str(sse.KMS))["ContentLength"] == 4
        assert (keys(node).read_text() if keys(node).exists() else None) == before
        assert not keys(node, "kms_keys.json").exists()
    node.stop()
    shutil.rmtree(keys(node).parent, ignore_errors=True)
    shutil.copytree(tmp_path / "keys", keys(node).parent)
    node.start()
    assert health(node)[1]["status"] == "ok"
    for mode in (sse.S3, sse.KMS):
        assert node.client().get_object(Bucket="box", Key=str(mode))["Body"].read() == b"text"


def test_lost_keys_are_told_where_encryption_is_off(encrypting):
    off = {"ENCRYPTION_ENABLED": "false", "KMS_ENABLED": "false"}
    with lost(encrypting.start(), without_keys, "master key {master} (1 objects, 1 uploads)", **off) as (s3, master):
        for mode in (sse.S3, sse.KMS):
            with refusal(503, "ServiceUnavailable", master):
                s3.get_object(Bucket="box", Key=str(mode))
        assert not keys(encrypting).exists()


def test_whoever_runs_the_node_may_go_on_with_another_key(encrypting):
    told = ("master key {master} (1 objects, 1 uploads)", "KMS key")
    with lost(encrypting.start(), without_keys, *told, ENCRYPTION_MASTER_KEY=new_key()) as (s3, master):
        with refusal(503, "ServiceUnavailable", master):
            s3.get_object(Bucket="box", Key=str(sse.S3))
        with refusal(400, "KMS.NotFoundException", "was lost"):
            s3.get_object(Bucket="box", Key=str(sse.KMS))
        for mode in (sse.S3, sse.KMS):
            s3.put_object(Bucket="box", Key="new", Body=b"new", **mode.write)
            assert s3.get_object(Bucket="box", Key="new")["Body"].read() == b"new"


def test_a_former_key_that_goes_too_early_is_told(encrypting):
    first, second = new_key(), new_key()
    encrypting.env["ENCRYPTION_MASTER_KEY"] = first
    node = encrypting.start()

    def replaced(node):
        node.env.update(ENCRYPTION_MASTER_KEY=second, ENCRYPTION_MASTER_KEY_PREVIOUS=first)
        node.start()
        assert health(node)[1]["status"] == "ok"
        node.stop()
        del node.env["ENCRYPTION_MASTER_KEY_PREVIOUS"]

    with lost(node, replaced, "master key {master} (1 objects, 1 uploads)") as (s3, master):
        assert "KMS key " not in health(node)[1]["reason"]
        with refusal(503, "ServiceUnavailable", master):
            s3.get_object(Bucket="box", Key=str(sse.S3))
        assert s3.get_object(Bucket="box", Key=str(sse.KMS))["Body"].read() == b"text"
        s3.put_object(Bucket="box", Key="new", Body=b"x", **sse.S3.write)
    node.stop()
    node.env["ENCRYPTION_MASTER_KEY_PREVIOUS"] = first
    node.start()
    status, _, _ = signed(node, "POST", "/_myfsio/kms/reencrypt", b"{}")[:3]
    assert status == 202
    assert json.loads(signed(node, "GET", "/_myfsio/kms/reencrypt?wait=20")[2])["state"] == "done"
    node.stop()
    del node.env["ENCRYPTION_MASTER_KEY_PREVIOUS"]
    node.start()
    assert health(node)[1]["status"] == "ok"
    assert node.client().get_object(Bucket="box", Key=str(sse.S3))["Body"].read() == b"text"
