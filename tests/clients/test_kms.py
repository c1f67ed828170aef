"""The KMS as boto3, the aws cli and Terraform speak it, and by the routes below /kms: keys, aliases, what is done with them, who may,
and what is no request."""

import base64
import datetime
import json
import os
import shutil
import subprocess
import time
import urllib.parse
import uuid

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

import node as nodes
from util import put_via_header_pair, refused, send

pytestmark = pytest.mark.local

ONE, TWO = "111111111111", "222222222222"
NO_KEY = "00000000-0000-4000-8000-000000000000"
MADE = {"Enabled": True, "KeyUsage": "ENCRYPT_DECRYPT", "KeyState": "Enabled", "Origin": "AWS_KMS", "KeyManager": "CUSTOMER",
        "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT", "KeySpec": "SYMMETRIC_DEFAULT",
        "EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"], "MultiRegion": False}


def document(*statements):
    return {"Version": "2012-10-17", "Statement": list(statements)}


def statement(action, resource="*", effect="Allow", **more):
    return {"Effect": effect, "Action": action, "Resource": resource, **more}


def user(name, account, *policies, root=False):
    return {"access_key": name, "secret_key": f"secret-of-{name}", "display_name": name, "user_name": name, "account_id": account,
            "root": root, "policies": list(policies)}


# `ann` is the root of account 1, `eve` of account 2; `bob` and `fox` may do everything of KMS, `ken` only use keys, `cat` nothing;
# `dan` is bound by a grant.
USERS = [
    user("ann", ONE, root=True),
    user("bob", ONE, document(statement("kms:*"))),
    user("ken", ONE, document(statement(["kms:Encrypt", "kms:Decrypt"]))),
    user("cat", ONE),
    user("dan", ONE, {"bucket": "*", "actions": ["list", "read", "write", "delete"]}),
    user("eve", TWO, root=True),
    user("fox", TWO, document(statement("kms:*"))),
]


@pytest.fixture(scope="module")
def kms_node():
    node = nodes.Node(KMS_ENABLED="true", ENCRYPTION_ENABLED="true")
    try:
        node.start()
        node.add_users(*USERS)
        yield node
        assert node.process.poll() is None, f"the node died under the tests:\n{node.tail()}"
        node.stop()
    finally:
        node.close()


def client_of(node, access=nodes.ACCESS, secret=None, service="kms"):
    secret = secret or (nodes.SECRET if access == nodes.ACCESS else f"secret-of-{access}")
    config = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=60, parameter_validation=False)
    return boto3.client(service, endpoint_url=node.endpoint, region_name="us-east-1", aws_access_key_id=access,
                        aws_secret_access_key=secret, config=config)


@pytest.fixture(scope="module")
def kms(kms_node):
    """The client of `ann`, whose account has what she makes."""
    return client_of(kms_node, "ann")


@pytest.fixture(scope="module")
def of(kms_node):
    """Clients of the users by name."""
    clients = {}
    return lambda name: clients.setdefault(name, client_of(kms_node, name))


@pytest.fixture(scope="module")
def admin(kms_node):
    """Who administers the node, in an account of its own."""
    return client_of(kms_node)


@pytest.fixture
def key(kms):
    """A key of account 1."""
    return kms.create_key(Description="a key")["KeyMetadata"]["KeyId"]


@pytest.fixture
def alias():
    """An alias that no key has."""
    return f"alias/t/{uuid.uuid4().hex}"


def wire(node, target, body=b"{}", access="ann", headers=None):
    """A raw request of the JSON protocol. Returns (status, headers, document)."""
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = AWSRequest("POST", node.endpoint + "/", data=body,
                         headers={"X-Amz-Target": target, "Content-Type": "application/x-amz-json-1.1", **(headers or {})})
    SigV4Auth(Credentials(access, f"secret-of-{access}"), "kms", "us-east-1").add_auth(request)
    prepared = {k: (v.decode() if isinstance(v, bytes) else v) for k, v in request.headers.items()}
    status, headers, answer = send(node.endpoint, "POST", "/", body, prepared)
    return status, headers, json.loads(answer) if answer else None


def route(node, method, path, body=None, access="ann", **headers):
    """A request of a route below /kms. Returns (status, document)."""
    body = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    status, _, answer = put_via_header_pair(node.endpoint, method, path, body, access, f"secret-of-{access}", **headers)
    return status, json.loads(answer)


# Keys


def test_a_key(kms, key):
    made = kms.describe_key(KeyId=key)["KeyMetadata"]
    assert made["Arn"] == f"arn:aws:kms:us-east-1:{ONE}:key/{key}" and made["AWSAccountId"] == ONE
    assert uuid.UUID(key).version == 4 and made["Description"] == "a key"
    age = datetime.datetime.now(datetime.timezone.utc) - made["CreationDate"]
    assert abs(age) < datetime.timedelta(minutes=1)
    assert {name: made[name] for name in MADE} == MADE
    assert set(made) == {*MADE, "AWSAccountId", "KeyId", "Arn", "CreationDate", "Description", "CurrentKeyMaterialId"}
    assert kms.describe_key(KeyId=made["Arn"])["KeyMetadata"] == made
    kms.update_key_description(KeyId=key, Description="another")
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["Description"] == "another"


def test_keys_are_listed_in_pages(kms, of, admin):
    made = {kms.create_key()["KeyMetadata"]["Arn"] for _ in range(3)}
    listed = lambda client, **page: [
        entry["KeyArn"] for reply in client.get_paginator("list_keys").paginate(PaginationConfig=page) for entry in reply["Keys"]]
    assert made <= set(listed(kms)) and listed(kms, PageSize=2) == listed(kms)
    assert set(listed(of("bob"))) == set(listed(kms)) and not made & set(listed(of("eve")))
    assert made <= set(listed(admin))
    first = kms.list_keys(Limit=1)
    assert first["Truncated"] and len(first["Keys"]) == 1 and first["NextMarker"]
    for limit in (0, 1001):
        with refused(400, "ValidationException"):
            kms.list_keys(Limit=limit)
    with refused(400, "InvalidMarkerException"):
        kms.list_keys(Marker="*")


def test_states(kms, key):
    kms.disable_key(KeyId=key)
    assert (kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"], kms.describe_key(KeyId=key)["KeyMetadata"]["Enabled"]) == ("Disabled", False)
    with refused(400, "DisabledException") as answer:
        kms.encrypt(KeyId=key, Plaintext=b"x")
    assert answer["Error"]["Message"].endswith(f"key/{key} is disabled.")
    kms.enable_key(KeyId=key)
    kms.encrypt(KeyId=key, Plaintext=b"x")


def test_a_deletion_waits_and_can_be_cancelled(kms, key):
    for days in (6, 31):
        with refused(400, "ValidationException"):
            kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=days)
    scheduled = kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    arn = f"arn:aws:kms:us-east-1:{ONE}:key/{key}"
    assert (scheduled["KeyId"], scheduled["KeyState"], scheduled["PendingWindowInDays"]) == (arn, "PendingDeletion", 7)
    due = scheduled["DeletionDate"] - datetime.datetime.now(datetime.timezone.utc)
    assert datetime.timedelta(days=6, hours=23) < due < datetime.timedelta(days=7, minutes=1)
    told = kms.describe_key(KeyId=key)["KeyMetadata"]
    assert (told["KeyState"], told["Enabled"], told["DeletionDate"]) == ("PendingDeletion", False, scheduled["DeletionDate"])
    for call in (lambda: kms.encrypt(KeyId=key, Plaintext=b"x"), lambda: kms.enable_key(KeyId=key), lambda: kms.disable_key(KeyId=key),
                 lambda: kms.rotate_key_on_demand(KeyId=key), lambda: kms.schedule_key_deletion(KeyId=key),
                 lambda: kms.create_alias(AliasName=f"alias/{key}", TargetKeyId=key),
                 lambda: kms.tag_resource(KeyId=key, Tags=[{"TagKey": "a", "TagValue": "b"}])):
        with refused(400, "KMSInvalidStateException") as answer:
            call()
        assert answer["Error"]["Message"] == f"{arn} is pending deletion."
    assert kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"] is False
    assert kms.cancel_key_deletion(KeyId=key)["KeyId"] == arn
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Disabled"
    with refused(400, "KMSInvalidStateException"):
        kms.cancel_key_deletion(KeyId=key)
    kms.enable_key(KeyId=key)
    assert kms.schedule_key_deletion(KeyId=key)["PendingWindowInDays"] == 30


