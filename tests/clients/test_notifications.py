"""Event notifications: configurations, and events on their way to webhooks that fail, dawdle, come and go."""

import http.server
import json
import threading
import time
import urllib.parse

import pytest

from node import free_port
from util import MIB, complete, data, refused, send, signed, upload_parts

ALL = ["s3:ObjectCreated:*", "s3:ObjectRemoved:*", "s3:ObjectTagging:*", "s3:ObjectAcl:Put"]


class Hook:
    """A webhook that remembers what it was told. `status` is what it answers: a number, or a function of the key."""

    def __init__(self, port=None):
        self.port = port or free_port()
        self.status, self.delay = 200, 0
        self.messages, self.headers, self.asked = [], [], 0
        self.lock = threading.Lock()
        self.server = None
        self.start()

    def start(self):
        hook = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                if hook.server is None:
                    # A connection from before the stop.
                    self.close_connection = True
                    return
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                key = body["Records"][0]["s3"]["object"]["key"] if "Records" in body else None
                time.sleep(hook.delay)
                status = hook.status(key) if callable(hook.status) else hook.status
                with hook.lock:
                    hook.asked += 1
                    if status < 300:
                        hook.messages.append(body)
                        hook.headers.append(dict(self.headers))
                self.send_response(status)
                if status in (301, 307):
                    self.send_header("location", f"http://127.0.0.1:{hook.port}/elsewhere")
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

            def handle(self):
                try:
                    super().handle()
                except OSError:
                    pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self):
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/hook"

    def records(self):
        with self.lock:
            return [message["Records"][0] for message in self.messages if "Records" in message]

    def wait(self, count, seconds=15):
        end = time.monotonic() + seconds
        while len(self.records()) < count:
            assert time.monotonic() < end, f"{len(self.records())} of {count} events came"
            time.sleep(0.02)
        return self.records()


@pytest.fixture
def hook():
    hook = Hook()
    yield hook
    hook.stop()


def webhooks_path(node):
    return node.root / ".myfsio.sys" / "config" / "webhooks.json"


def write_webhooks(node, **webhooks):
    path = webhooks_path(node)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name("webhooks.edit")
    temporary.write_text(json.dumps({"webhooks": webhooks}, indent=2))
    temporary.replace(path)


@pytest.fixture
def node(node_factory, hook):
    """A node that may speak to this machine, with the webhook `hook`."""
    node = node_factory(NOTIFY_ALLOW_PRIVATE="true")
    write_webhooks(node, hook={"url": hook.url, "token": "open-sesame"})
    return node


def queue(name="hook", events=ALL, rules=None, id=None):
    entry = {"QueueArn": f"arn:aws:sqs:us-east-1:123456789012:{name}", "Events": list(events)}
    if rules:
        entry["Filter"] = {"Key": {"FilterRules": [{"Name": n, "Value": v} for n, v in rules]}}
    return {**entry, **({"Id": id} if id else {})}


def configure(s3, bucket, *queues, **more):
    s3.put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={"QueueConfigurations": list(queues)}, **more)


def outbox(node, bucket):
    status, _, body = signed(node, "GET", f"/_myfsio/buckets/{bucket}/events")
    assert status == 200, body
    return {target["target"]: target for target in json.loads(body)["targets"]}


def only(node, bucket):
    found = outbox(node, bucket)
    assert len(found) <= 1
    return next(iter(found.values()), None)


def wait_for(what, seconds=15):
    end = time.monotonic() + seconds
    while True:
        found = what()
        if found:
            return found
        assert time.monotonic() < end, "it did not come to be"
        time.sleep(0.05)


