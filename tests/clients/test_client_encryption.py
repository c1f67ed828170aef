"""Client-side encryption: what the library, the command line and the Python code of the documentation write, each of them reads."""

import base64
import hashlib
import json
import os
import pathlib
import re
import stat
import subprocess

import pytest

import node as nodes
from util import data

DOCUMENT = (nodes.REPO / "docs" / "client-encryption.md").read_text()
RUST = nodes.REPO / "client-encryption" / "examples" / "encrypted_objects.rs"
EXAMPLE = pathlib.Path(nodes.BINARY).parent / "examples" / "encrypted_objects"
CHUNK = 65536

PYTHON = {}
exec(compile(re.search(r"```python run\n(.*?)```", DOCUMENT, re.DOTALL).group(1), "docs/client-encryption.md", "exec"), PYTHON)


def cli(*arguments, ok=True, status=None, stdin=b"", key=None):
    env = {"PATH": os.environ["PATH"], **({"MYFSIO_CLIENT_KEY": key} if key else {})}
    done = subprocess.run([nodes.BINARY, "client-encryption", *map(str, arguments)], input=stdin, env=env, capture_output=True, timeout=60)
    wanted = status if status is not None else 0 if ok else 1
    assert done.returncode == wanted, (arguments, done.returncode, done.stdout[-500:], done.stderr[-500:])
    if wanted == 1:
        assert done.stderr.startswith(b"myfsio: ") and done.stderr.count(b"\n") == 1, done.stderr
    return done


class Cli:
    """The command line, with boto3 for the way to the server."""

    name = "cli"

    def __init__(self, s3, server, folder):
        self.s3, self.folder = s3, folder

    def put(self, bucket, key, body, key_file):
        plain, sealed = self.folder / "plain", self.folder / "sealed"
        plain.write_bytes(body)
        metadata = json.loads(cli("encrypt", "--key-file", key_file, plain, sealed).stdout)
        self.s3.put_object(Bucket=bucket, Key=key, Body=sealed.read_bytes(), Metadata=metadata)

    def get(self, bucket, key, key_file):
        """The plaintext, or what is said about why not."""
        got = self.s3.get_object(Bucket=bucket, Key=key)
        metadata, sealed, plain = self.folder / "metadata", self.folder / "sealed", self.folder / "copy"
        metadata.write_text(json.dumps(got["Metadata"]))
        sealed.write_bytes(got["Body"].read())
        plain.unlink(missing_ok=True)
        done = subprocess.run([nodes.BINARY, "client-encryption", "decrypt", "--key-file", key_file, "--metadata", metadata, sealed, plain],
                              capture_output=True, text=True, timeout=60)
        assert plain.exists() == (done.returncode == 0)
        assert sorted(path.name for path in self.folder.glob("copy*")) == (["copy"] if plain.exists() else [])
        return plain.read_bytes() if plain.exists() else done.stderr


class Rust:
    """The example with the AWS SDK."""

    name = "rust"

    def __init__(self, s3, server, folder):
        self.server, self.folder = server, folder

    def run(self, action, key_file, bucket, key):
        env = {"PATH": os.environ["PATH"], "AWS_ENDPOINT_URL": self.server.endpoint,
               "AWS_ACCESS_KEY_ID": getattr(self.server, "access", nodes.ACCESS), "AWS_SECRET_ACCESS_KEY": getattr(self.server, "secret", nodes.SECRET)}
        return subprocess.run([EXAMPLE, action, key_file, bucket, key, self.folder / "file"], env=env, capture_output=True, text=True, timeout=60)

    def put(self, bucket, key, body, key_file):
        (self.folder / "file").write_bytes(body)
        done = self.run("put", key_file, bucket, key)
        assert done.returncode == 0, done.stderr

    def get(self, bucket, key, key_file):
        (self.folder / "file").unlink(missing_ok=True)
        done = self.run("get", key_file, bucket, key)
        return (self.folder / "file").read_bytes() if done.returncode == 0 else done.stderr


class Python:
    """The code of docs/client-encryption.md."""

    name = "python"

    def __init__(self, s3, server, folder):
        self.s3 = s3

    def put(self, bucket, key, body, key_file):
        sealed, metadata = PYTHON["encrypt_for_upload"](body, base64.b64decode(key_file.read_text()))
        self.s3.put_object(Bucket=bucket, Key=key, Body=sealed, Metadata=metadata)

    def get(self, bucket, key, key_file):
        got = self.s3.get_object(Bucket=bucket, Key=key)
        try:
            return PYTHON["decrypt_from_download"](got["Body"].read(), got["Metadata"], base64.b64decode(key_file.read_text()))
        except PYTHON["Damaged"] as why:
            return str(why)


