"""A node for tests: build/edgeos up with free ports in a folder of its own."""
import configparser
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import threading
import time

import boto3
import botocore.config

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = ROOT / os.environ.get("EDGEOS_BUILD", "build")
EDGEOS = BUILD / "edgeos"
# Images that `edgeos run` compiled: kept from one run of the tests to the next.
# They do not depend on how we were compiled, so all builds share them.
CACHE_HOME = ROOT / "build" / "test-cache"
SEED = CACHE_HOME / "node"
IS_SANITIZED = "asan" in BUILD.name or "tsan" in BUILD.name
# Far beyond what is expected: the machine may be slow, and busy with others.
START_TIMEOUT_S = 180
STOP_TIMEOUT_S = 120
# What a sanitizer or an assertion of ours leaves in the log.
# As on a machine with so many processors and one more, for tests that do not say it themselves.
CELLS = os.environ.get("EDGEOS_CELLS")
BAD_LOG = re.compile(
    r"ERROR: \w*Sanitizer|runtime error:|SUMMARY: \w*Sanitizer|assertion failed", re.IGNORECASE
)


def wait_for(condition, what, timeout_s=120.0, interval_s=0.02):
    """The first true value of CONDITION(); fails after TIMEOUT_S."""
    end = time.monotonic() + timeout_s * (4 if IS_SANITIZED else 1)
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {timeout_s} s for {what}")
        time.sleep(interval_s)


def processes_below(pid):
    """PIDs of the children of PID and of theirs."""
    children = {}
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text()
        except OSError:
            continue
        # The name is in parentheses and may hold anything; the parent is the second field after it.
        parent = int(text.rpartition(")")[2].split()[1])
        children.setdefault(parent, []).append(int(stat.parent.name))
    found, todo = [], [pid]
    while todo:
        below = children.get(todo.pop(), [])
        found += below
        todo += below
    return found


def process_name(pid):
    """The file name of the program that PID runs, or ""."""
    try:
        return os.path.basename(os.readlink(f"/proc/{pid}/exe")).removesuffix(" (deleted)")
    except OSError:
        return ""


