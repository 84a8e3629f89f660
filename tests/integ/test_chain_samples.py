"""Samples that frames pass, in chains between two ports: firewall, ratelimit, dpi, and chains of
three, with the kernel's clients and servers on both sides."""
import contextlib
import socket
import struct
import time

import pytest
from chain_samples import (
    ACK, FIN, ICMP, PSH, RST, SAMPLES, SYN, UDP, URG, apply_sample, capture, counters_of,
    icmp_frame, ip_frame, say, send_frames, tcp_client, tcp_frame, tcp_server, udp_server,
)
from edgeos_chains import apply, show
from edgeos_net import ask, iperf3, ping, udp_client, wait_for_ping
from edgeos_node import wait_for
from net_fixtures import MANY, NEEDS, module_net, net, node

__all__ = ["module_net", "net", "node"]
pytestmark = [*NEEDS, pytest.mark.usefixtures("samples")]
# The ports that the samples' manifests name.
CONFIG = MANY + """
  ports:
    lan: {device: "af_packet:lan"}
    wan: {device: "af_packet:wan"}
    trap: {device: "af_packet:dmz"}
    servers: {device: "af_packet:host"}
"""
LAN, LAN2, WAN = "10.20.0.2", "10.20.0.3", "10.20.0.9"
QUIET_LAN, QUIET_WAN = "10.21.0.2", "10.21.0.9"
LAN6, WAN6 = "fd20::2", "fd20::9"
CHAINS = {"balancer": "manifest", "coap": "manifest", "dns": "manifest", "dnscache": "cache",
          "dpi": "manifest", "firewall": "manifest", "inference": "manifest",
          "memcached": "manifest", "nat": "manifest", "ratelimit": "manifest"}  # fmt: skip


def give_link(net):
    """Both sides are in one subnet: what is between them is not seen."""
    net.give("lan", f"{LAN}/24", f"{LAN2}/24", f"{LAN6}/64")
    net.give("wan", f"{WAN}/24", f"{WAN6}/64")
    wait_for_ping(net, "lan", WAN)


def macs_to(net, port, other):
    return net.mac(other), net.mac(port)


def test_manifests(node):
    """As they are in the tree, and all at once."""
    for name, file in CHAINS.items():
        apply_sample(node, {"dnscache": "dns"}.get(name, name), file=f"{file}.yaml")
    # test_tlsproxy.py makes the certificates that one of them needs.
    manifests = {path for path in SAMPLES.glob("*/*.yaml") if "\nchain: " in path.read_text()
                 and path.parent.name != "tlsproxy"}
    assert len(manifests) == len(CHAINS)
    assert {chain["chain"] for chain in node.cli_json("chain", "list")["chains"]} == set(CHAINS)


# --- firewall ---


@pytest.fixture
def firewall(net):
    apply_sample(net.edge, "firewall")
    give_link(net)
    return net


def is_refused(net, port, address, timeout_s=0.4):
    """Nobody answers."""
    with contextlib.suppress(TimeoutError):
        tcp_client(net, port, address, timeout_s=timeout_s).close()
        return False
    return True


def test_firewall_lets_out(firewall):
    net, node = firewall, firewall.edge
    body = "x" * 300_000
    done = net.client("lan", "arping", "-c", "2", "-w", "10", "-I", "eth0", WAN)
    assert "Received 2 " in done.stdout, done.stdout
    with tcp_server(net, "wan", (WAN, 80), lambda data, _: (
            b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body.encode())):
        for source in (LAN, LAN2):
            done = net.client("lan", "curl", "-sS", "--max-time", "30", "--interface", source,
                              f"http://{WAN}/")
            assert done.stdout == body
    for address in (WAN, WAN6):
        assert ping(net, "lan", address, 5) == 5
    with udp_server(net, "wan", (WAN, 53)) as server, \
            net.within("lan", udp_client, (WAN, 53)) as client:
        assert ask(client, b"query") == b"query" and server.seen[0][0][0] == LAN
    # In fragments, there and back: of IPv6, as the kernel puts those of IPv4 together before
    # an af_packet port gets them.
    with udp_server(net, "wan", (WAN6, 53)), \
            net.within("lan", udp_client, (WAN6, 53), 5, LAN6) as client:
        assert ask(client, bytes(range(256)) * 16) == bytes(range(256)) * 16
    # Nobody listens there any more: the error about what was sent comes back.
    with net.within("lan", udp_client, (WAN, 53)) as client:
        client.send(b"query")
        with pytest.raises(ConnectionRefusedError):
            client.recv(10)
    counters, state = counters_of(node, "firewall"), show(node, "firewall")
    assert counters["denied"] == counters["unrelated"] == counters["malformed"] == 0
    # TCP twice, UDP twice, echoes of three or more pings.
    assert counters["connections_new"] >= 7
    assert state["chains"] >= 3 and state["stages"][0]["dropped"] == counters["tcp_invalid"]


