"""Uploads of browser forms, as a browser sends them (S3 API Reference, "POST Object" and "POST Policy")."""

import base64
import datetime
import hashlib
import hmac
import json

import pytest

from util import b64, code_of, crc32, refused, send

BOUNDARY = "----formboundary42"


def sign(server, conditions, expire=600, secret=None):
    """The fields that a form with this policy carries beside its own; their conditions are added."""
    access, secret = getattr(server, "access", "localadmin"), secret or getattr(server, "secret", "localadmin")
    now = datetime.datetime.now(datetime.timezone.utc)
    day = now.strftime("%Y%m%d")
    fields = {"x-amz-algorithm": "AWS4-HMAC-SHA256", "x-amz-credential": f"{access}/{day}/us-east-1/s3/aws4_request",
              "x-amz-date": now.strftime("%Y%m%dT%H%M%SZ")}
    until = (now + datetime.timedelta(seconds=expire)).strftime("%Y-%m-%dT%H:%M:%SZ")
    document = {"expiration": until, "conditions": conditions + [{k: v} for k, v in fields.items()]}
    policy = b64(json.dumps(document).encode())
    key = b"AWS4" + secret.encode()
    for part in (day, "us-east-1", "s3", "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return {**fields, "policy": policy, "x-amz-signature": hmac.new(key, policy.encode(), hashlib.sha256).hexdigest()}


def encode(fields, body=b"form body", filename="up.txt", after=()):
    """The form with its file, and the fields behind it."""
    field = lambda k, v: f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n'.encode()
    out = b"".join(field(k, v) for k, v in fields)
    out += f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{filename}"\r\nContent-Type: text/plain\r\n\r\n'.encode()
    return out + body + b"\r\n" + b"".join(field(k, v) for k, v in after) + f"--{BOUNDARY}--\r\n".encode()


def post(server, bucket, form, headers=None):
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}", **(headers or {})}
    return send(server.endpoint, "POST", f"/{bucket}", form, headers)


def upload(server, bucket, fields=None, conditions=None, headers=None, body=b"form body", filename="up.txt", after=(), **policy):
    """Sends a form whose policy allows exactly its fields, unless told otherwise."""
    fields = {"key": "form/${filename}", **(fields or {})}
    exact = [{k: v} for k, v in fields.items() if k != "key"] + [["starts-with", "$key", "form/"]]
    rules = [{"bucket": bucket}] + (exact if conditions is None else conditions)
    signed = sign(server, rules, **policy)
    return post(server, bucket, encode([*fields.items(), *signed.items()], body, filename, after), headers)


def test_a_form(server, s3, bucket):
    status, headers, body = upload(server, bucket)
    assert (status, body) == (204, b"")
    assert headers["etag"] == f'"{hashlib.md5(b"form body").hexdigest()}"'
    assert headers["location"] == f"{server.endpoint}/{bucket}/form/up.txt"
    got = s3.get_object(Bucket=bucket, Key="form/up.txt")
    assert (got["Body"].read(), got["ContentType"]) == (b"form body", "binary/octet-stream")


def test_refusals(server, s3, bucket):
    sized = [["starts-with", "$key", "form/"], ["content-length-range", 1, 1000]]
    for bend, expected in (
        ({"secret": "wrong"}, (403, "SignatureDoesNotMatch")),
        ({"expire": -10}, (403, "AccessDenied")),
        ({"fields": {"key": "other/x"}}, (403, "AccessDenied")),
        ({"fields": {"x-amz-meta-a": "b"}, "conditions": sized}, (403, "AccessDenied")),
        ({"fields": {"acl": "private"}, "conditions": sized + [["eq", "$acl", "public-read"]]}, (403, "AccessDenied")),
        ({"conditions": sized, "body": b"x" * 1001}, (400, "EntityTooLarge")),
        ({"conditions": sized, "body": b""}, (400, "EntityTooSmall")),
        ({"conditions": [["starts-with", "$key"]]}, (400, "InvalidPolicyDocument")),
        ({"conditions": [["ends-with", "$key", "x"]]}, (400, "InvalidPolicyDocument")),
    ):
        status, _, body = upload(server, bucket, **bend)
        assert (status, code_of(body)) == expected, (bend, body)
    whole = encode([("key", "form/x")])
    for form, content_type, expected in (
        (whole, "application/json", (412, "PreconditionFailed")),
        (whole, "multipart/form-data", (400, "MalformedPOSTRequest")),
        (encode([]), None, (400, "InvalidArgument")),
        (whole[:60], None, (400, "MalformedPOSTRequest")),
        (f"--{BOUNDARY}--\r\n".encode(), None, (400, "InvalidArgument")),
        (encode([("key", "form/x"), ("x-amz-signature", "0")]), None, (400, "InvalidArgument")),
        (whole, None, (403, "AccessDenied")),  # nobody signed it
    ):
        status, _, body = post(server, bucket, form, {"Content-Type": content_type} if content_type else None)
        assert (status, code_of(body)) == expected, body
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


