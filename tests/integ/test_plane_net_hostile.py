"""The data plane's ports with hostile clients, links that go and come, taps, and at rest."""
import contextlib
import json
import os
import random
import resource
import socket
import struct
import subprocess
import threading

import pytest
from edgeos_chains import apply, compile_packets, plane_pids, show
from edgeos_net import (
    LIMIT_S, ask, ask_same, checksum, in_background, ping, run, running, udp_client, udp_frame,
    wait_for_ping, wait_for_rest,
)
from edgeos_node import BUILD, wait_for
from net_fixtures import (
    HOST4, HOST6, HOST_MAC, NEEDS, PORTS, WIRE, WIRE_CLICK, module_net, net, node, put,
)

__all__ = ["module_net", "net", "node"]
pytestmark = NEEDS
CHAINS, FLOWS = 300, 1024
SHARE = FLOWS // 4  # of an instance for all clients
# Small limits, which a flood reaches.
CONFIG = (f"plane:\n  memory: 96MiB\n  frames: 4096\n  chains: {CHAINS}\n  fwps: 400\n"
          f"  flows: {FLOWS}\n  peers: 256\n" + PORTS + '    tap: {device: "tap:taptap"}\n')
FLOOD = 1_000_000 if os.environ.get("EDGEOS_LONG") else 100_000
LAN, WAN = "10.20.0.2", "10.20.0.3"

# Per-client state, over an endpoint's datagrams and over frames that pass.
STATE = r"""
EDGEOS_PACKETS(2048)
static unsigned seen;
EDGEOS_EXPORT(edgeos_init) void edgeos_init(void)
{
    if (edgeos_open_packets() < 0)
        abort();
}
EDGEOS_EXPORT(edgeos_packet) uint32_t edgeos_packet(void *buf, uint32_t len)
{
    char digits[16];
    (void)buf;
    (void)len;
    seen++;
    if (edgeos_slot.info.kind == EDGEOS_FRAME)
        return EDGEOS_FORWARD;
    int made = snprintf(digits, sizeof(digits), "%u", seen);
    memcpy(edgeos_slot.data + EDGEOS_HEADROOM, digits, (unsigned)made);
    edgeos_slot.info.address = (uint32_t)(uintptr_t)edgeos_slot.data + EDGEOS_HEADROOM;
    edgeos_slot.info.len = (unsigned)made;
    return EDGEOS_ANSWER;
}
"""
# Some packets trap it, some make it loop, of some it lies about where they are.
BROKEN = r"""
EDGEOS_PACKETS(2048)
EDGEOS_EXPORT(edgeos_init) void edgeos_init(void)
{
    if (edgeos_open_packets() < 0)
        abort();
}
EDGEOS_EXPORT(edgeos_packet) uint32_t edgeos_packet(void *buf, uint32_t len)
{
    const uint8_t *p = buf;
    unsigned what = len >= 24 && p[12] == 0x88 && p[13] == 0xb5 ? p[14] : 0;
    if (what == 1)
        __builtin_trap();
    if (what == 2)
        for (volatile int i = 0;; i++)
            ;
    if (what == 3)
        edgeos_slot.info.address = 0xfffffff0u;
    if (what == 4)
        edgeos_slot.info.len = 0xffffffffu;
    if (what == 5)
        return 0xdeadbeefu;
    if (what == 6)
        return *(volatile uint32_t *)0xfffffff0u;
    return EDGEOS_FORWARD;
}
"""


@pytest.fixture(scope="module")
def state():
    return compile_packets(STATE)


@pytest.fixture(scope="module")
def broken():
    return compile_packets(BROKEN)


def give_wire(net):
    put(net.edge, "wire.click", WIRE_CLICK)
    apply(net.edge, "wire", WIRE)
    net.give("lan", f"{LAN}/16")
    net.give("wan", f"{WAN}/16")
    wait_for_ping(net, "lan", WAN)


def raw_socket():
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    raw.bind(("eth0", 0))
    return raw


