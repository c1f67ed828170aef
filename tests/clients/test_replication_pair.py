"""Two nodes that replicate to each other: no loops, the same winner on both, nothing that is gone comes back, whatever fails meanwhile.

PAIR_SECONDS and PAIR_OPERATIONS make the random test longer; it prints its seed, which PAIR_SEED repeats.
"""

import os
import pathlib
import random
import threading
import time

import libfaketime
import pytest
from botocore.exceptions import BotoCoreError, ClientError

from replication import (Link, add_target_user, admin, connect, differences, replicate, state, status, wait_empty, wait_until)
from util import MIB, complete, data, upload_parts

pytestmark = pytest.mark.local
OPERATIONS = int(os.environ.get("PAIR_OPERATIONS", "600"))
SECONDS = float(os.environ.get("PAIR_SECONDS", "12"))


def at(offset):
    """Settings of a node whose clock is off by so much."""
    library = next(pathlib.Path(libfaketime.__file__).parent.rglob("libfaketime.so.1"))
    return {"LD_PRELOAD": str(library), "FAKETIME": offset, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


class Side:
    """A node of a pair, with the link that leads to it."""

    def __init__(self, node, name):
        self.node, self.name, self.link = node, name, Link(node)
        self.s3 = node.client()

    def restart(self):
        self.node.kill()
        self.node.start()
        self.s3 = self.node.client()


class Pair:
    """Two nodes; a bucket of each is replicated to the other one."""

    def __init__(self, node_factory, a=None, b=None, **rule):
        self.a, self.b = Side(node_factory(**(a or {})), "a"), Side(node_factory(**(b or {})), "b")
        self.sides, self.rule = (self.a, self.b), rule

    def both(self, bucket="shared", versions=None, existing=False):
        self.bucket = bucket
        for side in self.sides:
            side.s3.create_bucket(Bucket=bucket)
            if versions:
                side.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": versions})
        keys = {side: add_target_user(side.node, f"peer-{side.name}", bucket) for side in self.sides}
        for here, there in ((self.a, self.b), (self.b, self.a)):
            here.connection = connect(here.node, there.link.endpoint, keys[there])
        for side in self.sides:
            replicate(side.node, bucket, side.connection, bucket, mode="all" if existing else "new_only",
                      delete_versions=True, **self.rule)
        return self

    def quiet(self, seconds=60):
        """Waits until neither side has anything to send: twice, since what arrives last may still have to go on."""
        for _ in range(2):
            for side in self.sides:
                wait_empty(side.node, self.bucket, seconds)
        for side in self.sides:
            now = status(side.node, self.bucket)
            assert now["parked"] == 0, (side.name, now, admin(side.node, "GET", f"/rules/{self.bucket}/failures"))

    def same(self):
        """Both sides list and read the same; answers that."""
        found = [state(side.s3, self.bucket) for side in self.sides]
        assert found[0] == found[1], "\n".join(differences(*found))
        for key in found[0]["current"]:
            bodies = [side.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read() for side in self.sides]
            assert bodies[0] == bodies[1], key
        return found[0]

    def conflicts(self, side):
        return admin(side.node, "GET", f"/rules/{self.bucket}/conflicts")["conflicts"]

    def lost(self, key):
        """What lost under a key, on whichever side: the side, its version id, its bytes."""
        found = [(side, c["version_id"]) for side in self.sides for c in self.conflicts(side) if c["key"] == key]
        read = lambda side, version: side.s3.get_object(Bucket=self.bucket, Key=key, VersionId=version)["Body"].read().decode()
        return [(side, version, read(side, version)) for side, version in found]

    def link(self, down):
        for side in self.sides:
            side.link.down = down
            if down:
                side.link.cut()


@pytest.fixture
def pair(node_factory):
    made = []

    def make(**more):
        made.append(Pair(node_factory, **more))
        return made[-1]

    yield make
    for one in made:
        for side in one.sides:
            side.link.close()


VERSIONS = pytest.mark.parametrize("versions", [None, "Enabled", "Suspended"])


def changes(link):
    return sum(link.methods.get(method, 0) for method in ("PUT", "POST", "DELETE"))


@VERSIONS
def test_no_change_goes_round(pair, versions):
    pair = pair().both(versions=versions)
    for n in range(30):
        pair.a.s3.put_object(Bucket="shared", Key=f"k{n}", Body=b"%d" % n)
    pair.quiet()
    # Until b has asked who a is, it offers back what it got: a knows it, and that is all.
    offered = changes(pair.a.link)
    assert offered <= 30
    for n in range(10):
        pair.a.s3.delete_object(Bucket="shared", Key=f"k{n}")
        pair.a.s3.delete_object(Bucket="shared", Key="never")
    pair.a.s3.put_object_tagging(Bucket="shared", Key="k20", Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    upload, done = upload_parts(pair.a.s3, "shared", "big", {1: data(5 * MIB), 2: b"x"})
    complete(pair.a.s3, "shared", "big", upload, done)
    pair.quiet()
    before = changes(pair.a.link), changes(pair.b.link), pair.a.link.requests + pair.b.link.requests
    time.sleep(2)
    assert changes(pair.a.link) == offered, "what came from a is not sent to a"
    assert (changes(pair.a.link), changes(pair.b.link)) == before[:2], "nobody writes any more"
    assert pair.a.link.requests + pair.b.link.requests - before[2] <= 4
    pair.same()
    listed = pair.a.s3.list_object_versions(Bucket="shared")
    markers = [m for m in listed.get("DeleteMarkers", []) if m["Key"] == "k1"]
    assert len(markers) == (0 if versions is None else 1), "one delete is one marker"


def test_a_user_that_may_not_replicate_makes_no_loop(pair):
    pair = pair()
    pair.both(versions="Enabled")
    for side in pair.sides:
        add_target_user(side.node, f"peer-{side.name}", "shared", ("write", "read", "list", "delete"))
    for n in range(10):
        for side in pair.sides:
            side.s3.put_object(Bucket="shared", Key=f"{side.name}{n}", Body=b"%d" % n)
    for side in pair.sides:
        wait_empty(side.node, "shared")
    before = changes(pair.a.link), changes(pair.b.link)
    time.sleep(2)
    assert (changes(pair.a.link), changes(pair.b.link)) == before and max(before) <= 20


@VERSIONS
def test_conflicts_have_one_winner_and_lose_nothing(pair, versions):
    pair = pair().both(versions=versions)
    pair.link(down=True)
    for n in range(8):
        for side in pair.sides if n % 2 else pair.sides[::-1]:
            side.s3.put_object(Bucket="shared", Key=f"k{n}", Body=f"{side.name}{n}".encode())
    pair.link(down=False)
    pair.quiet()
    current = pair.same()["current"]
    assert len(current) == 8
    for n in range(8):
        winner = pair.a.s3.get_object(Bucket="shared", Key=f"k{n}")["Body"].read().decode()
        assert winner == f"{'b' if n % 2 else 'a'}{n}", "the later one wins"
        loser = ("a" if winner[0] == "b" else "b") + str(n)
        # Where it lost first: the other side need not have heard of it.
        assert loser in [body for _, _, body in pair.lost(f"k{n}")], (n, winner)
    side, version, body = pair.lost("k0")[0]
    choose = lambda keep: admin(side.node, "POST", "/rules/shared/conflicts/resolve", {"key": "k0", "version_id": version, "keep": keep})
    choose("copy")
    pair.quiet()
    pair.same()
    assert pair.b.s3.get_object(Bucket="shared", Key="k0")["Body"].read().decode() == body
    side, version, _ = pair.lost("k1")[0]
    admin(side.node, "POST", "/rules/shared/conflicts/resolve", {"key": "k1", "version_id": version, "keep": "current"})
    assert not [c for c in pair.conflicts(side) if c["key"] == "k1"], "it was settled"
    pair.quiet()
    pair.same()


@VERSIONS
def test_a_delete_against_a_write(pair, versions):
    pair = pair().both(versions=versions)
    for key in ("deleted-last", "written-last", "both"):
        pair.a.s3.put_object(Bucket="shared", Key=key, Body=b"0")
    pair.quiet()
    pair.link(down=True)
    pair.a.s3.put_object(Bucket="shared", Key="deleted-last", Body=b"a")
    pair.b.s3.delete_object(Bucket="shared", Key="deleted-last")
    pair.a.s3.delete_object(Bucket="shared", Key="written-last")
    pair.b.s3.put_object(Bucket="shared", Key="written-last", Body=b"b")
    for side in pair.sides:
        side.s3.delete_object(Bucket="shared", Key="both")
    pair.link(down=False)
    pair.quiet()
    current = pair.same()["current"]
    assert set(current) == {"written-last"}
    assert "a" in [body for _, _, body in pair.lost("deleted-last")]


@VERSIONS
def test_deletes_while_the_peer_is_down_do_not_come_back(pair, versions):
    pair = pair().both(versions=versions)
    for n in range(12):
        pair.a.s3.put_object(Bucket="shared", Key=f"k{n}", Body=b"%d" % n)
    pair.quiet()
    pair.b.node.kill()
    for n in range(8):
        pair.a.s3.delete_object(Bucket="shared", Key=f"k{n}")
    if versions:
        for v in pair.a.s3.list_object_versions(Bucket="shared", Prefix="k9")["Versions"]:
            pair.a.s3.delete_object(Bucket="shared", Key=v["Key"], VersionId=v["VersionId"])
    pair.a.restart()
    pair.b.node.start()
    pair.b.s3 = pair.b.node.client()
    pair.quiet()
    for side in pair.sides:
        admin(side.node, "POST", "/rules/shared/resync")
    time.sleep(1)
    pair.quiet()
    current = pair.same()["current"]
    assert set(current) == {f"k{n}" for n in range(8, 12)} - ({"k9"} if versions else set())


@pytest.mark.parametrize("a,b", [(5, 0), (0, 7), (-3, 9)])
def test_clocks_that_are_hours_apart(pair, a, b):
    pair = pair(a=at(f"{a:+}h"), b=at(f"{b:+}h"))
    for side, hours in zip(pair.sides, (a, b)):
        side.node.ahead = hours * 3600
        side.s3 = side.node.client()
    pair.both(versions="Enabled")
    for n in range(10):
        for side in pair.sides:
            side.s3.put_object(Bucket="shared", Key=f"{side.name}{n}", Body=b"%d" % n)
            side.s3.put_object(Bucket="shared", Key="turns", Body=f"{side.name}{n}".encode())
            pair.quiet()
    pair.same()
    assert pair.a.s3.get_object(Bucket="shared", Key="turns")["Body"].read() == b"b9", "who has seen the other's wins, whatever the clock says"
    pair.a.s3.delete_object(Bucket="shared", Key="turns")
    pair.quiet()
    pair.b.s3.put_object(Bucket="shared", Key="turns", Body=b"back")
    pair.quiet()
    assert pair.a.s3.get_object(Bucket="shared", Key="turns")["Body"].read() == b"back"
    pair.same()


def test_what_was_there_before_on_both_sides(pair):
    pair = pair()
    for side in pair.sides:
        side.s3.create_bucket(Bucket="shared")
        for n in range(20):
            side.s3.put_object(Bucket="shared", Key=f"{side.name}{n}", Body=b"%d" % n)
        side.s3.put_object(Bucket="shared", Key="same", Body=side.name.encode())
    pair.both(existing=True)
    wait_until("both to be filled", lambda: all(
        side.s3.list_objects_v2(Bucket="shared").get("KeyCount") == 41 for side in pair.sides))
    pair.quiet()
    pair.same()


class Client(threading.Thread):
    """Writes, overwrites and deletes at one side. Of keys that are its own it knows what must be there in the end."""

    def __init__(self, side, bucket, versions, seed, stop):
        super().__init__(daemon=True)
        self.side, self.bucket, self.versions, self.stop = side, bucket, versions, stop
        self.random, self.done, self.error = random.Random(seed), 0, None
        self.own = {}

    def run(self):
        try:
            while not self.stop.is_set():
                self.one()
        except Exception as error:
            self.error = error

    def one(self):
        mine = self.random.random() < 0.5
        key = f"{self.side.name}-{self.random.randrange(25)}" if mine else f"shared-{self.random.randrange(25)}"
        what, body = self.random.random(), f"{self.side.name} {self.done}".encode() * self.random.choice([1, 1, 1, 50, 20000])
        s3 = self.side.s3
        try:
            if what < 0.65:
                s3.put_object(Bucket=self.bucket, Key=key, Body=body)
                wanted = body
            elif what < 0.9 or not self.versions:
                s3.delete_object(Bucket=self.bucket, Key=key)
                wanted = None
            else:
                found = s3.list_object_versions(Bucket=self.bucket, Prefix=f"shared-{self.random.randrange(25)}", MaxKeys=5)
                for version in found.get("Versions", [])[1:2]:
                    s3.delete_object(Bucket=self.bucket, Key=version["Key"], VersionId=version["VersionId"])
                self.done += 1
                return
            if mine:
                self.own[key] = {wanted}
            self.done += 1
        except (ClientError, BotoCoreError) as error:
            answer = getattr(error, "response", None) or {}
            status_ = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            assert status_ == 0 or status_ >= 500 or status_ == 409, error
            if mine and (what < 0.9 or not self.versions):
                # Whether it was carried out is not known, now or by a retry after the next one.
                self.own[key] = self.own.get(key, {None}) | {body if what < 0.65 else None}
            time.sleep(0.05)


@pytest.mark.timeout(max(300, SECONDS * 10))
@VERSIONS
def test_random_changes_with_kills_and_cuts(pair, versions):
    if versions == "Suspended" and "PAIR_SECONDS" not in os.environ:
        pytest.skip("only in longer runs")
    seed = int(os.environ.get("PAIR_SEED", random.randrange(1 << 32)))
    print(f"PAIR_SEED={seed}")
    choose = random.Random(seed)
    pair = pair().both(versions=versions)
    stop = threading.Event()
    clients = [Client(side, "shared", versions == "Enabled", seed + n, stop) for n, side in enumerate(pair.sides)]
    for client in clients:
        client.start()
    end = time.monotonic() + SECONDS
    while time.monotonic() < end and sum(c.done for c in clients) < OPERATIONS:
        time.sleep(choose.uniform(0.1, 0.8))
        side, what = choose.choice(pair.sides), choose.random()
        if what < 0.2:
            side.restart()
        elif what < 0.4:
            side.link.down = True
            side.link.cut()
        elif what < 0.6:
            side.link.down = False
        elif what < 0.75:
            side.link.cut()
        elif what < 0.9:
            side.link.chance = choose.choice([0, 0.1, 0.5])
        else:
            side.link.delay = choose.choice([0, 0, 0.01])
    stop.set()
    for client in clients:
        client.join(60)
        assert client.error is None, client.error
    for side in pair.sides:
        side.link.down, side.link.chance, side.link.delay = False, 0, 0
    pair.quiet(120)
    found = pair.same()
    print(sum(c.done for c in clients), "changes,", len(found["current"]), "objects,", len(pair.conflicts(pair.a)), "conflicts")
    for client in clients:
        for key, wanted in client.own.items():
            body = None
            if key in found["current"]:
                body = pair.b.s3.get_object(Bucket="shared", Key=key)["Body"].read()
            assert body in wanted, (key, body and body[:40], [w and w[:40] for w in wanted])
    before = changes(pair.a.link), changes(pair.b.link)
    time.sleep(1.5)
    assert (changes(pair.a.link), changes(pair.b.link)) == before, "it is quiet"
    for side in pair.sides:
        side.node.stop()


def test_three_nodes_in_a_ring(node_factory):
    """A change goes round a ring once, and ends where it began."""
    nodes = [node_factory() for _ in range(3)]
    links = [Link(node) for node in nodes]
    clients = [node.client() for node in nodes]
    try:
        keys = []
        for n, node in enumerate(nodes):
            clients[n].create_bucket(Bucket="ring")
            clients[n].put_bucket_versioning(Bucket="ring", VersioningConfiguration={"Status": "Enabled"})
            keys.append(add_target_user(node, f"peer{n}", "ring"))
        for n, node in enumerate(nodes):
            there = (n + 1) % 3
            replicate(node, "ring", connect(node, links[there].endpoint, keys[there]), "ring")
        for n, s3 in enumerate(clients):
            for m in range(10):
                s3.put_object(Bucket="ring", Key=f"{n}-{m}", Body=b"x")
                s3.put_object(Bucket="ring", Key=f"all-{m}", Body=f"{n}".encode())

        def settled():
            return all(status(node, "ring")["pending"] == 0 for node in nodes)

        for _ in range(3):
            wait_until("an empty ring", settled, 60)
        found = [state(s3, "ring") for s3 in clients]
        assert found[0] == found[1] == found[2], differences(found[0], found[1]) + differences(found[1], found[2])
        before = [changes(link) for link in links]
        time.sleep(1.5)
        assert [changes(link) for link in links] == before
    finally:
        for link in links:
            link.close()


def test_a_node_that_replicates_to_itself(node_factory):
    """From bucket to bucket, and back again."""
    node = node_factory()
    s3, link = node.client(), Link(node)
    try:
        for bucket in ("left", "right"):
            s3.create_bucket(Bucket=bucket)
        key = add_target_user(node, "peer", "*")
        connection = connect(node, link.endpoint, key)
        replicate(node, "left", connection, "right")
        replicate(node, "right", connection, "left")
        for n in range(10):
            s3.put_object(Bucket="left", Key=f"l{n}", Body=b"l")
            s3.put_object(Bucket="right", Key=f"r{n}", Body=b"r")
        s3.delete_object(Bucket="left", Key="l0")
        for _ in range(2):
            for bucket in ("left", "right"):
                wait_empty(node, bucket)
        assert state(s3, "left")["current"] == state(s3, "right")["current"] and len(state(s3, "left")["current"]) == 19
        before = changes(link)
        time.sleep(1)
        assert changes(link) == before
    finally:
        link.close()
