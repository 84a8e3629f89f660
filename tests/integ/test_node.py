"""A node's life: start, stop, kill -9 of edged and of the cell."""
import concurrent.futures
import os
import random
import signal
import socket
import subprocess
import threading
import time
import urllib.parse

import botocore.exceptions
import pytest
import requests
from edgeos_functions import deploy_c, http_trigger, keys, object_trigger, wait_for_object
from edgeos_node import EDGEOS, process_name, wait_for

TEXT = 'puts("Content-Type: text/plain\\n");'


def is_ready(node):
    try:
        return requests.get(node.http_url + "/readyz", timeout=5).status_code == 200
    except requests.RequestException:
        return False


# Start and stop


def test_up_prints_its_addresses_and_keys_once(make_node):
    node = make_node(is_seeded=False)
    text = "\n".join(node.lines)
    assert f"data       {node.data_dir}" in text
    assert node.access_key in text and node.secret_key in text
    assert (node.data_dir / "credentials").stat().st_mode & 0o077 == 0
    key = node.access_key
    node.restart()
    assert node.access_key == key
    assert node.secret_key not in "\n".join(node.lines)


def test_health_and_status(node):
    for path in ("/healthz", "/readyz"):
        assert requests.get(node.http_url + path, timeout=10).status_code == 200
    status = node.cli_json("status")
    assert isinstance(status, dict) and status
    assert "127.0.0.1" in node.cli("status").stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_stop_it_cleanly(node, number):
    pids = node.pids()
    node.process.send_signal(number)
    assert node.process.wait(30) == 0
    wait_for(
        lambda: not any(os.path.exists(f"/proc/{pid}") for pid in pids[1:]), "its processes to end"
    )
    assert not (node.data_dir / "control.sock").exists()


