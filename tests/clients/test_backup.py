"""Backups: made while the node runs and while it does not, verified, restored onto an empty node, and compared with the first."""

import json
import pathlib
import shutil
import subprocess
import threading
import urllib.request

import pytest

import node as nodes
import sse
from replication import connect, replicate, wait_until
from util import MIB, complete, data, signed, upload_parts

pytestmark = pytest.mark.local


def command(node, *arguments, status=0, root=None):
    env = {"STORAGE_ROOT": str(root or node.root), "PATH": "/usr/bin:/bin", "HOME": str(node.cwd), **node.env}
    done = subprocess.run([nodes.BINARY, *map(str, arguments)], env=env, cwd=node.cwd, capture_output=True, text=True, timeout=120)
    assert done.returncode == status, done
    return done


def create(node, directory, *more):
    return json.loads(command(node, "backup", "create", directory, "--json", *more).stdout)


def restored(node, directory, *more):
    """A node on what a backup gives."""
    other = nodes.Node(**node.env)
    told = json.loads(command(node, "backup", "restore", directory, "--to", other.root, "--json", *more).stdout)
    assert told["problems"] == [], told
    return other


def everything(node):
    """All that clients can see of a node."""
    s3, seen = node.client(), {}
    for bucket in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]:
        about = {}
        for name in ("versioning", "lifecycle_configuration", "cors", "tagging", "policy", "encryption", "object_lock_configuration"):
            try:
                about[name] = getattr(s3, f"get_bucket_{name}" if "object_lock" not in name else f"get_{name}")(Bucket=bucket)
                about[name].pop("ResponseMetadata")
            except s3.exceptions.ClientError as error:
                about[name] = error.response["Error"]["Code"]
        versions = []
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
            for item in page.get("DeleteMarkers", []):
                versions.append((item["Key"], item["VersionId"], item["IsLatest"], str(item["LastModified"]), "marker"))
            for item in page.get("Versions", []):
                version = {"Bucket": bucket, "Key": item["Key"], "VersionId": item["VersionId"]}
                if item["Key"] == "customer":
                    version.update(sse.CUSTOMER.read)
                got = s3.get_object(**version)
                body = got.pop("Body").read()
                headers = {name: str(got[name]) for name in sorted(got) if name != "ResponseMetadata"}
                version.pop("SSECustomerKey", None)
                tags = s3.get_object_tagging(Bucket=bucket, Key=item["Key"], VersionId=item["VersionId"])["TagSet"]
                versions.append((item["Key"], item["VersionId"], item["IsLatest"], item["ETag"], body, headers, tags))
        usage = json.loads(signed(node, "GET", f"/{bucket}?quota")[2])
        # Parts of uploads in progress count, and are not in a backup.
        usage["usage"] = {name: usage["usage"][name] for name in ("objects", "versions", "delete_markers")}
        seen[bucket] = (about, versions, usage)
    return seen


def fill(node):
    s3 = node.client()
    for bucket in ("plain", "versions", "locked", "empty"):
        s3.create_bucket(Bucket=bucket, **({"ObjectLockEnabledForBucket": True} if bucket == "locked" else {}))
    s3.put_bucket_versioning(Bucket="versions", VersioningConfiguration={"Status": "Enabled"})
    s3.put_bucket_tagging(Bucket="plain", Tagging={"TagSet": [{"Key": "team", "Value": "a"}]})
    s3.put_bucket_cors(Bucket="plain", CORSConfiguration={"CORSRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}]})
    s3.put_bucket_lifecycle_configuration(Bucket="versions", LifecycleConfiguration={"Rules": [
        {"ID": "r", "Status": "Enabled", "Filter": {"Prefix": "tmp/"}, "Expiration": {"Days": 30}}]})
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject",
                                                      "Resource": "arn:aws:s3:::plain/public/*"}]}
    s3.put_bucket_policy(Bucket="plain", Policy=json.dumps(policy))
    assert signed(node, "PUT", "/plain?quota", b'{"max_bytes": 900000000, "max_objects": 1000}')[0] in (200, 204)
    s3.put_object(Bucket="plain", Key="small", Body=b"small", ContentType="text/x", Metadata={"a": "b"}, Tagging="x=1&y=2")
    s3.put_object(Bucket="plain", Key="public/large", Body=data(3 * MIB, 1), CacheControl="no-cache")
    s3.put_object(Bucket="plain", Key="no//path", Body=data(50_000, 2))
    s3.put_object(Bucket="plain", Key="folder/", Body=b"")
    s3.put_object(Bucket="plain", Key="empty", Body=b"")
    s3.put_object(Bucket="plain", Key="sealed", Body=data(200_000, 3), **sse.S3.write)
    s3.put_object(Bucket="plain", Key="customer", Body=data(1000, 4), **sse.CUSTOMER.write)
    upload, parts = upload_parts(s3, "plain", "parts", {1: data(5 * MIB, 5), 2: data(MIB, 6)})
    complete(s3, "plain", "parts", upload, parts)
    for number in range(3):
        s3.put_object(Bucket="versions", Key="v", Body=data(100_000 + number, number))
    s3.put_object(Bucket="versions", Key="gone", Body=b"gone")
    s3.delete_object(Bucket="versions", Key="gone")
    s3.put_object(Bucket="locked", Key="kept", Body=b"kept", ObjectLockLegalHoldStatus="ON")
    # Not in a backup.
    upload_parts(s3, "plain", "open", {1: data(5 * MIB, 9)})
    node.add_users({"access_key": "ann", "secret_key": "ann-secret-key", "display_name": "Ann",
                    "policies": [{"bucket": "plain", "actions": ["list", "read"]}]})
    # The node seals what was typed by hand when it writes next.
    assert signed(node, "POST", "/_myfsio/iam/users", json.dumps({"display_name": "Bob", "policies": []}).encode())[0] in (200, 201)
    connection = connect(node, "http://127.0.0.1:9", ("key", "target-secret"))
    replicate(node, "empty", connection, "there")


