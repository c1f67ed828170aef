"""A mixed load of which everything is known: what each request may leave, and what stands once it was answered.

Every name (an object's key, a bucket, a part) is written by one thread only, so its values follow one another. A reader
must see a value that was acknowledged when it began to read or was begun since; after a crash the last acknowledged value
stands, or the one that was under way.
"""

import collections
import hashlib
import pathlib
import random
import threading
import time
from contextlib import contextmanager
from functools import cached_property

from botocore.exceptions import BotoCoreError, ClientError

from util import MIB, complete, keys_of

SHARED = "shared"
WRITERS, READERS = 6, 2
KEYS = 20
SIZES = [0, 1, 900, 900, 900, 4096, 4097, 100_000, 131_072, 131_073, 400_000, 2 * MIB]
PART_SIZES = [1, 5000, 70_000, 300_000]


def digest(body):
    return hashlib.sha256(body).digest()


class Value:
    """An object's content, made anew whenever it is needed: pieces of random bytes, one for each part."""

    def __init__(self, pieces, assembled=False):
        self.pieces, self.assembled = tuple(pieces), assembled
        self.size = sum(size for _, size in self.pieces)

    @property
    def body(self):
        return b"".join(random.Random(seed).randbytes(size) for seed, size in self.pieces)

    @cached_property
    def etag(self):
        if not self.assembled:
            return f'"{hashlib.md5(self.body).hexdigest()}"'
        digests = [hashlib.md5(Value([piece]).body).digest() for piece in self.pieces]
        return f'"{hashlib.md5(b"".join(digests)).hexdigest()}-{len(digests)}"'

    @cached_property
    def digest(self):
        return digest(self.body)

    def __repr__(self):
        return f"{self.size} bytes in {len(self.pieces)} piece(s)"


class Register:
    """The values that a name has had and may have, oldest first; None where there is nothing."""

    def __init__(self, value=None):
        self.settle(value)

    def settle(self, value):
        self.values, self.acknowledged = [value], 0

    def begin(self, value):
        self.values.append(value)

    def acknowledge(self):
        self.acknowledged = len(self.values) - 1

    @property
    def value(self):
        return self.values[self.acknowledged]

    def since(self, mark):
        """What a reader may see that began when `mark` was the last value acknowledged."""
        return self.values[mark:]

    @property
    def possible(self):
        return self.since(self.acknowledged)


@contextmanager
def changing(*changes):
    """Notes before a request what it may leave; when it was answered, that is what stands."""
    for register, value in changes:
        register.begin(value)
    yield
    for register, _ in changes:
        register.acknowledge()


class Upload:
    """A multipart upload whose creation was acknowledged."""

    def __init__(self, key, upload_id):
        self.key, self.id = key, upload_id
        self.parts = collections.defaultdict(Register)
        self.ending = None  # the value that a Complete without answer would leave, or "abort"

    def listed(self):
        return [{"PartNumber": number, "ETag": part.value.etag} for number, part in sorted(self.parts.items())]

    def assembled(self):
        return Value([part.value.pieces[0] for _, part in sorted(self.parts.items())], assembled=True)


class Client(threading.Thread):
    """Sends one request after the other until the load ends. `error` is what should not have happened."""

    def __init__(self, load, name):
        super().__init__(name=name, daemon=True)
        self.load, self.rng = load, random.Random(load.rng.random())
        self.done, self.error = 0, None

    def run(self):
        while not self.load.ending.is_set():
            try:
                self.step()
                self.done += 1
            except BotoCoreError as error:
                # A broken connection is what a kill looks like, but nothing else may look so.
                if not self.load.ending.wait(0.2):
                    self.error = error
                return
            except Exception as error:
                self.error = error
                return


