"""Chains of packet functions on endpoints of the kernel's sockets, by `edgeos chain`."""
import concurrent.futures
import contextlib
import http.client
import json
import os
import pathlib
import signal
import socket
import threading
import time

import edgeos_node
import pytest
from edgeos_chains import (
    LIMIT_S, Udp, apply, ask_until, compile_packets, connect, free_ports, plane_node, plane_pids,
    receive_all, receive_exactly, remove_all, reset, show, tcp_port, udp_port, wait_for_plane, write,
)
from edgeos_node import wait_for
from edgeos_wasm import compile_wat

# What a datagram, or what comes of a stream at once, says is what it does.
TOY = r"""
EDGEOS_PACKETS(9728 - 128)
static char word[64], big[4000];
static unsigned count, open_streams, last_seen;
static struct edgeos_counter counters[] = {{"toy.packets", 0}, {"toy.open", 0}};
EDGEOS_EXPORT(edgeos_init) void edgeos_init(void)
{
    if (edgeos_open_packets() < 0 || edgeos_counters(counters, 2) < 0)
        abort();
    int32_t len = edgeos_config("word", 4, word, sizeof(word) - 1);
    if (len > 0 && strcmp(word, "fail") == 0)
        abort();
    memset(big, 'x', sizeof(big));
}
static uint32_t answer(const char *text, uint32_t len)
{
    memcpy(edgeos_slot.data + EDGEOS_HEADROOM, text, len);
    edgeos_slot.info.address = (uint32_t)(uintptr_t)edgeos_slot.data + EDGEOS_HEADROOM;
    edgeos_slot.info.len = len;
    return EDGEOS_ANSWER;
}
static uint32_t obey(char *buf, uint32_t len)
{
    char out[128];
    struct edgeos_packet *p = &edgeos_slot.info;
    if (len >= 4 && memcmp(buf, "echo", 4) == 0)
        return EDGEOS_ANSWER;
    if (len == 0 && p->kind == EDGEOS_DATAGRAM)
        return answer("empty", 5);
    if (len >= 5 && memcmp(buf, "count", 5) == 0)
        return answer(out, sprintf(out, "%u", ++count));
    if (len >= 4 && memcmp(buf, "open", 4) == 0)
        return answer(out, sprintf(out, "%u %u", open_streams, last_seen));
    if (len >= 4 && memcmp(buf, "word", 4) == 0)
        return answer(out, sprintf(out, "%s%.*s", word, len > 100 ? 96 : (int)len - 4, buf + 4));
    if (len >= 4 && memcmp(buf, "port", 4) == 0)
        return answer(out, sprintf(out, "%u", p->local_port));
    if (len >= 4 && memcmp(buf, "from", 4) == 0)
        return answer(out, sprintf(out, "%u.%u.%u.%u %u", p->peer_address[12], p->peer_address[13],
                                   p->peer_address[14], p->peer_address[15], p->peer_port));
    if (len >= 3 && memcmp(buf, "log", 3) == 0) {
        edgeos_log(1, buf, len);
        return answer("logged", 6);
    }
    if (len >= 4 && memcmp(buf, "many", 4) == 0) {
        for (unsigned i = 0; i < 20; i++)
            edgeos_packet_send(EDGEOS_PORT_CLIENT, p->peer, out, sprintf(out, "part %u", i));
        return answer("done", 4);
    }
    /* More than a stream's share of the host's memory: what was taken, then the end. */
    if (len >= 5 && memcmp(buf, "flood", 5) == 0) {
        unsigned sent = 0;
        while (edgeos_packet_send(EDGEOS_PORT_CLIENT, p->peer, big, sizeof(big)) >= 0)
            sent++;
        edgeos_stream_close(p->peer);
        return EDGEOS_DROP;
    }
    if (len >= 4 && memcmp(buf, "brim", 4) == 0) {
        while (edgeos_packet_send(EDGEOS_PORT_CLIENT, p->peer, big, sizeof(big)) >= 0)
            ;
        return answer(big, sizeof(big));
    }
    if (len >= 4 && memcmp(buf, "blob", 4) == 0) {
        for (unsigned i = 0; i < 512; i++)
            edgeos_packet_send(EDGEOS_PORT_CLIENT, p->peer, big, sizeof(big));
        return answer("end", 3);
    }
    if (len >= 5 && memcmp(buf, "close", 5) == 0) {
        edgeos_packet_send(EDGEOS_PORT_CLIENT, p->peer, "bye", 3);
        edgeos_stream_close(p->peer);
        return EDGEOS_DROP;
    }
    if (len >= 4 && memcmp(buf, "trap", 4) == 0)
        __builtin_trap();
    if (len >= 4 && memcmp(buf, "exit", 4) == 0)
        exit(3);
    if (len >= 4 && memcmp(buf, "loop", 4) == 0)
        for (volatile int i = 0;; i++)
            ;
    /* Nobody may speak to those whom he does not serve. */
    if (len >= 5 && memcmp(buf, "peers", 5) == 0) {
        unsigned reached = 0;
        for (uint32_t peer = 1; peer < 200000; peer++)
            if (peer != p->peer)
                reached += edgeos_packet_send(EDGEOS_PORT_CLIENT, peer, "hello", 5) >= 0;
        return answer(out, sprintf(out, "%u", reached));
    }
    if (len >= 3 && memcmp(buf, "bad", 3) == 0) {
        p->address = 0xfffffff0u;
        p->len = 4000;
        return EDGEOS_ANSWER;
    }
    return EDGEOS_DROP;
}
EDGEOS_EXPORT(edgeos_packet) uint32_t edgeos_packet(void *buf, uint32_t len)
{
    counters[0].value++;
    if (edgeos_slot.info.kind == EDGEOS_STREAM) {
        open_streams += (edgeos_slot.info.flags & EDGEOS_FIRST) != 0;
        if ((edgeos_slot.info.flags & EDGEOS_LAST) != 0) {
            open_streams--;
            last_seen++;
        }
        counters[1].value = open_streams;
    }
    return obey(buf, len);
}
"""

