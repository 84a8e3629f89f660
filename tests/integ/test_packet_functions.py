"""Functions with a trigger udp or tcp: deployed as functions, served by the data plane."""
import os
import pathlib
import signal
import socket
import subprocess

import pytest
import requests
from edgeos_chains import (
    Udp, apply, ask_until, compile_packets, connect, plane_node, plane_pids, remove_all, show,
    tcp_port, udp_port, wait_for_plane, write,
)
from edgeos_functions import HEADER
from edgeos_node import wait_for
from edgeos_wasm import compile_c
from test_chain import TOY, fails

PLAIN = HEADER + r"""
int main(void) { printf("Content-Type: text/plain\n\nplain"); }
"""


@pytest.fixture(scope="module")
def toy():
    return compile_packets(TOY)


@pytest.fixture(scope="module")
def module_node(tmp_path_factory):
    with plane_node(tmp_path_factory.mktemp("node")) as node:
        yield node


@pytest.fixture
def node(module_node):
    """Without functions and chains."""
    wait_for_plane(module_node)
    for function in module_node.cli_json("function", "list")["functions"]:
        module_node.cli("function", "rm", function["name"])
    remove_all(module_node)
    return module_node


def deploy(node, name, image, text, check=True):
    path = pathlib.Path(node.folder) / f"{name}.yaml"
    path.write_text(f"function: {name}\nimage: {image}\n{text}\n")
    return node.cli("deploy", path, check=check)


def udp(port, rest=""):
    return f"triggers: [{{udp: {{port: {port}}}}}]\nconfig: {{word: one}}\n{rest}"


def tcp(port, rest=""):
    return f"triggers: [{{tcp: {{port: {port}, idle: 0}}}}]\nisolation: tenant\n{rest}"


def socat(kind, port, data):
    return subprocess.run(["socat", "-t", "10", "-", f"{kind}:127.0.0.1:{port}"], input=data,
                          capture_output=True, timeout=60, check=True).stdout


def chains(node):
    return [chain["chain"] for chain in node.cli_json("chain", "list")["chains"]]


def test_udp(node, toy):
    """Each client has an instance; the function and its chain are shown; both go together."""
    port = udp_port()
    deploy(node, "toy", toy, udp(port, "tenant: acme"))
    with Udp(port) as one, Udp(port, source="127.0.0.2") as two:
        assert [client.ask(b"count") for client in (one, one, two)] == [b"1", b"2", b"1"]
        assert one.ask(b"word") == b"one"
    function = node.cli_json("function", "show", "toy")
    assert function["triggers"] == [{"kind": "udp", "address": "127.0.0.1", "port": port, "idle_ms": 30000}]
    assert function["chain"] == "toy" and function["isolation"] == "client"
    assert f"udp 127.0.0.1 port {port}" in node.cli("function", "list").stdout
    chain = show(node, "toy")
    assert chain["tenant"] == "acme" and chain["chains"] == 2 and chain["packets"] == 4
    node.cli("function", "rm", "toy")
    assert chains(node) == []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", port))
    fails(node.cli("chain", "show", "toy", check=False), "no chain")


def test_tcp(node, toy):
    port = tcp_port()
    deploy(node, "toy", toy, tcp(port))
    assert socat("TCP", port, b"echo all") == b"echo all"
    with connect(port) as one, connect(port, source="127.0.0.2") as two:
        for client, number in ((one, b"1"), (two, b"2")):
            client.sendall(b"count")
            assert client.recv(8) == number
    assert node.cli_json("function", "show", "toy")["triggers"][0]["kind"] == "tcp"


def test_addresses(node, toy):
    port = udp_port()
    deploy(node, "toy", toy, f'triggers: [{{udp: {{port: {port}, address: "::"}}}}]')
    for target in ("127.0.0.1", "::1"):
        with Udp(port, source="::1" if ":" in target else "127.0.0.1", target=target) as client:
            assert client.ask(b"echo") == b"echo"


