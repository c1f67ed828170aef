"""Another S3 implementation as the target of replication: it knows no version ids, times or deletes of others, and is asked as any client
would ask it.

OTHER_OPERATIONS makes the random test longer; it prints its seed, which OTHER_SEED repeats.
"""

import os
import random
import threading
import time

import pytest

from replication import Link, admin, connect, replicate, status, wait_empty, wait_until
from test_replication_pair import Client, Side
from util import MIB, complete, data, md5, upload_parts

pytestmark = pytest.mark.local
OPERATIONS = int(os.environ.get("OTHER_OPERATIONS", "300"))


@pytest.mark.parametrize("versions", [False, True])
def test_what_arrives(node_factory, service, versions):
    there = service.s3
    source = node_factory()
    here = source.client()
    here.create_bucket(Bucket="orig")
    there.create_bucket(Bucket="copy")
    if versions:
        here.put_bucket_versioning(Bucket="orig", VersioningConfiguration={"Status": "Enabled"})
    connection = connect(source, service.endpoint, ("testing", "testing"))
    replicate(source, "orig", connection, "copy")
    for n in range(40):
        here.put_object(Bucket="orig", Key=f"d/{n % 25:02}", Body=b"%d" % n, ContentType="text/x", Metadata={"n": str(n)}, Tagging="a=b")
    parts = {1: data(5 * MIB), 2: b"end"}
    upload, done = upload_parts(here, "orig", "big", parts)
    etag = complete(here, "orig", "big", upload, done)["ETag"]
    here.delete_object(Bucket="orig", Key="d/00")
    wait_empty(source, "orig", 60)
    assert status(source, "orig")["parked"] == 0, admin(source, "GET", "/rules/orig/failures")
    keys = {o["Key"]: o["ETag"] for o in there.list_objects_v2(Bucket="copy")["Contents"]}
    assert keys == {o["Key"]: o["ETag"] for o in here.list_objects_v2(Bucket="orig")["Contents"]} and keys["big"] == etag
    found = there.get_object(Bucket="copy", Key="d/03")
    assert (found["Body"].read(), found["ContentType"], found["Metadata"]) == (b"28", "text/x", {"n": "28"})
    assert there.get_object_tagging(Bucket="copy", Key="d/03")["TagSet"] == [{"Key": "a", "Value": "b"}]
    here.put_object_tagging(Bucket="orig", Key="d/03", Tagging={"TagSet": [{"Key": "c", "Value": "d"}]})
    wait_empty(source, "orig", 60)
    assert there.get_object_tagging(Bucket="copy", Key="d/03")["TagSet"] == [{"Key": "c", "Value": "d"}]
    assert md5(b"28") in keys["d/03"]
    here.delete_object_tagging(Bucket="orig", Key="d/03")
    wait_empty(source, "orig", 60)
    assert status(source, "orig")["parked"] == 0, admin(source, "GET", "/rules/orig/failures")
    assert there.get_object_tagging(Bucket="copy", Key="d/03")["TagSet"] == []


def test_a_large_object_of_one_request_goes_in_parts(node_factory, service):
    there, source = service.s3, node_factory()
    here = source.client()
    here.create_bucket(Bucket="orig")
    there.create_bucket(Bucket="copy")
    link = Link(service)
    try:
        replicate(source, "orig", connect(source, link.endpoint, ("testing", "testing")), "copy")
        body = data(65 * MIB)
        here.put_object(Bucket="orig", Key="big", Body=body, ContentType="text/x", Tagging="a=b")
        wait_until("some of it is there", lambda: link.requests > 3)
        link.cut()
        wait_empty(source, "orig", 120)
        assert status(source, "orig")["parked"] == 0, admin(source, "GET", "/rules/orig/failures")
        found = there.get_object(Bucket="copy", Key="big")
        assert (found["ETag"].strip('"')[-2:], found["ContentType"]) == ("-3", "text/x")
        assert md5(found["Body"].read()) == md5(body)
        admin(source, "POST", "/rules/orig/compare")
        report = wait_until("the report", lambda: (r := admin(source, "GET", "/rules/orig/compare"))["state"] == "done" and r)
        assert (report["same"], report["missing"], report["different"]) == (1, 0, 0), report
    finally:
        link.close()


def listed(s3, bucket):
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return {o["Key"]: (o["ETag"], o["Size"]) for page in pages for o in page.get("Contents", [])}


def trouble(choose, side, link):
    """Something that goes wrong, or is well again."""
    what = choose.random()
    if what < 0.15:
        side.restart()
    elif what < 0.3:
        link.down = True
        link.cut()
    elif what < 0.55:
        link.down = False
    elif what < 0.7:
        link.cut()
    elif what < 0.9:
        link.chance = choose.choice([0, 0, 0.05, 0.3])
    else:
        link.delay = choose.choice([0, 0, 0.01])


@pytest.mark.timeout(max(300, OPERATIONS))
@pytest.mark.parametrize("versions", [None, "Enabled"])
def test_random_changes_with_kills_and_cuts(node_factory, service, versions):
    seed = int(os.environ.get("OTHER_SEED", random.randrange(1 << 32)))
    print(f"OTHER_SEED={seed}")
    choose, side, link = random.Random(seed), Side(node_factory(), "a"), Link(service)
    try:
        side.s3.create_bucket(Bucket="orig")
        service.s3.create_bucket(Bucket="copy")
        if versions:
            side.s3.put_bucket_versioning(Bucket="orig", VersioningConfiguration={"Status": versions})
        replicate(side.node, "orig", connect(side.node, link.endpoint, ("testing", "testing")), "copy", delete_versions=True)
        stop = threading.Event()
        client = Client(side, "orig", versions == "Enabled", seed, stop)
        client.start()
        while client.done < OPERATIONS and client.error is None:
            time.sleep(choose.uniform(0.05, 0.4))
            trouble(choose, side, link)
        stop.set()
        client.join(60)
        assert client.error is None, client.error
        link.down, link.chance, link.delay = False, 0, 0
        wait_empty(side.node, "orig", 180)
        now = status(side.node, "orig")
        assert (now["parked"], now["state"]) == (0, "ACTIVE"), (now, admin(side.node, "GET", "/rules/orig/failures"))
        here, there = listed(side.s3, "orig"), listed(service.s3, "copy")
        assert here == there, sorted(here.items() ^ there.items())[:20]
        print(client.done, "changes,", link.requests, "requests,", len(here), "objects")
        read = lambda s3, bucket, key: s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        for key in here:
            assert read(side.s3, "orig", key) == read(service.s3, "copy", key), key
        for key, wanted in client.own.items():
            assert (read(service.s3, "copy", key) if key in there else None) in wanted, key
        before = link.requests
        time.sleep(1.5)
        assert link.requests == before, "it is quiet"
        admin(side.node, "POST", "/rules/orig/compare")
        report = wait_until("the report", lambda: (r := admin(side.node, "GET", "/rules/orig/compare"))["state"] == "done" and r)
        assert (report["missing"], report["different"], report["extra"]) == (0, 0, 0), report
    finally:
        link.close()
        side.link.close()
