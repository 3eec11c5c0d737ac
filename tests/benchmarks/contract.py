"""How fast contract tests go: the test plugin and plain schemathesis on the same service, in turns.

    python tests/benchmarks/contract.py [--rounds 3] [--service flask] [--path tags]

Each run has a fresh service; ``--path`` takes only the paths with this word. ``schemathesis run`` has its defaults; the
plugin runs whole, once with its generated cases only (groups responses and requests), and once with its own checks
only. It prints requests per second of testing, without the start, and the ratios. Goal: at least as many a second as
schemathesis, and 150 for the plugin's own checks.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).parents[1] / "services" / "planted"))

from planted_service import Service, load_service, run_service
from score import build_command

_GENERATED = re.compile(r"(\d+) generated")
_TOOK = re.compile(r"(?:Examples|Coverage|Fuzzing|Stateful) \(in ([\d.]+)s\)")
_OWN = "not responses and not requests"


@dataclass(frozen=True)
class Speed:
    """requests: sent. testing_s: without the start. whole_s: of the command."""

    requests: int
    testing_s: float
    whole_s: float


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--service", default="flask")
    parser.add_argument("--path", default="")
    options = parser.parse_args()
    service = load_service(options.service)
    here = f" and {options.path}" if options.path else ""
    paths = ["--include-path-regex", options.path] if options.path else []
    ways: dict[str, Callable[[], Speed]] = {
        "schemathesis run": lambda: run_schemathesis(service, paths),
        "plugin, generated": lambda: run_plugin(service, ["-k", f"(responses or requests){here}"]),
        "plugin, own checks": lambda: run_plugin(service, ["-k", f"{_OWN}{here}", "--pymacaron-max-examples=0"]),
        "plugin, whole": lambda: run_plugin(service, ["-k", f"contract{here}"]),
    }
    found: dict[str, list[Speed]] = {name: [] for name in ways}
    for _ in range(options.rounds):
        for name, measure in ways.items():
            found[name].append(measure())
    plain = find_rate(found["schemathesis run"])
    print(f"{'':20}{'requests':>9}{'testing s':>11}{'whole s':>9}{'a second':>10}{'ratio':>7}")  # noqa: T201
    for name, speeds in found.items():
        middle = sorted(speeds, key=lambda speed: speed.whole_s)[len(speeds) // 2]
        rate = find_rate(speeds)
        numbers = (
            f"{middle.requests:>9}{middle.testing_s:>11.1f}{middle.whole_s:>9.1f}{rate:>10.0f}{rate / plain:>7.1f}"
        )
        print(f"{name:20}{numbers}")  # noqa: T201


def find_rate(speeds: list[Speed]) -> float:
    """Return the median of requests per second of testing."""
    return statistics.median(speed.requests / speed.testing_s for speed in speeds)


def run_plugin(service: Service, extra: list[str]) -> Speed:
    """Run the plugin against a fresh service."""
    with run_service(service) as url, tempfile.TemporaryDirectory() as folder:
        command = build_command(service, url, seed=0, max_time_s=120, extra=extra)
        started = time.monotonic()
        subprocess.run(command, cwd=folder, capture_output=True, check=False)
        whole_s = time.monotonic() - started
        report = json.loads(Path(folder, "pymacaron-report.json").read_text())
    testing_s = sum(item["duration_s"] for item in report["items"])
    return Speed(report["requests_sent"], testing_s, whole_s)


def run_schemathesis(service: Service, paths: list[str]) -> Speed:
    """Run schemathesis' own command with the first user against a fresh service."""
    header = next(iter(service.users.values()))
    document = yaml.safe_load(service.document.read_text())
    prefix = document.get("basePath") or document.get("servers", [{}])[0].get("url", "")
    with run_service(service) as url, tempfile.TemporaryDirectory() as folder:
        program = str(Path(sys.executable).with_name("schemathesis"))
        base = [
            "--url",
            url + str(prefix).rstrip("/"),
            "-H",
            header,
            "--seed",
            "0",
            "--generation-database",
            "none",
            *paths,
        ]
        started = time.monotonic()
        done = subprocess.run(
            [program, "run", str(service.document), *base], cwd=folder, capture_output=True, text=True, check=False
        )
        whole_s = time.monotonic() - started
    generated, took = _GENERATED.findall(done.stdout), _TOOK.findall(done.stdout)
    if not generated or not took:
        raise RuntimeError(done.stdout[-2000:] + done.stderr[-2000:])
    return Speed(int(generated[-1]), sum(map(float, took)), whole_s)


if __name__ == "__main__":
    main()
