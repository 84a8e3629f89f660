"""edgeos build: a module to an image file, for this processor and for the other one."""
import json
import platform
import struct
import subprocess

import pytest
from edgeos_node import EDGEOS, ROOT, run_edgeos
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


TRAPS = """
(module
  (memory 1)
  (global $g (mut i32) (i32.const 0))
  (type $v (func (param i32)))
  (table $t 3 funcref)
  (elem (table $t) (i32.const 0) func $lost $quiet $lost)
  (func $lost (type $v) unreachable)
  (func $quiet (type $v) (global.set $g (i32.div_u (i32.const 7) (local.get 0))))
  (func $by_table (export "table") (type $v)
    (call_indirect $t (type $v) (i32.const 0) (local.get 0)))
  (func $fill_far (export "fill") (type $v)
    (memory.fill (local.get 0) (i32.const 1) (i32.const 10)))
  (func (export "convert") (type $v)
    (global.set $g (i32.trunc_f64_s (f64.mul (f64.const 1e6) (f64.convert_i32_u (local.get 0)))))))
"""


def build(*args, **keywords):
    return run_edgeos("build", *args, **keywords)


def split_image(data):
    """The ELF object and the table of names of an image's bytes."""
    (elf_bytes,) = struct.unpack_from("<Q", data, 24)
    return data[4096 : 4096 + elf_bytes], data[4096 + elf_bytes : -64]


def name_of(names, offset):
    """The function whose code has this byte, without the suffix of its part."""
    (count,) = struct.unpack_from("<I", names)
    for i in range(count):
        start, size, _, name = struct.unpack_from("<IIII", names, 4 + 16 * i)
        if start <= offset < start + size:
            return names[4 + 16 * count + name :].split(b"\0")[0].decode().removesuffix(".cold")
    return None


def check_image(path, target):
    """The header, the ELF object and the names in the image file are for TARGET."""
    data = path.read_bytes()
    magic, version, _, number, pages, elf_bytes = struct.unpack_from("<8sIIIIQ", data)
    (names_bytes,) = struct.unpack_from("<Q", data, 96)
    assert (magic, version, pages) == (b"\x7fFWPIMG\n", 2, 1)
    assert number == IMAGE_TARGET[target]
    assert len(data) == 4096 + elf_bytes + names_bytes + 64
    elf, names = split_image(data)
    kind, machine = struct.unpack_from("<HH", elf, 16)
    assert (elf[:6], kind, machine) == (b"\x7fELF\x02\x01", 3, ELF_MACHINE[target])
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


def test_the_other_processor_runs_it(tmp_path):
    """Under emulation: it computes, traps, and the names of where it trapped are right."""
    module = compile_wat(TRAPS, "--debug-names")
    build(module, "-o", tmp_path / "t.fwp", "--target", OTHER)
    elf, names = split_image((tmp_path / "t.fwp").read_bytes())
    (tmp_path / "t.so").write_bytes(elf)
    host = tmp_path / "host"
    subprocess.run(
        [COMPILER[OTHER], "-D_GNU_SOURCE", "-O1", "-Wall", "-Wextra", "-Werror"]
        + ["-Wno-unused-parameter", f"-I{ROOT}/src", "-o", host]
        + [ROOT / "tests" / "lib" / "image_host.c", "-ldl"],
        check=True,
    )
    calls = {
        # arguments: (enum image_trap, function)
        ("table", "0"): (5, "lost"),
        ("table", "1"): (3, "quiet"),
        ("table", "2"): (5, "lost"),
        ("table", "3"): (6, "by_table"),
        ("fill", "65526"): (0, None),
        ("fill", "65527"): (1, "fill_far"),
        ("convert", "2"): (0, None),
        ("convert", "4000"): (2, "convert"),
    }
    result = subprocess.run(
        [f"qemu-{OTHER}-static", "-L", f"/usr/{OTHER}-linux-gnu", host, tmp_path / "t.so"]
        + [word for call in calls for word in call],
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    lines = [line.split() for line in result.stdout.splitlines()]
    found = {(n, a): (int(trap), name_of(names, int(o))) for n, a, trap, o in lines}
    assert found == calls


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


def test_click_configuration(tmp_path):
    """A configuration becomes an image beside it, or a module, which gives the same image."""
    config = tmp_path / "forward.click"
    config.write_text("FromDevice(0) -> c :: Counter -> Queue -> ToDevice(1)\n")
    result = build(config)
    assert result.returncode == 0, result.stderr
    image = (tmp_path / "forward.fwp").read_bytes()
    elf, _ = split_image(image)
    assert elf[:4] == b"\x7fELF"
    module = tmp_path / "forward.wasm"
    result = build(config, "-o", module, "--json")
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    assert report["target"] == "wasm32"
    assert report["bytes"] == module.stat().st_size
    assert module.read_bytes()[:4] == b"\0asm"
    result = build(module, "-o", tmp_path / "again.fwp")
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "again.fwp").read_bytes() == image


def test_click_mistakes(tmp_path):
    config = tmp_path / "wrong.click"
    config.write_text("// wrong\nFromDevice(0) -> Cuonter -> Discard;\nx :: Idle -> y :: Nul\n")
    result = build(config, check=False)
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        f"{config}:3: unknown element class 'Nul'; did you mean 'Null'?",
        f"{config}:2: unknown element or class 'Cuonter'; did you mean 'Counter'?",
        f"edgeos: {config}: not built",
    ]
    assert not (tmp_path / "wrong.fwp").exists()
    result = build(tmp_path / "absent.click", check=False)
    assert result.returncode == 1
    assert result.stderr == f"edgeos: {tmp_path}/absent.click: No such file or directory\n"
