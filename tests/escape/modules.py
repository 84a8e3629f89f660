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
# Each load and store that there is.
WIDTHS = {"i32.load8_s": 1, "i32.load8_u": 1, "i32.load16_s": 2, "i32.load16_u": 2, "i32.load": 4,
          "i64.load8_s": 1, "i64.load8_u": 1, "i64.load16_s": 2, "i64.load16_u": 2,
          "i64.load32_s": 4, "i64.load32_u": 4, "i64.load": 8, "f32.load": 4, "f64.load": 8,
          "i32.store8": 1, "i32.store16": 2, "i32.store": 4, "i64.store8": 1, "i64.store16": 2,
          "i64.store32": 4, "i64.store": 8, "f32.store": 4, "f64.store": 8}  # fmt: skip
# Signatures that differ in one thing from the next.
SIGNATURES = ["", "(param i32)", "(param i64)", "(param f32)", "(param f64)", "(param i32 i32)",
              "(result i32)", "(result i64)", "(result f64)", "(param i32) (result i32)",
              "(param i64) (result i32)", "(param i32) (result f32)"]  # fmt: skip


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


def grown_cases():
    """The edge moves with the memory, for each width."""
    grow = "(drop (memory.grow (i32.const 2)))"
    for op in ("i32.load8_u", "i64.load16_s", "f32.load", "f64.load", "i32.store8", "i32.store16",
               "i64.store32", "i64.store"):  # fmt: skip
        last = 3 * PAGE - WIDTHS[op]
        yield f"{op} last of a grown memory", grow + access(op, last), None
        yield f"{op} end of a grown memory", grow + access(op, last + 1), BOUNDS
    for op in ("memory.fill", "memory.copy"):
        fill = f"{grow} ({op} (i32.const {3 * PAGE - 2}) (i32.const 7) (i32.const %d))"
        yield f"{op} to the end of a grown memory", fill % 2, None
        yield f"{op} beyond a grown memory", fill % 3, BOUNDS
    for pages in (65535, 65536, 0x7FFFFFFF, 1024):
        body = f"(memory.grow (i32.const {pages}))"
        yield f"memory.grow {pages}", f"(if (i32.ne {body} (i32.const -1)) (then unreachable))", None
    yield "memory.grow 0", "(if (i32.ne (memory.grow (i32.const 0)) (i32.const 1)) (then unreachable))", None
    yield "after a memory.grow that failed", "(drop (memory.grow (i32.const -1)))" + access("i32.load8_u", PAGE), BOUNDS


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


def call_void(index, table="$t"):
    return f"(call_indirect {table} (type $void) (i32.add (global.get $zero) (i32.const {index})))"


def confusion_cases():
    """Tables that have changed, called as what they were, or beyond what they are."""
    null, void = "(ref.null func)", "(ref.func $void)"
    yield "table.set another type", "(table.set $t (i32.const 0) (ref.func $i32))" + call_void(0), CALL
    yield "table.set null", f"(table.set $t (i32.const 0) {null})" + call_void(0), CALL
    yield "table.set the right type", f"(table.set $t (i32.const 7) {void})" + call_void(7), None
    yield "table.fill null", f"(table.fill $t (i32.const 0) {null} (i32.const 8))" + call_void(0), CALL
    copy = "(table.copy $t $t (i32.const {}) (i32.const {}) (i32.const {}))"
    yield "table.copy another type", copy.format(0, 2, 1) + call_void(0), CALL
    yield "table.copy upwards", copy.format(1, 0, 5) + call_void(1), None
    yield "table.copy an import", copy.format(1, 0, 5) + call_void(5), CALL
    yield "table.copy downwards", copy.format(0, 1, 5) + call_void(1), CALL
    yield "table.copy from another table", "(table.copy $t $big (i32.const 0) (i32.const 0) (i32.const 1))" + call_void(0), CALL
    init = "(table.init $t $more (i32.const 7) (i32.const 0) (i32.const {}))"
    yield "table.init", init.format(1) + call_void(7), None
    yield "elem.drop, then table.init", "(elem.drop $more)" + init.format(1), BOUNDS
    yield "elem.drop, then nothing of it", "(elem.drop $more)" + init.format(0), None
    yield "elem.drop keeps the table", "(elem.drop $more)" + call_void(0), None
    yield "data.drop, then memory.init", "(data.drop $data) (memory.init $data (i32.const 0) (i32.const 0) (i32.const 1))", BOUNDS
    grow = "(drop (table.grow $big {} (i32.const {})))"
    yield "table.grow by nulls", grow.format(null, 10) + call_void(5, "$big"), CALL
    yield "table.grow by functions", grow.format(void, 1000) + call_void(1000, "$big"), None
    yield "table.grow, then beyond", grow.format(void, 1000) + call_void(1001, "$big"), CALL
    yield "table.grow by another type", grow.format("(ref.func $f64)", 9) + call_void(9, "$big"), CALL
    yield "after a table.grow that failed", grow.format(void, -1) + call_void(1, "$big"), CALL
    yield "table.grow moves nothing", grow.format(void, 100000) + call_void(0), None
    yield "table.grow of a full table", "(if (i32.ne (table.grow $t (ref.null func) (i32.const 1)) (i32.const -1)) (then unreachable))", None
    for i in range(len(SIGNATURES)):
        for wrong in (i, (i + 1) % len(SIGNATURES), i - 1):
            yield f"call {SIGNATURES[i]} as {SIGNATURES[wrong]}", call_as(i, wrong), None if wrong == i else CALL


