"""Replication at its limits: figures of it, a queue that is full, keys that are no paths, files that a person changed, and what is only
kept for a time."""

import os
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from node import BINARY
from replication import admin, wait_until
from test_metrics import metrics
from test_replication import Way, way  # noqa: F401: a fixture
from test_replication_pair import at, pair  # noqa: F401: a fixture
from util import MIB, data, signed

pytestmark = pytest.mark.local


def test_figures(way):
    way = way(source={"METRICS_TOKEN": "a-token-for-scrapers"}).buckets()
    for n in range(5):
        way.a.put_object(Bucket="orig", Key=f"k{n}", Body=b"12345")
    way.quiet()
    of = lambda name, **labels: metrics(way.source)["myfsio_replication_%s{%s}" % (
        name, ",".join(f'{label}="{value}"' for label, value in sorted({"bucket": "orig", **labels}.items())))]
    assert (of("sent_changes_total"), of("sent_bytes_total"), of("lag_seconds")) == (5, 25, 0)
    assert (of("changes", tray="pending"), of("bytes", tray="pending"), of("changes", tray="parked")) == (0, 0, 0)
    assert (of("state", state="ACTIVE"), of("state", state="OFFLINE"), of("circuit_state", state="closed")) == (1, 0, 1)
    way.link.down = True
    way.link.cut()
    way.a.put_object(Bucket="orig", Key="later", Body=b"123")
    wait_until("the breaker", lambda: of("circuit_state", state="closed") == 0)
    assert (of("changes", tray="pending"), of("bytes", tray="pending")) == (1, 3)
    assert of("lag_seconds") > 0 and of("failed_attempts_total") > 0 and of("state", state="OFFLINE") == 1
    told = admin(way.source, "GET", "")
    assert told["totals"]["offline"] == told["totals"]["circuits_open"] == told["totals"]["pending"] == 1
    assert told["rules"][0]["status"]["circuit"] in ("open", "half-open") and told["totals"]["sent_changes"] == 5
    way.link.down = False
    wait_until("the link", lambda: of("changes", tray="pending") == 0)
    assert of("circuit_state", state="closed") == 1
    way.source.add_users({"access_key": "u", "secret_key": "u-secret", "display_name": "u",
                          "policies": [{"bucket": "orig", "actions": ["replication"]}]})
    admin(way.source, "GET", "", status=403, access="u", secret="u-secret")
    admin(way.source, "DELETE", "/rules/orig")
    assert not [name for name in metrics(way.source) if "replication" in name and "orig" in name]


def test_a_queue_that_is_full_fails_the_rule_until_all_is_sent_anew(way):
    way = way(source={"REPLICATION_BACKLOG_MAX": "1500"}).buckets()
    way.a.put_object(Bucket="orig", Key="first", Body=b"1")
    way.quiet()
    way.link.down = True
    way.link.cut()
    clients = [way.source.client() for _ in range(4)]

    def put(n):
        clients[n % 4].put_object(Bucket="orig", Key=f"k{n:04}", Body=b"%d" % n)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(put, range(1600)))
    way.a.delete_object(Bucket="orig", Key="first")
    wait_until("the rule to fail", lambda: way.status()["state"] == "FAILED")
    assert "more changes waited" in way.status()["reason"] and way.status()["pending"] <= 1500
    way.source.kill()
    way.source.start()
    way.a = way.source.client()
    way.link.down = False
    keys = lambda: [o["Key"] for page in way.b.get_paginator("list_objects_v2").paginate(Bucket="copy") for o in page.get("Contents", [])]
    wait_until("all of it", lambda: keys() == [f"k{n:04}" for n in range(1600)], 60)
    wait_until("the end", lambda: way.status()["state"] == "ACTIVE" and way.status()["pending"] == 0)
    assert way.status()["back_fill"]["is_resync"] and way.status()["parked"] == 0


