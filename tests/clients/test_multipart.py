"""Multipart uploads."""

import hashlib
import base64
import threading
import time

import pytest

from util import (CHECKSUMS, MIB, b64, body_of, code_of, complete, crc32, crc32c, crc64nvme, data, keys_of, md5, refused, send, sha1, sha256,
                  signed, upload_parts)

FIVE = 5 * MIB


def etag_of(parts):
    return f'"{hashlib.md5(b"".join(hashlib.md5(p).digest() for p in parts)).hexdigest()}-{len(parts)}"'


@pytest.mark.parametrize("sizes", [(FIVE, FIVE, 1), (FIVE, FIVE + 1, FIVE), (6 * MIB, FIVE, 6 * MIB), (FIVE, FIVE), (1,), (0,), (FIVE, 0), (FIVE, FIVE, 6 * MIB)],
                         ids=str)
def test_shapes(server, s3, bucket, sizes):
    bodies = {n: data(size, n) for n, size in enumerate(sizes, 1)}
    upload, parts = upload_parts(s3, bucket, "k", bodies)
    with refused(404):
        s3.head_object(Bucket=bucket, Key="k")
    reply = complete(s3, bucket, "k", upload, parts)
    whole = b"".join(bodies.values())
    assert reply["ETag"] == etag_of(list(bodies.values())) and reply["Bucket"] == bucket and reply["Key"] == "k" and reply["Location"]
    assert body_of(s3, bucket, "k") == whole
    head = s3.head_object(Bucket=bucket, Key="k")
    assert head["ContentLength"] == len(whole) and head["ETag"] == reply["ETag"]
    if server.root:
        server.wait_file(bucket, "k", whole)


def test_out_of_order_gaps_and_resend(s3, bucket):
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k", ContentType="text/x", Metadata={"m": "v"})["UploadId"]
    sent = {}

    def send_part(n, seed, size=FIVE):
        body = data(size, seed)
        sent[n] = (body, s3.upload_part(Bucket=bucket, Key="k", UploadId=upload, PartNumber=n, Body=body)["ETag"])

    send_part(7, 1, 100)
    send_part(3, 2)
    send_part(1, 3)
    send_part(3, 4)  # again: the last one wins
    send_part(1, 5, FIVE + 3)
    parts = [{"PartNumber": n, "ETag": sent[n][1]} for n in sorted(sent)]
    complete(s3, bucket, "k", upload, parts)
    got = s3.get_object(Bucket=bucket, Key="k")
    assert got["Body"].read() == b"".join(sent[n][0] for n in sorted(sent))
    assert got["ContentType"] == "text/x" and got["Metadata"] == {"m": "v"}


def test_unlisted_parts_are_left_out(s3, bucket):
    bodies = {1: data(FIVE, 1), 2: data(FIVE, 2), 3: data(FIVE, 3)}
    upload, parts = upload_parts(s3, bucket, "k", bodies)
    complete(s3, bucket, "k", upload, [parts[0], parts[2]])
    assert body_of(s3, bucket, "k") == bodies[1] + bodies[3]


def test_a_part_listed_twice_counts_as_listed_last(s3, bucket):
    upload, parts = upload_parts(s3, bucket, "k", {1: data(FIVE, 1), 2: b"end"})
    first = parts[0]
    again = s3.upload_part(Bucket=bucket, Key="k", UploadId=upload, PartNumber=1, Body=data(FIVE, 2))["ETag"]
    again = {"PartNumber": 1, "ETag": again}
    with refused(400, "InvalidPart"):
        complete(s3, bucket, "k", upload, [again, first, parts[1]])
    complete(s3, bucket, "k", upload, [first, again, parts[1]])
    assert body_of(s3, bucket, "k") == data(FIVE, 2) + b"end"