def blocks(directory):
    """Bytes that a directory takes, each file once."""
    files = {}
    for path in pathlib.Path(directory).rglob("*"):
        stat = path.lstat()
        files[stat.st_ino] = stat.st_size if path.is_file() else 0
    return sum(files.values())


def test_a_restored_node_is_the_same_to_its_clients(tmp_path):
    node, made = sse.start(), []
    shelf = tmp_path / "backups"
    try:
        fill(node)
        first = create(node, shelf, "--include-secret-key", "--include-master-key")
        assert (first["buckets"], first["damaged"], first["missing"], first["shares_with"]) == (4, 0, 0, None), first
        assert first["includes_secret_key"] and first["includes_master_key"]
        assert [file["path"] for file in first["files"]][-2:] == ["rows", "files.jsonl"], "users and rules are of the moment, not of the end"
        assert (shelf.stat().st_mode & 0o777, (shelf / first["id"]).stat().st_mode & 0o777) == (0o700, 0o700)
        assert not (node.root / ".myfsio.sys/held").exists(), "nothing is held any more"
        command(node, "backup", "verify", shelf)

        # The second takes only what is new; the node may be stopped.
        node.client().put_object(Bucket="plain", Key="new", Body=data(70_000, 7))
        node.client().delete_object(Bucket="plain", Key="small")
        before, size = everything(node), blocks(shelf)
        node.stop()
        second = create(node, shelf)
        assert second["shares_with"] == first["id"] and second["copied_bytes"] in (70_000, 0), second
        assert not second["includes_secret_key"] and {"master key", "jobs", "uploads in progress"} <= set(second["excluded"])
        assert blocks(shelf) - size < 200_000
        old, new = (shelf / backup["id"] / "data" for backup in (first, second))
        shared = [path for path in new.rglob("*") if path.is_file() and (old / path.relative_to(new)).is_file()]
        assert len(shared) == second["shared_files"] and all(path.samefile(old / path.relative_to(new)) for path in shared)
        told = json.loads(command(node, "backup", "list", shelf, "--json").stdout)
        assert [backup["id"] for backup in told["backups"]] == [first["id"], second["id"]] and told["incomplete"] == []
        problems = json.loads(command(node, "backup", "verify", shelf, "--json").stdout)["problems"]
        assert problems == []

        # Without the keys it needs them from elsewhere, and says so.
        other = restored(node, shelf)
        made.append(other)
        with pytest.raises(RuntimeError, match="SECRET_KEY|unseal|sealed"):
            other.start()
        keys = node.root / ".myfsio.sys"
        (other.root / ".myfsio.sys/keys").mkdir(exist_ok=True)
        shutil.copy(keys / "config/.secret", other.root / ".myfsio.sys/config/.secret")
        shutil.copy(keys / "keys/master.key", other.root / ".myfsio.sys/keys/master.key")
        other.start()
        assert everything(other) == before
        assert other.client(access="ann", secret="ann-secret-key").get_object(Bucket="plain", Key="empty")["Body"].read() == b""
        public = f"{other.endpoint}/plain/public/large"
        assert urllib.request.urlopen(public, timeout=10).read() == data(3 * MIB, 1)
        rules = json.loads(signed(other, "GET", "/_myfsio/replication/rules")[2])
        assert "empty" in json.dumps(rules)
        assert other.client().list_multipart_uploads(Bucket="plain").get("Uploads", []) == [], "said to be left out"
        other.client().put_object(Bucket="plain", Key="sealed", Body=b"again", **sse.S3.write)
        other.stop()
        checked = json.loads(command(other, "fsck", "--data", "--json").stdout)
        assert checked["status"] == "clean", checked
        # The earlier one still has what was deleted, and its keys.
        earlier = restored(node, shelf, "--backup", first["id"])
        made.append(earlier)
        earlier.start()
        assert earlier.client().get_object(Bucket="plain", Key="small")["Metadata"] == {"a": "b"}
        assert earlier.client().get_object(Bucket="plain", Key="sealed")["Body"].read() == data(200_000, 3)
        command(node, "backup", "restore", shelf, "--to", earlier.root, status=1)
    finally:
        for one in (node, *made):
            one.close()