KEYS = ["/", "//", "/a", "//a", "///", "a/", "a//", "a//b", "./a", "../a", "a/.", "a/..", "a/../../b", "/../a", "a/./b", "...", " ", "a b ", "%2e",
        "%2E%2E", "?", "#", "\\..\\a", "a?b#c", "+", "ä/../ö"]


def test_keys_that_are_no_paths(way):
    way = way().buckets(versions=True, delete_versions=True)
    escaped = lambda key: "".join(c if c.isalnum() and c.isascii() else "".join(f"%{b:02X}" for b in c.encode()) for c in key)
    for key in [*KEYS, ".", ".."]:
        got = signed(way.source, "PUT", f"/orig/{escaped(key)}", key.encode())
        assert got[0] == 200, (key, got)
    wait_until("two to be parked", lambda: way.status()["parked"] == 2)
    way.quiet()
    listed = lambda s3, bucket: {v["Key"]: v["VersionId"] for v in s3.list_object_versions(Bucket=bucket)["Versions"]}
    there = listed(way.b, "copy")
    assert sorted(there) == sorted(KEYS)
    assert there == {key: version for key, version in listed(way.a, "orig").items() if key in KEYS}
    for key in KEYS:
        got = signed(way.target, "GET", f"/copy/{escaped(key)}")
        assert (got[0], got[2]) == (200, key.encode()), (key, got)
    failures = admin(way.source, "GET", "/rules/orig/failures")["failures"]
    assert {(f["key"], f["reason"]) for f in failures} == {(key, "no URL can hold this key") for key in (".", "..")}
    assert signed(way.source, "HEAD", "/orig/%2E%2E")[1]["x-amz-replication-status"] == "FAILED"
    for key in KEYS[:6]:
        assert signed(way.source, "DELETE", f"/orig/{escaped(key)}")[0] == 204
    way.quiet()
    assert {o["Key"] for o in way.b.list_objects_v2(Bucket="copy")["Contents"]} == set(KEYS[6:])
    assert way.status()["parked"] == 2, "the others went on"


def test_files_that_a_person_changes_are_sent(way):
    way = way().buckets()
    for key in ("edited", "later", "same"):
        way.a.put_object(Bucket="orig", Key=key, Body=b"before")
    way.quiet()
    read = lambda key: way.b.get_object(Bucket="copy", Key=key)["Body"].read()
    way.source.wait_file("orig", "edited", b"before")
    way.source.file("orig", "edited").write_bytes(b"by hand")
    assert way.a.get_object(Bucket="orig", Key="edited")["Body"].read() == b"by hand"
    wait_until("the edit", lambda: read("edited") == b"by hand")
    way.source.file("orig", "adopted").write_bytes(b"put there")
    assert signed(way.source, "POST", "/_myfsio/buckets/orig/adopt")[0] == 200
    wait_until("the file", lambda: "adopted" in [o["Key"] for o in way.b.list_objects_v2(Bucket="copy")["Contents"]])
    way.quiet()
    way.source.stop()
    way.source.file("orig", "later").write_bytes(b"while it was down")
    done = subprocess.run([BINARY, "fsck", "--repair"], capture_output=True, text=True, timeout=60,
                          env={"STORAGE_ROOT": str(way.source.root), "HOME": str(way.source.cwd), "PATH": os.environ["PATH"]})
    assert "edited" in done.stdout, (done.stdout, done.stderr)
    way.source.start()
    wait_until("what fsck found", lambda: read("later") == b"while it was down")
    way.quiet()
    assert way.status()["parked"] == 0


def test_no_faster_than_the_connection_may(way):
    way = way()
    admin(way.source, "PUT", f"/connections/{way.connection}", {"bytes_per_second": 2 * MIB})
    way.buckets()
    begin = time.monotonic()
    for n in range(3):
        way.a.put_object(Bucket="orig", Key=f"k{n}", Body=data(2 * MIB, n))
    way.quiet(60)
    # A second's worth may go at once.
    assert time.monotonic() - begin > 1.9 and way.link.bytes >= 6 * MIB
    assert way.status()["state"] == "ACTIVE"