def test_firewall_many_questions(firewall):
    """Four times as many as there are places, each from its own port, and then a connection."""
    net, node = firewall, firewall.edge
    apply_sample(node, "firewall", ("connections: 1024", "connections: 50"))
    with udp_server(net, "wan", (WAN, 53)), tcp_server(net, "wan", (WAN, 80)):
        for i in range(200):
            with net.within("lan", udp_client, (WAN, 53)) as client:
                assert ask(client, b"%d" % i) == b"%d" % i
        with tcp_client(net, "lan", (WAN, 80)) as client:
            assert say(client, b"hello") == b"hello"
    assert counters_of(node, "firewall")["table_full"] == 0


def test_firewall_bulk(firewall):
    """As much as both kernels have on its way: nothing of it belongs to no connection."""
    net, node = firewall, firewall.edge
    apply_sample(node, "firewall", ("allow tcp 80,443", "allow tcp 80,443,5201"))
    for words in ((), ("-R",), ("-P", "4")):
        done = iperf3(net, "lan", "wan", WAN, "-t", "3", *words)
        # The last one may be as short as it likes.
        moved = [interval["sum"]["bytes"] for interval in done["intervals"][:3]]
        assert min(moved) > 1_000_000, (words, moved)


def test_firewall_begun_anew(firewall):
    """A client that has forgotten a connection, which the firewall does not know either, begins
    another one from the same port: the server says that it knows the old one, and is told."""
    net, node = firewall, firewall.edge
    with tcp_server(net, "wan", (WAN, 80)):
        with tcp_client(net, "lan", (WAN, 80), (LAN, 5555)) as old:
            assert say(old, b"old") == b"old"
            apply_sample(node, "firewall", ("connections: 1024", "connections: 1000"))
            before = counters_of(node, "firewall")["tcp_invalid"]
            old.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        wait_for(lambda: counters_of(node, "firewall")["tcp_invalid"] > before, "the reset's end")
        with tcp_client(net, "lan", (WAN, 80), (LAN, 5555)) as new:
            assert say(new, b"new") == b"new"


def test_firewall_keeps_in(firewall, tmp_path):
    """What the rules do not allow out does not leave."""
    net, node = firewall, firewall.edge
    macs = macs_to(net, "lan", "wan")
    with tcp_server(net, "wan", (WAN, 80)), tcp_server(net, "wan", (WAN, 8001)) as denied, \
            udp_server(net, "wan", (WAN, 53)), \
            capture(net, "wan", tmp_path, f"ether src {macs[1].hex(':')}") as seen:
        before = counters_of(node, "firewall")
        assert is_refused(net, "lan", (WAN, 8001))
        with net.within("lan", udp_client, (WAN, 54)) as client:
            client.send(b"not allowed")
        send_frames(net, "lan", ip_frame(macs, LAN, WAN, 47, b"a tunnel"),
                    b"".join(macs) + b"\x88\xb5")
        after = counters_of(node, "firewall")
        assert after["denied"] >= before["denied"] + 3
        # Segments of no connection, and such that nobody sends.
        wrong = [tcp_frame(macs, LAN, WAN, (4000, 80), flags, 1000, 2000)
                 for flags in (ACK, ACK | FIN, RST, 0, SYN | FIN, SYN | RST, FIN | PSH | URG)]
        send_frames(net, "lan", *wrong)
        wait_for(lambda: counters_of(node, "firewall")["tcp_invalid"] == len(wrong), "the counter")
        with tcp_client(net, "lan", (WAN, 80)) as client:
            assert say(client, b"hello") == b"hello"
            number = client.getsockname()[1]
            # A segment far ahead of what was said on it.
            packet = seen.wait_for(lambda p: p.payload == b"hello", "the segment")
            send_frames(net, "lan", tcp_frame(macs, LAN, WAN, (number, 80), ACK | PSH,
                                              (packet.seq + 0x40000000) % 2**32, 1, b"blind"))
            wait_for(lambda: counters_of(node, "firewall")["tcp_invalid"] == len(wrong) + 1,
                     "the counter")
            assert say(client, b"still here") == b"still here"
        with net.within("lan", udp_client, (WAN, 53)) as client:
            assert ask(client, b"the end") == b"the end"
        seen.wait_for(lambda p: p.payload == b"the end", "what is sent last")
        # The link's, DNS, and the one connection: nothing else left.
        for packet in seen.packets():
            allowed = packet.type in (0x0806, 0x86DD) or packet.ports in [(number, 80)] or (
                packet.proto == UDP and packet.ports[1] == 53)
            assert allowed and packet.payload != b"blind", packet
        assert not denied.seen