def test_a_backup_under_load_is_one_moment(node_factory, tmp_path):
    node = node_factory()
    s3 = node.client()
    for bucket in ("pairs", "versions"):
        s3.create_bucket(Bucket=bucket)
    s3.put_bucket_versioning(Bucket="versions", VersioningConfiguration={"Status": "Enabled"})
    for number in range(200):
        s3.put_object(Bucket="pairs", Key=f"old/{number:03}", Body=data(20_000, number))
    stop, written, lock = threading.Event(), {}, threading.Lock()

    def write(worker):
        """Writes `a`, then `b`, of the same round; and turns over what was there. So `b` is never ahead of `a`."""
        client, turn = node.client(), 0
        while not stop.is_set():
            turn += 1
            body = turn.to_bytes(4, "big") * (500 if turn % 2 else 50_000)
            for side in ("a", "b"):
                client.put_object(Bucket="pairs", Key=f"{worker}/{side}", Body=body)
                client.put_object(Bucket="versions", Key=f"{worker}/{side}", Body=body)
            with lock:
                written[worker] = turn
            number = (turn * 4 + worker) % 200
            client.put_object(Bucket="pairs", Key=f"old/{number:03}", Body=data(21_000, turn))
            client.delete_object(Bucket="pairs", Key=f"old/{(number + 100) % 200:03}")
            # A slow machine is not to have more to compare.
            stop.wait(0.05)

    workers = [threading.Thread(target=write, args=(worker,)) for worker in range(3)]
    for worker in workers:
        worker.start()
    other = None
    try:
        wait_until("some rounds", lambda: len(written) == 3 and min(written.values()) >= 3)
        for _ in range(2):
            with lock:
                answered = dict(written)
            manifest = create(node, tmp_path / "shelf")
            assert (manifest["damaged"], manifest["missing"]) == (0, 0), manifest["named"]
        stop.set()
        for worker in workers:
            worker.join()
        command(node, "backup", "verify", tmp_path / "shelf")
        other = restored(node, tmp_path / "shelf")
        shutil.copy(node.root / ".myfsio.sys/config/.secret", other.root / ".myfsio.sys/config/.secret")
        other.start()
        there = other.client()
        for worker in range(3):
            for bucket in ("pairs", "versions"):
                turns = []
                for side in ("a", "b"):
                    body = there.get_object(Bucket=bucket, Key=f"{worker}/{side}")["Body"].read()
                    turn = int.from_bytes(body[:4], "big")
                    assert body == body[:4] * (len(body) // 4) and len(body) == 4 * (500 if turn % 2 else 50_000), "torn"
                    turns.append(turn)
                assert turns[0] - turns[1] in (0, 1) and min(turns) >= answered[worker], (turns, answered)
        for page in there.get_paginator("list_object_versions").paginate(Bucket="versions"):
            for item in page["Versions"]:
                there.get_object(Bucket="versions", Key=item["Key"], VersionId=item["VersionId"])["Body"].read()
        other.stop()
        assert json.loads(command(other, "fsck", "--data", "--json").stdout)["status"] == "clean"
    finally:
        stop.set()
        for worker in workers:
            worker.join()
        if other:
            other.close()


def test_what_is_no_good_backup_is_never_taken_for_one(node_factory, tmp_path):
    node, shelf = node_factory(), tmp_path / "shelf"
    s3 = node.client()
    s3.create_bucket(Bucket="things")
    for key in ("a", "b", "c"):
        s3.put_object(Bucket="things", Key=key, Body=data(300_000, ord(key)))
    first = create(node, shelf)
    files = sorted(path for path in (shelf / first["id"] / "data").rglob("*") if path.is_file())
    assert len(files) == 3

    # A byte, a file, the rows.
    original = files[0].read_bytes()
    files[0].write_bytes(original[:1000] + bytes([original[1000] ^ 1]) + original[1001:])
    moved = files[1].rename(tmp_path / "moved")
    told = command(node, "backup", "verify", shelf, status=1)
    assert "its bytes were changed" in told.stdout and "it is missing" in told.stdout and "2 files" in told.stderr, told
    told = command(node, "backup", "restore", shelf, "--to", tmp_path / "new", status=1)
    assert "the rest is restored" in told.stderr and "was changed in the backup" in told.stdout, told
    other = nodes.Node()
    other.root = tmp_path / "new"
    shutil.copy(node.root / ".myfsio.sys/config/.secret", other.root / ".myfsio.sys/config/.secret")
    try:
        there, served = other.start().client(), []
        for key in ("a", "b", "c"):
            try:
                served.append(there.get_object(Bucket="things", Key=key)["Body"].read() == data(300_000, ord(key)))
            except there.exceptions.ClientError as error:
                assert error.response["Error"]["Code"] == "InternalError", error
        assert served == [True], "what was changed or is missing is not served"
    finally:
        other.close()
    files[0].write_bytes(original)
    moved.rename(files[1])
    command(node, "backup", "verify", shelf)
    rows = shelf / first["id"] / "rows"
    kept = rows.read_bytes()
    rows.write_bytes(kept[:-20])
    told = command(node, "backup", "restore", shelf, "--to", tmp_path / "newer", status=1)
    assert "rows: it was changed" in told.stderr and not (tmp_path / "newer").exists(), told
    rows.write_bytes(kept)

    # What a crash leaves says so by its name; so does a backup of a later program by its number.
    shutil.copytree(shelf / first["id"], shelf / "20300101T000000Z.incomplete")
    (shelf / "20300101T000000Z.incomplete/manifest.json").unlink()
    told = command(node, "backup", "list", shelf)
    assert "20300101T000000Z.incomplete  did not end" in told.stdout, told
    told = command(node, "backup", "verify", shelf, "--backup", "20300101T000000Z", status=1)
    assert "is incomplete" in told.stderr, told
    second = create(node, shelf)
    assert second["shares_with"] == first["id"] and second["copied_bytes"] == 0
    later = shelf / "20310101T000000Z"
    later.mkdir()
    (later / "manifest.json").write_text('{"format_version": 99}')
    assert "has format 99, this program knows 1" in command(node, "backup", "list", shelf).stdout
    shutil.rmtree(later)

    # Old ones go; what they shared stays with the later one.
    removed = json.loads(command(node, "backup", "prune", shelf, "--keep", "1", "--json").stdout)["removed"]
    assert removed == [first["id"], "20300101T000000Z.incomplete"]
    command(node, "backup", "verify", shelf)
    assert sorted(path.name for path in shelf.iterdir() if path.is_dir()) == [second["id"]]

    # Places where there cannot be one.
    assert "lies in the data directory" in command(node, "backup", "create", node.root / "things/backups", status=1).stderr
    assert not (node.root / "things/backups").exists()
    status, _, answer = signed(node, "POST", "/_myfsio/backups", json.dumps({"directory": str(tmp_path / "x")}).encode())
    assert status == 403 and b"myfsio backup create" in answer, "not over the network, whoever asks"


def test_a_full_device_is_told_and_leaves_nothing(node_factory, tmp_path):
    node, small = node_factory(), tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(small)], capture_output=True)
    if mounted.returncode:
        pytest.skip("no tmpfs can be mounted here")
    try:
        s3 = node.client()
        s3.create_bucket(Bucket="things")
        s3.put_object(Bucket="things", Key="large", Body=data(3 * MIB))
        told = command(node, "backup", "create", small / "shelf", status=1)
        assert "no space left at" in told.stderr, told
        assert [path.name for path in (small / "shelf").iterdir()] == [".lock"]
        assert s3.get_object(Bucket="things", Key="large")["Body"].read() == data(3 * MIB)
        assert not (node.root / ".myfsio.sys/held").exists()
    finally:
        subprocess.run(["umount", "-l", str(small)], check=False)


def test_a_killed_backup_is_incomplete_and_what_was_held_goes(node_factory, tmp_path):
    node, shelf = node_factory(), tmp_path / "shelf"
    s3 = node.client()
    s3.create_bucket(Bucket="things")
    for number in range(12):
        s3.put_object(Bucket="things", Key=f"{number}", Body=data(2 * MIB, number))
    env = {"STORAGE_ROOT": str(node.root), "PATH": "/usr/bin:/bin", "HOME": str(node.cwd)}
    making = subprocess.Popen([nodes.BINARY, "backup", "create", str(shelf)], env=env, cwd=node.cwd,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until("a beginning", lambda: making.poll() is not None or list(shelf.glob("*.incomplete/data")))
        node.kill()
    finally:
        making.kill()
        making.wait()
    left = [path.name for path in shelf.iterdir() if path.is_dir()]
    if left and left[0].endswith(".incomplete"):
        assert "there are only incomplete backups" in command(node, "backup", "verify", shelf, status=1).stderr
    node.start()
    assert not (node.root / ".myfsio.sys/held").exists()
    create(node, shelf)
    command(node, "backup", "verify", shelf)
