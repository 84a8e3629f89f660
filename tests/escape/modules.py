"""Modules that try to get out of their memory, stack, tables and types, or to overwhelm the
compiler: WebAssembly text, made here because most of it is repetition.

One module, CASES, has all that end in a trap or not: each is a function, and argv[1] is the number
of the one to run. See tests/integ/test_escape.py.
"""
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BOUNDS = "out of bounds memory access"
CALL = "indirect call to a wrong function"
STACK = "stack overflow"
UNREACHABLE = "unreachable executed"
PAGE = 65536
WIDTHS = {"i32.load8_s": 1, "i64.load16_u": 2, "i32.load": 4, "f32.load": 4, "i64.load": 8,
          "f64.load": 8, "i32.store8": 1, "i64.store16": 2, "i64.store32": 4, "f32.store": 4,
          "i64.store": 8, "f64.store": 8}  # fmt: skip


def access(op, address, offset=0):
    """A load or store at ADDRESS, which the compiler cannot know."""
    where = f"(i32.add (global.get $zero) (i32.const {address}))"
    if "store" in op:
        return f"({op} offset={offset} {where} ({op[:3]}.const 1))"
    return f"(drop ({op} offset={offset} {where}))"


def access_cases():
    for op, width in WIDTHS.items():
        last = PAGE - width
        yield f"{op} last", access(op, last), None
        yield f"{op} last by offset", access(op, 0, last), None
        yield f"{op} end", access(op, last + 1), BOUNDS
        yield f"{op} 4 GiB", access(op, 0xFFFFFFFF), BOUNDS
        yield f"{op} 8 GiB", access(op, 0xFFFFFFFF, 0xFFFFFFFF), BOUNDS
        yield f"{op} negative", access(op, -width, width), BOUNDS


def bulk_cases():
    for op in ("memory.copy", "memory.fill", "memory.init $data"):
        for to, source, size in ((PAGE - 1, 0, 2), (-1, 0, 2), (0, 0, -1), (PAGE + 1, 0, 0)):
            body = f"({op} (i32.const {to}) (i32.const {source}) (i32.const {size}))"
            yield f"{op} {to} {source} {size}", body, BOUNDS
    for source, size in ((PAGE - 1, 2), (-1, 1), (-1, -1)):
        body = f"(memory.copy (i32.const 0) (i32.const {source}) (i32.const {size}))"
        yield f"memory.copy from {source} {size}", body, BOUNDS
    yield "memory.init beyond", "(memory.init $data (i32.const 0) (i32.const 3) (i32.const 2))", BOUNDS
    yield "table.set beyond", "(table.set $t (i32.const 8) (ref.null func))", BOUNDS
    yield "table.set -1", "(table.set $t (i32.const -1) (ref.func $void))", BOUNDS
    yield "table.get beyond", "(drop (table.get $t (i32.const 0x7fffffff)))", BOUNDS
    yield "table.copy beyond", "(table.copy $t $t (i32.const 7) (i32.const 0) (i32.const 2))", BOUNDS
    yield "table.fill beyond", "(table.fill $t (i32.const 1) (ref.func $void) (i32.const -1))", BOUNDS
    yield "table.init beyond", "(table.init $t $more (i32.const 7) (i32.const 0) (i32.const 2))", BOUNDS
    # 16 MiB of tables are a module's; a larger one is -1 or the end, never another's memory.
    yield (
        "table.grow far",
        "(drop (table.grow $big (ref.null func) (i32.const 0x7fffffff)))",
        "the tables are beyond the limit of 16 MiB",
    )
    yield "table.grow -1", "(drop (table.grow $big (ref.null func) (i32.const -1)))", None


def call_cases():
    for index in (2, 3, 7, 8, 0x7FFFFFFF, -1, 0x10000000):
        body = f"(call_indirect (type $void) (i32.add (global.get $zero) (i32.const {index})))"
        yield f"call_indirect {index}", body, CALL
    yield "call_indirect 0", "(call_indirect (type $void) (i32.const 0))", None
    for index in (0, 2, 3):
        body = f"(call_indirect (type $f64) (f64.const 1) (i32.const {index}))(drop)"
        yield f"call_indirect f64 {index}", body, None if index == 3 else CALL
    # An import in the table, called as what it is not.
    yield "call_indirect import", "(call_indirect (type $void) (i32.const 4))", CALL


def stack_cases():
    yield "recurse", "(call $recurse)", STACK
    yield "recurse mutually", "(drop (call $ping (i64.const 1)))", STACK
    yield "recurse with large frames", "(drop (call $large (i64.const 1)))", STACK
    yield "recurse through the table", "(call_indirect (type $void) (i32.const 1))", STACK
    yield "recurse into the host", "(drop (call $recurse_host (i32.const 0)))", STACK