def comparison(node, bucket, repair=False):
    admin(node, "POST", f"/rules/{bucket}/compare" + ("/repair" if repair else ""))
    return wait_until("the report", lambda: (r := admin(node, "GET", f"/rules/{bucket}/compare"))["state"] == "done" and r)


def test_a_forged_origin_keeps_a_write_from_that_one_node(way):
    way = way().buckets()
    peer = admin(way.target, "GET", "/rules")["node_id"]
    way.source.add_users({"access_key": "writer", "secret_key": "writer-secret", "display_name": "w",
                          "policies": [{"bucket": "orig", "actions": ["write"]}]})
    # Until the source has asked who is there, it sends this, too.
    way.a.put_object(Bucket="orig", Key="first", Body=b"1")
    way.quiet()
    for name, origin in (("forged", peer), ("other", "00000000000000ab")):
        got = signed(way.source, "PUT", f"/orig/{name}", b"x", {"x-myfsio-origin": origin, "x-myfsio-clock": "1700000000000000000"},
                     access="writer", secret="writer-secret")
        assert got[0] == 200, got
    way.quiet()
    there = lambda: sorted(o["Key"] for o in way.b.list_objects_v2(Bucket="copy")["Contents"])
    assert there() == ["first", "other"]
    report = comparison(way.source, "orig")
    assert (report["missing"], report["different"], report["extra"]) == (1, 0, 0), report
    assert [(sample["difference"], sample["key"]) for sample in report["samples"]] == [("missing", "forged")]
    comparison(way.source, "orig", repair=True)
    wait_until("the repair", lambda: there() == ["first", "forged", "other"])


def test_a_comparison_gives_a_node_back_what_it_lost(pair):
    """An old copy of a node's data is put back: what it wrote since, the other one has."""
    pair = pair().both(versions="Enabled")
    pair.b.s3.put_object(Bucket="shared", Key="before", Body=b"0")
    pair.quiet()
    node, copy = pair.b.node, pair.b.node.dir / "copy"

    def stopped(*command):
        node.stop()
        subprocess.run(command, check=True, timeout=60)
        node.start()
        pair.b.s3 = node.client()

    stopped("cp", "-a", node.root, copy)
    made = pair.b.s3.put_object(Bucket="shared", Key="made", Body=b"1")["VersionId"]
    pair.quiet()
    pair.same()
    stopped("sh", "-c", 'rm -r "$1" && mv "$2" "$1"', "sh", node.root, copy)
    assert comparison(pair.a.node, "shared")["missing"] == 1
    comparison(pair.a.node, "shared", repair=True)
    wait_until("the repair", lambda: len(pair.b.s3.list_object_versions(Bucket="shared")["Versions"]) == 2)
    pair.quiet()
    assert pair.same()["versions"]["made"][0][0] == made


def test_copies_are_kept_for_their_days(pair):
    pair = pair().both()
    pair.link(down=True)
    for side in pair.sides:
        side.s3.put_object(Bucket="shared", Key="k", Body=side.name.encode())
    pair.link(down=False)
    pair.quiet()
    ((side, version, body),) = wait_until("the copy", lambda: pair.lost("k"))[:1]
    for days, kept in ((29, True), (31, False)):
        side.node.stop()
        side.node.env.update(at(f"+{days}d"))
        side.node.ahead = days * 86_400
        side.node.start()
        side.s3 = side.node.client()
        if kept:
            assert side.s3.get_object(Bucket="shared", Key="k", VersionId=version)["Body"].read().decode() == body
        else:
            # It is swept at the start.
            wait_until("it to go", lambda: not pair.conflicts(side))
            assert signed(side.node, "GET", f"/shared/k?versionId={version}")[0] == 404
        assert side.s3.get_object(Bucket="shared", Key="k")["Body"].read() == b"b"
