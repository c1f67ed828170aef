"""Who is calling: signatures, presigned URLs, the header pair, nobody, virtual hosts."""

import datetime
import hashlib
import hmac
import json
import urllib.parse
import urllib.request
from unittest import mock

import botocore.auth
import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from util import code_of, data, put_via_header_pair, refused, send, signed

EMPTY = hashlib.sha256(b"").hexdigest()


def headers_for(server, method, target, body=b"", headers=None, region="us-east-1", service="s3", at=None, access=None, secret=None):
    """Signed headers, with any of region, service and time bent."""
    request = AWSRequest(method=method, url=server.endpoint + target, data=body, headers=dict(headers or {}))
    auth = S3SigV4Auth(Credentials(access or getattr(server, "access", "localadmin"), secret or getattr(server, "secret", "localadmin")), service, region)
    if at:
        with mock.patch.object(botocore.auth, "get_current_datetime", return_value=at.replace(tzinfo=None)):
            auth.add_auth(request)
    else:
        auth.add_auth(request)
    return {k: (v.decode() if isinstance(v, bytes) else v) for k, v in request.headers.items()}


def ask(server, method="GET", target="/", body=b"", drop=(), more=None, **bend):
    headers = headers_for(server, method, target, body, **bend)
    headers = {k: v for k, v in headers.items() if k.lower() not in drop}
    headers.update(more or {})
    return send(server.endpoint, method, target, body, headers)


def test_wrong_secret_explains_itself(server):
    status, _, body = ask(server, secret="wrong")
    assert (status, code_of(body)) == (403, "SignatureDoesNotMatch")
    text = body.decode()
    for field in ("AWSAccessKeyId", "StringToSign", "SignatureProvided", "CanonicalRequest", "StringToSignBytes", "CanonicalRequestBytes"):
        assert f"<{field}>" in text, field
    assert "AWS4-HMAC-SHA256" in text


def test_unknown_key(server):
    status, _, body = ask(server, access="nobody")
    assert (status, code_of(body)) == (403, "InvalidAccessKeyId")


@pytest.mark.parametrize("minutes", [-20, 20])
def test_skew(server, minutes):
    at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=minutes)
    status, _, body = ask(server, at=at)
    assert (status, code_of(body)) == (403, "RequestTimeTooSkewed")
    text = body.decode()
    assert "<MaxAllowedSkewMilliseconds>900000</MaxAllowedSkewMilliseconds>" in text and "<RequestTime>" in text and "<ServerTime>" in text


@pytest.mark.parametrize("minutes", [-10, 10])
def test_small_skew_is_fine(server, minutes):
    at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=minutes)
    if at.date() == datetime.datetime.now(datetime.timezone.utc).date():
        assert ask(server, at=at)[0] == 200


def test_wrong_region_and_service(server):
    status, headers, body = ask(server, region="eu-west-9")
    assert (status, code_of(body)) == (400, "AuthorizationHeaderMalformed") and b"<Region>us-east-1</Region>" in body
    assert headers["x-amz-bucket-region"] == "us-east-1"
    status, _, body = ask(server, service="ec2")
    assert (status, code_of(body)) == (400, "AuthorizationHeaderMalformed")


def test_clients_of_another_region_find_this_one(server, s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    for first in ("head_bucket", "head_object", "get_object", "list_objects_v2", "put_object"):
        # A new client, which has learnt nothing yet.
        client = server.client(region_name="eu-west-9")
        key = {"Key": "k"} if first.endswith("_object") else {}
        assert getattr(client, first)(Bucket=bucket, **key)["ResponseMetadata"]["HTTPStatusCode"] == 200, first


@pytest.mark.parametrize("value", [
    "AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 Credential=x", "AWS4-HMAC-SHA256 Credential=a/b/c/d/aws4_request, SignedHeaders=host, Signature=x",
    "AWS4-HMAC-SHA256 Credential=localadmin/20200101/us-east-1/s3/aws4_request, SignedHeaders=, Signature=" + "0" * 64, "AWS4-HMAC-SHA256 ,,,,",
    "AWS localadmin:AAAA", "Bearer x", "Basic bG9jYWxhZG1pbjpsb2NhbGFkbWlu", "x", "AWS4-HMAC-SHA256 Credential=" + "a" * 5000,
])
def test_malformed_headers(server, value):
    status, _, body = send(server.endpoint, "GET", "/", headers={"Authorization": value, "x-amz-date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ"),
                                                               "x-amz-content-sha256": EMPTY})
    assert status in (400, 403, 501) and code_of(body) not in ("InternalError",), body


