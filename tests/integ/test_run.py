"""edgeos run: one WASI program, no node."""
import os
import pathlib
import subprocess
import time

import pytest
from edgeos_node import EDGEOS, run_edgeos
from edgeos_wasm import compile_c, compile_wat

TRAP = 134


def run_c(source, *args, options=(), **keywords):
    return run_edgeos("run", *options, compile_c(source), *args, check=False, **keywords)


def one_line(result, *words):
    """The error is one line on standard error, with all WORDS in it; nothing else is printed."""
    assert result.returncode == 1, result
    assert result.stdout == ""
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, result.stderr
    for word in words:
        assert word in lines[0], lines[0]


# What a program is given


def test_hello_prints_and_ends_with_0():
    result = run_c('#include <stdio.h>\nint main(void) { puts("hello"); return 0; }')
    assert (result.returncode, result.stdout, result.stderr) == (0, "hello\n", "")


def test_arguments_reach_the_program():
    source = """
    #include <stdio.h>
    int main(int argc, char **argv) { for (int i = 1; i < argc; i++) puts(argv[i]); return argc; }
    """
    result = run_c(source, "a b", "", "--dir", "ü")
    assert result.stdout == "a b\n\n--dir\nü\n"
    assert result.returncode == 5


def test_environment_is_only_what_was_given():
    source = """
    #include <stdio.h>
    extern char **environ;
    int main(void) { for (char **e = environ; *e; e++) puts(*e); return 0; }
    """
    result = run_c(source, options=["-e", "A=1", "-e", "B=x=y"], environment={"SECRET": "1"})
    assert sorted(result.stdout.split()) == ["A=1", "B=x=y"]


def test_standard_streams():
    source = """
    #include <stdio.h>
    int main(void) { int c; while ((c = getchar()) != EOF) { putchar(c); fputc(c, stderr); } }
    """
    data = os.urandom(300_000)
    result = subprocess.run(
        [EDGEOS, "run", compile_c(source)], input=data, capture_output=True, timeout=60
    )
    assert result.returncode == 0
    assert result.stdout == data
    assert result.stderr == data


@pytest.mark.parametrize("code", [0, 1, 2, 42, 127, 255])
def test_exit_code_is_the_programs(code):
    result = run_c("#include <stdlib.h>\nint main(int c, char **v) { exit(atoi(v[1])); }", code)
    assert result.returncode == code


def test_clocks_and_random_numbers():
    source = """
    #include <stdio.h>
    #include <time.h>
    #include <unistd.h>
    int main(void) {
        struct timespec a, b, real; unsigned char x[16];
        clock_gettime(CLOCK_MONOTONIC, &a); usleep(2000); clock_gettime(CLOCK_MONOTONIC, &b);
        clock_gettime(CLOCK_REALTIME, &real);
        if (getentropy(x, sizeof x)) return 1;
        printf("%lld %lld ", (b.tv_sec - a.tv_sec) * 1000000000LL + b.tv_nsec - a.tv_nsec,
               (long long)real.tv_sec);
        for (int i = 0; i < 16; i++) printf("%02x", x[i]);
    }
    """
    first, second = run_c(source).stdout.split(), run_c(source).stdout.split()
    assert int(first[0]) >= 2_000_000
    assert abs(int(first[1]) - time.time()) < 60
    assert first[2] != second[2]


def test_directories(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "in.txt").write_text("forty-two")
    (tmp_path / "secret").write_text("no")
    (tmp_path / "data" / "link").symlink_to("../secret")
    source = """
    #include <dirent.h>
    #include <errno.h>
    #include <stdio.h>
    #include <string.h>
    #include <unistd.h>
    #include <sys/stat.h>
    int main(void) {
        char text[64] = ""; FILE *f = fopen("/d/in.txt", "r");
        if (!f || !fgets(text, sizeof text, f)) return 1;
        fclose(f);
        if (mkdir("/d/sub", 0777) || !(f = fopen("/d/sub/out.txt", "w"))) return 2;
        fprintf(f, "%s!", text);
        if (fclose(f) || rename("/d/sub/out.txt", "/d/sub/new.txt")) return 3;
        if (!(f = fopen("/d/sub/new.txt", "a")) || fputs("?", f) < 0 || fclose(f)) return 4;
        if (fopen("/d/../secret", "r") || fopen("/d/link", "r") || fopen("/etc/passwd", "r")) return 5;
        if (unlink("/d/in.txt") || fopen("/d/in.txt", "r") || errno != ENOENT) return 6;
        int names = 0;
        DIR *dir = opendir("/d/sub");
        for (struct dirent *e; dir && (e = readdir(dir)); ) names += !strcmp(e->d_name, "new.txt");
        return names == 1 ? 0 : 7;
    }
    """
    result = run_c(source, options=["--dir", f"{tmp_path / 'data'}::/d"])
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "data" / "sub" / "new.txt").read_text() == "forty-two!?"
    assert not (tmp_path / "data" / "in.txt").exists()


