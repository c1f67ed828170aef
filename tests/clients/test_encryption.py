"""Server-side encryption: every mode through every way in and out, and what S3 says of it."""

import base64
import hashlib
import json
import random

import boto3
import pytest

import sse
from sse import ALL, CUSTOMER, ENCRYPTED, KMS, OTHER_CUSTOMER, PLAIN, S3, customer
from test_forms import upload as post_form
from util import CHECKSUMS, MIB, b64, body_of, code_of, data, md5, refused, send, signed, upload_parts

pytestmark = pytest.mark.local
CHUNK = 64 << 10
SIZES = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 300_001, 2 * MIB + 17]


@pytest.fixture(scope="module")
def node():
    node = sse.start()
    yield node
    node.close()


@pytest.fixture(scope="module")
def s3(node):
    return node.client()


@pytest.fixture
def bucket(s3, bucket_name):
    s3.create_bucket(Bucket=bucket_name)
    return bucket_name


def default(s3, bucket, algorithm="AES256", key=None, **rule):
    by_default = {"SSEAlgorithm": algorithm, **({"KMSMasterKeyID": key} if key else {})}
    rules = [{"ApplyServerSideEncryptionByDefault": by_default, **rule}]
    return s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": rules})


def ranges_of(size):
    """Ranges at the edges of chunks, and some anywhere."""
    edges = {0, 1, size - 1, size // 2} | {at + step for at in range(0, size, CHUNK) for step in (-1, 0, 1)}
    edges = sorted(at for at in edges if 0 <= at < size)
    pairs = [(a, b) for a in edges for b in edges if a <= b]
    return random.Random(size).sample(pairs, min(len(pairs), 24))


# One request

@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("mode", ENCRYPTED, ids=str)
def test_an_object(s3, bucket, mode, size):
    body = data(size)
    put = s3.put_object(Bucket=bucket, Key="a/b", Body=body, ContentType="text/x", Metadata={"m": "1"}, **mode.write)
    mode.check(put)
    # The ETag is the MD5 where the node's own key is used, and tells nothing elsewhere.
    assert (put["ETag"].strip('"') == md5(body)) == (mode is S3)
    head = s3.head_object(Bucket=bucket, Key="a/b", **mode.read)
    mode.check(head)
    assert (head["ContentLength"], head["ETag"], head["ContentType"], head["Metadata"]) == (size, put["ETag"], "text/x", {"m": "1"})
    got = s3.get_object(Bucket=bucket, Key="a/b", **mode.read)
    mode.check(got)
    assert (got["Body"].read(), got["ETag"]) == (body, put["ETag"])
    for first, last in ranges_of(size):
        part = s3.get_object(Bucket=bucket, Key="a/b", Range=f"bytes={first}-{last}", **mode.read)
        assert part["ContentRange"] == f"bytes {first}-{last}/{size}"
        assert part["Body"].read() == body[first:last + 1], (first, last)
    listed = s3.list_objects_v2(Bucket=bucket)["Contents"]
    assert [(o["Key"], o["Size"], o["ETag"]) for o in listed] == [("a/b", size, put["ETag"])]
    whole = s3.get_object(Bucket=bucket, Key="a/b", PartNumber=1, **mode.read)
    assert whole["Body"].read() == body


@pytest.mark.parametrize("mode", ENCRYPTED, ids=str)
def test_the_same_body_twice_is_not_the_same_file(node, s3, bucket, mode):
    body = data(100_000)
    for key in ("one", "two"):
        s3.put_object(Bucket=bucket, Key=key, Body=body, **mode.write)
    s3.put_object(Bucket=bucket, Key="plain", Body=body)
    node.wait_file(bucket, "plain", body)
    one, two = (node.file(bucket, key).read_bytes() for key in ("one", "two"))
    assert one != two and len(one) == len(two) > len(body)
    assert not any(body[at:at + 16] in one for at in range(0, len(body) - 16, 4096))


@pytest.mark.parametrize("mode", ENCRYPTED, ids=str)
def test_conditions(s3, bucket, mode):
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"x", **mode.write)["ETag"]
    assert s3.get_object(Bucket=bucket, Key="k", IfMatch=etag, **mode.read)["Body"].read() == b"x"
    with refused(304):
        s3.get_object(Bucket=bucket, Key="k", IfNoneMatch=etag, **mode.read)
    with refused(412):
        s3.get_object(Bucket=bucket, Key="k", IfMatch='"' + "0" * 32 + '"', **mode.read)
    with refused(412, "PreconditionFailed"):
        s3.put_object(Bucket=bucket, Key="k", Body=b"y", IfNoneMatch="*", **mode.write)
    again = s3.put_object(Bucket=bucket, Key="k", Body=b"y", IfMatch=etag, **mode.write)["ETag"]
    assert body_of(s3, bucket, "k", **mode.read) == b"y"
    assert (again == etag) is False


