"""Compiles C and WebAssembly text to modules, each text once: the results are kept in the build
folder under the hash of their source. Several runs of tests may do so at once."""
import fcntl
import hashlib
import os
import pathlib
import subprocess

from edgeos_node import BUILD, ROOT

CACHE = BUILD / "test-modules"
SDK = ROOT / "sdk"


def _cached(kind, source, extension, make):
    name = hashlib.sha256(f"{kind}\0{source}".encode()).hexdigest()[:24]
    CACHE.mkdir(parents=True, exist_ok=True)
    path = CACHE / f"{name}.{extension}"
    if not path.exists():
        temporary = path.with_suffix(f".{os.getpid()}")
        make(temporary)
        temporary.rename(path)
    return path


def _run(argv, **options):
    result = subprocess.run(argv, capture_output=True, text=True, **options)
    assert result.returncode == 0, result.stderr


def compile_c(source, *flags):
    """The path of the wasm32-wasi module of C text."""

    def make(out):
        _run(
            ["clang-14", "--target=wasm32-wasi", "--sysroot=/usr", "-std=gnu17", "-O1", "-s"]
            + ["-Wno-everything", *flags, f"-I{SDK / 'c'}", "-x", "c", "-", "-o", str(out)],
            input=source,
        )

    return _cached(f"c {flags}", source, "wasm", make)


def compile_wat(source, *flags):
    """The path of the module of WebAssembly text; FLAGS enable features (--enable-all)."""

    def make(out):
        text = out.with_suffix(".wat")
        text.write_text(source)
        _run(["wat2wasm", *flags, str(text), "-o", str(out)])
        text.unlink()

    return _cached(f"wat {flags}", source, "wasm", make)


def compile_native(*sources):
    """The path of a native program, with ASan and UBSan, of files of sdk/."""
    text = "\0".join(pathlib.Path(source).read_text() for source in sources)

    def make(out):
        _run(
            ["gcc", "-std=gnu17", "-D_GNU_SOURCE", "-g", "-Wall", "-Wextra", "-Werror"]
            + ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", f"-I{SDK / 'c'}"]
            + ["-o", str(out), *map(str, sources), "-lm"]
        )

    return _cached("native", text, "exe", make)


def build_samples():
    """The folder with the modules of sdk/samples."""
    folder = ROOT / "build" / "samples"
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder.parent / "samples.lock", "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _run([str(SDK / "build"), "--out", str(folder)])
    return folder
