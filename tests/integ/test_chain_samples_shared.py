"""Samples that all clients of a chain share: the NAT, the balancer, the name server's cache; with
the kernel's clients and servers on both sides."""
import collections
import contextlib
import random
import socket
import struct

import pytest
from chain_samples import (
    ICMP, SAMPLES, TCP, apply_sample, apply_wire, capture, counters_of, icmp_frame, say,
    send_frames, tcp_client, tcp_frame, tcp_server, udp_server,
)
from edgeos_chains import apply, show
from edgeos_net import ask, iperf3, running, udp_client, udp_frame, wait_for_ping
from edgeos_node import wait_for
from net_fixtures import NEEDS, module_net, net, node

__all__ = ["module_net", "net", "node"]
pytestmark = [*NEEDS, pytest.mark.usefixtures("samples")]


# --- nat ---

# Of nat.click: the translator's and the routers' addresses on both sides.
PUBLIC, GATEWAY, SERVER = "192.0.2.1", "100.64.0.1", "198.51.100.1"
CLIENTS = [f"100.64.0.{i}" for i in range(2, 8)]
NAT_MACS = {"lan": "02:00:00:00:01:01", "wan": "02:00:00:00:02:01"}
ROUTER_MACS = {"lan": "02:00:00:00:01:02", "wan": "02:00:00:00:02:02"}
# With what keeps strangers out, and the rate of all clients together, before it.
NAT_OF_THREE = """
match: {port: lan, proto: any}
isolation: tenant
idle: 0
limits: {memory: 16MiB, timeout: 100ms}
stages:
  - image: SAMPLES/firewall.wasm
    config: {rules: "allow tcp 80,5201; allow udp 4000; allow icmp"}
  - {image: SAMPLES/ratelimit.wasm, config: {rate: 400Mbit, burst: 4MiB}}
  - NAT
out: wan
"""


@contextlib.contextmanager
def translated_link(net):
    """Both sides' routers have the addresses that nat.click names."""
    olds = {port: net.mac(port).hex(":") for port in ROUTER_MACS}
    try:
        for port, mac in ROUTER_MACS.items():
            net.client(port, "ip", "link", "set", "eth0", "address", mac)
        net.give("lan", *(f"{address}/24" for address in CLIENTS))
        net.client("lan", "ip", "route", "replace", "default", "via", GATEWAY)
        net.give("wan", f"{SERVER}/24")
        net.client("wan", "ip", "route", "replace", PUBLIC, "dev", "eth0")
        wait_for_ping(net, "lan", SERVER)
        yield net
    finally:
        for port, mac in olds.items():
            net.client(port, "ip", "link", "set", "eth0", "address", mac)


@pytest.fixture
def nat(net):
    apply_sample(net.edge, "nat")
    with translated_link(net):
        yield net


def nothing_but_public(seen):
    """What left has the public address, also within errors, and nothing of the clients'."""
    left = [p for p in seen.packets() if p.source_mac.hex(":") == NAT_MACS["wan"]]
    assert left
    for packet in left:
        assert packet.type == 0x0806 or packet.source == PUBLIC, packet
        for address in CLIENTS:
            assert socket.inet_aton(address) not in packet.frame[14:], packet
    return left


