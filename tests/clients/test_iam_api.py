"""The IAM API as boto3, the aws cli and Terraform speak it: every action, its errors, pages, permissions."""

import datetime
import json
import os
import shutil
import subprocess
import urllib.parse
import uuid

import boto3
import pytest
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

import node as nodes
from util import refused, send

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
ALLOW_ALL = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
TRUST = {"Version": "2012-10-17",
         "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]}
AWS = "arn:aws:iam::aws:policy/"


def client_of(server, service="iam", access=nodes.ACCESS, secret=nodes.SECRET, region="us-east-1"):
    config = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=60)
    return boto3.client(service, endpoint_url=server.endpoint, region_name=region, aws_access_key_id=access,
                        aws_secret_access_key=secret, config=config)


def allow(action, resource="*", effect="Allow", **more):
    statement = {"Effect": effect, "Action": action, "Resource": resource, **more}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.fixture(scope="session")
def iam(server):
    return client_of(server)


@pytest.fixture
def path():
    """A path that nothing else has: everything below it is this test's own."""
    return f"/t/{uuid.uuid4().hex[:12]}/"


@pytest.fixture
def name(path):
    """Makes names that nothing else has."""
    return lambda kind: f"{kind}-{path.strip('/')[2:]}"


@pytest.fixture
def user(iam, name, path):
    """A user with nothing."""
    iam.create_user(UserName=name("u"), Path=path)
    yield name("u")
    purge_user(iam, name("u"))


def purge_user(iam, user):
    try:
        for key in iam.list_access_keys(UserName=user)["AccessKeyMetadata"]:
            iam.delete_access_key(UserName=user, AccessKeyId=key["AccessKeyId"])
        for policy in iam.list_user_policies(UserName=user)["PolicyNames"]:
            iam.delete_user_policy(UserName=user, PolicyName=policy)
        for policy in iam.list_attached_user_policies(UserName=user)["AttachedPolicies"]:
            iam.detach_user_policy(UserName=user, PolicyArn=policy["PolicyArn"])
        for group in iam.list_groups_for_user(UserName=user)["Groups"]:
            iam.remove_user_from_group(GroupName=group["GroupName"], UserName=user)
        iam.delete_user(UserName=user)
    except iam.exceptions.NoSuchEntityException:
        pass


@pytest.fixture
def signed(server, iam, user):
    """Makes clients of the user."""
    key = iam.create_access_key(UserName=user)["AccessKey"]
    return lambda service="iam": client_of(server, service, key["AccessKeyId"], key["SecretAccessKey"])


# Users


def test_a_user_from_creation_to_deletion(iam, name, path):
    tags = [{"Key": "team", "Value": "blue"}]
    made = iam.create_user(UserName=name("u"), Path=path, Tags=tags)["User"]
    assert (made["UserName"], made["Path"]) == (name("u"), path)
    assert made["Arn"].endswith(f":user{path}{name('u')}") and made["CreateDate"] > EPOCH
    assert made["Tags"] == tags and len(made["UserId"]) == 64
    assert iam.get_user(UserName=name("u"))["User"] == made
    # Names differ by more than letter case.
    assert iam.get_user(UserName=name("u").upper())["User"] == made
    with refused(409, "EntityAlreadyExists"):
        iam.create_user(UserName=name("u").upper())
    iam.update_user(UserName=name("u"), NewUserName=name("v"), NewPath=path + "x/")
    with refused(404, "NoSuchEntity"):
        iam.get_user(UserName=name("u"))
    moved = iam.get_user(UserName=name("v"))["User"]
    assert moved["UserId"] == made["UserId"] and moved["Path"] == path + "x/"
    iam.delete_user(UserName=name("v"))
    for call in (iam.get_user, iam.delete_user):
        with refused(404, "NoSuchEntity"):
            call(UserName=name("v"))
    again = iam.create_user(UserName=name("v"))["User"]
    assert again["UserId"] != made["UserId"] and again["Path"] == "/"
    iam.delete_user(UserName=name("v"))


def test_a_user_with_something_left_is_not_deleted(iam, user):
    iam.put_user_policy(UserName=user, PolicyName="p", PolicyDocument=json.dumps(ALLOW_ALL))
    with refused(409, "DeleteConflict"):
        iam.delete_user(UserName=user)
    iam.delete_user_policy(UserName=user, PolicyName="p")
    key = iam.create_access_key(UserName=user)["AccessKey"]["AccessKeyId"]
    with refused(409, "DeleteConflict"):
        iam.delete_user(UserName=user)
    iam.delete_access_key(UserName=user, AccessKeyId=key)


def test_users_are_listed_by_path_and_in_pages(iam, path):
    names = [f"{letter}{path[3:9]}" for letter in ("a", "B", "c", "D", "e")]
    for index, user in enumerate(reversed(names)):
        iam.create_user(UserName=user, Path=path + ("x/" if index % 2 else ""))
    try:
        listed = lambda prefix, **page: [
            user["UserName"]
            for reply in iam.get_paginator("list_users").paginate(PathPrefix=prefix, PaginationConfig=page)
            for user in reply["Users"]
        ]
        assert listed(path) == names
        assert listed(path, PageSize=1) == listed(path, PageSize=2) == names
        assert listed(path + "x") == [names[1], names[3]]
        assert listed(path + "nothing/") == []
        first = iam.list_users(PathPrefix=path, MaxItems=2)
        assert first["IsTruncated"] and first["Marker"]
        iam.delete_user(UserName=names[1])
        rest = iam.list_users(PathPrefix=path, MaxItems=10, Marker=first["Marker"])
        assert [user["UserName"] for user in rest["Users"]] == names[2:] and not rest["IsTruncated"]
        for marker in ("*", "a b"):
            with refused(400, "ValidationError"):
                iam.list_users(Marker=marker)
    finally:
        for user in names:
            purge_user(iam, user)


def test_who_asks_without_a_name_means_itself(iam, user, signed):
    mine = signed()
    iam.put_user_policy(UserName=user, PolicyName="self",
                        PolicyDocument=allow("iam:*", "arn:aws:iam::*:user/*${aws:username}"))
    assert mine.get_user()["User"]["UserName"] == user
    assert [key["UserName"] for key in mine.list_access_keys()["AccessKeyMetadata"]] == [user]
    second = mine.create_access_key()["AccessKey"]
    assert second["UserName"] == user
    with refused(409, "LimitExceeded"):
        mine.create_access_key()
    mine.update_access_key(AccessKeyId=second["AccessKeyId"], Status="Inactive")
    mine.delete_access_key(AccessKeyId=second["AccessKeyId"])
    assert len(mine.list_access_keys()["AccessKeyMetadata"]) == 1
    assert mine.list_mfa_devices()["MFADevices"] == []


