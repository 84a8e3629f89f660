"""TLS on endpoints for TCP, with real clients: openssl and Python's ssl; and hostile ones."""
import concurrent.futures
import contextlib
import os
import random
import socket
import ssl
import stat
import subprocess
import threading
import time

import edgeos_tls
import pytest
from edgeos_chains import (
    CONFIG, apply, connect, plane_pids, receive_all, receive_exactly, remove_all, show, tcp_port,
    wait_for_plane,
)
from edgeos_node import IS_SANITIZED, wait_for
from edgeos_tls import Authority, ask, context_of, manifest, run, secure, talk_sealed
from tls_fixtures import authority, node, teller, told  # noqa: F401


def counters(node, name="told"):
    return show(node, name)


# --- versions, names, protocols ---


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_versions(told, authority, version):
    context = context_of(authority, minimum_version=version, maximum_version=version)
    with secure(told, authority, context=context) as client:
        lines = ask(client, b"info", 5)
        name = version.name.replace("_", ".")
        assert lines == [f"tls=7 {name}", "name=9 localhost", "protocol=-1 ", "client=-1 ",
                         "none=-28"]
        client.sendall(b"echo" + b"x" * 5000)
        assert receive_exactly(client, 5004) == b"echo" + b"x" * 5000
        client.sendall(b"close")
        assert receive_all(client) == b"bye"


def test_old_versions_are_refused(node, told, authority):
    before = counters(node)["tls_failed"]
    result = run("openssl", "s_client", "-connect", f"127.0.0.1:{told}", "-tls1_1", "-cipher",
                 "ALL:@SECLEVEL=0", check=False, input=b"")
    assert result.returncode != 0 and b"Cipher is (NONE)" in result.stdout
    result = run("openssl", "s_client", "-connect", f"127.0.0.1:{told}", "-tls1_2", "-cipher",
                 "AES128-SHA", check=False, input=b"")
    assert result.returncode != 0
    wait_for(lambda: counters(node)["tls_failed"] == before + 2, "both to be counted")


def test_protocols(node, teller, authority):
    port = tcp_port()
    apply(node, "told", manifest(port, teller, authority.server, ", protocols: [teller/2, http/1.1]"))
    for offered, chosen in ((["http/1.1"], "http/1.1"), (["http/1.1", "teller/2"], "teller/2"),
                            ([], None)):
        context = context_of(authority)
        if offered:
            context.set_alpn_protocols(offered)
        with secure(port, authority, "www.edge.test", context) as client:
            assert client.selected_alpn_protocol() == chosen
            lines = ask(client, b"info", 5)
            assert lines[1] == "name=13 www.edge.test"
            assert lines[2] == f"protocol={len(chosen)} {chosen}" if chosen else "protocol=-1 "
    context = context_of(authority)
    context.set_alpn_protocols(["h2"])
    with pytest.raises(ssl.SSLError, match="(?i)no.application.protocol"), secure(
            port, authority, context=context):
        pass
    remove_all(node)


def test_resumption(node, told, authority):
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = context_of(authority, minimum_version=version, maximum_version=version)
        before = counters(node)
        session = None
        for i in range(3):
            with secure(told, authority, "www.edge.test", context, session=session) as client:
                client.sendall(b"echo")
                assert client.recv(4) == b"echo"
                assert client.session_reused == (i > 0)
                # TLS 1.3 has its ticket behind the handshake.
                session = client.session
                assert ask(client, b"info", 5)[1] == "name=13 www.edge.test"
        after = counters(node)
        assert after["tls_handshakes"] == before["tls_handshakes"] + 3
        assert after["tls_resumed"] == before["tls_resumed"] + 2


