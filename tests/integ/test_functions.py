"""Functions: deployed, called by HTTP, triggered by objects."""
import concurrent.futures
import http.client
import json
import socket
import time
import urllib.parse
import uuid

import pytest
import requests
from edgeos_functions import (
    deploy_c, http_trigger, keys, object_trigger, wait_for_object,
)  # fmt: skip
from edgeos_node import ROOT, wait_for
from edgeos_wasm import compile_wat

TEXT = 'puts("Content-Type: text/plain\\n");'


def get(node, path, **options):
    return requests.get(node.http_url + path, timeout=60, **options)


# HTTP


def test_hello(shared_node, sample_dir):
    shared_node.cli("deploy", sample_dir / "hello" / "manifest.yaml")
    answer = get(shared_node, "/hello?name=J%C3%BCrgen")
    assert (answer.status_code, answer.text) == (200, "Hello, Jürgen!\n")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    # By its name, and below its path, too.
    assert get(shared_node, "/f/hello").text == "Hello, world!\n"
    assert get(shared_node, "/hello/below?name=x").text == "Hello, x!\n"
    assert get(shared_node, "/helloworld").status_code == 404
    shown = shared_node.cli_json("function", "show", "hello")
    assert "hello" in json.dumps(shown)
    assert "hello" in json.dumps(shared_node.cli_json("function", "list"))
    assert "/hello" in shared_node.cli("function", "list").stdout


def test_assemblyscript(shared_node, sample_dir):
    shared_node.cli("deploy", sample_dir / "wordcount" / "manifest.yaml")
    url = shared_node.http_url + "/wordcount?top=1"
    answer = requests.post(url, data="a b a\n" * 10_000, timeout=60).json()
    assert answer["words"] == 30_000
    assert answer["top"] == [{"word": "a", "count": 20_000}]
    # The manifest names POST only.
    assert get(shared_node, "/wordcount").status_code == 405


def test_cgi_environment(shared_node):
    deploy_c(
        shared_node,
        "cgi",
        "extern char **environ;\n"
        "int main(void) {" + TEXT + "for (char **e = environ; *e; e++) puts(*e); }",
        http_trigger("/cgi") + "config: {COLOUR: green}\n",
    )
    answer = requests.put(
        shared_node.http_url + "/cgi/a%20b/c?x=1&y=%26",
        data=b"12345",
        headers={"X-Test-Header": "yes", "Content-Type": "text/x-thing", "Proxy": "evil"},
        timeout=60,
    )
    seen = dict(line.split("=", 1) for line in answer.text.splitlines() if "=" in line)
    host = urllib.parse.urlparse(shared_node.http_url)
    expected = {
        "REQUEST_METHOD": "PUT",
        "QUERY_STRING": "x=1&y=%26",
        "PATH_INFO": "/a b/c",
        "SCRIPT_NAME": "/cgi",
        "CONTENT_LENGTH": "5",
        "CONTENT_TYPE": "text/x-thing",
        "HTTP_X_TEST_HEADER": "yes",
        "GATEWAY_INTERFACE": "CGI/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "SERVER_PORT": str(host.port),
        "COLOUR": "green",
    }
    assert {key: seen.get(key) for key in expected} == expected
    assert "HTTP_PROXY" not in seen  # a client must not set what programs take for a proxy


