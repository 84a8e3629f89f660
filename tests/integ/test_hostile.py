"""What a hostile client, module, guest or moment may do: the node goes on, and stops when told."""
import concurrent.futures
import os
import signal
import socket
import subprocess
import time
import urllib.parse

import pytest
import requests
from edgeos_functions import deploy_c, http_trigger, keys, object_trigger
from edgeos_node import EDGEOS, process_name, processes_below, run_edgeos, wait_for
from edgeos_wasm import compile_wat

TEXT = 'puts("Content-Type: text/plain\\n");'


def address(url):
    parsed = urllib.parse.urlparse(url)
    return parsed.hostname, parsed.port


def raw(url, data, timeout_s=20):
    """Everything that is answered to DATA until the connection ends or nothing more comes."""
    with socket.create_connection(address(url), timeout=timeout_s) as connection:
        connection.sendall(data)
        answer = b""
        try:
            while part := connection.recv(65536):
                answer += part
        except (TimeoutError, ConnectionResetError):
            pass
    return answer


def status_of(url, data):
    """The status of the first answer to DATA."""
    with socket.create_connection(address(url), timeout=20) as connection:
        connection.sendall(data)
        line = connection.makefile("rb").readline()
    return int(line.split()[1]) if line else 0


def slow_module():
    """A module that takes the compiler a while: many functions with much in them."""
    body = "".join(
        f"(local.set 0 (i32.rotl (i32.add (local.get 0) (i32.const {i})) (i32.const {i % 31})))"
        f"(if (i32.eqz (local.get 0)) (then (return (call $f{i % 7} (local.get 0)))))"
        for i in range(1500)
    )
    functions = "".join(
        f"(func $f{n} (param i32) (result i32) {body} (local.get 0))" for n in range(40)
    )
    return compile_wat(
        f'(module (memory (export "memory") 1) {functions}'
        ' (func (export "_start") (drop (call $f0 (i32.const 1)))))'
    )


# Stopping


def start_deploy(node):
    """A deploy that is compiling when this returns."""
    process = subprocess.Popen(
        [EDGEOS, "deploy", "slow", slow_module()],
        env={**os.environ, "EDGEOS_DATA": str(node.data_dir)},
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for(lambda: compilers(node), "the compiler")
    return process


def compilers(node):
    return [pid for pid in processes_below(node.edged_pid()) if "cc1" in process_name(pid)]


def work(node):
    return os.listdir(node.data_dir / "work")


def test_stop_while_a_deploy_compiles(node):
    deploy = start_deploy(node)
    started = compilers(node)
    begin = time.monotonic()
    node.process.send_signal(signal.SIGTERM)
    assert node.process.wait(60) == 0
    assert time.monotonic() - begin < 20, "it waited for the compiler"
    assert deploy.wait(30) == 1
    assert len(deploy.stderr.read().splitlines()) == 1
    wait_for(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in started), "the compiler")
    assert work(node) == []


def test_kill9_while_a_deploy_compiles(node):
    deploy = start_deploy(node)
    started = compilers(node)
    os.kill(node.edged_pid(), signal.SIGKILL)
    node.process.wait(30)
    assert deploy.wait(30) == 1
    wait_for(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in started), "the compiler")
    node.kill_group()
    (node.data_dir / "images" / ".left.fwp.0123456789abcdef").write_bytes(b"half")
    node.start()
    assert work(node) == []
    assert not [n for n in os.listdir(node.data_dir / "images") if n.startswith(".")]