def test_firewall_keeps_out(firewall, tmp_path):
    """Who is outside begins nothing but what the rules allow."""
    net, node = firewall, firewall.edge
    macs = macs_to(net, "wan", "lan")
    with tcp_server(net, "lan", (LAN, 22)), tcp_server(net, "lan", (LAN, 2222)) as denied, \
            udp_server(net, "lan", (LAN, 53)) as udp, \
            capture(net, "lan", tmp_path, f"ether src {macs[1].hex(':')}") as seen:
        with tcp_client(net, "wan", (LAN, 22)) as client:
            assert say(client, b"ssh") == b"ssh"
        before = counters_of(node, "firewall")
        assert is_refused(net, "wan", (LAN, 2222))
        for address in (LAN, LAN6):
            assert ping(net, "wan", address, 2, limit_s=2) == 0
        with net.within("wan", udp_client, (LAN, 53)) as client:
            client.send(b"unasked for")
        # Who was asked does not ask, with the same identifier; other answers are none.
        assert " 1 received" in net.client("lan", "ping", "-c", "1", "-e", "77", WAN).stdout
        number = counters_of(node, "firewall")["denied"]
        send_frames(net, "wan", icmp_frame(macs, WAN, LAN, 8, 0, b"\0\x4d\0\1", b"asked"),
                    icmp_frame(macs, WAN, LAN, 14, 0, b"\0\x4d\0\1", bytes(12)))
        wait_for(lambda: counters_of(node, "firewall")["unrelated"] == 1, "the counter")
        assert counters_of(node, "firewall")["denied"] == number + 1
        # An error about what was never sent.
        about = tcp_frame(macs[::-1], LAN, WAN, (4000, 80), SYN)[14:]
        send_frames(net, "wan", icmp_frame(macs, WAN, LAN, 3, 3, bytes(4), about[:28]),
                    tcp_frame(macs, WAN, LAN, (80, 4000), SYN | ACK, 1, 1))
        wait_for(lambda: counters_of(node, "firewall")["unrelated"] == 2, "the counter")
        with tcp_client(net, "wan", (LAN, 22)) as client:
            assert say(client, b"the end") == b"the end"
        seen.wait_for(lambda p: p.payload == b"the end", "what is sent last")
        after = counters_of(node, "firewall")
        # A SYN or more, two echoes, a datagram, a segment.
        assert after["denied"] >= before["denied"] + 5
        others = [p for p in seen.packets() if p.type not in (0x0806, 0x86DD)]
        pongs = [p for p in others if p.proto == ICMP and p.frame[34] == 0]
        assert len(pongs) == 1, pongs
        for packet in others:
            assert packet in pongs or packet.ports[1] == 22, packet
        assert not denied.seen and not udp.seen
    # A client that nobody has heard of has no chain, and no counter of its own: it is the port's.
    port = next(p for p in node.cli_json("chain", "list")["ports"] if p["port"] == "wan")
    send_frames(net, "wan", tcp_frame(macs, WAN, "10.20.0.77", (1, 22), SYN))
    wait_for(lambda: next(p for p in node.cli_json("chain", "list")["ports"]
                          if p["port"] == "wan")["unwanted"] > port["unwanted"], "the counter")


