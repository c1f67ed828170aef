"""Temporary credentials: roles, session policies, tags, every way to sign with them, their end, and web identity."""

import itertools
import json
import os
import urllib.parse

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config

import node as nodes
from issuer import Issuer, key
from test_forms import encode, post
from util import code_of, refused, send

pytestmark = pytest.mark.local
_numbers = itertools.count(1)


def statement(effect, actions, resources="*", **more):
    return {"Effect": effect, "Action": actions, "Resource": resources, **more}


def policy(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def trust(principal, actions="sts:AssumeRole", **more):
    return policy({"Effect": "Allow", "Principal": principal, "Action": actions, **more})


class Account:
    """The account of a node's administrator: its users and roles, and clients for whom it gives keys to."""

    def __init__(self, node):
        self.node = node
        self.iam, self.sts = self.client("iam"), self.client("sts")
        self.id = self.sts.get_caller_identity()["Account"]

    def client(self, service, credentials=None, **config):
        """A client of the administrator, of a (key, secret, token), or of what STS gave."""
        if isinstance(credentials, dict):
            given = credentials["Credentials"]
            credentials = (given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
        access, secret, token = credentials or (nodes.ACCESS, nodes.SECRET, None)
        config = {"signature_version": "s3v4", "s3": {"addressing_style": "path"}, **config} if service == "s3" else config
        return boto3.client(service, endpoint_url=self.node.endpoint, region_name="us-east-1", aws_access_key_id=access,
                            aws_secret_access_key=secret, aws_session_token=token,
                            config=Config(retries={"total_max_attempts": 1}, **config))

    def user(self, document=None):
        """A new user with a policy; its name and lasting credentials."""
        name = f"user{next(_numbers)}"
        self.iam.create_user(UserName=name)
        if document:
            self.iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=document)
        made = self.iam.create_access_key(UserName=name)["AccessKey"]
        return name, (made["AccessKeyId"], made["SecretAccessKey"], None)

    def role(self, trust_policy=None, document=None, **more):
        """A new role that its account may assume, with a policy; its ARN."""
        name = f"role{next(_numbers)}"
        trusted = trust_policy or trust({"AWS": self.id})
        arn = self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=trusted, **more)["Role"]["Arn"]
        if document:
            self.iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=document)
        return arn

    def assume(self, arn, session="visit", **more):
        return self.sts.assume_role(RoleArn=arn, RoleSessionName=session, **more)


@pytest.fixture(scope="module")
def account():
    if os.environ.get("S3_ENDPOINT"):
        pytest.skip("needs a node of its own")
    node = nodes.Node()
    try:
        yield Account(node.start())
    finally:
        node.close()


@pytest.fixture
def store(account):
    """A bucket with two objects, `a/1` and `b/1`."""
    bucket = f"store{next(_numbers)}"
    s3 = account.client("s3")
    s3.create_bucket(Bucket=bucket)
    for name in ("a/1", "b/1"):
        s3.put_object(Bucket=bucket, Key=name, Body=name.encode())
    return bucket


def reader(bucket):
    return policy(statement("Allow", "s3:GetObject", f"arn:aws:s3:::{bucket}/*"))


