"""The reverse proxy of sdk/samples, with curl and Python's clients before it, and Python's HTTP server
behind it."""
import concurrent.futures
import hashlib
import http.client
import http.server
import os
import random
import re
import socket
import threading

import pytest
from edgeos_chains import (
    apply, connect, receive_all, remove_all, show, tcp_port,
)
from edgeos_node import ROOT, wait_for
from edgeos_tls import Upstream, context_of, is_cut, run, secure
from tls_fixtures import authority, node  # noqa: F401


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def body(self):
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            assert self.rfile.readline() == b"\r\n"
        assert self.rfile.readline() == b"\r\n"
        return b"".join(parts)

    def answer(self, body, **headers):
        self.send_response(200)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def chunks(self, body):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for at in range(0, len(body), 70001):
            part = body[at : at + 70001]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
        self.wfile.write(b"0\r\n\r\n")

    def until_end(self, body):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def do_GET(self):
        self.server.requests.append((self.client_address, self.path, dict(self.headers)))
        body = self.body()
        path = self.path.partition("?")[0]
        if path.endswith("/large"):
            self.answer(large())
        elif path.endswith("/chunked"):
            self.chunks(large())
        elif path.endswith("/ends"):
            self.until_end(large())
        elif path.endswith("/sum"):
            self.answer(hashlib.sha256(body).hexdigest().encode(), X_Length=len(body))
        elif path.endswith("/back"):
            self.chunks(body)
        elif path.endswith("/cut"):
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"part")
            self.close_connection = True
        elif path.endswith("/hang"):
            self.server.release.wait(60)
            self.close_connection = True
        else:
            self.answer(f"{self.server.name} {self.path}".encode())

    do_POST = do_PUT = do_HEAD = do_GET


def large():
    return random.Random(5).randbytes(5_000_000)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, name):
        super().__init__(("127.0.0.1", 0), Handler)
        self.name, self.requests, self.release = name, [], threading.Event()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def target(self):
        return f"tcp:127.0.0.1:{self.server_port}"


@pytest.fixture(scope="module")
def servers():
    all_of_them = {name: Server(name) for name in ("web", "api")}
    yield all_of_them
    for server in all_of_them.values():
        server.release.set()
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def proxy(node, servers, samples, authority):
    port, nobody = tcp_port(), tcp_port()
    routes = ("localhost/api api; localhost/nobody nobody; localhost out; www.edge.test api; "
              "127.0.0.1 out")
    apply(node, "proxy", f"""
endpoint:
  tcp: {port}
  tls: {{certificate: {authority.server[0]}, key: {authority.server[1]}, protocols: [http/1.1, http/1.0]}}
isolation: client
idle: 0
limits: {{timeout: 1s}}
stages: [{{image: {samples}/tlsproxy.wasm, config: {{routes: "{routes}", timeout: 2s}}}}]
out: {servers["web"].target}
next: {{api: "{servers["api"].target}", nobody: "tcp:127.0.0.1:{nobody}"}}""")
    yield port
    remove_all(node)


@pytest.fixture
def curl(proxy, authority):
    def call(path, *args, host="localhost", check=True):
        return run("curl", "-sS", "--cacert", authority.pem, "--resolve", f"{host}:{proxy}:127.0.0.1",
                   *args, f"https://{host}:{proxy}{path}", check=check)

    return call


def test_routes(curl, servers):
    assert curl("/").stdout == b"web /"
    assert curl("/api/x?y=z").stdout == b"api /api/x?y=z"
    assert curl("/apix").stdout == b"web /apix"
    assert curl("/", host="www.edge.test").stdout == b"api /"
    assert b"404 Not Found" in curl("/", "-i", host="other.edge.test").stdout
    # By TLS one name, by HTTP another.
    assert b"421 " in curl("/", "-i", "-H", "Host: www.edge.test").stdout
    _, _, headers = servers["web"].requests[-1]
    assert headers["X-Forwarded-For"] == "127.0.0.1" and headers["X-Forwarded-Proto"] == "https"


@pytest.mark.parametrize("args", [["--http1.1"], ["--http1.0"], ["--tls-max", "1.2"],
                                  ["--tlsv1.3"], ["--http2"]])
def test_bodies(curl, tmp_path, args):
    """Both ways, in each frame, byte by byte the same."""
    data = large()
    (tmp_path / "data").write_bytes(data)
    for path in ("/large", "/chunked", "/ends"):
        assert curl(path, *args).stdout == data, path
    digest = hashlib.sha256(data).hexdigest().encode()
    for more in ([], ["-H", "Expect:"]):
        assert curl("/sum", *args, *more, "--data-binary", f"@{tmp_path}/data").stdout == digest
    if "--http1.0" not in args:
        chunked = ["-H", "Transfer-Encoding: chunked", "--data-binary", f"@{tmp_path}/data"]
        assert curl("/sum", *args, *chunked).stdout == digest
    assert curl("/back", *args, "--data-binary", f"@{tmp_path}/data").stdout == data
    assert curl("/large", *args, "-I").stdout.count(b"Content-Length: 5000000") == 1