@pytest.mark.parametrize("mode", ENCRYPTED, ids=str)
@pytest.mark.parametrize("algorithm", CHECKSUMS)
def test_checksums_are_of_the_plaintext(s3, bucket, mode, algorithm):
    body = data(70_000)
    name = f"Checksum{algorithm}"
    expected = CHECKSUMS[algorithm](body)
    # What boto3 does not compute itself it is given.
    claim = {name: expected} if algorithm == "MD5" else {"ChecksumAlgorithm": algorithm}
    assert s3.put_object(Bucket=bucket, Key="k", Body=body, **claim, **mode.write)[name] == expected
    with refused(400, "BadDigest"):
        s3.put_object(Bucket=bucket, Key="k", Body=body, **{name: CHECKSUMS[algorithm](b"x")}, **mode.write)
    for read in (s3.head_object, s3.get_object):
        assert read(Bucket=bucket, Key="k", ChecksumMode="ENABLED", **mode.read)[name] == expected
    told = s3.get_object_attributes(Bucket=bucket, Key="k", ObjectAttributes=["ETag", "Checksum", "ObjectSize"], **mode.read)
    assert (told["ObjectSize"], told["Checksum"][name]) == (len(body), expected)
    with refused(400, "BadDigest"):
        s3.put_object(Bucket=bucket, Key="k", Body=body, ContentMD5=b64(hashlib.md5(b"x").digest()), **mode.write)


def test_versions_have_keys_of_their_own(s3, bucket):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    made = []
    for number, mode in enumerate([*ALL, OTHER_CUSTOMER]):
        body = data(70_000, seed=number)
        made.append((mode, body, s3.put_object(Bucket=bucket, Key="k", Body=body, **mode.write)["VersionId"]))
    for mode, body, version in made:
        got = s3.get_object(Bucket=bucket, Key="k", VersionId=version, **mode.read)
        mode.check(got)
        assert got["Body"].read() == body
    with refused(400, "InvalidArgument"):
        s3.get_object(Bucket=bucket, Key="k", VersionId=made[3][2], **OTHER_CUSTOMER.read)
    # A version that is current again is opened as before.
    s3.delete_object(Bucket=bucket, Key="k", VersionId=made[-1][2])
    assert body_of(s3, bucket, "k", **CUSTOMER.read) == made[3][1]
    # Deleting needs no key.
    s3.delete_object(Bucket=bucket, Key="k")
    with refused(404):
        s3.get_object(Bucket=bucket, Key="k", **CUSTOMER.read)


# Several requests

@pytest.mark.parametrize("mode", ENCRYPTED, ids=str)
def test_a_multipart_upload(s3, bucket, mode):
    sizes = {1: 5 * MIB + 1, 2: 300_000, 5: CHUNK, 6: 1, 9: 123_456}
    parts = {number: data(size, seed=number) for number, size in sizes.items()}
    created = s3.create_multipart_upload(Bucket=bucket, Key="m", **mode.write)
    mode.check(created)
    upload, done = created["UploadId"], []
    for number, body in {**{2: b"sent again"}, **parts}.items():
        part = s3.upload_part(Bucket=bucket, Key="m", UploadId=upload, PartNumber=number, Body=body, **mode.read)
        mode.check(part)
        assert (part["ETag"].strip('"') == md5(body)) == (mode is S3)
        done = [p for p in done if p["PartNumber"] != number] + [{"PartNumber": number, "ETag": part["ETag"]}]
    done.sort(key=lambda part: part["PartNumber"])
    listed = s3.list_parts(Bucket=bucket, Key="m", UploadId=upload)["Parts"]
    assert [(p["PartNumber"], p["Size"]) for p in listed] == list(sizes.items())
    completed = s3.complete_multipart_upload(Bucket=bucket, Key="m", UploadId=upload, MultipartUpload={"Parts": done}, **mode.read)
    mode.check(completed)
    assert completed["ETag"].strip('"').endswith("-5")
    whole, start = b"".join(parts.values()), 0
    got = s3.get_object(Bucket=bucket, Key="m", **mode.read)
    mode.check(got)
    assert got["Body"].read() == whole and got["ContentLength"] == len(whole)
    assert s3.list_objects_v2(Bucket=bucket)["Contents"][0]["Size"] == len(whole)
    for number, body in parts.items():
        head = s3.head_object(Bucket=bucket, Key="m", PartNumber=number, **mode.read)
        assert (head["ContentLength"], head["PartsCount"]) == (len(body), 5)
        part = s3.get_object(Bucket=bucket, Key="m", PartNumber=number, **mode.read)
        assert part["Body"].read() == body, number
        for first, last in [(start - 3, start + 3), (start, start + len(body) - 1), (start + len(body) - 1, start + len(body))]:
            first, last = max(first, 0), min(last, len(whole) - 1)
            part = s3.get_object(Bucket=bucket, Key="m", Range=f"bytes={first}-{last}", **mode.read)
            assert part["Body"].read() == whole[first:last + 1]
        start += len(body)
    for first, last in ranges_of(len(whole)):
        assert body_of(s3, bucket, "m", Range=f"bytes={first}-{last}", **mode.read) == whole[first:last + 1]
    told = s3.get_object_attributes(Bucket=bucket, Key="m", ObjectAttributes=["ObjectParts", "ObjectSize"], **mode.read)
    assert (told["ObjectSize"], told["ObjectParts"]["TotalPartsCount"]) == (len(whole), 5)
    # Repeating the request answers the same.
    again = s3.complete_multipart_upload(Bucket=bucket, Key="m", UploadId=upload, MultipartUpload={"Parts": done}, **mode.read)
    assert again["ETag"] == completed["ETag"]


