"""Hostile bytes at the port of functions and at the control socket: each answer is HTTP, the node
serves on, and gives back what it had.

What HTTP they are comes from tests/lib/s3_hostile.py, as for S3 (test_s3_hostile.py).
"""
import concurrent.futures
import json
import os
import random
import socket
import time
import urllib.parse

import pytest
import requests
from edgeos_functions import deploy_c, http_trigger
from edgeos_node import wait_for
from s3_hostile import (
    DONE, REFUSALS, Hostile, Place, malformed_http, mutated, pipelined, smuggling)
from test_s3_hostile import fd_count, judge

SEED = 20261122
QUIET_S = 0.05  # nothing more is answered when nothing came for so long
TEXT = 'puts("Content-Type: text/plain\\n");'
HELLO = "int main(void) {" + TEXT + 'puts("hello"); }'


def exchange(connect, data):
    """What is answered to DATA until the server closes or is silent."""
    answer = b""
    with connect() as sock:
        try:
            sock.sendall(data)
            sock.settimeout(QUIET_S)
            while part := sock.recv(65536):
                answer += part
        except OSError:
            pass  # silent, or closed before it was all sent
    return answer


def send_all(connect, hostile):
    def one(request):
        wrong = judge(request, exchange(connect, request.data))
        return f"{request.data[:300]!r}: {wrong}" if wrong else None

    with concurrent.futures.ThreadPoolExecutor(40) as pool:
        return [line for line in pool.map(one, hostile) if line]


def test_port_of_functions(shared_node):
    deploy_c(shared_node, "hello", HELLO, http_trigger("/kept/kept"))
    address = urllib.parse.urlparse(shared_node.http_url)
    place = Place(address.netloc, "A", "secret", "kept", "s", "l", "w", "u")

    def connect():
        return socket.create_connection((address.hostname, address.port), timeout=30)

    hostile = [request for family in (malformed_http, mutated, smuggling, pipelined)
               for request in family(place, random.Random(SEED))]
    # Who asks rightly for what is there gets it.
    allowed = REFUSALS | DONE | {502}
    for request in hostile:
        request.statuses = allowed if request.family != "smuggling" else REFUSALS
    fds, pid, cells = fd_count(shared_node), shared_node.edged_pid(), shared_node.cell_pids()
    assert not (wrong := send_all(connect, hostile)), "\n".join(wrong)
    assert requests.get(f"{shared_node.http_url}/kept/kept", timeout=30).text == "hello\n"
    wait_for(lambda: fd_count(shared_node) <= fds + 4, "descriptors to be given back")
    assert (shared_node.edged_pid(), shared_node.cell_pids()) == (pid, cells)


def processor_ticks(node):
    with open(f"/proc/{node.edged_pid()}/stat") as file:
        return sum(int(field) for field in file.read().rpartition(")")[2].split()[11:13])


def test_endless_extension_of_a_chunk(shared_node):
    """Longer than any buffer: neither the loop nor a processor is kept by it."""
    address = urllib.parse.urlparse(shared_node.http_url)
    socks = []
    try:
        for _ in range(5):
            socks.append(socket.create_connection((address.hostname, address.port)))
            socks[-1].setblocking(False)
            socks[-1].send(b"PUT /kept/k HTTP/1.1\r\nHost: x\r\n"
                           b"Transfer-Encoding: chunked\r\n\r\n1;" + b"e" * 100000)
        answer = requests.get(f"{shared_node.http_url}/healthz", timeout=10)
        assert answer.status_code == 200
        before = processor_ticks(shared_node)
        time.sleep(1)
        # Of a hundred a second.
        assert processor_ticks(shared_node) - before < 12
    finally:
        for sock in socks:
            sock.close()


@pytest.mark.parametrize("extra", [b"", b"\0" * 100, b"GET", b"GET / HTTP/1.1\r\n\r\n"])
def test_half_a_request_behind_good_ones(shared_node, extra):
    """Plain requests are answered by one part of the server, the rest is another's."""
    deploy_c(shared_node, "hello", HELLO, http_trigger("/kept/kept"))
    address = urllib.parse.urlparse(shared_node.http_url)
    good = f"GET /kept/kept HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode()
    with socket.create_connection((address.hostname, address.port), timeout=60) as sock:
        sock.sendall(good * 50 + extra)
        answer = b""
        while answer.count(b"\r\n\r\nhello\n") < 50:
            assert (part := sock.recv(65536)), answer[-500:]
            answer += part
    assert answer.count(b"HTTP/1.1 200") == 50


