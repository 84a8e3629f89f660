"""A data plane on two cores: each client has one instance, whichever flows come to which core."""
import contextlib
import os
import signal
import socket
import threading
import time

import pytest
from edgeos_chains import (
    Udp, apply, compile_packets, connect, plane_node, plane_pids, receive_exactly, remove_all, show,
    tcp_port, udp_port,
)
from edgeos_net import (
    ask, in_namespace, iperf3, ping, running, udp_client, wait_for_ping, wait_for_rest,
)
from edgeos_node import wait_for
from net_fixtures import (
    HOST4, HOST6, HOST_MAC, NEEDS, PORTS, WIRE, WIRE_CLICK, module_net, net, node, put,
)
from test_chain import TOY
from test_plane_net import COUNT, NAT, ROUTED, counters_of, port_of, udp_echo, use_clients
from test_plane_net_hostile import STATE

__all__ = ["module_net", "net", "node"]
pytestmark = [*NEEDS, pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="has one processor")]
# An interface without channels has one queue, which core 0 polls for both.
CONFIG = ("plane:\n  memory: 128MiB\n  frames: 8192\n  cores: 2\n"
          + PORTS.replace("af_packet:dmz", "af_xdp:dmz"))
LAN, WAN = "10.20.0.2", "10.20.0.3"
LAN6, WAN6 = "fd20::2", "fd20::3"


@pytest.fixture(scope="module")
def count():
    return compile_packets(COUNT)


@pytest.fixture(scope="module")
def state():
    return compile_packets(STATE)


@pytest.fixture(scope="module")
def toy():
    return compile_packets(TOY)


def give_wire(net, out="wan"):
    put(net.edge, "wire.click", WIRE_CLICK.replace("wan", out))
    apply(net.edge, "wire", WIRE.replace("wan", out))
    net.give("lan", f"{LAN}/16", f"{LAN6}/64")
    net.give(out, f"{WAN}/16", f"{WAN6}/64")
    wait_for_ping(net, "lan", WAN)


def cores_of(node):
    return node.cli_json("chain", "list")["cores"]


def handed(node):
    return sum(to["handed"] for core in cores_of(node) for to in core["to"])


def in_flows(net, port, target, clients, flows):
    """FLOWS sockets for each of the addresses CLIENTS: (the client's number, socket)."""
    stack = contextlib.ExitStack()
    sockets = [(i, stack.enter_context(net.within(port, udp_client, target, 5, address)))
               for _ in range(flows) for i, address in enumerate(clients)]
    return stack, sockets


def test_queues(net, node):
    assert [core["core"] for core in cores_of(node)] == [0, 1]
    queues = {port["port"]: port["queues"] for port in node.cli_json("chain", "list")["ports"]}
    assert queues == {"lan": 2, "wan": 2, "dmz": 1, "host": 2}
    # Each thread that carries packets has given up its rights.
    tasks = f"/proc/{plane_pids(node)[1]}/task"
    confined = 0
    for task in os.listdir(tasks):
        with open(f"{tasks}/{task}/status") as status:
            lines = dict(line.split(":", 1) for line in status.read().splitlines() if ":" in line)
        confined += lines["Seccomp"].strip() == "2" and int(lines["CapEff"], 16) == 0
    assert confined >= 2