def test_new_versions(node, toy):
    """Taken or not, as a whole; also where a function becomes one of another kind."""
    port, other = udp_port(), udp_port()
    deploy(node, "toy", toy, udp(port))
    deploy(node, "toy", toy, udp(port).replace("one", "two"))
    assert ask_until(port, b"word") == b"two"
    assert node.cli_json("function", "show", "toy")["version"] == 2
    fails(deploy(node, "toy", toy, udp(port).replace("one", "fail"), check=False), "initialisation")
    with Udp(port) as client:
        assert client.ask(b"word") == b"two"
    assert node.cli_json("function", "show", "toy")["version"] == 2
    deploy(node, "toy", toy, udp(other))
    assert ask_until(other, b"word") == b"one"
    deploy(node, "toy", compile_c(PLAIN), "triggers: [{http: {path: /toy}}]")
    assert requests.get(node.http_url + "/toy", timeout=60).text == "plain"
    assert chains(node) == []
    deploy(node, "toy", toy, udp(port))
    assert ask_until(port, b"word") == b"one"
    assert requests.get(node.http_url + "/toy", timeout=60).status_code == 404


def test_there_again(node, toy):
    """After the end of the data plane, of the node, and of both at once."""
    port, port_tcp, gone = udp_port(), tcp_port(), udp_port()
    deploy(node, "toy", toy, udp(port))
    deploy(node, "stream", toy, tcp(port_tcp))
    deploy(node, "gone", toy, udp(gone))
    apply(node, "chain", f"endpoint: {{udp: {udp_port()}}}\nstages: [{toy}]")
    node.cli("function", "rm", "gone")

    def check():
        assert ask_until(port, b"word") == b"one"
        wait_for(lambda: node.cli("chain", "show", "stream", check=False).returncode == 0, "the other")
        assert wait_for(lambda: len(chains(node)) == 3 and chains(node), "all three")
        assert sorted(chains(node)) == ["chain", "stream", "toy"]
        assert socat("TCP", port_tcp, b"echo") == b"echo"

    worker = plane_pids(node)[1]
    os.kill(worker, signal.SIGKILL)
    wait_for(lambda: (plane_pids(node) or (0, worker))[1] != worker, "a worker")
    check()
    node.restart()
    check()
    node.kill9()
    node.start()
    check()


def test_not_for_calls(node, toy):
    port = udp_port()
    deploy(node, "toy", toy, udp(port))
    fails(node.cli("function", "invoke", "toy", check=False), "packet function", f"UDP, 127.0.0.1 port {port}")
    for path in ("/f/toy", "/2015-03-31/functions/toy/invocations"):
        assert requests.post(node.http_url + path, timeout=60).status_code == 404


def test_errors(node, toy):
    """In words, and nothing has changed."""
    port = udp_port()
    plain = compile_c(PLAIN)
    fails(deploy(node, "toy", plain, udp(port), check=False), plain.name, "edgeos_packet")
    fails(deploy(node, "toy", toy, "triggers: [{http: {path: /x}}]", check=False), "edgeos_packet_page")
    fails(deploy(node, "toy", toy, udp(port, "cpu: {class: 1}"), check=False), "toy.yaml:5: cpu: not with")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", port))
        fails(deploy(node, "toy", toy, udp(port), check=False), f"UDP 127.0.0.1 port {port}", "in use")
    assert node.cli_json("function", "list")["functions"] == [] and chains(node) == []
    deploy(node, "toy", toy, udp(port))
    fails(deploy(node, "other", toy, udp(port), check=False), "in use")
    # A name is a chain's or a function's.
    other = f"endpoint: {{udp: {udp_port()}}}\nstages: [{toy}]"
    fails(node.cli("chain", "apply", write(node, "toy", other), check=False), "function")
    fails(node.cli("chain", "rm", "toy", check=False), "edgeos function rm")
    apply(node, "taken", other)
    fails(deploy(node, "taken", toy, udp(udp_port()), check=False), "there is a chain named")
    with Udp(port) as client:
        assert client.ask(b"word") == b"one"
    assert sorted(chains(node)) == ["taken", "toy"]


def test_no_data_plane(make_node, toy):
    fails(deploy(make_node(), "toy", toy, udp(udp_port()), check=False), "no data plane", "plane")
