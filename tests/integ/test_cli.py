"""What all commands have in common."""
import concurrent.futures
import json

import pytest
from edgeos_node import Node, run_edgeos

VERBS = ["up", "status", "version", "run", "build", "deploy", "function", "bucket", "find", "store",
         "tenant", "chain", "cp", "ls", "cat", "rm", "bench"]  # fmt: skip


def test_help_lists_the_verbs():
    result = run_edgeos("help")
    for verb in VERBS:
        assert verb in result.stdout
    assert result.stderr == ""


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_a_verb(verb):
    result = run_edgeos("help", verb)
    assert f"edgeos {verb}" in result.stdout


@pytest.mark.parametrize(
    "args",
    [["frobnicate"], ["--frobnicate"], ["status", "--frobnicate"], ["bucket"], ["bucket", "x"],
     ["bucket", "create"], ["function", "show"], ["cp", "a"], ["deploy"], ["bench"],
     ["build"], ["build", "a.wasm"], ["build", "-o", "x"], ["build", "a.wasm", "-o"],
     ["build", "a", "b", "-o", "x"], ["build", "a.wasm", "-o", "x", "--target", "mips"]],
)  # fmt: skip
def test_wrong_use_is_2(args):
    result = run_edgeos(*args, check=False)
    assert result.returncode == 2, result
    assert result.stdout == ""
    assert result.stderr.strip()
    assert len(result.stderr) < 4000


def test_nothing_is_help_and_2():
    result = run_edgeos(check=False)
    assert (result.returncode, result.stdout) == (2, run_edgeos("help").stdout)


def test_version():
    assert run_edgeos("version").stdout.startswith("edgeos ")
    assert run_edgeos("--version").stdout == run_edgeos("version").stdout


def test_no_node(tmp_path):
    """Without a node: one line that says what to do."""
    result = run_edgeos(
        "status", check=False, environment={"EDGEOS_DATA": str(tmp_path / "nothing")}
    )
    assert result.returncode == 1
    assert len(result.stderr.strip().splitlines()) == 1
    assert "edgeos up" in result.stderr


def test_listings_take_json(shared_node):
    for args in (["status"], ["function", "list"], ["bucket", "list"]):
        json.loads(shared_node.cli(*args, "--json").stdout)


def test_buckets_and_objects(shared_node, tmp_path):
    node = shared_node
    node.cli("bucket", "create", "papers")
    assert "papers" in node.cli("bucket", "list").stdout.split()
    (tmp_path / "a.bin").write_bytes(bytes(range(256)) * 5000)
    node.cli("cp", tmp_path / "a.bin", "s3://papers/dir/a.bin")
    assert "dir/a.bin" in node.cli("ls", "s3://papers/dir/").stdout
    node.cli("cp", "s3://papers/dir/a.bin", tmp_path / "b.bin")
    assert (tmp_path / "b.bin").read_bytes() == (tmp_path / "a.bin").read_bytes()
    (tmp_path / "t").write_text("text\n")
    node.cli("cp", tmp_path / "t", "s3://papers/t")
    assert node.cli("cat", "s3://papers/t").stdout == "text\n"
    names = [o["Key"] for o in node.s3().list_objects_v2(Bucket="papers")["Contents"]]
    assert names == ["dir/a.bin", "t"]
    refused = node.cli("bucket", "rm", "papers", check=False)
    assert refused.returncode == 1 and "papers" in refused.stderr
    node.cli("rm", "s3://papers/t")
    node.cli("rm", "s3://papers/dir/a.bin")
    node.cli("bucket", "rm", "papers")
    assert "papers" not in node.cli("bucket", "list").stdout.split()


@pytest.mark.parametrize(
    "args, word",
    [
        (["cat", "s3://nowhere/x"], "nowhere"),
        (["ls", "s3://nowhere/"], "nowhere"),
        (["cp", "/nonexistent/file", "s3://nowhere/x"], "/nonexistent/file"),
        (["bucket", "create", "Not_A_Name"], "Not_A_Name"),
        (["bucket", "rm", "nowhere"], "nowhere"),
        (["function", "show", "nothing"], "nothing"),
        (["function", "rm", "nothing"], "nothing"),
        (["function", "logs", "nothing"], "nothing"),
        (["function", "invoke", "nothing"], "nothing"),
        (["deploy", "/nonexistent.yaml"], "/nonexistent.yaml"),
    ],
)
def test_errors_are_one_line_with_the_name(shared_node, args, word):
    result = shared_node.cli(*args, check=False)
    assert result.returncode == 1, result
    assert result.stdout == ""
    assert len(result.stderr.strip().splitlines()) == 1, result.stderr
    assert word in result.stderr


def test_long_manifest(shared_node, samples, tmp_path):
    """As long as docs/manifest.md says, and not longer."""
    manifest = tmp_path / "long.yaml"
    module = samples / "hello.wasm"
    text = f"function: long\nimage: {module}\n"
    manifest.write_text(text + "#" * ((1 << 20) - len(text) - 1) + "\n")
    shared_node.cli("deploy", manifest)
    manifest.write_text(manifest.read_text() + "\n")
    result = shared_node.cli("deploy", manifest, check=False)
    assert result.returncode == 1 and "long.yaml" in result.stderr
    shared_node.cli("function", "rm", "long")


def test_node_in_a_long_directory(tmp_path):
    """Its local socket's path does not fit a socket address; listings call it page after page."""
    node = Node(tmp_path / ("long" * 40)).start()
    try:
        node.cli("bucket", "create", "pages")
        s3 = node.s3()
        keys = [f"k{i:04}" for i in range(1005)]
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda key: s3.put_object(Bucket="pages", Key=key, Body=b""), keys))
        entries = node.cli_json("ls", "s3://pages")["entries"]
        assert [entry["key"] for entry in entries] == keys
    finally:
        node.stop()