def test_client_certificates(node, teller, authority, tmp_path):
    other = Authority(tmp_path, "other")
    port = tcp_port()
    apply(node, "told", manifest(port, teller, authority.server, f", client_ca: {authority.pem}"))
    context = context_of(authority)
    context.load_cert_chain(*authority.sign("user", "Ada, of London"))
    with secure(port, authority, context=context) as client:
        assert ask(client, b"info", 5)[3] == r"client=18 CN=Ada\, of London"
        session = client.session
    # Resumed it is the same client.
    users = context
    with secure(port, authority, context=users, session=session) as client:
        assert client.session_reused
        assert ask(client, b"info", 5)[3] == r"client=18 CN=Ada\, of London"
    stranger = context_of(authority)
    stranger.load_cert_chain(*other.sign("stranger"))
    for context in (context_of(authority), stranger):
        with pytest.raises((ssl.SSLError, ConnectionError)), secure(
                port, authority, context=context) as client:
            client.sendall(b"echo")
            assert client.recv(4) == b""
            raise ConnectionError("ended")
    # Others' CA: who had a session has to show a certificate of theirs.
    apply(node, "told", manifest(port, teller, authority.server, f", client_ca: {other.pem}"))
    resumed = show(node, "told")["tls_resumed"]
    with pytest.raises((ssl.SSLError, ConnectionError)), secure(
            port, authority, context=users, session=session) as client:
        client.sendall(b"echo")
        assert client.recv(4) == b""
        raise ConnectionError("ended")
    assert show(node, "told")["tls_resumed"] == resumed
    context = context_of(authority)
    context.load_cert_chain(*other.sign("friend"))
    with secure(port, authority, context=context) as client:
        assert ask(client, b"info", 5)[3] == "client=12 CN=localhost"
    remove_all(node)


# --- the ends of connections ---


def test_ends(node, told, authority):
    """close_notify is the end, an end without it is a cut."""
    with secure(told, authority) as client:
        assert ask(client, b"last") == ["none"]
        client.sendall(b"blob")
        got = receive_exactly(client, 500 * 8000)
        assert got[:8000] == b"a" * 8000 and len(set(got)) == 26
    with secure(told, authority) as client:
        assert client.unwrap() is not None

    def last():
        with secure(told, authority) as client:
            return ask(client, b"last")[0]

    wait_for(lambda: last() == "last flags=6", "an orderly end, of a connection without bytes")
    with secure(told, authority) as client:
        client.sendall(b"echo")
        assert client.recv(4) == b"echo"
        client.shutdown(socket.SHUT_RDWR)
    wait_for(lambda: last() == "last flags=12", "a cut")


def test_half_closed(told, authority):
    """What was asked before a close_notify is answered."""
    with connect(told) as client:
        got = talk_sealed(client, authority, b"blob")
        assert len(got) == 500 * 8000 and got[-8000:] == b"f" * 8000


@pytest.mark.skipif(IS_SANITIZED, reason="a sanitizer keeps what was freed")
def test_silent_ones(node, told, authority):
    """Connections that took much, and are silent now, hold next to nothing."""
    def take(clients):
        client = clients.enter_context(secure(told, authority))
        client.sendall(b"blob")
        assert len(receive_exactly(client, 500 * 8000)) == 500 * 8000

    def resident():
        with open(f"/proc/{plane_pids(node)[1]}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    with contextlib.ExitStack() as clients:
        take(clients)
        before = resident()
        for _ in range(16):
            take(clients)
        grown = resident() - before
    assert grown < 24 << 20, f"{grown >> 20} MiB more"


def test_broken_off(told, authority):
    """No close_notify: nobody takes it for the end."""
    with secure(told, authority) as client:
        client.sendall(b"break")
        assert edgeos_tls.is_cut(client)
    with secure(told, authority) as client:
        client.sendall(b"close")
        assert not edgeos_tls.is_cut(client)


# --- what is no TLS ---


def test_plain_text(node, told, authority):
    before = counters(node)["tls_failed"]
    for text in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\n", b"\x16\x03\x01", bytes(5)):
        with connect(told) as client:
            client.sendall(text)
            client.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionResetError):
                assert len(receive_all(client)) < 100
    wait_for(lambda: counters(node)["tls_failed"] == before + 4, "their number")
    with secure(told, authority) as client:
        assert ask(client, b"last") == ["none"]