# Looks at all of the page that it has in common with others before it fills that, but for the
# packet. What it found is asked by "found": of each stage, as all but the last let it pass.
SPY = r"""
EDGEOS_PACKETS(2048)
static char role[8];
static unsigned found;
EDGEOS_EXPORT(edgeos_init) void edgeos_init(void)
{
    if (edgeos_open_packets() < 0)
        abort();
    edgeos_config("role", 4, role, sizeof(role) - 1);
}
EDGEOS_EXPORT(edgeos_packet) uint32_t edgeos_packet(void *buf, uint32_t len)
{
    struct edgeos_packet *p = &edgeos_slot.info;
    uint8_t *page = (uint8_t *)p;
    char *text = buf;
    int is_back = p->port == EDGEOS_PORT_OUT;
    for (uint8_t *b = page + sizeof(*p); b < page + 4096; b++)
        if ((uint32_t)(b - (uint8_t *)buf) >= len)
            found += *b != 0;
    if (len >= 5 && len < 100 && memcmp(buf, "found", 5) == 0 && (is_back || role[0] != 'p'))
        p->len = len += (uint32_t)sprintf(text + len, " %u", found);
    for (uint8_t *b = page + sizeof(*p); b < page + 4096; b++)
        if ((uint32_t)(b - (uint8_t *)buf) >= len)
            *b = 0xff;
    if (len >= 5 && memcmp(buf, role[0] == 'p' ? "trap1" : "trap2", 5) == 0)
        return *(volatile uint32_t *)0xfffffff0u;
    if (len >= 4 && memcmp(buf, "drop", 4) == 0)
        return EDGEOS_DROP;
    if (len >= 4 && memcmp(buf, "more", 4) == 0)
        edgeos_packet_send(is_back ? EDGEOS_PORT_CLIENT : p->port, p->peer, buf, len);
    return role[0] == 'p' ? EDGEOS_FORWARD : EDGEOS_ANSWER;
}
"""


@pytest.fixture(scope="module")
def toy():
    return compile_packets(TOY)


@pytest.fixture(scope="module")
def module_node(tmp_path_factory):
    """One node with a data plane for all tests of this file."""
    with plane_node(tmp_path_factory.mktemp("node")) as node:
        yield node


@pytest.fixture
def node(module_node):
    """Without chains."""
    wait_for_plane(module_node)
    remove_all(module_node)
    return module_node


def udp(port, toy, rest=""):
    """Instances do not end by themselves, unless REST says so: the machine may be slow."""
    idle = "" if "idle" in rest else "\nidle: 0"
    return f"endpoint: {{udp: {port}}}\nstages: [{{image: {toy}, config: {{word: one}}}}]\n{rest}{idle}"


def tcp(port, toy, rest="limits: {timeout: 1s}"):
    return f"endpoint: {{tcp: {port}}}\nisolation: tenant\nidle: 0\nstages: [{toy}]\n{rest}"


# --- the commands ---


