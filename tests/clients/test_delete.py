"""DeleteObject and DeleteObjects."""

import hashlib

from util import b64, code_of, refused, signed


def put_many(s3, bucket, keys):
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=b"")


def test_a_thousand_and_one_more(server, s3, bucket):
    keys = [f"k{i:04}" for i in range(1000)]
    put_many(s3, bucket, keys[::20])
    reply = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": k} for k in keys]})
    assert sorted(d["Key"] for d in reply["Deleted"]) == keys and "Errors" not in reply
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
    with refused(400, "MalformedXML"):
        s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": k} for k in keys + ["one-more"]]})


def test_quiet(s3, bucket):
    put_many(s3, bucket, ["a", "b"])
    reply = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "a"}, {"Key": "b"}, {"Key": "none"}], "Quiet": True})
    assert "Deleted" not in reply and "Errors" not in reply
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_odd_keys(s3, bucket):
    keys = ["a&b", "<x>", "a b", "ü", "a//b", "dir/", "../x", "%2F", "+"]
    put_many(s3, bucket, keys)
    s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": k} for k in keys]})
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_conditional_delete(s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"1")["ETag"]
    with refused(412, "PreconditionFailed"):
        s3.delete_object(Bucket=bucket, Key="k", IfMatch='"00000000000000000000000000000000"')
    assert s3.head_object(Bucket=bucket, Key="k")["ETag"] == etag
    s3.delete_object(Bucket=bucket, Key="k", IfMatch=etag)
    with refused(404):
        s3.head_object(Bucket=bucket, Key="k")
    s3.put_object(Bucket=bucket, Key="k", Body=b"1")
    s3.delete_object(Bucket=bucket, Key="k", IfMatch="*")
    with refused(404, "NoSuchKey"):
        s3.delete_object(Bucket=bucket, Key="k", IfMatch=etag)


def test_conditional_delete_objects(s3, bucket):
    one = s3.put_object(Bucket=bucket, Key="one", Body=b"1")["ETag"]
    s3.put_object(Bucket=bucket, Key="two", Body=b"2")
    reply = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "one", "ETag": one}, {"Key": "two", "ETag": one}]})
    assert [d["Key"] for d in reply["Deleted"]] == ["one"]
    assert [(e["Key"], e["Code"]) for e in reply["Errors"]] == [("two", "PreconditionFailed")]


def test_integrity_is_required(server, s3, bucket):
    put_many(s3, bucket, ["k"])
    body = b"<Delete><Object><Key>k</Key></Object></Delete>"
    status, _, answer = signed(server, "POST", f"/{bucket}?delete", body)
    assert (status, code_of(answer)) == (400, "InvalidRequest"), answer
    status, _, answer = signed(server, "POST", f"/{bucket}?delete", body, {"Content-MD5": b64(b"0" * 16)})
    assert (status, code_of(answer)) == (400, "BadDigest")
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 1
    good = b64(hashlib.md5(body).digest())
    status, headers, answer = signed(server, "POST", f"/{bucket}?delete", body, {"Content-MD5": good})
    assert status == 200 and b"<Deleted><Key>k</Key></Deleted>" in answer.replace(b"\n", b"").replace(b"  ", b"")


def test_malformed_documents(server, bucket):
    for body in (b"", b"<Delete>", b"<Delete></Delete>", b"<Other/>", b"<Delete><Object/></Delete>", b"\xff\xfe",
                 b'<!DOCTYPE x [<!ENTITY a "k">]><Delete><Object><Key>&a;</Key></Object></Delete>',
                 b"<Delete><Object><Key></Key></Object></Delete>"):
        headers = {"Content-MD5": b64(hashlib.md5(body).digest())}
        status, _, answer = signed(server, "POST", f"/{bucket}?delete", body, headers)
        assert status == 400 or (status == 200 and b"<Error>" in answer), (body, status, answer)
        if status == 400:
            assert code_of(answer) in ("MalformedXML", "MissingRequestBodyError", "UserKeyMustBeSpecified"), answer


def test_accepted_spellings(server, s3, bucket):
    for doc in ('\ufeff<?xml version="1.0" encoding="UTF-8"?>\n<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/">\n  <!-- c -->\n'
                "  <Object>\n <Key>a</Key>\n </Object>\n</Delete>\n",
                "<n:Delete xmlns:n='http://s3.amazonaws.com/doc/2006-03-01/'><n:Object><n:Key>a</n:Key></n:Object></n:Delete>",
                "<Delete><Object><Key><![CDATA[a]]></Key></Object></Delete>", "<Delete><Object><Key>&#97;</Key></Object></Delete>"):
        put_many(s3, bucket, ["a"])
        body = doc.encode()
        status, _, answer = signed(server, "POST", f"/{bucket}?delete", body, {"Content-MD5": b64(hashlib.md5(body).digest())})
        assert status == 200, (doc, answer)
        assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0, doc
