"""Programs that look for what is not theirs: at the edges of their memory through WASI, in the
state that they begin with, and through names. See tests/integ/test_escape.py."""
from modules import PAGE, TYPES, wasi_functions

WASI = "wasi_snapshot_preview1"
OK, EFAULT, EINVAL = 0, 21, 28
# Of one page: its last byte, its end, what wraps around, and what is as far away as it can be.
BEYOND = [PAGE - 1, PAGE, PAGE + 1, 0x7FFFFFFF, 0x80000000, 0xFFFEFFFF, 0xFFFFFFF0, 0xFFFFFFFF]


def wasi_imports():
    imports = ""
    for name, parameters in wasi_functions():
        types = " ".join(TYPES[p] for p in parameters)
        imports += f'(import "{WASI}" "{name}" (func ${name} (param {types}) (result i32)))'
    return imports


def call(name, *arguments):
    parameters = dict(wasi_functions())[name]
    assert len(parameters) == len(arguments), name
    values = " ".join(f"({TYPES[p]}.const {a})" for p, a in zip(parameters, arguments))
    return f"(call ${name} {values})"


def vector(at, *buffers):
    """Stores that make a vector of buffers."""
    words = [word for buffer in buffers for word in buffer]
    return "".join(f"(i32.store (i32.const {at + 4 * i}) (i32.const {w}))" for i, w in enumerate(words))


def exact_calls():
    """Stores, calls and the error that each must have. Descriptor 3 is a directory."""
    end = PAGE
    for address, size, error in [
        (end - 1, 1, OK), (end - 1, 2, EFAULT), (end, 0, OK), (0, end, OK),
        (0, end + 1, EFAULT), (0, 0xFFFFFFFF, EFAULT), (1, 0xFFFFFFFF, EFAULT),
        (0xFFFFFFF0, 0x10, EFAULT), (0xFFFFFFF0, 0x20, EFAULT), (0xFFFFFFFF, 1, EFAULT),
    ]:  # fmt: skip
        yield "", call("random_get", address, size), error
        yield vector(64, (address, size)), call("fd_read", 0, 64, 1, 8), error
        # The vector itself is at the end of memory.
        yield vector(end - 8, (address, size)), call("fd_read", 0, end - 8, 1, 8), error
    for name, file in (("fd_read", 0), ("fd_write", 2)):
        none = vector(end - 8, (0, 0))
        yield none, call(name, file, end - 8, 1, end - 4), OK
        yield none, call(name, file, end - 8, 2, 8), EFAULT
        yield none, call(name, file, end - 7, 1, 8), EFAULT
        yield none, call(name, file, 0xFFFFFFF8, 1, 8), EFAULT
        yield none, call(name, file, end - 8, 1, end - 3), EFAULT
        yield none, call(name, file, end - 8, 1, 0xFFFFFFFC), EFAULT
        # The second of two buffers is outside; and their sum wraps around.
        yield vector(64, (0, 8), (end, 8)), call(name, file, 64, 2, 8), EFAULT
        yield vector(64, (8, end - 8), (0xFFFFFFF8, 16)), call(name, file, 64, 2, 8), EFAULT
    for name in ("args_sizes_get", "environ_sizes_get"):
        yield "", call(name, end - 4, 8), OK
        yield "", call(name, end - 3, 8), EFAULT
        yield "", call(name, 8, 0xFFFFFFFE), EFAULT
    yield "", call("args_get", end - 3, 0), EFAULT
    yield "", call("args_get", 0, end), EFAULT
    yield "", call("clock_time_get", 1, 0, end - 8), OK
    yield "", call("clock_time_get", 1, 0, end - 7), EFAULT
    yield "", call("clock_res_get", 1, 0xFFFFFFFC), EFAULT
    yield "", call("fd_fdstat_get", 3, end - 24), OK
    yield "", call("fd_fdstat_get", 3, end - 23), EFAULT
    yield "", call("fd_filestat_get", 3, end - 64), OK
    yield "", call("fd_filestat_get", 3, end - 63), EFAULT
    yield "", call("fd_prestat_get", 3, end - 7), EFAULT
    yield "", call("fd_prestat_dir_name", 3, end, 1), EFAULT
    yield "", call("fd_readdir", 3, 0xFFFFFFF0, 0x20, 0, 8), EFAULT
    yield "", call("fd_readdir", 3, 0, 64, 0, end - 3), EFAULT
    for path, size in ((0xFFFFFFF0, 0x20), (end - 1, 2), (end, 1)):
        yield "", call("path_open", 3, 0, path, size, 0, 0, 0, 0, 8), EFAULT
        yield "", call("path_filestat_get", 3, 0, path, size, 128), EFAULT
        yield "", call("path_create_directory", 3, path, size), EFAULT
        yield "", call("path_unlink_file", 3, path, size), EFAULT
        other = "(i32.store8 (i32.const 0) (i32.const 0x61))"
        yield other, call("path_rename", 3, 0, 1, 3, path, size), EFAULT
        yield other, call("path_link", 3, 0, 0, 1, 3, path, size), EFAULT
        yield other, call("path_symlink", path, size, 3, 0, 1), EFAULT
    # One subscription of 48 bytes, one event of 32; so many that their size wraps around.
    yield "", call("poll_oneoff", end - 47, 0, 1, 8), EFAULT
    yield "", call("poll_oneoff", 0, 0xFFFFFFF0, 1, 8), EFAULT
    yield "", call("poll_oneoff", 0, 0, 0x05555556, 8), (EFAULT, EINVAL)
    for count in (0x20000000, 0x20000001, 0xFFFFFFFF):
        yield "", call("fd_read", 0, 64, count, 8), (EFAULT, EINVAL)
        yield "", call("fd_write", 2, 64, count, 8), (EFAULT, EINVAL)