def test_a_role_is_assumed_and_bounded_by_its_policies(account, store):
    name, ann = account.user(policy(statement("Allow", "sts:AssumeRole")))
    arn = account.role(trust({"AWS": f"arn:aws:iam::{account.id}:user/{name}"}), reader(store))
    given = account.client("sts", ann).assume_role(RoleArn=arn, RoleSessionName="visit")
    role = arn.rsplit("/", 1)[1]
    assert given["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{account.id}:assumed-role/{role}/visit"
    assert given["Credentials"]["AccessKeyId"].startswith("ASIA") and "PackedPolicySize" not in given
    s3 = account.client("s3", given)
    assert s3.get_object(Bucket=store, Key="a/1")["Body"].read() == b"a/1"
    with refused(403, "AccessDenied"):
        s3.put_object(Bucket=store, Key="a/2")
    identity = account.client("sts", given).get_caller_identity()
    role_id = account.iam.get_role(RoleName=role)["Role"]["RoleId"]
    assert identity["UserId"] == f"{role_id}:visit" and identity["Arn"] == given["AssumedRoleUser"]["Arn"]
    _, bob = account.user(policy(statement("Allow", "sts:AssumeRole")))
    with refused(403, "AccessDenied") as answer:
        account.client("sts", bob).assume_role(RoleArn=arn, RoleSessionName="visit")
    assert f"is not authorized to perform: sts:AssumeRole on resource: {arn}" in answer["Error"]["Message"]


def test_what_a_role_makes_is_its_own(account):
    given = account.assume(account.role(document=policy(statement("Allow", "s3:*"))))
    s3, bucket = account.client("s3", given), f"made{next(_numbers)}"
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert bucket in [b["Name"] for b in s3.list_buckets()["Buckets"]]
    assert account.client("s3").head_bucket(Bucket=bucket)
    s3.delete_object(Bucket=bucket, Key="k")
    s3.delete_bucket(Bucket=bucket)


def test_parameters_are_checked(account):
    arn = account.role()
    for more in [{"DurationSeconds": 3601}, {"RoleSessionName": "a b"}, {"PolicyArns": [{"arn": f"arn:aws:iam::{account.id}:policy/none"}]},
                 {"Tags": [{"Key": "a", "Value": "1"}, {"Key": "A", "Value": "2"}]}, {"TransitiveTagKeys": ["a"]}]:
        with refused(400, "ValidationError"):
            account.sts.assume_role(**{"RoleArn": arn, "RoleSessionName": "visit", **more})
    for document in ["{", "{}", policy(statement("Allow", "s3:*", Condition={"Fits": {"aws:SourceIp": "::"}}))]:
        with refused(400, "MalformedPolicyDocument"):
            account.assume(arn, Policy=document)
    with refused(403, "AccessDenied"):
        account.assume(arn, SerialNumber="arn:aws:iam::1:mfa/x", TokenCode="123456")
    longer = account.role(MaxSessionDuration=7200)
    account.assume(longer, DurationSeconds=7200)
    with refused(501, "NotImplemented"):
        account.sts.get_federation_token(Name="bob")
    with refused(501, "NotImplemented"):
        account.sts.decode_authorization_message(EncodedMessage="x")


def test_session_policies_take_away(account, store):
    arn = account.role(document=policy(statement("Allow", "s3:*")))
    bounded = lambda **more: account.client("s3", account.assume(arn, **more))
    only_a = policy(statement("Allow", ["s3:GetObject", "s3:PutObject"], f"arn:aws:s3:::{store}/a/*"))
    given = account.assume(arn, Policy=only_a)
    assert 0 < given["PackedPolicySize"] < 100
    s3 = account.client("s3", given)
    s3.get_object(Bucket=store, Key="a/1")
    for call in [lambda: s3.get_object(Bucket=store, Key="b/1"), lambda: s3.delete_object(Bucket=store, Key="a/1")]:
        with refused(403, "AccessDenied"):
            call()
    s3 = bounded(Policy=policy(statement("Allow", "s3:*"), statement("Deny", "s3:GetObject", f"arn:aws:s3:::{store}/b/*")))
    s3.get_object(Bucket=store, Key="a/1")
    with refused(403, "AccessDenied"):
        s3.get_object(Bucket=store, Key="b/1")
    s3 = bounded(PolicyArns=[{"arn": "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"}])
    s3.get_object(Bucket=store, Key="b/1")
    with refused(403, "AccessDenied"):
        s3.put_object(Bucket=store, Key="b/1")
    # A session policy gives nothing that the role does not have.
    poor = account.client("s3", account.assume(account.role(), Policy=policy(statement("Allow", "s3:*"))))
    with refused(403, "AccessDenied"):
        poor.get_object(Bucket=store, Key="a/1")


def test_managed_session_policies_are_looked_up_at_each_use(account, store):
    managed = account.iam.create_policy(PolicyName=f"bounds{next(_numbers)}", PolicyDocument=reader(store))["Policy"]["Arn"]
    arn = account.role(document=policy(statement("Allow", "s3:*")))
    s3 = account.client("s3", account.assume(arn, PolicyArns=[{"arn": managed}]))
    s3.get_object(Bucket=store, Key="a/1")
    account.iam.create_policy_version(PolicyArn=managed, SetAsDefault=True, PolicyDocument=policy(statement("Allow", "s3:ListBucket")))
    s3.list_objects_v2(Bucket=store)
    with refused(403, "AccessDenied"):
        s3.get_object(Bucket=store, Key="a/1")
    account.iam.delete_policy_version(PolicyArn=managed, VersionId="v1")
    account.iam.delete_policy(PolicyArn=managed)
    with refused(403, "AccessDenied"):
        s3.list_objects_v2(Bucket=store)


def test_bucket_policies_name_the_role_or_the_session(account, store):
    arn = account.role()
    role = arn.rsplit("/", 1)[1]
    put = lambda principal: account.client("s3").put_bucket_policy(Bucket=store, Policy=policy(
        statement("Allow", "s3:GetObject", f"arn:aws:s3:::{store}/*", Principal={"AWS": principal})))
    plain = account.client("s3", account.assume(arn))
    bounds = policy(statement("Allow", "s3:ListBucket"))
    bounded = account.client("s3", account.assume(arn, Policy=bounds))
    other = account.client("s3", account.assume(arn, "other", Policy=bounds))
    with refused(403, "AccessDenied"):
        plain.get_object(Bucket=store, Key="a/1")
    put(arn)
    plain.get_object(Bucket=store, Key="a/1")
    with refused(403, "AccessDenied"):
        bounded.get_object(Bucket=store, Key="a/1")
    put(f"arn:aws:sts::{account.id}:assumed-role/{role}/visit")
    bounded.get_object(Bucket=store, Key="a/1")
    with refused(403, "AccessDenied"):
        other.get_object(Bucket=store, Key="a/1")


def test_tags_are_of_the_session_and_go_on(account, store):
    rights = policy(statement("Allow", "s3:GetObject", f"arn:aws:s3:::{store}/${{aws:PrincipalTag/folder}}/*"), statement("Allow", "sts:*"))
    trusted = trust({"AWS": account.id}, ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"])
    first, second = account.role(trusted, rights), account.role(trusted, rights)
    tags = [{"Key": "folder", "Value": "a"}]
    given = account.assume(first, Tags=tags, TransitiveTagKeys=["folder"], SourceIdentity="ann")
    assert given["SourceIdentity"] == "ann"
    s3 = account.client("s3", given)
    s3.get_object(Bucket=store, Key="a/1")
    with refused(403, "AccessDenied"):
        s3.get_object(Bucket=store, Key="b/1")
    sts = account.client("sts", given)
    again = sts.assume_role(RoleArn=second, RoleSessionName="further")
    assert again["SourceIdentity"] == "ann"
    account.client("s3", again).get_object(Bucket=store, Key="a/1")
    with refused(400, "ValidationError"):
        sts.assume_role(RoleArn=second, RoleSessionName="further", Tags=[{"Key": "folder", "Value": "b"}])
    with refused(400, "ValidationError"):
        sts.assume_role(RoleArn=second, RoleSessionName="further", DurationSeconds=3601)
    with refused(403, "AccessDenied") as answer:
        account.assume(account.role(), Tags=tags)
    assert "sts:TagSession" in answer["Error"]["Message"]


def test_external_ids(account):
    condition = {"StringEquals": {"sts:ExternalId": "deal-7"}}
    arn = account.role(trust({"AWS": account.id}, Condition=condition))
    account.assume(arn, ExternalId="deal-7")
    for more in ({}, {"ExternalId": "deal-8"}):
        with refused(403, "AccessDenied"):
            account.assume(arn, **more)


def test_users_take_sessions_of_their_own(account, store):
    name, ann = account.user(reader(store))
    sts = account.client("sts", ann)
    given = sts.get_session_token(DurationSeconds=900)
    account.client("s3", given).get_object(Bucket=store, Key="a/1")
    assert account.client("sts", given).get_caller_identity()["Arn"] == f"arn:aws:iam::{account.id}:user/{name}"
    with refused(403, "AccessDenied"):
        account.client("sts", given).get_session_token()
    with refused(403):
        account.client("iam", given).get_user()
    with refused(400, "ValidationError"):
        sts.get_session_token(DurationSeconds=129_601)
    access = given["Credentials"]["AccessKeyId"]
    assert account.sts.get_access_key_info(AccessKeyId=ann[0])["Account"] == account.id
    with refused(400, "ValidationError"):
        account.sts.get_access_key_info(AccessKeyId=access)


@pytest.fixture
def given(account, store):
    """Credentials that may do everything to the store."""
    things = [f"arn:aws:s3:::{store}", f"arn:aws:s3:::{store}/*"]
    return account.assume(account.role(document=policy(statement("Allow", "s3:*", things))))


def test_every_way_to_sign(account, store, given):
    node, s3 = account.node, account.client("s3", given)
    s3.put_object(Bucket=store, Key="signed", Body=b"x" * 100_000, ChecksumAlgorithm="CRC32C")
    old = account.client("s3", given, signature_version="s3")
    assert old.get_object(Bucket=store, Key="signed")["ContentLength"] == 100_000
    for client in (s3, old):
        for method, more in (("put_object", {}), ("get_object", {}), ("delete_object", {})):
            url = client.generate_presigned_url(method, {"Bucket": store, "Key": "by url", **more}, 60)
            assert "token=" in url.lower()
            target = url.removeprefix(node.endpoint)
            verb = {"put_object": "PUT", "get_object": "GET", "delete_object": "DELETE"}[method]
            assert send(node.endpoint, verb, target, b"x" if verb == "PUT" else b"")[0] in (200, 204), url
        form = client.generate_presigned_post(store, "by form", ExpiresIn=60)
        assert "x-amz-security-token" in form["fields"]
        status, _, body = post(node, store, encode(form["fields"].items()))
        assert status == 204, body
        form["fields"]["x-amz-security-token"] += "A"
        assert post(node, store, encode(form["fields"].items()))[0] in (400, 403)
    keys = given["Credentials"]
    pair = {"X-Access-Key": keys["AccessKeyId"], "X-Secret-Key": keys["SecretAccessKey"]}
    status, _, _ = send(node.endpoint, "GET", f"/{store}/signed", headers={**pair, "X-Amz-Security-Token": keys["SessionToken"]})
    assert status == 200
    status, _, body = send(node.endpoint, "GET", f"/{store}/signed", headers=pair)
    assert (status, code_of(body)) == (403, "InvalidAccessKeyId")


def test_multipart_uploads(account, store, given):
    s3 = account.client("s3", given)
    upload = s3.create_multipart_upload(Bucket=store, Key="large")["UploadId"]
    parts = []
    for number in (1, 2):
        part = s3.upload_part(Bucket=store, Key="large", UploadId=upload, PartNumber=number, Body=b"y" * (5 << 20))
        parts.append({"PartNumber": number, "ETag": part["ETag"]})
    s3.complete_multipart_upload(Bucket=store, Key="large", UploadId=upload, MultipartUpload={"Parts": parts})
    assert s3.head_object(Bucket=store, Key="large")["ContentLength"] == 10 << 20


def test_keys_and_tokens_belong_together(account, store, given):
    keys = given["Credentials"]
    access, secret, token = keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"]
    other = account.sts.get_session_token()["Credentials"]
    get = lambda *credentials: account.client("s3", credentials).get_object(Bucket=store, Key="a/1")
    for credentials, status, code in [
        ((access, secret, None), 403, "InvalidAccessKeyId"),
        ((access, secret, token[:-1] + ("A" if token[-1] != "A" else "B")), 400, "InvalidToken"),
        ((access, secret, "token"), 400, "InvalidToken"),
        ((access, secret, other["SessionToken"]), 400, "InvalidToken"),
        ((access, secret + "x", token), 403, "SignatureDoesNotMatch"),
        ((nodes.ACCESS, nodes.SECRET, token), 400, "InvalidToken"),
    ]:
        with refused(status, code):
            get(*credentials)
    with refused(403, "InvalidClientTokenId"):
        account.client("sts", (access, secret, "token")).get_caller_identity()
    url = account.client("s3", given).generate_presigned_url("get_object", {"Bucket": store, "Key": "a/1"}, 60)
    target = url.removeprefix(account.node.endpoint)
    pairs = urllib.parse.parse_qsl(urllib.parse.urlsplit(target).query)
    without = urllib.parse.urlencode([(k, v) for k, v in pairs if k != "X-Amz-Security-Token"])
    assert send(account.node.endpoint, "GET", f"/{store}/a/1?{without}")[0] == 403


def test_sessions_end_with_whom_they_stand_for(account, store):
    arn = account.role(document=reader(store))
    role = arn.rsplit("/", 1)[1]
    s3 = account.client("s3", account.assume(arn))
    s3.get_object(Bucket=store, Key="a/1")
    account.iam.delete_role_policy(RoleName=role, PolicyName="own")
    with refused(403, "AccessDenied"):
        s3.get_object(Bucket=store, Key="a/1")
    account.iam.put_role_policy(RoleName=role, PolicyName="own", PolicyDocument=reader(store))
    s3.get_object(Bucket=store, Key="a/1")
    account.iam.delete_role_policy(RoleName=role, PolicyName="own")
    account.iam.delete_role(RoleName=role)
    with refused(403, "InvalidAccessKeyId"):
        s3.get_object(Bucket=store, Key="a/1")
    account.iam.create_role(RoleName=role, AssumeRolePolicyDocument=trust({"AWS": account.id}))
    account.iam.put_role_policy(RoleName=role, PolicyName="own", PolicyDocument=reader(store))
    with refused(403, "InvalidAccessKeyId"):
        s3.get_object(Bucket=store, Key="a/1")


def test_disabled_users_have_no_sessions(account, store):
    name, ann = account.user(reader(store))
    s3 = account.client("s3", account.client("sts", ann).get_session_token())
    s3.get_object(Bucket=store, Key="a/1")
    document = account.node.iam()
    record = next(user for user in document["users"] if user.get("user_name") == name)
    record["enabled"] = False
    account.node.write_iam(document)
    with refused(403, "InvalidAccessKeyId"):
        s3.get_object(Bucket=store, Key="a/1")
    record["enabled"] = True
    account.node.write_iam(document)
    s3.get_object(Bucket=store, Key="a/1")


def test_older_sessions_can_be_revoked(account, store):
    arn = account.role(document=reader(store))
    role = arn.rsplit("/", 1)[1]
    old = account.assume(arn)
    issued = old["Credentials"]["Expiration"].timestamp() - 3600
    revoke = lambda seconds: account.iam.put_role_policy(RoleName=role, PolicyName="revoke", PolicyDocument=policy(
        statement("Deny", "*", Condition={"DateLessThan": {"aws:TokenIssueTime": str(int(issued) + seconds)}})))
    s3 = account.client("s3", old)
    revoke(0)
    s3.get_object(Bucket=store, Key="a/1")
    revoke(1)
    with refused(403, "AccessDenied"):
        s3.get_object(Bucket=store, Key="a/1")


def test_sessions_survive_a_restart(node_factory):
    node = node_factory()
    account = Account(node)
    given = account.sts.get_session_token()
    account.client("s3", given).list_buckets()
    node.stop()
    node.start()
    Account(node).client("s3", given).list_buckets()


# Web identity


@pytest.fixture
def issuer():
    made = Issuer("/realms/demo")
    yield made
    made.stop()


class Federation:
    """A provider that the account trusts, and a role for who comes with its tokens."""

    def __init__(self, account, issuer, document=None, actions="sts:AssumeRoleWithWebIdentity", condition=None):
        self.account, self.issuer = account, issuer
        self.provider = account.iam.create_open_id_connect_provider(Url=issuer.url, ClientIDList=["app"], ThumbprintList=["a" * 40])["OpenIDConnectProviderArn"]
        condition = condition or {"StringEquals": {f"{issuer.name}:aud": "app"}}
        self.role = account.role(trust({"Federated": self.provider}, actions, Condition=condition), document)
        self.sts = account.client("sts", signature_version=UNSIGNED)

    def assume(self, token, **more):
        return self.sts.assume_role_with_web_identity(RoleArn=self.role, RoleSessionName="web", WebIdentityToken=token, **more)


def test_web_identities_get_credentials(account, issuer, store):
    own = policy(statement("Allow", ["s3:GetObject", "s3:PutObject"], f"arn:aws:s3:::{store}/${{{issuer.name}:sub}}/*"))
    federation = Federation(account, issuer, own)
    given = federation.assume(issuer.token(sub="a"))
    assert (given["SubjectFromWebIdentityToken"], given["Audience"], given["Provider"]) == ("a", "app", issuer.url)
    role = federation.role.rsplit("/", 1)[1]
    assert given["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{account.id}:assumed-role/{role}/web"
    s3 = account.client("s3", given)
    s3.get_object(Bucket=store, Key="a/1")
    with refused(403, "AccessDenied"):
        s3.get_object(Bucket=store, Key="b/1")
    bounded = account.client("s3", federation.assume(issuer.token(sub="a"), Policy=policy(statement("Allow", "s3:PutObject"))))
    with refused(403, "AccessDenied"):
        bounded.get_object(Bucket=store, Key="a/1")
    assert issuer.asked == ["/realms/demo/.well-known/openid-configuration", "/realms/demo/keys"], "keys are kept"


def test_conditions_on_web_identities(account, issuer):
    condition = {"StringLike": {f"{issuer.name}:sub": "team-*"}, "ForAnyValue:StringEquals": {f"{issuer.name}:amr": "mfa"}}
    federation = Federation(account, issuer, condition=condition)
    federation.assume(issuer.token(sub="team-1", amr=["pwd", "mfa"]))
    for claims in ({"sub": "other", "amr": ["mfa"]}, {"sub": "team-1", "amr": ["pwd"]}, {"sub": "team-1"}):
        with refused(403, "AccessDenied"):
            federation.assume(issuer.token(**claims))
    # Who has shown nothing yet is not told which roles there are.
    with refused(400, "InvalidIdentityToken"):
        federation.sts.assume_role_with_web_identity(RoleArn=federation.role + "x", RoleSessionName="web", WebIdentityToken=issuer.token(sub="team-1"))


def test_tokens_that_are_refused(account, issuer):
    federation = Federation(account, issuer)
    federation.assume(issuer.token())
    public = json.dumps(issuer.keys()["keys"][0]).encode()
    now = issuer.claims()["iat"]
    header, claims, signature = issuer.token().split(".")
    for token, code in [
        (issuer.token(exp=now - 1), "ExpiredTokenException"),
        (issuer.token(exp=None), "InvalidIdentityToken"),
        (issuer.token(exp="9999999999"), "InvalidIdentityToken"),
        (issuer.token(nbf=now + 300), "InvalidIdentityToken"),
        (issuer.token(aud="other"), "InvalidIdentityToken"),
        (issuer.token(sub=None), "InvalidIdentityToken"),
        (issuer.token(iss="https://elsewhere.example"), "InvalidIdentityToken"),
        (issuer.token(alg="none", signature=b""), "InvalidIdentityToken"),
        (issuer.token(alg="HS256", secret=public), "InvalidIdentityToken"),
        (issuer.token(alg="RS512"), "InvalidIdentityToken"),
        (issuer.token(alg="ES256"), "InvalidIdentityToken"),
        (issuer.token(private=key(1)), "InvalidIdentityToken"),
        (issuer.token(signature=b"x" * 256), "InvalidIdentityToken"),
        (f"{header}.{claims}.{signature[:-8]}", "InvalidIdentityToken"),
        (f"{header}.{issuer.token(sub='other').split('.')[1]}.{signature}", "InvalidIdentityToken"),
        ("no token", "InvalidIdentityToken"),
    ]:
        with refused(400, code):
            federation.assume(token)
    federation.assume(issuer.token(kid=None))


def test_keys_of_an_issuer_rotate(account, issuer):
    federation = Federation(account, issuer)
    federation.assume(issuer.token())
    issuer.kids = {"k1": key(1)}
    federation.assume(issuer.token("k1"))
    with refused(400, "InvalidIdentityToken"):
        federation.assume(issuer.token("k0", private=key(0)))
    asked = len(issuer.asked)
    for kid in ("k2", "k3", "k4"):
        with refused(400, "InvalidIdentityToken"):
            federation.assume(issuer.token(kid, private=key(1)))
    assert len(issuer.asked) == asked, "unknown keys are asked for once a minute"


def test_an_issuer_that_is_away(account):
    issuer = Issuer()
    federation = Federation(account, issuer)
    token = issuer.token()
    issuer.stop()
    for _ in range(2):
        with refused(400, "IDPCommunicationError"):
            federation.assume(token)
    wrong = Issuer()
    federation = Federation(account, wrong)
    wrong.overrides = {"issuer": "http://127.0.0.1:1"}
    with refused(400, "IDPCommunicationError"):
        federation.assume(wrong.token())
    wrong.stop()


def test_an_issuer_sends_the_node_nowhere_else(account):
    bystander, issuer = Issuer(), Issuer()
    federation = Federation(account, issuer)
    issuer.overrides = {"jwks_uri": bystander.url + "/keys"}
    with refused(400, "IDPCommunicationError"):
        federation.assume(issuer.token())
    assert bystander.asked == []
    bystander.stop()
    issuer.stop()


def test_tags_of_web_identities(account, issuer, store):
    own = policy(statement("Allow", "s3:GetObject", f"arn:aws:s3:::{store}/${{aws:PrincipalTag/folder}}/*"))
    condition = {"StringEquals": {f"{issuer.name}:aud": "app"}, "StringEqualsIfExists": {"aws:RequestTag/folder": ["a", "b"]}}
    actions = ["sts:AssumeRoleWithWebIdentity", "sts:TagSession", "sts:SetSourceIdentity"]
    federation = Federation(account, issuer, own, actions, condition)
    claim = lambda folder: {"https://aws.amazon.com/tags": {"principal_tags": {"folder": [folder]}, "transitive_tag_keys": ["folder"]}}
    given = federation.assume(issuer.token(**claim("b"), **{"https://aws.amazon.com/source_identity": "ann"}))
    assert given["SourceIdentity"] == "ann" and given["PackedPolicySize"] > 0
    s3 = account.client("s3", given)
    s3.get_object(Bucket=store, Key="b/1")
    with refused(403, "AccessDenied"):
        s3.get_object(Bucket=store, Key="a/1")
    with refused(403, "AccessDenied"):
        federation.assume(issuer.token(**claim("c")))
    silent = Federation(account, Issuer())
    with refused(403, "AccessDenied"):
        silent.assume(silent.issuer.token(**claim("a")))
    silent.issuer.stop()