def test_body_status_and_headers(shared_node):
    deploy_c(
        shared_node,
        "echo",
        'int main(void) { int c; fputs("Status: 201 Made\\r\\nX-A: b\\r\\n'
        'Content-Type: application/octet-stream\\r\\n\\r\\n", stdout);'
        "while ((c = getchar()) != EOF) putchar(c); }",
        http_trigger("/echo"),
    )
    for size in (0, 1, 65_536, 3_000_000):
        body = bytes(i * 7 % 256 for i in range(1000)) * (size // 1000 + 1)
        body = body[:size]
        answer = requests.post(shared_node.http_url + "/echo", data=body, timeout=60)
        assert answer.status_code == 201
        assert answer.headers["X-A"] == "b"
        assert answer.content == body
    head = requests.head(shared_node.http_url + "/echo", timeout=60)
    assert (head.status_code, head.content) == (201, b"")


def test_chunked_request_body(shared_node):
    deploy_c(
        shared_node,
        "count",
        "int main(void) { int n = 0; while (getchar() != EOF) n++; " + TEXT + 'printf("%d", n); }',
        http_trigger("/count"),
    )
    answer = requests.post(
        shared_node.http_url + "/count", data=iter([b"a" * 1000] * 100), timeout=60
    )
    assert answer.text == "100000"


@pytest.mark.parametrize(
    "name, body, status",
    [
        ("trap", "__builtin_trap();", 500),
        ("code", "return 3;", 500),
        ("garbage", 'fputs("no header here", stdout);', 502),
        ("silent", "", 502),
        ("forever", "for (volatile int i = 0;; i++);", 504),
        ("sleeper", "for (;;) sleep(100);", 504),
        ("flood", "for (;;) puts(\"x: 0123456789012345678901234567890123456789\");", 502),
    ],
)
def test_functions_that_fail(shared_node, name, body, status):
    deploy_c(
        shared_node,
        name,
        "int main(void) { " + body + " return 0; }",
        http_trigger(f"/{name}") + "limits: {timeout: 1s}\n",
    )
    answer = get(shared_node, f"/{name}")
    # A flood may reach its time limit before its output limit.
    allowed = (status, 504) if name == "flood" else (status,)
    assert answer.status_code in allowed, answer.text
    assert get(shared_node, "/healthz").status_code == 200


def test_a_failed_function_says_why_in_its_log(shared_node):
    deploy_c(
        shared_node,
        "grumble",
        'int main(void) { fputs("about to fail\\nsecond line\\n", stderr); __builtin_trap(); }',
        http_trigger("/grumble"),
    )
    answer = get(shared_node, "/grumble")
    assert answer.status_code == 500
    log = wait_for(
        lambda: shared_node.cli("function", "logs", "grumble").stdout, "the function's log"
    )
    assert "about to fail" in log and "second line" in log and "unreachable" in log
    # The client is not told what goes on inside.
    assert "about to fail" not in answer.text


def test_memory_limit(shared_node):
    deploy_c(
        shared_node,
        "greedy",
        "int main(void) { int n = 0; while (n < 64) { char *volatile p = malloc(1 << 20); if (!p) break;"
        " memset(p, 1, 1 << 20); n++; } " + TEXT + 'printf("%d", n); }',
        http_trigger("/greedy") + "limits: {memory: 8MiB}\n",
    )
    assert 4 <= int(get(shared_node, "/greedy").text) <= 8


def test_instances_do_not_see_each_other(shared_node):
    deploy_c(
        shared_node,
        "counter",
        "static int n;\nint main(void) { FILE *f = fopen(\"/tmp/x\", \"r\"); n++; " + TEXT +
        'printf("%d %d", n, f != NULL); f = fopen("/tmp/x", "w"); if (!f) return 1;'
        ' fputs("was here", f); return fclose(f); }',
        http_trigger("/counter"),
    )  # fmt: skip
    for _ in range(20):
        assert get(shared_node, "/counter").text == "1 0"


def test_many_at_once(shared_node):
    deploy_c(
        shared_node,
        "echoquery",
        "int main(void) { usleep(20000); " + TEXT + 'fputs(getenv("QUERY_STRING"), stdout); }',
        http_trigger("/echoquery"),
    )
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(lambda i: get(shared_node, f"/echoquery?{i}").text, range(300)))
    assert answers == [str(i) for i in range(300)]