def test_commands(node, toy):
    port = udp_port()
    done = apply(node, "toy", udp(port, toy))
    assert done.stdout == "applied toy\n"
    with Udp(port) as client:
        assert client.ask(b"count") == b"1"
        assert client.ask(b"count") == b"2"
        assert client.ask(b"word 7") == b"one 7"
        assert client.ask(b"") == b"empty"
        assert client.ask(b"echo" + bytes(9000)) == b"echo" + bytes(9000)
    lines = node.cli("chain", "list").stdout.splitlines()
    assert lines[0].split()[:4] == ["CHAIN", "TENANT", "PORT", "OUT"]
    assert lines[1].split() == ["toy", "default", "kernel", "-", "1", "5", "0"]
    text = node.cli("chain", "show", "toy").stdout
    assert "isolation            client" in text and "stage 0" in text
    assert any(line.split() == ["toy.packets", "5"] for line in text.splitlines())
    state = show(node, "toy")
    assert state["chain"] == "toy" and state["version"] == 1 and state["chains"] == 1
    assert state["packets"] == 5 and state["started"] == 1
    stage = state["stages"][0]
    assert (stage["received"], stage["answered"], stage["died"]) == (5, 5, 0)
    assert stage["counters"]["toy.packets"] == 5
    whole = node.cli_json("chain", "list")
    assert [chain["chain"] for chain in whole["chains"]] == ["toy"]
    assert whole["fwps"] == 1
    node.cli("chain", "rm", "toy")
    assert node.cli_json("chain", "list")["chains"] == []
    assert not (node.data_dir / "chains" / "toy").exists()
    with Udp(port) as client, pytest.raises(ConnectionRefusedError):
        client.ask(b"count")


def fails(result, *texts):
    assert result.returncode == 1, (result.returncode, result.stdout, result.stderr)
    for text in texts:
        assert text in result.stderr, (text, result.stderr)


def test_errors(node, toy):
    port = udp_port()
    path = write(node, "bad", "")
    fails(apply(node, "bad", "endpoint: {udp: 99999}\nstages: [x.wasm]", False), "x.wasm")
    bad = [
        (udp("99999", toy), ":2:", "udp: not a port number"),
        (udp(port, toy, "isolation: everyone"), ":4:", "isolation"),
        (udp(port, toy, "limits: {memory: 1KiB}"), ":4:", "memory"),
        (udp(port, toy, "limits: {memory: 64KiB}"), "stage ", "bytes of memory to start"),
        (udp(port, toy, "idle: soon"), ":4:", "idle"),
        (udp(port, toy, "nonsense: 1"), ":4:", 'unknown key "nonsense"'),
        (udp(port, toy, "out: wan"), "an endpoint for UDP answers"),
        (f"match: {{port: lan}}\nstages: [{toy}]", 'match: the node has no port "lan"'),
        (f"match: {{port: kernel}}\nstages: [{toy}]", ":2:", "use endpoint"),
        (f"endpoint: {{tcp: {port}, port: lan}}\nstages: [{toy}]", ":2:", "tcp: only on the kernel"),
        (f"endpoint: {{udp: {port}, address: 192.0.2.1}}\nstages: [{toy}]", "192.0.2.1", "Cannot assign"),
        (f"stages: [{toy}]", "either match"),
        (udp(port, toy).replace("one", "fail"), "initialisation ended"),
    ]
    for manifest, *texts in bad:
        result = apply(node, "bad", manifest, False)
        fails(result, *texts)
        if texts[0].startswith(":"):
            assert f"{path}{texts[0]}" in result.stderr, result.stderr
    fails(apply(node, "bad", f"endpoint: {{udp: {port}}}\nstages: [missing.wasm]", False),
          "missing.wasm", "No such file")
    path.write_text("chain: bad\nstages: [\n")
    fails(node.cli("chain", "apply", path, check=False), f"{path}:")
    path.write_text("stages: []\n")
    fails(node.cli("chain", "apply", path, check=False), "the name is missing")
    fails(node.cli("chain", "show", "nobody", check=False), 'no chain "nobody"')
    fails(node.cli("chain", "rm", "nobody", check=False), 'no chain "nobody"')
    fails(node.cli("chain", "rm", "../chains", check=False), "no chain")
    assert node.cli("chain", "apply", check=False).returncode == 2
    assert node.cli("chain", "frobnicate", check=False).returncode == 2
    assert node.cli_json("chain", "list")["chains"] == []
    assert list((node.data_dir / "chains").iterdir()) == []


def test_wrong_modules(node):
    port = udp_port()
    folder = pathlib.Path(node.folder)
    no_function = compile_wat('(module (memory 1) (func (export "run")))')
    fails(apply(node, "bad", f"endpoint: {{udp: {port}}}\nstages: [{no_function}]", False),
          "is no packet function")
    wrong_type = compile_wat('(module (memory 1) (func (export "edgeos_packet") (param i32)))')
    fails(apply(node, "bad", f"endpoint: {{udp: {port}}}\nstages: [{wrong_type}]", False),
          "is no packet function")
    no_slot = compile_wat("""(module (memory (export "memory") 1)
        (func (export "edgeos_packet") (param i32 i32) (result i32) i32.const 0))""")
    fails(apply(node, "bad", f"endpoint: {{udp: {port}}}\nstages: [{no_slot}]", False),
          "did not call edgeos_packets()")
    (folder / "text.wasm").write_text("not a module")
    fails(apply(node, "bad", f"endpoint: {{udp: {port}}}\nstages: [text.wasm]", False), "text.wasm")
    (folder / "wrong.click").write_text("FromDevice(client)\n -> Conter\n -> ToDevice(out);\n")
    fails(apply(node, "bad", f"endpoint: {{udp: {port}}}\nstages: [wrong.click]", False),
          "wrong.click:2", "Conter")
    assert node.cli_json("chain", "list")["chains"] == []
    wait_for_plane(node)