def test_without_dir_there_are_no_files():
    source = """
    #include <stdio.h>
    int main(void) { return fopen("/etc/passwd", "r") || fopen("x", "w") ? 1 : 0; }
    """
    assert run_c(source).returncode == 0


def test_samples_run(samples, weather, tmp_path):
    (tmp_path / "in.csv").write_bytes((weather / "weather.csv").read_bytes())
    result = run_edgeos(
        "run", "--dir", f"{tmp_path}::.", "-e", "PERIOD=month",
        samples / "downsample.wasm", "in.csv", "out.csv",
    )  # fmt: skip
    assert '"lines": 2922, "bad_lines": 0, "rows": 48' in result.stdout
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 49
    assert "Hello, Eva!" in run_edgeos(
        "run", "-e", "QUERY_STRING=name=Eva", samples / "hello.wasm"
    ).stdout  # fmt: skip
    result = run_edgeos("run", samples / "wordcount.wasm", stdin=b"one two two\n")
    assert '"words": 3' in result.stdout and '{"word": "two", "count": 2}' in result.stdout


# What a program does wrong

TRAPS = {
    "out of bounds": "(memory 1) (func (export \"_start\") (drop (i32.load (i32.const 0x7fffff00))))",
    "divide by zero": '(func (export "_start") (drop (i32.div_u (i32.const 1) (i32.const 0))))',
    "integer overflow": '(func (export "_start")'
    " (drop (i32.div_s (i32.const 0x80000000) (i32.const -1))))",
    "unreachable": '(func (export "_start") unreachable)',
    "invalid conversion": '(func (export "_start") (drop (i32.trunc_f32_s (f32.const nan))))',
    "stack": '(func $f (param i64) (result i64) (i64.add (call $f (local.get 0)) (i64.const 1)))'
    ' (func (export "_start") (drop (call $f (i64.const 0))))',
    "indirect call": "(table 2 funcref) (type $t (func (param i32)))"
    ' (func (export "_start") (call_indirect (type $t) (i32.const 1) (i32.const 0)))',
}


@pytest.mark.parametrize("name", TRAPS)
def test_trap(name):
    result = run_edgeos("run", compile_wat(f"(module {TRAPS[name]})"), check=False)
    assert result.returncode == TRAP
    words = {"stack": "stack", "indirect call": "indirect"}.get(name, name)
    assert words in result.stderr.lower(), result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_trap_after_output_keeps_the_output():
    source = '#include <stdio.h>\nint main(void) { puts("before"); fflush(stdout); __builtin_trap(); }'
    result = run_c(source)
    assert (result.returncode, result.stdout) == (TRAP, "before\n")


def test_every_byte_out_of_memory_traps():
    """Just before, at and far beyond the end; with the largest offset, too."""
    for address, offset, expected in [
        (65532, 0, 0), (65533, 0, TRAP), (65536, 0, TRAP), (0, 65533, TRAP),
        (0xFFFFFFFF, 0, TRAP), (0xFFFFFFFF, 0xFFFFFFFF, TRAP), (0, 0xFFFFFFFC, TRAP),
    ]:  # fmt: skip
        text = (
            f'(module (memory 1 1) (func (export "_start")'
            f" (i32.store offset={offset} (i32.const {address}) (i32.const 1))))"
        )
        result = run_edgeos("run", compile_wat(text), check=False)
        assert result.returncode == expected, (address, offset, result.stderr)


def test_timeout():
    start = time.monotonic()
    result = run_c("int main(void) { for (volatile int i = 0;; i++); }", options=["--timeout", "300ms"])
    assert result.returncode not in (0, 2)
    assert "timed out" in result.stderr or "timeout" in result.stderr
    assert time.monotonic() - start < 60


def test_timeout_while_waiting():
    source = "#include <unistd.h>\nint main(void) { for (;;) sleep(1000); }"
    result = run_c(source, options=["--timeout", "300ms"])
    assert result.returncode not in (0, 2)
    assert "timed out" in result.stderr or "timeout" in result.stderr


def test_memory_limit():
    source = """
    #include <stdlib.h>
    #include <string.h>
    int main(void) {
        for (int i = 0; i < 64; i++) { char *volatile p = malloc(1 << 20); if (!p) return 7; memset(p, 1, 1 << 20); }
        return 0;
    }
    """
    assert run_c(source, options=["--memory", "16MiB"]).returncode == 7
    assert run_c(source, options=["--memory", "128MiB"]).returncode == 0


def test_module_that_begins_beyond_the_limit():
    module = compile_wat('(module (memory 1024) (func (export "_start")))')
    result = run_edgeos("run", "--memory", "1MiB", module, check=False)
    assert result.returncode in (1, TRAP)
    assert "memory" in result.stderr


# What is no program