def control_requests(random):
    """To every route of the control API: bad names, bad queries, bad documents."""
    names = ("", "..", "%2e%2e", "%00", "%ff", "%", "a%2fb", "x" * 9000, ".functions", ".multipart",
             "%1b%5b31m", "NoName", "%22", "é", "Verify?x", "a_b")
    for collection in ("functions", "buckets", "objects", "store", "tenants", "status", "find", "x",
                       "../x", "metrics"):
        for name in names:
            for rest in ("", "/settings", "/keys", "/quota", "/logs", "/" + "k" * 2000, "/%ff",
                         "/../../x"):
                method = random.choice(("GET", "PUT", "POST", "DELETE", "HEAD", "PATCH"))
                yield method, f"/api/v1/{collection}/{name}{rest}", b""
    for query in ("quota-bytes=-1", "quota-bytes=%ff", "quota-objects=1e99", "access-key=%00",
                  "quota-bytes=99999999999999999999", "&" * 3000, "=", "quota-bytes"):
        for path in ("tenants/none/quota", "tenants/none/keys", "tenants/Bad%20name"):
            yield "POST", f"/api/v1/{path}?{query}", b""
            yield "PUT", f"/api/v1/{path}?{query}", b""
    documents = [b"", b"{", b"[" * 90000, b'{"a":' * 9000, b"null", b"[]", b"7", b'"x"', b"\0" * 50,
                 b"\xff\xfe", b'{"limit":-1}', b'{"limit":1e99}', b'{"limit":99999999999}',
                 b'{"terms":7}', b'{"terms":[7]}', b'{"terms":[{}]}', b'{"unknown":1}',
                 b'{"terms":[{"name":"x-amz-meta-","value":"x"}]}', b'{"bucket":".functions"}',
                 b'{"since":"never"}', b'{"since":"99999-01-01T00:00:00Z"}', b'{"bucket":[]}',
                 json.dumps({"terms": [{"name": "tag:a", "op": "~", "value": "b"}] * 65}).encode(),
                 b'{"versioning":"maybe"}', b'{"quota_bytes":-1}', b'{"tenant":"none"}',
                 b'{"compressed":"perhaps"}', b'{"a":1,"a":1}', b"x" * 300000,
                 b'{"bucket":"\\ud800"}', b'{"bucket":"a\\u0000b"}', random.randbytes(3000)]
    for document in documents:
        yield "POST", "/api/v1/find", document
        yield "PUT", "/api/v1/buckets/none/settings", document
        yield "PUT", "/api/v1/buckets/hostile-control/settings", document
        yield "PUT", "/api/v1/functions/bad%20name", document
        yield "POST", "/api/v1/functions/none", document


def test_control_socket(shared_node):
    node = shared_node
    node.cli("bucket", "create", "hostile-control")
    shown = (["bucket", "list"], ["tenant", "list"], ["bucket", "show", "hostile-control"],
             ["function", "list"])
    before = [node.cli_json(*args) for args in shown]

    def connect():
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(30)
        sock.connect(os.fspath(node.data_dir / "control.sock"))
        return sock

    hostile, place = [], Place("node", "A", "secret", "kept", "s", "l", "w", "u")
    for method, target, body in control_requests(random.Random(SEED)):
        head = (f"{method} {target} HTTP/1.1\r\nHost: node\r\nConnection: close\r\n"
                f"Content-Length: {len(body)}\r\n\r\n")
        hostile.append(Hostile("control", head.encode() + body, REFUSALS | DONE | {202},
                               method == "HEAD"))
    for family in (malformed_http, smuggling):
        hostile += family(place, random.Random(SEED))
    fds, pid = fd_count(node), node.edged_pid()
    assert not (wrong := send_all(connect, hostile)), "\n".join(wrong)
    wait_for(lambda: fd_count(node) <= fds + 4, "descriptors to be given back")
    assert node.edged_pid() == pid
    assert [node.cli_json(*args) for args in shown] == before
