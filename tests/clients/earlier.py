"""Data folders as the earlier generations of MyFSIO left them, made by hand from what is known of their layout.

`python_generation` is one of the Python generation (0.1 to 0.4), with forms of several of its releases beside each other; `axum_generation`
one of 0.5. What they encrypted is encrypted by the library that the Python generation used.
"""

import base64
import hashlib
import json
import os
import struct

from cryptography.fernet import Fernet
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

SECRET_KEY = "the secret of the earlier node"
CONTEXT = b'{"purpose":"data_key","version":1}'
WRITTEN = 1_760_000_000.25
"""When everything was written, unless said otherwise."""


def b64(raw):
    return base64.b64encode(raw).decode()


def md5(body):
    return hashlib.md5(body).hexdigest()


def fernet_of(secret):
    raw = hashlib.pbkdf2_hmac("sha256", secret.encode(), b"myfsio-iam-encryption", 100_000)
    return Fernet(base64.urlsafe_b64encode(raw))


def wrap(key, data_key, context=None):
    nonce = os.urandom(12)
    return nonce + AESGCM(key).encrypt(nonce, data_key, context)


def chunks(data_key, nonce, body, size, oldest=False):
    """A sealed file: the oldest releases derived nonces by an exclusive or, later ones by HKDF."""
    out = []
    for index, at in enumerate(range(0, len(body), size)):
        if oldest:
            of_chunk = (int.from_bytes(nonce, "big") ^ index).to_bytes(12, "big")
        else:
            of_chunk = HKDF(hashes.SHA256(), 12, nonce, struct.pack(">I", index)).derive(b"chunk_nonce")
        sealed = AESGCM(data_key).encrypt(of_chunk, body[at:at + size], None)
        out.append(struct.pack(">I", len(sealed)) + sealed)
    return struct.pack(">I", len(out)) + b"".join(out)


class Root:
    """A data folder."""

    def __init__(self, path):
        self.path = path
        self.master, self.kms_key, self.kms_id = os.urandom(32), os.urandom(32), "11111111-2222-3333-4444-555555555555"
        for name in ("buckets", "multipart", "tmp", "config", "keys"):
            (path / ".myfsio.sys" / name).mkdir(parents=True, exist_ok=True)

    def system(self, bucket, *more):
        return self.path.joinpath(".myfsio.sys", "buckets", bucket, *more)

    def write(self, path, content, at=WRITTEN):
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(json.dumps(content))
        os.utime(path, (at, at))

    def config(self, name, content):
        self.write(self.path / ".myfsio.sys" / "config" / name, content)

    def bucket(self, name, **config):
        (self.path / name).mkdir()
        if config:
            self.write(self.system(name, ".bucket.json"), config)

    def index(self, bucket, folder, entries):
        self.write(self.system(bucket, "meta", folder, "_index.json"), entries)

    def sidecar(self, bucket, folder, name, entry):
        file = f".__myfsio_meta__{name}.json"
        if len(file.encode()) > 255:
            file = f".__myfsio_meta__{hashlib.sha256(name.encode()).hexdigest()}.json"
        self.write(self.system(bucket, "meta", folder, file), {**entry, "__entry_name__": name})

    def keys(self):
        keys = self.path / ".myfsio.sys" / "keys"
        self.write(keys / "master.key", b64(self.master).encode())
        self.write(keys / "kms_keys.json", {"keys": [{
            "KeyId": self.kms_id, "Arn": f"arn:aws:kms:local:000000000000:key/{self.kms_id}", "Description": "d", "Enabled": True,
            "KeyState": "Enabled", "EncryptedKeyMaterial": b64(wrap(self.master, self.kms_key)),
        }]})

    def seal(self, body, kms=None, oldest=False, size=65536):
        """A sealed body, and what is kept with it. `kms` is the generation that wraps by the KMS key."""
        data_key, nonce = os.urandom(32), os.urandom(12)
        wrapped = wrap(self.master, data_key, None if oldest else CONTEXT)
        fields = {"x-amz-server-side-encryption": "aws:kms" if kms else "AES256", "x-amz-encryption-nonce": b64(nonce)}
        if kms == "python":
            name = self.kms_id.encode()
            wrapped = struct.pack(">H", len(name)) + name + wrap(self.kms_key, data_key)
        elif kms == "axum":
            wrapped = wrap(self.kms_key, data_key)
        fields["x-amz-encryption-key-id"] = self.kms_id if kms else "local"
        return chunks(data_key, nonce, body, size, oldest), {**fields, "x-amz-encrypted-data-key": b64(wrapped)}


