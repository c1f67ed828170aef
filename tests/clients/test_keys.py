"""The whole key space: whatever a file system thinks of a key, S3 takes it, lists it, gives it back."""

import itertools
import urllib.parse

import pytest

from util import body_of, code_of, data, keys_of, refused, signed

KEYS = {
    "plain": "a", "slash_end": "a/", "folder": "a/b", "double": "a//b", "double_end": "a//", "up": "../x", "up_only": "..", "dot": ".",
    "inner_dot": "a/./b", "inner_up": "a/../b", "up_up": "../../../../etc/passwd", "root": "/", "roots": "///", "lead": "/a", "lead_up": "/../a",
    "long": "k" * 1024, "long_deep": "/".join(["s" * 100] * 10)[:1024], "many": "/".join("a" * 512)[:1023], "segment": "x" * 300 + "/y" + "z" * 300,
    "segment_255": "x" * 255, "segment_256": "x" * 256, "multibyte_long": "é" * 512, "seg_multi": "é" * 127 + "/" + "é" * 128,
    "control": "c\x01\x02\x1f", "newline": "line\nfeed", "return": "line\rfeed", "tab": "t\tb", "delete": "\x7f", "c1": "\u0085\u009f",
    "upper": "Case/Twin", "lower": "case/twin", "nfc": "\u00e9", "nfd": "e\u0301", "plus": "a+b", "space": "a b", "spaces": "  a  ",
    "percent": "100%", "encoded": "%2e%2e%2fx", "percent_25": "%25", "question": "a?b=c", "hash": "a#b", "amp": "a&b;c", "quote": "a\"b'c",
    "angle": "<a>&amp;", "back": "a\\b", "star": "a*b", "emoji": "\U0001f600/\U0001f4be", "surrogate_edge": "\ufffd\ue000", "bom": "\ufeffx",
    "rtl": "\u202eabc", "zero_width": "a\u200bb", "system": ".myfsio.sys/config/iam.json", "system_up": "../.myfsio.sys/x", "tilde": "~", "dash": "-rf",
    "lost": "lost+found", "con": "CON", "colon": "C:\\x:y", "hidden": ".hidden", "dotdotdot": "...", "trail_dot": "a./b.", "semi": "a;v=1", "eq": "=",
    "encoded_slash": "a%2Fb", "tmp": "x.tmp", "percent_00": "%00",
}


def model_order(keys):
    return sorted(keys, key=lambda k: k.encode())


def plain(key):
    """Whether the key is a path that stands as it is under the bucket's folder."""
    parts = key.split("/")
    return all(0 < len(p.encode()) <= 255 and p not in (".", "..") for p in parts)


@pytest.mark.parametrize("key", KEYS.values(), ids=list(KEYS))
def test_one_key(s3, bucket, key):
    body = data(1000, key)
    etag = s3.put_object(Bucket=bucket, Key=key, Body=body)["ETag"]
    assert body_of(s3, bucket, key) == body
    assert s3.head_object(Bucket=bucket, Key=key)["ETag"] == etag
    assert keys_of([s3.list_objects_v2(Bucket=bucket)]) == [key]
    assert keys_of([s3.list_objects(Bucket=bucket, Prefix=key)]) == [key]
    s3.put_object(Bucket=bucket, Key=key, Body=b"again")
    assert body_of(s3, bucket, key) == b"again"
    s3.delete_object(Bucket=bucket, Key=key)
    # A key that XML cannot carry may make the error document one that the client cannot read.
    with refused(404, "NoSuchKey", *(["404"] if key == KEYS["control"] else [])):
        s3.get_object(Bucket=bucket, Key=key)
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


@pytest.mark.parametrize("reverse", [False, True])
def test_all_keys_at_once(server, s3, bucket, reverse):
    keys = list(KEYS.values())[:: -1 if reverse else 1]
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=data(200, key))
    assert keys_of([s3.list_objects_v2(Bucket=bucket)]) == model_order(keys)
    for key in keys:
        assert body_of(s3, bucket, key) == data(200, key), key
    if server.root:
        assert not (server.root / "x").exists() and not (server.root / "b").exists()
        for key in ("a b", "100%", "Case/Twin", "case/twin", "emoji" and KEYS["emoji"], KEYS["nfc"], KEYS["nfd"], "-rf", ".hidden"):
            server.wait_file(bucket, key, data(200, key))
    for key in keys[::2]:
        s3.delete_object(Bucket=bucket, Key=key)
    assert keys_of([s3.list_objects_v2(Bucket=bucket)]) == model_order(keys[1::2])
    for key in keys[1::2]:
        assert body_of(s3, bucket, key) == data(200, key), key


