"""Tests many targets in one process: one pytest run with the plugin for each, as a user would start it.

``python run_documents.py JOBS RESULTS``: JOBS is a JSON list of {spec, target, auth, report, seed, examples, sample},
RESULTS becomes a JSON list of {exit_code, output, duration_s}. sample: how many operations to test, null for all.
"""

from __future__ import annotations

import contextlib
import gc
import io
import json
import random
import sys
import time
from pathlib import Path
from typing import Any

import pytest


class Sample:
    """Leaves only the items of some operations, the same ones for the same seed."""

    def __init__(self, count: int, seed: int) -> None:
        """Keep *count* operations."""
        self._count = count
        self._seed = seed

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Take the other ones out."""
        operations = sorted({_operation_of(item) for item in items})
        kept = set(random.Random(self._seed).sample(operations, self._count))
        items[:] = [item for item in items if _operation_of(item) in kept]


def _operation_of(item: pytest.Item) -> str:
    return item.name.rpartition("[")[0]


def run_job(job: dict[str, Any]) -> dict[str, object]:
    """Run pytest for one target."""
    arguments = [
        "-q",
        "-p",
        "no:cacheprovider",
        f"--pymacaron-target={job['target']}",
        f"--pymacaron-spec={job['spec']}",
        f"--pymacaron-report={job['report']}",
        f"--pymacaron-seed={job['seed']}",
        f"--pymacaron-max-examples={job['examples']}",
        *(f"--pymacaron-auth={line}" for line in job["auth"]),
    ]
    output = io.StringIO()
    gc.freeze()  # pytest collects garbage at its end: what is loaded for all runs is not searched by each of them
    before = time.monotonic()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        plugins = [Sample(job["sample"], job["seed"])] if job["sample"] else []
        exit_code = pytest.main(arguments, plugins=plugins)
    return {"exit_code": int(exit_code), "output": output.getvalue(), "duration_s": time.monotonic() - before}


if __name__ == "__main__":
    jobs, results = map(Path, sys.argv[1:])
    results.write_text(json.dumps([run_job(job) for job in json.loads(jobs.read_text())]))
