"""Whether counts of tasks survive workers that are recycled and killed.

Run it from the repository: ``python tests/benchmarks/recycling.py [TASKS]``, by default 300. A worker of two processes,
each replaced after five tasks, runs tasks of the embedded broker; now and then one of the processes gets SIGKILL. It
prints what tasks noted and what was counted, and ends with 1 if a promise was broken.

Promises: each task is counted as queued once, each run that came to its end as succeeded, and what a killed process ran
as lost; nothing is running at the end; there are never more files than processes that lived at the same time.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from task_lab import open_lab

from pymacaron_monitoring.families import ACTIVE_TASKS, QUEUED_TASKS, TASKS, WORKER_STARTS
from pymacaron_monitoring.reading import Totals
from pymacaron_monitoring.store import FOLDER_VARIABLE, Store

TASKS_OF_A_PROCESS = 5
TIMEOUT_S = 300.0
# The main process, two that run tasks, their successors, the one that queues, and this one.
MOST_FILES = 7


@dataclass(frozen=True, slots=True)
class Recycled:
    """What tasks noted, and what was counted. starts: of processes. files: with counts."""

    noted: int
    kills: int
    queued: float
    finished: float
    lost: float
    running: float
    starts: float
    files: int


def main() -> None:
    """Run tasks, and print what came of it."""
    tasks = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    found = recycle(tasks, kills=tasks // 20)
    print(found)  # noqa: T201
    is_good = found.queued == tasks and found.running == 0 and found.files <= MOST_FILES
    sys.exit(
        not (
            is_good
            and found.lost <= found.kills
            and tasks <= found.finished <= found.noted <= found.finished + found.lost
        )
    )


def recycle(tasks: int, kills: int = 0) -> Recycled:
    """Return what came of so many tasks while processes are recycled and, so often, killed."""
    with tempfile.TemporaryDirectory() as text:
        counts = Path(text) / "counts"
        extra = f"celery: {{worker_max_tasks_per_child: {TASKS_OF_A_PROCESS}}}\n"
        with open_lab(Path(text) / "shop", extra=extra) as lab:
            lab.environment[FOLDER_VARIABLE] = str(counts)
            worker = lab.start_worker(concurrency=2)
            lab.run(f"for number in range({tasks}): handlers.record.queue(number, 0.02)")
            killed = 0
            deadline = time.monotonic() + TIMEOUT_S
            while len(lab.read()) < tasks and time.monotonic() < deadline:
                time.sleep(0.2)
                if killed < kills:
                    killed += kill_child(worker)
            time.sleep(2)
            totals = Store("server", counts).read()
            noted = sum(lab.read().values())
        return describe(totals, noted=noted, kills=killed, files=len(list(counts.glob("*.counts"))))


def kill_child(worker: subprocess.Popen[bytes]) -> bool:
    """Kill the newest of the processes that run tasks; tell whether there was one."""
    children = Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text().split()
    if not children:
        return False
    with suppress(ProcessLookupError):
        os.kill(int(children[-1]), signal.SIGKILL)
    return True


def describe(totals: Totals, *, noted: int, kills: int, files: int) -> Recycled:
    """Return what *totals* say of all tasks."""

    def add_up(metric: str, first: int, last: int | None, state: str | None = None) -> float:
        chosen = [
            values for key, values in totals.items() if key.metric == metric and (not state or state in key.labels)
        ]
        return sum(sum(values[first:last]) for values in chosen)

    return Recycled(
        noted=noted,
        kills=kills,
        queued=add_up(QUEUED_TASKS.name, 0, None),
        finished=add_up(TASKS.name, 0, -1, "succeeded"),
        lost=add_up(ACTIVE_TASKS.name, 1, 2),
        running=add_up(ACTIVE_TASKS.name, 0, 1),
        starts=add_up(WORKER_STARTS.name, 0, None),
        files=files,
    )


if __name__ == "__main__":
    main()
