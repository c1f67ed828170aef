"""Quotas of buckets, prefixes and users: what counts, where it is refused, and that uploads that break off leave nothing."""

import concurrent.futures
import json
import os
import socket
import time
import urllib.parse
import uuid

import pytest

import node as nodes
from util import MIB, code_of, data, refused, send, signed

pytestmark = pytest.mark.local

ANN, BOB = ("ann", "ann-secret"), ("bob", "bob-secret")


def users():
    everything = [{"bucket": "*", "actions": ["list", "read", "write", "delete"]}]
    return [
        {"access_key": "ann", "secret_key": "ann-secret", "display_name": "ann", "policies": everything},
        {"access_key": "bob", "secret_key": "bob-secret", "display_name": "bob", "policies": everything},
        {"access_key": "dropper", "secret_key": "dropper-secret", "display_name": "dropper", "policies": [{"bucket": "*", "actions": ["write"]}]},
        {"access_key": "keeper", "secret_key": "keeper-secret", "display_name": "keeper", "policies": [{"bucket": "*", "actions": ["list", "policy"]}]},
        {"access_key": "lister", "secret_key": "lister-secret", "display_name": "lister", "policies": [{"bucket": "*", "actions": ["list", "iam:list_users"]}]},
    ]


@pytest.fixture(scope="module")
def node():
    if os.environ.get("S3_ENDPOINT"):
        pytest.skip("needs a node of its own")
    made = nodes.Node(MULTIPART_MIN_PART_SIZE=1, REQUEST_TIMEOUT_SECONDS=5).start()
    made.add_users(*users())
    yield made
    assert made.process.poll() is None, made.tail()
    made.close()


@pytest.fixture
def s3(node):
    return node.client()


@pytest.fixture
def bucket(s3):
    name = f"q-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name)
    return name


def ask(node, method, target, body=b"", pair=("localadmin", "localadmin")):
    headers = {"X-Access-Key": pair[0], "X-Secret-Key": pair[1]} if pair else {}
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    status, headers, answer = send(node.endpoint, method, target, body, headers)
    return status, json.loads(answer) if answer and headers.get("content-type") == "application/json" else answer


def set_quota(node, bucket, **quota):
    status, answer = ask(node, "PUT", f"/bucket/{bucket}?quota", quota)
    assert status == 200, answer
    return answer


def told(node, bucket):
    status, answer = ask(node, "GET", f"/{bucket}?quota")
    assert status == 200, answer
    return answer


def counted(node, bucket):
    """The answer once nothing is being counted any more."""
    end = time.monotonic() + 10
    while any(prefix["counting"] for prefix in told(node, bucket)["prefixes"]):
        assert time.monotonic() < end
        time.sleep(0.02)
    return told(node, bucket)


def settled(node, bucket):
    """The usage once nothing is reserved any more: a broken connection is noticed a little later."""
    end = time.monotonic() + 20
    while told(node, bucket)["usage"]["reserved_bytes"]:
        assert time.monotonic() < end, told(node, bucket)
        time.sleep(0.05)
    return told(node, bucket)["usage"]


def test_the_examples_of_the_manual(node, bucket):
    status, answer = ask(node, "PUT", f"/bucket/{bucket}?quota", {"max_bytes": 104857600, "max_objects": 1000})
    assert status == 200 and answer["quota"] == {"max_bytes": 104857600, "max_objects": 1000}
    node.client().put_object(Bucket=bucket, Key="k", Body=b"12345")
    for target in (f"/bucket/{bucket}?quota", f"/{bucket}?quota"):
        status, answer = ask(node, "GET", target)
        usage = {"bytes": 5, "objects": 1, "versions": 0, "delete_markers": 0, "part_bytes": 0, "reserved_bytes": 0}
        assert status == 200 and answer["usage"] == usage and answer["warnings"] == [] and answer["prefixes"] == []
    status, answer = ask(node, "PUT", f"/bucket/{bucket}?quota", {"max_bytes": None, "max_objects": None})
    assert status == 200 and answer["quota"] == {"max_bytes": None, "max_objects": None}
    assert ask(node, "DELETE", f"/{bucket}?quota")[0] == 204