CLASH = ["a", "a/", "a/b", "a/b/", "a/b/c"]


@pytest.mark.parametrize("keys", list(itertools.permutations(CLASH[:3])) + [CLASH, CLASH[::-1], [CLASH[4], CLASH[0], CLASH[2], CLASH[1], CLASH[3]]],
                         ids=lambda k: " ".join(k))
def test_files_and_folders_of_one_name(s3, bucket, keys):
    for size in (0, 100, 300_000):
        want = {}
        for key in keys:
            want[key] = data(size, key)
            s3.put_object(Bucket=bucket, Key=key, Body=want[key])
            for k, body in want.items():
                assert body_of(s3, bucket, k) == body, (key, k)
        for key in keys:
            s3.delete_object(Bucket=bucket, Key=key)
            del want[key]
            assert keys_of([s3.list_objects_v2(Bucket=bucket)]) == model_order(want)
            for k, body in want.items():
                assert body_of(s3, bucket, k) == body, (key, k)


@pytest.mark.parametrize("key", ["k" * 1025, "é" * 513])
def test_too_long(s3, bucket, key):
    with refused(400, "KeyTooLongError"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    with refused(400, "KeyTooLongError"):
        s3.get_object(Bucket=bucket, Key=key)


def test_nul_and_bad_utf8(server, s3, bucket):
    for target in ("%00", "a%00b", "%ff%fe", "%c3%28", "a/%80"):
        status, _, body = signed(server, "PUT", f"/{bucket}/{target}", b"x")
        # S3 takes NUL as a character of a key; what is not UTF-8 is no key at all.
        assert status in (200, 400), (target, body)
        if target not in ("%00", "a%00b"):
            assert status == 400, target
        if status == 200:
            assert signed(server, "GET", f"/{bucket}/{target}")[2] == b"x"


@pytest.mark.parametrize("target, key", [("a+b", "a+b"), ("a%2Bb", "a+b"), ("a%20b", "a b"), ("%61", "a"), ("a%2fb", "a/b"), ("a%2Fb", "a/b"),
                                         ("%2e%2e%2fx", "../x"), ("a/%2e%2e/b", "a/../b"), ("//a", "//a"), ("a/./b", "a/./b"), ("~", "~"), ("a%252Fb", "a%2Fb")])
def test_spelling_on_the_wire(server, s3, bucket, target, key):
    status, _, body = signed(server, "PUT", f"/{bucket}/{target}", b"wire")
    assert status == 200, body
    assert keys_of([s3.list_objects_v2(Bucket=bucket)]) == [key]
    assert body_of(s3, bucket, key) == b"wire"


@pytest.mark.parametrize("size", [0, 1, 5000, 131072, 140_000, 3_000_000])
def test_plain_files(local_node, s3, bucket, size):
    keys = ["file.bin", "folder/deep/er/file", "ünïcode/n\u0303", "a b/c+d%", "UPPER", "upper"]
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=data(size, key))
    for key in keys:
        local_node.wait_file(bucket, key, data(size, key))
    s3.put_object(Bucket=bucket, Key=keys[0], Body=b"replaced")
    local_node.wait_file(bucket, keys[0], b"replaced")
    for key in keys:
        s3.delete_object(Bucket=bucket, Key=key)
    import time
    end = time.monotonic() + 5
    while list(local_node.file(bucket, "").iterdir()):
        assert time.monotonic() < end, "empty folders or files stay behind"
        time.sleep(0.05)


def test_nothing_escapes_the_bucket(local_node, s3, bucket):
    before = {p.name for p in local_node.root.iterdir()}
    for key in ("../escape", "/../escape", "a/../../escape", "../.myfsio.sys/config/iam.json", "..", "../" * 20 + "tmp/escape"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"no")
    import time
    time.sleep(0.5)
    assert {p.name for p in local_node.root.iterdir()} <= before | {bucket}
    assert "users" in local_node.iam()
    assert not (local_node.dir / "escape").exists()
