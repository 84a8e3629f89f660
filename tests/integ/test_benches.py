"""The benches of the kernel and of the data plane do what they do and print what they promise. Not how fast: BENCH_QUICK=1 makes
figures that mean nothing."""
import json
import os

import pytest
from edgeos_node import BUILD, run_edgeos

QUICK = {"BENCH_QUICK": "1"}
SIZES = (64, 1500)
STAGE_NS = [f"{what}stage{warm}" for what in ("", "port_", "click_") for warm in ("", "_warm")]
# For each bench our own rows, its baselines, and its ratios with their bounds.
BENCHES = {
    "start": (
        ["fwp_load", "fwp_cold", "fwp_warm", "fwp_hot"],
        ["vfork_exec_musl", "vfork_exec_glibc", "crun", "runc"],
        {
            "vfork_exec_musl/fwp_warm": 400,
            "vfork_exec_glibc/fwp_warm": 1500,
            "crun/fwp_warm": 50000,
            "runc/fwp_warm": 50000,
            "vfork_exec_musl/fwp_cold": 5,
            "vfork_exec_musl/fwp_load": None,
        },
    ),
    "churn": (
        ["fwp_churn"],
        ["vfork_exec_wait_musl"],
        {"fwp_churn/vfork_exec_wait_musl": 40, "fwp_churn/300000_per_s": 1},
    ),
    "switch": (
        ["fwp_switch", "fwp_switch_tenants"],
        ["pipe", "futex"],
        {"pipe/fwp_switch": 15, "futex/fwp_switch": 15},
    ),
    "message": (
        ["fwp_message_64", "fwp_copy_64k"],
        ["pipe", "memcpy_64k"],
        {"pipe/fwp_message_64": 10, "fwp_copy_64k/memcpy_64k": 0.8},
    ),
    "neighbour": (
        ["fwp_quiet", "fwp_higher", "fwp_same"],
        ["linux_quiet", "linux_other", "linux_fifo"],
        {"added_p99_higher_us": 100, "added_p99_same_us": 1200, "budget_error": 0.05},
    ),
    "density": (
        ["fwp_rss"],
        ["fork_pss", "fork_pss_tables"],
        {"fork_pss/fwp_rss": None, "fork_pss_tables/fwp_rss": None, "fwp_rss_kib": 40},
    ),
    "flow": (
        ["flow_lookup_1m", "flow_lookup_1m_alone", "flow_add_1m", "flow_parse_key"],
        ["chained_lookup_1m"],
        {"chained_lookup_1m/flow_lookup_1m": 2, "flow_lookup_1m_ns": 100},
    ),
    "chain": (
        [
            *(f"{what}_{stages}_{size}" for size in SIZES for stages in (1, 3, 6)
              for what in ("chain", "port", "click")),
            *(f"{what}_warm_{stages}_{size}" for size in SIZES for stages in (1, 6)
              for what in ("chain", "port", "click")),
            "client_waits_least",
        ],
        [f"{what}_{stages}_{size}" for size in SIZES for stages in (1, 3, 6)
         for what in ("native", "one_fwp", "port_one", "click_one")],
        {
            **{f"{one}_{stages}_{size}/{ours}_{stages}_{size}": None for size in SIZES
               for stages in (1, 3, 6)
               for one, ours in (("native", "chain"), ("one_fwp", "chain"), ("port_one", "port"),
                                 ("click_one", "click"))},
            **{f"{what}_{size}_ns": 250 for size in SIZES for what in STAGE_NS},
            **{f"{what}_1_{size}/1_mpps": 1 for size in SIZES
               for what in ("chain", "port", "click")},
        },
    ),
    "chain_churn": (
        ["chain_churn_1", "chain_churn_3"],
        [],
        {"chain_churn_1/100000_per_s": 1, "chain_churn_3/100000_per_s": 1},
    ),
    "plane_echo": (
        ["plane"],
        ["kernel"],
        {"p50_plane/p50_kernel": 0.75, "p99_plane/p99_kernel": None},
    ),
    "plane_idle": (
        ["fresh", "after_burst", "memif"],
        [],
        {"fresh_percent": 2, "after_burst_percent": 2, "memif_percent": 2},
    ),
    "memcached": (
        ["fwp@1/2000", "fwp@8/2000", "fwp_memory@1", "fwp_memory@8", "fwp_start", "fwp_first"],
        ["processes@1/2000", "processes@8/2000", "processes_memory@1", "processes_memory@8",
         "process_start"],
        {
            "p50_processes/p50_fwp@1": None,
            "p50_processes/p50_fwp@8": 500,
            "p99_processes/p99_fwp@1": None,
            "p99_processes/p99_fwp@8": 200,
            "pss_process/rss_fwp": 10,
            "process_start/fwp_start": 1000,
            "process_start/fwp_first": None,
            "p99_fwp@8/p99_fwp@1": 2,
            "fwp_lost_share": 0.001,
        },
    ),
}
LIMITS = {
    "added_p99_higher_us", "added_p99_same_us", "budget_error", "fwp_rss_kib", "flow_lookup_1m_ns",
    "p50_plane/p50_kernel", "fresh_percent", "after_burst_percent", "memif_percent",
    "p99_fwp@8/p99_fwp@1", "fwp_lost_share",
    *(f"{what}_{size}_ns" for size in SIZES for what in STAGE_NS),
}  # fmt: skip
# What these need is no baseline.
HAS_DPDK = (BUILD / "bench" / "frame_load").exists()
NEEDS = {
    "chain": pytest.mark.skipif(not HAS_DPDK, reason="was built without DPDK"),
    **dict.fromkeys(("plane_echo", "plane_idle"), pytest.mark.skipif(
        not HAS_DPDK or os.geteuid() != 0, reason="needs DPDK, and root for interfaces")),
}  # fmt: skip
# These take ten seconds each.
IS_LONG = "EDGEOS_LONG" in os.environ
SHORT = [name for name in BENCHES if IS_LONG or name not in ("chain", "memcached")]


