"""TLS on endpoints for TCP, their ways out, and the reverse proxy of sdk/samples, with real clients:
openssl, curl and Python's ssl."""
import concurrent.futures
import contextlib
import http.client
import http.server
import json
import os
import random
import re
import socket
import ssl
import stat
import subprocess
import threading
import time

import edgeos_node
import pytest
from edgeos_chains import (
    CONFIG, apply, compile_packets, connect, plane_pids, receive_all, receive_exactly, remove_all,
    show, tcp_port, wait_for_plane, write,
)
from edgeos_node import wait_for

# Whatever comes goes on to the other side, ends too; or, with another word at its start, is obeyed.
RELAY = r"""
EDGEOS_PACKETS(9728)
EDGEOS_EXPORT(edgeos_init) void edgeos_init(void)
{
    if (edgeos_open_packets() < 0)
        abort();
}
EDGEOS_EXPORT(edgeos_packet) uint32_t edgeos_packet(void *buf, uint32_t len)
{
    return EDGEOS_FORWARD;
}
"""

# Answers by itself: says what it knows of its connections, and sends bytes of others.
TELLER = r"""
EDGEOS_PACKETS(9728)
static char last[64] = "none";
static char big[8000];
static int admin;
EDGEOS_EXPORT(edgeos_init) void edgeos_init(void)
{
    admin = edgeos_port("admin", 5);
    if (edgeos_open_packets() < 0)
        abort();
}
static void say(const char *text, int len)
{
    edgeos_packet_send(EDGEOS_PORT_CLIENT, edgeos_slot.info.peer, text, len);
}
static void say_info(const char *name, uint32_t what)
{
    char text[300], line[400];
    int32_t len = edgeos_stream_info(edgeos_slot.info.peer, what, text, 255);
    say(line, snprintf(line, sizeof(line), "%s=%d %.*s\n", name, len < 0 ? -1 : len,
                       len < 0 ? 0 : len, text));
}
EDGEOS_EXPORT(edgeos_packet) uint32_t edgeos_packet(void *buf, uint32_t len)
{
    const struct edgeos_packet *p = &edgeos_slot.info;
    char line[128];
    if (p->port != EDGEOS_PORT_CLIENT) {
        if (p->flags & EDGEOS_LAST)
            say(line, snprintf(line, sizeof(line), "end port=%u flags=%u\n", p->port,
                               p->flags & ~EDGEOS_CHECKSUM_GOOD));
        return p->flags & EDGEOS_LAST ? EDGEOS_DROP : EDGEOS_FORWARD;
    }
    if (p->flags & EDGEOS_LAST) {
        snprintf(last, sizeof(last), "last flags=%u", p->flags & ~EDGEOS_CHECKSUM_GOOD);
        return EDGEOS_DROP;
    }
    if (len >= 4 && memcmp(buf, "echo", 4) == 0)
        return EDGEOS_ANSWER;
    if (len >= 4 && memcmp(buf, "info", 4) == 0) {
        say_info("tls", EDGEOS_STREAM_TLS);
        say_info("name", EDGEOS_STREAM_SERVER_NAME);
        say_info("protocol", EDGEOS_STREAM_PROTOCOL);
        say_info("client", EDGEOS_STREAM_CLIENT);
        say(line, snprintf(line, sizeof(line), "none=%d\n",
                           edgeos_stream_info(p->peer, 9, line, 9)));
    }
    if (len >= 4 && memcmp(buf, "last", 4) == 0)
        say(line, snprintf(line, sizeof(line), "%s\n", last));
    if (len >= 4 && memcmp(buf, "blob", 4) == 0)
        for (int i = 0; i < 500; i++) {
            memset(big, 'a' + i % 26, sizeof(big));
            say(big, sizeof(big));
        }
    if (len >= 5 && memcmp(buf, "close", 5) == 0) {
        say("bye", 3);
        edgeos_stream_close(p->peer);
    }
    if (len >= 5 && memcmp(buf, "break", 5) == 0)
        edgeos_stream_shut(EDGEOS_PORT_CLIENT, p->peer, EDGEOS_SHUT_BREAK);
    if (len >= 5 && memcmp(buf, "shut ", 5) == 0) {
        int32_t n = edgeos_stream_shut(admin, p->peer, ((char *)buf)[5] - '0');
        say(line, snprintf(line, sizeof(line), "shut %d\n", n));
    }
    if (len >= 6 && memcmp(buf, "admin ", 6) == 0)
        edgeos_packet_send(admin, p->peer, (char *)buf + 6, len - 6);
    if (len >= 4 && memcmp(buf, "out ", 4) == 0) {
        edgeos_slot.info.address += 4;
        edgeos_slot.info.len -= 4;
        return EDGEOS_FORWARD;
    }
    if (len >= 4 && memcmp(buf, "else", 4) == 0)
        say(line, snprintf(line, sizeof(line), "%d %d\n", edgeos_packet_send(9, p->peer, "x", 1),
                           edgeos_packet_send(admin, p->peer + 1, "x", 1)));
    return EDGEOS_DROP;
}
"""