class Writer(Client):
    """Writes the keys of its own folder in the shared bucket, and a bucket of its own that comes and goes."""

    def __init__(self, load, number):
        super().__init__(load, f"writer {number}")
        self.s3 = load.node.client()
        self.site = load.sites[number]

    def step(self):
        steps = {
            self.put: 10, self.delete: 3, self.delete_batch: 1, self.copy: 2, self.create_upload: 2, self.put_part: 5,
            self.end_upload: 2, self.turn_bucket: 1,
        }
        self.rng.choices(list(steps), list(steps.values()))[0]()

    def fresh(self, sizes=SIZES):
        return Value([(self.rng.getrandbits(64), self.rng.choice(sizes))])

    def some_key(self):
        return self.rng.choice(list(self.site.objects))

    def put(self):
        key, value = self.some_key(), self.fresh()
        with changing((self.site.objects[key], value)):
            self.s3.put_object(Bucket=SHARED, Key=key, Body=value.body)

    def delete(self):
        key = self.some_key()
        with changing((self.site.objects[key], None)):
            self.s3.delete_object(Bucket=SHARED, Key=key)

    def delete_batch(self):
        keys = self.rng.sample(list(self.site.objects), self.rng.randint(1, 5))
        self.delete_all(SHARED, {key: self.site.objects[key] for key in keys})

    def delete_all(self, bucket, objects):
        with changing(*((register, None) for register in objects.values())):
            reply = self.s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in objects]})
            assert "Errors" not in reply, reply["Errors"]

    def copy(self):
        source, target = self.some_key(), self.some_key()
        value = self.site.objects[source].value
        if value is None or source == target:
            return self.put()
        with changing((self.site.objects[target], Value(value.pieces))):
            self.s3.copy_object(Bucket=SHARED, Key=target, CopySource={"Bucket": SHARED, "Key": source})

    def create_upload(self):
        key = self.some_key()
        self.site.creating += 1
        upload = self.s3.create_multipart_upload(Bucket=SHARED, Key=key)["UploadId"]
        self.site.creating -= 1
        self.site.uploads.append(Upload(key, upload))

    def put_part(self):
        """A part of an upload in progress: a new one, or one sent before with other bytes."""
        if not self.site.uploads:
            return self.create_upload()
        upload = self.rng.choice(self.site.uploads)
        number, value = self.rng.randint(1, 4), self.fresh(PART_SIZES)
        with changing((upload.parts[number], value)):
            self.s3.upload_part(Bucket=SHARED, Key=upload.key, UploadId=upload.id, PartNumber=number, Body=value.body)

    def end_upload(self):
        if not self.site.uploads:
            return self.create_upload()
        upload = self.rng.choice(self.site.uploads)
        if not upload.parts or self.rng.random() < 0.3:
            upload.ending = "abort"
            self.s3.abort_multipart_upload(Bucket=SHARED, Key=upload.key, UploadId=upload.id)
        else:
            upload.ending = upload.assembled()
            with changing((self.site.objects[upload.key], upload.ending)):
                complete(self.s3, SHARED, upload.key, upload.id, upload.listed())
        self.site.uploads.remove(upload)

    def turn_bucket(self):
        """Creates the thread's bucket with an object and an upload, or empties and deletes it."""
        site = self.site
        if site.exists.value:
            self.delete_all(site.bucket, site.inside)
            with changing((site.exists, None)):
                self.s3.delete_bucket(Bucket=site.bucket)
            return
        with changing((site.exists, True)):
            self.s3.create_bucket(Bucket=site.bucket)
        key, value = self.rng.choice(list(site.inside)), self.fresh()
        with changing((site.inside[key], value)):
            self.s3.put_object(Bucket=site.bucket, Key=key, Body=value.body)
        self.s3.create_multipart_upload(Bucket=site.bucket, Key=key)


class Reader(Client):
    """Reads and lists what is being written, and compares it with what can be there at that moment."""

    def __init__(self, load, number):
        super().__init__(load, f"reader {number}")
        self.s3 = load.node.client()

    def step(self):
        site = self.rng.choice(self.load.sites)
        self.rng.choice([self.get, self.get, self.get_range, self.list])(site)

    def get(self, site):
        key, register = self.rng.choice(list(site.objects.items()))
        mark = register.acknowledged
        found = get(self.s3, SHARED, key)
        check_object(key, found, register.since(mark))

    def get_range(self, site):
        key, register = self.rng.choice(list(site.objects.items()))
        start, mark = self.rng.randrange(100_000), register.acknowledged
        try:
            reply = self.s3.get_object(Bucket=SHARED, Key=key, Range=f"bytes={start}-{start + 99_999}")
            found = reply["ETag"], reply["Body"].read()
        except ClientError as error:
            assert error.response["Error"]["Code"] in ("NoSuchKey", "InvalidRange"), error
            found = None
        possible = register.since(mark)
        expected = [(v.etag, v.body[start:start + 100_000]) if v and start < v.size else None for v in possible]
        assert found in expected, f"bytes of {key} from {start} on are none of {possible}"

    def list(self, site):
        marks = {key: register.acknowledged for key, register in site.objects.items()}
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=SHARED, Prefix=site.prefix, PaginationConfig={"PageSize": 7})
        listed = {item["Key"]: (item["ETag"], item["Size"]) for page in pages for item in page.get("Contents", [])}
        assert listed.keys() <= marks.keys(), listed.keys() - marks.keys()
        for key, mark in marks.items():
            possible = site.objects[key].since(mark)
            assert listed.get(key) in [v and (v.etag, v.size) for v in possible], f"{key} is listed as {listed.get(key)}, not as any of {possible}"


