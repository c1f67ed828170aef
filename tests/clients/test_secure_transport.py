"""aws:SecureTransport: what a listed proxy says of its client's connection counts, in every API; what others say does not."""

import hashlib
import json

import pytest

from util import b64, put_via_header_pair, send, signed

pytestmark = pytest.mark.local

DOMAIN = "web.test"
OBJECT = "/b-1/index.html"
ONLY_BY_TLS = {"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b-1/*"},
    {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": ["arn:aws:s3:::b-1", "arn:aws:s3:::b-1/*"],
     "Condition": {"Bool": {"aws:SecureTransport": "false"}}},
]}
LISTS_BY_TLS = {"PolicyName": "own", "Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": "iam:ListUsers", "Resource": "*", "Condition": {"Bool": {"aws:SecureTransport": "true"}}}]}


def start(node_factory, **settings):
    node = node_factory(WEBSITE_DOMAINS=DOMAIN, **settings)
    # Users of their own: the well-known secret of the first administrator is good for nothing behind a proxy.
    def user(access, policies, **more):
        return {"access_key": access, "secret_key": f"{access}-secret", "display_name": access, "policies": policies, **more}

    account = {"account_id": "111122223333"}
    node.add_users(user("ann", [{"bucket": "*", "actions": ["*"]}]), user("root", [], root=True, **account), user("bob", [LISTS_BY_TLS], **account))
    s3 = node.client()
    s3.create_bucket(Bucket="b-1")
    s3.put_object(Bucket="b-1", Key="index.html", Body=b"x")
    s3.put_bucket_website(Bucket="b-1", WebsiteConfiguration={"IndexDocument": {"Suffix": "index.html"}})
    s3.put_bucket_policy(Bucket="b-1", Policy=json.dumps(ONLY_BY_TLS))
    return node


def statuses(node, headers):
    """How each API answers what is allowed by TLS only."""
    def by_pair(method, target, access, body=b"", **more):
        return put_via_header_pair(node.endpoint, method, target, body, access, f"{access}-secret", **headers, **more)[0]

    keys = b"<Delete><Object><Key>none</Key></Object></Delete>"
    checked = {"Content-MD5": b64(hashlib.md5(keys).digest()), **headers}
    status, _, deleted = signed(node, "POST", "/b-1?delete", keys, checked, access="ann", secret="ann-secret")
    return {
        # Each key is decided where it is read, and answered in the body.
        "keys": 403 if b"<Code>AccessDenied</Code>" in deleted else status,
        "signature": signed(node, "GET", OBJECT, headers=headers, access="ann", secret="ann-secret")[0],
        "header pair": by_pair("GET", OBJECT, "ann"),
        "nobody": send(node.endpoint, "GET", OBJECT, headers=headers)[0],
        "website": send(node.endpoint, "GET", "/", headers={"Host": f"b-1.{DOMAIN}", **headers})[0],
        "IAM": by_pair("POST", "/", "bob", b"Action=ListUsers&Version=2010-05-08", **{"Content-Type": "application/x-www-form-urlencoded"}),
        "IAM by JSON": by_pair("GET", "/_myfsio/iam/users", "bob"),
    }


def test_a_listed_proxy_is_believed(node_factory):
    node = start(node_factory, TRUSTED_PROXIES="127.0.0.1")
    for told, status in (("https", 200), ("http, HTTPS", 200), ("https, http", 403), ("http", 403), ("ftp", 403), (None, 403)):
        found = statuses(node, {"X-Forwarded-Proto": told} if told else {})
        assert found == dict.fromkeys(found, status), told


@pytest.mark.parametrize("proxies", [{}, {"TRUSTED_PROXIES": "none"}, {"TRUSTED_PROXIES": "192.0.2.1"}])
def test_others_are_not(node_factory, proxies):
    found = statuses(start(node_factory, **proxies), {"X-Forwarded-Proto": "https"})
    assert found == dict.fromkeys(found, 403)