def test_tags_of_users_roles_and_policies(iam, user, name, path):
    iam.create_role(RoleName=name("r"), Path=path, AssumeRolePolicyDocument=json.dumps(TRUST))
    arn = iam.create_policy(PolicyName=name("p"), PolicyDocument=json.dumps(ALLOW_ALL))["Policy"]["Arn"]
    kinds = [
        (iam.tag_user, iam.untag_user, iam.list_user_tags, {"UserName": user}),
        (iam.tag_role, iam.untag_role, iam.list_role_tags, {"RoleName": name("r")}),
        (iam.tag_policy, iam.untag_policy, iam.list_policy_tags, {"PolicyArn": arn}),
    ]
    for tag, untag, listed, of in kinds:
        tag(**of, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": ""}])
        tag(**of, Tags=[{"Key": "A", "Value": "2"}])
        assert {t["Value"] for t in listed(**of)["Tags"]} == {"2", ""}
        assert len(listed(**of, MaxItems=1)["Tags"]) == 1
        untag(**of, TagKeys=["a", "nothing"])
        assert [t["Key"] for t in listed(**of)["Tags"]] == ["b"]
        with refused(400, "InvalidInput"):
            tag(**of, Tags=[{"Key": "x", "Value": ""}, {"Key": "X", "Value": ""}])
        with refused(400, "ValidationError"):
            tag(**of, Tags=[{"Key": "<", "Value": ""}])
    iam.delete_role(RoleName=name("r"))
    iam.delete_policy(PolicyArn=arn)


# Access keys


def test_access_keys(server, iam, user):
    assert iam.list_access_keys(UserName=user)["AccessKeyMetadata"] == []
    iam.put_user_policy(UserName=user, PolicyName="all", PolicyDocument=json.dumps(ALLOW_ALL))
    key = iam.create_access_key(UserName=user)["AccessKey"]
    assert key["Status"] == "Active" and key["CreateDate"] > EPOCH
    s3 = server.client(key["AccessKeyId"], key["SecretAccessKey"])
    s3.list_buckets()
    iam.update_access_key(UserName=user, AccessKeyId=key["AccessKeyId"], Status="Inactive")
    with refused(403, "InvalidAccessKeyId"):
        s3.list_buckets()
    with refused(403, "InvalidClientTokenId"):
        client_of(server, "iam", key["AccessKeyId"], key["SecretAccessKey"]).get_user()
    iam.update_access_key(UserName=user, AccessKeyId=key["AccessKeyId"], Status="Active")
    s3.list_buckets()
    listed = iam.list_access_keys(UserName=user)["AccessKeyMetadata"]
    assert [(k["AccessKeyId"], k["CreateDate"]) for k in listed] == [(key["AccessKeyId"], key["CreateDate"])]
    assert "SecretAccessKey" not in listed[0]
    used = iam.get_access_key_last_used(AccessKeyId=key["AccessKeyId"])
    assert used["UserName"] == user
    last = used["AccessKeyLastUsed"]
    assert (last["ServiceName"], last["Region"]) == ("s3", "us-east-1") and last["LastUsedDate"] >= key["CreateDate"].replace(microsecond=0)
    iam.create_access_key(UserName=user)
    with refused(409, "LimitExceeded"):
        iam.create_access_key(UserName=user)
    iam.delete_access_key(UserName=user, AccessKeyId=key["AccessKeyId"])
    with refused(404, "NoSuchEntity"):
        iam.delete_access_key(UserName=user, AccessKeyId=key["AccessKeyId"])
    with refused(403, "InvalidAccessKeyId"):
        s3.list_buckets()
    for call, more in [(iam.update_access_key, {"Status": "Active"}), (iam.delete_access_key, {})]:
        with refused(404, "NoSuchEntity"):
            call(UserName=user, AccessKeyId="AKIANOSUCHKEY0000000", **more)
    with refused(404, "NoSuchEntity"):
        iam.get_access_key_last_used(AccessKeyId="AKIANOSUCHKEY0000000")


@pytest.mark.local
def test_secrets_are_shown_once_and_stored_sealed(iam, user, local_node):
    key = iam.create_access_key(UserName=user)["AccessKey"]
    assert key["SecretAccessKey"] not in local_node.iam_path().read_text()
    assert key["AccessKeyId"] in local_node.iam_path().read_text()
    assert key["SecretAccessKey"] not in local_node.log.read_text(errors="replace")


# Inline and attached policies of users, groups and roles


@pytest.fixture(params=["user", "group", "role"])
def holder(request, iam, user, name, path):
    """A user, group or role, and the calls about its policies."""
    kind = request.param.capitalize()
    if kind == "Group":
        iam.create_group(GroupName=name("g"), Path=path)
    if kind == "Role":
        iam.create_role(RoleName=name("r"), Path=path, AssumeRolePolicyDocument=json.dumps(TRUST))
    of = {f"{kind}Name": {"User": user, "Group": name("g"), "Role": name("r")}[kind]}

    class Holder:
        nobody = {f"{kind}Name": "nobody"}

        def __getattr__(self, call):
            function = getattr(iam, call.replace("holder", request.param))
            return lambda who=of, **more: function(**who, **more)

    yield Holder()
    if kind == "Group":
        iam.delete_group(GroupName=name("g"))
    if kind == "Role":
        iam.delete_role(RoleName=name("r"))


def test_inline_policies(iam, holder):
    document = {"Version": "2012-10-17", "Statement": [{"Sid": "é+ &<", "Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
    for who in (holder.nobody,):
        with refused(404, "NoSuchEntity"):
            holder.get_holder_policy(who, PolicyName="p")
        with refused(404, "NoSuchEntity"):
            holder.put_holder_policy(who, PolicyName="p", PolicyDocument=json.dumps(ALLOW_ALL))
        with refused(404, "NoSuchEntity"):
            holder.list_holder_policies(who)
        with refused(404, "NoSuchEntity"):
            holder.delete_holder_policy(who, PolicyName="p")
    assert holder.list_holder_policies()["PolicyNames"] == []
    holder.put_holder_policy(PolicyName="p", PolicyDocument=json.dumps(ALLOW_ALL))
    holder.put_holder_policy(PolicyName="p", PolicyDocument=json.dumps(document))
    holder.put_holder_policy(PolicyName="a", PolicyDocument=json.dumps(ALLOW_ALL))
    reply = holder.get_holder_policy(PolicyName="p")
    assert reply["PolicyDocument"] == document and reply["PolicyName"] == "p"
    assert holder.list_holder_policies()["PolicyNames"] == ["a", "p"]
    assert holder.list_holder_policies(MaxItems=1)["PolicyNames"] == ["a"]
    for broken in ("{", "[]", "{}", '{"Version": "2010-10-17", "Statement": []}',
                   allow("Fly"), allow("s3:*", "arn:xx:s3:::b"), allow("s3:*", Principal="*"), '[{"bucket": "*", "actions": ["*"]}]',
                   '{"bucket": "*", "actions": ["iam:*"]}'):
        with refused(400, "MalformedPolicyDocument"):
            holder.put_holder_policy(PolicyName="bad", PolicyDocument=broken)
    for policy in ("a", "p"):
        holder.delete_holder_policy(PolicyName=policy)
        with refused(404, "NoSuchEntity"):
            holder.get_holder_policy(PolicyName=policy)
        with refused(404, "NoSuchEntity"):
            holder.delete_holder_policy(PolicyName=policy)


def test_attached_policies(iam, holder, name):
    own = iam.create_policy(PolicyName=name("p"), PolicyDocument=json.dumps(ALLOW_ALL))["Policy"]["Arn"]
    read = AWS + "AmazonS3ReadOnlyAccess"
    for call in (holder.attach_holder_policy, holder.detach_holder_policy):
        with refused(404, "NoSuchEntity"):
            call(holder.nobody, PolicyArn=read)
    with refused(404, "NoSuchEntity"):
        holder.list_attached_holder_policies(holder.nobody)
    with refused(404, "NoSuchEntity"):
        holder.detach_holder_policy(PolicyArn=read)
    with refused(404, "NoSuchEntity"):
        holder.attach_holder_policy(PolicyArn=AWS + "NoSuchPolicy")
    with refused(400, "InvalidInput"):
        holder.attach_holder_policy(PolicyArn="AmazonS3ReadOnlyAccess0")
    for arn in (read, read, own):
        holder.attach_holder_policy(PolicyArn=arn)
    listed = holder.list_attached_holder_policies()["AttachedPolicies"]
    assert {p["PolicyArn"]: p["PolicyName"] for p in listed} == {read: "AmazonS3ReadOnlyAccess", own: name("p")}
    assert len(holder.list_attached_holder_policies(MaxItems=1)["AttachedPolicies"]) == 1
    entities = iam.list_entities_for_policy(PolicyArn=own)
    assert sum(len(entities[kind]) for kind in ("PolicyUsers", "PolicyGroups", "PolicyRoles")) == 1
    assert iam.get_policy(PolicyArn=own)["Policy"]["AttachmentCount"] == 1
    with refused(409, "DeleteConflict"):
        iam.delete_policy(PolicyArn=own)
    for arn in (read, own):
        holder.detach_holder_policy(PolicyArn=arn)
    iam.delete_policy(PolicyArn=own)


# Groups


def test_groups_and_members(iam, server, user, signed, name, path):
    made = iam.create_group(GroupName=name("g"), Path=path)["Group"]
    assert made["Arn"].endswith(f":group{path}{name('g')}") and made["GroupId"].startswith("AGPA")
    with refused(409, "EntityAlreadyExists"):
        iam.create_group(GroupName=name("g").upper())
    with refused(404, "NoSuchEntity"):
        iam.add_user_to_group(GroupName=name("g"), UserName="nobody")
    with refused(404, "NoSuchEntity"):
        iam.add_user_to_group(GroupName="nobody", UserName=user)
    for _ in range(2):
        iam.add_user_to_group(GroupName=name("g"), UserName=user)
    reply = iam.get_group(GroupName=name("g"))
    assert reply["Group"] == made and [u["UserName"] for u in reply["Users"]] == [user]
    assert iam.list_groups_for_user(UserName=user)["Groups"] == [made]
    assert iam.list_groups(PathPrefix=path)["Groups"] == [made]
    iam.put_group_policy(GroupName=name("g"), PolicyName="all", PolicyDocument=allow("iam:GetGroup"))
    mine = signed()
    assert mine.get_group(GroupName=name("g"))["Group"] == made
    iam.update_group(GroupName=name("g"), NewGroupName=name("h"), NewPath=path + "x/")
    moved = iam.get_group(GroupName=name("h"))
    assert moved["Group"]["GroupId"] == made["GroupId"] and [u["UserName"] for u in moved["Users"]] == [user]
    with refused(409, "DeleteConflict"):
        iam.delete_group(GroupName=name("h"))
    iam.delete_group_policy(GroupName=name("h"), PolicyName="all")
    with refused(403, "AccessDenied"):
        mine.get_group(GroupName=name("h"))
    iam.remove_user_from_group(GroupName=name("h"), UserName=user)
    iam.delete_group(GroupName=name("h"))
    for call in (iam.get_group, iam.delete_group):
        with refused(404, "NoSuchEntity"):
            call(GroupName=name("h"))


# Managed policies


def test_managed_policies_and_versions(iam, name, path):
    made = iam.create_policy(PolicyName=name("p"), Path=path, Description="what it is for",
                             PolicyDocument=json.dumps(ALLOW_ALL))["Policy"]
    arn = made["Arn"]
    assert arn.endswith(f":policy{path}{name('p')}") and made["PolicyId"].startswith("ANPA")
    assert made["DefaultVersionId"] == "v1" and made["AttachmentCount"] == 0 and made["IsAttachable"]
    with refused(409, "EntityAlreadyExists"):
        iam.create_policy(PolicyName=name("p"), PolicyDocument=json.dumps(ALLOW_ALL))
    found = iam.get_policy(PolicyArn=arn)["Policy"]
    assert found["Description"] == "what it is for" and found["PolicyId"] == made["PolicyId"]
    read = json.loads(allow("s3:GetObject"))
    second = iam.create_policy_version(PolicyArn=arn, PolicyDocument=json.dumps(read), SetAsDefault=True)
    assert second["PolicyVersion"]["VersionId"] == "v2" and second["PolicyVersion"]["IsDefaultVersion"]
    assert iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"] == "v2"
    assert iam.get_policy_version(PolicyArn=arn, VersionId="v2")["PolicyVersion"]["Document"] == read
    with refused(409, "DeleteConflict"):
        iam.delete_policy_version(PolicyArn=arn, VersionId="v2")
    iam.set_default_policy_version(PolicyArn=arn, VersionId="v1")
    iam.delete_policy_version(PolicyArn=arn, VersionId="v2")
    for version in ("v2", "v9"):
        with refused(404, "NoSuchEntity"):
            iam.get_policy_version(PolicyArn=arn, VersionId=version)
    for _ in range(4):
        iam.create_policy_version(PolicyArn=arn, PolicyDocument=json.dumps(read))
    with refused(409, "LimitExceeded"):
        iam.create_policy_version(PolicyArn=arn, PolicyDocument=json.dumps(read))
    versions = [v["VersionId"] for v in iam.list_policy_versions(PolicyArn=arn)["Versions"]]
    assert versions == ["v6", "v5", "v4", "v3", "v1"]
    paged = iam.get_paginator("list_policy_versions").paginate(PolicyArn=arn, PaginationConfig={"PageSize": 2})
    assert [v["VersionId"] for page in paged for v in page["Versions"]] == versions
    with refused(400, "MalformedPolicyDocument"):
        iam.create_policy(PolicyName=name("q"), PolicyDocument="{}")
    for version in ("v3", "v4", "v5", "v6"):
        iam.delete_policy_version(PolicyArn=arn, VersionId=version)
    iam.delete_policy(PolicyArn=arn)
    for call in (iam.get_policy, iam.delete_policy, iam.list_policy_versions):
        with refused(404, "NoSuchEntity"):
            call(PolicyArn=arn)


def test_policies_of_aws(iam, name, path):
    listed = {p["PolicyName"] for p in iam.list_policies(Scope="AWS")["Policies"]}
    assert listed == {"AdministratorAccess", "AmazonS3FullAccess", "AmazonS3ReadOnlyAccess", "IAMFullAccess",
                      "IAMReadOnlyAccess"}
    made = iam.create_policy(PolicyName=name("p"), Path=path, PolicyDocument=json.dumps(ALLOW_ALL))["Policy"]
    assert [p["Arn"] for p in iam.list_policies(Scope="Local", PathPrefix=path)["Policies"]] == [made["Arn"]]
    assert iam.list_policies(PathPrefix=path, OnlyAttached=True)["Policies"] == []
    pages = iam.get_paginator("list_policies").paginate(PaginationConfig={"PageSize": 2})
    assert listed | {name("p")} <= {p["PolicyName"] for page in pages for p in page["Policies"]}
    iam.delete_policy(PolicyArn=made["Arn"])
    arn = AWS + "AdministratorAccess"
    assert iam.get_policy(PolicyArn=arn)["Policy"]["PolicyName"] == "AdministratorAccess"
    assert iam.get_policy_version(PolicyArn=arn, VersionId="v1")["PolicyVersion"]["Document"]["Statement"]
    with pytest.raises(iam.exceptions.ClientError) as error:
        iam.delete_policy(PolicyArn=arn)
    assert error.value.response["Error"]["Code"] in ("AccessDenied", "UnmodifiableEntity", "NoSuchEntity")


# Roles


def test_roles(iam, name, path):
    made = iam.create_role(RoleName=name("r"), Path=path, AssumeRolePolicyDocument=json.dumps(TRUST),
                           Description="what it is for", MaxSessionDuration=7200,
                           Tags=[{"Key": "a", "Value": "b"}])["Role"]
    assert made["Arn"].endswith(f":role{path}{name('r')}") and made["RoleId"].startswith("AROA")
    assert made["AssumeRolePolicyDocument"] == TRUST
    with refused(409, "EntityAlreadyExists"):
        iam.create_role(RoleName=name("r").upper(), AssumeRolePolicyDocument=json.dumps(TRUST))
    found = iam.get_role(RoleName=name("r"))["Role"]
    assert (found["Description"], found["MaxSessionDuration"]) == ("what it is for", 7200)
    assert found["Tags"] == [{"Key": "a", "Value": "b"}]
    assert [r["RoleName"] for r in iam.list_roles(PathPrefix=path)["Roles"]] == [name("r")]
    iam.update_role(RoleName=name("r"), Description="else", MaxSessionDuration=3600)
    assert iam.update_role_description(RoleName=name("r"), Description="again")["Role"]["Description"] == "again"
    only = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": made["Arn"].replace(f"role{path}{name('r')}", "root")},
         "Action": "sts:AssumeRole"}]}
    iam.update_assume_role_policy(RoleName=name("r"), PolicyDocument=json.dumps(only))
    assert iam.get_role(RoleName=name("r"))["Role"]["AssumeRolePolicyDocument"] == only
    assert iam.get_role(RoleName=name("r"))["Role"]["MaxSessionDuration"] == 3600
    with refused(400, "MalformedPolicyDocument"):
        iam.update_assume_role_policy(RoleName=name("r"), PolicyDocument=json.dumps(ALLOW_ALL))
    assert iam.list_instance_profiles_for_role(RoleName=name("r"))["InstanceProfiles"] == []
    iam.delete_role(RoleName=name("r"))
    for call in (iam.get_role, iam.delete_role, iam.list_role_policies, iam.list_instance_profiles_for_role):
        with refused(404, "NoSuchEntity"):
            call(RoleName=name("r"))


# Identity providers


def test_identity_providers(iam):
    host = f"{uuid.uuid4().hex}.example.com/realm"
    arn = iam.create_open_id_connect_provider(
        Url=f"https://{host}", ClientIDList=["app"], ThumbprintList=["a" * 40])["OpenIDConnectProviderArn"]
    of = {"OpenIDConnectProviderArn": arn}
    assert arn.endswith(f":oidc-provider/{host}")
    with refused(409, "EntityAlreadyExists"):
        iam.create_open_id_connect_provider(Url=f"https://{host}", ThumbprintList=["a" * 40])
    assert arn in [p["Arn"] for p in iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]]
    for _ in range(2):
        iam.add_client_id_to_open_id_connect_provider(**of, ClientID="other")
    iam.update_open_id_connect_provider_thumbprint(**of, ThumbprintList=["b" * 40])
    iam.tag_open_id_connect_provider(**of, Tags=[{"Key": "a", "Value": "b"}])
    found = iam.get_open_id_connect_provider(**of)
    assert (found["Url"], found["ClientIDList"], found["ThumbprintList"]) == (host, ["app", "other"], ["b" * 40])
    assert iam.list_open_id_connect_provider_tags(**of)["Tags"] == [{"Key": "a", "Value": "b"}]
    iam.untag_open_id_connect_provider(**of, TagKeys=["a"])
    iam.remove_client_id_from_open_id_connect_provider(**of, ClientID="app")
    assert iam.get_open_id_connect_provider(**of)["ClientIDList"] == ["other"]
    iam.delete_open_id_connect_provider(**of)
    with refused(404, "NoSuchEntity"):
        iam.get_open_id_connect_provider(**of)