class Site:
    """What one writer writes, and what is known of it."""

    def __init__(self, number):
        self.prefix, self.bucket = f"w{number}/", f"own-{number}"
        # Some keys stand in the way of others, and one is no path: such objects lie in overflow.
        names = [*map(str, range(KEYS)), "0/below", "1/far/below", "dir/1", "dir/2", "/double"]
        self.objects = {self.prefix + name: Register() for name in names}
        self.crossing = {self.prefix + name for name in ("0", "0/below", "1", "1/far/below", "/double")}
        self.inside = {name: Register() for name in ("a", "b/c")}
        self.exists = Register()
        self.uploads = []
        self.creating = 0  # creations of uploads without an answer


class Load:
    """The load on one node and what is known of its effects, over any number of restarts."""

    def __init__(self, node, rng):
        self.node, self.rng = node, rng
        self.sites = [Site(number) for number in range(WRITERS)]
        self.ending = threading.Event()
        self.writes = self.reads = 0
        node.client().create_bucket(Bucket=SHARED)

    def run(self, seconds, end):
        """Loads the node for so long, then ends it by `end` under load."""
        self.ending.clear()
        writers = [Writer(self, number) for number in range(WRITERS)]
        readers = [Reader(self, number) for number in range(READERS)]
        for client in writers + readers:
            client.start()
        time.sleep(seconds)
        self.ending.set()
        end()
        for client in writers + readers:
            client.join(70)
            assert not client.is_alive(), f"{client.name} hangs"
            assert client.error is None, f"{client.name}: {client.error!r}"
        self.writes += sum(client.done for client in writers)
        self.reads += sum(client.done for client in readers)

    def settle(self):
        """After a restart: everything that was acknowledged is there whole, the rest whole or not at all."""
        s3 = self.node.client()
        for site in self.sites:
            for key, register in site.objects.items():
                settle_object(s3, SHARED, key, register)
        self.settle_buckets(s3)
        self.settle_uploads(s3)
        objects = {key: register.value for site in self.sites for key, register in site.objects.items()}
        check_listing(s3, SHARED, objects)

    def settle_buckets(self, s3):
        buckets = {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}
        assert buckets <= {SHARED} | {site.bucket for site in self.sites} and SHARED in buckets, buckets
        for site in self.sites:
            stands = True if site.bucket in buckets else None
            assert stands in site.exists.possible, f"{site.bucket}: {stands}, not one of {site.exists.possible}"
            site.exists.settle(stands)
            for key, register in site.inside.items():
                if stands:
                    settle_object(s3, site.bucket, key, register)
                else:
                    assert None in register.possible, f"{site.bucket} is gone with {key}"
                    register.settle(None)
            if stands:
                check_listing(s3, site.bucket, {key: register.value for key, register in site.inside.items()})

    def settle_uploads(self, s3):
        """Ends what was about to end, completes some of the others, leaves the rest for the next round."""
        listed = {upload["UploadId"]: upload["Key"] for page in s3.get_paginator("list_multipart_uploads").paginate(Bucket=SHARED)
                  for upload in page.get("Uploads", [])}
        for site in self.sites:
            for upload in list(site.uploads):
                stands = listed.pop(upload.id, None) is not None
                assert stands or upload.ending, f"the upload of {upload.key} is gone"
                if upload.ending == "abort":
                    if stands:
                        s3.abort_multipart_upload(Bucket=SHARED, Key=upload.key, UploadId=upload.id)
                elif upload.ending:
                    self.complete(s3, site, upload)
                else:
                    settle_parts(s3, upload)
                    if not upload.parts or self.rng.random() < 0.7:
                        continue
                    self.complete(s3, site, upload)
                site.uploads.remove(upload)
        unanswered = sum(site.creating for site in self.sites)
        assert len(listed) <= unanswered, f"{len(listed)} uploads that nobody knows, {unanswered} are possible"
        for upload, key in listed.items():
            s3.abort_multipart_upload(Bucket=SHARED, Key=key, UploadId=upload)
        for site in self.sites:
            site.creating = 0

    def complete(self, s3, site, upload):
        """Completes an upload, perhaps once more: then what it answered the first time stands."""
        value = upload.assembled()
        complete(s3, SHARED, upload.key, upload.id, upload.listed())
        check_object(upload.key, get(s3, SHARED, upload.key), [value])
        site.objects[upload.key].settle(value)

    def end_uploads(self):
        """Ends every upload, so that nothing is in progress."""
        s3 = self.node.client()
        for bucket in [SHARED] + [site.bucket for site in self.sites if site.exists.value]:
            for upload in s3.list_multipart_uploads(Bucket=bucket).get("Uploads", []):
                s3.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])

    def check_files(self):
        """On a stopped node: the buckets' folders hold the objects, byte for byte, and nothing else."""
        overflow = collections.defaultdict(list)  # keys without a plain file, by digest
        crossing = set().union(*(site.crossing for site in self.sites))
        buckets = {SHARED: {key: r.value for site in self.sites for key, r in site.objects.items()}}
        buckets |= {site.bucket: {key: r.value for key, r in site.inside.items()} for site in self.sites if site.exists.value}
        system = self.node.root / ".myfsio.sys"
        assert {path.name for path in self.node.root.iterdir()} == buckets.keys() | {system.name}
        for bucket, objects in buckets.items():
            objects = {key: value for key, value in objects.items() if value}
            folder = self.node.root / bucket
            found = {str(path.relative_to(folder)): path for path in folder.rglob("*")}
            plain = {key for key, path in found.items() if path.is_file()}
            useful = plain | {str(parent) for key in plain for parent in pathlib.PurePath(key).parents}
            assert plain <= objects.keys() and found.keys() <= useful, f"no objects: {found.keys() - useful, plain - objects.keys()}"
            for key in plain:
                assert found[key].read_bytes() == objects[key].body, f"{bucket}/{key}"
            apart = objects.keys() - plain
            assert apart <= crossing, f"no plain files: {apart - crossing}"
            for key in apart:
                overflow[objects[key].digest].append(f"{bucket}/{key}")
        for path in filter(pathlib.Path.is_file, system.glob("buckets/*/overflow/**/*")):
            what = digest(path.read_bytes())
            assert overflow[what], f"overflow of no object: {path} of {path.stat().st_size} bytes"
            overflow[what].pop()
        missing = [key for keys in overflow.values() for key in keys]
        assert not missing, f"not in overflow: {missing}"
        left = [path for path in (system / "tmp").iterdir() if path.stat().st_size]
        assert not left, f"bytes of nobody: {left}"
        assert not list((system / "trash").iterdir())


