"""The memcached sample on the data plane: with memcached's own clients, beside Debian's memcached,
and at its edges."""
import concurrent.futures
import contextlib
import os
import re
import shutil
import socket
import subprocess
import threading

import pytest
from edgeos_chains import (
    Udp, apply, connect, plane_node, receive_exactly, remove_all, reset, show, tcp_port, udp_port,
)
from edgeos_node import wait_for
from memcached_table import REQUESTS, set_, value_of

SENTINEL = b"ms sentinel 0 Osentinel\r\n\r\n"
SENTINEL_ANSWER = b"HD Osentinel\r\n"


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    with plane_node(tmp_path_factory.mktemp("node")) as node:
        yield node


def manifest(samples, endpoint, isolation="tenant", megabytes=64):
    return (
        f"endpoint: {{{endpoint}}}\nisolation: {isolation}\nidle: 0\n"
        f"limits: {{memory: {megabytes + 16}MiB, timeout: 1s}}\n"
        f'stages: [{{image: {samples}/memcached.wasm, config: {{memory: "{megabytes}"}}}}]'
    )


@pytest.fixture(scope="module")
def tcp(node, samples):
    """The port of a memcached that is one for all, over TCP."""
    port = tcp_port()
    apply(node, "cache", manifest(samples, f"tcp: {port}"))
    return port


@pytest.fixture(scope="module")
def udp(node, samples):
    """The port of one for each client, over UDP."""
    port = udp_port()
    apply(node, "caches", manifest(samples, f"udp: {port}", "client"))
    return port


def ask(client, request):
    """The answer to REQUEST, whose last line is the answer to another one."""
    client.sendall(request + SENTINEL)
    answer = bytearray()
    while not answer.endswith(SENTINEL_ANSWER):
        part = client.recv(1 << 20)
        if not part:
            return bytes(answer) + b"<closed>"
        answer += part
    return bytes(answer[: -len(SENTINEL_ANSWER)])


# --- memcached's own tools ---


def tool(*args, **options):
    return subprocess.run(args, capture_output=True, text=True, timeout=300, **options)


def test_memccapable(tcp):
    """The conformance test of libmemcached, for the text protocol."""
    result = tool("memccapable", "-a", "-h", "127.0.0.1", "-p", str(tcp))
    assert result.returncode == 0, result.stdout + result.stderr
    lines = [line for line in result.stdout.splitlines() if "ascii" in line]
    assert len(lines) >= 20 and all("[pass]" in line for line in lines), result.stdout
    assert "All tests passed" in result.stdout


def test_tools(tcp, tmp_path):
    server = f"--servers=127.0.0.1:{tcp}"
    assert tool("memcping", server).returncode == 0
    (tmp_path / "note").write_bytes(value_of(5000))
    assert tool("memccp", server, str(tmp_path / "note")).returncode == 0
    assert tool("memcexist", server, "note").returncode == 0
    assert tool("memcexist", server, "nothing").returncode != 0
    got = tool("memccat", server, "note")
    assert got.returncode == 0 and got.stdout.strip().encode() == value_of(5000)
    stats = tool("memcstat", server)
    assert "curr_items" in stats.stdout and "version: 1.6.18" in stats.stdout, stats.stdout
    assert tool("memctouch", server, "--expire=100", "note").returncode == 0
    assert tool("memcrm", server, "note").returncode == 0
    assert tool("memccat", server, "note").stdout.strip() == ""
    with connect(tcp) as client:
        assert ask(client, b"flush_all\r\n" + set_(b"one", b"1") + set_(b"two", b"2"))
    assert tool("memcdump", server).stdout.split() == ["sentinel", "two", "one"]
    slap = tool("memcslap", server, "--concurrency=4", "--execute-number=500", "--test=get",
                "--initial-load=200")
    assert slap.returncode == 0, slap.stdout + slap.stderr
    assert tool("memcflush", server).returncode == 0


# --- beside the original ---