def test_unsigned_amz_header(server, s3, bucket):
    status, _, body = ask(server, "PUT", f"/{bucket}/k", b"x", more={"x-amz-meta-added": "later"})
    assert (status, code_of(body)) == (403, "AccessDenied") and b"not signed" in body
    with refused(404):
        s3.head_object(Bucket=bucket, Key="k")


def test_missing_pieces(server):
    status, _, body = ask(server, drop=("x-amz-content-sha256",))
    assert status in (400, 403), body
    status, _, body = ask(server, drop=("x-amz-date",))
    assert status in (400, 403), body


def test_two_mechanisms(server, s3, bucket):
    url = urllib.parse.urlsplit(s3.generate_presigned_url("list_objects_v2", {"Bucket": bucket}))
    target = f"{url.path}?{url.query}"
    status, _, body = send(server.endpoint, "GET", target, headers=headers_for(server, "GET", target))
    assert (status, code_of(body)) == (400, "InvalidArgument") and b"Only one auth mechanism allowed" in body


def fetch(url, method="GET", body=None, headers=None):
    parts = urllib.parse.urlsplit(url)
    return send(f"{parts.scheme}://{parts.netloc}", method, f"{parts.path}?{parts.query}", body or b"", headers)


def test_presigned_put_get_delete(server, s3, bucket):
    args = {"Bucket": bucket, "Key": "a b+c/ü%"}
    assert fetch(s3.generate_presigned_url("put_object", args), "PUT", b"by url")[0] == 200
    assert fetch(s3.generate_presigned_url("get_object", args))[2] == b"by url"
    got = fetch(s3.generate_presigned_url("get_object", {**args, "ResponseContentType": "image/png"}))
    assert got[1]["content-type"] == "image/png"
    assert fetch(s3.generate_presigned_url("head_object", args), "HEAD")[0] == 200
    status, _, body = fetch(s3.generate_presigned_url("get_object", args), "PUT", b"evil")
    assert (status, code_of(body)) == (403, "SignatureDoesNotMatch")
    assert fetch(s3.generate_presigned_url("delete_object", args), "DELETE")[0] == 204


def test_tampered_presigned_urls(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    s3.put_object(Bucket=bucket, Key="l", Body=b"secret")
    url = s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "k"}, ExpiresIn=60)
    for evil in (url.replace("/k?", "/l?"), url.replace("Expires=60", "Expires=600"), url + "&versionId=null", url + "&response-content-type=text/html",
                 url[:-1] + ("0" if url[-1] != "0" else "1")):
        status, _, body = fetch(evil)
        assert (status, code_of(body)) == (403, "SignatureDoesNotMatch"), evil
    status, _, body = fetch(url + "&X-Amz-Signature=" + "0" * 64)
    assert status in (400, 403), body
    for missing in ("X-Amz-Expires", "X-Amz-Date", "X-Amz-Credential", "X-Amz-SignedHeaders", "X-Amz-Algorithm"):
        parts = urllib.parse.urlsplit(url)
        query = [(k, v) for k, v in urllib.parse.parse_qsl(parts.query) if k != missing]
        status, _, body = fetch(parts._replace(query=urllib.parse.urlencode(query)).geturl())
        assert status in (400, 403) and code_of(body) in ("AuthorizationQueryParametersError", "AccessDenied", "InvalidArgument"), (missing, body)


def test_expired_presigned_url(server, s3, bucket):
    past = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=100)

    def presign(expires):
        request = AWSRequest(method="GET", url=f"{server.endpoint}/{bucket}?list-type=2")
        who = Credentials(getattr(server, "access", "localadmin"), getattr(server, "secret", "localadmin"))
        with mock.patch.object(botocore.auth, "get_current_datetime", return_value=past.replace(tzinfo=None)):
            S3SigV4QueryAuth(who, "s3", "us-east-1", expires=expires).add_auth(request)
        return request.url

    url, good = presign(30), presign(3600)
    assert fetch(good)[0] == 200
    status, _, body = fetch(url)
    assert (status, code_of(body)) == (403, "AccessDenied") and b"Request has expired" in body and b"<Expires>" in body and b"<ServerTime>" in body


