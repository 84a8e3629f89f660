"""S3 as other programs than boto3 and aws (test_s3.py) speak it: s3cmd, rclone, restic, the
client for Node.js, and s3fs where the machine lets it mount."""
import filecmp
import os
import pathlib
import random
import shutil
import subprocess
import uuid

import pytest

CLIENTS = pathlib.Path(__file__).parent.parent / "clients"


@pytest.fixture
def name():
    return f"t-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def tree(tmp_path):
    """Files of all sizes, some alike, with names that must be quoted."""
    rng = random.Random(5)
    folder = tmp_path / "tree"
    for i in range(30):
        path = folder / f"d{i % 3}" / f"f {i} ä+&=%.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(rng.randbytes(int(rng.paretovariate(0.5) * 100) % 200_000))
    (folder / "empty").write_bytes(b"")
    (folder / "large").write_bytes(rng.randbytes(17 << 20))
    shutil.copy(folder / "large", folder / "large again")
    return folder


def run(*argv, environment=None, timeout_s=120):
    # What the person who runs the tests has set up for AWS is none of theirs.
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
    result = subprocess.run(
        [str(word) for word in argv],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        env={**inherited, **(environment or {})},
    )
    assert result.returncode == 0, f"{argv}: {result.stdout}{result.stderr}"
    return result.stdout


def assert_same(left, right):
    names = sorted(str(path.relative_to(left)) for path in left.rglob("*") if path.is_file())
    assert names == sorted(str(path.relative_to(right)) for path in right.rglob("*") if path.is_file())
    assert filecmp.cmpfiles(left, right, names, shallow=False) == (names, [], [])


def test_s3cmd(shared_node, name, tree, tmp_path):
    config = tmp_path / "s3cfg"
    host = shared_node.s3_url.removeprefix("http://")
    config.write_text(
        f"[default]\naccess_key = {shared_node.access_key}\nsecret_key = {shared_node.secret_key}\n"
        f"host_base = {host}\nhost_bucket = {host}\nuse_https = False\nsignature_v2 = False\n")
    s3cmd = ("s3cmd", "-c", config, "--no-progress")
    run(*s3cmd, "mb", f"s3://{name}")
    run(*s3cmd, "sync", f"{tree}/", f"s3://{name}/t/")
    listed = run(*s3cmd, "ls", "-r", f"s3://{name}/t/").splitlines()
    assert len(listed) == 33
    (tmp_path / "back").mkdir()
    run(*s3cmd, "get", "-r", f"s3://{name}/t/", f"{tmp_path}/back/")
    assert_same(tree, tmp_path / "back")
    run(*s3cmd, "cp", f"s3://{name}/t/large", f"s3://{name}/copy")
    run(*s3cmd, "mv", f"s3://{name}/copy", f"s3://{name}/moved")
    assert "17825792" in run(*s3cmd, "info", f"s3://{name}/moved")
    (tree / "empty").unlink()
    run(*s3cmd, "sync", "--delete-removed", f"{tree}/", f"s3://{name}/t/")
    assert len(run(*s3cmd, "ls", "-r", f"s3://{name}/t/").splitlines()) == 32
    run(*s3cmd, "rb", "-r", "-f", f"s3://{name}")


