"""The data plane's control socket: a program in edged's place that sends what it should not, closes
when it likes, and does not listen. docs/formats/plane-control.md is what it breaks."""
import array
import contextlib
import ctypes
import hashlib
import json
import os
import pathlib
import random
import signal
import socket
import subprocess
import time

import edgeos_node
import pytest
from edgeos_chains import CONFIG, Udp, apply, compile_packets, udp_port, wait_for_plane
from edgeos_node import BUILD, processes_below, wait_for
from test_chain import TOY

MESSAGE_MAX = 96 << 10
FDS_MAX = 20
WAIT_S = 120


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """(the file of a signed image of the toy, the public key in hexadecimal digits)"""
    toy = compile_packets(TOY)
    node = edgeos_node.Node(tmp_path_factory.mktemp("node"), CONFIG).start()
    try:
        wait_for_plane(node)
        apply(node, "toy", f"endpoint: {{udp: {udp_port()}}}\nstages: [{toy}]")
        digest = hashlib.sha256(toy.read_bytes()).digest()
        images = [path for path in (node.data_dir / "images").glob("*.fwp") if digest in path.read_bytes()[:512]]
        assert images, "no image of the toy"
        # The seed of an Ed25519 key, which openssl wants in a frame.
        seed = (node.data_dir / "node.key").read_bytes()
        frame = bytes.fromhex("302e020100300506032b657004220420") + seed
        key = subprocess.run(["openssl", "pkey", "-inform", "DER", "-pubout", "-outform", "DER"],
                             input=frame, capture_output=True, check=True).stdout[-32:]
        yield images[0].read_bytes(), key.hex()
        node.stop()
    finally:
        node.kill_group()
        node.keep_images()


def memory_file(data):
    fd = os.memfd_create("document")
    os.write(fd, data)
    return fd


