"""The data plane's metrics, read by Prometheus' own parser."""
import os
import signal
import socket

import pytest
import requests
from edgeos_chains import CONFIG, Udp, apply, compile_packets, plane_pids, show, udp_port, wait_for_plane
from edgeos_node import wait_for
from prometheus_client.parser import text_string_to_metric_families
from test_chain import TOY

WAIT_S = 60


@pytest.fixture(scope="module")
def toy():
    return compile_packets(TOY)


def get(node, path="/metrics"):
    answer = requests.get(node.http_url + path, timeout=WAIT_S)
    assert answer.status_code == 200
    return answer.text


def samples(node):
    """{(name, labels): value}, of families that each come once, with their type."""
    found, names = {}, set()
    for family in text_string_to_metric_families(get(node)):
        assert family.name not in names and family.documentation, family
        names.add(family.name)
        for sample in family.samples:
            key = sample.name, tuple(sorted(sample.labels.items()))
            assert key not in found, key
            assert (family.type == "counter") == sample.name.endswith("_total"), sample
            found[key] = sample.value
    return found


def value(node, name, **labels):
    return samples(node).get(("edgeos_" + name, tuple(sorted(labels.items()))))


def test_as_chain_show_says(make_node, toy):
    node = make_node(CONFIG)
    wait_for_plane(node)
    ports = [udp_port(), udp_port()]
    apply(node, "one", f"endpoint: {{udp: {ports[0]}}}\nstages: [{toy}]")
    apply(node, "two", f"endpoint: {{udp: {ports[1]}}}\nstages: [{toy}, {toy}]")
    for port, count in zip(ports, (3, 5)):
        with Udp(port) as client:
            for _ in range(count):
                client.ask(b"echo")
    assert wait_for(lambda: value(node, "chain_packets_total", chain="two") == 5, "what was counted")
    found = samples(node)
    assert found["edgeos_plane_up", ()] == 1 and found["edgeos_plane_metrics_left_out", ()] == 0
    assert found["edgeos_cell_calls_total", ()] >= 0
    gauges = {"version": "version", "chains": "instances", "chains_max": "instances_limit"}
    for name in ("one", "two"):
        chain = show(node, name)
        label = ("chain", name)
        for key, number in chain.items():
            if not isinstance(number, int):
                continue
            metric = gauges.get(key, f"{key}_total")
            if key.endswith("_ns"):
                metric, number = f"{key[:-3]}_seconds_total", number / 1e9
            assert found[f"edgeos_chain_{metric}", (label,)] == pytest.approx(number), key
        for index, stage in enumerate(chain["stages"]):
            labels = (label, ("stage", str(index)))
            for key, number in stage.items():
                if isinstance(number, int) and not key.endswith("_ns"):
                    assert found[f"edgeos_chain_stage_{key}_total", labels] == number, key
            for counter, number in stage["counters"].items():
                assert found["edgeos_chain_function_counter", (label, ("counter", counter), labels[1])] == number
    node.cli("chain", "rm", "one")
    wait_for(lambda: value(node, "chain_packets_total", chain="one") is None, "the end of its metrics")


def test_a_data_plane_that_does_not_answer(make_node, toy):
    """/metrics says so, nothing else of the node waits, and it comes back."""
    node = make_node("plane: {watchdog: 0}\n")
    wait_for_plane(node)
    apply(node, "toy", f"endpoint: {{udp: {udp_port()}}}\nstages: [{toy}]")
    wait_for(lambda: value(node, "chain_version", chain="toy") == 1, "the chain's metrics")
    worker = plane_pids(node)[1]
    os.kill(worker, signal.SIGSTOP)
    try:
        wait_for(lambda: value(node, "plane_up") == 0, "the end of what was answered last")
        host, port = node.http_url.removeprefix("http://").split(":")
        asking = socket.create_connection((host, int(port)), timeout=WAIT_S)
        leaving = socket.create_connection((host, int(port)), timeout=WAIT_S)
        for one in (asking, leaving):
            one.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        leaving.close()
        # The loop is not kept: others are answered before.
        assert get(node, "/healthz") == "ok\n"
        text = b""
        while part := asking.recv(65536):
            text += part
        asking.close()
        assert b"\nedgeos_plane_up 0\n" in text and b"edgeos_chain_" not in text
        assert value(node, "plane_up") == 0
    finally:
        os.kill(worker, signal.SIGCONT)
    wait_for(lambda: value(node, "plane_up") == 1, "an answer")
    assert value(node, "chain_version", chain="toy") == 1


def test_the_end_does_not_wait(make_node):
    """Neither does a node stop later because somebody waits for a data plane that hangs."""
    node = make_node("plane: {watchdog: 0}\n")
    wait_for_plane(node)
    os.kill(plane_pids(node)[1], signal.SIGSTOP)
    host, port = node.http_url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=WAIT_S) as client:
        client.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        assert get(node, "/healthz") == "ok\n"
        node.stop()


def test_no_data_plane(make_node):
    node = make_node()
    assert not any(name.startswith(("edgeos_plane", "edgeos_chain")) for name, _ in samples(node))
    assert requests.head(node.http_url + "/metrics", timeout=WAIT_S).status_code == 200
    assert requests.post(node.http_url + "/metrics", data=b"x", timeout=WAIT_S).status_code == 405
