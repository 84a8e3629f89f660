"""wrk, which asks servers for the benches in Python."""
import os
import re
import subprocess

import lib

UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 60e3}


def run(url, connections, threads, seconds, script=None, arguments=()):
    """Requests a second, p50 and p99 in ms, and what went wrong."""
    command = ["wrk", f"-c{connections}", f"-t{threads}", f"-d{seconds}s", "--latency"]
    command += ["-s", str(script)] if script else []
    command += [url, "--", *map(str, arguments)] if arguments else [url]
    result = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env={**os.environ, "BENCH_THREADS": str(threads)},
    )
    text = result.stdout
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    if result.returncode or not rate:
        lib.fail(f"wrk {url}: {result.stderr or text}")
    latency = {}
    for percent, number, unit in re.findall(r"^\s+(50|99)%\s+([\d.]+)(us|ms|s|m)$", text, re.M):
        latency[percent] = float(number) * UNITS[unit]
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    errors = re.search(r"Socket errors: (.*)", text)
    return {
        "rate": float(rate.group(1)),
        "p50": latency.get("50", 0.0),
        "p99": latency.get("99", 0.0),
        "bad": int(bad.group(1)) if bad else 0,
        "errors": errors.group(1) if errors else "",
    }
