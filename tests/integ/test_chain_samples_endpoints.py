"""Samples that are endpoints for UDP, on a port with addresses: the name server with dig, CoAP with
libcoap's client, the detector of odd values with what its training script says."""
import contextlib
import random
import re

import pytest
from chain_samples import SAMPLES, apply_sample, counters_of
from edgeos_chains import show
from edgeos_net import running, udp_client, wait_for_ping
from edgeos_node import wait_for
from net_fixtures import HOST4, HOST6, NEEDS, module_net, net, node

__all__ = ["module_net", "net", "node"]
pytestmark = [*NEEDS, pytest.mark.usefixtures("samples")]
CLIENTS = ["10.29.0.2", "10.29.0.3"]


@pytest.fixture
def host(net):
    net.give("host", *(f"{address}/16" for address in CLIENTS), "fd29::2/64")
    wait_for_ping(net, "host", HOST4)
    return net


def apply_endpoint(node, sample, number, *changes):
    """Its manifest, with the endpoint on the port."""
    old = f"endpoint: {{udp: {number}}}"
    apply_sample(node, sample, (old, f"endpoint: {{udp: {number}, port: host}}"), *changes)


def send_rubbish(net, number, count, *seeds):
    """Datagrams that nobody should send, of lengths from 0 on; the last is answered by nobody."""
    rng = random.Random(count)
    with net.within("host", udp_client, (HOST4, number), 1, CLIENTS[1]) as client:
        for _ in range(count):
            data = bytearray(rng.choice(seeds) if rng.random() < 0.7 else rng.randbytes(60))
            for _ in range(rng.randrange(1, 4)):
                if data:
                    data[rng.randrange(len(data))] = rng.randrange(256)
            with contextlib.suppress(ConnectionRefusedError):
                client.send(bytes(data[: rng.randrange(len(data) + 1)]))


# --- the name server ---


def dig(net, *words, server=HOST4):
    return net.client("host", "dig", "-p", "5353", f"@{server}", "+tries=3", "+timeout=5",
                      *words).stdout


def short(net, *words):
    return dig(net, "+short", *words).split("\n")[:-1]


def test_dns(host, node):
    net = host
    more = '; '.join(f'many TXT "{letter * 200}"' for letter in "abcd")
    apply_endpoint(node, "dns", 5353, ("      zone2:", f"      zone3: '{more}'\n      zone2:"))
    assert short(net, "www.edge.example") == ["192.0.2.1"]
    assert short(net, "WWW.Edge.EXAMPLE", "AAAA") == ["2001:db8::1"]
    assert short(net, "web.edge.example") == ["www.edge.example.", "192.0.2.1"]
    assert short(net, "edge.example", "TXT") == ['"v=spf1 -all"']
    assert short(net, "-x", "192.0.2.1") == ["www.edge.example."]
    text = dig(net, "sensor1.edge.example")
    assert re.search(r"sensor1\.edge\.example\.\s+60\s+IN\s+A\s+10\.0\.0\.17", text), text
    assert "flags: qr aa" in text and "WARNING: Message" not in text
    text = dig(net, "nobody.edge.example")
    assert "status: NXDOMAIN" in text and re.search(r"edge\.example\.\s+\d+\s+IN\s+SOA", text)
    text = dig(net, "sensor1.edge.example", "AAAA")
    assert "status: NOERROR" in text and "ANSWER: 0" in text
    assert "status: REFUSED" in dig(net, "www.example.org")
    # Of the origin itself, which has no other record of the type.
    text = dig(net, "+dnssec", "edge.example", "SOA")
    assert "ANSWER: 1, AUTHORITY: 0" in text and re.search(r"EDNS: version: 0, flags: do;", text)
    assert len(short(net, "+notcp", "edge.example", "ANY")) == 2
    assert "status: REFUSED" in dig(net, "version.bind", "CH", "TXT")
    assert "status: NOERROR" in dig(net, "+ednsopt=65001:00", "+subnet=10.0.0.0/8", "www.edge.example")
    # What does not fit says so; what fits with EDNS is whole.
    text = dig(net, "+noedns", "+ignore", "many.edge.example", "TXT")
    assert " tc" in text.partition("flags:")[2].partition(";")[0], text
    assert len(short(net, "+bufsize=1232", "many.edge.example", "TXT")) == 4
    assert short(net, "www.edge.example", "+bufsize=512") == ["192.0.2.1"]
    text = dig(net, "www.edge.example", server=HOST6)
    assert "192.0.2.1" in text
    assert "status: BADVERS" in dig(net, "+edns=7", "+noednsneg", "www.edge.example")
    text = dig(net, "+opcode=status", "www.edge.example")
    assert "status: NOTIMP" in text and "EDNS: version: 0" in text