class Edged:
    """What the data plane takes for edged."""

    def __init__(self, key, log, config=b"plane: {}\n"):
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(WAIT_S)
        self.log = open(log, "ab")
        document = memory_file(config)
        self.process = subprocess.Popen(
            [BUILD / "edge-plane", str(document), str(theirs.fileno()), key, str(os.getpid())],
            pass_fds=[document, theirs.fileno()], stdin=subprocess.DEVNULL, stderr=self.log)
        os.close(document)
        theirs.close()
        self.id = 0

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.socket.close()
        self.log.close()
        try:
            code = self.process.wait(WAIT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        if kind is None:
            assert code == 0

    def send(self, data, fds=()):
        control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self.socket.sendmsg([data], control)

    def receive(self):
        """(the message, descriptors); None: the other side is gone."""
        data, control, _, _ = self.socket.recvmsg(MESSAGE_MAX, socket.CMSG_SPACE(4 * FDS_MAX))
        fds = array.array("i")
        for level, kind, payload in control:
            assert (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS)
            fds.frombytes(payload)
        return (json.loads(data), list(fds)) if data else None

    def wait_until_ready(self):
        message, fds = self.receive()
        assert message == {"ready": 1} and not fds

    def ask(self, op, fds=(), **members):
        """(the error or None, the document or None)"""
        self.id += 1
        self.send(json.dumps({"id": self.id, "op": op, **members}).encode(), fds)
        reply, fds = self.receive()
        assert reply["id"] == self.id, reply
        if not fds:
            return reply["error"], None
        document = os.pread(fds[0], reply["len"] + 1, 0)
        os.close(fds[0])
        assert len(document) == reply["len"]
        return reply["error"], json.loads(document)

    def worker(self):
        return wait_for(lambda: processes_below(self.process.pid), "the worker")[0]

    def fds_count(self):
        # What came with a request may be closed after its reply, but before the next one is read.
        assert self.ask("state", name="none")[0]
        return len(os.listdir(f"/proc/{self.worker()}/fd"))


@pytest.fixture
def make_edged(image, tmp_path):
    log = tmp_path / "log"

    def make(**options):
        return Edged(image[1], log, **options)

    yield make
    if log.exists():
        text = log.read_text(errors="replace")
        assert not edgeos_node.BAD_LOG.search(text), text[-4000:]
        assert "signal=" not in text, text[-4000:]


def manifest(port, name="toy", image="toy.wasm", rest=""):
    return f"chain: {name}\nendpoint: {{udp: {port}}}\nstages: [{image}]\n{rest}"


def test_well_behaved(make_edged, image):
    port = udp_port()
    with make_edged() as edged:
        edged.wait_until_ready()
        good = memory_file(image[0])
        before = edged.fds_count()
        for _ in range(3):
            assert edged.ask("apply", [good], name="toy.yaml", manifest=manifest(port)) == (None, None)
            with Udp(port) as client:
                assert client.ask(b"count") == b"1"
        error, state = edged.ask("state")
        assert error is None and [chain["chain"] for chain in state["chains"]] == ["toy"]
        error, chain = edged.ask("state", name="toy")
        assert error is None and chain["version"] == 3
        assert edged.ask("remove", name="toy") == (None, None)
        assert edged.ask("state")[1]["chains"] == []
        wait_for(lambda: edged.fds_count() == before, "descriptors as before")
        os.close(good)


def test_no_configuration(make_edged):
    """A worker that cannot start says why, again and again, until nobody listens."""
    with make_edged(config=b"plane: {chains: none}\n") as edged:
        message, _ = edged.receive()
        assert "chains" in message["failed"]
        assert "failed" in edged.receive()[0]


BROKEN = {
    "garbage": b"\xff\0\x7fgarbage",
    "text": b"hello",
    "number": b"5",
    "list": b"[]",
    "empty map": b"{}",
    "no id is fine, no op is not": b'{"id": 1}',
    "op of another kind": b'{"id": 1, "op": {}}',
    "unknown op": b'{"id": 1, "op": "reboot"}',
    "id below zero": b'{"id": -1, "op": "state"}',
    "id as text": b'{"id": "one", "op": "state"}',
    "depth": b"[" * 50000,
    "half": b'{"id": 1, "op": "state"',
    "twice": b'{"id": 1, "id": 2, "op": "state"}',
    "name of another kind": b'{"id": 1, "op": "state", "name": []}',
    "apply what": b'{"id": 1, "op": "apply"}',
    "apply no text": b'{"id": 1, "op": "apply", "manifest": {"chain": "a"}}',
    "remove what": b'{"id": 1, "op": "remove"}',
    "too long": b'{"id": 1, "op": "state", "x": "' + b"x" * MESSAGE_MAX + b'"}',
    "fewer images": json.dumps({"id": 1, "op": "apply", "name": "a", "manifest": manifest(1)}).encode(),
}


@pytest.mark.parametrize("what", BROKEN)
def test_broken(make_edged, what):
    """The worker ends, and there is a new one, which takes what is right."""
    with make_edged() as edged:
        edged.wait_until_ready()
        old = edged.worker()
        edged.send(BROKEN[what])
        edged.wait_until_ready()
        assert edged.worker() != old
        assert edged.ask("state")[0] is None


@pytest.mark.parametrize("count", [FDS_MAX, FDS_MAX + 1, 250])
def test_descriptors(make_edged, count):
    """What comes with a request that has no use for it is closed; too many break the protocol."""
    with make_edged() as edged:
        edged.wait_until_ready()
        null = os.open("/dev/null", os.O_RDONLY)
        before = edged.fds_count()
        if count <= FDS_MAX:
            for _ in range(200):
                assert edged.ask("state", [null] * count)[0] is None
            assert edged.fds_count() == before
        else:
            edged.send(b'{"id": 1, "op": "state"}', [null] * count)
            edged.wait_until_ready()
            assert edged.fds_count() == before
        os.close(null)


def images_that_are_none(good):
    header, rest = good[:4096], good[4096:]
    yield b"", "damaged"
    yield b"#!/bin/sh\n" * 1000, "not an EdgeOS image"
    yield good[:100], "damaged"
    yield good[:-1], ""
    yield good + b"x", None
    yield good[:-64] + bytes(64), "sign"
    yield header + bytes([rest[0] ^ 1]) + rest[1:], "sign"
    rng = random.Random(20)
    for _ in range(40):
        at = rng.randrange(len(good))
        yield good[:at] + bytes([good[at] ^ (1 << rng.randrange(8))]) + good[at + 1 :], ""
    for at in range(0, 64):
        yield good[:at] + b"\xff" + good[at + 1 :], None


def test_wrong_images(make_edged, image):
    """Each is refused in words, and nothing has changed; no descriptor stays."""
    port = udp_port()
    good = memory_file(image[0])
    with make_edged() as edged:
        edged.wait_until_ready()
        assert edged.ask("apply", [good], name="toy.yaml", manifest=manifest(port))[0] is None
        before = edged.fds_count()
        for data, word in images_that_are_none(image[0]):
            fd = memory_file(data)
            error, _ = edged.ask("apply", [fd], name="toy.yaml", manifest=manifest(port))
            os.close(fd)
            if word is None and data[: len(image[0])] == image[0]:
                continue
            assert error and (word or "") in error, (word, error)
        read_end, write_end = os.pipe()
        folder = os.open("/", os.O_RDONLY)
        zero = os.open("/dev/zero", os.O_RDONLY)
        path_only = os.open("/etc/passwd", os.O_PATH)
        epoll = socket.socket()
        for fd in (read_end, write_end, folder, zero, path_only, epoll.fileno()):
            error, _ = edged.ask("apply", [fd], name="toy.yaml", manifest=manifest(port))
            assert error, fd
        for fd in (read_end, write_end, folder, zero, path_only):
            os.close(fd)
        epoll.close()
        with Udp(port) as client:
            assert client.ask(b"count") == b"1"
        assert edged.fds_count() == before
    os.close(good)


def test_other_key(image, tmp_path):
    with Edged("11" * 32, tmp_path / "log") as edged:
        edged.wait_until_ready()
        good = memory_file(image[0])
        error, _ = edged.ask("apply", [good], name="toy.yaml", manifest=manifest(udp_port()))
        assert "sign" in error
        os.close(good)


def test_wrong_manifests(make_edged, image):
    """Words, not a death; also where the manifest is made of arbitrary bytes."""
    good = memory_file(image[0])
    rng = random.Random(7)
    port = udp_port()
    text = manifest(port, rest="isolation: {fixed: 3}\nlimits: {memory: 2MiB, chains: 7}\nidle: 3s\n")
    with make_edged() as edged:
        edged.wait_until_ready()
        before = edged.fds_count()
        for bad in ("", "[", "chain: [a]", "x" * 60000, "&a [*a]", "chain: a\nchain: b",
                    manifest(99999), manifest(port, name="../etc"), manifest(port, rest="out: wan")):
            assert edged.ask("apply", [good], name="a.yaml", manifest=bad)[0], bad
        for _ in range(300):
            changed = list(text)
            for _ in range(rng.randrange(1, 4)):
                changed[rng.randrange(len(changed))] = rng.choice(":{}[]\n\t ,-&*0a\x01\u20ac")
            try:
                edged.ask("apply", [good], name="a.yaml", manifest="".join(changed))
            except TypeError:
                # Another number of stages than there are images.
                pytest.fail("the worker ended")
        for chain in edged.ask("state")[1]["chains"]:
            assert edged.ask("remove", name=chain["chain"]) == (None, None)
        assert edged.ask("remove", name="nobody")[0] == 'no chain "nobody"'
        assert edged.ask("state", name="\x01\"\\")[0]
        wait_for(lambda: edged.fds_count() == before, "descriptors as before")
    os.close(good)


def test_flood(make_edged, image):
    """Requests without anybody who reads the answers."""
    with make_edged() as edged:
        edged.wait_until_ready()
        before = edged.fds_count()
        edged.socket.settimeout(0.3)
        sent = 0
        with contextlib.suppress(TimeoutError, BlockingIOError):
            for _ in range(3000):
                edged.send(b'{"id": 0, "op": "state"}')
                sent += 1
        assert sent > 10
        # Answers, and perhaps a new worker for who waited too long; then the right one.
        is_asked, end = False, time.monotonic() + WAIT_S
        while time.monotonic() < end:
            with contextlib.suppress(TimeoutError, BlockingIOError):
                message, fds = edged.receive()
                for fd in fds:
                    os.close(fd)
                if message.get("id") == 777:
                    break
                is_asked = is_asked and message != {"ready": 1}
                continue
            if not is_asked:
                with contextlib.suppress(TimeoutError, BlockingIOError):
                    edged.send(b'{"id": 777, "op": "state"}')
                    is_asked = True
        else:
            pytest.fail("no answer")
        assert edged.fds_count() == before


def test_closed_at_any_time(make_edged, image):
    """Whenever its owner goes, it ends, and its worker with it."""
    request = json.dumps({"id": 1, "op": "apply", "name": "a", "manifest": manifest(udp_port())}).encode()
    good = memory_file(image[0])
    for i in range(12):
        with make_edged() as edged:
            if i % 3 == 0:
                time.sleep(i * 0.003)
                continue
            edged.wait_until_ready()
            for _ in range(i):
                edged.send(request, [good])
            if i % 3 == 1:
                time.sleep(0.01)
    os.close(good)


def test_closed_while_the_worker_is_away(make_edged):
    """The keeper does not start workers for nobody."""
    with make_edged() as edged:
        edged.wait_until_ready()
        os.kill(edged.worker(), signal.SIGKILL)
        wait_for(lambda: not processes_below(edged.process.pid), "its end")
        log = edged.log.name
    pathlib.Path(log).write_text("")


def test_hung_worker(image, tmp_path):
    """A worker that stands still is killed, and the next one serves."""
    port = udp_port()
    log = tmp_path / "log"
    good = memory_file(image[0])
    with Edged(image[1], log, config=b"plane: {watchdog: 4s}\n") as edged:
        for stops in (True, False):
            edged.wait_until_ready()
            assert edged.ask("state")[1]["chains"] == []
            assert edged.ask("apply", [good], name="toy.yaml", manifest=manifest(port)) == (None, None)
            with Udp(port) as client:
                assert client.ask(b"count") == b"1"
            if stops:
                os.kill(edged.worker(), signal.SIGSTOP)
    os.close(good)
    text = log.read_text()
    assert text.count("worker hangs, killed") == 1 and text.count("signal=9") == 1
    assert not edgeos_node.BAD_LOG.search(text)


def test_arguments():
    for args in ([], ["1"], ["a", "b", "c", "d"], ["3", "4", "00", "1"], ["3", "4", "11" * 32, "x"]):
        result = subprocess.run([BUILD / "edge-plane", *args], capture_output=True, timeout=WAIT_S)
        assert result.returncode == 2, args
    # Without a parent, or what it should bring along.
    result = subprocess.run([BUILD / "edge-plane", "3", "4", "11" * 32, "1"], capture_output=True, timeout=WAIT_S)
    assert result.returncode == 1