def test_configurations_are_kept_as_they_are(node, hook):
    s3 = node.client()
    s3.create_bucket(Bucket="conf")
    assert "QueueConfigurations" not in s3.get_bucket_notification_configuration(Bucket="conf")
    wanted = {
        "TopicConfigurations": [{"Id": "t", "TopicArn": "arn:aws:sns:us-east-1:1:hook", "Events": ["s3:ObjectAcl:Put"]}],
        "QueueConfigurations": [queue(events=["s3:ObjectCreated:Put", "s3:ObjectRemoved:*"],
                                      rules=[("prefix", "a/"), ("suffix", ".jpg")], id="q")],
        "LambdaFunctionConfigurations": [{"Id": "f", "LambdaFunctionArn": "arn:aws:lambda:us-east-1:1:function:hook",
                                          "Events": ["s3:ObjectTagging:*"]}],
    }
    s3.put_bucket_notification_configuration(Bucket="conf", NotificationConfiguration=wanted)
    found = s3.get_bucket_notification_configuration(Bucket="conf")
    for rule in found["QueueConfigurations"][0]["Filter"]["Key"]["FilterRules"]:
        rule["Name"] = rule["Name"].lower()
    assert {key: found[key] for key in wanted} == wanted
    # Topics and queues are sent a test event, functions are not.
    tests = [message for message in hook.messages if message.get("Event") == "s3:TestEvent"]
    assert len(tests) == 2 and all(test["Bucket"] == "conf" and test["Service"] == "Amazon S3" for test in tests)
    assert hook.headers[0]["authorization"] == "Bearer open-sesame"
    # The token that was written in plain text does not stand there any more.
    assert "open-sesame" not in webhooks_path(node).read_text()
    node.stop()
    node.start()
    assert node.client().get_bucket_notification_configuration(Bucket="conf")["TopicConfigurations"] == wanted["TopicConfigurations"]
    s3 = node.client()
    s3.put_bucket_notification_configuration(Bucket="conf", NotificationConfiguration={})
    assert "TopicConfigurations" not in s3.get_bucket_notification_configuration(Bucket="conf")


def test_targets_without_ids_get_some(node):
    s3 = node.client()
    s3.create_bucket(Bucket="ids")
    configure(s3, "ids", queue(rules=[("prefix", "a")]), queue(rules=[("prefix", "b")]))
    found = s3.get_bucket_notification_configuration(Bucket="ids")["QueueConfigurations"]
    assert len({entry["Id"] for entry in found}) == 2


def test_what_s3_refuses(node, hook):
    s3 = node.client()
    s3.create_bucket(Bucket="bad")

    def wrong(part, *queues, **more):
        with refused(400, "InvalidArgument") as answer:
            configure(s3, "bad", *queues, **more)
        assert part in answer["Error"]["Message"], answer["Error"]

    wrong("not supported", queue(events=["s3:ObjectCreated:Nothing"]))
    wrong("either prefix or suffix", queue(rules=[("middle", "a")]))
    wrong("more than one prefix", queue(rules=[("prefix", "a"), ("prefix", "b")]))
    wrong("Configurations overlap", queue(), queue(events=["s3:ObjectCreated:Put"]))
    wrong("ambiguously defined", queue(rules=[("prefix", "a")]), queue(rules=[("prefix", "ab")]))
    wrong("unique", queue(id="x", rules=[("prefix", "a")]), queue(id="x", rules=[("prefix", "b")]))
    wrong("Unable to validate", queue("nobody"))
    wrong("not well formed", {"QueueArn": "arn:aws:sns:us-east-1:1:hook", "Events": ALL})
    wrong("not valid for the bucket location", {"QueueArn": "arn:aws:sqs:eu-west-1:1:hook", "Events": ALL})
    # Also without validation an ARN must be one.
    wrong("not well formed", {"QueueArn": "hook", "Events": ALL}, SkipDestinationValidation=True)
    for status in (301, 307, 403, 500):
        hook.status = status
        wrong("Unable to validate", queue())
    hook.stop()
    wrong("Unable to validate", queue())
    assert "QueueConfigurations" not in s3.get_bucket_notification_configuration(Bucket="bad")
    configure(s3, "bad", queue("nobody"), SkipDestinationValidation=True)
    status, _, body = signed(node, "PUT", "/bad?notification", b"<NotificationConfiguration><Other/></NotificationConfiguration>")
    assert (status, b"MalformedXML" in body) == (400, True)


