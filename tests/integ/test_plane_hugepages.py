"""The data plane's frames in hugepages, and what is said when there are too few."""
import contextlib
import pathlib

import pytest
from edgeos_chains import apply, plane_pids
from edgeos_net import Net, NetNode, ping, wait_for_ping
from edgeos_node import wait_for
from net_fixtures import HOST4, NEEDS, PORTS, WIRE, WIRE_CLICK, make_net, put

pytestmark = NEEDS
RESERVED = pathlib.Path("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages")
PAGES = 56  # of 2 MiB
LAN, WAN = "10.20.0.2", "10.20.0.3"


@contextlib.contextmanager
def reserved(pages):
    """So many more hugepages, if the kernel has the memory in one piece."""
    if not RESERVED.exists():
        pytest.skip("this kernel has no hugepages of 2 MiB")
    before = int(RESERVED.read_text())
    try:
        RESERVED.write_text(str(before + pages))
    except OSError as error:
        pytest.skip(f"hugepages cannot be reserved: {error}")
    try:
        if int(RESERVED.read_text()) < before + pages:
            pytest.skip("there is no memory for hugepages in one piece")
        yield
    finally:
        RESERVED.write_text(str(before))


def config(memory):
    return f"plane:\n  hugepages: true\n  memory: {memory}\n  frames: 2048\n{PORTS}"


def hugetlb_kib(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(status.split("HugetlbPages:")[1].split()[0])


def test_frames_lie_in_them(tmp_path):
    with reserved(PAGES), contextlib.contextmanager(make_net)(tmp_path, config("96MiB")) as net:
        worker = plane_pids(net.edge)[1]
        assert hugetlb_kib(worker) >= 16 << 10
        put(net.edge, "wire.click", WIRE_CLICK)
        apply(net.edge, "wire", WIRE)
        net.give("lan", f"{LAN}/16")
        net.give("wan", f"{WAN}/16")
        net.give("host", "10.29.0.2/16")
        wait_for_ping(net, "lan", WAN)
        assert ping(net, "lan", WAN, 5, "-s", "1400") == 5
        assert ping(net, "host", HOST4, 5) == 5
        assert plane_pids(net.edge)[1] == worker


def test_too_few(tmp_path):
    """The node says so, and does without its data plane."""
    with reserved(2):
        net = Net("edghuge", ["lan", "wan", "dmz", "host"])
        node = NetNode(net.node, tmp_path, config("1GiB"))
        try:
            node.start()
            wait_for(lambda: "plane" in node.log() and "DPDK" in node.log(), "the reason")
            result = node.cli("chain", "list", check=False)
            assert result.returncode != 0 and "DPDK" in result.stderr, result.stderr
            node.stop()
        finally:
            node.kill_group()
            net.remove()
