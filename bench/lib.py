"""What the benches in Python share: a node, servers to compare with, and the form of the results
(the same as bench/report.h)."""
import json
import os
import pathlib
import platform
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = pathlib.Path(os.path.realpath(__file__)).parent
BUSY_PERCENT = 10
CLK_TCK = os.sysconf("SC_CLK_TCK")


def find_edgeos():
    """The `edgeos` this bench belongs to: of the build folder, or the installed one."""
    for path in (HERE.parent / "edgeos", HERE.parent.parent.parent / "bin" / "edgeos"):
        if path.exists():
            return path
    fail("no edgeos beside the benches: run make")


def fail(text):
    print(f"bench: {text}", file=sys.stderr)
    sys.exit(1)


def is_quick():
    """A run that shows that a bench works, and measures nothing: as bench/bench.h says."""
    return os.environ.get("BENCH_QUICK") == "1"


def two_cores():
    """Two processors that we may use: for the clients, and for what is measured (the last one, as
    interrupts often go to the first)."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        fail("needs two processors")
    return cores[0], cores[-1]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_url(url, timeout_s=30):
    """The time.monotonic() at which URL first answered."""
    end = time.monotonic() + timeout_s
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                answer.read()
            return time.monotonic()
        except OSError as error:
            if time.monotonic() > end:
                fail(f"{url}: {error}")
            time.sleep(0.001)


def wait_for_port(port, timeout_s=30):
    end = time.monotonic() + timeout_s
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError as error:
            if time.monotonic() > end:
                fail(f"port {port}: {error}")
            time.sleep(0.001)


def wait_for_plane(node, timeout_s=60):
    """Until the node's data plane takes chains."""
    end = time.monotonic() + timeout_s
    while True:
        result = node.run_cli("chain", "list")
        if result.returncode == 0:
            return
        if time.monotonic() > end:
            fail(f"the data plane does not start: {result.stderr}")
        time.sleep(0.05)


def metrics(url):
    """The node's counters by name."""
    with urllib.request.urlopen(url + "/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return {
        name: float(value)
        for name, _, value in (line.rpartition(" ") for line in lines if not line.startswith("#"))
    }


def pids_below(pid):
    children = {}
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        children.setdefault(parent, []).append(int(stat.parent.name))
    found, todo = [], [pid]
    while todo:
        below = children.get(todo.pop(), [])
        found += below
        todo += below
    return found


def pss_kib(pid):
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.search(r"^Pss:\s+(\d+) kB", text, re.M).group(1))


class Server:
    """A process in its own group, ended with the bench."""

    def __init__(self, argv, **options):
        self.process = subprocess.Popen(
            [str(word) for word in argv],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            **options,
        )

    def stop(self):
        try:
            os.killpg(self.process.pid, signal.SIGTERM)
        except ProcessLookupError:
            pass
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            pass
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class Node(Server):
    """A node in FOLDER, with ports of its own; ready_s is how long it took to serve. PREFIX are the
    words of a command that starts it elsewhere, as in another network: ready_s is None then."""

    def __init__(self, folder, config="", prefix=()):
        self.edgeos = find_edgeos()
        self.data = pathlib.Path(folder) / "data"
        self.log = open(pathlib.Path(folder) / "log", "ab")
        file = pathlib.Path(folder) / "edgeos.yaml"
        listen = 's3: {listen: "127.0.0.1:0"}\nfunctions: {listen: "127.0.0.1:0"}\n'
        file.write_text(listen + config)
        start = time.monotonic()
        super().__init__(
            [*prefix, self.edgeos, "up", "-c", file, "--data", self.data],
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
        )
        self.s3_url = self.http_url = None
        for line in self.process.stdout:
            word, _, rest = line.strip().partition(" ")
            if word == "S3":
                self.s3_url = rest.strip()
            elif word == "functions":
                self.http_url = rest.strip()
            elif word == "ready":
                break
        else:
            self.stop()
            fail(f"the node did not start; its log: {(pathlib.Path(folder) / 'log').read_text()}")
        self.ready_s = None if prefix else wait_for_url(self.http_url + "/readyz") - start

    def run_cli(self, *args):
        return subprocess.run(
            [str(self.edgeos), *map(str, args)],
            capture_output=True,
            text=True,
            env={**os.environ, "EDGEOS_DATA": str(self.data)},
        )

    def cli(self, *args):
        result = self.run_cli(*args)
        if result.returncode:
            self.stop()
            fail(f"edgeos {' '.join(map(str, args))}: {result.stderr}")
        return result.stdout

    def pids(self):
        return [self.process.pid, *pids_below(self.process.pid)]