def edges_module():
    """Exits with the number of the first of exact_calls() that has another error than it must have;
    traps when any call has none of WASI's."""
    checks = ""
    for i, (stores, text, errors) in enumerate(exact_calls()):
        errors = errors if isinstance(errors, tuple) else (errors,)
        wrong = "(i32.const 1)"
        for error in errors:
            wrong = f"(i32.and {wrong} (i32.ne (local.get 0) (i32.const {error})))"
        checks += f"(memory.fill (i32.const 0) (i32.const 0) (i32.const {PAGE})) {stores}"
        checks += f"(local.set 0 {text}) (if {wrong} (then (call $exit (i32.const {i + 1}))))"
    # Every pointer, length and number of every function, one after the other.
    sweep = ""
    for name, parameters in wasi_functions():
        if name in ("fd_close", "fd_renumber", "proc_raise"):
            continue
        for i, kind in enumerate(parameters):
            for value in BEYOND if kind == "i" else []:
                arguments = [3 if k == 0 and name.startswith(("fd_", "path_")) else 16
                             for k in range(len(parameters))]  # fmt: skip
                arguments[i] = value
                sweep += f"(if (i32.gt_u {call(name, *arguments)} (i32.const 76)) (then unreachable))"
    return f"""(module {wasi_imports()}
  (import "{WASI}" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (func $exact (local i32) {checks})
  (func $sweep {sweep})
  (func (export "_start") (call $exact) (call $sweep)))"""


# Reading what others left

PAGES = 3  # at first, and as many again
# Where the text of the answer, its vector and the mark of the initialisation are.
TEXT_AT, VECTOR_AT, MARK_AT, LOOKED_AT = 16, 128, 2048, 1024
HEAD = "Content-Type: text/plain\\0a\\0a"
HEAD_LEN = len("Content-Type: text/plain") + 2
CLEAN = "000000"


