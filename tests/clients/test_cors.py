"""Cross-origin rules: the documents, preflights, and the headers on every other answer."""

import pytest
from util import code_of, refused, send, signed

ORIGIN = "https://app.example"
RULE = {
    "ID": "app",
    "AllowedOrigins": [ORIGIN, "https://*.example.org"],
    "AllowedMethods": ["GET", "PUT", "POST"],
    "AllowedHeaders": ["x-amz-*", "content-type"],
    "ExposeHeaders": ["ETag", "x-amz-version-id"],
    "MaxAgeSeconds": 600,
}
VARY = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"


@pytest.fixture
def shared(s3, bucket):
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [RULE]})
    return bucket


def preflight(server, target, method="GET", origin=ORIGIN, headers=None):
    asked = {"Access-Control-Request-Method": method, "Origin": origin, "Access-Control-Request-Headers": headers}
    return send(server.endpoint, "OPTIONS", target, headers={k: v for k, v in asked.items() if v is not None})


def allowed(headers):
    return {k: v for k, v in headers.items() if k.startswith("access-control-")}


def test_configuration(s3, bucket):
    with refused(404, "NoSuchCORSConfiguration"):
        s3.get_bucket_cors(Bucket=bucket)
    rules = [RULE, {"AllowedOrigins": ["*"], "AllowedMethods": ["HEAD"]}]
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": rules})
    assert s3.get_bucket_cors(Bucket=bucket)["CORSRules"] == rules
    assert s3.delete_bucket_cors(Bucket=bucket)["ResponseMetadata"]["HTTPStatusCode"] == 204
    with refused(404, "NoSuchCORSConfiguration"):
        s3.get_bucket_cors(Bucket=bucket)


@pytest.mark.parametrize(
    "rule, code, message",
    [
        ({"AllowedMethods": ["PATCH"]}, "InvalidRequest", "Found unsupported HTTP method in CORS config. Unsupported method is PATCH"),
        ({"AllowedOrigins": ["http://*.*"]}, "InvalidRequest", 'AllowedOrigin "http://*.*" can not have more than one wildcard.'),
        ({"AllowedHeaders": ["*-*"]}, "InvalidRequest", 'AllowedHeader "*-*" can not have more than one wildcard.'),
        ({"ExposeHeaders": ["*"]}, "InvalidRequest", 'ExposeHeader "*" contains wildcard. We currently do not support wildcard for ExposeHeader.'),
        ({"AllowedMethods": []}, "MalformedXML", None),
        ({"AllowedOrigins": []}, "MalformedXML", None),
    ],
)
def test_rules_are_checked(s3, bucket, rule, code, message):
    with refused(400, code) as answer:
        s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [{**RULE, **rule}]})
    assert message is None or answer["Error"]["Message"] == message
    with refused(404, "NoSuchCORSConfiguration"):
        s3.get_bucket_cors(Bucket=bucket)


def test_number_of_rules(s3, bucket):
    rules = [{"AllowedOrigins": [f"http://{i}.example"], "AllowedMethods": ["GET"]} for i in range(101)]
    with refused(400, "MalformedXML"):
        s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": rules})
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": rules[:100]})
    assert len(s3.get_bucket_cors(Bucket=bucket)["CORSRules"]) == 100


def test_preflight(server, shared):
    for target in (f"/{shared}", f"/{shared}/any/key?X-Amz-Signature=whatever"):
        status, headers, body = preflight(server, target, "PUT", headers="X-Amz-Meta-A, Content-Type")
        assert (status, body) == (200, b"")
        assert allowed(headers) == {
            "access-control-allow-origin": ORIGIN,
            "access-control-allow-credentials": "true",
            "access-control-allow-methods": "GET, PUT, POST",
            "access-control-allow-headers": "x-amz-meta-a, content-type",
            "access-control-expose-headers": "ETag, x-amz-version-id",
            "access-control-max-age": "600",
        }
        assert headers["vary"] == VARY


def test_preflight_for_every_origin(server, s3, bucket):
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [{"AllowedOrigins": ["*"], "AllowedMethods": ["GET"]}]})
    status, headers, _ = preflight(server, f"/{bucket}/k", origin="null")
    assert status == 200 and allowed(headers) == {"access-control-allow-origin": "*", "access-control-allow-methods": "GET"}


def test_refused_preflights(server, s3, shared):
    not_allowed = b"<Message>CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin,"
    for change in ({"origin": "https://other.example"}, {"method": "DELETE"}, {"headers": "authorization"}):
        status, headers, body = preflight(server, f"/{shared}/k", **change)
        assert (status, code_of(body)) == (403, "AccessForbidden"), change
        assert not_allowed in body and b"<ResourceType>OBJECT</ResourceType>" in body
        assert not allowed(headers), change
    status, _, body = preflight(server, f"/{shared}/k", method=None)
    assert (status, code_of(body)) == (400, "BadRequest")
    assert b"Invalid Access-Control-Request-Method: null" in body
    status, _, body = preflight(server, f"/{shared}/k", origin=None)
    assert (status, code_of(body)) == (400, "BadRequest")
    assert b"Insufficient information. Origin request header needed." in body
    status, _, body = preflight(server, "/no-such-bucket-here/k")
    assert status == 403 and b"<Message>CORSResponse: Bucket not found</Message>" in body
    s3.delete_bucket_cors(Bucket=shared)
    status, _, body = preflight(server, f"/{shared}")
    assert status == 403 and b"<Message>CORSResponse: CORS is not enabled for this bucket.</Message>" in body
    assert b"<Method>GET</Method><ResourceType>BUCKET</ResourceType>" in body


