"""What runs the tests must not lose any: its steps are small commands here."""
import importlib.machinery
import importlib.util
import pathlib
import time

import pytest

PROGRAM = pathlib.Path(__file__).resolve().parent.parent / "run_tests"


@pytest.fixture
def module(tmp_path, monkeypatch):
    """tools/run_tests with a tree of its own, and no __pycache__ beside it."""
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    loader = importlib.machinery.SourceFileLoader("run_tests", str(PROGRAM))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("run_tests", loader))
    loader.exec_module(module)
    module.ROOT = module.LOGS = tmp_path
    return module


@pytest.fixture
def runner(module):
    return module.Runner("", 2)


def sh(script):
    return ["sh", "-c", script]


def marks(tmp_path, name, begun=1):
    """A command that writes down when it began and ended, which is not before BEGUN have begun."""
    file = f"{tmp_path}/times.{name}"
    # Only who has written when has begun: on a busy machine that takes a while.
    begin = f"date +%s.%N >{tmp_path}/.{name}; mv {tmp_path}/.{name} {file}"
    until = f"until [ $(ls {tmp_path}/times.* | wc -l) -ge {begun} ]; do sleep 0.01; done"
    return ["timeout", "60", "sh", "-c", f"{begin}; {until}; sleep 0.1; date +%s.%N >>{file}"]


def times(tmp_path, name):
    return [float(line) for line in (tmp_path / f"times.{name}").read_text().split()]


def most_at_once(tmp_path, names):
    """How many of the commands ran at the same time."""
    moments = [times(tmp_path, name) for name in names]
    return max(sum(begin <= at < end for begin, end in moments) for at, _ in moments)


def figures(runner):
    return runner.total.passed, runner.total.failed, runner.total.skipped


def test_who_needs_what_failed_fails(runner, tmp_path, capsys):
    runner.step("bad", [sh("echo why; exit 3"), sh(f"touch {tmp_path}/after")], is_build=True)
    runner.step("second", [sh(f"touch {tmp_path}/second")], needs=["bad"])
    runner.step("third", [sh("true")], needs=["second"])
    runner.step("other", [sh("true")])
    runner.run()
    text = capsys.readouterr().out
    assert figures(runner) == (1, 3, 0)
    assert "second" in text and "FAILED: needs 'bad'" in text and "FAILED: needs 'second'" in text
    assert "    why\n" in text
    # Neither the rest of a step that failed, nor what needs it.
    assert not (tmp_path / "after").exists() and not (tmp_path / "second").exists()


def test_needs_come_first(runner, tmp_path):
    runner.step("made", [marks(tmp_path, "a"), marks(tmp_path, "b")], is_build=True)
    runner.step("needs it", [marks(tmp_path, "c")], needs=["made"])
    runner.run()
    assert times(tmp_path, "b")[0] >= times(tmp_path, "a")[1]
    assert times(tmp_path, "c")[0] >= times(tmp_path, "b")[1]
    assert figures(runner) == (2, 0, 0)


def test_places(runner, tmp_path):
    """As many at once as there are places, a build beside them, and never two builds."""
    names = [f"test{i}" for i in range(7)]
    runner.step("tests", [marks(tmp_path, name, 4) for name in names], side_by_side=True)
    for name in ("build0", "build1"):
        runner.step(name, [marks(tmp_path, name, 4)], is_build=True)
    runner.run()
    assert most_at_once(tmp_path, names) == runner.places == 3
    assert most_at_once(tmp_path, ["build0", "build1"]) == 1
    assert most_at_once(tmp_path, [*names, "build0", "build1"]) == 4
    assert figures(runner) == (3, 0, 0)


def test_a_wide_step_is_not_overtaken(runner, tmp_path):
    runner.step("first", [marks(tmp_path, "first")])
    runner.step("wide", [marks(tmp_path, "wide")], width=99)
    names = [f"late{i}" for i in range(3)]
    runner.step("late", [marks(tmp_path, name) for name in names], side_by_side=True)
    runner.run()
    assert times(tmp_path, "wide")[0] >= times(tmp_path, "first")[1]
    assert all(times(tmp_path, name)[0] >= times(tmp_path, "wide")[1] for name in names)