def client_of(proxy, authority, host="localhost"):
    client = http.client.HTTPSConnection("127.0.0.1", proxy, timeout=30)
    client.sock = context_of(authority).wrap_socket(connect(proxy, timeout_s=30), server_hostname=host)
    return client


def test_kept_alive(proxy, authority, servers):
    """Many requests on one connection, to both servers, which see one connection each."""
    client = client_of(proxy, authority)
    before = {name: len(server.requests) for name, server in servers.items()}
    for i in range(40):
        path = ("/", "/api")[i % 2] + f"?{i}"
        body = os.urandom(i * 500)
        client.request("POST", path, body, {"Host": f"localhost:{proxy}"})
        response = client.getresponse()
        assert response.read().decode().endswith(path) and not response.will_close
    client.close()
    for name, server in servers.items():
        requests = server.requests[before[name]:]
        assert len(requests) == 20 and len({address for address, _, _ in requests}) == 1


def test_pipelined(proxy, authority):
    with secure(proxy, authority) as client:
        client.sendall(b"".join(b"GET /%d HTTP/1.1\r\nHost: localhost\r\n\r\n" % i for i in range(50)) +
                       b"GET /end HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        text = receive_all(client)
    bodies = re.findall(rb"\r\n\r\nweb /(.*?)(?=HTTP/1|$)", text)
    assert bodies == [b"%d" % i for i in range(50)] + [b"end"]


def test_half_closed(node, samples, servers):
    """What was asked before a client closed his side is answered, all of it."""
    port = tcp_port()
    apply(node, "plain", f"""
endpoint: {{tcp: {port}}}
stages: [{{image: {samples}/tlsproxy.wasm, config: {{routes: "* out"}}}}]
out: {servers["web"].target}""")
    with connect(port) as client:
        client.sendall(b"".join(b"GET /%d HTTP/1.1\r\nHost: localhost\r\n\r\n" % i for i in range(20)))
        client.shutdown(socket.SHUT_WR)
        text = receive_all(client)
    assert re.findall(rb"\r\n\r\nweb /(.*?)(?=HTTP/1|$)", text) == [b"%d" % i for i in range(20)]
    assert text.count(b"Connection: close") == 1
    node.cli("chain", "rm", "plain")


def send_raw(proxy, authority, text):
    with secure(proxy, authority) as client:
        client.sendall(text)
        return receive_all(client)


def test_smuggling(proxy, authority, servers):
    """What could be two things is refused, and no server sees any of it."""
    before = [len(server.requests) for server in servers.values()]
    smuggled = b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"
    for head in (b"Content-Length: 4\r\nTransfer-Encoding: chunked", b"Transfer-Encoding: x",
                 b"Content-Length: 0\r\nContent-Length: 4", b"Content-Length: 4, 4",
                 b"Transfer-Encoding : chunked", b"X: y\r\n Transfer-Encoding: chunked",
                 b"Transfer-Encoding: chunked\nX: y", b"Transfer-Encoding: \x0bchunked",
                 b"Content_Length: 4", b"Transfer_Encoding: chunked", b"Host: localhost:x",
                 b"X: " + b"y" * 20000):
        text = b"POST / HTTP/1.1\r\nHost: localhost\r\n" + head + b"\r\n\r\n0\r\n\r\n" + smuggled
        answer = send_raw(proxy, authority, text)
        assert answer[9:12] in (b"400", b"431", b"501"), answer
        assert answer.count(b"HTTP/1.1") == 1
    assert [len(server.requests) for server in servers.values()] == before


def apply_raw(node, samples, authority, name, server):
    """Before one server, whose connections the test serves."""
    port = tcp_port()
    apply(node, name, f"""
endpoint: {{tcp: {port}, tls: {{certificate: {authority.server[0]}, key: {authority.server[1]}}}}}
idle: 0
limits: {{timeout: 1s}}
stages: [{{image: {samples}/tlsproxy.wasm, config: {{routes: "* out"}}}}]
out: {server.address}""")
    return port


def test_bad_body(node, samples, authority):
    """A body that goes wrong in its middle: the server has nothing of it as another request."""
    seen = []

    def serve(client):
        at = len(seen)
        seen.append(b"")
        while data := client.recv(65536):
            seen[at] += data

    with Upstream(serve) as server:
        port = apply_raw(node, samples, authority, "body", server)
        head = b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        smuggled = b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"
        for count, end in enumerate((b"x", b"1 1\r\n", b"0\r\n\n"), 1):
            with secure(port, authority) as client:
                client.sendall(head)
                wait_for(lambda count=count: seen[count - 1 :] and seen[-1], "the head")
                client.sendall(b"%x\r\n%s\r\n" % (len(smuggled), smuggled) + end)
                answer = receive_all(client)
            assert answer.startswith(b"HTTP/1.1 400 "), answer
        # One that comes behind them shows that there were no others.
        with secure(port, authority) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            wait_for(lambda: seen[-1].startswith(b"GET / "), "the last")
        assert all(data.startswith((b"POST / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\n")) for data in seen), seen
        assert len(seen) == 4
    node.cli("chain", "rm", "body")


def test_hostile_name(node, samples, authority):
    """TLS carries any bytes as a name: none of them gets to the server as a line of its own."""
    seen = []

    def serve(client):
        seen.append(client.recv(65536))
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi")

    with Upstream(serve) as server:
        port = apply_raw(node, samples, authority, "name", server)
        for name, status in (("evil\r\nX-Evil: 1", b"421"), ("a b", b"421"), ("localhost", b"200")):
            done = run("openssl", "s_client", "-quiet", "-connect", f"127.0.0.1:{port}", "-servername",
                       name, check=False, input=b"GET / HTTP/1.0\r\n\r\n")
            assert done.stdout[9:12] == status, (done, seen)
        assert len(seen) == 1 and b"\r\nHost: localhost\r\n" in seen[0]
    node.cli("chain", "rm", "name")


def test_failures(node, proxy, curl, authority, servers):
    assert b"502 Bad Gateway" in curl("/nobody", "-i").stdout
    assert b"504 Gateway Timeout" in curl("/hang", "-i").stdout
    # What is cut off is not made whole.
    cut = curl("/cut", check=False)
    assert cut.returncode != 0 and cut.stdout == b"part"
    stages = show(node, "proxy")["stages"][0]["counters"]
    assert stages["timeouts"] >= 1 and stages["bad_gateway"] >= 1 and stages["cut"] >= 1
    with secure(proxy, authority) as client:
        client.sendall(b"GET / HT")
        assert b"408 Request Timeout" in receive_all(client)


def test_server_killed(node, samples, authority):
    """In the middle of answers, and while nothing is asked."""

    def serve(client):
        request = client.recv(65536)
        while request:
            if b"/stream" in request:
                client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + bytes(1000))
                has_sent.set()
                client.recv(1)
                return
            client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
            request = client.recv(65536)

    has_sent = threading.Event()
    with Upstream(serve) as server:
        port = apply_raw(node, samples, authority, "killed", server)
        with secure(port, authority) as idle, secure(port, authority) as client:
            for one in (idle, client):
                one.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert one.recv(100).startswith(b"HTTP/1.1 200")
            client.sendall(b"GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert has_sent.wait(20)
            # A reset takes what was not read yet: then there is no answer to cut off.
            assert client.recv(100).startswith(b"HTTP/1.1 200")
            server.kill()
            assert is_cut(client)
            idle.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert b"502 Bad Gateway" in receive_all(idle)
    node.cli("chain", "rm", "killed")


def test_many_clients(node, proxy, authority):
    """Each address has an instance; all are served at once."""
    def work(number):
        source = f"127.0.1.{number % 20 + 1}"
        with connect(proxy, source=source, timeout_s=60) as plain, context_of(authority).wrap_socket(
                plain, server_hostname="localhost") as client:
            for i in range(5):
                text = os.urandom(2000).hex().encode()
                client.sendall(b"POST /back HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" %
                               len(text) + text)
                got = b""
                while not got.endswith(b"\r\n0\r\n\r\n"):
                    part = client.recv(65536)
                    assert part, got
                    got += part
                assert text in got

    with concurrent.futures.ThreadPoolExecutor(40) as pool:
        for result in [pool.submit(work, i) for i in range(120)]:
            result.result(120)
    assert show(node, "proxy")["chains"] >= 20


def test_bad_routes(node, samples, authority):
    result = apply(node, "bad", f"""
endpoint: {{tcp: {tcp_port()}}}
stages: [{{image: {samples}/tlsproxy.wasm, config: {{routes: "* nowhere"}}}}]""", check=False)
    assert result.returncode == 1
    wait_for(lambda: "routes: the manifest has no such way out: nowhere" in node.log(), "the reason")


def test_manifest(authority, tmp_path, node, samples):
    """The sample's own manifest, with PEM files beside it."""
    folder = ROOT / "sdk" / "samples" / "tlsproxy"
    text = (folder / "manifest.yaml").read_text().replace("../../../build/samples", str(samples))
    port = tcp_port()
    text = text.replace("tcp: 8443", f"tcp: {port}")
    (tmp_path / "manifest.yaml").write_text(text)
    (tmp_path / "server.pem").write_bytes(authority.server[0].read_bytes())
    (tmp_path / "server.key").write_bytes(authority.server[1].read_bytes())
    node.cli("chain", "apply", tmp_path / "manifest.yaml")
    with secure(port, authority) as client:
        assert client.version() == "TLSv1.3"
    node.cli("chain", "rm", "tlsproxy")
