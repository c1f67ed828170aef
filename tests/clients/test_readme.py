"""README.md, followed as a newcomer would: its first steps, line by line in one shell."""

import os
import re
import subprocess

from node import BINARY, REPO
from util import MIB, data

SECONDS = 100


def blocks(heading):
    """The commands below a heading, until the next one."""
    section = (REPO / "README.md").read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"^```sh\n(.*?)^```$", section, re.M | re.S)


def test_first_steps(node_factory, tmp_path):
    node = node_factory(ENCRYPTION_ENABLED="true", KMS_ENABLED="true")
    (tmp_path / "big.iso").write_bytes(data(9 * MIB))
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(b"a picture")
    (tmp_path / "data").symlink_to(node.root)
    (tmp_path / "target" / "release").mkdir(parents=True)
    (tmp_path / "target" / "release" / "myfsio").symlink_to(BINARY)
    commands = "".join(blocks("First steps"))
    for old, new in [("http://127.0.0.1:5000", node.endpoint), ("/safe/place/", f"{tmp_path}/safe/")]:
        assert old in commands
        commands = commands.replace(old, new)
    (tmp_path / "safe").mkdir()
    script = "set -e -o pipefail\nshopt -s expand_aliases\n" + commands + "\ncmp big.iso copy.iso\n"
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "STORAGE_ROOT": str(node.root)}
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "make_bucket: trip" in done.stdout and "Ann" in done.stdout and "localadmin" in done.stdout
    assert (tmp_path / "safe" / "master.key").exists() and list(node.root.glob("trip/a.jpg"))


def test_what_it_leads_to_is_there():
    for file in [REPO / "README.md", *(REPO / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#\s]+)", file.read_text()):
            if not re.match(r"[a-z]+:", target):
                assert (file.parent / target).exists(), f"{file.name} leads to {target}"
