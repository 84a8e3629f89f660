"""Runs test_s3*.py against the bare S3 server instead of a whole node:

    PYTHONPATH=tests/integ/s3_local pytest --noconftest -p s3_serve_node tests/integ/test_s3*.py
"""
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "lib"))
SERVER = ROOT / os.environ.get("EDGEOS_BUILD", "build") / "src" / "s3" / "s3_serve"


class Server:
    """What test_s3*.py use of a node."""

    access_key, secret_key = "AKIDS3LOCAL", "a/secret+of=forty0characters"

    def __init__(self, folder):
        self.data_dir = folder / "data"
        self.process = self.s3_url = None

    def start(self):
        env = {**os.environ, "EDGEOS_ACCESS_KEY": self.access_key,
               "EDGEOS_SECRET_KEY": self.secret_key}
        self.process = subprocess.Popen([SERVER, self.data_dir], env=env, text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        port = self.process.stdout.readline().strip()
        assert port, f"{SERVER} did not start"
        self.s3_url = f"http://127.0.0.1:{port}"
        return self

    def stop(self):
        self.process.stdin.close()
        code = self.process.wait(60)
        self.process.stdout.close()
        assert code == 0, f"{SERVER} ended with {code}"


@pytest.fixture(scope="module")
def shared_node(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("s3")).start()
    yield server
    server.stop()


@pytest.fixture
def node(tmp_path):
    server = Server(tmp_path).start()
    yield server
    server.stop()
