"""One node with ports for a file of tests; as root only."""
import os

import pytest
from edgeos_chains import CORES, remove_all, wait_for_plane
from edgeos_net import Net, NetNode
from edgeos_node import BUILD

NEEDS = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for interfaces and namespaces"),
    pytest.mark.skipif(not (BUILD / "src" / "nic" / "nic_echo").exists(),
                       reason="was built without DPDK"),
]
HOST_MAC = "02:00:00:00:99:01"
HOST4, HOST6 = "10.29.0.1", "fd29::1"
PORTS = f"""
  ports:
    lan: {{device: "af_packet:lan"}}
    wan: {{device: "af_packet:wan"}}
    dmz: {{device: "af_packet:dmz"}}
    host: {{device: "af_packet:host", mac: "{HOST_MAC}", addresses: [{HOST4}/16, "{HOST6}/64"]}}
"""
MANY = f"plane:\n  memory: 128MiB\n  frames: 8192\n  cores: {CORES}\n"
# Both ways; the kernel's programs do not see that there is something between.
WIRE_CLICK = """
lan :: FromDevice(lan); wan :: FromDevice(wan); up :: Counter; down :: Counter;
lan -> up -> ToDevice(wan); wan -> down -> ToDevice(lan);
"""
WIRE = ("match: {port: lan, proto: any}\nisolation: tenant\nidle: 0\nout: wan\n"
        "stages: [wire.click]")


def make_net(folder, config):
    """A node whose ports have namespaces around them; a generator, for fixtures."""
    net = Net(f"edg{os.getpid()}", ["lan", "wan", "dmz", "host"])
    node = None
    try:
        node = NetNode(net.node, folder, config)
        node.start()
        wait_for_plane(node)
        net.edge = node
        yield net
        node.stop()
    finally:
        if node is not None:
            node.kill_group()
        net.remove()
    node.keep_images()
    node.check_log()


@pytest.fixture(scope="module")
def module_net(request, tmp_path_factory):
    config = getattr(request.module, "CONFIG", MANY + PORTS)
    yield from make_net(tmp_path_factory.mktemp("node"), config)


@pytest.fixture
def net(module_net):
    """Without chains and the clients' addresses."""
    yield module_net
    code = module_net.edge.process.poll()
    assert code is None, f"the node has ended with {code}: {module_net.edge.log()[-2000:]}"
    for port in module_net.ports:
        module_net.flush(port)
    remove_all(module_net.edge)


@pytest.fixture
def node(net):
    return net.edge


def put(node, name, text):
    """A file that manifests can name."""
    (node.folder / name).write_text(text)