def test_one_instance_for_each_client(net, node, count):
    """Frames that pass: what a client's instance counts are all of its flows."""
    clients = [f"10.20.{1 + i // 10}.{1 + i % 10}" for i in range(30)]
    flows = 8
    use_clients(net, node, count, "isolation: client\nidle: 0\nstages: [COUNT]", clients)
    before = handed(node)
    stack, sockets = in_flows(net, "lan", (WAN, 4000), clients, flows)
    with stack, udp_echo(net, "wan", WAN, 4000, b"echo ") as seen:
        for turn, (i, client) in enumerate(sockets):
            assert ask(client, b"count") == b"%05d" % (turn // len(clients) + 1), i
        # And back through the same one.
        for i, client in sockets:
            assert ask(client, b"hello to you") == b"echo hello to you"
        for i, client in sockets[:len(clients)]:
            assert ask(client, b"count") == b"%05d" % (2 * flows + 1)
        assert len(seen) == len(sockets)
        chain = show(node, "a-clients")
        assert chain["chains"] == chain["started"] == len(clients)
        assert chain["packets"] == 3 * len(sockets) + len(clients)
        assert chain["no_chain"] == chain["limit"] == chain["send_failed"] == 0
        assert chain["stages"][0]["counters"]["count.packets"] == chain["packets"]
        cores = cores_of(node)
        # Both received, both had clients, and what came to the wrong one went to the other.
        assert all(core["received"] > 0 and core["chains"] >= 5 for core in cores), cores
        assert handed(node) - before > flows and not any(
            to["dropped"] for core in cores for to in core["to"]), cores
        # What the server begins itself is for the client's instance, as it has his address.
        packets = chain["packets"]
        with net.within("lan", socket.socket, socket.AF_INET, socket.SOCK_DGRAM) as waiting:
            waiting.bind((clients[0], 4444))
            waiting.settimeout(5)
            with net.within("wan", udp_client, (clients[0], 4444)) as server:
                server.send(b"not asked for")
            assert waiting.recv(100) == b"not asked for"
        assert show(node, "a-clients")["packets"] == packets + 1


def test_fixed_number(net, node, count):
    """Conversations have one instance each, and there are not more of those than were said."""
    put(node, "wire.click", WIRE_CLICK)
    use_clients(net, node, count, "isolation: {fixed: 3}\nstages: [COUNT]", [f"{LAN}"])
    stack, sockets = in_flows(net, "lan", (WAN, 4000), [LAN], 48)
    with stack, udp_echo(net, "wan", WAN, 4000, b"echo "):
        last = {}
        for _ in range(2):
            for _, client in sockets:
                seen = int(ask(client, b"count"))
                assert seen > last.get(client, 0)
                last[client] = seen
                assert ask(client, b"hello to you") == b"echo hello to you"
    chain = show(node, "a-clients")
    assert chain["chains"] == 3 and chain["packets"] == 6 * len(sockets)
    assert all(core["chains"] > 0 for core in cores_of(node))


def test_endpoint_on_port(net, node, state):
    clients = [f"10.29.1.{i}" for i in range(1, 21)]
    flows = 8
    net.give("host", *(f"{address}/16" for address in clients), "fd29::2/64")
    apply(node, "state", f"endpoint: {{port: host, udp: 4000-4001}}\nidle: 0\nstages: [{state}]")
    stack, sockets = in_flows(net, "host", (HOST4, 4000), clients, flows)
    with stack:
        for turn, (i, client) in enumerate(sockets):
            assert ask(client, b"x") == b"%d" % (turn // len(clients) + 1)
        with net.within("host", udp_client, (HOST6, 4001)) as client:
            assert ask(client, b"x") == b"1"
        chain = show(node, "state")
        assert chain["chains"] == len(clients) + 1 and chain["packets"] == len(sockets) + 1
        assert all(core["chains"] >= 3 for core in cores_of(node)), cores_of(node)
    # What the port does itself: all of it by core 0, wherever it came in.
    for address in (HOST4, HOST6):
        assert ping(net, "host", address, 10, "-s", "1000") == 10
        for _ in range(8):
            with net.within("host", udp_client, (address, 9)) as client:
                client.send(b"x")
                with pytest.raises(ConnectionRefusedError):
                    client.recv(10)
    neighbours = net.client("host", "ip", "neigh").stdout
    assert neighbours.count(HOST_MAC) == 2, neighbours


@pytest.mark.parametrize("out", ["wan", "dmz"])
def test_wire(net, node, out):
    """With dmz, whose only queue is core 0's, what the other core sends goes by that."""
    give_wire(net, out)
    for address in (WAN, WAN6):
        assert ping(net, "lan", address, 20, "-s", "1400") == 20
    assert ping(net, out, LAN, 20) == 20
    for options in (["-P", "4"], ["-R"]):
        done = iperf3(net, "lan", out, WAN, *options, "-t", "1")
        print(f"iperf3 {options}, Mbit/s:", done["end"]["sum_received"]["bits_per_second"] / 1e6)
        assert done["end"]["sum_received"]["bytes"] > 1_000_000
    chain = show(node, "wire")
    assert chain["chains"] == 1 and chain["stages"][0]["died"] == 0
    assert chain["stages"][0]["received"] == chain["packets"]
    assert port_of(node, "lan")["lost"] == port_of(node, out)["lost"] == 0


def test_clients_over_a_wire(net, node):
    """A Click wire for each client: TCP both ways, and what both ends begin."""
    give_wire(net)
    apply(node, "a-mine", "match: {port: lan, proto: ip}\nout: wan\nisolation: client\nidle: 0\n"
          "stages: [wire.click]")
    clients = [f"10.20.3.{i}" for i in range(1, 9)]
    net.give("lan", *(f"{address}/16" for address in clients))
    for client in clients:
        assert ping(net, "lan", WAN, 2, "-I", client) == 2
        assert ping(net, "wan", client, 2) == 2
    for client, options in zip(clients, ([], ["-R"])):
        done = iperf3(net, "lan", "wan", WAN, "-B", client, *options, "-t", "1")
        assert done["end"]["sum_received"]["bytes"] > 1_000_000
    counters = counters_of(node, "a-mine")
    assert counters["up.count"] >= 4 * len(clients) and counters["down.count"] >= 4 * len(clients)
    # The wire's own address speaks, too, of which nobody asked anything here.
    assert len(clients) <= show(node, "a-mine")["chains"] <= len(clients) + 2
    assert all(core["chains"] > 0 for core in cores_of(node))


def test_nat(net, node):
    """Answers are for an address that is no client's: who sent as that flow gets them."""
    put(node, "nat.click", NAT)
    apply(node, "nat", ROUTED + "stages: [nat.click]")
    net.give("lan", "10.21.0.2/24")
    net.client("lan", "ip", "route", "replace", "default", "via", "10.21.0.1")
    net.give("wan", "10.22.0.2/24")
    wait_for_ping(net, "lan", "10.22.0.2")
    with udp_echo(net, "wan", "10.22.0.2", 4000) as seen:
        stack, sockets = in_flows(net, "lan", ("10.22.0.2", 4000), ["10.21.0.2"], 40)
        with stack:
            for _ in range(3):
                for i, (_, client) in enumerate(sockets):
                    assert ask(client, b"%d" % i) == b"%d" % i
        assert {address for (address, _), _ in seen} == {"10.22.0.1"}


def test_changed_under_load(net, node, state, toy):
    """No datagram is lost when chains are applied, replaced and removed."""
    clients = [f"10.29.2.{i}" for i in range(1, 7)]
    net.give("host", *(f"{address}/16" for address in clients))
    text = f"endpoint: {{port: host, udp: 4000}}\nidle: 0\nstages: [{state}]"
    apply(node, "state", text)
    is_over = threading.Event()
    rounds, errors = [0] * len(clients), []

    def keep_asking(i, client):
        try:
            while not is_over.is_set():
                assert int(ask(client, b"x")) > 0
                rounds[i] += 1
        except Exception as error:  # told below
            errors.append(repr(error))

    stack, sockets = in_flows(net, "host", (HOST4, 4000), clients, 1)
    with stack:
        threads = [threading.Thread(target=keep_asking, args=one) for one in sockets]
        for thread in threads:
            thread.start()
        try:
            for i in range(5):
                seen = list(rounds)
                apply(node, "state", text)
                apply(node, f"other{i}", f"match: {{port: wan, proto: udp}}\nstages: [{state}]")
                apply(node, f"kernels{i}", f"endpoint: {{udp: {udp_port()}}}\nstages: [{toy}]")
                if i > 0:
                    node.cli("chain", "rm", f"other{i - 1}")
                wait_for(lambda: errors or all(a > b for a, b in zip(rounds, seen)), "answers")
        finally:
            is_over.set()
            for thread in threads:
                thread.join()
    assert not errors, errors
    assert show(node, "state")["version"] == 6
    assert show(node, "state")["packets"] == sum(rounds)


def test_worker_killed(net, node, state):
    give_wire(net)
    net.give("host", "10.29.0.2/16")
    apply(node, "state", f"endpoint: {{port: host, udp: 4000}}\nstages: [{state}]")
    worker = plane_pids(node)[1]
    with running(net.spawn("lan", "ping", "-c", "100", "-i", "0.05", WAN)) as pings:
        wait_for(lambda: counters_of(node, "wire")["up.count"] > 10, "pings")
        os.kill(worker, signal.SIGKILL)
        text = pings.communicate(timeout=60)[0]
    assert int(text.split(" received")[0].split()[-1]) >= 10, text
    wait_for(lambda: (plane_pids(node) or (0, worker))[1] != worker, "another worker")
    wait_for_ping(net, "lan", WAN)
    assert len(cores_of(node)) == 2
    with net.within("host", udp_client, (HOST4, 4000)) as client:
        assert ask(client, b"x") == b"1"


def test_idle(net, node, state):
    """All cores sleep, and are awake at once."""
    give_wire(net)
    net.give("host", "10.29.0.2/16")
    apply(node, "state", f"endpoint: {{port: host, udp: 4000}}\nstages: [{state}]")
    pids = plane_pids(node)
    used = wait_for_rest(pids, 0.10, 2)
    print(f"edge-plane with two cores at rest: {100 * used:.2f} % of a processor")
    assert ping(net, "lan", WAN, 5) == 5
    with net.within("host", udp_client, (HOST4, 4000)) as client:
        assert ask(client, b"x") == b"1"


def test_kernels_sockets(net, node, toy):
    """An endpoint of the kernel's is on one core; several are spread over them."""
    ports = [(udp_port(), tcp_port()) for _ in range(2)]
    for i, (udp, tcp) in enumerate(ports):
        apply(node, f"udp{i}", f"endpoint: {{udp: {udp}}}\nidle: 0\nstages: [{toy}]")
        apply(node, f"tcp{i}", f"endpoint: {{tcp: {tcp}}}\nisolation: tenant\nidle: 0\n"
              f"stages: [{toy}]")

    def talk():
        for udp, tcp in ports:
            for turn in range(3):
                with Udp(udp) as client:
                    assert client.ask(b"count") == b"%d" % (turn + 1)
                with connect(tcp) as client:
                    client.sendall(b"count")
                    assert receive_exactly(client, 1) == b"%d" % (turn + 1)

    in_namespace(net.node, talk)
    assert [core["chains"] for core in cores_of(node)] == [2, 2]
    for i in range(2):
        assert show(node, f"udp{i}")["packets"] == 3


def test_all_or_nothing(tmp_path, toy):
    """Where one core has no room for a chain, none has it, and its older version goes on."""
    port = udp_port()
    second = udp_port()
    config = ('plane:\n  cores: 2\n  fwps: 8\n  memory: 128MiB\n'
              '  ports: {r: {device: "ring"}}\n')
    both = f"match: {{port: r, proto: udp}}\nidle: 0\nstages: [{toy}]"
    with plane_node(tmp_path, config) as node:
        apply(node, "both", both)
        # The first of those with one core is on the second core: four instances are all it can.
        apply(node, "fill", f"endpoint: {{udp: {port}, address: 0.0.0.0}}\nidle: 0\n"
              f"stages: [{toy}]")
        for i in range(1, 5):
            with Udp(port, source=f"127.0.0.{i}") as client:
                assert client.ask(b"count") == b"1"
        assert [core["chains"] for core in cores_of(node)] == [0, 4]
        for name in ("both", "fresh"):
            done = apply(node, name, both, check=False)
            assert done.returncode != 0 and "processes are in use" in done.stderr, done
        assert [chain["chain"] for chain in node.cli_json("chain", "list")["chains"]] == \
            ["both", "fill"]
        assert show(node, "both")["version"] == 1
        # The other core has room.
        apply(node, "other", f"endpoint: {{udp: {second}}}\nidle: 0\nstages: [{toy}]")
        with Udp(second) as client:
            assert client.ask(b"count") == b"1"
        assert [core["chains"] for core in cores_of(node)] == [1, 4]
        node.cli("chain", "rm", "fill")
        apply(node, "both", both)
        assert show(node, "both")["version"] == 2
        remove_all(node)