def test_parts_bring_their_uploads_key(s3, bucket):
    upload = s3.create_multipart_upload(Bucket=bucket, Key="m", **CUSTOMER.write)["UploadId"]
    part = dict(Bucket=bucket, Key="m", UploadId=upload, PartNumber=1, Body=b"x")
    with refused(400, "InvalidRequest") as answer:
        s3.upload_part(**part)
    assert answer["Error"]["Message"].startswith("The multipart upload initiate requested encryption.")
    with refused(400, "InvalidRequest") as answer:
        s3.upload_part(**part, **OTHER_CUSTOMER.read)
    assert answer["Error"]["Message"] == "The provided encryption parameters did not match the ones used originally."
    done = [{"PartNumber": 1, "ETag": s3.upload_part(**part, **CUSTOMER.read)["ETag"]}]
    with refused(400, "InvalidRequest"):
        s3.complete_multipart_upload(Bucket=bucket, Key="m", UploadId=upload, MultipartUpload={"Parts": done}, **OTHER_CUSTOMER.read)
    # Completing opens nothing, so it needs no key.
    s3.complete_multipart_upload(Bucket=bucket, Key="m", UploadId=upload, MultipartUpload={"Parts": done})
    assert body_of(s3, bucket, "m", **CUSTOMER.read) == b"x"
    # Unless it has checksums to tell.
    upload = s3.create_multipart_upload(Bucket=bucket, Key="m", ChecksumAlgorithm="SHA256", **CUSTOMER.write)["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key="m", UploadId=upload, PartNumber=1, Body=b"y", ChecksumAlgorithm="SHA256", **CUSTOMER.read)
    done = [{"PartNumber": 1, "ETag": part["ETag"], "ChecksumSHA256": part["ChecksumSHA256"]}]
    for ask in (lambda **more: s3.complete_multipart_upload(Bucket=bucket, Key="m", UploadId=upload, MultipartUpload={"Parts": done}, **more),
                lambda **more: s3.list_parts(Bucket=bucket, Key="m", UploadId=upload, **more)):
        with refused(400, "InvalidArgument"):
            ask()
        with refused(400, "InvalidRequest"):
            ask(**OTHER_CUSTOMER.read)
    assert s3.list_parts(Bucket=bucket, Key="m", UploadId=upload, **CUSTOMER.read)["Parts"][0]["ChecksumSHA256"] == part["ChecksumSHA256"]
    s3.complete_multipart_upload(Bucket=bucket, Key="m", UploadId=upload, MultipartUpload={"Parts": done}, **CUSTOMER.read)
    assert body_of(s3, bucket, "m", **CUSTOMER.read) == b"y"
    for mode in (PLAIN, S3, KMS):
        upload = s3.create_multipart_upload(Bucket=bucket, Key="m", **mode.write)["UploadId"]
        with refused(400, "InvalidRequest"):
            s3.upload_part(Bucket=bucket, Key="m", UploadId=upload, PartNumber=1, Body=b"x", **CUSTOMER.read)
        s3.abort_multipart_upload(Bucket=bucket, Key="m", UploadId=upload)


def test_checksums_tell_nothing_without_the_key(s3, bucket):
    upload = s3.create_multipart_upload(Bucket=bucket, Key="m", **CUSTOMER.write)["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key="m", UploadId=upload, PartNumber=1, Body=b"x", ChecksumAlgorithm="CRC32", **CUSTOMER.read)
    listed = lambda **more: s3.list_parts(Bucket=bucket, Key="m", UploadId=upload, **more)["Parts"][0]
    assert not any("Checksum" in name for name in listed())
    assert listed(**CUSTOMER.read)["ChecksumCRC32"] == part["ChecksumCRC32"]
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    complete = lambda **more: s3.complete_multipart_upload(Bucket=bucket, Key="m", UploadId=upload, MultipartUpload=parts, **more)
    for _ in range(2):
        assert not any("Checksum" in name for name in complete())
    assert "ChecksumCRC64NVME" in complete(**CUSTOMER.read)
    attributes = s3.get_object_attributes(Bucket=bucket, Key="m", ObjectAttributes=["Checksum", "ObjectParts"], **CUSTOMER.read)
    assert attributes["ObjectParts"]["TotalPartsCount"] == 1


def test_a_part_may_say_its_uploads_method_again(node, s3, bucket):
    upload = s3.create_multipart_upload(Bucket=bucket, Key="m", **S3.write)["UploadId"]
    target = f"/{bucket}/m?partNumber=1&uploadId={upload}"
    status, headers, _ = signed(node, "PUT", target, b"x", {"x-amz-server-side-encryption": "AES256"})
    assert (status, headers["x-amz-server-side-encryption"]) == (200, "AES256")
    status, _, body = signed(node, "PUT", target, b"x", {"x-amz-server-side-encryption": "aws:kms"})
    assert (status, code_of(body)) == (400, "InvalidArgument")


# Copies

@pytest.mark.parametrize("target", [*ALL, OTHER_CUSTOMER], ids=str)
@pytest.mark.parametrize("source", ALL, ids=str)
def test_copies_re_encrypt(s3, bucket, source, target):
    for size in (0, 1000, 300_001):
        body = data(size)
        s3.put_object(Bucket=bucket, Key="from", Body=body, **source.write)
        copied = s3.copy_object(Bucket=bucket, Key="to", CopySource=f"{bucket}/from", **source.source, **target.write)
        target.check(copied)
        got = s3.get_object(Bucket=bucket, Key="to", **target.read)
        target.check(got)
        assert got["Body"].read() == body
        assert (copied["CopyObjectResult"]["ETag"].strip('"') == md5(body)) == (target in (PLAIN, S3))


@pytest.mark.parametrize("target", ALL, ids=str)
@pytest.mark.parametrize("source", ALL, ids=str)
def test_parts_are_copied_between_modes(s3, bucket, source, target):
    upload, done = upload_parts(s3, bucket, "from", {1: data(200_000, 1), 2: data(100_000, 2)}, **source.write) if source is not CUSTOMER else (None, None)
    if source is CUSTOMER:
        s3.put_object(Bucket=bucket, Key="from", Body=data(200_000, 1) + data(100_000, 2), **source.write)
    else:
        s3.complete_multipart_upload(Bucket=bucket, Key="from", UploadId=upload, MultipartUpload={"Parts": done})
    whole = data(200_000, 1) + data(100_000, 2)
    upload = s3.create_multipart_upload(Bucket=bucket, Key="to", **target.write)["UploadId"]
    done = []
    for number, (first, last) in {1: (190_000, 299_999), 2: (0, 65_536)}.items():
        part = s3.upload_part_copy(Bucket=bucket, Key="to", UploadId=upload, PartNumber=number, CopySource=f"{bucket}/from",
                                   CopySourceRange=f"bytes={first}-{last}", **source.source, **target.read)
        target.check(part)
        done.append({"PartNumber": number, "ETag": part["CopyPartResult"]["ETag"]})
    s3.complete_multipart_upload(Bucket=bucket, Key="to", UploadId=upload, MultipartUpload={"Parts": done})
    assert body_of(s3, bucket, "to", **target.read) == whole[190_000:] + whole[:65_537]


def test_a_copy_source_needs_its_key(s3, bucket):
    s3.put_object(Bucket=bucket, Key="from", Body=b"x", **CUSTOMER.write)
    s3.put_object(Bucket=bucket, Key="plain", Body=b"x")
    copy = lambda source="from", **more: s3.copy_object(Bucket=bucket, Key="to", CopySource=f"{bucket}/{source}", **more)
    with refused(400, "InvalidRequest"):
        copy()
    with refused(400, "InvalidArgument"):
        copy(**OTHER_CUSTOMER.source)
    with refused(400, "InvalidRequest"):
        copy("plain", **CUSTOMER.source)
    with refused(400, "InvalidRequest"):
        copy(**CUSTOMER.write)
    PLAIN.check(copy(**CUSTOMER.source))


def test_a_copy_in_place_may_change_encryption(s3, bucket):
    body = data(100_000)
    s3.put_object(Bucket=bucket, Key="k", Body=body)
    copy = lambda **more: s3.copy_object(Bucket=bucket, Key="k", CopySource=f"{bucket}/k", **more)
    with refused(400, "InvalidRequest"):
        copy()
    before = PLAIN
    for mode in (S3, KMS, CUSTOMER, OTHER_CUSTOMER, S3):
        mode.check(copy(**before.source, **mode.write))
        assert body_of(s3, bucket, "k", **mode.read) == body
        before = mode
    default(s3, bucket)
    S3.check(copy())


# What is refused

def message_of(answer):
    return answer["Error"]["Message"]


def test_reading_needs_the_customers_key(node, s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"secret", **CUSTOMER.write)
    attributes = lambda **more: s3.get_object_attributes(Bucket=bucket, Key="k", ObjectAttributes=["ObjectSize"], **more)
    get = lambda **more: s3.get_object(Bucket=bucket, Key="k", **more)
    for read in (get, attributes):
        with refused(400, "InvalidRequest") as answer:
            read()
        assert message_of(answer) == ("The object was stored using a form of Server Side Encryption. The correct parameters must be provided "
                                      "to retrieve the object.")
        with refused(400, "InvalidArgument") as answer:
            read(**OTHER_CUSTOMER.read)
        assert message_of(answer).endswith("must provide the correct secret key.")
        read(**CUSTOMER.read)
    with refused(400):
        s3.head_object(Bucket=bucket, Key="k")
    with refused(400):
        s3.head_object(Bucket=bucket, Key="k", **OTHER_CUSTOMER.read)
    for mode in (PLAIN, S3, KMS):
        s3.put_object(Bucket=bucket, Key="other", Body=b"x", **mode.write)
        with refused(400, "InvalidRequest") as answer:
            s3.get_object(Bucket=bucket, Key="other", **CUSTOMER.read)
        assert message_of(answer) == "The encryption parameters are not applicable to this object."
        for header, value in (("x-amz-server-side-encryption", "AES256"), ("x-amz-server-side-encryption-aws-kms-key-id", "k"),
                              ("x-amz-server-side-encryption-context", "e30="), ("x-amz-server-side-encryption-bucket-key-enabled", "true")):
            status, _, body = signed(node, "GET", f"/{bucket}/other", headers={header: value})
            assert (status, code_of(body)) == (400, "InvalidArgument"), header
            assert f"{header} header is not supported for this operation." in body.decode()
            assert signed(node, "HEAD", f"/{bucket}/other", headers={header: value})[0] == 400


KEY, MD5 = customer("one")["SSECustomerKey"], customer("one")["SSECustomerKeyMD5"]
SHORT = b"k" * 24
SSE, C = "x-amz-server-side-encryption", sse.C
BAD = [
    ({SSE: ""}, "InvalidArgument", "The encryption method specified is not supported"),
    ({SSE: "aes256"}, "InvalidArgument", "The encryption method specified is not supported"),
    ({SSE: "aws:fsx"}, "InvalidArgument", "The encryption method specified is not supported"),
    ({SSE: "aws:kms:dsse"}, "NotImplemented", "A header you provided implies functionality that is not implemented: x-amz-server-side-encryption"),
    ({SSE: "AES256", SSE + "-aws-kms-key-id": "k"}, "InvalidArgument",
     "Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms"),
    ({SSE + "-aws-kms-key-id": "k"}, "InvalidArgument",
     "Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms"),
    ({SSE: "aws:kms", SSE + "-aws-kms-key-id": "no-such-key"}, "KMS.NotFoundException", "Invalid keyId 'no-such-key'"),
    ({SSE: "aws:kms", SSE + "-aws-kms-key-id": "alias/none"}, "KMS.NotFoundException", "Alias alias/none is not found."),
    ({SSE: "aws:kms", SSE + "-aws-kms-key-id": "00000000-0000-4000-8000-000000000000"}, "KMS.NotFoundException",
     "Key '00000000-0000-4000-8000-000000000000' does not exist"),
    ({SSE: "aws:kms", SSE + "-context": "{}"}, "InvalidArgument",
     "The header 'x-amz-server-side-encryption-context' shall be Base64-encoded UTF-8 string holding JSON which represents a string-string map"),
    ({SSE: "aws:kms", SSE + "-bucket-key-enabled": "yes"}, "InvalidArgument", "The value is neither true nor false."),
    ({SSE: "AES256", C + "algorithm": "AES256", C + "key": KEY, C + "key-MD5": MD5}, "InvalidArgument",
     "Server Side Encryption with Customer provided key is incompatible with the encryption method specified"),
    ({SSE: "aws:kms", C + "algorithm": "AES256", C + "key": KEY, C + "key-MD5": MD5}, "InvalidArgument",
     "Server Side Encryption with Customer provided key is incompatible with the encryption method specified"),
    ({C + "algorithm": "AES512", C + "key": KEY, C + "key-MD5": MD5}, "InvalidEncryptionAlgorithmError",
     "The Encryption request you specified is not valid. Supported value: AES256."),
    ({C + "key": KEY, C + "key-MD5": MD5}, "InvalidArgument",
     "Requests specifying Server Side Encryption with Customer provided keys must provide a valid encryption algorithm."),
    ({C + "algorithm": "AES256"}, "InvalidArgument",
     "Requests specifying Server Side Encryption with Customer provided keys must provide an appropriate secret key."),
    ({C + "algorithm": "AES256", C + "key": KEY}, "InvalidArgument",
     "Requests specifying Server Side Encryption with Customer provided keys must provide the client calculated MD5 of the secret key."),
    ({C + "algorithm": "AES256", C + "key": KEY, C + "key-MD5": b64(b"0" * 16)}, "InvalidArgument",
     "The calculated MD5 hash of the key did not match the hash that was provided."),
    ({C + "algorithm": "AES256", C + "key": b64(SHORT), C + "key-MD5": b64(hashlib.md5(SHORT).digest())}, "InvalidArgument",
     "The secret key was invalid for the specified algorithm."),
]


@pytest.mark.parametrize("headers,code,message", BAD, ids=range(len(BAD)))
def test_bad_requests(node, s3, bucket, headers, code, message):
    status = 501 if code == "NotImplemented" else 400
    s3.put_object(Bucket=bucket, Key="from", Body=b"x")
    for method, target, more in (("PUT", f"/{bucket}/k", {}), ("POST", f"/{bucket}/k?uploads", {}),
                                 ("PUT", f"/{bucket}/k", {"x-amz-copy-source": f"{bucket}/from"})):
        got, _, body = signed(node, method, target, b"x" if method == "PUT" and not more else b"", {**headers, **more})
        assert (got, code_of(body)) == (status, code), body
        assert message in body.decode().replace("&apos;", "'").replace("&#39;", "'")
    assert [o["Key"] for o in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["from"]
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)


def test_a_refused_upload_is_not_begun(node, bucket):
    """With `Expect: 100-continue` the answer comes in place of the body."""
    import http.client
    from botocore.auth import S3SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials
    request = AWSRequest(method="PUT", url=f"{node.endpoint}/{bucket}/k", data=b"x" * 10, headers={SSE: "nonsense"})
    S3SigV4Auth(Credentials("localadmin", "localadmin"), "s3", "us-east-1").add_auth(request)
    connection = http.client.HTTPConnection("127.0.0.1", node.port, timeout=20)
    connection.putrequest("PUT", f"/{bucket}/k", skip_accept_encoding=True)
    for name, value in {**dict(request.headers.items()), "Content-Length": "10", "Expect": "100-continue"}.items():
        connection.putheader(name, value.decode() if isinstance(value, bytes) else value)
    connection.endheaders()
    reply = connection.getresponse()
    assert (reply.status, code_of(reply.read())) == (400, "InvalidArgument")
    connection.close()


def until_asked_for_the_body(node, target, headers, access="localadmin", secret="localadmin"):
    """The first line of what is answered to a head that waits for `100 Continue`, and all that came with it."""
    import http.client
    from botocore.auth import S3SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials
    request = AWSRequest(method="PUT", url=node.endpoint + target, data=b"x" * 10, headers=headers)
    S3SigV4Auth(Credentials(access, secret), "s3", "us-east-1").add_auth(request)
    connection = http.client.HTTPConnection("127.0.0.1", node.port, timeout=20)
    connection.putrequest("PUT", target, skip_accept_encoding=True)
    for name, value in {**dict(request.headers.items()), "Content-Length": "10", "Expect": "100-continue"}.items():
        connection.putheader(name, value.decode() if isinstance(value, bytes) else value)
    connection.endheaders()
    answer = b""
    while b"\r\n\r\n" not in answer and (some := connection.sock.recv(65536)):
        answer += some
    if not answer.startswith(b"HTTP/1.1 100"):
        # Not until the end: the node leaves a refused client some seconds to hear of it.
        while b"</Error>" not in answer and (some := connection.sock.recv(65536)):
            answer += some
    connection.close()
    return answer.split(b"\r\n")[0], answer


def test_a_key_that_may_not_be_used_is_refused_before_the_body(node, s3, bucket):
    kms = boto3.client("kms", endpoint_url=node.endpoint, region_name="us-east-1", aws_access_key_id="localadmin", aws_secret_access_key="localadmin")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    by = lambda name: {SSE: "aws:kms", SSE + "-aws-kms-key-id": name}
    ask = lambda name, target=f"/{bucket}/k", **who: until_asked_for_the_body(node, target, by(name) if name else {}, **who)
    assert ask(key)[0] == b"HTTP/1.1 100 Continue"
    for name, code in (("alias/none", b"KMS.NotFoundException"), ("00000000-0000-4000-8000-000000000000", b"KMS.NotFoundException")):
        line, answer = ask(name)
        assert line.startswith(b"HTTP/1.1 400") and code in answer, answer
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k", ServerSideEncryption="aws:kms", SSEKMSKeyId=key)["UploadId"]
    part = f"/{bucket}/k?partNumber=1&uploadId={upload}"
    assert ask(None, part)[0] == b"HTTP/1.1 100 Continue"
    writer = {"access_key": "bodies", "secret_key": "secret-of-bodies", "display_name": "bodies", "account_id": "333333333333",
              "policies": [{"bucket": bucket, "actions": ["list", "write"]}]}
    node.add_users(writer)
    denied = {"Effect": "Deny", "Principal": "*", "Action": ["kms:GenerateDataKey", "kms:Decrypt"], "Resource": "*"}
    allowed = {"Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*"}
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=json.dumps({"Version": "2012-10-17", "Statement": [denied, allowed]}))
    for name, target in ((key, f"/{bucket}/k"), (None, part)):
        line, answer = ask(name, target, access="bodies", secret="secret-of-bodies")
        assert line.startswith(b"HTTP/1.1 403") and b"AccessDenied" in answer, answer
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=json.dumps({"Version": "2012-10-17", "Statement": [allowed]}))
    kms.disable_key(KeyId=key)
    for name, target in ((key, f"/{bucket}/k"), (None, part)):
        line, answer = ask(name, target)
        assert line.startswith(b"HTTP/1.1 400") and b"KMS.DisabledException" in answer, answer


