"""Programs of Debian that tests put beside the node: those that are installed, else unpacked from their package below target/, which
installs nothing and starts nothing."""

import pathlib
import shutil
import subprocess
import tempfile

import pytest

from node import REPO

FOLDER = REPO / "target" / "debian"
APT_SECONDS = 90


def program(name, path, package=None):
    """The path of a program, which is `path` in its package. Skips the test, and says why, where there is none."""
    package = package or name
    for found in (shutil.which(name), f"/{path}", FOLDER / package / path):
        if found and pathlib.Path(found).is_file():
            return str(found)
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
        download = ["apt-get", "download", package]
        # The lists of packages may be missing or old, which only root can mend.
        for command in (download, ["apt-get", "update"], download):
            try:
                status = subprocess.run(command, cwd=folder, capture_output=True, timeout=APT_SECONDS).returncode
            except (OSError, subprocess.TimeoutExpired) as error:
                pytest.skip(f"no {name}: {error}")
            if status == 0 and command is download:
                break
        packages = list(pathlib.Path(folder).glob("*.deb"))
        if not packages:
            pytest.skip(f"no {name}: apt-get could not download {package}")
        subprocess.run(["dpkg", "-x", packages[0], FOLDER / package], check=True, capture_output=True)
    return str(FOLDER / package / path)