def test_no_data_plane(make_node, toy):
    node = make_node()
    for args in (["apply", write(node, "toy", udp(udp_port(), toy))], ["list"], ["show", "toy"], ["rm", "toy"]):
        fails(node.cli("chain", *args, check=False), "has no data plane", "plane")


def test_in_use(node, toy):
    """Somebody else has the port: what was there before stays."""
    port, other = udp_port(), udp_port()
    apply(node, "toy", udp(port, toy))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind(("127.0.0.1", other))
        fails(apply(node, "toy", udp(other, toy), False), f"port {other}", "in use")
    with Udp(port) as client:
        assert client.ask(b"count") == b"1"
    assert show(node, "toy")["version"] == 1


class Control(http.client.HTTPConnection):
    """The control API."""

    def __init__(self, node):
        super().__init__("localhost", timeout=LIMIT_S)
        self.path = str(node.data_dir / "control.sock")

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(LIMIT_S)
        self.sock.connect(self.path)

    def ask(self, method, path, body=None):
        self.request(method, "/api/v1/chains" + path, body)
        answer = self.getresponse()
        return answer.status, answer.read()


def test_control_api(node, toy):
    """Requests that the command would not make."""
    port = udp_port()
    text = f"chain: toy\nendpoint: {{udp: {port}}}\nstages: [x.wasm]\n".encode()
    module = toy.read_bytes()
    both = f"{len(text)},{len(module)}"
    bad = [
        ("/toy", text, 400),
        ("/toy?lengths=", text, 400),
        (f"/toy?lengths={len(text)}", text + b"x", 400),
        (f"/toy?lengths={len(text) + 1}", text, 400),
        ("/toy?lengths=18446744073709551615,1", text, 400),
        (f"/toy?lengths={len(text)},-1", text, 400),
        (f"/toy?lengths={len(text)}," + "0," * 40, text, 400),
        (f"/toy?lengths={len(text)}" + ",0" * 17, text, 400),
        ("/toy?lengths=0", b"", 400),
        ("/toy?lengths=0,0", b"", 400),
        (f"/toy?lengths={len(text)}", text, 400),
        (f"/toy?lengths={both},0", text + module, 400),
        (f"/toy?lengths={both}&source=", text + module, 400),
        (f"/other?lengths={both}", text + module, 400),
        (f"/..%2Ftoy?lengths={both}", text + module, 400),
        (f"/toy?lengths={len(module)},{len(text)}", module + text, 400),
    ]
    with contextlib.closing(Control(node)) as control:
        for path, body, status in bad:
            got, answer = control.ask("PUT", path, body)
            assert got == status and json.loads(answer)["error"], (path, got, answer)
        for path in (f"/%00?lengths={both}", f"/?lengths={both}"):
            got, answer = control.ask("PUT", path, text + module)
            assert 400 <= got < 500, (path, got, answer)
        long = "s" * 4000
        assert control.ask("PUT", f"/toy?lengths={both}&source={long}", text + module)[0] == 204
        for method, path, status in (("GET", "/nobody", 404), ("DELETE", "/nobody", 404), ("GET", "/.new-toy", 404),
                                     ("DELETE", "/..", 404), ("DELETE", "/%2E%2E%2Fchains", 404), ("GET", "/toy", 200),
                                     ("GET", "", 200), ("DELETE", "/toy", 204)):
            got, answer = control.ask(method, path)
            assert got == status, (method, path, got, answer)
        control.request("PUT", "/api/v1/functions/empty?manifest_bytes=0", b"")
        assert control.getresponse().status == 400
    assert node.cli_json("chain", "list")["chains"] == []


def test_applied_by_many(node, toy):
    """Chains that are applied and removed by several at once: one after the other, each whole."""
    ports = [udp_port() for _ in range(4)]
    paths = [write(node, f"toy{i}", udp(ports[i], toy)) for i in range(4)]

    def work(number):
        for _ in range(3):
            node.cli("chain", "apply", paths[number % 4])
            node.cli("chain", "list")

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for result in [pool.submit(work, number) for number in range(8)]:
            result.result(600)
    for port in ports:
        assert counts(port, ["127.0.0.1"]) == [1]
    versions = [chain["version"] for chain in node.cli_json("chain", "list")["chains"]]
    assert versions == [6] * 4