def test_firewall_rules_change(firewall):
    """Rules are those of the configuration; one that is none changes nothing."""
    net, node = firewall, firewall.edge
    rules = "allow tcp 80,443; allow udp 53; allow icmp; allow icmp6; out allow tcp 22; deny all"
    with udp_server(net, "wan", (WAN, 4000)):
        apply_sample(node, "firewall", (rules, f"allow udp 4000-4010 from {LAN2} to 10.20.0.0/24"))
        with net.within("lan", udp_client, (WAN, 4000), 2, LAN2) as client:
            assert ask(client, b"yes") == b"yes"
            with net.within("lan", udp_client, (WAN, 4000), 0.3, LAN) as other:
                other.send(b"no")
                with pytest.raises(TimeoutError):
                    other.recv(10)
            said = "rules: not a rule, or too many: allow everything"
            with pytest.raises(AssertionError, match=f"its initialisation ended.*: {said}"):
                apply_sample(node, "firewall", (rules, "allow everything"))
            assert said in node.log()
            assert ask(client, b"yes") == b"yes"


# --- ratelimit ---

RATE, BURST = 2_000_000 // 8, 65536


def flood(client, seconds):
    """Sends as fast as it can; returns how many bytes of frames."""
    end = time.monotonic() + seconds
    count = 0
    while time.monotonic() < end or count < 500:
        with contextlib.suppress(BlockingIOError, ConnectionRefusedError):
            client.send(bytes(1000))
            count += 1
    return count * 1042


def settled(node, chain, stage=0):
    """Its counters, when nothing comes any more."""
    last = None
    while True:
        counters = counters_of(node, chain, stage)
        if counters == last:
            return counters
        last = counters
        time.sleep(0.05)


def test_ratelimit(net, node):
    apply_sample(node, "ratelimit", ("up: 10Mbit", "up: 2Mbit"))
    give_link(net)
    with udp_server(net, "wan", (WAN, 4000), lambda *_: None) as server:
        with net.within("lan", udp_client, (WAN, 4000)) as client:
            before, start = settled(node, "ratelimit"), time.monotonic()
            sent = flood(client, 1)
            after = settled(node, "ratelimit")
            elapsed = time.monotonic() - start
        passed = after["up/passed_bytes"] - before["up/passed_bytes"]
        # What a bucket of that size lets through in that time, and at least that it is full once.
        assert BURST - 1042 <= passed <= BURST + RATE * elapsed, (passed, elapsed)
        assert sent > passed and after["up/dropped_bytes"] > 0
        wait_for(lambda: sum(len(data) + 42 for _, data in server.seen) >= passed - 42 * 4,
                 "what passed")
        assert sum(len(data) + 42 for _, data in server.seen) <= passed
        # Another client's bucket is full: all of what fits there comes at once.
        del server.seen[:]
        with net.within("lan", udp_client, (WAN, 4000), 2, LAN2) as client:
            for i in range(60):
                client.send(b"%04d" % i + bytes(996))
        wait_for(lambda: len([s for s, _ in server.seen if s[0] == LAN2]) == 60, "60 datagrams")
    # The way back has a rate of its own.
    back = iperf3(net, "lan", "wan", WAN, "-R", "-t", "1")
    assert back["end"]["sum_received"]["bytes"] > BURST
    assert counters_of(node, "ratelimit")["down/passed_bytes"] > BURST


# --- dpi ---