def test_rclone(shared_node, name, tree, tmp_path):
    environment = {
        "RCLONE_CONFIG": str(tmp_path / "none"),
        "RCLONE_CONFIG_N_TYPE": "s3",
        "RCLONE_CONFIG_N_PROVIDER": "Other",
        "RCLONE_CONFIG_N_ENDPOINT": shared_node.s3_url,
        "RCLONE_CONFIG_N_ACCESS_KEY_ID": shared_node.access_key,
        "RCLONE_CONFIG_N_SECRET_ACCESS_KEY": shared_node.secret_key,
    }

    def rclone(*args):
        return run("rclone", "--s3-chunk-size", "5Mi", "--s3-upload-cutoff", "8Mi", "--retries", "1",
                   "--low-level-retries", "1", *args, environment=environment)

    rclone("mkdir", f"n:{name}")
    rclone("sync", tree, f"n:{name}/t")
    rclone("check", "--download", tree, f"n:{name}/t")
    rclone("check", tree, f"n:{name}/t")
    # Nothing is sent again, what was removed goes, what changed comes.
    (tree / "d1").rename(tree / "d9")
    (tree / "empty").write_bytes(b"no longer")
    rclone("sync", tree, f"n:{name}/t")
    rclone("check", tree, f"n:{name}/t")
    rclone("copyto", f"n:{name}/t/large", f"n:{name}/u/large")
    rclone("moveto", f"n:{name}/u/large", f"n:{name}/u/moved")
    assert rclone("lsf", f"n:{name}/u") == "moved\n"
    rclone("copy", f"n:{name}/t", tmp_path / "back")
    assert_same(tree, tmp_path / "back")
    rclone("purge", f"n:{name}")


def test_restic(shared_node, name, tree, tmp_path):
    environment = {
        "RESTIC_REPOSITORY": f"s3:{shared_node.s3_url}/{name}/repo",
        "RESTIC_PASSWORD": "secret",
        "RESTIC_CACHE_DIR": str(tmp_path / "cache"),
        "AWS_ACCESS_KEY_ID": shared_node.access_key,
        "AWS_SECRET_ACCESS_KEY": shared_node.secret_key,
    }

    def restic(*args):
        return run("restic", "--quiet", *args, environment=environment)

    restic("init")
    restic("backup", tree)
    (tree / "d2" / "new").write_bytes(random.Random(6).randbytes(100_000))
    restic("backup", tree)
    restic("check", "--read-data")
    restic("restore", "latest", "--target", tmp_path / "back")
    assert_same(tree, tmp_path / "back" / tree.relative_to("/"))
    restic("forget", "--keep-last", "1", "--prune")
    restic("check")


def test_node_js(shared_node, name):
    if not (CLIENTS / "node_modules").is_dir():
        pytest.fail("tests/clients has no node_modules: tools/deps test")
    assert run("node", CLIENTS / "roundtrip.mjs", shared_node.s3_url, shared_node.access_key,
               shared_node.secret_key, name) == "ok\n"


def test_s3fs(shared_node, name, tree, tmp_path):
    """In a mount namespace of its own, so that nothing stays mounted."""
    mountpoint = tmp_path / "mnt"
    mountpoint.mkdir()
    probe = subprocess.run(["unshare", "--mount", "sh", "-c", "exec 3<>/dev/fuse"], capture_output=True)
    if os.geteuid() != 0 or probe.returncode:
        pytest.skip("this machine does not let us mount with FUSE")
    passwords = tmp_path / "passwd"
    passwords.write_text(f"{shared_node.access_key}:{shared_node.secret_key}\n")
    passwords.chmod(0o600)
    run("aws", "--endpoint-url", shared_node.s3_url, "s3", "mb", f"s3://{name}", environment={
        "AWS_ACCESS_KEY_ID": shared_node.access_key, "AWS_SECRET_ACCESS_KEY": shared_node.secret_key,
        "AWS_DEFAULT_REGION": "us-east-1"})
    script = f"""
set -e
s3fs {name} {mountpoint} -o url={shared_node.s3_url} -o use_path_request_style -o passwd_file={passwords}
trap 'umount -l {mountpoint}' EXIT
cp -r '{tree}' {mountpoint}/t
diff -r '{tree}' {mountpoint}/t
mv {mountpoint}/t/large {mountpoint}/moved
cmp {mountpoint}/moved '{tree}/large'
printf more >> {mountpoint}/t/empty
[ "$(cat {mountpoint}/t/empty)" = more ]
rm -r {mountpoint}/t/d1
[ -z "$(ls {mountpoint}/t | grep d1)" ]
"""
    run("unshare", "--mount", "sh", "-c", script)
