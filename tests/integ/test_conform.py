"""The WebAssembly instructions at their corners, against our own tests in the specification's
form."""
import re
import subprocess

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


def test_click():
    result = subprocess.run(
        [ROOT / "tests/conform/click/run", "--build", BUILD],
        capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    total = re.fullmatch(r"(\d+) passed, 0 failed", result.stdout.splitlines()[-1])
    cases = len(list((ROOT / "tests/conform/click/cases").glob("*.click")))
    assert int(total[1]) >= cases >= 7