@pytest.mark.parametrize("asked, code", [
    ({"KeySpec": "RSA_2048", "KeyUsage": "ENCRYPT_DECRYPT"}, "UnsupportedOperationException"),
    ({"KeySpec": "ECC_NIST_P256", "KeyUsage": "SIGN_VERIFY"}, "UnsupportedOperationException"),
    ({"CustomerMasterKeySpec": "HMAC_256", "KeyUsage": "GENERATE_VERIFY_MAC"}, "UnsupportedOperationException"),
    ({"KeySpec": "RSA_2048"}, "ValidationException"),
    ({"KeySpec": "AES"}, "ValidationException"),
    ({"KeySpec": "SYMMETRIC_DEFAULT", "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT"}, "ValidationException"),
    ({"KeyUsage": "SIGN_VERIFY"}, "ValidationException"),
    ({"Origin": "EXTERNAL"}, "UnsupportedOperationException"),
    ({"MultiRegion": True}, "UnsupportedOperationException"),
    ({"CustomKeyStoreId": "cks-1"}, "UnsupportedOperationException"),
    ({"XksKeyId": "x"}, "UnsupportedOperationException"),
    ({"Description": "x" * 8193}, "ValidationException"),
    ({"Tags": [{"TagKey": "aws:x", "TagValue": ""}]}, "TagException"),
    ({"Tags": [{"TagKey": "a", "TagValue": ""}, {"TagKey": "a", "TagValue": ""}]}, "TagException"),
    ({"Tags": [{"TagKey": f"{n}", "TagValue": ""} for n in range(51)]}, "LimitExceededException"),
    ({"Policy": "{"}, "MalformedPolicyDocumentException"),
])
def test_what_is_no_key_here_is_refused(kms, asked, code):
    with refused(400, code):
        kms.create_key(**asked)


def test_the_symmetric_kind_may_be_named(kms):
    made = kms.create_key(KeySpec="SYMMETRIC_DEFAULT", KeyUsage="ENCRYPT_DECRYPT", Origin="AWS_KMS", MultiRegion=False,
                          Tags=[{"TagKey": "team", "TagValue": "ops"}])["KeyMetadata"]
    assert kms.list_resource_tags(KeyId=made["KeyId"])["Tags"] == [{"TagKey": "team", "TagValue": "ops"}]


def test_the_nodes_own_key(kms, of):
    # It is made when it is looked at first.
    own = kms.describe_key(KeyId="alias/aws/s3")["KeyMetadata"]
    assert (own["KeyManager"], own["AWSAccountId"], own["KeyState"]) == ("AWS", "000000000000", "Enabled")
    assert of("eve").describe_key(KeyId=own["Arn"])["KeyMetadata"]["KeyId"] == own["KeyId"]
    assert "alias/aws/s3" in [entry["AliasName"] for entry in kms.list_aliases()["Aliases"]]
    assert json.loads(kms.get_key_policy(KeyId=own["KeyId"])["Policy"])["Id"] == "auto-s3-1"
    assert kms.get_key_rotation_status(KeyId=own["KeyId"])["KeyRotationEnabled"] is True
    # It is for S3, and nobody's to change.
    for call in (lambda: kms.encrypt(KeyId=own["KeyId"], Plaintext=b"x"), lambda: kms.schedule_key_deletion(KeyId=own["KeyId"]),
                 lambda: kms.put_key_policy(KeyId=own["KeyId"], Policy=json.dumps(document()))):
        with refused(400, "AccessDeniedException"):
            call()


def test_the_nodes_own_key_is_not_even_the_administrators_to_change(admin):
    own = admin.describe_key(KeyId="alias/aws/s3")["KeyMetadata"]["KeyId"]
    for call in (lambda: admin.schedule_key_deletion(KeyId=own), lambda: admin.disable_key(KeyId=own), lambda: admin.rotate_key_on_demand(KeyId=own),
                 lambda: admin.put_key_policy(KeyId=own, Policy=json.dumps(document(statement("kms:*", Principal="*"))))):
        with refused(400, "UnsupportedOperationException"):
            call()


# Aliases


def test_aliases(kms, key, alias):
    kms.create_alias(AliasName=alias, TargetKeyId=key)
    arn = f"arn:aws:kms:us-east-1:{ONE}:{alias}"
    told = kms.list_aliases(KeyId=key)["Aliases"]
    assert [(a["AliasName"], a["AliasArn"], a["TargetKeyId"]) for a in told] == [(alias, arn, key)]
    assert told[0]["CreationDate"] == told[0]["LastUpdatedDate"]
    for name in (alias, arn):
        assert kms.describe_key(KeyId=name)["KeyMetadata"]["KeyId"] == key
    with refused(400, "AlreadyExistsException") as answer:
        kms.create_alias(AliasName=alias, TargetKeyId=key)
    assert answer["Error"]["Message"] == f"An alias with the name {arn} already exists"
    other = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.update_alias(AliasName=alias, TargetKeyId=other)
    assert kms.describe_key(KeyId=alias)["KeyMetadata"]["KeyId"] == other and kms.list_aliases(KeyId=key)["Aliases"] == []
    kms.delete_alias(AliasName=alias)
    for call in (lambda: kms.describe_key(KeyId=alias), lambda: kms.delete_alias(AliasName=alias),
                 lambda: kms.update_alias(AliasName=alias, TargetKeyId=key)):
        with refused(400, "NotFoundException"):
            call()


def test_aliases_are_listed_in_pages(kms, key, alias):
    names = [f"{alias}/{n}" for n in range(5)]
    for name in names:
        kms.create_alias(AliasName=name, TargetKeyId=key)
    pages = kms.get_paginator("list_aliases").paginate(KeyId=key, PaginationConfig={"PageSize": 2})
    assert [[a["AliasName"] for a in page["Aliases"]] for page in pages] == [names[:2], names[2:4], names[4:]]


@pytest.mark.parametrize("name, code", [
    ("alias/aws/mine", "NotAuthorizedException"),
    ("mine", "InvalidAliasNameException"),
    ("alias/", "InvalidAliasNameException"),
    ("alias/a b", "InvalidAliasNameException"),
    ("alias/" + "x" * 251, "ValidationException"),
    ("", "ValidationException"),
])
def test_what_is_no_alias(kms, key, name, code):
    with refused(400, code):
        kms.create_alias(AliasName=name, TargetKeyId=key)


def test_an_alias_is_no_target_of_an_alias(kms, key, alias):
    kms.create_alias(AliasName=alias, TargetKeyId=key)
    with refused(400, "ValidationException") as answer:
        kms.create_alias(AliasName=f"{alias}/2", TargetKeyId=alias)
    assert answer["Error"]["Message"] == "Aliases must refer to keys. Not aliases"


# Names of keys


@pytest.mark.parametrize("name, code", [
    (NO_KEY, "NotFoundException"),
    (f"arn:aws:kms:us-east-1:{ONE}:key/{NO_KEY}", "NotFoundException"),
    (f"arn:aws:kms:us-east-1:{ONE}:alias/none", "NotFoundException"),
    ("alias/none", "NotFoundException"),
    ("none", "NotFoundException"),
    ("mrk-1234abcd12ab34cd56ef1234567890ab", "NotFoundException"),
    ("../../etc/passwd", "NotFoundException"),
    ("arn:aws:kms:us-east-1:1:key/x", "InvalidArnException"),
    ("arn:aws:s3:::bucket", "InvalidArnException"),
    ("arn:", "InvalidArnException"),
    ("x" * 2049, "ValidationException"),
    ("", "ValidationException"),
    (None, "ValidationException"),
    (5, "SerializationException"),
    (["x"], "SerializationException"),
])
def test_malformed_and_missing_keys(kms_node, kms, name, code):
    asked = {} if name is None else {"KeyId": name}
    for target, more in [("DescribeKey", {}), ("Encrypt", {"Plaintext": "eA=="}), ("EnableKey", {}), ("GenerateDataKey", {"KeySpec": "AES_256"}),
                         ("TagResource", {"Tags": []}), ("CreateAlias", {"AliasName": "alias/z"})]:
        if target == "CreateAlias":
            if name in ("alias/none", f"arn:aws:kms:us-east-1:{ONE}:alias/none"):
                continue
            asked = {} if name is None else {"TargetKeyId": name}
        status, _, told = wire(kms_node, f"TrentService.{target}", {**asked, **more})
        assert (status, told["__type"]) == (400, code), (target, told)


# Using keys