def test_fields_describe_the_object(server, s3, bucket):
    status, _, body = upload(server, bucket, {
        "Content-Type": "text/css", "Cache-Control": "no-store", "Content-Disposition": "inline; x=1", "Content-Encoding": "gzip",
        "Content-Language": "de", "Expires": "Thu, 01 Dec 2050 16:00:00 GMT", "X-Amz-Meta-Colour": "green", "X-AMZ-META-EMPTY": "",
        "x-amz-storage-class": "STANDARD_IA", "x-amz-website-redirect-location": "/elsewhere",
        "tagging": "<Tagging><TagSet><Tag><Key>a</Key><Value>b c</Value></Tag><Tag><Key>d</Key><Value/></Tag></TagSet></Tagging>",
    }, after=[("x-amz-meta-late", "ignored"), ("submit", "Upload")])
    assert status == 204, body
    head = s3.head_object(Bucket=bucket, Key="form/up.txt")
    told = {name: head[name] for name in ("ContentType", "CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage", "StorageClass", "WebsiteRedirectLocation", "TagCount")}
    assert told == {"ContentType": "text/css", "CacheControl": "no-store", "ContentDisposition": "inline; x=1", "ContentEncoding": "gzip",
                    "ContentLanguage": "de", "StorageClass": "STANDARD_IA", "WebsiteRedirectLocation": "/elsewhere", "TagCount": 2}
    assert head["Metadata"] == {"colour": "green", "empty": ""} and head["ExpiresString"] == "Thu, 01 Dec 2050 16:00:00 GMT"
    for fields, expected in (
        ({"tagging": "<Tagging>"}, "MalformedXML"),
        ({"x-amz-storage-class": "WARM"}, "InvalidStorageClass"),
        ({"x-amz-meta-a": "x" * 2049}, "MetadataTooLarge"),
        ({"x-amz-tagging": "a=1&a=2"}, "InvalidArgument"),
        ({"acl": "everybody"}, "InvalidArgument"),
    ):
        status, _, body = upload(server, bucket, fields)
        assert (status, code_of(body)) == (400, expected), (fields, body)


def test_names_and_operators_in_any_case(server, s3, bucket):
    rules = [["Starts-With", "$KEY", "form/"], {"x-amz-META-a": "b"}, ["EQ", "$Success_Action_Status", "201"], ["Content-Length-Range", 0, "100"]]
    status, _, body = upload(server, bucket, {"X-Amz-Meta-A": "b", "SUCCESS_action_status": "201", "x-IGNORE-this": "1"}, rules)
    assert status == 201, body
    assert s3.head_object(Bucket=bucket, Key="form/up.txt")["Metadata"] == {"a": "b"}


def test_every_type_of_a_list_is_held_to_its_condition(server, bucket):
    rules = [["starts-with", "$key", "form/"], ["starts-with", "$Content-Type", "image/"]]
    assert upload(server, bucket, {"Content-Type": "image/png, image/gif"}, rules)[0] == 204
    status, _, body = upload(server, bucket, {"Content-Type": "image/png,text/html"}, rules)
    assert (status, code_of(body)) == (403, "AccessDenied")


@pytest.mark.parametrize("given, expected", [(None, 204), ("200", 200), ("204", 204), ("201", 201), ("302", 204), ("x", 204), ("", 204)])
def test_success_status(server, bucket, given, expected):
    status, headers, body = upload(server, bucket, {} if given is None else {"success_action_status": given})
    assert status == expected and headers["etag"]
    if expected != 201:
        assert body == b""
        return
    text = body.decode()
    assert headers["content-type"] == "application/xml" and "<PostResponse" in text
    assert f"<Bucket>{bucket}</Bucket><Key>form/up.txt</Key>" in text and f"<Location>{headers['location']}</Location>" in text


def test_success_redirect(server, bucket):
    for name in ("success_action_redirect", "redirect"):
        status, headers, body = upload(server, bucket, {name: "http://example.com/done?x=1", "success_action_status": "201"})
        etag = hashlib.md5(b"form body").hexdigest()
        assert (status, body) == (303, b"")
        assert headers["location"] == f"http://example.com/done?x=1&bucket={bucket}&key=form/up.txt&etag=%22{etag}%22"
    assert upload(server, bucket, {"success_action_redirect": "nowhere", "success_action_status": "200"})[0] == 200