def test_no_such_file(tmp_path):
    one_line(run_edgeos("run", tmp_path / "none.wasm", check=False), "none.wasm", "No such file")


@pytest.mark.parametrize("data", [b"", b"\0", b"#!/bin/sh\n", b"\x7fELF" + bytes(100), b"\0asm"])
def test_not_webassembly(tmp_path, data):
    path = tmp_path / "bad.wasm"
    path.write_bytes(data)
    one_line(run_edgeos("run", path, check=False), "bad.wasm")


def test_truncated_at_many_places(tmp_path, samples):
    module = (samples / "hello.wasm").read_bytes()
    for size in [8, 9, 40, 200, len(module) // 2, len(module) - 1]:
        path = tmp_path / "cut.wasm"
        path.write_bytes(module[:size])
        result = run_edgeos("run", path, check=False)
        assert result.returncode == 1, (size, result)
        assert len(result.stderr.strip().splitlines()) == 1, (size, result.stderr)


def test_damaged_anywhere_never_crashes(tmp_path, samples):
    """Bytes changed here and there: an error, a trap, or another program; never a crash of ours."""
    module = (samples / "hello.wasm").read_bytes()
    for step in range(8):
        at = 8 + step * (len(module) // 9)
        data = bytearray(module)
        data[at : at + 4] = b"\xff\xff\xff\xff"
        path = tmp_path / "damaged.wasm"
        path.write_bytes(data)
        result = run_edgeos("run", "--timeout", "5s", path, check=False)
        assert result.returncode >= 0, (at, result)
        assert result.returncode == 0 or result.stderr, (at, result)


def test_simd_is_named():
    text = '(module (func (export "_start") (drop (v128.const i32x4 1 2 3 4))))'
    result = run_edgeos("run", compile_wat(text, "--enable-all"), check=False)
    one_line(result)
    assert "simd" in result.stderr.lower()


@pytest.mark.parametrize(
    "feature, text",
    [
        ("threads", '(memory 1 1 shared) (func (export "_start"))'),
        ("memory64", '(memory i64 1) (func (export "_start"))'),
        ("tail call", '(func $f) (func (export "_start") (return_call $f))'),
    ],
)
def test_unsupported_features_are_refused(feature, text):
    result = run_edgeos("run", compile_wat(f"(module {text})", "--enable-all"), check=False)
    one_line(result)


def test_missing_import_is_named():
    text = '(module (import "env" "launch_missiles" (func)) (func (export "_start") (call 0)))'
    one_line(run_edgeos("run", compile_wat(text), check=False), "env", "launch_missiles")


def test_import_of_the_wrong_type_is_named():
    text = (
        '(module (import "wasi_snapshot_preview1" "proc_exit" (func (param i64)))'
        ' (func (export "_start") (call 0 (i64.const 0))))'
    )
    one_line(run_edgeos("run", compile_wat(text), check=False), "proc_exit")


def test_no_start():
    result = run_edgeos("run", compile_wat('(module (func (export "run")))'), check=False)
    one_line(result, "_start")


def test_names_cannot_break_out_of_the_generated_code():
    """Names of imports and exports are the module's own bytes and end up near a C compiler."""
    text = (
        '(module (func (export "_start")) (func (export "*/ #error \\22 \\5c\\0a#error x"))'
        ' (func (export "")) (func (export "a\\00b")))'
    )
    result = run_edgeos("run", compile_wat(text), check=False)
    assert result.returncode in (0, 1)
    assert len(result.stderr.strip().splitlines()) <= 1


# Ways of the command


def test_second_run_is_from_the_cache(tmp_path):
    module = tmp_path / "m.wasm"
    module.write_bytes(pathlib.Path(compile_c("int main(void) { return 3; }")).read_bytes())
    cache = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    assert run_edgeos("run", module, check=False, environment=cache).returncode == 3
    (image,) = (tmp_path / "cache").glob("**/*.fwp")
    before = image.stat()
    assert run_edgeos("run", module, check=False, environment=cache).returncode == 3
    after = image.stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    # An image that was tampered with is not run, but built again.
    data = bytearray(image.read_bytes())
    data[len(data) // 2] ^= 1
    image.write_bytes(data)
    assert run_edgeos("run", module, check=False, environment=cache).returncode == 3
    assert image.read_bytes() != data


@pytest.mark.parametrize(
    "args",
    [[], ["--memory", "many", "x.wasm"], ["--timeout", "1x", "x.wasm"], ["-e", "novalue", "x.wasm"],
     ["--dir", "nowhere", "x.wasm"], ["--unknown", "x.wasm"]],
)  # fmt: skip
def test_wrong_use(args):
    result = run_edgeos("run", *args, check=False)
    # A folder that is not there is a failure; the rest is wrong use.
    assert result.returncode == (1 if args[:1] == ["--dir"] else 2), result
    assert result.stderr and result.stdout == ""