# Simulation


def test_simulation_of_a_user(iam, user, name, path):
    iam.put_user_policy(UserName=user, PolicyName="read", PolicyDocument=allow("s3:Get*", "arn:aws:s3:::b/*"))
    iam.create_group(GroupName=name("g"), Path=path)
    iam.add_user_to_group(GroupName=name("g"), UserName=user)
    iam.put_group_policy(GroupName=name("g"), PolicyName="secret",
                         PolicyDocument=allow("s3:GetObject", "arn:aws:s3:::b/secret/*", effect="Deny"))
    arn = iam.get_user(UserName=user)["User"]["Arn"]
    results = iam.simulate_principal_policy(
        PolicySourceArn=arn, ActionNames=["s3:GetObject", "s3:PutObject"],
        ResourceArns=["arn:aws:s3:::b/x", "arn:aws:s3:::b/secret/x"])["EvaluationResults"]
    decisions = {(r["EvalActionName"], r["EvalResourceName"]): r["EvalDecision"] for r in results}
    assert decisions == {
        ("s3:GetObject", "arn:aws:s3:::b/x"): "allowed",
        ("s3:GetObject", "arn:aws:s3:::b/secret/x"): "explicitDeny",
        ("s3:PutObject", "arn:aws:s3:::b/x"): "implicitDeny",
        ("s3:PutObject", "arn:aws:s3:::b/secret/x"): "implicitDeny",
    }
    deciding = {r["EvalDecision"]: [s["SourcePolicyId"] for s in r["MatchedStatements"]] for r in results}
    assert deciding == {"allowed": [f"user_{user}_read"], "explicitDeny": [f"group_{name('g')}_secret"],
                        "implicitDeny": []}
    more = iam.simulate_principal_policy(PolicySourceArn=arn, ActionNames=["s3:PutObject"],
                                         PolicyInputList=[allow("s3:PutObject")])["EvaluationResults"]
    assert [r["EvalDecision"] for r in more] == ["allowed"]
    group = iam.get_group(GroupName=name("g"))["Group"]["Arn"]
    of_group = iam.simulate_principal_policy(PolicySourceArn=group, ActionNames=["s3:GetObject"],
                                             ResourceArns=["arn:aws:s3:::b/secret/x"])["EvaluationResults"]
    assert [r["EvalDecision"] for r in of_group] == ["explicitDeny"]
    with refused(404, "NoSuchEntity"):
        iam.simulate_principal_policy(PolicySourceArn=arn + "x", ActionNames=["s3:GetObject"])
    iam.delete_group_policy(GroupName=name("g"), PolicyName="secret")
    iam.remove_user_from_group(GroupName=name("g"), UserName=user)
    iam.delete_group(GroupName=name("g"))


