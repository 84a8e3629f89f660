"""Network namespaces around a node: its ports are veths, with clients on the other ends."""
import contextlib
import ctypes
import json
import os
import re
import socket
import struct
import subprocess
import threading
import time

from edgeos_node import Node, wait_for

LIMIT_S = 180  # far beyond what is expected: the machine may be slow, and busy with others


def run(*argv, check=True, timeout=LIMIT_S, **options):
    done = subprocess.run(argv, capture_output=True, text=True, timeout=timeout, **options)
    if check:
        assert done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"
    return done


def in_namespace(name, function, *args):
    """Runs FUNCTION in a thread that is in the network namespace NAME."""
    result = []

    def enter():
        try:
            enter_namespace(name)
            result.append((function(*args), None))
        except BaseException as error:  # handed to the caller, below
            result.append((None, error))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    value, error = result[0]
    if error is not None:
        raise error
    return value


def enter_namespace(name):
    """The calling thread is in it from now on; sockets stay where they were made."""
    with open(f"/run/netns/{name}", "rb") as namespace:
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.setns(namespace.fileno(), 0) == 0, os.strerror(ctypes.get_errno())


class Net:
    """A namespace for the node, in which each of PORTS is a veth, and one for each of them, in
    which it is called eth0."""

    def __init__(self, prefix, ports):
        self.node = f"{prefix}node"
        self.prefix = prefix
        self.ports = ports
        self.made = []
        try:
            self._make()
        except BaseException:
            self.remove()
            raise

    def _make(self):
        self._add(self.node)
        for port in self.ports:
            self._add(self.of(port))
            run("ip", "-n", self.node, "link", "add", port, "type", "veth", "peer", "name", "eth0",
                "netns", self.of(port))
            # The node's end is the data plane's alone: the kernel says nothing on it.
            run("ip", "-n", self.node, "link", "set", port, "addrgenmode", "none")
            run("ip", "-n", self.node, "link", "set", port, "up")
            run("ip", "-n", self.of(port), "link", "set", "eth0", "addrgenmode", "none")
            run("ip", "-n", self.of(port), "link", "set", "eth0", "up")
            # The kernel leaves checksums to a device that has none.
            self.client(port, "ethtool", "-K", "eth0", "tx", "off", "gro", "off")
            # Who is asked for his address has a minute for the answer, not three seconds.
            self.client(port, "sysctl", "-q", "-w",
                        *(f"net.ipv{v}.neigh.eth0.{kind}_solicit=60" for v in (4, 6)
                          for kind in ("mcast", "ucast")))

    def _add(self, name):
        run("ip", "netns", "add", name)
        self.made.append(name)
        run("ip", "-n", name, "link", "set", "lo", "up")

    def of(self, port):
        """The name of the namespace on PORT's other end."""
        return f"{self.prefix}{port}"

    def give(self, port, *addresses):
        for address in addresses:
            family = ["-6"] if ":" in address else []
            options = ["nodad"] if ":" in address else []
            run("ip", "-n", self.of(port), *family, "addr", "replace", address, "dev", "eth0",
                *options)

    def flush(self, port):
        for family in ("-4", "-6"):
            run("ip", "-n", self.of(port), family, "addr", "flush", "dev", "eth0")
        run("ip", "-n", self.of(port), "neigh", "flush", "all")

    def client(self, port, *argv, **options):
        """Runs a program on PORT's other end."""
        return run("ip", "netns", "exec", self.of(port), *argv, **options)

    def spawn(self, port, *argv, **options):
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, **options}
        return subprocess.Popen(["ip", "netns", "exec", self.of(port), *argv], **options)

    def within(self, port, function, *args):
        return in_namespace(self.of(port), function, *args)

    def mac(self, port):
        return self.within(port, read_mac, "eth0")

    def remove(self):
        for name in self.made:
            subprocess.run(["ip", "netns", "del", name], check=False)


def read_mac(interface):
    with open(f"/proc/self/task/{threading.get_native_id()}/net/dev") as devices:
        assert f"{interface}:" in devices.read()
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
        raw.bind((interface, 0))
        return raw.getsockname()[4]


class NetNode(Node):
    """A node in a network namespace."""

    def __init__(self, namespace, folder, config):
        super().__init__(folder, config)
        self.command_prefix = ["ip", "netns", "exec", namespace]


