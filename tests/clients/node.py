"""Starts and stops a node for the tests: one process, one data directory, two free ports.

A node is started as a user would start it: by its binary, settings in the environment, nothing else inherited. It is ready
when /healthz answers 200. Whatever goes wrong, `close` ends the process and removes the directory.
"""

import datetime
import json
import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request

import boto3
import botocore.auth
import botocore.crt.auth
from botocore.config import Config

REPO = pathlib.Path(__file__).resolve().parents[2]
TLS_FILES = REPO / "tests" / "fixtures" / "tls"
BINARY = os.environ.get("MYFSIO_BIN", str(REPO / "target" / "debug" / "myfsio"))
ACCESS, SECRET, REGION = "localadmin", "localadmin", "us-east-1"
START_SECONDS = 20


_now = botocore.auth.get_current_datetime
_signing = threading.local()
# Of tests whose nodes have clocks that are off: requests are signed with the time of the node that they go to.
botocore.auth.get_current_datetime = botocore.crt.auth.get_current_datetime = lambda *args, **more: (
    _now(*args, **more) + datetime.timedelta(seconds=getattr(_signing, "ahead", 0)))


def sign_ahead(seconds):
    """Requests of this thread are signed so much later from now on."""
    _signing.ahead = seconds


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def believing():
    """What verifies nodes whose certificate is one of the tests' own."""
    return ssl.create_default_context(cafile=TLS_FILES / "ca.pem")


def make_client(endpoint, access=ACCESS, secret=SECRET, **config):
    """A boto3 client without retries, path style unless told otherwise."""
    s3 = {"addressing_style": "path", **config.pop("s3", {})}
    verify = str(TLS_FILES / "ca.pem") if endpoint.startswith("https:") else None
    region = config.pop("region_name", REGION)
    config = Config(
        retries={"total_max_attempts": 1}, s3=s3, signature_version=config.pop("signature_version", "s3v4"),
        connect_timeout=5, read_timeout=60, max_pool_connections=32, **config,
    )
    return boto3.client("s3", endpoint_url=endpoint, region_name=region, aws_access_key_id=access,
                        aws_secret_access_key=secret, config=config, verify=verify)


class Node:
    """A running node; `root` is its data directory, `endpoint` its S3 URL."""

    ahead = 0
    """Seconds by which its clock is ahead."""

    def __init__(self, **env):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="myfsio-test-"))
        self.root = self.dir / "data"
        self.cwd = self.dir / "cwd"
        self.cwd.mkdir()
        self.env = {k: str(v) for k, v in env.items()}
        self.process = None
        self.log = self.dir / "log"

    def start(self):
        """Starts it and waits until it is ready."""
        self.launch()
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise RuntimeError(f"the node ended with status {self.process.returncode} at its start:\n{self.tail()}")
            if self.healthy():
                return self
            time.sleep(0.03)
        self.kill()
        raise RuntimeError(f"the node was not ready within {START_SECONDS} s:\n{self.tail()}")

    def launch(self):
        """Starts the process and waits for nothing."""
        self.port, self.ui_port = free_port(), free_port()
        scheme = "https" if "TLS_CERT_PATH" in self.env else "http"
        self.endpoint = f"{scheme}://127.0.0.1:{self.port}"
        env = {
            "PATH": os.environ.get("PATH", ""), "HOME": str(self.cwd), "HOST": "127.0.0.1", "PORT": str(self.port),
            "UI_PORT": str(self.ui_port), "STORAGE_ROOT": str(self.root), "JOURNAL_SEGMENT_BYTES": "4194304",
            "LOG_LEVEL": "warn", **self.env,
        }
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([BINARY], cwd=self.cwd, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def healthy(self):
        try:
            with urllib.request.urlopen(self.endpoint + "/healthz", timeout=2, context=believing() if "TLS_CERT_PATH" in self.env else None) as reply:
                return reply.status == 200 and json.load(reply)["status"] == "ok"
        except (OSError, urllib.error.URLError, ValueError, KeyError):
            return False

    def tail(self):
        return self.log.read_text(errors="replace")[-4000:] if self.log.exists() else ""

    def client(self, access=ACCESS, secret=SECRET, **config):
        s3 = make_client(self.endpoint, access, secret, **config)
        s3.meta.events.register("before-sign.s3", lambda **_: sign_ahead(self.ahead))
        return s3

    def stop(self):
        """SIGTERM; a clean shutdown ends with status 0."""
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()
            raise RuntimeError(f"the node did not end within 30 s of SIGTERM:\n{self.tail()}") from None
        assert status == 0, f"status {status} after SIGTERM:\n{self.tail()}"

    def kill(self):
        """SIGKILL: what a crash leaves."""
        self.process.kill()
        self.process.wait(10)

    def close(self):
        if self.process and self.process.poll() is None:
            self.kill()
        shutil.rmtree(self.dir, ignore_errors=True)

    def file(self, bucket, key):
        return self.root / bucket / key

    def wait_file(self, bucket, key, data, seconds=5):
        """Waits until the plain file holds exactly `data`."""
        path, end = self.file(bucket, key), time.monotonic() + seconds
        while True:
            found = path.read_bytes() if path.is_file() else None
            if found == data:
                return
            assert time.monotonic() < end, f"{path}: {'missing' if found is None else str(len(found)) + ' bytes, not equal'}"
            time.sleep(0.05)

    def iam_path(self):
        return self.root / ".myfsio.sys" / "config" / "iam.json"

    def iam(self):
        return json.loads(self.iam_path().read_text())

    def write_iam(self, document):
        text = document if isinstance(document, str) else json.dumps(document, indent=2)
        temporary = self.iam_path().with_name("iam.json.edit")
        temporary.write_text(text)
        os.chmod(temporary, 0o600)
        os.replace(temporary, self.iam_path())

    def add_users(self, *users):
        document = self.iam()
        names = {u["access_key"] for u in users}
        document["users"] = [u for u in document["users"] if u.get("access_key") not in names] + list(users)
        self.write_iam(document)