def test_slow_functions_do_not_hold_up_others(shared_node, sample_dir):
    shared_node.cli("deploy", sample_dir / "hello" / "manifest.yaml")
    deploy_c(
        shared_node,
        "nap",
        "int main(void) { sleep(4); " + TEXT + "}",
        http_trigger("/nap") + "limits: {timeout: 20s}\n",
    )
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        naps = [pool.submit(get, shared_node, "/nap") for _ in range(8)]
        time.sleep(0.5)
        start = time.monotonic()
        assert get(shared_node, "/hello").status_code == 200
        took = time.monotonic() - start
        unfinished = sum(not nap.done() for nap in naps)
        assert all(nap.result().status_code == 200 for nap in naps)
    assert unfinished == 8, f"hello took {took} s"


def test_concurrency_limit_queues(shared_node):
    deploy_c(
        shared_node,
        "single",
        "int main(void) { usleep(50000); " + TEXT + "}",
        http_trigger("/single") + "limits: {concurrency: 1, timeout: 20s}\n",
    )
    start = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        codes = list(pool.map(lambda _: get(shared_node, "/single").status_code, range(10)))
    assert codes == [200] * 10
    assert time.monotonic() - start >= 0.5  # ten times 50 ms, one after the other


def test_client_that_leaves(shared_node):
    deploy_c(
        shared_node,
        "slow",
        "int main(void) { sleep(1); " + TEXT + "}",
        http_trigger("/slow"),
    )
    address = urllib.parse.urlparse(shared_node.http_url)
    for _ in range(20):
        with socket.create_connection((address.hostname, address.port)) as client:
            client.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
    assert get(shared_node, "/slow").status_code == 200


# What is not HTTP


@pytest.mark.parametrize(
    "request_bytes, codes",
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", (400,)),
        (b"GET /hello\r\n\r\n", (200, 400, 404, 505)),
        (b"GET /healthz HTTP/1.1\r\n\r\n", (400,)),  # no Host
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 40_000 + b"\r\n\r\n", (431, 413, 400)),
        (b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", (414, 431, 400)),
        (b"POST /hello HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", (400, 413)),
        (b"POST /hello HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
         (400, 413)),
        (b"GET /%00 HTTP/1.1\r\nHost: x\r\n\r\n", (400, 404)),
        (b"GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n", (400, 404)),
        (b"GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n", (400, 404)),
    ],
    ids=lambda value: repr(value[:30]) if isinstance(value, bytes) else "",
)  # fmt: skip
def test_malformed_http(shared_node, request_bytes, codes):
    address = urllib.parse.urlparse(shared_node.http_url)
    with socket.create_connection((address.hostname, address.port), timeout=30) as client:
        client.sendall(request_bytes)
        data = b""
        while b"\r\n\r\n" not in data and (chunk := client.recv(65536)):
            data += chunk
    # Closing without an answer is allowed for what is not HTTP at all.
    if data:
        assert int(data.split(b" ", 2)[1]) in codes, data[:200]
    assert get(shared_node, "/healthz").status_code == 200


def test_keep_alive(shared_node, sample_dir):
    shared_node.cli("deploy", sample_dir / "hello" / "manifest.yaml")
    address = urllib.parse.urlparse(shared_node.http_url)
    client = http.client.HTTPConnection(address.hostname, address.port, timeout=60)
    client.connect()
    client.auto_open = 0  # a new connection would be an error
    for i in range(50):
        client.request("GET", f"/hello?name={i}")
        assert client.getresponse().read() == f"Hello, {i}!\n".encode()


# Objects