def other_cases():
    yield "unreachable", "(unreachable)", UNREACHABLE
    # To the limit and beyond; each page is touched, its neighbour is not there.
    yield "memory.grow storm", "(call $storm)", None
    yield "memory.grow, then beyond", "(call $storm) (drop (i32.load (i32.const 67108861)))", BOUNDS
    yield "memory.grow -1", "(if (i32.ne (memory.grow (i32.const -1)) (i32.const -1)) (then unreachable))", None


CASES = [
    *access_cases(), *bulk_cases(), *call_cases(), *stack_cases(), *other_cases(),
]  # fmt: skip

LARGE = 300  # locals, all alive across the call
STORM = """
  (func $storm (local $i i32)
    (loop $more
      (if (i32.ne (memory.grow (i32.const 1)) (i32.const -1)) (then
        (i32.store (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 4)) (i32.const 7))
        (br $more))))
    (if (i32.ne (memory.size) (i32.const 1024)) (then unreachable))
    (loop $again
      (if (i32.ne (memory.grow (i32.const 1)) (i32.const -1)) (then unreachable))
      (br_if $again (i32.lt_u
        (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 100000)))))
"""
SUPPORT = f"""
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
  (type $void (func)) (type $f64 (func (param f64) (result f64)))
  (memory (export "memory") 1)
  (global $zero (mut i32) (i32.const 0))
  (table $t 8 8 funcref) (table $big 1 funcref)
  (elem (table $t) (i32.const 0) func $void $recurse_table $i32 $f64 $sizes)
  (elem $more func $void $void)
  (data $data "1234")
  (func $void)
  (func $i32 (result i32) (i32.const 1))
  (func $f64 (param f64) (result f64) (local.get 0))
  (func $recurse (call $recurse))
  (func $recurse_table (call_indirect (type $void) (i32.const 1)))
  (func $ping (param i64) (result i64) (i64.add (call $pong (local.get 0)) (i64.const 1)))
  (func $pong (param i64) (result i64) (i64.mul (call $ping (local.get 0)) (i64.const 3)))
  (func $recurse_host (param i32) (result i32)
    (drop (call $sizes (i32.const 0) (i32.const 4)))
    (i32.add (call $recurse_host (local.get 0)) (i32.load (i32.const 0))))
{STORM}"""


def large_frame():
    """A function that keeps many values over its call of itself."""
    numbers = range(1, LARGE)
    fill = "".join(f"(local.set {i} (i64.load8_u (i32.const {i})))" for i in numbers)
    add = "".join(f"(i64.add (local.get {i}))" for i in numbers)
    return (
        f"(func $large (param i64) (result i64) (local {' i64' * LARGE}) {fill}"
        f" (call $large (i64.load8_u (i32.const 9))) {add})"
    )


def cases_module():
    functions = "".join(f"(func $case{i} {body})" for i, (_, body, _) in enumerate(CASES))
    labels = " ".join(f"$c{i}" for i in range(len(CASES)))
    switch = f"(br_table {labels} $none (call $number))"
    for i in range(len(CASES)):
        switch = f"(block $c{i} {switch}) (call $case{i}) (return)"
    # argv[1] as a number; the strings are behind the pointers.
    number = """
  (func $number (result i32) (local $p i32) (local $n i32)
    (drop (call $args (i32.const 16) (i32.const 64)))
    (local.set $p (i32.load (i32.const 20)))
    (loop $more (if (i32.load8_u (local.get $p)) (then
      (local.set $n (i32.add (i32.mul (local.get $n) (i32.const 10))
                             (i32.sub (i32.load8_u (local.get $p)) (i32.const 48))))
      (local.set $p (i32.add (local.get $p) (i32.const 1)))
      (br $more))))
    (local.get $n))"""
    return (
        f"(module {SUPPORT} {large_frame()} {functions} {number}"
        f' (func (export "_start") (block $none {switch}) (unreachable)))'
    )


# Calls of WASI with hostile arguments

TYPES = {"i": "i32", "I": "i64"}
# Descriptors, ends of memory, and what wraps around.
HOSTILE = {
    "i": [0, 0, 1, 1, 2, 3, 3, 3, 3, 4, 4, 5, 6, 8, 64, 4096, 65528, 65532, 65535, 65536, 65537, 0x7FFFFFFF,
          0x80000000, 0xFFFFFFF0, 0xFFFFFFFF],
    "I": [0, 1, 4096, 0x1FFFFFFF, 0x1FFFFFFF, 0x7FFFFFFFFFFFFFFF, 0x8000000000000000, 0xFFFFFFFFFFFFFFFF],
}  # fmt: skip
# They close what the others work on, or end the program.
NOT_CALLED = {"fd_close", "fd_renumber", "proc_raise", "proc_exit"}


def wasi_functions():
    text = (ROOT / "src" / "wasi" / "wasi_functions.def").read_text()
    return re.findall(r'^WASI_FUNCTION\((\w+), "(\w*):i"', text, re.M)


