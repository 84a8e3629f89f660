"""What tenants and functions may take from each other: processors, FWPs, host calls."""
import concurrent.futures
import os
import pathlib
import signal
import time

import pytest
import requests
from edgeos_functions import deploy_c, http_trigger
from edgeos_node import wait_for
from edgeos_wasm import compile_wat

HEADERS = 'puts("Content-Type: text/plain\\n");'
CLOCK = """
#include <time.h>
static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}
"""
# Runs for QUERY_STRING seconds by the clock, and says the longest time that it was kept waiting.
WATCH = (
    CLOCK
    + "int main(void) {"
    + HEADERS
    + """
    double begin = now(), last = begin, longest = 0, end = begin + atof(getenv("QUERY_STRING"));
    while (last < end) {
        double t = now();
        if (t - last > longest)
            longest = t - last;
        last = t;
    }
    printf("%f\\n", longest);
}
"""
)
SPIN = "int main(void) { for (volatile int i = 0;; i++) ; }"
HELLO = "int main(void) {" + HEADERS + 'puts("hello"); }'


ONE_CELL = "cell: {cells: 1}\n"


@pytest.fixture
def node(make_node):
    """With one cell: this is about those that share a processor (test_cells.py has several)."""
    return make_node(ONE_CELL)


def get(node, path, timeout=60):
    return requests.get(node.http_url + path, timeout=timeout)


def timed_get(node, path):
    begin = time.monotonic()
    answer = get(node, path)
    return answer, time.monotonic() - begin


class Background:
    """Calls under way."""

    def __init__(self):
        self.pool = concurrent.futures.ThreadPoolExecutor(32)

    def get(self, node, path):
        return self.pool.submit(get, node, path)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.pool.shutdown()


def cell_pid(node):
    return node.cli_json("status")["cell"]["pid"]


def running(node):
    return node.cli_json("status")["cell"]["calls_running"]


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def counter(node, name):
    for line in get(node, "/metrics").text.splitlines():
        if line.startswith(name + " "):
            return float(line.split()[1])
    raise AssertionError(f"no counter {name}")


def test_a_spinning_tenant_holds_up_nobody(node):
    deploy_c(node, "spin", SPIN, "tenant: a\nlimits: {timeout: 6s}\n")
    deploy_c(node, "hello", HELLO, "tenant: b\n")
    get(node, "/f/hello")
    with Background() as background:
        spinning = [background.get(node, "/f/spin") for _ in range(8)]
        wait_for(lambda: running(node) == 8, "the spinning calls")
        times = []
        for _ in range(50):
            answer, seconds = timed_get(node, "/f/hello")
            assert answer.text == "hello\n"
            times.append(seconds)
        assert not any(call.done() for call in spinning), "it should have been spinning still"
        times.sort()
        print(f"hello beside 8 that spin: p50 {times[25] * 1e3:.1f} ms, max {times[-1] * 1e3:.1f} ms")
        assert times[25] < 0.5
        # Their time is over all the same.
        assert {call.result().status_code for call in spinning} == {504}
    assert node.cli_json("status")["cell"]["restarts"] == 0


@pytest.mark.parametrize("whose", ["function", "tenant"])
def test_a_budget_is_kept(make_node, whose):
    """Also when there is nobody else who would want the processor."""
    budget = "cpu: {budget: 20ms, period: 100ms}"
    config = f"tenants: {{acme: {{{budget}}}}}\n" if whose == "tenant" else ""
    node = make_node(ONE_CELL + config)
    manifest = "tenant: acme\nlimits: {timeout: 6s}\n"
    for name in "one", "two":
        deploy_c(node, name, SPIN, manifest + (budget + "\n" if whose == "function" else ""))
    deploy_c(node, "hello", HELLO)
    names = ["one", "one"] if whose == "function" else ["one", "two"]
    with Background() as background:
        calls = [background.get(node, f"/f/{name}") for name in names]
        wait_for(lambda: running(node) == 2, "the calls")
        time.sleep(0.5)  # what they had at the start is used up
        pid = cell_pid(node)
        begin, begin_cpu = time.monotonic(), cpu_seconds(pid)
        time.sleep(2)
        share = (cpu_seconds(pid) - begin_cpu) / (time.monotonic() - begin)
        print(f"share of a processor: {share:.3f}, budget 0.2")
        assert share < 0.3
        assert share > 0.02  # it is charged by the clock, and others use the machine too
        assert get(node, "/f/hello").text == "hello\n"
        assert not any(call.done() for call in calls)
        os.kill(pid, 9)


def longest_waits(node, first, second):
    """Of a call of FIRST that takes 2 s, and one of SECOND that takes 1 s of these."""
    with Background() as background:
        long = background.get(node, f"/f/{first}?2")
        wait_for(lambda: running(node) == 1, "the first call")
        time.sleep(0.3)
        short = get(node, f"/f/{second}?1")
        return float(long.result().text), float(short.text)


def test_lower_classes_go_first(node):
    for name, task_class in ("back", 7), ("middle", 4), ("also", 4), ("front", 0):
        deploy_c(node, name, WATCH, f"tenant: {name}\ncpu: {{class: {task_class}}}\n")
    low, high = longest_waits(node, "back", "front")
    print(f"longest waits: class 7 {low:.3f} s, class 0 {high:.3f} s")
    assert low > 0.8
    assert high < 0.4
    one, other = longest_waits(node, "middle", "also")
    print(f"equal classes: {one:.3f} s, {other:.3f} s")
    assert one < 0.4
    assert other < 0.4