def test_simulation_of_documents(iam):
    policy = allow("s3:ListBucket", Condition={"StringEquals": {"s3:prefix": "${aws:username}"}})
    assert set(iam.get_context_keys_for_custom_policy(PolicyInputList=[policy])["ContextKeyNames"]) == {
        "s3:prefix", "aws:username"}

    def simulate(**more):
        pages = iam.get_paginator("simulate_custom_policy").paginate(
            PolicyInputList=[policy], ActionNames=["s3:ListBucket", "ec2:RunInstances"],
            PaginationConfig={"PageSize": 1}, **more)
        return [result for page in pages for result in page["EvaluationResults"]]

    first, second = simulate()
    assert (first["EvalDecision"], second["EvalDecision"]) == ("implicitDeny", "implicitDeny")
    assert set(first["MissingContextValues"]) == {"s3:prefix", "aws:username"}
    entries = [{"ContextKeyName": key, "ContextKeyValues": ["ann"], "ContextKeyType": "string"}
               for key in ("s3:prefix", "aws:username")]
    first, second = simulate(ContextEntries=entries)
    assert (first["EvalDecision"], second["EvalDecision"]) == ("allowed", "implicitDeny")
    assert first["MatchedStatements"][0]["SourcePolicyId"] == "PolicyInputList.1" and not first["MissingContextValues"]
    with refused(400, "MalformedPolicyDocument"):
        iam.simulate_custom_policy(PolicyInputList=["{}"], ActionNames=["s3:GetObject"])
    with refused(400, "ValidationError"):
        iam.simulate_custom_policy(PolicyInputList=[policy], ActionNames=["s3:*"])


