"""What the node is made of, as packaging/sbom tells it."""

import json
import shutil
import subprocess

import pytest

from node import REPO


def test_the_bill_of_materials(tmp_path):
    if not shutil.which("cargo"):
        pytest.skip("no cargo: the bill of materials was not made")
    file = tmp_path / "sbom.json"
    subprocess.run([REPO / "packaging" / "sbom", file], check=True, capture_output=True, timeout=100)
    document = json.loads(file.read_text())
    assert document["metadata"]["component"]["name"] == "myfsio"
    components = document["components"]
    names = {component["name"] for component in components}
    assert {"myfsio-actors", "actix-http", "redb", "rustls"} <= names
    # Only tests and benchmarks need these.
    assert not names & {"proptest", "criterion", "aws-sdk-s3", "myfsio-load"}
    for component in components:
        assert component["licenses"] and component["purl"].startswith("pkg:cargo/"), component
        assert component.get("hashes") or component["name"].startswith("myfsio-"), component
    known = {component["bom-ref"] for component in [*components, document["metadata"]["component"]]}
    assert known == {entry["ref"] for entry in document["dependencies"]}
    assert all(set(entry["dependsOn"]) <= known for entry in document["dependencies"])