def test_what_is_encrypted_is_decrypted(kms, key):
    arn = f"arn:aws:kms:us-east-1:{ONE}:key/{key}"
    for plaintext in (b"x", bytes(4096)):
        sealed = kms.encrypt(KeyId=key, Plaintext=plaintext, EncryptionContext={"team": "red", "ü": "ß"})
        assert (sealed["KeyId"], sealed["EncryptionAlgorithm"]) == (arn, "SYMMETRIC_DEFAULT")
        blob = sealed["CiphertextBlob"]
        for named in ({}, {"KeyId": key}, {"KeyId": arn}):
            opened = kms.decrypt(CiphertextBlob=blob, EncryptionContext={"ü": "ß", "team": "red"}, **named)
            assert (opened["Plaintext"], opened["KeyId"], opened["EncryptionAlgorithm"]) == (plaintext, arn, "SYMMETRIC_DEFAULT")
        for context in ({}, {"team": "red"}, {"team": "blue", "ü": "ß"}):
            with refused(400, "InvalidCiphertextException"):
                kms.decrypt(CiphertextBlob=blob, EncryptionContext=context)


def test_wrong_blobs(kms, key):
    blob = kms.encrypt(KeyId=key, Plaintext=b"secret")["CiphertextBlob"]
    other = kms.create_key()["KeyMetadata"]["KeyId"]
    with refused(400, "IncorrectKeyException"):
        kms.decrypt(CiphertextBlob=blob, KeyId=other)
    flipped = lambda at: blob[:at] + bytes([blob[at] ^ 1]) + blob[at + 1:]
    # The id of the key: another, which is not there, or not to be used.
    with refused(400, "AccessDeniedException"):
        kms.decrypt(CiphertextBlob=flipped(5))
    for bad in (flipped(0), flipped(20), flipped(30), flipped(len(blob) - 1), blob[:-1], blob[:10], blob + b"x", b"x", bytes(6144)):
        with refused(400, "InvalidCiphertextException"):
            kms.decrypt(CiphertextBlob=bad)
    for bad in (b"", bytes(6145)):
        with refused(400, "ValidationException"):
            kms.decrypt(CiphertextBlob=bad)
    for bad in (b"", bytes(4097)):
        with refused(400, "ValidationException"):
            kms.encrypt(KeyId=key, Plaintext=bad)


def test_data_keys(kms, key):
    for asked, size in [({"KeySpec": "AES_256"}, 32), ({"KeySpec": "AES_128"}, 16), ({"NumberOfBytes": 1024}, 1024), ({"NumberOfBytes": 1}, 1)]:
        made = kms.generate_data_key(KeyId=key, EncryptionContext={"a": "b"}, **asked)
        assert len(made["Plaintext"]) == size
        assert kms.decrypt(CiphertextBlob=made["CiphertextBlob"], EncryptionContext={"a": "b"})["Plaintext"] == made["Plaintext"]
        hidden = kms.generate_data_key_without_plaintext(KeyId=key, **asked)
        assert "Plaintext" not in hidden
        assert len(kms.decrypt(CiphertextBlob=hidden["CiphertextBlob"])["Plaintext"]) == size
    for asked in ({}, {"KeySpec": "AES_256", "NumberOfBytes": 32}, {"KeySpec": "AES_512"}, {"NumberOfBytes": 0}, {"NumberOfBytes": 1025}):
        with refused(400, "ValidationException"):
            kms.generate_data_key(KeyId=key, **asked)


def test_random_bytes(kms):
    one, other = (kms.generate_random(NumberOfBytes=32)["Plaintext"] for _ in range(2))
    assert len(one) == 32 and one != other
    for asked in ({}, {"NumberOfBytes": 0}, {"NumberOfBytes": 1025}):
        with refused(400, "ValidationException"):
            kms.generate_random(**asked)


def test_re_encryption(kms, key):
    blob = kms.encrypt(KeyId=key, Plaintext=b"secret", EncryptionContext={"a": "b"})["CiphertextBlob"]
    to = kms.create_key()["KeyMetadata"]
    done = kms.re_encrypt(CiphertextBlob=blob, SourceEncryptionContext={"a": "b"}, DestinationKeyId=to["KeyId"], DestinationEncryptionContext={"c": "d"})
    assert (done["SourceKeyId"].rsplit("/")[-1], done["KeyId"]) == (key, to["Arn"])
    assert kms.decrypt(CiphertextBlob=done["CiphertextBlob"], EncryptionContext={"c": "d"})["Plaintext"] == b"secret"
    with refused(400, "InvalidCiphertextException"):
        kms.re_encrypt(CiphertextBlob=blob, DestinationKeyId=to["KeyId"])
    with refused(400, "IncorrectKeyException"):
        kms.re_encrypt(CiphertextBlob=blob, SourceEncryptionContext={"a": "b"}, SourceKeyId=to["KeyId"], DestinationKeyId=to["KeyId"])
    with refused(400, "NotFoundException"):
        kms.re_encrypt(CiphertextBlob=blob, SourceEncryptionContext={"a": "b"}, DestinationKeyId=NO_KEY)


def test_what_is_not_there_is_refused_rather_than_ignored(kms, key):
    blob = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    with refused(400, "InvalidKeyUsageException"):
        kms.encrypt(KeyId=key, Plaintext=b"x", EncryptionAlgorithm="RSAES_OAEP_SHA_256")
    with refused(400, "ValidationException"):
        kms.encrypt(KeyId=key, Plaintext=b"x", EncryptionAlgorithm="ROT13")
    with refused(400, "InvalidGrantTokenException"):
        kms.encrypt(KeyId=key, Plaintext=b"x", GrantTokens=["token"])
    for call in (lambda more: kms.decrypt(CiphertextBlob=blob, **more), lambda more: kms.generate_data_key(KeyId=key, KeySpec="AES_256", **more),
                 lambda more: kms.generate_random(NumberOfBytes=1, **more)):
        with refused(400, "UnsupportedOperationException"):
            call({"Recipient": {"KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256", "AttestationDocument": b"x"}})


def test_a_dry_run_tells_whether_it_would_succeed(kms, of, key):
    blob = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    for call in (lambda who: who.encrypt(KeyId=key, Plaintext=b"x", DryRun=True), lambda who: who.decrypt(CiphertextBlob=blob, DryRun=True),
                 lambda who: who.generate_data_key(KeyId=key, KeySpec="AES_256", DryRun=True),
                 lambda who: who.generate_data_key_without_plaintext(KeyId=key, KeySpec="AES_256", DryRun=True),
                 lambda who: who.re_encrypt(CiphertextBlob=blob, DestinationKeyId=key, DryRun=True)):
        with refused(400, "DryRunOperationException"):
            call(kms)
        with refused(400, "AccessDeniedException"):
            call(of("cat"))
    kms.disable_key(KeyId=key)
    with refused(400, "DisabledException"):
        kms.encrypt(KeyId=key, Plaintext=b"x", DryRun=True)


# Rotation


def test_rotation(kms, key):
    blob = kms.encrypt(KeyId=key, Plaintext=b"old")["CiphertextBlob"]
    before = kms.describe_key(KeyId=key)["KeyMetadata"]["CurrentKeyMaterialId"]
    assert kms.list_key_rotations(KeyId=key)["Rotations"] == []
    assert kms.rotate_key_on_demand(KeyId=key)["KeyId"] == key
    kms.rotate_key_on_demand(KeyId=key)
    now = kms.describe_key(KeyId=key)["KeyMetadata"]["CurrentKeyMaterialId"]
    rotations = kms.list_key_rotations(KeyId=key)["Rotations"]
    assert [r["RotationType"] for r in rotations] == ["ON_DEMAND"] * 2 and rotations[1]["KeyMaterialId"] == now
    everything = kms.list_key_rotations(KeyId=key, IncludeKeyMaterial="ALL_KEY_MATERIAL")["Rotations"]
    assert [r["KeyMaterialState"] for r in everything] == ["NON_CURRENT", "NON_CURRENT", "CURRENT"]
    assert everything[0]["KeyMaterialId"] == before and "RotationDate" not in everything[0]
    pages = list(kms.get_paginator("list_key_rotations").paginate(KeyId=key, PaginationConfig={"PageSize": 1}))
    assert [page["Rotations"] for page in pages] == [[r] for r in rotations]
    new = kms.encrypt(KeyId=key, Plaintext=b"new")["CiphertextBlob"]
    assert (kms.decrypt(CiphertextBlob=blob)["Plaintext"], kms.decrypt(CiphertextBlob=new)["Plaintext"]) == (b"old", b"new")
    moved = kms.re_encrypt(CiphertextBlob=blob, DestinationKeyId=key)["CiphertextBlob"]
    # The head names key and version.
    assert moved[:21] == new[:21] != blob[:21]