def fields(body, at=WRITTEN, **more):
    return {"__etag__": md5(body), "__size__": str(len(body)), "__last_modified__": str(at), **more}


BIG = bytes(range(256)) * 1000


def python_generation(path):
    root = Root(path)
    root.keys()
    root.bucket("photos", versioning_enabled=False, quota={"max_bytes": 10_000_000, "max_objects": 100},
                tags=[{"Key": "team", "Value": "a b"}],
                cors=[{"AllowedOrigins": ["https://example.com"], "AllowedMethods": ["GET"], "MaxAgeSeconds": 60}],
                website={"index_document": "index.html"},
                lifecycle=[{"ID": "old", "Prefix": "logs/", "Status": "Enabled", "Expiration": {"Days": 3650}}])
    put = root.write
    # The last releases: an index for each folder.
    put(path / "photos" / "a.txt", b"alpha")
    put(path / "photos" / "dir" / "b.bin", b"beta")
    root.index("photos", "", {"a.txt": {
        "metadata": fields(b"alpha", __content_type__="text/x-alpha", Colour="red"), "tags": [{"Key": "k", "Value": "v w"}]}})
    root.index("photos", "dir", {"b.bin": {"metadata": fields(b"beta")}})
    # Earlier ones: a file for each object, in the system folder and, in the first, in the bucket.
    put(path / "photos" / "second.txt", b"second")
    put(root.system("photos", "meta", "second.txt.meta.json"), {"metadata": {"form": "second"}})
    put(path / "photos" / "first.html", b"first")
    put(path / "photos" / ".meta" / "first.html.meta.json", {"metadata": {"form": "first"}})
    # Nothing is kept of it; and one that somebody edited.
    put(path / "photos" / "plain.png", b"plain")
    put(path / "photos" / "edited.txt", b"edited by hand", at=WRITTEN + 60)
    root.index("photos", "edits", {})
    entries = json.loads(root.system("photos", "meta", "_index.json").read_text())
    root.index("photos", "", {**entries, "edited.txt": {"metadata": fields(b"as stored")}})

    root.bucket("docs", versioning_enabled=True)
    version(root, "docs", "v.txt", "20250101T000000000000Z-00000001", b"one", WRITTEN - 200, reason="overwrite")
    version(root, "docs", "v.txt", "20250102T000000000000Z-00000002", b"two", WRITTEN - 100, reason="overwrite")
    put(path / "docs" / "v.txt", b"three")
    root.index("docs", "", {"v.txt": {"metadata": fields(b"three", __content_type__="text/plain")}})
    version(root, "docs", "gone/g.txt", "20250103T000000000000Z-00000003", b"gone", WRITTEN - 50, reason="delete")

    root.bucket("sealed", encryption={"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]})
    entries = {}
    for name, how in {"new": {}, "old": {"oldest": True}, "kms": {"kms": "python"}, "empty": {}}.items():
        body = b"" if name == "empty" else name.encode() + BIG
        sealed, kept = root.seal(body, **how)
        put(path / "sealed" / name, sealed)
        entries[name] = {"metadata": fields(sealed, **kept)}
    sealed, kept = root.seal(b"lost")
    put(path / "sealed" / "lost-key", sealed)
    entries["lost-key"] = {"metadata": fields(sealed, **{**kept, "x-amz-encrypted-data-key": b64(wrap(os.urandom(32), os.urandom(32)))})}
    root.index("sealed", "", entries)

    root.config("bucket_policies.json", {"policies": {"photos": {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": "*", "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::photos/*"]}]}}})
    users = {"version": 2, "users": [
        {"user_id": "u-admin", "display_name": "Old Admin", "enabled": True,
         "access_keys": [{"access_key": "OLDADMIN0001", "secret_key": "old-admin-secret-0001", "status": "active"}],
         "policies": [{"bucket": "*", "actions": ["list", "read", "write", "delete", "quota", "iam:*", "iam:create_key"], "prefix": "*"}]},
        {"user_id": "u-reader", "display_name": "Reader", "enabled": True,
         "access_keys": [{"access_key": "READER000001", "secret_key": "reader-secret-000001", "status": "active"},
                         {"access_key": "READER000002", "secret_key": "reader-secret-000002", "status": "inactive"}],
         "policies": [{"bucket": "docs", "actions": ["list", "read"], "prefix": "*"}]},
    ]}
    token = fernet_of(SECRET_KEY).encrypt(json.dumps(users).encode())
    root.config("iam.json", b"MYFSIO_IAM_ENC:" + token)
    root.config("connections.json", [{"id": "c1", "name": "Backup", "endpoint_url": "http://127.0.0.1:9", "access_key": "AK",
                                      "secret_key": "SK", "region": "us-east-1"}])
    root.config("replication_rules.json", {"docs": {
        "bucket_name": "docs", "target_connection_id": "c1", "target_bucket": "docs-copy", "enabled": True, "mode": "new_only",
        "created_at": WRITTEN, "stats": {}, "sync_deletions": True, "last_pull_at": None, "filter_prefix": None}})
    return root


def version(root, bucket, key, version_id, body, at, encoded=None, **record):
    """A version that is not current."""
    folder = root.system(bucket, "versions", encoded or key)
    archived = "2025-10-09T00:00:00Z"
    root.write(folder / f"{version_id}.bin", body, at=at)
    root.write(folder / f"{version_id}.json", {
        "version_id": version_id, "key": key, "size": len(body), "archived_at": archived, "etag": md5(body),
        "metadata": {"n": version_id[-1]}, **record})


def axum_generation(path):
    root = Root(path)
    root.keys()
    put = root.write
    root.bucket("media", versioning_enabled=True, tags=[{"key": "team", "value": "x"}],
                cors="<CORSConfiguration><CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule></CORSConfiguration>",
                policy={"Version": "2012-10-17", "Statement": [
                    {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::media/*"}]},
                quota={"max_bytes": None, "max_objects": 1000}, acl=None, replication=None)
    put(path / "media" / "a.txt", b"alpha")
    root.sidecar("media", "", "a.txt", {
        "metadata": fields(b"alpha", __content_type__="text/x", __cache_control__="no-store", colour="red",
                           __version_id__="20251009T080000000000Z-aaaaaaaa",
                           __acl__=json.dumps({"owner": "u-1", "grants": [{"grantee": "u-1", "permission": "FULL_CONTROL"},
                                                                          {"grantee": "*", "permission": "READ"}]})),
        "tags": [{"key": "k", "value": "v"}]})
    version(root, "media", "a.txt", "20251008T080000000000Z-bbbbbbbb", b"older", WRITTEN, last_modified="2025-10-08T08:00:00+00:00",
            tags=[{"key": "k", "value": "old"}])
    # A key that is a folder, too; one that ends in a slash; one with an empty part; a long name.
    put(path / "media" / "both" / ".__myfsio_keydata__", b"file")
    root.sidecar("media", "", "both", {"metadata": fields(b"file", __version_id__="20251009T080000000000Z-cccccccc")})
    put(path / "media" / "both" / "inner", b"inner")
    put(path / "media" / "folder" / ".__myfsio_dirobj__", b"")
    root.sidecar("media", "folder", ".__myfsio_dirobj__", {"metadata": fields(b"", __content_type__="application/x-directory")})
    put(path / "media" / "x" / ".__myfsio_empty__" / "y", b"empty part")
    long = "n" * 250
    put(path / "media" / long, b"long")
    root.sidecar("media", "", long, {"metadata": fields(b"long", len="250")})
    # An object that was assembled from parts, whose bytes are kept apart.
    parts = [b"\x01" * (5 << 20), b"end"]
    etag = md5(b"".join(bytes.fromhex(md5(part)) for part in parts)) + "-2"
    sizes = [len(part) for part in parts]
    stub = json.dumps({"v": 1, "segment_id": "seg1", "sizes": sizes, "total": sum(sizes), "etag": etag}).encode()
    put(path / "media" / "assembled", b"MYFSIO-SEG1\n" + struct.pack("<I", len(stub)) + stub)
    os.truncate(path / "media" / "assembled", sum(sizes))
    os.utime(path / "media" / "assembled", (WRITTEN + 5, WRITTEN + 5))
    for number, part in enumerate(parts, 1):
        put(root.system("media", "segments", "seg1", f"seg-{number:05}"), part)
    root.sidecar("media", "", "assembled", {"metadata": {
        "__etag__": etag, "__size__": str(sum(sizes)), "__last_modified__": str(WRITTEN), "__segments__": "seg1",
        "__part_sizes__": ",".join(map(str, sizes))}})
    # Deleted: a marker stands over the version.
    version(root, "media", "deleted", "20251007T080000000000Z-dddddddd", b"was there", WRITTEN, last_modified="2025-10-07T08:00:00+00:00")
    put(root.system("media", "versions", "deleted", "20251009T090000000000Z-eeeeeeee.json"), {
        "version_id": "20251009T090000000000Z-eeeeeeee", "key": "deleted", "size": 0, "archived_at": "2025-10-09T09:00:00+00:00", "etag": "",
        "metadata": {}, "reason": "delete-marker", "is_delete_marker": True})
    put(root.system("media", "delete_markers", "deleted.json"), {"version_id": "20251009T090000000000Z-eeeeeeee"})

    root.bucket("sealed", encryption="<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256"
                "</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>")
    for name, kms, size in (("sse", None, 65536), ("chunked", None, 1000), ("kms", "axum", 65536)):
        body = name.encode() + BIG
        sealed, kept = root.seal(body, kms=kms, size=size)
        put(path / "sealed" / name, sealed)
        if not kms:
            kept.pop("x-amz-encryption-key-id")
        root.sidecar("sealed", "", name, {"metadata": {**fields(sealed, **kept), "__etag__": md5(body), "__size__": str(len(body))}})
    put(path / "sealed" / "customer", b"????")
    root.sidecar("sealed", "", "customer", {"metadata": fields(b"????", **{
        "x-amz-server-side-encryption": "AES256", "x-amz-encryption-nonce": b64(os.urandom(12))})})
    put(path / "sealed" / "poisoned", b"bad")
    root.sidecar("sealed", "", "poisoned", {"metadata": fields(b"bad", __corrupted__="true", __corruption_detail__="hash mismatch")})
    put(path / "sealed" / "broken", b"x")
    put(root.system("sealed", "meta", ".__myfsio_meta__broken.json"), b"{")

    root.bucket("locked", versioning_enabled=True, object_lock="<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>")
    put(path / "locked" / "held", b"held")
    root.sidecar("locked", "", "held", {"metadata": fields(
        b"held", __version_id__="20251009T080000000000Z-ffffffff", __legal_hold__="ON",
        __object_retention__=json.dumps({"mode": "GOVERNANCE", "retain_until_date": "2099-01-01T00:00:00Z"}))})

    root.config("iam.json", {"version": 2, "users": [
        {"user_id": "u-1", "display_name": "Ann", "enabled": False, "expires_at": "2098-01-01T00:00:00Z",
         "access_keys": [{"access_key": "ANNKEY000001", "secret_key": "ann-secret-00000001", "status": "active"}],
         "policies": [{"bucket": "media", "actions": ["read", "quota"], "prefix": "pub/"}]}]})
    key = Fernet.generate_key()
    root.config(".connections_key", key)
    root.config("connections.json", [{"id": "c1", "name": "Far", "endpoint_url": "http://127.0.0.1:9", "access_key": "AK",
                                      "secret_key": "enc:" + Fernet(key).encrypt(b"SK").decode(), "region": "us-east-1", "tuning": None}])
    root.config("format.json", {"format_version": 1, "features": {"metadata": "sidecar", "multipart": "segments"}})
    return root
