"""The data plane's ports with real clients: the kernel's programs, in namespaces on the other ends
of veths, through hosts' addresses and through chains."""
import contextlib
import os
import signal
import socket
import struct
import threading

import pytest
from edgeos_chains import apply, compile_packets, plane_pids, show, wait_for_plane
from edgeos_net import (
    LIMIT_S, ask, checksum, in_background, iperf3, ping, running, run, udp_client, udp_frame,
    wait_for_ping,
)
from edgeos_node import wait_for
from net_fixtures import (
    HOST4, HOST6, HOST_MAC, NEEDS, WIRE, WIRE_CLICK, module_net, net, node, put,
)

__all__ = ["module_net", "net", "node"]
pytestmark = NEEDS

# Counts for each client, in what it sends to port 4000: "count" is answered with how many there
# were, "cache" goes to the next hop of that name, everything else passes.
COUNT = r"""
EDGEOS_PACKETS(2048)
static unsigned seen;
static int32_t cache = -1;
static struct edgeos_counter counters[] = {{"count.packets", 0}};
EDGEOS_EXPORT(edgeos_init) void edgeos_init(void)
{
    if (edgeos_open_packets() < 0 || edgeos_counters(counters, 1) < 0)
        abort();
    cache = edgeos_port("cache", 5);
}
static void swap(uint8_t *a, uint8_t *b, unsigned len)
{
    for (unsigned i = 0; i < len; i++) {
        uint8_t byte = a[i];
        a[i] = b[i];
        b[i] = byte;
    }
}
EDGEOS_EXPORT(edgeos_packet) uint32_t edgeos_packet(void *buf, uint32_t len)
{
    uint8_t *p = buf;
    char digits[8];
    counters[0].value++;
    if (edgeos_slot.info.port != EDGEOS_PORT_CLIENT || len < 14 + 20 + 8 + 5 || p[12] != 8 ||
        p[14] != 0x45 || p[23] != 17)
        return EDGEOS_FORWARD;
    seen++;
    if (memcmp(p + 42, "trap", 4) == 0)
        __builtin_trap();
    if (memcmp(p + 42, "loop", 4) == 0)
        for (volatile int i = 0;; i++)
            ;
    if (memcmp(p + 42, "cache", 5) == 0)
        return cache < 0 ? EDGEOS_DROP : EDGEOS_HOP + (uint32_t)cache;
    if (memcmp(p + 42, "count", 5) != 0)
        return EDGEOS_FORWARD;
    swap(p, p + 6, 6);
    swap(p + 26, p + 30, 4);
    swap(p + 34, p + 36, 2);
    p[40] = p[41] = 0;
    snprintf(digits, sizeof(digits), "%05u", seen % 100000);
    memcpy(p + 42, digits, 5);
    return EDGEOS_ANSWER;
}
"""

LAN, WAN = "10.20.0.2", "10.20.0.3"
LAN6, WAN6 = "fd20::2", "fd20::3"


@pytest.fixture(scope="module")
def count():
    return compile_packets(COUNT)


@pytest.fixture
def wire(net):
    """The wire between lan and wan, whose ends are in one subnet."""
    put(net.edge, "wire.click", WIRE_CLICK)
    apply(net.edge, "wire", WIRE)
    net.give("lan", f"{LAN}/24", f"{LAN6}/64")
    net.give("wan", f"{WAN}/24", f"{WAN6}/64")
    wait_for_ping(net, "lan", WAN)
    return net


def counters_of(node, name, stage=0):
    return show(node, name)["stages"][stage]["counters"]


def port_of(node, name):
    return next(port for port in node.cli_json("chain", "list")["ports"] if port["port"] == name)