def test_automatic_rotation(kms, key):
    assert kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"] is False
    kms.enable_key_rotation(KeyId=key)
    status = kms.get_key_rotation_status(KeyId=key)
    assert (status["KeyRotationEnabled"], status["RotationPeriodInDays"], status["KeyId"]) == (True, 365, key)
    due = status["NextRotationDate"] - datetime.datetime.now(datetime.timezone.utc)
    assert datetime.timedelta(days=364, hours=23) < due < datetime.timedelta(days=365, minutes=1)
    kms.enable_key_rotation(KeyId=key, RotationPeriodInDays=90)
    assert kms.get_key_rotation_status(KeyId=key)["RotationPeriodInDays"] == 90
    for days in (89, 2561):
        with refused(400, "ValidationException"):
            kms.enable_key_rotation(KeyId=key, RotationPeriodInDays=days)
    kms.disable_key_rotation(KeyId=key)
    assert kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"] is False
    kms.disable_key(KeyId=key)
    for call in (kms.enable_key_rotation, kms.disable_key_rotation, kms.rotate_key_on_demand):
        with refused(400, "DisabledException"):
            call(KeyId=key)


# Tags


def test_tags(kms, key):
    tags = lambda **page: {t["TagKey"]: t["TagValue"] for t in kms.list_resource_tags(KeyId=key, **page)["Tags"]}
    assert tags() == {}
    kms.tag_resource(KeyId=key, Tags=[{"TagKey": "a", "TagValue": "1"}, {"TagKey": "b", "TagValue": ""}])
    kms.tag_resource(KeyId=key, Tags=[{"TagKey": "a", "TagValue": "2"}])
    assert tags() == {"a": "2", "b": ""} and tags(Limit=1) == {"a": "2"}
    kms.untag_resource(KeyId=key, TagKeys=["b", "none"])
    assert tags() == {"a": "2"}
    for bad in ({"TagKey": "<", "TagValue": ""}, {"TagKey": "", "TagValue": ""}, {"TagKey": "x" * 129, "TagValue": ""},
                {"TagKey": "x", "TagValue": "x" * 257}):
        with refused(400, "TagException"):
            kms.tag_resource(KeyId=key, Tags=[bad])
    with refused(400, "ValidationException"):
        kms.tag_resource(KeyId=key)
    with refused(400, "ValidationException"):
        kms.tag_resource(KeyId=key, Tags=[{"TagKey": "x"}])
    with refused(400, "LimitExceededException"):
        kms.tag_resource(KeyId=key, Tags=[{"TagKey": f"t{n}", "TagValue": ""} for n in range(50)])


# Who may


def test_the_account_decides_about_a_key_without_a_policy(kms, of, admin, key):
    policy = kms.get_key_policy(KeyId=key)
    assert policy["PolicyName"] == "default"
    assert json.loads(policy["Policy"])["Statement"][0]["Principal"] == {"AWS": f"arn:aws:iam::{ONE}:root"}
    assert kms.list_key_policies(KeyId=key)["PolicyNames"] == ["default"]
    with refused(400, "NotFoundException"):
        kms.get_key_policy(KeyId=key, PolicyName="other")
    blob = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    for who in (kms, of("bob"), of("ken"), admin):
        assert who.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"
    for name in ("cat", "dan", "eve", "fox"):
        for call in (lambda who: who.decrypt(CiphertextBlob=blob), lambda who: who.encrypt(KeyId=key, Plaintext=b"x")):
            with refused(400, "AccessDeniedException"):
                call(of(name))
    with refused(400, "AccessDeniedException") as answer:
        of("ken").schedule_key_deletion(KeyId=key)
    assert answer["Error"]["Message"] == (
        f"User: arn:aws:iam::{ONE}:user/ken is not authorized to perform: kms:ScheduleKeyDeletion on resource: "
        f"arn:aws:kms:us-east-1:{ONE}:key/{key} because no identity-based policy allows the kms:ScheduleKeyDeletion action")


def test_the_policy_of_a_key_decides(kms, of, admin, key):
    arn = lambda name, account=ONE: f"arn:aws:iam::{account}:user/{name}"
    named = lambda names, action, **more: statement(action, Principal={"AWS": names}, **more)
    put = lambda *statements: kms.put_key_policy(KeyId=key, Policy=json.dumps(document(*statements)))
    mine = named(f"arn:aws:iam::{ONE}:root", ["kms:PutKeyPolicy", "kms:Encrypt", "kms:GetKeyPolicy"])
    put(mine, named([arn("cat"), arn("fox", TWO)], "kms:Decrypt", Condition={"StringEquals": {"kms:EncryptionContext:team": "red"}}))
    assert json.loads(kms.get_key_policy(KeyId=key)["Policy"])["Statement"][0] == mine
    context = {"EncryptionContext": {"team": "red"}}
    blob = kms.encrypt(KeyId=key, Plaintext=b"x", **context)["CiphertextBlob"]
    for who in (of("cat"), of("fox"), admin):
        assert who.decrypt(CiphertextBlob=blob, **context)["Plaintext"] == b"x"
    for who in (of("cat"), of("fox")):
        with refused(400, "AccessDeniedException"):
            who.decrypt(CiphertextBlob=blob)
    # Neither the account's root, since the policy gives it other things only, nor whoever its own policies let.
    for name in ("ann", "bob", "eve"):
        with refused(400, "AccessDeniedException"):
            of(name).decrypt(CiphertextBlob=blob, **context)
    put(mine, named("*", "kms:*"), named(arn("bob"), "kms:Decrypt", effect="Deny"))
    with refused(400, "AccessDeniedException") as answer:
        of("bob").decrypt(CiphertextBlob=blob, **context)
    assert answer["Error"]["Message"].endswith("with an explicit deny in a resource-based policy")


@pytest.mark.parametrize("policy, words", [
    ("", "Policy"),
    ("{", "EOF"),
    ("[]", "object"),
    (json.dumps(document(statement("s3:*", Principal="*"))), "not an action of KMS"),
    (json.dumps(document(statement("kms:Fly", Principal="*"))), "not an action of KMS"),
    (json.dumps(document(statement("kms:*"))), "Principal: is missing"),
    (json.dumps(document(statement("kms:*", Principal={"AWS": "nobody-here"}))), "invalid principals: nobody-here"),
    (json.dumps(document(statement("kms:*", Principal={"AWS": f"arn:aws:iam::{TWO}:root"}))), "will not allow you to update the key policy"),
    (json.dumps(document(statement("kms:Decrypt", Principal="*"))), "will not allow you to update the key policy"),
    ('{"Version": "2012-10-17", "Statement": [], "Statement": []}', "twice"),
    (json.dumps(document(statement("kms:*", Principal="*", Sid="x" * 33000))), "larger"),
])
def test_bad_policies(kms, key, policy, words):
    before = kms.get_key_policy(KeyId=key)["Policy"]
    with refused(400, "MalformedPolicyDocumentException") as answer:
        kms.put_key_policy(KeyId=key, Policy=policy)
    assert words in answer["Error"]["Message"], answer["Error"]
    assert kms.get_key_policy(KeyId=key)["Policy"] == before


def test_who_locks_itself_out_has_to_say_so(kms, admin, key):
    policy = json.dumps(document(statement("kms:Decrypt", Principal="*")))
    kms.put_key_policy(KeyId=key, Policy=policy, BypassPolicyLockoutSafetyCheck=True)
    with refused(400, "AccessDeniedException"):
        kms.get_key_policy(KeyId=key)
    assert admin.get_key_policy(KeyId=key)["Policy"] == policy


def test_nothing_is_told_of_keys_to_those_who_may_nothing(of):
    for name in (NO_KEY, "alias/none", f"arn:aws:kms:us-east-1:{ONE}:key/{NO_KEY}"):
        for who in ("cat", "dan"):
            with refused(400, "AccessDeniedException"):
                of(who).describe_key(KeyId=name)
        with refused(400, "NotFoundException"):
            of("bob").describe_key(KeyId=name)


def test_every_operation_asks(of, key, alias, kms):
    """Who has no permission is refused each of them, whatever it is asked with."""
    kms.create_alias(AliasName=alias, TargetKeyId=key)
    blob = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    asked = {
        "create_key": {}, "list_keys": {}, "list_aliases": {}, "generate_random": {"NumberOfBytes": 1},
        "create_alias": {"AliasName": alias + "2", "TargetKeyId": key}, "update_alias": {"AliasName": alias, "TargetKeyId": key},
        "delete_alias": {"AliasName": alias}, "decrypt": {"CiphertextBlob": blob}, "encrypt": {"KeyId": key, "Plaintext": b"x"},
        "re_encrypt": {"CiphertextBlob": blob, "DestinationKeyId": key}, "generate_data_key": {"KeyId": key, "KeySpec": "AES_256"},
        "generate_data_key_without_plaintext": {"KeyId": key, "KeySpec": "AES_256"}, "tag_resource": {"KeyId": key, "Tags": []},
        "untag_resource": {"KeyId": key, "TagKeys": []}, "put_key_policy": {"KeyId": key, "Policy": json.dumps(document(statement("kms:*", Principal="*")))},
        "update_key_description": {"KeyId": key, "Description": ""},
        **{name: {"KeyId": key} for name in (
            "describe_key", "enable_key", "disable_key", "schedule_key_deletion", "cancel_key_deletion", "rotate_key_on_demand", "enable_key_rotation",
            "disable_key_rotation", "get_key_rotation_status", "list_key_rotations", "list_resource_tags", "get_key_policy", "list_key_policies")},
    }
    built = {boto3.session.botocore.xform_name(name) for name in operations("yes")}
    assert set(asked) == built
    for who in ("cat", "dan", "eve"):
        for name, members in asked.items():
            if who == "eve" and name in ("create_key", "list_keys", "list_aliases", "generate_random"):
                continue
            if who == "eve" and name == "delete_alias":
                # In her account there is none of that name.
                members = {"AliasName": f"arn:aws:kms:us-east-1:{ONE}:{alias}"}
            with refused(400, "AccessDeniedException"):
                getattr(of(who), name)(**members)
    # Bound by no policy of the key, ann did nothing of this.
    assert kms.describe_key(KeyId=alias)["KeyMetadata"]["Description"] == "a key"