def test_refusals_of_complete(server, s3, bucket):
    upload, parts = upload_parts(s3, bucket, "k", {1: data(FIVE), 2: data(10), 3: data(FIVE)})
    with refused(400, "InvalidPartOrder"):
        complete(s3, bucket, "k", upload, [parts[1], parts[0]])
    with refused(400, "InvalidPartOrder"):
        complete(s3, bucket, "k", upload, [parts[0], parts[1], parts[0]])
    with refused(400, "InvalidPart"):
        complete(s3, bucket, "k", upload, [parts[0], {"PartNumber": 9, "ETag": parts[0]["ETag"]}])
    with refused(400, "InvalidPart"):
        complete(s3, bucket, "k", upload, [{"PartNumber": 1, "ETag": '"00000000000000000000000000000000"'}])
    with refused(400, "EntityTooSmall") as answer:
        complete(s3, bucket, "k", upload, parts)
    assert answer["Error"]["PartNumber"] == "2" and answer["Error"]["ProposedSize"] == "10" and answer["Error"]["MinSizeAllowed"] == str(FIVE)
    with refused(400, "MalformedXML"):
        complete(s3, bucket, "k", upload, [])
    with refused(404, "NoSuchUpload"):
        complete(s3, bucket, "k", "no-such-upload", parts[:1])
    with refused(404, "NoSuchUpload"):
        complete(s3, bucket, "other", upload, parts[:1])
    for doc in (b"", b"<x", b"<CompleteMultipartUpload/>", b"<CompleteMultipartUpload><Part><PartNumber>x</PartNumber><ETag>a</ETag></Part></CompleteMultipartUpload>",
                b'<!DOCTYPE a [<!ENTITY b "c">]><CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>&b;</ETag></Part></CompleteMultipartUpload>'):
        status, _, body = signed(server, "POST", f"/{bucket}/k?uploadId={upload}", doc)
        assert status == 400 and code_of(body) in ("MalformedXML", "InvalidRequest", "MissingRequestBodyError"), (doc, body)
    # After all that the upload still completes.
    complete(s3, bucket, "k", upload, parts[:2])
    assert body_of(s3, bucket, "k") == data(FIVE) + data(10)


@pytest.mark.parametrize("number", ["0", "10001", "-1", "x", ""])
def test_part_numbers(server, s3, bucket, number):
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    status, _, body = signed(server, "PUT", f"/{bucket}/k?partNumber={number}&uploadId={upload}", b"x")
    assert (status, code_of(body)) == (400, "InvalidArgument")


def test_last_part_number(s3, bucket):
    upload, parts = upload_parts(s3, bucket, "k", {1: data(FIVE), 10000: b"end"})
    complete(s3, bucket, "k", upload, parts)
    assert body_of(s3, bucket, "k") == data(FIVE) + b"end"


def test_spellings_of_etags(server, s3, bucket):
    for form in ('"{}"', "{}", "&quot;{}&quot;", "&#34;{}&#34;"):
        upload, parts = upload_parts(s3, bucket, "k", {1: b"tiny"})
        doc = f"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{form.format(md5(b'tiny'))}</ETag></Part></CompleteMultipartUpload>"
        status, _, body = signed(server, "POST", f"/{bucket}/k?uploadId={upload}", doc.encode())
        assert status == 200 and b"<CompleteMultipartUploadResult" in body, (form, body)


def test_complete_again_and_abort_after(s3, bucket):
    upload, parts = upload_parts(s3, bucket, "k", {1: b"tiny"})
    first = complete(s3, bucket, "k", upload, parts)
    assert complete(s3, bucket, "k", upload, parts)["ETag"] == first["ETag"]
    assert body_of(s3, bucket, "k") == b"tiny"
    with refused(404, "NoSuchUpload"):
        s3.upload_part(Bucket=bucket, Key="k", UploadId=upload, PartNumber=2, Body=b"x")
    with refused(404, "NoSuchUpload"):
        s3.list_parts(Bucket=bucket, Key="k", UploadId=upload)


def test_conditional_complete(s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"old")["ETag"]
    upload, parts = upload_parts(s3, bucket, "k", {1: b"new"})
    with refused(412, "PreconditionFailed"):
        complete(s3, bucket, "k", upload, parts, IfNoneMatch="*")
    with refused(412, "PreconditionFailed"):
        complete(s3, bucket, "k", upload, parts, IfMatch='"00000000000000000000000000000000"')
    assert body_of(s3, bucket, "k") == b"old"
    complete(s3, bucket, "k", upload, parts, IfMatch=etag)
    assert body_of(s3, bucket, "k") == b"new"


