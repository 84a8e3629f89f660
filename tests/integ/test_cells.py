"""A node with several cells: who runs where, and what one of them takes along when it dies."""
import concurrent.futures
import os
import pathlib
import re
import signal
import time

import pytest
import requests
from edgeos_functions import deploy_c, http_trigger, keys, object_trigger
from edgeos_node import IS_SANITIZED, ROOT, wait_for
from test_resident import deploy as deploy_counter
from test_tenants import HELLO, SPIN, counter, cpu_seconds, get, switches

CELLS = 4
CONFIG = f"cell: {{cells: {CELLS}}}\n"
NAP = 'int main(void) { sleep(2); puts("Content-Type: text/plain\\n\\nrested"); }'


@pytest.fixture
def node(make_node):
    return make_ready(make_node, CONFIG)


def make_ready(make_node, config, count=CELLS):
    """The node says that it is ready as soon as one cell is."""
    node = make_node(config)
    log = f"{count} cells that are ready"
    wait_for(lambda: node.log().count("cell ready pid=") == count, log)
    return node


@pytest.fixture
def background():
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        yield pool


def cells(node, field):
    """FIELD of each cell, in their order."""
    return [cell[field] for cell in node.cli_json("status")["cells"]]


def wait_running(node, expected):
    wait_for(lambda: cells(node, "calls_running") == expected, f"calls in the cells: {expected}")


def busy_cells(node, count):
    """The indices of COUNT cells that have a call."""
    wait_for(lambda: sum(n > 0 for n in cells(node, "calls_running")) == count, "busy cells")
    return [i for i, n in enumerate(cells(node, "calls_running")) if n > 0]


def test_calls_spread(node, background):
    deploy_c(node, "hello", HELLO)
    deploy_c(node, "nap", NAP)
    assert len(set(cells(node, "pid"))) == CELLS
    for _ in range(3 * CELLS):
        assert get(node, "/f/hello").text == "hello\n"
    assert cells(node, "calls_started") == [3] * CELLS
    naps = [background.submit(get, node, "/f/nap") for _ in range(2 * CELLS)]
    wait_running(node, [2] * CELLS)
    assert {nap.result().text for nap in naps} == {"rested\n"}
    wait_running(node, [0] * CELLS)
    status = node.cli_json("status")
    assert status["cell"]["calls_started"] == sum(cells(node, "calls_started")) == 5 * CELLS
    assert node.cli("status").stdout.count("\ncell ") == CELLS


def test_a_spinning_function_leaves_other_cells_alone(node, background):
    """In one cell nobody of class 7 would run beside class 0 (test_tenants.py)."""
    deploy_c(node, "spin", SPIN, "tenant: a\ncpu: {class: 0}\nlimits: {timeout: 8s}\n")
    deploy_c(node, "hello", HELLO, "tenant: b\ncpu: {class: 7}\n")
    for _ in range(CELLS):
        assert get(node, "/f/hello").text == "hello\n"
    spinning = [background.submit(get, node, "/f/spin") for _ in range(CELLS - 1)]
    busy = busy_cells(node, CELLS - 1)
    pids, before = cells(node, "pid"), cells(node, "calls_started")
    times = []
    for _ in range(40):
        begin = time.monotonic()
        assert get(node, "/f/hello").text == "hello\n"
        times.append(time.monotonic() - begin)
    times.sort()
    print(f"hello beside {len(busy)} that spin: p50 {times[20] * 1e3:.1f} ms")
    # Those that spin do so at the same time.
    begin = [cpu_seconds(pids[i]) for i in busy]
    wait_for(lambda: all(cpu_seconds(pids[i]) > b for i, b in zip(busy, begin)), "their time")
    assert not any(call.done() for call in spinning), "it should have been spinning still"
    after = cells(node, "calls_started")
    assert [b - a for a, b in zip(before, after)] == [0 if i in busy else 40 for i in range(CELLS)]
    assert {call.result().status_code for call in spinning} == {504}
    assert cells(node, "restarts") == [0] * CELLS


@pytest.mark.parametrize("method, code", [("POST", 503), ("GET", 200)])
def test_a_killed_cell_takes_its_own_calls(node, background, method, code):
    """Of which those that may be are tried again."""
    deploy_c(node, "hello", HELLO)
    deploy_c(node, "nap", NAP)
    naps = [
        background.submit(requests.request, method, node.http_url + "/f/nap", timeout=60)
        for _ in range(CELLS)
    ]
    wait_running(node, [1] * CELLS)
    pids = cells(node, "pid")
    os.kill(pids[1], signal.SIGKILL)
    assert get(node, "/f/hello").text == "hello\n"
    codes = sorted(nap.result().status_code for nap in naps)
    assert codes == [200] * (CELLS - 1) + [code]
    wait_for(lambda: cells(node, "pid")[1] not in (0, pids[1]), "another cell")
    after = cells(node, "pid")
    assert [i for i in range(CELLS) if pids[i] != after[i]] == [1]
    assert cells(node, "restarts") == [0, 1, 0, 0]
    assert node.cli_json("status")["cell"]["restarts"] == 1
    for _ in range(2 * CELLS):
        assert get(node, "/f/hello").text == "hello\n"