def test_bad_configuration_names_file_and_line(tmp_path):
    for text, line in [
        ("s3: {listen: 127.0.0.1:0}\nnonsense: 1\n", 2),
        ('s3: {listen: "nowhere:x"}\n', 1),
        ("log: loud\n", 1),
        ("s3: [\n", None),
    ]:
        path = tmp_path / "bad.yaml"
        path.write_text(text)
        result = subprocess.run(
            [EDGEOS, "up", "-c", path, "--data", tmp_path / "data"],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert result.returncode == 1, (text, result)
        assert (f"bad.yaml:{line}" if line else "bad.yaml") in result.stderr, result.stderr
        assert len(result.stderr.strip().splitlines()) == 1, result.stderr
    result = subprocess.run(
        [EDGEOS, "up", "-c", tmp_path / "none.yaml"], capture_output=True, text=True, timeout=60
    )
    assert result.returncode == 1 and "none.yaml" in result.stderr


def test_second_node_on_the_same_data_is_refused(node, tmp_path):
    config = tmp_path / "c.yaml"
    config.write_text('s3: {listen: "127.0.0.1:0"}\nfunctions: {listen: "127.0.0.1:0"}\n')
    result = subprocess.run(
        [EDGEOS, "up", "-c", config, "--data", node.data_dir],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 1
    assert str(node.data_dir) in result.stderr
    assert is_ready(node)


def test_port_in_use_is_named(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        config = tmp_path / "c.yaml"
        config.write_text(
            f's3: {{listen: "127.0.0.1:{port}"}}\nfunctions: {{listen: "127.0.0.1:0"}}\n'
        )
        result = subprocess.run(
            [EDGEOS, "up", "-c", config, "--data", tmp_path / "data"],
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert result.returncode == 1
    assert str(port) in result.stderr


def test_restart_keeps_everything(node, sample_dir):
    s3 = node.s3()
    s3.create_bucket(Bucket="kept")
    bodies = {f"k{size}": os.urandom(size) for size in (0, 1, 4096, 100_000, 9_000_000)}
    for key, body in bodies.items():
        s3.put_object(Bucket="kept", Key=key, Body=body)
    node.cli("deploy", sample_dir / "hello" / "manifest.yaml")
    node.restart()
    for key, body in bodies.items():
        assert s3.get_object(Bucket="kept", Key=key)["Body"].read() == body
    assert requests.get(node.http_url + "/hello", timeout=60).text == "Hello, world!\n"


# kill -9 of edged


class Writer(threading.Thread):
    """Puts objects without pause; remembers what was acknowledged and what was only tried."""

    def __init__(self, node, number):
        super().__init__(daemon=True)
        self.s3 = node.s3(connect_timeout=5, read_timeout=20)
        self.random = random.Random(number)
        self.number = number
        self.acknowledged, self.tried = {}, {}
        self.stopping = False

    def run(self):
        count = 0
        while not self.stopping:
            key = f"{self.number}/{count % 50:03}"  # keys are replaced, too
            size = self.random.choice([0, 10, 1000, 70_000, 1_500_000])
            body = self.random.randbytes(size)
            self.tried[key] = body
            try:
                self.s3.put_object(Bucket="data", Key=key, Body=body)
            except botocore.exceptions.BotoCoreError:
                return
            except botocore.exceptions.ClientError:
                return
            self.acknowledged[key] = body
            count += 1


@pytest.mark.parametrize("delay_s", [0.05, 0.3, 1.0])
def test_acknowledged_objects_survive_kill9(node, delay_s):
    node.s3().create_bucket(Bucket="data")
    writers = [Writer(node, number) for number in range(4)]
    for writer in writers:
        writer.start()
    time.sleep(delay_s)
    node.kill9()
    for writer in writers:
        writer.stopping = True
        writer.join(60)
    node.start()
    s3 = node.s3()
    listed = {
        item["Key"]: item["Size"]
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket="data")
        for item in page.get("Contents", [])
    }
    expected = {}
    for writer in writers:
        assert set(writer.acknowledged) <= set(listed)
        for key, tried in writer.tried.items():
            # The last try may have been committed without its answer having arrived.
            expected[key] = {writer.acknowledged.get(key), tried} - {None}
    assert set(listed) <= set(expected)
    for key, size in listed.items():
        body = s3.get_object(Bucket="data", Key=key)["Body"].read()
        assert len(body) == size
        assert body in expected[key], f"{key} is neither what was acknowledged nor the last try"


def test_functions_and_events_survive_kill9(node):
    """Events that were not delivered when edged died are delivered by the next one."""
    s3 = node.s3()
    for bucket in ("inbox", "outbox"):
        s3.create_bucket(Bucket=bucket)
    # A slow function with one place, so that most events wait in the outbox.
    deploy_c(
        node,
        "slow",
        r"""
        int main(void) {
            char e[8192], path[300] = "/outbox/", *k; e[fread(e, 1, sizeof e - 1, stdin)] = 0;
            usleep(200000);
            if (!(k = strstr(e, "\"key\""))) return 1;
            k = strchr(strchr(k, ':'), '"') + 1;
            strncat(path, k, strcspn(k, "\""));
            FILE *f = fopen(path, "w");
            return !f || fclose(f);
        }
        """,
        object_trigger("inbox", "outbox") + "limits: {concurrency: 1}\n",
    )
    names = [f"x{i:02}" for i in range(12)]
    for name in names:
        s3.put_object(Bucket="inbox", Key=name, Body=b"")
    node.kill9()
    node.start()
    assert "slow" in node.cli("function", "list").stdout
    wait_for(lambda: keys(s3, "outbox") == names, "all results", 60)


def test_nothing_half_written_after_many_kills(node):
    """Start, write, kill, five times: the store opens each time, and its sizes add up."""
    s3 = node.s3()
    s3.create_bucket(Bucket="data")
    for _ in range(5):
        writer = Writer(node, 1)
        writer.start()
        time.sleep(0.1)
        node.kill9()
        writer.stopping = True
        writer.join(60)
        node.start()
        for key in keys(s3, "data"):
            head = s3.head_object(Bucket="data", Key=key)
            body = s3.get_object(Bucket="data", Key=key)["Body"].read()
            assert len(body) == head["ContentLength"]


# kill -9 of the cell


def test_cell_is_restarted(node, sample_dir):
    node.cli("deploy", sample_dir / "hello" / "manifest.yaml")
    assert requests.get(node.http_url + "/hello", timeout=60).status_code == 200
    node.kill_cells()
    wait_for(lambda: is_ready(node), "ready")
    assert requests.get(node.http_url + "/hello", timeout=60).text == "Hello, world!\n"


def test_http_calls_end_when_the_cell_dies(node):
    deploy_c(
        node,
        "nap",
        "int main(void) { sleep(3); " + TEXT + "}",
        http_trigger("/nap") + "limits: {timeout: 20s}\n",
    )
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        calls = [
            pool.submit(requests.get, node.http_url + "/nap", timeout=60) for _ in range(4)
        ]
        time.sleep(1)
        node.kill_cells()
        codes = {call.result().status_code for call in calls}
    assert codes <= {200, 503}, codes
    assert requests.get(node.http_url + "/nap", timeout=60).status_code == 200


def test_events_are_retried_when_the_cell_dies(node):
    s3 = node.s3()
    for bucket in ("inbox", "outbox"):
        s3.create_bucket(Bucket=bucket)
    deploy_c(
        node,
        "nap",
        "int main(void) { fputs(\"started\\n\", stderr); sleep(2);"
        ' FILE *f = fopen("/outbox/done", "w"); return !f || fputs("x", f) < 0 || fclose(f); }',
        object_trigger("inbox", "outbox") + "limits: {timeout: 20s}\n",
    )
    s3.put_object(Bucket="inbox", Key="x", Body=b"")
    time.sleep(1)
    node.kill_cells()
    assert wait_for_object(s3, "outbox", "done", 60) == b"x"


def test_open_results_are_dropped_when_the_cell_dies(node):
    """What a function was writing when its cell died is no object."""
    s3 = node.s3()
    s3.create_bucket(Bucket="outbox")
    deploy_c(
        node,
        "writer",
        'int main(void) { FILE *f = fopen("/outbox/half", "w"); if (!f) return 1;'
        ' for (int i = 0; i < 1000; i++) fputs("0123456789", f); fflush(f); sleep(3); return 0; }',
        "grants:\n  - {bucket: outbox, access: write}\n"
        + http_trigger("/writer")
        + "limits: {timeout: 20s}\n",
    )
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        # A POST is not tried again; a second try would end well and leave its object.
        call = pool.submit(requests.post, node.http_url + "/writer", timeout=60)
        time.sleep(1)
        node.kill_cells()
        assert call.result().status_code == 503
    assert keys(s3, "outbox") == []


def test_cell_that_keeps_dying_does_not_take_the_node_along(node, sample_dir):
    node.cli("deploy", sample_dir / "hello" / "manifest.yaml")
    for _ in range(4):
        node.kill_cells()
    wait_for(lambda: is_ready(node), "ready", 60)
    assert requests.get(node.http_url + "/hello", timeout=60).status_code == 200
    node.s3().create_bucket(Bucket="alive")


def test_stopped_cell_does_not_hang_the_node(node, sample_dir):
    """A cell that does not answer: S3, health and status go on."""
    node.cli("deploy", sample_dir / "hello" / "manifest.yaml")
    cells = node.cell_pids()
    for pid in cells:
        os.kill(pid, signal.SIGSTOP)
    try:
        assert requests.get(node.http_url + "/healthz", timeout=20).status_code == 200
        node.s3().create_bucket(Bucket="going-on")
        node.cli("status")
    finally:
        for pid in cells:
            os.kill(pid, signal.SIGKILL)
    node.wait_for_new_cells(cells, 60)
    wait_for(lambda: is_ready(node), "ready", 60)


def test_idle_node_has_no_stray_processes(node):
    names = sorted(process_name(pid) for pid in node.pids())
    assert names.count("edge-cell") == len(node.cli_json("status")["cells"])
    assert set(names) <= {"edgeos", "edged", "edge-cell"}, names


def test_address_is_loopback_only(node):
    """Nothing listens on other addresses unless configured."""
    ports = {urllib.parse.urlparse(url).port for url in (node.s3_url, node.http_url)}
    listing = subprocess.run(["ss", "-Hltn"], capture_output=True, text=True, check=True).stdout
    for line in listing.splitlines():
        address = line.split()[3]
        host, _, port = address.rpartition(":")
        if port.isdigit() and int(port) in ports:
            assert host == "127.0.0.1", line