def test_object_size_is_compared(server, s3, bucket):
    upload, parts = upload_parts(s3, bucket, "k", {1: b"tiny"})
    doc = f"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{parts[0]['ETag']}</ETag></Part></CompleteMultipartUpload>".encode()
    status, _, body = signed(server, "POST", f"/{bucket}/k?uploadId={upload}", doc, {"x-amz-mp-object-size": "5"})
    assert status == 400 and code_of(body) == "InvalidRequest", body
    assert signed(server, "POST", f"/{bucket}/k?uploadId={upload}", doc, {"x-amz-mp-object-size": "4"})[0] == 200


def test_abort(local_node, s3, bucket):
    upload, _ = upload_parts(s3, bucket, "k", {1: data(FIVE), 2: b"x"})
    assert s3.abort_multipart_upload(Bucket=bucket, Key="k", UploadId=upload)["ResponseMetadata"]["HTTPStatusCode"] == 204
    for call in (lambda: s3.list_parts(Bucket=bucket, Key="k", UploadId=upload),
                 lambda: s3.upload_part(Bucket=bucket, Key="k", UploadId=upload, PartNumber=1, Body=b"x"),
                 lambda: s3.abort_multipart_upload(Bucket=bucket, Key="k", UploadId=upload)):
        with refused(404, "NoSuchUpload"):
            call()
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_list_parts_pages(s3, bucket):
    upload, parts = upload_parts(s3, bucket, "k", {n: data(n) for n in (1, 2, 5, 9, 10)})
    got, marker = [], 0
    while True:
        reply = s3.list_parts(Bucket=bucket, Key="k", UploadId=upload, MaxParts=2, PartNumberMarker=marker)
        got += [(p["PartNumber"], p["Size"], p["ETag"]) for p in reply["Parts"]]
        if not reply["IsTruncated"]:
            break
        marker = reply["NextPartNumberMarker"]
    assert got == [(p["PartNumber"], p["PartNumber"], p["ETag"]) for p in parts]
    assert reply["UploadId"] == upload and reply["StorageClass"] == "STANDARD" and reply["Initiator"]["ID"] and reply["Owner"]["ID"]


def test_list_uploads(s3, bucket):
    keys = ["a/1", "a/2", "b", "b", "c/x/1", "ü"]
    made = []
    for key in keys:
        made.append((key, s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]))
        time.sleep(0.01)
    got, key_marker, id_marker = [], "", ""
    while True:
        reply = s3.list_multipart_uploads(Bucket=bucket, MaxUploads=2, KeyMarker=key_marker, UploadIdMarker=id_marker)
        got += [(u["Key"], u["UploadId"]) for u in reply.get("Uploads", [])]
        if not reply["IsTruncated"]:
            break
        key_marker, id_marker = reply["NextKeyMarker"], reply["NextUploadIdMarker"]
    assert got == made
    reply = s3.list_multipart_uploads(Bucket=bucket, Delimiter="/")
    assert [p["Prefix"] for p in reply["CommonPrefixes"]] == ["a/", "c/"]
    assert [u["Key"] for u in reply["Uploads"]] == ["b", "b", "ü"]
    reply = s3.list_multipart_uploads(Bucket=bucket, Prefix="a/")
    assert [u["Key"] for u in reply["Uploads"]] == ["a/1", "a/2"]
    reply = s3.list_multipart_uploads(Bucket=bucket, KeyMarker="b")
    assert [u["Key"] for u in reply["Uploads"]] == ["c/x/1", "ü"]


def test_a_bucket_with_open_uploads_is_deletable_or_says_why(s3):
    b = "open-uploads-bucket"
    s3.create_bucket(Bucket=b)
    upload = s3.create_multipart_upload(Bucket=b, Key="k")["UploadId"]
    s3.abort_multipart_upload(Bucket=b, Key="k", UploadId=upload)
    s3.delete_bucket(Bucket=b)


