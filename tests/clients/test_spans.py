"""Requests as OpenTelemetry traces (docs/metrics.md), told to a collector that keeps what it got."""

import http.client
import http.server
import json
import threading
import urllib.parse

import pytest

from test_metrics import found, wait_for
from util import data, refused, send, signed

pytestmark = pytest.mark.local
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
# Nobody listens there.
NOWHERE = "http://127.0.0.1:1"


class Collector(http.server.ThreadingHTTPServer):
    """Takes what is sent to /v1/traces, unless it was told to answer otherwise first."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answering)
        self.documents, self.headers, self.answers = [], [], []
        self.endpoint = f"http://127.0.0.1:{self.server_port}"

    def spans(self):
        documents = list(self.documents)
        return [span for document in documents for of in document["resourceSpans"] for scope in of["scopeSpans"] for span in scope["spans"]]

    def of(self, request_id):
        """The span of a request and those within it; waits for them."""
        wait_for(lambda: any(span["spanId"] == request_id.lower() for span in self.spans()), seconds=30)
        (whole,) = [span for span in self.spans() if span["spanId"] == request_id.lower()]
        return whole, [span for span in self.spans() if span.get("parentSpanId") == whole["spanId"]]


class Answering(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status = self.server.answers.pop(0) if self.server.answers else 200
        self.server.headers.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
        if status == 200:
            self.server.documents.append(json.loads(body))
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_):
        pass


@pytest.fixture
def collector():
    server = Collector()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def attributes(span):
    return {it["key"]: it["value"].get("stringValue", it["value"].get("intValue")) for it in span["attributes"]}


def counted(node, outcome):
    text = signed(node, "GET", "/_myfsio/metrics")[2].decode()
    (value,) = [line.rsplit(" ", 1)[1] for line in text.splitlines() if line.startswith(f'myfsio_traces_total{{outcome="{outcome}"}}')]
    return int(float(value))


def test_a_request_is_a_trace_with_its_phases(node_factory, collector):
    node = node_factory(OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint + "/below/", OTEL_SERVICE_NAME="node-7",
                        OTEL_EXPORTER_OTLP_HEADERS="x-token=two%20words,other=1")
    s3 = node.client()
    s3.create_bucket(Bucket="traced")
    put = s3.put_object(Bucket="traced", Key="private/name", Body=data(300_000))["ResponseMetadata"]["RequestId"]
    with refused(404) as answer:
        s3.get_object(Bucket="traced", Key="absent")
    whole, inner = collector.of(put)
    assert (whole["name"], whole["kind"], whole["status"], "parentSpanId" in whole) == ("PutObject", 2, {"code": 0}, False)
    told = attributes(whole)
    assert (told["http.response.status_code"], told["aws.s3.bucket"], told["aws.request_id"]) == ("200", "traced", put)
    assert int(told["http.request.body.size"]) >= 300_000
    names = [span["name"] for span in inner]
    assert names == [name for name in ("authenticate", "authorise", "handle", "send") if name in names] and "handle" in names
    # They are all of it, one after the other.
    assert {span["traceId"] for span in inner} == {whole["traceId"]}
    assert inner[0]["startTimeUnixNano"] == whole["startTimeUnixNano"] and inner[-1]["endTimeUnixNano"] == whole["endTimeUnixNano"]
    assert all(before["endTimeUnixNano"] == after["startTimeUnixNano"] for before, after in zip(inner, inner[1:]))
    assert int(whole["endTimeUnixNano"]) - int(whole["startTimeUnixNano"]) > 1000
    (record,) = found(node, "?request_id=" + put)
    assert record["trace_id"] == whole["traceId"]
    # What a client asks wrongly is no error of the node.
    whole, _ = collector.of(answer["ResponseMetadata"]["RequestId"])
    assert whole["status"] == {"code": 0} and attributes(whole)["error.type"] == "NoSuchKey"
    path, headers = collector.headers[0]
    assert path == "/below/v1/traces" and headers["content-type"] == "application/json"
    assert (headers["x-token"], headers["other"]) == ("two words", "1")
    resource = attributes(collector.documents[0]["resourceSpans"][0]["resource"])
    assert resource["service.name"] == "node-7" and resource["service.version"] and len(resource["service.instance.id"]) == 16


def test_nothing_secret_leaves_the_node(node_factory, collector):
    node = node_factory(OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint)
    s3 = node.client()
    s3.create_bucket(Bucket="secrets")
    s3.put_object(Bucket="secrets", Key="private/name", Body=b"x", Metadata={"hidden": "metadata"})
    parts = urllib.parse.urlsplit(s3.generate_presigned_url("get_object", {"Bucket": "secrets", "Key": "private/name"}))
    assert send(node.endpoint, "GET", f"{parts.path}?{parts.query}")[0] == 200
    send(node.endpoint, "GET", "/secrets/private/name", headers={"X-Access-Key": "localadmin", "X-Secret-Key": "localadmin-wrong"})
    last = send(node.endpoint, "GET", "/_myfsio/requests?token=hidden")[1]["x-amz-request-id"]
    collector.of(last)
    text = json.dumps(collector.documents)
    assert "GetObject" in text and "secrets" in text
    signature = urllib.parse.parse_qs(parts.query)["X-Amz-Signature"][0]
    for secret in (signature, "localadmin", "private/name", "hidden", "Credential", "127.0.0.1"):
        assert secret not in text, secret


def test_a_client_s_trace_goes_on(node_factory, collector):
    node = node_factory(OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint, OTEL_TRACES_SAMPLER_ARG="0")

    def ask(*parents):
        reply = send(node.endpoint, "GET", "/healthz", headers={"traceparent": ", ".join(parents)} if parents else {})
        return reply[1]["x-amz-request-id"]

    unasked, unsampled, malformed = ask(), ask(f"00-{TRACE}-{SPAN}-00"), ask(f"00-{TRACE}-{SPAN}-01-x")
    whole, _ = collector.of(ask(f"00-{TRACE}-{SPAN}-01"))
    assert (whole["traceId"], whole["parentSpanId"], whole["name"]) == (TRACE, SPAN, "Health")
    told = {span["spanId"] for span in collector.spans()}
    assert not told & {unasked.lower(), unsampled.lower(), malformed.lower()}
    (record,) = found(node, "?request_id=" + unsampled)
    assert record["trace_id"] == TRACE


def test_a_collector_that_is_busy_is_asked_again(node_factory, collector):
    node = node_factory(OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint)
    collector.answers[:] = [503, 429]
    first = send(node.endpoint, "GET", "/healthz")[1]["x-amz-request-id"]
    collector.of(first)
    assert len(collector.headers) >= 3
    wait_for(lambda: counted(node, "sent") > 0, seconds=30)
    assert counted(node, "dropped") == 0
    assert "does not take them" in node.tail()
    # What it will never take is dropped at once, and counted.
    collector.answers[:] = [400]
    send(node.endpoint, "GET", "/healthz")
    wait_for(lambda: counted(node, "dropped") > 0, seconds=30)


def test_what_waits_is_told_at_the_stop(node_factory, collector):
    node = node_factory(OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint)
    last = send(node.endpoint, "GET", "/healthz")[1]["x-amz-request-id"]
    node.stop()
    assert last.lower() in {span["spanId"] for span in collector.spans()}


def test_no_request_waits_for_a_collector_that_is_away(node_factory):
    node = node_factory(OTEL_EXPORTER_OTLP_ENDPOINT=NOWHERE, REQUESTS_KEPT=0)

    def many():
        connection = http.client.HTTPConnection("127.0.0.1", node.port, timeout=30)
        for _ in range(700):
            connection.request("GET", "/healthz")
            assert connection.getresponse().read()
        connection.close()

    threads = [threading.Thread(target=many) for _ in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    # More than the queue and a batch hold: what is too much is dropped as it comes.
    assert counted(node, "dropped") > 0 and counted(node, "sent") == 0
    node.stop()
