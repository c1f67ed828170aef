"""What was acknowledged stays: clean restarts, kills, racing writers. Kills under load are in test_crash.py."""

import threading

import pytest
from botocore.exceptions import ClientError

from util import MIB, body_of, complete, data, keys_of, upload_parts

pytestmark = [pytest.mark.local, pytest.mark.timeout(120)]
SMALL, MEDIUM, LARGE = 900, 100_000, 400_000


def test_a_clean_restart_keeps_everything(node_factory):
    node = node_factory(MULTIPART_MIN_PART_SIZE=1)
    s3 = node.client()
    want = {f"{'dir/' * (i % 3)}k{i}": data(size, i) for i, size in enumerate([0, 1, SMALL, MEDIUM, 131072, LARGE, 2 * MIB] * 5)}
    s3.create_bucket(Bucket="bkt")
    for key, body in want.items():
        s3.put_object(Bucket="bkt", Key=key, Body=body, Metadata={"k": str(len(body))})
    upload, parts = upload_parts(s3, "bkt", "mp", {1: data(MIB), 2: b"tail"})
    complete(s3, "bkt", "mp", upload, parts)
    want["mp"] = data(MIB) + b"tail"
    open_upload, open_parts = upload_parts(s3, "bkt", "later", {1: b"one", 2: b"two"})
    s3.delete_object(Bucket="bkt", Key="k3")
    want.pop("k3")
    node.stop()
    for key, body in want.items():  # a clean shutdown leaves every plain file standing
        assert node.file("bkt", key).read_bytes() == body, key
    node.start()
    s3 = node.client()
    check(s3, want)
    complete(s3, "bkt", "later", open_upload, open_parts)
    assert body_of(s3, "bkt", "later") == b"onetwo"
    for _ in range(2):
        node.stop()
        node.start()
    check(node.client(), {**want, "later": b"onetwo"})


def check(s3, want):
    listed = [k for page in s3.get_paginator("list_objects_v2").paginate(Bucket="bkt") for k in keys_of([page])]
    assert listed == sorted(want, key=str.encode)
    for key, body in want.items():
        assert body_of(s3, "bkt", key) == body, key


def test_a_kill_right_after_start_and_twice(node_factory):
    node = node_factory()
    node.client().create_bucket(Bucket="bkt")
    want = {}
    for i in range(6):
        s3 = node.client()
        for j in range(10):
            want[f"{i}/{j}"] = data(SMALL if j else LARGE, (i, j))
            s3.put_object(Bucket="bkt", Key=f"{i}/{j}", Body=want[f"{i}/{j}"])
        node.kill()
        node.start()
        if i % 2:
            node.kill()
            node.start()
        check(node.client(), want)


def test_deletes_and_bucket_deletes_stay(node_factory):
    node = node_factory()
    s3 = node.client()
    for b in ("bkt", "gone"):
        s3.create_bucket(Bucket=b)
        s3.put_object(Bucket=b, Key="k", Body=b"x")
    s3.delete_object(Bucket="gone", Key="k")
    s3.delete_bucket(Bucket="gone")
    s3.delete_object(Bucket="bkt", Key="k")
    node.kill()
    node.start()
    assert [b["Name"] for b in node.client().list_buckets()["Buckets"]] == ["bkt"]
    check(node.client(), {})
    node.client().create_bucket(Bucket="gone")
    assert node.client().list_objects_v2(Bucket="gone")["KeyCount"] == 0


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_racing_writers_of_one_key(server, s3, bucket, size):
    bodies = [data(size + i, i) for i in range(8)]
    torn = []

    def write(body):
        client = server.client()
        for _ in range(8):
            client.put_object(Bucket=bucket, Key="k", Body=body)

    def look():
        client = server.client()
        while any(t.is_alive() for t in threads):
            got = client.get_object(Bucket=bucket, Key="k")
            if got["Body"].read() not in bodies:
                torn.append(got)

    s3.put_object(Bucket=bucket, Key="k", Body=bodies[0])
    threads = [threading.Thread(target=write, args=(b,)) for b in bodies]
    for t in threads:
        t.start()
    reader = threading.Thread(target=look)
    reader.start()
    for t in threads:
        t.join()
    reader.join()
    assert not torn
    end = body_of(s3, bucket, "k")
    assert end in bodies
    if server.root:
        server.wait_file(bucket, "k", end)


def test_one_winner_of_create_if_absent(server, s3, bucket):
    results = []

    def write(i):
        try:
            server.client().put_object(Bucket=bucket, Key="k", Body=str(i).encode(), IfNoneMatch="*")
            results.append(i)
        except ClientError as error:
            assert error.response["Error"]["Code"] in ("PreconditionFailed", "ConditionalRequestConflict"), error

    threads = [threading.Thread(target=write, args=(i,)) for i in range(12)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(results) == 1 and body_of(s3, bucket, "k") == str(results[0]).encode()


def test_a_second_node_on_the_same_data_is_refused(node_factory):
    node = node_factory()
    import subprocess

    import node as nodes
    env = {**node.env, "PATH": "", "STORAGE_ROOT": str(node.root), "PORT": str(nodes.free_port()), "UI_PORT": str(nodes.free_port()), "HOST": "127.0.0.1"}
    done = subprocess.run([nodes.BINARY], env=env, cwd=node.cwd, capture_output=True, text=True, timeout=15)
    assert done.returncode == 1 and done.stderr.strip(), done
    assert node.healthy()
