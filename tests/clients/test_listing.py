"""Listings, judged against a plain model: sorted by bytes, grouped by delimiter, cut into pages."""

import random
import urllib.parse

import pytest

from util import code_of, keys_of, refused, signed

NASTY = ["a", "a/", "a-b", "a.b", "a/b", "a//b", "a0", "a/b/c", "A", "B/", "b", "ä", "z", "é", "e\u0301", "\U0001f600", "\ufb03",
         "~", "!", " ", " lead", "trail ", "a b", "a+b", "a%b", "a%2Fb", "%", "q?x=1", "h#x", "dir/x", "dir/y", "dir.x", "dir0",
         "dir/sub/1", "dir/sub/2", "&<>\"'", "back\\slash", "..", "../x", ".", "./x", "//", "/", "/lead", "tab\tx", "nl\nx", "\x01",
         "\x7f"]


def order(keys):
    return sorted(keys, key=lambda k: k.encode())


def model(keys, prefix="", delimiter="", after=""):
    """What a listing holds: keys and common prefixes in byte order, all behind `after`."""
    out = []
    for key in order(keys):
        if not key.startswith(prefix):
            continue
        entry = ("key", key)
        if delimiter:
            i = key.find(delimiter, len(prefix))
            if i >= 0:
                entry = ("prefix", key[: i + len(delimiter)])
        if entry not in out and (not after or (entry[1].encode() > after.encode())):
            out.append(entry)
    return out


@pytest.fixture(scope="module")
def nasty(s3):
    name = f"listing-{random.getrandbits(40):x}"
    s3.create_bucket(Bucket=name)
    for key in NASTY:
        s3.put_object(Bucket=name, Key=key, Body=key.encode())
    yield name
    for key in NASTY:
        s3.delete_object(Bucket=name, Key=key)
    s3.delete_bucket(Bucket=name)


def walk2(s3, bucket, size, **ask):
    """Every entry of a V2 listing taken in pages of `size`; checks each page's own promises."""
    entries, token = [], None
    while True:
        reply = s3.list_objects_v2(Bucket=bucket, MaxKeys=size, **ask, **({"ContinuationToken": token} if token else {}))
        page = [("key", c["Key"]) for c in reply.get("Contents", [])] + [("prefix", p["Prefix"]) for p in reply.get("CommonPrefixes", [])]
        page.sort(key=lambda e: e[1].encode())
        assert len(page) == reply["KeyCount"] <= size and reply["MaxKeys"] == size
        entries += page
        token = reply.get("NextContinuationToken")
        assert reply["IsTruncated"] == bool(token)
        if not token:
            return entries
        assert len(page) == size


def walk1(s3, bucket, size, **ask):
    entries, marker = [], None
    while True:
        reply = s3.list_objects(Bucket=bucket, MaxKeys=size, **ask, **({"Marker": marker} if marker else {}))
        page = [("key", c["Key"]) for c in reply.get("Contents", [])] + [("prefix", p["Prefix"]) for p in reply.get("CommonPrefixes", [])]
        page.sort(key=lambda e: e[1].encode())
        entries += page
        if not reply["IsTruncated"]:
            return entries
        assert ("NextMarker" in reply) == ("Delimiter" in ask and bool(ask["Delimiter"]))
        marker = reply.get("NextMarker", page[-1][1])


ASKS = [{}, {"Prefix": "a"}, {"Prefix": "a/"}, {"Delimiter": "/"}, {"Prefix": "a", "Delimiter": "/"}, {"Prefix": "a/", "Delimiter": "/"},
        {"Prefix": "dir", "Delimiter": "/"}, {"Prefix": "dir/", "Delimiter": "/"}, {"Delimiter": "i"}, {"Delimiter": "ir/s"},
        {"Delimiter": "e\u0301"}, {"Delimiter": "ä"}, {"Delimiter": "\U0001f600"}, {"Delimiter": "\n"}, {"Delimiter": "\x01"}, {"Delimiter": "%"},
        {"Delimiter": "+"}, {"Delimiter": " "}, {"Delimiter": "nowhere"}, {"Prefix": "none"}, {"Prefix": "/", "Delimiter": "/"},
        {"Prefix": "é"}, {"Prefix": "%"}, {"Prefix": " "}]


@pytest.mark.parametrize("ask", ASKS, ids=str)
def test_against_the_model(s3, nasty, ask):
    want = model(NASTY, ask.get("Prefix", ""), ask.get("Delimiter", ""))
    for size in (1, 2, 7, 1000):
        assert walk2(s3, nasty, size, **ask) == want
    for size in (1, 3, 1000):
        assert walk1(s3, nasty, size, **ask) == want


@pytest.mark.parametrize("after", ["a", "a/", "a0", "dir/", "dir/sub/", "zzz", "\U0001f600", "b", "dir/sub/1"])
def test_start_after_is_exclusive(s3, nasty, after):
    got = keys_of([s3.list_objects_v2(Bucket=nasty, StartAfter=after)])
    assert got == [k for k in order(NASTY) if k.encode() > after.encode()]
    got = keys_of([s3.list_objects(Bucket=nasty, Marker=after)])
    assert got == [k for k in order(NASTY) if k.encode() > after.encode()]


def test_a_token_wins_over_start_after(s3, nasty):
    first = s3.list_objects_v2(Bucket=nasty, MaxKeys=5, StartAfter="b")
    second = s3.list_objects_v2(Bucket=nasty, MaxKeys=5, StartAfter="zzzz", ContinuationToken=first["NextContinuationToken"])
    assert keys_of([second]) == [k for k in order(NASTY) if k > "b"][5:10]


