"""The store for its operators: settings of buckets, find, stats, verify, repair, compact."""
import datetime
import http.client
import json
import os
import pty
import re
import signal
import socket
import subprocess

import pytest
import requests
from edgeos_node import EDGEOS, run_edgeos, wait_for
from s3_clients import MIB, bucket, code_of, make_client, s3  # noqa: F401

VERDICT = {"objects", "chunks", "bytes", "damaged_objects", "damaged_chunks", "wrong_counts",
           "leaked_bytes"}  # fmt: skip
# So much that a job has not ended before somebody else can ask for something.
MUCH = 128 * MIB


class LocalConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=60)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


def control(node, method, path, body=None):
    """Status and answer of the control API; BODY is text, or what becomes JSON."""
    connection = LocalConnection(node.data_dir / "control.sock")
    text = body if body is None or isinstance(body, str) else json.dumps(body)
    connection.request(method, f"/api/v1/{path}", text)
    response = connection.getresponse()
    data = response.read()
    connection.close()
    return response.status, json.loads(data) if data else None


def upkeep(node):
    status, job = control(node, "GET", "store/upkeep")
    assert status == 200
    return job


def offline(node, *args):
    """`edgeos store ARGS…` on the data of a node that does not run."""
    return run_edgeos("store", *args, "--data", node.data_dir, check=False)


def put_much(client):
    client.create_bucket(Bucket="data")
    client.put_object(Bucket="data", Key="much", Body=os.urandom(MUCH))


# Buckets


def test_settings(shared_node, s3, bucket):
    node = shared_node
    shown = node.cli_json("bucket", "show", bucket)
    assert shown.pop("created").startswith("20")
    assert shown == {
        "name": bucket, "tenant": "", "versioning": "off", "object_lock": False,
        "encrypted": False, "compressed": False, "bytes": 0, "objects": 0,
        "quota_bytes": 0, "quota_objects": 0,
    }  # fmt: skip
    shown = node.cli_json("bucket", "set", bucket, "--versioning", "on", "--compress", "on",
                          "--quota-bytes", "10GiB")  # fmt: skip
    assert (shown["versioning"], shown["compressed"]) == ("enabled", True)
    assert shown["quota_bytes"] == 10 << 30
    for body in b"one", b"three":
        s3.put_object(Bucket=bucket, Key="k", Body=body)
    # What is not given stays.
    assert node.cli("bucket", "set", bucket, "--versioning", "suspended").stdout == ""
    shown = node.cli_json("bucket", "show", bucket)
    assert (shown["versioning"], shown["compressed"]) == ("suspended", True)
    assert (shown["objects"], shown["bytes"], shown["quota_bytes"]) == (2, 8, 10 << 30)
    text = node.cli("bucket", "show", bucket).stdout
    assert "suspended" in text and "10.0 GiB" in text and "8 bytes" in text
    shown = node.cli_json("bucket", "set", bucket, "--compress", "off", "--quota-bytes", "none")
    assert (shown["compressed"], shown["quota_bytes"]) == (False, 0)


def test_settings_are_durable(node):
    node.cli("bucket", "create", "kept")
    before = node.cli_json("bucket", "set", "kept", "--quota-objects", "7", "--compress", "on")
    node.kill9()
    node.start()
    assert node.cli_json("bucket", "show", "kept") == before


def test_quotas_refuse(shared_node, s3, bucket, tmp_path):
    node = shared_node
    node.cli("bucket", "set", bucket, "--quota-bytes", "100kB", "--quota-objects", "2")
    s3.put_object(Bucket=bucket, Key="a", Body=b"x" * 60000)
    assert code_of(s3.put_object, Bucket=bucket, Key="b", Body=b"x" * 60000) == "QuotaExceeded"
    s3.put_object(Bucket=bucket, Key="b", Body=b"x")
    assert code_of(s3.put_object, Bucket=bucket, Key="c", Body=b"") == "QuotaExceeded"
    (tmp_path / "c").write_bytes(b"x")
    refused = node.cli("cp", tmp_path / "c", f"s3://{bucket}/c", check=False)
    assert refused.returncode == 1 and "quota" in refused.stderr
    shown = node.cli_json("bucket", "show", bucket)
    assert (shown["objects"], shown["bytes"]) == (2, 60001)
    node.cli("bucket", "set", bucket, "--quota-objects", "none")
    s3.put_object(Bucket=bucket, Key="c", Body=b"x")


