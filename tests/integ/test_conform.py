"""The WebAssembly instructions at their corners, against our own tests in the specification's
form."""
import pathlib
import re
import struct
import subprocess

import pytest
from edgeos_node import BUILD, ROOT


def test_wasm():
    result = subprocess.run(
        [ROOT / "tests/conform/wasm/run", "--edgeos-build", BUILD],
        capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    total = re.fullmatch(r"(\d+) passed, 0 failed, (\d+) skipped", result.stdout.splitlines()[-1])
    assert int(total[1]) > 300
    # The one module of cases/refused.wast that wants another's memory.
    assert int(total[2]) == 1, result.stdout


needs_click = pytest.mark.skipif(
    not pathlib.Path(BUILD, "click_pcap").exists(), reason="this build has no Click"
)


def click(*options):
    """How many cases passed; none may fail."""
    result = subprocess.run(
        [ROOT / "tests/conform/click/run", "--build", BUILD, *options],
        capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    return int(re.fullmatch(r"(\d+) passed, 0 failed", result.stdout.splitlines()[-1])[1])


@needs_click
def test_click():
    """All natively, and as functions in one module that has all classes; to compile a module of
    each takes seconds, so some of them."""
    cases = len(list((ROOT / "tests/conform/click/cases").glob("*.in.pcap")))
    assert click("--native") == cases >= 7
    if not pathlib.Path(BUILD, "click_pcap_fwp").exists():
        pytest.skip("this build has no chains")
    assert click("--fwp") == cases
    for name in ("BandwidthShaper", "compound", "group", "rated", "two_ways"):
        assert click("--fwp", "--each", "--only", name) >= 1


def read_ports(path):
    """The UDP source ports of frames in a pcap file of bare IP packets."""
    data = path.read_bytes()
    ports, at = [], 24
    while at < len(data):
        (length,) = struct.unpack_from("<I", data, at + 8)
        ports.append(struct.unpack_from(">H", data, at + 16 + 20)[0])
        at += 16 + length
    return ports


def test_click_random_ports(tmp_path):
    """A NAT's ports differ from instance to instance, and do not follow each other."""
    program = pathlib.Path(BUILD, "click_pcap_fwp")
    if not program.exists():
        pytest.skip("this build has no chains")
    config, sent = tmp_path / "nat.click", tmp_path / "in.pcap"
    config.write_text(
        "FromDevice(0) -> MarkIPHeader(0)\n"
        "-> IPRewriter(pattern 1.0.0.1 1024-65535? - - 0 0) -> ToDevice(1);\n"
    )
    pcap = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101)
    for port in range(5000, 5020):
        packet = bytes.fromhex("4500001c00000000401100000a0000010a000002")
        packet += struct.pack(">HHHH", port, 53, 8, 0)
        pcap += struct.pack("<IIII", 1, 0, len(packet), len(packet)) + packet
    sent.write_bytes(pcap)
    runs = []
    for name in ("1.pcap", "2.pcap"):
        subprocess.run([program, config, tmp_path / name, sent], check=True, timeout=300)
        runs.append(read_ports(tmp_path / name))
        assert len(runs[-1]) == len(set(runs[-1])) == 20
        assert min(runs[-1]) >= 1024
    assert runs[0] != runs[1]
    assert len({b - a for a, b in zip(runs[0], runs[0][1:])}) > 5


@needs_click
def test_nat_sample():
    """The sample's configuration, natively: flows out, answers and errors back, nobody in."""
    result = subprocess.run(
        [ROOT / "sdk/samples/nat/nat_test.py", pathlib.Path(BUILD, "click_pcap")],
        capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