def test_dns_malformed(host, node):
    net = host
    apply_endpoint(node, "dns", 5353)
    seed = b"\0\7\1\0\0\1\0\0\0\0\0\0\3www\4edge\7example\0\0\1\0\1"
    edns = seed[:10] + b"\0\1" + seed[12:] + b"\0\0\x29\4\xd0" + bytes(6)
    send_rubbish(net, 5353, 400, seed, edns, seed[:12] + b"\xc0\x0c\0\1\0\1")
    assert short(net, "www.edge.example") == ["192.0.2.1"]
    wait_for(lambda: counters_of(node, "dns")["malformed"] > 10, "the counter")
    assert show(node, "dns")["stages"][0]["died"] == 0


# --- CoAP ---


def coap(net, method, path, *words, source=CLIENTS[0], timeout_s=10):
    """What libcoap's client gets; (text, what it says of the answer)."""
    done = net.client("host", "coap-client-notls", "-m", method, "-a", source, "-B", str(timeout_s),
                      *words, f"coap://{HOST4}/{path}", check=False)
    return done.stdout.rstrip("\n"), done.stderr.strip()


def test_coap(host, node):
    net = host
    apply_endpoint(node, "coap", 5683)
    path = "kitchen/temperature"
    assert coap(net, "get", path)[1].startswith("4.04")
    assert coap(net, "put", path, "-e", "21.5") == ("", "")
    # Everybody has the same resources; by NON, too.
    assert coap(net, "get", path, source=CLIENTS[1]) == ("21.5", "")
    assert coap(net, "get", path, "-N") == ("21.5", "")
    assert coap(net, "put", "kitchen/light", "-t", "50", "-e", '{"on":1}') == ("", "")
    assert coap(net, "get", "kitchen/light", "-A", "50")[0] == '{"on":1}'
    assert coap(net, "get", "kitchen/light", "-A", "0")[1].startswith("4.06")
    links = coap(net, "get", ".well-known/core")[0]
    assert "</kitchen/temperature>" in links and "</kitchen/light>" in links, links
    assert coap(net, "put", ".well-known/core", "-e", "x")[1].startswith("4.05")
    assert coap(net, "delete", path) == ("", "")
    assert coap(net, "get", path)[1].startswith("4.04")
    counters = counters_of(node, "coap")
    assert counters["requests"] >= 9 and counters["resources"] == 1


def test_coap_blocks(host, node, tmp_path):
    """Bodies that are longer than a message, both ways, in blocks of several sizes."""
    net = host
    apply_endpoint(node, "coap", 5683)
    body = "".join(f"{i:5d}" for i in range(700))
    (tmp_path / "body").write_text(body)
    for size in ("64", "512", "1024"):
        path = f"log{size}"
        assert coap(net, "put", path, "-b", size, "-f", str(tmp_path / "body")) == ("", "")
        assert coap(net, "get", path, "-b", size)[0] == body
        assert coap(net, "get", path)[0] == body
    (tmp_path / "body").write_text(body + body)
    assert coap(net, "put", "log", "-b", "512", "-f", str(tmp_path / "body"))[1].startswith("4.13")
    assert coap(net, "get", "log64", "-b", "1024")[0] == body


