"""Chains of packet functions: applying them, and clients for their endpoints."""
import contextlib
import json
import os
import pathlib
import socket
import struct

from edgeos_functions import HEADER
from edgeos_node import ROOT, Node, process_name, processes_below, wait_for
from edgeos_wasm import _cached, _run

# How many cores data planes have, where a test does not say it.
CORES = int(os.environ.get("EDGEOS_PLANE_CORES", "1"))
CONFIG = f"plane: {{cores: {CORES}}}\n"
LIMIT_S = 120  # for an answer that has to come


def compile_packets(source):
    """The module that sdk/build makes of C text; handlers are exported as the SDK says."""
    source = HEADER + "#include <edgeos_packet.h>\n" + source

    def make(out):
        text = out.with_suffix(".c")
        text.write_text(source)
        _run([str(ROOT / "sdk" / "build"), str(text), "-o", str(out)])
        text.unlink()

    # Made anew when the headers have changed.
    headers = "".join(path.read_text() for path in sorted((ROOT / "sdk" / "c").glob("*.h")))
    return _cached(f"sdk {headers}", source, "wasm", make)


def write(node, name, text):
    path = pathlib.Path(node.folder) / f"{name}.yaml"
    path.write_text(f"chain: {name}\n{text}\n")
    return path


def apply(node, name, text, check=True):
    """Applies chain NAME; TEXT is the rest of its manifest."""
    return node.cli("chain", "apply", write(node, name, text), check=check)


def remove_all(node):
    for chain in node.cli_json("chain", "list")["chains"]:
        node.cli("chain", "rm", chain["chain"])


def show(node, name):
    return node.cli_json("chain", "show", name)


def wait_for_plane(node, timeout_s=120.0):
    """A worker runs, and takes requests."""
    wait_for(lambda: node.cli("chain", "list", check=False).returncode == 0, "the data plane",
             timeout_s, 0.1)


@contextlib.contextmanager
def plane_node(folder, config=CONFIG):
    """A node whose data plane runs; afterwards it stops, and has had nothing to complain of."""
    node = Node(folder, config).start()
    try:
        wait_for_plane(node)
        yield node
        node.stop()
    finally:
        node.kill_group()
        node.keep_images()
    node.check_log()


def plane_pids(node):
    """The keeper's and the worker's pids."""
    keepers = [pid for pid in processes_below(node.edged_pid()) if process_name(pid) == "edge-plane"]
    workers = [pid for keeper in keepers for pid in processes_below(keeper)]
    keepers = [pid for pid in keepers if pid not in workers]
    return (keepers[0], workers[0]) if keepers and workers else None


def free_ports(kind, count=1):
    """The first of COUNT port numbers in a row that nobody has on 127.0.0.1 and 127.0.0.2. They are
    below those that the kernel gives to others by itself."""
    start = 12000 + os.getpid() * 37 % 15000
    for first in range(start, start + 5000, count):
        sockets = []
        try:
            for i in range(count):
                for address in ("127.0.0.1", "127.0.0.2"):
                    one = socket.socket(socket.AF_INET, kind)
                    sockets.append(one)
                    one.bind((address, first + i))
            if first not in _given:
                _given.add(first)
                return first
        except OSError:
            pass
        finally:
            for one in sockets:
                one.close()
    raise AssertionError("no free ports")


_given = set()


def udp_port():
    return free_ports(socket.SOCK_DGRAM)


def tcp_port():
    return free_ports(socket.SOCK_STREAM)


class Udp:
    """A client of an endpoint for UDP, by its own address."""

    def __init__(self, port, source="127.0.0.1", target="127.0.0.1", timeout_s=LIMIT_S):
        family = socket.AF_INET6 if ":" in target else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.bind((source, 0))
        self.socket.connect((target, port))
        self.socket.settimeout(timeout_s)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.send(data)

    def receive(self, timeout_s=None):
        """The next datagram; None: there was none in TIMEOUT_S."""
        if timeout_s is None:
            return self.socket.recv(65536)
        old = self.socket.gettimeout()
        self.socket.settimeout(timeout_s)
        try:
            return self.socket.recv(65536)
        except TimeoutError:
            return None
        finally:
            self.socket.settimeout(old)

    def ask(self, data):
        self.send(data)
        return self.receive()


def ask_until(port, data, timeout_s=120.0, **options):
    """An answer to DATA, asked for again and again, as while chains are applied anew."""

    def once():
        with Udp(port, **options) as client:
            try:
                client.send(data)
                return client.receive(10)
            except ConnectionRefusedError:
                return None

    return wait_for(once, f"an answer on port {port}", timeout_s, 0.05)


def connect(port, source=None, timeout_s=LIMIT_S, buffer=None, target="127.0.0.1"):
    """A connection to an endpoint for TCP."""
    client = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if buffer:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    client.settimeout(timeout_s)
    if source:
        client.bind((source, 0))
    client.connect((target, port))
    return client


def receive_all(client):
    """Everything until the other side's end."""
    parts = []
    while True:
        data = client.recv(1 << 20)
        if not data:
            return b"".join(parts)
        parts.append(data)


def receive_exactly(client, count):
    data = bytearray()
    while len(data) < count:
        part = client.recv(min(count - len(data), 1 << 20))
        assert part, f"ended after {len(data)} of {count} bytes"
        data += part
    return bytes(data)


def reset(client):
    """Ends a connection with a reset."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