@contextlib.contextmanager
def udp_echo(net, port, address, number, prefix=b""):
    """A server in PORT's namespace that says what it was told, and by whom it was asked."""
    server = net.within(port, socket.socket, socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((address, number))
    server.settimeout(0.1)
    is_over = threading.Event()
    seen = []

    def serve():
        while not is_over.is_set():
            with contextlib.suppress(TimeoutError):
                data, source = server.recvfrom(65536)
                seen.append((source, data))
                server.sendto(prefix + data, source)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield seen
    finally:
        is_over.set()
        thread.join()
        server.close()


# --- a port with addresses ---


def test_host(net, node):
    net.give("host", "10.29.0.2/16", "fd29::2/64")
    for address in (HOST4, HOST6):
        assert ping(net, "host", address, 5, "-s", "1000") == 5
    done = net.client("host", "arping", "-c", "2", "-w", "60", "-I", "eth0", HOST4)
    assert f"[{HOST_MAC.upper()}]" in done.stdout.upper(), done.stdout
    # Nobody else's addresses.
    done = net.client("host", "arping", "-c", "1", "-w", "1", "-I", "eth0", "10.29.0.77",
                      check=False)
    assert "Received 0 " in done.stdout or done.returncode != 0
    neighbours = net.client("host", "ip", "neigh").stdout
    assert neighbours.count(HOST_MAC) == 2, neighbours
    # What nobody serves is refused, at once.
    for address in (HOST4, HOST6):
        with net.within("host", udp_client, (address, 9)) as client:
            client.send(b"x")
            with pytest.raises(ConnectionRefusedError):
                client.recv(10)
    before = port_of(node, "host")["unwanted"]
    with net.within("host", udp_client, (HOST4, 9)) as client:
        client.send(b"x")
    wait_for(lambda: port_of(node, "host")["unwanted"] == before + 1, "the counter")


def framed(request, number=1):
    """memcached's header for UDP: request, sequence, datagrams, reserved."""
    return struct.pack("!HHHH", number, 0, 1, 0) + request


def test_memcached(net, node, samples):
    """An endpoint on the port; each client address has its own instance."""
    clients = [f"10.29.1.{i}" for i in range(1, 6)]
    net.give("host", *(f"{address}/16" for address in clients), "fd29::2/64")
    apply(node, "cache", "endpoint: {port: host, udp: 11211}\nisolation: client\nidle: 0\n"
          f"limits: {{memory: 24MiB, timeout: 1s}}\n"
          f'stages: [{{image: {samples}/memcached.wasm, config: {{memory: "8"}}}}]')
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(net.within("host", udp_client, (HOST4, 11211), LIMIT_S, address))
                   for address in clients]
        sockets.append(stack.enter_context(net.within("host", udp_client, (HOST6, 11211))))
        for i, client in enumerate(sockets):
            answer = ask(client, framed(b"set who 0 0 2\r\n%02d\r\n" % i, i))
            assert answer == framed(b"STORED\r\n", i)
        for i, client in enumerate(sockets):
            answer = ask(client, framed(b"get who\r\n", i))
            assert answer == framed(b"VALUE who 0 2\r\n%02d\r\nEND\r\n" % i, i)
        # Another socket with the same address is the same client.
        with net.within("host", udp_client, (HOST4, 11211), LIMIT_S, clients[3]) as other:
            assert b"\r\n03\r\n" in ask(other, framed(b"get who\r\n"))
        assert show(node, "cache")["chains"] == len(clients) + 1
    # The rest of the port is as before.
    with net.within("host", udp_client, (HOST4, 11212)) as client:
        client.send(b"x")
        with pytest.raises(ConnectionRefusedError):
            client.recv(10)


def test_wrong_checksums(net, node, samples):
    net.give("host", "10.29.0.2/16")
    apply(node, "cache", "endpoint: {port: host, udp: 11211}\nisolation: tenant\n"
          f"limits: {{memory: 24MiB, timeout: 1s}}\n"
          f'stages: [{{image: {samples}/memcached.wasm, config: {{memory: "8"}}}}]')
    us, them = socket.inet_aton("10.29.0.2"), socket.inet_aton(HOST4)
    mac = bytes.fromhex(HOST_MAC.replace(":", ""))
    payload = framed(b"version\r\n")
    frame = bytearray(udp_frame(mac, net.mac("host"), us, them, (5000, 11211), payload))
    pseudo = us + them + struct.pack("!BBH", 0, 17, 8 + len(payload))
    right = checksum(pseudo + bytes(frame[34:]))

    def send():
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
            raw.bind(("eth0", 0))
            for value in (right ^ 0x101, (right + 1) & 0xFFFF or 1, right):
                frame[40:42] = struct.pack("!H", value)
                raw.send(bytes(frame))
            frame[24] ^= 1  # of IP
            raw.send(bytes(frame))

    net.within("host", send)
    wait_for(lambda: show(node, "cache")["packets"] >= 1, "the right one")
    with net.within("host", udp_client, (HOST4, 11211)) as client:
        assert b"VERSION" in ask(client, payload)
    # The right one, and the last.
    assert show(node, "cache")["packets"] == 2