def test_dpi(net, node, tmp_path):
    """A pattern in two segments, or a datagram, is diverted, with all that follows it."""
    apply_sample(node, "dpi")
    give_link(net)
    with tcp_server(net, "wan", (WAN, 80)) as server, udp_server(net, "wan", (WAN, 4000)) as udp, \
            capture(net, "dmz", tmp_path) as trap:
        with tcp_client(net, "lan", (WAN, 80)) as good, tcp_client(net, "lan", (WAN, 80)) as bad:
            assert say(good, b"GET /index.html") == b"GET /index.html"
            assert say(bad, b"GET /etc/pas") == b"GET /etc/pas"
            bad.sendall(b"swd HTTP/1.0\r\n\r\n")
            packet = trap.wait_for(lambda p: b"swd HTTP" in p.payload, "the rest of it")
            assert packet.target == WAN and packet.ports == (bad.getsockname()[1], 80)
            assert say(good, b"GET /etc/group") == b"GET /etc/group"
            assert all(b"swd" not in data for _, data in server.seen)
        with net.within("lan", udp_client, (WAN, 4000)) as client:
            assert ask(client, b"\x90" * 7) == b"\x90" * 7
            client.send(b"code " + b"\x90" * 8)
            trap.wait_for(lambda p: p.proto == UDP and p.payload.startswith(b"code"), "it")
        with net.within("lan", udp_client, (WAN, 4000)) as client:
            assert ask(client, b"the next one") == b"the next one"
        assert [data for _, data in udp.seen] == [b"\x90" * 7, b"the next one"]
        counters = counters_of(node, "dpi")
        assert (counters["pattern_01"] >= 1, counters["pattern_02"], counters["pattern_03"]) == (
            True, 1, 0)
        assert counters["matched"] >= 2 and show(node, "dpi")["stages"][0]["hopped"] >= 2
        assert ping(net, "lan", WAN, 2) == 2
    # From the other side, and dropped instead.
    apply_sample(node, "dpi", ("verdict: mark", "verdict: drop"))
    with tcp_server(net, "wan", (WAN, 80), lambda data, _: b"X5O!P%@AP" * (data == b"virus") or
                    data), capture(net, "dmz", tmp_path) as trap:
        with tcp_client(net, "lan", (WAN, 80), timeout_s=0.5) as client:
            assert say(client, b"fine") == b"fine"
            client.sendall(b"virus")
            with pytest.raises(TimeoutError):
                client.recv(100)
        with tcp_client(net, "lan", (WAN, 80)) as client:
            assert say(client, b"fine") == b"fine"
        assert counters_of(node, "dpi")["pattern_03"] >= 1
        assert trap.packets() == []


def test_dpi_urgent(net, node):
    """A byte out of band does not hide a pattern: the server reads what was looked at."""
    apply_sample(node, "dpi", ("verdict: mark", "verdict: drop"))
    give_link(net)
    with tcp_server(net, "wan", (WAN, 80)) as server, tcp_client(net, "lan", (WAN, 80)) as client:
        assert say(client, b"GET /etc/pas") == b"GET /etc/pas"
        client.send(b"X", socket.MSG_OOB)
        assert client.recv(1) == b"X"
        assert say(client, b"swd") == b"swd"
        assert b"".join(data for _, data in server.seen) == b"GET /etc/pasXswd"
        counters = counters_of(node, "dpi")
        assert counters["urgent"] >= 1 and counters["pattern_01"] == 0


# --- three, one behind the other ---

PER_CLIENT = """
match: {port: lan, proto: any, fragments: true}
isolation: client
idle: 600s
limits: {memory: 4MiB}
stages:
  - image: SAMPLES/firewall.wasm
    config: {rules: "allow tcp 80,5201; allow udp 53; allow icmp; allow icmp6"}
  - {image: SAMPLES/ratelimit.wasm, config: {up: 400Mbit, down: 400Mbit, burst: 4MiB}}
  - {image: SAMPLES/dpi.wasm, config: {patterns: "malware"}}
out: wan
"""


def test_three_per_client(net, node, samples):
    apply(node, "three", PER_CLIENT.replace("SAMPLES", str(samples)))
    give_link(net)
    clients = [LAN, LAN2, *(f"10.20.0.{i}" for i in range(20, 26))]
    net.give("lan", *(f"{address}/24" for address in clients))
    done = net.client("lan", "arping", "-c", "1", "-w", "10", "-I", "eth0", "-s", LAN2, WAN)
    assert "Received 1 " in done.stdout, done.stdout
    with contextlib.ExitStack() as stack:
        web = stack.enter_context(tcp_server(net, "wan", (WAN, 80)))
        udp = stack.enter_context(udp_server(net, "wan", (WAN, 53)))
        for address in clients:
            with tcp_client(net, "lan", (WAN, 80), (address, 0)) as client:
                assert say(client, address.encode()) == address.encode()
                client.sendall(b"mal")
                assert client.recv(3) == b"mal"
            with net.within("lan", udp_client, (WAN, 53), 2, address) as client:
                assert ask(client, address.encode()) == address.encode()
        assert {source[0] for source, _ in web.seen} == set(clients)
        assert {source[0] for source, _ in udp.seen} == set(clients)
        # One client finds what the others do not look for; it is his flow alone that is over.
        with tcp_client(net, "lan", (WAN, 80), (clients[3], 0)) as bad, \
                tcp_client(net, "lan", (WAN, 80), (clients[4], 0)) as good:
            assert say(bad, b"mal") == b"mal"
            bad.sendall(b"ware")
            wait_for(lambda: counters_of(node, "three", 2)["pattern_01"] >= 1, "the pattern")
            assert say(good, b"good") == b"good"
            assert (((clients[3], bad.getsockname()[1])), b"ware") not in web.seen
    # By the kernel's own programs.
    for address in (WAN, WAN6):
        assert ping(net, "lan", address, 3) == 3
    tcp = iperf3(net, "lan", "wan", WAN, "-t", "1")
    assert tcp["end"]["sum_received"]["bytes"] > 100_000
    state = show(node, "three")
    assert state["chains"] > len(clients)  # one and another for IPv6
    firewall, ratelimit, dpi = (stage["counters"] for stage in state["stages"])
    assert firewall["connections_new"] >= 2 * len(clients) + 4
    assert dpi["clean"] + dpi["matched"] <= state["packets"]
    assert ratelimit["up/passed_bytes"] >= tcp["end"]["sum_received"]["bytes"]


