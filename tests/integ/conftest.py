"""Fixtures: nodes, compiled modules, samples."""
import pathlib
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))

import edgeos_node  # noqa: E402
import edgeos_wasm  # noqa: E402

DATA = pathlib.Path(__file__).resolve().parent.parent / "data" / "node_modules" / "vega-datasets"


def pytest_report_header(config):
    return f"edgeos: {edgeos_node.EDGEOS}"


def finish(node):
    """Stops what a test left running and looks at the log."""
    try:
        if node.process is not None:
            node.stop()
    finally:
        node.kill_group()
        node.keep_images()
    node.check_log()


@pytest.fixture
def make_node(tmp_path):
    """make_node() starts a node; several are fine."""
    nodes = []

    def make(config="", environment=None, is_seeded=True, s3_config=""):
        node = edgeos_node.Node(tmp_path / f"node{len(nodes)}", config, environment, is_seeded,
                                s3_config)
        nodes.append(node)
        return node.start()

    yield make
    for node in nodes:
        finish(node)


@pytest.fixture
def node(make_node):
    """A fresh node for one test, which may kill and restart it."""
    return make_node()


@pytest.fixture(scope="module")
def shared_node(tmp_path_factory):
    """One node for all tests of a file, which leave it running."""
    node = edgeos_node.Node(tmp_path_factory.mktemp("node")).start()
    yield node
    finish(node)


@pytest.fixture(scope="session")
def samples():
    """The folder of the compiled samples."""
    return edgeos_wasm.build_samples()


@pytest.fixture(scope="session")
def sample_dir():
    """The folder of the samples' sources and manifests; their modules are compiled."""
    edgeos_wasm.build_samples()
    return edgeos_node.ROOT / "sdk" / "samples"


@pytest.fixture(scope="session")
def weather():
    """Real measurements: a folder of CSV files."""
    folder = DATA / "data"
    assert folder.is_dir(), "tests/data is empty: tools/deps data"
    return folder


@pytest.fixture(scope="session", autouse=True)
def built():
    """Without a built edgeos every test would fail in its own words."""
    if not edgeos_node.EDGEOS.exists():
        pytest.exit(f"{edgeos_node.EDGEOS} is not there: run make", returncode=2)
    subprocess.run([edgeos_node.EDGEOS, "version"], check=True, capture_output=True)
