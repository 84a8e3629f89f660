"""Attempts to break out: each ends in a trap, an errno or one line of refusal, and the host goes
on. EDGEOS_LONG=1 makes the modules for the compiler and the calls with hostile arguments ten times
as many; EDGEOS_SPARSE=1 leaves two of three hostile modules out."""
import concurrent.futures
import os
import pathlib
import re
import sys
import time

import pytest
import requests
from edgeos_functions import deploy_c, http_trigger
from edgeos_node import IS_SANITIZED, run_edgeos
from edgeos_wasm import compile_wat

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "escape"))

import guests  # noqa: E402
import modules  # noqa: E402

IS_LONG = os.environ.get("EDGEOS_LONG") == "1"
SPARSE = 3 if os.environ.get("EDGEOS_SPARSE") else 1
TRAPPED = 134
TIMED_OUT = 124
# C0, DEL and C1: what a terminal obeys.
COMMANDS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")

# These die in a host function, which does not know from where it was called.
ENDED_BY_THE_HOST = ("table.grow far", "recurse into the host", "recurse, growing memory")


@pytest.fixture(scope="module")
def cases():
    return compile_wat(modules.cases_module())


@pytest.mark.parametrize(
    "number",
    range(0, len(modules.CASES), SPARSE),
    ids=[name for name, _, _ in modules.CASES[::SPARSE]],
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


@pytest.mark.parametrize("name", modules.ENDLESS)
def test_endless(cases, name):
    """The processor is taken from it wherever it is, and its time ends."""
    number = len(modules.CASES) + list(modules.ENDLESS).index(name)
    begin = time.monotonic()
    result = run_edgeos("run", "--timeout", "150ms", cases, number, check=False)
    assert (result.returncode, result.stdout) == (TIMED_OUT, ""), result.stderr
    assert re.fullmatch(r"edgeos: [^\n]*timed out[^\n]*\n", result.stderr), result.stderr
    assert time.monotonic() - begin < (60 if IS_SANITIZED else 15)


def test_wasi_at_the_edges_of_memory(tmp_path):
    """The exit code is the number of a call that had another error than it must have."""
    module = compile_wat(guests.edges_module())
    result = run_edgeos("run", "--dir", f"{tmp_path}::/", module, check=False)
    calls = list(guests.exact_calls())
    assert result.returncode != TRAPPED, result.stderr
    assert result.returncode == 0, calls[result.returncode - 1]
    assert os.listdir(tmp_path) == []


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


# Names


def one_line(result):
    assert re.fullmatch(r"edgeos: [^\n]+\n", result.stderr), result.stderr
    assert not COMMANDS.search(result.stderr), result.stderr
    return result.stderr


def test_exports_with_any_name():
    assert run_edgeos("run", compile_wat(guests.evil_exports())).stdout == ""


@pytest.mark.parametrize("place", ["module", "name", "both"])
def test_imports_with_any_name(place):
    """One line says that there is no such function, and commands no terminal."""
    name = "".join(guests.EVIL)
    module = compile_wat(
        guests.evil_import(
            name if place != "name" else "wasi_snapshot_preview1",
            name if place != "module" else "fd_write",
        )
    )
    result = run_edgeos("run", module, check=False)
    assert result.returncode == 1 and "does not offer" in one_line(result)


@pytest.mark.parametrize("kind", ["text", "long", "bytes"])
def test_functions_with_any_name(tmp_path, kind):
    """Names of the name section are for people: a trap's line holds one, or none."""
    names = {
        "text": [name.encode() for name in guests.EVIL],
        "long": [bytes([0x61 + i % 26]) * 70_000 for i in range(len(guests.EVIL))],
        "bytes": [bytes(range(i, 256)) for i in range(len(guests.EVIL))],
    }[kind]
    module = tmp_path / "module.wasm"
    module.write_bytes(guests.with_names(compile_wat(guests.trap_in_each()).read_bytes(), names))
    result = run_edgeos("run", module, check=False)
    assert result.returncode in (1, TRAPPED)
    assert len(one_line(result)) < 1000


# In a node


def deploy_wat(node, name, text, limits=""):
    path = pathlib.Path(node.folder) / f"{name}.yaml"
    path.write_text(
        f"function: {name}\nimage: {compile_wat(text)}\n{http_trigger(f'/{name}')}{limits}"
    )
    node.cli("deploy", path)


def get(node, name):
    return requests.get(f"{node.http_url}/{name}", timeout=120)


def test_nothing_is_left_of_an_earlier_call(shared_node):
    """Memory, grown memory, globals, tables, grown tables and segments are as the initialisation
    left them, whatever ran before in the same place, and however that ended."""
    node = shared_node
    endings = {"stale-returns": "", "stale-traps": "(unreachable)", "stale-spins": "(loop (br 0))"}
    for name, ending in endings.items():
        limit = "300ms" if "spins" in name else "60s"
        deploy_wat(node, name, guests.stale_module(ending), f"limits: {{timeout: {limit}}}\n")
    for _ in range(5):
        assert get(node, "stale-returns").text == guests.CLEAN
    cells = node.cell_pids()
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        calls = [pool.submit(get, node, list(endings)[i % 3]) for i in range(60)]
        answers = [call.result() for call in calls]
    for answer, name in zip(answers, list(endings) * 20):
        if name == "stale-returns":
            assert (answer.status_code, answer.text) == (200, guests.CLEAN)
        else:
            assert answer.status_code >= 500
    assert get(node, "stale-returns").text == guests.CLEAN
    assert node.cell_pids() == cells, "a cell died"


def test_hostile_guests_are_preempted(shared_node):
    """While some fill, copy, recurse and grow as much as they can, and grow beyond what they may,
    another one gets the processor, and computes what it must."""
    node = shared_node
    count = "int f(int n) { return n ? n + f(n - 1) : 0; }"
    total = "long t = 0; for (int i = 0; i < 2000; i++) t += f(i % 500);"
    deploy_c(node, "honest", f"{count} int main(void) {{ {total} "
             'printf("Content-Type: text/plain\\n\\n%ld", t); }', http_trigger("/honest"))  # fmt: skip
    expected = str(sum(n * (n + 1) // 2 for n in (i % 500 for i in range(2000))))
    grow = "(drop (memory.grow (i32.const 200)))"
    hostile = {
        "fills": f"{grow} (loop (memory.fill (i32.const 0) (i32.const 1) (i32.const 13000000)) (br 0))",
        "copies": f"{grow} (loop (memory.copy (i32.const 1) (i32.const 0) (i32.const 13000000)) (br 0))",
        "recurses": "(call $recurse (i32.const 0))",
    }
    more = '(func $recurse (param i32) (call $recurse (i32.load (i32.const 0))) (drop (memory.grow (i32.const 0))))'
    limits = "limits: {timeout: 500ms, memory: 16MiB}\n"
    for name, body in hostile.items():
        deploy_wat(node, name, modules.start(body, more), limits)
    deploy_wat(node, "storms", guests.storm_module(), limits)
    cells = node.cell_pids()
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        calls = [pool.submit(get, node, name) for name in [*hostile, "storms"] * 6]
        honest = [pool.submit(get, node, "honest") for _ in range(4)]
        assert [call.result().text for call in honest] == [expected] * 4
        assert {call.result().status_code for call in calls} <= {500, 502, 503, 504}
    assert get(node, "honest").text == expected
    assert node.cell_pids() == cells, "a cell died"
