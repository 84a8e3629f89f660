"""Functions that stay: one instance answers all calls, through messages."""
import concurrent.futures
import os
import pathlib
import time

import pytest
import requests
from edgeos_functions import HEADER, http_trigger
from edgeos_node import ROOT, run_edgeos, wait_for
from edgeos_wasm import _cached, _run

COUNTER = r"""
#include <edgeos.h>
EDGEOS_RINGS(8, 8, 8192)
static int count;
EDGEOS_EXPORT(edgeos_init) void edgeos_init(void)
{
    if (edgeos_open() < 0)
        abort();
}
static int is_query(const char *buf, const char *query)
{
    const char *at = strstr(buf, "QUERY_STRING=");
    return at != NULL && strncmp(at + 13, query, strlen(query)) == 0 && at[13 + strlen(query)] == '\n';
}
static void answer(uint32_t conn, const char *text, unsigned len)
{
    static char out[9000];
    int n = snprintf(out, sizeof(out), "Content-Type: text/plain\n\n%.*s", (int)len, text);
    edgeos_send(conn, out, n, 0);
}
EDGEOS_EXPORT(edgeos_message) void edgeos_message(uint32_t conn, void *data, uint32_t len)
{
    static char buf[8193];
    char text[64];
    memcpy(buf, data, len);
    buf[len] = 0;
    if (is_query(buf, "trap"))
        __builtin_trap();
    if (is_query(buf, "spoil")) {
        memset((void *)&edgeos_out, 0x7f, sizeof(edgeos_out));
        memset((void *)&edgeos_in, 0x7f, sizeof(edgeos_in));
        edgeos_kick();
        return;
    }
    if (is_query(buf, "hang"))
        for (volatile int i = 0;; i++)
            ;
    if (is_query(buf, "mute"))
        return;
    if (is_query(buf, "echo")) {
        char *body = strstr(buf, "\n\n") + 2;
        answer(conn, body, buf + len - body);
        return;
    }
    if (is_query(buf, "environment")) {
        answer(conn, buf, len);
        return;
    }
    if (is_query(buf, "log"))
        fprintf(stderr, "counted %d\n", count);
    answer(conn, text, snprintf(text, sizeof(text), "%d", ++count));
}
"""


def compile_with_sdk(source):
    """The module that sdk/build makes of C text."""
    source = HEADER + source

    def make(out):
        text = out.with_suffix(".c")
        text.write_text(source)
        _run([str(ROOT / "sdk" / "build"), str(text), "-o", str(out)])
        text.unlink()

    return _cached("sdk", source, "wasm", make)


def deploy(node, name, source=COUNTER, extra="", timeout="10s", check=True):
    module = compile_with_sdk(source)
    path = pathlib.Path(node.folder) / f"{name}.yaml"
    path.write_text(
        f"function: {name}\nimage: {module}\nisolation: tenant\n"
        f"limits: {{timeout: {timeout}}}\n{extra}" + http_trigger(f"/{name}")
    )
    return node.cli("deploy", path, check=check)


def get(node, path, **options):
    return requests.get(node.http_url + path, timeout=60, **options)


def test_state_stays(shared_node):
    deploy(shared_node, "numbers")
    with requests.Session() as session:
        for expected in range(1, 201):
            answer = session.get(shared_node.http_url + "/numbers", timeout=60)
            assert (answer.status_code, answer.text) == (200, str(expected))
    # Each count is given once, in whatever order the clients come.
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        texts = list(pool.map(lambda _: get(shared_node, "/numbers").text, range(320)))
    assert sorted(map(int, texts)) == list(range(201, 521))


def test_sample(shared_node, sample_dir):
    manifest = sample_dir / "counter" / "manifest.yaml"
    for _ in range(2):
        shared_node.cli("deploy", manifest)
        assert [get(shared_node, "/f/counter").text for _ in range(2)] == ["1\n", "2\n"]


def test_message(shared_node):
    deploy(shared_node, "message", extra='config: {COLOUR: "green\\nHTTP_EVIL=yes"}\n')
    url = shared_node.http_url + "/message/below%0aHTTP_EVIL=yes?environment"
    answer = requests.post(url, data=b"the\n\nbody", timeout=60)
    assert answer.status_code == 200
    environment, body = answer.text.split("\n\n", 1)
    seen = dict(line.split("=", 1) for line in environment.split("\n"))
    assert body == "the\n\nbody"
    assert seen["REQUEST_METHOD"] == "POST"
    assert seen["QUERY_STRING"] == "environment"
    assert seen["CONTENT_LENGTH"] == "9"
    assert seen["COLOUR"] == "green HTTP_EVIL=yes"
    assert seen["PATH_INFO"] == "/below HTTP_EVIL=yes"
    assert "HTTP_EVIL" not in seen
    answer = requests.post(shared_node.http_url + "/message?echo", data=b"x" * 5000, timeout=60)
    assert answer.text == "x" * 5000
    # By Lambda's interface, too.
    url = shared_node.http_url + "/2015-03-31/functions/message/invocations"
    assert requests.post(url, data=b"{}", timeout=60).text == "Content-Type: text/plain\n\n1"