# --- a wire ---


def test_wire(wire):
    net, node = wire, wire.edge
    before = counters_of(node, "wire")
    for address in (WAN, WAN6):
        assert ping(net, "lan", address, 20, "-s", "1400") == 20
    after = counters_of(node, "wire")
    assert after["up.count"] - before["up.count"] >= 40
    assert after["down.count"] - before["down.count"] >= 40
    # Whole frames, of any kind: what is sent is what comes.
    sender = net.mac("lan")
    frames = [b"\xff" * 6 + sender + b"\x88\xb5" + bytes([i]) * (46 + 100 * i) for i in range(14)]

    def listen():
        raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x88B5))
        raw.bind(("eth0", 0x88B5))
        raw.settimeout(LIMIT_S)
        return raw

    with net.within("wan", listen) as there, net.within("lan", listen) as here:
        for frame in frames:
            here.send(frame)
        assert [there.recv(2000) for _ in frames] == frames
    assert show(node, "wire")["stages"][0]["dropped"] == 0


def test_wire_tagged(wire):
    """The longest frames with a tag are four bytes longer than those without."""
    def open_raw():
        raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x88B5))
        raw.bind(("eth0", 0x88B5))
        raw.settimeout(LIMIT_S)
        return raw

    payload = bytes(range(250)) * 6
    addresses = b"\xff" * 6 + wire.mac("lan")
    with wire.within("wan", open_raw) as there, wire.within("lan", open_raw) as here:
        for tag in (b"", b"\x81\0\0\x07"):
            here.send(addresses + tag + b"\x88\xb5" + payload)
            # The kernel there tells the tag apart.
            assert there.recv(2000) == addresses + b"\x88\xb5" + payload


def test_wire_iperf3(wire):
    net, node = wire, wire.edge
    before = show(node, "wire")
    tcp = iperf3(net, "lan", "wan", WAN, "-n", "20M")
    received = tcp["end"]["sum_received"]["bytes"]
    print("iperf3, TCP, Mbit/s:", tcp["end"]["sum_received"]["bits_per_second"] / 1e6)
    # What iperf3 still had under way when it said that this is all is not in it.
    assert received > 4 << 20 and tcp["end"]["sum_sent"]["bytes"] >= 20 << 20
    back = iperf3(net, "lan", "wan", WAN6, "-R", "-n", "4M")
    assert back["end"]["sum_received"]["bytes"] > 1_000_000
    # How many of these a ring drops, as nobody has the time to take them, depends on the machine.
    udp = iperf3(net, "lan", "wan", WAN, "-u", "-b", "20M", "-l", "1200", "-k", "2000")
    assert udp["end"]["sum"]["packets"] >= 2000 > udp["end"]["sum"]["lost_packets"]
    after = show(node, "wire")
    assert (after["packets"] - before["packets"]) * 1400 > received
    stage = after["stages"][0]
    assert stage["received"] == after["packets"] and stage["died"] == 0
    counted = stage["counters"]["up.count"] + stage["counters"]["down.count"]
    assert counted >= after["packets"] * 0.99


def test_wire_windows(wire):
    """Of datagrams that are never more at once than a ring holds, none is lost."""
    net, node = wire, wire.edge
    window, rounds = 64, 40
    before = counters_of(node, "wire")
    with udp_echo(net, "wan", WAN, 4000), net.within("lan", udp_client, (WAN, 4000)) as client:
        for at in range(0, window * rounds, window):
            sent = [b"%05d" % i + bytes(1000) for i in range(at, at + window)]
            for data in sent:
                client.send(data)
            assert [client.recv(2000) for _ in sent] == sent
    after = counters_of(node, "wire")
    for name in ("up.count", "down.count"):
        assert after[name] - before[name] >= window * rounds


