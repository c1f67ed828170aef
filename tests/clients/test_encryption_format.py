"""The format of encrypted files is the documented one: the Python code of docs/encryption.md reads what a node wrote."""

import base64
import hashlib
import json
import re
import subprocess

import pytest

import node as nodes
import sse
from util import MIB, data

pytestmark = pytest.mark.local
DOCUMENT = (nodes.REPO / "docs" / "encryption.md").read_text()
PYTHON = {}
exec(compile(re.search(r"```python run\n(.*?)```", DOCUMENT, re.DOTALL).group(1), "docs/encryption.md", "exec"), PYTHON)
CONTEXT = {"team": "ops", "Ä": "ö"}


@pytest.fixture(scope="module")
def written():
    """A stopped node, and what each of its objects holds."""
    node = sse.start()
    try:
        s3 = node.client()
        s3.create_bucket(Bucket="box")
        context = base64.b64encode(json.dumps(CONTEXT).encode()).decode()
        objects = {}
        for mode in sse.ENCRYPTED:
            more = {"SSEKMSEncryptionContext": context} if mode is sse.KMS else {}
            for size in (0, 1, 65536, 300_000):
                key = f"{mode}/{size} bytes ü"
                objects[key] = data(size, size)
                s3.put_object(Bucket="box", Key=key, Body=objects[key], **mode.write, **more)
            parts = {1: data(5 * MIB, 1), 2: data(5 * MIB, 2), 7: data(70_000, 7)}
            key = f"{mode}/parts"
            upload = s3.create_multipart_upload(Bucket="box", Key=key, **mode.write, **more)["UploadId"]
            done = [{"PartNumber": number, "ETag": s3.upload_part(Bucket="box", Key=key, UploadId=upload, PartNumber=number, Body=body, **mode.read)["ETag"]}
                    for number, body in parts.items()]
            s3.complete_multipart_upload(Bucket="box", Key=key, UploadId=upload, MultipartUpload={"Parts": done}, **mode.read)
            objects[key] = b"".join(parts.values())
        node.stop()
        yield node, objects
    finally:
        node.close()


def explained(node, key):
    done = subprocess.run([nodes.BINARY, "fsck", "--explain", f"box/{key}", "--json", "--storage-root", node.root],
                          cwd=node.cwd, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_another_program_reads_what_a_node_wrote(written):
    node, objects = written
    keys = node.root / ".myfsio.sys" / "keys"
    master_key = base64.b64decode((keys / "master.key").read_text())
    kms_keys = json.loads((keys / "kms_keys.json").read_text())
    for key, body in objects.items():
        told = explained(node, key)
        assert told["encryption"]["algorithm"] == "AES-256-GCM" and told["size"] == len(body)
        data_key = PYTHON["data_key"](told, master_key, kms_keys, hashlib.sha256(b"one").digest())
        file = node.file("box", key).read_bytes()
        assert len(file) == told["stored_size"] and file.startswith(b"MYFSIOEN")
        assert PYTHON["content"](file, data_key, told["encryption"]["segments"]) == body, key


def test_the_vectors_are_those_of_the_document():
    vectors = json.loads((nodes.REPO / "actors" / "src" / "encryption" / "vectors.json").read_text())
    text = re.sub(r"\s", "", DOCUMENT)
    for vector in vectors["segments"]:
        if vector["name"] in ("short", "part 3"):
            assert vector["data_key"] in text and vector["salt"] in text and vector["file"] in text
            file = bytes.fromhex(vector["file"])
            segment = {"offset": 0, "stored_size": len(file), "part": vector["part"]}
            assert PYTHON["content"](file, bytes.fromhex(vector["data_key"]), [segment]) == b"sensitive data"
    for of in ("managed", "customer"):
        assert all(value in text for value in vectors[of].values()), of