def test_copy_part(s3, bucket):
    source = data(6 * MIB)
    s3.put_object(Bucket=bucket, Key="from/ü +%", Body=source)
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    one = s3.upload_part_copy(Bucket=bucket, Key="k", UploadId=upload, PartNumber=1, CopySource={"Bucket": bucket, "Key": "from/ü +%"})
    two = s3.upload_part_copy(Bucket=bucket, Key="k", UploadId=upload, PartNumber=2, CopySource={"Bucket": bucket, "Key": "from/ü +%"},
                              CopySourceRange="bytes=100-299")
    assert one["CopyPartResult"]["ETag"].strip('"') == md5(source)
    parts = [{"PartNumber": n, "ETag": r["CopyPartResult"]["ETag"]} for n, r in ((1, one), (2, two))]
    with refused(416, "InvalidRange"):
        s3.upload_part_copy(Bucket=bucket, Key="k", UploadId=upload, PartNumber=3, CopySource={"Bucket": bucket, "Key": "from/ü +%"},
                            CopySourceRange=f"bytes=0-{6 * MIB}")
    with refused(412, "PreconditionFailed"):
        s3.upload_part_copy(Bucket=bucket, Key="k", UploadId=upload, PartNumber=3, CopySource={"Bucket": bucket, "Key": "from/ü +%"},
                            CopySourceIfMatch='"x"')
    with refused(404, "NoSuchKey"):
        s3.upload_part_copy(Bucket=bucket, Key="k", UploadId=upload, PartNumber=3, CopySource={"Bucket": bucket, "Key": "none"})
    complete(s3, bucket, "k", upload, parts)
    assert body_of(s3, bucket, "k") == source + source[100:300]


@pytest.mark.parametrize("name, kind", [("CRC32", "COMPOSITE"), ("CRC32C", "COMPOSITE"), ("SHA1", "COMPOSITE"), ("SHA256", "COMPOSITE"),
                                        ("MD5", "COMPOSITE"), ("SHA512", "COMPOSITE"), ("XXHASH64", "COMPOSITE"),
                                        ("XXHASH3", "COMPOSITE"), ("XXHASH128", "COMPOSITE"),
                                        ("CRC32", "FULL_OBJECT"), ("CRC32C", "FULL_OBJECT"), ("CRC64NVME", "FULL_OBJECT")])
def test_checksums(s3, bucket, name, kind):
    field, function = "Checksum" + name, CHECKSUMS[name]
    bodies = [data(FIVE, 1)[: FIVE], data(1000, 2)]
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k", ChecksumAlgorithm=name, ChecksumType=kind)["UploadId"]
    # The pure-Python CRCs are slow: sums of the large part are taken from the answer, of the small one computed here.
    parts = []
    for n, body in enumerate(bodies, 1):
        more = {} if n == 1 and name in ("CRC32C", "CRC64NVME") else {field: function(body)}
        if more:
            reply = s3.upload_part(Bucket=bucket, Key="k", UploadId=upload, PartNumber=n, Body=body, **more)
        else:
            reply = upload_part_raw(s3, bucket, "k", upload, n, body)
        assert field in reply, reply
        if more:
            assert reply[field] == more[field]
        parts.append({"PartNumber": n, "ETag": reply["ETag"], field: reply[field]})
    listed = s3.list_parts(Bucket=bucket, Key="k", UploadId=upload)
    assert listed["ChecksumAlgorithm"] == name and listed["ChecksumType"] == kind
    assert [p[field] for p in listed["Parts"]] == [p[field] for p in parts]
    wrong = [dict(parts[0]), {**parts[1], field: parts[0][field]}]
    with refused(400, "InvalidPart", "BadDigest"):
        complete(s3, bucket, "k", upload, wrong)
    reply = complete(s3, bucket, "k", upload, parts, ChecksumType=kind)
    if kind == "COMPOSITE":
        raw = b"".join(base64.b64decode(p[field]) for p in parts)
        want = function(raw) + "-2"
    elif name == "CRC32":
        want = crc32(b"".join(bodies))
    else:
        want = reply[field]
        assert "-" not in want
    assert reply[field] == want and reply["ChecksumType"] == kind
    head = s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert head[field] == want and head["ChecksumType"] == kind
    attributes = s3.get_object_attributes(Bucket=bucket, Key="k", ObjectAttributes=["Checksum", "ObjectParts", "ETag"])
    assert attributes["Checksum"][field] == want.removesuffix("-2") or attributes["Checksum"][field] == want
    assert attributes["ObjectParts"]["TotalPartsCount"] == 2


