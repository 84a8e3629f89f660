"""Ways out of endpoints for TCP: connections of the data plane's to servers, for each client."""
import contextlib
import os
import random
import select
import socket
import threading
import time

import pytest
from edgeos_chains import (
    apply, compile_packets, connect, plane_pids, receive_all, receive_exactly, remove_all, reset,
    show, tcp_port,
)
from edgeos_node import wait_for
from edgeos_tls import RELAY, Upstream, ask, manifest, read_lines, secure, talk_sealed
from tls_fixtures import authority, node, relay, teller  # noqa: F401


def serve_echo(client):
    while data := client.recv(65536):
        client.sendall(data)


def test_stages(node, teller, relay):
    """What comes back by a way goes to the stage that opened it, and from there to the client."""
    port = tcp_port()
    with Upstream(serve_echo) as out, Upstream(serve_echo) as admin:
        apply(node, "told", plain(port, f"{teller}, {relay}, {relay}",
                                  f"out: {out.address}\nnext: {{admin: '{admin.address}'}}"))
        with connect(port) as client:
            client.sendall(b"out first")
            assert receive_exactly(client, 5) == b"first"
            client.sendall(b"admin second")
            assert receive_exactly(client, 6) == b"second"
            received = [stage["received"] for stage in show(node, "told")["stages"]]
            assert received == [4, 2, 2]
            assert ask(client, b"shut 0", 2) == ["shut 0", "end port=2 flags=4"]
        # Ends pass all stages, both ways.
        apply(node, "told", plain(port, f"{relay}, {relay}, {relay}", f"out: {out.address}"))
        with connect(port) as client:
            assert talk(client, b"x" * 50000) == b"x" * 50000
        # No piece is more than all of them have room for.
        small = compile_packets(RELAY.replace("9728", "1024"))
        apply(node, "told", plain(port, f"{relay}, {small}, {relay}", f"out: {out.address}"))
        with connect(port) as client:
            assert talk(client, b"y" * 50000) == b"y" * 50000
    remove_all(node)


def test_gone(node, relay):
    """A client that has ended, and is gone then, is not waited for until its server answers."""
    port, held = tcp_port(), threading.Event()

    def serve(client):
        receive_all(client)
        held.wait(120)

    def count_fds():
        return len(os.listdir(f"/proc/{plane_pids(node)[1]}/fd"))

    with Upstream(serve) as upstream:
        apply(node, "gone", plain(port, relay, f"out: {upstream.address}"))
        before = count_fds()
        with connect(port) as client:
            client.sendall(b"a question")
            client.shutdown(socket.SHUT_WR)
            wait_for(lambda: show(node, "gone")["stages"][0]["received"] == 2, "its end")
            assert count_fds() == before + 2
            reset(client)
        wait_for(lambda: count_fds() == before, "its places", 30)
        held.set()
    remove_all(node)


def plain(port, stage, rest):
    return f"endpoint: {{tcp: {port}}}\nisolation: tenant\nidle: 0\nlimits: {{timeout: 1s}}\nstages: [{stage}]\n{rest}"


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_relayed(node, relay, authority, address):
    """A function that forwards everything is a transparent proxy, half-closing included."""
    port = tcp_port()

    def serve(client):
        text = receive_all(client)
        client.sendall(str(len(text)).encode() + b"\n" + text[::-1])

    with Upstream(serve, address) as upstream:
        apply(node, "relay", manifest(port, relay, authority.server,
                                      rest=f"isolation: client\nidle: 0\nout: {upstream.address}\n"))
        text = random.Random(3).randbytes(3_000_000)
        for sealed in (True, False):
            if not sealed:
                apply(node, "relay", plain(port, relay, f"out: {upstream.address}"))
            for size in (1, 5000, len(text)):
                part = text[:size]
                with connect(port, timeout_s=60) as client:
                    got = talk_sealed(client, authority, part) if sealed else talk(client, part)
                assert got == str(size).encode() + b"\n" + part[::-1]
        assert upstream.count == 6
    after = show(node, "relay")
    assert after["upstreams"] == 6 and after["upstream_failed"] == 0
    remove_all(node)


def talk(client, text):
    client.sendall(text)
    client.shutdown(socket.SHUT_WR)
    return receive_all(client)


