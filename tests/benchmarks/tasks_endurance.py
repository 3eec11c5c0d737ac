"""Is a task lost while workers are killed and the broker is restarted? ``python tests/benchmarks/tasks_endurance.py``.

Queues tasks, runs workers, kills one of their processes every two seconds while two workers are ready (``kill -9``: a
whole worker or one of its children, at random), restarts the broker once in the middle, and counts how often each task
was run.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from task_lab import Broker, Lab, open_lab, run_rabbitmq, run_redis

_LAST_WAIT_S = 120.0


@dataclass(frozen=True, slots=True)
class Ordeal:
    """What tasks go through. pause_s: that each takes. kill_every_s: between two kills. restarts: of the broker."""

    tasks: int = 10_000
    workers: int = 4
    pause_s: float = 0.002
    kill_every_s: float = 2.0
    restarts: int = 1
    concurrency: int = 1
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the tasks. again: runs beyond the first of a task."""

    lost: int
    again: int
    kills: int
    seconds: float


def endure(lab: Lab, broker: Broker | None, ordeal: Ordeal) -> Outcome:
    """Put the tasks of *lab* through *ordeal*. Raises AssertionError: a part of it did not start."""
    rounds = random.Random(ordeal.seed)
    kills = 0
    lab.run(f"for n in range({ordeal.tasks}): handlers.record.queue(n, {ordeal.pause_s})")
    started = time.monotonic()
    with ThreadPoolExecutor(16) as pool:
        ready = list(pool.map(lambda _: lab.start_worker(concurrency=ordeal.concurrency), range(ordeal.workers)))
        restarts = ordeal.restarts if broker is not None else 0
        done, last_change, next_kill = 0, time.monotonic(), time.monotonic() + ordeal.kill_every_s
        while done < ordeal.tasks and time.monotonic() < last_change + _LAST_WAIT_S:
            time.sleep(0.2)
            now_done = len(lab.read())
            if now_done != done:
                done, last_change = now_done, time.monotonic()
            if restarts and broker is not None and done > ordeal.tasks // 3:
                restarts -= 1
                broker.restart()
            if time.monotonic() >= next_kill and len(ready) > 1 and done < ordeal.tasks:
                next_kill = time.monotonic() + ordeal.kill_every_s
                kills += 1
                if _kill_one(ready, rounds):
                    pool.submit(lambda: ready.append(lab.start_worker(concurrency=ordeal.concurrency)))
    lines = lab.read()
    return Outcome(
        lost=ordeal.tasks - len(lines),
        again=sum(lines.values()) - len(lines),
        kills=kills,
        seconds=time.monotonic() - started,
    )


def _kill_one(ready: list[subprocess.Popen[bytes]], rounds: random.Random) -> bool:
    """Kill a worker of those that are *ready*, or a child of one; return whether it was a worker."""
    worker = rounds.choice(ready)
    victim = rounds.choice([worker.pid, *map(int, _find_children(worker))])
    if victim != worker.pid:
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
        return False
    ready.remove(worker)
    os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()
    return True


def _find_children(worker: subprocess.Popen[bytes]) -> list[str]:
    """Source: proc(5), task/[tid]/children."""
    return Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text().split()


def main() -> None:
    """Print the outcome for each broker."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("brokers", nargs="*", default=["redis", "embedded", "rabbitmq"])
    parser.add_argument("--tasks", type=int, default=Ordeal().tasks)
    options = parser.parse_args()
    runs = {"redis": run_redis, "rabbitmq": run_rabbitmq}
    for name in options.brokers:
        with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
            broker = stack.enter_context(runs[name](Path(folder) / name)) if name in runs else None
            lab = stack.enter_context(open_lab(Path(folder) / "service", broker.url if broker else None))
            print(f"{name}: {endure(lab, broker, Ordeal(tasks=options.tasks))}", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
