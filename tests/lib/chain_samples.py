"""The samples of packet functions in chains: their manifests, what left by the word of tcpdump,
frames made by hand, servers."""
import contextlib
import socket
import struct
import threading
from types import SimpleNamespace

from edgeos_chains import show
from edgeos_net import checksum, running
from edgeos_node import ROOT, wait_for

SAMPLES = ROOT / "sdk" / "samples"
FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32
ICMP, TCP, UDP = 1, 6, 17
SO_RCVBUFFORCE = 33  # of Linux; Python has no name for it


def apply_sample(node, sample, *changes, file="manifest.yaml"):
    """Applies a sample's manifest as it is in the tree, but for CHANGES: pairs (old, new) of its
    text, each of which is there."""
    path = SAMPLES / sample / file
    if changes:
        text = path.read_text()
        for old, new in changes:
            assert old in text, f"{path} has no {old!r}"
            text = text.replace(old, new)
        text = text.replace("../../../build/samples", str(ROOT / "build" / "samples"))
        path = node.folder / f"{sample}.yaml"
        path.write_text(text)
    node.cli("chain", "apply", path)


def counters_of(node, chain, stage=0):
    return show(node, chain)["stages"][stage]["counters"]


# --- what passes by ---


def read_pcap(path):
    """The frames in a file that may still be written to."""
    data = path.read_bytes() if path.exists() else b""
    frames, at = [], 24
    while at + 16 <= len(data):
        (length,) = struct.unpack_from("<I", data, at + 8)
        if at + 16 + length > len(data):
            break
        frames.append(data[at + 16 : at + 16 + length])
        at += 16 + length
    return frames


class Capture:
    """What tcpdump has seen on PORT's other end."""

    def __init__(self, path):
        self.path = path

    def packets(self):
        return [parse(frame) for frame in read_pcap(self.path)]

    def wait_for(self, condition, what):
        """The first packet for which CONDITION is true. What came before it has been seen."""
        return wait_for(lambda: next(filter(condition, self.packets()), None), what)


@contextlib.contextmanager
def capture(net, port, folder, *words):
    path = folder / f"{port}.pcap"
    path.unlink(missing_ok=True)
    tcpdump = net.spawn(port, "tcpdump", "-n", "-U", "--immediate-mode", "-B", "16384", "-i",
                        "eth0", "-Z", "root", "-w", str(path), *words)
    with running(tcpdump):
        line = ""
        while "listening" not in line:
            line = tcpdump.stdout.readline()
            assert line, "tcpdump does not listen"
        yield Capture(path)


def parse(frame):
    """What is in a frame; whole, as the kernel's or the samples' are."""
    packet = SimpleNamespace(
        frame=frame, target_mac=frame[:6], source_mac=frame[6:12], proto=None, source=None,
        target=None, ports=None, flags=None, seq=None, payload=b"",
        type=struct.unpack_from("!H", frame, 12)[0])
    if packet.type != 0x0800:
        return packet
    header = (frame[14] & 15) * 4
    end = 14 + struct.unpack_from("!H", frame, 16)[0]
    packet.proto = frame[23]
    packet.source, packet.target = (socket.inet_ntoa(frame[at : at + 4]) for at in (26, 30))
    at = 14 + header
    if packet.proto == TCP:
        packet.ports = struct.unpack_from("!HH", frame, at)
        packet.seq, packet.flags = struct.unpack_from("!I", frame, at + 4)[0], frame[at + 13]
        at += (frame[at + 12] >> 4) * 4
    elif packet.proto == UDP:
        packet.ports = struct.unpack_from("!HH", frame, at)
        at += 8
    packet.payload = frame[at:end]
    return packet


# --- frames by hand ---


def ip_frame(macs, source, target, proto, body):
    """MACS: target's and source's."""
    source, target = socket.inet_aton(source), socket.inet_aton(target)
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(body), 7, 0, 64, proto, 0, source, target)
    head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
    return b"".join(macs) + b"\x08\0" + head + body


def _with_pseudo(source, target, proto, body):
    addresses = socket.inet_aton(source) + socket.inet_aton(target)
    return addresses + struct.pack("!BBH", 0, proto, len(body)) + body


def tcp_frame(macs, source, target, ports, flags, seq=0, ack=0, payload=b""):
    body = struct.pack("!HHIIBBHHH", *ports, seq, ack, 0x50, flags, 65535, 0, 0) + payload
    total = checksum(_with_pseudo(source, target, TCP, body))
    body = body[:16] + struct.pack("!H", total) + body[18:]
    return ip_frame(macs, source, target, TCP, body)


def icmp_frame(macs, source, target, kind, code, rest, data):
    body = struct.pack("!BBH", kind, code, 0) + rest + data
    body = body[:2] + struct.pack("!H", checksum(body)) + body[4:]
    return ip_frame(macs, source, target, ICMP, body)


def send_frames(net, port, *frames):
    """From PORT's other end."""

    def send():
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
            raw.bind(("eth0", 0))
            for frame in frames:
                raw.send(frame)

    net.within(port, send)


# --- servers and clients ---


class Server:
    """In a thread: SERVE(socket) until the end; datagrams, or connections, of one address."""

    def __init__(self, net, port, address, kind):
        self.seen = []  # (source, data)
        self._is_over = threading.Event()
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.socket = net.within(port, socket.socket, family, kind)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Bytes are counted: none are to be lost here.
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)
        self.socket.bind(address)
        self.socket.settimeout(0.05)
        self._threads = []

    def is_over(self):
        return self._is_over.is_set()

    def start(self, function, *args):
        thread = threading.Thread(target=function, args=args)
        self._threads.append(thread)
        thread.start()

    def stop(self):
        self._is_over.set()
        for thread in self._threads:
            thread.join()
        self.socket.close()


@contextlib.contextmanager
def udp_server(net, port, address, answer=lambda data, source: data):
    """ANSWER(data, source) is what is sent back; None: nothing is."""
    server = Server(net, port, address, socket.SOCK_DGRAM)

    def serve():
        while not server.is_over():
            with contextlib.suppress(TimeoutError, ConnectionRefusedError):
                data, source = server.socket.recvfrom(65536)
                server.seen.append((source, data))
                made = answer(data, source)
                if made is not None:
                    server.socket.sendto(made, source)

    server.start(serve)
    try:
        yield server
    finally:
        server.stop()


@contextlib.contextmanager
def tcp_server(net, port, address, answer=lambda data, connection: data):
    """As udp_server(), for each piece that comes by a connection."""
    server = Server(net, port, address, socket.SOCK_STREAM)

    def serve(connection, source):
        connection.settimeout(0.05)
        with connection:
            while not server.is_over():
                try:
                    data = connection.recv(65536)
                    if not data:
                        return
                    server.seen.append((source, data))
                    connection.sendall(answer(data, connection))
                except TimeoutError:
                    continue
                except OSError:
                    return

    def accept():
        server.socket.listen(256)
        while not server.is_over():
            with contextlib.suppress(TimeoutError):
                server.start(serve, *server.socket.accept())

    server.start(accept)
    try:
        yield server
    finally:
        server.stop()


def tcp_client(net, port, address, source=None, timeout_s=10):
    """A connection; SOURCE: address and port number of its own."""

    def connect():
        client = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.settimeout(timeout_s)
        try:
            if source is not None:
                client.bind(source)
            client.connect(address)
        except OSError:
            client.close()
            raise
        return client

    return net.within(port, connect)


def say(client, data):
    """What is answered to DATA, at once."""
    client.sendall(data)
    return client.recv(65536)