def test_private_addresses_are_refused(node_factory, hook):
    node = node_factory()
    names = {
        "loopback": hook.url, "name": f"http://localhost:{hook.port}/", "decimal": f"http://2130706433:{hook.port}/",
        "v6": f"http://[::1]:{hook.port}/", "mapped": f"http://[::ffff:127.0.0.1]:{hook.port}/",
        "metadata": "http://169.254.169.254/latest/",
    }
    write_webhooks(node, **{name: {"url": url} for name, url in names.items()})
    s3 = node.client()
    s3.create_bucket(Bucket="private")
    for name in names:
        with refused(400, "InvalidArgument") as answer:
            configure(s3, "private", queue(name))
        assert answer["Error"]["ArgumentValue"] == "The destination could not be told the test event", answer
    # Nor are they spoken to when nothing was validated.
    configure(s3, "private", queue("loopback"), SkipDestinationValidation=True)
    s3.put_object(Bucket="private", Key="k", Body=b"x")
    found = wait_for(lambda: (only(node, "private") or {}).get("error") and only(node, "private"))
    assert "not public" in found["error"] and found["pending"]["events"] == 1
    assert hook.asked == 0


def test_every_change_is_told(node, hook):
    s3 = node.client()
    s3.create_bucket(Bucket="told")
    configure(s3, "told", queue(id="conf"))
    first = s3.put_object(Bucket="told", Key="a b/ü+.txt", Body=b"12345")
    s3.copy_object(Bucket="told", Key="copy", CopySource={"Bucket": "told", "Key": "a b/ü+.txt"})
    upload, parts = upload_parts(s3, "told", "parts", {1: data(5 * MIB), 2: b"x"})
    complete(s3, "told", "parts", upload, parts)
    form = s3.generate_presigned_post("told", "form")
    posted = b"".join(
        f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode() for name, value in form["fields"].items()
    ) + b'--x\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nposted\r\n--x--\r\n'
    assert send(node.endpoint, "POST", "/told", posted, {"content-type": "multipart/form-data; boundary=x"})[0] == 204
    s3.put_object_acl(Bucket="told", Key="copy", ACL="private")
    s3.delete_object(Bucket="told", Key="copy")
    s3.delete_objects(Bucket="told", Delete={"Objects": [{"Key": "form"}, {"Key": "never"}]})
    s3.put_bucket_versioning(Bucket="told", VersioningConfiguration={"Status": "Enabled"})
    version = s3.put_object(Bucket="told", Key="v", Body=b"")["VersionId"]
    marker = s3.delete_object(Bucket="told", Key="v")["VersionId"]
    s3.delete_object(Bucket="told", Key="v", VersionId=version)
    records = sorted(hook.wait(10), key=lambda record: record["s3"]["object"]["sequencer"])
    assert [(r["eventName"], r["s3"]["object"]["key"]) for r in records] == [
        ("ObjectCreated:Put", "a+b/%C3%BC%2B.txt"), ("ObjectCreated:Copy", "copy"),
        ("ObjectCreated:CompleteMultipartUpload", "parts"), ("ObjectCreated:Post", "form"), ("ObjectAcl:Put", "copy"),
        ("ObjectRemoved:Delete", "copy"), ("ObjectRemoved:Delete", "form"), ("ObjectCreated:Put", "v"),
        ("ObjectRemoved:DeleteMarkerCreated", "v"), ("ObjectRemoved:Delete", "v"),
    ]
    record = records[0]
    assert record["eventSource"] == "aws:s3" and record["awsRegion"] == "us-east-1" and record["eventVersion"] == "2.1"
    assert record["s3"]["configurationId"] == "conf" and record["s3"]["bucket"]["arn"] == "arn:aws:s3:::told"
    assert record["s3"]["object"]["size"] == 5 and record["s3"]["object"]["eTag"] == first["ETag"].strip('"')
    assert record["requestParameters"]["sourceIPAddress"] == "127.0.0.1"
    assert record["responseElements"]["x-amz-request-id"] == first["ResponseMetadata"]["RequestId"]
    assert record["userIdentity"]["principalId"].startswith("AWS:")
    by_version = [r["s3"]["object"].get("versionId") for r in records if r["s3"]["object"]["key"] == "v"]
    assert by_version == [version, marker, version]
    wait_for(lambda: only(node, "told") is None)


