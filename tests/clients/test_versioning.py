"""Versions and delete markers, through boto3."""

import pytest
from util import data, md5, refused


@pytest.fixture
def versioned(s3, bucket):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    return bucket


def suspend(s3, bucket):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})


def put(s3, bucket, key, body):
    return s3.put_object(Bucket=bucket, Key=key, Body=body).get("VersionId")


def read(s3, bucket, key, version=None):
    extra = {"VersionId": version} if version else {}
    return s3.get_object(Bucket=bucket, Key=key, **extra)["Body"].read()


def history(s3, bucket, **query):
    """(key, version id, is latest, kind) of everything, page by page of two."""
    found = []
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=bucket, PaginationConfig={"PageSize": 2}, **query)
    for page in pages:
        some = [(e, "version") for e in page.get("Versions", [])] + [(e, "marker") for e in page.get("DeleteMarkers", [])]
        found += [(e["Key"], e["VersionId"], e["IsLatest"], kind, e["LastModified"]) for e, kind in some]
    return found


def test_states(s3, bucket):
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)
    for state in ("Enabled", "Suspended", "Enabled"):
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": state})
        assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == state
    with refused(501, "NotImplemented"):
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled", "MFADelete": "Enabled"})


def test_a_version_per_write(s3, versioned):
    ids = [put(s3, versioned, "k", data(size, size)) for size in (10, 200_000, 0)]
    assert len(set(ids)) == 3
    assert read(s3, versioned, "k") == b""
    for version, size in zip(ids, (10, 200_000, 0)):
        head = s3.head_object(Bucket=versioned, Key="k", VersionId=version)
        assert (head["VersionId"], head["ContentLength"], head["ETag"]) == (version, size, f'"{md5(data(size, size))}"')
        assert read(s3, versioned, "k", version) == data(size, size)
    assert [(k, v, latest) for k, v, latest, _, _ in history(s3, versioned)] == [
        ("k", ids[2], True), ("k", ids[1], False), ("k", ids[0], False)]
    assert [e["Key"] for e in s3.list_objects_v2(Bucket=versioned)["Contents"]] == ["k"]
    with refused(409, "BucketNotEmpty"):
        s3.delete_bucket(Bucket=versioned)


def test_delete_markers(s3, versioned):
    first = put(s3, versioned, "dir/k", b"1")
    marker = s3.delete_object(Bucket=versioned, Key="dir/k")
    assert marker["DeleteMarker"] is True
    with refused(404) as answer:
        s3.head_object(Bucket=versioned, Key="dir/k")
    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    assert (headers["x-amz-delete-marker"], headers["x-amz-version-id"]) == ("true", marker["VersionId"])
    with refused(405, "MethodNotAllowed") as answer:
        s3.get_object(Bucket=versioned, Key="dir/k", VersionId=marker["VersionId"])
    assert answer["ResponseMetadata"]["HTTPHeaders"]["allow"] == "DELETE"
    assert "Contents" not in s3.list_objects_v2(Bucket=versioned)
    assert read(s3, versioned, "dir/k", first) == b"1"
    gone = s3.delete_object(Bucket=versioned, Key="dir/k", VersionId=marker["VersionId"])
    assert (gone["DeleteMarker"], gone["VersionId"]) == (True, marker["VersionId"])
    assert read(s3, versioned, "dir/k") == b"1"
    # A marker is made also where nothing is.
    lone = s3.delete_object(Bucket=versioned, Key="never")
    assert lone["DeleteMarker"] is True
    assert ("never", lone["VersionId"], True, "marker") in [e[:4] for e in history(s3, versioned)]


def test_removing_the_newest_brings_back_the_one_before(s3, versioned):
    ids = [put(s3, versioned, "k", f"{n}".encode()) for n in range(3)]
    s3.delete_object(Bucket=versioned, Key="k", VersionId=ids[2])
    assert read(s3, versioned, "k") == b"1"
    s3.delete_object(Bucket=versioned, Key="k", VersionId=ids[0])
    assert read(s3, versioned, "k") == b"1"
    s3.delete_object(Bucket=versioned, Key="k", VersionId=ids[1])
    with refused(404, "NoSuchKey") as answer:
        s3.get_object(Bucket=versioned, Key="k")
    assert answer["ResponseMetadata"]["HTTPHeaders"]["x-amz-delete-marker"] == "false"
    with refused(404, "NoSuchVersion"):
        s3.get_object(Bucket=versioned, Key="k", VersionId=ids[1])
    s3.delete_bucket(Bucket=versioned)


def test_null_versions(s3, bucket):
    assert put(s3, bucket, "k", b"before") is None
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    assert s3.head_object(Bucket=bucket, Key="k")["VersionId"] == "null"
    kept = put(s3, bucket, "k", b"kept")
    assert read(s3, bucket, "k", "null") == b"before"
    suspend(s3, bucket)
    assert put(s3, bucket, "k", b"while suspended") is None
    assert read(s3, bucket, "k", "null") == b"while suspended"
    assert [e[1] for e in history(s3, bucket)] == ["null", kept]
    marker = s3.delete_object(Bucket=bucket, Key="k")
    assert (marker["DeleteMarker"], marker["VersionId"]) == (True, "null")
    assert {e[1]: e[2:4] for e in history(s3, bucket)} == {"null": (True, "marker"), kept: (False, "version")}
    s3.delete_object(Bucket=bucket, Key="k", VersionId="null")
    assert read(s3, bucket, "k") == b"kept"