def call_as(index, signature):
    """Calls the function of SIGNATURES[INDEX] as if it were of another one."""
    text = SIGNATURES[signature]
    parameters = text.partition("(param ")[2].partition(")")[0].split()
    values = " ".join(f"({kind}.const 1)" for kind in parameters)
    call = f"(call_indirect $kinds {text} {values} (i32.add (global.get $zero) (i32.const {index})))"
    return f"(drop {call})" if "result" in text else call


def kinds():
    """A function of each signature, in a table."""
    functions = ""
    for i, text in enumerate(SIGNATURES):
        result = text.partition("(result ")[2].partition(")")[0]
        functions += f"(func $kind{i} {text} {f'({result}.const 7)' if result else ''})"
    names = " ".join(f"$kind{i}" for i in range(len(SIGNATURES)))
    return f"{functions} (table $kinds funcref (elem {names}))"


def stack_cases():
    yield "recurse", "(call $recurse)", STACK
    yield "recurse mutually", "(drop (call $ping (i64.const 1)))", STACK
    yield "recurse with large frames", "(drop (call $large (i64.const 1)))", STACK
    yield "recurse through the table", "(call_indirect (type $void) (i32.const 1))", STACK
    yield "recurse into the host", "(drop (call $recurse_host (i32.const 0)))", STACK
    yield "recurse mutually with large frames", "(drop (call $large_ping (i64.const 1)))", STACK
    yield "recurse through the table with large frames", "(drop (call $large_table (i64.const 1)))", STACK
    yield "recurse mutually through the table", "(call $table_ping (i32.const 6))", STACK
    yield "recurse, filling memory", "(call $recurse_fill (i32.const 0))", STACK
    yield "recurse, growing memory", "(call $recurse_grow)", STACK


def other_cases():
    yield "unreachable", "(unreachable)", UNREACHABLE
    # To the limit and beyond; each page is touched, its neighbour is not there.
    yield "memory.grow storm", "(call $storm)", None
    yield "memory.grow, then beyond", "(call $storm) (drop (i32.load (i32.const 67108861)))", BOUNDS
    yield "memory.grow -1", "(if (i32.ne (memory.grow (i32.const -1)) (i32.const -1)) (then unreachable))", None


CASES = [
    *access_cases(), *bulk_cases(), *call_cases(), *stack_cases(), *other_cases(),
    *grown_cases(), *confusion_cases(),
]  # fmt: skip