def test_retentions_are_told(node, hook):
    s3 = node.client()
    s3.create_bucket(Bucket="kept", ObjectLockEnabledForBucket=True)
    configure(s3, "kept", queue(events=["s3:ObjectRetention:Put", "s3:ObjectAnnotation:*"]))
    version = s3.put_object(Bucket="kept", Key="k", Body=b"x")["VersionId"]
    s3.put_object_legal_hold(Bucket="kept", Key="k", LegalHold={"Status": "OFF"})
    s3.put_object_retention(Bucket="kept", Key="k", Retention={"Mode": "GOVERNANCE", "RetainUntilDate": "2099-01-01T00:00:00Z"})
    [record] = hook.wait(1)
    assert (record["eventName"], record["s3"]["object"]["versionId"]) == ("ObjectRetention:Put", version)


def test_only_what_fits_the_filter_is_told(node, hook):
    s3 = node.client()
    s3.create_bucket(Bucket="some")
    configure(s3, "some", queue(events=["s3:ObjectCreated:Put"], rules=[("prefix", "in/"), ("suffix", ".jpg")]))
    for key in ("in/a.jpg", "in/a.png", "out/a.jpg", "in/b.jpg"):
        s3.put_object(Bucket="some", Key=key, Body=b"x")
        s3.delete_object(Bucket="some", Key=key)
    assert sorted(r["s3"]["object"]["key"] for r in hook.wait(2)) == ["in/a.jpg", "in/b.jpg"]
    time.sleep(0.3)
    assert len(hook.records()) == 2


def test_a_key_is_told_in_order_whatever_the_webhook_does(node, hook):
    s3 = node.client()
    s3.create_bucket(Bucket="order")
    configure(s3, "order", queue())
    turns = iter(range(10**9))
    hook.status = lambda key: (500 if next(turns) % 9 == 4 else 200)
    hook.delay = 0.005
    for round in range(12):
        for key in ("a", "b", "c"):
            s3.put_object(Bucket="order", Key=key, Body=bytes(round + 1))
    wait_for(lambda: only(node, "order") is None, 60)
    for key in ("a", "b", "c"):
        own = [r for r in hook.records() if r["s3"]["object"]["key"] == key]
        sizes = [r["s3"]["object"]["size"] for r in own]
        assert sizes == sorted(sizes) and set(sizes) == set(range(1, 13)), sizes
        assert [r["s3"]["object"]["sequencer"] for r in own] == sorted(r["s3"]["object"]["sequencer"] for r in own)


def test_a_kill_loses_no_event(node, hook):
    s3 = node.client()
    s3.create_bucket(Bucket="killed")
    configure(s3, "killed", queue())
    hook.stop()
    for i in range(100):
        s3.put_object(Bucket="killed", Key=f"k{i % 10}", Body=bytes(i))
    node.kill()
    node.start()
    assert only(node, "killed")["pending"]["events"] == 100
    hook.delay = 0.01
    hook.start()
    hook.wait(20)
    node.kill()
    node.start()
    wait_for(lambda: only(node, "killed") is None, 30)
    for i in range(10):
        sizes = [r["s3"]["object"]["size"] for r in hook.records() if r["s3"]["object"]["key"] == f"k{i}"]
        # At least once: what was told just before the kill may come again, from there on in order.
        assert set(sizes) == set(range(i, 100, 10)) and sizes[-1] == i + 90


