"""How fast services answer: pymacaron and its peers, the same three operations.

Run it from the repository, on a machine that does nothing else, with wrk and taskset installed::

    python tests/benchmarks/serving.py [--rounds 3] [--seconds 4] [--only WORD] [--quick] [--output FILE.json]

Each peer gets a virtual environment of its own, with the newest versions, under ``~/.cache/pymacaron-benchmarks``. The
service has one worker on core 0, wrk 32 connections on core 1. In each round each service is started anew and loaded
with each operation in turn; what counts is the median of the rounds, per second of the service's CPU time. Before that
it must give the right answers and refuse wrong bodies and tokens. pymacaron has all switched on that ``pymacaron run``
switches on: metrics, events, request ids, an access log (into a file); the others write no access log and count
nothing. ``--docs`` renews tables and plot of docs/performance.md. Three rounds of four seconds take a quarter of
an hour.

    python tests/benchmarks/serving.py --in-process [--repeats 100] [--profile]

calls the apps without a server and prints microseconds of CPU time of one call, the best of the repeats; ``--profile``
adds where pymacaron's time goes.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from pathlib import Path
from typing import Any

from in_process import measure_in_process, profile_pymacaron
from report import RESULTS, make_report, print_in_process, write_docs
from rounds import collect, measure_rounds, measure_scaling, prepare

GENERATED = "by tests/benchmarks/serving.py; do not edit"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4, help="of load for each number")
    parser.add_argument("--only", action="append", default=[], help="services with this word, such as 'granian'")
    parser.add_argument(
        "--quick", action="store_true", help="one round of one second, nothing but the three operations"
    )
    parser.add_argument("--output", type=Path, help="where to write what was measured, as JSON")
    parser.add_argument("--docs", action="store_true", help="write the JSON, and tables and plot into docs/")
    parser.add_argument("--render", action="store_true", help="write tables and plot anew, measure nothing")
    parser.add_argument("--in-process", action="store_true", help="call the apps without a server")
    parser.add_argument("--repeats", type=int, default=100, help="of 100 calls each, in process")
    parser.add_argument("--profile", action="store_true", help="print where pymacaron's time goes, in process")
    options = parser.parse_args()
    if options.in_process:
        print_in_process(measure_in_process(options.repeats))
        if options.profile:
            print(profile_pymacaron(2000, 40))  # noqa: T201
        return
    if options.render:
        write_docs(json.loads(RESULTS.read_text()))
        return
    found = measure(options)
    print(make_report(found))  # noqa: T201
    for target in (options.output, RESULTS if options.docs else None):
        if target:
            target.write_text(json.dumps(found, indent=1) + "\n")
    if options.docs:
        write_docs(found)


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Return everything that was measured, as it is written to JSON; see `report` for what is made of it."""
    rounds, seconds = (1, 1) if options.quick else (options.rounds, options.seconds)
    found: dict[str, Any] = {"generated": GENERATED, "machine": describe_machine()}
    found |= {"rounds": rounds, "seconds": seconds}
    with tempfile.TemporaryDirectory() as name:
        contestants, found["versions"], found["missing"] = prepare(Path(name), options.only)
        found["lenient"] = {one.peer.name: one.peer.lenient for one in contestants if one.peer.lenient}
        found["samples"] = collect(measure_rounds(contestants, rounds, seconds))
        if not options.quick:
            found["scaling"] = collect(measure_scaling(contestants, Path(name), rounds, max(1, seconds / 4)))
            found["in_process"] = measure_in_process(options.repeats)
    return found


def describe_machine() -> dict[str, Any]:
    """Return what the numbers depend on; ``load``: processes that wanted a core in the last minute."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    processor = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())
    load = round(os.getloadavg()[0], 2)
    return {"date": time.strftime("%Y-%m-%d"), "processor": processor, "cores": os.cpu_count(), "load": load}


if __name__ == "__main__":
    main()