def test_nat_same_ports(nat, tmp_path):
    """Clients that use the same ports towards the same server are told apart."""
    net = nat
    with contextlib.ExitStack() as stack:
        seen = stack.enter_context(capture(net, "wan", tmp_path))
        udp = stack.enter_context(udp_server(
            net, "wan", (SERVER, 4000), lambda data, source: data + b" %d" % source[1]))
        tcp = stack.enter_context(tcp_server(net, "wan", (SERVER, 80)))
        answers = {}
        for address in CLIENTS:
            client = stack.enter_context(contextlib.closing(net.within(
                "lan", socket.socket, socket.AF_INET, socket.SOCK_DGRAM)))
            client.bind((address, 5000))
            client.connect((SERVER, 4000))
            client.settimeout(5)
            answers[address] = client
        for address, client in answers.items():
            client.send(address.encode())
        # All ask before anybody listens.
        numbers = set()
        for address, client in answers.items():
            name, number = client.recv(100).split()
            assert name == address.encode()
            numbers.add(int(number))
        assert len(numbers) == len(CLIENTS) and min(numbers) >= 1024
        connections = [stack.enter_context(tcp_client(net, "lan", (SERVER, 80), (address, 5001)))
                       for address in CLIENTS]
        for address, connection in zip(CLIENTS, connections):
            connection.sendall(address.encode())
        for address, connection in zip(CLIENTS, connections):
            assert connection.recv(100) == address.encode()
        assert {source[0] for source, _ in udp.seen + tcp.seen} == {PUBLIC}
        assert len({source for source, _ in tcp.seen}) == len(CLIENTS)
        seen.wait_for(lambda p: p.payload == CLIENTS[-1].encode() and p.proto == TCP, "the last")
        nothing_but_public(seen)
        assert show(net.edge, "nat")["stages"][0]["died"] == 0


def test_nat_icmp(nat, tmp_path):
    """Echoes with the same identifier, errors about what was sent, and what nobody asked for."""
    net = nat
    with capture(net, "wan", tmp_path) as seen, contextlib.ExitStack() as stack:
        pings = [stack.enter_context(running(net.spawn(
            "lan", "ping", "-c", "4", "-i", "0.05", "-W", "5", "-e", "77", "-I", address, SERVER)))
            for address in CLIENTS[:3]]  # fmt: skip
        for each in pings:
            assert " 4 received" in each.communicate(timeout=60)[0]
        seen.wait_for(lambda p: p.proto == ICMP and p.source == PUBLIC, "an echo")
        left = [p for p in nothing_but_public(seen) if p.proto == ICMP and p.frame[34] == 8]
        assert len({p.frame[38:40] for p in left}) == 3  # identifiers
    with net.within("lan", udp_client, (SERVER, 4001), 5, CLIENTS[2]) as client:
        client.send(b"nobody listens")
        with pytest.raises(ConnectionRefusedError):
            client.recv(10)
    # Who asks for the way is told of this hop.
    done = net.client("lan", "ping", "-c", "1", "-t", "1", "-W", "5", "-I", CLIENTS[0], SERVER,
                      check=False)
    assert f"From {GATEWAY} " in done.stdout and "Time to live exceeded" in done.stdout, done.stdout
    # The error that says how long packets may be reaches who sent too long ones.
    with capture(net, "wan", tmp_path, "udp") as seen, \
            net.within("lan", udp_client, (SERVER, 4000), 5, CLIENTS[1]) as client:
        client.setsockopt(socket.IPPROTO_IP, 10, 2)  # IP_MTU_DISCOVER: always
        client.send(bytes(1400))
        packet = seen.wait_for(lambda p: len(p.payload) == 1400, "the long one")
        macs = [bytes.fromhex(mac["wan"].replace(":", "")) for mac in (NAT_MACS, ROUTER_MACS)]
        send_frames(net, "wan", icmp_frame(macs, SERVER, PUBLIC, 3, 4, struct.pack("!HH", 0, 1300),
                                           packet.frame[14:42]))
        wait_for(lambda: client.getsockopt(socket.IPPROTO_IP, 14) == 1300, "IP_MTU")
        net.client("lan", "ip", "route", "flush", "cache")