@pytest.fixture(scope="module")
def original():
    """The port of Debian's memcached."""
    program = shutil.which("memcached", path=os.environ["PATH"] + ":/usr/bin")
    assert program, "memcached is missing: tools/deps test"
    port = tcp_port()
    argv = [program, "-l", "127.0.0.1", "-p", str(port), "-U", str(port), "-t", "1", "-m", "64"]
    if os.getuid() == 0:
        argv += ["-u", "root"]
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def is_there():
        with contextlib.suppress(ConnectionRefusedError), connect(port):
            return True

    try:
        wait_for(is_there, "memcached")
        yield port
    finally:
        process.kill()
        process.wait()


# Requests whose answers may differ, and why.
WIDER_FLAGS = "the original takes flags modulo 2^32"
VALUE_AS_COMMAND = "the original takes the value for a command"
DIFFERENCES = {
    set_(b"flags", b"x", 4294967296): WIDER_FLAGS,
    b"get flags\r\n": WIDER_FLAGS,
    b"ms " + b"k" * 251 + b" 1\r\nx\r\n": VALUE_AS_COMMAND,
}


class Side:
    """One of the servers, and a connection to it."""

    def __init__(self, port):
        self.port = port
        self.client = connect(port)

    def fill_in(self, request):
        """With the number that this server has for {cas:KEY}."""
        match = re.search(rb"\{cas:(\w+)\}", request)
        if not match:
            return request
        number = ask(self.client, b"gets " + match[1] + b"\r\n").split()[4]
        return request[: match.start()] + number + request[match.end() :]

    def ask(self, request):
        answer = ask(self.client, self.fill_in(request))
        if answer.endswith(b"<closed>"):
            self.client.close()
            self.client = connect(self.port)
        return mask(answer)


def mask(answer):
    """Without what each server chooses: numbers for cas, and what a second more makes of a time."""
    if len(answer) > 4096:
        return answer
    answer = re.sub(rb"^(VALUE \S+ \d+ \d+) \d+\r", rb"\1 CAS\r", answer, flags=re.M)
    answer = re.sub(rb"^((?:VA|HD).*) c\d+", rb"\1 cCAS", answer, flags=re.M)
    answer = re.sub(rb"^((?:VA|HD).*) t\d\d+", rb"\1 tTIME", answer, flags=re.M)
    return re.sub(rb"^(ME \S+) exp=\S+ la=\d+ cas=\d+ (\S+) .*\r", rb"\1 \2\r", answer, flags=re.M)


def test_as_the_original(tcp, original):
    """Each request has the answer of Debian's memcached, byte by byte."""
    ours, theirs = Side(tcp), Side(original)
    for side in (ours, theirs):
        side.ask(b"flush_all\r\n")
    different = []
    with ours.client, theirs.client:
        for request in REQUESTS:
            answers = ours.ask(request), theirs.ask(request)
            if answers[0] != answers[1] and DIFFERENCES.get(request) is None:
                different.append((request[:80], answers[0][:200], answers[1][:200]))
    assert len(REQUESTS) >= 150
    assert not different, "\n" + "\n".join(f"{r!r}:\n  ours   {a!r}\n  theirs {b!r}" for r, a, b in different)


def test_stats_as_the_original(tcp, original):
    """What the original counts has the same names here."""
    names = []
    for port in tcp, original:
        with connect(port) as client:
            answer = ask(client, b"stats\r\n").decode()
        names.append({line.split()[1] for line in answer.splitlines() if line.startswith("STAT ")})
    assert names[1] - names[0] == {"libevent"}


# --- TCP at its edges ---


def test_pipelined(tcp):
    with connect(tcp) as client:
        ask(client, set_(b"counter", b"0"))
        count = 5000
        client.sendall(b"incr counter 1\r\n" * count)
        want = b"".join(b"%d\r\n" % (i + 1) for i in range(count))
        assert receive_exactly(client, len(want)) == want
        # One byte at a time.
        for byte in set_(b"slow", b"value"):
            client.sendall(bytes([byte]))
        assert receive_exactly(client, 8) == b"STORED\r\n"
        assert ask(client, b"get slow\r\n") == b"VALUE slow 0 5\r\nvalue\r\nEND\r\n"


