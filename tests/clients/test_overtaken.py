"""Changes of objects whose client takes its time with the body: what was written meanwhile is not the object that it may change."""

import http.client
from urllib.parse import urlsplit

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

import node as nodes
import sse
from util import code_of

pytestmark = pytest.mark.local
ACCOUNT = "111122223333"
TAGGED = {"StringEquals": {"s3:ExistingObjectTag/his": "yes"}}


@pytest.fixture(scope="module")
def node():
    node = sse.start()
    allow = lambda actions, **more: {"Effect": "Allow", "Action": actions, "Resource": "*", **more}
    statements = [allow(["kms:GenerateDataKey", "kms:Decrypt", "s3:GetObject"]),
                  allow(["s3:PutObjectAcl", "s3:UpdateObjectEncryption"], Condition=TAGGED)]
    user = lambda name, policies, root=False: {
        "access_key": name, "secret_key": "secret", "display_name": name, "user_name": name, "account_id": ACCOUNT, "root": root, "policies": policies}
    node.add_users(user("root", [], root=True), user("slow", [{"PolicyName": "p", "Version": "2012-10-17", "Statement": statements}]))
    yield node
    node.close()


@pytest.fixture
def root(node):
    return node.client("root", "secret")


@pytest.fixture
def bucket(root, bucket_name):
    root.create_bucket(Bucket=bucket_name, ObjectOwnership="ObjectWriter")
    return bucket_name


def slowly(node, target, body, meanwhile):
    """A PUT of somebody who sends the body once `meanwhile` is done; answers status and body."""
    request = AWSRequest(method="PUT", url=node.endpoint + target, data=body)
    S3SigV4Auth(Credentials("slow", "secret"), "s3", nodes.REGION).add_auth(request)
    connection = http.client.HTTPConnection(urlsplit(node.endpoint).netloc, timeout=20)
    connection.putrequest("PUT", target)
    for name, value in {**request.headers, "Content-Length": str(len(body)), "Expect": "100-continue"}.items():
        connection.putheader(name, value.decode() if isinstance(value, bytes) else value)
    connection.endheaders()
    # The node asks for the body once the permission was asked for.
    assert connection.sock.recv(200).startswith(b"HTTP/1.1 100 ")
    meanwhile()
    connection.send(body)
    response = connection.getresponse()
    answer = response.status, response.read()
    connection.close()
    return answer


def bodies(root, bucket, key):
    owner = root.get_object_acl(Bucket=bucket, Key="k")["Owner"]["ID"]
    xsi = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
    grant = f'<Grant><Grantee {xsi} xsi:type="Group"><URI>http://acs.amazonaws.com/groups/global/AllUsers</URI></Grantee><Permission>READ</Permission></Grant>'
    return {
        "acl": f"<AccessControlPolicy><Owner><ID>{owner}</ID></Owner><AccessControlList>{grant}</AccessControlList></AccessControlPolicy>".encode(),
        "encryption": f"<ObjectEncryption><SSE-KMS><KMSKeyArn>{key}</KMSKeyArn></SSE-KMS></ObjectEncryption>".encode(),
    }


@pytest.mark.parametrize("what", ["acl", "encryption"])
def test_what_is_written_meanwhile_is_not_changed(node, root, bucket, what):
    kms = nodes.boto3.client("kms", endpoint_url=node.endpoint, region_name=nodes.REGION, aws_access_key_id="root", aws_secret_access_key="secret")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    put = lambda **more: root.put_object(Bucket=bucket, Key="k", Body=b"x", ServerSideEncryption="AES256", **more)
    state = lambda: (root.get_object_acl(Bucket=bucket, Key="k")["Grants"], root.head_object(Bucket=bucket, Key="k")["ServerSideEncryption"])
    put()
    private = state()
    put(Tagging="his=yes")
    body = bodies(root, bucket, key)[what]
    # Another one that he may change, too, is.
    status, answer = slowly(node, f"/{bucket}/k?{what}", body, lambda: put(Tagging="his=yes&new=yes"))
    assert status == 200, answer
    assert state() != private
    put(Tagging="his=yes")
    status, answer = slowly(node, f"/{bucket}/k?{what}", body, put)
    assert (status, code_of(answer)) == (403, "AccessDenied"), answer
    assert state() == private


@pytest.mark.parametrize("batch", [False, True])
def test_tags_of_an_object_give_nobody_its_deletion(node, root, bucket, batch):
    """S3 tells policies nothing of the object where one is deleted: it could be another one by then."""
    allowed = {"PolicyName": "p", "Version": "2012-10-17",
               "Statement": [{"Effect": "Allow", "Action": "s3:DeleteObject", "Resource": "*", "Condition": TAGGED}]}
    node.add_users({"access_key": f"sweep{batch}", "secret_key": "secret", "display_name": f"sweep{batch}", "account_id": ACCOUNT, "policies": [allowed]})
    client = node.client(f"sweep{batch}", "secret")
    root.put_object(Bucket=bucket, Key="k", Body=b"stays", Tagging="his=yes")
    if batch:
        errors = client.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "k"}]})["Errors"]
        assert [error["Code"] for error in errors] == ["AccessDenied"]
    else:
        with pytest.raises(ClientError, match="AccessDenied"):
            client.delete_object(Bucket=bucket, Key="k")
    assert root.get_object(Bucket=bucket, Key="k")["Body"].read() == b"stays"