def test_wire_tcpdump(wire, tmp_path):
    """What left, by the word of another program."""
    net = wire
    tcpdump = net.spawn("wan", "tcpdump", "-n", "-U", "-i", "eth0", "-Z", "root", "-c", "8",
                        "-w", str(tmp_path / "out.pcap"),
                        "icmp[icmptype] == icmp-echo or (udp and dst port 777)")
    with running(tcpdump):
        assert "listening" in tcpdump.stdout.readline()
        # With somebody there, and not connected, so that refusals of one do not end the next.
        with udp_echo(net, "wan", WAN, 777), net.within(
            "lan", socket.socket, socket.AF_INET, socket.SOCK_DGRAM
        ) as client:
            for i in range(4):
                client.sendto(b"datagram %d" % i, (WAN, 777))
        assert ping(net, "lan", WAN, 4) == 4
        assert tcpdump.wait(LIMIT_S) == 0
    text = run("tcpdump", "-n", "-vvv", "-A", "-r", tmp_path / "out.pcap").stdout
    for i in range(4):
        assert f"datagram {i}" in text
    assert f"{LAN} > {WAN}: ICMP echo request" in text and "udp sum ok" in text, text
    assert "bad" not in text, text


@contextlib.contextmanager
def conversation(net, address, number):
    """A TCP connection from lan to wan with so small a window that no ring is ever full: numbers go
    there and back for as long as this lasts. Yields a list of those that have come back."""
    came_back, is_over = [], threading.Event()

    def listen():
        listener = socket.create_server((address, number))
        listener.settimeout(LIMIT_S)
        return listener

    def connect_to():
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16384)
        client.settimeout(LIMIT_S)
        client.connect((address, number))
        return client

    def echo(listener):
        with listener.accept()[0] as server:
            server.settimeout(LIMIT_S)
            while data := server.recv(4096):
                server.sendall(data)

    def talk(client):
        with client, client.makefile("rb") as lines:
            while not is_over.is_set():
                text = b"".join(b"%d\n" % (len(came_back) + i) for i in range(1000))
                client.sendall(text)
                for line in text.splitlines(True):
                    assert lines.readline() == line
                    came_back.append(int(line))

    with net.within("wan", listen) as listener, in_background(echo, listener):
        with in_background(talk, net.within("lan", connect_to), end=is_over):
            yield came_back


def test_wire_replaced(wire):
    """New versions, while a TCP connection and datagrams are on it: not one frame is lost."""
    net, node = wire, wire.edge
    other = WIRE_CLICK.replace("up ::", "more :: Counter; up ::").replace("-> up", "-> more -> up")
    # Compiled before, so that it is quick below.
    for text in (other, WIRE_CLICK):
        put(node, "wire.click", text)
        apply(node, "wire", WIRE)
    version = show(node, "wire")["version"]
    is_over, asked = threading.Event(), []

    def ask_on(client):
        while not is_over.is_set():
            asked.append(b"%d" % len(asked))
            client.send(asked[-1])
            assert client.recv(100) == asked[-1]

    with udp_echo(net, "wan", WAN, 4000), conversation(net, WAN, 5201) as came_back, \
            net.within("lan", udp_client, (WAN, 4000)) as client, \
            in_background(ask_on, client, end=is_over):
        for text in (other, WIRE_CLICK, other):
            seen = len(came_back), len(asked)
            wait_for(lambda: len(came_back) > seen[0] + 3000 and len(asked) > seen[1] + 10, "talk")
            put(node, "wire.click", text)
            apply(node, "wire", WIRE)
        seen = len(came_back), len(asked)
        wait_for(lambda: len(came_back) > seen[0] + 3000 and len(asked) > seen[1] + 10, "talk")
    assert show(node, "wire")["version"] == version + 3
    assert show(node, "wire")["replaced"] >= 3
    assert ping(net, "lan", WAN, 3) == 3
    assert counters_of(node, "wire")["more.count"] >= 3