def test_a_webhook_that_is_down_holds_up_nobody_else(node, hook):
    write_webhooks(node, hook={"url": hook.url}, down={"url": f"http://127.0.0.1:{free_port()}/"})
    s3 = node.client()
    s3.create_bucket(Bucket="two")
    configure(s3, "two", queue(rules=[("prefix", "up/")]), queue("down", rules=[("prefix", "down/")]), SkipDestinationValidation=True)
    for i in range(100):
        s3.put_object(Bucket="two", Key=f"down/{i}", Body=b"x")
    s3.put_object(Bucket="two", Key="up/a", Body=b"x")
    hook.wait(1, 5)
    found = wait_for(lambda: len(outbox(node, "two")) == 1 and only(node, "two"))
    assert found["webhook"] == "down" and found["pending"]["events"] == 100
    wait_for(lambda: only(node, "two")["failures"] >= 2 and "onnect" in only(node, "two")["error"])
    # Mended by hand and asked to try again, it is told everything.
    write_webhooks(node, hook={"url": hook.url}, down={"url": hook.url})
    assert signed(node, "POST", "/_myfsio/buckets/two/events/replay")[0] == 200
    hook.wait(101)
    wait_for(lambda: not outbox(node, "two"))


def test_what_is_too_old_is_kept_and_can_be_replayed(node_factory, hook):
    node = node_factory(NOTIFY_ALLOW_PRIVATE="true", NOTIFY_KEEP_SECONDS=2)
    write_webhooks(node, hook={"url": hook.url})
    s3 = node.client()
    s3.create_bucket(Bucket="dead")
    configure(s3, "dead", queue())
    hook.status = 503
    for i in range(70):
        s3.put_object(Bucket="dead", Key=f"k{i}", Body=b"x")
    found = wait_for(lambda: only(node, "dead")["dead"]["events"] == 70 and only(node, "dead"))
    assert found["pending"]["events"] == 0 and "503" in found["dead_first"][0]["error"]
    assert found["dead_first"][0]["record"]["s3"]["object"]["key"] == "k0"
    hook.status = 200
    status, _, body = signed(node, "POST", "/_myfsio/buckets/dead/events/replay")
    assert (status, json.loads(body)) == (200, {"replayed": 70})
    hook.wait(70)
    wait_for(lambda: only(node, "dead") is None)
    hook.status = 503
    s3.put_object(Bucket="dead", Key="last", Body=b"x")
    wait_for(lambda: only(node, "dead")["dead"]["events"] == 1)
    assert json.loads(signed(node, "DELETE", "/_myfsio/buckets/dead/events/dead")[2]) == {"discarded": 1}
    assert only(node, "dead") is None


def test_the_event_bus_has_its_own_form(node, hook):
    write_webhooks(node, eventbridge={"url": hook.url})
    s3 = node.client()
    s3.create_bucket(Bucket="bus")
    s3.put_bucket_notification_configuration(Bucket="bus", NotificationConfiguration={"EventBridgeConfiguration": {}})
    assert s3.get_bucket_notification_configuration(Bucket="bus")["EventBridgeConfiguration"] == {}
    s3.put_object(Bucket="bus", Key="a b", Body=b"x")
    message = wait_for(lambda: hook.messages and hook.messages[0])
    assert message["detail-type"] == "Object Created" and message["detail"]["object"]["key"] == "a b"
    assert message["detail"]["reason"] == "PutObject" and message["source"] == "aws.s3"


def test_a_broken_file_of_webhooks_changes_nothing(node, hook):
    s3 = node.client()
    s3.create_bucket(Bucket="broken")
    configure(s3, "broken", queue())
    webhooks_path(node).write_text("{")
    s3.put_object(Bucket="broken", Key="k", Body=b"x")
    hook.wait(1)
    assert webhooks_path(node).read_text() == "{"


