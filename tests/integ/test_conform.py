"""The WebAssembly instructions at their corners, against our own tests in the specification's
form."""
import pathlib
import re
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


def click(*options):
    """How many cases passed; none may fail."""
    result = subprocess.run(
        [ROOT / "tests/conform/click/run", "--build", BUILD, *options],
        capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    return int(re.fullmatch(r"(\d+) passed, 0 failed", result.stdout.splitlines()[-1])[1])


def test_click():
    """All natively; compiling each to an image takes seconds, so some of them as functions."""
    cases = len(list((ROOT / "tests/conform/click/cases").glob("*.in.pcap")))
    assert click("--native") == cases >= 7
    if not pathlib.Path(BUILD, "click_pcap_fwp").exists():
        pytest.skip("this build has no chains")
    for name in ("compound", "group", "rated", "two_ways"):
        assert click("--fwp", "--only", name) >= 1


def test_nat_sample():
    """The sample's configuration, natively: flows out, answers and errors back, nobody in."""
    result = subprocess.run(
        [ROOT / "sdk/samples/nat/nat_test.py", pathlib.Path(BUILD, "click_pcap")],
        capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
