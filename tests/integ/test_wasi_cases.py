"""The WASI programs of tests/conform/wasi/cases through `edgeos run`, one test a program."""
import pathlib
import subprocess

import pytest
from edgeos_node import BUILD, ROOT

CONFORM = ROOT / "tests" / "conform" / "wasi"
CASES = sorted(p.stem for p in (CONFORM / "cases").iterdir() if p.suffix in (".wasm", ".wat", ".c"))


@pytest.mark.parametrize("name", CASES)
def test_case(name):
    result = subprocess.run(
        [CONFORM / "run", "--edgeos", pathlib.Path(BUILD) / "edgeos", "--only", name],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.endswith("1 passed, 0 failed, 0 skipped\n")