def run(*args, check=True, **options):
    result = subprocess.run([str(a) for a in args], capture_output=True, timeout=60, **options)
    assert not check or result.returncode == 0, result.stdout + result.stderr
    return result


class Authority:
    """A CA in a folder, and what it has signed."""

    def __init__(self, folder, name):
        self.folder = folder
        self.name = name
        self.make(name, "-x509", "-days", "2", "-addext", "basicConstraints=critical,CA:true",
                  "-subj", f"/CN={name}")
        self.pem = folder / f"{name}.pem"

    def make(self, name, *args):
        run("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", self.folder / f"{name}.key", "-out", self.folder / f"{name}.pem", *args)

    def sign(self, name, common_name="localhost", days=2, args=()):
        """(certificate, key) for the names localhost, *.test and the address 127.0.0.1."""
        request, pem = self.folder / f"{name}.csr", self.folder / f"{name}.pem"
        extensions = self.folder / "extensions"
        extensions.write_text("subjectAltName=DNS:localhost,DNS:*.test,IP:127.0.0.1\n")
        run("openssl", "req", "-newkey", *(args or ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]),
            "-nodes", "-keyout", self.folder / f"{name}.key", "-out", request, "-subj",
            f"/CN={common_name}")
        run("openssl", "x509", "-req", "-in", request, "-CA", self.pem, "-CAkey",
            self.folder / f"{self.name}.key", "-CAcreateserial", "-days", str(days), "-extfile",
            extensions, "-out", pem)
        return pem, self.folder / f"{name}.key"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    ca = Authority(tmp_path_factory.mktemp("ca"), "ca")
    ca.server = ca.sign("server")
    return ca


@pytest.fixture(scope="module")
def node(tmp_path_factory, authority):
    node = edgeos_node.Node(tmp_path_factory.mktemp("node"), CONFIG).start()
    try:
        wait_for_plane(node)
        yield node
        node.stop()
    finally:
        node.kill_group()
        node.keep_images()
    node.check_log()
    # Keys are nobody's business.
    for path in authority.folder.glob("*.key"):
        secret = "".join(path.read_text().splitlines()[1:-1])
        assert secret[:40] not in node.log() and "PRIVATE KEY" not in node.log()


@pytest.fixture(scope="module")
def teller():
    return compile_packets(TELLER)


@pytest.fixture(scope="module")
def relay():
    return compile_packets(RELAY)


def manifest(port, stage, certificate, more_tls="", rest="isolation: tenant\nidle: 0\n"):
    return (f"endpoint: {{tcp: {port}, tls: {{certificate: {certificate[0]}, "
            f"key: {certificate[1]}{more_tls}}}}}\n{rest}stages: [{stage}]")


@pytest.fixture
def told(node, teller, authority):
    """The port of a teller behind TLS."""
    port = tcp_port()
    apply(node, "told", manifest(port, teller, authority.server))
    yield port
    remove_all(node)


def context_of(authority, **options):
    context = ssl.create_default_context(cafile=authority.pem)
    for name, value in options.items():
        setattr(context, name, value)
    return context


@contextlib.contextmanager
def secure(port, authority, name="localhost", context=None, timeout_s=20, session=None):
    with connect(port, timeout_s=timeout_s) as plain:
        with (context or context_of(authority)).wrap_socket(
                plain, server_hostname=name, session=session) as client:
            yield client


def read_lines(client, count):
    text = b""
    while text.count(b"\n") < count:
        part = client.recv(4096)
        assert part, text
        text += part
    return text.decode().splitlines()


def ask(client, text, count=1):
    client.sendall(text)
    return read_lines(client, count)


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
