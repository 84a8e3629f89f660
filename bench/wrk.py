"""wrk, which asks servers for the benches in Python."""
import os
import re
import signal
import subprocess
import time

import lib

UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 60e3}


def run(url, connections, threads, seconds, script=None, arguments=(), is_done=None):
    """Requests a second, p50 and p99 in ms, and what went wrong. With IS_DONE, which is asked every
    quarter of a second, it ends when that says so."""
    command = ["wrk", f"-c{connections}", f"-t{threads}", f"-d{seconds}s", "--latency"]
    command += ["-s", str(script)] if script else []
    command += [url, "--", *map(str, arguments)] if arguments else [url]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "BENCH_THREADS": str(threads)},
    ) as process:
        while is_done and process.poll() is None:
            time.sleep(0.25)
            if is_done():
                process.send_signal(signal.SIGINT)
                break
        text, errors = process.communicate()
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    if process.returncode or not rate:
        lib.fail(f"wrk {url}: {errors or text}")
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
