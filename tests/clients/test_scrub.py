"""Stored bytes that rot under the node's feet: found, kept from being served, repaired from another node; and what is no damage."""

import json
import os
import resource
import subprocess
import time

import pytest
from botocore.exceptions import ClientError

import node as nodes
import sse
from replication import add_target_user, connect, replicate, wait_empty, wait_until
from util import MIB, complete, data, signed, upload_parts

pytestmark = pytest.mark.local
ROUTE = "/_myfsio/scrub"
WAIT = "?wait=20"


def ask(node, method, target=ROUTE, body=None, status=200):
    got, _, answer = signed(node, method, target, json.dumps(body).encode() if body is not None else b"")[:3]
    assert got == status, (got, answer)
    return json.loads(answer)


def scrub(node, **order):
    """Has everything, or one bucket, verified as fast as possible; answers the run and everything that is told."""
    begun = ask(node, "POST", body={"bytes_per_second": 0, **order}, status=202)

    def ended():
        report = ask(node, "GET", ROUTE + WAIT)
        runs = [run for run in report["last_runs"] if run["started_millis"] == begun["started_millis"]]
        return (runs[0], report) if runs else None
    return wait_until("the end of a scrub", ended)


def change(path, how):
    """Changes a file as a disk does that rots: its time stays."""
    stat = path.stat()
    with open(path, "r+b") as file:
        how(file)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def flip(at):
    def how(file):
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 0x10]))
    return how


def overflow(node):
    """Files of versions that are not current."""
    return sorted(path for path in (node.root / ".myfsio.sys/buckets").rglob("overflow/*/*") if path.is_file())


def command(node, *arguments):
    env = {"STORAGE_ROOT": str(node.root), "PATH": "/usr/bin:/bin", "HOME": str(node.cwd), **node.env}
    return subprocess.run([nodes.BINARY, *arguments], env=env, cwd=node.cwd, capture_output=True, text=True, timeout=60)


def mismatch(call):
    """The call is refused since what is stored is damaged."""
    with pytest.raises(ClientError) as refused:
        call()
    error = refused.value.response
    # HEAD has no body that could tell more.
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 500, error
    if error["Error"]["Code"] != "500":
        assert error["Error"]["Code"] == "InternalError" and "checksum mismatch" in error["Error"]["Message"], error


def metric(node, name):
    text = signed(node, "GET", "/_myfsio/metrics")[2].decode()
    return [line.split()[-1] for line in text.splitlines() if line.startswith(name + " ")]