@contextlib.contextmanager
def running(process):
    """Ends PROCESS afterwards."""
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(LIMIT_S)
        if process.stdout is not None:
            process.stdout.close()


def ping(net, port, address, count=3, *options, limit_s=60):
    """How many of the first COUNT echo requests were answered, each sent when the one before was, or
    some time after it; for the options see ping -h. With a count alone ping would not wait for what
    takes twice as long as the others."""
    done = net.client(port, "ping", "-A", "-n", "-c", str(count), "-w", str(limit_s), *options,
                      address, check=False)
    return count_answered(done.stdout, count)


def count_answered(text, count):
    """How many of the first COUNT requests were, as ping says in TEXT."""
    answered = set(map(int, re.findall(r"icmp_seq=(\d+) ttl=", text)))
    return len(answered & set(range(1, count + 1)))


def wait_for_ping(net, port, address, what="an answer", *options):
    wait_for(lambda: ping(net, port, address, 1, *options, limit_s=5) == 1, what)


def busy_share(pids, window_s=0.5):
    """The share of a processor that PIDS use, of the time in which they had not to wait for one: so
    who spins has 1, whoever else is on the machine."""

    def read():
        times = {}
        for pid in pids:
            for task in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{task}/schedstat") as stat:
                    times[task] = [int(word) / 1e9 for word in stat.read().split()[:2]]
        return times

    before, begin = read(), time.monotonic()
    time.sleep(window_s)
    after, elapsed_s = read(), time.monotonic() - begin
    share = 0
    for task in after.keys() & before.keys():
        ran_s, waited_s = (b - a for a, b in zip(before[task], after[task]))
        share += ran_s / max(elapsed_s - waited_s, ran_s, 1e-9)
    return share


def wait_for_rest(pids, share_max, window_s=0.5):
    """Waits until PIDS do next to nothing, as they have done what was to be done. Their share."""
    shares = []

    def is_resting():
        shares.append(busy_share(pids, window_s))
        return shares[-1] < share_max

    wait_for(is_resting, "rest")
    return shares[-1]


def udp_client(address, timeout_s=LIMIT_S, source=None):
    """A socket of the namespace that the caller is in."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    client = socket.socket(family, socket.SOCK_DGRAM)
    client.settimeout(timeout_s)
    if source:
        client.bind((source, 0))
    client.connect(address)
    return client


def ask(client, payload):
    """The answer to a datagram, which may get lost if CLIENT waits for less than LIMIT_S."""
    end = time.monotonic() + LIMIT_S
    while time.monotonic() < end:
        client.send(payload)
        try:
            return client.recv(65536)
        except TimeoutError:
            continue
    raise AssertionError(f"no answer to {payload!r}")


def ask_same(client, payload):
    """Asks until PAYLOAD comes back; what comes late is no other's answer."""
    end = time.monotonic() + LIMIT_S
    while time.monotonic() < end:
        client.send(payload)
        try:
            while client.recv(65536) != payload:
                pass
            return
        except TimeoutError:
            continue
    raise AssertionError(f"{payload!r} did not come back")


def checksum(data):
    """The Internet's checksum."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def udp_frame(target_mac, source_mac, source, target, ports, payload):
    """A frame with a UDP datagram from SOURCE to TARGET (IPv4 addresses as bytes)."""
    length = 8 + len(payload)
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + length, 1, 0, 64, 17, 0, source, target)
    ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
    # Without a checksum, which UDP may leave out.
    udp = struct.pack("!HHHH", *ports, length, 0)
    return target_mac + source_mac + b"\x08\0" + ip + udp + payload


@contextlib.contextmanager
def in_background(function, *args, end=None):
    """A thread, which is waited for after END, an event, was set. What it raises is raised here."""
    errors = []

    def work():
        try:
            function(*args)
        except BaseException as error:  # told below
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield thread
    finally:
        if end is not None:
            end.set()
        thread.join()
    assert not errors, errors


def iperf3(net, client_port, server_port, address, *options):
    """What iperf3 says as JSON, between the namespaces of two ports."""
    with running(net.spawn(server_port, "iperf3", "-s", "-1", "--forceflush")) as server:
        line = ""
        while "listening" not in line:
            line = server.stdout.readline()
            assert line, "iperf3 does not listen"
        done = net.client(client_port, "iperf3", "-c", address, "-J", *options)
        server.communicate(timeout=LIMIT_S)
    return json.loads(done.stdout)