def test_conditions_on_tags_and_aliases(kms_node, kms, key, alias):
    tagged = document(statement("kms:Encrypt", Condition={"StringEquals": {"aws:ResourceTag/team": "red"}}),
                      statement("kms:TagResource", Condition={"ForAllValues:StringEquals": {"aws:TagKeys": ["free"]}}),
                      statement("kms:Decrypt", Condition={"StringEquals": {"kms:RequestAlias": alias}}),
                      statement("kms:ScheduleKeyDeletion", Condition={"NumericGreaterThanEquals": {"kms:ScheduleKeyDeletionPendingWindowInDays": "20"}}))
    kms_node.add_users(user("tom", ONE, tagged))
    tom = client_of(kms_node, "tom")
    with refused(400, "AccessDeniedException"):
        tom.encrypt(KeyId=key, Plaintext=b"x")
    kms.tag_resource(KeyId=key, Tags=[{"TagKey": "team", "TagValue": "red"}])
    blob = tom.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    tom.tag_resource(KeyId=key, Tags=[{"TagKey": "free", "TagValue": "yes"}])
    with refused(400, "AccessDeniedException"):
        tom.tag_resource(KeyId=key, Tags=[{"TagKey": "team", "TagValue": "blue"}])
    kms.create_alias(AliasName=alias, TargetKeyId=key)
    assert tom.decrypt(CiphertextBlob=blob, KeyId=alias)["Plaintext"] == b"x"
    with refused(400, "AccessDeniedException"):
        tom.decrypt(CiphertextBlob=blob)
    with refused(400, "AccessDeniedException"):
        tom.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    tom.schedule_key_deletion(KeyId=key, PendingWindowInDays=20)


def test_temporary_credentials(kms_node, kms, key):
    session = client_of(kms_node, "ann", service="sts").get_session_token()["Credentials"]
    client = boto3.client("kms", endpoint_url=kms_node.endpoint, region_name="us-east-1", aws_access_key_id=session["AccessKeyId"],
                          aws_secret_access_key=session["SecretAccessKey"], aws_session_token=session["SessionToken"])
    assert client.describe_key(KeyId=key)["KeyMetadata"]["KeyId"] == key


def test_a_refusal_can_be_explained(kms_node, of, key):
    with refused(400, "AccessDeniedException") as answer:
        of("cat").describe_key(KeyId=key)
    request_id = answer["ResponseMetadata"]["RequestId"]
    status, _, told = put_via_header_pair(kms_node.endpoint, "GET", f"/_myfsio/explain?request_id={request_id}")
    told = json.loads(told)
    assert status == 200, told
    assert key in json.dumps(told) and "kms:DescribeKey" in json.dumps(told) and "no_statement_allows" in json.dumps(told)


def test_changes_are_audited_without_secrets(kms_node, kms, key):
    kms.rotate_key_on_demand(KeyId=key)
    status, _, told = put_via_header_pair(kms_node.endpoint, "GET", "/_myfsio/audit")
    entries = [entry for entry in json.loads(told)["entries"] if key in json.dumps(entry)]
    assert status == 200 and {entry["action"] for entry in entries} == {"kms:CreateKey", "kms:RotateKeyOnDemand"}
    assert all(entry["principal"] == f"arn:aws:iam::{ONE}:root" or "ann" in entry["principal"] for entry in entries)
    sealed = [m["sealed"] for k in json.loads((kms_node.root / ".myfsio.sys/keys/kms_keys.json").read_text())["keys"] for m in k["materials"]]
    assert sealed and not any(text in told.decode() for text in sealed)


# Through S3


@pytest.fixture
def bucket(kms_node):
    """A bucket of account 1."""
    name = f"t-{uuid.uuid4().hex}"
    kms_node.client("ann", "secret-of-ann").create_bucket(Bucket=name)
    return name


def test_grants_use_keys_through_s3_unless_the_policy_of_the_key_denies_it(kms_node, kms, of, key, bucket):
    s3 = {name: kms_node.client(name, f"secret-of-{name}") for name in ("ann", "dan")}
    sealed = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}
    s3["dan"].put_object(Bucket=bucket, Key="x", Body=b"text", **sealed)
    assert s3["dan"].get_object(Bucket=bucket, Key="x")["Body"].read() == b"text"
    with refused(400, "AccessDeniedException"):
        of("dan").encrypt(KeyId=key, Plaintext=b"x")
    allowed = statement("kms:*", Principal={"AWS": f"arn:aws:iam::{ONE}:root"})
    denied = statement("kms:Decrypt", effect="Deny", Principal={"AWS": f"arn:aws:iam::{ONE}:user/dan"})
    kms.put_key_policy(KeyId=key, Policy=json.dumps(document(allowed, denied)))
    with refused(403, "AccessDenied"):
        s3["dan"].get_object(Bucket=bucket, Key="x")
    assert s3["ann"].get_object(Bucket=bucket, Key="x")["Body"].read() == b"text"
    # A key that may be used through S3 only.
    through_s3 = statement("kms:Decrypt", Principal={"AWS": f"arn:aws:iam::{ONE}:user/cat"},
                           Condition={"StringLike": {"kms:ViaService": "s3.*.amazonaws.com"}})
    kms.put_key_policy(KeyId=key, Policy=json.dumps(document(allowed, through_s3)))
    kms_node.add_users(user("cat", ONE, document(statement("s3:GetObject"))))
    assert kms_node.client("cat", "secret-of-cat").get_object(Bucket=bucket, Key="x")["Body"].read() == b"text"
    blob = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    with refused(400, "AccessDeniedException"):
        of("cat").decrypt(CiphertextBlob=blob)
    kms_node.add_users(*USERS)


def test_the_nodes_own_key_is_everybodys_through_s3(kms_node, bucket):
    s3 = kms_node.client("dan", "secret-of-dan")
    put = s3.put_object(Bucket=bucket, Key="x", Body=b"text", ServerSideEncryption="aws:kms")
    assert ":000000000000:key/" in put["SSEKMSKeyId"]
    assert s3.get_object(Bucket=bucket, Key="x")["Body"].read() == b"text"


