"""TLS: certificates, clients, servers behind the data plane, and two functions for endpoints."""
import contextlib
import socket
import ssl
import subprocess
import threading

from edgeos_chains import connect

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
    (void)buf;
    (void)len;
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
        """(certificate, key) for the names localhost, *.edge.test and the address 127.0.0.1."""
        request, pem = self.folder / f"{name}.csr", self.folder / f"{name}.pem"
        extensions = self.folder / "extensions"
        extensions.write_text("subjectAltName=DNS:localhost,DNS:*.edge.test,IP:127.0.0.1\n")
        run("openssl", "req", "-newkey", *(args or ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]),
            "-nodes", "-keyout", self.folder / f"{name}.key", "-out", request, "-subj",
            f"/CN={common_name}")
        run("openssl", "x509", "-req", "-in", request, "-CA", self.pem, "-CAkey",
            self.folder / f"{self.name}.key", "-CAcreateserial", "-days", str(days), "-extfile",
            extensions, "-out", pem)
        return pem, self.folder / f"{name}.key"


def manifest(port, stage, certificate, more_tls="", rest="isolation: tenant\nidle: 0\n"):
    """The longest time for each piece: the machine may be slow."""
    return (f"endpoint: {{tcp: {port}, tls: {{certificate: {certificate[0]}, "
            f"key: {certificate[1]}{more_tls}}}}}\n{rest}limits: {{timeout: 1s}}\nstages: [{stage}]")


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


def is_cut(client):
    """Reads to the end of one of secure()'s: whether that came without a close_notify."""
    client.suppress_ragged_eofs = False
    try:
        while client.recv(1 << 16):
            pass
    except (ssl.SSLError, ConnectionError):
        return True
    return False


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


def talk_sealed(client, authority, text):
    """Sends TEXT, then a close_notify, and reads until the other side's: what Python's SSLSocket does
    not do."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    sealed = context_of(authority).wrap_bio(incoming, outgoing, server_hostname="localhost")

    def step(function, *args):
        while True:
            try:
                return function(*args)
            except ssl.SSLWantReadError:
                client.sendall(outgoing.read())
                data = client.recv(1 << 18)
                incoming.write(data) if data else incoming.write_eof()

    step(sealed.do_handshake)
    sealed.write(text)
    with contextlib.suppress(ssl.SSLWantReadError):
        sealed.unwrap()
    got = bytearray()
    with contextlib.suppress(ssl.SSLZeroReturnError):
        while part := step(sealed.read, 1 << 18):
            got += part
    return bytes(got)


class Upstream:
    """A server whose connections a function of the test serves, each on a thread."""

    def __init__(self, serve, address="127.0.0.1"):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.listening = socket.socket(family, socket.SOCK_STREAM)
        self.listening.bind((address, 0))
        self.listening.listen(64)
        self.port = self.listening.getsockname()[1]
        self.address = f"tcp:[{address}]:{self.port}" if ":" in address else f"tcp:{address}:{self.port}"
        self.serve, self.count, self.open = serve, 0, []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                client = self.listening.accept()[0]
                client.settimeout(60)
                self.count += 1
                self.open.append(client)
                threading.Thread(target=self.work, args=(client,), daemon=True).start()

    def work(self, client):
        with client, contextlib.suppress(OSError):
            self.serve(client)

    def kill(self):
        """It and its connections are gone, with a reset."""
        self.close()
        for client in self.open:
            with contextlib.suppress(OSError):
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                client.shutdown(socket.SHUT_RD)
                client.close()

    def close(self):
        with contextlib.suppress(OSError):
            self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
