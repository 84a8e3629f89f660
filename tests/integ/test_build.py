"""edgeos build: a module to an image file, for this processor and for the other one."""
import json
import platform
import struct
import subprocess

import pytest
from edgeos_node import EDGEOS, run_edgeos
from edgeos_wasm import compile_wat

HERE = platform.machine()
OTHER = {"x86_64": "aarch64", "aarch64": "x86_64"}[HERE]
COMPILER = {"aarch64": "aarch64-linux-gnu-gcc", "x86_64": "x86_64-linux-gnu-gcc"}
PACKAGES = {
    "aarch64": ("gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"),
    "x86_64": ("gcc-x86-64-linux-gnu", "libc6-dev-amd64-cross"),
}
ELF_MACHINE = {"x86_64": 62, "aarch64": 183}
IMAGE_TARGET = {"x86_64": 1, "aarch64": 2}
HELLO = """
(module
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\\08\\00\\00\\00\\06\\00\\00\\00hello\\0a")
  (func $main (export "_start")
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 20)))
    (call $exit (i32.const 3))))
"""


def build(*args, **keywords):
    return run_edgeos("build", *args, **keywords)


def check_image(path, target):
    """The header, the ELF object and the names in the image file are for TARGET."""
    data = path.read_bytes()
    magic, version, _, number, pages, elf_bytes = struct.unpack_from("<8sIIIIQ", data)
    (names_bytes,) = struct.unpack_from("<Q", data, 96)
    assert (magic, version, pages) == (b"\x7fFWPIMG\n", 2, 1)
    assert number == IMAGE_TARGET[target]
    assert len(data) == 4096 + elf_bytes + names_bytes + 64
    elf = data[4096 : 4096 + elf_bytes]
    kind, machine = struct.unpack_from("<HH", elf, 16)
    assert (elf[:6], kind, machine) == (b"\x7fELF\x02\x01", 3, ELF_MACHINE[target])
    names = data[4096 + elf_bytes : -64]
    assert names.endswith(b"\0") and b"main\0" in names


@pytest.fixture
def hello(tmp_path):
    path = tmp_path / "hello.wasm"
    path.write_bytes(compile_wat(HELLO, "--debug-names").read_bytes())
    return path


def test_for_this_machine(tmp_path, hello):
    out = tmp_path / "hello.fwp"
    for options in [(), ("--target", HERE)]:
        result = build(hello, "-o", out, *options)
        assert result.stdout.startswith(f"{out}: an image for {HERE}, ")
        assert result.stderr == ""
        check_image(out, HERE)
        result = run_edgeos("run", out, check=False)
        assert (result.returncode, result.stdout, result.stderr) == (3, "hello\n", "")
        out.unlink()


def test_for_the_other(tmp_path, hello):
    out = tmp_path / "hello.fwp"
    out.write_text("something older")
    result = json.loads(build(hello, "--out", out, f"--target={OTHER}", "--json").stdout)
    assert result == {"file": str(out), "target": OTHER, "bytes": out.stat().st_size}
    check_image(out, OTHER)
    result = run_edgeos("run", out, check=False)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == (
        f"edgeos: {out}: the image is for {OTHER}, and this machine is {HERE}\n"
    )


def test_damaged_and_foreign_images(tmp_path, hello):
    out = tmp_path / "hello.fwp"
    build(hello, "-o", out)
    data = bytearray(out.read_bytes())
    data[5000] ^= 1
    out.write_bytes(data)
    result = run_edgeos("run", out, check=False)
    assert result.returncode == 1 and "signature" in result.stderr
    build(hello, "-o", out)
    somebody = {"XDG_DATA_HOME": str(tmp_path / "else")}
    result = run_edgeos("run", out, check=False, environment=somebody)
    assert result.returncode == 1 and "signature" in result.stderr
    out.write_bytes(out.read_bytes()[:4000])
    result = run_edgeos("run", out, check=False)
    assert result.returncode == 1 and "too short" in result.stderr


def test_without_the_cross_compiler(tmp_path, hello):
    """One line that names the packages. The compiler is hidden, in a mount namespace."""
    compiler = f"/usr/bin/{COMPILER[OTHER]}"
    hide = f'mount --bind /dev/null {compiler} && exec "$0" "$@"'
    result = subprocess.run(
        ["unshare", "-rm", "sh", "-c", hide, EDGEOS, "build", hello, "-o", tmp_path / "x"]
        + ["--target", OTHER],
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/usr/sbin:/bin:/sbin"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 1
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, result.stderr
    assert f"there is no compiler for {OTHER}" in lines[0]
    for package in PACKAGES[OTHER]:
        assert package in lines[0]
    assert not (tmp_path / "x").exists()


def test_errors_name_the_file(tmp_path, hello):
    (tmp_path / "bad.wasm").write_text("not wasm")
    for source, out, words in [
        ("bad.wasm", "x.fwp", ["bad.wasm", "not a WebAssembly module"]),
        ("none.wasm", "x.fwp", ["none.wasm", "No such file"]),
        ("hello.wasm", "no/x.fwp", ["no/x.fwp", "No such file"]),
        ("hello.wasm", ".", ["not a file"]),
    ]:
        result = build(tmp_path / source, "-o", tmp_path / out, check=False)
        assert (result.returncode, result.stdout) == (1, "")
        assert len(result.stderr.strip().splitlines()) == 1, result.stderr
        for word in words:
            assert word in result.stderr
    assert not (tmp_path / "x.fwp").exists()
