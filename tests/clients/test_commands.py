"""The commands `bucket` and `user`: the same question whether the node runs or is stopped."""

import json
import os
import stat
import subprocess
import tempfile
import time

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

import node as nodes
from util import refused, send, signed

pytestmark = pytest.mark.local

GRANT = {"bucket": "backup-bucket", "actions": ["write", "read", "list"]}


@pytest.fixture
def node():
    if os.environ.get("S3_ENDPOINT"):
        pytest.skip("needs a node of its own")
    made = nodes.Node()
    yield made
    made.close()


def command(node, *words, status=0, typed="", **env):
    """Runs the program with the node's settings; `typed` comes by its standard input. Answers what it printed."""
    env = {"PATH": os.environ.get("PATH", ""), "STORAGE_ROOT": str(node.root), "HOST": "127.0.0.1",
           "JOURNAL_SEGMENT_BYTES": "4194304", **node.env, **env}
    done = subprocess.run([nodes.BINARY, *words], cwd=node.cwd, env=env, input=typed, capture_output=True, text=True, timeout=60)
    assert done.returncode == status, (words, done.returncode, done.stdout, done.stderr)
    if status == 1:
        assert done.stdout == "" and done.stderr.startswith("myfsio: ") and done.stderr.count("\n") == 1, done
        return done.stderr
    return json.loads(done.stdout) if "--json" in words else done.stdout


def credentials(text):
    """Access key and secret as they are printed for people."""
    words = [line.split() for line in text.splitlines()]
    return words[0][2], words[1][2]


@pytest.mark.parametrize("runs", [False, True])
def test_headless_setup(node, runs):
    """What the set-up script of replication does."""
    if runs:
        node.start()
    assert "backup-bucket" in command(node, "bucket", "create", "backup-bucket")
    assert [b["name"] for b in command(node, "bucket", "list", "--json")["buckets"]] == ["backup-bucket"]
    text = command(node, "user", "create", "--display-name", "Replication User", "--policy", json.dumps([GRANT]))
    access, secret = credentials(text)
    if not runs:
        node.start()
    client = node.client(access, secret)
    client.put_object(Bucket="backup-bucket", Key="k", Body=b"x")
    assert client.get_object(Bucket="backup-bucket", Key="k")["Body"].read() == b"x"
    with refused(403):
        client.create_bucket(Bucket="another")
    assert secret not in json.dumps(node.iam())
    made = node.client().list_buckets()
    assert made["Buckets"][0]["Name"] == "backup-bucket"
    owner = next(u for u in node.iam()["users"] if u["access_key"] == nodes.ACCESS)
    assert node.client().get_bucket_acl(Bucket="backup-bucket")["Owner"]["ID"] == owner["user_id"]


@pytest.mark.parametrize("runs", [False, True])
def test_users(node, runs):
    node.start()
    if not runs:
        node.stop()
    made = command(node, "user", "create", "--display-name", "Ann B", "--user-name", "ann", "--access-key", "ANNKEY0001", "--json")
    assert made["access_key"] == "ANNKEY0001" and len(made["secret_key"]) >= 20
    listed = command(node, "user", "list", "--json")["users"]
    ann = next(u for u in listed if u["user_name"] == "ann")
    assert ann["display_name"] == "Ann B" and ann["policies"] == [] and "secret_key" not in json.dumps(listed)
    assert "ANNKEY0001" in command(node, "user", "list") and made["secret_key"] not in command(node, "user", "list")
    told = command(node, "user", "set-policy", "ann", "--policy", json.dumps(GRANT), "--json")
    assert told["policies"] == [GRANT]
    for words in (("--policy", "-"), ("--policy", f"@{node.cwd}/policy.json")):
        (node.cwd / "policy.json").write_text(json.dumps([{**GRANT, "bucket": "of-file"}]))
        told = command(node, "user", "set-policy", "ann", *words, "--json", typed=json.dumps([{**GRANT, "bucket": "typed"}]))
        assert told["policies"][0]["bucket"] == ("typed" if words[1] == "-" else "of-file")
    rotated = command(node, "user", "rotate", "ann", "--json")
    assert rotated["access_key"] == "ANNKEY0001" and rotated["secret_key"] != made["secret_key"]
    overlap = command(node, "user", "rotate", "ANNKEY0001", "--overlap", "3600")
    assert "replaces    ANNKEY0001" in overlap and credentials(overlap)[0] != "ANNKEY0001"
    if not runs:
        node.start()
    node.client(*credentials(overlap)).list_buckets()
    node.client("ANNKEY0001", rotated["secret_key"]).list_buckets()
    with refused(403, "SignatureDoesNotMatch"):
        node.client("ANNKEY0001", made["secret_key"]).list_buckets()
    command(node, "user", "delete", "ann")
    assert "ann" in command(node, "user", "delete", "ann", status=1)
    assert all(u.get("user_name") != "ann" for u in node.iam()["users"])
    audit = (node.root / ".myfsio.sys/audit/audit.jsonl").read_text().splitlines()
    changes = [entry for entry in map(json.loads, audit) if entry["access_key"] == "myfsio-command-line"]
    assert {"iam:CreateUser", "iam:DeleteUser"} <= {entry["action"] for entry in changes}
    owner = node.iam()["users"][0]
    assert all(entry["principal"].startswith("arn:aws:iam::") for entry in changes), (owner, changes[:1])