def test_damage_is_found_and_not_served(node_factory):
    node = node_factory()
    s3 = node.client()
    for bucket in ("plain", "versions"):
        s3.create_bucket(Bucket=bucket)
    s3.put_bucket_versioning(Bucket="versions", VersioningConfiguration={"Status": "Enabled"})
    bodies = {"small": data(100, 1), "large": data(3 * MIB, 2), "cut": data(200_000, 3), "edited": data(5_000, 4),
              "gone": data(70_000, 5), "well": data(300_000, 6)}
    for key, body in bodies.items():
        s3.put_object(Bucket="plain", Key=key, Body=body)
    upload, parts = upload_parts(s3, "plain", "parts", {1: data(5 * MIB, 7), 2: data(MIB, 8)})
    complete(s3, "plain", "parts", upload, parts)
    open_upload, open_parts = upload_parts(s3, "plain", "open", {1: data(5 * MIB, 9)})
    first = s3.put_object(Bucket="versions", Key="v", Body=data(250_000, 10))["VersionId"]
    s3.put_object(Bucket="versions", Key="v", Body=data(260_000, 11))
    for key, body in bodies.items():
        node.wait_file("plain", key, body)
    node.wait_file("versions", "v", data(260_000, 11))
    wait_until("the parts in place", lambda: node.file("plain", "parts").is_file())
    (archived,) = wait_until("the version in its place", lambda: overflow(node))

    run, report = scrub(node)
    assert (run["objects"], run["versions"], run["parts"], run["damaged"]) == (8, 1, 1, {}), run
    assert report["findings"] == [] and report["state"] == "idle" and report["next_run_millis"] > run["ended_millis"]

    change(node.file("plain", "small"), flip(50))
    change(node.file("plain", "large"), flip(2 * MIB))
    change(node.file("plain", "parts"), flip(5 * MIB + 7))
    change(node.file("plain", "cut"), lambda file: file.truncate(100_000))
    change(archived, flip(0))
    (staged,) = [path for path in (node.root / ".myfsio.sys/tmp").iterdir() if path.stat().st_size]
    change(staged, flip(1234))
    node.file("plain", "gone").unlink()
    with open(node.file("plain", "edited"), "ab") as file:
        file.write(b"and more")

    run, report = scrub(node)
    assert run["damaged"] == {"checksum-mismatch": 5, "wrong-size": 1, "missing-file": 1}, run
    assert (run["edited"], run["repaired"], run["state"]) == (1, 0, "done")
    found = {finding.get("key", "part"): (finding["damage"], finding["outcome"]) for finding in report["findings"]}
    assert found == {
        "small": ("checksum-mismatch", "quarantined"), "large": ("checksum-mismatch", "quarantined"),
        "parts": ("checksum-mismatch", "quarantined"), "v": ("checksum-mismatch", "quarantined"),
        "cut": ("wrong-size", "quarantined"), "gone": ("missing-file", "reported"), "part": ("checksum-mismatch", "quarantined"),
    }
    of = {finding.get("key"): finding for finding in report["findings"]}
    assert of["v"]["version_id"] == first and of[None]["upload_id"] == open_upload and of[None]["part_number"] == 1
    assert of["large"]["path"] == "plain/large" and node.file("plain", "large").is_file(), "the bytes are kept"

    for key in ("small", "large", "parts", "cut"):
        mismatch(lambda: s3.get_object(Bucket="plain", Key=key))
        mismatch(lambda: s3.get_object(Bucket="plain", Key=key, Range="bytes=0-9"))
        mismatch(lambda: s3.head_object(Bucket="plain", Key=key))
        mismatch(lambda: s3.copy_object(Bucket="plain", Key="copy", CopySource={"Bucket": "plain", "Key": key}))
    mismatch(lambda: s3.get_object(Bucket="versions", Key="v", VersionId=first))
    assert s3.get_object(Bucket="versions", Key="v")["Body"].read() == data(260_000, 11)
    assert s3.get_object(Bucket="plain", Key="edited")["Body"].read() == bodies["edited"] + b"and more"
    assert s3.get_object(Bucket="plain", Key="well")["Body"].read() == bodies["well"]
    assert len(s3.list_objects_v2(Bucket="plain")["Contents"]) == 7, "what is damaged is still there"
    assert metric(node, 'myfsio_scrub_damaged_total{damage="checksum-mismatch"}') == ["5"]
    assert int(metric(node, "myfsio_scrub_verified_total")[0]) >= 20 and metric(node, "myfsio_scrub_running") == ["0"]
    assert "stored bytes are damaged" in node.log.read_text()

    # The mark lasts; the command tells of it, and by its exit status.
    node.kill()
    node.start()
    s3 = node.client()
    mismatch(lambda: s3.get_object(Bucket="plain", Key="small"))
    told = command(node, "scrub", "start", "--bucket", "versions", "--rate", "0", "--wait")
    assert told.returncode == 1 and "v (" in told.stdout and "1 objects or parts are damaged" in told.stderr, told
    told = command(node, "scrub", "status")
    assert told.returncode == 0 and told.stdout.startswith("idle\nlast run, done: ") and "missing-file" in told.stdout, told

    # A new object of the key, its removal, and right bytes end it.
    s3.put_object(Bucket="plain", Key="small", Body=b"anew")
    assert s3.get_object(Bucket="plain", Key="small")["Body"].read() == b"anew"
    s3.delete_object(Bucket="plain", Key="cut")
    s3.delete_object(Bucket="versions", Key="v", VersionId=first)
    change(node.file("plain", "large"), flip(2 * MIB))
    run, report = scrub(node, bucket="plain")
    assert (run["lifted"], run["damaged"]) == (1, {"checksum-mismatch": 2, "missing-file": 1}), run
    assert s3.get_object(Bucket="plain", Key="large")["Body"].read() == bodies["large"]
    outcomes = {finding.get("key"): finding["outcome"] for finding in report["findings"]}
    assert outcomes == {"small": "lifted", "cut": "lifted", "v": "lifted", "large": "lifted", "parts": "quarantined",
                        "gone": "reported", None: "quarantined"}

    # A damaged part does not become an object, and who goes on with the upload learns that it is to be sent again.
    with pytest.raises(ClientError) as refused:
        complete(s3, "plain", "open", open_upload, open_parts)
    error = refused.value.response["Error"]
    assert (error["Code"], error["PartNumber"]) == ("InvalidPart", "1") and "Upload the part again" in error["Message"], error
    assert "Parts" not in s3.list_parts(Bucket="plain", Key="open", UploadId=open_upload)
    etag = s3.upload_part(Bucket="plain", Key="open", UploadId=open_upload, PartNumber=1, Body=data(5 * MIB, 9))["ETag"]
    assert [part["ETag"] for part in s3.list_parts(Bucket="plain", Key="open", UploadId=open_upload)["Parts"]] == [etag]
    complete(s3, "plain", "open", open_upload, open_parts)
    assert s3.get_object(Bucket="plain", Key="open")["Body"].read() == data(5 * MIB, 9)
    assert {finding.get("key"): finding["outcome"] for finding in ask(node, "GET")["findings"]}[None] == "lifted"