def wasi_module(rounds):
    """Calls each function ROUNDS times with arguments by chance, while memory holds nothing, ones,
    paths, or buffers that end just beyond memory. Results are errno, nothing else."""
    imports = ""
    calls = ""
    for name, parameters in wasi_functions():
        types = " ".join(TYPES[p] for p in parameters)
        imports += f'(import "wasi_snapshot_preview1" "{name}" (func ${name} (param {types}) (result i32)))'
        if name not in NOT_CALLED:
            picks = " ".join(f"(call $pick_{TYPES[p]})" for p in parameters)
            calls += f"(call $check (call ${name} {picks}))"
    picks = ""
    for letter, values in HOSTILE.items():
        kind = TYPES[letter]
        labels = " ".join(f"$v{i}" for i in range(len(values)))
        body = f"(br_table {labels} $v0 (i32.rem_u (call $random) (i32.const {len(values)})))"
        for i, value in enumerate(values):
            body = f"(block $v{i} {body}) (return ({kind}.const {value}))"
        picks += f"(func $pick_{kind} (result {kind}) {body})"
    return f"""(module {imports}
  (memory (export "memory") 1)
  (global $seed (mut i32) (i32.const 1))
  (func $random (result i32)
    (global.set $seed (i32.add (i32.mul (global.get $seed) (i32.const 1664525))
                               (i32.const 1013904223)))
    (i32.shr_u (global.get $seed) (i32.const 8)))
  (func $check (param i32) (if (i32.gt_u (local.get 0) (i32.const 76)) (then unreachable)))
  {picks}
  (func $scribble (param $round i32) (local $len i32)
    (memory.fill (i32.const 0)
      (select (i32.const 0x61) (i32.mul (i32.and (local.get $round) (i32.const 1)) (i32.const 255))
        (i32.eq (i32.and (local.get $round) (i32.const 3)) (i32.const 2)))
      (i32.const 65536))
    (if (i32.eq (i32.and (local.get $round) (i32.const 7)) (i32.const 4)) (then
      (i64.store (i32.const 0) (i64.const 0x000000080000fffc))
      (local.set $len (i32.const 8))
      (loop $double
        (memory.copy (local.get $len) (i32.const 0) (local.get $len))
        (br_if $double (i32.lt_u
          (local.tee $len (i32.shl (local.get $len) (i32.const 1))) (i32.const 65536)))))))
  (func $all {calls})
  (func (export "_start") (local $i i32)
    (loop $more
      (call $scribble (local.get $i))
      (call $all)
      (br_if $more (i32.lt_u
        (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const {rounds}))))
    (drop (call $fd_close (i32.const -1)))
    (drop (call $fd_renumber (i32.const 3) (i32.const -1)))
    (drop (call $fd_renumber (i32.const 0) (i32.const 0x7fffffff)))))"""


# For the compiler


def start(body, more=""):
    return f'(module (memory (export "memory") 1) {more} (func (export "_start") {body}))'


def deep_expression(depth):
    return "(i32.add (i32.load (i32.const 4)) " * depth + "(i32.const 1)" + ")" * depth


def functions(count):
    each = "".join(f"(func $f{i} (param i32) (result i32) (i32.add (local.get 0) (i32.const {i})))"
                   for i in range(count))  # fmt: skip
    table = " ".join(f"$f{i}" for i in range(count))
    return start(
        f"(drop (call_indirect (param i32) (result i32) (i32.const 1) (i32.const {count - 1})))",
        f"{each} (table {count} funcref) (elem (i32.const 0) func {table})",
    )


def pathological(size):
    """NAME and text of modules, SIZE times as bad as what a program may well have."""
    yield "functions", functions(1000 * size)
    yield "locals", start("", f"(func $f (param i32) (local {'i64 ' * 5000 * size}))")
    depth = 200 * size
    yield "blocks", start("(block " * depth + "(br 0)" + ")" * depth)
    depth = 100 * size
    yield "loops", start("(loop (br_if 0 (i32.load (i32.const 0))) " * depth + ")" * depth)
    targets = "0 1 " * 5000 * size
    yield "br_table", start(f"(block (block (br_table {targets} 1 (i32.load (i32.const 0)))))")
    yield "nops", start("nop " * (104858 * size))
    yield "deep expression", start(f"(drop {deep_expression(500 * size)})")
    yield "ifs", start("(if (i32.load (i32.const 0)) (then " * 100 * size + "))" * 100 * size)
    yield "data", start("", '(data (i32.const 0) "a")' * 1000 * size)
    yield "globals", start("", "(global (mut i64) (i64.const 7))" * 1000 * size)
    yield "types", start("", "".join(f"(type (func (param {'i32 ' * (i % 99)})))" for i in range(100 * size)))
    yield "parameters", start("", f"(func (param {'f64 ' * 100 * size}) (result f64) (local.get 9))")