def test_large_values(tcp):
    value = value_of((1 << 20) - 512)
    with connect(tcp) as client:
        assert ask(client, set_(b"large", value)) == b"STORED\r\n"
        want = b"VALUE large 0 %d\r\n%s\r\nEND\r\n" % (len(value), value)
        for _ in range(5):
            assert ask(client, b"get large\r\n") == want
    # A reader that is slow, and others meanwhile.
    with connect(tcp, buffer=4096) as slow, connect(tcp) as other:
        slow.sendall(b"get large\r\n" * 3)
        assert ask(other, set_(b"x", b"1")) == b"STORED\r\n"
        assert receive_exactly(slow, 3 * len(want)) == 3 * want


def test_connections_that_break(tcp):
    """More of them than there are places for connections."""
    for i in range(600):
        client = connect(tcp)
        client.sendall(b"set k%d 0 0 1000\r\nhalf" % i)
        reset(client)
    for _ in range(300):
        with connect(tcp) as client:
            client.sendall(b"get a")

    def has_place():
        with connect(tcp) as client, contextlib.suppress(ConnectionResetError):
            return ask(client, b"get nothing\r\n") == b"END\r\n"

    wait_for(has_place, "a place")
    with connect(tcp) as client:
        assert b"STAT curr_connections 1\r\n" in ask(client, b"stats\r\n")


def test_half_closed(tcp):
    with connect(tcp) as client:
        client.sendall(b"set half 0 0 4\r\ndone\r\nget half\r\n")
        client.shutdown(socket.SHUT_WR)
        want = b"STORED\r\nVALUE half 0 4\r\ndone\r\nEND\r\n"
        assert receive_exactly(client, len(want)) == want
        assert client.recv(1) == b""


def test_many_clients(tcp):
    def work(number):
        with connect(tcp) as client:
            for i in range(40):
                key = b"c%d-%d" % (number, i)
                assert ask(client, set_(key, key * 20)) == b"STORED\r\n"
                assert ask(client, b"get %s\r\n" % key).split(b"\r\n")[1] == key * 20

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        for result in [pool.submit(work, number) for number in range(100)]:
            result.result(600)


def test_garbage(tcp):
    with connect(tcp) as client:
        client.sendall(b"\0" * 100_000)
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while part := client.recv(65536):
                answer += part
        assert answer == b"" or b"ERROR" in answer
    with connect(tcp) as client:
        assert ask(client, b"\xff\xfe\r\n") == b"ERROR\r\n"
        assert ask(client, b"version\r\n") == b"VERSION 1.6.18\r\n"


def test_hostile(node, tcp):
    """Who asks for too much is ended, or gets it; others go on, and nobody's instance ends."""
    value = value_of(1_000_000)
    with connect(tcp) as client:
        assert ask(client, set_(b"large", value) + set_(b"kept", b"1")) == b"STORED\r\n" * 2
    for request in (
        b"get " + b"large " * 20_000 + b"\r\n",
        b"get " + b"large " * 300_000,
        b"x" * 100_000,
        b" " * 100_000,
        b"\n" * 100_000,
        b"mg large v\r\n" * 5_000,
        b"set a 0 0 2147483645\r\n" + value,
        b"ms a 2147483645\r\n" + value,
        b"\x80" + b"\0" * 100,
    ):
        with connect(tcp) as client, contextlib.suppress(ConnectionResetError, BrokenPipeError):
            client.sendall(request)
            client.shutdown(socket.SHUT_WR)
            client.recv(65536)
    lines = [connect(tcp) for _ in range(50)]
    for client in lines:
        client.sendall(b"get " + b"k" * 1_000_000)
    for client in lines:
        client.close()
    with connect(tcp) as client:
        assert ask(client, b"get kept\r\n") == b"VALUE kept 0 1\r\n1\r\nEND\r\n"


