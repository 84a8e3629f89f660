"""Fixtures of the tests with TLS: a node with a data plane, a CA, and toys."""
import pytest
from edgeos_chains import apply, compile_packets, plane_node, remove_all, tcp_port
from edgeos_tls import RELAY, TELLER, Authority, manifest


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    ca = Authority(tmp_path_factory.mktemp("ca"), "ca")
    ca.server = ca.sign("server")
    return ca


@pytest.fixture(scope="module")
def node(tmp_path_factory, authority):
    with plane_node(tmp_path_factory.mktemp("node")) as node:
        yield node
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


@pytest.fixture
def told(node, teller, authority):
    """The port of a teller behind TLS."""
    port = tcp_port()
    apply(node, "told", manifest(port, teller, authority.server))
    yield port
    remove_all(node)
