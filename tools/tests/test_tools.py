"""The checks must be able to fail: each is run on a small tree with one thing wrong."""
import os
import pathlib
import subprocess

import pytest

TOOLS = pathlib.Path(__file__).resolve().parent.parent
LAYERS = """
base:  | jansson.h
ring:  base
store: base | lmdb.h
top:   *
"""


@pytest.fixture
def tree(tmp_path):
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "layers.txt").write_text(LAYERS)
    (tmp_path / ".clang-format").write_text((TOOLS.parent / ".clang-format").read_text())
    write(tmp_path, "src/base/base.h", "#pragma once\nint base_value(void);\n")
    write(tmp_path, "src/base/base_priv.h", "#pragma once\n")
    write(tmp_path, "src/ring/ring.h", '#pragma once\n#include "base/base.h"\n')
    write(tmp_path, "src/store/store.c", "#include <lmdb.h>\n#include <stdio.h>\n")
    write(tmp_path, "src/top/main.c", '#include "store/store.h"\n#include "ring/ring.h"\n')
    write(tmp_path, "src/store/store.h", "#pragma once\n")
    return tmp_path


def write(tree, name, text):
    path = tree / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def run(tool, tree):
    return subprocess.run(
        [str(TOOLS / tool), "--root", str(tree)], capture_output=True, text=True
    )


def test_layers_accepts_a_good_tree(tree):
    result = run("check_layers", tree)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize(
    "name, text, message",
    [
        ("src/ring/a.c", '#include "store/store.h"\n', "ring may not include store"),
        ("src/ring/a.c", '\n#include "base/base_priv.h"\n', "a.c:2: \"base/base_priv.h\" is private"),
        ("src/ring/a.c", "#include <lmdb.h>\n", "<lmdb.h> belongs to store"),
        ("src/ring/a.c", "#include <foreign/thing.h>\n", "nobody owns <foreign/thing.h>"),
        ("src/ring/a.c", "#include <cmocka.h>\n", "is for unit tests"),
        ("src/ring/a.c", '#include "ring.h"\n', "not of the form"),
        ("src/other/a.c", "", "src/other is not in"),
        ("src/base/a.c", '#include "ring/ring.h"\n', "cycle: base includes ring"),
        ("sdk/a.c", '#include "../src/base/base.h"\n', "sdk/ includes src/"),
        ("sdk/a.c", '#include "base/base.h"\n', "sdk/ includes src/"),
    ],
)
def test_layers_finds(tree, name, text, message):
    write(tree, name, text)
    result = run("check_layers", tree)
    assert result.returncode == 1
    assert message in result.stderr


@pytest.mark.parametrize(
    "rows, message",
    [
        ("| src/base | | - | |\n| src/ring | | base | |\n| src/store | | base | |\n"
         "| src/top | | everything | |\n", ""),
        ("| src/base | | - | |\n| src/ring | | base | |\n| src/store | | base ring | |\n"
         "| src/top | | everything | |\n", "the row of src/store"),
        ("| src/base | | - | |\n| src/store | | base | |\n| src/top | | everything | |\n",
         "the row of src/ring"),
        ("| src/base | | - | |\n| src/ring | | base | |\n| src/store | | base | |\n"
         "| src/top | | everything | |\n| src/old | | base | |\n", "src/old is not in"),
    ],
)
def test_layers_compares_the_document(tree, rows, message):
    write(tree, "docs/ARCHITECTURE.md", "# Map\n\n" + rows)
    result = run("check_layers", tree)
    assert result.returncode == (1 if message else 0)
    assert message in result.stderr


def test_layers_finds_a_cycle_in_the_table(tree):
    (tree / "tools" / "layers.txt").write_text("base: ring\nring: base\nstore:|lmdb.h\ntop: *\n")
    result = run("check_layers", tree)
    assert result.returncode == 1
    assert "base includes ring, which is not above it" in result.stderr


def test_layers_ignores_comments_and_accepts_tests(tree):
    write(tree, "src/ring/a_test.c", '/*\n#include "store/store.h"\n*/\n#include <cmocka.h>\n')
    assert run("check_layers", tree).returncode == 0


def test_headers_accepts_a_good_tree(tree):
    result = run("check_headers", tree)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize(
    "text",
    [
        "#pragma once\nuint32_t ring_size(void);\n",  # does not include what it needs
        "#pragma once\nint ring_size();\n",  # a warning
        "struct ring { int size; };\n",  # no guard
    ],
)
def test_headers_finds(tree, text):
    write(tree, "src/ring/bad.h", text)
    result = run("check_headers", tree)
    assert result.returncode == 1
    assert "ring/bad.h: gcc" in result.stderr
    assert "ring/bad.h: clang" in result.stderr


def test_format_accepts_and_finds(tree):
    assert run("check_format", tree).returncode == 0
    write(tree, "src/ring/bad.c", "int  x ;\n")
    result = run("check_format", tree)
    assert result.returncode == 1
    assert "bad.c:1" in result.stderr


def test_deps_names_what_is_missing(tmp_path):
    # A dpkg-query that knows no package, and no node_modules: a copy of the script elsewhere.
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "deps").write_text((TOOLS / "deps").read_text())
    write(tmp_path, "sdk/assemblyscript/package-lock.json", "{}")
    write(tmp_path, "bin/dpkg-query", "#!/bin/sh\nexit 1\n")
    os.chmod(tmp_path / "bin" / "dpkg-query", 0o755)
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    result = subprocess.run(
        ["sh", str(tmp_path / "tools" / "deps"), "--check", "build", "samples"],
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": path},
    )
    assert result.returncode == 1
    assert "liblmdb-dev" in result.stdout and "wasi-libc" in result.stdout
    assert "sdk/assemblyscript" in result.stdout
    assert "tools/deps build samples" in result.stdout


def test_deps_refuses_unknown_groups():
    result = subprocess.run([str(TOOLS / "deps"), "nonsense"], capture_output=True, text=True)
    assert result.returncode == 2
    assert "no group 'nonsense'" in result.stderr