@contextlib.contextmanager
def silent(net):
    """The kernels of both sides say nothing of their own accord: no ARP, no IPv6, nor what is left
    of connections of the tests before, which had other addresses."""
    sides = ("lan", QUIET_WAN, "wan"), ("wan", QUIET_LAN, "lan")
    with contextlib.ExitStack() as stack:
        for port, address, other in sides:
            entry = (address, "lladdr", net.mac(other).hex(":"), "dev", "eth0")
            net.client(port, "ip", "neigh", "replace", *entry, "nud", "permanent")
            stack.callback(net.client, port, "ip", "neigh", "del", *entry)
            key = "net.ipv6.conf.eth0.disable_ipv6"
            net.client(port, "sysctl", "-qw", f"{key}=1")
            stack.callback(net.client, port, "sysctl", "-qw", f"{key}=0")
        yield


def test_three_counters(net, node, samples):
    """What the chain counts is what was sent."""
    apply(node, "three", PER_CLIENT.replace("SAMPLES", str(samples)))
    net.give("lan", f"{QUIET_LAN}/24")
    net.give("wan", f"{QUIET_WAN}/24")
    wait_for_ping(net, "lan", QUIET_WAN)
    with silent(net), udp_server(net, "wan", (QUIET_WAN, 53)) as server:
        settled(node, "three")
        before = show(node, "three")
        assert ping(net, "lan", QUIET_WAN, 20) == 20
        with net.within("lan", udp_client, (QUIET_WAN, 53)) as allowed, \
                net.within("lan", udp_client, (QUIET_WAN, 54)) as denied:
            for i in range(5):
                denied.send(b"not allowed")
            for i in range(10):
                assert ask(allowed, b"%d" % i) == b"%d" % i
        assert len(server.seen) == 10
        after = show(node, "three")

    def grown(stage, name):
        return after["stages"][stage][name] - before["stages"][stage][name]

    def grown_own(stage, name):
        return (after["stages"][stage]["counters"][name]
                - before["stages"][stage]["counters"][name])

    # Echoes and their answers, datagrams and theirs.
    passed = 2 * 20 + 2 * 10
    assert after["packets"] - before["packets"] == passed + 5
    assert [grown(stage, "received") for stage in range(3)] == [passed + 5, passed, passed]
    assert [grown(stage, "forwarded") for stage in range(3)] == [passed] * 3
    assert [grown(stage, "dropped") for stage in range(3)] == [5, 0, 0]
    assert (grown_own(0, "allowed"), grown_own(0, "denied")) == (passed, 5)
    assert grown_own(1, "up/passed_packets") == grown_own(1, "down/passed_packets") == passed // 2
    echoes, datagrams = 20 * (14 + 20 + 8 + 56), 10 * (14 + 20 + 8 + 1)
    assert grown_own(1, "up/passed_bytes") == echoes + datagrams
    assert grown_own(2, "clean") == passed and grown_own(2, "bytes") == 2 * 10
    for stage in after["stages"]:
        assert stage["died"] == stage["refused"] == stage["full"] == 0, stage