# Contexts and bucket keys

def test_contexts_and_bucket_keys(s3, bucket):
    context = b64(json.dumps({"team": "red", "x": "é"}).encode())
    put = s3.put_object(Bucket=bucket, Key="k", Body=b"x", SSEKMSEncryptionContext=context, BucketKeyEnabled=True, **KMS.write)
    assert json.loads(base64.b64decode(put["SSEKMSEncryptionContext"])) == {"team": "red", "x": "é"}
    assert put["BucketKeyEnabled"] is True
    got = s3.get_object(Bucket=bucket, Key="k")
    assert got["Body"].read() == b"x" and got["BucketKeyEnabled"] is True
    # It is told to who writes, not to who reads.
    assert "x-amz-server-side-encryption-context" not in got["ResponseMetadata"]["HTTPHeaders"]
    copied = s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/k", **KMS.write)
    assert "SSEKMSEncryptionContext" not in copied and "BucketKeyEnabled" not in copied
    assert body_of(s3, bucket, "copy") == b"x"
    # The key may be named by its id, ARN or alias.
    arn = put["SSEKMSKeyId"]
    for name in (arn, arn.split("/")[-1], "alias/aws/s3", arn.rsplit(":", 1)[0] + ":alias/aws/s3"):
        assert s3.put_object(Bucket=bucket, Key="k", Body=b"y", SSEKMSKeyId=name, **KMS.write)["SSEKMSKeyId"] == arn
        assert body_of(s3, bucket, "k") == b"y"