def get(s3, bucket, key):
    """ETag and body of an object, or None."""
    try:
        reply = s3.get_object(Bucket=bucket, Key=key)
        return reply["ETag"], reply["Body"].read()
    except ClientError as error:
        assert error.response["Error"]["Code"] == "NoSuchKey", error
        return None


def check_object(key, found, possible):
    """Errs unless what was read is one of the possible values; gives back which."""
    for value in possible:
        if (found is None and value is None) or (
            found and value and found[0] == value.etag and digest(found[1]) == value.digest
        ):
            return value
    raise AssertionError(f"{key} is {found and (found[0], len(found[1]))}, not one of {possible}")


def settle_object(s3, bucket, key, register):
    register.settle(check_object(f"{bucket}/{key}", get(s3, bucket, key), register.possible))


def check_listing(s3, bucket, objects):
    pages = list(s3.get_paginator("list_objects_v2").paginate(Bucket=bucket))
    want = {key: (value.etag, value.size) for key, value in objects.items() if value}
    assert keys_of(pages) == sorted(want, key=str.encode)
    assert {item["Key"]: (item["ETag"], item["Size"]) for page in pages for item in page.get("Contents", [])} == want


def settle_parts(s3, upload):
    listed = s3.list_parts(Bucket=SHARED, Key=upload.key, UploadId=upload.id).get("Parts", [])
    etags = {part["PartNumber"]: part["ETag"] for part in listed}
    assert etags.keys() <= upload.parts.keys(), etags
    for number, register in list(upload.parts.items()):
        etag = etags.get(number)
        found = [value for value in register.possible if (value and value.etag) == etag]
        assert found, f"part {number} of {upload.key} is {etag}, not one of {register.possible}"
        register.settle(found[0])
        if found[0] is None:
            del upload.parts[number]