@pytest.mark.skipif(IS_SANITIZED, reason="the sanitizer reports it once more, which fails the test")
def test_a_crash_says_which_cell_it_was(node):
    deploy_c(node, "hello", HELLO)
    pids = cells(node, "pid")
    os.kill(pids[2], signal.SIGSEGV)
    wait_for(lambda: cells(node, "pid")[2] not in (0, pids[2]), "another cell")
    reports = re.findall(r"edgeos: crash: SIGSEGV \(sent\).* pid (\d+),", node.log())
    assert reports == [str(pids[2])]
    assert f"cell ended pid={pids[2]} how=" in node.log()
    assert cells(node, "restarts") == [0, 0, 1, 0]
    assert get(node, "/f/hello").text == "hello\n"


def test_events_of_a_killed_cell_come_again(node):
    """Each of them sleeps, so that all are under way when the cell dies."""
    s3 = node.s3()
    for bucket in "inbox", "outbox":
        s3.create_bucket(Bucket=bucket)
    source = (
        f'#include "{ROOT / "sdk" / "c" / "event.c"}"\n'
        "int main(void) { struct event e; char path[2048];"
        " if (event_read(stdin, &e)) return 1;"
        ' event_result_path(&e, "/outbox", "", path, sizeof(path)); sleep(2);'
        ' FILE *f = fopen(path, "w"); return f == NULL || fclose(f) != 0; }'
    )
    deploy_c(node, "copy", source, object_trigger("inbox", "outbox"))
    for i in range(2 * CELLS):
        s3.put_object(Bucket="inbox", Key=f"k{i}", Body=b"x")
    wait_running(node, [2] * CELLS)
    os.kill(cells(node, "pid")[2], signal.SIGKILL)
    expected = [f"k{i}" for i in range(2 * CELLS)]
    wait_for(lambda: keys(s3, "outbox") == expected, "all results", 60)
    assert cells(node, "restarts") == [0, 0, 1, 0]
    assert counter(node, "edgeos_supervisor_calls_lost_total") == 2


def test_a_cell_that_keeps_dying_is_not_waited_for(node, sample_dir):
    """After five deaths a cell is started once a second only; the others go on."""
    deploy_c(node, "hello", HELLO)
    for _ in range(6):
        pid = wait_for(lambda: cells(node, "pid")[0], "the first cell")
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: cells(node, "pid")[0] != pid, "its end")
    assert cells(node, "pid")[0] == 0
    started = cells(node, "calls_started")[0]
    for _ in range(2 * CELLS):
        assert get(node, "/f/hello").text == "hello\n"
    assert requests.get(node.http_url + "/readyz", timeout=60).status_code == 200
    # Deploying tries the image in a cell.
    node.cli("deploy", sample_dir / "hello" / "manifest.yaml")
    assert cells(node, "calls_started")[0] == started
    assert cells(node, "restarts")[1:] == [0] * (CELLS - 1)
    wait_for(lambda: cells(node, "pid")[0] != 0, "the first cell again")


def test_state_stays(node, background):
    """Each function that stays has one cell; the deaths of others do not concern it."""
    names = [f"count{i}" for i in range(6)]
    for name in names:
        deploy_counter(node, name)
    for name in names:
        before = cells(node, "calls_started")
        texts = list(background.map(lambda _: get(node, f"/{name}").text, range(40)))
        assert sorted(map(int, texts)) == list(range(1, 41))
        grown = [b - a for a, b in zip(before, cells(node, "calls_started"))]
        assert sorted(grown) == [0] * (CELLS - 1) + [40]
        home = grown.index(40)
        pids = cells(node, "pid")
        os.kill(pids[home - 1], signal.SIGKILL)
        wait_for(lambda: cells(node, "pid")[home - 1] not in (0, pids[home - 1]), "a new cell")
        assert get(node, f"/{name}").text == "41"
    # Where it lived it begins anew.
    pids = cells(node, "pid")
    os.kill(pids[home], signal.SIGKILL)
    assert get(node, f"/{names[-1]}").text == "1"