# The account


def test_the_account(iam, user, name, path):
    iam.create_group(GroupName=name("g"), Path=path)
    iam.add_user_to_group(GroupName=name("g"), UserName=user)
    iam.put_user_policy(UserName=user, PolicyName="p", PolicyDocument=json.dumps(ALLOW_ALL))
    iam.attach_user_policy(UserName=user, PolicyArn=AWS + "IAMFullAccess")
    summary = iam.get_account_summary()["SummaryMap"]
    assert summary["Users"] >= 2 and summary["Groups"] >= 1 and summary["AccessKeysPerUserQuota"] == 2
    pages = list(iam.get_paginator("get_account_authorization_details").paginate(PaginationConfig={"PageSize": 1}))
    users = {u["UserName"]: u for page in pages for u in page["UserDetailList"]}
    assert users[user]["UserPolicyList"] == [{"PolicyName": "p", "PolicyDocument": ALLOW_ALL}]
    assert users[user]["GroupList"] == [name("g")]
    assert [p["PolicyName"] for p in users[user]["AttachedManagedPolicies"]] == ["IAMFullAccess"]
    assert name("g") in [g["GroupName"] for page in pages for g in page["GroupDetailList"]]
    assert "IAMFullAccess" in [p["PolicyName"] for page in pages for p in page["Policies"]]
    only = iam.get_account_authorization_details(Filter=["Group"])
    assert only["GroupDetailList"] and not only["UserDetailList"] and not only["Policies"]
    iam.remove_user_from_group(GroupName=name("g"), UserName=user)
    iam.delete_group(GroupName=name("g"))