# --- endpoints and isolation ---


def test_addresses_and_ranges(node, toy):
    port = free_ports(socket.SOCK_DGRAM, 20)
    apply(node, "range", f"endpoint: {{udp: {port}-{port + 19}, address: 0.0.0.0}}\nstages: [{toy}]")
    for i in (0, 7, 19):
        with Udp(port + i) as client:
            assert client.ask(b"port") == str(port + i).encode()
    # The answer comes from the address that was asked: the client's socket is connected.
    with Udp(port, target="127.0.0.2") as client:
        assert client.ask(b"from").split()[0] == b"127.0.0.1"
    with Udp(port, source="127.0.0.9") as client:
        assert client.ask(b"from").split() == [b"127.0.0.9", str(client.socket.getsockname()[1]).encode()]
    both = f"endpoint: {{udp: {port}, address: '::'}}\nstages: [{toy}]"
    # Its own old socket is in the way, and stays.
    fails(apply(node, "range", both, False), "in use")
    with Udp(port) as client:
        assert client.ask(b"port") == str(port).encode()
    node.cli("chain", "rm", "range")
    apply(node, "range", both)
    for options in ({"source": "::1", "target": "::1"}, {}, {"target": "127.0.0.2"}):
        with Udp(port, **options) as client:
            assert client.ask(b"port") == str(port).encode()
    # Only the first is left.
    with Udp(port + 1) as client, pytest.raises(ConnectionRefusedError):
        client.ask(b"port")


def counts(port, sources, datagram=b"count"):
    answers = []
    for source in sources:
        with Udp(port, source) as client:
            answers.append(int(client.ask(datagram)))
    return answers


def test_isolation(node, toy):
    port = udp_port()
    sources = ["127.0.0.1", "127.0.0.2", "127.0.0.1", "127.0.0.3", "127.0.0.2"]
    apply(node, "toy", udp(port, toy, "isolation: client"))
    assert counts(port, sources) == [1, 1, 2, 1, 2]
    assert show(node, "toy")["chains"] == 3
    apply(node, "toy", udp(port, toy, "isolation: tenant"))
    assert counts(port, sources) == [1, 2, 3, 4, 5]
    assert show(node, "toy")["chains"] == 1
    apply(node, "toy", udp(port, toy, "isolation: {fixed: 3}"))
    values = counts(port, sources * 8)
    assert 1 <= values.count(1) <= 3 and max(values) <= 40 and sum(values) > 40
    assert show(node, "toy")["chains"] == values.count(1)


def test_nobody_reaches_others_clients(node, toy):
    """Peers' numbers are guessed; only one's own can be reached."""
    port = udp_port()
    apply(node, "toy", udp(port, toy, "limits: {timeout: 1s}"))
    with Udp(port, "127.0.0.2") as victim, Udp(port, "127.0.0.3") as attacker:
        assert victim.ask(b"count") == b"1"
        assert attacker.ask(b"peers") == b"0"
        attacker.send(b"bad")
        # What comes next is the answer to what is asked next: nothing came in between.
        assert attacker.ask(b"peers") == b"0"
        assert victim.ask(b"count") == b"2"
    assert show(node, "toy")["stages"][0]["refused"] == 1


def test_nobody_inherits_others_clients(node, toy):
    """Nor those of one whose place he got."""
    port = udp_port()
    apply(node, "toy", udp(port, toy, "idle: 1s\nlimits: {timeout: 1s}"))
    with Udp(port, "127.0.0.2") as victim, Udp(port, "127.0.0.3") as attacker:
        assert victim.ask(b"count") == b"1"
        wait_for(lambda: show(node, "toy")["chains"] == 0, "the reclaim")
        assert attacker.ask(b"peers") == b"0"
        assert victim.ask(b"count") == b"1"


def test_nothing_of_others_is_in_the_page(node):
    """Chains of which each stage leaves all of the page full, and looks at it first."""
    spy = compile_packets(SPY)
    ports = [udp_port(), udp_port()]
    for port, name in zip(ports, ("one", "two")):
        apply(node, name, f"endpoint: {{udp: {port}}}\nidle: 0\nlimits: {{timeout: 1s}}\nstages:\n"
              f"- {{image: {spy}, config: {{role: pass}}}}\n- {spy}")
    with contextlib.ExitStack() as stack:
        quiet = [stack.enter_context(Udp(port, "127.0.0.2")) for port in ports]
        loud = [stack.enter_context(Udp(port, f"127.0.0.{i}")) for port in ports
                for i in range(3, 6)]
        for number in range(40):
            for i, client in enumerate(loud):
                client.send((b"trap1", b"trap2", b"drop", b"more", b"what")[(number + i) % 5]
                            * (1 + 5 * number))
            for client in quiet:
                assert client.ask(b"found") == b"found 0 0"
        for client in loud:
            client.send(b"found")
            wait_for(lambda client=client: client.receive() == b"found 0 0", "its answer")
    for name in ("one", "two"):
        # What they were sent had no room in a socket, if it was lost.
        assert all(stage["died"] > 0 for stage in show(node, name)["stages"])


