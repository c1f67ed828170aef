"""What README.md and docs/ tell people to type, typed.

Each block of commands says behind its language what becomes of it:

    sh run              bash runs it, with what the blocks before it on its page have set and made
    sh run stopped      the same; from here on the page's node is stopped
    python run          Python runs it, behind the blocks of Python before it on its page
    sh by FILE          that test runs it; it names the page
    sh shown            nothing runs it: NOT_RUN says why
    toml run            settings that a node takes

A page has a fresh node, `127.0.0.1:5000` means it, and what docs/README.md says of the examples is there.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
from typing import NamedTuple

import pytest

import earlier
import node as nodes
from debian import program
from issuer import Issuer
from test_replication import moto  # noqa: F401

pytestmark = pytest.mark.local

DOCS = nodes.REPO / "docs"
COMMANDS = {"sh", "python"}
# Languages of what is only read. Commands in them, or in blocks of no language, are found all the same.
READ_ONLY = {"", "json", "rust", "hcl", "yaml", "toml", "xml", "http"}
LIKE_A_COMMAND = re.compile(r"^\s*(\$ |sudo |aws |myfsio |curl |cargo |docker |make |git |systemctl |apt )", re.MULTILINE)

NOT_RUN = {
    ("README.md", "cargo run --release"): "builds the release, which takes many minutes; what is tested is the debug build of the same",
    ("getting-started.md", "cargo build --release"): "the same",
    ("development.md", "make crash CRASH_ROUNDS=50 CRASH_SECONDS=3600"): "takes hours; `make test` runs the same tests for two minutes",
    ("moving-in.md", "mc alias set old"): "mc is no package of this machine's",
}

# Settings of a page's node, beside those of every test.
SETTINGS = {
    "README.md": {"ENCRYPTION_ENABLED": "true", "KMS_ENABLED": "true"},
    "access.md": {"KMS_ENABLED": "true"},
    "backup.md": {"ENCRYPTION_ENABLED": "true"},
    "encryption.md": {"ENCRYPTION_ENABLED": "true"},
    "encryption-use.md": {"ENCRYPTION_ENABLED": "true", "KMS_ENABLED": "true"},
    # So slow that a scrub which is not told to hurry is at work until it is stopped.
    "scrub.md": {"SCRUB_BYTES_PER_SECOND": "1"},
}
# These pages tell themselves how a shell gets its keys, and make the buckets that they are about.
FROM_NOTHING = {"README.md", "getting-started.md", "moving-in.md"}

# A refused request ends a page, unless the command has a mind of its own about that.
CURL = """#!/bin/sh
case " $* " in
*" -f"* | *" -i "* | *" -w "*) exec "{curl}" --no-progress-meter "$@" ;;
*) exec "{curl}" --no-progress-meter --fail-with-body "$@" ;;
esac
"""


class Block(NamedTuple):
    page: str
    line: int
    language: str
    how: str
    text: str

    def __str__(self):
        return f"{self.page}:{self.line}"


def blocks_of(path):
    """The fenced blocks of a page; those in lists are indented."""
    found, fence, lines = [], None, path.read_text().splitlines()
    for number, line in enumerate(lines, 1):
        edge = re.match(r"( *)```(\S*) *(.*)$", line)
        if fence is None and edge:
            fence = (number, *edge.groups())
        elif fence and line == fence[1] + "```":
            begin, indent, language, how = fence
            text = "".join(inner.removeprefix(indent) + "\n" for inner in lines[begin:number - 1])
            found.append(Block(path.name, begin, language, how, text))
            fence = None
    assert fence is None, f"{path.name}:{fence[0]} does not end"
    return found


FILES = [nodes.REPO / "README.md", *sorted(DOCS.glob("*.md"))]
BLOCKS = [block for path in FILES for block in blocks_of(path)]
RUN = [block for block in BLOCKS if block.how.split(" ")[0] == "run"]
PAGES = list(dict.fromkeys(block.page for block in RUN))


def test_every_block_of_commands_says_what_becomes_of_it():
    not_run = set()
    for block in BLOCKS:
        if block.language in READ_ONLY:
            assert block.how in ("", "run") and not LIKE_A_COMMAND.search(block.text), f"{block} has commands, and is no block of them"
            continue
        assert block.language in COMMANDS, f"{block}: what is {block.language!r}?"
        how, _, what = block.how.partition(" ")
        match how:
            case "run":
                assert what in (("", "stopped") if block.language == "sh" else ("",)), block
            case "by":
                file = nodes.REPO / what
                assert file.is_file() and block.page in file.read_text(), f"{block}: {what} does not name the page"
            case "shown":
                reasons = [key for key in NOT_RUN if key[0] == block.page and block.text.startswith(key[1])]
                assert len(reasons) == 1, f"{block} is not run, and NOT_RUN does not say why"
                not_run |= set(reasons)
            case _:
                pytest.fail(f"{block} does not say what becomes of it: see the head of {pathlib.Path(__file__).name}")
    assert not_run == set(NOT_RUN), "NOT_RUN names what is not there"


class Desk:
    """Where somebody sits with a page and its node: a folder, the programs, and the shell's variables and aliases from block to block."""

    def __init__(self, page, node, work, replace):
        self.page, self.node, self.work = page, node, work
        self.replace = {"127.0.0.1:5000": f"127.0.0.1:{node.port}", **replace}
        self.kept = work / ".shell"
        self.kept.touch()
        tools = work / "bin"
        tools.mkdir()
        (tools / "myfsio").symlink_to(nodes.BINARY)
        curl = tools / "curl"
        curl.write_text(CURL.format(curl=program("curl", "usr/bin/curl")))
        curl.chmod(0o755)
        # A page's paths are those of the folder of the sources, in which the node was started.
        (work / "target/release").mkdir(parents=True)
        (work / "target/release/myfsio").symlink_to(nodes.BINARY)
        (work / "config").symlink_to(nodes.REPO / "config")
        (work / "data").symlink_to(node.root)
        path = os.pathsep.join([str(tools), str(pathlib.Path(sys.executable).parent), os.environ.get("PATH", "")])
        self.env = {"PATH": path, "HOME": str(work), "STORAGE_ROOT": str(node.root), "PORT": str(node.port), "UI_PORT": str(node.ui_port),
                    "JOURNAL_SEGMENT_BYTES": "4194304", "LC_ALL": "C.UTF-8", "AWS_EC2_METADATA_DISABLED": "true", **node.env}
        if page not in FROM_NOTHING:
            self.env |= {"AWS_ACCESS_KEY_ID": nodes.ACCESS, "AWS_SECRET_ACCESS_KEY": nodes.SECRET, "AWS_DEFAULT_REGION": nodes.REGION,
                         "AWS_ENDPOINT_URL": node.endpoint}

    def types(self, block, before=""):
        """Runs a block; answers what it printed."""
        text = before + block.text
        for told, meant in self.replace.items():
            text = text.replace(told, meant)
        match block.language:
            case "sh":
                # What is assigned is exported, so that the next shell has it.
                head = f"set -euo pipefail\nshopt -s expand_aliases\nsource {self.kept}\nset -a\n"
                command = ["bash", "-c", f"{head}{text}\nexport -p >{self.kept}\nalias -p >>{self.kept}\n"]
            case "python":
                command = [sys.executable, "-c", text]
            case "toml":
                (self.work / "settings.toml").write_text(text)
                command = ["myfsio", "config", "check", "--config", "settings.toml"]
        done = subprocess.run(command, cwd=self.work, env=self.env, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=120)
        assert done.returncode == 0, f"{block}: status {done.returncode}\n{text}\n{done.stdout[-4000:]}\n{self.node.tail()}"
        return done.stdout