def test_encrypted_objects_are_verified_with_and_without_their_key():
    node = sse.start()
    try:
        s3 = node.client()
        s3.create_bucket(Bucket="sealed")
        for key, how in (("managed", sse.S3), ("own", sse.CUSTOMER)):
            for name in ("good", "bad"):
                s3.put_object(Bucket="sealed", Key=f"{key}-{name}", Body=data(200_000), **how.write)
        for key in ("managed-bad", "own-bad"):
            path = wait_until(key, lambda: node.file("sealed", key) if node.file("sealed", key).is_file() else None)
            change(path, flip(100_000))
        run, report = scrub(node)
        assert (run["objects"], run["damaged"]) == (2, {"checksum-mismatch": 2}), run
        assert {finding["key"] for finding in report["findings"]} == {"managed-bad", "own-bad"}
        mismatch(lambda: s3.get_object(Bucket="sealed", Key="managed-bad", Range="bytes=0-5"))
        mismatch(lambda: s3.get_object(Bucket="sealed", Key="own-bad", Range="bytes=0-5", **sse.CUSTOMER.read))
        assert s3.get_object(Bucket="sealed", Key="managed-good")["Body"].read() == data(200_000)
    finally:
        node.close()


def test_a_run_goes_on_after_a_restart(node_factory):
    node = node_factory(SCRUB_INTERVAL_DAYS=0)
    s3 = node.client()
    s3.create_bucket(Bucket="many")
    for number in range(60):
        s3.put_object(Bucket="many", Key=f"{number:03}", Body=data(100_000, number))
    node.wait_file("many", "059", data(100_000, 59))
    change(node.file("many", "050"), flip(77))
    ask(node, "POST", body={"bytes_per_second": 2_000_000}, status=202)
    assert ask(node, "POST", body={}, status=409)["error"]["code"] == "OperationAborted"
    so_far = wait_until("some progress", lambda: (ask(node, "GET")["run"] or {}).get("objects", 60) >= 5 and ask(node, "GET"))
    assert so_far["state"] == "running" and 0 < so_far["percent"] < 100, so_far
    node.stop()
    node.start()
    report = ask(node, "GET")
    assert report["run"]["objects"] >= so_far["run"]["objects"] and report["run"]["started_millis"] == so_far["run"]["started_millis"]

    def ended():
        report = ask(node, "GET", ROUTE + WAIT)
        return report["last_runs"] and report
    report = wait_until("the end", ended)
    run = report["last_runs"][0]
    assert (run["objects"], run["damaged"]) == (59, {"checksum-mismatch": 1}), "each once"
    assert report["next_run_millis"] is None and report["interval_days"] is None

    # One that is not wanted is ended; nobody but administrators may ask.
    ask(node, "POST", body={"bytes_per_second": 1000}, status=202)
    assert ask(node, "DELETE")["state"] == "stopped"
    assert ask(node, "DELETE", status=400)["error"]["message"] == "no scrub is at work"
    ask(node, "POST", body={"bukket": "many"}, status=400)
    ask(node, "POST", body={"bucket": "nowhere"}, status=404)
    node.add_users({"access_key": "ann", "secret_key": "ann-secret-key", "display_name": "Ann",
                    "policies": [{"bucket": "*", "actions": ["list", "read", "write"]}]})
    assert signed(node, "GET", ROUTE, access="ann", secret="ann-secret-key")[0] == 403