def test_exactly_full_last_page(s3, bucket):
    for i in range(6):
        s3.put_object(Bucket=bucket, Key=f"k{i}", Body=b"")
    assert not s3.list_objects_v2(Bucket=bucket, MaxKeys=6)["IsTruncated"]
    page = s3.list_objects_v2(Bucket=bucket, MaxKeys=3)
    assert page["IsTruncated"]
    last = s3.list_objects_v2(Bucket=bucket, MaxKeys=3, ContinuationToken=page["NextContinuationToken"])
    assert keys_of([last]) == ["k3", "k4", "k5"] and not last["IsTruncated"]
    assert not s3.list_objects(Bucket=bucket, MaxKeys=6)["IsTruncated"]


def test_max_keys(server, s3, nasty):
    reply = s3.list_objects_v2(Bucket=nasty, MaxKeys=0)
    assert reply["KeyCount"] == 0 and not reply["IsTruncated"] and reply["MaxKeys"] == 0 and "Contents" not in reply
    assert s3.list_objects_v2(Bucket=nasty, MaxKeys=100_000)["MaxKeys"] == 1000
    for bad in ("x", "-1", "1.5", "99999999999999999999"):
        status, _, body = signed(server, "GET", f"/{nasty}?list-type=2&max-keys={bad}")
        assert (status, code_of(body)) == (400, "InvalidArgument"), bad


def test_more_than_a_thousand(s3, bucket):
    keys = [f"d{i % 3}/{i:05}" for i in range(1050)]
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=b"")
    page = s3.list_objects_v2(Bucket=bucket)
    assert page["KeyCount"] == 1000 and page["IsTruncated"]
    assert walk2(s3, bucket, 1000) == model(keys)
    assert walk2(s3, bucket, 1000, Delimiter="/") == [("prefix", f"d{i}/") for i in range(3)]
    for i in range(0, 1050, 1000):
        s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": k} for k in keys[i:i + 1000]], "Quiet": True})


def raw_list(server, bucket, **query):
    text = "&".join(f"{k.replace('_', '-')}={urllib.parse.quote(str(v), safe='')}" for k, v in sorted(query.items()))
    return signed(server, "GET", f"/{bucket}?{text}")


def test_encoding_type_url(server, nasty):
    status, headers, body = raw_list(server, nasty, list_type=2, encoding_type="url", prefix="a", delimiter="/", start_after="a b")
    text = body.decode()
    assert status == 200 and "<EncodingType>url</EncodingType>" in text and headers["content-type"].startswith("application/xml")
    assert "<Prefix>a/</Prefix>" in text and "<Key>a%2Bb</Key>" in text and "<StartAfter>a%20b</StartAfter>" in text.replace("a+b</Start", "a%20b</Start")
    text = raw_list(server, nasty, list_type=2, encoding_type="url")[2].decode()
    for key in ("a//b", "a%252Fb", "%C3%A4", "nl%0Ax", "%01"):
        assert f"<Key>{key}</Key>" in text, key
    status, _, body = raw_list(server, nasty, list_type=2, encoding_type="base64")
    assert (status, code_of(body)) == (400, "InvalidArgument")


def test_without_encoding_the_listing_still_answers(server, nasty):
    status, _, body = raw_list(server, nasty, list_type=2)
    assert status == 200
    text = body.decode()
    assert "&amp;&lt;&gt;" in text and "&#x1;" in text.lower().replace("&#1;", "&#x1;") and "EncodingType" not in text
    assert raw_list(server, nasty)[0] == 200


def test_tokens_are_checked(server, s3, nasty):
    for bad in ("", "x", "ÿÿ", "A" * 5000):
        status, _, body = raw_list(server, nasty, list_type=2, continuation_token=bad)
        assert (status, code_of(body)) == (400, "InvalidArgument"), (bad, body)


def test_owner_only_when_asked(s3, nasty):
    assert "Owner" not in s3.list_objects_v2(Bucket=nasty, MaxKeys=1)["Contents"][0]
    assert len(s3.list_objects_v2(Bucket=nasty, MaxKeys=1, FetchOwner=True)["Contents"][0]["Owner"]["ID"]) == 64
    assert "Owner" in s3.list_objects(Bucket=nasty, MaxKeys=1)["Contents"][0]


def test_entries_carry_what_head_says(s3, nasty):
    for entry in s3.list_objects_v2(Bucket=nasty)["Contents"]:
        assert entry["Size"] == len(entry["Key"].encode()) and entry["StorageClass"] == "STANDARD"
    head = s3.head_object(Bucket=nasty, Key="a//b")
    entry = s3.list_objects_v2(Bucket=nasty, Prefix="a//b")["Contents"][0]
    assert entry["ETag"] == head["ETag"] and abs((entry["LastModified"] - head["LastModified"]).total_seconds()) < 1


def test_a_deleted_key_is_gone_at_once(s3, bucket):
    for i in range(20):
        s3.put_object(Bucket=bucket, Key=f"k/{i}", Body=b"x")
        assert f"k/{i}" in keys_of([s3.list_objects_v2(Bucket=bucket)])
        if i % 2:
            s3.delete_object(Bucket=bucket, Key=f"k/{i}")
            assert f"k/{i}" not in keys_of([s3.list_objects_v2(Bucket=bucket)])


def test_random_keys(s3, bucket):
    rng = random.Random(7)
    keys = {"".join(rng.choice("ab/-.0\u00e9") for _ in range(rng.randint(1, 6))) for _ in range(120)}
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=b"")
    for prefix in ("", "a", "a/", "b-"):
        for delimiter in ("", "/", "-", "a/"):
            ask = {k: v for k, v in (("Prefix", prefix), ("Delimiter", delimiter)) if v}
            assert walk2(s3, bucket, 5, **ask) == model(keys, prefix, delimiter), ask
            assert walk1(s3, bucket, 4, **ask) == model(keys, prefix, delimiter), ask