def type_in(page, node, work, **replace):
    """Types a whole page; answers what each block has printed."""
    desk, printed, python = Desk(page, node, work, replace), [], ""
    for block in RUN:
        if block.page != page:
            continue
        if block.how == "run stopped" and node.process.poll() is None:
            node.stop()
        printed.append(desk.types(block, python if block.language == "python" else ""))
        if block.language == "python":
            python += block.text
    for told in replace:
        assert any(told in block.text for block in RUN if block.page == page), f"{page} does not say {told} any more"
    return printed


def prepared(node_factory, page, work):
    """The node of a page with what docs/README.md says of the examples: a bucket with an object, a file, a user."""
    node = node_factory(**SETTINGS.get(page, {}))
    if page not in FROM_NOTHING:
        s3 = node.client()
        s3.create_bucket(Bucket="photos")
        for key in ("2024/a.jpg", "2024/b.jpg"):
            s3.put_object(Bucket="photos", Key=key, Body=b"a picture")
        node.add_users({"access_key": "bob", "secret_key": "a secret of bob", "display_name": "bob", "policies": []})
    (work / "a.jpg").write_bytes(b"a picture")
    return node


SPECIAL = {"README.md", "access.md", "backup.md", "operations.md", "kms.md", "moving-in.md"}


@pytest.mark.parametrize("page", [page for page in PAGES if page not in SPECIAL])
def test_a_page(node_factory, tmp_path, page):
    type_in(page, prepared(node_factory, page, tmp_path), tmp_path)


def test_readme(node_factory, tmp_path):
    (tmp_path / "safe").mkdir()
    node = prepared(node_factory, "README.md", tmp_path)
    printed = "".join(type_in("README.md", node, tmp_path, **{"/safe/place/": f"{tmp_path}/safe/"}))
    assert "make_bucket: trip" in printed and "Ann" in printed and "localadmin" in printed
    assert (tmp_path / "copy.iso").read_bytes() == (tmp_path / "big.iso").read_bytes()
    assert (tmp_path / "safe/master.key").exists()
    node.wait_file("trip", "a.jpg", (node.root / "trip/a.jpg").read_bytes())
    assert b"picture" not in (node.root / "trip/a.jpg").read_bytes()


