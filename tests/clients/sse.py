"""How an object can be encrypted, as arguments of boto3, and what answers then tell; shared by the tests of encryption."""

import base64
import hashlib
import os

import node as nodes

# The operator's own word for the well-known secret: then it is taken on forwarded requests, too.
ON = {"ENCRYPTION_ENABLED": "true", "KMS_ENABLED": "true", "MULTIPART_MIN_PART_SIZE": "1",
      "ADMIN_ACCESS_KEY": nodes.ACCESS, "ADMIN_SECRET_KEY": nodes.SECRET}
C = "x-amz-server-side-encryption-customer-"


def customer(seed, source=False):
    """SSE-C arguments with the key of `seed`, for a request or for the source of a copy."""
    key = hashlib.sha256(str(seed).encode()).digest()
    prefix = "CopySourceSSECustomer" if source else "SSECustomer"
    return {prefix + "Algorithm": "AES256", prefix + "Key": base64.b64encode(key).decode(),
            prefix + "KeyMD5": base64.b64encode(hashlib.md5(key).digest()).decode()}


def customer_headers(seed, prefix="x-amz-server-side-encryption-customer-"):
    arguments = customer(seed)
    return {prefix + "algorithm": "AES256", prefix + "key": arguments["SSECustomerKey"], prefix + "key-MD5": arguments["SSECustomerKeyMD5"]}


class Mode:
    """A way to encrypt: arguments of a write, of a read, of the source of a copy, and what answers tell."""

    def __init__(self, name, write=None, read=None, source=None, tells=None):
        self.name, self.write, self.read, self.source, self.tells = name, write or {}, read or {}, source or {}, tells or {}

    def __repr__(self):
        return self.name

    def check(self, answer):
        headers = answer["ResponseMetadata"]["HTTPHeaders"]
        told = {name: value for name, value in headers.items() if "server-side-encryption" in name}
        key = told.pop("x-amz-server-side-encryption-aws-kms-key-id", None)
        assert told == self.tells, f"{self}: {told}"
        assert (key is not None) == (self.tells.get("x-amz-server-side-encryption") == "aws:kms"), f"{self}: {key}"
        assert key is None or key.startswith("arn:aws:kms:us-east-1:"), key


def _customer_mode(seed):
    arguments = customer(seed)
    tells = {C + "algorithm": "AES256", C + "key-md5": arguments["SSECustomerKeyMD5"]}
    return Mode(f"sse-c-{seed}", arguments, arguments, customer(seed, source=True), tells)


PLAIN = Mode("plain")
S3 = Mode("sse-s3", {"ServerSideEncryption": "AES256"}, tells={"x-amz-server-side-encryption": "AES256"})
KMS = Mode("sse-kms", {"ServerSideEncryption": "aws:kms"}, tells={"x-amz-server-side-encryption": "aws:kms"})
CUSTOMER, OTHER_CUSTOMER = _customer_mode("one"), _customer_mode("other")
ENCRYPTED = [S3, KMS, CUSTOMER]
ALL = [PLAIN, *ENCRYPTED]


def start(**env):
    node = nodes.Node(**{**ON, **env})
    try:
        return node.start()
    except BaseException:
        node.close()
        raise


def files_with(root, marker):
    """Files below `root` that hold `marker`."""
    found = []
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)
            try:
                with open(path, "rb") as file:
                    rest = b""
                    while block := file.read(1 << 20):
                        if marker in rest + block:
                            found.append(path)
                            break
                        rest = block[-len(marker):]
            except OSError:
                continue
    return found
