"""Runs the test plugin many times against services without a fault: no run may be red, and none flaky.

    python tests/benchmarks/clean_runs.py [--runs 50] [--first-seed 0] [--max-time 30] [--service NAME]

The planted services take turns, each run with another seed. Everything that a run reports is printed whole. The exit
code is 1 if there was anything. Goal: 50 runs without a failure and without anything seen once and not again.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "services" / "planted"))

from planted_service import Service, find_services, load_service, run_service
from score import build_command


def main() -> int:
    """Run, print, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--max-time", type=float, default=30)
    parser.add_argument("--service", action="append", help="one of these only")
    options = parser.parse_args()
    services = [load_service(name) for name in options.service or find_services()]
    bad = 0
    seconds: list[float] = []
    for number in range(options.runs):
        service = services[number % len(services)]
        seed = options.first_seed + number
        took_s, findings = run_once(service, seed, options.max_time)
        seconds.append(took_s)
        bad += bool(findings)
        say(f"{service.name}, seed {seed}: {took_s:.1f} s, {len(findings)} findings")
        for finding in findings:
            say(json.dumps(finding, ensure_ascii=False, indent=1))
    median_s = statistics.median(seconds)
    say(f"{options.runs} runs, {bad} with findings, median {median_s:.1f} s, most {max(seconds):.1f} s")
    return 1 if bad else 0


def run_once(service: Service, seed: int, max_time_s: float) -> tuple[float, list[Any]]:
    """Return how long a run took, and all that it reported: failures, what was flaky, and what broke the run."""
    with run_service(service) as url, tempfile.TemporaryDirectory() as folder:
        command = build_command(service, url, seed=seed, max_time_s=max_time_s)
        started = time.monotonic()
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        took_s = time.monotonic() - started
        path = Path(folder, "pymacaron-report.json")
        if not path.exists():
            return took_s, [(done.stdout + done.stderr)[-3000:]]
        report = json.loads(path.read_text())
    findings: list[Any] = []
    for item in report["items"]:
        findings += [{"item": item["nodeid"], **failure} for failure in item["failures"]]
        findings += [{"item": item["nodeid"], "flaky": sentence} for sentence in item.get("flaky", [])]
    if done.returncode and not findings:
        findings.append((done.stdout + done.stderr)[-3000:])
    return took_s, findings


def say(text: str) -> None:
    """Print at once, also into a file."""
    print(text, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