def test_stop_with_everything_under_way(node):
    """Slow uploads, slow functions, idle connections: none of them holds the node up."""
    deploy_c(
        node,
        "nap",
        "int main(void) { sleep(60); " + TEXT + "}",
        http_trigger("/nap") + "limits: {timeout: 120s}\n",
    )
    s3 = node.s3()
    s3.create_bucket(Bucket="data")
    s3.put_object(Bucket="data", Key="kept", Body=b"x" * 100_000)
    url = s3.generate_presigned_url("put_object", Params={"Bucket": "data", "Key": "half"})
    path = url.partition(node.s3_url)[2]
    connections = []
    for target, data in [
        (node.s3_url, f"PUT {path} HTTP/1.1\r\nHost: {urllib.parse.urlparse(url).netloc}\r\n"
                      "Content-Length: 1000000\r\n\r\nabc"),
        (node.s3_url, "GET / HT"),
        (node.s3_url, ""),
        (node.http_url, "GET /nap HTTP/1.1\r\nHost: x\r\n\r\n"),
        (node.http_url, "POST /nap HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc"),
        (node.http_url, "GET /n"),
    ]:  # fmt: skip
        connection = socket.create_connection(address(target))
        connection.sendall(data.encode())
        connections.append(connection)
    invoke = subprocess.Popen(
        [EDGEOS, "function", "invoke", "nap"],
        env={**os.environ, "EDGEOS_DATA": str(node.data_dir)},
        stderr=subprocess.PIPE,
    )
    wait_for(lambda: node.cli_json("status")["cell"]["calls_running"] >= 2, "the calls")
    node.process.send_signal(signal.SIGTERM)
    assert node.process.wait(20) == 0
    assert invoke.wait(20) == 1
    for connection in connections:
        connection.close()
    node.kill_group()
    node.start()
    assert node.s3().get_object(Bucket="data", Key="kept")["Body"].read() == b"x" * 100_000
    assert keys(node.s3(), "data") == ["kept"]


def test_closed_standard_streams(node):
    """What is printed must not end in a file that got the number of a closed stream."""
    node.restart()  # the configuration names the ports from now on
    node.stop()
    command = f'exec "{EDGEOS}" up -c "{node.config_file}" --data "{node.data_dir}" <&- >&- 2>&-'
    node.process = subprocess.Popen(["sh", "-c", command], stdout=subprocess.PIPE)
    wait_for(lambda: requests_ok(node), "the node")
    fds = os.listdir(f"/proc/{node.edged_pid()}/fd")
    targets = [os.readlink(f"/proc/{node.edged_pid()}/fd/{fd}") for fd in "012" if fd in fds]
    assert targets == ["/dev/null"] * 3
    node.process.send_signal(signal.SIGTERM)
    assert node.process.wait(20) == 0


def requests_ok(node):
    try:
        return requests.get(node.http_url + "/readyz", timeout=5).status_code == 200
    except requests.RequestException:
        return False


def test_second_signal_does_not_wait(node):
    pids = node.pids()
    node.process.send_signal(signal.SIGTERM)
    node.process.send_signal(signal.SIGTERM)
    assert node.process.wait(20) in (0, 1)
    wait_for(lambda: not any(os.path.exists(f"/proc/{p}") for p in pids[1:]), "the others' end")
    node.kill_group()


# Paths and headers


def test_paths_do_not_leave_their_route(shared_node):
    show = 'int main(void) {' + TEXT + 'printf("%s|%s", getenv("SCRIPT_NAME"), getenv("PATH_INFO")); }'
    deploy_c(shared_node, "hello", show, http_trigger("/hello"))

    def get(path):
        return raw(
            shared_node.http_url,
            f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode(),
        )

    for path in ("/hello/..", "/hello/../x", "/hello/%2e%2e/x", "/hello/%2E/", "/hello%2f..%2fx",
                 "/f/hello/..", "/f/hello/../x"):  # fmt: skip
        assert get(path).startswith(b"HTTP/1.1 400"), (path, get(path))
    assert get("/hello").endswith(b"/hello|")
    assert get("/hello/a").endswith(b"/hello|/a")
    assert get("/%00").startswith(b"HTTP/1.1 400")
    assert get("/healthz").startswith(b"HTTP/1.1 200")
    for path in ("/hellox", "//hello", "/x/../hello", "/./hello", "/f/..", "/f/%2e", "/f/", "/"):
        assert get(path).startswith(b"HTTP/1.1 404"), path


@pytest.mark.parametrize(
    "lines",
    [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: -1",
        "Content-Length: 5, 5",
        "Content-Length: +5",
        "Content-Length : 5",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding:\r\n chunked",
        "Content-Length: 99999999999999999999",
    ],
)
def test_smuggling_is_refused(shared_node, lines):
    for url in (shared_node.http_url, shared_node.s3_url):
        data = f"POST /f/x HTTP/1.1\r\nHost: x\r\n{lines}\r\n\r\n0\r\n\r\n"
        data += "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
        answer = raw(url, data.encode(), 5)
        # libmicrohttpd writes the head of some of its refusals twice, and closes.
        statuses = {part[:3] for part in answer.split(b"HTTP/1.1 ")[1:]}
        assert statuses <= {b"400", b"413", b"501"}, answer