def test_coap_observe(host, node):
    """Who observes a resource hears of each change, until it is gone."""
    net = host
    apply_endpoint(node, "coap", 5683)
    assert coap(net, "put", "door", "-e", "value 0") == ("", "")
    argv = ["stdbuf", "-o0", "coap-client-notls", "-m", "get", "-s", "120", "-w"]
    with running(net.spawn("host", *argv, f"coap://{HOST4}/door")) as observer:
        assert observer.stdout.readline().strip() == "value 0"
        assert counters_of(node, "coap")["observers"] == 1
        for i in range(1, 6):
            assert coap(net, "put", "door", "-e", f"value {i}", source=CLIENTS[1]) == ("", "")
            assert observer.stdout.readline().strip() == f"value {i}"
        coap(net, "delete", "door", source=CLIENTS[1])
        wait_for(lambda: counters_of(node, "coap")["observers"] == 0, "the end")
        assert counters_of(node, "coap")["notifications"] >= 6


def test_coap_observe_blocks(host, node, tmp_path):
    """More changes than go out without a confirmation, each longer than a block."""
    net = host
    apply_endpoint(node, "coap", 5683)
    rest = ", ".join(f"{i:04}" for i in range(200))
    assert coap(net, "put", "log", "-e", f"first {rest}") == ("", "")
    argv = ["stdbuf", "-o0", "coap-client-notls", "-m", "get", "-s", "120", "-w", "-b", "256"]
    with running(net.spawn("host", *argv, f"coap://{HOST4}/log")) as observer:
        assert observer.stdout.readline() == f"first {rest}\n"
        for i in range(40):
            assert coap(net, "put", "log", "-e", f"{i} {rest}", source=CLIENTS[1]) == ("", "")
            assert observer.stdout.readline() == f"{i} {rest}\n"
        counters = counters_of(node, "coap")
        assert (counters["observers"], counters["observers_lost"]) == (1, 0)
        assert counters["notifications"] == 40


def test_coap_observe_loss(host, node):
    """A confirmation that is lost is asked for again; then what is told is the latest."""
    net = host
    apply_endpoint(node, "coap", 5683)
    assert coap(net, "put", "door", "-e", "value 0") == ("", "")
    # The client's second message, and the next, are the confirmations.
    argv = ["stdbuf", "-o0", "coap-client-notls", "-m", "get", "-s", "120", "-w", "-l", "2-3"]
    with running(net.spawn("host", *argv, f"coap://{HOST4}/door")) as observer:
        assert observer.stdout.readline() == "value 0\n"
        for i in range(1, 31):
            assert coap(net, "put", "door", "-e", f"value {i}", source=CLIENTS[1]) == ("", "")
        lines = [observer.stdout.readline().rstrip("\n")]
        while lines[-1] != "value 30":
            lines.append(observer.stdout.readline().rstrip("\n"))
        assert lines[:17] == [f"value {i}" for i in range(1, 18)]
        assert counters_of(node, "coap")["observers"] == 1


def test_coap_paths(host, node):
    """Any text may be in a path; the list can be filtered."""
    net = host
    apply_endpoint(node, "coap", 5683)
    assert coap(net, "put", "k%C3%BCche/oven%20%2F%201", "-e", "210") == ("", "")
    assert coap(net, "get", "k%c3%bcche/oven%20%2f%201") == ("210", "")
    assert coap(net, "put", "door", "-t", "50", "-e", "{}") == ("", "")
    oven, door = "</k%C3%BCche/oven%20%2F%201>;obs", "</door>;ct=50;obs"
    core = ".well-known/core"
    assert coap(net, "get", core)[0] == f"{oven},{door}"
    assert coap(net, "get", f"{core}?ct=50") == (door, "")
    assert coap(net, "get", f"{core}?href=/k%C3%BC*") == (oven, "")
    assert coap(net, "get", f"{core}?rt=oven") == ("", "")
    assert coap(net, "get", core, "-A", "50")[1].startswith("4.06")