def stale_module(end):
    """Answers with a digit for each kind of state, which is 0 when it is as it must be, then
    leaves secrets in all of them, and ends with the instructions END."""
    findings = [
        # Memory: nothing but the mark. Then what growing brings, which nobody had.
        f"""(i64.ne (call $sum (i32.const {LOOKED_AT}) (i32.const {PAGES * PAGE})) (i64.const 42))""",
        f"""(i32.or (i32.ne (memory.grow (i32.const {PAGES})) (i32.const {PAGES}))
          (i64.ne (call $sum (i32.const {PAGES * PAGE}) (i32.const {2 * PAGES * PAGE})) (i64.const 0)))""",
        """(i32.or (i64.ne (global.get $number) (i64.const 7))
          (f64.ne (global.get $real) (f64.const 0.5)))""",
        """(i32.or (i32.eqz (ref.is_null (table.get $t (i32.const 5))))
          (i32.ne (call_indirect $t (result i32) (i32.const 0)) (i32.const 1)))""",
        """(i32.or (i32.ne (table.size $more) (i32.const 1)) (i32.or
          (i32.ne (table.grow $more (ref.null func) (i32.const 3000)) (i32.const 1))
          (i32.eqz (ref.is_null (table.get $more (i32.const 2999))))))""",
        # It would trap if the segments had been dropped for good.
        """(block (result i32) (memory.init $segment (i32.const 512) (i32.const 0) (i32.const 1))
          (table.init $t $functions (i32.const 3) (i32.const 0) (i32.const 1)) (i32.const 0))""",
    ]
    assert len(findings) == len(CLEAN)
    look = "".join(
        f"(i32.store8 (i32.const {TEXT_AT + HEAD_LEN + i}) (i32.add (i32.const 48) {finding}))"
        for i, finding in enumerate(findings)
    )
    return f"""(module
  (import "{WASI}" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") {PAGES})
  (global $number (mut i64) (i64.const 3)) (global $real (mut f64) (f64.const 0.5))
  (table $t 8 funcref) (table $more 1 funcref)
  (elem (table $t) (i32.const 0) func $one $secret)
  (elem $functions func $one) (data $segment "s")
  (data (i32.const {TEXT_AT}) "{HEAD}")
  (func $one (result i32) (i32.const 1))
  (func $secret (result i32) (i32.const 0x5ec2e7))
  (func (export "edgeos_init")
    (global.set $number (i64.const 7)) (i32.store8 (i32.const {MARK_AT}) (i32.const 42)))
  (func $sum (param $from i32) (param $to i32) (result i64) (local $sum i64)
    (loop $more
      (local.set $sum (i64.add (local.get $sum)
        (i64.popcnt (i64.and (i64.load (local.get $from)) (i64.const 0xffffffffffffff00)))))
      (local.set $sum (i64.add (local.get $sum) (i64.load8_u (local.get $from))))
      (br_if $more (i32.lt_u (local.tee $from (i32.add (local.get $from) (i32.const 8)))
                             (local.get $to))))
    (local.get $sum))
  (func $fill_stack (param i64) (result i64)
    (if (result i64) (i64.eqz (local.get 0)) (then (i64.const 1))
      (else (i64.add (i64.const 0x5ec2e7) (call $fill_stack (i64.sub (local.get 0) (i64.const 1)))))))
  (func $leave
    (memory.fill (i32.const {LOOKED_AT}) (i32.const 0x5e) (i32.const {2 * PAGES * PAGE - LOOKED_AT}))
    (global.set $number (i64.const 0x5ec2e7)) (global.set $real (f64.const 1.5))
    (table.fill $t (i32.const 0) (ref.func $secret) (i32.const 8))
    (table.fill $more (i32.const 0) (ref.func $secret) (i32.const 3001))
    (data.drop $segment) (elem.drop $functions)
    (drop (call $fill_stack (i64.const 1000))))
  (func (export "_start")
    {look}
    (i32.store (i32.const {VECTOR_AT}) (i32.const {TEXT_AT}))
    (i32.store (i32.const {VECTOR_AT + 4}) (i32.const {HEAD_LEN + len(CLEAN)}))
    (drop (call $write (i32.const 1) (i32.const {VECTOR_AT}) (i32.const 1) (i32.const 256)))
    (call $leave) {end}))"""


def storm_module():
    """Grows as far as it goes, touches the last byte of each page, and then the first beyond."""
    return f"""(module (memory (export "memory") 1)
  (func (export "_start")
    (loop $more
      (if (i32.ne (memory.grow (i32.const 1)) (i32.const -1)) (then
        (i32.store8 (i32.sub (i32.mul (memory.size) (i32.const {PAGE})) (i32.const 1)) (i32.const 7))
        (br $more))))
    (drop (i32.load8_u (i32.mul (memory.size) (i32.const {PAGE}))))))"""


# Names

EVIL = ['"', "\\", "a\nb", "\r", "\t", "??/", "??=x", "*/", "/*", "//", "%s%n%d", "'", "\x1b[31mred",
        "é", "\u2028", "#define x", "\\u0041", "\x7f", "\x85", "__attribute__", "main", "int", "$",
        ";}", "${X}", "`id`", "x" * 1000, "\U0001f600"]  # fmt: skip


def quoted(text):
    """As a string of WebAssembly text."""
    return '"' + "".join(f"\\{byte:02x}" for byte in text.encode()) + '"'


def evil_exports():
    exports = "".join(f"(export {quoted(name)} (func $f))" for name in EVIL)
    return f"""(module (memory (export "memory") 1) {exports}
  (func $f (result i32) (i32.const 1)) (func (export "_start") (drop (call $f))))"""


def evil_import(module, name):
    return f"""(module (import {quoted(module)} {quoted(name)} (func $f))
  (memory (export "memory") 1) (func (export "_start") (call $f)))"""


def leb(value):
    out = b""
    while value >= 0x80:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def with_names(wasm, names):
    """The module WASM with its functions named NAMES, in a section of its own at the end."""
    entries = leb(len(names))
    for i, name in enumerate(names):
        entries += leb(i) + leb(len(name)) + name
    section = leb(4) + b"name" + b"\1" + leb(len(entries)) + entries
    return wasm + b"\0" + leb(len(section)) + section


def trap_in_each():
    """As many functions as there are names: each calls the next, the last one traps."""
    count = len(EVIL)
    chain = "".join(f"(func $f{i} (call $f{i + 1}))" for i in range(count - 2))
    return f"""(module (memory (export "memory") 1) {chain}
  (func $f{count - 2} (unreachable)) (func (export "_start") (call $f0)))"""