def test_what_passes_is_no_damage(node_factory):
    node = node_factory(SCRUB_INTERVAL_DAYS=0)
    s3 = node.client()
    s3.create_bucket(Bucket="few")
    for number in range(6):
        s3.put_object(Bucket="few", Key=str(number), Body=data(1000, number))
        node.wait_file("few", str(number), data(1000, number))
    # A small object costs 32 KiB of the pace: three a second.
    ask(node, "POST", body={"bytes_per_second": 100_000}, status=202)
    limits = resource.prlimit(node.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(node.process.pid, resource.RLIMIT_NOFILE, (3, limits[1]))
    try:
        wait_until("a file that cannot be opened", lambda: "scrub waits, and tries again" in node.tail())
    finally:
        resource.prlimit(node.process.pid, resource.RLIMIT_NOFILE, limits)
    report = wait_until("the end", lambda: (report := ask(node, "GET", ROUTE + WAIT))["last_runs"] and report)
    run = report["last_runs"][0]
    assert (run["objects"], run["damaged"], report["findings"]) == (6, {}, []), report
    assert "Too many open files" in node.tail()


def test_right_bytes_come_from_the_node_that_the_bucket_is_replicated_to(node_factory):
    target = node_factory()
    # A node that encrypts: its replica is plain.
    source = sse.start()
    try:
        s3, there = source.client(), target.client()
        for client in (s3, there):
            client.create_bucket(Bucket="pair")
            client.put_bucket_versioning(Bucket="pair", VersioningConfiguration={"Status": "Enabled"})
        key = add_target_user(target, "peer", "pair")
        replicate(source, "pair", connect(source, target.endpoint, key), "pair")
        bodies = {"plain": data(MIB, 1), "sealed": data(600_000, 2), "lost": data(150_000, 3), "v": data(90_000, 5)}
        old = s3.put_object(Bucket="pair", Key="v", Body=data(80_000, 4))["VersionId"]
        for name, body in bodies.items():
            s3.put_object(Bucket="pair", Key=name, Body=body, **(sse.S3.write if name == "sealed" else {}))
        upload, parts = upload_parts(s3, "pair", "parts", {1: data(5 * MIB, 6), 2: data(MIB, 7)})
        complete(s3, "pair", "parts", upload, parts)
        bodies["parts"] = data(5 * MIB, 6) + data(MIB, 7)
        wait_empty(source, "pair")
        there.delete_object(Bucket="pair", Key="lost")
        versions = {item["Key"]: item["VersionId"] for item in there.list_object_versions(Bucket="pair")["Versions"]}
        there.delete_object(Bucket="pair", Key="lost", VersionId=versions["lost"])
        for name in bodies:
            wait_until(name, lambda: source.file("pair", name).is_file())
        (archived,) = wait_until("the version", lambda: overflow(source))
        before = {path: (path.read_bytes(), path.stat().st_mtime_ns)
                  for path in [archived, *(source.file("pair", name) for name in bodies)]}
        for path in before:
            change(path, flip(70_000))

        run, report = scrub(source)
        found = {finding["key"]: finding for finding in report["findings"] if finding["version_id"] != old}
        assert (run["damaged"], run["repaired"]) == ({"checksum-mismatch": 6}, 5), report["findings"]
        assert found["lost"]["outcome"] == "quarantined" and "NoSuchKey" in found["lost"]["not_repaired"], found["lost"]
        assert {name for name in found if found[name]["outcome"] == "repaired"} == {"plain", "sealed", "parts", "v"}
        for name in ("plain", "sealed", "parts", "v"):
            assert s3.get_object(Bucket="pair", Key=name)["Body"].read() == bodies[name], name
            assert (source.root / found[name]["kept"]).is_file()
        assert s3.get_object(Bucket="pair", Key="v", VersionId=old)["Body"].read() == data(80_000, 4)
        mismatch(lambda: s3.get_object(Bucket="pair", Key="lost"))
        run, _ = scrub(source)
        assert run["damaged"] == {"checksum-mismatch": 1}, run
        source.stop()
        for path, was in before.items():
            same = (path.read_bytes(), path.stat().st_mtime_ns) == was
            assert same == (path != source.file("pair", "lost")), path
        checked = json.loads(command(source, "fsck", "--data", "--json").stdout)
        assert [finding["place"] for finding in checked["findings"]] == ["pair/lost"], checked
    finally:
        source.close()