def test_the_error_is_that_of_the_manual(node, s3, bucket):
    set_quota(node, bucket, max_size_bytes=10, max_objects=1)
    s3.put_object(Bucket=bucket, Key="k", Body=b"0123456789")
    with refused(400, "QuotaExceeded") as answer:
        s3.put_object(Bucket=bucket, Key="k", Body=b"0123456789+")
    assert answer["Error"]["Message"] == "Bucket quota exceeded: storage limit reached"
    assert answer["Error"]["BucketName"] == bucket
    with refused(400, "QuotaExceeded") as answer:
        s3.put_object(Bucket=bucket, Key="other", Body=b"")
    assert answer["Error"]["Message"] == "Bucket quota exceeded: object limit reached"
    status, headers, body = signed(node, "PUT", f"/{bucket}/other", b"x")
    assert (status, code_of(body)) == (400, "QuotaExceeded") and headers["content-type"] == "application/xml"
    assert f"<BucketName>{bucket}</BucketName>".encode() in body
    s3.put_object(Bucket=bucket, Key="k", Body=b"smaller")
    s3.delete_object(Bucket=bucket, Key="k")
    s3.put_object(Bucket=bucket, Key="other", Body=b"x")


def test_documents_that_are_no_quota(node, bucket):
    for bad in (b"{", b"[]", b'{"max_bytes": -1}', b'{"max_bytes": "1"}', b'{"max_byte": 1}', b'{"max_objects": 1.5}',
                b'{"prefixes": [{"prefix": "", "max_bytes": 1}]}', b'{"prefixes": [{"prefix": "a"}]}',
                b'{"max_bytes": 1, "max_bytes": 2}'):
        status, answer = ask(node, "PUT", f"/bucket/{bucket}?quota", bad)
        assert status == 400 and answer["error"]["code"] == "InvalidArgument", (bad, answer)
    assert ask(node, "PUT", f"/bucket/{bucket}?quota", b"")[0] == 400
    assert told(node, bucket)["quota"] == {"max_bytes": None, "max_objects": None}
    assert ask(node, "GET", "/bucket/no-such-bucket?quota")[1]["error"]["code"] == "NoSuchBucket"


def test_only_administrators_set_quotas_and_whoever_lists_sees_them(node, s3, bucket):
    set_quota(node, bucket, max_bytes=100)
    for pair in (ANN, ("keeper", "keeper-secret"), ("dropper", "dropper-secret"), None):
        for method, body in (("PUT", b"{}"), ("DELETE", b"")):
            status, answer = ask(node, method, f"/bucket/{bucket}?quota", body, pair)
            assert status == 403 and answer["error"]["code"] == "AccessDenied", (pair, answer)
    assert ask(node, "PUT", f"/bucket/{bucket}?quota", {"max_bytes": 200}, ("lister", "lister-secret"))[0] == 200
    for pair, expected in ((ANN, 200), (("keeper", "keeper-secret"), 200), (("dropper", "dropper-secret"), 403), (None, 403)):
        assert ask(node, "GET", f"/bucket/{bucket}?quota", b"", pair)[0] == expected, pair
    # What everybody may list is no business of strangers all the same; and a denial holds.
    public = {"Effect": "Allow", "Principal": "*", "Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{bucket}"}
    deny = {"Effect": "Deny", "Principal": {"AWS": "ann"}, "Action": "s3:GetBucketQuota", "Resource": f"arn:aws:s3:::{bucket}"}
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [public, deny]}))
    assert ask(node, "GET", f"/bucket/{bucket}?quota", b"", None)[0] == 403
    assert ask(node, "GET", f"/bucket/{bucket}?quota", b"", ANN)[0] == 403
    assert ask(node, "GET", f"/bucket/{bucket}?quota", b"", BOB)[0] == 200