class Node:
    """A running node, or one that can be started again with the same data and ports."""

    def __init__(self, folder, config="", environment=None, is_seeded=True, s3_config=""):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.data_dir = self.folder / "data"
        self.config_file = self.folder / "edgeos.yaml"
        self.log_file = self.folder / "log"
        self.extra_config = config
        if CELLS and "cell:" not in config:
            self.extra_config += f"cell: {{cells: {CELLS}}}\n"
        self.s3_config = s3_config  # ", KEY: VALUE" of the map s3
        self.environment = environment or {}
        self.process = None
        self.lines = []  # of standard output
        self.s3_url = self.http_url = None
        self.access_key = self.secret_key = None
        self.is_seeded = is_seeded
        self.command_prefix = []  # a program that runs it

    # Start and stop

    def start(self):
        assert self.process is None
        if self.is_seeded and not self.data_dir.exists():
            self._seed()
        s3 = self.s3_url.partition("//")[2] if self.s3_url else "127.0.0.1:0"
        http = self.http_url.partition("//")[2] if self.http_url else "127.0.0.1:0"
        self.config_file.write_text(
            f's3: {{listen: "{s3}"{self.s3_config}}}\nfunctions: {{listen: "{http}"}}\n{self.extra_config}'
        )
        self.lines = []
        self._ready = threading.Event()
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen(
                [*self.command_prefix, EDGEOS, "up", "-c", self.config_file, "--data", self.data_dir],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**os.environ, **self.environment},
                start_new_session=True,
            )
        self._reader = threading.Thread(target=self._read_output, args=(self.process,), daemon=True)
        self._reader.start()
        if not self._ready.wait(START_TIMEOUT_S):
            self._fail(f"not ready after {START_TIMEOUT_S} s")
        if "ready" not in self.lines:
            self._fail(f"ended with code {self.process.wait()}")
        self._parse_lines()
        return self

    def _seed(self):
        """Compiling takes seconds: all nodes of the tests have one key, and what one of them
        compiled the others find in their caches."""
        (SEED / "images").mkdir(parents=True, exist_ok=True)
        if not (SEED / "node.key").exists():
            key = SEED / f"node.key.{os.getpid()}"
            key.write_bytes(os.urandom(32))
            key.chmod(0o600)
            try:
                os.link(key, SEED / "node.key")
            except FileExistsError:
                pass  # another run of tests was first
            key.unlink()
        (self.data_dir / "images").mkdir(parents=True, mode=0o700)
        shutil.copy(SEED / "node.key", self.data_dir)
        (self.data_dir / "node.key").chmod(0o600)
        for image in (SEED / "images").glob("*.fwp"):
            shutil.copy(image, self.data_dir / "images")

    def keep_images(self):
        """What this node compiled, for those to come."""
        if not self.is_seeded:
            return
        for image in (self.data_dir / "images").glob("*.fwp"):
            if not (SEED / "images" / image.name).exists():
                # Whole or not at all for those who copy it meanwhile.
                temporary = SEED / f"{image.name}.{os.getpid()}"
                shutil.copy(image, temporary)
                temporary.rename(SEED / "images" / image.name)

    def _read_output(self, process):
        for line in process.stdout:
            self.lines.append(line.strip())
            if line.strip() == "ready":
                self._ready.set()
        self._ready.set()

    def _parse_lines(self):
        for line in self.lines:
            word, _, rest = line.partition(" ")
            if word == "S3":
                self.s3_url = rest.strip()
            elif word == "functions":
                self.http_url = rest.strip()
        ini = configparser.ConfigParser()
        ini.read(self.data_dir / "credentials")
        self.access_key = ini["default"]["aws_access_key_id"]
        self.secret_key = ini["default"]["aws_secret_access_key"]
        assert self.s3_url and self.http_url, self.lines

    def _fail(self, what):
        output = "\n".join(self.lines[-20:])
        log = self.log()[-4000:]
        self.kill_group()
        raise AssertionError(f"edgeos up: {what}\n{output}\n{log}")

    def stop(self):
        """A clean stop, as Ctrl-C does it; its exit code must be 0."""
        self.process.send_signal(signal.SIGINT)
        try:
            code = self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._fail(f"did not stop within {STOP_TIMEOUT_S} s")
        self._reader.join(5)
        self.kill_group()
        assert code == 0, f"edgeos up ended with {code}\n{self.log()[-4000:]}"

    def restart(self):
        self.stop()
        return self.start()

    def kill9(self):
        """edged dies at once, as in a power cut for everything but the page cache."""
        os.kill(self.edged_pid(), signal.SIGKILL)
        self.process.wait(STOP_TIMEOUT_S)
        self._reader.join(5)
        self.kill_group()

    def kill_group(self):
        """Ends what is left of the node; then start() may be called again."""
        if self.process is None:
            return
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        self.process.stdout.close()
        self.process = None

    # Looking at it

    def pids(self):
        return [self.process.pid, *processes_below(self.process.pid)]

    def edged_pid(self):
        """`edgeos up` becomes edged or has it as a child."""
        for pid in self.pids():
            if process_name(pid) == "edged":
                return pid
        return self.process.pid

    def cell_pids(self):
        """The cells' processes."""
        return sorted(pid for pid in self.pids() if process_name(pid) == "edge-cell")

    def wait_for_new_cells(self, old, timeout_s=120.0):
        """Waits until there are as many cells as OLD has, and none of those."""

        def are_new():
            pids = self.cell_pids()
            return len(pids) == len(old) and not set(pids) & set(old)

        wait_for(are_new, "new cells", timeout_s)

    def kill_cells(self):
        """Kills the cells and waits until there are others."""
        old = wait_for(self.cell_pids, "cells")
        for pid in old:
            os.kill(pid, signal.SIGKILL)
        self.wait_for_new_cells(old)

    def log(self):
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def check_log(self):
        """No sanitizer, no assertion had anything to say."""
        match = BAD_LOG.search(self.log())
        assert not match, self.log()[max(0, match.start() - 500) : match.start() + 4000]

    # Speaking to it

    def cli(self, *args, check=True, stdin=None, timeout_s=300):
        """Runs `edgeos ARGS…` on this node."""
        return run_edgeos(
            *args,
            check=check,
            stdin=stdin,
            timeout_s=timeout_s,
            environment={"EDGEOS_DATA": str(self.data_dir), **self.environment},
        )

    def cli_json(self, *args):
        return json.loads(self.cli(*args, "--json").stdout)

    def s3(self, **options):
        """A boto3 client; it does not retry unless told to."""
        config = {
            "retries": {"max_attempts": 0},
            "s3": {"addressing_style": "path"},
            "connect_timeout": 10,
            "read_timeout": 60,
            **options,
        }
        return boto3.client(
            "s3",
            endpoint_url=self.s3_url,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name="us-east-1",
            config=botocore.config.Config(**config),
        )


def run_edgeos(*args, check=True, stdin=None, timeout_s=300, environment=None):
    """Runs `edgeos ARGS…`; standard input is bytes or nothing, the outputs are text."""
    result = subprocess.run(
        [str(EDGEOS), *map(str, args)],
        input=stdin if stdin is not None else b"",
        capture_output=True,
        timeout=timeout_s,
        env={**os.environ, "XDG_CACHE_HOME": str(CACHE_HOME), **(environment or {})},
    )
    result.stdout = result.stdout.decode(errors="replace")
    result.stderr = result.stderr.decode(errors="replace")
    assert not BAD_LOG.search(result.stderr), result.stderr
    if check:
        assert result.returncode == 0, f"edgeos {args}: {result.returncode}\n{result.stderr}"
    return result