def upload_part_raw(s3, bucket, key, upload, number, body):
    """UploadPart without any checksum of the client's own (boto3 adds CRC32)."""
    import urllib.request
    url = s3.generate_presigned_url("upload_part", {"Bucket": bucket, "Key": key, "UploadId": upload, "PartNumber": number})
    request = urllib.request.Request(url, data=body, method="PUT", headers={"Content-Type": ""})
    with urllib.request.urlopen(request) as reply:
        headers = {k.lower(): v for k, v in reply.headers.items()}
    out = {"ETag": headers["etag"]}
    for name in CHECKSUMS:
        if f"x-amz-checksum-{name.lower()}" in headers:
            out["Checksum" + name] = headers[f"x-amz-checksum-{name.lower()}"]
    return out


def test_full_object_crcs_are_combined_right(s3, bucket):
    # Small first part alone, so that the sum can be computed here.
    for name in ("CRC32", "CRC32C", "CRC64NVME"):
        body = data(5000, name)
        upload = s3.create_multipart_upload(Bucket=bucket, Key="k", ChecksumAlgorithm=name, ChecksumType="FULL_OBJECT")["UploadId"]
        reply = s3.upload_part(Bucket=bucket, Key="k", UploadId=upload, PartNumber=1, Body=body, **{"Checksum" + name: CHECKSUMS[name](body)})
        parts = [{"PartNumber": 1, "ETag": reply["ETag"]}]
        with refused(400, "BadDigest"):
            complete(s3, bucket, "k", upload, parts, **{"Checksum" + name: CHECKSUMS[name](b"other"), "ChecksumType": "FULL_OBJECT"})
        done = complete(s3, bucket, "k", upload, parts, **{"Checksum" + name: CHECKSUMS[name](body), "ChecksumType": "FULL_OBJECT"})
        assert done["Checksum" + name] == CHECKSUMS[name](body)


def test_impossible_checksum_types(s3, bucket):
    for name, kind in (("CRC64NVME", "COMPOSITE"), ("SHA1", "FULL_OBJECT"), ("SHA256", "FULL_OBJECT"), ("SHA512", "FULL_OBJECT"),
                       ("MD5", "FULL_OBJECT"), ("XXHASH64", "FULL_OBJECT"), ("XXHASH3", "FULL_OBJECT"), ("XXHASH128", "FULL_OBJECT")):
        with refused(400, "InvalidRequest"):
            s3.create_multipart_upload(Bucket=bucket, Key="k", ChecksumAlgorithm=name, ChecksumType=kind)


def test_wrong_part_checksum(server, s3, bucket):
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    target = f"/{bucket}/k?partNumber=1&uploadId={upload}"
    first = s3.upload_part(Bucket=bucket, Key="k", UploadId=upload, PartNumber=1, Body=b"good")
    assert code_of(signed(server, "PUT", target, b"evil", {"x-amz-checksum-crc32": crc32(b"good")})[2]) == "BadDigest"
    assert code_of(signed(server, "PUT", target, b"evil", {"Content-MD5": b64(hashlib.md5(b"good").digest())})[2]) == "BadDigest"
    complete(s3, bucket, "k", upload, [{"PartNumber": 1, "ETag": first["ETag"]}])
    assert body_of(s3, bucket, "k") == b"good"


