"""Kills a deploy at every line of its journal, goes on or back, and shows that the service answered all the time.

Run: ``PYTHONPATH=tests/services python tests/benchmarks/deploy_kills.py``. Needs a Docker engine
and docker-registry.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from images import run_registry
from killed_deploys import Kill, open_bench
from target_suite import traffic

STEPS = ("image", "push", "stage", "shift-50", "shift-100", "bake", "retire")
BOTH_WAYS = ("resume", "rollback")


def plan_kills() -> Iterator[Kill]:
    """Yield every kill: at each step, begun or done, before or after that is on record, and both cures."""
    for cure in BOTH_WAYS:
        yield Kill("plan", "done", "after", cure)
        for step in STEPS:
            for state, when in (("begin", "after"), ("done", "before"), ("done", "after")):
                yield Kill(step, state, when, cure)


def main() -> int:
    """Go through all kills and print what came of each."""
    with tempfile.TemporaryDirectory() as name, run_registry(Path(name) / "registry") as registry:
        with open_bench(Path(name), registry) as bench, traffic(bench.target.live_url, 25) as seen:
            wrong = 0
            for kill in plan_kills():
                began = time.monotonic()
                found = bench.go_through(kill)
                wrong += bool(found)
                said = f"{kill.when} {kill.step} {kill.state}, then {kill.cure}: {found or 'as it should be'}"
                print(f"{said} ({time.monotonic() - began:.1f} s)", flush=True)  # noqa: T201
        print(f"{wrong} wrong; clients: {dict(seen)}")  # noqa: T201
        return 1 if wrong or seen["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