def test_coap_clients_options(host, node):
    """What the client can put into a request."""
    net = host
    apply_endpoint(node, "coap", 5683)
    assert coap(net, "put", "a", "-e", "1") == ("", "")
    for words, code in [(("-O", "2049,x"), "4.02"), (("-O", "7,0x010203"), "4.02"),
                        (("-O", "23,0x07"), "4.00"), (("-O", "35,coap://x/"), "5.05"),
                        (("-b", "9,256"), "4.00"), (("-P", f"coap://{HOST4}"), "5.05")]:
        assert coap(net, "get", "a", *words)[1].startswith(code), words
    for words in [("-O", "2048,x"), ("-U",), ("-H", "3"), ("-T", "12345678"), ("-K", "1")]:
        assert coap(net, "get", "a", *words) == ("1", ""), words
    assert coap(net, "put", "a", "-e", "2", "-O", "5,")[1].startswith("4.12")
    assert coap(net, "put", "a", "-e", "2", "-O", "1,") == ("", "")
    assert coap(net, "put", "b", "-e", "2", "-O", "1,")[1].startswith("4.12")
    for method in ("fetch", "patch", "ipatch"):
        assert coap(net, method, "a", "-e", "x")[1].startswith("4.05")
    assert coap(net, "get", "a", "-N", "-G", "2")[0] == "22"
    assert coap(net, "get", "a", "-l", "1", timeout_s=60) == ("2", "")


def test_coap_malformed(host, node):
    net = host
    apply_endpoint(node, "coap", 5683)
    assert coap(net, "put", "kept", "-e", "as it was") == ("", "")
    # A ping, and a GET with a token and two parts of a path.
    send_rubbish(net, 5683, 400, b"\x40\0\0\1", b"\x44\1\0\2tokn\xb4kept\4core\xff",
                 b"\x41\3\0\3t\xb3log\xd1\x0e\x12\xffbody", b"\x40\1\0\4\xdd\xff\xff\xee")
    with net.within("host", udp_client, (HOST4, 5683), 5, CLIENTS[0]) as client:
        client.send(b"\x40\0\x12\x34")
        assert client.recv(100) == b"\x70\0\x12\x34"
    assert coap(net, "get", "kept")[0] == "as it was"
    assert counters_of(node, "coap")["malformed"] > 10
    assert show(node, "coap")["stages"][0]["died"] == 0


# --- inference ---


def reference():
    """Windows of values, their scores and classes, as train.py wrote them."""
    text = (SAMPLES / "inference" / "reference.h").read_text()
    rows = re.findall(r"\{\{([-\d, ]+)\}, (\d+), (true|false)\}", text)
    return [([int(value) for value in values.split(",")], int(score), is_odd == "true")
            for values, score, is_odd in rows]


def test_inference(host, node):
    """Scores and classes are those of the training script, whoever asks in between."""
    net = host
    cases = reference()
    assert len(cases) >= 100 and {is_odd for *_, is_odd in cases} == {True, False}
    apply_endpoint(node, "inference", 7000)
    with contextlib.ExitStack() as stack:
        one, two = (stack.enter_context(net.within("host", udp_client, (HOST4, 7000), 5, address))
                    for address in CLIENTS)

        def ask(client, values):
            client.send(" ".join(f"{value / 100:.2f}" for value in values).encode())
            return client.recv(100).decode()

        two.send(b".5 .5 .5")
        assert two.recv(100) == b"needs 13 more\n"
        for values, score, is_odd in cases:
            # In pieces, too.
            ask(one, values[:5])
            assert ask(one, values[5:]) == f"score {score} {'anomaly' if is_odd else 'normal'}\n"
        two.send(b"12, x")
        assert two.recv(100) == b"error: not a number\n"
        assert ask(two, [50] * 12) == "needs 1 more\n"
    counters = counters_of(node, "inference")
    assert counters["anomalies"] >= sum(is_odd for *_, is_odd in cases)
    assert counters["malformed"] == 1
    send_rubbish(net, 7000, 400, b"1.25 -.5 3 0 0 0 0", b"-" * 40, b"9" * 60 + b".", b",;\t\r\n")
    with net.within("host", udp_client, (HOST4, 7000), 5, CLIENTS[0]) as client:
        client.send(b"0 " * 15)
        assert client.recv(100) == b"needs 1 more\n"
    assert show(node, "inference")["stages"][0]["died"] == 0