def test_access(node_factory, tmp_path):
    issuer = Issuer("/realms/staff")
    try:
        node = prepared(node_factory, "access.md", tmp_path)
        token = f"TOKEN={issuer.token(aud='my-app')}"
        printed = type_in("access.md", node, tmp_path, **{
            "https://id.example.com/realms/staff": issuer.url, "id.example.com/realms/staff": issuer.name, "TOKEN=…": token})
    finally:
        issuer.stop()
    everything = "".join(printed)
    assert '"preset":"custom"' in everything.replace(" ", "") and '"reason":"anonymous"' in everything.replace(" ", ""), everything


@pytest.mark.parametrize("page", ["backup.md", "operations.md"])
def test_backups(node_factory, tmp_path, page):
    node = prepared(node_factory, page, tmp_path)
    (tmp_path / "safe").mkdir()
    for key in (path for name in ("config/.secret", "keys/master.key") if (path := node.root / ".myfsio.sys" / name).exists()):
        shutil.copy(key, tmp_path / "safe")
    replace = {"/srv/new-data": str(tmp_path / "new-data"), "/backups": str(tmp_path / "backups"), "/safe/": f"{tmp_path}/safe/"}
    told = "".join(block.text for block in RUN if block.page == page)
    type_in(page, node, tmp_path, **{old: new for old, new in replace.items() if old in told})
    assert (tmp_path / "new-data/photos/2024/a.jpg").read_bytes() == b"a picture"


def test_the_vector_of_kms(node_factory, tmp_path):
    (printed,) = type_in("kms.md", prepared(node_factory, "kms.md", tmp_path), tmp_path)
    (vector,) = [block.text for block in BLOCKS if block.page == "kms.md" and re.fullmatch("[0-9a-f]{80,}\n", block.text)]
    assert printed == vector


def test_moving_in(node_factory, tmp_path, moto):  # noqa: F811
    endpoint, there = moto
    there.create_bucket(Bucket="photos")
    for key in ("2024/a.jpg", "2025/b.jpg"):
        there.put_object(Bucket="photos", Key=key, Body=key.encode())
    old = tmp_path / "old"
    old.mkdir()
    root = earlier.Root(old)
    root.bucket("docs")
    root.write(old / "docs" / "a.txt", b"alpha")
    root.index("docs", "", {"a.txt": {"metadata": earlier.fields(b"alpha")}})
    for name in ("Pictures", "Music"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "p.png").write_bytes(name.encode())
    node = node_factory()
    new = tmp_path / "new"
    type_in("moving-in.md", node, tmp_path, **{
        "https://minio.example.com:9000": endpoint, "KEY_THERE": "testing", "SECRET_THERE": "testing",
        "/srv/myfsio/data-new": str(new), "/srv/myfsio/data": str(old)})
    s3 = node.start().client()
    assert {o["Key"] for o in s3.list_objects_v2(Bucket="photos")["Contents"]} == {"2024/a.jpg", "2025/b.jpg"}
    assert [o["Key"] for o in s3.list_objects_v2(Bucket="photos-2024")["Contents"]] == ["2024/a.jpg"]
    assert s3.head_object(Bucket="pictures", Key="p.png")["ContentType"] == "image/png"
    assert s3.get_object(Bucket="music", Key="p.png")["Body"].read() == b"Music"
    assert (new / "docs" / "a.txt").read_bytes() == b"alpha"


def test_commands_within_sentences_are_there():
    """`myfsio user rotate NAME` has a help, which knows the flags; `make deb` is a target."""
    run = lambda *words: subprocess.run([nodes.BINARY, *words], capture_output=True, text=True, timeout=30)
    commands = set(re.findall(r"^  ([a-z-]+) ", run("--help").stdout.split("Commands:")[1].split("\n\n")[0], re.MULTILINE))
    targets = set(re.findall(r"^([a-z-]+):", (nodes.REPO / "Makefile").read_text(), re.MULTILINE))
    assert "serve" in commands and "test-image" in targets
    looked_at = 0
    for file in FILES:
        for command in re.findall(r"`((?:myfsio|make) [a-z][^`]*)`", file.read_text()):
            program, first, *rest = command.split()
            looked_at += first in commands | targets
            if program == "make":
                assert first in targets, f"{file.name}: {command}"
            # Labels of keys begin with the same word, and end in their version.
            elif first in commands and not re.search(r" v\d\b", command):
                further = rest[0].split("|") if rest and re.fullmatch(r"[a-z][a-z|-]*", rest[0]) else [None]
                for second in further:
                    told = run(*filter(None, (first, second)), "--help")
                    assert told.returncode == 0, f"{file.name}: {command}"
                    flags = {word for word in rest if word.startswith("--")}
                    assert flags <= set(re.findall(r"--[a-z-]+", told.stdout)), f"{file.name}: {command}"
    assert looked_at > 20


def test_what_the_pages_lead_to_is_there():
    for file in FILES:
        for target in re.findall(r"\]\(([^)#\s]+)", file.read_text()):
            if not re.match(r"[a-z]+:", target):
                assert (file.parent / target).exists(), f"{file.name} leads to {target}"