def rss_of(pid):
    with open(f"/proc/{pid}/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()


@contextlib.contextmanager
def flood(net, port, mac, address, number):
    """FLOOD datagrams and, until the end of this, more of them, each from somebody else, who does
    not exist. At most some 50,000 a second: what a ring drops, as nobody has the time to take it, is
    not what is looked for."""
    process = net.spawn(port, BUILD / "bench" / "udp_flood", "eth0", mac.hex(":"), address,
                        str(number), str(FLOOD), "50000", "hold", stdin=subprocess.PIPE)
    with running(process):
        yield process
        text = process.communicate(timeout=LIMIT_S)[0]
    assert process.returncode == 0, text
    assert json.loads(text)["sent"] >= FLOOD


def mac_bytes(text):
    return bytes.fromhex(text.replace(":", ""))


def test_flood_of_clients(net, node, state):
    """Endpoint: who was there before keeps his instance and gets answers."""
    manifest = f"endpoint: {{port: host, udp: 4000}}\nidle: IDLE\nstages: [{state}]"
    apply(node, "state", manifest.replace("IDLE", "0"))
    net.give("host", "10.29.0.2/16")
    with net.within("host", udp_client, (HOST4, 4000), 0.5) as client:
        assert ask(client, b"first") == b"1"
        pid = plane_pids(node)[1]
        before = rss_of(pid)
        answers = []
        with flood(net, "host", mac_bytes(HOST_MAC), HOST4, 4000) as process:
            while len(answers) < 50 or show(node, "state")["limit"] <= FLOOD / 100:
                for _ in range(10):
                    answers.append(int(ask(client, b"again")))
                assert process.poll() is None
        answers.append(int(ask(client, b"last")))
        print("answers during the flood:", len(answers), "memory:", before, rss_of(pid))
        # The same instance; what came late is not another's.
        assert answers == sorted(set(answers))
        found = show(node, "state")
        assert found["chains"] <= CHAINS and found["chains_max"] <= CHAINS
        assert found["started"] - found["reclaimed"] == found["chains"] and found["reclaimed"] == 0
        assert rss_of(pid) - before < 64 << 20
        assert plane_pids(node)[1] == pid
        # Room again, when they have been silent for as long as the new version allows.
        apply(node, "state", manifest.replace("IDLE", "1s"))
        wait_for(lambda: show(node, "state")["chains"] == 0, "reclaimed ones")
    net.give("host", "10.29.0.9/16")
    with net.within("host", udp_client, (HOST4, 4000), LIMIT_S, "10.29.0.9") as client:
        assert ask(client, b"new") == b"1"


@contextlib.contextmanager
def echo_server(net, is_over):
    """In wan, port 4000."""
    server = net.within("wan", socket.socket, socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((WAN, 4000))
    server.settimeout(0.1)

    def serve():
        while not is_over.is_set():
            with contextlib.suppress(TimeoutError):
                data, source = server.recvfrom(2000)
                server.sendto(data, source)

    with server, in_background(serve, end=is_over):
        yield


def down_count(node):
    return show(node, "wire")["stages"][0]["counters"]["down.count"]


@pytest.mark.parametrize("isolation", ["client", "tenant"])
def test_flood_of_flows(net, node, state, isolation):
    """Chains on the way: flows for answers stay within their limit, and old ones go on."""
    give_wire(net)
    apply(node, "a-clients", "match: {port: lan, proto: udp}\nout: wan\nidle: 0\n"
          f"isolation: {isolation}\nstages: [{state}]")
    pid = plane_pids(node)[1]
    before = rss_of(pid)

    def is_refused(found):
        return isolation == "tenant" or found["limit"] > FLOOD / 5

    with echo_server(net, threading.Event()), \
            net.within("lan", udp_client, (WAN, 4000), 0.5) as client:
        ask_same(client, b"0")
        count, before_down = 0, down_count(node)
        with flood(net, "lan", net.mac("wan"), WAN, 4001) as process:
            found = show(node, "a-clients")
            while count < 100 or found["packets"] <= FLOOD / 5 or not is_refused(found):
                for _ in range(20):
                    count += 1
                    ask_same(client, b"%d" % count)
                found = show(node, "a-clients")
                assert process.poll() is None
        print("answers during the flood:", count, "memory:", before, rss_of(pid))
        found = show(node, "a-clients")
        if isolation == "client":
            assert found["chains"] <= CHAINS, found
        else:
            assert found["chains"] == 1 and found["limit"] == 0, found
        # The client's own flow is remembered throughout: answers take the chain's way.
        assert down_count(node) - before_down < count / 4
        assert rss_of(pid) - before < 64 << 20 and plane_pids(node)[1] == pid
        ask_same(client, b"end")
        if isolation == "tenant":
            # All in use: an instance's share is full, and answers to others are for the chain that
            # gets the rest.
            with contextlib.ExitStack() as stack:
                for i in range(SHARE * 2):
                    one = stack.enter_context(net.within("lan", udp_client, (WAN, 4000), 0.5))
                    ask_same(one, b"%d" % i)
            assert show(node, "a-clients")["flows_refused"] >= SHARE / 2
    wait_for_ping(net, "lan", WAN)
    assert ping(net, "lan", WAN, 5) == 5


def malformed(rng, macs, addresses):
    """A frame that is nearly right, or not at all."""
    source = rng.choice(addresses)
    target = rng.choice(addresses)
    header = rng.choice(macs) + rng.choice(macs)
    kind = rng.randrange(8)
    if kind == 0:
        return header + rng.randbytes(rng.randrange(2, 1500))
    if kind == 1:  # IPv6 with headers of extension
        body = rng.randbytes(rng.randrange(0, 200))
        first = rng.choice([0, 43, 44, 60, 6, 17, 58, 51])
        length = rng.choice([len(body), 0, 65535])
        header += struct.pack("!HIHBB", 0x86DD, 6 << 28, length, first, 64) + rng.randbytes(32)
        return header + bytes([rng.choice([0, 43, 44, 60, 17])]) + body
    if kind == 2:  # ARP of any length
        body = b"\0\1\x08\0\6\4\0" + rng.randbytes(40)
        return header + b"\x08\x06" + body[:rng.randrange(40)]
    if kind == 3:  # tags
        for _ in range(rng.randrange(1, 6)):
            header += rng.choice([b"\x81\0", b"\x88\xa8"]) + rng.randbytes(2)
        return header + b"\x08\0" + rng.randbytes(rng.randrange(60))
    frame = bytearray(udp_frame(header[:6], header[6:], source, target,
                                (rng.randrange(65536), rng.choice([4000, 9])),
                                rng.randbytes(rng.randrange(60))))
    if kind == 4:  # truncated
        return bytes(frame[:rng.randrange(14, len(frame))])
    if kind == 5:  # another protocol, of which nothing is right
        frame[23] = rng.choice([1, 2, 6, 41, 47, 50, 51, 58, 132, 255])
    for _ in range(rng.randrange(1, 4)):  # a few wrong bits
        frame[rng.randrange(14, len(frame))] ^= 1 << rng.randrange(8)
    if kind == 6:
        # With a right checksum, so that it gets further.
        frame[24:26] = b"\0\0"
        frame[24:26] = struct.pack("!H", checksum(bytes(frame[14:34])))
    return bytes(frame)


def test_malformed_frames(net, node, state):
    give_wire(net)
    apply(node, "a-clients", "match: {port: lan, proto: ip}\nout: wan\nidle: 1s\n"
          f"stages: [{state}]")
    apply(node, "state", f"endpoint: {{port: host, udp: 4000}}\nidle: 1s\nstages: [{state}]")
    net.give("host", "10.29.0.2/16", "fd29::2/64")
    keeper, worker = plane_pids(node)
    for port, targets in (("host", [mac_bytes(HOST_MAC), b"\xff" * 6, b"33\xff\0\0\1"]),
                          ("lan", [net.mac("wan"), b"\xff" * 6]),
                          ("wan", [net.mac("lan"), bytes(6)])):
        rng = random.Random(port)
        addresses = [socket.inet_aton(a) for a in (HOST4, "10.29.0.2", LAN, WAN, "255.255.255.255",
                                                   "224.0.0.1", "0.0.0.0", "127.0.0.1")]

        def send():
            sent = 0
            with raw_socket() as raw:
                for _ in range(6000):
                    with contextlib.suppress(OSError):  # shorter than a frame may be
                        raw.send(malformed(rng, targets, addresses)[:1514])
                        sent += 1
            return sent

        assert net.within(port, send) > 5000
    assert plane_pids(node) == (keeper, worker)
    for address in (HOST4, HOST6):
        # The first answer comes behind all that was before.
        wait_for_ping(net, "host", address)
        assert ping(net, "host", address, 3) == 3
    wait_for_ping(net, "lan", WAN)
    with net.within("host", udp_client, (HOST4, 4000), 2) as client:
        assert ask(client, b"well")
    assert show(node, "a-clients")["stages"][0]["died"] == 0
    assert show(node, "wire")["stages"][0]["died"] == 0


def test_stage_that_breaks(net, node, broken):
    """It costs its own packets and nobody else's."""
    put(node, "wire.click", WIRE_CLICK)
    apply(node, "wire", WIRE.replace("[wire.click]", f"[wire.click, {broken}]")
          + "\nlimits: {timeout: 10ms}")
    net.give("lan", f"{LAN}/16")
    net.give("wan", f"{WAN}/16")
    wait_for_ping(net, "lan", WAN)
    header = net.mac("wan") + net.mac("lan") + b"\x88\xb5"

    # Never more at once than a ring holds.
    with net.within("lan", raw_socket) as raw:
        for i in range(600):
            raw.send(header + bytes([1 + i % 6]) + bytes(60))
            if i % 200 == 199:
                wait_for(lambda: show(node, "wire")["stages"][1]["received"] > i, "all of them")
    first, second = show(node, "wire")["stages"]
    # Traps, endless ones and reads outside; wrong addresses, lengths and verdicts.
    assert second["died"] == 300 and second["timed_out"] == 100, second
    assert second["refused"] == 300, second
    assert first["died"] == 0 and first["counters"]["up.count"] >= 600
    assert ping(net, "lan", WAN, 10) == 10


def test_ways_that_cannot_be(net, node, state):
    for text, error in (
        ("match: {port: lan}\nout: kernel", "out: frames cannot leave"),
        ("match: {port: lan}\nnext: {cache: kernel}", "next: cache: frames cannot leave"),
        ("endpoint: {udp: 7, port: lan}", 'endpoint: port "lan" has no addresses'),
    ):
        result = apply(node, "bad", f"{text}\nstages: [{state}]", False)
        assert result.returncode != 0 and error in result.stderr, result.stderr


def test_link(net, node):
    give_wire(net)

    def is_up():
        ports = node.cli_json("chain", "list")["ports"]
        return next(port["is_up"] for port in ports if port["port"] == "lan")

    pids = plane_pids(node)
    for namespace, interface in ((net.of("lan"), "eth0"), (net.node, "lan")):
        run("ip", "-n", namespace, "link", "set", interface, "down")
        wait_for(lambda: not is_up(), "the link's end")
        # Nobody spins meanwhile; others go on.
        wait_for_rest(pids, 0.5)
        net.give("host", "10.29.0.2/16")
        assert ping(net, "host", HOST4, 2) == 2
        run("ip", "-n", namespace, "link", "set", interface, "up")
        wait_for(is_up, "the link")
        wait_for_ping(net, "lan", WAN)
        assert ping(net, "lan", WAN, 5) == 5
    assert plane_pids(node) == pids


def test_tap(net, node):
    """A chain from a veth to an interface that the node has made."""
    put(node, "tap.click", WIRE_CLICK.replace("wan", "tap"))
    apply(node, "tap", WIRE.replace("wan", "tap").replace("wire", "tap"))
    net.give("lan", f"{LAN}/16")
    mac = "02:00:00:00:77:01"
    run("ip", "-n", net.node, "link", "set", "taptap", "address", mac)
    run("ip", "-n", net.node, "addr", "replace", f"{WAN}/16", "dev", "taptap")
    run("ip", "-n", net.node, "link", "set", "taptap", "up")
    try:
        wait_for_ping(net, "lan", WAN)
        assert ping(net, "lan", WAN, 10, "-s", "1400") == 10
        assert mac in net.client("lan", "ip", "neigh").stdout
        stage = show(node, "tap")["stages"][0]
        assert stage["counters"]["up.count"] >= 10 and stage["counters"]["down.count"] >= 10
    finally:
        run("ip", "-n", net.node, "addr", "flush", "dev", "taptap")


def test_idle(net, node):
    """With five ports and a chain, and nothing to do."""
    give_wire(net)
    pids = plane_pids(node)
    used = wait_for_rest(pids, 0.10, 3)
    print(f"edge-plane at rest: {100 * used:.2f} % of a processor")
    # And it is awake at once.
    assert ping(net, "lan", WAN, 5) == 5