def client_hello(authority, name="localhost"):
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context_of(authority).wrap_bio(incoming, outgoing, server_hostname=name)
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_end_of_handshake(node, told, authority, version):
    """A close_notify before the handshake is done: the function does not hear of who was nobody."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = context_of(authority, maximum_version=version)
    sealed = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        sealed.do_handshake()
    with connect(told) as client:
        client.sendall(outgoing.read())
        assert client.recv(65536)
        client.sendall(b"\x15\x03\x03\x00\x02\x01\x00")
        wait_for(lambda: counters(node)["tls_failed"] == 1, "the handshake's failure")
    after = counters(node)
    assert after["stages"][0]["received"] == 0 and after["started"] == 0


def test_hostile_bytes(node, told, authority):
    """Beginnings of handshakes, changed ones, records of every length: the plane lives."""
    rng = random.Random(7)
    hello = client_hello(authority)
    worker = plane_pids(node)[1]
    for i in range(300):
        data = bytearray(hello)
        if i % 3 == 0:
            data = data[: rng.randrange(len(data))]
        elif i % 3 == 1:
            for _ in range(rng.randrange(1, 8)):
                data[rng.randrange(len(data))] = rng.randrange(256)
        else:
            data = rng.randbytes(rng.randrange(1, 3000))
        with connect(told) as client, contextlib.suppress(ConnectionError):
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
            receive_all(client)
    # Behind a good handshake: records that are not what they say.
    for i in range(60):
        with secure(told, authority) as client, contextlib.suppress(ConnectionError):
            with socket.socket(fileno=os.dup(client.fileno())) as raw:
                raw.settimeout(20)
                raw.sendall(b"\x17\x03\x03" + rng.randrange(20, 500).to_bytes(2, "big") +
                            rng.randbytes(600))
                receive_all(raw)
    assert plane_pids(node)[1] == worker
    with secure(told, authority) as client:
        client.sendall(b"echo")
        assert client.recv(4) == b"echo"


def test_too_long_a_handshake(told):
    """A handshake that does not end is cut off by its bytes."""
    with connect(told) as client, contextlib.suppress(ConnectionError):
        record = b"\x16\x03\x01\x40\x00" + b"\x01\x00\xff\xf0" + bytes(0x4000 - 4)
        for _ in range(200):
            client.sendall(record)
        assert len(receive_all(client)) < 100


def test_renegotiation(told, authority):
    process = subprocess.Popen(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{told}", "-CAfile", authority.pem, "-tls1_2"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    process.stdin.write(b"R\n")
    process.stdin.flush()
    out, _ = process.communicate(timeout=30)
    assert b"RENEGOTIATING" in out
    assert b"no renegotiation" in out, out
    with secure(told, authority) as client:
        client.sendall(b"echo")
        assert client.recv(4) == b"echo"


def test_slow_handshakes(make_node, teller, authority):
    """Those that do not come on are ended after their time, and do not keep others out."""
    node = make_node("plane: {streams: 40}\n")
    wait_for_plane(node)
    port = tcp_port()
    apply(node, "told", manifest(port, teller, authority.server))
    hello = client_hello(authority)
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(connect(port, timeout_s=60)) for _ in range(16)]
        for i, client in enumerate(slow):
            client.sendall(hello[: i * 10])
        # That is as many as one address may have under way.
        with connect(port) as refused, contextlib.suppress(ConnectionError):
            refused.sendall(hello)
            assert receive_all(refused) == b""
        wait_for(lambda: counters(node)["tls_refused"] == 1, "one too many")
        with connect(port, source="127.0.0.2") as plain, context_of(authority).wrap_socket(
                plain, server_hostname="localhost") as other:
            other.sendall(b"echo")
            assert other.recv(4) == b"echo"
        for client in slow:
            with contextlib.suppress(ConnectionError):
                assert receive_all(client) == b""
    assert counters(node)["tls_failed"] == 16
    with secure(port, authority) as client:
        client.sendall(b"echo")
        assert client.recv(4) == b"echo"


def test_many_at_once(node, told, authority):
    before = counters(node)["tls_handshakes"]
    text = b"echo" + bytes(range(256)) * 30

    def work(number):
        with secure(told, authority, timeout_s=60) as client:
            for _ in range(3):
                client.sendall(text)
                assert receive_exactly(client, len(text)) == text
            barrier.wait(60)

    barrier = threading.Barrier(200)
    with concurrent.futures.ThreadPoolExecutor(200) as pool:
        for result in [pool.submit(work, i) for i in range(200)]:
            result.result(90)
    assert counters(node)["tls_handshakes"] == before + 200


# --- files ---


def fails(result, *words):
    assert result.returncode == 1
    for word in words:
        assert word in result.stderr, result.stderr
    assert "PRIVATE" not in result.stderr and "MII" not in result.stderr


def test_bad_files(node, told, teller, authority, tmp_path):
    """Each mistake names the key and the file, and changes nothing."""
    pem, key = authority.server
    other_pem, other_key = authority.sign("another")
    port = tcp_port()

    def try_with(certificate=pem, key=key, more=""):
        return apply(node, "told", manifest(port, teller, (certificate, key), more), check=False)

    empty, garbage = tmp_path / "empty.pem", tmp_path / "garbage.pem"
    empty.write_text("")
    garbage.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    locked = tmp_path / "locked.key"
    run("openssl", "pkey", "-in", key, "-aes256", "-passout", "pass:secret", "-out", locked)
    weak = authority.sign("weak", args=["rsa:1024"])
    large = tmp_path / "large.pem"
    large.write_bytes(bytes(300 << 10))
    fails(try_with(key=other_key), f"tls: key: {other_key}: does not belong to the certificate")
    fails(try_with(key=pem), f"tls: key: {pem}: has no private key")
    fails(try_with(key=locked), f"tls: key: {locked}: is encrypted")
    fails(try_with(certificate=key), f"tls: certificate: {key}: has no certificate")
    fails(try_with(certificate=garbage), f"tls: certificate: {garbage}: has a damaged certificate")
    fails(try_with(certificate=empty), f"tls: certificate: {empty}: is empty")
    fails(try_with(*weak), f"tls: certificate: {weak[0]}: has a certificate that cannot be used")
    fails(try_with(more=f", client_ca: {key}"), f"tls: client_ca: {key}: has no certificate")
    fails(try_with(more=f", client_ca: {empty}"), f"tls: client_ca: {empty}: is empty")
    fails(try_with(key=tmp_path / "nothing"), "nothing: No such file", "tls: key")
    fails(try_with(key=large), "large.pem", "over the limit")
    # What was there serves on.
    with secure(told, authority) as client:
        client.sendall(b"echo")
        assert client.recv(4) == b"echo"
    assert show(node, "told")["version"] == 1


def test_bad_manifests(node, teller, authority):
    pem, key = authority.server
    for text, *words in (
            (f"endpoint: {{udp: 5, tls: {{certificate: {pem}, key: {key}}}}}", "tls: only with tcp"),
            (f"endpoint: {{tcp: 5, tls: {{key: {key}}}}}", ":2:", "tls: certificate"),
            (f"endpoint: {{tcp: 5, tls: {{certificate: {pem}, key: {key}, cert: x}}}}", "cert"),
            ("endpoint: {tcp: 5}\nout: tcp:example.com:80", ":3:", "names are not looked up"),
            ("endpoint: {tcp: 5}\nnext: {api: 'tcp:10.0.0.1'}", "api: not an address"),
            ("endpoint: {tcp: 5}\nnext: {api: wan}", "api: not an address")):
        fails(apply(node, "bad", f"{text}\nstages: [{teller}]", check=False), *words)


def test_expired(node, teller, authority):
    """Taken, with a word of warning: clients may not mind."""
    pem, key = authority.sign("expired", days=-1)
    port = tcp_port()
    apply(node, "told", manifest(port, teller, (pem, key)))
    wait_for(lambda: f'event=certificate_expired chain=told file="{pem}"' in node.log(), "a warning")
    assert show(node, "told")["tls_not_after"] < time.time()
    with pytest.raises(ssl.SSLCertVerificationError, match="expired"), secure(port, authority):
        pass
    remove_all(node)


def test_keys_stay_secret(node, told, authority):
    """On disk they are their owner's, and nobody is shown them."""
    folder = node.data_dir / "chains" / "told"
    assert {path.name for path in folder.glob("*.pem")} == {"certificate.pem", "key.pem"}
    for path in (folder / "key.pem", folder / "certificate.pem"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert (folder / "key.pem").read_bytes() == authority.server[1].read_bytes()
    secret = authority.server[1].read_text().splitlines()[1][:40]
    for words in (("chain", "show", "told"), ("chain", "list"), ("chain", "list", "--json"),
                  ("chain", "show", "told", "--json"), ("status", "--json")):
        text = node.cli(*words).stdout
        assert secret not in text and "PRIVATE" not in text


def fingerprint(port, authority):
    with secure(port, authority, timeout_s=60) as client:
        return client.getpeercert(binary_form=True)


def der_of(pem):
    return ssl.PEM_cert_to_DER_cert(pem.read_text())


def test_renewed_under_load(node, teller, authority):
    """Another certificate is for new connections; those that are open go on, as do instances."""
    port = tcp_port()
    pairs = [authority.server, authority.sign("renewed")]
    pem, key = authority.folder / "live.pem", authority.folder / "live.key"

    def put(pair):
        pem.write_bytes(pair[0].read_bytes())
        key.write_bytes(pair[1].read_bytes())
        apply(node, "told", manifest(port, teller, (pem, key)))

    put(pairs[0])
    stop = threading.Event()

    def load():
        served = 0
        while not stop.is_set():
            assert fingerprint(port, authority) in [der_of(pair[0]) for pair in pairs]
            served += 1
        return served

    with concurrent.futures.ThreadPoolExecutor(4) as pool, secure(port, authority) as client:
        loads = [pool.submit(load) for _ in range(4)]
        for i in range(1, 7):
            put(pairs[i % 2])
            assert fingerprint(port, authority) == der_of(pairs[i % 2][0])
            client.sendall(b"echo")
            assert client.recv(4) == b"echo"
        stop.set()
        assert all(load.result(60) > 0 for load in loads)
    assert show(node, "told")["version"] == 1
    # The same again is a new version, as always.
    apply(node, "told", manifest(port, teller, (pem, key)))
    assert show(node, "told")["version"] == 2
    remove_all(node)


def test_kept(make_node, teller, authority):
    """The files are there again after the data plane's, and the node's, restart."""
    node = make_node(CONFIG)
    wait_for_plane(node)
    port = tcp_port()
    apply(node, "told", manifest(port, teller, authority.server, f", client_ca: {authority.pem}"))
    context = context_of(authority)
    context.load_cert_chain(*authority.sign("keeper"))

    def is_served():
        with contextlib.suppress(OSError), secure(port, authority, context=context) as client:
            client.sendall(b"echo")
            return client.recv(4) == b"echo"

    assert is_served()
    os.kill(plane_pids(node)[1], 9)
    wait_for(is_served, "another worker")
    node.stop()
    node.start()
    wait_for_plane(node)
    wait_for(is_served, "the node")