def test_limits(node, toy):
    port = udp_port()
    apply(node, "toy", udp(port, toy, "limits: {chains: 2}"))
    assert counts(port, ["127.0.0.1", "127.0.0.2"]) == [1, 1]
    with Udp(port, "127.0.0.3") as client:
        client.send(b"count")
        wait_for(lambda: show(node, "toy")["limit"] == 1, "the refusal")
        assert client.receive(0.1) is None
    assert counts(port, ["127.0.0.1", "127.0.0.2"]) == [2, 2]
    # Longer than a packet may be.
    with Udp(port) as client:
        client.send(b"echo" + bytes(12000))
        # The only answer, and so the first.
        assert client.ask(b"count") == b"3"
    assert node.cli_json("chain", "list")["datagrams_cut"] >= 1


def test_idle(node, toy):
    port = udp_port()
    apply(node, "toy", udp(port, toy, "idle: 1s"))

    def is_kept():
        """Who comes soon finds his instance, at the latest when the machine lets him be soon."""
        first, second = counts(port, ["127.0.0.1", "127.0.0.1"])
        return second == first + 1

    wait_for(is_kept, "a second answer of the same instance")
    wait_for(lambda: show(node, "toy")["chains"] == 0, "the reclaim")
    state = show(node, "toy")
    assert state["reclaimed"] == state["started"] >= 1
    assert counts(port, ["127.0.0.1"]) == [1]


def test_several_answers(node, toy):
    port = udp_port()
    apply(node, "toy", udp(port, toy))
    with Udp(port) as client:
        client.send(b"many")
        got = [client.receive() for _ in range(21)]
    assert got == [f"part {i}".encode() for i in range(20)] + [b"done"]


# --- stages that misbehave ---


def test_stages_that_die(node, toy):
    port = udp_port()
    apply(node, "toy", udp(port, toy))
    with Udp(port) as client, Udp(port, "127.0.0.2") as other:
        assert other.ask(b"count") == b"1"
        for i, command in enumerate((b"trap", b"loop", b"exit")):
            assert client.ask(b"count") == b"1"
            client.send(command)
            # A new one, which remembers nothing.
            assert client.ask(b"count") == b"1"
            client.send(b"trap")
            wait_for(lambda: show(node, "toy")["stages"][0]["died"] == 2 * i + 2, "its death")
        assert other.ask(b"count") == b"2"
    stage = show(node, "toy")["stages"][0]
    assert stage["timed_out"] == 1
    assert "stage_died chain=toy stage=0" in node.log()


def test_logs(node, toy):
    port = udp_port()
    apply(node, "toy", udp(port, toy))
    with Udp(port) as client:
        assert client.ask(b"log one\nlevel=error forged") == b"logged"
    wait_for(lambda: "chain=toy stage=0" in node.log(), "the line")
    assert "\nlevel=error" not in node.log()


# --- new versions, and deaths of the host's processes ---


def test_new_version_under_load(node, toy):
    """Each datagram is answered once, whatever is applied meanwhile."""
    port = udp_port()
    manifest = udp(port, toy, "isolation: tenant")
    apply(node, "toy", manifest)
    words = ["one", "two", "three", "four"]
    stop = threading.Event()
    seen = []

    def load():
        at = 0
        with Udp(port) as client:
            while not stop.is_set():
                for i in range(16):
                    client.send(b"word %d" % (at + i))
                for i in range(16):
                    word, number = client.receive().split()
                    assert int(number) == at + i
                    if not seen or seen[-1] != word.decode():
                        seen.append(word.decode())
                at += 16
        return at

    with concurrent.futures.ThreadPoolExecutor() as pool:
        result = pool.submit(load)
        try:
            for word in words[1:]:
                wait_for(lambda: seen or result.done(), "answers")
                apply(node, "toy", manifest.replace("one", word))
                wait_for(lambda: seen[-1:] == [word] or result.done(), "the new version's answers")
        finally:
            stop.set()
        count = result.result(LIMIT_S)
    assert seen == words
    state = show(node, "toy")
    assert state["version"] == 4 and state["packets"] == count and count >= 4 * 16


def kill_and_wait(node, which):
    keeper, worker = plane_pids(node)
    os.kill((keeper, worker)[which], signal.SIGKILL)
    wait_for(lambda: plane_pids(node) not in (None, (keeper, worker)), "a new one")
    return keeper, worker