def test_nat_from_outside(nat, tmp_path):
    net = nat
    macs = [bytes.fromhex(mac["wan"].replace(":", "")) for mac in (NAT_MACS, ROUTER_MACS)]
    ends = [socket.inet_aton(SERVER), socket.inet_aton(PUBLIC)]
    with capture(net, "lan", tmp_path, "ip") as seen, \
            udp_server(net, "wan", (SERVER, 4000)) as server:
        with net.within("lan", udp_client, (SERVER, 4000), 2, CLIENTS[0]) as client:
            assert ask(client, b"first") == b"first"
            number = server.seen[0][0][1]
            own = socket.inet_aton(CLIENTS[0])
            about = udp_frame(*macs, *ends[::-1], (number, 4000), b"")[14:42]
            # Other ports, other servers, other protocols, another's echo; and the clients' own,
            # also of an error that quotes rightly.
            send_frames(net, "wan", *(udp_frame(*macs, *ends, (4000, port), b"bad")
                                      for port in range(1024, 1424) if port != number),
                        udp_frame(*macs, *ends, (4001, number), b"bad"),
                        udp_frame(*macs, ends[0], own, (4000, 5000), b"bad"),
                        tcp_frame(macs, SERVER, PUBLIC, (80, number), 2, payload=b"bad"),
                        icmp_frame(macs, SERVER, PUBLIC, 0, 0, b"\0\1\0\1", b"bad"),
                        icmp_frame(macs, SERVER, CLIENTS[0], 3, 1, bytes(4), about))
            assert ask(client, b"the end") == b"the end"
        seen.wait_for(lambda p: p.payload == b"the end" and p.source == SERVER, "the last answer")
        came = [p for p in seen.packets() if p.source_mac.hex(":") == NAT_MACS["lan"]]
        assert [p.payload for p in came] == [b"first", b"the end"]


def test_nat_of_three(net, node, samples, tmp_path):
    """firewall -> ratelimit -> nat: what is told apart, limited and counted before it is
    translated, and the other way round."""
    # In its place: the name is part of what is compiled, and kept for the next run.
    text = NAT_OF_THREE.replace("NAT", str(SAMPLES / "nat" / "nat.click"))
    apply(node, "three", text.replace("SAMPLES", str(samples)))
    with translated_link(net), capture(net, "wan", tmp_path) as seen:
        done = net.client("lan", "arping", "-c", "2", "-w", "10", "-I", "eth0", GATEWAY)
        assert f"[{NAT_MACS['lan'].upper()}]" in done.stdout.upper(), done.stdout
        with tcp_server(net, "wan", (SERVER, 80)), \
                udp_server(net, "wan", (SERVER, 4001)) as denied, \
                udp_server(net, "wan", (SERVER, 4000)):
            for address in CLIENTS:
                with tcp_client(net, "lan", (SERVER, 80), (address, 0)) as client:
                    assert say(client, address.encode()) == address.encode()
            before = show(node, "three")
            with net.within("lan", udp_client, (SERVER, 4001)) as client:
                client.send(b"denied")
            with net.within("lan", udp_client, (SERVER, 4000)) as client:
                for i in range(10):
                    assert ask(client, b"%d" % i) == b"%d" % i
            after = show(node, "three")
            assert not denied.seen
        nothing_but_public(seen)
        deltas = {name: [b["counters"].get(name, 0) - a["counters"].get(name, 0)
                         for a, b in zip(before["stages"], after["stages"])]
                  for name in ("denied", "up/passed_packets", "down/passed_packets")}
        assert deltas["denied"][0] == 1
        # Ten there, ten back; the kernels' ARP may be among them.
        for name in ("up/passed_packets", "down/passed_packets"):
            assert 10 <= deltas[name][1] <= 14, deltas
        tcp = iperf3(net, "lan", "wan", SERVER, "-t", "1")
        assert tcp["end"]["sum_received"]["bytes"] > 100_000
        state = show(node, "three")
        assert state["chains"] == 1
        for stage in state["stages"]:
            assert stage["died"] == stage["refused"] == stage["full"] == 0, stage


# --- balancer ---

SERVICE, SERVICE_MAC = "192.0.2.10", "02:00:00:00:77:01"
BACKENDS = ["10.20.0.11", "10.20.0.12", "10.20.0.13"]
LAN = "10.20.0.2"
FLOWS = 100