def test_many_items(node, samples):
    """A cache full of small items: no request takes so long that the instance is ended."""
    port = tcp_port()
    apply(node, "many", manifest(samples, f"tcp: {port}"))
    with connect(port) as client:
        for start in range(0, 900_000, 100_000):
            sets = (b"set k%d 0 0 1 noreply\r\nx\r\n" % i for i in range(start, start + 100_000))
            assert ask(client, b"".join(sets)) == b""
        for request in (b"lru_crawler metadump all\r\n", b"stats cachedump 1 0\r\n"):
            assert ask(client, request).count(b"\n") > 10_000
        answer = ask(client, b"get k899999\r\nflush_all\r\nget k899999\r\n")
        assert answer == b"VALUE k899999 0 1\r\nx\r\nEND\r\nOK\r\nEND\r\n"
        assert ask(client, b"cache_memlimit 8\r\n" + set_(b"k", b"1")) == b"OK\r\nSTORED\r\n"
        assert ask(client, set_(b"k", value_of(1_000_000)) + b"mg k\r\n") == b"STORED\r\nHD\r\n"
    node.cli("chain", "rm", "many")


def test_item_size(node, samples):
    port = tcp_port()
    text = manifest(samples, f"tcp: {port}").replace('"64"', '"64", item_size: 4KiB')
    apply(node, "items", text)
    with connect(port) as client:
        assert ask(client, set_(b"k", value_of(4096 - 60))) == b"STORED\r\n"
        answer = ask(client, set_(b"k", value_of(4096 - 59)))
        assert answer == b"SERVER_ERROR object too large for cache\r\n"
    node.cli("chain", "rm", "items")


# --- UDP ---


def frame(number, request):
    return number.to_bytes(2, "big") + b"\0\0\0\1\0\0" + request


def ask_udp(client, number, request):
    """The parts of an answer, put together."""
    client.send(frame(number, request))
    parts = {}
    while True:
        data = client.receive()
        assert int.from_bytes(data[:2], "big") == number and data[6:8] == b"\0\0"
        index, count = (int.from_bytes(data[i : i + 2], "big") for i in (2, 4))
        assert index < count and index not in parts and len(data) <= 1400
        parts[index] = data[8:]
        if len(parts) == count:
            return b"".join(parts[i] for i in range(count))


def test_udp(udp):
    with Udp(udp) as client, Udp(udp, "127.0.0.2") as other:
        assert ask_udp(client, 7, set_(b"a", b"mine")) == b"STORED\r\n"
        assert ask_udp(other, 8, b"get a\r\n") == b"END\r\n"
        assert ask_udp(client, 65535, b"get a\r\n") == b"VALUE a 0 4\r\nmine\r\nEND\r\n"
        assert ask_udp(client, 0, b"nonsense\r\n") == b"ERROR\r\n"
        # Without a frame, or as one of several: nothing comes.
        for bad in (b"", b"get a\r\n", b"\0\1\0\0\0\2\0\0get a\r\n", b"\0" * 7):
            client.send(bad)
        # The next answer is that to what is asked next.
        assert ask_udp(client, 9, b"get a\r\n") == b"VALUE a 0 4\r\nmine\r\nEND\r\n"


def frame_of(number, sequence=0, total=1, reserved=0):
    return b"".join(field.to_bytes(2, "big") for field in (number, sequence, total, reserved))


# Of one key each: the original has a message for each, with the same number; here they are one.
UDP_REQUESTS = [
    frame_of(1) + set_(b"u", b"value"),
    frame_of(65535) + b"get u\r\n",
    # Of several datagrams; what else the header says is not looked at.
    frame_of(3, 0, 2) + b"get u\r\n",
    frame_of(4, 0, 0) + b"get u\r\n",
    frame_of(5, 0, 257) + b"get u\r\n",
    frame_of(6, 5, 1) + b"get u\r\n",
    frame_of(7, 0, 1, 77) + b"get u\r\n",
    # Without a request, or a part of a header.
    frame_of(8),
    b"",
    b"\0" * 7,
    b"get u\r\n",
    frame_of(9) + b"set u 0 0 1 noreply\r\nx\r\n",
    frame_of(10) + b"get u\r\n",
    frame_of(11) + b"nonsense\r\n",
    frame_of(12) + b"set v 0 0 1385\r\n" + b"v" * 1385 + b"\r\n",
    frame_of(13) + b"get v\r\n",
    frame_of(14) + b"append v 0 0 1400\r\n" + b"w" * 1400 + b"\r\n",
    frame_of(15) + b"get v\r\n",
] + [
    # Answers that fill a datagram, but for a byte.
    frame_of(20 + i) + text
    for i, size in enumerate(range(1361, 1372))
    for text in (set_(b"w", b"w" * size), b"get w\r\n")
]


