"""Another S3 implementation: a server of moto."""

import subprocess
import sys

from node import free_port, make_client


class Service:
    """A server of moto. What it has is gone with it, so it is never killed; the link to it is."""

    def __init__(self):
        self.port = free_port()
        self.process = subprocess.Popen([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.s3 = make_client(self.endpoint, "testing", "testing")

    def is_ready(self):
        try:
            return self.s3.list_buckets() is not None
        except Exception:
            return False

    def close(self):
        self.process.kill()
        self.process.wait(10)