@contextlib.contextmanager
def balanced(net, backends=None):
    """The service has no machine of its own: the clients' way to it is said, not asked for."""
    apply_wire(net.edge)
    apply_balancer(net, backends or BACKENDS)
    net.give("lan", f"{LAN}/24")
    net.give("wan", *(f"{address}/24" for address in BACKENDS))
    wait_for_ping(net, "lan", BACKENDS[0])
    entry = (SERVICE, "lladdr", SERVICE_MAC, "dev", "eth0")
    net.client("lan", "ip", "route", "replace", SERVICE, "dev", "eth0")
    net.client("lan", "ip", "neigh", "replace", *entry, "nud", "permanent")
    try:
        with tcp_server(net, "wan", ("0.0.0.0", 80), lambda data, connection: (
                connection.getsockname()[0].encode())) as server:
            yield server
    finally:
        net.client("lan", "ip", "neigh", "del", *entry)


def apply_balancer(net, backends):
    mac = net.mac("wan").hex(":")
    old = ("10.0.0.1 02:00:00:00:00:01; 10.0.0.2 02:00:00:00:00:02;\n"
           "        10.0.0.3 02:00:00:00:00:03 weight 2")
    new = "; ".join(f"{address} {mac}{' weight 2' if address == BACKENDS[2] else ''}"
                    for address in backends)
    apply_sample(net.edge, "balancer", ("out: servers", "out: wan"), (old, new))


def test_balancer(net, node, tmp_path):
    with balanced(net) as server, contextlib.ExitStack() as stack, \
            capture(net, "lan", tmp_path, "tcp") as seen:
        clients = [stack.enter_context(tcp_client(net, "lan", (SERVICE, 80), (LAN, 20000 + i)))
                   for i in range(FLOWS)]
        first = [say(client, b"who?").decode() for client in clients]
        # A connection stays where it is.
        assert [say(client, b"who now?").decode() for client in clients] == first
        spread = collections.Counter(first)
        counters = counters_of(node, "balancer")
        assert [counters[f"flows_of_0{i}"] for i in range(3)] == [spread[b] for b in BACKENDS]
        assert counters["flows_new"] == FLOWS and counters["not_ours"] == 0
        # A quarter, a quarter, a half; each within half of its share.
        for backend, share in zip(BACKENDS, (0.25, 0.25, 0.5)):
            assert 0.5 * share < spread[backend] / FLOWS < 1.5 * share, spread
        # The servers are nobody to the clients.
        assert {p.source for p in seen.packets()} <= {LAN, SERVICE}
        # One of them goes. Flows of the others stay, but for the few that Maglev's table moves.
        gone = BACKENDS[1]
        apply_balancer(net, [b for b in BACKENDS if b != gone])
        stayed = 0
        for client, backend in zip(clients, first):
            if backend == gone:
                continue
            # One that was moved meets a server that does not know it.
            with contextlib.suppress(ConnectionResetError):
                assert say(client, b"who now?").decode() == backend
                stayed += 1
        others = FLOWS - spread[gone]
        assert stayed >= 0.9 * others, (stayed, others)
        fresh = [stack.enter_context(tcp_client(net, "lan", (SERVICE, 80), (LAN, 30000 + i)))
                 for i in range(30)]
        assert {say(client, b"who?").decode() for client in fresh} == set(BACKENDS) - {gone}
        assert len(server.seen) >= 2 * FLOWS + stayed + 30
    assert show(node, "balancer")["stages"][0]["died"] == 0


def test_balancer_refuses(net, node):
    """Other ports and protocols are not the service's; errors of a server come as its own."""
    with balanced(net):
        before = counters_of(node, "balancer")["to_backends"]
        with net.within("lan", udp_client, (SERVICE, 80), 0.3) as client:
            client.send(b"not TCP")
            with pytest.raises(TimeoutError):
                client.recv(10)
        with pytest.raises(TimeoutError):
            tcp_client(net, "lan", (SERVICE, 81), timeout_s=0.3)
        assert counters_of(node, "balancer")["to_backends"] == before
        with pytest.raises(AssertionError, match="its initialisation ended"):
            apply_balancer(net, ["fd20::1"])
        assert "backends: not a backend" in node.log()