@pytest.mark.parametrize(
    "body, word",
    [
        ({"quota_byte": 1}, "quota_byte"),
        ({"versioning": "off"}, "versioning"),
        ({"versioning": True}, "versioning"),
        ({"compressed": "yes"}, "compressed"),
        ({"encrypted": 1}, "encrypted"),
        ({"quota_bytes": -1}, "quota_bytes"),
        ({"quota_objects": "many"}, "quota_objects"),
        ({"quota_bytes": 1 << 64}, "settings:1"),
        ({"tenant": "nobody"}, "nobody"),
        ({"tenant": "x" * 64}, "x" * 64),
        ([], "settings"),
        ("{", "settings"),
        ("", "settings"),
        ("x" * 20000, "limit"),
    ],
)
def test_wrong_settings_change_nothing(shared_node, bucket, body, word):
    before = control(shared_node, "GET", f"buckets/{bucket}")
    if isinstance(body, dict):
        body = {"quota_objects": 5, **body}
    status, answer = control(shared_node, "PUT", f"buckets/{bucket}/settings", body)
    assert status in (400, 413) and word in answer["error"]
    assert control(shared_node, "GET", f"buckets/{bucket}") == before


def test_no_such_bucket(shared_node):
    for name in "nowhere", ".tenants", "Not_A_Name":
        assert control(shared_node, "GET", f"buckets/{name}")[0] == 404
        assert control(shared_node, "PUT", f"buckets/{name}/settings", {})[0] == 404
        assert control(shared_node, "POST", "find", {"bucket": name})[0] == 404


# Find


@pytest.fixture(scope="module")
def things(shared_node):
    """Three objects of two sites."""
    client = make_client(shared_node)
    for name in "things", "others":
        client.create_bucket(Bucket=name)
    for where, key, site, celsius in (
        ("things", "a/1", "berlin", "9.5"),
        ("things", "a/2", "berlin", "30"),
        ("things", "b/3", "potsdam", "31"),
        ("others", "a/4", "berlin", "100"),
    ):
        client.put_object(Bucket=where, Key=key, Body=b"x", Tagging=f"site={site}&Kind=probe",
                          Metadata={"Celsius": celsius})  # fmt: skip
    return "things"


def found(node, *args):
    answer = node.cli_json("find", *args)
    assert answer["more"] is False
    return sorted(f"{entry['bucket']}/{entry['key']}" for entry in answer["objects"])


@pytest.mark.parametrize(
    "args, keys",
    [
        (["--tag", "site=berlin"], ["others/a/4", "things/a/1", "things/a/2"]),
        (["--tag", "site=berlin", "--bucket", "things"], ["things/a/1", "things/a/2"]),
        (["--tag=site=berlin", "--tag=Kind=probe", "--prefix=a/", "--meta=celsius<30"],
         ["things/a/1"]),
        (["--meta", "celsius>9.5", "--meta", "celsius<=31"], ["things/a/2", "things/b/3"]),
        (["--meta", "Celsius>=100"], ["others/a/4"]),
        (["--tag", "kind=probe"], []),
        (["--tag", "site=ber"], []),
        (["--bucket", "others"], ["others/a/4"]),
        (["--bucket", "things", "--prefix", "a/"], ["things/a/1", "things/a/2"]),
        (["--bucket", "things", "--since", "1h"], ["things/a/1", "things/a/2", "things/b/3"]),
        (["--bucket", "things", "--until", "1h"], []),
        (["--bucket", "things", "--until", "2020-01-01"], []),
        (["--bucket", "things", "--since", "2020-01-01T00:00:00+01:00", "--prefix", "b"],
         ["things/b/3"]),
    ],
)  # fmt: skip
def test_find(shared_node, things, args, keys):
    assert found(shared_node, *args) == keys