def test_alone(runner, tmp_path):
    runner.step("build", [marks(tmp_path, "build", 2)], is_build=True)
    runner.step("test", [marks(tmp_path, "test", 2)])
    runner.step("alone", [marks(tmp_path, "alone")], alone=True)
    runner.step("next", [marks(tmp_path, "next")], alone=True)
    runner.run()
    assert most_at_once(tmp_path, ["build", "test"]) == 2
    assert most_at_once(tmp_path, ["build", "alone", "next"]) == 1
    assert most_at_once(tmp_path, ["test", "alone", "next"]) == 1


def test_one_of_many_fails(runner, tmp_path, capsys):
    """All others run all the same, and its output is all that is shown."""
    failed = "FAILED tests/integ/test_x.py::test_y - assert 1 == 2"
    runner.step(
        "whole",
        [sh(f"echo broken; echo '{failed}'; exit 1"), sh(f"echo fine; touch {tmp_path}/fine")],
        side_by_side=True, count=lambda: [5, 2, 1],
    )  # fmt: skip
    runner.run()
    text = capsys.readouterr().out
    assert "5 passed, 2 failed, 1 skipped" in text
    assert "    broken" in text and "fine" not in text
    assert "fine" in (tmp_path / "whole.log").read_text()
    assert runner.failed_tests == [failed]
    assert figures(runner) == (5, 2, 1)
    assert (tmp_path / "fine").exists()
    assert not list(tmp_path.glob("whole.*[0-9]"))


def test_names_of_failed_unit_tests(runner):
    lines = [
        " 12/202 edgeos:base / str_test    OK       0.02s",
        " 13/202 edgeos:base / log_test    FAIL     0.05s   exit status 1",
        " 14/202 edgeos:base / run_test    TIMEOUT  30.01s  killed by signal 15 SIGTERM",
        "Fail:              1",
    ]
    runner.step("unit", [sh("; ".join(f"echo '{line}'" for line in lines) + "; exit 1")])
    runner.run()
    assert runner.failed_tests == [line.strip() for line in lines[1:3]]


def test_results_of_an_earlier_run_do_not_count(module, runner, tmp_path):
    junit = tmp_path / "old.xml"
    junit.write_text('<a><testsuite tests="9" errors="0" failures="0" skipped="0"/></a>')
    assert module.count_junit(junit) == [9, 0, 0]
    runner.step(
        "crashed", [sh("kill -9 $$")], results=[junit], count=lambda: module.count_junit(junit)
    )  # fmt: skip
    runner.run()
    assert figures(runner) == (0, 1, 0)


def test_time_limit_and_what_is_left_behind(runner, tmp_path):
    script = f"(sleep 1; touch {tmp_path}/left) & sleep 60"
    runner.step("endless", [sh(script)], timeout_s=0.5)
    begin = time.monotonic()
    runner.run()
    assert time.monotonic() - begin < 3
    assert figures(runner) == (0, 1, 0)
    assert "killed after 0.5 s" in (tmp_path / "endless.log").read_text()
    time.sleep(max(0, begin + 1.2 - time.monotonic()))
    assert not (tmp_path / "left").exists()


def test_builds_are_nice(runner, tmp_path):
    runner.step("build", [sh(f"nice >{tmp_path}/build")], is_build=True)
    runner.step("test", [sh(f"nice >{tmp_path}/test")])
    runner.run()
    assert (tmp_path / "build").read_text() == "19\n"
    assert int((tmp_path / "test").read_text()) < 19


def test_only(module, tmp_path):
    runner = module.Runner("cross", 2)
    runner.step("gcc build", [sh(f"touch {tmp_path}/gcc")], is_build=True)
    runner.step("cross build", [sh("true")], needs=["gcc build"], is_build=True)
    runner.run()
    assert figures(runner) == (1, 0, 0)
    assert not (tmp_path / "gcc").exists()


def test_every_file_runs_with_gcc(module):
    module.ROOT = PROGRAM.parent.parent
    files = sorted((module.ROOT / "tests" / "integ").glob("test_*.py"))
    assert sorted(module.test_files(False, False)) == files
    # Whoever renames one keeps the order.
    names = {file.stem.removeprefix("test_") for file in files}
    assert set(module.LONGEST) <= names
    assert {f"test_{name}.py" for name in names} >= set(module.LONG_TESTS_WITH_SANITIZERS)
    with_sanitizers = set(module.test_files(True, False))
    assert with_sanitizers < set(module.test_files(True, True)) < set(files)