# Defaults

def test_a_default_is_kept_as_it_was_put(s3, bucket):
    with refused(404, "ServerSideEncryptionConfigurationNotFoundError"):
        s3.get_bucket_encryption(Bucket=bucket)
    s3.delete_bucket_encryption(Bucket=bucket)
    key = "alias/some-key"
    for put, told in [
        ({"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}, {"BucketKeyEnabled": False}),
        ({"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}, "BucketKeyEnabled": True}, {}),
        ({"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}, "BucketKeyEnabled": False}, {}),
        ({"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BlockedEncryptionTypes": {"EncryptionType": ["SSE-C"]}},
         {"BucketKeyEnabled": False}),
    ]:
        try:
            s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [put]})
        except s3.exceptions.ClientError:
            raise
        except Exception as error:
            # An older client does not know the element.
            assert "BlockedEncryptionTypes" in str(error)
            continue
        told_now = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
        assert told_now == [{**put, **told}]
    s3.delete_bucket_encryption(Bucket=bucket)
    with refused(404, "ServerSideEncryptionConfigurationNotFoundError"):
        s3.get_bucket_encryption(Bucket=bucket)


def configuration(rules):
    return f'<ServerSideEncryptionConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{rules}</ServerSideEncryptionConfiguration>'.encode()


@pytest.mark.parametrize("rules,status,code", [
    ("", 400, "MalformedXML"),
    ("<Rule/>", 400, "MalformedXML"),
    ("<Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>DES</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule>", 400, "MalformedXML"),
    ("<Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule>" * 2, 400, "MalformedXML"),
    ("<Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm><KMSMasterKeyID>k</KMSMasterKeyID></ApplyServerSideEncryptionByDefault></Rule>",
     400, "InvalidArgument"),
    ("<Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms:dsse</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule>", 501, "NotImplemented"),
])
def test_a_bad_default_is_refused(node, s3, bucket, rules, status, code):
    got, _, body = signed(node, "PUT", f"/{bucket}?encryption", configuration(rules))
    assert (got, code_of(body)) == (status, code)
    with refused(404, "ServerSideEncryptionConfigurationNotFoundError"):
        s3.get_bucket_encryption(Bucket=bucket)


@pytest.mark.parametrize("mode", [S3, KMS], ids=str)
def test_a_default_applies_to_whatever_is_written(node, s3, bucket, mode):
    body = data(100_000)
    s3.put_object(Bucket=bucket, Key="before", Body=body)
    algorithm = mode.write["ServerSideEncryption"]
    default(s3, bucket, algorithm)
    mode.check(s3.put_object(Bucket=bucket, Key="put", Body=body))
    mode.check(s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/before"))
    upload, done = upload_parts(s3, bucket, "parts", {1: body})
    mode.check(s3.complete_multipart_upload(Bucket=bucket, Key="parts", UploadId=upload, MultipartUpload={"Parts": done}))
    status, headers, _ = post_form(node, bucket, {"key": "form/x"}, body=body)
    assert (status, headers["x-amz-server-side-encryption"]) == (204, algorithm)
    for key in ("put", "copy", "parts", "form/x"):
        got = s3.get_object(Bucket=bucket, Key=key)
        mode.check(got)
        assert got["Body"].read() == body
    # What was there stays as it was, and a request may ask for something else.
    PLAIN.check(s3.head_object(Bucket=bucket, Key="before"))
    for other in ENCRYPTED:
        other.check(s3.put_object(Bucket=bucket, Key="other", Body=body, **other.write))
        assert body_of(s3, bucket, "other", **other.read) == body
    s3.delete_bucket_encryption(Bucket=bucket)
    PLAIN.check(s3.put_object(Bucket=bucket, Key="after", Body=body))
    assert body_of(s3, bucket, "put") == body


def test_bucket_keys_by_default(s3, bucket):
    default(s3, bucket, "aws:kms", BucketKeyEnabled=True)
    put = lambda **more: s3.put_object(Bucket=bucket, Key="k", Body=b"x", **more).get("BucketKeyEnabled")
    assert put() is True
    assert put(BucketKeyEnabled=False) is None
    assert put(ServerSideEncryption="aws:kms") is True
    assert put(ServerSideEncryption="AES256") is None


def test_a_default_of_a_missing_key(s3, bucket):
    default(s3, bucket, "aws:kms", "alias/nobodys")
    for write in (lambda: s3.put_object(Bucket=bucket, Key="k", Body=b"x"), lambda: s3.create_multipart_upload(Bucket=bucket, Key="k")):
        with refused(400, "KMS.NotFoundException"):
            write()
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


def test_a_bucket_may_refuse_customers_keys(node, s3, bucket):
    s3.put_object(Bucket=bucket, Key="before", Body=b"x", **CUSTOMER.write)
    upload = s3.create_multipart_upload(Bucket=bucket, Key="m", **CUSTOMER.write)["UploadId"]
    rule = "<Rule><BlockedEncryptionTypes><EncryptionType>{}</EncryptionType></BlockedEncryptionTypes></Rule>"
    assert signed(node, "PUT", f"/{bucket}?encryption", configuration(rule.format("SSE-C")))[0] == 200
    for write in (lambda: s3.put_object(Bucket=bucket, Key="k", Body=b"x", **CUSTOMER.write),
                  lambda: s3.create_multipart_upload(Bucket=bucket, Key="k", **CUSTOMER.write),
                  lambda: s3.copy_object(Bucket=bucket, Key="k", CopySource=f"{bucket}/before", **CUSTOMER.source, **CUSTOMER.write),
                  lambda: s3.upload_part(Bucket=bucket, Key="m", UploadId=upload, PartNumber=1, Body=b"x", **CUSTOMER.read)):
        with refused(403, "AccessDenied"):
            write()
    assert body_of(s3, bucket, "before", **CUSTOMER.read) == b"x"
    PLAIN.check(s3.put_object(Bucket=bucket, Key="k", Body=b"x"))
    assert signed(node, "PUT", f"/{bucket}?encryption", configuration(rule.format("NONE")))[0] == 200
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", **CUSTOMER.write)


# Forms, links, policies

@pytest.mark.parametrize("mode", ENCRYPTED, ids=str)
def test_forms(node, s3, bucket, mode):
    names = {"ServerSideEncryption": SSE, "SSECustomerAlgorithm": C + "algorithm", "SSECustomerKey": C + "key", "SSECustomerKeyMD5": C + "key-MD5"}
    fields = {names[name]: value for name, value in mode.write.items()}
    body = data(100_000)
    status, headers, answer = post_form(node, bucket, {"key": "form/f", **fields}, body=body)
    assert status == 204, answer
    assert mode.tells.items() <= headers.items()
    got = s3.get_object(Bucket=bucket, Key="form/f", **mode.read)
    mode.check(got)
    assert got["Body"].read() == body
    status, _, answer = post_form(node, bucket, {"key": "form/f", **fields, SSE: "DES"}, body=body)
    assert (status, code_of(answer)) == (400, "InvalidArgument")


def test_links(node, s3, bucket):
    url = s3.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "k", **S3.write})
    target = url[len(node.endpoint):]
    status, headers, _ = send(node.endpoint, "PUT", target, b"x", {SSE: "AES256"})
    assert (status, headers[SSE]) == (200, "AES256")
    assert send(node.endpoint, "GET", s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"})[len(node.endpoint):])[2] == b"x"


def test_policies_judge_what_is_asked_for(s3, bucket):
    condition = {"Null": {"s3:x-amz-server-side-encryption": "true"}}
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject",
                                                      "Resource": f"arn:aws:s3:::{bucket}/*", "Condition": condition}]}
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
    with refused(403, "AccessDenied"):
        s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    # The bucket's default is no word of the request's.
    default(s3, bucket)
    with refused(403, "AccessDenied"):
        s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", **S3.write)
    policy["Statement"][0]["Condition"] = {"StringNotEquals": {"s3:x-amz-server-side-encryption": "aws:kms"}}
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
    for mode in (PLAIN, S3, CUSTOMER):
        with refused(403, "AccessDenied"):
            s3.put_object(Bucket=bucket, Key="k", Body=b"x", **mode.write)
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", **KMS.write)
    # Parts and their completion are what the upload was begun as.
    upload, done = upload_parts(s3, bucket, "m", {1: b"x", 2: b"y"}, **KMS.write)
    part = s3.upload_part_copy(Bucket=bucket, Key="m", UploadId=upload, PartNumber=2, CopySource=f"{bucket}/k")["CopyPartResult"]
    done[1]["ETag"] = part["ETag"]
    s3.complete_multipart_upload(Bucket=bucket, Key="m", UploadId=upload, MultipartUpload={"Parts": done})
    policy["Statement"][0]["Condition"] = {"Null": {"s3:x-amz-server-side-encryption-customer-algorithm": "true"}}
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
    with refused(403, "AccessDenied"):
        s3.create_multipart_upload(Bucket=bucket, Key="m", **KMS.write)
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", **CUSTOMER.write)


def test_strangers_read_what_needs_no_key_of_the_kms(node, s3, bucket):
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": f"arn:aws:s3:::{bucket}/*"}]}
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
    s3.put_object(Bucket=bucket, Key="managed", Body=b"x", **S3.write)
    s3.put_object(Bucket=bucket, Key="kms", Body=b"x", **KMS.write)
    assert send(node.endpoint, "GET", f"/{bucket}/managed")[2] == b"x"
    assert send(node.endpoint, "HEAD", f"/{bucket}/kms")[0] == 200
    for method, headers in (("GET", {}), ("PUT", {SSE: "aws:kms"})):
        status, _, body = send(node.endpoint, method, f"/{bucket}/kms", headers=headers)
        assert (status, code_of(body)) == (400, "InvalidArgument")
        assert "require AWS Signature Version 4." in body.decode()
