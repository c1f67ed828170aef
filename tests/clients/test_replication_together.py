"""Small objects that go together from node to node: they arrive as if each had come alone, and what is wrong with one is its own."""

import json

import pytest

from replication import add_target_user, admin, wait_until
from test_replication import Way, head, replication_status, way  # noqa: F401: a fixture
from util import code_of, data, send, signed

pytestmark = pytest.mark.local
ROUTE = "/_myfsio/replication/objects?bucket=copy"


def test_a_backlog_of_small_objects_goes_together(way):
    way = way().buckets(versions=True)
    admin(way.source, "POST", "/rules/orig/pause")
    for n in range(150):
        way.a.put_object(Bucket="orig", Key=f"d/{n % 120:03} \u00e4", Body=data(n * 31, n), ContentType="text/x", CacheControl="no-cache",
                         Metadata={"n": str(n)}, Tagging="a=b&c=%20d", **({"ChecksumAlgorithm": "SHA256"} if n % 2 else {}))
    way.a.put_object(Bucket="orig", Key="refused/x", Body=b"1")
    way.a.put_object(Bucket="orig", Key="large", Body=data(300_000))
    way.a.delete_object(Bucket="orig", Key="d/003 \u00e4")
    deny = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject",
                                                    "Resource": "arn:aws:s3:::copy/refused/*"}]}
    way.b.put_bucket_policy(Bucket="copy", Policy=json.dumps(deny))
    before = dict(way.link.methods)
    admin(way.source, "POST", "/rules/orig/resume")
    way.quiet()
    assert way.status()["parked"] == 1
    failure = admin(way.source, "GET", "/rules/orig/failures")["failures"][0]
    assert failure["key"] == "refused/x" and "AccessDenied" in failure["reason"], failure
    count = lambda method: way.link.methods.get(method, 0) - before.get(method, 0)
    assert count("POST") >= 8 and count("PUT") < 40, way.link.methods
    listed = [{(v["Key"], v["VersionId"], v["ETag"], v["Size"], v["LastModified"], v["IsLatest"])
               for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket) for v in page["Versions"]}
              for s3, bucket in ((way.a, "orig"), (way.b, "copy"))]
    assert {v for v in listed[0] if v[0] != "refused/x"} == listed[1] and len(listed[1]) == 151
    for n in (30, 31, 119):
        key = f"d/{n:03} \u00e4"
        assert head(way.a, "orig", key) == head(way.b, "copy", key)
        assert way.a.get_object(Bucket="orig", Key=key)["Body"].read() == way.b.get_object(Bucket="copy", Key=key)["Body"].read()
        assert way.b.get_object_tagging(Bucket="copy", Key=key)["TagSet"] == [{"Key": "a", "Value": "b"}, {"Key": "c", "Value": " d"}]
        sums = [s3.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED").get("ChecksumSHA256")
                for s3, bucket in ((way.a, "orig"), (way.b, "copy"))]
        assert sums[0] == sums[1] and bool(sums[0]) == bool(n % 2)
    assert (replication_status(way.a, "orig", "d/031 \u00e4"), replication_status(way.b, "copy", "d/031 \u00e4")) == ("COMPLETED", "REPLICA")


def bundle(*objects):
    return b"".join(json.dumps({"key": key, "size": len(body), "headers": headers}).encode() + b"\n" + body for key, body, headers in objects)


def test_the_route_asks_for_each_object_what_a_request_of_its_own_would(way):
    way = way()
    way.b.create_bucket(Bucket="copy")
    plain = add_target_user(way.target, "writer", "copy", ("write",))
    reader = add_target_user(way.target, "reader", "copy", ("read", "list"))
    origin = [["x-myfsio-origin", "00000000000000ab"], ["x-myfsio-clock", "1700000000000000000"]]
    chosen = [*origin, ["x-myfsio-last-modified", "1700000000000000000"]]
    body = bundle(("a", b"1", []), ("told", b"2", origin), ("chosen", b"3", chosen), ("summed", b"4", [["x-amz-checksum-crc32", "AAAAAA=="]]),
                  ("", b"5", []), ("locked", b"6", [["x-amz-object-lock-legal-hold", "ON"]]))
    ask = lambda who, body: signed(way.target, "POST", ROUTE, body, access=who[0], secret=who[1])
    got = ask(plain, body)
    assert got[0] == 200, got
    told = [(o["status"], o["code"], o["applied"]) for o in json.loads(got[2])]
    assert told[:4] == [(200, None, None), (200, None, "applied"), (403, "AccessDenied", None), (400, "BadDigest", None)], told
    assert [o[0] for o in told[4:]] in ([400, 400], [400, 403]), told
    assert {o["Key"] for o in way.b.list_objects_v2(Bucket="copy")["Contents"]} == {"a", "told"}
    assert {o["code"] for o in json.loads(ask(reader, body)[2])} >= {"AccessDenied"}
    assert way.b.list_objects_v2(Bucket="copy")["KeyCount"] == 2
    assert [o["applied"] for o in json.loads(ask(way.key, bundle(("m", b"3", chosen), ("m2", b"", chosen)))[2])] == ["applied", "applied"]
    assert way.b.head_object(Bucket="copy", Key="m")["LastModified"].timestamp() == 1_700_000_000
    for wrong in (b"x", bundle(("a", b"1", [["x-access-key", "localadmin"]])), bundle(("a", b"1", [["authorization", "x"]])), bundle(("a", b"1", [["x-myfsio-tls", "1.3 X"]])), body[:-1] + b"",
                  bundle(*[("k", b"", [])] * 65)):
        got = ask(plain, wrong)
        assert got[0] == 400 and json.loads(got[2])["error"]["code"] == "InvalidArgument", got
    assert send(way.target.endpoint, "POST", ROUTE, bundle(("b", b"1", [])))[0] == 403
    assert way.b.list_objects_v2(Bucket="copy")["KeyCount"] == 4
    wait_until("it to be logged", lambda: any(r["operation"] == "PutObject" for r in json.loads(
        signed(way.target, "GET", "/_myfsio/requests?limit=50")[2])["requests"]))