def test_get_by_part_number(s3, bucket):
    bodies = {1: data(FIVE, 1), 2: data(6 * MIB, 2), 4: data(77, 4)}
    upload, parts = upload_parts(s3, bucket, "k", bodies)
    etag = complete(s3, bucket, "k", upload, parts)["ETag"]
    size, start = sum(map(len, bodies.values())), 0
    for n, body in enumerate(bodies.values(), 1):
        number = list(bodies)[n - 1]
        got = s3.get_object(Bucket=bucket, Key="k", PartNumber=number)
        assert got["ResponseMetadata"]["HTTPStatusCode"] == 206 and got["PartsCount"] == 3 and got["ETag"] == etag
        assert got["ContentRange"] == f"bytes {start}-{start + len(body) - 1}/{size}" and got["Body"].read() == body
        head = s3.head_object(Bucket=bucket, Key="k", PartNumber=number)
        assert head["ContentLength"] == len(body) and head["PartsCount"] == 3
        start += len(body)
    with refused(400, "InvalidPart"):
        s3.get_object(Bucket=bucket, Key="k", PartNumber=9)
    with refused(400, "InvalidRequest", "InvalidArgument"):
        s3.get_object(Bucket=bucket, Key="k", PartNumber=1, Range="bytes=0-1")


def test_get_object_attributes_pages(s3, bucket):
    bodies = {n: data(FIVE, n) for n in (1, 2)} | {3: b"end"}
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k", ChecksumAlgorithm="SHA1")["UploadId"]
    parts = []
    for n, body in bodies.items():
        reply = s3.upload_part(Bucket=bucket, Key="k", UploadId=upload, PartNumber=n, Body=body, ChecksumSHA1=sha1(body))
        parts.append({"PartNumber": n, "ETag": reply["ETag"], "ChecksumSHA1": sha1(body)})
    complete(s3, bucket, "k", upload, parts)
    page = s3.get_object_attributes(Bucket=bucket, Key="k", ObjectAttributes=["ObjectParts", "ObjectSize"], MaxParts=2)["ObjectParts"]
    assert page["TotalPartsCount"] == 3 and page["IsTruncated"] and [p["PartNumber"] for p in page["Parts"]] == [1, 2]
    assert page["Parts"][0]["Size"] == FIVE and page["Parts"][0]["ChecksumSHA1"] == sha1(bodies[1])
    rest = s3.get_object_attributes(Bucket=bucket, Key="k", ObjectAttributes=["ObjectParts"], PartNumberMarker=page["NextPartNumberMarker"])["ObjectParts"]
    assert [p["PartNumber"] for p in rest["Parts"]] == [3] and not rest["IsTruncated"]


def test_ranges_across_parts(s3, bucket):
    bodies = {1: data(FIVE, 1), 2: data(FIVE, 2)}
    upload, parts = upload_parts(s3, bucket, "k", bodies)
    complete(s3, bucket, "k", upload, parts)
    whole = bodies[1] + bodies[2]
    for a, b in ((FIVE - 10, FIVE + 9), (0, 0), (FIVE, FIVE), (1, 2 * FIVE - 1), (2 * FIVE - 1, 2 * FIVE - 1)):
        assert body_of(s3, bucket, "k", Range=f"bytes={a}-{b}") == whole[a:b + 1]


def test_parallel_parts(s3, bucket):
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    etags, bodies = {}, {n: data(FIVE, n) for n in range(1, 7)}

    def put(n):
        etags[n] = s3.upload_part(Bucket=bucket, Key="k", UploadId=upload, PartNumber=n, Body=bodies[n])["ETag"]

    threads = [threading.Thread(target=put, args=(n,)) for n in (4, 1, 6, 2, 5, 3)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    complete(s3, bucket, "k", upload, [{"PartNumber": n, "ETag": etags[n]} for n in sorted(etags)])
    assert body_of(s3, bucket, "k") == b"".join(bodies.values())


def test_overwrite_plain_by_multipart_and_back(local_node, s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"plain")
    upload, parts = upload_parts(s3, bucket, "k", {1: data(FIVE), 2: b"tail"})
    complete(s3, bucket, "k", upload, parts)
    local_node.wait_file(bucket, "k", data(FIVE) + b"tail")
    s3.put_object(Bucket=bucket, Key="k", Body=b"plain again")
    local_node.wait_file(bucket, "k", b"plain again")
    assert body_of(s3, bucket, "k") == b"plain again"
