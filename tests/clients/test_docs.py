"""What the documentation tells people to type, typed.

A block of a page in `docs/` that is marked ```` ```sh run ```` is run by bash, each in turn, with what the ones before it of the same page
have set and made. A page has a fresh node; `127.0.0.1:5000` means it. Blocks that only show something are marked `sh` alone.
"""

import os
import pathlib
import re
import subprocess
import sys

import pytest

import earlier
import node as nodes
from test_replication import moto  # noqa: F401

pytestmark = pytest.mark.local

DOCS = nodes.REPO / "docs"
BLOCK = re.compile(r"^```sh run\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGES = sorted(page.name for page in DOCS.glob("*.md") if BLOCK.search(page.read_text()))


def script_of(page, replace):
    """The blocks of a page as one script that tells, before each, on which line it begins."""
    text = (DOCS / page).read_text()
    parts = ["set -euo pipefail"]
    for block in BLOCK.finditer(text):
        line = text.count("\n", 0, block.start()) + 1
        parts.append(f"echo '=== {page}:{line}'\n{block.group(1)}")
    script = "\n".join(parts)
    for told, meant in replace.items():
        script = script.replace(told, meant)
    return script


def environment(node, work):
    """What a person's shell has: the programs, a home of its own, and the settings of the node."""
    bin_folder = work / "bin"
    bin_folder.mkdir()
    (bin_folder / "myfsio").symlink_to(nodes.BINARY)
    path = os.pathsep.join([str(bin_folder), str(pathlib.Path(sys.executable).parent), os.environ.get("PATH", "")])
    return {"PATH": path, "HOME": str(work), "STORAGE_ROOT": str(node.root), "PORT": str(node.port), "UI_PORT": str(node.ui_port),
            "JOURNAL_SEGMENT_BYTES": "4194304", "LC_ALL": "C.UTF-8", "AWS_EC2_METADATA_DISABLED": "true", **node.env}


def type_in(page, node, work, **replace):
    replace = {"127.0.0.1:5000": f"127.0.0.1:{node.port}", **replace}
    done = subprocess.run(["bash"], input=script_of(page, replace), cwd=work, env=environment(node, work), text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300)
    assert done.returncode == 0, f"{page}: status {done.returncode}\n{done.stdout[-4000:]}"
    return done.stdout


@pytest.mark.parametrize("page", [page for page in PAGES if page != "moving-in.md"])
def test_a_page(node_factory, tmp_path, page):
    type_in(page, node_factory(), tmp_path)


def test_moving_in(node_factory, tmp_path, moto):  # noqa: F811
    endpoint, there = moto
    there.create_bucket(Bucket="photos")
    for key in ("2024/a.jpg", "2025/b.jpg"):
        there.put_object(Bucket="photos", Key=key, Body=key.encode())
    old, pictures = tmp_path / "old", tmp_path / "Pictures"
    old.mkdir()
    root = earlier.Root(old)
    root.bucket("docs")
    root.write(old / "docs" / "a.txt", b"alpha")
    root.index("docs", "", {"a.txt": {"metadata": earlier.fields(b"alpha")}})
    pictures.mkdir()
    (pictures / "p.png").write_bytes(b"picture")
    node = node_factory()
    new = tmp_path / "new"
    type_in("moving-in.md", node, tmp_path, **{
        "https://minio.example.com:9000": endpoint, "KEY_THERE": "testing", "SECRET_THERE": "testing",
        "/srv/myfsio/data-new": str(new), "/srv/myfsio/data": str(old)})
    s3 = node.client()
    assert {o["Key"] for o in s3.list_objects_v2(Bucket="photos")["Contents"]} == {"2024/a.jpg", "2025/b.jpg"}
    assert [o["Key"] for o in s3.list_objects_v2(Bucket="photos-2024")["Contents"]] == ["2024/a.jpg"]
    assert s3.head_object(Bucket="pictures", Key="p.png")["ContentType"] == "image/png"
    assert (new / "docs" / "a.txt").read_bytes() == b"alpha"


def test_every_page_that_has_commands_is_typed():
    assert {"getting-started.md", "moving-in.md"} <= set(PAGES)