def test_what_a_node_has_none_of(iam, user):
    assert iam.list_account_aliases()["AccountAliases"] == []
    assert iam.list_virtual_mfa_devices()["VirtualMFADevices"] == []
    assert iam.list_saml_providers()["SAMLProviderList"] == []
    assert iam.list_server_certificates()["ServerCertificateMetadataList"] == []
    assert iam.list_instance_profiles()["InstanceProfiles"] == []
    for call, element in [(iam.list_mfa_devices, "MFADevices"), (iam.list_ssh_public_keys, "SSHPublicKeys"),
                          (iam.list_signing_certificates, "Certificates"),
                          (iam.list_service_specific_credentials, "ServiceSpecificCredentials")]:
        assert call(UserName=user)[element] == []
        with refused(404, "NoSuchEntity"):
            call(UserName="nobody")
    for call in (lambda: iam.get_login_profile(UserName=user), iam.get_account_password_policy):
        with refused(404, "NoSuchEntity"):
            call()
    with refused(501, "NotImplemented"):
        iam.create_login_profile(UserName=user, Password="correct horse")
    with refused(501, "NotImplemented"):
        iam.create_user(UserName="bounded", PermissionsBoundary=AWS + "AmazonS3FullAccess")


# Permissions


def test_without_a_permission_it_is_refused_with_the_reason(iam, user, signed):
    mine, arn = signed(), iam.get_user(UserName=user)["User"]["Arn"]
    with pytest.raises(iam.exceptions.ClientError) as error:
        mine.create_user(UserName="somebody", Path="/x/")
    reply = error.value.response
    account = arn.split(":")[4]
    assert reply["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert reply["Error"] == {
        "Type": "Sender", "Code": "AccessDenied",
        "Message": f"User: {arn} is not authorized to perform: iam:CreateUser on resource: "
                   f"arn:aws:iam::{account}:user/x/somebody because no identity-based policy allows the iam:CreateUser action",
    }
    assert reply["ResponseMetadata"]["RequestId"]
    iam.put_user_policy(UserName=user, PolicyName="deny", PolicyDocument=allow("iam:*", effect="Deny"))
    with pytest.raises(iam.exceptions.ClientError) as error:
        mine.list_users()
    assert "with an explicit deny in an identity-based policy" in error.value.response["Error"]["Message"]


def test_permissions_are_for_actions_paths_and_conditions(iam, user, signed, name, path):
    mine = signed()
    account = iam.get_user(UserName=user)["User"]["Arn"].split(":")[4]
    below = f"arn:aws:iam::{account}:user{path}*"
    iam.put_user_policy(UserName=user, PolicyName="p", PolicyDocument=json.dumps({
        "Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": ["iam:CreateUser", "iam:GetUser", "iam:DeleteUser", "iam:UpdateUser",
                                           "iam:ListUsers"], "Resource": below},
            {"Effect": "Allow", "Action": "iam:AttachUserPolicy", "Resource": below,
             "Condition": {"ArnEquals": {"iam:PolicyARN": AWS + "AmazonS3ReadOnlyAccess"}}},
        ]}))
    mine.create_user(UserName=name("v"), Path=path)
    assert mine.get_user(UserName=name("v"))["User"]["UserName"] == name("v")
    assert mine.list_users(PathPrefix=path)["Users"]
    for call in (lambda: mine.create_user(UserName=name("w")), lambda: mine.list_users(),
                 lambda: mine.create_access_key(UserName=name("v")), lambda: mine.get_user(UserName="localadmin"),
                 lambda: mine.update_user(UserName=name("v"), NewPath="/"),
                 lambda: mine.attach_user_policy(UserName=name("v"), PolicyArn=AWS + "AdministratorAccess")):
        with refused(403, "AccessDenied"):
            call()
    mine.attach_user_policy(UserName=name("v"), PolicyArn=AWS + "AmazonS3ReadOnlyAccess")
    iam.detach_user_policy(UserName=name("v"), PolicyArn=AWS + "AmazonS3ReadOnlyAccess")
    mine.delete_user(UserName=name("v"))


@pytest.mark.local
def test_accounts_do_not_see_each_other(node_factory):
    node = node_factory()
    users = [{"access_key": f"AKIAROOT{n}00000000000", "secret_key": f"rootsecret{n}", "display_name": f"root{n}",
              "account_id": str(n) * 12, "root": True, "user_id": str(n) * 64, "policies": []} for n in (1, 2)]
    node.add_users(*users)
    one, two = [client_of(node, "iam", u["access_key"], u["secret_key"]) for u in users]
    admin = client_of(node)
    assert one.get_user()["User"]["Arn"] == "arn:aws:iam::111111111111:root"
    made = one.create_user(UserName="ann")["User"]
    assert made["Arn"] == "arn:aws:iam::111111111111:user/ann"
    arn = one.create_policy(PolicyName="all", PolicyDocument=json.dumps(ALLOW_ALL))["Policy"]["Arn"]
    assert [u["UserName"] for u in one.list_users()["Users"]] == ["ann"]
    assert two.list_users()["Users"] == []
    with refused(404, "NoSuchEntity"):
        two.get_user(UserName="ann")
    # Neither by its id nor by its ARN, and the answer is that for an id that nobody has.
    for user_id in (made["UserId"], "d" * 64):
        with refused(404, "NoSuchEntity"):
            two.get_user(UserName=user_id)
    two.create_group(GroupName="g")
    for user_id in (made["UserId"], "d" * 64):
        with pytest.raises(two.exceptions.ClientError) as error:
            two.add_user_to_group(GroupName="g", UserName=user_id)
        assert error.value.response["Error"]["Code"] == "NoSuchEntity" and " ann " not in str(error.value) and user_id in str(error.value)
    for call in (two.get_policy, two.delete_policy, two.list_policy_versions):
        with refused(403, "AccessDenied"):
            call(PolicyArn=arn)
    with refused(404, "NoSuchEntity"):
        two.attach_user_policy(UserName="ann", PolicyArn=arn)
    # Nobody comes to be called by another's id or access key.
    for taken in (made["UserId"], users[0]["access_key"], users[0]["access_key"].lower()):
        with refused(409, "EntityAlreadyExists"):
            two.create_user(UserName=taken)
    assert one.get_user()["User"]["Arn"] == "arn:aws:iam::111111111111:root"
    # The node's administrator may, by the id.
    assert admin.get_user(UserName=made["UserId"])["User"] == made
    admin.put_user_policy(UserName=made["UserId"], PolicyName="p", PolicyDocument=json.dumps(ALLOW_ALL))
    assert one.list_user_policies(UserName="ann")["PolicyNames"] == ["p"]