# --- the name server's cache ---

WAN = "10.20.0.9"
SOA = b"\0" + struct.pack("!HHIH", 6, 1, 30, 22) + b"\0\0" + struct.pack("!IIIII", 1, 2, 3, 4, 30)


def name_of(text):
    return b"".join(bytes([len(part)]) + part.encode() for part in text.split(".")) + b"\0"


class NameServer:
    """Answers by the name that is asked for."""

    def __init__(self):
        self.asked = collections.Counter()

    def answer(self, message):
        (number,) = struct.unpack_from("!H", message)
        end = message.index(b"\0", 12)
        name = message[12 : end + 1].lower()
        question = message[12 : end + 5]
        self.asked[name] += 1
        records, flags, authority = [], 0x8400, b""

        def record(kind, ttl, data):
            return b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, ttl, len(data)) + data

        if name == name_of("nothing.test"):
            flags, authority = flags | 3, SOA
        elif name == name_of("broken.test"):
            # It says that there is a record, and then there is half of one.
            return (struct.pack("!6H", number, flags, 1, 1, 0, 0) + question
                    + record(1, 60, bytes(4))[:-3])
        elif name == name_of("large.test") and not self.is_tcp:
            flags |= 0x0200
        elif name == name_of("large.test"):
            records = [record(16, 60, b"\xff" + b"x" * 255)] * 5
        elif name == name_of("short.test"):
            records = [record(1, 1, bytes([10, 0, 0, self.asked[name]]))]
        else:
            records = [record(1, 300, bytes([10, 0, 0, self.asked[name]]))]
        return (struct.pack("!6H", number, flags | (message[2] & 1) << 8, 1, len(records),
                            bool(authority), 0) + question + b"".join(records) + authority)

    is_tcp = False

    def answer_tcp(self, data, _):
        other = NameServer()
        other.is_tcp, other.asked = True, self.asked
        made = other.answer(data[2:])
        return struct.pack("!H", len(made)) + made


def dig(net, port, server, *words):
    return net.client(port, "dig", f"@{server}", "+tries=3", "+timeout=5", *words).stdout


def answers_of(text):
    """The records of the section with answers: (TTL, type, data)."""
    section = text.partition(";; ANSWER SECTION:\n")[2].partition("\n\n")[0]
    lines = [line.split(None, 4) for line in section.splitlines()]
    return [(int(ttl), kind, data) for _, ttl, _, kind, data in lines]


@pytest.fixture
def cached(net):
    """A cache between lan and a name server in wan."""
    apply_wire(net.edge)
    apply_sample(net.edge, "dns", file="cache.yaml")
    net.give("lan", f"{LAN}/24")
    net.give("wan", f"{WAN}/24")
    wait_for_ping(net, "lan", WAN)
    server = NameServer()
    with udp_server(net, "wan", (WAN, 53), lambda data, _: server.answer(data)), \
            tcp_server(net, "wan", (WAN, 53), server.answer_tcp):
        yield server