def test_find_follows_changes(shared_node, s3, bucket):
    put = {"Bucket": bucket, "Key": "k", "Body": b""}
    s3.put_object(**put, Metadata={"state": "new"})
    assert found(shared_node, "--meta", "state=new") == [f"{bucket}/k"]
    s3.put_object(**put, Metadata={"state": "old"})
    assert found(shared_node, "--meta", "state=new") == []
    assert found(shared_node, "--meta", "state=old") == [f"{bucket}/k"]
    s3.delete_object(Bucket=bucket, Key="k")
    assert found(shared_node, "--meta", "state=old") == []


def test_find_output(shared_node, things):
    node = shared_node
    result = node.cli("find", "--bucket", things, "--limit", "2")
    lines = result.stdout.splitlines()
    assert len(lines) == 2 and all(line.split()[2].startswith("s3://things/") for line in lines)
    assert "--limit" in result.stderr
    answer = node.cli_json("find", "--bucket", things, "--limit", "2")
    assert answer["more"] is True and len(answer["objects"]) == 2
    for entry in answer["objects"]:
        assert set(entry) == {"bucket", "key", "size", "modified", "etag"}
        assert (entry["size"], entry["etag"]) == (1, "9dd4e461268c8034f5c8564e155c67a6")
    # A time that the store itself printed is one that find takes, and both ends belong to it.
    first = min(entry["modified"] for entry in node.cli_json("find")["objects"])
    assert node.cli_json("find", "--since", first)["objects"]
    tomorrow = datetime.datetime.utcnow() + datetime.timedelta(days=1)
    assert node.cli_json("find", "--since", tomorrow.strftime("%Y-%m-%d"))["objects"] == []


@pytest.mark.parametrize(
    "body, word",
    [
        ({"limits": 1}, "limits"),
        ({"limit": 0}, "limit"),
        ({"limit": 10001}, "limit"),
        ({"since": "yesterday"}, "yesterday"),
        ({"until": "1969-12-31"}, "1969-12-31"),
        ({"terms": "x"}, "terms"),
        ({"terms": [{"name": ".tag:a"}]}, "value"),
        ({"terms": [{"value": "a"}]}, "name"),
        ({"terms": [{"name": "content-type", "value": "a"}]}, "content-type"),
        ({"terms": [{"name": ".retain-mode", "value": "a"}]}, ".retain-mode"),
        ({"terms": [{"name": ".tag:", "value": "a"}]}, ".tag:"),
        ({"terms": [{"name": ".tag:a", "value": "a", "op": "=="}]}, "=="),
        ({"terms": [{"name": ".tag:a", "value": "a"}] * 65}, "64"),
        ("[", "query"),
    ],
)
def test_wrong_queries(shared_node, body, word):
    status, answer = control(shared_node, "POST", "find", body)
    assert status == 400 and word in answer["error"]


# Use


@pytest.mark.parametrize(
    "args",
    [
        ["bucket", "set"], ["bucket", "set", "x"], ["bucket", "show"], ["bucket", "show", "a", "b"],
        ["bucket", "set", "x", "--versioning", "off"], ["bucket", "set", "x", "--compress", "1"],
        ["bucket", "set", "x", "--quota-bytes", "lots"], ["bucket", "set", "x", "--encrypt"],
        ["bucket", "set", "x", "--quota-bytes", "0"], ["bucket", "set", "x", "--quota-objects=1k"],
        ["bucket", "list", "--compress", "on"], ["find", "x"], ["find", "--tag", "a"],
        ["find", "--meta", "=a"], ["find", "--since", "yesterday"], ["find", "--until", "2026-13-01"],
        ["find", "--since", "99999d"], ["find", "--limit", "0"], ["find", "--limit", "-1"],
        ["find", *["--tag=a=b"] * 33], ["store"], ["store", "frobnicate"],
        ["store", "verify", "x"], ["store", "verify", "--progress"],
    ],
)  # fmt: skip
def test_wrong_use_is_2(args):
    result = run_edgeos(*args, check=False, environment={"EDGEOS_DATA": "/nonexistent"})
    assert (result.returncode, result.stdout) == (2, ""), result
    assert len(result.stderr.strip().splitlines()) == 1