def test_another_letter_case_goes_around_no_deny(iam, user, signed):
    """A deny names an ARN as the entity has it; names are found in any letter case, so what is found is what is asked about."""
    administrator = AWS + "AdministratorAccess"
    iam.put_user_policy(UserName=user, PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "iam:*", "Resource": "*"},
        {"Effect": "Deny", "Action": "iam:AttachUserPolicy", "Resource": "*", "Condition": {"ArnEquals": {"iam:PolicyARN": administrator}}},
        {"Effect": "Deny", "Action": "iam:GetPolicy", "Resource": administrator}]}))
    client = signed()
    for arn in (administrator, AWS + "administratoraccess", AWS + "ADMINISTRATORACCESS"):
        with refused(403, "AccessDenied"):
            client.attach_user_policy(UserName=user, PolicyArn=arn)
        with refused(403, "AccessDenied"):
            client.get_policy(PolicyArn=arn)
    client.attach_user_policy(UserName=user, PolicyArn=AWS + "amazons3readonlyaccess")
    assert [p["PolicyArn"] for p in client.list_attached_user_policies(UserName=user)["AttachedPolicies"]] == [AWS + "AmazonS3ReadOnlyAccess"]
    client.detach_user_policy(UserName=user, PolicyArn=AWS + "amazons3readonlyaccess")
    assert client.list_attached_user_policies(UserName=user)["AttachedPolicies"] == []


@pytest.mark.local
def test_providers_of_an_account_are_public(node_factory):
    node = node_factory()
    node.add_users({"access_key": "AKIAROOT100000000000", "secret_key": "rootsecret1", "display_name": "root1",
                    "account_id": "1" * 12, "root": True, "policies": []})
    root = client_of(node, "iam", "AKIAROOT100000000000", "rootsecret1")
    with refused(400, "InvalidInput"):
        root.create_open_id_connect_provider(Url="http://10.0.0.1")
    root.create_open_id_connect_provider(Url="https://localhost:9")
    client_of(node).create_open_id_connect_provider(Url="http://localhost:9")
    assert {p["url"]: p["private"] for p in node.iam()["oidc_providers"]} == {"https://localhost:9": False, "http://localhost:9": True}


@pytest.mark.local
def test_a_document_makes_nobody_an_administrator_of_the_node(node_factory):
    node = node_factory()
    node.add_users({"access_key": "AKIAROOT100000000000", "secret_key": "rootsecret1", "display_name": "root1",
                    "account_id": "1" * 12, "root": True, "policies": []})
    root = client_of(node, "iam", "AKIAROOT100000000000", "rootsecret1")
    root.create_user(UserName="ann")
    root.attach_user_policy(UserName="ann", PolicyArn=AWS + "AdministratorAccess")
    key = root.create_access_key(UserName="ann")["AccessKey"]
    pair = {"X-Access-Key": key["AccessKeyId"], "X-Secret-Key": key["SecretAccessKey"]}
    client_of(node, "iam", key["AccessKeyId"], key["SecretAccessKey"]).list_users()
    status, _, _ = send(node.endpoint, "GET", "/_myfsio/buckets/none/events", headers=pair)
    assert status == 403


@pytest.mark.local
def test_an_account_comes_to_no_grants_of_the_short_form(node_factory):
    node = node_factory()
    grant = {"bucket": "*", "actions": ["*"]}
    user = lambda name, **more: {"access_key": f"AKIA{name.upper():0<16}", "secret_key": f"secret-of-{name}", "user_name": name,
                                 "account_id": "1" * 12, "policies": [], **more}
    document = node.iam()
    document["users"] += [user("root1", root=True), user("ann"), user("chief", policies=[grant]), user("deputy", groups=["admins"]),
                          user("tied", groups=["narrow"])]
    document["groups"] = [{"name": "admins", "policies": [grant]}, {"name": "narrow", "policies": [{"bucket": "b", "actions": ["list"]}]}]
    document["roles"] = [{"role_name": "strong", "account_id": "1" * 12, "assume_role_policy": TRUST, "policies": [grant]}]
    node.write_iam(document)
    root = client_of(node, "iam", "AKIAROOT100000000000", "secret-of-root1")
    for call in (lambda: root.add_user_to_group(GroupName="admins", UserName="ann"),
                 lambda: root.remove_user_from_group(GroupName="narrow", UserName="tied"),
                 lambda: root.create_access_key(UserName="chief"), lambda: root.create_access_key(UserName="deputy"),
                 lambda: root.update_access_key(UserName="chief", AccessKeyId="AKIACHIEF00000000000", Status="Inactive"),
                 lambda: root.delete_access_key(UserName="chief", AccessKeyId="AKIACHIEF00000000000"),
                 lambda: root.update_user(UserName="chief", NewUserName="other"),
                 lambda: root.put_user_policy(UserName="chief", PolicyName="p", PolicyDocument=allow("*", effect="Deny")),
                 lambda: root.update_assume_role_policy(RoleName="strong", PolicyDocument=json.dumps(TRUST)),
                 lambda: root.delete_role(RoleName="strong")):
        with refused(403, "AccessDenied"):
            call()
    # What holds no grant is the account's own business.
    root.create_access_key(UserName="ann")
    root.create_group(GroupName="own")
    root.add_user_to_group(GroupName="own", UserName="ann")
    with refused(404, "NoSuchEntity"):
        root.add_user_to_group(GroupName="none", UserName="ann")
    # Whoever holds the permission by a grant may.
    chief = client_of(node, "iam", "AKIACHIEF00000000000", "secret-of-chief")
    chief.create_access_key(UserName="deputy")
    chief.create_access_key()
    chief.add_user_to_group(GroupName="admins", UserName="ann")
    chief.update_assume_role_policy(RoleName="strong", PolicyDocument=json.dumps(TRUST))


@pytest.mark.local
def test_words_of_the_short_form_grant_their_action_alone(node_factory):
    node = node_factory()
    node.add_users({"access_key": "AKIAGROUPS0000000000", "secret_key": "groupsecret", "display_name": "groups",
                    "account_id": "1" * 12, "policies": [{"bucket": "*", "actions": ["iam:CreateGroup", "iam:create_user"]}]},
                   {"access_key": "AKIAOTHER00000000000", "secret_key": "othersecret", "display_name": "other",
                    "account_id": "1" * 12, "policies": []})
    groups = client_of(node, "iam", "AKIAGROUPS0000000000", "groupsecret")
    groups.create_group(GroupName="g")
    groups.create_user(UserName="u")
    for call in (lambda: groups.delete_group(GroupName="g"), lambda: groups.list_groups(),
                 lambda: groups.create_access_key(UserName="u"), lambda: groups.delete_user(UserName="u")):
        with refused(403, "AccessDenied"):
            call()
    with refused(403, "AccessDenied"):
        client_of(node, "iam", "AKIAOTHER00000000000", "othersecret").list_users()


# The wire