@pytest.mark.parametrize("runs", [False, True])
def test_the_last_administrator_stays_unless_forced(node, runs):
    node.start()
    # The first key is shorter than botocore takes ids of keys to be.
    iam = boto3.client("iam", endpoint_url=node.endpoint, region_name="us-east-1", aws_access_key_id=nodes.ACCESS,
                       aws_secret_access_key=nodes.SECRET, config=Config(parameter_validation=False))
    own = iam.list_access_keys()["AccessKeyMetadata"][0]["AccessKeyId"]
    with pytest.raises(ClientError) as refusal:
        iam.update_access_key(AccessKeyId=own, Status="Inactive")
    assert refusal.value.response["Error"]["Code"] == "DeleteConflict", refusal.value
    # Whoever comes by the network does not get it by saying so either. What a document denies takes as much as what is not granted.
    denied = json.dumps([{"bucket": "*", "actions": ["*"]},
                         {"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "iam:*", "Resource": "*"}}]).encode()
    for method, target, body in (("DELETE", "?force=true", b""), ("PATCH", "?force=true", b'{"enabled": false}'), ("PATCH", "", b'{"expires_at": "2090-01-01"}'),
                                 ("PUT", "/policies", b"[]"), ("PUT", "/policies", denied), ("DELETE", f"/access-keys/{own}", b"")):
        status, _, answer = signed(node, method, f"/_myfsio/iam/users/localadmin{target}", body)
        assert status == 409 and json.loads(answer)["error"]["code"] == "DeleteConflict", (method, target, answer)
    node.client().list_buckets()
    if not runs:
        node.stop()
    for words in (["delete", "localadmin"], ["set-policy", "localadmin", "--policy", "[]"]):
        refused_with = command(node, "user", *words, status=1)
        assert "--force" in refused_with and "DeleteConflict" in refused_with
    command(node, "user", "set-policy", "localadmin", "--policy", "[]", "--force")
    command(node, "user", "delete", "localadmin", "--force")
    # The commands of the machine go on, and make another.
    access, secret = credentials(command(node, "user", "create", "--display-name", "Chief", "--policy", '{"bucket": "*", "actions": ["*"]}'))
    if not runs:
        node.start()
    assert signed(node, "GET", "/_myfsio/settings", access=access, secret=secret)[0] == 200


def test_refusals_have_one_line_and_status(node):
    node.start()
    node.client().create_bucket(Bucket="full")
    node.client().put_object(Bucket="full", Key="k", Body=b"")
    assert "BucketNotEmpty" in command(node, "bucket", "delete", "full", status=1)
    assert "NoSuchBucket" in command(node, "bucket", "delete", "none", status=1)
    assert "InvalidBucketName" in command(node, "bucket", "create", "kms", status=1)
    assert "InvalidBucketName" in command(node, "bucket", "create", "no/../t", status=1)
    assert "actions" in command(node, "user", "create", "--display-name", "x", "--policy", '{"bucket": "a"}', status=1)
    assert "NoSuchEntity" in command(node, "user", "rotate", "nobody", status=1)
    node.client().delete_object(Bucket="full", Key="k")
    assert "full" in command(node, "bucket", "delete", "full")
    for wrong in (["bucket"], ["bucket", "create"], ["user", "set-policy", "x"], ["user", "create", "--policy", "{"], ["user", "create", "--policy", "-"], ["user", "fly"]):
        command(node, *wrong, status=2)
    node.stop()
    assert "STORAGE_ROOT" in command(node, "bucket", "list", status=1, STORAGE_ROOT="/dev/null/x")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can do so")
def test_root_leaves_nothing_in_the_data_of_another(node):
    """It would be root's, and the node of the data's owner would not start any more."""
    node.start()
    for path in [node.root, *node.root.rglob("*")]:
        os.lchown(path, 4321, 4321)
    assert "localadmin" in command(node, "user", "list"), "the node that runs writes itself"
    node.stop()
    for path in [node.root, *node.root.rglob("*")]:
        os.lchown(path, 4321, 4321)
    for words in (["bucket", "create", "mine"], ["user", "list"], ["fsck"], ["reindex"], ["import", "--from", "/etc/ssl", "--into", "mine"]):
        assert "'#4321'" in command(node, *words, status=1), words
    assert {path.lstat().st_uid for path in node.root.rglob("*")} == {4321}


def test_the_socket_is_private_and_the_key_is_the_nodes_alone(node):
    node.start()
    run = node.root / ".myfsio.sys/run"
    socket = run / "admin.sock"
    assert stat.S_ISSOCK(socket.stat().st_mode)
    assert (stat.S_IMODE(run.stat().st_mode), stat.S_IMODE(socket.stat().st_mode)) == (0o700, 0o600)
    for secret in ("", "localadmin", "myfsio-command-line"):
        headers = {"x-access-key": "myfsio-command-line", "x-secret-key": secret}
        status, _, body = send(node.endpoint, "GET", "/_myfsio/iam/users", headers=headers)
        assert status == 403, (secret, body)
    node.kill()
    assert socket.exists()
    command(node, "bucket", "create", "while-killed")
    node.start()
    assert [b["name"] for b in command(node, "bucket", "list", "--json")["buckets"]] == ["while-killed"]
    node.stop()
    assert not socket.exists()


def test_a_long_path_has_its_socket_elsewhere(node):
    node.root = node.dir / ("x" * 120) / "data"
    runtime = tempfile.mkdtemp(dir=node.dir)
    node.env["XDG_RUNTIME_DIR"] = runtime
    node.start()
    run = node.root / ".myfsio.sys/run"
    path = (run / "admin.sock.path").read_text()
    assert path.startswith(runtime) and stat.S_IMODE(os.stat(os.path.dirname(path)).st_mode) == 0o700
    command(node, "bucket", "create", "far")
    assert "far" in command(node, "bucket", "list")
    node.stop()
    assert os.listdir(runtime) == [] and list(run.iterdir()) == []


def test_a_socket_that_cannot_be_made_does_not_stop_the_node(node):
    run = node.root / ".myfsio.sys/run"
    run.parent.mkdir(parents=True)
    run.write_text("in the way")
    node.start()
    assert "admin socket" in node.tail()
    node.client().create_bucket(Bucket="made-meanwhile")
    began = time.monotonic()
    assert "another process" in command(node, "bucket", "list", status=1)
    assert time.monotonic() - began < 30
    node.stop()
    assert "made-meanwhile" in command(node, "bucket", "list")


def test_commands_at_once_wait_for_each_other(node):
    env = {"PATH": os.environ.get("PATH", ""), "STORAGE_ROOT": str(node.root), "HOST": "127.0.0.1", "JOURNAL_SEGMENT_BYTES": "4194304"}
    started = [subprocess.Popen([nodes.BINARY, "bucket", "create", f"at-once-{n}"], cwd=node.cwd, env=env, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE) for n in range(4)]
    for process in started:
        out, error = process.communicate(timeout=60)
        assert process.returncode == 0, (out, error)
    assert len(command(node, "bucket", "list", "--json")["buckets"]) == 4