@pytest.mark.parametrize("whose", ["function", "tenant"])
def test_a_budget_is_one_cell(make_node, background, whose):
    """Not so much in each of them."""
    budget = "cpu: {budget: 20ms, period: 100ms}\n"
    config = f"tenants:\n  acme:\n    {budget}" if whose == "tenant" else ""
    node = make_ready(make_node, CONFIG + config)
    manifest = "tenant: acme\nlimits: {timeout: 8s}\n" + (budget if whose == "function" else "")
    for name in "one", "two":
        deploy_c(node, name, SPIN, manifest)
    deploy_c(node, "hello", HELLO)
    names = ["one", "one", "one", "one"] if whose == "function" else ["one", "two", "one", "two"]
    calls = [background.submit(get, node, f"/f/{name}") for name in names]
    wait_for(lambda: sorted(cells(node, "calls_running")) == [0, 0, 0, 4], "the calls in one cell")
    time.sleep(0.5)  # what they had at the start is used up
    pids = cells(node, "pid")
    begin, begin_cpu = time.monotonic(), sum(map(cpu_seconds, pids))
    time.sleep(2)
    share = (sum(map(cpu_seconds, pids)) - begin_cpu) / (time.monotonic() - begin)
    print(f"share of a processor: {share:.3f}, budget 0.2")
    assert 0.02 < share < 0.3
    # Others go where there is nothing to do.
    home = busy_cells(node, 1)[0]
    for _ in range(2 * CELLS):
        assert get(node, "/f/hello").text == "hello\n"
    assert cells(node, "calls_started")[home] == 4
    assert not any(call.done() for call in calls)
    assert {call.result().status_code for call in calls} == {504}


def test_a_tenants_fwps_are_the_nodes(make_node, background):
    node = make_ready(make_node, CONFIG + "tenants: {acme: {fwps: 3}}\n")
    deploy_c(node, "nap", NAP, "tenant: acme\n")
    naps = [background.submit(get, node, "/f/nap") for _ in range(6)]
    wait_for(lambda: sum(cells(node, "calls_running")) == 3, "the first three")
    time.sleep(0.5)
    assert sum(cells(node, "calls_running")) == 3
    assert {nap.result().status_code for nap in naps} == {200}


def test_metrics_are_sums(node):
    deploy_c(node, "hello", HELLO)
    for _ in range(2 * CELLS):
        assert get(node, "/f/hello").text == "hello\n"
    # One more in each cell for the initialisation.
    made = 3 * CELLS
    wait_for(lambda: counter(node, "edgeos_fwp_created_total") == made, "the cells' reports")
    assert counter(node, "edgeos_cell_functions") == CELLS
    pid = cells(node, "pid")[3]
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: cells(node, "pid")[3] not in (0, pid), "another cell")
    assert counter(node, "edgeos_cell_functions") == CELLS - 1
    assert counter(node, "edgeos_fwp_created_total") == made
    assert counter(node, "edgeos_supervisor_cell_restarts_total") == 1


def thread_switches(pid):
    tasks = pathlib.Path(f"/proc/{pid}/task")
    return sum(switches(f"{pid}/task/{task.name}") for task in tasks.iterdir())


def test_an_idle_node_sleeps(node):
    deploy_c(node, "hello", HELLO)
    for _ in range(5 * CELLS):
        get(node, "/f/hello")
    pids = [*cells(node, "pid"), node.edged_pid()]

    def wakeups():
        begin = list(map(thread_switches, pids))
        time.sleep(5)
        return [b - a for a, b in zip(begin, map(thread_switches, pids))]

    # What was kept for speed is given back once, when that is depends on how busy the machine is.
    for _ in range(5):
        woken = wakeups()
        print(f"wake-ups in 5 s: {woken}")
        if not any(woken[:CELLS]):
            break
    assert woken[:CELLS] == [0] * CELLS
    # edged has timers of once a second, but none for each cell.
    assert woken[CELLS] < 40
    assert get(node, "/f/hello").text == "hello\n"


def test_stopped_cells_do_not_add_up(node):
    """A second is waited for cells that do not end, not one for each."""
    for pid in cells(node, "pid"):
        os.kill(pid, signal.SIGSTOP)
    begin = time.monotonic()
    node.stop()
    seconds = time.monotonic() - begin
    print(f"stopped in {seconds:.1f} s")
    assert 0.9 < seconds < CELLS - 1
    assert node.log().count("cell did not end cleanly how=signal 9") == CELLS


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two processors")
def test_processors(make_node):
    """Each cell has its own where there are enough, else the kernel decides."""
    allowed = os.sched_getaffinity(0)
    count = len(allowed)
    if count <= 64:
        node = make_ready(make_node, f"cell: {{cells: {count}}}\n", count)
        places = [os.sched_getaffinity(pid) for pid in cells(node, "pid")]
        assert all(len(place) == 1 for place in places)
        assert set.union(*places) == allowed
    for cells_count in 1, min(count + 1, 64):
        if 1 < cells_count <= count:
            continue
        node = make_ready(make_node, f"cell: {{cells: {cells_count}}}\n", cells_count)
        for pid in cells(node, "pid"):
            assert os.sched_getaffinity(pid) == allowed


def test_default(make_node):
    count = max(1, min(len(os.sched_getaffinity(0)) - 1, 8))
    node = make_ready(make_node, "", count)
    assert len(cells(node, "pid")) == count
    deploy_c(node, "hello", HELLO, http_trigger("/hello"))
    assert get(node, "/hello").text == "hello\n"
