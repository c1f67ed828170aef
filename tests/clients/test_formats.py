"""Data directories of every format that was ever released are opened and read; newer ones are refused, and not touched."""

import json
import os
import subprocess

import pytest

import node as nodes
from everything import LARGE, SETTINGS, read_everything, unpack
from test_commands import command

pytestmark = pytest.mark.local
FIXTURES = sorted((nodes.REPO / "tests" / "fixtures").glob("format-*"))
OFFLINE = [["serve"], ["fsck"], ["fsck", "--repair"], ["fsck", "--explain", "plain/a.txt"], ["reindex"], ["reindex", "plain"], ["bucket", "list"],
           ["bucket", "create", "more"], ["user", "list"], ["key", "reencrypt"], ["replication", "status"], ["scrub", "start"], ["backup", "create", "backups"],
           ["upgrade", "--check"]]


@pytest.fixture
def node():
    if os.environ.get("S3_ENDPOINT"):
        pytest.skip("needs a node of its own")
    made = nodes.Node(**SETTINGS)
    yield made
    made.close()


def test_there_are_fixtures():
    assert FIXTURES


@pytest.mark.parametrize("fixture", FIXTURES, ids=lambda fixture: fixture.name)
def test_every_format_is_read_and_goes_on(node, fixture):
    unpack(fixture / "data.tar.xz", node.root)
    assert command(node, "upgrade", "--check", "--json")["in_use"] is False
    expected = json.loads((fixture / "expected.json").read_text())
    node.start()
    assert command(node, "upgrade", "--check", "--json")["in_use"] is True
    assert json.loads(json.dumps(read_everything(node))) == expected
    s3 = node.client()
    [[key, upload, parts]] = expected["buckets"]["plain"]["uploads"]
    s3.complete_multipart_upload(Bucket="plain", Key=key, UploadId=upload, MultipartUpload={"Parts": [
        {"PartNumber": number, "ETag": etag} for number, _, etag in parts]})
    assert s3.get_object(Bucket="plain", Key=key)["Body"].read() == LARGE + b"end"
    s3.put_object(Bucket="versioned", Key="k", Body=b"new")
    node.stop()
    command(node, "fsck", "--data")
    # What files tell is enough for a new index.
    os.remove(node.root / ".myfsio.sys" / "index.redb")
    command(node, "reindex")
    node.start()
    assert node.client().get_object(Bucket="plain", Key="a.txt")["Body"].read() == b"a second time"


def everything_below(folder):
    found = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        found[str(path.relative_to(folder))] = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    return found


@pytest.mark.parametrize("told", ['{"format":99,"oldest_reader":98,"program":"9.9.9"}', '{"format":1,"oldest_reader":1,"program":"0.0.1"}', "no format"])
def test_another_format_is_refused_and_not_touched(node, told):
    unpack(FIXTURES[-1] / "data.tar.xz", node.root)
    (node.root / ".myfsio.sys" / "format").write_text(told)
    before = everything_below(node.root)
    for words in OFFLINE:
        env = {"STORAGE_ROOT": str(node.root), "PORT": "0", "UI_PORT": "0", **node.env}
        done = subprocess.run([nodes.BINARY, *words], cwd=node.cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        assert done.returncode == 1 and done.stderr.count("\n") == 1, (words, done)
        if "99" in told:
            assert "has format 99, written by MyFSIO 9.9.9" in done.stderr and "nothing was changed" in done.stderr, (words, done.stderr)
            assert "Run MyFSIO 9.9.9 or newer" in done.stderr
        else:
            assert "format" in done.stderr, (words, done.stderr)
        assert everything_below(node.root) == before, words
        assert not any(node.cwd.iterdir()), words


def test_a_newer_format_may_leave_a_way_back(node):
    node.start()
    node.client().create_bucket(Bucket="kept")
    node.stop()
    file = node.root / ".myfsio.sys" / "format"
    own = json.loads(file.read_text())
    file.write_text(json.dumps({**own, "format": own["format"] + 1, "program": "9.9.9"}))
    assert "not used" in command(node, "upgrade", "--check")
    node.start()
    assert [b["Name"] for b in node.client().list_buckets()["Buckets"]] == ["kept"]
    # The newer program will see that an older one has written since.
    assert json.loads(file.read_text()) == own