# What does not end by itself, with what it needs before: from each of these the processor is taken.
ENDLESS = {
    "nothing": ("", ""),
    "memory.fill": ("(drop (memory.grow (i32.const 1023)))",
                    "(memory.fill (i32.const 0) (i32.const 1) (i32.const 0x4000000))"),
    "memory.copy": ("(drop (memory.grow (i32.const 1023)))",
                    "(memory.copy (i32.const 1) (i32.const 0) (i32.const 0x3ffffff))"),
    "memory.copy down": ("(drop (memory.grow (i32.const 1023)))",
                         "(memory.copy (i32.const 0) (i32.const 65537) (i32.const 0x3feffff))"),
    "memory.init": ("", "(memory.init $data (i32.const 0) (i32.const 0) (i32.const 4))"),
    "memory.grow": ("", "(drop (memory.grow (i32.const 1)))"),
    "table.fill": ("(drop (table.grow $big (ref.null func) (i32.const 400000)))",
                   "(table.fill $big (i32.const 0) (ref.func $void) (i32.const 400000))"),
    "table.copy": ("(drop (table.grow $big (ref.func $void) (i32.const 400000)))",
                   "(table.copy $big $big (i32.const 1) (i32.const 0) (i32.const 400000))"),
    "table.grow": ("", "(drop (table.grow $big (ref.null func) (i32.const -1)))"),
    "recursion": ("", "(drop (call $down (i64.const 150)))"),
    "calls through a table": ("", call_void(0)),
    "host calls": ("", "(drop (call $sizes (i32.const 0) (i32.const 4)))"),
    "host calls that fail": ("", "(drop (call $sizes (i32.const -1) (i32.const -1)))"),
}  # fmt: skip

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
  (type $table_ping (func (param i32)))
  (func $table_ping (param i32)
    (call_indirect (type $table_ping) (i32.const 5) (local.get 0)) (drop (memory.grow (i32.const 0))))
  (func $table_pong (param i32)
    (call_indirect (type $table_ping) (i32.const 6) (local.get 0)) (drop (memory.grow (i32.const 0))))
  (elem (table $t) (i32.const 5) func $table_ping $table_pong)
  (func $recurse_fill (param i32)
    (memory.fill (i32.const 8) (local.get 0) (i32.const 5000))
    (call $recurse_fill (i32.load8_u (i32.const 9)))
    (memory.fill (i32.const 8) (local.get 0) (i32.const 10)))
  (func $recurse_grow
    (drop (memory.grow (i32.const 1))) (call $recurse_grow) (drop (memory.grow (i32.const 1))))
  (type $large_table (func (param i64) (result i64)))
  (table $large_table_place 1 1 funcref)
  (elem (table $large_table_place) (i32.const 0) func $large_table)
  (func $down (param i64) (result i64)
    (if (result i64) (i64.eqz (local.get 0)) (then (i64.const 1))
      (else (i64.add (local.get 0) (call $down (i64.sub (local.get 0) (i64.const 1)))))))
{STORM}"""


def large_frame(name, call):
    """A function that keeps many values over its call of itself or another."""
    numbers = range(1, LARGE)
    fill = "".join(f"(local.set {i} (i64.load8_u (i32.const {i})))" for i in numbers)
    add = "".join(f"(i64.add (local.get {i}))" for i in numbers)
    return (
        f"(func ${name} (param i64) (result i64) (local {' i64' * LARGE}) {fill}"
        f" ({call} (i64.load8_u (i32.const 9)){'(i32.const 0)' if 'indirect' in call else ''}) {add})"
    )


def large_frames():
    through_table = "call_indirect $large_table_place (type $large_table)"
    return (
        large_frame("large", "call $large")
        + large_frame("large_ping", "call $large_pong")
        + large_frame("large_pong", "call $large_ping")
        + large_frame("large_table", through_table)
    )


def cases_module():
    """The functions of CASES, then those of ENDLESS."""
    bodies = [body for _, body, _ in CASES]
    bodies += [f"{first} (loop $again {body} (br $again))" for first, body in ENDLESS.values()]
    functions = "".join(f"(func $case{i} {body})" for i, body in enumerate(bodies))
    labels = " ".join(f"$c{i}" for i in range(len(bodies)))
    switch = f"(br_table {labels} $none (call $number))"
    for i in range(len(bodies)):
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
        f"(module {SUPPORT} {large_frames()} {kinds()} {functions} {number}"
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
    # One page of memory, filled by many segments or by one; exports and names of a length to notice.
    yield "data segment", start("", f'(data (i32.const 0) "{"a" * 6000 * size}")')
    yield "passive data", start("", f'(data "{"a" * 200000 * size}")')
    elements = "".join(f"(elem (i32.const {i % 9}) func $f)" for i in range(200 * size))
    yield "elements", start("", f"(func $f) (table 10 funcref) {elements}")
    yield "exports", start("", "(func $f) " + "".join(f'(export "e{i}" (func $f))' for i in range(1000 * size)))
    yield "long names", start("", "(func $f) " + "".join(f'(export "{i}{"x" * 20000}" (func $f))' for i in range(5 * size)))
    yield "tables", start("", "(table 3 funcref)" * 20 * size)
    yield "parameters", start("", f"(func (param {'f64 ' * 100 * size}) (result f64) (local.get 9))")
