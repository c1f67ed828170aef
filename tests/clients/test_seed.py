"""What the manual of the first generation promises: its multipart example, as it stands there (6-byte parts), and its routes, asked as
it asks them, with keys in two headers."""

import json
import urllib.error
import urllib.request

import pytest

pytestmark = pytest.mark.local


def test_the_manuals_multipart_example(node_factory):
    node = node_factory(MULTIPART_MIN_PART_SIZE=1)
    s3 = node.client()
    s3.create_bucket(Bucket="mybucket")

    # Initiate
    response = s3.create_multipart_upload(Bucket='mybucket', Key='large.bin')
    upload_id = response['UploadId']
    # Upload parts
    parts = []
    chunks = [b'chunk1', b'chunk2'] # Example data chunks
    for part_number, chunk in enumerate(chunks, start=1):
        response = s3.upload_part(
            Bucket='mybucket',
            Key='large.bin',
            PartNumber=part_number,
            UploadId=upload_id,
            Body=chunk
        )
        parts.append({'PartNumber': part_number, 'ETag': response['ETag']})
    # Complete
    s3.complete_multipart_upload(
        Bucket='mybucket',
        Key='large.bin',
        UploadId=upload_id,
        MultipartUpload={'Parts': parts}
    )

    assert s3.get_object(Bucket="mybucket", Key="large.bin")["Body"].read() == b"chunk1chunk2"
    node.wait_file("mybucket", "large.bin", b"chunk1chunk2")


def ask(node, method, target, body=None, keys=("localadmin", "localadmin")):
    """Asks as `curl -H "X-Access-Key: …" -H "X-Secret-Key: …"` does; answers the status, and the document if it is JSON."""
    url = target if target.startswith("http") else node.endpoint + target
    headers = {"X-Access-Key": keys[0], "X-Secret-Key": keys[1]} if keys else {}
    if isinstance(body, dict):
        body, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
    request = urllib.request.Request(url, body, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:
            status, answer = reply.status, reply.read()
    except urllib.error.HTTPError as error:
        status, answer = error.code, error.read()
    try:
        return status, json.loads(answer)
    except ValueError:
        return status, answer.decode()


def test_the_manuals_routes(node_factory):
    node = node_factory(KMS_ENABLED="true", ENCRYPTION_ENABLED="true")
    public = {"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": "*", "Action": ["s3:ListBucket"], "Resource": ["arn:aws:s3:::test"]}]}
    assert ask(node, "PUT", "/test") == (200, "")
    assert "<Name>test</Name>" in ask(node, "GET", "/")[1]
    assert ask(node, "PUT", "/test/a/key", b"bytes") == (200, "")
    assert ask(node, "GET", "/test/a/key") == (200, "bytes")
    assert "<Key>a/key</Key>" in ask(node, "GET", "/test")[1]
    # Policies, in force with the next request.
    assert ask(node, "GET", "/test", keys=None)[0] == 403
    assert ask(node, "PUT", "/bucket-policy/test", public) == (204, "")
    assert ask(node, "GET", "/bucket-policy/test") == (200, public)
    assert "<Key>a/key</Key>" in ask(node, "GET", "/test", keys=None)[1]
    stored = json.loads((node.root / ".myfsio.sys/config/bucket_policies.json").read_text())
    assert stored["policies"] == {"test": public}
    assert ask(node, "DELETE", "/bucket-policy/test") == (204, "")
    assert ask(node, "GET", "/test", keys=None)[0] == 403
    # Presigned URLs.
    for method, body, answer in [("GET", None, (200, "bytes")), ("PUT", b"new", (200, "")), ("DELETE", None, (204, ""))]:
        status, signed = ask(node, "POST", "/presign/test/a/key", {"method": method, "expires_in": 900})
        assert (status, signed["method"], signed["expires_in"]) == (200, method, 900)
        assert ask(node, method, signed["url"], body, keys=None) == answer
    for seconds in (0, 604801):
        assert ask(node, "POST", "/presign/test/a/key", {"method": "GET", "expires_in": seconds})[0] == 400
    # Quotas, which only administrators set.
    limits = {"max_bytes": 104857600, "max_objects": 1000}
    node.add_users({"access_key": "ann", "secret_key": "ann's", "display_name": "Ann",
                    "policies": [{"bucket": "test", "actions": ["list", "read", "write", "delete", "policy"]}]})
    for route in ("/bucket/test?quota", "/test?quota"):
        assert ask(node, "PUT", route, limits, keys=("ann", "ann's"))[0] == 403
        assert ask(node, "PUT", route, limits)[1]["quota"] == limits
        assert ask(node, "GET", route, keys=("ann", "ann's"))[1]["quota"] == limits
        none = {"max_bytes": None, "max_objects": None}
        assert ask(node, "PUT", route, none)[1]["quota"] == none
    assert ask(node, "PUT", "/bucket/test?quota", {"max_bytes": 3})[0] == 200
    status, answer = ask(node, "PUT", "/test/large", b"four")
    assert status == 400 and "<Code>QuotaExceeded</Code><Message>Bucket quota exceeded: storage limit reached</Message>" in answer
    assert "<BucketName>test</BucketName>" in answer
    # Keys.
    status, made = ask(node, "POST", "/kms/keys", {"alias": "my-key", "description": "Production encryption key"})
    key = made["KeyMetadata"]["KeyId"]
    assert status == 200 and [one["KeyId"] for one in ask(node, "GET", "/kms/keys")[1]["Keys"]] == [key]
    assert ask(node, "GET", "/kms/keys/my-key")[1]["KeyMetadata"]["Description"] == "Production encryption key"
    for step, state in [("rotate", "Enabled"), ("disable", "Disabled"), ("enable", "Enabled")]:
        assert ask(node, "POST", f"/kms/keys/{key}/{step}")[0] == 200
        assert ask(node, "GET", f"/kms/keys/{key}")[1]["KeyMetadata"]["KeyState"] == state
    assert ask(node, "DELETE", f"/kms/keys/{key}?waiting_period_days=30")[1]["KeyState"] == "PendingDeletion"
    assert ask(node, "DELETE", "/test") == (204, "")
    assert ask(node, "GET", "/healthz", keys=None)[1]["status"] == "ok"
