"""Small helpers that the modules share: expected refusals, bodies, raw signed requests."""

import base64
import hashlib
import http.client
import urllib.parse
import zlib
from contextlib import contextmanager

import pytest
import xxhash
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from node import believing, sign_ahead

MIB = 1 << 20


@contextmanager
def refused(status, *codes):
    """The block must be refused with this status (or one of these) and one of these codes; yields a dict that then holds the answer."""
    answer = {}
    with pytest.raises(ClientError) as caught:
        yield answer
    answer.update(caught.value.response)
    got = (answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"].get("Code"))
    assert got[0] in (status if isinstance(status, tuple) else (status,)) and (not codes or got[1] in codes), f"{got}: {answer['Error']}"


def data(size, seed=1):
    """`size` bytes that differ everywhere and between seeds; the same on every call."""
    out, i = bytearray(), 0
    block = hashlib.sha512(str(seed).encode()).digest()
    while len(out) < min(size, 65536):
        out += hashlib.sha512(block + i.to_bytes(8, "big")).digest()
        i += 1
    while 0 < len(out) < size:
        out += bytes([i & 255]) + out[: size - len(out)]
        i += 1
    return bytes(out[:size])


def md5(b):
    return hashlib.md5(b).hexdigest()


def b64(raw):
    return base64.b64encode(raw).decode()


def crc32(b):
    return b64(zlib.crc32(b).to_bytes(4, "big"))


def _table(poly, bits):
    table = []
    for n in range(256):
        for _ in range(8):
            n = (n >> 1) ^ poly if n & 1 else n >> 1
        table.append(n)
    return table


_CRC32C = _table(0x82F63B78, 32)
_CRC64 = _table(0x9A6C9329AC4BC9B5, 64)


def _crc(table, ones, b):
    crc = ones
    for byte in b:
        crc = table[(crc ^ byte) & 255] ^ (crc >> 8)
    return crc ^ ones


def crc32c(b):
    return b64(_crc(_CRC32C, 0xFFFFFFFF, b).to_bytes(4, "big"))


def crc64nvme(b):
    return b64(_crc(_CRC64, 0xFFFFFFFFFFFFFFFF, b).to_bytes(8, "big"))


def sha1(b):
    return b64(hashlib.sha1(b).digest())


def sha256(b):
    return b64(hashlib.sha256(b).digest())


CHECKSUMS = {
    "CRC32": crc32, "CRC32C": crc32c, "CRC64NVME": crc64nvme, "SHA1": sha1, "SHA256": sha256,
    "MD5": lambda body: b64(hashlib.md5(body).digest()),
    "SHA512": lambda body: b64(hashlib.sha512(body).digest()),
    "XXHASH64": lambda body: b64(xxhash.xxh64(body).digest()),
    "XXHASH3": lambda body: b64(xxhash.xxh3_64(body).digest()),
    "XXHASH128": lambda body: b64(xxhash.xxh3_128(body).digest()),
}


def send(endpoint, method, target, body=b"", headers=None):
    """One request, exactly as given. Returns (status, headers with lower-case names, body)."""
    url = urllib.parse.urlsplit(endpoint)
    if url.scheme == "https":
        connection = http.client.HTTPSConnection(url.hostname, url.port, timeout=30, context=believing())
    else:
        connection = http.client.HTTPConnection(url.hostname, url.port, timeout=30)
    try:
        connection.request(method, target, body=body or None, headers=headers or {})
        reply = connection.getresponse()
        return reply.status, {k.lower(): v for k, v in reply.getheaders()}, reply.read()
    finally:
        connection.close()


def signed(server, method, target, body=b"", headers=None, access=None, secret=None, unsigned=None):
    """A raw request signed in its header (SigV4), for what boto3 hides or refuses to send; `unsigned` headers are added after that."""
    access = access or getattr(server, "access", "localadmin")
    secret = secret or getattr(server, "secret", "localadmin")
    sign_ahead(getattr(server, "ahead", 0))
    request = AWSRequest(method=method, url=server.endpoint + target, data=body, headers=dict(headers or {}))
    S3SigV4Auth(Credentials(access, secret), "s3", "us-east-1").add_auth(request)
    prepared = {k: (v.decode() if isinstance(v, bytes) else v) for k, v in request.headers.items()}
    return send(server.endpoint, method, target, body, {**prepared, **(unsigned or {})})


def code_of(body):
    """The code of an error document."""
    text = body.decode(errors="replace")
    return text.split("<Code>")[1].split("</Code>")[0] if "<Code>" in text else text[:200]


def put_via_header_pair(endpoint, method, target, body=b"", access="localadmin", secret="localadmin", **headers):
    return send(endpoint, method, target, body, {"X-Access-Key": access, "X-Secret-Key": secret, **headers})


def keys_of(pages):
    return [c["Key"] for page in pages for c in page.get("Contents", [])]


def upload_parts(s3, bucket, key, parts, **create):
    """Creates an upload and sends `parts` ({number: bytes}); returns (upload id, list for Complete)."""
    upload = s3.create_multipart_upload(Bucket=bucket, Key=key, **create)["UploadId"]
    done = []
    for number, body in parts.items():
        reply = s3.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=number, Body=body)
        done.append({"PartNumber": number, "ETag": reply["ETag"]})
    return upload, done


def complete(s3, bucket, key, upload, parts, **more):
    return s3.complete_multipart_upload(Bucket=bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": parts}, **more)


def body_of(s3, bucket, key, **more):
    return s3.get_object(Bucket=bucket, Key=key, **more)["Body"].read()