def test_downsample(node, sample_dir, weather):
    s3 = node.s3()
    for bucket in ("raw", "cooked"):
        s3.create_bucket(Bucket=bucket)
    node.cli("deploy", sample_dir / "downsample" / "manifest.yaml")
    node.cli("deploy", sample_dir / "downsample" / "daily.yaml")
    data = (weather / "seattle-weather-hourly-normals.csv").read_bytes()
    s3.put_object(Bucket="raw", Key="site 1/täglich/h.csv", Body=data)
    hourly = wait_for_object(s3, "cooked", "site 1/täglich/h.hour.csv").decode().splitlines()
    daily = wait_for_object(s3, "cooked", "site 1/täglich/h.day.csv").decode().splitlines()
    assert len(hourly) == 8760
    assert len(daily) == 366
    assert daily[0].startswith("time,pressure_min,pressure_mean,pressure_max,temperature_min")
    assert daily[1].startswith("2010-01-01T00:00:00Z,1016.3,1016.63")
    # Other suffixes do not trigger.
    s3.put_object(Bucket="raw", Key="notes.txt", Body=b"none of its business")
    s3.put_object(Bucket="raw", Key="b.csv", Body=b"date,x\n2020-01-01,1\n2020-01-01,3\nrubbish\n")
    text = wait_for_object(s3, "cooked", "b.day.csv").decode()
    assert text == "time,x_min,x_mean,x_max\n2020-01-01T00:00:00Z,1,2,3\n"
    wait_for_object(s3, "cooked", "b.hour.csv")
    assert not [key for key in keys(s3, "cooked") if "notes" in key]
    assert "1 bad" in node.cli("function", "logs", "daily").stdout


def test_event_and_bucket_directories(node):
    """The event on standard input, the object in both places, and what is not granted."""
    s3 = node.s3()
    for bucket in ("inbox", "outbox", "private"):
        s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket="inbox", Key="other/1.txt", Body=b"one")
    s3.put_object(Bucket="private", Key="secret", Body=b"secret")
    deploy_c(
        node,
        "look",
        r"""
        #include <dirent.h>
        #include <errno.h>
        static void copy(FILE *out, const char *label, const char *path) {
            char text[8192]; FILE *f = fopen(path, "r");
            fprintf(out, "%s=", label);
            if (!f) { fprintf(out, "errno\n"); return; }
            text[fread(text, 1, sizeof text - 1, f)] = 0; fclose(f);
            fprintf(out, "%s\n", text);
        }
        int main(void) {
            char event[8192]; event[fread(event, 1, sizeof event - 1, stdin)] = 0;
            FILE *out = fopen("/outbox/result", "w");
            if (!out) return 1;
            fprintf(out, "event=%s\n", event);
            copy(out, "object", "/event/object");
            copy(out, "same", "/inbox/dir/new.txt");
            copy(out, "other", "/inbox/other/1.txt");
            copy(out, "private", "/private/secret");
            copy(out, "up", "/inbox/../private/secret");
            copy(out, "etc", "/etc/passwd");
            fprintf(out, "write=%d\n", fopen("/inbox/x", "w") != NULL);
            fprintf(out, "read=%d\n", fopen("/outbox/old", "r") != NULL);
            fprintf(out, "unlink=%d\n", unlink("/inbox/dir/new.txt"));
            DIR *dir = opendir("/inbox");
            fprintf(out, "list=");
            for (struct dirent *e; dir && (e = readdir(dir));)
                if (e->d_name[0] != '.') fprintf(out, "%s,", e->d_name);
            fprintf(out, "\n");
            return fclose(out) ? 2 : 0;
        }
        """,
        object_trigger("inbox", "outbox", ", prefix: dir/"),
    )
    s3.put_object(Bucket="inbox", Key="dir/new.txt", Body=b"new object")
    text = wait_for_object(s3, "outbox", "result").decode()
    seen = dict(line.split("=", 1) for line in text.splitlines())
    event = json.loads(seen["event"])["Records"][0]
    assert event["eventVersion"] == "2.1"
    assert event["eventName"] == "ObjectCreated:Put"
    assert event["s3"]["bucket"]["name"] == "inbox"
    assert event["s3"]["object"]["key"] == "dir/new.txt"
    assert event["s3"]["object"]["size"] == 10
    assert seen["object"] == seen["same"] == "new object"
    assert seen["other"] == "one"
    assert seen["private"] == seen["up"] == seen["etc"] == "errno"
    assert (seen["write"], seen["unlink"]) == ("0", "-1")
    assert sorted(seen["list"].strip(",").split(",")) == ["dir", "other"]
    assert keys(s3, "inbox") == ["dir/new.txt", "other/1.txt"]
    assert keys(s3, "outbox") == ["result"]