def check_row(row):
    if "skipped" in row:
        assert row["skipped"] and set(row) == {"name", "skipped"}
    elif "rate" in row:
        assert set(row) == {"name", "unit", "n", "rate"}
        assert row["n"] > 0 and row["rate"] > 0 and row["unit"]
    elif "value" in row:
        assert set(row) == {"name", "unit", "value"} and row["value"] > 0 and row["unit"]
    else:
        assert set(row) - {"lost"} == {"name", "unit", "n", "p50", "p99"}
        assert row["n"] > 0 and 0 < row["p50"] <= row["p99"] and row["unit"]


def check_ratio(ratio, must):
    assert ratio.get("must") == must
    if must is None:
        assert ratio["ok"] is True
    elif ratio["name"] in LIMITS:
        assert ratio["ok"] is (ratio["value"] <= must)
    else:
        assert ratio["ok"] is (ratio["value"] >= must)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=NEEDS[name] if name in NEEDS else ()) for name in SHORT])
def test_json(name):
    ours, baselines, musts = BENCHES[name]
    report = json.loads(run_edgeos("bench", name, "--json", environment=QUICK).stdout)
    assert set(report) == {"bench", "machine", "rows", "ratios"}
    assert report["bench"] == name
    assert set(report["machine"]) == {"cpu", "cores", "kernel"}
    rows = {row["name"]: row for row in report["rows"]}
    assert sorted(rows) == sorted(ours + baselines) and len(rows) == len(report["rows"])
    for row in report["rows"]:
        check_row(row)
    # What is missing here is a baseline, and its ratios are missing too.
    assert not [row for row in ours if "skipped" in rows[row]]
    skipped = {row for row in baselines if "skipped" in rows[row]}
    expected = {ratio for ratio in musts if ratio.partition("/")[0] not in skipped
                and ratio.partition("/")[2] not in skipped}  # fmt: skip
    assert {ratio["name"] for ratio in report["ratios"]} == expected
    for ratio in report["ratios"]:
        check_ratio(ratio, musts[ratio["name"]])


def test_text():
    ours, baselines, musts = BENCHES["churn"]
    text = run_edgeos("bench", "churn", environment=QUICK).stdout
    for name in (*ours, *baselines, *musts):
        assert any(line.startswith(f"{name} ") for line in text.splitlines()), text


if IS_LONG:

    @pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for interfaces and namespaces")
    def test_flood():
        environment = {**QUICK, "BENCH_FLOOD": "endpoint"}
        done = run_edgeos("bench", "flood", "--json", check=False, environment=environment)
        assert done.returncode in (0, 1), done.stderr
        report = json.loads(done.stdout)
        rows = {row["name"]: row for row in report["rows"]}
        names = [f"endpoint{kind}@{rate}" for rate in (20000, "full") for kind in ("_alone", "")]
        assert list(rows) == names
        for name, row in rows.items():
            assert row["anew"] == 0 and (row["refused"] > 0) == ("alone" not in name), row
        for ratio in report["ratios"]:
            assert ratio["ok"] is (ratio["value"] <= ratio["must"])
        assert {ratio["must"] for ratio in report["ratios"]} == {0, 2}


def test_wrong_use_is_2():
    for arguments in (["--frobnicate"], ["--json", "more"]):
        result = run_edgeos("bench", "churn", *arguments, check=False, environment=QUICK)
        assert (result.returncode, result.stdout) == (2, "")
        assert "churn" in result.stderr
