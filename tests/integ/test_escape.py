"""Attempts to break out: each ends in a trap, an errno or one line of refusal, and the host goes
on. EDGEOS_LONG=1 makes the modules for the compiler and the calls with hostile arguments ten times
as many."""
import os
import pathlib
import re
import sys

import pytest
from edgeos_node import IS_SANITIZED, run_edgeos
from edgeos_wasm import compile_wat

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "escape"))

import modules  # noqa: E402

IS_LONG = os.environ.get("EDGEOS_LONG") == "1"
TRAPPED = 134


# These die in a host function, which does not know from where it was called.
ENDED_BY_THE_HOST = ("table.grow far", "recurse into the host")


@pytest.fixture(scope="module")
def cases():
    return compile_wat(modules.cases_module())


@pytest.mark.parametrize(
    "number", range(len(modules.CASES)), ids=[name for name, _, _ in modules.CASES]
)
def test_case(cases, number):
    name, _, trap = modules.CASES[number]
    result = run_edgeos("run", cases, number, check=False)
    if trap is None:
        assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    else:
        assert (result.returncode, result.stdout) == (TRAPPED, "")
        start = re.escape(f"edgeos: {cases}: trap: {trap} in ")
        if name in ENDED_BY_THE_HOST:
            start = start.removesuffix(re.escape(" in ")) + "(?: in )?"
        assert re.fullmatch(start + r"(\S+\+0x[0-9a-f]+)?\n", result.stderr), result.stderr
        assert name in ENDED_BY_THE_HOST or "+0x" in result.stderr


def test_wasi_with_hostile_arguments(tmp_path):
    """Whatever the pointers, what comes back is an errno: anything else traps in the module."""
    inside = tmp_path / "inside"
    inside.mkdir()
    # Memory full of "a" names these; the descriptors of what is opened are among the arguments.
    (inside / "a").write_text("data")
    (inside / "aaaa").mkdir()
    (inside / "aaaaa").symlink_to("../outside")
    (tmp_path / "outside").write_text("kept")
    module = compile_wat(modules.wasi_module(5000 if IS_LONG else 500))
    result = run_edgeos("run", "--dir", f"{inside}::/", module, check=False, timeout_s=300)
    assert result.returncode == 0, result.stderr
    assert sorted(os.listdir(tmp_path)) == ["inside", "outside"]
    assert (tmp_path / "outside").read_text() == "kept"


@pytest.mark.parametrize("size", [10] if IS_LONG else [1])
@pytest.mark.parametrize("name", [name for name, _ in modules.pathological(1)])
def test_pathological_module(name, size):
    """It runs, or one line says why not."""
    module = compile_wat(dict(modules.pathological(size))[name])
    result = run_edgeos("run", "--timeout", "20s", module, check=False, timeout_s=400)
    assert result.stdout == ""
    if result.returncode == 0:
        assert result.stderr == ""
    else:
        assert result.returncode == 1, result
        assert re.fullmatch(r"edgeos: [^\n]+\n", result.stderr), result.stderr
    assert size > 1 or result.returncode == 0, result.stderr
