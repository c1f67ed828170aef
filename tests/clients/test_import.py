"""`myfsio import`: from the data folders of earlier generations, from plain folders, and from other S3 servers."""

import datetime
import json
import os
import signal
import subprocess
import time

import pytest
from botocore.exceptions import ClientError

import earlier
import node as nodes
from test_commands import command
from util import MIB, data, md5, refused

pytestmark = pytest.mark.local


@pytest.fixture
def node():
    if os.environ.get("S3_ENDPOINT"):
        pytest.skip("needs a node of its own")
    made = nodes.Node(ENCRYPTION_ENABLED="true")
    yield made
    made.close()


def run(node, *words, **env):
    """Runs an import; answers its exit status, its findings by place, and its summary."""
    env = {"PATH": os.environ.get("PATH", ""), "STORAGE_ROOT": str(node.root), "HOST": "127.0.0.1", "HOME": str(node.cwd),
           "JOURNAL_SEGMENT_BYTES": "4194304", **node.env, **env}
    done = subprocess.run([nodes.BINARY, "import", *map(str, words), "--json"], cwd=node.cwd, env=env, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=120)
    if not done.stdout:
        return done.returncode, {}, done.stderr
    told = json.loads(done.stdout)
    found = {}
    for finding in told["findings"]:
        found.setdefault(finding["place"], []).append((finding["finding"], finding["detail"]))
    return done.returncode, found, told["summary"]


def snapshot(path):
    """Everything that a folder holds."""
    return {str(p.relative_to(path)): (p.lstat().st_mtime_ns, p.lstat().st_size, p.read_bytes() if p.is_file() and not p.is_symlink() else None)
            for p in sorted(path.rglob("*"))}


def body(s3, bucket, key, **which):
    return s3.get_object(Bucket=bucket, Key=key, **which)["Body"].read()


def listing(s3, bucket):
    """Versions of each key, newest first: their bodies, none for a delete marker."""
    found = s3.list_object_versions(Bucket=bucket)
    rows = [(v["Key"], v["LastModified"], v["IsLatest"], v["VersionId"], True) for v in found.get("Versions", [])]
    rows += [(m["Key"], m["LastModified"], m["IsLatest"], m["VersionId"], False) for m in found.get("DeleteMarkers", [])]
    keys = {}
    for key, _, latest, version, is_object in sorted(rows, key=lambda row: (row[0], row[2], row[1]), reverse=True):
        keys.setdefault(key, []).append(body(s3, bucket, key, VersionId=version) if is_object else None)
    return keys