# Too much of everything


def test_half_sent_requests_do_not_shut_others_out(node):
    """More connections than there may be, none of which ever finishes its request."""
    connections = []
    try:
        for _ in range(1000):
            connection = socket.create_connection(address(node.http_url), timeout=20)
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-")
            connections.append(connection)
        assert requests.get(node.http_url + "/healthz", timeout=20).status_code == 200
    finally:
        for connection in connections:
            connection.close()
    assert requests.get(node.http_url + "/healthz", timeout=20).status_code == 200


def test_endless_output_ends(shared_node):
    deploy_c(
        shared_node,
        "endless",
        "int main(void) {" + TEXT + "static char b[65536]; memset(b, 'x', sizeof b);"
        "for (int i = 0; i < 16384; i++) { fwrite(b, 1, sizeof b, stdout);"
        " fwrite(b, 1, sizeof b, stderr); } }",
        http_trigger("/endless") + "limits: {timeout: 30s}\n",
    )
    answer = requests.get(shared_node.http_url + "/endless", timeout=60)
    assert answer.status_code == 502
    assert len(shared_node.cli("function", "logs", "endless").stdout) < 1_000_000


def test_deploy_of_garbage(shared_node, tmp_path):
    garbage = tmp_path / "garbage.wasm"
    garbage.write_bytes(b"\0asm\1\0\0\0" + os.urandom(1 << 20) * 63)
    result = shared_node.cli("deploy", "garbage", garbage, check=False)
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1 and "garbage.wasm" in result.stderr
    garbage.write_bytes(bytes(65 << 20))
    result = shared_node.cli("deploy", "garbage", garbage, check=False)
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1 and "garbage.wasm" in result.stderr
    assert work(shared_node) == []


# The node's own bucket


def test_own_bucket_is_unreachable(shared_node, tmp_path):
    node = shared_node
    deploy_c(node, "some", "int main(void) { return 0; }", http_trigger("/some"))
    s3 = node.s3()
    own = ".functions"
    import botocore.exceptions

    def refused(call, **args):
        with pytest.raises((botocore.exceptions.ClientError, botocore.exceptions.ParamValidationError)):
            call(**args)

    s3.meta.events.unregister("before-parameter-build.s3", None)
    for path in (f"/{own}", f"/{own}/", f"/{own}?list-type=2", f"/%2Efunctions?list-type=2",
                 f"/{own}/some/manifest"):  # fmt: skip
        for method in ("GET", "HEAD", "PUT", "DELETE"):
            answer = signed(node, method, path)
            assert answer.status_code in (400, 403, 404), (method, path, answer.text)
    answer = signed(node, "GET", "/?list-type=2", host=f"{own}.localhost")
    assert own not in answer.text or answer.status_code >= 400
    s3.create_bucket(Bucket="mine")
    answer = signed(node, "PUT", "/mine/copy", headers={"x-amz-copy-source": f"/{own}/some"})
    assert answer.status_code in (400, 403, 404), answer.text
    assert own not in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
    for args in (["ls", f"s3://{own}/"], ["cat", f"s3://{own}/some"], ["rm", f"s3://{own}/some"],
                 ["bucket", "create", own], ["bucket", "rm", own]):  # fmt: skip
        assert node.cli(*args, check=False).returncode == 1, args
    (tmp_path / "f").write_text("x")
    assert node.cli("cp", tmp_path / "f", f"s3://{own}/x", check=False).returncode == 1
    assert own not in node.cli("bucket", "list").stdout
    module = compile_wat('(module (memory (export "memory") 1) (func (export "_start")))')
    for option in (["--read", own], ["--write", own], ["--on-object", own]):
        result = node.cli("deploy", "thief", module, *option, check=False)
        assert result.returncode == 1, option


def signed(node, method, path, host=None, headers=None):
    """A request with a valid signature, whatever its path."""
    import botocore.auth
    import botocore.awsrequest
    import botocore.credentials

    request = botocore.awsrequest.AWSRequest(method, node.s3_url + path, headers=headers or {})
    if host:
        request.headers["Host"] = host
    credentials = botocore.credentials.Credentials(node.access_key, node.secret_key)
    request.headers["x-amz-content-sha256"] = "UNSIGNED-PAYLOAD"
    botocore.auth.S3SigV4Auth(credentials, "s3", "us-east-1").add_auth(request)
    with requests.Session() as session:
        prepared = requests.Request(method, node.s3_url + path, headers=dict(request.headers))
        prepared = prepared.prepare()
        prepared.url = node.s3_url + path
        return session.send(prepared, timeout=20)