# Upkeep


def test_stats(shared_node, s3, bucket):
    before = shared_node.cli_json("store", "stats")
    s3.put_object(Bucket=bucket, Key="k", Body=os.urandom(3 * MIB))
    after = shared_node.cli_json("store", "stats")
    assert set(after) == {
        "buckets", "objects", "bytes", "outbox_events", "chunks", "chunk_bytes", "segment_bytes",
        "garbage_bytes", "metadata_bytes", "free_bytes", "scrub",
    }  # fmt: skip
    assert after["scrub"]["rate"] == 4 * MIB and after["scrub"]["interval_s"] == 7 * 86400
    assert after["objects"] == before["objects"] + 1
    assert after["bytes"] == before["bytes"] + 3 * MIB
    assert after["chunk_bytes"] >= before["chunk_bytes"] + 3 * MIB
    assert after["chunks"] > before["chunks"] and after["segment_bytes"] >= after["chunk_bytes"]
    assert after["metadata_bytes"] > 0 and after["free_bytes"] > 0
    text = shared_node.cli("store", "stats").stdout
    assert "segments" in text and "MiB" in text and "scrub" in text


def test_scrub(make_node):
    """Damage is found by itself, told in the log, in the stats and in the metrics."""
    node = make_node(config="store: {scrub_rate: 1GiB, scrub_interval: 1s}\n")
    client = node.s3()
    client.create_bucket(Bucket="data")
    client.put_object(Bucket="data", Key="ill", Body=os.urandom(MIB))

    def scrub():
        return node.cli_json("store", "stats")["scrub"]

    wait_for(lambda: scrub()["passes"] > 1, "a pass")
    assert scrub()["damages"] == 0
    (segment,) = (node.data_dir / "store" / "segments").iterdir()
    with segment.open("r+b") as file:
        file.seek(MIB // 2)
        byte = file.read(1)[0] ^ 0x10
        file.seek(MIB // 2)
        file.write(bytes([byte]))
    wait_for(lambda: scrub()["damages"] > 0, "the scrub")
    wait_for(lambda: "bucket=data key=ill" in node.log(), "a line in the log")
    metrics = requests.get(node.http_url + "/metrics", timeout=30).text
    assert "edgeos_store_scrub_damages_total" in metrics


def test_verify_of_a_sound_store(node):
    client = node.s3()
    assert upkeep(node) == {"id": 0, "running": False}
    assert control(node, "DELETE", "store/upkeep")[0] == 404
    client.create_bucket(Bucket="data")
    client.put_object(Bucket="data", Key="large", Body=os.urandom(2 * MIB))
    client.put_object(Bucket="data", Key="small", Body=b"x")
    job = node.cli_json("store", "verify")
    assert (job["id"], job["kind"], job["running"]) == (1, "verify", False)
    assert job["started"] <= job["ended"]
    assert (job["problems"], job["problems_count"]) == ([], 0)
    assert set(job["verdict"]) == VERDICT
    assert job["verdict"]["objects"] >= 2 and job["verdict"]["bytes"] >= 2 * MIB
    assert not any(job["verdict"][key] for key in VERDICT - {"objects", "chunks", "bytes"})
    assert upkeep(node) == job
    result = node.cli("store", "verify")
    assert "damaged        0 objects, 0 chunks" in result.stdout and result.stderr == ""
    assert upkeep(node)["id"] == 2
    node.stop()
    result = offline(node, "verify")
    assert result.returncode == 0 and "damaged        0 objects" in result.stdout
    assert set(json.loads(offline(node, "verify", "--json").stdout)["verdict"]) == VERDICT
    node.start()
    assert node.s3().get_object(Bucket="data", Key="small")["Body"].read() == b"x"


def flip(path, offset):
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)
        file.seek(offset)
        file.write(bytes([byte[0] ^ 0x10]))


def test_damaged_segment(node):
    client = node.s3()
    client.create_bucket(Bucket="data")
    data = os.urandom(8 * MIB)
    client.put_object(Bucket="data", Key="dir/damaged\n", Body=data)
    client.put_object(Bucket="data", Key="sound", Body=os.urandom(MIB))
    piece = data[5 * MIB : 5 * MIB + 64]
    (segment,) = [path for path in (node.data_dir / "store" / "segments").iterdir()
                  if piece in path.read_bytes()]  # fmt: skip
    flip(segment, segment.read_bytes().index(piece))
    result = node.cli("store", "verify", check=False)
    assert result.returncode == 1
    (line,) = [line for line in result.stdout.splitlines() if line.startswith("s3://")]
    assert line.startswith("s3://data/dir/damaged?: ")
    assert "damaged        1 objects, 1 chunks" in result.stdout
    result = node.cli("store", "verify", "--json", check=False)
    job = json.loads(result.stdout)
    assert result.returncode == 1 and job["problems_count"] == 1
    (problem,) = job["problems"]
    assert set(problem) == {"bucket", "key", "version", "text"} and problem["text"]
    assert (problem["bucket"], problem["key"]) == ("data", "dir/damaged\n")
    assert "kind=verify" in node.log() and "damaged_objects=1" in node.log()
    node.stop()
    assert "s3://data/dir/damaged?: " in offline(node, "verify").stdout
    node.start()
    # What cannot be read goes, by name; the rest stays, and is sound.
    result = node.cli("store", "repair", check=False)
    assert result.returncode == 1 and "s3://data/dir/damaged?: " in result.stdout
    client = node.s3()
    assert [item["Key"] for item in client.list_objects_v2(Bucket="data")["Contents"]] == ["sound"]
    assert node.cli("store", "verify").returncode == 0
    assert node.cli_json("bucket", "show", "data")["bytes"] == MIB
    assert node.cli("store", "repair").returncode == 0


def test_damaged_metadata_file(node):
    client = node.s3()
    client.create_bucket(Bucket="data")
    data = os.urandom(3000)
    client.put_object(Bucket="data", Key="inline", Body=data)
    client.put_object(Bucket="data", Key="other", Body=b"sound")
    node.stop()
    path = node.data_dir / "store" / "metadata.mdb"
    whole = path.read_bytes()
    at = whole.find(data[:100])
    assert at > 0
    while at >= 0:  # former pages may hold it as well
        flip(path, at + 50)
        at = whole.find(data[:100], at + 1)
    result = offline(node, "verify", "--json")
    job = json.loads(result.stdout)
    assert result.returncode == 1
    assert [(p["bucket"], p["key"]) for p in job["problems"]] == [("data", "inline")]
    assert offline(node, "repair").returncode == 1
    assert offline(node, "verify").returncode == 0
    node.start()
    assert code_of(node.s3().get_object, Bucket="data", Key="inline") == "NoSuchKey"
    assert node.s3().get_object(Bucket="data", Key="other")["Body"].read() == b"sound"


def test_compact(node):
    client = node.s3()
    client.create_bucket(Bucket="data")
    kept = {f"kept{i}": os.urandom(MIB) for i in range(8)}
    for i, (key, data) in enumerate(kept.items()):
        client.put_object(Bucket="data", Key=f"gone{i}", Body=os.urandom(12 * MIB))
        client.put_object(Bucket="data", Key=key, Body=data)
    before = node.cli_json("store", "stats")["segment_bytes"]
    assert before > 100 * MIB
    for i in range(8):
        client.delete_object(Bucket="data", Key=f"gone{i}")
    # The chunks of what was deleted are let go of in the background.
    wait_for(lambda: node.cli_json("store", "stats")["chunk_bytes"] < 9 * MIB, "the reclaimer")
    result = node.cli("store", "compact")
    assert result.stdout.startswith("freed ")
    job = upkeep(node)
    assert job["kind"] == "compact" and set(job["verdict"]) == {"freed_bytes"}
    assert node.cli_json("store", "stats")["segment_bytes"] < before / 2
    on_disk = sum(path.stat().st_blocks * 512
                  for path in (node.data_dir / "store" / "segments").iterdir())  # fmt: skip
    assert on_disk < before / 2
    for key, data in kept.items():
        assert client.get_object(Bucket="data", Key=key)["Body"].read() == data
    node.cli("store", "verify")


def test_one_at_a_time_and_stop(node):
    put_much(node.s3())
    for attempt in range(5):
        status, job = control(node, "POST", "store/verify")
        assert (status, job["running"], job["kind"]) == (202, True, "verify")
        busy = [control(node, "POST", f"store/{kind}") for kind in ("verify", "compact")]
        stopped, _ = control(node, "DELETE", "store/upkeep")
        wait_for(lambda: not upkeep(node)["running"], "the end of the job")
        if [status for status, _ in busy] == [409, 409] and stopped == 204:
            break
    else:
        raise AssertionError("no job took long enough to be met by another one")
    assert all("upkeep" in answer["error"] for _, answer in busy)
    job = upkeep(node)
    assert job["error"] == "stopped" and "verdict" not in job
    assert job["done"] < job["of"]
    assert control(node, "DELETE", "store/upkeep")[0] == 404
    assert control(node, "POST", "store/frobnicate")[0] == 404
    assert control(node, "GET", "store/verify")[0] == 404
    # A stop of the node does not wait for the job's end.
    assert control(node, "POST", "store/verify")[0] == 202
    node.stop()
    assert "event=upkeep_ended kind=verify" in node.log()


def start_verify(node, **options):
    return subprocess.Popen([EDGEOS, "store", "verify", "--data", node.data_dir],
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                            **options)  # fmt: skip


def catches_interrupts(process):
    with open(f"/proc/{process.pid}/status") as file:
        caught = [line.split()[1] for line in file if line.startswith("SigCgt:")]
    return bool(caught) and int(caught[0], 16) >> (signal.SIGINT - 1) & 1


@pytest.mark.parametrize("is_offline", [False, True])
def test_interrupt(node, is_offline):
    put_much(node.s3())
    if is_offline:
        node.stop()
    for attempt in range(5):
        process = start_verify(node, stderr=subprocess.PIPE)
        wait_for(lambda: catches_interrupts(process) or process.poll() is not None,
                 "its handler", interval_s=0.001)  # fmt: skip
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
        # On a busy machine it may have ended before we saw it.
        if process.returncode:
            break
    assert (process.returncode, output) == (1, "")
    assert errors.strip() == "edgeos: verify: stopped"
    if not is_offline:
        assert upkeep(node)["error"] == "stopped"
    assert (offline(node, "verify") if is_offline else node.cli("store", "verify")).returncode == 0


def test_progress_on_a_terminal(node):
    put_much(node.s3())
    primary, terminal = pty.openpty()
    process = start_verify(node, stderr=terminal)
    os.close(terminal)
    shown = b""
    try:
        while piece := os.read(primary, 4096):
            shown += piece
    except OSError:  # how Linux says that the other side is closed
        pass
    os.close(primary)
    output = process.communicate(timeout=60)[0]
    assert process.returncode == 0 and "looked at" in output
    # How far it gets before it is seen is the machine's business.
    assert re.fullmatch(rb"(\r\x1b\[Kverify: \d+ %(, \S+ \S+ of \S+ \S+)?)+\r\x1b\[K", shown)


def test_without_node_or_store(tmp_path):
    result = run_edgeos("store", "verify", "--data", tmp_path / "nothing", check=False)
    assert (result.returncode, result.stdout) == (1, "")
    assert len(result.stderr.strip().splitlines()) == 1 and "nothing" in result.stderr
    assert not (tmp_path / "nothing").exists()
    (tmp_path / "empty").mkdir()
    result = run_edgeos("store", "repair", "--data", tmp_path / "empty", check=False)
    assert result.returncode == 1 and "no store" in result.stderr
    assert list((tmp_path / "empty").iterdir()) == []
    result = run_edgeos("store", "stats", "--data", tmp_path / "empty", check=False)
    assert result.returncode == 1 and "edgeos up" in result.stderr