def test_worker_killed(wire):
    """Another one opens the ports again, and has the chain."""
    net, node = wire, wire.edge
    worker = plane_pids(node)[1]
    assert ping(net, "lan", WAN, 3) == 3
    os.kill(worker, signal.SIGKILL)
    wait_for(lambda: (plane_pids(node) or (0, worker))[1] != worker, "another worker")
    wait_for_ping(net, "lan", WAN)
    assert ping(net, "lan", WAN, 5) == 5
    wait_for_plane(node)
    # It has begun anew: with what came since.
    assert show(node, "wire")["version"] == 1


# --- a chain for each client ---


def apply_clients(node, count, text, name="a-clients", port=4000):
    apply(node, name, f"match: {{port: lan, proto: udp, target_port: {port}}}\nout: wan\n"
          + text.replace("COUNT", str(count)))


def use_clients(net, node, count, text, clients, name="a-clients", port=4000):
    """A wire for all but UDP, and a chain for each client of that."""
    put(node, "wire.click", WIRE_CLICK)
    apply(node, "wire", WIRE)
    apply_clients(node, count, text, name, port)
    net.give("lan", *(f"{address}/16" for address in clients))
    net.give("wan", "10.20.0.3/16")
    wait_for_ping(net, "lan", WAN)


def test_clients(net, node, count):
    clients = [f"10.20.{1 + i // 20}.{1 + i % 20}" for i in range(40)]
    use_clients(net, node, count, "isolation: client\nidle: 0\nstages: [COUNT]", clients)
    with contextlib.ExitStack() as stack:
        seen = stack.enter_context(udp_echo(net, "wan", WAN, 4000, b"echo "))
        sockets = [stack.enter_context(net.within("lan", udp_client, (WAN, 4000), LIMIT_S, address))
                   for address in clients]
        # What each has counted is its own.
        for i, client in enumerate(sockets):
            for _ in range(i % 3):
                assert ask(client, b"hello to you") == b"echo hello to you"
            assert ask(client, b"count") == b"%05d" % (i % 3 + 1)
        assert len(seen) == sum(i % 3 for i in range(len(clients)))
        state = show(node, "a-clients")
        assert state["chains"] == state["started"] == len(clients)
        # There and back, through the same one.
        assert state["packets"] == 2 * len(seen) + len(clients) and state["no_chain"] == 0
        assert state["stages"][0]["counters"]["count.packets"] == state["packets"]
        # What the server begins itself is nobody's answer, and passes by the wire.
        before = state["packets"]
        with net.within("lan", socket.socket, socket.AF_INET, socket.SOCK_DGRAM) as waiting:
            waiting.bind((clients[0], 4444))
            waiting.settimeout(LIMIT_S)
            with net.within("wan", udp_client, (clients[0], 4444)) as server:
                server.send(b"unasked for")
            assert waiting.recv(100) == b"unasked for"
        assert show(node, "a-clients")["packets"] == before
        # Idle ones go, as soon as they may; who comes again begins anew.
        apply_clients(node, count, "isolation: client\nidle: 1s\nstages: [COUNT]")
        wait_for(lambda: show(node, "a-clients")["chains"] == 0, "idle ones")
        assert show(node, "a-clients")["reclaimed"] == len(clients)
        assert ask(sockets[2], b"count") == b"00001"


def test_two_stages_and_next_hop(net, node, count):
    clients = ["10.20.1.1", "10.20.1.2"]
    put(node, "first.click", "FromDevice(lan) -> up :: Counter -> ToDevice(wan);"
        "FromDevice(wan) -> down :: Counter -> ToDevice(lan);")
    use_clients(net, node, count, "isolation: client\nidle: 0\nnext: {cache: dmz}\n"
                "stages: [first.click, COUNT]", clients)

    def listen():
        raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x800))
        raw.bind(("eth0", 0x800))
        raw.settimeout(LIMIT_S)
        return raw

    with contextlib.ExitStack() as stack:
        seen = stack.enter_context(udp_echo(net, "wan", WAN, 4000))
        dmz = stack.enter_context(net.within("dmz", listen))
        one, two = (stack.enter_context(net.within("lan", udp_client, (WAN, 4000), LIMIT_S, address))
                    for address in clients)
        assert ask(one, b"hello") == b"hello"
        assert ask(one, b"count") == b"00002" and ask(two, b"count") == b"00001"
        one.send(b"cache this")
        assert dmz.recv(2000).endswith(b"cache this")
        assert [data for _, data in seen] == [b"hello"]
        first, second = show(node, "a-clients")["stages"]
        assert first["counters"]["up.count"] == 4 and first["counters"]["down.count"] == 3
        assert second["counters"]["count.packets"] == 5
        assert (second["hopped"], second["answered"], second["forwarded"]) == (1, 2, 2)