def test_earlier_deadlines_go_first(make_node):
    node = make_node("cell: {policy: edf, cells: 1}\n")
    # Classes are no matter then.
    deploy_c(node, "later", WATCH, "tenant: a\nlimits: {timeout: 60s}\ncpu: {class: 0}\n")
    deploy_c(node, "sooner", WATCH, "tenant: b\nlimits: {timeout: 10s}\ncpu: {class: 7}\n")
    later, sooner = longest_waits(node, "later", "sooner")
    assert later > 0.8
    assert sooner < 0.4


def test_a_tenant_has_so_many_fwps(make_node):
    node = make_node("tenants: {acme: {fwps: 2}}\n")
    deploy_c(node, "nap", "int main(void) { sleep(1);" + HEADERS + "}", "tenant: acme\n")
    deploy_c(node, "nap2", "int main(void) { sleep(1);" + HEADERS + "}", "tenant: acme\n")
    deploy_c(node, "hello", HELLO)
    begin = time.monotonic()
    with Background() as background:
        calls = [background.get(node, path) for path in ["/f/nap", "/f/nap2"] * 3]
        wait_for(lambda: running(node) == 2, "the first two")
        answer, seconds = timed_get(node, "/f/hello")
        assert answer.text == "hello\n"
        assert seconds < 0.9
        assert {call.result().status_code for call in calls} == {200}
    assert time.monotonic() - begin > 2.9
    assert counter(node, "edgeos_func_tenant_limit_total") > 0


def test_host_calls_have_a_rate(node):
    source = CLOCK + "int main(void) { for (int i = 0; i < 300; i++) now();" + HEADERS + "}"
    deploy_c(node, "free", source)
    deploy_c(node, "slow", source, "limits: {host_calls: 100, timeout: 60s}\n")
    answer, fast = timed_get(node, "/f/free")
    assert answer.status_code == 200
    with Background() as background:
        slow = background.pool.submit(timed_get, node, "/f/slow")
        wait_for(lambda: running(node) == 1, "the slow one")
        # It waits and holds up nobody.
        assert get(node, "/f/free").status_code == 200
        answer, seconds = slow.result()
    print(f"300 host calls: {fast:.3f} s, at 100 a second {seconds:.3f} s")
    assert answer.status_code == 200
    assert 1.5 < seconds < 20


INIT = """(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 100) "Content-Type: text/plain\\0a\\0astate 0\\0a")
  (func (export "edgeos_init") {init})
  (func (export "_start")
    (i32.store8 (i32.const 132) (i32.add (i32.load8_u (i32.const 132)) (i32.const 1)))
    (i32.store (i32.const 0) (i32.const 100)) (i32.store (i32.const 4) (i32.const 34))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"""


def deploy_init(node, name, init, manifest=""):
    path = pathlib.Path(node.folder) / f"{name}.yaml"
    path.write_text(f"function: {name}\nimage: {compile_wat(INIT.format(init=init))}\n{manifest}")
    node.cli("deploy", path)


def test_calls_start_from_their_initialisation(node):
    """Each from the same state: 5 from edgeos_init, and 1 of its own."""
    deploy_init(
        node, "init", "(i32.store8 (i32.const 132) (i32.const 53))", http_trigger("/init")
    )
    for _ in range(5):
        assert get(node, "/init").text == "state 6\n"
    with Background() as background:
        calls = [background.get(node, "/init") for _ in range(20)]
        assert {call.result().text for call in calls} == {"state 6\n"}


def test_initialisations_that_fail(make_node):
    node = make_node("cell: {init_timeout: 200ms}\n")
    deploy_init(node, "loop", "(loop (br 0))")
    deploy_init(node, "trap", "unreachable")
    deploy_c(node, "hello", HELLO)
    for name, reason in ("loop", "ran for longer than 0.200 s"), ("trap", "unreachable executed"):
        with Background() as background:
            calls = [background.get(node, f"/f/{name}") for _ in range(4)]
            assert get(node, "/f/hello").text == "hello\n"
            assert {call.result().status_code for call in calls} == {500}
        assert reason in node.cli("function", "logs", name).stdout
    assert node.cli_json("status")["cell"]["restarts"] == 0


def switches(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(text.partition("\nvoluntary_ctxt_switches:")[2].split()[0])


def test_what_the_cell_counts_is_in_the_metrics(node):
    """Summed over cells: a new one takes nothing away."""
    deploy_c(node, "hello", HELLO)
    names = [line.split()[0] for line in get(node, "/metrics").text.splitlines() if line[0] != "#"]
    assert len(names) == len(set(names))
    before = 0
    for calls in 3, 4:
        for _ in range(calls):
            assert get(node, "/f/hello").text == "hello\n"
        # One more for the initialisation, in each cell.
        before += calls + 1
        wait_for(lambda: counter(node, "edgeos_fwp_created_total") == before, "the cell's report")
        assert counter(node, "edgeos_cell_functions") == 1
        pid = cell_pid(node)
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: cell_pid(node) not in (0, pid), "another cell")
        assert counter(node, "edgeos_fwp_created_total") == before
        assert counter(node, "edgeos_cell_functions") == 0


def test_an_idle_cell_sleeps(node):
    deploy_c(node, "hello", HELLO)
    for _ in range(20):
        get(node, "/f/hello")
    pid = cell_pid(node)

    def wakeups():
        begin = switches(pid)
        time.sleep(5)
        return switches(pid) - begin

    # What it kept for speed is given back once, when that is depends on how busy the machine is.
    woken = [wakeups()]
    while woken[-1] and len(woken) < 5:
        woken.append(wakeups())
    print(f"wake-ups in 5 s each: {woken}")
    assert woken[-1] == 0
    assert get(node, "/f/hello").text == "hello\n"