def test_ways(node, teller, authority):
    """Each way out has a connection of its own for each client; ends are told by their port."""
    port = tcp_port()
    with Upstream(serve_echo) as out, Upstream(serve_echo) as admin:
        apply(node, "told", manifest(
            port, teller, authority.server,
            rest=f"isolation: tenant\nidle: 0\nout: {out.address}\nnext: {{admin: '{admin.address}'}}\n"))
        with secure(port, authority) as one, secure(port, authority) as two:
            for client in (one, two, one):
                client.sendall(b"out first")
                assert receive_exactly(client, 5) == b"first"
                client.sendall(b"admin second")
                assert receive_exactly(client, 6) == b"second"
            assert out.count == 2 and admin.count == 2
            # Nobody speaks by ports that are not there, or for others.
            assert ask(one, b"else") == ["-8 -8"]
            # Half-closed: the echo's end comes, then the way is another one.
            assert ask(one, b"shut 0", 2) == ["shut 0", "end port=2 flags=4"]
            assert ask(one, b"shut 0") == ["shut -8"]
            one.sendall(b"admin third")
            assert receive_exactly(one, 5) == b"third"
            assert admin.count == 3
            # Closed: nothing more of it is told.
            assert ask(one, b"shut 1") == ["shut 0"]
            one.sendall(b"admin fourth")
            assert receive_exactly(one, 6) == b"fourth"
            assert ask(one, b"shut 2") == ["shut 0"]
            assert ask(one, b"shut 7") == ["shut -28"]
            assert admin.count == 4
            # Killed.
            admin.kill()
            assert read_lines(two, 1) == ["end port=2 flags=12"]
            # Nobody is there any more.
            assert ask(two, b"admin x") == ["end port=2 flags=14"]
            two.sendall(b"out still")
            assert receive_exactly(two, 5) == b"still"
    assert show(node, "told")["upstream_failed"] == 1
    remove_all(node)


def test_unreachable(node, relay):
    """A connection that cannot come about ends the client's, with a function that hands it on."""
    port, nobody = tcp_port(), tcp_port()
    apply(node, "relay", plain(port, relay, f"out: tcp:127.0.0.1:{nobody}"))
    for i in range(5):
        with connect(port) as client:
            client.sendall(b"hello")
            with contextlib.suppress(ConnectionResetError):
                assert receive_all(client) == b""
    assert show(node, "relay")["upstream_failed"] == 5
    # Addresses that no packet leaves for.
    apply(node, "relay", plain(port, relay, "out: tcp:[2001:db8::1]:9"))
    with connect(port, timeout_s=30) as client:
        client.sendall(b"hello")
        assert receive_all(client) == b""
    remove_all(node)


def test_slow_sides(node, relay, authority):
    """Who does not read stops the one whose bytes he is to get: what waits is bounded."""
    port = tcp_port()
    size = 60 << 20
    may_read, sent = threading.Event(), []

    def serve(client):
        # Reads nothing for now, then all; then sends more than anybody takes.
        may_read.wait(60)
        receive_exactly(client, size)
        for _ in range(size >> 16):
            client.sendall(bytes(1 << 16))
            sent.append(1 << 16)

    with Upstream(serve) as upstream:
        apply(node, "relay", plain(port, relay, f"out: {upstream.address}"))
        with connect(port, timeout_s=60) as client:
            given = 0
            client.setblocking(False)
            while True:
                # Full, and it stays so.
                try:
                    given += client.send(bytes(1 << 16))
                except BlockingIOError:
                    if not wait_writable(client, 0.5):
                        break
            assert given < 40 << 20
            client.settimeout(60)
            may_read.set()
            client.sendall(bytes(size - given))
            wait_for(lambda: sent, "the answer")
            wait_until_still(lambda: sum(sent))
            assert sum(sent) < 40 << 20
            assert receive_exactly(client, size) == bytes(size)
    assert node.cli_json("chain", "list")["streams_full"] == 0
    remove_all(node)


def wait_writable(client, timeout_s):
    return bool(select.select([], [client], [], timeout_s)[1])


def wait_until_still(value, interval_s=0.5):
    last = None
    while last != value():
        last = value()
        time.sleep(interval_s)
