"""Metrics, their history, the last requests and the live trace."""

import json
import time
import urllib.parse

import pytest

from test_notifications import Stream as Events
from util import data, refused, send, signed


@pytest.fixture
def node(node_factory):
    return node_factory(METRICS_TOKEN="a-token-for-scrapers", REQUESTS_KEPT=100)


def metrics(node):
    """All samples: name with labels → value."""
    status, headers, text = send(node.endpoint, "GET", "/_myfsio/metrics", headers={"Authorization": "Bearer a-token-for-scrapers"})
    assert status == 200 and headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = [line for line in text.decode().splitlines() if line and not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def found(node, query=""):
    status, _, body = signed(node, "GET", "/_myfsio/requests" + query)
    assert status == 200, body
    return json.loads(body)["requests"]


def wait_for(check, seconds=5):
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_requests_are_counted(node):
    s3 = node.client()
    s3.create_bucket(Bucket="counted")
    s3.put_object(Bucket="counted", Key="k", Body=data(100_000))
    s3.get_object(Bucket="counted", Key="k")["Body"].read()
    with refused(404, "NoSuchKey"):
        s3.get_object(Bucket="counted", Key="absent")
    wait_for(lambda: metrics(node).get('myfsio_requests_total{operation="GetObject",status="404"}') == 1)
    now = metrics(node)
    assert now['myfsio_requests_total{operation="PutObject",status="200"}'] == 1
    assert now['myfsio_requests_total{operation="GetObject",status="200"}'] == 1
    assert now['myfsio_request_errors_total{code="NoSuchKey"}'] == 1
    assert now['myfsio_request_duration_seconds_count{operation="GetObject"}'] == 2
    assert now["myfsio_request_body_bytes_total"] >= 100_000 and now["myfsio_response_body_bytes_total"] >= 100_000
    assert now['myfsio_bucket_objects{bucket="counted"}'] == 1 and now['myfsio_bucket_bytes{bucket="counted"}'] == 100_000
    assert now["myfsio_commit_batches_total"] >= 2 == now["myfsio_commit_transactions_total"] or now["myfsio_commit_transactions_total"] >= 2
    assert now['myfsio_commit_duration_seconds_bucket{le="+Inf"}'] == now["myfsio_commit_duration_seconds_count"] > 0
    assert now["process_resident_memory_bytes"] > 1 << 20 and now["myfsio_healthy"] == 1
    assert 0 < now['myfsio_device_bytes{kind="free"}'] < now['myfsio_device_bytes{kind="total"}']
    s3.delete_object(Bucket="counted", Key="k")
    s3.delete_bucket(Bucket="counted")
    assert 'myfsio_bucket_objects{bucket="counted"}' not in metrics(node)


def test_quotas_are_told(node):
    s3 = node.client()
    s3.create_bucket(Bucket="limited")
    assert signed(node, "PUT", "/limited?quota", body=json.dumps({"max_bytes": 1000}).encode())[0] in (200, 204)
    s3.put_object(Bucket="limited", Key="k", Body=data(850))
    now = metrics(node)
    of = lambda what: now['myfsio_quota_%s{name="limited",resource="bytes",scope="bucket"}' % what]
    assert (of("used"), of("limit"), of("warning_percent")) == (850, 1000, 80)


def test_lifecycle_the_cache_and_actors_are_told(node_factory):
    node = node_factory(METRICS_TOKEN="a-token-for-scrapers", LIFECYCLE_DAY_SECONDS=1)
    s3 = node.client()
    s3.create_bucket(Bucket="short-lived")
    s3.put_object(Bucket="short-lived", Key="k", Body=data(1000))
    rule = {"ID": "r", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 1}}
    s3.put_bucket_lifecycle_configuration(Bucket="short-lived", LifecycleConfiguration={"Rules": [rule]})
    wait_for(lambda: metrics(node)['myfsio_lifecycle_removed_total{kind="objects"}'] == 1, 30)
    now = metrics(node)
    assert now["myfsio_lifecycle_removed_bytes_total"] == 1000 and now["myfsio_lifecycle_failed_total"] == 0
    assert now['myfsio_lifecycle_removed_total{kind="uploads"}'] == 0 and now["myfsio_lifecycle_running"] in (0, 1)
    assert now['myfsio_index_cache_reads_total{outcome="hit"}'] > 0 and now["myfsio_index_cache_bytes"] > 0
    actors = [name for name in now if name.startswith("myfsio_actor_calls")]
    assert len(actors) == 10 and 'myfsio_actor_calls{actor="storage"}' in actors


