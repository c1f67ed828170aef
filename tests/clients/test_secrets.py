"""Nothing secret is written down: not into logs of any level and form, not into files as it is.

A node with all its logs on is used in every way that shows it a secret, rightly and wrongly; then everything that it wrote is
searched for them.
"""

import base64
import json
import re
import secrets
import time
import urllib.parse

import boto3
import pytest
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from util import put_via_header_pair, refused, send, signed

pytestmark = pytest.mark.local


def word(name):
    """A secret that is found wherever it is written."""
    return f"{name}-{secrets.token_hex(8)}"


class Told:
    """The secrets that the node was told, each in the forms in which it may be written down."""

    def __init__(self):
        self.names = {}

    def add(self, name, secret):
        raw = secret.encode()
        forms = {secret, urllib.parse.quote(secret, safe=""), raw.hex(), base64.b64encode(raw).decode().rstrip("=")[:-1]}
        self.names.update({form: name for form in forms})
        return secret

    def new(self, name):
        return self.add(name, word(name))

    def found_in(self, text):
        return sorted({name for form, name in self.names.items() if form in text})


def user(access, secret):
    return {"access_key": access, "secret_key": secret, "display_name": access, "policies": [{"bucket": "*", "actions": ["*"]}]}


def form(s3, bucket, secret=None, **fields):
    made = s3.generate_presigned_post(bucket, "form", Fields=fields, Conditions=[{k: v} for k, v in fields.items()])
    boundary = "x" * 20
    parts = "".join(f'--{boundary}\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in made["fields"].items())
    body = f'{parts}--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nbody\r\n--{boundary}--\r\n'.encode()
    return body, {"Content-Type": f"multipart/form-data; boundary={boundary}"}


def use(node, told, admin):
    """Every way to show the node a secret."""
    access, secret = admin
    s3 = node.client(access, secret)
    s3.create_bucket(Bucket="b-1")
    s3.put_object(Bucket="b-1", Key="k", Body=b"x")
    # The header pair, right, wrong, unknown, doubled, and where it is answered as JSON.
    wrong = told.new("wrong-secret")
    for target in ("/", "/b-1/k", "/_myfsio/events?x", "/bucket-policy/b-1", "/presign/b-1/k", "/%zz", "/healthz"):
        for who in ((access, secret), (access, wrong), ("nobody", wrong)):
            for method in ("GET", "PUT", "POST"):
                if not target.startswith("/_myfsio/events"):
                    put_via_header_pair(node.endpoint, method, target, b"{}", *who)
    put_via_header_pair(node.endpoint, "GET", "/_myfsio/nothing", b"", access, secret)
    send(node.endpoint, "GET", "/", headers={"X-Secret-Key": wrong})
    send(node.endpoint, "GET", "/", headers={"X-Access-Key": access, "X-Secret-Key": secret, "Authorization": f"Bearer {wrong}"})
    send(node.endpoint, "GET", "/", headers={"X-Access-Key": wrong, "X-Secret-Key": secret})
    # Signatures: right, by a wrong secret, with a token, in headers, URLs and forms; version 2 as well.
    token = told.new("session-token")
    for key in (secret, wrong):
        signed(node, "GET", "/b-1/k?versionId=null", access=access, secret=key)
        signed(node, "GET", "/", access=access, secret=key, headers={"x-amz-security-token": token})
        for version in ("s3v4", "s3"):
            client = node.client(access, key, signature_version=version)
            url = client.generate_presigned_url("get_object", Params={"Bucket": "b-1", "Key": "k"})
            send(node.endpoint, "GET", url[len(node.endpoint):])
            body, headers = form(client, "b-1")
            send(node.endpoint, "POST", "/b-1", body, headers)
        body, headers = form(node.client(access, key), "b-1", **{"x-amz-security-token": token})
        send(node.endpoint, "POST", "/b-1", body, headers)
        request = AWSRequest(method="GET", url=f"{node.endpoint}/b-1/k")
        S3SigV4QueryAuth(Credentials(access, key, token), "s3", "us-east-1", expires=60).add_auth(request)
        send(node.endpoint, "GET", request.url[len(node.endpoint):])
    # The presign service gives back a URL, not a secret.
    status, _, answer = put_via_header_pair(node.endpoint, "POST", "/presign/b-1/k", b"", access, secret)
    assert status == 200, answer
    url = json.loads(answer)["url"]
    assert send(node.endpoint, "GET", url[len(node.endpoint):])[0] == 200
    # A signature is good for as long as its URL: it is not for the log either.
    told.add("signature", url.rsplit("=", 1)[1])
    # Heads that the HTTP layer refuses.
    send(node.endpoint, "GET", "/", headers={"X-Access-Key": access, "X-Secret-Key": secret, "X-Filler": "x" * 20000})


def use_what_the_node_makes(node, told, admin):
    """Every way to have the node make a secret, each of which it tells once."""
    access, secret = admin

    def client(service, key=access, secret=secret, token=None):
        return boto3.client(service, endpoint_url=node.endpoint, region_name="us-east-1", aws_access_key_id=key,
                            aws_secret_access_key=secret, aws_session_token=token)

    iam, sts = client("iam"), client("sts")
    iam.create_user(UserName="bob")
    key = iam.create_access_key(UserName="bob")["AccessKey"]
    told.add("created secret", key["SecretAccessKey"])
    assert client("sts", key["AccessKeyId"], key["SecretAccessKey"]).get_caller_identity()["Arn"].endswith(":user/bob")
    for body in (b"", b'{"overlap_seconds": 60}'):
        status, _, answer = signed(node, "POST", "/_myfsio/iam/users/bob/rotate", body, access=access, secret=secret)
        assert status == 200, answer
        made = json.loads(answer)
        told.add("rotated secret", made["secret_key"])
        client("sts", made["access_key"], made["secret_key"]).get_caller_identity()
    trust = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": sts.get_caller_identity()["Account"]}, "Action": "sts:AssumeRole"}]}
    role = iam.create_role(RoleName="visitor", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    for name, given in (("role", sts.assume_role(RoleArn=role, RoleSessionName="visit")), ("session", sts.get_session_token())):
        given = given["Credentials"]
        temporary = given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"]
        told.add(f"secret of a {name}", temporary[1])
        told.add(f"token of a {name}", temporary[2])
        client("sts", *temporary).get_caller_identity()
        send(node.endpoint, "GET", "/", headers=dict(zip(("X-Access-Key", "X-Secret-Key", "X-Amz-Security-Token"), temporary)))
        request = AWSRequest(method="GET", url=f"{node.endpoint}/b-1/k")
        S3SigV4QueryAuth(Credentials(*temporary), "s3", "us-east-1", expires=60).add_auth(request)
        assert send(node.endpoint, "GET", request.url[len(node.endpoint):])[0] == (200 if name == "session" else 403)


def written(node):
    """All that the node wrote: its terminal, its logs, what it keeps for itself."""
    texts = {"terminal": node.log.read_text(errors="replace")}
    for folder in (node.dir / "logs", node.root / ".myfsio.sys"):
        for path in sorted(folder.glob("**/*")) if folder.is_dir() else ():
            if path.is_file() and path.name != ".secret":
                texts[str(path.relative_to(folder))] = path.read_text(errors="replace")
    return texts


@pytest.mark.parametrize("form_of_lines, to_files", [("text", False), ("json", False), ("text", True), ("json", True)])
def test_nothing_secret_is_written(node_factory, tmp_path, form_of_lines, to_files):
    told = Told()
    admin = ("admin", told.new("admin-secret"))
    env = {"LOG_LEVEL": "trace", "LOG_FORMAT": form_of_lines, "ADMIN_ACCESS_KEY": admin[0], "ADMIN_SECRET_KEY": admin[1],
           "SECRET_KEY": told.new("secret-key"), "SECRET_KEY_PREVIOUS": told.new("previous-key"), "METRICS_TOKEN": told.new("metrics-token")}
    if to_files:
        env["LOG_DIR"] = tmp_path / "logs"
    node = node_factory(**env)
    by_hand = told.new("typed-secret")
    node.add_users(user("ann", by_hand))
    node.client("ann", by_hand).list_buckets()
    use(node, told, admin)
    use_what_the_node_makes(node, told, admin)
    with refused(403, "SignatureDoesNotMatch"):
        node.client("ann", told.new("wrong-secret")).list_buckets()
    node.stop()
    texts = written(node)
    if to_files:
        texts.update({path.name: path.read_text(errors="replace") for path in (tmp_path / "logs").iterdir()})
    # The first start tells the terminal, and nobody else, the administrator's secret.
    greeting = rf"^  secret key  {admin[1]}  \(.*\)$"
    assert len(re.findall(greeting, texts["terminal"], re.M)) == 1
    texts["terminal"] = re.sub(greeting, "", texts["terminal"], flags=re.M)
    lines = texts["app.log"] if to_files else texts["terminal"]
    assert lines.count("\n") > 100 and "refused" in lines, "the logs are on"
    if form_of_lines == "json":
        assert any(line.startswith("{") and json.loads(line)["message"] for line in lines.splitlines())
    for name, text in texts.items():
        assert not told.found_in(text), f"{name} holds {told.found_in(text)}: {first_line(text, told)}"


def first_line(text, told):
    return next((line[:600] for line in text.splitlines() if told.found_in(line)), None)
