"""Is a time of a scheduled task skipped, or taken twice, while workers are killed? ``python …/tasks_schedule.py``.

Two workers, of whom one is killed and replaced every few seconds, look at the clock for a task that is due each second.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from task_lab import Lab, open_lab, run_redis

HANDLERS = """

@asynctask(every=1)
def tick():
    note(current_task().id, time.time() - current_task().wait_s)
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the times. due: seconds from the first to the last. doubled: queued twice. again: runs again."""

    due: int
    queued: int
    doubled: int
    again: int
    kills: int


def keep_time(lab: Lab, *, for_s: float, kill_every_s: float) -> Outcome:
    """Let two workers of *lab* keep time, and kill them in turns, at random moments."""
    with (lab.folder / "handlers.py").open("a") as handlers:
        handlers.write(HANDLERS)
    moments = random.Random(1)
    workers = [lab.start_worker(), lab.start_worker()]
    end, kills = time.monotonic() + for_s, 0
    while time.monotonic() < end:
        time.sleep(kill_every_s * moments.uniform(0.5, 1.5))
        victim = workers.pop(0)
        os.killpg(victim.pid, signal.SIGKILL)
        victim.wait()
        kills += 1
        workers.append(lab.start_worker())
    time.sleep(2)
    runs = lab.read()
    queued_at = {line.split()[0]: float(line.split()[1]) for line in runs}
    seconds = Counter(int(moment) for moment in queued_at.values())
    ids = Counter(line.split()[0] for line in runs.elements())
    return Outcome(
        due=max(seconds) - min(seconds) + 1,
        queued=len(queued_at),
        doubled=sum(count - 1 for count in seconds.values()),
        again=ids.total() - len(ids),
        kills=kills,
    )


def main() -> None:
    """Print the outcome on Redis and on the embedded broker."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args()
    for name in ("redis", "embedded"):
        with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
            broker = stack.enter_context(run_redis(Path(folder) / "redis")) if name == "redis" else None
            lab = stack.enter_context(open_lab(Path(folder) / "service", broker.url if broker else None))
            print(f"{name}: {keep_time(lab, for_s=options.seconds, kill_every_s=3.0)}", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