@pytest.mark.parametrize("runs", [False, True])
def test_the_python_generation(node, tmp_path, runs):
    old = tmp_path / "old"
    old.mkdir()
    earlier.python_generation(old)
    before = snapshot(old)
    secret = tmp_path / "secret"
    secret.write_text(earlier.SECRET_KEY + "\n")
    if runs:
        node.start()
    words = ("--from", old, "--secret-key-file", secret)

    status, found, looked = run(node, *words, "--dry-run")
    assert status == 1 and "missing" not in str(found) and looked["imported"] == 15 and looked["users"] == 2
    assert list(found["sealed/lost-key"][0])[0] == "left-out" and len(found) == 2, found
    if not runs:
        assert not node.root.exists(), "a look changes nothing"

    status, found, told = run(node, *words)
    assert status == 1, found
    # The key of one object is lost; the others of its kind are there.
    assert found.pop("sealed/lost-key") == [("left-out", "it is encrypted: its data key: it was encrypted with another key")]
    assert found.pop("photos/edited.txt") == [("note", "its file was changed since it was stored: it has a new ETag")]
    assert found.pop("replication of docs")[0][0] == "note" and not found
    assert (told["buckets"], told["users"], told["imported"], told["present"]) == (3, 2, 15, 0)
    assert snapshot(old) == before

    status, again, told = run(node, *words)
    assert (told["imported"], told["present"], told["users"]) == (0, 15, 0) and status == 1
    if not runs:
        node.start()
    s3 = node.client()
    head = s3.get_object(Bucket="photos", Key="a.txt")
    assert (head["Body"].read(), head["ContentType"], head["Metadata"]) == (b"alpha", "text/x-alpha", {"colour": "red"})
    assert head["LastModified"].timestamp() == int(earlier.WRITTEN) and head["ETag"] == f'"{md5(b"alpha")}"'
    assert s3.get_object_tagging(Bucket="photos", Key="a.txt")["TagSet"] == [{"Key": "k", "Value": "v w"}]
    assert s3.head_object(Bucket="photos", Key="second.txt")["Metadata"] == {"form": "second"}
    first = s3.head_object(Bucket="photos", Key="first.html")
    assert (first["Metadata"], first["ContentType"]) == ({"form": "first"}, "text/html")
    assert s3.head_object(Bucket="photos", Key="plain.png")["ContentType"] == "image/png"
    assert body(s3, "photos", "edited.txt") == b"edited by hand"
    assert len(s3.list_objects_v2(Bucket="photos")["Contents"]) == 6
    assert "Status" not in s3.get_bucket_versioning(Bucket="photos")
    assert s3.get_bucket_tagging(Bucket="photos")["TagSet"] == [{"Key": "team", "Value": "a b"}]
    assert s3.get_bucket_cors(Bucket="photos")["CORSRules"][0]["MaxAgeSeconds"] == 60
    assert s3.get_bucket_website(Bucket="photos")["IndexDocument"] == {"Suffix": "index.html"}
    assert s3.get_bucket_lifecycle_configuration(Bucket="photos")["Rules"][0]["Expiration"] == {"Days": 3650}
    assert json.loads(s3.get_bucket_policy(Bucket="photos")["Policy"])["Statement"][0]["Principal"] == "*"

    assert s3.get_bucket_versioning(Bucket="docs")["Status"] == "Enabled"
    assert listing(s3, "docs") == {"v.txt": [b"three", b"two", b"one"], "gone/g.txt": [None, b"gone"]}
    for name in ("new", "old", "kms"):
        assert body(s3, "sealed", name) == name.encode() + earlier.BIG
        assert s3.head_object(Bucket="sealed", Key=name)["ServerSideEncryption"] == "AES256"
    assert body(s3, "sealed", "empty") == b""
    with refused(404):
        s3.head_object(Bucket="sealed", Key="lost-key")

    reader = node.client("READER000001", "reader-secret-000001")
    assert body(reader, "docs", "v.txt") == b"three"
    with refused(403):
        reader.put_object(Bucket="docs", Key="x", Body=b"")
    with refused(403):
        node.client("READER000002", "reader-secret-000002").list_objects_v2(Bucket="docs")
    node.client("OLDADMIN0001", "old-admin-secret-0001").list_buckets()
    rules = command(node, "replication", "status", "--json")["rules"]
    assert [(rule["bucket_name"], rule["target_bucket"], rule["status"]["state"]) for rule in rules] == [("docs", "docs-copy", "PAUSED")]