@pytest.mark.parametrize(
    ("end", "is_saved"),
    [("return 0;", True), ("exit(0);", True), ("_Exit(0);", True), ("return 3;", False),
     ("_Exit(3);", False), ("abort();", False)],
)  # fmt: skip
def test_file_left_open(shared_node, end, is_saved):
    """A good end closes what is open; whatever else happens, half a file is no object."""
    s3 = shared_node.s3()
    bucket = f"left-open-{uuid.uuid4().hex[:8]}"
    s3.create_bucket(Bucket=bucket)
    deploy_c(
        shared_node,
        "forget",
        'int main(void) { FILE *f = fopen("/' + bucket + '/left", "w"); if (!f) return 9;'
        ' fputs("left open", f); fflush(f); ' + end + " }",
        "grants: [{bucket: " + bucket + ", access: write}]\n" + http_trigger("/forget"),
    )
    get(shared_node, "/forget")
    assert keys(s3, bucket) == (["left"] if is_saved else [])


def test_read_write_grant(node):
    """Rename, unlink and append are object operations where reading and writing are granted."""
    s3 = node.s3()
    s3.create_bucket(Bucket="work")
    deploy_c(
        node,
        "edit",
        r"""
        int main(void) {
            FILE *f = fopen("/work/a", "w"); if (!f || fputs("first", f) < 0 || fclose(f)) return 1;
            if (rename("/work/a", "/work/b")) return 2;
            if (fopen("/work/a", "r")) return 3;
            f = fopen("/work/c", "w"); if (!f || fclose(f)) return 4;
            if (unlink("/work/c")) return 5;
            char text[16] = ""; f = fopen("/work/b", "r");
            if (!f || !fgets(text, sizeof text, f) || strcmp(text, "first")) return 6;
            fputs("Content-Type: text/plain\n\nfine", stdout);
            return 0;
        }
        """,
        "grants:\n  - {bucket: work, access: read-write}\n" + http_trigger("/edit"),
    )
    answer = get(node, "/edit")
    assert (answer.status_code, answer.text) == (200, "fine"), node.cli("function", "logs", "edit")
    assert keys(s3, "work") == ["b"]


def test_event_is_retried_then_goes_to_the_dead_letters(node):
    s3 = node.s3()
    for bucket in ("inbox", "failed"):
        s3.create_bucket(Bucket=bucket)
    deploy_c(
        node,
        "fails",
        'int main(void) { fputs("attempt\\n", stderr); return 1; }',
        object_trigger("inbox") + "retry: {attempts: 3, backoff: 50ms, dead_letter: failed}\n",
    )
    s3.put_object(Bucket="inbox", Key="x", Body=b"")
    wait_for(lambda: keys(s3, "failed"), "the dead letter")
    assert node.cli("function", "logs", "fails").stdout.count("attempt\n") == 3
    (key,) = keys(s3, "failed")
    letter = json.loads(s3.get_object(Bucket="failed", Key=key)["Body"].read())
    assert key.startswith("fails/")
    assert (letter["function"], letter["attempts"]) == ("fails", 3)
    assert letter["event"]["Records"][0]["s3"]["object"]["key"] == "x"


def test_object_removed_before_its_event(node):
    """The event of an object that is gone ends after its attempts; those behind it go on."""
    s3 = node.s3()
    for bucket in ("inbox", "outbox"):
        s3.create_bucket(Bucket=bucket)
    deploy_c(
        node,
        "size",
        "int main(void) { usleep(300000); FILE *f = fopen(\"/event/object\", \"r\");"
        ' if (!f) return 1; f = fopen("/outbox/seen", "w"); return !f || fclose(f); }',
        object_trigger("inbox", "outbox")
        + "retry: {attempts: 2, backoff: 50ms}\nlimits: {concurrency: 1}\n",
    )
    for i in range(5):
        s3.put_object(Bucket="inbox", Key=f"x{i}", Body=b"there")
        s3.delete_object(Bucket="inbox", Key=f"x{i}")
    s3.put_object(Bucket="inbox", Key="last", Body=b"there")
    wait_for_object(s3, "outbox", "seen", 60)