def test_too_long(shared_node):
    deploy(shared_node, "long")
    assert get(shared_node, "/long").text == "1"
    for size in (9_000, 40_000, 3_000_000):
        answer = requests.post(shared_node.http_url + "/long", data=b"x" * size, timeout=60)
        assert answer.status_code == 500
    logs = shared_node.cli("function", "logs", "long").stdout
    assert "longer than the function's buffers" in logs
    assert "too long for a message" in logs
    assert get(shared_node, "/long").text == "2"


def test_trap(shared_node):
    deploy(shared_node, "trap")
    assert [get(shared_node, "/trap").text for _ in range(2)] == ["1", "2"]
    assert get(shared_node, "/trap?trap").status_code == 500
    assert "unreachable executed" in shared_node.cli("function", "logs", "trap").stdout
    assert get(shared_node, "/trap").text == "1"


@pytest.mark.parametrize("how", ["hang", "mute"])
def test_timeout(shared_node, how):
    deploy(shared_node, how, timeout="300ms")
    assert get(shared_node, f"/{how}").text == "1"
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        late = pool.submit(get, shared_node, f"/{how}?{how}")
        assert late.result().status_code == 504
    assert get(shared_node, f"/{how}").text == "1"
    assert "its state is lost" in shared_node.cli("function", "logs", how).stdout


def test_spoilt_rings(shared_node):
    deploy(shared_node, "spoil")
    deploy(shared_node, "innocent")
    for round in range(1, 6):
        assert get(shared_node, "/spoil?spoil").status_code == 500
        assert get(shared_node, "/spoil").text == "1"
        assert get(shared_node, "/innocent").text == str(round)
    assert "rings are nonsense" in shared_node.cli("function", "logs", "spoil").stdout
    assert shared_node.cli_json("status")["cell"]["restarts"] == 0


def test_log(shared_node):
    deploy(shared_node, "log")
    assert get(shared_node, "/log?log").text == "1"
    assert "counted 0" in shared_node.cli("function", "logs", "log").stdout


def test_redeploy_and_tenants(shared_node):
    deploy(shared_node, "again")
    assert [get(shared_node, "/again").text for _ in range(2)] == ["1", "2"]
    deploy(shared_node, "again")
    assert get(shared_node, "/again").text == "1"
    deploy(shared_node, "again", COUNTER.replace("++count", "++count + 100"))
    assert get(shared_node, "/again").text == "101"
    # The same module for two tenants.
    for name in ("one", "two"):
        deploy(shared_node, name, extra=f"tenant: {name}\n")
    for expected in ("1", "2"):
        assert get(shared_node, "/one").text == expected
        assert get(shared_node, "/two").text == expected


def test_restart(node):
    deploy(node, "counter")
    assert [get(node, "/counter").text for _ in range(2)] == ["1", "2"]
    node.stop()
    node.start()
    wait_for(lambda: get(node, "/counter").status_code == 200, "an answer")
    assert get(node, "/counter").text == "2"


def test_object_event(shared_node):
    """An event is a message, too; the answer's bytes do not matter."""
    s3 = shared_node.s3()
    s3.create_bucket(Bucket="inbox")
    deploy(
        shared_node,
        "events",
        COUNTER.replace("if (is_query(buf, \"log\"))", "if (strstr(buf, \"s3:\") || strstr(buf, \"Object\"))"),
    )
    path = pathlib.Path(shared_node.folder) / "events.yaml"
    path.write_text(path.read_text() + "  - object: {bucket: inbox}\n")
    shared_node.cli("deploy", path)
    for number in range(3):
        s3.put_object(Bucket="inbox", Key=f"key{number}", Body=b"x")
    wait_for(
        lambda: "counted 2" in shared_node.cli("function", "logs", "events").stdout, "the events"
    )


def test_refusals(shared_node, tmp_path):
    module = compile_with_sdk(COUNTER)
    path = tmp_path / "wrong.yaml"
    path.write_text(f"function: wrong\nimage: {module}\n")
    result = shared_node.cli("deploy", path, check=False)
    assert result.returncode != 0
    assert "write `isolation: tenant` into its manifest" in result.stderr
    program = compile_with_sdk("int main(void) { return 0; }")
    path.write_text(f"function: wrong\nimage: {program}\nisolation: tenant\n")
    result = shared_node.cli("deploy", path, check=False)
    assert result.returncode != 0 and "exports _start" in result.stderr
    deployed = shared_node.cli("function", "list").stdout
    assert "wrong" not in deployed
    result = run_edgeos("run", module, check=False)
    assert result.returncode != 0
    assert "needs a node" in result.stderr and result.stderr.count("\n") == 1


if "EDGEOS_LONG" in os.environ:

    def test_idle(shared_node):
        deploy(shared_node, "idle")
        assert [get(shared_node, "/idle").text for _ in range(2)] == ["1", "2"]
        time.sleep(35)  # longer than an idle one is kept
        assert get(shared_node, "/idle").text == "1"
