"""The commands of docs/replication.md, as a newcomer types them on fresh nodes."""

import os
import pathlib
import re
import shlex
import subprocess
import sys

import pytest

from node import BINARY, REPO, Node
from replication import wait_until

pytestmark = [pytest.mark.local, pytest.mark.timeout(180)]
PAGE = (REPO / "docs" / "replication.md").read_text()


def commands(heading):
    """The blocks of commands below a heading, in order."""
    section = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", PAGE, re.S | re.M).group(1)
    return [re.sub(r"^ +(?=myfsio)", "", block, flags=re.M) for block in re.findall(r"```sh by [^\n]*\n(.*?)```", section, re.S)]


class Desk:
    """Where somebody sits who looks after one node."""

    def __init__(self):
        self.node = Node()
        self.tools = self.node.dir / "bin"
        self.tools.mkdir()
        (self.tools / "myfsio").symlink_to(pathlib.Path(BINARY).resolve())

    def start(self):
        self.node.start()
        self.s3 = self.node.client()
        return self

    def types(self, block, *replacements):
        """Runs a block of commands; answers what they print."""
        for word, value in replacements:
            assert word in block, f"{word} is not in the page any more:\n{block}"
            block = block.replace(word, value)
        path = os.pathsep.join([str(self.tools), os.path.dirname(sys.executable), os.environ["PATH"]])
        env = {"PATH": path, "HOME": str(self.node.cwd), "STORAGE_ROOT": str(self.node.root), "AWS_ACCESS_KEY_ID": "localadmin",
               "AWS_SECRET_ACCESS_KEY": "localadmin", "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true"}
        env["AWS_ENDPOINT_URL"] = getattr(self.node, "endpoint", "")
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", block], env=env, cwd=self.node.cwd, capture_output=True, text=True,
                              timeout=120)
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def keeps(self, name, text):
        (self.node.cwd / name).write_text(text)


def key_of(printed):
    """The access key and the secret key that a command has printed."""
    return tuple(re.search(rf"^{which} key +(\S+)", printed, re.M).group(1) for which in ("access", "secret"))


@pytest.fixture
def desks():
    both = [Desk(), Desk()]
    yield both
    for desk in both:
        desk.node.close()


def test_one_way(desks):
    source, target = desks
    prepare, begin, look = commands("One way")
    # The target does not run yet.
    access, secret = key_of(target.types(prepare))
    target.start()
    source.start()
    source.keeps("secret.txt", secret + "\n")
    source.s3.create_bucket(Bucket="photos")
    source.s3.put_object(Bucket="photos", Key="before.jpg", Body=b"1")
    # It was there already.
    begin = begin.replace("myfsio bucket create photos\n", "")
    printed = source.types(begin, ("http://target-server:5000", target.node.endpoint), ("ACCESS_KEY", access))
    assert re.search(r"^ok: ", printed, re.M) and "photos -> backup-bucket  ACTIVE" in printed, printed
    source.s3.put_object(Bucket="photos", Key="after.jpg", Body=b"2")
    ls = lambda: target.types(look, ("http://target-server:5000", target.node.endpoint))
    wait_until("both to arrive", lambda: {"before.jpg", "after.jpg"} <= set(ls().split()))

    failing, going = commands("When something fails")
    source.types(re.sub(r" \[.*?\]", "", failing))
    target.s3.delete_object(Bucket="backup-bucket", Key="after.jpg")
    printed = source.types(going)
    assert "PAUSED" in printed and "ACTIVE" in printed and len(re.findall(r"^done: 2 compared", printed, re.M)) == 2, printed


def test_both_ways(desks):
    a, b = desks
    prepare, connect, choose = commands("Both ways")
    # The same with A in the place of B.
    other = lambda block: re.sub(r"(Server |_ON_)B\b", r"\1A", re.sub(r"(server-|secret-)b\b", r"\1a", block))
    for desk in desks:
        desk.start()
    keys = {"A": key_of(a.types(prepare)), "B": key_of(b.types(other(prepare)))}
    a.keeps("secret-b.txt", keys["B"][1])
    b.keeps("secret-a.txt", keys["A"][1])
    printed = a.types(connect, ("http://server-b:5000", b.node.endpoint), ("KEY_ON_B", keys["B"][0]))
    assert re.search(r"^ok: ", printed, re.M), printed
    printed = b.types(other(connect), ("http://server-a:5000", a.node.endpoint), ("KEY_ON_A", keys["A"][0]))
    assert re.search(r"^ok: ", printed, re.M), printed
    a.s3.put_object(Bucket="photos", Key="of-a", Body=b"a")
    b.s3.put_object(Bucket="photos", Key="of-b", Body=b"b")
    listed = lambda desk: {o["Key"] for o in desk.s3.list_objects_v2(Bucket="photos").get("Contents", [])}
    wait_until("both to have both", lambda: listed(a) == listed(b) == {"of-a", "of-b"})
    # Both are changed before either hears of the other.
    for desk in desks:
        desk.types("myfsio replication pause photos")
    for desk, body in ((a, b"of a"), (b, b"of b")):
        desk.s3.put_object(Bucket="photos", Key="of-a", Body=body)
    for desk in desks:
        desk.types("myfsio replication resume photos")
    read = lambda desk: desk.s3.get_object(Bucket="photos", Key="of-a")["Body"].read()
    wait_until("the later one", lambda: read(a) == read(b) == b"of b")
    look, resolve = choose.strip().split("\n")
    desk, told = wait_until("the other side", lambda: next(
        ((desk, told) for desk in desks if (told := desk.types(look).split())), None))
    assert told[0] == "of-a"
    assert desk.types(resolve, ("KEY", "of-a"), ("VERSION", shlex.quote(told[1])), ("keep current", "keep copy")) == "Done.\n"
    wait_until("the chosen one on both", lambda: read(a) == read(b) == b"of a")


def test_the_s3_api(desks):
    source, target = (desk.start() for desk in desks)
    access, secret = key_of(target.types(commands("One way")[0]))
    for desk, bucket in ((source, "photos"), (target, "backup-bucket")):
        if bucket == "photos":
            desk.s3.create_bucket(Bucket=bucket)
        desk.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    source.keeps("secret.txt", secret)
    source.types(f"myfsio replication connect --name x --endpoint {target.node.endpoint} --access-key {access} --secret-key-file secret.txt")
    (put,) = commands("Through the S3 API")
    source.types(put)
    source.s3.put_object(Bucket="photos", Key="logs/1", Body=b"1")
    wait_until("it to arrive", lambda: target.s3.list_objects_v2(Bucket="backup-bucket").get("KeyCount") == 1)