def test_worker_killed(node, toy):
    port, port_tcp = udp_port(), tcp_port()
    apply(node, "toy", udp(port, toy))
    apply(node, "streams", tcp(port_tcp, toy))
    assert counts(port, ["127.0.0.1"] * 2) == [1, 2]
    with connect(port_tcp) as client:
        keeper, worker = kill_and_wait(node, 1)
        assert client.recv(1) == b""
    assert ask_until(port, b"count") == b"1"
    wait_for_plane(node)
    assert plane_pids(node)[0] == keeper
    wait_for(lambda: len(node.cli_json("chain", "list")["chains"]) == 2, "both chains")
    with connect(port_tcp) as client:
        client.sendall(b"echo")
        assert client.recv(4) == b"echo"


def test_keeper_killed(node, toy):
    port = udp_port()
    apply(node, "toy", udp(port, toy))
    assert counts(port, ["127.0.0.1"] * 2) == [1, 2]
    keeper, worker = kill_and_wait(node, 0)
    assert ask_until(port, b"count") == b"1"
    wait_for_plane(node)
    assert not {keeper, worker} & set(plane_pids(node))


def test_restart(node, toy):
    """What was applied last is there again; what was removed is not."""
    port, gone = udp_port(), udp_port()
    apply(node, "toy", udp(port, toy))
    apply(node, "toy", udp(port, toy).replace("one", "two"))
    apply(node, "gone", udp(gone, toy))
    node.cli("chain", "rm", "gone")
    node.restart()
    assert ask_until(port, b"word") == b"two"
    wait_for_plane(node)
    assert [chain["chain"] for chain in node.cli_json("chain", "list")["chains"]] == ["toy"]
    node.kill9()
    node.start()
    assert ask_until(port, b"word") == b"two"


def test_damaged_folders(node, toy):
    """One chain that cannot be applied again does not keep the others."""
    port = udp_port()
    for name in ("a-bad", "toy", "z-bad"):
        apply(node, name, udp(port if name == "toy" else udp_port(), toy))
    node.stop()
    chains = node.data_dir / "chains"
    (chains / "a-bad" / "manifest.yaml").write_text("chain: [")
    (chains / "z-bad" / "0.wasm").unlink()
    (chains / ".new-half").mkdir()
    (chains / "file").write_text("")
    node.start()
    assert ask_until(port, b"count") == b"1"
    wait_for(lambda: node.log().count("event=chain_not_applied") >= 3, "the log's lines")
    assert not (chains / ".new-half").exists()
    (chains / "file").unlink()
    for name in ("a-bad", "z-bad"):
        node.cli("chain", "rm", name)
        assert not (chains / name).exists()


# --- TCP ---


def test_streams(node, toy):
    port = tcp_port()
    apply(node, "streams", tcp(port, toy))
    with connect(port) as client, connect(port) as other:
        client.sendall(b"echo 1")
        assert client.recv(100) == b"echo 1"
        other.sendall(b"open")
        assert other.recv(100) == b"2 0"
        client.sendall(b"close")
        assert receive_all(client) == b"bye"
        # Half closed: what was asked before is answered, then it ends.
        other.sendall(b"blob")
        other.shutdown(socket.SHUT_WR)
        assert receive_all(other) == b"x" * (512 * 4000) + b"end"
    with connect(port) as client:
        client.shutdown(socket.SHUT_WR)
        assert receive_all(client) == b""


def test_streams_that_break(node, toy):
    """The function hears of the end of each, so that it can give up its place."""
    port = tcp_port()
    apply(node, "streams", tcp(port, toy))
    for _ in range(20):
        client = connect(port)
        client.sendall(b"echo")
        assert client.recv(4) == b"echo"
        reset(client)
    reset(connect(port))

    def open_now():
        with connect(port) as client:
            client.sendall(b"open")
            return client.recv(100).split()[0] == b"1"

    wait_for(open_now, "the ends")


def test_streams_slow_reader(node, toy):
    """Who does not read stops himself, nobody else; what he was sent is whole."""
    port = tcp_port()
    apply(node, "streams", tcp(port, toy, "limits: {timeout: 1s}"))
    with connect(port, buffer=4096) as slow, connect(port) as other:
        slow.sendall(b"blob")
        for _ in range(50):
            other.sendall(b"echo")
            assert receive_exactly(other, 4) == b"echo"
        assert receive_exactly(slow, 512 * 4000 + 3)[-5:] == b"xxend"

    def fill(client, request):
        """Nothing is read before there is no room: who reads fast enough always makes some."""
        def full():
            return node.cli_json("chain", "list")["streams_full"]

        before = full()
        client.sendall(request)
        wait_for(lambda: full() > before, "a stream without room")

    with connect(port, buffer=4096) as greedy:
        fill(greedy, b"flood")
        got = receive_all(greedy)
    assert len(got) >= 4_000_000 and len(got) % 4000 == 0
    # An answer that had no room, of which nobody knows: an end, not a gap.
    with connect(port, buffer=4096) as greedy:
        fill(greedy, b"brim")
        with contextlib.suppress(ConnectionResetError):
            receive_all(greedy)