def test_who_may_read_them(node):
    node.add_users({"access_key": "user", "secret_key": "secret", "display_name": "user",
                    "policies": [{"bucket": "*", "actions": ["list", "read", "write"]}]})
    for target in ("/_myfsio/metrics", "/_myfsio/metrics/history", "/_myfsio/requests", "/_myfsio/requests/buckets",
                   "/_myfsio/trace"):
        assert send(node.endpoint, "GET", target)[0] == 403
        assert signed(node, "GET", target, access="user", secret="secret")[0] == 403
    assert signed(node, "GET", "/_myfsio/metrics")[0] == 200
    for header in ("Bearer a-token-for-scraperS", "Bearer", "Basic a-token-for-scrapers"):
        assert send(node.endpoint, "GET", "/_myfsio/metrics", headers={"Authorization": header})[0] in (400, 403)
    # The token reads metrics and nothing else.
    token = {"Authorization": "Bearer a-token-for-scrapers"}
    assert send(node.endpoint, "GET", "/_myfsio/requests", headers=token)[0] in (400, 403)
    assert send(node.endpoint, "GET", "/", headers=token)[0] in (400, 403)


def test_requests_are_found_by_id_and_more(node):
    s3 = node.client()
    s3.create_bucket(Bucket="looked-up")
    put = s3.put_object(Bucket="looked-up", Key="a/b", Body=data(5000))["ResponseMetadata"]
    with refused(404) as answer:
        s3.get_object(Bucket="looked-up", Key="absent")
    for metadata, operation, status, code in [
        (put, "PutObject", 200, None),
        (answer["ResponseMetadata"], "GetObject", 404, "NoSuchKey"),
    ]:
        wait_for(lambda: found(node, "?request_id=" + metadata["RequestId"]))
        (record,) = found(node, "?request_id=" + metadata["RequestId"])
        assert (record["operation"], record["status"], record["code"]) == (operation, status, code)
        assert record["bucket"] == "looked-up" and record["access_key"] == "localadmin" and record["address"] == "127.0.0.1"
        assert abs(sum(record["phases"].values()) - record["milliseconds"]) < 0.01 < record["milliseconds"]
    assert [r["key"] for r in found(node, "?bucket=looked-up&prefix=a%2F")] == ["a/b"]
    assert {r["status"] for r in found(node, "?status=4xx")} == {404}
    assert found(node, "?user=nobody") == [] and len(found(node, "?limit=1")) == 1
    assert found(node, "?operation=PutObject")[0]["bytes_received"] >= 5000
    for wrong in ("limit=0", "limit=5000", "status=99", "min_ms=x", "request_id=1"):
        assert signed(node, "GET", "/_myfsio/requests?" + wrong)[0] == 400, wrong


def test_nothing_secret_is_kept(node):
    s3 = node.client()
    s3.create_bucket(Bucket="secrets")
    s3.put_object(Bucket="secrets", Key="k", Body=b"x")
    url = s3.generate_presigned_url("get_object", {"Bucket": "secrets", "Key": "k"})
    parts = urllib.parse.urlsplit(url)
    assert send(node.endpoint, "GET", f"{parts.path}?{parts.query}")[0] == 200
    send(node.endpoint, "GET", "/secrets/k", headers={"X-Access-Key": "localadmin", "X-Secret-Key": "localadmin-wrong"})
    signature = urllib.parse.parse_qs(parts.query)["X-Amz-Signature"][0]
    text = json.dumps(found(node, "?limit=1000"))
    assert "secrets" in text
    assert signature not in text and "localadmin-wrong" not in text and "Credential" not in text


def test_only_so_many_are_kept(node):
    s3 = node.client()
    for _ in range(130):
        s3.list_buckets()
    assert len(found(node, "?limit=1000")) == 100


class Trace(Events):
    PATH = "/_myfsio/trace"


def test_the_trace_tells_of_requests_as_they_end(node):
    s3 = node.client()
    s3.create_bucket(Bucket="traced")
    everything, some = Trace(node), Trace(node, "?bucket=traced&operation=PutObject&prefix=in%2F")
    s3.put_object(Bucket="traced", Key="in/k", Body=b"x")
    s3.put_object(Bucket="traced", Key="out", Body=b"x")
    s3.put_object(Bucket="traced", Key="in/l", Body=b"x")
    events = [some.event(), some.event()]
    assert [(kind, record["key"], record["status"]) for kind, record in events] == [("request", "in/k", 200), ("request", "in/l", 200)]
    keys = [everything.event()[1]["key"] for _ in range(3)]
    assert keys == ["in/k", "out", "in/l"]
    everything.close()
    some.close()
    assert signed(node, "GET", "/_myfsio/trace?status=7")[0] == 400


def test_history_goes_on_after_a_restart(node):
    s3 = node.client()
    s3.create_bucket(Bucket="remembered")

    def points(range_="1h"):
        status, _, body = signed(node, "GET", "/_myfsio/metrics/history?range=" + range_)
        assert status == 200
        return json.loads(body)["points"]

    wait_for(lambda: points(), seconds=25)
    first = points()
    assert first[0]["requests"] > 0 and first[0]["memory"] > 0 and first[0]["device_free"] > 0
    assert 0 < first[0]["p50_ms"] <= first[0]["p95_ms"]
    node.stop()
    node.start()
    assert points()[: len(first)] == first
    assert points("24h") == [] == points("30d")
    assert signed(node, "GET", "/_myfsio/metrics/history?range=2h")[0] == 400
    # A broken file costs the past, and nothing else.
    node.stop()
    (node.root / ".myfsio.sys" / "metrics.json").write_text("{")
    node.start()
    assert points() == []