class Stream:
    """A listener to `/_myfsio/events`."""

    PATH = "/_myfsio/events"

    def __init__(self, node, query=""):
        import http.client
        from botocore.auth import S3SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials

        target = self.PATH + query
        request = AWSRequest(method="GET", url=node.endpoint + target)
        S3SigV4Auth(Credentials("localadmin", "localadmin"), "s3", "us-east-1").add_auth(request)
        url = urllib.parse.urlsplit(node.endpoint)
        self.connection = http.client.HTTPConnection(url.hostname, url.port, timeout=20)
        self.connection.request("GET", target, headers=dict(request.headers.items()))
        self.reply = self.connection.getresponse()
        assert self.reply.status == 200 and self.reply.getheader("content-type") == "text/event-stream"
        assert self.block() == [": listening"]

    def block(self):
        lines = []
        while True:
            line = self.reply.readline().decode().rstrip("\n")
            if not line:
                return lines
            lines.append(line)

    def event(self):
        lines = self.block()
        while lines and lines[0].startswith(":"):
            lines = self.block()
        fields = dict(line.split(": ", 1) for line in lines)
        return fields and (fields["event"], json.loads(fields["data"]))

    def close(self):
        self.connection.close()


def test_the_stream_tells_what_happens(node_factory):
    node = node_factory()
    s3 = node.client()
    s3.create_bucket(Bucket="live")
    s3.create_bucket(Bucket="other")
    everything, some = Stream(node), Stream(node, "?bucket=live&prefix=a%2F&event=s3%3AObjectCreated%3A%2A")
    for bucket, key in (("other", "a/1"), ("live", "b/1"), ("live", "a/1")):
        s3.put_object(Bucket=bucket, Key=key, Body=b"abc")
    s3.delete_object(Bucket="live", Key="a/1")
    s3.put_object(Bucket="live", Key="a/2", Body=b"")
    seen = [everything.event() for _ in range(5)]
    assert [(name, r["s3"]["bucket"]["name"], r["s3"]["object"]["key"]) for name, r in seen] == [
        ("s3:ObjectCreated:Put", "other", "a/1"), ("s3:ObjectCreated:Put", "live", "b/1"), ("s3:ObjectCreated:Put", "live", "a/1"),
        ("s3:ObjectRemoved:Delete", "live", "a/1"), ("s3:ObjectCreated:Put", "live", "a/2")]
    assert [some.event()[1]["s3"]["object"]["key"] for _ in range(2)] == ["a/1", "a/2"]
    assert seen[0][1]["userIdentity"]["principalId"].startswith("AWS:")
    # The end of the node is a clean end of the stream, and comes at once.
    began = time.monotonic()
    node.stop()
    assert time.monotonic() - began < 10
    assert everything.event() == {} and some.event() == {}


def test_the_stream_is_for_administrators(node_factory):
    node = node_factory()
    node.add_users({"access_key": "user", "secret_key": "secret", "display_name": "user",
                    "policies": [{"bucket": "*", "actions": ["list", "read", "write"]}]})
    for target in ("/_myfsio/events", "/_myfsio/buckets/any/events"):
        assert signed(node, "GET", target, access="user", secret="secret")[0] == 403
        assert send(node.endpoint, "GET", target)[0] == 403
    assert signed(node, "GET", "/_myfsio/events?event=s3%3ANothing")[0] == 400
    assert signed(node, "POST", "/_myfsio/events")[0] == 405
    assert signed(node, "GET", "/_myfsio/buckets/any/events")[0] == 404


def test_a_slow_listener_is_told_what_it_missed(node_factory):
    node = node_factory(REQUEST_TIMEOUT_SECONDS=60)
    s3 = node.client()
    s3.create_bucket(Bucket="busy")
    slow = Stream(node)
    key = "k" * 900
    stop = threading.Event()

    def write():
        client = node.client()
        while not stop.is_set():
            client.put_object(Bucket="busy", Key=key, Body=b"")

    writers = [threading.Thread(target=write) for _ in range(8)]
    [writer.start() for writer in writers]
    time.sleep(12)
    stop.set()
    [writer.join() for writer in writers]
    blocks, lines = 0, slow.block()
    while lines and not lines[0].endswith("were missed"):
        blocks, lines = blocks + 1, slow.block()
    assert lines and lines[0].startswith(": ") and int(lines[0].split()[1]) > 0, f"{blocks} events, none missed"
    assert slow.block() == []