def test_the_axum_generation(node, tmp_path):
    old = tmp_path / "old"
    old.mkdir()
    earlier.axum_generation(old)
    before = snapshot(old)
    status, found, told = run(node, "--from", old)
    assert status == 1
    assert "SSE-C" in found.pop("sealed/customer")[0][1] and "hash mismatch" in found.pop("sealed/poisoned")[0][1]
    assert "cannot be read" in found.pop("sealed/broken")[0][1]
    assert found.pop("user Ann") == [("left-out", "the action quota: only administrators have it here")] and not found, found
    assert told["imported"] == 14 and snapshot(old) == before
    node.start()
    s3 = node.client()
    head = s3.get_object(Bucket="media", Key="a.txt")
    assert (head["Body"].read(), head["ContentType"], head["CacheControl"], head["Metadata"]) == (
        b"alpha", "text/x", "no-store", {"colour": "red"})
    grants = s3.get_object_acl(Bucket="media", Key="a.txt")["Grants"]
    assert any(grant["Grantee"].get("URI", "").endswith("AllUsers") and grant["Permission"] == "READ" for grant in grants)
    assert listing(s3, "media") == {
        "a.txt": [b"alpha", b"older"], "both": [b"file"], "both/inner": [b"inner"], "folder/": [b""], "x//y": [b"empty part"],
        "n" * 250: [b"long"], "assembled": [b"\x01" * (5 * MIB) + b"end"], "deleted": [None, b"was there"]}
    older = next(v for v in s3.list_object_versions(Bucket="media", Prefix="a.txt")["Versions"] if not v["IsLatest"])
    assert older["LastModified"].isoformat() == "2025-10-08T08:00:00+00:00"
    assert s3.get_object_tagging(Bucket="media", Key="a.txt", VersionId=older["VersionId"])["TagSet"] == [{"Key": "k", "Value": "old"}]
    assert s3.head_object(Bucket="media", Key="n" * 250)["Metadata"] == {"len": "250"}
    assembled = s3.head_object(Bucket="media", Key="assembled", PartNumber=1)
    assert assembled["ETag"].endswith('-2"') and assembled["PartsCount"] == 2 and assembled["ContentLength"] == 5 * MIB
    assert s3.get_bucket_cors(Bucket="media")["CORSRules"][0]["AllowedOrigins"] == ["*"]
    for name in ("sse", "chunked", "kms"):
        assert body(s3, "sealed", name) == name.encode() + earlier.BIG
        part = s3.get_object(Bucket="sealed", Key=name, Range="bytes=70000-70009")["Body"].read()
        assert part == (name.encode() + earlier.BIG)[70000:70010]
    held = s3.head_object(Bucket="locked", Key="held")
    assert (held["ObjectLockMode"], held["ObjectLockLegalHoldStatus"]) == ("GOVERNANCE", "ON")
    with refused(403):
        node.client("ANNKEY000001", "ann-secret-00000001").list_buckets()
    ann = next(user for user in command(node, "user", "list", "--json")["users"] if user["display_name"] == "Ann")
    assert ann["policies"] == [{"bucket": "media", "actions": ["read"], "prefix": "pub/"}] and not ann["enabled"]
    assert "Far" in command(node, "replication", "connections")


def test_nothing_of_an_earlier_folder_is_widened(node, tmp_path):
    """A rule that removes, or a user who was shut out: what cannot be as it was is less, never more."""
    root = earlier.Root(tmp_path)
    rule = {"ID": "r", "Status": "Enabled", "Expiration": {"Days": 1}}
    root.bucket("filtered", lifecycle=[{**rule, "Filter": {"Prefix": "archive/"}}])
    root.bucket("tagged", lifecycle=[{**rule, "Filter": {"Tag": {"Key": "k", "Value": "v"}}}])
    for bucket in ("filtered", "tagged"):
        root.write(tmp_path / bucket / "kept", b"kept")
        root.write(tmp_path / bucket / "archive" / "old", b"old")
    keys = [{"access_key": f"SHUTOUT0000{n}", "secret_key": f"shut-out-secret-{n}", "status": "active"} for n in range(4)]
    policies = [{"bucket": "*", "actions": ["list", "read"], "prefix": "*"}]
    root.config("iam.json", {"version": 2, "users": [
        {"user_id": "u-1", "display_name": "Shut Out", "enabled": False, "access_keys": keys, "policies": policies},
        {"user_id": "u-2", "display_name": "Keyless", "access_keys": [], "policies": policies}]})
    status, found, told = run(node, "--from", tmp_path)
    assert status == 1 and told["users"] == 1
    assert [kind for kind, _ in found.pop("user Shut Out")] == ["left-out", "left-out"], "no more than two keys"
    assert "no access key" in found.pop("user Keyless")[0][1]
    assert "lifecycle" in found.pop("tagged")[0][1] and not found, found
    node.start()
    s3 = node.client()
    assert s3.get_bucket_lifecycle_configuration(Bucket="filtered")["Rules"][0]["Filter"] == {"Prefix": "archive/"}
    with refused(404, "NoSuchLifecycleConfiguration"):
        s3.get_bucket_lifecycle_configuration(Bucket="tagged")
    assert body(s3, "filtered", "kept") == b"kept" and body(s3, "tagged", "archive/old") == b"old"
    for key in keys[:2]:
        with refused(403):
            node.client(key["access_key"], key["secret_key"]).list_buckets()