def test_result_that_triggers_the_next_function(node):
    """a → b → c: each result is an event."""
    s3 = node.s3()
    for bucket in ("first", "second", "third"):
        s3.create_bucket(Bucket=bucket)
    for source, target in (("first", "second"), ("second", "third")):
        deploy_c(
            node,
            f"{source}-{target}",
            'int main(void) { char t[99] = ""; FILE *f = fopen("/event/object", "r");'
            ' if (!f || !fgets(t, sizeof t, f)) return 1; f = fopen("/' + target + '/x", "w");'
            ' if (!f) return 2; fprintf(f, "%s+", t); return fclose(f); }',
            object_trigger(source, target),
        )
    s3.put_object(Bucket="first", Key="x", Body=b"a")
    assert wait_for_object(s3, "third", "x") == b"a++"


def test_many_objects(node):
    """Each of many objects has its result: no event is lost."""
    s3 = node.s3()
    for bucket in ("inbox", "outbox"):
        s3.create_bucket(Bucket=bucket)
    deploy_c(
        node,
        "copy",
        f'#include "{ROOT / "sdk" / "c" / "event.c"}"\n'
        "int main(void) { struct event e; char path[2048], t[99]; FILE *f; size_t n;"
        " if (event_read(stdin, &e)) return 1;"
        ' event_result_path(&e, "/outbox", "", path, sizeof path);'
        ' f = fopen(EVENT_OBJECT, "r"); n = fread(t, 1, sizeof t, f); f = fopen(path, "w");'
        " fwrite(t, 1, n, f); return fclose(f); }",
        object_trigger("inbox", "outbox"),
    )

    def put(i):
        s3.put_object(Bucket="inbox", Key=f"k/{i:03}", Body=str(i).encode())

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(put, range(200)))
    wait_for(lambda: len(keys(s3, "outbox")) == 200, "200 results", 60)
    for i in (0, 99, 199):
        assert s3.get_object(Bucket="outbox", Key=f"k/{i:03}")["Body"].read() == str(i).encode()


# Invoke, deploy, remove


def test_invoke(shared_node):
    deploy_c(
        shared_node,
        "upper",
        "#include <ctype.h>\n"
        "int main(void) { int c; while ((c = getchar()) != EOF) putchar(toupper(c)); }",
    )
    result = shared_node.cli("function", "invoke", "upper", "-", stdin=b'{"a": "b"}')
    assert result.stdout == '{"A": "B"}'


def test_deploy_from_the_command_line(node, samples, tmp_path):
    s3 = node.s3()
    for bucket in ("inbox", "thumbnails"):
        node.cli("bucket", "create", bucket)
    node.cli("deploy", "greet", samples / "hello.wasm", "--http", "/greet")
    assert get(node, "/greet").text == "Hello, world!\n"
    assert "/greet" in node.cli("function", "show", "greet").stdout
    node.cli(
        "deploy", "thumbs", samples / "thumbnail.wasm",
        "--on-object", "inbox/cam", "--read", "inbox", "--write", "thumbnails",
    )  # fmt: skip
    picture = b"P6 4 2 255\n" + bytes(range(24))
    s3.put_object(Bucket="inbox", Key="elsewhere.ppm", Body=picture)
    s3.put_object(Bucket="inbox", Key="cam1/a.ppm", Body=picture)
    png = wait_for_object(s3, "thumbnails", "cam1/a.png")
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    assert keys(s3, "thumbnails") == ["cam1/a.png"]


def test_redeploy_replaces(node):
    for word in ("one", "two"):
        deploy_c(
            node, "word", "int main(void) { " + TEXT + f'puts("{word}"); }}', http_trigger("/word")
        )
        assert get(node, "/word").text == f"{word}\n"
    assert len(node.cli_json("function", "list")["functions"]) == 1