def test_answers_are_told_to_the_origin(server, s3, shared):
    s3.put_object(Bucket=shared, Key="k", Body=b"0123456789")
    etag = s3.head_object(Bucket=shared, Key="k")["ETag"]
    expected = {
        "access-control-allow-origin": ORIGIN, "access-control-allow-credentials": "true",
        "access-control-allow-methods": "GET, PUT, POST", "access-control-expose-headers": "ETag, x-amz-version-id",
        "access-control-max-age": "600",
    }
    for more, status in (({}, 200), ({"Range": "bytes=1-2"}, 206), ({"If-None-Match": etag}, 304), ({"If-Match": '"x"'}, 412), ({"Range": "bytes=99-"}, 416)):
        got, headers, _ = signed(server, "GET", f"/{shared}/k", headers={"Origin": ORIGIN, **more})
        assert (got, allowed(headers), headers["vary"]) == (status, expected, VARY), more
    for target, status in ((f"/{shared}/absent", 404), (f"/{shared}?list-type=2", 200), (f"/{shared}?policy", 404)):
        got, headers, _ = signed(server, "GET", target, headers={"Origin": ORIGIN})
        assert (got, allowed(headers)) == (status, expected), target
    got, headers, _ = send(server.endpoint, "GET", f"/{shared}/k", headers={"Origin": ORIGIN})
    assert (got, allowed(headers)) == (403, expected)
    got, headers, _ = send(server.endpoint, "PUT", f"/{shared}/k", b"x", {"Origin": "https://a.example.org"})
    assert got == 403 and headers["access-control-allow-origin"] == "https://a.example.org"


def test_refusals_of_paths_that_cannot_be_read_are_told_to_the_origin(server, shared):
    for key, code in (("%zz", "InvalidURI"), ("%ff", "InvalidURI"), ("k" * 1100, "KeyTooLongError")):
        for ask in (send, lambda _, *request, **more: signed(server, *request, **more)):
            status, headers, body = ask(server.endpoint, "GET", f"/{shared}/{key}", headers={"Origin": ORIGIN})
            assert (status, code_of(body), headers["vary"]) == (400, code, VARY)
            assert headers["access-control-allow-origin"] == ORIGIN and "ETag" in headers["access-control-expose-headers"]
    assert not allowed(send(server.endpoint, "GET", "/no-such-bucket-here/%zz", headers={"Origin": ORIGIN})[1])


def test_other_origins_are_told_nothing(server, s3, shared):
    s3.put_object(Bucket=shared, Key="k", Body=b"x")
    for headers in ({}, {"Origin": "https://other.example"}, {"Origin": ORIGIN, "Access-Control-Request-Method": "DELETE"}):
        status, answer, body = signed(server, "GET", f"/{shared}/k", headers=headers)
        assert (status, body, allowed(answer)) == (200, b"x", {}), headers
        assert answer["vary"] == VARY
    status, answer, _ = signed(server, "DELETE", f"/{shared}/k", headers={"Origin": ORIGIN})
    assert status == 204 and not allowed(answer)


def test_presigned_urls_work_from_a_browser(server, s3, shared):
    url = s3.generate_presigned_url("put_object", Params={"Bucket": shared, "Key": "k"}, ExpiresIn=60)
    target = url[len(server.endpoint):]
    assert preflight(server, target, "PUT", headers="content-type")[0] == 200
    status, headers, _ = send(server.endpoint, "PUT", target, b"from a page", {"Origin": ORIGIN, "Content-Type": "text/plain"})
    assert status == 200 and headers["access-control-allow-origin"] == ORIGIN
    url = s3.generate_presigned_url("get_object", Params={"Bucket": shared, "Key": "k"}, ExpiresIn=60)
    status, headers, body = send(server.endpoint, "GET", url[len(server.endpoint):], headers={"Origin": ORIGIN})
    assert (status, body) == (200, b"from a page") and headers["access-control-expose-headers"].startswith("ETag")


def test_forms_work_from_a_browser(server, s3, shared):
    form = s3.generate_presigned_post(shared, "form", ExpiresIn=60)
    boundary = "----page"
    parts = [f'--{boundary}\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in form["fields"].items()]
    parts.append(f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nbytes\r\n--{boundary}--\r\n')
    headers = {"Origin": ORIGIN, "Content-Type": f"multipart/form-data; boundary={boundary}"}
    assert preflight(server, f"/{shared}", "POST", headers="content-type")[0] == 200
    status, answer, _ = send(server.endpoint, "POST", f"/{shared}", "".join(parts).encode(), headers)
    assert status == 204 and answer["access-control-allow-origin"] == ORIGIN
    assert s3.get_object(Bucket=shared, Key="form")["Body"].read() == b"bytes"