class Wire:
    """Two network namespaces, the node's and its clients', and WIRES veths between: port0 … in the
    first, eth0 … in the second. The first has the addresses SERVER and CLIENT at its ends."""

    def __init__(self, server, client, wires=1):
        self.names = [f"edgeos-bench{os.getpid()}{end}" for end in ("n", "c")]
        self.exec_node, self.exec_client = (["ip", "netns", "exec", name] for name in self.names)
        try:
            for name in self.names:
                self.ip("netns", "add", name)
                self.ip("-n", name, "link", "set", "lo", "up")
            for i in range(wires):
                self.add_veth(f"port{i}", f"eth{i}")
            for name, interface, address in zip(self.names, ("port0", "eth0"), (server, client)):
                self.ip("-n", name, "addr", "add", f"{address}/24", "dev", interface)
        except BaseException:
            self.__exit__()
            raise

    @staticmethod
    def ip(*words):
        result = subprocess.run(["ip", *words], capture_output=True, text=True)
        if result.returncode:
            fail(f"ip {' '.join(words)}: {result.stderr}")

    def add_veth(self, port, interface):
        ours, theirs = self.names
        self.ip("-n", ours, "link", "add", port, "type", "veth", "peer", "name", interface, "netns",
                theirs)
        for name, end in ((ours, port), (theirs, interface)):
            self.ip("-n", name, "link", "set", end, "addrgenmode", "none")
            self.ip("-n", name, "link", "set", end, "up")
        # The kernel leaves checksums to a device that has none.
        subprocess.run([*self.exec_client, "ethtool", "-K", interface, "tx", "off"], check=True,
                       stdout=subprocess.DEVNULL)

    def detach_xdp(self, port):
        """Takes away what a data plane that has ended left on PORT: it had no right to."""
        self.ip("-n", self.names[0], "link", "set", port, "xdp", "off")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for name in self.names:
            subprocess.run(["ip", "netns", "del", name], stderr=subprocess.DEVNULL)


def why_no_ports():
    """Why this machine cannot have a data plane with ports on interfaces; None: it can."""
    if not (HERE / "frame_load").exists():
        return "was built without DPDK"
    if os.geteuid() != 0:
        return "needs root, for interfaces and namespaces"
    missing = [word for word in ("ip", "ethtool") if not shutil.which(word)]
    return f"{missing[0]} is missing: tools/deps bench" if missing else None


def ask_echo(prefix, core, address, port, ports, size, count):
    """What udp_echo's client says, run on CORE by the words of PREFIX."""
    argv = [*prefix, HERE / "udp_echo", "ask", address, port, ports, size, count]
    result = subprocess.run(list(map(str, argv)), capture_output=True, text=True,
                            preexec_fn=lambda: os.sched_setaffinity(0, {core}))
    if result.returncode:
        fail(f"udp_echo: {result.stderr}")
    return json.loads(result.stdout)


class Report:
    def __init__(self, bench):
        self.bench = bench
        self.rows = []
        self.ratios = []

    def row(self, name, unit, samples=None, **values):
        """Times by SAMPLES (p50, p99, n), or VALUES as they are."""
        row = {"name": name, "unit": unit}
        if samples:
            ordered = sorted(samples)
            row.update(
                n=len(ordered),
                p50=statistics.median_low(ordered),
                p99=ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)],
            )
        row.update(values)
        self.rows.append(row)

    def skipped(self, name, why):
        self.rows.append({"name": name, "skipped": why})

    def ratio(self, name, value, must=None):
        """VALUE must be at least MUST, if there is a MUST."""
        ratio = {"name": name, "value": round(value, 4)}
        if must is not None:
            ratio["must"] = must
        self.ratios.append({**ratio, "ok": must is None or value >= must})

    def value(self, name, value, must):
        """A value, not a ratio: it must be at most MUST."""
        self.ratios.append({"name": name, "value": round(value, 4), "must": must, "ok": value <= must})

    @staticmethod
    def machine():
        cpu = platform.machine()
        for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                cpu = line.partition(":")[2].strip()
                break
        return {"cpu": cpu, "cores": os.cpu_count(), "kernel": platform.release()}

    def finish(self, as_json):
        """Prints everything and ends the program: 0 when every ratio is as it must be, or when
        nothing was measured."""
        if as_json:
            document = {
                "bench": self.bench,
                "machine": self.machine(),
                "rows": self.rows,
                "ratios": self.ratios,
            }
            print(json.dumps(document))
        else:
            for row in self.rows:
                if "skipped" in row:
                    print(f"{row['name']:<28} skipped: {row['skipped']}")
                    continue
                values = [f"{k} {v}" for k, v in row.items() if k not in ("name", "unit")]
                print(f"{row['name']:<28} {', '.join(values)} {row['unit']}")
            for ratio in self.ratios:
                verdict = ""
                if "must" in ratio:
                    verdict = f"must {ratio['must']}: {'ok' if ratio['ok'] else 'NOT REACHED'}"
                print(f"{ratio['name']:<40} {ratio['value']:10.3f}   {verdict}")
        sys.exit(0 if is_quick() or all(ratio["ok"] for ratio in self.ratios) else 1)


def warn_if_busy(name):
    """Who reads the figures should know that they are those of a busy machine (as bench/bench.c)."""
    try:
        some = pathlib.Path("/proc/pressure/cpu").read_text().split("avg10=")[1].split()[0]
    except (OSError, IndexError):
        return  # not on every kernel
    if float(some) > BUSY_PERCENT:
        print(f"bench {name}: other programs wait for this machine's processors {float(some):.0f} % of "
              "the time: the figures are not to be relied on", file=sys.stderr)


def arguments(name):
    """Whether the result is to be JSON; ends the program on anything else."""
    # Who ends us ends what we have started, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    if sys.argv[1:] not in ([], ["--json"]):
        print(f"bench {name}: wrong use; expected: {name} [--json]", file=sys.stderr)
        sys.exit(2)
    warn_if_busy(name)
    return "--json" in sys.argv


def temporary_folder():
    return tempfile.TemporaryDirectory(prefix="edgeos-bench-")