def test_batch_deletes(s3, versioned):
    first, second = put(s3, versioned, "a", b"1"), put(s3, versioned, "b", b"2")
    answer = s3.delete_objects(Bucket=versioned, Delete={"Objects": [{"Key": "a"}, {"Key": "b", "VersionId": second}]})
    marked, removed = sorted(answer["Deleted"], key=lambda e: e["Key"])
    assert marked["DeleteMarker"] is True and marked["DeleteMarkerVersionId"]
    assert removed["VersionId"] == second and "DeleteMarker" not in removed
    again = s3.delete_objects(
        Bucket=versioned, Delete={"Objects": [{"Key": "a", "VersionId": marked["DeleteMarkerVersionId"]}]})["Deleted"][0]
    assert (again["DeleteMarker"], again["DeleteMarkerVersionId"]) == (True, marked["DeleteMarkerVersionId"])
    assert read(s3, versioned, "a", first) == read(s3, versioned, "a") == b"1"


def test_restore_by_copy(s3, versioned):
    old = s3.put_object(Bucket=versioned, Key="k", Body=b"old", Metadata={"m": "1"})["VersionId"]
    put(s3, versioned, "k", b"new")
    source = {"Bucket": versioned, "Key": "k", "VersionId": old}
    copied = s3.copy_object(Bucket=versioned, Key="k", CopySource=source)
    assert copied["CopySourceVersionId"] == old and copied["VersionId"] != old
    head = s3.get_object(Bucket=versioned, Key="k")
    assert head["Body"].read() == b"old" and head["Metadata"] == {"m": "1"}
    marker = s3.delete_object(Bucket=versioned, Key="k")["VersionId"]
    with refused(404, "NoSuchKey"):
        s3.copy_object(Bucket=versioned, Key="x", CopySource={"Bucket": versioned, "Key": "k"})
    with refused(400, "InvalidRequest"):
        s3.copy_object(Bucket=versioned, Key="x", CopySource={"Bucket": versioned, "Key": "k", "VersionId": marker})


def test_conditions_look_at_the_current_version(s3, versioned):
    etag = s3.put_object(Bucket=versioned, Key="k", Body=b"1")["ETag"]
    put(s3, versioned, "k", b"2")
    with refused(412, "PreconditionFailed"):
        s3.put_object(Bucket=versioned, Key="k", Body=b"3", IfMatch=etag)
    with refused(412, "PreconditionFailed"):
        s3.put_object(Bucket=versioned, Key="k", Body=b"3", IfNoneMatch="*")
    s3.delete_object(Bucket=versioned, Key="k")
    with refused(404, "NoSuchKey"):
        s3.put_object(Bucket=versioned, Key="k", Body=b"3", IfMatch=etag)
    s3.put_object(Bucket=versioned, Key="k", Body=b"3", IfNoneMatch="*")


def test_uploads_make_versions(s3, versioned):
    ids = []
    for n in range(2):
        upload = s3.create_multipart_upload(Bucket=versioned, Key="m")["UploadId"]
        part = s3.upload_part(Bucket=versioned, Key="m", UploadId=upload, PartNumber=1, Body=data(5, n))
        done = s3.complete_multipart_upload(
            Bucket=versioned, Key="m", UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]})
        ids.append(done["VersionId"])
    for n, version in enumerate(ids):
        got = s3.get_object(Bucket=versioned, Key="m", VersionId=version, PartNumber=1)
        assert (got["Body"].read(), got["PartsCount"]) == (data(5, n), 1)
        attributes = s3.get_object_attributes(
            Bucket=versioned, Key="m", VersionId=version, ObjectAttributes=["ObjectParts", "ObjectSize"])
        assert attributes["ObjectParts"]["TotalPartsCount"] == 1


def test_listing_with_prefix_delimiter_and_markers(s3, versioned):
    for key in ("a/1", "a/2", "b", "c/1"):
        put(s3, versioned, key, b"1")
        put(s3, versioned, key, b"2")
    s3.delete_object(Bucket=versioned, Key="a/1")
    page = s3.list_object_versions(Bucket=versioned, Delimiter="/")
    assert [p["Prefix"] for p in page["CommonPrefixes"]] == ["a/", "c/"]
    assert [e["Key"] for e in page["Versions"]] == ["b", "b"]
    everything = [e[:2] for e in sorted(history(s3, versioned), key=lambda e: e[0])]
    assert len(everything) == 9
    newest = page["Versions"][0]["VersionId"]
    rest = s3.list_object_versions(Bucket=versioned, KeyMarker="b", VersionIdMarker=newest, MaxKeys=1)
    assert [(e["Key"], e["IsLatest"]) for e in rest["Versions"]] == [("b", False)]
    assert rest["IsTruncated"] and rest["NextKeyMarker"] == "b"
    assert [e["Key"] for e in s3.list_object_versions(Bucket=versioned, KeyMarker="b")["Versions"]] == ["c/1", "c/1"]


@pytest.mark.local
def test_plain_files_are_the_current_versions(s3, versioned, local_node):
    first = put(s3, versioned, "d/k", b"first")
    put(s3, versioned, "d/k", b"second")
    path = local_node.root / versioned / "d" / "k"
    import time

    def settles(check):
        for _ in range(100):
            if check():
                return True
            time.sleep(0.05)
        return False

    assert settles(lambda: path.exists() and path.read_bytes() == b"second")
    s3.delete_object(Bucket=versioned, Key="d/k")
    assert settles(lambda: not path.parent.exists())
    assert read(s3, versioned, "d/k", first) == b"first"