def test_file_names(server, s3, bucket):
    assert upload(server, bucket, {"x-amz-meta-name": "is ${filename}"}, filename="C:\\\\files\\\\ü a.txt",
                  conditions=[["starts-with", "$key", "form/"], ["starts-with", "$x-amz-meta-name", ""]])[0] == 204
    assert [o["Key"] for o in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["form/ü a.txt"]


def test_checksums_of_the_file(server, bucket):
    right, wrong = crc32(b"form body"), crc32(b"another")
    status, headers, _ = upload(server, bucket, {"x-amz-checksum-crc32": right})
    assert status == 204 and headers["x-amz-checksum-crc32"] == right
    for fields, code in (({"x-amz-checksum-crc32": wrong}, "BadDigest"), ({"Content-MD5": b64(hashlib.md5(b"x").digest())}, "BadDigest"),
                         ({"Content-MD5": "x"}, "InvalidDigest")):
        status, _, body = upload(server, bucket, fields)
        assert (status, code_of(body)) == (400, code), body


def test_policies_judge_the_fields(server, s3, bucket):
    """A bucket policy's conditions are on the object that the form makes, not on headers beside the form."""
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [{
        "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{bucket}/*",
        "Condition": {"StringEquals": {"s3:x-amz-storage-class": "GLACIER"}}}]}))
    glacier = {"x-amz-storage-class": "GLACIER"}
    status, _, body = upload(server, bucket, glacier, headers={"x-amz-storage-class": "STANDARD"})
    assert (status, code_of(body)) == (403, "AccessDenied")
    assert upload(server, bucket, headers=glacier)[0] == 204
    s3.delete_bucket_policy(Bucket=bucket)
    assert upload(server, bucket, glacier)[0] == 204


def test_version_2_forms(server, s3, bucket):
    access, secret = getattr(server, "access", "localadmin"), getattr(server, "secret", "localadmin")
    policy = b64(json.dumps({"expiration": "2050-01-01T00:00:00Z", "conditions": [{"bucket": bucket}, ["starts-with", "$key", ""]]}).encode())
    signature = b64(hmac.new(secret.encode(), policy.encode(), hashlib.sha1).digest())
    fields = [("key", "two"), ("AWSAccessKeyId", access), ("Policy", policy), ("Signature", signature)]
    assert post(server, bucket, encode(fields))[0] == 204
    assert s3.get_object(Bucket=bucket, Key="two")["Body"].read() == b"form body"
    status, _, body = post(server, bucket, encode(fields[:-1] + [("signature", base64.b64encode(b"x" * 20).decode())]))
    assert (status, code_of(body)) == (403, "SignatureDoesNotMatch")


def test_conditions_of_forms(server, s3, bucket):
    def send(key, **more):
        more = {name.replace("_", "-"): value for name, value in more.items()}
        made = s3.generate_presigned_post(bucket, key, Fields=more, Conditions=[{name: value} for name, value in more.items()])
        status, _, body = post(server, bucket, encode(made["fields"].items()))
        return status if status < 400 else (status, code_of(body))

    etag = s3.put_object(Bucket=bucket, Key="there", Body=b"old")["ETag"]
    failed = (412, "PreconditionFailed")
    assert [send("there", if_none_match="*"), send("there", if_match='"nope"'), send("there", if_none_match=etag)] == [failed] * 3
    assert send("there", x_amz_expected_bucket_owner="111111111111") == (403, "AccessDenied")
    assert send("there", x_amz_write_offset_bytes="3") == (501, "NotImplemented")
    assert s3.get_object(Bucket=bucket, Key="there")["Body"].read() == b"old"
    assert (send("there", if_match=etag), send("new", if_none_match="*")) == (204, 204)
    assert s3.get_object(Bucket=bucket, Key="there")["Body"].read() == b"form body"


def test_boto3_presigns_forms(server, s3, bucket):
    made = s3.generate_presigned_post(bucket, "k ü", Fields={"acl": "private"}, Conditions=[{"acl": "private"}, ["content-length-range", 0, 9]])
    assert post(server, bucket, encode(made["fields"].items()))[0] == 204
    assert s3.get_object(Bucket=bucket, Key="k ü")["Body"].read() == b"form body"
    status, _, body = post(server, bucket, encode(made["fields"].items(), b"ten bytes!"))
    assert (status, code_of(body)) == (400, "EntityTooLarge")
    with refused(404):
        s3.head_object(Bucket=bucket, Key="none")