def test_udp_as_the_original(udp, original):
    """Each request has the datagrams of Debian's memcached, byte by byte."""
    last = frame_of(999) + b"mn\r\n"
    answers = []
    for port in udp, original:
        with Udp(port, "127.0.0.3") as client:
            answers.append([])
            for request in UDP_REQUESTS:
                client.send(request)
                client.send(last)
                parts = []
                while not parts or not parts[-1].startswith(frame_of(999)):
                    parts.append(client.receive())
                answers[-1].append(parts)
    for request, ours, theirs in zip(UDP_REQUESTS, *answers):
        assert ours == theirs, request


def test_udp_large_answer(udp):
    """An answer of some hundred datagrams, which arrive once and whole."""
    with Udp(udp) as client:
        value = value_of(1200)
        for i in range(100):
            assert ask_udp(client, i, set_(b"k%d" % i, value)) == b"STORED\r\n"
        request = b"get " + b" ".join(b"k%d" % i for i in range(100)) + b"\r\n"
        want = b"".join(b"VALUE k%d 0 1200\r\n%s\r\n" % (i, value) for i in range(100)) + b"END\r\n"
        assert ask_udp(client, 1000, request) == want


def test_udp_each_their_own(node, udp):
    sources = [f"127.0.1.{i}" for i in range(1, 21)]
    for source in sources:
        with Udp(udp, source) as client:
            assert ask_udp(client, 1, set_(b"who", source.encode())) == b"STORED\r\n"
    for source in sources:
        with Udp(udp, source) as client:
            assert source.encode() in ask_udp(client, 2, b"get who\r\n")
    assert show(node, "caches")["chains"] >= len(sources)


def test_memory_is_limited(node, samples):
    """A cache that is full forgets what was used longest ago, and goes on."""
    port = tcp_port()
    apply(node, "small", manifest(samples, f"tcp: {port}", megabytes=1))
    with connect(port) as client:
        for i in range(60):
            assert ask(client, set_(b"k%d" % i, value_of(40_000))) == b"STORED\r\n"
        assert ask(client, b"get k0\r\n") == b"END\r\n"
        assert ask(client, b"get k59\r\n").startswith(b"VALUE k59 0 40000\r\n")
    assert show(node, "small")["stages"][0]["counters"]["evictions"] > 0
    with connect(port) as client:
        # Gets are uses, and what was used last stays; values on their way count as well.
        assert ask(client, b"flush_all\r\n") == b"OK\r\n"
        for i in range(40):
            assert ask(client, set_(b"k%d" % i, value_of(40_000))) == b"STORED\r\n"
            assert ask(client, b"mg k0\r\n") == b"HD\r\n"
        kept = [i for i in range(40) if ask(client, b"mg k%d u\r\n" % i) == b"HD\r\n"]
        assert kept == [0, *range(40 - len(kept) + 1, 40)] and 20 < len(kept) < 30
    others = [connect(port) for _ in range(60)]
    for i, other in enumerate(others):
        other.sendall(b"set half%d 0 0 40000\r\n" % i + value_of(20_000))
    for other in others:
        other.sendall(value_of(20_000) + b"\r\n")
    for other in others:
        assert receive_exactly(other, 8) == b"STORED\r\n"
        other.close()
    with connect(port) as client:
        stats = dict(line.split()[1:] for line in ask(client, b"stats\r\n").splitlines()[:-1])
    assert 800_000 < int(stats[b"bytes"]) <= int(stats[b"limit_maxbytes"]) == 1 << 20
    assert int(stats[b"curr_items"]) == int(stats[b"bytes"]) // 40_000
    node.cli("chain", "rm", "small")