# Parameters


@pytest.mark.parametrize("value", ["-1", "99999999999999999999", "1001", "abc", "", "0", "1e3"])
def test_numbers_in_queries(shared_node, value):
    signed(shared_node, "PUT", "/numbers")
    for query in (f"list-type=2&max-keys={value}", f"max-keys={value}",
                  f"uploads&max-uploads={value}", f"list-type=2&max-keys={value}&max-keys=1"):  # fmt: skip
        answer = signed(shared_node, "GET", f"/numbers?{query}")
        assert answer.status_code in (200, 400), (query, answer.status_code, answer.text)
    answer = signed(shared_node, "PUT", f"/numbers/k?partNumber={value}&uploadId=nothing")
    assert 400 <= answer.status_code < 500


# The command


@pytest.mark.parametrize(
    "args",
    [["a\nb"], ["status", "--data", ""], ["help", "\x1b[31m"], ["bucket", "a\nb"], ["--data"]],
)
def test_wrong_use_is_one_line(args):
    result = run_edgeos(*args, check=False)
    assert (result.returncode, result.stdout) == (2, "")
    assert len(result.stderr.splitlines()) == 1 and "\x1b" not in result.stderr


def test_copies(shared_node, tmp_path):
    node = shared_node
    node.cli("bucket", "create", "copies")
    body = os.urandom(200_000)
    (tmp_path / "file").write_bytes(body)
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "dir").mkdir()
    for name in ("file", "empty"):
        node.cli("cp", tmp_path / name, "s3://copies/a/")
        node.cli("cp", f"s3://copies/a/{name}", tmp_path / "dir")
        assert (tmp_path / "dir" / name).read_bytes() == (tmp_path / name).read_bytes()
    # A FIFO or a device is written to, never replaced.
    os.mkfifo(tmp_path / "fifo")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        reader = pool.submit((tmp_path / "fifo").read_bytes)
        node.cli("cp", "s3://copies/a/file", tmp_path / "fifo")
        assert (tmp_path / "fifo").is_fifo()
        assert reader.result(20) == body
    for source in (tmp_path / "fifo", tmp_path / "dir", "/dev/zero", "/proc/cpuinfo"):
        result = node.cli("cp", source, "s3://copies/x", check=False, timeout_s=20)
        assert result.returncode == 1 and str(source) in result.stderr, result
    result = node.cli("cp", "s3://copies/a/file", "/dev/full", check=False)
    assert result.returncode == 1 and "/dev/full: No space left" in result.stderr
    assert os.stat("/dev/full").st_rdev == os.makedev(1, 7)


def test_full_standard_output_is_an_error(shared_node):
    for args in (["bucket", "list"], ["help"], ["status", "--json"], ["version"], ["ls"]):
        with open("/dev/full", "wb") as full:
            result = subprocess.run(
                [EDGEOS, *args],
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                env={**os.environ, "EDGEOS_DATA": str(shared_node.data_dir)},
            )
        assert result.returncode == 1, args
        assert "standard output" in result.stderr


def test_long_listings(shared_node):
    node = shared_node
    s3 = node.s3(max_pool_connections=16)
    s3.create_bucket(Bucket="many")
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda i: s3.put_object(Bucket="many", Key=f"k{i:05}"), range(2001)))
    entries = node.cli_json("ls", "s3://many")["entries"]
    assert [entry["key"] for entry in entries] == [f"k{i:05}" for i in range(2001)]
    assert len(node.cli("ls", "s3://many").stdout.splitlines()) == 2001
    assert node.cli_json("ls", "s3://many/nothing") == {"entries": []}
    missing = node.cli("ls", "s3://nowhere", "--json", check=False)
    assert (missing.returncode, missing.stdout) == (1, "")


# Guests