@pytest.mark.parametrize("expires", ["0", "-1", "604801", "x", "99999999999999999999"])
def test_expiry_limits(server, bucket, s3, expires):
    url = s3.generate_presigned_url("list_objects_v2", {"Bucket": bucket}, ExpiresIn=60).replace("Expires=60", "Expires=" + expires)
    status, _, body = fetch(url)
    assert status in (400, 403) and code_of(body) in ("AuthorizationQueryParametersError", "AccessDenied"), body


def test_presigned_with_extra_headers_signed(server, s3, bucket):
    url = s3.generate_presigned_url("put_object", {"Bucket": bucket, "Key": "k", "ContentType": "text/x", "Metadata": {"m": "v"}})
    status, _, body = fetch(url, "PUT", b"x", {"Content-Type": "text/x", "x-amz-meta-m": "w"})
    assert (status, code_of(body)) == (403, "SignatureDoesNotMatch")
    assert fetch(url, "PUT", b"x", {"Content-Type": "text/x", "x-amz-meta-m": "v"})[0] == 200


@pytest.mark.local
def test_header_pair(local_node, s3, bucket):
    assert put_via_header_pair(local_node.endpoint, "PUT", f"/{bucket}/k", b"pair")[0] == 200
    assert put_via_header_pair(local_node.endpoint, "GET", f"/{bucket}/k")[2] == b"pair"
    status, _, body = put_via_header_pair(local_node.endpoint, "GET", f"/{bucket}/k", access="nobody")
    assert (status, code_of(body)) == (403, "InvalidAccessKeyId")
    status, _, body = send(local_node.endpoint, "GET", "/", headers={"X-Access-Key": "localadmin"})
    assert status in (400, 403), body


@pytest.mark.local
def test_lock_out(node_factory):
    node = node_factory()
    s3 = node.client()
    for i in range(5):
        status, _, body = put_via_header_pair(node.endpoint, "GET", "/", secret=f"wrong{i}")
        assert status == 403, body
    status, _, body = put_via_header_pair(node.endpoint, "GET", "/")
    assert status == 403 and b"Too many" in body, body
    s3.list_buckets()  # a signature is not locked, and a wrong one never locks
    for _ in range(7):
        with refused(403, "SignatureDoesNotMatch"):
            node.client(secret="wrong").list_buckets()
    s3.list_buckets()


