"""Loads a service with wrk, from a core of its own, and reads what wrk says."""

from __future__ import annotations

import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from operations import Call

CONNECTIONS = 32
SERVER_CORE = "0"
WRK_CORE = "1"
_UNITS_MS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60000.0}
_RATE = re.compile(r"^Requests/sec:\s+([\d.]+)$", re.MULTILINE)
_PERCENTILE = re.compile(r"^\s+(50|99)%\s+([\d.]+)(us|ms|s|m) *$", re.MULTILINE)
_FAULT = re.compile(r"^\s*((?:Non-2xx|Socket errors).*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Load:
    """What wrk measured: requests per second; milliseconds that half, and 99 of 100, of the answers took at most."""

    requests_per_s: float
    p50_ms: float
    p99_ms: float


def run_wrk(call: Call, port: int, seconds: float, connections: int = CONNECTIONS) -> Load:
    """Send *call* for so many seconds over so many connections. Raises: RuntimeError: an answer failed."""
    with tempfile.TemporaryDirectory() as name:
        script = Path(name, "call.lua")
        Path(name, "body").write_bytes(call.body)
        script.write_text(write_script(call, Path(name, "body")))
        url = f"http://127.0.0.1:{port}{call.path}"
        options = ["-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--latency", "--timeout", "30s"]
        command = ["taskset", "-c", WRK_CORE, "wrk", *options, "-s", str(script), url]
        return parse(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def write_script(call: Call, body: Path) -> str:
    """Return the Lua script that makes wrk send *call*, whose body is in a file."""
    lines = [f'wrk.method = "{call.method}"']
    lines += [f'wrk.headers["{name}"] = "{value}"' for name, value in call.headers]
    if call.body:
        lines.append(f'wrk.body = io.open("{body}", "rb"):read("*a")')
    return "\n".join(lines) + "\n"


def parse(text: str) -> Load:
    """Return what wrk's output says. Raises: RuntimeError: it tells of failures, or tells nothing."""
    fault = _FAULT.search(text)
    if fault:
        raise RuntimeError(f"wrk: {fault[1]}")
    rate = _RATE.search(text)
    percentiles = {number: float(value) * _UNITS_MS[unit] for number, value, unit in _PERCENTILE.findall(text)}
    if rate is None or len(percentiles) != 2:
        raise RuntimeError(f"wrk said what this cannot read: {text[:500]}")
    if not float(rate[1]):
        raise RuntimeError("wrk got no answer in time; give it more --seconds")
    return Load(float(rate[1]), percentiles["50"], percentiles["99"])