def test_a_key_tells_how_many_objects_hang_on_it(kms_node, kms, key, bucket):
    s3 = kms_node.client("ann", "secret-of-ann")
    for name in ("a", "b"):
        s3.put_object(Bucket=bucket, Key=name, Body=b"text", ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
    s3.create_multipart_upload(Bucket=bucket, Key="parts", ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
    told = route(kms_node, "GET", f"/kms/keys/{key}")[1]
    assert (told["AffectedObjects"], told["AffectedUploads"]) == (2, 1)
    s3.delete_object(Bucket=bucket, Key="b")
    status, told = route(kms_node, "DELETE", f"/kms/keys/{key}?waiting_period_days=7")
    assert (status, told["AffectedObjects"], told["AffectedUploads"], told["KeyState"]) == (200, 1, 1, "PendingDeletion")
    assert_deletion_told(kms_node, key)
    with refused(400, "KMS.KMSInvalidStateException"):
        s3.get_object(Bucket=bucket, Key="a")
    kms.cancel_key_deletion(KeyId=key)
    with refused(400, "KMS.DisabledException"):
        s3.get_object(Bucket=bucket, Key="a")
    kms.schedule_key_deletion(KeyId=key)
    assert_deletion_told(kms_node, key)
    kms.cancel_key_deletion(KeyId=key)
    kms.enable_key(KeyId=key)
    assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == b"text"


def assert_deletion_told(node, key):
    """The last entry of the audit log about a key says that one object and one upload will be lost with it; so does the log."""
    lines = [json.loads(line) for line in (node.root / ".myfsio.sys" / "audit" / "audit.jsonl").read_text().splitlines()]
    last = [line for line in lines if line["target"].endswith(f":key/{key}")][-1]
    assert last["action"] == "kms:ScheduleKeyDeletion", last
    assert (last["after"]["affected_objects"], last["after"]["affected_uploads"]) == (1, 1), last
    warned, end = [], time.monotonic() + 5
    while not warned and time.monotonic() < end:  # the log is written by a thread of its own
        warned = [line for line in node.tail().splitlines() if "the key is to be deleted" in line and key in line]
    assert warned and "WARN" in warned[-1], node.tail()


def test_a_key_is_told_with_its_names_to_whom_may_list_them(kms_node, kms, alias):
    key = kms.create_key(Tags=[{"TagKey": "team", "TagValue": "ops"}])["KeyMetadata"]["KeyId"]
    kms.create_alias(AliasName=alias, TargetKeyId=key)
    told = route(kms_node, "GET", f"/kms/keys/{key}")[1]
    assert (told["Aliases"], told["Tags"]) == ([alias], [{"TagKey": "team", "TagValue": "ops"}])
    kms_node.add_users(user("una", ONE, document(statement("kms:DescribeKey"))))
    status, told = route(kms_node, "GET", f"/kms/keys/{key}", access="una")
    assert status == 200 and "Aliases" not in told and "Tags" not in told, told


def test_the_next_request_sees_what_was_typed(kms_node, kms, key):
    """However soon after another request it was typed."""
    route(kms_node, "GET", f"/kms/keys/{key}")
    for number in range(100):
        allowed = number % 2 == 0
        kms_node.add_users(user("uri", ONE, *([document(statement("kms:DescribeKey"))] if allowed else [])))
        assert route(kms_node, "GET", f"/kms/keys/{key}", access="uri")[0] == (200 if allowed else 403), number
        # The look that the edit comes just behind.
        route(kms_node, "GET", f"/kms/keys/{key}")


# Aliases of accounts


def test_accounts_share_no_aliases(kms, of, admin, alias):
    one, two = kms.create_key()["KeyMetadata"], of("eve").create_key()["KeyMetadata"]
    kms.create_alias(AliasName=alias, TargetKeyId=one["KeyId"])
    with refused(400, "NotFoundException"):
        of("eve").describe_key(KeyId=alias)
    of("eve").create_alias(AliasName=alias, TargetKeyId=two["KeyId"])
    for client, key in ((kms, one), (of("bob"), one), (of("eve"), two), (of("fox"), two)):
        assert client.describe_key(KeyId=alias)["KeyMetadata"]["Arn"] == key["Arn"]
        listed = [entry for page in client.get_paginator("list_aliases").paginate() for entry in page["Aliases"]]
        assert [entry["TargetKeyId"] for entry in listed if entry["AliasName"] == alias] == [key["KeyId"]]
        blob = client.encrypt(KeyId=alias, Plaintext=b"x")
        assert blob["KeyId"] == key["Arn"]
    arn = one["Arn"].split(":key/")[0] + f":{alias}"
    assert kms.describe_key(KeyId=arn)["KeyMetadata"]["Arn"] == one["Arn"]
    with refused(400, "AccessDeniedException"):
        of("eve").describe_key(KeyId=arn)
    # The administrator sees all, page by page, and means one by its ARN.
    pages = admin.get_paginator("list_aliases").paginate(PaginationConfig={"PageSize": 1})
    seen = [entry["TargetKeyId"] for page in pages for entry in page["Aliases"] if entry["AliasName"] == alias]
    assert sorted(seen) == sorted([one["KeyId"], two["KeyId"]])
    with refused(400, "NotFoundException"):
        admin.describe_key(KeyId=alias)
    assert admin.describe_key(KeyId=arn)["KeyMetadata"]["Arn"] == one["Arn"]
    admin.delete_alias(AliasName=arn)
    assert of("eve").describe_key(KeyId=alias)["KeyMetadata"]["Arn"] == two["Arn"]
    with refused(400, "NotFoundException"):
        kms.describe_key(KeyId=alias)
    of("eve").delete_alias(AliasName=alias)


def test_what_is_under_the_nodes_own_key_is_told_to_administrators(kms_node):
    path = "/kms/keys/aws%2Fs3"
    for access in ("ann", "eve", "cat"):
        status, told = route(kms_node, "GET", path, access=access)
        assert status == 200 and "AffectedObjects" not in told and "AffectedUploads" not in told, told
    status, _, answer = put_via_header_pair(kms_node.endpoint, "GET", path, b"", nodes.ACCESS, nodes.SECRET)
    assert status == 200 and json.loads(answer)["AffectedObjects"] >= 0


# What is no request


@pytest.mark.parametrize("body", [b"{", b"[]", b"null", b"1", b'"x"', b"{\"KeyId\":1,\"KeyId\":2}", b"\xff", b"{} {}", b"[" * 100_000, b'{"a":1e999}'])
def test_malformed_json(kms_node, body):
    status, headers, told = wire(kms_node, "TrentService.ListKeys", body)
    assert (status, told["__type"], headers["x-amzn-errortype"]) == (400, "SerializationException", "SerializationException")
    assert headers["content-type"] == "application/x-amz-json-1.1" and len(told["message"]) < 300


@pytest.mark.parametrize("target, members", [
    ("Encrypt", {"KeyId": {}, "Plaintext": "eA=="}),
    ("Encrypt", {"KeyId": "alias/x", "Plaintext": 5}),
    ("Encrypt", {"KeyId": "alias/x", "Plaintext": "*"}),
    ("Encrypt", {"KeyId": "alias/x", "Plaintext": "eA"}),
    ("Encrypt", {"KeyId": "alias/x", "Plaintext": "eA==", "EncryptionContext": []}),
    ("Encrypt", {"KeyId": "alias/x", "Plaintext": "eA==", "EncryptionContext": {"a": 1}}),
    ("Decrypt", {"CiphertextBlob": ["eA=="]}),
    ("ListKeys", {"Limit": "5"}),
    ("ListKeys", {"Limit": 1.5}),
    ("ListKeys", {"Marker": 5}),
    ("CreateKey", {"Tags": {"a": "b"}}),
    ("CreateKey", {"Tags": ["a"]}),
    ("CreateKey", {"MultiRegion": "true"}),
    ("CreateKey", {"Policy": {}}),
    ("GenerateRandom", {"NumberOfBytes": "32"}),
])
def test_wrong_types(kms_node, target, members):
    status, _, told = wire(kms_node, f"TrentService.{target}", members)
    assert (status, told["__type"]) == (400, "SerializationException"), told


@pytest.mark.parametrize("members", [{"Limit": 10**30}, {"Limit": -1}, {"Limit": 2**63}])
def test_numbers_beyond_all_ranges(kms_node, members):
    status, _, told = wire(kms_node, "TrentService.ListKeys", members)
    assert status == 400 and told["__type"] in ("ValidationException", "SerializationException"), told


def test_unknown_members_are_passed_over_and_null_is_nothing(kms_node):
    status, headers, told = wire(kms_node, "TrentService.ListKeys", {"Colour": "red", "Limit": None, "Marker": None})
    assert status == 200 and "Keys" in told
    assert headers["cache-control"] == "no-store" and headers["x-amzn-requestid"]
    # An extension of the routes of the node's own.
    status, _, made = wire(kms_node, "TrentService.CreateKey", {"AliasName": f"alias/{uuid.uuid4()}"})
    assert status == 200
    assert wire(kms_node, "TrentService.ListAliases", {"KeyId": made["KeyMetadata"]["KeyId"]})[2]["Aliases"] == []


def test_huge_fields(kms_node):
    status, _, told = wire(kms_node, "TrentService.Encrypt", {"KeyId": "x" * 200_000, "Plaintext": "eA=="})
    assert (status, told["__type"]) == (400, "ValidationException") and len(told["message"]) < 500
    status, _, told = wire(kms_node, "TrentService.Encrypt", {"KeyId": "alias/x", "Plaintext": "A" * 200_000})
    assert (status, told["__type"]) == (400, "ValidationException")
    context = {f"name{n}": "x" * 100 for n in range(500)}
    status, _, made = wire(kms_node, "TrentService.CreateKey", {})
    status, _, told = wire(kms_node, "TrentService.Encrypt", {"KeyId": made["KeyMetadata"]["KeyId"], "Plaintext": "eA==", "EncryptionContext": context})
    assert (status, told["__type"]) == (400, "ValidationException")
    status, _, told = wire(kms_node, "TrentService.Encrypt", b'{"KeyId":"' + b"x" * 300_000 + b'"}')
    assert status == 413 and told["__type"] == "RequestEntityTooLargeException"


@pytest.mark.parametrize("target, status, code", [
    ("TrentService.Fly", 400, "UnknownOperationException"),
    ("TrentService.", 400, "UnknownOperationException"),
    ("ListKeys", 400, "UnknownOperationException"),
    ("DynamoDB_20120810.ListTables", 400, "UnknownOperationException"),
    ("TrentService." + "x" * 5000, 400, "UnknownOperationException"),
])
def test_unknown_operations(kms_node, target, status, code):
    got, _, told = wire(kms_node, target)
    assert (got, told["__type"]) == (status, code) and len(told["message"]) < 300


def test_operations_that_are_not_built_say_their_names(kms_node):
    for name in operations("no"):
        status, _, told = wire(kms_node, f"TrentService.{name}")
        assert (status, told) == (501, {"__type": "UnsupportedOperationException", "message": f"{name} is not implemented."})


def operations(built):
    """The operations of KMS of which docs/compatibility.md says this."""
    text = (nodes.REPO / "docs/compatibility.md").read_text().split("\n## KMS")[1].split("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return [row[0] for row in rows if row[1].strip("| ") == built or (built == "yes" and row[1] == "partly")]


def test_credentials(kms_node):
    for client, code in [(client_of(kms_node, secret="wrong"), "InvalidSignatureException"), (client_of(kms_node, "nobody"), "UnrecognizedClientException")]:
        with refused(400, code):
            client.list_keys()
    status, headers, body = send(kms_node.endpoint, "POST", "/", b"{}", {"X-Amz-Target": "TrentService.ListKeys"})
    assert (status, json.loads(body)["__type"]) == (400, "MissingAuthenticationTokenException")
    # The header pair, too.
    status, _, body = put_via_header_pair(kms_node.endpoint, "POST", "/", b"", "ann", "secret-of-ann", **{"X-Amz-Target": "TrentService.ListKeys"})
    assert status == 200 and "Keys" in json.loads(body)


# The routes below /kms


def test_the_routes_as_the_manual_of_the_seed_has_them(kms_node):
    name = f"my-key-{uuid.uuid4().hex}"
    ask = lambda method, path, body=None: route(kms_node, method, path, body)
    status, made = ask("POST", "/kms/keys", {"alias": name, "description": "Production encryption key"})
    made = made["KeyMetadata"]
    key = made["KeyId"]
    assert status == 200 and made["Description"] == "Production encryption key" and made["KeyState"] == "Enabled"
    assert made["Arn"] == f"arn:aws:kms:us-east-1:{ONE}:key/{key}"
    status, listed = ask("GET", "/kms/keys")
    assert status == 200 and {"KeyId": key, "KeyArn": made["Arn"]} in listed["Keys"] and listed["Truncated"] is False
    status, page = ask("GET", "/kms/keys?limit=1")
    assert status == 200 and len(page["Keys"]) == 1 and page["NextMarker"]
    for named in (key, made["Arn"], f"alias/{name}", f"alias%2F{name}", name, urllib.parse.quote(made["Arn"], safe="")):
        status, told = ask("GET", f"/kms/keys/{named}")
        assert status == 200 and told == {"KeyMetadata": made, "AffectedObjects": 0, "AffectedUploads": 0,
                                           "Aliases": [f"alias/{name}"], "Tags": []}, named
    status, told = ask("POST", f"/kms/keys/{key}/rotate")
    assert status == 200 and told["KeyMetadata"]["CurrentKeyMaterialId"] != made["CurrentKeyMaterialId"]
    status, told = ask("POST", f"/kms/keys/{key}/disable")
    assert status == 200 and told["KeyMetadata"]["KeyState"] == "Disabled"
    assert ask("POST", f"/kms/keys/{name}/enable")[1]["KeyMetadata"]["KeyState"] == "Enabled"
    status, told = ask("DELETE", f"/kms/keys/{key}?waiting_period_days=7")
    assert status == 200 and (told["KeyId"], told["PendingWindowInDays"], told["KeyState"]) == (made["Arn"], 7, "PendingDeletion")
    assert told["AffectedObjects"] == 0
    assert ask("POST", f"/kms/keys/{key}/cancel-deletion")[1]["KeyMetadata"]["KeyState"] == "Disabled"
    assert ask("DELETE", f"/kms/keys/{key}")[1]["PendingWindowInDays"] == 30


@pytest.mark.parametrize("snake", [False, True])
def test_routes_that_use_keys(kms_node, key, snake):
    spelled = lambda members: {("".join("_" + c.lower() if c.isupper() else c for c in name).lstrip("_") if snake else name): value for name, value in members.items()}
    ask = lambda path, **members: route(kms_node, "POST", f"/kms/{path}", spelled(members))
    b64 = lambda raw: base64.b64encode(raw).decode()
    context = {"EncryptionContext": {"someName": "v"}}
    status, sealed = ask("encrypt", KeyId=key, Plaintext=b64(b"text"), **context)
    assert status == 200 and sealed["KeyId"].endswith(key)
    status, opened = ask("decrypt", CiphertextBlob=sealed["CiphertextBlob"], **context)
    assert status == 200 and opened["Plaintext"] == b64(b"text")
    assert ask("decrypt", CiphertextBlob=sealed["CiphertextBlob"])[0] == 400
    status, moved = ask("re-encrypt", CiphertextBlob=sealed["CiphertextBlob"], SourceEncryptionContext={"someName": "v"}, DestinationKeyId=key)
    assert status == 200 and ask("decrypt", CiphertextBlob=moved["CiphertextBlob"])[1]["Plaintext"] == b64(b"text")
    status, made = ask("generate-data-key", KeyId=key, KeySpec="AES_256")
    assert status == 200 and ask("decrypt", CiphertextBlob=made["CiphertextBlob"])[1]["Plaintext"] == made["Plaintext"]
    status, made = ask("generate-data-key-without-plaintext", KeyId=key, NumberOfBytes=8)
    assert status == 200 and "Plaintext" not in made
    status, made = ask("generate-random", NumberOfBytes=5)
    assert status == 200 and len(base64.b64decode(made["Plaintext"])) == 5


@pytest.mark.parametrize("method, path, body, status, code", [
    ("GET", f"/kms/keys/{NO_KEY}", None, 400, "NotFoundException"),
    ("GET", "/kms/keys/arn:aws:s3:::x", None, 400, "InvalidArnException"),
    ("GET", "/kms/keys/%ff", None, 400, "InvalidURI"),
    ("GET", "/kms/keys?limit=x", None, 400, "SerializationException"),
    ("GET", "/kms/keys?limit=0", None, 400, "ValidationException"),
    ("GET", "/kms/keys?colour=red", None, 400, "ValidationException"),
    ("POST", "/kms/keys", b"{", 400, "SerializationException"),
    ("POST", "/kms/keys", {"colour": "red"}, 400, "ValidationException"),
    ("POST", "/kms/keys", {"alias": "a b"}, 400, "InvalidAliasNameException"),
    ("POST", "/kms/keys", {"alias": "aws/x"}, 400, "NotAuthorizedException"),
    ("POST", "/kms/keys", {"alias": 5}, 400, "SerializationException"),
    ("DELETE", f"/kms/keys/{NO_KEY}?waiting_period_days=400", None, 400, "ValidationException"),
    ("DELETE", f"/kms/keys/{NO_KEY}?waiting_period_days=7", None, 400, "NotFoundException"),
    ("DELETE", f"/kms/keys/{NO_KEY}?waiting_period_days=x", None, 400, "SerializationException"),
    ("DELETE", f"/kms/keys/{NO_KEY}?waiting_period=7", None, 400, "ValidationException"),
    ("PUT", f"/kms/keys/{NO_KEY}", None, 405, "MethodNotAllowed"),
    ("GET", "/kms/encrypt", None, 405, "MethodNotAllowed"),
    ("GET", "/kms", None, 501, "NotImplemented"),
    ("POST", "/kms/fly", None, 501, "NotImplemented"),
    ("POST", "/kms/encrypt", {"KeyId": NO_KEY}, 400, "ValidationException"),
    ("POST", "/kms/decrypt", {"CiphertextBlob": "AAAA"}, 400, "InvalidCiphertextException"),
    ("POST", "/kms/encrypt", b"x" * 300_000, 400, "MaxMessageLengthExceeded"),
])
def test_routes_refuse_in_json(kms_node, method, path, body, status, code):
    got, told = route(kms_node, method, path, body)
    assert (got, told["error"]["code"]) == (status, code), told
    assert told["error"]["message"] and told["error"]["request_id"]


def test_routes_ask_as_the_operations_do(kms_node, key):
    for who in ("cat", "dan", "eve", "fox"):
        for method, path, body in [("GET", f"/kms/keys/{key}", None), ("POST", f"/kms/keys/{key}/disable", None), ("DELETE", f"/kms/keys/{key}", None),
                                   ("POST", "/kms/encrypt", {"key_id": key, "plaintext": "eA=="})]:
            got, told = route(kms_node, method, path, body, access=who)
            assert (got, told["error"]["code"]) == (403, "AccessDenied"), (who, path, told)
    assert route(kms_node, "POST", "/kms/keys", {}, access="cat")[0] == 403
    # An alias for it takes another permission.
    kms_node.add_users(user("mia", ONE, document(statement("kms:CreateKey"))))
    assert route(kms_node, "POST", "/kms/keys", {}, access="mia")[0] == 200
    assert route(kms_node, "POST", "/kms/keys", {"alias": "mia"}, access="mia")[0] == 403
    status, _, body = send(kms_node.endpoint, "GET", "/kms/keys")
    assert (status, json.loads(body)["error"]["code"]) == (403, "AccessDenied")
    status, _, body = put_via_header_pair(kms_node.endpoint, "GET", f"/kms/keys/{NO_KEY}", b"", "ann", "secret-of-ann", Accept="application/xml")
    assert status == 400 and b"<Code>NotFoundException</Code>" in body


def test_client_side_encryption(kms_node):
    ask = lambda word, body=None, **more: route(kms_node, "POST", f"/kms/client/{word}", body, **more)
    # Of keys of the node it uses none, so that whoever is known may.
    status, made = ask("generate-key", access="cat")
    assert status == 200 and len(base64.b64decode(made["Key"])) == 32
    status, sealed = ask("encrypt", {"key": made["Key"], "plaintext": base64.b64encode(b"text").decode(), "context": {"a": "b"}})
    assert status == 200 and set(sealed["Metadata"]) == {"x-amz-meta-x-amz-key", "x-amz-meta-x-amz-iv", "x-amz-meta-x-amz-matdesc"}
    status, opened = ask("decrypt", {"Key": made["Key"], "Ciphertext": sealed["Ciphertext"], "Metadata": sealed["Metadata"]})
    assert status == 200 and base64.b64decode(opened["Plaintext"]) == b"text"
    _, other = ask("generate-key")
    for body, code in [({"Key": other["Key"], "Ciphertext": sealed["Ciphertext"], "Metadata": sealed["Metadata"]}, "InvalidCiphertextException"),
                       ({"Key": "x"}, "ValidationException"), (b"{", "ValidationException")]:
        status, told = ask("decrypt", body)
        assert (status, told["error"]["code"]) == (400, code), told
    status, _, told = send(kms_node.endpoint, "POST", "/kms/client/generate-key")
    assert (status, json.loads(told)["error"]["code"]) == (403, "AccessDenied")


def test_the_bucket_name_stays_reserved(kms_node):
    with refused(400, "InvalidBucketName"):
        kms_node.client().create_bucket(Bucket="kms")


# Without KMS


def test_a_node_without_kms_says_so(server):
    for method, path in (("GET", "/kms/keys"), ("POST", "/kms/encrypt"), ("POST", "/kms/client/generate-key")):
        status, _, body = put_via_header_pair(server.endpoint, method, path)
        assert (status, json.loads(body)["error"]["code"]) == (400, "KMSNotEnabled")
    with refused(400, "KMSNotEnabled"):
        client_of(server).list_keys()
    status, _, body = send(server.endpoint, "GET", "/kms/keys")
    assert (status, json.loads(body)["error"]["code"]) == (403, "AccessDenied")


def test_a_wrong_master_key_is_told(kms_node, node_factory):
    node = node_factory(KMS_ENABLED="true", ENCRYPTION_ENABLED="true")
    client_of(node).create_key()
    node.stop()
    (node.root / ".myfsio.sys/keys/master.key").write_text(base64.b64encode(b"x" * 32).decode())
    node.launch()
    end = time.monotonic() + 20
    while time.monotonic() < end:
        try:
            if send(node.endpoint, "GET", "/healthz")[0] == 200:
                break
        except OSError:
            time.sleep(0.05)
    with refused(500, "KeyUnavailableException") as answer:
        client_of(node).list_keys()
    assert "master key is not the one" in answer["Error"]["Message"]


# Other clients


def aws_cli(node, *arguments):
    env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "AWS_ACCESS_KEY_ID": "ann", "AWS_SECRET_ACCESS_KEY": "secret-of-ann",
           "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true"}
    done = subprocess.run(["aws", "--endpoint-url", node.endpoint, "kms", *arguments], env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) if done.stdout.strip() else None


@pytest.mark.skipif(not shutil.which("aws"), reason="the aws cli is not installed")
def test_the_aws_cli(kms_node, alias, tmp_path):
    key = aws_cli(kms_node, "create-key", "--description", "from the cli", "--tags", "TagKey=a,TagValue=b")["KeyMetadata"]["KeyId"]
    aws_cli(kms_node, "create-alias", "--alias-name", alias, "--target-key-id", key)
    assert aws_cli(kms_node, "describe-key", "--key-id", alias)["KeyMetadata"]["Description"] == "from the cli"
    (tmp_path / "plain").write_bytes(b"secret\x00\xff")
    sealed = aws_cli(kms_node, "encrypt", "--key-id", alias, "--plaintext", f"fileb://{tmp_path}/plain", "--encryption-context", "a=b")["CiphertextBlob"]
    (tmp_path / "sealed").write_bytes(base64.b64decode(sealed))
    opened = aws_cli(kms_node, "decrypt", "--ciphertext-blob", f"fileb://{tmp_path}/sealed", "--encryption-context", "a=b")["Plaintext"]
    assert base64.b64decode(opened) == b"secret\x00\xff"
    aws_cli(kms_node, "enable-key-rotation", "--key-id", key)
    assert aws_cli(kms_node, "get-key-rotation-status", "--key-id", key)["KeyRotationEnabled"]
    assert aws_cli(kms_node, "list-resource-tags", "--key-id", key)["Tags"] == [{"TagKey": "a", "TagValue": "b"}]
    assert aws_cli(kms_node, "get-key-policy", "--key-id", key, "--policy-name", "default")["PolicyName"] == "default"
    assert aws_cli(kms_node, "schedule-key-deletion", "--key-id", key, "--pending-window-in-days", "7")["KeyState"] == "PendingDeletion"


TERRAFORM = """
terraform {
  required_providers { aws = { source = "hashicorp/aws" } }
}
provider "aws" {
  region = "us-east-1"
  access_key = "ann"
  secret_key = "secret-of-ann"
  skip_credentials_validation = true
  skip_metadata_api_check = true
  skip_requesting_account_id = true
  endpoints { kms = "%s" }
}
resource "aws_kms_key" "this" {
  description = "%s"
  deletion_window_in_days = 7
  enable_key_rotation = true
  rotation_period_in_days = 180
  tags = { team = "ops" }
}
resource "aws_kms_alias" "this" {
  name = "%s"
  target_key_id = aws_kms_key.this.key_id
}
data "aws_kms_alias" "this" {
  name = aws_kms_alias.this.name
}
output "key" { value = data.aws_kms_alias.this.target_key_id }
"""
PLUGINS = os.environ.get("TERRAFORM_PLUGINS", "/opt/tf-plugins")


@pytest.mark.skipif(not shutil.which("terraform") or not os.path.isdir(PLUGINS), reason="needs terraform and, in TERRAFORM_PLUGINS, its AWS provider")
def test_terraform(kms_node, kms, alias, tmp_path):
    def terraform(*arguments):
        env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1"}
        done = subprocess.run(["terraform", *arguments], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=240)
        return done.returncode, done.stdout + done.stderr

    def apply(description):
        (tmp_path / "main.tf").write_text(TERRAFORM % (kms_node.endpoint, description, alias))
        status, told = terraform("apply", "-auto-approve", "-no-color")
        assert status == 0, told

    (tmp_path / "main.tf").write_text(TERRAFORM % (kms_node.endpoint, "one", alias))
    status, told = terraform("init", "-no-color", f"-plugin-dir={PLUGINS}")
    assert status == 0, told
    apply("one")
    status, told = terraform("output", "-raw", "key")
    key = told.strip()
    made = kms.describe_key(KeyId=alias)["KeyMetadata"]
    assert (made["KeyId"], made["Description"]) == (key, "one")
    assert kms.get_key_rotation_status(KeyId=key)["RotationPeriodInDays"] == 180
    # What is there is what was asked for.
    status, told = terraform("plan", "-detailed-exitcode", "-no-color")
    assert status == 0, told
    apply("two")
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["Description"] == "two"
    status, told = terraform("destroy", "-auto-approve", "-no-color")
    assert status == 0, told
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "PendingDeletion"
