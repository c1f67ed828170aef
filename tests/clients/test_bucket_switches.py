"""Request payment, acceleration, and what is answered for configurations that nobody set."""

import json

import pytest
from util import code_of, refused, send, signed

OTHER = {"access_key": "payer", "secret_key": "secret", "display_name": "payer", "policies": []}


def test_request_payment_documents(server, s3, bucket):
    assert s3.get_bucket_request_payment(Bucket=bucket)["Payer"] == "BucketOwner"
    for payer in ("Requester", "BucketOwner"):
        s3.put_bucket_request_payment(Bucket=bucket, RequestPaymentConfiguration={"Payer": payer})
        assert s3.get_bucket_request_payment(Bucket=bucket)["Payer"] == payer
    with refused(400, "MalformedXML"):
        s3.put_bucket_request_payment(Bucket=bucket, RequestPaymentConfiguration={"Payer": "Nobody"})


@pytest.fixture
def paid(node_factory):
    """A node, and a bucket that everybody may use if they pay."""
    node = node_factory()
    node.add_users(OTHER)
    s3 = node.client()
    s3.create_bucket(Bucket="paid")
    s3.put_object(Bucket="paid", Key="k", Body=b"x")
    statement = {"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": ["arn:aws:s3:::paid", "arn:aws:s3:::paid/*"]}
    s3.put_bucket_policy(Bucket="paid", Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    s3.put_bucket_request_payment(Bucket="paid", RequestPaymentConfiguration={"Payer": "Requester"})
    return node


def test_who_pays(paid):
    owner, payer = paid.client(), paid.client("payer", "secret")
    agreed = {"RequestPayer": "requester"}
    assert "RequestCharged" not in owner.get_object(Bucket="paid", Key="k")
    for call in (
        lambda **more: payer.get_object(Bucket="paid", Key="k", **more),
        lambda **more: payer.put_object(Bucket="paid", Key="own", Body=b"y", **more),
        lambda **more: payer.list_objects_v2(Bucket="paid", **more),
        lambda **more: payer.delete_object(Bucket="paid", Key="own", **more),
        lambda **more: payer.copy_object(Bucket="paid", Key="copy", CopySource="paid/k", **more),
    ):
        with refused(403, "AccessDenied"):
            call()
        assert call(**agreed)["RequestCharged"] == "requester"
    with refused(403):
        payer.head_object(Bucket="paid", Key="k")
    assert payer.head_object(Bucket="paid", Key="k", **agreed)["RequestCharged"] == "requester"
    assert send(paid.endpoint, "GET", "/paid/k")[0] == 403
    assert send(paid.endpoint, "GET", "/paid/k", headers={"x-amz-request-payer": "requester"})[0] == 403


def test_who_pays_for_a_source(paid):
    payer = paid.client("payer", "secret")
    payer.create_bucket(Bucket="own")
    with refused(403, "AccessDenied"):
        payer.copy_object(Bucket="own", Key="k", CopySource="paid/k")
    payer.copy_object(Bucket="own", Key="k", CopySource="paid/k", RequestPayer="requester")


def test_who_pays_by_url_and_form(paid):
    payer = paid.client("payer", "secret")
    plain = payer.generate_presigned_url("get_object", Params={"Bucket": "paid", "Key": "k"})
    agreed = payer.generate_presigned_url("get_object", Params={"Bucket": "paid", "Key": "k", "RequestPayer": "requester"})
    assert send(paid.endpoint, "GET", plain[len(paid.endpoint):])[0] == 403
    status, headers, body = send(paid.endpoint, "GET", agreed[len(paid.endpoint):], headers={"x-amz-request-payer": "requester"})
    assert (status, headers.get("x-amz-request-charged"), body) == (200, "requester", b"x")
    for fields, status in (({}, 403), ({"x-amz-request-payer": "requester"}, 204)):
        conditions = [fields] if fields else []
        form = payer.generate_presigned_post("paid", "form", Fields=dict(fields), Conditions=conditions)
        parts = [f'--x\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in form["fields"].items()]
        parts.append('--x\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nbytes\r\n--x--\r\n')
        got, headers, _ = send(paid.endpoint, "POST", "/paid", "".join(parts).encode(), {"Content-Type": "multipart/form-data; boundary=x"})
        assert got == status and (status == 403 or headers["x-amz-request-charged"] == "requester")


def test_acceleration(s3, bucket):
    assert "Status" not in s3.get_bucket_accelerate_configuration(Bucket=bucket)
    for status in ("Enabled", "Suspended"):
        s3.put_bucket_accelerate_configuration(Bucket=bucket, AccelerateConfiguration={"Status": status})
        assert s3.get_bucket_accelerate_configuration(Bucket=bucket)["Status"] == status
    with refused(400, "MalformedXML"):
        s3.put_bucket_accelerate_configuration(Bucket=bucket, AccelerateConfiguration={"Status": "On"})
    dotted = f"a.{bucket}"
    s3.create_bucket(Bucket=dotted)
    with refused(400, "InvalidRequest") as answer:
        s3.put_bucket_accelerate_configuration(Bucket=dotted, AccelerateConfiguration={"Status": "Enabled"})
    assert "periods" in answer["Error"]["Message"]
    s3.delete_bucket(Bucket=dotted)


# What Terraform's AWS provider reads of an aws_s3_bucket on each refresh, in its order; version 6 adds S3 Control.
REFRESH = [
    ("HEAD", "", 200, None),
    ("GET", "?policy", 404, "NoSuchBucketPolicy"),
    ("GET", "?acl", 200, "<AccessControlPolicy"),
    ("GET", "?cors", 404, "NoSuchCORSConfiguration"),
    ("GET", "?website", 404, "NoSuchWebsiteConfiguration"),
    ("GET", "?versioning", 200, "<VersioningConfiguration"),
    ("GET", "?accelerate", 200, "<AccelerateConfiguration"),
    ("GET", "?requestPayment", 200, "<Payer>BucketOwner</Payer>"),
    ("GET", "?logging", 200, "<BucketLoggingStatus"),
    ("GET", "?lifecycle", 404, "NoSuchLifecycleConfiguration"),
    ("GET", "?replication", 404, "ReplicationConfigurationNotFoundError"),
    ("GET", "?encryption", 404, "ServerSideEncryptionConfigurationNotFoundError"),
    ("GET", "?object-lock", 404, "ObjectLockConfigurationNotFoundError"),
    ("GET", "?location", 200, "<LocationConstraint"),
    ("GET", "?tagging", 404, "NoSuchTagSet"),
    # Of the resources beside it.
    ("GET", "?publicAccessBlock", 404, "NoSuchPublicAccessBlockConfiguration"),
    ("GET", "?ownershipControls", 404, "OwnershipControlsNotFoundError"),
    ("GET", "?notification", 200, "<NotificationConfiguration"),
]


@pytest.mark.parametrize("agent", ["APN/1.0 HashiCorp/1.0 Terraform/1.9 terraform-provider-aws/5.100.0", "terraform-provider-aws/6.20.0"])
def test_terraform_refreshes_a_bucket(server, bucket, agent):
    for method, query, status, told in REFRESH:
        got, headers, body = signed(server, method, f"/{bucket}{query}", headers={"User-Agent": agent})
        assert got == status, f"{query}: {got} {body}"
        assert told is None or (code_of(body) == told if status == 404 else told in body.decode()), query
    if "/6." in agent:
        target = f"/v20180820/tags/arn%3Aaws%3As3%3A%3A%3A{bucket}"
        got, _, body = signed(server, "GET", target, headers={"User-Agent": agent, "x-amz-account-id": "123456789012"})
        assert got == 200 and b"<Tags></Tags>" in body


@pytest.mark.parametrize("query", ["analytics&id=1", "analytics", "inventory", "metrics", "intelligent-tiering", "session", "abac"])
def test_what_is_not_built_says_so(server, bucket, query):
    got, _, body = signed(server, "GET", f"/{bucket}?{query}")
    assert (got, code_of(body)) == (501, "NotImplemented")


def test_unknown_parameters_are_ignored(server, bucket):
    got, _, body = signed(server, "GET", f"/{bucket}?x-id=ListObjects&whatever=1")
    assert got == 200 and b"<ListBucketResult" in body
