"""Ports of src/nic with real clients: the kernel's ping, arping and sockets on the other end of a
veth or tap, and two processes on the ends of a memif or virtio socket.

The program is tests/lib/nic_echo.c. Everything is in network namespaces of the test's own, so it
has to be root.
"""
import json
import os
import select
import signal
import socket
import struct
import subprocess
import threading
import time

import pytest

import edgeos_node
from edgeos_net import LIMIT_S, count_answered, in_namespace, run, wait_for_rest
from edgeos_node import wait_for

NIC_ECHO = edgeos_node.BUILD / "src" / "nic" / "nic_echo"
MAC = "02:00:00:00:00:09"
OTHER_MAC = "02:00:00:00:00:0a"
HOST = ("10.9.0.1/24", "fd09::1/64")

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for interfaces and namespaces"),
    pytest.mark.skipif(not NIC_ECHO.exists(), reason="was built without DPDK"),
]


class Echo:
    """A nic_echo, which is spoken to by lines."""

    def __init__(self, device, *options, namespace=None, mac=MAC, addresses=HOST):
        prefix = ["ip", "netns", "exec", namespace] if namespace else []
        self.process = subprocess.Popen(
            [*prefix, NIC_ECHO, device, mac, *addresses, *options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.lines, self.pending, self.errors = [], b"", []
        self.drain = threading.Thread(target=self.read_errors, daemon=True)
        self.drain.start()
        self.first = self.wait_line("ready", "error")

    def read_errors(self):
        for line in self.process.stderr:
            self.errors.append(line.decode(errors="replace"))

    def wait_line(self, *words, limit_s=LIMIT_S):
        """The first line that begins with one of WORDS; earlier ones are thrown away."""
        end = time.monotonic() + limit_s
        while time.monotonic() < end:
            while b"\n" in self.pending:
                line, self.pending = self.pending.split(b"\n", 1)
                text = line.decode(errors="replace")
                if text.startswith(words):
                    return text
            if select.select([self.process.stdout], [], [], 0.2)[0]:
                data = os.read(self.process.stdout.fileno(), 65536)
                assert data, f"nic_echo has ended, before {words}: {''.join(self.errors)}"
                self.pending += data
        raise AssertionError(f"no line {words} came: {''.join(self.errors)}")

    def ask(self, command, *words):
        self.process.stdin.write(command.encode() + b"\n")
        self.process.stdin.flush()
        return self.wait_line(*words)

    def values(self, command):
        return dict(word.split("=") for word in self.ask(command, command).split()[1:])

    def wait_up(self, expected):
        """The kernel tells of a link with some delay."""
        end = time.monotonic() + LIMIT_S
        while self.values("info")["up"] != expected:
            assert time.monotonic() < end
            time.sleep(0.05)

    def wait_for_rest(self, share_max=0.2):
        """It sleeps: nothing comes, so nothing is computed but looking at the clock."""
        wait_for_rest([self.process.pid], share_max)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        """Ends it in order, and finds that it does."""
        self.process.stdin.close()
        assert self.process.wait(LIMIT_S) == 0, "".join(self.errors)

    def clean(self):
        if self.process.poll() is None:
            self.kill()


@pytest.fixture
def make_echo():
    made = []

    def make(*args, **options):
        made.append(Echo(*args, **options))
        assert made[-1].first.startswith("ready"), made[-1].first
        return made[-1]

    yield make
    for echo in made:
        echo.clean()


class Wire:
    """Two namespaces with a veth between: `ours` has port0, `theirs` has eth0 with addresses."""

    def __init__(self, name, queues=1):
        self.ours, self.theirs = f"{name}o", f"{name}t"
        many = ["numtxqueues", str(queues), "numrxqueues", str(queues)]
        for namespace in (self.ours, self.theirs):
            run("ip", "netns", "add", namespace)
        run("ip", "-n", self.ours, "link", "add", "port0", *many, "type", "veth", "peer", "name",
            "eth0", *many, "netns", self.theirs)
        run("ip", "-n", self.ours, "link", "set", "port0", "up")
        self.give_addresses()

    def give_addresses(self):
        run("ip", "-n", self.theirs, "addr", "add", "10.9.0.2/24", "dev", "eth0")
        run("ip", "-n", self.theirs, "-6", "addr", "add", "fd09::2/64", "dev", "eth0", "nodad")
        run("ip", "-n", self.theirs, "link", "set", "eth0", "up")
        # The kernel leaves checksums to a device that has none.
        self.client("ethtool", "-K", "eth0", "tx", "off")

    def client(self, *argv, **options):
        return run("ip", "netns", "exec", self.theirs, *argv, **options)

    def remove(self):
        for namespace in (self.ours, self.theirs):
            subprocess.run(["ip", "netns", "del", namespace], check=False)


@pytest.fixture
def make_wire():
    made = []

    def make(**options):
        made.append(Wire(f"nic{os.getpid()}x{len(made)}", **options))
        return made[-1]

    yield make
    for wire in made:
        wire.remove()


@pytest.fixture
def wire(make_wire):
    return make_wire()


def echo_datagrams(address, port, payloads):
    """Sends each payload until it comes back; what came back of each."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    answers = []
    with socket.socket(family, socket.SOCK_DGRAM) as client:
        client.settimeout(10)
        client.connect((address, port))
        for payload in payloads:
            for _ in range(10):
                client.send(payload)
                try:
                    # What comes late is another one's answer.
                    while (answer := client.recv(65536)) != payload:
                        assert answer in payloads
                    answers.append(answer)
                    break
                except socket.timeout:
                    continue
    return answers


def check_clients(wire, namespace=None, interface="eth0"):
    """Everything that the kernel's own programs can ask."""
    namespace = namespace or wire.theirs
    client = ["ip", "netns", "exec", namespace]
    for address in ("10.9.0.1", "fd09::1"):
        done = run(*client, "ping", "-A", "-c", "5", "-w", "60", "-s", "1000", address)
        assert count_answered(done.stdout, 5) == 5, done.stdout
    done = run(*client, "arping", "-c", "2", "-w", "60", "-I", interface, "10.9.0.1")
    assert f"[{MAC.upper()}]" in done.stdout.upper(), done.stdout
    payloads = [bytes(range(256)) * 5, b"x", b"y" * 1400, b"z" * 600]
    for address in ("10.9.0.1", "fd09::1"):
        answers = in_namespace(namespace, lambda: echo_datagrams(address, 7, payloads))
        assert answers == payloads
        with pytest.raises(ConnectionRefusedError):
            in_namespace(namespace, lambda: echo_datagrams(address, 9, [b"x"] * 3))


DRIVERS = ["af_packet:port0", "af_xdp:port0"]


@pytest.mark.parametrize("device", DRIVERS)
def test_clients(wire, make_echo, device):
    echo = make_echo(device, namespace=wire.ours)
    info = echo.values("info")
    assert (info["mac"], info["mtu"], info["up"], info["sleeps"]) == (MAC, "1500", "1", "1")
    check_clients(wire)
    stats = echo.values("stats")
    assert int(stats["echoes"]) >= 10 and int(stats["datagrams"]) >= 8
    for name in ("too_long", "wrong_vlan", "send_full", "errors", "bad", "bad_checksums",
                 "conflicts"):
        assert stats[name] == "0", stats
    echo.wait_for_rest()
    # A frame that comes then wakes it.
    assert in_namespace(wire.theirs, lambda: echo_datagrams("10.9.0.1", 7, [b"a"])) == [b"a"]
    echo.stop()
    # The interface is as it was.
    shown = run("ip", "-n", wire.ours, "link", "show", "port0").stdout
    assert MAC not in shown and "xdp" not in shown, shown


def ipv4_received(namespace):
    """Packets that the kernel's own network has taken."""
    lines = run("ip", "netns", "exec", namespace, "cat", "/proc/net/snmp").stdout.splitlines()
    names, values = (line.split() for line in lines if line.startswith("Ip:"))
    return int(values[names.index("InReceives")])


def test_kernel_leaves_the_frames(wire, make_echo):
    before = ipv4_received(wire.ours)
    echo = make_echo("af_packet:port0", namespace=wire.ours)
    check_clients(wire)
    assert int(echo.values("stats")["echoes"]) >= 10
    assert ipv4_received(wire.ours) == before
    echo.stop()


@pytest.mark.parametrize("device", DRIVERS)
def test_kill_and_open(wire, make_echo, device):
    def link():
        shown = json.loads(run("ip", "-n", wire.ours, "-d", "-j", "link", "show", "port0").stdout)
        return {key: shown[0][key] for key in ("address", "promiscuity", "allmulti")
                if key in shown[0]}

    before = link()
    for _ in range(3):
        echo = make_echo(device, namespace=wire.ours)
        check_clients(wire)
        echo.kill()
        assert link() == before
    echo = make_echo(device, namespace=wire.ours)
    frames = []
    for _ in range(5):
        assert echo.ask("close", "closed")
        assert echo.ask("open", "ready", "error") == "ready again"
        frames.append(int(echo.ask("frames", "frames").split()[1]))
    # None are lost, but for those that are on their way when it is closed.
    assert frames[-1] > frames[0] - 100, frames
    check_clients(wire)
    echo.stop()


@pytest.mark.parametrize("device", DRIVERS)
def test_link_down_and_up(wire, make_echo, device):
    echo = make_echo(device, namespace=wire.ours)
    for namespace, interface in ((wire.theirs, "eth0"), (wire.ours, "port0")):
        run("ip", "-n", namespace, "link", "set", interface, "down")
        echo.wait_up("0")
        # Without a link it neither spins nor ends.
        echo.wait_for_rest()
        run("ip", "-n", namespace, "link", "set", interface, "up")
        if interface == "eth0":
            run("ip", "-n", namespace, "-6", "addr", "replace", "fd09::2/64", "dev", "eth0",
                "nodad")
        echo.wait_up("1")
        check_clients(wire)
    echo.stop()


@pytest.mark.parametrize("device", DRIVERS)
def test_interface_goes_and_comes(wire, make_echo, device):
    """A port stays with its interface, whatever that is called; if it goes, the port is down until it
    is opened anew, also if one of its name is there again."""
    echo = make_echo(device, namespace=wire.ours)
    for old, new in (("port0", "other0"), ("other0", "port0")):
        run("ip", "-n", wire.ours, "link", "set", old, "name", new)
        echo.wait_up("1")
        check_clients(wire)
    link = ["type", "veth", "peer", "name", "eth0", "netns", wire.theirs]
    run("ip", "-n", wire.ours, "link", "del", "port0")
    echo.wait_up("0")
    run("ip", "-n", wire.ours, "link", "add", "port0", *link)
    run("ip", "-n", wire.ours, "link", "set", "port0", "up")
    wire.give_addresses()
    # The kernel says that its link is there.
    wait_for(lambda: "LOWER_UP" in run("ip", "-n", wire.ours, "link", "show", "port0").stdout,
             "a link")
    assert echo.values("info")["up"] == "0"
    echo.wait_for_rest()
    echo.ask("close", "closed")
    echo.ask("open", "ready")
    echo.wait_up("1")
    check_clients(wire)
    echo.stop()


def test_one_process(wire, make_echo):
    """A second process does not take the interface away from the first, unlike from a dead one."""
    echo = make_echo("af_xdp:port0", namespace=wire.ours)
    second = Echo("af_xdp:port0", namespace=wire.ours)
    assert second.first.startswith("error") and "another process" in second.first, second.first
    check_clients(wire)
    echo.stop()


def test_other_program(wire, tmp_path):
    """A program of somebody else's stays."""
    (tmp_path / "pass.c").write_text(
        'int pass(void *ctx) __attribute__((section("xdp"), used));\n'
        "int pass(void *ctx) { return 2; }\n")
    run("clang-14", "-target", "bpf", "-O2", "-c", "pass.c", "-o", "pass.o", cwd=tmp_path)
    run("ip", "-n", wire.ours, "link", "set", "port0", "xdp", "obj", tmp_path / "pass.o", "sec",
        "xdp")
    echo = Echo("af_xdp:port0", namespace=wire.ours)
    assert echo.first.startswith("error") and "somebody else" in echo.first, echo.first
    assert "xdp" in run("ip", "-n", wire.ours, "link", "show", "port0").stdout


@pytest.mark.parametrize("vlan", [7, 8])
def test_vlan(wire, make_echo, vlan):
    """The kernel takes tags off frames before it hands them over, and DPDK puts them back."""
    echo = make_echo("af_packet:port0", "vlan=7", namespace=wire.ours)
    run("ip", "-n", wire.theirs, "addr", "flush", "dev", "eth0")
    other = make_echo("af_packet:eth0", f"vlan={vlan}", namespace=wire.theirs, mac=OTHER_MAC,
                      addresses=OTHER)
    if vlan == 7:
        check_pair(echo, other)
        return
    # Another network on the same wire.
    end = time.monotonic() + LIMIT_S
    while int(echo.values("stats")["wrong_vlan"]) == 0:
        other.ask("send 10.9.0.1 4000 hello", "send")
        assert time.monotonic() < end
        time.sleep(0.1)
    assert echo.values("stats")["received"] == "0"


def test_queues(make_wire, make_echo):
    """af_xdp has as many queues as a device has combined channels, of which a veth has one."""
    wire = make_wire(queues=2)
    echo = make_echo("af_packet:port0", "queues=2", namespace=wire.ours)
    info = echo.values("info")
    assert (info["queues"], info["sleeps"]) == ("2", "1")
    check_clients(wire)
    # Other ports are other flows, which may come by the other queue.
    for _ in range(20):
        assert in_namespace(wire.theirs,
                            lambda: echo_datagrams("10.9.0.1", 7, [b"q"])) == [b"q"]
    echo.stop()


def test_jumbo(wire, make_echo):
    run("ip", "-n", wire.theirs, "link", "set", "eth0", "mtu", "9000")
    echo = make_echo("af_packet:port0", "mtu=9000", namespace=wire.ours)
    done = wire.client("ping", "-A", "-c", "3", "-w", "60", "-M", "do", "-s", "8972", "10.9.0.1")
    assert count_answered(done.stdout, 3) == 3, done.stdout
    assert in_namespace(wire.theirs,
                        lambda: echo_datagrams("10.9.0.1", 7, [b"j" * 8900])) == [b"j" * 8900]
    echo.stop()


def test_hostile_frames(wire, make_echo):
    """Frames of any bytes and lengths: it goes on answering."""
    echo = make_echo("af_packet:port0", namespace=wire.ours)
    mac = bytes.fromhex(MAC.replace(":", ""))

    def send():
        random = __import__("random").Random(7)
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
            raw.bind(("eth0", 0))
            for i in range(3000):
                target = mac if i % 2 else bytes(random.choice([b"\xff" * 6, b"33\0\0\0\1"]))
                kind = struct.pack("!H", random.choice([0x800, 0x806, 0x86dd, 0x8100, 0x88a8, 1]))
                body = random.randbytes(random.randrange(0, 1500))
                if kind == b"\x08\x00":
                    body = b"\x45" + body[1:]
                raw.send((target + random.randbytes(5) + b"\2" + kind + body)[:1514])

    in_namespace(wire.theirs, send)
    check_clients(wire)
    echo.stop()


@pytest.fixture
def tap_namespace(make_wire):
    return make_wire().ours


def give_tap_addresses(namespace):
    run("ip", "-n", namespace, "addr", "add", "10.9.0.2/24", "dev", "tap9")
    run("ip", "-n", namespace, "-6", "addr", "add", "fd09::2/64", "dev", "tap9", "nodad")
    # As the kernel's end has the port's address itself, it gets another one.
    run("ip", "-n", namespace, "link", "set", "tap9", "address", OTHER_MAC)


def test_tap(tap_namespace, make_echo):
    for is_last in (False, True):
        echo = make_echo("tap:tap9", namespace=tap_namespace)
        give_tap_addresses(tap_namespace)
        assert echo.values("info")["sleeps"] == "1"
        check_clients(None, tap_namespace, "tap9")
        echo.wait_for_rest()
        if is_last:
            echo.stop()
        else:
            echo.kill()
    assert "tap9" not in run("ip", "-n", tap_namespace, "link").stdout


def test_missing(wire):
    for device, word in (("af_packet:nosuch", "nosuch"), ("tap:port0", "already"),
                         ("memif:/nosuch/socket,role=server", "memif")):
        echo = Echo(device, namespace=wire.ours)
        assert echo.first.startswith("error") and word in echo.first, echo.first


OTHER = ("10.9.0.2/24", "fd09::2/64")


def check_pair(echo, other):
    """A datagram from each to the other, by either family, though nobody knows the other yet."""
    for sender, receiver, addresses in ((other, echo, ("10.9.0.1", "fd09::1")),
                                        (echo, other, ("10.9.0.2", "fd09::2"))):
        for address in addresses:
            text = f"hello {address} {time.monotonic()}"
            end = time.monotonic() + LIMIT_S
            while True:
                result = sender.ask(f"send {address} 4000 {text}", "send")
                try:
                    line = receiver.wait_line("datagram", limit_s=0.5)
                except AssertionError:
                    assert receiver.process.poll() is None, "".join(receiver.errors)
                    assert time.monotonic() < end, (result, receiver.errors, sender.errors)
                    continue
                if line.endswith(text):
                    break


PAIRS = [
    # Listening end, connecting end.
    ("vhost:{}", "virtio_user:{}"),
    ("memif:{},role=server", "memif:{},role=client"),
]


@pytest.mark.parametrize("listening,connecting", PAIRS)
def test_pair(tmp_path, make_echo, listening, connecting):
    path = tmp_path / "socket"
    echo = make_echo(listening.format(path))
    other = make_echo(connecting.format(path), mac=OTHER_MAC, addresses=OTHER)
    check_pair(echo, other)
    echo.wait_for_rest(0.3)
    # The connecting end is killed, and comes again; memif's listener may end of it.
    if not listening.startswith("memif"):
        for _ in range(3):
            other.kill()
            other = make_echo(connecting.format(path), mac=OTHER_MAC, addresses=OTHER)
            check_pair(echo, other)
    # The listening end is killed, and comes again, though its socket is still there.
    echo.kill()
    echo = make_echo(listening.format(path))
    # Who connected once does not do so again by itself.
    assert other.ask("close", "closed")
    assert other.ask("open", "ready", "error") == "ready again"
    check_pair(echo, other)