WAYS = [Cli, Rust, Python]
ways = pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)


@pytest.fixture(autouse=True)
def the_example_is_built(request):
    parameters = request.node.callspec.params.values() if hasattr(request.node, "callspec") else ()
    if Rust in parameters and not EXAMPLE.exists():
        assert not os.environ.get("CI"), f"{EXAMPLE} is not built"
        pytest.skip("the example is not built: cargo build --workspace --examples")


@pytest.fixture
def key_file(tmp_path):
    path = tmp_path / "client.key"
    cli("generate-key", "--output", path)
    return path


def test_the_documentation_shows_the_examples_that_are_tested():
    assert RUST.read_text().rstrip() in DOCUMENT


@pytest.mark.parametrize("reader", WAYS, ids=lambda way: "read by " + way.name)
@pytest.mark.parametrize("writer", WAYS, ids=lambda way: "written by " + way.name)
def test_what_one_writes_the_others_read(writer, reader, s3, server, bucket, key_file, tmp_path):
    for size in (0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 300_000):
        body = data(size, size)
        writer(s3, server, tmp_path).put(bucket, "object", body, key_file)
        stored = s3.get_object(Bucket=bucket, Key="object")
        assert stored["ContentLength"] == size + 16 * max(1, -(-size // CHUNK))
        assert set(stored["Metadata"]) == {"x-amz-key", "x-amz-iv", "x-amz-matdesc"}
        assert size < 16 or body[:16] not in stored["Body"].read()
        assert reader(s3, server, tmp_path).get(bucket, "object", key_file) == body, size


@ways
def test_the_wrong_key_is_named(way, s3, server, bucket, key_file, tmp_path):
    Python(s3, server, tmp_path).put(bucket, "object", b"sensitive data", key_file)
    other = tmp_path / "other.key"
    other_id = cli("generate-key", "--output", other).stdout.decode().strip()
    said = way(s3, server, tmp_path).get(bucket, "object", other)
    assert isinstance(said, str) and other_id in said and PYTHON["key_id"](base64.b64decode(key_file.read_text())) in said


@ways
def test_damage_is_noticed(way, s3, server, bucket, key_file, tmp_path):
    Python(s3, server, tmp_path).put(bucket, "object", data(3 * CHUNK), key_file)
    got = s3.get_object(Bucket=bucket, Key="object")
    body, metadata = got["Body"].read(), got["Metadata"]
    sealed = CHUNK + 16
    flipped = bytearray(body)
    flipped[2 * sealed] ^= 1
    for what, broken in {
        "flipped": bytes(flipped), "cut between chunks": body[:sealed], "cut within one": body[:-1], "empty": b"",
        "swapped": body[sealed : 2 * sealed] + body[:sealed] + body[2 * sealed :], "appended": body + b"x", "repeated": body + body[-sealed:],
    }.items():
        s3.put_object(Bucket=bucket, Key="object", Body=broken, Metadata=metadata)
        said = way(s3, server, tmp_path).get(bucket, "object", key_file)
        assert isinstance(said, str) and "the content" in said, (what, said[:200])


@ways
def test_metadata_are_needed_whole_and_unchanged(way, s3, server, bucket, key_file, tmp_path):
    Python(s3, server, tmp_path).put(bucket, "object", b"sensitive data", key_file)
    got = s3.get_object(Bucket=bucket, Key="object")
    body, metadata = got["Body"].read(), got["Metadata"]
    sealed, others = PYTHON["encrypt_for_upload"](b"sensitive data", base64.b64decode(key_file.read_text()))

    def said_of(metadata):
        s3.put_object(Bucket=bucket, Key="object", Body=body, Metadata=metadata)
        said = way(s3, server, tmp_path).get(bucket, "object", key_file)
        assert isinstance(said, str), metadata
        return said

    for name in metadata:
        assert f"x-amz-meta-{name} is missing" in said_of({n: v for n, v in metadata.items() if n != name})
    for name in ("x-amz-key", "x-amz-iv"):
        assert "the metadata were changed" in said_of({**metadata, name: others[name]})
    assert "the metadata were changed" in said_of({**metadata, "x-amz-matdesc": metadata["x-amz-matdesc"].replace('"v":1', '"v": 1')})
    assert "another program" in said_of({**metadata, "x-amz-matdesc": "{}"})
    assert "the content" in said_of(others)


def test_the_vectors_hold_in_python(monkeypatch):
    for vector in json.loads((nodes.REPO / "client-encryption" / "vectors.json").read_text()):
        key, plaintext = base64.b64decode(vector["key"]), bytes.fromhex(vector["plaintext_unit"]) * vector["plaintext_repeat"]
        assert PYTHON["key_id"](key) == vector["key_id"]
        fresh = {32: vector["data_key"], 7: vector["iv"], 12: vector["wrap_nonce"]}
        monkeypatch.setattr(os, "urandom", lambda size: bytes.fromhex(fresh[size]))
        body, metadata = PYTHON["encrypt_for_upload"](plaintext, key, vector["context"])
        assert metadata == vector["metadata"], vector["name"]
        assert hashlib.sha256(body).hexdigest() == vector["ciphertext_sha256"]
        assert PYTHON["decrypt_from_download"](body, metadata, key, vector["context"]) == plaintext


def test_keys_are_made_once_and_for_their_owner(tmp_path):
    path = tmp_path / "client.key"
    key_id = cli("generate-key", "--output", path).stdout.decode().strip()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert PYTHON["key_id"](base64.b64decode(path.read_text())) == key_id
    before = path.read_text()
    cli("generate-key", "--output", path, ok=False)
    assert path.read_text() == before
    printed = json.loads(cli("generate-key", "--json").stdout)
    assert PYTHON["key_id"](base64.b64decode(printed["key"])) == printed["key_id"] and printed["algorithm"] == "AES-256-GCM"
    assert len(base64.b64decode(cli("generate-key").stdout)) == 32


def test_streams_contexts_and_reports(tmp_path):
    key = cli("generate-key").stdout.decode().strip()
    body, meta = data(1_000_000), tmp_path / "meta.json"
    sealed = cli("encrypt", "--metadata", meta, "--context", "object=photos/a.jpg", stdin=body, key=key).stdout
    assert cli("decrypt", "--metadata", meta, stdin=sealed, key=key).stdout == body
    assert cli("decrypt", "--metadata", meta, "--context", "object=photos/a.jpg", stdin=sealed, key=key).stdout == body
    done = cli("decrypt", "--metadata", meta, "--context", "object=photos/b.jpg", stdin=sealed, key=key, ok=False)
    assert b"photos/a.jpg" in done.stderr and done.stdout == b""
    # Chunks that passed are there; the status tells that it is not all.
    done = cli("decrypt", "--metadata", meta, stdin=sealed[:-1], key=key, ok=False)
    assert body.startswith(done.stdout) and len(done.stdout) == 1_000_000 // CHUNK * CHUNK
    # The metadata as the aws cli tells them, on standard input.
    file, out = tmp_path / "sealed", tmp_path / "plain"
    file.write_bytes(sealed)
    answer = json.dumps({"ContentLength": len(sealed), "Metadata": json.loads(meta.read_text())}).encode()
    report = json.loads(cli("decrypt", "--metadata", "-", "--json", file, out, stdin=answer, key=key).stdout)
    assert out.read_bytes() == body and report == {
        "context": {"object": "photos/a.jpg"}, "key_id": PYTHON["key_id"](base64.b64decode(key)), "plaintext_bytes": 1_000_000}
    out.chmod(0o600)
    report = json.loads(cli("encrypt", "--json", out, out, key=key).stdout)
    assert report["plaintext_bytes"] == 1_000_000 and set(report["metadata"]) == {"x-amz-key", "x-amz-iv", "x-amz-matdesc"}
    assert out.stat().st_size == len(sealed) and stat.S_IMODE(out.stat().st_mode) == 0o600
    plain = PYTHON["decrypt_from_download"](out.read_bytes(), report["metadata"], base64.b64decode(key))
    assert plain == body


def test_refusals_are_one_line_with_their_status(tmp_path):
    key = cli("generate-key").stdout.decode().strip()
    cli("encrypt", tmp_path / "missing", tmp_path / "out", key=key, ok=False)
    assert list(tmp_path.iterdir()) == []
    cli("encrypt", "-", tmp_path / "out", key="AAAA", ok=False)
    cli("encrypt", "-", tmp_path / "out", "--key-file", tmp_path / "missing", ok=False)
    cli("encrypt", "-", tmp_path / "no" / "out", key=key, ok=False)
    cli("encrypt", "-", tmp_path / "out", "--context", "a=é", key=key, ok=False)
    (tmp_path / "meta").write_text("no json")
    cli("decrypt", "-", tmp_path / "out", "--metadata", tmp_path / "meta", key=key, ok=False)
    cli("encrypt", "-", tmp_path / "out", status=2)
    cli("encrypt", "--key", key, "-", tmp_path / "out", status=2)
    cli("decrypt", "-", tmp_path / "out", key=key, status=2)
    cli(status=2)
    assert [path.name for path in tmp_path.iterdir()] == ["meta"]