def test_no_policy_of_a_bucket_keeps_an_import_out(node, tmp_path):
    """An import is repeated until the move is done, and by then the bucket has the policy that it had there."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "new").write_bytes(b"new")
    node.start()
    s3 = node.client()
    s3.create_bucket(Bucket="strict")
    s3.put_bucket_policy(Bucket="strict", Policy=json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": ["arn:aws:s3:::strict", "arn:aws:s3:::strict/*"],
         "Condition": {"Bool": {"aws:SecureTransport": "false"}}}]}))
    with refused(403):
        s3.put_object(Bucket="strict", Key="k", Body=b"")
    status, found, told = run(node, "--from", source, "--into", "strict")
    assert (status, told["imported"]) == (0, 1), found
    s3.delete_bucket_policy(Bucket="strict")
    assert body(s3, "strict", "new") == b"new"


def test_what_was_locked_once_comes_too(node, node_factory):
    other = node_factory()
    s3 = other.client()
    s3.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)
    until = int(time.time()) + 2
    s3.put_object(Bucket="locked", Key="once", Body=b"x", ObjectLockMode="GOVERNANCE",
                  ObjectLockRetainUntilDate=datetime.datetime.fromtimestamp(until, datetime.UTC))
    time.sleep(max(0, until + 1 - time.time()))
    status, found, told = run(node, "--from", "s3://", "--endpoint", other.endpoint, AWS_ACCESS_KEY_ID=nodes.ACCESS,
                              AWS_SECRET_ACCESS_KEY=nodes.SECRET)
    assert (status, told["imported"]) == (0, 1), found
    node.start()
    here, there = (client.get_object(Bucket="locked", Key="once") for client in (node.client(), s3))
    for name in ("VersionId", "LastModified", "ObjectLockMode", "ObjectLockRetainUntilDate"):
        assert here[name] == there[name]
    node.client().delete_object(Bucket="locked", Key="once", VersionId=here["VersionId"])


def test_a_bucket_that_was_begun_is_configured_to_its_end(node, tmp_path):
    """As an import leaves it that ended behind the making of its buckets."""
    root = earlier.Root(tmp_path)
    lock = "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled>%s</ObjectLockConfiguration>"
    retention = "<Rule><DefaultRetention><Mode>GOVERNANCE</Mode><Days>3</Days></DefaultRetention></Rule>"
    root.bucket("locked", versioning_enabled=True, object_lock=lock % retention)
    root.bucket("suspended", versioning_enabled=False, versioning_suspended=True)
    earlier.version(root, "suspended", "v", "20250101T000000000000Z-00000001", b"one", earlier.WRITTEN - 200, reason="overwrite")
    root.write(tmp_path / "suspended" / "v", b"two")
    node.start()
    s3 = node.client()
    s3.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)
    status, found, told = run(node, "--from", tmp_path)
    assert (status, told["imported"]) == (0, 2), found
    lock = s3.get_object_lock_configuration(Bucket="locked")["ObjectLockConfiguration"]
    assert lock["Rule"]["DefaultRetention"] == {"Mode": "GOVERNANCE", "Days": 3}
    assert s3.get_bucket_versioning(Bucket="suspended")["Status"] == "Suspended"
    assert listing(s3, "suspended") == {"v": [b"two", b"one"]}
    # What the bucket has of its own by now stays.
    s3.put_object_lock_configuration(Bucket="locked", ObjectLockConfiguration={
        "ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 9}}})
    assert run(node, "--from", tmp_path)[0] == 0
    assert s3.get_object_lock_configuration(Bucket="locked")["ObjectLockConfiguration"]["Rule"]["DefaultRetention"]["Days"] == 9


def test_what_was_encrypted_is_never_stored_as_it_is(tmp_path):
    """Not as ciphertext, and, without encryption here, not as plaintext."""
    node = nodes.Node()
    try:
        old = tmp_path / "old"
        old.mkdir()
        earlier.axum_generation(old)
        status, found, _ = run(node, "--from", old, "--bucket", "sealed")
        assert status == 1 and {"sealed/sse", "sealed/chunked", "sealed/kms"} <= set(found)
        node.start()
        assert "Contents" not in node.client().list_objects_v2(Bucket="sealed")
    finally:
        node.close()


def test_an_earlier_data_folder_is_not_begun_in(node, tmp_path):
    node.root.mkdir(parents=True)
    earlier.python_generation(node.root)
    before = snapshot(node.root)
    for words in (("bucket", "list"), ("fsck",), ("reindex",)):
        told = command(node, *words, status=1)
        assert f"myfsio import --from {node.root}" in told
    with pytest.raises(RuntimeError, match="myfsio import --from"):
        node.start()
    assert snapshot(node.root) == before
    status, _, told = run(node, "--from", node.root)
    assert status == 1 and "STORAGE_ROOT itself" in told
    other = nodes.Node()
    try:
        status, _, told = run(other, "--from", node.root)
        assert status == 1 and "--secret-key-file" in told
        assert run(other, "--from", tmp_path)[2].count("--into") == 1
    finally:
        other.close()


def test_a_plain_folder_with_hostile_names(node, tmp_path):
    outside, plain = tmp_path / "outside", tmp_path / "plain"
    (plain / "sub" / "deep").mkdir(parents=True)
    outside.mkdir()
    (outside / "secret").write_text("secret")
    (plain / "sub" / "deep" / "page.html").write_text("page")
    (plain / "é +%?#&").write_text("odd")
    (plain / "..name").write_text("dots")
    os.symlink(outside / "secret", plain / "link")
    os.symlink(outside, plain / "folder")
    os.symlink("sub", plain / "near")
    os.mkfifo(plain / "pipe")
    with open(os.fsencode(plain) + b"/bad-\xff", "wb") as file:
        file.write(b"x")
    path = plain
    for _ in range(5):
        path = path / ("d" * 250)
        path.mkdir()
    (path / "too-long").write_text("x")
    node.start()
    status, found, told = run(node, "--from", plain, "--into", "web")
    assert status == 1 and told["imported"] == 3
    assert {place: kind for place, [(kind, _)] in found.items()} == dict.fromkeys(
        ["link", "folder", "near", "pipe", "bad-\ufffd", "/".join(["d" * 250] * 5) + "/too-long"], "left-out")
    s3 = node.client()
    assert listing(s3, "web") == {"sub/deep/page.html": [b"page"], "é +%?#&": [b"odd"], "..name": [b"dots"]}
    assert s3.head_object(Bucket="web", Key="sub/deep/page.html")["ContentType"] == "text/html"
    # What changes comes again; what was changed or deleted here stays so.
    s3.put_object(Bucket="web", Key="..name", Body=b"here")
    s3.delete_object(Bucket="web", Key="é +%?#&")
    (plain / "sub" / "deep" / "page.html").write_text("new page")
    os.utime(plain / "sub" / "deep" / "page.html")
    told = run(node, "--from", plain, "--into", "web")[2]
    assert (told["imported"], told["present"]) == (1, 2)
    assert listing(s3, "web") == {"sub/deep/page.html": [b"new page"], "..name": [b"here"]}


AWS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}


def test_another_server_with_versions(node, moto):
    endpoint, there = moto
    there.create_bucket(Bucket="orig")
    there.put_bucket_versioning(Bucket="orig", VersioningConfiguration={"Status": "Enabled"})
    there.put_bucket_tagging(Bucket="orig", Tagging={"TagSet": [{"Key": "team", "Value": "x"}]})
    for n in range(3):
        there.put_object(Bucket="orig", Key="v", Body=b"%d" % n, ContentType="text/x", Metadata={"n": str(n)}, Tagging=f"n={n}")
    there.put_object(Bucket="orig", Key="gone", Body=b"gone")
    there.delete_object(Bucket="orig", Key="gone")
    there.put_object(Bucket="orig", Key="a b/é&+%", Body=b"odd", CacheControl="no-store", ContentDisposition="inline")
    there.put_object(Bucket="orig", Key="empty", Body=b"")
    upload = there.create_multipart_upload(Bucket="orig", Key="big", ContentType="video/x")["UploadId"]
    parts = [data(6 * MIB, 1), data(6 * MIB, 2), b"end"]
    etags = [there.upload_part(Bucket="orig", Key="big", UploadId=upload, PartNumber=n, Body=part)["ETag"] for n, part in enumerate(parts, 1)]
    there.complete_multipart_upload(Bucket="orig", Key="big", UploadId=upload, MultipartUpload={
        "Parts": [{"PartNumber": n, "ETag": etag} for n, etag in enumerate(etags, 1)]})
    there.create_bucket(Bucket="plain")
    there.put_object(Bucket="plain", Key="logs/1", Body=b"one")
    there.put_object(Bucket="plain", Key="other", Body=b"two")
    node.start()
    status, found, told = run(node, "--from", "s3://", "--endpoint", endpoint, **AWS)
    assert (status, found) == (0, {}) and (told["buckets"], told["imported"], told["present"]) == (2, 10, 0)
    s3 = node.client()
    assert listing(s3, "orig") == {"v": [b"2", b"1", b"0"], "gone": [None, b"gone"], "a b/é&+%": [b"odd"], "empty": [b""],
                                   "big": [b"".join(parts)]}
    assert s3.get_bucket_versioning(Bucket="orig")["Status"] == "Enabled" and "Status" not in s3.get_bucket_versioning(Bucket="plain")
    assert s3.get_bucket_tagging(Bucket="orig")["TagSet"] == [{"Key": "team", "Value": "x"}]
    ours, theirs = s3.head_object(Bucket="orig", Key="big"), there.head_object(Bucket="orig", Key="big")
    assert [(h["ETag"], h["ContentType"], h["LastModified"]) for h in (ours,)] == [(theirs["ETag"], "video/x", theirs["LastModified"])]
    for version in s3.list_object_versions(Bucket="orig", Prefix="v")["Versions"]:
        which = {"Bucket": "orig", "Key": "v", "VersionId": version["VersionId"]}
        n = s3.head_object(**which)["Metadata"]["n"]
        assert s3.get_object_tagging(**which)["TagSet"] == [{"Key": "n", "Value": n}] and body(s3, "orig", "v", VersionId=version["VersionId"]) == n.encode()
    odd = s3.head_object(Bucket="orig", Key="a b/é&+%")
    assert (odd["CacheControl"], odd["ContentDisposition"]) == ("no-store", "inline")
    # Again: nothing is sent twice. A prefix, to another bucket, only what is current.
    assert run(node, "--from", "s3://orig", "--endpoint", endpoint, **AWS)[2]["present"] == 8
    there.put_object(Bucket="orig", Key="v", Body=b"new")
    assert run(node, "--from", "s3://orig", "--endpoint", endpoint, **AWS)[2]["imported"] == 1
    assert listing(s3, "orig")["v"] == [b"new", b"2", b"1", b"0"]
    credentials = node.cwd / "credentials"
    credentials.write_text("[moto]\naws_access_key_id = testing\naws_secret_access_key = testing\n")
    told = run(node, "--from", "s3://plain/logs/", "--endpoint", endpoint, "--into", "part", "--profile", "moto",
               AWS_SHARED_CREDENTIALS_FILE=str(credentials))
    assert told[0] == 0 and listing(s3, "part") == {"logs/1": [b"one"]}
    assert run(node, "--from", "s3://orig", "--endpoint", endpoint, "--into", "flat", "--no-versions", **AWS)[0] == 0
    assert listing(s3, "flat")["v"] == [b"new"] and "gone" not in listing(s3, "flat")


def test_an_import_that_is_broken_off_goes_on(node, moto):
    """Killed while it works: objects that came are not sent again, and of a large one the parts that came are not, either."""
    endpoint, there = moto
    there.create_bucket(Bucket="orig")
    for n in range(150):
        there.put_object(Bucket="orig", Key=f"k{n:03}", Body=data(20_000, n))
    node.start()
    s3 = node.client()
    env = {"PATH": os.environ.get("PATH", ""), "STORAGE_ROOT": str(node.root), "HOME": str(node.cwd), **AWS}
    words = ("--from", "s3://orig", "--endpoint", endpoint, "--concurrency", "2")
    process = subprocess.Popen([nodes.BINARY, "import", *words], cwd=node.cwd, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def count():
        try:
            return s3.list_objects_v2(Bucket="orig").get("KeyCount", 0)
        except ClientError:
            return 0

    end = time.monotonic() + 60
    while count() < 20 and process.poll() is None and time.monotonic() < end:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    came = count()
    assert came >= 20
    status, found, told = run(node, *words, **AWS)
    assert (status, found, told["imported"] + told["present"]) == (0, {}, 150) and told["present"] >= came
    assert count() == 150 and body(s3, "orig", "k123") == data(20_000, 123)


def test_a_large_object_goes_on_where_it_was(node_factory, tmp_path):
    """It is larger than a request may be, so it comes in parts; the upload that was begun is the one that is completed."""
    node = node_factory(MAX_UPLOAD_SIZE=5 * MIB)
    s3 = node.client()
    plain = tmp_path / "plain"
    plain.mkdir()
    content = data(48 * MIB)
    (plain / "large").write_bytes(content)
    env = {"PATH": os.environ.get("PATH", ""), "STORAGE_ROOT": str(node.root), "HOME": str(node.cwd), **node.env}
    process = subprocess.Popen([nodes.BINARY, "import", "--from", plain, "--into", "big"], cwd=node.cwd, env=env, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    end = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < end:
        try:
            uploads = s3.list_multipart_uploads(Bucket="big").get("Uploads", [])
            if uploads and s3.list_parts(Bucket="big", Key="large", UploadId=uploads[0]["UploadId"]).get("Parts"):
                break
        except ClientError:
            pass
    process.kill()
    process.wait(10)
    status, found, told = run(node, "--from", plain, "--into", "big")
    assert (status, found, told["imported"] + told["present"]) == (0, {}, 1)
    assert body(s3, "big", "large") == content
    assert "Uploads" not in s3.list_multipart_uploads(Bucket="big"), "another upload was begun"


def test_wrong_bytes_are_not_taken(node, tmp_path):
    """A file whose bytes rotted has the size and the time that it was stored with, and another digest."""
    old = tmp_path / "old"
    old.mkdir()
    root = earlier.Root(old)
    root.bucket("bbb")
    root.write(old / "bbb" / "rotten", b"rotten")
    root.write(old / "bbb" / "good", b"good")
    root.index("bbb", "", {"rotten": {"metadata": earlier.fields(b"fresh!")}, "good": {"metadata": earlier.fields(b"good")}})
    status, found, told = run(node, "--from", old)
    assert status == 1 and told["imported"] == 1
    assert "BadDigest" in found["bbb/rotten"][0][1]


def test_what_is_refused_is_told(node, moto, tmp_path):
    endpoint, there = moto
    status, _, told = run(node, "--from", "s3://none", "--endpoint", endpoint, AWS_SHARED_CREDENTIALS_FILE=str(tmp_path / "none"))
    assert status == 1 and "AWS_ACCESS_KEY_ID" in told and "testing" not in told
    status, found, told = run(node, "--from", "s3://none", "--endpoint", endpoint, **AWS)
    assert status == 1 and "NoSuchBucket" in found["none"][0][1]
    free = nodes.free_port()
    status, _, told = run(node, "--from", "s3://", "--endpoint", f"http://127.0.0.1:{free}", **AWS)
    assert status == 1
    assert run(node, "--from", tmp_path / "missing")[0] == 1