def test_streams_many(node, toy):
    port = tcp_port()
    apply(node, "streams", tcp(port, toy))
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connect(port)) for _ in range(300)]
        for i, client in enumerate(clients):
            client.sendall(b"echo %d" % i)
        for i, client in enumerate(clients):
            want = b"echo %d" % i
            assert receive_exactly(client, len(want)) == want
        # A stage that dies takes its own connections along.
        clients[0].sendall(b"trap")
        for client in clients:
            with contextlib.suppress(ConnectionResetError):
                assert client.recv(1) == b""
    with connect(port) as client:
        client.sendall(b"open")
        assert client.recv(100) == b"1 0"


def test_streams_of_a_stage_that_dies_often(node, toy):
    """The log has no more of the deaths than one each 50 ms; the connections of each one's end."""
    port = tcp_port()
    apply(node, "streams", tcp(port, toy))
    begin, log_before = time.monotonic(), len(node.log())
    for _ in range(60):
        with connect(port) as witness, connect(port) as client:
            witness.sendall(b"echo")
            assert witness.recv(4) == b"echo"
            client.sendall(b"trap")
            for one in (witness, client):
                with contextlib.suppress(ConnectionResetError):
                    assert one.recv(1) == b""
    assert show(node, "streams")["stages"][0]["died"] == 60
    for _ in range(40):
        with connect(port) as client:
            client.sendall(b"trap")
    wait_for(lambda: show(node, "streams")["stages"][0]["died"] == 100, "their deaths")
    elapsed_s = time.monotonic() - begin
    told = node.log()[log_before:].count("stage_died chain=streams")
    assert 1 <= told <= 2 + elapsed_s / 0.05
    assert "untold=" in node.log()


def test_streams_replaced(node, toy):
    """A new version ends connections, whose state is gone, and serves new ones."""
    port = tcp_port()
    apply(node, "streams", tcp(port, toy))
    with connect(port) as client:
        client.sendall(b"echo")
        assert client.recv(4) == b"echo"
        apply(node, "streams", tcp(port, toy))
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(1) == b""
    with connect(port) as client:
        client.sendall(b"open")
        assert client.recv(100) == b"1 0"


def test_streams_full(make_node, toy):
    """With the table of connections full, others are sent away, and it goes on."""
    node = make_node("plane: {streams: 4}\n")
    wait_for_plane(node)
    port = tcp_port()
    apply(node, "streams", tcp(port, toy))
    with contextlib.ExitStack() as stack:
        for _ in range(4):
            client = stack.enter_context(connect(port))
            client.sendall(b"echo")
            assert client.recv(4) == b"echo"
        more = stack.enter_context(connect(port))
        with contextlib.suppress(ConnectionResetError):
            assert more.recv(1) == b""
        client.sendall(b"echo")
        assert client.recv(4) == b"echo"
    assert node.cli_json("chain", "list")["streams_refused"] == 1

    def is_served():
        with connect(port) as client, contextlib.suppress(ConnectionResetError, BrokenPipeError):
            client.sendall(b"echo")
            return client.recv(4) == b"echo"

    wait_for(is_served, "a place")


def test_processor(make_node):
    """The worker runs on the processor that the configuration names, and nowhere else."""
    last = max(os.sched_getaffinity(0))
    node = make_node(f"plane: {{processor: {last}}}\n")
    wait_for_plane(node)
    assert os.sched_getaffinity(plane_pids(node)[1]) == {last}


def test_no_such_processor(make_node):
    node = make_node("plane: {processor: 4095}\n")
    wait_for(lambda: "processor 4095: " in node.cli("chain", "list", check=False).stderr,
             "the reason why there is no data plane")


def test_packaged_configuration(make_node, tmp_path):
    """What packaging/edgeos.yaml says of `plane`, in comments, is what is understood."""
    text = (edgeos_node.ROOT / "packaging" / "edgeos.yaml").read_text()
    lines = text[text.index("# plane:\n") :].splitlines()
    assert all(line.startswith("#") for line in lines)
    section = "\n".join(line[2:] for line in lines) + "\n"
    node = make_node(section[: section.index("  ports:")])
    wait_for_plane(node)
    assert node.cli_json("chain", "list")["fwps_max"] == 4096
    # Its port is right, and the one behind it is not.
    config = tmp_path / "edgeos.yaml"
    config.write_text(section + '    last: {device: "null", mtu: 1}\n')
    result = edgeos_node.run_edgeos("up", "-c", config, "--data", tmp_path / "data", check=False)
    fails(result, f"{config}:{len(lines) + 1}: ", "mtu")