def form(server, parameters, headers=None):
    headers = {"Content-Type": "application/x-www-form-urlencoded", **(headers or {})}
    return send(server.endpoint, "POST", "/", urllib.parse.urlencode(parameters).encode(), headers)


PAIR = {"X-Access-Key": nodes.ACCESS, "X-Secret-Key": nodes.SECRET}


def test_answers_look_as_those_of_aws(server, user):
    query = {"Action": "GetUser", "Version": "2010-05-08", "UserName": user}
    status, headers, body = form(server, query, PAIR)
    assert status == 200 and headers["content-type"] == "text/xml" and headers["x-amzn-requestid"]
    assert b'<GetUserResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><GetUserResult><User>' in body
    assert b"</GetUserResult><ResponseMetadata><RequestId>" in body
    status, _, body = form(server, {**query, "UserName": "nobody"}, PAIR)
    assert status == 404
    assert b'<ErrorResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><Error><Type>Sender</Type><Code>' in body
    assert b"<Code>NoSuchEntity</Code>" in body and b"</Error><RequestId>" in body


def test_what_cannot_be_read_is_refused(server, user):
    version = {"Version": "2010-05-08"}
    rows = [
        ({"Action": "GetUser", "UserName": user}, 400, "ValidationError"),
        ({"Action": "GetUser", "Version": "2011-06-15", "UserName": user}, 400, "InvalidAction"),
        ({"Action": "FlyAway", **version}, 400, "InvalidAction"),
        (version, 400, "MissingAction"),
        ({"Action": "UploadServerCertificate", **version}, 501, "NotImplemented"),
        ({"Action": "DeleteUser", **version}, 400, "ValidationError"),
        ({"Action": "DeleteUser", "UserName": "a/b", **version}, 400, "ValidationError"),
        ({"Action": "ListUsers", "MaxItems": "0", **version}, 400, "ValidationError"),
        ({"Action": "UpdateRole", "RoleName": "r", "MaxSessionDuration": "3599", **version}, 400, "ValidationError"),
        ({"Action": "ListUsers", "PathPrefix": "x", **version}, 400, "ValidationError"),
        ({"Action": "CreateUser", "UserName": "x" * 65, **version}, 400, "ValidationError"),
    ]
    for parameters, status, code in rows:
        found, _, body = form(server, parameters, PAIR)
        assert (found, f"<Code>{code}</Code>".encode() in body) == (status, True), (parameters, body)
    found, _, body = send(server.endpoint, "POST", "/", b"Action=ListUsers&Action=DeleteUser&Version=2010-05-08",
                          {"Content-Type": "application/x-www-form-urlencoded", **PAIR})
    assert found == 400 and b"ValidationError" in body


def test_a_body_beyond_the_limit_is_refused(server):
    found, _, body = form(server, {"Action": "ListUsers", "Version": "2010-05-08", "X": "x" * 300_000}, PAIR)
    assert found == 413 and b"RequestEntityTooLarge" in body


def test_without_credentials(server):
    for action in ("ListUsers", "GetCallerIdentity"):
        found, _, body = form(server, {"Action": action, "Version": "2010-05-08"})
        assert found == 403 and b"<Code>MissingAuthenticationToken</Code>" in body
    # S3 goes on as it was where it is no form.
    found, _, body = send(server.endpoint, "POST", "/", b"", {})
    assert found == 405 and b"<Code>MethodNotAllowed</Code>" in body


def test_wrong_credentials(server):
    with refused(403, "SignatureDoesNotMatch"):
        client_of(server, secret="wrong-secret").list_users()
    with refused(403, "InvalidClientTokenId"):
        client_of(server, access="AKIANOSUCHKEY0000000").list_users()
    with refused(400, "IncompleteSignature"):
        client_of(server, region="mars-1").list_users()


def test_a_changed_body_is_refused(server, iam):
    def change(request, **_):
        request.body = request.body.replace("MaxItems=1", "MaxItems=2")

    other = client_of(server)
    other.meta.events.register_last("before-send.iam.ListUsers", change)
    other.list_users(MaxItems=3)
    with refused(403, "SignatureDoesNotMatch"):
        other.list_users(MaxItems=1)


@pytest.mark.local
def test_the_region_of_the_node_and_the_global_one(node_factory):
    node = node_factory(AWS_REGION="eu-central-1")
    for region in ("eu-central-1", "us-east-1"):
        client_of(node, region=region).list_users()
    with refused(400, "IncompleteSignature"):
        client_of(node, region="eu-west-1").list_users()


def test_a_presigned_query(server, user):
    url = f"{server.endpoint}/?Action=GetUser&Version=2010-05-08&UserName={user}"
    request = AWSRequest("GET", url)
    SigV4QueryAuth(Credentials(nodes.ACCESS, nodes.SECRET), "iam", "us-east-1", expires=60).add_auth(request)
    target = request.url[len(server.endpoint):]
    status, _, body = send(server.endpoint, "GET", target)
    assert status == 200 and f"<UserName>{user}</UserName>".encode() in body
    status, _, body = send(server.endpoint, "GET", target.replace(user, "localadmin"))
    assert status == 403 and b"<Code>SignatureDoesNotMatch</Code>" in body


# Other clients


def aws_cli(server, *arguments):
    env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "AWS_ACCESS_KEY_ID": nodes.ACCESS,
           "AWS_SECRET_ACCESS_KEY": nodes.SECRET, "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true"}
    return subprocess.run(["aws", "--endpoint-url", server.endpoint, *arguments], env=env, capture_output=True, text=True,
                          timeout=60)


@pytest.mark.skipif(not shutil.which("aws"), reason="the aws cli is not installed")
def test_the_aws_cli(server, iam, name, path, tmp_path):
    made = aws_cli(server, "iam", "create-user", "--user-name", name("u"), "--path", path)
    assert made.returncode == 0, made.stderr
    assert json.loads(made.stdout)["User"]["Path"] == path
    document = tmp_path / "policy.json"
    document.write_text(json.dumps(ALLOW_ALL))
    done = aws_cli(server, "iam", "put-user-policy", "--user-name", name("u"), "--policy-name", "p", "--policy-document",
                   f"file://{document}")
    assert done.returncode == 0, done.stderr
    listed = aws_cli(server, "iam", "list-users", "--path-prefix", path, "--page-size", "1")
    assert [u["UserName"] for u in json.loads(listed.stdout)["Users"]] == [name("u")]
    refusal = aws_cli(server, "iam", "delete-user", "--user-name", name("u"))
    assert refusal.returncode != 0 and "(DeleteConflict)" in refusal.stderr
    purge_user(iam, name("u"))
