"""Replication where something changes, ends or is in the way just when it cannot be sent."""

import datetime
import http.client
import http.server
import threading
import time

import pytest

from replication import add_target_user, admin, connect, replicate, status, wait_until
from test_replication import Way, head, way  # noqa: F401: a fixture
from test_replication_pair import pair  # noqa: F401: a fixture
from util import MIB, complete, data, upload_parts

pytestmark = pytest.mark.local
TAGS = {"TagSet": [{"Key": "t", "Value": "new"}]}


def soon(seconds):
    return datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0) + datetime.timedelta(seconds=seconds)


def test_a_retention_that_is_over_keeps_nothing_back(way):
    way = way().buckets(lock=True)
    way.a.put_object(Bucket="orig", Key="there", Body=b"1", ObjectLockMode="GOVERNANCE", ObjectLockRetainUntilDate=soon(6))
    way.quiet()
    way.link.down = True
    way.link.cut()
    until = soon(6)
    locked = {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": until}
    way.a.put_object(Bucket="orig", Key="late", Body=b"1", **locked)
    upload, done = upload_parts(way.a, "orig", "late parts", {1: b"1"}, **locked)
    complete(way.a, "orig", "late parts", upload, done)
    ended = lambda: datetime.datetime.now(datetime.timezone.utc) > max(until, head(way.a, "orig", "there")["ObjectLockRetainUntilDate"])
    wait_until("both to be over", ended)
    way.a.put_object_legal_hold(Bucket="orig", Key="there", LegalHold={"Status": "ON"})
    way.link.down = False
    way.quiet()
    assert way.status()["parked"] == 0, admin(way.source, "GET", "/rules/orig/failures")
    for key in ("there", "late", "late parts"):
        assert head(way.a, "orig", key) == head(way.b, "copy", key)
    assert head(way.b, "copy", "there")["ObjectLockLegalHoldStatus"] == "ON"


def test_what_changes_beside_an_upload_that_broke_off_arrives(way):
    way = way().buckets(lock=True)
    way.link.delay = 0.004
    upload, done = upload_parts(way.a, "orig", "big", {n: data(5 * MIB, n) for n in range(1, 9)}, Tagging="t=old")
    complete(way.a, "orig", "big", upload, done)
    wait_until("its upload", lambda: way.b.list_multipart_uploads(Bucket="copy").get("Uploads"))
    way.link.down = True
    way.link.cut()
    assert way.status()["pending"] == 1, "it was cut off in the middle"
    way.a.put_object_tagging(Bucket="orig", Key="big", Tagging=TAGS)
    way.a.put_object_legal_hold(Bucket="orig", Key="big", LegalHold={"Status": "ON"})
    way.link.down, way.link.delay = False, 0
    way.quiet(60)
    assert way.b.get_object_tagging(Bucket="copy", Key="big")["TagSet"] == TAGS["TagSet"]
    assert head(way.a, "orig", "big") == head(way.b, "copy", "big")


def test_tags_of_what_the_other_made_outlive_a_full_queue(pair):
    pair = pair(a={"REPLICATION_BACKLOG_MAX": "20"}).both(versions="Enabled")
    pair.b.s3.put_object(Bucket="shared", Key="made by b", Body=b"1")
    pair.quiet()
    pair.link(down=True)
    pair.a.s3.put_object_tagging(Bucket="shared", Key="made by b", Tagging=TAGS)
    for n in range(30):
        pair.a.s3.put_object(Bucket="shared", Key=f"k{n}", Body=b"1")
    wait_until("the rule to fail", lambda: status(pair.a.node, "shared")["state"] == "FAILED")
    pair.link(down=False)
    wait_until("all of it", lambda: pair.b.s3.list_objects_v2(Bucket="shared")["KeyCount"] == 31)
    wait_until("the end", lambda: status(pair.a.node, "shared")["state"] == "ACTIVE")
    pair.quiet()
    pair.same()
    assert pair.b.s3.get_object_tagging(Bucket="shared", Key="made by b")["TagSet"] == TAGS["TagSet"]


def test_a_target_that_refuses_more_than_a_queue_holds_is_left_alone(way):
    way = way(source={"REPLICATION_BACKLOG_MAX": "50"}, actions=("read", "list"))
    way.a.create_bucket(Bucket="orig")
    way.b.create_bucket(Bucket="copy")
    for n in range(120):
        way.a.put_object(Bucket="orig", Key=f"k{n:03}", Body=b"1")
    replicate(way.source, "orig", way.connection, "copy", mode="all")
    changes = lambda: sum(way.link.methods.get(method, 0) for method in ("PUT", "POST", "DELETE"))
    wait_until("refusals", lambda: way.status()["parked"] >= 25 and way.status()["pending"] == 0)
    time.sleep(1.5)
    before = changes()
    time.sleep(3)
    assert changes() == before, "it asks again and again"
    add_target_user(way.target, "replicator", "copy")
    admin(way.source, "POST", "/rules/orig/retry", {})
    wait_until("all of it", lambda: way.b.list_objects_v2(Bucket="copy").get("KeyCount") == 120)


def test_only_rules_that_say_so_are_about_what_was_there(way):
    way = way().buckets(versions=True)
    rule = lambda name, number, existing: {
        "ID": name, "Priority": number, "Status": "Enabled", "Filter": {"Prefix": f"{name}/"}, "DeleteMarkerReplication": {"Status": "Enabled"},
        "ExistingObjectReplication": {"Status": "Enabled" if existing else "Disabled"}, "Destination": {"Bucket": "arn:aws:s3:::copy"}}
    admin(way.source, "DELETE", "/rules/orig")
    for name in ("new", "all"):
        way.a.put_object(Bucket="orig", Key=f"{name}/1", Body=b"1")
    way.a.put_bucket_replication(Bucket="orig", ReplicationConfiguration={
        "Role": "arn:aws:iam::123456789012:role/any", "Rules": [rule("new", 1, False), rule("all", 2, True)]})
    way.a.put_object(Bucket="orig", Key="new/2", Body=b"1")
    wait_until("the back-fill", lambda: (way.status()["back_fill"] or {}).get("done"))
    way.quiet()
    assert [o["Key"] for o in way.b.list_objects_v2(Bucket="copy")["Contents"]] == ["all/1", "new/2"]


def test_another_node_in_the_place_of_the_target_gets_all_of_it(way, node_factory):
    way = way().buckets()
    for n in range(3):
        way.a.put_object(Bucket="orig", Key=f"k{n}", Body=b"1")
    way.quiet()
    other = node_factory()
    other.client().create_bucket(Bucket="copy")
    add_target_user(other, "replicator", "copy")
    way.link.node = other
    way.link.cut()
    # So that it is asked at once who is there.
    for act in ("pause", "resume"):
        admin(way.source, "POST", f"/rules/orig/{act}")
    wait_until("all of it", lambda: other.client().list_objects_v2(Bucket="copy").get("KeyCount") == 3)


class Fence(http.server.BaseHTTPRequestHandler):
    """What stands in front of a node, and keeps the node's own routes from everybody."""

    protocol_version = "HTTP/1.1"

    def answer(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        if self.path.startswith("/_myfsio"):
            return self.tell(404, [], b"")
        if self.command != "GET":
            self.server.changes += 1
        inner = http.client.HTTPConnection("127.0.0.1", self.server.node.port, timeout=30)
        inner.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            inner.putheader(name, value)
        inner.endheaders(body or None)
        reply = inner.getresponse()
        told = reply.read()
        inner.close()
        # Its own name, as some of them do.
        own = ("content-length", "transfer-encoding", "connection", "date", "server")
        self.tell(reply.status, [(name, value) for name, value in reply.getheaders() if name.lower() not in own], told)

    do_GET = do_PUT = do_POST = do_DELETE = answer

    def tell(self, status_, headers, body):
        self.send_response(status_)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.mark.parametrize("actions", [("write", "read", "list", "delete", "replication"), ("write",)])
@pytest.mark.parametrize("versions", [None, "Enabled"])
def test_nodes_whose_own_routes_are_fenced_off_make_no_loop(node_factory, versions, actions):
    nodes = [node_factory(), node_factory()]
    fences = []
    try:
        for node in nodes:
            fence = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Fence)
            fence.node, fence.changes, fence.daemon_threads = node, 0, True
            threading.Thread(target=fence.serve_forever, daemon=True).start()
            fences.append(fence)
        clients = [node.client() for node in nodes]
        for s3 in clients:
            s3.create_bucket(Bucket="shared")
            if versions:
                s3.put_bucket_versioning(Bucket="shared", VersioningConfiguration={"Status": versions})
        keys = [add_target_user(node, f"peer{n}", "shared", actions) for n, node in enumerate(nodes)]
        made = []
        for n, node in enumerate(nodes):
            there = 1 - n
            made.append(connect(node, f"http://127.0.0.1:{fences[there].server_port}", keys[there]))
            replicate(node, "shared", made[n], "shared")
        for n, s3 in enumerate(clients):
            s3.put_object(Bucket="shared", Key=f"k{n}", Body=b"1")
        wait_until("both to arrive", lambda: all(s3.list_objects_v2(Bucket="shared").get("KeyCount") == 2 for s3 in clients))
        wait_until("empty queues", lambda: all(status(node, "shared")["pending"] == 0 for node in nodes))
        before = [fence.changes for fence in fences]
        time.sleep(1.5)
        assert [fence.changes for fence in fences] == before and max(before) <= 4, "nobody writes any more"
        told = admin(nodes[0], "POST", f"/connections/{made[0]}/test", {"bucket": "shared"})
        assert told["state"] == "limited" and any("/_myfsio/replication" in problem for problem in told["problems"]), told
    finally:
        for fence in fences:
            fence.shutdown()
            fence.server_close()
