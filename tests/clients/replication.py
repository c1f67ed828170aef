"""What the tests of replication share: connections and rules through the node's own routes, a link that can fail, and quiet."""

import json
import random
import socket
import struct
import threading
import time

from util import send, signed

SECONDS = 30


def admin(node, method, path, body=None, status=(200, 201, 202, 204), **who):
    """Asks one of the node's own routes for replication; answers its document."""
    data = b"" if body is None else json.dumps(body).encode()
    got, _, answer = signed(node, method, f"/_myfsio/replication{path}", data, **who)
    assert got in (status if isinstance(status, tuple) else (status,)), f"{method} {path}: {got} {answer[:600]}"
    return json.loads(answer) if answer else None


def add_target_user(node, name, bucket, actions=("write", "read", "list", "delete", "replication")):
    """The user by which another node writes into a bucket."""
    node.add_users({"access_key": name, "secret_key": f"{name}-secret", "display_name": name,
                    "policies": [{"bucket": bucket, "actions": list(actions)}]})
    return name, f"{name}-secret"


def connect(source, endpoint, key, name="peer", **more):
    """A connection of `source` to an endpoint; answers its id."""
    body = {"name": name, "endpoint_url": endpoint, "access_key": key[0], "secret_key": key[1], "region": "us-east-1", **more}
    return admin(source, "POST", "/connections", body)["id"]


def replicate(source, bucket, connection, target, mode="new_only", **more):
    """Replicates a bucket of `source`."""
    body = {"target_connection_id": connection, "target_bucket": target, "mode": mode, "enabled": True, **more}
    return admin(source, "PUT", f"/rules/{bucket}", body)


def status(node, bucket):
    return admin(node, "GET", f"/rules/{bucket}")["status"]


def wait_until(what, check, seconds=SECONDS, pause=0.05):
    """Waits until `check` answers something true, and answers that."""
    end = time.monotonic() + seconds
    while True:
        found = check()
        if found:
            return found
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(pause)


def wait_empty(node, bucket, seconds=SECONDS):
    """Waits until nothing of the bucket waits to be sent."""
    try:
        wait_until("an empty queue", lambda: status(node, bucket)["pending"] == 0, seconds)
    except AssertionError as error:
        raise AssertionError(f"{error}: {status(node, bucket)}\n{node.tail()}") from None


class Link:
    """A TCP link that stands between a node and the one that it replicates to: it can be down, slow, or break off in the middle. It
    counts what goes through it, and its address stays when the node behind it comes back on another port."""

    def __init__(self, node):
        self.node, self.requests, self.bytes = node, 0, 0
        self.down, self.delay, self.break_after, self.chance = False, 0.0, None, 0.0
        self.methods = {}
        self.random = random.Random(7)
        self.pairs, self.lock = set(), threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.endpoint = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        if self.down:
            return reset(client)
        try:
            server = socket.create_connection(("127.0.0.1", self.node.port), timeout=5)
            server.settimeout(None)
        except OSError:
            return reset(client)
        with self.lock:
            self.pairs.add((client, server))
        left = self.random.randrange(1, 200_000) if self.random.random() < self.chance else self.break_after
        ends = [threading.Thread(target=self._pump, args=(a, b, counts, left), daemon=True)
                for a, b, counts in ((client, server, True), (server, client, False))]
        for end in ends:
            end.start()
        for end in ends:
            end.join()
        with self.lock:
            self.pairs.discard((client, server))
        client.close()
        server.close()

    def _pump(self, source, sink, counts, left):
        try:
            while data := source.recv(65536):
                if self.delay:
                    time.sleep(self.delay)
                if self.down:
                    # It was just being made when all others were cut.
                    reset(source)
                    reset(sink)
                    return
                if counts:
                    self._count(data)
                    if left is not None and (left := left - len(data)) <= 0:
                        sink.sendall(data[: max(0, len(data) + left)])
                        reset(source)
                        reset(sink)
                        return
                sink.sendall(data)
        except OSError:
            pass
        for end in (sink, source):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _count(self, data):
        with self.lock:
            self.bytes += len(data)
            for method in (b"GET", b"PUT", b"POST", b"HEAD", b"DELETE"):
                if data.startswith(method + b" /"):
                    self.requests += 1
                    self.methods[method.decode()] = self.methods.get(method.decode(), 0) + 1

    def cut(self):
        """Breaks off everything that is under way."""
        with self.lock:
            pairs = list(self.pairs)
        for client, server in pairs:
            reset(client)
            reset(server)

    def close(self):
        self.listener.close()
        self.cut()


def reset(end):
    """Ends a connection as a crash would: with a reset."""
    try:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # Closing alone would not wake who waits for its next byte, and so would end nothing.
        end.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    try:
        end.close()
    except OSError:
        pass


def state(s3, bucket):
    """Everything that clients see of a bucket: each version with its bytes' digest, and of current objects what goes with them."""
    versions, current = {}, {}
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        for item in page.get("Versions", []):
            found = (item["VersionId"], item["IsLatest"], item["ETag"], item["Size"], item["LastModified"])
            versions.setdefault(item["Key"], []).append(found)
        for item in page.get("DeleteMarkers", []):
            versions.setdefault(item["Key"], []).append((item["VersionId"], item["IsLatest"], None, None, item["LastModified"]))
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for item in page.get("Contents", []):
            current[item["Key"]] = (item["ETag"], item["Size"])
    return {"versions": {key: sorted(found, key=str) for key, found in versions.items()}, "current": current}


def differences(a, b):
    """Where two states are not the same, for people."""
    out = []
    for part in ("versions", "current"):
        for key in sorted(set(a[part]) | set(b[part])):
            if a[part].get(key) != b[part].get(key):
                out.append(f"{part} {key!r}: {a[part].get(key)} != {b[part].get(key)}")
    return out[:20]


def raw(node, method, target, **more):
    return send(node.endpoint, method, target, **more)