def test_remove(node, sample_dir):
    node.cli("deploy", sample_dir / "hello" / "manifest.yaml")
    assert get(node, "/hello").status_code == 200
    node.cli("function", "rm", "hello")
    assert get(node, "/hello").status_code == 404
    assert get(node, "/f/hello").status_code == 404
    assert node.cli("function", "rm", "hello", check=False).returncode == 1
    node.restart()
    assert get(node, "/hello").status_code == 404


def test_two_functions_cannot_have_one_path(node, sample_dir, samples):
    node.cli("deploy", sample_dir / "hello" / "manifest.yaml")
    result = node.cli("deploy", "other", samples / "hello.wasm", "--http", "/hello", check=False)
    assert result.returncode == 1
    assert "/hello" in result.stderr
    assert get(node, "/f/other").status_code == 404


BAD_MANIFESTS = {
    "not YAML": ("function: [", None),
    "tab": ("function: x\n\timage: y\n", 2),
    "unknown key": ("function: x\nimage: m.wasm\ncolour: red\n", 3),
    "no name": ("image: m.wasm\n", None),
    "bad name": ("function: Not OK\nimage: m.wasm\n", 1),
    "bad size": ("function: x\nimage: m.wasm\nlimits: {memory: lots}\n", 3),
    "bad duration": ("function: x\nimage: m.wasm\nlimits:\n  timeout: 5 parsecs\n", 4),
    "bad trigger": ("function: x\nimage: m.wasm\ntriggers:\n  - telepathy: {}\n", 4),
    "bad path": ("function: x\nimage: m.wasm\ntriggers:\n  - http: {path: nope}\n", 4),
    "bad access": ("function: x\nimage: m.wasm\ngrants:\n  - {bucket: raw, access: all}\n", 4),
    "twice": ("function: x\nimage: m.wasm\nfunction: y\n", 3),
    "triggers itself": (
        "function: x\nimage: m.wasm\ngrants:\n  - {bucket: raw, access: write}\ntriggers:\n"
        "  - object: {bucket: raw, events: [ObjectCreated]}\n",
        None,
    ),
    "not a mapping": ("- a\n- b\n", 1),
    "empty": ("", None),
}


@pytest.mark.parametrize("name", BAD_MANIFESTS)
def test_bad_manifest_names_file_and_line(shared_node, samples, tmp_path, name):
    text, line = BAD_MANIFESTS[name]
    (tmp_path / "m.wasm").write_bytes((samples / "hello.wasm").read_bytes())
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    before = shared_node.cli("function", "list").stdout
    result = shared_node.cli("deploy", path, check=False)
    assert result.returncode == 1, result
    assert len(result.stderr.strip().splitlines()) == 1, result.stderr
    assert "bad.yaml" in result.stderr
    if line:
        assert f"bad.yaml:{line}" in result.stderr, result.stderr
    assert shared_node.cli("function", "list").stdout == before


def test_bad_module_is_not_deployed(shared_node, tmp_path):
    (tmp_path / "bad.wasm").write_bytes(b"\0asm\1\0\0\0 not really")
    result = shared_node.cli("deploy", "bad", tmp_path / "bad.wasm", check=False)
    assert result.returncode == 1 and "bad" in result.stderr
    text = '(module (import "env" "magic" (func)) (func (export "_start") (call 0)))'
    result = shared_node.cli("deploy", "bad", compile_wat(text), check=False)
    assert result.returncode == 1 and "magic" in result.stderr
    assert get(shared_node, "/f/bad").status_code == 404


def test_counters(shared_node, sample_dir):
    shared_node.cli("deploy", sample_dir / "hello" / "manifest.yaml")
    get(shared_node, "/hello")
    answer = get(shared_node, "/metrics")
    assert answer.status_code == 200
    for line in answer.text.splitlines():
        assert line.startswith("#") or len(line.rsplit(" ", 1)) == 2, line