def test_anonymous_is_denied(server, s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    for method, target in (("GET", "/"), ("GET", f"/{bucket}"), ("GET", f"/{bucket}/k"), ("HEAD", f"/{bucket}/k"), ("PUT", f"/{bucket}/k"), ("DELETE", f"/{bucket}/k"),
                           ("DELETE", f"/{bucket}"), ("PUT", "/another-bucket-name"), ("POST", f"/{bucket}/k?uploads"), ("GET", f"/{bucket}?location")):
        status, _, body = send(server.endpoint, method, target, b"y" if method == "PUT" else b"")
        assert status == 403, (method, target, status, body)
        if method != "HEAD":
            assert code_of(body) == "AccessDenied", (method, target, body)
    from util import sha256
    doc = b"<Delete><Object><Key>k</Key></Object></Delete>"
    status, _, body = send(server.endpoint, "POST", f"/{bucket}?delete", doc, {"x-amz-checksum-sha256": sha256(doc)})
    assert b"<Code>AccessDenied</Code>" in body, (status, body)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"


@pytest.mark.local
def test_health_needs_nobody(local_node):
    status, _, body = send(local_node.endpoint, "GET", "/healthz")
    assert status == 200 and json.loads(body)["status"] == "ok" and json.loads(body)["version"]


@pytest.mark.local
def test_virtual_hosts(node_factory):
    # Not the well-known secret: that is refused under any host but loopback.
    node = node_factory(BASE_DOMAINS="s3.example.test,localhost", ADMIN_ACCESS_KEY="localadmin", ADMIN_SECRET_KEY="localadmin")
    s3 = node.client()
    for b in ("vbucket", "dotted.bucket.name"):
        s3.create_bucket(Bucket=b)
        for domain in ("s3.example.test", "localhost"):
            host = f"{b}.{domain}:{node.port}"

            class Elsewhere:
                endpoint = f"http://{host}"

            def via(method, target, body=b""):
                return send(node.endpoint, method, target, body, {**headers_for(Elsewhere, method, target, body), "Host": host})

            assert via("PUT", "/a/b%20c", b"virtual")[0] == 200
            assert via("GET", "/a/b%20c")[2] == b"virtual"
            assert s3.get_object(Bucket=b, Key="a/b c")["Body"].read() == b"virtual"
            assert b"<Key>a/b c</Key>" in via("GET", "/?list-type=2")[2]
    foreign = f"vbucket.elsewhere.test:{node.port}"

    class Foreign:
        endpoint = f"http://{foreign}"

    status = send(node.endpoint, "GET", "/a/b%20c", b"", {**headers_for(Foreign, "GET", "/a/b%20c"), "Host": foreign})[0]
    assert status in (400, 403, 404)  # path style: bucket `a` is none


def chunk_signed(server, method, target, body, chunk=65536, tamper=None, trailer=None):
    """STREAMING-AWS4-HMAC-SHA256-PAYLOAD[-TRAILER], each chunk signed; `tamper(chunks)` may bend the frames."""
    import hmac

    access, secret = getattr(server, "access", "localadmin"), getattr(server, "secret", "localadmin")
    mode = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" + ("-TRAILER" if trailer else "")

    class Auth(S3SigV4Auth):
        def payload(self, request):
            return mode

    extra = {"x-amz-decoded-content-length": str(len(body)), "Content-Encoding": "aws-chunked"}
    if trailer:
        extra["x-amz-trailer"] = trailer[0]
    request = AWSRequest(method=method, url=server.endpoint + target, data=b"", headers=extra)
    Auth(Credentials(access, secret), "s3", "us-east-1").add_auth(request)
    headers = {k: (v.decode() if isinstance(v, bytes) else v) for k, v in request.headers.items()}
    headers.pop("Content-Length", None)
    stamp = headers["X-Amz-Date"]
    day = stamp[:8]
    scope = f"{day}/us-east-1/s3/aws4_request"
    key = b"AWS4" + secret.encode()
    for part in (day, "us-east-1", "s3", "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    previous = headers["Authorization"].rsplit("Signature=", 1)[1]
    frames = []
    for piece in [body[i:i + chunk] for i in range(0, len(body), chunk)] + [b""]:
        text = "\n".join(["AWS4-HMAC-SHA256-PAYLOAD", stamp, scope, previous, EMPTY, hashlib.sha256(piece).hexdigest()])
        previous = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
        frames.append(b"%x;chunk-signature=%s\r\n%s" % (len(piece), previous.encode(), piece + b"\r\n" if piece else b""))
    end = b"\r\n"
    if trailer:
        line = f"{trailer[0]}:{trailer[1]}\n"
        text = "\n".join(["AWS4-HMAC-SHA256-TRAILER", stamp, scope, previous, hashlib.sha256(line.encode()).hexdigest()])
        signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
        end = f"{trailer[0]}:{trailer[1]}\r\nx-amz-trailer-signature:{signature}\r\n\r\n".encode()
    if tamper:
        frames, end = tamper(frames, end)
    return send(server.endpoint, method, target, b"".join(frames) + end, headers)


@pytest.mark.parametrize("size", [0, 10, 65536, 200_001])
def test_signed_chunks(server, s3, bucket, size):
    body = data(size)
    status, _, answer = chunk_signed(server, "PUT", f"/{bucket}/k", body)
    assert status == 200, answer
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == body


@pytest.mark.parametrize("size", [0, 10, 200_001])
def test_signed_chunks_with_trailer(server, s3, bucket, size):
    from util import sha256
    body = data(size)
    status, _, answer = chunk_signed(server, "PUT", f"/{bucket}/k", body, trailer=("x-amz-checksum-sha256", sha256(body)))
    assert status == 200, answer
    head = s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert head["ChecksumSHA256"] == sha256(body)


TAMPERS = {
    "swapped": lambda f, e: ([f[1], f[0], *f[2:]], e),
    "replayed": lambda f, e: ([f[0], f[0], *f[2:]], e),
    "changed": lambda f, e: ([f[0][:-3] + b"!\r\n", *f[1:]], e),
    "dropped": lambda f, e: ([f[0], *f[2:]], e),
    "no_end": lambda f, e: (f[:-1], b""),
    "end_unsigned": lambda f, e: ([*f[:-1], b"0\r\n"], e),
    "end_forged": lambda f, e: ([*f[:-1], b"0;chunk-signature=" + b"0" * 64 + b"\r\n"], e),
    "no_signature": lambda f, e: ([f[0].replace(b";chunk-signature=", b";x="), *f[1:]], e),
    "more_behind": lambda f, e: (f, e + b"5\r\nhello\r\n0\r\n\r\n"),
}


@pytest.mark.parametrize("name", TAMPERS)
def test_tampered_chunks(server, s3, bucket, name):
    status, _, answer = chunk_signed(server, "PUT", f"/{bucket}/k", data(200_000), tamper=TAMPERS[name])
    assert status in (400, 403), (status, answer)
    with refused(404):
        s3.head_object(Bucket=bucket, Key="k")


def test_unknown_streaming_mode(server, s3, bucket):
    class Auth(S3SigV4Auth):
        def payload(self, request):
            return "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD"

    request = AWSRequest(method="PUT", url=f"{server.endpoint}/{bucket}/k", data=b"", headers={"x-amz-decoded-content-length": "5"})
    Auth(Credentials(getattr(server, "access", "localadmin"), getattr(server, "secret", "localadmin")), "s3", "us-east-1").add_auth(request)
    headers = {k: (v.decode() if isinstance(v, bytes) else v) for k, v in request.headers.items() if k != "Content-Length"}
    status, _, answer = send(server.endpoint, "PUT", f"/{bucket}/k", b"5\r\nhello\r\n0\r\n\r\n", headers)
    assert status in (400, 403, 501), answer
    with refused(404):
        s3.head_object(Bucket=bucket, Key="k")


@pytest.mark.parametrize("zone", ["GMT", "-0000", "+0000"])
def test_the_date_header_may_stand_for_x_amz_date(server, zone):
    """boto3 signs so when it is given a Date, in the form of mail rather than of HTTP."""
    now = datetime.datetime.now(datetime.timezone.utc)
    date = now.strftime(f"%a, %d %b %Y %H:%M:%S {zone}")
    host = urllib.parse.urlsplit(server.endpoint).netloc
    names = "date;host;x-amz-content-sha256"
    request = f"GET\n/\n\ndate:{date}\nhost:{host}\nx-amz-content-sha256:{EMPTY}\n\n{names}\n{EMPTY}"
    scope = now.strftime("%Y%m%d/us-east-1/s3/aws4_request")
    text = f"AWS4-HMAC-SHA256\n{now.strftime('%Y%m%dT%H%M%SZ')}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    key = b"AWS4" + getattr(server, "secret", "localadmin").encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    credential = f"{getattr(server, 'access', 'localadmin')}/{scope}"
    status, _, body = send(server.endpoint, "GET", "/", headers={
        "Date": date, "x-amz-content-sha256": EMPTY,
        "Authorization": f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={signature}"})
    assert status == 200, body


@pytest.mark.local
def test_signature_version_2_headers(local_node, s3, bucket):
    v2 = local_node.client(signature_version="s3")
    key = "a b+c/ü%~!'()*"
    assert bucket in [b["Name"] for b in v2.list_buckets()["Buckets"]]
    v2.put_object(Bucket=bucket, Key=key, Body=b"two", ContentType="text/x", Metadata={"m": "v  w"})
    assert s3.head_object(Bucket=bucket, Key=key)["Metadata"] == {"m": "v  w"}
    got = v2.get_object(Bucket=bucket, Key=key, ResponseContentType="text/plain; charset=utf-8")
    assert (got["Body"].read(), got["ContentType"]) == (b"two", "text/plain; charset=utf-8")
    assert [o["Key"] for o in v2.list_objects_v2(Bucket=bucket, Prefix="a b+")["Contents"]] == [key]
    with refused(404, "ServerSideEncryptionConfigurationNotFoundError"):
        v2.get_bucket_encryption(Bucket=bucket)  # boto3 does not sign this sub-resource
    upload = v2.create_multipart_upload(Bucket=bucket, Key="m")["UploadId"]
    part = v2.upload_part(Bucket=bucket, Key="m", UploadId=upload, PartNumber=1, Body=b"part")["ETag"]
    v2.complete_multipart_upload(Bucket=bucket, Key="m", UploadId=upload, MultipartUpload={"Parts": [{"ETag": part, "PartNumber": 1}]})
    v2.copy_object(Bucket=bucket, Key="n", CopySource={"Bucket": bucket, "Key": "m"})
    assert not v2.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": k} for k in ("m", "n", key)]}).get("Errors")
    with refused(403, "SignatureDoesNotMatch"):
        local_node.client(secret="wrong", signature_version="s3").list_buckets()
    with refused(403, "InvalidAccessKeyId"):
        local_node.client(access="NOBODY", signature_version="s3").list_buckets()


@pytest.mark.local
def test_signature_version_2_urls(local_node, s3, bucket):
    v2 = local_node.client(signature_version=None)
    args = {"Bucket": bucket, "Key": "a b+c/ü%"}
    put = v2.generate_presigned_url("put_object", {**args, "ContentType": "text/x", "Metadata": {"m": "v"}})
    assert "AWSAccessKeyId=" in put
    # What the URL carries in place of headers is obeyed, and cannot be overruled.
    assert fetch(put, "PUT", b"by url")[0] == 200
    head = s3.head_object(**args)
    assert (head["ContentType"], head["Metadata"]) == ("text/x", {"m": "v"})
    status, _, body = fetch(put, "PUT", b"x", {"Content-Type": "text/y"})
    assert (status, code_of(body)) == (403, "SignatureDoesNotMatch") and b"<StringToSign>" in body
    get = v2.generate_presigned_url("get_object", {**args, "ResponseContentType": "image/png"}, ExpiresIn=60)
    status, headers, body = fetch(get)
    assert (status, headers["content-type"], body) == (200, "image/png", b"by url")
    for evil in (get.replace("%20", "%21"), get + "&versionId=null", get + "&acl", get.replace("image", "text"), get.replace("Expires=", "Expires=9")):
        status, _, body = fetch(evil)
        assert (status, code_of(body)) == (403, "SignatureDoesNotMatch"), evil
    status, _, body = fetch(v2.generate_presigned_url("get_object", args, ExpiresIn=-5))
    assert (status, code_of(body)) == (403, "AccessDenied") and b"Request has expired" in body and b"<Expires>" in body and b"<ServerTime>" in body
    for missing in ("Signature", "Expires", "AWSAccessKeyId"):
        parts = urllib.parse.urlsplit(get)
        query = [(k, v) for k, v in urllib.parse.parse_qsl(parts.query) if k != missing]
        status, _, body = fetch(parts._replace(query=urllib.parse.urlencode(query)).geturl())
        assert (status, code_of(body)) == (403, "AccessDenied") and b"requires the Signature, Expires and AWSAccessKeyId" in body
    assert fetch(v2.generate_presigned_url("list_objects_v2", {"Bucket": bucket}))[0] == 200
    assert fetch(v2.generate_presigned_url("delete_object", args), "DELETE")[0] == 204


def test_headers_that_a_presigned_url_carries_in_its_query_count(server, s3, bucket):
    """The JavaScript SDK signs metadata and the like into the query; botocore does so when asked with query_auth."""
    from botocore.auth import S3SigV4QueryAuth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    def url(key, params):
        request = AWSRequest("PUT", f"{server.endpoint}/{bucket}/{key}", params=params)
        access, secret = getattr(server, "access", "localadmin"), getattr(server, "secret", "localadmin")
        S3SigV4QueryAuth(Credentials(access, secret), "s3", "us-east-1", expires=60).add_auth(request)
        return request.url[len(server.endpoint):]

    target = url("k", {"x-amz-meta-colour": "blue", "x-amz-sdk-checksum-algorithm": "CRC32", "x-amz-checksum-crc32": "AAAAAA=="})
    assert send(server.endpoint, "PUT", target, b"body", {})[0] == 200
    assert s3.head_object(Bucket=bucket, Key="k")["Metadata"] == {"colour": "blue"}
    status, _, body = send(server.endpoint, "PUT", target.replace("blue", "red"), b"body", {})
    assert (status, code_of(body)) == (403, "SignatureDoesNotMatch")
    assert send(server.endpoint, "GET", f"/{bucket}/k")[0] == 403
    # However the signature is spelt, what was signed is obeyed.
    spelt = url("t", {"x-amz-tagging": "class=tmp"}).replace("X-Amz-Signature=", "X-Amz-%53ignature=")
    assert send(server.endpoint, "PUT", spelt, b"body", {})[0] == 200
    assert s3.get_object_tagging(Bucket=bucket, Key="t")["TagSet"] == [{"Key": "class", "Value": "tmp"}]
    assert send(server.endpoint, "PUT", url("p", {"x-amz-acl": "public-read"}), b"body", {})[0] == 200
    assert send(server.endpoint, "GET", f"/{bucket}/p")[2] == b"body"