def test_long_names_in_a_listing(node):
    """Keys as long as they may be, and names that files cannot have, in a function's directory."""
    s3 = node.s3()
    s3.create_bucket(Bucket="long")
    names = ["k" * 1024, "d" * 1000 + "/x", "a//b", "dot/..", "..", ".", "é" * 500, "new\nline", "/"]
    for name in names:
        signed_put(node, "long", name)
    deploy_c(
        node,
        "lister",
        "#include <dirent.h>\nint main(void) {" + TEXT + 'DIR *d = opendir("/long"); int n = 0;'
        ' for (struct dirent *e; d && (e = readdir(d)); n++); printf("%d", n); }',
        "grants:\n  - {bucket: long, access: read}\n" + http_trigger("/lister"),
    )
    cells = node.cell_pids()
    answer = requests.get(node.http_url + "/lister", timeout=60)
    assert answer.status_code == 200 and int(answer.text) >= 2
    assert node.cell_pids() == cells, "a cell died"


def signed_put(node, bucket, key):
    assert signed(node, "PUT", f"/{bucket}/{urllib.parse.quote(key)}").status_code in (200, 400)


def test_greedy_guests_are_alone(node):
    """Each takes all it can get; the node serves others meanwhile and afterwards."""
    greedy = {
        "files": 'for (int i = 0; i < 1000000; i++) { char n[32]; sprintf(n, "/tmp/%d", i);'
        " fopen(n, \"w\"); }",
        "tmp": 'FILE *f = fopen("/tmp/x", "w"); static char b[1 << 20];'
        " for (int i = 0; i < 10000; i++) if (!fwrite(b, 1, sizeof b, f)) break;",
        "grow": "for (int i = 0; i < 100000; i++) if (!malloc(1 << 20)) break;",
        "deep": "volatile char *f(int n); printf(\"%p\", f(1 << 30));",
        "poll": "for (;;) usleep(0);",
        "spin": "for (volatile int i = 0;; i++);",
    }
    extra = "volatile char *f(int n) { volatile char b[4096]; b[n % 4096] = n;" \
        " return n ? f(n - 1) + b[1] : (volatile char *)0; }\n"
    for name, body in greedy.items():
        deploy_c(
            node,
            name,
            (extra if name == "deep" else "") + "int main(void) {" + body + TEXT + "}",
            http_trigger(f"/{name}") + "limits: {timeout: 1s, memory: 16MiB}\n",
        )
    deploy_c(node, "fine", "int main(void) {" + TEXT + 'puts("fine"); }', http_trigger("/fine"))
    cells = node.cell_pids()
    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        calls = [
            pool.submit(requests.get, f"{node.http_url}/{name}", timeout=120)
            for name in list(greedy) * 3
        ]
        fine = pool.submit(requests.get, node.http_url + "/fine", timeout=120)
        assert fine.result().text == "fine\n"
        codes = {call.result().status_code for call in calls}
    assert codes <= {200, 500, 502, 504}, codes
    assert requests.get(node.http_url + "/fine", timeout=60).text == "fine\n"
    assert node.cell_pids() == cells, "a cell died"


def test_fd_renumber_tricks(shared_node):
    deploy_c(
        shared_node,
        "renumber",
        "#include <wasi/api.h>\n#include <stdint.h>\nint main(void) {"
        ' FILE *f = fopen("/tmp/a", "w"); int a = fileno(f), n = 0;'
        " for (uint32_t to = 0; to < 300; to++) n += __wasi_fd_renumber(a, to) == 0;"
        " __wasi_fd_renumber(UINT32_MAX, 1); __wasi_fd_renumber(1, UINT32_MAX);"
        " __wasi_fd_close(3); __wasi_fd_close(3);"
        " __wasi_iovec_t v = {(void *)0xfffffff0, 0xffffffff}; size_t s;"
        " __wasi_fd_read(0, &v, 0x7fffffff, &s); __wasi_fd_read(0, &v, 1, &s);"
        " __wasi_fd_write(2, (void *)0xfffffff8, 2, &s);"
        " __wasi_poll_oneoff((void *)8, (void *)8, 0xffffffff, &s);"
        " __wasi_poll_oneoff((void *)0xfffffff0, (void *)8, 1, &s);"
        " return 0; }",
        http_trigger("/renumber"),
    )
    assert requests.get(shared_node.http_url + "/renumber", timeout=60).status_code == 502
    assert requests.get(shared_node.http_url + "/healthz", timeout=60).status_code == 200