def test_broken_stage(net, node, count):
    """One client's instance dies of some of its packets; the others keep what they know."""
    clients = [f"10.20.1.{i}" for i in range(1, 6)]
    use_clients(net, node, count, "isolation: client\nidle: 0\nlimits: {timeout: 10ms}\n"
                "stages: [COUNT]", clients)
    with contextlib.ExitStack() as stack:
        bad, *others = (stack.enter_context(net.within("lan", udp_client, (WAN, 4000), LIMIT_S, address))
                        for address in clients)
        for client in others:
            assert ask(client, b"count") == b"00001"
        for i in range(40):
            bad.send(b"loop!" if i % 2 else b"trap!")
            if i % 10 == 0:
                assert ping(net, "lan", WAN, 1) == 1
        wait_for(lambda: show(node, "a-clients")["stages"][0]["died"] == 40, "40 deaths")
        assert show(node, "a-clients")["stages"][0]["timed_out"] == 20
        for client in others:
            assert ask(client, b"count") == b"00002"
        assert ask(bad, b"count") == b"00001"


# --- routers of Click's ---

ROUTER = """
AddressInfo(lan_if 10.21.0.1 02:00:00:00:21:01, wan_if 10.22.0.1 02:00:00:00:22:01);
lan :: FromDevice(lan); wan :: FromDevice(wan); to_lan :: ToDevice(lan); to_wan :: ToDevice(wan);
lan_arp :: ARPQuerier(lan_if); wan_arp :: ARPQuerier(wan_if);
lan_class, wan_class :: Classifier(12/0806 20/0001, 12/0806 20/0002, 12/0800);
lan -> lan_class; wan -> wan_class;
lan_class[0] -> ARPResponder(lan_if) -> to_lan; wan_class[0] -> ARPResponder(wan_if) -> to_wan;
lan_class[1] -> [1] lan_arp -> to_lan; wan_class[1] -> [1] wan_arp -> to_wan;
lan_class[2] -> Strip(14) -> CheckIPHeader -> from_lan :: Null;
wan_class[2] -> Strip(14) -> CheckIPHeader -> from_wan :: Null;
"""
NAT = ROUTER + """
rw :: IPRewriter(pattern 10.22.0.1 20000-20999 - - 0 1, drop);
ping :: ICMPPingRewriter(pattern 10.22.0.1 1-65535 - - 0 1, drop);
from_lan -> DecIPTTL -> lan_kind :: IPClassifier(tcp or udp, icmp type echo);
lan_kind[0] -> [0] rw; lan_kind[1] -> [0] ping;
from_wan -> wan_kind :: IPClassifier(dst host 10.22.0.1 and (tcp or udp),
    dst host 10.22.0.1 and icmp type echo-reply);
wan_kind[0] -> [1] rw; wan_kind[1] -> [1] ping;
rw[0] -> wan_arp; rw[1] -> lan_arp; ping[0] -> wan_arp; ping[1] -> lan_arp;
"""
FIREWALL = """
lan :: FromDevice(lan); wan :: FromDevice(wan);
lan -> kind :: Classifier(12/0800, -);
kind[0] -> MarkIPHeader(14) -> filter :: IPFilter(
    allow icmp, allow tcp && dst port 8000, allow udp && dst port 4000,
    deny src host 10.20.0.2 && tcp, drop all);
filter -> allowed :: Counter -> to_wan :: ToDevice(wan); kind[1] -> to_wan;
wan -> ToDevice(lan);
"""
ROUTED = ("match: {port: lan, proto: any}\nisolation: tenant\nidle: 0\nout: wan\n"
          "limits: {memory: 8MiB, timeout: 100ms}\n")