@pytest.mark.parametrize("size", [3000, 200_000])
def test_parallel_uploads_fit_exactly(node, s3, bucket, size):
    set_quota(node, bucket, max_bytes=10 * size + size // 2)

    def put(number):
        try:
            s3.put_object(Bucket=bucket, Key=f"{number}", Body=data(size, number))
            return True
        except s3.exceptions.ClientError as error:
            assert error.response["Error"]["Code"] == "QuotaExceeded"
            return False

    with concurrent.futures.ThreadPoolExecutor(64) as pool:
        assert sum(pool.map(put, range(64))) == 10
    usage = told(node, bucket)["usage"]
    assert (usage["bytes"], usage["objects"], usage["reserved_bytes"]) == (10 * size, 10, 0)
    set_quota(node, bucket, max_objects=25)
    with concurrent.futures.ThreadPoolExecutor(64) as pool:
        done = list(pool.map(put, range(64)))
    assert sum(done) == 25 and told(node, bucket)["usage"]["objects"] == 25


def test_copies_forms_and_uploads_are_limited_alike(node, s3, bucket):
    s3.put_object(Bucket=bucket, Key="source", Body=data(1000))
    set_quota(node, bucket, max_bytes=2500, max_objects=2)
    source = {"Bucket": bucket, "Key": "source"}
    s3.copy_object(Bucket=bucket, Key="copy", CopySource=source)
    with refused(400, "QuotaExceeded"):
        s3.copy_object(Bucket=bucket, Key="another", CopySource=source)
    form = s3.generate_presigned_post(bucket, "formed", ExpiresIn=60)
    boundary = "xyz"

    def post(content):
        fields = "".join(f'--{boundary}\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in form["fields"].items())
        body = fields.encode() + f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'.encode()
        body += content + f"\r\n--{boundary}--\r\n".encode()
        return send(node.endpoint, "POST", f"/{bucket}", body, {"Content-Type": f"multipart/form-data; boundary={boundary}"})

    assert code_of(post(b"x")[2]) == "QuotaExceeded"
    s3.delete_object(Bucket=bucket, Key="copy")
    assert code_of(post(data(1501))[2]) == "QuotaExceeded"
    assert told(node, bucket)["usage"]["reserved_bytes"] == 0
    assert post(data(1000))[0] == 204
    with refused(400, "QuotaExceeded"):
        s3.create_multipart_upload(Bucket=bucket, Key="one-too-many")
    upload = s3.create_multipart_upload(Bucket=bucket, Key="formed")["UploadId"]
    named = {"Bucket": bucket, "Key": "formed", "UploadId": upload}
    with refused(400, "QuotaExceeded"):
        s3.upload_part(PartNumber=1, Body=data(501), **named)
    with refused(400, "QuotaExceeded"):
        s3.upload_part_copy(PartNumber=1, CopySource=source, **named)
    part = s3.upload_part_copy(PartNumber=1, CopySource=source, CopySourceRange="bytes=0-499", **named)["CopyPartResult"]
    assert told(node, bucket)["usage"]["part_bytes"] == 500
    s3.upload_part(PartNumber=2, Body=b"", **named)
    s3.complete_multipart_upload(MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}, **named)
    usage = told(node, bucket)["usage"]
    assert (usage["bytes"], usage["objects"], usage["part_bytes"]) == (1500, 2, 0)


def test_completing_takes_an_object(node, s3, bucket):
    uploads = []
    for key in ("a", "b"):
        upload = s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
        named = {"Bucket": bucket, "Key": key, "UploadId": upload}
        part = s3.upload_part(PartNumber=1, Body=data(100), **named)
        uploads.append((named, {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}))
    set_quota(node, bucket, max_objects=1)
    s3.complete_multipart_upload(MultipartUpload=uploads[0][1], **uploads[0][0])
    with refused(400, "QuotaExceeded") as answer:
        s3.complete_multipart_upload(MultipartUpload=uploads[1][1], **uploads[1][0])
    assert answer["Error"]["Message"] == "Bucket quota exceeded: object limit reached"
    s3.delete_object(Bucket=bucket, Key="a")
    s3.complete_multipart_upload(MultipartUpload=uploads[1][1], **uploads[1][0])


def test_prefixes_have_quotas_of_their_own(node, s3, bucket):
    for number in range(5):
        s3.put_object(Bucket=bucket, Key=f"logs/{number}", Body=data(100))
    quota = {"prefixes": [{"prefix": "logs/", "max_bytes": 600, "max_objects": None}, {"prefix": "logs/app/", "max_bytes": None, "max_objects": 1}]}
    answer = set_quota(node, bucket, **quota)
    assert answer["quota"] == {"max_bytes": None, "max_objects": None, **quota}
    logs, app = counted(node, bucket)["prefixes"]
    assert (logs["prefix"], logs["usage"]["bytes"], logs["usage"]["objects"]) == ("logs/", 500, 5)
    assert logs["warnings"] == [{"limit": "max_bytes", "percent": 80}] and app["usage"]["objects"] == 0
    s3.put_object(Bucket=bucket, Key="other", Body=data(10_000))
    with refused(400, "QuotaExceeded") as refusal:
        s3.put_object(Bucket=bucket, Key="logs/5", Body=data(101))
    assert refusal["Error"]["Message"] == "Prefix quota exceeded: storage limit reached"
    assert (refusal["Error"]["BucketName"], refusal["Error"]["Prefix"]) == (bucket, "logs/")
    s3.put_object(Bucket=bucket, Key="logs/app/1", Body=data(10))
    with refused(400, "QuotaExceeded") as refusal:
        s3.put_object(Bucket=bucket, Key="logs/app/2", Body=b"")
    assert refusal["Error"]["Message"] == "Prefix quota exceeded: object limit reached"
    # What was asked for can be put again as it was told.
    assert set_quota(node, bucket, **told(node, bucket)["quota"])["quota"] == answer["quota"]
    assert set_quota(node, bucket)["prefixes"] == []
    s3.put_object(Bucket=bucket, Key="logs/app/2", Body=data(1000))


def test_users_have_quotas_across_buckets(node, s3, bucket):
    ann = node.client(*ANN)
    own = f"q-{uuid.uuid4().hex[:12]}"
    ann.create_bucket(Bucket=own)
    ann.put_object(Bucket=own, Key="before", Body=data(400))
    for pair in (ANN, ("keeper", "keeper-secret"), None):
        status, answer = ask(node, "PUT", "/_myfsio/users/ann/quota", {"max_bytes": 1 << 40}, pair)
        assert status == 403, answer
    assert ask(node, "PUT", "/_myfsio/users/nobody/quota", {"max_bytes": 1})[0] == 404
    assert ask(node, "PUT", "/_myfsio/users/ann/quota", {"max_byte": 1})[0] == 400
    status, answer = ask(node, "PUT", "/_myfsio/users/ann/quota", {"max_bytes": 1000, "max_objects": 3})
    assert status == 200 and answer["quota"] == {"max_bytes": 1000, "max_objects": 3}
    end = time.monotonic() + 10
    while answer["counting"]:
        assert time.monotonic() < end
        status, answer = ask(node, "GET", "/_myfsio/users/ann/quota", b"", ANN)
        assert status == 200
    assert (answer["usage"]["bytes"], answer["usage"]["objects"]) == (400, 1)
    assert ask(node, "GET", "/_myfsio/users/ann/quota", b"", BOB)[0] == 403
    shared = f"q-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=shared)
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": f"arn:aws:s3:::{shared}/*"}]}
    s3.put_bucket_policy(Bucket=shared, Policy=json.dumps(policy))
    ann.put_object(Bucket=shared, Key="hers", Body=data(600))
    for name in (own, shared):
        with refused(400, "QuotaExceeded") as refusal:
            ann.put_object(Bucket=name, Key="more", Body=b"x")
        assert refusal["Error"]["Message"] == "User quota exceeded: storage limit reached"
        assert refusal["Error"]["BucketName"] == name
    node.client(*BOB).put_object(Bucket=own, Key="his", Body=data(5000))
    s3.delete_object(Bucket=shared, Key="hers")
    ann.put_object(Bucket=own, Key="more", Body=data(600))
    assert next(u for u in node.iam()["users"] if u["display_name"] == "ann")["quota"] == {"max_bytes": 1000, "max_objects": 3}
    assert ask(node, "DELETE", "/_myfsio/users/ann/quota")[0] == 204
    assert ask(node, "GET", "/_myfsio/users/ann/quota", b"", ANN)[1]["usage"] is None
    ann.put_object(Bucket=own, Key="much", Body=data(5000))


def test_a_quota_typed_into_the_users_file_holds_for_the_next_request(node, bucket):
    bob = node.client(*BOB)
    bob.put_object(Bucket=bucket, Key="a", Body=data(100))

    def edit(quota):
        document = node.iam()
        for user in document["users"]:
            if user["display_name"] == "bob":
                user["quota"] = quota
        node.write_iam(document)

    edit({"max_objects": 0})
    with refused(400, "QuotaExceeded") as refusal:
        bob.put_object(Bucket=bucket, Key="b", Body=b"")
    assert refusal["Error"]["Message"] == "User quota exceeded: object limit reached"
    edit(None)
    bob.put_object(Bucket=bucket, Key="b", Body=b"")


class Slow:
    """An upload that a client has begun and not finished."""

    def __init__(self, node, target, size, **headers):
        host = urllib.parse.urlsplit(node.endpoint)
        headers = {"Host": host.netloc, "Content-Length": size, "X-Access-Key": "localadmin", "X-Secret-Key": "localadmin", **headers}
        lines = [f"PUT {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        self.socket = socket.create_connection((host.hostname, host.port), timeout=20)
        self.socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())

    def send(self, some):
        self.socket.sendall(some)

    def answer(self):
        received = b""
        while b"\r\n\r\n" not in received:
            some = self.socket.recv(65536)
            if not some:
                break
            received += some
        return received

    def close(self):
        self.socket.close()


def reserved(node, bucket, wanted):
    end = time.monotonic() + 10
    while told(node, bucket)["usage"]["reserved_bytes"] != wanted:
        assert time.monotonic() < end, told(node, bucket)
        time.sleep(0.02)


def test_what_breaks_off_frees_what_it_reserved(node, s3, bucket):
    set_quota(node, bucket, max_bytes=5 * MIB)
    slow = Slow(node, f"/{bucket}/broken", 4 * MIB)
    slow.send(data(MIB))
    reserved(node, bucket, 4 * MIB)
    with refused(400, "QuotaExceeded"):
        s3.put_object(Bucket=bucket, Key="k", Body=data(MIB + 1))
    s3.put_object(Bucket=bucket, Key="k", Body=data(MIB))
    slow.close()
    assert settled(node, bucket)["bytes"] == MIB
    # One that is silent for too long.
    slow = Slow(node, f"/{bucket}/silent", 4 * MIB)
    reserved(node, bucket, 4 * MIB)
    assert settled(node, bucket)["bytes"] == MIB
    slow.close()
    upload = s3.create_multipart_upload(Bucket=bucket, Key="parts")["UploadId"]
    slow = Slow(node, f"/{bucket}/parts?partNumber=1&uploadId={upload}", 3 * MIB)
    slow.send(data(2 * MIB))
    reserved(node, bucket, 3 * MIB)
    s3.abort_multipart_upload(Bucket=bucket, Key="parts", UploadId=upload)
    slow.send(data(MIB))
    assert b"404" in slow.answer().split(b"\r\n")[0]
    slow.close()
    assert settled(node, bucket)["bytes"] == MIB
    s3.put_object(Bucket=bucket, Key="all", Body=data(4 * MIB))


def test_a_body_that_trickles_holds_its_reservation_no_longer_than_a_body_may_take(node, s3, bucket):
    """Bytes that drop in every now and then keep nobody else out: a body must come at 1 KiB/s, beside the timeout."""
    set_quota(node, bucket, max_bytes=MIB)
    slow = Slow(node, f"/{bucket}/trickle", MIB)
    reserved(node, bucket, MIB)
    with refused(400, "QuotaExceeded"):
        s3.put_object(Bucket=bucket, Key="other", Body=b"x")
    began, gone = time.monotonic(), None
    while gone is None:
        assert time.monotonic() < began + 30, told(node, bucket)
        try:
            slow.send(b"x")
        except OSError:
            pass
        time.sleep(0.3)
        if told(node, bucket)["usage"]["reserved_bytes"] == 0:
            gone = time.monotonic() - began
    assert 4 < gone < 15, gone
    slow.close()
    s3.put_object(Bucket=bucket, Key="other", Body=b"x")


def test_a_refusal_comes_before_100_continue(node, bucket):
    set_quota(node, bucket, max_bytes=1000)
    slow = Slow(node, f"/{bucket}/k", 1001, Expect="100-continue")
    answer = slow.answer()
    assert answer.startswith(b"HTTP/1.1 400") and b"QuotaExceeded" in answer, answer
    slow.close()
    slow = Slow(node, f"/{bucket}/k", 1000, Expect="100-continue")
    assert slow.answer().startswith(b"HTTP/1.1 100")
    slow.close()


def test_versions_count_and_delete_markers_do_not(node, s3, bucket):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    set_quota(node, bucket, max_bytes=300, max_objects=3)
    for number in range(3):
        s3.put_object(Bucket=bucket, Key="k", Body=data(100, number))
    s3.delete_object(Bucket=bucket, Key="k")
    usage = told(node, bucket)["usage"]
    assert (usage["bytes"], usage["objects"], usage["versions"], usage["delete_markers"]) == (300, 0, 3, 1)
    with refused(400, "QuotaExceeded"):
        s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert {(w["limit"], w["percent"]) for w in told(node, bucket)["warnings"]} == {("max_bytes", 95), ("max_objects", 95)}


def test_listeners_hear_of_quotas_that_fill_up(node, s3, bucket):
    host = urllib.parse.urlsplit(node.endpoint)
    with socket.create_connection((host.hostname, host.port), timeout=20) as listener:
        request = f"GET /_myfsio/events?bucket={bucket} HTTP/1.1\r\nHost: {host.netloc}\r\nX-Access-Key: localadmin\r\nX-Secret-Key: localadmin\r\n\r\n"
        listener.sendall(request.encode())
        received = b""
        while b": listening" not in received:
            received += listener.recv(65536)
        set_quota(node, bucket, max_bytes=1000)
        s3.put_object(Bucket=bucket, Key="k", Body=data(799))
        s3.put_object(Bucket=bucket, Key="k", Body=data(800))
        s3.put_object(Bucket=bucket, Key="k", Body=data(801))
        s3.put_object(Bucket=bucket, Key="k", Body=data(950))
        while received.count(b"myfsio:QuotaWarning") < 4:
            received += listener.recv(65536)
    told_of = [json.loads(line[6:]) for line in received.decode().splitlines() if line.startswith("data: ") and "QuotaWarning" in line]
    assert [(w["bucket"], w["limit"], w["percent"], w["used"], w["of"]) for w in told_of] == [(bucket, "max_bytes", 80, 800, 1000), (bucket, "max_bytes", 95, 950, 1000)]
    assert "a quota fills up" in node.log.read_text(errors="replace")


def test_after_a_kill_counters_are_right_and_nothing_is_reserved(node_factory):
    node = node_factory(MULTIPART_MIN_PART_SIZE=1)
    node.add_users(*users())
    s3 = node.client()
    s3.create_bucket(Bucket="killed")
    set_quota(node, "killed", max_bytes=4 * MIB, prefixes=[{"prefix": "a/", "max_bytes": 3 * MIB}])
    ask(node, "PUT", "/_myfsio/users/localadmin/quota", {"max_bytes": 4 * MIB})
    s3.put_object(Bucket="killed", Key="a/1", Body=data(MIB))
    upload = s3.create_multipart_upload(Bucket="killed", Key="a/2")["UploadId"]
    s3.upload_part(Bucket="killed", Key="a/2", UploadId=upload, PartNumber=1, Body=data(MIB // 2))
    counted(node, "killed")
    slow = Slow(node, "/killed/a/3", MIB)
    slow.send(data(MIB // 4))
    reserved(node, "killed", MIB)
    node.kill()
    slow.close()
    node.start()
    answer = counted(node, "killed")
    usage = answer["usage"]
    assert (usage["bytes"], usage["objects"], usage["part_bytes"], usage["reserved_bytes"]) == (3 * MIB // 2, 1, MIB // 2, 0)
    assert answer["prefixes"][0]["usage"] == {"bytes": 3 * MIB // 2, "objects": 1, "reserved_bytes": 0}
    status, own = ask(node, "GET", "/_myfsio/users/localadmin/quota")
    assert status == 200 and own["usage"] == {"bytes": 3 * MIB // 2, "objects": 1, "reserved_bytes": 0}
    s3 = node.client()
    s3.put_object(Bucket="killed", Key="a/4", Body=data(3 * MIB // 2))
    with refused(400, "QuotaExceeded"):
        s3.put_object(Bucket="killed", Key="a/5", Body=b"x")