def test_dns_cache(net, node, cached):
    """Asked once, answered often; each with its own number, spelling and age."""
    first = answers_of(dig(net, "lan", WAN, "www.test"))
    assert first == [(300, "A", "10.0.0.1")]
    for name in ("www.test", "WWW.Test", "www.test"):
        text = dig(net, "lan", WAN, name)
        assert f"\n{name}." in text and "status: NOERROR" in text
        (ttl, kind, data), = answers_of(text)
        assert (kind, data) == ("A", "10.0.0.1") and 0 < ttl <= 300
    assert cached.asked[name_of("www.test")] == 1
    # Without EDNS, and of another type: a question of its own.
    assert answers_of(dig(net, "lan", WAN, "+noedns", "www.test"))[0][1:] == ("A", "10.0.0.1")
    dig(net, "lan", WAN, "www.test", "AAAA")
    assert cached.asked[name_of("www.test")] == 2
    counters = counters_of(node, "dnscache")
    assert (counters["cache_hits"], counters["cache_misses"]) == (4, 2)
    # A cookie comes back from here; any other option is for the server.
    cookie = "00112233445566778899aabbccddeeff"
    assert f"COOKIE: {cookie} (good)" in dig(net, "lan", WAN, "www.test", f"+cookie={cookie}")
    assert cached.asked[name_of("www.test")] == 2
    for option in ("+subnet=198.51.100.0/24", "+nsid", "+ednsopt=65001:00"):
        dig(net, "lan", WAN, "www.test", option)
    assert cached.asked[name_of("www.test")] == 5
    # What is not there is remembered, too.
    for _ in range(3):
        text = dig(net, "lan", WAN, "nothing.test")
        assert "status: NXDOMAIN" in text and "SOA" in text
    assert cached.asked[name_of("nothing.test")] == 1
    # What holds for a second is asked for anew behind that.
    dig(net, "lan", WAN, "short.test")
    wait_for(lambda: dig(net, "lan", WAN, "short.test") and cached.asked[name_of("short.test")] > 1,
             "another question", interval_s=0.3)
    ttls = [ttl for ttl, *_ in answers_of(dig(net, "lan", WAN, "www.test"))]
    assert ttls[0] < 300
    # A truncated answer is not kept; over TCP the rest comes, past the cache.
    text = dig(net, "lan", WAN, "large.test", "TXT")
    assert "Truncated, retrying in TCP" in text and len(answers_of(text)) == 5
    dig(net, "lan", WAN, "large.test", "TXT", "+ignore")
    assert cached.asked[name_of("large.test")] == 3
    assert counters_of(node, "dnscache")["cache_kept"] == 5
    assert show(node, "dnscache")["stages"][0]["died"] == 0


def test_dns_cache_is_not_fooled(net, node, cached):
    """Malformed messages go no further, answers that nobody asked for are not kept."""
    macs = [net.mac(port) for port in ("wan", "lan")]
    lan, wan = socket.inet_aton(LAN), socket.inet_aton(WAN)
    # As dig asks, which wants to know of DNSSEC (AD): who does not has answers of his own.
    query = struct.pack("!6H", 7, 0x0120, 1, 0, 0, 0) + name_of("victim.test") + b"\0\1\0\1"
    wrong = [b"", b"x", query[:11], query[:20], query[:12] + b"\xc0\x0c\0\1\0\1",
             query[:12] + b"\x40" * 20, query[:4] + b"\0\2" + query[6:], query + b"more"]
    rng = random.Random(5)
    wrong += [rng.randbytes(rng.randrange(12)) for _ in range(50)]
    send_frames(net, "lan", *(udp_frame(*macs, lan, wan, (5353, 53), data) for data in wrong))
    # Forged: with another number, from another port, of another name, and before anybody asked.
    made = NameServer().answer(query)
    made = made[:-4] + bytes([6, 6, 6, 6])
    forged = [udp_frame(*macs[::-1], wan, lan, (53, port), struct.pack("!H", number) + made[2:])
              for port in (5353, 5354) for number in range(200)]
    send_frames(net, "wan", *forged)
    with net.within("lan", udp_client, (WAN, 53), 2) as client:
        assert ask(client, query)[-4:] == bytes([10, 0, 0, 1])
    assert answers_of(dig(net, "lan", WAN, "victim.test"))[0][2] == "10.0.0.1"
    counters = counters_of(node, "dnscache")
    assert counters["malformed"] >= 50
    assert cached.asked[name_of("victim.test")] == 1
    # What the server itself says wrongly does not come through.
    done = net.client("lan", "dig", f"@{WAN}", "+tries=1", "+timeout=1", "broken.test", check=False)
    assert done.returncode == 9, done.stdout
    assert counters_of(node, "dnscache")["malformed"] > counters["malformed"]
    assert show(node, "dnscache")["stages"][0]["died"] == 0