SERVE = """
import http.server, sys
class Handler(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        body = (self.client_address[0] + " ").encode() + b"x" * int(self.path[1:])
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Handler).serve_forever()
"""


def http_server(net, port, address, number):
    server = net.spawn(port, "/usr/bin/python3", "-c", SERVE, address, str(number))
    wait_for(lambda: net.client(port, "ss", "-Hltn", f"sport = {number}").stdout, "a server")
    return running(server)


def test_nat(net, node):
    put(node, "nat.click", NAT)
    apply(node, "nat", ROUTED + "stages: [nat.click]")
    net.give("lan", "10.21.0.2/24", "10.21.0.3/24")
    net.client("lan", "ip", "route", "replace", "default", "via", "10.21.0.1")
    # The server knows no way to the clients but the one that the translation makes.
    net.give("wan", "10.22.0.2/24")
    wait_for_ping(net, "lan", "10.22.0.2")
    assert ping(net, "lan", "10.22.0.2", 10) == 10
    with http_server(net, "wan", "10.22.0.2", 8000):
        for source in ("10.21.0.2", "10.21.0.3"):
            body = net.client("lan", "curl", "-sS", "--max-time", str(LIMIT_S), "--interface", source,
                              "http://10.22.0.2:8000/3000000").stdout
            assert body == "10.22.0.1 " + "x" * 3000000
    with udp_echo(net, "wan", "10.22.0.2", 4000) as seen, \
            net.within("lan", udp_client, ("10.22.0.2", 4000)) as client:
        assert ask(client, b"through") == b"through"
        address, number = seen[0][0]
        assert address == "10.22.0.1" and 20000 <= number < 21000
    # From outside nobody comes in.
    done = net.client("wan", "ping", "-c", "1", "-W", "1", "10.21.0.2", check=False)
    assert done.returncode != 0
    net.client("wan", "ip", "route", "replace", "10.21.0.0/24", "via", "10.22.0.1")
    dropped = show(node, "nat")["stages"][0]["dropped"]
    assert ping(net, "wan", "10.21.0.2", 2, "-i", "0.1", limit_s=1) == 0
    wait_for(lambda: show(node, "nat")["stages"][0]["dropped"] >= dropped + 2, "their end")
    assert show(node, "nat")["stages"][0]["died"] == 0


def test_firewall(net, node):
    put(node, "firewall.click", FIREWALL)
    apply(node, "firewall", ROUTED + "stages: [firewall.click]")
    net.give("lan", f"{LAN}/24")
    net.give("wan", f"{WAN}/24")
    wait_for_ping(net, "lan", WAN)

    def curl(number, timeout_s=LIMIT_S):
        return net.client("lan", "curl", "-sS", "--max-time", str(timeout_s), f"http://{WAN}:{number}/10",
                          check=False)

    with http_server(net, "wan", WAN, 8000), http_server(net, "wan", WAN, 8001):
        assert curl(8000).stdout == f"{LAN} " + "x" * 10
        assert curl(8001, 2).returncode == 28  # timed out
        assert net.client("wan", "curl", "-sS", f"http://{WAN}:8001/1").stdout == f"{WAN} x"
    with udp_echo(net, "wan", WAN, 4000), udp_echo(net, "wan", WAN, 4001) as denied:
        with net.within("lan", udp_client, (WAN, 4000)) as client:
            assert ask(client, b"yes") == b"yes"
        dropped = show(node, "firewall")["stages"][0]["dropped"]
        with net.within("lan", udp_client, (WAN, 4001), 0.2) as client:
            client.send(b"no")
            wait_for(lambda: show(node, "firewall")["stages"][0]["dropped"] > dropped, "its end")
            with pytest.raises(TimeoutError):
                client.recv(10)
        assert not denied
    # All others come through.
    state = show(node, "firewall")["stages"][0]
    assert state["counters"]["allowed.count"] > 0 and state["dropped"] > 0
